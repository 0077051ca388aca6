"""RDS through CloudFormation and through its own API: a database, its snapshot, and a restore that keeps what it must."""

import unittest

from local_cloud import LocalCloud

NETWORK = {
    "Resources": {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "A": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "AvailabilityZoneId": "apse2-az1", "CidrBlock": "10.0.0.0/24"},
        },
        "B": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "AvailabilityZoneId": "apse2-az2", "CidrBlock": "10.0.1.0/24"},
        },
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "database", "VpcId": {"Ref": "Vpc"}},
        },
        "Subnets": {
            "Type": "AWS::RDS::DBSubnetGroup",
            "Properties": {"DBSubnetGroupDescription": "both", "SubnetIds": [{"Ref": "A"}, {"Ref": "B"}]},
        },
    },
    "Outputs": {
        "Subnets": {"Value": {"Ref": "Subnets"}, "Export": {"Name": "subnets"}},
        "Group": {"Value": {"Ref": "Group"}, "Export": {"Name": "group"}},
    },
}


def database(policy="Delete", **properties):
    return {
        "Resources": {
            "Settings": {
                "Type": "AWS::RDS::DBParameterGroup",
                "Properties": {"Description": "ours", "Family": "postgres16", "Parameters": {"max_connections": "100"}},
            },
            "Database": {
                "Type": "AWS::RDS::DBInstance",
                "DeletionPolicy": policy,
                "UpdateReplacePolicy": policy,
                "Properties": {
                    "DBInstanceClass": "db.t4g.micro",
                    "DBSubnetGroupName": {"Fn::ImportValue": "subnets"},
                    "VPCSecurityGroups": [{"Fn::ImportValue": "group"}],
                    "DBParameterGroupName": {"Ref": "Settings"},
                    **properties,
                },
            },
        },
        "Outputs": {
            "Id": {"Value": {"Ref": "Database"}},
            "Address": {"Value": {"Fn::GetAtt": ["Database", "Endpoint.Address"]}},
        },
    }


SOURCE = {
    "Engine": "postgres",
    "EngineVersion": "16.3",
    "AllocatedStorage": "50",
    "DBName": "sync",
    "MasterUsername": "master",
    "MasterUserPassword": "a-long-password",
    "Tags": [{"Key": "Environment", "Value": "production"}],
}


