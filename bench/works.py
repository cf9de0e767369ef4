"""works.py - what bench/run measures: works, the paths that do them, and the targets."""

from collections import namedtuple

WORKS = {
    "seq": "one 64-byte echo at a time",
    "conc": "64 echoes of 64 bytes outstanding, from one thread",
    "conc8": "64 echoes of 64 bytes outstanding, from 8 threads",
    "bulk": "one 1 MiB echo at a time (MiB/s counts one way)",
    "stream": "64-byte messages one way, acknowledged at the end",
    "think": "one 64-byte echo at a time, 1 ms between them",
    "idle": "an open connection and nothing to do (CPU: us a second)",
    "lookup": "a name looked up by one client, one at a time",
    "lookup64": "a name looked up by 64 clients, each one at a time",
    "open": "an object opened by name, called once, and closed, as programs do it",
    "register": "a new name registered by one client, one at a time",
    "register64": "a new name registered by 64 clients, each one at a time",
    "pingpong": "64 bytes to another thread and back, two rendezvous",
    "commstime": "a number once round a ring of three threads, and to a fourth: four rendezvous",
    "rendezvous": "64 bytes to another process, sent when it has taken them",
    "select4": "64 bytes from one of 4 channels, each in its turn (local: with the send)",
    "select256": "the same from one of 256",
    "many": "channels made (local: 100,000), or opened and used once (tcp: 10,000)",
}
ECHOES = ["seq", "conc", "conc8", "bulk", "stream", "think", "idle"]
NAMES = ["lookup", "lookup64", "open", "register", "register64"]
VISITS = ["stream", "rendezvous", "select4", "select256", "many"]   # to channels elsewhere
LOCAL = ["pingpong", "commstime", "select4", "select256", "many"]
BYTES = {"bulk": 1 << 20, "stream": 64}
MEMORY = {"many"}               # what matters is not time, but bytes of each
ON_ONE_TOO = {"seq", "pingpong", "commstime"}           # measured on one CPU and on two
PAUSING = {"think", "idle", "register", "register64"}    # for time, or for the disk
TRANSPORTS = ["tcp", "unix", "local"]                    # local: one process
BETWEEN = ["tcp", "unix"]
CPUS = ["one", "two", "any"]

# How a path is run.  Server and client are commands, in which {work}, {variant}, {address},
# {folder}, a folder for files of the run, and for clients {seconds}, {warm_up} and {server}
# are filled in.  A program of ours is looked for where the build puts it.  The first line of
# a server has its address; `ready` finds it.  Without a server, {server} is 0.
Path = namedtuple("Path", "server client variants ready transports targets")

SERVED = "{work} {variant} {address}"
CALLED = SERVED + " {seconds} {warm_up} {server}"
READY = r"ready (\S+)$"


def echoes(server, client, variants, targets, transports=BETWEEN):
    return Path("%s %s" % (server, SERVED), "%s %s" % (client, CALLED), variants, READY,
                transports, targets)


def local(program, works):
    """One process."""
    return Path(None, "%s {work} - local {seconds} {warm_up} {server}" % program,
                dict.fromkeys(works, ""), None, ["local"], [program.split()[0]])


def names(store):
    """Afar's name server."""
    return Path("afar names serve --listen {address} --store %s --max-names 10000000" % store,
                "{variant} {address} {seconds} {warm_up} {server}",
                {"lookup": "bench-names seq lookup", "lookup64": "bench-names conc lookup",
                 "open": "bench-open seq open",
                 "register": "bench-names seq register", "register64": "bench-names conc register"},
                r"name server at ([^,]+),", BETWEEN,
                ["afar-command", "bench-names", "bench-open"])


def pyro4(storage, many):
    """Pyro4's, in the kind of server (Pyro4's SERVERTYPE) that is the faster for a work."""
    program = "/usr/bin/python3 {here}/pyro4.py "
    return Path(program + "server {variant} %s {address}" % storage,
                program + "client {work} {address} {seconds} {warm_up} {server}",
                {work: many if work.endswith("64") else "thread" for work in NAMES}, READY,
                ["tcp"], [])


