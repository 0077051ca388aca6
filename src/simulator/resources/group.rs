//! `AWS::AutoScaling::AutoScalingGroup` as CloudFormation treats it: done when the desired number of instances is in
//! service and has signalled, rolled batch by batch where the template has an `UpdatePolicy`, and left alone where it has
//! none: then a new launch template version touches no running instance (User Guide, "`UpdatePolicy` attribute").

use super::compute::{GROUP, launch_of};
use super::modelled::named;
use super::{
    Begun, Doing, Failure, Farewell, Object, Order, ResourceType, Settled, balancing, network, object, object_mut, text,
};
use crate::simulator::auto_scaling::{self, Life, LifecycleState, Rolling, Wait, desired, is_of, size};
use crate::simulator::moment::Moment;
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value};

pub(super) struct Group;

/// How often CloudFormation looks, in virtual seconds. Invented.
const SECONDS_BETWEEN_LOOKS: u64 = 15;

/// A group whose instances do not come is given up after so many virtual seconds. Invented.
const PATIENCE_SECONDS: u64 = 900;

/// How long signals are waited for where the template does not say (User Guide, `CreationPolicy` and `UpdatePolicy`).
const SIGNAL_SECONDS: u64 = 300;

impl ResourceType for Group {
    fn create(&self, world: &mut World, order: &Order) -> Result<Begun, Failure> {
        let place = &order.place;
        check(world, order)?;
        let id = named(&mut world.identifiers, order, "AutoScalingGroupName");
        if object(world, place, GROUP, &id).is_some() {
            let message = format!("{id} already exists (Service: AutoScaling, Status Code: 400)");
            return Err(Failure::new("AlreadyExists", message));
        }
        let arn = format!("autoScalingGroup:{}:autoScalingGroupName/{id}", world.identifiers.uuid());
        let attributes = Map::from_iter([("AutoScalingGroupARN".to_owned(), place.arn("autoscaling", &arn).into())]);
        let object =
            Object { properties: order.properties.clone(), attributes, stack_id: Some(order.stack_id.clone()) };
        let now = world.now();
        let services = world.services(place);
        services.objects.entry(GROUP.to_owned()).or_default().insert(id.clone(), object);
        let life = Life {
            created: now,
            stack_name: order.stack_name.clone(),
            logical_id: order.logical_id.clone(),
            members: std::collections::BTreeMap::new(),
            activities: Vec::new(),
            suspended: std::collections::BTreeSet::new(),
            surge: 0,
            is_ending: false,
            trouble: None,
            wait: Wait {
                signals: signals(order, now),
                until: Some(now.after_seconds(PATIENCE_SECONDS)),
                rolling: None,
            },
        };
        services.auto_scaling.groups.insert(id.clone(), life);
        auto_scaling::reconcile(world, place, &id);
        Ok(Begun { id, seconds: SECONDS_BETWEEN_LOOKS })
    }

    fn update(&self, world: &mut World, order: &Order, id: &str, _: &Map<String, Value>) -> Result<u64, Failure> {
        let place = &order.place;
        check(world, order)?;
        let Some(object) = object_mut(world, place, GROUP, id) else {
            return Err(Failure::new(
                "NotFound",
                format!("AutoScalingGroup name not found - AutoScalingGroup '{id}' not found"),
            ));
        };
        // Scaling owns the number where the template does not say it.
        let running = object.properties.get("DesiredCapacity").cloned();
        object.properties.clone_from(&order.properties);
        if !order.properties.contains_key("DesiredCapacity")
            && let Some(running) = running
        {
            object.properties.insert("DesiredCapacity".to_owned(), running);
        }
        let (least, most) = (size(&object.properties, "MinSize"), size(&object.properties, "MaxSize"));
        let wanted = desired(&object.properties).clamp(least, most);
        if object.properties.contains_key("DesiredCapacity") {
            object.properties.insert("DesiredCapacity".to_owned(), wanted.to_string().into());
        }
        let now = world.now();
        if let Some(life) = auto_scaling::life_mut(world, place, id) {
            life.wait =
                Wait { signals: None, until: Some(now.after_seconds(PATIENCE_SECONDS)), rolling: rolling(order) };
        }
        auto_scaling::reconcile(world, place, id);
        Ok(SECONDS_BETWEEN_LOOKS)
    }

