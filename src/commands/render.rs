//! `render`: what CloudFormation would be given.

use serde_json::{Value as Json, json};

use crate::check::Findings;
use crate::cli::{Common, Format, Render};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, Stop, display, environment, name, project, stacks, templates};
use crate::environment::{Environment, Project, Reference, Stack};
use crate::error::{Exit, Failure};
use crate::template::rules::limits::TEMPLATE_BODY_BYTES_MAX;
use crate::template::{ParameterValue, Rendered, Templates};
use crate::view::Report;

pub(super) fn run(common: &Common, request: &Render) -> Ended {
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let asked = stacks(&environment, &request.stacks)?;
    let templates = templates(&mut project, [&environment]);
    let rendered = render_all(&environment, &asked, &templates, &project)?;
    match (&request.out, rendered.as_slice()) {
        (Some(directory), rendered) => {
            let pairs = asked.iter().zip(rendered);
            let files: Vec<NewFile> = pairs
                .clone()
                .flat_map(|(stack, rendered)| files(stack, rendered))
                .map(|(name, text)| NewFile { path: directory.join(name), text })
                .collect();
            write(&files)?;
            let notes = pairs.flat_map(|(stack, rendered)| notes(stack, rendered)).collect();
            Ok(Done::with(Report::Written { files: files.iter().map(|file| display(&file.path)).collect(), notes }))
        }
        (None, [one]) => Ok(Done::with(Report::Text(text(one, common.format)))),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|rendered| rendered.stack.as_str()).collect();
            let what = format!("{} stacks do not fit on one stdout", several.len());
            let hint = format!("name one of {}, or write them all: `--out DIR`", names.join(", "));
            Err(Failure::new(Exit::Usage, what).hint(hint).into())
        }
    }
}

fn text(rendered: &Rendered, format: Format) -> String {
    match format {
        Format::Human => ended(rendered.yaml.clone()),
        Format::Json => pretty(&rendered.document.json),
    }
}

/// Every stack, or every mistake of every stack.
pub(super) fn render_all(
    environment: &Environment,
    asked: &[&Stack],
    templates: &Templates,
    project: &Project,
) -> Result<Vec<Rendered>, Stop> {
    let mut findings = Findings::default();
    let mut all = Vec::with_capacity(asked.len());
    for stack in asked {
        let context = format!("{}/{}", environment.name, stack.name);
        match templates.render(environment, stack, &project.sources) {
            Ok(rendered) => all.push(rendered),
            Err(mistakes) => findings.extend(mistakes, Some(&context)),
        }
    }
    if findings.all.is_empty() { Ok(all) } else { Err(Stop::Mistakes(findings, project.sources.clone())) }
}

fn files(stack: &Stack, rendered: &Rendered) -> Vec<(String, String)> {
    let name = &stack.name;
    vec![
        (format!("{name}.yaml"), ended(rendered.yaml.clone())),
        (format!("{name}.json"), pretty(&rendered.document.json)),
        (format!("{name}.parameters.json"), pretty(&parameters(rendered))),
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
fn notes(stack: &Stack, rendered: &Rendered) -> Vec<String> {
    let mut notes = Vec::new();
    let bytes = rendered.document.body().len();
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
