//! A sealed plan: what was shown and agreed to, as a file that is carried out elsewhere, later, and without the project's files.
//!
//! It holds the rendered templates, what parameters are given (references as references), the marks, the approval, and of every
//! stack how it was: its id, its last operation, the change set that was shown. Of what references lead to it holds only digests,
//! and no secret at all: a hidden parameter that is given in clear is refused. The digest over all of it finds what was edited or
//! broken on the way; it is no signature, so whoever may write the file decides what is in it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::moved::{Sealed, SealedChangeSet, Seen, settled};
use super::plan::{Wanted, resolve};
use super::report::{Outlook, Preview, approval};
use super::world::{ChangeSetStatus, Execution};
use super::{Allowed, Desired, DesiredStack, Goal, Kind, LiveStack, Phase, Place, ReadStack, World, marks};
use crate::environment::{EnvironmentName, Reference, StackPolicy};
use crate::operation::Approval;
use crate::template::secrets::looks_like_a_secret;
use crate::template::{Parameter, ParameterValue};

/// The version of the file. It grows when a reader would have to change: an older program refuses a newer file.
pub const SEAL_VERSION: u64 = 1;

/// The key that tells a sealed plan from any other JSON, and says its version.
const VERSION_KEY: &str = "greenroom_seal";

/// Where a plan was made: what is rehearsed is not what is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// AWS.
    Aws,
    /// The local cloud.
    Local,
}

/// A sealed plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The version of the program that made it.
    pub made_by: String,
    /// Where it was made.
    pub cloud: Cloud,
    /// When, by the cloud's clock.
    pub made: Timestamp,
    /// From when on it is refused, by the cloud's clock.
    pub expires: Timestamp,
    /// The environment, as it is typed.
    pub environment: String,
    environment_word: String,
    project: String,
    is_protected: bool,
    revision: Option<String>,
    stacks: Vec<StackInSeal>,
    read: Vec<ReadStack>,
    named: BTreeSet<(String, String, String)>,
    replacements: BTreeSet<String>,
    take_over: BTreeSet<String>,
    retries: bool,
    approval: Approval,
}

/// A stack as it is wanted, and as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StackInSeal {
    name: String,
    stack_name: String,
    place: Place,
    template: Json,
    parameters: Vec<ParameterInSeal>,
    has_looked_up_parameters: bool,
    tags: BTreeMap<String, String>,
    template_bucket: Option<String>,
    capabilities: Vec<String>,
    has_hidden_resources: bool,
    capabilities_allowed: Vec<String>,
    service_role: Option<String>,
    notify: Vec<String>,
    rollback_alarms: Vec<String>,
    stack_policy: Option<Json>,
    needs: BTreeSet<String>,
    sealed: Sealed,
}

/// A parameter and what it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterInSeal {
    name: String,
    given: GivenInSeal,
}

/// What a parameter is given, written so that it reads like an environment file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum GivenInSeal {
    Text(String),
    Output { environment: Option<String>, stack: String, output: String },
    Export { name: String },
    Previous,
    Ssm { path: String },
    Secret { name: String, key: Option<String> },
}

/// Why a plan cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// A hidden parameter is given in clear.
    #[error(
        "parameter `{parameter}` of `{stack}` is hidden (`NoEcho`) and given in clear, and a seal holds no secrets"
    )]
    Secret {
        /// The stack.
        stack: String,
        /// The parameter.
        parameter: String,
    },
    /// Something looks like an access key or a private key.
    #[error("the plan of `{stack}` holds what looks like an access key or a private key, and a seal holds no secrets")]
    LooksSecret {
        /// The stack.
        stack: String,
    },
}

/// Why a file is no sealed plan that this program reads.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Cut off, or something else.
    #[error("it is not a whole sealed plan: {0}")]
    Broken(serde_json::Error),
    /// JSON, but of something else.
    #[error("it is not a sealed plan")]
    Other,
    /// Of a newer program.
    #[error("it has version {found}, and this greenroom reads {SEAL_VERSION}")]
    Version {
        /// What it says.
        found: u64,
    },
    /// The digest is another.
    #[error("it is not as it was sealed: its digest is not that of what it holds")]
    Edited,
}

