/* Addresses: every form, and what is said of each mistake. */

#include "runtime/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

static void
check_remote(const char *text, afar__address expected)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__address address;

    CHECK_OK(afar__address_parse_remote(text, &address, &err));
    CHECK_INT(address.kind, expected.kind);
    CHECK_STR(address.host, expected.host);
    CHECK_INT(address.port, expected.port);
    CHECK_INT(address.ipv6, expected.ipv6);
    CHECK_STR(address.path, expected.path);
    CHECK_STR(address.name, expected.name);
}

static void
check_listen(const char *text, afar__address expected)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__address address;

    CHECK_OK(afar__address_parse_listen(text, &address, &err));
    CHECK_INT(address.kind, expected.kind);
    CHECK_STR(address.host, expected.host);
    CHECK_INT(address.port, expected.port);
    CHECK_INT(address.ipv6, expected.ipv6);
    CHECK_STR(address.path, expected.path);
    CHECK_STR(address.name, "");
}

/* The message is the text, ": " and what is wrong. */
static void
check_wrong(afar_code (*parse)(const char *, afar__address *, afar_error *), const char *text,
            const char *wrong)
{
    afar__address address = { .port = 7 };
    afar_error err = AFAR_ERROR_INIT;
    char message[256];

    snprintf(message, sizeof message, "%s: %s", text, wrong);
    CHECK_FAILS(parse(text, &address, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, message);
    CHECK_INT(address.port, 7);
}

static void
check_wrong_remote(const char *text, const char *wrong)
{
    check_wrong(afar__address_parse_remote, text, wrong);
}

static void
check_wrong_listen(const char *text, const char *wrong)
{
    check_wrong(afar__address_parse_listen, text, wrong);
}

static char *
repeat(char c, size_t n)
{
    static char text[600];

    memset(text, c, n);
    text[n] = 0;
    return text;
}

/* ---- what a client opens ---- */

TEST(grpc)
{
    check_remote("grpc://127.0.0.1:7000",
                 (afar__address){ .kind = AFAR__ADDRESS_TCP, .host = "127.0.0.1", .port = 7000 });
    check_remote("grpc://a-host_1.example:65535/bank/accounts/alice",
                 (afar__address){ .kind = AFAR__ADDRESS_TCP,
                                  .host = "a-host_1.example",
                                  .port = 65535,
                                  .name = "bank/accounts/alice" });
    check_remote(
        "grpc://[::1]:1/x",
        (afar__address){
            .kind = AFAR__ADDRESS_TCP, .host = "::1", .port = 1, .ipv6 = true, .name = "x" });
}

TEST(grpc_mistakes)
{
    check_wrong_remote("grpc://127.0.0.1", "no port; write grpc://127.0.0.1:PORT/NAME");
    check_wrong_remote("grpc://127.0.0.1/x", "no port; write grpc://127.0.0.1:PORT/NAME");
    check_wrong_remote("grpc://7000/x", "no host; write grpc://HOST:7000/NAME");
    check_wrong_remote("grpc://127.0.0.1:", "no port; write grpc://127.0.0.1:PORT/NAME");
    check_wrong_remote("grpc://[::1]", "no port; write grpc://[::1]:PORT/NAME");
    check_wrong_remote("grpc://[::1]:", "no port; write grpc://[::1]:PORT/NAME");
    check_wrong_remote("grpc://[::1]7000", "no port; write grpc://[::1]:PORT/NAME");
    check_wrong_remote("grpc://", "no host; write grpc://HOST:PORT/NAME");
    check_wrong_remote("grpc://:7000", "no host; write grpc://HOST:PORT/NAME");
    check_wrong_remote("grpc:///x", "no host; write grpc://HOST:PORT/NAME");
    check_wrong_remote("grpc://h:0", "port 0 is for listening only");
    check_wrong_remote("grpc://h:65536", "the port is above 65535");
    check_wrong_remote("grpc://h:99999999999999999999", "the port is above 65535");
    check_wrong_remote("grpc://h:80a", "the port \"80a\" is not a number");
    check_wrong_remote("grpc://h:-1", "the port \"-1\" is not a number");
    check_wrong_remote("grpc://h:+1", "the port \"+1\" is not a number");
    check_wrong_remote("grpc://::1:7000", "an IPv6 address goes in brackets: [::1]:PORT");
    check_wrong_remote("grpc://[::1:7000", "[ without ]");
    check_wrong_remote("grpc://[localhost]:7000", "between [ and ] is no IPv6 address");
    check_wrong_remote("grpc://[]:7000", "between [ and ] is no IPv6 address");
    check_wrong_remote("grpc://me@h:1", "the host has a character that no host has: \"me@h\"");
    check_wrong_remote("grpc://h:1/", "ends with /; leave it out for the default object");
    check_wrong_remote("grpc://h:1//x", "the name begins or ends with /");
    check_wrong_remote("grpc://h:1/x/", "the name begins or ends with /");
    check_wrong_remote("grpc://h:1/x?y", "a name has letters, digits and . _ - / only");
}

TEST(names)
{
    const char *longest = repeat('n', 255);
    afar__address expected = { .kind = AFAR__ADDRESS_NAME, .name = "A.b_c-d/1" };

    check_remote("A.b_c-d/1", expected);
    memcpy(expected.name, longest, 256);
    check_remote(longest, expected);
}

TEST(name_mistakes)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__address address;

    CHECK_FAILS(afar__address_parse_remote("", &address, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "\"\": the name is empty");
    check_wrong_remote("a//b", "the name has two / in a row");
    check_wrong_remote("/a", "the name begins or ends with /");
    check_wrong_remote("a/", "the name begins or ends with /");
    check_wrong_remote("a b", "a name has letters, digits and . _ - / only");
    check_wrong_remote("\xc3\xa4", "a name has letters, digits and . _ - / only");
    check_wrong_remote("http://h:1", "addresses begin with afar:// grpc:// unix: or inproc:");
    check_wrong_remote("h:7000",
                       "a name has no \":\"; an address is written afar://HOST:PORT/NAME");
    CHECK_FAILS(afar__address_parse_remote(repeat('n', 256), &address, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "nnn...: the name is longer than 255 bytes") != NULL);
}

TEST(name_check)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__name_check("bank/accounts/alice", &err));
    CHECK_OK(afar__name_check(repeat('n', 255), &err));
    CHECK_FAILS(afar__name_check(repeat('n', 256), &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar__name_check("grpc://h:1", &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "grpc://h:1: a name has letters, digits and . _ - / only");
}

TEST(inproc)
{
    check_remote("inproc:server",
                 (afar__address){ .kind = AFAR__ADDRESS_INPROC, .path = "server" });
    check_remote("inproc:s.1/a/b",
                 (afar__address){ .kind = AFAR__ADDRESS_INPROC, .path = "s.1", .name = "a/b" });
    check_wrong_remote("inproc:", "no server; write inproc:SERVER");
    check_wrong_remote("inproc:/x", "no server; write inproc:SERVER");
    check_wrong_remote("inproc:a b", "a server's name has letters, digits and . _ - only");
    check_wrong_remote("inproc:s/", "ends with /; leave it out for the default object");
}

/* Puts a folder into it, with a socket. */
static void
fill_folder(const char *folder)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char path[200];

    snprintf(path, sizeof path, "%s/inner", folder);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/inner/socket", folder);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    close(fd);
}

