//! `destroy`: an environment and all that is in it goes.
//!
//! Stacks go in the reverse order of their references, those that the file no longer names first. Nothing is deleted that does
//! not bear the environment's marks, and nothing that is guarded. What is lost is said before, in the words of the policies.

pub mod apply;
pub mod evidence;
pub mod observe;
pub mod plan;
pub mod report;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::deploy::world::{FirstFailure, LiveResource, Progress, StackStatus};
use crate::deploy::{Place, World};
use crate::operation::{About, Subject};

/// What is to go.
#[derive(Clone, Debug, Default)]
pub struct Doomed {
    /// As it is typed: `scratch@jane`.
    pub environment: String,
    /// The value of the mark `greenroom:environment`.
    pub environment_word: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// Whether nobody may destroy it.
    pub is_protected: bool,
    /// Its stacks, each before those it needs.
    pub stacks: Vec<DoomedStack>,
    /// The CloudFormation names, with account and Region, of every stack the file names, managed or not.
    pub named: BTreeSet<(String, String, String)>,
    /// `STACK/RESOURCE`: buckets that are emptied though their template does not say that they go.
    pub empties: BTreeSet<String>,
    /// `STACK/RESOURCE`: what is left behind where it keeps its stack from being deleted.
    pub retains: BTreeSet<String>,
}

impl Doomed {
    /// Whether a bucket may be emptied. A template that says `DeletionPolicy: Delete` says that the bucket goes with its stack, and
    /// no bucket goes with anything in it. CloudFormation's default says the same, but nobody has written it.
    pub fn may_empty(&self, stack: &str, resource: &LiveResource) -> bool {
        let is_said = resource.deletion_policy.as_deref() == Some("Delete");
        resource.kind == BUCKET && (is_said || self.empties.contains(&format!("{stack}/{}", resource.logical_id)))
    }
}

/// The type of buckets.
pub const BUCKET: &str = "AWS::S3::Bucket";

/// A stack that is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoomedStack {
    /// Its name in the environment.
    pub name: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
    /// The stacks that must be gone first.
    pub needed_by: BTreeSet<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Delete what is in a bucket, versions and delete markers included.
    EmptyBucket {
        /// The name that the stack has in the environment.
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
        /// The name it has in the environment.
        stack: String,
        /// Its ARN.
        id: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
        /// What is left behind, by logical ids.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        retain: Vec<String>,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
}

impl Step {
    fn stack(&self) -> &str {
        match self {
            Self::EmptyBucket { stack, .. } | Self::DeleteStack { stack, .. } => stack,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyBucket { stack, resource, bucket, .. } => {
                write!(f, "empty bucket `{bucket}`, `{stack}/{resource}`")
            }
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

/// Why a stack is not simply gone.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Stacks that need it are still there.
    #[error("after {}", needed_by.join(", "))]
    After {
        /// The stack that waits.
        stack: String,
        /// The stacks that need it.
        needed_by: Vec<String>,
    },
    /// An operation is running: its deletion, or what must end before.
    #[error("{}", doing(status, progress))]
    Deleting {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
        /// How far it is.
        progress: Progress,
    },
    /// The environment may not be destroyed.
    #[error("`{environment}` is protected")]
    Protected {
        /// The environment.
        environment: String,
    },
    /// A stack is guarded, though its environment is not protected.
    #[error("stack `{stack}` is guarded by termination protection")]
    Guarded {
        /// The stack.
        stack: String,
    },
    /// A stack does not bear the environment's marks.
    #[error("stack `{stack_name}` exists and does not bear the marks of this environment")]
    NotOurs {
        /// The stack.
        stack: String,
        /// Its name in CloudFormation.
        stack_name: String,
    },
    /// A deletion of this run failed.
    #[error("stack `{stack}` could not be deleted{}", failure.clause())]
    NotDeleted {
        /// The stack.
        stack: String,
        /// Why.
        #[serde(flatten)]
        failure: FirstFailure,
        /// Everything that is in the way, by logical ids.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        in_the_way: Vec<String>,
    },
}

fn doing(status: &StackStatus, progress: &Progress) -> String {
    let doing = if *status == StackStatus::DeleteInProgress { "deleting" } else { "busy, and deleted afterwards" };
    let counted = match progress.begun {
        0 => String::new(),
        begun => format!(", {} of {begun} resources", progress.done),
    };
    let last = progress.resource.as_ref().map(|resource| format!(", {resource}")).unwrap_or_default();
    format!("{doing}{counted}{last}")
}

impl Reason {
    /// What to type next, where something can be done.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::After { .. } | Self::Deleting { .. } => None,
            Self::Protected { .. } => {
                Some("if it is really meant to go, take `protected: true` out of its file first".to_owned())
            }
            Self::Guarded { stack } => {
                Some(format!("take the protection off `{stack}` in the AWS console first, if it is meant to go"))
            }
            Self::NotOurs { stack, .. } => {
                Some(format!("deploy it with `--take-over {stack}` first, or take `{stack}` out of the file"))
            }
            Self::NotDeleted { in_the_way, .. } if in_the_way.is_empty() => {
                Some("clear away what is in the way and run the command again".to_owned())
            }
            Self::NotDeleted { stack, in_the_way, failure } => {
                let flag = |name: &str| {
                    in_the_way.iter().map(|it| format!("{name} {stack}/{it}")).collect::<Vec<_>>().join(" ")
                };
                let empty = match failure.kind.as_deref() {
                    Some(BUCKET) => format!("`{}` empties it, or ", flag("--empty-bucket")),
                    Some(_) | None => String::new(),
                };
                Some(format!(
                    "clear it away and run the command again; or {empty}`{}` leaves it behind",
                    flag("--retain")
                ))
            }
        }
    }
}

impl About for Reason {
    fn subject(&self) -> Subject {
        let stack = match self {
            Self::Protected { .. } => return Subject::default(),
            Self::After { stack, .. }
            | Self::Deleting { stack, .. }
            | Self::Guarded { stack }
            | Self::NotOurs { stack, .. }
            | Self::NotDeleted { stack, .. } => stack,
        };
        Subject { stack: Some(stack.clone()), resource: None }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Deleting { .. } => true,
            Self::After { .. }
            | Self::Protected { .. }
            | Self::Guarded { .. }
            | Self::NotOurs { .. }
            | Self::NotDeleted { .. } => false,
        }
    }
}
