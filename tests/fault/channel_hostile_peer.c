/* What channel_hostile_peer.h says, by the codec and raw streams. */

#include "channel_hostile_peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/server.h>

#include "check.h"
#include "piece.afar.h"
#include "runtime/channel/code.h"
#include "runtime/far/raw.h"
#include "runtime/host.h"

#define MOST_CLAIMS 64

static int told; /* to the test */

static void
tell(char what, const char *text)
{
    char line[401] = { what };

    if (text)
        snprintf(line + 1, sizeof line - 1, "%s", text);
    CHECK_INT(write(told, line, sizeof line), sizeof line);
}

static void
add(afar__channel_buffer *buffer, afar__step step, const char *payload)
{
    afar__channel_span span = { (const uint8_t *)payload, payload ? strlen(payload) : 0 };

    CHECK(afar__channel_add(buffer, &step, span));
}

static void
nothing(void *arg)
{
    (void)arg;
}

/* ---- one that is attached ---- */

static void
word_came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    afar__channel_reader reader;
    afar__channel_said said;

    (void)arg;
    (void)item;
    afar__channel_reader_init(&reader, true, data, length);
    while (!afar__channel_read(&reader, &said, NULL)) {
        if (said.kind == AFAR__CHANNEL_WELCOME)
            tell('w', NULL);
        else if (said.step.kind == AFAR__STEP_MESSAGE)
            tell('m', NULL);
        else if (said.step.kind == AFAR__STEP_CLAIM)
            tell('c', NULL);
    }
}

static void
end_is_over(void *arg, const afar_error *err)
{
    (void)arg;
    tell('o', err->message);
}

static const afar__raw_ops end_ops = { word_came, nothing, nothing, nothing, end_is_over, NULL };

/* Greater than all others, so that it is claimed when the other is held; or a copy. */
static void
add_hello(afar__channel_buffer *buffer, enum peer_kind kind, const struct peer_task *task)
{
    afar__channel_hello hello = { .version = AFAR__CHANNEL_VERSION, .carries = "fault.Piece" };

    memset(hello.process, 0xff, sizeof hello.process);
    if (kind == PEER_COPIES)
        memcpy(hello.process, task->process, sizeof hello.process);
    CHECK(afar__channel_add_hello(buffer, &hello));
}

static afar__raw *
attach(afar_object *object, enum peer_kind kind, const struct peer_task *task)
{
    afar__channel_buffer buffer = { .data = NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar__raw *raw = NULL;

    CHECK_OK(
        afar__raw_open(object, afar_object_interface(object)->methods, &end_ops, NULL, &raw, &err));
    add_hello(&buffer, kind, task);
    if (kind == PEER_KEEPS_ACK)
        add(&buffer, (afar__step){ .kind = AFAR__STEP_OFFER }, NULL);
    for (uint64_t i = 1; kind != PEER_KEEPS_ACK && i <= PEER_OFFERS; i++)
        add(&buffer, (afar__step){ .kind = AFAR__STEP_OFFER, .select = i }, NULL);
    CHECK_INT(afar__raw_send(raw, buffer.data, buffer.length, NULL, NULL), AFAR_OK);
    afar__channel_buffer_free(&buffer);
    return raw;
}

static void
run_attached(enum peer_kind kind, int orders)
{
    fault_piece_receiver *receiver = NULL;
    struct peer_task task;
    afar_client *client = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar__raw *raw;
    char byte;

    CHECK_INT(read(orders, &task, sizeof task), sizeof task);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    CHECK_OK(
        fault_piece_receiver_open(client, task.receiver, afar_after_ms(10000), &receiver, &err));
    raw = attach(fault_piece_receiver_object(receiver), kind, &task);
    CHECK_INT(read(orders, &byte, 1), 0);
    afar__raw_close(raw, NULL);
    fault_piece_receiver_close(receiver);
    afar_client_close(client);
}

/* ---- one that is a home ---- */

struct port {
    afar__direction direction;
    enum peer_kind kind;
    atomic_int attached; /* so often */
};

struct visitor {
    const struct port *port;
    afar__raw *raw;
    bool honest;
    uint64_t offers, claims;
    uint64_t claimed[MOST_CLAIMS]; /* the offer of a claim */
};

/* It happens at once. */
static void
add_answer(struct visitor *visitor, afar__channel_buffer *buffer, uint64_t offer)
{
    static const char message[] = { 0x08, 0x07, 0 };

    if (visitor->port->direction == AFAR__SENDS)
        add(buffer, (afar__step){ .kind = AFAR__STEP_TAKEN, .number = offer, .count = 1 }, NULL);
    else
        add(buffer, (afar__step){ .kind = AFAR__STEP_MESSAGE, .number = offer }, message);
}

static void
take_offer(struct visitor *visitor, const afar__step *step, afar__channel_buffer *buffer)
{
    bool claims = visitor->honest || visitor->port->kind == PEER_HOME_CLAIMS;
    uint64_t offer = ++visitor->offers;

    if (step->select == 0 && visitor->honest)
        add_answer(visitor, buffer, offer);
    if (step->select == 0 || !claims || visitor->claims + 1 == MOST_CLAIMS)
        return;
    visitor->claimed[++visitor->claims] = offer;
    add(buffer, (afar__step){ .kind = AFAR__STEP_CLAIM, .offer = offer }, NULL);
}

static void
act_came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    afar__channel_welcome welcome = { AFAR__CHANNEL_LEAST_OFFERS, AFAR__CHANNEL_LEAST_WINDOW,
                                      false };
    afar__channel_buffer buffer = { .data = NULL };
    struct visitor *visitor = arg;
    afar__channel_reader reader;
    afar__channel_said said;

    (void)item;
    afar__channel_reader_init(&reader, false, data, length);
    while (!afar__channel_read(&reader, &said, NULL)) {
        if (said.kind == AFAR__CHANNEL_HELLO)
            CHECK(afar__channel_add_welcome(&buffer, &welcome));
        else if (said.step.kind == AFAR__STEP_OFFER)
            take_offer(visitor, &said.step, &buffer);
        else if (said.step.kind == AFAR__STEP_GRANT && visitor->honest)
            add_answer(visitor, &buffer, visitor->claimed[said.step.number]);
    }
    if (buffer.length > 0)
        (void)!afar__raw_send(visitor->raw, buffer.data, buffer.length, NULL, NULL);
    afar__channel_buffer_free(&buffer);
}

