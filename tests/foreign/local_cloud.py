"""Starts the local cloud for a test and talks to it as other people's clients do: boto3 and the AWS CLI, unmodified."""

import json
import os
import subprocess
import tempfile
import unittest
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

REGION = "ap-southeast-2"
ACCOUNT = "123456789012"
GREENROOM = os.path.abspath(os.environ.get("GREENROOM", "target/debug/greenroom"))


class LocalCloud(unittest.TestCase):
    """A fresh cloud for each test. `PACE` is how its time runs: `auto` jumps at every look."""

    PACE = "auto"
    PAGE_SIZE = 100

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.project = os.path.join(self.folder.name, "project")
        os.makedirs(os.path.join(self.project, "environments"))
        self.start()

    def start(self, *arguments):
        command = [GREENROOM, "simulate", "--project", self.project, "--pace", self.PACE]
        command += ["--page-size", str(self.PAGE_SIZE), "--seed", "7", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        said = self.process.stdout.readline()
        self.assertIn("listens on http://127.0.0.1:", said)
        self.url = said.split()[-1]
        self.cloudformation = self.client("cloudformation")

    def end(self, kill=False):
        """Ends the cloud; `start` finds it again as it was."""
        if self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def client(self, service, account=ACCOUNT):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="local",
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )

    def aws(self, *arguments):
        """Runs the AWS CLI and gives what it answered."""
        text = self.aws_text(*arguments)
        return json.loads(text) if text.strip() else None

    def aws_text(self, *arguments):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "HOME": self.folder.name,
        }
        done = subprocess.run(["aws", *arguments, "--output", "json"], env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def control(self, path, body=None):
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data=json.dumps(body or {}).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def refused(self, code, message, call, **arguments):
        """Expects a refusal with this code and this text in its message."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**arguments)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code)
        self.assertIn(message, error["Message"])

    def wait(self, waiter, **arguments):
        self.cloudformation.get_waiter(waiter).wait(**arguments, WaiterConfig={"Delay": 0, "MaxAttempts": 2000})

    def change_set(self, stack, template, kind="UPDATE", name="change", **arguments):
        made = self.cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateBody=template if isinstance(template, str) else json.dumps(template),
            **arguments,
        )
        self.wait("change_set_create_complete", ChangeSetName=made["Id"])
        return self.cloudformation.describe_change_set(ChangeSetName=made["Id"], IncludePropertyValues=True)

    def deploy(self, stack, template, kind="UPDATE", waiter=None, **arguments):
        made = self.change_set(stack, template, kind, **arguments)
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"], DisableRollback=False)
        self.wait(waiter or ("stack_create_complete" if kind == "CREATE" else "stack_update_complete"), StackName=stack)
        return made

    def stack(self, name):
        return self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]

    def outputs(self, name):
        return {output["OutputKey"]: output["OutputValue"] for output in self.stack(name).get("Outputs", [])}

    def settle(self, name):
        """Looks until the stack is at rest."""
        for _ in range(2000):
            status = self.stack(name)["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return status
        self.fail(f"{name} does not come to rest")

