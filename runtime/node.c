/* Nodes.  A node is counted: its clients, servers and calls keep it, and it keeps
 * the engine.  What it holds is constant after it was opened. */

#include "runtime/node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/engine.h"
#include "runtime/grace.h"

#define DEFAULT_MAX_BYTES ((size_t)4 << 20)
#define DEFAULT_MAX_DEPTH 100
#define DEFAULT_DEAD_MS 30000

static const char *const default_travels[] = { "traceparent", "tracestate", "baggage", NULL };

static void
free_node(afar_node *node)
{
    for (size_t i = 0; node->travels && node->travels[i]; i++)
        free(node->travels[i]);
    free(node->travels);
    free(node);
}

static bool
copy_travels(afar_node *node, const char *const *keys)
{
    size_t count = 0;

    while (keys[count])
        count++;
    node->travels = calloc(count + 1, sizeof *node->travels);
    for (size_t i = 0; node->travels && i < count; i++) {
        node->travels[i] = strdup(keys[i]);
        if (!node->travels[i])
            return false;
    }
    return node->travels != NULL;
}

/* A peer that is asked must have time to answer. */
static afar_code
set_patience(afar_node *node, const afar_node_options *options, afar_error *err)
{
    unsigned idle = options ? options->session_idle_ms : 0;
    unsigned dead = options ? options->session_dead_ms : 0;

    dead = dead ? dead : DEFAULT_DEAD_MS;
    idle = idle ? idle : (dead + 2) / 3;

    if (idle >= dead)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "session_idle_ms is %u, not less than the %u of session_dead_ms", idle,
                         dead);
    node->session_idle_ms = idle;
    node->session_dead_ms = dead;
    return AFAR_OK;
}

static afar_code
set_up(afar_node *node, const afar_node_options *options, afar_error *err)
{
    afar_code code;

    if (options)
        node->limits = options->limits;
    if (node->limits.max_bytes == 0)
        node->limits.max_bytes = DEFAULT_MAX_BYTES;
    if (node->limits.max_depth == 0)
        node->limits.max_depth = DEFAULT_MAX_DEPTH;
    code = set_patience(node, options, err);
    if (code)
        return code;
    if (!copy_travels(node, options && options->travels ? options->travels : default_travels))
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a node");
    if (getrandom(node->instance, sizeof node->instance, 0) != sizeof node->instance)
        return afar_fail(err, AFAR_UNAVAILABLE, "the system gives no random bytes");
    return AFAR_OK;
}

afar_code
afar_node_open(const afar_node_options *options, afar_node **ret_node, afar_error *err)
{
    afar_node *node;
    afar_code code;

    if (options && options->size != sizeof *options)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "afar_node_options was not made with AFAR_NODE_OPTIONS_INIT");
    node = calloc(1, sizeof *node);
    if (!node)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a node");
    atomic_init(&node->refs, 1);
    code = set_up(node, options, err);
    if (!code)
        code = afar__engine_hold(err);
    if (code) {
        free_node(node);
        return code;
    }
    *ret_node = node;
    return AFAR_OK;
}

void
afar_node_close(afar_node *node)
{
    if (!node || atomic_fetch_sub(&node->refs, 1) != 1)
        return;
    afar__graces_end(node);
    free_node(node);
    afar__engine_release();
}

afar_node *
afar__node_ref(afar_node *node)
{
    atomic_fetch_add(&node->refs, 1);
    return node;
}

afar_code
afar__node_of(afar_node *node, afar_node **ret_node, afar_error *err)
{
    if (!node)
        return afar_node_open(NULL, ret_node, err);
    *ret_node = afar__node_ref(node);
    return AFAR_OK;
}

const uint8_t *
afar_node_instance(const afar_node *node)
{
    return node->instance;
}

bool
afar__node_travels(const afar_node *node, const char *key)
{
    for (char **travels = node->travels; *travels; travels++)
        if (strcmp(*travels, key) == 0)
            return true;
    return false;
}
