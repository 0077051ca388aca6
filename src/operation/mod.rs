//! The one idea: observe the cloud, plan everything that is left, do what may be done now, look
//! again.
//!
//! Every command that changes something is an [`Operation`]: a goal, and three verbs.
//! [`observe`](Operation::observe) reads the cloud and decides nothing; [`plan`](Operation::plan)
//! decides everything and touches nothing; [`apply`](Operation::apply) makes one call and neither
//! decides nor waits. [`drive()`] goes round these three until the plan says that the goal is
//! reached, or why it cannot be.
//!
//! From this follows what greenroom promises:
//!
//! - **It can be stopped anywhere and run again.** There is no state file, no journal, no list of
//!   things to undo. What has been done is read back from the cloud, so a second run starts where
//!   the first one was stopped, and a run of a reached goal does nothing.
//! - **Waiting is a verdict, not a sleep.** "Stack `api` is updating, 3 of 7 resources" is
//!   something seen, so it stands in the [`Plan`] as a reason, and whoever asks learns it. A second
//!   run waits for the same thing.
//! - **A failure ends the run that caused it and no other.** A stack that was rolled back is a
//!   failure now and a fair start tomorrow: one world, two verdicts. That is why `plan` is given
//!   the *first* observation of the run beside the present one. What had not ended in the first
//!   belongs to this run; if it has ended badly since, the plan is [`Plan::Failed`].
//! - **What was approved is what happens.** A planner asks an [`Approval`] whether it covers the
//!   change set that came up, and refuses with the exact differences when it does not.
//! - **Every wait ends.** The [`Pace`] says how often to look and how long to be patient. Patience
//!   is renewed whenever the plan says something that this run has not heard before, so a restore
//!   of four hours that counts its percents needs no timeout of four hours.
//!
//! Progress is a stream of [`Event`]s, told to whoever drives; the end is an [`Outcome`]. Nothing
//! here prints, reads a wall clock or knows a service: that a "cloud" is AWS is the business of the
//! operations, each of which keeps its verbs in four files (`mod.rs`, `observe.rs`, `plan.rs`,
//! `apply.rs`). One operation is made from another by calling its `plan` and wrapping the result
//! ([`Plan::map`]); there is no registry and no framework.

mod approval;
mod drive;
mod event;
mod pace;

use std::fmt::{self, Debug, Display};

use serde::Serialize;

pub use approval::{Approval, Coverage, Effect, Excess, ResourceChange, StackChange};
pub use drive::drive;
pub use event::{EVENT_SCHEMA, Event, Statement, Subject};
pub use pace::Pace;

/// A goal for a part of the cloud, and the three verbs that lead to it.
///
/// A goal is a fact ("every node runs the wanted version"), not an act ("replace the nodes"): only
/// facts can be found to hold already.
pub trait Operation {
    /// All that was seen in one look: plain data.
    type World: Clone;
    /// One thing to do. It names exactly what it changes, and doing it twice does no more than
    /// doing it once.
    ///
    /// Its `Display` is an imperative, for it also stands behind "could not": ``execute change set
    /// `r-3f9a` of stack `api` ``.
    type Step: About;
    /// Why the plan waits, refuses or has failed: an enum with the numbers inside.
    ///
    /// A reason holds what was *seen*. It holds no "for five minutes", because a reason that
    /// changes by itself would renew the patience of [`drive()`] for ever; how long a wait has lasted
    /// is told by the events.
    type Reason: About;
    /// What a call to the cloud can end with instead of an answer.
    type Fault: Fault;

    /// Looks at the cloud. Only reads, and may be dropped at any await.
    fn observe(&self) -> impl Future<Output = Result<Self::World, Self::Fault>>;

    /// Says all that is left to do, given how the world was when this run began and how it is now.
    ///
    /// Pure: the same two worlds always give the same plan, in the same order.
    fn plan(&self, first: &Self::World, now: &Self::World) -> Plan<Self::Step, Self::Reason>;

