#!/usr/bin/python3
"""Name servers that lie: what they say is shown as what it is, and nothing hangs."""

from harness import NO, OTHER, CommandTest, main
from proxy import Proxy, pb


def forge(record):
    record.signature = bytes([record.signature[0] ^ 1]) + record.signature[1:]


class LyingTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.start_names()
        self.server = self.start_named("a", "b")
        self.proxy = Proxy(self.names)
        self.addCleanup(self.proxy.close)
        self.real, self.names = self.names, self.proxy.address

    def answer(self, method, change):
        self.proxy.answer[method] = change

    def refused(self, *words, code=NO):
        return self.complaint("names", *words, code=code)

    def test_the_truth(self):
        self.run_afar("names", "lookup", "a")
        self.assertEqual(self.proxy.asked["Lookup"], 1)

    def test_a_forged_record_is_not_looked_up(self):
        self.answer("Lookup", lambda reply: forge(reply.entry.record))
        for more in ([], ["--json"], ["--address"]):
            self.assertIn("not to be believed", self.refused("lookup", "a", *more))

    def test_a_forged_record_is_listed_as_such(self):
        self.answer("List", lambda reply: forge(reply.entries[0].record))
        text, said = self.run_afar("names", "list", "--long", code=NO)
        self.assertRegex(text, r"(?m)^a +NOT VERIFIED ")
        self.assertRegex(text, r"(?m)^b +grpc://")
        self.assertIn("a: ", said)
        first, second = self.run_json("names", "list", code=NO)
        self.assertEqual((first["verified"], second["verified"]), (False, True))
        self.assertTrue(first["problem"])
        self.assertNotIn("problem", second)

    def test_another_name(self):
        def other(reply):
            listed = [entry for entry in self.entries if b"b" in entry.record.record[:3]]
            reply.entry.CopyFrom(listed[0])

        self.answer("List", lambda reply: setattr(self, "entries", list(reply.entries)))
        self.run_afar("names", "list")
        self.answer("Lookup", other)
        self.assertIn("with the name b", self.refused("lookup", "a"))

    def test_no_entry_and_no_record(self):
        self.answer("Lookup", lambda reply: reply.ClearField("entry"))
        self.assertIn("without a record", self.refused("lookup", "a"))
        self.answer("Lookup", lambda reply: reply.entry.ClearField("record"))
        self.assertIn("without a record", self.refused("lookup", "a"))
        self.answer("List", lambda reply: reply.entries[0].ClearField("record"))
        self.refused("list", code=OTHER)

    def test_bytes_that_are_no_record(self):
        self.answer("Lookup", lambda reply: setattr(reply.entry.record, "record", b"\xff" * 99))
        self.refused("lookup", "a")
        self.answer("Lookup", lambda reply: setattr(reply.entry.record, "key", b"short"))
        self.refused("lookup", "a")

    def test_names_that_would_write_to_the_terminal(self):
        def change(reply):
            del reply.entries[1:]
            record = pb.Record(name="\x1b[2J\u009b2J", endpoints=["grpc://127.0.0.1:1"])
            reply.entries[0].record.record = record.SerializeToString()

        self.answer("List", change)
        text, said = self.run_afar("names", "list", code=NO)
        self.assertIn("?[2J?2J", text)
        for bad in ("\x1b", "\u009b"):
            self.assertNotIn(bad, text + said)

    def test_pages_that_never_end(self):
        self.answer("List", lambda reply: setattr(reply, "more", True))
        self.refused("list", code=OTHER)
        self.assertLessEqual(self.proxy.asked["List"], 3)

    def test_names_out_of_order(self):
        def turn(reply):
            entries = list(reply.entries)[::-1]
            del reply.entries[:]
            reply.entries.extend(entries)

        self.answer("List", turn)
        self.assertIn("'a' after 'b'", self.refused("list", code=OTHER))

    def test_names_that_were_not_asked_for(self):
        self.proxy.ask["List"] = lambda request: setattr(request, "prefix", "")
        self.refused("list", "b", code=OTHER)

    def test_a_removal_that_was_overtaken(self):
        def outdated(reply):
            reply.entry.sequence = 0
            reply.epoch = bytes(16)

        self.answer("Lookup", outdated)
        self.run_afar("names", "unregister", "a")
        self.assertEqual(self.proxy.asked["Unregister"], 2)
        self.proxy.answer.clear()
        self.run_afar("names", "lookup", "a", code=NO)

    def test_a_removal_that_is_always_overtaken(self):
        removal = []

        def replay(request):
            removal.append(request.removal.SerializeToString())
            request.removal.ParseFromString(removal[0])

        self.answer("Lookup", lambda reply: setattr(reply, "epoch", bytes(16)))
        self.proxy.ask["Unregister"] = replay
        said = self.refused("unregister", "a")
        self.assertIn("a: ", said)
        self.assertEqual(self.proxy.asked["Unregister"], 5)

    def test_a_removal_that_removes_nothing(self):
        """The answer says so, though the name is gone: the next look-up shows it."""
        self.answer("Unregister", lambda reply: setattr(reply, "count", 0))
        self.assertIn("b: it is not registered", self.refused("unregister", "b"))
        self.assertEqual(self.proxy.asked["Lookup"], 2)


if __name__ == "__main__":
    main()
