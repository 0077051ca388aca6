//! What differs between two environments, or between one and what it was, in meaning.
//!
//! Between two, names are left out: both are rendered with the first one's words. A declared difference is honoured by giving the
//! second the first one's value for it and looking again: whatever else still differs was not declared. Of one environment at two
//! times everything counts that would be sent, names and settings included, and nothing is declared.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::environment::{Environment, Exception, Mistake, Place, Sources, Stack};
use crate::explain::written;
use crate::template::Templates;
use crate::template::arguments::{Argument, Given};
use crate::template::compare::{Comparison, Difference, PropertyDifference, compare};

/// What differs between two environments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Differences {
    /// The first.
    pub environment: String,
    /// The second.
    pub other: String,
    /// The commit that the first one is of, where both are one environment at two times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The stacks that differ, in the first one's order, then the second's.
    pub stacks: Vec<StackDifference>,
    /// Declared differences that say nothing (any more).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<IdleException>,
}

/// What differs about a stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackDifference {
    /// Its name.
    pub stack: String,
    /// Which environment alone has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_in: Option<String>,
    /// Values that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueDifference>,
    /// What of it differs beside its template, where names count: `stack_name`, `tags/team`, `deploy/notify/0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<PropertyDifference>,
    /// What that does to the template, but for what is declared.
    pub template: Comparison,
    /// How many resources differ only in what is declared.
    pub declared_resources: usize,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueDifference {
    /// The input.
    pub input: String,
    /// What the first gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<ValueAt>,
    /// What the second gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<ValueAt>,
    /// Why it may differ, where that is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// A value and the place that says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueAt {
    /// In one line.
    pub value: String,
    /// Where.
    pub place: Place,
}

/// A declared difference that says nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleException {
    /// Its path.
    pub path: String,
    /// Where it stands.
    pub place: Place,
    /// The day it ended, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

impl Differences {
    /// Whether anything differs that is not declared.
    pub fn has_undeclared(&self) -> bool {
        self.stacks.iter().any(StackDifference::is_undeclared)
    }
}

impl StackDifference {
    /// Of that stack, nothing yet.
    fn of(stack: &str) -> Self {
        Self {
            stack: stack.to_owned(),
            only_in: None,
            values: Vec::new(),
            settings: Vec::new(),
            template: Comparison::default(),
            declared_resources: 0,
        }
    }

    fn is_undeclared(&self) -> bool {
        self.only_in.is_some()
            || !self.settings.is_empty()
            || !self.template.is_empty()
            || self.values.iter().any(|value| value.because.is_none())
    }
}

/// An environment and what it is rendered by.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// Its templates.
    pub templates: &'a Templates,
}

/// Compares an environment with what it was in a commit, whose name is given in full and as it is shown. Both have their places in
/// `sources`. Nothing it was is what was not there yet.
///
/// # Errors
/// What keeps either from being rendered.
pub fn changes(
    before: Option<Side<'_>>,
    after: Side<'_>,
    sources: &Sources,
    commit: &str,
    commit_shown: &str,
) -> Result<Differences, Vec<Mistake>> {
    let name = after.environment.name.to_string();
    let was = format!("{name} at {commit_shown}");
    let mut stacks = Vec::new();
    let old = before.iter().flat_map(|before| &before.environment.stacks).filter(|stack| stack.is_managed);
    let old: Vec<&Stack> = old.collect();
    let new: Vec<&Stack> = after.environment.stacks.iter().filter(|stack| stack.is_managed).collect();
    let alone = |stack: &Stack, where_it_is: &str| StackDifference {
        only_in: Some(where_it_is.to_owned()),
        ..StackDifference::of(&stack.name)
    };
    for stack in &old {
        let found = match (before, new.iter().find(|other| other.name == stack.name)) {
            (Some(first), Some(other)) => {
                let mut used = BTreeSet::new();
                let mut comparing = Comparing { first, second: after, sources, exceptions: &[], used: &mut used };
                let settings = compare(&settings(first, stack), &settings(after, other)).rest;
                let found = comparing.stack(stack, other)?;
                match (found, settings.is_empty()) {
                    (None, true) => None,
                    (found, _) => {
                        Some(StackDifference { settings, ..found.unwrap_or_else(|| StackDifference::of(&stack.name)) })
                    }
                }
            }
            (_, _) => Some(alone(stack, &was)),
        };
        stacks.extend(found);
    }
    let is_new = |stack: &&&Stack| !old.iter().any(|other| other.name == stack.name);
    stacks.extend(new.iter().filter(is_new).map(|stack| alone(stack, &name)));
    Ok(Differences { environment: was, other: name, since: Some(commit.to_owned()), stacks, idle: Vec::new() })
}

