//! What can be chosen about the local cloud: where it listens, how its time runs, how long things take, and the
//! switches for behaviour of AWS that nobody has proved (marked (?) on the behaviour page).

use super::faults::Faults;
use super::moment::Moment;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How virtual time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// So many virtual seconds pass in a real one.
    Scaled(u32),
    /// Time moves only by `POST /_sim/advance`.
    Manual,
    /// A read while something is unfinished jumps to the next transition.
    Auto,
}

/// Everything a caller may choose when starting the local cloud.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// The state file; `None` keeps the world in memory only.
    pub state_file: Option<PathBuf>,
    /// How virtual time passes.
    pub pace: Pace,
    /// Where identifiers come from: the same seed and requests give the same bytes.
    pub seed: u64,
    /// The virtual time of a new world; `None` takes the machine's clock.
    pub start: Option<Moment>,
    /// Real seconds without a request after which the server ends; `None` never.
    pub idle_seconds: Option<u64>,
    /// What goes wrong on purpose; `None` leaves the plan that is stored with the world.
    pub faults: Option<Faults>,
    /// Behaviour that is stored with the world.
    pub rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            state_file: None,
            pace: Pace::Scaled(60),
            seed: 0,
            start: None,
            idle_seconds: None,
            faults: None,
            rules: Rules::default(),
        }
    }
}

/// Page sizes, durations and the unproved points of AWS's behaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// How many entries a page of any list holds at most.
    pub page_size: usize,
    /// How long things take. Invented figures: never quote them as AWS times.
    pub durations: Durations,
    /// What a repeated client token meets.
    pub repeated_token: RepeatedToken,
    /// Whether deleting a stack whose export is in use leaves the stack's status as it was, or `DELETE_FAILED`.
    pub refused_delete_keeps_status: bool,
    /// Whether a second drift detection is refused while one runs.
    pub one_detection_at_a_time: bool,
    /// Whether `DescribeStacks` shows the operation it is in, as newer services do.
    pub shows_last_operations: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            page_size: 100,
            durations: Durations::default(),
            repeated_token: RepeatedToken::SameAnswer,
            refused_delete_keeps_status: true,
            one_detection_at_a_time: true,
            shows_last_operations: true,
        }
    }
}

/// AWS's answer to a client token it has seen is poorly documented (?).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepeatedToken {
    /// The first answer again.
    SameAnswer,
    /// `TokenAlreadyExistsException`.
    TokenAlreadyExists,
    /// `AlreadyExistsException`.
    AlreadyExists,
}

/// How long things take, in virtual seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each field is named after what takes that long")]
pub struct Durations {
    pub change_set: u64,
    pub drift_detection: u64,
    pub drift_detection_per_resource: u64,
    pub database_create: u64,
    pub database_restore: u64,
    pub database_backup: u64,
    pub database_modify: u64,
    pub database_reboot: u64,
    pub database_delete: u64,
    pub snapshot: u64,
    pub instance_in_service: u64,
    pub instance_end: u64,
    pub trail: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            change_set: 5,
            drift_detection: 15,
            drift_detection_per_resource: 1,
            database_create: 480,
            database_restore: 900,
            database_backup: 120,
            database_modify: 120,
            database_reboot: 60,
            database_delete: 60,
            snapshot: 180,
            instance_in_service: 90,
            instance_end: 45,
            trail: 300,
        }
    }
}
