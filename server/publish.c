/* References that travel as addresses, as a server sees them.
 *
 * Which address is told: the option `endpoints` if there is one, since who sets it knows better; else
 * the one that the caller reached us at, which the socket of the connection knows, even
 * if we listen on all addresses; else the first one that we listen on.
 *
 * All but the parts that have locks of their own is constant once it has started. */

#include "server/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/interface.h"
#include "server/lend.h"

/* An address of ours. */
struct place {
    char text[400]; /* as it is told */
    afar__address address;
    bool any; /* all addresses of this machine */
};

struct afar__publish {
    afar__publisher publisher; /* the first member */
    afar_node *node;
    afar__exports *exports;
    afar__lend *lend;
    bool has_endpoint;
    struct place endpoint;
    struct place *places; /* one for each listener */
    size_t count;
};

/* ---- our addresses ---- */

static afar_code
set_place(struct place *place, const char *text, afar_error *err)
{
    afar__spot spot = { 0 };
    afar_code code = afar__address_parse_endpoint(text, &place->address, err);

    if (code)
        return code;
    if (!afar__spot_set(&spot, text, ""))
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%.100s: the address is too long", text);
    memcpy(place->text, spot.address, sizeof place->text);
    place->any =
        place->address.kind == AFAR__ADDRESS_TCP &&
        (strcmp(place->address.host, "0.0.0.0") == 0 || strcmp(place->address.host, "::") == 0);
    return AFAR_OK;
}

static const struct place *
first_of_kind(const afar__publish *publish, afar__address_kind kind)
{
    for (size_t i = 0; i < publish->count; i++)
        if (publish->places[i].address.kind == kind && !publish->places[i].any)
            return &publish->places[i];
    return NULL;
}

/* Where the peer of that connection has reached us; false if it is no address for others. */
static bool
address_of(const afar__publish *publish, int fd, char *ret_text, size_t size)
{
    struct sockaddr_storage local = { 0 };
    socklen_t length = sizeof local;
    const struct place *place;

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&local, &length))
        return false;
    if (local.ss_family == AF_INET || local.ss_family == AF_INET6) {
        afar__listen_print(&local, ret_text, size);
        return true;
    }
    /* One of a pair has no name: inproc: is for this process only. */
    place = length > sizeof local.ss_family ? first_of_kind(publish, AFAR__ADDRESS_UNIX) : NULL;
    if (place)
        snprintf(ret_text, size, "%s", place->text);
    return place != NULL;
}

static afar_code
own_address(const afar__publish *publish, int fd, char *ret_text, size_t size, afar_error *err)
{
    const struct place *place;

    if (!publish->has_endpoint && address_of(publish, fd, ret_text, size))
        return AFAR_OK;
    place = publish->has_endpoint ? &publish->endpoint : first_of_kind(publish, AFAR__ADDRESS_TCP);
    if (!place)
        place = first_of_kind(publish, AFAR__ADDRESS_UNIX);
    if (!place)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the server has no address to send a reference with; set its option "
                         "`endpoints` to grpc://HOST:PORT");
    snprintf(ret_text, size, "%s", place->text);
    return AFAR_OK;
}

/* ---- lending ---- */

static afar_code
lend(afar__publisher *publisher, afar_object *object, int fd, afar__spot *ret_spot, afar_error *err)
{
    afar__publish *publish = (afar__publish *)publisher;
    char text[400], name[256];
    afar_code code = own_address(publish, fd, text, sizeof text, err);

    if (!code && !afar__exports_name(publish->exports, object, name))
        code = afar__lend_out(publish->lend, object, name, err);
    if (!code && !afar__spot_set(ret_spot, text, name))
        code = afar_fail(err, AFAR_FAILED_PRECONDITION, "%.100s: the address is too long", text);
    return code;
}

static bool
place_of(afar__publisher *publisher, afar_object *object, afar__spot *ret_spot)
{
    const afar__publish *publish = (const afar__publish *)publisher;
    char text[400], name[256];

    return afar__exports_name(publish->exports, object, name) &&
           !own_address(publish, -1, text, sizeof text, NULL) &&
           afar__spot_set(ret_spot, text, name);
}

/* ---- keeping ---- */

/* The address as a client of this machine opens it. */
static afar_code
print_near(const afar__publish *publish, const char *name, char *ret_address, size_t size,
           afar_error *err)
{
    const struct place *place = first_of_kind(publish, AFAR__ADDRESS_UNIX);
    const afar__address *address;
    int length;

    for (size_t i = 0; i < publish->count && !place; i++)
        if (publish->places[i].address.kind == AFAR__ADDRESS_TCP)
            place = &publish->places[i];
    if (!place)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the server listens on no address that another process can connect to");
    address = &place->address;
    if (address->kind == AFAR__ADDRESS_UNIX)
        length = snprintf(ret_address, size, "%s/%s", place->text, name);
    else
        length =
            snprintf(ret_address, size, address->ipv6 ? "afar://[%s]:%u/%s" : "afar://%s:%u/%s",
                     !place->any     ? address->host
                     : address->ipv6 ? "::1"
                                     : "127.0.0.1",
                     (unsigned)address->port, name);
    if (length < 0 || (size_t)length >= size)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%.100s: the address is too long",
                         place->text);
    return AFAR_OK;
}

afar_code
afar__publish_keep(afar__publish *publish, afar_object *object, char *ret_address, size_t size,
                   afar__kept *ret_kept, afar_error *err)
{
    afar__kept kept = { .lend = publish->lend };
    afar_code code = afar__lend_keep(publish->lend, object, kept.name, err);

    if (code)
        return code;
    code = print_near(publish, kept.name, ret_address, size, err);
    if (code)
        afar__kept_forget(&kept);
    else
        *ret_kept = kept;
    return code;
}

