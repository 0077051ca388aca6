//! Elastic Load Balancing's own API, version 2, to look at: load balancers, target groups, listeners, who is healthy.
//! Classic load balancers have no API here.

use super::auto_scaling::LifecycleState;
use super::paging::page;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::{self, GROUP, LISTENER, LOAD_BALANCER, Object, TARGET_GROUP, text};
use super::wire::Call;
use super::world::{Place, World};
use serde_json::{Value, json};

type Reply = Result<Value, Refusal>;

pub(crate) fn call(world: &World, call: &Call) -> Option<Reply> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    Some(match call.operation.as_str() {
        "DescribeLoadBalancers" => load_balancers(world, place, parameters),
        "DescribeLoadBalancerAttributes" => {
            attributes(world, place, parameters, LOAD_BALANCER, "LoadBalancerArn", "LoadBalancerAttributes")
        }
        "DescribeTargetGroups" => target_groups(world, place, parameters),
        "DescribeTargetGroupAttributes" => {
            attributes(world, place, parameters, TARGET_GROUP, "TargetGroupArn", "TargetGroupAttributes")
        }
        "DescribeListeners" => listeners(world, place, parameters),
        "DescribeTargetHealth" => target_health(world, place, parameters),
        _ => return None,
    })
}

fn paged(world: &World, parameters: Parameters<'_>, list: &str, entries: Vec<Value>) -> Reply {
    let wanted = parameters.number("PageSize").and_then(|size| usize::try_from(size).ok());
    let size = wanted.map_or(world.rules.page_size, |wanted| wanted.min(world.rules.page_size));
    let page = page(entries, parameters.text("Marker"), size)?;
    Ok(json!({ list: page.entries, "NextMarker": page.next }))
}

fn unknown(type_name: &str, id: &str) -> Refusal {
    match type_name {
        LOAD_BALANCER => Refusal::new("LoadBalancerNotFound", format!("One or more load balancers not found: {id}")),
        TARGET_GROUP => Refusal::new("TargetGroupNotFound", "One or more target groups not found"),
        _ => Refusal::new("ListenerNotFound", "One or more listeners not found"),
    }
}

/// Those asked for by ARN or name, or all; one that is not there is an error.
fn asked<'a>(
    world: &'a World,
    place: &Place,
    type_name: &'static str,
    (arns, names): (Vec<String>, Vec<String>),
    name: &'static str,
) -> Result<Vec<(&'a String, &'a Object)>, Refusal> {
    let all: Vec<(&String, &Object)> = resources::objects(world, place, type_name).collect();
    let is = |wanted: &String, (arn, object): &(&String, &Object)| {
        *arn == wanted || text(&object.attributes, name).as_ref() == Some(wanted)
    };
    let wanted: Vec<String> = arns.into_iter().chain(names).collect();
    if let Some(missing) = wanted.iter().find(|wanted| !all.iter().any(|found| is(wanted, found))) {
        return Err(unknown(type_name, missing));
    }
    Ok(all.into_iter().filter(|found| wanted.is_empty() || wanted.iter().any(|wanted| is(wanted, found))).collect())
}

fn load_balancers(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = (parameters.texts("LoadBalancerArns"), parameters.texts("Names"));
    let found = asked(world, place, LOAD_BALANCER, wanted, "LoadBalancerName")?;
    let view = |(arn, balancer): (&String, &Object)| {
        let subnets = balancer.properties.get("Subnets").and_then(Value::as_array).into_iter().flatten();
        let seats: Vec<Value> = subnets
            .filter_map(|subnet| {
                let object = resources::object(world, place, "AWS::EC2::Subnet", subnet.as_str()?)?;
                Some(json!({"ZoneName": object.attributes.get("AvailabilityZone"), "SubnetId": subnet}))
            })
            .collect();
        json!({
            "LoadBalancerArn": arn,
            "DNSName": balancer.attributes.get("DNSName"),
            "CanonicalHostedZoneId": balancer.attributes.get("CanonicalHostedZoneID"),
            "LoadBalancerName": balancer.attributes.get("LoadBalancerName"),
            "Scheme": text(&balancer.properties, "Scheme").unwrap_or_else(|| "internet-facing".to_owned()),
            "Type": text(&balancer.properties, "Type").unwrap_or_else(|| "application".to_owned()),
            "IpAddressType": text(&balancer.properties, "IpAddressType").unwrap_or_else(|| "ipv4".to_owned()),
            "State": {"Code": "active"},
            "SecurityGroups": balancer.properties.get("SecurityGroups").cloned().unwrap_or_else(|| json!([])),
            "AvailabilityZones": seats,
        })
    };
    paged(world, parameters, "LoadBalancers", found.into_iter().map(view).collect())
}

fn attributes(
    world: &World,
    place: &Place,
    parameters: Parameters<'_>,
    type_name: &str,
    key: &str,
    property: &str,
) -> Reply {
    let arn = parameters.required(key)?;
    let object = resources::object(world, place, type_name, arn).ok_or_else(|| unknown(type_name, arn))?;
    Ok(json!({"Attributes": object.properties.get(property).cloned().unwrap_or_else(|| json!([]))}))
}

