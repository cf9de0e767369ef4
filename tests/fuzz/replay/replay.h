#ifndef TESTS_FUZZ_REPLAY_H
#define TESTS_FUZZ_REPLAY_H

/* Replays inputs of a target of libFuzzer where there is none: the program has a `main` from here unless it is
 * built with AFAR_LIBFUZZER.
 *
 *     PROGRAM FILE...     each input, then cut at every byte and changed many times, the same
 *                         way each time */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The target's. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

typedef struct replay {
    const char *name;
    unsigned changes; /* of each input */
    size_t fixed;     /* bytes at its beginning that stay */
    bool repeats;     /* parts of it, too */
} replay;

extern const replay replay_how;

/* Ends the program, as a crash would. */
_Noreturn void
replay_fail(const char *what);

static inline void
require(bool condition, const char *what)
{
    if (!condition)
        replay_fail(what);
}

#endif
