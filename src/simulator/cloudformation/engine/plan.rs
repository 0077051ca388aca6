//! Plans an operation: what is to be done with which resource, in which order, and what goes at once.

use super::clean_up::{deletion_policy, replace_policy, rollback_policy};
use super::lookup::{Live, names};
use super::{Run, Wanted};
use crate::simulator::cloudformation::intrinsics::Scope;
use crate::simulator::cloudformation::stack::{
    Deletion, DeletionState, Kind, OnFailure, Operation, Phase, Policy, ResourceStatus, StackResource, Work, WorkState,
};
use crate::simulator::cloudformation::template::Template;
use crate::simulator::cloudformation::values;
use std::collections::{BTreeMap, BTreeSet};

impl Run<'_> {
    pub(super) fn start(&mut self, id: &str, wanted: Wanted) {
        let kind = match wanted.kind {
            Kind::Create => "CREATE_STACK",
            Kind::Update => "UPDATE_STACK",
            Kind::Delete => "DELETE_STACK",
        };
        self.note_operation(kind, id);
        let left = self.left_by_the_last_operation();
        let is_delete = wanted.kind == Kind::Delete;
        let retained = wanted.retained.clone();
        let operation = Operation {
            id: id.to_owned(),
            token: wanted.token.clone(),
            kind: wanted.kind,
            phase: if is_delete { Phase::CleanUp } else { Phase::Forward },
            has_failed: false,
            target: wanted.target,
            options: wanted.options,
            work: BTreeMap::new(),
            deletions: left,
            retained,
        };
        let stack = self.stack_mut();
        stack.tokens.extend(wanted.token);
        stack.operation = Some(operation);
        if is_delete {
            self.plan_deletion_of_everything();
        } else {
            stack.disables_rollback = wanted.options.on_failure == OnFailure::Stop;
            self.plan_work();
        }
    }

    /// Old physical resources that an operation with rollback disabled has replaced but not yet deleted.
    pub(super) fn left_by_the_last_operation(&mut self) -> Vec<Deletion> {
        let stack = self.stack_mut();
        let Some(paused) = stack.operation.take() else {
            return Vec::new();
        };
        let is_left = |before: &StackResource| {
            stack.resources.get(&before.logical_id).is_none_or(|current| current.physical_id != before.physical_id)
        };
        let replaced =
            paused.work.into_values().filter(|work| work.replaces).filter_map(|work| work.before).filter(is_left);
        let replaced = replaced.map(|resource| {
            let farewell = replace_policy(&resource);
            Deletion { resource, farewell, state: DeletionState::Waiting }
        });
        let unfinished = paused.deletions.into_iter().filter(|deletion| deletion.state == DeletionState::Waiting);
        replaced.chain(unfinished).collect()
    }

    pub(super) fn plan_work(&mut self) {
        let Some(template) = self.target_template() else {
            return;
        };
        let wanted: Result<BTreeMap<String, Work>, String> = self.with_scope(&template, |scope| {
            let mut work = BTreeMap::new();
            for declaration in template.resources() {
                if scope.holds(declaration.condition())? {
                    work.insert(declaration.logical_id.to_owned(), template.needs(declaration));
                }
            }
            let names: BTreeSet<String> = work.keys().cloned().collect();
            Ok(work
                .into_iter()
                .map(|(logical_id, needs)| {
                    let needs = needs.intersection(&names).cloned().collect();
                    (
                        logical_id,
                        Work {
                            needs,
                            state: WorkState::Waiting,
                            before: None,
                            replaces: false,
                            is_touched: false,
                            doom: None,
                        },
                    )
                })
                .collect())
        });
        let mut wanted = wanted.unwrap_or_default();
        let stack = self.stack_mut();
        for (logical_id, work) in &mut wanted {
            let known = stack.resources.get(logical_id).filter(|known| known.physical_id.is_some());
            work.before = known.filter(|known| known.status != ResourceStatus::CreateFailed).cloned();
        }
        let failed_creations: Vec<Deletion> = wanted
            .iter()
            .filter(|(_, work)| work.before.is_none())
            .filter_map(|(logical_id, _)| {
                stack.resources.get(logical_id).filter(|known| known.physical_id.is_some()).cloned()
            })
            .map(|resource| Deletion { resource, farewell: Policy::Delete, state: DeletionState::Waiting })
            .collect();
        if let Some(operation) = stack.operation.as_mut() {
            operation.work = wanted;
            operation.deletions.extend(failed_creations);
        }
    }

    pub(super) fn plan_deletion_of_everything(&mut self) {
        let stack = self.stack_mut();
        let Some(operation) = stack.operation.as_mut() else {
            return;
        };
        let keeps_retained = !operation.options.retains_except_on_create;
        let is_deletion = operation.kind == Kind::Delete;
        let is_left = |resource: &&StackResource| {
            !matches!(resource.status, ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped)
        };
        let deletions = stack.resources.values().filter(is_left).map(|resource| {
            let farewell = if operation.retained.contains(&resource.logical_id) {
                Policy::Retain
            } else if is_deletion {
                deletion_policy(resource)
            } else {
                rollback_policy(resource, keeps_retained)
            };
            Deletion { resource: resource.clone(), farewell, state: DeletionState::Waiting }
        });
        operation.deletions.extend(deletions);
    }

    pub(super) fn target_template(&self) -> Option<Template> {
        Template::parse(&self.operation()?.target.template).ok()
    }

    /// Evaluates something for the target of the operation.
    pub(super) fn with_scope<T>(
        &self,
        template: &Template,
        evaluate: impl FnOnce(&Scope<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let (Some(stack), Some(operation)) = (self.stack(), self.operation()) else {
            return Err("the stack does nothing".to_owned());
        };
        let names = names(self.place, stack, &operation.target);
        let parameters = values::of(&operation.target.parameters);
        let exports = values::exports(self.world, self.place);
        let live = Live { world: self.world, place: self.place, resources: &stack.resources };
        let scope = Scope::new(template, &parameters, &names, &exports, &live)?;
        evaluate(&scope)
    }
}
