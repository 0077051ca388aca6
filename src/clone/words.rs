//! What can be done and why nothing is: steps and reasons of a clone, each with its one sentence.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::guards::NOT_THERE;
use crate::deploy::{self, Phase, Place, Stuck};
use crate::operation::{About, Subject};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Take a snapshot of the source's database: the only thing that is ever asked of it.
    TakeSnapshot {
        /// The database, by its name in RDS.
        database: String,
        /// The snapshot's name.
        name: String,
        /// Where it lies.
        #[serde(skip)]
        place: Place,
        /// Its tags.
        #[serde(skip)]
        tags: BTreeMap<String, String>,
    },
    /// Copy a snapshot.
    CopySnapshot {
        /// What is copied: its name, or its ARN where another account shares it.
        from: String,
        /// The copy's name.
        name: String,
        /// The account that the copy lies in.
        account: String,
        /// The key of the copy; without one it keeps the source's.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Where it lies.
        #[serde(skip)]
        place: Place,
        /// Its tags.
        #[serde(skip)]
        tags: BTreeMap<String, String>,
    },
    /// Let the target's account copy a snapshot.
    ShareSnapshot {
        /// The snapshot: always one that was made for this target.
        snapshot: String,
        /// The account that may copy it.
        account: String,
        /// Where it lies.
        #[serde(skip)]
        place: Place,
    },
    /// Give the restored database what the restore dropped in silence.
    Mend {
        /// The target's database, by its name in RDS.
        database: String,
        /// What it is given.
        changes: super::Properties,
        /// Where it lies.
        #[serde(skip)]
        place: Place,
    },
    /// A step of the deployment that makes the database and keeps it closed.
    #[serde(untagged)]
    Closed(deploy::Step),
    /// A step of the deployment of everything.
    #[serde(untagged)]
    Open(deploy::Step),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakeSnapshot { database, name, .. } => {
                write!(f, "take snapshot `{name}` of the source's database `{database}`")
            }
            Self::CopySnapshot { from, name, account, place, .. } => {
                write!(f, "copy snapshot `{from}` to `{name}` in account {account}")?;
                let region = from.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
                if region.is_some_and(|region| region != place.region) {
                    write!(f, " and {}", place.region)?;
                }
                Ok(())
            }
            Self::ShareSnapshot { snapshot, account, .. } => {
                write!(f, "share snapshot `{snapshot}` with account {account}")
            }
            Self::Mend { database, changes, .. } => {
                let names: Vec<&str> = changes.keys().map(String::as_str).collect();
                write!(f, "give database `{database}` what its restore dropped: {}", names.join(", "))
            }
            Self::Closed(step) | Self::Open(step) => step.fmt(f),
        }
    }
}

impl About for Step {
    fn subject(&self) -> Subject {
        match self {
            Self::Mend { .. } => Subject { stack: Some("database".to_owned()), resource: None },
            Self::TakeSnapshot { .. } | Self::CopySnapshot { .. } | Self::ShareSnapshot { .. } => snapshot_subject(),
            Self::Closed(step) | Self::Open(step) => step.subject(),
        }
    }
}

fn snapshot_subject() -> Subject {
    Subject { stack: Some("snapshot".to_owned()), resource: None }
}

