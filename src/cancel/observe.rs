//! Looks at the stacks whose updates stop, and how far they are.

use super::{Scope, ScopedStack};
use crate::aws::Fault;
use crate::deploy::World;
use crate::deploy::observe::Observer;
use crate::deploy::world::Wish;

/// Looks at the stacks.
///
/// # Errors
/// What a call ended with.
pub async fn observe(observer: &Observer<'_>, scope: &Scope) -> Result<World, Fault> {
    let wish = |stack: &ScopedStack| Wish {
        label: stack.name.clone(),
        stack_name: stack.stack_name.clone(),
        place: stack.place.clone(),
    };
    let wishes: Vec<Wish> = scope.stacks.iter().map(wish).collect();
    let mut world = observer.look_at(&wishes, |_, _| false).await?;
    observer.look_at_progress(&wishes, &mut world).await?;
    Ok(world)
}
