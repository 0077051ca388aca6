//! Decides what is left to do for every stack of an environment. Pure: two looks at the cloud in, everything that is known out.
//!
//! What a status allows is the handbook's page on CloudFormation, section 1. Two rules are ours: nothing is changed before all
//! that can be known at that moment is known, so that a refusal comes before the first change wherever it can; and what is read
//! from a stack counts only once that stack is as wanted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::changes::{self, Change};
use super::consumers::impact;
use super::drifted::{is_adopted, overwritten};
use super::leftovers::withdraw;
use super::marks::{self, CHANGE_SET_PREFIX, Mark, Owner};
use super::moved::moved;
use super::world::{ChangeSet, ChangeSetStatus, Drifted, Execution, HIDDEN, RowAction, Stray};
use super::{
    BucketStanding, Desired, DesiredStack, Given, Goal, Kind, LiveStack, Missing, Phase, Reason, Step, Stuck, Upstream,
    World,
};
use crate::environment::{Reference, StackPolicy};
use crate::operation::{About, Coverage, Plan};
use crate::template::ParameterValue;
use crate::template::rules::allows;
use crate::template::rules::limits::{TEMPLATE_BODY_BYTES_MAX, TEMPLATE_BYTES_MAX};

/// How long an executed change set may be without effect. Chosen, not measured: what CloudFormation has accepted shows within
/// seconds, and its own reads are a minute old at the very worst.
const BEGINNING_MINUTES_MAX: i64 = 5;

/// Says all that is left to do.
pub fn plan(desired: &Desired, first: &World, now: &World) -> Plan<Step, Reason> {
    if desired.goal == Goal::Withdrawn {
        return withdraw(desired, now);
    }
    let mut standings = standings(desired, first, now);
    hold_back(&mut standings);
    let mut all: Vec<Standing> = standings.into_iter().map(|(_, standing)| standing).collect();
    all.extend(strays(desired, first, now, all.iter().all(Standing::is_done)));
    match (assemble(all), desired.goal) {
        // Last, so that nobody waits for it.
        (Plan::Converged, Goal::Sealed | Goal::Shown | Goal::Deployed | Goal::Withdrawn) => withdraw(desired, now),
        (plan, _) => plan,
    }
}

/// What the looks so far say about one stack.
#[derive(Clone, Debug, PartialEq)]
enum Standing {
    /// It is as wanted.
    Done,
    /// Its change is known, and no more was asked for.
    Known,
    /// A step that changes nothing that runs.
    Prepare(Step),
    /// The change itself.
    Change(Step),
    /// Something is waited for.
    Wait(Reason),
    /// There is no safe step.
    Refuse(Vec<Reason>),
    /// It failed in this run.
    Fail(Reason),
}

impl Standing {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Whether its change will be known by itself, soon.
    fn is_preparing(&self) -> bool {
        match self {
            Self::Prepare(_) => true,
            Self::Wait(reason) => matches!(reason, Reason::Computing { .. } | Reason::Clearing { .. }),
            Self::Done | Self::Known | Self::Change(_) | Self::Refuse(_) | Self::Fail(_) => false,
        }
    }
}

/// One stack, and all that is known when its turn comes.
struct Look<'a> {
    desired: &'a Desired,
    stack: &'a DesiredStack,
    first: Option<&'a LiveStack>,
    /// When this run began, by the cloud's clock.
    began: Option<Timestamp>,
    live: Option<&'a LiveStack>,
    now: &'a World,
    /// The stacks that are as wanted.
    done: &'a BTreeSet<&'a str>,
}

fn standings<'a>(desired: &'a Desired, first: &World, now: &World) -> Vec<(&'a str, Standing)> {
    let mut standings = Vec::with_capacity(desired.stacks.len());
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for stack in &desired.stacks {
        let look = Look {
            desired,
            stack,
            first: existing(first, &stack.name),
            began: first.now,
            live: existing(now, &stack.name),
            now,
            done: &done,
        };
        let standing = look.standing();
        if standing.is_done() {
            done.insert(&stack.name);
        }
        standings.push((stack.name.as_str(), standing));
    }
    standings
}

fn existing<'a>(world: &'a World, label: &str) -> Option<&'a LiveStack> {
    world.stacks.get(label).filter(|stack| stack.status.phase() != Phase::Gone)
}

/// A change that is ready waits until nobody's change is about to become known.
fn hold_back(standings: &mut [(&str, Standing)]) {
    let preparing: Vec<String> =
        standings.iter().filter(|(_, standing)| standing.is_preparing()).map(|(name, _)| (*name).to_owned()).collect();
    if preparing.is_empty() {
        return;
    }
    for (name, standing) in standings {
        if matches!(standing, Standing::Change(_)) {
            let others = preparing.clone();
            *standing = Standing::Wait(Reason::OthersFirst { stack: (*name).to_owned(), others });
        }
    }
}

fn assemble(standings: Vec<Standing>) -> Plan<Step, Reason> {
    let (mut now, mut then, mut waiting, mut because, mut causes) = (vec![], vec![], vec![], vec![], vec![]);
    for standing in standings {
        match standing {
            Standing::Done | Standing::Known => {}
            Standing::Prepare(step) => {
                then.extend(execution_after(&step));
                now.push(step);
            }
            Standing::Change(step) => now.push(step),
            Standing::Wait(reason) => waiting.push(reason),
            Standing::Refuse(reasons) => because.extend(reasons),
            Standing::Fail(reason) => causes.push(reason),
        }
    }
    // What waits for a step that will not be taken never clears.
    let running = |waiting: Vec<Reason>| waiting.into_iter().filter(About::is_running).collect();
    if !causes.is_empty() {
        return Plan::Failed { causes, waiting: running(waiting) };
    }
    if !because.is_empty() {
        return Plan::Refused { because, waiting: running(waiting) };
    }
    if now.is_empty() && waiting.is_empty() {
        return Plan::Converged;
    }
    Plan::Going { now, waiting, then }
}

fn execution_after(step: &Step) -> Option<Step> {
    match step {
        Step::CreateChangeSet { stack, name, .. } => {
            Some(Step::ExecuteChangeSet { stack: stack.clone(), name: name.clone(), id: None, token: None })
        }
        Step::ExecuteChangeSet { .. }
        | Step::DeleteChangeSet { .. }
        | Step::ProtectStack { .. }
        | Step::SetStackPolicy { .. }
        | Step::DeleteEmptyStack { .. }
        | Step::DeleteFailedStack { .. }
        | Step::DeleteStack { .. } => None,
    }
}

