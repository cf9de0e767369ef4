/* Routes, and the attempts of calls on them.
 *
 * A call that waits for another place is in a list of its goal (seek.h), and has a timer for its
 * deadline.  Who takes it out of there, under the lock of the goal, goes on with it: the verdict, the
 * timer, or who cancels it; on a library thread, since they hold locks.  While it waits the
 * question is kept. */

#include "runtime/far/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/fail.h"
#include "runtime/far/neighbours.h"

struct afar__route {
    afar_object object;
    afar_node *node;
    afar__goal *goal;
    afar__neighbour *neighbour; /* keeps the link of a third process; NULL: others do */
    afar__where where;
    bool inherited;
};

static afar__route *
route_of(afar_object *object);

/* ---- life ---- */

static afar_code
start(afar_object *object, const afar__request *request, afar_future **ret_future, afar_error *err)
{
    afar__way way = { .route = route_of(object) };

    return afar__far_start(object, &way, request, ret_future, err);
}

static afar_code
stream(afar_object *object, const afar__request *request, afar_stream **ret_stream, afar_error *err)
{
    afar__way way = { .route = route_of(object) };

    return afar__far_stream(object, &way, request, ret_stream, err);
}

static afar_code
way_of(afar_object *object, afar__way *ret_way, afar_error *err)
{
    (void)err;
    *ret_way = (afar__way){ .route = route_of(object) };
    return AFAR_OK;
}

static void
free_route(afar_object *object)
{
    afar__route *route = (afar__route *)object;

    afar__goal_unref(route->goal);
    afar__neighbour_leave(route->neighbour);
    afar_node_close(route->node);
    afar__where_clear(&route->where);
    free(route);
}

static const afar__object_ops ops = { start, stream, way_of, free_route };

static afar__route *
route_of(afar_object *object)
{
    return object->ops == &ops ? (afar__route *)object : NULL;
}

afar__route *
afar__route_ref(afar__route *route)
{
    afar_object_share(&route->object);
    return route;
}

void
afar__route_unref(afar__route *route)
{
    if (route)
        afar_object_close(&route->object);
}

const char *
afar__route_name(const afar__route *route)
{
    return route->goal->name;
}

void
afar__route_note(afar__route *route, uint64_t place, const afar_error *why)
{
    afar__goal_note(route->goal, place, why);
}

/* ---- where it is ---- */

void
afar__where_clear(afar__where *where)
{
    free(where->address);
    free(where->name);
    where->address = where->name = NULL;
}

bool
afar__where_fill(afar__where *where, const afar__session_reference *reference)
{
    memset(where, 0, sizeof *where);
    where->address = strndup(reference->address.data, reference->address.length);
    where->name =
        strndup(reference->name.length ? reference->name.data : "", reference->name.length);
    if (reference->instance.length == sizeof where->instance) {
        memcpy(where->instance, reference->instance.data, sizeof where->instance);
        where->has_instance = true;
    }
    if (reference->key.length == sizeof where->key) {
        memcpy(where->key, reference->key.data, sizeof where->key);
        where->has_key = true;
    }
    if (where->address && where->name)
        return true;
    afar__where_clear(where);
    return false;
}

/* As it is written in a reference. */
static char *
address_of(const afar__link *link)
{
    const char *text = afar__link_address(link);
    const char *scheme = strncmp(text, "unix:", 5) == 0 ? "" : "afar://";
    size_t length;
    char *address;

    if (!afar__link_heals(link))
        return NULL; /* into this process, or over a socket that somebody gave us */
    length = strlen(scheme) + strlen(text) + 1;
    address = malloc(length);
    if (address)
        snprintf(address, length, "%s%s", scheme, text);
    return address;
}

const afar__where *
afar__route_where(afar_object *object)
{
    const afar__route *route = route_of(object);

    return route && route->where.address ? &route->where : NULL;
}

void
afar__route_inherit(afar_object *object)
{
    afar__route *route = route_of(object);

    if (route)
        route->inherited = true;
}

