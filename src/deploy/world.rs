//! What one look at CloudFormation shows, as plain data: stacks, change sets, stack events.
//!
//! The names are CloudFormation's own (API Reference, `Stack`, `ChangeSet`, `StackEvent`); what they mean for a deployment is said
//! by the planner and by [`changes`](super::changes).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::Place;
use crate::environment::StackPolicy;

/// All that was seen in one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The cloud's own clock: the `Date` of its last answer.
    pub now: Option<Timestamp>,
    /// The same before the first question of this look. What it shows was so then or later, as far as reads are not old.
    pub asked: Option<Timestamp>,
    /// The stacks that were looked for, by their labels; those that do not exist are not there.
    pub stacks: BTreeMap<String, LiveStack>,
    /// Stacks that bear the environment's marks and are not in its file, newest first.
    pub strays: Vec<Stray>,
    /// The change sets that this run asked for and whose end it has not seen, by the labels of their stacks and their names.
    pub made: BTreeMap<String, BTreeMap<String, Made>>,
    /// The names of the change sets that this run has deleted since it last made one, by the labels of their stacks. That the call
    /// was answered well says more than a look: what is being executed cannot be deleted.
    pub emptied: BTreeMap<String, BTreeSet<String>>,
    /// When this run executed a change set of a stack, by the cloud's clock.
    pub executed: BTreeMap<String, Timestamp>,
    /// What is exported, by account, Region and name. Empty unless a parameter asks for an export.
    pub exports: BTreeMap<(String, String, String), String>,
    /// The names in CloudFormation of the stacks that import an export, by account, Region and the export's name: of those that
    /// would go or change.
    pub imports: BTreeMap<(String, String, String), Vec<String>>,
    /// What became of looking for the buckets of templates that no call can carry, by their names.
    pub buckets: BTreeMap<String, BucketStanding>,
    /// What is in buckets that may have to be emptied, by their names, as far as it was asked for.
    pub contents: BTreeMap<String, Contents>,
    /// How many deletions of a stack this run has seen fail, by the labels of stacks.
    pub failed_deletions: BTreeMap<String, usize>,
}

/// A change set that this run asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Its ARN, as the last answer told it.
    pub id: Option<String>,
    /// When it was asked for last, by the cloud's clock.
    pub asked: Option<Timestamp>,
}

impl Made {
    /// Whether a change set of that name in a list is this one, or one that took its place. Otherwise it was there before, for the
    /// name of one that was executed can be used again, and the list is old.
    pub fn is_shown_by(&self, listed: &ChangeSet) -> bool {
        let is_another = self.id.as_ref().is_some_and(|id| *id != listed.id);
        let is_older = listed.created.zip(self.asked).is_some_and(|(created, asked)| created < asked);
        !(is_another && is_older)
    }
}

/// What is in a bucket: all versions of objects, and what marks them as deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Versions of objects, as far as they were counted.
    pub versions: usize,
    /// Delete markers, as far as they were counted.
    pub markers: usize,
    /// The bytes of those versions.
    pub bytes: u64,
    /// Whether there is more than was counted.
    pub is_more: bool,
    /// What is listed first; another round finds something else there.
    #[serde(skip)]
    pub next: String,
}

impl Contents {
    /// Whether the bucket can be deleted.
    pub fn is_empty(&self) -> bool {
        self.versions == 0 && self.markers == 0
    }
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let more = if self.is_more { "more than " } else { "" };
        write!(f, "{more}{}, {}", plural(self.versions, "object version"), size(self.bytes))?;
        if self.markers > 0 { write!(f, ", {}", plural(self.markers, "delete marker")) } else { Ok(()) }
    }
}

/// `12 bytes`, `3.4 KiB`, `1.2 GiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// What is known of a bucket that something should be put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketStanding {
    /// It is there, and the account's own.
    Ready,
    /// There is none of that name.
    Missing,
    /// There is one, and it is another account's, or may not be used. S3 does not tell which.
    Foreign,
    /// It is in another Region.
    Elsewhere,
}

/// A stack that the environment no longer names.
#[derive(Clone, Debug, PartialEq)]
pub struct Stray {
    /// Where it lives.
    pub place: Place,
    /// The stack.
    pub stack: LiveStack,
}

