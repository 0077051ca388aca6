//! Looks at both sides of a clone. Reads, and decides nothing.

use std::collections::BTreeMap;

use super::guards::{self, Guards};
use super::plan::is_beginning;
use super::removal::Identity;
use super::snapshot::was_made_for;
use super::{Desired, SeenDatabase, SeenSnapshot, SeenSource, World};
use crate::aws::rds::{Database, Rds, Snapshot};
use crate::aws::{Clients, Fault};
use crate::deploy::observe::{Depth, Observer, target};
use crate::deploy::world::Wish;
use crate::deploy::{LiveStack, Phase, Place};

/// What the source's stack is called in a look.
const SOURCE: &str = "source";

/// Looks, and remembers what its observers remember.
#[derive(Debug)]
pub struct TwinObserver<'clients> {
    clients: &'clients Clients,
    /// The target's stacks.
    pub deployment: Observer<'clients>,
    source: Observer<'clients>,
    /// Asked for once: later the run's own copies would count against it, and hours of looks would ask what cannot change.
    guards: tokio::sync::OnceCell<Guards>,
}

impl<'clients> TwinObserver<'clients> {
    /// Remembers nothing yet.
    pub fn new(clients: &'clients Clients) -> Self {
        Self {
            clients,
            deployment: Observer::new(clients),
            source: Observer::new(clients),
            guards: tokio::sync::OnceCell::new(),
        }
    }

    /// Looks at everything that a clone is about.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn observe(&self, desired: &Desired) -> Result<World, Fault> {
        let mut deploy = self.deployment.observe(&desired.open).await?;
        let live = deploy.stacks.get_mut(&desired.target.stack);
        let mut world = World::default();
        match live {
            Some(live) if !is_beginning(desired, live) => {
                world.database = self.restored(desired, live).await?;
            }
            _ => {
                world.source = Some(self.source(desired).await?);
                world.copies = self.copies(desired).await?;
            }
        }
        // The clock of the last answer: ages are judged by it.
        deploy.now = self.clients.now();
        world.deploy = deploy;
        if world.source.as_ref().is_some_and(|source| source.database.is_some()) {
            let guards = self
                .guards
                .get_or_try_init(|| Box::pin(guards::observe::observe(self.clients, desired, &world)))
                .await?;
            world.guards = Some(guards.clone());
        }
        Ok(world)
    }

    async fn rds(&self, place: &Place) -> Rds {
        self.clients.rds(target(place)).await
    }

    /// The database of a stack that is at rest.
    async fn restored(&self, desired: &Desired, live: &LiveStack) -> Result<Option<SeenDatabase>, Fault> {
        if live.status.phase() != Phase::Steady {
            return Ok(None);
        }
        let place = &desired.target.place;
        let mut live = live.clone();
        self.deployment.look_into(place, &mut live, Depth::Resources).await?;
        self.database(place, &live, &desired.target.database).await
    }

    async fn database(&self, place: &Place, live: &LiveStack, logical_id: &str) -> Result<Option<SeenDatabase>, Fault> {
        let resource = live.resources.iter().find(|resource| resource.logical_id == logical_id && !resource.is_gone());
        let Some(id) = resource.and_then(|resource| resource.physical_id.as_deref()) else { return Ok(None) };
        Ok(self.rds(place).await.database(id).await?.map(seen_database))
    }

    async fn source(&self, desired: &Desired) -> Result<SeenSource, Fault> {
        let place = &desired.source.place;
        let wish =
            Wish { label: SOURCE.to_owned(), stack_name: desired.source.stack_name.clone(), place: place.clone() };
        let mut world = self.source.look_at(&[wish], |_, _| false).await?;
        let is_there = |live: &LiveStack| !matches!(live.status.phase(), Phase::Gone | Phase::Empty);
        let Some(mut live) = world.stacks.remove(SOURCE).filter(is_there) else { return Ok(SeenSource::default()) };
        self.source.look_into(place, &mut live, Depth::Resources).await?;
        let Some(database) = self.database(place, &live, &desired.source.database).await? else {
            return Ok(SeenSource::default());
        };
        let rds = self.rds(place).await;
        let mut snapshots: Vec<SeenSnapshot> = Vec::new();
        for snapshot in rds.snapshots_of(&database.id).await? {
            // A database of the same name may have lived before.
            if snapshot.database_resource_id.as_ref().is_none_or(|id| *id == database.resource_id) {
                snapshots.push(seen_snapshot(snapshot));
            }
        }
        for snapshot in &mut snapshots {
            if was_made_for(&desired.target.project, &desired.target.word, snapshot) {
                snapshot.shared_with = rds.shared_with(&snapshot.name).await?;
            }
        }
        snapshots.sort_by(|left, right| left.name.cmp(&right.name));
        let is_key = |kind: &str| kind == "AWS::KMS::Key";
        let keys = live.resources.iter().filter(|resource| is_key(&resource.kind) && !resource.is_gone());
        let keys = keys.filter_map(|resource| resource.physical_id.clone()).collect();
        Ok(SeenSource { database: Some(database), snapshots, keys })
    }

    async fn copies(&self, desired: &Desired) -> Result<Vec<SeenSnapshot>, Fault> {
        made_for(self.clients, &desired.target.place, &desired.target.project, &desired.target.word).await
    }
}

