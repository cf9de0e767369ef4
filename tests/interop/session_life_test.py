#!/usr/bin/python3
"""Sessions that stall, that are cut, that are killed: what is open ends, and others go on.

Labels: concurrent
"""

import signal
import subprocess
import threading
import unittest

from harness import HERE, PATIENCE, PYTHON, Server, wait_until
from session_peer import calls
from session_peer.calls import Object
from session_peer.case import (EMPTY, LISTENER, PYTHON_SERVER, Listener, SessionTest, on,
                               on_counter)
from session_peer.peer import Peer
from session_peer.session import Over
from session_peer.wire import desk, proto


class Stalls:
    def test_a_stream_that_is_not_read(self):
        """It waits; everything else goes on."""
        with self.peer() as peer:
            stalled = peer.call("desk", on("Down"), desk.DownRequest(count=1000, size=1000))
            peer.wait_until(lambda: stalled.granted <= 0)
            other = peer.call("desk", on("Down"), desk.DownRequest(count=1000, size=1000))
            for number in range(1000):
                self.assertEqual(other.receive(desk.Bytes).number, number)
            other.reply(desk.Nothing)
            self.assertEqual(peer.ask("desk", on("Echo"), desk.Text(text="x"), desk.Text).text, "x")
            self.assertIsNone(stalled.answer)
            for number in range(1000):
                self.assertEqual(stalled.receive(desk.Bytes).number, number)
            stalled.reply(desk.Nothing)

    def test_a_peer_that_reads_nothing_at_all(self):
        """Its session waits; others go on."""
        with self.peer() as peer, self.peer() as other:
            peer.reading.clear()
            down = peer.call("desk", on("Down"), desk.DownRequest(count=200, size=60000))
            for _ in range(100):
                other.ask("desk", on("Echo"), desk.Text(text="x" * 1000), desk.Text)
            peer.reading.set()
            for number in range(200):
                self.assertEqual(down.receive(desk.Bytes).number, number)
            down.reply(desk.Nothing)

    def test_many_sessions(self):
        peers = [self.peer() for _ in range(30)]
        before = self.seen().finalized
        for peer in peers:
            self.add(peer, self.make(peer), 1)
        for peer in peers:
            peer.close()
        self.wait_for(finalized=before + 30)


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from session_peer.case import EMPTY, Listener, on
from session_peer.peer import Peer
from session_peer.wire import desk
peer = Peer(sys.argv[2])
references = peer.references()
peer.ask("desk", on("Keep"), desk.ListenerRef(listener=references.put(Listener())), desk.Nothing,
         references=references)
peer.ask("desk", on("Make"), EMPTY, desk.CounterRef)
peer.call("desk", on("Hold"), EMPTY).wait()
"""


class Killing:
    def test_a_peer_that_is_killed(self):
        """Its call is cancelled, its references are released, the listener it left is lost."""
        before = self.seen()
        peer = subprocess.Popen([PYTHON, "-c", KILLED, HERE, self.server.address])
        try:
            self.wait_for(holding=1)
            self.assertEqual(self.seen().made, before.made + 1)
        finally:
            peer.send_signal(signal.SIGKILL)
            peer.wait()
        self.wait_for(holding=0, cancelled=before.cancelled + 1, finalized=before.finalized + 1)
        failure = self.watching.call("desk", on("Use"), desk.Text()).failure()
        self.assertIn(failure.code, (calls.LOST, calls.UNAVAILABLE))
        self.watching.ask("desk", on("Keep"), desk.ListenerRef(), desk.Nothing)

    def steps(self, peer):
        """A session with a bit of all, a step at a time."""
        begun = threading.Event()

        def wait(answer):
            begun.set()
            answer.wait_until_cancelled()
        peer.say_hello()
        yield
        peer.wait_until(lambda: peer.hello)
        made = peer.call("desk", on("Make"), EMPTY, keep=True)
        yield
        counter = made.reference(made.reply(desk.CounterRef).counter)
        yield
        peer.call((made, 1), on_counter("Add"), desk.Amount(amount=1))
        yield
        self.with_listener(peer, "Keep", Listener(), desk.Nothing)
        yield
        references = peer.references()
        peer.call("desk", on("CallBack"), references=references, request=desk.CallBackRequest(
            listener=references.put(Object(LISTENER, Hear=wait)), times=1))
        yield
        self.assertTrue(begun.wait(PATIENCE))
        yield
        down = peer.call("desk", on("Down"), desk.DownRequest(count=1000, size=1000))
        yield
        down.receive(desk.Bytes)
        both = peer.call("desk", on("Both"))
        yield
        both.send(desk.Bytes(data=bytes(1000)))
        yield
        both.end()
        hold = peer.call("desk", on("Hold"), EMPTY)
        yield
        hold.cancel()
        yield
        made.finish()
        yield
        counter.release()
        yield
        peer.say_goodbye(proto.Goodbye.NONE)
        yield

    def test_a_peer_that_goes_at_any_step(self):
        """Whatever was open, the server is as it was."""
        at_the_end, count = False, 0
        while not at_the_end:
            count += 1
            peer = self.peer(silent=True)
            steps = self.steps(peer)
            for _ in range(count):
                at_the_end = next(steps, steps) is steps
            peer.leave()
        self.assertGreater(count, 10)
        self.watching.ask("desk", on("Keep"), desk.ListenerRef(), desk.Nothing)
        wait_until(lambda: (seen := self.seen()).made == seen.finalized and not seen.holding,
                   "all counters are gone, and no call is held")

    def test_a_server_that_stops(self):
        """Calls that have begun are finished first."""
        server = Server(self.command)
        peer = Peer(server.address)
        question = peer.call("desk", on("Hold"), EMPTY)
        peer.ask("desk", on("Echo"), desk.Text(), desk.Text)
        server.terminate()
        peer.wait_until(lambda: peer.goodbye)
        self.assertEqual(peer.goodbye.reason, proto.Goodbye.NONE)
        question.cancel()
        self.assertEqual(question.failure().code, calls.CANCELLED)
        peer.wait_until_over()
        self.assertEqual(server.wait(), 0)
        peer.leave()

    def test_a_server_that_is_killed(self):
        server = Server(self.command)
        peer = Peer(server.address)
        question = peer.call("desk", on("Hold"), EMPTY)
        peer.ask("desk", on("Echo"), desk.Text(), desk.Text)
        server.kill()
        with self.assertRaises(Over):
            question.wait()
        peer.leave()


class AfarServer(Stalls, Killing, SessionTest):
    pass


class PythonServer(Stalls, Killing, SessionTest):
    command = PYTHON_SERVER


if __name__ == "__main__":
    unittest.main(verbosity=2)
