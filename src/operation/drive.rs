//! The loop: observe, plan, apply all that may be done now, look again.
//!
//! It knows no service and takes no decision about the cloud. What it adds to an operation's three
//! verbs is what all operations share: patience, a bound on what is in flight, interruption,
//! telling, and an end in every case.

use std::ops::ControlFlow;

use futures_util::future::Shared;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;

use super::event::Teller;
use super::pace::Patience;
use super::{About, CannotReach, Cause, Event, Fault, Hold, Operation, Outcome, Pace, Plan, Subject, chain};

type PlanOf<O> = Plan<<O as Operation>::Step, <O as Operation>::Reason>;
type CauseOf<O> = Cause<<O as Operation>::Step, <O as Operation>::Reason, <O as Operation>::Fault>;
type OutcomeOf<O> =
    Outcome<<O as Operation>::World, <O as Operation>::Step, <O as Operation>::Reason, <O as Operation>::Fault>;

/// What a part of a turn leads to: on with it, or the end of the run.
type Flow<O, Next = ()> = ControlFlow<OutcomeOf<O>, Next>;

/// Takes the operation as far as the cloud allows, and says how far that was.
///
/// Safe to interrupt, to drop at any await, and to run again.
///
/// - **Steps** of a plan are applied at the same time, as many as the pace allows; each is awaited,
///   whatever becomes of the others. The run pauses only when there was nothing to apply. A step
///   that was applied and is asked for again counts as nothing until after the next pause: either
///   reads lag behind writes, or the call did not get through, and neither is helped by haste.
/// - **A step that bears no fruit**, however often it is done, ends the run: a cloud that forgets what it
///   was told is not helped by telling it once more.
/// - **A refusal** before the first step follows nothing: nothing has been touched. Later, and
///   likewise when the plan says that something of this run **failed**, nothing more is started,
///   but what runs in the cloud is followed to its end, as far as the plan's own `waiting` says
///   that it runs. That verdict stands even if a later plan offers steps again, and only a goal
///   found reached after all sets it aside.
/// - **What was only prepared** is cleared away before such a run ends, as the operation's
///   [`withdraw`](Operation::withdraw) says. What cannot be cleared away is told, and changes nothing about the verdict.
/// - **A call that fails** for a moment is waited out against patience. One that fails for good
///   ends the run as soon as the steps in flight are done and what was prepared is cleared away. Nothing is followed then: the
///   plan still counts on the failed step, so what it waits for may never come.
/// - **Patience** that runs out ends the run without undoing anything.
/// - **The interruption** is a future that completes when the caller wants to stop (Ctrl-C). No
///   step starts after it, and those in flight are awaited. A caller that cannot wait for them may
///   drop the whole run.
///
/// `report` is told every [`Event`] as it happens.
pub async fn drive<O: Operation>(
    operation: &O,
    pace: Pace,
    interrupt: impl Future<Output = ()>,
    report: impl FnMut(Event),
) -> OutcomeOf<O> {
    let mut run = Run::begin(operation, pace, interrupt, report);
    let mut first = None;
    loop {
        if let ControlFlow::Break(outcome) = run.turn(&mut first).await {
            return outcome;
        }
    }
}

/// What a run remembers between two looks. None of it outlives the run.
struct Run<'operation, O: Operation, Interrupt: Future<Output = ()>, Report> {
    operation: &'operation O,
    pace: Pace,
    interrupt: Shared<Interrupt>,
    teller: Teller<O::Step, O::Reason, Report>,
    patience: Patience<PlanOf<O>>,
    /// What the last plan waited for.
    waiting: Vec<O::Reason>,
    /// The last look did not get through.
    unseen: Option<CannotReach>,
    /// These steps did not get through, and are still to be done.
    undone: Vec<(O::Step, CannotReach)>,
    /// The steps started since the last pause.
    started: Vec<O::Step>,
    /// How often each step was done in this run.
    done: Vec<(O::Step, usize)>,
    has_started_any: bool,
    verdict: Option<Verdict<O::Reason>>,
    /// The steps that failed for good.
    broken: Vec<CauseOf<O>>,
    /// Once nothing is followed any more: what was waited for when the verdict fell.
    left_waiting: Option<Vec<Hold<O::Reason>>>,
}

/// How often a step may be done in one run without the plan being content. Answers that are old for seconds ask for a step a
/// few times again, and at the usual tempo so many times are two minutes; chosen, not measured.
const FRUITLESS_TIMES_MAX: usize = 30;

/// Why nothing more is started.
#[derive(PartialEq)]
enum Verdict<Reason> {
    Refused { because: Vec<Reason> },
    Failed { causes: Vec<Reason> },
}

