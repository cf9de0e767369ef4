/* The visit, step by step: visitor.h.  A step makes calls, each with the next number, and says
 * whether all of them succeeded. */

#include "visitor.h"

#include <stdlib.h>

#include "check.h"

#define ITEMS 30
#define AT_ONCE 20

struct visit {
    struct board *board;
    afar_client *client;
    desk_desk *desk;
    desk_sheet *sheet, *sheets[4];
    desk_listener *listener;
    int next; /* the next call's number */
    uint8_t bytes[3000];
};

static int
begin(struct visit *visit)
{
    int number = visit->next++;

    board_begin(visit->board, number);
    return number;
}

/* Clears the error; whether the call succeeded. */
static bool
end(struct visit *visit, int number, afar_code code, afar_error *err)
{
    board_end(visit->board, number, code, err);
    afar_error_clear(err);
    return code == AFAR_OK;
}

/* ---- calls ---- */

static bool
echo(struct visit *visit)
{
    Desk__Note request = DESK__NOTE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    request.number = begin(visit);
    request.data = (ProtobufCBinaryData){ 100, visit->bytes };
    code = desk_desk_echo(visit->desk, &request, desk_deadline(), &reply, &err);
    CHECK(code || reply->data.len == 100);
    afar_message_free(reply);
    return end(visit, (int)request.number, code, &err);
}

static bool
write_on(struct visit *visit, desk_sheet *sheet)
{
    Desk__Note request = DESK__NOTE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    request.number = begin(visit);
    code = desk_sheet_write(sheet, &request, desk_deadline(), &reply, &err);
    afar_message_free(reply);
    return end(visit, (int)request.number, code, &err);
}

static bool
echo_at_once(struct visit *visit)
{
    afar_future *futures[AT_ONCE] = { NULL };
    int first = visit->next;
    bool ok = true;

    for (int i = 0; i < AT_ONCE; i++) {
        Desk__Note request = DESK__NOTE__INIT;
        afar_error err = AFAR_ERROR_INIT;

        request.number = begin(visit);
        CHECK_OK(
            desk_desk_echo_start(visit->desk, &request, desk_deadline(), NULL, &futures[i], &err));
    }
    for (int i = 0; i < AT_ONCE; i++) {
        afar_error err = AFAR_ERROR_INIT;
        Desk__Note *reply = NULL;
        afar_code code = desk_desk_echo_await(futures[i], desk_deadline(), &reply, &err);

        CHECK(code || reply->number == first + i);
        ok = end(visit, first + i, code, &err) && ok;
        afar_message_free(reply);
        afar_future_close(futures[i]);
    }
    return ok;
}

/* ---- references ---- */

static bool
get_sheet(struct visit *visit)
{
    Desk__Note request = DESK__NOTE__INIT;
    Desk__Paper *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    request.number = begin(visit);
    code = desk_desk_make(visit->desk, &request, desk_deadline(), &reply, &err);
    if (!code)
        visit->sheet = desk_paper_take_sheet(reply);
    CHECK(code || visit->sheet);
    afar_message_free(reply);
    return end(visit, (int)request.number, code, &err) && write_on(visit, visit->sheet);
}

static bool
get_sheets(struct visit *visit)
{
    Desk__Note request = DESK__NOTE__INIT;
    Desk__Papers *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    request.number = begin(visit);
    request.count = 50;
    code = desk_desk_many(visit->desk, &request, desk_deadline(), &reply, &err);
    for (size_t i = 0; !code && i < 4; i++)
        CHECK((visit->sheets[i] = desk_papers_take_sheets(reply, i)));
    afar_message_free(reply);
    return end(visit, (int)request.number, code, &err) && write_on(visit, visit->sheets[3]);
}

static void
give_back(struct visit *visit)
{
    desk_sheet_close(visit->sheet);
    visit->sheet = NULL;
    for (size_t i = 0; i < 4; i++) {
        desk_sheet_close(visit->sheets[i]);
        visit->sheets[i] = NULL;
    }
}

typedef afar_code (*plea_fn)(desk_desk *desk, const Desk__Plea *request, afar_deadline deadline,
                             Desk__Note **ret_reply, afar_error *err);

static bool
plead(struct visit *visit, plea_fn method, int first, int count)
{
    Desk__Plea request = DESK__PLEA__INIT;
    Desk__Note *reply = NULL;
    Afar__Ref room;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    request.number = begin(visit);
    request.first = first;
    request.count = count;
    desk_plea_put_listener(&request, &room, visit->listener);
    code = method(visit->desk, &request, desk_deadline(), &reply, &err);
    afar_message_free(reply);
    return end(visit, (int)request.number, code, &err);
}

static bool
be_called(struct visit *visit)
{
    return plead(visit, desk_desk_ask, VISITOR_BACK, 2) &&
           plead(visit, desk_desk_keep, VISITOR_BACK, 0);
}

/* The server has the listener by itself. */
static bool
be_called_later(struct visit *visit)
{
    desk_listener_close(visit->listener);
    visit->listener = NULL;
    return plead(visit, desk_desk_use, VISITOR_BACK + 2, 1);
}

/* ---- streams ---- */

