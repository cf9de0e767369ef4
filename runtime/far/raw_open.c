/* Raw streams that are ours: a question, and its attempts over a route.
 *
 *     looking -> sent -> over        nothing had to wait
 *     looking -> sent -> draining -> over
 *
 * Until the question was sent it may be asked again, of another connection: what is to be sent on it waits
 * here.  Then a task sends that, in order, since it may need what is not to be done under the
 * connection's lock; what comes meanwhile goes behind it.  From then on the stream is bound to the
 * connection and ends with it. */

#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/far/objects.h"
#include "runtime/far/question.h"
#include "runtime/far/raw_parts.h"
#include "runtime/far/route.h"

/* A message that waits for the connection. */
struct waiting {
    struct waiting *next;
    afar__ref_list refs;
    size_t length;
    uint8_t data[];
};

struct ours {
    afar__raw base;
    /* guarded by the lock of the base */
    struct waiting *first, **last;
    bool finished; /* nothing more is sent */
    bool sent;
    afar__connection *draining; /* to that, with a reference */

    afar__task drain;
    afar__attempts attempts;
    afar__question question;
};

static struct ours *
ours_of(afar__question *question)
{
    return (struct ours *)((char *)question - offsetof(struct ours, question));
}

/* ---- life ---- */

static void
free_waiting(struct waiting *waiting)
{
    afar__ref_list_clear(&waiting->refs);
    free(waiting);
}

static void
free_ours(afar__raw *raw)
{
    struct ours *ours = (struct ours *)raw;

    for (struct waiting *next, *waiting = ours->first; waiting; waiting = next) {
        next = waiting->next;
        free_waiting(waiting);
    }
    afar__attempts_clear(&ours->attempts);
    afar__question_clear(&ours->question);
    afar__raw_clear(raw);
    afar_node_close((afar_node *)raw->node);
    free(ours);
}

static void
ref_question(afar__question *question)
{
    afar__raw_ref(&ours_of(question)->base);
}

static void
unref_question(afar__question *question)
{
    afar__raw_unref(&ours_of(question)->base);
}

/* ---- what waits ---- */

static afar_code
queue_locked(afar__raw *raw, const void *data, size_t length, const afar__ref_list *list,
             afar_error *err)
{
    struct ours *ours = (struct ours *)raw;
    struct waiting *waiting = malloc(sizeof *waiting + length);

    if (waiting)
        afar__ref_list_init(&waiting->refs);
    if (!waiting || (list && !afar__ref_list_copy(&waiting->refs, list))) {
        free(waiting);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a message of %zu bytes",
                         length);
    }
    waiting->next = NULL;
    waiting->length = length;
    if (length > 0)
        memcpy(waiting->data, data, length);
    *ours->last = waiting;
    ours->last = &waiting->next;
    return AFAR_OK;
}

static void
end(struct ours *ours, afar__connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    afar__session_end(connection->session, ours->question.id);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
}

/* The next that waits; if none does the stream sends for itself from now on. */
static struct waiting *
take_waiting(struct ours *ours, bool *ret_finished, bool *ret_idle)
{
    struct waiting *waiting;

    pthread_mutex_lock(&ours->base.lock);
    waiting = ours->first;
    if (waiting) {
        ours->first = waiting->next;
        if (!ours->first)
            ours->last = &ours->first;
    } else {
        ours->base.connection = afar__connection_ref(ours->draining);
        *ret_finished = ours->finished;
        *ret_idle = ours->base.wants_idle;
    }
    pthread_mutex_unlock(&ours->base.lock);
    return waiting;
}

static void
run_drain(afar__task *task)
{
    struct ours *ours = (struct ours *)((char *)task - offsetof(struct ours, drain));
    afar__connection *connection = ours->draining;
    bool finished = false, wants_idle = false;
    struct waiting *waiting;
    afar_code code = AFAR_OK;
    afar_error err = AFAR_ERROR_INIT;

    while ((waiting = take_waiting(ours, &finished, &wants_idle))) {
        if (!code)
            code = afar__raw_send_on(&ours->base, connection, ours->base.id, waiting->data,
                                     waiting->length, &waiting->refs, &err);
        free_waiting(waiting);
    }
    /* That it is over comes from the connection; anything else only we know.  What was in front has gone. */
    if (code && code != AFAR_CANCELLED) {
        err.outcome = AFAR_OUTCOME_UNKNOWN;
        afar__raw_tell_over(&ours->base, &err);
        afar__question_cancel(&ours->question);
    } else if (finished) {
        end(ours, connection);
    }
    afar__raw_tell(&ours->base, (wants_idle ? AFAR__RAW_IDLE : 0u) |
                                    (afar__raw_stalled(&ours->base) ? 0u : AFAR__RAW_WRITABLE));
    afar_error_clear(&err);
    afar__connection_unref(connection);
    afar__raw_unref(&ours->base);
}

/* ---- what the question tells ---- */

/* Under the connection's lock. */
static void
sent(afar__question *question)
{
    struct ours *ours = ours_of(question);
    afar__connection *connection = question->connection;
    afar__raw *raw = &ours->base;
    bool waits;

    pthread_mutex_lock(&raw->lock);
    ours->sent = true;
    raw->id = question->id;
    waits = ours->first != NULL;
    if (waits)
        ours->draining = afar__connection_ref(connection);
    else
        raw->connection = afar__connection_ref(connection);
    if (!waits && ours->finished)
        afar__session_end(connection->session, question->id);
    if (!waits && raw->wants_idle)
        afar__raw_enlist_locked(raw, connection);
    pthread_mutex_unlock(&raw->lock);
    if (!waits)
        return;
    afar__raw_ref(raw);
    ours->drain.run = run_drain;
    afar__engine_run(&ours->drain);
}

