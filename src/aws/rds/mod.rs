//! RDS: databases and their snapshots, parameter groups, subnet groups and option groups, as plain data; and the few calls that
//! change snapshots and tags.
//!
//! What a list leaves out is asked for by its name and may not be there: then it is `None`. Everything else that is not an
//! answer is a [`Fault`].

mod presigned;
mod read;

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_rds::Client;
use aws_sdk_rds::types;
use jiff::Timestamp;
use serde_json::Value;

use super::{Fault, Page, pages};

/// A client for the databases of one account and Region.
#[derive(Clone, Debug)]
pub struct Rds {
    client: Client,
    /// Region and credentials, for the one call that is signed and not made.
    shared: SdkConfig,
}

/// A database, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// Its name in its account and Region.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `DbiResourceId`: unlike its name it is never used again.
    pub resource_id: String,
    /// One of RDS's many words; see [`Database::properties`] for everything else.
    pub status: String,
    /// Where it listens; a database that is being created does not.
    pub address: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// What it is made like: properties of `AWS::RDS::DBInstance` in the registry's words and types. What RDS does not tell,
    /// such as a password, is not in it; what it tells of features that are off is.
    pub properties: BTreeMap<&'static str, Value>,
    /// Names of the properties that will change later, at a reboot or in the maintenance window.
    pub pending: Vec<&'static str>,
    /// Its parameter groups.
    pub parameter_groups: Vec<Membership>,
    /// Its option groups.
    pub option_groups: Vec<Membership>,
    /// Its security groups, by id.
    pub security_groups: Vec<Membership>,
    /// Where it may run.
    pub subnet_group: Option<SubnetGroup>,
    /// The secret in which RDS keeps its master password, if it does.
    pub master_secret: Option<Membership>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Something that a database uses, and how far RDS has come with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Its name, id or ARN.
    pub name: String,
    /// Such as `in-sync`, `pending-reboot`, `active`.
    pub status: String,
}

/// A snapshot, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name in its account and Region.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `automated`, `manual`, `shared` or `public`, `awsbackup`.
    pub kind: String,
    /// `available`, or what it is on the way from or to.
    pub status: String,
    /// How much of it is done.
    pub percent: Option<i32>,
    /// The database that it was taken of, by name.
    pub database: String,
    /// That database's `DbiResourceId`.
    pub database_resource_id: Option<String>,
    /// When it was complete; a copy has a time of its own.
    pub created: Option<Timestamp>,
    /// The last transaction in it. Copies keep it.
    pub data_as_of: Option<Timestamp>,
    /// The snapshot that it is a copy of.
    pub source_arn: Option<String>,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// With which key, by ARN.
    pub key: Option<String>,
    /// What a restore takes from it: properties of `AWS::RDS::DBInstance`, as far as a snapshot tells.
    pub properties: BTreeMap<&'static str, Value>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A parameter group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterGroup {
    /// Its name.
    pub name: String,
    /// The engine and version that it is for, such as `postgres16`.
    pub family: String,
    /// Its description.
    pub description: String,
}

/// A parameter that somebody has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether a change waits for a reboot (`ApplyType` `static`).
    pub is_static: bool,
}

/// An option group and what is switched on in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionGroup {
    /// Its name.
    pub name: String,
    /// Its engine and that engine's major version.
    pub engine: String,
    /// Its options.
    pub options: Vec<DatabaseOption>,
}

/// An option of a database engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOption {
    /// Its name.
    pub name: String,
    /// Its version, for options that have some.
    pub version: Option<String>,
    /// The port it listens on, for options that do.
    pub port: Option<i32>,
    /// Whether it can never be removed again: snapshots with it cannot be shared.
    pub is_permanent: bool,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
}

/// Subnets in which databases may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetGroup {
    /// Its name.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnets by id, each with its Availability Zone.
    pub subnets: BTreeMap<String, String>,
}

/// A class of database that can be had, with one kind of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orderable {
    /// Such as `db.r7g.xlarge`.
    pub class: String,
    /// Such as `gp3`.
    pub storage_type: String,
    /// The Availability Zones that have it.
    pub zones: Vec<String>,
    /// Whether it can have a standby.
    pub can_be_multi_az: bool,
}

