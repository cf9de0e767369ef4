#!/usr/bin/python3
"""Breaks code on purpose: each fault must be found, and named, by oracle.py.

protoc-gen-c makes the code of both sides from planted/planted.proto; one of them
is changed in one place.  A fault that goes unnoticed fails this test, and so does
code without a fault that is reported.
"""

import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import oracle  # noqa: E402
from side import LOOSE, Side  # noqa: E402

FILE = "planted.proto"

# Which file to change, what to replace by what (a regular expression, once), and
# what the report must say (a regular expression).
FAULTS = [
    # the header
    (".h", r"  char \*text;\n", "  const char *text;\n",
     r"struct Planted__Thing: lacks \"text: char \* at \d+\""),
    (".h", r"double real;\n(.*\n)  Planted__Kind kind;\n",
     r"Planted__Kind kind;\n\1  double real;\n",
     r"struct Planted__Thing: lacks \"real: double at"),
    (".h", r"double real;", "float real;", r"struct Planted__Thing: has \"real: float at"),
    (".h", r"size_t n_numbers;", "unsigned long long n_numbers;",
     r"struct Planted__Thing: lacks \"n_numbers: size_t at"),
    (".h", r"  char \*b;\n", "  const char *b;\n", r"in that union: b: const char \* at"),
    (".h", r"(    char \*b;\n  \};\n)", r"\1  char more;\n",
     r"struct Planted__Thing: has \"more: char at"),
    (".h", r"PLANTED__KIND__HIGH = 3", "PLANTED__KIND__HIGH = 4",
     r"enum _Planted__Kind: lacks \"PLANTED__KIND__HIGH = 3\""),
    (".h", r"PLANTED__THING__CHOICE_A = 11", "PLANTED__THING__CHOICE_B2 = 11",
     r"typedef Planted__Thing__ChoiceCase: lacks \"PLANTED__THING__CHOICE_A = 11\""),
    (".h", r"    PROTOBUF_C__FORCE_ENUM_TO_BE_INT_SIZE\(PLANTED__KIND\)\n", "",
     r"enum _Planted__Kind: lacks \"_PLANTED__KIND_IS_INT_SIZE = 2147483647\""),
    (".h", r"#define PLANTED__THING__INNER__INIT", "#define PLANTED__INNER__INIT",
     r"undeclared.*PLANTED__THING__INNER__INIT|PLANTED__THING__INNER__INIT.* undeclared"),
    (".h", r" PROTOBUF_C__DEPRECATED;", ";",
     r"deprecated members: lacks \"Planted__Thing.has_late\""),
    (".h", r"1\.5, ", "1.25, ", r"field 4 \(real\), as made by __INIT: its value has another"),
    (".h", r"planted__thing__text__default_value, ", "NULL, ",
     r"field 2 \(text\), as made by __INIT: its value is \"\(NULL\)\", should be \"text\""),
    (".h", r"extern const ProtobufCEnumDescriptor +planted__kind__descriptor;", "",
     r"planted__kind__descriptor"),
    (".h", r"extern char planted__thing__text", "extern const char planted__thing__text",
     r"planted__thing__text__default_value"),
    (".h", r"size_t planted__thing__pack\n", "int planted__thing__pack\n", r"planted__thing__pack"),
    # the tables
    (".c", r'"real",\n    4,', '"reel",\n    4,', r"field 4 \(real\): name is \"reel\""),
    (".c", r'"late",\n    20,', '"late",\n    21,', r"field 20 \(late\): id is 21, should be 20"),
    (".c", r"PROTOBUF_C_LABEL_REQUIRED", "PROTOBUF_C_LABEL_OPTIONAL",
     r"field 1 \(id\): label is 1, should be 0"),
    (".c", r"PROTOBUF_C_TYPE_SINT64", "PROTOBUF_C_TYPE_INT64",
     r"field 6 \(numbers\): type is 3, should be 4"),
    (".c", r"offsetof\(Planted__Thing, has_late\)", "offsetof(Planted__Thing, has_kind)",
     r"field 20 \(late\): quantifier_offset is \d+, should be"),
    (".c", r"offsetof\(Planted__Thing, real\)", "offsetof(Planted__Thing, late)",
     r"field 4 \(real\): offset is \d+, should be"),
    (".c", r"PROTOBUF_C_FIELD_FLAG_PACKED", "0", r"field 6 \(numbers\): flags is 0, should be 1"),
    (".c", r"PROTOBUF_C_FIELD_FLAG_ONEOF", "0", r"field 11 \(a\): flags is 0, should be 4"),
    (".c", r"(\"things\",(?:\n.*){5}\n    )&planted__thing__descriptor",
     r"\1&planted__thing__inner__descriptor",
     r"field 10 \(things\): descriptor is planted__thing__inner__descriptor"),
    (".c", r"real__default_value = 1\.5", "real__default_value = 1.25",
     r"field 4 \(real\): default_value has another value"),
    (".c", r"\[\] = \"text\"", '[] = "next"',
     r"field 2 \(text\): default_value is \"next\", should be \"text\""),
    (".c", r'"\\001\\002"', r'"\\001\\003"', r"field 3 \(data\): default_value has other bytes"),
    (".c", r"\{ 2, planted__thing__data", "{ 1, planted__thing__data",
     r"field 3 \(data\): default_value is 1, should be 2"),
    (".c", r"    &planted__thing__kind__default_value,", "    NULL,",
     r"field 5 \(kind\): default_value is NULL, should not be NULL"),
    (".c", r"  8,   /\* field\[8\] = b \*/\n", "  7,   /* field[8] = b */\n",
     r"fields_sorted_by_name\[\d\] is 7, should be 8"),
    (".c", r"\{ 10, 6 \}", "{ 10, 7 }", r"orig_index of range 1 is 7, should be 6"),
    (".c", r"\{ 20, 9 \}", "{ 19, 9 }", r"start_value of range 2 is 19, should be 20"),
    (".c", r'  "planted.Thing",\n', '  "planted.Think",\n',
     r"planted__thing: name is \"planted.Think\""),
    (".c", r'  "Planted__Thing",\n', '  "Planted_Thing",\n',
     r"planted__thing: c_name is \"Planted_Thing\""),
    (".c", r"\(ProtobufCMessageInit\) planted__thing__init", "NULL",
     r"planted__thing: message_init is NULL, should be planted__thing__init"),
    (".c", r'"PLANTED__KIND__HIGH", 3', '"PLANTED__KIND__HIGH", 2',
     r"planted__kind__descriptor value 1: value is 2, should be 3"),
    (".c", r'\{ "TOP", 1 \}', '{ "TOP", 0 }',
     r"planted__kind__descriptor values_by_name\[2\]: index is 0, should be 1"),
    (".c", r"\{3, 1\}", "{2, 1}", r"planted__kind__descriptor: start_value of range 1 is 2"),
    # the functions
    (".c", r"init_value = PLANTED__THING__INIT;\n", r"init_value = PLANTED__THING__INIT;\n"
     r"  message->has_late = 1; return;\n", r"as made by __init: "),
    (".c", r"\Z", "\nint planted__more = 1;\n",
     r"symbol planted__more: protoc-gen-c defines no such thing"),
    (".c", r"void   planted__thing__inner__init\n", "static void planted__thing__inner__init\n",
     r"planted__thing__inner__init"),
    (".c", r"return protobuf_c_message_pack \(\(const ProtobufCMessage\*\)message, out\);",
     "*out = 0; return protobuf_c_message_get_packed_size(&message->base);",
     r"planted__thing: pack and pack_to_buffer differ|packs other bytes"),
]


