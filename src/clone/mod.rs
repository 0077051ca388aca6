//! `clone`: an environment becomes another's twin, on the other's data, from a snapshot of its database.
//!
//! A clone is a deployment with a prologue and an interlude: a snapshot is brought to where it can be restored, the database is
//! made from it behind closed doors, looked at, and only then opened. So [`plan`] composes the plan of `deploy` twice: over the
//! target with its database kept to itself, and over the target as its file says. What has been done is read back from snapshots
//! and stacks; the snapshot is chosen once, and stays written in the parameters of the stack that was made from it.

pub mod apply;
pub mod daily;
pub mod frozen;
pub mod guards;
pub mod observe;
pub mod outside;
pub mod plan;
pub mod proposal;
pub mod removal;
pub mod report;
pub mod snapshot;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::deploy::{self, Place};
use crate::environment::Prices;

pub use words::{Reason, Step};

/// Properties of a database in the registry's words.
pub type Properties = BTreeMap<String, Json>;

/// What is wanted of a clone.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Whose data it is.
    pub source: Source,
    /// What is made of it.
    pub target: Target,
    /// The stacks up to the database, which lets nobody in.
    pub safe: deploy::Desired,
    /// All stacks as the file says.
    pub open: deploy::Desired,
    /// Which snapshot.
    pub choice: Choice,
    /// The most it may cost in a day.
    pub max_cost: Option<f64>,
    /// The user's own prices, if there are some.
    pub prices: Option<Prices>,
    /// What the files alone say against it.
    pub objections: Vec<Reason>,
}

/// The environment whose data it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Its name.
    pub environment: String,
    /// Where its database's stack lives.
    pub place: Place,
    /// The stack's name in CloudFormation.
    pub stack_name: String,
    /// The logical id of its database.
    pub database: String,
    /// What its file says of the database.
    pub written: Properties,
    /// Properties that may differ from the file, because the file says so.
    pub ignored: BTreeSet<String>,
    /// Whether the policy of its key lets the target's account in, as far as the template tells.
    pub lets_target_in: bool,
}

/// The environment that is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Its name.
    pub environment: String,
    /// The value of the mark `greenroom:environment`.
    pub word: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// Where its database's stack lives.
    pub place: Place,
    /// The name of that stack in the environment.
    pub stack: String,
    /// The logical id of its database.
    pub database: String,
    /// The parameter that takes the snapshot.
    pub parameter: String,
    /// The key that the file names for its data.
    pub key: Option<String>,
    /// What its file says of the database.
    pub written: Properties,
    /// Properties that may differ from the source, because the files say so.
    pub declared: BTreeSet<String>,
    /// The tags of every copy that is made for it.
    pub tags: BTreeMap<String, String>,
}

/// Which snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How it is found.
    pub which: Which,
    /// The oldest that its data may be.
    pub max_age: Option<Duration>,
}

impl Default for Choice {
    fn default() -> Self {
        Self { which: Which::Newest, max_age: None }
    }
}

/// How a snapshot is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest that RDS took by itself.
    Newest,
    /// One that is taken for the purpose.
    Fresh,
    /// One of the source's, by name or ARN.
    Id(String),
}

/// All that was seen in one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The target's stacks.
    pub deploy: deploy::World,
    /// The source's database. Looked at until the target has one.
    pub source: Option<SeenSource>,
    /// The target's database, once its stack is there.
    pub database: Option<SeenDatabase>,
    /// What was copied into the target's account for this target.
    pub copies: Vec<SeenSnapshot>,
    /// What must be granted. Asked for once, before the target has a database.
    pub guards: Option<guards::Guards>,
}

/// The source's database and its snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenSource {
    /// The database; nothing where the stack has none.
    pub database: Option<SeenDatabase>,
    /// All its snapshots in its own account.
    pub snapshots: Vec<SeenSnapshot>,
    /// The ids of the keys that are resources of its stack: those that other accounts can be let use.
    pub keys: Vec<String>,
}

/// A database as it was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenDatabase {
    /// Its name in RDS.
    pub id: String,
    /// What stays when the name changes.
    pub resource_id: String,
    /// In RDS's words.
    pub status: String,
    /// What waits for a reboot or a window.
    pub pending: Vec<String>,
    /// What it uses and is not in effect yet: `parameter group x is pending-reboot`.
    pub unsettled: Vec<String>,
    /// What it is made like.
    pub properties: Properties,
}

/// A snapshot as it was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenSnapshot {
    /// Its name in its account and Region.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `automated` or `manual`.
    pub kind: String,
    /// `available`, or what it is on the way from or to.
    pub status: String,
    /// How much of it is done.
    pub percent: Option<i32>,
    /// When it was complete; a copy has a time of its own.
    pub created: Option<Timestamp>,
    /// The last transaction in it.
    pub data_as_of: Option<Timestamp>,
    /// The key it is encrypted with, if it is.
    pub key: Option<String>,
    /// The engine's version in it.
    pub engine_version: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The accounts that may copy it, where they were asked for.
    pub shared_with: Vec<String>,
}

/// The tag that says what a copy was made from; together with the marks it proves that a copy is ours to delete.
pub const SOURCE_SNAPSHOT: &str = "greenroom:source-snapshot";

/// The tag that says whose data it is: the database's `DbiResourceId`.
pub const SOURCE_DATABASE: &str = "greenroom:source-database";

/// The tag that says of when the data is.
pub const DATA_AS_OF: &str = "greenroom:data-as-of";

/// How the name of whatever is made of the source's data for a target begins.
pub fn copy_prefix(word: &str) -> String {
    format!("{word}-src-")
}
