/* Calls made in handlers end with them: children of calls, without a transport.
 * Labels: concurrent */

#include "runtime/call.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "check.h"

#define MOST 8
#define ROUNDS 300

struct parent {
    afar_call call;
    atomic_uint watches, freed;
    bool early; /* its caller is seen to have gone when somebody looks */
};

struct child {
    afar__child base;
    unsigned cancelled; /* plain: the rules say when it is safe to read */
};

static void
watch(afar_call *call)
{
    struct parent *parent = (struct parent *)call;

    if (atomic_exchange(&call->watched, true))
        return;
    atomic_fetch_add(&parent->watches, 1);
    if (parent->early)
        afar__call_cancel(call);
}

static void
finish(afar_call *call)
{
    CHECK(!call->children);
}

static const afar_metadata *
metadata(afar_call *call)
{
    static const afar_metadata nothing = { NULL, 0 };

    (void)call;
    return &nothing;
}

static void
free_call(afar_call *call)
{
    atomic_fetch_add(&((struct parent *)call)->freed, 1);
    afar__call_clear(call);
}

static const afar__call_ops ops = {
    .finish = finish, .watch = watch, .metadata = metadata, .free = free_call
};
static const afar_method method = { .name = "Ask", .path = "/test.Fake/Ask" };

/* With a reference besides that of the handler. */
static void
make(struct parent *parent)
{
    memset(parent, 0, sizeof *parent);
    afar__call_init(&parent->call);
    parent->call.ops = &ops;
    parent->call.method = &method;
    parent->call.deadline = AFAR_FOREVER;
    afar__call_ref(&parent->call);
}

static void
drop(struct parent *parent)
{
    CHECK_INT(atomic_load(&parent->freed), 0);
    afar__call_unref(&parent->call);
    CHECK_INT(atomic_load(&parent->freed), 1);
}

static void
cancel(afar__child *base)
{
    ((struct child *)base)->cancelled++;
}

static void
adopt(struct parent *parent, struct child *children, int count)
{
    for (int i = 0; i < count; i++) {
        children[i] = (struct child){ .base.cancel = cancel };
        CHECK(afar__call_adopt(&parent->call, &children[i].base));
    }
}

/* ---- one thread ---- */

TEST(children_are_cancelled_with_their_parent)
{
    struct parent parent;
    struct child children[3];

    make(&parent);
    adopt(&parent, children, 3);
    CHECK_INT(atomic_load(&parent.watches), 1);
    afar__call_cancel(&parent.call);
    for (int i = 0; i < 3; i++)
        CHECK_INT(children[i].cancelled, 1);
    afar__call_cancel(&parent.call);
    afar__call_returned(&parent.call, AFAR_CANCELLED);
    for (int i = 0; i < 3; i++)
        CHECK_INT(children[i].cancelled, 1);
    drop(&parent);
}

TEST(children_are_cancelled_when_the_handler_returns)
{
    struct parent parent;
    struct child children[2];

    make(&parent);
    adopt(&parent, children, 2);
    afar__call_returned(&parent.call, AFAR_OK);
    CHECK_INT(children[0].cancelled + children[1].cancelled, 2);
    drop(&parent);
}

TEST(children_are_cancelled_when_their_parent_is_refused)
{
    struct parent parent;
    struct child child;

    make(&parent);
    adopt(&parent, &child, 1);
    afar_call_fail(&parent.call, AFAR_CANCELLED, "it never had its turn");
    afar__call_refuse(&parent.call);
    CHECK_INT(child.cancelled, 1);
    drop(&parent);
}

TEST(children_outlive_the_handler_of_a_deferred_call)
{
    struct parent parent;
    struct child child;

    make(&parent);
    adopt(&parent, &child, 1);
    afar_call_defer(&parent.call);
    afar__call_returned(&parent.call, AFAR_OK);
    CHECK_INT(child.cancelled, 0);
    afar_call_finish(&parent.call, AFAR_OK);
    CHECK_INT(child.cancelled, 1);
    drop(&parent);
}

TEST(disowned_children_are_left_alone)
{
    struct parent parent;
    struct child children[4];

    make(&parent);
    adopt(&parent, children, 4);
    afar__call_disown(&parent.call, &children[1].base); /* the middle, the last, the first */
    afar__call_disown(&parent.call, &children[0].base);
    afar__call_disown(&parent.call, &children[3].base);
    afar__call_disown(&parent.call, &children[3].base);
    afar__call_cancel(&parent.call);
    CHECK_INT(children[0].cancelled + children[1].cancelled + children[3].cancelled, 0);
    CHECK_INT(children[2].cancelled, 1);
    afar__call_disown(&parent.call, &children[2].base);
    afar__call_returned(&parent.call, AFAR_OK);
    CHECK_INT(children[2].cancelled, 1);
    drop(&parent);
}