    /// Says what is left to clear away once the run is refused or has failed: what was only prepared, and will not be used.
    /// Converged where nothing is.
    ///
    /// Pure, like [`plan`](Self::plan), and like it read from the world alone: it holds for what a run that was killed has left,
    /// too.
    fn withdraw(&self, _first: &Self::World, _now: &Self::World) -> Plan<Self::Step, Self::Reason> {
        Plan::Converged
    }

    /// Does one step: a single call, or an idempotent handful. Decides nothing and waits for
    /// nothing.
    fn apply(&self, step: &Self::Step) -> impl Future<Output = Result<(), Self::Fault>>;
}

/// A step or a reason: a fact that can be read by people (`Display`) and by programs (`Serialize`),
/// and that is about something.
///
/// Enums serialise with their kind inside, `#[serde(tag = "reason", rename_all = "snake_case")]`
/// (for steps `tag = "step"`), so that all of them read alike in the event stream.
pub trait About: Clone + PartialEq + Debug + Display + Serialize {
    /// Names the stack and the resource this is about. Reasons with the same subject are one wait
    /// that goes on.
    fn subject(&self) -> Subject;

    /// Whether it goes on in the cloud when this run is stopped. What is merely waited for does not.
    fn is_running(&self) -> bool {
        false
    }
}

/// The error of a call, which knows whether asking again later may help.
pub trait Fault: std::error::Error + 'static {
    /// Says whether the cloud was only out of reach for the moment (throttled, unreachable), beyond
    /// the client's own retries.
    ///
    /// Such a fault is waited out. Any other ends the run.
    fn is_momentary(&self) -> bool;
}

/// Everything that is left, as one value: "A is updating *and* B may start" needs no order of
/// questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "plan", rename_all = "snake_case")]
pub enum Plan<Step, Reason> {
    /// The goal is reached.
    Converged,
    /// There is something to do or to wait for.
    Going {
        /// What may be done at once: independent of each other, each at most once.
        now: Vec<Step>,
        /// What is waited for.
        waiting: Vec<Reason>,
        /// All that follows, as far as it is known, in order.
        then: Vec<Step>,
    },
    /// There is no safe step, and waiting will not provide one.
    Refused {
        /// Why; never empty.
        because: Vec<Reason>,
        /// What still runs in the cloud because of this operation, and will end by itself.
        waiting: Vec<Reason>,
    },
    /// Something that belongs to this run ended badly.
    Failed {
        /// What; never empty.
        causes: Vec<Reason>,
        /// What still runs in the cloud because of this operation, and will end by itself.
        waiting: Vec<Reason>,
    },
}

impl<Step, Reason> Plan<Step, Reason> {
    /// The steps that may be done at once; none unless the plan is going.
    pub fn now(&self) -> &[Step] {
        match self {
            Self::Going { now, .. } => now,
            Self::Converged | Self::Refused { .. } | Self::Failed { .. } => &[],
        }
    }

    /// What is waited for.
    pub fn waiting(&self) -> &[Reason] {
        match self {
            Self::Converged => &[],
            Self::Going { waiting, .. } | Self::Refused { waiting, .. } | Self::Failed { waiting, .. } => waiting,
        }
    }

    /// Wraps every step and every reason: how one operation speaks through another's plan.
    #[must_use]
    pub fn map<OtherStep, OtherReason>(
        self,
        step: impl Fn(Step) -> OtherStep,
        reason: impl Fn(Reason) -> OtherReason,
    ) -> Plan<OtherStep, OtherReason> {
        let steps = |steps: Vec<Step>| steps.into_iter().map(&step).collect();
        let reasons = |reasons: Vec<Reason>| reasons.into_iter().map(&reason).collect();
        match self {
            Self::Converged => Plan::Converged,
            Self::Going { now, waiting, then } => {
                Plan::Going { now: steps(now), waiting: reasons(waiting), then: steps(then) }
            }
            Self::Refused { because, waiting } => {
                Plan::Refused { because: reasons(because), waiting: reasons(waiting) }
            }
            Self::Failed { causes, waiting } => Plan::Failed { causes: reasons(causes), waiting: reasons(waiting) },
        }
    }
}

