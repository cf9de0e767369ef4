#!/usr/bin/python3
"""Channels without sessions: grpcio attaches to ends that a server in C exports, sends, receives, takes
part in selects, and breaks the rules, by what channel.proto says.

Labels: concurrent
"""

import os
import queue
import subprocess
import unittest

import grpc

from harness import BIN, HERE, PATIENCE, ROOT, SCRATCH, Server, ServerTest, address_of


def make_stubs():
    """Into the folder of the harness, which is in the path."""
    out = os.path.join(SCRATCH, "stubs")
    subprocess.run(["protoc", "-I", HERE, "-I", os.path.join(ROOT, "idl"),
                    "--python_out", out, "--grpc_python_out", out,
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                    "afar/channel.proto", "afar/options.proto", "channel_item.proto"], check=True)


make_stubs()
from afar import channel_pb2 as pb  # noqa: E402
from afar import channel_pb2_grpc as stubs  # noqa: E402
from channel_item_pb2 import Item  # noqa: E402

ITEM = "afar.test.Item"
INVALID = grpc.StatusCode.INVALID_ARGUMENT
ENDED, POISONED = 101, 102
LOW, HIGH = b"\x01" * 16, b"\xfe" * 16  # processes: claims are made in this order


def payload(number):
    return Item(number=number).SerializeToString()


class End:
    """An end that is attached, as a process of its own."""

    def __init__(self, channel, name, process=LOW, carries=ITEM, hello=True):
        stub = stubs.SenderStub if name.endswith("/send") else stubs.ReceiverStub
        self.acts = queue.SimpleQueue()
        self.words = []
        self.offers = 0
        self.call = stub(channel).Attach(iter(self.acts.get, None), timeout=PATIENCE,
                                         metadata=(("afar-object", name),))
        if hello:
            self.act(hello=pb.Hello(version=1, process=process, carries=carries))

    def act(self, **kind):
        self.acts.put(pb.ToHome(acts=[pb.Act(**kind)]))

    def offer(self, number=None, **more):
        """With a number: one to send, which carries it."""
        if number is not None:
            more["payload"] = payload(number)
        self.act(offer=pb.Offer(**more))
        self.offers += 1
        return self.offers

    def hear(self, kind):
        """The next word, which must be of that kind."""
        while not self.words:
            self.words.extend(next(self.call).words)
        word = self.words.pop(0)
        if word.WhichOneof("kind") != kind:
            raise AssertionError(f"expected {kind}, heard {word}")
        return getattr(word, kind)

    def welcomed(self):
        self.welcome = self.hear("welcome")
        return self

    def message(self):
        """Receives one, as a plain receive does."""
        word = self.hear("message")
        if word.ack:
            self.act(ack=pb.Ack(count=1))
        return Item.FromString(word.payload).number

    def finish(self):
        self.acts.put(None)


class Channels(ServerTest):
    command = [os.path.join(BIN, "channel_server")]

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.command, address_of(cls.transport, cls.__name__))
        cls.channel = cls.server.channel()

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.server.stop()

    def attach(self, name, process=LOW, **more):
        end = End(self.channel, name, process, **more)
        self.addCleanup(end.call.cancel)
        self.addCleanup(end.finish)
        return end

    def open(self, name, process=LOW):
        return self.attach(name, process).welcomed()

    def both(self, name):
        return self.open(name + "/send", LOW), self.open(name + "/receive", HIGH)


class Using(Channels):
    def test_what_a_home_says_of_itself(self):
        welcome = self.open("first/send").welcome
        self.assertGreaterEqual(welcome.offers, 1024)
        self.assertGreaterEqual(welcome.window_bytes, 65536)
        self.assertFalse(welcome.buffered)
        self.assertTrue(self.open("buffer/receive").welcome.buffered)

    def test_messages_to_and_from_a_thread_in_c(self):
        sender, receiver = self.open("in/send"), self.open("out/receive", HIGH)
        for number in range(20):
            offer = sender.offer(number)
            self.assertEqual(sender.hear("taken").offer, offer)
            receiver.offer()
            self.assertEqual(receiver.message(), number + 100)

    def test_offers_ahead(self):
        """All at once; they are answered in order, many with one word perhaps."""
        sender, receiver = self.open("in/send"), self.open("out/receive", HIGH)
        sender.acts.put(pb.ToHome(acts=[pb.Act(offer=pb.Offer(payload=payload(number)))
                                        for number in range(200)]))
        for number in range(200):
            receiver.offer()
            self.assertEqual(receiver.message(), number + 100)
        taken = 0
        while taken < 200:
            word = sender.hear("taken")
            self.assertEqual(word.offer, taken + 1)
            taken += word.count

    def test_a_rendezvous_is_done_when_it_was_acknowledged(self):
        sender, receiver = self.both("first")
        for number in range(5):
            receiver.offer()
            sender.offer(number)
            word = receiver.hear("message")
            self.assertTrue(word.ack)
            self.assertEqual(Item.FromString(word.payload).number, number)
            receiver.act(ack=pb.Ack(count=1))
            self.assertEqual(sender.hear("taken").count, 1)

    def test_a_buffer(self):
        sender, receiver = self.both("buffer")
        for number in range(4):
            sender.offer(number)
        taken = 0
        while taken < 3:
            taken += sender.hear("taken").count
        self.assertEqual(taken, 3)
        for number in range(4):
            receiver.offer()
            self.assertEqual(receiver.message(), number)
        self.assertEqual(sender.hear("taken").offer, 4)

    def test_asking_whether_something_is_there(self):
        sender, receiver = self.both("first")
        offer = receiver.offer(tell=True)
        self.assertEqual(receiver.hear("waiting").offer, offer)
        receiver.act(withdraw=pb.Withdraw(offer=offer))
        self.assertEqual(receiver.hear("withdrawn").offer, offer)
        sender.offer(8, tell=True)
        sender.hear("waiting")
        receiver.offer(tell=True)
        self.assertEqual(receiver.message(), 8)
        sender.hear("taken")

    def test_who_is_lost_with_a_message_in_its_hands(self):
        sender, receiver = self.both("first")
        receiver.offer()
        offer = sender.offer(1)
        receiver.hear("message")
        receiver.call.cancel()
        self.assertEqual(sender.hear("unknown").offer, offer)

    def test_who_is_lost_before_takes_nothing_along(self):
        sender, receiver = self.both("first")
        offer = receiver.offer(tell=True)
        self.assertEqual(receiver.hear("waiting").offer, offer)
        receiver.finish()
        self.assertEqual(list(receiver.call), [])
        sender.offer(1)
        other = self.open("first/receive", HIGH)
        other.offer()
        self.assertEqual(other.message(), 1)
        sender.hear("taken")

    def test_poison(self):
        sender, receiver = self.both("third")
        receiver.offer(tell=True)
        receiver.hear("waiting")
        sender.act(poison=pb.Poison(reason="that is enough"))
        for end in (sender, receiver, self.open("third/send")):
            word = end.hear("ended")
            self.assertEqual((word.code, word.text), (POISONED, "that is enough"))
            self.assertEqual(list(end.call), [])
            self.assertEqual(end.call.code(), grpc.StatusCode.OK)


