//! Does one step.

use super::Step;
use crate::aws::{Clients, Fault};
use crate::deploy::apply::delete_stack;
use crate::deploy::observe::target;

/// Does one step.
///
/// # Errors
/// What the call ended with, unless somebody was merely faster.
pub async fn apply(clients: &Clients, step: &Step) -> Result<(), Fault> {
    let Step::DeleteStack { id, place, token, .. } = step;
    match delete_stack(&clients.cloudformation(target(place)).await, id, token).await {
        Err(fault) if fault.is_overtaken() => Ok(()),
        done => done,
    }
}
