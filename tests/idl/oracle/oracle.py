#!/usr/bin/python3
"""Holds the message code of protoc-gen-afar against that of protoc-gen-c.

    oracle.py [file.proto ...]

both/    files that both accept: the headers must declare the same (structs with
         the same members, types, sizes and offsets, enums, functions, macros), the
         objects define the same symbols, the descriptors be equal member by member,
         fresh messages hold the same, and messages go back and forth between the
         two and Python's protobuf without a change.  The .proto files of protobuf
         itself and of the bank example are held to the same.
recast/  proto3 files with `optional`, which protoc-gen-c refuses: held against its
         code for the same file turned into proto2.
alone/   files that protoc-gen-c refuses or miscompiles: our code must compile, say
         what the .proto says, and agree with Python's protobuf; x.c, beside x.proto,
         uses it as a person would.  So is afar.Ref, which has a member that
         protoc-gen-c knows nothing of.
random/  files made up by maker.py from --seed, --random of them: as in both/.

Services are taken out of what protoc-gen-c sees: it makes stubs for them that we do
not.  So are the types X_Closure that it makes for each message, for these stubs
alone.  A difference is one line: the file, the C name with its member, what it is
and what it should be.  The exit code is 1 if there were any.
"""

import argparse
import random
import shutil
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from google.protobuf import descriptor_pb2  # noqa: E402

import headers  # noqa: E402
import maker  # noqa: E402
import wire  # noqa: E402
from side import LOOSE, Failure, Side, check_run, run, stem  # noqa: E402

