//! Deletes what is no longer wanted, in reverse order, by the policies of the template; and ends operations.

use std::collections::BTreeSet;

use super::work::{Tried, unknown_type};
use super::{Run, SECONDS_TO_RETRY};
use crate::simulator::cloudformation::change_sets;
use crate::simulator::cloudformation::stack::{
    Deletion, DeletionState, Deployment, Kind, OnFailure, Policy, ResourceStatus, StackResource, StackStatus,
    Transition,
};
use crate::simulator::faults::Work as FaultedWork;
use crate::simulator::resources::{self, Doing, Farewell};

impl Run<'_> {
    pub(super) fn step_clean_up(&mut self) {
        // Each round begins at least one deletion or is the last.
        while let Some(number) = self.next_deletion() {
            self.begin_deletion(number);
        }
        let is_running = self.operation().is_some_and(|operation| {
            operation.deletions.iter().any(|deletion| deletion.state == DeletionState::Running)
        });
        if !is_running {
            self.end_clean_up();
        }
    }

    /// A resource goes after everything that refers to it.
    pub(super) fn next_deletion(&self) -> Option<usize> {
        let operation = self.operation()?;
        // After a successful update failing deletions are passed over; elsewhere what they need must stay.
        let is_lenient = operation.kind == Kind::Update || operation.options.is_forced;
        let is_gone =
            |state: DeletionState| state == DeletionState::Done || (is_lenient && state == DeletionState::Failed);
        operation.deletions.iter().position(|deletion| {
            deletion.state == DeletionState::Waiting
                && operation.deletions.iter().all(|other| {
                    is_gone(other.state)
                        || !other.resource.needs.contains(&deletion.resource.logical_id)
                        || std::ptr::eq(other, deletion)
                })
        })
    }

    pub(super) fn set_deletion(&mut self, number: usize, state: DeletionState) {
        let deletion = self.stack_mut().operation.as_mut().and_then(|operation| operation.deletions.get_mut(number));
        if let Some(deletion) = deletion {
            deletion.state = state;
        }
    }

    pub(super) fn deletion(&self, number: usize) -> Option<Deletion> {
        self.operation()?.deletions.get(number).cloned()
    }

    pub(super) fn begin_deletion(&mut self, number: usize) {
        let Some(deletion) = self.deletion(number) else {
            return;
        };
        let resource = deletion.resource;
        if resource.physical_id.is_none() {
            self.tell(&resource, ResourceStatus::DeleteComplete, None);
            self.forget(&resource);
            self.set_deletion(number, DeletionState::Done);
            return;
        }
        let farewell = match deletion.farewell {
            Policy::Retain => {
                self.tell(&resource, ResourceStatus::DeleteSkipped, None);
                self.forget(&resource);
                self.set_deletion(number, DeletionState::Done);
                return;
            }
            Policy::Delete => Farewell::Delete,
            Policy::Snapshot => Farewell::Snapshot,
        };
        if resource.status != ResourceStatus::DeleteInProgress || deletion.state == DeletionState::Waiting {
            self.tell(&resource, ResourceStatus::DeleteInProgress, None);
        }
        self.set_deletion(number, DeletionState::Running);
        self.call_delete(number, &resource, farewell);
    }

    pub(super) fn call_delete(&mut self, number: usize, resource: &StackResource, farewell: Farewell) {
        let id = resource.physical_id.clone().unwrap_or_default();
        let deleted = match self.injected_failure(resource, FaultedWork::Delete) {
            // Nothing is deleted before it fails: when that is told makes no difference to what is there.
            Some(doom) => Err(Tried::Failed(doom.reason)),
            None => resources::of(&resource.type_name)
                .ok_or_else(|| Tried::Failed(unknown_type(&resource.type_name)))
                .and_then(|handler| {
                    handler.delete(self.world, self.place, &id, farewell).map_err(|failure| match failure.code {
                        "ResourceConflict" if resource.type_name == "AWS::RDS::DBInstance" => Tried::Busy,
                        _ => Tried::Failed(self.reason(&failure)),
                    })
                }),
        };
        match deleted {
            Ok(seconds) => {
                self.told(&resource.type_name, &id, Doing::Delete);
                self.schedule_deletion(number, seconds);
            }
            Err(Tried::Busy) => self.schedule_deletion(number, SECONDS_TO_RETRY),
            Err(Tried::Failed(reason)) => {
                self.tell(resource, ResourceStatus::DeleteFailed, Some(&reason));
                self.set_deletion(number, DeletionState::Failed);
            }
        }
    }

    pub(super) fn schedule_deletion(&mut self, number: usize, seconds: u64) {
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        self.schedule(
            seconds,
            Transition::SettleDeletion { stack: self.stack_id.to_owned(), operation, place: number },
        );
    }

    pub(super) fn settle_deletion(&mut self, number: usize) {
        let Some(deletion) = self.deletion(number).filter(|deletion| deletion.state == DeletionState::Running) else {
            return;
        };
        let resource = deletion.resource;
        let id = resource.physical_id.clone().unwrap_or_default();
        let is_alive = resources::of(&resource.type_name)
            .is_some_and(|handler| handler.read(self.world, self.place, &id).is_some());
        if is_alive {
            let farewell = if deletion.farewell == Policy::Snapshot { Farewell::Snapshot } else { Farewell::Delete };
            self.call_delete(number, &resource, farewell);
            let has_failed = self.deletion(number).is_some_and(|deletion| deletion.state == DeletionState::Failed);
            if has_failed {
                self.step();
            }
            return;
        }
        self.tell(&resource, ResourceStatus::DeleteComplete, None);
        self.forget(&resource);
        self.set_deletion(number, DeletionState::Done);
        self.step();
    }

    /// A resource that an update removed is no longer the stack's; a deleted stack still shows what it had.
    pub(super) fn forget(&mut self, resource: &StackResource) {
        let stack = self.stack_mut();
        let is_update = stack.operation.as_ref().is_some_and(|operation| operation.kind == Kind::Update);
        let is_current = stack
            .resources
            .get(&resource.logical_id)
            .is_some_and(|current| current.physical_id == resource.physical_id);
        if is_update && is_current {
            stack.resources.remove(&resource.logical_id);
        }
    }

    pub(super) fn end_clean_up(&mut self) {
        let Some(operation) = self.operation() else {
            return;
        };
        let failed: Vec<String> = operation
            .deletions
            .iter()
            .filter(|deletion| deletion.state == DeletionState::Failed)
            .map(|deletion| deletion.resource.logical_id.clone())
            .collect();
        let reason = format!("The following resource(s) failed to delete: [{}]. ", failed.join(", "));
        let has_leftovers = !failed.is_empty() && !operation.options.is_forced;
        match (operation.kind, operation.has_failed) {
            (Kind::Update, false) => self.end(StackStatus::UpdateComplete, None),
            (Kind::Update, true) => self.end(StackStatus::UpdateRollbackComplete, None),
            (Kind::Create, _) if has_leftovers => {
                self.keep_what_it_was_to_run();
                self.end(StackStatus::RollbackFailed, Some(&reason));
            }
            (Kind::Create, _) if operation.options.on_failure == OnFailure::Delete => self.end_deletion(),
            (Kind::Create, _) => {
                self.keep_what_it_was_to_run();
                self.end(StackStatus::RollbackComplete, None);
            }
            (Kind::Delete, _) if has_leftovers => self.end(StackStatus::DeleteFailed, Some(&reason)),
            (Kind::Delete, _) => self.end_deletion(),
        }
    }

    /// A stack whose creation failed goes on showing whose it is and what it was to run.
    fn keep_what_it_was_to_run(&mut self) {
        let target = self.operation().map(|operation| operation.target.clone());
        if let Some(target) = target {
            self.stack_mut().deployed = Deployment { outputs: Vec::new(), imports: BTreeSet::new(), ..target };
        }
    }

    pub(super) fn end_deletion(&mut self) {
        let now = self.world.now();
        let stack = self.stack_mut();
        stack.deleted = Some(now);
        stack.change_sets.clear();
        self.end(StackStatus::DeleteComplete, None);
    }

    pub(super) fn end(&mut self, status: StackStatus, reason: Option<&str>) {
        self.status(status, reason);
        let stack = self.stack_mut();
        stack.operation = None;
        change_sets::execution_ended(stack, status);
    }
}

