//! What of a database a clone must have as its source has it, and how two accounts of one database are compared.
//!
//! A restore takes some of this from the snapshot, some from RDS's defaults, and drops some in silence (RDS User Guide,
//! "Restoring to a DB instance"), so all of it is written out, and looked at afterwards.

use serde_json::Value as Json;

use super::Properties;

/// What makes a twin a twin. Names, endpoints, networks, retention and protection are a clone's own.
pub const FROZEN: [&str; 17] = [
    "AllocatedStorage",
    "CACertificateIdentifier",
    "DBInstanceClass",
    "DatabaseInsightsMode",
    "EnableCloudwatchLogsExports",
    "EnableIAMDatabaseAuthentication",
    "EnablePerformanceInsights",
    "Engine",
    "EngineLifecycleSupport",
    "EngineVersion",
    "Iops",
    "MaxAllocatedStorage",
    "MonitoringInterval",
    "MultiAZ",
    "Port",
    "StorageThroughput",
    "StorageType",
];

/// What is asked at a restore and cannot be read back, or is no property of the database alone.
const NOT_COMPARED: [&str; 6] = [
    "AllowMajorVersionUpgrade",
    "DBSnapshotIdentifier",
    "DeleteAutomatedBackups",
    "ManageMasterUserPassword",
    "MasterUserPassword",
    "Tags",
];

/// What a restore leaves to a second call of CloudFormation's, which is not always made, and RDS changes on a running database
/// without a restart (RDS User Guide, "Settings for DB instances").
pub const MENDABLE: [&str; 8] = [
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "EnableIAMDatabaseAuthentication",
    "MaxAllocatedStorage",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
];

/// A property that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The property.
    pub property: String,
    /// What is.
    pub has: String,
    /// What is written.
    pub says: String,
}

