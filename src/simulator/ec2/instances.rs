//! Instances and launch templates as EC2 shows them. Only Auto Scaling launches instances here.

use super::{Reply, paged, passes, tag_view};
use crate::simulator::auto_scaling::{self, Instance};
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::resources::{self, TEMPLATE, push_version, text, versions};
use crate::simulator::world::{Place, World};
use serde_json::{Value, json};

fn unknown(id: &str) -> Refusal {
    Refusal::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
}

pub(super) fn describe_instances(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("InstanceId");
    let all = world.services_at(place).map(|services| &services.auto_scaling.instances);
    let all: Vec<(&String, &Instance)> = all.into_iter().flatten().collect();
    if let Some(missing) = wanted.iter().find(|id| !all.iter().any(|(known, _)| known == id)) {
        return Err(unknown(missing));
    }
    let reservations = all
        .into_iter()
        .filter(|(id, instance)| (wanted.is_empty() || wanted.contains(id)) && fits(id, instance, parameters))
        .map(|(id, instance)| json!({"ownerId": place.account, "instancesSet": [view(id, instance)]}))
        .collect();
    paged(world, parameters, "reservationSet", reservations)
}

fn fits(id: &str, instance: &Instance, parameters: Parameters<'_>) -> bool {
    parameters.structures("Filter").all(|filter| {
        let values = filter.texts("Value");
        let name = filter.text("Name").unwrap_or_default();
        let found = match name {
            "instance-id" => Some(id.to_owned()),
            "instance-state-name" => Some(instance.state.clone()),
            "image-id" => Some(instance.image.clone()),
            "instance-type" => Some(instance.kind.clone()),
            "subnet-id" => instance.subnet.clone(),
            "private-ip-address" => Some(instance.private_ip.clone()),
            "tag-key" => return instance.tags.keys().any(|key| values.contains(key)),
            _ => name.strip_prefix("tag:").and_then(|key| instance.tags.get(key)).cloned(),
        };
        found.is_some_and(|found| values.contains(&found))
    })
}

/// `InstanceState` (API Reference).
fn state_view(state: &str) -> Value {
    let code = match state {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        _ => 48,
    };
    json!({"code": code, "name": state})
}

fn view(id: &str, instance: &Instance) -> Value {
    let tags: Vec<Value> = instance.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let groups: Vec<Value> = instance.security_groups.iter().map(|group| json!({"groupId": group})).collect();
    json!({
        "instanceId": id,
        "imageId": instance.image,
        "instanceState": state_view(&instance.state),
        "instanceType": instance.kind,
        "launchTime": instance.launched.to_string(),
        "placement": {"availabilityZone": instance.zone},
        "privateIpAddress": instance.private_ip,
        "privateDnsName": format!("ip-{}.ec2.internal", instance.private_ip.replace('.', "-")),
        "subnetId": instance.subnet,
        "iamInstanceProfile": instance.profile.as_ref().map(|profile| json!({"arn": profile})),
        "groupSet": groups,
        "tagSet": tags,
    })
}

pub(super) fn terminate_instances(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("InstanceId");
    let instances =
        world.services_at(place).map(|services| services.auto_scaling.instances.clone()).unwrap_or_default();
    if let Some(missing) = wanted.iter().find(|id| !instances.contains_key(*id)) {
        return Err(unknown(missing));
    }
    let mut changes = Vec::new();
    for id in wanted {
        auto_scaling::ended_by_ec2(world, place, &id);
        let before = instances.get(&id).map(|instance| instance.state.as_str()).unwrap_or_default();
        let now = world.services(place).auto_scaling.instances.get(&id).map(|instance| instance.state.clone());
        changes.push(json!({
            "instanceId": id,
            "previousState": state_view(before),
            "currentState": state_view(&now.unwrap_or_else(|| "terminated".to_owned())),
        }));
    }
    Ok(json!({"instancesSet": changes}))
}

fn unknown_template(wanted: &str) -> Refusal {
    Refusal::new(
        "InvalidLaunchTemplateId.NotFound",
        format!("The specified launch template, with template ID {wanted}, does not exist."),
    )
}

/// The template that a call means, by id or name.
fn template_of(world: &World, place: &Place, parameters: Parameters<'_>) -> Result<String, Refusal> {
    let (id, name) = (parameters.text("LaunchTemplateId"), parameters.text("LaunchTemplateName"));
    let mut all = resources::objects(world, place, TEMPLATE);
    let found = all.find(|(known, template)| {
        id == Some(known.as_str())
            || (name.is_some() && text(&template.properties, "LaunchTemplateName").as_deref() == name)
    });
    found.map(|(id, _)| id.clone()).ok_or_else(|| unknown_template(id.or(name).unwrap_or_default()))
}

