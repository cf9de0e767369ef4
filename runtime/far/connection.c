/* Connections: what moves between a session's core and its transport, and when.
 *
 * The transport tells, on the thread that polls, of one thing at a time: a batch came, a batch has
 * left, it is over.  The next batch is asked for when the last one was acted on.
 *
 * When a batch that a library thread reads brings calls, their handlers run on that thread after
 * the event.  Until they have, the connection is corked: their replies go out together, and then the
 * next batch is asked for.  A handler that takes long does not hold that up for long: what is
 * queued behind it is moved to other threads (engine.h).
 *
 * References: one of the owner, one of the transport until it is over, one of the timer while it
 * is set, one of the flush while it is queued, one of each question, far object and call served. */

#include "runtime/far/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/far/objects.h"
#include "runtime/far/question.h"
#include "runtime/far/raw_parts.h"
#include "runtime/far/served.h"
#include "runtime/log.h"

#define MOST_UNSENT ((size_t)4 << 20)   /* bytes that wait to be sent, then the peer is not read */
#define MOST_DEFERRED ((size_t)3 << 10) /* of frames that wait for others to come */
#define OPEN_TIME (20 * AFAR__SECOND)   /* for the peer's Hello */
#define CLOSE_TIME (2 * AFAR__SECOND)   /* for the transport, after the session is over */
#define LAST_TIME (20 * AFAR__SECOND)   /* for the last replies, after both sides closed in order */

/* ---- life ---- */

afar__connection *
afar__connection_ref(afar__connection *connection)
{
    atomic_fetch_add_explicit(&connection->refs, 1, memory_order_relaxed);
    return connection;
}

void
afar__connection_unref(afar__connection *connection)
{
    if (!connection || atomic_fetch_sub_explicit(&connection->refs, 1, memory_order_acq_rel) != 1)
        return;
    connection->transport->ops->free(connection->transport);
    afar__session_free(connection->session);
    afar__served_clear(connection);
    afar_error_clear(&connection->why);
    pthread_cond_destroy(&connection->idle);
    pthread_mutex_destroy(&connection->lock);
    free(connection->address);
    afar_node_close(connection->node);
    free(connection);
}

afar_node *
afar__connection_node(const afar__connection *connection)
{
    return connection->node;
}

bool
afar__connection_usable(afar__connection *connection)
{
    return !atomic_load(&connection->closing);
}

void
afar__connection_join(afar__connection *a, afar__connection *b)
{
    atomic_store(&a->twin, afar__connection_ref(b));
    atomic_store(&b->twin, afar__connection_ref(a));
}

/* ---- the clock ---- */

static void
set_timer_locked(afar__connection *connection, int64_t when)
{
    if (connection->gone || (connection->timed && connection->rings <= when))
        return;
    if (!connection->timed)
        afar__connection_ref(connection);
    connection->timed = true;
    connection->rings = when;
    afar__timer_set(&connection->timer, when);
}

