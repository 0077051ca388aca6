//! The calls that change stacks, but for change sets: direct creation and update for foreign clients, deletion, recovery
//! and guards.

use super::engine::{self, Wanted};
use super::stack::{Deployment, Kind, OnFailure, Options, Phase, Stack, StackStatus, Tag, WorkState};
use super::template::Template;
use super::{change_sets, diff, events, policy, queries, values};
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::s3;
use crate::simulator::settings::RepeatedToken;
use crate::simulator::world::{Place, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Reply = Result<Value, Refusal>;

/// API: the longest template that a call carries.
const TEMPLATE_BYTES_MAX: usize = 51_200;

/// API: the longest template that S3 holds for CloudFormation.
const TEMPLATE_URL_BYTES_MAX: usize = 1_000_000;

/// The text of the template a call means.
pub(super) fn template_text(
    world: &World,
    place: &Place,
    parameters: Parameters<'_>,
) -> Result<Option<String>, Refusal> {
    if let Some(body) = parameters.0.get("TemplateBody").and_then(Value::as_str) {
        if body.len() > TEMPLATE_BYTES_MAX {
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value '{body}' at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200"
            )));
        }
        return Ok(Some(body.to_owned()));
    }
    let Some(url) = parameters.text("TemplateURL") else {
        return Ok(None);
    };
    let body =
        s3::template_at(world, place, url).map_err(|message| Refusal::validation(format!("S3 error: {message}")))?;
    if body.len() > TEMPLATE_URL_BYTES_MAX {
        return Err(Refusal::validation("Template may not exceed 1000000 bytes in size."));
    }
    Ok(Some(body))
}

/// What a call wants a stack to run.
pub(super) fn target(
    world: &World,
    place: &Place,
    parameters: Parameters<'_>,
    existing: Option<&Stack>,
    previous: Option<&Deployment>,
) -> Result<Deployment, Refusal> {
    let uses_previous = parameters.flag("UsePreviousTemplate").unwrap_or(false);
    let text = match template_text(world, place, parameters)? {
        Some(text) => text,
        None => previous
            .filter(|_| uses_previous)
            .map(|previous| previous.template.clone())
            .ok_or_else(|| Refusal::validation("Either Template URL or Template Body must be specified."))?,
    };
    let template = Template::parse(&text).map_err(Refusal::validation)?;
    let capabilities = parameters.texts("Capabilities");
    check_capabilities(&template, &capabilities)?;
    if previous.is_some()
        && let Some(stack) = existing
    {
        check_types(&template, stack)?;
    }
    let stays = |name: &str| !parameters.is_given(name);
    let tags = match previous {
        Some(previous) if stays("Tags") => previous.tags.clone(),
        _ => tags(parameters)?,
    };
    let notification_arns = match previous {
        Some(previous) if stays("NotificationARNs") => previous.notification_arns.clone(),
        _ => parameters.texts("NotificationARNs"),
    };
    let rollback_configuration = match previous {
        Some(previous) if stays("RollbackConfiguration") => previous.rollback_configuration.clone(),
        _ => parameters
            .0
            .get("RollbackConfiguration")
            .filter(|value| value.is_object())
            .cloned()
            .unwrap_or_else(|| json!({})),
    };
    let role =
        parameters.text("RoleARN").map(str::to_owned).or_else(|| previous.and_then(|previous| previous.role.clone()));
    Ok(Deployment {
        parameters: values::parameters(world, place, &template, parameters, previous)?,
        template: text,
        tags,
        capabilities,
        notification_arns,
        role,
        rollback_configuration,
        outputs: Vec::new(),
        imports: BTreeSet::new(),
    })
}

fn tags(parameters: Parameters<'_>) -> Result<Vec<Tag>, Refusal> {
    /// API: tags of a stack.
    const TAGS_MAX: usize = 50;
    let tags: Vec<Tag> = parameters
        .structures("Tags")
        .filter_map(|tag| {
            let value = tag.0.get("Value").and_then(Value::as_str).unwrap_or_default();
            Some(Tag { key: tag.text("Key")?.to_owned(), value: value.to_owned() })
        })
        .collect();
    if tags.len() > TAGS_MAX {
        return Err(Refusal::validation(
            "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50",
        ));
    }
    if let Some(tag) = tags.iter().find(|tag| tag.key.starts_with("aws:")) {
        return Err(Refusal::validation(format!(
            "aws: prefixed tag key names are not allowed for external use. ({})",
            tag.key
        )));
    }
    Ok(tags)
}

