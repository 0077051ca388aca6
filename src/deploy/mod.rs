//! `plan` and `deploy`: the stacks of an environment become what its file says, through change sets.
//!
//! The nouns are here: what is wanted ([`Desired`]), what is seen ([`World`]), what can be done ([`Step`]) and why nothing is done
//! ([`Reason`]). [`plan`] decides, [`observe`] looks, [`apply`] acts; [`changes`] reads a change set, [`marks`] knows names and
//! digests. Nothing is remembered between runs: what has been done is read back from the stacks.

pub mod apply;
pub mod changes;
pub mod consumers;
pub mod desired;
pub mod drifted;
pub mod estimate;
pub mod leftovers;
pub mod lifetime;
pub mod marks;
pub mod moved;
pub mod observe;
pub mod plan;
pub mod report;
pub mod seal;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use changes::{Action, Change, Verdict};
pub use world::{BucketStanding, LiveStack, Phase, Progress, StackStatus, Stuck, World};

use crate::environment::StackPolicy;
use crate::environment::stack_policy::{Denial, UpdateAction};
use crate::operation::{About, Approval, Excess, Subject};
use crate::template::{Parameter, ParameterValue};

/// Where a stack lives, and as whom it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Twelve digits.
    pub account: String,
    /// The AWS Region.
    pub region: String,
    /// The role that is assumed there.
    pub role: Option<String>,
}

/// What is wanted of an environment.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// As it is typed: `scratch@jane`.
    pub environment: String,
    /// The value of the mark `greenroom:environment`.
    pub environment_word: String,
    /// The value of the mark `greenroom:project`.
    pub project: String,
    /// Whether it is harder to hurt.
    pub is_protected: bool,
    /// The stacks to deploy, each after those it needs.
    pub stacks: Vec<DesiredStack>,
    /// Stacks whose outputs are read: unmanaged ones, those nobody asked to deploy, and those of other environments.
    pub read: Vec<ReadStack>,
    /// The CloudFormation names, with account and Region, of every stack the file names, deployed or not. What bears our marks
    /// and is not among them is a stray.
    pub named: BTreeSet<(String, String, String)>,
    /// What was allowed on the command line.
    pub allowed: Allowed,
    /// What was shown and agreed to; nothing where everything harmless is.
    pub approval: Option<Approval>,
    /// How far to go.
    pub goal: Goal,
    /// The revision of the repository, for the mark.
    pub revision: Option<String>,
}

/// How far to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// Every change is known, and its change set may stay.
    Known,
    /// Every change is known, and the change sets that bring it about stay for a sealed plan; no other is left.
    Sealed,
    /// Every change is known, and no change set of ours is left.
    Shown,
    /// Nothing is left of what was prepared.
    Withdrawn,
    /// Every stack is as wanted.
    #[default]
    Deployed,
}

/// What was allowed on the command line, beyond what goes without saying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `STACK/RESOURCE`: may be replaced or removed though it holds data.
    pub replacements: BTreeSet<String>,
    /// Stacks that may be taken over though they bear no marks of ours.
    pub take_over: BTreeSet<String>,
    /// Stacks that may be deleted and created anew, because their creation failed.
    pub recreate: BTreeSet<String>,
    /// `STACK/RESOURCE`: what was changed by hand may be written over.
    pub overwrite_drift: BTreeSet<String>,
    /// Whether stacks gone from the file are deleted.
    pub prunes: bool,
    /// Whether a change is tried again that failed before in just this shape.
    pub retries: bool,
}