/// A stack to be looked at, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name in the world.
    pub label: String,
    /// Its name in CloudFormation, or its ARN.
    pub stack_name: String,
    /// Where it lives.
    pub place: Place,
}

/// A stack as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveStack {
    /// Its ARN; another stack of the same name has another.
    pub id: String,
    /// Its name in CloudFormation.
    pub name: String,
    /// Its status.
    pub status: StackStatus,
    /// Why it has that status, where CloudFormation says so.
    pub status_reason: Option<String>,
    /// The description of its template.
    pub description: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was last updated.
    pub updated: Option<Timestamp>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
    /// What identifies its last operation: another operation has another. Making a change set is none.
    pub last_operation: String,
    /// The ARN of the change set that was executed last.
    pub executed_change_set: Option<String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// What it exports, by the exports' names.
    pub exports: BTreeMap<String, String>,
    /// Its parameters; of those with `NoEcho`, only [`HIDDEN`].
    pub parameters: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is guarded against deletion.
    pub is_termination_protected: bool,
    /// Its stack policy, where one is wanted or something is about to change.
    pub policy: Option<StackPolicy>,
    /// The change sets that exist, those of ours with their changes.
    pub change_sets: Vec<ChangeSet>,
    /// Change sets of ours whose computation was seen finished in this run; they may be gone by now.
    pub computed: Vec<ChangeSet>,
    /// Whether it is a resource of another stack, which alone may touch it.
    pub is_nested: bool,
    /// The events of the last operation, oldest first, as far as they were asked for.
    pub events: Vec<StackEvent>,
    /// The nested stacks on the way to what failed first, outermost first, as far as they were asked for.
    pub nested: Vec<NestedStack>,
    /// Its resources, as far as they were asked for.
    pub resources: Vec<LiveResource>,
}

/// What CloudFormation shows instead of the value of a `NoEcho` parameter.
pub const HIDDEN: &str = "****";

/// A resource of a stack as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveResource {
    /// Its logical id.
    pub logical_id: String,
    /// Its own id, once it has one.
    pub physical_id: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its status: `CREATE_COMPLETE`.
    pub status: String,
    /// Since when it has that status.
    pub since: Option<Timestamp>,
    /// Why it has that status.
    pub reason: Option<String>,
    /// What the deployed template says of its deletion.
    pub deletion_policy: Option<String>,
    /// The storage that the deployed template gives it, in GiB, where it says so.
    pub storage_gib: Option<u64>,
}

impl LiveResource {
    /// Whether it is gone already.
    pub fn is_gone(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }
}

/// The statuses of a stack (API Reference, "`StackStatus`").
#[derive(Clone, Debug, Default, PartialEq, Eq, strum::EnumString, strum::Display)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CloudFormation's; `Phase` says what they mean")]
pub enum StackStatus {
    CreateInProgress,
    CreateFailed,
    #[default]
    CreateComplete,
    RollbackInProgress,
    RollbackFailed,
    RollbackComplete,
    DeleteInProgress,
    DeleteFailed,
    DeleteComplete,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackFailed,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
    ReviewInProgress,
    ImportInProgress,
    ImportComplete,
    ImportRollbackInProgress,
    ImportRollbackFailed,
    ImportRollbackComplete,
    /// One that is newer than this program.
    #[strum(default)]
    Other(String),
}

impl Serialize for StackStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a status means for whoever wants to change the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It may be updated.
    Steady,
    /// It was never created; there are only change sets.
    Empty,
    /// An operation is running.
    Busy,
    /// It cannot be updated, and will not come out of this by itself.
    Stuck(Stuck),
    /// It does not exist any more.
    Gone,
}

/// How a stack is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Its creation failed and was undone; nothing but its name is left.
    CreationUndone,
    /// Its creation failed and was not undone, or not all of it.
    CreationFailed,
    /// An update failed and was not undone.
    UpdateFailed,
    /// An update failed, and so did undoing it.
    UpdateNotUndone,
    /// It could not be deleted.
    NotDeleted,
    /// This program does not know the status.
    Unheard,
}

