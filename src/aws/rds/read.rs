//! From the SDK's types, where everything may be missing, to ours.

use std::collections::BTreeMap;

use aws_sdk_rds::primitives::DateTime;
use aws_sdk_rds::types;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Database, DatabaseOption, Membership, OptionGroup, Orderable, Parameter, ParameterGroup, Quota, Snapshot,
    SubnetGroup,
};
use crate::aws::Fault;

type Properties = BTreeMap<&'static str, Value>;

fn need(value: Option<String>, what: &'static str) -> Result<String, Fault> {
    value.ok_or(Fault::Incomplete { what })
}

pub(super) fn database(told: types::DbInstance) -> Result<Database, Fault> {
    Ok(Database {
        properties: properties(&told),
        pending: told.pending_modified_values.as_ref().map(pending).unwrap_or_default(),
        id: need(told.db_instance_identifier, "a database's name")?,
        arn: need(told.db_instance_arn, "a database's ARN")?,
        resource_id: need(told.dbi_resource_id, "a database's resource id")?,
        status: need(told.db_instance_status, "a database's status")?,
        address: told.endpoint.and_then(|endpoint| endpoint.address),
        created: time(told.instance_create_time),
        parameter_groups: memberships(told.db_parameter_groups, |group| {
            (group.db_parameter_group_name, group.parameter_apply_status)
        }),
        option_groups: memberships(told.option_group_memberships, |group| (group.option_group_name, group.status)),
        security_groups: memberships(told.vpc_security_groups, |group| (group.vpc_security_group_id, group.status)),
        subnet_group: told.db_subnet_group.map(subnet_group).transpose()?,
        master_secret: told.master_user_secret.and_then(|secret| membership(secret.secret_arn, secret.secret_status)),
        tags: tags(told.tag_list),
    })
}

fn memberships<T>(told: Option<Vec<T>>, read: impl Fn(T) -> (Option<String>, Option<String>)) -> Vec<Membership> {
    let told = told.unwrap_or_default().into_iter().map(read);
    told.filter_map(|(name, status)| membership(name, status)).collect()
}

fn membership(name: Option<String>, status: Option<String>) -> Option<Membership> {
    Some(Membership { name: name?, status: status.unwrap_or_default() })
}