/// What is wanted of one stack.
#[derive(Clone, Debug, Default)]
pub struct DesiredStack {
    /// Its name in the environment.
    pub name: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
    /// The template, without the mark.
    pub template: Json,
    /// The digest of the template.
    pub template_digest: String,
    /// Whether CloudFormation compares with what is instead of with what was deployed: then it undoes drift, and records what
    /// the template says by now (User Guide, "Using drift-aware change sets").
    pub is_drift_aware: bool,
    /// What the template's parameters are given.
    pub parameters: Vec<Parameter>,
    /// Whether a parameter's value is looked up by CloudFormation, so that it can change by itself.
    pub has_looked_up_parameters: bool,
    /// Its tags, the marks included.
    pub tags: BTreeMap<String, String>,
    /// Where the template is put if a call cannot carry it.
    pub template_bucket: Option<String>,
    /// The capabilities that the template needs.
    pub capabilities: Vec<String>,
    /// Whether it stands for resources that are not in it and may need more.
    pub has_hidden_resources: bool,
    /// The capabilities that the environment allows.
    pub capabilities_allowed: Vec<String>,
    /// CloudFormation's own role: its name, or its ARN.
    pub service_role: Option<String>,
    /// Topics that receive stack events.
    pub notify: Vec<String>,
    /// Alarms that roll an update back: their names, or their ARNs.
    pub rollback_alarms: Vec<String>,
    /// The stack policy it is to have; without one, whatever is in force stays so.
    pub stack_policy: Option<StackPolicy>,
    /// The labels of the stacks that must be as wanted first: of this environment, and deployed with it.
    pub needs: BTreeSet<String>,
    /// What the names of its change sets end with, where they are kept for a sealed plan.
    pub kept_until: Option<String>,
    /// How it was when the plan was sealed, where it was.
    pub sealed: Option<moved::Sealed>,
}

/// A stack whose outputs are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadStack {
    /// `network`, or `staging/elk` where it is another environment's.
    pub label: String,
    /// Its name in CloudFormation.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
}

/// What a parameter is given, once that is known.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// Text; lists are joined by commas.
    Text(String),
    /// What the stack has now.
    Previous,
}

/// A parameter may be a secret, and a step is printed by whoever looks for a fault.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Previous => "Previous",
        })
    }
}

impl Desired {
    /// The stack to deploy of that name.
    pub fn stack(&self, name: &str) -> Option<&DesiredStack> {
        self.stacks.iter().find(|stack| stack.name == name)
    }

    /// Whether any parameter asks for an export.
    pub fn asks_for_exports(&self) -> bool {
        use crate::environment::Reference;
        let asks =
            |parameter: &Parameter| matches!(parameter.value, ParameterValue::Reference(Reference::Export { .. }));
        self.stacks.iter().any(|stack| stack.parameters.iter().any(asks))
    }
}

