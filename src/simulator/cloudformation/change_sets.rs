//! Change sets: made, computed a moment later, described, executed, deleted.

use super::diff;
use super::drift;
use super::engine::{self, Wanted};
use super::stack::{
    ChangeSet, ChangeSetStatus, Deployment, ExecutionStatus, Kind, Options, Stack, StackResource, StackStatus,
    Transition,
};
use super::{commands, events, queries};
use crate::simulator::facts::plain;
use crate::simulator::faults::Faults;
use crate::simulator::paging::page;
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::settings::RepeatedToken;
use crate::simulator::world::{self, Place, World};
use serde_json::{Value, json};

type Reply = Result<Value, Refusal>;

/// REC, 2022 to 2025: the reason of a change set without changes.
const NO_CHANGES: &str =
    "The submitted information didn't contain changes. Submit different information to create a change set.";

pub(super) fn create(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack_name = parameters.required("StackName")?;
    let name = parameters.required("ChangeSetName")?;
    check_name(name, "changeSetName")?;
    let is_creation = match parameters.text("ChangeSetType").unwrap_or("UPDATE") {
        "CREATE" => true,
        "UPDATE" => false,
        other => {
            return Err(Refusal::validation(format!("Change set type {other} is not served by the local cloud")));
        }
    };
    let reverts_drift = match parameters.text("DeploymentMode") {
        None => false,
        Some("REVERT_DRIFT") => true,
        Some(other) => {
            return Err(Refusal::validation(format!("Deployment mode {other} is not valid")));
        }
    };
    let on_failure = parameters.text("OnStackFailure").map(str::to_owned);
    if on_failure.as_deref() == Some("DELETE") && !is_creation {
        return Err(Refusal::validation("OnStackFailure cannot be set to DELETE for UPDATE change sets"));
    }
    let existing = world.services_at(place).and_then(|services| services.cloudformation.live_stack(stack_name));
    if let Some(repeated) =
        existing.and_then(|stack| stack.change_sets.iter().find(|known| known.name == name && !known.is_spent()))
    {
        return repeated_creation(
            repeated,
            existing.map(|stack| stack.id.as_str()),
            parameters,
            world.rules.repeated_token,
        );
    }
    check_state(existing, stack_name, name, is_creation)?;
    let previous = existing.filter(|_| !is_creation).map(|stack| &stack.deployed);
    let target = commands::target(world, place, parameters, existing, previous)?;
    let existing_id = existing.map(|stack| stack.id.clone());
    let stack_id = match existing_id {
        Some(id) => id,
        None => commands::new_stack(world, place, stack_name)?,
    };
    let id = place.arn("cloudformation", &format!("changeSet/{name}/{}", world.identifiers.uuid()));
    let change_set = ChangeSet {
        id: id.clone(),
        name: name.to_owned(),
        description: parameters.text("Description").map(str::to_owned),
        is_creation,
        reverts_drift,
        status: ChangeSetStatus::CreatePending,
        execution: ExecutionStatus::Unavailable,
        reason: None,
        created: world.now(),
        target,
        changes: Vec::new(),
        on_failure,
        token: parameters.text("ClientToken").map(str::to_owned),
    };
    let seconds = world.rules.durations.change_set;
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&stack_id) {
        stack.change_sets.retain(|known| known.name != change_set.name);
        stack.change_sets.push(change_set);
        if is_creation && stack.status != StackStatus::ReviewInProgress {
            events::stack_status(world, place, &stack_id, StackStatus::ReviewInProgress, Some("User Initiated"));
        }
    }
    let begins = Transition::ChangeSetBegins { stack: stack_id.clone(), change_set: id.clone() };
    let ends = Transition::ChangeSetEnds { stack: stack_id.clone(), change_set: id.clone() };
    world.schedule(seconds.min(1), world::Transition::CloudFormation(place.clone(), begins));
    world.schedule(seconds, world::Transition::CloudFormation(place.clone(), ends));
    Ok(json!({"Id": id, "StackId": stack_id}))
}

