"""What clients rely on without noticing: paging, error codes, faults that look like AWS's, a state that outlives a kill."""

import json
import os
import subprocess
import unittest

import botocore.exceptions

from local_cloud import GREENROOM, LocalCloud

TOPIC = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


class Paging(LocalCloud):
    PAGE_SIZE = 2

    def test_every_list_pages(self):
        topics = {
            "Resources": {f"Topic{n}": {"Type": "AWS::SNS::Topic"} for n in range(5)},
            "Outputs": {f"Out{n}": {"Value": "x", "Export": {"Name": f"e{n}"}} for n in range(5)},
        }
        for name in ("a", "b", "c"):
            template = topics if name == "a" else TOPIC
            self.deploy(name, template, "CREATE")
        count = lambda operation, key, **arguments: sum(
            len(page[key]) for page in self.cloudformation.get_paginator(operation).paginate(**arguments)
        )
        self.assertEqual(count("describe_stacks", "Stacks"), 3)
        self.assertEqual(count("list_stacks", "StackSummaries"), 3)
        self.assertEqual(count("list_stack_resources", "StackResourceSummaries", StackName="a"), 5)
        self.assertEqual(count("list_exports", "Exports"), 5)
        self.assertEqual(count("describe_stack_events", "StackEvents", StackName="a"), 3 * 5 + 3)
        made = self.cloudformation.create_change_set(
            StackName="n", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=json.dumps(topics)
        )
        self.wait("change_set_create_complete", ChangeSetName=made["Id"])
        self.assertEqual(count("describe_change_set", "Changes", ChangeSetName=made["Id"]), 5)
        self.refused("ValidationError", "token", self.cloudformation.describe_stacks, NextToken="nonsense")


class Refusals(LocalCloud):
    def test_codes_and_words(self):
        cloudformation = self.cloudformation
        self.refused("ValidationError", "Stack with id x does not exist", cloudformation.describe_stacks, StackName="x")
        self.refused("ValidationError", "Stack [x] does not exist", cloudformation.describe_stack_events, StackName="x")
        self.refused("ValidationError", "Stack [x] does not exist", cloudformation.describe_change_set, StackName="x", ChangeSetName="c")
        self.refused("ValidationError", "StackName must be specified", cloudformation.describe_change_set, ChangeSetName="c")
        self.refused(
            "ValidationError",
            "Template format error: Unrecognized resource types: [AWS::Made::Up]",
            cloudformation.validate_template,
            TemplateBody='{"Resources": {"A": {"Type": "AWS::Made::Up"}}}',
        )
        self.refused(
            "InsufficientCapabilitiesException",
            "Requires capabilities : [CAPABILITY_NAMED_IAM]",
            cloudformation.create_change_set,
            StackName="s",
            ChangeSetName="c",
            ChangeSetType="CREATE",
            TemplateBody='{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r", "AssumeRolePolicyDocument": {}}}}}',
        )
        self.deploy("s", TOPIC, "CREATE")
        self.refused(
            "ValidationError",
            "Stack [s] already exists and cannot be created again with the changeSet [c].",
            cloudformation.create_change_set,
            StackName="s",
            ChangeSetName="c",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps(TOPIC),
        )
        self.refused("ChangeSetNotFound", "ChangeSet [c] does not exist", cloudformation.describe_change_set, StackName="s", ChangeSetName="c")
        self.refused("AlreadyExistsException", "Stack [s] already exists", cloudformation.create_stack, StackName="s", TemplateBody=json.dumps(TOPIC))
        self.refused("ValidationError", "No updates are to be performed.", cloudformation.update_stack, StackName="s", UsePreviousTemplate=True)
        self.refused("ValidationError", "CancelUpdateStack cannot be called from current stack status", cloudformation.cancel_update_stack, StackName="s")
        self.refused("InvalidAction", "not valid", cloudformation.list_types)
        self.refused("UnknownOperationException", "", self.client("logs").describe_log_groups)
        self.refused("ParameterNotFound", "", self.client("ssm").get_parameter, Name="x")
        self.refused("ResourceNotFoundException", "can't find", self.client("secretsmanager").get_secret_value, SecretId="x")
        self.refused("NoSuchBucket", "does not exist", self.client("s3").get_object, Bucket="nothing", Key="x")

    def test_who_am_i(self):
        self.assertEqual(self.client("sts").get_caller_identity()["Account"], "123456789012")
        self.assertEqual(self.aws("sts", "get-caller-identity")["Account"], "123456789012")

    def test_parameters_secrets_and_objects(self):
        template = {
            "Resources": {
                "Parameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/a/b", "Type": "String", "Value": "v"}},
                "Secret": {
                    "Type": "AWS::SecretsManager::Secret",
                    "Properties": {"Name": "s", "GenerateSecretString": {"SecretStringTemplate": '{"user": "u"}', "GenerateStringKey": "password"}},
                },
                "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "templates"}},
                "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "{{resolve:secretsmanager:s:SecretString:user}}"}, "DependsOn": "Secret"},
            }
        }
        self.deploy("s", template, "CREATE")
        self.assertEqual(self.client("ssm").get_parameter(Name="/a/b")["Parameter"]["Value"], "v")
        secret = json.loads(self.client("secretsmanager").get_secret_value(SecretId="s")["SecretString"])
        self.assertEqual((secret["user"], len(secret["password"])), ("u", 32))
        s3 = self.client("s3")
        s3.put_object(Bucket="templates", Key="t/one.json", Body=json.dumps(TOPIC).encode())
        self.assertEqual(json.loads(s3.get_object(Bucket="templates", Key="t/one.json")["Body"].read()), TOPIC)
        self.assertEqual([o["Key"] for o in s3.list_objects_v2(Bucket="templates")["Contents"]], ["t/one.json"])
        made = self.cloudformation.create_change_set(
            StackName="t", ChangeSetName="c", ChangeSetType="CREATE", TemplateURL="https://templates.s3.ap-southeast-2.amazonaws.com/t/one.json"
        )
        self.wait("change_set_create_complete", ChangeSetName=made["Id"])
        # Names of buckets are the whole world's, and who says whose a bucket must be puts nothing into another's.
        theirs = self.client("s3", account="210987654321")
        self.refused("AccessDenied", "Denied", theirs.get_object, Bucket="templates", Key="t/one.json")
        location = {"LocationConstraint": "ap-southeast-2"}
        self.refused("BucketAlreadyExists", "not available", theirs.create_bucket, Bucket="templates", CreateBucketConfiguration=location)
        self.refused("AccessDenied", "Denied", s3.put_object, Bucket="templates", Key="x", Body=b"", ExpectedBucketOwner="210987654321")
        self.refused("BucketNotEmpty", "not empty", s3.delete_bucket, Bucket="templates")
        self.cloudformation.delete_stack(StackName="s")
        self.assertEqual(self.settle("s"), "DELETE_FAILED")


