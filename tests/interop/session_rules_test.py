#!/usr/bin/python3
"""Every rule of session.proto is broken once: Goodbye says which, the stream ends, and the server
lives on.  And what looks like a broken rule and is none.

Labels: concurrent
"""

import unittest

from harness import wait_until
from session_peer import calls
from session_peer.calls import Object
from session_peer.case import (EMPTY, LISTENER, PYTHON_SERVER, Listener, SessionTest, on,
                               on_counter)
from session_peer.session import PROTOCOL, VERSION, Over
from session_peer.wire import desk, field, frame, proto

CALLS, REFERENCES, MESSAGE, METHODS = 1000, 1000000, 4194304, 10000  # the server's limits
ID = bytes(16)
PADDING = 40000


def method(name, number=1):
    return frame(method=proto.Method(number=number, path=on(name)))


def call(number=1, **more):
    members = {"id": number, "method": 1, "target": proto.Target(name="desk")}
    return frame(call=proto.Call(**{**members, **more}))


def call_with(**reference):
    return call(references=[proto.Reference(**reference)])


def finish(number):
    return frame(finish=proto.Finish(call=number))


def item(number, **more):
    return frame(item=proto.Item(call=number, **more))


def end(number):
    return frame(end=proto.End(call=number))


def ping(number):
    return frame(ping=proto.Ping(number=number))


def promised(number, *path):
    return proto.Target(promised=proto.Promised(call=number, path=path))


def twice(one, number):
    """A frame whose member comes twice."""
    return one.SerializeToString() + field(number, b"")


def with_field(one, number, value):
    """The frame of a Call with one more field inside of it."""
    data = one.call.SerializeToString() + field(number, value)
    return field(proto.Frame.CALL_FIELD_NUMBER, data)


HOLD, ECHO, BOTH = method("Hold"), method("Echo"), method("Both")

# Frames, or their bytes, that come in one batch after both Hellos.
FRAMES = {
    "a second Hello": [frame(hello=proto.Hello(lowest=1, highest=1, instance=ID))],
    "a frame whose member comes twice": [twice(ping(1), proto.Frame.PING_FIELD_NUMBER)],
    "a frame with two members": [twice(ping(1), proto.Frame.PONG_FIELD_NUMBER)],
    "a target that comes twice":
        [ECHO, with_field(call(), proto.Call.TARGET_FIELD_NUMBER, field(3, b"desk"))],
    "a zero byte in a string": [frame(method=proto.Method(number=1, path="/a\0b"))],
    "no UTF-8 in a string":
        [field(proto.Frame.METHOD_FIELD_NUMBER, field(1, 1) + field(2, b"\xff"))],
    "a method that is not the next": [method("Echo", 2)],
    "method 0": [method("Echo", 0)],
    "a method that is given twice": [ECHO, ECHO],
    "a long path": [frame(method=proto.Method(number=1, path="/" + "x" * 512))],
    "too many methods": [method("Echo", number) for number in range(1, METHODS + 2)],
    "call 0": [ECHO, call(0)],
    "a call beyond the limit": [ECHO, call(CALLS + 1)],
    "an id that is in use": [HOLD, call(), call()],
    "a call of no method": [ECHO, call(method=0)],
    "a method without a path": [ECHO, call(method=2)],
    "a call for nobody": [ECHO, call(target=proto.Target())],
    "an export that was not given out": [ECHO, call(target=proto.Target(export=1))],
    "export 0": [ECHO, call(target=proto.Target(export=0))],
    "the result of no call": [ECHO, call(target=promised(7, 1))],
    "the result of itself": [ECHO, call(target=promised(1, 1), keep=True)],
    "the result of a call that is not kept": [HOLD, call(), call(2, target=promised(1, 1))],
    "the result of a call that is finished":
        [HOLD, call(keep=True), finish(1), call(2, target=promised(1, 1))],
    "a long path of fields": [HOLD, call(keep=True), call(2, target=promised(1, *[1] * 17))],
    "a long chain": [ECHO, call(chain=range(17))],
    "much metadata": [ECHO, call(metadata=[proto.Pair(key="k", value=bytes(8192))])],
    "many small pairs": [ECHO, call(metadata=[proto.Pair(key="k", value=b"v")] * 257)],
    "a long payload": [ECHO, call(payload=bytes(MESSAGE + 1))],
    "many references":
        [ECHO, call(references=[proto.Reference(hosted=proto.Hosted(id=1))] * 4097)],
    "a reference of no kind": [ECHO, call_with()],
    "reference 0": [ECHO, call_with(hosted=proto.Hosted(id=0))],
    "a reference beyond the limit": [ECHO, call_with(hosted=proto.Hosted(id=REFERENCES + 1))],
    "a reference to what was not given out": [ECHO, call_with(yours=1)],
    "an instance of 15 bytes":
        [ECHO, call_with(address=proto.Address(address="unix:x", instance=bytes(15)))],
    "a key of 31 bytes": [ECHO, call_with(address=proto.Address(address="unix:x", key=bytes(31)))],
    "initial metadata of the caller":
        [BOTH, call(), item(1, initial=[proto.Pair(key="k")])],
    "a method without a path": [frame(method=proto.Method(number=1))],
    "a Return for no call": [frame(return_=proto.Return(call=1))],
    "Finish for no call": [finish(1)],
    "Finish for a call that is not kept": [HOLD, call(), finish(1)],
    "a second Finish": [HOLD, call(keep=True), finish(1), finish(1)],
    "an Item to a caller who did not call": [item(1, to_caller=True)],
    "an Item after the End": [BOTH, call(), end(1), item(1)],
    "a second End": [BOTH, call(), end(1), end(1)],
    "a Release of what was not given out": [frame(release=proto.Release(export=1, count=1))],
    "too much credit": [frame(credit=proto.Credit(bytes=(1 << 31) - 1))],
    "too much credit for a call":
        [BOTH, call(),
         frame(credit=proto.Credit(call=1, to_caller=True, bytes=(1 << 31) - 1))],
    "a Ping before the Pong": [ping(1), ping(2)],
    "a Pong for no Ping": [frame(pong=proto.Pong(number=1))],
}

