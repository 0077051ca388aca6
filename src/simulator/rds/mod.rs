//! RDS: databases and snapshots with their lives. A database's properties are kept as the registry names them, so that
//! CloudFormation's handler (`resources/database.rs`) and the direct API (`api.rs`) look at one thing. Aurora, replicas
//! and a real PostgreSQL behind it are left out.

mod api;
#[cfg(test)]
mod claims;
mod offers;
mod snapshots;

use super::moment::Moment;
use super::refusal::Refusal;
use super::resources::{self, Failure, Order, text};
use super::world::{self, Place, World};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

pub(crate) use api::call;
pub(crate) use snapshots::{Snapshot, TakeSnapshot, take};

/// Databases and snapshots of one account and Region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rds {
    pub(crate) databases: BTreeMap<String, Database>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Database {
    /// Its properties, as the registry names them.
    pub(crate) model: Map<String, Value>,
    pub(crate) resource_id: String,
    pub(crate) status: Status,
    pub(crate) created: Moment,
    /// What a modification that is not immediate waits with.
    pub(crate) pending: Map<String, Value>,
    pub(crate) group_status: GroupStatus,
    /// The secret that RDS keeps for a database which asks it to manage its master password.
    pub(crate) secret_arn: Option<String>,
    /// When it leaves its status.
    stage_ends: Moment,
    /// What it passes through before it is available again.
    stages: VecDeque<Stage>,
    /// Counts the stages begun: a transition of an earlier count is void.
    serial: u64,
    /// What CloudFormation's handler still wants of it once it is available.
    pub(crate) chores: VecDeque<Chore>,
}

/// `DBInstanceStatus`, as far as databases here come to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Creating,
    BackingUp,
    Available,
    Modifying,
    /// Its storage is rearranged, for hours; a fault makes it so.
    StorageOptimization,
    Rebooting,
    Deleting,
    /// A terminal status a fault put it into, such as `incompatible-restore`.
    Broken(String),
}

impl Status {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Creating => "creating",
            Self::BackingUp => "backing-up",
            Self::Available => "available",
            Self::Modifying => "modifying",
            Self::StorageOptimization => "storage-optimization",
            Self::Rebooting => "rebooting",
            Self::Deleting => "deleting",
            Self::Broken(status) => status,
        }
    }
}

/// Whether a database runs with its parameter group's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GroupStatus {
    InSync,
    PendingReboot,
}

impl GroupStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::PendingReboot => "pending-reboot",
        }
    }
}

/// A status and how long it lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stage {
    status: Status,
    seconds: u64,
}

/// Something CloudFormation's handler does after a restore or an update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Chore {
    Modify(Map<String, Value>),
    Reboot,
}

/// What happens by itself in RDS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Transition {
    StageEnds { database: String, serial: u64 },
    SnapshotEnds { snapshot: String },
}

/// The default quota of database instances (RDS User Guide, "Quotas and constraints").
const DATABASES_MAX: usize = 40;

/// The default quota of manual snapshots (the same page).
const SNAPSHOTS_MAX: usize = 100;

impl Database {
    pub(crate) fn arn(&self, place: &Place) -> String {
        place.arn("rds", &format!("db:{}", text(&self.model, "DBInstanceIdentifier").unwrap_or_default()))
    }

    /// Whether a snapshot can be taken (RDS User Guide, "Creating a DB snapshot").
    fn can_be_snapshotted(&self) -> bool {
        matches!(&self.status, Status::Available | Status::StorageOptimization)
    }

