/* Channels between threads of one process.
 *
 * Labels: concurrent */

#include "items.h"

#include <stdatomic.h>
#include <string.h>

TEST(a_rendezvous_is_done_when_the_message_is_received)
{
    struct ends ends = make_channel(0);
    struct sending sending;

    CHECK_INT(send_number(ends.sender, 1, afar_after_ms(20)), AFAR_DEADLINE_EXCEEDED);
    start_sending(&sending, ends.sender, 7);
    CHECK_INT(received(ends.receiver), 7);
    CHECK_INT(finish_sending(&sending), AFAR_OK);
    close_ends(ends);
}

TEST(a_receiver_waits_for_a_sender)
{
    struct ends ends = make_channel(0);
    struct receiving receiving;
    uint64_t number;

    CHECK_INT(receive_number(ends.receiver, &number, afar_after_ms(20)), AFAR_DEADLINE_EXCEEDED);
    start_receiving(&receiving, ends.receiver);
    CHECK_INT(send_number(ends.sender, 9, soon()), AFAR_OK);
    CHECK_INT(finish_receiving(&receiving), AFAR_OK);
    CHECK_INT(receiving.number, 9);
    close_ends(ends);
}

TEST(a_buffer_takes_what_it_has_room_for)
{
    struct ends ends = make_channel(3);
    struct sending sending;

    for (uint64_t i = 0; i < 3; i++)
        CHECK_INT(send_number(ends.sender, i, soon()), AFAR_OK);
    CHECK_INT(send_number(ends.sender, 3, afar_after_ms(20)), AFAR_DEADLINE_EXCEEDED);
    start_sending(&sending, ends.sender, 3);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_INT(received(ends.receiver), i);
    CHECK_INT(finish_sending(&sending), AFAR_OK);
    close_ends(ends);
}

/* Two shared objects may have been built with the same .proto file. */
TEST(another_copy_of_the_description_reads_it)
{
    ProtobufCMessageDescriptor description = csp__item__descriptor;
    afar_channel_type twin = csp_item_channel_type;
    struct ends ends = make_channel(1);
    ProtobufCMessage *came = NULL;
    afar_receiver *receiver;
    afar_error err = AFAR_ERROR_INIT;

    twin.message = &description;
    CHECK_OK(afar_receiver_on(csp_item_receiver_object(ends.receiver), &twin, &receiver, &err));
    CHECK_INT(send_number(ends.sender, 6, soon()), AFAR_OK);
    CHECK_OK(afar_receiver_receive(receiver, soon(), &came, &err));
    CHECK_INT(((Csp__Item *)came)->number, 6);
    afar_message_free(came);
    afar_receiver_close(receiver);
    close_ends(ends);
}

TEST(the_data_of_a_message_arrive)
{
    struct ends ends = make_channel(1);
    Csp__Item item = CSP__ITEM__INIT, *came = NULL;
    static uint8_t data[100000];
    afar_error err = AFAR_ERROR_INIT;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    item.data = (ProtobufCBinaryData){ sizeof data, data };
    CHECK_OK(csp_item_send(ends.sender, &item, soon(), &err));
    CHECK_OK(csp_item_receive(ends.receiver, soon(), &came, &err));
    CHECK_INT(came->data.len, sizeof data);
    CHECK(memcmp(came->data.data, data, sizeof data) == 0);
    afar_message_free(came);
    close_ends(ends);
}

TEST(receivers_get_what_is_left_and_then_the_end)
{
    struct ends ends = make_channel(5);
    csp_item_sender *second = NULL, *third = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    CHECK_OK(csp_item_sender_share(ends.sender, &second, &err));
    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_OK);
    CHECK_OK(csp_item_sender_finish(ends.sender, soon(), &err));
    CHECK_INT(send_number(ends.sender, 2, soon()), AFAR_FAILED_PRECONDITION);
    CHECK_INT(csp_item_sender_share(ends.sender, &third, NULL), AFAR_FAILED_PRECONDITION);
    CHECK_INT(send_number(second, 3, soon()), AFAR_OK);
    csp_item_sender_close(second);
    CHECK_INT(received(ends.receiver), 1);
    CHECK_INT(received(ends.receiver), 3);
    CHECK_INT(receive_number(ends.receiver, &number, soon()), AFAR_ENDED);
    CHECK_INT(receive_number(ends.receiver, &number, now()), AFAR_ENDED);
    close_ends(ends);
}

