/* afar.names.v1.Names over a registry: requests in, replies out.
 *
 * Questions are answered on the thread that serves the call.  A change is deferred: what
 * it needs lives in the call's memory, and the registry's writer finishes the
 * call when the change is on the disk.
 *
 * What a reply points to is copied into the call's memory, after the registry's lock: a
 * record is some hundred bytes.
 */

#include "server/nameserver/service.h"

#include <string.h>

#include <afar/names.afar.h>

#include "server/nameserver/page.h"

static afar_code
fail_memory(afar_call *call)
{
    return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "the name server is out of memory");
}

/* A copy that lives as long as the reply; its data is NULL when memory is out. */
static ProtobufCBinaryData
copy_bytes(afar_call *call, const void *data, size_t length)
{
    ProtobufCBinaryData copy = { length, afar_call_alloc(call, length) };

    if (copy.data && length > 0)
        memcpy(copy.data, data, length);
    return copy;
}

/* Fails the call as `err` says, and clears it. */
static afar_code
pass_on(afar_call *call, afar_error *err)
{
    afar_code code = afar_call_fail_error(call, err);

    afar_error_clear(err);
    return code;
}

static afar_code
challenge(void *self, const Afar__Names__V1__ChallengeRequest *request,
          Afar__Names__V1__ChallengeReply *reply, afar_call *call)
{
    afar__challenge made;

    (void)request;
    afar__registry_challenge(self, &made);
    reply->nonce = copy_bytes(call, made.nonce, sizeof made.nonce);
    reply->epoch = copy_bytes(call, made.epoch, sizeof made.epoch);
    if (!reply->nonce.data || !reply->epoch.data)
        return fail_memory(call);
    reply->revision = made.revision;
    return AFAR_OK;
}

/* ---- changes ---- */

/* A change that is under way, in the memory of its call. */
struct change {
    afar__registry_request request; /* the first member */
    afar_call *call;
    afar__registry *registry;
    uint8_t lease[AFAR__LEASE_BYTES];
};

/* Defers the call; NULL when memory is out. */
static struct change *
begin_change(afar_call *call, afar__registry *registry,
             void (*done)(afar__registry_request *request, afar_code code,
                          const afar__registered *result, const afar_error *err))
{
    struct change *change = afar_call_alloc(call, sizeof *change);

    if (!change)
        return NULL;
    change->request.done = done;
    change->call = call;
    change->registry = registry;
    afar_call_defer(call);
    return change;
}

static void
registered(afar__registry_request *request, afar_code code, const afar__registered *result,
           const afar_error *err)
{
    struct change *change = (struct change *)request;
    Afar__Names__V1__RegisterReply *reply;

    if (code) {
        afar_call_finish(change->call, afar_call_fail_error(change->call, err));
        return;
    }
    memcpy(change->lease, result->lease, sizeof change->lease);
    reply = (Afar__Names__V1__RegisterReply *)afar_call_reply(change->call);
    reply->revision = result->revision;
    reply->lease.data = change->lease;
    reply->lease.len = sizeof change->lease;
    reply->lease_ms = result->term_ms;
    reply->epoch.data = (uint8_t *)afar__registry_epoch(change->registry);
    reply->epoch.len = AFAR__EPOCH_BYTES;
    afar_call_finish(change->call, AFAR_OK);
}

static afar_code
register_name(void *self, const Afar__Names__V1__RegisterRequest *request,
              Afar__Names__V1__RegisterReply *reply, afar_call *call)
{
    struct change *change = begin_change(call, self, registered);

    (void)reply;
    if (!change)
        return fail_memory(call);
    afar__registry_register(self, &change->request, request->record);
    return AFAR_OK;
}

static void
unregistered(afar__registry_request *request, afar_code code, const afar__registered *result,
             const afar_error *err)
{
    struct change *change = (struct change *)request;
    Afar__Names__V1__UnregisterReply *reply;

    if (code) {
        afar_call_finish(change->call, afar_call_fail_error(change->call, err));
        return;
    }
    reply = (Afar__Names__V1__UnregisterReply *)afar_call_reply(change->call);
    reply->revision = result->revision;
    reply->count = result->count;
    afar_call_finish(change->call, AFAR_OK);
}

static afar_code
unregister(void *self, const Afar__Names__V1__UnregisterRequest *request,
           Afar__Names__V1__UnregisterReply *reply, afar_call *call)
{
    struct change *change = begin_change(call, self, unregistered);

    (void)reply;
    if (!change)
        return fail_memory(call);
    afar__registry_unregister(self, &change->request, request->removal);
    return AFAR_OK;
}

/* ---- renewing ---- */

