//! What is stuck, and what has become of it. Pure, from what was seen.

use serde::Serialize;

use super::{Act, Chosen, Stranded};
use crate::deploy::{Phase, StackStatus, World};

/// What is stuck in an environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The environment.
    pub environment: String,
    /// The stacks that are stuck.
    pub stranded: Vec<Stranded>,
}

/// What was done about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovery {
    /// The environment.
    pub environment: String,
    /// The stacks that are free.
    pub freed: Vec<Freed>,
    /// Those that are still stuck.
    pub stranded: Vec<Stranded>,
}

/// A stack that is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// The stack.
    pub stack: String,
    /// Its status now; nothing where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StackStatus>,
    /// What was done.
    #[serde(flatten)]
    pub act: Act,
    /// What to do next, a sentence each.
    pub next: Vec<String>,
}

/// Says what has become of the stacks that a way was chosen for.
pub fn freed(environment: &str, chosen: &[Chosen], now: &World) -> Vec<Freed> {
    let one = |chosen: &Chosen| {
        let live = now.stacks.get(&chosen.stack).filter(|live| live.status.phase() != Phase::Gone);
        Freed {
            stack: chosen.stack.clone(),
            status: live.map(|live| live.status.clone()),
            next: next(environment, chosen),
            act: chosen.act.clone(),
        }
    };
    chosen.iter().map(one).collect()
}

fn next(environment: &str, chosen: &Chosen) -> Vec<String> {
    let stack = &chosen.stack;
    match &chosen.act {
        Act::Await => Vec::new(),
        Act::ContinueRollback { skip } if !skip.is_empty() => vec![
            format!(
                "`greenroom drift {environment} {stack}` shows in what {} and the stack differ now",
                skip.join(", ")
            ),
            format!("`greenroom deploy {environment} {stack} --retry` only after that"),
        ],
        Act::ContinueRollback { .. } | Act::RollBack => {
            vec![format!("mend the cause, and `greenroom deploy {environment} {stack} --retry` tries the change again")]
        }
        Act::Delete { retain, .. } if !retain.is_empty() => {
            vec![format!("{} is nobody's now: delete it by hand, or take it into a stack again", retain.join(", "))]
        }
        Act::Delete { .. } | Act::EmptyAndDelete { .. } => {
            vec![format!("`greenroom deploy {environment} {stack}` creates it anew, if it is wanted")]
        }
    }
}