impl Look<'_> {
    fn standing(&self) -> Standing {
        if let Some(live) = self.live.filter(|live| has_ended_badly(self.first, live)) {
            return Standing::Fail(Reason::EndedBadly {
                stack: self.name(),
                status: live.status.clone(),
                failure: live.first_failure(),
            });
        }
        let moved = moved(self.desired, self.stack, self.live, self.now);
        if !moved.is_empty() {
            return Standing::Refuse(moved);
        }
        let Some(live) = self.live else { return self.differing(Kind::Create) };
        match live.status.phase() {
            Phase::Busy => Standing::Wait(busy(&self.stack.name, live)),
            Phase::Stuck(stuck) => self.stuck(live, stuck),
            Phase::Empty | Phase::Gone => self.differing(Kind::Create),
            Phase::Steady => self.differing(Kind::Update),
        }
    }

    fn name(&self) -> String {
        self.stack.name.clone()
    }

    fn is_asked_to_deploy(&self) -> bool {
        match self.desired.goal {
            Goal::Deployed => true,
            Goal::Known | Goal::Sealed | Goal::Shown | Goal::Withdrawn => false,
        }
    }

    /// Only a failed creation may be done again, and only when asked: its stack holds nothing that was ever in use.
    fn stuck(&self, live: &LiveStack, stuck: Stuck) -> Standing {
        let is_failed_creation = matches!(stuck, Stuck::CreationUndone | Stuck::CreationFailed);
        if !self.is_asked_to_deploy() {
            return Standing::Known;
        }
        if is_failed_creation && self.desired.allowed.recreate.contains(&self.stack.name) {
            if let Some(reason) = not_ours(self.desired, self.stack, live) {
                return Standing::Refuse(vec![reason]);
            }
            return Standing::Change(Step::DeleteFailedStack {
                stack: self.name(),
                id: live.id.clone(),
                token: deletion_token(live),
            });
        }
        Standing::Refuse(vec![Reason::Stuck { stack: self.name(), status: live.status.clone() }])
    }

    /// A stack that may be changed: is it as wanted, and if not, what is next?
    fn differing(&self, kind: Kind) -> Standing {
        let resolution = resolve(self.desired, self.stack, self.live, self.now, &|label| self.done.contains(label));
        let is_shown = !self.is_asked_to_deploy();
        if !resolution.missing.is_empty() {
            return if is_shown { Standing::Known } else { Standing::Refuse(resolution.missing) };
        }
        let is_after = !resolution.after.is_empty();
        if is_after && !is_shown {
            return Standing::Wait(Reason::After { stack: self.name(), upstream: resolution.after });
        }
        // What a new stack will have stands in its template; a change set would leave an empty stack behind.
        let (Some(given), false) = (resolution.given, is_shown && kind == Kind::Create) else {
            return Standing::Known;
        };
        let wanted = Wanted::of(self.stack, self.live, kind, given);
        let is_settled = |live: &&LiveStack| is_as_wanted(self.stack, live, &wanted) || self.has_reconciled(live);
        let standing = match self.live.filter(is_settled) {
            Some(live) => self.as_wanted(live),
            None => self
                .without_harm(&wanted)
                .unwrap_or_else(|| self.by_change_set(&wanted.or_adopted(self.stack, self.live))),
        };
        match standing {
            // As wanted with what the others have now, but they will change.
            Standing::Done if is_after => Standing::Known,
            other => other,
        }
    }

    /// What keeps a change back: that it failed before, and those who use what the stack hands on.
    fn without_harm(&self, wanted: &Wanted) -> Option<Standing> {
        if !self.is_asked_to_deploy() {
            return None;
        }
        if let Some(reason) = failed_before(self.desired, self.stack, self.live, wanted) {
            return Some(Standing::Refuse(vec![reason]));
        }
        let impact = impact(self.desired, self.stack, self.live, self.now);
        if !impact.refusals.is_empty() {
            return Some(Standing::Refuse(impact.refusals));
        }
        let is_first = !impact.first.is_empty();
        is_first.then(|| Standing::Wait(Reason::After { stack: self.name(), upstream: impact.first }))
    }

    fn as_wanted(&self, live: &LiveStack) -> Standing {
        if self.is_asked_to_deploy()
            && let Some(step) = self.guarding(live)
        {
            return Standing::Change(step);
        }
        Standing::Done
    }

    /// What is does not show in a stack's description: against drift, one operation of this run is all that can be asked for, and
    /// whoever asked has to look at what came of it.
    fn has_reconciled(&self, live: &LiveStack) -> bool {
        self.stack.is_drift_aware && self.first.is_some_and(|first| has_moved(first, live))
    }

    /// What guards a stack is no part of a change set: it comes before a change, and worth nothing after.
    fn guarding(&self, live: &LiveStack) -> Option<Step> {
        let stack = self.name();
        let guard = guards(self.desired, self.stack, live).into_iter().next()?;
        Some(match guard {
            Guard::TerminationProtection => Step::ProtectStack { stack },
            Guard::StackPolicy => Step::SetStackPolicy { stack },
        })
    }

    fn by_change_set(&self, wanted: &Wanted) -> Standing {
        let existing = self.live.and_then(|live| live.change_set(&wanted.name));
        let delete = || Step::DeleteChangeSet { stack: self.name(), name: wanted.name.clone() };
        let computed = self.live.and_then(|live| live.computed(&wanted.name));
        if let Some(live) = self.live
            && [existing, computed].into_iter().flatten().any(ChangeSet::changes_nothing)
        {
            return self.as_wanted(live);
        }
        let is_known = computed.is_some_and(|computed| computed.status == ChangeSetStatus::Complete);
        if is_known && !self.is_asked_to_deploy() {
            return Standing::Known;
        }
        let Some(change_set) = existing else { return self.create(wanted) };
        match (change_set.status, change_set.execution) {
            (ChangeSetStatus::Computing, _) | (ChangeSetStatus::Complete, Execution::Unavailable) => {
                Standing::Wait(Reason::Computing { stack: self.name(), name: wanted.name.clone() })
            }
            (ChangeSetStatus::Deleting, _) => {
                Standing::Wait(Reason::Clearing { stack: self.name(), name: wanted.name.clone() })
            }
            (ChangeSetStatus::Complete, Execution::Available) => self.execute(wanted, change_set),
            (ChangeSetStatus::Complete, Execution::Begun) => self.beginning(wanted),
            (ChangeSetStatus::Complete, Execution::Obsolete) => Standing::Prepare(delete()),
            (ChangeSetStatus::Failed, _) | (ChangeSetStatus::Complete, Execution::Failed) => {
                if self.was_there_before(change_set) {
                    Standing::Prepare(delete())
                } else {
                    self.not_computed(change_set)
                }
            }
        }
    }

    /// A stack shows within seconds that something has begun. Emulators have been met that never do. What counts is when the stack
    /// was asked for: a look may last long, and its end says nothing about what it saw at first.
    fn beginning(&self, wanted: &Wanted) -> Standing {
        let (stack, name) = (self.name(), wanted.name.clone());
        let since = self.now.executed.get(&self.stack.name).copied().max(self.began);
        let passed = self.now.asked.zip(since).map(|(asked, since)| asked.duration_since(since).as_mins());
        match passed {
            Some(minutes) if minutes >= BEGINNING_MINUTES_MAX => {
                Standing::Fail(Reason::NothingCame { stack, name, minutes })
            }
            _ => Standing::Wait(Reason::Beginning { stack, name }),
        }
    }

    /// A change set that an earlier run left: its failure is no failure of this one.
    fn was_there_before(&self, change_set: &ChangeSet) -> bool {
        let is_older = change_set.created.zip(self.began).is_some_and(|(created, began)| created < began);
        is_older || self.first.is_some_and(|first| first.change_sets.iter().any(|known| known.id == change_set.id))
    }

    fn not_computed(&self, change_set: &ChangeSet) -> Standing {
        let because = change_set.reason.clone().unwrap_or_else(|| "CloudFormation gives no reason".to_owned());
        Standing::Fail(Reason::ChangeSetFailed { stack: self.name(), name: change_set.name.clone(), because })
    }

    fn create(&self, wanted: &Wanted) -> Standing {
        let objections = objections(self.desired, self.stack, self.live, self.now);
        if self.is_asked_to_deploy() && !objections.is_empty() {
            return Standing::Refuse(objections);
        }
        Standing::Prepare(Step::CreateChangeSet {
            stack: self.name(),
            name: wanted.name.clone(),
            kind: wanted.kind,
            digest: wanted.digest.clone(),
            parameters: wanted.given.clone(),
            tags: wanted.tags.clone(),
            clears: self.live.is_some_and(|live| marks::owner(&live.tags, &self.stack.tags) == Owner::Us),
            is_drift_aware: wanted.is_drift_aware,
        })
    }

    /// A change set that could be executed: may it be?
    fn execute(&self, wanted: &Wanted, change_set: &ChangeSet) -> Standing {
        let mut changes = changes::read(&change_set.rows, &self.stack.template);
        changes::judge(&mut changes, policy_in_force(self.stack, self.live));
        let mut because = objections(self.desired, self.stack, self.live, self.now);
        because.extend(dangers(self.desired, self.stack, &changes));
        because.extend(overwrites(self.desired, self.stack, &changes, &change_set.drifted));
        because.extend(beyond_approval(self.desired, self.stack, &changes, &change_set.name));
        if !because.is_empty() {
            return Standing::Refuse(because);
        }
        if let Some(step) = self.live.and_then(|live| self.guarding(live)) {
            return Standing::Change(step);
        }
        let last_operation = self.live.map(|live| live.last_operation.as_str()).unwrap_or_default();
        let token = marks::digest([change_set.id.as_str(), last_operation]);
        let (name, id) = (wanted.name.clone(), Some(change_set.id.clone()));
        Standing::Change(Step::ExecuteChangeSet { stack: self.name(), name, id, token: Some(token) })
    }
}

/// Whether an operation that had not ended when this run began has ended badly since.
pub fn has_ended_badly(first: Option<&LiveStack>, live: &LiveStack) -> bool {
    live.status.is_bad_end() && first.is_none_or(|first| has_moved(first, live))
}

/// Whether an operation ran since the first look, or was running then.
pub fn has_moved(first: &LiveStack, live: &LiveStack) -> bool {
    let had_not_ended = match first.status.phase() {
        Phase::Busy | Phase::Empty => true,
        Phase::Steady | Phase::Stuck(_) | Phase::Gone => false,
    };
    first.id != live.id || first.last_operation != live.last_operation || had_not_ended
}

/// What makes a repeated deletion the same call, and another attempt after a failed one another.
pub fn deletion_token(live: &LiveStack) -> String {
    marks::digest([live.id.as_str(), &live.last_operation, "delete"])
}

fn busy(label: &str, live: &LiveStack) -> Reason {
    let mut progress = live.progress();
    // The change set that this run saw counts what has not begun yet, too.
    let expected = live.computed.last().map_or(0, |change_set| change_set.rows.len());
    progress.begun = progress.begun.max(expected);
    Reason::Busy { stack: label.to_owned(), status: live.status.clone(), progress }
}

/// What a stack's parameters come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolution {
    /// What each is given, as things are. Nothing where one cannot be told; old outputs where `after` is not empty.
    pub given: Option<Vec<(String, Given)>>,
    /// The stacks that must be as wanted first.
    pub after: Vec<Upstream>,
    /// The parameters that hang on them.
    pub waiting_parameters: Vec<String>,
    /// References to nothing.
    pub missing: Vec<Reason>,
}

/// Resolves what a stack's parameters refer to. `is_done` says which stacks of the deployment are as wanted.
pub fn resolve(
    desired: &Desired,
    stack: &DesiredStack,
    live: Option<&LiveStack>,
    now: &World,
    is_done: &dyn Fn(&str) -> bool,
) -> Resolution {
    let mut resolver =
        Resolver { desired, stack, live, now, is_done, after: BTreeMap::new(), found: Resolution::default() };
    let mut given = Vec::with_capacity(stack.parameters.len());
    let mut are_all_given = true;
    for parameter in &stack.parameters {
        match resolver.one(&parameter.name, &parameter.value) {
            Some(value) => given.push((parameter.name.clone(), value)),
            None => are_all_given = false,
        }
    }
    for needed in stack.needs.iter().filter(|needed| !is_done(needed)) {
        resolver.after.entry(needed.clone()).or_default();
    }
    let after = resolver.after.into_iter().map(|(stack, outputs)| Upstream { stack, outputs }).collect();
    Resolution { given: are_all_given.then_some(given), after, ..resolver.found }
}

struct Resolver<'a> {
    desired: &'a Desired,
    stack: &'a DesiredStack,
    live: Option<&'a LiveStack>,
    now: &'a World,
    is_done: &'a dyn Fn(&str) -> bool,
    after: BTreeMap<String, Vec<String>>,
    found: Resolution,
}

