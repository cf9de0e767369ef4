/* Memory runs out once, at every place where it could, while channels are used: here, and over a connection to a
 * home in the same process.  What failed says so, OK is never false, no message comes twice, and what follows
 * goes well.
 *
 * As in memory_test.c each loop lets the first allocation fail, then the second, and so on. */

#include <stdio.h>
#include <string.h>

#include <afar/client.h>
#include <afar/select.h>
#include <afar/server.h>

#include "allocations.h"
#include "check.h"
#include "piece.afar.h"

#define MOST 3000 /* allocations of an operation; more would be a loop without end */
#define ROOM 8

struct world {
    afar_server *server;
    afar_client *client;
    fault_piece_sender *home_sender, *sender;
    fault_piece_receiver *home_receiver, *receiver;
    uint64_t number; /* of the message that an operation sends, and no other */
};

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

static void
open_world(struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;

    memset(world, 0, sizeof *world);
    CHECK_OK(fault_piece_buffered_new(ROOM, &world->home_sender, &world->home_receiver, &err));
    CHECK_OK(afar_server_open(NULL, "inproc:channels", NULL, &world->server, &err));
    CHECK_OK(afar_server_export(world->server, "send",
                                fault_piece_sender_object(world->home_sender), &err));
    CHECK_OK(afar_server_export(world->server, "receive",
                                fault_piece_receiver_object(world->home_receiver), &err));
    CHECK_OK(afar_server_start(world->server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &world->client, &err));
    CHECK_OK(fault_piece_sender_open(world->client, "inproc:channels/send", soon(), &world->sender,
                                     &err));
    CHECK_OK(fault_piece_receiver_open(world->client, "inproc:channels/receive", soon(),
                                       &world->receiver, &err));
}

static void
close_world(struct world *world)
{
    fault_piece_sender_close(world->sender);
    fault_piece_receiver_close(world->receiver);
    fault_piece_sender_close(world->home_sender);
    fault_piece_receiver_close(world->home_receiver);
    afar_client_close(world->client);
    afar_server_close(world->server);
}

/* ---- what is checked after each ---- */

static void
fill(Fault__Piece *piece, uint64_t number)
{
    fault__piece__init(piece);
    piece->number = number;
    piece->data.data = (uint8_t *)"some data";
    piece->data.len = 9;
}

static void
check_piece(const Fault__Piece *piece, uint64_t number)
{
    CHECK_INT(piece->number, number);
    CHECK_INT(piece->data.len, 9);
}

/* Takes out what is there: how often the operation's message is. */
static unsigned
drain(struct world *world)
{
    Fault__Piece *piece = NULL;
    unsigned count = 0;

    while (!fault_piece_receive(world->home_receiver, afar_after_ms(0), &piece, NULL)) {
        check_piece(piece, world->number);
        afar_message_free(piece);
        count++;
    }
    return count;
}

/* A message from here to there and back. */
static void
check_alive(struct world *world, long n)
{
    Fault__Piece piece, *received = NULL;
    afar_error err = AFAR_ERROR_INIT;

    fill(&piece, 1);
    /* The first may be told what became of the session, or of an end. */
    for (int i = 0; fault_piece_send(world->sender, &piece, soon(), &err); i++) {
        if (i == 3)
            check_fail(__FILE__, __LINE__, "after allocation %ld failed: %s", n, err.message);
        world->number = 1;
        (void)drain(world);
    }
    for (int i = 0; fault_piece_receive(world->receiver, soon(), &received, &err); i++)
        if (i == 3)
            check_fail(__FILE__, __LINE__, "after allocation %ld failed: %s", n, err.message);
    check_piece(received, 1);
    afar_message_free(received);
    afar_error_clear(&err);
}

static bool
is_expected(afar_code code)
{
    return !code || code == AFAR_RESOURCE_EXHAUSTED || code == AFAR_UNAVAILABLE ||
           code == AFAR_LOST || code == AFAR_UNKNOWN;
}

typedef afar_code (*operation)(struct world *world, afar_error *err);

/* `sends`: the operation puts one message into the channel. */
static void
fail_each(operation run, bool sends)
{
    struct world world;
    bool failed = true;

    open_world(&world);
    for (long n = 0; failed; n++) {
        afar_error err = AFAR_ERROR_INIT;
        unsigned count;

        CHECK(n < MOST);
        check_alive(&world, n);
        world.number = 100 + (uint64_t)n;
        allocations_fail_after(n);
        afar_code code = run(&world, &err);
        failed = allocations_stop();
        CHECK(failed || !code);
        if (!is_expected(code))
            check_fail(__FILE__, __LINE__, "allocation %ld failed: %s: %s", n, afar_code_name(code),
                       err.message);
        CHECK(!code || (err.message[0] && !strchr(err.message, '\n')));
        count = drain(&world);
        CHECK(count <= 1);
        if (sends && !code)
            CHECK_INT(count, 1);
        if (count > 0 && sends && code && code != AFAR_UNKNOWN)
            check_fail(__FILE__, __LINE__, "%ld: %s: %s", n, afar_code_name(code), err.message);
        afar_error_clear(&err);
    }
    close_world(&world);
}

