//! The nouns of CloudFormation: stacks, their resources, events, change sets and operations, as they are stored.

use crate::simulator::faults::Doom;
use crate::simulator::moment::Moment;
use crate::simulator::resources::Doing;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Everything CloudFormation keeps in one account and Region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CloudFormation {
    /// All stacks that ever were, by id.
    pub(crate) stacks: BTreeMap<String, Stack>,
    /// Drift detections, by id.
    pub(crate) detections: BTreeMap<String, Detection>,
}

impl CloudFormation {
    /// The stack of a name that is not deleted, or any stack by its id.
    pub(crate) fn find(&self, name_or_id: &str) -> Option<&Stack> {
        self.stacks.get(name_or_id).or_else(|| self.live_stack(name_or_id))
    }

    /// The stack of a name or id that is not deleted.
    pub(crate) fn live_stack(&self, name_or_id: &str) -> Option<&Stack> {
        let mut live = self.stacks.values().filter(|stack| stack.status != StackStatus::DeleteComplete);
        live.find(|stack| stack.name == name_or_id || stack.id == name_or_id)
    }

    /// Names of exports with their values and the stacks that make them.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&Stack, &Output, &str)> {
        let live = self.stacks.values().filter(|stack| stack.status != StackStatus::DeleteComplete);
        live.flat_map(|stack| {
            stack
                .deployed
                .outputs
                .iter()
                .filter_map(move |output| Some((stack, output, output.export_name.as_deref()?)))
        })
    }

    /// The live stacks that import a name.
    pub(crate) fn importers(&self, name: &str) -> Vec<&str> {
        let live = self.stacks.values().filter(|stack| stack.status != StackStatus::DeleteComplete);
        live.filter(|stack| stack.deployed.imports.contains(name)).map(|stack| stack.name.as_str()).collect()
    }
}

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum $name { $(#[serde(rename = $text)] $variant),+ }

        impl $name {
            /// AWS's spelling.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

statuses! {
    /// `StackStatus` (API), as far as stacks here come to it.
    StackStatus {
        ReviewInProgress = "REVIEW_IN_PROGRESS",
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateFailed = "CREATE_FAILED",
        CreateComplete = "CREATE_COMPLETE",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackFailed = "ROLLBACK_FAILED",
        RollbackComplete = "ROLLBACK_COMPLETE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteFailed = "DELETE_FAILED",
        DeleteComplete = "DELETE_COMPLETE",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateFailed = "UPDATE_FAILED",
        UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
        UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
        UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
        // Imports are not modelled: a stack comes to these by `/_sim/pose` alone.
        ImportInProgress = "IMPORT_IN_PROGRESS",
        ImportComplete = "IMPORT_COMPLETE",
        ImportRollbackInProgress = "IMPORT_ROLLBACK_IN_PROGRESS",
        ImportRollbackFailed = "IMPORT_ROLLBACK_FAILED",
        ImportRollbackComplete = "IMPORT_ROLLBACK_COMPLETE",
    }
}

statuses! {
    /// `ResourceStatus` (API), as far as resources here come to it.
    ResourceStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateFailed = "CREATE_FAILED",
        CreateComplete = "CREATE_COMPLETE",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateFailed = "UPDATE_FAILED",
        UpdateComplete = "UPDATE_COMPLETE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteFailed = "DELETE_FAILED",
        DeleteComplete = "DELETE_COMPLETE",
        DeleteSkipped = "DELETE_SKIPPED",
    }
}

statuses! {
    /// `ChangeSetStatus` (API).
    ChangeSetStatus {
        CreatePending = "CREATE_PENDING",
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateComplete = "CREATE_COMPLETE",
        Failed = "FAILED",
    }
}

statuses! {
    /// `ExecutionStatus` (API).
    ExecutionStatus {
        Unavailable = "UNAVAILABLE",
        Available = "AVAILABLE",
        ExecuteInProgress = "EXECUTE_IN_PROGRESS",
        ExecuteComplete = "EXECUTE_COMPLETE",
        ExecuteFailed = "EXECUTE_FAILED",
        Obsolete = "OBSOLETE",
    }
}

impl StackStatus {
    /// Whether the stack is in the middle of something and takes no other operation.
    pub(crate) fn is_busy(self) -> bool {
        self.as_str().ends_with("_IN_PROGRESS") && self != Self::ReviewInProgress
    }

    /// Whether an update may begin. `CREATE_FAILED` and `UPDATE_FAILED` take one only with rollback disabled.
    pub(crate) fn is_updatable(self) -> bool {
        matches!(
            self,
            Self::CreateComplete
                | Self::UpdateComplete
                | Self::UpdateRollbackComplete
                | Self::ImportComplete
                | Self::ImportRollbackComplete
        )
    }

    /// Whether the stack was left half done because rollback was disabled.
    pub(crate) fn is_paused(self) -> bool {
        matches!(self, Self::CreateFailed | Self::UpdateFailed)
    }
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A parameter as it was given, and what an SSM parameter stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) value: String,
    pub(crate) resolved: Option<String>,
    pub(crate) is_list: bool,
    pub(crate) is_secret: bool,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export_name: Option<String>,
}

/// What a stack runs, or is to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// The template, byte for byte.
    pub(crate) template: String,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) role: Option<String>,
    pub(crate) rollback_configuration: Value,
    pub(crate) outputs: Vec<Output>,
    pub(crate) imports: BTreeSet<String>,
}

