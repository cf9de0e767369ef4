#!/usr/bin/python3
"""The server of the session tests once more, in Python: what server.c is, by the same protocol.

    python_server.py ADDRESS

It shows that no test asks for more than session.proto promises.
"""

import os
import signal
import sys
import threading
from concurrent import futures

import grpc

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import PATIENCE  # noqa: E402
from session_peer.calls import (FAILED_PRECONDITION, INVALID_ARGUMENT, LOST, Failed,  # noqa: E402
                                Import, Object)
from session_peer.peer import OPEN, OPTIONS  # noqa: E402
from session_peer.session import Over, Session  # noqa: E402
from session_peer.wire import desk, proto  # noqa: E402

DESK, COUNTER, LISTENER = (f"afar.test.desk.{name}" for name in ("Desk", "Counter", "Listener"))
STREAMS = 200


class State:
    """What Look shows, and the listener that is kept; `lock` guards both."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = desk.Seen()
        self.kept = None

    def count(self, **changes):
        with self.lock:
            for name, change in changes.items():
                setattr(self.seen, name, getattr(self.seen, name) + change)

    def look(self):
        with self.lock:
            return desk.Seen.FromString(self.seen.SerializeToString())


def new_counter(state):
    def add(answer):
        counter.amount += answer.request(desk.Amount).amount
        return desk.Amount(amount=counter.amount)

    def push(answer):
        add(answer)

    counter = Object(COUNTER, Add=add, Push=push)
    counter.amount = 0
    counter.on_release = lambda: state.count(finalized=1)
    state.count(made=1)
    return counter


def amount_of(session, counter):
    """What a counter has, here or there."""
    if isinstance(counter, Import):
        question = session.call(counter, f"/{COUNTER}/Add", desk.Amount())
        return question.reply(desk.Amount).amount
    return counter.amount


class Desk(Object):
    def __init__(self, state, concurrent):
        names = ("Echo Make Sum CallBack TalkBack Notify Keep Use Hold Down Both Look").split()
        super().__init__(DESK, concurrent=concurrent,
                         **{name: getattr(self, name.lower()) for name in names})
        self.state = state

    def echo(self, answer):
        return answer.request(desk.Text)

    def make(self, answer):
        return desk.CounterRef(counter=answer.give(new_counter(self.state)))

    def sum(self, answer):
        counters = [answer.reference(one.counter)
                    for one in answer.request(desk.SumRequest).counters]
        try:
            for one in counters:
                if one.interface not in ("", COUNTER):
                    raise Failed(INVALID_ARGUMENT, f"a {one.interface}, and no {COUNTER}")
            return desk.Amount(amount=sum(amount_of(answer.session, one) for one in counters))
        finally:
            answer.session.drop(counters)

    def listener(self, answer, request):
        if not request.listener.index:
            raise Failed(INVALID_ARGUMENT, "there is no listener")
        return answer.reference(request.listener)

    def callback(self, answer):
        request = answer.request(desk.CallBackRequest)
        listener = self.listener(answer, request)
        heard = []
        try:
            for number in range(1, request.times + 1):
                question = answer.call(listener, f"/{LISTENER}/Hear", desk.Text(text=str(number)))
                heard.append(question.reply(desk.Text).text)
        finally:
            answer.session.drop([listener])
        return desk.Texts(texts=heard)

    def talkback(self, answer):
        request = answer.request(desk.CallBackRequest)
        listener = self.listener(answer, request)
        talk = answer.call(listener, f"/{LISTENER}/Talk")
        heard = []
        for number in range(1, request.times + 1):
            talk.send(desk.Text(text=str(number)))
            heard.append(talk.receive(desk.Text).text)
        talk.end()
        talk.reply(desk.Nothing)
        answer.session.drop([listener])
        return desk.Texts(texts=heard)

    def notify(self, answer):
        request = answer.request(desk.CallBackRequest)
        listener = self.listener(answer, request)
        for number in range(1, request.times + 1):
            answer.session.call(listener, f"/{LISTENER}/Note", desk.Text(text=str(number)),
                                oneway=True)
        answer.session.drop([listener])

    def keep(self, answer):
        request = answer.request(desk.ListenerRef)
        listener = answer.reference(request.listener) if request.listener.index else None
        with self.state.lock:
            self.state.kept, listener = listener, self.state.kept
        if listener and not listener.session.over:
            listener.session.drop([listener])

    def use(self, answer):
        with self.state.lock:
            listener = self.state.kept
        if listener is None:
            raise Failed(FAILED_PRECONDITION, "no listener is kept")
        try:
            return listener.session.call(listener, f"/{LISTENER}/Hear",
                                         answer.request(desk.Text)).reply(desk.Text)
        except Over as over:
            raise Failed(LOST, str(over)) from over

    def hold(self, answer):
        self.state.count(holding=1)
        try:
            answer.wait_until_cancelled()
        finally:
            self.state.count(holding=-1, cancelled=1)

    def down(self, answer):
        request = answer.request(desk.DownRequest)
        for number in range(request.count):
            answer.send(desk.Bytes(number=number, data=bytes(request.size)))

    def both(self, answer):
        answer.initial = [proto.Pair(key="first", value=b"1")]
        while (message := answer.receive(desk.Bytes)) is not None:
            answer.send(message)

    def look(self, answer):
        return self.state.look()


def open_session(names, running):
    def handle(requests, context):
        session = Session(names)
        session.say_hello()
        running.append(session)
        context.add_callback(session.end)

        def read():
            try:
                session.read(requests)
            except Exception:  # the stream broke: the client is gone
                pass
            session.end()
        threading.Thread(target=read, daemon=True).start()
        yield from session.batches()
    return grpc.stream_stream_rpc_method_handler(handle)


def main(address):
    running = []
    state = State()
    names = {"desk": Desk(state, True), "serial": Desk(state, False)}
    names[""] = names["desk"]
    server = grpc.server(futures.ThreadPoolExecutor(STREAMS), options=OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        OPEN.split("/")[1], {"Open": open_session(names, running)}),))
    port = server.add_insecure_port(address)
    server.start()
    print("serving at", address if address.startswith("unix:") else f"127.0.0.1:{port}", flush=True)
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    done.wait()
    for session in running:
        session.say_goodbye(0)
    server.stop(PATIENCE).wait()


if __name__ == "__main__":
    main(sys.argv[1])