bool
afar__route_is_inherited(afar_object *object)
{
    const afar__route *route = route_of(object);

    return route && route->inherited;
}

/* ---- making ---- */

static afar_code
make_route(const afar__place *place, const afar_interface *interface, const char *name,
           afar__finder *finder, afar__route **ret_route, afar_error *err)
{
    afar__goal *goal = afar__goal_new(place, name, finder);
    afar__route *route = goal ? calloc(1, sizeof *route) : NULL;

    if (!route) {
        afar__goal_unref(goal);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a reference",
                         afar__link_address(place->link));
    }
    afar__object_init(&route->object, &ops, interface);
    route->node = afar__node_ref((afar_node *)afar__link_node(place->link));
    route->goal = goal;
    route->where.address = address_of(place->link);
    route->where.name = strdup(name);
    route->where.has_instance = place->has_instance;
    memcpy(route->where.instance, place->instance, sizeof route->where.instance);
    if (!route->where.name)
        afar__where_clear(&route->where);
    *ret_route = route;
    return AFAR_OK;
}

afar_code
afar__place_object(const afar__place *place, const afar_interface *interface, const char *name,
                   afar__finder *finder, afar_object **ret_object, afar_error *err)
{
    afar__route *route = NULL;
    afar_code code =
        make_route(place, interface, name, finder ? finder : afar__link_finder(), &route, err);

    if (!code)
        *ret_object = &route->object;
    return code;
}

afar_code
afar__route_third(afar_node *node, const afar__session_reference *reference,
                  const afar_interface *interface, afar_object **ret_object, afar_error *err)
{
    afar__neighbour *neighbour = NULL;
    afar__where where;
    afar__place place = { 0 };
    afar__route *route = NULL;
    afar_code code;

    if (!afar__where_fill(&where, reference))
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a reference to a %s",
                         interface->name);
    code = afar__neighbour_enter(node, where.address, &neighbour, err);
    if (!code) {
        place.link = afar__neighbour_link(neighbour);
        place.has_instance = where.has_instance;
        memcpy(place.instance, where.instance, sizeof place.instance);
        code = make_route(&place, interface, where.name, afar__link_finder(), &route, err);
    }
    afar__where_clear(&where);
    if (!route) {
        afar__neighbour_leave(neighbour);
        return code;
    }
    route->neighbour = neighbour;
    *ret_object = &route->object;
    return AFAR_OK;
}

/* ---- ways ---- */

afar_node *
afar__way_node(const afar__way *way)
{
    return way->route ? way->route->node : way->connection->node;
}

static void
expect(afar__question *question, const afar__place *place)
{
    question->expects = place->has_instance;
    memcpy(question->instance, place->instance, sizeof question->instance);
}

afar_code
afar__way_ready(const afar__way *way, const afar__request *request, afar__question *question,
                afar__connection **ret_connection, uint64_t *ret_place, afar_error *err)
{
    afar__goal *goal = way->route ? way->route->goal : NULL;
    afar__link *link;
    afar_code code;

    if (!goal) {
        *ret_connection = afar__connection_ref(way->connection);
        return AFAR_OK;
    }
    code = afar__goal_ready(goal, request, err);
    if (code)
        return code;
    pthread_mutex_lock(&goal->lock);
    link = afar__link_ref(goal->place.link);
    *ret_place = goal->number;
    expect(question, &goal->place);
    pthread_mutex_unlock(&goal->lock);
    question->name = goal->name;
    code = afar__link_session(link, ret_connection, err);
    afar__link_unref(link);
    return code;
}

/* ---- attempts ---- */

void
afar__attempts_init(afar__attempts *attempts, const afar__way *way, afar__question *question,
                    const afar__request *request, void (*failed)(afar__attempts *attempts))
{
    attempts->question = question;
    attempts->route = way->route;
    attempts->failed = failed;
    attempts->waits = false;
    memset(&attempts->timer, 0, sizeof attempts->timer);
    atomic_init(&attempts->cancelled, false);
    if (!way->route)
        return;
    afar__route_ref(way->route);
    question->name = afar__route_name(way->route);
    afar__seek_init(&attempts->seek, way->route->goal, request);
}