class Database(LocalCloud):
    def setUp(self):
        super().setUp()
        self.rds = self.client("rds")
        self.deploy("network", NETWORK, "CREATE")

    def found(self, name):
        [found] = self.rds.describe_db_instances(DBInstanceIdentifier=self.outputs(name)["Id"])["DBInstances"]
        return found

    def test_a_restore_keeps_name_user_version_and_storage(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        source = self.found("source")
        self.assertEqual(source["DBInstanceStatus"], "available")
        self.assertEqual(source["DBParameterGroups"][0]["ParameterApplyStatus"], "in-sync")
        self.assertEqual(source["Endpoint"]["Address"], self.outputs("source")["Address"])
        self.assertEqual(len(source["DBSubnetGroup"]["Subnets"]), 2)

        self.rds.create_db_snapshot(DBSnapshotIdentifier="snap", DBInstanceIdentifier=source["DBInstanceIdentifier"])
        self.rds.get_waiter("db_snapshot_completed").wait(
            DBSnapshotIdentifier="snap", WaiterConfig={"Delay": 0, "MaxAttempts": 100}
        )
        [snapshot] = self.rds.describe_db_snapshots(DBSnapshotIdentifier="snap")["DBSnapshots"]
        self.assertEqual((snapshot["Status"], snapshot["PercentProgress"]), ("available", 100))

        clone = database(DBSnapshotIdentifier="snap", MasterUserPassword="another-password", Tags=[{"Key": "Environment", "Value": "clone"}])
        self.deploy("clone", clone, "CREATE")
        found = self.found("clone")
        self.assertEqual(
            [found[name] for name in ("DBName", "MasterUsername", "EngineVersion", "AllocatedStorage", "DBInstanceStatus")],
            ["sync", "master", "16.3", 50, "available"],
        )
        tags = {tag["Key"]: tag["Value"] for tag in found["TagList"]}
        self.assertEqual(tags["Environment"], "clone")
        self.assertEqual(tags["aws:cloudformation:logical-id"], "Database")
        self.assertEqual(found["DBParameterGroups"][0]["ParameterApplyStatus"], "in-sync")

    def test_a_change_set_calls_a_new_snapshot_conditional_and_execution_replaces(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        old = self.outputs("source")["Id"]
        self.rds.create_db_snapshot(DBSnapshotIdentifier="snap", DBInstanceIdentifier=old)
        self.control("advance", {"seconds": 600})
        changed = self.deploy("source", database(DBSnapshotIdentifier="snap", **SOURCE))
        [row] = [row["ResourceChange"] for row in changed["Changes"]]
        self.assertEqual((row["Replacement"], row["PolicyAction"]), ("Conditional", "ReplaceAndDelete"))
        self.assertNotEqual(self.outputs("source")["Id"], old)
        self.refused("DBInstanceNotFound", old, self.rds.describe_db_instances, DBInstanceIdentifier=old)

    def test_updates_in_place(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        old = self.outputs("source")["Id"]
        changed = self.deploy("source", database(**{**SOURCE, "AllocatedStorage": "80", "BackupRetentionPeriod": 7}))
        [row] = [row["ResourceChange"] for row in changed["Changes"]]
        self.assertEqual(row["Replacement"], "Conditional")
        found = self.found("source")
        self.assertEqual((found["DBInstanceIdentifier"], found["AllocatedStorage"], found["BackupRetentionPeriod"]), (old, 80, 7))

    def test_deletion_with_a_snapshot_policy_leaves_one(self):
        self.deploy("source", database("Snapshot", **SOURCE), "CREATE")
        old = self.outputs("source")["Id"]
        self.cloudformation.delete_stack(StackName="source")
        self.control("advance")
        snapshots = self.rds.describe_db_snapshots(DBInstanceIdentifier=old)["DBSnapshots"]
        self.assertEqual([snapshot["SnapshotType"] for snapshot in snapshots], ["manual"])

    def test_a_protected_database_fails_the_deletion_and_can_be_retained(self):
        self.deploy("source", database(**{**SOURCE, "DeletionProtection": True}), "CREATE")
        stack_id = self.stack("source")["StackId"]
        self.cloudformation.delete_stack(StackName="source")
        self.assertEqual(self.settle(stack_id), "DELETE_FAILED")
        self.assertEqual(
            self.stack(stack_id)["StackStatusReason"], "The following resource(s) failed to delete: [Database]. "
        )
        self.cloudformation.delete_stack(StackName="source", RetainResources=["Database", "Settings"])
        self.assertEqual(self.settle(stack_id), "DELETE_COMPLETE")

    def test_drift_made_with_the_aws_cli_is_seen_and_reverted(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        id = self.outputs("source")["Id"]
        self.aws("rds", "modify-db-instance", "--db-instance-identifier", id, "--db-instance-class", "db.r7g.large", "--apply-immediately")
        self.control("advance")
        made = self.cloudformation.detect_stack_drift(StackName="source")["StackDriftDetectionId"]
        self.control("advance")
        status = self.cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=made)
        self.assertEqual((status["DetectionStatus"], status["StackDriftStatus"]), ("DETECTION_COMPLETE", "DRIFTED"))
        drifts = self.cloudformation.describe_stack_resource_drifts(StackName="source", StackResourceDriftStatusFilters=["MODIFIED"])
        [drift] = drifts["StackResourceDrifts"]
        self.assertEqual(
            drift["PropertyDifferences"],
            [{"PropertyPath": "/DBInstanceClass", "ExpectedValue": "db.t4g.micro", "ActualValue": "db.r7g.large", "DifferenceType": "NOT_EQUAL"}],
        )
        changed = self.deploy("source", database(**SOURCE), DeploymentMode="REVERT_DRIFT")
        [row] = [row["ResourceChange"] for row in changed["Changes"]]
        target = row["Details"][0]["Target"]
        self.assertEqual((row["ResourceDriftStatus"], target["BeforeValue"], target["AfterValue"]), ("MODIFIED", "db.r7g.large", "db.t4g.micro"))
        self.assertEqual(target["Drift"], {"PreviousValue": "db.t4g.micro", "ActualValue": "db.r7g.large"})
        self.assertEqual(self.found("source")["DBInstanceClass"], "db.t4g.micro")

    def test_adoption_of_drift_touches_nothing(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        self.control("touch", {"account": "123456789012", "region": "ap-southeast-2", "stack": "source", "logical_id": "Database", "set": {"DBInstanceClass": "db.r7g.large"}})
        adopted = database(**SOURCE)
        adopted["Resources"]["Database"]["Properties"]["DBInstanceClass"] = "db.r7g.large"
        changed = self.deploy("source", adopted, DeploymentMode="REVERT_DRIFT")
        [row] = [row["ResourceChange"] for row in changed["Changes"]]
        self.assertEqual(row["Action"], "SyncWithActual")
        events = self.cloudformation.describe_stack_events(StackName="source")["StackEvents"]
        self.assertNotIn("Database", [event["LogicalResourceId"] for event in events if event["ResourceStatus"].startswith("UPDATE")])

    def test_snapshots_are_copied_shared_and_refused(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        id = self.outputs("source")["Id"]
        self.rds.create_db_snapshot(DBSnapshotIdentifier="snap", DBInstanceIdentifier=id)
        self.refused("DBSnapshotAlreadyExists", "snap", self.rds.create_db_snapshot, DBSnapshotIdentifier="snap", DBInstanceIdentifier=id)
        self.refused("DBSnapshotNotFound", "none", self.rds.describe_db_snapshots, DBSnapshotIdentifier="none")
        self.control("advance")
        self.rds.copy_db_snapshot(SourceDBSnapshotIdentifier="snap", TargetDBSnapshotIdentifier="copy", Tags=[{"Key": "a", "Value": "b"}])
        self.control("advance")
        [copy] = self.rds.describe_db_snapshots(DBSnapshotIdentifier="copy")["DBSnapshots"]
        [snap] = self.rds.describe_db_snapshots(DBSnapshotIdentifier="snap")["DBSnapshots"]
        self.assertEqual(copy["SnapshotDatabaseTime"], snap["SnapshotDatabaseTime"])
        self.assertEqual(copy["OriginalSnapshotCreateTime"], snap["OriginalSnapshotCreateTime"])
        self.assertGreater(copy["SnapshotCreateTime"], snap["SnapshotCreateTime"])
        self.rds.modify_db_snapshot_attribute(DBSnapshotIdentifier="snap", AttributeName="restore", ValuesToAdd=["222222222222"])
        other = self.client("rds", account="222222222222")
        [seen] = other.describe_db_snapshots(DBSnapshotIdentifier=snap["DBSnapshotArn"])["DBSnapshots"]
        self.assertEqual((seen["DBInstanceIdentifier"], seen["SnapshotType"]), (id, "shared"))
        self.assertEqual(seen["DBSnapshotArn"], snap["DBSnapshotArn"])
        [listed] = other.describe_db_snapshots(SnapshotType="shared", IncludeShared=True)["DBSnapshots"]
        self.assertEqual(listed["DBSnapshotIdentifier"], snap["DBSnapshotArn"])
        self.assertEqual(other.describe_db_snapshots()["DBSnapshots"], [])
        other.copy_db_snapshot(SourceDBSnapshotIdentifier=snap["DBSnapshotArn"], TargetDBSnapshotIdentifier="mine")
        [mine] = other.describe_db_snapshots(DBSnapshotIdentifier="mine")["DBSnapshots"]
        self.assertEqual(mine["SourceDBSnapshotIdentifier"], snap["DBSnapshotArn"])
        self.assertEqual(mine["SnapshotDatabaseTime"], snap["SnapshotDatabaseTime"])

    def test_what_a_preflight_asks_is_answered(self):
        self.deploy("source", database(**SOURCE), "CREATE")
        source = self.found("source")
        quotas = {quota["AccountQuotaName"]: quota for quota in self.rds.describe_account_attributes()["AccountQuotas"]}
        self.assertEqual((quotas["DBInstances"]["Used"], quotas["AllocatedStorage"]["Used"]), (1, 50))
        offers = self.rds.describe_orderable_db_instance_options(Engine="postgres", EngineVersion="16.3", DBInstanceClass="db.t4g.micro")
        offered = offers["OrderableDBInstanceOptions"]
        self.assertEqual([offer["StorageType"] for offer in offered], ["gp2", "gp3", "io1", "io2"])
        self.assertEqual(len(offered[0]["AvailabilityZones"]), 3)
        self.assertEqual(self.rds.describe_orderable_db_instance_options(Engine="postgres", DBInstanceClass="db.no.such")["OrderableDBInstanceOptions"], [])
        [options] = self.rds.describe_option_groups(OptionGroupName=source["OptionGroupMemberships"][0]["OptionGroupName"])["OptionGroupsList"]
        self.assertEqual((options["EngineName"], options["MajorEngineVersion"], options["Options"]), ("postgres", "16", []))
        [group] = self.rds.describe_db_parameter_groups(DBParameterGroupName="default.postgres16")["DBParameterGroups"]
        self.assertEqual(group["DBParameterGroupFamily"], "postgres16")
        own = source["DBParameterGroups"][0]["DBParameterGroupName"]
        [parameter] = self.rds.describe_db_parameters(DBParameterGroupName=own, Source="user")["Parameters"]
        self.assertEqual(parameter["Source"], "user")
        self.assertEqual(self.rds.describe_db_parameters(DBParameterGroupName=own, Source="system")["Parameters"], [])
        self.refused("OptionGroupNotFoundFault", "none", self.rds.describe_option_groups, OptionGroupName="none")
        key = self.client("kms").describe_key(KeyId="alias/aws/rds")["KeyMetadata"]
        self.assertEqual((key["KeyManager"], key["KeyState"]), ("AWS", "Enabled"))
        self.refused("NotFoundException", "does not exist", self.client("kms").describe_key, KeyId="alias/none")

    def test_a_day_leaves_a_snapshot(self):
        self.deploy("source", database(**{**SOURCE, "BackupRetentionPeriod": 2}), "CREATE")
        id = self.outputs("source")["Id"]
        self.control("advance", {"seconds": 5 * 86_400})
        automated = self.rds.describe_db_snapshots(DBInstanceIdentifier=id, SnapshotType="automated")["DBSnapshots"]
        self.assertTrue(all(found["DBSnapshotIdentifier"].startswith(f"rds:{id}-") for found in automated))
        times = sorted(found["SnapshotDatabaseTime"] for found in automated)
        self.assertIn(len(times), (2, 3))
        self.assertEqual({(later - earlier).days for earlier, later in zip(times, times[1:])}, {1})
        newest = max(automated, key=lambda found: found["SnapshotDatabaseTime"])
        self.rds.add_tags_to_resource(ResourceName=newest["DBSnapshotArn"], Tags=[{"Key": "a", "Value": "b"}])
        tags = self.rds.list_tags_for_resource(ResourceName=newest["DBSnapshotArn"])["TagList"]
        self.assertIn({"Key": "a", "Value": "b"}, tags)


if __name__ == "__main__":
    unittest.main()
