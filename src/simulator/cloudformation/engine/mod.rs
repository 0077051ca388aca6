//! The operations engine: brings a stack's resources to a target in the order of their references, brings them back when
//! that fails, and deletes what is no longer wanted. It moves only by transitions of virtual time; between two of them
//! everything it knows is in the stack, so a world can be stored and read back at any point.

mod clean_up;
mod forward;
mod lookup;
mod plan;
mod undo;
mod work;

use crate::simulator::cloudformation::events;
use crate::simulator::cloudformation::stack::{
    Deployment, Kind, Operation, Options, Phase, ResourceStatus, Stack, StackResource, StackStatus, Transition, Work,
};
use crate::simulator::world::{self, Place, World};
pub(super) use lookup::{Live, names};
use std::collections::BTreeSet;

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

    /// Begins whatever can be begun; ends the phase when nothing is left.
    fn step(&mut self) {
        match self.operation().map(|operation| operation.phase) {
            Some(Phase::Forward) => self.step_forward(),
            Some(Phase::Undo) => self.step_undo(),
            Some(Phase::CleanUp) => self.step_clean_up(),
            Some(Phase::Paused) | None => {}
        }
    }
}
