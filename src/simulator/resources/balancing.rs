//! Elastic Load Balancing: load balancers of both generations, target groups, listeners and their rules. What a listener
//! or a group mentions must exist; a load balancer that writes logs must be let into the bucket.

use super::modelled::Modelled;
use super::{Failure, Order, object, objects, says, text};
use crate::simulator::identifiers::Identifiers;
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value};

pub(crate) const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
pub(crate) const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
pub(crate) const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const BUCKET: &str = "AWS::S3::Bucket";

/// Names of load balancers and target groups (API Reference, `CreateLoadBalancer`, `CreateTargetGroup`).
const NAME_LETTERS_MAX: usize = 32;

/// Digits at the end of the ARNs.
const ID_DIGITS: usize = 16;

pub(super) static TYPES: &[Modelled] = &[
    Modelled {
        attributes: |identifiers, order, id| {
            let full = id.split_once(":loadbalancer/").map_or("", |(_, full)| full);
            let name = full.split('/').nth(1).unwrap_or_default();
            let inside = if is_internal(order) { "internal-" } else { "" };
            let number = 100_000_000 + identifiers.below(900_000_000);
            vec![
                ("LoadBalancerArn", id.into()),
                ("LoadBalancerFullName", full.into()),
                ("LoadBalancerName", name.into()),
                ("DNSName", format!("{inside}{name}-{number}.{}.elb.amazonaws.com", order.place.region).into()),
                ("CanonicalHostedZoneID", "Z1GM3OXH4ZEXAMPLE".into()),
            ]
        },
        check: check_load_balancer,
        ..Modelled::plain(LOAD_BALANCER, 150, |identifiers, order| {
            let kind = match text(&order.properties, "Type").as_deref() {
                Some("network") => "net",
                Some("gateway") => "gwy",
                _ => "app",
            };
            arn(identifiers, order, &format!("loadbalancer/{kind}"))
        })
    },
    Modelled {
        attributes: |_, _, id| {
            let full = id.rsplit(':').next().unwrap_or_default();
            let name = full.split('/').nth(1).unwrap_or_default();
            vec![("TargetGroupArn", id.into()), ("TargetGroupFullName", full.into()), ("TargetGroupName", name.into())]
        },
        check: |world, order, own_id| check_name(world, order, own_id, TARGET_GROUP),
        check_delete: |world, place, id| {
            let is_used = [LISTENER, RULE].iter().any(|type_name| {
                objects(world, place, type_name).any(|(_, object)| says(&Value::Object(object.properties.clone()), id))
            });
            if is_used {
                let message = format!("Target group '{id}' is currently in use by a listener or a rule");
                return Err(Failure::new(
                    "ResourceConflict",
                    format!("{message} (Service: ElasticLoadBalancingV2, Status Code: 400)"),
                ));
            }
            Ok(())
        },
        ..Modelled::plain(TARGET_GROUP, 15, |identifiers, order| arn(identifiers, order, "targetgroup"))
    },
    Modelled {
        attributes: |_, _, id| vec![("ListenerArn", id.into())],
        check: check_listener,
        ..Modelled::plain(LISTENER, 5, |identifiers, order| {
            let balancer = text(&order.properties, "LoadBalancerArn").unwrap_or_default();
            format!("{}/{}", balancer.replace(":loadbalancer/", ":listener/"), identifiers.hex(ID_DIGITS))
        })
    },
    Modelled {
        attributes: |_, _, id| vec![("RuleArn", id.into()), ("IsDefault", false.into())],
        check: |world, order, own_id| {
            let listener = text(&order.properties, "ListenerArn").unwrap_or_default();
            must_exist(world, order, LISTENER, &listener, "Listener")?;
            check_targets(world, order, "Actions")?;
            let priority = text(&order.properties, "Priority");
            let is_taken = objects(world, &order.place, RULE).any(|(id, rule)| {
                Some(id.as_str()) != own_id
                    && text(&rule.properties, "ListenerArn").as_deref() == Some(&listener)
                    && text(&rule.properties, "Priority") == priority
            });
            if is_taken {
                let priority = priority.unwrap_or_default();
                let message = format!("Priority '{priority}' is currently in use");
                return Err(Failure::new(
                    "AlreadyExists",
                    format!("{message} (Service: ElasticLoadBalancingV2, Status Code: 400)"),
                ));
            }
            Ok(())
        },
        ..Modelled::plain(RULE, 5, |identifiers, order| {
            let listener = text(&order.properties, "ListenerArn").unwrap_or_default();
            format!("{}/{}", listener.replace(":listener/", ":listener-rule/"), identifiers.hex(ID_DIGITS))
        })
    },
    Modelled {
        attributes: |identifiers, order, id| {
            let inside = if is_internal(order) { "internal-" } else { "" };
            let number = 100_000_000 + identifiers.below(900_000_000);
            let name = format!("{inside}{id}-{number}.{}.elb.amazonaws.com", order.place.region);
            vec![
                ("DNSName", name.clone().into()),
                ("CanonicalHostedZoneName", name.into()),
                ("CanonicalHostedZoneNameID", "Z1GM3OXH4ZEXAMPLE".into()),
            ]
        },
        ..Modelled::plain("AWS::ElasticLoadBalancing::LoadBalancer", 60, |identifiers, order| {
            short_name(identifiers, order, "LoadBalancerName")
        })
    },
];

