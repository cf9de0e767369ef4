#!/usr/bin/python3
"""Who may include whom, and how long a file may be.

    idl -> nothing of ours        client -> runtime <- server        command -> all three

The arrows are those of docs/overview.md.  A library that could be replaced is
included by one family of files only.
"""

import os
import re
import tempfile
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

# What a part may include of our own, beside itself.
ARROWS = {
    "idl": set(),
    "runtime": set(),
    "client": {"runtime"},
    "server": {"runtime"},
    "command": {"client", "runtime", "server"},
    "examples": {"runtime/afar", "client/afar", "server/afar"},
    # It measures registering, so it signs.
    "bench": {"runtime/afar", "client/afar", "server/afar", "runtime/key.h", "runtime/record.h"},
}

# Headers of others, and the only files that may include them.  The last is ours,
# but shows gRPC's types.
ADAPTERS = [
    (r"grpc/|grpc\+\+/|grpcpp/", r"runtime/grpc_\w+\.[ch]|bench/grpc_\w+\.cc"),
    (r"sodium", r"runtime/secure\w*\.c"),
    (r"sqlite3", r"server/nameserver/store\w*\.c"),
    (r"(cjson/)?cJSON", r"command/\w+\.[ch]"),
    (r"zlib\.h", r"runtime/inflate\.c"),
    (r"(runtime/)?grpc_\w+\.h", r"runtime/grpc_\w+\.[ch]"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
CODE = (".c", ".h", ".cc")
MOST_LINES = 800
MOST_HEADER_LINES = 300


def files_of(root, suffixes):
    """Paths below root, relative to it; neither build trees nor what git hides."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("build", "__pycache__") and
                            (not f.startswith(".") or f == ".ci"))
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.relpath(os.path.join(folder, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def resolve(root, path, quote, name):
    """The file of ours that an include means, or None for one of others."""
    places = [os.path.dirname(path)] if quote == '"' else []
    places += ["", "runtime", "client", "server"]
    for place in places:
        candidate = os.path.normpath(os.path.join(place, name))
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    return None


def is_allowed(part, target):
    if target.startswith(part + "/"):
        return True
    return any(target == allowed or target.startswith(allowed + "/") for allowed in ARROWS[part])


def bad_includes(root):
    """One line for each include that breaks a rule."""
    bad = []
    for path in files_of(root, CODE):
        part = path.split("/")[0]
        if part not in ARROWS:
            continue
        for quote, name in INCLUDE.findall(read(root, path)):
            target = resolve(root, path, quote, name)
            if target and not is_allowed(part, target):
                bad.append(f"{path} includes {target}")
            for header, users in ADAPTERS:
                if re.match(header, name) and not re.fullmatch(users, path):
                    bad.append(f"{path} includes {name}; only {users} may")
    return bad


def long_files(root):
    bad = []
    for path in files_of(root, CODE + (".py", ".sh", ".cmake")):
        is_public = re.fullmatch(r"(runtime|client|server)/afar/\w+\.h", path)
        most = MOST_HEADER_LINES if is_public else MOST_LINES
        lines = read(root, path).count("\n")
        if lines > most and "/golden/" not in path:
            bad.append(f"{path} has {lines} lines, over {most}")
    return bad


class LayeringTest(unittest.TestCase):
    def test_includes(self):
        self.assertEqual(bad_includes(SOURCE), [])

    def test_sizes(self):
        self.assertEqual(long_files(SOURCE), [])

    def test_every_rule_bites(self):
        """The rules against a small tree that breaks each of them once."""
        tree = {
            "runtime/afar/a.h": "", "runtime/deep.h": "", "runtime/grpc_core.c": "",
            "client/afar/client.h": "", "client/pool.h": "", "server/afar/server.h": "",
            "server/port.h": "#include <afar/a.h>\n",
            "idl/main.c": "#include <afar/a.h>\n",
            "runtime/a.c": '#include "client/pool.h"\n#include "deep.h"\n',
            "runtime/b.c": "# include <grpc/grpc.h>\n",
            "runtime/grpc_core.h": "#include <grpc/grpc.h>\n",
            "runtime/call.c": '#include "runtime/grpc_core.h"\n',
            "runtime/unzip.c": "#include <zlib.h>\n",
            "runtime/c.c": "#include <sodium.h>\n",
            "client/a.c": '#include <afar/server.h>\n#include "runtime/deep.h"\n',
            "command/a.h": "#include <cjson/cJSON.h>\n",
            "command/a.c": '#include "client/pool.h"\n#include "runtime/deep.h"\n'
                           '#include "idl/model.h"\n#include <afar/server.h>\n',
            "idl/model.h": "",
            "client/json.c": "#include <cJSON.h>\n#include <command/a.h>\n",
            "server/a.c": '#include "../client/pool.h"\n#include <sqlite3.h>\n',
            "examples/a.c": '#include "runtime/deep.h"\n#include <afar/client.h>\n',
            "runtime/afar/long.h": "\n" * (MOST_HEADER_LINES + 1),
            "runtime/long.c": "\n" * (MOST_LINES + 1),
        }
        with tempfile.TemporaryDirectory() as root:
            for path, text in tree.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertEqual([line.split(";")[0] for line in bad_includes(root)], [
                "client/a.c includes server/afar/server.h",
                "client/json.c includes cJSON.h",
                "client/json.c includes command/a.h",
                "command/a.c includes idl/model.h",
                "examples/a.c includes runtime/deep.h",
                "idl/main.c includes runtime/afar/a.h",
                "runtime/a.c includes client/pool.h",
                "runtime/b.c includes grpc/grpc.h",
                "runtime/c.c includes sodium.h",
                "runtime/call.c includes runtime/grpc_core.h",
                "runtime/unzip.c includes zlib.h",
                "server/a.c includes client/pool.h",
                "server/a.c includes sqlite3.h",
            ])
            self.assertEqual([line.split(" ")[0] for line in long_files(root)],
                             ["runtime/long.c", "runtime/afar/long.h"])


if __name__ == "__main__":
    unittest.main()
