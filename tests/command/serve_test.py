#!/usr/bin/python3
"""afar names serve: starts, says where, ends when it is told to, and keeps its names."""

import os
import signal
import socket
import struct
import subprocess

from harness import (AFAR, DONE, NO, OTHER, PATIENCE, CommandTest, Process, environment, main)


HEADERS, SETTINGS = 1, 4
MAX_CONCURRENT_STREAMS = 3


class SilentReader:
    """An HTTP/2 client that asks for lists and takes no byte of an answer."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.bytes = self.socket.makefile("rb")
        window = struct.pack(">HI", 4, 0)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
                            self.frame(SETTINGS, 0, 0, window))
        kind, settings = self.read()
        while kind != SETTINGS:
            kind, settings = self.read()
        self.streams = dict(struct.iter_unpack(">HI", settings))[MAX_CONCURRENT_STREAMS]
        self.socket.sendall(self.frame(SETTINGS, 1, 0, b""))

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
            struct.pack(">I", stream) + payload

    def read(self):
        head = self.bytes.read(9)
        return head[3], self.bytes.read(int.from_bytes(head[:3], "big"))

    def ask(self, count):
        fields = ((":method", "POST"), (":scheme", "http"), (":authority", "localhost"),
                  (":path", "/afar.names.v1.Names/List"), ("te", "trailers"),
                  ("content-type", "application/grpc"))
        headers = b"".join(bytes([0, len(name)]) + name.encode() + bytes([len(value)]) +
                           value.encode() for name, value in fields)
        for stream in range(1, 2 * count, 2):
            self.socket.sendall(self.frame(HEADERS, 4, stream, headers) +
                                self.frame(0, 1, stream, bytes(5)))
        while count > 0:
            count -= self.read()[0] == HEADERS


def resident_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


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

    def test_a_client_that_does_not_read_costs_little(self):
        server = self.start_names()
        self.start_named(*(f"{'x' * 230}/{i}" for i in range(3000)))
        client = SilentReader(int(self.names.rsplit(":", 1)[1]))
        self.addCleanup(client.socket.close)
        before = resident_mib(server.process.pid)
        client.ask(min(client.streams, 400))
        self.assertLess(resident_mib(server.process.pid) - before, 250)
        self.run_afar("names", "lookup", f"{'x' * 230}/7")

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