/* The names that a renewal tells of. */
struct losses {
    afar_call *call;
    char **names;
    size_t count, room;
    bool no_memory;
};

static void
lose(void *arg, const char *name)
{
    struct losses *losses = arg;
    char *copy = afar_call_strdup(losses->call, name);

    if (losses->count == losses->room) {
        size_t room = losses->room > 0 ? losses->room * 2 : 16;
        char **names = afar_call_alloc(losses->call, room * sizeof *names);

        if (names && losses->count > 0)
            memcpy(names, losses->names, losses->count * sizeof *names);
        if (names) {
            losses->names = names;
            losses->room = room;
        }
    }
    if (copy && losses->count < losses->room)
        losses->names[losses->count++] = copy;
    else
        losses->no_memory = true;
}

static afar_code
renew(void *self, const Afar__Names__V1__RenewRequest *request, Afar__Names__V1__RenewReply *reply,
      afar_call *call)
{
    struct losses losses = { .call = call };
    afar_error err = AFAR_ERROR_INIT;

    if (afar__registry_renew(self, request->renewal, lose, &losses, &reply->lease_ms, &err))
        return pass_on(call, &err);
    if (losses.no_memory)
        return fail_memory(call);
    reply->lost = losses.names;
    reply->n_lost = losses.count;
    return AFAR_OK;
}

/* ---- questions ---- */

static Afar__Names__V1__SignedRecord *
copy_record(afar_call *call, const afar__signed *record)
{
    Afar__Names__V1__SignedRecord *copy = afar_call_alloc(call, sizeof *copy);

    if (!copy)
        return NULL;
    afar__names__v1__signed_record__init(copy);
    copy->record = copy_bytes(call, record->record.data, record->record.len);
    copy->key = copy_bytes(call, record->key.data, record->key.len);
    copy->signature = copy_bytes(call, record->signature.data, record->signature.len);
    return copy->record.data && copy->key.data && copy->signature.data ? copy : NULL;
}

/* NULL when memory is out. */
static Afar__Names__V1__Entry *
copy_entry(afar_call *call, const afar__entry *entry)
{
    Afar__Names__V1__Entry *copy = afar_call_alloc(call, sizeof *copy);

    if (!copy)
        return NULL;
    afar__names__v1__entry__init(copy);
    copy->record = copy_record(call, entry->record);
    copy->lease = copy_bytes(call, entry->lease, sizeof entry->lease);
    copy->revision = entry->revision;
    copy->lease_left_ms = entry->left_ms;
    copy->sequence = entry->sequence;
    return copy->record && copy->lease.data ? copy : NULL;
}

static afar_code
lookup(void *self, const Afar__Names__V1__LookupRequest *request,
       Afar__Names__V1__LookupReply *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__entry entry;

    if (afar__registry_lookup(self, request->name, &entry, &err))
        return pass_on(call, &err);
    reply->entry = copy_entry(call, &entry);
    afar__entry_clear(&entry);
    reply->epoch.data = (uint8_t *)afar__registry_epoch(self);
    reply->epoch.len = AFAR__EPOCH_BYTES;
    return reply->entry ? AFAR_OK : fail_memory(call);
}

static afar_code
fill_list(afar_call *call, const afar__page *page, Afar__Names__V1__ListReply *reply)
{
    reply->entries = afar_call_alloc(call, page->count * sizeof *reply->entries);
    if (!reply->entries)
        return fail_memory(call);
    for (size_t i = 0; i < page->count; i++) {
        reply->entries[i] = copy_entry(call, &page->entries[i]);
        if (!reply->entries[i])
            return fail_memory(call);
    }
    reply->n_entries = page->count;
    reply->more = page->more;
    reply->revision = page->revision;
    return AFAR_OK;
}

static afar_code
list(void *self, const Afar__Names__V1__ListRequest *request, Afar__Names__V1__ListReply *reply,
     afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__page page;
    afar_code code;

    if (afar__page_gather(self, request, &page, &err))
        return pass_on(call, &err);
    code = fill_list(call, &page, reply);
    afar__page_clear(&page);
    return code;
}

/* ---- the object ---- */

static const afar_names_v1_names_methods methods = {
    .challenge = challenge,
    .register_ = register_name,
    .renew = renew,
    .unregister = unregister,
    .lookup = lookup,
    .list = list,
};

afar_code
afar__names_service_new(afar__registry *registry, afar_object **ret_object, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_names_v1_names *names = NULL;
    afar_code code;

    options.mode = AFAR_CONCURRENT;
    code = afar_names_v1_names_new(&methods, registry, &options, &names, err);
    if (!code)
        *ret_object = afar_names_v1_names_object(names);
    return code;
}
