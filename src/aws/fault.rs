//! What a call can end with instead of an answer: the few kinds that make a difference to what is done next.
//!
//! AWS has hundreds of codes, and says "stack does not exist" with the same one as "template format error". Everything is
//! translated here, once; nobody else reads codes or texts.

use std::error::Error;

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

/// What a call ended with instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What the call was about does not exist.
    #[error("{message}")]
    Missing {
        /// In AWS's words.
        message: String,
    },
    /// What the call should make exists.
    #[error("{message}")]
    Exists {
        /// In AWS's words.
        message: String,
    },
    /// The call does not fit the state that its subject is in now: somebody was faster, or what was seen was old.
    #[error("{message}")]
    Overtaken {
        /// In AWS's words.
        message: String,
    },
    /// Too many calls.
    #[error("AWS takes no more calls for the moment ({code})")]
    Throttled {
        /// AWS's code.
        code: String,
    },
    /// There was no answer, or none that helps.
    #[error("AWS could not be reached: {cause}")]
    Unreachable {
        /// The chain of causes.
        cause: String,
    },
    /// The credentials were good once.
    #[error("the credentials have expired")]
    Expired,
    /// There are no credentials.
    #[error("no credentials: {cause}")]
    NoCredentials {
        /// The chain of causes.
        cause: String,
    },
    /// The caller may not.
    #[error("{message}")]
    Denied {
        /// In AWS's words.
        message: String,
    },
    /// The request is wrong.
    #[error("{message}")]
    Invalid {
        /// In AWS's words.
        message: String,
    },
    /// Anything else.
    #[error("{message} ({code})")]
    Other {
        /// AWS's code.
        code: String,
        /// In AWS's words.
        message: String,
    },
    /// A list that has no end.
    #[error("a list has more than {pages} pages")]
    Endless {
        /// How many were read.
        pages: usize,
    },
    /// An answer without what it must hold.
    #[error("an answer of AWS lacks {what}")]
    Incomplete {
        /// What it lacks.
        what: &'static str,
    },
}

impl Fault {
    /// Whether asking again later may help, without anybody doing anything.
    pub fn is_momentary(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } => true,
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::Overtaken { .. }
            | Self::Expired
            | Self::NoCredentials { .. }
            | Self::Denied { .. }
            | Self::Invalid { .. }
            | Self::Other { .. }
            | Self::Endless { .. }
            | Self::Incomplete { .. } => false,
        }
    }

    /// Whether the world is merely no longer what the caller saw, so that looking again tells more.
    pub fn is_overtaken(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Exists { .. } | Self::Overtaken { .. } => true,
            Self::Throttled { .. }
            | Self::Unreachable { .. }
            | Self::Expired
            | Self::NoCredentials { .. }
            | Self::Denied { .. }
            | Self::Invalid { .. }
            | Self::Other { .. }
            | Self::Endless { .. }
            | Self::Incomplete { .. } => false,
        }
    }

    /// Reads an error that AWS answered with.
    fn answered(code: &str, message: &str, status: u16) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        match code.as_str() {
            "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => {
                Self::Throttled { code }
            }
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Self::Expired,
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch" => Self::Denied { message },
            "ChangeSetNotFound" | "ChangeSetNotFoundException" | "StackNotFoundException" => Self::Missing { message },
            "DBInstanceNotFound"
            | "DBSnapshotNotFound"
            | "DBParameterGroupNotFound"
            | "DBSubnetGroupNotFoundFault"
            | "OptionGroupNotFoundFault"
            | "InvalidGroup.NotFound"
            | "InvalidLaunchTemplateId.NotFound"
            | "LoadBalancerNotFound"
            | "TargetGroupNotFound"
            | "ListenerNotFound" => Self::Missing { message },
            "AlreadyExistsException" | "TokenAlreadyExistsException" => Self::Exists { message },
            "InvalidChangeSetStatus" | "InvalidChangeSetStatusException" => Self::Overtaken { message },
            "ValidationError" => Self::validation(message),
            _ if status >= 500 => Self::Unreachable { cause: format!("{message} ({code})") },
            _ => Self::Other { code, message },
        }
    }

    /// CloudFormation has one code for four different things; its texts are the only difference. They were recorded from AWS
    /// in 2022 to 2026.
    fn validation(message: String) -> Self {
        let has = |part: &str| message.contains(part);
        // Buckets and roles that "do not exist" are mistakes of the request; only stacks come and go between two looks.
        if message.starts_with("Stack") && has("does not exist") {
            return Self::Missing { message };
        }
        let is_busy = has(" state and can not be updated") || has("cannot be created again with the changeSet");
        if is_busy || has("cannot be called from current stack status") {
            return Self::Overtaken { message };
        }
        Self::Invalid { message }
    }

    /// Reads an error that came without an answer. A call that could not even be made is not helped by asking again.
    fn unanswered(error: &(dyn Error + 'static), was_made: bool) -> Self {
        let cause = chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let is_about_credentials =
            chain(error).any(<dyn Error>::is::<aws_credential_types::provider::error::CredentialsError>);
        let lower = cause.to_lowercase();
        match is_about_credentials {
            true if lower.contains("expired") => Self::Expired,
            true => Self::NoCredentials { cause: without_attempts(&cause).to_owned() },
            false if was_made => Self::Unreachable { cause },
            false => Self::Invalid { message: cause },
        }
    }
}

