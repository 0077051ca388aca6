//! Looks at the stacks of an environment. Reads, and decides nothing.
//!
//! One list of an account's stacks answers for a whole environment; more is asked only about stacks that are not as wanted. What
//! is over cannot change any more and is not asked for twice: the contents of a computed change set, the events of an operation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::{Client, types};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::consumers::endangered;
use super::lifetime;
use super::marks::{self, CHANGE_SET_PREFIX};
use super::plan::{bucket_in_use, seems_as_wanted};
use super::world::{
    BucketStanding, ChangeSet, ChangeSetStatus, Detail, Drifted, DriftedProperty, Execution, LiveResource, LiveStack,
    Made, NestedStack, Phase, PolicyAction, Replacement, Row, RowAction, StackEvent, StackStatus, Stray, Wish, World,
};
use super::{Desired, DesiredStack, Place, Step};
use crate::aws::{Clients, Fault, Page, Target, pages};
use crate::environment::{Node, SourceId, StackPolicy, yaml};
use crate::template::document::Document;

/// Calls about single stacks that are under way at the same time. Accounts share their limits with everybody in them.
const CALLS_AT_ONCE: usize = 4;

/// Of how many stacks that are still at the same work a look asks for news, in turn: the list of an account's stacks says which
/// have ended, and what a resource does meanwhile is told in time by one look in a few.
const NEWS_A_LOOK: usize = 4;

/// How deep a cause is followed into nested stacks. Deeper nesting than a handful is unheard of; a circle is impossible, but its
/// end would be CloudFormation's word alone.
const NESTING_MAX: usize = 16;

/// Looks, and remembers what cannot change any more. One for each run.
#[derive(Debug)]
pub struct Observer<'clients> {
    clients: &'clients Clients,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Places whose list of stacks has more than one page: there, stacks are asked for by name from the second look on.
    large: HashSet<Place>,
    /// The ARNs of the strays of a place: where stacks are asked for by name, strays would be forgotten otherwise.
    strays: HashMap<Place, Vec<String>>,
    /// By the stack's ARN: change sets of ours that were seen computed.
    computed: HashMap<String, Vec<ChangeSet>>,
    /// By the stack's label and their names: change sets that were asked for, and whose end is not known.
    made: BTreeMap<String, BTreeMap<String, Made>>,
    /// By the stack's label: the change sets that were deleted, where none was made since.
    emptied: BTreeMap<String, BTreeSet<String>>,
    /// When a change set of a stack was executed.
    executed: BTreeMap<String, Timestamp>,
    /// The labels of stacks that were not as wanted at some look. Looks that are old may have left something there.
    open: BTreeSet<String>,
    /// By the stack's ARN: the events of its last operation, oldest first.
    events: HashMap<String, Vec<StackEvent>>,
    /// By the stack's ARN: its stack policy, where it is as wanted.
    policies: HashMap<String, Option<StackPolicy>>,
    /// The buckets that are ready.
    buckets: BTreeMap<String, BucketStanding>,
    /// By the ARN of a nested stack and the event that says it failed: its events up to then, oldest first.
    nested: HashMap<(String, String), Vec<StackEvent>>,
    /// By the stack's ARN: what its template says about deletion.
    farewells: HashMap<String, BTreeMap<String, Farewell>>,
    /// Resources, after their stack's ARN, whose comparison with the template was not answered.
    silent: HashSet<(String, String)>,
    /// By the stack's ARN: the status in which its events were last asked for, and at which look.
    told: HashMap<String, (StackStatus, u64)>,
    /// How often was looked.
    looks: u64,
}

impl Memory {
    /// Whether a change set was asked for that has this name and another ARN.
    fn has_made_another(&self, stack: &str, name: &str, id: &str) -> bool {
        let made = self.made.get(stack).and_then(|made| made.get(name)).and_then(|made| made.id.as_deref());
        made.is_some_and(|made| made != id)
    }
}

/// How deep to look into a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What happens to it.
    Events,
    /// And what it consists of.
    Resources,
}

impl<'clients> Observer<'clients> {
    /// Remembers nothing yet.
    pub fn new(clients: &'clients Clients) -> Self {
        Self { clients, memory: Mutex::default() }
    }

    /// Looks at everything that a deployment is about.
    ///
    /// # Errors
    /// What a call ended with. Nothing is guessed: one stack that cannot be seen makes the whole look fail.
    pub async fn observe(&self, desired: &Desired) -> Result<World, Fault> {
        let wishes: Vec<Wish> = wishes(desired);
        let mut world = self.look_at(&wishes, |stack, place| is_stray(desired, stack, place)).await?;
        if desired.asks_for_exports() {
            world.exports = self.exports(&wishes).await?;
        }
        let open = desired.stacks.iter().filter(|stack| !seems_as_wanted(desired, stack, &world));
        let open: BTreeSet<String> = {
            let mut memory = self.memory();
            memory.open.extend(open.map(|stack| stack.name.clone()));
            memory.open.clone()
        };
        let details: Vec<(&Wish, LiveStack)> = wishes
            .iter()
            .filter(|wish| open.contains(&wish.label))
            .filter_map(|wish| Some((wish, world.stacks.get(&wish.label)?.clone())))
            .collect();
        let in_silence = self.in_silence(details.iter().map(|(_, live)| live));
        let details = stream::iter(details).map(|(wish, live)| self.detailed(wish, live, &in_silence));
        let detailed: Vec<(String, LiveStack)> = details.buffered(CALLS_AT_ONCE).try_collect().await?;
        world.stacks.extend(detailed);
        self.close(desired, &world);
        world.imports = self.imports(desired, &world, &open).await?;
        self.look_at_policies(desired, &mut world).await?;
        world.buckets = self.buckets(desired, &open).await?;
        if desired.allowed.prunes {
            for stray in &mut world.strays {
                self.look_into(&stray.place, &mut stray.stack, Depth::Resources).await?;
            }
        }
        {
            let memory = self.memory();
            (world.made, world.emptied) = (memory.made.clone(), memory.emptied.clone());
            world.executed.clone_from(&memory.executed);
        }
        world.now = self.clients.now();
        Ok(world)
    }

    /// Takes notice of a call that is about to be made: even if it is never answered, it may take effect.
    pub(super) fn begins(&self, step: &Step) {
        let mut memory = self.memory();
        match step {
            Step::CreateChangeSet { stack, name, .. } => {
                memory.emptied.remove(stack);
                let made = Made { id: None, asked: self.clients.now() };
                memory.made.entry(stack.clone()).or_default().insert(name.clone(), made);
            }
            Step::ExecuteChangeSet { stack, .. } => {
                memory.emptied.remove(stack);
                memory.executed.extend(self.clients.now().map(|now| (stack.clone(), now)));
            }
            Step::DeleteChangeSet { .. }
            | Step::ProtectStack { .. }
            | Step::SetStackPolicy { .. }
            | Step::DeleteEmptyStack { .. }
            | Step::DeleteFailedStack { .. }
            | Step::DeleteStack { .. } => {}
        }
    }

    /// Takes notice of the ARN of a change set that was asked for.
    pub(super) fn was_made(&self, stack: &str, name: &str, id: Option<String>) {
        if let Some(made) = self.memory().made.get_mut(stack).and_then(|made| made.get_mut(name)) {
            made.id = id;
        }
    }

