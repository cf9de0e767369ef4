#!/usr/bin/python3
"""A Python gRPC client against our server.

The battery runs against the C server over TCP and over a unix socket, and
against the Python server, which shows that no test asks for more than gRPC
promises.

Labels: concurrent.  Cost: 9
"""

import threading
import time
import unittest

import grpc

from harness import PATIENCE, PYTHON_SERVER, ServerTest, pb, rpc_status, stubs

MIB = 1 << 20
LIMIT = 4 * MIB  # gRPC's default for a message
CODES = {code.value[0]: code for code in grpc.StatusCode}


def request_of(size, **fields):
    """A request that takes just so many bytes on the wire."""
    fields.setdefault("size", 1)
    request = pb.Request(payload=bytes(size), **fields)
    request.payload = bytes(2 * size - request.ByteSize())
    assert request.ByteSize() == size
    return request


class Kinds:
    def test_unary(self):
        reply = self.echo.Unary(pb.Request(text="hello", payload=b"\0\1\xff"), timeout=PATIENCE)
        self.assertEqual((reply.text, reply.payload), ("hello", b"\0\1\xff"))

    def test_an_empty_message(self):
        self.assertEqual(self.echo.Unary(pb.Request(), timeout=PATIENCE), pb.Reply())

    def test_server_stream(self):
        replies = list(self.echo.Down(pb.Request(text="x", count=1000), timeout=PATIENCE))
        self.assertEqual([r.number for r in replies], list(range(1000)))
        self.assertEqual({r.text for r in replies}, {"x"})

    def test_server_stream_of_nothing(self):
        self.assertEqual(list(self.echo.Down(pb.Request(), timeout=PATIENCE)), [])

    def test_client_stream(self):
        summary = self.echo.Up((pb.Request(text=str(i), payload=b"abc") for i in range(1000)),
                               timeout=PATIENCE)
        self.assertEqual((summary.count, summary.bytes, summary.last), (1000, 3000, "999"))

    def test_client_stream_of_nothing(self):
        self.assertEqual(self.echo.Up(iter(()), timeout=PATIENCE), pb.Summary())

    def test_bidi_stream(self):
        replies = self.echo.Both((pb.Request(text=str(i)) for i in range(1000)), timeout=PATIENCE)
        self.assertEqual([(r.number, r.text) for r in replies],
                         [(i, str(i)) for i in range(1000)])

    def test_bidi_stream_in_step(self):
        """Each request is sent after the reply to the one before it."""
        turn = threading.Semaphore(1)

        def requests():
            for i in range(100):
                if not turn.acquire(timeout=PATIENCE):
                    return
                yield pb.Request(text=str(i))

        seen = 0
        for reply in self.echo.Both(requests(), timeout=PATIENCE):
            self.assertEqual(reply.text, str(seen))
            seen += 1
            turn.release()
        self.assertEqual(seen, 100)

    def test_bidi_stream_ended_by_the_server(self):
        """The server may end a stream while the client still has more to say."""
        stop = threading.Event()

        def requests():
            yield pb.Request(text="one")
            yield pb.Request(fail=pb.Failure(code=9, message="enough"))
            stop.wait(PATIENCE)

        replies = self.echo.Both(requests(), timeout=PATIENCE)
        self.assertEqual(next(replies).text, "one")
        self.fails(CODES[9], lambda **_: replies)
        stop.set()


class Metadata:
    SENT = (("x-initial", "one"), ("x-initial", "two"), ("x-initial-bin", b"\0\1\xfe\xff"),
            ("x-trailing", "three"), ("x-trailing-bin", b""), ("x-trailing-bin", b"\n\0"),
            ("x-ignored", "not returned"))

    def came_back(self, call, prefix):
        pairs = call.initial_metadata() if prefix == "x-initial" else call.trailing_metadata()
        return [tuple(p) for p in pairs if p[0].startswith(prefix)]

    def check(self, call):
        for prefix in ("x-initial", "x-trailing"):
            sent = [p for p in self.SENT if p[0].startswith(prefix)]
            for key in {p[0] for p in sent}:
                self.assertEqual([v for k, v in self.came_back(call, prefix) if k == key],
                                 [v for k, v in sent if k == key])

    def test_metadata_of_a_unary_call(self):
        _, call = self.echo.Unary.with_call(pb.Request(), metadata=self.SENT, timeout=PATIENCE)
        self.check(call)

    def test_metadata_of_a_server_stream(self):
        call = self.echo.Down(pb.Request(count=3), metadata=self.SENT, timeout=PATIENCE)
        self.assertEqual(len(list(call)), 3)
        self.check(call)

    def test_metadata_of_a_client_stream(self):
        _, call = self.echo.Up.with_call(iter([pb.Request()]), metadata=self.SENT,
                                         timeout=PATIENCE)
        self.check(call)

    def test_metadata_of_a_bidi_stream(self):
        call = self.echo.Both(iter([pb.Request()]), metadata=self.SENT, timeout=PATIENCE)
        self.assertEqual(len(list(call)), 1)
        self.check(call)

    def test_metadata_of_a_call_that_fails(self):
        request = pb.Request(fail=pb.Failure(code=5, message="no"))
        self.check(self.fails(CODES[5], self.echo.Unary, request, metadata=self.SENT))


