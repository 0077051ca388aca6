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
    /// What is asked for cannot be had, however often it is asked for: a quota, a key, a Region stands in the way.
    #[error("{message} ({code})")]
    Barred {
        /// AWS's code.
        code: String,
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

/// What there is to do about a call that ended with something else than an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Ask again: nobody has to do anything.
    Retry,
    /// Look again: the world is not as it was seen, or not there yet.
    Wait,
    /// Stop, and say who can do what about it.
    Refuse,
    /// The call was wrong, or so was the answer: stop.
    Fail,
}

/// What the call was about is not there.
const MISSING: &[&str] = &[
    "AuthorizationNotFound",
    "BackupPolicyNotFoundFault",
    "BlueGreenDeploymentNotFoundFault",
    "CertificateNotFound",
    "ChangeSetNotFound",
    "ChangeSetNotFoundException",
    "CustomAvailabilityZoneNotFound",
    "DBCapacityReservationNotFound",
    "DBClusterNotFoundFault",
    "DBInstanceNotFound",
    "DBParameterGroupNotFound",
    "DBProxyEndpointNotFoundFault",
    "DBProxyNotFoundFault",
    "DBProxyTargetGroupNotFoundFault",
    "DBSecurityGroupNotFound",
    "DBShardGroupNotFound",
    "DBSnapshotNotFound",
    "DBSnapshotTenantDatabaseNotFoundFault",
    "DBSubnetGroupNotFoundFault",
    "DomainNotFoundFault",
    "IntegrationNotFoundFault",
    "InvalidGroup.NotFound",
    "InvalidLaunchTemplateId.NotFound",
    "ListenerNotFound",
    "LoadBalancerNotFound",
    "NoSuchBucket",
    "NotFoundException",
    "OptionGroupNotFoundFault",
    "StackNotFoundException",
    "TargetGroupNotFound",
    "TenantDatabaseNotFound",
];

/// What the call should make is there.
const EXISTS: &[&str] =
    &["AlreadyExistsException", "DBInstanceAlreadyExists", "DBSnapshotAlreadyExists", "TokenAlreadyExistsException"];

/// The subject is in a state that the call does not fit.
const OVERTAKEN: &[&str] = &[
    "InvalidChangeSetStatus",
    "InvalidChangeSetStatusException",
    "InvalidDBCapacityReservationState",
    "InvalidDBClusterEndpointStateFault",
    "InvalidDBClusterStateFault",
    "InvalidDBInstanceState",
    "InvalidDBSecurityGroupState",
    "InvalidDBSnapshotState",
    "InvalidVPCNetworkStateFault",
    "ResourceContention",
];

/// The request is one that we should not have made.
const INVALID: &[&str] = &[
    "EncryptionTypeMismatch",
    "InsufficientCapabilitiesException",
    "InvalidArnException",
    "InvalidContextAssertion",
    "InvalidNextToken",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidRequest",
    "InvalidWriteOffset",
    "MalformedPolicyDocument",
    "NetworkTypeNotSupported",
    "PackedPolicyTooLarge",
    "StorageTypeNotSupported",
    "TooManyParts",
    "UnsupportedProtocol",
];

