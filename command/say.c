/* Messages and exit codes.  One thread: the program's first.
 *
 * A message is one line with the command in front, whatever is in it: texts of peers
 * lose their control characters here. */

#include "command/say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *speaker = "";

void
complain_as(const char *path)
{
    speaker = path;
}

const char *
complaining(void)
{
    return speaker;
}

void
complain(const char *format, ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(stderr, "afar%s%s: ", *speaker ? " " : "", speaker);
    print_clean(stderr, text);
    fputc('\n', stderr);
}

const char *
without_target(const char *message, const char *target)
{
    size_t length = strlen(target);
    bool begins = !strncmp(message, target, length) && !strncmp(message + length, ": ", 2);

    return begins ? message + length + 2 : message;
}

int
exit_code_of(afar_code code)
{
    switch (code) {
    case AFAR_OK:
        return EXIT_DONE;
    case AFAR_NOT_FOUND:
    case AFAR_ALREADY_EXISTS:
    case AFAR_PERMISSION_DENIED:
    case AFAR_FAILED_PRECONDITION:
    case AFAR_UNAUTHENTICATED:
    case AFAR_ENDED:
    case AFAR_POISONED:
        return EXIT_NO;
    case AFAR_INVALID_ARGUMENT:
        return EXIT_USAGE;
    case AFAR_UNAVAILABLE:
    case AFAR_DEADLINE_EXCEEDED:
    case AFAR_LOST:
    case AFAR_MOVED:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_OTHER;
    }
}

int
complain_error(afar_error *err)
{
    int code = exit_code_of(err->code);

    complain("%s", err->message);
    afar_error_clear(err);
    return code;
}

/* Control characters of ASCII, and those of Latin-1 as UTF-8 writes them: a terminal
 * obeys both. */
static bool
is_control(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    unsigned char second = (unsigned char)text[1];

    return first < 0x20 || first == 0x7f || (first == 0xc2 && second >= 0x80 && second < 0xa0);
}

void
print_clean(FILE *out, const char *text)
{
    for (; *text; text++) {
        bool control = is_control(text);

        fputc(control ? '?' : *text, out);
        if (control && *text == '\xc2')
            text++;
    }
}

void
print_hex(const uint8_t *bytes, size_t length, char *text)
{
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * length] = 0;
}

void
out_of_memory(void)
{
    complain("out of memory");
    exit(EXIT_OTHER);
}

static void *
or_exit(void *memory)
{
    if (!memory)
        out_of_memory();
    return memory;
}

void *
must_alloc(size_t size)
{
    return or_exit(calloc(1, size ? size : 1));
}

void *
must_realloc(void *memory, size_t count, size_t size)
{
    return or_exit(reallocarray(memory, count, size));
}

char *
must_copy(const char *text)
{
    return or_exit(strdup(text));
}