/// Why a clone is not simply there.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    // What is waited for.
    /// A snapshot is being made.
    #[error("snapshot `{snapshot}` is {status}{}", percent.map(|percent| format!(", {percent} %")).unwrap_or_default())]
    Making {
        /// The snapshot.
        snapshot: String,
        /// In RDS's words.
        status: String,
        /// How much of it is done.
        percent: Option<i32>,
    },
    /// The restored database has not come to rest.
    #[error("database `{database}` is {status}{}", after(unsettled))]
    Settling {
        /// The database.
        database: String,
        /// In RDS's words.
        status: String,
        /// What is not in effect yet.
        unsettled: Vec<String>,
    },

    // What the files say against it.
    /// The source does not let this target be made.
    #[error("`{source_environment}` does not allow clones called `{target}`")]
    NotAllowed {
        /// The source.
        source_environment: String,
        /// The target.
        target: String,
    },
    /// The target is made from another environment.
    #[error("`{target}` is not made from `{source_environment}`: {}", match from {
        Some(from) if from == target => "it is the other way round".to_owned(),
        Some(from) => format!("its file says `clone: {{from: {from}}}`"),
        None => "its file has no `clone`".to_owned(),
    })]
    NotItsSource {
        /// The source that was typed.
        source_environment: String,
        /// The target.
        target: String,
        /// The source that the file says; the target itself where they are the wrong way round.
        from: Option<String>,
    },
    /// A clone is made from one snapshot, and stays so.
    #[error("`{target}` is there, and was made from snapshot `{from}`, not from `{asked}`")]
    FromAnother {
        /// The target.
        target: String,
        /// The snapshot that was asked for.
        asked: String,
        /// Where its data came from first.
        from: String,
    },
    /// Nothing is cloned into what is harder to hurt.
    #[error("`{target}` is protected: nothing is cloned into it")]
    Protected {
        /// The target.
        target: String,
    },
    /// The target has no end.
    #[error("`{target}` has no lifetime; a clone of customers' data must end")]
    NoLifetime {
        /// The target.
        target: String,
    },
    /// The target lives longer than its source allows.
    #[error("`{target}` lives for {}; `{source_environment}` allows {}", span(*seconds), span(*max_seconds))]
    LivesTooLong {
        /// The source.
        source_environment: String,
        /// The target.
        target: String,
        /// How long it lives.
        seconds: u64,
        /// How long it may.
        max_seconds: u64,
    },
    /// Something that stands in the way, or not, could not be read.
    #[error("{what} in account {account} could not be read: {cause}")]
    Unread {
        /// What.
        what: &'static str,
        /// The account that was asked as.
        account: String,
        /// The IAM action that reads it, where the caller lacks it.
        permission: Option<&'static str>,
        /// In AWS's words.
        cause: String,
    },
    /// A quota is used up.
    #[error(
        "account {account} has {used} of {max} {} in {region}, and the clone needs {needed} more",
        quota_words(quota)
    )]
    NoRoom {
        /// The account.
        account: String,
        /// The Region.
        region: String,
        /// RDS's name for it.
        quota: String,
        /// How much there is.
        used: i64,
        /// How much there may be.
        max: i64,
        /// How much more is needed.
        needed: i64,
    },
    /// The class cannot be had where the database is to stand.
    #[error("{class} with {storage} is offered in {found} of the zones {}; the database needs {needed}", match zones {
        Some(zones) => format!("of its subnets ({})", zones.join(", ")),
        None => format!("of {region}"),
    })]
    ClassNotOffered {
        /// The class.
        class: String,
        /// The storage type.
        storage: String,
        /// The zones of its subnets; without them it may stand anywhere in the Region.
        zones: Option<Vec<String>>,
        /// The Region.
        region: String,
        /// How many of them must have it: two with a standby.
        needed: usize,
        /// How many have it.
        found: usize,
    },
    /// A key is disabled, or about to be deleted.
    #[error("key {key} cannot be used: it is {state}")]
    KeyUnusable {
        /// The key.
        key: String,
        /// In the words of KMS.
        state: String,
    },
    /// Another database has its name.
    #[error("account {account} has a database called `{database}` already, which is not the clone's")]
    NameTaken {
        /// The name.
        database: String,
        /// The account.
        account: String,
    },
    /// The most it may cost cannot be judged.
    #[error("`clone.max_cost` of `{target}` cannot be judged: there is no prices.yaml")]
    NoPrices {
        /// The target.
        target: String,
    },
    /// The most it may cost cannot be judged, because not everything has a price.
    #[error("`clone.max_cost` of `{target}` cannot be judged: prices.yaml has no {}", keys.join(", "))]
    PricesMissing {
        /// The target.
        target: String,
        /// Where the prices would stand.
        keys: Vec<String>,
    },
    /// It would cost more than it may.
    #[error("`{target}` would cost {cost:.2} {currency} a day; `clone.max_cost` allows {max:.2}")]
    TooDear {
        /// The target.
        target: String,
        /// What all that has a price costs in a day.
        cost: f64,
        /// What it may cost.
        max: f64,
        /// The currency.
        currency: String,
    },
    /// Snapshots do not travel between them.
    #[error("RDS copies no snapshots from {source_region} to {target_region}")]
    OtherRegion {
        /// The source's.
        source_region: String,
        /// The target's.
        target_region: String,
    },
    /// The key of the source's data is for its own account alone.
    #[error("the key of `{source_environment}`'s database does not let account {account} in")]
    KeyNotShared {
        /// The source.
        source_environment: String,
        /// The target's account.
        account: String,
    },
    /// Both use the same thing of the outside world.
    #[error("`{path}` is the same on both sides: `{value}`")]
    Shared {
        /// `STACK.INPUT`.
        path: String,
        /// What both use.
        value: String,
    },

    // What the cloud says against it.
    /// The source has no database.
    #[error("`{source_environment}` has no database to clone: stack `{stack_name}` is not there")]
    NoSource {
        /// The source.
        source_environment: String,
        /// The stack that was looked for.
        stack_name: String,
    },
    /// The source is not what its file says.
    #[error("`{source_environment}` is not what its file says: {property} is {has}, the file says {says}")]
    SourceDiffers {
        /// The source.
        source_environment: String,
        /// The property.
        property: String,
        /// What it is.
        has: String,
        /// What the file says.
        says: String,
    },
    /// The target would not be its twin.
    #[error("`{target}` would not be a twin: {property} would be {says}, the source has {has}")]
    TargetDiffers {
        /// The target.
        target: String,
        /// The property.
        property: String,
        /// What the source has.
        has: String,
        /// What the target's file says.
        says: String,
    },
    /// There is no such snapshot.
    #[error("{}", match id {
        Some(id) => format!("`{source_environment}` has no snapshot `{id}`"),
        None => format!("`{source_environment}` has no automated snapshot"),
    })]
    NoSnapshot {
        /// The source.
        source_environment: String,
        /// The one that was asked for.
        id: Option<String>,
    },
    /// The snapshot's data is too old.
    #[error("the data of snapshot `{snapshot}` is of {data_as_of}, older than {}", span(*max_seconds))]
    TooOld {
        /// The snapshot.
        snapshot: String,
        /// The last transaction in it.
        data_as_of: Timestamp,
        /// The oldest it may be.
        max_seconds: u64,
    },
    /// Nobody knows how old the snapshot's data is.
    #[error("snapshot `{snapshot}` does not say of when its data is")]
    AgeUnknown {
        /// The snapshot.
        snapshot: String,
    },
    /// The snapshot cannot be used.
    #[error("snapshot `{snapshot}` is {status}")]
    Unusable {
        /// The snapshot.
        snapshot: String,
        /// In RDS's words.
        status: String,
    },
    /// The snapshot is under a key that cannot be shared, and there is none to copy it under.
    #[error("snapshot `{snapshot}` is under a key that is no resource of its stack, and cannot be shared")]
    KeyCannotBeShared {
        /// The snapshot.
        snapshot: String,
    },
    /// The restored database is in a state that it does not leave by itself.
    #[error("database `{database}` is {status}")]
    Broken {
        /// The database.
        database: String,
        /// In RDS's words.
        status: String,
    },
    /// The stack is there and its database is not.
    #[error("stack `{stack}` is there, and its database is not")]
    DatabaseGone {
        /// The stack.
        stack: String,
    },
    /// The restore dropped something.
    #[error("the restored database is not what was written: {property} is {has}, not {says}")]
    Unfaithful {
        /// The property.
        property: String,
        /// What it is.
        has: String,
        /// What was written.
        says: String,
    },
    /// The deployment's.
    #[error(transparent)]
    #[serde(untagged)]
    Deploy(Box<deploy::Reason>),
}