TEST(who_waits_hears_of_the_end)
{
    struct ends ends = make_channel(0);
    struct receiving receiving;

    start_receiving(&receiving, ends.receiver);
    csp_item_sender_close(ends.sender);
    CHECK_INT(finish_receiving(&receiving), AFAR_ENDED);
    csp_item_receiver_close(ends.receiver);
}

TEST(a_sender_hears_that_nobody_receives_any_more)
{
    struct ends ends = make_channel(0);
    struct sending sending;

    start_sending(&sending, ends.sender, 1);
    csp_item_receiver_close(ends.receiver);
    CHECK_INT(finish_sending(&sending), AFAR_ENDED);
    csp_item_sender_close(ends.sender);
}

TEST(poison_ends_it_at_once_and_says_why)
{
    struct ends ends = make_channel(4);
    afar_error err = AFAR_ERROR_INIT;
    Csp__Item *item = NULL;

    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_OK);
    csp_item_receiver_poison(ends.receiver, "the disk is full");
    csp_item_receiver_poison(ends.receiver, "another reason");
    CHECK_FAILS(csp_item_receive(ends.receiver, soon(), &item, &err), AFAR_POISONED);
    CHECK(strstr(err.message, "the disk is full"));
    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_POISONED);
    afar_error_clear(&err);
    close_ends(ends);
}

TEST(a_select_takes_the_case_that_can_happen)
{
    struct ends a = make_channel(1), b = make_channel(1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(b.receiver)) };
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 9;

    CHECK_FAILS(afar_select(cases, 2, AFAR_FAIR, afar_after_ms(20), &which, &err),
                AFAR_DEADLINE_EXCEEDED);
    CHECK_INT(which, 2);
    CHECK_INT(send_number(b.sender, 5, soon()), AFAR_OK);
    CHECK_OK(afar_select(cases, 2, AFAR_FAIR, soon(), &which, &err));
    CHECK_INT(which, 1);
    CHECK_INT(((Csp__Item *)cases[1].received)->number, 5);
    afar_message_free(cases[1].received);
    afar_error_clear(&err);
    close_ends(a);
    close_ends(b);
}

TEST(two_selects_meet)
{
    struct ends a = make_channel(0), b = make_channel(0);
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_SEND(csp_item_sender_base(a.sender), &item.base),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(b.receiver)) };
    afar_error err = AFAR_ERROR_INIT;
    struct receiving receiving;
    size_t which = 9;

    item.number = 3;
    start_receiving(&receiving, a.receiver);
    CHECK_OK(afar_select(cases, 2, AFAR_FAIR, soon(), &which, &err));
    CHECK_INT(which, 0);
    CHECK_INT(finish_receiving(&receiving), AFAR_OK);
    CHECK_INT(receiving.number, 3);
    close_ends(a);
    close_ends(b);
}

TEST(a_select_does_not_meet_itself)
{
    struct ends a = make_channel(0);
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_SEND(csp_item_sender_base(a.sender), &item.base),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)) };
    size_t which;

    CHECK_INT(afar_select(cases, 2, AFAR_FAIR, afar_after_ms(20), &which, NULL),
              AFAR_DEADLINE_EXCEEDED);
    close_ends(a);
}

TEST(a_default_happens_when_nothing_else_can)
{
    struct ends a = make_channel(1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)),
                          AFAR_CASE_DEFAULT };
    size_t which = 9;

    CHECK_INT(afar_select(cases, 2, AFAR_FAIR, AFAR_FOREVER, &which, NULL), AFAR_OK);
    CHECK_INT(which, 1);
    CHECK_INT(send_number(a.sender, 1, soon()), AFAR_OK);
    CHECK_INT(afar_select(cases, 2, AFAR_FAIR, AFAR_FOREVER, &which, NULL), AFAR_OK);
    CHECK_INT(which, 0);
    afar_message_free(cases[0].received);
    close_ends(a);
}

