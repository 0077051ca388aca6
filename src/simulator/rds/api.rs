//! RDS's own API: a view of databases and snapshots, and the calls that change them.

use super::snapshots::{self, CopySnapshot, Snapshot};
use super::{Database, TakeSnapshot, find, number, offers, truth};
use crate::simulator::paging::page;
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::resources::{self, text};
use crate::simulator::wire::Call;
use crate::simulator::world::{Place, World};
use serde_json::{Map, Value, json};

pub(super) type Reply = Result<Value, Refusal>;

pub(crate) fn call(world: &mut World, call: &Call) -> Option<Reply> {
    let (place, parameters) = (&call.place, Parameters(&call.parameters));
    snapshots::catch_up(world, place);
    Some(match call.operation.as_str() {
        "DescribeDBInstances" => describe_databases(world, place, parameters),
        "CreateDBInstance" => create(world, place, parameters),
        "ModifyDBInstance" => modify(world, place, parameters),
        "RebootDBInstance" => reboot(world, place, parameters),
        "DeleteDBInstance" => delete(world, place, parameters),
        "RestoreDBInstanceFromDBSnapshot" => restore(world, place, parameters),
        "CreateDBSnapshot" => create_snapshot(world, place, parameters),
        "DescribeDBSnapshots" => describe_snapshots(world, place, parameters),
        "CopyDBSnapshot" => copy_snapshot(world, place, parameters),
        "DeleteDBSnapshot" => delete_snapshot(world, place, parameters),
        "ModifyDBSnapshotAttribute" => modify_snapshot_attribute(world, place, parameters),
        "DescribeDBSnapshotAttributes" => describe_snapshot_attributes(world, place, parameters),
        "DescribeDBParameters" => describe_parameters(world, place, parameters),
        "DescribeDBParameterGroups" => describe_parameter_groups(world, place, parameters),
        "DescribeDBSubnetGroups" => describe_subnet_groups(world, place, parameters),
        "DescribeOptionGroups" => offers::describe_option_groups(world, place, parameters),
        "DescribeOrderableDBInstanceOptions" => offers::describe_orderable(world, place, parameters),
        "DescribeAccountAttributes" => Ok(offers::describe_account(world, place)),
        "ListTagsForResource" => list_tags(world, place, parameters),
        "AddTagsToResource" => add_tags(world, place, parameters),
        _ => return None,
    })
}

fn describe_databases(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let databases: Vec<Value> = match parameters.text("DBInstanceIdentifier") {
        Some(id) => {
            let id = id.rsplit(':').next().unwrap_or(id);
            vec![database_view(world, place, find(world, place, id)?)]
        }
        None => {
            let all = world.services_at(place).into_iter().flat_map(|services| services.rds.databases.values());
            let wanted = filtered(parameters, "db-instance-id");
            let is_wanted = |database: &&Database| {
                let id = text(&database.model, "DBInstanceIdentifier").unwrap_or_default();
                wanted.as_ref().is_none_or(|wanted| wanted.contains(&id) || wanted.contains(&database.arn(place)))
            };
            all.filter(is_wanted).map(|database| database_view(world, place, database)).collect()
        }
    };
    paged(world, parameters, "DBInstances", databases)
}

/// The values of a filter, if it is given.
fn filtered(parameters: Parameters<'_>, name: &str) -> Option<Vec<String>> {
    let mut filters = parameters.structures("Filters").filter(|filter| filter.text("Name") == Some(name));
    filters.next().map(|filter| filter.texts("Values"))
}

pub(super) fn paged(world: &World, parameters: Parameters<'_>, list: &str, entries: Vec<Value>) -> Reply {
    let wanted = parameters.number("MaxRecords").and_then(|size| usize::try_from(size).ok());
    let size = wanted.map_or(world.rules.page_size, |wanted| wanted.min(world.rules.page_size));
    let page = page(entries, parameters.text("Marker"), size)?;
    Ok(json!({ list: page.entries, "Marker": page.next }))
}

fn one(world: &World, place: &Place, id: &str) -> Reply {
    Ok(json!({"DBInstance": database_view(world, place, find(world, place, id)?)}))
}

