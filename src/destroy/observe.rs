//! Looks at the stacks of an environment that is to go. Once seen, a stack is asked for by its ARN: a deleted one is seen by
//! nothing else, and another of its name is another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use super::evidence::Trace;
use super::{BUCKET, Doomed, DoomedStack, World};
use crate::aws::{Clients, Fault, s3};
use crate::deploy::Place;
use crate::deploy::marks;
use crate::deploy::observe::{Depth, Observer, deleted, target, traced};
use crate::deploy::plan::stray_name;
use crate::deploy::world::{Contents, LiveResource, LiveStack, Phase, StackStatus, Wish};

/// Looks, and remembers the ARNs of what it saw.
#[derive(Debug)]
pub struct DoomedObserver<'clients> {
    clients: &'clients Clients,
    observer: Observer<'clients>,
    seen: Mutex<HashMap<String, Seen>>,
}

/// What is remembered of a stack.
#[derive(Clone, Debug, Default)]
struct Seen {
    id: String,
    /// Its resources, as they were looked at last.
    resources: Vec<LiveResource>,
    /// Its last operation, where that was seen to fail at a deletion.
    failed: BTreeSet<String>,
}

impl<'clients> DoomedObserver<'clients> {
    /// Remembers nothing yet.
    pub fn new(clients: &'clients Clients) -> Self {
        Self { clients, observer: Observer::new(clients), seen: Mutex::default() }
    }

    /// Looks at everything that is to go, with its resources and what their policies say.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn observe(&self, doomed: &Doomed) -> Result<World, Fault> {
        let wishes = self.wishes(doomed);
        let mut world = self.observer.look_at(&wishes, |stack, place| is_stray(doomed, stack, place)).await?;
        for wish in &wishes {
            let Some(live) = world.stacks.get_mut(&wish.label) else { continue };
            if live.status.phase() == Phase::Gone {
                // What was in its way at last may have been left behind.
                live.resources = self.seen().get(&wish.label).map(|seen| seen.resources.clone()).unwrap_or_default();
                continue;
            }
            let is_new = self.look_into(wish, live).await?;
            let failed = self.seen().get(&wish.label).map_or(0, |seen| seen.failed.len());
            world.failed_deletions.insert(wish.label.clone(), failed);
            let found = self.contents(&wish.place, live, is_new).await?;
            world.contents.extend(found);
        }
        for stray in &mut world.strays {
            self.observer.look_into(&stray.place, &mut stray.stack, Depth::Resources).await?;
            let found = self.contents(&stray.place, &stray.stack, true).await?;
            world.contents.extend(found);
        }
        Ok(world)
    }

    /// What is lost is said before the first step, and asked for once; what is in the way, after a deletion that failed. Says whether
    /// this is the first look.
    async fn look_into(&self, wish: &Wish, live: &mut LiveStack) -> Result<bool, Fault> {
        let known = self.seen().get(&wish.label).cloned();
        let has_failed = live.status == StackStatus::DeleteFailed;
        let depth = if known.is_none() || has_failed { Depth::Resources } else { Depth::Events };
        self.observer.look_into(&wish.place, live, depth).await?;
        let is_new = known.is_none();
        let mut seen = known.unwrap_or_default();
        seen.id.clone_from(&live.id);
        if depth == Depth::Resources {
            seen.resources.clone_from(&live.resources);
        } else {
            live.resources.clone_from(&seen.resources);
        }
        if has_failed {
            seen.failed.insert(live.last_operation.clone());
        }
        self.seen().insert(wish.label.clone(), seen);
        Ok(is_new)
    }

    /// What is in the buckets of a stack: counted at the first look, which is shown, and afterwards only whether there is anything.
    async fn contents(
        &self,
        place: &Place,
        live: &LiveStack,
        is_new: bool,
    ) -> Result<BTreeMap<String, Contents>, Fault> {
        let mut found = BTreeMap::new();
        if live.status.phase() == Phase::Busy && !is_new {
            return Ok(found);
        }
        let buckets = live.resources.iter().filter(|it| it.kind == BUCKET && !it.is_gone());
        for bucket in buckets.filter_map(|it| it.physical_id.as_ref()) {
            let client = self.clients.s3(target(place)).await;
            let counted = if is_new { s3::count(&client, bucket).await } else { s3::look(&client, bucket).await };
            // Who may not look into a bucket may still delete it, if it is empty.
            let counted = match counted {
                Err(Fault::Denied { .. }) => None,
                counted => counted?,
            };
            if let Some(s3::Counted { versions, markers, bytes, is_more, next }) = counted {
                found.insert(bucket.clone(), Contents { versions, markers, bytes, is_more, next });
            }
        }
        Ok(found)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seen>> {
        // Whoever panicked left entries that are each whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wishes(&self, doomed: &Doomed) -> Vec<Wish> {
        let seen = self.seen();
        let wish = |stack: &super::DoomedStack| Wish {
            label: stack.name.clone(),
            stack_name: seen.get(&stack.name).map_or(&stack.stack_name, |seen| &seen.id).clone(),
            place: stack.place.clone(),
        };
        doomed.stacks.iter().map(wish).collect()
    }
}

