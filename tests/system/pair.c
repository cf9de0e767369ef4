/* Servers, clients and objects for the tests: what pair.h says.
 *
 * The gates keep deferred calls in one list, under one lock.  Who takes a call from
 * its entry finishes it, after unlocking, so that opening a gate and a caller who
 * gives up may meet.  Entries stay until the process ends with its test: whoever
 * was told of a caller too late finds the entry, and in it that nothing is left to
 * do. */

#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const transports[4] = { TCP, UNIX, INPROC, NULL };

void
pair_open(struct pair *pair, const char *address)
{
    pair_open_with(pair, NULL, address, NULL);
}

void
pair_open_with(struct pair *pair, afar_node *node, const char *address,
               const afar_server_options *options)
{
    afar_error err = AFAR_ERROR_INIT;
    char path[108];

    *pair = (struct pair){ NULL, NULL };
    snprintf(path, sizeof path, "unix:%s/socket", check_folder());
    CHECK_OK(afar_server_open(node, strcmp(address, UNIX) == 0 ? path : address, options,
                              &pair->server, &err));
    CHECK_OK(afar_server_start(pair->server, &err));
    CHECK_OK(afar_client_open(node, NULL, &pair->client, &err));
}

void
pair_close(struct pair *pair)
{
    afar_client_close(pair->client);
    afar_server_close(pair->server);
}

char *
pair_name(const struct pair *pair, const char *name, char text[300])
{
    const char *address = afar_server_address(pair->server);
    bool is_tcp = strncmp(address, "unix:", 5) != 0 && strncmp(address, "inproc:", 7) != 0;

    snprintf(text, 300, "%s%s%s%s", is_tcp ? "grpc://" : "", address, name[0] ? "/" : "", name);
    return text;
}

test_probe *
make_probe(const test_probe_methods *methods, void *self, afar_mode mode)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    test_probe *probe = NULL;

    options.mode = mode;
    CHECK_OK(test_probe_new(methods, self, &options, &probe, &err));
    return probe;
}

void
export_probe(afar_server *server, const char *name, test_probe *probe)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_export(server, name, test_probe_object(probe), &err));
}

test_probe *
pair_reach(struct pair *pair, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    test_probe *probe = NULL;
    char text[300];

    CHECK_OK(test_probe_open(pair->client, pair_name(pair, name, text), soon(), &probe, &err));
    return probe;
}

test_probe *
pair_probe(struct pair *pair, const char *name, const test_probe_methods *methods, void *self,
           afar_mode mode)
{
    test_probe *near = make_probe(methods, self, mode);

    export_probe(pair->server, name, near);
    test_probe_close(near);
    return pair_reach(pair, name);
}

/* ---- calling ---- */

afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

afar_code
ask(test_probe *probe, int64_t number, int64_t *ret_number, afar_error *err)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;

    request.number = number;
    afar_code code = test_probe_ask(probe, &request, soon(), &reply, err);
    if (!code)
        *ret_number = reply->number;
    afar_message_free(reply);
    return code;
}

int64_t
asked(test_probe *probe, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t answer = 0;

    CHECK_OK(ask(probe, number, &answer, &err));
    return answer;
}

afar_future *
start_ask(test_probe *probe, int64_t number, afar_deadline deadline)
{
    Test__Packet request = TEST__PACKET__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    request.number = number;
    CHECK_OK(test_probe_ask_start(probe, &request, deadline, NULL, &future, &err));
    return future;
}

int64_t
finish_ask(afar_future *future)
{
    afar_error err = AFAR_ERROR_INIT;
    Test__Packet *reply = NULL;

    CHECK_OK(test_probe_ask_await(future, soon(), &reply, &err));
    int64_t number = reply->number;
    afar_message_free(reply);
    afar_future_close(future);
    return number;
}

/* ---- handlers that answer ---- */

static afar_code
echo_ask(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number + 1;
    reply->text = request->text;
    reply->data = request->data;
    return AFAR_OK;
}

static afar_code
echo_list(void *self, const Test__Packet *request, test_probe_list_server_stream *stream,
          afar_call *call)
{
    Test__Packet packet = TEST__PACKET__INIT;

    (void)self;
    (void)call;
    packet.data = request->data;
    for (; packet.number < request->number; packet.number++) {
        afar_code code = test_probe_list_server_send(stream, &packet, AFAR_FOREVER, NULL);
        if (code)
            return code;
    }
    return AFAR_OK;
}

