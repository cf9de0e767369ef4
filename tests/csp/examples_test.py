#!/usr/bin/python3
"""The sieve and the farm of the examples, whole and with a process killed.

Labels: concurrent.  Cost: 10
"""

import os
import re
import signal
import subprocess
import time
import unittest

BIN = os.environ.get("AFAR_BIN", "build/release/bin")
PATIENCE = 120


def start(*command):
    return subprocess.Popen([os.path.join(BIN, command[0]), *command[1:]], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*command):
    process = start(*command)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def fields(pid):
    """Those of /proc/PID/stat behind the name of the program; none if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return []


def children(pid):
    found = [name for name in os.listdir("/proc") if name.isdigit()]
    return [int(name) for name in found if fields(name)[1:2] == [str(pid)]]


def wait_until(condition):
    late = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > late:
            raise AssertionError("it does not happen")
        time.sleep(0.01)


def has_worked(pid):
    """It has used the processor for longer than it takes to start, or is gone."""
    row = fields(pid)
    return not row or int(row[11]) >= 0.1 * os.sysconf("SC_CLK_TCK")


def primes_to(limit):
    numbers = range(2, limit + 1)
    return [n for n in numbers if all(n % d for d in range(2, int(n**0.5) + 1))]


class Primes(unittest.TestCase):
    def check(self, limit, *options):
        code, out, err = run("primes", str(limit), *options)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([int(line) for line in out.split()], primes_to(limit))

    def test_threads(self):
        for limit in 0, 1, 2, 3, 4, 1000:
            self.check(limit)

    def test_processes(self):
        for processes in "1", "3", "10":
            self.check(300, "--processes", processes)
        self.check(2, "--processes", "3")
        self.check(1, "--processes", "3")

    def test_arguments(self):
        for arguments in ["x"], ["-1"], [], ["10", "--processes"], ["10", "--processes", "1000"]:
            code, _, err = run("primes", *arguments)
            self.assertEqual(code, 1)
            self.assertIn("usage", err)

    def test_a_killed_segment_ends_all(self):
        process = start("primes", "1000000", "--processes", "3")
        for _ in range(20):
            process.stdout.readline()
        segments = children(process.pid)
        self.assertEqual(len(segments), 3)
        os.kill(segments[1], signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err, rf"primes: LOST: segment \(process {segments[1]}\) was killed by signal 9")
        self.assertEqual([pid for pid in segments if fields(pid)], [])


class Farm(unittest.TestCase):
    SIZE = ["--rows", "12", "--depth", "10000000"]

    def start(self, workers):
        process = start("farm", "--workers", str(workers), *self.SIZE)
        lines = [process.stderr.readline() for _ in range(workers)]
        pids = [int(re.fullmatch(r"farm: worker (\d+) has started\n", line)[1]) for line in lines]
        return process, pids

    def test_a_picture(self):
        code, one, _ = run("farm", "--workers", "1", "--rows", "12", "--depth", "100")
        self.assertEqual(code, 0)
        self.assertEqual([len(line) for line in one.splitlines()], [24] * 12)
        self.assertIn("#", one)
        code, many, _ = run("farm", "--workers", "20", "--rows", "12", "--depth", "100")
        self.assertEqual((code, many), (0, one))

    def test_a_killed_worker_changes_nothing(self):
        process, pids = self.start(2)
        wait_until(lambda: has_worked(pids[0]))
        os.kill(pids[0], signal.SIGKILL)
        picture, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)
        self.assertIn(f"farm: worker (process {pids[0]}) was killed by signal 9", err)
        code, whole, _ = run("farm", "--workers", "2", *self.SIZE)
        self.assertEqual((code, picture), (0, whole))

    def test_without_workers_it_gives_up(self):
        process, pids = self.start(3)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        picture, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, picture), (1, ""))
        self.assertIn("farm: LOST: no worker is left", err)
        self.assertEqual(err.count("was killed by signal 9"), 3)

    def test_arguments(self):
        for arguments in ["--rows"], ["--rows", "0"], ["--workers", "65"], ["x", "1"]:
            code, _, err = run("farm", *arguments)
            self.assertEqual(code, 1)
            self.assertIn("usage", err)


if __name__ == "__main__":
    unittest.main()