void
afar__kept_loosen(const afar__kept *kept)
{
    if (kept->lend)
        afar__lend_loosen(kept->lend, kept->name);
}

void
afar__kept_forget(afar__kept *kept)
{
    if (kept->lend)
        afar__lend_forget(kept->lend, kept->name);
    kept->lend = NULL;
}

/* ---- what comes home ---- */

static bool
is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* A name that we have lent is random: only the port has to be right then. */
static bool
is_place(const struct place *place, const afar__address *address, bool lent)
{
    if (address->kind != place->address.kind)
        return false;
    if (address->kind == AFAR__ADDRESS_UNIX)
        return strcmp(address->path, place->address.path) == 0;
    return address->port == place->address.port &&
           (lent || strcmp(address->host, place->address.host) == 0 ||
            (place->any && is_loopback(address->host)));
}

static afar_object *
find_here(afar__publisher *publisher, const afar__address *address, const char *name,
          const afar_interface *interface)
{
    const afar__publish *publish = (const afar__publish *)publisher;
    bool lent = afar__lend_is_name(name);
    bool ours = publish->has_endpoint && is_place(&publish->endpoint, address, lent);

    for (size_t i = 0; i < publish->count && !ours; i++)
        ours = is_place(&publish->places[i], address, lent);
    if (!ours)
        return NULL;
    return lent ? afar__lend_find(publish->lend, name, interface)
                : afar__exports_object(publish->exports, interface, name);
}

/* ---- calls ---- */

static const afar_method *
method_of(const afar_interface *interface, const char *path)
{
    for (unsigned i = 0; i < interface->method_count; i++)
        if (strcmp(afar__interface_method(interface, i)->path, path) == 0)
            return afar__interface_method(interface, i);
    return NULL;
}

/* The call renews the lease, whatever becomes of it. */
static afar_code
target_lent(afar_object *object, const char *path, afar__target *ret_target, afar_error *err)
{
    const afar_interface *interface = afar_object_interface(object);

    ret_target->method = method_of(interface, path);
    if (!ret_target->method) {
        afar_object_close(object);
        return afar_fail(err, AFAR_UNIMPLEMENTED, "%s is no method of %s, which that object is",
                         path, interface->name);
    }
    ret_target->host = afar__host_of(object);
    return AFAR_OK;
}

afar_code
afar__publish_find(afar__publish *publish, const char *path, const char *name,
                   afar__target *ret_target, afar_error *err)
{
    bool may_be_lent = name && afar__lend_is_name(name);
    afar_object *object = may_be_lent ? afar__lend_find(publish->lend, name, NULL) : NULL;
    afar_code code;

    if (object)
        return target_lent(object, path, ret_target, err);
    code = afar__exports_find(publish->exports, path, name, ret_target, err);
    if (code && may_be_lent)
        code = afar_fail(err, AFAR_NOT_FOUND, "nothing is called \"%s\" here (any more)", name);
    return code;
}

/* ---- life ---- */

afar_code
afar__publish_new(afar_node *node, afar__exports *exports, int64_t lease, unsigned limit,
                  afar__publish **ret_publish, afar_error *err)
{
    afar__publish *publish = calloc(1, sizeof *publish);
    afar_code code;

    if (!publish)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a server");
    publish->publisher.lend = lend;
    publish->publisher.place = place_of;
    publish->publisher.find = find_here;
    publish->node = node;
    publish->exports = exports;
    code = afar__lend_new(node, lease, limit, &publish->lend, err);
    if (code) {
        free(publish);
        return code;
    }
    *ret_publish = publish;
    return AFAR_OK;
}

afar__publisher *
afar__publish_publisher(afar__publish *publish)
{
    return &publish->publisher;
}

afar_code
afar__publish_endpoint(afar__publish *publish, const char *endpoint, afar_error *err)
{
    afar_code code = set_place(&publish->endpoint, endpoint, err);

    publish->has_endpoint = !code;
    return code;
}

static afar_code
add_place(afar__publish *publish, const afar__listener *listener, afar_error *err)
{
    char text[400];
    afar_code code = AFAR_OK;

    /* A path that is too long for its socket can only be used by who is in its folder. */
    if (listener->folder < 0 || afar__listen_whole(listener, text, sizeof text, NULL) ||
        strlen(text + strlen("unix:")) >= sizeof publish->endpoint.address.path)
        snprintf(text, sizeof text, "%s", listener->address);
    code = set_place(&publish->places[publish->count], text, err);
    if (!code)
        publish->count++;
    return code;
}

afar_code
afar__publish_start(afar__publish *publish, const afar__listener *listeners, size_t count,
                    afar_error *err)
{
    afar_code code = AFAR_OK;

    publish->places = calloc(count + 1, sizeof *publish->places);
    if (!publish->places)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a server's addresses");
    for (size_t i = 0; i < count && !code; i++)
        code = add_place(publish, &listeners[i], err);
    if (!code)
        afar__publisher_enter(publish->node, &publish->publisher);
    return code;
}

void
afar__publish_withdraw(afar__publish *publish)
{
    afar__publisher_leave(&publish->publisher);
}

void
afar__publish_stop(afar__publish *publish)
{
    afar__lend_stop(publish->lend);
}

void
afar__publish_free(afar__publish *publish)
{
    if (!publish)
        return;
    afar__publisher_leave(&publish->publisher);
    afar__lend_free(publish->lend);
    free(publish->places);
    free(publish);
}
