//! Reads the past of stacks: all events that CloudFormation still tells of. A stack that is gone is looked for among the deleted,
//! which CloudFormation shows for 90 days.

use std::collections::BTreeSet;

use super::Past;
use super::history::grouped;
use crate::aws::{Clients, Fault};
use crate::deploy::marks;
use crate::deploy::observe::{Observer, deleted, target, traced};
use crate::deploy::world::{LiveStack, Phase, Wish};

/// Whose stacks are meant where several of a name have been deleted.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The value of the mark `greenroom:project`.
    pub project: &'a str,
    /// The value of the mark `greenroom:environment`.
    pub environment: &'a str,
}

/// Reads the past of each stack; nothing of those that never were.
///
/// # Errors
/// What a call ended with.
pub async fn pasts(clients: &Clients, owner: Owner<'_>, wishes: &[Wish]) -> Result<Vec<Option<Past>>, Fault> {
    let observer = Observer::new(clients);
    let world = observer.look_at(wishes, |_, _| false).await?;
    let mut pasts = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let live = match world.stacks.get(&wish.label).filter(|live| live.status.phase() != Phase::Gone) {
            Some(live) => Some(live.clone()),
            None => last_deleted(clients, owner, wish).await?,
        };
        pasts.push(match live {
            Some(live) => Some(past(clients, &observer, wish, live).await?),
            None => None,
        });
    }
    Ok(pasts)
}

async fn past(clients: &Clients, observer: &Observer<'_>, wish: &Wish, live: LiveStack) -> Result<Past, Fault> {
    let events = observer.history(&wish.place, &live.id).await?;
    let mut nested = Vec::new();
    for group in grouped(&live, &events).into_iter().rev() {
        let of_group = LiveStack { events: group.to_vec(), ..live.clone() };
        nested.push(observer.follow(&wish.place, &of_group).await?);
    }
    let is_empty = live.status.phase() == Phase::Empty;
    let template = if is_empty { String::new() } else { observer.template(&wish.place, &live.id).await? };
    Ok(Past { live, events, nested, template, now: clients.now() })
}

/// The stack of that name and of this environment that was deleted last.
async fn last_deleted(clients: &Clients, owner: Owner<'_>, wish: &Wish) -> Result<Option<LiveStack>, Fault> {
    let client = clients.cloudformation(target(&wish.place)).await;
    let ids = deleted(&client, &BTreeSet::from([wish.stack_name.as_str()])).await?;
    for id in ids.get(&wish.stack_name).into_iter().flatten() {
        let found = traced(&client, id).await?;
        let is_meant = |live: &LiveStack| marks::is_of_environment(&live.tags, owner.project, owner.environment);
        if let Some(live) = found.filter(is_meant) {
            return Ok(Some(live));
        }
    }
    Ok(None)
}