/* ---- here ---- */

static afar_code
use_one_here(struct world *world, afar_error *err)
{
    fault_piece_sender *sender = NULL;
    fault_piece_receiver *receiver = NULL;
    Fault__Piece piece, *received = NULL;
    afar_code code = fault_piece_buffered_new(40, &sender, &receiver, err);

    fill(&piece, world->number);
    for (int i = 0; !code && i < 30; i++)
        code = fault_piece_send(sender, &piece, soon(), err);
    if (!code)
        code = fault_piece_receive(receiver, soon(), &received, err);
    if (received)
        check_piece(received, world->number);
    afar_message_free(received);
    fault_piece_sender_close(sender);
    fault_piece_receiver_close(receiver);
    return code;
}

TEST(a_channel_here)
{
    fail_each(use_one_here, false);
}

static afar_code
select_here(struct world *world, afar_error *err)
{
    Fault__Piece piece;
    afar_case cases[] = { AFAR_CASE_SEND(fault_piece_sender_base(world->home_sender), &piece.base),
                          AFAR_CASE_TIMEOUT(soon()) };
    size_t which;

    fill(&piece, world->number);
    return afar_select(cases, 2, AFAR_FAIR, AFAR_FOREVER, &which, err);
}

TEST(a_select_here)
{
    fail_each(select_here, true);
}

/* ---- over a connection ---- */

static afar_code
send_there(struct world *world, afar_error *err)
{
    Fault__Piece piece;

    fill(&piece, world->number);
    return fault_piece_send(world->sender, &piece, soon(), err);
}

TEST(sending_over_a_connection)
{
    fail_each(send_there, true);
}

/* By an end of its own, which is attached for that. */
static afar_code
attach_and_send(struct world *world, afar_error *err)
{
    fault_piece_sender *sender = NULL;
    Fault__Piece piece;
    afar_code code = fault_piece_sender_share(world->sender, &sender, err);

    fill(&piece, world->number);
    if (!code)
        code = fault_piece_send(sender, &piece, soon(), err);
    fault_piece_sender_close(sender);
    return code;
}

TEST(attaching_and_sending)
{
    fail_each(attach_and_send, true);
}

/* With another that finishes: who posted is told by that. */
static afar_code
post_there(struct world *world, afar_error *err)
{
    fault_piece_sender *sender = NULL;
    Fault__Piece piece;
    afar_code code = fault_piece_sender_share(world->sender, &sender, err), end;

    fill(&piece, world->number);
    if (!code)
        code = fault_piece_post(sender, &piece, soon(), err);
    if (!code) {
        end = fault_piece_sender_finish(sender, soon(), err);
        code = end;
    }
    fault_piece_sender_close(sender);
    return code;
}

TEST(posting_and_finishing)
{
    fail_each(post_there, true);
}

/* What is received was sent here before, without a failure; it may be lost with the call. */
static afar_code
receive_there(struct world *world, afar_error *err)
{
    Fault__Piece piece, *received = NULL;
    fault_piece_receiver *receiver = NULL;
    afar_code code;

    fill(&piece, world->number);
    code = fault_piece_send(world->home_sender, &piece, soon(), err);
    if (!code)
        code = fault_piece_receiver_share(world->receiver, &receiver, err);
    if (!code)
        code = fault_piece_receive(receiver, soon(), &received, err);
    if (!code)
        check_piece(received, world->number);
    afar_message_free(received);
    fault_piece_receiver_close(receiver);
    return code;
}

TEST(receiving_over_a_connection)
{
    fail_each(receive_there, false);
}

/* With two channels, so that the home has to ask. */
static afar_code
select_there(struct world *world, afar_error *err)
{
    fault_piece_sender *other_sender = NULL;
    fault_piece_receiver *other = NULL;
    Fault__Piece piece;
    size_t which = 2;
    afar_code code = fault_piece_rendezvous_new(&other_sender, &other, err);
    afar_case cases[] = { AFAR_CASE_SEND(fault_piece_sender_base(world->sender), &piece.base),
                          AFAR_CASE_RECEIVE(fault_piece_receiver_base(other)) };

    fill(&piece, world->number);
    if (!code)
        code = afar_select(cases, 2, AFAR_FAIR, soon(), &which, err);
    CHECK(code || which == 0);
    fault_piece_sender_close(other_sender);
    fault_piece_receiver_close(other);
    return code;
}

TEST(a_select_over_a_connection)
{
    fail_each(select_there, true);
}
