//! Decides which stacks may go now. Pure.

use super::{BUCKET, Doomed, DoomedStack, Reason, Step};
use crate::deploy::marks::{self, CHANGE_SET_PREFIX};
use crate::deploy::plan::{deletion_token, has_ended_badly, has_moved, stray_name};
use crate::deploy::world::Stray;
use crate::deploy::{LiveStack, Phase, Place, StackStatus, World};
use crate::operation::{About, Plan};

/// How often a stack's deletion may fail over a bucket that somebody fills while it is being emptied. What is in the stack and writes
/// there is gone after the first; who still writes then is not ours to stop.
const FAILED_DELETIONS_MAX: usize = 3;

/// Says all that is left to do.
pub fn plan(doomed: &Doomed, first: &World, now: &World) -> Plan<Step, Reason> {
    let mut parts = Parts::default();
    let strays: Vec<&Stray> = now.strays.iter().filter(|stray| is_there(&stray.stack)).collect();
    // One after the other, the newest first: what imports an export was made after what exports it.
    for (position, stray) in strays.iter().enumerate() {
        let before = first.strays.iter().find(|known| known.stack.id == stray.stack.id).map(|known| &known.stack);
        let name = stray_name(stray);
        let in_the_way: Vec<String> = strays[..position].iter().map(|stray| stray_name(stray)).collect();
        parts.judge(doomed, now, &Subject { name: &name, place: &stray.place, before, live: &stray.stack, in_the_way });
    }
    let strays: Vec<String> = strays.iter().map(|stray| stray_name(stray)).collect();
    for stack in &doomed.stacks {
        let Some(live) = now.stacks.get(&stack.name).filter(|live| is_there(live)) else { continue };
        let in_the_way = [strays.clone(), still_there(stack, now)].concat();
        let before = first.stacks.get(&stack.name);
        parts.judge(doomed, now, &Subject { name: &stack.name, place: &stack.place, before, live, in_the_way });
    }
    parts.assemble(doomed)
}

fn is_there(live: &LiveStack) -> bool {
    live.status.phase() != Phase::Gone
}

fn still_there(stack: &DoomedStack, now: &World) -> Vec<String> {
    stack.needed_by.iter().filter(|name| now.stacks.get(*name).is_some_and(is_there)).cloned().collect()
}

/// One stack that is still there.
struct Subject<'a> {
    name: &'a str,
    place: &'a Place,
    before: Option<&'a LiveStack>,
    live: &'a LiveStack,
    in_the_way: Vec<String>,
}

#[derive(Default)]
struct Parts {
    now: Vec<Step>,
    then: Vec<Step>,
    waiting: Vec<Reason>,
    because: Vec<Reason>,
    causes: Vec<Reason>,
}

impl Parts {
    fn judge(&mut self, doomed: &Doomed, now: &World, subject: &Subject<'_>) {
        let stack = subject.name.to_owned();
        let live = subject.live;
        if let Some(reason) = objection(doomed, subject) {
            self.because.push(reason);
            return;
        }
        let full = full_buckets(doomed, now, subject);
        let in_the_way = in_the_way(live);
        let is_retained = |id: &String| doomed.retains.contains(&format!("{stack}/{id}"));
        let may_be_retained = !in_the_way.is_empty() && in_the_way.iter().all(is_retained);
        let rounds = now.failed_deletions.get(&stack).copied().unwrap_or_default();
        let is_only_full = !full.is_empty() && full.len() == in_the_way.len() && rounds < FAILED_DELETIONS_MAX;
        if has_failed(subject) && !may_be_retained && !is_only_full {
            self.causes.push(Reason::NotDeleted { stack, failure: live.first_failure(), in_the_way });
            return;
        }
        if live.status.phase() == Phase::Busy {
            self.waiting.push(Reason::Deleting { stack, status: live.status.clone(), progress: live.progress() });
            return;
        }
        let (id, place) = (live.id.clone(), subject.place.clone());
        let retain = if may_be_retained { in_the_way } else { Vec::new() };
        let delete = Step::DeleteStack { stack: stack.clone(), id, place, retain, token: deletion_token(live) };
        if !subject.in_the_way.is_empty() {
            self.then.push(delete);
            self.waiting.push(Reason::After { stack, needed_by: subject.in_the_way.clone() });
        } else if full.is_empty() || may_be_retained {
            self.now.push(delete);
        } else {
            self.now.extend(full);
            self.then.push(delete);
        }
    }

