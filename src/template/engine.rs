//! Tera, and what we ask of it: guarded values, dynamic references left alone, errors at the template's own line.

use std::collections::{BTreeMap, BTreeSet};

use tera::{Context, ErrorKind, Tera};

use crate::environment::{Mistake, SourceId, Sources, Span, did_you_mean};
use crate::template::quoting::{guard, hide_dynamic_references};
use crate::template::tags;

/// What can be wrong with a template as Tera reads it.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum TeraFault {
    /// It does not parse.
    #[error("this is not a template: {0}")]
    NotATemplate(String),
    /// It parses, but not with these values.
    #[error("the template cannot be rendered: {0}")]
    CannotRender(String),
    /// A variable that no input declares.
    #[error("no input declares `{0}`")]
    UnknownVariable(String),
    /// Tera's name for all variables at once.
    #[error("`__tera_context` has another order in every run")]
    EveryVariable,
    /// A variable that is not given.
    #[error("`{0}` is not given a value")]
    Undefined(String),
}

/// A template's text and the name under which others include it: `database/stack.yaml`, `parts/alarm.yaml`.
#[derive(Clone, Debug)]
pub struct Text {
    /// Relative to `templates/`.
    pub name: String,
    /// Where the text is kept.
    pub source: SourceId,
}

/// All templates, parsed.
pub struct Engine {
    tera: Tera,
    texts: BTreeMap<String, Text>,
}

impl Engine {
    /// Parses templates. Those that are wrong are left out, with their mistakes, so that the others can be judged.
    pub fn new(texts: Vec<Text>, sources: &Sources) -> (Self, Vec<Mistake>) {
        let mut texts: BTreeMap<String, Text> = texts.into_iter().map(|text| (text.name.clone(), text)).collect();
        let mut mistakes = Vec::new();
        for text in texts.values() {
            let variable = "__tera_context";
            if let Some(start) = tags::first_use(&sources.get(text.source).text, variable) {
                let span = Span { source: text.source, start, end: start + variable.len() };
                mistakes.push(Mistake::at(span, &TeraFault::EveryVariable).hint("print what is wanted, one by one"));
            }
        }
        let mut left_out: BTreeSet<String> = BTreeSet::new();
        // Tera stops at the first text that does not parse: take it out and ask again. Each turn takes one away.
        loop {
            let mut tera = empty();
            let named = texts
                .values()
                .map(|text| (text.name.as_str(), hide_dynamic_references(&sources.get(text.source).text)));
            let Err(error) = tera.add_raw_templates(named) else { return (Self { tera, texts }, mistakes) };
            let found = problems(&error);
            let before = texts.len();
            for problem in found {
                let Some(text) = texts.get(&problem.file) else { continue };
                // Who includes what was left out is not wrong: what was left out is.
                if problem.unknown_include().is_some_and(|name| left_out.contains(name)) {
                    continue;
                }
                let near = problem.unknown_include().map(|name| {
                    let all = || "a part is a file below templates/, named from there".to_string();
                    did_you_mean(name, texts.keys().map(String::as_str)).unwrap_or_else(all)
                });
                mistakes.push(problem.mistake(text.source, sources).maybe_hint(near));
            }
            for problem in problems(&error) {
                texts.remove(&problem.file);
                left_out.insert(problem.file);
            }
            if texts.len() == before {
                mistakes.push(Mistake::new(&TeraFault::NotATemplate(lower_first(&error.to_string()))));
                return (Self { tera: empty(), texts: BTreeMap::new() }, mistakes);
            }
        }
    }