static void
free_visitor(void *arg)
{
    free(arg);
}

static void
visitor_is_over(void *arg, const afar_error *err)
{
    struct visitor *visitor = arg;

    (void)err;
    afar__raw_close(visitor->raw, free_visitor);
}

static void
visitor_has_finished(void *arg)
{
    afar__raw_finish(((struct visitor *)arg)->raw, NULL);
}

static const afar__raw_ops visitor_ops = { act_came, visitor_has_finished, nothing,
                                           nothing,  visitor_is_over,      NULL };

static afar_code
serve(void *self, afar_call *call)
{
    struct port *port = self;
    struct visitor *visitor = calloc(1, sizeof *visitor);
    afar_error err = AFAR_ERROR_INIT;

    CHECK(visitor);
    visitor->port = port;
    visitor->honest = atomic_fetch_add(&port->attached, 1) > 0;
    CHECK_OK(afar__raw_serve(call, &visitor_ops, visitor, &visitor->raw, &err));
    return AFAR_OK;
}

static void
run_home(enum peer_kind kind, int orders)
{
    static const char *const names[] = { "send", "receive" };
    const afar_interface *interfaces[] = { fault_piece_channel_type.sender,
                                           fault_piece_channel_type.receiver };
    struct port ports[2] = { { .direction = AFAR__SENDS, .kind = kind },
                             { .direction = AFAR__RECEIVES, .kind = kind } };
    afar_object *objects[2] = { NULL };
    afar_server *server = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char byte;

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &server, &err));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(afar__host_new(interfaces[i], serve, &ports[i], NULL, &objects[i], &err));
        afar__host_take_raw(objects[i]);
        CHECK_OK(afar_server_export(server, names[i], objects[i], &err));
    }
    CHECK_OK(afar_server_start(server, &err));
    tell('a', afar_server_address(server));
    CHECK_INT(read(orders, &byte, 1), 0);
    _exit(0); /* who is attached hears nothing of that from the server */
}

/* ---- the test's side ---- */

void
peer_start(struct peer *peer, enum peer_kind kind)
{
    int orders[2], reports[2];

    CHECK(!pipe(orders) && !pipe(reports));
    peer->pid = fork();
    CHECK(peer->pid >= 0);
    if (peer->pid == 0) {
        close(orders[1]);
        close(reports[0]);
        told = reports[1];
        if (kind == PEER_HOME_SILENT || kind == PEER_HOME_CLAIMS)
            run_home(kind, orders[0]);
        else
            run_attached(kind, orders[0]);
        _exit(0);
    }
    close(orders[0]);
    close(reports[1]);
    peer->to = orders[1];
    peer->from = reports[0];
}

void
peer_attach(struct peer *peer, const struct peer_task *task)
{
    CHECK_INT(write(peer->to, task, sizeof *task), sizeof *task);
}

void
peer_await(struct peer *peer, char what, char ret_text[400])
{
    char line[401];

    do
        CHECK_INT(read(peer->from, line, sizeof line), sizeof line);
    while (line[0] != what);
    if (ret_text)
        memcpy(ret_text, line + 1, sizeof line - 1);
}

void
peer_address(struct peer *peer, char ret_address[100])
{
    char text[400];

    peer_await(peer, 'a', text);
    snprintf(ret_address, 100, "%.99s", text);
}

void
peer_end(struct peer *peer)
{
    int status;

    close(peer->to);
    CHECK(waitpid(peer->pid, &status, 0) == peer->pid && WIFEXITED(status) &&
          WEXITSTATUS(status) == 0);
    close(peer->from);
}
