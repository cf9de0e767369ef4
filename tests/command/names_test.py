#!/usr/bin/python3
"""afar names list, lookup and unregister, with name servers that tell the truth."""

import os
import socket
import subprocess

from harness import (AFAR, DONE, NO, OTHER, PATIENCE, UNREACHABLE, CommandTest, environment,
                     main)
from proxy import Proxy, serve


class NamesTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.start_names()


class ListTest(NamesTest):
    def names_of(self, *words, **more):
        return [entry["name"] for entry in self.run_json("names", "list", *words, **more)]

    def test_no_names(self):
        self.assertIn("no names are registered", self.complaint("names", "list", code=0))
        self.assertEqual(self.run_json("names", "list"), [])

    def test_a_table(self):
        server = self.start_named("bank/alice", "shop")
        text, said = self.run_afar("names", "list")
        owner = self.run_json("key", "show")["public"]
        rows = [line.split() for line in text.splitlines()]
        self.assertEqual(rows[0], ["NAME", "ADDRESS", "INTERFACES", "LEASE", "OWNER"])
        self.assertEqual(rows[1][:3], ["bank/alice", f"grpc://{server.address}", "thing.Thing"])
        self.assertEqual(rows[1][-1], owner[:12] + "...")
        self.assertEqual(rows[2][0], "shop")
        self.assertEqual(text.splitlines()[1].index("grpc://"), text.index("ADDRESS"))
        self.assertEqual(said, "")

    def test_the_long_form(self):
        self.start_named("bank/alice")
        text, _ = self.run_afar("names", "list", "--long")
        self.assertIn(self.run_json("key", "show")["public"], text)
        self.assertIn("zone = north", text)
        self.assertEqual(self.run_afar("names", "list", "-l")[0].splitlines()[0],
                         text.splitlines()[0])

    def test_json(self):
        server = self.start_named("bank/alice")
        [entry] = self.run_json("names", "list")
        self.assertEqual(set(entry), {"name", "verified", "endpoints", "interfaces", "owner",
                                      "instance", "generation", "revision", "lease_left_ms",
                                      "metadata"})
        self.assertEqual(self.documented_keys("names", "list") - set(entry) - {"problem"},
                         {"an array with an object for each name:"})
        self.assertEqual(self.documented_keys("names", "lookup"), set(entry) | {"problem"})
        self.assertEqual(entry["name"], "bank/alice")
        self.assertIs(entry["verified"], True)
        self.assertEqual(entry["endpoints"], [f"grpc://{server.address}"])
        self.assertEqual(entry["interfaces"], ["thing.Thing"])
        self.assertEqual(entry["owner"], self.run_json("key", "show")["public"])
        self.assertEqual(entry["metadata"], {"zone": "north"})
        self.assertRegex(entry["instance"], "^[0-9a-f]{32}$")
        self.assertTrue(0 < entry["lease_left_ms"] <= 15000)
        self.assertTrue(0 < entry["generation"] <= entry["revision"])

    def test_prefixes(self):
        self.start_named("bank/alice", "bank/bob", "banker", "shop")
        self.assertEqual(self.names_of(), ["bank/alice", "bank/bob", "banker", "shop"])
        self.assertEqual(self.names_of("bank/"), ["bank/alice", "bank/bob"])
        self.assertEqual(self.names_of("ban"), ["bank/alice", "bank/bob", "banker"])
        self.assertEqual(self.names_of("bank/alice"), ["bank/alice"])
        self.assertEqual(self.names_of("x"), [])
        self.assertIn("no name begins with x", self.complaint("names", "list", "x", code=0))

    def test_all_pages(self):
        names = [f"many/{number:02}" for number in range(23)]
        self.start_named(*names)
        proxy = Proxy(self.names)
        self.addCleanup(proxy.close)
        proxy.ask["List"] = lambda request: setattr(request, "limit", 5)
        self.assertEqual(self.names_of(names=proxy.address), names)
        self.assertEqual(proxy.asked["List"], 5)


    def test_a_reader_that_goes_away(self):
        """There is more to print than fits into a buffer."""
        self.start_named(*[f"many/{number:02}" for number in range(60)])
        self.assertGreater(len(self.run_afar("names", "list", "-l")[0]), 8192)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([AFAR, "names", "list", "-l"], stdout=writer, timeout=PATIENCE,
                              stderr=subprocess.PIPE, check=False,
                              env=environment(self.home, self.names))
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (DONE, b""))


