//! Does one step.

use super::Step;
use crate::aws::{Clients, Fault, s3};
use crate::deploy::apply::delete_stack;
use crate::deploy::observe::target;

/// Does one step.
///
/// # Errors
/// What the call ended with, unless somebody was merely faster.
pub async fn apply(clients: &Clients, step: &Step) -> Result<(), Fault> {
    let done = match step {
        Step::EmptyBucket { bucket, place, .. } => s3::empty(&clients.s3(target(place)).await, bucket).await,
        Step::DeleteStack { id, place, retain, token, .. } if retain.is_empty() => {
            delete_stack(&clients.cloudformation(target(place)).await, id, token).await
        }
        Step::DeleteStack { id, place, retain, token, .. } => {
            let client = clients.cloudformation(target(place)).await;
            let call = client.delete_stack().stack_name(id).set_retain_resources(Some(retain.clone()));
            call.client_request_token(token).send().await.map(drop).map_err(Fault::from)
        }
    };
    match done {
        Err(fault) if fault.is_overtaken() => Ok(()),
        done => done,
    }
}
