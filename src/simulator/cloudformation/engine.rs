//! The operations engine: brings a stack's resources to a target in the order of their references, brings them back when
//! that fails, and deletes what is no longer wanted. It moves only by transitions of virtual time; between two of them
//! everything it knows is in the stack, so a world can be stored and read back at any point.

use super::diff::{self, replacement_of};
use super::events;
use super::intrinsics::{Lookup, Scope, StackNames};
use super::policy;
use super::stack::{
    Deletion, DeletionState, Deployment, Kind, OnFailure, Operation, Options, Output, Phase, Policy, ResourceStatus,
    Stack, StackResource, StackStatus, Transition, Work, WorkState,
};
use super::template::{Declaration, Template};
use super::values;
use crate::simulator::facts;
use crate::simulator::faults::{ResourceWork, Work as FaultedWork};
use crate::simulator::resources::{self, Doing, Failure, Farewell, Order, Settled};
use crate::simulator::world::{self, Place, World};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Between the first event of a resource and the call of its handler, in virtual seconds. Invented.
const SECONDS_TO_BEGIN: u64 = 1;

/// Before a handler that met a busy resource is called again, in virtual seconds. Invented.
const SECONDS_TO_RETRY: u64 = 15;

/// What begins an operation.
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    pub(crate) token: Option<String>,
    pub(crate) target: Deployment,
    pub(crate) options: Options,
    pub(crate) retained: BTreeSet<String>,
}

impl Wanted {
    /// An operation without special wishes.
    pub(crate) fn plain(kind: Kind, token: Option<String>, target: Deployment) -> Self {
        Self { kind, token, target, options: Options::default(), retained: BTreeSet::new() }
    }
}

/// Begins an operation and gives its id.
pub(crate) fn start(world: &mut World, place: &Place, stack_id: &str, wanted: Wanted) -> String {
    let id = world.identifiers.uuid();
    let (kind, now) = (wanted.kind, world.now());
    let mut run = Run { world, place, stack_id };
    run.start(&id, wanted);
    let status = match kind {
        Kind::Create => StackStatus::CreateInProgress,
        Kind::Update => StackStatus::UpdateInProgress,
        Kind::Delete => StackStatus::DeleteInProgress,
    };
    let stack = run.stack_mut();
    if kind != Kind::Delete {
        stack.updated = Some(now);
    }
    run.status(status, Some("User Initiated"));
    run.schedule_step();
    id
}

/// Brings a failed or cancelled update back, or undoes a create that was left half done.
pub(crate) fn roll_back(
    world: &mut World,
    place: &Place,
    stack_id: &str,
    token: Option<String>,
    reason: &str,
) -> String {
    let mut run = Run { world, place, stack_id };
    run.begin_rollback(reason, token);
    run.operation().map(|operation| operation.id.clone()).unwrap_or_default()
}

/// Goes on with a rollback that failed, leaving some resources as they are.
pub(crate) fn continue_rollback(
    world: &mut World,
    place: &Place,
    stack_id: &str,
    token: Option<String>,
    skip: &BTreeSet<String>,
) -> String {
    let mut run = Run { world, place, stack_id };
    let id = run.world.identifiers.uuid();
    if let Some(operation) = run.stack_mut().operation.as_mut() {
        operation.id.clone_from(&id);
        operation.token = token;
        operation.phase = Phase::Undo;
    }
    run.note_operation("CONTINUE_ROLLBACK", &id);
    run.status(StackStatus::UpdateRollbackInProgress, Some("User Initiated"));
    run.retry_failed_undo(skip);
    run.schedule_step();
    id
}

/// Gives up an update in progress: what runs is cancelled, and everything is brought back.
pub(crate) fn cancel(world: &mut World, place: &Place, stack_id: &str, token: Option<String>) {
    let mut run = Run { world, place, stack_id };
    run.cancel_siblings();
    run.begin_rollback("User Initiated", token);
}

/// Runs what is due.
pub(crate) fn run(world: &mut World, place: &Place, transition: Transition) {
    match transition {
        Transition::Step { stack, operation } => {
            Run { world, place, stack_id: &stack }.if_current(&operation, Run::step);
        }
        Transition::Begin { stack, operation, logical_id } => {
            Run { world, place, stack_id: &stack }.if_current(&operation, |run| run.call_handler(&logical_id));
        }
        Transition::Settle { stack, operation, logical_id, doing } => {
            Run { world, place, stack_id: &stack }.if_current(&operation, |run| run.settle(&logical_id, doing));
        }
        Transition::SettleDeletion { stack, operation, place: number } => {
            Run { world, place, stack_id: &stack }.if_current(&operation, |run| run.settle_deletion(number));
        }
        // Change sets and drift have files of their own; `mod.rs` sends theirs there.
        Transition::ChangeSetBegins { .. } | Transition::ChangeSetEnds { .. } | Transition::DetectionEnds { .. } => {}
    }
}

