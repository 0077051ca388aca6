//! What goes, or went, with an environment. Pure, from what was seen.

use serde::Serialize;

use super::{Doomed, World};
use crate::deploy::changes::{Verdict, loss};
use crate::deploy::plan::stray_name;
use crate::deploy::{LiveStack, Phase};

/// What goes, or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Demolition {
    /// The environment.
    pub environment: String,
    /// Whether it is done.
    pub is_done: bool,
    /// Its stacks, in the order in which they go.
    pub stacks: Vec<StackDemolition>,
    /// The snapshots that were made for it as a clone, each with its account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<String>,
}

impl Demolition {
    /// Whether there is nothing that could go.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.snapshots.is_empty()
    }
}

/// What goes with one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackDemolition {
    /// The stack.
    pub stack: String,
    /// How many resources it has.
    pub resources: usize,
    /// What holds data, and what becomes of it.
    pub data: Vec<DataLoss>,
}

/// What becomes of a resource that holds data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataLoss {
    /// The logical id.
    pub resource: String,
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    /// Its type.
    pub kind: String,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// Says what goes, from a look before.
pub fn demolition(doomed: &Doomed, before: &World, is_done: bool) -> Demolition {
    let is_there = |live: &&LiveStack| live.status.phase() != Phase::Gone;
    let strays = before.strays.iter().map(|stray| stack(&stray_name(stray), &stray.stack));
    let named = doomed.stacks.iter().filter_map(|wanted| {
        let live = before.stacks.get(&wanted.name).filter(is_there)?;
        Some(stack(&wanted.name, live))
    });
    Demolition {
        environment: doomed.environment.clone(),
        is_done,
        stacks: strays.chain(named).collect(),
        snapshots: Vec::new(),
    }
}

fn stack(name: &str, live: &LiveStack) -> StackDemolition {
    let data = live.resources.iter().filter_map(|resource| {
        Some(DataLoss {
            resource: resource.logical_id.clone(),
            physical_id: resource.physical_id.clone(),
            kind: resource.kind.clone(),
            verdict: loss(resource)?,
        })
    });
    StackDemolition {
        stack: name.to_owned(),
        resources: live.resources.iter().filter(|resource| !resource.is_gone()).count(),
        data: data.collect(),
    }
}