fn check_capabilities(template: &Template, given: &[String]) -> Result<(), Refusal> {
    let Some((needed, _)) = template.capabilities() else {
        return Ok(());
    };
    let is_enough = given.iter().any(|known| known == needed || known == "CAPABILITY_NAMED_IAM");
    if is_enough {
        return Ok(());
    }
    Err(Refusal::new("InsufficientCapabilitiesException", format!("Requires capabilities : [{needed}]")))
}

fn check_types(template: &Template, stack: &Stack) -> Result<(), Refusal> {
    let changed: Vec<&str> = template
        .resources()
        .filter(|declaration| {
            stack.resources.get(declaration.logical_id).is_some_and(|known| known.type_name != declaration.type_name)
        })
        .map(|declaration| declaration.logical_id)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
        changed.join(", ")
    );
    Err(Refusal::validation(message))
}

pub(super) fn not_updatable(stack: &Stack) -> Refusal {
    Refusal::validation(format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status.as_str()))
}

/// A stack without anything in it, in `REVIEW_IN_PROGRESS` once its first event is written.
pub(super) fn new_stack(world: &mut World, place: &Place, name: &str) -> Result<String, Refusal> {
    change_sets::check_name(name, "stackName")?;
    let id = place.arn("cloudformation", &format!("stack/{name}/{}", world.identifiers.uuid()));
    let stack = Stack {
        id: id.clone(),
        name: name.to_owned(),
        number: world.next_number(),
        status: StackStatus::CreateInProgress,
        reason: None,
        created: world.now(),
        updated: None,
        deleted: None,
        change_set: None,
        deployed: Deployment { rollback_configuration: json!({}), ..Deployment::default() },
        policy: None,
        is_protected: false,
        disables_rollback: false,
        resources: BTreeMap::new(),
        events: Vec::new(),
        change_sets: Vec::new(),
        operation: None,
        last_operations: Vec::new(),
        tokens: BTreeSet::new(),
        drift: None,
    };
    world.services(place).cloudformation.stacks.insert(id.clone(), stack);
    Ok(id)
}

/// What a client token that this stack has seen before meets; `None` if it is new.
pub(super) fn repeated_token(world: &World, stack: &Stack, token: Option<&str>) -> Option<Reply> {
    let token = token.filter(|token| stack.tokens.contains(*token))?;
    Some(match world.rules.repeated_token {
        RepeatedToken::SameAnswer => {
            let operation = stack.last_operations.first().map(|(_, id)| id.clone());
            Ok(json!({"StackId": stack.id, "OperationId": operation}))
        }
        RepeatedToken::TokenAlreadyExists => {
            Err(Refusal::new("TokenAlreadyExistsException", format!("Token {token} already exists")))
        }
        RepeatedToken::AlreadyExists => {
            Err(Refusal::new("AlreadyExistsException", format!("Token {token} already exists")))
        }
    })
}

/// What a call says is to follow a failure.
pub(super) fn on_failure(disables_rollback: bool, on_failure: Option<&str>) -> OnFailure {
    match on_failure {
        Some("DO_NOTHING") => OnFailure::Stop,
        _ if disables_rollback => OnFailure::Stop,
        Some("DELETE") => OnFailure::Delete,
        Some(_) | None => OnFailure::RollBack,
    }
}

pub(super) fn create_stack(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    let existing = world.services_at(place).and_then(|services| services.cloudformation.live_stack(name));
    if let Some(stack) = existing {
        if let Some(answer) = repeated_token(world, stack, token.as_deref()) {
            return answer;
        }
        if stack.status != StackStatus::ReviewInProgress {
            return Err(Refusal::new("AlreadyExistsException", format!("Stack [{name}] already exists")));
        }
    }
    let target = target(world, place, parameters, existing, None)?;
    let policy = stack_policy(world, place, parameters)?;
    let existing = existing.map(|stack| stack.id.clone());
    let id = match existing {
        Some(id) => id,
        None => new_stack(world, place, name)?,
    };
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&id) {
        change_sets::make_obsolete(stack);
        stack.policy = policy;
        stack.is_protected = parameters.flag("EnableTerminationProtection").unwrap_or(false);
    }
    let on_failure = parameters.text("OnFailure");
    let wanted = Wanted {
        options: Options {
            on_failure: self::on_failure(parameters.flag("DisableRollback").unwrap_or(false), on_failure),
            retains_except_on_create: parameters.flag("RetainExceptOnCreate").unwrap_or(false),
            ..Options::default()
        },
        ..Wanted::plain(Kind::Create, token, target)
    };
    let operation = engine::start(world, place, &id, wanted);
    Ok(json!({"StackId": id, "OperationId": operation}))
}

