/* The server of the session tests: the services of desk.proto.
 *
 *     session_server ADDRESS [LEND_MS [MAX_LENT]]
 *
 * Prints "serving at ADDRESS" and serves until SIGTERM.  A desk is the default, one is
 * exported as "desk": they are concurrent, as their handlers wait for what they call.  One more,
 * "serial", is not.  They share their state, which `lock` guards.  A counter is serial and
 * has no lock.
 *
 * Look tells what a test cannot see from outside: how many counters were made and finalized,
 * so that the last reference in the last table is known to be gone. */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <afar/log.h>
#include <afar/server.h>

#include "desk.afar.h"

#define PATIENCE_MS 20000
#define MOST_SIZE (1u << 20)

typedef Afar__Test__Desk__Amount Amount;
typedef Afar__Test__Desk__Bytes Bytes;
typedef Afar__Test__Desk__CallBackRequest CallBackRequest;
typedef Afar__Test__Desk__CounterRef CounterRef;
typedef Afar__Test__Desk__DownRequest DownRequest;
typedef Afar__Test__Desk__ListenerRef ListenerRef;
typedef Afar__Test__Desk__Nothing Nothing;
typedef Afar__Test__Desk__Seen Seen;
typedef Afar__Test__Desk__SumRequest SumRequest;
typedef Afar__Test__Desk__Text Text;
typedef Afar__Test__Desk__Texts Texts;
typedef afar_test_desk_counter counter_ref;
typedef afar_test_desk_listener listener_ref;

static struct {
    pthread_mutex_t lock;
    uint32_t made, finalized, holding, cancelled; /* guarded by lock, as `kept` */
    listener_ref *kept;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
change(uint32_t *number, uint32_t by)
{
    pthread_mutex_lock(&state.lock);
    *number += by;
    pthread_mutex_unlock(&state.lock);
}

/* ---- counters ---- */

struct counter {
    int64_t sum;
};

static afar_code
add(void *self, const Amount *request, Amount *reply, afar_call *call)
{
    struct counter *counter = self;

    (void)call;
    counter->sum += request->amount;
    reply->amount = counter->sum;
    return AFAR_OK;
}

static afar_code
push(void *self, const Amount *request, afar_call *call)
{
    struct counter *counter = self;

    (void)call;
    counter->sum += request->amount;
    return AFAR_OK;
}

static const afar_test_desk_counter_methods counter_methods = { .add = add, .push = push };

static void
finalize(void *self)
{
    free(self);
    change(&state.finalized, 1);
}

static afar_code
make(void *self, const Nothing *request, CounterRef *reply, afar_call *call)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct counter *counter = calloc(1, sizeof *counter);
    counter_ref *object = NULL;

    (void)self;
    (void)request;
    if (!counter)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "no memory for a counter");
    options.finalizer = finalize;
    if (afar_test_desk_counter_new(&counter_methods, counter, &options, &object, &err)) {
        free(counter);
        return afar_call_fail_error(call, &err);
    }
    change(&state.made, 1);
    return afar_test_desk_counter_ref_give_counter(reply, call, object);
}

/* ---- the desk: calls and references ---- */

static afar_code
echo(void *self, const Text *request, Text *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->text = request->text;
    return AFAR_OK;
}

static afar_code
amount_of(const CounterRef *one, int64_t *sum, afar_error *err)
{
    counter_ref *counter = afar_test_desk_counter_ref_take_counter(one);
    Amount request = AFAR__TEST__DESK__AMOUNT__INIT;
    Amount *reply = NULL;

    if (!counter)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "there is no counter");
    afar_code code =
        afar_test_desk_counter_add(counter, &request, afar_after_ms(PATIENCE_MS), &reply, err);
    afar_test_desk_counter_close(counter);
    if (code)
        return code;
    *sum += reply->amount;
    afar_message_free(reply);
    return AFAR_OK;
}

static afar_code
sum(void *self, const SumRequest *request, Amount *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    (void)self;
    for (size_t i = 0; !code && i < request->n_counters; i++)
        code = amount_of(request->counters[i], &reply->amount, &err);
    return code ? afar_call_fail_error(call, &err) : AFAR_OK;
}

static afar_code
look(void *self, const Nothing *request, Seen *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)call;
    pthread_mutex_lock(&state.lock);
    reply->made = state.made;
    reply->finalized = state.finalized;
    reply->holding = state.holding;
    reply->cancelled = state.cancelled;
    pthread_mutex_unlock(&state.lock);
    return AFAR_OK;
}

/* ---- the desk: calling back ---- */

static afar_code
take_listener(const CallBackRequest *request, listener_ref **ret_listener, afar_error *err)
{
    *ret_listener = afar_test_desk_call_back_request_take_listener(request);
    if (!*ret_listener)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "there is no listener");
    return AFAR_OK;
}

