#!/usr/bin/python3
"""The test runner itself: a test that fails, crashes, hangs or leaks is reported as
such, by its name, the tests after it still run, and its folder goes in any case.

Labels: waits"""

import os
import subprocess
import tempfile
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
COMPILER = os.environ.get("AFAR_CC", "gcc")

SCRATCH = tempfile.TemporaryDirectory(prefix="afar-runner-")
PROGRAM = os.path.join(SCRATCH.name, "tests")
FIFO = os.path.join(SCRATCH.name, "fifo")
FOLDERS = os.path.join(SCRATCH.name, "folders")


def setUpModule():
    subprocess.run(
        [COMPILER, "-std=c11", "-D_GNU_SOURCE", f"-I{SOURCE}/tests", f"-I{SOURCE}/runtime",
         f"{SOURCE}/tests/project/runner/tests.c", f"{SOURCE}/tests/check.c", "-o", PROGRAM],
        check=True)
    os.mkfifo(FIFO)
    os.mkdir(FOLDERS)


def tearDownModule():
    SCRATCH.cleanup()


def run(*names):
    environment = dict(os.environ, CHECK_TIMEOUT="1", RUNNER_FIFO=FIFO, TMPDIR=FOLDERS)
    return subprocess.run([PROGRAM, *names], capture_output=True, text=True, check=False,
                          env=environment, timeout=60)


class RunnerTest(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(os.listdir(FOLDERS), [])

    def expect(self, test, *texts):
        """That test alone fails, and the output has each of the texts."""
        done = run(test)
        self.assertEqual(done.returncode, 1)
        for text in texts + (f"FAIL {test}: ", "0 passed, 1 failed\n"):
            self.assertIn(text, done.stdout)

    def test_passing(self):
        done = run("passes", "passes_too")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^ok   passes \(\d+ ms\)\nok   passes_too \(\d+ ms\)\n"
                                      r"2 passed, 0 failed\n$")

    def test_failed_checks(self):
        self.expect("condition", "tests.c:", "1 + 1 == 3 is false\n")
        self.expect("number", "6 * 7 is 42, expected 43\n")
        self.expect("text", '"left" is\n  left\nexpected\n  right\n')
        self.expect("null_text", "(NULL)")
        self.expect("unexpected_failure", "fails: NOT_FOUND: said why\n")
        self.expect("unexpected_success", "succeeds, expected NOT_FOUND\n")
        self.expect("another_code", "fails with OTHER, expected NOT_FOUND: said why\n")

    def test_other_ends(self):
        self.expect("crash", "ended by signal 6 (Aborted)\n")
        self.expect("exit_code", "exit code 3\n")

    def test_leaked_descriptor(self):
        done = subprocess.run([PROGRAM, "descriptor"], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("(/dev/null) is still open\n", done.stdout)

    def test_hanging(self):
        """It ends, and what it started ends with it: then the pipe has no writer."""
        with open(os.open(FIFO, os.O_RDONLY | os.O_NONBLOCK), "rb") as fifo:
            self.expect("hang", "not done after 1 seconds\n")
            os.set_blocking(fifo.fileno(), True)
            self.assertEqual(fifo.read(), b"")

    def test_unknown_name(self):
        done = run("passes", "no_such_test")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no_such_test", done.stderr)

    def test_all_in_order(self):
        done = run()
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.endswith("\n2 passed, 11 failed\n"))
        self.assertLess(done.stdout.index("FAIL condition"), done.stdout.index("FAIL crash"))


if __name__ == "__main__":
    unittest.main()
