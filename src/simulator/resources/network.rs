//! EC2's networks: VPCs, subnets, gateways, routes and security groups. Ids that are mentioned must exist; what is in
//! use cannot be deleted.

use super::modelled::Modelled;
use super::{Failure, Order, objects, text};
use crate::simulator::facts::plain;
use crate::simulator::identifiers::Identifiers;
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// Letters after the prefix of an EC2 id.
const ID_DIGITS: usize = 17;

pub(super) static TYPES: &[Modelled] = &[
    Modelled {
        attributes: |identifiers, order, id| {
            vec![
                ("VpcId", id.into()),
                ("DefaultSecurityGroup", format!("sg-{}", identifiers.hex(ID_DIGITS)).into()),
                ("DefaultNetworkAcl", format!("acl-{}", identifiers.hex(ID_DIGITS)).into()),
                ("CidrBlockAssociations", json!([format!("vpc-cidr-assoc-{}", identifiers.hex(ID_DIGITS))])),
                ("Ipv6CidrBlocks", json!([])),
                ("CidrBlock", text(&order.properties, "CidrBlock").into()),
            ]
        },
        check: |_, order, _| block_of(&order.properties).map(|_| ()),
        check_delete: check_unused,
        ..Modelled::plain("AWS::EC2::VPC", 10, |identifiers, _| format!("vpc-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |identifiers, order, id| {
            let (zone, zone_id) = zone_of(order);
            vec![
                ("SubnetId", id.into()),
                ("AvailabilityZone", zone.into()),
                ("AvailabilityZoneId", zone_id.into()),
                ("NetworkAclAssociationId", format!("aclassoc-{}", identifiers.hex(ID_DIGITS)).into()),
                ("Ipv6CidrBlocks", json!([])),
            ]
        },
        check: check_subnet,
        check_delete: check_unused,
        ..Modelled::plain("AWS::EC2::Subnet", 8, |identifiers, _| format!("subnet-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |_, _, id| vec![("InternetGatewayId", id.into())],
        check_delete: check_unused,
        ..Modelled::plain("AWS::EC2::InternetGateway", 15, |identifiers, _| {
            format!("igw-{}", identifiers.hex(ID_DIGITS))
        })
    },
    Modelled {
        attributes: |_, _, _| vec![("AttachmentType", "IGW".into())],
        ..Modelled::plain("AWS::EC2::VPCGatewayAttachment", 12, |_, order| {
            format!("IGW|{}", text(&order.properties, "VpcId").unwrap_or_default())
        })
    },
    Modelled {
        attributes: |_, _, id| vec![("RouteTableId", id.into())],
        check_delete: check_unused,
        ..Modelled::plain("AWS::EC2::RouteTable", 6, |identifiers, _| format!("rtb-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |_, order, _| vec![("CidrBlock", route_destination(order).into())],
        ..Modelled::plain("AWS::EC2::Route", 5, |_, order| {
            format!("{}|{}", text(&order.properties, "RouteTableId").unwrap_or_default(), route_destination(order))
        })
    },
    Modelled {
        attributes: |_, _, id| vec![("Id", id.into())],
        check: |world, order, _| {
            let subnet = text(&order.properties, "SubnetId");
            let is_taken = objects(world, &order.place, "AWS::EC2::SubnetRouteTableAssociation").any(|(_, other)| {
                text(&other.properties, "SubnetId") == subnet
                    && text(&other.properties, "RouteTableId") == text(&order.properties, "RouteTableId")
            });
            if is_taken {
                return Err(Failure::new(
                    "AlreadyExists",
                    "Resource.AlreadyAssociated: the specified association already exists",
                ));
            }
            Ok(())
        },
        ..Modelled::plain("AWS::EC2::SubnetRouteTableAssociation", 5, |identifiers, _| {
            format!("rtbassoc-{}", identifiers.hex(ID_DIGITS))
        })
    },
    Modelled {
        attributes: |identifiers, _, id| {
            vec![("NatGatewayId", id.into()), ("EniId", format!("eni-{}", identifiers.hex(ID_DIGITS)).into())]
        },
        ..Modelled::plain("AWS::EC2::NatGateway", 110, |identifiers, _| format!("nat-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |identifiers, _, id| {
            vec![("AllocationId", format!("eipalloc-{}", identifiers.hex(ID_DIGITS)).into()), ("PublicIp", id.into())]
        },
        check_delete: |world, place, id| {
            let allocation = objects(world, place, "AWS::EC2::EIP")
                .find(|(known, _)| known.as_str() == id)
                .and_then(|(_, object)| text(&object.attributes, "AllocationId"));
            allocation.map_or(Ok(()), |allocation| check_unused(world, place, &allocation))
        },
        ..Modelled::plain("AWS::EC2::EIP", 15, |identifiers, _| {
            // 203.0.113.0/24 and 198.51.100.0/24 are for documentation (RFC 5737): nobody is reached there by mistake.
            let net = if identifiers.below(2) == 0 { "203.0.113" } else { "198.51.100" };
            format!("{net}.{}", 1 + identifiers.below(254))
        })
    },
    Modelled {
        attributes: |_, order, id| {
            vec![
                ("Id", id.into()),
                ("CreationTimestamp", "".into()),
                ("DnsEntries", json!([])),
                ("NetworkInterfaceIds", json!([])),
                ("VpcId", text(&order.properties, "VpcId").into()),
            ]
        },
        ..Modelled::plain("AWS::EC2::VPCEndpoint", 15, |identifiers, _| format!("vpce-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |_, _, id| vec![("Id", id.into())],
        ..Modelled::plain("AWS::EC2::FlowLog", 5, |identifiers, _| format!("fl-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |_, _, id| vec![("GroupId", id.into()), ("Id", id.into())],
        check: check_group_name,
        check_delete: check_unused,
        ..Modelled::plain("AWS::EC2::SecurityGroup", 8, |identifiers, _| format!("sg-{}", identifiers.hex(ID_DIGITS)))
    },
    Modelled {
        attributes: |_, _, id| vec![("Id", id.into())],
        check: |world, order, id| {
            check_rule(world, order, id, "AWS::EC2::SecurityGroupIngress", "SecurityGroupIngress")
        },
        ..Modelled::plain("AWS::EC2::SecurityGroupIngress", 5, rule_id)
    },
    Modelled {
        attributes: |_, _, id| vec![("Id", id.into())],
        check: |world, order, id| check_rule(world, order, id, "AWS::EC2::SecurityGroupEgress", "SecurityGroupEgress"),
        ..Modelled::plain("AWS::EC2::SecurityGroupEgress", 5, rule_id)
    },
];

fn rule_id(identifiers: &mut Identifiers, _: &Order) -> String {
    format!("sgr-{}", identifiers.hex(ID_DIGITS))
}

fn route_destination(order: &Order) -> String {
    ["DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"]
        .iter()
        .find_map(|name| text(&order.properties, name))
        .unwrap_or_default()
}

/// The zone and zone id of a subnet, either of which may be given. In the local cloud zone `a` is zone 1.
fn zone_of(order: &Order) -> (String, String) {
    let region = &order.place.region;
    let short = short_region(region);
    let letter = text(&order.properties, "AvailabilityZone")
        .and_then(|zone| zone.chars().last())
        .or_else(|| {
            let digit = text(&order.properties, "AvailabilityZoneId")?.chars().last()?.to_digit(10)?;
            char::from_digit(digit + 9, 36)
        })
        .unwrap_or('a');
    let number = letter.to_digit(36).map_or(1, |digit| digit.saturating_sub(9));
    (format!("{region}{letter}"), format!("{short}-az{number}"))
}

/// `ap-southeast-2` is `apse2` in zone ids.
pub(crate) fn short_region(region: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    let side = match parts.next().unwrap_or_default() {
        "north" => "n",
        "south" => "s",
        "east" => "e",
        "west" => "w",
        "central" => "c",
        "northeast" => "ne",
        "northwest" => "nw",
        "southeast" => "se",
        "southwest" => "sw",
        _ => "x",
    };
    format!("{area}{side}{}", parts.next().unwrap_or_default())
}

/// The first and last address of an IPv4 block.
pub(crate) fn address_range(block: &str) -> Option<(u32, u32)> {
    let (address, prefix) = block.split_once('/')?;
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    let first = u32::from(address.parse::<Ipv4Addr>().ok()?) & mask;
    Some((first, first | !mask))
}

fn block_of(properties: &Map<String, Value>) -> Result<Option<(u32, u32)>, Failure> {
    let Some(block) = text(properties, "CidrBlock") else {
        return Ok(None);
    };
    let wrong = || {
        Failure::new(
            "InvalidRequest",
            format!(
                "Value ({block}) for parameter cidrBlock is invalid. This is not a valid CIDR block. (Service: Ec2, Status Code: 400)"
            ),
        )
    };
    address_range(&block).map(Some).ok_or_else(wrong)
}

/// A subnet lies within its VPC and beside its siblings. This is why replacing a subnet under the same block fails.
fn check_subnet(world: &World, order: &Order, own_id: Option<&str>) -> Result<(), Failure> {
    let Some((first, last)) = block_of(&order.properties)? else {
        return Ok(());
    };
    let vpc = text(&order.properties, "VpcId").unwrap_or_default();
    let block = text(&order.properties, "CidrBlock").unwrap_or_default();
    let vpc_range = objects(world, &order.place, "AWS::EC2::VPC")
        .find(|(id, _)| **id == vpc)
        .and_then(|(_, object)| text(&object.properties, "CidrBlock"))
        .and_then(|block| address_range(&block));
    if vpc_range.is_some_and(|(start, end)| first < start || last > end) {
        return Err(Failure::new(
            "InvalidRequest",
            format!("The CIDR '{block}' is invalid. (Service: Ec2, Status Code: 400)"),
        ));
    }
    let conflicts = objects(world, &order.place, "AWS::EC2::Subnet")
        .filter(|(id, object)| Some(id.as_str()) != own_id && text(&object.properties, "VpcId").as_ref() == Some(&vpc))
        .filter_map(|(_, object)| address_range(&text(&object.properties, "CidrBlock")?))
        .any(|(start, end)| first <= end && start <= last);
    if conflicts {
        return Err(Failure::new(
            "AlreadyExists",
            format!("The CIDR '{block}' conflicts with another subnet (Service: Ec2, Status Code: 400)"),
        ));
    }
    Ok(())
}

fn check_group_name(world: &World, order: &Order, own_id: Option<&str>) -> Result<(), Failure> {
    let Some(name) = text(&order.properties, "GroupName") else {
        return Ok(());
    };
    let vpc = text(&order.properties, "VpcId");
    let is_taken = objects(world, &order.place, "AWS::EC2::SecurityGroup").any(|(id, object)| {
        Some(id.as_str()) != own_id
            && text(&object.properties, "GroupName").as_deref() == Some(&name)
            && text(&object.properties, "VpcId") == vpc
    });
    if is_taken {
        let vpc = vpc.unwrap_or_default();
        return Err(Failure::new(
            "AlreadyExists",
            format!("The security group '{name}' already exists for VPC '{vpc}' (Service: Ec2, Status Code: 400)"),
        ));
    }
    Ok(())
}

/// The properties by which EC2 tells rules apart.
const RULE_KEYS: [&str; 8] = [
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "CidrIpv6",
    "SourceSecurityGroupId",
    "DestinationSecurityGroupId",
    "SourcePrefixListId",
];

/// Whether two rules are one to EC2.
pub(crate) fn is_same_rule(left: &Map<String, Value>, right: &Map<String, Value>) -> bool {
    RULE_KEYS.iter().all(|name| text(left, name) == text(right, name))
}

fn check_rule(
    world: &World,
    order: &Order,
    own_id: Option<&str>,
    type_name: &'static str,
    inline: &str,
) -> Result<(), Failure> {
    let group = text(&order.properties, "GroupId");
    let is_rule_of_its_own = objects(world, &order.place, type_name).any(|(id, object)| {
        Some(id.as_str()) != own_id
            && text(&object.properties, "GroupId") == group
            && is_same_rule(&object.properties, &order.properties)
    });
    let is_inline = objects(world, &order.place, "AWS::EC2::SecurityGroup")
        .filter(|(id, _)| Some(*id) == group.as_ref())
        .filter_map(|(_, object)| object.properties.get(inline)?.as_array())
        .flatten()
        .filter_map(Value::as_object)
        .any(|rule| is_same_rule(rule, &order.properties));
    if is_rule_of_its_own || is_inline {
        return Err(Failure::new(
            "AlreadyExists",
            "the specified rule already exists (Service: Ec2, Status Code: 400)",
        ));
    }
    Ok(())
}

/// Ids by their prefix, and EC2's error for one that does not exist.
const KINDS: [(&str, &str, &str); 6] = [
    ("vpc-", "AWS::EC2::VPC", "The vpc ID '{}' does not exist"),
    ("subnet-", "AWS::EC2::Subnet", "The subnet ID '{}' does not exist"),
    ("sg-", "AWS::EC2::SecurityGroup", "The security group '{}' does not exist"),
    ("igw-", "AWS::EC2::InternetGateway", "The internetGateway ID '{}' does not exist"),
    ("rtb-", "AWS::EC2::RouteTable", "The routeTable ID '{}' does not exist"),
    ("nat-", "AWS::EC2::NatGateway", "The natGateway ID '{}' does not exist"),
];

/// Every network id that properties mention must exist.
pub(super) fn check_mentions(world: &World, place: &Place, properties: &Map<String, Value>) -> Result<(), Failure> {
    properties.values().flat_map(texts).try_for_each(|mentioned| {
        let kind = KINDS.iter().find(|(prefix, _, _)| is_id(&mentioned, prefix));
        let Some((_, type_name, message)) = kind else {
            return Ok(());
        };
        let exists =
            super::object(world, place, type_name, &mentioned).is_some() || is_default_group(world, place, &mentioned);
        if exists {
            return Ok(());
        }
        let message = message.replace("{}", &mentioned);
        Err(Failure::new("NotFound", format!("{message} (Service: Ec2, Status Code: 400)")))
    })
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|digits| digits.len() == ID_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_default_group(world: &World, place: &Place, id: &str) -> bool {
    objects(world, place, "AWS::EC2::VPC")
        .any(|(_, vpc)| text(&vpc.attributes, "DefaultSecurityGroup").as_deref() == Some(id))
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(entries) => entries.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        other => plain(other).into_iter().collect(),
    }
}

/// Uses that do not keep EC2 from deleting: they go with the thing, or name it only.
const HARMLESS_USES: [(&str, &str); 8] = [
    ("AWS::EC2::Route", "RouteTableId"),
    ("AWS::EC2::FlowLog", "ResourceId"),
    ("AWS::EC2::SecurityGroupIngress", "GroupId"),
    ("AWS::EC2::SecurityGroupEgress", "GroupId"),
    ("AWS::EC2::SubnetRouteTableAssociation", "SubnetId"),
    ("AWS::RDS::DBSubnetGroup", "SubnetIds"),
    ("AWS::EC2::Route", "GatewayId"),
    ("AWS::EC2::Route", "NatGatewayId"),
];

fn check_unused(world: &World, place: &Place, id: &str) -> Result<(), Failure> {
    let Some(services) = world.services_at(place) else {
        return Ok(());
    };
    let is_used_by = |type_name: &str, own_id: &str, properties: &Map<String, Value>| {
        own_id != id
            && properties.iter().any(|(name, value)| {
                !HARMLESS_USES.contains(&(type_name, name.as_str())) && texts(value).iter().any(|text| text == id)
            })
    };
    let by_objects = services.objects.iter().any(|(type_name, objects)| {
        objects.iter().any(|(own_id, object)| is_used_by(type_name, own_id, &object.properties))
    });
    let by_databases = services
        .rds
        .databases
        .iter()
        .any(|(own_id, database)| is_used_by("AWS::RDS::DBInstance", own_id, &database.model));
    if by_objects || by_databases {
        let message = format!("resource {id} has a dependent object (Service: Ec2, Status Code: 400)");
        return Err(Failure::new("InvalidRequest", format!("DependencyViolation: {message}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_follow_the_regions_short_name() {
        assert_eq!(short_region("ap-southeast-2"), "apse2");
        assert_eq!(short_region("us-east-1"), "use1");
    }

    #[test]
    fn ranges_know_their_ends() {
        assert_eq!(address_range("10.0.1.0/24"), Some((0x0a00_0100, 0x0a00_01ff)));
        assert_eq!(address_range("0.0.0.0/0"), Some((0, u32::MAX)));
        assert_eq!(address_range("10.0.0.0/33"), None);
    }
}
