//! What a run tells while it goes on: one schema for all operations, for people and programs alike.
//!
//! Only changes are told, each once. How a run ended is not an event: it is the
//! [`Outcome`](super::Outcome), and the report made from it.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{About, Fault, Hold, chain};

/// The version of the schema of [`Event`], told by the first event of every run. A field or a
/// variant more leaves it as it is; a change of what is there raises it.
pub const EVENT_SCHEMA: u32 = 1;

/// One piece of news. In JSON the field `event` says which.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins. Always the first event.
    Began {
        /// [`EVENT_SCHEMA`].
        schema: u32,
    },
    /// The steps that are left have changed.
    Planned {
        /// What is done at once.
        now: Vec<Statement>,
        /// All that follows, as far as it is known.
        then: Vec<Statement>,
    },
    /// Something is waited for, which is new or says something new.
    Waiting {
        /// What is waited for.
        #[serde(flatten)]
        reason: Statement,
        /// How long its subject has been waited for. In JSON `lasted_seconds`, a number.
        #[serde(rename = "lasted_seconds", serialize_with = "seconds")]
        lasted: Duration,
    },
    /// Something is no longer waited for.
    Cleared {
        /// What was last said about it.
        #[serde(flatten)]
        reason: Statement,
        /// How long its subject was waited for. In JSON `lasted_seconds`, a number.
        #[serde(rename = "lasted_seconds", serialize_with = "seconds")]
        lasted: Duration,
    },
    /// A step begins.
    Started {
        /// The step.
        #[serde(flatten)]
        step: Statement,
    },
    /// A step has ended.
    Ended {
        /// The step.
        #[serde(flatten)]
        step: Statement,
        /// The chain of causes when it could not be done.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Nothing more will be started, and what runs is followed to its end: there is no safe step
    /// any more.
    Refused {
        /// Why.
        because: Vec<Statement>,
    },
    /// Nothing more will be started, and what runs is followed to its end: something ended badly.
    Failed {
        /// What.
        causes: Vec<Statement>,
    },
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// What a step or a reason is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Subject {
    /// The stack, by the name it has in its environment; none when it is about more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The resource in it; none when it is about the whole stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// A step or a reason as it is told: its subject, its sentence, and its data for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// The sentence for people.
    pub sentence: String,
    /// The same, as its type serialises.
    pub data: Value,
}

impl Statement {
    /// States a step or a reason.
    pub fn of(fact: &impl About) -> Self {
        Self {
            subject: fact.subject(),
            sentence: fact.to_string(),
            // Only a map whose keys are no strings gets here: the sentence still stands, and the
            // test of that type will show it.
            data: serde_json::to_value(fact).unwrap_or_else(|error| json!({"unserialisable": error.to_string()})),
        }
    }

    /// States several, in order.
    pub fn of_all<T: About>(facts: &[T]) -> Vec<Self> {
        facts.iter().map(Self::of).collect()
    }
}

/// Tells what has changed to whoever listens, and remembers what was told.
pub(super) struct Teller<Step, Reason, Report> {
    report: Report,
    now: Vec<Step>,
    then: Vec<Step>,
    waits: Waits<Reason>,
}

impl<Step: About, Reason: About, Report: FnMut(Event)> Teller<Step, Reason, Report> {
    pub(super) fn begin(mut report: Report) -> Self {
        report(Event::Began { schema: EVENT_SCHEMA });
        Self { report, now: Vec::new(), then: Vec::new(), waits: Waits::new() }
    }

    pub(super) fn steps(&mut self, now: &[Step], then: &[Step]) {
        if (now, then) == (&self.now, &self.then) {
            return;
        }
        self.now = now.to_vec();
        self.then = then.to_vec();
        self.tell(Event::Planned { now: Statement::of_all(now), then: Statement::of_all(then) });
    }

    pub(super) fn waiting(&mut self, holds: Vec<Hold<Reason>>) {
        for event in self.waits.update(holds) {
            self.tell(event);
        }
    }

    pub(super) fn started(&mut self, step: &Step) {
        self.tell(Event::Started { step: Statement::of(step) });
    }

    pub(super) fn ended(&mut self, step: &Step, fault: Option<&impl Fault>) {
        let error = fault.map(|fault| chain(fault));
        self.tell(Event::Ended { step: Statement::of(step), error });
    }

    pub(super) fn refused(&mut self, because: &[Reason]) {
        self.tell(Event::Refused { because: Statement::of_all(because) });
    }

    pub(super) fn failed(&mut self, causes: &[Reason]) {
        self.tell(Event::Failed { causes: Statement::of_all(causes) });
    }

    fn tell(&mut self, event: Event) {
        (self.report)(event);
    }
}

/// What is waited for at present, each since when; turns the next list into what has changed.
#[derive(Debug)]
struct Waits<Reason>(Vec<Wait<Reason>>);

#[derive(Debug)]
struct Wait<Reason> {
    hold: Hold<Reason>,
    since: Instant,
}

