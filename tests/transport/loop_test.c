/* The loop: what goes wrong on the way when it is asked to, and how stalled ends behave.
 * Labels: concurrent */

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pairs.h"
#include "runtime/clock.h"
#include "runtime/loop_transport.h"

struct looped {
    afar_node *node;
    struct end ends[2];
};

static void
looped_open(struct looped *looped, const afar__loop_faults *faults)
{
    afar__transport *transports[2];
    afar_error err = AFAR_ERROR_INIT;

    looped->node = keep_core();
    CHECK_OK(afar__loop_transports(looped->node, faults, transports, &err));
    for (int i = 0; i < 2; i++) {
        end_init(&looped->ends[i]);
        end_attach(&looped->ends[i], transports[i]);
        end_start(&looped->ends[i]);
    }
}

/* Sends as many batches of `length` bytes as arrive, to an end that asks for all. */
struct count {
    unsigned left;
    size_t length;
    size_t lengths[200]; /* of those that came */
};

static void
note_length(struct end *end, const uint8_t *data, size_t length)
{
    struct count *count = end->arg;

    batch_check(1, data, length);
    count->lengths[end->got] = length;
    end_receive(end);
}

static void
send_more(struct end *end)
{
    struct count *count = end->arg;
    uint8_t *data;

    if (count->left == 0)
        return;
    count->left--;
    data = batch_make(1, count->length);
    end_send(end, data, count->length);
    free(data);
}

static void
looped_run(struct looped *looped, struct count *count)
{
    looped->ends[0].arg = looped->ends[1].arg = count;
    looped->ends[0].sent = send_more;
    looped->ends[1].received = note_length;
    end_receive(&looped->ends[1]);
    send_more(&looped->ends[0]);
}

static void
looped_close(struct looped *looped)
{
    if (!end_is_over(&looped->ends[0]))
        end_close(&looped->ends[0], true);
    for (int i = 0; i < 2; i++) {
        end_wait_over(&looped->ends[i]);
        end_free(&looped->ends[i]);
    }
    afar_node_close(looped->node);
}

TEST(a_delay_is_waited_for)
{
    afar__loop_faults faults = { .seed = 1, .delay = 20 * AFAR__MILLISECOND };
    struct count count = { .left = 20, .length = 100 };
    int64_t start = afar__now();
    struct looped looped;

    looped_open(&looped, &faults);
    looped_run(&looped, &count);
    end_wait_got(&looped.ends[1], 20);
    CHECK(afar__now() - start > 20 * AFAR__MILLISECOND);
    looped_close(&looped);
}

TEST(closed_while_a_batch_is_delayed)
{
    afar__loop_faults faults = { .seed = 1, .delay = 10 * AFAR__SECOND };
    struct count count = { .left = 1, .length = 100 };
    struct looped looped;

    looped_open(&looped, &faults);
    looped_run(&looped, &count);
    end_close(&looped.ends[1], true);
    looped_close(&looped);
}

/* Ten batches fit, and the eleventh does not. */
TEST(a_connection_that_is_cut)
{
    afar__loop_faults faults = { .seed = 1, .cut_after = 1050 };
    struct count count = { .left = 100, .length = 100 };
    struct looped looped;

    looped_open(&looped, &faults);
    looped_run(&looped, &count);
    for (int i = 0; i < 2; i++) {
        end_wait_over(&looped.ends[i]);
        CHECK_INT(looped.ends[i].why.code, AFAR_UNAVAILABLE);
        CHECK_INT(looped.ends[i].why.outcome, AFAR_OUTCOME_UNKNOWN);
    }
    CHECK_INT(looped.ends[1].got, 10);
    CHECK_INT(looped.ends[0].gone, 10);
    looped_close(&looped);
}

static void
truncate_some(uint64_t seed, struct count *count)
{
    afar__loop_faults faults = { .seed = seed, .truncate = 4 };
    struct looped looped;

    *count = (struct count){ .left = 100, .length = 1000 };
    looped_open(&looped, &faults);
    looped_run(&looped, count);
    end_wait_got(&looped.ends[1], 100);
    looped_close(&looped);
}

TEST(truncated_batches_are_the_same_for_the_same_seed)
{
    static struct count first, second, other;
    unsigned shorter = 0;

    truncate_some(5, &first);
    truncate_some(5, &second);
    truncate_some(6, &other);
    CHECK_INT(memcmp(first.lengths, second.lengths, sizeof first.lengths), 0);
    CHECK(memcmp(first.lengths, other.lengths, sizeof first.lengths) != 0);
    for (int i = 0; i < 100; i++)
        shorter += first.lengths[i] < 1000 ? 1 : 0;
    CHECK(shorter > 5 && shorter < 60);
}

TEST(a_stalled_end_gets_nothing_until_it_goes_on)
{
    struct count count = { .left = 10, .length = 100 };
    struct looped looped;

    looped_open(&looped, NULL);
    afar__loop_stall(looped.ends[1].transport, true);
    looped_run(&looped, &count);
    end_send(&looped.ends[1], "the other way", 13);
    end_receive(&looped.ends[0]);
    end_wait_got(&looped.ends[0], 1);
    CHECK_INT(poll(NULL, 0, 50), 0);
    CHECK_INT(end_sent(&looped.ends[0]), 0);
    afar__loop_stall(looped.ends[1].transport, false);
    end_wait_got(&looped.ends[1], 10);
    looped_close(&looped);
}

TEST(neither_end_is_started)
{
    afar__transport *transports[2];
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = keep_core();

    CHECK_OK(afar__loop_transports(node, NULL, transports, &err));
    afar_node_close(node);
    for (int i = 0; i < 2; i++)
        transports[i]->ops->free(transports[i]);
}

static void
answer_nothing(struct end *end, const uint8_t *data, size_t length)
{
    (void)data;
    (void)length;
    end_receive(end);
}

/* An end may do all it wants from inside what it is told. */
static void
answer(struct end *end, const uint8_t *data, size_t length)
{
    end_receive(end);
    end_send(end, data, length);
}

TEST(a_hundred_thousand_round_trips)
{
    enum { ROUNDS = 100000 };
    struct looped looped;

    looped_open(&looped, NULL);
    looped.ends[0].received = looped.ends[1].received = answer;
    end_receive(&looped.ends[0]);
    end_receive(&looped.ends[1]);
    end_send(&looped.ends[0], "ball", 4);
    end_wait_got(&looped.ends[0], ROUNDS);
    looped_close(&looped);
}

/* What is sent without end in one direction does not keep the other one waiting. */
TEST(both_directions_have_their_turn)
{
    struct count there = { .left = 1000000000, .length = 10 };
    struct count back = { .left = 100, .length = 10 };
    struct looped looped;

    for (int direction = 0; direction < 2; direction++) {
        struct end *busy, *other;

        looped_open(&looped, NULL);
        busy = &looped.ends[direction];
        other = &looped.ends[1 - direction];
        busy->arg = &there;
        other->arg = &back;
        busy->sent = other->sent = send_more;
        busy->received = other->received = answer_nothing;
        end_receive(other);
        end_receive(busy);
        send_more(busy);
        send_more(other);
        end_wait_got(busy, 50);
        looped_close(&looped);
        back.left = 100;
    }
}
