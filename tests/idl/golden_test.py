#!/usr/bin/python3
"""What protoc-gen-afar writes, word for word.

    golden_test.py            compares its output for golden/*.proto with the files there
    golden_test.py --update   writes these files anew

Every file is compiled three times: by itself, once more, and together with all the
others; all three must be the same, so that output depends on nothing but the file.
"""

import difflib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = Path(os.environ.get("AFAR_SOURCE", HERE.parents[1]))
GOLDEN = HERE / "golden"
EXAMPLE = SOURCE / "examples" / "bank"
ENDINGS = (".pb-c.h", ".pb-c.c", ".afar.h", ".afar.c")


def plugin():
    return Path(os.environ["AFAR_BIN"]) / "protoc-gen-afar"


def run_protoc(names, out, *more):
    command = ["protoc", f"--plugin=protoc-gen-afar={plugin()}", f"-I{GOLDEN}", f"-I{EXAMPLE}",
               f"-I{SOURCE / 'idl'}", "-I/usr/include", f"--afar_out={out}", *more, *names]
    return subprocess.run(command, capture_output=True, text=True)


def compile_protos(names, out, *more):
    """The text of each file that is written, by its path."""
    done = run_protoc(names, out, *more)
    if done.returncode:
        sys.exit(f"protoc {' '.join(names)}:\n{done.stderr}")
    return {str(path.relative_to(out)): path.read_text()
            for path in sorted(out.rglob("*")) if path.is_file()}


def compile_in_a_folder(names, *more):
    with tempfile.TemporaryDirectory() as out:
        return compile_protos(names, Path(out), *more)


def protos():
    found = [str(path.relative_to(GOLDEN)) for path in sorted(GOLDEN.rglob("*.proto"))]
    return ["account.proto"] + found


def difference(name, expected, found):
    lines = list(difflib.unified_diff(expected.splitlines(), found.splitlines(),
                                      f"golden/{name}", "what was written", lineterm=""))
    return "\n".join(lines[:40])


def compare(name, written):
    """The differences between what was written for a .proto file and its golden files."""
    stem = name[:-len(".proto")]
    if sorted(written) != sorted(stem + ending for ending in ENDINGS):
        return [f"{name}: wrote {', '.join(sorted(written))}"]
    failures = []
    for path, text in written.items():
        golden = GOLDEN / path
        expected = golden.read_text() if golden.exists() else ""
        if text != expected:
            failures.append(difference(path, expected, text))
    return failures


def check_parameter(whole):
    """--afar_opt=messages=none leaves two of the four files; nothing else is known."""
    stubs = compile_in_a_folder(["services.proto"], "--afar_opt=messages=none")
    if stubs != {path: text for path, text in whole.items() if ".afar." in path}:
        return [f"--afar_opt=messages=none: wrote {', '.join(stubs)}"]
    with tempfile.TemporaryDirectory() as out:
        said = run_protoc(["services.proto"], out, "--afar_opt=messages=all").stderr
    if said != "--afar_out: --afar_opt=messages=all: there is only messages=none\n":
        return [f"--afar_opt=messages=all: was told {said}"]
    return []


def update(name, written):
    for path, text in written.items():
        (GOLDEN / path).write_text(text)
    print(f"{name}: {len(written)} files")


def main():
    names = protos()
    alone = {name: compile_in_a_folder([name]) for name in names}
    if "--update" in sys.argv[1:]:
        for name in names:
            update(name, alone[name])
        return 0
    failures = []
    together = compile_in_a_folder(list(reversed(names)))
    for name in names:
        failures += compare(name, alone[name])
        again = compile_in_a_folder([name])
        for path, text in alone[name].items():
            if again[path] != text or together[path] != text:
                failures.append(f"{path}: not the same each time")
    failures += check_parameter(alone["services.proto"])
    print("\n".join(failures) if failures else f"{len(names)} files, as they should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
