//! Looks at all stacks of all places. Reads, and decides nothing.

use std::collections::BTreeSet;

use super::{Found, World};
use crate::aws::{Clients, Fault};
use crate::deploy::Place;
use crate::deploy::observe::Observer;

/// Adds to a world what is in a place. A stack that another role has shown already is not another.
///
/// # Errors
/// What a call ended with; the world is as it was.
pub async fn look(clients: &Clients, place: &Place, world: &mut World) -> Result<(), Fault> {
    let all = Observer::new(clients).everything(place).await?;
    let known: BTreeSet<String> = world.stacks.iter().map(|found| found.stack.id.clone()).collect();
    let new = all.into_iter().filter(|stack| !known.contains(&stack.id));
    world.stacks.extend(new.map(|stack| Found { place: place.clone(), stack }));
    world.looked_at.push(place.clone());
    world.now = clients.now();
    Ok(())
}