impl<Step: PartialEq, Reason> Plan<Step, Reason> {
    /// Finds what makes the plan impossible to follow. Always a bug of the planner, and worth a
    /// `check` in its tests.
    pub fn flaw(&self) -> Option<Flaw> {
        match self {
            Self::Going { now, waiting, .. } if now.is_empty() && waiting.is_empty() => Some(Flaw::Aimless),
            Self::Going { now, .. } if has_repetition(now) => Some(Flaw::Repeated),
            Self::Refused { because, .. } if because.is_empty() => Some(Flaw::Unexplained),
            Self::Failed { causes, .. } if causes.is_empty() => Some(Flaw::Unexplained),
            Self::Converged | Self::Going { .. } | Self::Refused { .. } | Self::Failed { .. } => None,
        }
    }
}

fn has_repetition<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(position, item)| items[..position].contains(item))
}

/// What is wrong with a plan that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// Going, but with nothing to do and nothing to wait for: following it would spin.
    #[error("the plan is not done, yet has nothing to do and nothing to wait for; this is a bug in greenroom")]
    Aimless,
    /// The same step twice at once.
    #[error("the plan holds the same step twice; this is a bug in greenroom")]
    Repeated,
    /// Refused or failed without saying why.
    #[error("the plan stops without saying why; this is a bug in greenroom")]
    Unexplained,
}

/// How a run ended.
///
/// Every end but the first says what was still waited for: that goes on in the cloud, and the next
/// run will see it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<World, Step, Reason, Fault> {
    /// The goal is reached.
    Converged {
        /// How the world was at the first look.
        first: World,
        /// How it is now.
        now: World,
    },
    /// The planner found no safe step.
    Refused {
        /// Why.
        because: Vec<Reason>,
        /// What was still waited for.
        waiting: Vec<Hold<Reason>>,
    },
    /// A call went wrong for good, or what this run was responsible for ended badly.
    Failed {
        /// Everything that went wrong, in the order of the plan; never empty.
        causes: Vec<Cause<Step, Reason, Fault>>,
        /// What was still waited for.
        waiting: Vec<Hold<Reason>>,
    },
    /// Patience ran out. Nothing was undone; a further run goes on from here.
    Unfinished {
        /// What was still waited for.
        waiting: Vec<Hold<Reason>>,
    },
    /// The caller asked to stop. No step is in flight; a further run goes on from here.
    Interrupted {
        /// What was still waited for.
        waiting: Vec<Hold<Reason>>,
    },
}

/// One thing that made a run fail.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Cause<Step, Reason, Fault> {
    /// The planner saw it in the world.
    #[error("{0}")]
    Seen(Reason),
    /// The world could not be seen.
    #[error("the cloud could not be observed")]
    Observe {
        /// What the call ended with.
        #[source]
        fault: Fault,
    },
    /// A step could not be done.
    #[error("could not {step}")]
    Apply {
        /// The step.
        step: Step,
        /// What the call ended with.
        #[source]
        fault: Fault,
    },
    /// A step was done again and again, and the plan still asks for it.
    #[error(
        "could not {step}: it was done {times} times, each call was answered well, and the cloud shows nothing of it"
    )]
    Fruitless {
        /// The step.
        step: Step,
        /// How often it was done.
        times: usize,
    },
    /// The planner made a plan that cannot be followed.
    #[error(transparent)]
    Flaw(Flaw),
}

/// Something that is waited for: the planner's own reason, or the one that only the driver can
/// know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Hold<Reason> {
    /// The plan waits for it.
    Planned(Reason),
    /// A call did not get through for the moment.
    CannotReach(CannotReach),
}

/// A call that did not get through, and is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename = "cannot_reach")]
pub struct CannotReach {
    /// What the call was for; nothing in particular for a look at the whole world.
    #[serde(skip)]
    pub subject: Subject,
    /// The chain of causes, in words.
    pub cause: String,
}

