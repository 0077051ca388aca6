//! What took how long in an operation, and which chain determined the whole. Pure.
//!
//! CloudFormation begins a resource when what it needs is there, so the chain is found backwards from what ended last: before it
//! came what it needs and what ended last of that; and before a whole phase (going back, clearing away) what ended last of the
//! phase before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::history::grouped;
use super::{Doing, Past, Seconds, Span, Timeline};
use crate::deploy::world::StackEvent;
use crate::environment::{Node, SourceId, yaml};

/// Says what took how long in an operation, counted from the newest, which is 1. Nothing where there is no such operation.
pub fn timeline(past: &Past, number: usize) -> Option<Timeline> {
    let groups = grouped(&past.live, &past.events);
    let group = groups.len().checked_sub(number).and_then(|place| groups.get(place))?;
    let phased = spans(past, group);
    let path = critical_path(&phased, &needs(&past.template));
    let total: Duration = path.iter().filter_map(|place| phased.get(*place)).map(|it| it.span.seconds.0).sum();
    Some(Timeline {
        operation: number,
        spans: phased.into_iter().map(|it| it.span).collect(),
        critical_path: path,
        critical_seconds: Seconds(total),
    })
}

/// A span, and in which phase of its operation it lies.
struct Phased {
    span: Span,
    phase: usize,
}

fn spans(past: &Past, group: &[StackEvent]) -> Vec<Phased> {
    let Some(start) = group.first().and_then(|event| event.time) else { return Vec::new() };
    let mut all: Vec<Phased> = Vec::new();
    let (mut phase, mut is_undoing) = (0, false);
    for event in group {
        let Some(time) = event.time else { continue };
        if event.is_about(&past.live) {
            phase += 1;
            is_undoing |= event.status.contains("ROLLBACK");
            continue;
        }
        let Some(doing) = doing(event) else { continue };
        let open = all.iter_mut().rev().find(|it| it.span.resource == event.resource && it.span.ended.is_none());
        let is_running = event.status.ends_with("_IN_PROGRESS");
        match open.filter(|open| is_same(open.span.doing, doing)) {
            Some(open) => {
                open.span.status.clone_from(&event.status);
                open.span.ended = (!is_running).then_some(time);
                open.span.seconds = Seconds::between(open.span.began, time);
            }
            None => all.push(Phased {
                phase,
                span: Span {
                    resource: event.resource.clone(),
                    kind: event.kind.clone(),
                    doing,
                    is_undoing,
                    began: time,
                    ended: (!is_running).then_some(time),
                    offset_seconds: Seconds::between(start, time),
                    seconds: Seconds::default(),
                    status: event.status.clone(),
                },
            }),
        }
    }
    for open in all.iter_mut().filter(|it| it.span.ended.is_none()) {
        if let Some(now) = past.now {
            open.span.seconds = Seconds::between(open.span.began, now);
        }
    }
    all
}

/// The new one of a resource that is replaced is made under events of an update.
fn is_same(open: Doing, doing: Doing) -> bool {
    open == doing || (open == Doing::Replace && doing == Doing::Update)
}

fn doing(event: &StackEvent) -> Option<Doing> {
    let replaces = event.reason.as_deref().is_some_and(|reason| reason.contains("creation of a new physical resource"));
    let verb = event.status.split('_').next().unwrap_or_default();
    Some(match verb {
        "CREATE" => Doing::Create,
        "UPDATE" if replaces => Doing::Replace,
        "UPDATE" => Doing::Update,
        "IMPORT" => Doing::Import,
        "DELETE" => Doing::Delete,
        _ => return None,
    })
}

fn critical_path(all: &[Phased], needs: &BTreeMap<String, BTreeSet<String>>) -> Vec<usize> {
    let end = |it: &Phased| it.span.ended.unwrap_or(Timestamp::MAX);
    let last = all.iter().enumerate().max_by_key(|(place, it)| (end(it), std::cmp::Reverse(*place)));
    let mut path = Vec::new();
    let mut current = last;
    while let Some((place, it)) = current {
        path.push(place);
        current = before(all, place, it, needs).and_then(|place| Some((place, all.get(place)?)));
    }
    path.reverse();
    path
}

/// What had to end before this could begin.
fn before(all: &[Phased], place: usize, it: &Phased, needs: &BTreeMap<String, BTreeSet<String>>) -> Option<usize> {
    let is_needed = |user: &str, needed: &str| needs.get(user).is_some_and(|needs| needs.contains(needed));
    let ended_by_then = |(other, candidate): &(usize, &Phased)| {
        let has_ended = candidate.span.ended.is_some_and(|ended| ended <= it.span.began);
        // Ties are common; what stands before in the list began no later.
        *other < place && has_ended
    };
    let related = all.iter().enumerate().filter(ended_by_then).filter(|(_, candidate)| {
        let (one, other) = (&it.span.resource, &candidate.span.resource);
        candidate.phase == it.phase && (is_needed(one, other) || is_needed(other, one))
    });
    let latest = |candidates: &mut dyn Iterator<Item = (usize, &Phased)>| {
        candidates.max_by_key(|(place, candidate)| (candidate.span.ended, std::cmp::Reverse(*place))).map(|(it, _)| it)
    };
    let mut related = related;
    latest(&mut related)
        .or_else(|| latest(&mut all.iter().enumerate().filter(ended_by_then).filter(|(_, it2)| it2.phase < it.phase)))
}