static void
refuses(struct parent *parent)
{
    struct child late = { .base.cancel = cancel };

    CHECK(!afar__call_adopt(&parent->call, &late.base));
    afar__call_disown(&parent->call, &late.base);
    CHECK_INT(late.cancelled, 0);
}

TEST(who_is_over_adopts_nobody)
{
    struct parent parent;

    make(&parent);
    afar__call_returned(&parent.call, AFAR_OK);
    refuses(&parent);
    drop(&parent);
}

TEST(who_was_cancelled_adopts_nobody)
{
    struct parent parent;

    make(&parent);
    afar__call_cancel(&parent.call);
    refuses(&parent);
    afar__call_returned(&parent.call, AFAR_OK);
    drop(&parent);
}

/* Nobody has looked at the parent before: it turns out to be cancelled. */
TEST(who_is_seen_to_be_cancelled_adopts_nobody)
{
    struct parent parent;

    make(&parent);
    parent.early = true;
    refuses(&parent);
    CHECK_INT(atomic_load(&parent.watches), 1);
    afar__call_returned(&parent.call, AFAR_CANCELLED);
    drop(&parent);
}

/* ---- many threads ---- */

struct race {
    struct parent parent;
    atomic_uint ready;                        /* threads that are about to start */
    atomic_uint cancelled, disowned, refused; /* children, by their fate */
    unsigned threads;
    bool ends; /* else it is cancelled */
};

/* Until that many threads are there. */
static void
line_up(struct race *race, unsigned threads)
{
    atomic_fetch_add(&race->ready, 1);
    while (atomic_load(&race->ready) < threads)
        sched_yield();
}

/* Each child is on this stack, and changed without a lock after it was disowned: a cancel
 * that came then would be a race. */
static void *
have_children(void *arg)
{
    struct race *race = arg;

    line_up(race, race->threads);
    for (int i = 0; i < MOST; i++) {
        struct child child = { .base.cancel = cancel };

        if (!afar__call_adopt(&race->parent.call, &child.base)) {
            CHECK_INT(child.cancelled, 0);
            atomic_fetch_add(&race->refused, 1);
            continue;
        }
        if (i % 2)
            sched_yield();
        afar__call_disown(&race->parent.call, &child.base);
        CHECK(child.cancelled <= 1);
        atomic_fetch_add(child.cancelled ? &race->cancelled : &race->disowned, 1);
        memset(&child, 0xff, sizeof child);
    }
    return NULL;
}

static void *
end_parent(void *arg)
{
    struct race *race = arg;

    line_up(race, race->threads);
    if (race->ends)
        afar__call_returned(&race->parent.call, AFAR_OK);
    else
        afar__call_cancel(&race->parent.call);
    return NULL;
}

static void
race_once(bool ends)
{
    struct race race = { .threads = 3, .ends = ends };
    pthread_t threads[3];

    make(&race.parent);
    CHECK_INT(pthread_create(&threads[0], NULL, have_children, &race), 0);
    CHECK_INT(pthread_create(&threads[1], NULL, have_children, &race), 0);
    CHECK_INT(pthread_create(&threads[2], NULL, end_parent, &race), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(atomic_load(&race.cancelled) + atomic_load(&race.disowned) +
                  atomic_load(&race.refused),
              2 * MOST);
    refuses(&race.parent);
    if (!ends)
        afar__call_returned(&race.parent.call, AFAR_CANCELLED);
    drop(&race.parent);
}

TEST(children_end_while_their_parent_is_cancelled)
{
    for (int i = 0; i < ROUNDS; i++)
        race_once(false);
}

TEST(children_end_while_their_parent_ends)
{
    for (int i = 0; i < ROUNDS; i++)
        race_once(true);
}

/* Nobody disowns: each child is cancelled once, by one of the two. */
TEST(a_parent_that_ends_while_it_is_cancelled)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct race race = { .threads = 2, .ends = true };
        struct child children[MOST];
        pthread_t thread;

        make(&race.parent);
        adopt(&race.parent, children, MOST);
        CHECK_INT(pthread_create(&thread, NULL, end_parent, &race), 0);
        line_up(&race, race.threads);
        afar__call_cancel(&race.parent.call);
        CHECK_INT(pthread_join(thread, NULL), 0);
        for (int j = 0; j < MOST; j++)
            CHECK_INT(children[j].cancelled, 1);
        drop(&race.parent);
    }
}
