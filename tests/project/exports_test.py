#!/usr/bin/python3
"""What the shared libraries export is what the public headers declare, each
function with a comment, and nothing else; and they need no more than they say."""

import os
import re
import subprocess
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("AFAR_BUILD", os.path.join(SOURCE, "build", "release"))
LIBRARIES = {"runtime": "libafar.so", "client": "libafar-client.so",
             "server": "libafar-server.so"}

# Interfaces of our own that libafar comes with: the headers that the compiler wrote.
OWN = ("names", "node", "ref", "channel")
OWN_NAME = re.compile(r"afar_(names|node|channels)_v1_|afar__(names|node|channels)__v1__|"
                      r"afar__(ref|sender|receiver)__|"
                      r"afar_file_afar_(names|node|ref|channel)_proto")

# A comment, or a declaration of a function or a table with AFAR_API.
ITEM = re.compile(r"/\*.*?\*/|^AFAR_API\b[^;{]*?\b(afar_\w+)[(\[][^;{]*;", re.DOTALL | re.MULTILINE)


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def exported(part):
    """The symbols of a library: name -> version."""
    library = os.path.join(BUILD, "lib", LIBRARIES[part])
    symbols = {}
    for line in output_of("nm", "-D", "--defined-only", library).splitlines():
        kind, symbol = line.split()[-2:]
        if kind != "A":
            name, _, version = symbol.partition("@@")
            symbols[name] = version
    return symbols


def declarations(text):
    """(name, has a comment) of each function and table.  A comment also stands for the
    declaration after the one below it: they are a pair."""
    covers = 0
    end = 0
    for match in ITEM.finditer(text):
        if match.group(1) is None:
            covers = 2
        else:
            attached = text[end:match.start()].strip() == ""
            yield match.group(1), covers > 0 and attached
            covers -= 1
        end = match.end()


def declared(part):
    folder = os.path.join(SOURCE, part, "afar")
    functions = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            functions.update(declarations(file.read()))
    return functions


def is_private(name):
    return name.startswith("afar__") and not OWN_NAME.match(name)


def generated():
    """Every word of the headers of our own interfaces."""
    folder = os.path.join(BUILD, "runtime", "afar-objects-afar", "afar")
    words = set()
    for name in OWN:
        for ending in (".afar.h", ".pb-c.h"):
            with open(os.path.join(folder, name + ending), encoding="utf-8") as file:
                words.update(re.findall(r"\w+", file.read()))
    return words


class ExportsTest(unittest.TestCase):
    def test_our_own_interfaces(self):
        mine = {name for name in exported("runtime") if OWN_NAME.match(name)}
        self.assertEqual(mine - generated(), set())
        self.assertIn("afar_names_v1_names_lookup", mine)
        self.assertIn("afar__names__v1__record__pack", mine)

    def test_exports_are_the_headers(self):
        for part in LIBRARIES:
            with self.subTest(part=part):
                public = {name for name in exported(part)
                          if not is_private(name) and not OWN_NAME.match(name)}
                self.assertEqual(public, set(declared(part)))

    def test_each_has_a_comment(self):
        for part in LIBRARIES:
            bare = [name for name, comment in declared(part).items() if not comment]
            self.assertEqual(bare, [], part)

    def test_versions(self):
        for part in LIBRARIES:
            for name, version in exported(part).items():
                node = "AFAR_PRIVATE" if is_private(name) else "AFAR_0"
                self.assertEqual(version, node, name)

    def test_comments_are_seen(self):
        text = "/* One. */\nAFAR_API int\nafar_a(void);\n\n" \
               "AFAR_API AFAR_PRINTF(1, 2) int\nafar_b(const char *text, ...);\n\n" \
               "AFAR_API int\nafar_c(void);\n"
        self.assertEqual(list(declarations(text)),
                         [("afar_a", True), ("afar_b", True), ("afar_c", False)])

    def test_names_and_needs(self):
        """The soname, and the libraries that are loaded with each."""
        system = {"libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}
        needs = {"runtime": system | {"libgrpc", "libgpr", "libprotobuf-c", "libz",
                                    "libsodium"},
                 "client": system | {"libafar", "libprotobuf-c"},
                 "server": system | {"libafar", "libprotobuf-c"}}
        for part, library in LIBRARIES.items():
            text = output_of("readelf", "-d", os.path.join(BUILD, "lib", library))
            self.assertIn(f"soname: [{library}.0]", text)
            found = {name.split(".so")[0] for name in re.findall(r"NEEDED.*\[(.*)\]", text)}
            self.assertLessEqual(found, needs[part])


if __name__ == "__main__":
    unittest.main()