void
afar__attempts_clear(afar__attempts *attempts)
{
    if (!attempts->route)
        return;
    afar__seek_clear(&attempts->seek);
    afar__route_unref(attempts->route);
}

static void
over(afar__attempts *attempts)
{
    afar__seek_conclude(&attempts->seek);
    attempts->failed(attempts);
}

/* One attempt, at the place that is known now.  Lets the lock of the goal go. */
static void
make_attempt_locked(afar__attempts *attempts)
{
    afar__goal *goal = attempts->route->goal;
    const afar__place *place = afar__seek_go_locked(&attempts->seek);
    afar__link *link = afar__link_ref(place->link);
    afar__connection *connection = NULL;
    afar_error err;

    expect(attempts->question, place);
    pthread_mutex_unlock(&goal->lock);
    afar__error_init(&err);
    if (afar__link_session(link, &connection, &err))
        attempts->question->ops->done(attempts->question, NULL, &err);
    else
        afar__question_ask(attempts->question, connection);
    afar_error_clear(&err);
    afar__connection_unref(connection);
    afar__link_unref(link);
}

/* ---- those that wait because of one link ---- */

/* Under the lock of the goal.  False if the client of the link was closed. */
static bool
join_locked(afar__attempts *attempts)
{
    afar__link *link = attempts->route->goal->place.link;
    afar__link_slot *slot = afar__link_slot_of(link);
    bool shut;

    pthread_mutex_lock(&slot->lock);
    shut = slot->shut;
    if (!shut) {
        attempts->link = afar__link_ref(link);
        attempts->next = slot->waiting;
        attempts->place = &slot->waiting;
        if (attempts->next)
            attempts->next->place = &attempts->next;
        slot->waiting = attempts;
    }
    pthread_mutex_unlock(&slot->lock);
    return !shut;
}

static void
leave_locked(afar__attempts *attempts)
{
    afar__link_slot *slot = afar__link_slot_of(attempts->link);

    pthread_mutex_lock(&slot->lock);
    *attempts->place = attempts->next;
    if (attempts->next)
        attempts->next->place = attempts->place;
    slot->going++;
    pthread_mutex_unlock(&slot->lock);
}

static void
gone(afar__link *link)
{
    afar__link_slot *slot = afar__link_slot_of(link);

    pthread_mutex_lock(&slot->lock);
    if (--slot->going == 0)
        afar__waiters_wake(&slot->waiters);
    pthread_mutex_unlock(&slot->lock);
    afar__link_unref(link);
}

static void
end_first_locked(afar__link_slot *slot)
{
    afar__attempts *first = slot->waiting;
    afar__question *question = first->question;

    question->ops->ref(question);
    pthread_mutex_unlock(&slot->lock);
    afar__attempts_cancel(first);
    question->ops->unref(question);
    pthread_mutex_lock(&slot->lock);
}

void
afar__attempts_end(afar__link *link)
{
    afar__link_slot *slot = afar__link_slot_of(link);

    pthread_mutex_lock(&slot->lock);
    while (slot->waiting)
        end_first_locked(slot);
    while (slot->going > 0 && afar__engine_may_wait()) {
        afar__waiter waiter;

        afar__waiters_add(&slot->waiters, &waiter);
        pthread_mutex_unlock(&slot->lock);
        (void)afar__wait(&waiter, AFAR__NEVER);
        pthread_mutex_lock(&slot->lock);
        afar__waiters_remove(&waiter);
    }
    pthread_mutex_unlock(&slot->lock);
}

/* ---- waiting ---- */

