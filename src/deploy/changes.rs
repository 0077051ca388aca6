//! Reads a change set: what would happen to each resource, in words that a reader can decide by.
//!
//! CloudFormation leaves three things open that people must know: whether "conditionally" means replaced, what becomes of the data
//! in a resource that goes, and whether a removal beside an addition is only a new name. They are settled here. The rules and
//! their sources stand in the handbook's page on CloudFormation, section 3.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use super::DesiredStack;
use super::world::{Detail, HIDDEN, LiveResource, PolicyAction, Replacement, Row, RowAction, STACK_TYPE};
use crate::environment::stack_policy::{Denial, UpdateAction};
use crate::environment::{Place, StackPolicy};
use crate::operation::{Effect, ResourceChange, StackChange};
use crate::template::resource_types::{Replaces, ResourceTypes};
use crate::template::rules;
use crate::template::{Parameter, ParameterValue};

/// What would happen to one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The logical id.
    pub resource: String,
    /// The resource's type.
    pub kind: String,
    /// What happens.
    pub action: Action,
    /// What becomes of a resource that goes, where that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The values that change, in order of their paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<PropertyChange>,
    /// The resource that is removed by the same change and looks like this one under its old name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Why the stack policy lets it not be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// What becomes of the running instances of a group that will launch others from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
}

/// What an update does to the instances of a group whose launch template changes (User Guide, "`UpdatePolicy` attribute").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// Nothing: new ones are launched from the new version.
    Untouched,
    /// They are replaced, batch by batch.
    Rolled,
}

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It comes into being.
    Add,
    /// It is changed in place.
    Modify,
    /// It is changed, perhaps by another taking its place: neither CloudFormation nor our rules can say.
    MayReplace,
    /// Another takes its place.
    Replace,
    /// It goes.
    Remove,
    /// It is taken into the stack as it is.
    Import,
    /// It is what the template says by now: that is recorded, and nothing is touched.
    Record,
    /// It is known only afterwards.
    Unknown,
}

/// A value that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PropertyChange {
    /// Names and positions, separated by `/`: `StorageEncrypted`, `Tags/0/Value`.
    pub path: String,
    /// What is written now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What would be written; nothing also where it is known only afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether this value alone makes another resource.
    pub replaces: bool,
    /// The parameter, resource or attribute behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The line of the environment or template that says the new value, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// What becomes of a resource that goes, and of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What takes its place.
    pub successor: Successor,
    /// What becomes of the old one.
    pub fate: Fate,
    /// What the thing is called.
    pub noun: &'static str,
}

/// What takes the place of a resource that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Successor {
    /// Nothing.
    Nothing,
    /// A new one, with nothing in it.
    Empty,
    /// A new one, made from a snapshot.
    Restored,
}

/// What becomes of a resource that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is deleted with all it holds.
    Deleted,
    /// It stays as a snapshot.
    Snapshot,
    /// It stays, outside of the stack.
    Kept,
}

impl Verdict {
    /// Whether nothing is left of the data.
    pub fn loses_data(&self) -> bool {
        self.fate == Fate::Deleted
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = self.noun;
        let fate = match self.fate {
            Fate::Deleted => "is DELETED with all it holds",
            Fate::Snapshot => "stays as a snapshot",
            Fate::Kept => "is kept outside of the stack",
        };
        match (self.successor, self.fate) {
            (Successor::Nothing, Fate::Deleted) => write!(f, "DELETED with all it holds"),
            (Successor::Nothing, Fate::Snapshot) => write!(f, "deleted; a snapshot stays"),
            (Successor::Nothing, Fate::Kept) => write!(f, "left to itself, outside of the stack"),
            (Successor::Empty, _) => write!(f, "replaced by an EMPTY {noun}; the old one {fate}"),
            (Successor::Restored, _) => write!(f, "replaced by a {noun} made from a snapshot; the old one {fate}"),
        }
    }
}

impl Change {
    fn effect(&self) -> Effect {
        let is_lost = self.verdict.is_some_and(|verdict| verdict.fate == Fate::Deleted);
        match self.action {
            Action::Add | Action::Import => Effect::Add,
            Action::Modify | Action::Record => Effect::Modify,
            _ if is_lost => Effect::LoseData,
            Action::MayReplace | Action::Replace | Action::Unknown => Effect::Replace,
            Action::Remove => Effect::Remove,
        }
    }
}

/// Reads all rows of a change set. `template` is the one that would be deployed.
pub fn read(rows: &[Row], template: &Json) -> Vec<Change> {
    let mut changes: Vec<Change> = rows.iter().map(|row| change(row, template)).collect();
    for (position, former) in renames(rows) {
        changes[position].renamed_from = Some(former);
    }
    changes
}

/// Asks a stack policy about each change: what may be replaced must be allowed to be changed and to be replaced.
pub fn judge(changes: &mut [Change], policy: Option<&StackPolicy>) {
    for change in changes {
        let denial = |action| policy?.denial(&change.resource, &change.kind, action);
        change.denial = match change.action {
            // A policy is about updates of what is there.
            Action::Add | Action::Import | Action::Record => None,
            Action::Modify => denial(UpdateAction::Modify),
            Action::Replace => denial(UpdateAction::Replace),
            Action::Remove => denial(UpdateAction::Delete),
            // Either may come of it.
            Action::MayReplace | Action::Unknown => {
                denial(UpdateAction::Modify).or_else(|| denial(UpdateAction::Replace))
            }
        };
    }
}

