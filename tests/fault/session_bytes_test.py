#!/usr/bin/python3
"""Random hostile bytes on the sessions of a real server: frames that make no sense, in any order,
and batches with bits changed.  The server lives, others are served meanwhile, a session that broke
a rule ends with a Goodbye that says so, and nothing stays behind.

The seed is printed by a failure; AFAR_FAULT_SEED sets it, AFAR_FAULT_STREAMS how many there are.

Labels: concurrent
"""

import os
import random
import sys
import unittest

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))

from harness import PATIENCE, wait_until  # noqa: E402
from session_peer.case import SessionTest, on  # noqa: E402
from session_peer.peer import OPEN, OPTIONS  # noqa: E402
from session_peer.wire import desk, proto  # noqa: E402

STREAMS = int(os.environ.get("AFAR_FAULT_STREAMS", "300"))
SEED = int(os.environ.get("AFAR_FAULT_SEED", "1"))
MOST_GROWTH = 32 << 20  # bytes, of the server, over all streams

METHODS = [on(name) for name in ("Echo", "Make", "Keep", "CallBack", "Down", "Both", "Hold", "Use")]


def hello(rng):
    frame = proto.Frame()
    frame.hello.lowest = frame.hello.highest = 1
    frame.hello.instance = rng.randbytes(16)
    if rng.random() < 0.2:
        limits = frame.hello.limits
        limits.calls, limits.references = rng.choice((0, 1, 5)), rng.choice((0, 1, 5))
        limits.window_bytes = rng.choice((0, 1, 100))
    return frame


class Frames:
    """Frames of any kind.  How often a number or a payload is wrong differs between sessions, so
    that some get far."""

    def __init__(self, rng):
        self.rng = rng
        self.wild = rng.choice((0.005, 0.03, 0.2))
        self.methods, self.open, self.kept, self.items = [], [], [], []

    def wrong(self):
        return self.rng.random() < self.wild

    def number(self, right):
        """One of those that are right, mostly."""
        if right and not self.wrong():
            return self.rng.choice(right)
        return self.rng.choice((0, 1, 2, 3, 7, self.rng.getrandbits(32)))

    def payload(self, index):
        if self.wrong():
            return self.rng.randbytes(20)
        if index:
            return b"\x0a\x02\x08\x01"  # a message with the first reference
        return self.rng.choice((b"", desk.Text(text="x").SerializeToString(),
                                desk.DownRequest(count=50, size=100).SerializeToString()))

    def fill_references(self, references):
        """Whether there is one."""
        if self.rng.random() < 0.6:
            return False
        reference = references.add()
        if self.wrong():
            reference.yours = self.number(())
        elif self.rng.random() < 0.2:
            reference.address.address = "afar://127.0.0.1:1"
            reference.address.name = "nobody"
        else:
            reference.hosted.id = self.rng.randint(1, 3)
        reference.interface = "x" * 300 if self.wrong() else \
            self.rng.choice(("", "afar.test.desk.Listener", "afar.test.desk.Counter"))
        return True

    def method(self, frame):
        self.methods.append(len(self.methods) + 1)
        frame.method.number = self.number(self.methods[-1:])
        frame.method.path = "/no/slash/" * 60 if self.wrong() else self.rng.choice(METHODS)

    def call(self, frame):
        call = getattr(frame, "call")
        self.open.append(len(self.open) + 1)
        call.id = self.number(self.open[-1:])
        call.method = self.number(self.methods)
        if self.kept and self.rng.random() < 0.3:
            call.target.promised.call = self.number(self.kept)
            call.target.promised.path.extend([1] * (17 if self.wrong() else 1))
        elif self.wrong():
            call.target.export = self.number(())
        else:
            call.target.name = "" if self.wrong() else "desk"
        call.keep, call.oneway = self.rng.random() < 0.3, self.rng.random() < 0.1
        if call.keep:
            self.kept.append(call.id)
        call.timeout_us = self.rng.choice((0, 0, 1, 1000000))
        call.payload = self.payload(self.fill_references(call.references))

    def answer(self, frame):
        """Of a call back that may be there."""
        answer = getattr(frame, "return")
        answer.call, answer.code = 1, self.rng.choice((0, 14, 1000))
        answer.payload = b"" if answer.code else self.payload(False)

    def item(self, frame):
        frame.item.call = self.number(self.open)
        frame.item.to_caller = self.wrong()
        frame.item.payload = self.payload(self.fill_references(frame.item.references))

    def other(self, frame):
        kind = self.rng.randrange(5)
        if kind == 0:
            frame.cancel.call = self.number(self.open)
        elif kind == 1 and self.kept:
            frame.finish.call = self.kept.pop()
        elif kind == 2:
            frame.end.call = self.number(self.open)
        elif kind == 3:
            frame.credit.call = self.number(self.open)
            frame.credit.bytes = self.rng.choice((1, 1000, 1 << 31 if self.wrong() else 1 << 20))
        else:
            frame.ping.number = self.rng.getrandbits(64)

    def odd(self, frame):
        """What is seldom right."""
        kind = self.rng.randrange(4)
        if kind == 0:
            frame.release.export, frame.release.count = self.number((1, 2)), self.number((1,))
        elif kind == 1:
            frame.pong.number = self.number(())
        elif kind == 2:
            frame.goodbye.reason = self.rng.randrange(5)
        else:
            frame.unknown.kind = self.number(())

    def any(self):
        frame = proto.Frame()
        if not self.methods or self.rng.random() < 0.1:
            self.method(frame)
        elif self.wrong():
            self.rng.choice((self.answer, self.odd))(frame)
        else:
            self.rng.choice((self.call, self.call, self.item, self.other))(frame)
        return frame


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            data[at:at] = data[at:at + rng.randint(1, 40)]
        else:
            data[at:at] = b"\xff" * rng.randint(1, 10)
    return bytes(data)


