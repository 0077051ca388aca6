//! `AWS::RDS::DBInstance` as its handler treats it: creation or restore, the second modify after a restore, the reboot
//! for a parameter group, and the rules by which a conditional change replaces the database. The rules are those of
//! `aws-cloudformation-resource-providers-rds` (`ImmutabilityHelper`, July 2025), told again in the handbook.

use super::modelled::named_lower;
use super::{Begun, Doing, Failure, Farewell, Order, ResourceType, Settled, text};
use crate::simulator::rds::{self, Chore, GroupStatus, Status};
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value};

pub(super) const TYPE: &str = "AWS::RDS::DBInstance";

pub(super) struct Database;

/// What the handler sends with the restore itself (Translator, `restoreDbInstanceFromSnapshotRequest`). All else goes
/// into the second modify, or nowhere.
const SENT_WITH_RESTORE: [&str; 23] = [
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "AvailabilityZone",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBInstanceIdentifier",
    "DBName",
    "DBParameterGroupName",
    "DBSnapshotIdentifier",
    "DBSubnetGroupName",
    "DeletionProtection",
    "EnableCloudwatchLogsExports",
    "EnableIAMDatabaseAuthentication",
    "Engine",
    "EngineLifecycleSupport",
    "Iops",
    "MultiAZ",
    "OptionGroupName",
    "Port",
    "StorageThroughput",
    "StorageType",
    "Tags",
    "VPCSecurityGroups",
];

/// Sent with the restore too, but shorter to tell apart by themselves.
const ALSO_SENT_WITH_RESTORE: [&str; 3] = ["LicenseModel", "NetworkType", "PubliclyAccessible"];

/// Settled by the snapshot, whatever the template says.
const SETTLED_BY_SNAPSHOT: [&str; 3] = ["MasterUsername", "KmsKeyId", "StorageEncrypted"];

/// A text in any of these makes the handler send the second modify (`ResourceModelHelper`, `shouldUpdateAfterCreate`).
const TEXT_TRIGGERS: [&str; 7] = [
    "CACertificateIdentifier",
    "DBParameterGroupName",
    "EngineVersion",
    "MasterUserPassword",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "MonitoringRoleArn",
];

/// So does a number above zero in any of these …
const NUMBER_TRIGGERS: [&str; 2] = ["BackupRetentionPeriod", "MonitoringInterval"];

/// … and a yes in any of these.
const TRUTH_TRIGGERS: [&str; 3] = ["ManageMasterUserPassword", "DeletionProtection", "EnablePerformanceInsights"];

impl ResourceType for Database {
    fn create(&self, world: &mut World, order: &Order) -> Result<Begun, Failure> {
        super::network::check_mentions(world, &order.place, &order.properties)?;
        let mut model = order.properties.clone();
        if !model.contains_key("DBInstanceIdentifier") {
            let name = named_lower(&mut world.identifiers, order, "DBInstanceIdentifier");
            model.insert("DBInstanceIdentifier".to_owned(), name.into());
        }
        let id = match text(&order.properties, "DBSnapshotIdentifier").filter(|snapshot| !snapshot.is_empty()) {
            None => rds::create(world, &order.place, model)?,
            Some(snapshot) => {
                let chores = chores_after_restore(&order.properties);
                model.retain(|name, _| is_sent_with_restore(name));
                let id = rds::restore(world, &order.place, &snapshot, model)?;
                if let Some(database) = world.services(&order.place).rds.databases.get_mut(&id) {
                    database.chores = chores.into();
                }
                id
            }
        };
        Ok(Begun { id, seconds: SECONDS_BETWEEN_LOOKS })
    }

    fn update(&self, world: &mut World, order: &Order, id: &str, before: &Map<String, Value>) -> Result<u64, Failure> {
        super::network::check_mentions(world, &order.place, &order.properties)?;
        check_reachable(world, &order.place, id)?;
        let mut changes = Map::new();
        for (name, value) in &order.properties {
            if before.get(name).is_none_or(|known| !super::equal(known, value)) {
                changes.insert(name.clone(), value.clone());
            }
        }
        for name in before.keys().filter(|name| !order.properties.contains_key(*name)) {
            changes.insert(name.clone(), Value::Null);
        }
        let is_immediate = text(&order.properties, "ApplyImmediately").is_none_or(|truth| truth == "true");
        if changes.is_empty() {
            return Ok(0);
        }
        let changes_group = changes.contains_key("DBParameterGroupName");
        rds::modify(world, &order.place, id, changes, is_immediate)?;
        if changes_group && let Some(database) = world.services(&order.place).rds.databases.get_mut(id) {
            database.chores.push_back(Chore::Reboot);
        }
        Ok(SECONDS_BETWEEN_LOOKS)
    }