/// Whether a change set creates its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The stack does not exist, or is empty.
    Create,
    /// The stack exists.
    Update,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Have CloudFormation compute a change.
    CreateChangeSet {
        /// The stack.
        stack: String,
        /// The change set's name, which says what it is for.
        name: String,
        /// Whether the stack is new.
        kind: Kind,
        /// The digest for the mark.
        #[serde(skip)]
        digest: String,
        /// What its parameters are given.
        #[serde(skip)]
        parameters: Vec<(String, Given)>,
        /// Its tags, with those that say whose data the stack holds.
        #[serde(skip)]
        tags: BTreeMap<String, String>,
        /// Whether topics and alarms that the file does not name are taken off, which stick to a stack otherwise.
        #[serde(skip)]
        clears: bool,
        /// Whether it is computed against what is instead of against what was deployed.
        #[serde(skip)]
        is_drift_aware: bool,
    },
    /// Carry a change out.
    ExecuteChangeSet {
        /// The stack.
        stack: String,
        /// The change set's name.
        name: String,
        /// The change set's ARN; nothing while it does not exist.
        #[serde(skip)]
        id: Option<String>,
        /// What makes a repeated call the same call; nothing while the change set does not exist.
        #[serde(skip)]
        token: Option<String>,
    },
    /// Delete a change set that is of no use.
    DeleteChangeSet {
        /// The stack.
        stack: String,
        /// The change set's name.
        name: String,
    },
    /// Guard a stack against deletion.
    ProtectStack {
        /// The stack.
        stack: String,
    },
    /// Put the stack policy of the file in force.
    SetStackPolicy {
        /// The stack.
        stack: String,
    },
    /// Delete a stack that was never created, and has no change set any more.
    DeleteEmptyStack {
        /// The stack.
        stack: String,
        /// Its ARN.
        id: String,
        /// The change sets that this run has deleted of it. They are deleted once more just before, which is refused if somebody
        /// has made one anew and executes it: of a stack's deletion nothing can be made a condition.
        #[serde(skip)]
        change_sets: Vec<String>,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
    /// Delete what is left of a stack whose creation failed, so that it can be created anew.
    DeleteFailedStack {
        /// The stack.
        stack: String,
        /// Its ARN.
        id: String,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
    /// Delete a stack that is gone from the file.
    DeleteStack {
        /// The name it had in the environment.
        stack: String,
        /// Its ARN.
        id: String,
        /// Where it lives.
        #[serde(skip)]
        place: Place,
        /// What makes a repeated call the same call.
        #[serde(skip)]
        token: String,
    },
}

impl Step {
    fn stack(&self) -> &str {
        match self {
            Self::CreateChangeSet { stack, .. }
            | Self::ExecuteChangeSet { stack, .. }
            | Self::DeleteChangeSet { stack, .. }
            | Self::ProtectStack { stack }
            | Self::SetStackPolicy { stack }
            | Self::DeleteEmptyStack { stack, .. }
            | Self::DeleteFailedStack { stack, .. }
            | Self::DeleteStack { stack, .. } => stack,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateChangeSet { stack, name, kind: Kind::Create, .. } => {
                write!(f, "create change set `{name}` for the new stack `{stack}`")
            }
            Self::CreateChangeSet { stack, name, kind: Kind::Update, .. } => {
                write!(f, "create change set `{name}` of stack `{stack}`")
            }
            Self::ExecuteChangeSet { stack, name, .. } => write!(f, "execute change set `{name}` of stack `{stack}`"),
            Self::DeleteChangeSet { stack, name } => write!(f, "delete change set `{name}` of stack `{stack}`"),
            Self::ProtectStack { stack } => write!(f, "set termination protection of stack `{stack}`"),
            Self::SetStackPolicy { stack } => write!(f, "set the stack policy of stack `{stack}`"),
            Self::DeleteEmptyStack { stack, .. } => write!(f, "delete stack `{stack}`, which was never created"),
            Self::DeleteFailedStack { stack, .. } => {
                write!(f, "delete stack `{stack}`, whose creation failed, to create it anew")
            }
            Self::DeleteStack { stack, .. } => write!(f, "delete stack `{stack}`, which is gone from the file"),
        }
    }
}

impl About for Step {
    fn subject(&self) -> Subject {
        Subject { stack: Some(self.stack().to_owned()), resource: None }
    }
}

/// Why a stack is not simply done.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    // What is waited for.
    /// Stacks that it needs are not as wanted yet.
    #[error("after {}", sentence_of(upstream))]
    After {
        /// The stack that waits.
        stack: String,
        /// What it waits for.
        upstream: Vec<Upstream>,
    },
    /// An operation is running.
    #[error("{}", busy(status, progress))]
    Busy {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
        /// How far it is.
        progress: Progress,
    },
    /// CloudFormation computes a change set.
    #[error("change set `{name}` is being computed")]
    Computing {
        /// The stack.
        stack: String,
        /// The change set.
        name: String,
    },
    /// Its change is known, but others are not, and nothing is changed before all that can be known is.
    #[error("until the changes of {} are known", list(others))]
    OthersFirst {
        /// The stack that waits.
        stack: String,
        /// The stacks whose change sets are being computed.
        others: Vec<String>,
    },
    /// A change set was executed; the stack does not show it yet.
    #[error("change set `{name}` has begun")]
    Beginning {
        /// The stack.
        stack: String,
        /// The change set.
        name: String,
    },
    /// A change set is being deleted.
    #[error("change set `{name}` is being deleted")]
    Clearing {
        /// The stack.
        stack: String,
        /// The change set.
        name: String,
    },

    // What is refused.
    /// The stack bears no marks of ours.
    #[error("stack `{stack_name}` exists and {}", match owner {
        Some(owner) => format!("belongs to {owner}"),
        None => "was not made by greenroom".to_owned(),
    })]
    NotOurs {
        /// The stack.
        stack: String,
        /// Its name in CloudFormation.
        stack_name: String,
        /// The environment it belongs to, if its marks say so.
        owner: Option<String>,
    },
    /// Something that holds data would be replaced or removed.
    #[error("`{stack}/{resource}` holds data and would be {verdict}")]
    HoldsData {
        /// The stack.
        stack: String,
        /// The logical id.
        resource: String,
        /// Its type.
        kind: String,
        /// What would become of it.
        verdict: Verdict,
    },
    /// The stack policy that will be in force denies what would be done.
    #[error("`{stack}/{resource}` may not be {}: {denial}", match denial.action {
        UpdateAction::Modify => "changed",
        UpdateAction::Replace => "replaced",
        UpdateAction::Delete => "removed",
    })]
    DeniedByPolicy {
        /// The stack.
        stack: String,
        /// The logical id.
        resource: String,
        /// What denies it.
        #[serde(flatten)]
        denial: Denial,
        /// Whether the policy is the file's; otherwise the stack has it from somebody else.
        is_declared: bool,
    },
    /// Somebody changed by hand what would be written, and the environment is protected.
    #[error("`{stack}/{resource}` was changed by hand, and may be written over: {}", properties.join(", "))]
    OverwritesDrift {
        /// The stack.
        stack: String,
        /// The logical id.
        resource: String,
        /// What was changed.
        properties: Vec<String>,
    },
    /// The stack is in a state that no update leads out of.
    #[error("stack `{stack}` is {status}: {}", stuck(status))]
    Stuck {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
    },
    /// The template needs what the environment does not allow.
    #[error("the template of `{stack}` needs {capability}, which `deploy.capabilities` does not allow")]
    CapabilityNotAllowed {
        /// The stack.
        stack: String,
        /// The capability.
        capability: String,
    },
    /// A parameter is to be given what is not there.
    #[error("parameter `{parameter}` of `{stack}` is to be {reference}, but {}", missing.sentence())]
    NothingToRefer {
        /// The stack.
        stack: String,
        /// The parameter.
        parameter: String,
        /// The reference as it is written.
        reference: String,
        /// What is missing.
        missing: Missing,
    },
    /// The template does not fit into a call, and no bucket is named for it.
    #[error("the template of `{stack}` has {bytes} bytes with its mark, more than the {max} that a call can carry")]
    NeedsBucket {
        /// The stack.
        stack: String,
        /// Its size.
        bytes: usize,
        /// The most a call can carry.
        max: usize,
    },
    /// The template is larger than any may be.
    #[error("the template of `{stack}` has {bytes} bytes with its mark, more than the {max} that CloudFormation takes")]
    TooLarge {
        /// The stack.
        stack: String,
        /// Its size.
        bytes: usize,
        /// The most a template may have.
        max: usize,
    },
    /// The bucket for the template cannot be used.
    #[error("the template of `{stack}` goes through the bucket `{bucket}`, {}", match standing {
        BucketStanding::Missing => "which does not exist",
        BucketStanding::Foreign => "which belongs to another account or may not be used",
        BucketStanding::Elsewhere => "which is in another Region",
        BucketStanding::Ready => "which has not been looked for",
    })]
    NoBucket {
        /// The stack.
        stack: String,
        /// The bucket.
        bucket: String,
        /// What is known of it.
        standing: BucketStanding,
    },
    /// The change goes beyond what was agreed to.
    #[error("{excess}")]
    BeyondApproval {
        /// The stack.
        stack: String,
        /// In what.
        excess: Excess,
    },
    /// An export would go or change that is imported.
    #[error("export `{export}` of `{stack}` would be {}, and {} it", match loss {
        consumers::Loss::Removed => "removed",
        consumers::Loss::Changed => "changed",
    }, match users.as_slice() {
        [user] => format!("`{user}` imports"),
        users => format!("{} import", list(users)),
    })]
    ExportInUse {
        /// The stack.
        stack: String,
        /// The export's name.
        export: String,
        /// What would become of it.
        loss: consumers::Loss,
        /// The stacks that import it: by their names in the environment, or in CloudFormation.
        users: Vec<String>,
    },
    /// The last operation tried this very change, and it was undone.
    #[error("just this change of `{stack}` failed before{}", failure.clause())]
    FailedBefore {
        /// The stack.
        stack: String,
        /// Why it failed.
        failure: world::FirstFailure,
    },
    /// Something is not as it was when the plan was sealed.
    #[error("{}", moved.sentence(stack))]
    Moved {
        /// The stack.
        stack: String,
        /// What.
        #[serde(flatten)]
        moved: moved::Moved,
    },
    /// A stack that is gone from the file is guarded.
    #[error("stack `{stack}` is gone from the file, but guarded by termination protection")]
    StrayIsProtected {
        /// The stack.
        stack: String,
    },

    // What has failed.
    /// An operation of this run ended badly.
    #[error("stack `{stack}` ended in {status}{}", failure.clause())]
    EndedBadly {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
        /// Why.
        #[serde(flatten)]
        failure: world::FirstFailure,
    },
    /// A change set was executed, and nothing came of it.
    #[error("change set `{name}` was executed {minutes} minutes ago, and stack `{stack}` shows nothing of it")]
    NothingCame {
        /// The stack.
        stack: String,
        /// The change set.
        name: String,
        /// For how long it was waited.
        minutes: i64,
    },
    /// A change set could not be computed.
    #[error("change set `{name}` of stack `{stack}` could not be computed: {because}")]
    ChangeSetFailed {
        /// The stack.
        stack: String,
        /// The change set.
        name: String,
        /// In CloudFormation's words.
        because: String,
    },
}

