//! `environments/*.yaml` become an [`Environment`]: checked, inherited, interpolated, every value with the place it came from.
//!
//! Read [`shape`] for what a file may say and what passes on, [`layers`] for how files are laid over each other, [`resolve`] for
//! what comes of it. Nothing here knows templates: the values of inputs are kept as they were written, for the schema of the
//! template to judge. Nothing stops at the first mistake.

pub mod edit;
pub mod interpolate;
pub mod layers;
mod mistake;
pub mod order;
pub mod prices;
pub mod project;
pub mod reference;
pub mod resolve;
pub mod shape;
pub mod source;
pub mod stack_policy;
pub mod yaml;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

pub use interpolate::Words;
pub use layers::{Files, Layer};
pub use mistake::{Mistake, Related, Severity, did_you_mean, nearest};
pub use prices::Prices;
pub use project::{EnvironmentFile, Project};
pub use reference::Reference;
pub use source::{Place, SourceId, Sources, Span};
pub use stack_policy::StackPolicy;
pub use yaml::{Content, Entry, Node, Scalar, Style};

/// The name of an environment as it is typed: `production`, `scratch@jane`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentName {
    /// The name of its file.
    pub file: String,
    /// Which one, where the file stands for many.
    pub instance: Option<String>,
}

impl EnvironmentName {
    /// What `${environment}` stands for: `scratch-jane`.
    pub fn word(&self) -> String {
        match &self.instance {
            Some(instance) => format!("{}-{instance}", self.file),
            None => self.file.clone(),
        }
    }
}

impl std::fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.instance {
            Some(instance) => write!(f, "{}@{instance}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// The longest `NAME` in `scratch@NAME`: stack names end at 128 characters, and the pattern adds the rest.
pub const INSTANCE_CHARACTERS_MAX: usize = 32;

/// Why a text is no environment's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing, or something with a `/`.
    #[error("`{0}` is not the name of an environment")]
    NotAName(String),
    /// `scratch@Jane Doe`.
    #[error("`{0}` cannot follow the `@`: lower-case letters, digits and hyphens, at most {INSTANCE_CHARACTERS_MAX}")]
    NotAnInstance(String),
}

impl FromStr for EnvironmentName {
    type Err = NameFault;

    fn from_str(text: &str) -> Result<Self, NameFault> {
        let (file, instance) = match text.split_once('@') {
            Some((file, instance)) => (file, Some(instance)),
            None => (text, None),
        };
        if file.is_empty() || file.contains(['/', '\\']) || file.starts_with('.') {
            return Err(NameFault::NotAName(text.to_string()));
        }
        if let Some(instance) = instance.filter(|instance| !is_instance(instance)) {
            return Err(NameFault::NotAnInstance(instance.to_string()));
        }
        Ok(Self { file: file.to_string(), instance: instance.map(str::to_string) })
    }
}

fn is_instance(text: &str) -> bool {
    let is_letter_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= INSTANCE_CHARACTERS_MAX
        && text.bytes().next().is_some_and(is_letter_or_digit)
        && text.bytes().next_back().is_some_and(is_letter_or_digit)
        && text.bytes().all(|byte| is_letter_or_digit(byte) || byte == b'-')
}

/// Something and the place that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What is said.
    pub value: T,
    /// Where.
    pub span: Span,
}

/// An environment, ready to be rendered and deployed.
#[derive(Clone, Debug)]
pub struct Environment {
    /// As it is typed.
    pub name: EnvironmentName,
    /// What it is for.
    pub about: Option<String>,
    /// Part of every name and mark.
    pub project: String,
    /// The AWS account, twelve digits.
    pub account: Spanned<String>,
    /// The AWS Region.
    pub region: Spanned<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Whether it is harder to hurt.
    pub is_protected: bool,
    /// How long it lives after its creation.
    pub lifetime: Option<Spanned<Duration>>,
    /// Its stacks, in the order of the files.
    pub stacks: Vec<Stack>,
    /// What may differ between template and reality.
    pub drift_ignores: Vec<Exception>,
    /// What may be cloned from here.
    pub clone_policy: Option<ClonePolicy>,
    /// How it is made from another's data.
    pub clone: Option<CloneSettings>,
    /// Where it differs from others on purpose.
    pub differences: Vec<Exception>,
    /// Its files, ancestors first, each without what it does not hand on.
    pub layers: Vec<Layer>,
    /// All layers laid over each other, before interpolation.
    pub document: Node,
}