static void
check_unix(const char *folder, const char *rest, const char *path, const char *name)
{
    afar__address expected = { .kind = AFAR__ADDRESS_UNIX };
    char text[300];

    snprintf(text, sizeof text, "unix:%s%s", folder, rest);
    snprintf(expected.path, sizeof expected.path, "%s%s", folder, path);
    snprintf(expected.name, sizeof expected.name, "%s", name);
    check_remote(text, expected);
}

static void
check_wrong_unix(const char *folder, const char *rest, const char *wrong)
{
    char text[300];

    snprintf(text, sizeof text, "unix:%s%s", folder, rest);
    check_wrong_remote(text, wrong);
}

TEST(unix_path_ends_at_what_is_no_directory)
{
    const char *folder = check_folder();

    fill_folder(folder);
    check_unix(folder, "/inner/socket", "/inner/socket", "");
    check_unix(folder, "/inner/socket/a/b", "/inner/socket", "a/b");
    check_unix(folder, "//inner/../inner/socket/a", "//inner/../inner/socket", "a");
    check_unix(folder, "/absent/a/b", "/absent", "a/b");
    check_unix(folder, "/inner/absent", "/inner/absent", "");
    check_wrong_unix(folder, "", "is a directory, not a socket");
    check_wrong_unix(folder, "/inner", "is a directory, not a socket");
    check_wrong_unix(folder, "/inner/", "is a directory, not a socket");
    check_wrong_unix(folder, "/inner/socket/", "ends with /; leave it out for the default object");
    check_wrong_unix(folder, "/inner/socket//a", "the name begins or ends with /");
    check_wrong_unix(folder, "/inner/socket/a b", "a name has letters, digits and . _ - / only");
    check_remote("unix:absent", (afar__address){ .kind = AFAR__ADDRESS_UNIX, .path = "absent" });
    check_wrong_remote("unix:", "no path; write unix:PATH");
    check_wrong_remote("unix:/", "is a directory, not a socket");
}