/// API: a letter, then letters, digits and hyphens, at most 128.
pub(super) fn check_name(name: &str, parameter: &str) -> Result<(), Refusal> {
    const LENGTH_MAX: usize = 128;
    let is_valid = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && name.len() <= LENGTH_MAX;
    if is_valid {
        return Ok(());
    }
    Err(Refusal::validation(format!(
        "1 validation error detected: Value '{name}' at '{parameter}' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    )))
}

fn repeated_creation(
    known: &ChangeSet,
    stack_id: Option<&str>,
    parameters: Parameters<'_>,
    rule: RepeatedToken,
) -> Reply {
    let is_same_call = known.token.is_some() && known.token.as_deref() == parameters.text("ClientToken");
    if is_same_call && rule == RepeatedToken::SameAnswer {
        return Ok(json!({"Id": known.id, "StackId": stack_id}));
    }
    Err(Refusal::new("AlreadyExistsException", format!("ChangeSet [{}] already exists", known.name)))
}

fn check_state(existing: Option<&Stack>, stack_name: &str, name: &str, is_creation: bool) -> Result<(), Refusal> {
    match existing {
        None if is_creation => Ok(()),
        None => Err(Refusal::validation(format!("Stack [{stack_name}] does not exist"))),
        Some(stack) if stack.status == StackStatus::ReviewInProgress && is_creation => Ok(()),
        Some(stack) if is_creation => Err(Refusal::validation(format!(
            "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
            stack.name
        ))),
        Some(stack) if stack.status.is_updatable() || stack.status.is_paused() => Ok(()),
        Some(stack) => Err(commands::not_updatable(stack)),
    }
}

/// The change set is being computed.
pub(super) fn begin(world: &mut World, place: &Place, stack_id: &str, id: &str) {
    if let Some(change_set) = find_mut(world, place, stack_id, id)
        && change_set.status == ChangeSetStatus::CreatePending
    {
        change_set.status = ChangeSetStatus::CreateInProgress;
    }
}

/// The change set is computed.
pub(super) fn end(world: &mut World, place: &Place, stack_id: &str, id: &str) {
    let Some(stack) = world.services_at(place).and_then(|services| services.cloudformation.stacks.get(stack_id)) else {
        return;
    };
    let Some(change_set) = stack.change_sets.iter().find(|change_set| change_set.id == id) else {
        return;
    };
    if change_set.execution == ExecutionStatus::Obsolete {
        return;
    }
    let mut compared = diff::compare_stack(world, place, stack, &change_set.target, change_set.reverts_drift);
    let in_sync: Vec<StackResource> = match &compared {
        Ok(comparison) if change_set.reverts_drift => unchanged(stack, &comparison.rows),
        Ok(_) | Err(_) => Vec::new(),
    };
    let stack_name = stack.name.clone();
    let outputs_change = has_other_outputs(&stack.deployed.template, &change_set.target.template);
    let is_creation = change_set.is_creation;
    if let Ok(comparison) = &mut compared {
        comparison.rows.extend(in_sync.iter().filter_map(|resource| phantom(world, &stack_name, resource)));
    }
    let Some(change_set) = find_mut(world, place, stack_id, id) else {
        return;
    };
    match compared {
        Err(reason) => fail(change_set, reason),
        Ok(comparison) if comparison.rows.is_empty() && !is_creation && !outputs_change => {
            fail(change_set, NO_CHANGES.to_owned());
        }
        Ok(comparison) => {
            change_set.changes = comparison.rows;
            change_set.reason = comparison.warning;
            change_set.status = ChangeSetStatus::CreateComplete;
            change_set.execution = ExecutionStatus::Available;
        }
    }
}

/// The resources that rows do not speak of.
fn unchanged(stack: &Stack, rows: &[Value]) -> Vec<StackResource> {
    let is_shown = |resource: &&StackResource| {
        let id = Some(resource.logical_id.as_str());
        rows.iter().any(|row| row.pointer("/ResourceChange/LogicalResourceId").and_then(Value::as_str) == id)
    };
    stack.resources.values().filter(|resource| !is_shown(resource)).cloned().collect()
}

/// A change that is none, where a fault asks for it (roadmap#2505): the value is what it was. Execution touches nothing.
fn phantom(world: &mut World, stack: &str, resource: &StackResource) -> Option<Value> {
    let replaces = drift::faulted(world, stack, resource, Faults::phantom_change)?;
    let (name, value) = resource.properties.iter().next()?;
    let shown = plain(value).unwrap_or_else(|| value.to_string());
    Some(json!({
        "Type": "Resource",
        "ResourceChange": {
            "Action": "Modify",
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.type_name,
            "Replacement": if replaces { "True" } else { "False" },
            "Scope": ["Properties"],
            "ResourceDriftStatus": "IN_SYNC",
            "Details": [{
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
                "Target": {
                    "Attribute": "Properties",
                    "Name": name,
                    "Path": format!("/Properties/{name}"),
                    "RequiresRecreation": if replaces { "Always" } else { "Never" },
                    "BeforeValue": shown,
                    "AfterValue": shown,
                    "AttributeChangeType": "Modify",
                },
            }],
        },
    }))
}

/// An output change has no row but is a change (?).
fn has_other_outputs(old: &str, new: &str) -> bool {
    let outputs =
        |body: &str| super::yaml::parse(body).ok().and_then(|mut root| root.get_mut("Outputs").map(Value::take));
    outputs(old) != outputs(new)
}

fn fail(change_set: &mut ChangeSet, reason: String) {
    change_set.status = ChangeSetStatus::Failed;
    change_set.execution = ExecutionStatus::Unavailable;
    change_set.reason = Some(reason);
}

fn find_mut<'a>(world: &'a mut World, place: &Place, stack_id: &str, id: &str) -> Option<&'a mut ChangeSet> {
    let stack = world.services(place).cloudformation.stacks.get_mut(stack_id)?;
    stack.change_sets.iter_mut().find(|change_set| change_set.id == id)
}

/// The stack and change set a call means, by ARN or by both names.
fn find<'a>(
    world: &'a World,
    place: &Place,
    parameters: Parameters<'_>,
) -> Result<(&'a Stack, &'a ChangeSet), Refusal> {
    let name = parameters.required("ChangeSetName")?;
    let not_found = || Refusal::new("ChangeSetNotFound", format!("ChangeSet [{name}] does not exist")).with_status(404);
    let cloudformation = world.services_at(place).map(|services| &services.cloudformation);
    if name.starts_with("arn:") {
        let mut all = cloudformation.into_iter().flat_map(|cloudformation| cloudformation.stacks.values());
        let found =
            all.find_map(|stack| Some((stack, stack.change_sets.iter().find(|change_set| change_set.id == name)?)));
        return found.ok_or_else(not_found);
    }
    let Some(stack_name) = parameters.text("StackName") else {
        return Err(Refusal::validation("StackName must be specified if ChangeSetName is not specified as an ARN."));
    };
    let stack = cloudformation
        .and_then(|cloudformation| cloudformation.live_stack(stack_name))
        .ok_or_else(|| Refusal::validation(format!("Stack [{stack_name}] does not exist")))?;
    let change_set = stack.change_sets.iter().find(|change_set| change_set.name == name);
    change_set.map(|change_set| (stack, change_set)).ok_or_else(not_found)
}

