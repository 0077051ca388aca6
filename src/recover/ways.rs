//! Which stacks are stuck, and which ways lead out, the least harmful first. Pure.
//!
//! What a status allows is the handbook's page on CloudFormation, section 1. Of a stack that was in use, nothing that holds data is
//! ever deleted on this way: such a way is shown, and closed.

use super::{Act, Scope, Stranded, Way};
use crate::deploy::changes::loss;
use crate::deploy::marks::{self, CHANGE_SET_PREFIX};
use crate::deploy::plan::stray_name;
use crate::deploy::world::{ChangeSet, FirstFailure, LiveResource, LiveStack, STACK_TYPE, StackEvent};
use crate::deploy::{Phase, Place, StackStatus, Stuck, World};

/// The stacks that are stuck, in the order of the file, and then those that the file no longer names.
pub fn stranded(scope: &Scope, now: &World) -> Vec<Stranded> {
    let named = scope.stacks.iter().filter_map(|stack| {
        let live = now.stacks.get(&stack.name)?;
        one(scope, now, &stack.name, &stack.place, live)
    });
    let strays = now.strays.iter().filter_map(|stray| one(scope, now, &stray_name(stray), &stray.place, &stray.stack));
    named.chain(strays).collect()
}

/// The stacks that are on a way back or away: what they come to is not known yet.
pub fn under_way(scope: &Scope, now: &World) -> Vec<super::Chosen> {
    let is_going_back = |live: &LiveStack| {
        matches!(
            live.status,
            StackStatus::RollbackInProgress
                | StackStatus::DeleteInProgress
                | StackStatus::UpdateRollbackInProgress
                | StackStatus::UpdateRollbackCompleteCleanupInProgress
                | StackStatus::ImportRollbackInProgress
        )
    };
    let chosen = |stack: String, place: &Place, live: &LiveStack| super::Chosen {
        stack,
        id: live.id.clone(),
        place: place.clone(),
        act: Act::Await,
    };
    let named = scope.stacks.iter().filter_map(|stack| {
        let live = now.stacks.get(&stack.name).filter(|live| is_going_back(live))?;
        Some(chosen(stack.name.clone(), &stack.place, live))
    });
    let strays = now.strays.iter().filter(|stray| is_going_back(&stray.stack));
    named.chain(strays.map(|stray| chosen(stray_name(stray), &stray.place, &stray.stack))).collect()
}

fn one(scope: &Scope, now: &World, name: &str, place: &Place, live: &LiveStack) -> Option<Stranded> {
    let ways = match live.status.phase() {
        Phase::Empty => empty(live),
        Phase::Stuck(Stuck::CreationUndone | Stuck::CreationFailed) => failed_creation(live),
        Phase::Stuck(Stuck::UpdateFailed) => vec![roll_back(live), deletion(live)],
        Phase::Stuck(Stuck::UpdateNotUndone) if live.status == StackStatus::UpdateRollbackFailed => not_undone(live),
        Phase::Stuck(Stuck::UpdateNotUndone) => vec![deletion(live)],
        Phase::Stuck(Stuck::NotDeleted) => not_deleted(now, live),
        Phase::Stuck(Stuck::Unheard) => Vec::new(),
        Phase::Steady | Phase::Busy | Phase::Gone => return None,
    };
    let owner = ownership(scope, live);
    let ways = ways.into_iter().enumerate().map(|(position, sketch)| Way {
        number: position + 1,
        calls: calls(&sketch.act, place, live),
        act: sketch.act,
        loses: sketch.loses,
        closed: owner.clone().or(sketch.closed),
    });
    let because = because(live);
    let at_first = Some(live.first_failure())
        .filter(|first| live.status == StackStatus::UpdateRollbackFailed && *first != because);
    Some(Stranded {
        stack: name.to_owned(),
        stack_name: live.name.clone(),
        id: live.id.clone(),
        place: place.clone(),
        status: live.status.clone(),
        because,
        at_first,
        ways: ways.collect(),
    })
}