static void
item_came(afar__question *question, const afar__session_event *event)
{
    afar__raw_item_came(&ours_of(question)->base, question->connection, event);
}

static void
writable(afar__question *question)
{
    afar__raw_tell(&ours_of(question)->base, AFAR__RAW_WRITABLE);
}

static bool
was_sent(struct ours *ours)
{
    bool was;

    pthread_mutex_lock(&ours->base.lock);
    was = ours->sent;
    pthread_mutex_unlock(&ours->base.lock);
    return was;
}

static void
over(struct ours *ours, const afar_error *how)
{
    afar__question_end(&ours->question);
    afar__raw_tell_over(&ours->base, how);
}

static void
done(afar__question *question, const afar__session_event *answer, const afar_error *err)
{
    struct ours *ours = ours_of(question);
    afar_error how = AFAR_ERROR_INIT;

    if (answer)
        afar__refs_refuse(question->connection, answer);
    if (!answer)
        afar_error_copy(&how, err);
    else if (answer->code)
        afar__question_error(question, answer, &how);
    else
        afar__fail_outcome(&how, AFAR_ENDED, AFAR_OUTCOME_ANSWERED, true,
                           "%s: the stream has ended", question->method->path);
    if (was_sent(ours)) {
        if (ours->attempts.route)
            afar__route_note(ours->attempts.route, ours->attempts.seek.number, &how);
        over(ours, &how);
    } else if (!afar__attempts_again(&ours->attempts, &how)) {
        over(ours, &how);
    }
    afar_error_clear(&how);
}

/* It found no connection, or no place. */
static void
failed(afar__attempts *attempts)
{
    over((struct ours *)((char *)attempts - offsetof(struct ours, attempts)),
         &attempts->seek.error);
}

static void
cancelled(afar__question *question)
{
    afar__attempts_cancel(&ours_of(question)->attempts);
}

static const afar__question_ops question_ops = {
    .done = done,
    .item = item_came,
    .writable = writable,
    .sent = sent,
    .cancel = cancelled,
    .ref = ref_question,
    .unref = unref_question,
};

/* ---- what its user does ---- */

static void
finish(afar__raw *raw, const afar_error *err)
{
    struct ours *ours = (struct ours *)raw;
    afar__connection *connection = NULL;

    (void)err;
    pthread_mutex_lock(&raw->lock);
    if (!ours->finished && raw->connection && !raw->over)
        connection = afar__connection_ref(raw->connection);
    ours->finished = true;
    atomic_store(&ours->question.ending, true);
    pthread_mutex_unlock(&raw->lock);
    if (!connection)
        return;
    end(ours, connection);
    afar__connection_unref(connection);
}

static void
cancel(afar__raw *raw)
{
    afar__question_cancel(&((struct ours *)raw)->question);
}

static const afar__raw_side side = { queue_locked, finish, cancel, free_ours };

/* ---- starting ---- */

static afar_code
find_way(afar_object *object, const afar_method *method, afar__way *ret_way, afar_error *err)
{
    if (!object->ops->way)
        return afar_fail(err, AFAR_UNIMPLEMENTED,
                         "%s: the object can be called by plain gRPC only, not over a session",
                         method->path);
    return object->ops->way(object, ret_way, err);
}

static afar_code
make(const afar__way *way, const afar__request *request, struct ours **ret_ours, afar_error *err)
{
    afar_node *node = afar__way_node(way);
    struct ours *ours = calloc(1, sizeof *ours);
    afar_code code;

    if (!ours) {
        afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a stream",
                  request->method->path);
        return AFAR_RESOURCE_EXHAUSTED;
    }
    code = afar__question_init(&ours->question, &question_ops, node, request, err);
    if (code) {
        free(ours);
        return code;
    }
    afar__raw_init(&ours->base, &side, afar__node_ref(node));
    ours->last = &ours->first;
    afar__attempts_init(&ours->attempts, way, &ours->question, request, failed);
    *ret_ours = ours;
    return AFAR_OK;
}

afar_code
afar__raw_open(afar_object *object, const afar_method *method, const afar__raw_ops *ops, void *arg,
               afar__raw **ret_raw, afar_error *err)
{
    afar__request request = { .method = method,
                              .deadline = AFAR_FOREVER,
                              .how = AFAR__START_ALONE };
    afar__way way = { .connection = NULL };
    struct ours *ours = NULL;
    afar_code code = find_way(object, method, &way, err);

    if (code)
        return code;
    code = make(&way, &request, &ours, err);
    if (ours) {
        ours->base.ops = ops;
        ours->base.arg = arg;
        ours->base.telling = !ops;
        *ret_raw = &ours->base;
        if (!way.route)
            afar__question_to(&ours->question, way.keep ? way.keep : object, &way);
        afar__raw_ref(&ours->base);
        afar__attempts_start(&ours->attempts, &way);
        afar__raw_unref(&ours->base);
    }
    afar__connection_unref(way.connection);
    return code;
}
