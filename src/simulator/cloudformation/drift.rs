//! Drift: what is live against what was last applied. Only properties written in the template are compared; write-only
//! ones, keys of KMS and secrets never are (User Guide, "Detecting unmanaged configuration changes").

use super::diff::{self, Difference};
use super::queries;
use super::stack::{
    Detection, DetectionOutcome, ResourceDrift, ResourceStatus, Stack, StackDrift, StackResource, StackStatus,
    Transition,
};
use crate::simulator::facts::{self, TypeFacts, plain};
use crate::simulator::faults::{Faults, ResourceWork, Work};
use crate::simulator::identifiers::Identifiers;
use crate::simulator::moment::Moment;
use crate::simulator::paging::page;
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::resources;
use crate::simulator::world::{self, Place, World};
use serde_json::{Map, Value, json};

type Reply = Result<Value, Refusal>;

/// Live properties in the shape of what was last applied.
pub(super) fn comparable(resource: &StackResource, facts: &TypeFacts, live: &Map<String, Value>) -> Map<String, Value> {
    let restricted = resource.properties.iter().filter_map(|(name, recorded)| {
        let found = live.get(name);
        let found = if name == "Tags" { found.map(|tags| own_tags(resource, recorded, tags)) } else { found.cloned() };
        restricted(facts, name, recorded, found.as_ref()).map(|value| (name.clone(), value))
    });
    restricted.collect()
}

fn restricted(facts: &TypeFacts, path: &str, recorded: &Value, live: Option<&Value>) -> Option<Value> {
    let is_secret = recorded.as_str().is_some_and(|text| text.contains("{{resolve:"));
    let is_key = path.ends_with("KmsKeyId") || path.ends_with("KMSKeyId");
    if facts.write_only.contains(path) || is_secret || is_key {
        return Some(recorded.clone());
    }
    let live = live?;
    if is_equivalent(facts, path, recorded, live) {
        return Some(recorded.clone());
    }
    // A document has no members that a template could leave out: it is one value.
    if facts.properties.get(path).is_some_and(|shape| shape.open) {
        return Some(live.clone());
    }
    Some(match (recorded, live) {
        (Value::Object(recorded), Value::Object(live)) => {
            let members = recorded.iter().filter_map(|(name, value)| {
                restricted(facts, &format!("{path}/{name}"), value, live.get(name)).map(|value| (name.clone(), value))
            });
            Value::Object(members.collect())
        }
        (Value::Array(recorded), Value::Array(live)) => live
            .iter()
            .enumerate()
            .filter_map(|(place, live)| match recorded.get(place) {
                Some(recorded) => restricted(facts, &format!("{path}/*"), recorded, Some(live)),
                None => Some(live.clone()),
            })
            .collect(),
        _ => live.clone(),
    })
}

/// Whether the registry's transform takes two spellings for one (`propertyTransform`).
fn is_equivalent(facts: &TypeFacts, path: &str, recorded: &Value, live: &Value) -> bool {
    let transform = facts.property_transform.as_ref().and_then(|transforms| transforms.get(path));
    let (Some(transform), Some(recorded), Some(live)) = (transform, plain(recorded), plain(live)) else {
        return false;
    };
    if transform.contains("$lowercase") || transform.contains("$uppercase") {
        return recorded.trim_end_matches('.').eq_ignore_ascii_case(live.trim_end_matches('.'));
    }
    // `EngineVersion`: "15" stands for any 15.x.
    transform.contains("\".*\"") && live.starts_with(&recorded)
}