    /// Whether nothing is under way or waiting any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.status == Status::Available && self.chores.is_empty()
    }

    /// Until its status changes, in virtual seconds; at least one.
    pub(crate) fn seconds_left(&self, now: Moment) -> u64 {
        self.stage_ends.epoch_seconds().saturating_sub(now.epoch_seconds()).max(1)
    }

    pub(crate) fn address(&self, place: &Place) -> String {
        let identifier = text(&self.model, "DBInstanceIdentifier").unwrap_or_default();
        let digest = super::identifiers::hex_digest(&format!("{}:{}", place.account, place.region));
        format!("{identifier}.c{}.{}.rds.amazonaws.com", digest.get(..11).unwrap_or_default(), place.region)
    }

    pub(crate) fn port(&self) -> u64 {
        let default = match text(&self.model, "Engine").unwrap_or_default().as_str() {
            "mysql" | "mariadb" => 3306,
            engine if engine.starts_with("oracle") => 1521,
            engine if engine.starts_with("sqlserver") => 1433,
            _ => 5432,
        };
        text(&self.model, "Port").and_then(|port| port.parse().ok()).unwrap_or(default)
    }

    fn retention_days(&self) -> u64 {
        number(&self.model, "BackupRetentionPeriod").unwrap_or(1)
    }
}

pub(crate) fn number(model: &Map<String, Value>, name: &str) -> Option<u64> {
    text(model, name)?.parse().ok()
}

pub(crate) fn truth(model: &Map<String, Value>, name: &str) -> bool {
    text(model, name).is_some_and(|truth| truth.eq_ignore_ascii_case("true"))
}

/// Creates an empty database.
pub(crate) fn create(world: &mut World, place: &Place, mut model: Map<String, Value>) -> Result<String, Refusal> {
    let id = lower_identifier(&mut model)?;
    check_new(world, place, &id)?;
    check_surroundings(world, place, &model)?;
    for name in ["Engine", "DBInstanceClass"] {
        if !model.contains_key(name) {
            return Err(Refusal::new("InvalidParameterValue", format!("Invalid parameter: {name} must be provided")));
        }
    }
    check_password(&model)?;
    let seconds = world.rules.durations.database_create;
    begin_life(world, place, &id, model, seconds);
    Ok(id)
}

/// What a restore takes from the snapshot whatever the call says.
const KEPT: [&str; 7] =
    ["EngineVersion", "DBName", "MasterUsername", "KmsKeyId", "StorageEncrypted", "MasterUserPassword", "Engine"];

/// What a restore takes from the snapshot where the call says nothing.
const INHERITED: [&str; 6] =
    ["AllocatedStorage", "Port", "DBInstanceClass", "BackupRetentionPeriod", "Tags", "LicenseModel"];

/// Restores a database from a snapshot. Engine version, name, master user, port, storage and key stay the snapshot's;
/// everything else comes from the call or is RDS's default.
pub(crate) fn restore(
    world: &mut World,
    place: &Place,
    snapshot: &str,
    mut model: Map<String, Value>,
) -> Result<String, Refusal> {
    let id = lower_identifier(&mut model)?;
    check_new(world, place, &id)?;
    check_surroundings(world, place, &model)?;
    snapshots::catch_up(world, place);
    let snapshot = snapshots::find_restorable(world, place, snapshot)?;
    if snapshot.status != "available" {
        let message = format!("DBSnapshot must have state available but actually has {}", snapshot.status);
        return Err(Refusal::new("InvalidDBSnapshotState", message));
    }
    let source = &snapshot.model;
    let is_too_small = number(&model, "AllocatedStorage")
        .zip(number(source, "AllocatedStorage"))
        .is_some_and(|(wanted, had)| wanted < had);
    if is_too_small {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "The allocated storage must not be less than the snapshot's",
        ));
    }
    for name in KEPT {
        match source.get(name) {
            Some(value) => model.insert(name.to_owned(), value.clone()),
            None => model.remove(name),
        };
    }
    for name in INHERITED {
        if let Some(value) = source.get(name).filter(|_| !model.contains_key(name)) {
            model.insert(name.to_owned(), value.clone());
        }
    }
    let seconds = world.rules.durations.database_restore;
    begin_life(world, place, &id, model, seconds);
    Ok(id)
}