impl StackStatus {
    /// What it means.
    pub fn phase(&self) -> Phase {
        match self {
            Self::CreateComplete
            | Self::UpdateComplete
            | Self::UpdateRollbackComplete
            | Self::ImportComplete
            | Self::ImportRollbackComplete => Phase::Steady,
            Self::ReviewInProgress => Phase::Empty,
            Self::CreateInProgress
            | Self::RollbackInProgress
            | Self::DeleteInProgress
            | Self::UpdateInProgress
            | Self::UpdateCompleteCleanupInProgress
            | Self::UpdateRollbackInProgress
            | Self::UpdateRollbackCompleteCleanupInProgress
            | Self::ImportInProgress
            | Self::ImportRollbackInProgress => Phase::Busy,
            Self::RollbackComplete => Phase::Stuck(Stuck::CreationUndone),
            Self::CreateFailed | Self::RollbackFailed => Phase::Stuck(Stuck::CreationFailed),
            Self::UpdateFailed => Phase::Stuck(Stuck::UpdateFailed),
            Self::UpdateRollbackFailed | Self::ImportRollbackFailed => Phase::Stuck(Stuck::UpdateNotUndone),
            Self::DeleteFailed => Phase::Stuck(Stuck::NotDeleted),
            Self::DeleteComplete => Phase::Gone,
            Self::Other(_) => Phase::Stuck(Stuck::Unheard),
        }
    }

    /// Whether an operation that ended here did not do what it was started for.
    pub fn is_bad_end(&self) -> bool {
        match self.phase() {
            Phase::Steady => matches!(self, Self::UpdateRollbackComplete | Self::ImportRollbackComplete),
            Phase::Stuck(_) => true,
            Phase::Empty | Phase::Busy | Phase::Gone => false,
        }
    }
}

/// A change set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeSet {
    /// Its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How far its computation is.
    pub status: ChangeSetStatus,
    /// Whether it can be executed.
    pub execution: Execution,
    /// What whoever made it says it is for.
    pub description: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Why it has that status. Also the place of warnings about a change set that can be executed.
    pub reason: Option<String>,
    /// What it would do.
    pub rows: Vec<Row>,
    /// What was changed past CloudFormation of the resources that it changes.
    pub drifted: Vec<Drifted>,
}

/// How the reason of a change set without changes begins, without and with a transform.
///
/// Recorded from AWS, 2022 to 2025; compared by prefix because the ends have changed over the years.
pub const NO_CHANGES: [&str; 2] =
    ["The submitted information didn't contain changes", "No updates are to be performed"];

/// What was changed past CloudFormation of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drifted {
    /// Its logical id.
    pub resource: String,
    /// The properties.
    pub properties: Vec<DriftedProperty>,
    /// Why that is not known.
    pub unread: Option<String>,
}

/// A property that is not what was deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftedProperty {
    /// Names and positions, separated by `/`.
    pub path: String,
    /// What it is; nothing where it is gone.
    pub actual: Option<String>,
}

impl ChangeSet {
    /// Whether it failed because there is nothing to change.
    pub fn changes_nothing(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        self.status == ChangeSetStatus::Failed && NO_CHANGES.iter().any(|beginning| reason.starts_with(beginning))
    }
}

/// How far the computation of a change set is (API Reference, "`ChangeSetStatus`").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeSetStatus {
    /// It is being computed.
    #[default]
    Computing,
    /// It was computed.
    Complete,
    /// It could not be computed, or there is nothing to change.
    Failed,
    /// It is being deleted.
    Deleting,
}

/// Whether a change set can be executed (API Reference, "`ExecutionStatus`").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// Not yet, or never.
    #[default]
    Unavailable,
    /// It can.
    Available,
    /// It is being executed, or was.
    Begun,
    /// Its execution could not begin.
    Failed,
    /// The stack has changed under it.
    Obsolete,
}

/// What a change set says about one resource (API Reference, "`ResourceChange`").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The logical id.
    pub logical_id: String,
    /// The resource's own id, if it exists.
    pub physical_id: Option<String>,
    /// The resource's type.
    pub kind: String,
    /// What would happen.
    pub action: RowAction,
    /// Whether another resource would take its place.
    pub replacement: Replacement,
    /// What would become of a resource that goes.
    pub policy_action: Option<PolicyAction>,
    /// Its properties before, `{"Properties": …}`.
    pub before: Option<Json>,
    /// Its properties after.
    pub after: Option<Json>,
    /// What changes, value by value.
    pub details: Vec<Detail>,
}

