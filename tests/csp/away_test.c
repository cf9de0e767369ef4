/* Channels whose home is elsewhere.
 *
 * Labels: concurrent */

#include "away.h"

#include <string.h>

typedef void (*away_fn)(struct away *away);

static void
everywhere(unsigned capacity, away_fn fn)
{
    for (size_t i = 0; places[i]; i++) {
        struct away away;

        away_open(&away, places[i], capacity);
        fn(&away);
        away_close(&away);
    }
}

/* ---- one at a time ---- */

static void
meet_at_home(struct away *away)
{
    struct sending sending;
    uint64_t number;

    CHECK_INT(send_number(away->far.sender, 1, afar_after_ms(30)), AFAR_DEADLINE_EXCEEDED);
    for (uint64_t i = 0; i < 20; i++) {
        start_sending(&sending, away->far.sender, i);
        CHECK_INT(received(away->home.receiver), i);
        CHECK_INT(finish_sending(&sending), AFAR_OK);
    }
    CHECK_INT(receive_number(away->far.receiver, &number, afar_after_ms(30)),
              AFAR_DEADLINE_EXCEEDED);
    for (uint64_t i = 0; i < 20; i++) {
        start_sending(&sending, away->home.sender, i);
        CHECK_INT(received(away->far.receiver), i);
        CHECK_INT(finish_sending(&sending), AFAR_OK);
    }
    for (uint64_t i = 0; i < 20; i++) {
        start_sending(&sending, away->far.sender, i);
        CHECK_INT(received(away->far.receiver), i);
        CHECK_INT(finish_sending(&sending), AFAR_OK);
    }
}

TEST(a_rendezvous_over_a_connection)
{
    everywhere(0, meet_at_home);
}

static void
fill_the_buffer(struct away *away)
{
    for (uint64_t i = 0; i < 3; i++)
        CHECK_INT(send_number(away->far.sender, i, soon()), AFAR_OK);
    CHECK_INT(send_number(away->far.sender, 3, afar_after_ms(30)), AFAR_DEADLINE_EXCEEDED);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_INT(received(i == 1 ? away->home.receiver : away->far.receiver), i);
}

TEST(a_buffer_at_home)
{
    everywhere(3, fill_the_buffer);
}

/* ---- ending ---- */

static void
finish_from_afar(struct away *away)
{
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    CHECK_INT(send_number(away->far.sender, 5, soon()), AFAR_OK);
    CHECK_OK(afar_server_unexport(away->server, "send", csp_item_channel_type.sender, &err));
    csp_item_sender_close(away->home.sender);
    away->home.sender = NULL;
    CHECK_OK(csp_item_sender_finish(away->far.sender, soon(), &err));
    csp_item_sender_close(away->far.sender);
    away->far.sender = NULL;
    CHECK_INT(received(away->home.receiver), 5);
    CHECK_INT(receive_number(away->home.receiver, &number, soon()), AFAR_ENDED);
    CHECK_INT(receive_number(away->far.receiver, &number, soon()), AFAR_ENDED);
}

TEST(the_last_sender_finishes_from_afar)
{
    everywhere(2, finish_from_afar);
}

static void
poison_from_afar(struct away *away)
{
    Csp__Item *item = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct receiving receiving;

    start_receiving(&receiving, away->home.receiver);
    csp_item_sender_poison(away->far.sender, "enough");
    CHECK_INT(finish_receiving(&receiving), AFAR_POISONED);
    CHECK_FAILS(csp_item_receive(away->far.receiver, soon(), &item, &err), AFAR_POISONED);
    CHECK(strstr(err.message, "enough"));
    CHECK_INT(send_number(away->far.sender, 1, soon()), AFAR_POISONED);
    afar_error_clear(&err);
}

TEST(poison_reaches_everybody)
{
    everywhere(0, poison_from_afar);
    everywhere(2, poison_from_afar);
}

/* Closing an end finishes it, also when the client is closed next. */
static void
close_all(struct away *away)
{
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    CHECK_INT(send_number(away->far.sender, 5, soon()), AFAR_OK);
    CHECK_INT(received(away->far.receiver), 5);
    CHECK_INT(receive_number(away->far.receiver, &number, now()), AFAR_DEADLINE_EXCEEDED);
    CHECK_OK(afar_server_unexport(away->server, "send", csp_item_channel_type.sender, &err));
    CHECK_OK(afar_server_unexport(away->server, "receive", csp_item_channel_type.receiver, &err));
    csp_item_sender_close(away->home.sender);
    close_ends(away->far);
    afar_client_close(away->client);
    CHECK_INT(receive_number(away->home.receiver, &number, soon()), AFAR_ENDED);
    away->home.sender = away->far.sender = NULL;
    away->far.receiver = NULL;
    away->client = NULL;
}