impl Display for CannotReach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "out of reach for the moment: {}", self.cause)
    }
}

impl<Reason: Display> Display for Hold<Reason> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned(reason) => Display::fmt(reason, formatter),
            Self::CannotReach(cannot_reach) => Display::fmt(cannot_reach, formatter),
        }
    }
}

impl<Reason: About> About for Hold<Reason> {
    fn subject(&self) -> Subject {
        match self {
            Self::Planned(reason) => reason.subject(),
            Self::CannotReach(cannot_reach) => cannot_reach.subject.clone(),
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Planned(reason) => reason.is_running(),
            // A call that did not get through may have begun something all the same.
            Self::CannotReach(_) => true,
        }
    }
}

/// The chain of causes as one line: a fault that is waited out is told, never printed by whoever
/// prints the final error.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type NumberPlan = Plan<u8, u8>;

    #[test]
    fn a_plan_that_neither_acts_nor_waits_is_flawed() {
        let plan = NumberPlan::Going { now: vec![], waiting: vec![], then: vec![1] };
        assert_eq!(plan.flaw(), Some(Flaw::Aimless));
    }

    #[test]
    fn a_plan_with_the_same_step_twice_at_once_is_flawed() {
        let plan = NumberPlan::Going { now: vec![1, 2, 1], waiting: vec![], then: vec![] };
        assert_eq!(plan.flaw(), Some(Flaw::Repeated));
    }

    #[test]
    fn a_plan_that_stops_must_say_why() {
        let refused = NumberPlan::Refused { because: vec![], waiting: vec![1] };
        let failed = NumberPlan::Failed { causes: vec![], waiting: vec![1] };
        assert_eq!([refused.flaw(), failed.flaw()], [Some(Flaw::Unexplained); 2]);
    }

    #[test]
    fn a_plan_that_acts_or_waits_or_ends_is_sound() {
        for plan in [
            NumberPlan::Converged,
            NumberPlan::Going { now: vec![1], waiting: vec![], then: vec![1] },
            NumberPlan::Going { now: vec![], waiting: vec![1], then: vec![] },
            NumberPlan::Refused { because: vec![1], waiting: vec![] },
            NumberPlan::Failed { causes: vec![1], waiting: vec![] },
        ] {
            assert_eq!(plan.flaw(), None, "{plan:?}");
        }
    }

    #[test]
    fn a_plan_is_wrapped_in_every_part() {
        let step = |step| format!("step {step}");
        let reason = |reason| format!("reason {reason}");
        let going = NumberPlan::Going { now: vec![1], waiting: vec![2], then: vec![3] };
        assert_eq!(
            going.map(step, reason),
            Plan::Going {
                now: vec!["step 1".to_owned()],
                waiting: vec!["reason 2".to_owned()],
                then: vec!["step 3".to_owned()],
            },
        );
        let refused = NumberPlan::Refused { because: vec![1], waiting: vec![2] };
        assert_eq!(
            refused.map(step, reason),
            Plan::Refused { because: vec!["reason 1".to_owned()], waiting: vec!["reason 2".to_owned()] },
        );
    }

    #[test]
    fn a_cause_says_what_could_not_be_done_and_leaves_the_why_to_its_source() {
        let fault = fmt::Error;
        let cause = Cause::<_, u8, _>::Apply { step: "execute change set `r-3f9a`", fault };
        assert_eq!(cause.to_string(), "could not execute change set `r-3f9a`");
        assert_eq!(chain(&cause), format!("could not execute change set `r-3f9a`: {fault}"));
    }

    #[test]
    fn a_hold_of_the_driver_serialises_like_a_reason_of_a_planner() {
        let cannot_reach = CannotReach { subject: Subject::default(), cause: "rate exceeded".to_owned() };
        assert_eq!(
            serde_json::to_value(Hold::<u8>::CannotReach(cannot_reach)).ok(),
            Some(json!({"reason": "cannot_reach", "cause": "rate exceeded"})),
        );
    }
}
