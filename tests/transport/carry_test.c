/* What every transport does, over all there are.  Labels: concurrent */

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pairs.h"

/* ---- sending many ---- */

/* What one end sends, and checks in what it receives. */
struct run {
    uint64_t sizes; /* the state of the random numbers for sizes */
    uint64_t checked_sizes;
    size_t most;
    unsigned count, sent, received;
    bool close; /* in order, behind the last one */
};

static size_t
next_size(uint64_t *state, size_t most)
{
    uint64_t random = next_random(state);

    /* Small ones mostly, and some that are empty. */
    return random % 8 == 0 ? 0 : (size_t)(random >> 8) % (random % 16 == 1 ? most : most / 64 + 1);
}

static void
send_next(struct end *end)
{
    struct run *run = end->arg;
    size_t length;
    uint8_t *data;

    if (run->sent == run->count) {
        if (run->close)
            end_close(end, false);
        return;
    }
    length = next_size(&run->sizes, run->most);
    data = batch_make(run->sent++, length);
    end_send(end, data, length);
    free(data);
}

static void
check_next(struct end *end, const uint8_t *data, size_t length)
{
    struct run *run = end->arg;

    CHECK_INT(length, next_size(&run->checked_sizes, run->most));
    batch_check(run->received++, data, length);
    end_receive(end);
}

static void
run_init(struct run *run, struct end *end, unsigned count, size_t most)
{
    *run = (struct run){ .sizes = 7, .checked_sizes = 7, .most = most, .count = count };
    end->arg = run;
    end->sent = send_next;
    end->received = check_next;
}

static void
pair_prepare(struct pair *pair)
{
    memset(pair, 0, sizeof *pair);
    end_init(&pair->ends[0]);
    end_init(&pair->ends[1]);
}

static void
carry(enum kind kind, unsigned there, unsigned back, size_t most)
{
    struct run runs[2];
    struct pair pair;

    pair_prepare(&pair);
    run_init(&runs[0], &pair.ends[0], there, most);
    run_init(&runs[1], &pair.ends[1], back, most);
    pair_connect(&pair, kind);
    pair_meet(&pair);
    for (int i = 0; i < 2; i++) {
        end_receive(&pair.ends[i]);
        send_next(&pair.ends[i]);
    }
    end_wait_got(&pair.ends[1], there);
    end_wait_got(&pair.ends[0], back);
    end_wait_sent(&pair.ends[0], there);
    end_wait_sent(&pair.ends[1], back);
    CHECK_INT(runs[1].received, there);
    CHECK_INT(runs[0].received, back);
    end_close(&pair.ends[0], false);
    end_finish(&pair.ends[0], AFAR_OK);
    end_finish(&pair.ends[1], AFAR_OK);
    pair_close(&pair);
}

TEST(one_batch)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++)
        carry(kind, 1, 0, 100);
    afar_node_close(keeper);
}

TEST(one_batch_to_who_opened)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++)
        carry(kind, 0, 1, 100);
    afar_node_close(keeper);
}

TEST(ten_thousand_batches)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++)
        carry(kind, 10000, 0, 4096);
    afar_node_close(keeper);
}

TEST(both_directions_at_once)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++)
        carry(kind, 2000, 2000, 60000);
    afar_node_close(keeper);
}

/* 5 MiB are more than a plain message may have. */
TEST(a_batch_of_five_mebibytes)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        size_t length = (size_t)5 << 20;
        uint8_t *data = batch_make(3, length);
        struct pair pair;

        pair_open(&pair, kind);
        for (int i = 0; i < 2; i++) {
            end_receive(&pair.ends[1 - i]);
            end_send(&pair.ends[i], data, length);
            end_wait_got(&pair.ends[1 - i], 1);
            CHECK_INT(pair.ends[1 - i].bytes, length);
        }
        free(data);
        end_close(&pair.ends[1], false);
        end_finish(&pair.ends[0], AFAR_OK);
        end_finish(&pair.ends[1], AFAR_OK);
        pair_close(&pair);
    }
    afar_node_close(keeper);
}

/* ---- who does not ask ---- */