TEST(unix_path_has_a_limit)
{
    afar__address address, expected = { .kind = AFAR__ADDRESS_UNIX };
    afar_error err = AFAR_ERROR_INIT;
    char text[700];

    snprintf(text, sizeof text, "unix:%s", repeat('p', 107));
    memcpy(expected.path, text + 5, 108);
    check_remote(text, expected);
    check_listen(text, expected);
    snprintf(text, sizeof text, "unix:%s", repeat('p', 108));
    CHECK_FAILS(afar__address_parse_remote(text, &address, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, ": the path has 108 bytes; a unix socket's has 107 at most"));
    CHECK_FAILS(afar__address_parse_listen(text, &address, &err), AFAR_INVALID_ARGUMENT);
    snprintf(text, sizeof text, "unix:/tmp/%s/name", repeat('p', 102));
    memset(&expected, 0, sizeof expected);
    expected.kind = AFAR__ADDRESS_UNIX;
    memcpy(expected.path, text + 5, 107);
    memcpy(expected.name, "name", 5);
    check_remote(text, expected);
}

TEST(long_parts)
{
    afar__address address;
    afar_error err = AFAR_ERROR_INIT;
    char text[700];

    snprintf(text, sizeof text, "grpc://%s:1", repeat('h', 255));
    CHECK_OK(afar__address_parse_remote(text, &address, &err));
    CHECK_INT(strlen(address.host), 255);
    snprintf(text, sizeof text, "grpc://%s:1", repeat('h', 256));
    CHECK_FAILS(afar__address_parse_remote(text, &address, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "...: the host is longer than 255 bytes") != NULL);
    snprintf(text, sizeof text, "grpc://[%s]:1", repeat(':', 300));
    CHECK_FAILS(afar__address_parse_remote(text, &address, &err), AFAR_INVALID_ARGUMENT);
    snprintf(text, sizeof text, "inproc:%s", repeat('s', 107));
    CHECK_OK(afar__address_parse_remote(text, &address, &err));
    snprintf(text, sizeof text, "inproc:%s", repeat('s', 108));
    CHECK_FAILS(afar__address_parse_remote(text, &address, &err), AFAR_INVALID_ARGUMENT);
}

/* ---- where a server listens ---- */

TEST(listening)
{
    check_listen("127.0.0.1:7000",
                 (afar__address){ .kind = AFAR__ADDRESS_TCP, .host = "127.0.0.1", .port = 7000 });
    check_listen("localhost:0", (afar__address){ .kind = AFAR__ADDRESS_TCP, .host = "localhost" });
    check_listen("[::]:0",
                 (afar__address){ .kind = AFAR__ADDRESS_TCP, .host = "::", .ipv6 = true });
    check_listen("unix:/run/a/b.sock",
                 (afar__address){ .kind = AFAR__ADDRESS_UNIX, .path = "/run/a/b.sock" });
    check_listen("inproc:server",
                 (afar__address){ .kind = AFAR__ADDRESS_INPROC, .path = "server" });
}

