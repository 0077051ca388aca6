"""The AWS CLI's hands change what was deployed; greenroom finds it, tells its line, and settles it."""

import json
import os
import subprocess
import unittest

import boto3
from local_cloud import ACCOUNT, GREENROOM, REGION, LocalCloud

ENVIRONMENT = f"""project: demo
account: "{ACCOUNT}"
region: {REGION}
stacks:
  data:
    values: {{retention: 7}} # a week
  web:
    values:
      most: 2
"""
DATA_INPUTS = "type: object\nproperties: {retention: {type: integer, description: Days}}\n"
DATA = """Resources:
  Database:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      Engine: postgres
      EngineVersion: "16.3"
      DBInstanceClass: db.t4g.small
      AllocatedStorage: "20"
      StorageEncrypted: true
      MasterUsername: master
      ManageMasterUserPassword: true
      BackupRetentionPeriod: {{ retention }}
"""
WEB_INPUTS = "type: object\nproperties: {most: {type: integer, description: Instances}}\n"
WEB = """Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24, AvailabilityZone: !Select [0, !GetAZs ""]}
  Launch:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: ami-0abc1234def567890, InstanceType: t4g.small}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: "1"
      MaxSize: "{{ most }}"
      VPCZoneIdentifier: [!Ref Subnet]
      LaunchTemplate: {LaunchTemplateId: !Ref Launch, Version: !GetAtt Launch.LatestVersionNumber}
"""


