#!/usr/bin/python3
"""Somebody sets the clock, by a year, forward and back: leases do not notice.

The name server and the server that registered run with a clock of their own that libfaketime
gives them; the clock of this test is the real one.

Cost: 10"""

import glob
import os
import subprocess
import time
import unittest

from harness import AFAR, BIN, NO, PATIENCE, CommandTest, Process, environment, main

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
LEASE = 2.0
EVERY = 0.1  # how often it looks


def is_sanitized():
    """A sanitizer wants to be loaded first, and libfaketime as well."""
    return "san.so" in subprocess.run(["ldd", AFAR], capture_output=True, text=True,
                                      check=True).stdout


@unittest.skipUnless(LIBRARY, "libfaketime is not there")
@unittest.skipIf(is_sanitized(), "built with a sanitizer")
class ClockTest(CommandTest):
    def set_clock(self, offset):
        with open(self.clock + ".new", "w", encoding="ascii") as file:
            file.write(offset + "\n")
        os.rename(self.clock + ".new", self.clock)

    def start(self, command, names=""):
        env = environment(self.home, names)
        env.update(LD_PRELOAD=LIBRARY[0], FAKETIME_TIMESTAMP_FILE=self.clock,
                   FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
        process = Process(command, env)
        self.addCleanup(process.kill)
        return process

    def setUp(self):
        super().setUp()
        self.clock = os.path.join(self.folder, "clock")
        self.set_clock("+0")
        server = self.start([AFAR, "names", "serve", "--listen", "127.0.0.1:0",
                             "--store", os.path.join(self.folder, "names.db")])
        self.names = server.line.split(" at ")[1].split(",")[0]
        self.owner = self.start([os.path.join(BIN, "bank-server"), "127.0.0.1:0",
                                 str(int(LEASE * 1000))], self.names)
        while "registered" not in self.owner.process.stdout.readline():
            self.assertIsNone(self.owner.process.poll())

    def is_there(self):
        env = environment(self.home, self.names)
        code = subprocess.run([AFAR, "names", "lookup", "bank/accounts/alice"], env=env, timeout=PATIENCE,
                              check=False, capture_output=True).returncode
        self.assertIn(code, (0, NO))
        return code == 0

    def stays_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assertTrue(self.is_there())
            time.sleep(EVERY)

    def test_a_lease_goes_on_when_the_clock_is_set(self):
        for offset in ("+365d", "-365d", "+0"):
            self.set_clock(offset)
            self.stays_for(LEASE + 0.5)

    def test_a_lease_ends_when_the_clock_is_set_back(self):
        """Between the end of the term that was running and 2 s after a whole one."""
        self.set_clock("-365d")
        self.owner.kill()
        killed = time.monotonic()
        while self.is_there():
            self.assertLess(time.monotonic() - killed, LEASE + 2 + PATIENCE / 10)
            time.sleep(EVERY)
        self.assertGreater(time.monotonic() - killed, LEASE / 3)


if __name__ == "__main__":
    main()
