"""pyro4.py - Pyro4's name server, and its clients: what bench/run measures Afar's beside.

    pyro4.py server TYPE STORAGE ADDRESS
    pyro4.py client WORK ADDRESS SECONDS WARM-UP SERVER-PID

TYPE is Pyro4's SERVERTYPE, thread or multiplex.  STORAGE is memory or sql:FILE.  What the
two sides print is what the programs in C do (bench.h).

The server is what Pyro4.naming starts as a command, with threads enough for all clients.
The 64 clients of lookup64 and register64 have a proxy each, which is a connection each, and
a thread of one process each: with 4 processes, and with 64, it was slower.  The object that
open is about is in a process of its own.
"""

import json
import multiprocessing
import statistics
import sys
import threading
import time

import Pyro4
import Pyro4.naming

CLIENTS = 64
KNOWN = 100                     # names that are looked up
ECHO = "bench.echo"
OBJECT = "PYRO:bench@127.0.0.1:7001"


# ---- the server ----

def serve(kind, storage, address):
    host, _, port = address.rpartition(":")
    Pyro4.config.SERVERTYPE = kind
    Pyro4.config.THREADPOOL_SIZE = 2 * CLIENTS
    daemon = Pyro4.naming.NameServerDaemon(host, int(port), storage=storage)
    print("ready", daemon.locationStr, flush=True)
    daemon.requestLoop()


# ---- one client ----

def process_clock(pid):
    """CPU seconds of another process: the clock that clock_getcpuclockid(3) would name."""
    return time.clock_gettime((~pid << 3) | 2)


class Client:
    """One proxy, and the calls it makes."""

    def __init__(self, address, number, work):
        host, _, port = address.rpartition(":")
        self.address = address
        self.number = number
        self.names = Pyro4.locateNS(host, int(port))
        self.call = {"l": self.lookup, "r": self.register, "o": self.open}[work[0]]
        self.count = 0
        self.known = Pyro4.URI(OBJECT)
        self.latencies = []
        self.failed = True      # until it has come to its end

    def lookup(self):
        self.count += 1
        if self.names.lookup("bench/%d" % ((self.number + self.count) % KNOWN)) != self.known:
            raise RuntimeError("a name that was looked up is not what was registered")

    def register(self):
        self.count += 1
        self.names.register("bench/%d/%d" % (self.number, self.count), self.known)

    def open(self):
        self.count += 1
        with Pyro4.Proxy("PYRONAME:%s@%s" % (ECHO, self.address)) as echo:
            if echo.call(self.count) != self.count:
                raise RuntimeError("a reply is not its request")

    def run(self, begin, end):
        """Calls until `end`; those that end after `begin` count."""
        self.names._pyroBind()
        since = time.monotonic()
        while since < end:
            self.call()
            now = time.monotonic()
            if begin <= now < end:
                self.latencies.append(now - since)
            since = now
        self.failed = False


# ---- the object that is opened ----

@Pyro4.expose
class Echo:
    def call(self, value):
        return value


def serve_echo(address, ready):
    host, _, port = address.rpartition(":")
    daemon = Pyro4.Daemon()
    Pyro4.locateNS(host, int(port)).register(ECHO, daemon.register(Echo()))
    ready.send(None)
    daemon.requestLoop()


def start_echo(address):
    """Returns when it can be found; it ends with this process."""
    ready, theirs = multiprocessing.Pipe(False)
    multiprocessing.Process(target=serve_echo, args=(address, theirs), daemon=True).start()
    ready.recv()


# ---- all of them ----

def usage(server):
    """A moment, and the CPU time that both processes had used by then."""
    return time.monotonic(), time.process_time(), process_clock(server)


def run_all(clients, seconds, warm_up, server):
    """The usage at the beginning and at the end of the measured time."""
    begin = time.monotonic() + warm_up
    threads = [threading.Thread(target=client.run, args=(begin, begin + seconds), daemon=True)
               for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(max(0.0, begin - time.monotonic()))
    before = usage(server)
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    after = usage(server)
    for thread in threads:
        thread.join()
    if any(client.failed for client in clients):
        sys.exit("pyro4.py: a client failed")
    return before, after


def measure(work, address, seconds, warm_up, server):
    if work == "open":
        start_echo(address)
    first = Client(address, 0, work)
    for number in range(KNOWN):
        first.names.register("bench/%d" % number, OBJECT)
    clients = [Client(address, number, work)
               for number in range(CLIENTS if work.endswith("64") else 1)]
    before, after = run_all(clients, seconds, warm_up, server)
    wall, client_cpu, server_cpu = (b - a for a, b in zip(before, after))
    latencies = [value for client in clients for value in client.latencies]
    quantiles = statistics.quantiles(latencies, n=100)
    rate = len(latencies) / seconds
    return {"rate": rate, "p50_us": quantiles[49] * 1e6, "p99_us": quantiles[98] * 1e6,
            "client_cpu_us": client_cpu / wall * 1e6 / rate,
            "server_cpu_us": server_cpu / wall * 1e6 / rate}


def main():
    side, words = sys.argv[1], sys.argv[2:]
    if side == "server":
        serve(*words)
    else:
        work, address, seconds, warm_up, server = words
        print(json.dumps(measure(work, address, float(seconds), float(warm_up), int(server))))


if __name__ == "__main__":
    main()