/// Looks for every stack of the environment, and for those of them that are gone already.
///
/// # Errors
/// What a call ended with.
pub async fn trace(clients: &Clients, doomed: &Doomed) -> Result<Vec<Trace>, Fault> {
    let observer = DoomedObserver::new(clients);
    let wishes = observer.wishes(doomed);
    let world = observer.observer.look_at(&wishes, |stack, place| is_stray(doomed, stack, place)).await?;
    let mut ids: Vec<(String, Place, String)> = Vec::new();
    for stray in &world.strays {
        ids.push((stray_name(stray), stray.place.clone(), stray.stack.id.clone()));
    }
    let mut gone: BTreeMap<&Place, Vec<&DoomedStack>> = BTreeMap::new();
    for stack in &doomed.stacks {
        match world.stacks.get(&stack.name).filter(|live| live.status.phase() != Phase::Gone) {
            Some(live) => ids.push((stack.name.clone(), stack.place.clone(), live.id.clone())),
            None => gone.entry(&stack.place).or_default().push(stack),
        }
    }
    let mut traces = trace_again(clients, &ids).await?;
    for (place, stacks) in gone {
        traces.extend(trace_gone(clients, doomed, place, &stacks).await?);
    }
    Ok(traces)
}

/// Looks at these stacks: the name in the environment, the place, the ARN of each.
///
/// # Errors
/// What a call ended with.
pub async fn trace_again(clients: &Clients, ids: &[(String, Place, String)]) -> Result<Vec<Trace>, Fault> {
    let mut traces = Vec::with_capacity(ids.len());
    for (stack, place, id) in ids {
        let found = traced(&clients.cloudformation(target(place)).await, id).await?;
        traces.extend(found.map(|live| Trace { stack: stack.clone(), place: place.clone(), live }));
    }
    Ok(traces)
}

/// Of each of these names, the stack of this environment that was deleted last.
async fn trace_gone(
    clients: &Clients,
    doomed: &Doomed,
    place: &Place,
    stacks: &[&DoomedStack],
) -> Result<Vec<Trace>, Fault> {
    let client = clients.cloudformation(target(place)).await;
    let names: BTreeSet<&str> = stacks.iter().map(|stack| stack.stack_name.as_str()).collect();
    let ids = deleted(&client, &names).await?;
    let mut traces = Vec::new();
    for stack in stacks {
        for id in ids.get(&stack.stack_name).into_iter().flatten() {
            let Some(live) = traced(&client, id).await? else { continue };
            if marks::is_of_environment(&live.tags, &doomed.project, &doomed.environment_word) {
                traces.push(Trace { stack: stack.name.clone(), place: place.clone(), live });
                break;
            }
        }
    }
    Ok(traces)
}

fn is_stray(doomed: &Doomed, stack: &LiveStack, place: &Place) -> bool {
    let name = (place.account.clone(), place.region.clone(), stack.name.clone());
    marks::is_of_environment(&stack.tags, &doomed.project, &doomed.environment_word) && !doomed.named.contains(&name)
}
