//! Whether anything has moved since a plan was sealed. Pure, and asked before every step: what the sealed run itself has done is
//! known again by what came of it, so a run that was killed half-way is continued; everything else is somebody else's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{Wanted, label, resolve, shows_as_wanted};
use super::world::Execution;
use super::{Desired, DesiredStack, Kind, LiveStack, Phase, Reason, World, marks};
use crate::environment::Reference;
use crate::template::ParameterValue;

/// How a stack was when the plan was sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// What tells it from another, and from itself after another operation; nothing where it did not exist.
    pub seen: Option<Seen>,
    /// The change set that was shown, and no other; nothing where its change was not known yet, or there was none.
    pub change_set: Option<SealedChangeSet>,
    /// By parameter, the digest of what its reference led to, as far as that was known.
    pub resolved: BTreeMap<String, String>,
}

/// A stack at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its ARN.
    pub id: String,
    /// What identifies its last operation.
    pub last_operation: String,
}

/// A change set that was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedChangeSet {
    /// Its name.
    pub name: String,
    /// Its ARN: one that was made again in its place has another.
    pub id: String,
}

/// What has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "moved", rename_all = "snake_case")]
pub enum Moved {
    /// An operation ran on it.
    Changed,
    /// Another stack has its name now.
    Replaced,
    /// It exists now.
    Appeared,
    /// It does not exist any more.
    Gone,
    /// Its change set cannot be executed any more.
    ChangeSet {
        /// The change set's name.
        name: String,
    },
    /// A reference leads to something else.
    Reference {
        /// The parameter.
        parameter: String,
        /// The reference as it is written.
        reference: String,
    },
}

impl Moved {
    pub(super) fn sentence(&self, stack: &str) -> String {
        match self {
            Self::Changed => format!("stack `{stack}` has changed since the plan was sealed"),
            Self::Replaced => format!("stack `{stack}` is another one than when the plan was sealed"),
            Self::Appeared => format!("stack `{stack}` exists, and did not when the plan was sealed"),
            Self::Gone => format!("stack `{stack}` does not exist any more"),
            Self::ChangeSet { name } => {
                format!("change set `{name}` of stack `{stack}`, which was sealed, is gone or of no use any more")
            }
            Self::Reference { parameter, reference } => format!(
                "parameter `{parameter}` of `{stack}` is to be {reference}, which is not what it was when the plan was sealed"
            ),
        }
    }
}

/// Says what has moved about a stack since the plan was sealed. Nothing where the plan is not sealed, or an operation is running:
/// whose it is shows when it ends.
pub fn moved(desired: &Desired, stack: &DesiredStack, live: Option<&LiveStack>, now: &World) -> Vec<Reason> {
    let Some(sealed) = &stack.sealed else { return Vec::new() };
    if live.is_some_and(|live| live.status.phase() == Phase::Busy) {
        return Vec::new();
    }
    let references = stack.parameters.iter().filter_map(|parameter| {
        let (digest, ParameterValue::Reference(reference)) = (sealed.resolved.get(&parameter.name)?, &parameter.value)
        else {
            return None;
        };
        let is_same = settled(stack, &parameter.name, &parameter.value, now).as_ref() == Some(digest);
        (!is_same).then(|| Moved::Reference { parameter: parameter.name.clone(), reference: reference.to_string() })
    });
    let references: Vec<Moved> = references.collect();
    let moved = if references.is_empty() {
        itself(desired, stack, sealed, live, now).into_iter().collect()
    } else {
        references
    };
    moved.into_iter().map(|moved| Reason::Moved { stack: stack.name.clone(), moved }).collect()
}

fn itself(
    desired: &Desired,
    stack: &DesiredStack,
    sealed: &Sealed,
    live: Option<&LiveStack>,
    now: &World,
) -> Option<Moved> {
    // An empty stack is what a change set that was never executed leaves; whose it is is asked elsewhere.
    let live = live.filter(|live| live.status.phase() != Phase::Empty);
    let what = match (&sealed.seen, live) {
        (None, None) => return None,
        (Some(_), None) => return Some(Moved::Gone),
        (None, Some(_)) => Moved::Appeared,
        (Some(seen), Some(live)) if seen.id != live.id => Moved::Replaced,
        (Some(seen), Some(live)) if seen.last_operation != live.last_operation => Moved::Changed,
        (Some(_), Some(live)) => return change_set(stack, sealed, live, now),
    };
    let is_our_doing = live.is_some_and(|live| is_as_sealed(desired, stack, live, now));
    (!is_our_doing).then_some(what)
}

