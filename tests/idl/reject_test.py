#!/usr/bin/python3
"""What protoc-gen-afar refuses, and what it says.

    reject_test.py            each case must fail with the messages in its .expected
    reject_test.py --update   writes these files anew

A case is a file reject/x.proto, or a folder reject/x/ whose files are compiled in one
run; reject/import/ is for what they import.  All that is wrong is told in one run, as
file:line:column, and nothing is written.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = Path(os.environ.get("AFAR_SOURCE", HERE.parents[1]))
REJECT = HERE / "reject"
PREFIX = "--afar_out: "


def cases():
    files = [path for path in REJECT.glob("*.proto")]
    folders = [path for path in REJECT.iterdir() if path.is_dir() and path.name != "import"]
    return sorted(files + folders)


def compile_case(case, out):
    """What protoc and the plugin say about a case, and what was written."""
    root = case if case.is_dir() else REJECT
    names = sorted(path.name for path in case.iterdir()) if case.is_dir() else [case.name]
    plugin = Path(os.environ["AFAR_BIN"]) / "protoc-gen-afar"
    command = ["protoc", f"--plugin=protoc-gen-afar={plugin}", f"-I{root}", f"-I{REJECT}/import",
               f"-I{SOURCE / 'idl'}", "-I/usr/include", f"--afar_out={out}", *names]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if "warning: Import" not in line]
    return done.returncode, "\n".join(lines) + "\n", [path.name for path in Path(out).iterdir()]


def check(case, update):
    expected_file = REJECT / (case.stem + ".expected")
    with tempfile.TemporaryDirectory() as out:
        code, said, written = compile_case(case, out)
    if not said.startswith(PREFIX):
        return f"{case.name}: not refused by the plugin: {said.strip() or 'no message at all'}"
    said = said[len(PREFIX):]
    if update:
        expected_file.write_text(said)
    expected = expected_file.read_text() if expected_file.exists() else "nothing"
    if code == 0 or written:
        return f"{case.name}: exit code {code}, wrote {written}"
    if said != expected:
        return f"{case.name}: expected\n{expected}but was told\n{said}"
    return None


def main():
    failures = [check(case, "--update" in sys.argv[1:]) for case in cases()]
    told = [failure for failure in failures if failure]
    print("\n".join(told) if told else f"{len(failures)} cases refused, with the right words")
    return 1 if told or len(failures) < 30 else 0


if __name__ == "__main__":
    sys.exit(main())
