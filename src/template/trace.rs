//! From a line of rendered text back to the template's line that produced it.
//!
//! The template is rendered once more with a mark and a number at the end of each of its lines. Where the text without the marks
//! is the same as before, the marks tell the lines. It costs a second rendering, and is done only when there is a mistake to show.

use tera::Context;

use crate::environment::{Mistake, SourceId, Sources, Span};
use crate::template::engine::Engine;
use crate::template::quoting::unguard;
use crate::template::tags::{mark_of, offset, without_marks};

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
        let origin = |line: &str| mark_of(line).and_then(|(file, number)| Some((engine.source(file)?, number)));
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
                let mistake = Mistake { span: None, related, ..mistake };
                if mistake.is_concealed {
                    return mistake.note(format!("line {} of the rendered text", number + 1));
                }
                let line = unguard(rendered.split('\n').nth(number).unwrap_or_default());
                mistake.note(format!("line {} of the rendered text: `{}`", number + 1, line.trim()))
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
}
