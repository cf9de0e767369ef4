"""What the tests of the command share: running it, and servers in processes of their own.

Every process gets a folder of keys that goes with the test.  Every wait has an upper
bound, PATIENCE, far above what a busy machine needs; nothing sleeps to let something
happen.
"""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("AFAR_BUILD", os.path.join(ROOT, "build", "release"))
BIN = os.environ.get("AFAR_BIN", os.path.join(BUILD, "bin"))
AFAR = os.path.join(BIN, "afar")
PATIENCE = 60

DONE, NO, USAGE, UNREACHABLE, OTHER = range(5)

# What this process starts has its temporary files in it as well: they go also when that is killed.
SCRATCH = tempfile.mkdtemp(prefix="afar-command-")
os.environ["TMPDIR"] = SCRATCH
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


def environment(home, names=""):
    """For a process: nothing of the caller's Afar gets in."""
    result = {key: value for key, value in os.environ.items() if not key.startswith("AFAR_")}
    result.update(AFAR_HOME=home, LC_ALL="C")
    if names:
        result["AFAR_NAMES"] = names
    return result


class Process:
    """A program that prints a line when it is ready.  What still runs when this process
    ends, ends with it."""

    def __init__(self, command, env, **files):
        self.errors = tempfile.TemporaryFile(dir=SCRATCH)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors,
                                        env=env, text=True, **files)
        atexit.register(self.kill)
        self.line = self.process.stdout.readline().rstrip("\n")
        if not self.line:
            self.process.wait(PATIENCE)
            raise RuntimeError(f"{command} did not start: {self.error_text()}")

    def error_text(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def stop(self, number=signal.SIGTERM):
        """Asks it to end; its exit status."""
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(PATIENCE)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.errors.close()


class CommandTest(unittest.TestCase):
    """A test with a folder of keys of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=SCRATCH)
        self.home = os.path.join(self.folder, "home")
        self.names = ""  # the address of its name server

    def run_afar(self, *words, code=DONE, names=None, **more):
        """Runs the command; what it printed and what it complained of."""
        env = environment(self.home, self.names if names is None else names)
        done = subprocess.run([AFAR, *words], capture_output=True, text=True, timeout=PATIENCE,
                              env=env, stdin=subprocess.DEVNULL, **more)
        self.assertEqual(done.returncode, code, f"afar {words}: {done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def run_json(self, *words, code=DONE, **more):
        """The same with --json; the document."""
        return json.loads(self.run_afar(*words, "--json", code=code, **more)[0])

    def documented_keys(self, *command):
        """The keys that help names for --json."""
        text = self.run_afar("help", *command)[0]
        section = re.search(r"\nJSON keys:\n(.*?)(\n\n|\Z)", text, re.DOTALL).group(1)
        words = re.findall(r"^  (\S.*?)(?:  |$)", section, re.MULTILINE)
        return {key for word in words for key in word.split(", ")}

    def complaint(self, *words, code, **more):
        """The one line that a command has to say, which printed nothing else."""
        printed, said = self.run_afar(*words, code=code, **more)
        self.assertEqual(printed, "")
        self.assertEqual(said.count("\n"), 1, said)
        self.assertTrue(said.startswith("afar"), said)
        return said

    def start_names(self, *words, store="memory"):
        """Starts a name server, which the commands of this test ask from now on."""
        server = Process([AFAR, "names", "serve", "--listen", "127.0.0.1:0", "--store", store,
                          *words], environment(self.home))
        self.addCleanup(server.kill)
        self.names = server.line.split(" at ")[1].split(",")[0]
        return server

    def start_named(self, *names, key="", ms=PATIENCE * 1000):
        """Starts a server that has registered those names."""
        server = Process([os.path.join(BIN, "named_server"), self.names, key, str(ms), *names],
                         environment(self.home))
        self.addCleanup(server.kill)
        server.address = server.line.split()[-1]
        return server


def main():
    unittest.main(module=sys.modules["__main__"])