fn target_groups(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = (parameters.texts("TargetGroupArns"), parameters.texts("Names"));
    let of_balancer = parameters.text("LoadBalancerArn");
    let found = asked(world, place, TARGET_GROUP, wanted, "TargetGroupName")?;
    let view = |(arn, group): (&String, &Object)| {
        let balancers = balancers_of(world, place, arn);
        if of_balancer.is_some_and(|wanted| !balancers.iter().any(|balancer| balancer == wanted)) {
            return None;
        }
        let own = |name: &str| group.properties.get(name).cloned();
        let number = |name: &str, default: u64| {
            text(&group.properties, name).and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        Some(json!({
            "TargetGroupArn": arn,
            "TargetGroupName": group.attributes.get("TargetGroupName"),
            "Protocol": own("Protocol"),
            "Port": number("Port", 0),
            "VpcId": own("VpcId"),
            "TargetType": text(&group.properties, "TargetType").unwrap_or_else(|| "instance".to_owned()),
            "HealthCheckEnabled": true,
            "HealthCheckProtocol": own("HealthCheckProtocol").unwrap_or_else(|| "HTTP".into()),
            "HealthCheckPath": own("HealthCheckPath"),
            "HealthCheckPort": text(&group.properties, "HealthCheckPort").unwrap_or_else(|| "traffic-port".to_owned()),
            "HealthCheckIntervalSeconds": number("HealthCheckIntervalSeconds", 30),
            "HealthCheckTimeoutSeconds": number("HealthCheckTimeoutSeconds", 5),
            "HealthyThresholdCount": number("HealthyThresholdCount", 5),
            "UnhealthyThresholdCount": number("UnhealthyThresholdCount", 2),
            "Matcher": own("Matcher"),
            "LoadBalancerArns": balancers,
        }))
    };
    paged(world, parameters, "TargetGroups", found.into_iter().filter_map(view).collect())
}

/// The load balancers whose listeners lead to a target group.
fn balancers_of(world: &World, place: &Place, target_group: &str) -> Vec<String> {
    let leads = |listener: &Object| {
        let mut mentioned = Vec::new();
        resources::target_groups(&Value::Object(listener.properties.clone()), &mut mentioned);
        mentioned.iter().any(|arn| arn == target_group)
    };
    let listeners = resources::objects(world, place, LISTENER).filter(|(_, listener)| leads(listener));
    let mut balancers: Vec<String> =
        listeners.filter_map(|(_, listener)| text(&listener.properties, "LoadBalancerArn")).collect();
    balancers.sort();
    balancers.dedup();
    balancers
}

fn listeners(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let balancer = parameters.text("LoadBalancerArn");
    if let Some(arn) = balancer.filter(|arn| resources::object(world, place, LOAD_BALANCER, arn).is_none()) {
        return Err(unknown(LOAD_BALANCER, arn));
    }
    let found = asked(world, place, LISTENER, (parameters.texts("ListenerArns"), Vec::new()), "ListenerArn")?;
    let of_balancer = |listener: &Object| {
        balancer.is_none_or(|balancer| text(&listener.properties, "LoadBalancerArn").as_deref() == Some(balancer))
    };
    let view = |(arn, listener): (&String, &Object)| {
        let own = |name: &str| listener.properties.get(name).cloned();
        json!({
            "ListenerArn": arn,
            "LoadBalancerArn": own("LoadBalancerArn"),
            "Port": text(&listener.properties, "Port").and_then(|port| port.parse::<u64>().ok()),
            "Protocol": own("Protocol"),
            "SslPolicy": own("SslPolicy"),
            "Certificates": own("Certificates").unwrap_or_else(|| json!([])),
            "DefaultActions": own("DefaultActions").unwrap_or_else(|| json!([])),
        })
    };
    let views = found.into_iter().filter(|(_, listener)| of_balancer(listener)).map(view).collect();
    paged(world, parameters, "Listeners", views)
}

/// Instances of the groups that register with a target group: healthy once they have told that they are up.
fn target_health(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let arn = parameters.required("TargetGroupArn")?;
    let group = resources::object(world, place, TARGET_GROUP, arn).ok_or_else(|| unknown(TARGET_GROUP, arn))?;
    let port = text(&group.properties, "Port").and_then(|port| port.parse::<u64>().ok());
    let registers = |object: &Object| {
        let arns = object.properties.get("TargetGroupARNs").and_then(Value::as_array);
        arns.into_iter().flatten().any(|known| known.as_str() == Some(arn))
    };
    let mut targets = Vec::new();
    for (name, _) in resources::objects(world, place, GROUP).filter(|(_, object)| registers(object)) {
        let life = world.services_at(place).and_then(|services| services.auto_scaling.groups.get(name));
        for (id, member) in life.into_iter().flat_map(|life| &life.members) {
            let health = match (member.state, member.has_signalled) {
                (LifecycleState::Terminating, _) => {
                    json!({"State": "draining", "Reason": "Target.DeregistrationInProgress"})
                }
                (LifecycleState::Pending, _) => json!({"State": "initial", "Reason": "Elb.RegistrationInProgress"}),
                (LifecycleState::InService, true) => json!({"State": "healthy"}),
                (LifecycleState::InService, false) => {
                    json!({"State": "unhealthy", "Reason": "Target.FailedHealthChecks"})
                }
            };
            targets.push(json!({"Target": {"Id": id, "Port": port}, "TargetHealth": health}));
        }
    }
    Ok(json!({"TargetHealthDescriptions": targets}))
}
