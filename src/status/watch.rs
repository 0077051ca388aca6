//! `status --watch`: what has changed between two looks. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::{StackState, Status};
use crate::deploy::Phase;

/// One thing that has changed, or how it is at the first look.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// When it was seen, by the cloud's clock.
    pub seen: Option<Timestamp>,
    /// The environment.
    pub environment: String,
    /// What has changed.
    #[serde(flatten)]
    pub what: What,
}

/// What has changed. In JSON the field `change` says which.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum What {
    /// A stack of the file.
    Stack(StackState),
    /// A stack that the file does not name has come.
    StrayCame {
        /// Its name.
        stack: String,
    },
    /// A stack that the file does not name has gone.
    StrayWent {
        /// Its name.
        stack: String,
    },
}

/// Says what has changed since the last look; everything at the first.
pub fn changes(before: Option<&Status>, now: &Status) -> Vec<Change> {
    let known = |state: &&StackState| {
        let before = before.and_then(|before| before.stacks.iter().find(|it| it.stack == state.stack));
        before.is_some_and(|before| ageless(before) == ageless(state))
    };
    let stacks = now.stacks.iter().filter(|state| !known(state)).map(|state| What::Stack(state.clone()));
    let strays_before = before.map(|before| before.strays.as_slice()).unwrap_or_default();
    let came = now.strays.iter().filter(|stray| !strays_before.contains(stray));
    let went = strays_before.iter().filter(|stray| !now.strays.contains(stray));
    let strays = came
        .map(|stack| What::StrayCame { stack: stack.clone() })
        .chain(went.map(|stack| What::StrayWent { stack: stack.clone() }));
    let change = |what| Change { seen: now.seen, environment: now.environment.clone(), what };
    stacks.chain(strays).map(change).collect()
}

/// That a stack grows older is no news.
fn ageless(state: &StackState) -> StackState {
    StackState { age_seconds: None, ..state.clone() }
}

/// Whether nothing is under way.
pub fn is_at_rest(status: &Status) -> bool {
    let is_busy = |state: &StackState| state.status.as_ref().is_some_and(|status| status.phase() == Phase::Busy);
    !status.stacks.iter().any(is_busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::StackStatus;

    fn status(stacks: &[(&str, StackStatus, i64)], strays: &[&str]) -> Status {
        let state = |(stack, status, age): &(&str, StackStatus, i64)| StackState {
            stack: (*stack).to_owned(),
            status: Some(status.clone()),
            age_seconds: Some(*age),
            ..StackState::default()
        };
        Status {
            environment: "lab".to_owned(),
            stacks: stacks.iter().map(state).collect(),
            strays: strays.iter().map(|stray| (*stray).to_owned()).collect(),
            ..Status::default()
        }
    }

    fn names(before: Option<&Status>, now: &Status) -> Vec<String> {
        let name = |change: Change| match change.what {
            What::Stack(state) => state.stack,
            What::StrayCame { stack } => format!("+{stack}"),
            What::StrayWent { stack } => format!("-{stack}"),
        };
        changes(before, now).into_iter().map(name).collect()
    }

    #[test]
    fn tells_everything_first_and_then_only_what_changed() {
        let first = status(&[("a", StackStatus::CreateInProgress, 1), ("b", StackStatus::CreateComplete, 1)], &["old"]);
        let then = status(&[("a", StackStatus::CreateComplete, 9), ("b", StackStatus::CreateComplete, 9)], &["new"]);
        assert_eq!(names(None, &first), ["a", "b", "+old"]);
        assert_eq!(names(Some(&first), &then), ["a", "+new", "-old"]);
        assert_eq!(names(Some(&then), &then), [""; 0]);
    }

    #[test]
    fn rest_is_when_nothing_is_under_way() {
        assert!(!is_at_rest(&status(&[("a", StackStatus::UpdateRollbackInProgress, 1)], &[])));
        assert!(is_at_rest(&status(&[("a", StackStatus::UpdateRollbackFailed, 1)], &[])));
        assert!(is_at_rest(&status(&[], &[])));
    }
}
