//! Decides what is left to do for a clone. Pure.
//!
//! Until the target has a database, everything that can be found out against it is found out at every look, and all of it is said
//! at once. From then on the source is not looked at any more.

use std::collections::{BTreeMap, BTreeSet};

use super::frozen::{MENDABLE, no_twins, unlike};
use super::snapshot::{Next, next, origin};
use super::{
    DATA_AS_OF, Desired, Properties, Reason, SOURCE_DATABASE, SOURCE_SNAPSHOT, SeenDatabase, Step, Which, World, daily,
    guards,
};
use crate::deploy::plan::{plan as deploy, resolve};
use crate::deploy::{self, LiveStack, Missing, Phase, StackStatus, Stuck};
use crate::deploy::{leftovers, marks};
use crate::operation::Plan;
use crate::template::ParameterValue;

type Left = Plan<Step, Reason>;

/// Says all that is left to do.
///
/// What the files themselves say against it stops a clone that is there as well: it is another's, or is to share what nobody said
/// that it may.
pub fn plan(desired: &Desired, first: &World, now: &World) -> Left {
    let stage = stage(desired, now);
    if !matches!(stage, Stage::Beginning) {
        let because: Vec<Reason> = desired.objections.iter().cloned().chain(from_another(desired, now)).collect();
        if !because.is_empty() {
            return Plan::Refused { because, waiting: Vec::new() };
        }
    }
    match stage {
        Stage::Beginning => begin(desired, first, now),
        Stage::Restoring { snapshot } => closed(desired, Some(&snapshot), first, now),
        Stage::Opening => opened(desired, first, now),
        Stage::Restored => match judge(desired, now) {
            Verdict::Faithful => opened(desired, first, now),
            Verdict::Wait(reason) => Plan::Going { now: Vec::new(), waiting: vec![reason], then: Vec::new() },
            Verdict::Mend(step) => Plan::Going { now: vec![step], waiting: Vec::new(), then: Vec::new() },
            Verdict::Refuse(because) => Plan::Refused { because, waiting: Vec::new() },
        },
    }
}

/// Says what is to be cleared away once the run is refused or has failed.
pub fn withdraw(desired: &Desired, now: &World) -> Left {
    leftovers::withdraw(&desired.open, &now.deploy).map(Step::Open, wrapped)
}

/// How far a clone is.
enum Stage {
    /// There is no database yet.
    Beginning,
    /// It is being made, or could not be.
    Restoring { snapshot: String },
    /// It is there.
    Restored,
    /// The stack that holds it is being changed.
    Opening,
}

fn stage(desired: &Desired, now: &World) -> Stage {
    let Some(live) = existing(desired, now) else { return Stage::Beginning };
    if is_beginning(desired, live) {
        return Stage::Beginning;
    }
    let pinned = || live.parameters.get(&desired.target.parameter).cloned();
    match (live.status.phase(), &live.status) {
        (Phase::Empty | Phase::Gone, _) => Stage::Beginning,
        (Phase::Busy, StackStatus::CreateInProgress | StackStatus::RollbackInProgress) | (Phase::Stuck(_), _) => {
            pinned().map_or(Stage::Opening, |snapshot| Stage::Restoring { snapshot })
        }
        (Phase::Busy, _) => Stage::Opening,
        (Phase::Steady, _) => Stage::Restored,
    }
}

/// Whether nothing has been restored: the database's stack is not there, or is what a failed creation left and is to be made
/// anew. Then the snapshot is chosen anew, too: the one that it was made from may be what failed.
pub fn is_beginning(desired: &Desired, live: &LiveStack) -> bool {
    match live.status.phase() {
        Phase::Empty | Phase::Gone => true,
        Phase::Stuck(Stuck::CreationUndone | Stuck::CreationFailed) => {
            desired.open.allowed.recreate.contains(&desired.target.stack)
        }
        Phase::Busy | Phase::Steady | Phase::Stuck(_) => false,
    }
}

