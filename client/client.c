/* Clients: references opened by address, over one link for each address.
 *
 * Links are kept in a list, found by the address as it is written in the name, and
 * live as long as the client or a reference over them.  `lock` guards the list;
 * nothing waits while it is held.  Two threads that open the same address
 * at the same time share the link: connecting is done outside the lock, by each. */

#include <afar/client.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/engine.h"
#include "runtime/link.h"
#include "runtime/misuse.h"
#include "runtime/node.h"

struct entry {
    struct entry *next;
    afar__address address; /* without an object's name */
    afar__link *link;
};

struct afar_client {
    afar_node *node;
    pthread_mutex_t lock; /* guards what follows */
    struct entry *entries;
};

afar_code
afar_client_open(afar_node *node, const afar_client_options *options, afar_client **ret_client,
                 afar_error *err)
{
    afar_client *client;
    afar_code code;

    if (options && options->size != sizeof *options)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "afar_client_options was not made with AFAR_CLIENT_OPTIONS_INIT");
    client = calloc(1, sizeof *client);
    if (!client)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a client");
    code = afar__node_of(node, &client->node, err);
    if (code) {
        free(client);
        return code;
    }
    pthread_mutex_init(&client->lock, NULL);
    *ret_client = client;
    return AFAR_OK;
}

static void *
close_client(void *argument)
{
    afar_client *client = argument;
    struct entry *next;

    for (struct entry *entry = client->entries; entry; entry = next) {
        next = entry->next;
        afar__link_shut(entry->link);
        afar__link_unref(entry->link);
        free(entry);
    }
    afar_node_close(client->node);
    pthread_mutex_destroy(&client->lock);
    free(client);
    return NULL;
}

void
afar_client_close(afar_client *client)
{
    if (!client || afar__engine_forked())
        return;
    (void)afar__engine_aside(close_client, client);
}

/* ---- opening ---- */

static bool
same_place(const afar__address *a, const afar__address *b)
{
    return a->kind == b->kind && a->port == b->port && strcmp(a->host, b->host) == 0 &&
           strcmp(a->path, b->path) == 0;
}

static afar_code
link_locked(afar_client *client, const afar__address *address, afar__link **ret_link,
            afar_error *err)
{
    struct entry *entry;
    afar_code code;

    for (entry = client->entries; entry; entry = entry->next)
        if (same_place(&entry->address, address)) {
            *ret_link = afar__link_ref(entry->link);
            return AFAR_OK;
        }
    entry = malloc(sizeof *entry);
    if (!entry)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a connection");
    code = afar__link_open(client->node, address, &entry->link, err);
    if (code) {
        free(entry);
        return code;
    }
    entry->address = *address;
    entry->next = client->entries;
    client->entries = entry;
    *ret_link = afar__link_ref(entry->link);
    return AFAR_OK;
}

/* A link that broke and cannot mend itself makes room for a new one. */
static void
forget_link(afar_client *client, afar__link *link)
{
    struct entry **place, *entry;

    pthread_mutex_lock(&client->lock);
    place = &client->entries;
    while (*place && (*place)->link != link)
        place = &(*place)->next;
    entry = *place;
    if (entry)
        *place = entry->next;
    pthread_mutex_unlock(&client->lock);
    if (entry)
        afar__link_unref(entry->link);
    free(entry);
}

static afar_code
connect_link(afar_client *client, const afar__address *address, afar_deadline deadline,
             afar__link **ret_link, afar_error *err)
{
    afar_code code = AFAR_UNAVAILABLE;

    for (int tries = 0; tries < 2 && code == AFAR_UNAVAILABLE; tries++) {
        pthread_mutex_lock(&client->lock);
        code = link_locked(client, address, ret_link, err);
        pthread_mutex_unlock(&client->lock);
        if (code)
            return code;
        code = afar__link_connect(*ret_link, deadline, err);
        if (!code)
            return AFAR_OK;
        bool again = !afar__link_heals(*ret_link);
        if (again)
            forget_link(client, *ret_link);
        afar__link_unref(*ret_link);
        if (!again)
            break;
    }
    return code;
}

afar_code
afar_object_open(afar_client *client, const char *name, const afar_interface *interface,
                 afar_deadline deadline, afar_object **ret_object, afar_error *err)
{
    afar__address address;
    afar__link *link = NULL;
    afar_code code = afar__engine_check(err);

    if (!client || !name)
        afar__misuse("afar_object_open: a NULL %s for a %s", client ? "name" : "client",
                     interface->name);
    if (!code)
        code = afar__address_parse_remote(name, &address, err);
    if (code)
        return code;
    if (address.kind == AFAR__ADDRESS_NAME)
        return afar_fail(err, AFAR_UNIMPLEMENTED,
                         "%s: there is no name server yet; write grpc://HOST:PORT/%s", name, name);
    code = connect_link(client, &address, deadline, &link, err);
    if (code)
        return code;
    code = afar__link_object(link, interface, address.name, ret_object, err);
    afar__link_unref(link);
    return code;
}