impl<Reason: About> Waits<Reason> {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes the list of what is waited for now, and tells what has changed since the last one.
    ///
    /// A hold that says something new about the same subject is the same wait, going on.
    fn update(&mut self, holds: Vec<Hold<Reason>>) -> Vec<Event> {
        let now = Instant::now();
        let (mut same, mut gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|wait| holds.contains(&wait.hold));
        let mut events = Vec::new();
        for hold in holds {
            if let Some(wait) = take(&mut same, |wait| wait.hold == hold) {
                self.0.push(wait);
                continue;
            }
            let subject = hold.subject();
            let since = take(&mut gone, |wait| wait.hold.subject() == subject).map_or(now, |wait| wait.since);
            events.push(Event::Waiting { reason: Statement::of(&hold), lasted: now - since });
            self.0.push(Wait { hold, since });
        }
        events.extend(
            gone.iter().map(|wait| Event::Cleared { reason: Statement::of(&wait.hold), lasted: now - wait.since }),
        );
        events
    }
}

fn take<T>(items: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Option<T> {
    items.iter().position(is_it).map(|position| items.remove(position))
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use tokio::time::advance;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[serde(tag = "reason", rename_all = "snake_case")]
    enum Reason {
        Restoring { percent: u8 },
        StackBusy { stack: &'static str },
    }

    impl fmt::Display for Reason {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Restoring { percent } => write!(formatter, "restoring, {percent} %"),
                Self::StackBusy { stack } => write!(formatter, "`{stack}` is updating"),
            }
        }
    }

    impl About for Reason {
        fn subject(&self) -> Subject {
            let (stack, resource) = match self {
                Self::Restoring { .. } => ("database", Some("Database")),
                Self::StackBusy { stack } => (*stack, None),
            };
            Subject { stack: Some(stack.to_owned()), resource: resource.map(ToOwned::to_owned) }
        }
    }

    fn holds(reasons: impl IntoIterator<Item = Reason>) -> Vec<Hold<Reason>> {
        reasons.into_iter().map(Hold::Planned).collect()
    }

    fn waiting(reason: &Reason, lasted: u64) -> Event {
        Event::Waiting { reason: Statement::of(reason), lasted: Duration::from_secs(lasted) }
    }

    #[tokio::test(start_paused = true)]
    async fn tells_only_what_changed_and_for_how_long() {
        let mut waits = Waits::new();
        let api = Reason::StackBusy { stack: "api" };
        let [early, late] = [43, 44].map(|percent| Reason::Restoring { percent });

        let began = waits.update(holds([early.clone(), api.clone()]));
        assert_eq!(began, [waiting(&early, 0), waiting(&api, 0)]);

        advance(Duration::from_secs(5)).await;
        assert_eq!(waits.update(holds([early, api.clone()])), []);

        advance(Duration::from_secs(5)).await;
        assert_eq!(waits.update(holds([late.clone(), api.clone()])), [waiting(&late, 10)]);

        let cleared = waits.update(holds([late]));
        assert_eq!(cleared, [Event::Cleared { reason: Statement::of(&api), lasted: Duration::from_secs(10) }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_reason_does_not_take_the_place_of_an_unchanged_one_with_the_same_subject() {
        let mut waits = Waits::new();
        let [first, second, third] = [1, 2, 3].map(|percent| Reason::Restoring { percent });
        let _ = waits.update(holds([first.clone(), second.clone()]));
        assert_eq!(waits.update(holds([third.clone(), first, second])), [waiting(&third, 0)]);
    }

    #[test]
    fn every_event_keeps_its_shape_in_json() {
        let reason = Statement::of(&Reason::Restoring { percent: 43 });
        let step = Statement::of(&Reason::StackBusy { stack: "api" });
        let lasted = Duration::from_millis(1_500);
        let lines: Vec<String> = [
            Event::Began { schema: EVENT_SCHEMA },
            Event::Planned { now: vec![step.clone()], then: vec![] },
            Event::Waiting { reason: reason.clone(), lasted },
            Event::Cleared { reason: reason.clone(), lasted },
            Event::Started { step: step.clone() },
            Event::Ended { step: step.clone(), error: None },
            Event::Ended { step, error: Some("access denied".to_owned()) },
            Event::Refused { because: vec![reason.clone()] },
            Event::Failed { causes: vec![reason] },
        ]
        .iter()
        .map(|event| serde_json::to_string(event).unwrap_or_else(|error| error.to_string()))
        .collect();

        let step = r#""stack":"api","sentence":"`api` is updating","data":{"reason":"stack_busy","stack":"api"}"#;
        let reason = r#""stack":"database","resource":"Database","sentence":"restoring, 43 %","data":{"reason":"restoring","percent":43}"#;
        assert_eq!(
            lines,
            [
                r#"{"event":"began","schema":1}"#.to_owned(),
                format!(r#"{{"event":"planned","now":[{{{step}}}],"then":[]}}"#),
                format!(r#"{{"event":"waiting",{reason},"lasted_seconds":1.5}}"#),
                format!(r#"{{"event":"cleared",{reason},"lasted_seconds":1.5}}"#),
                format!(r#"{{"event":"started",{step}}}"#),
                format!(r#"{{"event":"ended",{step}}}"#),
                format!(r#"{{"event":"ended",{step},"error":"access denied"}}"#),
                format!(r#"{{"event":"refused","because":[{{{reason}}}]}}"#),
                format!(r#"{{"event":"failed","causes":[{{{reason}}}]}}"#),
            ],
        );
    }
}