    /// Takes notice of an answer that says what has become of change sets. Writes are never old, as looks may be.
    pub(super) fn ended(&self, step: &Step, done: Result<&(), &Fault>) {
        let mut memory = self.memory();
        match (step, done) {
            (Step::DeleteChangeSet { stack, name }, Ok(()) | Err(Fault::Missing { .. })) => {
                memory.made.entry(stack.clone()).or_default().remove(name);
                if done.is_ok() {
                    memory.emptied.entry(stack.clone()).or_default().insert(name.clone());
                }
            }
            // Executed by an earlier call: the answer to a repeated one says nothing about what was made since.
            (Step::ExecuteChangeSet { stack, name, id: Some(executed), .. }, Ok(()))
                if memory.has_made_another(stack, name, executed) => {}
            // Whatever is executed or deleted takes all change sets of its stack with it.
            (
                Step::ExecuteChangeSet { stack, .. }
                | Step::DeleteEmptyStack { stack, .. }
                | Step::DeleteFailedStack { stack, .. },
                Ok(()),
            ) => {
                memory.made.remove(stack);
                memory.emptied.remove(stack);
            }
            _ => {}
        }
    }

    /// Looks at stacks and at those beside them that are strays: their status, outputs, parameters and tags.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn look_at(
        &self,
        wishes: &[Wish],
        is_stray: impl Fn(&LiveStack, &Place) -> bool,
    ) -> Result<World, Fault> {
        let places: BTreeSet<&Place> = wishes.iter().map(|wish| &wish.place).collect();
        let mut world = World { asked: self.clients.now(), ..World::default() };
        for place in places {
            let here: Vec<&Wish> = wishes.iter().filter(|wish| &wish.place == place).collect();
            for live in self.stacks(place, &here).await? {
                let asked = here.iter().filter(|wish| [&live.name, &live.id].contains(&&wish.stack_name));
                for wish in asked {
                    world.stacks.insert(wish.label.clone(), live.clone());
                }
                let is_known = world.strays.iter().any(|known| known.stack.id == live.id);
                // Tags reach the resources of a stack, and nested stacks are resources: ours alone may touch them.
                let is_on_its_own = live.status.phase() != Phase::Gone && !live.is_nested;
                if is_on_its_own && !is_known && is_stray(&live, place) {
                    world.strays.push(Stray { place: place.clone(), stack: live });
                }
            }
            let here = world.strays.iter().filter(|stray| &stray.place == place).map(|stray| stray.stack.id.clone());
            self.memory().strays.insert(place.clone(), here.collect());
        }
        world.strays.sort_by(|left, right| {
            right.stack.created.cmp(&left.stack.created).then_with(|| left.stack.name.cmp(&right.stack.name))
        });
        world.now = self.clients.now();
        Ok(world)
    }

    /// Every stack of a place that exists, whosever it is; nested ones are left out.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn everything(&self, place: &Place) -> Result<Vec<LiveStack>, Fault> {
        let mut all = described(&self.client(place).await, None).await?;
        all.retain(|live| live.status.phase() != Phase::Gone && !live.is_nested);
        Ok(all)
    }

    /// Looks into a stack: the events of its last operation where they matter, who plans to create it where nobody has yet, and
    /// its resources if they are asked for.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn look_into(&self, place: &Place, live: &mut LiveStack, depth: Depth) -> Result<(), Fault> {
        let client = self.client(place).await;
        self.look_at_events(&client, live).await?;
        if depth == Depth::Resources {
            live.resources = self.resources(&client, live).await?;
        }
        if live.status.phase() == Phase::Empty {
            live.change_sets = self.change_sets(&client, live).await?;
        }
        Ok(())
    }

    /// Looks at the events of operations that run.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn look_at_progress(&self, wishes: &[Wish], world: &mut World) -> Result<(), Fault> {
        for wish in wishes {
            if let Some(live) = world.stacks.get_mut(&wish.label) {
                self.look_at_events(&self.client(&wish.place).await, live).await?;
            }
        }
        Ok(())
    }

    /// All events of a stack that `CloudFormation` still tells of, oldest first.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn history(&self, place: &Place, id: &str) -> Result<Vec<StackEvent>, Fault> {
        let client = self.client(place).await;
        let read = async |token| events_page(&client, id, token).await;
        let mut events = match pages(read, |_| false).await {
            Err(Fault::Missing { .. }) => Vec::new(),
            read => read?,
        };
        events.reverse();
        Ok(events)
    }

    /// The nested stacks on the way to what failed first among the events of a stack, outermost first.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn follow(&self, place: &Place, live: &LiveStack) -> Result<Vec<NestedStack>, Fault> {
        self.nested(&self.client(place).await, live).await
    }

    /// The deployed template of a stack, as it was sent.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn template(&self, place: &Place, id: &str) -> Result<String, Fault> {
        match self.client(place).await.get_template().stack_name(id).send().await.map_err(Fault::from) {
            Ok(answer) => Ok(answer.template_body.unwrap_or_default()),
            Err(Fault::Missing { .. }) => Ok(String::new()),
            Err(fault) => Err(fault),
        }
    }

    /// The deployed template of a stack, as a document; nothing where there is none that can be read.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn document(&self, place: &Place, id: &str) -> Result<Option<Json>, Fault> {
        let body = self.template(place, id).await?;
        Ok(document(&body))
    }

    async fn client(&self, place: &Place) -> Client {
        self.clients.cloudformation(target(place)).await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Whoever panicked left entries that are each whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All stacks of a place, or where there are very many, those asked for.
    async fn stacks(&self, place: &Place, wishes: &[&Wish]) -> Result<Vec<LiveStack>, Fault> {
        let client = self.client(place).await;
        if self.memory().large.contains(place) {
            let strays = self.memory().strays.get(place).cloned().unwrap_or_default();
            let names: Vec<String> = wishes.iter().map(|wish| wish.stack_name.clone()).chain(strays).collect();
            let asked = stream::iter(&names).map(|name| described(&client, Some(name)));
            let found: Vec<Vec<LiveStack>> = asked.buffered(CALLS_AT_ONCE).try_collect().await?;
            return Ok(found.into_iter().flatten().collect());
        }
        let mut count = 0;
        let read = async |token| {
            count += 1;
            described_page(&client, None, token).await
        };
        let all = pages(read, |_| false).await?;
        if count > 1 {
            self.memory().large.insert(place.clone());
        }
        let by_id: Vec<&&Wish> = wishes.iter().filter(|wish| wish.stack_name.starts_with("arn:")).collect();
        let mut found = all;
        for wish in by_id {
            // Deleted stacks are seen by their ARN alone.
            if !found.iter().any(|stack| stack.id == wish.stack_name) {
                found.extend(described(&client, Some(&wish.stack_name)).await?);
            }
        }
        Ok(found)
    }

    /// Stacks that this run has brought to what is wanted, and of which nothing is left over, are not looked into any more:
    /// executing a change set deletes all others of its stack, and leaves itself.
    fn close(&self, desired: &Desired, world: &World) {
        let mut memory = self.memory();
        for stack in &desired.stacks {
            let is_over = memory.executed.contains_key(&stack.name) && !memory.made.contains_key(&stack.name);
            let Some(live) = world.stacks.get(&stack.name).filter(|_| is_over) else { continue };
            if live.status.phase() == Phase::Steady
                && live.change_sets.iter().all(|change_set| change_set.execution == Execution::Begun)
                && seems_as_wanted(desired, stack, world)
            {
                memory.open.remove(&stack.name);
            }
        }
    }

    /// The ARNs of stacks that are not asked for news at this look, because it is others' turn.
    fn in_silence<'a>(&self, stacks: impl Iterator<Item = &'a LiveStack>) -> BTreeSet<String> {
        let mut memory = self.memory();
        memory.looks += 1;
        let look = memory.looks;
        let mut same = Vec::new();
        for live in stacks.filter(|live| live.status.phase() == Phase::Busy) {
            match memory.told.get(&live.id) {
                Some((status, told)) if *status == live.status => same.push((*told, live)),
                _ => drop(memory.told.insert(live.id.clone(), (live.status.clone(), look))),
            }
        }
        same.sort_by_key(|(told, _)| *told);
        let silent = same.split_off(same.len().min(NEWS_A_LOOK));
        memory.told.extend(same.into_iter().map(|(_, live)| (live.id.clone(), (live.status.clone(), look))));
        silent.into_iter().map(|(_, live)| live.id.clone()).collect()
    }

    /// A stack with its change sets and the events of its last operation, as far as they say anything.
    async fn detailed(
        &self,
        wish: &Wish,
        mut live: LiveStack,
        in_silence: &BTreeSet<String>,
    ) -> Result<(String, LiveStack), Fault> {
        let client = self.client(&wish.place).await;
        if in_silence.contains(&live.id) {
            live.events = self.memory().events.get(&live.id).cloned().unwrap_or_default();
            live.nested = self.nested(&client, &live).await?;
        } else {
            self.look_at_events(&client, &mut live).await?;
        }
        if matches!(live.status.phase(), Phase::Steady | Phase::Empty) {
            live.change_sets = self.change_sets(&client, &live).await?;
        }
        live.computed = self.memory().computed.get(&live.id).cloned().unwrap_or_default();
        Ok((wish.label.clone(), live))
    }

    async fn look_at_events(&self, client: &Client, live: &mut LiveStack) -> Result<(), Fault> {
        live.events = self.events(client, live).await?;
        live.nested = self.nested(client, live).await?;
        Ok(())
    }

    /// Follows the first failure into the nested stacks that it came from, by their own ids: they may be deleted by now.
    async fn nested(&self, client: &Client, live: &LiveStack) -> Result<Vec<NestedStack>, Fault> {
        let began = live.events.first().and_then(|event| event.time);
        let mut path: Vec<NestedStack> = Vec::new();
        let mut cause = live.first_cause().cloned();
        while let Some(failed) = cause.take().filter(|_| path.len() < NESTING_MAX) {
            let Some(id) = failed.nested_stack() else { break };
            let nested =
                NestedStack { id: id.to_owned(), events: self.nested_events(client, id, &failed.id, began).await? };
            cause = nested.first_cause().cloned();
            path.push(nested);
        }
        Ok(path)
    }

    /// What happened in a nested stack since an operation began. Its failure is over once the stack around it tells of it.
    async fn nested_events(
        &self,
        client: &Client,
        id: &str,
        failed: &str,
        began: Option<Timestamp>,
    ) -> Result<Vec<StackEvent>, Fault> {
        let key = (id.to_owned(), failed.to_owned());
        let known = self.memory().nested.get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let is_older = |event: &StackEvent| event.time.zip(began).is_some_and(|(time, began)| time < began);
        let read = async |token| events_page(client, id, token).await;
        let mut events = match pages(read, |page| page.iter().any(is_older)).await {
            Err(Fault::Missing { .. }) => Vec::new(),
            read => read?,
        };
        events.retain(|event| !is_older(event));
        events.reverse();
        self.memory().nested.insert(key, events.clone());
        Ok(events)
    }

    /// The events of the last operation, where it runs or ended badly; of all others nobody asks.
    async fn events(&self, client: &Client, live: &LiveStack) -> Result<Vec<StackEvent>, Fault> {
        let is_of_interest = live.status.phase() == Phase::Busy || live.status.is_bad_end();
        if !is_of_interest {
            return Ok(Vec::new());
        }
        let known = self.memory().events.get(&live.id).cloned().unwrap_or_default();
        let is_known = |event: &StackEvent| known.iter().any(|known| known.id == event.id);
        let read = async |token| events_page(client, &live.id, token).await;
        let is_enough = |page: &[StackEvent]| page.iter().any(|event| event.begins_operation(live) || is_known(event));
        let newest_first = match pages(read, is_enough).await {
            Err(Fault::Missing { .. }) => Vec::new(),
            read => read?,
        };
        // Behind what is known stands what was before this operation, as far as the page goes.
        let fresh: Vec<StackEvent> = newest_first.into_iter().take_while(|event| !is_known(event)).collect();
        let mut events = known.clone();
        events.extend(fresh.into_iter().rev());
        let begin = events.iter().rposition(|event| event.begins_operation(live)).unwrap_or_default();
        let events = events.split_off(begin);
        self.memory().events.insert(live.id.clone(), events.clone());
        Ok(events)
    }

    /// The policies of stacks that should have one or are about to change; of all others nobody asks.
    async fn look_at_policies(&self, desired: &Desired, world: &mut World) -> Result<(), Fault> {
        for stack in &desired.stacks {
            let Some(live) = world.stacks.get_mut(&stack.name) else { continue };
            let is_about_to_change = live.computed.iter().any(|computed| computed.status == ChangeSetStatus::Complete);
            if live.status.phase() == Phase::Steady && (stack.stack_policy.is_some() || is_about_to_change) {
                live.policy = self.policy(stack, live).await?;
            }
        }
        Ok(())
    }

    /// The buckets that templates of these stacks will go through. One that is ready is not asked for twice in a run.
    async fn buckets(
        &self,
        desired: &Desired,
        open: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BucketStanding>, Fault> {
        let mut buckets = self.memory().buckets.clone();
        for stack in desired.stacks.iter().filter(|stack| open.contains(&stack.name)) {
            let Some(bucket) = stack.template_bucket.as_ref().filter(|bucket| !buckets.contains_key(*bucket)) else {
                continue;
            };
            if bucket_in_use(desired, stack).is_none() {
                continue;
            }
            let standing = look_for_bucket(self.clients, &stack.place, bucket).await?;
            buckets.insert(bucket.clone(), standing);
            if standing == BucketStanding::Ready {
                self.memory().buckets.insert(bucket.clone(), standing);
            }
        }
        Ok(buckets)
    }

    /// A policy that is as wanted is not asked for twice in a run.
    async fn policy(&self, stack: &DesiredStack, live: &LiveStack) -> Result<Option<StackPolicy>, Fault> {
        let known = self.memory().policies.get(&live.id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let call = self.client(&stack.place).await.get_stack_policy().stack_name(&live.id).send();
        let text = match call.await.map_err(Fault::from) {
            Ok(answer) => answer.stack_policy_body,
            Err(Fault::Missing { .. }) => None,
            Err(fault) => return Err(fault),
        };
        let policy = text.as_deref().and_then(StackPolicy::parse);
        if stack.stack_policy.is_none() || stack.stack_policy == policy {
            self.memory().policies.insert(live.id.clone(), policy.clone());
        }
        Ok(policy)
    }

    async fn change_sets(&self, client: &Client, live: &LiveStack) -> Result<Vec<ChangeSet>, Fault> {
        let read = async |token| change_sets_page(client, &live.id, token).await;
        let summaries = match pages(read, |_| false).await {
            Err(Fault::Missing { .. }) => Vec::new(),
            read => read?,
        };
        let mut change_sets = Vec::with_capacity(summaries.len());
        for summary in summaries {
            if !summary.name.starts_with(CHANGE_SET_PREFIX) {
                change_sets.push(summary);
                continue;
            }
            change_sets.extend(self.contents(client, live, summary).await?);
        }
        Ok(change_sets)
    }

    /// A change set of ours with its changes. Whoever deletes it in between makes it a change set that is not there.
    async fn contents(
        &self,
        client: &Client,
        live: &LiveStack,
        summary: ChangeSet,
    ) -> Result<Option<ChangeSet>, Fault> {
        let is_computed = matches!(summary.status, ChangeSetStatus::Complete | ChangeSetStatus::Failed);
        if !is_computed {
            return Ok(Some(summary));
        }
        let known =
            self.memory().computed.get(&live.id).and_then(|all| all.iter().find(|it| it.id == summary.id).cloned());
        if let Some(known) = known {
            return Ok(Some(ChangeSet { rows: known.rows, drifted: known.drifted, ..summary }));
        }
        let read = async |token| rows_page(client, &summary.id, token).await;
        let rows = match pages(read, |_| false).await {
            Err(Fault::Missing { .. }) => return Ok(None),
            rows => rows?,
        };
        let drifted = self.drifted(client, live, &rows).await?;
        let change_set = ChangeSet { rows, drifted, ..summary };
        let mut memory = self.memory();
        let all = memory.computed.entry(live.id.clone()).or_default();
        all.retain(|older| older.name != change_set.name);
        all.push(change_set.clone());
        Ok(Some(change_set))
    }

    /// What was changed past CloudFormation of the resources that a change set writes to, and of no others: each costs a call that
    /// may last seconds. That it is not known keeps nobody from looking at the rest.
    async fn drifted(&self, client: &Client, live: &LiveStack, rows: &[Row]) -> Result<Vec<Drifted>, Fault> {
        let written = rows.iter().filter(|row| row.action == RowAction::Modify);
        let looks = stream::iter(written).map(|row| async {
            match drifted(client, &live.id, row).await {
                Err(Fault::Unreachable { cause }) if self.is_silent(&live.id, &row.logical_id) => {
                    Ok(Drifted { resource: row.logical_id.clone(), unread: Some(cause), ..Drifted::default() })
                }
                looked => looked,
            }
        });
        looks.buffered(CALLS_AT_ONCE).try_collect().await
    }

    /// Whether a comparison of this resource was unanswered before, through all the attempts of the SDK. Once may be the network;
    /// twice is a service that does not offer it, as some emulators do not, and would be asked without end.
    fn is_silent(&self, id: &str, resource: &str) -> bool {
        !self.memory().silent.insert((id.to_owned(), resource.to_owned()))
    }

    /// The resources of a stack, with what its template says about their deletion.
    async fn resources(&self, client: &Client, live: &LiveStack) -> Result<Vec<LiveResource>, Fault> {
        if matches!(live.status.phase(), Phase::Gone | Phase::Empty) {
            return Ok(Vec::new());
        }
        let read = async |token| resources_page(client, &live.id, token).await;
        let mut resources = match pages(read, |_| false).await {
            Err(Fault::Missing { .. }) => return Ok(Vec::new()),
            read => read?,
        };
        let farewells = self.farewells(client, live).await?;
        for resource in &mut resources {
            say_farewell(resource, &farewells);
        }
        Ok(resources)
    }

    async fn farewells(&self, client: &Client, live: &LiveStack) -> Result<BTreeMap<String, Farewell>, Fault> {
        let id = live.id.as_str();
        let known = self.memory().farewells.get(id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let body = match client.get_template().stack_name(id).send().await.map_err(Fault::from) {
            Ok(answer) => answer.template_body.unwrap_or_default(),
            Err(Fault::Missing { .. }) => return Ok(BTreeMap::new()),
            Err(fault) => return Err(fault),
        };
        let farewells = farewells(&body, &live.parameters);
        self.memory().farewells.insert(id.to_owned(), farewells.clone());
        Ok(farewells)
    }

    /// The deployed templates of stacks that are not as wanted, by their labels: all that is at rest.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn templates(&self, desired: &Desired, world: &World) -> Result<BTreeMap<String, Json>, Fault> {
        let is_asked = |stack: &&DesiredStack| !seems_as_wanted(desired, stack, world);
        let mut templates = BTreeMap::new();
        for stack in desired.stacks.iter().filter(is_asked) {
            let Some(live) = world.stacks.get(&stack.name).filter(|live| live.status.phase() == Phase::Steady) else {
                continue;
            };
            let client = self.client(&stack.place).await;
            let answer = client.get_template().stack_name(&live.id).send().await.map_err(Fault::from)?;
            let document = document(answer.template_body.as_deref().unwrap_or_default());
            templates.extend(document.map(|document| (stack.name.clone(), document)));
        }
        Ok(templates)
    }

    /// Who imports the exports that would go or change.
    async fn imports(
        &self,
        desired: &Desired,
        world: &World,
        open: &BTreeSet<String>,
    ) -> Result<BTreeMap<(String, String, String), Vec<String>>, Fault> {
        let mut imports = BTreeMap::new();
        for stack in desired.stacks.iter().filter(|stack| open.contains(&stack.name)) {
            let Some(live) = world.stacks.get(&stack.name).filter(|live| live.status.phase() == Phase::Steady) else {
                continue;
            };
            let client = self.client(&stack.place).await;
            for (export, _) in endangered(desired, stack, live, world) {
                let read = async |token| {
                    let answer = client.list_imports().export_name(&export).set_next_token(token).send().await?;
                    Ok(Page { items: answer.imports.unwrap_or_default(), next: answer.next_token })
                };
                let users = match pages(read, |_| false).await {
                    Err(Fault::Missing { .. }) => Vec::new(),
                    users => users?,
                };
                let Place { account, region, .. } = stack.place.clone();
                imports.insert((account, region, export), users);
            }
        }
        Ok(imports)
    }

    async fn exports(&self, wishes: &[Wish]) -> Result<BTreeMap<(String, String, String), String>, Fault> {
        let places: BTreeSet<&Place> = wishes.iter().map(|wish| &wish.place).collect();
        let mut exports = BTreeMap::new();
        for place in places {
            let client = self.client(place).await;
            let read = async |token| {
                let answer = client.list_exports().set_next_token(token).send().await?;
                Ok(Page { items: answer.exports.unwrap_or_default(), next: answer.next_token })
            };
            for export in pages(read, |_| false).await? {
                if let (Some(name), Some(value)) = (export.name, export.value) {
                    exports.insert((place.account.clone(), place.region.clone(), name), value);
                }
            }
        }
        Ok(exports)
    }
}

/// Looks for a bucket that should be an account's own. Somebody else's of the same name is never mistaken for it.
///
/// # Errors
/// What the call ended with, where it tells nothing about the bucket.
pub async fn look_for_bucket(clients: &Clients, place: &Place, bucket: &str) -> Result<BucketStanding, Fault> {
    let call = clients.s3(target(place)).await.head_bucket();
    let Err(error) = call.bucket(bucket).expected_bucket_owner(&place.account).send().await else {
        return Ok(BucketStanding::Ready);
    };
    // An answer to HEAD has no body: its status is all there is (S3 API Reference, "HeadBucket").
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(404) => Ok(BucketStanding::Missing),
        Some(403) => Ok(BucketStanding::Foreign),
        Some(301) => Ok(BucketStanding::Elsewhere),
        _ => Err(Fault::from(error)),
    }
}

