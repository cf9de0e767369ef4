/* The desk: desk.h.  The desk and its listeners are concurrent, as their handlers wait for what they
 * call; a sheet has no state.  `kept` is guarded by `lock`. */

#include "desk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>

#include "check.h"

#define DEADLINE_MS 15000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static desk_listener *kept;

/* ---- objects ---- */

static void
finalize(void *self)
{
    struct board *board = self;

    atomic_fetch_add(&board->finalized, 1);
}

static void
finalize_listener(void *self)
{
    struct board *board = self;

    atomic_fetch_add(&board->unlistened, 1);
}

static void
options_of(afar_object_options *options, afar_mode mode, void (*finalizer)(void *self))
{
    static const afar_object_options plain = AFAR_OBJECT_OPTIONS_INIT;

    *options = plain;
    options->mode = mode;
    options->finalizer = finalizer;
}

static afar_code
answer(void *self, const Desk__Note *request, Desk__Note *reply, afar_call *call)
{
    (void)call;
    board_ran(self, request->number);
    reply->number = request->number;
    reply->data = request->data;
    return AFAR_OK;
}

static desk_sheet *
make_sheet(struct board *board)
{
    static const desk_sheet_methods methods = { .write = answer };
    afar_object_options options;
    afar_error err = AFAR_ERROR_INIT;
    desk_sheet *sheet = NULL;

    options_of(&options, AFAR_SERIAL, finalize);
    CHECK_OK(desk_sheet_new(&methods, board, &options, &sheet, &err));
    atomic_fetch_add(&board->made, 1);
    return sheet;
}

desk_listener *
listener_make(struct board *board)
{
    static const desk_listener_methods methods = { .hear = answer };
    afar_object_options options;
    afar_error err = AFAR_ERROR_INIT;
    desk_listener *listener = NULL;

    options_of(&options, AFAR_CONCURRENT, finalize_listener);
    CHECK_OK(desk_listener_new(&methods, board, &options, &listener, &err));
    atomic_fetch_add(&board->listeners, 1);
    return listener;
}

/* ---- references ---- */

static afar_code
make(void *self, const Desk__Note *request, Desk__Paper *reply, afar_call *call)
{
    board_ran(self, request->number);
    return desk_paper_give_sheet(reply, call, make_sheet(self));
}

static afar_code
many(void *self, const Desk__Note *request, Desk__Papers *reply, afar_call *call)
{
    size_t count = (size_t)request->count;
    Afar__Ref **sheets = afar_call_alloc(call, count * sizeof *sheets);

    CHECK(sheets);
    board_ran(self, request->number);
    reply->sheets = sheets;
    reply->n_sheets = count;
    for (size_t i = 0; i < count; i++) {
        afar_code code = desk_papers_give_sheets(reply, i, call, make_sheet(self));
        if (code)
            return code;
    }
    return AFAR_OK;
}

/* ---- calls back ---- */

static afar_code
call_back(struct board *board, desk_listener *listener, const Desk__Plea *plea, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (int64_t i = 0; i < plea->count && !code; i++) {
        Desk__Note request = DESK__NOTE__INIT, *reply = NULL;

        request.number = plea->first + i;
        board_begin(board, (int)request.number);
        code = desk_listener_hear(listener, &request, desk_deadline(), &reply, err);
        board_end(board, (int)request.number, code, err);
        afar_message_free(reply);
    }
    return code;
}

static afar_code
finish_plea(desk_listener *listener, void *self, const Desk__Plea *request, Desk__Note *reply,
            afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (!listener)
        return afar_call_fail(call, AFAR_NOT_FOUND, "there is no listener");
    code = call_back(self, listener, request, &err);
    desk_listener_close(listener);
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    reply->number = request->number;
    return code;
}

static afar_code
ask(void *self, const Desk__Plea *request, Desk__Note *reply, afar_call *call)
{
    board_ran(self, request->number);
    return finish_plea(desk_plea_take_listener(request), self, request, reply, call);
}

static afar_code
use(void *self, const Desk__Plea *request, Desk__Note *reply, afar_call *call)
{
    desk_listener *listener;

    board_ran(self, request->number);
    pthread_mutex_lock(&lock);
    listener = kept ? (desk_listener *)afar_object_share(desk_listener_object(kept)) : NULL;
    pthread_mutex_unlock(&lock);
    return finish_plea(listener, self, request, reply, call);
}

static desk_listener *
keep_instead(desk_listener *listener)
{
    desk_listener *old;

    pthread_mutex_lock(&lock);
    old = kept;
    kept = listener;
    pthread_mutex_unlock(&lock);
    return old;
}

static afar_code
keep(void *self, const Desk__Plea *request, Desk__Note *reply, afar_call *call)
{
    (void)call;
    board_ran(self, request->number);
    desk_listener_close(keep_instead(desk_plea_take_listener(request)));
    reply->number = request->number;
    return AFAR_OK;
}

void
desk_forget(void)
{
    desk_listener_close(keep_instead(NULL));
}

/* ---- streams ---- */