/// Where no place has credentials the SDK tells of each of them, in a line of its own, that they are not there.
fn without_attempts(cause: &str) -> &str {
    let told = cause.split_once(" Attempted:").map_or(cause, |(told, _)| told);
    told.trim_start_matches("dispatch failure: other: ").trim_end_matches('.')
}

/// The SDK's errors say "service error" and little else; the chain below them says what happened.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        match error.as_service_error() {
            Some(answer) => {
                let code = answer.code().unwrap_or("no code");
                Self::answered(code, answer.message().unwrap_or("no message"), status)
            }
            None => Self::unanswered(&error, !matches!(error, SdkError::ConstructionFailure(_))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, message: &str, is_expected: impl Fn(&Fault) -> bool) {
        let fault = Fault::answered(code, message, 400);
        assert!(is_expected(&fault), "{fault:?}");
    }

    #[test]
    fn one_code_of_cloudformation_means_four_things() {
        check("ValidationError", "Stack with id x does not exist", |it| matches!(it, Fault::Missing { .. }));
        let busy = "Stack:arn is in UPDATE_IN_PROGRESS state and can not be updated.";
        check("ValidationError", busy, |it| matches!(it, Fault::Overtaken { .. }));
        let exists = "Stack [x] already exists and cannot be created again with the changeSet [y].";
        check("ValidationError", exists, |it| matches!(it, Fault::Overtaken { .. }));
        check("ValidationError", "Template format error: x", |it| matches!(it, Fault::Invalid { .. }));
        let bucket = "S3 error: The specified bucket does not exist";
        check("ValidationError", bucket, |it| matches!(it, Fault::Invalid { .. }));
    }

    #[test]
    fn throttling_and_an_ailing_service_pass() {
        check("Throttling", "Rate exceeded", Fault::is_momentary);
        assert!(Fault::answered("InternalFailure", "x", 500).is_momentary());
        assert!(!Fault::answered("InternalFailure", "x", 400).is_momentary());
    }

    #[test]
    fn a_repeated_call_was_overtaken_by_the_first() {
        check("AlreadyExistsException", "ChangeSet [x] already exists", Fault::is_overtaken);
        check("ChangeSetNotFound", "ChangeSet [x] does not exist", Fault::is_overtaken);
        check("InvalidChangeSetStatus", "ChangeSet [x] cannot be executed", Fault::is_overtaken);
        check("AccessDenied", "no", |it| !it.is_overtaken() && !it.is_momentary());
    }
}