fn begin_life(world: &mut World, place: &Place, id: &str, model: Map<String, Value>, seconds: u64) {
    let database = Database {
        model,
        resource_id: format!("db-{}", world.identifiers.suffix(26)),
        status: Status::Available,
        created: world.now(),
        pending: Map::new(),
        group_status: GroupStatus::InSync,
        secret_arn: None,
        stage_ends: world.now(),
        stages: VecDeque::new(),
        serial: 0,
        chores: VecDeque::new(),
    };
    let backs_up = database.retention_days() > 0;
    world.services(place).rds.databases.insert(id.to_owned(), database);
    keep_master_secret(world, place, id);
    let mut stages = vec![Stage { status: Status::Creating, seconds }];
    if backs_up {
        stages.push(Stage { status: Status::BackingUp, seconds: world.rules.durations.database_backup });
    }
    begin(world, place, id, stages);
}

/// These need neither a wait nor a window (RDS API, `ModifyDBInstance`).
const AT_ONCE: [&str; 6] = [
    "DeletionProtection",
    "Tags",
    "CopyTagsToSnapshot",
    "BackupRetentionPeriod",
    "MasterUserPassword",
    "VPCSecurityGroups",
];

/// Changes a database, at once or in its maintenance window (which never comes here: a reboot applies it).
pub(crate) fn modify(
    world: &mut World,
    place: &Place,
    id: &str,
    changes: Map<String, Value>,
    is_immediate: bool,
) -> Result<(), Refusal> {
    check_surroundings(world, place, &changes)?;
    check_password(&changes)?;
    let seconds = world.rules.durations.database_modify;
    let database = find_mut(world, place, id)?;
    if database.status != Status::Available {
        return Err(Refusal::new("InvalidDBInstanceState", "Database instance is not in available state."));
    }
    if changes
        .get("DBParameterGroupName")
        .is_some_and(|group| database.model.get("DBParameterGroupName") != Some(group))
    {
        database.group_status = GroupStatus::PendingReboot;
    }
    let (at_once, waiting): (Map<_, _>, Map<_, _>) = changes
        .into_iter()
        .partition(|(name, _)| is_immediate || AT_ONCE.contains(&name.as_str()) || name == "DBParameterGroupName");
    database.pending.extend(waiting);
    database.pending.extend(at_once.clone());
    if !is_immediate {
        for (name, value) in at_once {
            database.pending.remove(&name);
            database.model.insert(name, value);
        }
        return Ok(());
    }
    begin(world, place, id, vec![Stage { status: Status::Modifying, seconds }]);
    Ok(())
}

pub(crate) fn reboot(world: &mut World, place: &Place, id: &str) -> Result<(), Refusal> {
    let seconds = world.rules.durations.database_reboot;
    let database = find_mut(world, place, id)?;
    if database.status != Status::Available {
        return Err(Refusal::new("InvalidDBInstanceState", "Database instance is not in available state."));
    }
    begin(world, place, id, vec![Stage { status: Status::Rebooting, seconds }]);
    Ok(())
}

