//! Looks at the stacks of an environment that is to go. Once seen, a stack is asked for by its ARN: a deleted one is seen by
//! nothing else, and another of its name is another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Doomed, World};
use crate::aws::{Clients, Fault};
use crate::deploy::Place;
use crate::deploy::marks;
use crate::deploy::observe::{Depth, Observer};
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

fn is_stray(doomed: &Doomed, stack: &LiveStack, place: &Place) -> bool {
    let name = (place.account.clone(), place.region.clone(), stack.name.clone());
    marks::is_of_environment(&stack.tags, &doomed.project, &doomed.environment_word) && !doomed.named.contains(&name)
}
