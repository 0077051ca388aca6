//! What a service answers when it says no: AWS's code, its words, and the HTTP status of the model.

use serde::{Deserialize, Serialize};

/// A modelled error. Most have HTTP status 400.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: u16,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400 }
    }

    /// `ValidationError`, which CloudFormation and Auto Scaling use for nearly everything.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}