void
afar__connection_watch_locked(afar__connection *connection, int64_t deadline)
{
    if (deadline >= connection->earliest)
        return;
    connection->earliest = deadline;
    set_timer_locked(connection, deadline);
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What is due now; returns when to look again. */
static int64_t
look_at_clock_locked(afar__connection *connection, int64_t now)
{
    int64_t next = connection->opened ? afar__session_tick(connection->session, now) : AFAR__NEVER;

    if (now >= connection->earliest) {
        /* What comes meanwhile lowers it again. */
        connection->earliest = AFAR__NEVER;
        connection->earliest = least(afar__questions_expire_locked(connection, now),
                                     afar__served_expire_locked(connection, now));
    }
    if (now >= connection->limit) {
        connection->limit = AFAR__NEVER;
        if (!connection->over) {
            afar__session_broken(connection->session, connection->opened
                                                          ? "it was not closed in time"
                                                          : "no Hello came in time");
        } else if (!connection->gone) {
            connection->transport->ops->close(connection->transport, true);
        }
    }
    return least(next, least(connection->earliest, connection->limit));
}

static void
ring(afar__timer *timer)
{
    afar__connection *connection =
        (afar__connection *)((char *)timer - offsetof(afar__connection, timer));
    int64_t next;

    pthread_mutex_lock(&connection->lock);
    connection->timed = false;
    next = look_at_clock_locked(connection, afar__now());
    afar__connection_pump_locked(connection);
    set_timer_locked(connection, next);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
}

/* ---- what the core tells ---- */

static void
opened(afar__connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->opened = true;
    if (connection->limit != AFAR__NEVER && !connection->closing)
        connection->limit = AFAR__NEVER;
    set_timer_locked(connection, afar__session_tick(connection->session, afar__now()));
    afar__questions_send_locked(connection);
    afar__waiters_wake(&connection->waiters);
    pthread_mutex_unlock(&connection->lock);
}

/* No new calls: what waits fails, and may be made elsewhere. */
static void
closing(afar__connection *connection, const char *text)
{
    pthread_mutex_lock(&connection->lock);
    connection->closing = true;
    if (!connection->why.code)
        afar_fail(&connection->why, AFAR_UNAVAILABLE, "%s: %s", connection->address, text);
    afar__questions_send_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

static void
over(afar__connection *connection, const afar__session_event *event)
{
    bool in_order = event->reason == AFAR__SESSION_NONE;

    pthread_mutex_lock(&connection->lock);
    connection->over = true;
    connection->closing = true;
    connection->limit = afar__now() + (in_order ? LAST_TIME : CLOSE_TIME);
    set_timer_locked(connection, connection->limit);
    if (!connection->why.code) {
        afar_code code =
            event->reason == AFAR__SESSION_VERSION ? AFAR_FAILED_PRECONDITION : AFAR_UNAVAILABLE;

        afar__fail_outcome(&connection->why, code, AFAR_OUTCOME_NOT_SENT, event->remote,
                           "%s: %s%.*s", connection->address,
                           event->remote ? "the peer ended the session: " : "",
                           (int)event->text.length, (const char *)event->text.data);
    }
    afar__questions_send_locked(connection);
    afar__waiters_wake(&connection->waiters);
    pthread_mutex_unlock(&connection->lock);
    afar__served_drop_kept(connection);
    if (event->reason != AFAR__SESSION_NONE && event->reason != AFAR__SESSION_BROKEN)
        afar__log(AFAR_LOG_INFO, "session with %s ended: %.*s", connection->address,
                  (int)event->text.length, (const char *)event->text.data);
}

/* `served` is what was held for the event. */
static void
act_on(afar__connection *connection, const afar__session_event *event, afar__served *served)
{
    switch (event->kind) {
    case AFAR__SESSION_OPENED:
        opened(connection);
        break;
    case AFAR__SESSION_CLOSING:
        closing(connection, "the peer closes");
        break;
    case AFAR__SESSION_OVER:
        over(connection, event);
        break;
    case AFAR__SESSION_RELEASED:
        afar__refs_released(connection, event);
        break;
    case AFAR__SESSION_RETURNED:
        afar__question_event(connection, event);
        break;
    case AFAR__SESSION_ITEM:
    case AFAR__SESSION_WRITABLE:
        if (event->ours)
            afar__question_event(connection, event);
        else
            afar__served_event(connection, event, served);
        break;
    case AFAR__SESSION_CALLED:
        connection->brought = true; /* who pumps is alone with it */
        afar__served_event(connection, event, served);
        break;
    case AFAR__SESSION_ENDED:
    case AFAR__SESSION_CANCELLED:
    case AFAR__SESSION_FINISHED:
        afar__served_event(connection, event, served);
        break;
    }
}

/* ---- sending ---- */

/* The session is over and everything was sent: so is the transport. */
static void
shut_locked(afar__connection *connection)
{
    afar__transport *transport = connection->transport;
    bool abort = !connection->opened;

    connection->shut = true;
    connection->limit = afar__now() + CLOSE_TIME;
    set_timer_locked(connection, connection->limit);
    pthread_mutex_unlock(&connection->lock);
    transport->ops->close(transport, abort);
    pthread_mutex_lock(&connection->lock);
}

static void
ask_locked(afar__connection *connection)
{
    afar__transport *transport = connection->transport;

    /* What waits for the peer's credit is not what it does not read: that comes from reading. */
    connection->held =
        connection->writing && afar__session_waiting_bytes(connection->session) > MOST_UNSENT;
    if (connection->held)
        return;
    pthread_mutex_unlock(&connection->lock);
    transport->ops->receive(transport);
    pthread_mutex_lock(&connection->lock);
}

/* With several calls under way more is about to come, from those who poll now: it is written once
 * there is nothing left to be read.  One call alone does not wait. */
static bool
defer_locked(afar__connection *connection)
{
    if (connection->deferred)
        return afar__session_waiting_bytes(connection->session) < MOST_DEFERRED;
    if (connection->asking + connection->serving < 2 ||
        !afar__session_wants_write(connection->session) || afar__engine_background(NULL))
        return false;
    if (!afar__engine_when_idle(&connection->later)) {
        afar__engine_background_end();
        return false;
    }
    connection->deferred = true;
    afar__connection_ref(connection);
    return true;
}

static void
run_later(afar__task *task)
{
    afar__connection *connection =
        (afar__connection *)((char *)task - offsetof(afar__connection, later));

    pthread_mutex_lock(&connection->lock);
    connection->deferred = false;
    connection->forced = true;
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
    afar__engine_background_end();
}

static void
send_locked(afar__connection *connection)
{
    afar__transport *transport = connection->transport;
    bool wanted;
    uint8_t *data;
    size_t length;

    bool forced = connection->forced;

    if (connection->writing || connection->gone || (connection->corked && !connection->over))
        return;
    connection->forced = false;
    if (!forced && !connection->over && defer_locked(connection))
        return;
    wanted = afar__session_wants_write(connection->session);
    if (afar__session_take(connection->session, afar__now(), &data, &length)) {
        connection->writing = true;
        pthread_mutex_unlock(&connection->lock);
        transport->ops->send(transport, data, length);
        pthread_mutex_lock(&connection->lock);
    } else if (wanted) {
        connection->again = true; /* memory is out, which ended the session */
    } else if (connection->over && !connection->shut) {
        shut_locked(connection);
    }
}

void
afar__connection_pump_locked(afar__connection *connection)
{
    connection->again = true;
    if (connection->pumping)
        return;
    connection->pumping = true;
    /* Closing a reference must not wait for a finalizer here: that may need this connection. */
    afar__engine_event_begin();
    while (connection->again || connection->failed) {
        afar__question *failed = connection->failed;
        afar__session_event event;

        connection->again = false;
        connection->failed = NULL;
        connection->last_failed = &connection->failed;
        if (failed) {
            pthread_mutex_unlock(&connection->lock);
            afar__questions_tell(connection, failed);
            pthread_mutex_lock(&connection->lock);
        }
        while (afar__session_next(connection->session, &event)) {
            afar__served *served = afar__served_hold_locked(connection, &event);

            if (event.kind == AFAR__SESSION_RETURNED)
                afar__question_returned_locked(connection, event.user);
            pthread_mutex_unlock(&connection->lock);
            act_on(connection, &event, served);
            pthread_mutex_lock(&connection->lock);
        }
        afar__raws_idle_locked(connection);
        send_locked(connection);
    }
    afar__engine_event_end();
    connection->pumping = false;
    pthread_cond_broadcast(&connection->idle);
}

/* ---- what the transport tells, on the thread that polls ---- */

static void
wait_for_pump_locked(afar__connection *connection)
{
    while (connection->pumping)
        pthread_cond_wait(&connection->idle, &connection->lock);
}

static void
run_flush(afar__task *task)
{
    afar__connection *connection =
        (afar__connection *)((char *)task - offsetof(afar__connection, flush));

    pthread_mutex_lock(&connection->lock);
    connection->corked = false;
    afar__connection_pump_locked(connection);
    ask_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
}

static void
run_asker(afar__task *task)
{
    afar__connection *connection =
        (afar__connection *)((char *)task - offsetof(afar__connection, asker));

    pthread_mutex_lock(&connection->lock);
    ask_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
    afar__engine_background_end();
}

/* Asking costs a write of its own, by which gRPC opens its window.  When all calls are answered it
 * comes behind the next call, which would else wait for it. */
static bool
ask_later_locked(afar__connection *connection)
{
    if (connection->asking > 0 || connection->over || afar__engine_background(NULL))
        return false;
    if (!afar__engine_when_idle(&connection->asker)) {
        afar__engine_background_end();
        return false;
    }
    afar__connection_ref(connection);
    return true;
}

static void
received(void *arg, const uint8_t *data, size_t length)
{
    afar__connection *connection = arg;

    pthread_mutex_lock(&connection->lock);
    wait_for_pump_locked(connection);
    afar__session_receive(connection->session, data, length, afar__now());
    connection->brought = false;
    connection->corked = afar__engine_is_library_thread();
    afar__connection_pump_locked(connection);
    if (connection->corked && connection->brought && !connection->over) {
        afar__connection_ref(connection);
        pthread_mutex_unlock(&connection->lock);
        afar__engine_run_last(&connection->flush);
        return;
    }
    connection->corked = false;
    afar__connection_pump_locked(connection);
    if (!ask_later_locked(connection))
        ask_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

static void
sent(void *arg)
{
    afar__connection *connection = arg;

    pthread_mutex_lock(&connection->lock);
    connection->writing = false;
    afar__connection_pump_locked(connection);
    if (connection->held)
        ask_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

/* Lets the lock go in between. */
static void
tell_owner_locked(afar__connection *connection)
{
    if (!connection->settled || connection->serving > 0 || connection->told)
        return;
    connection->told = true;
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(atomic_exchange(&connection->twin, NULL));
    if (connection->on_over)
        connection->on_over(connection->over_arg, connection);
    pthread_mutex_lock(&connection->lock);
    afar__waiters_wake(&connection->waiters);
}

void
afar__connection_served_locked(afar__connection *connection)
{
    connection->serving--;
    tell_owner_locked(connection);
}

static void
transport_over(void *arg, const afar_error *why)
{
    afar__connection *connection = arg;
    bool timed;

    pthread_mutex_lock(&connection->lock);
    wait_for_pump_locked(connection);
    connection->gone = true;
    connection->writing = connection->corked = false;
    if (!connection->over) {
        const char *text = why->code ? why->message : "the peer closed the connection";

        if (!connection->why.code)
            afar__fail_outcome(&connection->why,
                               why->code == AFAR_UNIMPLEMENTED ? why->code : AFAR_UNAVAILABLE,
                               AFAR_OUTCOME_NOT_SENT, false, "%s: %s", connection->address, text);
        afar__session_broken(connection->session, text);
    }
    afar__connection_pump_locked(connection);
    connection->settled = true;
    timed = connection->timed && afar__timer_clear(&connection->timer);
    if (timed)
        connection->timed = false;
    tell_owner_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    /* Those of the timer and of the transport. */
    if (timed)
        atomic_fetch_sub_explicit(&connection->refs, 1, memory_order_acq_rel);
    afar__connection_unref(connection);
}

static const afar__transport_user user = { received, sent, transport_over };

/* ---- closing ---- */

void
afar__connection_close(afar__connection *connection, int64_t deadline)
{
    pthread_mutex_lock(&connection->lock);
    if (!connection->over) {
        connection->closing = true;
        if (!connection->why.code)
            afar_fail(&connection->why, AFAR_UNAVAILABLE, "%s: the connection was closed",
                      connection->address);
        connection->limit = least(connection->limit, deadline);
        set_timer_locked(connection, connection->limit);
        afar__session_close(connection->session);
        if (!connection->opened)
            afar__session_broken(connection->session, "closed before it was open");
        afar__questions_send_locked(connection);
        afar__connection_pump_locked(connection);
    }
    pthread_mutex_unlock(&connection->lock);
    afar__served_raws_close(connection);
}

void
afar__connection_cancel(afar__connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    if (!connection->why.code)
        afar_fail(&connection->why, AFAR_FAILED_PRECONDITION, "%s: the client was closed",
                  connection->address);
    afar__questions_cancel_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_close(connection, afar__now() + CLOSE_TIME);
}

afar_code
afar__connection_ready(afar__connection *connection, int64_t deadline, afar_error *err)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar_code code = AFAR_OK;

    pthread_mutex_lock(&connection->lock);
    while (!connection->opened && !connection->over && result == AFAR__WAIT_WOKEN) {
        afar__waiter waiter;

        afar__waiters_add(&connection->waiters, &waiter);
        pthread_mutex_unlock(&connection->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&connection->lock);
        afar__waiters_remove(&waiter);
    }
    if (connection->over) {
        code = connection->why.code;
        if (err)
            afar_error_copy(err, &connection->why);
    } else if (!connection->opened) {
        code = result == AFAR__WAIT_REFUSED
                   ? afar__wait_refused(err)
                   : afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%s: no session before the deadline",
                               connection->address);
    }
    pthread_mutex_unlock(&connection->lock);
    return code;
}

void
afar__connection_wait_over(afar__connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    while (!connection->told) {
        afar__waiter waiter;

        afar__waiters_add(&connection->waiters, &waiter);
        pthread_mutex_unlock(&connection->lock);
        (void)afar__wait(&waiter, AFAR__NEVER);
        pthread_mutex_lock(&connection->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&connection->lock);
}

/* ---- opening ---- */

static afar__session *
open_session(const afar_node *node, const afar__session_limits *limits)
{
    afar__session_options options = { .now = afar__now() };

    if (limits)
        options.limits = *limits;
    options.limits.message_bytes =
        node->limits.max_bytes > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)node->limits.max_bytes;
    options.limits.idle_ms = node->session_idle_ms;
    options.limits.dead_ms = node->session_dead_ms;
    memcpy(options.instance, node->instance, sizeof options.instance);
    return afar__session_open(&options);
}

static void
start(afar__connection *connection)
{
    afar__transport *transport = connection->transport;

    transport->user = &user;
    transport->arg = connection;
    afar__connection_ref(connection);
    transport->ops->start(transport);
    pthread_mutex_lock(&connection->lock);
    connection->limit = afar__now() + OPEN_TIME;
    set_timer_locked(connection, connection->limit);
    ask_locked(connection);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

afar_code
afar__connection_open(const afar__connection_options *options, afar__connection **ret_connection,
                      afar_error *err)
{
    afar__connection *connection = calloc(1, sizeof *connection);

    if (connection) {
        connection->address = strdup(options->address);
        connection->session = open_session(options->node, options->limits);
    }
    if (!connection || !connection->address || !connection->session) {
        /* First, since the address may be the transport's. */
        afar_code code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a session",
                                   options->address);

        options->transport->ops->free(options->transport);
        if (connection) {
            afar__session_free(connection->session);
            free(connection->address);
        }
        free(connection);
        return code;
    }
    atomic_init(&connection->refs, 1);
    pthread_mutex_init(&connection->lock, NULL);
    pthread_cond_init(&connection->idle, NULL);
    connection->node = afar__node_ref(options->node);
    connection->transport = options->transport;
    connection->find = options->find;
    connection->find_arg = options->find_arg;
    connection->names_are_ours = options->names_are_ours;
    connection->on_over = options->over;
    connection->over_arg = options->over_arg;
    connection->last_waiting = &connection->waiting;
    connection->last_failed = &connection->failed;
    connection->last_idler = &connection->idlers;
    connection->earliest = connection->limit = AFAR__NEVER;
    connection->timer.ring = ring;
    connection->flush.run = run_flush;
    connection->later.run = run_later;
    connection->asker.run = run_asker;
    start(connection);
    *ret_connection = connection;
    return AFAR_OK;
}