/// The properties of the registry that the API knows under the same name.
const SAME_NAMES: [&str; 36] = [
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CharacterSetName",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBName",
    "DatabaseInsightsMode",
    "DedicatedLogVolume",
    "DeletionProtection",
    "Engine",
    "EngineLifecycleSupport",
    "EngineVersion",
    "Iops",
    "KmsKeyId",
    "LicenseModel",
    "MasterUserPassword",
    "MasterUsername",
    "MaxAllocatedStorage",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "MultiAZ",
    "NetworkType",
    "OptionGroupName",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
    "Port",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "PubliclyAccessible",
    "StorageEncrypted",
    "StorageThroughput",
    "StorageType",
    "Timezone",
];

/// A call's parameters in the registry's words.
fn model_of(parameters: Parameters<'_>) -> Map<String, Value> {
    let mut model = Map::new();
    for name in SAME_NAMES.iter().chain(&[
        "DBSubnetGroupName",
        "DBParameterGroupName",
        "DBInstanceIdentifier",
        "EnableIAMDatabaseAuthentication",
        "EnablePerformanceInsights",
        "ManageMasterUserPassword",
    ]) {
        if let Some(value) = parameters.text(name) {
            model.insert((*name).to_owned(), value.into());
        }
    }
    let lists = [
        ("VpcSecurityGroupIds", "VPCSecurityGroups"),
        ("EnableCloudwatchLogsExports", "EnableCloudwatchLogsExports"),
        ("Tags", "Tags"),
    ];
    for (theirs, ours) in lists {
        let entries = parameters.list(theirs);
        if !entries.is_empty() {
            model.insert(ours.to_owned(), entries.into());
        }
    }
    model
}

fn create(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    parameters.required("DBInstanceIdentifier")?;
    let id = super::create(world, place, model_of(parameters))?;
    one(world, place, &id)
}

fn modify(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = parameters.required("DBInstanceIdentifier")?.to_lowercase();
    let mut changes = model_of(parameters);
    changes.remove("DBInstanceIdentifier");
    super::modify(world, place, &id, changes, parameters.flag("ApplyImmediately").unwrap_or(false))?;
    one(world, place, &id)
}

fn reboot(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = parameters.required("DBInstanceIdentifier")?;
    super::reboot(world, place, id)?;
    one(world, place, id)
}

fn delete(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let id = parameters.required("DBInstanceIdentifier")?.to_lowercase();
    let skips = parameters.flag("SkipFinalSnapshot").unwrap_or(false);
    let last = parameters.text("FinalDBSnapshotIdentifier");
    if skips == last.is_some() {
        let message =
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified, and cannot be given with it.";
        return Err(Refusal::new("InvalidParameterCombination", message));
    }
    super::delete(world, place, &id, last)?;
    one(world, place, &id)
}

fn restore(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    parameters.required("DBInstanceIdentifier")?;
    let snapshot = parameters.required("DBSnapshotIdentifier")?;
    let id = super::restore(world, place, snapshot, model_of(parameters))?;
    one(world, place, &id)
}

fn create_snapshot(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("DBSnapshotIdentifier")?;
    let database = parameters.required("DBInstanceIdentifier")?;
    let tags = parameters.is_given("Tags").then(|| parameters.list("Tags").to_vec());
    super::take(world, place, &TakeSnapshot { name, database, kind: "manual", tags })?;
    let snapshot = snapshots::find_or_refuse(world, place, name)?;
    Ok(json!({"DBSnapshot": snapshot_view(world, place, &snapshot)}))
}

