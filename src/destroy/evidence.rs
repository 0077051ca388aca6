//! Evidence of a destruction: what existed, what became of it, and what cannot be told. Pure, from what was seen.
//!
//! CloudFormation shows a deleted stack by its ARN for 90 days, with its resources: so what an earlier run deleted is known too,
//! and a run that was killed is no gap in the evidence of the next.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::Doomed;
use crate::deploy::changes::{Fate as DataFate, loss};
use crate::deploy::world::LiveResource;
use crate::deploy::{LiveStack, Phase, Place, StackStatus};

/// The version of [`Evidence`]; it grows when a reader would have to change.
pub const EVIDENCE_SCHEMA: u32 = 1;

/// What is written into the file of `--report`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// [`EVIDENCE_SCHEMA`].
    pub schema: u32,
    /// The version of this program.
    pub greenroom: &'static str,
    /// The environment.
    pub environment: String,
    /// The project it belongs to.
    pub project: String,
    /// Whether it happened in the local cloud, where nothing is real.
    pub is_rehearsal: bool,
    /// How far it came.
    pub outcome: Outcome,
    /// Why it came no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// When this run began, by the cloud's clock.
    pub began: Option<Timestamp>,
    /// When it ended, by the cloud's clock.
    pub ended: Option<Timestamp>,
    /// Who ran it, in each account.
    pub callers: Vec<String>,
    /// Its stacks.
    pub stacks: Vec<StackEvidence>,
    /// What was copied for it, where it is a clone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyEvidence>,
    /// What is still there, and what stays on purpose.
    pub left: Vec<Left>,
    /// What this file does not tell.
    pub not_known: Vec<String>,
}

/// How far a destruction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has begun, and nothing is known of its end: this stands in the file of a run that was killed.
    Begun,
    /// Every stack is gone.
    Destroyed,
    /// It ended before that.
    Incomplete,
}

/// What became of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackEvidence {
    /// The name it has in the environment.
    pub stack: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Its ARN.
    pub id: String,
    /// Twelve digits.
    pub account: String,
    /// The AWS Region.
    pub region: String,
    /// Its status when this run began; `DELETE_COMPLETE` where an earlier run, or somebody else, deleted it.
    pub status_before: StackStatus,
    /// Its status.
    pub status: StackStatus,
    /// Why it has that status, in CloudFormation's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was deleted: `DeletionTime`, in CloudFormation's words.
    pub deleted: Option<Timestamp>,
    /// What was in it.
    pub resources: Vec<ResourceEvidence>,
}

/// What became of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceEvidence {
    /// The logical id.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// Its own id.
    pub physical_id: Option<String>,
    /// The `DeletionPolicy` that the template writes; nothing where CloudFormation's default holds.
    pub deletion_policy: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Its status, in CloudFormation's words.
    pub status: String,
    /// Since when it has that status.
    pub since: Option<Timestamp>,
    /// Why, in CloudFormation's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a snapshot that was made for a clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyEvidence {
    /// Its ARN.
    pub snapshot: String,
    /// Twelve digits.
    pub account: String,
    /// The snapshot of the source that it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_snapshot: Option<String>,
    /// The last transaction in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_as_of: Option<Timestamp>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is gone, with all it held.
    Deleted,
    /// It is gone; CloudFormation took a snapshot before.
    DeletedAfterSnapshot,
    /// It was left to itself, as its policy says.
    Retained,
    /// Its deletion failed.
    NotDeleted,
    /// It is as it was.
    StillThere,
    /// It never came to be.
    NeverCreated,
}

/// Something that is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "left", rename_all = "snake_case")]
pub enum Left {
    /// A stack.
    Stack {
        /// Its ARN.
        id: String,
        /// Its status.
        status: StackStatus,
    },
    /// A resource of a stack that is gone, or whose deletion failed.
    Resource {
        /// `STACK/RESOURCE`.
        resource: String,
        /// Its type.
        kind: String,
        /// Its own id.
        physical_id: Option<String>,
    },
    /// A snapshot that was made for the clone.
    Copy {
        /// Its ARN.
        snapshot: String,
    },
    /// A snapshot.
    Snapshot {
        /// `STACK/RESOURCE` that it was taken of.
        of: String,
        /// The type of that.
        kind: String,
        /// The own id of that.
        physical_id: Option<String>,
        /// How to find it: CloudFormation does not tell its id.
        found_by: String,
    },
}

/// A stack of the environment, gone or not, and the resources it has or had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The name it has in the environment.
    pub stack: String,
    /// Where it lives, or lived.
    pub place: Place,
    /// The stack, with its resources.
    pub live: LiveStack,
}