static afar_code
no_memory(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the reply");
}

/* Makes room for what the listener says. */
static afar_code
begin_texts(Texts *reply, uint32_t count, afar_call *call, afar_error *err)
{
    reply->texts = afar_call_alloc(call, (count + 1) * sizeof *reply->texts);
    return reply->texts ? AFAR_OK : no_memory(err);
}

/* Keeps what the listener said, and releases its message. */
static afar_code
note_text(Texts *reply, Text *said, afar_call *call, afar_error *err)
{
    char *text = afar_call_strdup(call, said->text);

    afar_message_free(said);
    if (!text)
        return no_memory(err);
    reply->texts[reply->n_texts++] = text;
    return AFAR_OK;
}

static Text
numbered(uint32_t number, char *room, size_t length)
{
    Text text = AFAR__TEST__DESK__TEXT__INIT;

    snprintf(room, length, "%" PRIu32, number);
    text.text = room;
    return text;
}

static afar_code
call_back(void *self, const CallBackRequest *request, Texts *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    listener_ref *listener = NULL;
    afar_code code;

    (void)self;
    if (!(code = take_listener(request, &listener, &err)))
        code = begin_texts(reply, request->times, call, &err);
    for (uint32_t i = 1; !code && i <= request->times; i++) {
        char room[16];
        Text text = numbered(i, room, sizeof room);
        Text *said = NULL;

        code =
            afar_test_desk_listener_hear(listener, &text, afar_after_ms(PATIENCE_MS), &said, &err);
        if (!code)
            code = note_text(reply, said, call, &err);
    }
    afar_test_desk_listener_close(listener);
    return code ? afar_call_fail_error(call, &err) : AFAR_OK;
}

/* Says its number and hears the answer, so often; then the stream ends on both sides. */
static afar_code
talk(afar_test_desk_listener_talk_stream *stream, uint32_t times, Texts *reply, afar_call *call,
     afar_error *err)
{
    afar_deadline deadline = afar_after_ms(PATIENCE_MS);
    Text *said = NULL;
    afar_code code = AFAR_OK;

    for (uint32_t i = 1; !code && i <= times; i++) {
        char room[16];
        Text text = numbered(i, room, sizeof room);

        if (!(code = afar_test_desk_listener_talk_send(stream, &text, deadline, err)) &&
            !(code = afar_test_desk_listener_talk_receive(stream, deadline, &said, err)))
            code = note_text(reply, said, call, err);
    }
    if (code || (code = afar_test_desk_listener_talk_finish(stream, err)))
        return code;
    code = afar_test_desk_listener_talk_receive(stream, deadline, &said, err);
    if (code == AFAR_ENDED)
        return AFAR_OK;
    if (code)
        return code;
    afar_message_free(said);
    return afar_fail(err, AFAR_INTERNAL, "the listener talks on");
}

static afar_code
talk_back(void *self, const CallBackRequest *request, Texts *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    listener_ref *listener = NULL;
    afar_test_desk_listener_talk_stream *stream = NULL;
    afar_code code;

    (void)self;
    if (!(code = take_listener(request, &listener, &err)) &&
        !(code = begin_texts(reply, request->times, call, &err)) &&
        !(code = afar_test_desk_listener_talk(listener, afar_after_ms(PATIENCE_MS), NULL, &stream,
                                              &err)))
        code = talk(stream, request->times, reply, call, &err);
    afar_test_desk_listener_talk_close(stream);
    afar_test_desk_listener_close(listener);
    return code ? afar_call_fail_error(call, &err) : AFAR_OK;
}

static afar_code
notify(void *self, const CallBackRequest *request, Nothing *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    listener_ref *listener = NULL;
    afar_code code = take_listener(request, &listener, &err);

    (void)self;
    (void)reply;
    for (uint32_t i = 1; !code && i <= request->times; i++) {
        char room[16];
        Text text = numbered(i, room, sizeof room);

        code = afar_test_desk_listener_note(listener, &text, afar_after_ms(PATIENCE_MS), &err);
    }
    afar_test_desk_listener_close(listener);
    return code ? afar_call_fail_error(call, &err) : AFAR_OK;
}

/* ---- the desk: a listener that is kept ---- */

static afar_code
keep(void *self, const ListenerRef *request, Nothing *reply, afar_call *call)
{
    listener_ref *listener = afar_test_desk_listener_ref_take_listener(request);

    (void)self;
    (void)reply;
    (void)call;
    pthread_mutex_lock(&state.lock);
    listener_ref *before = state.kept;
    state.kept = listener;
    pthread_mutex_unlock(&state.lock);
    afar_test_desk_listener_close(before);
    return AFAR_OK;
}