/// A resource of a stack, as CloudFormation knows it: what was last applied, not what is live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StackResource {
    pub(crate) logical_id: String,
    pub(crate) type_name: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) status: ResourceStatus,
    pub(crate) reason: Option<String>,
    pub(crate) at: Moment,
    /// Resolved properties, dynamic references as written.
    pub(crate) properties: Map<String, Value>,
    /// Tags of the stack that reached it.
    pub(crate) tags: Vec<Tag>,
    pub(crate) metadata: Option<Value>,
    pub(crate) deletion_policy: Option<String>,
    pub(crate) replace_policy: Option<String>,
    #[serde(default)]
    pub(crate) creation_policy: Option<Value>,
    #[serde(default)]
    pub(crate) update_policy: Option<Value>,
    pub(crate) needs: BTreeSet<String>,
    pub(crate) drift: Option<ResourceDrift>,
}

/// A stack event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) operation_id: Option<String>,
    pub(crate) at: Moment,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) type_name: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) properties: Option<String>,
    pub(crate) token: Option<String>,
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stack {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Grows with every stack: the order of their making.
    pub(crate) number: u64,
    pub(crate) status: StackStatus,
    pub(crate) reason: Option<String>,
    pub(crate) created: Moment,
    pub(crate) updated: Option<Moment>,
    pub(crate) deleted: Option<Moment>,
    /// The change set that was executed last.
    pub(crate) change_set: Option<String>,
    pub(crate) deployed: Deployment,
    pub(crate) policy: Option<String>,
    pub(crate) is_protected: bool,
    pub(crate) disables_rollback: bool,
    pub(crate) resources: BTreeMap<String, StackResource>,
    /// Oldest first.
    pub(crate) events: Vec<Event>,
    pub(crate) change_sets: Vec<ChangeSet>,
    /// What is under way, or was left half done.
    pub(crate) operation: Option<Operation>,
    /// Type and id of the last operations, newest first.
    pub(crate) last_operations: Vec<(String, String)>,
    /// Client tokens that began operations.
    pub(crate) tokens: BTreeSet<String>,
    pub(crate) drift: Option<StackDrift>,
}

