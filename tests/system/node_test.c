/* Nodes and the log: what belongs to the process and not to a connection.
 *
 * Labels: concurrent */

#include <stdatomic.h>
#include <string.h>

#include <afar/log.h>

#include "pair.h"

TEST(each_node_is_another_instance)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *nodes[3];
    static const uint8_t zero[16];

    for (int i = 0; i < 3; i++)
        CHECK_OK(afar_node_open(NULL, &nodes[i], &err));
    for (int i = 0; i < 3; i++) {
        CHECK(memcmp(afar_node_instance(nodes[i]), zero, 16) != 0);
        for (int j = 0; j < i; j++)
            CHECK(memcmp(afar_node_instance(nodes[i]), afar_node_instance(nodes[j]), 16) != 0);
    }
    for (int i = 0; i < 3; i++)
        afar_node_close(nodes[i]);
}

TEST(a_node_alone_costs_no_thread)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    int before = thread_count();
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    CHECK(thread_count() - before <= 2);
    test_probe_close(probe);
    afar_node_close(node);
}

static atomic_int lines, bad_lines;

static void
count_line(void *arg, afar_log_level level, const char *line)
{
    if (arg != &lines || level > AFAR_LOG_DEBUG || strchr(line, '\n') || line[0] == '\0')
        atomic_fetch_add(&bad_lines, 1);
    atomic_fetch_add(&lines, 1);
}

static afar_code
fail_in_two_lines(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    return afar_call_fail(call, AFAR_ABORTED, "one\ntwo");
}

/* Server, client, a good call and a bad one: something is said, a line an event. */
TEST(the_log_has_lines)
{
    static const test_probe_methods methods = { .ask = fail_in_two_lines };
    int64_t number = 0;
    struct pair pair;

    afar_log_set(count_line, &lines, AFAR_LOG_DEBUG);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "a", &echo_methods, NULL, AFAR_SERIAL);
    test_probe *other = pair_probe(&pair, "b", &methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(probe, 1), 2);
    CHECK_INT(ask(other, 1, &number, NULL), AFAR_ABORTED);
    test_probe_close(probe);
    test_probe_close(other);
    pair_close(&pair);
    afar_log_set(NULL, NULL, AFAR_LOG_ERROR);
    CHECK(atomic_load(&lines) >= 2); /* a line for every call */
    CHECK_INT(atomic_load(&bad_lines), 0);
}

TEST(a_quiet_log)
{
    struct pair pair;

    atomic_store(&lines, 0);
    afar_log_set(count_line, &lines, AFAR_LOG_ERROR);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(probe, 1), 2);
    test_probe_close(probe);
    pair_close(&pair);
    afar_log_set(NULL, NULL, AFAR_LOG_ERROR);
    CHECK_INT(atomic_load(&lines), 0); /* nothing went wrong */
}
