#!/usr/bin/python3
"""References without sessions: grpcio gets them from Afar and gives its own, as addresses.

Labels: concurrent
"""

import os
import select
import socket
import subprocess
import unittest
from concurrent import futures

import grpc

from harness import (BIN, PATIENCE, ROOT, SCRATCH, Server, ServerTest, address_of, wait_until)

BANK = os.path.join(ROOT, "examples", "bank")
DESK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "session_peer")
SESSION_SERVER = [os.path.join(BIN, "session_server")]
COUNTER, LISTENER = "afar.test.desk.Counter", "afar.test.desk.Listener"


def make_stubs():
    """Into the folder of the harness, which is in the path."""
    out = os.path.join(SCRATCH, "stubs")
    subprocess.run(["protoc", "-I", DESK, "-I", BANK, "-I", os.path.join(ROOT, "idl"),
                    "--python_out", out, "--grpc_python_out", out,
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                    "afar/ref.proto", "afar/options.proto", "desk.proto", "account.proto"],
                   check=True)


make_stubs()
import account_pb2 as bank  # noqa: E402
import account_pb2_grpc as bank_stubs  # noqa: E402
import desk_pb2 as desk  # noqa: E402
import desk_pb2_grpc as desk_stubs  # noqa: E402
from afar.ref_pb2 import Ref  # noqa: E402

NOTHING = desk.Nothing()
NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
INVALID = grpc.StatusCode.INVALID_ARGUMENT
FAILED = grpc.StatusCode.FAILED_PRECONDITION


class Object:
    """What a reference stands for: a channel to its address, and its name there."""

    def __init__(self, ref, stub):
        self.channel = grpc.insecure_channel(ref.address.removeprefix("grpc://"))
        self.stub = stub(self.channel)
        self.metadata = (("afar-object", ref.object.decode()),)

    def call(self, method, request, timeout=PATIENCE):
        return getattr(self.stub, method)(request, timeout=timeout, metadata=self.metadata)

    def close(self):
        self.channel.close()


class Heard(desk_stubs.ListenerServicer):
    """A listener that is a plain gRPC service; it says by which name it was called."""

    def Hear(self, request, context):
        name = dict(context.invocation_metadata()).get("afar-object", "")
        return desk.Text(text=f"{name} heard {request.text}")

    def Talk(self, requests, context):
        for request in requests:
            yield desk.Text(text=f"heard {request.text}")