    fn assemble(self, doomed: &Doomed) -> Plan<Step, Reason> {
        let Self { now, then, waiting, mut because, causes } = self;
        let running: Vec<Reason> = waiting.iter().filter(|reason| reason.is_running()).cloned().collect();
        let is_anything_there = !(now.is_empty() && waiting.is_empty() && because.is_empty() && causes.is_empty());
        if doomed.is_protected && is_anything_there {
            because = vec![Reason::Protected { environment: doomed.environment.clone() }];
            return Plan::Refused { because, waiting: Vec::new() };
        }
        if !causes.is_empty() {
            return Plan::Failed { causes, waiting: running };
        }
        if !because.is_empty() {
            return Plan::Refused { because, waiting: running };
        }
        if !is_anything_there {
            return Plan::Converged;
        }
        Plan::Going { now, waiting, then }
    }
}

/// The emptying of every bucket that goes with the stack and is not empty.
fn full_buckets(doomed: &Doomed, now: &World, subject: &Subject<'_>) -> Vec<Step> {
    let buckets = subject.live.resources.iter().filter(|it| it.kind == BUCKET && !it.is_gone());
    let full = buckets.filter(|it| doomed.may_empty(subject.name, it)).filter_map(|it| {
        let bucket = it.physical_id.clone()?;
        let contents = now.contents.get(&bucket).filter(|contents| !contents.is_empty())?;
        Some(Step::EmptyBucket {
            stack: subject.name.to_owned(),
            resource: it.logical_id.clone(),
            bucket,
            place: subject.place.clone(),
            next: contents.next.clone(),
        })
    });
    full.collect()
}

/// What kept a stack from being deleted, by logical ids.
fn in_the_way(live: &LiveStack) -> Vec<String> {
    if live.status != StackStatus::DeleteFailed {
        return Vec::new();
    }
    let failed = live.resources.iter().filter(|it| it.status == "DELETE_FAILED");
    failed.map(|it| it.logical_id.clone()).collect()
}

/// How CloudFormation begins when it would not begin: the stack stays as it was.
const CANCELED: &str = "Delete canceled";

fn has_failed(subject: &Subject<'_>) -> bool {
    let live = subject.live;
    let is_refused = live.status_reason.as_deref().is_some_and(|reason| reason.starts_with(CANCELED));
    let has_changed = |before: &LiveStack| has_moved(before, live) || before.status_reason != live.status_reason;
    let is_of_this_run = subject.before.is_none_or(has_changed);
    // What was busy with something else when this run began may end as it likes: it goes anyway.
    let is_deletion = live.status == StackStatus::DeleteFailed;
    (is_deletion && has_ended_badly(subject.before, live)) || (is_refused && is_of_this_run)
}

fn objection(doomed: &Doomed, subject: &Subject<'_>) -> Option<Reason> {
    let (stack, live) = (subject.name.to_owned(), subject.live);
    if !is_ours(doomed, live) {
        return Some(Reason::NotOurs { stack, stack_name: live.name.clone() });
    }
    live.is_termination_protected.then_some(Reason::Guarded { stack })
}