TEST(a_timeout_is_a_case)
{
    struct ends a = make_channel(1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)),
                          AFAR_CASE_TIMEOUT(afar_after_ms(15000)),
                          AFAR_CASE_TIMEOUT(afar_after_ms(10)) };
    size_t which = 9;

    CHECK_INT(afar_select(cases, 3, AFAR_FAIR, AFAR_FOREVER, &which, NULL), AFAR_OK);
    CHECK_INT(which, 2);
    close_ends(a);
}

static void
check_refused(afar_case *cases, size_t count, unsigned flags, afar_code code, const char *text)
{
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 99;

    CHECK_FAILS(afar_select(cases, count, flags, AFAR_FOREVER, &which, &err), code);
    CHECK(strstr(err.message, text));
    CHECK_INT(which, count);
    afar_error_clear(&err);
}

TEST(a_select_that_cannot_be_says_so)
{
    struct ends a = make_channel(0);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)),
                          AFAR_CASE_RECEIVE(NULL) };

    check_refused(cases, 2, AFAR_FAIR, AFAR_INVALID_ARGUMENT, "case 1 receives from no channel");
    check_refused(cases, 1, 6, AFAR_INVALID_ARGUMENT, "no flags 0x6");
    cases[0].off = true;
    check_refused(cases, 1, AFAR_FAIR, AFAR_FAILED_PRECONDITION, "none of 1 cases is on");
    check_refused(NULL, 0, AFAR_FAIR, AFAR_FAILED_PRECONDITION, "none of 0 cases is on");
    close_ends(a);
}

TEST(a_selector_whose_cases_are_all_off_does_not_wait_for_ever)
{
    struct ends a = make_channel(1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)) };
    afar_selector *selector = NULL;
    size_t which = 99;

    CHECK_INT(afar_selector_open(cases, 1, AFAR_FAIR, &selector, NULL), AFAR_OK);
    afar_selector_switch(selector, 0, false);
    afar_selector_switch(selector, 0, false);
    CHECK_INT(afar_selector_select(selector, AFAR_FOREVER, &which, NULL), AFAR_FAILED_PRECONDITION);
    CHECK_INT(which, 1);
    CHECK_INT(afar_selector_select(selector, now(), &which, NULL), AFAR_DEADLINE_EXCEEDED);
    afar_selector_switch(selector, 0, true);
    CHECK_INT(send_number(a.sender, 1, soon()), AFAR_OK);
    CHECK_INT(afar_selector_select(selector, AFAR_FOREVER, &which, NULL), AFAR_OK);
    CHECK_INT(which, 0);
    afar_message_free(cases[0].received);
    afar_selector_close(selector);
    close_ends(a);
}

/* All three can happen at any time. */
static void
count_choices(unsigned flags, size_t counts[3])
{
    struct ends ends[3];
    afar_case cases[3];
    afar_selector *selector = NULL;
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 3; i++) {
        ends[i] = make_channel(1);
        cases[i] = (afar_case)AFAR_CASE_RECEIVE(csp_item_receiver_base(ends[i].receiver));
        CHECK_INT(send_number(ends[i].sender, 0, soon()), AFAR_OK);
        counts[i] = 0;
    }
    CHECK_OK(afar_selector_open(cases, 3, flags, &selector, &err));
    for (int i = 0; i < 300; i++) {
        size_t which = 9;

        CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
        counts[which]++;
        afar_message_free(cases[which].received);
        CHECK_INT(send_number(ends[which].sender, 0, soon()), AFAR_OK);
    }
    afar_selector_close(selector);
    for (int i = 0; i < 3; i++)
        close_ends(ends[i]);
}

TEST(a_fair_select_passes_nobody_over)
{
    size_t counts[3];

    count_choices(AFAR_FAIR, counts);
    for (int i = 0; i < 3; i++)
        CHECK_INT(counts[i], 100);
}

