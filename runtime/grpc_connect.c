/* Waiting until a link is connected.
 *
 * The core says only that a connection failed, not why; a call that is started
 * then fails with the reason, so one is started to ask for it. */

#include <errno.h>
#include <sched.h>
#include <string.h>

#include <pthread.h>

#include <grpc/support/alloc.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/fail.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/grpc_link.h"

#define PATIENCE (5 * AFAR__SECOND) /* with a server that answered a moment ago */

/* Something under way whose end one thread waits for. */
struct wait {
    afar__tag tag;
    pthread_mutex_t lock;
    bool done; /* guarded by lock */
    afar__waiters waiters;
};

static void
wait_done(afar__tag *tag, bool ok)
{
    struct wait *wait = (struct wait *)tag;

    (void)ok;
    pthread_mutex_lock(&wait->lock);
    wait->done = true;
    afar__waiters_wake(&wait->waiters);
    pthread_mutex_unlock(&wait->lock);
}

static void
wait_init(struct wait *wait)
{
    memset(wait, 0, sizeof *wait);
    wait->tag.done = wait_done;
    pthread_mutex_init(&wait->lock, NULL);
}

/* The tag always comes, by its own deadline, so a refused wait is repeated: the
 * memory must not go before it. */
static void
wait_for(struct wait *wait)
{
    pthread_mutex_lock(&wait->lock);
    while (!wait->done) {
        afar__waiter waiter;

        afar__waiters_add(&wait->waiters, &waiter);
        pthread_mutex_unlock(&wait->lock);
        if (afar__wait(&waiter, AFAR__NEVER) == AFAR__WAIT_REFUSED)
            sched_yield();
        pthread_mutex_lock(&wait->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&wait->lock);
    pthread_mutex_destroy(&wait->lock);
}

/* The last part of what the core says: "...: Connection refused". */
static const char *
reason_in(const char *text)
{
    const char *last = strrchr(text, ':');

    return last && last[1] == ' ' && last[2] ? last + 2 : text;
}

static afar_code
fail_with_reason(const afar__link *link, grpc_channel *channel, afar_error *err)
{
    grpc_slice path = grpc_slice_from_static_string("/afar/connect");
    grpc_call *call =
        grpc_channel_create_call(channel, NULL, 0, afar__grpc_queue(), path, NULL,
                                 afar__grpc_deadline(afar__now() + AFAR__SECOND), NULL);
    grpc_metadata_array initial, trailing;
    grpc_slice details = grpc_empty_slice();
    grpc_status_code status = GRPC_STATUS_UNAVAILABLE;
    struct wait wait;
    grpc_op ops[3];
    char *text;

    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[1].data.recv_status_on_client.trailing_metadata = &trailing;
    ops[1].data.recv_status_on_client.status = &status;
    ops[1].data.recv_status_on_client.status_details = &details;
    ops[2].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[2].data.recv_initial_metadata.recv_initial_metadata = &initial;
    wait_init(&wait);
    afar__grpc_start(call, ops, 3, &wait.tag);
    wait_for(&wait);
    text = grpc_slice_to_c_string(details);
    afar_fail(err, AFAR_UNAVAILABLE, "%s: cannot connect: %s", afar__link_address(link),
              reason_in(text));
    gpr_free(text);
    grpc_slice_unref(details);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_call_unref(call);
    return AFAR_UNAVAILABLE;
}

static bool
has_failed(grpc_connectivity_state state)
{
    return state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN;
}

/* Until the channel is in another state. */
static void
wait_for_change(grpc_channel *channel, grpc_connectivity_state state, int64_t deadline)
{
    struct wait wait;

    wait_init(&wait);
    afar__grpc_publish(&wait.tag);
    grpc_channel_watch_connectivity_state(channel, state, afar__grpc_deadline(deadline),
                                          afar__grpc_queue(), &wait.tag);
    wait_for(&wait);
}

static afar_code
fail_late(const afar__link *link, afar_error *err)
{
    return afar_fail(err, AFAR_UNAVAILABLE, "%s: no connection before the deadline",
                     afar__link_address(link));
}

/* A channel that has tried nothing yet: until it is connected, or cannot be. */
static afar_code
connect_channel(const afar__link *link, grpc_channel *channel, int64_t deadline, afar_error *err)
{
    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(channel, 1);

        if (state == GRPC_CHANNEL_READY)
            return AFAR_OK;
        if (has_failed(state))
            return fail_with_reason(link, channel, err);
        if (afar__now() >= deadline)
            return fail_late(link, err);
        wait_for_change(channel, state, deadline);
    }
}

/* A channel that failed before says so until it is connected, also while it tries again:
 * how that ends cannot be seen.  So another one tries.  When that gets through, ours will,
 * too, once its pause is cut short; unless the server has gone again. */
static afar_code
connect_failed(const afar__link *link, int64_t deadline, afar_error *err)
{
    grpc_channel *channel = afar__link_channel(link);
    grpc_channel *other = afar__link_fresh_channel(link);
    afar_code code = connect_channel(link, other, deadline, err);
    grpc_connectivity_state state;
    int64_t end;

    grpc_channel_destroy(other);
    if (code)
        return code;
    end = afar__now() + PATIENCE;
    if (end > deadline)
        end = deadline;
    grpc_channel_reset_connect_backoff(channel);
    while ((state = grpc_channel_check_connectivity_state(channel, 1)) != GRPC_CHANNEL_READY) {
        if (afar__now() >= end)
            return end < deadline ? fail_with_reason(link, channel, err) : fail_late(link, err);
        wait_for_change(channel, state, end);
    }
    return AFAR_OK;
}

/* The core looks at errno some allocations after it has called connect, which may have
 * written another one there: a connection that is on its way is then given up as "No such
 * file or directory", which connect never says of TCP. */
static bool
was_given_up(const afar__link *link, const afar_error *err)
{
    const char *spoiled = strerrordesc_np(ENOENT), *last = reason_in(err->message);

    return strncmp(afar__link_address(link), "unix:", 5) != 0 && strcmp(last, spoiled) == 0;
}

afar_code
afar__link_connect(afar__link *link, afar_deadline deadline, afar_error *err)
{
    grpc_channel *channel = afar__link_channel(link);
    afar_error why = AFAR_ERROR_INIT;
    afar_code code;

    /* A channel over a given socket is connected, and has no state to ask for. */
    if (!afar__link_heals(link))
        return afar__link_broken(link)
                   ? afar_fail(err, AFAR_UNAVAILABLE, "%s: the connection is broken",
                               afar__link_address(link))
                   : AFAR_OK;
    if (has_failed(grpc_channel_check_connectivity_state(channel, 0)))
        return connect_failed(link, deadline.ns, err);
    code = connect_channel(link, channel, deadline.ns, &why);
    if (code && was_given_up(link, &why))
        code = connect_failed(link, deadline.ns, &why);
    if (code && err)
        afar_error_move(err, &why);
    afar_error_clear(&why);
    return code;
}