/// Whose resources a place's client works on.
pub fn target(place: &Place) -> Target<'_> {
    Target { account: &place.account, region: &place.region, role: place.role.as_deref() }
}

/// A stack that bears the environment's marks and is not in its file.
fn is_stray(desired: &Desired, stack: &LiveStack, place: &Place) -> bool {
    let name = (place.account.clone(), place.region.clone(), stack.name.clone());
    marks::is_of_environment(&stack.tags, &desired.project, &desired.environment_word)
        && !desired.named.contains(&name)
        && !lifetime::is_extension(stack)
}

fn wishes(desired: &Desired) -> Vec<Wish> {
    let deployed = desired.stacks.iter().map(|stack| Wish {
        label: stack.name.clone(),
        stack_name: stack.stack_name.clone(),
        place: stack.place.clone(),
    });
    let read = desired.read.iter().map(|read| Wish {
        label: read.label.clone(),
        stack_name: read.stack_name.clone(),
        place: read.place.clone(),
    });
    deployed.chain(read).collect()
}

/// The stack of that name; nothing if there is none.
async fn described(client: &Client, name: Option<&str>) -> Result<Vec<LiveStack>, Fault> {
    match pages(async |token| described_page(client, name, token).await, |_| false).await {
        Err(Fault::Missing { .. }) => Ok(Vec::new()),
        found => found,
    }
}

