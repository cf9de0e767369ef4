/* Random selects of three processes on channels of all of them, with steps that are delivered in any order
 * between the lines, time-outs, stalls, messages that cannot be sent, and lines that are cut.  Checked: what is promised about each
 * message, that a select does one thing, and that nobody is left waiting who need not. */

#include <string.h>

#include "boards.h"
#include "check.h"

enum { PROCESSES = 3, HOMES = 5, WAITERS = 12, MOST = 1 << 16 };

typedef struct fate {
    bool sent, unknown, refused;
    bool buffered;
    int received;
} fate;

typedef struct channel {
    afar__home *home;
    int maker;
    bool buffered;
    line *lines[PROCESSES][2];
} channel;

typedef struct actor {
    waiter waiter;
    int process;
    int channels[8]; /* of its guards; -1: other */
    bool waiting, poll;
} actor;

static struct {
    process processes[PROCESSES];
    channel channels[HOMES];
    actor actors[WAITERS];
    fate fates[MOST];
    int values;
    uint64_t state;
    bool cuts, losses;
    int sent, received, unknown, unsent, polls;
} net;

static unsigned
chance(unsigned n)
{
    net.state = net.state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(net.state >> 33) % n;
}

static void
make_channels(void)
{
    for (int i = 0; i < HOMES; i++) {
        channel *c = &net.channels[i];

        c->maker = i % PROCESSES;
        c->buffered = i == 4;
        c->home = afar__home_new(&net.processes[c->maker].board, c->buffered ? 2 : 0);
        for (int p = 0; p < PROCESSES; p++)
            for (int d = 0; p != c->maker && d < 2; d++)
                c->lines[p][d] = line_new(&net.processes[p], &net.processes[c->maker], c->home,
                                          (afar__direction)d);
    }
}

static void
open_actor(actor *a)
{
    size_t n = 1 + chance(2) * chance(4);

    waiter_init(&a->waiter);
    for (size_t i = 0; i < n; i++) {
        channel *c = &net.channels[a->channels[i] = (int)chance(HOMES)];
        afar__direction direction = (afar__direction)chance(2);

        if (chance(10) == 0) {
            a->channels[i] = -1;
            waiter_other(&a->waiter);
        } else if (c->maker == a->process) {
            waiter_on(&a->waiter, c->home, direction, 0);
        } else {
            waiter_far(&a->waiter, c->lines[a->process][direction], 0);
        }
    }
    waiter_open(&a->waiter, &net.processes[a->process], chance(3) == 0);
}

static void
read_result(actor *a)
{
    waiter *w = &a->waiter;
    afar_code code;
    int which = waiter_result(w, &code);

    a->waiting = false;
    CHECK(which >= 0 || code == AFAR_OK);
    CHECK(code == AFAR_OK || code == AFAR_LOST || code == AFAR_UNKNOWN ||
          code == AFAR_RESOURCE_EXHAUSTED);
    CHECK(net.cuts || code != AFAR_LOST);
    CHECK(net.losses || code != AFAR_RESOURCE_EXHAUSTED);
    CHECK(net.cuts || net.losses || code != AFAR_UNKNOWN);
    net.unsent += code == AFAR_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < w->count; i++) {
        afar__guard *guard = &w->guards[i];
        fate *f = &net.fates[(intptr_t)guard->user];

        if (a->channels[i] < 0)
            continue;
        if (guard->direction == AFAR__RECEIVES) {
            CHECK((int)i != which || (code != AFAR_UNKNOWN && code != AFAR_RESOURCE_EXHAUSTED));
            if ((int)i == which && code == AFAR_OK) {
                net.received++;
                CHECK_INT(++net.fates[w->value].received, 1);
            }
        } else if ((int)i == which && code == AFAR_OK) {
            f->sent = true;
            net.sent++;
        } else if ((int)i == which && code == AFAR_UNKNOWN) {
            f->unknown = true;
            net.unknown++;
        } else {
            f->refused = true;
        }
    }
}

static void
begin_actor(actor *a)
{
    waiter *w = &a->waiter;

    for (size_t i = 0; i < w->count; i++) {
        if (chance(8) == 0)
            afar__select_switch(&w->guards[i], w->guards[i].off);
        if (a->channels[i] >= 0 && w->guards[i].direction == AFAR__SENDS) {
            w->guards[i].user = (void *)(intptr_t)++net.values;
            CHECK(net.values < MOST);
            net.fates[net.values].buffered = net.channels[a->channels[i]].buffered;
        }
    }
    a->waiting = true;
    a->poll = chance(6) == 0;
    net.polls += a->poll;
    if (a->poll ? waiter_poll(w) : waiter_begin(w))
        read_result(a);
}

/* Something that the owner of a select does. */
static void
act(actor *a)
{
    waiter *w = &a->waiter;
    size_t guard = chance((unsigned)w->count);
    unsigned what = chance(10);

    if (a->waiting && w->done > 0) {
        CHECK_INT(w->done, 1);
        read_result(a);
    } else if (!a->waiting && what == 0) {
        waiter_close(w);
        open_actor(a);
    } else if (!a->waiting) {
        begin_actor(a);
    } else if (what == 0) {
        if (afar__select_stop(&w->select))
            read_result(a);
    } else if (what == 1 && a->channels[guard] < 0) {
        if (afar__select_fire(&w->select, &w->guards[guard]))
            read_result(a);
    }
}

static line *
any_line(channel **ret_channel)
{
    channel *c = &net.channels[chance(HOMES)];
    int p = (int)chance(PROCESSES);

    *ret_channel = c;
    return c->lines[p == c->maker ? (p + 1) % PROCESSES : p][chance(2)];
}

