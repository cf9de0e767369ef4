/* Ends of channels as values: in requests, replies and messages of other channels, and under names.  Whoever
 * has one, wherever the home is, uses it in the same way; one that is on its way counts as an end.
 *
 * Labels: concurrent waits */

#include <afar/client.h>
#include <afar/server.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "away.h"

/* ---- an office, near or far ---- */

/* Keeps the ends that come in a request, and gives away those that are laid out. */
struct desk {
    struct ends kept, laid_out;
};

static afar_code
trade(void *self, const Csp__Ends *request, Csp__Ends *reply, afar_call *call)
{
    struct desk *desk = self;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    reply->number = request->number + 1;
    CHECK_OK(csp_ends_take_sender(request, &desk->kept.sender, &err));
    CHECK_OK(csp_ends_take_receiver(request, &desk->kept.receiver, &err));
    if (desk->laid_out.sender)
        code = csp_ends_give_sender(reply, call, desk->laid_out.sender);
    if (!code && desk->laid_out.receiver)
        code = csp_ends_give_receiver(reply, call, desk->laid_out.receiver);
    desk->laid_out = (struct ends){ NULL, NULL };
    return code;
}

struct office {
    struct desk desk;
    struct away away; /* NULLs: it is local */
    csp_office *near, *far;
    csp_ends_sender *post; /* a buffer of ends, at the office */
    csp_ends_receiver *box;
    csp_ends_sender *far_post; /* as its client has it */
    csp_ends_receiver *far_box;
};

static void
make_office(struct office *office)
{
    static const csp_office_methods methods = { trade };
    afar_error err = AFAR_ERROR_INIT;

    memset(office, 0, sizeof *office);
    CHECK_OK(csp_office_new(&methods, &office->desk, NULL, &office->near, &err));
    CHECK_OK(csp_ends_buffered_new(5, &office->post, &office->box, &err));
}

static void
open_local(struct office *office)
{
    afar_error err = AFAR_ERROR_INIT;

    make_office(office);
    office->far = (csp_office *)afar_object_share(csp_office_object(office->near));
    CHECK_OK(csp_ends_sender_share(office->post, &office->far_post, &err));
    CHECK_OK(csp_ends_receiver_share(office->box, &office->far_box, &err));
}

static void
open_far(struct office *office, const char *place)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[300];

    make_office(office);
    away_open(&office->away, place, 0);
    CHECK_OK(
        afar_server_export(office->away.server, "office", csp_office_object(office->near), &err));
    CHECK_OK(afar_server_export(office->away.server, "post", csp_ends_sender_object(office->post),
                                &err));
    CHECK_OK(afar_server_export(office->away.server, "box", csp_ends_receiver_object(office->box),
                                &err));
    CHECK_OK(csp_office_open(office->away.client, away_name(&office->away, "office", text), soon(),
                             &office->far, &err));
    CHECK_OK(csp_ends_sender_open(office->away.client, away_name(&office->away, "post", text),
                                  soon(), &office->far_post, &err));
    CHECK_OK(csp_ends_receiver_open(office->away.client, away_name(&office->away, "box", text),
                                    soon(), &office->far_box, &err));
}

static void
close_office(struct office *office)
{
    csp_office_close(office->far);
    csp_ends_sender_close(office->far_post);
    csp_ends_receiver_close(office->far_box);
    close_ends(office->desk.kept);
    close_ends(office->desk.laid_out);
    csp_ends_sender_close(office->post);
    csp_ends_receiver_close(office->box);
    if (office->away.server)
        away_close(&office->away);
    csp_office_close(office->near);
}

static void
everywhere(void (*fn)(struct office *office))
{
    struct office office;

    open_local(&office);
    fn(&office);
    close_office(&office);
    for (size_t i = 0; places[i]; i++) {
        open_far(&office, places[i]);
        fn(&office);
        close_office(&office);
    }
}

/* ---- the ways of ends ---- */

static void
put(Csp__Ends *message, afar_sender_room *sender, afar_receiver_room *receiver, struct ends ends)
{
    csp__ends__init(message);
    if (ends.sender)
        csp_ends_put_sender(message, sender, ends.sender);
    if (ends.receiver)
        csp_ends_put_receiver(message, receiver, ends.receiver);
}

static struct ends
take(const Csp__Ends *message)
{
    struct ends ends = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(csp_ends_take_sender(message, &ends.sender, &err));
    CHECK_OK(csp_ends_take_receiver(message, &ends.receiver, &err));
    return ends;
}

