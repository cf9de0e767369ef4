"""One side of a session, written from idl/afar/session.proto and nothing else.

It keeps the rules, and holds the other side to every one that it can see: who breaks one gets
a Goodbye, and `failure` says which it was.  What comes is read by one thread, `read`; everything
else may be called by any thread.  `lock` guards all.

A test that breaks rules itself goes around the tables: `put` sends any frame, `put_bytes` any
bytes.
"""

import collections
import os
import threading

from google.protobuf import message

from harness import PATIENCE
from session_peer import wire
from session_peer.calls import (MOST_CHAIN, NOT_FOUND, RESOURCE_EXHAUSTED,
                                UNAVAILABLE, Answer, Failed, Import, Question, References)
from session_peer.wire import Ref, fields, proto

BATCH = 1 << 20
EXTRA = 64              # what a Call or an Item costs beside its length
MOST_CREDIT = 1 << 31
MOST_PATH, MOST_METADATA, PAIR = 512, 8192, 32
MOST_REFERENCES, MOST_FEATURES, MOST_PROMISED = 4096, 64, 16
PROTOCOL, VERSION = proto.Goodbye.PROTOCOL, proto.Goodbye.VERSION

USUAL = {"calls": 1000, "references": 1000000, "message_bytes": 4194304, "window_bytes": 65536,
         "session_bytes": 1048576, "methods": 10000, "idle_ms": 10000, "dead_ms": 30000}


def usual(limits):
    """Limits in which 0 has become what it stands for."""
    return proto.Limits(**{name: getattr(limits, name) or value for name, value in USUAL.items()})


def metadata_bytes(pairs):
    return sum(len(pair.key.encode()) + len(pair.value) + PAIR for pair in pairs)


class Broken(Exception):
    """The other side broke this rule."""


class Over(Exception):
    """The session has ended."""


def rule(condition, text):
    if not condition:
        raise Broken(text)


class Export:
    def __init__(self, thing):
        self.thing, self.count = thing, 0


