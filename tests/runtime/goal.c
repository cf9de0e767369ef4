/* A goal, its finder, and calls on it: what goal.h says. */

#include "goal.h"

#include <sched.h>
#include <string.h>

#include "check.h"
#include "runtime/address.h"
#include "runtime/clock.h"

#define PATIENCE (15 * AFAR__SECOND)

const afar_method plain_method = { .name = "Ask", .path = "/test.Fake/Ask" };
const afar_method idempotent_method = { .name = "Get",
                                        .path = "/test.Fake/Get",
                                        .flags = AFAR_METHOD_IDEMPOTENT };

/* ---- a finder that does what the test says ---- */

void
wait_for_count(atomic_int *number, int least)
{
    int64_t end = afar__now() + PATIENCE;

    while (atomic_load(number) < least) {
        CHECK(afar__now() < end);
        sched_yield();
    }
}

static afar_code
find(afar__finder *finder, const afar__place *old, int64_t deadline, afar__place *ret_place,
     afar_error *err)
{
    struct fake *fake = (struct fake *)finder;
    int64_t end = afar__now() + PATIENCE;
    int failures = atomic_load(&fake->failures);

    (void)old;
    (void)deadline;
    atomic_fetch_add(&fake->asked, 1);
    while (atomic_load(&fake->stuck)) {
        CHECK(afar__now() < end);
        sched_yield();
    }
    if (failures != 0) {
        if (failures > 0)
            atomic_store(&fake->failures, failures - 1);
        return afar_fail(err, fake->code, "nobody is there");
    }
    *ret_place = (afar__place){ .link = afar__link_ref(fake->link), .has_instance = true };
    ret_place->instance[0] = 2;
    return AFAR_OK;
}

static void
note_freed(afar__finder *finder)
{
    atomic_fetch_add(&((struct fake *)finder)->freed, 1);
}

static const afar__finder_ops ops = { find, note_freed };

/* ---- a goal ---- */

void
world_open(struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__place place = { .has_instance = true, .instance = { 1 } };
    afar__address address;

    memset(world, 0, sizeof *world);
    CHECK_OK(afar_node_open(NULL, &world->node, &err));
    CHECK_OK(afar__address_parse_endpoint("127.0.0.1:1", &address, &err));
    for (int i = 0; i < 2; i++)
        CHECK_OK(afar__link_open(world->node, &address, &world->links[i], &err));
    world->fake.base.ops = &ops;
    world->fake.link = world->links[1];
    place.link = world->links[0];
    world->goal = afar__goal_new(&place, "alice", &world->fake.base);
    CHECK(world->goal);
}

void
world_close(struct world *world)
{
    CHECK_INT(atomic_load(&world->fake.freed), 0);
    afar__goal_unref(world->goal);
    wait_for_count(&world->fake.freed, 1);
    for (int i = 0; i < 2; i++)
        afar__link_unref(world->links[i]);
    afar_node_close(world->node);
}

/* ---- calls ---- */

static void
tell(afar__seek *seek)
{
    struct seeker *call = (struct seeker *)seek;

    CHECK(!seek->link && seek->verdict != AFAR__VERDICT_NONE);
    call->verdict = seek->verdict;
    atomic_fetch_add(&call->told, 1);
}

void
seeker_init(struct seeker *call, afar__goal *goal, const afar_method *method, bool patient)
{
    afar_call_options options = { .wait_for_ready = patient };
    afar__request request = { .method = method, .options = &options };

    memset(call, 0, sizeof *call);
    call->seek.tell = tell;
    afar__seek_init(&call->seek, goal, &request);
    pthread_mutex_lock(&goal->lock);
    CHECK(afar__seek_go_locked(&call->seek) == &goal->place);
    pthread_mutex_unlock(&goal->lock);
}

void
seeker_fail(struct seeker *call, afar_code code, afar_outcome outcome, const char *text)
{
    afar_fail(&call->seek.error, code, "%s", text);
    call->seek.error.outcome = outcome;
}

void
seeker_wait(struct seeker *call)
{
    pthread_mutex_lock(&call->seek.goal->lock);
    afar__seek_wait_locked(&call->seek);
    pthread_mutex_unlock(&call->seek.goal->lock);
}

bool
seeker_leave(struct seeker *call)
{
    bool left;

    pthread_mutex_lock(&call->seek.goal->lock);
    left = afar__seek_leave_locked(&call->seek);
    pthread_mutex_unlock(&call->seek.goal->lock);
    return left;
}

void
seeker_is_told(struct seeker *call, afar__verdict verdict)
{
    wait_for_count(&call->told, 1);
    CHECK_INT(call->verdict, verdict);
    CHECK(!seeker_leave(call));
    CHECK_INT(atomic_load(&call->told), 1);
}

int
seeker_goes_to(struct seeker *call)
{
    int instance;

    pthread_mutex_lock(&call->seek.goal->lock);
    instance = afar__seek_go_locked(&call->seek)->instance[0];
    CHECK_INT(call->seek.number, call->seek.goal->number);
    pthread_mutex_unlock(&call->seek.goal->lock);
    return instance;
}