def make_suite(tools, number):
    folder = oracle.HERE / "planted"
    suite = oracle.Suite(tools, f"planted-{number}", [FILE], [folder])
    suite.load()
    sides = []
    for name in ("should", "is"):
        side = Side(tools, name, suite.work / name, LOOSE)
        suite.generate_oracle(side, oracle.without_services)
        sides.append(side)
    return suite, sides


def plant(side, fault):
    suffix, pattern, replacement, _ = fault
    path = side.out / f"planted.pb-c{suffix}"
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    if not count:
        raise SystemExit(f"planted.py: nothing in {path} matches {pattern}")
    path.write_text(text)


def check(tools, number, fault):
    """What is wrong with the oracle's report on that fault; None if it is right."""
    suite, (should, found) = make_suite(tools, number)
    if fault:
        plant(found, fault)
    suite.compare_sides(should, found)
    report = "\n".join(suite.lines)
    if not fault:
        return f"a difference where there is none: {report}" if report else None
    if not re.search(fault[3], report):
        return f"{fault[1]} -> {fault[2]!r} is not found; the report is: {report or 'empty'}"
    return None


def main():
    tools = oracle.parse_arguments()
    tools.work = tools.work.with_name(tools.work.name + "-planted")
    shutil.rmtree(tools.work, ignore_errors=True)
    cases = [None, *FAULTS]
    with ThreadPoolExecutor(max_workers=2) as pool:
        done = pool.map(lambda number: check(tools, number, cases[number]), range(len(cases)))
        complaints = [complaint for complaint in done if complaint]
    for complaint in complaints:
        print(complaint)
    print(f"{len(FAULTS)} faults planted, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