fn is_internal(order: &Order) -> bool {
    text(&order.properties, "Scheme").as_deref() == Some("internal")
}

/// A name from the property `Name`, or one made up, within the limit.
fn short_name(identifiers: &mut Identifiers, order: &Order, property: &str) -> String {
    text(&order.properties, property).unwrap_or_else(|| {
        let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
        // Underscores and a trailing hyphen are not taken in names.
        let stack = cut(&order.stack_name, 10);
        let stack = stack.trim_end_matches('-').replace('_', "-");
        format!("{stack}-{}-{}", cut(&order.logical_id, 7), identifiers.suffix(12))
    })
}

fn arn(identifiers: &mut Identifiers, order: &Order, kind: &str) -> String {
    let name = short_name(identifiers, order, "Name");
    order.place.arn("elasticloadbalancing", &format!("{kind}/{name}/{}", identifiers.hex(ID_DIGITS)))
}

fn refused(code: &'static str, message: &str) -> Failure {
    Failure::new(code, format!("{message} (Service: ElasticLoadBalancingV2, Status Code: 400)"))
}

fn check_name(world: &World, order: &Order, own_id: Option<&str>, type_name: &'static str) -> Result<(), Failure> {
    let Some(name) = text(&order.properties, "Name") else { return Ok(()) };
    let is_valid = name.len() <= NAME_LETTERS_MAX
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_valid {
        return Err(refused("InvalidRequest", &format!("The name '{name}' is not valid")));
    }
    let is_taken = objects(world, &order.place, type_name)
        .any(|(id, object)| Some(id.as_str()) != own_id && text(&object.properties, "Name").as_deref() == Some(&name));
    if is_taken {
        return Err(refused("AlreadyExists", &format!("A resource with the name '{name}' already exists")));
    }
    Ok(())
}

