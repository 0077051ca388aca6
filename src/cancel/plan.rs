//! Decides which updates may be stopped now. Pure.
//!
//! To stop is the safe direction: what can be stopped is, even where something else cannot. That is refused only when nothing is
//! left to stop.

use super::{Reason, Scope, ScopedStack, Step};
use crate::deploy::marks;
use crate::deploy::plan::has_moved;
use crate::deploy::{LiveStack, StackStatus, World};
use crate::operation::Plan;

/// Says all that is left to do.
pub fn plan(scope: &Scope, first: &World, now: &World) -> Plan<Step, Reason> {
    let (mut steps, mut waiting, mut because, mut causes) = (vec![], vec![], vec![], vec![]);
    for stack in &scope.stacks {
        let Some(live) = now.stacks.get(&stack.name) else { continue };
        match verdict(stack, first.stacks.get(&stack.name), live) {
            Some(Verdict::Stop(step)) => steps.push(step),
            Some(Verdict::Wait(reason)) => waiting.push(reason),
            Some(Verdict::Refuse(reason)) => because.push(reason),
            Some(Verdict::Fail(reason)) => causes.push(reason),
            None => {}
        }
    }
    if !(steps.is_empty() && waiting.is_empty()) {
        return Plan::Going { now: steps, waiting, then: Vec::new() };
    }
    if !causes.is_empty() {
        return Plan::Failed { causes, waiting: because };
    }
    if !because.is_empty() {
        return Plan::Refused { because, waiting: Vec::new() };
    }
    Plan::Converged
}

enum Verdict {
    Stop(Step),
    Wait(Reason),
    Refuse(Reason),
    Fail(Reason),
}

/// Nothing where the stack is at rest, or does what it did not do when this run began: that was not asked to stop.
fn verdict(stack: &ScopedStack, first: Option<&LiveStack>, live: &LiveStack) -> Option<Verdict> {
    let (name, status) = (stack.name.clone(), live.status.clone());
    let is_the_same = first.is_some_and(|first| first.last_operation == live.last_operation);
    match &live.status {
        StackStatus::UpdateInProgress if is_the_same => Some(Verdict::Stop(Step::CancelUpdate {
            stack: name,
            id: live.id.clone(),
            place: stack.place.clone(),
            token: marks::digest([live.id.as_str(), &live.last_operation, "cancel"]),
        })),
        StackStatus::UpdateRollbackInProgress
        | StackStatus::UpdateRollbackCompleteCleanupInProgress
        | StackStatus::UpdateCompleteCleanupInProgress
        | StackStatus::RollbackInProgress
        | StackStatus::ImportRollbackInProgress => {
            Some(Verdict::Wait(Reason::Busy { stack: name, status, progress: live.progress() }))
        }
        StackStatus::CreateInProgress | StackStatus::DeleteInProgress | StackStatus::ImportInProgress
            if is_the_same =>
        {
            Some(Verdict::Refuse(Reason::CannotStop { stack: name, status }))
        }
        StackStatus::UpdateRollbackFailed if first.is_none_or(|first| has_moved(first, live)) => {
            Some(Verdict::Fail(Reason::NotUndone { stack: name, failure: live.rollback_failure() }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::About;

    fn scope() -> Scope {
        let stack = |name: &str| ScopedStack { name: name.to_owned(), ..ScopedStack::default() };
        Scope { environment: "lab".to_owned(), stacks: vec![stack("api"), stack("store")] }
    }

    /// `name STATUS operation`.
    fn world(stacks: &[&str]) -> World {
        let live = |words: &&str| {
            let words: Vec<&str> = words.split(' ').collect();
            let live = LiveStack {
                id: format!("arn:{}", words[0]),
                status: words[1].parse().unwrap_or_default(),
                last_operation: words[2].to_owned(),
                ..LiveStack::default()
            };
            (words[0].to_owned(), live)
        };
        World { stacks: stacks.iter().map(live).collect(), ..World::default() }
    }

    #[track_caller]
    fn check(first: &[&str], now: &[&str], expectation: &[&str]) {
        let plan = plan(&scope(), &world(first), &world(now));
        assert_eq!(plan.flaw(), None, "{plan:?}");
        let ends: Vec<String> = match &plan {
            Plan::Converged => vec!["done".to_owned()],
            Plan::Going { now, .. } => now.iter().map(ToString::to_string).collect(),
            Plan::Refused { because, .. } => because.iter().map(|it| format!("refuse: {it}")).collect(),
            Plan::Failed { causes, .. } => causes.iter().map(|it| format!("fail: {it}")).collect(),
        };
        let about = |reason: &Reason| format!("wait: {}: {reason}", reason.subject().stack.unwrap_or_default());
        let read: Vec<String> = ends.into_iter().chain(plan.waiting().iter().map(about)).collect();
        assert_eq!(read, expectation);
    }

    #[test]
    fn an_update_in_progress_is_stopped_and_its_way_back_awaited() {
        let first = ["api UPDATE_IN_PROGRESS a"];
        check(&first, &first, &["cancel the update of stack `api`"]);
        check(&first, &["api UPDATE_ROLLBACK_IN_PROGRESS b"], &["wait: api: failed, rolling back"]);
        check(&first, &["api UPDATE_ROLLBACK_COMPLETE b"], &["done"]);
    }

    #[test]
    fn what_came_to_its_end_before_is_left_alone() {
        check(&["api UPDATE_IN_PROGRESS a"], &["api UPDATE_COMPLETE a"], &["done"]);
        let late = ["api UPDATE_COMPLETE_CLEANUP_IN_PROGRESS a"];
        check(&late, &late, &["wait: api: updated, clearing away what was replaced"]);
    }

    #[test]
    fn an_update_that_somebody_begins_meanwhile_is_not_stopped() {
        check(&["api UPDATE_IN_PROGRESS a"], &["api UPDATE_IN_PROGRESS c"], &["done"]);
        check(&["api UPDATE_COMPLETE a"], &["api UPDATE_IN_PROGRESS b"], &["done"]);
    }

    #[test]
    fn what_cannot_be_stopped_is_refused_once_all_else_is() {
        let both = ["api UPDATE_IN_PROGRESS a", "store CREATE_IN_PROGRESS b"];
        check(&both, &both, &["cancel the update of stack `api`"]);
        let rest = ["api UPDATE_ROLLBACK_COMPLETE c", "store CREATE_IN_PROGRESS b"];
        let creating = "refuse: stack `store` is CREATE_IN_PROGRESS: a creation cannot be cancelled, only deleted";
        check(&both, &rest, &[creating]);
    }

    #[test]
    fn a_way_back_that_fails_is_a_failure_of_the_run_that_asked_for_it() {
        let failed = ["api UPDATE_ROLLBACK_FAILED b"];
        let expectation = "fail: the update of stack `api` was stopped and could not be undone";
        check(&["api UPDATE_IN_PROGRESS a"], &failed, &[expectation]);
        check(&failed, &failed, &["done"]);
    }
}
