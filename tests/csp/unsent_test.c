/* Messages that cannot be sent: that one send fails, says why, and nothing else is disturbed.  What is wrong
 * wherever a message goes is found at once; what is too much for a session when it would go, and that may be
 * late: when a claim was granted, or behind other posts.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "away.h"

#define TOO_MANY 5000 /* references; a message over a session has 4,096 at most */

/* ---- bundles ---- */

struct bundle {
    Csp__Bundle message;
    afar_sender_room *rooms;
    Afar__Sender **ends;
};

static void
make_bundle(struct bundle *bundle, uint64_t number, csp_item_sender *end, size_t count)
{
    csp__bundle__init(&bundle->message);
    bundle->rooms = calloc(count + 1, sizeof *bundle->rooms);
    bundle->ends = calloc(count + 1, sizeof(Afar__Sender *));
    CHECK(bundle->rooms && bundle->ends);
    for (size_t i = 0; i < count; i++)
        bundle->ends[i] = afar_sender_put(&bundle->rooms[i], csp_item_sender_base(end));
    bundle->message.number = number;
    bundle->message.ends = bundle->ends;
    bundle->message.n_ends = count;
}

static void
clear_bundle(struct bundle *bundle)
{
    free(bundle->rooms);
    free(bundle->ends);
}

static uint64_t
receive_bundle(csp_bundle_receiver *receiver, size_t *ret_ends)
{
    Csp__Bundle *message = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    CHECK_OK(csp_bundle_receive(receiver, soon(), &message, &err));
    number = message->number;
    *ret_ends = message->n_ends;
    for (size_t i = 0; i < message->n_ends; i++)
        CHECK(message->ends[i]->end->handle != NULL);
    afar_message_free(message);
    return number;
}

static void
check_next(csp_bundle_receiver *receiver, uint64_t number)
{
    size_t ends;

    CHECK_INT(receive_bundle(receiver, &ends), number);
    CHECK_INT(ends, 1);
}

/* A thread that sends a bundle, and what came of it. */
struct delivery {
    csp_bundle_sender *sender;
    struct bundle bundle;
    afar_error err;
    afar_code code;
    pthread_t thread;
};

static void *
run_delivery(void *arg)
{
    struct delivery *delivery = arg;

    delivery->code =
        csp_bundle_send(delivery->sender, &delivery->bundle.message, soon(), &delivery->err);
    return NULL;
}

static void
deliver(struct delivery *delivery, csp_bundle_sender *sender, uint64_t number, csp_item_sender *end)
{
    memset(delivery, 0, sizeof *delivery);
    delivery->sender = sender;
    make_bundle(&delivery->bundle, number, end, 1);
    CHECK(!pthread_create(&delivery->thread, NULL, run_delivery, delivery));
}

static void
check_delivered(struct delivery *delivery)
{
    CHECK(!pthread_join(delivery->thread, NULL));
    CHECK_INT(delivery->code, AFAR_OK);
    clear_bundle(&delivery->bundle);
}

/* ---- a channel of them, far away ---- */

struct hall {
    struct away away;
    csp_bundle_sender *home_sender, *sender;
    csp_bundle_receiver *home_receiver, *receiver;
    struct bundle large; /* too large for every session */
};

static void
open_hall(struct hall *hall, const char *place, unsigned capacity)
{
    struct away *away = &hall->away;
    afar_error err = AFAR_ERROR_INIT;
    char text[300];

    away_open(away, place, 0);
    if (capacity > 0)
        CHECK_OK(csp_bundle_buffered_new(capacity, &hall->home_sender, &hall->home_receiver, &err));
    else
        CHECK_OK(csp_bundle_rendezvous_new(&hall->home_sender, &hall->home_receiver, &err));
    CHECK_OK(afar_server_export(away->server, "bundles/send",
                                csp_bundle_sender_object(hall->home_sender), &err));
    CHECK_OK(afar_server_export(away->server, "bundles/receive",
                                csp_bundle_receiver_object(hall->home_receiver), &err));
    CHECK_OK(csp_bundle_sender_open(away->client, away_name(away, "bundles/send", text), soon(),
                                    &hall->sender, &err));
    CHECK_OK(csp_bundle_receiver_open(away->client, away_name(away, "bundles/receive", text),
                                      soon(), &hall->receiver, &err));
    make_bundle(&hall->large, 99, away->home.sender, TOO_MANY);
}

