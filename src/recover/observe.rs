//! Looks at stacks that may be stuck: why, and what is in them.

use super::ways::last_failures;
use super::{Act, Chosen, Scope, ScopedStack};
use crate::aws::{Clients, Fault, s3};
use crate::deploy::marks;
use crate::deploy::observe::{Depth, Observer, target};
use crate::deploy::world::{Contents, NestedStack, Wish};
use crate::deploy::{LiveStack, Phase, Place, StackStatus, World};

/// How many failed nested stacks are looked into.
const NESTED_MAX: usize = 64;

/// Looks at all stacks of an environment, and into those that are stuck.
///
/// # Errors
/// What a call ended with.
pub async fn survey(clients: &Clients, scope: &Scope) -> Result<World, Fault> {
    let observer = Observer::new(clients);
    let wish = |stack: &ScopedStack| Wish {
        label: stack.name.clone(),
        stack_name: stack.stack_name.clone(),
        place: stack.place.clone(),
    };
    let wishes: Vec<Wish> = scope.stacks.iter().map(wish).collect();
    let mut world = observer.look_at(&wishes, |stack, place| is_stray(scope, stack, place)).await?;
    let mut contents = Vec::new();
    for wish in &wishes {
        if let Some(live) = world.stacks.get_mut(&wish.label) {
            contents.extend(look_into(clients, &observer, &wish.place, live).await?);
        }
    }
    for stray in &mut world.strays {
        contents.extend(look_into(clients, &observer, &stray.place, &mut stray.stack).await?);
    }
    world.contents.extend(contents);
    Ok(world)
}

async fn look_into(
    clients: &Clients,
    observer: &Observer<'_>,
    place: &Place,
    live: &mut LiveStack,
) -> Result<Vec<(String, Contents)>, Fault> {
    if !matches!(live.status.phase(), Phase::Stuck(_) | Phase::Empty) {
        return Ok(Vec::new());
    }
    observer.look_into(place, live, Depth::Resources).await?;
    if live.status == StackStatus::UpdateRollbackFailed {
        live.nested.extend(failed_nested(observer, place, live).await?);
    }
    let mut contents = Vec::new();
    let is_in_the_way = |it: &&crate::deploy::world::LiveResource| {
        it.kind == "AWS::S3::Bucket" && it.status == "DELETE_FAILED" && live.status == StackStatus::DeleteFailed
    };
    for bucket in live.resources.iter().filter(is_in_the_way).filter_map(|it| it.physical_id.clone()) {
        let client = clients.s3(target(place)).await;
        let counted = match s3::count(&client, &bucket).await {
            // Who may not look into a bucket has the other ways all the same.
            Err(Fault::Denied { .. }) => None,
            counted => counted?,
        };
        contents.extend(counted.map(|counted| (bucket, contents_of(counted))));
    }
    Ok(contents)
}

/// What was counted in a bucket, in our words.
pub fn contents_of(counted: s3::Counted) -> Contents {
    let s3::Counted { versions, markers, bytes, is_more, next } = counted;
    Contents { versions, markers, bytes, is_more, next }
}

/// The nested stacks that could not be undone, and those within them.
async fn failed_nested(observer: &Observer<'_>, place: &Place, live: &LiveStack) -> Result<Vec<NestedStack>, Fault> {
    let inner = |id: &str, events: &[_]| -> Vec<String> {
        last_failures(id, events).iter().filter_map(|event| event.nested_stack()).map(str::to_owned).collect()
    };
    let mut open = inner(&live.id, &live.events);
    let mut found: Vec<NestedStack> = Vec::new();
    while let Some(id) = open.pop().filter(|_| found.len() < NESTED_MAX) {
        let events = observer.history(place, &id).await?;
        open.extend(inner(&id, &events));
        found.push(NestedStack { id, events });
    }
    Ok(found)
}

fn is_stray(scope: &Scope, stack: &LiveStack, place: &Place) -> bool {
    let name = (place.account.clone(), place.region.clone(), stack.name.clone());
    scope.with_strays
        && marks::is_of_environment(&stack.tags, &scope.project, &scope.environment_word)
        && !scope.named.contains(&name)
}

/// Looks at the stacks that a way was chosen for, by their ARNs: a deleted one is seen by nothing else.
///
/// # Errors
/// What a call ended with.
pub async fn observe(clients: &Clients, observer: &Observer<'_>, chosen: &[Chosen]) -> Result<World, Fault> {
    let wish = |one: &Chosen| Wish { label: one.stack.clone(), stack_name: one.id.clone(), place: one.place.clone() };
    let wishes: Vec<Wish> = chosen.iter().map(wish).collect();
    let mut world = observer.look_at(&wishes, |_, _| false).await?;
    observer.look_at_progress(&wishes, &mut world).await?;
    for one in chosen {
        let Act::EmptyAndDelete { buckets } = &one.act else { continue };
        for (_, bucket) in buckets {
            let client = clients.s3(target(&one.place)).await;
            let seen = s3::look(&client, bucket).await?;
            world.contents.extend(seen.map(|counted| (bucket.clone(), contents_of(counted))));
        }
    }
    Ok(world)
}
