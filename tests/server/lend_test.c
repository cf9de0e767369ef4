/* What a server lends, without a server: names, limits, and how they end.
 *
 * Labels: concurrent */

#include "server/lend.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "runtime/clock.h"
#include "runtime/engine.h"

#define MOST 10000
#define THREADS 4
#define ROUNDS 500

static const afar_interface things = { .abi = AFAR_ABI,
                                       .size = sizeof(afar_interface),
                                       .name = "things.Thing",
                                       .method_size = sizeof(afar_method) };

static const afar_interface others = { .abi = AFAR_ABI,
                                       .size = sizeof(afar_interface),
                                       .name = "things.Other",
                                       .method_size = sizeof(afar_method) };

static atomic_int ended;

static void
end_thing(void *self)
{
    (void)self;
    atomic_fetch_add(&ended, 1);
}

static afar_object *
make_thing(void)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;

    options.finalizer = end_thing;
    CHECK_OK(afar_object_new(&things, "", NULL, &options, &object, &err));
    return object;
}

static afar__lend *
make_lend(afar_node **ret_node, int64_t lease, unsigned limit)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__lend *lend = NULL;

    CHECK_OK(afar_node_open(NULL, ret_node, &err));
    CHECK_OK(afar__lend_new(*ret_node, lease, limit, &lend, &err));
    return lend;
}

/* Another object for each name, all of which are different. */
TEST(ten_thousand_are_lent_and_not_one_more)
{
    static char names[MOST][AFAR__LENT_NAME + 1];
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    afar__lend *lend = make_lend(&node, 600 * AFAR__SECOND, MOST);
    char name[AFAR__LENT_NAME + 1];

    for (int i = 0; i < MOST; i++) {
        afar_object *object = make_thing();

        CHECK_OK(afar__lend_out(lend, object, names[i], &err));
        CHECK(afar__lend_is_name(names[i]));
        CHECK_OK(afar__lend_out(lend, object, name, &err));
        CHECK_STR(name, names[i]);
        afar_object_close(object);
    }
    CHECK_INT(atomic_load(&ended), 0);
    afar_object *more = make_thing();
    CHECK_FAILS(afar__lend_out(lend, more, name, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "a things.Thing cannot be lent: 10000 objects are already (max_lent)");
    afar_error_clear(&err);
    for (int i = 0; i < MOST; i++) {
        afar_object *found = afar__lend_find(lend, names[i], i % 2 ? &things : NULL);

        CHECK(found != NULL && found != more);
        afar_object_close(found);
    }
    CHECK(afar__lend_find(lend, names[0], &others) == NULL);
    afar__lend_stop(lend);
    CHECK_INT(atomic_load(&ended), MOST);
    CHECK(afar__lend_find(lend, names[0], NULL) == NULL);
    CHECK_FAILS(afar__lend_out(lend, more, name, &err), AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
    afar_object_close(more);
    afar__lend_free(lend);
    afar_node_close(node);
}

TEST(what_looks_like_a_name)
{
    CHECK(afar__lend_is_name("0123456789abcdef0123456789abcdef"));
    CHECK(!afar__lend_is_name("0123456789abcdef0123456789abcde"));
    CHECK(!afar__lend_is_name("0123456789abcdef0123456789abcdef0"));
    CHECK(!afar__lend_is_name("0123456789abcdef0123456789abcdeF"));
    CHECK(!afar__lend_is_name("0123456789abcdef/123456789abcdef"));
    CHECK(!afar__lend_is_name(""));
}

/* ---- while leases end ---- */

struct crowd {
    afar__lend *lend;
    atomic_int made;
};

/* Each lends objects and looks them up, while those before are ending. */
static void *
lend_and_find(void *arg)
{
    struct crowd *crowd = arg;
    afar_error err = AFAR_ERROR_INIT;
    char name[AFAR__LENT_NAME + 1];

    for (int i = 0; i < ROUNDS; i++) {
        afar_object *object = make_thing(), *found;

        atomic_fetch_add(&crowd->made, 1);
        CHECK_OK(afar__lend_out(crowd->lend, object, name, &err));
        found = afar__lend_find(crowd->lend, name, &things);
        CHECK(found == object || found == NULL);
        afar_object_close(found);
        afar_object_close(object);
    }
    return NULL;
}

TEST(leases_that_end_while_others_begin)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    struct crowd crowd = { make_lend(&node, AFAR__MILLISECOND, MOST), 0 };
    pthread_t threads[THREADS];

    CHECK_OK(afar__engine_background(&err));
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, lend_and_find, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    afar__lend_free(crowd.lend);
    afar__engine_background_end();
    afar_node_close(node);
    /* The last of them may be ending just now; the runner has no patience without end. */
    while (atomic_load(&ended) < atomic_load(&crowd.made))
        sched_yield();
    CHECK_INT(atomic_load(&ended), atomic_load(&crowd.made));
}

/* ---- keeping ---- */

TEST(what_is_kept_has_no_lease)
{
    char kept[AFAR__LENT_NAME + 1], again[AFAR__LENT_NAME + 1], lent[AFAR__LENT_NAME + 1];
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    afar__lend *lend = make_lend(&node, AFAR__MILLISECOND, 3);
    afar_object *object = make_thing(), *found = object;

    CHECK_OK(afar__lend_keep(lend, object, kept, &err));
    CHECK_OK(afar__lend_keep(lend, object, again, &err));
    CHECK_OK(afar__lend_out(lend, object, lent, &err));
    CHECK(strcmp(kept, again) != 0 && strcmp(kept, lent) != 0);
    CHECK_FAILS(afar__lend_keep(lend, object, lent, &err), AFAR_RESOURCE_EXHAUSTED);
    afar_object_close(object);
    for (afar_deadline late = afar_after_ms(15000); found && afar_deadline_left_ns(late) > 0;) {
        usleep(5000); /* to look for it begins its lease anew */
        found = afar__lend_find(lend, lent, NULL);
        afar_object_close(found);
    }
    CHECK(!found);

    found = afar__lend_find(lend, kept, &things);
    CHECK(found);
    afar_object_close(found);
    CHECK(!afar__lend_find(lend, kept, &others));
    afar__lend_forget(lend, kept);
    CHECK(!afar__lend_find(lend, kept, NULL));
    CHECK_INT(atomic_load(&ended), 0);
    afar__lend_forget(lend, again);
    afar__lend_free(lend);
    afar_node_close(node);
    CHECK_INT(atomic_load(&ended), 1);
    afar_error_clear(&err);
}

TEST(what_is_kept_ends_with_the_server)
{
    char kept[3][AFAR__LENT_NAME + 1];
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    afar__lend *lend = make_lend(&node, AFAR__SECOND, 10);

    for (int i = 0; i < 3; i++) {
        afar_object *object = make_thing();

        CHECK_OK(afar__lend_keep(lend, object, kept[i], &err));
        afar_object_close(object);
    }
    afar__lend_forget(lend, kept[1]);
    afar__lend_stop(lend);
    CHECK(!afar__lend_find(lend, kept[0], NULL));
    afar__lend_free(lend);
    afar__lend_forget(lend, kept[0]); /* who kept it has no server any more */
    afar__lend_forget(lend, kept[2]);
    afar_node_close(node);
    CHECK_INT(atomic_load(&ended), 3);
    afar_error_clear(&err);
}

/* ---- what others keep ---- */

struct loose {
    afar__lend *lend;
    char name[AFAR__LENT_NAME + 1];
    atomic_int found; /* by those who look for it */
    atomic_bool enough;
};

static void
forget_loose(void *self)
{
    struct loose *loose = self;

    CHECK(!afar__lend_find(loose->lend, loose->name, NULL)); /* nobody gets what ends */
    afar__lend_forget(loose->lend, loose->name);
}

static afar_object *
keep_loose(afar__lend *lend, struct loose *ret_loose)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;

    *ret_loose = (struct loose){ .lend = lend };
    options.finalizer = forget_loose;
    CHECK_OK(afar_object_new(&things, "", ret_loose, &options, &object, &err));
    CHECK_OK(afar__lend_keep(lend, object, ret_loose->name, &err));
    return object;
}