/// What is not in effect yet, behind a status.
fn after(unsettled: &[String]) -> String {
    if unsettled.is_empty() { String::new() } else { format!("; {}", unsettled.join("; ")) }
}

/// What a quota is of.
fn quota_words(quota: &str) -> &str {
    match quota {
        "DBInstances" => "databases",
        "AllocatedStorage" => "GiB of storage",
        "ManualSnapshots" => "manual snapshots",
        other => other,
    }
}

/// A duration as files say it.
fn span(seconds: u64) -> String {
    if seconds.is_multiple_of(3600) { format!("{} h", seconds / 3600) } else { format!("{} min", seconds / 60) }
}

impl Reason {
    /// What to type next, where something can be done.
    pub fn hint(&self, source: &str, target: &str) -> Option<String> {
        // One of many is said by the file of all of them.
        let [source_file, target_file] = [source, target].map(|name| name.split('@').next().unwrap_or_default());
        Some(match self {
            Self::Making { .. } | Self::Settling { .. } => return None,
            Self::NotAllowed { .. } => {
                format!("in environments/{source_file}.yaml: `clone_policy: {{targets: [{target}]}}`")
            }
            Self::NotItsSource { from: Some(from), .. } if from == target => {
                format!("they are the wrong way round: `greenroom clone {target} {source}`")
            }
            Self::NotItsSource { .. } => format!("in environments/{target_file}.yaml: `clone: {{from: {source}}}`"),
            Self::FromAnother { .. } => {
                format!("leave it as it is: without `--snapshot`; or make it anew: `greenroom destroy {target}` first")
            }
            Self::Protected { .. } => "clone into an environment that is not `protected`".to_owned(),
            Self::NoLifetime { .. } => format!("in environments/{target_file}.yaml: `lifetime: 48h`"),
            Self::LivesTooLong { .. } => format!("shorten `lifetime` in environments/{target_file}.yaml"),
            Self::NoPrices { .. } => format!(
                "write prices.yaml beside environments/ (`greenroom clone --help` shows one), or take `max_cost` out of environments/{target_file}.yaml"
            ),
            Self::PricesMissing { .. } => {
                "put them into prices.yaml; `greenroom clone --help` shows what stands there".to_owned()
            }
            Self::TooDear { .. } => {
                format!("`--dry-run` says what it costs; raise `clone.max_cost` in environments/{target_file}.yaml, or declare something smaller under `differences`")
            }
            Self::OtherRegion { .. } => {
                format!("give `{target}` a region of the same partition as that of `{source}`; in China, the same one")
            }
            Self::Unread { permission: None, .. } => {
                "a clone is not begun while anything against it is unknown; run the command again".to_owned()
            }
            Self::Unread { account, permission: Some(permission), .. } => format!(
                "allow `{permission}` in account {account}; a clone is not begun while anything against it is unknown"
            ),
            Self::NoRoom { .. } => {
                "ask for more under Service Quotas, or end a clone: `greenroom status` says when each ends".to_owned()
            }
            Self::ClassNotOffered { zones: None, region, .. } => {
                format!("`{target}` needs another region than {region}, or both a class that is offered there")
            }
            Self::ClassNotOffered { zones: Some(_), .. } => {
                format!("give the database of `{target}` subnets in other zones; another class would be no twin")
            }
            Self::KeyUnusable { state, .. } if state == "PendingDeletion" => {
                "`aws kms cancel-key-deletion`, then `aws kms enable-key`; or name another snapshot with `--snapshot ID`".to_owned()
            }
            Self::KeyUnusable { state, .. } if state == NOT_THERE => format!(
                "name a key that is there under `clone.key` of environments/{target_file}.yaml, or another snapshot with `--snapshot ID`"
            ),
            Self::KeyUnusable { .. } => "`aws kms enable-key`; or name another snapshot with `--snapshot ID`".to_owned(),
            Self::NameTaken { .. } => {
                format!("take `DBInstanceIdentifier` out of the template of `{target}`, or give it another value")
            }
            Self::KeyNotShared { account, .. } => format!(
                "in environments/{source_file}.yaml, stack of the database: `clone_account_ids: [\"{account}\"]`, and deploy it"
            ),
            Self::Shared { path, .. } => {
                format!("give `{target}` its own `{path}`, or let both use it: `clone: {{share: [{path}]}}`")
            }
            Self::NoSource { .. } => format!("`greenroom deploy {source}` first"),
            Self::SourceDiffers { .. } => {
                format!("bring file and cloud together first: `greenroom drift {source}`; or clone it as it is: `--from-live`")
            }
            Self::TargetDiffers { .. } => {
                format!("take the line out of environments/{target_file}.yaml, or declare it there under `differences`")
            }
            Self::NoSnapshot { .. } | Self::TooOld { .. } => {
                "`--snapshot fresh` takes one now; `--max-age` says how old it may be".to_owned()
            }
            Self::AgeUnknown { .. } | Self::Unusable { .. } | Self::KeyCannotBeShared { .. } => {
                "name another with `--snapshot ID`, or take one with `--snapshot fresh`".to_owned()
            }
            Self::Broken { .. } | Self::DatabaseGone { .. } => {
                format!("`greenroom destroy {target}`, then clone again; the source is untouched")
            }
            Self::Unfaithful { .. } => {
                format!("it stays closed to its clients; `greenroom destroy {target}`, or correct what its file says")
            }
            Self::Deploy(reason) => return reason.hint(target).or_else(|| after_a_bad_end(reason, source, target)),
        })
    }
}