/// Begins deleting a database, after a last snapshot if one is named. Gives the seconds that takes.
pub(crate) fn delete(world: &mut World, place: &Place, id: &str, last_snapshot: Option<&str>) -> Result<u64, Refusal> {
    let seconds = world.rules.durations.database_delete;
    let database = find_mut(world, place, id)?;
    if truth(&database.model, "DeletionProtection") {
        let message = "Cannot delete protected DB Instance, please disable deletion protection and try again.";
        return Err(Refusal::new("InvalidParameterCombination", message));
    }
    if database.status == Status::Deleting {
        let message = format!("Instance {id} is already being deleted.");
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    let mut total = seconds;
    if let Some(name) = last_snapshot {
        if !database.can_be_snapshotted() {
            let message = format!(
                "Cannot create a snapshot because the database instance {id} is not currently in the available state."
            );
            return Err(Refusal::new("InvalidDBInstanceState", message));
        }
        total += take(world, place, &TakeSnapshot { name, database: id, kind: "manual", tags: None })?;
    }
    if let Some(database) = world.services(place).rds.databases.get_mut(id) {
        database.chores.clear();
    }
    begin(world, place, id, vec![Stage { status: Status::Deleting, seconds: total }]);
    Ok(total)
}

fn begin(world: &mut World, place: &Place, id: &str, stages: Vec<Stage>) {
    let Some(database) = world.services(place).rds.databases.get_mut(id) else {
        return;
    };
    database.stages = stages.into();
    enter_next_stage(world, place, id);
}

fn enter_next_stage(world: &mut World, place: &Place, id: &str) {
    let now = world.now();
    let Some(database) = world.services(place).rds.databases.get_mut(id) else {
        return;
    };
    database.serial += 1;
    let serial = database.serial;
    match database.stages.pop_front() {
        Some(stage) => {
            database.status = stage.status;
            database.stage_ends = now.after_seconds(stage.seconds);
            let transition = Transition::StageEnds { database: id.to_owned(), serial };
            world.schedule(stage.seconds, world::Transition::Rds(place.clone(), transition));
        }
        None => {
            database.status = Status::Available;
            begin_next_chore(world, place, id);
        }
    }
}

fn begin_next_chore(world: &mut World, place: &Place, id: &str) {
    let chore = world.services(place).rds.databases.get_mut(id).and_then(|database| database.chores.pop_front());
    let outcome = match chore {
        Some(Chore::Modify(changes)) => modify(world, place, id, changes, true),
        Some(Chore::Reboot) => reboot(world, place, id),
        None => Ok(()),
    };
    // A chore was checked when it was ordered; what has vanished since leaves the database as RDS would show it.
    if outcome.is_err()
        && let Some(database) = world.services(place).rds.databases.get_mut(id)
    {
        database.status = Status::Broken("incompatible-parameters".to_owned());
    }
}

/// Runs what is due.
pub(crate) fn run(world: &mut World, place: &Place, transition: Transition) {
    match transition {
        Transition::StageEnds { database, serial } => end_stage(world, place, &database, serial),
        Transition::SnapshotEnds { snapshot } => snapshots::end(world, place, &snapshot),
    }
}

/// It ends by itself, unlike the other statuses a fault can ask for; RDS takes up to a day.
const STORAGE_OPTIMIZATION_SECONDS: u64 = 6 * 60 * 60;

fn end_stage(world: &mut World, place: &Place, id: &str, serial: u64) {
    let Some(database) = world.services(place).rds.databases.get_mut(id).filter(|database| database.serial == serial)
    else {
        return;
    };
    match database.status.clone() {
        Status::Deleting => {
            let database = world.services(place).rds.databases.remove(id);
            if let Some(arn) = database.and_then(|database| database.secret_arn) {
                resources::vanish(world, place, "AWS::SecretsManager::Secret", &arn);
            }
            snapshots::forget_automated(world, place, id);
            return;
        }
        Status::Modifying => apply_pending(database),
        Status::Rebooting => {
            apply_pending(database);
            database.group_status = GroupStatus::InSync;
        }
        Status::BackingUp => snapshots::take_automated(world, place, id),
        Status::Creating => {
            if let Some(status) = injected_status(world, id) {
                let Some(database) = world.services(place).rds.databases.get_mut(id) else { return };
                if status != Status::StorageOptimization.as_str() {
                    database.status = Status::Broken(status);
                    return;
                }
                let stage = Stage { status: Status::StorageOptimization, seconds: STORAGE_OPTIMIZATION_SECONDS };
                database.stages.push_front(stage);
            }
        }
        Status::Available | Status::StorageOptimization | Status::Broken(_) => {}
    }
    keep_master_secret(world, place, id);
    enter_next_stage(world, place, id);
}

fn injected_status(world: &mut World, id: &str) -> Option<String> {
    let now = world.now();
    let mut faults = std::mem::take(&mut world.faults);
    let status = faults.database_status(id, now, &mut world.identifiers);
    world.faults = faults;
    status
}

/// RDS keeps the master password in a secret of its own where it is asked to manage it, and drops that with the wish.
fn keep_master_secret(world: &mut World, place: &Place, id: &str) {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let Ok(database) = find(world, place, id) else { return };
    let is_wanted = truth(&database.model, "ManageMasterUserPassword");
    let user = text(&database.model, "MasterUsername").unwrap_or_default();
    match (is_wanted, database.secret_arn.clone()) {
        (true, None) => {
            let name = format!("rds!db-{}", world.identifiers.uuid());
            let arn = place.arn("secretsmanager", &format!("secret:{name}-{}", world.identifiers.letters(6, LETTERS)));
            let password = world.identifiers.letters(28, LETTERS);
            let secret = serde_json::json!({"username": user, "password": password}).to_string();
            let properties =
                Map::from_iter([("Name".to_owned(), name.into()), ("SecretString".to_owned(), secret.into())]);
            let object = resources::Object { properties, attributes: Map::new(), stack_id: None };
            let services = world.services(place);
            services.objects.entry("AWS::SecretsManager::Secret".to_owned()).or_default().insert(arn.clone(), object);
            if let Some(database) = services.rds.databases.get_mut(id) {
                database.secret_arn = Some(arn);
            }
        }
        (false, Some(arn)) => {
            resources::vanish(world, place, "AWS::SecretsManager::Secret", &arn);
            if let Some(database) = world.services(place).rds.databases.get_mut(id) {
                database.secret_arn = None;
            }
        }
        (true, Some(_)) | (false, None) => {}
    }
}

fn apply_pending(database: &mut Database) {
    for (name, value) in std::mem::take(&mut database.pending) {
        if value.is_null() {
            database.model.remove(&name);
        } else {
            database.model.insert(name, value);
        }
    }
}

fn find<'a>(world: &'a World, place: &Place, id: &str) -> Result<&'a Database, Refusal> {
    let databases = world.services_at(place).map(|services| &services.rds.databases);
    databases.and_then(|databases| databases.get(&id.to_lowercase())).ok_or_else(|| unknown_database(id))
}

