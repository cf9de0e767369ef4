#ifndef AFAR_RUNTIME_SESSION_FRAME_H
#define AFAR_RUNTIME_SESSION_FRAME_H

/* Frames of sessions: the messages of afar/session.proto as structs, read from bytes and
 * written to bytes.  session.proto says what they mean.
 *
 * A struct borrows all bytes it points to: one that was read, from the batch it was read
 * from.  Nothing is allocated for it and nothing is to be freed; a copy of a struct
 * is a copy.  A member that is not there is 0, or has the length 0.
 *
 * What a session must remember to judge (is the id in use? is there credit?) is not looked
 * at here; all that a frame alone can get wrong is.  Any thread, one reader or batch on
 * one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

enum {
    AFAR__FRAME_MAX_BATCH = 1 << 20, /* bytes, unless it is one frame */
    AFAR__FRAME_MAX_CHAIN = 16,
    AFAR__FRAME_MAX_PATH = 16, /* numbers of fields */
    AFAR__FRAME_MAX_FEATURES = 64,
    AFAR__FRAME_MAX_METHOD = 512,        /* bytes of a method's path */
    AFAR__FRAME_MAX_METADATA = 8 * 1024, /* bytes: keys, values, and PAIR_COST of each pair */
    AFAR__FRAME_PAIR_COST = 32,
    AFAR__FRAME_MAX_REFERENCES = 4096,
    AFAR__FRAME_MAX_REST = 1 << 20, /* bytes of a frame, without its payload */
    AFAR__FRAME_INSTANCE = 16,      /* bytes of an instance and of a host */
    AFAR__FRAME_KEY = 32            /* bytes of a key */
};

/* Strings as well: UTF-8 without a zero byte, and none behind them. */
typedef struct afar__bytes {
    const uint8_t *data;
    size_t length;
} afar__bytes;

/* A repeated member.  One that was read is walked through with the function below for what
 * it has.  One that is to be written is `{ .count = n, .items = array }`, and can be walked
 * through as well; one that was read can be written. */
typedef struct afar__list {
    size_t count;
    const void *items; /* an array of the type that the member's comment names, or NULL: */
    afar__bytes wire;  /* the message that it is a member of */
    uint32_t number;   /* of its field */
} afar__list;

typedef struct afar__pair {
    afar__bytes key; /* a string */
    afar__bytes value;
} afar__pair;

/* ---- whom, and what for ---- */

typedef enum afar__callee_kind {
    AFAR__CALLEE_EXPORT = 1,
    AFAR__CALLEE_PROMISED = 2,
    AFAR__CALLEE_NAME = 3
} afar__callee_kind;

typedef struct afar__promised {
    uint32_t call;
    uint32_t n_path;
    uint32_t path[AFAR__FRAME_MAX_PATH];
} afar__promised;

/* The message Target. */
typedef struct afar__callee {
    uint32_t kind; /* an afar__callee_kind, always one of the three after reading */
    union {
        uint32_t export;
        afar__promised promised;
        afar__bytes name; /* a string */
    };
} afar__callee;

typedef enum afar__reference_kind {
    AFAR__REFERENCE_HOSTED = 1,
    AFAR__REFERENCE_YOURS = 2,
    AFAR__REFERENCE_ADDRESS = 3
} afar__reference_kind;

/* The message Address. */
typedef struct afar__elsewhere {
    afar__bytes address; /* a string */
    afar__bytes name;    /* a string */
    afar__bytes instance;
    afar__bytes key;
} afar__elsewhere;

typedef struct afar__hosted {
    uint32_t id;
    afar__elsewhere where; /* without an address: nowhere */
} afar__hosted;

typedef struct afar__reference {
    uint32_t kind; /* an afar__reference_kind, always one of the three after reading */
    union {
        afar__hosted hosted;
        uint32_t yours;
        afar__elsewhere address;
    };
    afar__bytes interface; /* a string */
} afar__reference;

/* ---- the kinds of frame, with the numbers of their fields ---- */

