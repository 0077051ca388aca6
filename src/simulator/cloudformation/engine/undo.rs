//! The way back: what was changed is brought back in reverse, and a rollback that fails waits for a decision.

use super::Run;
use super::clean_up::rollback_policy;
use crate::simulator::cloudformation::stack::{
    Deletion, DeletionState, Phase, Policy, ResourceStatus, StackResource, StackStatus, Work, WorkState,
};
use std::collections::BTreeSet;

impl Run<'_> {
    pub(super) fn step_undo(&mut self) {
        // Each round undoes at least one resource or is the last.
        while let Some(logical_id) = self.next_to_undo() {
            self.begin_undo_of(&logical_id);
        }
        let Some(operation) = self.operation() else {
            return;
        };
        let states: Vec<WorkState> = operation.work.values().map(|work| work.state).collect();
        if states.contains(&WorkState::Undoing) {
            return;
        }
        let failed: Vec<String> = operation
            .work
            .iter()
            .filter(|(_, work)| work.state == WorkState::UndoFailed)
            .map(|(name, _)| name.clone())
            .collect();
        if failed.is_empty() {
            self.end_undo();
        } else {
            self.pause();
            let reason = format!("The following resource(s) failed to update: [{}]. ", failed.join(", "));
            self.status(StackStatus::UpdateRollbackFailed, Some(&reason));
        }
    }

    /// A resource is brought back after everything that refers to it.
    pub(super) fn next_to_undo(&self) -> Option<String> {
        let operation = self.operation()?;
        let is_pending = |work: &Work| matches!(work.state, WorkState::Done | WorkState::Failed | WorkState::Cancelled);
        let is_back =
            |work: &Work| !is_pending(work) && !matches!(work.state, WorkState::Undoing | WorkState::UndoFailed);
        let ready = operation.work.iter().find(|(name, work)| {
            is_pending(work) && operation.work.values().all(|other| !other.needs.contains(*name) || is_back(other))
        });
        ready.map(|(name, _)| name.clone())
    }

    pub(super) fn begin_undo_of(&mut self, logical_id: &str) {
        let Some(work) = self.operation().and_then(|operation| operation.work.get(logical_id)).cloned() else {
            return;
        };
        match work.before {
            // New ones are deleted in the clean-up.
            None => self.set_state(logical_id, WorkState::Undone),
            Some(before) if work.replaces || !work.is_touched => {
                self.restore_record(logical_id, &before, work.replaces);
            }
            Some(_) => {
                let Some(current) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
                    return;
                };
                self.tell(&current, ResourceStatus::UpdateInProgress, None);
                self.schedule_handler(logical_id, WorkState::Undoing);
            }
        }
    }

    /// Points the stack back at what was there before; a replacement that was made goes in the clean-up.
    pub(super) fn restore_record(&mut self, logical_id: &str, before: &StackResource, replaces: bool) {
        let stack = self.stack_mut();
        let current = stack.resources.insert(logical_id.to_owned(), before.clone());
        let replacement = current.filter(|current| replaces && current.physical_id != before.physical_id);
        if let (Some(resource), Some(operation)) = (replacement, stack.operation.as_mut()) {
            operation.deletions.push(Deletion { resource, farewell: Policy::Delete, state: DeletionState::Waiting });
        }
        self.tell(before, ResourceStatus::UpdateComplete, None);
        self.set_state(logical_id, WorkState::Undone);
    }

    pub(super) fn end_undo_of(&mut self, logical_id: &str) {
        let before =
            self.operation().and_then(|operation| operation.work.get(logical_id)).and_then(|work| work.before.clone());
        if let Some(before) = before {
            self.restore_record(logical_id, &before, false);
        }
        self.step();
    }

    pub(super) fn fail_undo(&mut self, logical_id: &str, reason: &str) {
        let Some(resource) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
            return;
        };
        self.tell(&resource, ResourceStatus::UpdateFailed, Some(reason));
        self.set_state(logical_id, WorkState::UndoFailed);
        self.step();
    }

    pub(super) fn retry_failed_undo(&mut self, skip: &BTreeSet<String>) {
        let Some(operation) = self.operation() else {
            return;
        };
        let failed: Vec<(String, Option<StackResource>)> = operation
            .work
            .iter()
            .filter(|(_, work)| work.state == WorkState::UndoFailed)
            .map(|(name, work)| (name.clone(), work.before.clone()))
            .collect();
        for (logical_id, before) in failed {
            match before {
                Some(before) if skip.contains(&logical_id) => self.restore_record(&logical_id, &before, false),
                _ => self.set_state(&logical_id, WorkState::Done),
            }
        }
    }

    /// Everything is back: what the operation made goes.
    pub(super) fn end_undo(&mut self) {
        let Some(operation) = self.operation() else {
            return;
        };
        let keeps_retained = !operation.options.retains_except_on_create;
        let made: Vec<String> =
            operation.work.iter().filter(|(_, work)| work.before.is_none()).map(|(name, _)| name.clone()).collect();
        let stack = self.stack_mut();
        let deletions: Vec<Deletion> = made
            .iter()
            .filter_map(|name| stack.resources.get(name).cloned())
            .map(|resource| {
                let farewell = rollback_policy(&resource, keeps_retained);
                Deletion { resource, farewell, state: DeletionState::Waiting }
            })
            .collect();
        if let Some(operation) = stack.operation.as_mut() {
            operation.deletions.extend(deletions);
            operation.phase = Phase::CleanUp;
        }
        self.status(StackStatus::UpdateRollbackCompleteCleanupInProgress, None);
        self.schedule_step();
    }
}