/// What a stack waits for of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The other stack.
    pub stack: String,
    /// The outputs it is waited for; none where only the order matters.
    pub outputs: Vec<String>,
}

/// What a reference leads to, but is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "missing", content = "name", rename_all = "snake_case")]
pub enum Missing {
    /// The stack.
    Stack(String),
    /// The output of an existing stack.
    Output(String),
    /// The export.
    Export(String),
    /// A previous value.
    Previous,
}

impl Missing {
    fn sentence(&self) -> String {
        match self {
            Self::Stack(stack) => format!("stack `{stack}` is not there"),
            Self::Output(output) => format!("there is no output `{output}`"),
            Self::Export(name) => format!("nothing is exported as `{name}`"),
            Self::Previous => "the stack has none yet".to_owned(),
        }
    }
}

impl Reason {
    /// What to type next, where something can be done.
    pub fn hint(&self, environment: &str) -> Option<String> {
        match self {
            Self::After { .. }
            | Self::Busy { .. }
            | Self::Computing { .. }
            | Self::OthersFirst { .. }
            | Self::Beginning { .. }
            | Self::Clearing { .. }
            | Self::EndedBadly { .. }
            | Self::NoBucket { standing: BucketStanding::Ready, .. } => None,
            Self::NotOurs { stack, owner: None, .. } => Some(format!(
                "`greenroom plan {environment} {stack}` shows what would change; `--take-over {stack}` makes it yours"
            )),
            Self::NotOurs { stack, owner: Some(_), .. } => Some(format!(
                "give `{stack}` another `stack_name`, or take it from its owner with `--take-over {stack}`"
            )),
            Self::HoldsData { stack, resource, .. } => {
                Some(format!("undo that change, or allow it: `--allow-replacement {stack}/{resource}`"))
            }
            Self::DeniedByPolicy { is_declared: true, .. } => {
                Some("allow it in `deploy.stack_policy` of the environment file for this one deploy".to_owned())
            }
            Self::DeniedByPolicy { stack, is_declared: false, .. } => Some(format!(
                "the policy of `{stack}` is not from the file: put one that allows it under `deploy.stack_policy`"
            )),
            Self::OverwritesDrift { stack, resource, .. } => Some(format!(
                "`greenroom drift {environment} {stack}` shows it; adopt it, or let it go: `--overwrite-drift {stack}/{resource}`"
            )),
            Self::Stuck { stack, status } => way_out(environment, stack, status),
            Self::CapabilityNotAllowed { capability, .. } => {
                Some(format!("allow it in the environment file: `deploy.capabilities: [{capability}]`"))
            }
            Self::NothingToRefer { missing: Missing::Stack(stack), .. } => {
                Some(format!("deploy `{stack}` first, or give a value"))
            }
            // Only what is made from a snapshot keeps the snapshot it was made from.
            Self::NothingToRefer { missing: Missing::Previous, parameter, .. } if parameter.contains("Snapshot") => {
                Some(format!("`greenroom clone SOURCE {environment}` makes it from a snapshot first"))
            }
            Self::NothingToRefer { missing: Missing::Output(_) | Missing::Export(_) | Missing::Previous, .. } => {
                Some("give a value instead of the reference".to_owned())
            }
            Self::NeedsBucket { .. } => Some("name a bucket for it: `deploy.template_bucket`".to_owned()),
            Self::TooLarge { stack, .. } => Some(format!("split `{stack}` into two stacks")),
            Self::NoBucket { standing: BucketStanding::Missing, .. } => {
                Some(format!("`greenroom bootstrap {environment}` makes it"))
            }
            Self::NoBucket { standing: BucketStanding::Foreign, .. } => Some(
                "names of buckets are the whole world's: choose another, `deploy.template_bucket`, or get `s3:ListBucket` for it"
                    .to_owned(),
            ),
            Self::NoBucket { standing: BucketStanding::Elsewhere, .. } => {
                Some("have its name say the Region: `deploy.template_bucket: NAME-${region}`".to_owned())
            }
            Self::BeyondApproval { .. } => {
                Some(format!("`greenroom plan {environment}` shows the change as it is now"))
            }
            Self::FailedBefore { .. } => Some("mend the cause, or try once more: `--retry`".to_owned()),
            Self::ExportInUse { stack, export, users, .. } => Some(format!(
                "two steps: deploy {} without `{export}` first, then `{stack}`",
                list(users)
            )),
            Self::Moved { .. } => {
                Some(format!("`greenroom plan {environment} --out FILE` seals what is to be done now"))
            }
            Self::StrayIsProtected { stack } => {
                Some(format!("take the protection off `{stack}` in the AWS console first, if it is meant to go"))
            }
            Self::NothingCame { .. } => Some(format!(
                "`greenroom status {environment}` shows the stack as it is; not every emulator tells of updates"
            )),
            Self::ChangeSetFailed { .. } => Some("mend the template or its values; nothing was changed".to_owned()),
        }
    }
}