static bool
receive_all(struct visit *visit)
{
    Desk__Note request = DESK__NOTE__INIT, *note = NULL;
    desk_desk_down_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int64_t count = 0;
    afar_code code;

    request.number = begin(visit);
    request.count = ITEMS;
    request.data = (ProtobufCBinaryData){ sizeof visit->bytes, visit->bytes };
    code = desk_desk_down(visit->desk, &request, desk_deadline(), NULL, &stream, &err);
    while (!code && !(code = desk_desk_down_receive(stream, desk_deadline(), &note, &err))) {
        CHECK_INT(note->count, count++);
        afar_message_free(note);
    }
    if (code == AFAR_ENDED) {
        CHECK_INT(count, ITEMS);
        code = AFAR_OK;
    }
    desk_desk_down_close(stream);
    return end(visit, (int)request.number, code, &err);
}

static bool
send_all(struct visit *visit)
{
    Desk__Note note = DESK__NOTE__INIT, *reply = NULL;
    desk_desk_up_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    note.number = begin(visit);
    note.data = (ProtobufCBinaryData){ sizeof visit->bytes, visit->bytes };
    code = desk_desk_up(visit->desk, desk_deadline(), NULL, &stream, &err);
    for (int i = 0; i < ITEMS && !code; i++)
        code = desk_desk_up_send(stream, &note, desk_deadline(), &err);
    if (!code)
        code = desk_desk_up_finish(stream, desk_deadline(), &reply, &err);
    CHECK(code || reply->count == ITEMS);
    afar_message_free(reply);
    desk_desk_up_close(stream);
    return end(visit, (int)note.number, code, &err);
}

static bool
talk(struct visit *visit)
{
    Desk__Note note = DESK__NOTE__INIT, *back = NULL;
    desk_desk_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    note.number = begin(visit);
    note.data = (ProtobufCBinaryData){ 500, visit->bytes };
    code = desk_desk_talk(visit->desk, desk_deadline(), NULL, &stream, &err);
    for (int i = 0; i < 5 && !code; i++) {
        code = desk_desk_talk_send(stream, &note, desk_deadline(), &err);
        if (!code)
            code = desk_desk_talk_receive(stream, desk_deadline(), &back, &err);
        if (!code)
            afar_message_free(back);
    }
    if (!code)
        code = desk_desk_talk_finish(stream, &err);
    if (!code)
        code = desk_desk_talk_receive(stream, desk_deadline(), &back, &err);
    desk_desk_talk_close(stream);
    return end(visit, (int)note.number, code == AFAR_ENDED ? AFAR_OK : code, &err);
}

/* ---- giving up ---- */

/* A call that the server holds, given up when it is known to be there. */
static bool
give_up(struct visit *visit)
{
    Desk__Note request = DESK__NOTE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    request.number = begin(visit);
    CHECK_OK(desk_desk_hold_start(visit->desk, &request, desk_deadline(), NULL, &future, &err));
    while (atomic_load(&visit->board->holding) == 0 &&
           afar_future_wait(future, afar_after_ms(1), NULL) == AFAR_DEADLINE_EXCEEDED)
        continue;
    afar_future_close(future);
    err.outcome = AFAR_OUTCOME_UNKNOWN;
    end(visit, (int)request.number, AFAR_CANCELLED, &err);
    return echo(visit);
}

/* ---- the whole ---- */

static bool
knock(struct visit *visit, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t start = now_in_ms();
    char name[128];
    afar_code code;

    desk_name(address, name);
    code = desk_desk_open(visit->client, name, desk_deadline(), &visit->desk, &err);
    CHECK(code != AFAR_DEADLINE_EXCEEDED && now_in_ms() - start < 15000);
    afar_error_clear(&err);
    return code == AFAR_OK;
}

static void
go_through(struct visit *visit, const char *address, bool silent)
{
    static bool (*const steps[])(struct visit * visit) = {
        echo, get_sheet, get_sheets,   be_called, receive_all,     send_all,
        talk, give_up,   echo_at_once, echo,      be_called_later, echo,
    };
    size_t count = sizeof steps / sizeof steps[0];

    if (!knock(visit, address))
        return;
    for (size_t i = 0; i < count; i++) {
        if (i == count - 1)
            give_back(visit);
        if (!steps[i](visit)) {
            if (!silent)
                (void)echo(visit); /* another session, or none */
            return;
        }
    }
    CHECK_INT(visit->next, VISITOR_CALLS);
}

static bool
nobody_listens(const void *arg)
{
    const struct board *board = arg;

    return atomic_load(&board->listeners) == atomic_load(&board->unlistened);
}

static bool
has_at_most(const void *count)
{
    return descriptor_count() <= *(const int *)count;
}

void
visitor_visit(struct board *board, const char *address, const struct desk_options *options)
{
    struct visit visit = { .board = board };
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = desk_node(options);
    int before = descriptor_count();

    CHECK_OK(afar_client_open(node, NULL, &visit.client, &err));
    visit.listener = listener_make(board);
    go_through(&visit, address, options->silent);
    atomic_store(&board->visited, true);
    give_back(&visit);
    desk_listener_close(visit.listener);
    desk_desk_close(visit.desk);
    afar_client_close(visit.client);
    atomic_store(&board->left, true);
    wait_until(nobody_listens, board, "the client's objects are gone");
    if (!options->silent)
        wait_until(has_at_most, &before, "the client's descriptors are closed");
    CHECK(live_threads() < 20);
    afar_node_close(node);
    exit(EXIT_SUCCESS);
}