# The first batch, instead of Hello.
HELLOS = {
    "a Ping before Hello": [ping(1)],
    "a Call before Hello": [ECHO, call()],
    "an instance of 15 bytes": [frame(hello=proto.Hello(lowest=1, highest=1, instance=bytes(15)))],
    "a host of 5 bytes":
        [frame(hello=proto.Hello(lowest=1, highest=1, instance=ID, host=bytes(5)))],
    "no versions": [frame(hello=proto.Hello(lowest=2, highest=1, instance=ID))],
    "a Goodbye in order before Hello": [frame(goodbye=proto.Goodbye())],
    "too many features":
        [frame(hello=proto.Hello(lowest=1, highest=1, instance=ID, features=range(65)))],
}

# What the Listener of this side answers when it is called back.
ANSWERS = {
    "a second Return": lambda number: [frame(return_=proto.Return(call=number))] * 2,
    "a failure with a payload":
        lambda number: [frame(return_=proto.Return(call=number, code=5, payload=b"\x0a\0"))],
    "a success that has not begun":
        lambda number: [frame(return_=proto.Return(call=number, not_begun=True))],
    "a long Return":
        lambda number: [frame(return_=proto.Return(call=number, payload=bytes(MESSAGE + 1)))],
    "an Item after the Return":
        lambda number: [frame(return_=proto.Return(call=number)), item(number, to_caller=True)],
    "initial metadata behind an Item":
        lambda number: [item(number, to_caller=True),
                        frame(return_=proto.Return(call=number,
                                                   initial=[proto.Pair(key="k")]))],
    "too many trailing metadata":
        lambda number: [frame(return_=proto.Return(
            call=number, trailing=[proto.Pair(key="k", value=bytes(8192))]))],
}