warnings.simplefilter("error")  # Python's protobuf only warns of some bad bytes

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[2]
SEED, RANDOM_MESSAGES, RANDOM_FILES = 20, 12, 10
MOST_LINES = 200
SCALARS = set(range(1, 19)) - {9, 10, 11, 12}  # the numbers of types that can be packed

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Werror"]
STRICT_CXX = ["-std=gnu++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]

# Headers with macros that fields may be named like; users include them before ours.
MACROS = ["errno.h", "stdio.h", "sys/sysmacros.h"]


class Suite:
    """A folder of .proto files, what both generators make of it, and the checks."""

    def __init__(self, tools, name, files, includes):
        self.tools, self.name, self.files = tools, name, files
        self.includes = [f"-I{path}" for path in includes]
        self.work = tools.work / name
        self.set = descriptor_pb2.FileDescriptorSet()
        self.lines = []

    def report(self, file, line):
        self.lines.append(f"{self.name}/{file}: {line}")

    # ---- making the code ----

    def load(self):
        self.work.mkdir(parents=True)
        path = self.work / "files.pb"
        check_run("protoc", [self.tools.protoc, *self.includes, "--include_imports",
                             "--include_source_info", "-o", path, *self.files])
        self.set.ParseFromString(path.read_bytes())
        self.by_name = {file.name: file for file in self.set.file}
        self.wire = wire.Wire(self.set.file)

    def closure(self, file):
        found = [file]
        for name in found:
            found += [one for one in self.by_name[name].dependency if one not in found]
        return found

    def all_files(self):
        """Imported files as well, if code is made for them."""
        return [file.name for file in self.set.file]

    def generate_oracle(self, side, change):
        """Runs protoc-gen-c on the descriptors after `change`."""
        path = side.out / "files.pb"
        changed = descriptor_pb2.FileDescriptorSet()
        changed.CopyFrom(self.set)
        for file in changed.file:
            change(file)
        path.write_bytes(changed.SerializeToString())
        check_run("protoc-gen-c", [self.tools.protoc, f"--descriptor_set_in={path}",
                                   f"--c_out={side.out}", *self.all_files()])

    def generate_afar(self, out, files):
        check_run("protoc-gen-afar",
                  [self.tools.protoc, *self.includes,
                   f"--plugin=protoc-gen-afar={self.tools.plugin}", f"--afar_out={out}", *files])

    def each(self, work, files):
        """Does `work(file)` for all files, two at a time; a Failure is a difference."""
        def guarded(file):
            try:
                work(file)
                return True
            except Failure as failure:
                self.report(file, failure)
                return False

        with ThreadPoolExecutor(max_workers=2) as pool:
            return [file for file, well in zip(files, pool.map(guarded, files)) if well]

    def make_afar(self):
        side = Side(self.tools, "protoc-gen-afar", self.work / "afar", STRICT)
        try:
            self.generate_afar(side.out, self.all_files())
        except Failure:
            self.each(lambda file: self.generate_afar(side.out, [file]), self.all_files())
        return side

    def with_code(self, side, files):
        """Those of the files for which code was made; it should be all of them."""
        for file in files:
            if not side.has_code(file):
                self.report(file, f"{side.name} makes no code for it")
        return [file for file in files if side.has_code(file)]

    # ---- checks ----

    def check_alone_is_same(self, side, file):
        """The compiler makes the same of a file whatever else it is asked for."""
        out = self.work / "one" / stem(file)
        out.mkdir(parents=True)
        self.generate_afar(out, [file])
        for made in sorted(path for path in out.rglob("*") if path.is_file()):
            name = made.relative_to(out)
            other = side.out / name
            if not other.exists() or other.read_bytes() != made.read_bytes():
                self.report(file, f"{name} differs when it is made by itself")

    def compile_again(self, side, what, command, text=None):
        """As users may have it: with macros about, and with our include folders."""
        parts = [f"-I{side.out}"]
        for part in ("runtime", "client", "server"):
            parts.append(f"-I{SOURCE / part}")
        for header in MACROS:
            parts += ["-include", header]
        check_run(what, [*command, "-fsyntax-only", *parts, *([] if text is None else ["-"])],
                  input=text)

    def check_cxx(self, side, files):
        """All headers in one go, since C++ is slow; one by one only if that fails."""
        made = [f"{stem(file)}{suffix}" for file in files for suffix in (".pb-c.h", ".afar.h")]
        text = "".join(f'#include "{name}"\n' for name in made if (side.out / name).exists())
        self.compile_again(side, "its headers do not compile as C++",
                           [self.tools.cxx, *STRICT_CXX, "-x", "c++"], text)

    def check_use(self, side, file):
        """A program beside x.proto, x.c, names what should be there and tries it."""
        source = HERE / self.name / f"{stem(file)}.c"
        if not source.exists():
            return
        program = side.out / f"{stem(file)}.use"
        objects = [side.object(one) for one in self.closure(file) if side.has_code(one)]
        check_run(f"{source.name} does not compile",
                  [self.tools.cc, *STRICT, "-I", side.out, source, *objects, "-o", program,
                   "-lprotobuf-c", "-lm"])
        done = run([program])
        for line in done.stderr.splitlines():
            self.report(file, line)
        if done.returncode:
            self.report(file, f"{source.name} ends with {done.returncode}")

    def check_gnu(self, side, file):
        """GNU's C knows more words; this is the check of the interface code, too."""
        for suffix in (".pb-c.c", ".afar.c"):
            source = side.out / f"{stem(file)}{suffix}"
            if source.exists():
                self.compile_again(side, "its code does not compile as GNU C",
                                   [self.tools.cc, "-std=gnu11", *STRICT[1:], source])

    def check_headers(self, should, found, file):
        symbols_should, symbols_found = should.symbols(file), found.symbols(file)
        for symbol in sorted(set(symbols_should) ^ set(symbols_found)):
            if symbol in symbols_should:
                self.report(file, f"symbol {symbol}: missing")
            else:
                self.report(file, f"symbol {symbol}: protoc-gen-c defines no such thing")
        common = [symbol for symbol in symbols_should if symbol in symbols_found]
        declared = found.declarations(file, common)
        for line in headers.differences(should.declarations(file, common), declared):
            self.report(file, line)
        return [symbol for symbol in common if symbol.endswith("__descriptor")]

    def twin(self, file, command, libraries, lines, *more):
        """Runs the program that loads both sides; its complaints are differences."""
        done = run([self.tools.twin, command, *libraries, *more], input="".join(lines))
        for line in done.stderr.splitlines()[:40]:
            self.report(file, line)
        if done.returncode not in (0, 1):
            raise Failure(f"twin {command} ends with {done.returncode}")
        return done.stdout.splitlines()

    def names_of_messages(self, file, libraries, descriptors):
        """From C symbol to the message's full name, and the lines `fields` prints."""
        fields, symbol = {}, None
        messages = self.wire.messages(file)
        for line in self.twin(file, "fields", libraries,
                              [one + "\n" for one in descriptors]):
            if line.startswith("= "):
                _, symbol, name = line.split()
                if name == "-":
                    name = self.name_of_symbol(messages, symbol)
                fields[symbol] = (name, [])
            else:
                fields[symbol][1].append(line)
        missing = set(messages) - {name for name, _ in fields.values()}
        for name in sorted(missing):
            self.report(file, f"{name}: has no descriptor in C")
        return fields

    @staticmethod
    def name_of_symbol(messages, symbol):
        """For descriptors without names; the C name tells, unless c_package is set."""
        wanted = headers.plain(symbol[:-len("__descriptor")])
        found = [name for name in messages if headers.plain(name) == wanted]
        if len(found) != 1:
            raise Failure(f"{symbol} could be any of {found}")
        return found[0]

    def check_fields(self, file, fields):
        for symbol, (name, lines) in fields.items():
            expected = self.wire.fields(name)
            for line in lines:
                number = int(line.split()[1])
                rest, default = line.rsplit(" ", 1)
                if number not in expected:
                    self.report(file, f"{symbol}: field {number} is not in the .proto file")
                    continue
                wanted, wanted_default = expected.pop(number)
                code_size = rest.startswith("- ")
                if rest != wanted and not (code_size and rest[1:] == wanted[wanted.index(" "):]):
                    self.report(file, f"{symbol}: its field is \"{rest}\", should be \"{wanted}\"")
                if wanted_default is not None and default != wanted_default:
                    self.report(file, f"{symbol} field {number}: its default is {default}, "
                                      f"Python's is {wanted_default}")
            for number in expected:
                self.report(file, f"{symbol}: lacks field {number}")

    def check_wire(self, file, libraries, fields):
        """C to Python and Python to C; both must understand the same."""
        symbols = [symbol + "\n" for symbol in fields]
        for line in self.twin(file, "random", libraries, symbols, str(self.tools.seed),
                              str(RANDOM_MESSAGES)):
            symbol, data, text = line.split(" ", 2)
            self.check_text(file, fields[symbol][0], data, text, "what C packs")

        rng = random.Random(self.tools.seed)
        sent = []
        for symbol, (name, _) in fields.items():
            if not self.wire.is_map_entry(name):
                sent += [(symbol, self.wire.random(name, rng).hex())
                         for _ in range(RANDOM_MESSAGES)]
        lines = [f"{symbol} {data or '-'}\n" for symbol, data in sent]
        answers = self.twin(file, "read", libraries, lines)
        if len(answers) != len(sent):
            raise Failure(f"C read {len(answers)} of {len(sent)} messages from Python")
        for (symbol, data), answer in zip(sent, answers):
            name = fields[symbol][0]
            _, again, text = answer.split(" ", 2)
            self.check_text(file, name, data, text, "what Python packs")
            self.check_meaning(file, name, data, again)

    def check_meaning(self, file, name, data, again):
        try:
            same = self.wire.canonical(name, bytes.fromhex(again.strip("-"))) == \
                self.wire.canonical(name, bytes.fromhex(data.strip("-")))
        except Exception:  # whatever Python's protobuf throws at bad bytes
            same = False
        if not same:
            self.report(file, f"{name}: {data} means something else as C packs it: {again}")

    def check_text(self, file, name, data, text, what):
        try:
            expected = self.wire.text(name, bytes.fromhex(data.strip("-")))
        except Exception as error:  # whatever Python's protobuf throws at bad bytes
            self.report(file, f"{name}: Python cannot parse {what}: {data}: {error}")
            return
        if text != expected:
            self.report(file, f"{name}: {what}, {data}, is {text} in C, {expected} in Python")

    def check_side_by_side(self, should, found, file):
        """Everything about one file, `should` being the oracle."""
        descriptors = self.check_headers(should, found, file)
        closure = self.closure(file)
        libraries = [should.link(file, closure), found.link(file, closure)]
        before = len(self.lines)
        self.twin(file, "compare", libraries, [symbol + "\n" for symbol in descriptors])
        if len(self.lines) > before:
            return  # messages of different layouts cannot be exchanged
        fields = self.names_of_messages(file, libraries, descriptors)
        self.check_fields(file, fields)
        self.check_wire(file, libraries, fields)

    # ---- the kinds of suites ----

    def compare(self, change):
        """Both generators, the oracle after `change`."""
        self.load()
        should = Side(self.tools, "protoc-gen-c", self.work / "c", LOOSE)
        self.generate_oracle(should, change)
        found = self.make_afar()
        self.check_output(found, self.compare_sides(should, found))

    def compare_sides(self, should, found):
        """Compiles both and compares them; gives the files for which that could be done."""
        made = self.each(should.compile, [one for one in self.all_files() if should.has_code(one)])
        made = self.each(found.compile, self.with_code(found, made))
        wanted = [one for one in made if one in self.files]
        self.each(lambda file: self.check_side_by_side(should, found, file), wanted)
        return wanted

    def check_output(self, side, files):
        self.each(lambda file: self.check_alone_is_same(side, file), files)
        self.each(lambda file: self.check_gnu(side, file), files)
        try:
            self.check_cxx(side, files)
        except Failure:
            self.each(lambda file: self.check_cxx(side, [file]), files)

    def only_ours(self):
        """Without an oracle: our code on both sides, and Python's protobuf."""
        self.load()
        found = self.make_afar()
        self.with_code(found, self.files)
        made = [one for one in self.all_files() if found.has_code(one)]
        wanted = [one for one in self.each(found.compile, made) if one in self.files]
        self.each(lambda file: self.check_side_by_side(found, found, file), wanted)
        self.each(lambda file: self.check_use(found, file), wanted)
        self.check_output(found, wanted)


def without_services(file):
    file.ClearField("service")


def recast_to_proto2(file):
    """Turns proto3 with nothing but `optional` and repeated fields into proto2 of
    the same C types: what was optional has presence in both."""
    def recast(message):
        for field in message.field:
            if field.proto3_optional:
                field.ClearField("proto3_optional")
                field.ClearField("oneof_index")
            elif field.label == field.LABEL_REPEATED:
                if field.type in SCALARS and not field.options.HasField("packed"):
                    field.options.packed = True
            else:
                raise Failure(f"recast/{file.name}: {field.name} is neither optional nor repeated")
        message.ClearField("oneof_decl")
        for nested in message.nested_type:
            recast(nested)

    without_services(file)
    if file.syntax == "proto3":
        file.ClearField("syntax")
        for message in file.message_type:
            recast(message)


def suites(tools):
    """All of them, in the order of the text at the top."""
    def protos(folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))

    def make(name, more=(), includes=()):
        includes = [HERE / name, *includes, SOURCE / "idl", tools.include]
        return Suite(tools, name, protos(HERE / name) + list(more), includes)

    shipped = [f"google/protobuf/{path.name}"
               for path in sorted((tools.include / "google/protobuf").glob("*.proto"))]
    shipped.append("google/protobuf/compiler/plugin.proto")
    bank, made = SOURCE / "examples/bank", tools.work / "made"
    random_files = maker.write_files(made, tools.seed, tools.random)
    return [
        (make("both", shipped + ["account.proto"], [bank]),
         lambda suite: suite.compare(without_services)),
        (Suite(tools, "random", random_files, [made, tools.include]),
         lambda suite: suite.compare(without_services)),
        (make("recast"), lambda suite: suite.compare(recast_to_proto2)),
        (make("alone", ["afar/ref.proto"]), lambda suite: suite.only_ours()),
    ]


