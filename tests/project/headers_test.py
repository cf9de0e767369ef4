#!/usr/bin/python3
"""The public headers: each is complete in itself, for C and for C++, with gcc and
with clang, and shows nothing of the libraries below.  One of them includes messages that
the compiler wrote."""

import os
import re
import subprocess
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("AFAR_BUILD", os.path.join(SOURCE, "build", "release"))
PARTS = ("runtime", "client", "server")
FLAGS = ["-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Werror",
         *(f"-I{SOURCE}/{part}" for part in PARTS), f"-I{BUILD}/runtime/afar-objects-afar"]
COMPILERS = [
    ("gcc", "c", "c11"), ("clang", "c", "c11"),
    ("g++", "c++", "c++11"), ("clang++", "c++", "c++11"),
]
FOREIGN = re.compile(r"\b(grpc_|gpr_|sqlite3|sodium_|crypto_[a-z]+_)\w*")


def public_headers():
    for part in PARTS:
        folder = os.path.join(SOURCE, part, "afar")
        for name in sorted(os.listdir(folder)):
            yield name, os.path.join(folder, name)


def compile_text(compiler, language, standard, text, *options):
    return subprocess.run(
        [compiler, "-x", language, f"-std={standard}", *FLAGS, *options, "-"],
        input=text, capture_output=True, text=True, check=False)


class HeadersTest(unittest.TestCase):
    def test_there_are_some(self):
        self.assertIn("error.h", [name for name, path in public_headers()])

    def test_each_compiles_alone_and_twice(self):
        for name, _ in public_headers():
            text = f"#include <afar/{name}>\n" * 2 + "typedef int something;\n"
            for compiler, language, standard in COMPILERS:
                with self.subTest(header=name, compiler=compiler):
                    run = compile_text(compiler, language, standard, text, "-fsyntax-only")
                    self.assertEqual(run.returncode, 0, run.stderr)

    def test_they_include_only_what_users_have(self):
        """protobuf-c, the C library, and each other."""
        for name, _ in public_headers():
            run = compile_text("gcc", "c", "c11", f"#include <afar/{name}>\n", "-M")
            self.assertEqual(run.returncode, 0, run.stderr)
            for path in run.stdout.replace("\\\n", " ").split():
                self.assertIsNone(re.search(r"/(grpc|grpc\+\+|sodium)/|/sqlite3?\.h", path),
                                  f"afar/{name} needs {path}")

    def test_no_foreign_names(self):
        for name, path in public_headers():
            with open(path, encoding="utf-8") as file:
                code = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
            self.assertIsNone(FOREIGN.search(code), f"afar/{name}")

    def test_guards(self):
        for name, path in public_headers():
            guard = "AFAR_" + name[:-2].upper() + "_H"
            with open(path, encoding="utf-8") as file:
                self.assertTrue(file.read().startswith(f"#ifndef {guard}\n#define {guard}\n"),
                                f"afar/{name} begins with the guard {guard}")


if __name__ == "__main__":
    unittest.main()
