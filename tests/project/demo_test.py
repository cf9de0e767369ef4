#!/usr/bin/python3
"""scripts/demo: what it shows, and that it fails when a step fails."""

import os
import subprocess
import tempfile
import unittest

PROGRAMS = ("afar", "bank-server", "bank-client")
SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("AFAR_BIN", os.path.join(SOURCE, "build", "release", "bin"))

# What both customers see, the second with the balances of the first.
SHOWN = """\
    deposit         2500  balance {0:8}
    batch of 5            balance {1:8}
    withdraw     1000000  refused: {2} cents are missing (balance {1})
"""


def demo(folder):
    return subprocess.run([os.path.join(SOURCE, "scripts", "demo")], capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, check=False, timeout=200,
                          env=dict(os.environ, AFAR_BIN=folder))


class DemoTest(unittest.TestCase):
    def run_with(self, name, script):
        """The demo with one program replaced."""
        with tempfile.TemporaryDirectory() as folder:
            for program in PROGRAMS:
                os.symlink(os.path.join(BIN, program), os.path.join(folder, program))
            os.remove(os.path.join(folder, name))
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + script)
            os.chmod(os.path.join(folder, name), 0o755)
            return demo(folder)

    def test_what_it_shows(self):
        done = demo(BIN)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertIn(SHOWN.format(2500, 4000, 996000), done.stdout)
        self.assertIn(SHOWN.format(6500, 8000, 992000), done.stdout)
        self.assertRegex(done.stdout, r"A name server .* at 127\.0\.0\.1:\d+, and a bank")
        self.assertRegex(done.stdout, r"(?m)^ +bank/accounts/alice +grpc://127\.0\.0\.1:\d+ ")
        self.assertIn("    deposit         1000  balance     1000\n"
                      "    deposit         2000  balance     2000\n", done.stdout)
        self.assertLessEqual(done.stdout.count("\n"), 48, "more than a screenful")

    def test_a_client_that_fails(self):
        done = self.run_with("bank-client", "echo oh; exit 1\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("    oh\n", done.stdout)
        self.assertRegex(done.stderr, r"^demo: failed: .*bank-client bank/accounts/alice")

    def test_a_name_server_that_does_not_start(self):
        done = self.run_with("afar", "echo no\n")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "demo: the name server does not say 'name server at '; "
                                      "it says: no\n")

    def test_a_server_that_does_not_register(self):
        done = self.run_with("bank-server", "echo bank: no\n")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "demo: the bank does not say 'registered'; "
                                      "it says: bank: no\n")

    def test_a_server_that_ends_badly(self):
        """The first bank is killed; the second one is stopped."""
        script = f"mkdir \"$(dirname \"$0\")/first\" 2>/dev/null && exec {BIN}/bank-server \"$@\"\n" \
                 f"trap 'kill $child; wait $child; exit 3' TERM\n" \
                 f"{BIN}/bank-server \"$@\" & child=$!\nwait $child\n"
        done = self.run_with("bank-server", script)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"demo: the successor ended with exit code 3")


if __name__ == "__main__":
    unittest.main()