impl Environment {
    /// The stack of that name.
    pub fn stack(&self, name: &str) -> Option<&Stack> {
        self.stacks.iter().find(|stack| stack.name == name)
    }
}

/// One stack of an environment.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its name in the environment.
    pub name: String,
    /// Where it is named.
    pub span: Span,
    /// The folder in `templates/`, and the place that says so.
    pub template: Spanned<String>,
    /// Whether greenroom deploys it; otherwise its outputs are only read.
    pub is_managed: bool,
    /// Its name in CloudFormation.
    pub stack_name: Spanned<String>,
    /// Its account, account, role: its own or the environment's.
    pub account: Spanned<String>,
    /// Its Region.
    pub region: Spanned<String>,
    /// The role assumed to reach it.
    pub role: Option<String>,
    /// The words its texts may hold.
    pub words: Words,
    /// Its tags, the environment's and the marks included, in order of their keys.
    pub tags: BTreeMap<String, String>,
    /// How it is deployed.
    pub deploy: DeploySettings,
    /// Stacks that must be up first though no value says so.
    pub needs: Vec<Spanned<String>>,
    /// What it is given, shared values included.
    pub values: Vec<Value>,
}

impl Stack {
    /// The value given for an input.
    pub fn value(&self, input: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.input == input)
    }
}

/// A value for an input, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The input's name.
    pub input: String,
    /// Where it is named.
    pub input_span: Span,
    /// What it is given: words replaced, text untouched.
    pub node: Node,
    /// Whether it comes from the environment's `values`, meant for any stack that declares the input.
    pub is_shared: bool,
}

/// How a stack is brought to AWS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeploySettings {
    /// CloudFormation's own role.
    pub service_role: Option<String>,
    /// Where templates over 51,200 bytes are put.
    pub template_bucket: Option<String>,
    /// Where function packages are put.
    pub package_bucket: Option<String>,
    /// What templates may be allowed to do.
    pub capabilities: Vec<String>,
    /// Topics that receive stack events.
    pub notify: Vec<String>,
    /// Alarms that roll an update back.
    pub rollback_alarms: Vec<String>,
    /// CloudFormation's stack policy; without one, whatever is in force stays so.
    pub stack_policy: Option<StackPolicy>,
}

/// A difference that is meant, with a reason and an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// `STACK/RESOURCE/PROPERTY` or `STACK/INPUT`.
    pub path: Spanned<String>,
    /// Why.
    pub because: String,
    /// The last day on which it holds.
    pub until: Spanned<jiff::civil::Date>,
}

/// What may be cloned from an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClonePolicy {
    /// The environments that may be made from its data.
    pub targets: Vec<String>,
    /// The longest lifetime they may have.
    pub max_lifetime: Option<Duration>,
}

/// How an environment is made from another's data.
#[derive(Clone, Debug, PartialEq)]
pub struct CloneSettings {
    /// The environment whose data it gets.
    pub from: Spanned<String>,
    /// Which snapshot.
    pub snapshot: SnapshotChoice,
    /// By database, the SQL that stops its outboxes; `none` where there are none.
    pub quiesce: BTreeMap<String, String>,
    /// What both environments may use.
    pub share: Vec<String>,
    /// From where the quarantined database is reached.
    pub reach: Vec<String>,
    /// The most it may cost per day.
    pub max_cost: Option<f64>,
    /// The KMS key that its data is put under.
    pub key: Option<String>,
}

/// Which snapshot a clone is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotChoice {
    /// The newest automated one, if it is no older than this.
    Newest {
        /// The oldest it may be.
        within: Option<Duration>,
    },
    /// One that is taken for the purpose.
    Fresh,
    /// One by its id.
    Id(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_typed() {
        for text in ["production", "scratch@jane", "scratch@pr-812", "große-probe"] {
            assert_eq!(text.parse::<EnvironmentName>().expect("a name").to_string(), text);
        }
        assert_eq!("scratch@pr-812".parse::<EnvironmentName>().expect("a name").word(), "scratch-pr-812");
    }

    #[test]
    fn other_names_are_refused() {
        let long = format!("scratch@{}", "a".repeat(33));
        for text in [
            "",
            "@jane",
            "../x",
            ".schema",
            "scratch@",
            "scratch@Jane",
            "scratch@a b",
            "scratch@-a",
            "scratch@a-",
            "a@b@c",
            &long,
        ] {
            assert!(text.parse::<EnvironmentName>().is_err(), "{text}");
        }
    }
}
