/* Raw streams that are served: calls of the peer.
 *
 * The stream begins with the call, before its handler does: what comes is kept until the handler takes it
 * (or is refused, if that answers without).  The call is answered once: by `finish`, by `close`, or
 * when the caller has gone, which is told on a library thread, as to any deferred call.
 *
 * The call has a reference to its stream until it is answered; the stream has one to the call once it was
 * taken. */

#include <stdlib.h>

#include "runtime/fail.h"
#include "runtime/far/raw_parts.h"
#include "runtime/host.h"

struct theirs {
    afar__raw base;
    afar_call *call; /* with a reference once it was taken */
    /* guarded by the lock of the base */
    bool taken; /* by its handler: answers are ours from then on */
    bool answered;
    bool finished; /* by its user */
};

static void
free_theirs(afar__raw *raw)
{
    struct theirs *theirs = (struct theirs *)raw;
    afar_call *call = theirs->taken ? theirs->call : NULL;

    afar__raw_clear(raw);
    free(theirs);
    if (call)
        afar__call_unref(call);
}

/* ---- answering ---- */

/* True for who answers. */
static bool
begin_answer(struct theirs *theirs, bool finished)
{
    bool first;

    pthread_mutex_lock(&theirs->base.lock);
    first = !theirs->answered;
    theirs->answered = true;
    theirs->finished = theirs->finished || (first && finished);
    pthread_mutex_unlock(&theirs->base.lock);
    return first;
}

static void
finish(afar__raw *raw, const afar_error *err)
{
    struct theirs *theirs = (struct theirs *)raw;
    afar_code code = err ? err->code : AFAR_OK;

    if (!begin_answer(theirs, true))
        return;
    if (code)
        afar_call_fail_error(theirs->call, err);
    afar_call_finish(theirs->call, code);
}

static void
give_up(struct theirs *theirs, const char *why)
{
    bool taken;

    pthread_mutex_lock(&theirs->base.lock);
    taken = theirs->taken;
    pthread_mutex_unlock(&theirs->base.lock);
    if (!taken || !begin_answer(theirs, false))
        return;
    afar_call_fail(theirs->call, AFAR_CANCELLED, "%s: %s", theirs->call->method->path, why);
    afar_call_finish(theirs->call, AFAR_CANCELLED);
}

static void
cancel(afar__raw *raw)
{
    give_up((struct theirs *)raw, "nobody serves it any more");
}

static const afar__raw_side side = { NULL, finish, cancel, free_theirs };

static void
caller_gone(afar_call *call, void *arg)
{
    afar__raw *raw = afar__served_raw(afar__served_of(call));

    (void)arg;
    if (!raw)
        return;
    give_up((struct theirs *)raw, "the call was given up");
    afar__raw_unref(raw);
}

void
afar__raw_answered(afar__served *served)
{
    afar__connection *connection = served->connection;
    afar_error err = AFAR_ERROR_INIT;
    struct theirs *theirs;
    bool finished;

    pthread_mutex_lock(&connection->lock);
    theirs = (struct theirs *)served->raw;
    served->raw = NULL;
    pthread_mutex_unlock(&connection->lock);
    if (!theirs)
        return;
    pthread_mutex_lock(&theirs->base.lock);
    finished = theirs->finished;
    pthread_mutex_unlock(&theirs->base.lock);
    if (!theirs->taken) {
        (void)begin_answer(theirs, false);
        afar__raw_close(&theirs->base, NULL);
        return;
    }
    afar__fail_outcome(&err, finished ? AFAR_ENDED : AFAR_CANCELLED, AFAR_OUTCOME_ANSWERED, false,
                       "%s: %s", theirs->call->method->path,
                       finished ? "the call was answered" : "the caller has gone");
    afar__raw_tell_over(&theirs->base, &err);
    afar_error_clear(&err);
    afar__raw_unref(&theirs->base);
}

/* ---- what comes ---- */

afar_code
afar__raw_expect(afar__served *served, afar_error *err)
{
    struct theirs *theirs = malloc(sizeof *theirs);

    if (!theirs)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a stream",
                         served->base.method->path);
    afar__raw_init(&theirs->base, &side, served->connection->node);
    theirs->base.telling = true; /* nobody listens yet */
    theirs->base.connection = afar__connection_ref(served->connection);
    theirs->base.id = served->id;
    theirs->call = &served->base;
    theirs->taken = theirs->answered = theirs->finished = false;
    pthread_mutex_lock(&served->connection->lock);
    served->raw = &theirs->base;
    pthread_mutex_unlock(&served->connection->lock);
    return AFAR_OK;
}

bool
afar__raw_event(afar__served *served, const afar__session_event *event)
{
    afar__raw *raw = afar__served_raw(served);

    if (!raw)
        return false;
    if (event->kind == AFAR__SESSION_ITEM)
        afar__raw_item_came(raw, served->connection, event);
    else if (event->kind == AFAR__SESSION_ENDED)
        afar__raw_tell(raw, AFAR__RAW_ENDED);
    else if (event->kind == AFAR__SESSION_WRITABLE)
        afar__raw_tell(raw, AFAR__RAW_WRITABLE);
    afar__raw_unref(raw);
    return true;
}

/* ---- taking ---- */

/* True if it was over before. */
static bool
take(struct theirs *theirs)
{
    bool over;

    pthread_mutex_lock(&theirs->base.lock);
    theirs->taken = true;
    over = theirs->base.over;
    pthread_mutex_unlock(&theirs->base.lock);
    return over;
}

afar_code
afar__raw_serve(afar_call *call, const afar__raw_ops *ops, void *arg, afar__raw **ret_raw,
                afar_error *err)
{
    struct theirs *theirs;
    bool over;

    if (!afar__is_served(call))
        return afar_fail(err, AFAR_UNIMPLEMENTED, "%s: the call did not come over a session",
                         call->method->path);
    theirs = (struct theirs *)afar__served_raw(afar__served_of(call));
    if (!theirs)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: its object does not take raw streams",
                         call->method->path);
    afar__call_ref(call);
    *ret_raw = &theirs->base;
    afar_call_defer(call);
    over = take(theirs);
    /* Once it is told it may be over and closed: that of the call goes with the answer. */
    afar__raw_ref(&theirs->base);
    afar__raw_listen(&theirs->base, ops, arg);
    afar_call_on_cancelled(call, caller_gone, NULL);
    if (over)
        give_up(theirs, "what came before it was served could not be kept");
    afar__raw_unref(&theirs->base);
    return AFAR_OK;
}
