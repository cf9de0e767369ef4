/* Nodes: what they are opened with, and what keeps them. */

#include "runtime/node.h"

#include <string.h>

#include "check.h"
#include "runtime/engine.h"

TEST(a_node_with_defaults)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    CHECK_INT((intmax_t)node->limits.max_bytes, 4 << 20);
    CHECK_INT(node->limits.max_depth, 100);
    CHECK(afar__node_travels(node, "traceparent"));
    CHECK(afar__node_travels(node, "tracestate"));
    CHECK(afar__node_travels(node, "baggage"));
    CHECK(!afar__node_travels(node, "Baggage"));
    CHECK(!afar__node_travels(node, ""));
    afar_node_close(node);
}

TEST(a_node_with_options)
{
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;
    const char *travels[] = { "one", "two-bin", NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    char key[] = "one";

    travels[0] = key;
    options.limits.max_bytes = 1000;
    options.travels = travels;
    CHECK_OK(afar_node_open(&options, &node, &err));
    memset(key, 0, sizeof key); /* the node has copies */
    travels[1] = NULL;
    CHECK_INT((intmax_t)node->limits.max_bytes, 1000);
    CHECK_INT(node->limits.max_depth, 100);
    CHECK(afar__node_travels(node, "one") && afar__node_travels(node, "two-bin"));
    CHECK(!afar__node_travels(node, "baggage"));
    afar_node_close(node);
    travels[0] = NULL;
    CHECK_OK(afar_node_open(&options, &node, &err));
    CHECK(!afar__node_travels(node, "one") && !afar__node_travels(node, "baggage"));
    afar_node_close(node);
}

TEST(options_of_another_size)
{
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    options.size--;
    CHECK_FAILS(afar_node_open(&options, &node, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "afar_node_options was not made with AFAR_NODE_OPTIONS_INIT");
    CHECK(!node);
    afar_error_clear(&err);
}

TEST(patience_with_silent_peers)
{
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(&options, &node, &err));
    CHECK_INT(node->session_idle_ms, 10000);
    CHECK_INT(node->session_dead_ms, 30000);
    afar_node_close(node);
    options.session_dead_ms = 100;
    CHECK_OK(afar_node_open(&options, &node, &err));
    CHECK_INT(node->session_idle_ms, 34);
    CHECK_INT(node->session_dead_ms, 100);
    afar_node_close(node);
    node = NULL;
    options.session_idle_ms = 100;
    CHECK_FAILS(afar_node_open(&options, &node, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "session_idle_ms is 100, not less than the 100 of session_dead_ms");
    options.session_idle_ms = 0;
    options.session_dead_ms = 1;
    CHECK_FAILS(afar_node_open(&options, &node, &err), AFAR_INVALID_ARGUMENT);
    CHECK(!node);
    afar_error_clear(&err);
}

TEST(each_node_is_known_by_itself)
{
    static const uint8_t zeros[16];
    uint8_t seen[20][16];

    for (int i = 0; i < 20; i++) {
        afar_error err = AFAR_ERROR_INIT;
        afar_node *node = NULL;

        CHECK_OK(afar_node_open(NULL, &node, &err));
        memcpy(seen[i], afar_node_instance(node), 16);
        CHECK(memcmp(seen[i], zeros, 16) != 0);
        CHECK(memcmp(seen[i], afar_node_instance(node), 16) == 0);
        for (int j = 0; j < i; j++)
            CHECK(memcmp(seen[i], seen[j], 16) != 0);
        afar_node_close(node);
    }
}

/* Whoever is on it keeps it. */
TEST(a_node_lives_as_long_as_somebody_has_it)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL, *same = NULL, *own = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    CHECK_OK(afar__node_of(node, &same, &err));
    CHECK(same == node);
    CHECK_OK(afar__node_of(NULL, &own, &err));
    CHECK(own != node);
    afar_node_close(node);
    CHECK(afar__node_ref(same) == same);
    afar_node_close(same);
    CHECK(afar__node_travels(same, "baggage"));
    afar_node_close(same);
    afar_node_close(own);
    afar_node_close(NULL);
}
