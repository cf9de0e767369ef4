#!/usr/bin/python3
"""Peers that send and never read.  Each harms only itself: the server's memory stays within what
docs/protocol.md says, whatever they send, and others are served meanwhile.  When they go, nothing
stays behind.

AFAR_FAULT_FIGURES prints what they cost.

Labels: concurrent
"""

import os
import sys
import threading
import unittest

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))

from harness import wait_until  # noqa: E402
from session_peer.case import SessionTest, on  # noqa: E402
from session_peer.peer import OPEN, OPTIONS  # noqa: E402
from session_peer.wire import desk, proto  # noqa: E402

MOST_BYTES = 16 << 20  # what a peer may cost: docs/protocol.md, and what gRPC has on its way
PEERS = 3


class Deaf:
    """Sends frames as long as it is let, and takes nothing of what comes."""

    def __init__(self, address, frames):
        self.frames, self.sent = frames, 0
        self.all_sent, self.leaving = threading.Event(), threading.Event()
        self.channel = grpc.insecure_channel(address, OPTIONS)
        self.stream = self.channel.stream_stream(OPEN)(self.batches())

    def batches(self):
        for frames in self.frames:
            if self.leaving.is_set():
                return
            data = proto.Batch(frames=frames).SerializeToString()
            self.sent += len(data)
            yield data
        self.all_sent.set()
        self.leaving.wait()

    def leave(self):
        self.leaving.set()
        self.stream.cancel()
        self.channel.close()


def begin(*methods):
    hello = proto.Frame()
    hello.hello.lowest = hello.hello.highest = 1
    hello.hello.instance = os.urandom(16)
    yield [hello]
    yield [proto.Frame(method=proto.Method(number=number, path=on(name)))
           for number, name in enumerate(methods, 1)]


def calls(count, payload, **more):
    """Calls of the first method, as many at a time as fit in a batch."""
    frames = [proto.Frame(call=proto.Call(id=number, method=1, payload=payload,
                                          target=proto.Target(name="desk"), **more))
              for number in range(1, count + 1)]
    for at in range(0, count, 50):
        yield frames[at:at + 50]


def echoes():
    """As many calls as there may be, each with an answer of a kilobyte."""
    yield from begin("Echo")
    yield from calls(900, desk.Text(text="x" * 1000).SerializeToString())


def results():
    """The same, and all results are to be kept."""
    yield from begin("Make")
    yield from calls(1000, b"", keep=True)


def streams():
    """Streams that would send for ever."""
    yield from begin("Down")
    yield from calls(50, desk.DownRequest(count=100000, size=10000).SerializeToString())


def riddles():
    """Frames that are not known, each of which has an answer."""
    yield from begin()
    unknown = proto.Frame.FromString(b"\xa2\x1f\x00")  # field 500, empty
    for _ in range(100):
        yield [unknown] * 16000


class DeafPeers(SessionTest):
    def resident(self):
        with open(f"/proc/{self.server.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def is_plain(self):
        """The sanitizers keep what was freed."""
        with open(f"/proc/{self.server.pid}/maps", encoding="ascii") as file:
            return "libasan" not in (text := file.read()) and "libtsan" not in text

    def others_are_served(self):
        with self.peer() as other:
            for _ in range(20):
                other.ask("desk", on("Echo"), desk.Text(text="y" * 1000), desk.Text)

    def stall(self, frames, may_wait=False):
        """So many peers do it; what each costs at most, as far as it is seen."""
        self.others_are_served()
        before, most = self.resident(), 0
        peers = [Deaf(self.server.address, frames()) for _ in range(PEERS)]
        for _ in range(20):
            self.others_are_served()
            most = max(most, self.resident() - before)
        for peer in peers:
            self.assertGreater(peer.sent, 0)
            if not may_wait:
                wait_until(peer.all_sent.is_set, "all calls were taken")
        most = max(most, self.resident() - before)
        for peer in peers:
            peer.leave()
        wait_until(lambda: (seen := self.seen()).made == seen.finalized and not seen.holding,
                   "nothing is left of them")
        self.others_are_served()
        if "AFAR_FAULT_FIGURES" in os.environ:
            print(f"{frames.__name__}: {most // PEERS} bytes each")
        if self.is_plain():
            self.assertLess(most // PEERS, MOST_BYTES)

    def test_answers(self):
        self.stall(echoes)

    def test_results(self):
        self.stall(results)

    def test_streams(self):
        self.stall(streams)

    def test_frames_that_are_not_known(self):
        self.stall(riddles, may_wait=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
