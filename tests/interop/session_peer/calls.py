"""What the two sides of a session hold: objects and references to them, questions and answers."""

import os
import queue
import threading
import time

from harness import PATIENCE
from session_peer.wire import Ref, proto

OK, CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 3, 4, 5
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED, INTERNAL = 8, 9, 12, 13
UNAVAILABLE = 14
DEADLOCK, LOST = 100, 103
MOST_CHAIN = 16


class Failed(Exception):
    """A call that did not go well."""

    def __init__(self, code, text="", not_begun=False):
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.not_begun = code, text, not_begun


class Object:
    """An object of this node.  A method is a function of an Answer that gives the reply, or
    None for an empty one.  It serves one call at a time, in order, on a thread of its own,
    unless it is concurrent: then each call has a thread."""

    def __init__(self, interface, concurrent=False, **methods):
        self.interface, self.concurrent, self.methods = interface, concurrent, methods
        self.on_release = lambda: None
        self.current = None         # the call that is being served, unless concurrent
        self.calls = queue.Queue()
        threading.Thread(target=self.serve, daemon=True).start()

    def take(self, answer):
        """Queues a call, unless it would wait for one that it descends from."""
        current = self.current
        if current and current.name in answer.chain:
            answer.fail(Failed(DEADLOCK, f"{answer.path} would wait for {current.path}", True))
        else:
            self.calls.put(answer)

    def serve(self):
        while True:
            answer = self.calls.get()
            if self.concurrent:
                threading.Thread(target=self.serve_one, args=[answer], daemon=True).start()
                continue
            self.current = answer
            self.serve_one(answer)
            self.current = None

    def serve_one(self, answer):
        method = self.methods.get(answer.method)
        try:
            if answer.cancelled.is_set():
                raise Failed(CANCELLED, "the caller gave up", not_begun=True)
            if answer.interface != self.interface or method is None:
                raise Failed(UNIMPLEMENTED, f"{answer.path} is not served", not_begun=True)
            reply = method(answer)
            answer.finish(reply.SerializeToString() if reply is not None else b"")
        except Failed as failure:
            answer.fail(failure)
        except Exception as error:  # whatever it is, the call gets an answer
            answer.fail(Failed(INTERNAL, repr(error)))

    def released(self):
        """The other side of a session has no reference any more."""
        self.on_release()


class Import:
    """An object of the other side.  `count` references to it were received and not released."""

    def __init__(self, session, number):
        self.session, self.number, self.count = session, number, 0
        self.interface = ""         # as the reference says

    def release(self, count=None):
        self.session.release(self, self.count if count is None else count)


class References:
    """Those that go along with a message: `put` gives what the message has for each."""

    def __init__(self, session):
        self.session, self.those = session, []

    def put(self, thing):
        """Of an object of this side, an import, or a proto.Address."""
        self.those.append(self.session.reference_to(thing))
        return Ref(index=len(self.those))


class Calling:
    """One end of a call: items come in, items go out.  Whoever takes one gives credit."""

    def __init__(self, session, number, window):
        self.session, self.number = session, number
        self.items = []             # (payload, references, cost), not taken yet
        self.granted = window       # what may still come
        self.credit = 0             # what may still be sent
        self.ended = False          # no more items come
        self.sent_end = False       # no more items go
        self.begun = False          # an item came to the caller
        self.initial = []           # metadata of the answer: that came, or is to go

    def receive(self, kind):
        """The next message, with its references in `references`, or None at the end."""
        with self.session.lock:
            self.session.wait(lambda: self.items or self.ended)
            if not self.items:
                return None
            payload, self.references, cost = self.items.pop(0)
            self.session.give_credit(self, cost)
        return kind.FromString(payload)

    def send(self, message, references=None):
        self.session.send_item(self, message.SerializeToString(), references)

    def reference(self, ref):
        """What a Ref of the message stands for."""
        if not 0 < ref.index <= len(self.references):
            raise Failed(INVALID_ARGUMENT, f"there is no reference {ref.index}")
        return self.references[ref.index - 1]


class Question(Calling):
    """A call that we made."""

    def take_initial(self):
        """A caller sends none."""
        return []

    to_caller = True                # the direction of what comes

    def __init__(self, session, number, keep, ordinal):
        super().__init__(session, number, session.limits.window_bytes)
        self.keep, self.ordinal = keep, ordinal
        self.finished = False       # we sent Finish
        self.answer = None          # the Return
        self.references = []

    def wait(self):
        """Waits for the Return, whatever it says; fails when the session ended before."""
        with self.session.lock:
            self.session.wait(lambda: self.answer is not None)
        return self.answer

    def reply(self, kind):
        answer = self.wait()
        if answer.code:
            raise Failed(answer.code, answer.text, answer.not_begun)
        return kind.FromString(answer.payload)

    def failure(self):
        """How it failed, for tests of just that."""
        answer = self.wait()
        if not answer.code:
            raise AssertionError(f"call {self.number} did not fail")
        return Failed(answer.code, answer.text, answer.not_begun)

    def cancel(self):
        self.session.put(cancel=proto.Cancel(call=self.number))

    def end(self):
        self.sent_end = True
        self.session.put(end=proto.End(call=self.number))

    def finish(self):
        self.session.finish(self)


class Answer(Calling):
    """A call that we serve."""

    to_caller = False

    def __init__(self, session, call, path, references):
        super().__init__(session, call.id, session.limits.window_bytes)
        self.credit = session.theirs.window_bytes
        self.path = path
        self.interface, _, self.method = path[1:].rpartition("/")
        self.keep, self.oneway = call.keep, call.oneway
        self.payload, self.references = call.payload, references
        self.chain, self.timeout_us = list(call.chain), call.timeout_us
        self.name = int.from_bytes(os.urandom(8), "big")    # in the chains of nested calls
        self.cancelled = threading.Event()
        self.finished = False       # Finish came
        self.result = None          # the Return, once it is sent
        self.waiting = []           # calls to the result
        self.out = References(session)
        self.nested = []            # calls that were made for it
        self.began = time.monotonic()

    def take_initial(self):
        """It goes with what is said first."""
        initial, self.initial = self.initial, []
        return initial

    def request(self, kind):
        return kind.FromString(self.payload)

    def call(self, *arguments, **more):
        """A call that is made for this one: it has no more time, and is cancelled with it."""
        more["chain"] = (self.chain + [self.name])[-MOST_CHAIN:]
        if self.timeout_us:
            passed = int((time.monotonic() - self.began) * 1e6)
            more["timeout_us"] = max(1, self.timeout_us - passed)
        question = self.session.call(*arguments, **more)
        with self.session.lock:
            self.nested.append(question)
            if self.cancelled.is_set():
                question.cancel()
        return question

    def cancel(self):
        """The caller has given up."""
        self.cancelled.set()
        for question in self.nested:
            question.cancel()

    def give(self, thing):
        return self.out.put(thing)

    def finish(self, payload):
        self.session.answer(self, proto.Return(payload=payload, references=self.out.those))

    def fail(self, failure):
        self.session.answer(self, proto.Return(code=failure.code, text=failure.text,
                                               not_begun=failure.not_begun))

    def wait_until_cancelled(self):
        if self.cancelled.wait(self.timeout_us / 1e6 or PATIENCE):
            raise Failed(CANCELLED, "the caller gave up")
        raise Failed(DEADLINE_EXCEEDED, "the time is over")