/// Tags that came from the stack or from CloudFormation are not the template's.
fn own_tags(resource: &StackResource, recorded: &Value, live: &Value) -> Value {
    let is_written = |key: &str| match recorded {
        Value::Array(tags) => tags.iter().any(|tag| tag.get("Key").and_then(Value::as_str) == Some(key)),
        Value::Object(tags) => tags.contains_key(key),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let is_foreign =
        |key: &str| !is_written(key) && (key.starts_with("aws:") || resource.tags.iter().any(|tag| tag.key == key));
    match live {
        Value::Array(tags) => {
            tags.iter().filter(|tag| !tag.get("Key").and_then(Value::as_str).is_some_and(is_foreign)).cloned().collect()
        }
        Value::Object(tags) => Value::Object(
            tags.iter().filter(|(key, _)| !is_foreign(key)).map(|(key, value)| (key.clone(), value.clone())).collect(),
        ),
        other => other.clone(),
    }
}

/// The drift of a resource now, or `None` for a type that cannot be read.
fn drift_of(world: &mut World, place: &Place, stack_name: &str, resource: &StackResource) -> Option<ResourceDrift> {
    let facts = facts::of(&resource.type_name).filter(|facts| facts.handlers.contains("read"))?;
    let id = resource.physical_id.as_deref()?;
    let now = world.now();
    let verdict = |status: &str| ResourceDrift {
        status: status.to_owned(),
        at: now,
        expected: None,
        actual: None,
        differences: Vec::new(),
    };
    if faulted(world, stack_name, resource, Faults::is_unreadable) {
        return Some(verdict("UNKNOWN"));
    }
    let shown = |properties: &Map<String, Value>| {
        let visible = properties.iter().filter(|(name, _)| !facts.write_only.contains(*name));
        as_text(&Value::Object(visible.map(|(name, value)| (name.clone(), value.clone())).collect()))
    };
    let expected = shown(&resource.properties);
    let Some(live) = resources::of(&resource.type_name)?.read(world, place, id) else {
        return Some(ResourceDrift { expected: Some(expected.to_string()), ..verdict("DELETED") });
    };
    let actual = comparable(resource, facts, &live);
    let differences: Vec<Value> =
        diff::differences(&resource.properties, &actual).iter().map(difference_view).collect();
    let status = if differences.is_empty() { "IN_SYNC" } else { "MODIFIED" };
    Some(ResourceDrift {
        expected: Some(expected.to_string()),
        actual: Some(shown(&actual).to_string()),
        differences,
        ..verdict(status)
    })
}

/// Asks the faults about a resource.
pub(super) fn faulted<Answer>(
    world: &mut World,
    stack: &str,
    resource: &StackResource,
    ask: impl FnOnce(&mut Faults, &ResourceWork<'_>, Moment, &mut Identifiers) -> Answer,
) -> Answer {
    let now = world.now();
    let mut faults = std::mem::take(&mut world.faults);
    let work =
        ResourceWork { stack, logical_id: &resource.logical_id, type_name: &resource.type_name, during: Work::Update };
    let answer = ask(&mut faults, &work, now, &mut world.identifiers);
    world.faults = faults;
    answer
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), as_text(member))).collect())
        }
        Value::Array(entries) => entries.iter().map(as_text).collect(),
        scalar => plain(scalar).map_or(Value::Null, Value::String),
    }
}

/// REC: values are plain strings.
fn difference_view(difference: &Difference) -> Value {
    let text = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "null".to_owned(), |value| plain(value).unwrap_or_else(|| as_text(value).to_string()))
    };
    let kind = match (&difference.before, &difference.after) {
        (None, _) => "ADD",
        (_, None) => "REMOVE",
        (Some(_), Some(_)) => "NOT_EQUAL",
    };
    json!({
        "PropertyPath": format!("/{}", difference.path.join("/")),
        "ExpectedValue": text(&difference.before),
        "ActualValue": text(&difference.after),
        "DifferenceType": kind,
    })
}

/// User Guide: drift can be detected in these states.
fn can_be_checked(status: StackStatus) -> bool {
    status.is_updatable() || status == StackStatus::UpdateRollbackFailed
}

pub(super) fn detect(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = queries::live(world, place, parameters.required("StackName")?)?;
    let stack_id = stack.id.clone();
    if !can_be_checked(stack.status) {
        let message =
            format!("Stack:{stack_id} is in {} state and drift detection cannot be performed.", stack.status.as_str());
        return Err(Refusal::validation(message));
    }
    let is_running = world.services_at(place).is_some_and(|services| {
        services
            .cloudformation
            .detections
            .values()
            .any(|detection| detection.stack_id == stack_id && detection.outcome.is_none())
    });
    if is_running && world.rules.one_detection_at_a_time {
        return Err(Refusal::validation(format!("Drift detection is already in progress for stack [{stack_id}]")));
    }
    let count = u64::try_from(stack.resources.len()).unwrap_or(0);
    let durations = &world.rules.durations;
    let seconds = durations.drift_detection + durations.drift_detection_per_resource * count;
    let id = world.identifiers.uuid();
    let detection = Detection {
        id: id.clone(),
        stack_id,
        started: world.now(),
        logical_ids: parameters.texts("LogicalResourceIds"),
        outcome: None,
    };
    world.services(place).cloudformation.detections.insert(id.clone(), detection);
    world.schedule(
        seconds,
        world::Transition::CloudFormation(place.clone(), Transition::DetectionEnds { detection: id.clone() }),
    );
    Ok(json!({"StackDriftDetectionId": id}))
}

