//! Which stacks of which environments a change of the files touches.
//!
//! What counts is what comes of the files: a stack is affected when what would be sent for it differs, through whatever it was
//! inherited. A comment, a moved line, another order of keys affect nothing. Which files decide it is found the same way: each
//! changed file is put back by itself, and what comes of it is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use crate::environment::resolve::{name_to_try, resolve};
use crate::environment::{DeploySettings, Environment, Mistake, Project, Stack};
use crate::template::{Parameter, Templates};

/// What a change of the files touches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Affected {
    /// In order of their environments and names.
    pub stacks: Vec<AffectedStack>,
    /// What could not be rendered as it was, so that all of it counts as affected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_comparable: Vec<NotComparable>,
}

/// A stack that is affected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AffectedStack {
    /// The name of the environment's file.
    pub environment: String,
    /// Its name there.
    pub stack: String,
    /// What happens to it.
    pub change: Change,
    /// Whether the environment stands for many: it is deployed as `ENVIRONMENT@NAME`.
    pub named: bool,
    /// What of it differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Part>,
    /// The changed files without which it would not be affected in this way.
    pub files: Vec<String>,
}

/// What happens to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    New,
    /// Something else would be sent for it.
    Changed,
    /// It could not be rendered as it was: nobody can tell.
    NotComparable,
    /// The files do not have it any more. What runs is not touched by that.
    Gone,
}

/// A part of what is sent for a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "kebab-case")]
pub enum Part {
    /// The rendered template.
    Template,
    /// What its parameters are given.
    Parameters,
    /// The stack's tags, marks included.
    Tags,
    /// Its name in CloudFormation.
    #[strum(serialize = "stack name")]
    StackName,
    /// Its account.
    Account,
    /// Its Region.
    Region,
    /// The role that is assumed to reach it.
    Role,
    /// Service role, buckets, capabilities, notifications, alarms, policy.
    #[strum(serialize = "deploy settings")]
    DeploySettings,
    /// Whether the environment is protected.
    Protection,
}

/// An environment, or a stack of it, that could not be rendered as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotComparable {
    /// `production`, `production/database`.
    pub what: String,
    /// The first of the reasons.
    pub because: String,
}

/// A stack by its environment's file and its name there.
pub type Key = (String, String);

/// What comes of a project's files.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every managed stack of every environment: what would be sent, or why it cannot be told.
    pub stacks: BTreeMap<Key, Result<Sent, Vec<Mistake>>>,
    /// Environments that come to nothing.
    pub broken: BTreeMap<String, Vec<Mistake>>,
    /// Environments that stand for many.
    pub named: BTreeSet<String>,
}

/// What would be sent for a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    template: Json,
    parameters: Vec<Parameter>,
    tags: BTreeMap<String, String>,
    stack_name: String,
    account: String,
    region: String,
    role: Option<String>,
    deploy: DeploySettings,
    is_protected: bool,
}

impl Outcome {
    /// All that is wrong, with the environment or stack that it was met in.
    pub fn mistakes(&self) -> impl Iterator<Item = (String, &[Mistake])> {
        let broken = self.broken.iter().map(|(environment, mistakes)| (environment.clone(), mistakes.as_slice()));
        let stacks = self.stacks.iter().filter_map(|((environment, stack), sent)| {
            Some((format!("{environment}/{stack}"), sent.as_ref().err()?.as_slice()))
        });
        broken.chain(stacks)
    }
}

/// What is rendered of a project.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// Every stack of every environment.
    All,
    /// These.
    Only(&'a BTreeSet<Key>),
}

impl Asked<'_> {
    fn has_environment(self, file: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.iter().any(|(environment, _)| environment == file),
        }
    }

    fn has(self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.contains(key),
        }
    }
}

