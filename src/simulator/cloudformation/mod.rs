//! CloudFormation: templates, change sets, the operations engine, events, drift, exports and policies. Nested stacks,
//! macros, custom resources, imports of existing resources, hooks and stack sets are left out.

mod change_sets;
#[cfg(test)]
mod claims;
mod commands;
mod diff;
mod drift;
mod engine;
mod events;
mod intrinsics;
mod policy;
mod queries;
mod stack;
mod template;
mod values;
pub(crate) mod yaml;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::wire::Call;
use super::world::{Place, World};
use serde_json::Value;

pub(crate) use stack::{CloudFormation, StackStatus, Transition};

/// Answers an operation, or `None` if there is no such operation here.
pub(crate) fn call(world: &mut World, call: &Call) -> Option<Result<Value, Refusal>> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    Some(match call.operation.as_str() {
        "CreateChangeSet" => change_sets::create(world, place, parameters),
        "DescribeChangeSet" => change_sets::describe(world, place, parameters),
        "ExecuteChangeSet" => change_sets::execute(world, place, parameters),
        "DeleteChangeSet" => change_sets::delete(world, place, parameters),
        "ListChangeSets" => change_sets::list(world, place, parameters),
        "CreateStack" => commands::create_stack(world, place, parameters),
        "UpdateStack" => commands::update_stack(world, place, parameters),
        "DeleteStack" => commands::delete_stack(world, place, parameters),
        "CancelUpdateStack" => commands::cancel_update(world, place, parameters),
        "ContinueUpdateRollback" => commands::continue_rollback(world, place, parameters),
        "RollbackStack" => commands::rollback_stack(world, place, parameters),
        "SetStackPolicy" => commands::set_policy(world, place, parameters),
        "GetStackPolicy" => queries::policy(world, place, parameters),
        "UpdateTerminationProtection" => commands::update_protection(world, place, parameters),
        "DescribeStacks" => queries::describe_stacks(world, place, parameters),
        "ListStacks" => queries::list_stacks(world, place, parameters),
        "DescribeStackEvents" => queries::stack_events(world, place, parameters),
        "DescribeEvents" => queries::events(world, place, parameters),
        "DescribeStackResources" => queries::stack_resources(world, place, parameters),
        "DescribeStackResource" => queries::stack_resource(world, place, parameters),
        "ListStackResources" => queries::list_resources(world, place, parameters),
        "GetTemplate" => queries::template(world, place, parameters),
        "GetTemplateSummary" => queries::template_summary(world, place, parameters),
        "ValidateTemplate" => queries::validate_template(world, place, parameters),
        "ListExports" => queries::list_exports(world, place, parameters),
        "ListImports" => queries::list_imports(world, place, parameters),
        "DetectStackDrift" => drift::detect(world, place, parameters),
        "DescribeStackDriftDetectionStatus" => drift::detection_status(world, place, parameters),
        "DescribeStackResourceDrifts" => drift::resource_drifts(world, place, parameters),
        "DetectStackResourceDrift" => drift::detect_resource(world, place, parameters),
        _ => return None,
    })
}

/// Brings a stack to a status that nothing here leads to, and says so in its events. Nothing else changes.
pub(crate) fn pose(world: &mut World, place: &Place, stack_id: &str, status: StackStatus, reason: Option<&str>) {
    events::stack_status(world, place, stack_id, status, reason);
}

/// Runs what is due.
pub(crate) fn run(world: &mut World, place: &Place, transition: Transition) {
    match transition {
        Transition::ChangeSetBegins { stack, change_set } => change_sets::begin(world, place, &stack, &change_set),
        Transition::ChangeSetEnds { stack, change_set } => change_sets::end(world, place, &stack, &change_set),
        Transition::DetectionEnds { detection } => drift::end(world, place, &detection),
        transition @ (Transition::Step { .. }
        | Transition::Begin { .. }
        | Transition::Settle { .. }
        | Transition::SettleDeletion { .. }) => engine::run(world, place, transition),
    }
}