fn describe_snapshots(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let entries: Vec<Snapshot> = match parameters.text("DBSnapshotIdentifier") {
        Some(name) => return described(world, place, parameters, &[snapshots::found(world, place, name)?]),
        None if parameters.text("SnapshotType") == Some("shared")
            || parameters.text("SnapshotType") == Some("public") =>
        {
            return described(world, place, parameters, &snapshots::shared(world, place));
        }
        None => {
            let database = parameters.text("DBInstanceIdentifier").map(str::to_lowercase);
            let kind = parameters.text("SnapshotType");
            let own = world.services_at(place).into_iter().flat_map(|services| services.rds.snapshots.values());
            let wanted = filtered(parameters, "db-instance-id");
            own.filter(|snapshot| wanted.as_ref().is_none_or(|wanted| wanted.contains(&snapshot.database)))
                .filter(|snapshot| database.as_ref().is_none_or(|database| snapshot.database == *database))
                .filter(|snapshot| kind.is_none_or(|kind| snapshot.kind == kind))
                .cloned()
                .collect()
        }
    };
    let own: Vec<(Place, Snapshot)> = entries.into_iter().map(|snapshot| (place.clone(), snapshot)).collect();
    described(world, place, parameters, &own)
}

/// Another account's snapshot is called by its ARN, and is neither manual nor automated here.
fn described(world: &World, place: &Place, parameters: Parameters<'_>, all: &[(Place, Snapshot)]) -> Reply {
    let view = |(owner, snapshot): &(Place, Snapshot)| {
        let mut view = snapshot_view(world, owner, snapshot);
        if owner.account != place.account {
            let is_public = snapshot.shared_with.contains("all");
            view["DBSnapshotIdentifier"] = snapshot.arn(owner).into();
            view["SnapshotType"] = if is_public { "public" } else { "shared" }.into();
            view["TagList"] = json!([]);
        }
        view
    };
    paged(world, parameters, "DBSnapshots", all.iter().map(view).collect())
}

fn copy_snapshot(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = CopySnapshot {
        source: parameters.required("SourceDBSnapshotIdentifier")?,
        name: parameters.required("TargetDBSnapshotIdentifier")?,
        key: parameters.text("KmsKeyId"),
        tags: parameters.is_given("Tags").then(|| parameters.list("Tags").to_vec()),
        copies_tags: parameters.flag("CopyTags").unwrap_or(false),
    };
    let copy = snapshots::copy(world, place, wanted)?;
    Ok(json!({"DBSnapshot": snapshot_view(world, place, &copy)}))
}

fn delete_snapshot(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let mut snapshot = snapshots::delete(world, place, parameters.required("DBSnapshotIdentifier")?)?;
    "deleted".clone_into(&mut snapshot.status);
    Ok(json!({"DBSnapshot": snapshot_view(world, place, &snapshot)}))
}

fn modify_snapshot_attribute(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("DBSnapshotIdentifier")?;
    let snapshot =
        snapshots::share(world, place, name, parameters.texts("ValuesToAdd"), &parameters.texts("ValuesToRemove"))?;
    Ok(attributes_view(&snapshot))
}

fn describe_snapshot_attributes(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let snapshot = snapshots::find_or_refuse(world, place, parameters.required("DBSnapshotIdentifier")?)?;
    Ok(attributes_view(&snapshot))
}

fn attributes_view(snapshot: &Snapshot) -> Value {
    json!({"DBSnapshotAttributesResult": {
        "DBSnapshotIdentifier": snapshot.name,
        "DBSnapshotAttributes": [{"AttributeName": "restore", "AttributeValues": snapshot.shared_with}],
    }})
}

fn describe_parameters(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let name = parameters.required("DBParameterGroupName")?.to_lowercase();
    let group = resources::object(world, place, "AWS::RDS::DBParameterGroup", &name);
    if group.is_none() && !name.starts_with("default") {
        return Err(
            Refusal::new("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}")).with_status(404)
        );
    }
    // Only what somebody has set is known here: an engine's hundreds of defaults are not modelled.
    let is_wanted = parameters.text("Source").is_none_or(|source| source == "user");
    let values = group.and_then(|group| group.properties.get("Parameters")).and_then(Value::as_object);
    let view = |(name, value): (&String, &Value)| {
        let (kind, method) =
            if super::is_static(name) { ("static", "pending-reboot") } else { ("dynamic", "immediate") };
        json!({
            "ParameterName": name,
            "ParameterValue": value,
            "Source": "user",
            "IsModifiable": true,
            "ApplyType": kind,
            "ApplyMethod": method,
        })
    };
    let entries = values.filter(|_| is_wanted).into_iter().flatten().map(view).collect();
    paged(world, parameters, "Parameters", entries)
}

