/* Neighbours.  One list for the process, since nodes are few and references that travel by
 * address fewer; `lock` guards it, and the counts. */

#include "runtime/far/neighbours.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/engine.h"
#include "runtime/node.h"

struct afar__neighbour {
    afar__neighbour *next;
    afar_node *node; /* the link has a reference */
    afar__link *link;
    unsigned users;
    char address[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static afar__neighbour *neighbours;

static afar__neighbour *
find_locked(const afar_node *node, const char *address)
{
    afar__neighbour *found = neighbours;

    while (found && (found->node != node || strcmp(found->address, address) != 0))
        found = found->next;
    return found;
}

static afar_code
make_locked(afar_node *node, const char *text, afar__neighbour **ret_neighbour, afar_error *err)
{
    static const char scheme[] = "afar://";
    size_t length = strlen(text);
    bool is_afar = strncmp(text, scheme, sizeof scheme - 1) == 0;
    afar__address address;
    afar_code code =
        afar__address_parse_endpoint(is_afar ? text + sizeof scheme - 1 : text, &address, err);
    afar__neighbour *made;

    if (!code && address.kind == AFAR__ADDRESS_INPROC)
        code = afar_fail(err, AFAR_INVALID_ARGUMENT, "%.100s: is of another process", text);
    if (code)
        return code;
    made = calloc(1, sizeof *made + length + 1);
    if (!made)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%.100s: no memory for a link", text);
    code = afar__link_open(node, &address, &made->link, err);
    if (code) {
        free(made);
        return code;
    }
    memcpy(made->address, text, length + 1);
    made->node = node;
    made->next = neighbours;
    neighbours = made;
    *ret_neighbour = made;
    return AFAR_OK;
}

afar_code
afar__neighbour_enter(afar_node *node, const char *address, afar__neighbour **ret_neighbour,
                      afar_error *err)
{
    afar__neighbour *neighbour;
    afar_code code = AFAR_RESOURCE_EXHAUSTED;

    pthread_mutex_lock(&lock);
    neighbour = find_locked(node, address);
    if (!neighbour)
        code = make_locked(node, address, &neighbour, err);
    if (neighbour) {
        neighbour->users++;
        *ret_neighbour = neighbour;
        code = AFAR_OK;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static void *
close_link(void *argument)
{
    afar__link *link = argument;

    afar__link_shut(link);
    afar__link_unref(link);
    return NULL;
}

void
afar__neighbour_leave(afar__neighbour *neighbour)
{
    afar__neighbour **place = &neighbours;
    bool last;

    if (!neighbour)
        return;
    pthread_mutex_lock(&lock);
    last = --neighbour->users == 0;
    while (last && *place != neighbour)
        place = &(*place)->next;
    if (last)
        *place = neighbour->next;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    (void)afar__engine_aside(close_link, neighbour->link);
    free(neighbour);
}

afar__link *
afar__neighbour_link(const afar__neighbour *neighbour)
{
    return neighbour->link;
}