/* What comes back in the reply.  Both stay the caller's. */
static struct ends
trade_for(struct office *office, struct ends given)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_receiver_room receiver;
    afar_sender_room sender;
    Csp__Ends request, *reply = NULL;
    struct ends got;

    put(&request, &sender, &receiver, given);
    request.number = 7;
    CHECK_OK(csp_office_trade(office->far, &request, soon(), &reply, &err));
    CHECK_INT(reply->number, 8);
    got = take(reply);
    afar_message_free(reply);
    return got;
}

static void
send_ends(csp_ends_sender *way, struct ends ends)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_receiver_room receiver;
    afar_sender_room sender;
    Csp__Ends message;

    put(&message, &sender, &receiver, ends);
    CHECK_OK(csp_ends_send(way, &message, soon(), &err));
}

static struct ends
receive_ends(csp_ends_receiver *way)
{
    afar_error err = AFAR_ERROR_INIT;
    Csp__Ends *message = NULL;
    struct ends ends;

    CHECK_OK(csp_ends_receive(way, soon(), &message, &err));
    ends = take(message);
    afar_message_free(message);
    return ends;
}

static void
use(csp_item_sender *sender, csp_item_receiver *receiver)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct sending sending;

        start_sending(&sending, sender, i);
        CHECK_INT(received(receiver), i);
        CHECK_INT(finish_sending(&sending), AFAR_OK);
    }
}

static void
check_ended(csp_item_receiver *receiver)
{
    uint64_t number;

    CHECK_INT(receive_number(receiver, &number, soon()), AFAR_ENDED);
}

/* Nothing comes, but it may. */
static void
check_silent(csp_item_receiver *receiver)
{
    uint64_t number;

    CHECK_INT(receive_number(receiver, &number, afar_after_ms(30)), AFAR_DEADLINE_EXCEEDED);
}

/* ---- requests and replies ---- */

static void
give_in_a_request(struct office *office)
{
    struct ends mine = make_channel(0), got = trade_for(office, mine);

    CHECK(!got.sender && !got.receiver);
    use(office->desk.kept.sender, mine.receiver);
    use(mine.sender, office->desk.kept.receiver);
    use(office->desk.kept.sender, office->desk.kept.receiver);
    close_ends(mine);
}

TEST(ends_in_requests)
{
    everywhere(give_in_a_request);
}

static void
get_in_a_reply(struct office *office)
{
    struct ends theirs = make_channel(0), none = { NULL, NULL }, got;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(csp_item_sender_share(theirs.sender, &office->desk.laid_out.sender, &err));
    CHECK_OK(csp_item_receiver_share(theirs.receiver, &office->desk.laid_out.receiver, &err));
    got = trade_for(office, none);
    use(got.sender, theirs.receiver);
    use(theirs.sender, got.receiver);
    use(got.sender, got.receiver);
    close_ends(got);
    close_ends(theirs);
}

TEST(ends_in_replies)
{
    everywhere(get_in_a_reply);
}

/* An end that comes home is an end of the channel itself. */
static void
send_and_get_back(struct office *office)
{
    struct ends mine = make_channel(2), back;

    trade_for(office, mine);
    office->desk.laid_out = office->desk.kept;
    office->desk.kept = (struct ends){ NULL, NULL };
    back = trade_for(office, office->desk.kept);
    CHECK(csp_item_sender_object(back.sender) == csp_item_sender_object(mine.sender));
    CHECK_INT(send_number(back.sender, 1, soon()), AFAR_OK);
    CHECK_INT(received(back.receiver), 1);
    close_ends(back);
    close_ends(mine);
}

TEST(ends_that_come_home)
{
    everywhere(send_and_get_back);
}

/* ---- the last one ---- */

static void
close_the_last(struct office *office)
{
    struct ends mine = make_channel(0), sender_only = { mine.sender, NULL },
                receiver_only = { NULL, NULL };

    trade_for(office, sender_only);
    csp_item_sender_close(mine.sender);
    check_silent(mine.receiver);
    csp_item_sender_close(office->desk.kept.sender);
    office->desk.kept.sender = NULL;
    check_ended(mine.receiver);
    csp_item_receiver_close(mine.receiver);

    mine = make_channel(0);
    receiver_only.receiver = mine.receiver;
    trade_for(office, receiver_only);
    csp_item_receiver_close(mine.receiver);
    CHECK_INT(send_number(mine.sender, 1, afar_after_ms(30)), AFAR_DEADLINE_EXCEEDED);
    csp_item_receiver_close(office->desk.kept.receiver);
    office->desk.kept.receiver = NULL;
    CHECK_INT(send_number(mine.sender, 1, soon()), AFAR_ENDED);
    csp_item_sender_close(mine.sender);
}

TEST(the_last_reference_was_the_last_end)
{
    everywhere(close_the_last);
}

