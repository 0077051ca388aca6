//! Does one step. An update that has come to its end meanwhile cannot be stopped any more, which is no failure.

use super::Step;
use crate::aws::{Clients, Fault};
use crate::deploy::observe::target;

/// Does one step.
///
/// # Errors
/// What the call ended with, unless the update was merely faster.
pub async fn apply(clients: &Clients, step: &Step) -> Result<(), Fault> {
    let Step::CancelUpdate { id, place, token, .. } = step;
    let client = clients.cloudformation(target(place)).await;
    let call = client.cancel_update_stack().stack_name(id).client_request_token(token);
    match call.send().await.map(drop).map_err(Fault::from) {
        Err(fault) if fault.is_overtaken() => Ok(()),
        done => done,
    }
}