/// No request of this kind will do.
const BARRED: &[&str] = &[
    "DBUpgradeDependencyFailure",
    "InsufficientDBInstanceCapacity",
    "KMSInvalidStateException",
    "KMSKeyNotAccessibleFault",
    "LimitExceededException",
    "ProvisionedIopsNotAvailableInAZFault",
    "RegionDisabledException",
    "SharedSnapshotQuotaExceeded",
    "SnapshotQuotaExceeded",
    "StorageQuotaExceeded",
    "TenantDatabaseQuotaExceeded",
    "VpcEncryptionControlViolationException",
];

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
            | Self::Barred { .. }
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
            | Self::Barred { .. }
            | Self::Invalid { .. }
            | Self::Other { .. }
            | Self::Endless { .. }
            | Self::Incomplete { .. } => false,
        }
    }

    /// What there is to do about it.
    pub fn course(&self) -> Course {
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } => Course::Retry,
            Self::Exists { .. } | Self::Overtaken { .. } => Course::Wait,
            Self::Missing { .. }
            | Self::Expired
            | Self::NoCredentials { .. }
            | Self::Denied { .. }
            | Self::Barred { .. } => Course::Refuse,
            Self::Invalid { .. } | Self::Other { .. } | Self::Endless { .. } | Self::Incomplete { .. } => Course::Fail,
        }
    }

    /// Reads an error that AWS answered with.
    fn answered(code: &str, message: &str, status: u16) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        match code.as_str() {
            "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => {
                Self::Throttled { code }
            }
            // KMS tells of its own troubles with a status like that of a mistake.
            "DependencyTimeoutException" | "KMSInternalException" => {
                Self::Unreachable { cause: format!("{message} ({code})") }
            }
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Self::Expired,
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch" => Self::Denied { message },
            code if MISSING.contains(&code) => Self::Missing { message },
            code if EXISTS.contains(&code) => Self::Exists { message },
            code if OVERTAKEN.contains(&code) => Self::Overtaken { message },
            code if INVALID.contains(&code) => Self::Invalid { message },
            code if BARRED.contains(&code) => Self::Barred { code: code.to_owned(), message },
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
        // Nobody is there to be listed.
        if message.starts_with("Export") && has("is not imported by any stack") {
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
    use std::collections::{BTreeMap, BTreeSet};

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

    /// By service and operation, from AWS's own models.
    fn modelled() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
        let vendored: serde_json::Value =
            serde_json::from_str(include_str!("../../data/error-codes.json")).expect("vendored JSON");
        serde_json::from_value(vendored["services"].clone()).expect("services, operations, codes")
    }

    #[test]
    fn every_code_that_an_operation_of_ours_may_answer_with_has_a_course() {
        let services = modelled();
        let codes: BTreeSet<&String> = services.values().flat_map(BTreeMap::values).flatten().collect();
        let unmapped = codes.iter().filter(|code| matches!(Fault::answered(code, "", 400), Fault::Other { .. }));
        assert_eq!(unmapped.collect::<Vec<_>>(), Vec::<&&String>::new());
        let by_course = |course: Course| -> Vec<&str> {
            let is_meant = |code: &&&String| Fault::answered(code, "", 400).course() == course;
            codes.iter().filter(is_meant).map(|code| code.as_str()).collect()
        };
        expect_test::expect![[r#"
            wait [
                "AlreadyExistsException",
                "DBInstanceAlreadyExists",
                "DBSnapshotAlreadyExists",
                "InvalidChangeSetStatus",
                "InvalidDBCapacityReservationState",
                "InvalidDBClusterEndpointStateFault",
                "InvalidDBClusterStateFault",
                "InvalidDBInstanceState",
                "InvalidDBSecurityGroupState",
                "InvalidDBSnapshotState",
                "InvalidVPCNetworkStateFault",
                "ResourceContention",
                "TokenAlreadyExistsException",
            ]
            refuse [
                "AuthorizationNotFound",
                "BackupPolicyNotFoundFault",
                "BlueGreenDeploymentNotFoundFault",
                "CertificateNotFound",
                "ChangeSetNotFound",
                "CustomAvailabilityZoneNotFound",
                "DBCapacityReservationNotFound",
                "DBClusterNotFoundFault",
                "DBInstanceNotFound",
                "DBParameterGroupNotFound",
                "DBProxyEndpointNotFoundFault",
                "DBProxyNotFoundFault",
                "DBProxyTargetGroupNotFoundFault",
                "DBSecurityGroupNotFound",
                "DBShardGroupNotFound",
                "DBSnapshotNotFound",
                "DBSnapshotTenantDatabaseNotFoundFault",
                "DBSubnetGroupNotFoundFault",
                "DBUpgradeDependencyFailure",
                "DomainNotFoundFault",
                "ExpiredTokenException",
                "InsufficientDBInstanceCapacity",
                "IntegrationNotFoundFault",
                "KMSInvalidStateException",
                "KMSKeyNotAccessibleFault",
                "LimitExceededException",
                "ListenerNotFound",
                "LoadBalancerNotFound",
                "NoSuchBucket",
                "NotFoundException",
                "OptionGroupNotFoundFault",
                "ProvisionedIopsNotAvailableInAZFault",
                "RegionDisabledException",
                "SharedSnapshotQuotaExceeded",
                "SnapshotQuotaExceeded",
                "StorageQuotaExceeded",
                "TargetGroupNotFound",
                "TenantDatabaseNotFound",
                "TenantDatabaseQuotaExceeded",
                "VpcEncryptionControlViolationException",
            ]
            fail [
                "EncryptionTypeMismatch",
                "InsufficientCapabilitiesException",
                "InvalidArnException",
                "InvalidContextAssertion",
                "InvalidNextToken",
                "InvalidRequest",
                "InvalidWriteOffset",
                "MalformedPolicyDocument",
                "NetworkTypeNotSupported",
                "PackedPolicyTooLarge",
                "StorageTypeNotSupported",
                "TooManyParts",
                "UnsupportedProtocol",
            ]
        "#]]
        .assert_eq(&format!(
            "wait {:#?}\nrefuse {:#?}\nfail {:#?}\n",
            by_course(Course::Wait),
            by_course(Course::Refuse),
            by_course(Course::Fail)
        ));
        for code in ["Throttling", "RequestLimitExceeded", "ThrottlingException"] {
            assert_eq!(Fault::answered(code, "", 400).course(), Course::Retry);
        }
    }

    /// `describe_db_instances` for `DescribeDBInstances`.
    fn as_method(operation: &str) -> String {
        let mut method = String::new();
        let letters: Vec<char> = operation.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let ends_a_word = at > 0 && letters[at - 1].is_lowercase();
            let begins_one = letters.get(at + 1).is_some_and(|next| next.is_lowercase() && *next != 's');
            if letter.is_uppercase() && at > 0 && (ends_a_word || begins_one) {
                method.push('_');
            }
            method.push(letter.to_ascii_lowercase());
        }
        method
    }

    #[test]
    fn no_operation_that_is_called_is_missing_from_the_list() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let text: String = rust_files(&root).iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        let services = modelled();
        let known: BTreeSet<String> =
            services.values().flat_map(BTreeMap::keys).map(|operation| as_method(operation)).collect();
        let call =
            regex::Regex::new(r"(?:\bclient|Client::new\(&shared\)|\.s3\(.*?\)\.await)\s*\.([a-z]+_[a-z_]+)\(\)")
                .expect("a pattern");
        let called: BTreeSet<String> = call.captures_iter(&text).map(|found| found[1].to_owned()).collect();
        assert!(called.len() > 20, "the pattern finds calls: {called:?}");
        assert_eq!(called.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
        let queried =
            regex::Regex::new(r#"query\s*\.(?:list|call)\(\s*Service::\w+,\s*"([A-Z][a-z]\w+)""#).expect("a pattern");
        let queried: BTreeSet<String> = queried.captures_iter(&text).map(|found| as_method(&found[1])).collect();
        assert!(queried.len() > 5, "the pattern finds calls: {queried:?}");
        assert_eq!(queried.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
        let told = regex::Regex::new(r#"self\.call\("([A-Z]\w+)", &json"#).expect("a pattern");
        let told: BTreeSet<String> = told.captures_iter(&text).map(|found| as_method(&found[1])).collect();
        assert!(told.len() > 1, "the pattern finds calls: {told:?}");
        assert_eq!(told.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
        entries
            .flat_map(|entry| match entry.path() {
                path if path.is_dir() => rust_files(&path),
                path => vec![path],
            })
            .collect()
    }
}