    fn delete(&self, world: &mut World, place: &Place, id: &str, farewell: Farewell) -> Result<u64, Failure> {
        let Some(database) = world.services_at(place).and_then(|services| services.rds.databases.get(id)) else {
            return Ok(0);
        };
        if database.status == Status::Deleting {
            return Ok(SECONDS_BETWEEN_LOOKS);
        }
        let snapshot = match farewell {
            Farewell::Snapshot
                if matches!(database.status, Status::Modifying | Status::Rebooting | Status::BackingUp) =>
            {
                return Err(Failure::new(
                    "ResourceConflict",
                    format!("DB Instance {id} is in state: {}", database.status.as_str()),
                ));
            }
            Farewell::Snapshot if matches!(database.status, Status::Available) => {
                Some(format!("{id}-snapshot-{}", world.identifiers.suffix(12).to_lowercase()))
            }
            Farewell::Snapshot if matches!(database.status, Status::Broken(_)) => {
                let message = format!(
                    "Cannot create a snapshot because the database instance {id} is not currently in the available state."
                );
                return Err(Failure::new("NotStabilized", message));
            }
            Farewell::Snapshot | Farewell::Delete => None,
        };
        Ok(rds::delete(world, place, id, snapshot.as_deref())?)
    }

    fn read(&self, world: &World, place: &Place, id: &str) -> Option<Map<String, Value>> {
        let database = world.services_at(place)?.rds.databases.get(id)?;
        let mut model = database.model.clone();
        // The registry's model has the group a database uses even where the template names none.
        let default = rds::default_option_group(&model);
        model.entry("OptionGroupName").or_insert_with(|| default.into());
        Some(model)
    }

    fn attribute(&self, world: &World, place: &Place, id: &str, name: &str) -> Option<Value> {
        let database = world.services_at(place)?.rds.databases.get(id)?;
        match name {
            "Endpoint.Address" => Some(database.address(place).into()),
            "Endpoint.Port" => Some(database.port().to_string().into()),
            "MasterUserSecret.SecretArn" => database.secret_arn.clone().map(Value::from),
            "Endpoint.HostedZoneId" => Some("Z32T0VRHXEXAMPLE".into()),
            "DBInstanceArn" => Some(database.arn(place).into()),
            "DbiResourceId" => Some(database.resource_id.clone().into()),
            "DBInstanceStatus" => Some(database.status.as_str().into()),
            "InstanceCreateTime" => Some(database.created.to_string().into()),
            _ => database.model.get(name).cloned(),
        }
    }

    fn settle(&self, world: &mut World, place: &Place, id: &str, doing: Doing) -> Settled {
        let database = world.services_at(place).and_then(|services| services.rds.databases.get(id));
        match (doing, database) {
            (Doing::Delete, None) => Settled::Ready,
            (Doing::Create | Doing::Update, None) => {
                Settled::Failed(Failure::new("NotFound", format!("DBInstance {id} not found.")))
            }
            (Doing::Create | Doing::Update, Some(database)) => match &database.status {
                Status::Broken(status) => {
                    Settled::Failed(Failure::new("NotStabilized", format!("DB Instance {id} is in state: {status}")))
                }
                Status::Available
                    if database.is_settled()
                        && (doing == Doing::Update || database.group_status == GroupStatus::InSync) =>
                {
                    Settled::Ready
                }
                Status::Available if database.is_settled() => {
                    let _ = rds::reboot(world, place, id);
                    Settled::After(SECONDS_BETWEEN_LOOKS)
                }
                _ => Settled::After(database.seconds_left(world.now())),
            },
            (Doing::Delete, Some(database)) => Settled::After(database.seconds_left(world.now())),
        }
    }

