#!/usr/bin/python3
"""The model of the channels' protocol, searched by spin.

Every configuration in cases.py must be free of errors, in all states that can be
reached; every mutant of the model must be caught by its configuration.  Seconds: 1200.  Cost: 60

    model_test.py              what AFAR_MODEL says: quick (if it is not set), ci or full
    model_test.py NAME...      these only; a mutant's name too
    model_test.py --trace NAME SEED
                               one random run, an event a line; README.md has the format
"""

import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import cases

HERE = os.path.dirname(os.path.realpath(__file__))
MEMORY_MB = 6000
TIERS = {"quick": cases.QUICK, "ci": cases.CI, "full": cases.FULL}
# A busy machine is slow; most take a few.
SECONDS = {cases.QUICK: 240, cases.CI: 600, cases.FULL: 7200}

# Settings whose value is a number for each process or home, four bits each; the
# others are sets of processes or links, or plain numbers.
TABLES = {"rounds", "capacity"}


def table(numbers):
    return sum(number << (4 * i) for i, number in enumerate(numbers))


def members(numbers):
    return sum(1 << number for number in set(numbers))


def definitions(network, settings):
    """What the preprocessor is told."""
    processes = max(process for process, _, _ in network) + 1
    guards = [sum(process == p for process, _, _ in network) for p in range(processes)]
    values = {
        "PROCESSES": processes,
        "HOMES": max(home for _, home, _ in network) + 1,
        "LINKS": len(network),
        "OWNERS": table(process for process, _, _ in network),
        "HOME_OF": table(home for _, home, _ in network),
        "SENDERS": members(link for link, (_, _, sends) in enumerate(network) if sends),
        "SINGLES": members(p for p in range(processes) if guards[p] == 1),
    }
    for name, value in settings.items():
        if name in TABLES:
            value = table(value)
        elif isinstance(value, list):
            value = members(value)
        values[name.upper()] = value
    return ["-D%s=%s" % value for value in values.items()]


def plain(settings):
    return ["-D%s=%s" % (name.upper(), value) for name, value in settings.items()]


class Search:
    """One run of the verifier."""

    def __init__(self, name, values, tier, mutant=None, claim=None, source="channel.pml"):
        self.name = name
        self.source = source
        self.tier = tier
        self.mutant = mutant
        self.claim = claim
        self.definitions = values
        if mutant:
            self.definitions.append("-DMUTANT_" + mutant)
        self.failure = ""
        self.states = self.depth = 0
        self.seconds = 0.0

    def command(self, folder, *words):
        """Its exit status and what it printed; counts the processor's time."""
        with tempfile.TemporaryFile("w+", dir=folder) as output:
            process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT)
            late = threading.Timer(SECONDS[self.tier], process.kill)
            late.start()
            _, status, usage = os.wait4(process.pid, 0)
            late.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            self.seconds += usage.ru_utime + usage.ru_stime
            output.seek(0)
            text = output.read()
        if process.returncode == -signal.SIGKILL:
            text += "%s took more than %d s" % (words[0], SECONDS[self.tier])
        return process.returncode, text

    def build(self, folder):
        status, text = self.command(folder, "spin", "-a", *self.definitions,
                                    os.path.join(HERE, self.source))
        if status != 0 or "Error" in text:
            return "spin: " + text
        # Compiling takes longer than a small search.
        level = "-O0" if self.mutant or self.tier == cases.QUICK else "-O2"
        kind = ["-DNFAIR=5"] if self.claim else ["-DSAFETY", "-DNOCLAIM"]
        status, text = self.command(folder, "cc", level, "-w", "-DCOLLAPSE", "-DVECTORSZ=1024",
                                    "-DMEMLIM=%d" % MEMORY_MB, *kind, "-o", "pan", "pan.c")
        return "cc: " + text if status != 0 else ""

    def search(self, folder):
        kind = ["-a", "-f", "-N", self.claim] if self.claim else []
        small = self.mutant or self.tier == cases.QUICK
        _, text = self.command(folder, "./pan", "-m10000000" if self.claim else "-m100000",
                               "-w18" if small else "-w25", "-n", *kind)
        numbers = re.search(r"depth reached (\d+), errors: (\d+)\n\s*(\S+) states, stored", text)
        if not numbers:
            return "pan: " + text
        self.depth = int(numbers.group(1))
        self.states = int(float(numbers.group(3)))
        if int(numbers.group(2)):
            return "found: " + re.search(r"pan:1: (.*)", text).group(1)
        if "not completed" in text or "max search depth too small" in text:
            return "pan: the search was not completed: " + text
        return ""

    def run(self):
        folder = tempfile.mkdtemp(prefix="afar-model-")
        try:
            self.failure = self.build(folder) or self.search(folder)
        finally:
            shutil.rmtree(folder)
        return self

    def is_good(self):
        """A mutant must be caught by a check, not by the model's own limits."""
        if not self.mutant:
            return not self.failure
        return (self.failure.startswith("found: ") and "q_full" not in self.failure
                and "array index" not in self.failure)

    def line(self):
        what = "%s: %s" % (self.name, self.claim) if self.claim else self.name
        if self.mutant:
            what = "mutant %s in %s" % (self.mutant, what)
        text = "%-5s %-52s %10d states  depth %5d %7.1f s" % (
            "ok" if self.is_good() else "FAIL", what, self.states, self.depth, self.seconds)
        if not self.is_good():
            text += "\n      " + (self.failure or "not caught")
        return text