/// A detection has looked at everything.
pub(super) fn end(world: &mut World, place: &Place, id: &str) {
    let Some(detection) =
        world.services_at(place).and_then(|services| services.cloudformation.detections.get(id)).cloned()
    else {
        return;
    };
    let Some(stack) =
        world.services_at(place).and_then(|services| services.cloudformation.stacks.get(&detection.stack_id))
    else {
        return;
    };
    let wanted: Vec<StackResource> = stack
        .resources
        .values()
        .filter(|resource| detection.logical_ids.is_empty() || detection.logical_ids.contains(&resource.logical_id))
        .filter(|resource| !matches!(resource.status, ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped))
        .cloned()
        .collect();
    let name = stack.name.clone();
    let found: Vec<(String, Option<ResourceDrift>)> =
        wanted.iter().map(|resource| (resource.logical_id.clone(), drift_of(world, place, &name, resource))).collect();
    let now = world.now();
    let mut faults = std::mem::take(&mut world.faults);
    let is_hidden = faults.hides_drift(&name, now, &mut world.identifiers);
    world.faults = faults;
    let cloudformation = &mut world.services(place).cloudformation;
    let Some(stack) = cloudformation.stacks.get_mut(&detection.stack_id) else {
        return;
    };
    for (logical_id, drift) in found {
        if let Some(resource) = stack.resources.get_mut(&logical_id) {
            resource.drift = drift;
        }
    }
    let mut outcome = summary(stack);
    if is_hidden {
        outcome = DetectionOutcome { status: "IN_SYNC".to_owned(), drifted: 0, ..outcome };
    }
    stack.drift = Some(StackDrift { status: outcome.status.clone(), at: now });
    if let Some(detection) = cloudformation.detections.get_mut(id) {
        detection.outcome = Some(outcome);
    }
}

fn summary(stack: &Stack) -> DetectionOutcome {
    let with_status = |wanted: &[&str]| -> Vec<String> {
        let drifts = stack.resources.values().filter_map(|resource| Some((resource, resource.drift.as_ref()?)));
        drifts
            .filter(|(_, drift)| wanted.contains(&drift.status.as_str()))
            .map(|(resource, _)| resource.logical_id.clone())
            .collect()
    };
    let drifted = with_status(&["MODIFIED", "DELETED"]).len();
    let status = if drifted > 0 { "DRIFTED" } else { "IN_SYNC" };
    DetectionOutcome { status: status.to_owned(), drifted, failed: with_status(&["UNKNOWN"]) }
}

pub(super) fn detection_status(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = parameters.required("StackDriftDetectionId")?;
    let detection = world
        .services_at(place)
        .and_then(|services| services.cloudformation.detections.get(id))
        .ok_or_else(|| Refusal::validation(format!("Drift detection [{id}] does not exist")))?;
    let outcome = detection.outcome.as_ref();
    let has_failed = outcome.is_some_and(|outcome| !outcome.failed.is_empty());
    let status = match outcome {
        None => "DETECTION_IN_PROGRESS",
        Some(_) if has_failed => "DETECTION_FAILED",
        Some(_) => "DETECTION_COMPLETE",
    };
    let reason = outcome
        .filter(|_| has_failed)
        .map(|outcome| format!("Failed to detect drift on resource(s) [{}]", outcome.failed.join(", ")));
    Ok(json!({
        "StackId": detection.stack_id,
        "StackDriftDetectionId": detection.id,
        "StackDriftStatus": outcome.map(|outcome| outcome.status.clone()),
        "DetectionStatus": status,
        "DetectionStatusReason": reason,
        "DriftedStackResourceCount": outcome.map(|outcome| outcome.drifted),
        "Timestamp": detection.started.to_string(),
    }))
}

fn drift_view(stack: &Stack, resource: &StackResource, drift: &ResourceDrift) -> Value {
    json!({
        "StackId": stack.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type_name,
        "ExpectedProperties": drift.expected,
        "ActualProperties": drift.actual,
        "PropertyDifferences": drift.differences,
        "StackResourceDriftStatus": drift.status,
        "Timestamp": drift.at.to_string(),
    })
}

pub(super) fn resource_drifts(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = queries::live(world, place, parameters.required("StackName")?)?;
    let wanted = parameters.texts("StackResourceDriftStatusFilters");
    let views = stack
        .resources
        .values()
        .filter_map(|resource| Some((resource, resource.drift.as_ref()?)))
        .filter(|(_, drift)| wanted.is_empty() || wanted.contains(&drift.status))
        .map(|(resource, drift)| drift_view(stack, resource, drift))
        .collect();
    let page = page(views, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"StackResourceDrifts": page.entries, "NextToken": page.next}))
}

/// The one detection that answers at once.
pub(super) fn detect_resource(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = queries::live(world, place, parameters.required("StackName")?)?.clone();
    let logical_id = parameters.required("LogicalResourceId")?;
    let resource = stack
        .resources
        .get(logical_id)
        .ok_or_else(|| Refusal::validation(format!("Resource {logical_id} does not exist for stack {}", stack.name)))?;
    let drift = drift_of(world, place, &stack.name, resource).ok_or_else(|| {
        Refusal::validation(format!("Drift detection is not supported for resource type [{}]", resource.type_name))
    })?;
    let view = drift_view(&stack, resource, &drift);
    let stored = world.services(place).cloudformation.stacks.get_mut(&stack.id);
    if let Some(resource) = stored.and_then(|stack| stack.resources.get_mut(logical_id)) {
        resource.drift = Some(drift);
    }
    Ok(json!({"StackResourceDrift": view}))
}