/// One stack in the middle of an operation.
struct Run<'a> {
    world: &'a mut World,
    place: &'a Place,
    stack_id: &'a str,
}

impl Run<'_> {
    fn stack(&self) -> Option<&Stack> {
        self.world.services_at(self.place)?.cloudformation.stacks.get(self.stack_id)
    }

    fn stack_mut(&mut self) -> &mut Stack {
        let stacks = &mut self.world.services(self.place).cloudformation.stacks;
        stacks.get_mut(self.stack_id).expect("a run is only made for a stack that exists, and stacks are never removed")
    }

    fn operation(&self) -> Option<&Operation> {
        self.stack()?.operation.as_ref()
    }

    fn work_mut(&mut self, logical_id: &str) -> Option<&mut Work> {
        self.stack_mut().operation.as_mut()?.work.get_mut(logical_id)
    }

    /// Goes on only if the stack still does what the transition was scheduled for.
    fn if_current(mut self, operation: &str, go_on: impl FnOnce(&mut Self)) {
        if self.operation().is_some_and(|current| current.id == operation) {
            go_on(&mut self);
        }
    }

    fn schedule(&mut self, seconds: u64, transition: Transition) {
        self.world.schedule(seconds, world::Transition::CloudFormation(self.place.clone(), transition));
    }

    fn schedule_step(&mut self) {
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        self.schedule(0, Transition::Step { stack: self.stack_id.to_owned(), operation });
    }

    fn status(&mut self, status: StackStatus, reason: Option<&str>) {
        events::stack_status(self.world, self.place, self.stack_id, status, reason);
    }

    /// Writes an event for a resource and keeps its status where it is the stack's current one.
    fn tell(&mut self, shown: &StackResource, status: ResourceStatus, reason: Option<&str>) {
        let now = self.world.now();
        let stack = self.stack_mut();
        events::resource(stack, now, shown, status, reason);
        let current =
            stack.resources.get_mut(&shown.logical_id).filter(|current| current.physical_id == shown.physical_id);
        if let Some(current) = current {
            current.status = status;
            current.reason = reason.map(str::to_owned);
            current.at = now;
        }
    }

    fn note_operation(&mut self, kind: &str, id: &str) {
        /// `DescribeStacks` shows the last few operations only.
        const SHOWN_MAX: usize = 4;
        let stack = self.stack_mut();
        stack.last_operations.insert(0, (kind.to_owned(), id.to_owned()));
        stack.last_operations.truncate(SHOWN_MAX);
    }

    fn start(&mut self, id: &str, wanted: Wanted) {
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
    fn left_by_the_last_operation(&mut self) -> Vec<Deletion> {
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

    fn plan_work(&mut self) {
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
                        Work { needs, state: WorkState::Waiting, before: None, replaces: false, is_touched: false },
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

    fn target_template(&self) -> Option<Template> {
        Template::parse(&self.operation()?.target.template).ok()
    }

    /// Evaluates something for the target of the operation.
    fn with_scope<T>(
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

    /// Begins whatever can be begun; ends the phase when nothing is left.
    fn step(&mut self) {
        match self.operation().map(|operation| operation.phase) {
            Some(Phase::Forward) => self.step_forward(),
            Some(Phase::Undo) => self.step_undo(),
            Some(Phase::CleanUp) => self.step_clean_up(),
            Some(Phase::Paused) | None => {}
        }
    }

    fn step_forward(&mut self) {
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

    fn next_ready(&self) -> Option<String> {
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

    fn begin_work(&mut self, logical_id: &str) {
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

    fn next_record(
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
            needs: template.needs(declaration),
            drift: before.and_then(|before| before.drift.clone()),
        }
    }

    fn begin_creation(&mut self, next: &StackResource, evaluation_error: Option<&str>) {
        let logical_id = next.logical_id.clone();
        self.stack_mut().resources.insert(logical_id.clone(), next.clone());
        self.tell(next, ResourceStatus::CreateInProgress, None);
        match evaluation_error {
            Some(reason) => self.fail(&logical_id, reason),
            None => self.schedule_handler(&logical_id, WorkState::Starting),
        }
    }

    fn begin_update(&mut self, before: &StackResource, next: StackResource, evaluation_error: Option<String>) {
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
    fn keep(&mut self, logical_id: &str, before: &StackResource, mut next: StackResource) {
        next.status = before.status;
        next.at = before.at;
        self.stack_mut().resources.insert(logical_id.to_owned(), next);
        self.set_state(logical_id, WorkState::Unchanged);
    }

    /// The properties a resource is compared with: what was last applied, or what is live when drift is reverted.
    fn baseline(&self, before: &StackResource) -> Option<Map<String, Value>> {
        if self.operation().is_some_and(|operation| operation.options.reverts_drift) {
            return diff::live_properties(self.world, self.place, before);
        }
        Some(before.properties.clone())
    }

    /// Why an update of a resource is not even tried.
    fn update_refusal(&self, next: &StackResource, replaces: bool) -> Option<String> {
        let (stack, operation) = (self.stack()?, self.operation()?);
        if replaces && operation.options.on_failure == OnFailure::Stop {
            return Some("Replacement type updates not supported on stack with disable-rollback.".to_owned());
        }
        let action = if replaces { policy::Action::Replace } else { policy::Action::Modify };
        policy::denial(stack.policy.as_deref(), &next.logical_id, &next.type_name, action)
    }

    fn set_state(&mut self, logical_id: &str, state: WorkState) {
        if let Some(work) = self.work_mut(logical_id) {
            work.state = state;
        }
    }

    fn schedule_handler(&mut self, logical_id: &str, state: WorkState) {
        self.set_state(logical_id, state);
        self.schedule_begin(logical_id, SECONDS_TO_BEGIN);
    }

    fn schedule_begin(&mut self, logical_id: &str, seconds: u64) {
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        let transition =
            Transition::Begin { stack: self.stack_id.to_owned(), operation, logical_id: logical_id.to_owned() };
        self.schedule(seconds, transition);
    }

    /// Calls the handler of a resource, forward or back.
    fn call_handler(&mut self, logical_id: &str) {
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

    fn create(&mut self, mut resource: StackResource, replaces: bool) {
        let logical_id = resource.logical_id.clone();
        let during = if replaces { FaultedWork::Update } else { FaultedWork::Create };
        let begun = self.prepare(&resource, during).and_then(|order| {
            let handler = resources::of(&resource.type_name).ok_or_else(|| unknown_type(&resource.type_name))?;
            handler.create(self.world, &order).map_err(|failure| self.reason(&failure))
        });
        match begun {
            Err(reason) => self.fail(&logical_id, &reason),
            Ok(begun) => {
                resource.physical_id = Some(begun.id);
                self.stack_mut().resources.insert(logical_id.clone(), resource.clone());
                let status = if replaces { ResourceStatus::UpdateInProgress } else { ResourceStatus::CreateInProgress };
                self.tell(&resource, status, Some("Resource creation Initiated"));
                self.run_until(&logical_id, WorkState::Running, Doing::Create, begun.seconds);
            }
        }
    }

    /// Brings a live resource from one set of properties to a record's.
    fn update(&mut self, wanted: &StackResource, known: &Map<String, Value>, during: FaultedWork) {
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
            Ok(seconds) => self.run_until(&logical_id, state, Doing::Update, seconds),
            Err(Tried::Busy) => self.schedule_begin(&logical_id, SECONDS_TO_RETRY),
            Err(Tried::Failed(reason)) if during == FaultedWork::Rollback => self.fail_undo(&logical_id, &reason),
            Err(Tried::Failed(reason)) => self.fail(&logical_id, &reason),
        }
    }

    fn run_until(&mut self, logical_id: &str, state: WorkState, doing: Doing, seconds: u64) {
        if let Some(work) = self.work_mut(logical_id) {
            work.state = state;
            work.is_touched = true;
        }
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        let transition =
            Transition::Settle { stack: self.stack_id.to_owned(), operation, logical_id: logical_id.to_owned(), doing };
        self.schedule(seconds, transition);
    }

    /// Checks properties, faults and dynamic references, and writes the order for the handler.
    fn prepare(&mut self, resource: &StackResource, during: FaultedWork) -> Result<Order, String> {
        if during != FaultedWork::Rollback
            && let Some(violation) =
                facts::of(&resource.type_name).and_then(|facts| facts.violation(&resource.properties))
        {
            return Err(violation);
        }
        if let Some(reason) = self.injected_failure(resource, during) {
            return Err(reason);
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
            properties,
        })
    }

    fn injected_failure(&mut self, resource: &StackResource, during: FaultedWork) -> Option<String> {
        let stack = self.stack()?.name.clone();
        let now = self.world.now();
        let mut faults = std::mem::take(&mut self.world.faults);
        let work =
            ResourceWork { stack: &stack, logical_id: &resource.logical_id, type_name: &resource.type_name, during };
        let reason = faults.resource_failure(&work, now, &mut self.world.identifiers);
        self.world.faults = faults;
        reason
    }

    fn reason(&mut self, failure: &Failure) -> String {
        failure.reason(&self.world.identifiers.uuid())
    }

    fn settle(&mut self, logical_id: &str, doing: Doing) {
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

    fn complete(&mut self, logical_id: &str) {
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
    fn fail(&mut self, logical_id: &str, reason: &str) {
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
    fn cancel_siblings(&mut self) -> Vec<String> {
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

    fn pause(&mut self) {
        if let Some(operation) = self.stack_mut().operation.as_mut() {
            operation.phase = Phase::Paused;
            operation.has_failed = true;
        }
    }

    fn begin_rollback(&mut self, reason: &str, token: Option<String>) {
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
    fn end_forward(&mut self) {
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
            deletions.extend(work.before.clone().map(|resource| {
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
    fn check_removals(&self) -> Result<(), String> {
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

    fn outputs(&self) -> Result<(Vec<Output>, BTreeSet<String>), String> {
        let template = self.target_template().ok_or("Template format error: YAML not well-formed.")?;
        let outputs = self.with_scope(&template, |scope| values::outputs(&template, scope))?;
        let imports = self.with_scope(&template, |scope| Ok(values::imports(&template, scope)))?;
        let (Some(stack), Some(services)) = (self.stack(), self.world.services_at(self.place)) else {
            return Err("the stack does nothing".to_owned());
        };
        values::check_exports(&services.cloudformation, stack, &outputs)?;
        Ok((outputs, imports))
    }

    fn step_undo(&mut self) {
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
    fn next_to_undo(&self) -> Option<String> {
        let operation = self.operation()?;
        let is_pending = |work: &Work| matches!(work.state, WorkState::Done | WorkState::Failed | WorkState::Cancelled);
        let is_back =
            |work: &Work| !is_pending(work) && !matches!(work.state, WorkState::Undoing | WorkState::UndoFailed);
        let ready = operation.work.iter().find(|(name, work)| {
            is_pending(work) && operation.work.values().all(|other| !other.needs.contains(*name) || is_back(other))
        });
        ready.map(|(name, _)| name.clone())
    }

    fn begin_undo_of(&mut self, logical_id: &str) {
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
    fn restore_record(&mut self, logical_id: &str, before: &StackResource, replaces: bool) {
        let stack = self.stack_mut();
        let current = stack.resources.insert(logical_id.to_owned(), before.clone());
        let replacement = current.filter(|current| replaces && current.physical_id != before.physical_id);
        if let (Some(resource), Some(operation)) = (replacement, stack.operation.as_mut()) {
            operation.deletions.push(Deletion { resource, farewell: Policy::Delete, state: DeletionState::Waiting });
        }
        self.tell(before, ResourceStatus::UpdateComplete, None);
        self.set_state(logical_id, WorkState::Undone);
    }

    fn end_undo_of(&mut self, logical_id: &str) {
        let before =
            self.operation().and_then(|operation| operation.work.get(logical_id)).and_then(|work| work.before.clone());
        if let Some(before) = before {
            self.restore_record(logical_id, &before, false);
        }
        self.step();
    }

    fn fail_undo(&mut self, logical_id: &str, reason: &str) {
        let Some(resource) = self.stack().and_then(|stack| stack.resources.get(logical_id)).cloned() else {
            return;
        };
        self.tell(&resource, ResourceStatus::UpdateFailed, Some(reason));
        self.set_state(logical_id, WorkState::UndoFailed);
        self.step();
    }

    fn retry_failed_undo(&mut self, skip: &BTreeSet<String>) {
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
    fn end_undo(&mut self) {
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

    fn plan_deletion_of_everything(&mut self) {
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

    fn step_clean_up(&mut self) {
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
    fn next_deletion(&self) -> Option<usize> {
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

    fn set_deletion(&mut self, number: usize, state: DeletionState) {
        let deletion = self.stack_mut().operation.as_mut().and_then(|operation| operation.deletions.get_mut(number));
        if let Some(deletion) = deletion {
            deletion.state = state;
        }
    }

    fn deletion(&self, number: usize) -> Option<Deletion> {
        self.operation()?.deletions.get(number).cloned()
    }

    fn begin_deletion(&mut self, number: usize) {
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

    fn call_delete(&mut self, number: usize, resource: &StackResource, farewell: Farewell) {
        let id = resource.physical_id.clone().unwrap_or_default();
        let deleted = match self.injected_failure(resource, FaultedWork::Delete) {
            Some(reason) => Err(Tried::Failed(reason)),
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
            Ok(seconds) => self.schedule_deletion(number, seconds),
            Err(Tried::Busy) => self.schedule_deletion(number, SECONDS_TO_RETRY),
            Err(Tried::Failed(reason)) => {
                self.tell(resource, ResourceStatus::DeleteFailed, Some(&reason));
                self.set_deletion(number, DeletionState::Failed);
            }
        }
    }

    fn schedule_deletion(&mut self, number: usize, seconds: u64) {
        let Some(operation) = self.operation().map(|operation| operation.id.clone()) else {
            return;
        };
        self.schedule(
            seconds,
            Transition::SettleDeletion { stack: self.stack_id.to_owned(), operation, place: number },
        );
    }

    fn settle_deletion(&mut self, number: usize) {
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
    fn forget(&mut self, resource: &StackResource) {
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

    fn end_clean_up(&mut self) {
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
            (Kind::Create, _) if has_leftovers => self.end(StackStatus::RollbackFailed, Some(&reason)),
            (Kind::Create, _) if operation.options.on_failure == OnFailure::Delete => self.end_deletion(),
            (Kind::Create, _) => self.end(StackStatus::RollbackComplete, None),
            (Kind::Delete, _) if has_leftovers => self.end(StackStatus::DeleteFailed, Some(&reason)),
            (Kind::Delete, _) => self.end_deletion(),
        }
    }

    fn end_deletion(&mut self) {
        let now = self.world.now();
        let stack = self.stack_mut();
        stack.deleted = Some(now);
        stack.change_sets.clear();
        self.end(StackStatus::DeleteComplete, None);
    }

    fn end(&mut self, status: StackStatus, reason: Option<&str>) {
        self.status(status, reason);
        let stack = self.stack_mut();
        stack.operation = None;
        super::change_sets::execution_ended(stack, status);
    }
}

/// Why a handler did not take an order.
enum Tried {
    Busy,
    Failed(String),
}

fn unknown_type(type_name: &str) -> String {
    format!("Unrecognized resource type: {type_name}")
}

/// `DeletionPolicy` on removal and stack deletion.
fn deletion_policy(resource: &StackResource) -> Policy {
    match resource.deletion_policy.as_deref() {
        Some("Retain" | "RetainExceptOnCreate") => Policy::Retain,
        Some("Snapshot") => Policy::Snapshot,
        Some(_) => Policy::Delete,
        None => default_policy(resource),
    }
}

/// `UpdateReplacePolicy` on replacement.
fn replace_policy(resource: &StackResource) -> Policy {
    match resource.replace_policy.as_deref() {
        Some("Retain") => Policy::Retain,
        Some("Snapshot") => Policy::Snapshot,
        Some(_) => Policy::Delete,
        None => default_policy(resource),
    }
}

/// `DeletionPolicy` of a resource whose creation is undone (User Guide: `RetainExceptOnCreate`).
fn rollback_policy(resource: &StackResource, keeps_retained: bool) -> Policy {
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

/// The names a template is evaluated with.
pub(super) fn names(place: &Place, stack: &Stack, target: &Deployment) -> StackNames {
    StackNames {
        place: place.clone(),
        id: stack.id.clone(),
        name: stack.name.clone(),
        notification_arns: target.notification_arns.clone(),
    }
}

/// Looks at the resources a stack has now.
pub(super) struct Live<'a> {
    pub(super) world: &'a World,
    pub(super) place: &'a Place,
    pub(super) resources: &'a BTreeMap<String, StackResource>,
}

impl Live<'_> {
    fn resource(&self, logical_id: &str) -> Result<(&StackResource, &str), String> {
        let resource = self.resources.get(logical_id);
        let id = resource.and_then(|resource| Some((resource, resource.physical_id.as_deref()?)));
        id.ok_or_else(|| {
            format!("Unresolved resource dependencies [{logical_id}] in the Resources block of the template")
        })
    }
}

impl Lookup for Live<'_> {
    fn reference(&self, logical_id: &str) -> Result<Value, String> {
        self.resource(logical_id).map(|(_, id)| id.into())
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String> {
        let (resource, id) = self.resource(logical_id)?;
        let value = resources::of(&resource.type_name)
            .and_then(|handler| handler.attribute(self.world, self.place, id, attribute));
        value.ok_or_else(|| {
            format!("Template error: resource {logical_id} does not support attribute type {attribute} in Fn::GetAtt")
        })
    }
}
