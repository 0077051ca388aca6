//! What would stop, and what has become of it. Pure, from what was seen.

use serde::Serialize;

use super::Scope;
use crate::deploy::{LiveStack, Phase, StackStatus, World};

/// What stops, or stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cancellation {
    /// The environment.
    pub environment: String,
    /// Whether it is done.
    pub is_done: bool,
    /// The stacks that were busy, in the order of the file.
    pub stacks: Vec<StackCancellation>,
}

/// What becomes, or became, of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackCancellation {
    /// The stack.
    pub stack: String,
    /// In a word.
    pub fate: Fate,
    /// Its status now.
    pub status: StackStatus,
}

/// What becomes of what a stack was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its update will be stopped.
    ToStop,
    /// It is on its way back already, or past the point of return.
    ToWaitFor,
    /// It cannot be stopped.
    CannotStop,
    /// It was undone.
    Undone,
    /// It came to its end before.
    TooLate,
}

/// Says what would stop.
pub fn prospect(scope: &Scope, now: &World) -> Cancellation {
    let fate = |live: &LiveStack| match &live.status {
        StackStatus::UpdateInProgress => Some(Fate::ToStop),
        StackStatus::CreateInProgress | StackStatus::DeleteInProgress | StackStatus::ImportInProgress => {
            Some(Fate::CannotStop)
        }
        status if status.phase() == Phase::Busy => Some(Fate::ToWaitFor),
        _ => None,
    };
    cancellation(scope, now, false, |_, live| fate(live))
}

/// Says what became of what was busy at the first look.
pub fn report(scope: &Scope, first: &World, now: &World) -> Cancellation {
    let fate = |name: &str, live: &LiveStack| {
        let was_busy = first.stacks.get(name).is_some_and(|first| first.status.phase() == Phase::Busy);
        was_busy.then_some(match &live.status {
            StackStatus::UpdateComplete => Fate::TooLate,
            _ => Fate::Undone,
        })
    };
    cancellation(scope, now, true, fate)
}

fn cancellation(
    scope: &Scope,
    now: &World,
    is_done: bool,
    fate: impl Fn(&str, &LiveStack) -> Option<Fate>,
) -> Cancellation {
    let stacks = scope.stacks.iter().filter_map(|stack| {
        let live = now.stacks.get(&stack.name)?;
        let fate = fate(&stack.name, live)?;
        Some(StackCancellation { stack: stack.name.clone(), fate, status: live.status.clone() })
    });
    Cancellation { environment: scope.environment.clone(), is_done, stacks: stacks.collect() }
}
