"""Sceptre, the closest relative, runs unmodified: launch, diff, drift detection and deletion of two stacks."""

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

    def test_launches_diffs_detects_drift_and_deletes(self):
        for name, text in FILES.items():
            path = os.path.join(self.folder.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        self.assertIn("CREATE_COMPLETE", self.sceptre("launch", "-y", "dev"))
        self.assertEqual(self.stack("demo-dev-topic")["StackStatus"], "CREATE_COMPLETE")
        self.sceptre("launch", "-y", "dev")
        self.assertIn("No difference", self.sceptre("diff", "dev"))
        self.assertIn("IN_SYNC", self.sceptre("drift", "detect", "dev"))
        self.sceptre("delete", "-y", "dev")
        self.refused("ValidationError", "does not exist", self.cloudformation.describe_stacks, StackName="demo-dev-topic")


if __name__ == "__main__":
    unittest.main()
