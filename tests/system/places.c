/* Places for references that move: what places.h says.
 *
 * The finder's find is called by library threads; a CHECK that fails there ends the
 * test as any other. */

#include "places.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"

/* ---- the object ---- */

static void
count(struct home *home, int64_t number)
{
    atomic_fetch_add(&home->tally->calls, 1);
    if (number >= 0 && number < NUMBERS)
        atomic_fetch_add(&home->tally->of_number[number], 1);
}

static afar_code
serve_add(void *self, const Test__Count *request, Test__Count *reply, afar_call *call)
{
    struct home *home = self;

    (void)call;
    count(home, request->number);
    reply->number = request->number + 1;
    reply->text = request->text;
    return home->gate ? gate_pass(home->gate, NULL) : AFAR_OK;
}

static afar_code
serve_tell(void *self, const Test__Count *request, afar_call *call)
{
    struct home *home = self;

    (void)call;
    count(home, request->number);
    event_raise(&home->told);
    return AFAR_OK;
}

static afar_code
serve_watch(void *self, const Test__Count *request, test_counter_watch_server_stream *stream,
            afar_call *call)
{
    struct home *home = self;
    Test__Count item = TEST__COUNT__INIT;
    afar_code code = AFAR_OK;

    (void)call;
    count(home, request->number);
    for (; !code && item.number < request->number; item.number++)
        code = test_counter_watch_server_send(stream, &item, AFAR_FOREVER, NULL);
    return code;
}

static const test_counter_methods methods = {
    .add = serve_add, .read = serve_add, .tell = serve_tell, .watch = serve_watch
};

/* ---- homes ---- */

afar__link *
open_link(afar_node *here, const char *address)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__address parsed;
    afar__link *link = NULL;

    CHECK_OK(afar__address_parse_endpoint(address, &parsed, &err));
    CHECK_OK(afar__link_open(here, &parsed, &link, &err));
    return link;
}

void
home_serve(struct home *home, const char *address)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    options.mode = AFAR_CONCURRENT;
    CHECK_OK(afar_node_open(NULL, &home->node, &err));
    memcpy(home->instance, afar_node_instance(home->node), sizeof home->instance);
    CHECK_OK(afar_server_open(home->node, address, NULL, &home->server, &err));
    CHECK_OK(test_counter_new(&methods, home, &options, &home->near, &err));
    CHECK_OK(afar_server_export(home->server, "count", test_counter_object(home->near), &err));
    CHECK_OK(afar_server_start(home->server, &err));
}

void
home_open(struct home *home, const char *address, afar_node *here)
{
    *home = (struct home){ .told = EVENT_INIT };
    home->tally = calloc(1, sizeof *home->tally);
    CHECK(home->tally);
    home_serve(home, address);
    if (here)
        home->link = open_link(here, afar_server_address(home->server));
}

void
home_stop(struct home *home)
{
    afar_server_close(home->server);
    home->server = NULL;
}

void
home_close(struct home *home)
{
    home_stop(home);
    test_counter_close(home->near);
    if (home->link) {
        afar__link_shut(home->link);
        afar__link_unref(home->link);
    }
    afar_node_close(home->node);
    free(home->tally);
}

/* ---- the finder ---- */

static bool
fails(struct fake *fake)
{
    int left = atomic_load(&fake->failures);

    if (left > 0)
        atomic_fetch_sub(&fake->failures, 1);
    return left != 0;
}

static void
place_at(const struct home *home, bool wrong, afar__place *ret_place)
{
    ret_place->link = home->link;
    ret_place->has_instance = true;
    memcpy(ret_place->instance, home->instance, sizeof home->instance);
    if (wrong)
        ret_place->instance[15] ^= 1;
}

static afar_code
find(afar__finder *finder, const afar__place *old, int64_t deadline, afar__place *ret_place,
     afar_error *err)
{
    struct fake *fake = (struct fake *)finder;
    afar_code code = AFAR_OK;

    CHECK(old->link);
    CHECK(deadline > 0);
    pthread_mutex_lock(&fake->lock);
    CHECK(!fake->inside);
    fake->inside = true;
    pthread_mutex_unlock(&fake->lock);
    event_raise(&fake->asked);
    if (fake->stuck)
        event_wait(&fake->go, 1);
    if (fails(fake)) {
        code = afar_fail(err, fake->code, "the finder said so");
    } else {
        place_at(fake->home, fake->wrong, ret_place);
        afar__link_ref(ret_place->link);
    }
    pthread_mutex_lock(&fake->lock);
    fake->inside = false;
    pthread_mutex_unlock(&fake->lock);
    return code;
}

