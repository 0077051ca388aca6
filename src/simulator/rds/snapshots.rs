//! Snapshots of databases: taken, copied, shared, deleted. Automated ones are named `rds:<database>-<time>` and die with
//! their database.

use super::{Database, SNAPSHOTS_MAX, Transition, find, number, text};
use crate::simulator::moment::Moment;
use crate::simulator::refusal::Refusal;
use crate::simulator::world::{self, Place, World};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) database: String,
    pub(crate) database_resource_id: String,
    pub(crate) database_created: Moment,
    /// `manual` or `automated`.
    pub(crate) kind: String,
    /// `creating`, `copying` or `available`.
    pub(crate) status: String,
    pub(crate) started: Moment,
    pub(crate) seconds: u64,
    /// When this snapshot was completed; a copy has a time of its own.
    pub(crate) created: Moment,
    /// When the first of its line was completed; copies keep it.
    pub(crate) original_created: Moment,
    /// The last transaction in it; copies keep it.
    pub(crate) database_time: Moment,
    /// The database's properties at that time.
    pub(crate) model: Map<String, Value>,
    pub(crate) tags: Vec<Value>,
    /// Accounts it is shared with; `all` makes it public.
    pub(crate) shared_with: BTreeSet<String>,
    pub(crate) source_arn: Option<String>,
}

impl Snapshot {
    pub(crate) fn arn(&self, place: &Place) -> String {
        place.arn("rds", &format!("snapshot:{}", self.name))
    }

    fn is_automated_of(&self, database: &str) -> bool {
        self.kind == "automated" && self.database == database
    }

    pub(crate) fn percent(&self, now: Moment) -> u64 {
        if self.status == "available" {
            return 100;
        }
        let passed = now.epoch_seconds().saturating_sub(self.started.epoch_seconds());
        (passed * 100).checked_div(self.seconds).unwrap_or(100).min(99)
    }
}

/// What `take` is asked for.
pub(crate) struct TakeSnapshot<'a> {
    pub(crate) name: &'a str,
    pub(crate) database: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) tags: Option<Vec<Value>>,
}

