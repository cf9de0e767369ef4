/* Addresses as people write them.
 *
 * An address is read from left to right; each function below takes what is left of
 * the text and fills its part of the result.  `text` in an error is the whole
 * address, so that the person who made the mistake finds it.
 *
 * Any thread.
 */

#include "runtime/address.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <afar/api.h>

#define NAME_MAX_BYTES 255

/* What is read: the address, whole, and where to complain. */
struct source {
    const char *text;
    afar_error *err;
    const char *before, *behind; /* HOST:PORT, in an example of how to write it */
};

/* The whole text goes into a message only so far, that the rest of it has room. */
AFAR_PRINTF(2, 3)
static afar_code
refuse(const struct source *source, const char *format, ...)
{
    char why[160];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    if (!*source->text)
        return afar_fail(source->err, AFAR_INVALID_ARGUMENT, "\"\": %s", why);
    return afar_fail(source->err, AFAR_INVALID_ARGUMENT, "%.90s%s: %s", source->text,
                     strlen(source->text) > 90 ? "..." : "", why);
}

static const char *
after_prefix(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static bool
is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void
copy(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    to[length] = 0;
}

/* ---- names ---- */

static bool
is_name_byte(char c)
{
    return is_letter_or_digit(c) || (c != 0 && strchr("._-/", c));
}

/* What is wrong with a name, or NULL. */
static const char *
name_fault(const char *name)
{
    size_t length = strlen(name);

    if (length == 0)
        return "the name is empty";
    if (length > NAME_MAX_BYTES)
        return "the name is longer than 255 bytes";
    for (const char *c = name; *c; c++)
        if (!is_name_byte(*c))
            return "a name has letters, digits and . _ - / only";
    if (strstr(name, "//"))
        return "the name has two / in a row";
    if (name[0] == '/' || name[length - 1] == '/')
        return "the name begins or ends with /";
    return NULL;
}

afar_code
afar__name_check(const char *name, afar_error *err)
{
    struct source source = { name, err, "", "" };
    const char *fault = name_fault(name);

    return fault ? refuse(&source, "%s", fault) : AFAR_OK;
}

static afar_code
read_name(const struct source *source, const char *name, afar__address *address)
{
    const char *fault = name_fault(name);

    if (fault)
        return refuse(source, "%s", fault);
    copy(address->name, name, strlen(name));
    return AFAR_OK;
}

/* What may follow a place: nothing, or '/' and a name. */
static afar_code
read_slash_name(const struct source *source, const char *rest, afar__address *address)
{
    if (!*rest)
        return AFAR_OK;
    if (!rest[1])
        return refuse(source, "ends with /; leave it out for the default object");
    return read_name(source, rest + 1, address);
}

/* ---- host and port ---- */

/* A lone number is meant as a port. */
static afar_code
refuse_without_port(const struct source *source, const char *host, size_t length)
{
    if (length > 0 && length <= 5 && strspn(host, "0123456789") >= length)
        return refuse(source, "no host; write %sHOST:%.*s%s", source->before, (int)length, host,
                      source->behind);
    return refuse(source, "no port; write %s%.*s:PORT%s", source->before,
                  length < 60 ? (int)length : 0, host, source->behind);
}

static afar_code
read_port(const struct source *source, const char *text, size_t length, afar__address *address)
{
    unsigned port = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return refuse(source, "the port \"%.*s\" is not a number", (int)length, text);
        port = port * 10 + (unsigned)(text[i] - '0');
        if (port > UINT16_MAX)
            return refuse(source, "the port is above 65535");
    }
    address->port = (uint16_t)port;
    return AFAR_OK;
}

/* [number]:port */
static afar_code
read_bracketed(const struct source *source, const char *text, size_t length, afar__address *address)
{
    const char *close = memchr(text, ']', length);
    struct in6_addr number;
    size_t host_length, port_length;

    if (!close)
        return refuse(source, "[ without ]");
    host_length = (size_t)(close - text) - 1;
    if (host_length >= sizeof address->host)
        return refuse(source, "the host is longer than 255 bytes");
    copy(address->host, text + 1, host_length);
    if (inet_pton(AF_INET6, address->host, &number) != 1)
        return refuse(source, "between [ and ] is no IPv6 address");
    address->ipv6 = true;
    port_length = length - host_length - 2; /* with its ':' */
    if (port_length < 2 || close[1] != ':')
        return refuse_without_port(source, text, host_length + 2);
    return read_port(source, close + 2, port_length - 1, address);
}

