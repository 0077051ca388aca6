//! What a clone is, and what it would be. Pure, from what was seen.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::daily::{Daily, daily};
use super::{DATA_AS_OF, Desired, SOURCE_DATABASE, SOURCE_SNAPSHOT, Step, Which, World};
use crate::operation::Plan;
use crate::parity::Parity;

/// A clone, or what one would be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cloned {
    /// The environment whose data it is.
    pub source: String,
    /// The environment that was made.
    pub target: String,
    /// The snapshot that its database was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The snapshot of the source that this is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_snapshot: Option<String>,
    /// The database that is the source, by its `DbiResourceId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_database: Option<String>,
    /// The last transaction in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_as_of: Option<Timestamp>,
    /// The database that was made, by its `DbiResourceId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// How many of its properties were found as written.
    pub verified: usize,
    /// How it compares to its source as both run.
    pub parity: Parity,
    /// Whether nothing was left to do.
    pub was_there: bool,
    /// When the run began, by the cloud's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// What a clone would do, without doing it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rehearsal {
    /// The environment whose data it would be.
    pub source: String,
    /// The environment that would be made.
    pub target: String,
    /// What would be done, in order.
    pub steps: Vec<String>,
    /// What would be waited for.
    pub waits: Vec<String>,
    /// Why it would be refused.
    pub refusals: Vec<String>,
    /// What may be done about that.
    pub hints: Vec<String>,
    /// What it would use in a day.
    pub daily: Daily,
    /// What the callers must be allowed to do beyond a deployment.
    pub policies: Vec<Policy>,
}

/// What a caller in one account must be allowed to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// The account.
    pub account: String,
    /// An IAM policy.
    pub document: Json,
}

/// Says what was made.
pub fn cloned(desired: &Desired, first: &World, now: &World, parity: Parity) -> Cloned {
    let live = now.deploy.stacks.get(&desired.target.stack);
    let told = |tag: &str| live.and_then(|live| live.tags.get(tag)).cloned();
    let database = now.database.as_ref();
    let compared = |name: &&String| database.is_some_and(|database| database.properties.contains_key(*name));
    Cloned {
        source: desired.source.environment.clone(),
        target: desired.target.environment.clone(),
        snapshot: live.and_then(|live| live.parameters.get(&desired.target.parameter)).cloned(),
        source_snapshot: told(SOURCE_SNAPSHOT),
        source_database: told(SOURCE_DATABASE),
        data_as_of: told(DATA_AS_OF).and_then(|time| time.parse().ok()),
        database: database.map(|database| database.resource_id.clone()),
        verified: desired.target.written.keys().filter(compared).count(),
        parity,
        was_there: false,
        began: first.deploy.now,
        ended: now.deploy.now,
    }
}

/// Says what would be done from here: the steps that are known and, in words, those that follow from them.
pub fn rehearsal(desired: &Desired, now: &World, plan: &Plan<Step, super::Reason>) -> Rehearsal {
    let (source, target) = (&desired.source, &desired.target);
    let mut rehearsal = Rehearsal {
        source: source.environment.clone(),
        target: target.environment.clone(),
        steps: Vec::new(),
        waits: Vec::new(),
        refusals: Vec::new(),
        hints: Vec::new(),
        daily: daily(desired, now),
        policies: policies(desired),
    };
    match plan {
        Plan::Converged => return rehearsal,
        Plan::Refused { because, .. } | Plan::Failed { causes: because, .. } => {
            rehearsal.refusals = because.iter().map(ToString::to_string).collect();
            for hint in because.iter().filter_map(|it| it.hint(&source.environment, &target.environment)) {
                if !rehearsal.hints.contains(&hint) {
                    rehearsal.hints.push(hint);
                }
            }
            return rehearsal;
        }
        Plan::Going { .. } => {}
    }
    rehearsal.steps = plan.now().iter().filter(|step| is_about_snapshots(step)).map(ToString::to_string).collect();
    let is_copying = plan.waiting().iter().any(|reason| matches!(reason, super::Reason::Making { .. }));
    let copies = !rehearsal.steps.is_empty() || is_copying;
    let is_other_account = source.place.account != target.place.account;
    if copies && is_other_account {
        let region = if source.place.region == target.place.region {
            String::new()
        } else {
            format!(" and {}", target.place.region)
        };
        let account = &target.place.account;
        rehearsal.steps.push(format!("bring that snapshot to account {account}{region}, encrypted under a key there"));
    }
    let safe = desired.safe.stacks.iter().map(|stack| stack.name.as_str()).collect::<Vec<_>>().join(", ");
    rehearsal.steps.push(format!("deploy {safe}: the database from the snapshot, closed to its clients"));
    rehearsal.steps.push("look at the restored database, property by property".to_owned());
    let open = desired.open.stacks.iter().map(|stack| stack.name.as_str()).collect::<Vec<_>>().join(", ");
    rehearsal.steps.push(format!("deploy {open}: everything, the database open to its clients"));
    if copies {
        rehearsal.waits.push("each copy of the snapshot: minutes to hours, by its size".to_owned());
    }
    rehearsal.waits.push("the restore, the modification after it and a reboot: about half an hour or more".to_owned());
    rehearsal.waits.push("the other stacks: some ten minutes each".to_owned());
    rehearsal
}

