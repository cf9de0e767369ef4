#ifndef AFAR_RUNTIME_CHANNEL_CODE_H
#define AFAR_RUNTIME_CHANNEL_CODE_H

/* The messages of channel.proto as bytes: ToHome and ToEnd are written into a buffer, one act or word
 * after the other, and read the same way.  The bytes are those of any protobuf.
 *
 * What is said about a message and the message itself are apart here: a step has a parcel, which belongs to
 * whoever runs the board; the payload is a span.
 *
 * Any thread; a buffer or a reader belongs to one. */

#include "runtime/channel/board.h"

#define AFAR__CHANNEL_VERSION 1u
#define AFAR__CHANNEL_CARRIES 512u /* bytes of the name of a message */

typedef struct afar__channel_span {
    const uint8_t *data;
    size_t length;
} afar__channel_span;

typedef struct afar__channel_hello {
    uint32_t version;
    uint8_t process[16];
    const char *carries;
} afar__channel_hello;

typedef struct afar__channel_welcome {
    uint32_t offers;
    uint32_t window_bytes;
    bool buffered;
} afar__channel_welcome;

/* ---- writing ---- */

/* Acts, or words, that are gathered: the first `length` bytes are a ToHome or a ToEnd.  Starts as
 * zeroes. */
typedef struct afar__channel_buffer {
    uint8_t *data;
    size_t length, room;
    size_t last;       /* where the last begins */
    afar__step merged; /* the last, if it is one that others are merged with: kind, number, count */
    bool mergeable;
} afar__channel_buffer;

/* Appends an act or a word.  `payload` is that of an OFFER, a GRANT or a MESSAGE, else ignored.  TAKEN
 * and ACK become part of the last one where that says the same.  A text that is too long, or no
 * UTF-8, is cut.  False, and nothing was added, without memory. */
AFAR_MUST_USE bool
afar__channel_add(afar__channel_buffer *buffer, const afar__step *step, afar__channel_span payload);

AFAR_MUST_USE bool
afar__channel_add_hello(afar__channel_buffer *buffer, const afar__channel_hello *hello);

AFAR_MUST_USE bool
afar__channel_add_welcome(afar__channel_buffer *buffer, const afar__channel_welcome *welcome);

/* Where what was appended can be cut into two messages that say the same: behind the act or word that the middle is
 * in, or before it if that is the last.  `length` if there is one only. */
size_t
afar__channel_middle(const uint8_t *data, size_t length);

/* Takes all out and keeps the memory. */
void
afar__channel_buffer_clear(afar__channel_buffer *buffer);

/* Takes all out and frees the memory. */
void
afar__channel_buffer_free(afar__channel_buffer *buffer);

/* ---- reading ---- */

typedef enum afar__channel_kind {
    AFAR__CHANNEL_STEP,
    AFAR__CHANNEL_HELLO,
    AFAR__CHANNEL_WELCOME
} afar__channel_kind;

/* One act or word.  Spans lie in what is read; texts are the reader's, until it reads on. */
typedef struct afar__channel_said {
    afar__channel_kind kind;
    afar__step step; /* without a parcel; `bytes` is the length of the payload */
    afar__channel_span payload;
    union {
        afar__channel_hello hello;
        afar__channel_welcome welcome;
    };
} afar__channel_said;

typedef struct afar__channel_reader {
    const uint8_t *at, *end;
    bool words;
    char text[AFAR__CHANNEL_REASON + 1];
} afar__channel_reader;

/* Starts reading a ToHome, or, with `words`, a ToEnd. */
void
afar__channel_reader_init(afar__channel_reader *reader, bool words, const uint8_t *data,
                          size_t length);

/* Reads the next.  ENDED, and nothing in `err`, when there is none left; INVALID_ARGUMENT, with a text
 * that says what is wrong, for anything that channel.proto does not have; then the reader is at its end.
 * Rules about what came before are not looked at here: that there is one Hello, which numbers are in
 * use, and whose version it is. */
AFAR_MUST_USE afar_code
afar__channel_read(afar__channel_reader *reader, afar__channel_said *ret_said, afar_error *err);

#endif
