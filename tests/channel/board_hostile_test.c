/* Peers that break the rules: each wrong act and word is refused and changes nothing; and any sequence of
 * them leaves the board whole, and nothing behind. */

#include <stdlib.h>
#include <string.h>

#include "boards.h"
#include "check.h"

static process low, middle;
static afar__home *home, *other;
static line *l;

static void
start(afar__direction direction, unsigned capacity)
{
    process_init(&low, 1);
    process_init(&middle, 2);
    home = afar__home_new(&middle.board, capacity);
    other = afar__home_new(&middle.board, 0);
    l = line_new(&low, &middle, home, direction);
}

static void
finish(void)
{
    process_clear(&low);
    afar__home_free(home);
    afar__home_free(other);
    CHECK_INT(parcels_live, 0);
}

#define ACT(...) line_act_is(l, (afar__step){ __VA_ARGS__ })
#define WORD(...) line_word_is(l, (afar__step){ __VA_ARGS__ })

/* ---- acts ---- */

TEST(acts_without_their_reason)
{
    start(AFAR__SENDS, 0);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 0), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_GRANT, .number = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_DENY, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = 0), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_TAKEN, .number = 1, .count = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = (afar__step_kind)99), AFAR_INVALID_ARGUMENT);
    CHECK_STR(line_said(l), "");
    finish();
}

TEST(payloads_where_none_belongs)
{
    start(AFAR__SENDS, 0);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    finish();
    start(AFAR__RECEIVES, 0);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .parcel = parcel_new(1)), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_GRANT, .number = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    finish();
}

TEST(no_payload_is_a_message_too)
{
    waiter receives;

    start(AFAR__SENDS, 0);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER), AFAR_OK);
    CHECK(!receives.select.parcel);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_STR(line_said(l), "t1");
    waiter_close(&receives);
    finish();
}

TEST(a_claim_is_answered_once)
{
    waiter receives;

    start(AFAR__SENDS, 0);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 5), AFAR_OK);
    CHECK_STR(line_said(l), "c1");
    CHECK_INT(ACT(.kind = AFAR__STEP_GRANT, .number = 2, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_GRANT, .number = 1, .parcel = parcel_new(3)), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_GRANT, .number = 1, .parcel = parcel_new(4)),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_DENY, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_RESULT(&receives, 0, AFAR_OK);
    CHECK_INT(receives.value, 3);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_OK); /* crosses the answer */
    CHECK_STR(line_said(l), "t1");
    waiter_close(&receives);
    finish();
}

TEST(a_grant_behind_a_withdrawal)
{
    waiter receives;

    start(AFAR__SENDS, 0);
    waiter_one(&receives, &middle, home, AFAR__RECEIVES, 0);
    CHECK(!waiter_begin(&receives));
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 5), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_GRANT, .number = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    line_cut(l);
    CHECK_INT(receives.done, 0);
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    CHECK(afar__select_stop(&receives.select));
    CHECK_RESULT(&receives, -1, AFAR_OK);
    waiter_close(&receives);
    finish();
}

TEST(no_more_is_acknowledged_than_was_sent)
{
    waiter sends;

    start(AFAR__RECEIVES, 0);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = 1), AFAR_INVALID_ARGUMENT);
    waiter_one(&sends, &middle, home, AFAR__SENDS, 1);
    CHECK(!waiter_begin(&sends));
    CHECK_STR(line_said(l), "m1");
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = 2), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = UINT64_MAX), AFAR_INVALID_ARGUMENT);
    CHECK_INT(sends.done, 0);
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = 1), AFAR_OK);
    CHECK_RESULT(&sends, 0, AFAR_OK);
    waiter_close(&sends);
    finish();
}

TEST(offers_and_the_window_have_limits)
{
    afar__parcel *parcel;

    start(AFAR__RECEIVES, 0);
    for (unsigned i = 0; i < AFAR__CHANNEL_OFFERS; i++)
        CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = i % 2), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 9), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER), AFAR_OK);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), AFAR__CHANNEL_OFFERS);
    finish();

    /* One may be larger, alone. */
    start(AFAR__SENDS, 0);
    parcel = parcel_new(1);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .parcel = parcel, .bytes = SIZE_MAX - 64), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .parcel = parcel_new(2), .bytes = 0),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 4), AFAR_OK); /* has no payload */
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_OK);
    for (int i = 0; i < 2; i++) {
        parcel = parcel_new(3);
        CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .parcel = parcel,
                      .bytes = AFAR__CHANNEL_WINDOW / 2 - AFAR__CHANNEL_OFFER_COST),
                  AFAR_OK);
    }
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER), AFAR_INVALID_ARGUMENT);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .parcel = parcel_new(2), .bytes = SIZE_MAX),
              AFAR_INVALID_ARGUMENT);
    finish();
}

