//! Where a value comes from, layer by layer, and where it goes, property by property.

use serde::Serialize;

use crate::environment::{
    Content, Environment, Mistake, Node, Place, Project, Sources, Span, Stack, Value, did_you_mean,
};
use crate::template::Templates;
use crate::template::arguments::{Argument, Given};
use crate::template::inputs::{Input, kind, plain};
use crate::template::landing::{Landing, landings};
use crate::template::secrets::secrets_in_clear;

/// What there is to say about one path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// As it was asked for: `database.instance_class`, `account`.
    pub path: String,
    /// What holds; nothing where nothing is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Every place that says something, the winning one first.
    pub places: Vec<Said>,
    /// What the template says of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<InputFacts>,
    /// The properties it ends up in; nothing where the stack's values are wrong and it cannot be rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lands_in: Option<Vec<Landing>>,
}

/// One place that says something about a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Where.
    pub place: Place,
    /// What it says, as it is written, in one line.
    pub text: String,
    /// What becomes of it.
    pub standing: Standing,
}

/// What becomes of what a layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds.
    Wins,
    /// It is a map, and the winning one is laid over it.
    Merged,
    /// A later layer says something else.
    Overridden,
    /// It takes away what is below it.
    Removes,
    /// It holds for that environment alone.
    NotInherited,
}

/// What a template says of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputFacts {
    /// A sentence.
    pub about: String,
    /// What kind of value it takes.
    pub takes: String,
    /// The CloudFormation parameter it becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What changing it replaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
}

/// What can be wrong with a path.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ExplainFault {
    /// Nothing is called that.
    #[error("`{environment}` has nothing called `{path}`")]
    Nothing {
        /// The environment.
        environment: String,
        /// The path.
        path: String,
    },
}

/// Every value of every stack, in short: path, value, place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// The environment.
    pub environment: String,
    /// One by one.
    pub values: Vec<OverviewRow>,
}

/// One value in an overview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverviewRow {
    /// `STACK.INPUT`.
    pub path: String,
    /// As it is written, in one line.
    pub value: String,
    /// Where it is written.
    pub place: Place,
    /// Whether only the template says it.
    pub is_default: bool,
}

/// Every value that the stacks of an environment are given.
pub fn overview(project: &Project, environment: &Environment, templates: &Templates) -> Overview {
    let sources = &project.sources;
    let hidden = secrets_in_clear(project);
    let managed = environment.stacks.iter().filter(|stack| stack.is_managed);
    let values = managed.flat_map(|stack| {
        let arguments = templates.arguments(environment, stack).unwrap_or_else(|| as_written(stack));
        arguments.into_iter().map(|argument| OverviewRow {
            path: format!("{}.{}", stack.name, argument.input),
            value: shown(&argument.node, &hidden),
            place: sources.place(stack.value(&argument.input).map_or(argument.node.span, |value| value.node.span)),
            is_default: argument.is_default,
        })
    });
    Overview { environment: environment.name.to_string(), values: values.collect() }
}

/// What a stack gives where some of it is wrong: what is written, without defaults.
fn as_written(stack: &Stack) -> Vec<Argument> {
    let given = |value: &Value| Argument {
        input: value.input.clone(),
        given: Given::Value(serde_json::Value::Null),
        node: value.node.clone(),
        is_default: false,
    };
    stack.values.iter().filter(|value| !value.is_shared).map(given).collect()
}

/// Explains one path: `STACK.INPUT` with further keys behind it, or a key of the environment.
///
/// # Errors
/// When nothing has that name; with the nearest one.
pub fn explain(
    project: &Project,
    environment: &Environment,
    templates: &Templates,
    path: &str,
) -> Result<Explanation, Box<Mistake>> {
    let parts: Vec<&str> = path.split(['.', '/']).filter(|part| !part.is_empty()).collect();
    let is_of_stack = |parts: &[&str]| {
        let of_stack = ["stacks"].into_iter().chain(parts.iter().copied());
        environment.document.at(of_stack).is_some()
    };
    match parts.as_slice() {
        // A stack, or a key of it: `database.account`.
        [first, ..] if environment.stack(first).is_some() && is_of_stack(&parts) => {
            explain_key(project, environment, path, &[&["stacks"], parts.as_slice()].concat())
        }
        [stack, input, rest @ ..] if environment.stack(stack).is_some() => {
            explain_value(project, environment, templates, path, (stack, input, rest))
        }
        parts => explain_key(project, environment, path, parts),
    }
}