/// Whether a stack is what the sealed run makes of it.
fn is_as_sealed(desired: &Desired, stack: &DesiredStack, live: &LiveStack, now: &World) -> bool {
    let given = resolve(desired, stack, Some(live), now, &|_| true).given;
    given.is_some_and(|given| shows_as_wanted(live, &Wanted::of(stack, Some(live), Kind::Update, given)))
}

fn change_set(stack: &DesiredStack, sealed: &Sealed, live: &LiveStack, now: &World) -> Option<Moved> {
    let wanted = sealed.change_set.as_ref()?;
    // Executed by this run, and the stack does not show it yet.
    if now.executed.contains_key(&stack.name) {
        return None;
    }
    let is_there = live.change_set(&wanted.name).is_some_and(|known| {
        known.id == wanted.id && !matches!(known.execution, Execution::Obsolete | Execution::Failed)
    });
    (!is_there).then(|| Moved::ChangeSet { name: wanted.name.clone() })
}

/// The digest of what a parameter's reference leads to now; nothing for what is no reference, leads to nothing, or is not ours to
/// know (a previous value is hidden where it is a secret, and changes only with its stack).
pub fn settled(stack: &DesiredStack, parameter: &str, value: &ParameterValue, now: &World) -> Option<String> {
    let ParameterValue::Reference(reference) = value else { return None };
    let found = match reference {
        Reference::Output { environment, stack, output } => {
            now.stacks.get(&label(environment.as_ref(), stack))?.outputs.get(output)?
        }
        Reference::Export { name } => {
            now.exports.get(&(stack.place.account.clone(), stack.place.region.clone(), name.clone()))?
        }
        Reference::Previous | Reference::Ssm { .. } | Reference::Secret { .. } => return None,
    };
    Some(marks::digest([stack.stack_name.as_str(), parameter, found]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deploy::StackStatus;
    use crate::deploy::plan::plan;
    use crate::deploy::world::{ChangeSet, ChangeSetStatus};
    use crate::operation::Plan;
    use crate::template::Parameter;

    fn reference() -> Reference {
        Reference::Output { environment: None, stack: "network".to_owned(), output: "VpcId".to_owned() }
    }

    /// One stack that reads an output of another, which nobody deploys.
    fn unsealed() -> DesiredStack {
        DesiredStack {
            name: "api".to_owned(),
            stack_name: "sync-api".to_owned(),
            template: json!({"Resources": {}}),
            parameters: vec![Parameter { name: "VpcId".to_owned(), value: ParameterValue::Reference(reference()) }],
            kept_until: Some("-until-20261126T000000Z".to_owned()),
            tags: [("greenroom:environment".to_owned(), "lab".to_owned())].into(),
            ..DesiredStack::default()
        }
    }

    fn live(last_operation: &str) -> LiveStack {
        LiveStack {
            id: "arn:api".to_owned(),
            name: "sync-api".to_owned(),
            last_operation: last_operation.to_owned(),
            tags: unsealed().tags,
            ..LiveStack::default()
        }
    }

    fn world(live: Option<LiveStack>) -> World {
        let outputs = [("VpcId".to_owned(), "vpc-1".to_owned())].into();
        let network = LiveStack { id: "arn:network".to_owned(), outputs, ..LiveStack::default() };
        let stacks = live.map(|live| ("api".to_owned(), live));
        World { stacks: stacks.into_iter().chain([("network".to_owned(), network)]).collect(), ..World::default() }
    }

    fn wanted(live: &LiveStack) -> Wanted {
        let given = vec![("VpcId".to_owned(), crate::deploy::Given::Text("vpc-1".to_owned()))];
        Wanted::of(&unsealed(), Some(live), Kind::Update, given)
    }

    fn with_change_set(live: LiveStack, id: &str) -> LiveStack {
        let change_set = ChangeSet {
            id: id.to_owned(),
            name: wanted(&live).name,
            status: ChangeSetStatus::Complete,
            execution: Execution::Available,
            ..ChangeSet::default()
        };
        LiveStack { change_sets: vec![change_set.clone()], computed: vec![change_set], ..live }
    }

    /// The stack as it is when it was brought to what is wanted.
    fn done(last_operation: &str) -> LiveStack {
        let live = live(last_operation);
        let digest = wanted(&live).digest;
        let parameters = [("VpcId".to_owned(), "vpc-1".to_owned())].into();
        LiveStack { description: Some(format!("[greenroom {digest}]")), parameters, ..live }
    }

    fn sealed(seen: Option<&LiveStack>) -> Desired {
        let stack = unsealed();
        let mut sealed = Sealed {
            seen: seen.map(|live| Seen { id: live.id.clone(), last_operation: live.last_operation.clone() }),
            change_set: seen.map(|live| SealedChangeSet { name: wanted(live).name, id: "arn:set".to_owned() }),
            resolved: BTreeMap::new(),
        };
        let digest = settled(&stack, "VpcId", &ParameterValue::Reference(reference()), &world(None));
        sealed.resolved.extend(digest.map(|digest| ("VpcId".to_owned(), digest)));
        Desired { stacks: vec![DesiredStack { sealed: Some(sealed), ..stack }], ..Desired::default() }
    }

    /// What the planner says of a world, for a plan that was sealed when the stack was as `seen`.
    #[track_caller]
    fn check(seen: Option<&LiveStack>, now: &World, expected: &[&str]) {
        let said: Vec<String> = match plan(&sealed(seen), now, now) {
            Plan::Refused { because, .. } => because.iter().map(ToString::to_string).collect(),
            Plan::Going { now, waiting, .. } => {
                now.iter().map(ToString::to_string).chain(waiting.iter().map(ToString::to_string)).collect()
            }
            Plan::Converged => vec!["done".to_owned()],
            Plan::Failed { causes, .. } => causes.iter().map(ToString::to_string).collect(),
        };
        let name = wanted(&live("first")).name;
        let said: Vec<String> = said.into_iter().map(|text| text.replace(&name, "r-sealed")).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_as_it_was_is_executed() {
        let seen = with_change_set(live("first"), "arn:set");
        check(Some(&seen), &world(Some(seen.clone())), &["execute change set `r-sealed` of stack `api`"]);
    }

    #[test]
    fn an_operation_since_refuses() {
        let changed = with_change_set(live("second"), "arn:set");
        let sentence = "stack `api` has changed since the plan was sealed";
        check(Some(&live("first")), &world(Some(changed)), &[sentence]);
    }

    #[test]
    fn another_stack_of_the_name_refuses() {
        let other = LiveStack { id: "arn:other".to_owned(), ..live("first") };
        let sentence = "stack `api` is another one than when the plan was sealed";
        check(Some(&live("first")), &world(Some(other)), &[sentence]);
    }

    #[test]
    fn a_stack_that_is_gone_or_has_appeared_refuses() {
        check(Some(&live("first")), &world(None), &["stack `api` does not exist any more"]);
        let sentence = "stack `api` exists, and did not when the plan was sealed";
        check(None, &world(Some(live("first"))), &[sentence]);
    }

    #[test]
    fn a_change_set_that_is_gone_or_was_made_again_refuses() {
        let sentence = "change set `r-sealed` of stack `api`, which was sealed, is gone or of no use any more";
        check(Some(&live("first")), &world(Some(live("first"))), &[sentence]);
        let again = with_change_set(live("first"), "arn:again");
        check(Some(&live("first")), &world(Some(again)), &[sentence]);
    }

    #[test]
    fn a_reference_that_leads_elsewhere_refuses() {
        let seen = with_change_set(live("first"), "arn:set");
        let mut now = world(Some(seen.clone()));
        if let Some(network) = now.stacks.get_mut("network") {
            network.outputs.insert("VpcId".to_owned(), "vpc-2".to_owned());
        }
        let sentence = "parameter `VpcId` of `api` is to be {output: network.VpcId}, which is not what it was when the plan was sealed";
        check(Some(&seen), &now, &[sentence]);
    }

    #[test]
    fn what_the_sealed_run_did_itself_is_done() {
        check(Some(&live("first")), &world(Some(done("second"))), &["done"]);
        check(None, &world(Some(done("first"))), &["done"]);
    }

    #[test]
    fn an_operation_that_runs_is_waited_for_whosever_it_is() {
        let running = LiveStack { status: StackStatus::UpdateInProgress, ..live("second") };
        check(Some(&live("first")), &world(Some(running)), &["updating"]);
    }

    #[test]
    fn an_undone_change_is_not_tried_again() {
        let undone = LiveStack { status: StackStatus::UpdateRollbackComplete, ..live("second") };
        let sentence = "stack `api` has changed since the plan was sealed";
        check(Some(&live("first")), &world(Some(undone)), &[sentence]);
    }
}