TEST(listening_mistakes)
{
    afar__address address;
    afar_error err = AFAR_ERROR_INIT;

    check_wrong_listen("grpc://127.0.0.1:7000", "a server listens on HOST:PORT, without grpc://");
    check_wrong_listen("127.0.0.1", "no port; write 127.0.0.1:PORT");
    check_wrong_listen("[::1]", "no port; write [::1]:PORT");
    check_wrong_listen("7000", "no host; write HOST:7000");
    check_wrong_listen(":7000", "no host; write HOST:PORT");
    check_wrong_listen("*:7000", "the host has a character that no host has: \"*\"");
    check_wrong_listen("h:1/name", "the port \"1/name\" is not a number");
    check_wrong_listen("::1:7000", "an IPv6 address goes in brackets: [::1]:PORT");
    check_wrong_listen("unix:", "no path; write unix:PATH");
    check_wrong_listen("inproc:a/b", "a server's name has letters, digits and . _ - only");
    CHECK_FAILS(afar__address_parse_listen("", &address, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "\"\": no host; write HOST:PORT");
}

/* ---- endpoints ---- */

static void
check_endpoint(const char *text, afar__address expected)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__address address;

    CHECK_OK(afar__address_parse_endpoint(text, &address, &err));
    CHECK_INT(address.kind, expected.kind);
    CHECK_STR(address.host, expected.host);
    CHECK_INT(address.port, expected.port);
    CHECK_INT(address.ipv6, expected.ipv6);
    CHECK_STR(address.path, expected.path);
    CHECK_STR(address.name, "");
}

static void
check_wrong_endpoint(const char *text, const char *wrong)
{
    check_wrong(afar__address_parse_endpoint, text, wrong);
}

TEST(endpoints)
{
    check_endpoint("bank.example:7700", (afar__address){ .host = "bank.example", .port = 7700 });
    check_endpoint("grpc://127.0.0.1:1", (afar__address){ .host = "127.0.0.1", .port = 1 });
    check_endpoint("[::1]:65535", (afar__address){ .host = "::1", .port = 65535, .ipv6 = true });
    check_endpoint("grpc://[::1]:9", (afar__address){ .host = "::1", .port = 9, .ipv6 = true });
    check_endpoint("unix:/nowhere/at/all",
                   (afar__address){ .kind = AFAR__ADDRESS_UNIX, .path = "/nowhere/at/all" });
    check_endpoint("inproc:names",
                   (afar__address){ .kind = AFAR__ADDRESS_INPROC, .path = "names" });
}

TEST(endpoint_mistakes)
{
    check_wrong_endpoint("grpc://h:1/name", "an object's name does not belong here");
    check_wrong_endpoint("grpc://h", "no port; write grpc://h:PORT");
    check_wrong_endpoint("h", "no port; write h:PORT");
    check_wrong_endpoint("7700", "no host; write HOST:7700");
    check_wrong_endpoint("123456", "no port; write 123456:PORT");
    check_wrong_endpoint("h:0", "port 0 is for listening only");
    check_wrong_endpoint("grpc://[::1]:0", "port 0 is for listening only");
    check_wrong_endpoint("unix:", "no path; write unix:PATH");
    check_wrong_endpoint("http://h:1", "write HOST:PORT, afar://HOST:PORT or unix:PATH");
}

/* ---- names of one key ---- */

static const uint8_t key_bytes[AFAR__PUBLIC_BYTES] = { 1, 2, 3, 255 };

TEST(a_key_in_front_of_a_name)
{
    afar_error err = AFAR_ERROR_INIT;
    char key[AFAR__KEY_TEXT], text[100];
    afar__address address;

    afar__key_print(key_bytes, key);
    snprintf(text, sizeof text, "%s@bank/alice", key);
    CHECK_OK(afar__address_parse_remote(text, &address, &err));
    CHECK_INT(address.kind, AFAR__ADDRESS_NAME);
    CHECK_STR(address.name, "bank/alice");
    CHECK(address.has_key && memcmp(address.key, key_bytes, sizeof key_bytes) == 0);
    CHECK_OK(afar__address_parse_remote("bank/alice", &address, &err));
    CHECK(!address.has_key);
}

TEST(key_mistakes)
{
    static const char *const none = "in front of @ is no key: one has 43 letters, digits, - and _";
    char key[AFAR__KEY_TEXT], text[100];

    afar__key_print(key_bytes, key);
    check_wrong_remote("@bank/alice", none);
    check_wrong_remote("key@bank/alice", none);
    snprintf(text, sizeof text, "%.42s@bank/alice", key);
    check_wrong_remote(text, none);
    snprintf(text, sizeof text, "%.42s+@bank/alice", key);
    check_wrong_remote(text, none);
    snprintf(text, sizeof text, "%s@", key);
    check_wrong_remote(text, "the name is empty");
    snprintf(text, sizeof text, "%s@a@b", key);
    check_wrong_remote(text, "a name has letters, digits and . _ - / only");
}