static afar_code
read_host(const struct source *source, const char *host, size_t length, afar__address *address)
{
    if (length == 0)
        return refuse(source, "no host; write %sHOST:PORT%s", source->before, source->behind);
    if (length >= sizeof address->host)
        return refuse(source, "the host is longer than 255 bytes");
    for (size_t i = 0; i < length; i++)
        if (!is_letter_or_digit(host[i]) && host[i] != '.' && host[i] != '-' && host[i] != '_')
            return refuse(source, "the host has a character that no host has: \"%.*s\"",
                          (int)length, host);
    copy(address->host, host, length);
    return AFAR_OK;
}

/* host:port or [number]:port, which end at `length`. */
static afar_code
read_host_and_port(const struct source *source, const char *text, size_t length,
                   afar__address *address)
{
    const char *colon = memchr(text, ':', length);
    size_t host_length = colon ? (size_t)(colon - text) : length;
    afar_code code;

    address->kind = AFAR__ADDRESS_TCP;
    if (length > 0 && text[0] == '[')
        return read_bracketed(source, text, length, address);
    if (colon && memchr(colon + 1, ':', length - host_length - 1))
        return refuse(source, "an IPv6 address goes in brackets: [::1]:PORT");
    code = read_host(source, text, host_length, address);
    if (code)
        return code;
    if (!colon || host_length + 1 == length)
        return refuse_without_port(source, text, host_length);
    return read_port(source, colon + 1, length - host_length - 1, address);
}

/* ---- unix sockets and servers of this process ---- */

static afar_code
read_path(const struct source *source, const char *path, size_t length, afar__address *address)
{
    address->kind = AFAR__ADDRESS_UNIX;
    if (length == 0)
        return refuse(source, "no path; write unix:PATH");
    if (length >= sizeof address->path)
        return refuse(source, "the path has %zu bytes; a unix socket's has %zu at most", length,
                      sizeof address->path - 1);
    copy(address->path, path, length);
    return AFAR_OK;
}

