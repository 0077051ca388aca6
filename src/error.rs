//! How a run ends when it does not end well: what could not be done, why, what to type next, and the exit code.

use std::error::Error;

/// How a run ended, as a pipeline reads it.
///
/// | what happened | deploy, plan, destroy | status, outputs |
/// |---|---|---|
/// | no credentials, or expired ones; denied; nobody at the endpoint | [`Failed`](Self::Failed) | [`CouldNotCheck`](Self::CouldNotCheck) |
/// | throttled for longer than patience lasts | [`Unfinished`](Self::Unfinished) | [`CouldNotCheck`](Self::CouldNotCheck) |
/// | wrong or placeholder account; somebody else's stack | [`Refused`](Self::Refused) | [`Refused`](Self::Refused) |
/// | mistakes in the files, a template over the limit without a bucket | [`Usage`](Self::Usage) | [`Usage`](Self::Usage) |
/// | the local cloud's state cannot be read | [`Failed`](Self::Failed) | [`Failed`](Self::Failed) |
///
/// Who asks how things are, and gets no answer, must not take that for "all is well" nor for "something is broken": therefore a
/// code of its own. Who wants something done has not got it: a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, nothing to do, or shown.
    Done,
    /// A call went wrong.
    Failed,
    /// The command line or the project's files are wrong.
    Usage,
    /// Refused, or not approved.
    Refused,
    /// Drift; with `--exit-code`, changes or differences.
    Differences,
    /// Unfinished: run it again.
    Unfinished,
    /// Something could not be looked at, so nothing is known about it.
    CouldNotCheck,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Differences => 4,
            Self::Unfinished => 5,
            Self::CouldNotCheck => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Exit {
    /// How a run ends of which several things may be said: by what matters most.
    pub fn foremost(all: impl IntoIterator<Item = Self>) -> Self {
        let rank = |exit: &Self| match exit {
            Self::Interrupted => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::CouldNotCheck => 4,
            Self::Unfinished => 5,
            Self::Differences => 6,
            Self::Done => 7,
        };
        all.into_iter().min_by_key(rank).unwrap_or(Self::Done)
    }
}

/// A run that could not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// How the run ends.
    pub exit: Exit,
    /// What could not be done, to what.
    pub what: String,
    /// Why.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// Several reasons side by side, where one chain of causes does not tell it all.
    pub reasons: Vec<String>,
    /// What goes on in the cloud all the same.
    pub still_running: Vec<String>,
    /// What to type next.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            source: None,
            reasons: Vec::new(),
            still_running: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The same of a verb that only looks: nothing has failed but the looking.
    #[must_use]
    pub fn of_looking(self) -> Self {
        let exit = match self.exit {
            Exit::Failed | Exit::Unfinished => Exit::CouldNotCheck,
            exit => exit,
        };
        Self { exit, ..self }
    }

    /// Adds why.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