/// Whether a certain snapshot is asked for, and a clone is there that was made from another.
fn from_another(desired: &Desired, now: &World) -> Option<Reason> {
    let Which::Id(asked) = &desired.choice.which else { return None };
    let live = existing(desired, now)?;
    let from = live.tags.get(SOURCE_SNAPSHOT)?;
    // By its name or its ARN; or by the copy's.
    let is_it = |name: &String| name == asked || name.ends_with(&format!(":{asked}"));
    let pinned = live.parameters.get(&desired.target.parameter);
    let (target, asked) = (desired.target.environment.clone(), asked.clone());
    (!is_it(from) && !pinned.is_some_and(is_it)).then(|| Reason::FromAnother { target, asked, from: from.clone() })
}

fn existing<'a>(desired: &Desired, now: &'a World) -> Option<&'a LiveStack> {
    now.deploy.stacks.get(&desired.target.stack)
}

fn wrapped(reason: deploy::Reason) -> Reason {
    Reason::Deploy(Box::new(reason))
}

/// Nothing has been restored: look for all that is against it, then bring the snapshot while the network comes up.
fn begin(desired: &Desired, first: &World, now: &World) -> Left {
    let mut because = preflight(desired, now);
    let snapshot = match now.source.as_ref().and_then(|source| source.database.as_ref()) {
        Some(_) => next(desired, first, now),
        // Said by the preflight already.
        None => Next::Refuse(Vec::new()),
    };
    if let Next::Refuse(reasons) = &snapshot {
        because.extend(reasons.iter().cloned());
    }
    if !because.is_empty() {
        return Plan::Refused { because, waiting: Vec::new() };
    }
    match snapshot {
        Next::Ready { identifier } => closed(desired, Some(&identifier), first, now),
        Next::Do(step) => beside(vec![step], Vec::new(), closed(desired, None, first, now)),
        Next::Wait(reason) => beside(Vec::new(), vec![reason], closed(desired, None, first, now)),
        Next::Refuse(because) => Plan::Refused { because, waiting: Vec::new() },
    }
}

/// The deployment up to the closed database; without a snapshot, up to what the database stands in.
fn closed(desired: &Desired, snapshot: Option<&str>, first: &World, now: &World) -> Left {
    let mut safe = desired.safe.clone();
    match snapshot {
        None => safe.stacks.retain(|stack| stack.name != desired.target.stack),
        Some(snapshot) => {
            let provenance = provenance(desired, snapshot, now);
            for stack in safe.stacks.iter_mut().filter(|stack| stack.name == desired.target.stack) {
                let ours = stack.parameters.iter_mut().filter(|it| it.name == desired.target.parameter);
                ours.for_each(|parameter| parameter.value = ParameterValue::Text(snapshot.to_owned()));
                stack.tags.extend(provenance.clone());
            }
        }
    }
    deploy(&safe, &first.deploy, &now.deploy).map(Step::Closed, wrapped)
}

/// Whose data a database holds that is made from a snapshot. Once its stack is there, the stack says so itself.
fn provenance(desired: &Desired, snapshot: &str, now: &World) -> BTreeMap<String, String> {
    let source = now.source.iter();
    let mut all = source.clone().flat_map(|source| &source.snapshots).chain(&now.copies);
    let Some(chosen) = all.find(|it| it.name == snapshot || it.arn == snapshot) else { return BTreeMap::new() };
    let database = source.filter_map(|source| source.database.as_ref()).map(|it| it.resource_id.clone()).next();
    let told = [
        (SOURCE_DATABASE, database),
        (SOURCE_SNAPSHOT, Some(origin(desired, chosen).clone())),
        (DATA_AS_OF, chosen.data_as_of.map(|time| time.to_string())),
    ];
    let of_file = desired.target.tags.iter().filter(|(key, _)| marks::PROVENANCE.contains(&key.as_str()));
    let told = told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    told.chain(of_file.map(|(key, value)| (key.clone(), value.clone()))).collect()
}

fn opened(desired: &Desired, first: &World, now: &World) -> Left {
    deploy(&desired.open, &first.deploy, &now.deploy).map(Step::Open, wrapped)
}

/// Two things that go on side by side. What stops one stops both.
fn beside(steps: Vec<Step>, reasons: Vec<Reason>, other: Left) -> Left {
    match other {
        Plan::Converged => Plan::Going { now: steps, waiting: reasons, then: Vec::new() },
        Plan::Going { now, waiting, then } => {
            Plan::Going { now: [steps, now].concat(), waiting: [reasons, waiting].concat(), then }
        }
        Plan::Refused { .. } | Plan::Failed { .. } => other,
    }
}