typedef enum afar__frame_kind {
    AFAR__FRAME_NONE = 0, /* one that is not in this list; only read */
    AFAR__FRAME_HELLO = 1,
    AFAR__FRAME_CALL = 2,
    AFAR__FRAME_RETURN = 3,
    AFAR__FRAME_CANCEL = 4,
    AFAR__FRAME_FINISH = 5,
    AFAR__FRAME_ITEM = 6,
    AFAR__FRAME_END = 7,
    AFAR__FRAME_RELEASE = 8,
    AFAR__FRAME_CREDIT = 9,
    AFAR__FRAME_PING = 10,
    AFAR__FRAME_PONG = 11,
    AFAR__FRAME_GOODBYE = 12,
    AFAR__FRAME_UNKNOWN = 13,
    AFAR__FRAME_METHOD = 14
} afar__frame_kind;

typedef struct afar__limits {
    uint32_t calls;
    uint32_t references;
    uint32_t message_bytes;
    uint32_t window_bytes;
    uint32_t session_bytes;
    uint32_t methods;
    uint32_t idle_ms;
    uint32_t dead_ms;
} afar__limits;

typedef struct afar__frame_hello {
    uint32_t lowest, highest;
    afar__bytes instance; /* of AFAR__FRAME_INSTANCE bytes */
    afar__bytes host;     /* the same, or empty */
    afar__limits limits;  /* as sent: 0 where the default is meant */
    uint32_t n_features;
    uint32_t features[AFAR__FRAME_MAX_FEATURES];
} afar__frame_hello;

typedef struct afar__frame_call {
    uint32_t id;
    uint32_t method;
    uint64_t timeout_us;
    bool keep;
    bool oneway;
    afar__callee target;
    afar__list metadata; /* of afar__pair */
    afar__bytes payload;
    afar__list references; /* of afar__reference */
    uint32_t n_chain;
    uint64_t chain[AFAR__FRAME_MAX_CHAIN];
} afar__frame_call;

typedef struct afar__frame_return {
    uint32_t call;
    uint32_t code;
    bool not_begun;
    afar__bytes text; /* a string */
    afar__bytes details;
    afar__list initial;  /* of afar__pair */
    afar__list trailing; /* of afar__pair */
    afar__bytes payload;
    afar__list references; /* of afar__reference */
} afar__frame_return;

typedef struct afar__frame_item {
    uint32_t call;
    bool to_caller;
    afar__bytes payload;
    afar__list references; /* of afar__reference */
    afar__list initial;    /* of afar__pair */
} afar__frame_item;

typedef struct afar__frame_release {
    uint32_t export;
    uint32_t count;
} afar__frame_release;

typedef struct afar__frame_credit {
    uint32_t call;
    uint32_t bytes;
    bool to_caller;
} afar__frame_credit;

/* The same numbers as afar.session.v1.Goodbye.Reason. */
typedef enum afar__goodbye_reason {
    AFAR__GOODBYE_NONE = 0,
    AFAR__GOODBYE_PROTOCOL = 1,
    AFAR__GOODBYE_VERSION = 2,
    AFAR__GOODBYE_LIMIT = 3,
    AFAR__GOODBYE_SILENCE = 4
} afar__goodbye_reason;

typedef struct afar__frame_goodbye {
    uint32_t reason;  /* an afar__goodbye_reason, or a number that is newer than this file */
    afar__bytes text; /* a string */
    uint64_t last_call;
} afar__frame_goodbye;

typedef struct afar__frame_method {
    uint32_t number;
    afar__bytes path; /* a string */
} afar__frame_method;

typedef struct afar__frame {
    uint32_t kind;   /* an afar__frame_kind: which member of the union it is */
    uint32_t number; /* when read: of the field that says the kind; 0 if there is none */
    bool may_ignore;
    afar__bytes wire; /* when read: its bytes; a copy of them is a batch of this one frame */
    size_t length;    /* when read: of the message that is its kind, as credit counts it */
    union {
        afar__frame_hello hello;
        afar__frame_call call;
        afar__frame_return returned;
        uint32_t cancel; /* the call */
        uint32_t finish; /* the call */
        afar__frame_item item;
        uint32_t end; /* the call */
        afar__frame_release release;
        afar__frame_credit credit;
        uint64_t ping; /* the number */
        uint64_t pong; /* the number */
        afar__frame_goodbye goodbye;
        uint32_t unknown; /* the kind */
        afar__frame_method method;
    };
} afar__frame;