/// By logical id: the resources of a template that each mentions. It is JSON where we deployed it, and YAML where others did.
fn needs(body: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = yaml::read(SourceId::RENDERED, body).root;
    let resources = root.as_ref().and_then(|root| root.get("Resources")).and_then(Node::as_mapping).unwrap_or_default();
    let ids: BTreeSet<&str> = resources.iter().map(|entry| entry.key.as_str()).collect();
    let needs = |entry: &crate::environment::Entry| {
        let mut found = BTreeSet::new();
        mentions(&entry.value, &ids, &mut found);
        found.remove(&entry.key);
        (entry.key.clone(), found)
    };
    resources.iter().map(needs).collect()
}

/// A name, a name with an attribute, or either within `${…}`: `Ref`, `GetAtt`, `Sub` and `DependsOn` alike.
fn mentions(node: &Node, ids: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    for entry in node.as_mapping().unwrap_or_default() {
        mentions(&entry.value, ids, found);
    }
    for item in node.as_sequence().unwrap_or_default() {
        mentions(item, ids, found);
    }
    let Some(text) = node.as_text() else { return };
    let within = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    for word in [text].into_iter().chain(within) {
        let name = word.split('.').next().unwrap_or_default();
        if ids.contains(name) {
            found.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::world::LiveStack;

    /// `second resource STATUS`; the resource `-` is the stack itself.
    fn event(line: &str) -> StackEvent {
        let words: Vec<&str> = line.split(' ').collect();
        let is_stack = words[1] == "-";
        StackEvent {
            time: Timestamp::from_second(words[0].parse().unwrap_or_default()).ok(),
            resource: words[1].to_owned(),
            kind: if is_stack { "AWS::CloudFormation::Stack" } else { "AWS::SQS::Queue" }.to_owned(),
            physical_id: is_stack.then(|| "arn:sync".to_owned()),
            status: words[2].to_owned(),
            ..StackEvent::default()
        }
    }

    #[track_caller]
    fn check(events: &[&str], template: &str, expectation: &str) {
        let events: Vec<StackEvent> = events.iter().map(|line| event(line)).collect();
        let live = LiveStack { id: "arn:sync".to_owned(), ..LiveStack::default() };
        let past = Past { live, events, template: template.to_owned(), ..Past::default() };
        let seen = timeline(&past, 1).unwrap_or_default();
        let told = |place: &usize| {
            let span = &seen.spans[*place];
            format!("{} {} {}", span.doing, span.resource, span.seconds.0.as_secs())
        };
        let path = seen.critical_path.iter().map(told).collect::<Vec<_>>().join(", ");
        assert_eq!(format!("{path} = {}", seen.critical_seconds.0.as_secs()), expectation);
    }

    const CHAIN: &str = "Resources:\n  Network: {}\n  Database: {Subnet: !Ref Network}\n  Api: {Host: !Sub 'x${Database.Endpoint}'}\n  Topic: {}\n";

    #[test]
    fn the_chain_leads_through_what_a_resource_needs() {
        let events = [
            "0 - CREATE_IN_PROGRESS",
            "0 Network CREATE_IN_PROGRESS",
            "0 Topic CREATE_IN_PROGRESS",
            "5 Network CREATE_COMPLETE",
            "5 Database CREATE_IN_PROGRESS",
            "104 Topic CREATE_COMPLETE",
            "105 Database CREATE_COMPLETE",
            "105 Api CREATE_IN_PROGRESS",
            "115 Api CREATE_COMPLETE",
            "115 - CREATE_COMPLETE",
        ];
        check(&events, CHAIN, "create Network 5, create Database 100, create Api 10 = 115");
    }

    #[test]
    fn a_long_resource_by_itself_is_the_chain() {
        let events = [
            "0 - CREATE_IN_PROGRESS",
            "0 Network CREATE_IN_PROGRESS",
            "0 Topic CREATE_IN_PROGRESS",
            "5 Network CREATE_COMPLETE",
            "5 Database CREATE_IN_PROGRESS",
            "15 Database CREATE_COMPLETE",
            "50 Topic CREATE_COMPLETE",
            "50 - CREATE_COMPLETE",
        ];
        check(&events, CHAIN, "create Topic 50 = 50");
    }

    #[test]
    fn clearing_away_waits_for_all_that_was_changed() {
        let events = [
            "0 - UPDATE_IN_PROGRESS",
            "0 Topic UPDATE_IN_PROGRESS",
            "0 Network UPDATE_IN_PROGRESS",
            "5 Network UPDATE_COMPLETE",
            "20 Topic UPDATE_COMPLETE",
            "20 - UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "20 Network DELETE_IN_PROGRESS",
            "30 Network DELETE_COMPLETE",
            "30 - UPDATE_COMPLETE",
        ];
        check(&events, CHAIN, "update Topic 20, delete Network 10 = 30");
    }

    #[test]
    fn what_is_deleted_waits_for_what_needs_it() {
        let events = [
            "0 - DELETE_IN_PROGRESS",
            "0 Api DELETE_IN_PROGRESS",
            "10 Api DELETE_COMPLETE",
            "10 Database DELETE_IN_PROGRESS",
            "70 Database DELETE_COMPLETE",
            "70 - DELETE_COMPLETE",
        ];
        check(&events, CHAIN, "delete Api 10, delete Database 60 = 70");
    }
}
