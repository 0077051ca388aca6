//! Writes stack events: one for every status a stack or resource comes to, in AWS's order and with AWS's reasons.

use super::stack::{Event, ResourceStatus, Stack, StackResource, StackStatus};
use crate::simulator::moment::Moment;
use crate::simulator::world::{Place, World};
use serde_json::Value;

/// Brings a stack to a status and says so.
pub(crate) fn stack_status(
    world: &mut World,
    place: &Place,
    stack_id: &str,
    status: StackStatus,
    reason: Option<&str>,
) {
    let (id, now) = (world.identifiers.uuid(), world.now());
    let Some(stack) = world.services(place).cloudformation.stacks.get_mut(stack_id) else {
        return;
    };
    stack.status = status;
    stack.reason = reason.map(str::to_owned);
    let event = Event {
        id,
        operation_id: stack.operation.as_ref().map(|operation| operation.id.clone()),
        at: now,
        logical_id: stack.name.clone(),
        physical_id: stack.id.clone(),
        type_name: "AWS::CloudFormation::Stack".to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.map(str::to_owned),
        properties: None,
        token: stack.operation.as_ref().and_then(|operation| operation.token.clone()),
    };
    stack.events.push(event);
}

/// Says what a resource has come to. The resource given is what the event shows; it need not be the stack's current one.
pub(crate) fn resource(
    stack: &mut Stack,
    now: Moment,
    shown: &StackResource,
    status: ResourceStatus,
    reason: Option<&str>,
) {
    let stem = format!("{}-{}-{}", shown.logical_id, status.as_str(), now);
    // Ties in time are real; ids are not tied.
    let ties = stack
        .events
        .iter()
        .rev()
        .take_while(|event| event.at == now)
        .filter(|event| event.id.starts_with(&stem))
        .count();
    let id = if ties == 0 { stem } else { format!("{stem}-{ties}") };
    let event = Event {
        id,
        operation_id: stack.operation.as_ref().map(|operation| operation.id.clone()),
        at: now,
        logical_id: shown.logical_id.clone(),
        physical_id: shown.physical_id.clone().unwrap_or_default(),
        type_name: shown.type_name.clone(),
        status: status.as_str().to_owned(),
        reason: reason.map(str::to_owned),
        properties: Some(Value::Object(shown.properties.clone()).to_string()),
        token: stack.operation.as_ref().and_then(|operation| operation.token.clone()),
    };
    stack.events.push(event);
}
