//! What is said when a run is over: what would change, or what was done. Pure, from what was seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::changes::{self, Action, Change};
use super::consumers::impact;
use super::drifted::{Overwritten, overwritten};
use super::plan::{
    Guard, Resolution, Wanted, dangers, failed_before, guards, has_moved, is_as_wanted, objections, overwrites,
    policy_in_force, resolve, stray_name,
};
use super::world::{ChangeSet, ChangeSetStatus, Drifted, DriftedProperty, STACK_TYPE};
use super::{Desired, DesiredStack, Kind, LiveStack, Phase, Reason, StackStatus, Stuck, Upstream, World};
use crate::operation::{Approval, StackChange};

/// What a deployment would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// The environment.
    pub environment: String,
    /// Whether it was estimated, without CloudFormation's word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_estimated: bool,
    /// Its stacks, in the order of work.
    pub stacks: Vec<StackPreview>,
    /// Over all stacks.
    pub counts: Counts,
    /// Why `deploy` would refuse; empty where it would not.
    pub refusals: Vec<Reason>,
    /// Stacks that are gone from the file and still there.
    pub strays: Vec<String>,
}

/// What a deployment would do to one stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackPreview {
    /// The stack.
    pub stack: String,
    /// In a word.
    pub outlook: Outlook,
    /// What happens to its resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Stacks whose change comes first and may change more here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Upstream>,
    /// What it will be guarded by, and is not yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// What a change of their outputs may do here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub possible: Vec<Change>,
    /// What is not as sure as the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl StackPreview {
    /// Why `deploy` would not write over what somebody changed by hand.
    fn overwrites(&self, desired: &Desired, stack: &DesiredStack) -> Vec<Reason> {
        let lost = self.warnings.iter().filter_map(|warning| match warning {
            Warning::OverwritesDrift { lost } => Some(Drifted {
                resource: lost.resource.clone(),
                properties: vec![DriftedProperty { path: lost.property.clone(), actual: lost.actual.clone() }],
                unread: None,
            }),
            Warning::DriftUnread { .. } | Warning::OfCloudFormation { .. } | Warning::NestedUnseen { .. } => None,
        });
        overwrites(desired, stack, &self.changes, &lost.collect::<Vec<_>>())
    }
}

/// Why a preview is not all that will happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "warning", rename_all = "snake_case")]
pub enum Warning {
    /// CloudFormation says so. Also how it tells of a missing export: the change can be tried, and fails.
    #[error("CloudFormation warns: {said}")]
    OfCloudFormation {
        /// In its own words.
        said: String,
    },
    /// What somebody changed by hand is lost.
    #[error(
        "`{}/{}` was changed by hand to {}, and {} written over",
        lost.resource,
        lost.property,
        lost.actual.as_deref().unwrap_or("nothing"),
        if lost.is_certain { "is" } else { "may be" }
    )]
    OverwritesDrift {
        /// What.
        #[serde(flatten)]
        lost: Overwritten,
    },
    /// Nobody knows whether somebody changed something by hand.
    #[error("whether `{resource}` was changed by hand could not be read: {because}")]
    DriftUnread {
        /// Its logical id.
        resource: String,
        /// Why.
        because: String,
    },
    /// A change set does not look into nested stacks.
    #[error("what changes inside of the nested stack `{resource}` is known only afterwards")]
    NestedUnseen {
        /// Its logical id.
        resource: String,
    },
}

/// What lies before a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// It will be created.
    New,
    /// It will be changed.
    Changed,
    /// It is as wanted.
    Unchanged,
    /// It is as wanted, though it was not deployed so: that is recorded, and nothing is touched.
    Recorded,
    /// What changes is known only once others are as wanted.
    Open,
    /// It cannot be changed.
    Barred,
}

/// How many resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Come into being.
    pub add: usize,
    /// Are changed in place, as far as anybody can say.
    pub modify: usize,
    /// Are replaced.
    pub replace: usize,
    /// Go.
    pub remove: usize,
}