/* A message, if that is next, is too much for the line. */
static void
lose_message(line *l)
{
    if (chance(2) == 0 && line_act_brings_message(l))
        line_act_unsent(l, AFAR_RESOURCE_EXHAUSTED, "too much");
    else if (l->seat && line_word_brings_message(l))
        line_word_unsent(l, AFAR_RESOURCE_EXHAUSTED, "too much");
}

static void
move(line *l, channel *c)
{
    unsigned what = chance(40);

    if (what == 0 && l->seat) {
        afar__seat_stall(l->seat, chance(2) == 0);
    } else if (what == 1 && net.cuts && l->seat && chance(4) == 0) {
        line_cut_seat(l);
    } else if (!l->seat && what < 20) {
        line_cut_proxy(l);
        line_again(l, c->home);
    } else if (what < 6 && net.losses) {
        lose_message(l);
    } else if (chance(2) == 0) {
        line_act(l);
    } else {
        line_word(l);
    }
}

static void
settle(void)
{
    for (int i = 0; i < HOMES; i++)
        for (int p = 0; p < PROCESSES; p++)
            for (int d = 0; d < 2; d++) {
                line *l = net.channels[i].lines[p][d];

                if (l && !l->seat) {
                    line_cut_proxy(l);
                    line_again(l, net.channels[i].home);
                }
                if (l)
                    afar__seat_stall(l->seat, false);
            }
    run(&net.processes[0], &net.processes[1], &net.processes[2]);
    for (int i = 0; i < WAITERS; i++)
        if (net.actors[i].waiting && net.actors[i].waiter.done > 0)
            read_result(&net.actors[i]);
}

/* Who waits on a side of a channel: the first that is not `than`. */
static actor *
who_waits(int which, afar__direction direction, const actor *than)
{
    for (int i = 0; i < WAITERS; i++) {
        actor *a = &net.actors[i];

        for (size_t j = 0; a != than && a->waiting && j < a->waiter.count; j++)
            if (a->channels[j] == which && !a->waiter.guards[j].off &&
                a->waiter.guards[j].direction == direction)
                return a;
    }
    return NULL;
}

static void
check_nobody_waits_in_vain(void)
{
    for (int i = 0; i < HOMES; i++) {
        channel *c = &net.channels[i];
        actor *sends = who_waits(i, AFAR__SENDS, NULL);
        actor *receives = who_waits(i, AFAR__RECEIVES, NULL);

        if (c->buffered) {
            CHECK(!sends || afar__home_buffer_count(c->home) == 2);
            CHECK(!receives || afar__home_buffer_count(c->home) == 0);
        } else if (sends) {
            CHECK(!who_waits(i, AFAR__RECEIVES, sends));
            CHECK(!receives || !who_waits(i, AFAR__SENDS, receives));
        }
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK(!net.actors[i].waiting || !net.actors[i].poll);
}

static void
check_fates(void)
{
    size_t buffered = afar__home_buffer_count(net.channels[4].home);

    for (int i = 1; i <= net.values; i++) {
        const fate *f = &net.fates[i];

        CHECK_INT(f->sent + f->unknown + f->refused <= 1, 1);
        CHECK(!f->refused || f->received == 0);
        if (f->sent && f->received == 0) {
            CHECK(f->buffered && (net.cuts || buffered-- > 0));
        }
    }
}

static void
close_actor(actor *a)
{
    if (a->waiting && !afar__select_stop(&a->waiter.select))
        run(&net.processes[0], &net.processes[1], &net.processes[2]);
    if (a->waiting)
        read_result(a);
    waiter_close(&a->waiter);
}

static void
run_seed(uint64_t seed, bool cuts, bool losses)
{
    memset(&net, 0, sizeof(net));
    net.state = seed;
    net.cuts = cuts;
    net.losses = losses;
    chance(1);
    for (int i = 0; i < PROCESSES; i++)
        process_init(&net.processes[i], (uint8_t)(i + 1));
    make_channels();
    for (int i = 0; i < WAITERS; i++) {
        net.actors[i].process = i % PROCESSES;
        open_actor(&net.actors[i]);
    }
    for (int i = 0; i < 6000; i++) {
        channel *c;
        line *l = any_line(&c);

        move(l, c);
        if (chance(4) == 0)
            act(&net.actors[chance(WAITERS)]);
        if (i % 1500 == 1499) {
            settle();
            check_nobody_waits_in_vain();
        }
    }
    for (int i = 0; i < WAITERS; i++)
        close_actor(&net.actors[i]);
    settle();
    check_fates();
    for (int i = 0; i < PROCESSES; i++)
        process_clear(&net.processes[i]);
    for (int i = 0; i < HOMES; i++)
        afar__home_free(net.channels[i].home);
    CHECK_INT(parcels_live, 0);
}

static void
run_seeds(uint64_t first, bool cuts, bool losses)
{
    int sent = 0, received = 0, unknown = 0, unsent = 0, polls = 0;

    for (uint64_t seed = first; seed < first + 200; seed++) {
        run_seed(seed, cuts, losses);
        sent += net.sent;
        received += net.received;
        unknown += net.unknown;
        unsent += net.unsent;
        polls += net.polls;
    }
    CHECK(sent > 1000 && received > 1000 && polls > 1000);
    CHECK_INT(unknown > 10, cuts || losses);
    CHECK_INT(unsent > 100, losses);
}

TEST(random_selects)
{
    run_seeds(1, false, false);
}

TEST(random_selects_and_cuts)
{
    run_seeds(1000, true, false);
}

TEST(random_selects_and_messages_that_cannot_be_sent)
{
    run_seeds(2000, false, true);
    run_seeds(3000, true, true);
}