async fn described_page(client: &Client, name: Option<&str>, token: Option<String>) -> Result<Page<LiveStack>, Fault> {
    let call = client.describe_stacks().set_stack_name(name.map(str::to_owned)).set_next_token(token);
    let answer = call.send().await?;
    let items = answer.stacks.unwrap_or_default().into_iter().map(live_stack).collect();
    Ok(Page { items, next: answer.next_token })
}

async fn events_page(client: &Client, id: &str, token: Option<String>) -> Result<Page<StackEvent>, Fault> {
    let answer = client.describe_stack_events().stack_name(id).set_next_token(token).send().await?;
    let items = answer.stack_events.unwrap_or_default().into_iter().map(stack_event).collect();
    Ok(Page { items, next: answer.next_token })
}

async fn change_sets_page(client: &Client, id: &str, token: Option<String>) -> Result<Page<ChangeSet>, Fault> {
    let answer = client.list_change_sets().stack_name(id).set_next_token(token).send().await?;
    let items = answer.summaries.unwrap_or_default().into_iter().map(change_set).collect();
    Ok(Page { items, next: answer.next_token })
}

async fn rows_page(client: &Client, id: &str, token: Option<String>) -> Result<Page<Row>, Fault> {
    let call = client.describe_change_set().change_set_name(id).include_property_values(true).set_next_token(token);
    let answer = call.send().await?;
    let changes = answer.changes.unwrap_or_default().into_iter();
    let items = changes.filter_map(|change| change.resource_change).map(row).collect();
    Ok(Page { items, next: answer.next_token })
}