fn explain_value(
    project: &Project,
    environment: &Environment,
    templates: &Templates,
    path: &str,
    (stack_name, input_name, rest): (&str, &str, &[&str]),
) -> Result<Explanation, Box<Mistake>> {
    let sources = &project.sources;
    let found = environment.stack(stack_name).and_then(|stack| Some((stack, templates.get(&stack.template.value)?)));
    let Some((stack, template)) = found else { return Err(nothing(environment, path, None)) };
    let Some(input) = template.inputs.get(input_name) else {
        let near = did_you_mean(input_name, template.inputs.all.iter().map(|input| input.name.as_str()));
        return Err(nothing(environment, path, near));
    };
    let own: Vec<&str> = ["stacks", stack_name, "values", input_name].into_iter().chain(rest.iter().copied()).collect();
    let shared: Vec<&str> = ["values", input_name].into_iter().chain(rest.iter().copied()).collect();
    let hidden = secrets_in_clear(project);
    let mut places = said(environment, &own, sources, &hidden);
    places.extend(said(environment, &shared, sources, &hidden));
    let default = input.default.as_ref().and_then(|default| default.at(rest.iter().copied()));
    places.extend(default.map(|node| {
        (Said { place: sources.place(node.span), text: written(node), standing: Standing::Overridden }, is_map(node))
    }));
    let arguments = templates.arguments(environment, stack);
    let argument =
        arguments.as_ref().and_then(|arguments| arguments.iter().find(|argument| argument.input == input_name));
    let given = stack.value(input_name).map(|value| &value.node).or(input.default.as_ref());
    // Where another value of the stack is wrong, nothing was laid over the default.
    let node = argument.map(|argument| &argument.node).or(given.filter(|_| arguments.is_none()));
    let value = node.and_then(|node| node.at(rest.iter().copied())).map(|node| shown(node, &hidden));
    let value = value.or_else(|| default_inside(argument?, rest));
    let landings =
        arguments.as_ref().map(|arguments| landings(templates, template, stack, arguments, input, rest, sources));
    Ok(Explanation {
        path: path.to_string(),
        value,
        places: ranked(places),
        input: Some(facts(input, template.inputs.schema_of(input_name))),
        lands_in: landings,
    })
}

/// What the schema of an input says for a key inside it that nobody gives.
fn default_inside(argument: &Argument, rest: &[&str]) -> Option<String> {
    let Given::Value(value) = &argument.given else { return None };
    let found = rest.iter().try_fold(value, |value, part| match value {
        serde_json::Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })?;
    Some(plain(found))
}

fn facts(input: &Input, schema: &serde_json::Value) -> InputFacts {
    InputFacts {
        about: input.about.clone(),
        takes: kind(schema),
        parameter: input.parameter.clone(),
        replaces: input.replaces.clone(),
    }
}

fn explain_key(
    project: &Project,
    environment: &Environment,
    path: &str,
    parts: &[&str],
) -> Result<Explanation, Box<Mistake>> {
    let hidden = secrets_in_clear(project);
    let places = said(environment, parts, &project.sources, &hidden);
    let node = environment.document.at(parts.iter().copied());
    if places.is_empty() && node.is_none() {
        let keys = environment.document.as_mapping().unwrap_or_default().iter().map(|entry| entry.key.as_str());
        let stacks = environment.stacks.iter().map(|stack| stack.name.as_str());
        return Err(nothing(
            environment,
            path,
            did_you_mean(parts.first().copied().unwrap_or_default(), keys.chain(stacks)),
        ));
    }
    Ok(Explanation {
        path: path.to_string(),
        value: node.map(|node| shown(node, &hidden)),
        places: ranked(places),
        input: None,
        lands_in: None,
    })
}