impl<'operation, O, Interrupt, Report> Run<'operation, O, Interrupt, Report>
where
    O: Operation,
    Interrupt: Future<Output = ()>,
    Report: FnMut(Event),
{
    fn begin(operation: &'operation O, pace: Pace, interrupt: Interrupt, report: Report) -> Self {
        Self {
            operation,
            pace,
            interrupt: interrupt.shared(),
            teller: Teller::begin(report),
            patience: Patience::new(pace),
            waiting: Vec::new(),
            unseen: None,
            undone: Vec::new(),
            started: Vec::new(),
            done: Vec::new(),
            has_started_any: false,
            verdict: None,
            broken: Vec::new(),
            left_waiting: None,
        }
    }

    /// Looks, plans, and does what the plan says; the whole idea is here.
    async fn turn(&mut self, first: &mut Option<O::World>) -> Flow<O> {
        let Some(now) = self.observe().await? else {
            return self.pause().await;
        };
        let first = &*first.get_or_insert_with(|| now.clone());
        if self.left_waiting.is_some() {
            return self.withdraw(first, &now).await;
        }
        let plan = self.operation.plan(first, &now);
        if let Some(flaw) = plan.flaw() {
            return self.fail(vec![Cause::Flaw(flaw)]);
        }
        self.hear(&plan);
        match plan {
            Plan::Converged => ControlFlow::Break(Outcome::Converged { first: first.clone(), now }),
            Plan::Going { now: steps, .. } if self.verdict.is_none() => self.go_on(steps).await,
            Plan::Going { .. } => self.withdraw(first, &now).await,
            Plan::Refused { because, .. } => self.wind_down(Verdict::Refused { because }, first, &now).await,
            Plan::Failed { causes, .. } => self.wind_down(Verdict::Failed { causes }, first, &now).await,
        }
    }

    /// Looks once. A look that did not get through is no observation, and no end either.
    async fn observe(&mut self) -> Flow<O, Option<O::World>> {
        let Some(observed) = unless(self.interrupt.clone(), self.operation.observe()).await else {
            return self.interrupted();
        };
        match observed {
            Ok(world) => {
                self.unseen = None;
                ControlFlow::Continue(Some(world))
            }
            Err(fault) if fault.is_momentary() => {
                self.unseen = Some(cannot_reach(Subject::default(), &fault));
                self.teller.waiting(self.holds());
                ControlFlow::Continue(None)
            }
            Err(fault) => self.fail(vec![Cause::Observe { fault }]),
        }
    }

    fn hear(&mut self, plan: &PlanOf<O>) {
        self.patience.hear(plan);
        self.waiting = plan.waiting().to_vec();
        self.undone.retain(|(step, _)| plan.now().contains(step));
        if let Plan::Going { now, then, .. } = plan {
            self.teller.steps(now, then);
        }
        self.teller.waiting(self.holds());
    }

    async fn go_on(&mut self, mut steps: Vec<O::Step>) -> Flow<O> {
        steps.retain(|step| !self.started.contains(step));
        if steps.is_empty() {
            return self.pause().await;
        }
        if let Some((step, times)) = self.fruitless(&steps) {
            return self.fail(vec![Cause::Fruitless { step, times }]);
        }
        self.apply_all(&steps).await
    }

    fn fruitless(&self, steps: &[O::Step]) -> Option<(O::Step, usize)> {
        self.done.iter().find(|(step, times)| *times >= FRUITLESS_TIMES_MAX && steps.contains(step)).cloned()
    }

    fn count(&mut self, step: &O::Step) {
        match self.done.iter_mut().find(|(done, _)| done == step) {
            Some((_, times)) => *times += 1,
            None => self.done.push((step.clone(), 1)),
        }
    }

    /// Clears away what was prepared; the verdict has fallen, and what is left of it is to be told.
    async fn withdraw(&mut self, first: &O::World, now: &O::World) -> Flow<O> {
        let plan = self.operation.withdraw(first, now);
        let Plan::Going { now: steps, .. } = &plan else { return self.end() };
        if plan.flaw().is_some() || self.fruitless(steps).is_some() {
            return self.end();
        }
        self.let_go();
        self.hear(&plan);
        self.go_on(steps.clone()).await
    }

    /// Follows nothing any more.
    fn let_go(&mut self) {
        let holds = self.holds();
        self.left_waiting.get_or_insert(holds);
    }

    /// Ends a run whose verdict has fallen.
    fn end<Next>(&mut self) -> Flow<O, Next> {
        self.stop(|waiting| Outcome::Unfinished { waiting })
    }

    /// Applies independent steps at the same time, each awaited, in the order of the plan where
    /// order shows.
    async fn apply_all(&mut self, steps: &[O::Step]) -> Flow<O> {
        let operation = self.operation;
        let mut ahead = steps.iter().enumerate();
        let mut in_flight = FuturesUnordered::new();
        let mut faults = Vec::new();
        loop {
            while in_flight.len() < self.pace.steps_at_once.get()
                && !self.is_interrupted()
                && !faults.iter().any(is_permanent)
                && let Some((position, step)) = ahead.next()
            {
                self.start(step);
                in_flight.push(async move { (position, step, operation.apply(step).await) });
            }
            let Some((position, step, result)) = in_flight.next().await else {
                break;
            };
            self.teller.ended(step, result.as_ref().err());
            if result.is_ok() {
                self.count(step);
            }
            faults.extend(result.err().map(|fault| (position, step, fault)));
        }
        faults.sort_by_key(|(position, ..)| *position);
        self.weigh(faults)
    }

    fn start(&mut self, step: &O::Step) {
        self.teller.started(step);
        self.undone.retain(|(undone, _)| undone != step);
        self.started.push(step.clone());
        self.has_started_any = true;
    }

    /// Keeps in mind what did not get through for the moment; ends the run over what failed for
    /// good.
    fn weigh(&mut self, faults: Vec<(usize, &O::Step, O::Fault)>) -> Flow<O> {
        let (permanent, momentary): (Vec<_>, Vec<_>) = faults.into_iter().partition(is_permanent);
        self.undone
            .extend(momentary.into_iter().map(|(_, step, fault)| (step.clone(), cannot_reach(step.subject(), &fault))));
        if permanent.is_empty() {
            return ControlFlow::Continue(());
        }
        if self.left_waiting.is_some() {
            return self.end();
        }
        let apply = |(_, step, fault)| Cause::Apply { step: O::Step::clone(step), fault };
        self.broken = permanent.into_iter().map(apply).collect();
        self.verdict = Some(Verdict::Failed { causes: Vec::new() });
        self.let_go();
        ControlFlow::Continue(())
    }

    /// Starts nothing more, and follows what runs to its end.
    async fn wind_down(&mut self, verdict: Verdict<O::Reason>, first: &O::World, now: &O::World) -> Flow<O> {
        let has_touched_nothing = !self.has_started_any && matches!(verdict, Verdict::Refused { .. });
        if has_touched_nothing || self.waiting.is_empty() {
            self.verdict = Some(verdict);
            return self.withdraw(first, now).await;
        }
        if self.verdict.as_ref() != Some(&verdict) {
            self.announce(&verdict);
        }
        self.verdict = Some(verdict);
        self.pause().await
    }

    fn announce(&mut self, verdict: &Verdict<O::Reason>) {
        match verdict {
            Verdict::Refused { because } => self.teller.refused(because),
            Verdict::Failed { causes } => self.teller.failed(causes),
        }
    }

    async fn pause(&mut self) -> Flow<O> {
        let Some(pause) = self.patience.pause() else {
            return self.stop(|waiting| Outcome::Unfinished { waiting });
        };
        self.started.clear();
        match unless(self.interrupt.clone(), sleep(pause)).await {
            Some(()) => ControlFlow::Continue(()),
            None => self.interrupted(),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.clone().now_or_never().is_some()
    }

    fn interrupted<Next>(&mut self) -> Flow<O, Next> {
        self.stop(|waiting| Outcome::Interrupted { waiting })
    }

    /// Ends a run that could have gone on. A verdict that was reached before says more than that it
    /// was stopped.
    fn stop<Next>(&mut self, otherwise: impl FnOnce(Vec<Hold<O::Reason>>) -> OutcomeOf<O>) -> Flow<O, Next> {
        ControlFlow::Break(match self.verdict.take() {
            Some(verdict) => self.conclude(verdict),
            None => otherwise(self.holds()),
        })
    }

    fn conclude(&mut self, verdict: Verdict<O::Reason>) -> OutcomeOf<O> {
        let waiting = self.left_waiting.take().unwrap_or_else(|| self.holds());
        match verdict {
            Verdict::Refused { because } => Outcome::Refused { because, waiting },
            Verdict::Failed { causes } => {
                let mut all = seen::<O>(causes);
                all.append(&mut self.broken);
                Outcome::Failed { causes: all, waiting }
            }
        }
    }

    /// Ends the run over what went wrong, behind what was known to have failed before.
    fn fail<Next>(&mut self, causes: Vec<CauseOf<O>>) -> Flow<O, Next> {
        if self.left_waiting.is_some() {
            return self.end();
        }
        let mut all = match self.verdict.take() {
            Some(Verdict::Failed { causes }) => seen::<O>(causes),
            Some(Verdict::Refused { .. }) | None => Vec::new(),
        };
        all.extend(causes);
        ControlFlow::Break(Outcome::Failed { causes: all, waiting: self.holds() })
    }

    fn holds(&self) -> Vec<Hold<O::Reason>> {
        let planned = self.waiting.iter().cloned().map(Hold::Planned);
        let undone = self.undone.iter().map(|(_, cannot_reach)| cannot_reach);
        let unreached = undone.chain(&self.unseen).cloned().map(Hold::CannotReach);
        planned.chain(unreached).collect()
    }
}

/// Waits for the work, or for nothing once the interruption has come.
async fn unless<T>(interrupt: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = interrupt => None,
        done = work => Some(done),
    }
}

