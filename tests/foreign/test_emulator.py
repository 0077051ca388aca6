"""Our client against somebody else's cloud: moto's server, which knows nothing of greenroom.

Creating, looking, planning and destroying work. Updates are left out: moto tells neither `LastUpdatedTime` nor operations, so nothing
shows that one has ended; nor does it give a change set's values, or the outputs of a stack made by one.
"""

import os
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

from local_cloud import GREENROOM

# moto's usual account is the one of AWS's examples, which greenroom refuses as a placeholder.
ACCOUNT = "270482910467"

FILES = {
    "environments/try.yaml": (
        f'project: tiny\naccount: "{ACCOUNT}"\nregion: us-east-1\nowner: us@example.com\nstack_name: tiny-${{stack}}\n'
        "stacks: {notes: {values: {retention_days: 7}}}\n"
    ),
    "templates/notes/inputs.yaml": (
        "$schema: https://json-schema.org/draft/2020-12/schema\ntype: object\ntitle: A topic and a log group\n"
        "required: [retention_days]\n"
        "properties: {retention_days: {type: integer, description: How long a line is kept, examples: [7]}}\n"
    ),
    "templates/notes/stack.yaml": (
        "Resources:\n"
        "  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: 'kept {{ retention_days }} days'}\n"
        "  Log:\n    Type: AWS::Logs::LogGroup\n    DeletionPolicy: Delete\n    UpdateReplacePolicy: Delete\n"
        "    Properties: {RetentionInDays: {{ retention_days }}}\n"
    ),
}


class Moto(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name, text in FILES.items():
            self.write(name, text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.folder}
        command = ["moto_server", "-H", "127.0.0.1", "-p", str(port)]
        environment = {**self.environment, "MOTO_ACCOUNT_ID": ACCOUNT}
        moto = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(moto.wait)
        self.addCleanup(moto.terminate)
        self.wait_until_it_listens()

    def wait_until_it_listens(self):
        for _ in range(600):
            try:
                return urllib.request.urlopen(f"{self.url}/moto-api/data.json").close()
            except OSError:
                time.sleep(0.1)
        self.fail("moto does not listen after a minute")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def greenroom(self, *arguments, ends_with=0):
        environment = {
            **self.environment,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        command = [GREENROOM, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, ends_with, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_creates_looks_plans_and_destroys(self):
        self.assertIn("notes  created", self.greenroom("deploy", "try", "--yes"))
        self.assertIn("nothing to do", self.greenroom("deploy", "try", "--yes"))
        self.assertIn("CREATE_COMPLETE", self.greenroom("status", "try"))
        self.write("environments/try.yaml", FILES["environments/try.yaml"].replace("days: 7", "days: 14"))
        self.assertIn("2 to modify", self.greenroom("plan", "try"))
        self.assertIn("is destroyed: 1 stack", self.greenroom("destroy", "try", "--yes"))
        self.assertIn("does not exist", self.greenroom("status", "try"))

    def test_another_account_is_refused_before_anything_is_done(self):
        self.write("environments/try.yaml", FILES["environments/try.yaml"].replace(ACCOUNT, "270482910468"))
        self.assertIn(ACCOUNT, self.greenroom("deploy", "try", "--yes", ends_with=3))
        self.write("environments/try.yaml", FILES["environments/try.yaml"])
        self.assertIn("does not exist", self.greenroom("status", "try"))


if __name__ == "__main__":
    unittest.main()
