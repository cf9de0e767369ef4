/* Throws requests at protoc-gen-afar: it must neither crash, hang nor leak, and what
 * it answers must be a CodeGeneratorResponse.
 *
 * The compiler is built into this program under other names (CMakeLists.txt): its
 * main is plugin_main, and plugin_exit, plugin_calloc, plugin_free, plugin_unpack
 * and plugin_free_unpacked below are what it calls in place of the usual ones.  Its
 * standard streams are memory.  Where the compiler would end the process this
 * program goes on, and frees what a process leaves to the system; where it returns
 * it must have freed everything itself.
 *
 * Built with AFAR_LIBFUZZER it is a target of libFuzzer.  Without, it replays:
 *
 *     request_fuzz FILE...         each recorded request, then cut short and with
 *                                  bits changed, at most MUTATIONS of each kind
 *     request_fuzz --as-is FILE... each request only as it is
 *
 * A request that makes the compiler fail is left in request_fuzz.failed, and its
 * origin is said on standard error.  One thread. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "google/protobuf/compiler/plugin.pb-c.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER
#endif
#ifdef HAS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_message;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_message;

/* Allocations that the compiler holds at a time. */
enum { MOST_BLOCKS = 1 << 20 };

/* Seconds for one request; most take a millisecond. */
enum { MOST_SECONDS = 20 };

int
plugin_main(void);

__attribute__((noreturn)) void
plugin_exit(int status);

void *
plugin_calloc(size_t count, size_t size);

void
plugin_free(void *block);

request_message *
plugin_unpack(ProtobufCAllocator *allocator, size_t length, const uint8_t *data);

void
plugin_free_unpacked(request_message *message, ProtobufCAllocator *allocator);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the compiler holds at the moment. */
static struct {
    void *blocks[MOST_BLOCKS];
    size_t count;
    request_message *request;
    jmp_buf end;
} held;

/* The request at work, for a report. */
static struct {
    const uint8_t *data;
    size_t size;
    char origin[512];
} current;

/* ---- a failure ---- */