TEST(a_fair_select_begins_elsewhere_each_time)
{
    struct ends ends[3];
    afar_case cases[3];
    size_t counts[3] = { 0, 0, 0 };

    for (int i = 0; i < 3; i++) {
        ends[i] = make_channel(1);
        cases[i] = (afar_case)AFAR_CASE_RECEIVE(csp_item_receiver_base(ends[i].receiver));
        CHECK_INT(send_number(ends[i].sender, 0, soon()), AFAR_OK);
    }
    for (int i = 0; i < 300; i++) {
        size_t which = 9;

        CHECK_INT(afar_select(cases, 3, AFAR_FAIR, soon(), &which, NULL), AFAR_OK);
        counts[which]++;
        afar_message_free(cases[which].received);
        CHECK_INT(send_number(ends[which].sender, 0, soon()), AFAR_OK);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(counts[i], 100);
        close_ends(ends[i]);
    }
}

TEST(by_priority_the_first_is_taken)
{
    size_t counts[3];

    count_choices(AFAR_BY_PRIORITY, counts);
    CHECK_INT(counts[0], 300);
}

TEST(an_end_that_has_finished_may_be_in_a_case_that_is_off)
{
    struct ends ends = make_channel(1), others = make_channel(1);
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_SEND(csp_item_sender_base(others.sender), &item.base),
                          AFAR_CASE_SEND(csp_item_sender_base(ends.sender), &item.base) };
    afar_error err = AFAR_ERROR_INIT;
    size_t which;

    CHECK_OK(csp_item_sender_finish(others.sender, soon(), &err));
    CHECK_INT(afar_select(cases, 2, AFAR_BY_PRIORITY, soon(), &which, &err),
              AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
    cases[0].off = true;
    CHECK_OK(afar_select(cases, 2, AFAR_BY_PRIORITY, soon(), &which, &err));
    CHECK_INT(which, 1);
    close_ends(ends);
    close_ends(others);
}

TEST(a_case_that_is_off_does_not_happen)
{
    struct ends a = make_channel(1), b = make_channel(1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(a.receiver)),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(b.receiver)) };
    afar_selector *selector = NULL;
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 9;

    CHECK_INT(send_number(a.sender, 1, soon()), AFAR_OK);
    CHECK_OK(afar_selector_open(cases, 2, AFAR_FAIR, &selector, &err));
    afar_selector_switch(selector, 0, false);
    CHECK_INT(afar_selector_select(selector, afar_after_ms(20), &which, NULL),
              AFAR_DEADLINE_EXCEEDED);
    afar_selector_switch(selector, 0, true);
    CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
    CHECK_INT(which, 0);
    afar_message_free(cases[0].received);
    afar_selector_close(selector);
    close_ends(a);
    close_ends(b);
}

/* ---- many threads ---- */

#define MANY 4
#define EACH 5000

struct crowd {
    struct ends ends;
    atomic_uint seen[MANY * EACH];
    atomic_int sender;
};

static void *
send_many(void *arg)
{
    struct crowd *crowd = arg;
    int self = atomic_fetch_add(&crowd->sender, 1);

    for (int i = 0; i < EACH; i++)
        CHECK_INT(send_number(crowd->ends.sender, (uint64_t)(self * EACH + i), soon()), AFAR_OK);
    return NULL;
}

static void *
receive_many(void *arg)
{
    struct crowd *crowd = arg;
    uint64_t number;
    afar_code code;

    while (!(code = receive_number(crowd->ends.receiver, &number, soon())))
        atomic_fetch_add(&crowd->seen[number], 1);
    CHECK_INT(code, AFAR_ENDED);
    return NULL;
}

static void
crowd(unsigned capacity)
{
    static struct crowd all;
    pthread_t senders[MANY], receivers[MANY];

    memset(&all, 0, sizeof all);
    all.ends = make_channel(capacity);
    for (int i = 0; i < MANY; i++) {
        CHECK(!pthread_create(&senders[i], NULL, send_many, &all));
        CHECK(!pthread_create(&receivers[i], NULL, receive_many, &all));
    }
    for (int i = 0; i < MANY; i++)
        CHECK(!pthread_join(senders[i], NULL));
    csp_item_sender_close(all.ends.sender);
    for (int i = 0; i < MANY; i++)
        CHECK(!pthread_join(receivers[i], NULL));
    for (int i = 0; i < MANY * EACH; i++)
        CHECK_INT(atomic_load(&all.seen[i]), 1);
    csp_item_receiver_close(all.ends.receiver);
}

TEST(each_message_of_a_crowd_is_received_once)
{
    crowd(0);
    crowd(3);
}
