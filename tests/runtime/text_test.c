/* Messages as text: the exact form, and against protoc. */

#include <afar/message.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "legacy.pb-c.h"
#include "nameless.h"
#include "random.h"
#include "values.pb-c.h"

/* The text, which the test releases. */
static char *
print(const void *message)
{
    size_t length = afar_message_print(message, NULL, 0);
    char *text = malloc(length + 1);

    CHECK(text != NULL);
    CHECK_INT(afar_message_print(message, text, length + 1), length);
    CHECK_INT(strlen(text), length);
    return text;
}

static void
check_text(const void *message, const char *expected)
{
    char *text = print(message);

    CHECK_STR(text, expected);
    free(text);
}

TEST(scalars)
{
    Leaf__Scalars message = LEAF__SCALARS__INIT;

    check_text(&message, "");
    message.a_int32 = -1;
    message.a_int64 = INT64_MIN;
    message.a_uint32 = UINT32_MAX;
    message.a_uint64 = UINT64_MAX;
    message.a_sfixed64 = INT64_MAX;
    message.a_float = 0.1f;
    message.a_double = 0.1;
    message.a_bool = 1;
    message.a_color = LEAF__COLOR__BELOW;
    message.a_string = (char *)(uintptr_t) "a \"quote\"\n\t\\ \x01 \x7f \xc3\xa4 \xff";
    message.a_bytes = (ProtobufCBinaryData){ 4, (uint8_t *)(uintptr_t) "\xc3\xa4\0z" };
    check_text(&message, "a_int32: -1\n"
                         "a_int64: -9223372036854775808\n"
                         "a_uint32: 4294967295\n"
                         "a_uint64: 18446744073709551615\n"
                         "a_sfixed64: 9223372036854775807\n"
                         "a_float: 0.1\n"
                         "a_double: 0.1\n"
                         "a_bool: true\n"
                         "a_color: BELOW\n"
                         "a_string: \"a \\\"quote\\\"\\n\\t\\\\ \\001 \\177 \xc3\xa4 \\377\"\n"
                         "a_bytes: \"\\303\\244\\000z\"\n");
}

TEST(numbers_read_back_as_the_same)
{
    static const struct {
        double value;
        const char *text;
    } doubles[] = {
        { 1, "1" },
        { 1.0 / 3, "0.3333333333333333" },
        { 100000, "100000" },
        { 1e300, "1e+300" },
        { 5e-324, "4.94065645841247e-324" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { -0.0, "-0" },
        { INFINITY, "inf" },
        { -INFINITY, "-inf" },
        { NAN, "nan" },
    };

    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        Leaf__Scalars message = LEAF__SCALARS__INIT;
        char expected[64];

        message.a_double = doubles[i].value;
        snprintf(expected, sizeof expected, "a_double: %s\n", doubles[i].text);
        check_text(&message, expected);
    }
    Leaf__Scalars message = LEAF__SCALARS__INIT;
    message.a_float = 16777216;
    check_text(&message, "a_float: 16777216\n");
    message.a_float = 1.0f / 3;
    check_text(&message, "a_float: 0.33333334\n");
}

TEST(lists_and_messages)
{
    Leaf__Tree leaf = LEAF__TREE__INIT, root = LEAF__TREE__INIT;
    Leaf__Tree *children[] = { &leaf, NULL };
    Leaf__Lists lists = LEAF__LISTS__INIT;
    int32_t numbers[] = { 0, -1 };
    Leaf__Color colors[] = { LEAF__COLOR__RED, (Leaf__Color)77 };
    char *strings[] = { (char *)(uintptr_t) "", NULL };

    leaf.value = 1;
    root.left = &leaf;
    root.n_children = 2;
    root.children = children;
    check_text(&root, "left {\n  value: 1\n}\nchildren {\n  value: 1\n}\nchildren {\n}\n");
    lists.n_int32s = lists.n_colors = lists.n_strings = lists.n_blobs = 2;
    lists.int32s = numbers;
    lists.colors = colors;
    lists.strings = strings; /* and there are no blobs, whatever n_blobs says */
    check_text(&lists, "int32s: 0\nint32s: -1\ncolors: RED\ncolors: 77\n"
                       "strings: \"\"\nstrings: \"\"\n");
}

