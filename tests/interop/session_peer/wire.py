"""What the peer of the sessions is made of: protobuf's classes for the protocol, which protoc
makes when a test starts, and a look at the bytes of a batch."""

import os
import subprocess

from harness import ROOT, SCRATCH

HERE = os.path.dirname(os.path.abspath(__file__))


def make_messages():
    """The messages go where the harness puts its own: both have a package `afar`."""
    out = os.path.join(SCRATCH, "stubs")
    subprocess.run(["protoc", "-I", HERE, "-I", os.path.join(ROOT, "idl"), "--python_out", out,
                    "afar/session.proto", "afar/ref.proto", "afar/options.proto", "desk.proto"],
                   check=True)


make_messages()
import desk_pb2 as desk  # noqa: E402,F401 (the harness has put the folder into the path)
from afar import ref_pb2  # noqa: E402
from afar import session_pb2 as proto  # noqa: E402

Ref = ref_pb2.Ref

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field with bytes in it, or with a number."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def read_varint(data, at):
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise ValueError("a number that ends too early")


def fields(data):
    """The number and the value of each field; numbers as they are, all else as bytes."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind in (BYTES, FIXED64, FIXED32):
            length, at = read_varint(data, at) if kind == BYTES else (
                8 if kind == FIXED64 else 4, at)
            value, at = data[at:at + length], at + length
        else:
            raise ValueError(f"a field of kind {kind}")
        if at > len(data):
            raise ValueError("a field that ends too early")
        yield tag >> 3, value


def check_once(kind, data):
    """The rules of encoding that protobuf's own reader does not have; ValueError says which."""
    seen = set()
    for number, value in fields(data):
        known = kind.fields_by_number.get(number)
        if known is None:
            continue
        if known.type == known.TYPE_STRING and b"\0" in value:
            raise ValueError(f"a zero byte in {known.full_name}")
        if known.message_type:
            check_once(known.message_type, value)
        if known.label == known.LABEL_REPEATED:
            continue
        if not known.message_type and not known.containing_oneof:
            continue
        name = (known.containing_oneof or known).name
        if name in seen:
            raise ValueError(f"{kind.full_name}.{name} comes twice")
        seen.add(name)


def frames(data):
    """The frames of a batch, each with the length that credit counts: of the Call or Item that
    is in it, as it came.  ValueError for what breaks a rule of encoding."""
    for number, value in fields(data):
        if number == proto.Batch.FRAMES_FIELD_NUMBER:
            check_once(proto.Frame.DESCRIPTOR, value)
            frame = proto.Frame.FromString(value)
            kinds = (proto.Frame.CALL_FIELD_NUMBER, proto.Frame.ITEM_FIELD_NUMBER)
            yield frame, sum(len(inside) for kind, inside in fields(value) if kind in kinds)


def frame(**members):
    """A frame; `return_` is the member that Python has no name for."""
    if "return_" in members:
        members["return"] = members.pop("return_")
    return proto.Frame(**members)


def batch(*those):
    """The bytes of a batch of frames, some of which may be bytes already."""
    return b"".join(field(proto.Batch.FRAMES_FIELD_NUMBER,
                          one if isinstance(one, bytes) else one.SerializeToString())
                    for one in those)