TEST(reasons_have_a_limit)
{
    char reason[1200];
    const char *text;

    start(AFAR__SENDS, 0);
    memset(reason, 'x', sizeof(reason));
    reason[1001] = '\0';
    CHECK_INT(ACT(.kind = AFAR__STEP_POISON, .text = reason), AFAR_INVALID_ARGUMENT);
    CHECK_INT(afar__home_state(home, AFAR__SENDS, &text), AFAR_OK);
    reason[1000] = '\0';
    CHECK_INT(ACT(.kind = AFAR__STEP_POISON, .text = reason), AFAR_OK);
    CHECK_INT(afar__home_state(home, AFAR__SENDS, &text), AFAR_POISONED);
    CHECK_STR(text, reason);
    /* What comes behind the end was on its way, whatever it is. */
    CHECK_INT(ACT(.kind = AFAR__STEP_ACK, .count = 7), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .parcel = parcel_new(1)), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_POISON), AFAR_OK);
    finish();
}

/* ---- words ---- */

TEST(words_without_their_reason)
{
    waiter sends;

    start(AFAR__SENDS, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(WORD(.kind = AFAR__STEP_TAKEN, .number = 2, .count = 1), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_TAKEN, .number = 1, .count = 0), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_MESSAGE, .number = 1, .parcel = parcel_new(1)),
                  AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_WAITING, .number = 1), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_CLAIM, .offer = 1), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_RELEASE, .number = 1), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_WITHDRAWN, .number = 1), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_UNKNOWN, .number = 2), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_ENDED, .code = AFAR_OK), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_ENDED, .code = AFAR_UNKNOWN), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = AFAR__STEP_OFFER), AFAR_INVALID_ARGUMENT);
        CHECK_INT(WORD(.kind = (afar__step_kind)-1), AFAR_INVALID_ARGUMENT);
        if (i == 1)
            break;
        waiter_one_far(&sends, &low, l, 1); /* the same with an exclusive offer */
        CHECK(!waiter_begin(&sends));
    }
    CHECK_STR(line_said(l), "O1");
    CHECK_INT(sends.done, 0);
    CHECK_INT(WORD(.kind = AFAR__STEP_TAKEN, .number = 1, .count = 2), AFAR_INVALID_ARGUMENT);
    CHECK_RESULT(&sends, 0, AFAR_OK); /* of the first, it was right */
    waiter_close(&sends);
    finish();
}

TEST(words_about_claimed_offers)
{
    waiter alt;
    line *b;

    start(AFAR__RECEIVES, 0);
    b = line_new(&low, &middle, other, AFAR__RECEIVES);
    waiter_init(&alt);
    waiter_far(&alt, l, 0);
    waiter_far(&alt, b, 0);
    waiter_open(&alt, &low, false);
    CHECK(!waiter_begin(&alt));
    CHECK_INT(WORD(.kind = AFAR__STEP_MESSAGE, .number = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT); /* was not claimed */
    CHECK_INT(WORD(.kind = AFAR__STEP_UNKNOWN, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_CLAIM, .offer = 1), AFAR_OK);
    CHECK_INT(WORD(.kind = AFAR__STEP_CLAIM, .offer = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_WAITING, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_WITHDRAWN, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_TAKEN, .number = 1, .count = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_RELEASE, .number = 1), AFAR_OK);
    CHECK_INT(WORD(.kind = AFAR__STEP_RELEASE, .number = 1), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_CLAIM, .offer = 1), AFAR_OK);
    CHECK_STR(line_said(l), "O1 G1 G2");

    /* The other home's claim waits: it may say nothing about it. */
    CHECK_INT(line_word_is(b, (afar__step){ .kind = AFAR__STEP_CLAIM, .offer = 1 }), AFAR_OK);
    CHECK_INT(line_word_is(b, (afar__step){ .kind = AFAR__STEP_CLAIM, .offer = 1 }),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(line_word_is(b, (afar__step){ .kind = AFAR__STEP_RELEASE, .number = 1 }),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(line_word_is(b, (afar__step){ .kind = AFAR__STEP_MESSAGE, .number = 1 }),
              AFAR_INVALID_ARGUMENT);
    line_cut(b); /* while it waits */
    CHECK_INT(WORD(.kind = AFAR__STEP_MESSAGE, .number = 1, .parcel = parcel_new(4), .ack = true),
              AFAR_OK);
    CHECK_RESULT(&alt, 0, AFAR_OK);
    CHECK_STR(line_said(l), "A1");
    waiter_close(&alt);
    finish();
}

TEST(nothing_is_said_behind_the_end)
{
    char text[1200];

    start(AFAR__SENDS, 0);
    memset(text, 'x', sizeof(text));
    text[1001] = '\0';
    CHECK_INT(WORD(.kind = AFAR__STEP_ENDED, .code = AFAR_ENDED, .text = text),
              AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_ENDED, .code = AFAR_ENDED), AFAR_OK);
    CHECK_INT(WORD(.kind = AFAR__STEP_ENDED, .code = AFAR_ENDED), AFAR_INVALID_ARGUMENT);
    CHECK_INT(WORD(.kind = AFAR__STEP_MESSAGE, .number = 1, .parcel = parcel_new(1)),
              AFAR_INVALID_ARGUMENT);
    finish();
}

/* ---- many of one select ---- */

/* Who looks for another passes over offers of its own select, of which there can be many: not over all. */
TEST(a_search_has_an_end)
{
    enum { ROUNDS = 50000 };
    line *from;

    start(AFAR__RECEIVES, 0);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    for (unsigned i = 0; i < AFAR__CHANNEL_OFFERS; i++)
        CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 1), AFAR_OK);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        CHECK_INT(line_act_is(from, (afar__step){ .kind = AFAR__STEP_OFFER, .select = 1 }),
                  AFAR_OK);
        CHECK_INT(line_act_is(from, (afar__step){ .kind = AFAR__STEP_WITHDRAW, .number = i }),
                  AFAR_OK);
    }
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    finish();
}