fn find_mut<'a>(world: &'a mut World, place: &Place, id: &str) -> Result<&'a mut Database, Refusal> {
    world.services(place).rds.databases.get_mut(&id.to_lowercase()).ok_or_else(|| unknown_database(id))
}

fn unknown_database(id: &str) -> Refusal {
    Refusal::new("DBInstanceNotFound", format!("DBInstance {id} not found.")).with_status(404)
}

fn lower_identifier(model: &mut Map<String, Value>) -> Result<String, Refusal> {
    let id = text(model, "DBInstanceIdentifier").unwrap_or_default().to_lowercase();
    let is_valid = id.starts_with(|first: char| first.is_ascii_alphabetic())
        && id.len() <= 63
        && !id.ends_with('-')
        && !id.contains("--")
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_valid {
        let message = "The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.";
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    model.insert("DBInstanceIdentifier".to_owned(), id.clone().into());
    Ok(id)
}

fn check_new(world: &World, place: &Place, id: &str) -> Result<(), Refusal> {
    let count = world.services_at(place).map_or(0, |services| services.rds.databases.len());
    if find(world, place, id).is_ok() {
        return Err(Refusal::new("DBInstanceAlreadyExists", "DB instance already exists"));
    }
    if count >= DATABASES_MAX {
        return Err(Refusal::new("InstanceQuotaExceeded", "DB Instance quota exceeded"));
    }
    Ok(())
}

/// The groups and keys a database names must exist.
fn check_surroundings(world: &World, place: &Place, model: &Map<String, Value>) -> Result<(), Refusal> {
    let lacks = |property: &str, type_name: &str| {
        text(model, property).filter(|name| {
            let name = name.to_lowercase();
            !name.starts_with("default") && resources::object(world, place, type_name, &name).is_none()
        })
    };
    if let Some(name) = lacks("DBSubnetGroupName", "AWS::RDS::DBSubnetGroup") {
        return Err(Refusal::new("DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist."))
            .with_status(404));
    }
    if let Some(name) = lacks("DBParameterGroupName", "AWS::RDS::DBParameterGroup") {
        return Err(
            Refusal::new("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}")).with_status(404)
        );
    }
    if let Some(name) = lacks("OptionGroupName", "AWS::RDS::OptionGroup") {
        return Err(Refusal::new("OptionGroupNotFoundFault", format!("Specified OptionGroupName: {name} not found."))
            .with_status(404));
    }
    text(model, "KmsKeyId").map_or(Ok(()), |key| check_key(world, place, &key))
}

