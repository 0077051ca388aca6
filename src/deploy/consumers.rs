//! Who uses what a stack hands on: before an export or an output goes or changes, those who use it must have let go of it.
//!
//! CloudFormation refuses to remove or change an export that is imported, half-way through an update; of outputs that became
//! parameters it knows nothing. Here both are known before anything is tried. Where the user is deployed by the same run and lets
//! go of it, the two phases are put in order; where not, the steps are told.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::changes::{self, Action};
use super::estimate::{Filled, references};
use super::plan::resolve;
use super::world::{ChangeSetStatus, HIDDEN};
use super::{Desired, DesiredStack, Given, LiveStack, Phase, Reason, Upstream, World};

/// What becomes of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It goes.
    Removed,
    /// It gets another value.
    Changed,
}

/// What stands between a stack and its change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impact {
    /// Stacks of this deployment that let go of what they use, and do so first.
    pub first: Vec<Upstream>,
    /// What others use and do not let go of.
    pub refusals: Vec<Reason>,
}

/// The shortest value by which a user of an output is known: a number or a word may stand in two places by chance.
const TELLING_CHARACTERS_MIN: usize = 8;

/// Says who uses what this stack would no longer hand on.
pub fn impact(desired: &Desired, stack: &DesiredStack, live: Option<&LiveStack>, now: &World) -> Impact {
    let mut impact = Impact::default();
    let Some(live) = live.filter(|live| live.status.phase() == Phase::Steady) else { return impact };
    let mut first: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (export, loss) in endangered(desired, stack, live, now) {
        let key = (stack.place.account.clone(), stack.place.region.clone(), export.clone());
        let users = now.imports.get(&key).map(Vec::as_slice).unwrap_or_default();
        let (releasing, users): (Vec<&String>, Vec<&String>) =
            users.iter().partition(|user| lets_go(desired, stack, user, &export, now));
        for user in releasing {
            first.entry(label(desired, stack, user)).or_default().insert(export.clone());
        }
        if !users.is_empty() {
            let users = users.into_iter().map(|user| label(desired, stack, user)).collect();
            impact.refusals.push(Reason::ExportInUse { stack: stack.name.clone(), export, loss, users });
        }
    }
    for (output, user) in given_away(desired, stack, live, now) {
        first.entry(user).or_default().insert(output);
    }
    let upstream = |(stack, outputs): (String, BTreeSet<String>)| Upstream {
        stack,
        outputs: outputs.into_iter().map(|output| format!("lets go of {output}")).collect(),
    };
    impact.first = first.into_iter().map(upstream).collect();
    impact
}

/// The exports of a stack that go or change, as far as that can be told before.
pub fn endangered(desired: &Desired, stack: &DesiredStack, live: &LiveStack, now: &World) -> Vec<(String, Loss)> {
    if live.exports.is_empty() {
        return Vec::new();
    }
    let given = resolve(desired, stack, Some(live), now, &|_| true).given.unwrap_or_default();
    let filled = filled(stack, Some(live), &given);
    let Some(stays) = exports(stack, &filled) else { return Vec::new() };
    let replaced = replaced(stack, live);
    let loss = |(name, value): (&String, &String)| {
        let Some(next) = stays.get(name) else { return Some((name.clone(), Loss::Removed)) };
        let is_other = filled.text(next).is_some_and(|next| next != *value);
        let is_of_replaced = references(next).iter().any(|referred| replaced.contains(&referred.resource));
        (is_other || is_of_replaced).then(|| (name.clone(), Loss::Changed))
    };
    live.exports.iter().filter_map(loss).collect()
}

/// By name, the values that a template exports; nothing where a name cannot be told.
fn exports<'a>(stack: &'a DesiredStack, filled: &Filled) -> Option<BTreeMap<String, &'a Json>> {
    let outputs = stack.template.get("Outputs").and_then(Json::as_object);
    let exported = outputs.into_iter().flatten().filter_map(|(_, output)| Some((output.get("Export")?, output)));
    exported.map(|(export, output)| Some((filled.text(export.get("Name")?)?, output.get("Value")?))).collect()
}