async fn drifted(client: &Client, id: &str, row: &Row) -> Result<Drifted, Fault> {
    let resource = row.logical_id.clone();
    let call = client.detect_stack_resource_drift().stack_name(id).logical_resource_id(&row.logical_id);
    let found = match call.send().await.map_err(Fault::from) {
        Ok(answer) => answer.stack_resource_drift,
        // Most often CloudFormation does not compare resources of that type, which is nobody's fault.
        Err(Fault::Invalid { .. } | Fault::Missing { .. } | Fault::Overtaken { .. }) => None,
        Err(fault) if fault.is_momentary() => return Err(fault),
        Err(fault) => return Ok(Drifted { resource, unread: Some(fault.to_string()), ..Drifted::default() }),
    };
    let differences = found.and_then(|found| found.property_differences).unwrap_or_default();
    let property = |difference: types::PropertyDifference| DriftedProperty {
        path: difference.property_path.unwrap_or_default().trim_start_matches('/').to_owned(),
        actual: difference.actual_value.filter(|_| difference.difference_type != Some(types::DifferenceType::Remove)),
    };
    Ok(Drifted { resource, properties: differences.into_iter().map(property).collect(), unread: None })
}

async fn resources_page(client: &Client, id: &str, token: Option<String>) -> Result<Page<LiveResource>, Fault> {
    let answer = client.list_stack_resources().stack_name(id).set_next_token(token).send().await?;
    let items = answer.stack_resource_summaries.unwrap_or_default().into_iter().map(resource).collect();
    Ok(Page { items, next: answer.next_token })
}

// From the SDK's types, where everything may be missing, to ours.

