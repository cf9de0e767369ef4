#!/usr/bin/python3
"""The bank of the examples: the client in Python prints what the client in C does."""

import os
import subprocess
import unittest

from harness import BIN, PATIENCE, PYTHON, ROOT, SCRATCH, Server

CLIENT_PY = os.path.join(ROOT, "examples", "bank", "client.py")


class Bank(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server([os.path.join(BIN, "bank-server")], "127.0.0.1:0")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def run_client(self, *command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE, env=dict(os.environ, TMPDIR=SCRATCH))

    def test_both_clients_print_the_same(self):
        in_c = self.run_client(os.path.join(BIN, "bank-client"),
                               f"{self.server.name()}/bank/accounts/alice")
        in_python = self.run_client(PYTHON, CLIENT_PY, self.server.address, "bank/accounts/bob")
        self.assertEqual((in_c.returncode, in_c.stderr), (0, ""))
        self.assertEqual((in_python.returncode, in_python.stderr), (0, ""))
        self.assertEqual(in_python.stdout, in_c.stdout)
        self.assertIn("refused: 996000 cents are missing (balance 4000)", in_c.stdout)

    def test_an_account_that_is_not_there(self):
        for command in ((os.path.join(BIN, "bank-client"), f"{self.server.name()}/carol"),
                        (PYTHON, CLIENT_PY, self.server.address, "carol")):
            client = self.run_client(*command)
            self.assertEqual((client.returncode, client.stdout), (1, ""))
            self.assertTrue(client.stderr.startswith("client: NOT_FOUND: "), client.stderr)
            self.assertIn("carol", client.stderr)

    def test_accounts_that_the_bank_gives(self):
        """By a session, by plain gRPC, and in Python: each is the account that has a name too."""
        bank = Server([os.path.join(BIN, "bank-server")], "127.0.0.1:0")
        in_c = os.path.join(BIN, "bank-client")
        commands = ((in_c, f"afar://{bank.address}/bank/accounts/bob"),
                    (in_c, "--of", "bob", f"afar://{bank.address}/bank"),
                    (in_c, "--of", "bob", f"grpc://{bank.address}/bank"),
                    (PYTHON, CLIENT_PY, "--of", "bob", bank.address))
        for number, command in enumerate(commands, 1):
            client = self.run_client(*command)
            self.assertEqual((client.returncode, client.stderr), (0, ""))
            balance = 4000 * number
            self.assertIn(f"are missing (balance {balance})", client.stdout)
        bank.stop()

    def test_a_customer_who_is_not_there(self):
        in_c = os.path.join(BIN, "bank-client")
        for command in ((in_c, "--of", "carol", f"afar://{self.server.address}/bank"),
                        (in_c, "--of", "carol", f"{self.server.name()}/bank"),
                        (PYTHON, CLIENT_PY, "--of", "carol", self.server.address)):
            client = self.run_client(*command)
            self.assertEqual((client.returncode, client.stdout), (1, ""))
            self.assertTrue(client.stderr.startswith("client: NOT_FOUND: "), client.stderr)
            self.assertIn("carol has no account here", client.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