    fn delete(&self, world: &mut World, place: &Place, id: &str, _: Farewell) -> Result<u64, Failure> {
        let Some(life) = auto_scaling::life_mut(world, place, id) else { return Ok(0) };
        // It is gone once its instances are; until then the engine comes back.
        if life.is_ending && life.members.is_empty() {
            super::vanish(world, place, GROUP, id);
            return Ok(0);
        }
        life.is_ending = true;
        auto_scaling::reconcile(world, place, id);
        Ok(SECONDS_BETWEEN_LOOKS)
    }

    fn read(&self, world: &World, place: &Place, id: &str) -> Option<Map<String, Value>> {
        object(world, place, GROUP, id).map(|object| object.properties.clone())
    }

    fn attribute(&self, world: &World, place: &Place, id: &str, name: &str) -> Option<Value> {
        let object = object(world, place, GROUP, id)?;
        object.attributes.get(name).or_else(|| object.properties.get(name)).cloned()
    }

    fn settle(&self, world: &mut World, place: &Place, id: &str, _: Doing) -> Settled {
        let properties = object(world, place, GROUP, id).map(|object| object.properties.clone());
        let (Some(properties), Some(life)) = (properties, auto_scaling::life(world, place, id)) else {
            return Settled::Failed(Failure::new("NotFound", format!("AutoScalingGroup '{id}' not found")));
        };
        settle(world, place, id, &properties, &life.clone())
    }
}

fn settle(world: &mut World, place: &Place, id: &str, properties: &Map<String, Value>, life: &Life) -> Settled {
    let now = world.now();
    let again = Settled::After(SECONDS_BETWEEN_LOOKS);
    let in_service = count(life.in_service());
    let is_moving = life.members.values().any(|member| member.state != LifecycleState::InService);
    if in_service < desired(properties) || is_moving {
        let is_over = life.wait.until.is_some_and(|until| now >= until);
        return if is_over && in_service < desired(properties) {
            Settled::Failed(not_stable(life, properties))
        } else {
            again
        };
    }
    if let Some((wanted, until)) = life.wait.signals {
        let come = count(life.members.iter().filter(|(_, member)| member.has_signalled));
        if come < wanted {
            return if now >= until { Settled::Failed(unheard(come, wanted)) } else { again };
        }
    }
    match &life.wait.rolling {
        None => Settled::Ready,
        Some(rolling) => roll(world, place, id, properties, life, rolling),
    }
}

/// The next batch of a rolling update, once the last one is up.
fn roll(
    world: &mut World,
    place: &Place,
    id: &str,
    properties: &Map<String, Value>,
    life: &Life,
    rolling: &Rolling,
) -> Settled {
    let again = Settled::After(SECONDS_BETWEEN_LOOKS);
    let Ok(wanted) = launch_of(world, place, properties) else { return Settled::Ready };
    let now = world.now();
    let is_new = |member: &auto_scaling::Member| is_of(member, &wanted);
    let silent = count(life.in_service().filter(|(_, member)| is_new(member) && !member.has_signalled));
    if rolling.waits_for_signals && silent > 0 {
        let is_over = rolling.deadline.is_some_and(|deadline| now >= deadline);
        return if is_over { Settled::Failed(unheard(0, silent)) } else { again };
    }
    let mut old: Vec<(u64, String)> = life
        .in_service()
        .filter(|(_, member)| !is_new(member))
        .map(|(id, member)| (member.number, id.clone()))
        .collect();
    old.sort();
    if old.is_empty() {
        if let Some(life) = auto_scaling::life_mut(world, place, id) {
            (life.surge, life.wait.rolling) = (0, None);
        }
        auto_scaling::reconcile(world, place, id);
        return again;
    }
    let spare = count(life.in_service()).saturating_sub(rolling.min_in_service);
    let batch = spare.min(rolling.batch);
    let can_grow = desired(properties) + life.surge < size(properties, "MaxSize");
    if let Some(life) = auto_scaling::life_mut(world, place, id) {
        life.wait.until = Some(now.after_seconds(PATIENCE_SECONDS));
        if let Some(rolling) = &mut life.wait.rolling {
            // A batch can signal only once the old instances are gone and its own are launched.
            rolling.deadline = Some(now.after_seconds(rolling.pause_seconds + PATIENCE_SECONDS));
        }
        if batch == 0 && can_grow {
            life.surge += 1;
        }
    }
    if batch == 0 && can_grow {
        auto_scaling::reconcile(world, place, id);
        return again;
    }
    let batch = usize::try_from(batch.max(1)).unwrap_or(1);
    for (_, instance) in old.into_iter().take(batch) {
        auto_scaling::end(world, place, id, &instance, "an instance was taken out of service by a rolling update");
    }
    again
}