/// What is known about a run beside the stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Whether nothing of it is real.
    pub is_rehearsal: bool,
    /// Who runs it.
    pub callers: Vec<String>,
    /// When it began, by the cloud's clock.
    pub began: Option<Timestamp>,
}

/// How a run ended, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending<'a> {
    /// It has only begun.
    Unknown,
    /// It came to an end.
    Known {
        /// Why it did not reach its goal.
        because: Option<String>,
        /// The stacks as they are now; or why they could not be looked at.
        after: Result<&'a [Trace], String>,
        /// When, by the cloud's clock.
        at: Option<Timestamp>,
    },
}

/// Says what existed and what became of it.
pub fn evidence(doomed: &Doomed, circumstances: &Circumstances, before: &[Trace], ending: &Ending<'_>) -> Evidence {
    let (after, because, ended, unseen) = match ending {
        Ending::Unknown => (before, None, None, None),
        Ending::Known { because, after: Ok(after), at } => (*after, because.clone(), *at, None),
        Ending::Known { because, after: Err(cause), at } => (before, because.clone(), *at, Some(cause)),
    };
    let mut stacks: Vec<StackEvidence> = after.iter().map(|trace| stack(trace, before)).collect();
    // In the order in which they go: those that the file does not name first.
    stacks.sort_by_key(|seen| doomed.stacks.iter().position(|it| it.name == seen.stack));
    let is_gone = stacks.iter().all(|stack| stack.status.phase() == Phase::Gone);
    let outcome = match ending {
        Ending::Unknown => Outcome::Begun,
        Ending::Known { .. } if is_gone && because.is_none() && unseen.is_none() => Outcome::Destroyed,
        Ending::Known { .. } => Outcome::Incomplete,
    };
    Evidence {
        schema: EVIDENCE_SCHEMA,
        greenroom: env!("CARGO_PKG_VERSION"),
        environment: doomed.environment.clone(),
        project: doomed.project.clone(),
        is_rehearsal: circumstances.is_rehearsal,
        outcome,
        because,
        began: circumstances.began,
        ended,
        callers: circumstances.callers.clone(),
        left: stacks.iter().flat_map(left).collect(),
        not_known: not_known(doomed, &stacks, outcome, unseen),
        copies: Vec::new(),
        stacks,
    }
}

impl Evidence {
    /// With the snapshots that were made for it as a clone. `None`: nobody could look whether they are gone.
    #[must_use]
    pub fn with_copies(mut self, before: Vec<CopyEvidence>, left: Option<&BTreeSet<String>>) -> Self {
        let is_left = |snapshot: &String| left.is_none_or(|left| left.contains(snapshot));
        for copy in before {
            let fate = if is_left(&copy.snapshot) { Fate::StillThere } else { Fate::Deleted };
            if fate == Fate::StillThere {
                self.left.push(Left::Copy { snapshot: copy.snapshot.clone() });
            }
            self.copies.push(CopyEvidence { fate, ..copy });
        }
        let is_any_left = self.copies.iter().any(|copy| copy.fate == Fate::StillThere);
        if is_any_left && self.outcome == Outcome::Destroyed {
            self.outcome = Outcome::Incomplete;
        }
        if left.is_none() && !self.copies.is_empty() {
            self.not_known.push("what became of the copies of its data: they could not be looked at".to_owned());
        }
        self
    }
}

fn stack(trace: &Trace, before: &[Trace]) -> StackEvidence {
    let live = &trace.live;
    let known = before.iter().find(|known| known.live.id == live.id).map_or(live, |known| &known.live);
    StackEvidence {
        stack: trace.stack.clone(),
        stack_name: live.name.clone(),
        id: live.id.clone(),
        account: trace.place.account.clone(),
        region: trace.place.region.clone(),
        status_before: known.status.clone(),
        status: live.status.clone(),
        reason: live.status_reason.clone(),
        created: live.created,
        deleted: live.deleted,
        resources: live.resources.iter().map(|it| resource(it, live.status.phase() == Phase::Gone)).collect(),
    }
}

fn resource(resource: &LiveResource, is_stack_gone: bool) -> ResourceEvidence {
    ResourceEvidence {
        resource: resource.logical_id.clone(),
        kind: resource.kind.clone(),
        physical_id: resource.physical_id.clone(),
        deletion_policy: resource.deletion_policy.clone(),
        fate: fate(resource, is_stack_gone),
        status: resource.status.clone(),
        since: resource.since,
        reason: resource.reason.clone(),
    }
}