static void
free_finder(afar__finder *finder)
{
    struct fake *fake = (struct fake *)finder;

    CHECK(!fake->inside);
    event_raise(&fake->freed);
}

void
fake_init(struct fake *fake, struct home *found)
{
    static const afar__finder_ops ops = { find, free_finder };

    *fake = (struct fake){ .finder = { &ops },
                           .asked = EVENT_INIT,
                           .freed = EVENT_INIT,
                           .go = EVENT_INIT,
                           .home = found,
                           .lock = PTHREAD_MUTEX_INITIALIZER };
}

test_counter *
place_counter(struct home *home, struct fake *fake)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;
    afar__place place;

    place_at(home, false, &place);
    CHECK_OK(afar__place_object(&place, &test_counter_interface, "count",
                                fake ? &fake->finder : NULL, &object, &err));
    return (test_counter *)object;
}

/* ---- two homes ---- */

void
world_open(struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_node_open(NULL, &world->here, &err));
    home_open(&world->first, TCP, world->here);
    home_open(&world->second, TCP, world->here);
    fake_init(&world->fake, &world->second);
    world->counter = place_counter(&world->first, &world->fake);
}

void
world_close(struct world *world)
{
    test_counter_close(world->counter);
    event_wait(&world->fake.freed, 1);
    home_close(&world->second);
    home_close(&world->first);
    afar_node_close(world->here);
}

int
calls_of(const struct home *home)
{
    return atomic_load(&home->tally->calls);
}

/* ---- calls ---- */

afar_code
add(test_counter *counter, int64_t number, afar_deadline deadline, int64_t *ret_number,
    afar_error *err)
{
    Test__Count request = TEST__COUNT__INIT, *reply = NULL;

    request.number = number;
    afar_code code = test_counter_add(counter, &request, deadline, &reply, err);
    if (!code)
        *ret_number = reply->number;
    afar_message_free(reply);
    return code;
}

int64_t
added(test_counter *counter, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t answer = 0;

    CHECK_OK(add(counter, number, soon(), &answer, &err));
    return answer;
}

afar_future *
start_add(test_counter *counter, int64_t number, afar_deadline deadline)
{
    Test__Count request = TEST__COUNT__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    request.number = number;
    CHECK_OK(test_counter_add_start(counter, &request, deadline, NULL, &future, &err));
    return future;
}

afar_code
finish_add(afar_future *future, int64_t *ret_number, afar_error *err)
{
    Test__Count *reply = NULL;
    afar_code code = test_counter_add_await(future, soon(), &reply, err);

    if (!code)
        *ret_number = reply->number;
    afar_message_free(reply);
    afar_future_close(future);
    return code;
}

afar_future *
start_read(test_counter *counter, int64_t number, bool patient)
{
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    Test__Count request = TEST__COUNT__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    options.wait_for_ready = patient;
    request.number = number;
    CHECK_OK(test_counter_read_start(counter, &request, soon(), &options, &future, &err));
    return future;
}

afar_code
finish_read(afar_future *future, int64_t *ret_number, afar_error *err)
{
    Test__Count *reply = NULL;
    afar_code code = test_counter_read_await(future, soon(), &reply, err);

    if (!code)
        *ret_number = reply->number;
    afar_message_free(reply);
    afar_future_close(future);
    return code;
}

afar_code
watch(test_counter *counter, int64_t number, afar_deadline deadline, int *ret_count,
      afar_error *err)
{
    Test__Count request = TEST__COUNT__INIT, *item = NULL;
    test_counter_watch_stream *stream = NULL;
    afar_code code;

    *ret_count = 0;
    request.number = number;
    code = test_counter_watch(counter, &request, deadline, NULL, &stream, err);
    if (code)
        return code;
    while (!(code = test_counter_watch_receive(stream, soon(), &item, err))) {
        CHECK_INT(item->number, *ret_count);
        ++*ret_count;
        afar_message_free(item);
    }
    test_counter_watch_close(stream);
    return code == AFAR_ENDED ? AFAR_OK : code;
}