class Session:
    def __init__(self, names=None, limits=None, versions=(1, 1)):
        self.lock = threading.Condition(threading.RLock())
        self.names = names or {}
        self.limits = usual(proto.Limits(**(limits or {})))
        self.versions = versions
        self.theirs = None          # their Limits, when Hello has come
        self.hello = None
        self.outbox = collections.deque()
        self.sealed = False         # nothing more is written
        self.over = False           # nothing more comes
        self.failure = None
        self.goodbye = None         # theirs
        self.farewell = None        # ours
        self.questions, self.answers, self.exports, self.imports = {}, {}, {}, {}
        self.methods, self.paths = {}, []
        self.calls_sent = self.calls_read = 0
        self.credit, self.granted = 0, self.limits.session_bytes
        self.pings, self.pongs, self.unknown, self.ponging = [], [], [], False

    # ---- writing ----

    def put_bytes(self, data):
        with self.lock:
            self.outbox.append(data)
            self.lock.notify_all()

    def put(self, *frames, **members):
        """Frames in one batch, or one frame by its members."""
        self.put_bytes(wire.batch(*frames, *([wire.frame(**members)] if members else [])))

    def say_hello(self, **different):
        members = {"lowest": self.versions[0], "highest": self.versions[1],
                   "instance": os.urandom(16), "limits": self.limits}
        self.put(hello=proto.Hello(**{**members, **different}))

    def batches(self):
        """What the stream sends: whatever has gathered while the last was on its way."""
        while True:
            with self.lock:
                self.lock.wait_for(lambda: self.outbox or self.sealed)
                if not self.outbox:
                    return
                taken = [self.outbox.popleft()]
                while self.outbox and sum(map(len, taken)) + len(self.outbox[0]) <= BATCH:
                    taken.append(self.outbox.popleft())
                self.ponging = False
            yield b"".join(taken)

    def seal(self):
        with self.lock:
            self.sealed = True
            self.lock.notify_all()

    def say_goodbye(self, reason, text=""):
        with self.lock:
            if self.farewell is None and not self.sealed:
                self.farewell = proto.Goodbye(reason=reason, text=text, last_call=self.calls_read)
                self.put(goodbye=self.farewell)
                self.sealed = reason != proto.Goodbye.NONE
                self.seal_when_idle()

    def seal_when_idle(self):
        """After a Goodbye of either side, a side without calls closes the stream."""
        if (self.farewell or self.goodbye) and not self.sealed:
            open_answers = [a for a in self.answers.values() if a.result is None]
            if not open_answers and not [q for q in self.questions.values() if q.answer is None]:
                self.seal()

    def wait(self, condition):
        """With the lock held."""
        if not self.lock.wait_for(lambda: condition() or self.over, PATIENCE):
            raise AssertionError("waited in vain")
        if not condition():
            raise Over(str(self.failure or self.goodbye or "the stream ended"))

    def wait_until(self, condition):
        with self.lock:
            self.wait(condition)

    def wait_until_over(self):
        with self.lock:
            self.wait(lambda: self.over)

    # ---- acts ----

    def reference_to(self, thing):
        """One more reference that the other side will have."""
        if isinstance(thing, Import):
            return proto.Reference(yours=thing.number)
        if isinstance(thing, proto.Address):
            return proto.Reference(address=thing)
        with self.lock:
            number = next((n for n, export in self.exports.items() if export.thing is thing), None)
            if number is None:
                number = next(n for n in range(1, len(self.exports) + 2) if n not in self.exports)
                if number > self.theirs.references:
                    raise Failed(RESOURCE_EXHAUSTED, f"{number - 1} references are out")
                self.exports[number] = Export(thing)
            self.exports[number].count += 1
        return proto.Reference(hosted=proto.Hosted(id=number), interface=thing.interface)

    def method(self, path):
        """Its number; says what it stands for, the first time."""
        if path not in self.methods:
            self.methods[path] = len(self.methods) + 1
            self.put(method=proto.Method(number=self.methods[path], path=path))
        return self.methods[path]

    @staticmethod
    def target(to):
        if isinstance(to, str):
            return proto.Target(name=to)
        if isinstance(to, Import):
            return proto.Target(export=to.number)
        question, *path = to
        return proto.Target(promised=proto.Promised(call=question.number, path=path))

    def call(self, to, path, request=None, references=None, **more):
        """Calls a name, an import, or a question with the numbers of fields in its result."""
        with self.lock:
            self.wait(lambda: self.theirs and self.credit > 0)
            number = next(n for n in range(1, self.theirs.calls + 1) if n not in self.questions)
            call = proto.Call(id=number, target=self.target(to), method=self.method(path),
                              payload=request.SerializeToString() if request else b"",
                              references=references.those if references else (), **more)
            self.calls_sent += 1
            question = Question(self, number, call.keep, self.calls_sent)
            question.credit = self.theirs.window_bytes
            self.questions[number] = question
            self.credit -= call.ByteSize() + EXTRA
            self.put(call=call)
        return question

    def send_item(self, calling, payload, references=None):
        item = proto.Item(call=calling.number, to_caller=not calling.to_caller, payload=payload,
                          references=references.those if references else (),
                          initial=calling.take_initial())
        with self.lock:
            self.wait(lambda: self.credit > 0 and calling.credit > 0)
            self.credit -= item.ByteSize() + EXTRA
            calling.credit -= item.ByteSize() + EXTRA
            self.put(item=item)

    def give_credit(self, calling, cost):
        """Of a Call (calling is None) or an Item that was taken."""
        self.granted += cost
        self.put(credit=proto.Credit(bytes=cost))
        if calling:
            calling.granted += cost
            self.put(credit=proto.Credit(call=calling.number, to_caller=calling.to_caller,
                                         bytes=cost))

    def finish(self, question):
        with self.lock:
            question.finished = True
            self.put(finish=proto.Finish(call=question.number))
            if question.answer is not None:
                del self.questions[question.number]

    def answer(self, answer, result):
        with self.lock:
            result.call = answer.number
            result.initial.extend(answer.take_initial())
            answer.result = result
            if not answer.keep or answer.finished:
                del self.answers[answer.number]
            self.put(return_=result)
            self.call_promised(answer)
            self.lock.notify_all()
            self.seal_when_idle()

    def release(self, thing, count):
        with self.lock:
            thing.count -= count
            if thing.count == 0:
                del self.imports[thing.number]
            self.put(release=proto.Release(export=thing.number, count=count))

    def references(self):
        return References(self)

    # ---- reading ----

    def read(self, batches):
        """All that comes, until the stream ends."""
        for data in batches:
            with self.lock:
                try:
                    for frame, cost in wire.frames(data):
                        self.take(frame, cost)
                except (Broken, ValueError, message.DecodeError) as broken:
                    self.failure = str(broken)
                    self.say_goodbye(PROTOCOL, str(broken))
                self.seal_when_idle()
                self.lock.notify_all()

    def end(self):
        """The stream is gone, and with it all that was open."""
        with self.lock:
            if self.over:
                return
            self.over = self.sealed = True
            while self.exports:
                self.exports.popitem()[1].thing.released()
            for answer in self.answers.values():
                answer.cancelled.set()
                answer.ended = True
            self.lock.notify_all()

    def take(self, frame, cost):
        if self.goodbye and self.goodbye.reason or self.failure:
            return
        kind = frame.WhichOneof("kind")
        if kind is None:
            number = next((n for n, _ in fields(frame.SerializeToString())
                           if n != proto.Frame.MAY_IGNORE_FIELD_NUMBER), 0)
            if not frame.may_ignore:
                self.put(unknown=proto.Unknown(kind=number))
            return
        rule(kind in ("hello", "goodbye") or self.hello, f"{kind} before Hello")
        take = getattr(self, "take_" + kind)
        take(getattr(frame, kind), *([cost] if kind in ("call", "item") else []))

    def take_hello(self, hello):
        rule(not self.hello, "a second Hello")
        rule(hello.lowest <= hello.highest, "the lowest version is above the highest")
        rule(len(hello.instance) == 16, "an instance has 16 bytes")
        rule(len(hello.host) in (0, 16), "a host has 16 bytes or none")
        rule(len(hello.features) <= MOST_FEATURES, "too many features")
        self.hello = hello
        if hello.highest < self.versions[0] or hello.lowest > self.versions[1]:
            self.say_goodbye(VERSION, f"versions {self.versions[0]} to {self.versions[1]} here, "
                                      f"{hello.lowest} to {hello.highest} there")
            return
        self.theirs = usual(hello.limits)
        self.credit += self.theirs.session_bytes

    def take_method(self, method):
        rule(method.number == len(self.paths) + 1, f"method {method.number} is not the next")
        rule(method.number <= self.limits.methods, "too many methods")
        rule(1 <= len(method.path.encode()) <= MOST_PATH, "a path of a method is too long, or empty")
        self.paths.append(method.path)

    def take_references(self, references):
        rule(len(references) <= MOST_REFERENCES, "too many references")
        return [self.take_reference(reference) for reference in references]

    def take_reference(self, reference):
        kind = reference.WhichOneof("kind")
        rule(kind, "a reference of no kind")
        if kind == "yours":
            rule(reference.yours in self.exports, f"export {reference.yours} is not given out")
            return self.exports[reference.yours].thing
        if kind == "address":
            rule(len(reference.address.instance) in (0, 16), "an instance has 16 bytes or none")
            rule(len(reference.address.key) in (0, 32), "a key has 32 bytes or none")
            return reference.address
        number = reference.hosted.id
        rule(1 <= number <= self.limits.references, f"{number} is no id of an export")
        thing = self.imports.setdefault(number, Import(self, number))
        thing.count += 1
        thing.interface = reference.interface
        return thing

    def drop(self, references):
        for thing in references:
            if isinstance(thing, Import):
                self.release(thing, 1)

    def take_payload(self, payload, cost, granted, what):
        rule(len(payload) <= self.limits.message_bytes, f"a {what} is too long")
        rule(granted > 0, f"{what} without credit")
        self.granted -= cost

    def take_call(self, call, length):
        cost = length + EXTRA
        self.take_payload(call.payload, cost, self.granted, "Call")
        rule(1 <= call.id <= self.limits.calls, f"{call.id} is no id of a call")
        rule(call.id not in self.answers, f"the id {call.id} is in use")
        rule(1 <= call.method <= len(self.paths), f"method {call.method} has no path")
        rule(len(call.chain) <= MOST_CHAIN, "the chain is too long")
        rule(metadata_bytes(call.metadata) <= MOST_METADATA, "too much metadata")
        rule(len(call.target.promised.path) <= MOST_PROMISED, "the path of fields is too long")
        references = self.take_references(call.references)
        self.give_credit(None, cost)
        if self.farewell:
            self.drop(references)
            return
        self.calls_read += 1
        answer = Answer(self, call, self.paths[call.method - 1], references)
        kind = call.target.WhichOneof("kind")
        rule(kind, "a call for nobody")
        self.answers[call.id] = answer
        if kind == "export":
            number = call.target.export
            rule(number in self.exports, f"export {number} is not given out")
            self.exports[number].thing.take(answer)
        elif kind == "name":
            self.call_name(call.target.name, answer)
        else:
            kept = self.answers.get(call.target.promised.call)
            rule(kept and kept.keep and not kept.finished and kept is not answer,
                 f"the result of call {call.target.promised.call} is not kept")
            kept.waiting.append((list(call.target.promised.path), answer))
            self.call_promised(kept)

    def call_name(self, name, answer):
        if name in self.names:
            self.names[name].take(answer)
        else:
            answer.fail(Failed(NOT_FOUND, f"there is no object {name}", not_begun=True))

    def call_promised(self, kept):
        """The calls to a result go where it leads, in their order, once it is there."""
        while kept.result is not None and kept.waiting:
            path, answer = kept.waiting.pop(0)
            if kept.result.code:
                answer.fail(Failed(kept.result.code, kept.result.text, not_begun=True))
                continue
            payload = kept.result.payload
            for number in path:
                payload = b"".join(value for found, value in fields(payload) if found == number)
            index = Ref.FromString(payload).index
            hosted = kept.out.those[index - 1].hosted.id if index else 0
            if hosted in self.exports:
                self.exports[hosted].thing.take(answer)
            else:
                answer.fail(Failed(NOT_FOUND, "there is no object of this side", True))

    def take_return(self, result):
        question = self.questions.get(result.call)
        rule(question and question.answer is None, f"a Return for {result.call}, which is over")
        rule(not result.code or not result.payload and not result.references,
             "a failure with a payload")
        rule(result.code or not result.not_begun, "a success that has not begun")
        rule(result.code or not result.text, "a success with a text")
        rule(len(result.payload) <= self.limits.message_bytes, "a Return is too long")
        rule(not (question.begun and result.initial), "initial metadata behind an Item")
        for pairs in (result.initial, result.trailing):
            rule(metadata_bytes(pairs) <= MOST_METADATA, "too much metadata")
        question.initial.extend(result.initial)
        question.references = self.take_references(result.references)
        question.answer, question.ended = result, True
        if not question.keep or question.finished:
            del self.questions[result.call]

    def take_cancel(self, cancel):
        answer = self.answers.get(cancel.call)
        if answer and answer.result is None:
            answer.cancel()

    def take_finish(self, finish):
        answer = self.answers.get(finish.call)
        rule(answer and answer.keep and not answer.finished,
             f"Finish for {finish.call}, which is not kept")
        answer.finished = True
        answer.cancel()
        if answer.result is not None:
            del self.answers[finish.call]

    def take_item(self, item, length):
        cost = length + EXTRA
        references = self.take_references(item.references)
        calling = (self.questions if item.to_caller else self.answers).get(item.call)
        if calling and not item.to_caller and calling.result is not None:
            calling = None
        rule(calling or not item.to_caller, f"an Item for {item.call}, which is over")
        rule(not item.initial or item.to_caller and not calling.begun, "initial metadata too late")
        rule(metadata_bytes(item.initial) <= MOST_METADATA, "too much metadata")
        self.take_payload(item.payload, cost, min(self.granted, calling.granted) if calling
                          else self.granted, "Item")
        if not calling:
            self.drop(references)
            self.give_credit(None, cost)
            return
        rule(not calling.ended, f"an Item after the end of {item.call}")
        calling.granted -= cost
        if item.to_caller:
            calling.begun = True
            calling.initial.extend(item.initial)
        calling.items.append((item.payload, references, cost))

    def take_end(self, end):
        answer = self.answers.get(end.call)
        if answer and answer.result is None:
            rule(not answer.ended, f"a second End of {end.call}")
            answer.ended = True

    def take_release(self, release):
        export = self.exports.get(release.export)
        rule(export and release.count <= export.count,
             f"{release.count} references to {release.export} were not given out")
        export.count -= release.count
        if export.count == 0:
            self.exports.pop(release.export).thing.released()

    def take_credit(self, credit):
        if credit.call == 0:
            self.credit += credit.bytes
            rule(self.credit < MOST_CREDIT, "too much credit")
            return
        calling = (self.answers if credit.to_caller else self.questions).get(credit.call)
        if calling:
            calling.credit += credit.bytes
            rule(calling.credit < MOST_CREDIT, "too much credit")

    def take_ping(self, ping):
        rule(not self.ponging, "a Ping before the last one has its Pong")
        self.ponging = True
        self.put(pong=proto.Pong(number=ping.number))

    def take_pong(self, pong):
        rule(pong.number in self.pings, "a Pong for no Ping")
        self.pings.remove(pong.number)
        self.pongs.append(pong.number)

    def take_unknown(self, unknown):
        self.unknown.append(unknown.kind)

    def take_goodbye(self, goodbye):
        rule(self.hello or goodbye.reason, "Goodbye in order before Hello")
        rule(not self.goodbye or goodbye.reason, "a second Goodbye")
        self.goodbye = goodbye
        if goodbye.reason:
            self.seal()
            return
        for question in list(self.questions.values()):
            if question.ordinal > goodbye.last_call and question.answer is None:
                question.answer = proto.Return(code=UNAVAILABLE, text="the other side closes",
                                               not_begun=True)
                question.ended = True
                del self.questions[question.number]

