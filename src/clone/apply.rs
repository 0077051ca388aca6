//! Does one step: one call. Decides nothing.

use super::observe::TwinObserver;
use super::{Desired, Step, removal};
use crate::aws::rds::Copy;
use crate::aws::{Clients, Fault};
use crate::deploy::apply::apply as deploy;
use crate::deploy::observe::target;

/// Does one step.
///
/// # Errors
/// What the call ended with, unless somebody was merely faster.
pub async fn apply(
    clients: &Clients,
    desired: &Desired,
    observer: &TwinObserver<'_>,
    step: &Step,
) -> Result<(), Fault> {
    let done = match step {
        Step::Closed(step) => return deploy(clients, &desired.safe, &observer.deployment, step).await,
        Step::Open(step) => return deploy(clients, &desired.open, &observer.deployment, step).await,
        Step::TakeSnapshot { database, name, place, tags } => {
            clients.rds(target(place)).await.take_snapshot(database, name, tags).await.map(drop)
        }
        Step::CopySnapshot { from, name, key, place, tags, .. } => {
            let copy = Copy { source: from, name, key: key.as_deref(), option_group: None, tags };
            clients.rds(target(place)).await.copy_snapshot(copy).await.map(drop)
        }
        Step::ShareSnapshot { snapshot, account, place } => {
            clients.rds(target(place)).await.share_snapshot(snapshot, account).await
        }
        Step::Mend { database, changes, place } => clients.rds(target(place)).await.modify(database, changes).await,
    };
    overtaken_is_done(done)
}

/// Deletes a snapshot that was made for a target.
///
/// # Errors
/// What the call ended with, unless it is gone already.
pub async fn remove(clients: &Clients, step: &removal::Step) -> Result<(), Fault> {
    let removal::Step::DeleteSnapshot { snapshot, place, .. } = step;
    overtaken_is_done(clients.rds(target(place)).await.delete_snapshot(snapshot).await)
}

fn overtaken_is_done(done: Result<(), Fault>) -> Result<(), Fault> {
    match done {
        Err(fault) if fault.is_overtaken() => Ok(()),
        done => done,
    }
}
