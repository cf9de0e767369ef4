/* Waiting until a link is connected.
 *
 * The core says only that a connection failed, not why; a call that is started
 * then fails with the reason, so one is started to ask for it. */

#include <sched.h>
#include <string.h>

#include <pthread.h>

#include <grpc/support/alloc.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/fail.h"
#include "runtime/grpc_outgoing.h"
#include "runtime/grpc_link.h"

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
fail_with_reason(afar__link *link, afar_error *err)
{
    grpc_slice path = grpc_slice_from_static_string("/afar/connect");
    grpc_call *call =
        grpc_channel_create_call(afar__link_channel(link), NULL, 0, afar__grpc_queue(), path, NULL,
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

afar_code
afar__link_connect(afar__link *link, afar_deadline deadline, afar_error *err)
{
    grpc_channel *channel = afar__link_channel(link);

    /* A channel over a given socket is connected, and has no state to ask for. */
    if (!afar__link_heals(link))
        return afar__link_broken(link)
                   ? afar_fail(err, AFAR_UNAVAILABLE, "%s: the connection is broken",
                               afar__link_address(link))
                   : AFAR_OK;
    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(channel, 1);
        struct wait wait;

        if (state == GRPC_CHANNEL_READY)
            return AFAR_OK;
        if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN)
            return fail_with_reason(link, err);
        if (afar__now() >= deadline.ns)
            return afar_fail(err, AFAR_UNAVAILABLE, "%s: no connection before the deadline",
                             afar__link_address(link));
        wait_init(&wait);
        afar__grpc_publish(&wait.tag);
        grpc_channel_watch_connectivity_state(channel, state, afar__grpc_deadline(deadline.ns),
                                              afar__grpc_queue(), &wait.tag);
        wait_for(&wait);
    }
}
