/* Channels whose ends have moved on through processes without an address: what is sent through them has references,
 * to objects and to ends that move on themselves.
 *
 *     home (the test, a client) --- middle (a server) --- third (a client)
 *     home --- middle --- bridge (a client of two) --- middle --- third
 *
 * All are processes of their own.  The third one has a sender of the channel `up` and a receiver of `down`. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "line.h"

/* ---- a process in the middle ---- */

/* Keeps two ends until somebody asks for them. */
struct shelf {
    far_bundle_sender *end;
    far_bundle_receiver *source;
};

static afar_code
keep_or_give(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct shelf *shelf = self, given = *shelf;
    afar_error err = AFAR_ERROR_INIT;

    if (request->end) {
        CHECK_OK(far_bundle_take_end(request, &shelf->end, &err));
        CHECK_OK(far_bundle_take_source(request, &shelf->source, &err));
        return AFAR_OK;
    }
    reply->number = request->number + 1;
    if (!given.end)
        return AFAR_OK;
    *shelf = (struct shelf){ NULL, NULL };
    CHECK_OK(far_bundle_give_end(reply, call, given.end));
    return far_bundle_give_source(reply, call, given.source);
}

static const far_peer_methods shelving = { .ask = keep_or_give };

static void
be_middle(struct child *self)
{
    static struct shelf shelf;
    struct pair pair;

    pair_open(&pair, TCP);
    serve_peer(pair.server, "", &shelving, &shelf, AFAR_SERIAL);
    child_serve(self, pair.server);
    pair_close(&pair);
}

/* ---- putting ends there, and taking them ---- */

struct place {
    afar_client *client;
    far_peer *shelf;
};

static void
place_open(struct place *place, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_client_open(NULL, NULL, &place->client, &err));
    place->shelf = reach_peer_at(place->client, address, "");
}

static void
place_close(struct place *place)
{
    far_peer_close(place->shelf);
    afar_client_close(place->client);
}

static void
put_ends(const struct place *place, far_bundle_sender *sender, far_bundle_receiver *receiver)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_sender_room sender_room;
    afar_receiver_room receiver_room;

    far_bundle_put_end(&request, &sender_room, sender);
    far_bundle_put_source(&request, &receiver_room, receiver);
    CHECK_OK(far_peer_ask(place->shelf, &request, soon(), &reply, &err));
    afar_message_free(reply);
    far_bundle_sender_close(sender);
    far_bundle_receiver_close(receiver);
}

static void
take_ends(const struct place *place, far_bundle_sender **ret_sender,
          far_bundle_receiver **ret_receiver)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far_peer_ask(place->shelf, &request, soon(), &reply, &err));
    CHECK_OK(far_bundle_take_end(reply, ret_sender, &err));
    CHECK_OK(far_bundle_take_source(reply, ret_receiver, &err));
    CHECK(*ret_sender && *ret_receiver);
    afar_message_free(reply);
}

static void
be_bridge(struct child *self)
{
    far_bundle_receiver *receiver = NULL;
    far_bundle_sender *sender = NULL;
    struct place from, to;
    char line[300];

    child_hear(self, line);
    place_open(&from, line);
    child_hear(self, line);
    place_open(&to, line);
    take_ends(&from, &sender, &receiver);
    put_ends(&to, sender, receiver);
    child_say(self, "moved");
    child_hear(self, line);
    place_close(&to);
    place_close(&from);
}

/* ---- the third process ---- */

struct third {
    struct place place;
    far_bundle_sender *up;
    far_bundle_receiver *down;
};

static void
third_open(struct third *third, struct child *self)
{
    char address[300];

    child_hear(self, address);
    place_open(&third->place, address);
    take_ends(&third->place, &third->up, &third->down);
}

static void
third_close(struct third *third)
{
    far_bundle_sender_close(third->up);
    far_bundle_receiver_close(third->down);
    place_close(&third->place);
}

static afar_code
send_with(far_bundle_sender *sender, int64_t number, far_peer *one)
{
    Far__Bundle bundle = FAR__BUNDLE__INIT;
    Afar__Ref room;

    bundle.number = number;
    far_bundle_put_one(&bundle, &room, one);
    return far_bundle_send(sender, &bundle, soon(), NULL);
}

