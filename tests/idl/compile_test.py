#!/usr/bin/python3
"""Whether what protoc-gen-afar writes compiles without a warning.

All files of golden/, the bank example, Afar's own .proto files and the well-known types:
the sources with each C compiler that is there, each header alone as C and as C++, all
headers together, and in C++ an object of every message made from its __INIT.

Labels: plain.  Cost: 12
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = Path(os.environ.get("AFAR_SOURCE", HERE.parents[1]))
ROOTS = [HERE / "golden", SOURCE / "examples" / "bank", SOURCE / "idl", Path("/usr/include")]
WELL_KNOWN = ("any", "api", "descriptor", "duration", "empty", "field_mask", "source_context",
              "struct", "timestamp", "type", "wrappers", "compiler/plugin")

C_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Werror"]
CXX_FLAGS = ["-std=c++11", "-Wall", "-Wextra", "-Werror"]
INCLUDES = [f"-I{SOURCE / part}" for part in ("runtime", "client", "server")]
C_COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
CXX_COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]


def protos():
    """The files to compile, by the names they are imported under."""
    names = [f"google/protobuf/{name}.proto" for name in WELL_KNOWN]
    for root in ROOTS[:-1]:
        names += [str(path.relative_to(root)) for path in sorted(root.rglob("*.proto"))]
    return names


def generate(out):
    plugin = Path(os.environ["AFAR_BIN"]) / "protoc-gen-afar"
    done = subprocess.run(["protoc", f"--plugin=protoc-gen-afar={plugin}",
                           *[f"-I{root}" for root in ROOTS], f"--afar_out={out}", *protos()],
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"protoc:\n{done.stderr}")


def objects_of(header):
    """C++ that makes an object of each message of a header from its __INIT."""
    text = header.read_text()
    types = re.findall(r"^struct (\w+) \{\n    ProtobufCMessage ", text, re.M)
    macros = re.findall(r"^#define (\w+__INIT) ", text, re.M)
    if len(types) != len(macros):
        sys.exit(f"{header.name}: {len(types)} messages, but {len(macros)} __INIT")
    return "".join(f"extern {of_type} object{i};\n{of_type} object{i} = {macro};\n"
                   for i, (of_type, macro) in enumerate(zip(types, macros)))


def jobs(out):
    """What to compile: a compiler with its flags, and a file."""
    headers = sorted(out.rglob("*.h"))
    for source in sorted(out.rglob("*.c")):
        yield from (([compiler, *C_FLAGS], source) for compiler in C_COMPILERS)
    together = out / "together.c"
    together.write_text("".join(f'#include "{path.relative_to(out)}"\n' for path in headers * 2))
    for header in headers:
        name = str(header.relative_to(out))
        alone = out / (name.replace("/", "_") + ".alone.c")
        alone.write_text(f'#include "{name}"\n')
        cxx = out / (name.replace("/", "_") + ".cc")
        cxx.write_text(f'#include "{name}"\n' + objects_of(header))
        yield [C_COMPILERS[0], *C_FLAGS], alone
        # clang holds __INIT against whoever has a deprecated field.
        yield from (([compiler, *CXX_FLAGS, "-Wno-deprecated-declarations"], cxx)
                    for compiler in CXX_COMPILERS)
    yield from (([compiler, *C_FLAGS], together) for compiler in C_COMPILERS)
    yield from (([compiler, "-x", "c++", *CXX_FLAGS], together) for compiler in CXX_COMPILERS)


def compile_file(job, out):
    command, path = job
    done = subprocess.run([*command, f"-I{out}", *INCLUDES, "-c", "-o", "/dev/null", path],
                          capture_output=True, text=True)
    if done.returncode or done.stderr:
        return f"{' '.join(command)} {path.relative_to(out)}:\n{done.stderr[:2000]}"
    return None


def main():
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        generate(out)
        todo = list(jobs(out))
        with ThreadPoolExecutor(max_workers=2) as pool:
            failures = [told for told in pool.map(lambda job: compile_file(job, out), todo) if told]
    print("\n".join(failures) if failures else f"{len(todo)} compilations without a warning")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
