//! Auto Scaling's own API, as far as people, tests and rolling replacements use it.

use super::{Life, LifecycleState, Member, activity_view, desired, end, life, life_mut, reconcile, size};
use crate::simulator::paging::page;
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::resources::{self, GROUP, Object, text};
use crate::simulator::wire::Call;
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value, json};

type Reply = Result<Value, Refusal>;

pub(crate) fn call(world: &mut World, call: &Call) -> Option<Reply> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    Some(match call.operation.as_str() {
        "DescribeAutoScalingGroups" => describe_groups(world, place, parameters),
        "DescribeAutoScalingInstances" => describe_instances(world, place, parameters),
        "DescribeScalingActivities" => describe_activities(world, place, parameters),
        "TerminateInstanceInAutoScalingGroup" => terminate(world, place, parameters),
        "SetDesiredCapacity" => set_desired_capacity(world, place, parameters),
        "UpdateAutoScalingGroup" => update_group(world, place, parameters),
        "SuspendProcesses" => suspend(world, place, parameters, true),
        "ResumeProcesses" => suspend(world, place, parameters, false),
        "CreateOrUpdateTags" => tag(world, place, parameters),
        "DeleteTags" => untag(world, place, parameters),
        _ => return None,
    })
}

/// Processes that can be suspended (API Reference, `SuspendProcesses`).
const PROCESSES: [&str; 9] = [
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

fn paged(world: &World, parameters: Parameters<'_>, list: &str, entries: Vec<Value>) -> Reply {
    let wanted = parameters.number("MaxRecords").and_then(|size| usize::try_from(size).ok());
    let size = wanted.map_or(world.rules.page_size, |wanted| wanted.min(world.rules.page_size));
    let page = page(entries, parameters.text("NextToken"), size)?;
    Ok(json!({ list: page.entries, "NextToken": page.next }))
}

fn unknown(name: &str) -> Refusal {
    Refusal::validation(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
}

/// A group's name, which must be one.
fn named<'a>(world: &World, place: &Place, parameters: Parameters<'a>) -> Result<&'a str, Refusal> {
    let name = parameters.required("AutoScalingGroupName")?;
    match life(world, place, name) {
        Some(_) => Ok(name),
        None => Err(unknown(name)),
    }
}

fn describe_groups(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("AutoScalingGroupNames");
    let groups: Vec<Value> = resources::objects(world, place, GROUP)
        .filter(|(name, group)| (wanted.is_empty() || wanted.contains(name)) && passes(group, parameters))
        .filter_map(|(name, group)| Some(group_view(name, group, life(world, place, name)?)))
        .collect();
    paged(world, parameters, "AutoScalingGroups", groups)
}

/// The filters by tag (API Reference, `Filter`).
fn passes(group: &Object, parameters: Parameters<'_>) -> bool {
    let tags: Vec<(String, String)> =
        tags_of(group).filter_map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?))).collect();
    parameters.structures("Filters").all(|filter| {
        let values = filter.texts("Values");
        let name = filter.text("Name").unwrap_or_default();
        tags.iter().any(|(key, value)| match name {
            "tag-key" => values.contains(key),
            "tag-value" => values.contains(value),
            _ => name.strip_prefix("tag:") == Some(key) && values.contains(value),
        })
    })
}