class Faults(LocalCloud):
    def test_throttling_and_lost_answers_look_like_awss(self):
        self.control("faults", [{"operation": "DescribeStacks", "times": 1, "effect": "throttle"}])
        self.refused("Throttling", "Rate exceeded", self.cloudformation.describe_stacks)
        self.cloudformation.describe_stacks()
        self.control("faults", [{"operation": "CreateStack", "times": 1, "effect": "lost_response"}])
        with self.assertRaises(botocore.exceptions.HTTPClientError):
            self.cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(TOPIC), ClientRequestToken="t")
        again = self.cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(TOPIC), ClientRequestToken="t")
        self.assertEqual(self.stack("s")["StackId"], again["StackId"])
        self.assertEqual(len(self.control("fired")), 1)

    def test_a_plan_from_a_file_holds_from_the_first_call(self):
        self.end()
        path = os.path.join(self.folder.name, "faults.yaml")
        with open(path, "w") as file:
            file.write("- {operation: ListStacks, times: 1, effect: throttle}\n")
        self.start("--faults", path)
        self.refused("Throttling", "Rate exceeded", self.cloudformation.list_stacks)
        self.cloudformation.list_stacks()
        self.end()
        with open(path, "w") as file:
            file.write("- {operation: ListStacks, effect: surprise}\n")
        done = subprocess.run([GREENROOM, "simulate", "--project", self.project, "--faults", path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("surprise", done.stderr)

    def test_a_rollback_that_fails_can_be_continued(self):
        topics = {"Resources": {n: {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "1"}} for n in ("A", "B")}}
        self.deploy("s", topics, "CREATE")
        changed = json.loads(json.dumps(topics).replace('"1"', '"2"'))
        changed["Resources"]["B"]["DependsOn"] = "A"
        self.control(
            "faults",
            [
                {"logical_id": "B", "times": 1, "effect": {"fail_resource": {"during": "update", "reason": "no"}}},
                {"logical_id": "A", "times": 1, "effect": {"fail_resource": {"during": "rollback", "reason": "not back"}}},
            ],
        )
        made = self.change_set("s", changed)
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "UPDATE_ROLLBACK_FAILED")
        self.cloudformation.continue_update_rollback(StackName="s")
        self.assertEqual(self.settle("s"), "UPDATE_ROLLBACK_COMPLETE")

    def test_a_stopped_create_waits_for_a_decision(self):
        self.control("faults", [{"logical_id": "B", "effect": {"fail_resource": {"during": "create", "reason": "no"}}}])
        template = {"Resources": {"A": {"Type": "AWS::SNS::Topic"}, "B": {"Type": "AWS::SNS::Topic", "DependsOn": "A"}}}
        made = self.change_set("s", template, "CREATE")
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"], DisableRollback=True)
        self.assertEqual(self.settle("s"), "CREATE_FAILED")
        self.cloudformation.rollback_stack(StackName="s")
        self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")

    def test_stale_reads_show_what_was(self):
        self.deploy("s", TOPIC, "CREATE")
        self.control("faults", [{"operation": "DescribeStacks", "nth": 2, "effect": {"stale_read": {"seconds": 100000}}}])
        self.assertEqual(self.stack("s")["StackStatus"], "CREATE_COMPLETE")
        self.cloudformation.delete_stack(StackName="s")
        self.assertEqual(self.stack("s")["StackStatus"], "CREATE_COMPLETE")


class Life(LocalCloud):
    PACE = "manual"

    def test_a_kill_loses_nothing_that_was_acknowledged(self):
        made = self.cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(TOPIC))
        self.control("advance", {"seconds": 2})
        self.end(kill=True)
        self.start()
        self.assertEqual(self.stack("s")["StackId"], made["StackId"])
        self.assertEqual(self.stack("s")["StackStatus"], "CREATE_IN_PROGRESS")
        self.control("advance")
        self.assertEqual(self.stack("s")["StackStatus"], "CREATE_COMPLETE")

    def test_the_aws_cli_waits_and_deploys(self):
        self.end()
        self.PACE = "600"
        self.start()
        path = f"{self.folder.name}/template.json"
        with open(path, "w") as file:
            json.dump(TOPIC, file)
        self.aws_text("cloudformation", "deploy", "--stack-name", "cli", "--template-file", path)
        self.assertEqual(self.stack("cli")["StackStatus"], "CREATE_COMPLETE")
        self.aws_text("cloudformation", "delete-stack", "--stack-name", "cli")
        self.aws_text("cloudformation", "wait", "stack-delete-complete", "--stack-name", "cli")


if __name__ == "__main__":
    unittest.main()
