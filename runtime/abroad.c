/* References that travel as addresses.
 *
 * In the message they are written beside the objects while it is packed, and taken out again, since
 * the message is its sender's.  What was there before is kept meanwhile.
 *
 * There is one list of publishers for the process, as servers are few.  Its lock is held for
 * reading while they are asked, so that one that has been taken out is not asked any more. */

#include "runtime/abroad.h"

#include <pthread.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "runtime/far/objects.h"
#include "runtime/host.h"
#include "runtime/object.h"
#include "runtime/refs.h"
#include "runtime/stranger.h"

/* In one message; what a session allows too. */
#define MOST_REFERENCES 4096

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static afar__publisher *publishers;

/* ---- spots ---- */

static const char *
after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

bool
afar__spot_set(afar__spot *spot, const char *address, const char *name)
{
    const char *rest = after(address, "afar://");
    const char *scheme =
        rest || !(after(address, "grpc://") || after(address, "unix:") || after(address, "inproc:"))
            ? "grpc://"
            : "";
    size_t length = (size_t)snprintf(spot->address, sizeof spot->address, "%s%s", scheme,
                                     rest ? rest : address);
    size_t name_length = (size_t)snprintf(spot->name, sizeof spot->name, "%s", name);

    if (length >= sizeof spot->address || name_length >= sizeof spot->name)
        return false;
    spot->has_key = false;
    memset(spot->key, 0, sizeof spot->key);
    return true;
}

/* ---- publishers ---- */

void
afar__publisher_enter(afar_node *node, afar__publisher *publisher)
{
    pthread_rwlock_wrlock(&lock);
    publisher->node = node;
    publisher->next = publishers;
    publisher->link = &publishers;
    if (publishers)
        publishers->link = &publisher->next;
    publishers = publisher;
    pthread_rwlock_unlock(&lock);
}

void
afar__publisher_leave(afar__publisher *publisher)
{
    pthread_rwlock_wrlock(&lock);
    if (publisher->link) {
        *publisher->link = publisher->next;
        if (publisher->next)
            publisher->next->link = publisher->link;
        publisher->link = NULL;
    }
    pthread_rwlock_unlock(&lock);
}

static afar__publisher *
next_of(const afar_node *node, afar__publisher *from)
{
    while (from && from->node != node)
        from = from->next;
    return from;
}

/* By the first server that can. */
static afar_code
lend_somewhere(const afar__leaving *leaving, afar_object *object, afar__spot *ret_spot,
               afar_error *err)
{
    afar__publisher *publisher;
    afar_code code = AFAR_FAILED_PRECONDITION;

    pthread_rwlock_rdlock(&lock);
    publisher = next_of(leaving->node, publishers);
    if (!publisher)
        afar_fail(err, code,
                  "%s: a reference to a %s cannot be sent over plain gRPC, since this process has "
                  "no server there; open the peer with afar://",
                  leaving->what, afar_object_interface(object)->name);
    for (; publisher && code; publisher = next_of(leaving->node, publisher->next))
        code = publisher->lend(publisher, object, leaving->fd, ret_spot, err);
    pthread_rwlock_unlock(&lock);
    return code;
}

bool
afar__abroad_place(const afar_node *node, afar_object *object, afar__spot *ret_spot)
{
    bool found = false;

    pthread_rwlock_rdlock(&lock);
    for (afar__publisher *publisher = next_of(node, publishers); publisher && !found;
         publisher = next_of(node, publisher->next))
        found = publisher->place(publisher, object, ret_spot);
    pthread_rwlock_unlock(&lock);
    return found;
}

/* ---- sending ---- */

struct afar__written {
    struct afar__written *next; /* written before it */
    Afar__Ref *ref;
    Afar__Ref before;
    afar__spot spot;
};

struct write {
    afar__abroad *abroad;
    const afar__leaving *leaving;
};

static bool
spot_elsewhere(afar_object *object, afar__spot *ret_spot)
{
    const afar__where *where;

    if (afar__stranger_spot(object, ret_spot))
        return true;
    if (afar__remote_spot(object, ret_spot))
        return true;
    where = afar__refs_where(object);
    if (!where || !afar__spot_set(ret_spot, where->address, where->name))
        return false;
    ret_spot->has_key = where->has_key;
    memcpy(ret_spot->key, where->key, sizeof ret_spot->key);
    return true;
}

static afar_code
find_spot(const afar__leaving *leaving, afar_object *object, afar__spot *ret_spot, afar_error *err)
{
    afar__publisher *publisher = leaving->publisher;

    if (!afar__host_of(object) && spot_elsewhere(object, ret_spot))
        return AFAR_OK;
    return publisher ? publisher->lend(publisher, object, leaving->fd, ret_spot, err)
                     : lend_somewhere(leaving, object, ret_spot, err);
}

static void
fill(struct afar__written *written, const afar_interface *interface)
{
    afar__spot *spot = &written->spot;
    Afar__Ref *ref = written->ref;

    written->before = *ref;
    ref->index = 0;
    ref->address = spot->address;
    ref->object.data = (uint8_t *)spot->name;
    ref->object.len = strlen(spot->name);
    ref->interface = (char *)interface->name;
    ref->key.data = spot->key;
    ref->key.len = spot->has_key ? sizeof spot->key : 0;
    ref->token.len = 0;
}