/// The zones of its subnets must differ, and its logs must be taken.
fn check_load_balancer(world: &World, order: &Order, own_id: Option<&str>) -> Result<(), Failure> {
    check_name(world, order, own_id, LOAD_BALANCER)?;
    let subnets = order.properties.get("Subnets").and_then(Value::as_array).into_iter().flatten();
    let zones: Vec<String> = subnets
        .filter_map(|subnet| object(world, &order.place, "AWS::EC2::Subnet", subnet.as_str()?))
        .filter_map(|subnet| text(&subnet.attributes, "AvailabilityZone"))
        .collect();
    let is_application = text(&order.properties, "Type").is_none_or(|kind| kind == "application");
    let has_repeated = zones.iter().enumerate().any(|(position, zone)| zones[..position].contains(zone));
    if has_repeated {
        return Err(refused(
            "InvalidRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        ));
    }
    if is_application && zones.len() == 1 {
        return Err(refused(
            "InvalidRequest",
            "At least two subnets in two different Availability Zones must be specified",
        ));
    }
    check_log_bucket(world, order)
}

/// An attribute of a load balancer or target group.
fn attribute(properties: &Map<String, Value>, list: &str, key: &str) -> Option<String> {
    let attributes = properties.get(list)?.as_array()?;
    let found =
        attributes.iter().filter_map(Value::as_object).find(|entry| text(entry, "Key").as_deref() == Some(key))?;
    text(found, "Value")
}

/// Turning access logs on writes a test object: the bucket must be there, and its policy must let the service write
/// (User Guide for Application Load Balancers, "Enable access logs"). Which prefix it lets in is not looked at.
fn check_log_bucket(world: &World, order: &Order) -> Result<(), Failure> {
    let of = |key: &str| attribute(&order.properties, "LoadBalancerAttributes", key);
    if of("access_logs.s3.enabled").as_deref() != Some("true") {
        return Ok(());
    }
    let bucket = of("access_logs.s3.bucket").unwrap_or_default();
    let denied =
        || refused("InvalidRequest", &format!("Access Denied for bucket: {bucket}. Please check S3bucket permission"));
    if object(world, &order.place, BUCKET, &bucket).is_none() {
        return Err(refused("InvalidRequest", &format!("S3 bucket {bucket} does not exist")));
    }
    let policy = object(world, &order.place, "AWS::S3::BucketPolicy", &bucket).ok_or_else(denied)?;
    let statements = policy.properties.get("PolicyDocument").and_then(|document| document.get("Statement"));
    let lets_in = |statement: &Value| {
        statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && (says(statement, "s3:PutObject") || says(statement, "s3:*"))
            && is_delivery(statement.get("Principal").unwrap_or(&Value::Null))
    };
    let all = statements.and_then(Value::as_array).into_iter().flatten();
    if all.into_iter().any(lets_in) { Ok(()) } else { Err(denied()) }
}

/// The service principal, or in older policies the account of the Region's load balancers.
fn is_delivery(principal: &Value) -> bool {
    match principal {
        Value::String(text) => {
            text == "*"
                || text.starts_with("logdelivery.elasticloadbalancing.")
                || text == "delivery.logs.amazonaws.com"
                || text.ends_with(":root")
        }
        Value::Array(entries) => entries.iter().any(is_delivery),
        Value::Object(members) => members.values().any(is_delivery),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn check_listener(world: &World, order: &Order, own_id: Option<&str>) -> Result<(), Failure> {
    let balancer = text(&order.properties, "LoadBalancerArn").unwrap_or_default();
    must_exist(world, order, LOAD_BALANCER, &balancer, "Load balancer")?;
    check_targets(world, order, "DefaultActions")?;
    let port = text(&order.properties, "Port");
    let is_taken = objects(world, &order.place, LISTENER).any(|(id, listener)| {
        Some(id.as_str()) != own_id
            && text(&listener.properties, "LoadBalancerArn").as_deref() == Some(&balancer)
            && text(&listener.properties, "Port") == port
    });
    if is_taken {
        return Err(refused("AlreadyExists", "A listener already exists on this port for this load balancer"));
    }
    let is_encrypted = matches!(text(&order.properties, "Protocol").as_deref(), Some("HTTPS" | "TLS"));
    let certificates = order.properties.get("Certificates").and_then(Value::as_array);
    if is_encrypted && certificates.is_none_or(Vec::is_empty) {
        return Err(refused("InvalidRequest", "A certificate must be specified for HTTPS listeners"));
    }
    Ok(())
}

/// Every target group that actions mention must exist.
fn check_targets(world: &World, order: &Order, list: &str) -> Result<(), Failure> {
    let mut mentioned = Vec::new();
    target_groups(order.properties.get(list).unwrap_or(&Value::Null), &mut mentioned);
    mentioned.iter().try_for_each(|arn| must_exist(world, order, TARGET_GROUP, arn, "Target group"))
}

/// Every `TargetGroupArn` in a tree.
pub(crate) fn target_groups(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(text(members, "TargetGroupArn"));
            members.values().for_each(|member| target_groups(member, found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| target_groups(entry, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn must_exist(world: &World, order: &Order, type_name: &str, id: &str, noun: &str) -> Result<(), Failure> {
    if object(world, &order.place, type_name, id).is_some() {
        return Ok(());
    }
    Err(refused("NotFound", &format!("{noun} '{id}' not found")))
}

/// Checks that target groups and load balancers which a group registers with are there.
pub(super) fn check_registrations(
    world: &World,
    place: &Place,
    properties: &Map<String, Value>,
) -> Result<(), Failure> {
    let named =
        |list: &str| properties.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let missing = named("TargetGroupARNs").find(|arn| object(world, place, TARGET_GROUP, arn).is_none());
    let message = missing.map(|arn| format!("Target group '{arn}' not found"));
    let classic = || {
        named("LoadBalancerNames")
            .find(|name| object(world, place, "AWS::ElasticLoadBalancing::LoadBalancer", name).is_none())
    };
    let message = message.or_else(|| classic().map(|name| format!("Load balancer '{name}' not found")));
    message.map_or(Ok(()), |message| {
        Err(Failure::new("InvalidRequest", format!("{message} (Service: AutoScaling, Status Code: 400)")))
    })
}
