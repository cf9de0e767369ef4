#!/usr/bin/python3
"""The interop server in Python: the same service as echo_server.c.

    python_server.py ADDRESS

Prints "serving at ADDRESS", serves until SIGTERM, and lets running calls finish
for five seconds.  It is what the tests of the C client run against, and what
shows that the tests of the C server ask for nothing but gRPC.
"""

import logging
import signal
import sys
import threading
from concurrent import futures

import grpc

import harness
from harness import pb, stubs

WORKERS = 1200  # a call that is held keeps one
GRACE = 5.0


class State:
    """What happened in the server, and the calls that are held."""

    def __init__(self):
        self.changed = threading.Condition()
        self.started = self.held = self.cancelled = 0
        self.round = 0  # counts the resumes

    def begin(self):
        with self.changed:
            self.started += 1
            self.changed.notify_all()

    def gave_up(self, context):
        with self.changed:
            self.cancelled += 1
            self.let_go_locked(context)

    def let_go_locked(self, context):
        self.held -= context.held
        context.held = False
        self.changed.notify_all()

    def hold(self, context):
        """Waits for the next resume, or until the caller gives up."""
        with self.changed:
            mine = self.round
            if not context.is_active():
                return
            self.held += 1
            context.held = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.round != mine or not context.held)
            self.let_go_locked(context)

    def resume(self):
        with self.changed:
            self.round += 1
            self.changed.notify_all()

    def look(self, wanted, context):
        def wake():
            with self.changed:
                self.changed.notify_all()

        def holds():
            return (self.started >= wanted.started and self.held >= wanted.held
                    and self.cancelled >= wanted.cancelled)

        context.add_callback(wake)
        with self.changed:
            self.changed.wait_for(lambda: holds() or not context.is_active())
            return pb.Seen(started=self.started, held=self.held, cancelled=self.cancelled)


def send_metadata(context):
    pairs = [tuple(pair) for pair in context.invocation_metadata()]
    context.send_initial_metadata([p for p in pairs if p[0].startswith("x-initial")])
    context.set_trailing_metadata([p for p in pairs if p[0].startswith("x-trailing")])


def fail(failure, context):
    """Ends the call if the request says so."""
    if failure.code == 0:
        return
    code = next(c for c in grpc.StatusCode if c.value[0] == failure.code)
    if failure.reason:
        status = harness.rpc_status.Status(code=failure.code, message=failure.message)
        detail = pb.Refused(reason=failure.reason, limit=42)
        status.details.add().Pack(detail)
        context.set_trailing_metadata(
            [("grpc-status-details-bin", status.SerializeToString())])
    context.abort(code, failure.message)


def answer(request, number=0, name=""):
    payload = bytes(request.size) if request.size else request.payload
    return pb.Reply(text=request.text, payload=payload, number=number, object=name)


def name_of(context):
    return dict(context.invocation_metadata()).get("afar-object", "")


class Echo(stubs.EchoServicer):
    def __init__(self, state):
        self.state = state

    def enter(self, context):
        self.state.begin()
        context.held = False
        if not context.add_callback(lambda: self.ended(context)):
            self.state.gave_up(context)
        send_metadata(context)

    def ended(self, context):
        # There is no public word for it.  A stream's requests may seem to have come to
        # their end when they were cut off, so the handler does not know.
        if context._state.client == "cancelled":
            self.state.gave_up(context)

    def Unary(self, request, context):
        self.enter(context)
        fail(request.fail, context)
        if request.hold:
            self.state.hold(context)
        return answer(request, name=name_of(context))

    def Down(self, request, context):
        self.enter(context)
        for number in range(request.count):
            yield answer(request, number)
        fail(request.fail, context)
        if request.hold:
            self.state.hold(context)

    def Up(self, requests, context):
        self.enter(context)
        summary = pb.Summary()
        for request in requests:
            fail(request.fail, context)
            summary.count += 1
            summary.bytes += len(request.payload)
            summary.last = request.text
        return summary

    def Both(self, requests, context):
        self.enter(context)
        for number, request in enumerate(requests):
            fail(request.fail, context)
            yield answer(request, number)


class Monitor(stubs.MonitorServicer):
    def __init__(self, state):
        self.state = state

    def Look(self, request, context):
        return self.state.look(request, context)

    def Resume(self, request, context):
        self.state.resume()
        return pb.Nothing()


def main():
    logging.disable(logging.CRITICAL)  # it logs every caller that gives up
    address = sys.argv[1]
    state = State()
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS))
    stubs.add_EchoServicer_to_server(Echo(state), server)
    stubs.add_MonitorServicer_to_server(Monitor(state), server)
    port = server.add_insecure_port(address)
    server.start()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print("serving at", address.replace(":0", f":{port}") if port != 1 else address, flush=True)
    stopped.wait()
    server.stop(GRACE).wait()


if __name__ == "__main__":
    main()
