//! Parity: whether two environments that should be alike are so in fact, as far as AWS can tell.
//!
//! `diff` compares what two files mean; this compares what runs. `observe.rs` reads both sides, `compare.rs` is pure. A property
//! is equal, or its difference is declared, or it is not; what could not be read is none of these, and never fine.

pub mod compare;
pub mod declared;
pub mod observe;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::diff::IdleException;

pub use compare::compare;
pub use declared::{Declared, declared};
pub use words::Words;

/// One environment as AWS tells of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Its name.
    pub environment: String,
    /// Its stacks that exist, by their name in the environment.
    pub stacks: BTreeMap<String, SeenStack>,
    /// What is its own by name only, and what that stands for on either side.
    pub words: Words,
}

/// A stack as it was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenStack {
    /// Why nothing that is seen of it will last: an operation is under way.
    pub unrest: Option<String>,
    /// Its resources, by logical id.
    pub resources: BTreeMap<String, Resource>,
}

/// A resource as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its type.
    pub kind: String,
    /// What is known of it.
    pub seen: Seen,
}

/// What is known of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// That it is there: more is not asked about its type.
    Present,
    /// Its properties, by the paths that the registry gives them.
    Properties {
        /// Property by property.
        of: BTreeMap<String, Json>,
        /// Where else a path is declared: properties of a group that another resource of the stack describes.
        elsewhere: Vec<(String, String)>,
    },
    /// That it is not there, whatever CloudFormation says.
    Gone,
    /// Nothing.
    Unread {
        /// Why.
        because: String,
    },
}

/// How a property, a resource or a stack compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is the same.
    Equal,
    /// It differs, and may.
    Declared {
        /// Why.
        because: String,
        /// The last day on which it may; without one, it always may.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// It differs, and nobody says that it may.
    Undeclared,
    /// Nobody knows.
    NotComparable {
        /// Why.
        because: String,
    },
}

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `STACK`, `STACK/RESOURCE` or `STACK/RESOURCE/PROPERTY`.
    pub path: String,
    /// The resource's type; a stack has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the source has; nothing where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the target has; nothing where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How they compare.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// How two environments compare.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parity {
    /// The environment that is the measure.
    pub source: String,
    /// The environment that is measured.
    pub target: String,
    /// How much is equal.
    pub equal: usize,
    /// The share of what is equal in all that should be; nothing where nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Resources whose types are compared by being there only.
    pub present_only: usize,
    /// All that is not equal, by its path.
    pub rows: Vec<Row>,
    /// Declared differences that say nothing (any more).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<IdleException>,
}

impl Parity {
    /// Whether anything differs that is not declared.
    pub fn has_undeclared(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Verdict::Undeclared)
    }

    /// Whether anything could not be compared.
    pub fn has_unknown(&self) -> bool {
        self.rows.iter().any(|row| matches!(row.verdict, Verdict::NotComparable { .. }))
    }
}
