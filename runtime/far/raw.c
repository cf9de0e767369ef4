/* Raw streams: telling, one callback at a time, and sending.
 *
 * Most of what comes is told by the thread that pumps, from the event itself.  When a callback is
 * running elsewhere (the handler that took the call tells what came before it), what comes is kept, and
 * told by that thread when it is done; so the order stays, and none waits for another.
 *
 *     telling    a thread is in a callback, or takes the next thing that is due
 *     closed     none begins any more; who is telling calls `released` when it is out, else who closes
 *
 * References: one of the user until he closes it, those of the side, and one of each thread inside. */

#include "runtime/far/raw_parts.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/far/objects.h"

/* ---- life ---- */

void
afar__raw_init(afar__raw *raw, const afar__raw_side *side, const afar_node *node)
{
    memset(raw, 0, sizeof *raw);
    raw->side = side;
    raw->node = node;
    raw->last_kept = &raw->kept;
    atomic_init(&raw->refs, 1);
    pthread_mutex_init(&raw->lock, NULL);
    afar__error_init(&raw->why);
}

void
afar__raw_clear(afar__raw *raw)
{
    afar_error_clear(&raw->why);
    afar__connection_unref(raw->connection);
    pthread_mutex_destroy(&raw->lock);
}

afar__raw *
afar__raw_ref(afar__raw *raw)
{
    atomic_fetch_add_explicit(&raw->refs, 1, memory_order_relaxed);
    return raw;
}

void
afar__raw_unref(afar__raw *raw)
{
    if (atomic_fetch_sub_explicit(&raw->refs, 1, memory_order_acq_rel) == 1)
        raw->side->free(raw);
}

/* ---- items that are kept ---- */

struct afar__raw_kept {
    struct afar__raw_kept *next;
    afar__connection *connection; /* with a reference */
    afar__session_event
        event; /* what an item has, in this block; objects of ours with a reference */
    afar__session_reference references[];
};

static size_t
size_of_spans(const afar__session_event *event)
{
    size_t size = event->payload.length;

    for (size_t i = 0; i < event->reference_count; i++) {
        const afar__session_reference *reference = &event->references[i];

        size += reference->interface.length + reference->address.length + reference->name.length +
                reference->instance.length + reference->key.length;
    }
    return size;
}

static void
copy_span(uint8_t **at, afar__session_span *span)
{
    if (span->length == 0)
        return;
    memcpy(*at, span->data, span->length);
    span->data = *at;
    *at += span->length;
}

/* The peer may give an object of ours back while a reference to it is kept. */
static void
copy_reference(uint8_t **at, afar__session_reference *to, const afar__session_reference *from)
{
    *to = *from;
    copy_span(at, &to->interface);
    copy_span(at, &to->address);
    copy_span(at, &to->name);
    copy_span(at, &to->instance);
    copy_span(at, &to->key);
    if (to->kind == AFAR__SESSION_OURS)
        afar_object_share(to->object);
}

static struct afar__raw_kept *
keep(afar__connection *connection, const afar__session_event *event)
{
    size_t references = event->reference_count * sizeof(afar__session_reference);
    struct afar__raw_kept *kept = malloc(sizeof *kept + references + size_of_spans(event));
    uint8_t *at;

    if (!kept)
        return NULL;
    at = (uint8_t *)kept->references + references;
    kept->next = NULL;
    kept->connection = afar__connection_ref(connection);
    kept->event = *event;
    kept->event.metadata_count = 0;
    kept->event.references = kept->references;
    copy_span(&at, &kept->event.payload);
    for (size_t i = 0; i < event->reference_count; i++)
        copy_reference(&at, &kept->references[i], &event->references[i]);
    return kept;
}

static void
free_kept(struct afar__raw_kept *kept)
{
    for (size_t i = 0; i < kept->event.reference_count; i++)
        if (kept->references[i].kind == AFAR__SESSION_OURS)
            afar_object_close(kept->references[i].object);
    afar__connection_unref(kept->connection);
    free(kept);
}

/* ---- telling ---- */

