"""table.py - how bench/run prints what was measured."""

from works import BYTES, MEMORY, TARGETS, TRANSPORTS, WORKS


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return "{:,.0f}".format(value)
    return "%.1f" % value if value >= 10 else "%.2f" % value if value >= 0.1 else "%.4f" % value


def print_table(lines):
    layout = "%-12s %-5s %-4s %12s %9s %9s %10s %10s %8s %7s"
    for work, title in WORKS.items():
        mine = [line for line in lines if line["work"] == work]
        if not mine:
            continue
        columns, keys = ((("client B", "server B"), ("client_bytes", "server_bytes"))
                         if work in MEMORY else (("p50 us", "p99 us"), ("p50_us", "p99_us")))
        print("\n%s: %s" % (work, title))
        print(layout % ("path", "via", "cpus", "per second", *columns, "client cpu",
                        "server cpu", "MiB/s", "spread"))
        for line in mine:
            rate = line["rate"] or None
            moved = rate * BYTES[work] / (1 << 20) if rate and work in BYTES else None
            print((layout % (line["path"], line["transport"], line["cpus"], number(rate),
                             number(line[keys[0]]), number(line[keys[1]]),
                             number(line["client_cpu_us"]), number(line["server_cpu_us"]),
                             number(moved), "%.0f%%" % (100 * line["spread"]))) +
                  ("  disturbed" if line["disturbed"] else ""))


NAMES = {"p50_us": "p50", "rate": "rate", "client_cpu_us": "client", "server_cpu_us": "server"}
NOBODY = {"disturbed": False}


def print_target(target, ours, theirs):
    figure = ours[target.key]
    ratio = figure / theirs[target.key] if target.theirs else figure
    met = ratio <= target.most if target.most else ratio >= target.least
    limit = "at most %.3g" % target.most if target.most else "at least %g" % target.least
    verdict = "met" if met else "missed"
    if ours["disturbed"] or theirs["disturbed"]:
        verdict = "disturbed: says nothing"
    peer = "its " + target.beside if target.ours == target.theirs else target.theirs or "-"
    print("%-10s %-5s %-4s %-6s %-12s %10s  %-12s %10s %7.3f  %-13s %s" % (
        target.work, ours["transport"], target.cpus, NAMES[target.key], target.ours,
        number(figure), peer,
        number(theirs[target.key]) if target.theirs else "-", ratio, limit, verdict))


def print_targets(lines):
    """The ratios of Afar's medians to those of its peers, of which there may be none."""
    found = {(line["work"], line["path"], line["transport"], line["cpus"]): line for line in lines}
    pairs = []
    for target in TARGETS:
        for transport in TRANSPORTS:
            ours = found.get((target.work, target.ours, transport, target.cpus))
            theirs = found.get((target.beside or target.work, target.theirs, transport,
                                target.cpus))
            if ours and (theirs or not target.theirs):
                pairs.append((target, ours, theirs or NOBODY))
    if not pairs:
        return
    print("\ntargets: Afar's figure divided by its peer's, or alone (client, server: CPU us a call)")
    print("%-10s %-5s %-4s %-6s %-12s %10s  %-12s %10s %7s  %s" % (
        "work", "via", "cpus", "of", "Afar", "figure", "peer", "figure", "ratio", "wanted"))
    for pair in pairs:
        print_target(*pair)
