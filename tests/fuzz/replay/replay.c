#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
replay_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", replay_how.name, what);
    abort();
}

#ifndef AFAR_LIBFUZZER

#define MOST_BYTES 65536

/* Runs an input from a block of its own, so that reading beyond it is seen. */
static void
run(const uint8_t *data, size_t length)
{
    uint8_t *exact = malloc(length > 0 ? length : 1);

    require(exact != NULL, "out of memory");
    memcpy(exact, data, length);
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
}

static uint32_t
next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static size_t
any_byte(size_t length, uint32_t *state)
{
    return replay_how.fixed + next(state) % (length - replay_how.fixed);
}

/* Says a part of it twice; there is room.  Returns the new length. */
static size_t
repeat(uint8_t *data, size_t length, uint32_t *state)
{
    size_t from = any_byte(length, state), to = from + next(state) % (length - from);

    memmove(data + to + (to - from), data + to, length - to);
    memcpy(data + to, data + from, to - from);
    return length + (to - from);
}

/* Changes a byte, or a byte and a bit. */
static void
run_changed(const uint8_t *data, size_t length, uint32_t *state)
{
    uint8_t *changed = malloc(2 * length + 1);

    require(changed != NULL, "out of memory");
    memcpy(changed, data, length);
    changed[any_byte(length, state)] = (uint8_t)next(state);
    if (next(state) % 2)
        changed[any_byte(length, state)] ^= (uint8_t)(1u << next(state) % 8);
    if (replay_how.repeats && next(state) % 2)
        length = repeat(changed, length, state);
    run(changed, length);
    free(changed);
}

static void
replay_file(const char *path)
{
    static uint8_t data[MOST_BYTES];
    FILE *file = fopen(path, "rb");
    uint32_t state = 1;
    size_t length;

    require(file != NULL, path);
    length = fread(data, 1, sizeof data, file);
    fclose(file);
    require(length > replay_how.fixed, path);
    for (size_t cut = 0; cut <= length; cut++)
        run(data, cut);
    for (unsigned i = 0; i < replay_how.changes; i++)
        run_changed(data, length, &state);
}

int
main(int argc, char **argv)
{
    require(argc > 1, "no input");
    for (int i = 1; i < argc; i++)
        replay_file(argv[i]);
    printf("%d inputs\n", argc - 1);
    return EXIT_SUCCESS;
}

#endif
