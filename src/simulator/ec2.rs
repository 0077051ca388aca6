//! EC2's own API, as far as people and tests cause drift with it: security groups and their rules, VPCs and subnets to
//! look at, instances and launch templates.

mod instances;

use super::facts::plain;
use super::paging::page;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::{self, Object, is_same_rule, text};
use super::wire::Call;
use super::world::{Place, World};
use serde_json::{Map, Value, json};

type Reply = Result<Value, Refusal>;

const GROUP: &str = "AWS::EC2::SecurityGroup";

pub(crate) fn call(world: &mut World, call: &Call) -> Option<Reply> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    Some(match call.operation.as_str() {
        "DescribeSecurityGroups" => describe_groups(world, place, parameters),
        "AuthorizeSecurityGroupIngress" => authorize(world, place, parameters, "SecurityGroupIngress"),
        "AuthorizeSecurityGroupEgress" => authorize(world, place, parameters, "SecurityGroupEgress"),
        "RevokeSecurityGroupIngress" => revoke(world, place, parameters, "SecurityGroupIngress"),
        "RevokeSecurityGroupEgress" => revoke(world, place, parameters, "SecurityGroupEgress"),
        "DescribeVpcs" => describe_vpcs(world, place, parameters),
        "DescribeSubnets" => describe_subnets(world, place, parameters),
        "DescribeAvailabilityZones" => Ok(describe_zones(place)),
        "DescribeInstances" => instances::describe_instances(world, place, parameters),
        "TerminateInstances" => instances::terminate_instances(world, place, parameters),
        "DescribeLaunchTemplates" => instances::describe_templates(world, place, parameters),
        "DescribeLaunchTemplateVersions" => instances::describe_versions(world, place, parameters),
        "CreateLaunchTemplateVersion" => instances::create_version(world, place, parameters),
        _ => return None,
    })
}

fn paged(world: &World, parameters: Parameters<'_>, list: &str, entries: Vec<Value>) -> Reply {
    let wanted = parameters.number("MaxResults").and_then(|size| usize::try_from(size).ok());
    let size = wanted.map_or(world.rules.page_size, |wanted| wanted.min(world.rules.page_size));
    let page = page(entries, parameters.text("NextToken"), size)?;
    Ok(json!({ list: page.entries, "nextToken": page.next }))
}

fn unknown_group(id: &str) -> Refusal {
    Refusal::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
}

fn describe_groups(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("GroupId");
    if let Some(missing) = wanted.iter().find(|id| resources::object(world, place, GROUP, id).is_none()) {
        return Err(unknown_group(missing));
    }
    let groups: Vec<Value> = resources::objects(world, place, GROUP)
        .filter(|(id, group)| (wanted.is_empty() || wanted.contains(id)) && passes(group, id, parameters))
        .map(|(id, group)| group_view(world, place, id, group))
        .collect();
    paged(world, parameters, "securityGroupInfo", groups)
}

/// The filters that name a VPC, a group or a tag.
fn passes(object: &Object, id: &str, parameters: Parameters<'_>) -> bool {
    parameters.structures("Filter").all(|filter| {
        let values = filter.texts("Value");
        let name = filter.text("Name").unwrap_or_default();
        let found = match name {
            // A VPC is in no other.
            "vpc-id" => text(&object.properties, "VpcId").or_else(|| Some(id.to_owned())),
            "group-id" | "subnet-id" => Some(id.to_owned()),
            "group-name" => text(&object.properties, "GroupName"),
            _ => name.strip_prefix("tag:").and_then(|key| tag_value(object, key)),
        };
        found.is_some_and(|found| values.contains(&found))
    })
}

fn tag_value(object: &Object, key: &str) -> Option<String> {
    let tags = object.properties.get("Tags")?.as_array()?;
    let tag = tags.iter().find(|tag| tag.get("Key").and_then(Value::as_str) == Some(key))?;
    tag.get("Value").and_then(plain)
}

fn tag_view(object: &Object) -> Value {
    let tags = object.properties.get("Tags").and_then(Value::as_array).into_iter().flatten();
    tags.map(|tag| json!({"key": tag.get("Key"), "value": tag.get("Value")})).collect()
}

