/* The session of a link.  A link has room for one (link.h); its lock guards that.  The link keeps
 * the connection, the connection's transport keeps the link: that ends when the connection is over, which
 * shutting the link brings about. */

#include "runtime/far/route.h"

#include <stdio.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/fail.h"

/* It is over: the next call opens another one. */
static void
forget(void *arg, afar__connection *connection)
{
    afar__link_slot *slot = afar__link_slot_of(arg);
    bool mine;

    pthread_mutex_lock(&slot->lock);
    mine = slot->connection == connection;
    if (mine)
        slot->connection = NULL;
    pthread_mutex_unlock(&slot->lock);
    if (mine)
        afar__connection_unref(connection);
}

static afar_code
open_locked(afar__link *link, afar__connection **ret_connection, afar_error *err)
{
    afar__connection_options options = {
        .node = (afar_node *)afar__link_node(link),
        .address = afar__link_address(link),
        .over = forget,
        .over_arg = link,
    };
    afar_code code = afar__link_transport(link, &options.transport, err);

    return code ? code : afar__connection_open(&options, ret_connection, err);
}

afar_code
afar__link_session(afar__link *link, afar__connection **ret_connection, afar_error *err)
{
    afar__link_slot *slot = afar__link_slot_of(link);
    afar__connection *old = NULL;
    afar_code code = AFAR_OK;

    pthread_mutex_lock(&slot->lock);
    if (slot->shut) {
        code = afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: the client was closed",
                         afar__link_address(link));
    } else if (!slot->connection || !afar__connection_usable(slot->connection)) {
        old = slot->connection;
        slot->connection = NULL;
        code = open_locked(link, &slot->connection, err);
    }
    if (!code)
        *ret_connection = afar__connection_ref(slot->connection);
    pthread_mutex_unlock(&slot->lock);
    afar__connection_unref(old);
    return code;
}

afar_code
afar__link_session_ready(afar__link *link, afar_deadline deadline, afar_error *err)
{
    afar__connection *connection = NULL;
    afar_code code = afar__link_session(link, &connection, err);

    if (!code)
        code = afar__connection_ready(connection, deadline.ns, err);
    afar__connection_unref(connection);
    return code;
}

void
afar__link_session_shut(afar__link *link)
{
    afar__link_slot *slot = afar__link_slot_of(link);
    afar__connection *connection;

    pthread_mutex_lock(&slot->lock);
    slot->shut = true;
    connection = slot->connection ? afar__connection_ref(slot->connection) : NULL;
    pthread_mutex_unlock(&slot->lock);
    afar__attempts_end(link);
    if (!connection)
        return;
    afar__connection_cancel(connection);
    if (afar__engine_may_wait())
        afar__connection_wait_over(connection);
    afar__connection_unref(connection);
}

/* ---- the finder of an address ---- */

static afar_code
find(afar__finder *finder, const afar__place *old, int64_t deadline, afar__place *ret_place,
     afar_error *err)
{
    bool shut;
    afar__link_slot *slot = afar__link_slot_of(old->link);
    afar_code code;

    (void)finder;
    pthread_mutex_lock(&slot->lock);
    shut = slot->shut;
    pthread_mutex_unlock(&slot->lock);
    if (shut)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "the client was closed");
    code = afar__link_connect(old->link, afar_deadline_at(deadline), err);
    if (code)
        return code;
    *ret_place = *old;
    ret_place->link = afar__link_ref(old->link);
    return AFAR_OK;
}

static void
free_finder(afar__finder *finder)
{
    (void)finder;
}

afar__finder *
afar__link_finder(void)
{
    static const afar__finder_ops ops = { find, free_finder };
    static afar__finder finder = { &ops };

    return &finder;
}
