//! What a clone is, and what it would be. Pure, from what was seen.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{Desired, SOURCE_SNAPSHOT, Step, World};
use crate::operation::Plan;

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
    /// The last transaction in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_as_of: Option<Timestamp>,
    /// The database that was made, by its `DbiResourceId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// How many of its properties were found as written.
    pub verified: usize,
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
    pub uses: Vec<String>,
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
pub fn cloned(desired: &Desired, first: &World, now: &World, snapshot: Option<&super::SeenSnapshot>) -> Cloned {
    let live = now.deploy.stacks.get(&desired.target.stack);
    let database = now.database.as_ref();
    let compared = |name: &&String| database.is_some_and(|database| database.properties.contains_key(*name));
    Cloned {
        source: desired.source.environment.clone(),
        target: desired.target.environment.clone(),
        snapshot: live.and_then(|live| live.parameters.get(&desired.target.parameter)).cloned(),
        source_snapshot: snapshot.and_then(|it| it.tags.get(SOURCE_SNAPSHOT)).cloned(),
        data_as_of: snapshot.and_then(|it| it.data_as_of),
        database: database.map(|database| database.resource_id.clone()),
        verified: desired.target.written.keys().filter(compared).count(),
        was_there: false,
        began: first.deploy.now,
        ended: now.deploy.now,
    }
}

/// Says what would be done from here: the steps that are known and, in words, those that follow from them.
pub fn rehearsal(desired: &Desired, plan: &Plan<Step, super::Reason>) -> Rehearsal {
    let (source, target) = (&desired.source, &desired.target);
    let mut rehearsal = Rehearsal {
        source: source.environment.clone(),
        target: target.environment.clone(),
        steps: Vec::new(),
        waits: Vec::new(),
        refusals: Vec::new(),
        hints: Vec::new(),
        uses: uses(desired),
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
    if copies && source.place.account != target.place.account {
        rehearsal
            .steps
            .push(format!("bring that snapshot to account {}, encrypted under a key there", target.place.account));
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
        Step::Closed(_) | Step::Open(_) => false,
    }
}

/// What the database uses in a day, in RDS's units: prices are not known here.
fn uses(desired: &Desired) -> Vec<String> {
    let said = |name: &str| match desired.target.written.get(name) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
        None => None,
    };
    let is_doubled = said("MultiAZ").as_deref() == Some("true");
    let times = if is_doubled { 2 } else { 1 };
    let class = said("DBInstanceClass").map(|class| format!("{} hours of {class}", 24 * times));
    let storage = said("AllocatedStorage").zip(said("StorageType")).and_then(|(gib, kind)| {
        let gib: u64 = gib.parse().ok()?;
        Some(format!("{} GiB of {kind} for a day", gib * times))
    });
    let iops = said("Iops").map(|iops| format!("{iops} provisioned IOPS"));
    [class, storage, iops].into_iter().flatten().collect()
}

fn policies(desired: &Desired) -> Vec<Policy> {
    let (source, target) = (&desired.source.place, &desired.target.place);
    let reads = json!({
        "Effect": "Allow",
        "Action": [
            "cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks", "cloudformation:GetTemplate",
            "cloudformation:ListStackResources", "rds:DescribeDBInstances", "rds:DescribeDBSnapshotAttributes",
            "rds:DescribeDBSnapshots",
        ],
        "Resource": "*",
    });
    let ours =
        |account: &str| format!("arn:aws:rds:*:{account}:snapshot:{}*", super::copy_prefix(&desired.target.word));
    let on_source = json!({
        "Effect": "Allow",
        "Action": [
            "rds:AddTagsToResource", "rds:CopyDBSnapshot", "rds:CreateDBSnapshot", "rds:DeleteDBSnapshot",
            "rds:ModifyDBSnapshotAttribute",
        ],
        "Resource": [ours(&source.account), format!("arn:aws:rds:*:{}:snapshot:rds:*", source.account), format!("arn:aws:rds:*:{}:db:*", source.account)],
    });
    let on_target = json!({
        "Effect": "Allow",
        "Action": ["rds:AddTagsToResource", "rds:CopyDBSnapshot", "rds:DeleteDBSnapshot"],
        "Resource": [ours(&target.account), ours(&source.account)],
    });
    let keys = json!({
        "Effect": "Allow",
        "Action": ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"],
        "Resource": format!("arn:aws:kms:*:{}:key/*", source.account),
    });
    let document = |statements: Vec<&Json>| json!({"Version": "2012-10-17", "Statement": statements});
    if source.account == target.account {
        return vec![Policy { account: source.account.clone(), document: document(vec![&reads, &on_source]) }];
    }
    vec![
        Policy { account: source.account.clone(), document: document(vec![&reads, &on_source]) },
        Policy { account: target.account.clone(), document: document(vec![&reads, &on_target, &keys]) },
    ]
}