/// How much of something an account may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// RDS's name for it, such as `DBInstances`.
    pub name: String,
    /// How many there are, or how many GiB.
    pub used: i64,
    /// How many there may be.
    pub max: i64,
}

/// A copy that is wanted of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy<'a> {
    /// The snapshot: its name, or its ARN where it lies in another account or Region.
    pub source: &'a str,
    /// The name of the copy.
    pub name: &'a str,
    /// The key that the copy is encrypted with, by ARN; without one it stays as it is.
    pub key: Option<&'a str>,
    /// Its option group, where the source's is none of the copy's Region.
    pub option_group: Option<&'a str>,
    /// All its tags; the source's are not taken over.
    pub tags: &'a BTreeMap<String, String>,
}

impl Rds {
    pub(super) fn new(client: Client, shared: SdkConfig) -> Self {
        Self { client, shared }
    }

    /// All databases.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn databases(&self) -> Result<Vec<Database>, Fault> {
        let read = async |marker| {
            let answer = self.client.describe_db_instances().set_marker(marker).send().await?;
            let found = answer.db_instances.unwrap_or_default().into_iter().map(read::database);
            Ok(Page { items: found.collect::<Result<_, _>>()?, next: answer.marker })
        };
        pages(read, |_: &[Database]| false).await
    }

    /// One database, by name.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn database(&self, id: &str) -> Result<Option<Database>, Fault> {
        let answer = self.client.describe_db_instances().db_instance_identifier(id).send().await;
        let Some(answer) = or_none(answer.map_err(Fault::from))? else { return Ok(None) };
        answer.db_instances.unwrap_or_default().into_iter().next().map(read::database).transpose()
    }

    /// All snapshots that this account has of a database, by its name.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn snapshots_of(&self, database: &str) -> Result<Vec<Snapshot>, Fault> {
        self.snapshots(Some(database)).await
    }

    /// All snapshots that were taken or copied on somebody's order.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn manual_snapshots(&self) -> Result<Vec<Snapshot>, Fault> {
        let all = self.snapshots(None).await?;
        Ok(all.into_iter().filter(|snapshot| snapshot.kind == "manual").collect())
    }

    async fn snapshots(&self, database: Option<&str>) -> Result<Vec<Snapshot>, Fault> {
        let read = async |marker| {
            let call = self.client.describe_db_snapshots().set_db_instance_identifier(database.map(str::to_owned));
            let answer = call.set_marker(marker).send().await?;
            let found = answer.db_snapshots.unwrap_or_default().into_iter().map(read::snapshot);
            Ok(Page { items: found.collect::<Result<_, _>>()?, next: answer.marker })
        };
        pages(read, |_: &[Snapshot]| false).await
    }

    /// One snapshot: by name, or by ARN where another account shares it.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn snapshot(&self, name: &str) -> Result<Option<Snapshot>, Fault> {
        let is_shared = name.starts_with("arn:");
        let call = self.client.describe_db_snapshots().db_snapshot_identifier(name).include_shared(is_shared);
        let Some(answer) = or_none(call.send().await.map_err(Fault::from))? else { return Ok(None) };
        answer.db_snapshots.unwrap_or_default().into_iter().next().map(read::snapshot).transpose()
    }

    /// The accounts that may restore a snapshot of ours; `all` stands for everybody.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn shared_with(&self, snapshot: &str) -> Result<Vec<String>, Fault> {
        let answer = self.client.describe_db_snapshot_attributes().db_snapshot_identifier(snapshot).send().await?;
        let result =
            answer.db_snapshot_attributes_result.ok_or(Fault::Incomplete { what: "a snapshot's attributes" })?;
        let attributes = result.db_snapshot_attributes.unwrap_or_default().into_iter();
        let restore = attributes.filter(|attribute| attribute.attribute_name() == Some("restore"));
        Ok(restore.flat_map(|attribute| attribute.attribute_values.unwrap_or_default()).collect())
    }

    /// A parameter group.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Fault> {
        let answer = self.client.describe_db_parameter_groups().db_parameter_group_name(name).send().await;
        let Some(answer) = or_none(answer.map_err(Fault::from))? else { return Ok(None) };
        answer.db_parameter_groups.unwrap_or_default().into_iter().next().map(read::parameter_group).transpose()
    }

    /// The parameters of a group that somebody has set; all others are the engine's own.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn parameters(&self, group: &str) -> Result<Vec<Parameter>, Fault> {
        let read = async |marker| {
            let call = self.client.describe_db_parameters().db_parameter_group_name(group).source("user");
            let answer = call.set_marker(marker).send().await?;
            let found = answer.parameters.unwrap_or_default().into_iter().filter_map(read::parameter);
            Ok(Page { items: found.collect(), next: answer.marker })
        };
        pages(read, |_: &[Parameter]| false).await
    }

    /// An option group.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn option_group(&self, name: &str) -> Result<Option<OptionGroup>, Fault> {
        let answer = self.client.describe_option_groups().option_group_name(name).send().await;
        let Some(answer) = or_none(answer.map_err(Fault::from))? else { return Ok(None) };
        answer.option_groups_list.unwrap_or_default().into_iter().next().map(read::option_group).transpose()
    }

    /// A subnet group.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn subnet_group(&self, name: &str) -> Result<Option<SubnetGroup>, Fault> {
        let answer = self.client.describe_db_subnet_groups().db_subnet_group_name(name).send().await;
        let Some(answer) = or_none(answer.map_err(Fault::from))? else { return Ok(None) };
        answer.db_subnet_groups.unwrap_or_default().into_iter().next().map(read::subnet_group).transpose()
    }

    /// The ways in which a class of database can be had for an engine's version.
    ///
    /// # Errors
    /// What a call ended with.
    pub async fn orderable(&self, engine: &str, version: &str, class: &str) -> Result<Vec<Orderable>, Fault> {
        let read = async |marker| {
            let call = self.client.describe_orderable_db_instance_options().engine(engine).engine_version(version);
            let answer = call.db_instance_class(class).set_marker(marker).send().await?;
            let found = answer.orderable_db_instance_options.unwrap_or_default().into_iter();
            Ok(Page { items: found.filter_map(read::orderable).collect(), next: answer.marker })
        };
        pages(read, |_: &[Orderable]| false).await
    }

    /// What the account may have.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn quotas(&self) -> Result<Vec<Quota>, Fault> {
        let answer = self.client.describe_account_attributes().send().await?;
        Ok(answer.account_quotas.unwrap_or_default().into_iter().filter_map(read::quota).collect())
    }

    /// The tags of anything in RDS, by its ARN.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        let answer = self.client.list_tags_for_resource().resource_name(arn).send().await?;
        Ok(read::tags(answer.tag_list))
    }

    /// Puts tags on anything in RDS, by its ARN. Tags of other names stay.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn add_tags(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), Fault> {
        self.client.add_tags_to_resource().resource_name(arn).set_tags(Some(tag_list(tags))).send().await?;
        Ok(())
    }

    /// Begins a snapshot of a database. On a database without a standby, I/O stands still for a moment (RDS User Guide,
    /// "Creating a DB snapshot").
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn take_snapshot(
        &self,
        database: &str,
        name: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<Snapshot, Fault> {
        let call = self.client.create_db_snapshot().db_instance_identifier(database).db_snapshot_identifier(name);
        let answer = call.set_tags(Some(tag_list(tags))).send().await?;
        read::snapshot(answer.db_snapshot.ok_or(Fault::Incomplete { what: "the snapshot that was begun" })?)
    }

    /// Begins a copy of a snapshot in this account and Region.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn copy_snapshot(&self, copy: Copy<'_>) -> Result<Snapshot, Fault> {
        let url = presigned::permission_to_copy(&self.shared, copy).await?;
        let call = self.client.copy_db_snapshot().source_db_snapshot_identifier(copy.source);
        let call = call.target_db_snapshot_identifier(copy.name).copy_tags(false).set_tags(Some(tag_list(copy.tags)));
        let call = call.set_kms_key_id(copy.key.map(str::to_owned)).set_pre_signed_url(url);
        let answer = call.set_option_group_name(copy.option_group.map(str::to_owned)).send().await?;
        read::snapshot(answer.db_snapshot.ok_or(Fault::Incomplete { what: "the copy that was begun" })?)
    }

    /// Changes properties of a database at once, not in its maintenance window.
    ///
    /// # Errors
    /// What the call ended with, and [`Fault::Incomplete`] for a property that it cannot change or a value that it cannot take.
    pub async fn modify(&self, database: &str, changes: &BTreeMap<String, Value>) -> Result<(), Fault> {
        let mut call = self.client.modify_db_instance().db_instance_identifier(database).apply_immediately(true);
        for (property, value) in changes {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let (truth, number) = (text.parse::<bool>().ok(), text.parse::<i32>().ok());
            call = match (property.as_str(), truth, number) {
                ("AutoMinorVersionUpgrade", Some(is), _) => call.auto_minor_version_upgrade(is),
                ("BackupRetentionPeriod", _, Some(days)) => call.backup_retention_period(days),
                ("CACertificateIdentifier", ..) => call.ca_certificate_identifier(text),
                ("CopyTagsToSnapshot", Some(is), _) => call.copy_tags_to_snapshot(is),
                ("EnableIAMDatabaseAuthentication", Some(is), _) => call.enable_iam_database_authentication(is),
                ("MaxAllocatedStorage", _, Some(gib)) => call.max_allocated_storage(gib),
                ("MultiAZ", Some(is), _) => call.multi_az(is),
                ("PreferredBackupWindow", ..) => call.preferred_backup_window(text),
                ("PreferredMaintenanceWindow", ..) => call.preferred_maintenance_window(text),
                _ => return Err(Fault::Incomplete { what: "a property of a database that can be set by itself" }),
            };
        }
        call.send().await?;
        Ok(())
    }

    /// Lets another account restore and copy a snapshot.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn share_snapshot(&self, snapshot: &str, account: &str) -> Result<(), Fault> {
        let call = self.client.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot);
        call.attribute_name("restore").values_to_add(account).send().await?;
        Ok(())
    }

    /// Takes that back.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn unshare_snapshot(&self, snapshot: &str, account: &str) -> Result<(), Fault> {
        let call = self.client.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot);
        call.attribute_name("restore").values_to_remove(account).send().await?;
        Ok(())
    }

    /// Deletes a snapshot that was taken or copied on somebody's order, by name.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn delete_snapshot(&self, name: &str) -> Result<(), Fault> {
        self.client.delete_db_snapshot().db_snapshot_identifier(name).send().await?;
        Ok(())
    }
}

