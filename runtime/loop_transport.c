/* Transports between two users in one process.
 *
 * A batch is handed over when its receiver asks for it: there is no buffer in between, so
 * `received` at one end and `sent` at the other come from one event.  Where the two ends
 * disagree on how it ends, the first one wins.
 *
 * Whatever an end does is noted under the lock of the loop; if that makes something
 * possible, the loop's tag is posted, and the event then tells it: `step_locked` finds the
 * next thing to be told and changes the state as if it were told already, and the lock is let
 * go of for the telling.  All of that is on the thread that polls, one at a time, so the order is
 * the one in which the steps were found.  The sides take turns: one that always has something
 * to send does not keep the other from being told.
 *
 * The loop is kept by its ends until they are freed, by its tag while that is posted, and by
 * its timer while that is set. */

#include "runtime/loop_transport.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/core.h"
#include "runtime/engine.h"
#include "runtime/fail.h"
#include "runtime/node.h"
#include "runtime/timer.h"

/* Told in one event; then others have their turn. */
#define MOST_STEPS 16

struct side {
    afar__transport base;
    struct loop *loop;
    struct side *peer;
    /* guarded by loop->lock */
    bool started, asked, stalled, freed;
    bool sending;  /* `data` waits for the peer */
    bool sent;     /* and it went; that is not told yet */
    bool closing;  /* nothing more is told than the end */
    bool aborted;  /* by its user */
    bool over;     /* told */
    uint8_t *data; /* a batch on its way, ours until it is there */
    size_t length;
    int64_t ready; /* when it has taken its time; 0: that is not known yet */
};

struct loop {
    struct side sides[2];
    afar_node *node;
    afar__tag tag;
    afar__timer timer;
    afar__loop_faults faults;

    pthread_mutex_t lock; /* guards what follows */
    unsigned refs;
    bool posted;
    bool timed;       /* the timer is set */
    bool telling;     /* the event is at work, and looks again by itself */
    bool background;  /* is counted */
    bool broken;      /* the connection */
    bool turn;        /* of the side that is looked at first */
    size_t carried;   /* bytes */
    uint64_t chances; /* the state of the random numbers */
};

/* What is to be told. */
enum act { NOTHING, RECEIVED, SENT, OVER };

struct step {
    enum act act;
    struct side *side;
    uint8_t *data; /* RECEIVED: to be freed then */
    size_t length;
    afar_error why; /* OVER */
};

static struct side *
side_of(afar__transport *transport)
{
    return (struct side *)transport;
}

/* ---- life ---- */

/* Unlocks. */
static void
unref_locked(struct loop *loop)
{
    bool last = --loop->refs == 0;

    pthread_mutex_unlock(&loop->lock);
    if (!last)
        return;
    for (int i = 0; i < 2; i++)
        free(loop->sides[i].data);
    pthread_mutex_destroy(&loop->lock);
    afar_node_close(loop->node);
    free(loop);
}

static bool
is_left(const struct side *side)
{
    return side->over || (side->freed && !side->started);
}

/* When both ends are over nothing can come any more. */
static void
rest_locked(struct loop *loop)
{
    if (!is_left(&loop->sides[0]) || !is_left(&loop->sides[1]))
        return;
    if (loop->timed && afar__timer_clear(&loop->timer)) {
        loop->timed = false;
        loop->refs--; /* not the last: a caller is here */
    }
    if (loop->background) {
        loop->background = false;
        afar__engine_background_end();
    }
}

static void
post_locked(struct loop *loop)
{
    if (loop->posted || loop->telling)
        return;
    loop->posted = true;
    loop->refs++;
    afar__core_post(&loop->tag, true);
}

/* ---- faults ---- */

