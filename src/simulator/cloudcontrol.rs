//! Cloud Control: every resource type by the same four verbs, for hands from outside that change what a stack made. What it does is
//! done at once, so that no request need be followed.

use super::cloudtrail::{self, Caller};
use super::facts;
use super::identifiers::{hex_digest, uuid_from};
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::resources::{self, Doing, ResourceType};
use super::wire::Call;
use super::world::World;
use json_patch::Patch;
use serde_json::{Map, Value, json};

pub(crate) fn call(world: &mut World, call: &Call) -> Option<Result<Value, Refusal>> {
    match call.operation.as_str() {
        "GetResource" => Some(get(world, call)),
        "UpdateResource" => Some(update(world, call)),
        "DeleteResource" => Some(delete(world, call)),
        _ => None,
    }
}

/// A resource that is there.
struct Found<'a> {
    kind: &'a str,
    id: &'a str,
    model: Map<String, Value>,
}

fn find<'a>(world: &World, call: &'a Call) -> Result<Found<'a>, Refusal> {
    let parameters = Parameters(&call.parameters);
    let (kind, id) = (parameters.required("TypeName")?, parameters.required("Identifier")?);
    let unknown = || Refusal::new("TypeNotFoundException", format!("The type {kind} cannot be found."));
    let handler: &dyn ResourceType = resources::of(kind).ok_or_else(unknown)?;
    let missing = || {
        let message = format!("Resource of type '{kind}' with identifier '{id}' was not found.");
        Refusal::new("ResourceNotFoundException", message)
    };
    let model = handler.read(world, &call.place, id).ok_or_else(missing)?;
    Ok(Found { kind, id, model })
}

fn get(world: &World, call: &Call) -> Result<Value, Refusal> {
    let Found { kind, id, model } = find(world, call)?;
    let properties = Value::Object(model).to_string();
    Ok(json!({"TypeName": kind, "ResourceDescription": {"Identifier": id, "Properties": properties}}))
}

/// By an RFC 6902 patch. What can only be said at creation is refused (Cloud Control API User Guide, "Updating a resource").
fn update(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    let Found { kind, id, model } = find(world, call)?;
    let document = Parameters(&call.parameters).required("PatchDocument")?;
    let invalid = |error: &dyn std::fmt::Display| Refusal::new("ValidationException", error.to_string());
    let patch: Patch = serde_json::from_str(document).map_err(|error| invalid(&error))?;
    let mut patched = Value::Object(model.clone());
    json_patch::patch(&mut patched, &patch).map_err(|error| invalid(&error))?;
    let Value::Object(patched) = patched else { return Err(invalid(&"a resource is an object")) };
    let names = model.keys().chain(patched.keys());
    let set: Map<String, Value> = names
        .filter(|name| model.get(*name) != patched.get(*name))
        .map(|name| (name.clone(), patched.get(name).cloned().unwrap_or_default()))
        .collect();
    if let Some(facts) = facts::of(kind)
        && let Some(fixed) =
            set.keys().find(|name| facts.create_only.contains(*name) || facts.read_only.contains(*name))
    {
        let message = format!("Invalid patch update: createOnlyProperties [/properties/{fixed}] cannot be updated");
        return Err(Refusal::new("NotUpdatableException", message));
    }
    resources::tamper(world, &call.place, kind, id, &set).map_err(|error| invalid(&error))?;
    Ok(done(world, call, (kind, id), Doing::Update, &set))
}

fn delete(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    let Found { kind, id, .. } = find(world, call)?;
    resources::vanish(world, &call.place, kind, id);
    Ok(done(world, call, (kind, id), Doing::Delete, &Map::new()))
}

fn done(world: &mut World, call: &Call, (kind, id): (&str, &str), doing: Doing, set: &Map<String, Value>) -> Value {
    let caller = Caller::of(call.session.as_deref());
    cloudtrail::remember_work(world, &call.place, (kind, id), doing, (caller, set));
    let operation = if doing == Doing::Delete { "DELETE" } else { "UPDATE" };
    let token = uuid_from(&hex_digest(&format!("cloudcontrol:{}", world.next_number())));
    json!({"ProgressEvent": {
        "TypeName": kind,
        "Identifier": id,
        "RequestToken": token,
        "Operation": operation,
        "OperationStatus": "SUCCESS",
        "EventTime": world.now().epoch_seconds(),
    }})
}
