//! `log`: what happened to the stacks of an environment, told as operations and not as events.
//!
//! [`observe`] reads all that CloudFormation still knows, [`history`] groups it into operations with the first cause of each
//! failure, [`timeline`] says what took how long, and which chain of resources determined the whole. Nothing is decided here.

pub mod history;
pub mod observe;
pub mod timeline;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::deploy::StackStatus;
use crate::deploy::world::{FirstFailure, LiveStack, NestedStack, StackEvent};
use crate::environment;

/// What happened in an environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Log {
    /// The environment.
    pub environment: String,
    /// Its stacks, in the order of the file.
    pub stacks: Vec<StackLog>,
}

/// What happened to a stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackLog {
    /// Its name in the environment.
    pub stack: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Its status; nothing where there never was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StackStatus>,
    /// Its operations, the newest first.
    pub operations: Vec<Operation>,
    /// What took how long, in the operation that was asked for; nothing where there is no such operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Whether the timeline is asked for in full, or only its sum.
    #[serde(skip)]
    pub is_detailed: bool,
}

/// One operation, with the rollback that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// Counted from the newest, which is 1.
    pub number: usize,
    /// What it was for.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that it left the stack in.
    pub status: StackStatus,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How long it took, or has taken so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Seconds>,
    /// Whose it was, as far as its token tells.
    #[serde(flatten)]
    pub by: By,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FirstFailure>,
    /// The line of the template that the failed resource begins at, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<environment::Place>,
    /// Why it could not be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_failure: Option<FirstFailure>,
}

/// What an operation was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "each is what somebody asked CloudFormation for")]
pub enum Kind {
    Create,
    Update,
    Import,
    Rollback,
    Delete,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It runs.
    Running,
    /// It did what it was for.
    Done,
    /// It was called off, and undone.
    Cancelled,
    /// It failed, and was undone.
    RolledBack,
    /// It was turned down before it began.
    Refused,
    /// It failed, and left the stack where it needs help.
    Failed,
}

/// Whose operation it was. `CloudFormation`'s events name no person; the token that a caller gives is all there is (API Reference,
/// "`StackEvent`", `ClientRequestToken`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum By {
    /// Ours: its token is one of ours.
    Greenroom {
        /// The change set that was executed, where the token proves it.
        #[serde(skip_serializing_if = "Option::is_none")]
        change_set: Option<String>,
    },
    /// The AWS console's, whose tokens say so.
    Console {
        /// The token.
        token: String,
    },
    /// Somebody's who gave a token.
    Other {
        /// The token.
        token: String,
    },
    /// Nobody said.
    Unknown,
}

/// A length of time, with its thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub std::time::Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl Seconds {
    /// The time between two moments; none where the second is before the first.
    pub fn between(began: Timestamp, ended: Timestamp) -> Self {
        Self(std::time::Duration::try_from(ended.duration_since(began)).unwrap_or_default())
    }
}

/// What took how long in an operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// The operation.
    pub operation: usize,
    /// What was done to resources, in the order in which it began.
    pub spans: Vec<Span>,
    /// The chain that determined how long it took: positions in `spans`, the first first.
    pub critical_path: Vec<usize>,
    /// How long the resources of that chain took together.
    pub critical_seconds: Seconds,
}

/// What was done to one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// The logical id.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// What was done.
    pub doing: Doing,
    /// Whether that was part of going back.
    pub is_undoing: bool,
    /// When it began.
    pub began: Timestamp,
    /// When it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How long after the operation began.
    pub offset_seconds: Seconds,
    /// How long it took, or has taken so far.
    pub seconds: Seconds,
    /// The status it came to.
    pub status: String,
}

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Doing {
    Create,
    Update,
    Replace,
    Import,
    Delete,
}

/// A stack with all that is known of its past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// As it is, or as it was when it was deleted.
    pub live: LiveStack,
    /// All its events, oldest first.
    pub events: Vec<StackEvent>,
    /// By the position of an operation, the newest first: the nested stacks on the way to what failed first in it.
    pub nested: Vec<Vec<NestedStack>>,
    /// Its deployed template.
    pub template: String,
    /// The cloud's time.
    pub now: Option<Timestamp>,
}
