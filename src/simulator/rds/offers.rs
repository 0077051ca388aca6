//! What RDS offers: classes that can be ordered, quotas, option groups. The offers are a small, invented catalogue: enough to ask
//! whether a class is there, not what AWS sells today.

use super::api::{Reply, paged};
use super::{DATABASES_MAX, SNAPSHOTS_MAX, number};
use crate::simulator::parameters::Parameters;
use crate::simulator::refusal::Refusal;
use crate::simulator::resources::{self, Object, text};
use crate::simulator::world::{Place, World};
use serde_json::{Value, json};

/// Families of classes, and the sizes of each.
const CLASSES: [(&str, &[&str]); 8] = [
    ("db.t3", &["micro", "small", "medium", "large", "xlarge", "2xlarge"]),
    ("db.t4g", &["micro", "small", "medium", "large", "xlarge", "2xlarge"]),
    ("db.m6g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("db.m7g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("db.r6g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("db.r7g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("db.r6i", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("db.r8g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
];

const STORAGE_TYPES: [&str; 4] = ["gp2", "gp3", "io1", "io2"];

pub(super) fn describe_orderable(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let engine = parameters.required("Engine")?;
    let version = parameters.text("EngineVersion").unwrap_or("16.3");
    let wanted = parameters.text("DBInstanceClass");
    let classes = CLASSES.iter().flat_map(|(family, sizes)| sizes.iter().map(move |size| format!("{family}.{size}")));
    let offered = classes.filter(|class| wanted.is_none_or(|wanted| wanted == class));
    let zones: Vec<Value> = ["a", "b", "c"].map(|zone| json!({"Name": format!("{}{zone}", place.region)})).into();
    let entry = |class: &str, storage: &str| {
        json!({
            "Engine": engine,
            "EngineVersion": version,
            "DBInstanceClass": class,
            "LicenseModel": "postgresql-license",
            "AvailabilityZones": zones,
            "MultiAZCapable": true,
            "ReadReplicaCapable": true,
            "Vpc": true,
            "SupportsStorageEncryption": true,
            "StorageType": storage,
            "SupportsIops": storage != "gp2",
            "SupportsEnhancedMonitoring": true,
            "SupportsIAMDatabaseAuthentication": true,
            "SupportsPerformanceInsights": true,
        })
    };
    let entries = offered.flat_map(|class| STORAGE_TYPES.map(|storage| entry(&class, storage))).collect();
    paged(world, parameters, "OrderableDBInstanceOptions", entries)
}

pub(super) fn describe_account(world: &World, place: &Place) -> Value {
    /// The default quota of storage for all databases together, in GiB (RDS User Guide, "Quotas and constraints").
    const GIBIBYTES_MAX: u64 = 100_000;
    let rds = world.services_at(place).map(|services| &services.rds);
    let databases = rds.map_or(0, |rds| rds.databases.len());
    let used = rds.into_iter().flat_map(|rds| rds.databases.values());
    let storage: u64 = used.filter_map(|database| number(&database.model, "AllocatedStorage")).sum();
    let snapshots = rds.into_iter().flat_map(|rds| rds.snapshots.values());
    let manual = snapshots.filter(|snapshot| snapshot.kind == "manual").count();
    json!({"AccountQuotas": [
        {"AccountQuotaName": "DBInstances", "Used": databases, "Max": DATABASES_MAX},
        {"AccountQuotaName": "AllocatedStorage", "Used": storage, "Max": GIBIBYTES_MAX},
        {"AccountQuotaName": "ManualSnapshots", "Used": manual, "Max": SNAPSHOTS_MAX},
    ]})
}

const OPTION_GROUP: &str = "AWS::RDS::OptionGroup";

pub(super) fn describe_option_groups(world: &World, place: &Place, parameters: Parameters<'_>) -> Reply {
    let wanted = parameters.text("OptionGroupName").map(str::to_lowercase);
    if let Some(default) = wanted.as_deref().and_then(|wanted| wanted.strip_prefix("default:")) {
        let (engine, major) = default.split_once('-').unwrap_or((default, ""));
        let group = json!({
            "OptionGroupName": wanted,
            "OptionGroupDescription": format!("Default option group for {engine} {major}"),
            "EngineName": engine,
            "MajorEngineVersion": major.replace('-', "."),
            "Options": [],
        });
        return paged(world, parameters, "OptionGroupsList", vec![group]);
    }
    let own = resources::objects(world, place, OPTION_GROUP);
    let own = own.filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| *name == wanted));
    let entries: Vec<Value> = own.map(|(name, group)| option_group_view(name, group)).collect();
    if let Some(wanted) = wanted.filter(|_| entries.is_empty()) {
        let message = format!("Specified OptionGroupName: {wanted} not found.");
        return Err(Refusal::new("OptionGroupNotFoundFault", message).with_status(404));
    }
    paged(world, parameters, "OptionGroupsList", entries)
}

fn option_group_view(name: &str, group: &Object) -> Value {
    let options = group.properties.get("OptionConfigurations").and_then(Value::as_array).into_iter().flatten();
    let options: Vec<Value> = options
        .filter_map(Value::as_object)
        .map(|option| {
            json!({
                "OptionName": option.get("OptionName"),
                "OptionVersion": option.get("OptionVersion"),
                "Port": text(option, "Port").and_then(|port| port.parse::<u64>().ok()),
                "OptionSettings": option.get("OptionSettings").cloned().unwrap_or_else(|| json!([])),
                "Permanent": false,
                "Persistent": false,
            })
        })
        .collect();
    json!({
        "OptionGroupName": name,
        "OptionGroupDescription": group.properties.get("OptionGroupDescription"),
        "EngineName": group.properties.get("EngineName"),
        "MajorEngineVersion": group.properties.get("MajorEngineVersion"),
        "OptionGroupArn": group.attributes.get("OptionGroupArn"),
        "Options": options,
    })
}
