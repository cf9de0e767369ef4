#!/usr/bin/python3
"""Calls, references and callbacks between a peer written in Python, from session.proto alone,
and an Afar server; and the same against that peer as a server.

Labels: concurrent
"""

import threading
import unittest

from harness import PATIENCE, wait_until
from session_peer import calls
from session_peer.calls import Object
from session_peer.case import (COUNTER, EMPTY, LISTENER, PYTHON_SERVER, Listener, SessionTest,
                               hear, on, on_counter)
from session_peer.wire import desk, proto


class Calls:
    def test_a_named_object(self):
        with self.peer() as peer:
            for text in ("hello", "", "ä" * 1000):
                self.assertEqual(
                    peer.ask("desk", on("Echo"), desk.Text(text=text), desk.Text).text, text)

    def test_the_default_of_the_interface(self):
        with self.peer() as peer:
            self.assertEqual(peer.ask("", on("Echo"), desk.Text(text="x"), desk.Text).text, "x")

    def test_many_at_a_time(self):
        with self.peer() as peer:
            questions = [peer.call("desk", on("Echo"), desk.Text(text=str(i))) for i in range(900)]
            self.assertEqual([q.reply(desk.Text).text for q in questions],
                             [str(i) for i in range(900)])

    def test_an_object_that_is_not_there(self):
        with self.peer() as peer:
            failure = peer.call("nobody", on("Echo"), desk.Text()).failure()
            self.assertEqual((failure.code, failure.not_begun), (calls.NOT_FOUND, True))
            self.assertIn("nobody", failure.text)

    def test_a_method_that_is_not_there(self):
        with self.peer() as peer:
            failure = peer.call("desk", on("Fly"), desk.Text()).failure()
            self.assertEqual((failure.code, failure.not_begun), (calls.UNIMPLEMENTED, True))
            self.assertIn("Fly", failure.text)

    def test_a_failure_of_the_handler(self):
        with self.peer() as peer:
            failure = peer.call("desk", on("CallBack"), desk.CallBackRequest(times=1)).failure()
            self.assertEqual((failure.code, failure.not_begun), (calls.INVALID_ARGUMENT, False))
            self.assertEqual(failure.text, "there is no listener")

    def test_a_large_message(self):
        with self.peer() as peer:
            text = "x" * (4194304 - 8)
            self.assertEqual(peer.ask("desk", on("Echo"), desk.Text(text=text), desk.Text).text,
                             text)
            self.assertEqual(peer.ask("desk", on("Echo"), desk.Text(text="y"), desk.Text).text, "y")

    def test_a_stream_of_items(self):
        with self.peer() as peer:
            down = peer.call("desk", on("Down"), desk.DownRequest(count=300, size=2000))
            for number in range(300):
                item = down.receive(desk.Bytes)
                self.assertEqual((item.number, len(item.data)), (number, 2000))
            self.assertIsNone(down.receive(desk.Bytes))
            down.reply(desk.Nothing)

    def test_items_both_ways(self):
        with self.peer() as peer:
            both = peer.call("desk", on("Both"))
            for number in range(300):
                both.send(desk.Bytes(number=number, data=bytes(2000)))
                self.assertEqual(both.receive(desk.Bytes).number, number)
            both.end()
            self.assertIsNone(both.receive(desk.Bytes))
            both.reply(desk.Nothing)

    def test_initial_metadata_comes_with_the_first_item(self):
        with self.peer() as peer:
            both = peer.call("desk", on("Both"))
            for number in range(2):
                both.send(desk.Bytes(number=number))
                both.receive(desk.Bytes)
                self.assertEqual([(pair.key, pair.value) for pair in both.initial],
                                 [("first", b"1")])
            both.end()
            self.assertEqual(len(both.wait().initial), 0)

    def test_initial_metadata_without_items_comes_with_the_return(self):
        with self.peer() as peer:
            both = peer.call("desk", on("Both"))
            both.end()
            self.assertEqual([pair.key for pair in both.wait().initial], ["first"])

    def test_ping(self):
        with self.peer() as peer:
            for number in (0, 1, (1 << 64) - 1):
                peer.ping(number)

    def test_cancel(self):
        with self.peer() as peer:
            before = self.seen().cancelled
            question = peer.call("desk", on("Hold"), EMPTY)
            self.wait_for(holding=1)
            question.cancel()
            self.assertEqual(question.failure().code, calls.CANCELLED)
            self.wait_for(holding=0, cancelled=before + 1)

    def test_a_cancel_that_comes_too_late(self):
        with self.peer() as peer:
            question = peer.call("desk", on("Echo"), desk.Text(text="x"))
            question.reply(desk.Text)
            question.cancel()
            peer.ping(1)

    def test_a_deadline(self):
        with self.peer() as peer:
            failure = peer.call("desk", on("Hold"), EMPTY, timeout_us=50000).failure()
            self.assertEqual(failure.code, calls.DEADLINE_EXCEEDED)
            self.wait_for(holding=0)

    def test_goodbye_lets_calls_finish(self):
        with self.peer() as peer:
            question = peer.call("desk", on("Hold"), EMPTY)
            echo = peer.call("desk", on("Echo"), desk.Text(text="last"))
            self.wait_for(holding=1)
            peer.say_goodbye(proto.Goodbye.NONE)
            self.assertEqual(echo.reply(desk.Text).text, "last")
            self.assertFalse(peer.over)
            question.cancel()
            self.assertEqual(question.failure().code, calls.CANCELLED)
            peer.wait_until_over()