pub(super) fn update_stack(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    let stack = world
        .services_at(place)
        .and_then(|services| services.cloudformation.live_stack(name))
        .ok_or_else(|| Refusal::validation(format!("Stack [{name}] does not exist")))?;
    if let Some(answer) = repeated_token(world, stack, token.as_deref()) {
        return answer;
    }
    let disables_rollback = parameters.flag("DisableRollback").unwrap_or(false);
    if !(stack.status.is_updatable() || (stack.status.is_paused() && disables_rollback)) {
        return Err(not_updatable(stack));
    }
    let target = target(world, place, parameters, Some(stack), Some(&stack.deployed))?;
    let comparison = diff::compare_stack(world, place, stack, &target, false).map_err(Refusal::validation)?;
    if comparison.rows.is_empty() && target.template == stack.deployed.template {
        return Err(Refusal::validation("No updates are to be performed."));
    }
    let id = stack.id.clone();
    let policy = stack_policy(world, place, parameters)?;
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&id) {
        change_sets::make_obsolete(stack);
        stack.policy = policy.or(stack.policy.take());
    }
    let wanted = Wanted {
        options: Options {
            on_failure: on_failure(disables_rollback, None),
            retains_except_on_create: parameters.flag("RetainExceptOnCreate").unwrap_or(false),
            ..Options::default()
        },
        ..Wanted::plain(Kind::Update, token, target)
    };
    let operation = engine::start(world, place, &id, wanted);
    Ok(json!({"StackId": id, "OperationId": operation}))
}

pub(super) fn delete_stack(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    // A stack that does not exist is deleted already.
    let Some(stack) = world.services_at(place).and_then(|services| services.cloudformation.live_stack(name)) else {
        return Ok(json!({}));
    };
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    if let Some(answer) = repeated_token(world, stack, token.as_deref()) {
        return answer.map(|_| json!({}));
    }
    if stack.is_protected {
        return Err(Refusal::validation(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name
        )));
    }
    if stack.status == StackStatus::DeleteInProgress {
        return Ok(json!({}));
    }
    let retained: BTreeSet<String> = parameters.texts("RetainResources").into_iter().collect();
    let is_forced = parameters.text("DeletionMode") == Some("FORCE_DELETE_STACK");
    if (is_forced || !retained.is_empty()) && stack.status != StackStatus::DeleteFailed {
        // AWS's further words are not known (?).
        let message = format!(
            "Invalid operation on stack [{}]. Resources can be retained, or the stack deleted by force, only when it is in the DELETE_FAILED state.",
            stack.id
        );
        return Err(Refusal::validation(message));
    }
    if let Some(unknown) = retained.iter().find(|name| !stack.resources.contains_key(*name)) {
        return Err(Refusal::validation(format!("Resources to retain must be in the stack: [{unknown}]")));
    }
    let can_be_stopped = matches!(stack.status, StackStatus::CreateInProgress);
    if stack.status.is_busy() && !can_be_stopped {
        let message = format!("Stack [{}] cannot be deleted while in status {}", stack.name, stack.status.as_str());
        return Err(Refusal::validation(message));
    }
    let (id, deployed) = (stack.id.clone(), stack.deployed.clone());
    if let Some(reason) = export_in_use(world, place, stack) {
        refuse_deletion(world, place, &id, &reason);
        return Ok(json!({}));
    }
    let options = Options { is_forced, ..Options::default() };
    let wanted = Wanted { options, retained, ..Wanted::plain(Kind::Delete, token, deployed) };
    engine::start(world, place, &id, wanted);
    Ok(json!({}))
}

fn export_in_use(world: &World, place: &Place, stack: &Stack) -> Option<String> {
    let cloudformation = &world.services_at(place)?.cloudformation;
    stack.deployed.outputs.iter().find_map(|output| {
        let name = output.export_name.as_deref()?;
        let users = cloudformation.importers(name);
        let user = users.into_iter().find(|user| *user != stack.name)?;
        Some(format!("Delete canceled. Cannot delete export {name} as it is in use by {user}."))
    })
}

fn refuse_deletion(world: &mut World, place: &Place, id: &str, reason: &str) {
    let keeps = world.rules.refused_delete_keeps_status;
    let stacks = &world.services(place).cloudformation.stacks;
    let Some(before) = stacks.get(id).map(|stack| stack.status) else {
        return;
    };
    let status = if keeps { before } else { StackStatus::DeleteFailed };
    events::stack_status(world, place, id, status, Some(reason));
}