class Drift(LocalCloud):
    def setUp(self):
        super().setUp()
        self.write("environments/lab.yaml", ENVIRONMENT)
        self.write("templates/data/inputs.yaml", DATA_INPUTS)
        self.write("templates/data/stack.yaml", DATA)
        self.write("templates/web/inputs.yaml", WEB_INPUTS)
        self.write("templates/web/stack.yaml", WEB)

    def write(self, path, text):
        path = os.path.join(self.project, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def greenroom(self, *arguments):
        command = [GREENROOM, *arguments, "--local", "--project", self.project]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def ends(self, code, *arguments):
        done = self.greenroom(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def id_of(self, stack, resource):
        found = self.aws(
            "cloudformation", "describe-stack-resource", "--stack-name", stack, "--logical-resource-id", resource
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def test_three_changes_by_hand_come_to_a_decision_each(self):
        self.ends(0, "deploy", "lab", "--yes")
        self.ends(0, "drift", "lab")
        database = self.id_of("demo-lab-data", "Database")
        self.aws(
            *["rds", "modify-db-instance", "--db-instance-identifier", database],
            *["--backup-retention-period", "9", "--apply-immediately"],
        )
        group = self.id_of("demo-lab-web", "Group")
        self.aws_text("autoscaling", "update-auto-scaling-group", "--auto-scaling-group-name", group, "--max-size", "5")
        self.aws(
            *["rds", "modify-db-instance", "--db-instance-identifier", database],
            *["--copy-tags-to-snapshot", "--apply-immediately"],
        )
        self.control("advance")
        found = self.ends(4, "drift", "lab")
        for line in [
            "BackupRetentionPeriod  7 → 9   environments/lab.yaml:6:25",
            "MaxSize  2 → 5   environments/lab.yaml:9:13",
            "CopyTagsToSnapshot  false → true",
        ]:
            self.assertIn(line, found)
        self.ends(0, "drift", "lab", "--adopt", "data/Database/BackupRetentionPeriod")
        self.ends(0, "drift", "lab", "--revert", "web/Group", "--yes")
        self.ends(
            *[0, "drift", "lab", "--ignore", "data/Database/CopyTagsToSnapshot"],
            *["--until", "2099-06-30", "--because", "bills need them"],
        )
        self.ends(0, "drift", "lab")
        self.ends(0, "plan", "lab", "--exit-code")
        with open(os.path.join(self.project, "environments/lab.yaml")) as file:
            adopted = ENVIRONMENT.replace("retention: 7", "retention: 9")
            ignored = "drift:\n  ignore:\n    - {path: data/Database/CopyTagsToSnapshot, because: bills need them, until: 2099-06-30}\n"
            self.assertEqual(file.read(), adopted + ignored)

    def test_cloud_control_changes_and_deletes_what_a_stack_made(self):
        self.ends(0, "deploy", "lab", "--yes")
        subnet, group = self.id_of("demo-lab-web", "Subnet"), self.id_of("demo-lab-web", "Group")
        of_subnet = ["--type-name", "AWS::EC2::Subnet", "--identifier", subnet]
        of_group = ["--type-name", "AWS::AutoScaling::AutoScalingGroup", "--identifier", group]
        patch = json.dumps([{"op": "replace", "path": "/MaxSize", "value": "7"}])
        done = self.aws("cloudcontrol", "update-resource", *of_group, "--patch-document", patch)
        self.assertEqual(done["ProgressEvent"]["OperationStatus"], "SUCCESS")
        told = self.aws("cloudcontrol", "get-resource", *of_group)["ResourceDescription"]
        self.assertEqual(json.loads(told["Properties"])["MaxSize"], "7")
        self.aws("cloudcontrol", "delete-resource", *of_subnet)
        found = self.ends(4, "drift", "lab")
        self.assertIn("MaxSize  2 → 7   environments/lab.yaml:9:13", found)
        self.assertIn("- Subnet  AWS::EC2::Subnet", found)
        cloud_control = self.client("cloudcontrol")
        gone = {"TypeName": "AWS::EC2::Subnet", "Identifier": subnet}
        self.refused("ResourceNotFoundException", "was not found", cloud_control.get_resource, **gone)
        fixed = json.dumps([{"op": "add", "path": "/AutoScalingGroupName", "value": "other"}])
        self.refused(
            *["NotUpdatableException", "AutoScalingGroupName", cloud_control.update_resource],
            **{"TypeName": "AWS::AutoScaling::AutoScalingGroup", "Identifier": group, "PatchDocument": fixed},
        )
        self.refused(
            *["ValidationException", "", cloud_control.update_resource],
            **{"TypeName": "AWS::AutoScaling::AutoScalingGroup", "Identifier": group, "PatchDocument": "rubbish"},
        )

    def test_whoever_changed_it_is_told(self):
        self.ends(0, "deploy", "lab", "--yes")
        database = self.id_of("demo-lab-data", "Database")
        assumed = self.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Admin", RoleSessionName="jane@example.com"
        )["Credentials"]
        rds = boto3.client(
            "rds",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=assumed["AccessKeyId"],
            aws_secret_access_key=assumed["SecretAccessKey"],
            aws_session_token=assumed["SessionToken"],
        )
        rds.modify_db_instance(DBInstanceIdentifier=database, BackupRetentionPeriod=9, ApplyImmediately=True)
        group = self.id_of("demo-lab-web", "Group")
        self.aws_text("autoscaling", "update-auto-scaling-group", "--auto-scaling-group-name", group, "--max-size", "5")
        self.control("advance")
        found = self.ends(4, "drift", "lab", "--who")
        self.assertRegex(found, r"by jane@example.com in role Admin, at \S+Z: rds:ModifyDBInstance\n")
        self.assertRegex(found, r"by local, at \S+Z: autoscaling:UpdateAutoScalingGroup\n")
        attribute = f"AttributeKey=ResourceName,AttributeValue={database}"
        told = self.aws("cloudtrail", "lookup-events", "--lookup-attributes", attribute)["Events"]
        self.assertEqual([event["EventName"] for event in told], ["ModifyDBInstance", "CreateDBInstance"])
        self.assertEqual(told[0]["Username"], "jane@example.com")
        self.assertEqual(json.loads(told[0]["CloudTrailEvent"])["requestParameters"]["backupRetentionPeriod"], "9")


if __name__ == "__main__":
    unittest.main()