/// A change set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) is_creation: bool,
    pub(crate) reverts_drift: bool,
    pub(crate) status: ChangeSetStatus,
    pub(crate) execution: ExecutionStatus,
    pub(crate) reason: Option<String>,
    pub(crate) created: Moment,
    pub(crate) target: Deployment,
    pub(crate) changes: Vec<Value>,
    pub(crate) on_failure: Option<String>,
    pub(crate) token: Option<String>,
}

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Create,
    Update,
    Delete,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Bringing resources to the target.
    Forward,
    /// Bringing them back, in reverse.
    Undo,
    /// Deleting what is no longer wanted.
    CleanUp,
    /// Ended with a failure and rollback disabled, or with a failed rollback: somebody must decide.
    Paused,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OnFailure {
    #[default]
    RollBack,
    /// Leave everything as it is: `DO_NOTHING`, or rollback disabled.
    Stop,
    /// Roll back and delete the stack.
    Delete,
}

/// How an operation is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    pub(crate) on_failure: OnFailure,
    /// Whether resources made by this operation are deleted on rollback even when their policy is Retain.
    pub(crate) retains_except_on_create: bool,
    pub(crate) reverts_drift: bool,
    /// Whether failing deletions are passed over.
    pub(crate) is_forced: bool,
}

/// An operation on a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) token: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    /// Whether the way forward failed or was given up.
    pub(crate) has_failed: bool,
    pub(crate) target: Deployment,
    pub(crate) options: Options,
    pub(crate) work: BTreeMap<String, Work>,
    pub(crate) deletions: Vec<Deletion>,
    /// Resources to leave alone when deleting.
    pub(crate) retained: BTreeSet<String>,
}

/// What an operation does with one resource on its way forward, and back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) needs: BTreeSet<String>,
    pub(crate) state: WorkState,
    /// What was there before; none for a new resource.
    pub(crate) before: Option<StackResource>,
    /// Whether a new physical resource was asked for.
    pub(crate) replaces: bool,
    /// Whether the handler was called, so that there is something to bring back.
    pub(crate) is_touched: bool,
    /// A failure on purpose that is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doom: Option<Doom>,
}

/// How far the work on a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WorkState {
    Waiting,
    /// Shown as in progress; the handler is not called yet.
    Starting,
    Running,
    Done,
    /// Nothing was to be done.
    Unchanged,
    Failed,
    /// Was running when a sibling failed.
    Cancelled,
    /// Being brought back.
    Undoing,
    Undone,
    UndoFailed,
}

/// A physical resource that is to go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deletion {
    pub(crate) resource: StackResource,
    pub(crate) farewell: Policy,
    pub(crate) state: DeletionState,
}

/// What the template says is to become of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Policy {
    Delete,
    Retain,
    Snapshot,
}

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeletionState {
    Waiting,
    Running,
    Done,
    Failed,
}

/// What happens by itself in CloudFormation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Transition {
    ChangeSetBegins {
        stack: String,
        change_set: String,
    },
    ChangeSetEnds {
        stack: String,
        change_set: String,
    },
    /// Begin or go on with whatever can be done.
    Step {
        stack: String,
        operation: String,
    },
    /// The handler of a resource is called.
    Begin {
        stack: String,
        operation: String,
        logical_id: String,
    },
    /// The handler of a resource is asked whether it is finished.
    Settle {
        stack: String,
        operation: String,
        logical_id: String,
        doing: Doing,
    },
    /// The handler of a deletion is asked.
    SettleDeletion {
        stack: String,
        operation: String,
        place: usize,
    },
    DetectionEnds {
        detection: String,
    },
}

/// A drift detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detection {
    pub(crate) id: String,
    pub(crate) stack_id: String,
    pub(crate) started: Moment,
    /// Only these resources, or all.
    pub(crate) logical_ids: Vec<String>,
    pub(crate) outcome: Option<DetectionOutcome>,
}

/// What a detection found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DetectionOutcome {
    pub(crate) status: String,
    pub(crate) drifted: usize,
    pub(crate) failed: Vec<String>,
}

/// The last drift status of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StackDrift {
    pub(crate) status: String,
    pub(crate) at: Moment,
}

/// The last drift status of a resource, as `DescribeStackResourceDrifts` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResourceDrift {
    pub(crate) status: String,
    pub(crate) at: Moment,
    pub(crate) expected: Option<String>,
    pub(crate) actual: Option<String>,
    pub(crate) differences: Vec<Value>,
}
