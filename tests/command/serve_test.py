#!/usr/bin/python3
"""afar names serve: starts, says where, ends when it is told to, and keeps its names."""

import os
import signal
import socket
import subprocess

from harness import (AFAR, DONE, NO, OTHER, PATIENCE, CommandTest, Process, environment, main)


class ServeTest(CommandTest):
    def test_says_where_it_is_and_ends_when_told(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start_names()
            self.assertRegex(server.line,
                             r"^afar: name server at 127\.0\.0\.1:\d+, names in memory$")
            self.run_afar("names", "list")
            self.assertEqual(server.stop(number), DONE)

    def test_the_usual_store(self):
        server = Process([AFAR, "names", "serve", "--listen", "127.0.0.1:0"],
                         environment(self.home))
        self.addCleanup(server.kill)
        path = os.path.join(self.home, "names.db")
        self.assertTrue(server.line.endswith(f", names in {path}"), server.line)
        self.assertTrue(os.path.exists(path))
        self.assertEqual(server.stop(), DONE)

    def test_names_are_kept_when_it_is_killed(self):
        store = os.path.join(self.folder, "names.db")
        server = self.start_names(store=store)
        self.start_named("kept/one", "kept/two").kill()
        before = self.run_json("names", "list")
        server.kill()
        self.start_names(store=store)
        after = self.run_json("names", "list")
        self.assertEqual([entry["name"] for entry in after], ["kept/one", "kept/two"])
        for old, new in zip(before, after):
            for key in ("owner", "revision", "endpoints", "instance"):
                self.assertEqual(old[key], new[key])

    def test_several_addresses(self):
        path = os.path.join(self.folder, "socket")
        server = self.start_names("--listen", f"unix:{path}")
        self.assertEqual(server.process.stdout.readline(), f"afar: also at unix:{path}\n")
        self.start_named("a")
        for address in (self.names, f"grpc://{self.names}", f"unix:{path}"):
            self.assertEqual(len(self.run_json("names", "list", "--names", address)), 1)
        self.assertEqual(server.stop(), DONE)
        self.assertFalse(os.path.exists(path))

    def test_a_store_that_another_has(self):
        store = os.path.join(self.folder, "names.db")
        self.start_names(store=store)
        said = self.complaint("names", "serve", "--listen", "127.0.0.1:0", "--store", store,
                              code=OTHER)
        self.assertIn(store, said)

    def test_a_store_that_is_something_else(self):
        store = os.path.join(self.folder, "names.db")
        with open(store, "w", encoding="utf-8") as file:
            file.write("a letter to a friend, and not a database at all\n" * 100)
        said = self.complaint("names", "serve", "--listen", "127.0.0.1:0", "--store", store,
                              code=OTHER)
        self.assertIn(store, said)

    def test_an_address_that_another_has(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            said = self.complaint("names", "serve", "--listen", address, "--store", "memory",
                                  code=OTHER)
        self.assertIn(address, said)

    def test_beyond_loopback(self):
        said = self.complaint("names", "serve", "--listen", "0.0.0.0:0", "--store", "memory",
                              code=OTHER)
        self.assertIn("insecure", said)

    def test_who_started_it_went_away(self):
        reader, writer = os.pipe()
        os.close(reader)
        path = os.path.join(self.folder, "socket")
        command = [AFAR, "names", "serve", "--listen", f"unix:{path}", "--store", "memory"]
        with subprocess.Popen(command, stdout=writer, env=environment(self.home)) as process:
            os.close(writer)
            self.run_until_served(f"unix:{path}")
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), DONE)

    def run_until_served(self, address):
        """It cannot say when it serves, so it is asked until it does."""
        for _ in range(1000):
            done = subprocess.run([AFAR, "names", "list", "--names", address], timeout=PATIENCE,
                                  capture_output=True, env=environment(self.home), check=False)
            if done.returncode == DONE:
                return
        self.fail(f"nobody serves at {address}")

    def test_at_most_so_many_names(self):
        self.start_names("--max-names", "1")
        self.start_named("first")
        with self.assertRaisesRegex(RuntimeError, "second"):
            self.start_named("second", ms=500)
        self.run_afar("names", "lookup", "second", code=NO)


if __name__ == "__main__":
    main()