class UsingOverAUnixSocket(Using):
    transport = "unix"


class Selects(Channels):
    """Offers that must be claimed."""

    def test_a_claim_that_is_granted(self):
        sender, receiver = self.both("first")
        offer = sender.offer(select=1)
        receiver.offer()
        self.assertEqual(sender.hear("claim").offer, offer)
        sender.act(grant=pb.Grant(claim=1, payload=payload(4)))
        self.assertEqual(receiver.message(), 4)
        self.assertEqual(sender.hear("taken").offer, offer)

    def test_a_claim_that_is_denied(self):
        sender, receiver = self.both("first")
        receiver.offer(select=1)
        sender.offer(5)
        receiver.hear("claim")
        receiver.act(deny=pb.Deny(claim=1))
        receiver.offer()
        self.assertEqual(receiver.message(), 5)
        sender.hear("taken")

    def test_the_lower_is_claimed_first(self):
        sender, receiver = self.both("second")
        receiver.offer(select=1)
        sent = sender.offer(select=1)
        self.assertEqual(sender.hear("claim").offer, sent)
        sender.act(grant=pb.Grant(claim=1, payload=payload(6)))
        receiver.hear("claim")
        receiver.act(grant=pb.Grant(claim=1))
        self.assertEqual(receiver.message(), 6)
        sender.hear("taken")

    def test_what_was_granted_in_vain_is_released(self):
        sender, receiver = self.both("second")
        receiver.offer(select=1)
        sender.offer(select=1)
        sender.hear("claim")
        sender.act(grant=pb.Grant(claim=1, payload=payload(6)))
        receiver.hear("claim")
        receiver.act(deny=pb.Deny(claim=1))
        self.assertEqual(sender.hear("release").claim, 1)
        receiver.offer()
        sender.hear("claim")
        sender.act(grant=pb.Grant(claim=2, payload=payload(7)))
        self.assertEqual(receiver.message(), 7)
        sender.hear("taken")

    def test_one_select_is_not_paired_with_itself(self):
        sender = self.open("second/send", LOW)
        receiver = self.open("second/receive", LOW)
        sender.offer(select=9)
        self.assertEqual(receiver.offer(select=9, tell=True), 1)
        receiver.hear("waiting")


class Rules(Channels):
    def breaks(self, end, *words):
        """Its call fails, and the text says the words; others go on."""
        with self.assertRaises(grpc.RpcError) as caught:
            list(end.call)
        self.assertEqual(caught.exception.code(), INVALID, caught.exception.details())
        for word in words:
            self.assertIn(word, caught.exception.details())
        sender, receiver = self.both("first")
        sender.offer(1)
        receiver.offer()
        self.assertEqual(receiver.message(), 1)
        sender.hear("taken")

    def test_another_type(self):
        self.breaks(self.attach("first/send", carries="bank.Entry"), ITEM, "bank.Entry")

    def test_no_hello(self):
        end = self.attach("first/send", hello=False)
        end.offer(1)
        self.breaks(end, "Hello")

    def test_a_second_hello(self):
        end = self.open("first/send")
        end.act(hello=pb.Hello(version=1, process=LOW, carries=ITEM))
        self.breaks(end, "Hello")

    def test_another_version(self):
        end = self.attach("first/send", hello=False)
        end.act(hello=pb.Hello(version=77, process=LOW, carries=ITEM))
        self.breaks(end, "77")

    def test_a_process_without_its_bytes(self):
        self.breaks(self.attach("first/send", process=b"short"), "process")

    def test_an_acknowledgement_of_nothing(self):
        end = self.open("first/receive")
        end.act(ack=pb.Ack(count=1))
        self.breaks(end)

    def test_a_grant_of_nothing(self):
        end = self.open("first/send")
        end.act(grant=pb.Grant(claim=1, payload=payload(1)))
        self.breaks(end)

    def test_an_act_that_is_none(self):
        end = self.open("first/send")
        end.acts.put(pb.ToHome(acts=[pb.Act()]))
        self.breaks(end)

    def test_a_name_that_is_not_there(self):
        end = self.attach("nowhere/send")
        with self.assertRaises(grpc.RpcError) as caught:
            list(end.call)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)


del Channels, ServerTest  # what has no tests of its own

if __name__ == "__main__":
    unittest.main(verbosity=2)