/// What would happen to a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are CloudFormation's")]
pub enum RowAction {
    Add,
    #[default]
    Modify,
    Remove,
    Import,
    /// Not known before it is executed.
    Dynamic,
    /// The template now says what is already so.
    SyncWithActual,
}

/// Whether another resource would take its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replacement {
    /// It stays.
    #[default]
    Never,
    /// CloudFormation does not say.
    Conditional,
    /// It goes.
    Always,
}

/// What would become of a resource that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyAction {
    /// It is deleted.
    Delete,
    /// It is left to itself.
    Retain,
    /// It is deleted after a snapshot was taken.
    Snapshot,
}

/// One value that changes (API Reference, "`ResourceChangeDetail`").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    /// Where the value stands: `/Properties/StorageEncrypted`; empty where CloudFormation gave no path.
    pub path: String,
    /// The property it belongs to, or `Tags`, `Metadata`, `DeletionPolicy`.
    pub property: String,
    /// Whether changing it makes another resource.
    pub recreation: Replacement,
    /// Whether the new value is known before execution.
    pub is_static: bool,
    /// What is written now.
    pub before: Option<String>,
    /// What would be written.
    pub after: Option<String>,
    /// The parameter, resource or attribute behind the change.
    pub cause: Option<String>,
}

/// Something that happened in a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackEvent {
    /// Its id.
    pub id: String,
    /// When.
    pub time: Option<Timestamp>,
    /// The logical id of the resource; the stack's own name where it is about the stack.
    pub resource: String,
    /// The resource's type.
    pub kind: String,
    /// The resource's own id.
    pub physical_id: Option<String>,
    /// The status it came to: `CREATE_FAILED`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The id of the operation that it belongs to; a rollback has one of its own.
    pub operation: Option<String>,
    /// The token that the caller gave the operation, if any.
    pub token: Option<String>,
}

/// A stack that is a resource of another, as far as it tells why that one failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NestedStack {
    /// Its ARN.
    pub id: String,
    /// Its events since the outermost stack's operation began, oldest first.
    pub events: Vec<StackEvent>,
}

impl NestedStack {
    /// The first failure in it that is not an echo.
    pub fn first_cause(&self) -> Option<&StackEvent> {
        first_cause(&self.events, &self.id)
    }
}

/// The first failure in time of a resource is the cause, the others are its echo.
fn first_cause<'a>(events: &'a [StackEvent], stack_id: &str) -> Option<&'a StackEvent> {
    events.iter().find(|event| event.is_cause() && !event.is_about_id(stack_id))
}

/// The type of the row that stands for the stack itself, and of those that stand for stacks nested in it.
pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

impl StackEvent {
    /// Whether it is about the stack and not about one of its resources.
    pub fn is_about(&self, stack: &LiveStack) -> bool {
        self.is_about_id(&stack.id)
    }

    fn is_about_id(&self, stack_id: &str) -> bool {
        self.kind == STACK_TYPE && self.physical_id.as_deref() == Some(stack_id)
    }

    /// The ARN of the nested stack that it is about, where it is about one that came into being.
    pub fn nested_stack(&self) -> Option<&str> {
        self.physical_id.as_deref().filter(|id| self.kind == STACK_TYPE && id.starts_with("arn:"))
    }

    /// Whether an operation that a user asked for begins with it.
    pub fn begins_operation(&self, stack: &LiveStack) -> bool {
        self.is_about(stack)
            && matches!(
                self.status.as_str(),
                "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" | "IMPORT_IN_PROGRESS"
            )
    }

    /// A failure that is not merely the echo of another.
    pub fn is_cause(&self) -> bool {
        let is_echo = |reason: &str| reason.starts_with("Resource ") && reason.ends_with(" cancelled");
        self.status.ends_with("_FAILED") && !self.reason.as_deref().is_some_and(is_echo)
    }
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Resources that came to an end.
    pub done: usize,
    /// Resources that were begun, or are known to be.
    pub begun: usize,
    /// The resource that was last heard of and is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What was last heard of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub news: Option<String>,
    /// Why it cannot succeed any more, as soon as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FirstFailure>,
}