/// Every resource of a template as an addition: what a stack that does not exist will have.
pub fn additions(template: &Json) -> Vec<Change> {
    let resources = template.get("Resources").and_then(Json::as_object);
    let addition = |(id, resource): (&String, &Json)| Change {
        resource: id.clone(),
        kind: resource.get("Type").and_then(Json::as_str).unwrap_or_default().to_owned(),
        action: Action::Add,
        verdict: None,
        properties: Vec::new(),
        renamed_from: None,
        denial: None,
        instances: None,
    };
    resources.into_iter().flatten().map(addition).collect()
}

fn change(row: &Row, template: &Json) -> Change {
    let action = match row.action {
        RowAction::Add => Action::Add,
        RowAction::Remove => Action::Remove,
        RowAction::Import => Action::Import,
        RowAction::SyncWithActual => Action::Record,
        RowAction::Dynamic => Action::Unknown,
        RowAction::Modify => modification(row, template),
    };
    let properties = match action {
        Action::Add | Action::Remove | Action::Import | Action::Record => Vec::new(),
        Action::Modify | Action::MayReplace | Action::Replace | Action::Unknown => properties(&row.details),
    };
    let verdict = verdict(row, action, template);
    let instances = instances(row, action, template);
    let (resource, kind) = (row.logical_id.clone(), row.kind.clone());
    Change { resource, kind, action, verdict, properties, renamed_from: None, denial: None, instances }
}

fn instances(row: &Row, action: Action, template: &Json) -> Option<Instances> {
    let is_launch = |detail: &Detail| {
        matches!(detail.property.as_str(), "LaunchTemplate" | "MixedInstancesPolicy" | "LaunchConfigurationName")
    };
    let is_group = row.kind == "AWS::AutoScaling::AutoScalingGroup" && action == Action::Modify;
    if !is_group || !row.details.iter().any(is_launch) {
        return None;
    }
    let policy = resource(template, &row.logical_id).and_then(|resource| resource.get("UpdatePolicy"));
    let is_rolled = policy.is_some_and(|policy| policy.get("AutoScalingRollingUpdate").is_some());
    Some(if is_rolled { Instances::Rolled } else { Instances::Untouched })
}

/// Whether a changed resource stays. What no rule decides counts as replaced where data is at stake.
fn modification(row: &Row, template: &Json) -> Action {
    match row.replacement {
        Replacement::Never => Action::Modify,
        Replacement::Always => Action::Replace,
        Replacement::Conditional => {
            let details = complete(&row.details);
            let open = details.iter().filter(|detail| detail.recreation != Replacement::Never);
            let worst = open.map(|detail| decide(row, detail, template)).max().unwrap_or(Decision::Open);
            match worst {
                Decision::InPlace => Action::Modify,
                Decision::Replaced => Action::Replace,
                Decision::Open if holds_data(&row.kind) => Action::Replace,
                Decision::Open => Action::MayReplace,
            }
        }
    }
}

/// What a rule says of one value. In order: the worst of several is their `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Decision {
    InPlace,
    Open,
    Replaced,
}

fn decide(row: &Row, detail: &Detail, template: &Json) -> Decision {
    // A value that is not known yet may turn out to be the old one; nobody can say before.
    if detail.recreation == Replacement::Always {
        return if detail.is_static { Decision::Replaced } else { Decision::Open };
    }
    match row.kind.as_str() {
        "AWS::RDS::DBInstance" => database(row, detail),
        "AWS::AutoScaling::AutoScalingGroup" => group(row, detail, template),
        "AWS::ElasticLoadBalancing::LoadBalancer" => load_balancer(row, detail),
        "AWS::EC2::VPC" => network(detail),
        _ => Decision::Open,
    }
}

/// One value may be listed twice, and only one of the two may hold what it was and will be: each is given what any knows.
fn complete(details: &[Detail]) -> Vec<Detail> {
    let known = |detail: &Detail, side: fn(&Detail) -> &Option<String>| {
        let mut of_same =
            details.iter().filter(|other| (&other.path, &other.property) == (&detail.path, &detail.property));
        side(detail).clone().or_else(|| of_same.find_map(|other| side(other).clone()))
    };
    let completed = |detail: &Detail| Detail {
        before: known(detail, |detail| &detail.before),
        after: known(detail, |detail| &detail.after),
        ..detail.clone()
    };
    details.iter().map(completed).collect()
}

/// How a value changes, as far as a change set tells. What cannot be told is never taken for equal: that would be taken for harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn<'a> {
    Unchanged,
    Added(&'a str),
    Changed(&'a str, &'a str),
    Removed,
    Unclear,
}

/// How the beginning of a value reads that is known only once the change has been made (recorded from AWS).
const KNOWN_AFTERWARDS: &str = "{{changeSet:";