impl Resolver<'_> {
    fn one(&mut self, parameter: &str, value: &ParameterValue) -> Option<Given> {
        let reference = match value {
            ParameterValue::Text(text) => return Some(Given::Text(text.clone())),
            ParameterValue::Reference(reference) => reference,
        };
        match reference {
            Reference::Output { environment, stack, output } => {
                let label = label(environment.as_ref(), stack);
                self.output(parameter, reference, &label, output)
            }
            Reference::Export { name } => {
                let place = &self.stack.place;
                let key = (place.account.clone(), place.region.clone(), name.clone());
                let value = self.now.exports.get(&key).cloned().map(Given::Text);
                value.or_else(|| self.miss(parameter, reference, Missing::Export(name.clone())))
            }
            Reference::Previous => {
                let has_one = self.live.is_some_and(|live| live.parameters.contains_key(parameter));
                if has_one { Some(Given::Previous) } else { self.miss(parameter, reference, Missing::Previous) }
            }
            Reference::Ssm { .. } | Reference::Secret { .. } => reference.dynamic().map(Given::Text),
        }
    }

    fn output(&mut self, parameter: &str, reference: &Reference, label: &str, output: &str) -> Option<Given> {
        let upstream = existing(self.now, label);
        let value = upstream.and_then(|live| live.outputs.get(output)).cloned().map(Given::Text);
        let is_deployed_here = self.desired.stack(label).is_some();
        let is_in_motion = upstream.is_some_and(|live| live.status.phase() == Phase::Busy);
        let is_settled = if is_deployed_here { (self.is_done)(label) } else { !is_in_motion };
        if !is_settled {
            let outputs = self.after.entry(label.to_owned()).or_default();
            if !outputs.iter().any(|known| known == output) {
                outputs.push(output.to_owned());
            }
            self.found.waiting_parameters.push(parameter.to_owned());
            return value;
        }
        match upstream {
            Some(_) => value.or_else(|| self.miss(parameter, reference, Missing::Output(output.to_owned()))),
            None => self.miss(parameter, reference, Missing::Stack(label.to_owned())),
        }
    }

    fn miss(&mut self, parameter: &str, reference: &Reference, missing: Missing) -> Option<Given> {
        self.found.missing.push(Reason::NothingToRefer {
            stack: self.stack.name.clone(),
            parameter: parameter.to_owned(),
            reference: reference.to_string(),
            missing,
        });
        None
    }
}

/// How a stack is called in a world: by its name, or with its environment where it is another's.
pub fn label(environment: Option<&crate::environment::EnvironmentName>, stack: &str) -> String {
    environment.map_or_else(|| stack.to_owned(), |environment| format!("{environment}/{stack}"))
}

/// All of what a change set is to bring about, and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The change set's name.
    pub name: String,
    /// Whether the stack is new.
    pub kind: Kind,
    /// The digest for the mark.
    pub digest: String,
    /// What the parameters are given.
    pub given: Vec<(String, Given)>,
    /// The tags, with those that say whose data the stack holds.
    pub tags: BTreeMap<String, String>,
    /// Whether the change is computed against what is.
    pub is_drift_aware: bool,
}

impl Wanted {
    /// Names what is wanted. The name says what it is for, so that any later run knows the change set again, and another
    /// operation of the stack makes another name: a change set holds only for the stack it was computed for.
    pub fn of(stack: &DesiredStack, live: Option<&LiveStack>, kind: Kind, given: Vec<(String, Given)>) -> Self {
        let lists = [&stack.notify, &stack.rollback_alarms].map(|list| list.join(","));
        let tags = marks::tags(&stack.tags, live.map(|live| &live.tags));
        let told = tags.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let parts = [stack.template_digest.as_str(), stack.service_role.as_deref().unwrap_or_default()];
        let digest = marks::digest(
            parts.into_iter().chain(lists.iter().map(String::as_str)).chain(marks::parameter_texts(&given)).chain(told),
        );
        Self::named(stack, live, (kind, digest), (given, tags), stack.is_drift_aware)
    }

    fn named(
        stack: &DesiredStack,
        live: Option<&LiveStack>,
        (kind, digest): (Kind, String),
        (given, tags): (Vec<(String, Given)>, BTreeMap<String, String>),
        is_drift_aware: bool,
    ) -> Self {
        let place = [stack.stack_name.as_str(), &stack.place.account, &stack.place.region];
        let update = if is_drift_aware { "drift" } else { "update" };
        let name = match (kind, live) {
            (Kind::Update, Some(live)) => marks::digest([live.id.as_str(), &live.last_operation, update, &digest]),
            // The first change set of a stack brings its id into being, and must not change its name for that.
            (Kind::Create, _) | (Kind::Update, None) => marks::digest(place.into_iter().chain(["create", &digest])),
        };
        let kept = stack.kept_until.as_deref().unwrap_or_default();
        Self { name: format!("{CHANGE_SET_PREFIX}{name}{kept}"), kind, digest, given, tags, is_drift_aware }
    }

    /// The same, computed against what is.
    #[must_use]
    pub fn against_drift(&self, stack: &DesiredStack, live: &LiveStack) -> Self {
        Self::named(stack, Some(live), (self.kind, self.digest.clone()), (self.given.clone(), self.tags.clone()), true)
    }

    /// The same by the other kind of change set, where all that would be written is so already: it is recorded, and nobody's
    /// resource is touched. If the other would do more than that, it is not taken.
    #[must_use]
    pub fn or_adopted(self, stack: &DesiredStack, live: Option<&LiveStack>) -> Self {
        let Some(live) = live.filter(|_| self.kind == Kind::Update && !self.is_drift_aware) else { return self };
        let computed = live.computed(&self.name).filter(|computed| computed.status == ChangeSetStatus::Complete);
        let is_adopted = computed
            .is_some_and(|computed| is_adopted(&changes::read(&computed.rows, &stack.template), &computed.drifted));
        if !is_adopted {
            return self;
        }
        let adopting = self.against_drift(stack, live);
        let has_more = |change_set: &ChangeSet| {
            change_set.status == ChangeSetStatus::Failed
                || change_set.rows.iter().any(|row| row.action != RowAction::SyncWithActual)
        };
        match live.computed(&adopting.name) {
            Some(computed) if has_more(computed) => self,
            Some(_) | None => adopting,
        }
    }
}

/// Whether a stack is as wanted if all that it needs stays as it is now: then nobody need look at its change sets.
pub fn seems_as_wanted(desired: &Desired, stack: &DesiredStack, now: &World) -> bool {
    let live = existing(now, &stack.name);
    let resolution = resolve(desired, stack, live, now, &|_| true);
    let (Some(live), Some(given)) = (live, resolution.given) else { return false };
    is_as_wanted(stack, live, &Wanted::of(stack, Some(live), Kind::Update, given))
}

/// Whether a stack is as wanted, as far as its description, parameters and tags tell. Costs no call.
pub fn is_as_wanted(stack: &DesiredStack, live: &LiveStack, wanted: &Wanted) -> bool {
    !stack.has_looked_up_parameters && !stack.is_drift_aware && shows_as_wanted(live, wanted)
}

/// The same, but for what CloudFormation looks up by itself.
pub fn shows_as_wanted(live: &LiveStack, wanted: &Wanted) -> bool {
    let mark = live.description.as_deref().and_then(marks::read);
    live.status.phase() == Phase::Steady
        && mark.is_some_and(|mark| mark.digest == wanted.digest)
        && wanted.given.iter().all(|(name, given)| is_given(live, name, given))
        && live.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).eq(wanted.tags.iter())
}

/// A hidden value is taken for the right one: the digest speaks for it.
fn is_given(live: &LiveStack, name: &str, given: &Given) -> bool {
    match (live.parameters.get(name), given) {
        (Some(value), Given::Text(text)) => value == text || value == HIDDEN,
        (Some(_), Given::Previous) => true,
        (None, _) => false,
    }
}

/// Whether the last operation of a stack tried this very change, and was undone. Told by the change set that it executed.
pub fn failed_before(
    desired: &Desired,
    stack: &DesiredStack,
    live: Option<&LiveStack>,
    wanted: &Wanted,
) -> Option<Reason> {
    let live = live.filter(|live| live.status.phase() == Phase::Steady && live.status.is_bad_end())?;
    let tried = live.change_sets.iter().filter(|it| it.execution == Execution::Failed);
    let last = tried.max_by_key(|it| it.created)?;
    let is_this = last.description.as_deref().is_some_and(|description| marks::is_for(description, &wanted.digest));
    (is_this && !desired.allowed.retries)
        .then(|| Reason::FailedBefore { stack: stack.name.clone(), failure: live.first_failure() })
}

/// What stands against changing a stack at all, whatever the change.
pub fn objections(desired: &Desired, stack: &DesiredStack, live: Option<&LiveStack>, now: &World) -> Vec<Reason> {
    let ownership = live.and_then(|live| not_ours(desired, stack, live));
    let needed = stack.capabilities.iter().filter(|needed| !allows(&stack.capabilities_allowed, needed));
    let capabilities =
        needed.map(|needed| Reason::CapabilityNotAllowed { stack: stack.name.clone(), capability: needed.clone() });
    ownership.into_iter().chain(capabilities).chain(unsendable(desired, stack, now)).collect()
}

/// The bytes of what CloudFormation would be given: the template with its mark.
pub fn marked_bytes(desired: &Desired, stack: &DesiredStack) -> usize {
    let mark = Mark { digest: stack.template_digest.clone(), revision: desired.revision.clone() };
    marks::marked(&stack.template, &mark).len()
}

/// The bucket that a template goes through, where a call cannot carry it and one is named.
pub fn bucket_in_use<'a>(desired: &Desired, stack: &'a DesiredStack) -> Option<&'a str> {
    let bucket = stack.template_bucket.as_deref()?;
    (marked_bytes(desired, stack) > TEMPLATE_BODY_BYTES_MAX).then_some(bucket)
}

