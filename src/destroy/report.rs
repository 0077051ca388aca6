//! What goes, or went, with an environment. Pure, from what was seen.

use serde::Serialize;

use super::{Doomed, World};
use crate::deploy::changes::{Fate, Verdict, loss};
use crate::deploy::plan::stray_name;
use crate::deploy::world::{Contents, LiveResource};
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
    /// What was in the way and was left behind, because it was named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehind>,
}

/// A resource that is in nobody's stack any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftBehind {
    /// The logical id that it had.
    pub resource: String,
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    /// Its type.
    pub kind: String,
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
    /// What is in it, where it is a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
    /// Its storage, in GiB, where its template says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_gib: Option<u64>,
    /// Whether it keeps its stack from being deleted as long as it is not empty.
    pub is_in_the_way: bool,
}

/// Says what goes, from a look before; or what went, from another afterwards.
pub fn demolition(doomed: &Doomed, before: &World, after: Option<&World>) -> Demolition {
    let is_there = |live: &&LiveStack| live.status.phase() != Phase::Gone;
    let strays = before.strays.iter().map(|stray| stack(doomed, before, &stray_name(stray), &stray.stack, None));
    let named = doomed.stacks.iter().filter_map(|wanted| {
        let live = before.stacks.get(&wanted.name).filter(is_there)?;
        let after = after.and_then(|after| after.stacks.get(&wanted.name));
        Some(stack(doomed, before, &wanted.name, live, after))
    });
    Demolition {
        environment: doomed.environment.clone(),
        is_done: after.is_some(),
        stacks: strays.chain(named).collect(),
        snapshots: Vec::new(),
    }
}

fn stack(doomed: &Doomed, before: &World, name: &str, live: &LiveStack, after: Option<&LiveStack>) -> StackDemolition {
    let left_behind = after.map(|after| left_behind(doomed, name, after)).unwrap_or_default();
    let data = live.resources.iter().filter_map(|resource| {
        let mut verdict = loss(resource)?;
        if left_behind.iter().any(|left| left.resource == resource.logical_id) {
            verdict.fate = Fate::Kept;
        }
        let contents = resource.physical_id.as_ref().and_then(|bucket| before.contents.get(bucket)).cloned();
        let is_full = contents.as_ref().is_some_and(|contents| !contents.is_empty());
        Some(DataLoss {
            resource: resource.logical_id.clone(),
            physical_id: resource.physical_id.clone(),
            kind: resource.kind.clone(),
            contents,
            storage_gib: resource.storage_gib,
            is_in_the_way: is_full && verdict.loses_data() && !doomed.may_empty(name, resource),
            verdict,
        })
    });
    StackDemolition {
        stack: name.to_owned(),
        resources: live.resources.iter().filter(|resource| !resource.is_gone()).count(),
        data: data.collect(),
        left_behind,
    }
}

/// A stack that is gone shows the resources that were in its way at last.
fn left_behind(doomed: &Doomed, name: &str, after: &LiveStack) -> Vec<LeftBehind> {
    let is_left = |resource: &&LiveResource| {
        resource.status == "DELETE_FAILED" && doomed.retains.contains(&format!("{name}/{}", resource.logical_id))
    };
    let left = after.resources.iter().filter(|_| after.status.phase() == Phase::Gone).filter(is_left);
    left.map(|resource| LeftBehind {
        resource: resource.logical_id.clone(),
        physical_id: resource.physical_id.clone(),
        kind: resource.kind.clone(),
    })
    .collect()
}