fn turn<'a>(row: &Row, detail: &'a Detail) -> Turn<'a> {
    let written = |side: &'a Option<String>| side.as_deref().filter(|text| !text.is_empty());
    let is_told = |text: &str| text != HIDDEN && !text.starts_with(KNOWN_AFTERWARDS);
    match (written(&detail.before), written(&detail.after)) {
        (None, None) => Turn::Unclear,
        (None, Some(after)) => Turn::Added(after),
        // Long values are left out of a change set, but not because they are gone.
        (Some(_), None) if stands(row.after.as_ref(), &detail.property) == Some(true) => Turn::Unclear,
        (Some(_), None) => Turn::Removed,
        (Some(before), Some(after)) if !is_told(before) || !is_told(after) => Turn::Unclear,
        (Some(before), Some(after)) if before == after => Turn::Unchanged,
        (Some(before), Some(after)) => Turn::Changed(before, after),
    }
}

/// Whether a resource has a property; nothing where its properties are not known.
fn stands(context: Option<&Json>, property: &str) -> Option<bool> {
    let properties = context?.get("Properties")?;
    Some(match properties.get(property) {
        None | Some(Json::Null) => false,
        Some(Json::Array(entries)) => !entries.is_empty(),
        Some(value) => value != "",
    })
}

/// What the handler of databases does (aws-cloudformation-resource-providers-rds, `ImmutabilityHelper`, July 2025), property by
/// property as the registry lists the conditional ones. What is not listed as in place is a replacement.
fn database(row: &Row, detail: &Detail) -> Decision {
    let turn = turn(row, detail);
    let is_in_place = match detail.property.as_str() {
        "AutoMinorVersionUpgrade"
        | "BackupRetentionPeriod"
        | "DBParameterGroupName"
        | "MultiAZ"
        | "PreferredMaintenanceWindow" => true,
        "DBSnapshotIdentifier"
        | "DBClusterSnapshotIdentifier"
        | "RestoreTime"
        | "SourceDBInstanceAutomatedBackupsArn"
        | "SourceDbiResourceId"
        | "SourceDBInstanceIdentifier"
        | "SourceDBClusterIdentifier" => matches!(turn, Turn::Unchanged | Turn::Removed),
        "UseLatestRestorableTime" => {
            matches!(turn, Turn::Unchanged | Turn::Removed | Turn::Added("false") | Turn::Changed(_, "false"))
        }
        "AvailabilityZone" => turn == Turn::Unchanged || turn == Turn::Removed && is_multi_zone(row),
        "PerformanceInsightsKMSKeyId" => matches!(turn, Turn::Unchanged | Turn::Added(_)),
        "Engine" => match turn {
            Turn::Unchanged => true,
            Turn::Changed(before, after) => is_engine_upgrade(before, after),
            Turn::Added(_) | Turn::Removed | Turn::Unclear => false,
        },
        _ => false,
    };
    if is_in_place { Decision::InPlace } else { Decision::Replaced }
}

fn is_multi_zone(row: &Row) -> bool {
    let value = row.after.as_ref().and_then(|context| context.pointer("/Properties/MultiAZ"));
    value.is_some_and(|value| value == &Json::Bool(true) || value.as_str() == Some("true"))
}

fn is_engine_upgrade(before: &str, after: &str) -> bool {
    matches!(
        (before, after),
        ("aurora", "aurora-mysql")
            | ("oracle-se" | "oracle-se1", "oracle-se2")
            | ("oracle-ee", "oracle-ee-cdb")
            | ("oracle-se2", "oracle-se2-cdb")
    )
}

/// A group is replaced only where its update policy says so (User Guide, "`UpdatePolicy` attribute").
fn group(row: &Row, detail: &Detail, template: &Json) -> Decision {
    const BY_POLICY: [&str; 4] =
        ["LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy", "VPCZoneIdentifier"];
    if !BY_POLICY.contains(&detail.property.as_str()) {
        return Decision::Open;
    }
    let policy =
        resource(template, &row.logical_id).and_then(|it| it.pointer("/UpdatePolicy/AutoScalingReplacingUpdate"));
    match policy.map(|policy| policy.get("WillReplace")) {
        None => Decision::InPlace,
        Some(Some(will)) if will == &Json::Bool(false) || will == "false" => Decision::InPlace,
        Some(_) => Decision::Replaced,
    }
}

/// A classic load balancer is replaced when it gets its first, or loses its last, of these (Template Reference,
/// `AWS::ElasticLoadBalancing::LoadBalancer`, "Update requires").
fn load_balancer(row: &Row, detail: &Detail) -> Decision {
    let property = detail.property.as_str();
    let sides = stands(row.before.as_ref(), property).zip(stands(row.after.as_ref(), property));
    match (property, sides) {
        ("AvailabilityZones" | "HealthCheck" | "Subnets", Some((true, true))) => Decision::InPlace,
        ("AvailabilityZones" | "HealthCheck" | "Subnets", Some(_)) => Decision::Replaced,
        _ => Decision::Open,
    }
}

