//! Looks at detections: how far they are, and what they found. Reads, and decides nothing.
//!
//! What has ended is not asked for again. The id of a detection is all that tells this run's from another's, and CloudFormation
//! gives it once: it is remembered for as long as the run lasts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::{Client, types};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::{Asked, Comparison, Detection, Difference, NOT_THERE, SeenResource, SeenStack, World, is_older};
use crate::aws::{Clients, Fault, Page, pages};
use crate::deploy::observe::{Observer, target};
use crate::deploy::world::{LiveResource, LiveStack, Phase, Wish};

/// Calls about single stacks that are under way at the same time. Accounts share their limits with everybody in them.
const CALLS_AT_ONCE: usize = 4;

/// Of how many detections that still run a look asks, in turn. Once one has ended, the others are asked for as well: what began
/// together ends together, more or less, and until then most answers say nothing.
const RUNNING_A_LOOK: usize = 3;

/// Looks, and remembers the detections of this run.
#[derive(Debug)]
pub struct Detector<'a> {
    clients: &'a Clients,
    asked: &'a [Asked],
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The stacks as they were found, once they were looked for.
    live: Option<BTreeMap<String, LiveStack>>,
    detections: BTreeMap<String, Begun>,
    /// What the stacks have, once that was read.
    listed: BTreeMap<String, Vec<LiveResource>>,
    looks: u64,
}

#[derive(Clone, Debug)]
enum Begun {
    Running {
        id: String,
        /// The look that asked last.
        asked: u64,
    },
    Over(SeenStack),
}

impl<'a> Detector<'a> {
    /// Has asked for nothing yet.
    pub fn new(clients: &'a Clients, asked: &'a [Asked]) -> Self {
        Self { clients, asked, memory: Mutex::default() }
    }

    /// Looks at every stack that is asked about.
    ///
    /// # Errors
    /// What keeps all of them from being looked at. What one stack alone cannot tell is told of that stack.
    pub async fn observe(&self) -> Result<World, Fault> {
        self.find().await?;
        let (mut wanted, mut silent) = self.turn();
        let mut stacks = BTreeMap::new();
        while !wanted.is_empty() {
            let looks = stream::iter(wanted).map(|asked| async move {
                let seen = self.look(asked).await?;
                Ok::<_, Fault>((asked.label.clone(), seen))
            });
            let seen: BTreeMap<String, SeenStack> = looks.buffered(CALLS_AT_ONCE).try_collect().await?;
            let has_ended = seen.values().any(|seen| matches!(seen.detection, Detection::Ended { .. }));
            stacks.extend(seen);
            wanted = if has_ended { std::mem::take(&mut silent) } else { Vec::new() };
        }
        stacks.extend(silent.into_iter().map(|asked| (asked.label.clone(), self.as_running(asked))));
        Ok(World { stacks })
    }

    /// Whom this look asks about, and whom it does not.
    fn turn(&self) -> (Vec<&'a Asked>, Vec<&'a Asked>) {
        let mut memory = self.memory();
        memory.looks += 1;
        let look = memory.looks;
        let mut running: Vec<(u64, &Asked)> = Vec::new();
        let mut others: Vec<&Asked> = Vec::new();
        for asked in self.asked {
            match memory.detections.get(&asked.label) {
                Some(Begun::Running { asked: last, .. }) => running.push((*last, asked)),
                _ => others.push(asked),
            }
        }
        running.sort_by_key(|(last, _)| *last);
        let silent = running.split_off(running.len().min(RUNNING_A_LOOK));
        for (_, asked) in &running {
            if let Some(Begun::Running { asked: last, .. }) = memory.detections.get_mut(&asked.label) {
                *last = look;
            }
        }
        others.extend(running.into_iter().map(|(_, asked)| asked));
        (others, silent.into_iter().map(|(_, asked)| asked).collect())
    }

    fn as_running(&self, asked: &Asked) -> SeenStack {
        let parameters = self.live(asked).map(|live| live.parameters).unwrap_or_default();
        SeenStack { detection: Detection::Running, parameters, ..SeenStack::default() }
    }

