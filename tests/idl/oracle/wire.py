"""Messages as Python's protobuf sees them: the third opinion in the oracle test.

Reads what the C sides packed, makes messages for them to read, and says what
their descriptors should hold, all from the descriptors protoc makes.
"""

import struct

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor as Field

# protobuf-c's numbers for labels and types.
REQUIRED, OPTIONAL, REPEATED, NONE = range(4)
C_TYPES = {
    Field.TYPE_INT32: 0, Field.TYPE_SINT32: 1, Field.TYPE_SFIXED32: 2, Field.TYPE_INT64: 3,
    Field.TYPE_SINT64: 4, Field.TYPE_SFIXED64: 5, Field.TYPE_UINT32: 6, Field.TYPE_FIXED32: 7,
    Field.TYPE_UINT64: 8, Field.TYPE_FIXED64: 9, Field.TYPE_FLOAT: 10, Field.TYPE_DOUBLE: 11,
    Field.TYPE_BOOL: 12, Field.TYPE_ENUM: 13, Field.TYPE_STRING: 14, Field.TYPE_BYTES: 15,
    Field.TYPE_MESSAGE: 16,
}
BYTES = C_TYPES[Field.TYPE_BYTES]

# Sub-messages in one random message, and how deep they nest.
PURSE, DEEPEST = 40, 8

CHARACTERS = ["a", "Z", "0", '"', "\\", "\n", "\x7f", "\u00fc", "\u07ff", "\u20ac", "\U0001f600"]


def text_of_value(field_type, value):
    """A value in the form of twin_text.c."""
    if field_type == Field.TYPE_MESSAGE:
        return text_of_message(value)
    if field_type == Field.TYPE_STRING:
        return "x" + value.encode().hex()
    if field_type == Field.TYPE_BYTES:
        return "x" + value.hex()
    if field_type == Field.TYPE_FLOAT:
        return "f" + struct.pack(">f", value).hex()
    if field_type == Field.TYPE_DOUBLE:
        return "d" + struct.pack(">d", value).hex()
    return str(int(value))


def text_of_message(message):
    parts = []
    for field, value in message.ListFields():
        if field.is_extension:
            continue
        if field.label == Field.LABEL_REPEATED:
            values = ",".join(text_of_value(field.type, one) for one in value)
            parts.append(f"{field.number}=[{values}];")
        else:
            parts.append(f"{field.number}={text_of_value(field.type, value)};")
    return "{" + "".join(parts) + "}"


def strip_message(message):
    """Maps become repeated entries and strings bytes: the wire does not change, but
    order, doubles and odd characters stay to be seen."""
    message.ClearField("options")
    for field in message.field:
        packed = field.options.packed if field.options.HasField("packed") else None
        field.ClearField("options")
        if packed is not None:
            field.options.packed = packed
        if field.type == Field.TYPE_STRING:
            field.type = Field.TYPE_BYTES
        field.ClearField("default_value")
    for nested in message.nested_type:
        strip_message(nested)


def proto3_optional_fields(prefix, messages):
    """The full names of all fields that say `optional` in proto3."""
    found = set()
    for message in messages:
        name = f"{prefix}.{message.name}" if prefix else message.name
        found |= {f"{name}.{field.name}" for field in message.field if field.proto3_optional}
        found |= proto3_optional_fields(name, message.nested_type)
    return found


def make_pool(files):
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        copy = descriptor_pb2.FileDescriptorProto()
        copy.CopyFrom(file)
        for message in copy.message_type:
            for field in message.field:
                field.options.ClearField("weak")  # Python's protobuf would abort
        pool.AddSerializedFile(copy.SerializeToString())
    return pool, message_factory.MessageFactory(pool)


def draw_integer(rng, bits, signed):
    kind = rng.randrange(4)
    if kind == 0:
        value = rng.choice([0, 1, 127, 128, (1 << (bits - 1)) - 1])
    elif kind == 1:
        value = (1 << bits) - 1
    else:
        value = rng.getrandbits(bits) >> rng.randrange(bits)
    if signed and value >= 1 << (bits - 1):
        value -= 1 << bits
    return value


def draw_scalar(rng, field):
    kind = field.cpp_type
    if kind == Field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind == Field.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if kind in (Field.CPPTYPE_FLOAT, Field.CPPTYPE_DOUBLE):
        value = rng.choice([0.0, float("inf"), float("-inf"), float("nan"), 0.5, rng.gauss(0, 1e6)])
        return struct.unpack("f", struct.pack("f", value))[0] \
            if kind == Field.CPPTYPE_FLOAT else value
    if field.type == Field.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 5, 200]))
    if field.type == Field.TYPE_STRING:
        return "".join(rng.choice(CHARACTERS) for _ in range(rng.choice([0, 1, 5, 150])))
    bits = 32 if kind in (Field.CPPTYPE_INT32, Field.CPPTYPE_UINT32) else 64
    return draw_integer(rng, bits, kind in (Field.CPPTYPE_INT32, Field.CPPTYPE_INT64))


