//! `status` and `outputs`: an environment as it is, from one look. Nothing is decided here, and nothing waited for.

pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::deploy::desired::{named, place};
use crate::deploy::lifetime::{after, born, is_extension, until};
use crate::deploy::marks;
use crate::deploy::plan::stray_name;
use crate::deploy::world::{FirstFailure, Wish};
use crate::deploy::{LiveStack, Phase, Place, Progress, StackStatus, World};
use crate::environment::{Environment, Stack};

/// An environment as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// When it was seen, by the cloud's clock.
    #[serde(skip)]
    pub seen: Option<Timestamp>,
    /// The environment.
    pub environment: String,
    /// Its stacks, in the order of the file.
    pub stacks: Vec<StackState>,
    /// Stacks that are gone from the file and still there.
    pub strays: Vec<String>,
    /// When its lifetime ends, counted from the creation of its oldest stack, or later where it was extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Seconds until then; fewer than none where it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<i64>,
}

/// A stack as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StackState {
    /// Its name in the environment.
    pub stack: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Its status; nothing where it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StackStatus>,
    /// Whether it bears our marks.
    pub is_ours: bool,
    /// The revision of the repository it was deployed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Seconds since it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// How far the operation is that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Why its last operation failed, or is failing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FirstFailure>,
    /// What it hands on.
    pub outputs: BTreeMap<String, String>,
}

/// What has to be looked at.
pub fn wishes(environment: &Environment) -> Vec<Wish> {
    let wish = |stack: &Stack| Wish {
        label: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        place: place(stack),
    };
    environment.stacks.iter().map(wish).collect()
}

/// Whether a stack bears the environment's marks without being named by its file.
pub fn is_stray(environment: &Environment, stack: &LiveStack, place: &Place) -> bool {
    let name = (place.account.clone(), place.region.clone(), stack.name.clone());
    marks::is_of_environment(&stack.tags, &environment.project, &environment.name.word())
        && !named(environment).contains(&name)
}

/// Says how an environment is.
pub fn status(environment: &Environment, world: &World) -> Status {
    let stacks: Vec<StackState> =
        environment.stacks.iter().map(|stack| state(stack, world.stacks.get(&stack.name), world.now)).collect();
    let lifetime = environment.lifetime.as_ref().map(|lifetime| lifetime.value);
    let expires = expiry(lifetime, world);
    let strays = world.strays.iter().filter(|stray| !is_extension(&stray.stack));
    Status {
        seen: world.now,
        environment: environment.name.to_string(),
        stacks,
        strays: strays.map(stray_name).collect::<BTreeSet<_>>().into_iter().collect(),
        expires,
        expires_in_seconds: expires.zip(world.now).map(|(expires, now)| expires.duration_since(now).as_secs()),
    }
}

fn expiry(lifetime: Option<Duration>, world: &World) -> Option<Timestamp> {
    let end = after(born(world.stacks.values())?, lifetime?)?;
    let extensions = world.strays.iter().map(|stray| &stray.stack).filter(|live| is_extension(live));
    extensions.filter_map(|extension| until(extension).ok()).chain([end]).max()
}

fn state(stack: &Stack, live: Option<&LiveStack>, now: Option<Timestamp>) -> StackState {
    let live = live.filter(|live| live.status.phase() != Phase::Gone);
    let mark = live.and_then(|live| marks::read(live.description.as_deref()?));
    let age = live.and_then(|live| Some(now?.duration_since(live.created?).as_secs()));
    StackState {
        stack: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        status: live.map(|live| live.status.clone()),
        is_ours: live.is_some_and(|live| marks::owner(&live.tags, &stack.tags) == marks::Owner::Us),
        revision: mark.and_then(|mark| mark.revision),
        age_seconds: age,
        progress: live.filter(|live| live.status.phase() == Phase::Busy).map(LiveStack::progress),
        failure: live.and_then(failure),
        outputs: live.map(|live| live.outputs.clone()).unwrap_or_default(),
    }
}

fn failure(live: &LiveStack) -> Option<FirstFailure> {
    let has_failed = live.status.is_bad_end() || live.first_cause().is_some();
    Some(live.first_failure()).filter(|failure| has_failed && *failure != FirstFailure::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn born(second: i64, status: StackStatus) -> LiveStack {
        LiveStack { created: Timestamp::from_second(second).ok(), status, ..LiveStack::default() }
    }

    #[test]
    fn a_lifetime_is_counted_from_the_oldest_stack() {
        let stacks = [
            ("network".to_owned(), born(100, StackStatus::CreateComplete)),
            ("database".to_owned(), born(200, StackStatus::CreateComplete)),
            ("planned".to_owned(), born(1, StackStatus::ReviewInProgress)),
        ];
        let world = World { stacks: stacks.into(), ..World::default() };
        assert_eq!(expiry(Some(Duration::from_mins(1)), &world), Timestamp::from_second(160).ok());
        assert_eq!(expiry(None, &world), None);
        assert_eq!(expiry(Some(Duration::from_mins(1)), &World::default()), None);
    }
}
