//! `reap`: environments whose lifetime is over are found and go, also those whose file is gone.
//!
//! Nothing is removed on the word of one alone. The marks of the stacks must bear a lifetime, the file, where there is one, must
//! agree, and whatever could not be read keeps what it may be about. What goes, goes through [`destroy`](crate::destroy), with
//! its order, its guards and its evidence; this module only says what, and until when the rest may stay.

pub mod extension;
pub mod observe;
pub mod plan;
pub mod report;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::deploy::{LiveStack, Place};

/// An environment file, as far as a lifetime is concerned. One of many stands for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its name without `.yaml`.
    pub file: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// Whether it stands for many: `scratch@NAME`.
    pub is_named: bool,
    /// Whether nobody may destroy it.
    pub is_protected: bool,
    /// How long it says that its environment lives.
    pub lifetime: Option<Duration>,
    /// Where its stacks live.
    pub places: BTreeSet<Place>,
}

/// A snapshot that was made for an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The environment's file.
    pub file: String,
    /// When it was complete; nothing as long as it is being made.
    pub created: Option<Timestamp>,
}

/// What was seen, in all places that the project's files name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The cloud's clock.
    pub now: Option<Timestamp>,
    /// The places that were read.
    pub looked_at: Vec<Place>,
    /// The places that were not.
    pub unread: Vec<Unread>,
    /// Every stack of the places that were read.
    pub stacks: Vec<Found>,
    /// The snapshots that were made for clones of which no stack is there: a run that is killed leaves them for the next.
    pub copies: Vec<Copy>,
    /// Where those could not be looked for.
    pub uncounted: Vec<Unread>,
}

/// A place that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Why not.
    pub because: String,
    /// What to type next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A stack and its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Where it lives.
    pub place: Place,
    /// The stack.
    pub stack: LiveStack,
}

/// An environment that was found by the marks of its stacks, and what is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// As it is typed, where its file is known; otherwise its mark.
    pub environment: String,
    /// The value of the mark `greenroom:environment`.
    pub word: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// The name of its file, if there is one, and only one.
    pub file: Option<String>,
    /// Whether no file can be its own.
    pub is_file_gone: bool,
    /// Its stacks, the newest first; what extends it among them.
    pub stacks: Vec<Found>,
    /// When its oldest stack was created.
    pub born: Option<Timestamp>,
    /// When it ends, if it does.
    pub ends: Option<Timestamp>,
    /// Until when it was extended, if it was.
    pub extended_until: Option<Timestamp>,
    /// What is to become of it.
    pub verdict: Verdict,
}

/// What is to become of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Its lifetime is over: it goes.
    #[error("its lifetime is over")]
    Over,
    /// It has time left.
    #[error("it has time left")]
    Lives,
    /// It never ends by itself.
    #[error("it never ends by itself: {because}")]
    Endless {
        /// Who says so.
        #[serde(rename = "why")]
        because: Endless,
    },
    /// Its lifetime is over, but nobody may destroy it.
    #[error("it is protected")]
    Protected,
    /// Its lifetime is over, but something speaks against it.
    #[error("{because}")]
    Doubtful {
        /// What.
        #[serde(flatten)]
        because: Doubt,
    },
    /// Whether its lifetime is over could not be told.
    #[error("{because}")]
    Unknown {
        /// Why not.
        #[serde(flatten)]
        because: Ignorance,
    },
}

/// Why an environment never ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Endless {
    /// Neither its file nor its stacks bear a lifetime.
    #[error("it has no lifetime")]
    NoLifetime,
    /// Its stacks bear a lifetime, but its file has none any more.
    #[error("its file has no lifetime any more")]
    NotInFile,
    /// Its file has a lifetime that its stacks do not bear.
    #[error("its stacks do not bear the lifetime of its file yet; deploy it")]
    NotDeployed,
}

/// What speaks against removing an environment whose lifetime is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Doubt {
    /// Several files could be its own.
    #[error("it may be that of environments/{}.yaml", files.join(".yaml or of environments/"))]
    SeveralFiles {
        /// Their names.
        files: Vec<String>,
    },
    /// Somebody else's stacks bear its marks.
    #[error("`{}` bears its marks, but greenroom did not make it", stacks.join("`, `"))]
    NotMadeByUs {
        /// Their names in CloudFormation.
        stacks: Vec<String>,
    },
}

/// Why nobody knows whether an environment's lifetime is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Ignorance {
    /// Part of it, or what extends it, may be where nobody could look.
    #[error("part of it may be in {}, which could not be looked at", places.join(", "))]
    Unread {
        /// Accounts with their Regions.
        places: Vec<String>,
    },
    /// A mark that is no length of time, or an extension without an end.
    #[error("stack `{stack}` says `{text}`, which is no time")]
    NoTime {
        /// Its name in CloudFormation.
        stack: String,
        /// What it says.
        text: String,
    },
    /// Nobody has told what time it is, or when a stack was created.
    #[error("the cloud did not say how old it is")]
    NoClock,
}
