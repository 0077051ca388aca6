//! The end of a clone: what was copied for it goes, too. Nouns and decisions; both are few.
//!
//! A snapshot goes only if its marks, its origin and its name all say that it was made for this environment
//! ([`was_made_for`]); the source's own snapshots bear none of the three.

use std::fmt;

use serde::Serialize;

use super::SeenSnapshot;
use super::snapshot::was_made_for;
use crate::deploy::Place;
use crate::operation::{About, Plan, Subject};

/// Whose snapshots go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// As it is typed.
    pub environment: String,
    /// The value of the mark `greenroom:environment`.
    pub word: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// Where copies may lie: the source's place and the target's.
    pub places: Vec<Place>,
    /// The source, as it is typed.
    pub source: String,
    /// The source's stacks: the name in CloudFormation and the place of each.
    pub source_stacks: Vec<(String, Place)>,
}

/// A database that is a resource of a stack, and what it is: its name may be given to another, its `DbiResourceId` never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `STACK/RESOURCE`.
    pub path: String,
    /// Its name in RDS.
    pub id: String,
    /// Its `DbiResourceId`.
    pub resource_id: String,
}

/// Why a target must not be destroyed: one of its stacks holds a database that is its source's, whatever its tags say. A stack
/// that took in the source's database by an import is the way to get there.
pub fn objections(target: &[Identity], source: &[Identity]) -> Vec<String> {
    let is_its_own = |own: &&Identity| source.iter().all(|other| other.resource_id != own.resource_id);
    let shared = target.iter().filter(|own| !is_its_own(own));
    shared.map(|it| format!("`{}` is the source's own database `{}` ({})", it.path, it.id, it.resource_id)).collect()
}

/// The snapshots that were seen, each with its place.
pub type World = Vec<(Place, SeenSnapshot)>;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Delete a snapshot that was made for the clone.
    DeleteSnapshot {
        /// Its name.
        snapshot: String,
        /// The account that it lies in.
        account: String,
        /// Where it lies.
        #[serde(skip)]
        place: Place,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::DeleteSnapshot { snapshot, account, .. } = self;
        write!(f, "delete snapshot `{snapshot}` in account {account}")
    }
}

impl About for Step {
    fn subject(&self) -> Subject {
        let Self::DeleteSnapshot { snapshot, .. } = self;
        Subject { stack: Some("snapshots".to_owned()), resource: Some(snapshot.clone()) }
    }
}

/// Why a snapshot is not simply gone.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It is being made, and cannot be deleted before it is.
    #[error("snapshot `{snapshot}` is {status}, and deleted afterwards")]
    Making {
        /// The snapshot.
        snapshot: String,
        /// In RDS's words.
        status: String,
    },
}

impl About for Reason {
    fn subject(&self) -> Subject {
        let Self::Making { snapshot, .. } = self;
        Subject { stack: Some("snapshots".to_owned()), resource: Some(snapshot.clone()) }
    }

    fn is_running(&self) -> bool {
        true
    }
}

/// Says which snapshots go now.
pub fn plan(removed: &Removed, now: &[(Place, SeenSnapshot)]) -> Plan<Step, Reason> {
    let (mut steps, mut waiting) = (Vec::new(), Vec::new());
    for (place, snapshot) in now {
        if !was_made_for(&removed.project, &removed.word, snapshot) {
            continue;
        }
        match snapshot.status.as_str() {
            "creating" | "copying" | "pending" | "deleting" => {
                waiting.push(Reason::Making { snapshot: snapshot.name.clone(), status: snapshot.status.clone() });
            }
            _ => steps.push(Step::DeleteSnapshot {
                snapshot: snapshot.name.clone(),
                account: place.account.clone(),
                place: place.clone(),
            }),
        }
    }
    if steps.is_empty() && waiting.is_empty() {
        return Plan::Converged;
    }
    Plan::Going { now: steps, waiting, then: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone::SOURCE_SNAPSHOT;

    fn removed() -> Removed {
        Removed { word: "twin".to_owned(), project: "sync".to_owned(), ..Removed::default() }
    }

    fn snapshot(name: &str, status: &str, tags: &[(&str, &str)]) -> (Place, SeenSnapshot) {
        let place = Place { account: "2".to_owned(), ..Place::default() };
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (name, status, kind) = (name.to_owned(), status.to_owned(), "manual".to_owned());
        (place, SeenSnapshot { name, kind, status, tags, ..SeenSnapshot::default() })
    }

    const OURS: [(&str, &str); 3] =
        [("greenroom:project", "sync"), ("greenroom:environment", "twin"), (SOURCE_SNAPSHOT, "arn:x")];

    fn check(world: &[(Place, SeenSnapshot)], expectation: &[&str]) {
        let plan = plan(&removed(), world);
        let steps = plan.now().iter().map(ToString::to_string);
        let told: Vec<String> = steps.chain(plan.waiting().iter().map(ToString::to_string)).collect();
        assert_eq!(told, expectation);
    }

    #[test]
    fn the_sources_own_database_is_known_by_what_never_changes() {
        let identity = |path: &str, id: &str, resource_id: &str| Identity {
            path: path.to_owned(),
            id: id.to_owned(),
            resource_id: resource_id.to_owned(),
        };
        let source = [identity("database/Database", "production", "db-1")];
        let same_name = identity("database/Database", "production", "db-2");
        assert_eq!(objections(&[same_name], &source), Vec::<String>::new());
        let taken_in = identity("database/Database", "renamed", "db-1");
        let said = "`database/Database` is the source's own database `renamed` (db-1)";
        assert_eq!(objections(&[taken_in], &source), [said]);
    }

    #[test]
    fn what_was_made_for_the_clone_goes() {
        check(&[snapshot("twin-src-1", "available", &OURS)], &["delete snapshot `twin-src-1` in account 2"]);
    }

    #[test]
    fn what_is_being_made_is_waited_for() {
        check(
            &[snapshot("twin-src-1", "creating", &OURS)],
            &["snapshot `twin-src-1` is creating, and deleted afterwards"],
        );
    }

    #[test]
    fn what_only_looks_alike_stays() {
        let mut automated = snapshot("twin-src-1", "available", &OURS);
        automated.1.kind = "automated".to_owned();
        check(
            &[
                automated,
                snapshot("twin-src-1", "available", &[]),
                snapshot("twin-src-1", "available", &OURS[..2]),
                snapshot("before-the-release", "available", &OURS),
                snapshot("twin-src-1", "available", &[OURS[0], ("greenroom:environment", "twin-2"), OURS[2]]),
                snapshot("twin-src-1", "available", &[("greenroom:project", "other"), OURS[1], OURS[2]]),
            ],
            &[],
        );
    }
}