static bool
is_directory(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Where the path of a socket ends and the name of an object may begin: behind the
 * first component that is not a directory. */
static size_t
socket_path_length(const char *path)
{
    char part[sizeof((afar__address *)NULL)->path];
    size_t at = 0;

    do {
        while (path[at] == '/')
            at++;
        at += strcspn(path + at, "/");
        if (at >= sizeof part)
            return at;
        copy(part, path, at);
    } while (path[at] && is_directory(part));
    return at;
}

static afar_code
read_unix(const struct source *source, const char *path, afar__address *address)
{
    size_t length = socket_path_length(path);
    afar_code code = read_path(source, path, length, address);

    if (code)
        return code;
    if (is_directory(address->path))
        return refuse(source, "is a directory, not a socket");
    return read_slash_name(source, path + length, address);
}

static afar_code
read_inproc(const struct source *source, const char *server, size_t length, afar__address *address)
{
    address->kind = AFAR__ADDRESS_INPROC;
    if (length == 0)
        return refuse(source, "no server; write inproc:SERVER");
    if (length >= sizeof address->path)
        return refuse(source, "the server's name is longer than %zu bytes",
                      sizeof address->path - 1);
    copy(address->path, server, length);
    for (size_t i = 0; i < length; i++)
        if (!is_name_byte(server[i]) || server[i] == '/')
            return refuse(source, "a server's name has letters, digits and . _ - only");
    return AFAR_OK;
}

/* ---- whole addresses ---- */

static afar_code
read_host_port_name(const struct source *source, const char *rest, afar__address *address)
{
    size_t length = strcspn(rest, "/");
    afar_code code = read_host_and_port(source, rest, length, address);

    if (code)
        return code;
    if (address->port == 0)
        return refuse(source, "port 0 is for listening only");
    return read_slash_name(source, rest + length, address);
}

/* KEY@; what is left is the name. */
static afar_code
read_key(const struct source *source, const char **text, afar__address *address)
{
    const char *at = strchr(*text, '@');

    if (!at)
        return AFAR_OK;
    if (!afar__key_parse(*text, (size_t)(at - *text), address->key))
        return refuse(source, "in front of @ is no key: one has %d letters, digits, - and _",
                      AFAR__KEY_TEXT - 1);
    address->has_key = true;
    *text = at + 1;
    return AFAR_OK;
}

/* Whatever is none of the others; an address with a mistake is likelier than a name
 * with a colon. */
static afar_code
read_plain_name(const struct source *source, const char *text, afar__address *address)
{
    afar_code code;

    address->kind = AFAR__ADDRESS_NAME;
    if (strstr(text, "://"))
        return refuse(source, "addresses begin with afar:// grpc:// unix: or inproc:");
    if (strchr(text, ':'))
        return refuse(source, "a name has no \":\"; an address is written afar://HOST:PORT/NAME");
    code = read_key(source, &text, address);
    return code ? code : read_name(source, text, address);
}

afar_code
afar__address_parse_remote(const char *text, afar__address *ret_address, afar_error *err)
{
    struct source source = { text, err, "afar://", "/NAME" };
    afar__address address = { 0 };
    const char *rest;
    afar_code code;

    if ((rest = after_prefix(text, "afar://"))) {
        code = read_host_port_name(&source, rest, &address);
    } else if ((rest = after_prefix(text, "grpc://"))) {
        source.before = "grpc://";
        address.plain = true;
        code = read_host_port_name(&source, rest, &address);
    } else if ((rest = after_prefix(text, "unix:"))) {
        code = read_unix(&source, rest, &address);
    } else if ((rest = after_prefix(text, "inproc:"))) {
        size_t length = strcspn(rest, "/");

        code = read_inproc(&source, rest, length, &address);
        if (code == AFAR_OK)
            code = read_slash_name(&source, rest + length, &address);
    } else {
        code = read_plain_name(&source, text, &address);
    }
    if (code == AFAR_OK)
        *ret_address = address;
    return code;
}

afar_code
afar__address_parse_listen(const char *text, afar__address *ret_address, afar_error *err)
{
    struct source source = { text, err, "", "" };
    afar__address address = { 0 };
    const char *rest;
    afar_code code;

    if ((rest = after_prefix(text, "unix:")))
        code = read_path(&source, rest, strlen(rest), &address);
    else if ((rest = after_prefix(text, "inproc:")))
        code = read_inproc(&source, rest, strlen(rest), &address);
    else if (strstr(text, "://"))
        code = refuse(&source, "a server listens on HOST:PORT, without %.7s", text);
    else
        code = read_host_and_port(&source, text, strlen(text), &address);
    if (code == AFAR_OK)
        *ret_address = address;
    return code;
}

afar_code
afar__address_parse_endpoint(const char *text, afar__address *ret_address, afar_error *err)
{
    bool plain = after_prefix(text, "grpc://") != NULL;
    const char *rest = plain ? after_prefix(text, "grpc://") : after_prefix(text, "afar://");
    struct source source = { text, err, plain ? "grpc://" : rest ? "afar://" : "", "" };
    afar__address address = { 0 };
    afar_code code;

    if (rest && strchr(rest, '/'))
        return refuse(&source, "an object's name does not belong here");
    if (!rest && strstr(text, "://"))
        return refuse(&source, "write HOST:PORT, afar://HOST:PORT or unix:PATH");
    if (!rest)
        code = afar__address_parse_listen(text, &address, err);
    else
        code = read_host_and_port(&source, rest, strlen(rest), &address);
    address.plain = plain;
    if (code == AFAR_OK && address.kind == AFAR__ADDRESS_TCP && address.port == 0)
        code = refuse(&source, "port 0 is for listening only");
    if (code == AFAR_OK)
        *ret_address = address;
    return code;
}