fn because(live: &LiveStack) -> FirstFailure {
    match live.status {
        StackStatus::UpdateRollbackFailed | StackStatus::RollbackFailed => live.rollback_failure(),
        StackStatus::ReviewInProgress => FirstFailure {
            reason: live.change_sets.iter().find_map(|change_set| change_set.reason.clone()),
            ..FirstFailure::default()
        },
        _ => live.first_failure(),
    }
}

/// What somebody else has made is not ours to free. A stack that was never created has no tags yet; it is ours if nobody else has
/// plans for it.
fn ownership(scope: &Scope, live: &LiveStack) -> Option<String> {
    let is_marked = marks::is_of_environment(&live.tags, &scope.project, &scope.environment_word);
    let is_theirs = |change_set: &&ChangeSet| !change_set.name.starts_with(CHANGE_SET_PREFIX);
    match live.change_sets.iter().find(is_theirs) {
        _ if is_marked => None,
        None if live.status.phase() == Phase::Empty => None,
        Some(theirs) if live.status.phase() == Phase::Empty => {
            Some(format!("somebody else plans to create it, with change set `{}`", theirs.name))
        }
        Some(_) | None => Some("it does not bear the marks of this environment".to_owned()),
    }
}

/// A way without its number.
struct Sketch {
    act: Act,
    loses: Vec<String>,
    closed: Option<String>,
}

fn open(act: Act, loses: Vec<String>) -> Sketch {
    Sketch { act, loses, closed: None }
}

fn empty(live: &LiveStack) -> Vec<Sketch> {
    let names: Vec<&str> = live.change_sets.iter().map(|change_set| change_set.name.as_str()).collect();
    let loses = match names.as_slice() {
        [] => "loses nothing: it was never created, and nobody has plans for it".to_owned(),
        names => format!("loses its change sets, {}; it was never created", names.join(", ")),
    };
    vec![open(plain_deletion(live), vec![loses, anew()])]
}

fn anew() -> String {
    "the next deploy creates it anew".to_owned()
}

fn plain_deletion(live: &LiveStack) -> Act {
    Act::Delete { retain: Vec::new(), unprotects: live.is_termination_protected }
}

/// Its stack holds nothing that was ever in use.
fn failed_creation(live: &LiveStack) -> Vec<Sketch> {
    let left: Vec<&LiveResource> = left(live);
    let mut loses = if left.is_empty() {
        vec!["loses nothing: none of its resources is there".to_owned()]
    } else {
        vec![format!("loses what the failed creation has left: {}", names(&left))]
    };
    loses.extend(kept(live));
    loses.push(anew());
    vec![open(plain_deletion(live), loses)]
}

fn roll_back(live: &LiveStack) -> Sketch {
    let touched: Vec<&str> = live
        .events
        .iter()
        .filter(|event| !event.is_about(live) && event.status.ends_with("_COMPLETE"))
        .map(|event| event.resource.as_str())
        .collect();
    let loses = match touched.as_slice() {
        [] => "loses nothing: the failed update had changed nothing".to_owned(),
        touched => format!("loses what the failed update had done to {}", touched.join(", ")),
    };
    open(Act::RollBack, vec![loses])
}

fn not_undone(live: &LiveStack) -> Vec<Sketch> {
    let again = "loses nothing; mend first what is in the way, or it ends here again".to_owned();
    let mut ways = vec![open(Act::ContinueRollback { skip: Vec::new() }, vec![again])];
    let failed = failed_on_the_way_back(live);
    if !failed.is_empty() {
        let stays = failed.join(", ");
        let (verb, it) = if failed.len() == 1 { ("stays as it is", "it") } else { ("stay as they are", "them") };
        let skipping = format!(
            "{stays} {verb}, and CloudFormation takes {it} for undone: what it knows and what is there differ from then on"
        );
        ways.push(open(Act::ContinueRollback { skip: failed }, vec![skipping]));
    }
    ways.push(deletion(live));
    ways
}