class References:
    def test_a_counter_that_is_made(self):
        with self.peer() as peer:
            before = self.seen()
            counter = self.make(peer)
            self.assertEqual([self.add(peer, counter, 2) for _ in range(3)], [2, 4, 6])
            self.assertEqual(self.seen().finalized, before.finalized)
            counter.release()
            self.wait_for(made=before.made + 1, finalized=before.finalized + 1)

    def test_ids_are_used_again(self):
        """The table of the server is empty again: the same ids come back, and none beyond."""
        with self.peer() as peer:
            before = self.seen().finalized
            for turn in range(1, 4):
                counters = [self.make(peer) for _ in range(20)]
                self.assertEqual(sorted(c.number for c in counters), list(range(1, 21)))
                for counter in counters:
                    counter.release()
                self.wait_for(finalized=before + 20 * turn)

    def test_the_end_of_the_session_releases(self):
        before = self.seen().finalized
        with self.peer() as peer:
            for _ in range(5):
                self.make(peer)
        self.wait_for(finalized=before + 5)

    def test_oneway_calls_in_order(self):
        with self.peer() as peer:
            counter = self.make(peer)
            pushed = [peer.call(counter, on_counter("Push"), desk.Amount(amount=1), oneway=True)
                      for _ in range(100)]
            self.assertEqual(self.add(peer, counter, 0), 100)
            for question in pushed:
                self.assertEqual(question.wait().payload, b"")
            counter.release()

    def test_a_reference_that_comes_home(self):
        with self.peer() as peer:
            before = self.seen().finalized
            first, second = self.make(peer), self.make(peer)
            self.add(peer, first, 3)
            self.add(peer, second, 4)
            references = peer.references()
            request = desk.SumRequest()
            for counter in (first, second, first):
                request.counters.add().counter.CopyFrom(references.put(counter))
            total = peer.ask("desk", on("Sum"), request, desk.Amount, references=references)
            self.assertEqual(total.amount, 10)
            first.release()
            second.release()
            self.wait_for(finalized=before + 2)

    def test_an_object_of_this_side_among_them(self):
        mine = Object(COUNTER, Add=lambda answer: desk.Amount(amount=40))
        with self.peer() as peer:
            theirs = self.make(peer)
            self.add(peer, theirs, 2)
            references = peer.references()
            request = desk.SumRequest()
            for counter in (mine, theirs):
                request.counters.add().counter.CopyFrom(references.put(counter))
            total = peer.ask("desk", on("Sum"), request, desk.Amount, references=references)
            self.assertEqual(total.amount, 42)
            theirs.release()
            peer.wait_until(lambda: not peer.exports)

    def test_the_wrong_interface(self):
        with self.peer() as peer:
            listener = Listener()
            references = peer.references()
            request = desk.SumRequest()
            request.counters.add().counter.CopyFrom(references.put(listener))
            failure = peer.call("desk", on("Sum"), request, references=references).failure()
            self.assertEqual(failure.code, calls.INVALID_ARGUMENT)
            self.assertIn(COUNTER, failure.text)
            self.assertIn(LISTENER, failure.text)
            self.assertTrue(listener.gone.wait(PATIENCE))

    def test_the_result_of_a_call_is_called_before_it_is_there(self):
        with self.peer() as peer:
            before = self.seen().finalized
            made = peer.call("desk", on("Make"), EMPTY, keep=True)
            sums = [peer.call((made, 1), on_counter("Add"), desk.Amount(amount=5))
                    for _ in range(3)]
            self.assertEqual([q.reply(desk.Amount).amount for q in sums], [5, 10, 15])
            made.finish()
            made.reference(made.reply(desk.CounterRef).counter).release()
            self.wait_for(finalized=before + 1)

    def test_the_result_of_a_call_that_failed(self):
        with self.peer() as peer:
            made = peer.call("desk", on("CallBack"), desk.CallBackRequest(times=1), keep=True)
            failure = peer.call((made, 1), on_counter("Add"), desk.Amount()).failure()
            self.assertEqual((failure.code, failure.not_begun), (calls.INVALID_ARGUMENT, True))
            made.finish()


