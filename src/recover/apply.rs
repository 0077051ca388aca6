//! Does one step.

use super::Step;
use crate::aws::{Clients, Fault, s3};
use crate::deploy::observe::target;

/// Does one step.
///
/// # Errors
/// What the call ended with, unless somebody was merely faster.
pub async fn apply(clients: &Clients, step: &Step) -> Result<(), Fault> {
    match call(clients, step).await {
        Err(fault) if fault.is_overtaken() => Ok(()),
        done => done,
    }
}

async fn call(clients: &Clients, step: &Step) -> Result<(), Fault> {
    match step {
        Step::ContinueRollback { id, place, skip, token, .. } => {
            let client = clients.cloudformation(target(place)).await;
            let skip = Some(skip.clone()).filter(|skip| !skip.is_empty());
            let call = client.continue_update_rollback().stack_name(id).set_resources_to_skip(skip);
            call.client_request_token(token).send().await.map(drop).map_err(Fault::from)
        }
        Step::RollBack { id, place, token, .. } => {
            let client = clients.cloudformation(target(place)).await;
            let call = client.rollback_stack().stack_name(id).client_request_token(token);
            call.send().await.map(drop).map_err(Fault::from)
        }
        Step::Unprotect { id, place, .. } => {
            let client = clients.cloudformation(target(place)).await;
            let call = client.update_termination_protection().stack_name(id).enable_termination_protection(false);
            call.send().await.map(drop).map_err(Fault::from)
        }
        Step::EmptyBucket { bucket, place, .. } => s3::empty(&clients.s3(target(place)).await, bucket).await,
        Step::DeleteStack { id, place, retain, token, .. } => {
            let client = clients.cloudformation(target(place)).await;
            let retain = Some(retain.clone()).filter(|retain| !retain.is_empty());
            let call = client.delete_stack().stack_name(id).set_retain_resources(retain);
            call.client_request_token(token).send().await.map(drop).map_err(Fault::from)
        }
    }
}
