#!/usr/bin/python3
"""The C client against a Python gRPC server, and against ours.

Labels: concurrent.  Cost: 14
"""

import os
import subprocess
import sys
import unittest

from harness import AFAR_SERVER, BIN, PYTHON_SERVER, Server, address_of

CLIENT = os.path.join(BIN, "echo_client")


class CClientTest(unittest.TestCase):
    def run_client(self, command, transport):
        server = Server(command, address_of(transport, self.id()))
        environment = dict(os.environ, ECHO_ADDRESS=server.name())
        client = subprocess.run([CLIENT], env=environment, stdout=subprocess.PIPE, text=True)
        print(client.stdout, end="", file=sys.stderr)
        self.assertEqual(client.returncode, 0)
        server.stop()

    def test_python_server_tcp(self):
        self.run_client(PYTHON_SERVER, "tcp")

    def test_python_server_unix(self):
        self.run_client(PYTHON_SERVER, "unix")

    def test_afar_server_tcp(self):
        self.run_client(AFAR_SERVER, "tcp")

    def test_afar_server_unix(self):
        self.run_client(AFAR_SERVER, "unix")


if __name__ == "__main__":
    unittest.main(verbosity=2)