/// A stack that was never created has no tags; it is ours if nobody else has plans for it.
fn is_ours(doomed: &Doomed, live: &LiveStack) -> bool {
    let is_marked = marks::is_of_environment(&live.tags, &doomed.project, &doomed.environment_word);
    let is_only_planned_by_us =
        live.status.phase() == Phase::Empty && live.change_sets.iter().all(|it| it.name.starts_with(CHANGE_SET_PREFIX));
    is_marked || is_only_planned_by_us
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::world::{ChangeSet, Contents, LiveResource};

    /// Three stacks: `api` needs `database`, which needs `network`.
    fn doomed() -> Doomed {
        let stack = |name: &str, needed_by: &[&str]| DoomedStack {
            name: name.to_owned(),
            stack_name: format!("sync-{name}"),
            place: Place::default(),
            needed_by: needed_by.iter().map(|it| (*it).to_owned()).collect(),
        };
        Doomed {
            environment: "scratch@jane".to_owned(),
            environment_word: "scratch-jane".to_owned(),
            project: "sync".to_owned(),
            stacks: vec![stack("api", &[]), stack("database", &["api"]), stack("network", &["api", "database"])],
            ..Doomed::default()
        }
    }

    /// `name STATUS words…`: `foreign`, `protected`, `second` (operation), `theirs` (a change set), `canceled`.
    fn live(words: &str) -> (String, LiveStack) {
        let words: Vec<&str> = words.split(' ').collect();
        let has = |word: &str| words.contains(&word);
        let mark = |mark: &str, value: &str| (format!("greenroom:{mark}"), value.to_owned());
        let marks = [mark("project", "sync"), mark("environment", "scratch-jane"), mark("stack", words[0])];
        let status: StackStatus = words[1].parse().unwrap_or_default();
        let is_unmarked = has("foreign") || status.phase() == Phase::Empty;
        let theirs = ChangeSet { name: "mine".to_owned(), ..ChangeSet::default() };
        let live = LiveStack {
            id: format!("arn:{}", words[0]),
            name: format!("sync-{}", words[0]),
            status,
            status_reason: has("canceled").then(|| "Delete canceled. Cannot delete export X".to_owned()),
            last_operation: if has("second") { "second" } else { "first" }.to_owned(),
            tags: if is_unmarked { [].into() } else { marks.into() },
            is_termination_protected: has("protected"),
            change_sets: has("theirs").then_some(theirs).into_iter().collect(),
            ..LiveStack::default()
        };
        (words[0].to_owned(), live)
    }

    fn world(stacks: &[&str], strays: &[&str]) -> World {
        let stray = |words: &&str| Stray { place: Place::default(), stack: live(words).1 };
        World {
            stacks: stacks.iter().map(|words| live(words)).collect(),
            strays: strays.iter().map(stray).collect(),
            ..World::default()
        }
    }

    fn reads(plan: &Plan<Step, Reason>) -> Vec<String> {
        assert_eq!(plan.flaw(), None, "{plan:?}");
        let ends: Vec<String> = match plan {
            Plan::Converged => vec!["done".to_owned()],
            Plan::Going { now, .. } => now.iter().map(ToString::to_string).collect(),
            Plan::Refused { because, .. } => because.iter().map(|it| format!("refuse: {it}")).collect(),
            Plan::Failed { causes, .. } => causes.iter().map(|it| format!("fail: {it}")).collect(),
        };
        let about = |reason: &Reason| format!("wait: {}: {reason}", reason.subject().stack.unwrap_or_default());
        ends.into_iter().chain(plan.waiting().iter().map(about)).collect()
    }

    #[track_caller]
    fn check(first: &World, now: &World, expectation: &[&str]) {
        assert_eq!(reads(&plan(&doomed(), first, now)), expectation);
    }

    #[track_caller]
    fn check_still(stacks: &[&str], expectation: &[&str]) {
        let world = world(stacks, &[]);
        check(&world, &world, expectation);
    }

    #[test]
    fn has_nothing_to_do_where_nothing_is() {
        check_still(&[], &["done"]);
        check_still(&["api DELETE_COMPLETE"], &["done"]);
    }

    #[test]
    fn deletes_what_nothing_needs_first() {
        check_still(
            &["network CREATE_COMPLETE", "database CREATE_COMPLETE", "api UPDATE_COMPLETE"],
            &["delete stack `api`", "wait: database: after api", "wait: network: after api, database"],
        );
        check_still(&["network CREATE_COMPLETE", "api DELETE_COMPLETE"], &["delete stack `network`"]);
    }

    #[test]
    fn deletes_from_every_state_that_is_at_rest() {
        for status in [
            "ROLLBACK_COMPLETE",
            "ROLLBACK_FAILED",
            "CREATE_FAILED",
            "UPDATE_FAILED",
            "UPDATE_ROLLBACK_COMPLETE",
            "UPDATE_ROLLBACK_FAILED",
            "DELETE_FAILED",
            "IMPORT_COMPLETE",
            "REVIEW_IN_PROGRESS",
        ] {
            check_still(&[&format!("api {status}")], &["delete stack `api`"]);
        }
    }

    #[test]
    fn waits_for_what_is_running() {
        check_still(&["api DELETE_IN_PROGRESS"], &["wait: api: deleting"]);
        check_still(&["api UPDATE_IN_PROGRESS"], &["wait: api: busy, and deleted afterwards"]);
    }

    #[test]
    fn an_update_that_fails_meanwhile_is_no_failure_of_this_run() {
        let (first, now) = (world(&["api UPDATE_IN_PROGRESS"], &[]), world(&["api UPDATE_ROLLBACK_COMPLETE"], &[]));
        check(&first, &now, &["delete stack `api`"]);
    }

    #[test]
    fn a_deletion_that_fails_ends_the_run_and_is_tried_again_by_the_next() {
        let failed = world(&["api DELETE_FAILED second"], &[]);
        check(&world(&["api CREATE_COMPLETE"], &[]), &failed, &["fail: stack `api` could not be deleted"]);
        check(&failed, &failed, &["delete stack `api`"]);
    }

    #[test]
    fn a_deletion_that_is_turned_down_ends_the_run() {
        let (first, now) = (world(&["api CREATE_COMPLETE"], &[]), world(&["api CREATE_COMPLETE second canceled"], &[]));
        check(&first, &now, &["fail: stack `api` could not be deleted: Delete canceled. Cannot delete export X"]);
    }

    #[test]
    fn a_protected_environment_is_refused() {
        let doomed = Doomed { is_protected: true, ..doomed() };
        let world = world(&["api CREATE_COMPLETE"], &[]);
        assert_eq!(reads(&plan(&doomed, &world, &world)), ["refuse: `scratch@jane` is protected"]);
    }

    #[test]
    fn what_is_guarded_or_not_ours_is_refused_and_nothing_else_begins() {
        check_still(&["api CREATE_COMPLETE protected"], &["refuse: stack `api` is guarded by termination protection"]);
        let foreign = "refuse: stack `sync-database` exists and does not bear the marks of this environment";
        check_still(&["database CREATE_COMPLETE foreign", "api CREATE_COMPLETE"], &[foreign]);
    }

    #[test]
    fn an_empty_stack_with_somebody_elses_plan_is_not_ours() {
        let foreign = "refuse: stack `sync-api` exists and does not bear the marks of this environment";
        check_still(&["api REVIEW_IN_PROGRESS theirs"], &[foreign]);
    }

    #[test]
    fn what_the_file_no_longer_names_goes_first_and_one_by_one() {
        let world = world(&["api CREATE_COMPLETE"], &["new CREATE_COMPLETE", "old CREATE_COMPLETE"]);
        check(&world, &world, &["delete stack `new`", "wait: old: after new", "wait: api: after new, old"]);
    }

    /// `api` with a bucket of that policy and status, and so many objects in it.
    fn with_bucket(words: &str, policy: Option<&str>, status: &str, versions: usize) -> World {
        let mut world = world(&[words], &[]);
        let bucket = LiveResource {
            logical_id: "Bucket".to_owned(),
            physical_id: Some("papers".to_owned()),
            kind: BUCKET.to_owned(),
            status: status.to_owned(),
            deletion_policy: policy.map(str::to_owned),
            ..LiveResource::default()
        };
        if let Some(api) = world.stacks.get_mut("api") {
            api.resources.push(bucket);
        }
        world.contents.insert("papers".to_owned(), Contents { versions, ..Contents::default() });
        world
    }

    #[test]
    fn a_bucket_whose_template_says_that_it_goes_is_emptied_first() {
        let world = |policy, versions| with_bucket("api CREATE_COMPLETE", policy, "CREATE_COMPLETE", versions);
        let full = world(Some("Delete"), 3);
        check(&full, &full, &["empty bucket `papers`, `api/Bucket`"]);
        let empty = world(Some("Delete"), 0);
        check(&full, &empty, &["delete stack `api`"]);
        for policy in [Some("Retain"), None] {
            let kept = world(policy, 3);
            check(&kept, &kept, &["delete stack `api`"]);
        }
    }

    #[test]
    fn a_bucket_that_is_named_is_emptied() {
        let full = with_bucket("api CREATE_COMPLETE", None, "CREATE_COMPLETE", 3);
        let doomed = Doomed { empties: ["api/Bucket".to_owned()].into(), ..doomed() };
        assert_eq!(reads(&plan(&doomed, &full, &full)), ["empty bucket `papers`, `api/Bucket`"]);
    }

    #[test]
    fn a_bucket_of_a_stack_whose_turn_has_not_come_is_left_alone() {
        let mut world = with_bucket("api CREATE_COMPLETE", Some("Delete"), "CREATE_COMPLETE", 3);
        world.strays = vec![Stray { place: Place::default(), stack: live("new CREATE_COMPLETE").1 }];
        check(&world, &world, &["delete stack `new`", "wait: api: after new"]);
    }

    #[test]
    fn a_bucket_that_was_filled_meanwhile_is_emptied_again_but_not_for_ever() {
        let first = world(&["api CREATE_COMPLETE"], &[]);
        let mut failed = with_bucket("api DELETE_FAILED second", Some("Delete"), "DELETE_FAILED", 3);
        check(&first, &failed, &["empty bucket `papers`, `api/Bucket`"]);
        failed.failed_deletions.insert("api".to_owned(), FAILED_DELETIONS_MAX);
        check(&first, &failed, &["fail: stack `api` could not be deleted"]);
    }

    #[test]
    fn what_keeps_a_stack_is_left_behind_only_by_name() {
        let first = world(&["api CREATE_COMPLETE"], &[]);
        let failed = with_bucket("api DELETE_FAILED second", Some("Retain"), "DELETE_FAILED", 3);
        check(&first, &failed, &["fail: stack `api` could not be deleted"]);
        let doomed = Doomed { retains: ["api/Bucket".to_owned()].into(), ..doomed() };
        assert_eq!(reads(&plan(&doomed, &first, &failed)), ["delete stack `api` and leave Bucket behind"]);
        let other = Doomed { retains: ["api/Other".to_owned()].into(), ..doomed };
        assert_eq!(reads(&plan(&other, &first, &failed)), ["fail: stack `api` could not be deleted"]);
    }
}
