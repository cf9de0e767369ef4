#!/usr/bin/python3
"""The files in README.md are complete: they are taken out of it, built against an
installed tree with its CMakeLists.txt and with its commands, and run."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("AFAR_BUILD", os.path.join(SOURCE, "build", "release"))
PATIENCE = 60

# ```language file-name
BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def run(command, folder, **environment):
    done = subprocess.run(command, cwd=folder, env=dict(os.environ, **environment), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=5 * PATIENCE)
    if done.returncode:
        raise AssertionError(f"{command} ends with {done.returncode}:\n{done.stdout}")
    return done.stdout


def find_folder_of(name, root):
    for folder, _, names in os.walk(root):
        if name in names:
            return folder
    raise AssertionError(f"{name} is not installed")


class ReadmeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="afar-readme-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.prefix = os.path.join(cls.scratch.name, "prefix")
        cls.folder = os.path.join(cls.scratch.name, "counter")
        os.mkdir(cls.folder)
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            cls.readme = file.read()
        cls.blocks = dict(BLOCK.findall(cls.readme))
        for name, text in cls.blocks.items():
            with open(os.path.join(cls.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        run(["cmake", "--install", BUILD, "--prefix", cls.prefix], cls.folder)

    @contextlib.contextmanager
    def serving(self, *command, **environment):
        """A server while it is needed; its first line."""
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE,
                              env=dict(os.environ, **environment)) as server:
            try:
                yield server.stdout.readline()
            finally:
                server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(PATIENCE), 0)

    def call(self, folder, *name, **environment):
        said = run([os.path.join(folder, "client"), *name], self.folder, **environment)
        self.assertEqual(said, self.blocks["client.out"])

    def serve_and_call(self, folder, **environment):
        """By address, without a name server, and by name."""
        environment["AFAR_HOME"] = os.path.join(self.scratch.name, "home")
        program = os.path.join(folder, "server")
        with self.serving(program, "127.0.0.1:0", AFAR_NAMES="", **environment) as line:
            self.call(folder, f"grpc://{line.split()[-1]}/demo/counter", **environment)
        afar = os.path.join(self.prefix, "bin", "afar")
        with self.serving(afar, "names", "serve", "--listen", "127.0.0.1:0", "--store", "memory",
                          **environment) as line:
            environment["AFAR_NAMES"] = re.search(r"name server at ([^,]+)", line).group(1)
            with self.serving(program, **environment):
                self.wait_for_name(afar, **environment)
                self.call(folder, **environment)

    def wait_for_name(self, afar, **environment):
        """Until the server has registered; each look waits for the name server's answer."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = subprocess.run([afar, "names", "lookup", "demo/counter"], check=False,
                                   env=dict(os.environ, **environment), capture_output=True)
            if found.returncode == 0:
                return
        self.fail("the server does not register")

    def test_with_cmake(self):
        out = os.path.join(self.folder, "build")
        run(["cmake", "-G", "Ninja", "-B", out, f"-DCMAKE_PREFIX_PATH={self.prefix}"], self.folder)
        run(["cmake", "--build", out], self.folder)
        self.serve_and_call(out)

    def test_by_hand(self):
        where = find_folder_of("afar.pc", self.prefix)
        path = os.path.join(self.prefix, "bin") + ":" + os.environ["PATH"]
        run(["sh", "-e", "build.sh"], self.folder, PATH=path, PKG_CONFIG_PATH=where)
        self.serve_and_call(self.folder, LD_LIBRARY_PATH=os.path.dirname(where))

    def test_code_keeps_the_house_style(self):
        for name in ("server.c", "client.c"):
            run(["clang-format", f"--style=file:{SOURCE}/.clang-format", "--dry-run", "--Werror",
                 name], self.folder)

    def test_what_it_names_is_there(self):
        for target in LINK.findall(self.readme):
            self.assertTrue(os.path.exists(os.path.join(SOURCE, target)), target)
        for folder in re.findall(r"^\| `(\w+)/`", self.readme, re.MULTILINE):
            self.assertTrue(os.path.isdir(os.path.join(SOURCE, folder)), folder)


if __name__ == "__main__":
    unittest.main()
