#!/usr/bin/python3
"""How calls end when a process does: asked to (SIGTERM), or not (SIGKILL).

Labels: concurrent
"""

import os
import socket
import subprocess
import threading
import time
import unittest

import grpc

from harness import AFAR_SERVER, BIN, PATIENCE, PYTHON_SERVER, Server, pb, stubs, wait_until

LOST_CLIENT = os.path.join(BIN, "lost_client")
SOON = 10.0  # seconds; far above what is measured, far below a keepalive or a TCP time-out


def refuses(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except ConnectionError:
        return True
    return False


class Talk:
    """A bidirectional stream, one request at a time."""

    def __init__(self, channel):
        self.queue = []
        self.filled = threading.Condition()
        self.call = stubs.EchoStub(channel).Both(self.requests(), timeout=PATIENCE)

    def requests(self):
        while True:
            with self.filled:
                self.filled.wait_for(lambda: self.queue)
                request = self.queue.pop(0)
            if request is None:
                return
            yield request

    def say(self, text):
        self.put(pb.Request(text=text))
        return next(self.call).text

    def put(self, request):
        with self.filled:
            self.queue.append(request)
            self.filled.notify()


class Stopping(unittest.TestCase):
    command = AFAR_SERVER

    def start(self, *options):
        server = Server(self.command, "127.0.0.1:0", *options)
        return server

    def start_and_call(self, *options):
        """It is known to run, and not only to be about to."""
        server = self.start(*options)
        with server.channel() as channel:
            stubs.EchoStub(channel).Unary(pb.Request(), timeout=PATIENCE)
        return server

    def test_an_idle_server_ends_at_once(self):
        server = self.start_and_call()
        start = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - start, SOON)

    def test_running_calls_finish(self):
        """A stream that is open when the server is told to stop goes on; new
        connections are refused meanwhile."""
        server = self.start("--grace", "30000")
        with server.channel() as channel:
            talk = Talk(channel)
            self.assertEqual(talk.say("before"), "before")
            server.terminate()
            wait_until(lambda: refuses(server.address), "the port is closed")
            self.assertEqual(talk.say("after"), "after")
            talk.put(None)
            self.assertEqual(list(talk.call), [])
            self.assertEqual(talk.call.code(), grpc.StatusCode.OK)
        self.assertEqual(server.wait(), 0)

    def test_the_server_waits_no_longer_than_its_last_call(self):
        server = self.start("--grace", "600000")
        with server.channel() as channel:
            talk = Talk(channel)
            self.assertEqual(talk.say("before"), "before")
            server.terminate()
            wait_until(lambda: refuses(server.address), "the port is closed")
            talk.put(None)
            self.assertEqual(list(talk.call), [])
        self.assertEqual(server.wait(), 0)

    def test_longer_calls_are_cancelled(self):
        server = self.start("--grace", "300")
        with server.channel() as channel, server.channel() as watching:
            held = stubs.EchoStub(channel).Unary.future(pb.Request(hold=True), timeout=PATIENCE)
            talk = Talk(channel)
            self.assertEqual(talk.say("before"), "before")
            stubs.MonitorStub(watching).Look(pb.LookRequest(held=1), timeout=PATIENCE)
            server.terminate()
            start = time.monotonic()
            self.assertIn(held.exception(PATIENCE).code(),
                          (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))
            self.assertEqual(server.wait(), 0)
            self.assertGreater(time.monotonic() - start, 0.25)
            self.assertLess(time.monotonic() - start, SOON)
            talk.put(None)
            with self.assertRaises(grpc.RpcError):
                list(talk.call)

    def test_no_grace(self):
        server = self.start("--grace", "-1")
        with server.channel() as channel, server.channel() as watching:
            held = stubs.EchoStub(channel).Unary.future(pb.Request(hold=True), timeout=PATIENCE)
            stubs.MonitorStub(watching).Look(pb.LookRequest(held=1), timeout=PATIENCE)
            start = time.monotonic()
            server.stop()
            self.assertLess(time.monotonic() - start, SOON)
            self.assertIsNotNone(held.exception(PATIENCE))

    def test_a_thousand_calls_are_running(self):
        server = self.start("--grace", "200")
        with server.channel() as channel, server.channel() as watching:
            echo = stubs.EchoStub(channel)
            calls = [echo.Unary.future(pb.Request(hold=True), timeout=PATIENCE)
                     for _ in range(1000)]
            stubs.MonitorStub(watching).Look(pb.LookRequest(held=1000), timeout=PATIENCE)
            server.stop()
            for call in calls:
                self.assertIsNotNone(call.exception(PATIENCE))


    def test_a_client_that_is_connected_and_does_nothing(self):
        """It does not hear that the server goes; the server does not wait for it all its grace
        time, which is five seconds."""
        bank = Server([os.path.join(BIN, "bank-server")], "127.0.0.1:0")
        client = subprocess.Popen([os.path.join(BIN, "bank-client"),
                                   f"{bank.name()}/bank/accounts/bob", "-"], bufsize=1, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(client.stdout.close)
        client.stdin.write("100\n")
        self.assertIn("balance", client.stdout.readline())
        start = time.monotonic()
        bank.stop()
        self.assertLess(time.monotonic() - start, 4)
        client.stdin.close()
        self.assertEqual(client.wait(PATIENCE), 0)


class Killing(unittest.TestCase):
    def lost_client(self, server, test):
        """The client in its call."""
        client = subprocess.Popen([LOST_CLIENT, test], stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, ECHO_ADDRESS=server.name()))
        self.addCleanup(client.stdout.close)
        self.assertEqual(client.stdout.readline(), "held\n")
        return client

    def lose_the_server(self, command, test):
        server = Server(command)
        client = self.lost_client(server, test)
        start = time.monotonic()
        server.kill()
        output = client.communicate(timeout=PATIENCE)[0]
        self.assertEqual(client.returncode, 0, output)
        self.assertLess(time.monotonic() - start, SOON)

    def test_the_server_of_a_unary_call(self):
        for command in (AFAR_SERVER, PYTHON_SERVER):
            self.lose_the_server(command, "lose_the_server")

    def test_the_server_of_a_stream(self):
        for command in (AFAR_SERVER, PYTHON_SERVER):
            self.lose_the_server(command, "lose_the_server_of_a_stream")

    def test_the_client(self):
        """The handler is told."""
        server = Server(AFAR_SERVER)
        client = self.lost_client(server, "be_lost")
        client.kill()
        client.wait(PATIENCE)
        with server.channel() as watching:
            stubs.MonitorStub(watching).Look(pb.LookRequest(cancelled=1), timeout=SOON)
        server.stop()

    def test_the_python_client_of_a_server_that_is_killed(self):
        server = Server(AFAR_SERVER)
        with server.channel() as channel, server.channel() as watching:
            held = stubs.EchoStub(channel).Unary.future(pb.Request(hold=True), timeout=PATIENCE)
            stubs.MonitorStub(watching).Look(pb.LookRequest(held=1), timeout=PATIENCE)
            server.kill()
            self.assertEqual(held.exception(SOON).code(), grpc.StatusCode.UNAVAILABLE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
