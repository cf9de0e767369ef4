#!/usr/bin/python3
"""docs/tutorial, followed by hand: its files are written, its changes made, its commands
typed into one shell, in the order of the pages.  What the pages say is printed must be
printed, in that order.

    ```LANGUAGE FILE     the text of a file
    ```diff FILE         a change of it
    ```console           commands after `$`, and what they print; `...` is anything

The ports of the pages are exchanged for free ones, and HOME is a folder of the test.

Cost: 24"""

import os
import queue
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("AFAR_BUILD", os.path.join(SOURCE, "build", "release"))
FOLDER = os.path.join(SOURCE, "docs", "tutorial")
PATIENCE = 120

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Shell:
    """A shell that is typed into; what it and its children print comes as lines."""

    def __init__(self, folder, home):
        environment = dict(os.environ, HOME=home, LC_ALL="C")
        for name in ("AFAR_NAMES", "AFAR_HOME"):
            environment.pop(name, None)
        self.process = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=folder,
                                        env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        self.lines = queue.Queue()
        self.count = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def type(self, command, expected):
        """Runs a command; its expected lines, and its end, must come."""
        self.count += 1
        mark = f"@@{self.count}@@"
        self.process.stdin.write(f"{command}\necho; echo {mark}\n")
        self.process.stdin.flush()
        wanted = [pattern_of(line) for line in expected if line != "..."]
        said, ended, end = [], False, time.monotonic() + PATIENCE
        while wanted or not ended:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                missing = wanted[0].pattern if wanted else "its end"
                raise AssertionError(f"$ {command}\nprints\n" + "\n".join(said) +
                                     f"\nand not {missing}") from None
            said.append(line)
            ended = ended or line == mark
            if wanted and wanted[0].fullmatch(line):
                wanted.pop(0)

    def close(self):
        """Ends all that the shell has started, and did not end."""
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def pattern_of(line):
    return re.compile(".*".join(re.escape(part) for part in line.split("...")))


def commands_of(text):
    """(command, lines that it prints) of a console block."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


class TutorialTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="afar-tutorial-")
        self.addCleanup(scratch.cleanup)
        self.folder = os.path.join(scratch.name, "board")
        home = os.path.join(scratch.name, "home")
        os.mkdir(self.folder)
        os.mkdir(home)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", os.path.join(home, "afar")],
                       check=True, stdout=subprocess.DEVNULL)
        self.ports = {"7000": str(free_port()), "7700": str(free_port())}
        self.shell = Shell(self.folder, home)
        self.addCleanup(self.shell.close)

    def here(self, text):
        """The text with our ports; what is said by leaving it out is said here."""
        text = text.replace("afar names serve &", "afar names serve --listen 127.0.0.1:7700 &")
        return re.sub(r"\b(7000|7700)\b", lambda match: self.ports[match.group()], text)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(self.here(text))

    def change(self, name, text):
        """Applies a change that does not say which lines it is about: they are looked for."""
        path = os.path.join(self.folder, name)
        with open(path, encoding="utf-8") as file:
            whole = file.read()
        for hunk in self.here(text).split("@@\n")[1:]:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if not line.startswith("+"))
            new = "".join(line[1:] for line in lines if not line.startswith("-"))
            self.assertEqual(whole.count(old), 1, f"{name} has not exactly one place for\n{hunk}")
            whole = whole.replace(old, new)
        with open(path, "w", encoding="utf-8") as file:
            file.write(whole)

    def follow(self, page):
        with open(os.path.join(FOLDER, page), encoding="utf-8") as file:
            blocks = BLOCK.findall(file.read())
        self.assertTrue(blocks, page)
        for kind, name, text in blocks:
            if kind == "console":
                for command, expected in commands_of(self.here(text)):
                    self.shell.type(command, expected)
            elif kind == "diff":
                self.change(name, text)
            else:
                self.write(name, text)
                if name.endswith(".c"):
                    self.check_form(name)

    def check_form(self, name):
        style = shlex.quote(f"--style=file:{SOURCE}/.clang-format")
        done = subprocess.run(f"clang-format {style} --dry-run --Werror {name}", shell=True,
                              cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_from_the_first_page_to_the_last(self):
        pages = sorted(name for name in os.listdir(FOLDER) if re.match(r"\d-", name))
        self.assertEqual(len(pages), 6)
        for page in pages:
            self.follow(page)


if __name__ == "__main__":
    unittest.main()
