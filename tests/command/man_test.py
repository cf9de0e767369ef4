#!/usr/bin/python3
"""The man pages: one for each command, clean for the formatter, with everything that
help says."""

import os
import re
import shutil
import subprocess
import unittest

from harness import BUILD, OTHER, PATIENCE, CommandTest, environment, main

PAGES = os.path.join(BUILD, "command", "texts", "man1")


def pages():
    return sorted(os.listdir(PAGES))


def formatted(path):
    """A page as a reader sees it, in one line and without overstrikes."""
    done = subprocess.run(["groff", "-ww", "-man", "-Tascii", "-P-c", "-rLL=500n", path],
                          capture_output=True, text=True, timeout=PATIENCE, check=True)
    if done.stderr:
        raise AssertionError(f"{path}: {done.stderr}")
    return " ".join(re.sub(".\b", "", done.stdout).split())


class ManTest(CommandTest):
    def test_a_page_for_each_command(self):
        listed = re.search(r"Commands:\n(.*?)\n\n", self.run_afar("help")[0], re.DOTALL).group(1)
        commands = [line[:24].split() for line in listed.split("\n")]
        expected = ["afar.1"] + ["-".join(["afar", *words]) + ".1" for words in commands]
        self.assertEqual(pages(), sorted(expected))

    def test_built_pages_are_those_of_the_program(self):
        self.run_afar("man", self.folder)
        for page in pages():
            with open(os.path.join(PAGES, page), encoding="utf-8") as built, \
                    open(os.path.join(self.folder, page), encoding="utf-8") as written:
                self.assertEqual(built.read(), written.read())

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_formatters_have_nothing_to_say(self):
        for page in pages():
            self.assertIn("EXIT STATUS", formatted(os.path.join(PAGES, page)))

    def test_no_line_ends_with_a_space(self):
        for page in pages():
            with open(os.path.join(PAGES, page), encoding="utf-8") as file:
                self.assertNotRegex(file.read(), r"[ \t]\n", page)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_what_is_wrong_is_seen(self):
        path = os.path.join(self.folder, "bad.1")
        with open(path, "w", encoding="utf-8") as file:
            file.write(".TH BAD 1\n.NOSUCH macro\n")
        with self.assertRaises(AssertionError):
            formatted(path)

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_man_has_nothing_to_say(self):
        for page in pages():
            done = subprocess.run(["man", "--warnings", "-l", os.path.join(PAGES, page)],
                                  capture_output=True, text=True, timeout=PATIENCE, check=True,
                                  env={**environment(self.home), "MANWIDTH": "80",
                                       "LC_ALL": "C.UTF-8"})
            self.assertEqual(done.stderr, "", page)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_all_that_help_says(self):
        for page in pages():
            words = page.removesuffix(".1").split("-")[1:]
            if not words:
                continue
            text = formatted(os.path.join(PAGES, page))
            help_text, _ = self.run_afar("help", *words)
            for option in re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_text, re.MULTILINE):
                self.assertIn(option, text)
            for paragraph in help_text.split("\n\n")[1:2]:
                self.assertIn(" ".join(paragraph.replace("`", "").split()), text)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_only_what_asks_a_name_server_looks_where_it_is(self):
        for page, asks in (("names-list", True), ("ping", True), ("names-serve", False),
                           ("key-new", False)):
            text = formatted(os.path.join(PAGES, f"afar-{page}.1"))
            self.assertEqual("AFAR_NAMES Where" in text, asks, page)
            self.assertIn("AFAR_HOME The folder", text)

    def test_a_folder_that_is_not_there(self):
        said = self.complaint("man", os.path.join(self.folder, "missing"), code=OTHER)
        self.assertIn("missing/afar.1 cannot be written: No such file", said)


if __name__ == "__main__":
    main()
