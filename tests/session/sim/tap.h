#ifndef SIM_TAP_H
#define SIM_TAP_H

/* A tap on the wire between two sessions: sees each frame when it is sent and
 * when it arrives, and knows from that alone what either side may send.  It is
 * written from session.proto, reads with protobuf-c, and shares nothing with
 * the code it watches. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/session.pb-c.h>

typedef Afar__Session__V1__Frame sim_frame;

#define FRAME(kind) AFAR__SESSION__V1__FRAME__KIND_##kind

struct tap_call;
struct tap_export;

/* What is known of one side. */
struct tap_side {
    bool hello_sent;
    bool hello_arrived;               /* the peer's, here */
    Afar__Session__V1__Limits limits; /* its own, with the defaults filled in */
    uint32_t methods;                 /* numbers that it gave */
    struct tap_call *calls;           /* its questions, by id */
    size_t call_slots;
    uint32_t open;              /* ids of its calls that are not free */
    uint64_t calls_sent;        /* by it */
    uint64_t calls_read;        /* and of those, by the peer */
    int64_t credit;             /* of the session: what it may still send */
    uint64_t read;              /* what the payloads cost that the peer has read */
    uint64_t given;             /* credit of the session that the peer gave back */
    struct tap_export *exports; /* its own, by id */
    size_t export_slots;
    bool ping_open; /* its own */
    bool pong_due;  /* for the peer's */
    uint64_t ping;
    bool goodbye; /* it has sent one */
    bool gone;    /* with a reason: nothing may follow */
    uint64_t last_call;
    uint32_t unknown_due; /* frames that it has to answer with Unknown */
};

struct tap {
    struct tap_side sides[2];
    uint64_t frames;
    char wrong[256]; /* the first broken rule, or "" */
};

void
tap_open(struct tap *tap);

void
tap_close(struct tap *tap);

/* `from` puts the frame on the wire. */
void
tap_sent(struct tap *tap, int from, const sim_frame *frame);

/* It is read at the other end. */
void
tap_arrived(struct tap *tap, int from, const sim_frame *frame);

/* Whether a Cancel of that call has arrived, and its Return was not sent. */
bool
tap_cancelled(struct tap *tap, int caller, uint32_t id);

/* An export of `owner` of which a reference is on its way, and none has arrived that the peer
 * still has; 0 if there is none. */
uint32_t
tap_on_its_way(const struct tap *tap, int owner);

/* An export of `owner`, another than `id`, that the peer has; 0 if there is none. */
uint32_t
tap_other_export(const struct tap *tap, int owner, uint32_t id);

/* References to exports of `owner` that were given out and not released, when
 * nothing is on its way. */
uint64_t
tap_references(const struct tap *tap, int owner);

#endif