pub(super) fn describe(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let (stack, change_set) = find(world, place, parameters)?;
    let with_values = parameters.flag("IncludePropertyValues").unwrap_or(false);
    let rows = change_set
        .changes
        .iter()
        .map(|row| if with_values { with_recorded_quirk(row) } else { without_values(row) })
        .collect();
    let page = page(rows, parameters.text("NextToken"), world.rules.page_size)?;
    let target = &change_set.target;
    let is_warned = change_set.reason.as_deref().is_some_and(|reason| reason.starts_with("[WARN]"));
    Ok(json!({
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": change_set.description,
        "Parameters": queries::parameter_views(&target.parameters),
        "CreationTime": change_set.created.to_string(),
        "ExecutionStatus": change_set.execution.as_str(),
        "Status": change_set.status.as_str(),
        "StatusReason": change_set.reason.as_ref().filter(|_| with_values || !is_warned),
        "NotificationARNs": target.notification_arns,
        "RollbackConfiguration": queries::rollback_view(target),
        "Capabilities": target.capabilities,
        "Tags": if target.tags.is_empty() { Value::Null } else { json!(target.tags) },
        "Changes": page.entries,
        "NextToken": page.next,
        "IncludeNestedStacks": false,
        "OnStackFailure": change_set.on_failure,
        "DeploymentMode": change_set.reverts_drift.then_some("REVERT_DRIFT"),
        "StackDriftStatus": change_set.reverts_drift.then(|| stack.drift.as_ref().map_or("NOT_CHECKED", |drift| drift.status.as_str())),
    }))
}

