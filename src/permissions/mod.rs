//! What somebody must be allowed to do to run a verb, and no more: IAM policies for the caller and for CloudFormation's own role,
//! and who may be the caller. Pure, from what is wanted; nothing is asked of AWS.
//!
//! Which calls a verb makes is written here by hand, and a test holds it against those that it really makes. What CloudFormation's
//! handlers need says the registry.

mod buckets;
mod handlers;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::aws::{Target, partition, role_arn};
use crate::clone::copy_prefix;
use crate::deploy::lifetime::EXTENSION;
use crate::deploy::plan::bucket_in_use;
use crate::deploy::world::STACK_TYPE;
use crate::deploy::{Desired, Place, marks};
use crate::drift::beyond::KINDS;
use handlers::Handlers;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `plan`.
    Plan,
    /// `plan --read-only`.
    ReadOnlyPlan,
    /// `deploy`.
    Deploy,
    /// `status` and `outputs`.
    Status,
    /// `destroy`.
    Destroy,
    /// `reap`, of one environment and with `--extend`.
    Reap,
    /// `diff --live`.
    Diff,
    /// `clone`, into the environment.
    Clone,
    /// `drift`.
    Drift {
        /// Whether what was found is undone, too: `--revert`.
        reverts: bool,
        /// Whether it is asked who made it: `--who`.
        asks_who: bool,
    },
    /// `recover`.
    Recover,
    /// `cancel`.
    Cancel,
    /// `log`.
    Log,
    /// `bootstrap`. What is wanted are the buckets' own stacks.
    Bootstrap,
}

impl Purpose {
    /// Whether it changes what runs.
    pub fn changes_something(self) -> bool {
        match self {
            Self::Deploy
            | Self::Destroy
            | Self::Reap
            | Self::Clone
            | Self::Drift { reverts: true, .. }
            | Self::Recover
            | Self::Cancel
            | Self::Bootstrap => true,
            Self::Plan
            | Self::ReadOnlyPlan
            | Self::Status
            | Self::Diff
            | Self::Drift { reverts: false, .. }
            | Self::Log => false,
        }
    }

    /// Whether stacks are compared with what is wanted of them, as a plan does.
    fn plans(self) -> bool {
        self == Self::ReadOnlyPlan || self.makes_change_sets()
    }

    /// Whether change sets are made, be it only to be looked at.
    fn makes_change_sets(self) -> bool {
        match self {
            Self::Plan | Self::Deploy | Self::Clone | Self::Drift { reverts: true, .. } | Self::Bootstrap => true,
            Self::ReadOnlyPlan
            | Self::Status
            | Self::Destroy
            | Self::Reap
            | Self::Diff
            | Self::Drift { reverts: false, .. }
            | Self::Recover
            | Self::Cancel
            | Self::Log => false,
        }
    }
}

/// Who is let in from outside of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// `ORG/REPO` on GitHub.
    pub repository: String,
    /// What of it.
    pub claim: Claim,
}

/// Which runs of a repository's workflows are let in. Never all of them: anybody may open a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Those on a branch.
    Branch(String),
    /// Those for a GitHub environment, which may want a review first.
    Environment(String),
    /// Those for pull requests: for looking only.
    PullRequest,
}

impl Claim {
    /// As the `sub` of the token says it (docs.github.com, "Example subject claims").
    fn subject(&self, repository: &str) -> String {
        match self {
            Self::Branch(branch) => format!("repo:{repository}:ref:refs/heads/{branch}"),
            Self::Environment(name) => format!("repo:{repository}:environment:{name}"),
            Self::PullRequest => format!("repo:{repository}:pull_request"),
        }
    }
}

/// All that must be allowed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Permissions {
    /// The environment.
    pub environment: String,
    /// By account, in order.
    pub accounts: Vec<InAccount>,
    /// Resource types of which nobody here knows what they need.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown_types: BTreeSet<String>,
}

/// What must be allowed in one account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InAccount {
    /// The account.
    pub account: String,
    /// What the caller may do: the role of `deploy.role`, where there is one.
    pub caller: Role,
    /// What CloudFormation's own roles may do.
    pub service_roles: Vec<Role>,
}

/// A role, or whoever calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Role {
    /// Its name; nothing for whoever calls without one.
    pub name: Option<String>,
    /// What it may do.
    pub policy: Json,
    /// Who may be it; nothing where nobody was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Json>,
}

