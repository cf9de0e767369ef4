/* Shops: what shop.h says.  A shop is serial, and so is a thing. */

#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pair.h"

/* ---- things ---- */

struct event ended = EVENT_INIT;

struct thing {
    int64_t count;
};

static afar_code
count(void *self, const Number *request, Number *reply, afar_call *call)
{
    struct thing *thing = self;

    (void)call;
    thing->count += request->number;
    reply->number = thing->count;
    return AFAR_OK;
}

static afar_code
count_up(void *self, const Number *request, abroad_thing_count_up_server_stream *stream,
         afar_call *call)
{
    Number message = ABROAD__NUMBER__INIT;
    afar_code code = afar_call_add_initial_metadata(call, "from", "0", 1, NULL);

    (void)self;
    for (; !code && message.number < request->number; message.number++)
        code = abroad_thing_count_up_server_send(stream, &message, AFAR_FOREVER, NULL);
    return code;
}

static const abroad_thing_methods thing_methods = { .count = count, .count_up = count_up };

static void
end_thing(void *self)
{
    free(self);
    event_raise(&ended);
}

abroad_thing *
make_thing(void)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct thing *self = calloc(1, sizeof *self);
    abroad_thing *thing = NULL;

    CHECK(self != NULL);
    options.finalizer = end_thing;
    CHECK_OK(abroad_thing_new(&thing_methods, self, &options, &thing, &err));
    return thing;
}

int64_t
counted(abroad_thing *thing, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Number request = ABROAD__NUMBER__INIT, *reply = NULL;

    request.number = number;
    CHECK_OK(abroad_thing_count(thing, &request, soon(), &reply, &err));
    int64_t sum = reply->number;
    afar_message_free(reply);
    return sum;
}

afar_code
count_fails(abroad_thing *thing)
{
    Number request = ABROAD__NUMBER__INIT, *reply = NULL;
    afar_code code = abroad_thing_count(thing, &request, soon(), &reply, NULL);

    afar_message_free(reply);
    return code;
}

/* ---- shops ---- */

/* The references belong to the call. */
static afar_code
fill(struct shop *shop, Things *things, size_t number, afar_call *call)
{
    afar_code code = AFAR_OK;

    things->n_things = number;
    things->things = afar_call_alloc(call, number * sizeof(Afar__Ref *) + 1);
    if (!things->things)
        return AFAR_RESOURCE_EXHAUSTED;
    memset(things->things, 0, number * sizeof(Afar__Ref *));
    for (size_t i = 0; i < number && !code; i++) {
        abroad_thing *thing = shop->one;

        if (thing)
            thing = (abroad_thing *)afar_object_share(abroad_thing_object(thing));
        else
            thing = make_thing();
        code = abroad_things_give_things(things, i, call, thing);
    }
    return code;
}

static afar_code
get(void *self, const Number *request, Things *reply, afar_call *call)
{
    return fill(self, reply, (size_t)request->number, call);
}

static afar_code
get_each(void *self, abroad_shop_get_each_server_stream *stream, afar_call *call)
{
    const Number *message = NULL;
    afar_code code = AFAR_OK;

    while (!code &&
           !(code = abroad_shop_get_each_server_receive(stream, AFAR_FOREVER, &message, NULL))) {
        Things things = ABROAD__THINGS__INIT;

        code = fill(self, &things, (size_t)message->number, call);
        if (!code)
            code = abroad_shop_get_each_server_send(stream, &things, AFAR_FOREVER, NULL);
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
use_things(struct shop *shop, const Things *things, int64_t *sum, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < things->n_things && !code; i++) {
        abroad_thing *thing = abroad_things_take_things(things, i);
        Number request = ABROAD__NUMBER__INIT, *reply = NULL;

        if (!thing)
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "thing %zu is none", i);
        request.number = 1;
        code = abroad_thing_count(thing, &request, soon(), &reply, err);
        *sum += code ? 0 : reply->number;
        shop->seen = abroad_thing_object(thing);
        afar_message_free(reply);
        abroad_thing_close(thing);
    }
    return code;
}

static afar_code
use(void *self, const Things *request, Number *reply, afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;

    return use_things(self, request, &reply->number, &err) ? afar_call_fail_error(call, &err)
                                                           : AFAR_OK;
}

static afar_code
use_all(void *self, abroad_shop_use_all_server_stream *stream, Number *reply, afar_call *call)
{
    const Things *message = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    while (!code &&
           !(code = abroad_shop_use_all_server_receive(stream, AFAR_FOREVER, &message, &err)))
        code = use_things(self, message, &reply->number, &err);
    if (code != AFAR_ENDED)
        return afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return AFAR_OK;
}