static uint64_t
chance_locked(struct loop *loop)
{
    uint64_t z = (loop->chances += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Whether the batch of that side has taken its time; if not, the timer is set. */
static bool
has_come_locked(struct loop *loop, struct side *from)
{
    if (loop->faults.delay <= 0)
        return true;
    if (from->ready == 0)
        from->ready =
            afar__now() + (int64_t)(chance_locked(loop) % (uint64_t)(loop->faults.delay + 1));
    if (from->ready <= afar__now())
        return true;
    if (!loop->timed) {
        loop->timed = true;
        loop->refs++;
        afar__timer_set(&loop->timer, from->ready);
    }
    return false;
}

/* ---- what is told ---- */

static const char *
name_of(const struct side *side)
{
    return side->base.peer.address;
}

/* Whether it is over for that side, and why. */
static bool
is_over_locked(const struct side *side, afar_error *ret_why)
{
    const struct side *peer = side->peer;

    if (side->aborted)
        afar_fail(ret_why, AFAR_CANCELLED, "%s: the session was closed here", name_of(side));
    else if (peer->aborted || (peer->freed && !peer->started))
        afar__fail_outcome(ret_why, AFAR_UNAVAILABLE, AFAR_OUTCOME_UNKNOWN, false,
                           "%s: the peer gave the session up", name_of(side));
    else if (side->loop->broken)
        afar__fail_outcome(ret_why, AFAR_UNAVAILABLE, AFAR_OUTCOME_UNKNOWN, false,
                           "%s: the connection broke", name_of(side));
    else
        return (side->closing && !side->sending) || (peer->closing && !peer->sending);
    return true;
}

/* Moves what `from` sends to its peer.  One that closes drops what comes. */
static bool
hand_over_locked(struct loop *loop, struct side *from, struct step *ret_step)
{
    struct side *to = from->peer;

    if (!from->sending || !to->started || to->stalled || (!to->asked && !to->closing) ||
        !has_come_locked(loop, from))
        return false;
    *ret_step =
        (struct step){ .act = RECEIVED, .side = to, .data = from->data, .length = from->length };
    from->sending = false;
    from->sent = true;
    from->data = NULL;
    from->ready = 0;
    loop->carried += ret_step->length;
    if (loop->faults.cut_after > 0 && loop->carried > loop->faults.cut_after)
        loop->broken = true;
    if (loop->broken || to->closing) {
        free(ret_step->data);
        ret_step->data = NULL;
        ret_step->act = NOTHING;
        return true;
    }
    to->asked = false;
    if (loop->faults.truncate > 0 && ret_step->length > 0 &&
        chance_locked(loop) % loop->faults.truncate == 0)
        ret_step->length = (size_t)(chance_locked(loop) % ret_step->length);
    return true;
}

/* The next thing for that side.  False if there is none. */
static bool
step_locked(struct loop *loop, struct side *side, struct step *ret_step)
{
    if (!side->started || side->over)
        return false;
    if (side->sent && !side->closing && !loop->broken) {
        side->sent = false;
        *ret_step = (struct step){ .act = SENT, .side = side };
        return true;
    }
    if (is_over_locked(side, &ret_step->why)) {
        side->over = true;
        side->sending = false;
        free(side->data);
        side->data = NULL;
        ret_step->act = OVER;
        ret_step->side = side;
        return true;
    }
    return hand_over_locked(loop, side, ret_step);
}

static void
tell(struct step *step)
{
    afar__transport *transport = &step->side->base;

    if (step->act == RECEIVED)
        transport->user->received(transport->arg, step->data, step->length);
    else if (step->act == SENT)
        transport->user->sent(transport->arg);
    else if (step->act == OVER)
        transport->user->over(transport->arg, &step->why);
    free(step->data);
    afar_error_clear(&step->why);
}

/* With the lock, which is let go of for each telling. */
static void
tell_all_locked(struct loop *loop)
{
    unsigned steps = 0;
    bool more = true;

    loop->telling = true;
    while (more && steps++ < MOST_STEPS) {
        struct step step = { .why = AFAR_ERROR_INIT };

        loop->turn = !loop->turn;
        more = step_locked(loop, &loop->sides[loop->turn], &step) ||
               step_locked(loop, &loop->sides[!loop->turn], &step);
        if (!more)
            break;
        pthread_mutex_unlock(&loop->lock);
        tell(&step);
        pthread_mutex_lock(&loop->lock);
    }
    loop->telling = false;
    if (more)
        post_locked(loop);
    rest_locked(loop);
}

static void
came(afar__tag *tag, bool ok)
{
    struct loop *loop = (struct loop *)((char *)tag - offsetof(struct loop, tag));

    (void)ok;
    pthread_mutex_lock(&loop->lock);
    loop->posted = false;
    tell_all_locked(loop);
    unref_locked(loop);
}

static void
ring(afar__timer *timer)
{
    struct loop *loop = (struct loop *)((char *)timer - offsetof(struct loop, timer));

    pthread_mutex_lock(&loop->lock);
    loop->timed = false;
    tell_all_locked(loop);
    unref_locked(loop);
}

/* ---- what the users do ---- */

static void
start(afar__transport *transport)
{
    struct side *side = side_of(transport);

    pthread_mutex_lock(&side->loop->lock);
    side->started = true;
    post_locked(side->loop);
    pthread_mutex_unlock(&side->loop->lock);
}

static void
receive(afar__transport *transport)
{
    struct side *side = side_of(transport);

    pthread_mutex_lock(&side->loop->lock);
    side->asked = true;
    if (side->peer->sending)
        post_locked(side->loop);
    pthread_mutex_unlock(&side->loop->lock);
}

static void
send_batch(afar__transport *transport, uint8_t *data, size_t length)
{
    struct side *side = side_of(transport);
    bool usable;

    pthread_mutex_lock(&side->loop->lock);
    usable = !side->closing && !side->over;
    if (usable) {
        side->sending = true;
        side->data = data;
        side->length = length;
        if (side->peer->asked || side->peer->closing)
            post_locked(side->loop);
    }
    pthread_mutex_unlock(&side->loop->lock);
    if (!usable)
        free(data);
}

static void
close_side(afar__transport *transport, bool abort)
{
    struct side *side = side_of(transport);

    pthread_mutex_lock(&side->loop->lock);
    side->closing = true;
    if (abort)
        side->aborted = true;
    post_locked(side->loop);
    pthread_mutex_unlock(&side->loop->lock);
}

static void
free_side(afar__transport *transport)
{
    struct side *side = side_of(transport);

    pthread_mutex_lock(&side->loop->lock);
    side->freed = true;
    if (!side->started)
        post_locked(side->loop);
    unref_locked(side->loop);
}

static const afar__transport_ops ops = { start, receive, send_batch, close_side, free_side };

void
afar__loop_stall(afar__transport *transport, bool stalled)
{
    struct side *side = side_of(transport);

    pthread_mutex_lock(&side->loop->lock);
    side->stalled = stalled;
    post_locked(side->loop);
    pthread_mutex_unlock(&side->loop->lock);
}

/* ---- making ---- */

afar_code
afar__loop_transports(afar_node *node, const afar__loop_faults *faults,
                      afar__transport *ret_pair[2], afar_error *err)
{
    struct loop *loop = calloc(1, sizeof *loop);
    afar_code code;

    if (!loop)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a session");
    code = afar__engine_background(err);
    if (code) {
        free(loop);
        return code;
    }
    if (faults)
        loop->faults = *faults;
    loop->chances = loop->faults.seed;
    loop->node = afar__node_ref(node);
    loop->background = true;
    loop->refs = 2;
    loop->tag.done = came;
    loop->timer.ring = ring;
    pthread_mutex_init(&loop->lock, NULL);
    for (int i = 0; i < 2; i++) {
        struct side *side = &loop->sides[i];

        side->base.ops = &ops;
        side->base.peer = (afar_peer){ "local", -1, -1 };
        side->loop = loop;
        side->peer = &loop->sides[1 - i];
        ret_pair[i] = &side->base;
    }
    return AFAR_OK;
}
