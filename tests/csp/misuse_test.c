/* NULL where something is needed: it stops the program with a line that says which function was called so.
 * A case without a message is an error, as the cases are data. */

#include "away.h"

#include <string.h>

#include "death.h"

static void
send_nothing(void *arg)
{
    const struct ends *ends = arg;

    (void)!afar_sender_send(csp_item_sender_base(ends->sender), NULL, now(), NULL);
}

static void
post_nothing(void *arg)
{
    const struct ends *ends = arg;

    (void)!afar_sender_post(csp_item_sender_base(ends->sender), NULL, now(), NULL);
}

static void
receive_nowhere(void *arg)
{
    const struct ends *ends = arg;

    (void)!csp_item_receive(ends->receiver, now(), NULL, NULL);
}

static void
poison_without_a_reason(void *arg)
{
    const struct ends *ends = arg;

    csp_item_receiver_poison(ends->receiver, NULL);
}

static void
take_no_object(void *arg)
{
    afar_sender *sender;

    (void)arg;
    (void)!afar_sender_on(NULL, &csp_item_channel_type, &sender, NULL);
}

TEST(what_is_needed_besides_an_end)
{
    struct ends ends = make_channel(1);

    check_dies(send_nothing, &ends, "afar: afar_sender_send: a NULL message\n");
    check_dies(post_nothing, &ends, "afar: afar_sender_post: a NULL message\n");
    check_dies(receive_nowhere, &ends, "afar: afar_receiver_receive: a NULL ret_message\n");
    check_dies(poison_without_a_reason, &ends, "afar: afar_receiver_poison: a NULL reason\n");
    check_dies(take_no_object, NULL, "afar: afar_sender_on: a NULL object\n");
    close_ends(ends);
}

/* ---- no end ---- */

static void
send_into_nothing(void *arg)
{
    (void)arg;
    (void)!send_number(NULL, 1, now());
}

static void
post_into_nothing(void *arg)
{
    Csp__Item item = CSP__ITEM__INIT;

    (void)arg;
    (void)!csp_item_post(NULL, &item, now(), NULL);
}

static void
flush_nothing(void *arg)
{
    (void)arg;
    (void)!csp_item_flush(NULL, now(), NULL);
}

static void
finish_nothing(void *arg)
{
    (void)arg;
    (void)!csp_item_sender_finish(NULL, now(), NULL);
}

static void
poison_nothing(void *arg)
{
    (void)arg;
    csp_item_sender_poison(NULL, "why not");
}

static void
object_of_nothing(void *arg)
{
    (void)arg;
    csp_item_sender_object(NULL);
}

static void
share_nothing(void *arg)
{
    csp_item_sender *made;

    (void)arg;
    (void)!csp_item_sender_share(NULL, &made, NULL);
}

TEST(no_sender)
{
    check_dies(send_into_nothing, NULL, "afar: afar_sender_send: a NULL end\n");
    check_dies(post_into_nothing, NULL, "afar: afar_sender_post: a NULL end\n");
    check_dies(flush_nothing, NULL, "afar: afar_sender_flush: a NULL end\n");
    check_dies(finish_nothing, NULL, "afar: afar_sender_finish: a NULL end\n");
    check_dies(poison_nothing, NULL, "afar: afar_sender_poison: a NULL end\n");
    check_dies(object_of_nothing, NULL, "afar: afar_sender_object: a NULL end\n");
    check_dies(share_nothing, NULL, "afar: afar_sender_share: a NULL end\n");
}

static void
receive_from_nothing(void *arg)
{
    uint64_t number;

    (void)arg;
    (void)!receive_number(NULL, &number, now());
}

static void
poison_no_receiver(void *arg)
{
    (void)arg;
    csp_item_receiver_poison(NULL, "why not");
}

static void
object_of_no_receiver(void *arg)
{
    (void)arg;
    csp_item_receiver_object(NULL);
}

static void
share_no_receiver(void *arg)
{
    csp_item_receiver *made;

    (void)arg;
    (void)!csp_item_receiver_share(NULL, &made, NULL);
}