/// A statement of a policy.
struct Statement {
    sid: &'static str,
    actions: BTreeSet<String>,
    resources: BTreeSet<String>,
    condition: Option<Json>,
}

impl Statement {
    fn new(
        sid: &'static str,
        actions: impl IntoIterator<Item = impl Into<String>>,
        resources: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            sid,
            actions: actions.into_iter().map(Into::into).collect(),
            resources: resources.into_iter().collect(),
            condition: None,
        }
    }

    fn everywhere(sid: &'static str, actions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(sid, actions, ["*".to_owned()])
    }

    fn on(self, condition: Json) -> Self {
        Self { condition: Some(condition), ..self }
    }

    fn json(&self) -> Json {
        let mut json =
            json!({ "Sid": self.sid, "Effect": "Allow", "Action": self.actions, "Resource": self.resources });
        if let Some(condition) = &self.condition {
            json["Condition"] = condition.clone();
        }
        json
    }
}

fn policy(statements: &[Statement]) -> Json {
    let statements = statements.iter().filter(|it| !it.actions.is_empty() && !it.resources.is_empty());
    json!({ "Version": "2012-10-17", "Statement": statements.map(Statement::json).collect::<Vec<_>>() })
}

/// What must be allowed to do this to an environment. For a clone, `source` is the environment whose data it is.
pub fn permissions(
    purpose: Purpose,
    desired: &Desired,
    source: Option<&Desired>,
    trusted: Option<&Trusted>,
) -> Permissions {
    let of_stacks = |desired: &Desired| -> BTreeSet<String> {
        let stacks = desired.stacks.iter().map(|stack| stack.place.account.clone());
        stacks.chain(desired.read.iter().map(|read| read.place.account.clone())).collect()
    };
    let mut accounts = of_stacks(desired);
    accounts.extend(source.into_iter().flat_map(of_stacks));
    let mut unknown_types = BTreeSet::new();
    let accounts = accounts
        .iter()
        .map(|account| {
            let here = Here { purpose, desired, source, account };
            let handlers = here.handlers();
            unknown_types.extend(handlers.unknown.iter().cloned());
            here.permissions(&handlers, trusted)
        })
        .collect();
    Permissions { environment: desired.environment.clone(), accounts, unknown_types }
}

/// One account.
struct Here<'a> {
    purpose: Purpose,
    desired: &'a Desired,
    source: Option<&'a Desired>,
    account: &'a str,
}

fn is_extension(stack: &crate::deploy::DesiredStack) -> bool {
    stack.name == EXTENSION
}

/// The service that carries changes out.
const CLOUDFORMATION: &str = "cloudformation.amazonaws.com";

/// What makes a change set and looks at what it is about to write over.
const MAKES_CHANGE_SETS: [&str; 4] = [
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DetectStackResourceDrift",
    "cloudformation:GetStackPolicy",
];

/// What compares a stack with what runs, and tells of it.
const DETECTS: [&str; 3] = [
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DetectStackDrift",
    "cloudformation:DetectStackResourceDrift",
];

/// What the ways out of a stuck stack do.
const FREES: [&str; 4] = [
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:DeleteStack",
    "cloudformation:RollbackStack",
    "cloudformation:UpdateTerminationProtection",
];

impl<'a> Here<'a> {
    fn permissions(&self, handlers: &Handlers, trusted: Option<&Trusted>) -> InAccount {
        let (by_role, by_caller): (Vec<_>, Vec<_>) = handlers.by_role.iter().partition(|(role, _)| role.is_some());
        let mut caller = self.caller();
        // Without a role of its own CloudFormation does everything as whoever calls it, and only then may they do it.
        for (_, needs) in by_caller {
            let through = json!({ "ForAnyValue:StringEquals": { "aws:CalledVia": [CLOUDFORMATION] } });
            caller.push(Statement::everywhere("ThroughCloudFormation", needs.actions.clone()).on(through));
            caller.extend(self.looked_up(needs));
        }
        let name = self.stacks().find_map(|stack| stack.place.role.clone());
        let role = name.as_ref().map(|name| self.role_arn(name));
        caller.extend(role.iter().map(|arn| Statement::new("ItsRole", ["sts:AssumeRole"], [arn.clone()])));
        let trust = trusted.map(|trusted| github(self.account, self.region(), trusted, role.as_deref()));
        let caller = Role { name, policy: policy(&caller), trust };
        let service = |(role, needs): (&Option<String>, &handlers::Needs)| {
            let mut statements = vec![Statement::everywhere("Resources", needs.actions.clone())];
            statements.extend(self.looked_up(needs));
            let trust = json!({
                "Version": "2012-10-17",
                "Statement": [{ "Effect": "Allow", "Principal": { "Service": CLOUDFORMATION }, "Action": "sts:AssumeRole" }],
            });
            Role { name: role.clone(), policy: policy(&statements), trust: Some(trust) }
        };
        InAccount {
            account: self.account.to_owned(),
            caller,
            service_roles: by_role.into_iter().map(service).collect(),
        }
    }