/// Whether a plan holds nothing that must not lie in a file.
///
/// # Errors
/// What it holds.
pub fn ensure_no_secrets(desired: &Desired) -> Result<(), Unsealable> {
    for stack in &desired.stacks {
        let hidden = |name: &str| {
            let declared = stack.template.get("Parameters").and_then(|all| all.get(name)?.get("NoEcho"));
            declared.is_some_and(|hidden| {
                hidden == true || hidden.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
            })
        };
        for parameter in &stack.parameters {
            let ParameterValue::Text(text) = &parameter.value else { continue };
            if hidden(&parameter.name) && !text.starts_with("{{resolve:") {
                return Err(Unsealable::Secret { stack: stack.name.clone(), parameter: parameter.name.clone() });
            }
            if looks_like_a_secret(text) {
                return Err(Unsealable::LooksSecret { stack: stack.name.clone() });
            }
        }
        if looks_like_a_secret(&stack.template.to_string()) {
            return Err(Unsealable::LooksSecret { stack: stack.name.clone() });
        }
    }
    Ok(())
}

/// From when to when a seal holds, and where.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// Where it was made.
    pub cloud: Cloud,
    /// When.
    pub made: Timestamp,
    /// From when on it is refused.
    pub expires: Timestamp,
}

/// What the change sets of a seal add to their names: until when they are kept for it.
pub fn until(expires: Timestamp) -> String {
    format!("-until-{}", expires.strftime("%Y%m%dT%H%M%SZ"))
}