/* Goes on with one that has left its goal; the reference that it had while it waited goes. */
static void
go_on(afar__task *task)
{
    afar__attempts *attempts = (afar__attempts *)((char *)task - offsetof(afar__attempts, task));
    afar__question *question = attempts->question;
    afar__link *link = attempts->link;

    if (attempts->seek.verdict == AFAR__VERDICT_GO && !attempts->cancelled) {
        pthread_mutex_lock(&attempts->route->goal->lock);
        make_attempt_locked(attempts);
    } else {
        over(attempts);
    }
    gone(link);
    question->ops->unref(question);
    afar__engine_background_end();
}

/* Under the lock of the goal, by who took it out of there. */
static void
wake_locked(afar__attempts *attempts)
{
    attempts->waits = false;
    leave_locked(attempts);
    /* If it is ringing now it finds that nothing waits; the ring has its own reference. */
    if (afar__timer_clear(&attempts->timer))
        attempts->question->ops->unref(attempts->question);
    attempts->task.run = go_on;
    afar__engine_run(&attempts->task);
}

static void
tell(afar__seek *seek)
{
    wake_locked((afar__attempts *)((char *)seek - offsetof(afar__attempts, seek)));
}

static void
give_up_locked(afar__attempts *attempts, bool late)
{
    if (!attempts->waits || !afar__seek_leave_locked(&attempts->seek))
        return;
    attempts->seek.verdict = AFAR__VERDICT_FAIL;
    afar__seek_give_up(&attempts->seek, late);
    wake_locked(attempts);
}

static void
ring(afar__timer *timer)
{
    afar__attempts *attempts = (afar__attempts *)((char *)timer - offsetof(afar__attempts, timer));
    afar__question *question = attempts->question;

    pthread_mutex_lock(&attempts->route->goal->lock);
    give_up_locked(attempts, true);
    pthread_mutex_unlock(&attempts->route->goal->lock);
    question->ops->unref(question);
}

/* False if it was cancelled, or no thread can be had: then it does not wait. */
static bool
wait_locked(afar__attempts *attempts)
{
    afar__question *question = attempts->question;

    if (attempts->cancelled || afar__engine_background(NULL))
        return false;
    if (!join_locked(attempts)) {
        afar__engine_background_end();
        return false;
    }
    question->ops->ref(question);
    attempts->waits = true;
    attempts->seek.tell = tell;
    if (question->deadline != AFAR__NEVER) {
        question->ops->ref(question);
        attempts->timer.ring = ring;
        afar__timer_set(&attempts->timer, question->deadline);
    }
    afar__seek_wait_locked(&attempts->seek);
    return true;
}

void
afar__attempts_start(afar__attempts *attempts, const afar__way *way)
{
    afar__goal *goal = attempts->route ? attempts->route->goal : NULL;

    if (!goal) {
        afar__question_ask(attempts->question, way->connection);
        return;
    }
    afar__question_belongs(attempts->question);
    pthread_mutex_lock(&goal->lock);
    if (goal->bad && wait_locked(attempts))
        pthread_mutex_unlock(&goal->lock);
    else
        make_attempt_locked(attempts);
}

bool
afar__attempts_again(afar__attempts *attempts, afar_error *err)
{
    bool again;

    if (!attempts->route || !err->code)
        return false;
    afar_error_move(&attempts->seek.error, err);
    again = afar__seek_failed(&attempts->seek, false);
    if (again) {
        pthread_mutex_lock(&attempts->route->goal->lock);
        again = wait_locked(attempts);
        pthread_mutex_unlock(&attempts->route->goal->lock);
    }
    if (!again) {
        afar__seek_conclude(&attempts->seek);
        afar_error_move(err, &attempts->seek.error);
    }
    return again;
}

void
afar__attempts_cancel(afar__attempts *attempts)
{
    if (!attempts->route)
        return;
    pthread_mutex_lock(&attempts->route->goal->lock);
    attempts->cancelled = true;
    give_up_locked(attempts, false);
    pthread_mutex_unlock(&attempts->route->goal->lock);
}
