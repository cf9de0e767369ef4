#!/usr/bin/python3
"""The completion, in a real bash: its words are broken as bash breaks them."""

import os
import pty
import re
import select
import subprocess
import tempfile

from harness import AFAR, BUILD, PATIENCE, SCRATCH, CommandTest, environment, main

SCRIPT = os.path.join(BUILD, "command", "texts", "afar.bash")

# The program, more patient than the script: half a second may be short on a busy machine.
PATIENT = f"""#!/bin/bash
[[ $3 == --timeout ]] && set -- "$1" "$2" --timeout {PATIENCE * 1000} "${{@:5}}"
exec "{AFAR}" "$@"
"""

# Words as readline makes them: '=', ':', '@' stand alone.
WORD = re.compile(r"[=:@]|[^\s=:@]+")

RUN = """
source "$1"
COMP_LINE=$2
COMP_POINT=${#COMP_LINE}
shift 2
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_afar
printf '%s\\n' "${COMPREPLY[@]}"
"""


class BashTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.bin = tempfile.mkdtemp(dir=SCRATCH)
        self.patient = os.path.join(self.bin, "afar")
        self.write_program(self.patient, PATIENT)

    def write_program(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)


class CompletionTest(BashTest):
    def complete(self, line, names=None, afar=None):
        """What is offered at the end of the line."""
        words = WORD.findall(line)
        if line.endswith(" "):
            words.append("")
        words[0] = afar or self.patient
        done = subprocess.run(["bash", "--norc", "-c", RUN, "bash", SCRIPT, line, *words],
                              capture_output=True, text=True, timeout=PATIENCE, cwd=self.folder,
                              env=environment(self.home, names or self.names), check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split("\n")[:-1] if done.stdout != "\n" else []

    def check(self, line, expected):
        self.assertEqual(sorted(self.complete(line)), sorted(expected), line)

    def test_the_script_is_that_of_the_program(self):
        with open(SCRIPT, encoding="utf-8") as file:
            self.assertEqual(file.read(), self.run_afar("completion", "bash")[0])

    def test_bash_knows_it(self):
        done = subprocess.run(["bash", "--norc", "-c", 'source "$1"; complete -p afar', "bash",
                               SCRIPT], capture_output=True, text=True, check=True,
                              timeout=PATIENCE)
        self.assertEqual(done.stdout, "complete -F _afar afar\n")

    def test_commands(self):
        self.check("afar ", ["names", "key", "channel", "ping", "version", "help", "completion",
                             "--help", "--version"])
        self.check("afar n", ["names"])
        self.check("afar names ", ["serve", "list", "lookup", "unregister", "--help"])
        self.check("afar names l", ["list", "lookup"])
        self.check("afar key s", ["show"])
        self.check("afar channel ", ["send", "receive", "--help"])
        self.check("afar help k", ["key"])
        self.check("afar help names u", ["unregister"])
        self.check("afar help key ", ["new", "show"])
        self.check("afar completion ", ["bash"])
        self.check("afar nonsense ", [])

    def test_every_option_of_every_command(self):
        listed = re.search(r"Commands:\n(.*?)\n\n", self.run_afar("help")[0], re.DOTALL).group(1)
        for line in listed.split("\n"):
            command = line[:24].strip()
            help_text, _ = self.run_afar("help", *command.split())
            options = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_text, re.MULTILINE)
            self.check(f"afar {command} --", options)

    def test_values(self):
        for name in ("some file", "some.key", "other"):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8"):
                pass
        self.check("afar key show --key so", ["some file", "some.key"])
        self.check("afar key show --key=so", ["some file", "some.key"])
        self.check("afar key show --key=", ["some file", "some.key", "other"])
        self.check("afar ping --timeout ", [])
        self.check("afar names list --names=", [])

    def test_names(self):
        self.start_names()
        self.start_named("bank/alice", "bank/bob", "shop")
        for command in ("names list", "names lookup", "names unregister", "ping"):
            self.check(f"afar {command} bank/", ["bank/alice", "bank/bob"])
            self.check(f"afar {command} ", ["bank/alice", "bank/bob", "shop"])
            self.check(f"afar {command} x", [])
        self.check("afar ping KEY@s", ["shop"])
        self.check("afar ping KEY@", ["bank/alice", "bank/bob", "shop"])
        self.check("afar ping --count 3 s", ["shop"])

    def test_the_program_is_asked_for_half_a_second_at_most(self):
        spy = os.path.join(self.folder, "spy")
        self.write_program(spy, "#!/bin/sh\necho NAME\nfor word; do echo $word; done\n")
        self.assertEqual(self.complete("afar ping x", afar=spy),
                         ["names", "list", "--timeout", "500", "--", "x"])

    def test_names_of_another_name_server(self):
        self.start_names()
        self.start_named("there")
        for option in ("--names ", "--names="):
            found = self.complete(f"afar ping {option}{self.names} t", names="127.0.0.1:1")
            self.assertEqual(found, ["there"])

    def test_no_name_server(self):
        self.assertEqual(self.complete("afar ping x", names="127.0.0.1:1"), [])

    def test_names_are_not_evaluated(self):
        """Whatever the program prints: bash would run what a bad name has in it."""
        fake = os.path.join(self.folder, "fake")
        self.write_program(fake, "#!/bin/sh\necho NAME\necho '$(touch${IFS}ran) x'\n"
                                 "echo '`id` x'\necho 'good x'\n")
        self.assertEqual(self.complete("afar ping ", afar=fake), ["good"])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "ran")))


class TypedTest(BashTest):
    def test_a_tab_in_a_terminal(self):
        """The whole way: readline, its words, the script, the program."""
        self.start_names()
        self.start_named("bank/alice")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            env = environment(self.home, self.names)
            env.update(PATH=self.bin + ":" + env["PATH"], PS1="ready>",
                       INPUTRC="/dev/null", TERM="dumb")
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], env)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, terminal)
        self.say(terminal, f"source '{SCRIPT}'; bind 'set enable-bracketed-paste off'\n",
                 "ready>.*ready>")
        self.say(terminal, "afar na\t", "afar names ")
        self.say(terminal, "loo\t", "lookup ")
        self.say(terminal, "ba\t", "bank/alice ")
        self.say(terminal, "--addr\t\n", r"--address .*127\.0\.0\.1:\d+")
        os.write(terminal, b"exit\n")

    def say(self, terminal, text, expected):
        """Types, and reads until it shows what is expected."""
        seen = ""
        os.write(terminal, text.encode())
        while not re.search(expected, seen, re.DOTALL):
            if not select.select([terminal], [], [], PATIENCE)[0]:
                self.fail(f"{expected} does not come after {seen}")
            seen += os.read(terminal, 4096).decode(errors="replace")
        return seen


if __name__ == "__main__":
    main()