/* Another reference to it, since Keep may come meanwhile; NULL if there is none. */
static listener_ref *
share_kept(void)
{
    afar_object *object = NULL;

    pthread_mutex_lock(&state.lock);
    if (state.kept)
        object = afar_object_share(afar_test_desk_listener_object(state.kept));
    pthread_mutex_unlock(&state.lock);
    return (listener_ref *)object;
}

static afar_code
use(void *self, const Text *request, Text *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    listener_ref *listener = share_kept();
    Text *said = NULL;

    (void)self;
    if (!listener)
        return afar_call_fail(call, AFAR_FAILED_PRECONDITION, "no listener is kept");
    afar_code code =
        afar_test_desk_listener_hear(listener, request, afar_after_ms(PATIENCE_MS), &said, &err);
    afar_test_desk_listener_close(listener);
    if (code)
        return afar_call_fail_error(call, &err);
    reply->text = afar_call_strdup(call, said->text);
    afar_message_free(said);
    return reply->text ? AFAR_OK : AFAR_RESOURCE_EXHAUSTED;
}

/* ---- the desk: calls that last ---- */

static void
give_up(afar_call *call, void *arg)
{
    bool late = afar_deadline_left_ns(afar_call_deadline(call)) == 0;

    (void)arg;
    pthread_mutex_lock(&state.lock);
    state.holding--;
    state.cancelled++;
    pthread_mutex_unlock(&state.lock);
    afar_call_finish(call, late ? AFAR_DEADLINE_EXCEEDED : AFAR_CANCELLED);
}

static afar_code
hold(void *self, const Nothing *request, Nothing *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    change(&state.holding, 1);
    afar_call_defer(call);
    afar_call_on_cancelled(call, give_up, NULL);
    return AFAR_OK;
}

static afar_code
down(void *self, const DownRequest *request, afar_test_desk_desk_down_server_stream *stream,
     afar_call *call)
{
    Bytes message = AFAR__TEST__DESK__BYTES__INIT;
    afar_code code = AFAR_OK;

    (void)self;
    if (request->size > MOST_SIZE)
        return afar_call_fail(call, AFAR_INVALID_ARGUMENT, "%" PRIu32 " bytes are too many",
                              request->size);
    message.data.len = request->size;
    if (!(message.data.data = afar_call_alloc(call, request->size + 1)))
        return AFAR_RESOURCE_EXHAUSTED;
    for (; !code && message.number < request->count; message.number++)
        code = afar_test_desk_desk_down_server_send(stream, &message, AFAR_FOREVER, NULL);
    return code;
}

static afar_code
both(void *self, afar_test_desk_desk_both_server_stream *stream, afar_call *call)
{
    const Bytes *message = NULL;
    afar_code code = afar_call_add_initial_metadata(call, "first", "1", 1, NULL);

    (void)self;
    while (!code &&
           !(code = afar_test_desk_desk_both_server_receive(stream, AFAR_FOREVER, &message, NULL)))
        code = afar_test_desk_desk_both_server_send(stream, message, AFAR_FOREVER, NULL);
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static const afar_test_desk_desk_methods desk_methods = {
    .echo = echo,
    .make = make,
    .sum = sum,
    .call_back = call_back,
    .talk_back = talk_back,
    .notify = notify,
    .keep = keep,
    .use = use,
    .hold = hold,
    .down = down,
    .both = both,
    .look = look,
};

/* ---- the program ---- */

static afar_code
export_desk(afar_server *server, afar_mode mode, const char *name, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_test_desk_desk *desk = NULL;

    options.mode = mode;
    afar_code code = afar_test_desk_desk_new(&desk_methods, NULL, &options, &desk, err);
    if (!code)
        code = afar_server_export(server, name, afar_test_desk_desk_object(desk), err);
    afar_test_desk_desk_close(desk);
    return code;
}

int
main(int argc, char **argv)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    afar_code code;

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: session_server ADDRESS [LEND_MS [MAX_LENT]]\n");
        return EXIT_FAILURE;
    }
    options.lend_ms = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    options.max_lent = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    afar_log_set(afar_log_stderr, NULL, AFAR_LOG_ERROR);
    if (!(code = afar_server_open(NULL, argv[1], &options, &server, &err)) &&
        !(code = export_desk(server, AFAR_CONCURRENT, "", &err)) &&
        !(code = export_desk(server, AFAR_CONCURRENT, "desk", &err)) &&
        !(code = export_desk(server, AFAR_SERIAL, "serial", &err))) {
        printf("serving at %s\n", afar_server_address(server));
        fflush(stdout);
        code = afar_server_run(server, &err);
    }
    if (code)
        fprintf(stderr, "session_server: %s: %s\n", afar_code_name(code), err.message);
    afar_test_desk_listener_close(state.kept);
    afar_server_close(server);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