fn count<T>(all: impl Iterator<Item = T>) -> u64 {
    u64::try_from(all.count()).unwrap_or(u64::MAX)
}

fn not_stable(life: &Life, properties: &Map<String, Value>) -> Failure {
    let (least, wanted) = (size(properties, "MinSize"), desired(properties));
    let there = count(life.in_service());
    let why = life.trouble.as_ref().map(|trouble| format!(" Failed Scaling Activity: {trouble}")).unwrap_or_default();
    let message =
        format!("Group did not stabilize. {{current/minSize/maxSize}} group size = {{{there}/{least}/{wanted}}}.{why}");
    Failure::new("NotStabilized", message)
}

/// CloudFormation says this itself, not a handler.
fn unheard(come: u64, wanted: u64) -> Failure {
    let message = format!(
        "Received {come} SUCCESS signal(s) out of {wanted}.  Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"
    );
    Failure::new(Failure::CLOUDFORMATION, message)
}

/// What is wrong with an order, in Auto Scaling's words.
fn check(world: &World, order: &Order) -> Result<(), Failure> {
    network::check_mentions(world, &order.place, &order.properties)?;
    let properties = &order.properties;
    let refused = |message: String| {
        Err(Failure::new("InvalidRequest", format!("{message} (Service: AutoScaling, Status Code: 400)")))
    };
    let (least, most) = (size(properties, "MinSize"), size(properties, "MaxSize"));
    if least > most {
        return refused("Min size must be less than or equal to max size".to_owned());
    }
    let wanted = text(properties, "DesiredCapacity").and_then(|text| text.parse::<u64>().ok());
    if let Some(wanted) = wanted.filter(|wanted| !(least..=most).contains(wanted)) {
        return refused(format!(
            "Desired capacity:{wanted} must be between the specified min size:{least} and max size:{most}"
        ));
    }
    let has_none = |name: &str| properties.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty);
    if has_none("VPCZoneIdentifier") && has_none("AvailabilityZones") {
        return refused("At least one Availability Zone or VPC Subnet is required.".to_owned());
    }
    if text(properties, "LaunchConfigurationName").is_some() {
        return refused("The Launch Configuration creation operation is not available in your account. Use launch templates to create configuration templates for your Auto Scaling groups.".to_owned());
    }
    if order.update_policy.as_ref().is_some_and(|policy| policy.get("AutoScalingReplacingUpdate").is_some()) {
        return refused("the local cloud does not know AutoScalingReplacingUpdate".to_owned());
    }
    launch_of(world, &order.place, properties)?;
    balancing::check_registrations(world, &order.place, properties)
}

/// How many signals a creation waits for, and until when.
fn signals(order: &Order, now: Moment) -> Option<(u64, Moment)> {
    let signal = order.creation_policy.as_ref()?.get("ResourceSignal")?.as_object()?;
    let wanted = text(signal, "Count").and_then(|text| text.parse().ok()).unwrap_or(1);
    let seconds = text(signal, "Timeout").and_then(|text| seconds_of(&text)).unwrap_or(SIGNAL_SECONDS);
    Some((wanted, now.after_seconds(seconds)))
}

fn rolling(order: &Order) -> Option<Rolling> {
    let policy = order.update_policy.as_ref()?.get("AutoScalingRollingUpdate")?.as_object()?;
    let number = |name: &str| text(policy, name).and_then(|text| text.parse::<u64>().ok());
    Some(Rolling {
        min_in_service: number("MinInstancesInService").unwrap_or(0),
        batch: number("MaxBatchSize").unwrap_or(1).max(1),
        waits_for_signals: text(policy, "WaitOnResourceSignals").as_deref() == Some("true"),
        pause_seconds: text(policy, "PauseTime").and_then(|text| seconds_of(&text)).unwrap_or(SIGNAL_SECONDS),
        deadline: None,
    })
}

/// `PT1H30M` (ISO 8601) in seconds.
fn seconds_of(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix("PT")?;
    let mut seconds = 0;
    for (unit, length) in [('H', 3_600), ('M', 60), ('S', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds += number.parse::<u64>().ok()?.checked_mul(length)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_iso_8601_writes_them() {
        assert_eq!(
            ["PT15M", "PT1H", "PT1H0M30S", "PT"].map(seconds_of),
            [Some(900), Some(3_600), Some(3_630), Some(0)]
        );
        assert_eq!(["15M", "PT15", "P1D"].map(seconds_of), [None, None, None]);
    }
}
