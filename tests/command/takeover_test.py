#!/usr/bin/python3
"""Servers are killed one after another, and a client that has one reference open, and does
nothing of Afar's in between, finds each successor: no call is lost, none is made twice.

Labels: waits"""

import os
import subprocess
import unittest

from harness import BIN, PATIENCE, CommandTest, Process, environment, main

LEASE_MS = "1000"
ROUNDS = 4


class TakeoverTest(CommandTest):
    def start_bank(self):
        bank = Process([os.path.join(BIN, "bank-server"), "127.0.0.1:0", LEASE_MS],
                       environment(self.home, self.names))
        self.addCleanup(bank.kill)
        return bank

    def wait_for(self, bank):
        while "registered" not in bank.process.stdout.readline():
            self.assertIsNone(bank.process.poll())

    def test_a_client_that_sits_still(self):
        self.start_names()
        bank = self.start_bank()
        self.wait_for(bank)
        client = subprocess.Popen([os.path.join(BIN, "bank-client"), "bank/accounts/bob", "-"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT, bufsize=1,
                                  env=environment(self.home, self.names))
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.kill)
        for number in range(ROUNDS):
            for deposit in range(2):
                client.stdin.write("100\n")
                self.assertEqual(client.stdout.readline().split(),
                                 ["deposit", "100", "balance", str(100 * (deposit + 1))], number)
            successor = self.start_bank()
            bank.kill()
            self.wait_for(successor)
            bank = successor
        client.stdin.close()
        self.assertEqual(client.wait(PATIENCE), 0)


if __name__ == "__main__":
    main()