/// REC: with values, a row that adds carries Replacement True.
fn with_recorded_quirk(row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(change) = row.get_mut("ResourceChange").and_then(Value::as_object_mut)
        && change.get("Action").and_then(Value::as_str) == Some("Add")
    {
        change.insert("Replacement".to_owned(), "True".into());
    }
    row
}

/// Without the flag there are no paths, no values, no contexts, no attribute change types; a property then gives one
/// detail for each cause, however many leaves differ.
fn without_values(row: &Value) -> Value {
    let mut row = row.clone();
    let Some(change) = row.get_mut("ResourceChange").and_then(Value::as_object_mut) else {
        return row;
    };
    change.remove("BeforeContext");
    change.remove("AfterContext");
    if let Some(Value::Array(details)) = change.get_mut("Details") {
        for target in details.iter_mut().filter_map(|detail| detail.get_mut("Target")).filter_map(Value::as_object_mut)
        {
            target.retain(|name, _| matches!(name.as_str(), "Attribute" | "Name" | "RequiresRecreation"));
        }
        let mut seen: Vec<Value> = Vec::new();
        details.retain(|detail| {
            let is_new = !seen.contains(detail);
            if is_new {
                seen.push(detail.clone());
            }
            is_new
        });
    }
    row
}

pub(super) fn list(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let stack = queries::live(world, place, parameters.required("StackName")?)?;
    let views = stack
        .change_sets
        .iter()
        .map(|change_set| {
            json!({
                "StackId": stack.id,
                "StackName": stack.name,
                "ChangeSetId": change_set.id,
                "ChangeSetName": change_set.name,
                "ExecutionStatus": change_set.execution.as_str(),
                "Status": change_set.status.as_str(),
                "StatusReason": change_set.reason,
                "CreationTime": change_set.created.to_string(),
                "Description": change_set.description,
                "IncludeNestedStacks": false,
            })
        })
        .collect();
    let page = page(views, parameters.text("NextToken"), world.rules.page_size)?;
    Ok(json!({"Summaries": page.entries, "NextToken": page.next}))
}

pub(super) fn delete(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let (stack_id, id) = match find(world, place, parameters) {
        Ok((_, change_set)) if change_set.execution == ExecutionStatus::ExecuteInProgress => {
            let message = format!(
                "ChangeSet [{}] cannot be deleted in its current execution status of [EXECUTE_IN_PROGRESS]",
                change_set.id
            );
            return Err(Refusal::new("InvalidChangeSetStatus", message));
        }
        Ok((stack, change_set)) => (stack.id.clone(), change_set.id.clone()),
        // Deleting what is not there is success (API: DeleteChangeSet models no such error).
        Err(refusal) if refusal.code == "ChangeSetNotFound" => return Ok(json!({})),
        Err(refusal) => return Err(refusal),
    };
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&stack_id) {
        stack.change_sets.retain(|change_set| change_set.id != id);
    }
    Ok(json!({}))
}