class Errors:
    MESSAGES = ("plain", "", "Zoë → 東京 🙂", "100% of \"it\"\\ %41", "a long one " * 100)

    def test_every_code(self):
        for number, code in CODES.items():
            if number == 0:
                continue
            with self.subTest(code=code):
                request = pb.Request(fail=pb.Failure(code=number, message=code.name))
                error = self.fails(code, self.echo.Unary, request)
                self.assertEqual(error.details(), code.name)

    def test_messages_keep_their_letters(self):
        for message in self.MESSAGES:
            with self.subTest(message=message):
                request = pb.Request(fail=pb.Failure(code=3, message=message))
                error = self.fails(CODES[3], self.echo.Unary, request)
                shown = error.details()
                # An afar_error holds 255 bytes and cuts at a character.
                self.assertTrue(message == shown or len(shown.encode()) > 240
                                and message.startswith(shown), shown)

    def test_details(self):
        request = pb.Request(fail=pb.Failure(code=9, message="Überzogen", reason="größer"))
        for call in (self.echo.Unary, self.echo.Down):
            error = self.fails(CODES[9], call, request)
            status = rpc_status.Status.FromString(
                dict(error.trailing_metadata())["grpc-status-details-bin"])
            self.assertEqual((status.code, status.message), (9, "Überzogen"))
            detail = pb.Refused()
            self.assertEqual(len(status.details), 1)
            self.assertTrue(status.details[0].Unpack(detail))
            self.assertEqual((detail.reason, detail.limit), ("größer", 42))

    def test_an_error_without_details_has_none(self):
        error = self.fails(CODES[9], self.echo.Unary, pb.Request(fail=pb.Failure(code=9)))
        self.assertNotIn("grpc-status-details-bin", dict(error.trailing_metadata()))

    def test_a_stream_that_fails_after_three(self):
        call = self.echo.Down(pb.Request(count=3, fail=pb.Failure(code=15, message="torn")),
                              timeout=PATIENCE)
        self.assertEqual([next(call).number for _ in range(3)], [0, 1, 2])
        error = self.fails(CODES[15], lambda **_: call)
        self.assertEqual(error.details(), "torn")

    def test_a_client_stream_that_fails(self):
        requests = [pb.Request(), pb.Request(fail=pb.Failure(code=11, message="past"))]
        self.fails(CODES[11], self.echo.Up, iter(requests))

    def test_a_method_that_nobody_serves(self):
        self.fails(CODES[12], self.echo.Missing, pb.Request())

    def test_a_method_that_does_not_exist(self):
        for path in ("/afar.test.Echo/Nothing", "/afar.test.Echo/", "/afar.test.Echo/unary"):
            call = self.channel.unary_unary(path)
            error = self.fails(CODES[12], call, b"")
            self.assertTrue(error.details())

    def test_a_service_that_does_not_exist(self):
        self.fails(CODES[12], stubs.AbsentStub(self.channel).Unary, pb.Request())
        for path in ("/", "//", "/x", "/afar.test.Echo", "/" + "y" * 4000 + "/Unary"):
            self.fails(CODES[12], self.channel.unary_unary(path), b"")


