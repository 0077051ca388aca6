//! The way forward: each resource is begun when what it needs is there; the first failure turns the stack round.

use super::Run;
use super::clean_up::{deletion_policy, replace_policy};
use crate::simulator::cloudformation::diff::{self, replacement_of};
use crate::simulator::cloudformation::stack::{
    Deletion, DeletionState, Kind, OnFailure, Output, Phase, ResourceStatus, StackResource, StackStatus, WorkState,
};
use crate::simulator::cloudformation::template::{Declaration, Template};
use crate::simulator::cloudformation::{policy, values};
use crate::simulator::facts;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

impl Run<'_> {
    pub(super) fn step_forward(&mut self) {
        // Each round begins at least one resource or is the last.
        while let Some(logical_id) = self.next_ready() {
            self.begin_work(&logical_id);
            if self.operation().is_none_or(|operation| operation.phase != Phase::Forward) {
                return;
            }
        }
        let is_done = self.operation().is_some_and(|operation| {
            operation.work.values().all(|work| matches!(work.state, WorkState::Done | WorkState::Unchanged))
        });
        if is_done {
            self.end_forward();
        }
    }

    pub(super) fn next_ready(&self) -> Option<String> {
        let operation = self.operation()?;
        let is_there = |name: &String| {
            operation.work.get(name).is_none_or(|work| matches!(work.state, WorkState::Done | WorkState::Unchanged))
        };
        let mut ready = operation
            .work
            .iter()
            .filter(|(_, work)| work.state == WorkState::Waiting && work.needs.iter().all(is_there));
        ready.next().map(|(logical_id, _)| logical_id.clone())
    }

    pub(super) fn begin_work(&mut self, logical_id: &str) {
        let Some(template) = self.target_template() else {
            return;
        };
        let Some(declaration) = template.resource(logical_id) else {
            return;
        };
        let before =
            self.operation().and_then(|operation| operation.work.get(logical_id)).and_then(|work| work.before.clone());
        let evaluated = self.with_scope(&template, |scope| scope.properties(declaration.properties()));
        let evaluation_error = evaluated.as_ref().err().cloned();
        let next = self.next_record(&template, declaration, evaluated.unwrap_or_default(), before.as_ref());
        match before {
            None => self.begin_creation(&next, evaluation_error.as_deref()),
            Some(before) => self.begin_update(&before, next, evaluation_error),
        }
    }

    pub(super) fn next_record(
        &self,
        template: &Template,
        declaration: Declaration<'_>,
        properties: Map<String, Value>,
        before: Option<&StackResource>,
    ) -> StackResource {
        let is_taggable = facts::of(declaration.type_name).is_some_and(facts::TypeFacts::is_taggable);
        let tags = self.operation().map(|operation| operation.target.tags.clone()).filter(|_| is_taggable);
        StackResource {
            logical_id: declaration.logical_id.to_owned(),
            type_name: declaration.type_name.to_owned(),
            physical_id: before.and_then(|before| before.physical_id.clone()),
            status: ResourceStatus::CreateInProgress,
            reason: None,
            at: self.world.now(),
            properties,
            tags: tags.unwrap_or_default(),
            metadata: declaration.body.get("Metadata").cloned(),
            deletion_policy: declaration.policy("DeletionPolicy"),
            replace_policy: declaration.policy("UpdateReplacePolicy"),
            creation_policy: declaration.body.get("CreationPolicy").cloned(),
            update_policy: declaration.body.get("UpdatePolicy").cloned(),
            needs: template.needs(declaration),
            drift: before.and_then(|before| before.drift.clone()),
        }
    }

    pub(super) fn begin_creation(&mut self, next: &StackResource, evaluation_error: Option<&str>) {
        let logical_id = next.logical_id.clone();
        self.stack_mut().resources.insert(logical_id.clone(), next.clone());
        self.tell(next, ResourceStatus::CreateInProgress, None);
        match evaluation_error {
            Some(reason) => self.fail(&logical_id, reason),
            None => self.schedule_handler(&logical_id, WorkState::Starting),
        }
    }

    pub(super) fn begin_update(
        &mut self,
        before: &StackResource,
        next: StackResource,
        evaluation_error: Option<String>,
    ) {
        let logical_id = next.logical_id.clone();
        let baseline = self.baseline(before);
        let is_gone = baseline.is_none();
        let known = baseline.unwrap_or_default();
        let is_changed = is_gone || evaluation_error.is_some() || diff::differs(before, &known, &next);
        if !is_changed {
            self.keep(&logical_id, before, next);
            return;
        }
        let replaces = is_gone || replacement_of(&next.type_name, &known, &next.properties);
        self.stack_mut().resources.insert(logical_id.clone(), next.clone());
        if let Some(work) = self.work_mut(&logical_id) {
            work.replaces = replaces;
        }
        let reason = replaces
            .then_some("Requested update requires the creation of a new physical resource; hence creating one.");
        self.tell(&next, ResourceStatus::UpdateInProgress, reason);
        let refusal = evaluation_error.or_else(|| self.update_refusal(&next, replaces));
        match refusal {
            Some(reason) => self.fail(&logical_id, &reason),
            None => self.schedule_handler(&logical_id, WorkState::Starting),
        }
    }

    /// A resource that stays as it is: only what CloudFormation itself remembers may change.
    pub(super) fn keep(&mut self, logical_id: &str, before: &StackResource, mut next: StackResource) {
        next.status = before.status;
        next.at = before.at;
        self.stack_mut().resources.insert(logical_id.to_owned(), next);
        self.set_state(logical_id, WorkState::Unchanged);
    }

    /// The properties a resource is compared with: what was last applied, or what is live when drift is reverted.
    pub(super) fn baseline(&self, before: &StackResource) -> Option<Map<String, Value>> {
        if self.operation().is_some_and(|operation| operation.options.reverts_drift) {
            return diff::live_properties(self.world, self.place, before);
        }
        Some(before.properties.clone())
    }

    /// Why an update of a resource is not even tried.
    pub(super) fn update_refusal(&self, next: &StackResource, replaces: bool) -> Option<String> {
        let (stack, operation) = (self.stack()?, self.operation()?);
        if replaces && operation.options.on_failure == OnFailure::Stop {
            return Some("Replacement type updates not supported on stack with disable-rollback.".to_owned());
        }
        let action = if replaces { policy::Action::Replace } else { policy::Action::Modify };
        policy::denial(stack.policy.as_deref(), &next.logical_id, &next.type_name, action)
    }

    pub(super) fn complete(&mut self, logical_id: &str) {
        let is_new = self
            .operation()
            .and_then(|operation| operation.work.get(logical_id))
            .is_some_and(|work| work.before.is_none());
        let reverts = self.operation().is_some_and(|operation| operation.options.reverts_drift);
        let Some(mut resource) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
            return;
        };
        if reverts {
            resource.drift = None;
            self.stack_mut().resources.insert(logical_id.to_owned(), resource.clone());
        }
        let status = if is_new { ResourceStatus::CreateComplete } else { ResourceStatus::UpdateComplete };
        self.tell(&resource, status, None);
        self.set_state(logical_id, WorkState::Done);
        self.step();
    }

    /// A resource failed on the way forward: its siblings are cancelled and the stack goes back, or stops.
    pub(super) fn fail(&mut self, logical_id: &str, reason: &str) {
        let Some(operation) = self.operation() else {
            return;
        };
        let is_new = operation.work.get(logical_id).is_some_and(|work| work.before.is_none());
        let is_creation = operation.kind == Kind::Create;
        let stops = operation.options.on_failure == OnFailure::Stop;
        let Some(resource) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
            return;
        };
        let status = if is_new { ResourceStatus::CreateFailed } else { ResourceStatus::UpdateFailed };
        self.tell(&resource, status, Some(reason));
        self.set_state(logical_id, WorkState::Failed);
        let mut failed = vec![logical_id.to_owned()];
        failed.extend(self.cancel_siblings());
        let verb = if is_new { "create" } else { "update" };
        let summary = format!("The following resource(s) failed to {verb}: [{}]. ", failed.join(", "));
        if stops {
            let status = if is_creation { StackStatus::CreateFailed } else { StackStatus::UpdateFailed };
            self.pause();
            self.status(status, Some(&summary));
        } else {
            // REC: the reason of a failed create ends with these words, that of a failed update does not.
            let summary = if is_creation { format!("{summary}Rollback requested by user.") } else { summary };
            self.begin_rollback(&summary, None);
        }
    }

    /// Cancels what is under way and gives the names of what that was.
    pub(super) fn cancel_siblings(&mut self) -> Vec<String> {
        let Some(operation) = self.operation() else {
            return Vec::new();
        };
        let running: Vec<(String, bool)> = operation
            .work
            .iter()
            .filter(|(_, work)| matches!(work.state, WorkState::Starting | WorkState::Running))
            .map(|(logical_id, work)| (logical_id.clone(), work.before.is_none()))
            .collect();
        for (logical_id, is_new) in &running {
            let Some(resource) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
                continue;
            };
            if *is_new {
                self.tell(&resource, ResourceStatus::CreateFailed, Some("Resource creation cancelled"));
            } else {
                self.tell(&resource, ResourceStatus::UpdateFailed, Some("Resource update cancelled"));
            }
            self.set_state(logical_id, WorkState::Cancelled);
        }
        running.into_iter().map(|(logical_id, _)| logical_id).collect()
    }

    pub(super) fn pause(&mut self) {
        if let Some(operation) = self.stack_mut().operation.as_mut() {
            operation.phase = Phase::Paused;
            operation.has_failed = true;
        }
    }

    pub(super) fn begin_rollback(&mut self, reason: &str, token: Option<String>) {
        let id = self.world.identifiers.uuid();
        let Some(operation) = self.stack_mut().operation.as_mut() else {
            return;
        };
        operation.id.clone_from(&id);
        operation.has_failed = true;
        if operation.options.on_failure == OnFailure::Stop {
            operation.options.on_failure = OnFailure::RollBack;
        }
        if token.is_some() {
            operation.token = token;
        }
        let is_creation = operation.kind == Kind::Create;
        operation.phase = if is_creation { Phase::CleanUp } else { Phase::Undo };
        self.note_operation("ROLLBACK", &id);
        if is_creation {
            self.status(StackStatus::RollbackInProgress, Some(reason));
            self.plan_deletion_of_everything();
        } else {
            self.status(StackStatus::UpdateRollbackInProgress, Some(reason));
        }
        self.schedule_step();
    }

    /// All resources are there: outputs are computed, and what is no longer wanted goes.
    pub(super) fn end_forward(&mut self) {
        let outcome = self.check_removals().and_then(|()| self.outputs());
        let (outputs, imports) = match outcome {
            Ok(found) => found,
            Err(reason) => {
                self.begin_rollback(&reason, None);
                return;
            }
        };
        let stack = self.stack_mut();
        let Some(operation) = stack.operation.as_mut() else {
            return;
        };
        let mut deployed = operation.target.clone();
        deployed.outputs = outputs;
        deployed.imports = imports;
        stack.deployed = deployed;
        let old = std::mem::take(&mut operation.work);
        let mut deletions = Vec::new();
        for work in old.values().filter(|work| work.replaces) {
            // Made again under the same name after somebody deleted it: the old one and the new one are one.
            let is_other = |before: &&StackResource| {
                stack.resources.get(&before.logical_id).is_none_or(|current| current.physical_id != before.physical_id)
            };
            deletions.extend(work.before.as_ref().filter(is_other).cloned().map(|resource| {
                let farewell = replace_policy(&resource);
                Deletion { resource, farewell, state: DeletionState::Waiting }
            }));
        }
        let removed = stack.resources.values().filter(|resource| !old.contains_key(&resource.logical_id));
        deletions.extend(removed.map(|resource| {
            let farewell = deletion_policy(resource);
            Deletion { resource: resource.clone(), farewell, state: DeletionState::Waiting }
        }));
        let is_creation = operation.kind == Kind::Create;
        operation.deletions.extend(deletions);
        operation.phase = Phase::CleanUp;
        if is_creation {
            self.end(StackStatus::CreateComplete, None);
        } else {
            self.status(StackStatus::UpdateCompleteCleanupInProgress, None);
            self.schedule_step();
        }
    }

    /// A stack policy may forbid removing a resource.
    pub(super) fn check_removals(&self) -> Result<(), String> {
        let (Some(stack), Some(operation)) = (self.stack(), self.operation()) else {
            return Ok(());
        };
        let mut removed =
            stack.resources.values().filter(|resource| !operation.work.contains_key(&resource.logical_id));
        let denial = removed.find_map(|resource| {
            policy::denial(stack.policy.as_deref(), &resource.logical_id, &resource.type_name, policy::Action::Delete)
        });
        denial.map_or(Ok(()), Err)
    }

    pub(super) fn outputs(&self) -> Result<(Vec<Output>, BTreeSet<String>), String> {
        let template = self.target_template().ok_or("Template format error: YAML not well-formed.")?;
        let outputs = self.with_scope(&template, |scope| values::outputs(&template, scope))?;
        let imports = self.with_scope(&template, |scope| Ok(values::imports(&template, scope)))?;
        let (Some(stack), Some(services)) = (self.stack(), self.world.services_at(self.place)) else {
            return Err("the stack does nothing".to_owned());
        };
        values::check_exports(&services.cloudformation, stack, &outputs)?;
        Ok((outputs, imports))
    }
}
