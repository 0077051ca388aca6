//! `drift`: what runs, against what the files say, and a decision for every difference.
//!
//! CloudFormation compares; this asks it to ([`plan`], [`observe`], [`apply`]: a detection is an operation like any other), and
//! [`judge()`] says of each difference what it is. The summary of a stack is never believed: it has been seen to say that a stack
//! is in sync whose resources are not (aws-cloudformation/cloudformation-coverage-roadmap, 2283). What nobody could read is
//! listed as such, and is never fine.
//!
//! [`adopt`] finds the line that makes a property what it is. Undoing a difference is a deployment: `commands` drives it.

pub mod adopt;
pub mod apply;
pub mod beyond;
pub mod judge;
pub mod observe;
pub mod plan;
pub mod report;
pub mod revert;
pub mod who;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::deploy::Place;
use crate::operation::{About, Subject};

pub use judge::judge;
pub use report::{Class, Finding, Report, Settled, Unread};

/// A stack whose drift is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name in the environment.
    pub label: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
}

/// All that is known so far, by the stacks' names in the environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Stack by stack.
    pub stacks: BTreeMap<String, SeenStack>,
}

/// A stack, as far as it was detected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenStack {
    /// How far the detection is.
    pub detection: Detection,
    /// What it found; empty until it has ended.
    pub resources: Vec<SeenResource>,
    /// What its parameters are, as CloudFormation tells them.
    pub parameters: BTreeMap<String, String>,
}

/// How far a detection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Detection {
    /// Nobody has asked for it in this run.
    #[default]
    NotBegun,
    /// CloudFormation compares.
    Running,
    /// It has ended; well, or with a reason why it saw only a part.
    Ended {
        /// In CloudFormation's words.
        incomplete: Option<String>,
    },
    /// It cannot be had.
    Impossible {
        /// Why.
        because: String,
    },
}

/// A resource, as the detection tells of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenResource {
    /// Its logical id.
    pub logical_id: String,
    /// What the service calls it.
    pub physical_id: Option<String>,
    /// Its type.
    pub kind: String,
    /// How it compares.
    pub comparison: Comparison,
    /// Its properties as they should be.
    pub expected: Option<Json>,
    /// Its properties as they are, as far as the template names them.
    pub actual: Option<Json>,
}

/// How a resource compares with its template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// It is as it should be.
    InSync,
    /// Some of it differs.
    Modified {
        /// What.
        differences: Vec<Difference>,
    },
    /// It is gone.
    Deleted,
    /// It was not compared: CloudFormation cannot read its type, or did not.
    #[default]
    NotChecked,
    /// CloudFormation tried, and could not tell.
    Unknown,
}

/// A property that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Names and positions, separated by `/`, without one at the beginning.
    pub path: String,
    /// What the deployed template says; nothing where it says nothing.
    pub expected: Option<String>,
    /// What is; nothing where nothing is.
    pub actual: Option<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Have CloudFormation compare a stack with its template.
    Detect {
        /// The stack.
        stack: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Detect { stack } = self;
        write!(f, "detect the drift of stack `{stack}`")
    }
}

impl About for Step {
    fn subject(&self) -> Subject {
        let Self::Detect { stack } = self;
        Subject { stack: Some(stack.clone()), resource: None }
    }
}

/// Why a stack cannot be compared that was never deployed, or is gone.
pub const NOT_THERE: &str = "it does not exist";

/// Why a detection is not simply over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// CloudFormation compares.
    #[error("CloudFormation compares what is with what was deployed")]
    Detecting {
        /// The stack.
        stack: String,
    },
}

impl About for Reason {
    fn subject(&self) -> Subject {
        let Self::Detecting { stack } = self;
        Subject { stack: Some(stack.clone()), resource: None }
    }
}

/// When a detection began, and what is older than that.
pub(crate) fn is_older(checked: Option<Timestamp>, began: Option<Timestamp>) -> bool {
    checked.zip(began).is_some_and(|(checked, began)| checked < began)
}