/// `DeletionPolicy` on removal and stack deletion.
pub(super) fn deletion_policy(resource: &StackResource) -> Policy {
    match resource.deletion_policy.as_deref() {
        Some("Retain" | "RetainExceptOnCreate") => Policy::Retain,
        Some("Snapshot") => Policy::Snapshot,
        Some(_) => Policy::Delete,
        None => default_policy(resource),
    }
}

/// `UpdateReplacePolicy` on replacement.
pub(super) fn replace_policy(resource: &StackResource) -> Policy {
    match resource.replace_policy.as_deref() {
        Some("Retain") => Policy::Retain,
        Some("Snapshot") => Policy::Snapshot,
        Some(_) => Policy::Delete,
        None => default_policy(resource),
    }
}

/// `DeletionPolicy` of a resource whose creation is undone (User Guide: `RetainExceptOnCreate`).
pub(super) fn rollback_policy(resource: &StackResource, keeps_retained: bool) -> Policy {
    match resource.deletion_policy.as_deref() {
        Some("RetainExceptOnCreate") => Policy::Delete,
        Some("Retain") if !keeps_retained => Policy::Delete,
        _ if resource.status == ResourceStatus::CreateFailed => Policy::Delete,
        _ => deletion_policy(resource),
    }
}

fn default_policy(resource: &StackResource) -> Policy {
    let keeps = resources::of(&resource.type_name)
        .is_some_and(|handler| handler.keeps_a_snapshot_by_default(&resource.properties));
    if keeps { Policy::Snapshot } else { Policy::Delete }
}
