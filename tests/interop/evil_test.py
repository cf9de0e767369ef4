#!/usr/bin/python3
"""The C client against servers that send what no honest server sends.

Labels: concurrent
"""

import os
import socket
import subprocess
import sys
import threading
import unittest
from concurrent import futures

import grpc

from harness import BIN, PATIENCE, pb

CLIENT = os.path.join(BIN, "evil_client")
MIB = 1 << 20


def unary(body, context):
    """Unary, served as a stream of raw bytes: so many replies as it likes."""
    request = pb.Request.FromString(body)
    if request.text == "raw":
        yield request.payload
    elif request.text == "large":
        yield bytes(5 * MIB)
    elif request.text == "twice":
        yield b""
        yield b""
    elif request.text == "details":
        context.set_trailing_metadata([("grpc-status-details-bin", request.payload)])
        context.abort(grpc.StatusCode.ABORTED, "with details")
    elif request.text in ("gzip", "bomb"):
        context.set_compression(grpc.Compression.Gzip)
        size = 96 * MIB if request.text == "bomb" else MIB
        yield pb.Reply(payload=bytes(size)).SerializeToString()


def down(body, context):
    yield b""
    yield pb.Request.FromString(body).payload
    yield b""


def evil_grpc():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("afar.test.Echo", {
        "Unary": grpc.unary_stream_rpc_method_handler(unary),
        "Down": grpc.unary_stream_rpc_method_handler(down),
    })])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"grpc://127.0.0.1:{port}"


# What other servers say to whoever connects; None: they leave at once.
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
WORDS = (None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 4096,
         b"\xff" * 100, SETTINGS[:5], b"\0\0\6\4\0\0\0\0\0\0\4\xff\xff\xff\xff",
         SETTINGS + b"\xff" * 64, b"\x15\3\1\0\2\2\x28")


def talk(listener, words):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(PATIENCE)
            try:
                if words is not None:
                    connection.sendall(words)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
            except OSError:
                pass


def other_servers():
    listeners = []
    for words in WORDS:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=talk, args=(listener, words), daemon=True).start()
        listeners.append(listener)
    return listeners


class EvilServers(unittest.TestCase):
    def test_c_client(self):
        server, address = evil_grpc()
        listeners = other_servers()
        raw = " ".join(f"grpc://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
        environment = dict(os.environ, ECHO_ADDRESS=address, RAW_ADDRESSES=raw)
        client = subprocess.run([CLIENT], env=environment, stdout=subprocess.PIPE, text=True)
        print(client.stdout, end="", file=sys.stderr)
        self.assertEqual(client.returncode, 0)
        for listener in listeners:
            listener.close()
        server.stop(0).wait()


if __name__ == "__main__":
    unittest.main(verbosity=2)