/// What a template's text says of a database: properties whose values are not computed by CloudFormation.
pub fn written(resource: &Json) -> Properties {
    let properties = resource.get("Properties").and_then(Json::as_object);
    let is_compared = |name: &str| !NOT_COMPARED.contains(&name);
    let literal = properties.into_iter().flatten().filter(|(name, value)| is_compared(name) && is_literal(value));
    literal.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_literal(value: &Json) -> bool {
    match value {
        Json::Object(_) | Json::Null => false,
        Json::Array(items) => items.iter().all(is_literal),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// What RDS does not tell of where it is off (RDS API Reference, `DBInstance`).
const SILENT_WHERE_OFF: [&str; 2] = ["MaxAllocatedStorage", "MonitoringInterval"];

/// Where a database is not what is written. What it does not tell of is not judged, unless silence says that it is off.
pub fn unlike(written: &Properties, live: &Properties) -> Vec<Difference> {
    let differing = written.iter().filter_map(|(property, says)| {
        let is_same = match live.get(property) {
            Some(has) => plain(says) == plain(has),
            None => is_off(says) || !SILENT_WHERE_OFF.contains(&property.as_str()),
        };
        (!is_same).then(|| Difference {
            property: property.clone(),
            has: live.get(property).map_or_else(|| "not set".to_owned(), shown),
            says: shown(says),
        })
    });
    differing.collect()
}

/// Where a target would not be its source's twin. A property that only one side has differs, too.
pub fn no_twins(target: &Properties, source: &Properties) -> Vec<Difference> {
    let mut differing = Vec::new();
    for property in FROZEN {
        let (says, has) = (target.get(property), source.get(property));
        // What neither the file nor RDS tells cannot be compared; what RDS tells of features that are off is "off".
        let is_same = match (says, has) {
            (Some(says), Some(has)) => plain(says) == plain(has) || is_enough(property, says, has),
            (None, Some(has)) => is_off(has) || is_given_by_rds(property),
            (Some(says), None) => is_off(says) || is_given_by_rds(property),
            (None, None) => true,
        };
        if !is_same {
            let word = |value: Option<&Json>| value.map_or_else(|| "not set".to_owned(), shown);
            differing.push(Difference { property: property.to_owned(), has: word(has), says: word(says) });
        }
    }
    differing
}

/// Storage may be larger than the source's, never smaller.
fn is_enough(property: &str, says: &Json, has: &Json) -> bool {
    let number = |value: &Json| plain(value).parse::<u64>().ok();
    property == "AllocatedStorage" && number(says).zip(number(has)).is_some_and(|(says, has)| says >= has)
}

/// What a restore takes from the snapshot where nothing is said, or RDS fills in, or does not tell of.
fn is_given_by_rds(property: &str) -> bool {
    const GIVEN: [&str; 9] = [
        "AllocatedStorage",
        "CACertificateIdentifier",
        "DatabaseInsightsMode",
        "Engine",
        "EngineLifecycleSupport",
        "EngineVersion",
        "Iops",
        "Port",
        "StorageThroughput",
    ];
    GIVEN.contains(&property)
}

fn is_off(value: &Json) -> bool {
    matches!(plain(value).as_str(), "false" | "0" | "")
}

/// A value without the difference between `"800"` and `800`, and between orders of a list.
fn plain(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let mut items: Vec<String> = items.iter().map(plain).collect();
            items.sort();
            items.join(",")
        }
        Json::String(text) => text.to_lowercase(),
        other => other.to_string(),
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn properties(value: &Json) -> Properties {
        written(&json!({ "Properties": value }))
    }

    #[test]
    fn what_cloudformation_computes_or_nobody_can_read_back_is_not_compared() {
        let says = properties(&json!({
            "MultiAZ": true, "KmsKeyId": {"Ref": "Key"}, "VPCSecurityGroups": [{"Ref": "Group"}], "MasterUserPassword": "x",
            "Tags": [{"Key": "a", "Value": "b"}],
        }));
        assert_eq!(says.keys().collect::<Vec<_>>(), ["MultiAZ"]);
    }

    #[test]
    fn a_number_is_the_same_in_quotes_and_a_list_in_any_order() {
        let says =
            properties(&json!({"AllocatedStorage": "800", "EnableCloudwatchLogsExports": ["upgrade", "postgresql"]}));
        let has =
            properties(&json!({"AllocatedStorage": 800, "EnableCloudwatchLogsExports": ["postgresql", "upgrade"]}));
        assert_eq!(unlike(&says, &has), []);
    }

    #[test]
    fn what_a_restore_dropped_is_found() {
        let says = properties(&json!({"MaxAllocatedStorage": 1600, "MultiAZ": true, "StorageType": "gp2"}));
        let has = properties(&json!({"MaxAllocatedStorage": 1000, "MultiAZ": false, "StorageType": "gp3"}));
        let found: Vec<_> = unlike(&says, &has).into_iter().map(|it| (it.property, it.has, it.says)).collect();
        let text = |property: &str, has: &str, says: &str| (property.to_owned(), has.to_owned(), says.to_owned());
        let expected = [
            text("MaxAllocatedStorage", "1000", "1600"),
            text("MultiAZ", "false", "true"),
            text("StorageType", "gp3", "gp2"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn silence_says_of_some_things_that_they_are_off() {
        let says = properties(&json!({"MaxAllocatedStorage": 1600, "MonitoringInterval": 0, "Port": 5432}));
        let found: Vec<_> = unlike(&says, &Properties::new()).into_iter().map(|it| it.property).collect();
        assert_eq!(found, ["MaxAllocatedStorage"]);
    }

    /// What is said of each frozen property, when the source has it and the target says otherwise.
    #[test]
    fn every_frozen_property_that_differs_keeps_a_target_from_being_a_twin() {
        for property in FROZEN {
            let (target, source) = (properties(&json!({ property: "7" })), properties(&json!({ property: "8" })));
            let found: Vec<_> = no_twins(&target, &source).into_iter().map(|it| it.property).collect();
            assert_eq!(found, [property]);
            assert_eq!(no_twins(&source, &source), []);
        }
    }

    #[test]
    fn storage_may_be_larger_than_the_sources() {
        let of = |gib: &str| properties(&json!({"AllocatedStorage": gib}));
        assert_eq!(no_twins(&of("900"), &of("800")), []);
        assert_eq!(no_twins(&of("700"), &of("800")).len(), 1);
    }

    #[test]
    fn a_feature_that_is_off_need_not_be_said() {
        assert_eq!(no_twins(&Properties::new(), &properties(&json!({"MultiAZ": false, "MonitoringInterval": 0}))), []);
        assert_eq!(no_twins(&Properties::new(), &properties(&json!({"MultiAZ": true}))).len(), 1);
    }
}
