//! Decides what is left to do for a clone. Pure.
//!
//! Until the target has a database, everything that can be found out against it is found out at every look, and all of it is said
//! at once. From then on the source is not looked at any more.

use std::collections::BTreeSet;

use super::frozen::{no_twins, unlike};
use super::snapshot::{Next, next};
use super::{Desired, Reason, SeenDatabase, Step, World};
use crate::deploy::leftovers;
use crate::deploy::plan::{plan as deploy, resolve};
use crate::deploy::{self, LiveStack, Missing, Phase, StackStatus};
use crate::operation::Plan;
use crate::template::ParameterValue;

type Left = Plan<Step, Reason>;

/// Says all that is left to do.
pub fn plan(desired: &Desired, first: &World, now: &World) -> Left {
    match stage(desired, now) {
        Stage::Beginning => begin(desired, first, now),
        Stage::Restoring { snapshot } => closed(desired, Some(&snapshot), first, now),
        Stage::Opening => opened(desired, first, now),
        Stage::Restored => match judge(desired, now) {
            Verdict::Faithful => opened(desired, first, now),
            Verdict::Wait(reason) => Plan::Going { now: Vec::new(), waiting: vec![reason], then: Vec::new() },
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
            let database = safe.stacks.iter_mut().filter(|stack| stack.name == desired.target.stack);
            for parameter in database.flat_map(|stack| &mut stack.parameters) {
                if parameter.name == desired.target.parameter {
                    parameter.value = ParameterValue::Text(snapshot.to_owned());
                }
            }
        }
    }
    let is_done = matches!(deploy(&safe, &first.deploy, &now.deploy), Plan::Converged);
    let left = deploy(&safe, &first.deploy, &now.deploy).map(Step::Closed, wrapped);
    // What is prepared of the stacks that follow is no business of this part.
    if is_done && snapshot.is_some() { opened(desired, first, now) } else { left }
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
    let is_encrypted =
        source.properties.get("StorageEncrypted").is_some_and(|value| value != &serde_json::json!(false));
    let is_other_account = desired.source.place.account != desired.target.place.account;
    if is_encrypted && is_other_account && !desired.source.lets_target_in {
        because.push(Reason::KeyNotShared {
            source_environment: desired.source.environment.clone(),
            account: desired.target.place.account.clone(),
        });
    }
    because
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
        crate::deploy::plan::objections(&desired.open, stack, live)
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
    let differing = unlike(&desired.target.written, &database.properties).into_iter();
    let reasons: Vec<Reason> =
        differing.map(|it| Reason::Unfaithful { property: it.property, has: it.has, says: it.says }).collect();
    if reasons.is_empty() { Verdict::Faithful } else { Verdict::Refuse(reasons) }
}