class LookupTest(NamesTest):
    def setUp(self):
        super().setUp()
        self.server = self.start_named("bank/alice")
        self.owner = self.run_json("key", "show")["public"]

    def test_a_block(self):
        text, said = self.run_afar("names", "lookup", "bank/alice")
        lines = [line.split() for line in text.splitlines()]
        self.assertEqual(lines[0], ["bank/alice"])
        self.assertIn(["address", f"grpc://{self.server.address}"], lines)
        self.assertIn(["owner", self.owner], lines)
        self.assertIn(["metadata", "zone", "=", "north"], lines)
        self.assertEqual(said, "")

    def test_the_address_alone(self):
        text, _ = self.run_afar("names", "lookup", "bank/alice", "--address")
        self.assertEqual(text, self.server.address + "\n")

    def test_json(self):
        listed = self.run_json("names", "list")[0]
        entry = self.run_json("names", "lookup", "bank/alice")
        self.assertLessEqual(entry.pop("lease_left_ms"), 15000)
        listed.pop("lease_left_ms")
        self.assertEqual(entry, listed)

    def test_with_the_owner(self):
        self.run_afar("names", "lookup", f"{self.owner}@bank/alice")
        other = self.run_json("key", "new", "--key", os.path.join(self.folder, "other"))["public"]
        said = self.complaint("names", "lookup", f"{other}@bank/alice", "--json", code=NO)
        self.assertIn(self.owner, said)
        self.assertIn(other, said)

    def test_a_name_that_nobody_has(self):
        said = self.complaint("names", "lookup", "bank/bob", code=NO)
        self.assertIn(f"bank/bob is not registered at {self.names}", said)


class UnregisterTest(NamesTest):
    def test_names_go(self):
        self.start_named("a", "b", "c")
        text, _ = self.run_afar("names", "unregister", "a", "c")
        self.assertEqual(text, "unregistered a\nunregistered c\n")
        self.assertEqual([entry["name"] for entry in self.run_json("names", "list")], ["b"])

    def test_json(self):
        self.start_named("a")
        before = self.run_json("names", "lookup", "a")["revision"]
        gone, missing = self.run_json("names", "unregister", "a", "x", code=NO)
        self.assertEqual((gone["name"], gone["removed"]), ("a", True))
        self.assertGreater(gone["revision"], before)
        self.assertLessEqual(set(gone) | set(missing),
                             self.documented_keys("names", "unregister"))
        self.assertEqual(missing, {"name": "x", "removed": False,
                                   "problem": "it is not registered"})

    def test_another_owner(self):
        self.start_named("a")
        path = os.path.join(self.folder, "other")
        other = self.run_json("key", "new", "--key", path)["public"]
        said = self.complaint("names", "unregister", "a", "--key", path, code=NO)
        for part in (other, self.run_json("key", "show")["public"], path, "--key"):
            self.assertIn(part, said)
        self.run_afar("names", "lookup", "a")

    def test_with_the_key_of_the_owner(self):
        path = os.path.join(self.folder, "other")
        self.run_afar("key", "new", "--key", path)
        self.start_named("a", key=path)
        self.run_afar("names", "unregister", "a", "--key", path)
        self.run_afar("names", "lookup", "a", code=NO)

    def test_no_key(self):
        self.assertIn("afar key new", self.complaint("names", "unregister", "a", code=OTHER))

    def test_a_key_that_others_can_read(self):
        self.run_afar("key", "new")
        os.chmod(os.path.join(self.home, "key"), 0o640)
        self.assertIn("chmod", self.complaint("names", "unregister", "a", code=OTHER))


class NobodyThereTest(CommandTest):
    COMMANDS = (["list"], ["lookup", "a"], ["unregister", "a"])

    def setUp(self):
        super().setUp()
        self.run_afar("key", "new")

    def check(self, address, *parts, ms=PATIENCE * 1000):
        for words in self.COMMANDS:
            said = self.complaint("names", *words, "--timeout", str(ms), names=address,
                                  code=UNREACHABLE)
            for part in parts:
                self.assertIn(part, said)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        self.check(address, f"no name server at {address}", "afar names serve", "AFAR_NAMES")
        self.check(f"unix:{self.folder}/socket", "no name server at")

    def test_the_option_wins(self):
        said = self.complaint("names", "list", "--names", "127.0.0.1:1", names="127.0.0.1:2",
                              code=UNREACHABLE)
        self.assertIn("no name server at 127.0.0.1:1:", said)

    def test_somebody_who_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.check(f"127.0.0.1:{silent.getsockname()[1]}", "no name server at", ms=300)

    def test_somebody_else(self):
        address, server = serve()
        self.check(address, f"the server at {address} is not a name server")
        server.stop(0).wait()


if __name__ == "__main__":
    main()