impl Counts {
    /// Counts changes.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            let count = match change.action {
                // What is only recorded changes nothing.
                Action::Record => continue,
                Action::Add | Action::Import => &mut counts.add,
                Action::Modify | Action::MayReplace | Action::Unknown => &mut counts.modify,
                Action::Replace => &mut counts.replace,
                Action::Remove => &mut counts.remove,
            };
            *count += 1;
        }
        counts
    }
}

impl Preview {
    /// Whether a deployment would do anything.
    pub fn has_changes(&self) -> bool {
        self.stacks.iter().any(|stack| !matches!(stack.outlook, Outlook::Unchanged | Outlook::Recorded))
    }
}

/// Says what a deployment would do, from a look at which every change that can be known is.
pub fn preview(desired: &Desired, now: &World) -> Preview {
    let mut stacks = Vec::with_capacity(desired.stacks.len());
    let mut refusals = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for stack in &desired.stacks {
        let live = now.stacks.get(&stack.name).filter(|live| live.status.phase() != Phase::Gone);
        let resolution = resolve(desired, stack, live, now, &|label| done.contains(label));
        let mut seen = preview_of(stack, live, &resolution);
        // What is only recorded has the same outputs afterwards.
        if matches!(seen.outlook, Outlook::Unchanged | Outlook::Recorded) {
            done.insert(&stack.name);
        } else {
            refusals.extend(resolution.missing);
            match live.and_then(|live| barred(desired, stack, live)) {
                Some(reason) => refusals.push(reason),
                None => refusals.extend(objections(desired, stack, live, now)),
            }
            refusals.extend(dangers(desired, stack, &seen.changes));
            let given = resolution.given.clone().filter(|_| seen.outlook != Outlook::New);
            let wanted = given.map(|given| Wanted::of(stack, live, Kind::Update, given));
            refusals.extend(wanted.and_then(|wanted| failed_before(desired, stack, live, &wanted)));
            let impact = impact(desired, stack, live, now);
            refusals.extend(impact.refusals);
            seen.after.extend(impact.first);
            refusals.extend(seen.overwrites(desired, stack));
        }
        if matches!(seen.outlook, Outlook::Unchanged | Outlook::Recorded | Outlook::Changed)
            && let Some(live) = live
        {
            seen.guards = guards(desired, stack, live);
        }
        if !seen.guards.is_empty() {
            seen.outlook = Outlook::Changed;
        }
        stacks.push(seen);
    }
    Preview {
        environment: desired.environment.clone(),
        is_estimated: false,
        counts: Counts::of(stacks.iter().flat_map(|stack| &stack.changes)),
        stacks,
        refusals,
        strays: now.strays.iter().map(stray_name).collect(),
    }
}

/// A stack that no update leads out of, unless it is a failed creation that may be done anew.
fn barred(desired: &Desired, stack: &DesiredStack, live: &LiveStack) -> Option<Reason> {
    let Phase::Stuck(how) = live.status.phase() else { return None };
    let may_be_anew =
        matches!(how, Stuck::CreationUndone | Stuck::CreationFailed) && desired.allowed.recreate.contains(&stack.name);
    (!may_be_anew).then(|| Reason::Stuck { stack: stack.name.clone(), status: live.status.clone() })
}