static void
use_and_close_the_last(struct office *office)
{
    struct ends mine = make_channel(0), sender_only = { mine.sender, NULL };
    afar_error err = AFAR_ERROR_INIT;

    trade_for(office, sender_only);
    csp_item_sender_close(mine.sender);
    use(office->desk.kept.sender, mine.receiver);
    CHECK_OK(csp_item_sender_finish(office->desk.kept.sender, soon(), &err));
    csp_item_sender_close(office->desk.kept.sender);
    office->desk.kept.sender = NULL;
    check_ended(mine.receiver);
    csp_item_receiver_close(mine.receiver);
}

TEST(who_finished_is_not_lost)
{
    everywhere(use_and_close_the_last);
}

/* ---- ends that go through channels ---- */

static void
go_through_a_channel(struct office *office)
{
    struct ends mine = make_channel(0), there, back;

    send_ends(office->far_post, mine);
    there = receive_ends(office->box);
    use(there.sender, mine.receiver);
    use(mine.sender, there.receiver);
    send_ends(office->post, there);
    back = receive_ends(office->far_box);
    use(back.sender, there.receiver);
    use(there.sender, back.receiver);
    close_ends(there);
    close_ends(back);
    close_ends(mine);
}

TEST(ends_go_through_channels)
{
    everywhere(go_through_a_channel);
}

/* The only sender waits in a buffer. */
static void
wait_in_a_buffer(struct office *office)
{
    struct ends mine = make_channel(0), sender_only = { mine.sender, NULL }, there;

    send_ends(office->far_post, sender_only);
    csp_item_sender_close(mine.sender);
    check_silent(mine.receiver);
    there = receive_ends(office->box);
    check_silent(mine.receiver);
    use(there.sender, mine.receiver);
    send_ends(office->post, there);
    close_ends(there);
    check_silent(mine.receiver);
    there = receive_ends(office->far_box);
    use(there.sender, mine.receiver);
    close_ends(there);
    check_ended(mine.receiver);
    csp_item_receiver_close(mine.receiver);
}

TEST(an_end_on_its_way_counts)
{
    everywhere(wait_in_a_buffer);
}

/* A message that nobody will read any more. */
static void
drop_a_buffer(struct office *office)
{
    struct ends mine = make_channel(0), sender_only = { mine.sender, NULL };

    send_ends(office->far_post, sender_only);
    csp_item_sender_close(mine.sender);
    check_silent(mine.receiver);
    csp_ends_receiver_poison(office->box, "the post is closed");
    check_ended(mine.receiver);
    csp_item_receiver_close(mine.receiver);
}

TEST(an_end_that_is_dropped_has_finished)
{
    everywhere(drop_a_buffer);
}

/* One that did not leave stays whose it was. */
static void
send_in_vain(struct office *office)
{
    struct ends mine = make_channel(1);
    afar_error err = AFAR_ERROR_INIT;
    afar_sender_room room;
    Csp__Ends message = CSP__ENDS__INIT;

    csp_ends_put_sender(&message, &room, mine.sender);
    for (int i = 0; i < 5; i++)
        CHECK_OK(csp_ends_send(office->far_post, &message, soon(), &err));
    CHECK_FAILS(csp_ends_send(office->far_post, &message, afar_after_ms(20), &err),
                AFAR_DEADLINE_EXCEEDED);
    for (int i = 0; i < 5; i++)
        close_ends(receive_ends(office->box));
    use(mine.sender, mine.receiver);
    csp_item_sender_close(mine.sender);
    check_ended(mine.receiver);
    csp_item_receiver_close(mine.receiver);
    afar_error_clear(&err);
}

TEST(an_end_that_was_not_sent)
{
    everywhere(send_in_vain);
}

/* ---- what is wrong ---- */

static void
give_another_type(struct office *office)
{
    Csp__Ends request = CSP__ENDS__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_sender_room room;

    request.sender = afar_sender_put(&room, csp_ends_sender_base(office->far_post));
    CHECK_FAILS(csp_office_trade(office->far, &request, soon(), &reply, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "afar.Sender(csp.Ends)"));
    CHECK(strstr(err.message, "afar.Sender(csp.Item)"));
    CHECK(!strchr(err.message, '\n'));
    afar_error_clear(&err);
}

static void
give_the_other_kind(struct office *office)
{
    struct ends mine = make_channel(0);
    Csp__Ends request = CSP__ENDS__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_receiver_room room;
    Afar__Sender sender = AFAR__SENDER__INIT;

    sender.end = afar_receiver_put(&room, csp_item_receiver_base(mine.receiver))->end;
    request.sender = &sender;
    CHECK_FAILS(csp_office_trade(office->far, &request, soon(), &reply, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "afar.Receiver(csp.Item)"));
    afar_error_clear(&err);
    close_ends(mine);
}

TEST(ends_that_carry_something_else)
{
    everywhere(give_another_type);
    everywhere(give_the_other_kind);
}
