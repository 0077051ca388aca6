//! From a line of rendered text back to the template's line that produced it.
//!
//! The template is rendered once more with a mark and a number at the end of each of its lines. Where the text without the marks
//! is the same as before, the marks tell the lines. It costs a second rendering, and is done only when there is a mistake to show.

use std::sync::LazyLock;

use regex::Regex;
use tera::Context;

use crate::environment::{Mistake, SourceId, Sources, Span};
use crate::template::engine::Engine;
use crate::template::quoting::unguard;

/// Around `FILE.LINE`, whose digits are private-use characters too.
const OPEN: char = '\u{E100}';
const CLOSE: char = '\u{E101}';
const DIGITS: u32 = 0xE110;

/// The template's line of every line of a rendered text.
pub struct Trace {
    lines: Vec<Option<(SourceId, usize)>>,
}

impl Trace {
    /// Renders again and compares. Nothing is known where the marks changed the text.
    pub fn new(engine: &Engine, name: &str, context: &Context, rendered: &str, sources: &Sources) -> Self {
        let marked = engine.render_marked(name, context, sources).unwrap_or_default();
        if without_marks(&marked) != rendered {
            return Self { lines: Vec::new() };
        }
        let origin = |line: &str| first_mark(line).and_then(|(file, number)| Some((engine.source(file)?, number)));
        Self { lines: marked.split('\n').map(origin).collect() }
    }

    /// Moves a mistake in the rendered text to the template. Where that is not possible it says the rendered line.
    pub fn mistake(&self, mistake: Mistake, rendered: &str, sources: &Sources) -> Mistake {
        let Some(span) = mistake.span.filter(|span| span.source == SourceId::RENDERED) else { return mistake };
        let related = mistake.related.iter().filter_map(|related| {
            let span = if related.span.source == SourceId::RENDERED {
                self.span(related.span, rendered, sources)?
            } else {
                related.span
            };
            Some(crate::environment::Related { span, label: related.label.clone() })
        });
        let related = related.collect();
        match self.span(span, rendered, sources) {
            Some(traced) => Mistake { span: Some(traced), related, ..mistake },
            None => {
                let start = rendered.floor_char_boundary(span.start);
                let number = rendered[..start].matches('\n').count();
                let line = unguard(rendered.split('\n').nth(number).unwrap_or_default());
                let note = format!("line {} of the rendered text: `{}`", number + 1, line.trim());
                Mistake { span: None, related, ..mistake }.note(note)
            }
        }
    }

    /// The place in the template that a place in the rendered text was made from.
    pub fn span(&self, span: Span, rendered: &str, sources: &Sources) -> Option<Span> {
        let start = rendered.floor_char_boundary(span.start);
        let number = rendered[..start].matches('\n').count();
        let (source, line) = (*self.lines.get(number)?)?;
        let text = &sources.get(source).text;
        let line_start = offset(text, (line, 0));
        let written = text[line_start..].split('\n').next().unwrap_or_default();
        let wanted = rendered[start..rendered.floor_char_boundary(span.end)].split('\n').next().unwrap_or_default();
        let rendered_line = rendered.split('\n').nth(number).unwrap_or_default();
        let exact = if rendered_line == written {
            // The same line: the same columns.
            let column = start - rendered[..start].rfind('\n').map_or(0, |newline| newline + 1);
            Some((column, wanted.len()))
        } else {
            written.find(wanted).filter(|_| !wanted.trim().is_empty()).map(|column| (column, wanted.len()))
        };
        let (column, length) =
            exact.unwrap_or_else(|| (written.len() - written.trim_start().len(), written.trim().len()));
        Some(Span { source, start: line_start + column, end: line_start + column + length })
    }
}

/// The byte at a line (from 1) and a column (from 0, in characters).
pub fn offset(text: &str, (line, column): (usize, usize)) -> usize {
    let line_start =
        if line <= 1 { 0 } else { text.match_indices('\n').nth(line - 2).map_or(text.len(), |(index, _)| index + 1) };
    text[line_start..].char_indices().nth(column).map_or(text.len(), |(index, _)| line_start + index)
}

/// A template with a mark at the end of every line that does not end inside a tag.
pub(super) fn mark_lines(text: &str, file: usize) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut inside: Option<&'static str> = None;
    let mut rest = text;
    let mut line = 1;
    while let Some(character) = rest.chars().next() {
        if character == '\n' {
            if inside.is_none() {
                push_mark(&mut out, file, line);
            }
            line += 1;
        }
        let step = match inside {
            Some(end) if rest.starts_with(end) => {
                inside = None;
                end.len()
            }
            None => {
                match [("{{", "}}"), ("{%", "%}"), ("{#", "#}")].iter().find(|(start, _)| rest.starts_with(start)) {
                    Some((start, end)) => {
                        inside = Some(end);
                        start.len()
                    }
                    None => character.len_utf8(),
                }
            }
            Some(_) => character.len_utf8(),
        };
        out.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    if inside.is_none() {
        push_mark(&mut out, file, line);
    }
    out
}