fn preview_of(stack: &DesiredStack, live: Option<&LiveStack>, resolution: &Resolution) -> StackPreview {
    let after = resolution.after.clone();
    let waiting: Vec<&str> = resolution.waiting_parameters.iter().map(String::as_str).collect();
    let seen = |outlook, changes| StackPreview {
        stack: stack.name.clone(),
        outlook,
        changes,
        after: after.clone(),
        guards: Vec::new(),
        possible: changes::possible(&stack.template, &waiting),
        warnings: Vec::new(),
    };
    if !resolution.missing.is_empty() {
        return seen(Outlook::Barred, Vec::new());
    }
    let Some(live) = live.filter(|live| live.status.phase() != Phase::Empty) else {
        let new = seen(Outlook::New, changes::additions(&stack.template));
        return StackPreview { possible: Vec::new(), ..new };
    };
    if matches!(live.status.phase(), Phase::Stuck(_)) {
        return seen(Outlook::Barred, Vec::new());
    }
    let Some(given) = resolution.given.clone() else { return seen(Outlook::Open, Vec::new()) };
    let wanted = Wanted::of(stack, Some(live), Kind::Update, given);
    let wanted = wanted.or_adopted(stack, Some(live));
    let computed = live.computed(&wanted.name);
    let changes = computed.map(|computed| (computed.status, computed.changes_nothing(), &computed.rows));
    let is_unchanged = is_as_wanted(stack, live, &wanted) || changes.is_some_and(|(_, is_nothing, _)| is_nothing);
    match changes {
        _ if is_unchanged && after.is_empty() => seen(Outlook::Unchanged, Vec::new()),
        Some((ChangeSetStatus::Complete, _, rows)) => {
            let mut changes = changes::read(rows, &stack.template);
            changes::judge(&mut changes, policy_in_force(stack, Some(live)));
            let mut warnings = warnings(computed, &changes);
            if !stack.is_drift_aware {
                warnings.extend(drift_warnings(computed, &changes));
            }
            let is_recorded = !changes.is_empty() && changes.iter().all(|change| change.action == Action::Record);
            let outlook = if is_recorded { Outlook::Recorded } else { Outlook::Changed };
            StackPreview { warnings, ..seen(outlook, changes) }
        }
        Some(_) | None => seen(Outlook::Open, Vec::new()),
    }
}

/// What somebody did by hand and would be lost, and where nobody could tell.
fn drift_warnings(computed: Option<&ChangeSet>, changes: &[Change]) -> Vec<Warning> {
    let drifted = computed.map(|computed| computed.drifted.as_slice()).unwrap_or_default();
    let lost = overwritten(changes, drifted).into_iter().map(|lost| Warning::OverwritesDrift { lost });
    let unread = drifted.iter().filter_map(|drifted| {
        Some(Warning::DriftUnread { resource: drifted.resource.clone(), because: drifted.unread.clone()? })
    });
    lost.chain(unread).collect()
}

fn warnings(computed: Option<&ChangeSet>, changes: &[Change]) -> Vec<Warning> {
    let said = computed.and_then(|computed| computed.reason.as_deref()).filter(|said| !said.is_empty());
    let said = said.map(|said| Warning::OfCloudFormation { said: said.trim_start_matches("[WARN] ").to_owned() });
    let is_unseen = |change: &&Change| {
        change.kind == STACK_TYPE && matches!(change.action, Action::Modify | Action::MayReplace | Action::Unknown)
    };
    let unseen =
        changes.iter().filter(is_unseen).map(|change| Warning::NestedUnseen { resource: change.resource.clone() });
    said.into_iter().chain(unseen).collect()
}

/// What somebody agrees to who agrees to a preview: all that is shown, and what may follow from what is shown.
pub fn approval(desired: &Desired, preview: &Preview) -> Approval {
    let approved = |stack: &DesiredStack| {
        let seen = preview.stacks.iter().find(|seen| seen.stack == stack.name)?;
        let shown = changes::proposed(stack, &seen.changes, None);
        let possible = changes::proposed(stack, &seen.possible, None);
        Some((stack.name.clone(), merged(shown, possible)))
    };
    Approval { stacks: desired.stacks.iter().filter_map(approved).collect() }
}

fn merged(shown: StackChange, possible: StackChange) -> StackChange {
    let mut merged = shown;
    for (resource, change) in possible.resources {
        merged
            .resources
            .entry(resource)
            .and_modify(|known| {
                known.effect = known.effect.max(change.effect);
                known.properties.extend(change.properties.iter().cloned());
            })
            .or_insert(change);
    }
    merged
}

