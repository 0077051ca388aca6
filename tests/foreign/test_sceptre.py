"""Sceptre, the closest relative, runs unmodified: launch, diff, update, drift detection and deletion of two stacks."""

import os
import subprocess
import unittest

from local_cloud import ACCOUNT, REGION, LocalCloud

FILES = {
    "config/config.yaml": f"project_code: demo\nregion: {REGION}\n",
    "config/dev/network.yaml": "template:\n  type: file\n  path: network.yaml\nparameters:\n  Cidr: 10.0.0.0/16\n",
    "config/dev/topic.yaml": "template:\n  type: file\n  path: topic.yaml\nparameters:\n  VpcId: !stack_output dev/network.yaml::VpcId\n",
    "templates/network.yaml": (
        "Parameters: {Cidr: {Type: String}}\n"
        "Resources:\n  Vpc:\n    Type: AWS::EC2::VPC\n    Properties: {CidrBlock: !Ref Cidr}\n"
        "Outputs: {VpcId: {Value: !Ref Vpc}}\n"
    ),
    "templates/topic.yaml": (
        "Parameters: {VpcId: {Type: String}}\n"
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: !Ref VpcId}\n"
        "  Level:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: info}\n"
    ),
}


class Sceptre(LocalCloud):
    PACE = "3000"

    def sceptre(self, *arguments):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "HOME": self.folder.name,
        }
        command = ["sceptre", "--no-colour", *arguments]
        done = subprocess.run(command, cwd=self.folder.name, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def write(self, files):
        for name, text in files.items():
            path = os.path.join(self.folder.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)

    def launched(self):
        self.write(FILES)
        said = self.sceptre("launch", "-y", "dev")
        self.assertIn("CREATE_COMPLETE", said)

    def level(self):
        """The name of the parameter of `dev/topic`."""
        found = self.cloudformation.describe_stack_resource(StackName="demo-dev-topic", LogicalResourceId="Level")
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def test_launches_diffs_detects_drift_and_deletes(self):
        self.launched()
        self.assertEqual(self.stack("demo-dev-topic")["StackStatus"], "CREATE_COMPLETE")
        self.sceptre("launch", "-y", "dev")
        self.assertIn("No difference", self.sceptre("diff", "dev"))
        self.assertIn("IN_SYNC", self.sceptre("drift", "detect", "dev"))
        self.sceptre("delete", "-y", "dev")
        for name in ("demo-dev-topic", "demo-dev-network"):
            self.refused("ValidationError", "does not exist", self.cloudformation.describe_stacks, StackName=name)

    def test_shows_a_difference_and_updates_what_differs(self):
        self.launched()
        self.write({"templates/topic.yaml": FILES["templates/topic.yaml"].replace("info", "debug")})
        said = self.sceptre("diff", "dev")
        self.assertIn("Difference detected for stack demo-dev-topic", said)
        self.assertIn("No difference to deployed stack demo-dev-network", said)
        self.assertIn("debug", said)
        said = self.sceptre("launch", "-y", "dev")
        self.assertIn("UPDATE_COMPLETE", said)
        self.assertEqual(self.stack("demo-dev-topic")["StackStatus"], "UPDATE_COMPLETE")
        self.assertEqual(self.stack("demo-dev-network")["StackStatus"], "CREATE_COMPLETE")
        self.assertEqual(self.client("ssm").get_parameter(Name=self.level())["Parameter"]["Value"], "debug")
        self.assertNotIn("Difference detected", self.sceptre("diff", "dev"))

    def test_shows_what_was_changed_by_hand(self):
        self.launched()
        self.client("ssm").put_parameter(Name=self.level(), Value="hand-made", Type="String", Overwrite=True)
        said = self.sceptre("drift", "detect", "dev")
        self.assertIn("DRIFTED", said)
        self.assertIn("IN_SYNC", said)
        said = self.sceptre("drift", "show", "--drifted", "dev")
        for words in (
            "LogicalResourceId: Level",
            "StackResourceDriftStatus: MODIFIED",
            "ActualValue: hand-made",
            "DifferenceType: NOT_EQUAL",
            "ExpectedValue: info",
            "PropertyPath: /Value",
        ):
            self.assertIn(words, said)
        self.assertNotIn("LogicalResourceId: Topic", said)
        self.sceptre("delete", "-y", "dev")
        for name in ("demo-dev-topic", "demo-dev-network"):
            self.refused("ValidationError", "does not exist", self.cloudformation.describe_stacks, StackName=name)


if __name__ == "__main__":
    unittest.main()