fn push_mark(out: &mut String, file: usize, line: usize) {
    let digits = |number: usize| -> String {
        number.to_string().chars().filter_map(|digit| char::from_u32(DIGITS + digit.to_digit(10)?)).collect()
    };
    out.push(OPEN);
    out.push_str(&digits(file));
    out.push(OPEN);
    out.push_str(&digits(line));
    out.push(CLOSE);
}

fn is_mark(character: char) -> bool {
    ('\u{E100}'..='\u{E11F}').contains(&character)
}

fn without_marks(text: &str) -> String {
    text.chars().filter(|character| !is_mark(*character)).collect()
}

/// File and line of the first mark in a rendered line.
fn first_mark(line: &str) -> Option<(usize, usize)> {
    let mark = line.split_once(OPEN)?.1.split_once(CLOSE)?.0;
    let (file, number) = mark.split_once(OPEN)?;
    let number_of = |digits: &str| -> Option<usize> {
        let digits: String =
            digits.chars().filter_map(|digit| char::from_digit(u32::from(digit).checked_sub(DIGITS)?, 10)).collect();
        digits.parse().ok()
    };
    Some((number_of(file)?, number_of(number)?))
}

/// The names that a template sets by itself.
pub(super) fn assignments(text: &str) -> impl Iterator<Item = &str> {
    static SET: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{%-?\s*set(?:_global)?\s+([A-Za-z_]\w*)").expect("a constant expression"));
    SET.captures_iter(text).filter_map(|captures| captures.get(1)).map(|name| name.as_str())
}

/// Where a variable first stands in a tag.
pub(super) fn first_use(text: &str, variable: &str) -> Option<usize> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(variable)
        .find(|(start, found)| {
            let before = text[..*start].chars().next_back();
            let after = text[start + found.len()..].chars().next();
            let is_whole = !before.is_some_and(|it| is_word(it) || it == '.') && !after.is_some_and(is_word);
            let opened = text[..*start].rfind("{{").max(text[..*start].rfind("{%"));
            let closed = text[..*start].rfind("}}").max(text[..*start].rfind("%}"));
            is_whole && opened > closed
        })
        .map(|(start, _)| start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::engine::Text;

    fn traced(template: &str, context: &[(&'static str, &str)], wanted: &str) -> String {
        let mut sources = Sources::default();
        let source = sources.add("t/stack.yaml".into(), template.into());
        let (engine, mistakes) = Engine::new(vec![Text { name: "t/stack.yaml".into(), source }], &sources);
        assert_eq!(mistakes, []);
        let mut tera_context = Context::new();
        context.iter().for_each(|(name, value)| tera_context.insert(*name, value));
        let rendered = engine.render("t/stack.yaml", &tera_context, &sources).expect("a rendered text");
        let start = rendered.find(wanted).expect("the wanted text");
        let trace = Trace::new(&engine, "t/stack.yaml", &tera_context, &rendered, &sources);
        let span = Span { source: SourceId::RENDERED, start, end: start + wanted.len() };
        trace
            .span(span, &rendered, &sources)
            .map(|span| format!("{} {:?}", sources.place(span), sources.text(span)))
            .unwrap_or_default()
    }

    #[test]
    fn rendered_lines_lead_back_to_the_template() {
        let template = "{% for n in [1, 2] %}\na{{ n }}: b\n{% endfor %}\n{# over\n lines #}\n{% if x\n  == \"y\" %}\nc: {{ x }} d\n{% endif %}\n";
        assert_eq!(traced(template, &[("x", "y")], "a"), "t/stack.yaml:2:1 \"a\"");
        assert_eq!(traced(template, &[("x", "y")], "d"), "t/stack.yaml:8:12 \"d\"");
        assert_eq!(traced(template, &[("x", "y")], "y"), "t/stack.yaml:8:1 \"c: {{ x }} d\"");
    }

    #[test]
    fn places_survive_wide_letters_and_dynamic_references() {
        assert_eq!(traced("a: \"{{resolve:ssm:/ä}}\" {{ x }}\nb: ü d\n", &[("x", "y")], "d"), "t/stack.yaml:2:6 \"d\"");
    }

    #[test]
    fn offsets_are_in_characters() {
        assert_eq!(offset("ä\nöb", (2, 1)), 5);
        assert_eq!(offset("a", (9, 9)), 1);
    }

    #[test]
    fn a_variable_is_found_where_it_is_used() {
        assert_eq!(first_use("# zone\n{{ my_zone }} {{ zone }}", "zone"), Some(24));
    }
}
