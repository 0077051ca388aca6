//! `render`: what CloudFormation would be given.

use std::num::NonZero;
use std::thread;

use serde_json::{Value as Json, json};

use crate::check::Findings;
use crate::cli::{Common, Format, Render};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, Stop, discreet, display, environment, name, project, stacks, templates};
use crate::environment::{Environment, Project, Reference, Stack};
use crate::error::{Exit, Failure};
use crate::template::rules::limits::TEMPLATE_BODY_BYTES_MAX;
use crate::template::{ParameterValue, Rendered, Templates};
use crate::view::Report;

pub(super) fn run(common: &Common, request: &Render) -> Ended {
    Templates::prepare();
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let asked = stacks(&environment, &request.stacks)?;
    let templates = templates(&mut project, [&environment]);
    let work = Work { environment: &environment, asked: &asked, templates: &templates, project: &project };
    match (&request.out, asked.as_slice()) {
        (Some(directory), _) => {
            // Only the texts are kept: the trees of a thousand stacks take ten times their room.
            let written = work.render_all(|stack, rendered| {
                let json = pretty(&rendered.document.json);
                let notes = notes(stack, &rendered, json.len());
                (files(stack, rendered, json), notes)
            })?;
            let (files, notes): (Vec<_>, Vec<_>) = written.into_iter().unzip();
            let files: Vec<NewFile> =
                files.into_iter().flatten().map(|(name, text)| NewFile { path: directory.join(name), text }).collect();
            write(&files)?;
            let notes = notes.into_iter().flatten().collect();
            Ok(Done::with(Report::Written { files: files.iter().map(|file| display(&file.path)).collect(), notes }))
        }
        (None, [_]) => {
            let texts = work.render_all(|_, rendered| text(&rendered, common.format))?;
            Ok(Done::with(Report::Text(texts.concat())))
        }
        (None, several) => {
            let names = work.render_all(|stack, _| stack.name.as_str())?;
            let what = format!("{} stacks do not fit on one stdout", several.len());
            let hint = format!("name one of {}, or write them all: `--out DIR`", names.join(", "));
            Err(Failure::new(Exit::Usage, what).hint(hint).into())
        }
    }
}

fn text(rendered: &Rendered, format: Format) -> String {
    match format {
        Format::Human => ended(rendered.yaml.clone()),
        Format::Json | Format::Junit | Format::Sarif | Format::Github | Format::Markdown => {
            pretty(&rendered.document.json)
        }
    }
}

/// What is rendered, and of what.
pub(super) struct Work<'a> {
    /// The environment.
    pub(super) environment: &'a Environment,
    /// The stacks that were asked for.
    pub(super) asked: &'a [&'a Stack],
    /// Their templates.
    pub(super) templates: &'a Templates,
    /// Where all is written.
    pub(super) project: &'a Project,
}

impl<'a> Work<'a> {
    /// What `take` makes of every stack, or every mistake of every stack.
    pub(super) fn render_all<T: Send>(&self, take: impl Fn(&'a Stack, Rendered) -> T + Sync) -> Result<Vec<T>, Stop> {
        let sources = &self.project.sources;
        let rendered = side_by_side(self.asked, |stack| {
            self.templates.render(self.environment, stack, sources).map(|rendered| take(stack, rendered))
        });
        let mut findings = Findings::default();
        let mut all = Vec::with_capacity(self.asked.len());
        for (stack, rendered) in self.asked.iter().zip(rendered) {
            match rendered {
                Ok(taken) => all.push(taken),
                Err(mistakes) => {
                    findings.extend(mistakes, Some(&format!("{}/{}", self.environment.name, stack.name)));
                }
            }
        }
        if findings.all.is_empty() {
            Ok(all)
        } else {
            Err(Stop::Mistakes(discreet(findings, self.project), sources.clone()))
        }
    }
}

/// What `make` makes of every stack, in their order, made on all cores: stacks do not depend on each other's text.
fn side_by_side<'a, T: Send>(stacks: &[&'a Stack], make: impl Fn(&'a Stack) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = stacks.len().div_ceil(cores).max(1);
    let make_all = |stacks: &[&'a Stack]| stacks.iter().map(|stack| make(stack)).collect::<Vec<T>>();
    let (own, others) = stacks.split_at(share.min(stacks.len()));
    thread::scope(|scope| {
        let others: Vec<_> = others.chunks(share).map(|stacks| scope.spawn(|| make_all(stacks))).collect();
        let mut all = make_all(own);
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    })
}

fn files(stack: &Stack, rendered: Rendered, json: String) -> Vec<(String, String)> {
    let name = &stack.name;
    let parameters = pretty(&parameters(&rendered));
    vec![
        (format!("{name}.yaml"), ended(rendered.yaml)),
        (format!("{name}.json"), json),
        (format!("{name}.parameters.json"), parameters),
        (format!("{name}.tags.json"), pretty(&tags(stack))),
    ]
}

fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn pretty(value: &Json) -> String {
    format!("{value:#}\n")
}

/// As `aws cloudformation create-change-set --parameters file://…` reads them.
fn parameters(rendered: &Rendered) -> Json {
    let entry = |parameter: &crate::template::Parameter| match &parameter.value {
        ParameterValue::Text(text) => json!({ "ParameterKey": parameter.name, "ParameterValue": text }),
        ParameterValue::Reference(Reference::Previous) => {
            json!({ "ParameterKey": parameter.name, "UsePreviousValue": true })
        }
        // Not a value that could be mistaken for one: whoever deploys by hand has to fill it in.
        ParameterValue::Reference(reference) => {
            json!({ "ParameterKey": parameter.name, "ParameterValue": format!("<{}>", reference.to_string().trim_matches(['{', '}'])) })
        }
    };
    rendered.parameters.iter().map(entry).collect()
}

fn tags(stack: &Stack) -> Json {
    stack.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// What somebody who takes the files to CloudFormation by hand should know.
fn notes(stack: &Stack, rendered: &Rendered, readable_bytes: usize) -> Vec<String> {
    let mut notes = Vec::new();
    // What the call carries is shorter than the readable JSON, and seldom needs to be written to be counted.
    let is_short = readable_bytes <= TEMPLATE_BODY_BYTES_MAX;
    let bytes = if is_short { readable_bytes } else { rendered.document.body().len() };
    if bytes > TEMPLATE_BODY_BYTES_MAX {
        notes.push(format!(
            "note: {} has {bytes} bytes, over the {TEMPLATE_BODY_BYTES_MAX} of a call: it goes through a bucket",
            stack.name
        ));
    }
    let is_open = |parameter: &&crate::template::Parameter| matches!(&parameter.value, ParameterValue::Reference(reference) if *reference != Reference::Previous);
    let open: Vec<&str> = rendered.parameters.iter().filter(is_open).map(|parameter| parameter.name.as_str()).collect();
    if !open.is_empty() {
        notes.push(format!("note: {} waits for {}, known at deployment", stack.name, open.join(", ")));
    }
    notes
}