fn time(time: Option<DateTime>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Pairs of which either side may be missing in the SDK's types and never is in an answer.
fn pairs(pairs: impl Iterator<Item = (Option<String>, Option<String>)>) -> BTreeMap<String, String> {
    pairs.filter_map(|(key, value)| Some((key?, value?))).collect()
}

fn live_stack(stack: types::Stack) -> LiveStack {
    let last_operation = last_operation(&stack);
    let status = stack.stack_status.map(|status| status.as_str().parse().unwrap_or_default()).unwrap_or_default();
    LiveStack {
        id: stack.stack_id.unwrap_or_default(),
        name: stack.stack_name.unwrap_or_default(),
        status,
        status_reason: stack.stack_status_reason,
        description: stack.description,
        created: time(stack.creation_time),
        updated: time(stack.last_updated_time),
        deleted: time(stack.deletion_time),
        last_operation,
        executed_change_set: stack.change_set_id,
        exports: pairs(stack.outputs.iter().flatten().map(|it| (it.export_name.clone(), it.output_value.clone()))),
        outputs: pairs(stack.outputs.unwrap_or_default().into_iter().map(|it| (it.output_key, it.output_value))),
        parameters: pairs(
            stack.parameters.unwrap_or_default().into_iter().map(|it| (it.parameter_key, it.parameter_value)),
        ),
        tags: pairs(stack.tags.unwrap_or_default().into_iter().map(|it| (it.key, it.value))),
        is_termination_protected: stack.enable_termination_protection.unwrap_or_default(),
        is_nested: stack.parent_id.is_some(),
        ..LiveStack::default()
    }
}

/// What tells one operation from the next: the id of the newest that is more than the making of a change set. Where an older
/// service gives none, the time of the last update changes with every operation as well.
fn last_operation(stack: &types::Stack) -> String {
    let is_operation =
        |entry: &&types::OperationEntry| entry.operation_type != Some(types::OperationType::CreateChangeset);
    let id = stack.last_operations.iter().flatten().find(is_operation).and_then(|entry| entry.operation_id.clone());
    let moment = || time(stack.last_updated_time.or(stack.creation_time)).map(|time| time.to_string());
    id.or_else(moment).unwrap_or_default()
}

fn stack_event(event: types::StackEvent) -> StackEvent {
    StackEvent {
        id: event.event_id.unwrap_or_default(),
        time: time(event.timestamp),
        resource: event.logical_resource_id.unwrap_or_default(),
        kind: event.resource_type.unwrap_or_default(),
        physical_id: event.physical_resource_id,
        status: event.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: event.resource_status_reason,
        operation: event.operation_id,
        token: event.client_request_token,
    }
}

fn change_set(summary: types::ChangeSetSummary) -> ChangeSet {
    ChangeSet {
        id: summary.change_set_id.unwrap_or_default(),
        name: summary.change_set_name.unwrap_or_default(),
        status: change_set_status(summary.status.as_ref()),
        execution: execution(summary.execution_status.as_ref()),
        description: summary.description,
        created: time(summary.creation_time),
        reason: summary.status_reason,
        rows: Vec::new(),
        drifted: Vec::new(),
    }
}

fn change_set_status(status: Option<&types::ChangeSetStatus>) -> ChangeSetStatus {
    match status {
        Some(types::ChangeSetStatus::CreateComplete) => ChangeSetStatus::Complete,
        Some(types::ChangeSetStatus::Failed) => ChangeSetStatus::Failed,
        Some(
            types::ChangeSetStatus::DeleteComplete
            | types::ChangeSetStatus::DeleteFailed
            | types::ChangeSetStatus::DeleteInProgress
            | types::ChangeSetStatus::DeletePending,
        ) => ChangeSetStatus::Deleting,
        // What is new to us is not finished as far as we know.
        _ => ChangeSetStatus::Computing,
    }
}

fn execution(status: Option<&types::ExecutionStatus>) -> Execution {
    match status {
        Some(types::ExecutionStatus::Available) => Execution::Available,
        Some(types::ExecutionStatus::ExecuteInProgress | types::ExecutionStatus::ExecuteComplete) => Execution::Begun,
        Some(types::ExecutionStatus::ExecuteFailed) => Execution::Failed,
        Some(types::ExecutionStatus::Obsolete) => Execution::Obsolete,
        _ => Execution::Unavailable,
    }
}

fn row(change: types::ResourceChange) -> Row {
    let context = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Json>(&text).ok());
    Row {
        logical_id: change.logical_resource_id.unwrap_or_default(),
        physical_id: change.physical_resource_id,
        kind: change.resource_type.unwrap_or_default(),
        action: row_action(change.action.as_ref()),
        replacement: replacement(change.replacement.as_ref()),
        policy_action: change.policy_action.as_ref().and_then(policy_action),
        before: context(change.before_context),
        after: context(change.after_context),
        details: change.details.unwrap_or_default().into_iter().map(detail).collect(),
    }
}

fn row_action(action: Option<&types::ChangeAction>) -> RowAction {
    match action {
        Some(types::ChangeAction::Add) => RowAction::Add,
        Some(types::ChangeAction::Modify) => RowAction::Modify,
        Some(types::ChangeAction::Remove) => RowAction::Remove,
        Some(types::ChangeAction::Import) => RowAction::Import,
        Some(types::ChangeAction::SyncWithActual) => RowAction::SyncWithActual,
        _ => RowAction::Dynamic,
    }
}

fn replacement(replacement: Option<&types::Replacement>) -> Replacement {
    match replacement {
        Some(types::Replacement::True) => Replacement::Always,
        Some(types::Replacement::False) | None => Replacement::Never,
        Some(_) => Replacement::Conditional,
    }
}

fn policy_action(action: &types::PolicyAction) -> Option<PolicyAction> {
    match action {
        types::PolicyAction::Delete | types::PolicyAction::ReplaceAndDelete => Some(PolicyAction::Delete),
        types::PolicyAction::Retain | types::PolicyAction::ReplaceAndRetain => Some(PolicyAction::Retain),
        types::PolicyAction::Snapshot | types::PolicyAction::ReplaceAndSnapshot => Some(PolicyAction::Snapshot),
        _ => None,
    }
}

fn detail(detail: types::ResourceChangeDetail) -> Detail {
    let is_static = detail.evaluation == Some(types::EvaluationType::Static);
    let Some(target) = detail.target else {
        return Detail { is_static, cause: detail.causing_entity, ..Detail::default() };
    };
    let attribute = target.attribute.map(|attribute| attribute.as_str().to_owned());
    Detail {
        path: target.path.unwrap_or_default(),
        property: target.name.or(attribute).unwrap_or_default(),
        recreation: recreation(target.requires_recreation.as_ref()),
        is_static,
        before: target.before_value,
        after: target.after_value,
        cause: detail.causing_entity,
    }
}

fn recreation(recreation: Option<&types::RequiresRecreation>) -> Replacement {
    match recreation {
        Some(types::RequiresRecreation::Always) => Replacement::Always,
        Some(types::RequiresRecreation::Never) | None => Replacement::Never,
        Some(_) => Replacement::Conditional,
    }
}

fn resource(summary: types::StackResourceSummary) -> LiveResource {
    LiveResource {
        logical_id: summary.logical_resource_id.unwrap_or_default(),
        physical_id: summary.physical_resource_id,
        kind: summary.resource_type.unwrap_or_default(),
        status: summary.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        since: time(summary.last_updated_timestamp),
        reason: summary.resource_status_reason,
        deletion_policy: None,
        storage_gib: None,
    }
}

/// A stack by its ARN, gone or not, with the resources it has or had: `CloudFormation` shows them for 90 days.
///
/// # Errors
/// What a call ended with.
pub async fn traced(client: &Client, id: &str) -> Result<Option<LiveStack>, Fault> {
    let Some(mut live) = described(client, Some(id)).await?.into_iter().next() else { return Ok(None) };
    if live.status.phase() == Phase::Empty {
        return Ok(Some(live));
    }
    live.resources = pages(async |token| resources_page(client, id, token).await, |_| false).await?;
    let template = client.get_template().stack_name(id).send().await?.template_body.unwrap_or_default();
    let farewells = farewells(&template, &live.parameters);
    for resource in &mut live.resources {
        say_farewell(resource, &farewells);
    }
    Ok(Some(live))
}

/// The ARNs of the deleted stacks of these names, by name, the last deleted of each first.
///
/// # Errors
/// What a call ended with.
pub async fn deleted(client: &Client, names: &BTreeSet<&str>) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let read = async |token| {
        let call = client.list_stacks().stack_status_filter(types::StackStatus::DeleteComplete);
        let answer = call.set_next_token(token).send().await?;
        Ok(Page { items: answer.stack_summaries.unwrap_or_default(), next: answer.next_token })
    };
    let mut all = pages(read, |_| false).await?;
    all.sort_by_key(|summary| std::cmp::Reverse(time(summary.deletion_time)));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for summary in all {
        if let (Some(name), Some(id)) = (summary.stack_name, summary.stack_id)
            && names.contains(name.as_str())
        {
            found.entry(name).or_default().push(id);
        }
    }
    Ok(found)
}

/// A deployed template, where it can be read.
fn document(body: &str) -> Option<Json> {
    yaml::read(SourceId::RENDERED, body).root.map(|root| Document::new(root).json)
}

