//! From stack events to operations. Pure.

use jiff::Timestamp;

use super::{By, Kind, Operation, Outcome, Past, Seconds};
use crate::deploy::marks::{CHANGE_SET_PREFIX, digest, is_digest};
use crate::deploy::world::{FirstFailure, LiveStack, Phase, StackEvent, StackStatus};

/// How CloudFormation begins when it would not begin a deletion.
const CANCELED: &str = "Delete canceled";

/// How CloudFormation says that somebody asked for it.
const ASKED_FOR: &str = "User Initiated";

/// The events of each operation, the oldest operation first. A rollback that follows by itself belongs to what it undoes; one that
/// somebody asked for, because the stack had come to rest, is an operation of its own.
pub fn grouped<'a>(live: &LiveStack, events: &'a [StackEvent]) -> Vec<&'a [StackEvent]> {
    let mut starts = Vec::new();
    let mut is_at_rest = true;
    for (position, event) in events.iter().enumerate().filter(|(_, event)| event.is_about(live)) {
        let is_running = event.status.ends_with("_IN_PROGRESS") && event.status != "REVIEW_IN_PROGRESS";
        let begins = is_running && (is_at_rest || event.status == "DELETE_IN_PROGRESS");
        if begins || is_refusal(event) {
            starts.push(position);
        }
        is_at_rest = !is_running;
    }
    let ends = starts.iter().skip(1).copied().chain([events.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| events.get(*start..end)).collect()
}

fn is_refusal(event: &StackEvent) -> bool {
    event.reason.as_deref().is_some_and(|reason| reason.starts_with(CANCELED))
}

/// The operations of a stack, the newest first.
pub fn operations(past: &Past) -> Vec<Operation> {
    let groups = grouped(&past.live, &past.events);
    let all = groups.iter().enumerate().rev().enumerate().map(|(position, (place, group))| {
        let before = place.checked_sub(1).and_then(|place| groups.get(place)).copied().unwrap_or_default();
        operation(past, position, group, before)
    });
    all.collect()
}

fn operation(past: &Past, position: usize, group: &[StackEvent], before: &[StackEvent]) -> Operation {
    let live = &past.live;
    let about: Vec<&StackEvent> = group.iter().filter(|event| event.is_about(live)).collect();
    let status = about.last().map(|event| event.status.parse().unwrap_or_default()).unwrap_or(live.status.clone());
    let kind = about.first().map_or(Kind::Update, |event| kind(event));
    let outcome = match outcome(kind, &status, &about) {
        // Another has begun since: a creation in progress is stopped by its deletion.
        Outcome::Running if position > 0 => Outcome::Cancelled,
        outcome => outcome,
    };
    let began = group.first().and_then(|event| event.time);
    let ended = group.last().and_then(|event| event.time).filter(|_| outcome != Outcome::Running);
    let nested = past.nested.get(position).cloned().unwrap_or_default();
    let (forward, back) = split(live, group);
    let why = |events: &[StackEvent]| LiveStack {
        id: live.id.clone(),
        events: events.to_vec(),
        nested: nested.clone(),
        ..LiveStack::default()
    };
    let has_failed = match outcome {
        Outcome::Done | Outcome::Cancelled => false,
        Outcome::Running => why(group).first_cause().is_some(),
        Outcome::RolledBack | Outcome::Refused | Outcome::Failed => true,
    };
    let failed_back = why(back);
    let told = FirstFailure { reason: about.last().and_then(|event| event.reason.clone()), ..FirstFailure::default() };
    let failure = match (outcome, kind) {
        (Outcome::Refused, _) => told,
        (_, Kind::Rollback) => failed_back.first_failure(),
        _ => why(forward).first_failure(),
    };
    let failure = if failure == FirstFailure::default() { why(group).first_failure() } else { failure };
    Operation {
        number: position + 1,
        kind,
        outcome,
        status,
        began,
        ended,
        seconds: began.zip(ended.or(past.now)).map(|(began, ended)| Seconds::between(began, ended)),
        by: by(past, group, before),
        failure: Some(failure).filter(|failure| has_failed && *failure != FirstFailure::default()),
        place: None,
        rollback_failure: Some(failed_back.first_failure())
            .filter(|_| kind != Kind::Rollback && outcome == Outcome::Failed && failed_back.first_cause().is_some()),
    }
}

/// The way forward, and the way back.
fn split<'a>(live: &LiveStack, group: &'a [StackEvent]) -> (&'a [StackEvent], &'a [StackEvent]) {
    let turns = |event: &StackEvent| event.is_about(live) && event.status.contains("ROLLBACK");
    group.split_at(group.iter().position(turns).unwrap_or(group.len()))
}

fn kind(first: &StackEvent) -> Kind {
    match first.status.as_str() {
        _ if is_refusal(first) => Kind::Delete,
        "CREATE_IN_PROGRESS" => Kind::Create,
        "DELETE_IN_PROGRESS" => Kind::Delete,
        "IMPORT_IN_PROGRESS" => Kind::Import,
        status if status.contains("ROLLBACK") => Kind::Rollback,
        _ => Kind::Update,
    }
}

fn outcome(kind: Kind, status: &StackStatus, about: &[&StackEvent]) -> Outcome {
    let is_called_off = |event: &&&StackEvent| {
        event.status.ends_with("ROLLBACK_IN_PROGRESS") && event.reason.as_deref() == Some(ASKED_FOR)
    };
    if about.iter().any(|event| is_refusal(event)) {
        return Outcome::Refused;
    }
    match status.phase() {
        Phase::Busy => Outcome::Running,
        Phase::Gone => Outcome::Done,
        Phase::Stuck(_) if *status == StackStatus::RollbackComplete => Outcome::RolledBack,
        Phase::Stuck(_) | Phase::Empty => Outcome::Failed,
        Phase::Steady if !status.is_bad_end() || kind == Kind::Rollback => Outcome::Done,
        Phase::Steady if about.iter().any(|event| is_called_off(&event)) => Outcome::Cancelled,
        Phase::Steady => Outcome::RolledBack,
    }
}