/* With a new object. */
static afar_code
send_new(far_bundle_sender *sender, int64_t number, struct event *gone)
{
    far_peer *one = make_peer(&counting_methods, gone, AFAR_SERIAL, raise_event);
    afar_code code = send_with(sender, number, one);

    far_peer_close(one);
    return code;
}

/* Receives the number, and uses the object beside it. */
static void
receive_and_call(far_bundle_receiver *receiver, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *bundle = NULL;

    CHECK_OK(far_bundle_receive(receiver, soon(), &bundle, &err));
    CHECK_INT(bundle->number, number);
    far_peer *one = far_bundle_take_one(bundle);
    afar_message_free(bundle);
    CHECK(one);
    CHECK_INT(number_of(one, number), number + 1);
    far_peer_close(one);
}

static void
receive_end(far_bundle_receiver *receiver)
{
    Far__Bundle *bundle = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_FAILS(far_bundle_receive(receiver, soon(), &bundle, &err), AFAR_ENDED);
    afar_error_clear(&err);
}

static void
finish(far_bundle_sender *sender)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far_bundle_sender_finish(sender, soon(), &err));
}

/* ---- the home ---- */

struct home {
    struct child middle, bridge, second, third;
    bool chain;
    struct place place;
    far_bundle_receiver *up;
    far_bundle_sender *down;
};

static void
home_open(struct home *home, bool chain, void (*run)(struct child *self))
{
    afar_error err = AFAR_ERROR_INIT;
    far_bundle_receiver *receiver = NULL;
    far_bundle_sender *sender = NULL;
    char address[300], line[300];

    *home = (struct home){ .chain = chain };
    child_start(&home->third, run);
    child_start(&home->middle, be_middle);
    if (chain) {
        child_start(&home->bridge, be_bridge);
        child_start(&home->second, be_middle);
    }
    child_hear(&home->middle, address);
    place_open(&home->place, address);
    CHECK_OK(far_bundle_rendezvous_new(&sender, &home->up, &err));
    CHECK_OK(far_bundle_rendezvous_new(&home->down, &receiver, &err));
    put_ends(&home->place, sender, receiver);
    if (chain) {
        child_say(&home->bridge, address);
        child_hear(&home->second, address);
        child_say(&home->bridge, address);
        child_hear(&home->bridge, line);
    }
    child_say(&home->third, address);
}

/* Those in the middle are still there, unless they were killed. */
static void
home_close(struct home *home)
{
    far_bundle_sender_close(home->down);
    far_bundle_receiver_close(home->up);
    place_close(&home->place);
    if (home->third.pid)
        child_end(&home->third);
    if (home->chain) {
        child_say(&home->bridge, "leave");
        child_end(&home->bridge);
        child_end(&home->second);
    }
    if (home->middle.pid)
        child_end(&home->middle);
}

/* ---- objects ---- */

#define OBJECTS 40

static void
be_caller(struct child *self)
{
    struct event gone = EVENT_INIT;
    struct third third;

    third_open(&third, self);
    for (int64_t i = 0; i < OBJECTS; i++) {
        receive_and_call(third.down, i);
        CHECK_INT(send_new(third.up, i, &gone), AFAR_OK);
    }
    receive_end(third.down);
    finish(third.up);
    event_wait(&gone, OBJECTS);
    third_close(&third);
}

static void
exchange_objects(bool chain)
{
    struct event gone = EVENT_INIT;
    struct home home;

    home_open(&home, chain, be_caller);
    for (int64_t i = 0; i < OBJECTS; i++) {
        CHECK_INT(send_new(home.down, i, &gone), AFAR_OK);
        receive_and_call(home.up, i);
    }
    finish(home.down);
    receive_end(home.up);
    event_wait(&gone, OBJECTS);
    home_close(&home);
}

TEST(objects_go_through_a_relay_both_ways)
{
    exchange_objects(false);
}

TEST(objects_go_through_several_relays)
{
    exchange_objects(true);
}

/* ---- ends ---- */

