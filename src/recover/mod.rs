//! `recover`: stacks that are stuck, and the ways out.
//!
//! [`ways`] says of a stack what is stuck, why, and which ways lead out, the least harmful first. A way is data: what it calls, and
//! what it loses, are read from it, by people before they choose and by [`plan`] afterwards. Nothing is chosen here.

pub mod apply;
pub mod observe;
pub mod plan;
pub mod report;
pub mod ways;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::deploy::world::FirstFailure;
use crate::deploy::{Place, Progress, StackStatus, busy};
use crate::operation::{About, Subject};

/// Whose stacks are freed.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// As it is typed: `scratch@jane`.
    pub environment: String,
    /// The value of the mark `greenroom:environment`.
    pub environment_word: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// Its stacks, in the order of the file.
    pub stacks: Vec<ScopedStack>,
    /// The CloudFormation names, with account and Region, of every stack that the file names.
    pub named: BTreeSet<(String, String, String)>,
    /// Whether stacks are meant, too, that the file no longer names.
    pub with_strays: bool,
}

/// A stack that may be stuck.
#[derive(Clone, Debug, Default)]
pub struct ScopedStack {
    /// Its name in the environment.
    pub name: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
}

/// A stack that is stuck, and the ways out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stranded {
    /// Its name in the environment.
    pub stack: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Its ARN.
    pub id: String,
    /// Where it lives.
    #[serde(skip)]
    pub place: Place,
    /// Its status.
    pub status: StackStatus,
    /// Why it is stuck.
    pub because: FirstFailure,
    /// Why what could not be undone had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_first: Option<FirstFailure>,
    /// The ways out, the least harmful first.
    pub ways: Vec<Way>,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// By which it is chosen.
    pub number: usize,
    /// What is done.
    #[serde(flatten)]
    pub act: Act,
    /// The very calls, as the AWS CLI makes them.
    pub calls: Vec<String>,
    /// What it costs: a sentence each.
    pub loses: Vec<String>,
    /// Why it cannot be gone, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// What is done about a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum Act {
    /// Wait for what is on its way already. Never offered.
    Await,
    /// Undo the rest of a failed update, leaving out what is named.
    ContinueRollback {
        /// What CloudFormation is told to take for undone, though it is not.
        skip: Vec<String>,
    },
    /// Undo a failed update.
    RollBack,
    /// Delete the stack.
    Delete {
        /// What it leaves behind, by logical ids.
        retain: Vec<String>,
        /// Whether termination protection is taken off first.
        unprotects: bool,
    },
    /// Empty buckets, and delete the stack.
    EmptyAndDelete {
        /// The logical id and the name of each bucket.
        buckets: Vec<(String, String)>,
    },
}

impl Act {
    /// Whether the stack goes with it.
    pub fn deletes(&self) -> bool {
        match self {
            Self::Delete { .. } | Self::EmptyAndDelete { .. } => true,
            Self::Await | Self::ContinueRollback { .. } | Self::RollBack => false,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |names: &[String]| names.join(", ");
        match self {
            Self::Await => f.write_str("wait for it"),
            Self::ContinueRollback { skip } if skip.is_empty() => f.write_str("try again to undo the update"),
            Self::ContinueRollback { skip } => write!(f, "undo the update without {}", joined(skip)),
            Self::RollBack => f.write_str("undo the update"),
            Self::Delete { retain, .. } if retain.is_empty() => f.write_str("delete the stack"),
            Self::Delete { retain, .. } => write!(f, "delete the stack and leave {} behind", joined(retain)),
            Self::EmptyAndDelete { buckets } => {
                let names: Vec<String> = buckets.iter().map(|(resource, _)| resource.clone()).collect();
                write!(f, "empty {} and delete the stack", joined(&names))
            }
        }
    }
}

/// A way that was chosen for a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The stack's name in the environment.
    pub stack: String,
    /// Its ARN.
    pub id: String,
    /// Where it lives.
    pub place: Place,
    /// What is done.
    pub act: Act,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Undo the rest of a failed update.
    ContinueRollback {
        /// The stack.
        stack: String,
        /// Its ARN.
        id: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
        /// What is taken for undone.
        skip: Vec<String>,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
    /// Undo a failed update.
    RollBack {
        /// The stack.
        stack: String,
        /// Its ARN.
        id: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
    /// Take termination protection off a stack that is to go.
    Unprotect {
        /// The stack.
        stack: String,
        /// Its ARN.
        id: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
    },
    /// Empty a bucket of a stack that is to go.
    EmptyBucket {
        /// The stack.
        stack: String,
        /// The logical id.
        resource: String,
        /// The bucket's name.
        bucket: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
        /// What is in front, so that another round is another step.
        #[serde(skip)]
        next: String,
    },
    /// Delete a stack.
    DeleteStack {
        /// The stack.
        stack: String,
        /// Its ARN.
        id: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
        /// What is left behind.
        retain: Vec<String>,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
}

impl Step {
    fn stack(&self) -> &str {
        match self {
            Self::ContinueRollback { stack, .. }
            | Self::RollBack { stack, .. }
            | Self::Unprotect { stack, .. }
            | Self::EmptyBucket { stack, .. }
            | Self::DeleteStack { stack, .. } => stack,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContinueRollback { stack, skip, .. } if skip.is_empty() => {
                write!(f, "undo the rest of the update of stack `{stack}`")
            }
            Self::ContinueRollback { stack, skip, .. } => {
                write!(f, "undo the rest of the update of stack `{stack}` without {}", skip.join(", "))
            }
            Self::RollBack { stack, .. } => write!(f, "undo the update of stack `{stack}`"),
            Self::Unprotect { stack, .. } => write!(f, "take termination protection off stack `{stack}`"),
            Self::EmptyBucket { bucket, .. } => write!(f, "empty bucket `{bucket}`"),
            Self::DeleteStack { stack, retain, .. } if retain.is_empty() => write!(f, "delete stack `{stack}`"),
            Self::DeleteStack { stack, retain, .. } => {
                write!(f, "delete stack `{stack}` and leave {} behind", retain.join(", "))
            }
        }
    }
}

impl About for Step {
    fn subject(&self) -> Subject {
        Subject { stack: Some(self.stack().to_owned()), resource: None }
    }
}

/// Why a stack is not simply free.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It is on its way.
    #[error("{}", busy(status, progress))]
    Busy {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
        /// How far it is.
        progress: Progress,
    },
    /// The way led nowhere.
    #[error("stack `{stack}` is still stuck, {status}{}", failure.clause())]
    StillStuck {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
        /// Why.
        #[serde(flatten)]
        failure: FirstFailure,
    },
}

impl Reason {
    /// What to type next, where something can be done.
    pub fn hint(&self, environment: &str) -> Option<String> {
        match self {
            Self::Busy { .. } => None,
            Self::StillStuck { .. } => {
                Some(format!("mend what is in the way, or look for another way: `greenroom recover {environment}`"))
            }
        }
    }
}

impl About for Reason {
    fn subject(&self) -> Subject {
        let (Self::Busy { stack, .. } | Self::StillStuck { stack, .. }) = self;
        Subject { stack: Some(stack.clone()), resource: None }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::StillStuck { .. } => false,
        }
    }
}
