//! `cancel`: updates that are in progress stop, and CloudFormation rolls them back.
//!
//! Only an update can be stopped (User Guide, "Cancel a stack update"). A creation, a deletion or an import that runs is named, with
//! what to do instead, once everything that can be stopped is.

pub mod apply;
pub mod observe;
pub mod plan;
pub mod report;

use std::fmt;

use serde::Serialize;

use crate::deploy::world::FirstFailure;
use crate::deploy::{Place, Progress, StackStatus, busy};
use crate::operation::{About, Subject};

/// Whose updates stop.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// As it is typed: `scratch@jane`.
    pub environment: String,
    /// Its stacks.
    pub stacks: Vec<ScopedStack>,
}

/// A stack whose update stops.
#[derive(Clone, Debug, Default)]
pub struct ScopedStack {
    /// Its name in the environment.
    pub name: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Stop an update.
    CancelUpdate {
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
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::CancelUpdate { stack, .. } = self;
        write!(f, "cancel the update of stack `{stack}`")
    }
}

impl About for Step {
    fn subject(&self) -> Subject {
        let Self::CancelUpdate { stack, .. } = self;
        Subject { stack: Some(stack.clone()), resource: None }
    }
}

/// Why a stack is not simply at rest.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It is on its way back, or past the point of return.
    #[error("{}", busy(status, progress))]
    Busy {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
        /// How far it is.
        progress: Progress,
    },
    /// What it does cannot be stopped.
    #[error("stack `{stack}` is {status}: {}", uncancellable(status))]
    CannotStop {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
    },
    /// What was stopped could not be undone.
    #[error("the update of stack `{stack}` was stopped and could not be undone{}", failure.clause())]
    NotUndone {
        /// The stack.
        stack: String,
        /// Why.
        #[serde(flatten)]
        failure: FirstFailure,
    },
}

fn uncancellable(status: &StackStatus) -> &'static str {
    match status {
        StackStatus::CreateInProgress => "a creation cannot be cancelled, only deleted",
        StackStatus::DeleteInProgress => "a deletion cannot be cancelled",
        StackStatus::ImportInProgress => "an import cannot be cancelled",
        _ => "that cannot be cancelled",
    }
}

impl Reason {
    /// What to type next, where something can be done.
    pub fn hint(&self, environment: &str) -> Option<String> {
        match self {
            Self::Busy { .. } => None,
            Self::CannotStop { status: StackStatus::CreateInProgress, .. } => Some(format!(
                "`greenroom status {environment} --until-rest` waits for it; if it fails, `greenroom recover {environment}` knows the ways out"
            )),
            Self::CannotStop { .. } => Some(format!("`greenroom status {environment} --until-rest` waits for its end")),
            Self::NotUndone { .. } => Some(format!("`greenroom recover {environment}` knows the ways out")),
        }
    }
}

impl About for Reason {
    fn subject(&self) -> Subject {
        let (Self::Busy { stack, .. } | Self::CannotStop { stack, .. } | Self::NotUndone { stack, .. }) = self;
        Subject { stack: Some(stack.clone()), resource: None }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::CannotStop { .. } => true,
            Self::NotUndone { .. } => false,
        }
    }
}