TEST(an_end_that_is_closed_before_its_client_has_finished)
{
    for (int i = 0; i < 5; i++)
        everywhere(2, close_all);
}

/* A client that goes without a word: its end is lost. */
static void
lose_a_sender(struct away *away)
{
    afar_error err = AFAR_ERROR_INIT;
    struct receiving receiving;

    CHECK_INT(send_number(away->far.sender, 5, soon()), AFAR_OK);
    CHECK_INT(received(away->home.receiver), 5);
    CHECK_OK(afar_server_unexport(away->server, "send", csp_item_channel_type.sender, &err));
    csp_item_sender_close(away->home.sender);
    away->home.sender = NULL;
    start_receiving(&receiving, away->home.receiver);
    afar_client_close(away->client);
    away->client = NULL;
    CHECK_INT(finish_receiving(&receiving), AFAR_LOST);
    CHECK_INT(send_number(away->far.sender, 5, soon()), AFAR_FAILED_PRECONDITION);
}

TEST(a_sender_whose_connection_is_gone_is_lost)
{
    everywhere(2, lose_a_sender);
}

static void
lose_the_home(struct away *away)
{
    struct receiving receiving;
    uint64_t number;

    CHECK_INT(receive_number(away->far.receiver, &number, afar_after_ms(30)),
              AFAR_DEADLINE_EXCEEDED);
    start_receiving(&receiving, away->far.receiver);
    CHECK_INT(receive_number(away->home.receiver, &number, afar_after_ms(20)),
              AFAR_DEADLINE_EXCEEDED);
    afar_server_close(away->server);
    away->server = NULL;
    CHECK_INT(finish_receiving(&receiving), AFAR_LOST);
}

TEST(a_receiver_hears_that_the_home_is_gone)
{
    everywhere(0, lose_the_home);
}

/* Of a selector, whose offer stands between two rounds. */
static void
read_of_the_loss(struct away *away)
{
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(away->far.receiver)) };
    afar_error err = AFAR_ERROR_INIT;
    afar_selector *selector = NULL;
    size_t which;

    CHECK_OK(afar_selector_open(cases, 1, AFAR_FAIR, &selector, &err));
    CHECK_FAILS(afar_selector_select(selector, afar_after_ms(30), &which, &err),
                AFAR_DEADLINE_EXCEEDED);
    afar_server_close(away->server);
    away->server = NULL;
    CHECK_FAILS(afar_selector_select(selector, soon(), &which, &err), AFAR_LOST);
    CHECK(strstr(err.message, "the home of a channel of csp.Item was lost: "));
    afar_selector_close(selector);
    afar_error_clear(&err);
}

TEST(a_loss_names_the_channel)
{
    everywhere(0, read_of_the_loss);
}

/* ---- sending ahead ---- */

#define POSTS 20000

static void *
post_many(void *arg)
{
    csp_item_sender *sender = arg;
    Csp__Item item = CSP__ITEM__INIT;

    for (uint64_t i = 0; i < POSTS; i++) {
        item.number = i;
        CHECK_INT(csp_item_post(sender, &item, soon(), NULL), AFAR_OK);
    }
    CHECK_INT(csp_item_flush(sender, soon(), NULL), AFAR_OK);
    return NULL;
}

static void
post_ahead(struct away *away)
{
    pthread_t thread;

    CHECK(!pthread_create(&thread, NULL, post_many, away->far.sender));
    for (uint64_t i = 0; i < POSTS; i++)
        CHECK_INT(received(away->home.receiver), i);
    CHECK(!pthread_join(thread, NULL));
}

TEST(posts_arrive_in_order)
{
    everywhere(100, post_ahead);
    everywhere(0, post_ahead);
}

static void
post_to_nobody(struct away *away)
{
    Csp__Item item = CSP__ITEM__INIT;
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 5; i++)
        CHECK_OK(csp_item_post(away->far.sender, &item, soon(), &err));
    CHECK_FAILS(csp_item_flush(away->far.sender, afar_after_ms(30), &err), AFAR_DEADLINE_EXCEEDED);
    csp_item_receiver_poison(away->home.receiver, "stop");
    CHECK_FAILS(csp_item_flush(away->far.sender, soon(), &err), AFAR_POISONED);
    CHECK(strstr(err.message, "3 messages"));
    CHECK_OK(csp_item_flush(away->far.sender, soon(), &err));
    afar_error_clear(&err);
}

TEST(a_flush_says_how_many_were_not_taken)
{
    everywhere(2, post_to_nobody);
}

/* ---- selects over two homes ---- */