fn fate(resource: &LiveResource, is_stack_gone: bool) -> Fate {
    let was = LiveResource { status: String::new(), ..resource.clone() };
    match resource.status.as_str() {
        "DELETE_COMPLETE" if loss(&was).is_some_and(|verdict| verdict.fate == DataFate::Snapshot) => {
            Fate::DeletedAfterSnapshot
        }
        "DELETE_COMPLETE" => Fate::Deleted,
        "DELETE_SKIPPED" => Fate::Retained,
        "DELETE_FAILED" => Fate::NotDeleted,
        _ if is_stack_gone && resource.physical_id.is_none() => Fate::NeverCreated,
        _ => Fate::StillThere,
    }
}

fn left(stack: &StackEvidence) -> Vec<Left> {
    let mut left = Vec::new();
    if stack.status.phase() != Phase::Gone {
        left.push(Left::Stack { id: stack.id.clone(), status: stack.status.clone() });
    }
    for it in &stack.resources {
        let name = format!("{}/{}", stack.stack, it.resource);
        let (kind, physical_id) = (it.kind.clone(), it.physical_id.clone());
        match it.fate {
            Fate::Deleted | Fate::NeverCreated => {}
            Fate::DeletedAfterSnapshot => {
                let found_by = found_by(&kind, physical_id.as_deref().unwrap_or_default());
                left.push(Left::Snapshot { of: name, kind, physical_id, found_by });
            }
            Fate::Retained | Fate::NotDeleted | Fate::StillThere => {
                left.push(Left::Resource { resource: name, kind, physical_id });
            }
        }
    }
    left
}

fn found_by(kind: &str, id: &str) -> String {
    match kind {
        "AWS::RDS::DBInstance" => format!("aws rds describe-db-snapshots --db-instance-identifier {id}"),
        "AWS::RDS::DBCluster" => format!("aws rds describe-db-cluster-snapshots --db-cluster-identifier {id}"),
        "AWS::EC2::Volume" => format!("aws ec2 describe-snapshots --filters Name=volume-id,Values={id}"),
        _ => format!("the snapshots of {id} in the console of its service"),
    }
}

