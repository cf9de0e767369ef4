/* Relays.
 *
 * A relay is serial, so calls are passed on in the order in which they came; none keeps the turn
 * while it waits for its answer, since the answer is late (afar_call_defer).  What a relay starts belongs to
 * the call that it serves: deadline, cancellation, descent and metadata go along.
 *
 * A stream has two threads, one for each direction.  The end comes from the far side; who still
 * waits for the caller then hears that the call is over.  Each has a reference to the call.  Those of the ends of
 * channels have none, and are in relay_raw.c.
 *
 * One that is lent counts its streams from when they are served until they have ended. */

#include "runtime/far/relay.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "runtime/arena.h"
#include "runtime/far/relay_raw.h"
#include "runtime/far/served.h"
#include "runtime/host.h"

struct relay {
    afar_object *far;
    afar_object *object;  /* its own, without a reference */
    afar__loan loan;      /* of nulls: it is not lent */
    afar__task told;      /* that all have left */
    pthread_mutex_t lock; /* guards what follows */
    unsigned streams;
    bool lost; /* one of them was */
    bool left; /* that was told */
};

/* ---- answers ---- */

static void
copy_metadata(afar_call *call, const afar_metadata *metadata, bool trailing)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const afar_metadata_entry *entry = &metadata->entries[i];

        if (trailing)
            (void)afar_call_add_trailing_metadata(call, entry->key, entry->value, entry->length,
                                                  NULL);
        else
            (void)afar_call_add_initial_metadata(call, entry->key, entry->value, entry->length,
                                                 NULL);
    }
}

/* What a caller's protocol has added is no concern of the next one, and could not be sent. */
static afar_code
metadata_of(afar_call *call, afar_metadata *ret_metadata)
{
    const afar_metadata *all = afar_call_metadata(call);
    afar_metadata_entry *entries = afar_call_alloc(call, all->count * sizeof *entries + 1);
    size_t count = 0;

    if (!entries)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: no memory to pass metadata on",
                              call->method->path);
    for (size_t i = 0; i < all->count; i++) {
        afar_metadata one = { &all->entries[i], 1 };

        if (!afar_metadata_check(&one, NULL))
            entries[count++] = all->entries[i];
    }
    *ret_metadata = (afar_metadata){ entries, count };
    return AFAR_OK;
}

static void
free_message(void *message)
{
    afar_message_free(message);
}

/* The reply becomes the call's, which keeps what it points to. */
static afar_code
pass_reply(afar_call *call, ProtobufCMessage *reply)
{
    if (!afar__arena_at_end(call->arena, free_message, reply)) {
        afar_message_free(reply);
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: no memory to pass a reply on",
                              call->method->path);
    }
    memcpy(call->reply, reply, reply->descriptor->sizeof_message);
    return AFAR_OK;
}

/* That the object was not found anew is this process's matter: the caller knows nothing of it. */
static afar_code
pass_error(afar_call *call, const afar_error *err)
{
    afar_code code = err->code == AFAR_ENDED ? AFAR_INTERNAL : err->code;

    afar_call_fail_error(call, err);
    call->error.code = code;
    return code;
}

static void
answered(afar_future *future, void *arg)
{
    afar_call *call = arg;
    ProtobufCMessage *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = afar_future_await(future, call->method, AFAR_FOREVER, &reply, &err);

    copy_metadata(call, afar_future_initial_metadata(future), false);
    copy_metadata(call, afar_future_trailing_metadata(future), true);
    code = code ? pass_error(call, &err) : pass_reply(call, reply);
    afar_error_clear(&err);
    afar_future_close(future);
    afar_call_finish(call, code);
}

static afar_code
serve_unary(struct relay *relay, afar_call *call)
{
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    afar_future *future = NULL;
    afar_metadata metadata;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = metadata_of(call, &metadata);

    if (code)
        return code;
    if (call->method->flags & AFAR_METHOD_ONEWAY) {
        code = afar_object_send(relay->far, call->method, call->request, call->deadline, &err);
    } else {
        options.metadata = &metadata;
        code = afar_object_start(relay->far, call->method, call->request, call->deadline, &options,
                                 &future, &err);
    }
    if (code)
        (void)pass_error(call, &err);
    afar_error_clear(&err);
    if (code || !future)
        return code;
    afar_call_defer(call);
    afar_future_on_done(future, answered, call);
    return AFAR_OK;
}