TEST(what_is_kept_loosely_is_found_while_others_have_it)
{
    afar_node *node = NULL;
    afar__lend *lend = make_lend(&node, AFAR__MILLISECOND, 1);
    struct loose loose;
    afar_object *object = keep_loose(lend, &loose), *found;

    afar__lend_loosen(lend, loose.name);
    afar__lend_loosen(lend, loose.name);
    found = afar__lend_find(lend, loose.name, &things);
    CHECK(found == object);
    afar_object_close(object);
    object = afar__lend_find(lend, loose.name, &things);
    CHECK(found == object);
    afar_object_close(object);
    afar_object_close(found);
    CHECK(!afar__lend_find(lend, loose.name, NULL));
    afar_object_close(keep_loose(lend, &loose)); /* there is room again; it ends with the lender */
    afar__lend_free(lend);
    afar_node_close(node);
}

static void *
look_for(void *arg)
{
    struct loose *loose = arg;
    afar_object *found;

    while (!atomic_load(&loose->enough) &&
           (found = afar__lend_find(loose->lend, loose->name, &things))) {
        atomic_fetch_add(&loose->found, 1);
        afar_object_close(found);
    }
    return NULL;
}

/* It ends when nobody has it for a moment, at the latest with the last of them. */
TEST(what_is_kept_loosely_ends_while_others_look_for_it)
{
    afar_node *node = NULL;
    afar__lend *lend = make_lend(&node, AFAR__SECOND, 1);

    for (int round = 0; round < 50; round++) {
        struct loose loose;
        afar_object *object = keep_loose(lend, &loose);
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
            CHECK(!pthread_create(&threads[i], NULL, look_for, &loose));
        while (atomic_load(&loose.found) < THREADS)
            sched_yield();
        afar__lend_loosen(lend, loose.name);
        afar_object_close(object);
        atomic_store(&loose.enough, true);
        for (int i = 0; i < THREADS; i++)
            CHECK(!pthread_join(threads[i], NULL));
        CHECK(!afar__lend_find(lend, loose.name, NULL));
    }
    afar__lend_free(lend);
    afar_node_close(node);
}