/* So many of one select, and `others` behind them: one to send, of that select, comes last. */
static line *
start_behind(unsigned same, unsigned others)
{
    line *from;

    start(AFAR__RECEIVES, 0);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    for (unsigned i = 0; i < same; i++)
        CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 1), AFAR_OK);
    for (unsigned i = 0; i < others; i++)
        CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 2), AFAR_OK);
    CHECK_INT(line_act_is(from, (afar__step){ .kind = AFAR__STEP_OFFER, .select = 1 }), AFAR_OK);
    return from;
}

TEST(one_is_found_behind_as_many_as_there_may_be)
{
    line *from = start_behind(AFAR__CHANNEL_CASES, 1);

    CHECK_STR(line_said(from), "c1");
    finish();
}

/* It is found when one has gone, wherever that was; and the next one then, for the next. */
TEST(one_behind_more_is_found_when_they_are_fewer)
{
    line *from = start_behind(AFAR__CHANNEL_CASES + 1, 2);

    CHECK_INT(line_act_is(from, (afar__step){ .kind = AFAR__STEP_OFFER, .select = 1 }), AFAR_OK);
    CHECK_STR(line_said(from), "");
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 700), AFAR_OK);
    CHECK_STR(line_said(from), "c1 c2");
    finish();
}

/* The same with the sides changed. */
TEST(one_to_send_behind_more_is_found_when_they_are_fewer)
{
    line *to;

    start(AFAR__SENDS, 0);
    to = line_new(&low, &middle, home, AFAR__RECEIVES);
    for (unsigned i = 0; i < AFAR__CHANNEL_CASES + 1; i++)
        CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 1), AFAR_OK);
    CHECK_INT(ACT(.kind = AFAR__STEP_OFFER, .select = 2), AFAR_OK);
    CHECK_INT(line_act_is(to, (afar__step){ .kind = AFAR__STEP_OFFER, .select = 1 }), AFAR_OK);
    CHECK_STR(line_said(to), "");
    CHECK_INT(ACT(.kind = AFAR__STEP_WITHDRAW, .number = 1), AFAR_OK);
    CHECK_STR(line_said(to), "c1");
    finish();
}

/* ---- anything ---- */

static uint64_t state;

static unsigned
chance(unsigned n)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* Numbers that are likely to mean something. */
static afar__step
any_step(uint64_t near)
{
    afar__step step = { .kind = (afar__step_kind)chance(14) };

    step.number = near > 4 ? near - 4 + chance(6) : chance(6);
    step.count = chance(20) == 0 ? UINT64_MAX : chance(3);
    step.select = chance(4);
    step.offer = near > 4 ? near - 4 + chance(6) : chance(6);
    step.tell = chance(2);
    step.patient = chance(2);
    step.ack = chance(2);
    step.code = (afar_code)(chance(60) == 0 ? AFAR_ENDED : 0);
    step.text = chance(2) ? "text" : NULL;
    if (step.kind == AFAR__STEP_POISON && chance(100) > 0)
        step.kind = AFAR__STEP_OFFER;
    if (chance(3) == 0)
        step.parcel = parcel_new(0);
    return step;
}

static void
step_waiter(waiter *w, bool *waiting)
{
    afar_code code;
    bool over = false;

    if (*waiting && w->done == 0 && chance(4) == 0)
        over = afar__select_stop(&w->select);
    else if (!*waiting)
        over = chance(3) == 0 ? waiter_poll(w) : waiter_begin(w);
    *waiting = true;
    if (over || w->done > 0) {
        CHECK_INT(over + w->done, 1);
        waiter_result(w, &code);
        *waiting = false;
    }
}

