//! From what CloudFormation says to the line behind it: the value that changes a property, the template's line of a resource.
//!
//! Found by changing values a little and rendering again, as `explain` does. Where more than one value could be meant, none is
//! named.

use std::collections::BTreeMap;

use crate::deploy::changes::PropertyChange;
use crate::deploy::report::{Outlook, Preview, StackPreview};
use crate::environment::{Environment, Place, Project, Span};
use crate::template::Templates;
use crate::template::arguments::{Argument, Given};
use crate::template::inputs::{Inputs, plain};
use crate::template::landing::{Landing, landings};

/// Where everything is written.
pub(super) struct Written {
    /// The project, with its texts.
    pub(super) project: Project,
    /// The environment.
    pub(super) environment: Environment,
    /// Its templates.
    pub(super) templates: Templates,
}

impl Written {
    /// Adds to every changed property the place of the value behind it, where there is only one that it can be.
    pub(super) fn locate(&self, preview: &mut Preview) {
        for stack in preview.stacks.iter_mut().filter(|stack| stack.outlook == Outlook::Changed) {
            self.locate_in(stack);
        }
    }

    fn locate_in(&self, preview: &mut StackPreview) {
        let Some(behind) = self.behind(&preview.stack) else { return };
        for change in &mut preview.changes {
            for property in &mut change.properties {
                let argument = behind.argument(&change.resource, property);
                property.place = argument.map(|argument| self.project.sources.place(argument.node.span));
            }
        }
    }

    /// What stands behind the properties of a stack.
    pub(super) fn behind(&self, name: &str) -> Option<Behind<'_>> {
        let stack = self.environment.stack(name)?;
        let template = self.templates.get(&stack.template.value)?;
        let arguments = self.templates.arguments(&self.environment, stack).unwrap_or_default();
        let mut known: BTreeMap<String, Vec<Landing>> = BTreeMap::new();
        for argument in &arguments {
            let Some(input) = template.inputs.get(&argument.input) else { continue };
            let found = landings(&self.templates, template, stack, &arguments, input, &[], &self.project.sources);
            known.insert(argument.input.clone(), found);
        }
        Some(Behind { inputs: &template.inputs, arguments, known })
    }

    /// The line of the template that a property is written in, or what comes nearest to it.
    pub(super) fn property(&self, stack: &str, resource: &str, property: Option<&str>) -> Option<Place> {
        let stack = self.environment.stack(stack)?;
        let sources = &self.project.sources;
        let below = property.into_iter().flat_map(|property| ["Properties"].into_iter().chain(property.split('/')));
        let path: Vec<&str> = [resource].into_iter().chain(below).collect();
        let span = self.templates.property_span(&self.environment, stack, &path, sources);
        span.map(|span| sources.place(span)).or_else(|| self.mention(&stack.template.value, property?))
    }

    /// The only line of a template that writes a property of that name, where its rendering cannot be traced back line by line.
    fn mention(&self, template: &str, property: &str) -> Option<Place> {
        let is_name = |part: &&str| !part.starts_with(|first: char| first.is_ascii_digit());
        let key = format!("{}:", property.split('/').rfind(is_name)?);
        let path = format!("templates/{template}/stack.yaml");
        let (source, text) = self.project.sources.iter().find(|(_, source)| source.path == path)?;
        let starts =
            |(at, _): &(usize, &str)| text.text[..*at].trim_end_matches([' ', '-']).ends_with(['\n', '{', ',']);
        let found: Vec<usize> = text.text.match_indices(&key).filter(starts).map(|(at, _)| at).collect();
        let [start] = found.as_slice() else { return None };
        Some(self.project.sources.place(Span { source, start: *start, end: start + key.len() }))
    }

    /// The line of the template that a resource begins at.
    pub(super) fn resource(&self, stack: &str, resource: &str) -> Option<Place> {
        let stack = self.environment.stack(stack)?;
        let sources = &self.project.sources;
        let span = self.templates.resource_span(&self.environment, stack, resource, sources)?;
        Some(sources.place(span))
    }
}

/// The values of a stack, and the properties that each of them ends up in.
pub(super) struct Behind<'a> {
    inputs: &'a Inputs,
    arguments: Vec<Argument>,
    known: BTreeMap<String, Vec<Landing>>,
}

impl Behind<'_> {
    /// The value behind a property, where there is only one that it can be.
    pub(super) fn argument(&self, resource: &str, property: &PropertyChange) -> Option<&Argument> {
        let lands = |argument: &&Argument| {
            let landings = self.known.get(&argument.input).into_iter().flatten();
            landings.into_iter().any(|landing| meets(landing, resource, property))
        };
        let candidates: Vec<&Argument> = self.arguments.iter().filter(lands).collect();
        behind(&candidates, property, self.inputs)
    }
}

fn meets(landing: &Landing, resource: &str, change: &PropertyChange) -> bool {
    let Some(property) = &landing.property else { return false };
    let is_within = |inner: &str, outer: &str| {
        inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    landing.resource == resource && (is_within(&change.path, property) || is_within(property, &change.path))
}

/// The argument behind a change: the parameter that CloudFormation names, the one whose value is the new one, or the only one
/// there is.
fn behind<'a>(candidates: &[&'a Argument], change: &PropertyChange, inputs: &Inputs) -> Option<&'a Argument> {
    let only = |found: Vec<&'a Argument>| if let [one] = found.as_slice() { Some(*one) } else { None };
    let parameter = |argument: &&Argument| inputs.get(&argument.input).and_then(|input| input.parameter.clone());
    let is_named = |argument: &&&Argument| change.cause.is_some() && parameter(argument) == change.cause;
    let is_new_value = |argument: &&&Argument| match &argument.given {
        Given::Value(value) => change.after.as_deref() == Some(plain(value).as_str()),
        Given::Reference(_) => false,
    };
    only(candidates.iter().filter(is_named).copied().collect())
        .or_else(|| only(candidates.iter().filter(is_new_value).copied().collect()))
        .or_else(|| only(candidates.to_vec()))
}