/// Only from dedicated to shared hosts a network stays (Template Reference, `AWS::EC2::VPC`, `InstanceTenancy`).
fn network(detail: &Detail) -> Decision {
    match (detail.property.as_str(), detail.before.as_deref(), detail.after.as_deref()) {
        ("InstanceTenancy", Some("dedicated"), Some("default")) => Decision::InPlace,
        ("InstanceTenancy", Some("default"), Some("dedicated")) => Decision::Replaced,
        _ => Decision::Open,
    }
}

fn resource<'a>(template: &'a Json, logical_id: &str) -> Option<&'a Json> {
    template.get("Resources")?.get(logical_id)
}

/// One value may be listed twice, once with what is behind it and once without: the one that says more stays.
fn properties(details: &[Detail]) -> Vec<PropertyChange> {
    let mut by_path: BTreeMap<String, PropertyChange> = BTreeMap::new();
    for detail in details {
        let path = if detail.path.is_empty() { &detail.property } else { &detail.path };
        let path = path.trim_start_matches('/').trim_start_matches("Properties/").to_owned();
        let change = by_path.entry(path.clone()).or_insert_with(|| PropertyChange {
            path,
            before: detail.before.clone(),
            after: detail.after.clone(),
            replaces: false,
            cause: None,
            place: None,
        });
        change.replaces |= detail.recreation == Replacement::Always;
        change.cause = change.cause.take().or_else(|| detail.cause.clone());
        change.before = change.before.take().or_else(|| detail.before.clone());
        change.after = change.after.take().or_else(|| detail.after.clone());
    }
    by_path.into_values().collect()
}

/// What would become of a resource that holds data and goes; nothing for all others.
fn verdict(row: &Row, action: Action, template: &Json) -> Option<Verdict> {
    if !holds_data(&row.kind) {
        return None;
    }
    let successor = match action {
        Action::Add | Action::Modify | Action::Import | Action::Record => return None,
        Action::Remove => Successor::Nothing,
        Action::MayReplace | Action::Replace | Action::Unknown if is_restored(row) => Successor::Restored,
        Action::MayReplace | Action::Replace | Action::Unknown => Successor::Empty,
    };
    Some(Verdict { successor, fate: fate(row, action, template), noun: noun(&row.kind) })
}

/// CloudFormation's own word, else the policy that the template gives, else the default.
///
/// The template that is left has the deletion policy of a resource that is removed; without CloudFormation's word the worst is
/// assumed.
fn fate(row: &Row, action: Action, template: &Json) -> Fate {
    let said = match row.policy_action {
        Some(PolicyAction::Delete) => Some(Fate::Deleted),
        Some(PolicyAction::Retain) => Some(Fate::Kept),
        Some(PolicyAction::Snapshot) => Some(Fate::Snapshot),
        None => None,
    };
    let policy = || resource(template, &row.logical_id)?.get("UpdateReplacePolicy")?.as_str();
    let written = || match (action, policy()) {
        (Action::Remove, _) => None,
        (_, policy) => policy.and_then(policy_fate),
    };
    said.or_else(written).unwrap_or(Fate::Deleted)
}

/// What a policy of a template says; nothing for a word that is none.
pub fn policy_fate(policy: &str) -> Option<Fate> {
    match policy {
        "Delete" => Some(Fate::Deleted),
        "Snapshot" => Some(Fate::Snapshot),
        "Retain" | "RetainExceptOnCreate" => Some(Fate::Kept),
        _ => None,
    }
}

/// What CloudFormation does without a `DeletionPolicy` (User Guide, "`DeletionPolicy` attribute").
pub fn default_fate(kind: &str, is_cluster_member: bool) -> Fate {
    match kind {
        "AWS::RDS::DBCluster" => Fate::Snapshot,
        "AWS::RDS::DBInstance" if !is_cluster_member => Fate::Snapshot,
        _ => Fate::Deleted,
    }
}

/// What would become of a resource that holds data when its stack is deleted; nothing for all others.
pub fn loss(resource: &LiveResource) -> Option<Verdict> {
    if !holds_data(&resource.kind) || resource.is_gone() {
        return None;
    }
    let written = resource.deletion_policy.as_deref().and_then(policy_fate);
    let fate = written.unwrap_or_else(|| default_fate(&resource.kind, false));
    Some(Verdict { successor: Successor::Nothing, fate, noun: noun(&resource.kind) })
}

fn is_restored(row: &Row) -> bool {
    let properties = row.after.as_ref().and_then(|context| context.get("Properties"));
    ["DBSnapshotIdentifier", "SnapshotIdentifier"]
        .iter()
        .any(|name| properties.and_then(|properties| properties.get(name)).is_some_and(|value| value != ""))
}

/// A nested stack may hold anything: nobody has looked into it.
fn holds_data(kind: &str) -> bool {
    kind == STACK_TYPE || rules::holds_data(kind)
}