/// Why an operation failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FirstFailure {
    /// The logical ids of the nested stacks that it lies in, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
    /// The resource that failed first; none where the stack itself is all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In CloudFormation's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl FirstFailure {
    /// The resource with the nested stacks that it lies in: `Workers/Queue`.
    pub fn path(&self) -> Option<String> {
        let resource = self.resource.as_deref()?;
        Some(self.within.iter().map(String::as_str).chain([resource]).collect::<Vec<_>>().join("/"))
    }

    /// What follows "it failed" in a sentence: `` because of `Level`: the parameter is locked``.
    pub fn clause(&self) -> String {
        let resource = self.path().map(|path| format!(" because of `{path}`")).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(": {}", reason.trim_end_matches(['.', ' '])));
        format!("{resource}{}", reason.unwrap_or_default())
    }

    /// The resource of the stack's own template that failed, be it a nested stack.
    pub fn own_resource(&self) -> Option<&String> {
        self.within.first().or(self.resource.as_ref())
    }
}

impl LiveStack {
    /// The change set of that name, as it is now.
    pub fn change_set(&self, name: &str) -> Option<&ChangeSet> {
        self.change_sets.iter().find(|change_set| change_set.name == name)
    }

    /// The change set of that name, once its computation was seen finished, whether or not it still exists.
    pub fn computed(&self, name: &str) -> Option<&ChangeSet> {
        self.computed.iter().find(|change_set| change_set.name == name)
    }

    /// How far the last operation is, by the last word about each resource.
    pub fn progress(&self) -> Progress {
        let mut last: Vec<&StackEvent> = Vec::new();
        for event in self.events.iter().filter(|event| !event.is_about(self)) {
            last.retain(|known| known.resource != event.resource);
            last.push(event);
        }
        let is_done = |event: &&&StackEvent| !event.status.ends_with("_IN_PROGRESS");
        let open = last.iter().rev().find(|event| event.status.ends_with("_IN_PROGRESS"));
        Progress {
            done: last.iter().filter(is_done).count(),
            begun: last.len(),
            resource: open.map(|event| event.resource.clone()),
            news: open.and_then(|event| event.reason.clone()),
            failure: self.events.iter().any(StackEvent::is_cause).then(|| self.first_failure()),
        }
    }

    /// The first failure of one of its resources that is not an echo.
    pub fn first_cause(&self) -> Option<&StackEvent> {
        first_cause(&self.events, &self.id)
    }

    /// Why the last operation failed. What a stack says of a nested one is an echo, too: the cause lies in there.
    pub fn first_failure(&self) -> FirstFailure {
        let Some(mut cause) = self.first_cause() else { return self.own_failure() };
        let mut within = Vec::new();
        for nested in &self.nested {
            let Some(inner) = nested.first_cause().filter(|_| cause.nested_stack() == Some(&nested.id)) else { break };
            within.push(cause.resource.clone());
            cause = inner;
        }
        FirstFailure {
            within,
            resource: Some(cause.resource.clone()),
            kind: Some(cause.kind.clone()),
            reason: cause.reason.clone(),
        }
    }

    /// Why what the last operation did could not be undone: the first failure on the way back.
    pub fn rollback_failure(&self) -> FirstFailure {
        let turns = |event: &StackEvent| event.is_about(self) && event.status.ends_with("ROLLBACK_IN_PROGRESS");
        let back = self.events.iter().rposition(turns).unwrap_or_default();
        let events = self.events.get(back..).unwrap_or_default().to_vec();
        Self { events, id: self.id.clone(), status_reason: self.status_reason.clone(), ..Self::default() }
            .first_failure()
    }