TEST(what_is_set)
{
    Leaf__Optionals optionals = LEAF__OPTIONALS__INIT;
    Leaf__Choice choice = LEAF__CHOICE__INIT;
    Leaf__Legacy legacy = LEAF__LEGACY__INIT;
    char *one_piece = (char *)(uintptr_t) "word";

    check_text(&optionals, "");
    optionals.has_an_int32 = optionals.has_a_bool = optionals.has_a_bytes = 1;
    optionals.a_string = (char *)(uintptr_t) "";
    check_text(&optionals, "an_int32: 0\na_bool: false\na_string: \"\"\na_bytes: \"\"\n");

    check_text(&choice, "");
    choice.number = 5; /* nobody says so */
    check_text(&choice, "");
    choice.choice_case = LEAF__CHOICE__CHOICE_NUMBER;
    choice.number = 0;
    check_text(&choice, "number: 0\n");
    choice.choice_case = LEAF__CHOICE__CHOICE_TREE;
    choice.tree = NULL;
    check_text(&choice, "tree {\n}\n");

    check_text(&legacy, "number: 0\ndata: \"data\"\n");
    legacy.word = strdup(one_piece); /* set, and the same as the default */
    legacy.has_answer = 1;
    check_text(&legacy, "number: 0\nword: \"word\"\nanswer: 42\ndata: \"data\"\n");
    free(legacy.word);
}

TEST(maps_are_entries)
{
    Leaf__Maps__CountsEntry entry = LEAF__MAPS__COUNTS_ENTRY__INIT;
    Leaf__Maps__CountsEntry *entries[] = { &entry };
    Leaf__Maps maps = LEAF__MAPS__INIT;

    entry.key = (char *)(uintptr_t) "a";
    entry.value = 5;
    maps.n_counts = 1;
    maps.counts = entries;
    check_text(&maps, "counts {\n  key: \"a\"\n  value: 5\n}\n");
}

TEST(unknown_fields)
{
    static const uint8_t bytes[] = { 0xa0, 0x06, 0x96, 0x01, 0xa1, 0x06, 8,    7,    6, 5, 4, 3, 2,
                                     1,    0xa2, 0x06, 2,    'h',  0xff, 0xa5, 0x06, 4, 3, 2, 1 };
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;

    CHECK_OK(
        afar_message_unpack(&leaf__tree__descriptor, bytes, sizeof bytes, NULL, &message, &err));
    check_text(message, "100: 150\n100: 0x0102030405060708\n100: \"h\\377\"\n100: 0x01020304\n");
    afar_message_free(message);
}

TEST(types_without_names)
{
    static const uint8_t bytes[] = { 0x0a, 1, 'a', 0x10, 1, 0x1a, 2, 0x10, 2 };
    afar__arena *arena = afar__arena_new(0);
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;

    CHECK_OK(afar_message_unpack(nameless(&leaf__marked__descriptor, arena), bytes, sizeof bytes,
                                 NULL, &message, &err));
    /* What is within was initialised with names, by its own function. */
    message->descriptor = nameless(&leaf__marked__descriptor, arena);
    ((Leaf__Marked *)message)->inner[0]->base.descriptor = message->descriptor;
    check_text(message, "1: \"a\"\n2: 1\n3 {\n  2: 2\n}\n");
    afar_message_free(message);
    afar__arena_free(arena);
}