fn group_view(world: &World, place: &Place, id: &str, group: &Object) -> Value {
    let rules = |inline: &str, own_type: &str| -> Vec<Value> {
        let inline =
            group.properties.get(inline).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        let own = resources::objects(world, place, own_type)
            .map(|(_, rule)| &rule.properties)
            .filter(|rule| text(rule, "GroupId").as_deref() == Some(id));
        inline.chain(own).map(rule_view).collect()
    };
    json!({
        "ownerId": place.account,
        "groupId": id,
        "groupName": text(&group.properties, "GroupName").unwrap_or_else(|| id.to_owned()),
        "groupDescription": group.properties.get("GroupDescription"),
        "vpcId": group.properties.get("VpcId"),
        "ipPermissions": rules("SecurityGroupIngress", "AWS::EC2::SecurityGroupIngress"),
        "ipPermissionsEgress": rules("SecurityGroupEgress", "AWS::EC2::SecurityGroupEgress"),
        "tagSet": tag_view(group),
    })
}

fn rule_view(rule: &Map<String, Value>) -> Value {
    let listed = |name: &str, shown: &str| {
        text(rule, name).map(|value| json!([{shown: value, "description": rule.get("Description")}]))
    };
    let group = text(rule, "SourceSecurityGroupId").or_else(|| text(rule, "DestinationSecurityGroupId"));
    json!({
        "ipProtocol": rule.get("IpProtocol"),
        "fromPort": rule.get("FromPort"),
        "toPort": rule.get("ToPort"),
        "ipRanges": listed("CidrIp", "cidrIp").unwrap_or_else(|| json!([])),
        "ipv6Ranges": listed("CidrIpv6", "cidrIpv6").unwrap_or_else(|| json!([])),
        "groups": group.map_or_else(|| json!([]), |group| json!([{"groupId": group}])),
    })
}

/// The rules of a call in the registry's words.
fn rules_of(parameters: Parameters<'_>, inline: &str) -> Vec<Map<String, Value>> {
    let group_property =
        if inline == "SecurityGroupIngress" { "SourceSecurityGroupId" } else { "DestinationSecurityGroupId" };
    let base = |permission: Parameters<'_>| {
        let names = [("IpProtocol", "IpProtocol"), ("FromPort", "FromPort"), ("ToPort", "ToPort")];
        names
            .iter()
            .filter_map(|(theirs, ours)| Some(((*ours).to_owned(), permission.text(theirs)?.into())))
            .collect::<Map<_, _>>()
    };
    let mut rules = Vec::new();
    for permission in parameters.structures("IpPermissions") {
        let peers = [
            ("IpRanges", "CidrIp", "CidrIp"),
            ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
            ("Groups", "GroupId", group_property),
        ];
        for (list, theirs, ours) in peers {
            for peer in permission.structures(list) {
                let mut rule = base(permission);
                rule.extend(peer.text(theirs).map(|value| (ours.to_owned(), value.into())));
                rule.extend(peer.text("Description").map(|value| ("Description".to_owned(), value.into())));
                rules.push(rule);
            }
        }
    }
    if let Some(block) = parameters.text("CidrIp") {
        let mut rule = base(parameters);
        rule.insert("CidrIp".to_owned(), block.into());
        rules.push(rule);
    }
    rules
}

fn authorize(world: &mut World, place: &Place, parameters: Parameters<'_>, inline: &str) -> Reply {
    let id = parameters.required("GroupId")?;
    let rules = rules_of(parameters, inline);
    let own_type = format!("AWS::EC2::{inline}");
    let is_own_rule = |rule: &Map<String, Value>| {
        resources::objects(world, place, &own_type).any(|(_, own)| {
            text(&own.properties, "GroupId").as_deref() == Some(id) && is_same_rule(&own.properties, rule)
        })
    };
    let is_duplicate = rules.iter().any(is_own_rule);
    let group = resources::object_mut(world, place, GROUP, id).ok_or_else(|| unknown_group(id))?;
    let known = group.properties.entry(inline).or_insert_with(|| json!([]));
    let Some(known) = known.as_array_mut() else {
        return Err(unknown_group(id));
    };
    let is_known =
        |rule: &Map<String, Value>| known.iter().filter_map(Value::as_object).any(|other| is_same_rule(other, rule));
    if is_duplicate || rules.iter().any(is_known) {
        return Err(Refusal::new("InvalidPermission.Duplicate", "the specified rule already exists"));
    }
    known.extend(rules.into_iter().map(Value::Object));
    Ok(json!({"return": true}))
}