/// A stack that was in use goes only if no data goes with it.
fn deletion(live: &LiveStack) -> Sketch {
    let lost: Vec<String> = live
        .resources
        .iter()
        .filter(|resource| loss(resource).is_some_and(|verdict| verdict.loses_data()))
        .map(|resource| resource.logical_id.clone())
        .collect();
    let all: Vec<&LiveResource> = left(live).into_iter().filter(|resource| !is_kept(resource)).collect();
    let mut loses = vec![format!("loses the stack with {}", names(&all))];
    loses.extend(kept(live));
    let closed = if live.is_termination_protected {
        Some("it is guarded by termination protection".to_owned())
    } else if lost.is_empty() {
        None
    } else {
        let (holds, it) = if lost.len() == 1 { ("holds", "it") } else { ("hold", "them") };
        Some(format!("{} {holds} data, and nothing would be left of {it}", lost.join(", ")))
    };
    Sketch { act: Act::Delete { retain: Vec::new(), unprotects: false }, loses, closed }
}

fn not_deleted(now: &World, live: &LiveStack) -> Vec<Sketch> {
    let failed: Vec<&LiveResource> = live.resources.iter().filter(|it| it.status == "DELETE_FAILED").collect();
    let mut again =
        vec!["loses what its deletion was to take; mend first what is in the way, or it ends here again".to_owned()];
    again.extend(kept(live));
    let mut ways = vec![open(Act::Delete { retain: Vec::new(), unprotects: false }, again)];
    let full: Vec<(String, String)> = failed
        .iter()
        .filter(|it| it.kind == "AWS::S3::Bucket" && it.deletion_policy.as_deref() != Some("Retain"))
        .filter_map(|it| {
            let bucket = it.physical_id.clone()?;
            now.contents.get(&bucket).filter(|contents| !contents.is_empty())?;
            Some((it.logical_id.clone(), bucket))
        })
        .collect();
    let ids: Vec<String> = failed.iter().map(|it| it.logical_id.clone()).collect();
    if !ids.is_empty() {
        let (stay, go) = if ids.len() == 1 { ("stays", "goes") } else { ("stay", "go") };
        let orphans = format!(
            "{} {stay} behind without a stack, and {go} on costing until somebody deletes what is left by hand",
            physical(&failed)
        );
        ways.push(open(Act::Delete { retain: ids, unprotects: false }, vec![orphans]));
    }
    if !full.is_empty() {
        let counted: Vec<String> = full
            .iter()
            .filter_map(|(resource, bucket)| {
                Some(format!("loses all that is in {resource} ({bucket}): {}", now.contents.get(bucket)?))
            })
            .collect();
        ways.push(open(Act::EmptyAndDelete { buckets: full }, counted));
    }
    ways
}

/// `Queue (https://…)`.
fn physical(resources: &[&LiveResource]) -> String {
    let one = |it: &&LiveResource| match &it.physical_id {
        Some(id) => format!("{} ({id})", it.logical_id),
        None => it.logical_id.clone(),
    };
    resources.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What is there still.
fn left(live: &LiveStack) -> Vec<&LiveResource> {
    live.resources
        .iter()
        .filter(|it| !it.is_gone() && it.physical_id.is_some() && it.status != "DELETE_SKIPPED")
        .collect()
}

fn is_kept(resource: &LiveResource) -> bool {
    matches!(resource.deletion_policy.as_deref(), Some("Retain" | "RetainExceptOnCreate"))
        || loss(resource).is_some_and(|verdict| !verdict.loses_data())
}

fn names(resources: &[&LiveResource]) -> String {
    if resources.is_empty() {
        return "nothing in it".to_owned();
    }
    resources.iter().map(|it| it.logical_id.as_str()).collect::<Vec<_>>().join(", ")
}

/// What stays of data, and as what.
fn kept(live: &LiveStack) -> Vec<String> {
    let stays = |it: &&LiveResource| loss(it).is_some_and(|verdict| !verdict.loses_data());
    let is_there = |it: &&LiveResource| !it.is_gone() && it.status != "DELETE_SKIPPED";
    let kept = live.resources.iter().filter(is_there).filter(stays);
    kept.filter_map(|it| Some(format!("{} is {}", physical(&[it]), loss(it)?))).collect()
}

/// The resources that are `UPDATE_FAILED` because the rollback failed: no others may be skipped. Those of nested stacks are named
/// with their stack (API Reference, "`ContinueUpdateRollback`", `ResourcesToSkip`).
fn failed_on_the_way_back(live: &LiveStack) -> Vec<String> {
    let mut failed = Vec::new();
    failed_within(&live.id, &live.events, live, &mut failed);
    failed
}

fn failed_within(id: &str, events: &[StackEvent], live: &LiveStack, failed: &mut Vec<String>) {
    for event in last_failures(id, events) {
        let inner = event.nested_stack().and_then(|inner| live.nested.iter().find(|nested| nested.id == inner));
        match inner {
            Some(inner) => failed_within(&inner.id, &inner.events, live, failed),
            None if id == live.id => failed.push(event.resource.clone()),
            None => failed.push(format!("{}.{}", stack_name(id), event.resource)),
        }
    }
}

/// What was last heard of each resource on the way back, where that is a failure of its own.
pub fn last_failures<'a>(id: &str, events: &'a [StackEvent]) -> Vec<&'a StackEvent> {
    let is_about = |event: &StackEvent| event.kind == STACK_TYPE && event.physical_id.as_deref() == Some(id);
    let turns = |event: &StackEvent| is_about(event) && event.status.ends_with("ROLLBACK_IN_PROGRESS");
    let back = events.iter().rposition(turns).unwrap_or_default();
    let mut last: Vec<&StackEvent> = Vec::new();
    for event in events.get(back..).unwrap_or_default().iter().filter(|event| !is_about(event)) {
        last.retain(|known| known.resource != event.resource);
        last.push(event);
    }
    last.retain(|event| event.status == "UPDATE_FAILED" && event.is_cause());
    last
}

