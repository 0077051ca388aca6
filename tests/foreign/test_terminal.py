"""The real binary on a real pseudo-terminal, seen through somebody else's terminal emulator: what is on the screen in the end."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import tempfile
import termios
import unittest

import pyte

GREENROOM = os.path.abspath(os.environ.get("GREENROOM", "target/debug/greenroom"))
STACK = {
    "network": "Resources:\n  Topic: {Type: AWS::SNS::Topic}\nOutputs:\n  Arn: {Value: !Ref Topic}\n",
    "api": "Parameters:\n  Arn: {Type: String}\nResources:\n  Level: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Ref Arn}}\n",
}
ENVIRONMENT = """project: demo
account: "111111111111"
region: eu-west-1
stacks:
  network: {}
  api: {values: {Arn: {output: network.Arn}}}
"""


class Terminal(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.project = folder.name
        self.write("environments/lab.yaml", ENVIRONMENT)
        for name, template in STACK.items():
            self.write(f"templates/{name}/stack.yaml", template)
        self.cloud()

    def write(self, path, text):
        path = os.path.join(self.project, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def cloud(self, pace="auto", faults=None):
        """Starts the local cloud of the project, which commands find by themselves."""
        command = [GREENROOM, "simulate", "--project", self.project, "--pace", pace]
        if faults:
            self.write("faults.yaml", json.dumps(faults))
            command += ["--faults", os.path.join(self.project, "faults.yaml")]
        if hasattr(self, "server"):
            self.end()
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.server.stdout.readline()
        self.addCleanup(self.end)

    def end(self):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def run_on_terminal(self, line, columns=80, rows=24, see=None, **environment):
        """Runs a command. Gives its exit code, the screen at its end, and every byte it wrote. `see` is shown every screen."""
        ours, theirs = pty.openpty()
        resize(ours, columns, rows)
        process = subprocess.Popen(
            [GREENROOM, *line.split(), "--local"],
            cwd=self.project,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        screen = pyte.Screen(columns, rows)
        stream = pyte.ByteStream(screen)
        written = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # The other side is gone.
                break
            if not chunk:
                break
            written += chunk
            stream.feed(chunk)
            if see:
                see(shown(screen), ours)
        os.close(ours)
        return process.wait(), shown(screen), written.decode()

    def test_a_row_a_stack_is_left_when_it_is_done(self):
        code, screen, _ = self.run_on_terminal("deploy lab --yes")
        self.assertEqual(code, 0, screen)
        self.assertEqual(
            [re.sub(r"[0-9.]+ s$", "… s", line) for line in screen[:3]],
            [
                "lab · local cloud, nothing is real · eu-west-1",
                "✔ network  created  1 resource  … s",
                "✔ api      created  1 resource  … s",
            ],
        )
        self.assertRegex("\n".join(screen[3:]), r"^network\.Arn  arn:aws:sns:eu-west-1:")

    def test_a_plan_leaves_no_table(self):
        _, screen, _ = self.run_on_terminal("plan lab")
        self.assertEqual(screen[1].split(), ["network", "new,", "1", "resource"], screen)

    def test_a_narrow_terminal_is_never_wrapped(self):
        self.run_on_terminal("deploy lab --yes --quiet")
        code, screen, _ = self.run_on_terminal("destroy lab --yes", columns=20)
        self.assertEqual(code, 0)
        self.assertEqual([line[:10] for line in screen if line.startswith("✔")], ["✔ api     ", "✔ network "], screen)

    def test_colours_are_left_out_and_the_table_is_not(self):
        _, screen, written = self.run_on_terminal("deploy lab --yes", NO_COLOR="1")
        self.assertIn("✔ network  created", "\n".join(screen))
        self.assertNotRegex(written, r"\x1b\[[0-9;]*m")

    def test_a_dumb_terminal_and_verbosity_get_lines(self):
        _, _, written = self.run_on_terminal("deploy lab --yes", TERM="dumb")
        self.assertNotIn("\x1b", written)
        self.assertIn("✔ network      at rest after", written)
        _, _, written = self.run_on_terminal("destroy lab --yes --verbose")
        self.assertIn("→ api          delete stack `api`", written)

    def test_a_failure_stands_above_with_its_cause(self):
        self.cloud(faults=[{"logical_id": "Level", "effect": {"fail_resource": {"during": "create", "reason": "it is locked"}}}])
        code, screen, _ = self.run_on_terminal("deploy lab --yes")
        self.assertEqual(code, 1)
        self.assertRegex("\n".join(screen), r"(?s)✔ network  created.*✗ api +(failed|rolled back).*because of `Level`: it is locked")
        self.assertNotIn("✔ api", "\n".join(screen))

    def test_ctrl_c_leaves_a_clean_screen(self):
        self.cloud(pace="manual")
        pressed = []

        def press(screen, terminal):
            if not pressed and any("computing its changes" in line for line in screen):
                pressed.append(os.write(terminal, b"\x03"))

        code, screen, _ = self.run_on_terminal("deploy lab --yes", see=press)
        self.assertEqual(code, 130, screen)
        rows = [line for line in screen if line.startswith("· network")]
        self.assertEqual(len(rows), 1, screen)
        self.assertNotIn("^C", "\n".join(screen))
        self.assertIn("error: the deployment of `lab` was interrupted", screen)

    def test_a_question_stands_below_what_it_is_about(self):
        def answer(screen, terminal):
            if screen[-1].endswith("Type `yes`:"):
                os.write(terminal, b"yes\n")

        code, screen, _ = self.run_on_terminal("deploy lab", see=answer)
        self.assertEqual(code, 0, screen)
        question = next(index for index, line in enumerate(screen) if "Type `yes`:" in line)
        self.assertIn("2 to add", screen[question - 1])
        self.assertTrue(screen[question + 1].startswith("✔ network"), screen)

    def test_somebody_chooses_the_way_out_of_a_stuck_stack(self):
        self.cloud(faults=[{"logical_id": "Level", "effect": {"fail_resource": {"during": "create", "reason": "it is locked"}}}])
        self.run_on_terminal("deploy lab --yes --quiet")
        self.cloud()
        asked = []

        def answer(screen, terminal):
            if not asked and any("Which way for `api`?" in line for line in screen):
                asked.append(os.write(terminal, b"1\n"))

        code, screen, _ = self.run_on_terminal("recover lab", columns=120, see=answer)
        self.assertEqual((code, len(asked)), (0, 1), screen)
        text = "\n".join(screen)
        self.assertRegex(text, r"(?s)its creation failed and was undone.*because of Level.*it is locked.*1  delete the stack")
        code, screen, _ = self.run_on_terminal("recover lab", columns=120)
        self.assertEqual((code, screen[-1]), (0, "nothing is stuck in lab"))

    def test_nothing_is_chosen_by_who_types_nothing(self):
        self.cloud(faults=[{"logical_id": "Level", "effect": {"fail_resource": {"during": "create", "reason": "it is locked"}}}])
        self.run_on_terminal("deploy lab --yes --quiet")
        asked = []

        def answer(screen, terminal):
            if not asked and any("Which way for `api`?" in line for line in screen):
                asked.append(os.write(terminal, b"\n"))

        code, screen, _ = self.run_on_terminal("recover lab", columns=120, see=answer)
        self.assertEqual((code, len(asked), screen[-1]), (3, 1, "error: no way was chosen; nothing was changed"), screen)
        _, screen, _ = self.run_on_terminal("status lab", columns=120)
        self.assertIn("ROLLBACK_COMPLETE", "\n".join(screen))

    def test_a_watch_is_redrawn_until_it_is_interrupted(self):
        self.run_on_terminal("deploy lab --yes --quiet")
        pressed = []

        def press(screen, terminal):
            if not pressed and any("CREATE_COMPLETE" in line for line in screen):
                resize(terminal, 60, 24)
                pressed.append(os.write(terminal, b"\x03"))

        code, screen, _ = self.run_on_terminal("status lab --watch", see=press)
        self.assertEqual(code, 130)
        self.assertEqual(sum("CREATE_COMPLETE" in line for line in screen), 2, screen)


def resize(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def shown(screen):
    return [line.rstrip() for line in screen.display if line.strip()]


if __name__ == "__main__":
    unittest.main()
