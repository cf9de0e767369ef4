/* A name server that lies: what liar.h says.  It is an ordinary server of the interface,
 * so what it sends is what protobuf can say; for what is no message at all its interface is
 * one with another type of reply. */

#include "liar.h"

#include <string.h>

#include "check.h"
#include "thing.afar.h"

static afar_code
say(void *self, const Afar__Names__V1__LookupRequest *request, Afar__Names__V1__LookupReply *reply,
    afar_call *call)
{
    struct liar *liar = self;

    (void)request;
    liar->lookups++;
    if (liar->code)
        return afar_call_fail(call, liar->code, "%s", liar->message);
    if (liar->no_entry)
        return AFAR_OK;
    reply->entry = afar_call_alloc(call, sizeof *reply->entry);
    if (!reply->entry)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "no memory to lie");
    afar__names__v1__entry__init(reply->entry);
    reply->entry->record = liar->record;
    reply->entry->revision = 1;
    reply->entry->lease_left_ms = liar->lease_left_ms;
    return AFAR_OK;
}

static const afar_names_v1_names_methods methods = { .lookup = say };

static void
start(struct liar *liar, afar_object *object)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &liar->server, &err));
    CHECK_OK(afar_server_export(liar->server, "", object, &err));
    CHECK_OK(afar_server_start(liar->server, &err));
    liar->address = afar_server_address(liar->server);
    afar_object_close(object);
}

void
liar_open(struct liar *liar)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_names_v1_names *names = NULL;

    memset(liar, 0, sizeof *liar);
    CHECK_OK(afar_names_v1_names_new(&methods, liar, NULL, &names, &err));
    start(liar, afar_names_v1_names_object(names));
}

/* ---- garbage ---- */

struct garbage {
    const void *bytes;
    size_t length;
};

static afar_code
serve_garbage(const void *unused, void *self, afar_call *call)
{
    const struct garbage *garbage = self;
    Names__Blob *reply = (Names__Blob *)afar_call_reply(call);

    (void)unused;
    reply->data.data = (uint8_t *)garbage->bytes;
    reply->data.len = garbage->length;
    return AFAR_OK;
}

void
liar_open_garbage(struct liar *liar, const void *bytes, size_t length)
{
    static afar_method method;
    static afar_interface interface;
    static struct garbage garbage;
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;

    memset(liar, 0, sizeof *liar);
    garbage = (struct garbage){ bytes, length };
    interface = afar_names_v1_names_interface;
    for (uint32_t i = 0; i < interface.method_count; i++)
        if (strcmp(interface.methods[i].name, "Lookup") == 0)
            method = interface.methods[i];
    method.reply = &names__blob__descriptor;
    method.serve = serve_garbage;
    interface.methods = &method;
    interface.method_count = 1;
    CHECK_OK(afar_object_new(&interface, &garbage, &garbage, NULL, &object, &err));
    start(liar, object);
}

void
liar_says(struct liar *liar, afar__signed *record)
{
    afar__record_free(liar->record);
    liar->record = record;
}

void
liar_close(struct liar *liar)
{
    afar_server_close(liar->server);
    afar__record_free(liar->record);
}
