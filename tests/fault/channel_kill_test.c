/* Homes, writers and readers of channels are killed (kill -9) in the middle of what they do, and
 * start again.  At the end, for each message: what its writer was told is true.
 *
 *     OK         a receiver has it, one only: or it is what a killed reader had in its hands, or, with
 *                buffers, what a killed home had
 *     UNKNOWN    only where a home or a reader was killed, and no more than they can have had
 *     else       nobody has it
 *
 * Nobody waits for ever: those who do say so (channel_net.c), and the test has a bound.
 *
 * AFAR_KILLS is how many are killed in all, each of the nets a part: 150 if it is not set. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "board.h"
#include "channel_net.h"
#include "check.h"

#define KILLS 150
#define IN_HAND 20000 /* 100 us: how long the loss of a process may go unnoticed */

static unsigned
kills(void)
{
    const char *text = getenv("AFAR_KILLS");

    return text && atoi(text) > 0 ? (unsigned)atoi(text) : KILLS;
}

/* ---- killing ---- */

static uint64_t
next_random(void)
{
    static uint64_t random = 0x9e3779b97f4a7c15u;

    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random >> 20;
}

struct goal {
    const struct net *net;
    unsigned received;
};

static bool
is_reached(const void *arg)
{
    const struct goal *goal = arg;

    return atomic_load(&goal->net->received) >= goal->received;
}

/* Some messages later, and then at any moment of what happens to the next one. */
static void
wait_a_while(const struct net *net)
{
    struct goal goal = { net, atomic_load(&net->received) + 1 + (unsigned)(next_random() % 20) };
    unsigned spin = (unsigned)(next_random() % 20000), seen = 0;

    wait_until(is_reached, &goal, "messages are received");
    while (spin-- > 0)
        seen += atomic_load(&net->next);
    (void)seen;
}

static void
kill_and_start(struct net *net, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        struct net_node *node = &net->nodes[next_random() % NET_NODES];

        wait_a_while(net);
        net_kill(net, node);
        net_start(net, node);
    }
    wait_a_while(net);
}

static void
let_end(struct net *net)
{
    atomic_store(&net->stop, true);
    net_wait(net, NET_WRITER);
    atomic_store(&net->drain, true);
    net_wait(net, NET_READER);
    atomic_store(&net->leave, true);
    net_wait(net, NET_HOME);
}

/* ---- judging ---- */

struct sums {
    unsigned ok, lost, unknown, not_sent, killed; /* lost: OK, and nobody has written it down */
};

/* Whether the message may have been in the hands of somebody who was killed.  What was in a buffer may have
 * come there at any time after it was sent. */
static bool
was_in_hand(const struct net *net, const struct net_note *note)
{
    for (unsigned i = 0; i < net->kill_count; i++) {
        const struct net_kill *entry = &net->kills[i];
        bool reads = entry->role == NET_READER || (entry->role == NET_HOME && net->read_at_home);

        if (entry->role == NET_WRITER || note->began > entry->at)
            continue;
        if (net->capacity || (reads && note->ended >= entry->last_at))
            return true;
    }
    return false;
}

static bool
was_near_a_loss(const struct net *net, const struct net_note *note)
{
    for (unsigned i = 0; i < net->kill_count; i++) {
        const struct net_kill *entry = &net->kills[i];

        if (entry->role != NET_WRITER && note->began <= entry->at + IN_HAND &&
            note->ended >= entry->at)
            return true;
    }
    return false;
}

static void
judge_told(const struct net *net, unsigned number, struct sums *sums)
{
    const struct net_note *note = &net->notes[number];
    unsigned received = atomic_load(&note->received);

    if (note->code == AFAR_OK) {
        sums->ok++;
        sums->lost += received == 0;
        if (received == 0 && !was_in_hand(net, note))
            check_fail(__FILE__, __LINE__, "%u: OK, and nobody has it (%u to %u)", number,
                       note->began, note->ended);
    } else if (note->code == AFAR_UNKNOWN) {
        sums->unknown++;
        if (!was_near_a_loss(net, note))
            check_fail(__FILE__, __LINE__, "%u: UNKNOWN, and nobody was killed", number);
    } else {
        sums->not_sent++;
        if (received > 0)
            check_fail(__FILE__, __LINE__, "%u: %s, but it was received", number,
                       afar_code_name((afar_code)note->code));
    }
}

static unsigned
count_kills(const struct net *net, enum net_role role)
{
    unsigned count = 0;

    for (unsigned i = 0; i < net->kill_count; i++)
        count += net->kills[i].role == role;
    return count;
}

/* At the moment of its death a reader has one message in its hands, a home what its readers have on the
 * way to them, and its buffer; and each writer waits for one answer. */
static void
judge_sums(const struct net *net, const struct sums *sums)
{
    unsigned homes = count_kills(net, NET_HOME), readers = count_kills(net, NET_READER);
    unsigned from_home = net->read_at_home ? 1 : 0;

    if (net->capacity)
        from_home += net->capacity + NET_READERS;
    CHECK(sums->ok > 0);
    CHECK(sums->lost <= readers + homes * from_home);
    CHECK(sums->unknown <= readers + homes * NET_WRITERS);
    CHECK(sums->killed <= count_kills(net, NET_WRITER));
}

static void
judge(const struct net *net)
{
    unsigned count = atomic_load(&net->next);
    struct sums sums = { 0 };

    for (unsigned i = 0; i < NET_NOTES && i < count; i++) {
        const struct net_note *note = &net->notes[i];

        if (atomic_load(&note->received) > 1)
            check_fail(__FILE__, __LINE__, "%u was received %d times", i,
                       (int)atomic_load(&note->received));
        if (atomic_load(&note->state) == NET_TOLD)
            judge_told(net, i, &sums);
        else
            sums.killed++;
    }
    printf("%u killed: %u OK (%u in hand), %u unknown, %u not sent, %u writers in the middle\n",
           net->kill_count, sums.ok, sums.lost, sums.unknown, sums.not_sent, sums.killed);
    judge_sums(net, &sums);
}

#define NETS 6

static void
go_through(unsigned capacity, bool read_at_home)
{
    struct net *net = net_open(capacity, read_at_home);

    kill_and_start(net, (kills() + NETS - 1) / NETS);
    let_end(net);
    judge(net);
    net_close(net);
}

TEST(rendezvous_among_the_dying)
{
    go_through(0, false);
}

TEST(rendezvous_with_the_home_beside_a_reader)
{
    go_through(0, true);
}

TEST(buffers_of_one)
{
    go_through(1, false);
}

TEST(buffers_of_one_with_the_home_beside_a_reader)
{
    go_through(1, true);
}

TEST(buffers_of_some)
{
    go_through(5, false);
}

TEST(buffers_of_many_with_the_home_beside_a_reader)
{
    go_through(50, true);
}