static afar_code
use_each(void *self, const Things *request, abroad_shop_use_each_server_stream *stream,
         afar_call *call)
{
    afar_error err = AFAR_ERROR_INIT;
    Number message = ABROAD__NUMBER__INIT;

    if (use_things(self, request, &message.number, &err))
        return afar_call_fail_error(call, &err);
    return abroad_shop_use_each_server_send(stream, &message, AFAR_FOREVER, NULL);
}

static void
forget_kept(struct shop *shop)
{
    while (shop->n_kept > 0)
        abroad_thing_close(shop->kept[--shop->n_kept]);
}

static afar_code
keep(void *self, const Things *request, Number *reply, afar_call *call)
{
    struct shop *shop = self;

    (void)call;
    forget_kept(shop);
    while (shop->n_kept < request->n_things && shop->n_kept < 4) {
        shop->kept[shop->n_kept] = abroad_things_take_things(request, shop->n_kept);
        shop->n_kept++;
    }
    reply->number = (int64_t)shop->n_kept;
    return AFAR_OK;
}

const abroad_shop_methods shop_methods = {
    .get = get,
    .get_each = get_each,
    .use = use,
    .use_all = use_all,
    .use_each = use_each,
    .keep = keep,
};

/* ---- a server and a client ---- */

void
place_open(struct place *place, const char *address, int64_t lend_ms, unsigned max_lent)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    memset(place, 0, sizeof *place);
    options.lend_ms = lend_ms;
    options.max_lent = max_lent;
    options.insecure = true;
    CHECK_OK(afar_node_open(NULL, &place->node, &err));
    CHECK_OK(afar_server_open(place->node, address, &options, &place->server, &err));
    CHECK_OK(abroad_shop_new(&shop_methods, &place->self, NULL, &place->shop, &err));
    CHECK_OK(afar_server_export(place->server, "shop", abroad_shop_object(place->shop), &err));
    CHECK_OK(afar_server_start(place->server, &err));
    CHECK_OK(afar_client_open(place->node, NULL, &place->client, &err));
}

void
place_close(struct place *place)
{
    afar_client_close(place->client);
    afar_server_close(place->server);
    forget_kept(&place->self);
    abroad_shop_close(place->shop);
    abroad_thing_close(place->self.one);
    afar_node_close(place->node);
}

abroad_shop *
reach(afar_client *client, const char *scheme, const struct place *to)
{
    afar_error err = AFAR_ERROR_INIT;
    abroad_shop *shop = NULL;
    char name[200];

    snprintf(name, sizeof name, "%s%s/shop", scheme, afar_server_address(to->server));
    CHECK_OK(abroad_shop_open(client, name, soon(), &shop, &err));
    return shop;
}

afar_client *
lone_client(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    return client;
}

Things *
got(abroad_shop *shop, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Number request = ABROAD__NUMBER__INIT;
    Things *reply = NULL;

    request.number = number;
    CHECK_OK(abroad_shop_get(shop, &request, soon(), &reply, &err));
    CHECK_INT(reply->n_things, number);
    return reply;
}

abroad_thing *
got_one(abroad_shop *shop)
{
    Things *reply = got(shop, 1);
    abroad_thing *thing = abroad_things_take_things(reply, 0);

    CHECK(thing != NULL);
    afar_message_free(reply);
    return thing;
}

void
put_one(Things *things, Afar__Ref **place, Afar__Ref *room, abroad_thing *thing)
{
    abroad__things__init(things);
    things->things = place;
    things->n_things = 1;
    abroad_things_put_things(things, 0, room, thing);
}

afar_code
use_one(abroad_shop *shop, abroad_thing *thing, int64_t *ret_sum, afar_error *err)
{
    Afar__Ref room, *place = NULL;
    Number *reply = NULL;
    Things request;

    put_one(&request, &place, &room, thing);
    afar_code code = abroad_shop_use(shop, &request, soon(), &reply, err);
    /* What was written for the way is not in the message any more. */
    CHECK(*room.address == '\0' && room.object.len == 0 && room.handle != NULL);
    if (!code)
        *ret_sum = reply->number;
    afar_message_free(reply);
    return code;
}

int64_t
used(abroad_shop *shop, abroad_thing *thing)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t sum = 0;

    CHECK_OK(use_one(shop, thing, &sum, &err));
    return sum;
}