/* The item was told, or nobody wants it. */
static void
done_with(const struct afar__raw_item *item)
{
    afar__connection *connection = item->connection;

    if (!item->accepted)
        afar__refs_refuse(connection, item->event);
    pthread_mutex_lock(&connection->lock);
    afar__session_taken(connection->session, item->event->call, item->event->cost, !item->held);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

static void
tell_item(afar__raw *raw, afar__connection *connection, const afar__session_event *event)
{
    afar__raw_item item = { .connection = connection, .event = event };

    raw->ops->came(raw->arg, event->payload.data, event->payload.length, &item);
    done_with(&item);
}

static void
refuse_item(afar__connection *connection, const afar__session_event *event)
{
    done_with(&(struct afar__raw_item){ .connection = connection, .event = event });
}

static struct afar__raw_kept *
take_kept_locked(afar__raw *raw)
{
    struct afar__raw_kept *kept = raw->kept;

    raw->kept = NULL;
    raw->last_kept = &raw->kept;
    return kept;
}

/* What is next, which is there.  Lets the lock go. */
static void
tell_next_locked(afar__raw *raw)
{
    const afar__raw_ops *ops = raw->ops;
    struct afar__raw_kept *kept = raw->kept;
    unsigned due = raw->due & -raw->due;

    if (kept) {
        raw->kept = kept->next;
        if (!raw->kept)
            raw->last_kept = &raw->kept;
    } else {
        raw->due &= ~due;
    }
    pthread_mutex_unlock(&raw->lock);
    if (kept) {
        tell_item(raw, kept->connection, &kept->event);
        free_kept(kept);
    } else if (due == AFAR__RAW_ENDED) {
        ops->ended(raw->arg);
    } else if (due == AFAR__RAW_WRITABLE) {
        ops->writable(raw->arg);
    } else if (due == AFAR__RAW_IDLE) {
        ops->idle(raw->arg);
    } else if (due == AFAR__RAW_CLOSING) {
        if (ops->closing)
            ops->closing(raw->arg);
        else
            raw->side->cancel(raw);
    } else {
        ops->over(raw->arg, &raw->why);
    }
    pthread_mutex_lock(&raw->lock);
}

/* Tells all that is due, unless a thread does so already.  Lets the lock go. */
static void
tell_all_locked(afar__raw *raw)
{
    void (*released)(void *arg);

    if (raw->telling)
        return;
    raw->telling = true;
    while (!raw->closed && (raw->kept || raw->due))
        tell_next_locked(raw);
    raw->telling = false;
    released = raw->released;
    raw->released = NULL;
    if (!released)
        return;
    pthread_mutex_unlock(&raw->lock);
    released(raw->arg);
    pthread_mutex_lock(&raw->lock);
}

/* Somebody else is telling: the item waits for that. */
static void
item_waits(afar__raw *raw, afar__connection *connection, const afar__session_event *event)
{
    struct afar__raw_kept *kept = keep(connection, event);
    bool waits;

    pthread_mutex_lock(&raw->lock);
    waits = kept && !raw->closed && !raw->over;
    if (waits) {
        *raw->last_kept = kept;
        raw->last_kept = &kept->next;
        tell_all_locked(raw);
    }
    pthread_mutex_unlock(&raw->lock);
    if (waits)
        return;
    refuse_item(connection, event);
    if (kept) {
        free_kept(kept);
    } else {
        afar_error err = AFAR_ERROR_INIT;

        afar__fail_outcome(&err, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_UNKNOWN, false,
                           "no memory for a message");
        afar__raw_tell_over(raw, &err);
        raw->side->cancel(raw);
        afar_error_clear(&err);
    }
}

void
afar__raw_item_came(afar__raw *raw, afar__connection *connection, const afar__session_event *event)
{
    bool wanted, now;

    pthread_mutex_lock(&raw->lock);
    wanted = !raw->closed && !raw->over;
    now = wanted && !raw->telling;
    raw->source = connection;
    if (now)
        raw->telling = true;
    pthread_mutex_unlock(&raw->lock);
    if (!wanted) {
        refuse_item(connection, event);
    } else if (!now) {
        item_waits(raw, connection, event);
    } else {
        tell_item(raw, connection, event);
        pthread_mutex_lock(&raw->lock);
        raw->telling = false;
        tell_all_locked(raw);
        pthread_mutex_unlock(&raw->lock);
    }
}

void
afar__raw_tell(afar__raw *raw, unsigned due)
{
    pthread_mutex_lock(&raw->lock);
    if (!raw->over)
        raw->due |= due;
    tell_all_locked(raw);
    pthread_mutex_unlock(&raw->lock);
}

void
afar__raw_tell_over(afar__raw *raw, const afar_error *why)
{
    pthread_mutex_lock(&raw->lock);
    if (!raw->over) {
        raw->over = true;
        afar_error_copy(&raw->why, why);
        raw->due = (raw->due & AFAR__RAW_ENDED) | AFAR__RAW_OVER;
    }
    tell_all_locked(raw);
    pthread_mutex_unlock(&raw->lock);
}

void
afar__raw_listen(afar__raw *raw, const afar__raw_ops *ops, void *arg)
{
    raw->ops = ops;
    raw->arg = arg;
    /* Its user may close it from what is told. */
    afar__raw_ref(raw);
    pthread_mutex_lock(&raw->lock);
    raw->telling = false;
    tell_all_locked(raw);
    pthread_mutex_unlock(&raw->lock);
    afar__raw_unref(raw);
}

/* ---- sending ---- */

static afar_code
is_over(afar_error *err)
{
    return afar_fail(err, AFAR_CANCELLED, "the stream is over");
}

static afar_code
send_locked(afar__connection *connection, afar__session_id id, afar__session_message *message,
            afar__sending *sending, afar_error *err)
{
    afar_code code;

    if (sending) {
        afar__sending_fill_locked(sending);
        message->references = sending->references;
        message->reference_count = sending->list->count;
    }
    code = afar__session_item(connection->session, id, message, err);
    if (!code && sending)
        afar__sending_sent_locked(sending);
    afar__connection_pump_locked(connection);
    return code;
}

afar_code
afar__raw_send_on(afar__raw *raw, afar__connection *connection, afar__session_id id,
                  const void *data, size_t length, afar__ref_list *list, afar_error *err)
{
    afar__session_message message = { .payload = { data, length } };
    bool has_refs = list && list->count > 0;
    afar__sending sending;
    afar_code code = AFAR_OK;

    (void)raw;
    if (has_refs)
        code = afar__refs_prepare(connection, list, err);
    if (!code && has_refs)
        code = afar__sending_open(&sending, connection, list, err);
    if (code)
        return code;
    pthread_mutex_lock(&connection->lock);
    code = send_locked(connection, id, &message, has_refs ? &sending : NULL, err);
    pthread_mutex_unlock(&connection->lock);
    if (has_refs)
        afar__sending_close(&sending);
    return code;
}

afar_code
afar__raw_send(afar__raw *raw, const void *data, size_t length, afar__ref_list *list,
               afar_error *err)
{
    afar__connection *connection = NULL;
    afar_code code = AFAR_OK;

    pthread_mutex_lock(&raw->lock);
    if (raw->over)
        code = is_over(err);
    else if (raw->connection)
        connection = afar__connection_ref(raw->connection);
    else
        code = raw->side->queue_locked(raw, data, length, list, err);
    raw->queued |= !code && !connection;
    pthread_mutex_unlock(&raw->lock);
    if (!connection)
        return code;
    code = afar__raw_send_on(raw, connection, raw->id, data, length, list, err);
    afar__connection_unref(connection);
    return code;
}

bool
afar__raw_stalled(afar__raw *raw)
{
    afar__connection *connection = NULL;
    bool stalled;

    pthread_mutex_lock(&raw->lock);
    stalled = raw->queued && !raw->connection && !raw->over;
    if (raw->connection && !raw->over)
        connection = afar__connection_ref(raw->connection);
    pthread_mutex_unlock(&raw->lock);
    if (!connection)
        return stalled;
    pthread_mutex_lock(&connection->lock);
    stalled = afar__session_stalled(connection->session, raw->id);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
    return stalled;
}

void
afar__raw_enlist_locked(afar__raw *raw, afar__connection *connection)
{
    if (raw->listed)
        return;
    raw->listed = true;
    raw->next_idler = NULL;
    *connection->last_idler = afar__raw_ref(raw);
    connection->last_idler = &raw->next_idler;
}

void
afar__raws_idle_locked(afar__connection *connection)
{
    while (connection->idlers && !connection->writing) {
        afar__raw *raw = connection->idlers;

        connection->idlers = raw->next_idler;
        if (!connection->idlers)
            connection->last_idler = &connection->idlers;
        raw->listed = false;
        pthread_mutex_unlock(&connection->lock);
        afar__raw_tell(raw, AFAR__RAW_IDLE);
        afar__raw_unref(raw);
        pthread_mutex_lock(&connection->lock);
    }
}

bool
afar__raw_idle(afar__raw *raw)
{
    afar__connection *connection;
    bool over, idle;

    pthread_mutex_lock(&raw->lock);
    over = raw->over;
    connection = raw->connection ? afar__connection_ref(raw->connection) : NULL;
    raw->wants_idle = !connection;
    pthread_mutex_unlock(&raw->lock);
    if (!connection)
        return over;
    pthread_mutex_lock(&connection->lock);
    idle = over || !connection->writing;
    if (!idle)
        afar__raw_enlist_locked(raw, connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
    return idle;
}

/* ---- the rest of what users do ---- */

void
afar__raw_finish(afar__raw *raw, const afar_error *err)
{
    raw->side->finish(raw, err);
}

void
afar__raw_close(afar__raw *raw, void (*released)(void *arg))
{
    struct afar__raw_kept *kept, *next;
    bool over, telling;

    pthread_mutex_lock(&raw->lock);
    raw->closed = true;
    over = raw->over;
    telling = raw->telling;
    if (telling)
        raw->released = released;
    kept = take_kept_locked(raw);
    pthread_mutex_unlock(&raw->lock);
    for (; kept; kept = next) {
        next = kept->next;
        refuse_item(kept->connection, &kept->event);
        free_kept(kept);
    }
    if (!over)
        raw->side->cancel(raw);
    if (!telling && released)
        released(raw->arg);
    afar__raw_unref(raw);
}

/* ---- references that are kept ---- */

/* Done with: what was given back is told to the peer. */
static void
let_go(struct afar__raw_kept *kept)
{
    afar__connection *connection = kept->connection;

    pthread_mutex_lock(&connection->lock);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    free_kept(kept);
}

afar_code
afar__raw_keep(afar__raw_item *item, afar__raw_kept **ret_kept, afar_error *err)
{
    afar__session_event event = *item->event;
    struct afar__raw_kept *kept;
    afar_code code;

    *ret_kept = NULL;
    if (item->accepted || event.reference_count == 0)
        return AFAR_OK;
    event.payload = (afar__session_span){ NULL, 0 };
    kept = keep(item->connection, &event);
    if (!kept)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu references",
                         event.reference_count);
    item->accepted = true;
    code = afar__refs_bring_home(item->connection, kept->references, event.reference_count, err);
    if (code)
        afar__raw_give_back(kept);
    else
        *ret_kept = kept;
    return code;
}

afar_code
afar__raw_accept(afar__raw_kept *kept, const afar_refs *plan, ProtobufCMessage *message,
                 afar__arena *arena, afar_error *err)
{
    static const afar__session_event nothing = { .kind = AFAR__SESSION_ITEM };
    afar_code code;

    if (!kept)
        return afar__refs_accept(NULL, plan, message, &nothing, arena, err);
    code = afar__refs_accept(kept->connection, plan, message, &kept->event, arena, err);
    let_go(kept);
    return code;
}

void
afar__raw_give_back(afar__raw_kept *kept)
{
    if (!kept)
        return;
    afar__refs_refuse(kept->connection, &kept->event);
    let_go(kept);
}

afar_code
afar__raw_pass(afar__raw_item *item, const afar__refs_known *known, afar__ref_list *list,
               afar_error *err)
{
    item->accepted = true;
    return afar__refs_pass(item->connection, item->event, known, list, err);
}

uint32_t
afar__raw_hold(afar__raw_item *item)
{
    item->held = true;
    return item->event->cost;
}

void
afar__raw_credit(afar__raw *raw, uint32_t credit)
{
    afar__connection *connection;

    pthread_mutex_lock(&raw->lock);
    connection = raw->source && !raw->over ? afar__connection_ref(raw->source) : NULL;
    pthread_mutex_unlock(&raw->lock);
    if (!connection)
        return;
    pthread_mutex_lock(&connection->lock);
    afar__session_passed(connection->session, raw->id, credit);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
}

const afar_message_limits *
afar__raw_limits(const afar__raw_item *item)
{
    return &item->connection->node->limits;
}