def serve(add, servicer):
    """A server of grpcio's, and its address."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


class Desk(ServerTest):
    command = SESSION_SERVER

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.command, address_of(cls.transport, cls.__name__), *cls.options)
        cls.channel = cls.server.channel()
        cls.desk = desk_stubs.DeskStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.server.stop()

    def make(self):
        return self.desk.Make(NOTHING, timeout=PATIENCE).counter

    def counter(self):
        counter = Object(self.make(), desk_stubs.CounterStub)
        self.addCleanup(counter.close)
        return counter

    def seen(self):
        return self.desk.Look(NOTHING, timeout=PATIENCE)

    def keep(self, timeout=PATIENCE, **members):
        return self.desk.Keep(desk.ListenerRef(listener=Ref(**members)), timeout=timeout)

    def use(self, text, timeout=PATIENCE):
        return self.desk.Use(desk.Text(text=text), timeout=timeout).text


class Lent(Desk):
    def test_a_reference_is_an_address_and_a_name(self):
        ref = self.make()
        self.assertEqual(ref.address, self.server.name())
        self.assertRegex(ref.object, b"^[0-9a-f]{32}$")
        self.assertEqual(ref.interface, COUNTER)
        self.assertEqual((ref.index, ref.key, ref.token), (0, b"", b""))

    def test_it_can_be_called(self):
        one, other = self.counter(), self.counter()
        self.assertEqual(one.call("Add", desk.Amount(amount=3)).amount, 3)
        self.assertEqual(other.call("Add", desk.Amount(amount=5)).amount, 5)
        self.assertEqual(one.call("Add", desk.Amount(amount=4)).amount, 7)

    def test_it_is_of_its_interface_only(self):
        counter = self.counter()
        counter.stub = desk_stubs.DeskStub(counter.channel)
        self.fails(grpc.StatusCode.UNIMPLEMENTED, counter.call, "Echo", desk.Text(text="x"))

    def test_it_is_no_default_object(self):
        """Who does not know the name does not get at it, though it is the only one."""
        self.counter()
        with self.server.channel() as channel:
            self.fails(grpc.StatusCode.UNIMPLEMENTED, desk_stubs.CounterStub(channel).Add,
                       desk.Amount(amount=1))

    def test_a_name_that_nobody_was_given(self):
        counter = self.counter()
        counter.metadata = (("afar-object", "0123456789abcdef" * 2),)
        self.fails(NOT_FOUND, counter.call, "Add", desk.Amount(amount=1))

    def test_references_that_come_home(self):
        refs = [self.make() for _ in range(3)]
        for ref in refs:
            counter = Object(ref, desk_stubs.CounterStub)
            counter.call("Add", desk.Amount(amount=10))
            counter.close()
        reply = self.desk.Sum(desk.SumRequest(counters=[desk.CounterRef(counter=ref)
                                                        for ref in refs]), timeout=PATIENCE)
        self.assertEqual(reply.amount, 30)


class LentOverAUnixSocket(Lent):
    transport = "unix"


class Leases(Desk):
    """Of two seconds: those that are called live longer."""

    options = ("2000",)

    def test_leases_end(self):
        before = self.seen().finalized
        used, idle = self.counter(), self.counter()
        calls = 0
        while self.seen().finalized == before:
            calls += 1
            self.assertEqual(used.call("Add", desk.Amount(amount=1)).amount, calls)
        self.fails(NOT_FOUND, idle.call, "Add", desk.Amount(amount=1))
        wait_until(lambda: self.seen().finalized == before + 2, "the end of a lease")
        self.fails(NOT_FOUND, used.call, "Add", desk.Amount(amount=1))


class Limit(Desk):
    options = ("60000", "3")

    def test_more_than_may_be_lent(self):
        refs = [self.make() for _ in range(3)]
        error = self.fails(EXHAUSTED, self.desk.Make, NOTHING)
        self.assertIn("max_lent", error.details())
        wait_until(lambda: self.seen().finalized == 1, "the end of the one that was not lent")
        counter = Object(refs[0], desk_stubs.CounterStub)
        self.assertEqual(counter.call("Add", desk.Amount(amount=1)).amount, 1)
        counter.close()


class Received(Desk):
    """What Afar does with addresses that it is sent."""

    def setUp(self):
        self.python, self.address = serve(desk_stubs.add_ListenerServicer_to_server, Heard())
        self.addCleanup(lambda: self.python.stop(None).wait())

    def test_an_object_of_a_plain_server_is_called(self):
        for address in (f"grpc://{self.address}", self.address):
            for name in (b"", b"ear/left"):
                self.keep(address=address, object=name, interface=LISTENER)
                self.assertEqual(self.use("you"), f"{name.decode()} heard you")

    def test_within_one_call(self):
        request = desk.CallBackRequest(listener=Ref(address=f"grpc://{self.address}"), times=3)
        self.assertEqual(self.desk.CallBack(request, timeout=PATIENCE).texts,
                         [" heard 1", " heard 2", " heard 3"])
        self.assertEqual(self.desk.TalkBack(request, timeout=PATIENCE).texts,
                         ["heard 1", "heard 2", "heard 3"])

    def test_wrong_interfaces(self):
        error = self.fails(INVALID, self.keep, address=f"grpc://{self.address}",
                           interface=COUNTER)
        self.assertIn(COUNTER, error.details())
        self.assertIn(LISTENER, error.details())

    def test_addresses_and_names_that_are_none(self):
        for address in ("grpc://", "grpc://127.0.0.1", "grpc://127.0.0.1:0", "127.0.0.1:0",
                        "grpc://a b:7000", "grpc://127.0.0.1:70000", "http://127.0.0.1:80",
                        "dns:///localhost:80", "grpc://127.0.0.1:80/name", "inproc:x", "unix:",
                        "unix:" + 200 * "x", "x" * 5000, "\n", "grpc://" + 300 * "h" + ":1"):
            error = self.fails(INVALID, self.keep, address=address)
            self.assertNotIn("\n", error.details())
        for name in (b"a//b", b"/a", b"a\0b", b"a\nb", b"\xff", 256 * b"a"):
            self.fails(INVALID, self.keep, address=f"grpc://{self.address}", object=name)
        self.assertEqual(self.desk.Echo(desk.Text(text="alive"), timeout=PATIENCE).text, "alive")

    def test_too_many_references(self):
        one = desk.CounterRef(counter=Ref(address=f"grpc://{self.address}"))
        error = self.fails(EXHAUSTED, self.desk.Sum, desk.SumRequest(counters=4097 * [one]))
        self.assertIn("4096", error.details())

    def test_a_reference_without_an_address_is_none(self):
        self.keep(object=b"x", interface=COUNTER, index=7, key=bytes(32), token=b"t")
        self.fails(FAILED, self.use, "nobody")

    def test_nothing_is_opened_before_the_first_call(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.keep(address="grpc://127.0.0.1:%d" % listener.getsockname()[1])
            self.desk.Echo(desk.Text(text="time passes"), timeout=PATIENCE)
            self.assertEqual(select.select([listener], [], [], 0)[0], [])
            call = self.desk.Use.future(desk.Text(text="now"), timeout=PATIENCE)
            self.assertEqual(select.select([listener], [], [], PATIENCE)[0], [listener])
            call.cancel()

    def test_nobody_is_there(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        self.keep(address=f"grpc://127.0.0.1:{port}")
        self.fails(grpc.StatusCode.UNAVAILABLE, self.use, "x")

    def test_an_address_for_sessions(self):
        """A counter of another server, which is told to open a session to it."""
        other = Server(SESSION_SERVER)
        with other.channel() as channel:
            counter = desk_stubs.DeskStub(channel).Make(NOTHING, timeout=PATIENCE).counter
        counter.address = f"afar://{other.address}"
        reply = self.desk.Sum(desk.SumRequest(counters=[desk.CounterRef(counter=counter)]),
                              timeout=PATIENCE)
        self.assertEqual(reply.amount, 0)
        other.stop()


class Introducer(bank_stubs.BankServicer):
    """A bank without accounts: it knows where they are."""

    def __init__(self, address):
        self.address = address

    def Open(self, request, context):
        return bank.OpenReply(account=Ref(
            address=self.address, object=f"bank/accounts/{request.customer}".encode(),
            interface="bank.Stamp" if request.customer == "stamps" else "bank.Account"))


class InC(unittest.TestCase):
    """A client in C that is given addresses by a server in Python."""

    def setUp(self):
        self.accounts = Server([os.path.join(BIN, "bank-server")])
        self.addCleanup(self.accounts.stop)

    def run_client(self, address, customer):
        python, bank_address = serve(bank_stubs.add_BankServicer_to_server, Introducer(address))
        client = subprocess.run(
            [os.path.join(BIN, "bank-client"), "--of", customer, f"grpc://{bank_address}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        python.stop(None).wait()
        return client

    def test_the_account_is_called(self):
        for number, scheme in enumerate(("grpc://", "afar://", ""), 1):
            client = self.run_client(scheme + self.accounts.address, "alice")
            self.assertEqual((client.returncode, client.stderr), (0, ""))
            self.assertIn(f"are missing (balance {4000 * number})", client.stdout)

    def test_an_account_that_is_not_there(self):
        client = self.run_client(f"grpc://{self.accounts.address}", "carol")
        self.assertEqual(client.returncode, 1)
        self.assertIn("NOT_FOUND", client.stderr)

    def test_another_interface(self):
        client = self.run_client(f"grpc://{self.accounts.address}", "stamps")
        self.assertEqual(client.returncode, 1)
        self.assertIn("INVALID_ARGUMENT", client.stderr)
        self.assertIn("bank.Stamp", client.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
