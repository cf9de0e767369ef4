#ifndef AFAR_CLIENT_PINS_H
#define AFAR_CLIENT_PINS_H

/* Names and the keys they are pinned to, and how a file of them is read.  The owner has
 * a lock. */

#include <stdbool.h>
#include <stddef.h>

#include <afar/error.h>

#include "client/table.h"
#include "runtime/secure.h"

typedef struct afar__pin {
    afar__row row;
    uint8_t key[AFAR__PUBLIC_BYTES];
    size_t line; /* in the file, from 1 */
    char name[];
} afar__pin;

/* Begins as { 0 }. */
typedef struct afar__pins {
    afar__table table;
    size_t lines;   /* of the file that was read */
    bool open_line; /* its last line has no end */
} afar__pins;

/* The pin of a name, or NULL. */
const afar__pin *
afar__pins_find(const afar__pins *pins, const char *name);

afar_code
afar__pins_add(afar__pins *pins, const char *name, const uint8_t key[AFAR__PUBLIC_BYTES],
               size_t line, afar_error *err);

/* Makes it { 0 } again. */
void
afar__pins_clear(afar__pins *pins);

/* Replaces the pins by what is in a file.  `text` has `length` bytes and a 0 behind them,
 * and is taken apart where it is; `path` is for messages.  FAILED_PRECONDITION for a line
 * that cannot be read; the pins are then as they were. */
afar_code
afar__pins_read(afar__pins *pins, const char *path, char *text, size_t length, afar_error *err);

/* The last `room` bytes of a path, for messages: the end of a long one says more than its
 * beginning. */
const char *
afar__path_tail(const char *path, size_t room);

#endif