impl About for Reason {
    fn subject(&self) -> Subject {
        let (stack, resource) = match self {
            Self::After { stack, .. }
            | Self::Busy { stack, .. }
            | Self::Computing { stack, .. }
            | Self::OthersFirst { stack, .. }
            | Self::Beginning { stack, .. }
            | Self::Clearing { stack, .. }
            | Self::NotOurs { stack, .. }
            | Self::Stuck { stack, .. }
            | Self::CapabilityNotAllowed { stack, .. }
            | Self::NothingToRefer { stack, .. }
            | Self::NeedsBucket { stack, .. }
            | Self::TooLarge { stack, .. }
            | Self::NoBucket { stack, .. }
            | Self::BeyondApproval { stack, .. }
            | Self::Moved { stack, .. }
            | Self::ExportInUse { stack, .. }
            | Self::FailedBefore { stack, .. }
            | Self::StrayIsProtected { stack }
            | Self::NothingCame { stack, .. }
            | Self::ChangeSetFailed { stack, .. } => (stack, None),
            Self::HoldsData { stack, resource, .. }
            | Self::DeniedByPolicy { stack, resource, .. }
            | Self::OverwritesDrift { stack, resource, .. } => (stack, Some(resource.clone())),
            Self::EndedBadly { stack, failure, .. } => (stack, failure.own_resource().cloned()),
        };
        Subject { stack: Some(stack.clone()), resource }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Beginning { .. } => true,
            Self::After { .. }
            | Self::Computing { .. }
            | Self::OthersFirst { .. }
            | Self::Clearing { .. }
            | Self::NotOurs { .. }
            | Self::HoldsData { .. }
            | Self::DeniedByPolicy { .. }
            | Self::OverwritesDrift { .. }
            | Self::Stuck { .. }
            | Self::CapabilityNotAllowed { .. }
            | Self::NothingToRefer { .. }
            | Self::NeedsBucket { .. }
            | Self::TooLarge { .. }
            | Self::NoBucket { .. }
            | Self::BeyondApproval { .. }
            | Self::Moved { .. }
            | Self::ExportInUse { .. }
            | Self::FailedBefore { .. }
            | Self::StrayIsProtected { .. }
            | Self::EndedBadly { .. }
            | Self::NothingCame { .. }
            | Self::ChangeSetFailed { .. } => false,
        }
    }
}