fn tags_of(group: &Object) -> impl Iterator<Item = &Map<String, Value>> {
    group.properties.get("Tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn group_view(name: &str, group: &Object, life: &Life) -> Value {
    let properties = &group.properties;
    let list = |name: &str| properties.get(name).cloned().unwrap_or_else(|| json!([]));
    let mut zones: Vec<&str> = life.members.values().map(|member| member.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let subnets: Vec<String> = properties
        .get("VPCZoneIdentifier")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(resources::plain)
        .collect();
    let tags: Vec<Value> = tags_of(group)
        .map(|tag| {
            let goes_along = text(tag, "PropagateAtLaunch").is_none_or(|truth| truth == "true");
            json!({"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": tag.get("Key"), "Value": tag.get("Value"), "PropagateAtLaunch": goes_along})
        })
        .collect();
    let suspended: Vec<Value> = life
        .suspended
        .iter()
        .map(|process| json!({"ProcessName": process, "SuspensionReason": "User suspended"}))
        .collect();
    json!({
        "AutoScalingGroupName": name,
        "AutoScalingGroupARN": group.attributes.get("AutoScalingGroupARN"),
        "LaunchTemplate": specification(properties),
        "MixedInstancesPolicy": properties.get("MixedInstancesPolicy").filter(|policy| policy.is_object()),
        "MinSize": size(properties, "MinSize"),
        "MaxSize": size(properties, "MaxSize"),
        "DesiredCapacity": desired(properties),
        "DefaultCooldown": text(properties, "Cooldown").and_then(|text| text.parse::<u64>().ok()).unwrap_or(300),
        "AvailabilityZones": zones,
        "LoadBalancerNames": list("LoadBalancerNames"),
        "TargetGroupARNs": list("TargetGroupARNs"),
        "HealthCheckType": text(properties, "HealthCheckType").unwrap_or_else(|| "EC2".to_owned()),
        "HealthCheckGracePeriod": size(properties, "HealthCheckGracePeriod"),
        "Instances": life.members.iter().map(|(id, member)| member_view(id, member)).collect::<Vec<_>>(),
        "CreatedTime": life.created.to_string(),
        "SuspendedProcesses": suspended,
        "VPCZoneIdentifier": subnets.join(","),
        "EnabledMetrics": [],
        "Tags": tags,
        "TerminationPolicies": properties.get("TerminationPolicies").cloned().unwrap_or_else(|| json!(["Default"])),
        "NewInstancesProtectedFromScaleIn": text(properties, "NewInstancesProtectedFromScaleIn").as_deref() == Some("true"),
        "Status": life.is_ending.then_some("Delete in progress"),
    })
}

fn specification(properties: &Map<String, Value>) -> Option<Value> {
    let specification = properties.get("LaunchTemplate")?.as_object()?;
    Some(json!({
        "LaunchTemplateId": specification.get("LaunchTemplateId"),
        "LaunchTemplateName": specification.get("LaunchTemplateName"),
        "Version": text(specification, "Version"),
    }))
}

fn member_view(id: &str, member: &Member) -> Value {
    json!({
        "InstanceId": id,
        "InstanceType": member.instance_type,
        "AvailabilityZone": member.zone,
        "LifecycleState": member.state.as_str(),
        "HealthStatus": if member.is_healthy { "Healthy" } else { "Unhealthy" },
        "LaunchTemplate": {"LaunchTemplateId": member.template_id, "Version": member.template_version},
        "ProtectedFromScaleIn": member.is_protected,
    })
}

fn describe_instances(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("InstanceIds");
    let groups = world.services_at(place).map(|services| &services.auto_scaling.groups);
    let mut instances = Vec::new();
    for (name, life) in groups.into_iter().flatten() {
        for (id, member) in life.members.iter().filter(|(id, _)| wanted.is_empty() || wanted.contains(id)) {
            let mut view = member_view(id, member);
            view["AutoScalingGroupName"] = name.as_str().into();
            // This operation writes it in capitals, the other one does not (API Reference).
            view["HealthStatus"] = if member.is_healthy { "HEALTHY" } else { "UNHEALTHY" }.into();
            instances.push(view);
        }
    }
    paged(world, parameters, "AutoScalingInstances", instances)
}

fn describe_activities(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let group = parameters.text("AutoScalingGroupName");
    if let Some(name) = group.filter(|name| life(world, place, name).is_none()) {
        return Err(unknown(name));
    }
    let groups = world.services_at(place).map(|services| &services.auto_scaling.groups);
    let wanted = parameters.texts("ActivityIds");
    let asked = groups.into_iter().flatten().filter(|(name, _)| group.is_none_or(|group| group == name.as_str()));
    let mut activities = Vec::new();
    for (name, life) in asked {
        let newest_first = life.activities.iter().rev();
        let asked = newest_first.filter(|activity| wanted.is_empty() || wanted.contains(&activity.id));
        activities.extend(asked.map(|activity| activity_view(name, activity)));
    }
    paged(world, parameters, "Activities", activities)
}

/// The group that an instance belongs to.
fn group_of(world: &World, place: &Place, instance: &str) -> Option<String> {
    let groups = &world.services_at(place)?.auto_scaling.groups;
    groups.iter().find(|(_, life)| life.members.contains_key(instance)).map(|(name, _)| name.clone())
}

fn terminate(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let instance = parameters.required("InstanceId")?;
    let decrements = parameters.flag("ShouldDecrementDesiredCapacity").unwrap_or(false);
    let group = group_of(world, place, instance).ok_or_else(|| {
        Refusal::validation(format!("Instance Id not found - No managed instance found for instance ID: {instance}"))
    })?;
    if decrements {
        let properties =
            resources::object(world, place, GROUP, &group).map(|object| object.properties.clone()).unwrap_or_default();
        let wanted = desired(&properties).saturating_sub(1);
        if wanted < size(&properties, "MinSize") {
            return Err(Refusal::validation("Currently, desiredSize equals minSize (the group cannot become smaller). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.".to_owned()));
        }
        set(world, place, &group, "DesiredCapacity", wanted);
    }
    let activity =
        end(world, place, &group, instance, "an instance was taken out of service in response to a user request");
    let life = life(world, place, &group);
    let found = life.and_then(|life| life.activities.iter().find(|known| Some(&known.id) == activity.as_ref()));
    Ok(json!({"Activity": found.map(|activity| activity_view(&group, activity))}))
}

fn set(world: &mut World, place: &Place, group: &str, name: &str, value: u64) {
    if let Some(object) = resources::object_mut(world, place, GROUP, group) {
        object.properties.insert(name.to_owned(), value.to_string().into());
    }
}

fn set_desired_capacity(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let group = named(world, place, parameters)?;
    let wanted = parameters.number("DesiredCapacity").unwrap_or_default();
    let properties =
        resources::object(world, place, GROUP, group).map(|object| object.properties.clone()).unwrap_or_default();
    let (least, most) = (size(&properties, "MinSize"), size(&properties, "MaxSize"));
    if wanted < least {
        return Err(Refusal::validation(format!(
            "New SetDesiredCapacity value {wanted} is below min value {least} for the AutoScalingGroup."
        )));
    }
    if wanted > most {
        return Err(Refusal::validation(format!(
            "New SetDesiredCapacity value {wanted} is above max value {most} for the AutoScalingGroup."
        )));
    }
    set(world, place, group, "DesiredCapacity", wanted);
    reconcile(world, place, group);
    Ok(json!({}))
}

fn update_group(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let group = named(world, place, parameters)?;
    let Some(object) = resources::object_mut(world, place, GROUP, group) else { return Err(unknown(group)) };
    let mut properties = object.properties.clone();
    for name in ["MinSize", "MaxSize", "DesiredCapacity", "HealthCheckGracePeriod"] {
        if let Some(number) = parameters.number(name) {
            properties.insert(name.to_owned(), number.to_string().into());
        }
    }
    for name in ["HealthCheckType", "NewInstancesProtectedFromScaleIn"] {
        if let Some(said) = parameters.text(name) {
            properties.insert(name.to_owned(), said.into());
        }
    }
    if let Some(subnets) = parameters.text("VPCZoneIdentifier") {
        let subnets: Vec<Value> = subnets.split(',').map(|subnet| subnet.trim().into()).collect();
        properties.insert("VPCZoneIdentifier".to_owned(), subnets.into());
    }
    if let Some(template) = parameters.0.get("LaunchTemplate").filter(|template| template.is_object()) {
        properties.insert("LaunchTemplate".to_owned(), template.clone());
    }
    let (least, most, wanted) = (size(&properties, "MinSize"), size(&properties, "MaxSize"), desired(&properties));
    if least > most {
        return Err(Refusal::validation("Min size must be less than or equal to max size".to_owned()));
    }
    // A group is never outside of its own bounds.
    properties.insert("DesiredCapacity".to_owned(), wanted.clamp(least, most).to_string().into());
    object.properties = properties;
    reconcile(world, place, group);
    Ok(json!({}))
}

fn suspend(world: &mut World, place: &Place, parameters: Parameters<'_>, is_suspended: bool) -> Reply {
    let group = named(world, place, parameters)?;
    let mut processes = parameters.texts("ScalingProcesses");
    if let Some(wrong) = processes.iter().find(|process| !PROCESSES.contains(&process.as_str())) {
        return Err(Refusal::validation(format!("Unknown process {wrong}")));
    }
    if processes.is_empty() {
        processes = PROCESSES.map(str::to_owned).into();
    }
    if let Some(life) = life_mut(world, place, group) {
        for process in processes {
            if is_suspended {
                life.suspended.insert(process);
            } else {
                life.suspended.remove(&process);
            }
        }
    }
    reconcile(world, place, group);
    Ok(json!({}))
}

fn tag(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    for tag in parameters.structures("Tags") {
        let (group, key) = (tag.required("ResourceId")?, tag.required("Key")?);
        let object = resources::object_mut(world, place, GROUP, group).ok_or_else(|| unknown(group))?;
        let tags = object.properties.entry("Tags").or_insert_with(|| json!([]));
        let goes_along = tag.flag("PropagateAtLaunch").unwrap_or(true);
        let new = json!({"Key": key, "Value": tag.text("Value").unwrap_or_default(), "PropagateAtLaunch": goes_along});
        if let Some(tags) = tags.as_array_mut() {
            tags.retain(|known| known.get("Key").and_then(Value::as_str) != Some(key));
            tags.push(new);
        }
    }
    Ok(json!({}))
}

fn untag(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    for tag in parameters.structures("Tags") {
        let (group, key) = (tag.required("ResourceId")?, tag.required("Key")?);
        let object = resources::object_mut(world, place, GROUP, group).ok_or_else(|| unknown(group))?;
        if let Some(tags) = object.properties.get_mut("Tags").and_then(Value::as_array_mut) {
            tags.retain(|known| known.get("Key").and_then(Value::as_str) != Some(key));
        }
    }
    Ok(json!({}))
}

/// EC2 ended an instance past its group: the group finds out, and launches another.
pub(crate) fn ended_by_ec2(world: &mut World, place: &Place, instance: &str) {
    let Some(group) = group_of(world, place, instance) else { return };
    let is_there = life(world, place, &group)
        .and_then(|life| life.members.get(instance))
        .is_some_and(|member| member.state != LifecycleState::Terminating);
    if is_there {
        end(
            world,
            place,
            &group,
            instance,
            "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped",
        );
    }
}
