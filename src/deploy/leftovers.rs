//! What was prepared and is not used: change sets, and the empty stacks that CloudFormation makes for the first of them.
//!
//! Ours is a change set that this run asked for, or that bears the very name which this run would give: what a run that was
//! killed has left is cleared away by the next. What is kept for a sealed plan says until when in its name, and is cleared away
//! after that by whoever comes by. All others are somebody's, and stay.

use super::plan::{Wanted, deletion_token, objections, resolve};
use super::seal::kept_until;
use super::world::{ChangeSet, ChangeSetStatus, Execution};
use super::{Desired, DesiredStack, Goal, Kind, LiveStack, Phase, Reason, Step, World};
use crate::operation::Plan;

/// Says what is left to clear away. Converged where nothing is.
pub fn withdraw(desired: &Desired, now: &World) -> Plan<Step, Reason> {
    let (mut steps, mut waiting) = (Vec::new(), Vec::new());
    for stack in &desired.stacks {
        let left = Leftovers::of(desired, stack, now);
        steps.extend(left.steps);
        waiting.extend(left.waiting);
    }
    if steps.is_empty() && waiting.is_empty() {
        return Plan::Converged;
    }
    Plan::Going { now: steps, waiting, then: Vec::new() }
}

#[derive(Default)]
struct Leftovers {
    steps: Vec<Step>,
    waiting: Vec<Reason>,
}

impl Leftovers {
    fn of(desired: &Desired, stack: &DesiredStack, now: &World) -> Self {
        let mut left = Self::default();
        let made = now.made.get(&stack.name).cloned().unwrap_or_default();
        let live = now.stacks.get(&stack.name).filter(|live| live.status.phase() != Phase::Gone);
        // What runs takes all change sets with it.
        if live.is_some_and(|live| live.status.phase() == Phase::Busy) {
            return left;
        }
        let listed = live.map(|live| live.change_sets.as_slice()).unwrap_or_default();
        let wanted = live.and_then(|live| wanted_names(desired, stack, live, now)).unwrap_or_default();
        let is_old = |it: &ChangeSet| made.get(&it.name).is_some_and(|made| !made.is_shown_by(it));
        let listed: Vec<&ChangeSet> = listed.iter().filter(|it| !is_old(it)).collect();
        let is_ours =
            |it: &&ChangeSet| made.contains_key(&it.name) || wanted.contains(&it.name) || has_expired(it, now);
        for change_set in listed.iter().copied().filter(is_ours).filter(|it| !is_for_a_seal(desired, it)) {
            left.judge(stack, change_set);
        }
        if desired.goal == Goal::Sealed {
            return left;
        }
        if live.is_some_and(|live| live.status.phase() != Phase::Empty) {
            // It goes by itself, and nothing hangs on its going.
            left.waiting.retain(|reason| !matches!(reason, Reason::Clearing { .. }));
        }
        // A list may be old. What is asked to be deleted and is not there is answered so.
        let is_listed = |name: &String| listed.iter().any(|it| &it.name == name);
        left.steps.extend(made.keys().filter(|name| !is_listed(name)).map(|name| deletion(stack, name)));
        if let Some(live) = live.filter(|live| left.is_empty() && is_nobodys(desired, stack, live, now)) {
            left.steps.extend(empty_stack(stack, live, now));
        }
        left
    }

    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_empty()
    }

    fn judge(&mut self, stack: &DesiredStack, change_set: &ChangeSet) {
        let (stack_name, name) = (stack.name.clone(), change_set.name.clone());
        match (change_set.status, change_set.execution) {
            (ChangeSetStatus::Deleting, _) => self.waiting.push(Reason::Clearing { stack: stack_name, name }),
            (ChangeSetStatus::Computing, _) | (ChangeSetStatus::Complete, Execution::Unavailable) => {
                self.waiting.push(Reason::Computing { stack: stack_name, name });
            }
            // It is in use, or was: then it is history.
            (ChangeSetStatus::Complete, Execution::Begun) => {}
            (ChangeSetStatus::Complete, Execution::Available | Execution::Failed | Execution::Obsolete)
            | (ChangeSetStatus::Failed, _) => self.steps.push(deletion(stack, &change_set.name)),
        }
    }
}

fn deletion(stack: &DesiredStack, name: &str) -> Step {
    Step::DeleteChangeSet { stack: stack.name.clone(), name: name.to_owned() }
}

/// Whether a change set was kept for a sealed plan whose time is over.
fn has_expired(change_set: &ChangeSet, now: &World) -> bool {
    kept_until(&change_set.name).zip(now.now).is_some_and(|(until, now)| until <= now)
}

/// Whether a change set brings about what is being sealed.
fn is_for_a_seal(desired: &Desired, change_set: &ChangeSet) -> bool {
    let is_usable = change_set.status == ChangeSetStatus::Complete && change_set.execution == Execution::Available;
    desired.goal == Goal::Sealed && is_usable
}

/// What this run would call its change sets, as things are now: the usual one, and the one that only records.
fn wanted_names(desired: &Desired, stack: &DesiredStack, live: &LiveStack, now: &World) -> Option<[String; 2]> {
    let kind = if live.status.phase() == Phase::Empty { Kind::Create } else { Kind::Update };
    let given = resolve(desired, stack, Some(live), now, &|_| true).given?;
    let wanted = Wanted::of(stack, Some(live), kind, given);
    Some([wanted.against_drift(stack, live).name, wanted.name])
}

/// The deletion of a stack that this run has emptied.
///
/// A look that is old shows a stack empty that somebody else creates by now, through a change set of the same name, made since
/// ours was deleted. Where the environment is protected, CloudFormation refuses the deletion then: everybody guards a stack before
/// executing anything. Where it is not, the step asks once more for the change set, which is refused while it is in use. What is
/// left is a change set of another name, made, computed and executed in the time that one look is old.
fn empty_stack(stack: &DesiredStack, live: &LiveStack, now: &World) -> Option<Step> {
    let change_sets = now.emptied.get(&stack.name)?.iter().cloned().collect();
    let (stack, id, token) = (stack.name.clone(), live.id.clone(), deletion_token(live));
    Some(Step::DeleteEmptyStack { stack, id, change_sets, token })
}

/// An empty stack on which nobody has any plans is of no use to anybody, and a stack of that name to everybody who looks. One that
/// is protected cannot be deleted, and is not unguarded for that.
fn is_nobodys(desired: &Desired, stack: &DesiredStack, live: &LiveStack, now: &World) -> bool {
    let is_somebodys = |reason: &Reason| matches!(reason, Reason::NotOurs { .. });
    live.status.phase() == Phase::Empty
        && !live.is_termination_protected
        && live.change_sets.is_empty()
        && !objections(desired, stack, Some(live), now).iter().any(is_somebodys)
}