/// Why a template does not reach CloudFormation.
fn unsendable(desired: &Desired, stack: &DesiredStack, now: &World) -> Option<Reason> {
    let (name, bytes) = (stack.name.clone(), marked_bytes(desired, stack));
    if bytes > TEMPLATE_BYTES_MAX {
        return Some(Reason::TooLarge { stack: name, bytes, max: TEMPLATE_BYTES_MAX });
    }
    if bytes <= TEMPLATE_BODY_BYTES_MAX {
        return None;
    }
    let Some(bucket) = stack.template_bucket.clone() else {
        return Some(Reason::NeedsBucket { stack: name, bytes, max: TEMPLATE_BODY_BYTES_MAX });
    };
    match now.buckets.get(&bucket).copied() {
        // What nobody has looked for is met by whoever puts something there.
        Some(BucketStanding::Ready) | None => None,
        Some(standing) => Some(Reason::NoBucket { stack: name, bucket, standing }),
    }
}

fn not_ours(desired: &Desired, stack: &DesiredStack, live: &LiveStack) -> Option<Reason> {
    if desired.allowed.take_over.contains(&stack.name) {
        return None;
    }
    let is_foreign = |change_set: &ChangeSet| !change_set.name.starts_with(CHANGE_SET_PREFIX);
    let owner = match marks::owner(&live.tags, &stack.tags) {
        Owner::Us => return None,
        // An empty stack has no tags yet. It is somebody's plan if somebody else's change set is on it.
        Owner::Nobody if live.status.phase() == Phase::Empty && !live.change_sets.iter().any(is_foreign) => {
            return None;
        }
        Owner::Nobody => None,
        Owner::Environment(owner) => Some(owner),
    };
    Some(Reason::NotOurs { stack: stack.name.clone(), stack_name: live.name.clone(), owner })
}

/// What guards a stack against people, and lies outside of its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Nobody deletes it.
    TerminationProtection,
    /// Updates may not do everything.
    StackPolicy,
}

/// The guards that a stack should have and does not.
pub fn guards(desired: &Desired, stack: &DesiredStack, live: &LiveStack) -> Vec<Guard> {
    let lacks_protection = desired.is_protected && !live.is_termination_protected;
    // An empty stack takes none (?): it gets its policy when it is there, and until then nothing of it is updated.
    let lacks_policy =
        stack.stack_policy.is_some() && stack.stack_policy != live.policy && live.status.phase() == Phase::Steady;
    let protection = lacks_protection.then_some(Guard::TerminationProtection);
    protection.into_iter().chain(lacks_policy.then_some(Guard::StackPolicy)).collect()
}

/// The policy that will be in force when a change is carried out: the file's is set first.
pub fn policy_in_force<'a>(stack: &'a DesiredStack, live: Option<&'a LiveStack>) -> Option<&'a StackPolicy> {
    stack.stack_policy.as_ref().or_else(|| live?.policy.as_ref())
}

/// What stands against single changes: data put at risk without having been allowed to, and what the stack policy denies.
pub fn dangers(desired: &Desired, stack: &DesiredStack, changes: &[Change]) -> Vec<Reason> {
    let denied = changes.iter().filter_map(|change| {
        Some(Reason::DeniedByPolicy {
            stack: stack.name.clone(),
            resource: change.resource.clone(),
            denial: change.denial?,
            is_declared: stack.stack_policy.is_some(),
        })
    });
    let allowed = &desired.allowed.replacements;
    let danger = |change: &Change| {
        let verdict = change.verdict?;
        let is_allowed = allowed.contains(&format!("{}/{}", stack.name, change.resource));
        (!is_allowed).then(|| Reason::HoldsData {
            stack: stack.name.clone(),
            resource: change.resource.clone(),
            kind: change.kind.clone(),
            verdict,
        })
    };
    changes.iter().filter_map(danger).chain(denied).collect()
}

/// What stands against writing over what somebody changed by hand: nothing, unless the environment is protected.
pub fn overwrites(desired: &Desired, stack: &DesiredStack, changes: &[Change], drifted: &[Drifted]) -> Vec<Reason> {
    // Against drift, writing over it is what is asked for.
    if !desired.is_protected || stack.is_drift_aware {
        return Vec::new();
    }
    let mut by_resource: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for lost in overwritten(changes, drifted) {
        by_resource.entry(lost.resource).or_default().push(lost.property);
    }
    let allowed = &desired.allowed.overwrite_drift;
    by_resource.retain(|resource, _| !allowed.contains(&format!("{}/{resource}", stack.name)));
    let reason = |(resource, properties)| Reason::OverwritesDrift { stack: stack.name.clone(), resource, properties };
    by_resource.into_iter().map(reason).collect()
}

fn beyond_approval(desired: &Desired, stack: &DesiredStack, changes: &[Change], name: &str) -> Vec<Reason> {
    let Some(approval) = &desired.approval else { return Vec::new() };
    match approval.covers(&stack.name, &changes::proposed(stack, changes, Some(name))) {
        Coverage::Covered => Vec::new(),
        Coverage::Exceeded { by } => {
            by.into_iter().map(|excess| Reason::BeyondApproval { stack: stack.name.clone(), excess }).collect()
        }
    }
}

/// Stacks gone from the file: told by the report, deleted only when asked, last, and one after the other. The newest goes first:
/// what imports an export was made after what exports it.
fn strays(desired: &Desired, first: &World, now: &World, are_all_done: bool) -> Vec<Standing> {
    if !desired.allowed.prunes || desired.goal != Goal::Deployed {
        return Vec::new();
    }
    let refused: Vec<Reason> = now.strays.iter().flat_map(|stray| stray_objections(desired, stray)).collect();
    if !refused.is_empty() {
        return vec![Standing::Refuse(refused)];
    }
    let next = now.strays.iter().find(|stray| stray.stack.status.phase() != Phase::Gone);
    next.filter(|_| are_all_done).map(|stray| stray_standing(first, stray)).into_iter().collect()
}

/// The name a stray had in its environment.
pub fn stray_name(stray: &Stray) -> String {
    let mark = stray.stack.tags.get(&format!("{}stack", marks::TAG_PREFIX));
    mark.unwrap_or(&stray.stack.name).clone()
}

fn stray_objections(desired: &Desired, stray: &Stray) -> Vec<Reason> {
    let stack = stray_name(stray);
    if stray.stack.is_termination_protected {
        return vec![Reason::StrayIsProtected { stack }];
    }
    let allowed = &desired.allowed.replacements;
    let lost = stray.stack.resources.iter().filter_map(|resource| Some((resource, changes::loss(resource)?)));
    lost.filter(|(resource, _)| !allowed.contains(&format!("{stack}/{}", resource.logical_id)))
        .map(|(resource, verdict)| Reason::HoldsData {
            stack: stack.clone(),
            resource: resource.logical_id.clone(),
            kind: resource.kind.clone(),
            verdict,
        })
        .collect()
}