pub(super) fn execute(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let (stack, change_set) = find(world, place, parameters)?;
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    if let Some(answer) = commands::repeated_token(world, stack, token.as_deref()) {
        return answer.map(|_| json!({}));
    }
    check_executable(stack, change_set)?;
    let disables_rollback = parameters.flag("DisableRollback");
    if change_set.on_failure.is_some() && disables_rollback.is_some() {
        return Err(Refusal::validation("DisableRollback cannot be specified together with OnStackFailure"));
    }
    let disables_rollback = disables_rollback.unwrap_or(change_set.on_failure.as_deref() == Some("DO_NOTHING"));
    if stack.status.is_paused() && !disables_rollback {
        let message = format!(
            "This stack is currently in a non-terminal [{}] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API",
            stack.status.as_str()
        );
        return Err(Refusal::validation(message));
    }
    let (stack_id, id) = (stack.id.clone(), change_set.id.clone());
    let kind = if stack.status == StackStatus::ReviewInProgress { Kind::Create } else { Kind::Update };
    let wanted = Wanted {
        options: Options {
            on_failure: commands::on_failure(disables_rollback, change_set.on_failure.as_deref()),
            retains_except_on_create: parameters.flag("RetainExceptOnCreate").unwrap_or(false),
            reverts_drift: change_set.reverts_drift,
            is_forced: false,
        },
        ..Wanted::plain(kind, token, change_set.target.clone())
    };
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&stack_id) {
        stack.change_sets.retain(|change_set| change_set.id == id);
        stack.change_set = Some(id.clone());
        for change_set in &mut stack.change_sets {
            change_set.execution = ExecutionStatus::ExecuteInProgress;
        }
    }
    engine::start(world, place, &stack_id, wanted);
    Ok(json!({}))
}

fn check_executable(stack: &Stack, change_set: &ChangeSet) -> Result<(), Refusal> {
    let wrong = |what: &str, state: &str| {
        Err(Refusal::new(
            "InvalidChangeSetStatus",
            format!("ChangeSet [{}] cannot be executed in its current {what} of [{state}]", change_set.id),
        ))
    };
    if change_set.status == ChangeSetStatus::Failed {
        return wrong("status", "FAILED");
    }
    if change_set.execution != ExecutionStatus::Available {
        return wrong("execution status", change_set.execution.as_str());
    }
    let is_ready =
        stack.status == StackStatus::ReviewInProgress || stack.status.is_updatable() || stack.status.is_paused();
    if is_ready { Ok(()) } else { Err(commands::not_updatable(stack)) }
}

/// The operation of the executed change set has ended.
pub(super) fn execution_ended(stack: &mut Stack, status: StackStatus) {
    let is_good = matches!(status, StackStatus::CreateComplete | StackStatus::UpdateComplete);
    for change_set in
        stack.change_sets.iter_mut().filter(|change_set| change_set.execution == ExecutionStatus::ExecuteInProgress)
    {
        change_set.execution = if is_good { ExecutionStatus::ExecuteComplete } else { ExecutionStatus::ExecuteFailed };
    }
}

/// The stack moved under its open change sets.
pub(super) fn make_obsolete(stack: &mut Stack) {
    for change_set in &mut stack.change_sets {
        change_set.execution = ExecutionStatus::Obsolete;
    }
}

impl ChangeSet {
    /// REC (`test_change_set_ref`): the name of an executed change set can be used again.
    fn is_spent(&self) -> bool {
        matches!(self.execution, ExecutionStatus::ExecuteComplete | ExecutionStatus::ExecuteFailed)
    }
}

/// The target of a change set, for `GetTemplate` before execution.
pub(super) fn target<'a>(
    world: &'a World,
    place: &Place,
    parameters: Parameters<'_>,
) -> Result<&'a Deployment, Refusal> {
    find(world, place, parameters).map(|(_, change_set)| &change_set.target)
}