/// Begins a snapshot; gives the seconds it takes.
pub(crate) fn take(world: &mut World, place: &Place, wanted: &TakeSnapshot<'_>) -> Result<u64, Refusal> {
    let name = wanted.name.to_lowercase();
    check_new(world, place, &name)?;
    let seconds = world.rules.durations.snapshot;
    let now = world.now();
    let database = find(world, place, wanted.database)?;
    if !database.can_be_snapshotted() && wanted.kind == "manual" {
        let message = format!(
            "Cannot create a snapshot because the database instance {} is not currently in the available state.",
            wanted.database
        );
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    let snapshot = snapshot_of(database, &name, wanted, now, seconds);
    world.services(place).rds.snapshots.insert(name.clone(), snapshot);
    world.schedule(seconds, world::Transition::Rds(place.clone(), Transition::SnapshotEnds { snapshot: name }));
    Ok(seconds)
}

fn snapshot_of(database: &Database, name: &str, wanted: &TakeSnapshot<'_>, now: Moment, seconds: u64) -> Snapshot {
    let copies_tags = super::truth(&database.model, "CopyTagsToSnapshot");
    let own_tags = || database.model.get("Tags").and_then(Value::as_array).cloned().filter(|_| copies_tags);
    Snapshot {
        name: name.to_owned(),
        database: wanted.database.to_lowercase(),
        database_resource_id: database.resource_id.clone(),
        database_created: database.created,
        kind: wanted.kind.to_owned(),
        status: "creating".to_owned(),
        started: now,
        seconds,
        created: now,
        original_created: now,
        database_time: now,
        model: database.model.clone(),
        tags: wanted.tags.clone().or_else(own_tags).unwrap_or_default(),
        shared_with: BTreeSet::new(),
        source_arn: None,
    }
}

/// The automated snapshot at the end of a backup; it is complete at once.
pub(super) fn take_automated(world: &mut World, place: &Place, database: &str) {
    let now = world.now();
    take_automated_at(world, place, database, now);
}

fn take_automated_at(world: &mut World, place: &Place, database: &str, now: Moment) {
    let name = format!("rds:{database}-{}", now.snapshot_stamp());
    let wanted = TakeSnapshot { name: &name, database, kind: "automated", tags: None };
    if let Ok(database) = find(world, place, database) {
        let mut snapshot = snapshot_of(database, &name, &wanted, now, 0);
        "available".clone_into(&mut snapshot.status);
        world.services(place).rds.snapshots.insert(name, snapshot);
    }
}

pub(super) fn end(world: &mut World, place: &Place, name: &str) {
    let now = world.now();
    if let Some(snapshot) = world.services(place).rds.snapshots.get_mut(name) {
        if snapshot.status == "creating" {
            snapshot.original_created = now;
        }
        "available".clone_into(&mut snapshot.status);
        snapshot.created = now;
    }
}

pub(super) fn forget_automated(world: &mut World, place: &Place, database: &str) {
    world
        .services(place)
        .rds
        .snapshots
        .retain(|_, snapshot| snapshot.kind != "automated" || snapshot.database != database);
}

/// How many seconds a day has.
const DAY_SECONDS: u64 = 86_400;

/// Takes the automated snapshots that are due since anybody looked, and drops those past their retention: one a day, a day after
/// the last one. Nothing waits for them and nothing is busy with them, so that a world which is left alone is at rest.
pub(super) fn catch_up(world: &mut World, place: &Place) {
    let now = world.now();
    let Some(services) = world.services_at(place) else { return };
    let databases = services.rds.databases.iter().filter(|(_, database)| database.retention_days() > 0);
    let due: Vec<(String, Moment)> = databases
        .filter(|(_, database)| database.can_be_snapshotted())
        .flat_map(|(id, database)| {
            let kept = database.retention_days();
            let last = services.rds.snapshots.values().filter(|snapshot| snapshot.is_automated_of(id));
            let last = last.map(|snapshot| snapshot.database_time).max().unwrap_or(database.created);
            let days = now.epoch_seconds().saturating_sub(last.epoch_seconds()) / DAY_SECONDS;
            let first = days.saturating_sub(kept);
            (first + 1..=days).map(move |day| (id.clone(), last.after_seconds(day * DAY_SECONDS)))
        })
        .collect();
    for (id, at) in due {
        take_automated_at(world, place, &id, at);
    }
    let services = world.services(place);
    let databases = &services.rds.databases;
    services.rds.snapshots.retain(|_, snapshot| {
        let kept = databases.get(&snapshot.database).map_or(0, Database::retention_days);
        let age = now.epoch_seconds().saturating_sub(snapshot.database_time.epoch_seconds());
        snapshot.kind != "automated" || age <= kept.max(1) * DAY_SECONDS
    });
}

/// A snapshot by name, or by ARN if it is shared with the account that asks; with the place where it lies.
pub(super) fn found(world: &World, place: &Place, name: &str) -> Result<(Place, Snapshot), Refusal> {
    let snapshot = find_or_refuse(world, place, name)?;
    let mut parts = name.split(':').skip(3);
    let owner = match (name.starts_with("arn:"), parts.next(), parts.next()) {
        (true, Some(region), Some(account)) => Place::new(account, region),
        _ => place.clone(),
    };
    Ok((owner, snapshot))
}

/// What other accounts share with this one, in this Region.
pub(super) fn shared(world: &World, place: &Place) -> Vec<(Place, Snapshot)> {
    let foreign = world.places().filter(|owner| owner.account != place.account && owner.region == place.region);
    let mut all = Vec::new();
    for owner in foreign {
        let snapshots = world.services_at(&owner).into_iter().flat_map(|services| services.rds.snapshots.values());
        let is_ours = |snapshot: &&Snapshot| snapshot.shared_with.contains(&place.account);
        all.extend(snapshots.filter(is_ours).map(|snapshot| (owner.clone(), snapshot.clone())));
    }
    all
}

/// A snapshot by name, or by ARN if it is shared with the account that asks.
pub(crate) fn find_snapshot(world: &World, place: &Place, name: &str) -> Option<Snapshot> {
    let Some(rest) = name.strip_prefix("arn:aws:rds:") else {
        return world.services_at(place)?.rds.snapshots.get(&name.to_lowercase()).cloned();
    };
    let mut parts = rest.splitn(4, ':');
    let (region, account) = (parts.next()?, parts.next()?);
    let _snapshot = parts.next()?;
    let owner = Place::new(account, region);
    let snapshot = world.services_at(&owner)?.rds.snapshots.get(parts.next()?)?;
    let is_visible = account == place.account
        || snapshot.shared_with.contains(&place.account)
        || snapshot.shared_with.contains("all");
    is_visible.then(|| snapshot.clone())
}

pub(super) fn find_or_refuse(world: &World, place: &Place, name: &str) -> Result<Snapshot, Refusal> {
    find_snapshot(world, place, name)
        .ok_or_else(|| Refusal::new("DBSnapshotNotFound", format!("DBSnapshot {name} not found.")).with_status(404))
}

/// A snapshot to restore. One that another account shared encrypted must be copied first.
pub(super) fn find_restorable(world: &World, place: &Place, name: &str) -> Result<Snapshot, Refusal> {
    let snapshot = find_or_refuse(world, place, name)?;
    if name.starts_with("arn:") && !name.contains(&format!(":{}:", place.region)) {
        let message = format!("Invalid snapshot identifier: {name} is in another Region; copy it first.");
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    let is_foreign = name.starts_with("arn:") && !name.contains(&format!(":{}:", place.account));
    if is_foreign && super::truth(&snapshot.model, "StorageEncrypted") {
        return Err(Refusal::new(
            "InvalidDBSnapshotState",
            "An encrypted snapshot shared by another account must be copied before it is restored.",
        ));
    }
    Ok(snapshot)
}

fn check_new(world: &World, place: &Place, name: &str) -> Result<(), Refusal> {
    let snapshots = world.services_at(place).map(|services| &services.rds.snapshots);
    if snapshots.is_some_and(|snapshots| snapshots.contains_key(name)) {
        let message =
            format!("Cannot create the snapshot because a snapshot with the identifier {name} already exists.");
        return Err(Refusal::new("DBSnapshotAlreadyExists", message));
    }
    let manual =
        snapshots.map_or(0, |snapshots| snapshots.values().filter(|snapshot| snapshot.kind == "manual").count());
    if manual >= SNAPSHOTS_MAX {
        return Err(Refusal::new("SnapshotQuotaExceeded", "Cannot create more than 100 manual snapshots"));
    }
    Ok(())
}

/// What `copy` is asked for.
pub(super) struct CopySnapshot<'a> {
    pub(super) source: &'a str,
    pub(super) name: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) tags: Option<Vec<Value>>,
    pub(super) copies_tags: bool,
}

