//! The only code that prints. Results go to stdout, once, at the end; everything else goes to stderr.

mod affected;
mod board;
mod cancel;
mod clone;
mod deployment;
mod drift;
mod formats;
mod human;
mod json;
mod log;
mod parity;
mod permissions;
mod reap;
mod recover;
mod snippet;
mod table;
mod watch;

use std::io::{BufRead, IsTerminal, Write};

pub use board::{Afterwards, Board, End};
pub use formats::Document;
pub use table::Expected;
pub use watch::Watch;

use crate::affected::Affected;
use crate::cancel::report::Cancellation;
use crate::check::Findings;
use crate::clone::report::{Cloned, Rehearsal};
use crate::deploy::report::{Preview, Report as Deployed};
use crate::destroy::report::Demolition;
use crate::diff::Differences;
use crate::drift::Report as Drift;
use crate::drift::report::Edits;
use crate::environment::Sources;
use crate::error::{Exit, Failure};
use crate::explain::{Explanation, Overview};
use crate::git::Base;
use crate::log::Log;
use crate::operation::Event;
use crate::parity::Parity;
use crate::permissions::Permissions;
use crate::reap::report::{Extended, Reaped};
use crate::recover::report::{Diagnosis, Recovery};
use crate::status::Status;
use crate::template::wiring::Flow;

/// What a verb has to say when it is done.
#[derive(Debug)]
pub enum Report {
    /// Nothing.
    Nothing,
    /// A text that is a result by itself: a template, a script for a shell.
    Text(String),
    /// What is wrong with the project.
    Findings(Findings),
    /// Files that were written, each relative to where the user stands or absolute, with what the user should know about them.
    Written {
        /// The files.
        files: Vec<String>,
        /// What else there is to know.
        notes: Vec<String>,
    },
    /// What may be set.
    Inputs(Vec<TemplateInputs>),
    /// Where a value comes from and goes.
    Explanation(Explanation),
    /// All values.
    Overview(Overview),
    /// What differs.
    Differences(Differences),
    /// What a change of the files touches.
    Affected(AffectedSince),
    /// How two environments compare that run.
    Parity(Parity),
    /// What has drifted.
    Drift(Drift),
    /// What was decided about drift, in files.
    Edits(Edits),
    /// What flows between stacks.
    Graph(Graph),
    /// What a deployment would do.
    Preview(Preview),
    /// What a deployment would do, sealed in a file.
    Sealed(SealedPlan),
    /// What a deployment did.
    Deployed(Deployed),
    /// What was cloned.
    Cloned(Cloned),
    /// What a clone would do.
    Rehearsal(Rehearsal),
    /// What goes, or went, with an environment.
    Demolition(Demolition),
    /// Which environments are over, and what became of them.
    Reaped(Reaped),
    /// A lifetime that was extended.
    Extended(Extended),
    /// What stops, or stopped.
    Cancellation(Cancellation),
    /// What is stuck.
    Diagnosis(Diagnosis),
    /// What was freed.
    Recovery(Recovery),
    /// What happened.
    Log(Log),
    /// What must be allowed.
    Permissions(Permissions),
    /// Environments as they are.
    Status(Vec<Status>),
}

/// What a change of the files touches, and since when.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AffectedSince {
    /// What is compared with.
    pub base: Base,
    /// What is touched.
    #[serde(flatten)]
    pub affected: Affected,
    /// What a program is given of it.
    #[serde(skip)]
    pub extent: Extent,
}

/// What a program is given of what is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What a pipeline goes through, stack by stack.
    Stacks,
    /// The same, environment by environment.
    Environments,
    /// All of it, with what is gone.
    Whole,
}

/// A plan that was sealed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SealedPlan {
    /// What it does.
    pub preview: Preview,
    /// The file.
    pub file: String,
    /// Until when it holds.
    pub expires: jiff::Timestamp,
    /// The digest of all that is in it.
    pub digest: String,
}

/// The inputs of a template.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TemplateInputs {
    /// The template.
    pub template: String,
    /// Its inputs.
    pub inputs: Vec<InputRow>,
}

/// An input, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InputRow {
    /// Its name.
    pub name: String,
    /// What kind of value it takes.
    pub takes: String,
    /// Its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether it must be given.
    pub is_required: bool,
    /// A sentence.
    pub about: String,
    /// The CloudFormation parameter it becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Whether only references are taken.
    pub is_secret: bool,
    /// What changing it replaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
}

/// The stacks of an environment and what flows between them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Graph {
    /// The environment.
    pub environment: String,
    /// Its stacks, in the order of work.
    pub stacks: Vec<String>,
    /// Stacks that are only read.
    pub unmanaged: Vec<String>,
    /// What flows.
    pub flows: Vec<Flow>,
    /// Whether it is drawn for Graphviz; otherwise for Mermaid.
    #[serde(skip)]
    pub is_dot: bool,
}

/// How things are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Only what is wrong.
    Quiet,
    /// What is of interest.
    Usual,
    /// Every step.
    Verbose,
}