/// All that is known against a clone before anything is made.
pub fn preflight(desired: &Desired, now: &World) -> Vec<Reason> {
    let mut because = desired.objections.clone();
    because.extend(daily::objection(desired, now));
    because.extend(references_to_nothing(desired, now));
    because.extend(ownership(desired, now));
    let Some(source) = now.source.as_ref().and_then(|source| source.database.as_ref()) else {
        because.push(Reason::NoSource {
            source_environment: desired.source.environment.clone(),
            stack_name: desired.source.stack_name.clone(),
        });
        return because;
    };
    because.extend(source_drift(desired, source));
    because.extend(no_twin(desired, source));
    match &now.guards {
        Some(guards) => because.extend(guards::plan::objections(desired, now, guards)),
        None => because.push(Reason::Unread {
            what: "guards",
            account: desired.target.place.account.clone(),
            permission: None,
            cause: "they were not looked at".to_owned(),
        }),
    }
    let is_encrypted =
        source.properties.get("StorageEncrypted").is_some_and(|value| value != &serde_json::json!(false));
    let is_other_account = desired.source.place.account != desired.target.place.account;
    if is_encrypted && is_other_account && !desired.source.lets_target_in {
        because.push(Reason::KeyNotShared {
            source_environment: desired.source.environment.clone(),
            account: desired.target.place.account.clone(),
        });
    }
    let mut said = Vec::with_capacity(because.len());
    for reason in because {
        // File and cloud may say the same of one key.
        if !said.contains(&reason) {
            said.push(reason);
        }
    }
    said
}

/// What the last stack refers to must be there before hours are spent on the first.
fn references_to_nothing(desired: &Desired, now: &World) -> Vec<Reason> {
    let missing = desired.open.stacks.iter().flat_map(|stack| {
        let live = now.deploy.stacks.get(&stack.name).filter(|live| live.status.phase() != Phase::Gone);
        resolve(&desired.open, stack, live, &now.deploy, &|_| false).missing
    });
    let is_the_snapshot = |reason: &deploy::Reason| matches!(reason, deploy::Reason::NothingToRefer { stack, parameter, missing: Missing::Previous, .. } if *stack == desired.target.stack && *parameter == desired.target.parameter);
    missing.filter(|reason| !is_the_snapshot(reason)).map(wrapped).collect()
}

/// Stacks of the target's names that are somebody else's.
fn ownership(desired: &Desired, now: &World) -> Vec<Reason> {
    let all = desired.open.stacks.iter();
    all.flat_map(|stack| {
        let live = now.deploy.stacks.get(&stack.name).filter(|live| live.status.phase() != Phase::Gone);
        crate::deploy::plan::objections(&desired.open, stack, live, &now.deploy)
    })
    .map(wrapped)
    .collect()
}

fn source_drift(desired: &Desired, source: &SeenDatabase) -> Vec<Reason> {
    let differing = unlike(&desired.source.written, &source.properties).into_iter();
    differing
        .filter(|it| !desired.source.ignored.contains(&it.property))
        .map(|it| Reason::SourceDiffers {
            source_environment: desired.source.environment.clone(),
            property: it.property,
            has: it.has,
            says: it.says,
        })
        .collect()
}

fn no_twin(desired: &Desired, source: &SeenDatabase) -> Vec<Reason> {
    let declared: &BTreeSet<String> = &desired.target.declared;
    let differing = no_twins(&desired.target.written, &source.properties).into_iter();
    differing
        .filter(|it| !declared.contains(&it.property))
        .map(|it| Reason::TargetDiffers {
            target: desired.target.environment.clone(),
            property: it.property,
            has: it.has,
            says: it.says,
        })
        .collect()
}

/// What a look at the restored database says.
enum Verdict {
    Faithful,
    Wait(Reason),
    Mend(Step),
    Refuse(Vec<Reason>),
}

/// Statuses that a database does not leave by itself (RDS User Guide, "Viewing Amazon RDS DB instance status").
fn is_terminal(status: &str) -> bool {
    status == "failed"
        || status == "storage-full"
        || status == "restore-error"
        || status == "insufficient-capacity"
        || status.ends_with("-failed")
        || status.starts_with("incompatible-")
        || status.starts_with("inaccessible-encryption-credentials")
}

