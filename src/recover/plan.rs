//! Decides what is left to do on the ways that were chosen. Pure.

use super::{Act, Chosen, Reason, Step};
use crate::deploy::marks;
use crate::deploy::plan::{deletion_token, has_moved};
use crate::deploy::{LiveStack, Phase, World};
use crate::operation::{About, Plan};

/// Says all that is left to do.
pub fn plan(chosen: &[Chosen], first: &World, now: &World) -> Plan<Step, Reason> {
    let (mut steps, mut waiting, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    for one in chosen {
        let Some(live) = now.stacks.get(&one.stack) else { continue };
        match standing(one, first.stacks.get(&one.stack), live, now) {
            Standing::Free => {}
            Standing::Go(step) => steps.push(step),
            Standing::Wait(reason) => waiting.push(reason),
            Standing::Fail(reason) => causes.push(reason),
        }
    }
    // What others do comes to its end first: one way that leads nowhere says nothing about another.
    if !(steps.is_empty() && waiting.is_empty()) {
        return Plan::Going { now: steps, waiting, then: Vec::new() };
    }
    if causes.is_empty() {
        return Plan::Converged;
    }
    let running = waiting.into_iter().filter(About::is_running).collect();
    Plan::Failed { causes, waiting: running }
}

enum Standing {
    Free,
    Go(Step),
    Wait(Reason),
    Fail(Reason),
}

fn standing(chosen: &Chosen, first: Option<&LiveStack>, live: &LiveStack, now: &World) -> Standing {
    let (stack, status) = (chosen.stack.clone(), live.status.clone());
    match live.status.phase() {
        Phase::Busy => return Standing::Wait(Reason::Busy { stack, status, progress: live.progress() }),
        Phase::Gone | Phase::Steady => return Standing::Free,
        Phase::Empty | Phase::Stuck(_) => {}
    }
    let has_ended = first.is_none_or(|first| first.status.phase() != Phase::Empty && has_moved(first, live));
    if chosen.act == Act::Await {
        // Whatever it came to is looked at anew.
        return Standing::Free;
    }
    let is_turned_down = first.is_some_and(|first| first.status_reason != live.status_reason);
    if has_ended || (chosen.act.deletes() && is_turned_down) {
        return Standing::Fail(Reason::StillStuck { stack, status, failure: failure(live) });
    }
    step(chosen, live, now).map_or(Standing::Free, Standing::Go)
}

fn failure(live: &LiveStack) -> crate::deploy::world::FirstFailure {
    if live.status == crate::deploy::StackStatus::UpdateRollbackFailed {
        return live.rollback_failure();
    }
    live.first_failure()
}

fn step(chosen: &Chosen, live: &LiveStack, now: &World) -> Option<Step> {
    let (stack, id, place) = (chosen.stack.clone(), live.id.clone(), chosen.place.clone());
    let token = |what: &str| marks::digest([live.id.as_str(), &live.last_operation, what]);
    Some(match &chosen.act {
        Act::Await => return None,
        Act::ContinueRollback { skip } => {
            let token = token(&format!("continue {}", skip.join(",")));
            Step::ContinueRollback { stack, id, place, skip: skip.clone(), token }
        }
        Act::RollBack => Step::RollBack { stack, id, place, token: token("roll back") },
        Act::Delete { unprotects: true, .. } if live.is_termination_protected => Step::Unprotect { stack, id, place },
        Act::Delete { retain, .. } => {
            let token = token(&format!("delete {}", retain.join(",")));
            Step::DeleteStack { stack, id, place, retain: retain.clone(), token }
        }
        Act::EmptyAndDelete { buckets } => {
            let full = buckets.iter().find_map(|(resource, bucket)| {
                let contents = now.contents.get(bucket).filter(|contents| !contents.is_empty())?;
                Some((resource.clone(), bucket.clone(), contents.next.clone()))
            });
            match full {
                Some((resource, bucket, next)) => Step::EmptyBucket { stack, resource, bucket, place, next },
                None => Step::DeleteStack { stack, id, place, retain: Vec::new(), token: deletion_token(live) },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::world::Contents;

    /// `STATUS operation`, and `protected`, `canceled`.
    fn world(words: &str) -> World {
        let words: Vec<&str> = words.split(' ').collect();
        let live = LiveStack {
            id: "arn:api".to_owned(),
            status: words[0].parse().unwrap_or_default(),
            last_operation: words[1].to_owned(),
            is_termination_protected: words.contains(&"protected"),
            status_reason: words.contains(&"canceled").then(|| "Delete canceled. Cannot delete export X".to_owned()),
            ..LiveStack::default()
        };
        World { stacks: [("api".to_owned(), live)].into(), ..World::default() }
    }

    fn read(act: &Act, first: &World, now: &World) -> String {
        let chosen = Chosen {
            stack: "api".to_owned(),
            id: "arn:api".to_owned(),
            place: crate::deploy::Place::default(),
            act: act.clone(),
        };
        let plan = plan(&[chosen], first, now);
        assert_eq!(plan.flaw(), None, "{plan:?}");
        match &plan {
            Plan::Converged => "free".to_owned(),
            Plan::Going { now, waiting, .. } => {
                let steps = now.iter().map(ToString::to_string);
                steps.chain(waiting.iter().map(|it| format!("wait: {it}"))).collect::<Vec<_>>().join("; ")
            }
            Plan::Refused { because, .. } => format!("refuse: {because:?}"),
            Plan::Failed { causes, .. } => causes.iter().map(ToString::to_string).collect(),
        }
    }

    #[track_caller]
    fn check(act: &Act, first: &str, now: &str, expectation: &str) {
        assert_eq!(read(act, &world(first), &world(now)), expectation);
    }

    const AGAIN: Act = Act::ContinueRollback { skip: Vec::new() };

    fn delete(unprotects: bool) -> Act {
        Act::Delete { retain: Vec::new(), unprotects }
    }

    #[test]
    fn what_is_stuck_is_helped_once_and_waited_for() {
        let stuck = "UPDATE_ROLLBACK_FAILED a";
        check(&AGAIN, stuck, stuck, "undo the rest of the update of stack `api`");
        check(&AGAIN, stuck, "UPDATE_ROLLBACK_IN_PROGRESS b", "wait: failed, rolling back");
        check(&AGAIN, stuck, "UPDATE_ROLLBACK_COMPLETE b", "free");
        check(&AGAIN, stuck, "UPDATE_ROLLBACK_FAILED b", "stack `api` is still stuck, UPDATE_ROLLBACK_FAILED");
        check(&Act::RollBack, "UPDATE_FAILED a", "UPDATE_FAILED a", "undo the update of stack `api`");
        check(
            &Act::RollBack,
            "UPDATE_FAILED a",
            "UPDATE_ROLLBACK_FAILED b",
            "stack `api` is still stuck, UPDATE_ROLLBACK_FAILED",
        );
    }

    #[test]
    fn what_is_gone_is_free() {
        let act = delete(false);
        check(&act, "DELETE_FAILED a", "DELETE_FAILED a", "delete stack `api`");
        check(&act, "DELETE_FAILED a", "DELETE_IN_PROGRESS b", "wait: deleting");
        check(&act, "DELETE_FAILED a", "DELETE_COMPLETE b", "free");
        check(&act, "REVIEW_IN_PROGRESS a", "REVIEW_IN_PROGRESS a", "delete stack `api`");
    }

    #[test]
    fn a_guard_is_taken_off_only_on_a_way_that_says_so() {
        let stuck = "ROLLBACK_COMPLETE a protected";
        check(&delete(true), stuck, stuck, "take termination protection off stack `api`");
        check(&delete(true), stuck, "ROLLBACK_COMPLETE a", "delete stack `api`");
        check(&delete(false), stuck, stuck, "delete stack `api`");
    }

    #[test]
    fn a_deletion_that_is_turned_down_leads_nowhere() {
        let (first, now) = ("UPDATE_FAILED a", "UPDATE_FAILED a canceled");
        check(
            &delete(false),
            first,
            now,
            "stack `api` is still stuck, UPDATE_FAILED: Delete canceled. Cannot delete export X",
        );
    }

    #[test]
    fn a_bucket_is_emptied_before_its_stack_goes() {
        let act = Act::EmptyAndDelete { buckets: vec![("Bucket".to_owned(), "papers".to_owned())] };
        let mut full = world("DELETE_FAILED a");
        full.contents.insert("papers".to_owned(), Contents { versions: 3, ..Contents::default() });
        assert_eq!(read(&act, &full, &full), "empty bucket `papers`");
        let empty = world("DELETE_FAILED a");
        assert_eq!(read(&act, &full, &empty), "delete stack `api`");
    }

    #[test]
    fn what_is_only_waited_for_may_end_as_it_likes() {
        check(
            &Act::Await,
            "UPDATE_ROLLBACK_IN_PROGRESS a",
            "UPDATE_ROLLBACK_IN_PROGRESS a",
            "wait: failed, rolling back",
        );
        check(&Act::Await, "UPDATE_ROLLBACK_IN_PROGRESS a", "UPDATE_ROLLBACK_FAILED a", "free");
    }
}