/// What people call a resource that holds data.
pub fn noun(kind: &str) -> &'static str {
    match kind {
        "AWS::RDS::DBInstance" => "database",
        "AWS::RDS::DBCluster" | "AWS::DocDB::DBCluster" | "AWS::Neptune::DBCluster" | "AWS::Redshift::Cluster" => {
            "database cluster"
        }
        "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => "table",
        "AWS::S3::Bucket" => "bucket",
        STACK_TYPE => "nested stack",
        "AWS::EC2::Volume" => "volume",
        "AWS::EFS::FileSystem" | "AWS::FSx::FileSystem" => "file system",
        "AWS::KMS::Key" => "key",
        "AWS::SecretsManager::Secret" => "secret",
        "AWS::Elasticsearch::Domain" | "AWS::OpenSearchService::Domain" => "search domain",
        _ => "resource",
    }
}

/// The rows that add what looks like a removed resource under a new name, each with the old one: the same properties, or else the
/// only pair of its type that is left. No removed resource is taken for the origin of two.
///
/// CloudFormation knows no renaming: the old one goes, with what it holds.
fn renames(rows: &[Row]) -> Vec<(usize, String)> {
    let of = |action: RowAction| rows.iter().enumerate().filter(move |(_, row)| row.action == action);
    let mut added: Vec<(usize, &Row)> = of(RowAction::Add).collect();
    let mut removed: Vec<&Row> = of(RowAction::Remove).map(|(_, row)| row).collect();
    let mut renames = Vec::new();
    added.retain(|(position, row)| {
        let is_twin = |gone: &&Row| gone.kind == row.kind && gone.before.is_some() && gone.before == row.after;
        let Some(twin) = removed.iter().position(is_twin) else { return true };
        renames.push((*position, removed.remove(twin).logical_id.clone()));
        false
    });
    for (position, row) in &added {
        let mut gone = removed.iter().filter(|gone| gone.kind == row.kind);
        let is_only = added.iter().filter(|(_, other)| other.kind == row.kind).count() == 1;
        if let (Some(only), None, true) = (gone.next(), gone.next(), is_only) {
            renames.push((*position, only.logical_id.clone()));
        }
    }
    renames
}

/// The change of a stack as an approval sees it.
pub fn proposed(stack: &DesiredStack, changes: &[Change], change_set: Option<&str>) -> StackChange {
    let resources = changes.iter().map(|change| {
        // Whole properties: where in a list a value stands is nothing anybody approves.
        let top = |property: &PropertyChange| property.path.split('/').next().unwrap_or_default().to_owned();
        let properties = change.properties.iter().map(top).collect();
        (change.resource.clone(), ResourceChange { effect: change.effect(), properties })
    });
    StackChange {
        template: Some(stack.template_digest.clone()),
        parameters: expressions(&stack.parameters),
        change_set: change_set.map(str::to_owned),
        resources: resources.collect(),
    }
}

/// What parameters are given, references unresolved.
fn expressions(parameters: &[Parameter]) -> BTreeMap<String, String> {
    let expression = |value: &ParameterValue| match value {
        ParameterValue::Text(text) => text.clone(),
        ParameterValue::Reference(reference) => reference.to_string(),
    };
    parameters.iter().map(|parameter| (parameter.name.clone(), expression(&parameter.value))).collect()
}