pub(super) fn cancel_update(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    let stack = queries::live(world, place, name)?;
    if let Some(answer) = repeated_token(world, stack, token.as_deref()) {
        return answer.map(|_| json!({}));
    }
    let id = stack.id.clone();
    if stack.status != StackStatus::UpdateInProgress {
        return Err(Refusal::validation("CancelUpdateStack cannot be called from current stack status"));
    }
    remember_token(world, place, &id, token.as_deref());
    engine::cancel(world, place, &id, token);
    Ok(json!({}))
}

fn remember_token(world: &mut World, place: &Place, id: &str, token: Option<&str>) {
    if let (Some(stack), Some(token)) = (world.services(place).cloudformation.stacks.get_mut(id), token) {
        stack.tokens.insert(token.to_owned());
    }
}

pub(super) fn continue_rollback(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    let stack = queries::live(world, place, name)?;
    if let Some(answer) = repeated_token(world, stack, token.as_deref()) {
        return answer.map(|_| json!({}));
    }
    let id = stack.id.clone();
    if stack.status != StackStatus::UpdateRollbackFailed {
        // AWS's words are not known (?).
        let message =
            format!("Stack:{id} is in {} state and can not continue an update rollback.", stack.status.as_str());
        return Err(Refusal::validation(message));
    }
    let failed: BTreeSet<String> = stack
        .operation
        .iter()
        .flat_map(|operation| operation.work.iter())
        .filter(|(_, work)| work.state == WorkState::UndoFailed)
        .map(|(name, _)| name.clone())
        .collect();
    let is_forced = parameters.flag("ForceRollback").unwrap_or(false);
    let skip: BTreeSet<String> = parameters.texts("ResourcesToSkip").into_iter().collect();
    if is_forced && !skip.is_empty() {
        return Err(Refusal::validation("ResourcesToSkip cannot be specified together with ForceRollback"));
    }
    if let Some(wrong) = skip.iter().find(|name| !failed.contains(*name)) {
        // AWS's words are not known (?).
        return Err(Refusal::validation(format!(
            "The resource [{wrong}] cannot be skipped: only resources in UPDATE_FAILED because the rollback failed can be."
        )));
    }
    let skip = if is_forced { failed } else { skip };
    remember_token(world, place, &id, token.as_deref());
    engine::continue_rollback(world, place, &id, token, &skip);
    Ok(json!({}))
}

pub(super) fn rollback_stack(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("StackName")?;
    let token = parameters.text("ClientRequestToken").map(str::to_owned);
    let stack = queries::live(world, place, name)?;
    if let Some(answer) = repeated_token(world, stack, token.as_deref()) {
        return answer;
    }
    let id = stack.id.clone();
    let is_paused = stack.operation.as_ref().is_some_and(|operation| operation.phase == Phase::Paused);
    if !stack.status.is_paused() || !is_paused {
        // AWS's words are not known (?).
        let message = format!("Stack:{id} is in {} state and can not be rolled back.", stack.status.as_str());
        return Err(Refusal::validation(message));
    }
    remember_token(world, place, &id, token.as_deref());
    let operation = engine::roll_back(world, place, &id, token, "User Initiated");
    Ok(json!({"StackId": id, "OperationId": operation}))
}

fn stack_policy(world: &World, place: &Place, parameters: Parameters<'_>) -> Result<Option<String>, Refusal> {
    let text = match (parameters.text("StackPolicyBody"), parameters.text("StackPolicyURL")) {
        (Some(body), _) => Some(body.to_owned()),
        (None, Some(url)) => Some(s3::template_at(world, place, url).map_err(Refusal::validation)?),
        (None, None) => None,
    };
    match text {
        Some(text) if !policy::is_valid(&text) => {
            Err(Refusal::validation("Error validating stack policy: Invalid stack policy"))
        }
        text => Ok(text),
    }
}

pub(super) fn set_policy(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = queries::live(world, place, parameters.required("StackName")?)?.id.clone();
    let Some(policy) = stack_policy(world, place, parameters)? else {
        return Err(Refusal::validation(
            "You cannot specify both StackPolicyURL and StackPolicyBody, and one of them is required",
        ));
    };
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&id) {
        stack.policy = Some(policy);
    }
    Ok(json!({}))
}

pub(super) fn update_protection(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = queries::live(world, place, parameters.required("StackName")?)?.id.clone();
    let is_protected = parameters.flag("EnableTerminationProtection").unwrap_or(false);
    if let Some(stack) = world.services(place).cloudformation.stacks.get_mut(&id) {
        stack.is_protected = is_protected;
    }
    Ok(json!({"StackId": id}))
}