/// Copies a snapshot, under another key if one is given; what was encrypted stays so.
pub(super) fn copy(world: &mut World, place: &Place, wanted: CopySnapshot<'_>) -> Result<Snapshot, Refusal> {
    let name = wanted.name.to_lowercase();
    check_new(world, place, &name)?;
    let mut copy = find_or_refuse(world, place, wanted.source)?;
    if copy.status != "available" {
        return Err(Refusal::new("InvalidDBSnapshotState", "The source snapshot must be in the available state."));
    }
    let is_encrypted = super::truth(&copy.model, "StorageEncrypted");
    let is_elsewhere =
        wanted.source.starts_with("arn:") && !wanted.source.contains(&format!(":{}:{}:", place.region, place.account));
    if is_encrypted && is_elsewhere && wanted.key.is_none() {
        let message = "An encrypted snapshot of another account or Region can only be copied under a key that is here: specify KmsKeyId.";
        return Err(Refusal::new("InvalidParameterCombination", message));
    }
    if let Some(key) = wanted.key {
        super::check_key(world, place, key)?;
        copy.model.insert("KmsKeyId".to_owned(), key.into());
        copy.model.insert("StorageEncrypted".to_owned(), true.into());
    }
    copy.source_arn = Some(if wanted.source.starts_with("arn:") { wanted.source.to_owned() } else { copy.arn(place) });
    copy.tags = wanted.tags.unwrap_or_else(|| if wanted.copies_tags { copy.tags.clone() } else { Vec::new() });
    copy.name.clone_from(&name);
    "manual".clone_into(&mut copy.kind);
    "copying".clone_into(&mut copy.status);
    copy.shared_with.clear();
    copy.started = world.now();
    copy.seconds = world.rules.durations.snapshot;
    let seconds = copy.seconds;
    world.services(place).rds.snapshots.insert(name.clone(), copy.clone());
    world.schedule(seconds, world::Transition::Rds(place.clone(), Transition::SnapshotEnds { snapshot: name }));
    Ok(copy)
}

pub(super) fn delete(world: &mut World, place: &Place, name: &str) -> Result<Snapshot, Refusal> {
    let snapshot = find_or_refuse(world, place, name)?;
    if snapshot.kind == "automated" || snapshot.status != "available" {
        let message = format!(
            "Cannot delete the snapshot because it is not currently in the available state or is automated: {name}"
        );
        return Err(Refusal::new("InvalidDBSnapshotState", message));
    }
    world.services(place).rds.snapshots.remove(&snapshot.name);
    Ok(snapshot)
}

/// Shares a snapshot with accounts or takes that back.
pub(super) fn share(
    world: &mut World,
    place: &Place,
    name: &str,
    add: Vec<String>,
    remove: &[String],
) -> Result<Snapshot, Refusal> {
    let snapshot = find_or_refuse(world, place, name)?;
    let is_under_default_key = super::truth(&snapshot.model, "StorageEncrypted")
        && text(&snapshot.model, "KmsKeyId").is_none_or(|key| key.contains("alias/aws/rds"));
    if snapshot.kind == "automated" || (is_under_default_key && !add.is_empty()) {
        let message = "Cannot share an automated snapshot, or one that is encrypted with the default key.";
        return Err(Refusal::new("InvalidDBSnapshotState", message));
    }
    if super::truth(&snapshot.model, "StorageEncrypted") && add.iter().any(|account| account == "all") {
        return Err(Refusal::new("InvalidParameterValue", "An encrypted snapshot cannot be made public."));
    }
    let snapshot =
        world.services(place).rds.snapshots.get_mut(&snapshot.name).ok_or_else(|| {
            Refusal::new("DBSnapshotNotFound", format!("DBSnapshot {name} not found.")).with_status(404)
        })?;
    snapshot.shared_with.extend(add);
    for account in remove {
        snapshot.shared_with.remove(account);
    }
    Ok(snapshot.clone())
}

/// How much a snapshot holds, in GiB.
pub(super) fn gibibytes(snapshot: &Snapshot) -> u64 {
    number(&snapshot.model, "AllocatedStorage").unwrap_or(20)
}