fn judge(desired: &Desired, now: &World) -> Verdict {
    let Some(database) = &now.database else {
        return Verdict::Refuse(vec![Reason::DatabaseGone { stack: desired.target.stack.clone() }]);
    };
    let id = database.id.clone();
    if is_terminal(&database.status) {
        return Verdict::Refuse(vec![Reason::Broken { database: id, status: database.status.clone() }]);
    }
    // Storage that is being optimised is in use already, and may be so for a day.
    let is_up = matches!(database.status.as_str(), "available" | "storage-optimization");
    let mut unsettled = database.unsettled.clone();
    unsettled.extend(database.pending.iter().map(|property| format!("{property} is pending")));
    if !is_up || !unsettled.is_empty() {
        return Verdict::Wait(Reason::Settling { database: id, status: database.status.clone(), unsettled });
    }
    let (mendable, broken): (Vec<_>, Vec<_>) = unlike(&desired.target.written, &database.properties)
        .into_iter()
        .partition(|it| MENDABLE.contains(&it.property.as_str()));
    if !broken.is_empty() {
        let unfaithful =
            broken.into_iter().map(|it| Reason::Unfaithful { property: it.property, has: it.has, says: it.says });
        return Verdict::Refuse(unfaithful.collect());
    }
    let written = |property: &String| desired.target.written.get_key_value(property);
    let changes = mendable.iter().filter_map(|it| written(&it.property));
    let changes: Properties = changes.map(|(name, value)| (name.clone(), value.clone())).collect();
    // What is not ours is refused by the deployment that comes next.
    if changes.is_empty() || !is_ours_to_change(desired, now, database) {
        return Verdict::Faithful;
    }
    Verdict::Mend(Step::Mend { database: id, changes, place: desired.target.place.clone() })
}

