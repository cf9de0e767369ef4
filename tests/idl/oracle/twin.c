/* twin: holds the code of two generators for the same .proto file side by side.
 *
 * Both sides come as shared objects.  They are loaded without sharing symbols, so
 * that each uses its own functions and tables, and looked at through protobuf-c's
 * descriptors only.  The oracle test (oracle.py) is what runs this program:
 *
 *     twin compare SHOULD IS           descriptors, defaults and fresh messages
 *     twin random SHOULD IS SEED COUNT  messages made here: each side must read and
 *                                      write what the other wrote
 *     twin read SHOULD IS              messages made elsewhere: both sides must make
 *                                      the same of them
 *     twin fields SHOULD IS            what the second side says of its messages
 *
 * The symbols to look at come on standard input, a descriptor's name a line; for
 * `read` with the message in hexadecimal behind it.  `random` prints such lines,
 * with the message as text behind it, and so does `read`, of what it wrote again.
 *
 * Differences go to standard error, one line each that names the message and the
 * member; the exit code is 1 if there were any and 2 if the program could not do
 * its work.  One thread. */

#include <ctype.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "twin.h"

static int differences;

static const char descriptor_suffix[] = "__descriptor";

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("twin: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

void
differ(const char *where, const char *format, ...)
{
    va_list args;

    differences++;
    va_start(args, format);
    fprintf(stderr, "%s: ", where);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void *
must_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);

    if (!memory)
        die("out of memory");
    return memory;
}

static struct side
side_open(const char *generator, const char *path)
{
    struct side side = { generator, dlopen(path, RTLD_NOW | RTLD_LOCAL) };

    if (!side.library)
        die("%s", dlerror());
    return side;
}

const void *
side_symbol(const struct side *side, const char *name)
{
    return dlsym(side->library, name);
}

const char *
symbol_at(const void *address)
{
    Dl_info info;

    if (!address)
        return "NULL";
    if (!dladdr(address, &info) || !info.dli_sname || info.dli_saddr != address)
        return "(no symbol)";
    return info.dli_sname;
}

/* A function, through an integer: ISO C has no conversion from an object pointer. */
static uintptr_t
side_function(const struct side *side, const char *name, const char *suffix)
{
    char symbol[1024];

    if (snprintf(symbol, sizeof symbol, "%s__%s", name, suffix) >= (int)sizeof symbol)
        die("the name %s is too long", name);
    return (uintptr_t)side_symbol(side, symbol);
}

struct codec
side_codec(const struct side *side, const char *name)
{
    struct codec codec;

    codec.descriptor = (const void *)side_function(side, name, "descriptor");
    codec.init = (void (*)(ProtobufCMessage *))side_function(side, name, "init");
    codec.get_packed_size =
        (size_t(*)(const ProtobufCMessage *))side_function(side, name, "get_packed_size");
    codec.pack = (size_t(*)(const ProtobufCMessage *, uint8_t *))side_function(side, name, "pack");
    codec.pack_to_buffer = (size_t(*)(const ProtobufCMessage *, ProtobufCBuffer *))side_function(
        side, name, "pack_to_buffer");
    codec.unpack = (ProtobufCMessage * (*)(ProtobufCAllocator *, size_t, const uint8_t *))
        side_function(side, name, "unpack");
    codec.free_unpacked = (void (*)(ProtobufCMessage *, ProtobufCAllocator *))side_function(
        side, name, "free_unpacked");
    if (!codec.descriptor)
        die("%s has no %s%s", side->generator, name, descriptor_suffix);
    return codec;
}

/* ---- compare ---- */

/* A message as its __init makes it, or NULL if there is none. */
static ProtobufCMessage *
fresh_message(const struct codec *codec)
{
    size_t size = codec->descriptor->sizeof_message;
    ProtobufCMessage *message;

    if (!codec->init)
        return NULL;
    message = must_alloc(size);
    memset(message, 0xa5, size);
    codec->init(message);
    return message;
}

/* What the __INIT macro makes: headers.py has put one into each shared object. */
static const ProtobufCMessage *
macro_message(const struct side *side, const char *name)
{
    char symbol[1024 + 16];
    const void *message;

    snprintf(symbol, sizeof symbol, "oracle_init_%s", name);
    message = side_symbol(side, symbol);
    if (!message)
        die("%s has no %s", side->generator, symbol);
    return message;
}

