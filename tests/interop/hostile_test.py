#!/usr/bin/python3
"""Bytes that no honest client sends: each is refused soon, with a status that
says so, and the server goes on serving.

Labels: concurrent
"""

import os
import resource
import socket
import struct
import time
import unittest

import grpc

from harness import PATIENCE, AFAR_SERVER, Server, ServerTest, pb, stubs, wait_until

Code = grpc.StatusCode
SOON = 5.0  # seconds; the answers take milliseconds
MIB = 1 << 20


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(depth):
    """Request.tree, with so many children below one another."""
    tree = b""
    for _ in range(depth):
        tree = field(1, tree)
    return field(7, tree)


class BadMessages(ServerTest):
    def call(self, body, path="/afar.test.Echo/Unary"):
        """The raw call; fails the test if the server takes its time."""
        start = time.monotonic()
        try:
            return self.channel.unary_unary(path)(body, timeout=PATIENCE)
        finally:
            self.assertLess(time.monotonic() - start, SOON)

    def refused(self, body, *codes):
        error = self.fails_raw(body)
        self.assertIn(error.code(), codes, error.details())
        self.assertTrue(error.details())
        self.is_alive()

    def fails_raw(self, body):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(body)
        return caught.exception

    def test_the_crafted_bytes_are_what_they_seem(self):
        self.assertEqual(pb.Request.FromString(nested(3)).tree.child.child.child, pb.Tree())
        self.assertEqual(pb.Reply.FromString(self.call(field(1, b"text"))).text, "text")

    def test_text_that_is_not_utf_8(self):
        for text in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x80"):
            self.refused(field(1, b"ok " + text), Code.INTERNAL)

    def test_a_nul_in_a_text(self):
        self.refused(field(1, b"be\0fore"), Code.INTERNAL)

    def test_messages_that_end_too_soon(self):
        whole = pb.Request(text="text", payload=b"bytes", tree=pb.Tree(numbers=[1, 2, 300]))
        whole = whole.SerializeToString()
        for length in range(len(whole)):
            try:
                self.call(whole[:length])
            except grpc.RpcError as error:
                self.assertEqual(error.code(), Code.INTERNAL, error.details())
        self.refused(whole[:-1], Code.INTERNAL)

    def test_bytes_that_make_no_sense(self):
        for body in (b"\xff" * 11, b"\0", b"\x07", b"\x0b\x0c", b"\x0f", varint(1 << 32) + b"\0",
                     b"\x0a" + varint((1 << 31) + 5), b"\x0a" + varint((1 << 64) - 1),
                     b"\x18" + b"\xff" * 10 + b"\1"):
            self.refused(body, Code.INTERNAL)

    def test_the_wrong_wire_type(self):
        self.refused(b"\x08\x05", Code.INTERNAL)

    def test_unknown_fields_are_no_error(self):
        reply = self.call(field(1, b"x") + field(1000, b"what") + varint(1001 << 3) + b"\7")
        self.assertEqual(pb.Reply.FromString(reply).text, "x")

    def test_depth(self):
        self.call(nested(90))
        self.refused(nested(110), Code.RESOURCE_EXHAUSTED)

    def test_a_depth_that_would_end_a_thread(self):
        self.refused(nested(10000), Code.RESOURCE_EXHAUSTED)

    def test_a_depth_in_an_unknown_field(self):
        """Nobody looks into it, so it is as good as any other."""
        self.call(field(99, nested(1000)))

    def test_a_message_that_merges_in_quadratic_time(self):
        part = field(7, field(3, b"\1" * 4))
        self.refused(part * (1280 * 1024 // len(part)), Code.RESOURCE_EXHAUSTED, Code.INTERNAL)

    def test_a_message_that_grows_a_hundred_times(self):
        self.refused(field(7, b"\x12\0" * MIB), Code.RESOURCE_EXHAUSTED)

    def test_many_of_them_at_a_time(self):
        part = field(7, field(3, b"\1" * 4))
        bodies = [nested(10000), field(7, b"\x12\0" * MIB), part * (MIB // len(part)),
                  field(1, b"\xff")]
        calls = [self.channel.unary_unary("/afar.test.Echo/Unary").future(b, timeout=PATIENCE)
                 for b in bodies * 8]
        for call in calls:
            self.assertIn(call.exception(PATIENCE).code(),
                          (Code.RESOURCE_EXHAUSTED, Code.INTERNAL))
        self.is_alive()

    def test_a_bad_message_in_the_middle_of_a_stream(self):
        stream = self.channel.stream_stream("/afar.test.Echo/Both")
        replies = stream(iter([field(1, b"good"), field(1, b"\xff")]), timeout=PATIENCE)
        with self.assertRaises(grpc.RpcError) as caught:
            list(replies)
        self.assertEqual(caught.exception.code(), Code.INTERNAL)
        self.is_alive()

    def test_a_unary_call_without_a_message(self):
        call = self.channel.stream_unary("/afar.test.Echo/Unary")
        with self.assertRaises(grpc.RpcError) as caught:
            call(iter(()), timeout=PATIENCE)
        self.assertIn(caught.exception.code(), (Code.INTERNAL, Code.INVALID_ARGUMENT,
                                                Code.UNIMPLEMENTED))
        self.assertTrue(caught.exception.details())
        self.is_alive()

    def test_a_unary_call_with_two_messages(self):
        """What comes after the first is not read: an answer or an error, and no hang."""
        call = self.channel.stream_unary("/afar.test.Echo/Unary")
        try:
            call(iter([b"", b""]), timeout=PATIENCE)
        except grpc.RpcError as error:
            self.assertNotEqual(error.code(), Code.DEADLINE_EXCEEDED)
        self.is_alive()

    def test_a_bad_request_of_a_server_stream(self):
        call = self.channel.unary_stream("/afar.test.Echo/Down")
        with self.assertRaises(grpc.RpcError) as caught:
            list(call(field(1, b"\xff"), timeout=PATIENCE))
        self.assertEqual(caught.exception.code(), Code.INTERNAL)

    def test_a_compressed_bomb(self):
        """A small message that would be 256 MiB after inflating it: refused, and
        not at the price of 256 MiB."""
        before = self.peak()
        with self.assertRaises(grpc.RpcError) as caught:
            self.echo.Unary(pb.Request(payload=bytes(256 * MIB)),
                            compression=grpc.Compression.Gzip, timeout=PATIENCE)
        self.assertEqual(caught.exception.code(), Code.RESOURCE_EXHAUSTED)
        self.is_alive()
        self.assertLess(self.peak() - before, 64 * MIB)

    def peak(self):
        """The most memory that the server ever had, in bytes."""
        with open(f"/proc/{self.server.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def test_metadata_over_the_limit(self):
        error = self.fails(Code.RESOURCE_EXHAUSTED, self.echo.Unary, pb.Request(),
                           metadata=(("x-long", "y" * 20000),))
        self.assertTrue(error.details())
        self.is_alive()


class Objects(ServerTest):
    """Which object a call goes to, as the metadata afar-object says."""

    def ask(self, name):
        metadata = () if name is None else (("afar-object", name),)
        return self.echo.Unary(pb.Request(text="x"), metadata=metadata, timeout=PATIENCE)

    def test_by_name(self):
        for name in ("alice", "bob"):
            self.assertEqual(self.ask(name).object, name)

    def test_the_default(self):
        self.assertEqual(self.ask(None).object, "")
        self.assertEqual(self.ask("").object, "")

    def test_a_name_that_nobody_has(self):
        for name in ("carol", "alice/", "monitor", "a" * 5000):
            error = self.fails(Code.NOT_FOUND, self.echo.Unary, pb.Request(),
                               metadata=(("afar-object", name),))
            self.assertIn(name[:20], error.details())

    def test_the_only_object_of_its_interface_is_its_default(self):
        self.look()
        self.monitor.Look(pb.LookRequest(), metadata=(("afar-object", "monitor"),),
                          timeout=PATIENCE)

    def test_a_serial_object_serves_one_at_a_time_and_others_meanwhile(self):
        """alice's calls are held one after the other: deferring ends a turn."""
        before = self.look()
        calls = [self.echo.Unary.future(pb.Request(hold=True), timeout=PATIENCE,
                                        metadata=(("afar-object", "alice"),)) for _ in range(20)]
        self.look(held=before.held + 20)
        self.assertEqual(self.ask("bob").object, "bob")
        self.resume()
        for call in calls:
            call.result(PATIENCE)


# ---- below gRPC ----

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def header(name, value):
    """HPACK: a literal without indexing, new name, no Huffman."""
    def text(string):
        assert len(string) < 127
        return bytes([len(string)]) + string.encode()
    return b"\0" + text(name) + text(value)


def frame(kind, flags, stream, content):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) \
        + struct.pack(">I", stream) + content


def request_frames(stream=1, **changed):
    """The frames of Unary with an empty message; a header that is None is left out."""
    headers = {":method": "POST", ":scheme": "http", ":path": "/afar.test.Echo/Unary",
               ":authority": "x", "content-type": "application/grpc", "te": "trailers"}
    headers.update({name.replace("_", "-").replace("pseudo-", ":"): value
                    for name, value in changed.items()})
    block = b"".join(header(n, v) for n, v in headers.items() if v is not None)
    return frame(1, 4, stream, block) + frame(0, 1, stream, b"\0\0\0\0\0")


def frames_in(data):
    """(kind, stream, content) of each whole frame."""
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        if len(data) < 9 + length:
            return
        yield data[3], int.from_bytes(data[5:9], "big"), data[9:9 + length]
        data = data[9 + length:]


class BelowGrpc(ServerTest):
    def connect(self):
        host, port = self.server.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), PATIENCE)
        self.addCleanup(connection.close)
        connection.settimeout(PATIENCE)
        return connection

    def answer_to(self, data, until=lambda data: False, is_all=False):
        """All that comes until the server closes or what came is enough."""
        connection = self.connect()
        received = b""
        try:
            connection.sendall(data)
            if is_all:
                connection.shutdown(socket.SHUT_WR)
            while not until(received):
                more = connection.recv(65536)
                if not more:
                    break
                received += more
        except TimeoutError:
            raise
        except OSError:  # it was closed while we were writing
            pass
        return received

    def closes(self, data):
        """The server ends the connection, at the latest when we send no more."""
        self.answer_to(data, is_all=True)
        self.is_alive()

    def test_a_request_by_hand(self):
        def answered(data):
            return any(kind == 1 and stream == 1 for kind, stream, _ in frames_in(data))
        self.assertTrue(answered(self.answer_to(PREFACE + SETTINGS + request_frames(), answered)))

    def test_a_request_with_a_wrong_header(self):
        """An answer, a reset of the stream, or the end of the connection."""
        def answered(data):
            return any(kind in (1, 3, 7) and stream in (0, 1)
                       for kind, stream, _ in frames_in(data))
        for change in ({"te": "banana"}, {"te": None}, {"content_type": "text/plain"},
                       {"content_type": None}, {"pseudo_method": "DELETE"},
                       {"pseudo_path": None}, {"pseudo_scheme": "gopher"},
                       {"grpc_timeout": "soon"}, {"grpc_timeout": "99999999999999H"},
                       {"grpc_encoding": "rot13"}, {"afar_object": "\x01"}):
            with self.subTest(change=change):
                self.answer_to(PREFACE + SETTINGS + request_frames(**change), answered)
                self.is_alive()

    def test_http_1(self):
        self.closes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    def test_tls(self):
        self.closes(bytes.fromhex("16030100a5010000a10303") + os.urandom(160))

    def test_garbage(self):
        for data in (b"\0" * 100, b"\xff" * 100000, b"hello\n", PREFACE[:-3] + b"abc",
                     bytes(reversed(PREFACE)), b"P" * 24):
            self.closes(data)

    def test_garbage_after_the_preface(self):
        for data in (b"\xff" * 100, frame(1, 4, 1, b"\xff" * 50), frame(0, 1, 7, b"data"),
                     frame(4, 0, 0, b"12345"), frame(9, 4, 1, b"")):
            self.closes(PREFACE + SETTINGS + data)

    def test_a_connection_that_leaves_at_once(self):
        for data in (b"", b"P", PREFACE, PREFACE + SETTINGS, PREFACE + SETTINGS + b"\0\0"):
            connection = self.connect()
            connection.sendall(data)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.is_alive()

    def test_a_preface_byte_by_byte(self):
        connection = self.connect()
        for byte in PREFACE + SETTINGS:
            connection.sendall(bytes([byte]))
        self.assertTrue(connection.recv(9))

    def test_a_call_that_leaves_in_its_middle(self):
        for length in range(30, len(request_frames()), 7):
            connection = self.connect()
            connection.sendall(PREFACE + SETTINGS + request_frames()[:length])
            connection.close()
        self.is_alive()


class Crowds(unittest.TestCase):
    """Connections that cost a server something and bring it nothing."""

    def start(self, *options):
        self.server = Server(AFAR_SERVER, "127.0.0.1:0", *options)
        host, port = self.server.address.rsplit(":", 1)
        self.port = (host, int(port))

    def connect(self):
        connection = socket.create_connection(self.port, PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def serves(self):
        with self.server.channel() as channel:
            return stubs.EchoStub(channel).Unary(pb.Request(text="x"), timeout=PATIENCE,
                                                 wait_for_ready=True).text == "x"

    def is_closed(self, connection):
        connection.settimeout(PATIENCE)
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True

    def test_silent_connections_are_closed(self):
        self.start("--silent", "300")
        silent = [self.connect() for _ in range(20)]
        slow = self.connect()
        slow.sendall(PREFACE[:5])
        start = time.monotonic()
        self.assertTrue(all(self.is_closed(connection) for connection in silent + [slow]))
        self.assertGreater(time.monotonic() - start, 0.2)
        self.assertTrue(self.serves())
        self.server.stop()

    def test_connections_over_the_limit_are_closed(self):
        self.start("--connections", "3")
        with self.server.channel() as channel:
            echo = stubs.EchoStub(channel)
            echo.Unary(pb.Request(), timeout=PATIENCE)
            kept = [self.connect() for _ in range(2)]
            self.assertTrue(self.is_closed(self.connect()))
            echo.Unary(pb.Request(), timeout=PATIENCE)  # who is in stays in
            for connection in kept:
                connection.close()
            self.assertTrue(self.serves())
        self.server.stop()

    def test_running_out_of_descriptors(self):
        self.start("--silent", "600000")
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (64, 64))
        with self.server.channel() as channel:
            echo = stubs.EchoStub(channel)
            echo.Unary(pb.Request(), timeout=PATIENCE)
            crowd = [self.connect() for _ in range(100)]
            count = lambda: len(os.listdir(f"/proc/{self.server.pid}/fd"))
            wait_until(lambda: count() >= 60, "the descriptors are used up")
            echo.Unary(pb.Request(), timeout=PATIENCE)
            for connection in crowd:
                connection.close()
            self.assertTrue(self.serves())
        self.server.stop()

    def test_a_thousand_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 2200:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        self.start()
        crowd = [self.connect() for _ in range(1000)]
        for connection in crowd:
            connection.sendall(PREFACE + SETTINGS)
        for connection in crowd:
            connection.settimeout(PATIENCE)
            self.assertTrue(connection.recv(9))
        self.assertTrue(self.serves())
        for connection in crowd:
            connection.close()
        self.server.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
