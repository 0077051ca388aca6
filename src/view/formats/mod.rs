//! For pipelines: one result, drawn as `JUnit`, SARIF, GitHub's workflow commands or markdown.
//!
//! Every verb maps what it found to a [`Sheet`] (in [`sheets`]), and every format is drawn from a sheet alone. So a format knows no
//! verb, a verb no format, and all formats agree on what is wrong. How a run ends is not decided here.

mod github;
mod junit;
mod markdown;
mod sarif;
mod sheets;

use super::Report;
use crate::environment::{Place, Sources};
use crate::error::{Exit, Failure};

/// What a result is drawn as, for pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// For test tabs.
    Junit,
    /// For code scanning.
    Sarif,
    /// For the log of a GitHub workflow, which shows it beside the lines.
    Github,
    /// For a comment.
    Markdown,
}

/// A result, before it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sheet {
    /// `plan of production`.
    title: String,
    /// What came of it, in a line.
    summary: String,
    /// What was looked at, with or without a finding.
    cases: Vec<Case>,
    /// What was found.
    findings: Vec<Finding>,
    /// Texts for people, folded away.
    details: Vec<Detail>,
    /// Where the environment is written, for what has no place of its own.
    home: Option<Place>,
    /// How the run ends.
    exit: Exit,
    /// Whether the run came to a result at all.
    is_complete: bool,
}

/// Something that is fine or not: a stack, a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    /// The environment, or what else it belongs to.
    suite: String,
    /// Its name there.
    name: String,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Nobody could look, so nothing is known.
    Unknown,
    /// Wrong: a decision is needed.
    Wrong,
    /// To be known.
    Warning,
    /// Told, and fine.
    Note,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// Which rule found it: `drift/changed-by-hand`. Stable.
    rule: String,
    /// How much it weighs.
    weight: Weight,
    /// A sentence.
    message: String,
    /// What it is about, without values: the same finding has the same in the next run.
    subject: String,
    /// The cases it belongs to.
    cases: Vec<Case>,
    /// Where it is decided.
    place: Option<Region>,
    /// Other places, and what they have to do with it.
    related: Vec<(String, Place)>,
    /// Facts that belong to it.
    notes: Vec<String>,
    /// What to do.
    hint: Option<String>,
    /// Why it is let be, where the environment's file says so.
    let_be: Option<String>,
}

/// A range in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Region {
    /// Its first character.
    start: Place,
    /// Line and column of the character after the last, where that is known.
    end: Option<(usize, usize)>,
}

/// A text with a heading that folds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    heading: String,
    text: String,
}

impl From<Place> for Region {
    fn from(start: Place) -> Self {
        Self { start, end: None }
    }
}

impl Finding {
    /// Its sentence with all that belongs to it, a fact a line.
    fn told(&self) -> String {
        let related = self.related.iter().map(|(label, place)| format!("{place}: {label}"));
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}"));
        let lines = [self.message.clone()].into_iter().chain(related).chain(self.notes.iter().cloned()).chain(hint);
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Sheet {
    /// Paths as the checkout has them: `folder` leads from its root to the project, and is empty or ends with `/`.
    fn below(mut self, folder: &str) -> Self {
        let lower = |place: &mut Place| place.path = format!("{folder}{}", place.path);
        for finding in &mut self.findings {
            finding.related.iter_mut().for_each(|(_, place)| lower(place));
            if let Some(region) = &mut finding.place {
                lower(&mut region.start);
            }
        }
        self.home.iter_mut().for_each(lower);
        self
    }

    fn drawn(&self, document: Document) -> String {
        match document {
            Document::Junit => junit::junit(self),
            Document::Sarif => sarif::sarif(self),
            Document::Github => github::github(self),
            Document::Markdown => markdown::markdown(self),
        }
    }
}

/// A result for a pipeline; nothing where a report has no such form.
pub(super) fn report(
    document: Document,
    report: &Report,
    sources: &Sources,
    exit: Exit,
    folder: &str,
) -> Option<String> {
    let sheet = match report {
        Report::Findings(findings) => sheets::findings(findings, sources, exit),
        Report::Preview(preview) => sheets::plan(preview, sources, exit),
        Report::Sealed(sealed) => sheets::plan(&sealed.preview, sources, exit),
        Report::Drift(drift) => sheets::drift(drift, sources, exit),
        _ => return None,
    };
    Some(sheet.below(folder).drawn(document))
}

/// Why there is no result, for a pipeline.
pub(super) fn failure(document: Document, failure: &Failure) -> String {
    sheets::failure(failure).drawn(document)
}

/// Without the characters that no document can hold: control characters but tab and line breaks, and what is no character.
fn printable(text: &str) -> String {
    let is_bad =
        |it: char| it.is_control() && !matches!(it, '\t' | '\n' | '\r') || matches!(it, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|it| if is_bad(it) { char::REPLACEMENT_CHARACTER } else { it }).collect()
}
