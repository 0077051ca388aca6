//! Looks at the stacks of an environment that is to go. Once seen, a stack is asked for by its ARN: a deleted one is seen by
//! nothing else, and another of its name is another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use super::evidence::Trace;
use super::{Doomed, DoomedStack, World};
use crate::aws::{Clients, Fault};
use crate::deploy::Place;
use crate::deploy::marks;
use crate::deploy::observe::{Depth, Observer, deleted, target, traced};
use crate::deploy::plan::stray_name;
use crate::deploy::world::{LiveStack, Phase, Wish};

/// Looks, and remembers the ARNs of what it saw.
#[derive(Debug)]
pub struct DoomedObserver<'clients> {
    observer: Observer<'clients>,
    ids: Mutex<HashMap<String, String>>,
}

impl<'clients> DoomedObserver<'clients> {
    /// Remembers nothing yet.
    pub fn new(clients: &'clients Clients) -> Self {
        Self { observer: Observer::new(clients), ids: Mutex::default() }
    }

    /// Looks at everything that is to go, with its resources and what their policies say.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn observe(&self, doomed: &Doomed) -> Result<World, Fault> {
        let wishes = self.wishes(doomed);
        let mut world = self.observer.look_at(&wishes, |stack, place| is_stray(doomed, stack, place)).await?;
        for wish in &wishes {
            let Some(live) = world.stacks.get_mut(&wish.label).filter(|live| live.status.phase() != Phase::Gone) else {
                continue;
            };
            // What is lost is said before the first step, and asked for once.
            let is_new = self.ids().insert(wish.label.clone(), live.id.clone()).is_none();
            let depth = if is_new { Depth::Resources } else { Depth::Events };
            self.observer.look_into(&wish.place, live, depth).await?;
        }
        for stray in &mut world.strays {
            self.observer.look_into(&stray.place, &mut stray.stack, Depth::Resources).await?;
        }
        Ok(world)
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        // Whoever panicked left ARNs that are each whole.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wishes(&self, doomed: &Doomed) -> Vec<Wish> {
        let ids = self.ids();
        let wish = |stack: &super::DoomedStack| Wish {
            label: stack.name.clone(),
            stack_name: ids.get(&stack.name).unwrap_or(&stack.stack_name).clone(),
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
