#!/usr/bin/python3
"""protoc-gen-afar must survive whatever stands on its standard input.

Requests as protoc sends them are recorded, then cut short, changed byte by byte and field
by field, always in the same way.  Each run must end by itself: with a response, or with exit code 1, one
line on standard error and nothing on standard output.  Under the address sanitizer this
is where memory errors show.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler import plugin_pb2

HERE = Path(__file__).resolve().parent
SOURCE = Path(os.environ.get("AFAR_SOURCE", HERE.parents[1]))
GOLDEN = HERE / "golden"
PLUGIN = Path(os.environ["AFAR_BIN"]) / "protoc-gen-afar"
MUTATIONS = 40  # of each kind, of each request


def record(names, folder):
    """The bytes that protoc sends for these files."""
    request, script = folder / "request", folder / "protoc-gen-record"
    # It answers that it knows proto3's `optional`, or protoc would not go on.
    script.write_text(f"#!/bin/sh\ncat > {request}\nprintf '\\020\\001'\n")
    script.chmod(0o755)
    subprocess.run(["protoc", f"--plugin={script}", f"-I{GOLDEN}", f"-I{SOURCE / 'idl'}",
                    "-I/usr/include", f"--record_out={folder}", *names], check=True)
    return request.read_bytes()


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def delimited(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def nested(depth):
    """A request whose one message holds messages that deep."""
    message = b""
    for _ in range(depth):
        message = delimited(1, b"M") + delimited(3, message)
    return delimited(1, b"x.proto") + delimited(
        15, delimited(1, b"x.proto") + delimited(4, message))


def changed(request, chance):
    """The request with one thing changed."""
    data = bytearray(request)
    at = chance.randrange(len(data))
    kind = chance.randrange(6)
    if kind == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        data[at] = chance.choice((0, 1, 127, 128, 255))
    elif kind == 2:
        del data[at:at + chance.randrange(1, 16)]
    elif kind == 3:
        data[at:at] = chance.randbytes(chance.randrange(1, 8))
    elif kind == 4:
        end = at + chance.randrange(1, 64)
        data[at:at] = data[at:end]
    else:
        for _ in range(20):
            data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def parts(message):
    """Each set field of a message and of those within it: its owner and its descriptor."""
    for field, value in message.ListFields():
        yield message, field
        if field.message_type:
            for part in value if field.label == field.LABEL_REPEATED else [value]:
                yield from parts(part)


ODD = {int: (-1, 0, 1, 2**31 - 1, -2**31), str: ("", "x", "1", "a b", ".x", "\0", "é" * 50)}


def rebuilt(request, chance):
    """The request with some fields of its messages taken out or given odd values."""
    message = plugin_pb2.CodeGeneratorRequest.FromString(request)
    for owner, field in chance.sample(list(parts(message)), 3):
        value = getattr(owner, field.name)
        odd = ODD.get(type(value))
        if odd and not field.enum_type and chance.randrange(2):
            try:
                setattr(owner, field.name, chance.choice(odd))
            except ValueError:
                owner.ClearField(field.name)
        elif field.label == field.LABEL_REPEATED and len(value) and chance.randrange(2):
            del value[chance.randrange(len(value))]
        else:
            owner.ClearField(field.name)
    return message.SerializeToString()


def inputs(requests):
    chance = random.Random(1)
    yield "nothing", b""
    yield "one zero", b"\0"
    yield "an endless varint", b"\xff" * 64
    yield "a length past the end", b"\x7a\xff\xff\xff\xff\x0f"
    yield "a group", b"\x0b\x0c"
    yield "no files", delimited(1, b"missing.proto")
    for depth in (10, 99, 500, 20000):
        yield f"{depth} levels", nested(depth)
    for number in range(MUTATIONS):
        yield f"random bytes {number}", chance.randbytes(chance.randrange(1, 400))
    for name, request in requests.items():
        for number in range(MUTATIONS):
            yield f"{name} cut {number}", request[:chance.randrange(len(request))]
            mutant = request
            for _ in range(chance.randrange(1, 4)):
                mutant = changed(mutant, chance)
            yield f"{name} changed {number}", mutant
            yield f"{name} rebuilt {number}", rebuilt(request, chance)


def run(data):
    """What is wrong with how the plugin took this input, or None."""
    try:
        done = subprocess.run([PLUGIN], input=data, capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "did not end"
    said = done.stderr.decode(errors="replace")
    if done.returncode == 0:
        plugin_pb2.CodeGeneratorResponse.FromString(done.stdout)
        return f"succeeded, and said {said}" if said else None
    if done.returncode != 1:
        return f"ended with {done.returncode}: {said[:2000]}"
    if done.stdout or said.count("\n") != 1 or not said.startswith("protoc-gen-afar: "):
        return f"refused with {len(done.stdout)} bytes of output, and said {said}"
    return None


def main():
    with tempfile.TemporaryDirectory() as folder:
        requests = {name: record([name], Path(folder))
                    for name in ("kitchen.proto", "services.proto", "defaults.proto",
                                 "options.proto", "bare.proto", "channels.proto",
                                 "refs.proto")}
    failures, count = [], 0
    for name, data in inputs(requests):
        count += 1
        told = run(data)
        if told:
            failures.append(f"{name}: {told}")
    for name, request in requests.items():
        if run(request):
            failures.append(f"{name} itself: {run(request)}")
    print("\n".join(failures) if failures else f"{count} inputs survived")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