/* Writes a line to the process's own standard error, whatever `stderr` is now. */
static void
say(const char *what, const char *more)
{
    static const char name[] = "request_fuzz: ";

    if (write(STDERR_FILENO, name, sizeof name - 1) < 0 ||
        write(STDERR_FILENO, what, strlen(what)) < 0 ||
        write(STDERR_FILENO, more, strlen(more)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        _exit(2);
}

__attribute__((noreturn)) static void
fail(const char *what)
{
    say(what, "");
    abort();
}

/* ---- in place of the compiler's surroundings ---- */

void
plugin_exit(int status)
{
    longjmp(held.end, status + 1);
}

void *
plugin_calloc(size_t count, size_t size)
{
    void *block = calloc(count, size);

    if (block && held.count == MOST_BLOCKS)
        fail("the compiler takes very much memory");
    if (block)
        held.blocks[held.count++] = block;
    return block;
}

void
plugin_free(void *block)
{
    size_t i = held.count;

    if (!block)
        return;
    while (i > 0 && held.blocks[i - 1] != block)
        i--;
    if (i == 0)
        fail("the compiler frees what it does not hold");
    held.blocks[i - 1] = held.blocks[--held.count];
    free(block);
}

request_message *
plugin_unpack(ProtobufCAllocator *allocator, size_t length, const uint8_t *data)
{
    held.request =
        google__protobuf__compiler__code_generator_request__unpack(allocator, length, data);
    return held.request;
}

void
plugin_free_unpacked(request_message *message, ProtobufCAllocator *allocator)
{
    if (message != held.request)
        fail("the compiler frees another request");
    google__protobuf__compiler__code_generator_request__free_unpacked(message, allocator);
    held.request = NULL;
}

/* What the end of a process would do. */
static void
free_held(void)
{
    while (held.count > 0)
        free(held.blocks[--held.count]);
    if (held.request)
        google__protobuf__compiler__code_generator_request__free_unpacked(held.request, NULL);
    held.request = NULL;
}

/* ---- one request ---- */

static void
check_response(const char *data, size_t size)
{
    response_message *response = google__protobuf__compiler__code_generator_response__unpack(
        NULL, size, (const uint8_t *)data);

    if (!response)
        fail("the answer is not a CodeGeneratorResponse");
    if (response->error && response->n_file)
        fail("the answer has an error and files");
    google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
}

/* 0 and an answer, or another exit status and a message. */
static int
run_plugin(void)
{
    int ended = setjmp(held.end);

    if (ended)
        return ended - 1;
    int status = plugin_main();
    if (held.count || held.request)
        fail("the compiler returns with memory still held");
    return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *const streams[] = { stdin, stdout, stderr };
    char *answer = NULL, *message = NULL;
    size_t answer_size = 0, message_size = 0;

    current.data = data;
    current.size = size;
    /* fmemopen wants a size: a NUL behind an empty request makes no difference. */
    FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : fopen("/dev/null", "rb");
    FILE *out = open_memstream(&answer, &answer_size);
    FILE *errors = open_memstream(&message, &message_size);
    if (!in || !out || !errors)
        fail("cannot open streams in memory");
    stdin = in;
    stdout = out;
    stderr = errors;
    int status = run_plugin();
    stdin = streams[0];
    stdout = streams[1];
    stderr = streams[2];
    fclose(in);
    fclose(out);
    fclose(errors);

    if (status == 0)
        check_response(answer, answer_size);
    else if (message_size == 0 || answer_size != 0)
        fail("the compiler refuses a request without saying why, or answers as well");
    free_held();
    free(answer);
    free(message);
    return 0;
}

/* ---- replay ---- */

#ifndef AFAR_LIBFUZZER

/* Mutations of one kind for one recorded request. */
enum { MUTATIONS = 200 };

/* From a signal handler, or while a sanitizer ends the process. */
static void
tell_origin(void)
{
    int file = open("request_fuzz.failed", O_WRONLY | O_CREAT | O_TRUNC, 0666);

    say("see request_fuzz.failed; that was ", current.origin);
    if (file < 0 || write(file, current.data, current.size) != (ssize_t)current.size)
        say("request_fuzz.failed cannot be written", "");
    if (file >= 0)
        close(file);
}

static void
on_signal(int number)
{
    tell_origin();
    signal(number, SIG_DFL);
    raise(number);
}

static void
catch_failures(void)
{
#ifdef HAS_SANITIZER
    __sanitizer_set_death_callback(tell_origin);
#else
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
#endif
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
}

/* Runs a copy of just that size, so that a read behind its end is noticed. */
static void
run_copy(const uint8_t *data, size_t size, size_t flip, unsigned bits)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        fail("out of memory");
    if (size)
        memcpy(copy, data, size);
    if (bits)
        copy[flip] ^= (uint8_t)bits;
    alarm(MOST_SECONDS);
    LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

static void
run_mutations(const char *path, const uint8_t *data, size_t size)
{
    static const unsigned patterns[] = { 0x01, 0x80, 0x08, 0xff, 0x10, 0x02, 0x40, 0x04, 0x20 };
    size_t step = size / MUTATIONS + 1;
    size_t turn = 0;

    for (size_t at = 0; at < size; at += step) {
        snprintf(current.origin, sizeof current.origin, "%s, cut to %zu bytes", path, at);
        run_copy(data, at, 0, 0);
    }
    for (size_t at = 0; at < size; at += step) {
        unsigned bits = patterns[turn++ % (sizeof patterns / sizeof patterns[0])];

        snprintf(current.origin, sizeof current.origin, "%s, byte %zu changed by 0x%02x", path, at,
                 bits);
        run_copy(data, size, at, bits);
    }
}

static uint8_t *
read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t room = 0, n = 0;

    if (!file) {
        perror(path);
        exit(2);
    }
    do {
        *ret_size = room ? *ret_size + n : 0;
        room = *ret_size + 65536;
        data = realloc(data, room);
        if (!data)
            fail("out of memory");
        n = fread(data + *ret_size, 1, room - *ret_size, file);
    } while (n > 0);
    fclose(file);
    return data;
}

int
main(int argc, char **argv)
{
    int as_is = argc > 1 && strcmp(argv[1], "--as-is") == 0;

    if (argc < 2 + as_is) {
        fputs("usage: request_fuzz [--as-is] FILE...\n", stderr);
        return 2;
    }
    catch_failures();
    for (int i = 1 + as_is; i < argc; i++) {
        size_t size;
        uint8_t *data = read_file(argv[i], &size);

        snprintf(current.origin, sizeof current.origin, "%s", argv[i]);
        run_copy(data, size, 0, 0);
        if (!as_is)
            run_mutations(argv[i], data, size);
        free(data);
    }
    printf("%d requests replayed\n", argc - 1 - as_is);
    return 0;
}

#endif
