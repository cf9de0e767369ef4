"""What a generated header declares, as a C compiler sees it.

A probe, a C file that includes the header and touches every symbol it should
declare, is compiled with debugging information; readelf turns that into structs
with sizes and offsets, enums with values, prototypes and variables.  Macros come
from the preprocessor.  Only what the header itself declares counts, not what it
includes.
"""

import os
import re
import subprocess

DIE = re.compile(r" <(\d+)><([0-9a-f]+)>: Abbrev Number: \d+(?: \((DW_TAG_\w+)\))?")
ATTRIBUTE = re.compile(r"    <[0-9a-f]+>   DW_AT_(\w+)\s*: ?(.*)")
INDIRECT = re.compile(r"^\((?:in[a-z ]*string|alt [a-z ]*string)[^)]*\): ")
REFERENCE = re.compile(r"<(?:0x)?([0-9a-f]+)>")
DIRECTORY = re.compile(r"  (\d+)\s+(?:\(.*?\): )?(\S.*)")
FILE = re.compile(r"  (\d+)\s+(\d+)\s+(?:0x[0-9a-f]+\s+)?(?:\(.*?\): )?(\S.*)")


class Die:
    """One entry of the debugging information."""

    def __init__(self, tag):
        self.tag = tag
        self.attributes = {}
        self.children = []

    def name(self):
        return INDIRECT.sub("", self.attributes.get("name", "")).strip()

    def number(self, attribute, otherwise=None):
        text = self.attributes.get(attribute)
        if text is None:
            return otherwise
        return int(re.match(r"-?(0x[0-9a-f]+|\d+)", text.split(": ")[-1].strip()).group(0), 0)


class DebugInfo:
    """The entries of an object file made from one source file."""

    def __init__(self, path):
        dump = subprocess.run(["readelf", "--debug-dump=info", path], check=True,
                              capture_output=True, text=True, errors="replace").stdout
        self.by_offset = {}
        self.root = None
        self._read_entries(dump)
        lines = subprocess.run(["readelf", "--debug-dump=rawline", path], check=True,
                               capture_output=True, text=True, errors="replace").stdout
        self.files = self._read_files(lines)

    def _read_entries(self, dump):
        stack = []
        die = None
        for line in dump.splitlines():
            match = ATTRIBUTE.match(line)
            if match:
                if die:
                    die.attributes[match.group(1)] = match.group(2)
                continue
            match = DIE.match(line)
            if not match:
                continue
            depth, offset, tag = int(match.group(1)), match.group(2), match.group(3)
            del stack[depth:]
            die = Die(tag) if tag else None
            if not die:
                continue
            self.by_offset[int(offset, 16)] = die
            if stack:
                stack[-1].children.append(die)
            else:
                self.root = die
            stack.append(die)

    @staticmethod
    def _read_files(dump):
        directories, files, table = {}, {}, None
        for line in dump.splitlines():
            if "The Directory Table" in line:
                table = DIRECTORY
            elif "The File Name Table" in line:
                table = FILE
            match = table.match(line) if table else None
            if match and table is DIRECTORY:
                directories[int(match.group(1))] = match.group(2)
            elif match:
                where = os.path.join(directories[0], directories[int(match.group(2))])
                files[int(match.group(1))] = os.path.normpath(os.path.join(where, match.group(3)))
        return files

    def type_of(self, die):
        text = die.attributes.get("type")
        return self.by_offset[int(REFERENCE.search(text).group(1), 16)] if text else None

    def spell(self, die):
        """A type as C would write it."""
        if die is None:
            return "void"
        kind = die.tag[len("DW_TAG_"):]
        if kind == "pointer_type":
            inner = self.type_of(die)
            if inner is not None and inner.tag == "DW_TAG_subroutine_type":
                return self.spell_function(inner, "(*)")
            return self.spell(inner) + " *"
        if kind == "const_type":
            inner = self.type_of(die)
            if inner is not None and inner.tag == "DW_TAG_pointer_type":
                return self.spell(inner) + "const"
            return "const " + self.spell(inner)
        if kind == "array_type":
            bounds = [child.number("upper_bound") for child in die.children]
            return self.spell(self.type_of(die)) + " " + "".join(
                "[]" if bound is None else f"[{bound + 1}]" for bound in bounds)
        if kind == "structure_type":
            return "struct " + die.name()
        if kind == "enumeration_type":
            return "enum " + die.name()
        if kind == "subroutine_type":
            return self.spell_function(die, "")
        return die.name()

    def spell_function(self, die, name):
        parameters = [self.spell(self.type_of(child)) for child in die.children
                      if child.tag == "DW_TAG_formal_parameter"]
        parameters += ["..." for child in die.children
                       if child.tag == "DW_TAG_unspecified_parameters"]
        prototype = ", ".join(parameters) or ("void" if "prototyped" in die.attributes else "")
        return f"{self.spell(self.type_of(die))} {name}({prototype})"

    def members(self, die):
        """The members of a struct; those of an unnamed union in it as well."""
        found = []
        for child in die.children:
            if child.tag != "DW_TAG_member":
                continue
            offset = child.number("data_member_location", 0)
            of_type = self.type_of(child)
            if not child.name() and of_type.tag == "DW_TAG_union_type":
                found.append(f"union at {offset}, {of_type.number('byte_size')} bytes")
                found += [f"in that union: {member}" for member in self.members(of_type)]
            else:
                found.append(f"{child.name()}: {self.spell(of_type)} at {offset}")
        return found

    def enumerators(self, die):
        return [f"{child.name()} = {child.number('const_value')}" for child in die.children]

    def declarations(self, header):
        """What `header` declares, as a dictionary from name to text or list of texts."""
        wanted = {number for number, path in self.files.items()
                  if path == os.path.normpath(header)}
        found = {}
        for die in self.root.children:
            if die.number("decl_file") not in wanted:
                continue
            kind, name = die.tag[len("DW_TAG_"):], die.name()
            if kind == "structure_type" and name:
                found["struct " + name] = [f"size {die.number('byte_size')}"] + self.members(die)
            elif kind == "enumeration_type" and name:
                found["enum " + name] = self.enumerators(die)
            elif kind == "typedef":
                of_type = self.type_of(die)
                if of_type is not None and of_type.tag == "DW_TAG_enumeration_type" \
                        and not of_type.name():
                    found["typedef " + name] = ["an unnamed enum"] + self.enumerators(of_type)
                else:
                    found["typedef " + name] = self.spell(of_type)
            elif kind == "subprogram":
                found["function " + name] = self.spell_function(die, "")
            elif kind == "variable" and "declaration" in die.attributes:
                found["variable " + name] = self.spell(self.type_of(die))
        return found