/// In the registry's words. Groups stand here by name as well: whoever renders a template needs all of it in one place.
fn properties(told: &types::DbInstance) -> Properties {
    let group = told.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
    let options = told.option_group_memberships().first().and_then(|group| group.option_group_name());
    let subnets = told.db_subnet_group().and_then(|group| group.db_subnet_group_name());
    let security: Vec<&str> =
        told.vpc_security_groups().iter().filter_map(|group| group.vpc_security_group_id()).collect();
    let roles = told.associated_roles().iter();
    let roles: Vec<Value> =
        roles.map(|role| json!({"FeatureName": role.feature_name(), "RoleArn": role.role_arn()})).collect();
    let features = told.processor_features().iter();
    let features: Vec<Value> =
        features.map(|feature| json!({"Name": feature.name(), "Value": feature.value()})).collect();
    let mode = told.database_insights_mode().map(types::DatabaseInsightsMode::as_str);
    let port = told.endpoint().and_then(types::Endpoint::port).or(told.db_instance_port).filter(|port| *port > 0);
    let all = [
        // The registry has sizes as texts, RDS as numbers.
        ("AllocatedStorage", told.allocated_storage.map(|gibibytes| json!(gibibytes.to_string()))),
        ("AssociatedRoles", Some(json!(roles))),
        ("AutoMinorVersionUpgrade", told.auto_minor_version_upgrade.map(Value::from)),
        ("AvailabilityZone", told.availability_zone().map(Value::from)),
        ("BackupRetentionPeriod", told.backup_retention_period.map(Value::from)),
        ("CACertificateIdentifier", told.ca_certificate_identifier().map(Value::from)),
        ("CharacterSetName", told.character_set_name().map(Value::from)),
        ("CopyTagsToSnapshot", told.copy_tags_to_snapshot.map(Value::from)),
        ("DBInstanceClass", told.db_instance_class().map(Value::from)),
        ("DBInstanceIdentifier", told.db_instance_identifier().map(Value::from)),
        ("DBName", told.db_name().map(Value::from)),
        ("DBParameterGroupName", group.map(Value::from)),
        ("DBSubnetGroupName", subnets.map(Value::from)),
        ("DatabaseInsightsMode", mode.map(Value::from)),
        ("DedicatedLogVolume", told.dedicated_log_volume.map(Value::from)),
        ("DeletionProtection", told.deletion_protection.map(Value::from)),
        ("EnableCloudwatchLogsExports", Some(json!(told.enabled_cloudwatch_logs_exports()))),
        ("EnableIAMDatabaseAuthentication", told.iam_database_authentication_enabled.map(Value::from)),
        ("EnablePerformanceInsights", told.performance_insights_enabled.map(Value::from)),
        ("Engine", told.engine().map(Value::from)),
        ("EngineLifecycleSupport", told.engine_lifecycle_support().map(Value::from)),
        ("EngineVersion", told.engine_version().map(Value::from)),
        ("Iops", told.iops.map(Value::from)),
        ("KmsKeyId", told.kms_key_id().map(Value::from)),
        ("LicenseModel", told.license_model().map(Value::from)),
        ("MasterUsername", told.master_username().map(Value::from)),
        ("MaxAllocatedStorage", told.max_allocated_storage.map(Value::from)),
        ("MonitoringInterval", told.monitoring_interval.map(Value::from)),
        ("MonitoringRoleArn", told.monitoring_role_arn().map(Value::from)),
        ("MultiAZ", told.multi_az.map(Value::from)),
        ("NetworkType", told.network_type().map(Value::from)),
        ("OptionGroupName", options.map(Value::from)),
        ("PerformanceInsightsKMSKeyId", told.performance_insights_kms_key_id().map(Value::from)),
        ("PerformanceInsightsRetentionPeriod", told.performance_insights_retention_period.map(Value::from)),
        ("Port", port.map(|port| json!(port.to_string()))),
        ("PreferredBackupWindow", told.preferred_backup_window().map(Value::from)),
        ("PreferredMaintenanceWindow", told.preferred_maintenance_window().map(Value::from)),
        ("ProcessorFeatures", Some(json!(features))),
        ("PubliclyAccessible", told.publicly_accessible.map(Value::from)),
        ("StorageEncrypted", told.storage_encrypted.map(Value::from)),
        ("StorageThroughput", told.storage_throughput.map(Value::from)),
        ("StorageType", told.storage_type().map(Value::from)),
        ("Timezone", told.timezone().map(Value::from)),
        ("VPCSecurityGroups", Some(json!(security))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Names only: one of the values may be a password.
fn pending(told: &types::PendingModifiedValues) -> Vec<&'static str> {
    let exports = told
        .pending_cloudwatch_logs_exports
        .as_ref()
        .is_some_and(|exports| !exports.log_types_to_enable().is_empty() || !exports.log_types_to_disable().is_empty());
    let all = [
        ("AllocatedStorage", told.allocated_storage.is_some()),
        ("BackupRetentionPeriod", told.backup_retention_period.is_some()),
        ("CACertificateIdentifier", told.ca_certificate_identifier.is_some()),
        ("DBInstanceClass", told.db_instance_class.is_some()),
        ("DBInstanceIdentifier", told.db_instance_identifier.is_some()),
        ("DBSubnetGroupName", told.db_subnet_group_name.is_some()),
        ("DedicatedLogVolume", told.dedicated_log_volume.is_some()),
        ("EnableCloudwatchLogsExports", exports),
        ("EnableIAMDatabaseAuthentication", told.iam_database_authentication_enabled.is_some()),
        ("Engine", told.engine.is_some()),
        ("EngineVersion", told.engine_version.is_some()),
        ("Iops", told.iops.is_some()),
        ("LicenseModel", told.license_model.is_some()),
        ("MasterUserPassword", told.master_user_password.is_some()),
        ("MultiAZ", told.multi_az.is_some()),
        ("Port", told.port.is_some()),
        ("ProcessorFeatures", !told.processor_features().is_empty()),
        ("StorageThroughput", told.storage_throughput.is_some()),
        ("StorageType", told.storage_type.is_some()),
    ];
    all.into_iter().filter(|(_, is_pending)| *is_pending).map(|(name, _)| name).collect()
}

pub(super) fn snapshot(told: types::DbSnapshot) -> Result<Snapshot, Fault> {
    let properties = [
        ("AllocatedStorage", told.allocated_storage.map(|gibibytes| json!(gibibytes.to_string()))),
        ("Engine", told.engine().map(Value::from)),
        ("EngineVersion", told.engine_version().map(Value::from)),
        ("Iops", told.iops.map(Value::from)),
        ("LicenseModel", told.license_model().map(Value::from)),
        ("MasterUsername", told.master_username().map(Value::from)),
        ("OptionGroupName", told.option_group_name().map(Value::from)),
        ("StorageThroughput", told.storage_throughput.map(Value::from)),
        ("StorageType", told.storage_type().map(Value::from)),
    ];
    Ok(Snapshot {
        properties: properties.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        name: need(told.db_snapshot_identifier, "a snapshot's name")?,
        arn: need(told.db_snapshot_arn, "a snapshot's ARN")?,
        kind: told.snapshot_type.unwrap_or_default(),
        status: need(told.status, "a snapshot's status")?,
        percent: told.percent_progress,
        database: need(told.db_instance_identifier, "the name of a snapshot's database")?,
        database_resource_id: told.dbi_resource_id,
        created: time(told.snapshot_create_time),
        data_as_of: time(told.snapshot_database_time),
        source_arn: told.source_db_snapshot_identifier,
        is_encrypted: told.encrypted.unwrap_or_default(),
        key: told.kms_key_id,
        tags: tags(told.tag_list),
    })
}

pub(super) fn parameter_group(told: types::DbParameterGroup) -> Result<ParameterGroup, Fault> {
    Ok(ParameterGroup {
        name: need(told.db_parameter_group_name, "a parameter group's name")?,
        family: need(told.db_parameter_group_family, "a parameter group's family")?,
        description: told.description.unwrap_or_default(),
    })
}

/// A parameter without a value was not set.
pub(super) fn parameter(told: types::Parameter) -> Option<Parameter> {
    let is_static = told.apply_type() == Some("static");
    Some(Parameter { name: told.parameter_name?, value: told.parameter_value?, is_static })
}

pub(super) fn option_group(told: types::OptionGroup) -> Result<OptionGroup, Fault> {
    let engine = need(told.engine_name, "an option group's engine")?;
    let major = told.major_engine_version.unwrap_or_default();
    Ok(OptionGroup {
        name: need(told.option_group_name, "an option group's name")?,
        engine: format!("{engine} {major}").trim_end().to_owned(),
        options: told.options.unwrap_or_default().into_iter().filter_map(option).collect(),
    })
}

fn option(told: types::Option) -> Option<DatabaseOption> {
    let settings = told.option_settings.unwrap_or_default().into_iter();
    Some(DatabaseOption {
        name: told.option_name?,
        version: told.option_version,
        port: told.port,
        is_permanent: told.permanent.unwrap_or_default(),
        settings: settings.filter_map(|setting| Some((setting.name?, setting.value?))).collect(),
    })
}

pub(super) fn subnet_group(told: types::DbSubnetGroup) -> Result<SubnetGroup, Fault> {
    let subnets = told.subnets.unwrap_or_default().into_iter().filter_map(|subnet| {
        let zone = subnet.subnet_availability_zone.and_then(|zone| zone.name).unwrap_or_default();
        Some((subnet.subnet_identifier?, zone))
    });
    Ok(SubnetGroup {
        name: need(told.db_subnet_group_name, "a subnet group's name")?,
        vpc: told.vpc_id.unwrap_or_default(),
        subnets: subnets.collect(),
    })
}

pub(super) fn orderable(told: types::OrderableDbInstanceOption) -> Option<Orderable> {
    Some(Orderable {
        class: told.db_instance_class?,
        storage_type: told.storage_type?,
        zones: told.availability_zones.unwrap_or_default().into_iter().filter_map(|zone| zone.name).collect(),
        can_be_multi_az: told.multi_az_capable.unwrap_or_default(),
    })
}

pub(super) fn quota(told: types::AccountQuota) -> Option<Quota> {
    Some(Quota { name: told.account_quota_name?, used: told.used?, max: told.max? })
}

pub(super) fn tags(told: Option<Vec<types::Tag>>) -> BTreeMap<String, String> {
    let told = told.unwrap_or_default().into_iter();
    told.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

fn time(told: Option<DateTime>) -> Option<Timestamp> {
    let told = told?;
    Timestamp::new(told.secs(), i32::try_from(told.subsec_nanos()).ok()?).ok()
}
