/* Sessions that come in.  They are in a list, each with a reference, from when they are taken until they
 * are over; `lock` guards it.  It is never held while a connection is opened or closed. */

#include "runtime/far/inbound.h"

#include <pthread.h>
#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/grace.h"
#include "runtime/log.h"

typedef struct guest {
    struct guest *next, **link;
    afar__inbound *inbound;
    afar__connection *connection; /* NULL while it is opened */
    bool over;
} guest;

struct afar__inbound {
    afar_node *node;
    afar__session_limits limits;
    afar__find_fn find;
    void *arg;
    pthread_mutex_t lock;
    bool closed;
    int64_t deadline;
    guest *guests;
    afar__waiters waiters; /* for none to be left */
};

afar__inbound *
afar__inbound_new(afar_node *node, unsigned calls, afar__find_fn find, void *arg)
{
    afar__inbound *inbound = calloc(1, sizeof *inbound);

    if (!inbound)
        return NULL;
    inbound->node = node;
    inbound->limits.calls = calls;
    inbound->find = find;
    inbound->arg = arg;
    pthread_mutex_init(&inbound->lock, NULL);
    return inbound;
}

static void
over(void *arg, afar__connection *connection)
{
    guest *gone = arg;
    afar__inbound *inbound = gone->inbound;
    bool opened;

    pthread_mutex_lock(&inbound->lock);
    gone->over = true;
    opened = gone->connection != NULL;
    if (opened) {
        *gone->link = gone->next;
        if (gone->next)
            gone->next->link = gone->link;
        if (!inbound->guests)
            afar__waiters_wake(&inbound->waiters);
    }
    pthread_mutex_unlock(&inbound->lock);
    if (!opened)
        return; /* who opens it sees that */
    free(gone);
    afar__connection_unref(connection);
}

/* Into the list, unless it was over before it could be. */
static void
add(guest *fresh, afar__connection *connection)
{
    afar__inbound *inbound = fresh->inbound;
    bool over, closed;
    int64_t deadline;

    pthread_mutex_lock(&inbound->lock);
    over = fresh->over;
    closed = inbound->closed;
    deadline = inbound->deadline;
    if (!over) {
        fresh->connection = connection;
        fresh->next = inbound->guests;
        fresh->link = &inbound->guests;
        if (fresh->next)
            fresh->next->link = &fresh->next;
        inbound->guests = fresh;
        if (closed)
            afar__connection_ref(connection);
    }
    pthread_mutex_unlock(&inbound->lock);
    if (over) {
        free(fresh);
        afar__connection_unref(connection);
    } else if (closed) {
        afar__connection_close(connection, deadline);
        afar__connection_unref(connection);
    }
}

void
afar__inbound_take(void *arg, afar__transport *transport)
{
    afar__inbound *inbound = arg;
    guest *fresh = calloc(1, sizeof *fresh);
    afar__connection *connection = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar__connection_options options = {
        .node = inbound->node,
        .transport = transport,
        .address = transport->peer.address,
        .limits = &inbound->limits,
        .find = inbound->find,
        .find_arg = inbound->arg,
        .over = over,
        .over_arg = fresh,
    };

    if (!fresh) {
        transport->ops->free(transport);
        afar__log(AFAR_LOG_ERROR, "no memory for a session");
        return;
    }
    fresh->inbound = inbound;
    if (!afar__connection_open(&options, &connection, &err)) {
        add(fresh, connection);
        return;
    }
    afar__log(AFAR_LOG_ERROR, "%s", err.message);
    afar_error_clear(&err);
    free(fresh);
}

void
afar__inbound_close(afar__inbound *inbound, int64_t deadline)
{
    afar__connection **all = NULL;
    size_t count = 0;

    pthread_mutex_lock(&inbound->lock);
    inbound->closed = true;
    inbound->deadline = deadline;
    for (guest *each = inbound->guests; each; each = each->next)
        count++;
    all = calloc(count + 1, sizeof(*all));
    count = 0;
    for (guest *each = inbound->guests; all && each; each = each->next)
        all[count++] = afar__connection_ref(each->connection);
    pthread_mutex_unlock(&inbound->lock);
    for (size_t i = 0; i < count; i++) {
        afar__connection_close(all[i], deadline);
        afar__connection_unref(all[i]);
    }
    free(all);
}

/* The port is gone, but the last handlers of a session may still be on their way out. */
static void
wait_for_all(afar__inbound *inbound)
{
    pthread_mutex_lock(&inbound->lock);
    while (inbound->guests) {
        afar__waiter waiter;

        afar__waiters_add(&inbound->waiters, &waiter);
        pthread_mutex_unlock(&inbound->lock);
        (void)afar__wait(&waiter, AFAR__NEVER);
        pthread_mutex_lock(&inbound->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&inbound->lock);
}

void
afar__inbound_free(afar__inbound *inbound)
{
    if (!inbound)
        return;
    wait_for_all(inbound);
    afar__graces_end(inbound->node);
    pthread_mutex_destroy(&inbound->lock);
    free(inbound);
}