def macros(preprocessed, header):
    """The macros that `header` defines, from `cc -E -dD`, with their parameters."""
    found = {}
    here = False
    for line in preprocessed.splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            here = os.path.normpath(marker.group(1)) == os.path.normpath(header)
            continue
        macro = re.match(r"#define (\w+)(\([^)]*\))?", line) if here else None
        if macro:
            found["macro " + macro.group(1)] = macro.group(2) or ""
    return found


def deprecated_members(text):
    """Which members of which structs would bring a warning; the debugging information
    does not say."""
    found, struct = [], ""
    for line in text.splitlines():
        opening = re.match(r"struct\s+(\w+)", line)
        struct = opening.group(1) if opening else struct
        member = re.search(r"(\w+)\s+PROTOBUF_C__DEPRECATED;", line)
        if member:
            found.append(f"{struct}.{member.group(1)}")
    return sorted(found)


def plain(name):
    """A name without what tells its C spellings apart."""
    return name.replace("_", "").replace(".", "").lower()


def probe_source(include, symbols, found_macros, structs):
    """A C file that touches each symbol and keeps what each __INIT macro makes."""
    lines = [f'#include "{include}"', ""]
    for i, symbol in enumerate(symbols):
        lines.append(f"extern const void *const oracle_symbol_{i};")
        lines.append(f"const void *const oracle_symbol_{i} = (const void *)&{symbol};")
    by_plain_name = {plain(struct): struct for struct in structs}
    for macro in found_macros:
        name = macro.split(" ", 1)[1]
        message = name[:-len("__INIT")] if name.endswith("__INIT") else ""
        struct = by_plain_name.get(plain(message))
        if struct:
            lines.append(f"extern const {struct} oracle_init_{message.lower()};")
            lines.append(f"const {struct} oracle_init_{message.lower()} = {name};")
    return "\n".join(lines) + "\n"


def differences(should, found):
    """One line for each name or member in which two headers differ."""
    lines = []
    for name in sorted(should.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name}: missing, should be {brief(should[name])}")
        elif name not in should:
            lines.append(f"{name}: protoc-gen-c has no such thing ({brief(found[name])})")
        elif isinstance(should[name], str) or isinstance(found[name], str):
            if should[name] != found[name]:
                lines.append(f"{name}: is {brief(found[name])}, should be {brief(should[name])}")
        else:
            lines += list_differences(name, should[name], found[name])
    return lines


def list_differences(name, should, found):
    if should == found:
        return []
    lines = [f"{name}: has \"{item}\"" for item in found if item not in should]
    lines += [f"{name}: lacks \"{item}\"" for item in should if item not in found]
    return lines or [f"{name}: its members are in another order: {found}, should be {should}"]


def brief(declaration):
    text = declaration if isinstance(declaration, str) else "; ".join(declaration)
    return text if len(text) < 200 else text[:200] + "..."