    /// Finds the stacks: one list of each account answers for all of them.
    async fn find(&self) -> Result<(), Fault> {
        if self.memory().live.is_some() {
            return Ok(());
        }
        let wish = |asked: &Asked| Wish {
            label: asked.label.clone(),
            stack_name: asked.stack_name.clone(),
            place: asked.place.clone(),
        };
        let wishes: Vec<Wish> = self.asked.iter().map(wish).collect();
        let found = Observer::new(self.clients).look_at(&wishes, |_, _| false).await?;
        self.memory().live = Some(found.stacks);
        Ok(())
    }

    async fn look(&self, asked: &Asked) -> Result<SeenStack, Fault> {
        let Some(live) = self.live(asked) else { return Ok(impossible(NOT_THERE)) };
        if live.status.phase() == Phase::Empty {
            return Ok(impossible("it was never created"));
        }
        let begun = self.memory().detections.get(&asked.label).cloned();
        let id = match begun {
            None => return Ok(SeenStack { parameters: live.parameters, ..SeenStack::default() }),
            Some(Begun::Over(seen)) => return Ok(seen),
            Some(Begun::Running { id, .. }) => id,
        };
        let seen = match self.result(asked, &live, &id).await {
            Ok(seen) => seen,
            Err(fault) if is_about_the_stack(&fault) => impossible(fault.to_string()),
            Err(fault) => return Err(fault),
        };
        if seen.detection != Detection::Running {
            self.memory().detections.insert(asked.label.clone(), Begun::Over(seen.clone()));
        }
        Ok(seen)
    }

    async fn result(&self, asked: &Asked, live: &LiveStack, id: &str) -> Result<SeenStack, Fault> {
        let client = self.client(asked).await;
        let told = client.describe_stack_drift_detection_status().stack_drift_detection_id(id).send().await?;
        let parameters = live.parameters.clone();
        let incomplete = match told.detection_status {
            Some(types::StackDriftDetectionStatus::DetectionComplete) => None,
            Some(types::StackDriftDetectionStatus::DetectionFailed) => {
                Some(told.detection_status_reason.unwrap_or_else(|| "CloudFormation gives no reason".to_owned()))
            }
            _ => {
                // There is nothing else to do meanwhile.
                self.listed(asked, live, &client).await?;
                return Ok(SeenStack { detection: Detection::Running, parameters, ..SeenStack::default() });
            }
        };
        let began = time(told.timestamp.as_ref());
        let drifts = pages(async |token| drifts_page(&client, &live.id, token).await, |_| false).await?;
        let listed = self.listed(asked, live, &client).await?;
        let resources = merged(drifts, &listed, began);
        Ok(SeenStack { detection: Detection::Ended { incomplete }, resources, parameters })
    }

    async fn listed(&self, asked: &Asked, live: &LiveStack, client: &Client) -> Result<Vec<LiveResource>, Fault> {
        if let Some(listed) = self.memory().listed.get(&asked.label) {
            return Ok(listed.clone());
        }
        let listed = pages(async |token| resources_page(client, &live.id, token).await, |_| false).await?;
        self.memory().listed.insert(asked.label.clone(), listed.clone());
        Ok(listed)
    }