/// What a deployment did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The environment.
    pub environment: String,
    /// Its stacks, in the order of work.
    pub stacks: Vec<StackReport>,
    /// Stacks that are gone from the file and still there.
    pub strays: Vec<String>,
}

/// What became of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackReport {
    /// The stack.
    pub stack: String,
    /// In a word.
    pub outcome: Outcome,
    /// What it hands on.
    pub outputs: BTreeMap<String, String>,
}

/// What became of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did not exist, or another of its name did.
    Created,
    /// It was changed.
    Updated,
    /// Nothing was to be done.
    Unchanged,
    /// It was gone from the file.
    Deleted,
}

impl Report {
    /// Whether anything was done.
    pub fn has_changes(&self) -> bool {
        self.stacks.iter().any(|stack| stack.outcome != Outcome::Unchanged)
    }
}

/// Says what was done between two looks.
pub fn report(desired: &Desired, first: &World, now: &World) -> Report {
    let deployed = desired.stacks.iter().filter_map(|stack| {
        let live = now.stacks.get(&stack.name)?;
        let outcome = outcome(first.stacks.get(&stack.name), live);
        Some(StackReport { stack: stack.name.clone(), outcome, outputs: live.outputs.clone() })
    });
    let is_gone = |id: &str| !now.strays.iter().any(|stray| stray.stack.id == id);
    let deleted = first.strays.iter().filter(|stray| is_gone(&stray.stack.id)).map(|stray| StackReport {
        stack: stray_name(stray),
        outcome: Outcome::Deleted,
        outputs: BTreeMap::new(),
    });
    Report {
        environment: desired.environment.clone(),
        stacks: deployed.chain(deleted).collect(),
        strays: now.strays.iter().map(stray_name).collect(),
    }
}

fn is_unborn(live: &LiveStack) -> bool {
    live.status.phase() == Phase::Empty || live.status == StackStatus::CreateInProgress
}