    /// Whether a template could be parsed.
    pub fn knows(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The variables a template uses that nobody declares, each where it first stands.
    pub fn unknown_variables(
        &self,
        name: &str,
        declared: &dyn Fn(&str) -> bool,
        sources: &Sources,
    ) -> Vec<(String, Option<Span>)> {
        let Ok(variables) = self.tera.get_template_variables(name) else { return Vec::new() };
        let Some(text) = self.texts.get(name) else { return Vec::new() };
        let own = &sources.get(text.source).text;
        // What an included part reads may be set by the template that includes it.
        let is_set = |variable: &str| tags::assignments(own).any(|set| set == variable);
        let mut unknown: Vec<&str> =
            variables.into_iter().filter(|variable| !declared(variable) && !is_set(variable)).collect();
        unknown.sort_unstable();
        let place = |variable: &str| {
            let start = tags::first_use(own, variable)?;
            Some(Span { source: text.source, start, end: start + variable.len() })
        };
        unknown.into_iter().map(|variable| (variable.to_string(), place(variable))).collect()
    }

    /// Renders a template. Values are guarded.
    ///
    /// # Errors
    /// When a variable is undefined, a filter fails and the like: at the template's line.
    pub fn render(&self, name: &str, context: &Context, sources: &Sources) -> Result<String, Box<Mistake>> {
        self.tera.render(name, context).map_err(|error| {
            let problem = problems(&error).into_iter().next();
            let mistake = problem.and_then(|problem| {
                let text = self.texts.get(&problem.file)?;
                Some(problem.mistake(text.source, sources))
            });
            Box::new(mistake.unwrap_or_else(|| Mistake::new(&TeraFault::CannotRender(lower_first(&error.to_string())))))
        })
    }

    /// Renders a text that is in no file, as it is: nothing is guarded, for it goes to people.
    ///
    /// # Errors
    /// In Tera's words.
    pub(super) fn say(text: &str, context: &Context) -> Result<String, String> {
        Tera::one_off(text, context, false).map_err(|error| lower_first(&error.to_string()))
    }

    /// Renders a template with the number of its line at the end of every line, as [`trace`](super::trace) needs it.
    pub(super) fn render_marked(&self, name: &str, context: &Context, sources: &Sources) -> Option<String> {
        let mut tera = empty();
        let marked = self.texts.values().enumerate().map(|(file, text)| {
            (text.name.as_str(), tags::mark_lines(&hide_dynamic_references(&sources.get(text.source).text), file))
        });
        tera.add_raw_templates(marked).ok()?;
        tera.render(name, context).ok()
    }

    /// The text of that number, as [`Self::render_marked`] counts them.
    pub(super) fn source(&self, file: usize) -> Option<SourceId> {
        self.texts.values().nth(file).map(|text| text.source)
    }
}

fn empty() -> Tera {
    let mut tera = Tera::new();
    // Every text is guarded, whatever its file is called.
    tera.autoescape_on([""]);
    tera.set_escape_fn(guard);
    tera
}

/// One of Tera's complaints.
struct Problem {
    file: String,
    message: String,
    is_syntax: bool,
    /// Line (from 1) and column (from 0, in characters), of the first and the last character.
    start: (usize, usize),
    end: (usize, usize),
}

fn problems(error: &tera::Error) -> Vec<Problem> {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let span = report.span();
            vec![Problem {
                file: report.filename().to_string(),
                message: report.message().to_string(),
                is_syntax: matches!(error.kind(), ErrorKind::SyntaxError(_)),
                start: (span.start_line, span.start_col),
                end: (span.end_line, span.end_col),
            }]
        }
        ErrorKind::CircularInclude { tpl, include_chain } => {
            vec![whole_file(tpl, format!("it includes itself: {}", include_chain.join(" → ")))]
        }
        ErrorKind::CircularExtend { tpl, inheritance_chain } => {
            vec![whole_file(tpl, format!("it extends itself: {}", inheritance_chain.join(" → ")))]
        }
        ErrorKind::MissingParent { current, parent } => {
            vec![whole_file(current, format!("there is no `{parent}` to extend"))]
        }
        // Unknown filters, functions and includes come as finished reports, one after the other.
        ErrorKind::Msg(text) => text.split("\n\n").filter_map(reported).collect(),
        _ => Vec::new(),
    }
}

fn whole_file(file: &str, message: String) -> Problem {
    Problem { file: file.to_string(), message, is_syntax: true, start: (1, 0), end: (1, 0) }
}

/// Reads `error: MESSAGE\n --> FILE:LINE:COLUMN` and the line of carets below.
fn reported(report: &str) -> Option<Problem> {
    let mut lines = report.lines();
    let message = lines.next()?.strip_prefix("error: ")?.to_string();
    let (file, place) = lines.next()?.trim_start().strip_prefix("--> ").and_then(|place| {
        let (rest, column) = place.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some((file.to_string(), (line.parse::<usize>().ok()?, column.parse::<usize>().ok()?.saturating_sub(1))))
    })?;
    let carets = report.lines().last().map_or(1, |line| line.matches('^').count().max(1));
    Some(Problem { file, message, is_syntax: true, start: place, end: (place.0, place.1 + carets) })
}

impl Problem {
    /// The part that is included and not there.
    fn unknown_include(&self) -> Option<&str> {
        self.message.to_lowercase().starts_with("unknown template").then(|| self.message.split('`').nth(1))?
    }

    fn mistake(self, source: SourceId, sources: &Sources) -> Mistake {
        let text = &sources.get(source).text;
        let start = tags::offset(text, self.start);
        let end = tags::offset(text, self.end).max(start);
        let span = Span { source, start, end };
        if let Some(variable) = undefined_variable(&self.message) {
            return Mistake::at(span, &TeraFault::Undefined(variable.to_string()));
        }
        let message = lower_first(self.message.split(" Available ").next().unwrap_or_default().trim_end_matches('.'));
        let is_open = message.contains("but expected") || message.contains("end of input");
        let hint =
            is_open.then(|| "something that opens before this is not closed: `{{ }}`, `{% if %}`, `{% for %}`".into());
        let fault = if self.is_syntax { TeraFault::NotATemplate(message) } else { TeraFault::CannotRender(message) };
        Mistake::at(span, &fault).maybe_hint(hint)
    }
}

/// The name in Tera's ``Variable `x` is not defined``.
fn undefined_variable(message: &str) -> Option<&str> {
    message.strip_prefix("Variable `")?.split_once("` is not defined").map(|(name, _)| name)
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// The mistake of a variable that nobody declares.
pub fn unknown_variable<'a>(
    variable: &str,
    span: Option<Span>,
    known: impl IntoIterator<Item = &'a str>,
    inputs: &str,
) -> Mistake {
    let fault = TeraFault::UnknownVariable(variable.to_string());
    let hint = did_you_mean(variable, known).unwrap_or_else(|| format!("declare it in {inputs}"));
    let mistake = span.map_or_else(|| Mistake::new(&fault), |span| Mistake::at(span, &fault));
    mistake.hint(hint)
}