class GivingUp:
    """Each test sees in the server's counters that the handler was told."""

    def setUp(self):
        self.before = self.look()

    def is_told(self):
        self.look(cancelled=self.before.cancelled + 1)

    def test_deadline_of_a_unary_call(self):
        start = time.monotonic()
        self.fails(CODES[4], self.echo.Unary, pb.Request(hold=True), timeout=0.2)
        self.assertLess(time.monotonic() - start, 5)
        self.is_told()

    def test_deadline_of_a_server_stream(self):
        call = self.echo.Down(pb.Request(count=2, hold=True), timeout=0.5)
        self.assertEqual([next(call).number for _ in range(2)], [0, 1])
        self.fails(CODES[4], lambda **_: call)
        self.is_told()

    def test_deadline_of_a_client_stream(self):
        stop = threading.Event()

        def requests():
            yield pb.Request()
            stop.wait(PATIENCE)

        self.fails(CODES[4], self.echo.Up, requests(), timeout=0.5)
        stop.set()
        self.is_told()

    def test_cancelling_a_unary_call(self):
        future = self.echo.Unary.future(pb.Request(hold=True), timeout=PATIENCE)
        self.look(held=self.before.held + 1)
        future.cancel()
        self.is_told()
        self.assertEqual(self.look().held, self.before.held)

    def test_cancelling_a_server_stream_in_the_middle(self):
        call = self.echo.Down(pb.Request(count=1000000, size=1000), timeout=PATIENCE)
        self.assertEqual([next(call).number for _ in range(10)], list(range(10)))
        call.cancel()
        self.is_told()

    def test_cancelling_a_bidi_stream_in_the_middle(self):
        stop = threading.Event()

        def requests():
            yield pb.Request(text="only")
            stop.wait(PATIENCE)

        call = self.echo.Both(requests(), timeout=PATIENCE)
        self.assertEqual(next(call).text, "only")
        call.cancel()
        stop.set()
        self.is_told()

    def test_closing_the_channel_of_a_call(self):
        with self.server.channel() as channel:
            future = stubs.EchoStub(channel).Unary.future(pb.Request(hold=True),
                                                          timeout=PATIENCE)
            self.look(held=self.before.held + 1)
        self.assertTrue(future.done())
        self.is_told()

    def test_a_call_whose_time_is_over_before_it_begins(self):
        self.fails(CODES[4], self.echo.Unary, pb.Request(hold=True), timeout=0)


class Loads:
    def test_a_mebibyte(self):
        payload = bytes(range(256)) * 4096
        self.assertEqual(self.echo.Unary(pb.Request(payload=payload), timeout=PATIENCE).payload,
                         payload)

    def test_a_mebibyte_in_every_message_of_a_stream(self):
        replies = self.echo.Both((pb.Request(payload=bytes([i]) * MIB) for i in range(8)),
                                 timeout=PATIENCE)
        self.assertEqual([(len(r.payload), r.payload[-1]) for r in replies],
                         [(MIB, i) for i in range(8)])

    def test_the_largest_request(self):
        reply = self.echo.Unary(request_of(LIMIT), timeout=PATIENCE)
        self.assertEqual(len(reply.payload), 1)

    def test_a_request_one_byte_over_the_limit(self):
        error = self.fails(CODES[8], self.echo.Unary, request_of(LIMIT + 1))
        self.assertTrue(error.details())
        self.is_alive()

    def test_a_stream_whose_second_message_is_too_large(self):
        self.fails(CODES[8], self.echo.Up, iter([pb.Request(), request_of(LIMIT + 1)]))
        self.is_alive()

    def test_compressed_requests(self):
        for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            reply = self.echo.Unary(pb.Request(text="small", payload=bytes(100000)),
                                    compression=algorithm, timeout=PATIENCE)
            self.assertEqual((reply.text, len(reply.payload)), ("small", 100000))
            summary = self.echo.Up((pb.Request(payload=bytes(10000)) for _ in range(10)),
                                   compression=algorithm, timeout=PATIENCE)
            self.assertEqual(summary.bytes, 100000)

    def test_a_thousand_calls_at_a_time(self):
        before = self.look()
        calls = [self.echo.Unary.future(pb.Request(text=str(i), hold=True), timeout=PATIENCE)
                 for i in range(1000)]
        self.look(held=before.held + 1000)
        self.resume()
        self.assertEqual([call.result(PATIENCE).text for call in calls],
                         [str(i) for i in range(1000)])
        self.assertEqual(self.look().held, before.held)

    def test_a_hundred_streams_at_a_time(self):
        calls = [self.echo.Both(iter([pb.Request(text=str(i))] * 20), timeout=PATIENCE)
                 for i in range(100)]
        for i, call in enumerate(calls):
            self.assertEqual([r.text for r in call], [str(i)] * 20)


class Battery(Kinds, Metadata, Errors, GivingUp, Loads):
    pass


class AfarServerTcp(Battery, ServerTest):
    pass


class AfarServerUnix(Battery, ServerTest):
    transport = "unix"


class PythonServer(Battery, ServerTest):
    command = PYTHON_SERVER


if __name__ == "__main__":
    unittest.main(verbosity=2)