/// What is not there is an answer.
fn or_none<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Fault::Missing { .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn tag_list(tags: &BTreeMap<String, String>) -> Vec<types::Tag> {
    tags.iter().map(|(key, value)| types::Tag::builder().key(key).value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Target;
    use crate::aws::canned::{Answer, Canned, refusal, result};
    use serde_json::json;

    async fn asking(answers: Vec<Answer>) -> (Canned, Rds) {
        let canned = Canned::serve(answers).await;
        let target = Target { account: "333333333333", region: "ap-southeast-2", role: None };
        let rds = canned.clients.rds(target).await;
        (canned, rds)
    }

    const TOLD: &str = "<DBInstance><DBInstanceIdentifier>d</DBInstanceIdentifier>\
        <DBInstanceArn>arn:aws:rds:ap-southeast-2:333333333333:db:d</DBInstanceArn><DbiResourceId>db-A</DbiResourceId>\
        <DBInstanceStatus>available</DBInstanceStatus><AllocatedStorage>50</AllocatedStorage><MultiAZ>true</MultiAZ>\
        <Endpoint><Address>d.example</Address><Port>5432</Port></Endpoint>\
        <DBParameterGroups><DBParameterGroup><DBParameterGroupName>g</DBParameterGroupName>\
        <ParameterApplyStatus>pending-reboot</ParameterApplyStatus></DBParameterGroup></DBParameterGroups>\
        <PendingModifiedValues><MasterUserPassword>****</MasterUserPassword><Iops>3000</Iops></PendingModifiedValues>\
        <TagList><Tag><Key>a</Key><Value>b</Value></Tag></TagList></DBInstance>";

    #[tokio::test]
    async fn a_database_is_told_in_the_registrys_words() {
        let body = format!("<DBInstances>{TOLD}</DBInstances>");
        let (_canned, rds) = asking(vec![result("DescribeDBInstances", &body)]).await;
        let database = rds.database("d").await.expect("an answer").expect("a database");
        let properties = json!(database.properties);
        let expected = json!({
            "AllocatedStorage": "50", "AssociatedRoles": [], "DBInstanceIdentifier": "d", "DBParameterGroupName": "g",
            "EnableCloudwatchLogsExports": [], "MultiAZ": true, "Port": "5432", "ProcessorFeatures": [], "VPCSecurityGroups": [],
        });
        assert_eq!(properties, expected);
        assert_eq!(database.pending, ["Iops", "MasterUserPassword"]);
        assert_eq!(database.parameter_groups, [Membership { name: "g".into(), status: "pending-reboot".into() }]);
        assert_eq!(database.tags.get("a").map(String::as_str), Some("b"));
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end() {
        let page = |next: &str| result("DescribeDBInstances", &format!("<DBInstances>{TOLD}</DBInstances>{next}"));
        let (canned, rds) = asking(vec![page("<Marker>more</Marker>"), page("")]).await;
        assert_eq!(rds.databases().await.map(|all| all.len()), Ok(2));
        assert!(canned.asked()[1].contains("Marker=more"), "{:?}", canned.asked());
    }

    #[tokio::test]
    async fn what_is_not_there_is_an_answer_and_what_is_denied_is_none() {
        let (_canned, rds) = asking(vec![refusal(404, "DBInstanceNotFound", "DBInstance d not found.")]).await;
        assert_eq!(rds.database("d").await, Ok(None));
        let (_canned, rds) = asking(vec![refusal(403, "AccessDenied", "may not")]).await;
        assert_eq!(rds.database("d").await, Err(Fault::Denied { message: "may not".into() }));
    }

    #[tokio::test]
    async fn an_answer_without_what_it_must_hold_is_no_answer() {
        let body = "<DBInstances><DBInstance><DBInstanceIdentifier>d</DBInstanceIdentifier></DBInstance></DBInstances>";
        let (_canned, rds) = asking(vec![result("DescribeDBInstances", body)]).await;
        assert_eq!(rds.database("d").await, Err(Fault::Incomplete { what: "a database's ARN" }));
    }

    #[tokio::test]
    async fn what_is_changed_is_changed_at_once() {
        let (canned, rds) = asking(vec![result("ModifyDBInstance", TOLD)]).await;
        let changes = |value: Value| BTreeMap::from([("MaxAllocatedStorage".to_owned(), value)]);
        assert_eq!(rds.modify("d", &changes(json!("200"))).await, Ok(()));
        let asked = canned.asked().concat();
        for part in ["ApplyImmediately=true", "DBInstanceIdentifier=d", "MaxAllocatedStorage=200"] {
            assert!(asked.contains(part), "{asked}");
        }
        assert!(matches!(rds.modify("d", &changes(json!("much"))).await, Err(Fault::Incomplete { .. })));
    }

    #[tokio::test]
    async fn a_copy_has_the_tags_it_is_given_and_no_others() {
        let snapshot = "<DBSnapshot><DBSnapshotIdentifier>c</DBSnapshotIdentifier><DBSnapshotArn>arn:c</DBSnapshotArn>\
            <Status>creating</Status><DBInstanceIdentifier>d</DBInstanceIdentifier></DBSnapshot>";
        let (canned, rds) = asking(vec![result("CopyDBSnapshot", snapshot)]).await;
        let tags = BTreeMap::from([("greenroom:environment".to_owned(), "twin".to_owned())]);
        let copy = Copy { source: "rds:d-2026", name: "c", key: Some("arn:key"), option_group: None, tags: &tags };
        let begun = rds.copy_snapshot(copy).await.expect("an answer");
        assert_eq!((begun.name.as_str(), begun.status.as_str()), ("c", "creating"));
        let asked = canned.asked().concat();
        for part in ["CopyTags=false", "Tags.Tag.1.Key=greenroom%3Aenvironment", "KmsKeyId=arn%3Akey"] {
            assert!(asked.contains(part), "{asked}");
        }
    }
}