/// What may change because these parameters do: every property that refers to one, at its worst. What follows from a replaced
/// resource in turn is not in it.
pub fn possible(template: &Json, parameters: &[&str]) -> Vec<Change> {
    let landings = parameters.iter().flat_map(|parameter| crate::template::landing::uses(template, parameter));
    let mut by_resource: BTreeMap<String, Change> = BTreeMap::new();
    for landing in landings {
        let Some(property) = landing.property else { continue };
        let replaces =
            ResourceTypes::shipped().get(&landing.kind).map_or(Replaces::Conditionally, |it| it.replaces(&property));
        let action = match replaces {
            Replaces::Never => Action::Modify,
            Replaces::Conditionally => Action::MayReplace,
            Replaces::Always => Action::Replace,
        };
        let row = Row { logical_id: landing.resource.clone(), kind: landing.kind.clone(), ..Row::default() };
        let change = by_resource.entry(landing.resource.clone()).or_insert_with(|| Change {
            resource: landing.resource,
            kind: landing.kind,
            action,
            verdict: verdict(&row, action, template),
            properties: Vec::new(),
            renamed_from: None,
            denial: None,
            instances: None,
        });
        if replaces == Replaces::Always {
            change.action = Action::Replace;
            change.verdict = verdict(&row, Action::Replace, template);
        }
        change.properties.push(PropertyChange {
            path: property,
            before: None,
            after: None,
            replaces: replaces == Replaces::Always,
            cause: None,
            place: None,
        });
    }
    by_resource.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detail(property: &str, recreation: Replacement, before: &str, after: &str) -> Detail {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Detail {
            path: format!("/Properties/{property}"),
            property: property.to_owned(),
            recreation,
            is_static: true,
            before: value(before),
            after: value(after),
            cause: None,
        }
    }

    fn database_row(replacement: Replacement, details: Vec<Detail>) -> Row {
        Row {
            logical_id: "Database".to_owned(),
            kind: "AWS::RDS::DBInstance".to_owned(),
            replacement,
            details,
            ..Row::default()
        }
    }

    /// What a conditional change of one database property comes to.
    #[track_caller]
    fn check(property: &str, before: &str, after: &str, expected: Action) {
        let row =
            database_row(Replacement::Conditional, vec![detail(property, Replacement::Conditional, before, after)]);
        assert_eq!(change(&row, &Json::Null).action, expected, "{property} {before} → {after}");
    }

    /// For each conditional property of a database, two values of it, and whether the database stays when the value is added,
    /// changed, and removed.
    #[rustfmt::skip]
    const CONDITIONAL: [(&str, [&str; 2], [bool; 3]); 16] = [
        ("AutoMinorVersionUpgrade",             ["true", "false"],        [true,  true,  true]),
        ("AvailabilityZone",                    ["a", "b"],               [false, false, false]),
        ("BackupRetentionPeriod",               ["7", "14"],              [true,  true,  true]),
        ("DBClusterSnapshotIdentifier",         ["snap", "other"],        [false, false, true]),
        ("DBParameterGroupName",                ["own", "other"],         [true,  true,  true]),
        ("DBSnapshotIdentifier",                ["snap", "other"],        [false, false, true]),
        ("Engine",                              ["postgres", "mysql"],    [false, false, false]),
        ("MultiAZ",                             ["false", "true"],        [true,  true,  true]),
        ("PerformanceInsightsKMSKeyId",         ["key", "other"],         [true,  false, false]),
        ("PreferredMaintenanceWindow",          ["sun", "mon"],           [true,  true,  true]),
        ("RestoreTime",                         ["noon", "midnight"],     [false, false, true]),
        ("SourceDBClusterIdentifier",           ["main", "other"],        [false, false, true]),
        ("SourceDBInstanceAutomatedBackupsArn", ["arn:a", "arn:b"],       [false, false, true]),
        ("SourceDBInstanceIdentifier",          ["main", "other"],        [false, false, true]),
        ("SourceDbiResourceId",                 ["db-1", "db-2"],         [false, false, true]),
        ("UseLatestRestorableTime",             ["true", "false"],        [false, true,  true]),
    ];

    #[test]
    fn every_conditional_property_of_a_database_is_decided_for_every_turn_it_can_take() {
        for (property, [one, other], [added, changed, removed]) in CONDITIONAL {
            let action = |stays: bool| if stays { Action::Modify } else { Action::Replace };
            check(property, one, one, Action::Modify);
            check(property, "", one, action(added));
            check(property, one, other, action(changed));
            check(property, one, "", action(removed));
        }
    }

    #[test]
    fn the_table_holds_what_the_registry_calls_conditional() {
        let facts = ResourceTypes::shipped().get("AWS::RDS::DBInstance").expect("databases are known");
        let conditional: Vec<&str> = facts.conditional_create_only.iter().map(String::as_str).collect();
        assert_eq!(CONDITIONAL.map(|(property, ..)| property).to_vec(), conditional);
    }

    /// What is said once makes a new resource whenever it is said otherwise, and endangers what the old one holds.
    #[test]
    fn every_create_only_property_of_every_type_replaces_for_every_turn_it_can_take() {
        let mut tried = 0;
        for (kind, facts) in &ResourceTypes::shipped().types {
            let row = |replacement, details| Row {
                logical_id: "It".to_owned(),
                kind: (*kind).to_owned(),
                replacement,
                details,
                ..Row::default()
            };
            for property in &facts.create_only {
                assert_eq!(facts.replaces(property), Replaces::Always, "{kind} {property}");
                let turns = [("added", "", "a"), ("changed", "a", "b"), ("removed", "a", "")];
                // A row may leave open what its details say.
                for ((turn, before, after), said) in
                    turns.iter().flat_map(|turn| [(turn, Replacement::Always), (turn, Replacement::Conditional)])
                {
                    let made =
                        change(&row(said, vec![detail(property, Replacement::Always, before, after)]), &Json::Null);
                    assert_eq!(made.action, Action::Replace, "{kind} {property} {turn}, {said:?}");
                    assert_eq!(made.verdict.is_some(), holds_data(kind), "{kind} {property} {turn}");
                    tried += 1;
                }
                let unchanged = change(&row(Replacement::Never, Vec::new()), &Json::Null);
                assert_eq!((unchanged.action, unchanged.verdict), (Action::Modify, None), "{kind} {property}");
            }
        }
        assert!(tried > 500, "{tried}");
    }

    #[test]
    fn the_values_that_turn_a_decision_round() {
        check("UseLatestRestorableTime", "false", "true", Action::Replace);
        check("UseLatestRestorableTime", "", "false", Action::Modify);
        check("Engine", "oracle-se", "oracle-se2", Action::Modify);
        check("Engine", "oracle-se1", "oracle-se2", Action::Modify);
        check("Engine", "oracle-ee", "oracle-ee-cdb", Action::Modify);
        check("Engine", "oracle-se2", "oracle-se2-cdb", Action::Modify);
        check("Engine", "aurora", "aurora-mysql", Action::Modify);
        check("SomethingNew", "a", "b", Action::Replace);
    }

    /// `****` is not equal to `****`, nor is what nobody knows yet, nor what was left out of the answer.
    #[test]
    fn a_value_that_cannot_be_told_is_never_taken_for_harmless() {
        check("DBSnapshotIdentifier", "****", "****", Action::Replace);
        check("Engine", "postgres", "{{changeSet:KNOWN_AFTER_APPLY}}", Action::Replace);
        check("UseLatestRestorableTime", "false", "{{changeSet:KNOWN_AFTER_APPLY}}", Action::Replace);
        check("DBSnapshotIdentifier", "", "", Action::Replace);
        let left_out = detail("DBSnapshotIdentifier", Replacement::Conditional, "snap", "");
        let mut row = database_row(Replacement::Conditional, vec![left_out]);
        row.after = Some(json!({"Properties": {"DBSnapshotIdentifier": "other"}}));
        assert_eq!(change(&row, &Json::Null).action, Action::Replace);
    }

    /// Recorded from AWS: a value may be listed twice. Where only one of the two says what it is, the other knows it too.
    #[test]
    fn a_value_that_is_listed_twice_is_decided_by_what_both_say() {
        let full = detail("Engine", Replacement::Conditional, "oracle-se1", "oracle-se2");
        let bare = Detail { before: None, after: None, is_static: false, ..full.clone() };
        let row = database_row(Replacement::Conditional, vec![full, bare]);
        assert_eq!(change(&row, &Json::Null).action, Action::Modify);
    }

    #[test]
    fn a_zone_may_be_given_up_for_several() {
        let mut row =
            database_row(Replacement::Conditional, vec![detail("AvailabilityZone", Replacement::Conditional, "a", "")]);
        row.after = Some(json!({"Properties": {"MultiAZ": "true"}}));
        assert_eq!(change(&row, &Json::Null).action, Action::Modify);
    }

    fn conditional_row(kind: &str, property: &str, before: &str, after: &str) -> Row {
        Row {
            logical_id: "It".to_owned(),
            kind: kind.to_owned(),
            replacement: Replacement::Conditional,
            details: vec![detail(property, Replacement::Conditional, before, after)],
            ..Row::default()
        }
    }

    #[test]
    fn a_load_balancer_is_replaced_by_its_first_and_its_last_subnet() {
        let subnets = |list: &[&str]| Some(json!({"Properties": {"Subnets": list}}));
        for (before, after, expected) in [
            (&["a"][..], &["a", "b"][..], Action::Modify),
            (&["a", "b"], &["a"], Action::Modify),
            (&[], &["a"], Action::Replace),
            (&["a"], &[], Action::Replace),
        ] {
            let mut row = conditional_row("AWS::ElasticLoadBalancing::LoadBalancer", "Subnets", "", "a");
            (row.before, row.after) = (subnets(before), subnets(after));
            assert_eq!(change(&row, &Json::Null).action, expected, "{before:?} → {after:?}");
        }
        let unknown = conditional_row("AWS::ElasticLoadBalancing::LoadBalancer", "Subnets", "", "a");
        assert_eq!(change(&unknown, &Json::Null).action, Action::MayReplace);
    }

    #[test]
    fn a_network_stays_only_on_its_way_to_shared_hosts() {
        let action = |before: &str, after: &str| {
            change(&conditional_row("AWS::EC2::VPC", "InstanceTenancy", before, after), &Json::Null).action
        };
        assert_eq!(action("dedicated", "default"), Action::Modify);
        assert_eq!(action("default", "dedicated"), Action::Replace);
    }

    #[test]
    fn what_no_rule_decides_is_a_replacement_only_where_data_is_at_stake() {
        let open = |kind: &str| Row {
            logical_id: "It".to_owned(),
            kind: kind.to_owned(),
            replacement: Replacement::Conditional,
            details: vec![detail("X", Replacement::Conditional, "a", "b")],
            ..Row::default()
        };
        assert_eq!(change(&open("AWS::S3::Bucket"), &Json::Null).action, Action::Replace);
        assert_eq!(change(&open("AWS::EC2::VPC"), &Json::Null).action, Action::MayReplace);
    }

    #[test]
    fn a_group_is_replaced_only_by_its_update_policy() {
        for property in ["LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy", "VPCZoneIdentifier"] {
            let row = conditional_row("AWS::AutoScaling::AutoScalingGroup", property, "1", "2");
            let action = |policy: Json| change(&row, &json!({"Resources": {"It": {"UpdatePolicy": policy}}})).action;
            assert_eq!(action(json!({"AutoScalingReplacingUpdate": {"WillReplace": true}})), Action::Replace);
            assert_eq!(action(json!({"AutoScalingReplacingUpdate": {}})), Action::Replace, "the worse is assumed");
            assert_eq!(action(json!({"AutoScalingReplacingUpdate": {"WillReplace": false}})), Action::Modify);
            assert_eq!(action(json!({"AutoScalingRollingUpdate": {}})), Action::Modify);
            assert_eq!(action(Json::Null), Action::Modify);
        }
    }

    #[test]
    fn says_what_becomes_of_the_data() {
        let template = json!({"Resources": {"Database": {"UpdateReplacePolicy": "Snapshot"}}});
        let details = vec![detail("StorageEncrypted", Replacement::Always, "false", "true")];
        let mut row = database_row(Replacement::Always, details);
        let verdict = |row: &Row, template: &Json| change(row, template).verdict.map(|it| it.to_string());
        assert_eq!(
            verdict(&row, &template).as_deref(),
            Some("replaced by an EMPTY database; the old one stays as a snapshot")
        );
        assert_eq!(
            verdict(&row, &Json::Null).as_deref(),
            Some("replaced by an EMPTY database; the old one is DELETED with all it holds")
        );
        row.policy_action = Some(PolicyAction::Retain);
        assert_eq!(
            verdict(&row, &template).as_deref(),
            Some("replaced by an EMPTY database; the old one is kept outside of the stack"),
            "CloudFormation's own word counts first"
        );
        row.after = Some(json!({"Properties": {"DBSnapshotIdentifier": "snap"}}));
        assert_eq!(
            verdict(&row, &template).as_deref(),
            Some("replaced by a database made from a snapshot; the old one is kept outside of the stack")
        );
    }

    #[test]
    fn a_nested_stack_that_goes_may_take_data_with_it() {
        let nested = |replacement, action| Row {
            logical_id: "Workers".to_owned(),
            kind: STACK_TYPE.to_owned(),
            action,
            replacement,
            ..Row::default()
        };
        let gone = change(&nested(Replacement::Never, RowAction::Remove), &Json::Null);
        assert_eq!(gone.verdict.map(|it| it.to_string()).as_deref(), Some("DELETED with all it holds"));
        let changed = change(&nested(Replacement::Never, RowAction::Modify), &Json::Null);
        assert_eq!((changed.action, changed.verdict), (Action::Modify, None));
    }

    #[test]
    fn a_removal_without_a_word_of_cloudformation_is_taken_for_the_worst() {
        let row = Row { action: RowAction::Remove, ..database_row(Replacement::Never, vec![]) };
        let change = change(&row, &Json::Null);
        assert_eq!(change.verdict.map(|it| it.to_string()).as_deref(), Some("DELETED with all it holds"));
        assert_eq!(change.effect(), Effect::LoseData);
    }

    /// Recorded from AWS: a parameter's change stands there with its cause, and once more without.
    #[test]
    fn two_details_of_one_value_are_one_change() {
        let with_cause =
            Detail { cause: Some("Storage".to_owned()), ..detail("AllocatedStorage", Replacement::Never, "20", "40") };
        let without = Detail { is_static: false, ..detail("AllocatedStorage", Replacement::Never, "20", "40") };
        for details in [vec![with_cause.clone(), without.clone()], vec![without, with_cause]] {
            let changes = properties(&details);
            assert_eq!(changes.len(), 1);
            assert_eq!(changes[0].cause.as_deref(), Some("Storage"));
        }
    }

    /// Recorded from AWS: some rows that add say that they replace.
    #[test]
    fn an_addition_replaces_nothing() {
        let row = Row { action: RowAction::Add, ..database_row(Replacement::Always, vec![]) };
        assert_eq!(change(&row, &Json::Null).action, Action::Add);
    }

    #[test]
    fn a_removal_beside_an_addition_of_its_type_looks_like_a_new_name() {
        let row = |id: &str, action: RowAction| Row {
            logical_id: id.to_owned(),
            action,
            ..database_row(Replacement::Never, vec![])
        };
        let changes = read(&[row("Old", RowAction::Remove), row("New", RowAction::Add)], &Json::Null);
        assert_eq!(changes[1].renamed_from.as_deref(), Some("Old"));
        assert_eq!(changes[0].renamed_from, None);
    }

    #[test]
    fn of_two_new_names_each_has_an_origin_of_its_own() {
        let row = |id: &str, action: RowAction, size: &str| {
            let context = Some(json!({"Properties": {"AllocatedStorage": size}}));
            let (before, after) = if action == RowAction::Remove { (context, None) } else { (None, context) };
            Row { logical_id: id.to_owned(), action, before, after, ..database_row(Replacement::Never, vec![]) }
        };
        let rows = [
            row("OldSmall", RowAction::Remove, "20"),
            row("OldLarge", RowAction::Remove, "800"),
            row("NewLarge", RowAction::Add, "800"),
            row("NewSmall", RowAction::Add, "20"),
        ];
        let origins =
            |rows: &[Row]| read(rows, &Json::Null).into_iter().filter_map(|it| it.renamed_from).collect::<Vec<_>>();
        assert_eq!(origins(&rows), ["OldLarge", "OldSmall"]);
        let twins = [
            row("One", RowAction::Remove, "20"),
            row("Two", RowAction::Remove, "20"),
            row("Three", RowAction::Add, "20"),
            row("Four", RowAction::Add, "20"),
        ];
        assert_eq!(origins(&twins), ["One", "Two"]);
        assert_eq!(
            origins(&[
                row("Gone", RowAction::Remove, "20"),
                row("A", RowAction::Add, "1"),
                row("B", RowAction::Add, "2")
            ])
            .len(),
            0
        );
    }

    #[test]
    fn what_refers_to_a_changing_parameter_may_change() {
        let template = json!({"Resources": {
            "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24"}},
            "Other": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        }});
        let changes = possible(&template, &["Vpc"]);
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].resource.as_str(), changes[0].action), ("Subnet", Action::Replace));
    }
}