def parse_arguments():
    parser = argparse.ArgumentParser(description="protoc-gen-afar against protoc-gen-c")
    parser.add_argument("--plugin", type=Path, required=True, help="protoc-gen-afar")
    parser.add_argument("--twin", type=Path, required=True, help="the program twin")
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in; emptied")
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--cxx", default="g++")
    parser.add_argument("--include", type=Path, default=Path("/usr/include"),
                        help="where protobuf's own .proto files are")
    parser.add_argument("--seed", type=int, default=SEED, help="of random files and messages")
    parser.add_argument("--random", type=int, default=RANDOM_FILES, help="how many random files")
    parser.add_argument("files", nargs="*", help="only these, such as both/maps.proto")
    tools = parser.parse_args()
    tools.work = tools.work.absolute()
    tools.plugin = tools.plugin.absolute()
    for program in (tools.plugin, tools.twin):
        if not program.exists():
            parser.error(f"{program} is not there; build it first")
    return tools


def main():
    tools = parse_arguments()
    shutil.rmtree(tools.work, ignore_errors=True)
    count, lines = 0, []
    for suite, check in suites(tools):
        if tools.files:
            suite.files = [one for one in suite.files if f"{suite.name}/{one}" in tools.files]
        if suite.files:
            try:
                check(suite)
            except Failure as failure:
                suite.lines.append(f"{suite.name}: {failure}")
        count += len(suite.files)
        lines += suite.lines
    for line in sorted(lines)[:MOST_LINES]:
        print(line)
    print(f"{count} files, {len(lines) or 'no'} differences")
    return 1 if lines or not count else 0


if __name__ == "__main__":
    sys.exit(main())
