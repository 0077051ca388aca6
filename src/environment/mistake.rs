//! What is wrong with a project, as data: the view prints it, the pipeline counts it.

use std::fmt::Display;

use crate::environment::Span;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is done until it is mended.
    Error,
    /// Shown; stops nothing.
    Warning,
}

/// A second place that belongs to a mistake, and what it has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// In a few words: `first here`.
    pub label: String,
}

/// One mistake in the files of a project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mistake {
    /// How much it weighs.
    pub severity: Severity,
    /// What kind it is, for programs: `unknown-key`.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub message: String,
    /// Where; a mistake about what is not there has no place.
    pub span: Option<Span>,
    /// Said at the caret, in a few words.
    pub label: String,
    /// Other places that explain it.
    pub related: Vec<Related>,
    /// Facts that belong to it: the environment it was found in, the layer a value was inherited from.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the text at the place is a secret and must not be shown.
    pub is_concealed: bool,
}

impl Mistake {
    /// A mistake without a place. `fault` gives its sentence and its code.
    pub fn new<F>(fault: &F) -> Self
    where
        F: Display,
        for<'a> &'a F: Into<&'static str>,
    {
        Self {
            severity: Severity::Error,
            code: fault.into(),
            message: fault.to_string(),
            span: None,
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
            hint: None,
            is_concealed: false,
        }
    }

    /// A mistake at a place.
    pub fn at<F>(span: Span, fault: &F) -> Self
    where
        F: Display,
        for<'a> &'a F: Into<&'static str>,
    {
        Self { span: Some(span), ..Self::new(fault) }
    }

    /// Adds words at the caret.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push(Related { span, label: label.into() });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds what to do, where something is known.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    /// Keeps the text at the place from being shown.
    #[must_use]
    pub fn concealed(self) -> Self {
        Self { is_concealed: true, ..self }
    }

    /// Makes it one that is shown and stops nothing.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
}

/// The candidate that `word` was probably meant to be.
///
/// Half of the letters may differ, as with the tools people know; a nearer guess than that helps nobody.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.5)
        .max_by(|left, right| left.0.total_cmp(&right.0).then_with(|| right.1.cmp(left.1)))
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, where something is near enough.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}
