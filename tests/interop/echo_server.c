/* The interop server: the services of test.proto, for clients in any language.
 *
 *     echo_server ADDRESS [--grace MS] [--silent MS] [--connections N]
 *
 * Prints "serving at ADDRESS" and serves until SIGTERM.  Echo is exported as the
 * default object and, for who chooses by name, as "alice" and "bob"; Monitor has
 * one object with a name, which is its default since it is the only one.
 *
 * A call that waits for something (a request that is held, a look whose condition
 * does not hold yet) is deferred and stands in one list, known by a number: a
 * resume and a caller who gives up may come at the same moment, and whoever takes
 * the call out of the list finishes it, after unlocking.  Handlers run on several
 * threads, as the objects are concurrent; `lock` guards all state. */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/log.h>
#include <afar/server.h>

#include "test.afar.h"

struct waiting {
    struct waiting *next;
    uintptr_t number;
    afar_call *call;
    bool looks;                        /* a look; else a request that is held */
    Afar__Test__LookRequest condition; /* of a look */
};

static struct {
    pthread_mutex_t lock;
    struct waiting *waiting; /* guarded by lock, as all that follows */
    uintptr_t last_number;
    uint32_t started, held, cancelled;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- calls that wait ---- */

static bool
holds_locked(const Afar__Test__LookRequest *condition)
{
    return state.started >= condition->started && state.held >= condition->held &&
           state.cancelled >= condition->cancelled;
}

static void
show_locked(afar_call *call)
{
    Afar__Test__Seen *seen = (Afar__Test__Seen *)afar_call_reply(call);

    seen->started = state.started;
    seen->held = state.held;
    seen->cancelled = state.cancelled;
}

static void
move_locked(struct waiting **from, struct waiting **to)
{
    struct waiting *moved = *from;

    *from = moved->next;
    moved->next = *to;
    *to = moved;
}

/* Moves the looks whose condition holds now to `done`. */
static void
take_looks_locked(struct waiting **done)
{
    for (struct waiting **link = &state.waiting; *link;) {
        if ((*link)->looks && holds_locked(&(*link)->condition)) {
            show_locked((*link)->call);
            move_locked(link, done);
        } else {
            link = &(*link)->next;
        }
    }
}

static void
finish(struct waiting *done, afar_code code)
{
    while (done) {
        struct waiting *next = done->next;

        afar_call_finish(done->call, code);
        free(done);
        done = next;
    }
}

/* The caller of a call that waits has given up. */
static void
give_up(afar_call *call, void *arg)
{
    struct waiting *mine = NULL, *done = NULL;

    (void)call;
    pthread_mutex_lock(&state.lock);
    for (struct waiting **link = &state.waiting; *link; link = &(*link)->next) {
        if ((*link)->number != (uintptr_t)arg)
            continue;
        state.cancelled += !(*link)->looks;
        state.held -= !(*link)->looks;
        move_locked(link, &mine);
        break;
    }
    take_looks_locked(&done);
    pthread_mutex_unlock(&state.lock);
    finish(mine, AFAR_CANCELLED);
    finish(done, AFAR_OK);
}

/* Puts a call in the list unless its caller has given up meanwhile. */
static afar_code
put_locked(struct waiting *waiting)
{
    if (afar_call_cancelled(waiting->call)) {
        state.cancelled += !waiting->looks;
        free(waiting);
        return AFAR_CANCELLED;
    }
    afar_call_defer(waiting->call);
    state.held += !waiting->looks;
    waiting->next = state.waiting;
    state.waiting = waiting;
    return AFAR_OK;
}

/* Defers a call; a look with its condition. */
static afar_code
wait_for_it(afar_call *call, const Afar__Test__LookRequest *condition)
{
    struct waiting *waiting = calloc(1, sizeof *waiting), *done = NULL;

    if (!waiting)
        return AFAR_RESOURCE_EXHAUSTED;
    waiting->call = call;
    waiting->looks = condition != NULL;
    if (condition)
        waiting->condition = *condition;
    pthread_mutex_lock(&state.lock);
    uintptr_t number = waiting->number = ++state.last_number;
    pthread_mutex_unlock(&state.lock);

    /* Until it is in the list the call is ours alone, so it is watched before: what
     * the watch reports too early is asked for when it is put in. */
    afar_call_on_cancelled(call, give_up, (void *)number);
    pthread_mutex_lock(&state.lock);
    afar_code code = put_locked(waiting);
    take_looks_locked(&done);
    pthread_mutex_unlock(&state.lock);
    finish(done, AFAR_OK);
    return code;
}

/* ---- Monitor ---- */

static afar_code
look(void *self, const Afar__Test__LookRequest *request, Afar__Test__Seen *reply, afar_call *call)
{
    (void)self;
    (void)reply;
    return wait_for_it(call, request);
}

static afar_code
resume(void *self, const Afar__Test__Nothing *request, Afar__Test__Nothing *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    (void)call;

    struct waiting *done = NULL;
    pthread_mutex_lock(&state.lock);
    for (struct waiting **link = &state.waiting; *link;) {
        if ((*link)->looks) {
            link = &(*link)->next;
        } else {
            move_locked(link, &done);
            state.held--;
        }
    }
    take_looks_locked(&done);
    pthread_mutex_unlock(&state.lock);
    finish(done, AFAR_OK);
    return AFAR_OK;
}

static const afar_test_monitor_methods monitor_methods = { .look = look, .resume = resume };

/* ---- Echo ---- */

static void
count(uint32_t *counter)
{
    struct waiting *done = NULL;

    pthread_mutex_lock(&state.lock);
    ++*counter;
    take_looks_locked(&done);
    pthread_mutex_unlock(&state.lock);
    finish(done, AFAR_OK);
}

static bool
begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static afar_code
begin(afar_call *call)
{
    const afar_metadata *metadata = afar_call_metadata(call);
    afar_code code = AFAR_OK;

    count(&state.started);
    for (size_t i = 0; i < metadata->count && !code; i++) {
        const afar_metadata_entry *entry = &metadata->entries[i];

        if (begins_with(entry->key, "x-initial"))
            code =
                afar_call_add_initial_metadata(call, entry->key, entry->value, entry->length, NULL);
        else if (begins_with(entry->key, "x-trailing"))
            code = afar_call_add_trailing_metadata(call, entry->key, entry->value, entry->length,
                                                   NULL);
    }
    return code;
}

/* What a stream's handler returns when a send or a receive failed. */
static afar_code
ended(afar_call *call, afar_code code)
{
    if (code == AFAR_ENDED)
        return AFAR_OK;
    if (afar_call_cancelled(call))
        count(&state.cancelled);
    return code;
}

/* Fails as the request says, or returns AFAR_OK. */
static afar_code
fail(afar_call *call, const Afar__Test__Failure *failure)
{
    afar_code code = failure ? (afar_code)failure->code : AFAR_OK;

    if (!code)
        return AFAR_OK;
    if (failure->reason[0] == '\0')
        return afar_call_fail(call, code, "%s", failure->message);

    Afar__Test__Refused why = AFAR__TEST__REFUSED__INIT;
    why.reason = failure->reason;
    why.limit = 42;
    return afar_test_refused_fail(call, code, &why, "%s", failure->message);
}

/* Fills a reply with what the request asks for; it borrows from both. */
static afar_code
answer(Afar__Test__Reply *reply, const Afar__Test__Request *request, uint32_t number,
       afar_call *call)
{
    reply->text = request->text;
    reply->payload = request->payload;
    reply->number = number;
    reply->object = (char *)afar_call_object_name(call);
    if (request->size == 0)
        return AFAR_OK;
    reply->payload.len = request->size;
    reply->payload.data = afar_call_alloc(call, request->size);
    return reply->payload.data ? AFAR_OK : AFAR_RESOURCE_EXHAUSTED;
}

static afar_code
unary(void *self, const Afar__Test__Request *request, Afar__Test__Reply *reply, afar_call *call)
{
    afar_code code;

    (void)self;
    if ((code = begin(call)) || (code = fail(call, request->fail)) ||
        (code = answer(reply, request, 0, call)))
        return code;
    return request->hold ? wait_for_it(call, NULL) : AFAR_OK;
}

static afar_code
down(void *self, const Afar__Test__Request *request, afar_test_echo_down_server_stream *stream,
     afar_call *call)
{
    Afar__Test__Reply reply = AFAR__TEST__REPLY__INIT;
    afar_code code;

    (void)self;
    if ((code = begin(call)) || (code = answer(&reply, request, 0, call)))
        return code;
    for (; reply.number < request->count; reply.number++)
        if ((code = afar_test_echo_down_server_send(stream, &reply, AFAR_FOREVER, NULL)))
            return ended(call, code);
    if ((code = fail(call, request->fail)))
        return code;
    return request->hold ? wait_for_it(call, NULL) : AFAR_OK;
}

static afar_code
up(void *self, afar_test_echo_up_server_stream *stream, Afar__Test__Summary *reply, afar_call *call)
{
    const Afar__Test__Request *request = NULL;
    afar_code code = begin(call);

    (void)self;
    if (code)
        return code;
    while (!(code = afar_test_echo_up_server_receive(stream, AFAR_FOREVER, &request, NULL))) {
        if ((code = fail(call, request->fail)))
            return code;
        reply->count++;
        reply->bytes += request->payload.len;
        if (!(reply->last = afar_call_strdup(call, request->text)))
            return AFAR_RESOURCE_EXHAUSTED;
    }
    return ended(call, code);
}

static afar_code
both(void *self, afar_test_echo_both_server_stream *stream, afar_call *call)
{
    const Afar__Test__Request *request = NULL;
    uint32_t number = 0;
    afar_code code = begin(call);

    (void)self;
    if (code)
        return code;
    while (!(code = afar_test_echo_both_server_receive(stream, AFAR_FOREVER, &request, NULL))) {
        Afar__Test__Reply reply = AFAR__TEST__REPLY__INIT;

        if ((code = fail(call, request->fail)) || (code = answer(&reply, request, number++, call)))
            return code;
        if ((code = afar_test_echo_both_server_send(stream, &reply, AFAR_FOREVER, NULL)))
            break;
    }
    return ended(call, code);
}

static const afar_test_echo_methods echo_methods = {
    .unary = unary, .down = down, .up = up, .both = both
};

/* ---- the program ---- */

static afar_code
export_echo(afar_server *server, const char *name, afar_mode mode, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_test_echo *object = NULL;

    options.mode = mode;
    afar_code code = afar_test_echo_new(&echo_methods, NULL, &options, &object, err);
    if (!code)
        code = afar_server_export(server, name, afar_test_echo_object(object), err);
    afar_test_echo_close(object);
    return code;
}

static afar_code
export_monitor(afar_server *server, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_test_monitor *object = NULL;

    options.mode = AFAR_CONCURRENT;
    afar_code code = afar_test_monitor_new(&monitor_methods, NULL, &options, &object, err);
    if (!code)
        code = afar_server_export(server, "monitor", afar_test_monitor_object(object), err);
    afar_test_monitor_close(object);
    return code;
}

static bool
read_options(int argc, char **argv, afar_server_options *options)
{
    for (int i = 2; i < argc; i += 2) {
        int64_t value = i + 1 < argc ? atoll(argv[i + 1]) : 0;

        if (strcmp(argv[i], "--grace") == 0)
            options->grace_ms = value;
        else if (strcmp(argv[i], "--silent") == 0)
            options->silent_ms = value;
        else if (strcmp(argv[i], "--connections") == 0)
            options->max_connections = (unsigned)value;
        else
            return false;
    }
    return argc > 1;
}

int
main(int argc, char **argv)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    afar_code code;

    if (!read_options(argc, argv, &options)) {
        fprintf(stderr,
                "usage: echo_server ADDRESS [--grace MS] [--silent MS] [--connections N]\n");
        return EXIT_FAILURE;
    }
    afar_log_set(afar_log_stderr, NULL, AFAR_LOG_ERROR);
    if (!(code = afar_server_open(NULL, argv[1], &options, &server, &err)) &&
        !(code = export_echo(server, "", AFAR_CONCURRENT, &err)) &&
        !(code = export_echo(server, "alice", AFAR_SERIAL, &err)) &&
        !(code = export_echo(server, "bob", AFAR_SERIAL, &err)) &&
        !(code = export_monitor(server, &err))) {
        printf("serving at %s\n", afar_server_address(server));
        fflush(stdout);
        code = afar_server_run(server, &err);
    }
    if (code)
        fprintf(stderr, "echo_server: %s: %s\n", afar_code_name(code), err.message);
    afar_server_close(server);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
