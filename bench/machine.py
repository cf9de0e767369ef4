"""machine.py - the CPUs that a run gets, and whether it had them to itself."""

import os
import time

from works import PAUSING

OTHERS_AT_MOST = 0.05           # CPUs used by others while a row runs
OWN_AT_LEAST = 0.9              # of the CPU, where client and server share one


def pinning(cpus):
    """The CPUs of client and server, or None where there are not enough.

    One process alone gets those of both.
    """
    here = sorted(os.sched_getaffinity(0))
    if cpus == "any":
        return here, here
    if cpus == "one":
        return here[:1], here[:1]
    return (here[:1], here[-1:]) if len(here) > 1 else None


def process_ticks(pid):
    """Ticks of CPU time that a process used, with its children that ended."""
    try:
        with open("/proc/%s/stat" % pid, encoding="utf-8", errors="replace") as stat:
            return sum(map(int, stat.read().rpartition(")")[2].split()[11:15]))
    except (FileNotFoundError, ProcessLookupError):
        return 0                # ended: counted where it was waited for


def others_time():
    """CPU seconds used so far by all processes but this one and its children.

    The clocks of processes are exact.  The busy time of the machine, which says the same in
    one line, is sampled, and wrong by half for processes that sleep and wake.
    """
    own = str(os.getpid())
    return sum(process_ticks(pid) for pid in os.listdir("/proc")
               if pid.isdigit() and pid != own) / os.sysconf("SC_CLK_TCK")


def stolen_time():
    """Seconds that the host gave to other machines."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Finds out whether the machine was ours for a while."""

    def __init__(self):
        self.before = time.monotonic(), others_time() + stolen_time()

    def others(self):
        """The CPUs that others used, on average: 1.0 is one CPU all the time."""
        since, used = self.before
        return max(0.0, others_time() + stolen_time() - used) / (time.monotonic() - since)


def disturbed(row, figures, others):
    """Whether a run says little: others were busy, or our CPU was not there all the time.

    On one CPU, client and server together are never without work, except in works that
    pause; so their CPU time must be the time that passed.
    """
    if others > OTHERS_AT_MOST:
        return True
    if row.cpus != "one" or row.work in PAUSING:
        return False
    used = (figures["client_cpu_us"] + (figures["server_cpu_us"] or 0)) * figures["rate"] / 1e6
    return used < OWN_AT_LEAST
