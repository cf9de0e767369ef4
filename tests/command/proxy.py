"""A name server that may lie: it hands everything to a real one and changes what that
says, as a test wants it."""

import os
import subprocess
import sys
from concurrent import futures

import grpc

from harness import PATIENCE, ROOT, SCRATCH


def make_stubs():
    out = os.path.join(SCRATCH, "stubs")
    os.mkdir(out)
    subprocess.run(
        ["protoc", "-I", os.path.join(ROOT, "idl"), "--python_out", out, "--grpc_python_out", out,
         "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
         "afar/options.proto", "afar/names.proto", "afar/node.proto"], check=True)
    sys.path.insert(0, out)


make_stubs()
from afar import names_pb2 as pb
from afar import names_pb2_grpc as stubs

METHODS = ("Challenge", "Register", "Renew", "Unregister", "Lookup", "List")


def serve(handlers=()):
    """A plain gRPC server; its address, and the server, which is to be stopped."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(tuple(handlers))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return f"127.0.0.1:{port}", server


class Proxy:
    """`ask` and `answer` have functions by the name of a method: they change a request on
    its way, and an answer.  `asked` counts the calls."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        real = stubs.NamesStub(self.channel)
        self.ask, self.answer = {}, {}
        self.asked = dict.fromkeys(METHODS, 0)
        handlers = {}
        for method in METHODS:
            handlers[method] = grpc.unary_unary_rpc_method_handler(
                self.forward(method, getattr(real, method)),
                getattr(pb, method + "Request").FromString,
                getattr(pb, method + "Reply").SerializeToString)
        service = grpc.method_handlers_generic_handler("afar.names.v1.Names", handlers)
        self.address, self.server = serve([service])

    def forward(self, method, call):
        def handle(request, context):
            self.asked[method] += 1
            self.ask.get(method, lambda _: None)(request)
            try:
                reply = call(request, timeout=PATIENCE)
            except grpc.RpcError as error:
                context.set_trailing_metadata(error.trailing_metadata())
                context.abort(error.code(), error.details())
            self.answer.get(method, lambda _: None)(reply)
            return reply
        return handle

    def close(self):
        self.server.stop(0).wait(PATIENCE)
        self.channel.close()
