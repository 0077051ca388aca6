//! `/_sim/…`: what tests and people may do to the local cloud that nobody may do to AWS. The underscore is illegal in
//! bucket names, so these paths never meet an S3 request.

use super::cloudformation::{self, StackStatus};
use super::cloudtrail::{self, Caller};
use super::faults::Faults;
use super::moment::Moment;
use super::resources::{self, Doing};
use super::wire::{Answer, Request};
use super::world::{Place, World};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(crate) fn answer(world: &mut World, path: &str, request: &Request) -> Answer {
    let reply = match path {
        "reset" => {
            world.reset();
            Ok(json!({}))
        }
        "advance" => advance(world, &request.body),
        "state" => serde_json::to_value(&*world).map_err(|error| error.to_string()),
        "faults" => plan_faults(world, &request.body),
        "fired" => Ok(json!(world.faults.fired)),
        "journal" => Ok(json!(world.journal)),
        "touch" => touch(world, &request.body),
        "pose" => pose(world, &request.body),
        "stand" => stand(world, &request.body),
        "health" => Ok(json!({"now": world.now().to_string()})),
        _ => Err(format!(
            "`/_sim/{path}` is not known: reset, advance, state, faults, fired, journal, touch, pose, stand, health are"
        )),
    };
    match reply {
        Ok(value) => Answer::new(200, "application/json", value.to_string()),
        Err(message) => Answer::new(400, "application/json", json!({"error": message}).to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    /// Virtual seconds; without it, time goes on until nothing is under way.
    seconds: Option<u64>,
}

fn advance(world: &mut World, body: &[u8]) -> Result<Value, String> {
    /// No honest operation takes so many transitions: a world that needs more is stuck in a circle.
    const TRANSITIONS_MAX: usize = 100_000;
    let wanted: Advance = read(body)?;
    match wanted.seconds {
        Some(seconds) => {
            let to = Moment(world.now().0).after_seconds(seconds);
            world.advance(to);
        }
        None if !world.come_to_rest(TRANSITIONS_MAX) => {
            return Err("the world does not come to rest".to_owned());
        }
        None => {}
    }
    world.mark_changed();
    Ok(json!({"now": world.now().to_string()}))
}

fn plan_faults(world: &mut World, body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    world.plan_faults(Faults::plan(text)?);
    world.mark_changed();
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Touch {
    account: String,
    region: String,
    stack: String,
    logical_id: String,
    /// Properties to set; null removes one.
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    delete: bool,
    /// `ROLE/SESSION` of whoever does it, for CloudTrail to tell.
    by: Option<String>,
}

/// Changes or deletes a resource behind CloudFormation's back.
fn touch(world: &mut World, body: &[u8]) -> Result<Value, String> {
    let wanted: Touch = read(body)?;
    let place = Place::new(&wanted.account, &wanted.region);
    let services = world.services_at(&place).ok_or("there is nothing in this account and Region")?;
    let stack = services.cloudformation.live_stack(&wanted.stack).ok_or("no such stack")?;
    let resource = stack.resources.get(&wanted.logical_id).ok_or("no such resource")?;
    let (type_name, id) = (resource.type_name.clone(), resource.physical_id.clone().unwrap_or_default());
    if wanted.delete {
        resources::vanish(world, &place, &type_name, &id);
    } else {
        resources::tamper(world, &place, &type_name, &id, &wanted.set)?;
    }
    if let Some(by) = wanted.by {
        let doing = if wanted.delete { Doing::Delete } else { Doing::Update };
        cloudtrail::remember_work(world, &place, (&type_name, &id), doing, (Caller::Role(by), &wanted.set));
    }
    world.mark_changed();
    Ok(json!({"type": type_name, "physical_id": id}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pose {
    account: String,
    region: String,
    stack: String,
    status: StackStatus,
    reason: Option<String>,
}

/// Puts a stack into a status that nothing here leads to: imports are not modelled, and their ends have to be rehearsed too.
fn pose(world: &mut World, body: &[u8]) -> Result<Value, String> {
    let wanted: Pose = read(body)?;
    let place = Place::new(&wanted.account, &wanted.region);
    let services = world.services_at(&place).ok_or("there is nothing in this account and Region")?;
    let id = services.cloudformation.live_stack(&wanted.stack).ok_or("no such stack")?.id.clone();
    cloudformation::pose(world, &place, &id, wanted.status, wanted.reason.as_deref());
    world.mark_changed();
    Ok(json!({"stack_id": id}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stand {
    account: String,
    region: String,
    /// Ids of VPCs and subnets; others are left aside.
    ids: Vec<String>,
}

/// Networks that stood there before anybody looked, under the ids by which files name them. The subnets are in the first VPC, in
/// zones in turn.
fn stand(world: &mut World, body: &[u8]) -> Result<Value, String> {
    let wanted: Stand = read(body)?;
    let place = Place::new(&wanted.account, &wanted.region);
    let with = |prefix: &'static str| wanted.ids.iter().filter(move |id| id.starts_with(prefix));
    let mut new = 0;
    let mut vpcs: Vec<&String> = with("vpc-").collect();
    let own = "vpc-00000000000000000".to_owned();
    if vpcs.is_empty() {
        vpcs.push(&own);
    }
    for vpc in &vpcs {
        let properties = Map::from_iter([("CidrBlock".to_owned(), json!("10.254.0.0/16"))]);
        new += u64::from(resources::put(world, &place, "AWS::EC2::VPC", vpc, properties, Map::new()));
    }
    for (number, subnet) in with("subnet-").enumerate() {
        let zone = ["a", "b", "c"][number % 3];
        let properties = Map::from_iter([
            ("VpcId".to_owned(), json!(vpcs[0])),
            ("CidrBlock".to_owned(), json!(format!("10.254.{}.0/24", number % 256))),
        ]);
        let zone = Map::from_iter([("AvailabilityZone".to_owned(), json!(format!("{}{zone}", wanted.region)))]);
        new += u64::from(resources::put(world, &place, "AWS::EC2::Subnet", subnet, properties, zone));
    }
    if new > 0 {
        world.mark_changed();
    }
    Ok(json!({"new": new}))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| error.to_string())
}
