//! Calls the handlers of resources, forward and back, and waits for them.

use super::{Run, SECONDS_TO_BEGIN, SECONDS_TO_RETRY};
use crate::simulator::cloudformation::stack::{ResourceStatus, StackResource, Transition, WorkState};
use crate::simulator::cloudformation::values;
use crate::simulator::cloudtrail::{self, Caller};
use crate::simulator::facts;
use crate::simulator::faults::{Doom, ResourceWork, Work as FaultedWork};
use crate::simulator::resources::{self, Doing, Failure, Order, Settled};
use serde_json::{Map, Value};

impl Run<'_> {
    pub(super) fn set_state(&mut self, logical_id: &str, state: WorkState) {
        if let Some(work) = self.work_mut(logical_id) {
            work.state = state;
        }
    }

    pub(super) fn schedule_handler(&mut self, logical_id: &str, state: WorkState) {
        self.set_state(logical_id, state);
        self.schedule_begin(logical_id, SECONDS_TO_BEGIN);
    }

    pub(super) fn schedule_begin(&mut self, logical_id: &str, seconds: u64) {
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        let transition =
            Transition::Begin { stack: self.stack_id.to_owned(), operation, logical_id: logical_id.to_owned() };
        self.schedule(seconds, transition);
    }

    /// Calls the handler of a resource, forward or back.
    pub(super) fn call_handler(&mut self, logical_id: &str) {
        let Some(work) = self.operation().and_then(|operation| operation.work.get(logical_id)).cloned() else {
            return;
        };
        let Some(current) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
            return;
        };
        match (work.state, work.before) {
            (WorkState::Starting, None) => self.create(current, false),
            (WorkState::Starting, Some(_)) if work.replaces => self.create(current, true),
            (WorkState::Starting, Some(before)) => {
                let known = self.baseline(&before).unwrap_or_default();
                self.update(&current, &known, FaultedWork::Update);
            }
            (WorkState::Undoing, Some(before)) => self.update(&before, &current.properties, FaultedWork::Rollback),
            _ => {}
        }
    }

    pub(super) fn create(&mut self, mut resource: StackResource, replaces: bool) {
        let logical_id = resource.logical_id.clone();
        let during = if replaces { FaultedWork::Update } else { FaultedWork::Create };
        let begun = self.prepare(&resource, during).and_then(|order| {
            let handler = resources::of(&resource.type_name).ok_or_else(|| unknown_type(&resource.type_name))?;
            handler.create(self.world, &order).map_err(|failure| self.reason(&failure))
        });
        match begun {
            Err(reason) => self.fail(&logical_id, &reason),
            Ok(begun) => {
                self.told(&resource.type_name, &begun.id, Doing::Create);
                resource.physical_id = Some(begun.id);
                self.stack_mut().resources.insert(logical_id.clone(), resource.clone());
                let status = if replaces { ResourceStatus::UpdateInProgress } else { ResourceStatus::CreateInProgress };
                self.tell(&resource, status, Some("Resource creation Initiated"));
                self.run_until(&logical_id, WorkState::Running, Doing::Create, begun.seconds);
            }
        }
    }

    /// Brings a live resource from one set of properties to a record's.
    pub(super) fn update(&mut self, wanted: &StackResource, known: &Map<String, Value>, during: FaultedWork) {
        let logical_id = wanted.logical_id.clone();
        let state = if during == FaultedWork::Rollback { WorkState::Undoing } else { WorkState::Running };
        let id = wanted.physical_id.clone().unwrap_or_default();
        let begun = self.prepare(wanted, during).map_err(Tried::Failed).and_then(|order| {
            let handler =
                resources::of(&wanted.type_name).ok_or_else(|| Tried::Failed(unknown_type(&wanted.type_name)))?;
            handler.update(self.world, &order, &id, known).map_err(|failure| match failure.code {
                "ResourceConflict" => Tried::Busy,
                _ => Tried::Failed(self.reason(&failure)),
            })
        });
        match begun {
            Ok(seconds) => {
                self.told(&wanted.type_name, &id, Doing::Update);
                self.run_until(&logical_id, state, Doing::Update, seconds);
            }
            Err(Tried::Busy) => self.schedule_begin(&logical_id, SECONDS_TO_RETRY),
            Err(Tried::Failed(reason)) if during == FaultedWork::Rollback => self.fail_undo(&logical_id, &reason),
            Err(Tried::Failed(reason)) => self.fail(&logical_id, &reason),
        }
    }

    /// CloudTrail tells of what the handlers do, as of everybody.
    pub(super) fn told(&mut self, type_name: &str, id: &str, doing: Doing) {
        let by = (Caller::CloudFormation, &Map::new());
        cloudtrail::remember_work(self.world, self.place, (type_name, id), doing, by);
    }

    pub(super) fn run_until(&mut self, logical_id: &str, state: WorkState, doing: Doing, seconds: u64) {
        if let Some(work) = self.work_mut(logical_id) {
            work.state = state;
            work.is_touched = true;
        }
        let doomed = self.operation().and_then(|operation| operation.work.get(logical_id)?.doom.as_ref());
        let seconds = doomed.map_or(seconds, |doom| doom.after_seconds);
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        let transition =
            Transition::Settle { stack: self.stack_id.to_owned(), operation, logical_id: logical_id.to_owned(), doing };
        self.schedule(seconds, transition);
    }

    /// Checks properties, faults and dynamic references, and writes the order for the handler.
    pub(super) fn prepare(&mut self, resource: &StackResource, during: FaultedWork) -> Result<Order, String> {
        if during != FaultedWork::Rollback
            && let Some(violation) =
                facts::of(&resource.type_name).and_then(|facts| facts.violation(&resource.properties))
        {
            return Err(violation);
        }
        match self.injected_failure(resource, during) {
            Some(doom) if doom.after_seconds == 0 => return Err(doom.reason),
            doom => {
                if let Some(work) = self.work_mut(&resource.logical_id) {
                    work.doom = doom;
                }
            }
        }
        let stack = self.stack().ok_or("the stack does nothing")?;
        let (stack_id, stack_name) = (stack.id.clone(), stack.name.clone());
        let mut properties = resource.properties.clone();
        values::merge_tags(&mut properties, resource, &stack_id, &stack_name);
        let properties = values::resolve_dynamic(self.world, self.place, &properties)?;
        Ok(Order {
            place: self.place.clone(),
            stack_id,
            stack_name,
            logical_id: resource.logical_id.clone(),
            physical_id: resource.physical_id.clone(),
            properties,
            creation_policy: resource.creation_policy.clone(),
            update_policy: resource.update_policy.clone(),
        })
    }

    pub(super) fn injected_failure(&mut self, resource: &StackResource, during: FaultedWork) -> Option<Doom> {
        let stack = self.stack()?.name.clone();
        let now = self.world.now();
        let mut faults = std::mem::take(&mut self.world.faults);
        let work =
            ResourceWork { stack: &stack, logical_id: &resource.logical_id, type_name: &resource.type_name, during };
        let doom = faults.resource_failure(&work, now, &mut self.world.identifiers);
        self.world.faults = faults;
        doom
    }

    pub(super) fn reason(&mut self, failure: &Failure) -> String {
        failure.reason(&self.world.identifiers.uuid())
    }

    pub(super) fn settle(&mut self, logical_id: &str, doing: Doing) {
        let Some(state) = self.operation().and_then(|operation| operation.work.get(logical_id)).map(|work| work.state)
        else {
            return;
        };
        if !matches!(state, WorkState::Running | WorkState::Undoing) {
            return;
        }
        let Some(resource) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
            return;
        };
        let doom = self.work_mut(logical_id).and_then(|work| work.doom.take());
        if let Some(Doom { reason, .. }) = doom {
            if state == WorkState::Undoing {
                self.fail_undo(logical_id, &reason);
            } else {
                self.fail(logical_id, &reason);
            }
            return;
        }
        let id = resource.physical_id.clone().unwrap_or_default();
        let settled = resources::of(&resource.type_name)
            .map_or(Settled::Ready, |handler| handler.settle(self.world, self.place, &id, doing));
        match settled {
            Settled::After(seconds) => self.run_until(logical_id, state, doing, seconds),
            Settled::Ready if state == WorkState::Undoing => self.end_undo_of(logical_id),
            Settled::Ready => self.complete(logical_id),
            Settled::Failed(failure) => {
                let reason = self.reason(&failure);
                if state == WorkState::Undoing {
                    self.fail_undo(logical_id, &reason);
                } else {
                    self.fail(logical_id, &reason);
                }
            }
        }
    }
}

/// Why a handler did not take an order.
pub(super) enum Tried {
    Busy,
    Failed(String),
}

pub(super) fn unknown_type(type_name: &str) -> String {
    format!("Unrecognized resource type: {type_name}")
}