    fn looked_up(&self, needs: &handlers::Needs) -> Vec<Statement> {
        let partition = partition(self.region());
        let arn = |service: &str, rest: String| {
            if rest.starts_with("arn:") { rest } else { format!("arn:{partition}:{service}:*:{}:{rest}", self.account) }
        };
        let parameters =
            needs.parameters.iter().map(|path| arn("ssm", format!("parameter/{}", path.trim_start_matches('/'))));
        let secrets = needs.secrets.iter().map(|name| {
            let is_arn = name.starts_with("arn:");
            arn("secretsmanager", if is_arn { name.clone() } else { format!("secret:{name}-*") })
        });
        vec![
            Statement::new("Parameters", ["ssm:GetParameters"], parameters),
            Statement::new("Secrets", ["secretsmanager:GetSecretValue"], secrets),
        ]
    }

    fn stacks(&self) -> impl Iterator<Item = &'a crate::deploy::DesiredStack> {
        let account = self.account;
        self.desired.stacks.iter().filter(move |stack| stack.place.account == account)
    }

    fn region(&self) -> &str {
        let of = |desired: &'a Desired| {
            desired.stacks.iter().map(|stack| &stack.place).chain(desired.read.iter().map(|read| &read.place))
        };
        let mut places = of(self.desired).chain(self.source.into_iter().flat_map(of));
        places.find(|place| place.account == self.account).map(|place| place.region.as_str()).unwrap_or_default()
    }

    fn handlers(&self) -> Handlers {
        let kinds: &[&str] = match self.purpose {
            Purpose::Deploy | Purpose::Clone | Purpose::Drift { reverts: true, .. } | Purpose::Bootstrap => {
                &["create", "delete", "read", "update"]
            }
            Purpose::Destroy | Purpose::Reap => &["delete", "read"],
            // What was made goes, and what was changed is changed back.
            Purpose::Recover | Purpose::Cancel => &["delete", "read", "update"],
            Purpose::Plan
            | Purpose::ReadOnlyPlan
            | Purpose::Status
            | Purpose::Diff
            | Purpose::Drift { reverts: false, .. }
            | Purpose::Log => &[],
        };
        let mut handlers = Handlers::of(self.stacks().filter(|stack| !is_extension(stack)), kinds);
        // What a change is about to write over is compared, too.
        if self.purpose.plans() || matches!(self.purpose, Purpose::Drift { .. }) {
            handlers.add_detection(self.stacks());
        }
        handlers.add_detection(self.extension().into_iter());
        handlers.add(self.extension().into_iter(), &["create", "delete", "read", "update"]);
        handlers
    }

    /// The stack that `reap --extend` makes.
    fn extension(&self) -> Option<&'a crate::deploy::DesiredStack> {
        self.stacks().find(|stack| is_extension(stack))
    }

    /// The ARNs of the stacks, whatever id they have. Whoever only looks, looks at those, too, that the environment does not manage.
    fn arns(&self) -> BTreeSet<String> {
        let looks = matches!(self.purpose, Purpose::Status | Purpose::Log);
        let own = self.stacks().map(|stack| (&stack.place, &stack.stack_name));
        let read = self.desired.read.iter().filter(|read| looks && read.place.account == self.account);
        let is_ours = |(place, name): &(&Place, &String)| {
            self.desired.named.contains(&(place.account.clone(), place.region.clone(), (*name).clone()))
        };
        let read = read.map(|read| (&read.place, &read.stack_name)).filter(is_ours);
        own.chain(read).map(|(place, name)| self.arn(place, name)).collect()
    }

    /// The nested stacks, into which a failure is followed: `CloudFormation` calls them `STACK-RESOURCE-RANDOM`, and so on inwards.
    fn nested(&self) -> Statement {
        let nested = self.stacks().flat_map(|stack| {
            let resources = stack.template.get("Resources").and_then(Json::as_object);
            let of_kind = resources.into_iter().flatten().filter(|(_, it)| it["Type"] == STACK_TYPE);
            of_kind.map(|(id, _)| self.arn(&stack.place, &format!("{}-{id}-*", stack.stack_name)))
        });
        Statement::new("Nested", ["cloudformation:DescribeStackEvents"], nested)
    }

    /// What `--extend` needs beyond a destruction: one stack of a known name, through change sets.
    fn extension_statements(&self) -> Vec<Statement> {
        let Some(stack) = self.extension() else { return Vec::new() };
        let actions = [
            "cloudformation:CreateChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:DetectStackResourceDrift",
            "cloudformation:ExecuteChangeSet",
            "cloudformation:GetStackPolicy",
        ];
        let arn = self.arn(&stack.place, &stack.stack_name);
        vec![Statement::new("Extension", actions, [arn]), self.pass_role()]
    }

    fn arn(&self, place: &Place, name: &str) -> String {
        format!("arn:{}:cloudformation:{}:{}:stack/{name}/*", partition(&place.region), place.region, self.account)
    }

    fn caller(&self) -> Vec<Statement> {
        let plans = self.purpose.plans();
        let asks_for_exports = plans && self.desired.asks_for_exports();
        let exports = asks_for_exports.then_some("cloudformation:ListExports");
        // The list of all stacks is one call where each would be one otherwise; it wants both.
        // Of a stack that exists somebody may import what it no longer exports.
        let may_lose_exports = plans && (self.purpose != Purpose::Clone || self.exports_something());
        let imports = may_lose_exports.then_some("cloudformation:ListImports");
        let list = ["cloudformation:DescribeStacks", "cloudformation:ListStacks"];
        let list = list.into_iter().chain(exports).chain(imports);
        let mut statements = vec![Statement::new("Stacks", self.on_stacks(), self.arns()), self.nested()];
        if self.looks_at_stacks() {
            statements.insert(0, Statement::everywhere("Look", list));
        }
        let removes = matches!(self.purpose, Purpose::Deploy | Purpose::Destroy | Purpose::Reap | Purpose::Recover);
        if removes && self.stacks().next().is_some() {
            statements.push(self.strays());
        }
        if plans {
            statements.extend(self.buckets());
        }
        if self.purpose.makes_change_sets() {
            statements.push(self.pass_role());
        }
        statements.extend(self.own_statements());
        statements
    }

    /// What this purpose alone wants.
    fn own_statements(&self) -> Vec<Statement> {
        match self.purpose {
            Purpose::Plan
            | Purpose::ReadOnlyPlan
            | Purpose::Deploy
            | Purpose::Status
            | Purpose::Cancel
            | Purpose::Log => Vec::new(),
            Purpose::Destroy | Purpose::Reap => {
                let mut statements = self.emptied();
                if self.source.is_some() {
                    statements.extend(self.removal_statements());
                }
                if self.purpose == Purpose::Reap {
                    statements.extend(self.extension_statements());
                }
                statements
            }
            Purpose::Recover => self.emptied(),
            Purpose::Clone => self.clone_statements(),
            Purpose::Diff => vec![Statement::everywhere("LiveResources", live_resources(self.stacks(), |_| true))],
            Purpose::Drift { asks_who, .. } => {
                let mut statements = self.detection();
                statements.push(Statement::everywhere("Trail", asks_who.then_some("cloudtrail:LookupEvents")));
                statements
            }
            Purpose::Bootstrap => {
                let partition = partition(self.region());
                let buckets = self.stacks().map(|stack| format!("arn:{partition}:s3:::{}", stack.name));
                vec![Statement::new("Buckets", ["s3:ListBucket"], buckets)]
            }
        }
    }

    /// What a detection is asked for and read by, and what reads the rest. Its status has no resource: it is known by its own id.
    fn detection(&self) -> Vec<Statement> {
        let is_read = |kind: &str| KINDS.contains(&kind);
        let status = self.stacks().next().map(|_| "cloudformation:DescribeStackDriftDetectionStatus");
        vec![
            Statement::everywhere("Detection", status),
            Statement::everywhere("LiveResources", live_resources(self.stacks(), is_read)),
        ]
    }

    /// Buckets are looked into before they go, and emptied where they go.
    fn emptied(&self) -> Vec<Statement> {
        let partition = partition(self.region());
        let all: Vec<buckets::Bucket> = self.stacks().flat_map(buckets::buckets).collect();
        let looked_into = all.iter().map(|bucket| format!("arn:{partition}:s3:::{}", bucket.name));
        let emptied = all.iter().filter(|bucket| !bucket.is_retained);
        let emptied = emptied.map(|bucket| format!("arn:{partition}:s3:::{}/*", bucket.name));
        vec![
            Statement::new("InBuckets", ["s3:ListBucketVersions"], looked_into),
            Statement::new("Emptied", ["s3:DeleteObject", "s3:DeleteObjectVersion"], emptied),
        ]
    }

    fn exports_something(&self) -> bool {
        let exports = |template: &Json| {
            let outputs = template.get("Outputs").and_then(Json::as_object);
            outputs.is_some_and(|outputs| outputs.values().any(|output| output.get("Export").is_some()))
        };
        self.stacks().any(|stack| exports(&stack.template))
    }

    /// Whether there is a stack here to be looked at: of the environment, of those that it reads, or of a clone's source.
    fn looks_at_stacks(&self) -> bool {
        let source = self.source.into_iter().flat_map(|source| &source.stacks);
        let read = self.desired.read.iter().map(|read| &read.place);
        let mut places = self.desired.stacks.iter().chain(source).map(|stack| &stack.place).chain(read);
        places.any(|place| place.account == self.account)
    }

    fn on_stacks(&self) -> BTreeSet<&'static str> {
        let mut actions: BTreeSet<&'static str> = BTreeSet::from(["cloudformation:DescribeStackEvents"]);
        let change_sets = ["cloudformation:DescribeChangeSet", "cloudformation:ListChangeSets"];
        let resources = ["cloudformation:GetTemplate", "cloudformation:ListStackResources"];
        if self.purpose.makes_change_sets() {
            actions.extend(change_sets);
            actions.extend(MAKES_CHANGE_SETS);
        }
        match self.purpose {
            Purpose::Status | Purpose::Plan => {}
            Purpose::ReadOnlyPlan => {
                actions.extend(change_sets);
                // What a change is about to write over is looked at.
                actions.extend(["cloudformation:DetectStackResourceDrift", "cloudformation:GetStackPolicy"]);
                actions.insert("cloudformation:GetTemplate");
            }
            Purpose::Deploy | Purpose::Clone | Purpose::Bootstrap => {
                actions.extend(self.carried_out());
                actions.insert("cloudformation:DeleteStack");
                if self.purpose == Purpose::Clone {
                    actions.extend(resources);
                }
            }
            Purpose::Destroy | Purpose::Reap => {
                actions.extend(change_sets);
                actions.extend(resources);
                actions.insert("cloudformation:DeleteStack");
            }
            Purpose::Diff | Purpose::Log => actions.extend(resources),
            Purpose::Drift { reverts, .. } => {
                actions.extend(resources);
                actions.extend(DETECTS);
                if reverts {
                    actions.extend(self.carried_out());
                }
            }
            Purpose::Recover => {
                actions.extend(change_sets);
                actions.extend(resources);
                actions.extend(FREES);
            }
            Purpose::Cancel => drop(actions.insert("cloudformation:CancelUpdateStack")),
        }
        actions
    }

    /// What carries change sets out, with what else a stack is to have.
    fn carried_out(&self) -> BTreeSet<&'static str> {
        let protection = self.desired.is_protected.then_some("cloudformation:UpdateTerminationProtection");
        let has_policy = self.stacks().any(|stack| stack.stack_policy.is_some());
        let policy = has_policy.then_some("cloudformation:SetStackPolicy");
        ["cloudformation:ExecuteChangeSet"].into_iter().chain(protection).chain(policy).collect()
    }

    /// Stacks that the file names no more are known by their tags alone.
    fn strays(&self) -> Statement {
        let deletes = [
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStackEvents",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ];
        // One that is stuck is freed like any other.
        let actions = if self.purpose == Purpose::Recover { self.on_stacks() } else { deletes.into() };
        let regions: BTreeSet<&Place> = self.stacks().map(|stack| &stack.place).collect();
        let places = regions.into_iter().map(|place| self.arn(place, "*"));
        Statement::new("GoneFromTheFile", actions, places).on(self.marked())
    }

    /// What bears the marks of the environment.
    fn marked(&self) -> Json {
        json!({ "StringEquals": {
            format!("aws:ResourceTag/{}project", marks::TAG_PREFIX): self.desired.project,
            format!("aws:ResourceTag/{}environment", marks::TAG_PREFIX): self.desired.environment_word,
        }})
    }

    /// CloudFormation reads a template from a bucket as whoever calls it.
    fn buckets(&self) -> Vec<Statement> {
        let names: BTreeSet<&str> = self.stacks().filter_map(|stack| bucket_in_use(self.desired, stack)).collect();
        let partition = partition(self.region());
        let bucket = |name: &&str| format!("arn:{partition}:s3:::{name}");
        let objects = |name: &&str| format!("arn:{partition}:s3:::{name}/{}*", marks::TEMPLATE_KEY_PREFIX);
        let puts: &[&str] = if self.purpose == Purpose::ReadOnlyPlan { &[] } else { &["s3:GetObject", "s3:PutObject"] };
        vec![
            Statement::new("TemplateBucket", ["s3:ListBucket"], names.iter().map(bucket)),
            Statement::new("Templates", puts.iter().copied(), names.iter().map(objects)),
        ]
    }

    fn role_arn(&self, role: &str) -> String {
        role_arn(Target { account: self.account, region: self.region(), role: None }, role)
    }

    fn pass_role(&self) -> Statement {
        let roles = self.stacks().filter_map(|stack| stack.service_role.as_ref()).map(|role| self.role_arn(role));
        let to = json!({ "StringEquals": { "iam:PassedToService": CLOUDFORMATION } });
        Statement::new("ServiceRole", ["iam:PassRole"], roles).on(to)
    }

    /// The copies of a snapshot, named after the environment that they were made for.
    fn removal_statements(&self) -> Vec<Statement> {
        vec![
            Statement::everywhere("Snapshots", ["rds:DescribeDBInstances", "rds:DescribeDBSnapshots"]),
            Statement::new("OwnSnapshots", ["rds:DeleteDBSnapshot"], [self.copies()]),
            self.source_stacks(),
        ]
    }

    /// What the source of a clone consists of.
    fn source_stacks(&self) -> Statement {
        let of_source = self.source.into_iter().flat_map(|source| &source.stacks);
        let here = of_source.filter(|stack| stack.place.account == self.account);
        let reads = ["cloudformation:GetTemplate", "cloudformation:ListStackResources"];
        Statement::new("Source", reads, here.map(|stack| self.arn(&stack.place, &stack.stack_name)))
    }

    fn copies(&self) -> String {
        let (partition, prefix) = (partition(self.region()), copy_prefix(&self.desired.environment_word));
        format!("arn:{partition}:rds:*:{}:snapshot:{prefix}*", self.account)
    }

    /// Writes reach only snapshots that are named after the target, and the copying of any.
    fn clone_statements(&self) -> Vec<Statement> {
        let Some(source) = self.source else { return Vec::new() };
        let partition = partition(self.region());
        let lives_here = |desired: &Desired| desired.stacks.iter().any(|stack| stack.place.account == self.account);
        let (is_source, is_target) = (lives_here(source), lives_here(self.desired));
        let all = format!("arn:{partition}:rds:*:*:snapshot:*");
        let made = self.copies();
        let mut statements = vec![
            Statement::everywhere("Snapshots", ["rds:DescribeDBInstances", "rds:DescribeDBSnapshots"]),
            Statement::new("CopySnapshots", ["rds:AddTagsToResource", "rds:CopyDBSnapshot"], [all]),
        ];
        if is_source {
            let database = format!("arn:{partition}:rds:*:{}:db:*", self.account);
            statements.push(Statement::new("FreshSnapshot", ["rds:CreateDBSnapshot"], [database, made.clone()]));
            statements.push(self.source_stacks());
            let read = live_resources(source.stacks.iter(), |_| true);
            statements.push(Statement::everywhere("SourceResources", read));
            let asked = ["kms:DescribeKey", "kms:GetKeyPolicy", "rds:DescribeAccountAttributes"];
            statements.push(Statement::everywhere("SourceGuards", asked));
            let share = ["rds:DescribeDBSnapshotAttributes", "rds:ModifyDBSnapshotAttribute"];
            statements.push(Statement::new("ShareSnapshots", share, [made]));
        }
        if is_target {
            let databases = format!("arn:{partition}:rds:*:{}:db:*", self.account);
            statements
                .push(Statement::new("WhatARestoreDrops", ["rds:ModifyDBInstance"], [databases]).on(self.marked()));
            statements.push(Statement::everywhere("LiveResources", live_resources(self.stacks(), |_| true)));
            let kinds: BTreeSet<String> = self.stacks().flat_map(|stack| handlers::kinds(&stack.template)).collect();
            let has_subnets = kinds.contains("AWS::RDS::DBSubnetGroup");
            let zones = ["ec2:DescribeAvailabilityZones", "ec2:DescribeSubnets"].into_iter().filter(|_| has_subnets);
            let asked = ["rds:DescribeAccountAttributes", "rds:DescribeOrderableDBInstanceOptions"];
            statements.push(Statement::everywhere("Guards", asked.into_iter().chain(zones)));
            statements.push(Statement::everywhere("Keys", ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"]));
        }
        statements
    }
}

/// What reads the resources that a live comparison knows, of the types that are wanted.
fn live_resources<'a>(
    stacks: impl Iterator<Item = &'a crate::deploy::DesiredStack>,
    is_wanted: impl Fn(&str) -> bool,
) -> BTreeSet<&'static str> {
    let kinds: BTreeSet<String> = stacks.flat_map(|stack| handlers::kinds(&stack.template)).collect();
    let known = READERS.iter().filter(|(kind, _)| is_wanted(kind) && kinds.contains(*kind));
    known.flat_map(|(_, actions)| actions.iter().copied()).collect()
}