fn not_known(doomed: &Doomed, stacks: &[StackEvidence], outcome: Outcome, unseen: Option<&String>) -> Vec<String> {
    let mut all = Vec::new();
    if outcome == Outcome::Begun {
        all.push("how it ended: this was written before the first step; run the command again for the rest".to_owned());
    }
    if let Some(cause) = unseen {
        all.push(format!("what became of the stacks since this run began: they could not be looked at ({cause})"));
    }
    let seen: BTreeSet<&str> = stacks.iter().map(|stack| stack.stack.as_str()).collect();
    for name in doomed.stacks.iter().map(|stack| &stack.name).filter(|name| !seen.contains(name.as_str())) {
        all.push(format!("`{name}`: there is no such stack, and none was deleted in the last 90 days"));
    }
    for stack in stacks.iter().filter(|stack| stack.status_before.phase() == Phase::Gone) {
        all.push(format!("who deleted `{}`: it was gone when this run began; CloudTrail knows", stack.stack));
    }
    all.push("stacks that the file does not name and that were gone when this run began".to_owned());
    all.push("what resources made by themselves: automated backups, log groups, network interfaces".to_owned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destroy::DoomedStack;

    fn resource(words: &str) -> LiveResource {
        let words: Vec<&str> = words.split(' ').collect();
        LiveResource {
            logical_id: words[0].to_owned(),
            physical_id: (words[1] != "-").then(|| words[1].to_owned()),
            kind: words[2].to_owned(),
            status: words[3].to_owned(),
            deletion_policy: words.get(4).map(|policy| (*policy).to_owned()),
            ..LiveResource::default()
        }
    }

    fn trace(status: StackStatus, resources: &[&str]) -> Trace {
        let resources = resources.iter().map(|words| resource(words)).collect();
        let live = LiveStack { id: "arn:database".to_owned(), status, resources, ..LiveStack::default() };
        Trace { stack: "database".to_owned(), live, ..Trace::default() }
    }

    fn doomed() -> Doomed {
        let stack = |name: &str| DoomedStack { name: name.to_owned(), ..DoomedStack::default() };
        Doomed { environment: "lab".to_owned(), stacks: vec![stack("database")], ..Doomed::default() }
    }

    fn fates(evidence: &Evidence) -> Vec<Fate> {
        evidence.stacks.iter().flat_map(|stack| &stack.resources).map(|resource| resource.fate).collect()
    }

    fn told(before: &[Trace], ending: &Ending<'_>) -> Evidence {
        evidence(&doomed(), &Circumstances::default(), before, ending)
    }

    #[test]
    fn says_what_became_of_each_resource_and_what_is_left() {
        let before = [trace(StackStatus::CreateComplete, &["Database db-1 AWS::RDS::DBInstance CREATE_COMPLETE"])];
        let after = [trace(
            StackStatus::DeleteComplete,
            &[
                "Database db-1 AWS::RDS::DBInstance DELETE_COMPLETE Snapshot",
                "Default db-2 AWS::RDS::DBInstance DELETE_COMPLETE",
                "Key k-1 AWS::KMS::Key DELETE_SKIPPED Retain",
                "Queue q-1 AWS::SQS::Queue DELETE_COMPLETE",
                "Never - AWS::SQS::Queue CREATE_FAILED",
            ],
        )];
        let evidence = told(&before, &Ending::Known { because: None, after: Ok(&after), at: None });
        assert_eq!(evidence.outcome, Outcome::Destroyed);
        assert_eq!(
            fates(&evidence),
            [Fate::DeletedAfterSnapshot, Fate::DeletedAfterSnapshot, Fate::Retained, Fate::Deleted, Fate::NeverCreated]
        );
        let left: Vec<&str> = evidence
            .left
            .iter()
            .map(|left| match left {
                Left::Stack { id, .. } => id.as_str(),
                Left::Resource { resource, .. } => resource,
                Left::Copy { snapshot } => snapshot,
                Left::Snapshot { found_by, .. } => found_by,
            })
            .collect();
        let snapshot = |id: &str| format!("aws rds describe-db-snapshots --db-instance-identifier {id}");
        assert_eq!(left, [&snapshot("db-1"), &snapshot("db-2"), "database/Key"]);
    }

    #[test]
    fn what_has_only_begun_says_so() {
        let before = [trace(StackStatus::CreateComplete, &["Queue q-1 AWS::SQS::Queue CREATE_COMPLETE"])];
        let evidence = told(&before, &Ending::Unknown);
        assert_eq!((evidence.outcome, fates(&evidence)), (Outcome::Begun, vec![Fate::StillThere]));
        assert!(evidence.not_known[0].starts_with("how it ended"), "{:?}", evidence.not_known);
    }

    #[test]
    fn an_end_that_nobody_saw_is_not_called_good() {
        let after = Err("AWS could not be reached".to_owned());
        let evidence = told(&[], &Ending::Known { because: None, after, at: None });
        assert_eq!(evidence.outcome, Outcome::Incomplete);
        assert!(evidence.not_known[0].contains("AWS could not be reached"), "{:?}", evidence.not_known);
    }

    #[test]
    fn a_clone_is_not_destroyed_while_its_copies_are_there() {
        let copy = |snapshot: &str| CopyEvidence {
            snapshot: snapshot.to_owned(),
            account: "2".to_owned(),
            source_snapshot: None,
            data_as_of: None,
            fate: Fate::StillThere,
        };
        let gone = [trace(StackStatus::DeleteComplete, &[])];
        let ended = || told(&gone, &Ending::Known { because: None, after: Ok(&gone), at: None });
        let both = || vec![copy("arn:a"), copy("arn:b")];
        let fates = |evidence: &Evidence| evidence.copies.iter().map(|copy| copy.fate).collect::<Vec<_>>();
        let all_gone = ended().with_copies(both(), Some(&BTreeSet::new()));
        assert_eq!((all_gone.outcome, fates(&all_gone)), (Outcome::Destroyed, vec![Fate::Deleted; 2]));
        let one_left = ended().with_copies(both(), Some(&["arn:b".to_owned()].into()));
        assert_eq!((one_left.outcome, fates(&one_left)), (Outcome::Incomplete, vec![Fate::Deleted, Fate::StillThere]));
        assert_eq!(one_left.left, [Left::Copy { snapshot: "arn:b".to_owned() }]);
        assert_eq!(ended().with_copies(both(), None).outcome, Outcome::Incomplete);
    }

    #[test]
    fn a_stack_that_is_still_there_is_left() {
        let words = ["Queue q-1 AWS::SQS::Queue DELETE_FAILED"];
        let after = [trace(StackStatus::DeleteFailed, &words)];
        let ending = Ending::Known { because: Some("denied".to_owned()), after: Ok(&after), at: None };
        let evidence = told(&after, &ending);
        assert_eq!((evidence.outcome, evidence.left.len()), (Outcome::Incomplete, 2));
    }

    #[test]
    fn what_an_earlier_run_deleted_is_evidence_and_by_whom_is_not_known() {
        let gone = [trace(StackStatus::DeleteComplete, &["Queue q-1 AWS::SQS::Queue DELETE_COMPLETE"])];
        let evidence = told(&gone, &Ending::Known { because: None, after: Ok(&gone), at: None });
        assert_eq!((evidence.outcome, fates(&evidence)), (Outcome::Destroyed, vec![Fate::Deleted]));
        assert!(evidence.not_known[0].starts_with("who deleted `database`"), "{:?}", evidence.not_known);
    }
}