static void
send_same(struct end *end)
{
    static const uint8_t block[65536];

    end_send(end, block, sizeof block);
}

/* So much that no window and no socket holds it; and when it is asked for, it comes. */
static void
hold_up(enum kind kind, int sender)
{
    enum { PATIENCE = 200, LIMIT = 2000 };
    struct pair pair;
    struct end *end;
    unsigned before, now;

    pair_open(&pair, kind);
    end = &pair.ends[sender];
    end->sent = send_same;
    send_same(end);
    now = end_sent(end);
    do {
        before = now;
        CHECK_INT(poll(NULL, 0, PATIENCE), 0);
        now = end_sent(end);
        CHECK(now < LIMIT);
    } while (now != before);
    for (unsigned i = 1; i <= now + 10; i++) {
        end_receive(&pair.ends[1 - sender]);
        end_wait_got(&pair.ends[1 - sender], i);
    }
    end_wait_sent(end, now + 1);
    end_close(end, true);
    end_finish(&pair.ends[sender], AFAR_CANCELLED);
    end_drain(&pair.ends[1 - sender]);
    end_finish(&pair.ends[1 - sender], AFAR_UNAVAILABLE);
    pair_close(&pair);
}

TEST(who_does_not_ask_holds_the_sender_up)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        hold_up(kind, 0);
        hold_up(kind, 1);
    }
    afar_node_close(keeper);
}

/* ---- ends ---- */

/* All that was given before the close arrives, and then the end. */
static void
close_behind(enum kind kind, int closer)
{
    struct run runs[2];
    struct pair pair;

    pair_prepare(&pair);
    run_init(&runs[closer], &pair.ends[closer], 500, 30000);
    run_init(&runs[1 - closer], &pair.ends[1 - closer], 1000000, 30000);
    runs[closer].close = true;
    pair.ends[closer].received = NULL;
    pair_connect(&pair, kind);
    pair_meet(&pair);
    end_receive(&pair.ends[1 - closer]);
    send_next(&pair.ends[closer]);
    send_next(&pair.ends[1 - closer]);
    end_wait_over(&pair.ends[1 - closer]);
    CHECK_INT(runs[1 - closer].received, 500);
    end_finish(&pair.ends[0], AFAR_OK);
    end_finish(&pair.ends[1], AFAR_OK);
    pair_close(&pair);
}

TEST(what_was_given_arrives_before_the_end)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        close_behind(kind, 0);
        close_behind(kind, 1);
    }
    afar_node_close(keeper);
}

/* The send that is on its way when the end is closed is not lost either. */
TEST(closed_with_a_send_on_its_way)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        for (int closer = 0; closer < 2; closer++) {
            static const uint8_t block[300000];
            struct pair pair;

            pair_open(&pair, kind);
            end_send(&pair.ends[closer], block, sizeof block);
            end_close(&pair.ends[closer], false);
            end_receive(&pair.ends[1 - closer]);
            end_wait_got(&pair.ends[1 - closer], 1);
            CHECK_INT(pair.ends[1 - closer].bytes, sizeof block);
            if (!end_is_over(&pair.ends[1 - closer]))
                end_receive(&pair.ends[1 - closer]);
            end_finish(&pair.ends[1 - closer], AFAR_OK);
            end_finish(&pair.ends[closer], AFAR_OK);
            pair_close(&pair);
        }
    }
    afar_node_close(keeper);
}

TEST(both_close_at_once)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        for (int round = 0; round < 20; round++) {
            struct pair pair;

            pair_open(&pair, kind);
            end_send(&pair.ends[0], "there", 5);
            end_send(&pair.ends[1], "back", 4);
            end_close(&pair.ends[round % 2], false);
            end_close(&pair.ends[1 - round % 2], false);
            end_finish(&pair.ends[0], AFAR_OK);
            end_finish(&pair.ends[1], AFAR_OK);
            pair_close(&pair);
        }
    }
    afar_node_close(keeper);
}

