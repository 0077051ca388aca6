//! What was found, and what became of it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Judged, Unread, Verdict};
use crate::deploy::Place;
use crate::destroy::report::Demolition;

/// What a run found, and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reaped {
    /// Whether anything was to be done at all; otherwise it is only told what would go.
    pub is_rehearsal: bool,
    /// When it was seen, by the cloud's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// The accounts and Regions that were read.
    pub looked_at: Vec<Place>,
    /// Those that were not.
    pub unread: Vec<Unread>,
    /// The environments that bear a lifetime, in order of their names.
    pub environments: Vec<Reaping>,
}

/// An environment that was found, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reaping {
    /// As it is typed, where its file is known; otherwise its mark.
    pub environment: String,
    /// Its file; nothing where that is gone, or may be one of several.
    pub file: Option<String>,
    /// Whether its file is gone.
    pub is_file_gone: bool,
    /// When its oldest stack was created.
    pub born: Option<Timestamp>,
    /// When it ends, or ended.
    pub ends: Option<Timestamp>,
    /// Seconds until then; fewer than none where it is over.
    pub ends_in_seconds: Option<i64>,
    /// Until when it was extended, if it was.
    pub extended_until: Option<Timestamp>,
    /// What is to become of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub sentence: String,
    /// What was done about it; nothing where nothing was to be done.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
}

/// What was done about an environment that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It would go, with this.
    WouldGo {
        /// What goes with it.
        demolition: Demolition,
    },
    /// It is gone, with this.
    Gone {
        /// What went with it.
        demolition: Demolition,
    },
    /// It is not gone, or not wholly.
    NotGone {
        /// Why.
        reasons: Vec<String>,
        /// How a run ends that had only this to do.
        exit_code: u8,
    },
    /// Somebody was faster: it was extended, or went, since it was first looked at.
    Spared,
}

impl Reaping {
    /// What was found, before anything was done about it.
    pub fn of(judged: &Judged, now: Option<Timestamp>) -> Self {
        Self {
            environment: judged.environment.clone(),
            file: judged.file.as_ref().map(|file| format!("environments/{file}.yaml")),
            is_file_gone: judged.is_file_gone,
            born: judged.born,
            ends: judged.ends,
            ends_in_seconds: judged.ends.zip(now).map(|(ends, now)| ends.duration_since(now).as_secs()),
            extended_until: judged.extended_until,
            sentence: judged.verdict.to_string(),
            verdict: judged.verdict.clone(),
            outcome: None,
        }
    }
}

/// A lifetime that was extended, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extended {
    /// The environment.
    pub environment: String,
    /// When it would have ended.
    pub ended: Timestamp,
    /// When it ends now.
    pub ends: Timestamp,
    /// Whether anything was to be done at all.
    pub is_rehearsal: bool,
}