/// What a deployed template says of a resource that matters when it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Farewell {
    policy: Option<String>,
    storage_gib: Option<u64>,
}

fn say_farewell(resource: &mut LiveResource, farewells: &BTreeMap<String, Farewell>) {
    let Farewell { policy, storage_gib } = farewells.get(&resource.logical_id).cloned().unwrap_or_default();
    (resource.deletion_policy, resource.storage_gib) = (policy, storage_gib);
}

/// What a deployed template says about the deletion of its resources. It is JSON where we deployed it, and YAML where others did.
fn farewells(body: &str, parameters: &BTreeMap<String, String>) -> BTreeMap<String, Farewell> {
    let root = yaml::read(SourceId::RENDERED, body).root;
    let resources = root.as_ref().and_then(|root| root.get("Resources")).and_then(Node::as_mapping);
    // RDS counts in `AllocatedStorage`, EBS in `Size`, both in GiB.
    let storage = |node: &Node| {
        let size = ["AllocatedStorage", "Size"].iter().find_map(|name| node.at(["Properties", *name]))?;
        let is_reference = size.tag.as_deref() == Some("Ref");
        let parameter = size.get("Ref").and_then(Node::as_text).or(size.as_text().filter(|_| is_reference));
        let text = match parameter {
            Some(parameter) => parameters.get(parameter).map(String::as_str),
            None => size.as_text(),
        };
        text?.parse().ok()
    };
    let farewell = |node: &Node| Farewell {
        policy: node.get("DeletionPolicy").and_then(Node::as_text).map(str::to_owned),
        storage_gib: storage(node),
    };
    resources.unwrap_or_default().iter().map(|entry| (entry.key.clone(), farewell(&entry.value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::canned;
    use crate::deploy::StackStatus;
    use crate::deploy::world::STACK_TYPE;

    fn wish(name: &str) -> Wish {
        let place = Place { account: "333333333333".to_owned(), region: "ap-southeast-2".to_owned(), role: None };
        Wish { label: name.to_owned(), stack_name: format!("sync-{name}"), place }
    }

    fn stack_xml(name: &str, tags: &str) -> String {
        let id = format!("<StackId>arn:{name}</StackId><StackName>sync-{name}</StackName>");
        let rest = "<StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-25T08:00:00Z</CreationTime>";
        format!("<member>{id}{rest}<Tags>{tags}</Tags></member>")
    }

    fn stacks_page(stacks: &str, next: Option<&str>) -> canned::Answer {
        let next = next.map(|next| format!("<NextToken>{next}</NextToken>")).unwrap_or_default();
        canned::result("DescribeStacks", &format!("<Stacks>{stacks}</Stacks>{next}"))
    }

    /// The answer to a repeated execution was taken for the end of whatever had been made since.
    #[tokio::test]
    async fn a_repeated_execution_says_nothing_about_what_was_made_since() {
        let canned = canned::Canned::serve(vec![stacks_page("", None)]).await;
        for (made, left) in [("arn:executed", 0), ("arn:since", 1)] {
            let observer = Observer::new(&canned.clients);
            let (stack, name) = ("api".to_owned(), "r-1".to_owned());
            let creation = Step::CreateChangeSet {
                stack: stack.clone(),
                name: name.clone(),
                kind: crate::deploy::Kind::Update,
                digest: String::new(),
                parameters: Vec::new(),
                tags: BTreeMap::new(),
                clears: false,
                is_drift_aware: false,
            };
            observer.begins(&creation);
            observer.was_made(&stack, &name, Some(made.to_owned()));
            let execution = Step::ExecuteChangeSet { stack, name, id: Some("arn:executed".to_owned()), token: None };
            observer.begins(&execution);
            observer.ended(&execution, Ok(&()));
            assert_eq!(observer.memory().made.len(), left, "{made}");
        }
    }

    #[tokio::test]
    async fn one_list_answers_for_all_stacks_of_a_place() {
        let both = stack_xml("network", "") + &stack_xml("database", "");
        let canned = canned::Canned::serve(vec![stacks_page(&both, None)]).await;
        let observer = Observer::new(&canned.clients);
        let world = observer.look_at(&[wish("network"), wish("database"), wish("elk")], |_, _| false).await;
        let world = world.expect("the answer is good");
        assert_eq!(world.stacks.keys().collect::<Vec<_>>(), ["database", "network"]);
        assert_eq!(canned.asked().len(), 1);
    }

    /// A page of events holds those of earlier operations too. They were taken for newer than what was known, so that a deletion
    /// showed the progress of the creation at every second look.
    #[tokio::test]
    async fn what_was_before_the_operation_does_not_come_back_at_the_second_look() {
        let event = |id: &str, kind: &str, resource: &str, status: &str| {
            let physical = if kind == STACK_TYPE { "<PhysicalResourceId>arn:sync</PhysicalResourceId>" } else { "" };
            let about = format!("<ResourceType>{kind}</ResourceType><LogicalResourceId>{resource}</LogicalResourceId>");
            format!(
                "<member><EventId>{id}</EventId>{about}{physical}<ResourceStatus>{status}</ResourceStatus></member>"
            )
        };
        let deletion = event("3", "AWS::SQS::Queue", "Queue", "DELETE_IN_PROGRESS")
            + &event("2", STACK_TYPE, "sync", "DELETE_IN_PROGRESS");
        let creation = event("1", "AWS::SQS::Queue", "Queue", "CREATE_COMPLETE")
            + &event("0", STACK_TYPE, "sync", "CREATE_IN_PROGRESS");
        let page =
            |events: &str| canned::result("DescribeStackEvents", &format!("<StackEvents>{events}</StackEvents>"));
        let all = deletion + &creation;
        let newer = event("4", "AWS::SQS::Queue", "Queue", "DELETE_COMPLETE") + &all;
        let canned = canned::Canned::serve(vec![page(&all), page(&newer)]).await;
        let observer = Observer::new(&canned.clients);
        let place = wish("network").place;
        let status = super::super::StackStatus::DeleteInProgress;
        let mut live = LiveStack { id: "arn:sync".to_owned(), status, ..LiveStack::default() };
        for expected in [&["2", "3"][..], &["2", "3", "4"]] {
            observer.look_into(&place, &mut live, Depth::Events).await.expect("the answers are good");
            assert_eq!(live.events.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), expected);
        }
    }

    #[tokio::test]
    async fn a_second_page_is_asked_for_and_then_only_what_is_looked_for() {
        let pages = vec![
            stacks_page(&stack_xml("other", ""), Some("more")),
            stacks_page(&stack_xml("network", ""), None),
            stacks_page(&stack_xml("network", ""), None),
        ];
        let canned = canned::Canned::serve(pages).await;
        let observer = Observer::new(&canned.clients);
        for _ in 0..2 {
            let world = observer.look_at(&[wish("network")], |_, _| false).await.expect("the answers are good");
            assert!(world.stacks.contains_key("network"));
        }
        let asked = canned.asked();
        assert!(asked[1].contains("NextToken=more"), "{asked:?}");
        assert!(asked[2].contains("StackName=sync-network"), "{asked:?}");
        assert_eq!(asked.len(), 3);
    }

    #[tokio::test]
    async fn a_stray_is_not_forgotten_where_stacks_are_asked_for_by_name() {
        let pages = vec![
            stacks_page(&stack_xml("network", ""), Some("more")),
            stacks_page(&stack_xml("cache", ""), None),
            stacks_page(&stack_xml("network", ""), None),
            stacks_page(&stack_xml("cache", ""), None),
        ];
        let canned = canned::Canned::serve(pages).await;
        let observer = Observer::new(&canned.clients);
        for _ in 0..2 {
            let is_stray = |stack: &LiveStack, _: &Place| stack.name == "sync-cache";
            let world = observer.look_at(&[wish("network")], is_stray).await.expect("the answers are good");
            assert_eq!(world.strays.len(), 1);
        }
    }

    #[tokio::test]
    async fn half_a_list_is_no_list() {
        let denied = canned::refusal(403, "AccessDenied", "no");
        let canned = canned::Canned::serve(vec![stacks_page(&stack_xml("network", ""), Some("more")), denied]).await;
        let seen = Observer::new(&canned.clients).look_at(&[wish("network")], |_, _| false).await;
        assert_eq!(seen, Err(Fault::Denied { message: "no".to_owned() }));
    }

    #[tokio::test]
    async fn a_stack_that_is_not_named_and_bears_the_marks_is_a_stray() {
        let tag = |key: &str, value: &str| format!("<member><Key>greenroom:{key}</Key><Value>{value}</Value></member>");
        let tags = tag("project", "sync") + &tag("environment", "scratch-jane") + &tag("stack", "cache");
        let canned = canned::Canned::serve(vec![stacks_page(&stack_xml("cache", &tags), None)]).await;
        let desired = Desired {
            project: "sync".to_owned(),
            environment_word: "scratch-jane".to_owned(),
            read: vec![crate::deploy::ReadStack { place: wish("network").place, ..Default::default() }],
            ..Desired::default()
        };
        let world = Observer::new(&canned.clients).observe(&desired).await.expect("the answer is good");
        assert_eq!(world.strays.len(), 1);
        assert_eq!(super::super::plan::stray_name(&world.strays[0]), "cache");
    }

    /// Stack tags reach nested stacks, our marks among them: deleting one by itself would tear a hole into a stack that is in use.
    #[tokio::test]
    async fn a_nested_stack_is_no_stray() {
        let nested = stack_xml("workers", "").replace("<Tags>", "<ParentId>arn:network</ParentId><Tags>");
        let canned = canned::Canned::serve(vec![stacks_page(&(stack_xml("network", "") + &nested), None)]).await;
        let observer = Observer::new(&canned.clients);
        let world = observer.look_at(&[wish("network")], |stack, _| stack.name != "sync-network").await;
        assert_eq!(world.expect("the answer is good").strays, []);
    }

    /// An event as CloudFormation tells it, at that minute.
    fn event_xml(resource: &str, physical_id: &str, status: &str, minute: u8) -> String {
        let kind = if physical_id.starts_with("arn:") { STACK_TYPE } else { "AWS::SQS::Queue" };
        let about = format!("<LogicalResourceId>{resource}</LogicalResourceId><ResourceType>{kind}</ResourceType>");
        let what = format!("<ResourceStatus>{status}</ResourceStatus><EventId>{resource}-{minute}</EventId>");
        let when = format!("<Timestamp>2026-11-25T08:{minute:02}:00Z</Timestamp>");
        format!("<member>{about}<PhysicalResourceId>{physical_id}</PhysicalResourceId>{what}{when}</member>")
    }

    fn events_answer(newest_first: &[String], next: Option<&str>) -> canned::Answer {
        let next = next.map(|next| format!("<NextToken>{next}</NextToken>")).unwrap_or_default();
        canned::result("DescribeStackEvents", &format!("<StackEvents>{}</StackEvents>{next}", newest_first.concat()))
    }

    #[tokio::test]
    async fn a_failure_is_followed_into_the_nested_stacks_it_came_from() {
        let answers = vec![
            events_answer(
                &[
                    event_xml("Workers", "arn:workers", "UPDATE_FAILED", 9),
                    event_xml("sync-api", "arn:api", "UPDATE_IN_PROGRESS", 5),
                ],
                None,
            ),
            events_answer(
                &[
                    // The rollback of the outer stack has deleted it since.
                    event_xml("sync-workers", "arn:workers", "DELETE_IN_PROGRESS", 10),
                    event_xml("Inner", "arn:inner", "CREATE_FAILED", 8),
                    event_xml("sync-workers", "arn:workers", "UPDATE_IN_PROGRESS", 6),
                    event_xml("Before", "old", "CREATE_FAILED", 1),
                ],
                Some("nobody asks for it"),
            ),
            events_answer(&[event_xml("Queue", "", "CREATE_FAILED", 7)], None),
        ];
        let canned = canned::Canned::serve(answers).await;
        let observer = Observer::new(&canned.clients);
        let mut live =
            LiveStack { id: "arn:api".to_owned(), status: StackStatus::UpdateRollbackComplete, ..LiveStack::default() };
        for _ in 0..2 {
            let looked = observer.look_into(&wish("api").place, &mut live, Depth::Events).await;
            assert_eq!(looked, Ok(()));
            assert_eq!(live.first_failure().path().as_deref(), Some("Workers/Inner/Queue"));
        }
        let about: Vec<String> = canned.asked().iter().map(|body| asked_about(body)).collect();
        assert_eq!(about, ["arn:api", "arn:workers", "arn:inner", "arn:api"], "what is over is asked for once");
    }

    fn asked_about(body: &str) -> String {
        let name = body.split('&').find_map(|pair| pair.strip_prefix("StackName=")).unwrap_or_default();
        name.replace("%3A", ":")
    }

    #[test]
    fn what_a_template_says_of_deletion_is_read_from_json_and_from_yaml() {
        let database = r#"{"DeletionPolicy":"Snapshot","Properties":{"AllocatedStorage":"100"}}"#;
        let json = format!(r#"{{"Resources":{{"Database":{database},"Queue":{{}}}}}}"#);
        let by_parameter = json.replace(r#""100""#, r#"{"Ref":"Storage"}"#);
        let yaml = "Resources:\n  Database: {DeletionPolicy: Snapshot, Properties: {AllocatedStorage: !Ref Storage}}\n  Queue: {}\n";
        let parameters = [("Storage".to_owned(), "100".to_owned())].into();
        for body in [json.as_str(), &by_parameter, yaml] {
            let database = Farewell { policy: Some("Snapshot".to_owned()), storage_gib: Some(100) };
            let expected = [("Database".to_owned(), database), ("Queue".to_owned(), Farewell::default())];
            assert_eq!(farewells(body, &parameters), expected.into());
        }
    }

    #[test]
    fn the_making_of_a_change_set_is_no_operation() {
        let entry = |kind, id: &str| types::OperationEntry::builder().operation_type(kind).operation_id(id).build();
        let stack = types::Stack::builder()
            .stack_name("x")
            .last_operations(entry(types::OperationType::CreateChangeset, "set"))
            .last_operations(entry(types::OperationType::UpdateStack, "update"))
            .build();
        assert_eq!(last_operation(&stack), "update");
        let old = types::Stack::builder().stack_name("x").creation_time(DateTime::from_secs(0)).build();
        assert_eq!(last_operation(&old), "1970-01-01T00:00:00Z");
    }
}