static afar_code
write_one(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    struct write *write = arg;
    const char *what = write->leaving->what;
    struct afar__written *written;
    afar_code code;

    if (!ref->handle)
        return AFAR_OK;
    if (strcmp(afar_object_interface(ref->handle)->name, interface->name) != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: a reference to a %s where one to a %s goes", what,
                         afar_object_interface(ref->handle)->name, interface->name);
    written = malloc(sizeof *written);
    if (!written)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a reference", what);
    code = find_spot(write->leaving, ref->handle, &written->spot, err);
    if (code) {
        free(written);
        return code;
    }
    written->ref = ref;
    written->next = write->abroad->first;
    write->abroad->first = written;
    fill(written, interface);
    return AFAR_OK;
}

afar_code
afar__abroad_write(afar__abroad *abroad, const afar_refs *plan, const ProtobufCMessage *message,
                   const afar__leaving *leaving, afar_error *err)
{
    struct write write = { abroad, leaving };

    return plan ? afar__refs_each(plan, message, write_one, &write, err) : AFAR_OK;
}

/* The newest first: one that stands in the message twice is as it was in the end. */
void
afar__abroad_undo(afar__abroad *abroad)
{
    while (abroad->first) {
        struct afar__written *written = abroad->first;

        abroad->first = written->next;
        *written->ref = written->before;
        free(written);
    }
}

/* ---- receiving ---- */

struct read {
    afar_node *node;
    afar__arena *arena;
    size_t count;
};

static afar_code
read_name(const Afar__Ref *ref, afar__spot *spot, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    size_t length = ref->object.len;

    if (length == 0) {
        spot->name[0] = '\0';
        return AFAR_OK;
    }
    if (length >= sizeof spot->name || memchr(ref->object.data, 0, length))
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the object's name in a reference to %.100s has %zu bytes, or a 0",
                         ref->address, length);
    memcpy(spot->name, ref->object.data, length);
    spot->name[length] = '\0';
    if (!afar__name_check(spot->name, &why))
        return AFAR_OK;
    afar_fail(err, AFAR_INVALID_ARGUMENT, "the object's name in a reference to %.100s: %s",
              ref->address, why.message);
    afar_error_clear(&why);
    return AFAR_INVALID_ARGUMENT;
}

/* What has no scheme is plain gRPC; else the address stays as it came. */
static afar_code
read_spot(const Afar__Ref *ref, afar__spot *ret_spot, afar__address *ret_address, afar_error *err)
{
    afar_code code = afar__address_parse_endpoint(ref->address, ret_address, err);

    if (!code && ret_address->kind == AFAR__ADDRESS_INPROC)
        code = afar_fail(err, AFAR_INVALID_ARGUMENT, "%.100s: is of another process", ref->address);
    if (!code && ret_address->kind == AFAR__ADDRESS_TCP && ret_address->port == 0)
        code = afar_fail(err, AFAR_INVALID_ARGUMENT, "%.100s: port 0 is for listening only",
                         ref->address);
    if (code)
        return code;
    if (!afar__spot_set(ret_spot, ref->address, ""))
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%.100s: the address is too long",
                         ref->address);
    if (after(ref->address, "afar://")) /* not longer than with grpc:// */
        memcpy(ret_spot->address, ref->address, strlen(ref->address) + 1);
    ret_spot->has_key = ref->key.len == sizeof ret_spot->key;
    if (ret_spot->has_key)
        memcpy(ret_spot->key, ref->key.data, sizeof ret_spot->key);
    return read_name(ref, ret_spot, err);
}

/* One of ours that comes home, or NULL. */
static afar_object *
find_here(const afar_node *node, const afar__address *address, const char *name,
          const afar_interface *interface)
{
    afar_object *object = NULL;

    pthread_rwlock_rdlock(&lock);
    for (afar__publisher *publisher = next_of(node, publishers); publisher && !object;
         publisher = next_of(node, publisher->next))
        object = publisher->find(publisher, address, name, interface);
    pthread_rwlock_unlock(&lock);
    return object;
}

static afar_code
read_one(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    struct read *read = arg;
    afar_object *object;
    afar__address address;
    afar__spot spot = { 0 };
    afar_code code;

    if (!*ref->address)
        return AFAR_OK;
    if (*ref->interface && strcmp(ref->interface, interface->name) != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "a reference to a %.100s came where one to a %s goes", ref->interface,
                         interface->name);
    if (++read->count > MOST_REFERENCES)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "a message with more than %d references, the last to a %s",
                         MOST_REFERENCES, interface->name);
    code = read_spot(ref, &spot, &address, err);
    if (code)
        return code;
    object = find_here(read->node, &address, spot.name, interface);
    if (!object)
        code = afar__stranger_new(read->node, &spot, interface, &object, err);
    return code ? code : afar__ref_attach(ref, object, read->arena, err);
}

afar_code
afar__abroad_read(afar_node *node, const afar_refs *plan, const ProtobufCMessage *message,
                  afar__arena *arena, afar_error *err)
{
    struct read read = { node, arena, 0 };

    return plan ? afar__refs_each(plan, message, read_one, &read, err) : AFAR_OK;
}