/* Sends into an end that it was sent, and has one sent from. */
static void
be_mover(struct child *self)
{
    Far__Bundle bundle = FAR__BUNDLE__INIT, *came = NULL;
    far_bundle_sender *to_home = NULL, *sender = NULL;
    far_bundle_receiver *receiver = NULL;
    struct event gone = EVENT_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_receiver_room room;
    struct third third;

    third_open(&third, self);
    CHECK_OK(far_bundle_receive(third.down, soon(), &came, &err));
    CHECK_OK(far_bundle_take_end(came, &to_home, &err));
    afar_message_free(came);
    CHECK(to_home);
    CHECK_OK(far_bundle_rendezvous_new(&sender, &receiver, &err));
    far_bundle_put_source(&bundle, &room, receiver);
    CHECK_OK(far_bundle_send(third.up, &bundle, soon(), &err));
    far_bundle_receiver_close(receiver);
    for (int64_t i = 0; i < OBJECTS; i++) {
        CHECK_INT(send_new(to_home, i, &gone), AFAR_OK);
        CHECK_INT(send_new(sender, i, &gone), AFAR_OK);
    }
    finish(to_home);
    far_bundle_sender_close(to_home);
    finish(sender);
    far_bundle_sender_close(sender);
    receive_end(third.down);
    event_wait(&gone, 2 * OBJECTS);
    third_close(&third);
}

static void
exchange_ends(bool chain)
{
    Far__Bundle bundle = FAR__BUNDLE__INIT, *came = NULL;
    far_bundle_receiver *ours = NULL, *theirs = NULL;
    far_bundle_sender *sender = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_sender_room room;
    struct home home;

    home_open(&home, chain, be_mover);
    CHECK_OK(far_bundle_rendezvous_new(&sender, &ours, &err));
    far_bundle_put_end(&bundle, &room, sender);
    CHECK_OK(far_bundle_send(home.down, &bundle, soon(), &err));
    far_bundle_sender_close(sender);
    CHECK_OK(far_bundle_receive(home.up, soon(), &came, &err));
    CHECK_OK(far_bundle_take_source(came, &theirs, &err));
    afar_message_free(came);
    CHECK(theirs);
    for (int64_t i = 0; i < OBJECTS; i++) {
        receive_and_call(ours, i);
        receive_and_call(theirs, i);
    }
    receive_end(ours);
    receive_end(theirs);
    far_bundle_receiver_close(ours);
    far_bundle_receiver_close(theirs);
    finish(home.down);
    receive_end(home.up);
    home_close(&home);
}

TEST(ends_go_through_a_relay_and_are_relayed)
{
    exchange_ends(false);
}

TEST(ends_go_through_several_relays)
{
    exchange_ends(true);
}

/* ---- many ---- */

#define POSTS 3000
#define BYTES 1000

/* Far more than may be on its way at a time. */
static void
be_poster(struct child *self)
{
    static uint8_t data[BYTES];
    Far__Bundle bundle = FAR__BUNDLE__INIT;
    struct event gone = EVENT_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct third third;
    Afar__Ref room;

    third_open(&third, self);
    far_peer *one = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);
    far_bundle_put_one(&bundle, &room, one);
    bundle.data = (ProtobufCBinaryData){ sizeof data, data };
    for (; bundle.number < POSTS; bundle.number++) {
        if (bundle.number == 100)
            child_say(self, "begun");
        CHECK_OK(far_bundle_post(third.up, &bundle, soon(), &err));
    }
    finish(third.up);
    far_peer_close(one);
    event_wait(&gone, 1);
    third_close(&third);
}

static void
receive_many(bool chain)
{
    afar_error err = AFAR_ERROR_INIT;
    char line[300];
    struct home home;

    home_open(&home, chain, be_poster);
    child_hear(&home.third, line);
    for (int64_t i = 0; i < POSTS; i++) {
        Far__Bundle *bundle = NULL;

        if (i % 500 == 0)
            CHECK_INT(number_of(home.place.shelf, i), i + 1); /* the same sessions */
        if (i % 100 == 0) {
            receive_and_call(home.up, i);
            continue;
        }
        CHECK_OK(far_bundle_receive(home.up, soon(), &bundle, &err));
        CHECK_INT(bundle->number, i);
        CHECK(bundle->one && bundle->data.len == BYTES);
        afar_message_free(bundle);
    }
    receive_end(home.up);
    home_close(&home);
}

TEST(many_messages_for_a_slow_receiver)
{
    receive_many(false);
}

TEST(many_messages_through_several_relays)
{
    receive_many(true);
}

/* ---- what dies ---- */

static void
say_result(struct child *self, int64_t count, afar_code code)
{
    char line[100];

    snprintf(line, sizeof line, "%lld %d", (long long)count, (int)code);
    child_say(self, line);
}