TEST(what_does_not_fit_is_counted)
{
    Leaf__Tree tree = LEAF__TREE__INIT;
    const char *whole = "value: 12345\nname: \"a name\"\n";

    tree.value = 12345;
    tree.name = (char *)(uintptr_t) "a name";
    for (size_t size = 0; size <= strlen(whole) + 2; size++) {
        char text[64];
        size_t fits = size == 0 ? 0 : size - 1 < strlen(whole) ? size - 1 : strlen(whole);

        memset(text, '!', sizeof text);
        CHECK_INT(afar_message_print(&tree.base, text, size), strlen(whole));
        CHECK(memcmp(text, whole, fits) == 0);
        CHECK_INT(text[fits], size == 0 ? '!' : 0);
        CHECK_INT(text[size], '!');
    }
}

TEST(what_is_no_message)
{
    ProtobufCMessage bare = { NULL, 0, NULL };
    Leaf__Tree cycle = LEAF__TREE__INIT;
    char text[64] = "before";

    CHECK_INT(afar_message_print(NULL, text, sizeof text), 0);
    CHECK_STR(text, "");
    check_text(&bare, "");
    cycle.left = &cycle;
    CHECK(afar_message_print(&cycle.base, text, sizeof text) > 1000);
}

/* Makes a locale with a comma and takes it.  False where localedef cannot. */
static bool
take_locale_with_comma(const char *folder)
{
    char command[512];

    snprintf(
        command, sizeof command,
        "printf 'LC_NUMERIC\\ndecimal_point \",\"\\nthousands_sep \"\"\\ngrouping -1\\n"
        "END LC_NUMERIC\\n' >%s/source; localedef -c -i %s/source -f UTF-8 %s/comma.UTF-8 2>%s/log",
        folder, folder, folder, folder);
    if (system(command) < 0)
        return false;
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_NUMERIC, "comma.UTF-8") != NULL;
}

TEST(locale_does_not_matter)
{
    Leaf__Scalars message = LEAF__SCALARS__INIT;
    char text[16];

    message.a_float = 0.1f;
    message.a_double = -1.5e100;
    if (take_locale_with_comma(check_folder())) {
        snprintf(text, sizeof text, "%.1f", 1.5);
        CHECK_STR(text, "1,5");
        check_text(&message, "a_float: 0.1\na_double: -1.5e+100\n");
    }
}

/* ---- against protoc ---- */

/* What `protoc --decode` makes of the message. */
static void
decode_with_protoc(const ProtobufCMessage *message, char *text, size_t size)
{
    char path[100], command[512];
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(length + 1);
    FILE *output;
    int fd;

    snprintf(path, sizeof path, "%s/message-XXXXXX", check_folder());
    fd = mkstemp(path);
    CHECK(getenv("AFAR_SOURCE") != NULL);
    CHECK(bytes != NULL && fd >= 0);
    protobuf_c_message_pack(message, bytes);
    CHECK_INT(write(fd, bytes, length), length);
    close(fd);
    free(bytes);
    snprintf(command, sizeof command, "protoc -I%s/tests/runtime --decode=%s values.proto <%s",
             getenv("AFAR_SOURCE"), message->descriptor->name, path);
    output = popen(command, "r");
    CHECK(output != NULL);
    text[fread(text, 1, size - 1, output)] = 0;
    CHECK_INT(pclose(output), 0);
    unlink(path);
}

/* But not maps: it knows which messages are entries, and leaves nothing out there. */
TEST(protoc_prints_the_same)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &leaf__scalars__descriptor, &leaf__lists__descriptor,  &leaf__optionals__descriptor,
        &leaf__tree__descriptor,    &leaf__choice__descriptor,
    };
    static char theirs[1 << 20];
    struct random random = { .state = 40, .plain = true };

    for (size_t round = 0; round < 20; round++) {
        afar__arena *arena = afar__arena_new(0);
        ProtobufCMessage *message = random_message(&random, types[round % 5], 2, arena);
        char *ours = print(message);

        decode_with_protoc(message, theirs, sizeof theirs);
        CHECK_STR(ours, theirs);
        free(ours);
        afar__arena_free(arena);
    }
}
