//! A mistake with the line it is about and carets below it.

use std::collections::BTreeMap;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::check::{Findings, Found};
use crate::environment::{Severity, SourceId, Sources, Span};

/// Texts with everything blacked out that must not be shown, by source.
pub(super) struct Redacted<'a> {
    sources: &'a Sources,
    texts: BTreeMap<SourceId, String>,
}

impl<'a> Redacted<'a> {
    /// Blacks out what any of the findings conceals: another finding may show the same line.
    pub(super) fn new(findings: &Findings, sources: &'a Sources) -> Self {
        let mut texts: BTreeMap<SourceId, String> = BTreeMap::new();
        let found = findings.all.iter().filter(|found| found.mistake.is_concealed);
        for span in found.filter_map(|found| found.mistake.span).chain(findings.concealed.iter().copied()) {
            let text = texts.entry(span.source).or_insert_with(|| sources.get(span.source).text.clone());
            let hidden: String =
                text[span.start..span.end].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
            text.replace_range(span.start..span.end, &hidden);
        }
        Self { sources, texts }
    }

    fn text(&self, source: SourceId) -> &str {
        self.texts.get(&source).map_or(&self.sources.get(source).text, String::as_str)
    }
}

/// A mistake as people read it, ending in a line break.
pub(super) fn render(found: &Found, redacted: &Redacted<'_>, is_colored: bool) -> String {
    let mistake = &found.mistake;
    if mistake.span.is_none() && mistake.related.is_empty() {
        return placeless(found, redacted.sources);
    }
    let level = match mistake.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(mistake.message.as_str());
    let mut group = match mistake.span {
        Some(span) => title.element(snippet(span, AnnotationKind::Primary, &mistake.label, redacted)),
        None => Group::with_title(title),
    };
    for related in &mistake.related {
        group = group.element(snippet(related.span, AnnotationKind::Context, &related.label, redacted));
    }
    for note in &mistake.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    let context = met_in(found, redacted.sources);
    if let Some(context) = &context {
        group = group.element(Level::NOTE.message(context.as_str()));
    }
    if let Some(hint) = &mistake.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    let renderer = if is_colored { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
    format!("{text}\n")
}

/// What is wrong with something that stands in no file.
fn placeless(found: &Found, sources: &Sources) -> String {
    let mistake = &found.mistake;
    let severity = match mistake.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    // Unless its sentence names it already.
    let is_named = |context: &String| {
        mistake.message.contains(&format!("`{context}`")) || mistake.message.contains(&format!("/{context}.yaml`"))
    };
    let context = met_in(found, sources).filter(|_| !found.contexts.iter().all(is_named));
    let context = context.map(|context| format!("  {context}\n")).unwrap_or_default();
    let notes = mistake.notes.iter().fold(String::new(), |notes, note| notes + "  " + note + "\n");
    let hint = mistake.hint.as_ref().map(|hint| format!("\nhint: {hint}\n")).unwrap_or_default();
    format!("{severity}: {}\n{notes}{context}{hint}", mistake.message)
}

fn snippet<'a>(
    span: Span,
    kind: AnnotationKind,
    label: &'a str,
    redacted: &'a Redacted<'_>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let source = redacted.sources.get(span.source);
    let text = redacted.text(span.source);
    // Only the lines around the place are handed over: a project of a thousand mistakes would otherwise be read a thousand times.
    let start = text.floor_char_boundary(span.start);
    let end = text.floor_char_boundary(span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let first_line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let first_line_end = line_start + text[line_start..first_line_end].trim_end_matches('\r').len();
    let start = start.min(first_line_end);
    // A place of many lines is shown by its first.
    let end = end.min(first_line_end).max(start);
    let annotation = kind.span(start - line_start..end - line_start);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
    Snippet::source(&text[line_start..first_line_end])
        .line_start(text[..line_start].matches('\n').count() + 1)
        .path(source.path.as_str())
        .annotation(annotation)
}

/// Where a mistake was met, unless its own place says so.
fn met_in(found: &Found, sources: &Sources) -> Option<String> {
    const NAMES_MAX: usize = 4;
    let path = found.mistake.span.map(|span| sources.get(span.source).path.as_str()).unwrap_or_default();
    let is_said =
        |context: &String| path == format!("environments/{}.yaml", context.split('/').next().unwrap_or_default());
    let names: Vec<&String> = found.contexts.iter().filter(|context| !is_said(context)).collect();
    if names.is_empty() {
        return None;
    }
    let shown = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = if names.len() > NAMES_MAX { format!(" and {} more", names.len() - NAMES_MAX) } else { String::new() };
    let verb = if path.starts_with("environments/") { "inherited by" } else { "met in" };
    Some(format!("{verb} {shown}{more}"))
}