static int64_t
hear_result(struct child *child, int *ret_code)
{
    long long count = -1;
    char line[300];

    child_hear(child, line);
    CHECK_INT(sscanf(line, "%lld %d", &count, ret_code), 2);
    return count;
}

/* Sends until it cannot; whatever it sent objects of is gone then. */
static int64_t
send_on(far_bundle_sender *sender, afar_code *ret_code)
{
    struct event gone = EVENT_INIT;
    int64_t count = 0;

    while (!(*ret_code = send_new(sender, count, &gone)))
        count++;
    event_wait(&gone, (int)count + 1);
    return count;
}

/* The numbers must be in order; the code that comes behind them. */
static int64_t
receive_on(far_bundle_receiver *receiver, int64_t next, afar_code *ret_code)
{
    Far__Bundle *bundle = NULL;

    while (!(*ret_code = far_bundle_receive(receiver, soon(), &bundle, NULL))) {
        CHECK_INT(bundle->number, next++);
        afar_message_free(bundle);
    }
    return next;
}

/* So many sends were OK, then one was not; so many were received. */
static void
judge(int64_t sent, int code, int64_t received)
{
    CHECK(code == AFAR_LOST || code == AFAR_UNKNOWN);
    CHECK(received == sent || (received == sent + 1 && code == AFAR_UNKNOWN));
}

static void
be_sender(struct child *self)
{
    struct third third;
    afar_code code;
    int64_t count;

    third_open(&third, self);
    count = send_on(third.up, &code);
    say_result(self, count, code);
    third_close(&third);
}

static void
be_receiver(struct child *self)
{
    struct third third;
    afar_code code;
    int64_t count;

    third_open(&third, self);
    count = receive_on(third.down, 0, &code);
    say_result(self, count, code);
    third_close(&third);
}

#define BEFORE 100

static void
kill_while_it_sends(bool chain)
{
    int64_t received, sent;
    struct home home;
    afar_code code;
    int how;

    home_open(&home, chain, be_sender);
    for (int64_t i = 0; i < BEFORE; i++)
        receive_and_call(home.up, i);
    child_kill(&home.middle);
    home.middle.pid = 0;
    received = receive_on(home.up, BEFORE, &code);
    CHECK_INT(code, AFAR_LOST);
    sent = hear_result(&home.third, &how);
    judge(sent, how, received);
    home_close(&home);
}

static void
kill_middle(void *arg)
{
    child_kill(arg);
}

static void
kill_while_it_receives(bool chain)
{
    struct event gone = EVENT_INIT;
    int64_t received, sent;
    struct worker killer;
    struct home home;
    afar_code code;
    int how;

    home_open(&home, chain, be_receiver);
    for (int64_t i = 0; i < BEFORE; i++)
        CHECK_INT(send_new(home.down, i, &gone), AFAR_OK);
    worker_start(&killer, kill_middle, &home.middle);
    for (sent = BEFORE; !(code = send_new(home.down, sent, &gone)); sent++)
        continue;
    worker_join(&killer);
    home.middle.pid = 0;
    event_wait(&gone, (int)sent + 1);
    received = hear_result(&home.third, &how);
    CHECK_INT(how, AFAR_LOST);
    judge(sent, (int)code, received);
    home_close(&home);
}

TEST(a_middle_that_is_killed_while_the_third_sends)
{
    kill_while_it_sends(false);
}

TEST(the_first_of_several_is_killed_while_the_third_sends)
{
    kill_while_it_sends(true);
}

TEST(a_middle_that_is_killed_while_the_third_receives)
{
    kill_while_it_receives(false);
}

TEST(the_first_of_several_is_killed_while_the_third_receives)
{
    kill_while_it_receives(true);
}

static void
lose_the_third(bool chain)
{
    struct home home;
    afar_code code;

    home_open(&home, chain, be_sender);
    for (int64_t i = 0; i < BEFORE; i++)
        receive_and_call(home.up, i);
    child_kill(&home.third);
    home.third.pid = 0;
    (void)receive_on(home.up, BEFORE, &code);
    CHECK_INT(code, AFAR_LOST);
    code = send_with(home.down, 0, NULL);
    CHECK_INT(code, AFAR_LOST);
    home_close(&home);
}

TEST(a_third_that_is_killed_has_not_finished)
{
    lose_the_third(false);
}

TEST(a_third_that_is_killed_behind_several_has_not_finished)
{
    lose_the_third(true);
}