/// Prints.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// For whom.
    pub style: Style,
    /// How much.
    pub volume: Volume,
    /// What the result is drawn as, where that is for a pipeline. All else is told as it is to people.
    pub document: Option<Document>,
}

impl View {
    /// Prints how a verb ended.
    ///
    /// A document for a pipeline also says how the run ends, and names files as the checkout does: `folder` leads from its root to
    /// the project, and is empty or ends with `/`.
    ///
    /// # Errors
    /// When stdout cannot be written. A reader who has gone (`| head`) is no error.
    pub fn result(&self, report: &Report, sources: &Sources, exit: Exit, folder: &str) -> std::io::Result<()> {
        let document = self.document.and_then(|kind| formats::report(kind, report, sources, exit, folder));
        let Some(document) = document else { return self.report(report, sources) };
        // Mistakes are told to whoever reads the log, too.
        if matches!(report, Report::Findings(_)) {
            self.report(report, sources)?;
        }
        printed(&document)
    }

    /// Prints what a verb has to say: results to stdout, mistakes to stderr.
    ///
    /// # Errors
    /// When stdout cannot be written. A reader who has gone (`| head`) is no error.
    pub fn report(&self, report: &Report, sources: &Sources) -> std::io::Result<()> {
        let text = match self.style {
            Style::Human => human::report(report, sources, self.occasion()),
            Style::Json => json::report(report, sources),
        };
        match report {
            // Mistakes are not a result, unless a program asked for them.
            Report::Findings(_) if self.style == Style::Human => written(anstream::stderr().write_all(text.as_bytes())),
            _ => printed(&text),
        }
    }

    /// Prints what a deployment would do, before it is agreed to: beside the result, for there will be another.
    pub fn preview(&self, preview: &Preview) {
        let text = match self.style {
            Style::Human => deployment::preview(preview),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "preview", "preview": preview })),
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Prints what a clone would do, before it is agreed to.
    pub fn rehearsal(&self, rehearsal: &Rehearsal) {
        let text = match self.style {
            Style::Human => clone::rehearsal(rehearsal),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "preview", "rehearsal": rehearsal })),
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Prints what would go, before it is agreed to.
    pub fn demolition(&self, demolition: &Demolition) {
        let text = match self.style {
            Style::Human => deployment::demolition(demolition),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "preview", "demolition": demolition })),
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Prints which environments would go, before it is agreed to.
    pub fn reaped(&self, reaped: &Reaped) {
        let text = match self.style {
            Style::Human => reap::reaped(reaped),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "preview", "reap": reaped })),
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Prints what would stop, before it is agreed to.
    pub fn cancellation(&self, cancellation: &Cancellation) {
        let text = match self.style {
            Style::Human => cancel::cancellation(cancellation),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "preview", "cancellation": cancellation })),
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Prints what is stuck, before a way is chosen.
    pub fn diagnosis(&self, diagnosis: &Diagnosis) {
        let text = match self.style {
            Style::Human => format!("{}\n", recover::diagnosis(diagnosis)),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "preview", "diagnosis": diagnosis })),
        };
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Asks a question and reads the answer, without its line break. Nothing where there is no terminal: then nobody is asked.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let mut stderr = anstream::stderr();
        // A question that cannot be written is answered by what follows.
        let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }

    /// Where progress is shown while a run goes on.
    pub fn board(&self, expected: &[Expected], afterwards: Afterwards) -> Board {
        Board::new(*self, expected, afterwards)
    }

    /// Where environments are shown that are looked at again and again.
    pub fn watch(&self) -> Watch {
        Watch::new(*self)
    }

    fn occasion(self) -> human::Occasion {
        human::Occasion {
            is_quiet: self.volume == Volume::Quiet,
            is_table_above: board::is_live(self) && std::io::stdout().is_terminal(),
        }
    }

    /// Prints a line about the run itself, for people.
    pub fn note(&self, text: &str) {
        if self.style == Style::Human && self.volume != Volume::Quiet {
            let _ = anstream::stderr().write_all(format!("{text}\n").as_bytes());
        }
    }

    /// Prints news: a line for people, or a line of JSON.
    pub fn event(&self, event: &Event) {
        let line = match self.style {
            Style::Human if self.volume == Volume::Quiet => None,
            Style::Human => deployment::event(event)
                .or_else(|| deployment::detail(event).filter(|_| self.volume == Volume::Verbose)),
            Style::Json => serde_json::to_string(event).ok(),
        };
        if let Some(line) = line {
            // Nobody listens any more; the work goes on.
            let _ = anstream::stderr().write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Prints why a run could not do what was asked.
    pub fn failure(&self, failure: &Failure) {
        let text = match self.style {
            Style::Human => human::failure(failure),
            Style::Json => json::failure(failure),
        };
        // There is nobody left to tell if stderr is gone.
        let _ = anstream::stderr().write_all(text.as_bytes());
        if let Some(document) = self.document {
            // Nor is there anything to do about a stdout that cannot be written: the run fails already.
            let _ = printed(&formats::failure(document, failure));
        }
    }
}

fn printed(text: &str) -> std::io::Result<()> {
    let mut stdout = anstream::stdout();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

fn written(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