static afar_code
down(void *self, const Desk__Note *request, desk_desk_down_server_stream *stream, afar_call *call)
{
    afar_code code = AFAR_OK;

    (void)call;
    board_ran(self, request->number);
    for (int64_t i = 0; i < request->count && !code; i++) {
        Desk__Note note = DESK__NOTE__INIT;

        note.count = i;
        note.data = request->data;
        code = desk_desk_down_server_send(stream, &note, desk_deadline(), NULL);
    }
    return code;
}

static afar_code
up(void *self, desk_desk_up_server_stream *stream, Desk__Note *reply, afar_call *call)
{
    const Desk__Note *note = NULL;
    afar_code code;

    (void)call;
    while (!(code = desk_desk_up_server_receive(stream, desk_deadline(), &note, NULL)))
        if (reply->count++ == 0)
            board_ran(self, note->number);
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
talk(void *self, desk_desk_talk_server_stream *stream, afar_call *call)
{
    const Desk__Note *note = NULL;
    int64_t count = 0;
    afar_code code;

    (void)call;
    while (!(code = desk_desk_talk_server_receive(stream, desk_deadline(), &note, NULL))) {
        Desk__Note back = DESK__NOTE__INIT;

        if (count++ == 0)
            board_ran(self, note->number);
        back.data = note->data;
        if ((code = desk_desk_talk_server_send(stream, &back, desk_deadline(), NULL)))
            return code;
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static void
let_go(afar_call *call, void *arg)
{
    struct board *board = arg;

    atomic_fetch_sub(&board->holding, 1);
    afar_call_finish(call, AFAR_CANCELLED);
}

static afar_code
hold(void *self, const Desk__Note *request, Desk__Note *reply, afar_call *call)
{
    struct board *board = self;

    (void)reply;
    board_ran(board, request->number);
    atomic_fetch_add(&board->holding, 1);
    afar_call_defer(call);
    afar_call_on_cancelled(call, let_go, board);
    return AFAR_OK;
}

/* ---- the desk ---- */

desk_desk *
desk_make(struct board *board)
{
    static const desk_desk_methods methods = { .echo = answer,
                                               .make = make,
                                               .many = many,
                                               .ask = ask,
                                               .keep = keep,
                                               .use = use,
                                               .down = down,
                                               .up = up,
                                               .talk = talk,
                                               .hold = hold };
    afar_object_options options;
    afar_error err = AFAR_ERROR_INIT;
    desk_desk *desk = NULL;

    options_of(&options, AFAR_CONCURRENT, finalize);
    CHECK_OK(desk_desk_new(&methods, board, &options, &desk, &err));
    atomic_fetch_add(&board->made, 1);
    return desk;
}

void
desk_name(const char *address, char text[128])
{
    snprintf(text, 128, "afar://%s/desk", address);
}

afar_deadline
desk_deadline(void)
{
    return afar_after_ms(DEADLINE_MS);
}

afar_node *
desk_node(const struct desk_options *options)
{
    afar_node_options all = AFAR_NODE_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    all.session_idle_ms = options->idle_ms;
    all.session_dead_ms = options->dead_ms;
    CHECK_OK(afar_node_open(&all, &node, &err));
    return node;
}

/* ---- serving ---- */

/* A first session: what the library keeps for good is there when descriptors are counted. */
static void
be_the_first(const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    desk_desk *desk = NULL;
    char name[128];

    desk_name(address, name);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    CHECK_OK(desk_desk_open(client, name, desk_deadline(), &desk, &err));
    desk_desk_close(desk);
    afar_client_close(client);
}

/* The desk itself stays. */
static bool
all_is_gone(const void *arg)
{
    const struct board *board = arg;

    return atomic_load(&board->finalized) == atomic_load(&board->made) - 1 &&
           atomic_load(&board->holding) == 0;
}

static bool
has_at_most(const void *count)
{
    return descriptor_count() <= *(const int *)count;
}

static bool
are_few_threads(const void *most)
{
    return live_threads() < *(const int *)most;
}

static void
serve_until_told(struct board *board, const struct desk_options *options, afar_server *server)
{
    static const int most_threads = 20;
    int before;

    be_the_first(afar_server_address(server));
    before = descriptor_count();
    snprintf(board->address, sizeof board->address, "%s", afar_server_address(server));
    atomic_store(&board->serving, true);
    wait_for_flag(&board->finish);
    desk_forget();
    wait_until(all_is_gone, board, "the server's objects and calls are gone");
    if (!options->silent)
        wait_until(has_at_most, &before, "the server's descriptors are closed");
    wait_until(are_few_threads, &most_threads, "the server's threads are gone");
}

void
desk_serve(struct board *board, const struct desk_options *options)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    afar_node *node = desk_node(options);
    desk_desk *desk = desk_make(board);

    CHECK_OK(afar_server_open(node, "127.0.0.1:0", NULL, &server, &err));
    CHECK_OK(afar_server_export(server, "desk", desk_desk_object(desk), &err));
    CHECK_OK(afar_server_start(server, &err));
    desk_desk_close(desk);
    serve_until_told(board, options, server);
    afar_server_close(server);
    afar_node_close(node);
    exit(EXIT_SUCCESS);
}
