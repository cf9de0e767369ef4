#!/usr/bin/python3
"""afar ping: names and addresses, servers of ours and of others, and nobody."""

import os
import signal
import socket

from harness import (AFAR, DONE, NO, PATIENCE, UNREACHABLE, CommandTest, Process, environment,
                     main)
from proxy import serve

INSTANCE = "[0-9a-f]{32}"


class PingTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.start_names()

    def test_a_name(self):
        server = self.start_named("bank/alice")
        text, said = self.run_afar("ping", "bank/alice")
        self.assertRegex(text, rf"^bank/alice at grpc://{server.address}: Afar \d+\.\d+\.\d+, "
                               rf"instance {INSTANCE}, \d+\.\d+ ms\n$")
        self.assertEqual(said, "")
        recorded = self.run_json("names", "lookup", "bank/alice")["instance"]
        self.assertIn(recorded, text)

    def test_a_name_with_its_owner(self):
        self.start_named("bank/alice")
        owner = self.run_json("key", "show")["public"]
        self.run_afar("ping", f"{owner}@bank/alice")
        other = self.run_json("key", "new", "--key", os.path.join(self.folder, "other"))["public"]
        self.complaint("ping", f"{other}@bank/alice", code=NO)

    def test_addresses(self):
        path = os.path.join(self.folder, "socket")
        self.start_names("--listen", f"unix:{path}")
        for address in (self.names, f"grpc://{self.names}", f"unix:{path}"):
            text, _ = self.run_afar("ping", address)
            shown = address if address.startswith(("grpc", "unix")) else f"grpc://{address}"
            self.assertTrue(text.startswith(f"{shown}: Afar "), text)

    def test_several(self):
        text, _ = self.run_afar("ping", self.names, "--count", "3", "--interval", "0")
        lines = text.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[3].startswith("asked 3 times, 3 answers; least "), lines[3])

    def test_json(self):
        document = self.run_json("ping", self.names, "-c", "2", "-i", "0")
        self.assertEqual((document["target"], document["sent"], document["answered"]),
                         (self.names, 2, 2))
        self.assertTrue(0 < document["min_ms"] <= document["avg_ms"] <= document["max_ms"])
        self.assertLessEqual(set(document), self.documented_keys("ping"))
        for reply in document["replies"]:
            self.assertLessEqual({f"replies[].{key}" for key in reply},
                                 self.documented_keys("ping"))
            self.assertEqual(set(reply),
                             {"ok", "time_ms", "address", "afar", "instance", "version"})
            self.assertTrue(reply["ok"] and reply["afar"])

    def test_an_interrupt_ends_the_pause(self):
        ping = Process([AFAR, "ping", self.names, "-c", "0", "-i", "86400000"],
                       environment(self.home))
        self.addCleanup(ping.kill)
        self.assertEqual(ping.stop(signal.SIGTERM), DONE)

    def test_a_summary_when_it_is_interrupted(self):
        ping = Process([AFAR, "ping", self.names, "-c", "0", "-i", "1"], environment(self.home))
        self.addCleanup(ping.kill)
        for _ in range(3):
            self.assertIn("Afar", ping.process.stdout.readline())
        ping.process.send_signal(signal.SIGINT)
        self.assertIn(" times, ", ping.process.stdout.read().splitlines()[-1])
        self.assertEqual(ping.process.wait(PATIENCE), DONE)

    def test_nobody_reads_any_more(self):
        ping = Process([AFAR, "ping", self.names, "-c", "0", "-i", "1"], environment(self.home))
        self.addCleanup(ping.kill)
        ping.process.stdout.close()
        self.assertEqual(ping.process.wait(PATIENCE), DONE)
        self.assertEqual(ping.error_text(), "")

    def test_a_server_of_others(self):
        address, server = serve()
        text, _ = self.run_afar("ping", address)
        self.assertIn("reachable, not an Afar server", text)
        [reply] = self.run_json("ping", address)["replies"]
        self.assertEqual((reply["ok"], reply["afar"]), (True, False))
        server.stop(0).wait()

    def test_nobody_at_an_address(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = self.complaint("ping", address, code=UNREACHABLE)
        self.assertIn(f"afar ping: {address}: ", said)
        document = self.run_json("ping", address, "-c", "2", "-i", "0", code=UNREACHABLE)
        self.assertEqual((document["sent"], document["answered"]), (2, 0))
        self.assertEqual([reply["ok"] for reply in document["replies"]], [False, False])
        self.assertEqual(document["replies"][0]["code"], "UNAVAILABLE")
        self.assertNotIn("min_ms", document)

    def test_somebody_who_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.complaint("ping", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "300",
                           code=UNREACHABLE)

    def test_a_name_that_nobody_has(self):
        said = self.complaint("ping", "bank/bob", code=NO)
        self.assertTrue(said.startswith("afar ping: bank/bob: "), said)
        self.assertEqual(said.count("bank/bob"), 1)

    def test_a_name_whose_server_was_killed(self):
        self.start_named("bank/alice").kill()
        self.complaint("ping", "bank/alice", code=UNREACHABLE)

    def test_no_name_server(self):
        said = self.complaint("ping", "bank/alice", "--names", "127.0.0.1:1", code=UNREACHABLE)
        self.assertIn("127.0.0.1:1", said)

    def test_an_owner_who_is_another_now(self):
        """The name goes at once when its server ends, and another key may take it."""
        server = self.start_named("bank/alice")
        self.run_afar("ping", "bank/alice")
        self.assertEqual(server.stop(), DONE)
        self.start_named("bank/alice", key=os.path.join(self.folder, "other"))
        said = self.complaint("ping", "bank/alice", code=NO)
        self.assertIn(self.run_json("key", "show")["public"], said)
        self.assertIn("known_names", said)

    def test_a_server_that_moved(self):
        self.assertEqual(self.start_named("bank/alice").stop(), DONE)
        server = self.start_named("bank/alice")
        self.assertIn(server.address, self.run_afar("ping", "bank/alice")[0])


if __name__ == "__main__":
    main()