fn revoke(world: &mut World, place: &Place, parameters: Parameters<'_>, inline: &str) -> Reply {
    let id = parameters.required("GroupId")?;
    let rules = rules_of(parameters, inline);
    let own_type = format!("AWS::EC2::{inline}");
    let own: Vec<String> = resources::objects(world, place, &own_type)
        .filter(|(_, own)| {
            text(&own.properties, "GroupId").as_deref() == Some(id)
                && rules.iter().any(|rule| is_same_rule(&own.properties, rule))
        })
        .map(|(own_id, _)| own_id.clone())
        .collect();
    let group = resources::object_mut(world, place, GROUP, id).ok_or_else(|| unknown_group(id))?;
    let mut revoked = own.len();
    if let Some(known) = group.properties.get_mut(inline).and_then(Value::as_array_mut) {
        let before = known.len();
        known
            .retain(|other| !other.as_object().is_some_and(|other| rules.iter().any(|rule| is_same_rule(other, rule))));
        revoked += before - known.len();
    }
    for own_id in own {
        resources::vanish(world, place, &own_type, &own_id);
    }
    if revoked == 0 {
        return Err(Refusal::new(
            "InvalidPermission.NotFound",
            "The specified rule does not exist in this security group.",
        ));
    }
    Ok(json!({"return": true}))
}

fn describe_vpcs(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("VpcId");
    let vpcs: Vec<Value> = resources::objects(world, place, "AWS::EC2::VPC")
        .filter(|(id, vpc)| (wanted.is_empty() || wanted.contains(id)) && passes(vpc, id, parameters))
        .map(|(id, vpc)| {
            json!({
                "vpcId": id,
                "state": "available",
                "cidrBlock": vpc.properties.get("CidrBlock"),
                "isDefault": false,
                "ownerId": place.account,
                "tagSet": tag_view(vpc),
            })
        })
        .collect();
    paged(world, parameters, "vpcSet", vpcs)
}

/// Every Region has three here. In the local cloud zone `a` is zone 1.
fn describe_zones(place: &Place) -> Value {
    let short = resources::short_region(&place.region);
    let zone = |(letter, number): (&str, u8)| {
        json!({
            "zoneName": format!("{}{letter}", place.region),
            "zoneId": format!("{short}-az{number}"),
            "zoneState": "available",
            "zoneType": "availability-zone",
            "optInStatus": "opt-in-not-required",
            "regionName": place.region,
        })
    };
    let zones = [("a", 1), ("b", 2), ("c", 3)].map(zone);
    json!({ "availabilityZoneInfo": zones })
}

fn describe_subnets(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.texts("SubnetId");
    let subnets: Vec<Value> = resources::objects(world, place, "AWS::EC2::Subnet")
        .filter(|(id, subnet)| (wanted.is_empty() || wanted.contains(id)) && passes(subnet, id, parameters))
        .map(|(id, subnet)| {
            json!({
                "subnetId": id,
                "state": "available",
                "vpcId": subnet.properties.get("VpcId"),
                "cidrBlock": subnet.properties.get("CidrBlock"),
                "availabilityZone": subnet.attributes.get("AvailabilityZone"),
                "availabilityZoneId": subnet.attributes.get("AvailabilityZoneId"),
                "mapPublicIpOnLaunch": subnet.properties.get("MapPublicIpOnLaunch").and_then(plain).is_some_and(|truth| truth == "true"),
                "tagSet": tag_view(subnet),
            })
        })
        .collect();
    paged(world, parameters, "subnetSet", subnets)
}