fn describe_parameter_groups(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.text("DBParameterGroupName").map(str::to_lowercase);
    let entries: Vec<Value> = resources::objects(world, place, "AWS::RDS::DBParameterGroup")
        .filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| *name == wanted))
        .map(|(name, group)| {
            json!({
                "DBParameterGroupName": name,
                "DBParameterGroupFamily": group.properties.get("Family"),
                "Description": group.properties.get("Description"),
                "DBParameterGroupArn": group.attributes.get("DBParameterGroupArn"),
            })
        })
        .collect();
    if let Some(family) = wanted.as_deref().and_then(|wanted| wanted.strip_prefix("default.")) {
        let arn = place.arn("rds", &format!("pg:default.{family}"));
        let group = json!({
            "DBParameterGroupName": wanted,
            "DBParameterGroupFamily": family,
            "Description": format!("Default parameter group for {family}"),
            "DBParameterGroupArn": arn,
        });
        return paged(world, parameters, "DBParameterGroups", vec![group]);
    }
    if let Some(wanted) = wanted.filter(|_| entries.is_empty()) {
        return Err(
            Refusal::new("DBParameterGroupNotFound", format!("DBParameterGroup not found: {wanted}")).with_status(404)
        );
    }
    paged(world, parameters, "DBParameterGroups", entries)
}

fn describe_subnet_groups(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.text("DBSubnetGroupName").map(str::to_lowercase);
    let names: Vec<String> = resources::objects(world, place, "AWS::RDS::DBSubnetGroup")
        .map(|(name, _)| name.clone())
        .filter(|name| wanted.as_ref().is_none_or(|wanted| name == wanted))
        .collect();
    if let Some(wanted) = wanted.filter(|_| names.is_empty()) {
        return Err(Refusal::new("DBSubnetGroupNotFoundFault", format!("DB subnet group '{wanted}' does not exist."))
            .with_status(404));
    }
    let entries = names.iter().map(|name| subnet_group_view(world, place, name)).collect();
    paged(world, parameters, "DBSubnetGroups", entries)
}

