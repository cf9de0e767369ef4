#ifndef AFAR_RUNTIME_NODE_H
#define AFAR_RUNTIME_NODE_H

/* A node from the inside: what its clients and servers read. */

#include <stdatomic.h>
#include <stdbool.h>

#include <afar/node.h>

struct afar_node {
    atomic_uint refs;
    afar_message_limits limits; /* every member set */
    char **travels;             /* ends with NULL */
    unsigned session_idle_ms, session_dead_ms;
    uint8_t instance[16];
};

afar_node *
afar__node_ref(afar_node *node);

/* `node` with a reference of its own, or a new node if it is NULL. */
afar_code
afar__node_of(afar_node *node, afar_node **ret_node, afar_error *err);

/* Whether nested calls inherit metadata with that key. */
bool
afar__node_travels(const afar_node *node, const char *key);

#endif
