"""Makes .proto files at random, of what protoc-gen-c can be trusted with.

The same seed gives the same file.  Names come in every style; a number that is
never used twice keeps them apart in C, whatever becomes of their case.
"""

import random

SCALARS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
           "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"]
KEYS = [name for name in SCALARS if name not in ("double", "float", "bytes")]
WORDS = ["alpha", "Beta", "gammaDelta", "HTTP", "x", "v", "big_word", "Mixed_Case", "sayHTTPBye",
         "_lead", "UPPER_CASE", "two__under"]
TEXTS = ["", "plain", 'q\\"uote', "\\\\", "\\n\\t", "\\001\\177", "%d", "??=", "/* */",
         "\u00fc\u20ac", "\\x7f1", "\\'"]
EDGES = {32: ["-2147483648", "2147483647", "0", "-1", "42"],
         64: ["-9223372036854775808", "9223372036854775807", "0", "-1", "4294967296"]}


class Maker:
    """Writes one file."""

    def __init__(self, name, seed):
        self.rng = random.Random(seed)
        self.name = name
        self.used = 0
        self.proto3 = self.rng.random() < 0.5
        # libprotobuf-c crashes on oneofs with defaults in messages without an init
        # function: a file has the one or the other.
        self.oneofs = self.rng.random() < 0.7
        self.lines = []
        self.messages = []  # full names, of what can be used as a type
        self.enums = []     # full name, values, whether the first is 0

    def fresh(self, words=WORDS):
        self.used += 1
        return f"{self.rng.choice(words)}{self.used}"

    def add(self, depth, line):
        self.lines.append("  " * depth + line)

    # ---- enums ----

    def enum(self, depth, scope):
        name = self.fresh()
        aliases = self.rng.random() < 0.4
        numbers = [0] if self.proto3 or self.rng.random() < 0.5 else []
        for _ in range(self.rng.randrange(1, 8)):
            numbers.append(self.rng.choice([self.rng.randrange(-3, 12), self.rng.randrange(1 << 31),
                                            -self.rng.randrange(1 << 31)]))
        if not aliases:
            numbers = list(dict.fromkeys(numbers))
        aliases = len(set(numbers)) < len(numbers)
        self.add(depth, f"enum {name} {{")
        if aliases:
            self.add(depth + 1, "option allow_alias = true;")
        values = [self.fresh() for _ in numbers]
        for value, number in zip(values, numbers):
            self.add(depth + 1, f"{value} = {number}{self.deprecated()};")
        self.add(depth, "}")
        self.enums.append((f"{scope}.{name}", values, numbers[0] == 0))

    def deprecated(self):
        return " [deprecated = true]" if self.rng.random() < 0.1 else ""

    # ---- fields ----

    def type(self):
        """A type, and how its default is drawn (None: it cannot have one)."""
        kind = self.rng.randrange(10)
        if kind < 2 and self.messages:
            return self.rng.choice(self.messages), None
        if kind < 4:
            enums = [one for one in self.enums if one[2] or not self.proto3]
            if enums:
                name, values, _ = self.rng.choice(enums)
                return name, lambda: self.rng.choice(values)
        name = self.rng.choice(SCALARS)
        return name, lambda: self.default(name)

    def default(self, name):
        if name in ("string", "bytes"):
            text = "".join(self.rng.choice(TEXTS) for _ in range(self.rng.randrange(3)))
            if name == "bytes":
                text += self.rng.choice(["\\000", "\\377\\376", ""])
            return f'"{text}"'
        if name == "bool":
            return self.rng.choice(["true", "false"])
        if name in ("double", "float"):
            return self.rng.choice(["0", "1", "-1.5", "0.25", "1e10", "1e-10", "123456"])
        edge = self.rng.choice(EDGES[64 if "64" in name else 32])
        return edge.lstrip("-") if name.startswith(("u", "fixed")) else edge

    def options(self, label, of_type, default):
        found = []
        if default and label in ("optional", "required", "oneof") and not self.proto3 \
                and self.rng.random() < 0.4:
            found.append(f"default = {default()}")
        if label == "repeated" and default and of_type not in ("string", "bytes") \
                and self.rng.random() < 0.4:
            found.append(f"packed = {self.rng.choice(['true', 'false'])}")
        if self.rng.random() < 0.1:
            found.append("deprecated = true")
        return f" [{', '.join(found)}]" if found else ""

    def field(self, depth, number, label):
        of_type, default = self.type()
        if label == "required" and default is None:
            label = "optional"  # a message that needs itself cannot be made
        written = "" if self.proto3 and label != "repeated" or label == "oneof" else label + " "
        self.add(depth, f"{written}{of_type} {self.fresh()} = {number}"
                        f"{self.options(label, of_type, default)};")

    def numbers(self, count):
        """Field numbers: runs, gaps, a few large ones, not always in order."""
        found, number = [], 0
        for _ in range(count):
            number += self.rng.choice([1, 1, 1, 1, 2, 10, 1000])
            found.append(number)
        if self.rng.random() < 0.4:
            self.rng.shuffle(found)
        return found

    def fields(self, depth):
        labels = ["repeated", "optional"] if self.proto3 else ["repeated", "optional", "required"]
        numbers = self.numbers(self.rng.randrange(12))
        while numbers:
            if self.rng.random() < 0.15:
                of_type, _ = self.type()
                key = self.rng.choice(KEYS)
                of_type = of_type if of_type in SCALARS + self.messages else "int32"
                self.add(depth, f"map<{key}, {of_type}> {self.fresh()} = {numbers.pop()};")
            elif self.oneofs and self.rng.random() < 0.25:
                self.add(depth, f"oneof {self.fresh()} {{")
                for _ in range(min(len(numbers), self.rng.randrange(1, 5))):
                    self.field(depth + 1, numbers.pop(), "oneof")
                self.add(depth, "}")
            else:
                self.field(depth, numbers.pop(), self.rng.choice(labels))

    # ---- messages ----

    def helper_options(self):
        return ["gen_pack_helpers"] if self.oneofs else ["gen_pack_helpers", "gen_init_helpers"]

    def message_options(self, depth):
        for name in self.helper_options():
            if self.rng.random() < 0.1:
                self.add(depth, f"option (pb_c_msg).{name} = {self.rng.choice(['true', 'false'])};")
        if self.rng.random() < 0.05:
            self.add(depth, 'option (pb_c_msg).base_field_name = "foundation";')
        if self.rng.random() < 0.1:
            self.add(depth, "option deprecated = true;")

    def message(self, depth, scope):
        name = self.fresh()
        self.messages.append(f"{scope}.{name}")
        self.add(depth, f"message {name} {{")
        self.message_options(depth + 1)
        for _ in range(self.rng.randrange(3)):
            if depth < 4 and self.rng.random() < 0.6:
                self.message(depth + 1, f"{scope}.{name}")
            elif self.rng.random() < 0.6:
                self.enum(depth + 1, f"{scope}.{name}")
        self.fields(depth + 1)
        self.add(depth, "}")

    def file_options(self):
        for name in [*self.helper_options(), "const_strings"]:
            if self.rng.random() < 0.15:
                self.add(0, f"option (pb_c_file).{name} = {self.rng.choice(['true', 'false'])};")
        if self.rng.random() < 0.2:
            self.add(0, f'option (pb_c_file).c_package = "{self.fresh()}.{self.fresh()}";')
        elif self.rng.random() < 0.1:
            self.add(0, "option optimize_for = CODE_SIZE;")

    def text(self):
        package = ".".join(self.fresh() for _ in range(self.rng.randrange(1, 4)))
        self.add(0, f'syntax = "{"proto3" if self.proto3 else "proto2"}";')
        self.add(0, f"package {self.name}.{package};")
        self.add(0, 'import "protobuf-c/protobuf-c.proto";')
        self.file_options()
        for _ in range(self.rng.randrange(2, 6)):
            if self.rng.random() < 0.3:
                self.enum(0, f".{self.name}.{package}")
            else:
                self.message(0, f".{self.name}.{package}")
        return "\n".join(self.lines) + "\n"


def write_files(folder, seed, count):
    """Writes random_N.proto; gives their names."""
    folder.mkdir(parents=True)
    names = []
    for number in range(count):
        name = f"random_{number}"
        (folder / f"{name}.proto").write_text(Maker(name, seed * 1000 + number).text())
        names.append(f"{name}.proto")
    return names