fn nothing(environment: &Environment, path: &str, near: Option<String>) -> Box<Mistake> {
    let fault = ExplainFault::Nothing { environment: environment.name.to_string(), path: path.to_string() };
    let all = format!("`greenroom explain {}` lists every value", environment.name);
    Box::new(Mistake::new(&fault).hint(near.unwrap_or(all)))
}

/// What each layer says at a path, the last layer first, and whether it says it with a map.
fn said(environment: &Environment, path: &[&str], sources: &Sources, hidden: &[Span]) -> Vec<(Said, bool)> {
    let mut found = Vec::new();
    for layer in environment.layers.iter().rev() {
        if let Some(node) = layer.root.at(path.iter().copied()) {
            let standing = if node.is_null() { Standing::Removes } else { Standing::Overridden };
            found.push((Said { place: sources.place(node.span), text: shown(node, hidden), standing }, is_map(node)));
        }
        let is_here = |withheld: &&crate::environment::shape::Withheld| {
            withheld.path.iter().map(String::as_str).eq(path.iter().copied())
        };
        if let Some(withheld) = layer.withheld.iter().find(is_here) {
            let said = Said {
                place: sources.place(withheld.span),
                text: line_at(sources, withheld.span, hidden),
                standing: Standing::NotInherited,
            };
            found.push((said, false));
        }
    }
    found
}

/// Gives the first that counts the crown; maps below it are merged until something else cuts them off.
fn ranked(places: Vec<(Said, bool)>) -> Vec<Said> {
    let mut is_decided = false;
    let mut is_merging = false;
    let rank = |(said, is_map): (Said, bool)| {
        let standing = match said.standing {
            Standing::NotInherited => Standing::NotInherited,
            Standing::Removes => {
                (is_decided, is_merging) = (true, false);
                Standing::Removes
            }
            _ if !is_decided => {
                (is_decided, is_merging) = (true, is_map);
                Standing::Wins
            }
            _ if is_merging && is_map => Standing::Merged,
            _ => {
                is_merging = false;
                Standing::Overridden
            }
        };
        Said { standing, ..said }
    };
    places.into_iter().map(rank).collect()
}

fn is_map(node: &Node) -> bool {
    node.as_mapping().is_some() && !crate::environment::reference::is_reference(node)
}

fn line_at(sources: &Sources, span: Span, hidden: &[Span]) -> String {
    let text = &sources.get(span.source).text;
    let end = text[span.start..].find('\n').map_or(text.len(), |newline| span.start + newline);
    // A secret may stand further on in the same line.
    let is_in_line = |hidden: &&Span| hidden.source == span.source && (span.start..end).contains(&hidden.start);
    let end = hidden.iter().filter(is_in_line).map(|hidden| hidden.start).min().unwrap_or(end);
    text[span.start..end].trim().to_string()
}

/// A value in one line, without secrets.
fn shown(node: &Node, hidden: &[Span]) -> String {
    let mut node = node.clone();
    conceal(&mut node, hidden);
    written(&node)
}

fn conceal(node: &mut Node, hidden: &[Span]) {
    let is_scalar = matches!(node.content, Content::Scalar(_));
    let touches = |hidden: &Span| {
        hidden.source == node.span.source && hidden.start < node.span.end && node.span.start < hidden.end
    };
    if hidden.iter().any(|hidden| hidden.contains(&node.span) || is_scalar && touches(hidden)) {
        *node = Node::text("(a secret, not shown)", node.span);
        return;
    }
    match &mut node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => items.iter_mut().for_each(|item| conceal(item, hidden)),
        Content::Mapping(entries) => entries.iter_mut().for_each(|entry| conceal(&mut entry.value, hidden)),
    }
}

/// A value in one line, as a person would write it.
pub fn written(node: &Node) -> String {
    const CHARACTERS_MAX: usize = 80;
    let text = flow(node);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn flow(node: &Node) -> String {
    match &node.content {
        Content::Scalar(_) if node.is_null() => "null".to_string(),
        Content::Scalar(scalar) if scalar.text.is_empty() => "''".to_string(),
        Content::Scalar(scalar) => scalar.text.clone(),
        Content::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Content::Mapping(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{}: {}", entry.key, flow(&entry.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}