static void
seats_of_a_home(uint64_t seed)
{
    enum { WAITERS = 4, SEATS = 4 };
    static waiter waiters[WAITERS];
    bool waiting[WAITERS] = { false };
    line *seats[SEATS];
    uint64_t offers[SEATS] = { 0 };

    state = seed;
    start(AFAR__SENDS, seed % 3 == 0 ? 2 : 0);
    for (int i = 0; i < SEATS; i++)
        seats[i] = line_new(&low, &middle, home, (afar__direction)(i % 2));
    for (int i = 0; i < WAITERS; i++) {
        waiter_init(&waiters[i]);
        waiter_on(&waiters[i], home, (afar__direction)(i % 2), i);
        waiter_on(&waiters[i], other, (afar__direction)(i / 2), i);
        waiter_open(&waiters[i], &middle, i == 3);
    }
    for (int i = 0; i < 400; i++) {
        unsigned which = chance(SEATS);
        afar__step step = any_step(offers[which]);
        unsigned actor = chance(WAITERS);

        if (seats[which]->seat && chance(30) == 0) {
            line_cut_seat(seats[which]);
        } else if (!seats[which]->seat) {
            seats[which]->seat =
                afar__seat_new(home, seats[which]->direction, low.board.process, seats[which]);
            offers[which] = 0;
        } else if (chance(20) == 0) {
            afar__seat_stall(seats[which]->seat, chance(2));
        } else {
            if (line_act_is(seats[which], step) == AFAR_OK && step.kind == AFAR__STEP_OFFER)
                offers[which]++;
            step.parcel = NULL;
        }
        if (step.parcel) {
            parcels_live--;
            free(step.parcel);
        }
        step_waiter(&waiters[actor], &waiting[actor]);
    }
    process_clear(&low);
    for (int i = 0; i < WAITERS; i++) {
        if (waiting[i]) {
            afar_code code;

            CHECK(waiters[i].done > 0 || afar__select_stop(&waiters[i].select));
            waiter_result(&waiters[i], &code);
        }
        waiter_close(&waiters[i]);
    }
    CHECK_INT(afar__home_offer_count(home, AFAR__SENDS), 0);
    CHECK_INT(afar__home_offer_count(home, AFAR__RECEIVES), 0);
    finish();
}

TEST(a_home_whose_peers_say_anything)
{
    for (uint64_t seed = 1; seed <= 1000; seed++)
        seats_of_a_home(seed);
}

static void
proxies_of_a_home(uint64_t seed)
{
    enum { WAITERS = 4, PROXIES = 4 };
    static waiter waiters[WAITERS];
    bool waiting[WAITERS] = { false };
    line *proxies[PROXIES];
    afar__home *near;

    state = seed;
    start(AFAR__SENDS, 0);
    near = afar__home_new(&low.board, 0);
    for (int i = 0; i < PROXIES; i++)
        proxies[i] = line_new(&low, &middle, home, (afar__direction)(i % 2));
    for (int i = 0; i < WAITERS; i++) {
        waiter_init(&waiters[i]);
        waiter_far(&waiters[i], proxies[i], i);
        if (i > 0)
            waiter_far(&waiters[i], proxies[(i + 1) % PROXIES], i);
        if (i > 1)
            waiter_on(&waiters[i], near, (afar__direction)(i % 2), i);
        waiter_open(&waiters[i], &low, i == 3);
    }
    for (int i = 0; i < 400; i++) {
        line *p = proxies[chance(PROXIES)];
        unsigned actor = chance(WAITERS);

        if (chance(40) == 0) {
            line_cut_proxy(p);
            afar__proxy_attached(p->proxy);
        } else {
            line_word_is(p, any_step((uint64_t)chance(60)));
        }
        if (chance(10) == 0 && p->direction == AFAR__SENDS) {
            afar__parcel *parcel = parcel_new(1);

            if (!afar__proxy_post(p->proxy, parcel)) {
                parcels_live--;
                free(parcel);
            }
        }
        step_waiter(&waiters[actor], &waiting[actor]);
    }
    for (int i = 0; i < PROXIES; i++)
        line_cut_proxy(proxies[i]);
    for (int i = 0; i < WAITERS; i++) {
        if (waiting[i]) {
            afar_code code;

            CHECK(waiters[i].done > 0 || afar__select_stop(&waiters[i].select));
            waiter_result(&waiters[i], &code);
        }
        waiter_close(&waiters[i]);
    }
    afar__home_free(near);
    finish();
}

TEST(a_process_whose_homes_say_anything)
{
    for (uint64_t seed = 1; seed <= 1000; seed++)
        proxies_of_a_home(seed);
}