/// Until when a change set is kept for a seal; nothing for one that no seal needs.
pub fn kept_until(name: &str) -> Option<Timestamp> {
    let (_, until) = name.split_once("-until-")?;
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", until).ok()?;
    moment.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

impl Seal {
    /// Seals a plan as it was shown, from the look it was shown by.
    pub fn of(desired: &Desired, shown: &Preview, now: &World, term: Term) -> Self {
        let mut approval = approval(desired, shown);
        let mut stacks = Vec::with_capacity(desired.stacks.len());
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for stack in &desired.stacks {
            let is_done = |label: &str| done.contains(label);
            let sealed = sealed(desired, stack, now, &is_done);
            if let Some(approved) = approval.stacks.get_mut(&stack.name) {
                approved.change_set = sealed.change_set.as_ref().map(|change_set| change_set.name.clone());
            }
            stacks.push(StackInSeal::of(stack, sealed));
            let seen = shown.stacks.iter().find(|seen| seen.stack == stack.name);
            if seen.is_some_and(|seen| seen.outlook == Outlook::Unchanged) {
                done.insert(&stack.name);
            }
        }
        Self {
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            cloud: term.cloud,
            made: term.made,
            expires: term.expires,
            environment: desired.environment.clone(),
            environment_word: desired.environment_word.clone(),
            project: desired.project.clone(),
            is_protected: desired.is_protected,
            revision: desired.revision.clone(),
            stacks,
            read: desired.read.clone(),
            named: desired.named.clone(),
            replacements: desired.allowed.replacements.clone(),
            take_over: desired.allowed.take_over.clone(),
            retries: desired.allowed.retries,
            approval,
        }
    }

    /// The file, and the digest it bears.
    pub fn written(&self) -> (String, String) {
        let plan = json!(self);
        let digest = digest(&plan);
        (format!("{:#}\n", json!({ VERSION_KEY: SEAL_VERSION, "digest": digest, "plan": plan })), digest)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is cut off, something else, of a newer program, or not as it was sealed.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let mut file: Json = serde_json::from_str(text).map_err(Unreadable::Broken)?;
        match file.get(VERSION_KEY).and_then(Json::as_u64) {
            Some(SEAL_VERSION) => {}
            Some(found) => return Err(Unreadable::Version { found }),
            None => return Err(Unreadable::Other),
        }
        let plan = file.get_mut("plan").map(Json::take).unwrap_or_default();
        if file.get("digest").and_then(Json::as_str) != Some(digest(&plan).as_str()) {
            return Err(Unreadable::Edited);
        }
        serde_json::from_value(plan).map_err(Unreadable::Broken)
    }

    /// What is wanted, no more than was agreed to, and only while everything is as it was.
    ///
    /// # Errors
    /// A reference that is none: nobody but this program writes them, so the file is not one of its own.
    pub fn desired(&self) -> Result<Desired, Unreadable> {
        let stack = |stack: &StackInSeal| stack.desired(&until(self.expires));
        Ok(Desired {
            environment: self.environment.clone(),
            environment_word: self.environment_word.clone(),
            project: self.project.clone(),
            is_protected: self.is_protected,
            stacks: self.stacks.iter().map(stack).collect::<Option<_>>().ok_or(Unreadable::Other)?,
            read: self.read.clone(),
            named: self.named.clone(),
            allowed: Allowed {
                replacements: self.replacements.clone(),
                take_over: self.take_over.clone(),
                retries: self.retries,
                ..Allowed::default()
            },
            approval: Some(self.approval.clone()),
            goal: Goal::Deployed,
            revision: self.revision.clone(),
        })
    }
}

/// Of the text that `serde_json` makes of it, which keeps the order of keys: white space may change, and nothing else.
fn digest(plan: &Json) -> String {
    marks::whole_digest(plan.to_string().as_bytes())
}

/// How a stack was when the plan was sealed.
fn sealed(desired: &Desired, stack: &DesiredStack, now: &World, is_done: &dyn Fn(&str) -> bool) -> Sealed {
    let live = now.stacks.get(&stack.name).filter(|live| !matches!(live.status.phase(), Phase::Gone | Phase::Empty));
    let resolution = resolve(desired, stack, live, now, is_done);
    let is_settled = |parameter: &&Parameter| !resolution.waiting_parameters.contains(&parameter.name);
    let resolved = stack.parameters.iter().filter(is_settled).filter_map(|parameter| {
        Some((parameter.name.clone(), settled(stack, &parameter.name, &parameter.value, now)?))
    });
    let resolved = resolved.collect();
    let given = resolution.given.filter(|_| resolution.waiting_parameters.is_empty());
    let change_set = live.zip(given).and_then(|(live, given)| usable_change_set(stack, live, given));
    let seen = live.map(|live| Seen { id: live.id.clone(), last_operation: live.last_operation.clone() });
    Sealed { seen, change_set, resolved }
}

fn usable_change_set(
    stack: &DesiredStack,
    live: &LiveStack,
    given: Vec<(String, super::Given)>,
) -> Option<SealedChangeSet> {
    let wanted = Wanted::of(stack, Some(live), Kind::Update, given);
    let known = live.change_set(&wanted.name)?;
    let is_usable = known.status == ChangeSetStatus::Complete && known.execution == Execution::Available;
    is_usable.then(|| SealedChangeSet { name: known.name.clone(), id: known.id.clone() })
}

impl StackInSeal {
    fn of(stack: &DesiredStack, sealed: Sealed) -> Self {
        Self {
            name: stack.name.clone(),
            stack_name: stack.stack_name.clone(),
            place: stack.place.clone(),
            template: stack.template.clone(),
            parameters: stack.parameters.iter().map(ParameterInSeal::of).collect(),
            has_looked_up_parameters: stack.has_looked_up_parameters,
            tags: stack.tags.clone(),
            template_bucket: stack.template_bucket.clone(),
            capabilities: stack.capabilities.clone(),
            has_hidden_resources: stack.has_hidden_resources,
            capabilities_allowed: stack.capabilities_allowed.clone(),
            service_role: stack.service_role.clone(),
            notify: stack.notify.clone(),
            rollback_alarms: stack.rollback_alarms.clone(),
            stack_policy: stack.stack_policy.as_ref().map(|policy| policy.document.clone()),
            needs: stack.needs.clone(),
            sealed,
        }
    }

    fn desired(&self, until: &str) -> Option<DesiredStack> {
        Some(DesiredStack {
            name: self.name.clone(),
            stack_name: self.stack_name.clone(),
            place: self.place.clone(),
            template_digest: marks::digest([self.template.to_string().as_str()]),
            template: self.template.clone(),
            parameters: self.parameters.iter().map(ParameterInSeal::parameter).collect::<Option<_>>()?,
            has_looked_up_parameters: self.has_looked_up_parameters,
            tags: self.tags.clone(),
            template_bucket: self.template_bucket.clone(),
            capabilities: self.capabilities.clone(),
            has_hidden_resources: self.has_hidden_resources,
            capabilities_allowed: self.capabilities_allowed.clone(),
            service_role: self.service_role.clone(),
            notify: self.notify.clone(),
            rollback_alarms: self.rollback_alarms.clone(),
            stack_policy: self.stack_policy.clone().map(|document| StackPolicy { document }),
            needs: self.needs.clone(),
            is_drift_aware: false,
            kept_until: Some(until.to_owned()),
            sealed: Some(self.sealed.clone()),
        })
    }
}

impl ParameterInSeal {
    fn of(parameter: &Parameter) -> Self {
        let given = match &parameter.value {
            ParameterValue::Text(text) => GivenInSeal::Text(text.clone()),
            ParameterValue::Reference(Reference::Output { environment, stack, output }) => GivenInSeal::Output {
                environment: environment.as_ref().map(ToString::to_string),
                stack: stack.clone(),
                output: output.clone(),
            },
            ParameterValue::Reference(Reference::Export { name }) => GivenInSeal::Export { name: name.clone() },
            ParameterValue::Reference(Reference::Previous) => GivenInSeal::Previous,
            ParameterValue::Reference(Reference::Ssm { path }) => GivenInSeal::Ssm { path: path.clone() },
            ParameterValue::Reference(Reference::Secret { name, key }) => {
                GivenInSeal::Secret { name: name.clone(), key: key.clone() }
            }
        };
        Self { name: parameter.name.clone(), given }
    }

    fn parameter(&self) -> Option<Parameter> {
        let reference = match &self.given {
            GivenInSeal::Text(text) => {
                return Some(Parameter { name: self.name.clone(), value: ParameterValue::Text(text.clone()) });
            }
            GivenInSeal::Output { environment, stack, output } => {
                let environment: Option<EnvironmentName> = match environment {
                    Some(name) => Some(name.parse().ok()?),
                    None => None,
                };
                Reference::Output { environment, stack: stack.clone(), output: output.clone() }
            }
            GivenInSeal::Export { name } => Reference::Export { name: name.clone() },
            GivenInSeal::Previous => Reference::Previous,
            GivenInSeal::Ssm { path } => Reference::Ssm { path: path.clone() },
            GivenInSeal::Secret { name, key } => Reference::Secret { name: name.clone(), key: key.clone() },
        };
        Some(Parameter { name: self.name.clone(), value: ParameterValue::Reference(reference) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        let reference = |reference| ParameterValue::Reference(reference);
        let values = [
            ("Text", ParameterValue::Text("a".to_owned())),
            (
                "Output",
                reference(Reference::Output {
                    environment: "scratch@jane".parse().ok(),
                    stack: "elk".to_owned(),
                    output: "Url".to_owned(),
                }),
            ),
            ("Export", reference(Reference::Export { name: "n".to_owned() })),
            ("Previous", reference(Reference::Previous)),
            ("Ssm", reference(Reference::Ssm { path: "/a".to_owned() })),
            ("Secret", reference(Reference::Secret { name: "s".to_owned(), key: Some("k".to_owned()) })),
        ];
        let parameters =
            values.map(|(name, value)| Parameter { name: name.to_owned(), value }).into_iter().collect::<Vec<_>>();
        let stack = DesiredStack { name: "api".to_owned(), parameters, ..DesiredStack::default() };
        let desired = Desired { environment: "lab".to_owned(), stacks: vec![stack], ..Desired::default() };
        let preview = super::super::report::preview(&desired, &World::default());
        let term = Term { cloud: Cloud::Aws, made: Timestamp::UNIX_EPOCH, expires: Timestamp::UNIX_EPOCH };
        Seal::of(&desired, &preview, &World::default(), term)
    }

    #[test]
    fn a_seal_is_read_as_it_was_written() {
        let (text, _) = seal().written();
        let read = Seal::read(&text);
        assert_eq!(read.as_ref().ok(), Some(&seal()));
        let parameters = |seal: &Seal| seal.desired().map(|desired| desired.stacks[0].parameters.len());
        assert_eq!(read.and_then(|seal| parameters(&seal)).ok(), Some(6));
    }

    #[test]
    fn every_edit_is_found() {
        let (text, _) = seal().written();
        for (old, new) in [("lab", "live"), ("\"Text\"", "\"Word\""), ("aws", "local")] {
            assert!(text.contains(old), "{text}");
            let read = Seal::read(&text.replace(old, new));
            assert!(matches!(read, Err(Unreadable::Edited)), "{old}");
        }
    }

    #[test]
    fn a_change_set_tells_until_when_it_is_kept() {
        let moment: Timestamp = "2026-11-26T15:00:07.9Z".parse().unwrap_or_default();
        let name = format!("r-0123456789abcdef{}", until(moment));
        assert_eq!(name, "r-0123456789abcdef-until-20261126T150007Z");
        assert_eq!(kept_until(&name), "2026-11-26T15:00:07Z".parse().ok());
        assert_eq!(kept_until("r-0123456789abcdef"), None);
        assert_eq!(kept_until("r-until-tomorrow"), None);
    }
}