class Rules:
    def is_stopped(self, peer, reason=PROTOCOL):
        """The peer hears Goodbye and the end of the stream; the server goes on."""
        peer.wait_until_over()
        self.assertIsNotNone(peer.goodbye)
        self.assertEqual(peer.goodbye.reason, reason, peer.goodbye.text)
        self.assertNotEqual(peer.goodbye.text, "")
        self.assertIsNone(peer.failure)
        peer.leave()
        self.watching.ask("desk", on("Echo"), desk.Text(text="alive"), desk.Text)

    def test_frames(self):
        for name, frames in FRAMES.items():
            with self.subTest(rule=name):
                peer = self.peer()
                peer.pings = [1]
                peer.put(*frames)
                self.is_stopped(peer)
        self.wait_for(holding=0)

    def test_hellos(self):
        for name, frames in HELLOS.items():
            with self.subTest(rule=name):
                peer = self.peer(silent=True)
                peer.put(*frames)
                self.is_stopped(peer)

    def test_answers(self):
        for name, answers in ANSWERS.items():
            with self.subTest(rule=name):
                peer = self.peer()
                listener = Object(LISTENER)

                def hear(answer, answers=answers):
                    """The frames of the test are the answer: there is no other."""
                    answer.session.put(*answers(answer.number))
                    answer.session.wait_until_over()
                    raise calls.Failed(calls.CANCELLED)
                listener.methods["Hear"] = hear
                references = peer.references()
                peer.call("desk", on("CallBack"), references=references, request=(
                    desk.CallBackRequest(listener=references.put(listener), times=2)))
                self.is_stopped(peer)

    def test_bytes_that_are_no_batch(self):
        for data in (b"\xff", b"\x0a\x05\x0a", b"\x0b", b"\x0a" + b"\xff" * 8 + b"\x7f"):
            with self.subTest(data=data):
                peer = self.peer()
                peer.put_bytes(data)
                self.is_stopped(peer)

    def test_items_without_credit(self):
        """The handler sends back what it gets, and waits since this side gives no credit: then it
        takes nothing any more, and so gives none."""
        peer = self.peer()
        peer.put(BOTH, call())
        for number in range(100):
            peer.put(item(1, payload=desk.Bytes(number=number, data=bytes(PADDING))
                          .SerializeToString()))
        self.is_stopped(peer)

    def test_a_release_of_more_than_was_given_out(self):
        before = self.seen().finalized
        peer = self.peer()
        counter = self.make(peer)
        peer.put(release=proto.Release(export=counter.number, count=2))
        self.is_stopped(peer)
        self.wait_for(finalized=before + 1)

    def test_a_second_release(self):
        peer = self.peer()
        counter = self.make(peer)
        peer.put(*[frame(release=proto.Release(export=counter.number, count=1))] * 2)
        self.is_stopped(peer)

    def test_what_was_open_ends(self):
        """Calls of a peer that broke a rule are cancelled, what it was given is released."""
        before = self.seen()
        listener = Listener()
        peer = self.peer()
        self.make(peer)
        self.with_listener(peer, "Keep", listener, desk.Nothing)
        held = peer.call("desk", on("Hold"), EMPTY)
        self.wait_for(holding=1)
        peer.put(finish(held.number))
        self.is_stopped(peer)
        with self.assertRaises(Over):
            held.wait()
        self.wait_for(holding=0, cancelled=before.cancelled + 1, finalized=before.finalized + 1)
        self.watching.ask("desk", on("Keep"), desk.ListenerRef(), desk.Nothing)

    def test_no_version_in_common(self):
        for lowest, highest in ((2, 9), (1000, 4294967295)):
            peer = self.peer(silent=True)
            peer.say_hello(lowest=lowest, highest=highest)
            peer.wait_until(lambda peer=peer: peer.goodbye)
            text = peer.goodbye.text
            for number in (1, lowest, highest):
                self.assertIn(str(number), text)
            self.is_stopped(peer, VERSION)