TEST(no_receiver)
{
    check_dies(receive_from_nothing, NULL, "afar: afar_receiver_receive: a NULL end\n");
    check_dies(poison_no_receiver, NULL, "afar: afar_receiver_poison: a NULL end\n");
    check_dies(object_of_no_receiver, NULL, "afar: afar_receiver_object: a NULL end\n");
    check_dies(share_no_receiver, NULL, "afar: afar_receiver_share: a NULL end\n");
}

/* NULL is nothing to close. */
TEST(closing_nothing)
{
    csp_item_sender_close(NULL);
    csp_item_receiver_close(NULL);
    afar_selector_close(NULL);
}

/* ---- selects ---- */

static void
select_of_nothing(void *arg)
{
    size_t which;

    (void)arg;
    (void)!afar_select(NULL, 2, AFAR_FAIR, now(), &which, NULL);
}

static void
select_and_tell_nobody(void *arg)
{
    (void)arg;
    (void)!afar_select(NULL, 0, AFAR_FAIR, now(), NULL, NULL);
}

static void
selector_of_nothing(void *arg)
{
    afar_selector *selector;

    (void)arg;
    (void)!afar_selector_open(NULL, 1, AFAR_FAIR, &selector, NULL);
}

static void
round_without_a_selector(void *arg)
{
    size_t which;

    (void)arg;
    (void)!afar_selector_select(NULL, now(), &which, NULL);
}

static void
switch_without_a_selector(void *arg)
{
    (void)arg;
    afar_selector_switch(NULL, 0, true);
}

static void
switch_the_second(void *arg)
{
    afar_selector_switch(arg, 1, true);
}

TEST(no_cases)
{
    check_dies(select_of_nothing, NULL, "afar: afar_select: a NULL array of cases\n");
    check_dies(select_and_tell_nobody, NULL, "afar: afar_select: a NULL ret_case\n");
    check_dies(selector_of_nothing, NULL, "afar: afar_selector_open: a NULL array of cases\n");
    check_dies(round_without_a_selector, NULL, "afar: afar_selector_select: a NULL selector\n");
    check_dies(switch_without_a_selector, NULL, "afar: afar_selector_switch: a NULL selector\n");
}

TEST(a_case_that_is_not_there)
{
    struct ends ends = make_channel(1);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(ends.receiver)) };
    afar_selector *selector = NULL;

    CHECK_INT(afar_selector_open(cases, 1, AFAR_FAIR, &selector, NULL), AFAR_OK);
    check_dies(switch_the_second, selector,
               "afar: afar_selector_switch: there is no case 1 in 1\n");
    afar_selector_close(selector);
    close_ends(ends);
}

/* ---- a case without a message ---- */

/* It is off when the selector is made.  The error comes with each round, and ends when there is a message. */
static void
switch_on_nothing(struct ends to, csp_item_receiver *from)
{
    Csp__Item item = CSP__ITEM__INIT;
    afar_case cases[] = { AFAR_CASE_TIMEOUT(soon()),
                          AFAR_CASE_SEND(csp_item_sender_base(to.sender), NULL) };
    afar_selector *selector = NULL;
    afar_error err = AFAR_ERROR_INIT;
    size_t which = 9;

    cases[1].off = true;
    CHECK_OK(afar_selector_open(cases, 2, AFAR_FAIR, &selector, &err));
    afar_selector_switch(selector, 1, true);
    for (int i = 0; i < 3; i++) {
        CHECK_FAILS(afar_selector_select(selector, soon(), &which, &err), AFAR_INVALID_ARGUMENT);
        CHECK_INT(which, 1);
        CHECK_STR(err.message, "case 1 sends no message");
    }
    item.number = 8;
    cases[1].message = &item.base;
    CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
    CHECK_INT(which, 1);
    afar_selector_close(selector);
    CHECK_INT(received(from), 8);
    afar_error_clear(&err);
}

TEST(a_case_that_is_switched_on_without_a_message)
{
    struct ends ends = make_channel(1);

    switch_on_nothing(ends, ends.receiver);
    close_ends(ends);
}

TEST(a_case_that_is_switched_on_without_a_message_elsewhere)
{
    for (const char *const *place = places; *place; place++) {
        struct away away;

        away_open(&away, *place, 1);
        switch_on_nothing(away.far, away.home.receiver);
        away_close(&away);
    }
}