class Filler:
    """Fills one message at random; required fields always."""

    def __init__(self, pool, rng):
        self.pool, self.rng, self.purse = pool, rng, PURSE

    def may_have(self, field, depth):
        if field.cpp_type != Field.CPPTYPE_MESSAGE:
            return True
        self.purse -= 1
        return self.purse >= 0 and depth < DEEPEST

    def fill_map(self, target, field, depth):
        key, value = field.message_type.fields_by_name["key"], \
            field.message_type.fields_by_name["value"]
        for _ in range(self.rng.randrange(4)):
            drawn = draw_scalar(self.rng, key)
            if value.cpp_type != Field.CPPTYPE_MESSAGE:
                target[drawn] = draw_scalar(self.rng, value)
            elif self.may_have(value, depth):
                self.fill(target[drawn], depth + 1)

    def fill_repeated(self, target, field, depth):
        for _ in range(self.rng.randrange(4)):
            if field.cpp_type != Field.CPPTYPE_MESSAGE:
                target.append(draw_scalar(self.rng, field))
            elif self.may_have(field, depth):
                self.fill(target.add(), depth + 1)

    def fill_single(self, message, field, depth):
        must = field.label == Field.LABEL_REQUIRED
        if not must and (self.rng.random() < 0.3 or not self.may_have(field, depth)):
            return
        if field.cpp_type == Field.CPPTYPE_MESSAGE:
            part = getattr(message, field.name) if not field.is_extension \
                else message.Extensions[field]
            part.SetInParent()
            self.fill(part, depth + 1)
        elif field.is_extension:
            message.Extensions[field] = draw_scalar(self.rng, field)
        else:
            setattr(message, field.name, draw_scalar(self.rng, field))

    def fill(self, message, depth=0):
        descriptor = message.DESCRIPTOR
        fields = [field for field in descriptor.fields if not field.containing_oneof]
        fields += [self.rng.choice(oneof.fields) for oneof in descriptor.oneofs]
        if descriptor.is_extendable:
            fields += self.pool.FindAllExtensions(descriptor)
        for field in fields:
            if field.label != Field.LABEL_REPEATED:
                self.fill_single(message, field, depth)
                continue
            target = message.Extensions[field] if field.is_extension \
                else getattr(message, field.name)
            entry = field.message_type
            if entry and entry.GetOptions().map_entry:
                self.fill_map(target, field, depth)
            else:
                self.fill_repeated(target, field, depth)


class Wire:
    """All messages of a set of .proto files."""

    def __init__(self, files):
        stripped = []
        for file in files:
            copy = descriptor_pb2.FileDescriptorProto()
            copy.CopyFrom(file)
            copy.ClearField("service")
            copy.ClearField("options")
            copy.ClearField("source_code_info")
            copy.ClearField("extension")
            for message in copy.message_type:
                message.ClearField("extension")
                strip_message(message)
            stripped.append(copy)
        self.proto3_optional = set()
        for file in files:
            self.proto3_optional |= proto3_optional_fields(file.package, file.message_type)
        self.pool, self.factory = make_pool(files)
        self.raw_pool, self.raw_factory = make_pool(stripped)

    def messages(self, file):
        """The full names of the messages of a file, map entries too."""
        found = []

        def walk(descriptor):
            found.append(descriptor.full_name)
            for nested in descriptor.nested_types:
                walk(nested)

        for descriptor in self.pool.FindFileByName(file).message_types_by_name.values():
            walk(descriptor)
        return found

    def is_map_entry(self, name):
        return self.pool.FindMessageTypeByName(name).GetOptions().map_entry

    def text(self, name, data):
        descriptor = self.raw_pool.FindMessageTypeByName(name)
        return text_of_message(self.raw_factory.GetPrototype(descriptor).FromString(data))

    def canonical(self, name, data):
        """The same bytes for all bytes that mean the same."""
        message = self.factory.GetPrototype(self.pool.FindMessageTypeByName(name)).FromString(data)
        return message.SerializeToString(deterministic=True)

    def random(self, name, rng):
        message = self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))()
        Filler(self.pool, rng).fill(message)
        return message.SerializeToString()

    # ---- what a descriptor in C should say ----

    def pb_c_options(self, descriptor, kind, extension):
        """protobuf-c's own options of a file, message or field; None if there are none."""
        try:
            of_type = self.pool.FindMessageTypeByName("google.protobuf." + kind)
            wanted = self.pool.FindExtensionByName(extension)
        except KeyError:
            return None
        data = descriptor.GetOptions().SerializeToString()
        options = self.factory.GetPrototype(of_type).FromString(data)
        return options.Extensions[wanted] if options.HasExtension(wanted) else None

    def expected_name(self, field):
        options = self.pb_c_options(field.file, "FileOptions", "pb_c_file")
        if options and options.use_oneof_field_name and field.containing_oneof:
            return field.containing_oneof.name
        return field.name

    def expected_type(self, field):
        options = self.pb_c_options(field, "FieldOptions", "pb_c_field")
        return BYTES if options and options.string_as_bytes else C_TYPES[field.type]

    def expected_label(self, field):
        if field.label == Field.LABEL_REPEATED:
            return REPEATED
        if field.label == Field.LABEL_REQUIRED:
            return REQUIRED
        proto2 = field.file.syntax == "proto2"
        return OPTIONAL if proto2 or field.full_name in self.proto3_optional else NONE

    def expected_flags(self, field):
        real_oneof = field.containing_oneof and field.full_name not in self.proto3_optional
        options = field.GetOptions()
        packable = field.label == Field.LABEL_REPEATED and field.type not in (
            Field.TYPE_STRING, Field.TYPE_BYTES, Field.TYPE_MESSAGE)
        packed = packable and (options.packed if options.HasField("packed")
                               else field.file.syntax == "proto3")
        return (1 if packed else 0) | (2 if options.deprecated else 0) | (4 if real_oneof else 0)

    def fields(self, name):
        """The lines that twin_text.c's print_fields should print, by field number."""
        lines = {}
        for field in self.pool.FindMessageTypeByName(name).fields:
            default = text_of_value(field.type, field.default_value) \
                if field.has_default_value else None
            lines[field.number] = (
                f"{self.expected_name(field)} {field.number} {self.expected_label(field)} "
                f"{self.expected_type(field)} {self.expected_flags(field)}", default)
        return lines
