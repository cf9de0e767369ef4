/* Clients: references opened by address, over one link for each address (links.c), and by
 * name (find.c).
 *
 * A client is its links and its names; both are counted, and stay while a reference that
 * was opened by name needs them.  Closing the client shuts the links. */

#include <afar/client.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/find.h"
#include "client/links.h"
#include "client/names.h"
#include "runtime/engine.h"
#include "runtime/far/route.h"
#include "runtime/misuse.h"
#include "runtime/node.h"

#define INHERITED "inherited:"

struct afar_client {
    afar__links *links;
    afar__names *names;
};

/* The node is the links' from here on. */
static afar_code
make_links(afar_client *client, afar_node *node, afar_error *err)
{
    afar_node *mine = NULL;
    afar_code code = afar__node_of(node, &mine, err);

    if (!code)
        code = afar__links_new(mine, &client->links, err);
    if (code)
        afar_node_close(mine);
    return code;
}

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
    code = make_links(client, node, err);
    if (!code)
        code = afar__names_new(client->links, options, &client->names, err);
    if (code) {
        if (client->links)
            afar__links_unref(client->links);
        free(client);
        return code;
    }
    *ret_client = client;
    return AFAR_OK;
}

static void *
close_client(void *argument)
{
    afar_client *client = argument;

    afar__links_shut(client->links);
    afar__names_unref(client->names);
    afar__links_unref(client->links);
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

/* Over a session, unless plain gRPC was asked for.  A socket file does not say what is behind it. */
static afar_code
object_on_link(afar__link *link, const afar__address *address, const afar_interface *interface,
               afar_deadline deadline, afar_object **ret_object, afar_error *err)
{
    afar__place place = { .link = link };
    afar_code code =
        address->plain ? AFAR_UNIMPLEMENTED : afar__link_session_ready(link, deadline, err);

    if (!code)
        return afar__place_object(&place, interface, address->name, NULL, ret_object, err);
    if (code == AFAR_UNIMPLEMENTED && (address->plain || address->kind == AFAR__ADDRESS_UNIX))
        return afar__link_object(link, interface, address->name, ret_object, err);
    return code;
}

static afar_code
open_by_address(afar_client *client, const afar__address *address, const afar_interface *interface,
                afar_deadline deadline, afar_object **ret_object, afar_error *err)
{
    afar__link *link = NULL;
    afar_code code = afar__links_connect(client->links, address, deadline, &link, err);

    if (code)
        return code;
    code = object_on_link(link, address, interface, deadline, ret_object, err);
    afar__link_unref(link);
    return code;
}

static afar_code
open_by_name(afar_client *client, const afar__address *address, const afar_interface *interface,
             afar_deadline deadline, afar_object **ret_object, afar_error *err)
{
    afar__wanted wanted = { address->name, address->has_key ? address->key : NULL };
    afar__finder *finder = NULL;
    afar__place place = { 0 };
    afar_code code = afar__find(client->names, &wanted, deadline, &place, &finder, err);

    if (code)
        return code;
    code = afar__place_object(&place, interface, address->name, finder, ret_object, err);
    afar__link_unref(place.link);
    return code;
}

/* What the process that started this one gave it: the address is in the environment. */
static afar_code
find_inherited(const char *name, const char **ret_address, afar_error *err)
{
    char variable[80];
    int length = snprintf(variable, sizeof variable, "AFAR_END_%s", name);

    if (!*name || length >= (int)sizeof variable ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")])
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "inherited:%.80s: such a name has a-z, 0-9 and _ only", name);
    for (char *c = variable; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    *ret_address = getenv(variable);
    if (!*ret_address)
        return afar_fail(err, AFAR_NOT_FOUND,
                         "inherited:%s: nothing was given to this process under that name (%s is "
                         "not set)",
                         name, variable);
    return AFAR_OK;
}

static afar_code
open_anywhere(afar_client *client, const char *name, const afar_interface *interface,
              afar_deadline deadline, afar_object **ret_object, afar_error *err)
{
    afar__address address;
    afar_code code = afar__address_parse_remote(name, &address, err);

    if (code)
        return code;
    return address.kind == AFAR__ADDRESS_NAME
               ? open_by_name(client, &address, interface, deadline, ret_object, err)
               : open_by_address(client, &address, interface, deadline, ret_object, err);
}

afar_code
afar_object_open(afar_client *client, const char *name, const afar_interface *interface,
                 afar_deadline deadline, afar_object **ret_object, afar_error *err)
{
    afar_code code = afar__engine_check(err);
    bool inherited;

    if (!client || !name)
        afar__misuse("afar_object_open: a NULL %s for a %s", client ? "name" : "client",
                     interface->name);
    if (code)
        return code;
    inherited = strncmp(name, INHERITED, strlen(INHERITED)) == 0;
    if (inherited)
        code = find_inherited(name + strlen(INHERITED), &name, err);
    if (!code)
        code = open_anywhere(client, name, interface, deadline, ret_object, err);
    if (!code && inherited)
        afar__route_inherit(*ret_object);
    return code;
}