    fn replaces(&self, property: &str, before: Option<&Value>, after: &Map<String, Value>) -> bool {
        let old = before.and_then(super::facts::plain).unwrap_or_default();
        let new = text(after, property).unwrap_or_default();
        if old == new {
            return false;
        }
        match property {
            "AutoMinorVersionUpgrade"
            | "BackupRetentionPeriod"
            | "DBParameterGroupName"
            | "MultiAZ"
            | "PreferredMaintenanceWindow" => false,
            "DBSnapshotIdentifier"
            | "DBClusterSnapshotIdentifier"
            | "RestoreTime"
            | "SourceDBInstanceAutomatedBackupsArn"
            | "SourceDbiResourceId"
            | "SourceDBInstanceIdentifier"
            | "SourceDBClusterIdentifier" => !new.is_empty(),
            "UseLatestRestorableTime" => new == "true",
            "AvailabilityZone" => !(new.is_empty() && text(after, "MultiAZ").is_some_and(|truth| truth == "true")),
            "PerformanceInsightsKMSKeyId" => !old.is_empty(),
            "Engine" => !matches!(
                (old.as_str(), new.as_str()),
                ("aurora", "aurora-mysql")
                    | ("oracle-se" | "oracle-se1", "oracle-se2")
                    | ("oracle-ee", "oracle-ee-cdb")
                    | ("oracle-se2", "oracle-se2-cdb")
            ),
            _ => true,
        }
    }

    fn keeps_a_snapshot_by_default(&self, properties: &Map<String, Value>) -> bool {
        !properties.contains_key("DBClusterIdentifier")
    }
}

/// A database that is busy takes a change later (`ResourceConflict`, which is tried again); a broken one never.
fn check_reachable(world: &World, place: &Place, id: &str) -> Result<(), Failure> {
    let database = world.services_at(place).and_then(|services| services.rds.databases.get(id));
    match database.map(|database| &database.status) {
        None => Err(Failure::new("NotFound", format!("DBInstance {id} not found."))),
        Some(Status::Available) => Ok(()),
        Some(Status::Broken(status)) => {
            Err(Failure::new("NotStabilized", format!("DB Instance {id} is in state: {status}")))
        }
        Some(status) => {
            Err(Failure::new("ResourceConflict", format!("DB Instance {id} is in state: {}", status.as_str())))
        }
    }
}

/// How often the handler looks, in virtual seconds. Invented.
const SECONDS_BETWEEN_LOOKS: u64 = 15;

fn is_sent_with_restore(name: &str) -> bool {
    SENT_WITH_RESTORE.contains(&name) || ALSO_SENT_WITH_RESTORE.contains(&name)
}

fn chores_after_restore(properties: &Map<String, Value>) -> Vec<Chore> {
    let is_triggered = TEXT_TRIGGERS.iter().any(|name| text(properties, name).is_some_and(|text| !text.is_empty()))
        || NUMBER_TRIGGERS.iter().any(|name| rds::number(properties, name).is_some_and(|number| number > 0))
        || TRUTH_TRIGGERS.iter().any(|name| rds::truth(properties, name));
    let mut chores = Vec::new();
    if is_triggered {
        let second = properties
            .iter()
            .filter(|(name, _)| !is_sent_with_restore(name) && !SETTLED_BY_SNAPSHOT.contains(&name.as_str()));
        chores.push(Chore::Modify(second.map(|(name, value)| (name.clone(), value.clone())).collect()));
    }
    if properties.contains_key("DBParameterGroupName") {
        chores.push(Chore::Reboot);
    }
    chores
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn replaces(property: &str, before: &Value, after: &Value) -> bool {
        Database.replaces(property, Some(before), after.as_object().expect("an object"))
    }

    // clone.md 2.1: same, removed: in place; other value or added to a live database: replacement.
    #[test]
    fn a_new_snapshot_replaces_the_database_and_a_removed_one_does_not() {
        assert!(!replaces("DBSnapshotIdentifier", &json!("s1"), &json!({"DBSnapshotIdentifier": "s1"})));
        assert!(!replaces("DBSnapshotIdentifier", &json!("s1"), &json!({})));
        assert!(replaces("DBSnapshotIdentifier", &json!("s1"), &json!({"DBSnapshotIdentifier": "s2"})));
        assert!(Database.replaces(
            "DBSnapshotIdentifier",
            None,
            &Map::from_iter([("DBSnapshotIdentifier".into(), json!("s1"))])
        ));
    }

    // clone.md 2.3: `BackupRetentionPeriod: 0` or `MaxAllocatedStorage` alone are dropped.
    #[test]
    fn nothing_is_modified_after_a_restore_without_a_trigger() {
        let alone = json!({"BackupRetentionPeriod": 0, "MaxAllocatedStorage": 100});
        assert_eq!(chores_after_restore(alone.as_object().expect("an object")), []);
        let triggered = json!({"BackupRetentionPeriod": 0, "MasterUserPassword": "secret-word"});
        assert_eq!(chores_after_restore(triggered.as_object().expect("an object")).len(), 1);
    }
}