fn check_key(world: &World, place: &Place, key: &str) -> Result<(), Refusal> {
    if key_exists(world, place, key) {
        return Ok(());
    }
    let message = format!(
        "The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."
    );
    Err(Refusal::new("KMSKeyNotAccessibleFault", message))
}

fn key_exists(world: &World, place: &Place, key: &str) -> bool {
    let name = key.rsplit_once("key/").map_or(key, |(_, id)| id);
    let alias = key.rsplit_once(':').map_or(key, |(_, alias)| alias);
    alias.starts_with("alias/aws/")
        || resources::object(world, place, "AWS::KMS::Key", name).is_some()
        || resources::object(world, place, "AWS::KMS::Alias", alias).is_some()
}

fn check_password(model: &Map<String, Value>) -> Result<(), Refusal> {
    const LENGTH_MIN: usize = 8;
    let is_short = text(model, "MasterUserPassword").is_some_and(|password| password.chars().count() < LENGTH_MIN);
    if is_short {
        let message =
            "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.";
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    Ok(())
}

/// PostgreSQL's parameters, among those that templates set, that are read at start only (RDS User Guide, "Working with
/// parameters"). A change of these waits for a reboot; all others apply at once.
const STATIC_PARAMETERS: [&str; 8] = [
    "shared_preload_libraries",
    "max_connections",
    "shared_buffers",
    "rds.logical_replication",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "max_logical_replication_workers",
];

fn is_static(parameter: &str) -> bool {
    STATIC_PARAMETERS.contains(&parameter)
}

/// The part of an engine's version that groups are made for: PostgreSQL counts the first number only (RDS User Guide).
fn major_version(model: &Map<String, Value>) -> String {
    let version = text(model, "EngineVersion").unwrap_or_default();
    let parts = if engine(model) == "postgres" { 1 } else { 2 };
    version.split('.').take(parts).collect::<Vec<_>>().join(".")
}

fn engine(model: &Map<String, Value>) -> String {
    text(model, "Engine").unwrap_or_else(|| "postgres".to_owned())
}

/// The parameter group that RDS gives to a database which names none.
fn default_parameter_group(model: &Map<String, Value>) -> String {
    format!("default.{}{}", engine(model), major_version(model))
}

/// The option group that RDS gives to a database which names none.
pub(crate) fn default_option_group(model: &Map<String, Value>) -> String {
    format!("default:{}-{}", engine(model), major_version(model).replace('.', "-"))
}

/// A parameter group got other values: databases that use it wait for a reboot if any of them is static.
pub(crate) fn parameters_changed(world: &mut World, order: &Order, before: &Map<String, Value>) {
    let values = |properties: &Map<String, Value>| properties.get("Parameters").cloned().unwrap_or_default();
    let (old, new) = (values(before), values(&order.properties));
    if STATIC_PARAMETERS.iter().all(|name| old.get(name) == new.get(name)) {
        return;
    }
    let group = resources::text(&order.properties, "DBParameterGroupName");
    let databases = world.services(&order.place).rds.databases.values_mut();
    let uses_group = |database: &&mut Database| {
        let used = text(&database.model, "DBParameterGroupName").map(|used| used.to_lowercase());
        used.is_some() && (used == order.physical_id || used == group.as_ref().map(|group| group.to_lowercase()))
    };
    for database in databases.filter(uses_group) {
        database.group_status = GroupStatus::PendingReboot;
    }
}

/// A group that a database uses cannot be deleted.
pub(crate) fn check_group_unused(world: &World, place: &Place, property: &str, name: &str) -> Result<(), Failure> {
    let databases = world.services_at(place).into_iter().flat_map(|services| services.rds.databases.values());
    let mut users =
        databases.filter(|database| text(&database.model, property).is_some_and(|used| used.to_lowercase() == name));
    if users.next().is_none() {
        return Ok(());
    }
    let message = format!(
        "Cannot delete the group '{name}' because at least one database instance is still using it. (Service: Rds, Status Code: 400)"
    );
    Err(Failure::new("ResourceConflict", message))
}