/// Whether a database is the target's by the marks of its stack, and not the source's own by its `DbiResourceId`.
fn is_ours_to_change(desired: &Desired, now: &World, database: &SeenDatabase) -> bool {
    let wanted = desired.open.stack(&desired.target.stack).map(|stack| &stack.tags);
    let Some((live, wanted)) = existing(desired, now).zip(wanted) else { return false };
    let is_the_source = live.tags.get(SOURCE_DATABASE).is_some_and(|id| *id == database.resource_id);
    marks::owner(&live.tags, wanted) == marks::Owner::Us && !is_the_source
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::clone::guards::{Guards, Keys, Offer, Zones};
    use crate::clone::snapshot::was_made_for;
    use crate::clone::{Choice, SOURCE_SNAPSHOT, SeenSnapshot, SeenSource, Source, Target, Which, copy_prefix};
    use crate::deploy::{DesiredStack, Place};
    use crate::environment::Reference;
    use crate::environment::shape::parse_duration;
    use crate::template::Parameter;

    fn place(account: &str) -> Place {
        Place { account: account.to_owned(), region: "eu-west-1".to_owned(), role: None }
    }

    fn properties(value: &Json) -> Properties {
        value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn marks(stack: &str) -> [(String, String); 3] {
        [("project", "sync"), ("environment", "twin"), ("stack", stack)]
            .map(|(mark, value)| (format!("greenroom:{mark}"), value.to_owned()))
    }

    fn stacks(names: &[&str], snapshot: &ParameterValue) -> deploy::Desired {
        let stack = |name: &&str| DesiredStack {
            name: (*name).to_owned(),
            stack_name: format!("sync-twin-{name}"),
            place: place("4"),
            template: json!({"Resources": {}}),
            template_digest: "template".to_owned(),
            tags: marks(name).into(),
            parameters: (*name == "database")
                .then(|| Parameter { name: "Snapshot".to_owned(), value: snapshot.clone() })
                .into_iter()
                .collect(),
            ..DesiredStack::default()
        };
        deploy::Desired {
            environment: "twin".to_owned(),
            environment_word: "twin".to_owned(),
            project: "sync".to_owned(),
            stacks: names.iter().map(stack).collect(),
            ..deploy::Desired::default()
        }
    }

    fn desired() -> Desired {
        let written =
            properties(&json!({"DBInstanceClass": "db.r7g.large", "MultiAZ": true, "MaxAllocatedStorage": "200"}));
        let previous = ParameterValue::Reference(Reference::Previous);
        Desired {
            source: Source {
                environment: "production".to_owned(),
                place: place("2"),
                stack_name: "sync-production-database".to_owned(),
                written: written.clone(),
                lets_target_in: true,
                ..Source::default()
            },
            target: Target {
                environment: "twin".to_owned(),
                word: "twin".to_owned(),
                project: "sync".to_owned(),
                place: place("4"),
                stack: "database".to_owned(),
                parameter: "Snapshot".to_owned(),
                written,
                tags: marks("database").into(),
                ..Target::default()
            },
            safe: stacks(&["network", "database"], &previous),
            open: stacks(&["network", "database", "api"], &previous),
            choice: Choice { which: Which::Newest, max_age: parse_duration("24h") },
            ..Desired::default()
        }
    }

    const NOW: &str = "2026-11-25T12:00:00Z";

    fn database(status: &str, class: &str) -> SeenDatabase {
        SeenDatabase {
            id: "db".to_owned(),
            resource_id: "db-1".to_owned(),
            status: status.to_owned(),
            properties: properties(&json!({
                "DBInstanceClass": class, "MultiAZ": true, "MaxAllocatedStorage": 200, "StorageEncrypted": true
            })),
            ..SeenDatabase::default()
        }
    }

    fn snapshot(name: &str, hours: i64) -> SeenSnapshot {
        let now: jiff::Timestamp = NOW.parse().expect("a time");
        SeenSnapshot {
            name: name.to_owned(),
            arn: format!("arn:{name}"),
            kind: if name.starts_with("rds:") { "automated" } else { "manual" }.to_owned(),
            status: "available".to_owned(),
            data_as_of: Some(now - jiff::SignedDuration::from_hours(hours)),
            key: Some("arn:key/own".to_owned()),
            ..SeenSnapshot::default()
        }
    }

    /// Nothing of the target is there; the source runs and has a snapshot of an hour ago.
    fn beginning() -> World {
        let deploy = deploy::World { now: NOW.parse().ok(), ..deploy::World::default() };
        let source = SeenSource {
            database: Some(database("available", "db.r7g.large")),
            snapshots: vec![snapshot("rds:a", 1)],
            keys: vec!["own".to_owned()],
        };
        World { deploy, source: Some(source), guards: Some(granted()), ..World::default() }
    }

    /// Nothing stands in the way.
    fn granted() -> Guards {
        Guards {
            room: Ok(Vec::new()),
            source_room: None,
            offers: Ok(vec![Offer {
                storage_type: "gp3".to_owned(),
                zones: vec!["a".to_owned(), "b".to_owned()],
                can_be_multi_az: true,
            }]),
            zones: Ok(Zones::Any),
            keys: Keys::default(),
            is_name_taken: None,
        }
    }

    /// The target's database stack is there, with this status, made from a snapshot.
    fn restored(status: &str, database: Option<SeenDatabase>) -> World {
        let live = LiveStack {
            id: "arn:database".to_owned(),
            name: "sync-twin-database".to_owned(),
            status: status.parse().unwrap_or_default(),
            parameters: [("Snapshot".to_owned(), "twin-src-1".to_owned())].into(),
            tags: marks("database").into(),
            ..LiveStack::default()
        };
        let mut world = World { source: None, database, ..beginning() };
        world.deploy.stacks.insert("database".to_owned(), live);
        world
    }

    /// What is done, waited for or said against it, without the digests in names.
    fn told(left: &Left) -> Vec<String> {
        let short = |text: String| text.split(" `r-").next().unwrap_or_default().to_owned();
        let because: Vec<String> = match left {
            Plan::Refused { because, .. } | Plan::Failed { causes: because, .. } => {
                because.iter().map(ToString::to_string).collect()
            }
            Plan::Converged | Plan::Going { .. } => Vec::new(),
        };
        let kind = |step: &Step| match step {
            Step::Closed(step) => short(format!("closed: {} {step}", step.stack_name())),
            Step::Open(step) => short(format!("open: {} {step}", step.stack_name())),
            Step::CopySnapshot { from, account, .. } => format!("copy {from} to {account}"),
            step => step.to_string(),
        };
        let steps = left.now().iter().map(kind);
        steps.chain(left.waiting().iter().map(ToString::to_string)).chain(because).collect()
    }

    trait Named {
        fn stack_name(&self) -> String;
    }

    impl Named for deploy::Step {
        fn stack_name(&self) -> String {
            crate::operation::About::subject(self).stack.unwrap_or_default()
        }
    }

    #[track_caller]
    fn check(desired: &Desired, world: &World, expectation: &[&str]) {
        assert_eq!(told(&plan(desired, world, world)), expectation);
    }

    #[test]
    fn the_network_comes_up_while_the_snapshot_is_copied() {
        let expectation = ["copy rds:a to 2", "closed: network create change set"];
        check(&desired(), &beginning(), &expectation);
    }

    #[test]
    fn a_source_that_is_not_there_is_said() {
        let world = World { source: Some(SeenSource::default()), ..beginning() };
        let said = "`production` has no database to clone: stack `sync-production-database` is not there";
        check(&desired(), &world, &[said]);
    }

    #[test]
    fn a_source_that_drifts_is_not_cloned_unless_its_file_says_so() {
        let mut world = beginning();
        world.source.as_mut().expect("a source").database = Some(database("available", "db.t4g.large"));
        let expectation = [
            "`production` is not what its file says: DBInstanceClass is db.t4g.large, the file says db.r7g.large",
            "`twin` would not be a twin: DBInstanceClass would be db.r7g.large, the source has db.t4g.large",
        ];
        check(&desired(), &world, &expectation);
        let mut wanted = desired();
        wanted.source.ignored = ["DBInstanceClass".to_owned()].into();
        wanted.target.declared = ["DBInstanceClass".to_owned()].into();
        check(&wanted, &world, &["copy rds:a to 2", "closed: network create change set"]);
    }

    #[test]
    fn what_a_restore_dropped_is_given_once_the_database_is_at_rest() {
        let mut dropped = database("available", "db.r7g.large");
        dropped.properties.insert("MaxAllocatedStorage".to_owned(), json!(1000));
        let world = restored("CREATE_COMPLETE", Some(dropped.clone()));
        check(&desired(), &world, &["give database `db` what its restore dropped: MaxAllocatedStorage"]);
        dropped.properties.insert("MultiAZ".to_owned(), json!(false));
        let said = "the restored database is not what was written: MultiAZ is false, not true";
        check(&desired(), &restored("CREATE_COMPLETE", Some(dropped)), &[said]);
    }

    #[test]
    fn a_key_that_does_not_let_the_target_in_is_found_before_the_first_copy() {
        let mut wanted = desired();
        wanted.source.lets_target_in = false;
        check(&wanted, &beginning(), &["the key of `production`'s database does not let account 4 in"]);
    }

    #[test]
    fn what_the_last_stack_refers_to_is_missed_before_the_first_is_made() {
        let mut wanted = desired();
        let output = "Url".to_owned();
        let reference = Reference::Output { environment: None, stack: "elk".to_owned(), output };
        let parameter = Parameter { name: "Url".to_owned(), value: ParameterValue::Reference(reference) };
        wanted.open.stacks[2].parameters.push(parameter);
        let said = plan(&wanted, &beginning(), &beginning());
        assert!(matches!(said, Plan::Refused { ref because, .. } if because.len() == 1), "{said:?}");
    }

    #[test]
    fn what_the_files_say_against_it_stops_a_clone_that_is_there() {
        let mut wanted = desired();
        wanted.objections =
            vec![Reason::NotAllowed { source_environment: "production".to_owned(), target: "twin".to_owned() }];
        let there = |status| restored(status, Some(database("available", "db.r7g.large")));
        for status in ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"] {
            check(&wanted, &there(status), &["`production` does not allow clones called `twin`"]);
        }
    }

    #[test]
    fn a_clone_is_not_made_from_another_snapshot_afterwards() {
        let said =
            "`twin` is there, and was made from snapshot `arn:aws:rds:eu-west-1:2:snapshot:rds:a`, not from `rds:b`";
        for (asked, told) in [("rds:a", None), ("twin-src-1", None), ("rds:b", Some(said))] {
            let mut wanted = desired();
            wanted.choice.which = Which::Id(asked.to_owned());
            let mut world = restored("CREATE_COMPLETE", Some(database("available", "db.r7g.large")));
            let live = world.deploy.stacks.get_mut("database").expect("it is there");
            live.tags.insert(SOURCE_SNAPSHOT.to_owned(), "arn:aws:rds:eu-west-1:2:snapshot:rds:a".to_owned());
            let left = plan(&wanted, &world, &world);
            let refused = matches!(left, Plan::Refused { .. }).then(|| super::tests::told(&left).join("\n"));
            assert_eq!(refused.as_deref(), told, "{asked}");
        }
    }

    #[test]
    fn a_database_that_has_not_come_to_rest_stays_closed() {
        let mut settling = database("modifying", "db.r7g.large");
        settling.pending = vec!["MaxAllocatedStorage".to_owned()];
        let world = restored("CREATE_COMPLETE", Some(settling));
        check(&desired(), &world, &["database `db` is modifying; MaxAllocatedStorage is pending"]);
    }

    #[test]
    fn a_database_that_is_not_as_written_stays_closed() {
        let world = restored("CREATE_COMPLETE", Some(database("available", "db.t4g.large")));
        let said = "the restored database is not what was written: DBInstanceClass is db.t4g.large, not db.r7g.large";
        check(&desired(), &world, &[said]);
    }

    #[test]
    fn a_database_in_a_terminal_state_is_said() {
        for status in ["failed", "restore-error", "insufficient-capacity", "storage-full", "incompatible-restore"] {
            let world = restored("CREATE_COMPLETE", Some(database(status, "db.r7g.large")));
            check(&desired(), &world, &[&format!("database `db` is {status}")]);
        }
        check(&desired(), &restored("CREATE_COMPLETE", None), &["stack `database` is there, and its database is not"]);
    }

    #[test]
    fn a_faithful_database_is_opened() {
        let world = restored("CREATE_COMPLETE", Some(database("available", "db.r7g.large")));
        let left = plan(&desired(), &world, &world);
        assert!(!left.now().is_empty(), "{left:?}");
        assert!(left.now().iter().all(|step| matches!(step, Step::Open(_))), "{left:?}");
    }

    #[test]
    fn while_it_is_made_the_source_is_not_looked_at() {
        let world = restored("CREATE_IN_PROGRESS", None);
        let left = plan(&desired(), &world, &world);
        assert!(left.now().iter().all(|step| matches!(step, Step::Closed(_))), "{left:?}");
        assert!(!left.waiting().is_empty(), "{left:?}");
    }

    /// Numbers that are the same in every run (xorshift).
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % sides
        }

        fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
            let position = self.roll(all.len() as u64);
            all[usize::try_from(position).unwrap_or(0)]
        }
    }

    fn random_snapshot(dice: &mut Dice) -> SeenSnapshot {
        let names = ["rds:a", "rds:b", "mine", "twin-src-1", "twin-src-2", "twin-src-decoy", "twin-2-src-1"];
        let mut snapshot = snapshot(dice.one_of(&names), i64::try_from(dice.roll(40)).unwrap_or(0));
        dice.one_of(&["available", "available", "creating", "copying", "failed"]).clone_into(&mut snapshot.status);
        snapshot.key = [None, Some("arn:key/own".to_owned()), Some("arn:key/default".to_owned())]
            [usize::try_from(dice.roll(3)).unwrap_or(0)]
        .clone();
        for (key, value) in marks("database") {
            if dice.roll(5) > 0 {
                snapshot.tags.insert(key, value);
            }
        }
        if dice.roll(2) > 0 {
            let origin = dice.one_of(&["arn:rds:a", "arn:mine", "fresh"]);
            snapshot.tags.insert(SOURCE_SNAPSHOT.to_owned(), origin.to_owned());
        }
        if dice.roll(2) > 0 {
            snapshot.shared_with = vec!["4".to_owned()];
        }
        snapshot
    }

    fn random_world(dice: &mut Dice) -> World {
        let status = dice.one_of(&["available", "modifying", "failed", "backing-up"]);
        let class = dice.one_of(&["db.r7g.large", "db.r7g.large", "db.t4g.large"]);
        let mut database = database(status, class);
        database
            .properties
            .insert("MaxAllocatedStorage".to_owned(), json!(dice.one_of(&["200", "200", "200", "1000"])));
        let of_stacks = [
            "CREATE_IN_PROGRESS",
            "CREATE_COMPLETE",
            "ROLLBACK_COMPLETE",
            "UPDATE_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE",
            "REVIEW_IN_PROGRESS",
            "DELETE_FAILED",
        ];
        let mut world = match dice.roll(2) {
            0 => beginning(),
            _ => restored(dice.one_of(&of_stacks), Some(database.clone()).filter(|_| dice.roll(4) > 0)),
        };
        for live in world.deploy.stacks.values_mut() {
            match dice.roll(4) {
                0 => live.tags.clear(),
                1 => drop(live.tags.insert(SOURCE_DATABASE.to_owned(), "db-1".to_owned())),
                _ => {}
            }
        }
        if let Some(source) = &mut world.source {
            source.database = Some(database).filter(|_| dice.roll(8) > 0);
            source.snapshots = (0..dice.roll(5)).map(|_| random_snapshot(dice)).collect();
            if dice.roll(4) == 0 {
                source.keys.clear();
            }
            world.copies = (0..dice.roll(3)).map(|_| random_snapshot(dice)).collect();
        }
        world
    }

    /// Nothing but taking, copying and sharing is ever asked of the source's account, and only for snapshots that are named after
    /// the target; nothing is shared with anybody but the target's account, or shared that was not made for the target.
    #[test]
    fn in_no_world_is_anything_of_the_sources_changed() {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let (mut taken, mut copied, mut shared, mut mended, mut opened, mut beside) = (0, 0, 0, 0, 0, 0);
        for _ in 0..40_000 {
            let mut wanted = desired();
            wanted.choice.which = match dice.roll(3) {
                0 => Which::Newest,
                1 => Which::Fresh,
                _ => Which::Id("mine".to_owned()),
            };
            // Names alone keep twins apart that live in one account.
            let is_beside = dice.roll(2) == 0;
            if is_beside {
                wanted.source.place = wanted.target.place.clone();
                beside += 1;
            }
            let (first, now) = (random_world(&mut dice), random_world(&mut dice));
            let left = plan(&wanted, &first, &now);
            assert_eq!(left.flaw(), None, "{now:?}");
            for step in left.now() {
                match step {
                    Step::TakeSnapshot { name, .. } => {
                        taken += 1;
                        assert_eq!(wanted.choice.which, Which::Fresh);
                        assert!(name.starts_with(&copy_prefix("twin")), "{name}");
                    }
                    Step::CopySnapshot { name, tags, .. } => {
                        copied += 1;
                        let copy = SeenSnapshot {
                            name: name.clone(),
                            kind: "manual".to_owned(),
                            tags: tags.clone(),
                            ..SeenSnapshot::default()
                        };
                        assert!(was_made_for("sync", "twin", &copy), "`destroy` would not know {copy:?}");
                    }
                    Step::ShareSnapshot { snapshot, account, place } => {
                        shared += 1;
                        assert!(!is_beside, "nobody shares with himself");
                        assert_eq!((account.as_str(), place.account.as_str()), ("4", "2"));
                        let source = now.source.clone().unwrap_or_default();
                        let mut ours = source.snapshots.iter().filter(|it| was_made_for("sync", "twin", it));
                        assert!(ours.any(|it| it.name == *snapshot), "{snapshot}");
                    }
                    Step::Mend { database, place, .. } => {
                        mended += 1;
                        assert_eq!(place.account, "4");
                        let live = &now.deploy.stacks["database"];
                        assert_eq!(marks::owner(&live.tags, &marks("database").into()), marks::Owner::Us);
                        assert_ne!(live.tags.get(SOURCE_DATABASE).map(String::as_str), Some("db-1"), "{database}");
                    }
                    Step::Closed(step) | Step::Open(step) => {
                        opened += 1;
                        let stack = step.stack_name();
                        let target = wanted.open.stack(&stack).expect("a stack of the target");
                        assert_eq!(target.place.account, "4");
                        assert_ne!(target.stack_name, wanted.source.stack_name);
                    }
                }
            }
        }
        let counts = [taken, copied, shared, mended, opened, beside];
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    }
}