def searches():
    for name, (tier, network, settings) in cases.SAFE.items():
        yield Search(name, definitions(network, settings), tier)
    for mutant, name in cases.MUTANTS.items():
        tier, network, settings = cases.SAFE[name]
        yield Search(name, definitions(network, settings), tier, mutant=mutant)
    for name, (tier, network, settings, claim) in cases.LIVE.items():
        yield Search(name, definitions(network, dict(settings, forever=1)), tier, claim=claim)
    for mutant, name in cases.LIVE_MUTANTS.items():
        tier, network, settings, claim = cases.LIVE[name]
        yield Search(name, definitions(network, dict(settings, forever=1)), tier, mutant=mutant,
                     claim=claim)
    for name, (tier, settings) in cases.MEET.items():
        yield Search("meet " + name, plain(settings), tier, source="meet.pml")
    for mutant, name in cases.MEET_MUTANTS.items():
        tier, settings = cases.MEET[name]
        yield Search("meet " + name, plain(settings), tier, mutant=mutant, source="meet.pml")


RESULTS = {1: "sent", 2: "received", 3: "nothing", 4: "unknown", 5: "ended", 6: "poisoned",
           7: "lost"}
NOWHERE = 255
WITH_TELL = 64


def tell_act(network, singles, words):
    """act LINK KIND NUMBER VALUE, as the model prints it."""
    link, kind, number, value = int(words[1]), words[2].lower(), words[3], int(words[4])
    process, _, sends = network[link]
    tells = kind == "offer" and value >= WITH_TELL
    value %= WITH_TELL
    text = "act %d %s" % (link, kind)
    if kind in ("offer", "withdraw", "grant", "deny"):
        text += " " + number
    if kind == "offer" and process not in singles:
        text += " select %d" % value
    if sends and (kind == "grant" or kind == "offer" and process in singles):
        text += " message %d" % value
    return text + (" tell" if tells else "")


def tell_word(words):
    link, kind, number, value = words[1], words[2].lower(), words[3], words[4]
    text = "word %s %s" % (link, kind)
    if kind == "ended":
        return text + " " + RESULTS[int(value)]
    text += " " + number
    if kind == "claim":
        text += " offer " + value
    if kind == "message":
        text += " message " + value
    return text


def tell(network, singles, line):
    words = line.split()
    if words[0] == "do":
        return "do %s %s" % (words[1].lower().replace("_", "-"), words[2])
    if words[0] == "act":
        return tell_act(network, singles, words)
    if words[0] == "word":
        return tell_word(words)
    if words[0] == "posted":
        return "posted %s %s %s" % (words[1], words[3], RESULTS[int(words[2])])
    text = "done %s %s" % (words[1], RESULTS[int(words[2])])
    by_link = int(words[3]) != NOWHERE and int(words[2]) in (1, 2, 4)
    return text + (" link " + words[3] if by_link else "")


def trace(name, seed):
    """One random run, for a replay against the real thing."""
    _, network, settings = cases.SAFE[name]
    owners = [process for process, _, _ in network]
    singles = {process for process in owners if owners.count(process) == 1}
    run = subprocess.run(["spin", "-T", "-n%d" % seed, "-DTRACE", "-u10000",
                          *definitions(network, settings), os.path.join(HERE, "channel.pml")],
                         check=True, text=True, stdout=subprocess.PIPE)
    print("trace %s %d" % (name.replace(" ", "-"), seed))
    for link, (process, home, sends) in enumerate(network):
        print("link %d process %d home %d %s" % (link, process, home,
                                                 "sends" if sends else "receives"))
    for setting in ("capacity", "polls", "priority", "closes", "posts"):
        if setting in settings:
            print(setting, *settings[setting])
    for line in run.stdout.splitlines():
        if line.startswith(("do ", "act ", "word ", "done ", "posted ")):
            print(tell(network, singles, line))
    return 0


def main(words):
    if words[:1] == ["--trace"]:
        return trace(words[1], int(words[2]))
    tier = TIERS[os.environ.get("AFAR_MODEL", "quick")]
    wanted = [s for s in searches()
              if (s.name in words or s.mutant in words if words else s.tier <= tier)]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for search in pool.map(Search.run, wanted):
            print(search.line(), flush=True)
            bad += not search.is_good()
    print("%d searches, %d failed" % (len(wanted), bad))
    return 1 if bad or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