def batches(rng):
    frames = Frames(rng)
    for number in range(rng.randint(1, 5)):
        batch = proto.Batch()
        if number == 0 and rng.random() < 0.95:
            batch.frames.append(hello(rng))
        batch.frames.extend(frames.any() for _ in range(rng.randint(0, 20)))
        data = batch.SerializeToString()
        yield mutate(rng, data) if data and frames.wrong() else data


class HostileBytes(SessionTest):
    def is_plain(self):
        """The address sanitizer keeps what was freed."""
        with open(f"/proc/{self.server.pid}/maps", encoding="ascii") as file:
            return "libasan" not in (text := file.read()) and "libtsan" not in text

    def resident(self):
        with open(f"/proc/{self.server.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def one_stream(self, channel, seed):
        """Sends all and then no more; the server ends the stream, in time.  Its Goodbye's reason,
        or None."""
        rng, reason = random.Random(seed), None
        stream = channel.stream_stream(OPEN)(iter(list(batches(rng))), timeout=PATIENCE)
        try:
            for data in stream:
                for frame in proto.Batch.FromString(data).frames:
                    self.assertIsNone(reason, f"seed {seed}: a frame after Goodbye")
                    if frame.HasField("goodbye") and frame.goodbye.reason:
                        reason = frame.goodbye.reason
                        self.assertTrue(frame.goodbye.text, f"seed {seed}")
        except grpc.RpcError as error:
            self.assertNotEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED, f"seed {seed}")
        self.assertIn(reason, (None, proto.Goodbye.PROTOCOL, proto.Goodbye.VERSION), f"seed {seed}")
        return reason

    def test_random_sessions(self):
        reasons = []
        with grpc.insecure_channel(self.server.address, OPTIONS) as channel:
            for number in range(STREAMS):
                reasons.append(self.one_stream(channel, SEED * 1000000 + number))
                if number == STREAMS // 5:
                    before = self.resident()
                if number % 10 == 0:
                    reply = self.watching.ask("desk", on("Echo"), desk.Text(text="x"), desk.Text)
                    self.assertEqual(reply.text, "x")
        self.assertGreater(reasons.count(proto.Goodbye.PROTOCOL), STREAMS // 10)
        self.watching.ask("desk", on("Keep"), desk.ListenerRef(), desk.Nothing)
        wait_until(lambda: (seen := self.seen()).made == seen.finalized and not seen.holding,
                   "nothing is left of any of them")
        self.assertGreater(self.seen().made, 0)
        if self.is_plain():
            self.assertLess(self.resident() - before, MOST_GROWTH)


if __name__ == "__main__":
    unittest.main(verbosity=2)