static void
compare_messages(const struct side *should, const struct side *is, const char *name)
{
    struct codec codec_should = side_codec(should, name);
    struct codec codec_is = side_codec(is, name);
    int before = differences;

    compare_message_descriptors(codec_should.descriptor, codec_is.descriptor, name);
    if (differences != before)
        return; /* without the same layout the messages cannot be compared */

    ProtobufCMessage *fresh_should = fresh_message(&codec_should);
    ProtobufCMessage *fresh_is = fresh_message(&codec_is);
    const ProtobufCMessage *macro = macro_message(should, name);
    compare_fresh_messages(macro, macro_message(is, name), name, "__INIT");
    if (fresh_should && fresh_is) {
        compare_fresh_messages(macro, fresh_should, name, "the oracle's __init");
        compare_fresh_messages(macro, fresh_is, name, "__init");
    }
    free(fresh_should);
    free(fresh_is);
}

static void
compare(const struct side *should, const struct side *is, const char *symbol, const char *name)
{
    const uint32_t *magic_should = side_symbol(should, symbol);
    const uint32_t *magic_is = side_symbol(is, symbol);

    if (!magic_should || !magic_is)
        differ(symbol, "only %s has it", magic_should ? should->generator : is->generator);
    else if (*magic_should != *magic_is)
        differ(symbol, "its magic is 0x%" PRIx32 ", should be 0x%" PRIx32, *magic_is,
               *magic_should);
    else if (*magic_should == PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC)
        compare_messages(should, is, name);
    else if (*magic_should == PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC)
        compare_enum_descriptors((const void *)magic_should, (const void *)magic_is, symbol);
    else
        differ(symbol, "describes neither a message nor an enum");
}

/* ---- packing and unpacking ---- */

struct bytes {
    size_t len;
    uint8_t *data;
};

/* Packs in each way there is; all must agree. */
static struct bytes
pack(const struct codec *codec, const ProtobufCMessage *message, const char *where)
{
    uint8_t room[64];
    ProtobufCBufferSimple buffer = PROTOBUF_C_BUFFER_SIMPLE_INIT(room);
    struct bytes bytes;
    size_t len;

    bytes.len = codec->get_packed_size ? codec->get_packed_size(message)
                                       : protobuf_c_message_get_packed_size(message);
    bytes.data = must_alloc(bytes.len);
    len = codec->pack ? codec->pack(message, bytes.data)
                      : protobuf_c_message_pack(message, bytes.data);
    if (len != bytes.len)
        differ(where, "packs into %zu bytes, but says %zu", len, bytes.len);
    len = codec->pack_to_buffer ? codec->pack_to_buffer(message, &buffer.base)
                                : protobuf_c_message_pack_to_buffer(message, &buffer.base);
    if (len != bytes.len || buffer.len != len || memcmp(buffer.data, bytes.data, len) != 0)
        differ(where, "pack and pack_to_buffer differ");
    PROTOBUF_C_BUFFER_SIMPLE_CLEAR(&buffer);
    return bytes;
}

static ProtobufCMessage *
unpack(const struct codec *codec, const struct bytes *bytes)
{
    return codec->unpack
               ? codec->unpack(NULL, bytes->len, bytes->data)
               : protobuf_c_message_unpack(codec->descriptor, NULL, bytes->len, bytes->data);
}

static void
release(const struct codec *codec, ProtobufCMessage *message)
{
    if (codec->free_unpacked)
        codec->free_unpacked(message, NULL);
    else
        protobuf_c_message_free_unpacked(message, NULL);
}

static void
print_bytes(const char *symbol, const struct bytes *bytes)
{
    printf("%s ", symbol);
    for (size_t i = 0; i < bytes->len; i++)
        printf("%02x", bytes->data[i]);
    putchar(bytes->len ? ' ' : '-');
    if (!bytes->len)
        putchar(' ');
}

/* Unpacks on one side and packs again: the bytes must be the expected ones. */
static void
check_repacked(const struct side *side, const char *name, const struct bytes *expected)
{
    struct codec codec = side_codec(side, name);
    ProtobufCMessage *message = unpack(&codec, expected);

    if (!message) {
        differ(name, "%s cannot unpack what was packed", side->generator);
        return;
    }
    if (!protobuf_c_message_check(message))
        differ(name, "%s unpacks what protobuf_c_message_check refuses", side->generator);
    struct bytes again = pack(&codec, message, name);
    if (again.len != expected->len || memcmp(again.data, expected->data, again.len) != 0)
        differ(name, "%s packs other bytes than it unpacked", side->generator);
    free(again.data);
    release(&codec, message);
}