PATHS = {
    "grpc": echoes("bench-server", "bench-client", dict.fromkeys(ECHOES, "grpc"),
                   ["bench-server", "bench-client"]),
    "session": echoes("bench-server", "bench-client", dict.fromkeys(ECHOES, "session"),
                      ["bench-server", "bench-client"], ["tcp"]),
    "raw": echoes("bench-raw server", "bench-raw client",
                  {work: "blocking" for work in ECHOES if work != "conc8"}, ["bench-raw"]),
    "raw-polled": echoes("bench-raw server", "bench-raw client",
                         {work: "polled" for work in ECHOES if work != "conc8"}, ["bench-raw"]),
    "grpc-cpp": echoes("bench-grpc-cpp server", "bench-grpc-cpp client",
                       dict(dict.fromkeys(ECHOES, "sync"), conc="cq", conc8="cq", bulk="cq"),
                       ["bench-grpc-cpp"]),
    "zmq": echoes("bench-zmq server", "bench-zmq client",
                  dict.fromkeys(ECHOES, "bare"), ["bench-zmq"]),
    "nng": echoes("bench-nng server", "bench-nng client", {"stream": "pair"}, ["bench-nng"]),
    "channel": echoes("bench-channel server", "bench-channel client", dict.fromkeys(VISITS, "-"),
                      ["bench-channel"], ["tcp"]),
    "threads": local("bench-channel local", LOCAL),
    "pthread": local("bench-pthread", ["pingpong"]),
    "go": local("bench-go", ["pingpong", "commstime", "select4", "select256"]),
    "names": names("{folder}/names.db"),
    "names-memory": names("memory"),
    "pyro4": pyro4("sql:{folder}/names.db", "thread"),
    "pyro4-memory": pyro4("memory", "multiplex"),
}
PEERS = {"cpp": ["grpc-cpp"], "zmq": ["zmq"], "nng": ["nng"], "go": ["go"],
         "pyro4": ["pyro4", "pyro4-memory"]}
USUAL = [path for path in PATHS if path not in sum(PEERS.values(), [])]

# What Afar is held to: its figure as a ratio to that of a peer, or the figure itself.  The
# peer may have done another work, `beside`.
Target = namedtuple("Target", "work cpus ours theirs key most least beside", defaults=(None,))
TARGETS = [
    Target("seq", "two", "grpc", "grpc-cpp", "p50_us", 0.35, None),
    Target("seq", "one", "grpc", "grpc-cpp", "p50_us", 1.0, None),
    Target("conc", "two", "grpc", "grpc-cpp", "rate", None, 1.0),
    Target("bulk", "two", "grpc", "grpc-cpp", "rate", None, 1.05),
    Target("stream", "two", "grpc", "grpc-cpp", "rate", None, 1.0),
    Target("seq", "two", "session", "raw", "p50_us", 0.25, None),
    Target("seq", "two", "session", "raw-polled", "p50_us", 2.5, None),
    Target("think", "two", "session", "grpc-cpp", "p50_us", 1.0, None),
    Target("think", "two", "session", "grpc-cpp", "client_cpu_us", 1.0, None),
    Target("think", "two", "session", "grpc-cpp", "server_cpu_us", 1.0, None),
] + [
    Target(work, "two", "session", "grpc-cpp", "rate", None, 6.0) for work in ("conc", "conc8")
] + [
    Target(work, "two", "session", "grpc-cpp", key, 1 / 6, None)
    for work in ("conc", "conc8") for key in ("client_cpu_us", "server_cpu_us")
] + [
    Target(work, "two", ours, theirs, "rate", None, 10.0)
    for work in ("lookup", "lookup64", "open")
    for ours, theirs in (("names", "pyro4"), ("names-memory", "pyro4-memory"))
] + [
    Target("pingpong", cpus, "threads", "go", "p50_us", 2.0, None) for cpus in ("two", "one")
] + [
    Target("rendezvous", "two", "channel", "session", "p50_us", 1.5, None, "seq"),
    Target("stream", "two", "channel", "grpc-cpp", "rate", None, 3.0),
    Target("select256", "two", "threads", "threads", "p50_us", 1.5, None, "select4"),
    Target("select256", "two", "channel", "channel", "p50_us", 1.5, None, "select4"),
]