/// What to type after a stack of the clone ended badly. Nothing of the source was changed, so there is always a way on.
fn after_a_bad_end(reason: &deploy::Reason, source: &str, target: &str) -> Option<String> {
    let deploy::Reason::EndedBadly { stack, status, failure } = reason else { return None };
    let is_creation = matches!(status.phase(), Phase::Stuck(Stuck::CreationUndone | Stuck::CreationFailed));
    let recreate = if is_creation { format!(" --recreate {stack}") } else { String::new() };
    let again = format!("`greenroom clone {source} {target}{recreate}`");
    let cause = failure.clause();
    let advice = if cause.contains("insufficient-capacity") {
        format!("AWS has no room for that class at the moment; try again later: {again}")
    } else if cause.contains("storage-full") {
        format!("give the databases of `{source}` and `{target}` more storage, then {again}")
    } else if cause.contains("incompatible-") {
        let fresh = again.replacen(target, &format!("{target} --snapshot fresh"), 1);
        format!("the snapshot does not fit what the file says; from a new one: {fresh}")
    } else {
        format!("mend the cause, then {again}")
    };
    Some(format!("{advice}; `{source}` is untouched"))
}

impl About for Reason {
    fn subject(&self) -> Subject {
        match self {
            Self::Making { .. } => snapshot_subject(),
            Self::Settling { .. } => Subject { stack: Some("database".to_owned()), resource: None },
            Self::Deploy(reason) => reason.subject(),
            Self::NotAllowed { .. }
            | Self::NotItsSource { .. }
            | Self::FromAnother { .. }
            | Self::Protected { .. }
            | Self::NoLifetime { .. }
            | Self::LivesTooLong { .. }
            | Self::Unread { .. }
            | Self::NoRoom { .. }
            | Self::ClassNotOffered { .. }
            | Self::KeyUnusable { .. }
            | Self::NameTaken { .. }
            | Self::NoPrices { .. }
            | Self::PricesMissing { .. }
            | Self::TooDear { .. }
            | Self::OtherRegion { .. }
            | Self::KeyNotShared { .. }
            | Self::Shared { .. }
            | Self::NoSource { .. }
            | Self::SourceDiffers { .. }
            | Self::TargetDiffers { .. }
            | Self::NoSnapshot { .. }
            | Self::TooOld { .. }
            | Self::AgeUnknown { .. }
            | Self::Unusable { .. }
            | Self::KeyCannotBeShared { .. }
            | Self::Broken { .. }
            | Self::DatabaseGone { .. }
            | Self::Unfaithful { .. } => Subject::default(),
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Making { .. } | Self::Settling { .. } => true,
            Self::Deploy(reason) => reason.is_running(),
            Self::NotAllowed { .. }
            | Self::NotItsSource { .. }
            | Self::FromAnother { .. }
            | Self::Protected { .. }
            | Self::NoLifetime { .. }
            | Self::LivesTooLong { .. }
            | Self::Unread { .. }
            | Self::NoRoom { .. }
            | Self::ClassNotOffered { .. }
            | Self::KeyUnusable { .. }
            | Self::NameTaken { .. }
            | Self::NoPrices { .. }
            | Self::PricesMissing { .. }
            | Self::TooDear { .. }
            | Self::OtherRegion { .. }
            | Self::KeyNotShared { .. }
            | Self::Shared { .. }
            | Self::NoSource { .. }
            | Self::SourceDiffers { .. }
            | Self::TargetDiffers { .. }
            | Self::NoSnapshot { .. }
            | Self::TooOld { .. }
            | Self::AgeUnknown { .. }
            | Self::Unusable { .. }
            | Self::KeyCannotBeShared { .. }
            | Self::Broken { .. }
            | Self::DatabaseGone { .. }
            | Self::Unfaithful { .. } => false,
        }
    }
}