    /// What the stack says where no resource has failed.
    fn own_failure(&self) -> FirstFailure {
        let about_stack = self.events.iter().filter(|event| event.is_about(self));
        let told = about_stack
            .filter(|event| event.status.contains("ROLLBACK") || event.is_cause())
            .find_map(|event| event.reason.clone());
        FirstFailure { reason: told.or_else(|| self.status_reason.clone()), ..FirstFailure::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, reason: Option<&str>) -> StackEvent {
        StackEvent {
            resource: resource.to_owned(),
            kind: if resource == "sync" { STACK_TYPE } else { "AWS::SQS::Queue" }.to_owned(),
            physical_id: (resource == "sync").then(|| "arn:sync".to_owned()),
            status: status.to_owned(),
            reason: reason.map(ToOwned::to_owned),
            ..StackEvent::default()
        }
    }

    fn stack(events: Vec<StackEvent>) -> LiveStack {
        LiveStack { id: "arn:sync".to_owned(), name: "sync".to_owned(), events, ..LiveStack::default() }
    }

    #[test]
    fn statuses_keep_their_names() {
        let name = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS";
        let status: StackStatus = name.parse().unwrap_or_default();
        assert_eq!(status, StackStatus::UpdateRollbackCompleteCleanupInProgress);
        assert_eq!(status.to_string(), name);
    }

    #[test]
    fn a_status_nobody_has_heard_of_is_kept_and_never_touched() {
        let status: StackStatus = "SLEEP_COMPLETE".parse().unwrap_or_default();
        assert_eq!(status.to_string(), "SLEEP_COMPLETE");
        assert_eq!(status.phase(), Phase::Stuck(Stuck::Unheard));
    }

    #[test]
    fn the_first_failure_is_the_cause_and_cancelled_siblings_are_not() {
        let stack = stack(vec![
            event("Dead", "CREATE_FAILED", Some("Resource creation cancelled")),
            event("Queue", "CREATE_FAILED", Some("name taken")),
            event("Other", "CREATE_FAILED", Some("later")),
        ]);
        let failure = stack.first_failure();
        assert_eq!((failure.resource.as_deref(), failure.reason.as_deref()), (Some("Queue"), Some("name taken")));
    }

    fn of_nested(resource: &str, id: &str, status: &str, reason: &str) -> StackEvent {
        StackEvent {
            kind: STACK_TYPE.to_owned(),
            physical_id: Some(id.to_owned()),
            ..event(resource, status, Some(reason))
        }
    }

    #[test]
    fn the_cause_lies_in_the_innermost_stack_that_tells_one() {
        let mut stack = stack(vec![
            of_nested(
                "Workers",
                "arn:workers",
                "CREATE_FAILED",
                "Embedded stack arn:workers was not successfully created",
            ),
            event("Other", "CREATE_FAILED", Some("Resource creation cancelled")),
        ]);
        let told = |stack: &LiveStack| {
            let failure = stack.first_failure();
            (failure.path(), failure.reason.clone(), failure.own_resource().cloned())
        };
        let text = |text: &str| Some(text.to_owned());
        let embedded = text("Embedded stack arn:workers was not successfully created");
        assert_eq!(told(&stack), (text("Workers"), embedded.clone(), text("Workers")), "nobody has looked into it");

        let inner = of_nested("Inner", "arn:inner", "CREATE_FAILED", "Embedded stack arn:inner was not created");
        let own = of_nested("sync-Workers", "arn:workers", "CREATE_FAILED", "The following resource(s) failed");
        stack.nested = vec![NestedStack { id: "arn:workers".to_owned(), events: vec![own.clone(), inner] }];
        stack.nested.push(NestedStack {
            id: "arn:inner".to_owned(),
            events: vec![event("Queue", "CREATE_FAILED", Some("name taken"))],
        });
        assert_eq!(told(&stack), (text("Workers/Inner/Queue"), text("name taken"), text("Workers")));

        stack.nested = vec![NestedStack { id: "arn:workers".to_owned(), events: vec![own] }];
        assert_eq!(told(&stack), (text("Workers"), embedded, text("Workers")), "no resource in it has failed");
    }

    #[test]
    fn without_a_failed_resource_the_stack_speaks() {
        let stack = stack(vec![event("sync", "UPDATE_ROLLBACK_IN_PROGRESS", Some("No export named X found."))]);
        assert_eq!(stack.first_failure().reason.as_deref(), Some("No export named X found."));
    }

    #[test]
    fn progress_counts_each_resource_once() {
        let stack = stack(vec![
            event("sync", "CREATE_IN_PROGRESS", Some("User Initiated")),
            event("Queue", "CREATE_IN_PROGRESS", None),
            event("Queue", "CREATE_COMPLETE", None),
            event("Dead", "CREATE_IN_PROGRESS", Some("Resource creation Initiated")),
        ]);
        let progress = stack.progress();
        assert_eq!((progress.done, progress.begun, progress.resource.as_deref()), (1, 2, Some("Dead")));
    }
}
