"""One side of the comparison: the code that one generator made, and what the
compiler and binutils have to say of it."""

import re
import subprocess

import headers

LOOSE = ["-std=gnu11", "-w"]


def run(command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)


def first_error(text):
    lines = [line for line in text.splitlines() if line and "warning" not in line.lower()]
    errors = [line for line in lines if "error" in line]
    return (errors or lines or ["it does not say why"])[0].strip()


class Failure(Exception):
    """A tool refused; the message says which and why."""


def check_run(what, command, **more):
    done = run(command, **more)
    if done.returncode:
        raise Failure(f"{what}: {first_error(done.stderr)}")
    return done.stdout


def stem(file):
    return re.sub(r"\.proto$", "", file)


class Side:
    """What one generator made of a list of files."""

    def __init__(self, tools, name, out, flags):
        self.tools, self.name, self.out, self.flags = tools, name, out, flags
        out.mkdir(parents=True)

    def has_code(self, file):
        return (self.out / f"{stem(file)}.pb-c.c").exists()

    def header(self, file):
        return self.out / f"{stem(file)}.pb-c.h"

    def object(self, file):
        return self.out / f"{stem(file)}.o"

    def compile(self, file):
        check_run(f"{self.name}'s code does not compile",
                  [self.tools.cc, *self.flags, "-fPIC", "-c", "-I", self.out,
                   self.out / f"{stem(file)}.pb-c.c", "-o", self.object(file)])

    def symbols(self, file):
        listing = check_run("nm", ["nm", "--defined-only", "--extern-only", self.object(file)])
        return sorted(line.split()[2] for line in listing.splitlines())

    def declarations(self, file, symbols):
        """What the header declares; builds the probe on the way."""
        header, include = self.header(file), f"{stem(file)}.pb-c.h"
        probe = self.out / f"{stem(file)}.probe.c"
        probe.write_text(f'#include "{include}"\n')
        found = headers.macros(
            check_run("cc -E", [self.tools.cc, "-E", "-dD", "-I", self.out, probe]), header)
        structs = re.findall(r"^typedef\s+struct\s+\w+\s+(\w+)\s*;", header.read_text(), re.M)
        probe.write_text(headers.probe_source(include, symbols, found, structs))
        made = probe.with_suffix(".o")
        check_run(f"{self.name}'s header lacks something",
                  [self.tools.cc, *LOOSE, "-gdwarf-5", "-fno-eliminate-unused-debug-types", "-fPIC",
                   "-c", "-I", self.out, probe, "-o", made])
        found.update(headers.DebugInfo(made).declarations(str(header)))
        found["deprecated members"] = headers.deprecated_members(header.read_text())
        return {name: text for name, text in found.items() if not name.endswith("_Closure")}

    def link(self, file, closure):
        """One shared object from the code of a file, of all it imports, and its probe."""
        library = self.out / f"{stem(file)}.so"
        objects = [self.object(one) for one in closure if self.has_code(one)]
        check_run(f"{self.name}'s code does not link",
                  [self.tools.cc, "-shared", *objects, self.out / f"{stem(file)}.probe.o",
                   "-o", library, "-Wl,-z,defs", "-lprotobuf-c"])
        return library