/// What reads a resource of a type. None of these actions can be limited to a resource, but for those of RDS.
const READERS: &[(&str, &[&str])] = &[
    (
        "AWS::RDS::DBInstance",
        &[
            "rds:DescribeDBInstances",
            "rds:DescribeDBParameterGroups",
            "rds:DescribeDBParameters",
            "rds:DescribeOptionGroups",
        ],
    ),
    (
        "AWS::AutoScaling::AutoScalingGroup",
        &["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeLaunchTemplateVersions"],
    ),
    ("AWS::EC2::LaunchTemplate", &["ec2:DescribeLaunchTemplateVersions"]),
    ("AWS::EC2::SecurityGroup", &["ec2:DescribeSecurityGroups"]),
    ("AWS::EC2::Subnet", &["ec2:DescribeSubnets"]),
    ("AWS::EC2::VPC", &["ec2:DescribeVpcs"]),
    ("AWS::ElasticLoadBalancingV2::Listener", &["elasticloadbalancing:DescribeListeners"]),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        &["elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers"],
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        &["elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups"],
    ),
];

/// Workflows of GitHub come with a token of GitHub's (IAM User Guide, "Create a role for `OpenID` Connect federation").
///
/// A run assumes the role that its file names, also where it is that role already: that must be allowed by the role itself.
fn github(account: &str, region: &str, trusted: &Trusted, role: Option<&str>) -> Json {
    const ISSUER: &str = "token.actions.githubusercontent.com";
    let provider = format!("arn:{}:iam::{account}:oidc-provider/{ISSUER}", partition(region));
    let own = role.map(|arn| {
        json!({
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:{}:iam::{account}:root", partition(region)) },
            "Action": "sts:AssumeRole",
            "Condition": { "ArnEquals": { "aws:PrincipalArn": arn } },
        })
    });
    let mut trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": provider },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": { "StringEquals": {
                format!("{ISSUER}:aud"): "sts.amazonaws.com",
                format!("{ISSUER}:sub"): trusted.claim.subject(&trusted.repository),
            }},
        }],
    });
    if let Some(statements) = trust["Statement"].as_array_mut() {
        statements.extend(own);
    }
    trust
}
