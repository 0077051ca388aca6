//! What must be granted before a clone is begun: room for one more database, its class in the zones of its subnets, keys that
//! work, a name that is free.
//!
//! All of it is found out by AWS anyway, hours later, when a restore or a copy fails; so it is asked for first. What cannot be
//! asked is as bad as a no: nothing here is ever taken for granted.

pub mod observe;
pub mod plan;

use std::collections::BTreeMap;

/// An answer, or why there is none.
pub type Known<T> = Result<T, Unread>;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What: `the quotas of RDS`.
    pub what: &'static str,
    /// The account that was asked as.
    pub account: String,
    /// The IAM action that reads it.
    pub permission: &'static str,
    /// Whether the caller lacks it.
    pub is_denied: bool,
    /// In AWS's words.
    pub cause: String,
}

/// What a look at all guards found.
#[derive(Clone, Debug, PartialEq)]
pub struct Guards {
    /// RDS's quotas where the target lives.
    pub room: Known<Vec<Quota>>,
    /// RDS's quotas where the source lives, where that is another place.
    pub source_room: Option<Known<Vec<Quota>>>,
    /// The ways in which the target's class can be had.
    pub offers: Known<Vec<Offer>>,
    /// The zones that its database may stand in.
    pub zones: Known<Zones>,
    /// The keys.
    pub keys: Keys,
    /// Whether another database has its name; nothing where it has none of its own.
    pub is_name_taken: Option<Known<bool>>,
}

/// How much of something an account may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// RDS's name for it, such as `DBInstances`.
    pub name: String,
    /// How many there are, or how many GiB.
    pub used: i64,
    /// How many there may be.
    pub max: i64,
}

/// A class of database that can be had, with one kind of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Such as `gp3`.
    pub storage_type: String,
    /// The zones that have it, by name.
    pub zones: Vec<String>,
    /// Whether it can have a standby.
    pub can_be_multi_az: bool,
}

/// The zones that a database may stand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zones {
    /// Those of its subnets, by name.
    OfSubnets(Vec<String>),
    /// Any: it stands in the default VPC, or in subnets whose zones AWS chooses.
    Any,
}

/// The keys that a clone needs; what is not asked for is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    /// Keys that the source's data is under, or is to be shared under, by the names they were asked for by.
    pub of_source: BTreeMap<String, Known<SeenKey>>,
    /// The key that it is shared under, as the target's account sees it.
    pub lent: Option<Known<SeenKey>>,
    /// The policy of that key.
    pub policy: Option<Known<String>>,
    /// The key that the file names for the clone.
    pub own: Option<Known<SeenKey>>,
}

/// A key as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenKey {
    /// Its ARN.
    pub arn: String,
    /// `Enabled`, or why it cannot be used: a state in the words of KMS, or [`NOT_THERE`].
    pub state: String,
}

/// The state of a key that KMS does not know.
pub const NOT_THERE: &str = "not there";
