#!/usr/bin/python3
"""The documents against the source: every code has its line, with the right number
and gRPC status; links lead somewhere; names of functions exist."""

import os
import re
import subprocess
import tempfile
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("AFAR_BUILD", os.path.join(SOURCE, "build", "release"))
COMPILER = os.environ.get("AFAR_CC", "gcc")

CODE = re.compile(r"^    AFAR_([A-Z_]+) = (\d+)", re.MULTILINE)
STATUS_PROGRAM = """
#include <stdio.h>
#include <afar/error.h>
int main(void)
{
    for (int code = 1; code <= 200; code++)
        printf("%d %s %s\\n", code, afar_code_name((afar_code)code),
               afar_code_name(afar_code_status((afar_code)code)));
    return 0;
}
"""


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def documents():
    for folder, folders, names in os.walk(SOURCE):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "build"]
        for name in sorted(names):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(folder, name), SOURCE)


def codes_of_header():
    text = read("runtime", "afar", "error.h")
    text = text[text.index("typedef enum afar_code"):text.index("} afar_code;")]
    return {name: int(number) for name, number in CODE.findall(text)}


def say_statuses():
    """code -> (name, status), from the library itself."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "statuses")
        library = os.path.join(BUILD, "lib")
        subprocess.run([COMPILER, "-x", "c", "-", f"-I{SOURCE}/runtime", "-o", program,
                        f"-L{library}", "-lafar", f"-Wl,-rpath,{library}"],
                       input=STATUS_PROGRAM, text=True, check=True)
        said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {int(code): (name, status) for code, name, status in map(str.split, said.splitlines())}


class DocsTest(unittest.TestCase):
    def test_every_code_has_its_line(self):
        rows = re.findall(r"^\| `([A-Z_]+)` \((\d+)\) \|", read("docs", "errors.md"), re.MULTILINE)
        documented = {name: int(number) for name, number in rows}
        codes = codes_of_header()
        codes.pop("OK")
        self.assertEqual(documented, codes)

    def test_statuses(self):
        rows = dict(re.findall(r"^\| `([A-Z]+)` \| `([A-Z_]+)` \|", read("docs", "errors.md"),
                               re.MULTILINE))
        names = {number: name for name, number in codes_of_header().items()}
        for code, (name, status) in say_statuses().items():
            self.assertEqual(name, names.get(code, "UNKNOWN"))
            self.assertEqual(status, name if code <= 16 else rows.get(name, "UNKNOWN"))

    def test_links(self):
        for path in documents():
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(path)):
                place = os.path.join(SOURCE, os.path.dirname(path), target)
                self.assertTrue(os.path.exists(place), f"{path}: {target}")

    def test_functions_exist(self):
        headers = "".join(
            read(part, "afar", name) for part in ("runtime", "client", "server")
            for name in os.listdir(os.path.join(SOURCE, part, "afar")))
        for path in documents():
            for name in re.findall(r"`(afar_\w+[a-z])`", read(path)):
                if name != "afar_generate":
                    self.assertRegex(headers, rf"\b{name}\b", path)


if __name__ == "__main__":
    unittest.main()