static void
abort_it(enum kind kind, int who, bool busy)
{
    struct run runs[2];
    struct pair pair;

    pair_prepare(&pair);
    for (int i = 0; i < 2; i++)
        run_init(&runs[i], &pair.ends[i], 1000000, 30000);
    pair_connect(&pair, kind);
    pair_meet(&pair);
    for (int i = 0; i < 2 && busy; i++) {
        end_receive(&pair.ends[i]);
        send_next(&pair.ends[i]);
    }
    if (busy)
        end_wait_got(&pair.ends[1 - who], 50);
    end_close(&pair.ends[who], true);
    end_close(&pair.ends[who], true);
    end_finish(&pair.ends[who], AFAR_CANCELLED);
    end_finish(&pair.ends[1 - who], AFAR_UNAVAILABLE);
    pair_close(&pair);
}

TEST(aborted_while_nothing_happens)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        abort_it(kind, 0, false);
        abort_it(kind, 1, false);
    }
    afar_node_close(keeper);
}

TEST(aborted_in_the_middle)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        abort_it(kind, 0, true);
        abort_it(kind, 1, true);
    }
    afar_node_close(keeper);
}

/* An end that waits for the peer in vain is aborted after all. */
TEST(aborted_while_it_closes)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        for (int who = 0; who < 2; who++) {
            static const uint8_t block[4 << 20];
            struct pair pair;

            pair_open(&pair, kind);
            end_send(&pair.ends[who], block, sizeof block);
            end_close(&pair.ends[who], false);
            end_close(&pair.ends[who], true);
            end_finish(&pair.ends[who], AFAR_CANCELLED);
            end_drain(&pair.ends[1 - who]);
            end_finish(&pair.ends[1 - who], AFAR_UNAVAILABLE);
            pair_close(&pair);
        }
    }
    afar_node_close(keeper);
}

TEST(what_is_done_after_the_end_is_ignored)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        struct pair pair;

        pair_open(&pair, kind);
        end_close(&pair.ends[0], true);
        for (int i = 0; i < 2; i++) {
            end_wait_over(&pair.ends[i]);
            end_receive(&pair.ends[i]);
            end_send(&pair.ends[i], "late", 4);
            end_close(&pair.ends[i], false);
            end_close(&pair.ends[i], true);
            end_free(&pair.ends[i]);
        }
        pair_close(&pair);
    }
    afar_node_close(keeper);
}

static void
free_at_once(struct end *end)
{
    end->transport->ops->free(end->transport);
    end->transport = NULL;
}

TEST(freed_when_it_is_told_of_the_end)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        struct pair pair;

        pair_open(&pair, kind);
        pair.ends[0].over = pair.ends[1].over = free_at_once;
        end_receive(&pair.ends[1]);
        end_close(&pair.ends[0], false);
        end_finish(&pair.ends[0], AFAR_OK);
        end_finish(&pair.ends[1], AFAR_OK);
        pair_close(&pair);
    }
    afar_node_close(keeper);
}

/* Nobody started the other end: what is sent to it waits, and freeing it is the end. */
TEST(freed_without_having_been_started)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        struct pair pair;

        pair_prepare(&pair);
        pair.place.manual = true;
        pair_connect(&pair, kind);
        pair_meet(&pair);
        end_send(&pair.ends[0], "hello", 5);
        end_receive(&pair.ends[0]);
        end_free(&pair.ends[1]);
        end_finish(&pair.ends[0], AFAR_UNAVAILABLE);
        pair_close(&pair);
    }
    afar_node_close(keeper);
}

TEST(peers_have_names)
{
    afar_node *keeper = keep_core();

    for (enum kind kind = TCP; kind < KINDS; kind++) {
        struct pair pair;

        pair_open(&pair, kind);
        CHECK(pair.ends[0].transport->peer.address[0] != '\0');
        if (kind != LOOP) {
            CHECK_STR(pair.ends[1].transport->peer.address, "the test");
            CHECK_INT(pair.ends[1].transport->peer.uid, 17);
            CHECK_INT(pair.ends[1].transport->peer.pid, 18);
        }
        end_close(&pair.ends[0], true);
        end_finish(&pair.ends[0], AFAR_CANCELLED);
        end_finish(&pair.ends[1], AFAR_UNAVAILABLE);
        pair_close(&pair);
    }
    afar_node_close(keeper);
}