static void
close_hall(struct hall *hall)
{
    clear_bundle(&hall->large);
    csp_bundle_sender_close(hall->sender);
    csp_bundle_receiver_close(hall->receiver);
    csp_bundle_sender_close(hall->home_sender);
    csp_bundle_receiver_close(hall->home_receiver);
    away_close(&hall->away);
}

static void
everywhere(unsigned capacity, void (*fn)(struct hall *hall))
{
    for (size_t i = 0; places[i]; i++) {
        struct hall hall;

        open_hall(&hall, places[i], capacity);
        fn(&hall);
        close_hall(&hall);
    }
}

static void
check_refused(afar_code code, const afar_error *err)
{
    if (code != err->code || code == AFAR_OK || !strstr(err->message, "references"))
        check_fail(__FILE__, __LINE__, "%s: %s", afar_code_name(code), err->message);
}

/* One bundle of each size from far to home. */
static void
check_goes_on(struct hall *hall)
{
    struct delivery delivery;

    deliver(&delivery, hall->sender, 7, hall->away.home.sender);
    check_next(hall->home_receiver, 7);
    check_delivered(&delivery);
}

/* ---- at once ---- */

static void
send_what_is_wrong(csp_bundle_sender *sender, csp_item_receiver *wrong)
{
    afar_receiver_room room;
    afar_error err = AFAR_ERROR_INIT;
    struct bundle bundle;
    Afar__Receiver *put = afar_receiver_put(&room, csp_item_receiver_base(wrong));
    Afar__Sender end;

    make_bundle(&bundle, 1, NULL, 0);
    afar__sender__init(&end);
    end.end = put->end;
    bundle.ends[0] = &end;
    bundle.message.n_ends = 1;
    CHECK_FAILS(csp_bundle_send(sender, &bundle.message, now(), &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "afar.Receiver(csp.Item)") != NULL);
    afar_error_clear(&err);
    bundle.ends[0] = NULL;
    CHECK_FAILS(csp_bundle_send(sender, &bundle.message, now(), &err), AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
    CHECK_FAILS(csp_bundle_post(sender, &bundle.message, now(), &err), AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
    clear_bundle(&bundle);
}

static void
a_wrong_reference(struct hall *hall)
{
    send_what_is_wrong(hall->home_sender, hall->away.home.receiver);
    send_what_is_wrong(hall->sender, hall->away.home.receiver);
    check_goes_on(hall);
}

TEST(a_wrong_reference_is_found_at_once)
{
    everywhere(0, a_wrong_reference);
}

/* In a select it is found when the case could happen, and says the same. */
TEST(a_select_says_what_is_wrong)
{
    struct ends ends = make_channel(0);
    struct bundle bundle;
    csp_bundle_sender *sender;
    csp_bundle_receiver *receiver;
    afar_error err = AFAR_ERROR_INIT;
    size_t which;

    CHECK_OK(csp_bundle_buffered_new(1, &sender, &receiver, &err));
    make_bundle(&bundle, 1, ends.sender, 1);
    bundle.rooms[0].end.end =
        afar_ref_put(&bundle.rooms[0].ref, csp_item_receiver_object(ends.receiver));
    afar_case cases[] = {
        AFAR_CASE_RECEIVE(csp_item_receiver_base(ends.receiver)),
        AFAR_CASE_SEND(csp_bundle_sender_base(sender), &bundle.message.base),
    };
    CHECK_FAILS(afar_select(cases, 2, AFAR_FAIR, soon(), &which, &err), AFAR_INVALID_ARGUMENT);
    CHECK_INT(which, 1);
    CHECK(strstr(err.message, "afar.Receiver(csp.Item)") != NULL);
    afar_error_clear(&err);
    clear_bundle(&bundle);
    csp_bundle_sender_close(sender);
    csp_bundle_receiver_close(receiver);
    close_ends(ends);
}

/* ---- when it would go ---- */

/* Others that wait at the same end go on waiting, and are served. */
static void
too_much(struct hall *hall)
{
    struct delivery first, second;
    afar_error err = AFAR_ERROR_INIT;

    deliver(&first, hall->sender, 1, hall->away.home.sender);
    for (int i = 0; i < 3; i++) {
        check_refused(csp_bundle_send(hall->sender, &hall->large.message, soon(), &err), &err);
        afar_error_clear(&err);
    }
    check_next(hall->home_receiver, 1);
    check_delivered(&first);
    deliver(&second, hall->sender, 2, hall->away.home.sender);
    check_next(hall->home_receiver, 2);
    check_delivered(&second);
}

TEST(one_that_is_too_much_fails_alone)
{
    everywhere(0, too_much);
}

static void
too_much_posted(struct hall *hall)
{
    afar_error err = AFAR_ERROR_INIT;

    for (uint64_t i = 0; i < 5; i++) {
        struct bundle bundle;

        make_bundle(&bundle, i, hall->away.home.sender, 1);
        CHECK_OK(csp_bundle_post(hall->sender, i == 2 ? &hall->large.message : &bundle.message,
                                 soon(), &err));
        clear_bundle(&bundle);
    }
    check_refused(csp_bundle_flush(hall->sender, soon(), &err), &err);
    CHECK(strncmp(err.message, "1 messages could not be sent", 28) == 0);
    afar_error_clear(&err);
    CHECK_OK(csp_bundle_flush(hall->sender, soon(), &err)); /* it is told once */
    for (uint64_t i = 0; i < 5; i++)
        if (i != 2)
            check_next(hall->home_receiver, i);
    check_goes_on(hall);
}

TEST(a_post_that_is_too_much_is_told_by_flush)
{
    everywhere(10, too_much_posted);
}

/* Two channels elsewhere: the home claims the offer, and is told no. */
static void
too_much_for_a_claim(struct hall *hall)
{
    afar_case cases[] = {
        AFAR_CASE_SEND(csp_bundle_sender_base(hall->sender), &hall->large.message.base),
        AFAR_CASE_RECEIVE(csp_item_receiver_base(hall->away.far.receiver)),
    };
    afar_selector *selector = NULL;
    struct bundle bundle;
    struct sending other;
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 9;

    CHECK_OK(afar_selector_open(cases, 2, AFAR_FAIR, &selector, &err));
    check_refused(afar_selector_select(selector, soon(), &which, &err), &err);
    CHECK_INT(which, 0);
    afar_error_clear(&err);

    /* The selector goes on: the other case, and then the first with what can be sent. */
    start_sending(&other, hall->away.home.sender, 5);
    cases[0].off = true;
    afar_selector_switch(selector, 0, false);
    CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
    CHECK_INT(which, 1);
    afar_message_free(cases[1].received);
    CHECK_INT(finish_sending(&other), AFAR_OK);
    make_bundle(&bundle, 3, hall->away.home.sender, 1);
    cases[0].message = &bundle.message.base;
    afar_selector_switch(selector, 0, true);
    CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
    CHECK_INT(which, 0);
    afar_selector_close(selector);
    check_next(hall->home_receiver, 3);
    clear_bundle(&bundle);
}

TEST(a_granted_claim_may_come_to_nothing)
{
    everywhere(1, too_much_for_a_claim);
}

/* ---- from the home ---- */

struct reader {
    csp_bundle_receiver *receiver;
    uint64_t number;
    size_t ends;
    pthread_t thread;
};

static void *
run_reader(void *arg)
{
    struct reader *reader = arg;

    reader->number = receive_bundle(reader->receiver, &reader->ends);
    return NULL;
}

/* The sender hears why; the receiver goes on waiting for one that can be sent. */
static void
too_much_for_a_receiver(struct hall *hall)
{
    struct reader reader = { .receiver = hall->receiver };
    struct bundle bundle;
    afar_error err = AFAR_ERROR_INIT;

    CHECK(!pthread_create(&reader.thread, NULL, run_reader, &reader));
    for (int i = 0; i < 3; i++) {
        check_refused(csp_bundle_send(hall->home_sender, &hall->large.message, soon(), &err), &err);
        afar_error_clear(&err);
    }
    make_bundle(&bundle, 4, hall->away.home.sender, 1);
    CHECK_OK(csp_bundle_send(hall->home_sender, &bundle.message, soon(), &err));
    clear_bundle(&bundle);
    CHECK(!pthread_join(reader.thread, NULL));
    CHECK_INT(reader.number, 4);
    CHECK_INT(reader.ends, 1);
}

TEST(a_receiver_that_cannot_have_it_waits_for_the_next)
{
    everywhere(0, too_much_for_a_receiver);
}

/* Its sender was told OK: who receives it finds that it cannot be read. */
static void
too_much_in_a_buffer(struct hall *hall)
{
    struct bundle bundle;
    Csp__Bundle *message = NULL;
    afar_error err = AFAR_ERROR_INIT;

    make_bundle(&bundle, 5, hall->away.home.sender, 1);
    CHECK_OK(csp_bundle_send(hall->home_sender, &hall->large.message, soon(), &err));
    CHECK_OK(csp_bundle_send(hall->home_sender, &bundle.message, soon(), &err));
    CHECK_FAILS(csp_bundle_receive(hall->receiver, soon(), &message, &err), AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
    check_next(hall->receiver, 5);
    clear_bundle(&bundle);
}

TEST(one_from_a_buffer_that_cannot_go_is_told_to_the_receiver)
{
    everywhere(4, too_much_in_a_buffer);
}

/* ---- large ones ---- */

/* Without references it is the same: what the receiver's session does not take. */
TEST(a_large_message_fails_alone)
{
    struct away away;
    struct sending small;
    Csp__Item item = CSP__ITEM__INIT;
    afar_error err = AFAR_ERROR_INIT;

    away_open(&away, places[0], 0);
    item.data.len = 5u << 20;
    item.data.data = calloc(1, item.data.len);
    CHECK(item.data.data != NULL);
    CHECK_FAILS(csp_item_send(away.far.sender, &item, soon(), &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "the peer takes 4194304") != NULL);
    afar_error_clear(&err);
    start_sending(&small, away.far.sender, 1);
    CHECK_INT(received(away.home.receiver), 1);
    CHECK_INT(finish_sending(&small), AFAR_OK);
    free(item.data.data);
    away_close(&away);
}

/* A thread that sends a large one. */
struct large {
    csp_item_sender *sender;
    Csp__Item item;
    afar_code code;
    pthread_t thread;
};

static void *
run_large(void *arg)
{
    struct large *large = arg;

    large->code = csp_item_send(large->sender, &large->item, soon(), NULL);
    return NULL;
}

static void
start_large(struct large *large, csp_item_sender *sender, size_t bytes)
{
    large->sender = sender;
    csp__item__init(&large->item);
    large->item.data.len = bytes;
    large->item.data.data = calloc(1, bytes);
    CHECK(large->item.data.data != NULL);
    CHECK(!pthread_create(&large->thread, NULL, run_large, large));
}

static void
finish_large(struct large *large)
{
    CHECK(!pthread_join(large->thread, NULL));
    CHECK_INT(large->code, AFAR_OK);
    free(large->item.data.data);
}

/* Two that do not fit the window together: the second waits until the first was taken. */
TEST(the_second_of_two_large_ones_waits_for_room)
{
    enum { BYTES = 200 << 10 };
    struct large large[2];
    struct away away;

    away_open(&away, places[0], 0);
    for (size_t i = 0; i < 2; i++)
        start_large(&large[i], away.far.sender, BYTES);
    for (size_t i = 0; i < 2; i++) {
        Csp__Item *item = NULL;
        afar_error err = AFAR_ERROR_INIT;

        CHECK_OK(csp_item_receive(away.home.receiver, soon(), &item, &err));
        CHECK_INT(item->data.len, BYTES);
        afar_message_free(item);
    }
    for (size_t i = 0; i < 2; i++)
        finish_large(&large[i]);
    away_close(&away);
}

/* ---- not read ---- */

/* What nobody has read lets go of its references when it is dropped. */
static void
dropped_unread(struct hall *hall)
{
    struct ends ends = make_channel(0);
    struct bundle bundle;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    make_bundle(&bundle, 1, ends.sender, 3);
    for (int i = 0; i < 3; i++)
        CHECK_OK(csp_bundle_send(hall->sender, &bundle.message, soon(), &err));
    clear_bundle(&bundle);
    csp_item_sender_close(ends.sender);
    CHECK_INT(receive_number(ends.receiver, &number, afar_after_ms(20)), AFAR_DEADLINE_EXCEEDED);
    csp_bundle_receiver_poison(hall->home_receiver, "nobody reads that");
    CHECK_INT(receive_number(ends.receiver, &number, soon()), AFAR_ENDED);
    csp_item_receiver_close(ends.receiver);
}

TEST(what_is_dropped_unread_lets_go)
{
    everywhere(5, dropped_unread);
}