/// The resources that another takes the place of, by the change set that was computed last.
fn replaced(stack: &DesiredStack, live: &LiveStack) -> BTreeSet<String> {
    let computed = live.computed.iter().rfind(|computed| computed.status == ChangeSetStatus::Complete);
    let changes = computed.map(|computed| changes::read(&computed.rows, &stack.template)).unwrap_or_default();
    let is_replaced = |change: &changes::Change| change.action == Action::Replace;
    changes.into_iter().filter(is_replaced).map(|change| change.resource).collect()
}

fn filled<'a>(stack: &'a DesiredStack, live: Option<&LiveStack>, given: &[(String, Given)]) -> Filled<'a> {
    let value = |(name, given): &(String, Given)| match given {
        Given::Text(text) => Some((name.clone(), text.clone())),
        Given::Previous => Some((name.clone(), live?.parameters.get(name)?.clone())),
    };
    let pseudo = [
        ("AWS::StackName", &stack.stack_name),
        ("AWS::Region", &stack.place.region),
        ("AWS::AccountId", &stack.place.account),
    ];
    let pseudo = pseudo.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
    let known = given.iter().filter_map(value).filter(|(_, value)| value != HIDDEN);
    Filled { template: &stack.template, parameters: known.chain(pseudo).collect() }
}

/// The stack of this deployment that has that name where `beside` lives.
fn user<'a>(desired: &'a Desired, beside: &DesiredStack, name: &str) -> Option<&'a DesiredStack> {
    let is_it = |stack: &&DesiredStack| {
        stack.stack_name == name
            && (&stack.place.account, &stack.place.region) == (&beside.place.account, &beside.place.region)
    };
    desired.stacks.iter().find(is_it)
}

fn label(desired: &Desired, beside: &DesiredStack, name: &str) -> String {
    user(desired, beside, name).map_or(name, |stack| &stack.name).to_owned()
}

/// Whether a stack is deployed with this one, does not wait for it, and no longer imports the export.
fn lets_go(desired: &Desired, stack: &DesiredStack, name: &str, export: &str, now: &World) -> bool {
    let Some(user) = user(desired, stack, name).filter(|user| !waits_for(desired, user, &stack.name)) else {
        return false;
    };
    let live = now.stacks.get(&user.name);
    let given = resolve(desired, user, live, now, &|_| true).given.unwrap_or_default();
    let filled = filled(user, live, &given);
    let mut names = Vec::new();
    imports(&user.template, &mut names);
    // A name that cannot be told may be this one.
    names.iter().all(|name| filled.text(name).is_some_and(|name| name != export))
}

fn imports<'a>(value: &'a Json, found: &mut Vec<&'a Json>) {
    match value {
        Json::Object(entries) => {
            for (key, inner) in entries {
                if key == "Fn::ImportValue" {
                    found.push(inner);
                } else {
                    imports(inner, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| imports(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Whether a stack waits for another, be it through others.
fn waits_for(desired: &Desired, stack: &DesiredStack, other: &str) -> bool {
    let mut open: Vec<&DesiredStack> = vec![stack];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(next) = open.pop() {
        for needed in next.needs.iter().filter(|needed| seen.insert(needed.as_str())) {
            if needed == other {
                return true;
            }
            open.extend(desired.stack(needed));
        }
    }
    false
}

/// Outputs that go and whose values other stacks of this deployment still have as parameters, and will not have any more.
fn given_away(desired: &Desired, stack: &DesiredStack, live: &LiveStack, now: &World) -> Vec<(String, String)> {
    let kept = stack.template.get("Outputs").and_then(Json::as_object);
    let goes = |name: &str| kept.is_none_or(|kept| !kept.contains_key(name));
    let going = live.outputs.iter().filter(|(name, value)| goes(name) && value.len() >= TELLING_CHARACTERS_MIN);
    let mut found = Vec::new();
    for (output, value) in going {
        for user in desired.stacks.iter().filter(|user| user.name != stack.name) {
            let Some(using) = now.stacks.get(&user.name) else { continue };
            let given = resolve(desired, user, Some(using), now, &|_| true).given.unwrap_or_default();
            let will_have = |name: &String| {
                given.iter().any(|(other, given)| other == name && *given == Given::Text(value.clone()))
            };
            let has = using.parameters.iter().any(|(name, has)| has == value && !will_have(name));
            if has && !waits_for(desired, user, &stack.name) {
                found.push((output.clone(), user.name.clone()));
            }
        }
    }
    found
}