static void
pack_random(const struct side *should, const struct side *is, const char *symbol, const char *name,
            uint64_t seed)
{
    struct codec codec = side_codec(is, name);
    ProtobufCMessage *message = random_message(codec.descriptor, seed);
    struct bytes bytes = pack(&codec, message, name);

    check_repacked(should, name, &bytes);
    check_repacked(is, name, &bytes);
    print_bytes(symbol, &bytes);
    print_message(message);
    putchar('\n');
    free(bytes.data);
    release(&codec, message);

    codec = side_codec(should, name);
    message = random_message(codec.descriptor, seed);
    bytes = pack(&codec, message, name);
    check_repacked(is, name, &bytes);
    free(bytes.data);
    release(&codec, message);
}

static struct bytes
parse_hex(const char *hex)
{
    struct bytes bytes = { 0, must_alloc(strlen(hex) / 2) };
    unsigned byte;

    for (; isxdigit((unsigned char)hex[0]) && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        bytes.data[bytes.len++] = (uint8_t)byte;
    return bytes;
}

static void
read_message(const struct side *should, const struct side *is, const char *symbol, const char *name,
             const char *hex)
{
    struct codec codec_should = side_codec(should, name);
    struct codec codec_is = side_codec(is, name);
    struct bytes bytes = parse_hex(hex);
    ProtobufCMessage *message_should = unpack(&codec_should, &bytes);
    ProtobufCMessage *message_is = unpack(&codec_is, &bytes);

    free(bytes.data);
    if (!message_should || !message_is) {
        differ(name, "%s cannot unpack %s", message_is ? should->generator : is->generator, hex);
    } else {
        struct bytes packed_should = pack(&codec_should, message_should, name);
        bytes = pack(&codec_is, message_is, name);
        if (bytes.len != packed_should.len || memcmp(bytes.data, packed_should.data, bytes.len))
            differ(name, "the two sides pack different bytes after unpacking %s", hex);
        print_bytes(symbol, &bytes);
        print_message(message_is);
        putchar('\n');
        free(bytes.data);
        free(packed_should.data);
    }
    release(&codec_should, message_should);
    release(&codec_is, message_is);
}

/* ---- the program ---- */

/* `= symbol name` and its fields; nothing for an enum. */
static void
list_fields(const struct side *side, const char *symbol)
{
    const ProtobufCMessageDescriptor *descriptor = side_symbol(side, symbol);

    if (descriptor->magic != PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC)
        return;
    printf("= %s %s\n", symbol, descriptor->name ? descriptor->name : "-");
    print_fields(descriptor);
}

static void
run(char **argv, const struct side *should, const struct side *is, char *line)
{
    char *symbol = strtok(line, " \n");
    char *hex = strtok(NULL, " \n");
    char name[1024];
    size_t len = symbol ? strlen(symbol) : 0;
    size_t suffix = sizeof descriptor_suffix - 1;

    if (len <= suffix || len >= sizeof name || strcmp(symbol + len - suffix, descriptor_suffix))
        die("%s is not the name of a descriptor", symbol ? symbol : "an empty line");
    memcpy(name, symbol, len - suffix);
    name[len - suffix] = '\0';

    if (!strcmp(argv[1], "compare")) {
        compare(should, is, symbol, name);
    } else if (!strcmp(argv[1], "random")) {
        for (uint64_t i = 0; i < strtoul(argv[5], NULL, 10); i++)
            pack_random(should, is, symbol, name, strtoul(argv[4], NULL, 10) + i);
    } else if (!strcmp(argv[1], "read")) {
        read_message(should, is, symbol, name, hex ? hex : "");
    } else if (!strcmp(argv[1], "fields")) {
        list_fields(is, symbol);
    } else {
        die("%s is not something this program does", argv[1]);
    }
}

int
main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;

    if (argc < 4 || (!strcmp(argv[1], "random") && argc < 6))
        die("usage: twin compare|random|read|fields SHOULD IS [SEED COUNT]");
    struct side should = side_open("protoc-gen-c", argv[2]);
    struct side is = side_open("protoc-gen-afar", argv[3]);
    while (getline(&line, &room, stdin) > 0)
        run(argv, &should, &is, line);
    free(line);
    dlclose(is.library);
    dlclose(should.library);
    if (fflush(stdout) != 0)
        die("cannot write");
    return differences ? 1 : 0;
}
