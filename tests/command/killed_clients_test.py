#!/usr/bin/python3
"""Clients are killed wherever they happen to be: looking up, noting an owner in the file of
known names, connecting, calling.  The file stays whole, and the name server and the server
let go of all they held for them."""

import os
import random
import subprocess
import time

from harness import AFAR, PATIENCE, CommandTest, environment, main

ROUNDS = 100
NAMES = 20


def descriptors(process):
    return len(os.listdir(f"/proc/{process.process.pid}/fd"))


class KilledClientsTest(CommandTest):
    def kill_one(self, name, env, moment):
        """Starts a client, and kills it `moment` seconds later."""
        client = subprocess.Popen([AFAR, "ping", name], env=env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            client.wait(moment)
        except subprocess.TimeoutExpired:
            client.kill()
            client.wait(PATIENCE)

    def lines(self):
        try:
            with open(os.path.join(self.home, "known_names"), encoding="ascii") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def test_nothing_is_left_of_them(self):
        names = [f"much/{i}" for i in range(NAMES)]
        server = self.start_names()
        owner = self.start_named(*names)
        env = environment(self.home, self.names)
        self.run_afar("ping", names[0])
        before = descriptors(server), descriptors(owner)
        begun = time.monotonic()
        self.run_afar("ping", names[0])
        whole = time.monotonic() - begun
        chance = random.Random(7)
        for number in range(ROUNDS):
            self.kill_one(names[number % NAMES], env, chance.uniform(0, whole))
        for name in names:
            self.run_afar("ping", name)
        key = self.run_json("key", "show")["public"]
        self.assertEqual(sorted(line.split()[:2] for line in self.lines()),
                         sorted([name, key] for name in names))
        end = time.monotonic() + PATIENCE
        while descriptors(server) > before[0] or descriptors(owner) > before[1]:
            self.assertLess(time.monotonic(), end, "connections of the dead stay open")


if __name__ == "__main__":
    main()