static void
select_over_two(struct away *away)
{
    struct ends here = make_channel(0);
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(here.receiver)),
                          AFAR_CASE_SEND(csp_item_sender_base(away->far.sender), &item.base) };
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 9;

    CHECK_FAILS(afar_select(cases, 2, AFAR_FAIR, afar_after_ms(30), &which, &err),
                AFAR_DEADLINE_EXCEEDED);
    for (uint64_t i = 0; i < 20; i++) {
        struct receiving receiving;
        struct sending sending;

        item.number = i;
        if (i % 2)
            start_receiving(&receiving, away->home.receiver);
        else
            start_sending(&sending, here.sender, i);
        CHECK_OK(afar_select(cases, 2, AFAR_FAIR, soon(), &which, &err));
        CHECK_INT(which, i % 2);
        CHECK_INT(i % 2 ? finish_receiving(&receiving) : finish_sending(&sending), AFAR_OK);
        if (i % 2)
            CHECK_INT(receiving.number, i);
        else
            afar_message_free(cases[0].received);
    }
    afar_error_clear(&err);
    close_ends(here);
}

TEST(a_select_over_two_homes)
{
    everywhere(0, select_over_two);
}

/* Both are selects over both channels: one sends and one receives. */
struct partner {
    struct away *away;
    struct ends *here;
    uint64_t sent, got;
    size_t rounds;
};

static void *
run_partner(void *arg)
{
    struct partner *partner = arg;
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_SEND(csp_item_sender_base(partner->here->sender), &item.base),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(partner->away->home.receiver)) };

    for (size_t i = 0; i < partner->rounds; i++) {
        size_t which = 9;

        CHECK_INT(afar_select(cases, 2, AFAR_FAIR, soon(), &which, NULL), AFAR_OK);
        partner->sent += which == 0;
        partner->got += which == 1;
        if (which == 1)
            afar_message_free(cases[1].received);
    }
    return NULL;
}

static void
selects_meet(struct away *away)
{
    struct ends here = make_channel(0);
    struct partner partner = { away, &here, 0, 0, 200 };
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(here.receiver)),
                          AFAR_CASE_SEND(csp_item_sender_base(away->far.sender), &item.base) };
    uint64_t got = 0, sent = 0;
    pthread_t thread;

    CHECK(!pthread_create(&thread, NULL, run_partner, &partner));
    for (int i = 0; i < 200; i++) {
        size_t which = 9;

        CHECK_INT(afar_select(cases, 2, AFAR_FAIR, soon(), &which, NULL), AFAR_OK);
        got += which == 0;
        sent += which == 1;
        if (which == 0)
            afar_message_free(cases[0].received);
    }
    CHECK(!pthread_join(thread, NULL));
    CHECK_INT(got, partner.sent);
    CHECK_INT(sent, partner.got);
    close_ends(here);
}

TEST(selects_over_two_homes_meet)
{
    everywhere(0, selects_meet);
}

TEST(a_default_asks_the_home)
{
    struct away away;
    size_t which = 9;

    away_open(&away, places[0], 1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(away.far.receiver)),
                          AFAR_CASE_DEFAULT };
    CHECK_INT(afar_select(cases, 2, AFAR_FAIR, AFAR_FOREVER, &which, NULL), AFAR_OK);
    CHECK_INT(which, 1);
    CHECK_INT(send_number(away.home.sender, 1, soon()), AFAR_OK);
    CHECK_INT(afar_select(cases, 2, AFAR_FAIR, AFAR_FOREVER, &which, NULL), AFAR_OK);
    CHECK_INT(which, 0);
    afar_message_free(cases[0].received);
    away_close(&away);
}

/* ---- what is wrong ---- */

TEST(an_end_of_another_type_is_refused)
{
    struct away away;
    csp_ends_sender *wrong = NULL;
    Csp__Ends message = CSP__ENDS__INIT;
    afar_error err = AFAR_ERROR_INIT;
    char text[300];

    away_open(&away, places[0], 0);
    CHECK_OK(
        csp_ends_sender_open(away.client, away_name(&away, "send", text), soon(), &wrong, &err));
    CHECK_FAILS(csp_ends_send(wrong, &message, soon(), &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "csp.Item"));
    csp_ends_sender_close(wrong);
    afar_error_clear(&err);
    away_close(&away);
}

TEST(a_name_that_is_not_there_is_not_found)
{
    struct away away;
    csp_item_sender *sender = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char text[300];

    away_open(&away, places[0], 0);
    CHECK_OK(
        csp_item_sender_open(away.client, away_name(&away, "nobody", text), soon(), &sender, &err));
    CHECK_INT(send_number(sender, 1, soon()), AFAR_NOT_FOUND);
    csp_item_sender_close(sender);
    afar_error_clear(&err);
    away_close(&away);
}