    pub(super) fn asked(&self, label: &str) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.label == label)
    }

    pub(super) async fn client(&self, asked: &Asked) -> Client {
        self.clients.cloudformation(target(&asked.place)).await
    }

    /// By its ARN, where it was found: a new one of the same name is another.
    pub(super) fn id_of(&self, asked: &Asked) -> String {
        self.live(asked).map_or_else(|| asked.stack_name.clone(), |live| live.id)
    }

    pub(super) fn begun(&self, label: &str, id: String) {
        self.memory().detections.insert(label.to_owned(), Begun::Running { id, asked: 0 });
    }

    pub(super) fn impossible(&self, label: &str, because: String) {
        self.memory().detections.insert(label.to_owned(), Begun::Over(impossible(because)));
    }

    fn live(&self, asked: &Asked) -> Option<LiveStack> {
        let memory = self.memory();
        memory.live.as_ref()?.get(&asked.label).filter(|live| live.status.phase() != Phase::Gone).cloned()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Whoever panicked left entries that are each whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn impossible(because: impl Into<String>) -> SeenStack {
    SeenStack { detection: Detection::Impossible { because: because.into() }, ..SeenStack::default() }
}

/// Whether others may still be looked at, and asking again would not help.
pub(super) fn is_about_the_stack(fault: &Fault) -> bool {
    match fault {
        Fault::Missing { .. }
        | Fault::Exists { .. }
        | Fault::Overtaken { .. }
        | Fault::Denied { .. }
        | Fault::Barred { .. }
        | Fault::Invalid { .. }
        | Fault::Other { .. }
        | Fault::Endless { .. }
        | Fault::Incomplete { .. } => true,
        Fault::Throttled { .. } | Fault::Unreachable { .. } | Fault::Expired | Fault::NoCredentials { .. } => false,
    }
}

async fn drifts_page(
    client: &Client,
    id: &str,
    token: Option<String>,
) -> Result<Page<types::StackResourceDrift>, Fault> {
    let answer = client.describe_stack_resource_drifts().stack_name(id).set_next_token(token).send().await?;
    Ok(Page { items: answer.stack_resource_drifts.unwrap_or_default(), next: answer.next_token })
}

async fn resources_page(client: &Client, id: &str, token: Option<String>) -> Result<Page<LiveResource>, Fault> {
    let answer = client.list_stack_resources().stack_name(id).set_next_token(token).send().await?;
    let resource = |summary: types::StackResourceSummary| LiveResource {
        logical_id: summary.logical_resource_id.unwrap_or_default(),
        physical_id: summary.physical_resource_id,
        kind: summary.resource_type.unwrap_or_default(),
        status: summary.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        ..LiveResource::default()
    };
    let items = answer.stack_resource_summaries.unwrap_or_default().into_iter().map(resource).collect();
    Ok(Page { items, next: answer.next_token })
}

/// What the detection tells of each resource that the stack has. Of what it does not tell, nobody knows; what an earlier one told
/// is no answer to this question.
fn merged(
    drifts: Vec<types::StackResourceDrift>,
    listed: &[LiveResource],
    began: Option<Timestamp>,
) -> Vec<SeenResource> {
    let is_current = |drift: &types::StackResourceDrift| !is_older(time(drift.timestamp.as_ref()), began);
    let mut told: BTreeMap<String, SeenResource> = drifts
        .into_iter()
        .filter(is_current)
        .map(|drift| (drift.logical_resource_id.clone().unwrap_or_default(), seen_resource(drift)))
        .collect();
    let silent = |resource: &LiveResource| SeenResource {
        logical_id: resource.logical_id.clone(),
        physical_id: resource.physical_id.clone(),
        kind: resource.kind.clone(),
        ..SeenResource::default()
    };
    let present = listed.iter().filter(|resource| !resource.is_gone());
    present.map(|resource| told.remove(&resource.logical_id).unwrap_or_else(|| silent(resource))).collect()
}

fn time(time: Option<&DateTime>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

fn seen_resource(drift: types::StackResourceDrift) -> SeenResource {
    let properties = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let differences = drift.property_differences.unwrap_or_default().into_iter().map(difference).collect();
    let comparison = match drift.stack_resource_drift_status {
        Some(types::StackResourceDriftStatus::InSync) => Comparison::InSync,
        Some(types::StackResourceDriftStatus::Modified) => Comparison::Modified { differences },
        Some(types::StackResourceDriftStatus::Deleted) => Comparison::Deleted,
        Some(types::StackResourceDriftStatus::NotChecked) => Comparison::NotChecked,
        // What is new to us was not compared as far as we know.
        _ => Comparison::Unknown,
    };
    SeenResource {
        logical_id: drift.logical_resource_id.unwrap_or_default(),
        physical_id: drift.physical_resource_id,
        kind: drift.resource_type.unwrap_or_default(),
        comparison,
        expected: properties(drift.expected_properties),
        actual: properties(drift.actual_properties),
    }
}

fn difference(difference: types::PropertyDifference) -> Difference {
    let kind = difference.difference_type;
    let side = |text: Option<String>, absent: &types::DifferenceType| text.filter(|_| kind.as_ref() != Some(absent));
    Difference {
        path: difference.property_path.unwrap_or_default().trim_start_matches('/').to_owned(),
        expected: side(difference.expected_value, &types::DifferenceType::Add),
        actual: side(difference.actual_value, &types::DifferenceType::Remove),
    }
}