/* The name of a kind in session.proto, "Call"; "frame" if it is none.  Static. */
const char *
afar__frame_name(uint32_t kind);

/* ---- reading ---- */

/* The frames of a batch that are still to be read. */
typedef struct afar__frame_reader {
    const uint8_t *at, *end;
    size_t length; /* of the batch */
    size_t read;   /* frames */
} afar__frame_reader;

/* Starts reading a batch, which must stay as long as what is read from it is used. */
void
afar__frame_reader_init(afar__frame_reader *reader, const void *batch, size_t length);

/* Reads the next frame.  ENDED, and nothing in `err`, when there is none left.  INTERNAL when
 * the bytes break a rule: the message names it, as a Goodbye's text should; the reader is at its
 * end and `*ret_frame` is not to be used.
 *
 * Fields that this file does not know are skipped.  If a member comes twice the last counts,
 * but a message twice, or two members of a oneof, is a broken rule. */
AFAR_MUST_USE afar_code
afar__frame_read(afar__frame_reader *reader, afar__frame *ret_frame, afar_error *err);

/* Take the first of a list away from it; false when it is empty.  They cannot fail: a list
 * that was read is known to be good. */
bool
afar__list_next_pair(afar__list *list, afar__pair *ret_pair);

bool
afar__list_next_reference(afar__list *list, afar__reference *ret_reference);

/* ---- writing ---- */

/* What reading the frame would say of its contents; INVALID_ARGUMENT.  For frames with parts
 * that come from the program: a text that is not UTF-8 would end the session.  `ret_length` may be
 * NULL: what afar__frame_length says, for nothing more. */
AFAR_MUST_USE afar_code
afar__frame_check(const afar__frame *frame, size_t *ret_length, afar_error *err);

/* How much a batch grows by the frame. */
size_t
afar__frame_size(const afar__frame *frame);

/* The same, when the length below is known. */
size_t
afar__frame_size_of(const afar__frame *frame, size_t length);

/* The length of the message that is its kind, as credit counts it. */
size_t
afar__frame_length(const afar__frame *frame);

/* Frames to be sent.  Starts as zeroes; ends with `free`. */
typedef struct afar__batch {
    uint8_t *bytes; /* all but the gaps */
    size_t used, room;
    struct afar__batch_gap *gaps; /* payloads that were not copied, in their order */
    size_t n_gaps, gap_room;
    size_t length; /* of the whole batch */
    size_t frames;
} afar__batch;

/* A payload longer than this is not copied into a batch: it must stay, unchanged, until the
 * batch was written, then cleared or freed. */
#define AFAR__BATCH_COPY 1024

/* Adds a frame, whose kind is not NONE.  False, with the batch as it was, when out of memory.
 * The caller keeps to AFAR__FRAME_MAX_BATCH, with afar__frame_size. */
AFAR_MUST_USE bool
afar__batch_add(afar__batch *batch, const afar__frame *frame);

/* The same, when its afar__frame_length is known. */
AFAR_MUST_USE bool
afar__batch_add_of(afar__batch *batch, const afar__frame *frame, size_t length);

/* Where afar__batch_next is; starts as zeroes. */
typedef struct afar__batch_place {
    size_t byte, gap;
} afar__batch_place;

/* The next piece of the batch, never empty; the pieces, one behind the other, are its bytes.
 * False when there is none left.  Valid until the batch changes. */
bool
afar__batch_next(const afar__batch *batch, afar__batch_place *place, afar__bytes *ret_piece);

/* Takes all frames out and keeps the memory. */
void
afar__batch_clear(afar__batch *batch);

/* Takes all frames out and frees the memory. */
void
afar__batch_free(afar__batch *batch);

#endif