fn is_about_snapshots(step: &Step) -> bool {
    match step {
        Step::TakeSnapshot { .. } | Step::CopySnapshot { .. } | Step::ShareSnapshot { .. } => true,
        Step::Mend { .. } | Step::Closed(_) | Step::Open(_) => false,
    }
}

/// Writes reach only snapshots that are named after the target; of the source's own, the automated ones may be copied.
fn policies(desired: &Desired) -> Vec<Policy> {
    let (source, target) = (&desired.source.place, &desired.target.place);
    let allow =
        |actions: &[&str], resources: &[String]| json!({"Effect": "Allow", "Action": actions, "Resource": resources});
    let snapshots = |account: &str, name: &str| format!("arn:aws:rds:*:{account}:snapshot:{name}");
    let made = format!("{}*", super::copy_prefix(&desired.target.word));
    let reads = allow(
        &[
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStackResources",
            "cloudformation:DescribeStacks",
            "cloudformation:GetTemplate",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeSubnets",
            "rds:DescribeAccountAttributes",
            "rds:DescribeDBInstances",
            "rds:DescribeDBSnapshotAttributes",
            "rds:DescribeDBSnapshots",
            "rds:DescribeOrderableDBInstanceOptions",
        ],
        &["*".to_owned()],
    );
    let own_snapshots = snapshots(&source.account, &made);
    let chosen = match &desired.choice.which {
        Which::Newest => vec![snapshots(&source.account, "rds:*")],
        Which::Id(id) if id.starts_with("arn:") => vec![id.clone()],
        Which::Id(id) => vec![snapshots(&source.account, id)],
        Which::Fresh => Vec::new(),
    };
    let keys = |account: &str| format!("arn:aws:kms:*:{account}:key/*");
    let mut on_source = vec![reads.clone(), allow(&["kms:DescribeKey", "kms:GetKeyPolicy"], &[keys(&source.account)])];
    if desired.choice.which == Which::Fresh {
        let database = format!("arn:aws:rds:*:{}:db:*", source.account);
        on_source.push(allow(&["rds:AddTagsToResource", "rds:CreateDBSnapshot"], &[database, own_snapshots.clone()]));
    }
    let is_same_account = source.account == target.account;
    // To another Region and under another key it is copied within the account.
    if !is_same_account || source.region != target.region || desired.target.key.is_some() {
        on_source.push(allow(
            &["rds:AddTagsToResource", "rds:CopyDBSnapshot"],
            &[chosen, vec![own_snapshots.clone()]].concat(),
        ));
        on_source.push(allow(&["kms:CreateGrant", "kms:Decrypt"], &[keys(&source.account)]));
    }
    if !is_same_account {
        on_source.push(allow(&["rds:ModifyDBSnapshotAttribute"], std::slice::from_ref(&own_snapshots)));
    }
    on_source.push(allow(&["rds:DeleteDBSnapshot"], std::slice::from_ref(&own_snapshots)));
    // What a restore drops is set afterwards, on databases that bear the target's mark.
    let mut mend = allow(&["rds:ModifyDBInstance"], &[format!("arn:aws:rds:*:{}:db:*", target.account)]);
    mend["Condition"] = json!({"StringEquals": {"aws:ResourceTag/greenroom:environment": desired.target.word}});
    if is_same_account {
        on_source.push(mend.clone());
    }
    let document = |statements: Vec<Json>| json!({"Version": "2012-10-17", "Statement": statements});
    let mut policies = vec![Policy { account: source.account.clone(), document: document(on_source) }];
    if !is_same_account {
        let of_target = snapshots(&target.account, &made);
        let on_target = vec![
            reads,
            allow(&["rds:AddTagsToResource", "rds:CopyDBSnapshot"], &[own_snapshots, of_target.clone()]),
            allow(&["rds:DeleteDBSnapshot"], &[of_target]),
            mend,
            allow(
                &["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"],
                &[keys(&source.account), keys(&target.account)],
            ),
        ];
        policies.push(Policy { account: target.account.clone(), document: document(on_target) });
    }
    policies
}