/// What is sent for a stack beside its template and parameters, under the names that files have for it.
fn settings(side: Side<'_>, stack: &Stack) -> Json {
    let deploy = &stack.deploy;
    let settings = json!({
        "stack_name": stack.stack_name.value,
        "account": stack.account.value,
        "region": stack.region.value,
        "role": stack.role,
        "tags": stack.tags,
        "protected": side.environment.is_protected,
        "deploy": {
            "service_role": deploy.service_role,
            "template_bucket": deploy.template_bucket,
            "package_bucket": deploy.package_bucket,
            "capabilities": deploy.capabilities,
            "notify": deploy.notify,
            "rollback_alarms": deploy.rollback_alarms,
            "stack_policy": deploy.stack_policy.as_ref().map(|policy| &policy.document),
        },
    });
    without_nulls(settings)
}

/// What is not said is not there, rather than nothing.
fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(entries) => {
            let said = entries.into_iter().filter(|(_, value)| !value.is_null());
            said.map(|(key, value)| (key, without_nulls(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other,
    }
}

/// Compares two environments. `second` must be made with the words of `first`.
///
/// # Errors
/// What keeps either from being rendered.
pub fn differences(
    first: &Environment,
    second: &Environment,
    templates: &Templates,
    sources: &Sources,
    today: Date,
) -> Result<Differences, Vec<Mistake>> {
    let exceptions: Vec<&Exception> = first.differences.iter().chain(&second.differences).collect();
    let (current, ended): (Vec<&Exception>, Vec<&Exception>) =
        exceptions.into_iter().partition(|exception| exception.until.value >= today);
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut stacks = Vec::new();
    let order = first.stacks.iter().chain(second.stacks.iter().filter(|stack| first.stack(&stack.name).is_none()));
    for stack in order.filter(|stack| stack.is_managed) {
        let found = match (first.stack(&stack.name), second.stack(&stack.name)) {
            (Some(left), Some(right)) => {
                let side = |environment| Side { environment, templates };
                let (first, second) = (side(first), side(second));
                let mut comparing = Comparing { first, second, sources, exceptions: &current, used: &mut used };
                comparing.stack(left, right)?
            }
            (Some(_), None) => only_in(stack, first, &current, &mut used),
            (None, _) => only_in(stack, second, &current, &mut used),
        };
        stacks.extend(found);
    }
    let unused = current.iter().filter(|exception| !used.contains(&exception.path.value));
    let idle = |exception: &&Exception, ended: Option<String>| IdleException {
        path: exception.path.value.clone(),
        place: sources.place(exception.path.span),
        ended,
    };
    let idle = unused
        .map(|exception| idle(exception, None))
        .chain(ended.iter().map(|exception| idle(exception, Some(exception.until.value.to_string()))))
        .collect();
    Ok(Differences { environment: first.name.to_string(), other: second.name.to_string(), since: None, stacks, idle })
}

/// A stack that one side lacks; declared by its name alone.
fn only_in(
    stack: &Stack,
    environment: &Environment,
    exceptions: &[&Exception],
    used: &mut BTreeSet<String>,
) -> Option<StackDifference> {
    if exceptions.iter().any(|exception| exception.path.value == stack.name) {
        used.insert(stack.name.clone());
        return None;
    }
    Some(StackDifference { only_in: Some(environment.name.to_string()), ..StackDifference::of(&stack.name) })
}

impl Side<'_> {
    fn arguments(&self, stack: &Stack) -> Vec<Argument> {
        self.templates.arguments(self.environment, stack).unwrap_or_default()
    }
}

struct Comparing<'a> {
    first: Side<'a>,
    second: Side<'a>,
    sources: &'a Sources,
    exceptions: &'a [&'a Exception],
    used: &'a mut BTreeSet<String>,
}