/// The name in a stack's ARN.
fn stack_name(id: &str) -> &str {
    id.split('/').nth(1).unwrap_or(id)
}

/// As the AWS CLI makes them.
fn calls(act: &Act, place: &Place, live: &LiveStack) -> Vec<String> {
    let on = |service: &str, verb: &str, rest: &str| format!("aws {service} {verb}{rest} --region {}", place.region);
    let of_stack = |verb: &str, rest: &str| on("cloudformation", verb, &format!(" --stack-name {}{rest}", live.name));
    match act {
        Act::Await => Vec::new(),
        Act::ContinueRollback { skip } if skip.is_empty() => vec![of_stack("continue-update-rollback", "")],
        Act::ContinueRollback { skip } => {
            vec![of_stack("continue-update-rollback", &format!(" --resources-to-skip {}", skip.join(" ")))]
        }
        Act::RollBack => vec![of_stack("rollback-stack", "")],
        Act::Delete { retain, unprotects } => {
            let protection =
                unprotects.then(|| of_stack("update-termination-protection", " --no-enable-termination-protection"));
            let rest = match retain.as_slice() {
                [] => String::new(),
                retain => format!(" --retain-resources {}", retain.join(" ")),
            };
            protection.into_iter().chain([of_stack("delete-stack", &rest)]).collect()
        }
        Act::EmptyAndDelete { buckets } => {
            let empty = buckets.iter().flat_map(|(_, bucket)| {
                let list = on("s3api", "list-object-versions", &format!(" --bucket {bucket}"));
                let delete = on("s3api", "delete-objects", &format!(" --bucket {bucket} --delete <each of them>"));
                [list, delete]
            });
            empty.chain([of_stack("delete-stack", "")]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::world::NestedStack;
    use crate::recover::ScopedStack;

    /// `resource STATUS reason…`; a resource that begins with `arn:` is the stack itself, one with `=` a nested stack.
    fn event(line: &str) -> StackEvent {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let (resource, physical_id) = match words[0].split_once('=') {
            Some((resource, id)) => (resource, Some(id)),
            None => (words[0], Some(words[0]).filter(|id| id.starts_with("arn:"))),
        };
        StackEvent {
            resource: resource.to_owned(),
            kind: if physical_id.is_some() { STACK_TYPE } else { "AWS::SQS::Queue" }.to_owned(),
            physical_id: physical_id.map(str::to_owned),
            status: words[1].to_owned(),
            reason: words.get(2).map(|reason| (*reason).to_owned()),
            ..StackEvent::default()
        }
    }

    fn stuck(status: &str, events: &[&str]) -> LiveStack {
        let mark = |mark: &str, value: &str| (format!("greenroom:{mark}"), value.to_owned());
        LiveStack {
            id: "arn:sync".to_owned(),
            name: "sync-api".to_owned(),
            status: status.parse().unwrap_or_default(),
            tags: [mark("project", "sync"), mark("environment", "lab"), mark("stack", "api")].into(),
            events: events.iter().map(|line| event(line)).collect(),
            ..LiveStack::default()
        }
    }

    #[track_caller]
    fn check(live: LiveStack, expectation: &[&str]) {
        let scope = Scope {
            project: "sync".to_owned(),
            environment_word: "lab".to_owned(),
            stacks: vec![ScopedStack { name: "api".to_owned(), ..ScopedStack::default() }],
            ..Scope::default()
        };
        let world = World { stacks: [("api".to_owned(), live)].into(), ..World::default() };
        let told = |way: Way| {
            let closed = way.closed.map(|closed| format!(" (closed: {closed})")).unwrap_or_default();
            format!("{} {}{closed}", way.number, way.act)
        };
        let ways: Vec<String> = stranded(&scope, &world).into_iter().flat_map(|it| it.ways).map(told).collect();
        assert_eq!(ways, expectation);
    }

    const UNDOING: &str = "arn:sync UPDATE_ROLLBACK_IN_PROGRESS";

    #[test]
    fn only_what_failed_on_the_way_back_may_be_skipped() {
        let live = stuck(
            "UPDATE_ROLLBACK_FAILED",
            &[
                "Topic UPDATE_FAILED no",
                "Queue UPDATE_FAILED Resource update cancelled",
                UNDOING,
                "Queue UPDATE_FAILED gone",
            ],
        );
        let ways = ["1 try again to undo the update", "2 undo the update without Queue", "3 delete the stack"];
        check(live, &ways);
    }

    /// The names of those in nested stacks are `NestedStackName.LogicalId`.
    #[test]
    fn what_failed_in_a_nested_stack_is_named_with_its_stack() {
        let mut live = stuck(
            "UPDATE_ROLLBACK_FAILED",
            &[UNDOING, "Workers=arn:aws:cloudformation:x:1:stack/sync-Workers-1/u UPDATE_FAILED nested"],
        );
        let id = "arn:aws:cloudformation:x:1:stack/sync-Workers-1/u".to_owned();
        let events = ["Queue UPDATE_FAILED gone", "Other UPDATE_COMPLETE"].map(event).to_vec();
        live.nested = vec![NestedStack { id, events }];
        let skipping = "2 undo the update without sync-Workers-1.Queue";
        check(live, &["1 try again to undo the update", skipping, "3 delete the stack"]);
    }

    #[test]
    fn data_closes_the_way_that_would_delete_it_and_a_snapshot_opens_it() {
        let with = |policy: &str| LiveStack {
            resources: vec![LiveResource {
                logical_id: "Database".to_owned(),
                physical_id: Some("db".to_owned()),
                kind: "AWS::RDS::DBInstance".to_owned(),
                status: "UPDATE_COMPLETE".to_owned(),
                deletion_policy: Some(policy.to_owned()),
                ..LiveResource::default()
            }],
            ..stuck("UPDATE_FAILED", &[])
        };
        check(with("Snapshot"), &["1 undo the update", "2 delete the stack"]);
        let closed = "2 delete the stack (closed: Database holds data, and nothing would be left of it)";
        check(with("Delete"), &["1 undo the update", closed]);
    }

    #[test]
    fn what_is_not_ours_is_not_freed() {
        let foreign = LiveStack { tags: [].into(), ..stuck("ROLLBACK_COMPLETE", &[]) };
        check(foreign, &["1 delete the stack (closed: it does not bear the marks of this environment)"]);
        let theirs = ChangeSet { name: "mine".to_owned(), ..ChangeSet::default() };
        let planned = LiveStack { tags: [].into(), change_sets: vec![theirs], ..stuck("REVIEW_IN_PROGRESS", &[]) };
        check(planned, &["1 delete the stack (closed: somebody else plans to create it, with change set `mine`)"]);
    }

    #[test]
    fn a_status_that_nobody_has_heard_of_has_no_way_out_that_we_know() {
        check(stuck("SLEEP_FAILED", &[]), &[]);
    }
}
