#ifndef AFAR_ERROR_H
#define AFAR_ERROR_H

/* What went wrong.  Every function that can fail returns an afar_code and takes
 * an `afar_error *err` as its last parameter, which may be NULL.  Branch on the
 * code; the struct is for the person who reads the message and for typed
 * details.  It is written on failure only and results are written on success
 * only.  An afar_error belongs to one thread at a time.
 *
 * Codes 0 to 16 are gRPC's, with gRPC's numbers and meanings (grpc,
 * doc/statuscodes.md).  From 100 on they say what gRPC cannot; on the wire such
 * a code travels as the gRPC status that afar_code_status names, and between
 * two Afar programs it arrives as itself. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/api.h>

AFAR_BEGIN

typedef enum afar_code {
    AFAR_OK = 0,
    AFAR_CANCELLED = 1,            /* the caller gave up, or the thing was closed */
    AFAR_UNKNOWN = 2,              /* the peer failed without saying how */
    AFAR_INVALID_ARGUMENT = 3,     /* wrong whatever the state; do not repeat */
    AFAR_DEADLINE_EXCEEDED = 4,    /* time ran out; it may have happened all the same */
    AFAR_NOT_FOUND = 5,            /* no such thing */
    AFAR_ALREADY_EXISTS = 6,       /* there is one already */
    AFAR_PERMISSION_DENIED = 7,    /* we know who you are, and no */
    AFAR_RESOURCE_EXHAUSTED = 8,   /* a limit was reached; the message names it */
    AFAR_FAILED_PRECONDITION = 9,  /* not in this state; repair it first */
    AFAR_ABORTED = 10,             /* lost a race; start the whole thing again */
    AFAR_OUT_OF_RANGE = 11,        /* past the end */
    AFAR_UNIMPLEMENTED = 12,       /* nobody serves that method */
    AFAR_INTERNAL = 13,            /* a bug, or bytes that make no sense */
    AFAR_UNAVAILABLE = 14,         /* not reachable now; try again later */
    AFAR_DATA_LOSS = 15,           /* it is gone */
    AFAR_UNAUTHENTICATED = 16,     /* we do not know who you are */

    AFAR_DEADLOCK = 100,           /* the call would wait for itself */
    AFAR_ENDED = 101,              /* the other side finished; nothing more will come */
    AFAR_POISONED = 102,           /* ended at once, by intent */
    AFAR_LOST = 103,               /* the peer died or the link broke */
    AFAR_MOVED = 104               /* another process than the one meant is at that
                                      address; nothing was done */
} afar_code;

/* What is known about a failed call: may it be repeated without harm? */
typedef enum afar_outcome {
    AFAR_OUTCOME_NOT_SENT = 0,     /* it never left; the peer did nothing */
    AFAR_OUTCOME_UNKNOWN = 1,      /* it left, and no answer came */
    AFAR_OUTCOME_ANSWERED = 2      /* the peer's own answer */
} afar_outcome;

typedef struct afar_error {
    afar_code code;
    afar_outcome outcome;
    bool remote;                   /* true: the peer said so; false: found on this side */
    char message[256];             /* one line for a person, always terminated */
    struct afar_details *details;  /* private: read with afar_error_detail */
    void *reserved[4];
} afar_error;

/* Every afar_error starts as this. */
#define AFAR_ERROR_INIT { AFAR_OK, AFAR_OUTCOME_NOT_SENT, false, "", NULL, { NULL, NULL, NULL, NULL } }

/* Releases what the error holds and makes it AFAR_ERROR_INIT again; NULL is
 * allowed.  An error that was never filled needs no clearing. */
AFAR_API void
afar_error_clear(afar_error *err);

/* Makes `to` equal to `from`; what `to` held is released first. */
AFAR_API void
afar_error_copy(afar_error *to, const afar_error *from);

/* Moves `from` into `to` and leaves `from` cleared; what `to` held is released. */
AFAR_API void
afar_error_move(afar_error *to, afar_error *from);

/* Fills `err` (cleared first, may be NULL) with a code other than AFAR_OK and a
 * one-line message, outcome NOT_SENT, local; returns the code, so that a
 * function can `return afar_fail(...)`.  A message that is too long is cut at a
 * character.  Line breaks become spaces. */
AFAR_API AFAR_PRINTF(3, 4) afar_code
afar_fail(afar_error *err, afar_code code, const char *format, ...);

/* The name of a code, "NOT_FOUND"; "CODE_17" style for unknown numbers is never
 * returned: they are "UNKNOWN".  Static storage. */
AFAR_API const char *
afar_code_name(afar_code code);

/* The gRPC status (0 to 16) that a code travels as: itself up to 16; DEADLOCK as
 * ABORTED, ENDED as OUT_OF_RANGE, POISONED as ABORTED, LOST and MOVED as UNAVAILABLE;
 * anything else as UNKNOWN. */
AFAR_API afar_code
afar_code_status(afar_code code);

/* ---- typed details: google.rpc.Status, as every gRPC language carries them ---- */

/* One detail: a message of the type `type` ("bank.DepositRefused", without a
 * prefix), as protobuf bytes.  Borrowed from the error. */
typedef struct afar_detail {
    const char *type;
    const uint8_t *data;
    size_t length;
} afar_detail;

/* The number of details an error carries. */
AFAR_API size_t
afar_error_detail_count(const afar_error *err);

/* The detail with that index; the pointers live until the error changes. */
AFAR_API afar_detail
afar_error_detail(const afar_error *err, size_t index);

/* Adds a detail to an error that was filled before; the bytes are copied.
 * RESOURCE_EXHAUSTED over 6 KiB in all, since details travel as metadata. */
AFAR_API afar_code
afar_error_add_detail(afar_error *err, const char *type, const void *data, size_t length);

AFAR_END

#endif