fn is_permanent<Step, F: Fault>((_, _, fault): &(usize, Step, F)) -> bool {
    !fault.is_momentary()
}

fn cannot_reach(subject: Subject, fault: &impl Fault) -> CannotReach {
    CannotReach { subject, cause: chain(fault) }
}

fn seen<O: Operation>(causes: Vec<O::Reason>) -> Vec<CauseOf<O>> {
    causes.into_iter().map(Cause::Seen).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::fmt;
    use std::future::pending;
    use std::num::NonZeroUsize;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    use serde::Serialize;
    use tokio::time::Instant;

    use super::*;
    use crate::operation::{Flaw, Statement};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Looks every second and loses patience after a minute, so that a journal is easily counted.
    fn pace() -> Pace {
        Pace {
            shortest_pause: seconds(1),
            longest_pause: seconds(1),
            patience: seconds(60),
            steps_at_once: NonZeroUsize::new(2).expect("two is not zero"),
        }
    }

    #[derive(Debug, Clone, PartialEq, thiserror::Error)]
    enum ModelFault {
        #[error("rate exceeded")]
        Throttled,
        #[error("access denied")]
        Denied,
    }

    impl Fault for ModelFault {
        fn is_momentary(&self) -> bool {
            match self {
                Self::Throttled => true,
                Self::Denied => false,
            }
        }
    }

    // First, scripts: the looks are given, and what drive makes of them is written down.

    /// A step or a reason; its first word is the stack.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl About for Said {
        fn subject(&self) -> Subject {
            Subject { stack: self.0.split(' ').next().map(ToOwned::to_owned), resource: None }
        }
    }

    type SaidPlan = Plan<Said, Said>;
    type SaidOutcome = Outcome<usize, Said, Said, ModelFault>;

    fn said<const COUNT: usize>(texts: [&'static str; COUNT]) -> Vec<Said> {
        texts.map(Said).into()
    }

    fn going<const STEPS: usize, const REASONS: usize>(
        now: [&'static str; STEPS],
        waiting: [&'static str; REASONS],
    ) -> SaidPlan {
        Plan::Going { now: said(now), waiting: said(waiting), then: Vec::new() }
    }

    fn refused<const COUNT: usize>(because: &'static str, waiting: [&'static str; COUNT]) -> SaidPlan {
        Plan::Refused { because: said([because]), waiting: said(waiting) }
    }

    fn failed<const COUNT: usize>(cause: &'static str, waiting: [&'static str; COUNT]) -> SaidPlan {
        Plan::Failed { causes: said([cause]), waiting: said(waiting) }
    }

    fn planned<const COUNT: usize>(reasons: [&'static str; COUNT]) -> Vec<Hold<Said>> {
        said(reasons).into_iter().map(Hold::Planned).collect()
    }

    fn out_of_reach(stack: Option<&str>) -> Hold<Said> {
        let subject = Subject { stack: stack.map(ToOwned::to_owned), resource: None };
        Hold::CannotReach(CannotReach { subject, cause: "rate exceeded".to_owned() })
    }

    /// Sees one plan after the other, the last for ever. Its world is the number of the look.
    struct Script {
        looks: Vec<Result<SaidPlan, ModelFault>>,
        looked: Cell<usize>,
        /// What steps end with, each once; all others succeed.
        faults: RefCell<Vec<(&'static str, ModelFault)>>,
        /// How long the steps of a stack take.
        durations: BTreeMap<&'static str, Duration>,
        /// What is left to clear away, asked after one look after the other, the last for ever.
        left: RefCell<Vec<SaidPlan>>,
        began: Instant,
        journal: RefCell<Vec<String>>,
    }

    impl Script {
        fn new(looks: impl IntoIterator<Item = SaidPlan>) -> Self {
            Self::with_faulty_looks(looks.into_iter().map(Ok))
        }

        fn with_faulty_looks(looks: impl IntoIterator<Item = Result<SaidPlan, ModelFault>>) -> Self {
            Self {
                looks: looks.into_iter().collect(),
                looked: Cell::new(0),
                faults: RefCell::default(),
                durations: BTreeMap::new(),
                left: RefCell::new(vec![Plan::Converged]),
                began: Instant::now(),
                journal: RefCell::default(),
            }
        }

        fn fault(self, step: &'static str, fault: ModelFault) -> Self {
            self.faults.borrow_mut().push((step, fault));
            self
        }

        fn leaves(self, left: impl IntoIterator<Item = SaidPlan>) -> Self {
            Self { left: RefCell::new(left.into_iter().collect()), ..self }
        }

        fn takes(mut self, stack: &'static str, duration: Duration) -> Self {
            self.durations.insert(stack, duration);
            self
        }

        fn note(&self, what: &str) {
            self.journal.borrow_mut().push(format!("{}s {what}", self.began.elapsed().as_secs()));
        }

        async fn drive(&self) -> SaidOutcome {
            self.drive_until(pending()).await
        }

        async fn drive_until(&self, interrupt: impl Future<Output = ()>) -> SaidOutcome {
            drive(self, pace(), interrupt, |_| ()).await
        }

        /// Drives, and writes the events into the journal too.
        async fn drive_telling(&self) -> SaidOutcome {
            drive(self, pace(), pending(), |event| self.note(&told(&event))).await
        }

        #[track_caller]
        fn check<const COUNT: usize>(&self, journal: [&str; COUNT]) {
            assert_eq!(*self.journal.borrow(), journal);
        }
    }

    /// An event in one line.
    fn told(event: &Event) -> String {
        let list = |statements: &[Statement]| {
            statements.iter().map(|statement| statement.sentence.as_str()).collect::<Vec<_>>().join(", ")
        };
        match event {
            Event::Began { schema } => format!("began: {schema}"),
            Event::Planned { now, then } => format!("planned: {}; then {}", list(now), list(then)),
            Event::Waiting { reason, lasted } => {
                format!("waiting: {}, {}s", reason.sentence, lasted.as_secs())
            }
            Event::Cleared { reason, lasted } => {
                format!("cleared: {}, {}s", reason.sentence, lasted.as_secs())
            }
            Event::Started { step } => format!("started: {}", step.sentence),
            Event::Ended { step, error: None } => format!("ended: {}", step.sentence),
            Event::Ended { step, error: Some(error) } => format!("ended: {}: {error}", step.sentence),
            Event::Refused { because } => format!("refused: {}", list(because)),
            Event::Failed { causes } => format!("failed: {}", list(causes)),
        }
    }

    impl Operation for Script {
        type World = usize;
        type Step = Said;
        type Reason = Said;
        type Fault = ModelFault;

        async fn observe(&self) -> Result<usize, ModelFault> {
            self.note("look");
            assert!(self.looked.get() < 10_000, "this run has no end");
            let look = self.looked.replace(self.looked.get() + 1).min(self.looks.len() - 1);
            self.looks[look].as_ref().map(|_| look).map_err(Clone::clone)
        }

        fn plan(&self, _first: &usize, now: &usize) -> SaidPlan {
            self.looks[*now].clone().expect("only what was seen is planned for")
        }

        fn withdraw(&self, _first: &usize, _now: &usize) -> SaidPlan {
            let mut left = self.left.borrow_mut();
            if left.len() > 1 { left.remove(0) } else { left[0].clone() }
        }

        async fn apply(&self, step: &Said) -> Result<(), ModelFault> {
            self.note(step.0);
            let stack = step.0.split(' ').next().unwrap_or_default();
            sleep(self.durations.get(stack).copied().unwrap_or_default()).await;
            let mut faults = self.faults.borrow_mut();
            match faults.iter().position(|(faulty, _)| *faulty == step.0) {
                Some(position) => Err(faults.remove(position).1),
                None => Ok(()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_goal_already_reached_is_looked_at_once_and_left_alone() {
        let script = Script::new([Plan::Converged]);
        assert_eq!(script.drive().await, Outcome::Converged { first: 0, now: 0 });
        script.check(["0s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_first_observation() {
        let script = Script::new([going(["a start"], []), going([], ["a busy"]), Plan::Converged]);
        assert_eq!(script.drive().await, Outcome::Converged { first: 0, now: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn sleeps_only_when_nothing_can_be_applied() {
        let script = Script::new([
            going(["a start"], []),
            going(["b start"], ["a busy"]),
            going([], ["a busy", "b busy"]),
            going(["c start"], ["b busy"]),
            Plan::Converged,
        ]);
        script.drive().await;
        script.check(["0s look", "0s a start", "0s look", "0s b start", "0s look", "1s look", "1s c start", "1s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn applies_a_step_again_only_after_a_pause() {
        let script = Script::new([
            going(["a start"], []),
            going(["a start"], []),
            going(["a start", "b start"], []),
            Plan::Converged,
        ]);
        script.drive().await;
        script.check(["0s look", "0s a start", "0s look", "1s look", "1s a start", "1s b start", "1s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_asked_for_again_does_not_hold_up_a_new_one() {
        let script = Script::new([going(["a start"], []), going(["a start", "b start"], []), Plan::Converged]);
        script.drive().await;
        script.check(["0s look", "0s a start", "0s look", "0s b start", "0s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn applies_independent_steps_at_the_same_time_but_bounded() {
        let script = Script::new([going(["a start", "b start", "c start", "d start"], []), Plan::Converged])
            .takes("a", seconds(10))
            .takes("b", seconds(2))
            .takes("c", seconds(3));
        script.drive().await;
        script.check(["0s look", "0s a start", "0s b start", "2s c start", "5s d start", "10s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn awaits_every_step_and_reports_every_error_in_the_order_of_the_plan() {
        let script = Script::new([going(["a start", "b start"], ["c busy"]), Plan::Converged])
            .takes("a", seconds(10))
            .fault("a start", ModelFault::Denied)
            .fault("b start", ModelFault::Denied);
        let outcome = script.drive_telling().await;
        let causes = said(["a start", "b start"]).into_iter();
        let causes = causes.map(|step| Cause::Apply { step, fault: ModelFault::Denied }).collect();
        assert_eq!(outcome, Outcome::Failed { causes, waiting: planned(["c busy"]) });
        script.check([
            "0s began: 1",
            "0s look",
            "0s planned: a start, b start; then ",
            "0s waiting: c busy, 0s",
            "0s started: a start",
            "0s started: b start",
            "0s a start",
            "0s b start",
            "0s ended: b start: access denied",
            "10s ended: a start: access denied",
            "10s look",
        ]);
    }

    #[tokio::test(start_paused = true)]
    async fn starts_no_further_step_once_one_failed_for_good() {
        let script = Script::new([going(["a start", "b start", "c start"], [])])
            .takes("b", seconds(5))
            .fault("a start", ModelFault::Denied);
        let outcome = script.drive().await;
        let causes = vec![Cause::Apply { step: Said("a start"), fault: ModelFault::Denied }];
        assert_eq!(outcome, Outcome::Failed { causes, waiting: vec![] });
        script.check(["0s look", "0s a start", "0s b start", "5s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_failed_for_a_moment_is_waited_out_and_done_again() {
        let script =
            Script::new([going(["a start"], []), going(["a start"], []), going(["a start"], []), Plan::Converged])
                .fault("a start", ModelFault::Throttled);
        assert_eq!(script.drive_telling().await, Outcome::Converged { first: 0, now: 3 });
        script.check([
            "0s began: 1",
            "0s look",
            "0s planned: a start; then ",
            "0s started: a start",
            "0s a start",
            "0s ended: a start: rate exceeded",
            "0s look",
            "0s waiting: out of reach for the moment: rate exceeded, 0s",
            "1s look",
            "1s started: a start",
            "1s a start",
            "1s ended: a start",
            "1s look",
            "1s cleared: out of reach for the moment: rate exceeded, 1s",
        ]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_did_not_get_through_is_no_longer_waited_for_once_it_is_not_needed() {
        let script =
            Script::new([going(["a start"], []), going([], ["b busy"])]).fault("a start", ModelFault::Throttled);
        assert_eq!(script.drive().await, Outcome::Unfinished { waiting: planned(["b busy"]) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_never_gets_through_ends_unfinished() {
        let mut script = Script::new([going(["a start"], ["b busy"])]);
        script.faults = RefCell::new(vec![("a start", ModelFault::Throttled); 100]);
        let waiting = [planned(["b busy"]), vec![out_of_reach(Some("a"))]].concat();
        assert_eq!(script.drive().await, Outcome::Unfinished { waiting });
        assert_eq!(script.began.elapsed(), seconds(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_for_a_moment_is_waited_out() {
        let script = Script::with_faulty_looks([
            Err(ModelFault::Throttled),
            Ok(going([], ["a busy"])),
            Err(ModelFault::Throttled),
            Ok(Plan::Converged),
        ]);
        assert_eq!(script.drive_telling().await, Outcome::Converged { first: 1, now: 3 });
        script.check([
            "0s began: 1",
            "0s look",
            "0s waiting: out of reach for the moment: rate exceeded, 0s",
            "1s look",
            "1s waiting: a busy, 0s",
            "1s cleared: out of reach for the moment: rate exceeded, 1s",
            "2s look",
            "2s waiting: out of reach for the moment: rate exceeded, 0s",
            "3s look",
            "3s cleared: a busy, 2s",
            "3s cleared: out of reach for the moment: rate exceeded, 1s",
        ]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_stays_out_of_reach_ends_unfinished() {
        let script = Script::with_faulty_looks([Err(ModelFault::Throttled)]);
        assert_eq!(script.drive().await, Outcome::Unfinished { waiting: vec![out_of_reach(None)] });
        assert_eq!(script.began.elapsed(), seconds(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_for_good_ends_the_run() {
        let script = Script::with_faulty_looks([Ok(going([], ["a busy"])), Err(ModelFault::Denied)]);
        let causes = vec![Cause::Observe { fault: ModelFault::Denied }];
        assert_eq!(script.drive().await, Outcome::Failed { causes, waiting: planned(["a busy"]) });
    }

    #[tokio::test(start_paused = true)]
    async fn patience_is_renewed_by_progress() {
        let percents = ["a 1 %", "a 2 %", "a 3 %"];
        let looks = percents.into_iter().flat_map(|percent| vec![going([], [percent]); 50]);
        let script = Script::new(looks.chain([Plan::Converged]));
        assert_eq!(script.drive().await, Outcome::Converged { first: 0, now: 150 });
        assert_eq!(script.began.elapsed(), seconds(150));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_runs_out_over_a_world_that_stands_still() {
        let script = Script::new([going([], ["a 43 %"])]);
        assert_eq!(script.drive().await, Outcome::Unfinished { waiting: planned(["a 43 %"]) });
        assert_eq!(script.began.elapsed(), seconds(60));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_runs_out_over_a_world_that_goes_round_in_circles() {
        let circle = ["a there", "a back"].map(|reason| going([], [reason]));
        let script = Script::new(circle.into_iter().cycle().take(1_000));
        assert_eq!(script.drive().await, Outcome::Unfinished { waiting: planned(["a back"]) });
        assert_eq!(script.began.elapsed(), seconds(61), "the second look was the last that had news");
    }

    /// An emulator forgot what it was told, and was told again for an hour.
    #[tokio::test(start_paused = true)]
    async fn a_step_that_bears_no_fruit_ends_the_run() {
        let script = Script::new([going(["a start"], ["b busy"])]);
        let causes = vec![Cause::Fruitless { step: Said("a start"), times: FRUITLESS_TIMES_MAX }];
        assert_eq!(script.drive().await, Outcome::Failed { causes, waiting: planned(["b busy"]) });
        assert_eq!(
            script.journal.borrow().iter().filter(|line| line.ends_with("a start")).count(),
            FRUITLESS_TIMES_MAX
        );
    }

    // What is cleared away before a run ends.

    #[tokio::test(start_paused = true)]
    async fn a_refusal_clears_away_what_was_prepared_and_stands() {
        let script = Script::new([going(["a prepare"], []), refused("a is protected", []), going(["a prepare"], [])])
            .leaves([going(["a withdraw"], []), going([], ["a going"]), Plan::Converged]);
        let outcome = script.drive().await;
        assert_eq!(outcome, Outcome::Refused { because: said(["a is protected"]), waiting: vec![] });
        script.check(["0s look", "0s a prepare", "0s look", "0s a withdraw", "0s look", "1s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_before_the_first_step_clears_away_what_an_earlier_run_has_left() {
        let script =
            Script::new([refused("a is protected", ["b busy"])]).leaves([going(["a withdraw"], []), Plan::Converged]);
        let outcome = script.drive().await;
        assert_eq!(outcome, Outcome::Refused { because: said(["a is protected"]), waiting: planned(["b busy"]) });
        script.check(["0s look", "0s a withdraw", "0s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_failed_for_good_clears_away_what_others_prepared() {
        let script = Script::new([going(["a prepare", "b prepare"], [])])
            .fault("b prepare", ModelFault::Denied)
            .leaves([going(["a withdraw"], []), Plan::Converged]);
        let causes = vec![Cause::Apply { step: Said("b prepare"), fault: ModelFault::Denied }];
        assert_eq!(script.drive().await, Outcome::Failed { causes, waiting: vec![] });
        script.check(["0s look", "0s a prepare", "0s b prepare", "0s look", "0s a withdraw", "0s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_cleared_away_changes_nothing_about_the_verdict() {
        let because = said(["a is protected"]);
        for faults in
            [vec![("a withdraw", ModelFault::Denied)], vec![("a withdraw", ModelFault::Throttled); 100], vec![]]
        {
            let mut script = Script::new([refused("a is protected", [])]).leaves([going(["a withdraw"], [])]);
            script.faults = RefCell::new(faults);
            assert_eq!(script.drive().await, Outcome::Refused { because: because.clone(), waiting: vec![] });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_before_the_first_step_stops_everything() {
        let script = Script::new([refused("a is protected", ["b busy"])]);
        let outcome = script.drive().await;
        assert_eq!(outcome, Outcome::Refused { because: said(["a is protected"]), waiting: planned(["b busy"]) });
        script.check(["0s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_refusal_follows_what_runs_to_its_end() {
        let script = Script::new([
            going(["a start"], []),
            refused("b is protected", ["a busy"]),
            refused("b is protected", ["a cleaning up"]),
            refused("b is protected", []),
        ]);
        let outcome = script.drive_telling().await;
        assert_eq!(outcome, Outcome::Refused { because: said(["b is protected"]), waiting: vec![] });
        script.check([
            "0s began: 1",
            "0s look",
            "0s planned: a start; then ",
            "0s started: a start",
            "0s a start",
            "0s ended: a start",
            "0s look",
            "0s waiting: a busy, 0s",
            "0s refused: b is protected",
            "1s look",
            "1s waiting: a cleaning up, 1s",
            "2s look",
            "2s cleared: a cleaning up, 2s",
        ]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_refusal_starts_nothing_even_if_it_is_taken_back() {
        let script = Script::new([
            going(["a start"], []),
            refused("b is protected", ["a busy"]),
            going(["b start"], ["a busy"]),
        ]);
        let outcome = script.drive().await;
        assert_eq!(outcome, Outcome::Refused { because: said(["b is protected"]), waiting: planned(["a busy"]) });
        script.check(["0s look", "0s a start", "0s look", "1s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_stays_the_verdict_when_patience_runs_out() {
        let script = Script::new([going(["a start"], []), refused("b is protected", ["a busy"])]);
        let outcome = script.drive().await;
        assert_eq!(outcome, Outcome::Refused { because: said(["b is protected"]), waiting: planned(["a busy"]) });
        assert_eq!(script.began.elapsed(), seconds(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_follows_what_runs_to_its_end() {
        let script = Script::new([
            going(["a start", "b start"], []),
            failed("a rolled back", ["b busy"]),
            failed("a rolled back", []),
        ]);
        let outcome = script.drive_telling().await;
        assert_eq!(outcome, Outcome::Failed { causes: vec![Cause::Seen(Said("a rolled back"))], waiting: vec![] });
        assert_eq!(
            script.journal.borrow()[8..],
            [
                "0s ended: b start",
                "0s look",
                "0s waiting: b busy, 0s",
                "0s failed: a rolled back",
                "1s look",
                "1s cleared: b busy, 1s",
            ],
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_what_another_run_began_is_followed_too() {
        let script = Script::new([
            going([], ["a busy", "b busy"]),
            failed("a rolled back", ["b busy"]),
            failed("a rolled back", []),
        ]);
        let causes = vec![Cause::Seen(Said("a rolled back"))];
        assert_eq!(script.drive().await, Outcome::Failed { causes, waiting: vec![] });
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_not_forgotten_over_a_later_one() {
        let script = Script::with_faulty_looks([
            Ok(going(["a start"], [])),
            Ok(failed("a rolled back", ["b busy"])),
            Err(ModelFault::Denied),
        ]);
        let causes = vec![Cause::Seen(Said("a rolled back")), Cause::Observe { fault: ModelFault::Denied }];
        assert_eq!(script.drive().await, Outcome::Failed { causes, waiting: planned(["b busy"]) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_goal_found_reached_after_all_sets_a_verdict_aside() {
        let script = Script::new([going(["a start"], []), refused("b is protected", ["a busy"]), Plan::Converged]);
        assert_eq!(script.drive().await, Outcome::Converged { first: 0, now: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_cannot_be_followed_is_named_as_a_bug() {
        let script = Script::new([going([], [])]);
        let outcome = script.drive().await;
        assert_eq!(outcome, Outcome::Failed { causes: vec![Cause::Flaw(Flaw::Aimless)], waiting: vec![] });
        script.check(["0s look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_ends_a_pause_at_once() {
        let script = Script::new([going([], ["a busy"])]);
        let outcome = script.drive_until(sleep(Duration::from_millis(10_500))).await;
        assert_eq!(outcome, Outcome::Interrupted { waiting: planned(["a busy"]) });
        assert_eq!(script.began.elapsed(), Duration::from_millis(10_500));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_awaits_the_steps_in_flight_and_starts_no_other() {
        let script = Script::new([going(["a start", "b start", "c start"], ["d busy"])])
            .takes("a", seconds(10))
            .takes("b", seconds(4));
        let outcome = script.drive_until(sleep(seconds(2))).await;
        assert_eq!(outcome, Outcome::Interrupted { waiting: planned(["d busy"]) });
        script.check(["0s look", "0s a start", "0s b start"]);
        assert_eq!(script.began.elapsed(), seconds(10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_does_not_hide_the_failure_of_a_step_in_flight() {
        let script = Script::new([going(["a start"], [])]).takes("a", seconds(10)).fault("a start", ModelFault::Denied);
        let outcome = script.drive_until(sleep(seconds(2))).await;
        let causes = vec![Cause::Apply { step: Said("a start"), fault: ModelFault::Denied }];
        assert_eq!(outcome, Outcome::Failed { causes, waiting: vec![] });
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_before_the_first_look_touches_nothing() {
        let script = Script::new([going(["a start"], [])]);
        assert_eq!(script.drive_until(async {}).await, Outcome::Interrupted { waiting: vec![] });
        script.check([]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_does_not_wait_for_a_look() {
        let cloud = RefCell::new(Cloud::of([("api", Stack::new(&[], seconds(30)))]));
        let deployment = Deployment { cloud: &cloud, latency: seconds(60) };
        let began = Instant::now();
        let outcome = drive(&deployment, pace(), sleep(seconds(5)), |_| ()).await;
        assert_eq!(outcome, Outcome::Interrupted { waiting: vec![] });
        assert_eq!(began.elapsed(), seconds(5));
    }

    // Then a model: stacks that need each other, take their time, and may roll back; and a cloud
    // that is slow, throttled and stale.

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Status {
        Old,
        Updating,
        Updated,
        RolledBack,
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Stack {
        needs: Vec<&'static str>,
        takes: Duration,
        rolls_back: bool,
        status: Status,
        /// When the update that runs is over.
        over_at: Option<Instant>,
        /// How many operations it has been through.
        operations: u32,
    }

    impl Stack {
        fn new(needs: &[&'static str], takes: Duration) -> Self {
            let needs = needs.to_vec();
            Self { needs, takes, rolls_back: false, status: Status::Old, over_at: None, operations: 0 }
        }

        fn that_rolls_back(self) -> Self {
            Self { rolls_back: true, ..self }
        }

        /// Lets the time pass that has passed.
        fn settle(&mut self) {
            if self.over_at.is_none_or(|over_at| over_at > Instant::now()) {
                return;
            }
            self.over_at = None;
            self.status = if self.rolls_back { Status::RolledBack } else { Status::Updated };
        }
    }

    type Stacks = BTreeMap<&'static str, Stack>;

    /// Random enough for a test, and the same on every machine: Steele, Lea and Flood's split-mix.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % sides
        }
    }

    struct Cloud {
        stacks: Stacks,
        /// What makes calls fail and looks stale; none for a cloud that behaves.
        mischief: Option<Dice>,
        last_seen: Option<Stacks>,
        /// Two updates of one stack at once, or one before what it needs, would be a bug that ends
        /// in the right state.
        broken_rules: Vec<String>,
    }

    impl Cloud {
        fn of<const COUNT: usize>(stacks: [(&'static str, Stack); COUNT]) -> Self {
            Self { stacks: stacks.into(), mischief: None, last_seen: None, broken_rules: Vec::new() }
        }

        fn one_in(&mut self, sides: u64) -> bool {
            self.mischief.as_mut().is_some_and(|dice| dice.roll(sides) == 0)
        }

        fn throttle(&mut self) -> Result<(), ModelFault> {
            if self.one_in(6) { Err(ModelFault::Throttled) } else { Ok(()) }
        }

        fn look(&mut self) -> Stacks {
            self.stacks.values_mut().for_each(Stack::settle);
            if self.one_in(4)
                && let Some(stale) = &self.last_seen
            {
                return stale.clone();
            }
            self.last_seen.insert(self.stacks.clone()).clone()
        }

        fn execute(&mut self, step: &Execute) {
            self.stacks.values_mut().for_each(Stack::settle);
            let stack = &self.stacks[step.stack];
            // A change set knows which operation it follows; an obsolete one does nothing.
            if stack.operations != step.after_operation {
                return;
            }
            let is_early = stack.needs.iter().any(|need| self.stacks[need].status != Status::Updated);
            if is_early || stack.status == Status::Updating {
                self.broken_rules.push(step.to_string());
            }
            assert!(stack.operations < 100, "this run has no end");
            let over_at = Instant::now() + stack.takes;
            self.stacks.entry(step.stack).and_modify(|stack| {
                stack.operations += 1;
                stack.status = Status::Updating;
                stack.over_at = Some(over_at);
            });
        }

        fn end_state(&self) -> Vec<(&'static str, Status, u32)> {
            self.stacks.iter().map(|(name, stack)| (*name, stack.status, stack.operations)).collect()
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    struct Execute {
        stack: &'static str,
        after_operation: u32,
    }

    impl fmt::Display for Execute {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "execute the change set of `{}` after operation {}", self.stack, self.after_operation)
        }
    }

    impl About for Execute {
        fn subject(&self) -> Subject {
            Subject { stack: Some(self.stack.to_owned()), resource: None }
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[serde(tag = "reason", rename_all = "snake_case")]
    enum Why {
        Updating { stack: &'static str },
        RolledBack { stack: &'static str },
    }

    impl fmt::Display for Why {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Updating { stack } => write!(formatter, "`{stack}` is updating"),
                Self::RolledBack { stack } => {
                    write!(formatter, "the update of `{stack}` was rolled back")
                }
            }
        }
    }

    impl About for Why {
        fn subject(&self) -> Subject {
            let (Self::Updating { stack } | Self::RolledBack { stack }) = self;
            Subject { stack: Some((*stack).to_owned()), resource: None }
        }
    }

    struct Deployment<'cloud> {
        cloud: &'cloud RefCell<Cloud>,
        /// How long a call is under way before it takes effect, and again before its answer is
        /// there.
        latency: Duration,
    }

    impl Operation for Deployment<'_> {
        type World = Stacks;
        type Step = Execute;
        type Reason = Why;
        type Fault = ModelFault;

        async fn observe(&self) -> Result<Stacks, ModelFault> {
            sleep(self.latency).await;
            self.cloud.borrow_mut().throttle()?;
            let seen = self.cloud.borrow_mut().look();
            sleep(self.latency).await;
            Ok(seen)
        }

        fn plan(&self, first: &Stacks, now: &Stacks) -> Plan<Execute, Why> {
            let with = |status: Status| now.iter().filter(move |(_, stack)| stack.status == status);
            let waiting = with(Status::Updating).map(|(stack, _)| Why::Updating { stack }).collect();
            let has_just_ended =
                |name: &str| (first[name].status, first[name].operations) != (now[name].status, now[name].operations);
            let causes: Vec<_> = with(Status::RolledBack)
                .filter(|(name, _)| has_just_ended(name))
                .map(|(stack, _)| Why::RolledBack { stack })
                .collect();
            if !causes.is_empty() {
                return Plan::Failed { causes, waiting };
            }
            if with(Status::Updated).count() == now.len() {
                return Plan::Converged;
            }
            let (ready, blocked): (Vec<_>, Vec<_>) = with(Status::Old)
                .chain(with(Status::RolledBack))
                .partition(|(_, stack)| stack.needs.iter().all(|need| now[need].status == Status::Updated));
            let steps = |stacks: Vec<(&&'static str, &Stack)>| {
                stacks
                    .into_iter()
                    .map(|(name, stack)| Execute { stack: name, after_operation: stack.operations })
                    .collect()
            };
            Plan::Going { now: steps(ready), waiting, then: steps(blocked) }
        }

        async fn apply(&self, step: &Execute) -> Result<(), ModelFault> {
            sleep(self.latency).await;
            self.cloud.borrow_mut().throttle()?;
            self.cloud.borrow_mut().execute(step);
            sleep(self.latency).await;
            // The answer of a call that took effect can get lost too.
            self.cloud.borrow_mut().throttle()
        }
    }

    async fn deploy(cloud: &RefCell<Cloud>) -> Outcome<Stacks, Execute, Why, ModelFault> {
        let deployment = Deployment { cloud, latency: Duration::from_millis(50) };
        drive(&deployment, Pace { patience: seconds(600), ..pace() }, pending(), |_| ()).await
    }

    fn is_failure_of<World>(outcome: &Outcome<World, Execute, Why, ModelFault>, name: &str) -> bool {
        matches!(outcome, Outcome::Failed { causes, .. }
            if matches!(&causes[..], [Cause::Seen(Why::RolledBack { stack })] if *stack == name))
    }

    /// A planner without the first observation, tried, executed a failing update 500 times.
    #[tokio::test(start_paused = true)]
    async fn a_failure_of_this_run_ends_it_once() {
        let cloud = RefCell::new(Cloud::of([("api", Stack::new(&[], seconds(30)).that_rolls_back())]));
        assert!(is_failure_of(&deploy(&cloud).await, "api"));
        assert_eq!(cloud.borrow().end_state(), [("api", Status::RolledBack, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_world_is_a_fair_start_for_the_next_run() {
        let cloud = RefCell::new(Cloud::of([("api", Stack::new(&[], seconds(30)).that_rolls_back())]));
        assert!(is_failure_of(&deploy(&cloud).await, "api"));
        cloud.borrow_mut().stacks.entry("api").and_modify(|stack| stack.rolls_back = false);
        assert!(matches!(deploy(&cloud).await, Outcome::Converged { .. }));
        assert_eq!(cloud.borrow().end_state(), [("api", Status::Updated, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_nothing_new_and_leaves_nothing_running() {
        let cloud = RefCell::new(Cloud::of([
            ("api", Stack::new(&["database"], seconds(5))),
            ("database", Stack::new(&[], seconds(60))),
            ("network", Stack::new(&[], seconds(10)).that_rolls_back()),
        ]));
        assert!(is_failure_of(&deploy(&cloud).await, "network"));
        assert_eq!(
            cloud.borrow().end_state(),
            [("api", Status::Old, 0), ("database", Status::Updated, 1), ("network", Status::RolledBack, 1)],
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_run_joins_the_wait_of_the_first() {
        let cloud = RefCell::new(Cloud::of([("api", Stack::new(&[], seconds(30)))]));
        let (one, other) = tokio::join!(deploy(&cloud), async {
            sleep(seconds(10)).await;
            deploy(&cloud).await
        });
        assert!(matches!((one, other), (Outcome::Converged { .. }, Outcome::Converged { .. })));
        assert_eq!(cloud.borrow().end_state(), [("api", Status::Updated, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_of_a_finished_operation_does_nothing() {
        let cloud = RefCell::new(environment());
        deploy(&cloud).await;
        let end = cloud.borrow().end_state();
        deploy(&cloud).await;
        assert_eq!(cloud.borrow().end_state(), end);
    }

    fn environment() -> Cloud {
        Cloud::of([
            ("api", Stack::new(&["database", "elk"], seconds(20))),
            ("database", Stack::new(&["network"], seconds(40))),
            ("elk", Stack::new(&["network"], seconds(90))),
            ("network", Stack::new(&[], seconds(5))),
        ])
    }

    /// One of as many shapes as there are seeds: stacks that need some of those before them.
    fn environment_of(seed: u64) -> Cloud {
        const NAMES: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];
        let mut dice = Dice(seed);
        let mut cloud = Cloud::of([]);
        for (position, name) in NAMES.into_iter().enumerate() {
            let needs: Vec<_> = NAMES[..position].iter().copied().filter(|_| dice.roll(3) == 0).collect();
            cloud.stacks.insert(name, Stack::new(&needs, seconds(dice.roll(40))));
        }
        cloud.mischief = Some(dice);
        cloud
    }

    /// Polls the future so many times and then drops it, unless it is done by then.
    async fn killed_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut left = polls;
        std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            future.as_mut().poll(context).map(Some)
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn killed_at_any_await_and_run_again_it_ends_like_an_undisturbed_run() {
        let undisturbed = RefCell::new(environment());
        deploy(&undisturbed).await;
        for polls in 0.. {
            let cloud = RefCell::new(environment());
            let was_killed = killed_after(polls, deploy(&cloud)).await.is_none();
            let outcome = deploy(&cloud).await;
            assert!(matches!(outcome, Outcome::Converged { .. }), "killed after {polls} polls: {outcome:?}");
            assert_eq!(cloud.borrow().end_state(), undisturbed.borrow().end_state(), "killed after {polls} polls");
            assert_eq!(cloud.borrow().broken_rules, [""; 0], "killed after {polls} polls");
            if !was_killed {
                assert!(polls > 100, "a run of {polls} polls is no test of being killed");
                return;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn killed_again_and_again_in_a_throttled_and_stale_cloud_it_ends_like_an_undisturbed_run() {
        for seed in 0..200 {
            let undisturbed = RefCell::new(Cloud { mischief: None, ..environment_of(seed) });
            deploy(&undisturbed).await;
            let cloud = RefCell::new(environment_of(seed));
            let mut dice = Dice(!seed);
            for _ in 0..dice.roll(6) {
                let _ = killed_after(dice.roll(60), deploy(&cloud)).await;
            }
            let outcome = deploy(&cloud).await;
            assert!(matches!(outcome, Outcome::Converged { .. }), "seed {seed}: {outcome:?}");
            assert_eq!(cloud.borrow().end_state(), undisturbed.borrow().end_state(), "seed {seed}");
            assert_eq!(cloud.borrow().broken_rules, [""; 0], "seed {seed}");
        }
    }
}