class Callbacks:
    def test_called_back(self):
        listener = Listener()
        with self.peer() as peer:
            reply = self.call_back(peer, "CallBack", listener, 3)
            self.assertEqual(list(reply.texts), ["heard 1", "heard 2", "heard 3"])
            self.assertTrue(listener.gone.wait(PATIENCE))

    def test_called_back_by_a_stream(self):
        listener = Listener()
        with self.peer() as peer:
            reply = self.call_back(peer, "TalkBack", listener, 50)
            self.assertEqual(list(reply.texts), [f"heard {i}" for i in range(1, 51)])
            self.assertTrue(listener.gone.wait(PATIENCE))

    def test_notes_in_order(self):
        listener = Listener()
        with self.peer() as peer:
            self.call_back(peer, "Notify", listener, 100, desk.Nothing)
            self.assertTrue(listener.gone.wait(PATIENCE))
            wait_until(lambda: len(listener.notes) == 100, "all notes")
            self.assertEqual(listener.notes, [(str(i), True) for i in range(1, 101)])

    def test_a_callback_that_fails(self):
        def refuse(_answer):
            raise calls.Failed(calls.FAILED_PRECONDITION, "not in the mood")
        with self.peer() as peer:
            listener = Object(LISTENER, Hear=refuse)
            with self.assertRaises(calls.Failed) as caught:
                self.call_back(peer, "CallBack", listener, 1)
            self.assertEqual(caught.exception.code, calls.FAILED_PRECONDITION)
            self.assertIn("not in the mood", caught.exception.text)

    def test_a_callback_has_no_more_time_than_its_call(self):
        left = []

        def note(answer):
            left.append(answer.timeout_us)
            return hear(answer)
        with self.peer() as peer:
            references = peer.references()
            request = desk.CallBackRequest(times=1)
            request.listener.CopyFrom(references.put(Object(LISTENER, Hear=note)))
            peer.ask("desk", on("CallBack"), request, desk.Texts, references=references,
                     timeout_us=9000000)
        self.assertLessEqual(left[0], 9000000)
        self.assertGreater(left[0], 0)

    def test_a_callback_is_cancelled_with_its_call(self):
        begun, cancelled = threading.Event(), threading.Event()

        def wait(answer):
            begun.set()
            try:
                answer.wait_until_cancelled()
            finally:
                cancelled.set()
        with self.peer() as peer:
            references = peer.references()
            request = desk.CallBackRequest(times=1)
            request.listener.CopyFrom(references.put(Object(LISTENER, Hear=wait)))
            question = peer.call("desk", on("CallBack"), request, references=references)
            self.assertTrue(begun.wait(PATIENCE))
            question.cancel()
            self.assertEqual(question.failure().code, calls.CANCELLED)
            self.assertTrue(cancelled.wait(PATIENCE))

    def call_from_within(self, name):
        """The failure of a call to a desk, made while that desk waits for a callback; None if it
        went well."""
        failures = []

        def ask(answer):
            question = answer.call(name, on("Echo"), desk.Text(text="x"))
            failures.append(question.failure() if question.wait().code else None)
            return desk.Text()
        with self.peer() as peer:
            references = peer.references()
            request = desk.CallBackRequest(times=1)
            request.listener.CopyFrom(references.put(Object(LISTENER, Hear=ask)))
            peer.ask(name, on("CallBack"), request, desk.Texts, references=references)
            self.assertEqual(peer.ask(name, on("Echo"), desk.Text(text="y"), desk.Text).text, "y")
        return failures[0]

    def test_a_call_that_would_wait_for_itself(self):
        failure = self.call_from_within("serial")
        self.assertEqual((failure.code, failure.not_begun), (calls.DEADLOCK, True))
        self.assertIn(on("Echo"), failure.text)

    def test_a_call_from_within_a_call(self):
        self.assertIsNone(self.call_from_within("desk"))

    def test_a_listener_that_is_kept(self):
        listener = Listener()
        with self.peer() as peer:
            self.with_listener(peer, "Keep", listener, desk.Nothing)
            for _ in range(2):
                reply = self.watching.ask("desk", on("Use"), desk.Text(text="you"), desk.Text)
                self.assertEqual(reply.text, "heard you")
            self.assertFalse(listener.gone.is_set())
            peer.ask("desk", on("Keep"), desk.ListenerRef(), desk.Nothing)
            self.assertTrue(listener.gone.wait(PATIENCE))
            peer.wait_until(lambda: not peer.exports)

    def test_a_listener_whose_peer_has_gone(self):
        listener = Listener()
        peer = self.peer()
        self.with_listener(peer, "Keep", listener, desk.Nothing)
        peer.close()
        failure = self.watching.call("desk", on("Use"), desk.Text()).failure()
        self.assertIn(failure.code, (calls.LOST, calls.UNAVAILABLE))
        self.watching.ask("desk", on("Keep"), desk.ListenerRef(), desk.Nothing)

    def test_called_back_within_limits(self):
        """A peer that takes one call at a time is called one at a time, or told so."""
        listener = Listener()
        with self.peer(limits={"calls": 1}) as peer:
            self.assertEqual(len(self.call_back(peer, "CallBack", listener, 3).texts), 3)

    def test_a_peer_that_takes_few_references(self):
        with self.peer(limits={"references": 2}) as peer:
            first, second = self.make(peer), self.make(peer)
            failure = peer.call("desk", on("Make"), EMPTY).failure()
            self.assertEqual(failure.code, calls.RESOURCE_EXHAUSTED)
            first.release()
            third = self.make(peer)
            self.assertEqual(third.number, 1)
            second.release()
            third.release()


class AfarServer(Calls, References, Callbacks, SessionTest):
    pass


class PythonServer(Calls, References, Callbacks, SessionTest):
    command = PYTHON_SERVER


if __name__ == "__main__":
    unittest.main(verbosity=2)