static afar_code
echo_gather(void *self, test_probe_gather_server_stream *stream, Test__Packet *reply,
            afar_call *call)
{
    const Test__Packet *packet = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = test_probe_gather_server_receive(stream, AFAR_FOREVER, &packet, NULL)))
        reply->number += packet->number;
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
echo_talk(void *self, test_probe_talk_server_stream *stream, afar_call *call)
{
    const Test__Packet *packet = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = test_probe_talk_server_receive(stream, AFAR_FOREVER, &packet, NULL))) {
        Test__Packet answer = TEST__PACKET__INIT;

        answer.number = packet->number + 1;
        answer.data = packet->data;
        if ((code = test_probe_talk_server_send(stream, &answer, AFAR_FOREVER, NULL)))
            return code;
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

const test_probe_methods echo_methods = {
    .ask = echo_ask, .list = echo_list, .gather = echo_gather, .talk = echo_talk
};

/* ---- the gate ---- */

struct gate_call {
    struct gate_call *next;
    struct gate *gate;
    afar_call *call;
};

static pthread_mutex_t gates_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate_call *gate_calls; /* guarded by gates_lock, as what the entries hold */

/* The caller of `arg` gave up.  It may be that nobody waits to hear of it: the gate is told
 * under the lock, since it may be gone after gate_close. */
static void
gate_leave(afar_call *call, void *arg)
{
    struct gate_call *entry = arg;

    pthread_mutex_lock(&gates_lock);
    bool mine = entry->call != NULL;
    entry->call = NULL;
    if (mine && entry->gate)
        event_raise(&entry->gate->left);
    pthread_mutex_unlock(&gates_lock);
    if (mine)
        afar_call_finish(call, AFAR_CANCELLED);
}

static afar_code
gate_enter(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    struct gate *gate = self;
    struct gate_call *entry = calloc(1, sizeof *entry);

    CHECK(entry);
    reply->number = request->number;
    entry->gate = gate;
    afar_call_on_cancelled(call, gate_leave, entry);
    pthread_mutex_lock(&gates_lock);
    entry->next = gate_calls;
    gate_calls = entry;
    bool is_over = afar_call_cancelled(call);
    if (!gate->open && !is_over) {
        afar_call_defer(call);
        entry->call = call;
    }
    pthread_mutex_unlock(&gates_lock);
    if (is_over)
        event_raise(&gate->left);
    event_raise(&gate->entered);
    return is_over ? AFAR_CANCELLED : AFAR_OK;
}

static const test_probe_methods gate_methods = { .ask = gate_enter };

void
gate_init(struct gate *gate)
{
    *gate = (struct gate){ .entered = EVENT_INIT, .left = EVENT_INIT };
    gate->probe = make_probe(&gate_methods, gate, AFAR_CONCURRENT);
}

afar_code
gate_pass(struct gate *gate, afar_error *err)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    afar_code code = test_probe_ask(gate->probe, &request, AFAR_FOREVER, &reply, err);

    afar_message_free(reply);
    return code;
}

/* Takes a call that still waits at the gate, or NULL. */
static afar_call *
gate_take(struct gate *gate)
{
    afar_call *call = NULL;

    pthread_mutex_lock(&gates_lock);
    gate->open = true;
    for (struct gate_call *entry = gate_calls; entry && !call; entry = entry->next) {
        if (entry->gate != gate)
            continue;
        call = entry->call;
        entry->call = NULL;
    }
    pthread_mutex_unlock(&gates_lock);
    return call;
}

void
gate_open(struct gate *gate)
{
    afar_call *call;

    while ((call = gate_take(gate)))
        afar_call_finish(call, AFAR_OK);
}

void
gate_close(struct gate *gate)
{
    gate_open(gate);
    pthread_mutex_lock(&gates_lock);
    for (struct gate_call *entry = gate_calls; entry; entry = entry->next)
        if (entry->gate == gate)
            entry->gate = NULL;
    pthread_mutex_unlock(&gates_lock);
    test_probe_close(gate->probe);
}