pub(super) fn describe_templates(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("LaunchTemplateId");
    if let Some(missing) = wanted.iter().find(|id| resources::object(world, place, TEMPLATE, id).is_none()) {
        return Err(unknown_template(missing));
    }
    let templates = resources::objects(world, place, TEMPLATE)
        .filter(|(id, template)| (wanted.is_empty() || wanted.contains(id)) && passes(template, id, parameters))
        .map(|(id, template)| {
            json!({
                "launchTemplateId": id,
                "launchTemplateName": name_of(id, template),
                "defaultVersionNumber": template.attributes.get("DefaultVersionNumber"),
                "latestVersionNumber": template.attributes.get("LatestVersionNumber"),
                "tagSet": tag_view(template),
            })
        })
        .collect();
    paged(world, parameters, "launchTemplates", templates)
}

fn name_of(id: &str, template: &resources::Object) -> String {
    text(&template.properties, "LaunchTemplateName").unwrap_or_else(|| id.to_owned())
}

pub(super) fn describe_versions(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = template_of(world, place, parameters)?;
    let template = resources::object(world, place, TEMPLATE, &id).ok_or_else(|| unknown_template(&id))?;
    let is = |name: &str, number: &str| text(&template.attributes, name).as_deref() == Some(number);
    let wanted = parameters.texts("LaunchTemplateVersion");
    let is_wanted = |number: &str| {
        wanted.is_empty()
            || wanted.iter().any(|wanted| match wanted.as_str() {
                "$Latest" => is("LatestVersionNumber", number),
                "$Default" => is("DefaultVersionNumber", number),
                wanted => wanted == number,
            })
    };
    let number = |version: &Value| version.get("VersionNumber").and_then(resources::plain).unwrap_or_default();
    let views = versions(template)
        .iter()
        .rev()
        .filter(|version| is_wanted(&number(version)))
        .map(|version| version_view(&id, template, version))
        .collect();
    paged(world, parameters, "launchTemplateVersionSet", views)
}

fn version_view(id: &str, template: &resources::Object, version: &Value) -> Value {
    let number = version.get("VersionNumber").and_then(resources::plain).unwrap_or_default();
    json!({
        "launchTemplateId": id,
        "launchTemplateName": name_of(id, template),
        "versionNumber": version.get("VersionNumber"),
        "versionDescription": version.get("VersionDescription"),
        "defaultVersion": text(&template.attributes, "DefaultVersionNumber") == Some(number),
        "launchTemplateData": version.get("LaunchTemplateData").map(as_ec2_writes),
    })
}

/// EC2 writes members with a small first letter, and calls lists sets. The registry's spelling is kept for what is sent.
fn as_ec2_writes(value: &Value) -> Value {
    /// Lists whose element has another name in answers (API Reference, `ResponseLaunchTemplateData`).
    const LISTS: [(&str, &str); 6] = [
        ("BlockDeviceMappings", "blockDeviceMappingSet"),
        ("NetworkInterfaces", "networkInterfaceSet"),
        ("SecurityGroupIds", "securityGroupIdSet"),
        ("SecurityGroups", "securityGroupSet"),
        ("TagSpecifications", "tagSpecificationSet"),
        ("Tags", "tagSet"),
    ];
    match value {
        Value::Object(members) => {
            let name = |name: &String| {
                let known = LISTS.iter().find(|(ours, _)| ours == name).map(|(_, theirs)| (*theirs).to_owned());
                let mut letters = name.chars();
                let small =
                    || letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
                known.unwrap_or_else(small)
            };
            Value::Object(members.iter().map(|(key, value)| (name(key), as_ec2_writes(value))).collect())
        }
        Value::Array(entries) => entries.iter().map(as_ec2_writes).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

pub(super) fn create_version(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = template_of(world, place, parameters)?;
    let template = resources::object_mut(world, place, TEMPLATE, &id).ok_or_else(|| unknown_template(&id))?;
    let source = parameters.text("SourceVersion").and_then(|number| number.parse::<usize>().ok());
    let base = source.and_then(|number| versions(template).get(number.checked_sub(1)?)).cloned();
    let mut data = base.and_then(|version| version.get("LaunchTemplateData")?.as_object().cloned()).unwrap_or_default();
    let given = parameters.0.get("LaunchTemplateData").and_then(Value::as_object).cloned().unwrap_or_default();
    data.extend(given);
    let description = parameters.text("VersionDescription").map(Value::from);
    push_version(template, Some(&Value::Object(data)), description.as_ref());
    let view = versions(template).last().map(|version| version_view(&id, template, version));
    Ok(json!({"launchTemplateVersion": view}))
}
