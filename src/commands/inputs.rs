//! `inputs`: what may be set.

use crate::cli::{Common, Inputs as Request};
use crate::commands::{Done, Ended, all_templates, mistakes, project};
use crate::environment::did_you_mean;
use crate::error::{Exit, Failure};
use crate::explain::written;
use crate::template::Template;
use crate::template::inputs::{Input, kind};
use crate::view::{InputRow, Report, TemplateInputs};

pub(super) fn run(common: &Common, request: &Request) -> Ended {
    let mut project = project(common)?;
    let templates = all_templates(&mut project);
    let is_asked = |template: &&Template| request.template.as_ref().is_none_or(|name| *name == template.name);
    let asked: Vec<&Template> = templates.iter().filter(is_asked).collect();
    if let (Some(name), []) = (&request.template, asked.as_slice()) {
        let known = templates.names().join(", ");
        let hint = did_you_mean(name, templates.names().iter().map(String::as_str))
            .unwrap_or_else(|| format!("there are: {known}"));
        return Err(Failure::new(Exit::Usage, format!("there is no template `{name}`")).hint(hint).into());
    }
    let found: Vec<_> = asked.iter().flat_map(|template| template.mistakes.clone()).collect();
    if !found.is_empty() {
        return Err(mistakes(found, None, &project));
    }
    let listed = asked.iter().map(|template| TemplateInputs {
        template: template.name.clone(),
        inputs: template.inputs.all.iter().map(|input| row(input, template)).collect(),
    });
    Ok(Done::with(Report::Inputs(listed.collect())))
}

fn row(input: &Input, template: &Template) -> InputRow {
    InputRow {
        name: input.name.clone(),
        takes: kind(template.inputs.schema_of(&input.name)),
        default: input.default.as_ref().map(written),
        is_required: input.is_required,
        about: input.about.clone(),
        parameter: input.parameter.clone(),
        is_secret: input.is_secret,
        replaces: input.replaces.clone(),
    }
}