/// The databases that are resources of stacks. Stacks that are not there have none.
///
/// # Errors
/// What a call ended with.
pub async fn databases(clients: &Clients, stacks: &[Wish]) -> Result<Vec<Identity>, Fault> {
    let observer = Observer::new(clients);
    let mut world = observer.look_at(stacks, |_, _| false).await?;
    let mut found = Vec::new();
    for wish in stacks {
        let is_there = |live: &LiveStack| !matches!(live.status.phase(), Phase::Gone | Phase::Empty);
        let Some(mut live) = world.stacks.remove(&wish.label).filter(is_there) else { continue };
        observer.look_into(&wish.place, &mut live, Depth::Resources).await?;
        let rds = clients.rds(target(&wish.place)).await;
        for resource in live.resources.iter().filter(|it| it.kind == "AWS::RDS::DBInstance" && !it.is_gone()) {
            let Some(id) = resource.physical_id.as_deref() else { continue };
            let path = format!("{}/{}", wish.label, resource.logical_id);
            let database = rds.database(id).await?;
            found.extend(database.map(|it| Identity { path, id: it.id, resource_id: it.resource_id }));
        }
    }
    Ok(found)
}

/// The snapshots of a place that were made for an environment.
///
/// # Errors
/// What a call ended with.
pub async fn made_for(clients: &Clients, place: &Place, project: &str, word: &str) -> Result<Vec<SeenSnapshot>, Fault> {
    let all = clients.rds(target(place)).await.manual_snapshots().await?;
    let mut ours: Vec<SeenSnapshot> = all.into_iter().map(seen_snapshot).collect();
    ours.retain(|snapshot| was_made_for(project, word, snapshot));
    ours.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(ours)
}

fn seen_database(database: Database) -> SeenDatabase {
    let membership = |what: &str, name: &str, status: &str| format!("{what} `{name}` is {status}");
    let mut unsettled = Vec::new();
    for group in database.parameter_groups.iter().filter(|group| group.status != "in-sync") {
        unsettled.push(membership("parameter group", &group.name, &group.status));
    }
    for group in database.option_groups.iter().filter(|group| group.status != "in-sync") {
        unsettled.push(membership("option group", &group.name, &group.status));
    }
    for group in database.security_groups.iter().filter(|group| group.status != "active") {
        unsettled.push(membership("security group", &group.name, &group.status));
    }
    if let Some(secret) = database.master_secret.as_ref().filter(|secret| secret.status != "active") {
        unsettled.push(membership("the master's secret", &secret.name, &secret.status));
    }
    SeenDatabase {
        id: database.id,
        resource_id: database.resource_id,
        status: database.status,
        pending: database.pending.iter().map(|name| (*name).to_owned()).collect(),
        unsettled,
        properties: plain(database.properties),
    }
}

fn plain(properties: BTreeMap<&'static str, serde_json::Value>) -> super::Properties {
    properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn seen_snapshot(snapshot: Snapshot) -> SeenSnapshot {
    let version = snapshot.properties.get("EngineVersion").and_then(serde_json::Value::as_str).map(str::to_owned);
    SeenSnapshot {
        name: snapshot.name,
        arn: snapshot.arn,
        kind: snapshot.kind,
        status: snapshot.status,
        percent: snapshot.percent,
        created: snapshot.created,
        data_as_of: snapshot.data_as_of,
        key: snapshot.key.filter(|_| snapshot.is_encrypted),
        engine_version: version,
        tags: snapshot.tags,
        shared_with: Vec::new(),
    }
}
