#!/usr/bin/python3
"""What the command says when it is asked for help, misunderstood, or not listened to."""

import os
import re
import subprocess

from harness import AFAR, DONE, OTHER, PATIENCE, UNREACHABLE, USAGE, CommandTest, environment, main

COMMANDS = ["names serve", "names list", "names lookup", "names unregister", "key new",
            "key show", "channel send", "channel receive", "ping", "version", "help", "completion"]


class HelpTest(CommandTest):
    def test_all_commands_are_listed(self):
        for words in (["--help"], ["-h"], ["help"]):
            text, said = self.run_afar(*words)
            listed = re.search(r"Commands:\n(.*?)\n\n", text, re.DOTALL).group(1)
            self.assertEqual([line[:24].strip() for line in listed.split("\n")], COMMANDS)
            self.assertEqual(said, "")

    def test_each_command(self):
        for command in COMMANDS:
            text, _ = self.run_afar(*command.split(), "--help")
            self.assertTrue(text.startswith(f"Usage: afar {command} [OPTION]..."), text)
            self.assertIn("--help", text)
            self.assertEqual(self.run_afar("help", *command.split())[0], text)

    def test_each_group(self):
        text, _ = self.run_afar("names", "--help")
        self.assertEqual(self.run_afar("help", "names")[0], text)
        self.assertIn("names unregister", text)
        self.assertNotIn("key new", text)

    def test_lines_fit(self):
        for command in COMMANDS:
            for line in self.run_afar("help", *command.split())[0].split("\n"):
                if line != "  curl http://$(afar names lookup shop/web --address)/":
                    self.assertLess(len(line), 80)

    def test_exit_codes_and_environment_are_documented(self):
        text, _ = self.run_afar("--help")
        for word in ("  0  ", "  1  ", "  2  ", "  3  ", "  4  ", "AFAR_NAMES", "AFAR_HOME"):
            self.assertIn(word, text)

    def test_help_wins_over_what_is_missing(self):
        self.run_afar("names", "lookup", "--help")

    def test_version(self):
        text, _ = self.run_afar("version")
        self.assertRegex(text, r"^afar \d+\.\d+\.\d+\n$")
        self.assertEqual(self.run_afar("--version")[0], text)
        self.assertEqual(self.run_json("version"), {"version": text.split()[1]})


class MisunderstandingTest(CommandTest):
    def check(self, words, *parts):
        said = self.complaint(*words, code=USAGE)
        for part in parts:
            self.assertIn(part, said)

    def test_commands(self):
        self.check([], "afar help")
        self.check(["name"], "no command name", "did you mean names?")
        self.check(["pign"], "did you mean ping?")
        self.check(["names", "lsit"], "afar names:", "did you mean list?")
        self.check(["names"], "afar names --help")
        self.check(["names list"], "no command")
        self.check(["frobnicate"], "no command frobnicate", "--help")
        self.check(["help", "frobnicate"], "frobnicate")
        self.check(["--hepl"], "did you mean --help?")

    def test_options(self):
        self.check(["names", "list", "--jsno"], "afar names list:", "did you mean --json?")
        self.check(["names", "list", "--jsno=1"], "no option --jsno;", "did you mean --json?")
        self.check(["names", "list", "--json=yes"], "--json takes no value")
        self.check(["names", "list", "--timeout"], "--timeout needs a value, MS")
        self.check(["names", "list", "--names="], "--names needs a value, ADDRESS")
        self.check(["names", "list", "-q"], "no option -q")
        self.check(["ping", "x", "-c"], "--count needs a value")
        self.check(["ping", "x", "--timeout", "5", "--timeout", "6"], "given twice")

    def test_numbers(self):
        for number in ("x", "1x", "", " ", "0", "-1", "99999999999999999999"):
            if number:
                self.check(["ping", "x", "--timeout", number], "--timeout takes a number from 1 to")
        self.check(["names", "serve", "--max-names", "0"], "--max-names takes a number from 1")

    def test_operands(self):
        self.check(["names", "lookup"], "NAME is missing")
        self.check(["names", "lookup", "a", "b"], "'b' is too much")
        self.check(["names", "list", "--", "-a", "-b"], "'-b' is too much")
        self.check(["version", "please"], "'please' is too much")
        self.check(["completion", "zsh"], "bash only")

    def test_names_and_addresses(self):
        self.check(["names", "lookup", "a//b"], "a//b")
        self.check(["names", "lookup", "short@a"], "not a public key")
        self.check(["names", "list", "--names", "nowhere"], "--names: nowhere: no port")
        self.check(["names", "list", "--names", "127.0.0.1:7700/"], '"7700/" is not a number')
        self.check(["names", "list", "--names", "inproc:x"], "host:port or unix:path")
        said = self.complaint("names", "list", names="nowhere", code=USAGE)
        self.assertIn("AFAR_NAMES: nowhere: no port", said)
        said = self.complaint("ping", "a", names="nowhere", code=USAGE)
        self.assertIn("AFAR_NAMES: nowhere: no port", said)
        self.check(["ping", "a b"], "a b")
        self.check(["ping", "127.0.0.1:99999"], "99999")
        self.check(["ping", "x" * 600], "longer")
        self.check(["names", "serve", "--listen", "here"], "here: no port")
        self.check(["names", "serve", "--listen", "inproc:x"], "host:port or unix:path")
        self.assertFalse(os.path.exists(os.path.join(self.home, "names.db")))
        too_many = [word for _ in range(17) for word in ("--listen", "127.0.0.1:0")]
        self.check(["names", "serve", "--store", "memory", *too_many], "more than 16")

    def test_options_stand_anywhere(self):
        for words in (["--json", "names"], ["names"]):
            self.check(["version", *words], "'names' is too much")
        self.complaint("ping", "--names=127.0.0.1:1", "a", "--timeout", "2000", code=UNREACHABLE)

    def test_a_key_that_begins_with_a_dash(self):
        name = "-" + "A" * 41 + "E@a"
        self.complaint("names", "lookup", "--names", "127.0.0.1:1", name, code=UNREACHABLE)
        self.complaint("names", "lookup", name, "--names", "127.0.0.1:1", code=UNREACHABLE)
        self.check(["names", "list", "a", name], f"'{name}' is too much")

    def test_control_characters_do_not_reach_the_terminal(self):
        said = self.complaint("frob\x1b[31m\nnicate", code=USAGE)
        self.assertNotIn("\x1b", said)
        self.assertIn("frob?[31m?nicate", said)


class OutputTest(CommandTest):
    def run_with(self, **descriptors):
        return subprocess.run([AFAR, "help"], env=environment(self.home), timeout=PATIENCE,
                              stderr=subprocess.PIPE, text=True, **descriptors)

    def test_a_pipe_that_nobody_reads(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = self.run_with(stdout=writer)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (DONE, ""))

    def test_a_full_disk(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_with(stdout=full)
        self.assertEqual(done.returncode, OTHER)
        self.assertIn("cannot be written", done.stderr)

    def test_a_closed_output(self):
        done = subprocess.run(["sh", "-c", '"$0" help >&-', AFAR], env=environment(self.home),
                              timeout=PATIENCE, capture_output=True, text=True)
        self.assertEqual(done.returncode, OTHER)
        self.assertIn("cannot be written", done.stderr)


if __name__ == "__main__":
    main()