/// Renders what is asked for.
pub fn outcome(project: &mut Project, asked: Asked<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut environments = Vec::new();
    let files: Vec<String> =
        project.files.values().filter(|file| !file.is_abstract).map(|it| it.name.clone()).collect();
    for file in files.into_iter().filter(|file| asked.has_environment(file)) {
        let name = name_to_try(project, &file);
        if name.instance.is_some() {
            outcome.named.insert(file.clone());
        }
        let resolution = resolve(project, &name);
        match resolution.environment {
            Some(environment) if resolution.mistakes.is_empty() => environments.push(environment),
            _ => {
                outcome.broken.insert(file, resolution.mistakes);
            }
        }
    }
    let key = |environment: &Environment, stack: &Stack| (environment.name.file.clone(), stack.name.clone());
    let stacks: Vec<(&Environment, &Stack)> = environments
        .iter()
        .flat_map(|environment| environment.stacks.iter().map(move |stack| (environment, stack)))
        .filter(|(environment, stack)| stack.is_managed && asked.has(&key(environment, stack)))
        .collect();
    let wanted: BTreeSet<String> = stacks.iter().map(|(_, stack)| stack.template.value.clone()).collect();
    let templates = Templates::load(project, &wanted);
    for (environment, stack) in stacks {
        outcome.stacks.insert(key(environment, stack), sent(environment, stack, &templates, project));
    }
    outcome
}

fn sent(
    environment: &Environment,
    stack: &Stack,
    templates: &Templates,
    project: &Project,
) -> Result<Sent, Vec<Mistake>> {
    let rendered = templates.render(environment, stack, &project.sources)?;
    Ok(Sent {
        template: rendered.document.json,
        parameters: rendered.parameters,
        tags: stack.tags.clone(),
        stack_name: stack.stack_name.value.clone(),
        account: stack.account.value.clone(),
        region: stack.region.value.clone(),
        role: stack.role.clone(),
        deploy: stack.deploy.clone(),
        is_protected: environment.is_protected,
    })
}

/// The parts in which two differ.
pub fn parts(before: &Sent, after: &Sent) -> Vec<Part> {
    let parts = [
        (Part::Template, before.template != after.template),
        (Part::Parameters, before.parameters != after.parameters),
        (Part::Tags, before.tags != after.tags),
        (Part::StackName, before.stack_name != after.stack_name),
        (Part::Account, before.account != after.account),
        (Part::Region, before.region != after.region),
        (Part::Role, before.role != after.role),
        (Part::DeploySettings, before.deploy != after.deploy),
        (Part::Protection, before.is_protected != after.is_protected),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}

/// What differs between two outcomes. Of files nothing is known yet. In `after` every stack could be rendered.
pub fn affected(before: &Outcome, after: &Outcome) -> Affected {
    let keys: BTreeSet<&Key> = before.stacks.keys().chain(after.stacks.keys()).collect();
    let stack = |key: &&Key| {
        let was_broken = before.broken.contains_key(&key.0);
        let (change, differs) = match (before.stacks.get(*key), after.stacks.get(*key)) {
            (None, Some(_)) if was_broken => (Change::NotComparable, Vec::new()),
            (None, _) => (Change::New, Vec::new()),
            (Some(_), None) => (Change::Gone, Vec::new()),
            (Some(Ok(before)), Some(Ok(after))) => (Change::Changed, parts(before, after)),
            (Some(_), Some(_)) => (Change::NotComparable, Vec::new()),
        };
        if change == Change::Changed && differs.is_empty() {
            return None;
        }
        let outcome = if change == Change::Gone { before } else { after };
        Some(AffectedStack {
            environment: key.0.clone(),
            stack: key.1.clone(),
            change,
            named: outcome.named.contains(&key.0),
            differs,
            files: Vec::new(),
        })
    };
    let reason = |mistakes: &[Mistake]| mistakes.first().map(|it| it.message.clone()).unwrap_or_default();
    let not_comparable =
        before.mistakes().map(|(what, mistakes)| NotComparable { what, because: reason(mistakes) }).collect();
    Affected { stacks: keys.iter().filter_map(stack).collect(), not_comparable }
}

impl AffectedStack {
    /// Its environment's file and its name there.
    pub fn key(&self) -> Key {
        (self.environment.clone(), self.stack.clone())
    }

    /// Whether it comes out otherwise when something is put back: then that is what decides it.
    pub fn is_decided(&self, now: &Outcome, with_it_put_back: &Outcome) -> bool {
        let key = self.key();
        match (now.stacks.get(&key), with_it_put_back.stacks.get(&key)) {
            (Some(Ok(now)), Some(Ok(other))) => now != other,
            (None, None) => false,
            (_, _) => true,
        }
    }
}