/* ---- streams ---- */

struct passage {
    atomic_uint refs;     /* one for each direction */
    struct relay *relay;  /* that is lent, as long as the call; or NULL */
    atomic_bool finished; /* the caller has */
    afar_call *call;
    afar_stream *stream;
    afar__task up, down;
};

static void
leave(struct passage *passage)
{
    if (atomic_fetch_sub(&passage->refs, 1) != 1)
        return;
    afar_stream_close(passage->stream);
    afar__call_unref(passage->call);
    free(passage);
}

static void
begin_stream(struct relay *relay)
{
    pthread_mutex_lock(&relay->lock);
    relay->streams++;
    pthread_mutex_unlock(&relay->lock);
}

/* True: it was the last, and who lent it is to be told. */
static bool
end_stream(struct relay *relay, bool well)
{
    bool left;

    pthread_mutex_lock(&relay->lock);
    relay->streams--;
    relay->lost |= !well;
    left = relay->streams == 0 && !relay->lost && !relay->left;
    relay->left |= left;
    pthread_mutex_unlock(&relay->lock);
    return left;
}

/* From the caller to the far side, until either has enough. */
static void
run_up(afar__task *task)
{
    struct passage *passage = (struct passage *)((char *)task - offsetof(struct passage, up));
    const ProtobufCMessage *message = NULL;
    afar_code code = AFAR_OK;

    while (!code) {
        code = afar_call_receive(passage->call, AFAR_FOREVER, &message, NULL);
        if (!code)
            code = afar_stream_send(passage->stream, message, AFAR_FOREVER, NULL);
    }
    if (code == AFAR_ENDED) {
        atomic_store(&passage->finished, true);
        (void)!afar_stream_finish(passage->stream, NULL);
    }
    leave(passage);
}

/* Of a stream that has begun, or ended. */
static void
pass_initial(struct passage *passage)
{
    const afar_metadata *initial = NULL;

    if (!afar_stream_initial_metadata(passage->stream, AFAR_FOREVER, &initial, NULL))
        copy_metadata(passage->call, initial, false);
}

static afar_code
pass_down(struct passage *passage, afar_error *err)
{
    afar_call *call = passage->call;
    bool one = call->method->kind == AFAR_CLIENT_STREAM, begun = false;
    ProtobufCMessage *message = NULL;
    afar_code code = AFAR_OK;

    while (!code) {
        code = afar_stream_receive(passage->stream, AFAR_FOREVER, &message, err);
        if (!begun)
            pass_initial(passage);
        begun = true;
        if (code)
            break;
        if (one) {
            code = pass_reply(call, message);
        } else {
            code = afar_call_send(call, message, AFAR_FOREVER, err);
            afar_message_free(message);
        }
    }
    return code;
}

static void
run_down(afar__task *task)
{
    struct passage *passage = (struct passage *)((char *)task - offsetof(struct passage, down));
    afar_call *call = passage->call;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = pass_down(passage, &err);

    if (code == AFAR_ENDED)
        code = AFAR_OK;
    else if (err.code)
        code = pass_error(call, &err);
    copy_metadata(call, afar_stream_trailing_metadata(passage->stream), true);
    afar_error_clear(&err);
    if (passage->relay && end_stream(passage->relay, !code && atomic_load(&passage->finished)))
        passage->relay->loan.left(passage->relay->loan.arg);
    afar_call_finish(call, code);
    leave(passage);
}

