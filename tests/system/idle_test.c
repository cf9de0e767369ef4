/* A process that waits uses no processor, and few threads.  The only test that
 * lets time pass: it is what is measured.
 *
 * Labels: waits */

#include <poll.h>
#include <sys/resource.h>

#include "pair.h"

#define WATCHED_MS 1000

static int64_t
microseconds(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

/* What this process does while nobody asks it for anything. */
static void
check_idle(void)
{
    struct rusage before, after;

    poll(NULL, 0, 100); /* what was under way comes to an end */
    CHECK_INT(getrusage(RUSAGE_SELF, &before), 0);
    poll(NULL, 0, WATCHED_MS);
    CHECK_INT(getrusage(RUSAGE_SELF, &after), 0);
    int64_t used = microseconds(after.ru_utime) - microseconds(before.ru_utime) +
                   microseconds(after.ru_stime) - microseconds(before.ru_stime);
    long woken = after.ru_nvcsw - before.ru_nvcsw;
    if (used > WATCHED_MS * 1000 / 100)
        check_fail(__FILE__, __LINE__, "%jd us of processor in %d ms", (intmax_t)used, WATCHED_MS);
    if (woken > WATCHED_MS / 10)
        check_fail(__FILE__, __LINE__, "%ld wake-ups in %d ms", woken, WATCHED_MS);
}

TEST(an_open_connection_costs_nothing)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct pair pair;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        for (int i = 0; i < 1000; i++)
            CHECK_INT(asked(probe, i), i + 1);
        check_idle();
        CHECK(thread_count() < 20);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

static void
wait_for_it(void *arg)
{
    CHECK_INT(finish_ask(arg), 0);
}

static afar_code
wait_at_gate(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)request;
    (void)reply;
    (void)call;
    return gate_pass(self, NULL);
}

/* Handlers that wait, callers that wait, and a stream on which nothing comes. */
TEST(waiting_costs_nothing)
{
    static const test_probe_methods methods = { .ask = wait_at_gate, .talk = NULL };
    test_probe_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct worker workers[4];
    struct pair pair;
    struct gate gate;

    gate_init(&gate);
    pair_open(&pair, TCP);
    test_probe *gated = pair_probe(&pair, "gated", &methods, &gate, AFAR_CONCURRENT);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_OK(test_probe_talk(probe, AFAR_FOREVER, NULL, &stream, &err));
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], wait_for_it, start_ask(gated, i, soon()));
    event_wait(&gate.entered, 4);
    check_idle();
    gate_open(&gate);
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    test_probe_talk_close(stream);
    test_probe_close(gated);
    test_probe_close(probe);
    pair_close(&pair);
    gate_close(&gate);
}

/* After the threads have had much to do, they come to rest. */
TEST(rest_after_work)
{
    static afar_future *futures[1000];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_CONCURRENT);
    for (int i = 0; i < 1000; i++)
        futures[i] = start_ask(probe, i, soon());
    for (int i = 0; i < 1000; i++)
        CHECK_INT(finish_ask(futures[i]), i + 1);
    check_idle();
    test_probe_close(probe);
    pair_close(&pair);
}
