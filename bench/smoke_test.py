#!/usr/bin/python3
"""smoke_test.py BIN - every work runs, on every path, and is reported whole.

How fast it is is not looked at: other tests run at the same time.
"""

import importlib.util
import json
import os
import subprocess
import sys

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
LOCAL = {"pingpong", "commstime", "select4", "select256", "many"}
VISITS = {"stream", "rendezvous", "select4", "select256", "many"}
ECHOES = {"seq", "conc", "conc8", "bulk", "stream", "think", "idle"}
NAMES = {"lookup", "lookup64", "open", "register", "register64"}
PATHS = dict.fromkeys(ECHOES, {"grpc", "session", "raw", "raw-polled"})
PATHS |= {"conc8": {"grpc", "session"}}
PATHS |= dict.fromkeys(NAMES, {"names", "names-memory"})
PATHS |= {work: PATHS.get(work, set()) | {"channel"} for work in VISITS}
MISSING = {("session", "unix"), ("channel", "unix")}
PYRO4 = {"pyro4", "pyro4-memory"}
KEYS = {"work", "path", "transport", "cpus", "rate", "p50_us", "p99_us", "client_cpu_us",
        "server_cpu_us", "disturbed"}
WITHOUT_LATENCY = {"stream", "idle", "many"}
GO = {"pingpong", "commstime", "select4", "select256"}


def run(*options):
    """Measures for a moment, and for longer if that was too short on a busy machine."""
    for seconds in "0.1", "3":
        done = subprocess.run([RUN, "--bin", sys.argv[1], "--json", "--rounds", "1", "--seconds",
                               seconds, "--warm-up", "0.02", *options], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if "within the measured time" not in done.stderr:
            break
    return done


def check(condition, line):
    if not condition:
        sys.exit("smoke_test: unexpected: %s" % (line,))


def check_line(line):
    check(KEYS <= set(line), line)
    check(line["rate"] > 0 if line["work"] != "idle" else line["rate"] == 0, line)
    check(line["client_cpu_us"] >= 0, line)
    if line["transport"] == "local":
        check(line["server_cpu_us"] is None, line)
    else:
        check(line["server_cpu_us"] >= 0, line)
    if line["work"] == "many":
        check(line["client_bytes"] > 0, line)
        check(line["transport"] == "local" or line["server_bytes"] > 0, line)
    if line["work"] in WITHOUT_LATENCY:
        check(line["p50_us"] is None and line["p99_us"] is None, line)
    else:
        check(0 < line["p50_us"] <= line["p99_us"], line)


def rows(*options):
    """What is measured, after each line was looked at."""
    done = run(*options)
    check(done.returncode == 0, done.stderr)
    lines = [json.loads(text) for text in done.stdout.splitlines()]
    for line in lines:
        check_line(line)
    return {(line["work"], line["path"], line["transport"], line["cpus"]) for line in lines}


def expected(works, transports, cpus):
    return {(work, path, transport, choice) for work in works for path in PATHS[work]
            for transport in transports for choice in cpus if (path, transport) not in MISSING}


def between_threads(cpus):
    return ({(work, "threads", "local", cpus) for work in LOCAL} |
            {("pingpong", "pthread", "local", cpus)})


def peers():
    """Of those that are built on demand, the ones that are there."""
    for path, works, transport in (("go", GO, "local"), ("nng", ["stream"], "tcp"),
                                   ("zmq", ["seq", "stream"], "tcp")):
        if os.path.exists(os.path.join(sys.argv[1], "bench-" + path)):
            seen = rows("--work", ",".join(works), "--path", path, "--transport", transport,
                        "--cpus", "any")
            check(seen == {(work, path, transport, "any") for work in works}, seen)


def main():
    seen = rows("--transport", "tcp", "--cpus", "any")
    check(seen == expected(ECHOES | NAMES | VISITS, ["tcp"], ["any"]), seen)
    seen = rows("--transport", "local", "--cpus", "one,any")
    check(seen == between_threads("one") | between_threads("any"), seen)
    seen = rows("--work", "seq", "--work", "stream,lookup", "--transport", "unix", "--cpus", "one")
    check(seen == expected(["seq", "stream", "lookup"], ["unix"], ["one"]), seen)
    if importlib.util.find_spec("Pyro4"):
        works = ["lookup64", "open", "register64"]
        seen = rows("--work", ",".join(works), "--path", "pyro4,pyro4-memory", "--cpus", "any")
        check(seen == {(work, path, "tcp", "any") for work in works for path in PYRO4}, seen)
    peers()
    refused = run("--work", "seq,dig")
    check(refused.returncode != 0 and "dig" in refused.stderr, refused)


if __name__ == "__main__":
    main()
