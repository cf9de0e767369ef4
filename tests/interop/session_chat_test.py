#!/usr/bin/python3
"""The chat of the examples: three people in a room, one of whom is killed.

Labels: concurrent
"""

import os
import queue
import signal
import subprocess
import threading
import unittest

from harness import BIN, PATIENCE, Server

SERVER = [os.path.join(BIN, "chat-server")]
CLIENT = os.path.join(BIN, "chat-client")


class Member:
    """A client of the chat as a process; its lines are read as they come."""

    def __init__(self, test, nick, room="hall", address=None):
        lobby = f"afar://{address or test.server.address}/chat/lobby"
        self.process = subprocess.Popen([CLIENT, nick, room, lobby], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, bufsize=1)
        self.heard = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        test.addCleanup(self.end)

    def read(self):
        for line in self.process.stdout:
            self.heard.put(line.rstrip("\n"))
        self.heard.put(None)

    def say(self, text):
        self.process.stdin.write(text + "\n")

    def hears(self):
        """The next line; None at the end."""
        return self.heard.get(timeout=PATIENCE)

    def wait(self):
        return self.process.wait(PATIENCE)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(SERVER)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def three(self, room):
        """Ann, Bob and Cid, each of whom has heard all that was said so far."""
        ann = Member(self, "Ann", room)
        self.assertEqual(ann.hears(), "* you are in")
        bob = Member(self, "Bob", room)
        self.assertEqual(bob.hears(), "* you are in, with Ann")
        cid = Member(self, "Cid", room)
        self.assertEqual(cid.hears(), "* you are in, with Ann, Bob")
        self.assertEqual([ann.hears(), ann.hears(), bob.hears()],
                         ["* Bob comes in", "* Cid comes in", "* Cid comes in"])
        return ann, bob, cid

    def test_all_hear_what_one_says(self):
        members = self.three("talk")
        for number, speaker in enumerate(members):
            speaker.say(f"line {number}")
            nick = "Ann Bob Cid".split()[number]
            self.assertEqual([one.hears() for one in members], [f"{nick}: line {number}"] * 3)
        for number in range(100):
            members[0].say(str(number))
        for one in members:
            self.assertEqual([one.hears() for _ in range(100)], [f"Ann: {i}" for i in range(100)])

    def test_rooms_are_apart(self):
        ann, dora = Member(self, "Ann", "one"), Member(self, "Ann", "two")
        self.assertEqual([ann.hears(), dora.hears()], ["* you are in"] * 2)
        ann.say("here")
        dora.say("there")
        self.assertEqual([ann.hears(), dora.hears()], ["Ann: here", "Ann: there"])

    def test_one_who_leaves(self):
        ann, bob, cid = self.three("leave")
        bob.process.stdin.close()
        self.assertEqual(bob.wait(), 0)
        self.assertEqual([ann.hears(), cid.hears()], ["* Bob goes out"] * 2)

    def test_one_who_is_told_to_end(self):
        ann, bob, cid = self.three("signal")
        for number in (signal.SIGINT, signal.SIGTERM):
            leaver = bob if number == signal.SIGINT else cid
            leaver.process.send_signal(number)
            self.assertEqual(leaver.wait(), 0)
        self.assertEqual([ann.hears(), ann.hears()], ["* Bob goes out", "* Cid goes out"])

    def test_one_who_is_killed(self):
        """The room notices when it next has something to say, and says so."""
        ann, bob, cid = self.three("kill")
        bob.process.send_signal(signal.SIGKILL)
        bob.wait()
        said = self.ask_until_gone(ann)
        heard = [cid.hears() for _ in range(said + 1)]
        self.assertEqual(sorted(heard), sorted([f"Ann: {i}" for i in range(said)] +
                                               ["* Bob is gone"]))
        again = Member(self, "Bob", "kill")
        self.assertEqual(again.hears(), "* you are in, with Ann, Cid")
        self.assertEqual([ann.hears(), cid.hears()], ["* Bob comes in"] * 2)

    def ask_until_gone(self, ann):
        """Ann says "0", "1" ... until she hears that Bob is gone; how many lines that took."""
        for number in range(1000):
            ann.say(str(number))
            lines = [ann.hears()]
            while lines[-1] != f"Ann: {number}":
                lines.append(ann.hears())
            if "* Bob is gone" in lines:
                return number + 1
        return self.fail("Bob is not gone")

    def test_a_nick_that_is_taken(self):
        ann = Member(self, "Ann", "nick")
        self.assertEqual(ann.hears(), "* you are in")
        other = Member(self, "Ann", "nick")
        self.assertEqual(other.wait(), 1)
        line = other.hears()
        self.assertTrue(line.startswith("chat: ALREADY_EXISTS: "), line)
        self.assertIn("there is a Ann in room nick", line)

    def test_a_room_without_a_name(self):
        ann = Member(self, "Ann", "")
        self.assertEqual(ann.wait(), 1)
        self.assertIn("INVALID_ARGUMENT", ann.hears())

    def test_the_server_goes(self):
        server = Server(SERVER)
        ann = Member(self, "Ann", address=server.address)
        self.assertEqual(ann.hears(), "* you are in")
        server.kill()
        ann.say("anybody?")
        self.assertEqual(ann.wait(), 1)
        line = ann.hears()
        self.assertRegex(line, "^chat: (UNAVAILABLE|LOST): ")

    def test_usage(self):
        for command in ([CLIENT], [CLIENT, *"abcd"], [*SERVER, *"abcd"]):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=PATIENCE, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertTrue(done.stderr.startswith("usage: chat-"), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