fn subnet_group_view(world: &World, place: &Place, name: &str) -> Value {
    let Some(group) = resources::object(world, place, "AWS::RDS::DBSubnetGroup", &name.to_lowercase()) else {
        return json!({"DBSubnetGroupName": name, "SubnetGroupStatus": "Complete", "Subnets": []});
    };
    let ids =
        group.properties.get("SubnetIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let subnets: Vec<(&str, &resources::Object)> =
        ids.filter_map(|id| Some((id, resources::object(world, place, "AWS::EC2::Subnet", id)?))).collect();
    let vpc = subnets.first().and_then(|(_, subnet)| subnet.properties.get("VpcId"));
    let views: Vec<Value> = subnets
        .iter()
        .map(|(id, subnet)| {
            json!({
                "SubnetIdentifier": id,
                "SubnetAvailabilityZone": {"Name": subnet.attributes.get("AvailabilityZone")},
                "SubnetStatus": "Active",
            })
        })
        .collect();
    json!({
        "DBSubnetGroupName": name.to_lowercase(),
        "DBSubnetGroupDescription": group.properties.get("DBSubnetGroupDescription"),
        "VpcId": vpc,
        "SubnetGroupStatus": "Complete",
        "Subnets": views,
        "DBSubnetGroupArn": group.attributes.get("DBSubnetGroupArn"),
    })
}

fn database_view(world: &World, place: &Place, database: &Database) -> Value {
    let model = &database.model;
    let mut view = Map::new();
    for name in SAME_NAMES.iter().filter(|name| !matches!(**name, "MasterUserPassword" | "OptionGroupName" | "Port")) {
        if let Some(value) = model.get(*name) {
            view.insert((*name).to_owned(), value.clone());
        }
    }
    let or = |name: &str, default: &str| text(model, name).unwrap_or_else(|| default.to_owned());
    let groups = model.get("VPCSecurityGroups").and_then(Value::as_array).into_iter().flatten();
    let groups: Vec<Value> = groups.map(|group| json!({"VpcSecurityGroupId": group, "Status": "active"})).collect();
    let zone = format!("{}a", place.region);
    let defaults = json!({
        "AllocatedStorage": number(model, "AllocatedStorage").unwrap_or(20),
        "AutoMinorVersionUpgrade": text(model, "AutoMinorVersionUpgrade").is_none_or(|truth| truth == "true"),
        "AvailabilityZone": or("AvailabilityZone", &zone),
        "BackupRetentionPeriod": database.retention_days(),
        "CACertificateIdentifier": or("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
        "CopyTagsToSnapshot": truth(model, "CopyTagsToSnapshot"),
        "DBInstanceIdentifier": model.get("DBInstanceIdentifier"),
        "DBInstanceArn": database.arn(place),
        "DBInstanceStatus": database.status.as_str(),
        "DbiResourceId": database.resource_id,
        "DeletionProtection": truth(model, "DeletionProtection"),
        "Endpoint": endpoint_view(place, database),
        "IAMDatabaseAuthenticationEnabled": truth(model, "EnableIAMDatabaseAuthentication"),
        "InstanceCreateTime": database.created.to_string(),
        "LatestRestorableTime": (database.retention_days() > 0).then(|| world.now().before_seconds(300).to_string()),
        "MonitoringInterval": number(model, "MonitoringInterval").unwrap_or(0),
        "MultiAZ": truth(model, "MultiAZ"),
        "PerformanceInsightsEnabled": truth(model, "EnablePerformanceInsights"),
        "PreferredBackupWindow": or("PreferredBackupWindow", "13:00-13:30"),
        "PreferredMaintenanceWindow": or("PreferredMaintenanceWindow", "sun:14:00-sun:14:30"),
        "PubliclyAccessible": truth(model, "PubliclyAccessible"),
        "StorageEncrypted": truth(model, "StorageEncrypted"),
        "StorageThroughput": number(model, "StorageThroughput"),
        "StorageType": or("StorageType", "gp3"),
        "DbInstancePort": 0,
        "MasterUserSecret": database.secret_arn.as_ref().map(|arn| {
            let key = model.get("MasterUserSecret").and_then(|secret| secret.get("KmsKeyId"));
            json!({"SecretArn": arn, "SecretStatus": "active", "KmsKeyId": key})
        }),
        "VpcSecurityGroups": groups,
        "DBSecurityGroups": [],
        "DBParameterGroups": [{
            "DBParameterGroupName": or("DBParameterGroupName", &super::default_parameter_group(model)),
            "ParameterApplyStatus": database.group_status.as_str(),
        }],
        "OptionGroupMemberships": [{"OptionGroupName": or("OptionGroupName", &super::default_option_group(model)), "Status": "in-sync"}],
        "DBSubnetGroup": text(model, "DBSubnetGroupName").map(|name| subnet_group_view(world, place, &name)),
        "PendingModifiedValues": pending_view(database),
        "ReadReplicaDBInstanceIdentifiers": [],
        "AssociatedRoles": [],
        "DomainMemberships": [],
        "StatusInfos": [],
        "EnabledCloudwatchLogsExports": model.get("EnableCloudwatchLogsExports"),
        "TagList": model.get("Tags").cloned().unwrap_or_else(|| json!([])),
    });
    if let Value::Object(defaults) = defaults {
        view.extend(defaults);
    }
    Value::Object(view)
}

/// A database has no endpoint before it was created.
fn endpoint_view(place: &Place, database: &Database) -> Value {
    if database.status == super::Status::Creating {
        return Value::Null;
    }
    json!({"Address": database.address(place), "Port": database.port(), "HostedZoneId": "Z32T0VRHXEXAMPLE"})
}

fn pending_view(database: &Database) -> Value {
    let hidden = |name: &str, value: &Value| {
        if name == "MasterUserPassword" { json!("****") } else { value.clone() }
    };
    let known = [
        "AllocatedStorage",
        "DBInstanceClass",
        "EngineVersion",
        "MasterUserPassword",
        "MultiAZ",
        "Iops",
        "StorageType",
        "Port",
        "BackupRetentionPeriod",
    ];
    let pending = database.pending.iter().filter(|(name, value)| known.contains(&name.as_str()) && !value.is_null());
    Value::Object(pending.map(|(name, value)| (name.clone(), hidden(name, value))).collect())
}

fn snapshot_view(world: &World, place: &Place, snapshot: &Snapshot) -> Value {
    let model = &snapshot.model;
    let is_complete = snapshot.status == "available";
    json!({
        "DBSnapshotIdentifier": snapshot.name,
        "DBInstanceIdentifier": snapshot.database,
        "SnapshotCreateTime": is_complete.then(|| snapshot.created.to_string()),
        "OriginalSnapshotCreateTime": is_complete.then(|| snapshot.original_created.to_string()),
        "SnapshotDatabaseTime": snapshot.database_time.to_string(),
        "InstanceCreateTime": snapshot.database_created.to_string(),
        "Engine": model.get("Engine"),
        "EngineVersion": model.get("EngineVersion"),
        "AllocatedStorage": snapshots::gibibytes(snapshot),
        "Status": snapshot.status,
        "Port": number(model, "Port").unwrap_or(5432),
        "AvailabilityZone": text(model, "AvailabilityZone").unwrap_or_else(|| format!("{}a", place.region)),
        "MasterUsername": model.get("MasterUsername"),
        "LicenseModel": text(model, "LicenseModel").unwrap_or_else(|| "postgresql-license".to_owned()),
        "SnapshotType": snapshot.kind,
        "StorageType": text(model, "StorageType").unwrap_or_else(|| "gp3".to_owned()),
        "Iops": number(model, "Iops"),
        "OptionGroupName": model.get("OptionGroupName"),
        "PercentProgress": snapshot.percent(world.now()),
        "Encrypted": truth(model, "StorageEncrypted"),
        "KmsKeyId": model.get("KmsKeyId"),
        "DBSnapshotArn": snapshot.arn(place),
        "SourceDBSnapshotIdentifier": snapshot.source_arn,
        "DbiResourceId": snapshot.database_resource_id,
        "IAMDatabaseAuthenticationEnabled": false,
        "TagList": snapshot.tags,
    })
}

/// What an ARN of RDS names, with its tags.
fn tags_of<'a>(world: &'a mut World, place: &Place, arn: &str) -> Result<TagsOf<'a>, Refusal> {
    let mut parts = arn.splitn(7, ':').skip(5);
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let rds = &mut world.services(place).rds;
    match kind {
        "db" => rds.databases.get_mut(name).map(|database| TagsOf::Database(&mut database.model)),
        "snapshot" => rds.snapshots.get_mut(name).map(|snapshot| TagsOf::Snapshot(&mut snapshot.tags)),
        _ => None,
    }
    .ok_or_else(|| {
        Refusal::new("DBInstanceNotFound", format!("Could not find a resource with ARN {arn}")).with_status(404)
    })
}

enum TagsOf<'a> {
    Database(&'a mut Map<String, Value>),
    Snapshot(&'a mut Vec<Value>),
}

fn list_tags(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let tags = match tags_of(world, place, parameters.required("ResourceName")?)? {
        TagsOf::Database(model) => model.get("Tags").cloned().unwrap_or_else(|| json!([])),
        TagsOf::Snapshot(tags) => json!(tags),
    };
    Ok(json!({"TagList": tags}))
}

fn add_tags(world: &mut World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let added = parameters.list("Tags");
    let merged = |known: &[Value]| -> Vec<Value> {
        let kept = known.iter().filter(|tag| !added.iter().any(|other| other.get("Key") == tag.get("Key")));
        kept.chain(added).cloned().collect()
    };
    match tags_of(world, place, parameters.required("ResourceName")?)? {
        TagsOf::Database(model) => {
            let known = model.get("Tags").and_then(Value::as_array).cloned().unwrap_or_default();
            model.insert("Tags".to_owned(), merged(&known).into());
        }
        TagsOf::Snapshot(tags) => *tags = merged(tags),
    }
    Ok(json!({}))
}