class NoRules:
    def test_the_highest_version_in_common(self):
        with self.peer(silent=True) as peer:
            peer.say_hello(lowest=0, highest=9, features=[7, 8])
            peer.wait_until(lambda: peer.hello)
            peer.ask("desk", on("Echo"), desk.Text(), desk.Text)

    def test_a_frame_that_is_not_known(self):
        with self.peer() as peer:
            peer.put(field(99, b"news"), field(77, 5))
            peer.wait_until(lambda: len(peer.unknown) == 2)
            self.assertEqual(peer.unknown, [99, 77])
            peer.ask("desk", on("Echo"), desk.Text(), desk.Text)

    def test_a_frame_that_may_be_ignored(self):
        with self.peer() as peer:
            may_ignore = field(proto.Frame.MAY_IGNORE_FIELD_NUMBER, 1)
            peer.put(field(99, b"news") + may_ignore, may_ignore + field(77, 5), may_ignore)
            peer.ping(1)
            self.assertEqual(peer.unknown, [])

    def test_a_field_that_is_not_known(self):
        with self.peer() as peer:
            peer.put(ECHO)
            peer.paths, peer.methods = [], {on("Echo"): 1}
            question = peer.call("desk", on("Echo"), desk.Text(text="first"))
            self.assertEqual(question.reply(desk.Text).text, "first")
            data = call(2, payload=desk.Text(text="x").SerializeToString())
            question = calls.Question(peer, 2, False, 2)
            peer.questions[2] = question
            peer.put(with_field(data, 500, b"news"))
            self.assertEqual(question.reply(desk.Text).text, "x")

    def test_what_crosses_a_return_is_ignored(self):
        """Items, the End and a Cancel may come after the Return; references in them are
        released."""
        listener = Listener()
        with self.peer() as peer:
            question = peer.call("desk", on("Echo"), desk.Text())
            question.reply(desk.Text)
            references = peer.references()
            references.put(listener)
            number = question.number
            peer.put(item(number, references=references.those), end(number),
                     frame(cancel=proto.Cancel(call=number)),
                     frame(credit=proto.Credit(call=number, to_caller=True, bytes=100)))
            peer.wait_until(lambda: not peer.exports)
            self.assertTrue(listener.gone.is_set())

    def test_credit_is_given_back(self):
        """Of calls to nobody, of items that were ignored, of all else: it never runs out."""
        with self.peer() as peer:
            for _ in range(40):
                text = desk.Text(text="x" * 100000)
                peer.call("nobody", on("Echo"), text).failure()
                peer.ask("desk", on("Echo"), text, desk.Text)
            full = peer.theirs.session_bytes
            wait_until(lambda: peer.credit > full // 2, "most of the credit is back")
            self.assertLessEqual(peer.credit, full)

    def test_a_reference_given_twice(self):
        with self.peer() as peer:
            before = self.seen().finalized
            counter = self.make(peer)
            references = peer.references()
            request = desk.SumRequest()
            for _ in range(4):
                request.counters.add().counter.CopyFrom(references.put(counter))
            peer.ask("desk", on("Sum"), request, desk.Amount, references=references)
            peer.ask(counter, on_counter("Add"), desk.Amount(amount=1), desk.Amount)
            counter.release()
            self.wait_for(finalized=before + 1)

    def test_a_reference_that_the_list_does_not_have(self):
        """The call fails; the session goes on."""
        with self.peer() as peer:
            request = desk.SumRequest()
            request.counters.add().counter.index = 1
            failure = peer.call("desk", on("Sum"), request).failure()
            self.assertEqual(failure.code, calls.INVALID_ARGUMENT)

    def test_a_payload_that_is_no_message(self):
        with self.peer() as peer:
            peer.put(ECHO, call(payload=b"\xff"))
            peer.methods[on("Echo")] = 1
            question = calls.Question(peer, 1, False, 1)
            peer.questions[1] = question
            self.assertEqual(question.failure().code, calls.INTERNAL)
            peer.ping(1)


class AfarServer(Rules, NoRules, SessionTest):
    def test_items_for_a_call_without_a_stream_are_ignored(self):
        """Nobody can receive them; what they brought is given back."""
        talker, given = Object(LISTENER), Listener()
        with self.peer() as peer:
            extra = peer.references()
            extra.put(given)

            def hear(answer):
                answer.send(desk.Bytes(), extra)
                return desk.Text(text="heard")
            talker.methods["Hear"] = hear
            references = peer.references()
            question = peer.call("desk", on("CallBack"), references=references, request=(
                desk.CallBackRequest(listener=references.put(talker), times=1)))
            self.assertEqual(list(question.reply(desk.Texts).texts), ["heard"])
            peer.wait_until(lambda: not peer.exports)
            self.assertTrue(given.gone.is_set())


class PythonServer(Rules, NoRules, SessionTest):
    command = PYTHON_SERVER


if __name__ == "__main__":
    unittest.main(verbosity=2)