fn outcome(first: Option<&LiveStack>, live: &LiveStack) -> Outcome {
    match first {
        Some(first) if first.id == live.id && !is_unborn(first) => {
            if has_moved(first, live) {
                Outcome::Updated
            } else {
                Outcome::Unchanged
            }
        }
        Some(_) | None => Outcome::Created,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deploy::world::{Detail, Replacement, Row};
    use crate::environment::Reference;
    use crate::operation::Effect;
    use crate::template::{Parameter, ParameterValue};

    #[test]
    fn what_a_change_set_cannot_show_is_said() {
        let nested = |id: &str, action: Action| Change {
            resource: id.to_owned(),
            kind: STACK_TYPE.to_owned(),
            action,
            verdict: None,
            properties: Vec::new(),
            denial: None,
            instances: None,
            renamed_from: None,
        };
        let computed = ChangeSet { reason: Some("[WARN] No export named X found".to_owned()), ..ChangeSet::default() };
        let changes = [nested("Workers", Action::Modify), nested("New", Action::Add)];
        let said: Vec<String> = warnings(Some(&computed), &changes).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "CloudFormation warns: No export named X found",
                "what changes inside of the nested stack `Workers` is known only afterwards",
            ]
        );
        assert_eq!(warnings(Some(&ChangeSet::default()), &[]), []);
    }

    /// `database`, and `api` whose security group hangs on the database's endpoint.
    fn desired() -> Desired {
        let reference =
            Reference::Output { environment: None, stack: "database".to_owned(), output: "Endpoint".to_owned() };
        let stack = |name: &str, template, parameters| DesiredStack {
            name: name.to_owned(),
            stack_name: format!("sync-{name}"),
            template,
            parameters,
            ..DesiredStack::default()
        };
        let database = json!({"Resources": {"Database": {"Type": "AWS::RDS::DBInstance"}}});
        let properties = json!({"Value": {"Ref": "Endpoint"}});
        let api = json!({"Resources": {"Setting": {"Type": "AWS::SSM::Parameter", "Properties": properties}}});
        let endpoint = Parameter { name: "Endpoint".to_owned(), value: ParameterValue::Reference(reference) };
        Desired {
            environment: "staging".to_owned(),
            stacks: vec![stack("database", database, vec![]), stack("api", api, vec![endpoint])],
            ..Desired::default()
        }
    }

    fn live(name: &str, last_operation: &str) -> (String, LiveStack) {
        let live = LiveStack {
            id: format!("arn:{name}"),
            status: StackStatus::UpdateComplete,
            last_operation: last_operation.to_owned(),
            outputs: [("Endpoint".to_owned(), "db.example".to_owned())].into(),
            ..LiveStack::default()
        };
        (name.to_owned(), live)
    }

    /// Both stacks exist; the database's change set replaces it.
    fn world(desired: &Desired) -> World {
        let (_, mut database) = live("database", "first");
        let wanted = Wanted::of(&desired.stacks[0], Some(&database), Kind::Update, Vec::new());
        let detail = Detail {
            path: "/Properties/StorageEncrypted".to_owned(),
            recreation: Replacement::Always,
            is_static: true,
            before: Some("false".to_owned()),
            after: Some("true".to_owned()),
            ..Detail::default()
        };
        let row = Row {
            logical_id: "Database".to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            replacement: Replacement::Always,
            details: vec![detail],
            ..Row::default()
        };
        let status = ChangeSetStatus::Complete;
        database.computed = vec![ChangeSet { name: wanted.name, status, rows: vec![row], ..ChangeSet::default() }];
        World { stacks: [("database".to_owned(), database), live("api", "first")].into(), ..World::default() }
    }

    #[test]
    fn shows_what_is_replaced_what_waits_and_what_would_be_refused() {
        let desired = desired();
        let preview = preview(&desired, &world(&desired));
        let outlooks: Vec<Outlook> = preview.stacks.iter().map(|stack| stack.outlook).collect();
        assert_eq!(outlooks, [Outlook::Changed, Outlook::Open]);
        assert_eq!(preview.counts, Counts { replace: 1, ..Counts::default() });
        assert_eq!(preview.stacks[1].after[0].outputs, ["Endpoint"]);
        assert!(preview.refusals.iter().any(|reason| matches!(reason, Reason::HoldsData { .. })));
    }

    #[test]
    fn agreeing_covers_what_follows_from_what_was_shown_and_no_more() {
        let desired = desired();
        let approval = approval(&desired, &preview(&desired, &world(&desired)));
        let setting = &approval.stacks["api"].resources["Setting"];
        assert_eq!(setting.effect, Effect::Modify);
        assert!(setting.properties.contains("Value"));
        assert_eq!(approval.stacks["database"].resources["Database"].effect, Effect::LoseData);
    }

    #[test]
    fn a_stack_that_does_not_exist_is_all_additions() {
        let preview = preview(&desired(), &World::default());
        assert!(preview.stacks.iter().all(|stack| stack.outlook == Outlook::New));
        assert_eq!(preview.counts, Counts { add: 2, ..Counts::default() });
    }

    #[test]
    fn says_what_was_done_to_each_stack() {
        let first = World { stacks: [live("database", "first")].into(), ..World::default() };
        let now = World { stacks: [live("database", "second"), live("api", "first")].into(), ..World::default() };
        let outcomes = |first: &World, now: &World| -> Vec<Outcome> {
            report(&desired(), first, now).stacks.iter().map(|stack| stack.outcome).collect()
        };
        assert_eq!(outcomes(&first, &now), [Outcome::Updated, Outcome::Created]);
        assert_eq!(outcomes(&now, &now), [Outcome::Unchanged, Outcome::Unchanged]);
    }
}