impl Comparing<'_> {
    fn stack(&mut self, left: &Stack, right: &Stack) -> Result<Option<StackDifference>, Vec<Mistake>> {
        let before = self.first.templates.render(self.first.environment, left, self.sources)?;
        let after = self.second.templates.render(self.second.environment, right, self.sources)?;
        let values = self.values(left, right);
        let whole = compare(&before.document.json, &after.document.json);
        let declared: Vec<&ValueDifference> = values.iter().filter(|value| value.because.is_some()).collect();
        let neutral = self.neutralised(left, right, &declared);
        let mut template = neutral.map_or_else(|| whole.clone(), |after| compare(&before.document.json, &after));
        self.honour_properties(&left.name, &mut template);
        if values.is_empty() && whole.is_empty() {
            return Ok(None);
        }
        let declared_resources = whole.resources.len().saturating_sub(template.resources.len());
        Ok(Some(StackDifference { values, template, declared_resources, ..StackDifference::of(&left.name) }))
    }

    fn values(&mut self, left: &Stack, right: &Stack) -> Vec<ValueDifference> {
        let (before, after) = (self.first.arguments(left), self.second.arguments(right));
        let inputs: Vec<&String> = before.iter().chain(&after).map(|argument| &argument.input).collect();
        let mut seen = BTreeSet::new();
        let mut values = Vec::new();
        for input in inputs {
            if !seen.insert(input) {
                continue;
            }
            let find = |arguments: &[Argument]| arguments.iter().find(|argument| &argument.input == input).cloned();
            let (old, new) = (find(&before), find(&after));
            let given = |argument: &Option<Argument>| argument.as_ref().map(|argument| argument.given.clone());
            if given(&old) == given(&new) {
                continue;
            }
            let at = |argument: &Argument, stack: &Stack| ValueAt {
                value: written(&argument.node),
                place: self.sources.place(stack.value(input).map_or(argument.node.span, |value| value.node.span)),
            };
            let (old_at, new_at) = (old.as_ref().map(|old| at(old, left)), new.as_ref().map(|new| at(new, right)));
            let because = self.declared(&left.name, input, given(&old).as_ref(), given(&new).as_ref());
            values.push(ValueDifference { input: input.clone(), before: old_at, after: new_at, because });
        }
        values
    }

    /// The reason for which an input may differ: of the input itself, or of every key inside it that does differ.
    fn declared(&mut self, stack: &str, input: &str, before: Option<&Given>, after: Option<&Given>) -> Option<String> {
        let path = format!("{stack}/{input}");
        if let Some(exception) = self.exceptions.iter().find(|exception| exception.path.value == path) {
            self.used.insert(path);
            return Some(exception.because.clone());
        }
        let (Some(Given::Value(before)), Some(Given::Value(after))) = (before, after) else { return None };
        let inner = compare(&serde_json::json!({ "v": before }), &serde_json::json!({ "v": after }));
        let mut reasons = Vec::new();
        for difference in &inner.rest {
            let inner_path = format!("{path}{}", difference.path.trim_start_matches('v'));
            let covers = |exception: &&&Exception| {
                inner_path == exception.path.value || inner_path.starts_with(&format!("{}/", exception.path.value))
            };
            let exception = self.exceptions.iter().find(covers)?;
            self.used.insert(exception.path.value.clone());
            reasons.push(exception.because.clone());
        }
        reasons.dedup();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// The second one's template with the first one's values where a difference is declared.
    fn neutralised(&self, left: &Stack, right: &Stack, declared: &[&ValueDifference]) -> Option<serde_json::Value> {
        if declared.is_empty() {
            return None;
        }
        let templates = self.second.templates;
        let template = templates.get(&right.template.value)?;
        let is_declared = |argument: &Argument| declared.iter().any(|value| value.input == argument.input);
        let (before, after) = (self.first.arguments(left), self.second.arguments(right));
        let kept = after.into_iter().filter(|argument| !is_declared(argument));
        let taken = before.into_iter().filter(is_declared);
        let arguments: Vec<Argument> = kept.chain(taken).collect();
        let rendered = templates.render_with(template, right, &arguments, self.sources).ok()?;
        Some(rendered.document.json)
    }

    /// Takes out what is declared by resource and property.
    fn honour_properties(&mut self, stack: &str, template: &mut Comparison) {
        let exceptions = self.exceptions;
        let mut used = Vec::new();
        let mut is_declared = |path: &str| {
            let covers = |exception: &&&Exception| {
                path == exception.path.value || path.starts_with(&format!("{}/", exception.path.value))
            };
            let found = exceptions.iter().find(covers);
            used.extend(found.map(|exception| exception.path.value.clone()));
            found.is_some()
        };
        template.resources.retain_mut(|resource| {
            let path = format!("{stack}/{}", resource.resource);
            if is_declared(&path) {
                return false;
            }
            if let Difference::Changed(properties) = &mut resource.difference {
                properties.retain(|property| !is_declared(&format!("{path}/{}", property.path)));
                return !properties.is_empty();
            }
            true
        });
        self.used.extend(used);
    }
}