/// `` `a`, `b` and `c` ``.
fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn sentence_of(upstream: &[Upstream]) -> String {
    let one = |upstream: &Upstream| match upstream.outputs.as_slice() {
        [] => upstream.stack.clone(),
        outputs => format!("{} ({})", upstream.stack, outputs.join(", ")),
    };
    upstream.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `CREATE_IN_PROGRESS` is "creating".
pub(crate) fn busy(status: &StackStatus, progress: &Progress) -> String {
    let doing = match status {
        StackStatus::CreateInProgress => "creating",
        StackStatus::UpdateInProgress => "updating",
        StackStatus::DeleteInProgress => "deleting",
        StackStatus::ImportInProgress => "importing",
        StackStatus::UpdateCompleteCleanupInProgress => "updated, clearing away what was replaced",
        StackStatus::RollbackInProgress => "failed, undoing the creation",
        StackStatus::UpdateRollbackInProgress | StackStatus::ImportRollbackInProgress => "failed, rolling back",
        StackStatus::UpdateRollbackCompleteCleanupInProgress => "rolled back, clearing away",
        StackStatus::CreateFailed
        | StackStatus::CreateComplete
        | StackStatus::RollbackFailed
        | StackStatus::RollbackComplete
        | StackStatus::DeleteFailed
        | StackStatus::DeleteComplete
        | StackStatus::UpdateComplete
        | StackStatus::UpdateFailed
        | StackStatus::UpdateRollbackFailed
        | StackStatus::UpdateRollbackComplete
        | StackStatus::ReviewInProgress
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackFailed
        | StackStatus::ImportRollbackComplete
        | StackStatus::Other(_) => "changing",
    };
    let counted = match progress.begun {
        0 => String::new(),
        begun => format!(", {} of {begun} resources", progress.done),
    };
    let last = progress.resource.as_ref().map(|resource| format!(", {resource}")).unwrap_or_default();
    format!("{doing}{counted}{last}")
}

fn stuck(status: &StackStatus) -> &'static str {
    match status.phase() {
        Phase::Stuck(Stuck::CreationUndone) => "its creation failed and was undone, and it can only be deleted",
        Phase::Stuck(Stuck::CreationFailed) => "its creation failed and left something behind",
        Phase::Stuck(Stuck::UpdateFailed) => "an update failed and was not undone",
        Phase::Stuck(Stuck::UpdateNotUndone) if *status == StackStatus::ImportRollbackFailed => {
            "an import failed and could not be undone"
        }
        Phase::Stuck(Stuck::UpdateNotUndone) => "an update failed and could not be undone",
        Phase::Stuck(Stuck::NotDeleted) => "it could not be deleted",
        Phase::Stuck(Stuck::Unheard) => "this version of greenroom does not know that state",
        Phase::Steady | Phase::Empty | Phase::Busy | Phase::Gone => "it cannot be changed now",
    }
}

fn way_out(environment: &str, stack: &str, status: &StackStatus) -> Option<String> {
    match status.phase() {
        Phase::Stuck(Stuck::CreationUndone | Stuck::CreationFailed) => {
            Some(format!("`--recreate {stack}` deletes what is left of it and creates it anew"))
        }
        Phase::Stuck(Stuck::UpdateFailed | Stuck::UpdateNotUndone | Stuck::NotDeleted) => {
            Some(format!("`greenroom recover {environment} {stack}` knows the ways out"))
        }
        Phase::Stuck(Stuck::Unheard) => Some("a newer greenroom may know it".to_owned()),
        Phase::Steady | Phase::Empty | Phase::Busy | Phase::Gone => None,
    }
}