fn stray_standing(first: &World, stray: &Stray) -> Standing {
    let stack = stray_name(stray);
    let live = &stray.stack;
    let before = first.strays.iter().find(|known| known.stack.id == live.id).map(|known| &known.stack);
    if has_ended_badly(before, live) {
        let failure = live.first_failure();
        return Standing::Fail(Reason::EndedBadly { stack, status: live.status.clone(), failure });
    }
    match live.status.phase() {
        Phase::Busy => Standing::Wait(busy(&stack, live)),
        Phase::Steady | Phase::Empty | Phase::Stuck(_) | Phase::Gone => {
            let (id, place) = (live.id.clone(), stray.place.clone());
            Standing::Change(Step::DeleteStack { stack, id, place, token: deletion_token(live) })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deploy::world::{LiveResource, Made, PolicyAction, Replacement, Row, RowAction, StackEvent};
    use crate::deploy::{Place, ReadStack, StackStatus};
    use crate::operation::Approval;
    use crate::template::Parameter;

    /// What is wanted: `api<database.Endpoint` is a stack whose parameter `Endpoint` is that output of `database`.
    fn wanted<const COUNT: usize>(words: [&str; COUNT]) -> Desired {
        Desired {
            environment: "scratch@jane".to_owned(),
            environment_word: "scratch-jane".to_owned(),
            project: "sync".to_owned(),
            stacks: words.map(stack).into(),
            ..Desired::default()
        }
    }

    fn place() -> Place {
        Place { account: "333333333333".to_owned(), region: "ap-southeast-2".to_owned(), role: None }
    }

    fn stack(word: &str) -> DesiredStack {
        let (name, from) = word.split_once('<').unwrap_or((word, ""));
        let parameters = from.split_once('.').map(|(stack, output)| Parameter {
            name: output.to_owned(),
            value: ParameterValue::Reference(Reference::Output {
                environment: None,
                stack: stack.to_owned(),
                output: output.to_owned(),
            }),
        });
        let mark = |mark: &str, value: &str| (format!("greenroom:{mark}"), value.to_owned());
        DesiredStack {
            name: name.to_owned(),
            stack_name: format!("sync-{name}"),
            place: place(),
            template: json!({"Resources": {"Database": {"Type": "AWS::RDS::DBInstance"}}}),
            template_digest: "template".to_owned(),
            needs: parameters.iter().filter_map(|_| Some(from.split_once('.')?.0.to_owned())).collect(),
            parameters: parameters.into_iter().collect(),
            tags: [mark("project", "sync"), mark("environment", "scratch-jane"), mark("stack", name)].into(),
            ..DesiredStack::default()
        }
    }

    /// Every output that any stack has, and what it is.
    const OUTPUTS: [(&str, &str); 2] = [("Endpoint", "the-endpoint"), ("VpcId", "vpc-1")];

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// What the parameters of a stack come to once everything it needs is there.
    fn given(stack: &DesiredStack) -> Vec<(String, Given)> {
        let value = |name: &str| texts(&OUTPUTS).get(name).cloned().unwrap_or_default();
        stack.parameters.iter().map(|it| (it.name.clone(), Given::Text(value(&it.name)))).collect()
    }

    /// A stack in words: its name, its status, and what is special about it.
    ///
    /// `wanted`: as wanted; otherwise it is ours and old. `foreign`, `other`: unmarked, or another environment's. `second`: after
    /// a second operation. `protected`. `set=…`: our change set for what is wanted, in that state; `computed=…`: one that was
    /// seen in this run and is gone; `gone=…`: the resource that the change set removes; `theirs`: somebody's change set.
    fn live(desired: &Desired, words: &str) -> (String, LiveStack) {
        let mut words = words.split(' ');
        let (name, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let stack = desired.stack(name).cloned().unwrap_or_else(|| stack(name));
        let words: Vec<&str> = words.collect();
        let has = |word: &str| words.contains(&word);
        let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let status: StackStatus = status.parse().unwrap_or_default();
        let is_empty = status.phase() == Phase::Empty;
        let mut live = LiveStack {
            id: format!("arn:{name}"),
            name: stack.stack_name.clone(),
            status,
            last_operation: if has("second") { "second" } else { "first" }.to_owned(),
            outputs: texts(&OUTPUTS),
            tags: if has("foreign") || is_empty { BTreeMap::new() } else { stack.tags.clone() },
            is_termination_protected: has("protected"),
            ..LiveStack::default()
        };
        if has("other") {
            live.tags.insert("greenroom:environment".to_owned(), "staging".to_owned());
        }
        let kind = if is_empty { Kind::Create } else { Kind::Update };
        let wanted = Wanted::of(&stack, Some(&live), kind, given(&stack));
        if has("wanted") {
            let mark = Mark { digest: wanted.digest.clone(), revision: None };
            live.description = Some(format!("A stack {mark}"));
            live.parameters =
                wanted.given.iter().map(|(name, _)| (name.clone(), texts(&OUTPUTS)[name].clone())).collect();
        }
        let rows: Vec<Row> = value("gone").map(removal).into_iter().collect();
        live.change_sets.extend(value("set").map(|state| change_set(&wanted.name, state, rows.clone())));
        live.computed.extend(value("computed").map(|state| change_set(&wanted.name, state, rows)));
        if has("theirs") {
            live.change_sets.push(change_set("my-change", "available", vec![]));
        }
        (name.to_owned(), live)
    }

    /// What stands against a template of so many bytes without its mark, with a bucket that is so, or none.
    fn sending(bytes: usize, bucket: Option<BucketStanding>) -> Vec<String> {
        let mut desired = wanted(["api"]);
        let stack = &mut desired.stacks[0];
        stack.template = json!({"Metadata": ""});
        let empty = stack.template.to_string().len();
        stack.template = json!({"Metadata": "x".repeat(bytes - empty)});
        stack.template_bucket = bucket.map(|_| "templates".to_owned());
        let buckets = bucket.into_iter().map(|standing| ("templates".to_owned(), standing)).collect();
        let world = World { buckets, ..World::default() };
        objections(&desired, &desired.stacks[0], None, &world).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_template_goes_by_the_call_as_long_as_its_mark_has_room() {
        assert_eq!(sending(51_000, None), Vec::<String>::new());
        assert_eq!(sending(51_000, Some(BucketStanding::Missing)), Vec::<String>::new());
        let expected = "the template of `api` has 51237 bytes with its mark, more than the 51200 that a call can carry";
        assert_eq!(sending(51_200, None), [expected]);
    }

    #[test]
    fn a_large_template_needs_a_bucket_that_is_the_accounts_own() {
        assert_eq!(sending(60_000, Some(BucketStanding::Ready)), Vec::<String>::new());
        let through = "the template of `api` goes through the bucket `templates`, which";
        for (standing, because) in [
            (BucketStanding::Missing, "does not exist"),
            (BucketStanding::Foreign, "belongs to another account or may not be used"),
            (BucketStanding::Elsewhere, "is in another Region"),
        ] {
            assert_eq!(sending(60_000, Some(standing)), [format!("{through} {because}")]);
        }
        let expected =
            "the template of `api` has 1000037 bytes with its mark, more than the 1000000 that CloudFormation takes";
        assert_eq!(sending(1_000_000, Some(BucketStanding::Ready)), [expected]);
    }

    fn removal(logical_id: &str) -> Row {
        Row {
            logical_id: logical_id.to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            action: RowAction::Remove,
            policy_action: Some(PolicyAction::Snapshot),
            ..Row::default()
        }
    }

    fn change_set(name: &str, state: &str, rows: Vec<Row>) -> ChangeSet {
        let (status, execution, reason) = match state {
            "computing" => (ChangeSetStatus::Computing, Execution::Unavailable, None),
            "available" => (ChangeSetStatus::Complete, Execution::Available, None),
            "begun" => (ChangeSetStatus::Complete, Execution::Begun, None),
            "obsolete" => (ChangeSetStatus::Complete, Execution::Obsolete, None),
            "unstartable" => (ChangeSetStatus::Complete, Execution::Failed, Some("no")),
            "deleting" => (ChangeSetStatus::Deleting, Execution::Unavailable, None),
            "same" => {
                let reason = "The submitted information didn't contain changes. Submit different information to create a change set.";
                (ChangeSetStatus::Failed, Execution::Unavailable, Some(reason))
            }
            _ => (ChangeSetStatus::Failed, Execution::Unavailable, Some("Template error")),
        };
        let (id, name, reason) = (format!("arn:{name}/{state}"), name.to_owned(), reason.map(Into::into));
        ChangeSet { id, name, status, execution, created: None, description: None, reason, rows, drifted: Vec::new() }
    }

    fn world(desired: &Desired, stacks: &[&str]) -> World {
        World { stacks: stacks.iter().map(|words| live(desired, words)).collect(), ..World::default() }
    }

    /// The plan in lines, change sets without their digits.
    fn reads(plan: &Plan<Step, Reason>) -> Vec<String> {
        assert_eq!(plan.flaw(), None, "{plan:?}");
        let named = |text: String| {
            regex::Regex::new("r-[0-9a-f]{16}").expect("a constant expression").replace_all(&text, "r-…").into_owned()
        };
        let about = |reason: &Reason| format!("{}: {reason}", reason.subject().stack.unwrap_or_default());
        let (ends, waiting): (Vec<String>, &[Reason]) = match plan {
            Plan::Converged => (vec!["done".to_owned()], &[]),
            Plan::Going { now, waiting, .. } => (now.iter().map(ToString::to_string).collect(), waiting),
            Plan::Refused { because, waiting } => (because.iter().map(|it| format!("refuse: {it}")).collect(), waiting),
            Plan::Failed { causes, waiting } => (causes.iter().map(|it| format!("fail: {it}")).collect(), waiting),
        };
        ends.into_iter().chain(waiting.iter().map(|it| format!("wait: {}", about(it)))).map(named).collect()
    }

    /// Given this world, at the first look and now, the plan reads that.
    #[track_caller]
    fn check(desired: &Desired, stacks: &[&str], expectation: &[&str]) {
        check_since(desired, stacks, stacks, expectation);
    }

    /// Given one world at the first look and another now, the plan reads that.
    #[track_caller]
    fn check_since(desired: &Desired, first: &[&str], now: &[&str], expectation: &[&str]) {
        let plan = plan(desired, &world(desired, first), &world(desired, now));
        assert_eq!(reads(&plan), expectation);
    }

    fn allowing(desired: Desired, allow: impl FnOnce(&mut crate::deploy::Allowed)) -> Desired {
        let mut desired = desired;
        allow(&mut desired.allowed);
        desired
    }

    // One stack, status by status.

    #[test]
    fn creates_what_does_not_exist_through_a_change_set() {
        let desired = wanted(["database"]);
        check(&desired, &[], &["create change set `r-…` for the new stack `database`"]);
        check(&desired, &["database DELETE_COMPLETE"], &["create change set `r-…` for the new stack `database`"]);
        check(
            &desired,
            &["database REVIEW_IN_PROGRESS set=available"],
            &["execute change set `r-…` of stack `database`"],
        );
    }

    #[test]
    fn an_empty_stack_takes_another_creation() {
        let expectation = ["create change set `r-…` for the new stack `database`"];
        check(&wanted(["database"]), &["database REVIEW_IN_PROGRESS"], &expectation);
    }

    #[test]
    fn an_empty_stack_with_somebody_elses_plan_is_left_alone() {
        let expectation = ["refuse: stack `sync-database` exists and was not made by greenroom"];
        check(&wanted(["database"]), &["database REVIEW_IN_PROGRESS theirs"], &expectation);
    }

    #[test]
    fn updates_every_stack_that_may_be_updated() {
        for status in [
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
            "UPDATE_ROLLBACK_COMPLETE",
            "IMPORT_COMPLETE",
            "IMPORT_ROLLBACK_COMPLETE",
        ] {
            let words = format!("database {status}");
            check(&wanted(["database"]), &[&words], &["create change set `r-…` of stack `database`"]);
        }
    }

    #[test]
    fn waits_for_every_operation_that_is_running() {
        for (status, words) in [
            ("CREATE_IN_PROGRESS", "creating"),
            ("ROLLBACK_IN_PROGRESS", "failed, undoing the creation"),
            ("DELETE_IN_PROGRESS", "deleting"),
            ("UPDATE_IN_PROGRESS", "updating"),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "updated, clearing away what was replaced"),
            ("UPDATE_ROLLBACK_IN_PROGRESS", "failed, rolling back"),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "rolled back, clearing away"),
            ("IMPORT_IN_PROGRESS", "importing"),
            ("IMPORT_ROLLBACK_IN_PROGRESS", "failed, rolling back"),
        ] {
            check(&wanted(["database"]), &[&format!("database {status}")], &[&format!("wait: database: {words}")]);
        }
    }

    #[test]
    fn counts_what_has_not_begun_yet() {
        let words = ["database UPDATE_IN_PROGRESS computed=available gone=Database"];
        check(&wanted(["database"]), &words, &["wait: database: updating, 0 of 1 resources"]);
    }

    #[test]
    fn refuses_every_stack_that_is_stuck() {
        for (status, words) in [
            ("ROLLBACK_COMPLETE", "its creation failed and was undone, and it can only be deleted"),
            ("ROLLBACK_FAILED", "its creation failed and left something behind"),
            ("CREATE_FAILED", "its creation failed and left something behind"),
            ("UPDATE_FAILED", "an update failed and was not undone"),
            ("UPDATE_ROLLBACK_FAILED", "an update failed and could not be undone"),
            ("IMPORT_ROLLBACK_FAILED", "an import failed and could not be undone"),
            ("DELETE_FAILED", "it could not be deleted"),
            ("SLEEP_COMPLETE", "this version of greenroom does not know that state"),
        ] {
            let expectation = format!("refuse: stack `database` is {status}: {words}");
            check(&wanted(["database"]), &[&format!("database {status}")], &[&expectation]);
        }
    }

    #[test]
    fn creates_a_failed_creation_anew_only_when_asked() {
        let desired = allowing(wanted(["database"]), |allowed| {
            allowed.recreate.insert("database".to_owned());
        });
        let expectation = ["delete stack `database`, whose creation failed, to create it anew"];
        check(&desired, &["database ROLLBACK_COMPLETE"], &expectation);
        check(
            &desired,
            &["database UPDATE_ROLLBACK_FAILED"],
            &["refuse: stack `database` is UPDATE_ROLLBACK_FAILED: an update failed and could not be undone"],
        );
        check(
            &desired,
            &["database ROLLBACK_COMPLETE foreign"],
            &["refuse: stack `sync-database` exists and was not made by greenroom"],
        );
    }

    #[test]
    fn has_nothing_to_do_for_a_stack_that_is_as_wanted() {
        check(&wanted(["database"]), &["database UPDATE_COMPLETE wanted"], &["done"]);
    }

    /// A template that is the same says nothing about a value that CloudFormation looks up by itself.
    #[test]
    fn asks_cloudformation_where_a_parameter_is_looked_up() {
        let mut desired = wanted(["database"]);
        desired.stacks[0].has_looked_up_parameters = true;
        let words = ["database UPDATE_COMPLETE wanted"];
        check(&desired, &words, &["create change set `r-…` of stack `database`"]);
    }

    /// Somebody updated the stack with the same template and other tags: the description still bears our digest.
    #[test]
    fn a_changed_tag_is_seen_beside_the_digest() {
        let desired = wanted(["database"]);
        let mut now = world(&desired, &["database UPDATE_COMPLETE wanted"]);
        now.stacks.entry("database".to_owned()).and_modify(|live| live.tags.extend(texts(&[("cost-centre", "x")])));
        assert_eq!(reads(&plan(&desired, &now, &now)), ["create change set `r-…` of stack `database`"]);
    }

    #[test]
    fn a_changed_parameter_is_seen_beside_the_digest_and_a_hidden_one_is_believed() {
        let desired = wanted(["network", "api<network.VpcId"]);
        let words = ["network UPDATE_COMPLETE wanted", "api UPDATE_COMPLETE wanted"];
        let mut now = world(&desired, &words);
        for (value, expectation) in [("****", "done"), ("vpc-2", "create change set `r-…` of stack `api`")] {
            now.stacks.entry("api".to_owned()).and_modify(|live| live.parameters = texts(&[("VpcId", value)]));
            assert_eq!(reads(&plan(&desired, &now, &now)), [expectation]);
        }
    }

    // Change sets.

    #[test]
    fn waits_for_a_change_set_and_executes_it() {
        let desired = wanted(["database"]);
        for (state, expectation) in [
            ("computing", "wait: database: change set `r-…` is being computed"),
            ("available", "execute change set `r-…` of stack `database`"),
            ("begun", "wait: database: change set `r-…` has begun"),
            ("deleting", "wait: database: change set `r-…` is being deleted"),
            ("obsolete", "delete change set `r-…` of stack `database`"),
            ("same", "delete change set `r-…` of stack `database`"),
        ] {
            check(&desired, &[&format!("database UPDATE_COMPLETE set={state}")], &[expectation]);
        }
    }

    #[test]
    fn a_change_set_that_changes_nothing_settles_the_stack() {
        let desired = wanted(["database"]);
        check(&desired, &["database UPDATE_COMPLETE computed=same"], &["done"]);
        check(&desired, &["database UPDATE_COMPLETE computed=same set=deleting"], &["done"]);
    }

    #[test]
    fn what_needs_a_stack_goes_on_when_that_changes_nothing() {
        check(
            &wanted(["network", "api<network.VpcId"]),
            &["network UPDATE_COMPLETE set=same", "api UPDATE_COMPLETE"],
            &["create change set `r-…` of stack `api`"],
        );
    }

    #[test]
    fn a_change_set_that_fails_in_this_run_fails_it() {
        for state in ["failed", "unstartable"] {
            let because = if state == "failed" { "Template error" } else { "no" };
            let expectation = format!("fail: change set `r-…` of stack `database` could not be computed: {because}");
            let now = format!("database UPDATE_COMPLETE set={state}");
            check_since(&wanted(["database"]), &["database UPDATE_COMPLETE"], &[&now], &[&expectation]);
        }
    }

    #[test]
    fn a_change_set_that_failed_before_is_deleted_and_made_again() {
        let words = ["database UPDATE_COMPLETE set=failed"];
        check(&wanted(["database"]), &words, &["delete change set `r-…` of stack `database`"]);
    }

    #[test]
    fn another_operation_makes_another_name() {
        let desired = wanted(["database"]);
        let name = |words: &str| live(&desired, words).1.change_sets[0].name.clone();
        let before = name("database UPDATE_COMPLETE set=available");
        assert_eq!(before, name("database UPDATE_COMPLETE set=computing"), "the same is called the same");
        assert_ne!(before, name("database UPDATE_COMPLETE second set=available"));
    }

    // Failure ends the run that caused it, and no other.

    #[test]
    fn an_update_that_was_rolled_back_in_this_run_fails_with_its_first_cause() {
        let desired = wanted(["database"]);
        let first = world(&desired, &["database UPDATE_COMPLETE"]);
        let mut now = world(&desired, &["database UPDATE_ROLLBACK_COMPLETE second"]);
        let event = |resource: &str, status: &str, reason: &str| StackEvent {
            resource: resource.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            ..StackEvent::default()
        };
        now.stacks.entry("database".to_owned()).and_modify(|live| {
            live.events = vec![
                event("Alarm", "UPDATE_FAILED", "Resource update cancelled"),
                event("Database", "UPDATE_FAILED", "storage cannot shrink."),
            ];
        });
        assert_eq!(
            reads(&plan(&desired, &first, &now)),
            ["fail: stack `database` ended in UPDATE_ROLLBACK_COMPLETE because of `Database`: storage cannot shrink"]
        );
    }

    #[test]
    fn the_same_stack_is_a_fair_start_for_the_next_run() {
        let words = ["database UPDATE_ROLLBACK_COMPLETE second"];
        check(&wanted(["database"]), &words, &["create change set `r-…` of stack `database`"]);
    }

    #[test]
    fn what_was_running_when_the_run_began_belongs_to_it() {
        check_since(
            &wanted(["database"]),
            &["database UPDATE_IN_PROGRESS"],
            &["database UPDATE_ROLLBACK_COMPLETE"],
            &["fail: stack `database` ended in UPDATE_ROLLBACK_COMPLETE"],
        );
    }

    #[test]
    fn a_creation_that_was_undone_in_this_run_fails_it_even_where_it_may_be_done_anew() {
        let desired = allowing(wanted(["database"]), |allowed| {
            allowed.recreate.insert("database".to_owned());
        });
        for first in [&[][..], &["database REVIEW_IN_PROGRESS set=available"]] {
            let now = ["database ROLLBACK_COMPLETE second"];
            check_since(&desired, first, &now, &["fail: stack `database` ended in ROLLBACK_COMPLETE"]);
        }
    }

    #[test]
    fn a_rollback_is_followed_to_its_end() {
        let expectation = ["wait: database: failed, rolling back"];
        let first = ["database UPDATE_COMPLETE"];
        check_since(&wanted(["database"]), &first, &["database UPDATE_ROLLBACK_IN_PROGRESS second"], &expectation);
    }

    #[test]
    fn a_failure_starts_nothing_more_and_names_what_still_runs() {
        check_since(
            &wanted(["database", "elk", "network", "api<database.Endpoint"]),
            &["elk UPDATE_COMPLETE"],
            &["database ROLLBACK_COMPLETE", "elk UPDATE_IN_PROGRESS second", "network UPDATE_COMPLETE"],
            &["fail: stack `database` ended in ROLLBACK_COMPLETE", "wait: elk: updating"],
        );
    }

    // References between stacks.

    #[test]
    fn stacks_that_need_nothing_of_each_other_go_at_the_same_time() {
        check(
            &wanted(["database", "elk"]),
            &[],
            &[
                "create change set `r-…` for the new stack `database`",
                "create change set `r-…` for the new stack `elk`",
            ],
        );
    }

    #[test]
    fn waits_for_the_stack_whose_output_it_takes() {
        check(
            &wanted(["network", "api<network.VpcId"]),
            &["network CREATE_IN_PROGRESS"],
            &["wait: network: creating", "wait: api: after network (VpcId)"],
        );
    }

    #[test]
    fn an_unchanged_stack_gives_its_live_output() {
        let words = ["network UPDATE_COMPLETE wanted"];
        let desired = wanted(["network", "api<network.VpcId"]);
        let now = world(&desired, &words);
        let plan = plan(&desired, &now, &now);
        let [Step::CreateChangeSet { parameters, .. }] = plan.now() else { panic!("{plan:?}") };
        assert_eq!(parameters.as_slice(), [("VpcId".to_owned(), Given::Text("vpc-1".to_owned()))]);
    }

    #[test]
    fn a_stack_that_is_only_needed_first_is_waited_for_too() {
        let mut desired = wanted(["network", "api"]);
        desired.stacks[1].needs.insert("network".to_owned());
        let words = ["network CREATE_IN_PROGRESS"];
        check(&desired, &words, &["wait: network: creating", "wait: api: after network"]);
    }

    #[test]
    fn refuses_a_reference_to_what_is_not_there() {
        let mut desired = wanted(["api<network.VpcId", "web<network.Nonsense"]);
        desired.read.push(ReadStack { label: "network".to_owned(), ..ReadStack::default() });
        check(
            &desired,
            &[],
            &[
                "refuse: parameter `VpcId` of `api` is to be {output: network.VpcId}, but stack `network` is not there",
                "refuse: parameter `Nonsense` of `web` is to be {output: network.Nonsense}, but stack `network` is not there",
            ],
        );
        check(
            &desired,
            &["network UPDATE_COMPLETE"],
            &[
                "refuse: parameter `Nonsense` of `web` is to be {output: network.Nonsense}, but there is no output `Nonsense`",
            ],
        );
    }

    #[test]
    fn waits_for_a_stack_that_is_only_read_while_somebody_changes_it() {
        let words = ["network UPDATE_IN_PROGRESS"];
        check(&wanted(["api<network.VpcId"]), &words, &["wait: api: after network (VpcId)"]);
    }

    #[test]
    fn keeps_a_previous_value_only_where_there_is_one() {
        let mut desired = wanted(["api"]);
        let value = ParameterValue::Reference(Reference::Previous);
        desired.stacks[0].parameters.push(Parameter { name: "Secret".to_owned(), value });
        let missing = "refuse: parameter `Secret` of `api` is to be {previous: true}, but the stack has none yet";
        check(&desired, &[], &[missing]);
        let mut now = world(&wanted(["api"]), &["api UPDATE_COMPLETE"]);
        now.stacks.entry("api".to_owned()).and_modify(|live| live.parameters = texts(&[("Secret", "****")]));
        let plan = plan(&desired, &now, &now);
        let [Step::CreateChangeSet { parameters, .. }] = plan.now() else { panic!("{plan:?}") };
        assert_eq!(parameters.as_slice(), [("Secret".to_owned(), Given::Previous)]);
    }

    #[test]
    fn reads_an_export_of_the_stacks_own_place() {
        let mut desired = wanted(["api"]);
        let value = ParameterValue::Reference(Reference::Export { name: "hub-vpc".to_owned() });
        desired.stacks[0].parameters.push(Parameter { name: "Hub".to_owned(), value });
        let missing =
            "refuse: parameter `Hub` of `api` is to be {export: hub-vpc}, but nothing is exported as `hub-vpc`";
        check(&desired, &[], &[missing]);
        let key = ("333333333333".to_owned(), "ap-southeast-2".to_owned(), "hub-vpc".to_owned());
        let now = World { exports: [(key, "vpc-9".to_owned())].into(), ..World::default() };
        assert_eq!(reads(&plan(&desired, &now, &now)), ["create change set `r-…` for the new stack `api`"]);
    }

    // Nothing is changed before all that can be known is known.

    #[test]
    fn no_change_begins_while_another_is_about_to_be_known() {
        check(
            &wanted(["database", "elk"]),
            &["database UPDATE_COMPLETE set=available", "elk UPDATE_COMPLETE set=computing"],
            &["wait: database: until the changes of `elk` are known", "wait: elk: change set `r-…` is being computed"],
        );
    }

    #[test]
    fn a_long_operation_of_another_stack_holds_nothing_back() {
        check(
            &wanted(["database", "elk"]),
            &["database UPDATE_COMPLETE set=available", "elk UPDATE_IN_PROGRESS"],
            &["execute change set `r-…` of stack `database`", "wait: elk: updating"],
        );
    }

    #[test]
    fn one_refusal_stops_all() {
        check(
            &wanted(["database", "elk"]),
            &["database UPDATE_COMPLETE set=available", "elk ROLLBACK_COMPLETE"],
            &[
                "refuse: stack `elk` is ROLLBACK_COMPLETE: its creation failed and was undone, and it can only be deleted",
            ],
        );
    }

    // Guards.

    #[test]
    fn a_stack_that_is_not_ours_is_refused_until_it_is_taken_over() {
        let desired = wanted(["database"]);
        let foreign = "refuse: stack `sync-database` exists and was not made by greenroom";
        check(&desired, &["database UPDATE_COMPLETE foreign"], &[foreign]);
        let other = "refuse: stack `sync-database` exists and belongs to sync/staging/database";
        check(&desired, &["database UPDATE_COMPLETE other"], &[other]);
        let desired = allowing(desired, |allowed| {
            allowed.take_over.insert("database".to_owned());
        });
        let words = ["database UPDATE_COMPLETE foreign"];
        check(&desired, &words, &["create change set `r-…` of stack `database`"]);
    }

    #[test]
    fn a_protected_stack_is_guarded_before_its_first_change() {
        let desired = Desired { is_protected: true, ..wanted(["database"]) };
        let guard = ["set termination protection of stack `database`"];
        check(&desired, &["database REVIEW_IN_PROGRESS set=available"], &guard);
        check(&desired, &["database UPDATE_COMPLETE set=available"], &guard);
        check(&desired, &["database UPDATE_COMPLETE wanted"], &guard);
        let words = ["database UPDATE_COMPLETE protected set=available"];
        check(&desired, &words, &["execute change set `r-…` of stack `database`"]);
        check(&desired, &["database UPDATE_COMPLETE protected wanted"], &["done"]);
    }

    /// A policy that lets one action not be done to the database.
    fn denying(action: &str) -> Option<StackPolicy> {
        StackPolicy::parse(&format!(
            r#"{{"Statement": [
                {{"Effect": "Allow", "Action": "*", "Principal": "*", "Resource": "*"}},
                {{"Effect": "Deny", "Action": "{action}", "Principal": "*", "Resource": "LogicalResourceId/Database"}}
            ]}}"#
        ))
    }

    /// What the plan reads for a database that was given a policy by somebody.
    fn reads_with(desired: &Desired, words: &str, policy: Option<&StackPolicy>) -> Vec<String> {
        let mut now = world(desired, &[words]);
        now.stacks.values_mut().for_each(|live| live.policy = policy.cloned());
        reads(&plan(desired, &now, &now))
    }

    #[test]
    fn the_policy_of_the_file_is_in_force_before_a_change_and_without_one() {
        let mut desired = wanted(["database"]);
        desired.stacks[0].stack_policy = denying("Update:Delete");
        let set = ["set the stack policy of stack `database`"];
        for words in ["database UPDATE_COMPLETE set=available", "database UPDATE_COMPLETE wanted"] {
            assert_eq!(reads_with(&desired, words, None), set);
            assert_eq!(reads_with(&desired, words, denying("Update:Replace").as_ref()), set);
        }
        let policy = denying("Update:Delete");
        assert_eq!(reads_with(&desired, "database UPDATE_COMPLETE wanted", policy.as_ref()), ["done"]);
        let execution = ["execute change set `r-…` of stack `database`"];
        assert_eq!(reads_with(&desired, "database REVIEW_IN_PROGRESS set=available", None), execution);
    }

    #[test]
    fn what_a_policy_denies_is_refused_before_it_is_tried() {
        let mut desired = allowing(wanted(["database"]), |allowed| {
            allowed.replacements.insert("database/Database".to_owned());
        });
        let words = "database UPDATE_COMPLETE set=available gone=Database";
        let refusal =
            "refuse: `database/Database` may not be removed: statement 2 of the stack policy denies Update:Delete";
        assert_eq!(reads_with(&desired, words, denying("Update:Delete").as_ref()), [refusal]);
        let execution = ["execute change set `r-…` of stack `database`"];
        assert_eq!(reads_with(&desired, words, denying("Update:Replace").as_ref()), execution);
        desired.stacks[0].stack_policy = denying("Update:Delete");
        assert_eq!(
            reads_with(&desired, words, denying("Update:Replace").as_ref()),
            [refusal],
            "the file's will be in force"
        );
    }

    #[test]
    fn what_holds_data_goes_only_when_that_very_resource_was_allowed_to() {
        let desired = wanted(["database"]);
        let words = ["database UPDATE_COMPLETE set=available gone=Database"];
        let refusal = "refuse: `database/Database` holds data and would be deleted; a snapshot stays";
        check(&desired, &words, &[refusal]);
        for (allowed, expectation) in
            [("database/Other", refusal), ("database/Database", "execute change set `r-…` of stack `database`")]
        {
            let desired = allowing(desired.clone(), |it| {
                it.replacements.insert(allowed.to_owned());
            });
            check(&desired, &words, &[expectation]);
        }
    }

    #[test]
    fn a_replaced_database_is_refused_in_words() {
        let desired = wanted(["database"]);
        let mut now = world(&desired, &["database UPDATE_COMPLETE set=available"]);
        let row = Row { action: RowAction::Modify, replacement: Replacement::Always, ..removal("Database") };
        now.stacks.entry("database".to_owned()).and_modify(|live| live.change_sets[0].rows = vec![row]);
        assert_eq!(
            reads(&plan(&desired, &now, &now)),
            [
                "refuse: `database/Database` holds data and would be replaced by an EMPTY database; the old one stays as a snapshot"
            ]
        );
    }

    #[test]
    fn capabilities_are_used_only_as_allowed() {
        let mut desired = wanted(["database"]);
        desired.stacks[0].capabilities = vec!["CAPABILITY_IAM".to_owned()];
        let refusal =
            "refuse: the template of `database` needs CAPABILITY_IAM, which `deploy.capabilities` does not allow";
        check(&desired, &[], &[refusal]);
        desired.stacks[0].capabilities_allowed = vec!["CAPABILITY_NAMED_IAM".to_owned()];
        check(&desired, &[], &["create change set `r-…` for the new stack `database`"]);
    }

    #[test]
    fn a_template_that_no_call_can_carry_is_refused() {
        let mut desired = wanted(["database"]);
        desired.stacks[0].template = json!({"Metadata": "x".repeat(51_200)});
        let refusal = "refuse: the template of `database` has 51252 bytes with its mark, more than the 51200 that a call can carry";
        check(&desired, &[], &[refusal]);
    }

    #[test]
    fn what_goes_beyond_the_approval_is_refused() {
        let desired = Desired { approval: Some(Approval::default()), ..wanted(["database"]) };
        let words = ["database UPDATE_COMPLETE set=available"];
        check(&desired, &words, &["refuse: no change of stack `database` was approved"]);
        let proposed = changes::proposed(&desired.stacks[0], &[], None);
        let approval = Approval { stacks: [("database".to_owned(), proposed)].into() };
        let desired = Desired { approval: Some(approval), ..desired };
        check(&desired, &words, &["execute change set `r-…` of stack `database`"]);
    }

    // Stacks gone from the file.

    fn with_stray(desired: &Desired, words: &str) -> World {
        let (_, mut stray) = live(desired, words);
        let resource = |id: &str, kind: &str| LiveResource {
            logical_id: id.to_owned(),
            kind: kind.to_owned(),
            ..LiveResource::default()
        };
        stray.resources.push(resource("Queue", "AWS::SQS::Queue"));
        if words.contains("holding") {
            stray.resources.push(resource("Database", "AWS::RDS::DBInstance"));
        }
        let strays = vec![Stray { place: place(), stack: stray }];
        World { strays, ..world(desired, &["database UPDATE_COMPLETE wanted"]) }
    }

    fn pruning() -> Desired {
        allowing(wanted(["database"]), |allowed| allowed.prunes = true)
    }

    #[test]
    fn a_stack_gone_from_the_file_is_deleted_only_when_asked() {
        let now = with_stray(&wanted(["database"]), "cache UPDATE_COMPLETE");
        assert_eq!(reads(&plan(&wanted(["database"]), &now, &now)), ["done"]);
        assert_eq!(reads(&plan(&pruning(), &now, &now)), ["delete stack `cache`, which is gone from the file"]);
    }

    #[test]
    fn a_stack_gone_from_the_file_goes_last() {
        let mut now = with_stray(&pruning(), "cache UPDATE_COMPLETE");
        now.stacks.clear();
        assert_eq!(reads(&plan(&pruning(), &now, &now)), ["create change set `r-…` for the new stack `database`"]);
    }

    #[test]
    fn a_stack_gone_from_the_file_is_refused_where_it_is_guarded_or_holds_data() {
        let now = with_stray(&pruning(), "cache UPDATE_COMPLETE protected");
        let guarded = "refuse: stack `cache` is gone from the file, but guarded by termination protection";
        assert_eq!(reads(&plan(&pruning(), &now, &now)), [guarded]);
        let now = with_stray(&pruning(), "cache UPDATE_COMPLETE holding");
        let holding = "refuse: `cache/Database` holds data and would be deleted; a snapshot stays";
        assert_eq!(reads(&plan(&pruning(), &now, &now)), [holding]);
    }

    #[test]
    fn a_deletion_that_fails_in_this_run_fails_it() {
        let first = with_stray(&pruning(), "cache UPDATE_COMPLETE");
        let now = with_stray(&pruning(), "cache DELETE_FAILED second");
        assert_eq!(reads(&plan(&pruning(), &first, &now)), ["fail: stack `cache` ended in DELETE_FAILED"]);
    }

    // What is cleared away when nothing more is done.

    fn withdrawing() -> Desired {
        Desired { goal: Goal::Withdrawn, ..wanted(["database"]) }
    }

    #[test]
    fn a_change_set_of_ours_is_withdrawn_unless_it_is_in_use() {
        for (words, expectation) in [
            ("database UPDATE_COMPLETE set=available", "delete change set `r-…` of stack `database`"),
            ("database UPDATE_COMPLETE set=failed", "delete change set `r-…` of stack `database`"),
            ("database UPDATE_COMPLETE set=computing", "wait: database: change set `r-…` is being computed"),
            ("database UPDATE_COMPLETE set=begun", "done"),
            ("database UPDATE_COMPLETE set=deleting", "done"),
            ("database UPDATE_COMPLETE theirs", "done"),
            ("database UPDATE_IN_PROGRESS set=available", "done"),
            ("database REVIEW_IN_PROGRESS set=available", "delete change set `r-…` of stack `database`"),
            ("database REVIEW_IN_PROGRESS set=deleting", "wait: database: change set `r-…` is being deleted"),
        ] {
            check(&withdrawing(), &[words], &[expectation]);
        }
    }

    #[test]
    fn an_empty_stack_goes_only_after_this_run_has_deleted_what_it_was_for() {
        let desired = withdrawing();
        for (words, is_emptied, expectation) in [
            ("database REVIEW_IN_PROGRESS", true, "delete stack `database`, which was never created"),
            ("database REVIEW_IN_PROGRESS", false, "done"),
            ("database REVIEW_IN_PROGRESS theirs", true, "done"),
            ("database REVIEW_IN_PROGRESS protected", true, "done"),
            ("database CREATE_COMPLETE", true, "done"),
        ] {
            let names = BTreeSet::from(["r-0123456789abcdef".to_owned()]);
            let emptied = is_emptied.then(|| ("database".to_owned(), names)).into_iter().collect();
            let now = World { emptied, ..world(&desired, &[words]) };
            assert_eq!(reads(&plan(&desired, &now, &now)), [expectation], "{words}");
        }
    }

    /// A look that was out of date asked for a change set, and the next saw the stack as wanted and looked no further.
    #[test]
    fn what_this_run_made_is_withdrawn_though_no_list_shows_it() {
        let desired = wanted(["database"]);
        let made = [("r-0123456789abcdef".to_owned(), Made::default())].into();
        let made = [("database".to_owned(), made)].into();
        let now = World { made, ..world(&desired, &["database UPDATE_COMPLETE wanted"]) };
        assert_eq!(reads(&plan(&desired, &now, &now)), ["delete change set `r-…` of stack `database`"]);
    }

    /// Looks that were out of date asked for a change set once more after it was executed, and its list still showed that one: what
    /// was made last stayed on the stack, as one that had failed because there was nothing to change.
    #[test]
    fn what_was_executed_is_not_what_was_made_of_that_name_since() {
        let desired = wanted(["database"]);
        let time = |second: i64| Timestamp::from_second(second).ok();
        let made = |id: &str| Made { id: Some(id.to_owned()), asked: time(20) };
        for (listed, created, expectation) in [
            ("executed", 10, "delete change set `r-…` of stack `database`"),
            ("made", 10, "done"),
            ("made by somebody since", 30, "done"),
        ] {
            let mut now = world(&desired, &["database UPDATE_COMPLETE wanted set=begun"]);
            for change_set in now.stacks.values_mut().flat_map(|live| &mut live.change_sets) {
                (change_set.id, change_set.created) = (listed.to_owned(), time(created));
                now.made.entry("database".to_owned()).or_default().insert(change_set.name.clone(), made("made"));
            }
            assert_eq!(reads(&plan(&desired, &now, &now)), [expectation], "{listed}");
        }
    }

    /// An emulator tells neither of operations nor of times, and was waited for.
    #[test]
    fn an_executed_change_set_without_effect_is_not_waited_for_without_end() {
        let desired = wanted(["database"]);
        let at = |minute: i64| World {
            asked: Timestamp::from_second(minute * 60).ok(),
            now: Timestamp::from_second(minute * 60).ok(),
            executed: Timestamp::from_second(60).ok().map(|time| ("database".to_owned(), time)).into_iter().collect(),
            ..world(&desired, &["database UPDATE_COMPLETE set=begun"])
        };
        assert_eq!(reads(&plan(&desired, &at(0), &at(5))), ["wait: database: change set `r-…` has begun"]);
        let nothing = "fail: change set `r-…` was executed 5 minutes ago, and stack `database` shows nothing of it";
        assert_eq!(reads(&plan(&desired, &at(0), &at(6))), [nothing]);
    }

    /// A look asked for the stack a second after its change set was executed, and for the change sets and much else after that. It
    /// lasted nineteen minutes: nothing was known against the execution, and the next look saw its end.
    #[test]
    fn a_look_that_lasts_long_is_no_evidence_that_nothing_came() {
        let desired = wanted(["database"]);
        let second = |second: i64| Timestamp::from_second(second).ok();
        let at = |asked, now| World {
            asked: second(asked),
            now: second(now),
            executed: second(60).map(|time| ("database".to_owned(), time)).into_iter().collect(),
            ..world(&desired, &["database REVIEW_IN_PROGRESS set=begun"])
        };
        let waiting = ["wait: database: change set `r-…` has begun"];
        assert_eq!(reads(&plan(&desired, &at(0, 0), &at(61, 60 + 19 * 60))), waiting);
    }

    // Showing without changing.

    fn showing(goal: Goal) -> Desired {
        Desired { goal, ..wanted(["network", "api<network.VpcId"]) }
    }

    #[test]
    fn showing_makes_no_change_set_for_a_new_stack() {
        check(&showing(Goal::Shown), &[], &["done"]);
    }

    #[test]
    fn showing_computes_what_follows_with_the_outputs_of_now() {
        check(
            &showing(Goal::Shown),
            &["network UPDATE_COMPLETE", "api UPDATE_COMPLETE"],
            &["create change set `r-…` of stack `network`", "create change set `r-…` of stack `api`"],
        );
    }

    #[test]
    fn showing_leaves_no_change_set_and_executes_none() {
        let words = ["network UPDATE_COMPLETE computed=available set=available", "api UPDATE_COMPLETE wanted"];
        check(&showing(Goal::Shown), &words, &["delete change set `r-…` of stack `network`"]);
        check(&showing(Goal::Known), &words, &["done"]);
    }

    #[test]
    fn showing_refuses_nothing_and_leaves_that_to_the_report() {
        let words = ["network ROLLBACK_COMPLETE", "api UPDATE_COMPLETE foreign"];
        check(&showing(Goal::Shown), &words, &["create change set `r-…` of stack `api`"]);
    }
}