static afar_code
serve_stream(struct relay *relay, afar_call *call)
{
    bool up = call->method->kind != AFAR_SERVER_STREAM;
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    afar_metadata metadata;
    afar_error err = AFAR_ERROR_INIT;
    struct passage *passage;
    afar_code code = metadata_of(call, &metadata);

    if (code)
        return code;
    passage = calloc(1, sizeof *passage);
    if (!passage)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "%s: no memory to pass a stream on",
                              call->method->path);
    options.metadata = &metadata;
    code = afar_object_stream(relay->far, call->method, up ? NULL : call->request, call->deadline,
                              &options, &passage->stream, &err);
    if (code) {
        free(passage);
        (void)pass_error(call, &err);
        afar_error_clear(&err);
        return code;
    }
    atomic_init(&passage->refs, up ? 2 : 1);
    passage->call = call;
    if (relay->loan.left) {
        passage->relay = relay;
        begin_stream(relay);
    }
    afar__call_ref(call);
    passage->up.run = run_up;
    passage->down.run = run_down;
    afar_call_defer(call);
    afar__engine_run(&passage->down);
    if (up)
        afar__engine_run(&passage->up);
    return AFAR_OK;
}

/* ---- streams of bytes ---- */

static void
run_told(afar__task *task)
{
    struct relay *relay = (struct relay *)((char *)task - offsetof(struct relay, told));

    relay->loan.left(relay->loan.arg);
    afar_object_close(relay->object);
}

/* Its call still keeps the relay. */
static void
raw_ended(void *arg, bool well)
{
    struct relay *relay = arg;

    if (!end_stream(relay, well))
        return;
    afar_object_share(relay->object);
    relay->told.run = run_told;
    afar__engine_run(&relay->told);
}

static afar_code
serve_raw(struct relay *relay, afar_call *call)
{
    afar_code code;

    if (!relay->loan.left)
        return afar__relay_raw(relay->far, call, NULL, NULL);
    begin_stream(relay);
    code = afar__relay_raw(relay->far, call, raw_ended, relay);
    if (code) {
        pthread_mutex_lock(&relay->lock);
        relay->streams--;
        pthread_mutex_unlock(&relay->lock);
    }
    return code;
}

/* ---- the object ---- */

static afar_code
serve(void *self, afar_call *call)
{
    struct relay *relay = self;

    if (call->method->kind == AFAR_UNARY)
        return serve_unary(relay, call);
    if (afar__is_served(call) && afar__relay_is_raw(relay->far))
        return serve_raw(relay, call);
    return serve_stream(relay, call);
}

afar_code
afar__relay_pass(afar_object *far, afar_call *call)
{
    struct relay relay = { .far = far };

    return serve(&relay, call);
}

static void
lost(void *self)
{
    struct relay *relay = self;

    afar__relay_lost(relay->far);
}

static void
finalize(void *self)
{
    struct relay *relay = self;
    afar__loan loan = relay->loan;

    afar_object_close(relay->far);
    pthread_mutex_destroy(&relay->lock);
    free(relay);
    if (loan.released)
        loan.released(loan.arg);
}

static afar_code
new_relay(afar_object *far, const afar__loan *loan, afar_object **ret_relay, afar_error *err)
{
    struct relay *relay = calloc(1, sizeof *relay);
    afar_code code;

    if (!relay)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to pass on a reference to a %s",
                         afar_object_interface(far)->name);
    relay->far = afar_object_share(far);
    pthread_mutex_init(&relay->lock, NULL);
    code = afar__host_new(afar_object_interface(far), serve, relay, finalize, ret_relay, err);
    if (code) {
        finalize(relay);
        return code;
    }
    relay->object = *ret_relay;
    if (loan)
        relay->loan = *loan;
    if (afar__relay_is_raw(far)) {
        afar__host_take_raw(*ret_relay);
        afar__host_when_lost(*ret_relay, lost);
    }
    return AFAR_OK;
}

afar_code
afar__relay_new(afar_object *far, afar_object **ret_relay, afar_error *err)
{
    return new_relay(far, NULL, ret_relay, err);
}

afar_code
afar__relay_lend(afar_object *far, const afar__loan *loan, afar_object **ret_relay, afar_error *err)
{
    return new_relay(far, loan, ret_relay, err);
}

afar_object *
afar__relay_far(afar_object *object)
{
    const struct relay *relay = afar__host_self(object, serve);

    return relay ? relay->far : NULL;
}