fn by(past: &Past, group: &[StackEvent], before: &[StackEvent]) -> By {
    let Some(token) = group.iter().find_map(|event| event.token.clone()) else { return By::Unknown };
    if let Some(change_set) = proved(past, &token, before) {
        return By::Greenroom { change_set: Some(change_set) };
    }
    if is_digest(&token) {
        return By::Greenroom { change_set: None };
    }
    if token.starts_with("Console-") { By::Console { token } } else { By::Other { token } }
}

/// The change set whose execution made this token: our tokens are digests of it and of the operation before.
fn proved(past: &Past, token: &str, before: &[StackEvent]) -> Option<String> {
    let id = past.live.executed_change_set.as_deref()?;
    let name = id.split('/').nth(1).filter(|name| name.starts_with(CHANGE_SET_PREFIX))?;
    let last = before.iter().rev().find_map(|event| event.operation.clone());
    let moments = [past.live.created, past.live.updated].into_iter().flatten().map(|time: Timestamp| time.to_string());
    let mut candidates = last.into_iter().chain(moments);
    candidates.any(|last| digest([id, last.as_str()]) == token).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `minute resource STATUS reason…`; the resource `-` is the stack itself.
    fn event(line: &str) -> StackEvent {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let is_stack = words[1] == "-";
        StackEvent {
            id: line.to_owned(),
            time: format!("2026-11-25T08:{:0>2}:00Z", words[0]).parse().ok(),
            resource: if is_stack { "sync" } else { words[1] }.to_owned(),
            kind: if is_stack { "AWS::CloudFormation::Stack" } else { "AWS::SQS::Queue" }.to_owned(),
            physical_id: is_stack.then(|| "arn:sync".to_owned()),
            status: words[2].to_owned(),
            reason: words.get(3).map(|reason| (*reason).to_owned()),
            ..StackEvent::default()
        }
    }

    #[track_caller]
    fn check(events: &[&str], expectation: &[&str]) {
        let events: Vec<StackEvent> = events.iter().map(|line| event(line)).collect();
        let past =
            Past { live: LiveStack { id: "arn:sync".to_owned(), ..LiveStack::default() }, events, ..Past::default() };
        let told = |it: &Operation| {
            let why = |failure: &Option<FirstFailure>| failure.as_ref().map(FirstFailure::clause).unwrap_or_default();
            let (failure, rollback) = (why(&it.failure), why(&it.rollback_failure));
            let minutes = it.seconds.unwrap_or_default().0.as_secs() / 60;
            format!("{} {} {:?} {minutes}{failure}{rollback}", it.number, it.kind, it.outcome)
        };
        assert_eq!(operations(&past).iter().map(told).collect::<Vec<_>>(), expectation);
    }

    #[test]
    fn a_rollback_belongs_to_what_it_undoes() {
        check(
            &[
                "0 - REVIEW_IN_PROGRESS User Initiated",
                "1 - CREATE_IN_PROGRESS User Initiated",
                "3 - CREATE_COMPLETE",
                "4 - UPDATE_IN_PROGRESS User Initiated",
                "5 Queue UPDATE_FAILED no",
                "5 - UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [Queue].",
                "6 - UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
                "7 - UPDATE_ROLLBACK_COMPLETE",
            ],
            &["1 update RolledBack 3 because of `Queue`: no", "2 create Done 2"],
        );
    }

    #[test]
    fn a_rollback_that_was_asked_for_is_an_operation_of_its_own() {
        check(
            &[
                "1 - UPDATE_IN_PROGRESS User Initiated",
                "2 Queue UPDATE_FAILED no",
                "2 - UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed",
                "3 Topic UPDATE_FAILED gone",
                "4 - UPDATE_ROLLBACK_FAILED The following resource(s) failed to update: [Topic].",
                "6 - UPDATE_ROLLBACK_IN_PROGRESS User Initiated",
                "7 - UPDATE_ROLLBACK_COMPLETE",
            ],
            &["1 rollback Done 1", "2 update Failed 3 because of `Queue`: no because of `Topic`: gone"],
        );
    }

    #[test]
    fn what_was_called_off_has_not_failed() {
        check(
            &[
                "1 - UPDATE_IN_PROGRESS User Initiated",
                "2 Queue UPDATE_FAILED Resource update cancelled",
                "2 - UPDATE_ROLLBACK_IN_PROGRESS User Initiated",
                "3 - UPDATE_ROLLBACK_COMPLETE",
            ],
            &["1 update Cancelled 2"],
        );
    }

    #[test]
    fn a_creation_that_is_stopped_by_its_deletion_ends_there() {
        check(
            &["1 - CREATE_IN_PROGRESS User Initiated", "2 - DELETE_IN_PROGRESS User Initiated", "3 - DELETE_COMPLETE"],
            &["1 delete Done 1", "2 create Cancelled 0"],
        );
    }

    #[test]
    fn a_deletion_that_is_turned_down_is_told() {
        check(
            &["1 - CREATE_IN_PROGRESS User Initiated", "2 - CREATE_COMPLETE", "3 - CREATE_COMPLETE Delete canceled. X"],
            &["1 delete Refused 0: Delete canceled. X", "2 create Done 1"],
        );
    }
}
