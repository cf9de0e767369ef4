"""What the interop tests share: stubs, and servers as real processes.

The stubs are made by protoc into a folder that goes with this process.  Every
wait has an upper bound, PATIENCE, far above what a busy machine needs; nothing
sleeps to let something happen.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"
PATIENCE = 30.0

# Where the C programs are.
BIN = os.environ.get("AFAR_BIN", os.path.join(ROOT, "build", "release", "bin"))

# What this process starts has its temporary files in it as well: they go also when that is killed.
SCRATCH = tempfile.mkdtemp(prefix="afar-interop-")
os.environ["TMPDIR"] = SCRATCH
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


def make_stubs():
    """Compiles test.proto and what it imports to Python."""
    out = os.path.join(SCRATCH, "stubs")
    os.mkdir(out)
    subprocess.run(
        ["protoc", "-I", HERE, "-I", os.path.join(ROOT, "idl"),
         "--python_out", out, "--grpc_python_out", out,
         "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
         "afar/options.proto", "google/rpc/status.proto", "test.proto"],
        check=True)
    sys.path.insert(0, out)


make_stubs()
import test_pb2 as pb
import test_pb2_grpc as stubs
from google.rpc import status_pb2 as rpc_status  # noqa: F401 (for the tests)


class Server:
    """A server in a process of its own, ready when the constructor returns.  One
    that is still there when this process ends, ends with it."""

    running = []

    def __init__(self, command, address="127.0.0.1:0", *options):
        self.process = subprocess.Popen(command + [address, *options], stdout=subprocess.PIPE,
                                        text=True)
        Server.running.append(self)
        line = self.process.stdout.readline()
        if "serving at " not in line:
            self.kill()
            raise RuntimeError(f"{command[-1]} did not start: {line!r}")
        self.address = line.split()[-1]
        self.pid = self.process.pid

    def stop(self):
        """Asks it to end, and is strict about how it does."""
        self.terminate()
        status = self.wait()
        if status != 0:
            raise AssertionError(f"the server ended with {status}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.kill()
        self.wait()

    def wait(self):
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        Server.running.remove(self)
        return status

    def name(self):
        """The address as the C client writes it."""
        return self.address if self.address.startswith("unix:") else "grpc://" + self.address

    def channel(self, *options, **more):
        """A connection that no other channel shares."""
        return grpc.insecure_channel(
            self.address, [("grpc.use_local_subchannel_pool", 1), *options], **more)


@atexit.register
def kill_what_is_left():
    for server in list(Server.running):
        server.kill()


AFAR_SERVER = [os.path.join(BIN, "echo_server")]
PYTHON_SERVER = [PYTHON, os.path.join(HERE, "python_server.py")]
SERVERS = {"Afar": AFAR_SERVER, "Python": PYTHON_SERVER}


def address_of(transport, name):
    return "127.0.0.1:0" if transport == "tcp" else f"unix:{SCRATCH}/{name}.sock"


def wait_until(condition, what):
    """Looks until it holds; for what gives no sign of its own, such as a file."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        threading.Event().wait(0.01)


class ServerTest(unittest.TestCase):
    """Tests against one server, which all of a class share and which must end
    well.  What they say of its counters is relative."""

    command = AFAR_SERVER
    transport = "tcp"
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.command, address_of(cls.transport, cls.__name__), *cls.options)
        cls.channel = cls.server.channel()
        cls.watching = cls.server.channel()
        cls.echo = stubs.EchoStub(cls.channel)
        cls.monitor = stubs.MonitorStub(cls.watching)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.watching.close()
        cls.server.stop()

    def look(self, **condition):
        """What happened in the server, as soon as the condition holds."""
        return self.monitor.Look(pb.LookRequest(**condition), timeout=PATIENCE)

    def resume(self):
        self.monitor.Resume(pb.Nothing(), timeout=PATIENCE)

    def fails(self, code, call, *arguments, **more):
        """The call fails with that status; returns the error."""
        more.setdefault("timeout", PATIENCE)
        with self.assertRaises(grpc.RpcError) as caught:
            answer = call(*arguments, **more)
            if not hasattr(answer, "SerializeToString") and not isinstance(answer, bytes):
                list(answer)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception

    def is_alive(self):
        """The server goes on serving, whatever was done to it."""
        with self.server.channel() as channel:
            reply = stubs.EchoStub(channel).Unary(pb.Request(text="alive"), timeout=PATIENCE)
        self.assertEqual(reply.text, "alive")
