/* The table of exports, without a server: what a path and a name find, before and after
 * the tables grow, and while others change them.
 *
 * Labels: concurrent */

#include "server/exports.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define MANY 1000

/* Two interfaces written by hand, and a third without methods. */
static const ProtobufCMessageDescriptor word = { .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC };

static afar_code
serve(const void *methods, void *self, afar_call *call)
{
    (void)methods;
    (void)self;
    (void)call;
    return AFAR_OK;
}

static const afar_method bank_methods[] = {
    { "Deposit", "/bank.Account/Deposit", &word, &word, serve, AFAR_UNARY, 0, NULL, NULL },
    { "Watch", "/bank.Account/Watch", &word, &word, serve, AFAR_SERVER_STREAM, 0, NULL, NULL },
};

static const afar_method clock_methods[] = {
    { "Now", "/clock.Clock/Now", &word, &word, serve, AFAR_UNARY, 0, NULL, NULL },
};

#define INTERFACE(name, methods, count)                                                            \
    {                                                                                              \
        AFAR_ABI, sizeof(afar_interface), name, methods, count, sizeof(afar_method), NULL, NULL    \
    }

static const afar_interface bank = INTERFACE("bank.Account", bank_methods, 2);
static const afar_interface bank_again = INTERFACE("bank.Account", bank_methods, 2);
static const afar_interface clocks = INTERFACE("clock.Clock", clock_methods, 1);
static const afar_interface empty = INTERFACE("nothing.Here", NULL, 0);

static afar_object *
make(const afar_interface *interface)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;

    CHECK_OK(afar_object_new(interface, &bank_methods, NULL, NULL, &object, &err));
    return object;
}

static void
add(afar__exports *exports, const char *name, afar_object *object)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__exports_add(exports, name, object, &err));
}

static afar__exports *
make_exports(void)
{
    afar__exports *exports = afar__exports_new();

    CHECK(exports);
    return exports;
}

/* What is found, without keeping it; NULL if nothing is. */
static afar_object *
find(afar__exports *exports, const char *path, const char *name, afar_error *err)
{
    afar__target target = { NULL, NULL };

    if (afar__exports_find(exports, path, name, &target, err))
        return NULL;
    CHECK_STR(target.method->path, path);
    afar_object_close(afar__host_object(target.host));
    return afar__host_object(target.host);
}

TEST(a_path_and_a_name)
{
    afar__exports *exports = make_exports();
    afar_object *alice = make(&bank), *bob = make(&bank_again), *now = make(&clocks);
    afar_error err = AFAR_ERROR_INIT;

    add(exports, "alice", alice);
    add(exports, "bob", bob); /* another copy of the table: the same service */
    add(exports, "bob", now);
    CHECK(find(exports, "/bank.Account/Deposit", "alice", &err) == alice);
    CHECK(find(exports, "/bank.Account/Watch", "bob", &err) == bob);
    CHECK(find(exports, "/clock.Clock/Now", "bob", &err) == now);
    CHECK(!find(exports, "/bank.Account/Deposit", "carol", &err));
    CHECK_INT(err.code, AFAR_NOT_FOUND);
    CHECK_STR(err.message, "no bank.Account is called \"carol\" here");
    CHECK(!find(exports, "/clock.Clock/Now", "alice", &err));
    CHECK_INT(err.code, AFAR_NOT_FOUND);
    CHECK_FAILS(afar__exports_add(exports, "bob", alice, &err), AFAR_ALREADY_EXISTS);
    CHECK_STR(err.message, "a bank.Account is exported as \"bob\" already");
    afar__exports_free(exports);
    afar_object_close(alice);
    afar_object_close(bob);
    afar_object_close(now);
    afar_error_clear(&err);
}

/* Interfaces that share their method, as those of the ends of channels do. */
static const afar_method shared_methods[] = {
    { "Attach", "/box.Box/Attach", &word, &word, serve, AFAR_BIDI_STREAM, 0, NULL, NULL },
};

static const afar_interface box_of_ints = INTERFACE("Box(int)", shared_methods, 1);
static const afar_interface box_of_texts = INTERFACE("Box(text)", shared_methods, 1);

static void
check_not_found(afar__exports *exports, const char *name, const char *text)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK(!find(exports, "/box.Box/Attach", name, &err));
    CHECK_INT(err.code, AFAR_NOT_FOUND);
    CHECK_STR(err.message, text);
    afar_error_clear(&err);
}

TEST(one_path_of_several_interfaces)
{
    afar__exports *exports = make_exports();
    afar_object *ints = make(&box_of_ints), *texts = make(&box_of_texts),
                *more = make(&box_of_texts);
    afar_error err = AFAR_ERROR_INIT;

    add(exports, "ints", ints);
    CHECK(find(exports, "/box.Box/Attach", NULL, &err) == ints);
    add(exports, "texts", texts);
    add(exports, "more", more);
    CHECK(find(exports, "/box.Box/Attach", "ints", &err) == ints);
    CHECK(find(exports, "/box.Box/Attach", "texts", &err) == texts);
    CHECK(find(exports, "/box.Box/Attach", "more", &err) == more);
    check_not_found(exports, "box", "nothing with /box.Box/Attach is called \"box\" here");
    check_not_found(
        exports, NULL,
        "3 objects with /box.Box/Attach are here; name one in the metadata afar-object");
    CHECK_FAILS(afar__exports_add(exports, "ints", more, &err), AFAR_ALREADY_EXISTS);
    CHECK_STR(err.message, "a Box(int) is exported as \"ints\" already");
    CHECK_OK(afar__exports_remove(exports, "ints", &box_of_ints, &err));
    CHECK_OK(afar__exports_remove(exports, "texts", &box_of_texts, &err));
    CHECK(find(exports, "/box.Box/Attach", NULL, &err) == more);
    add(exports, "ints", more);
    add(exports, "", ints);
    CHECK(find(exports, "/box.Box/Attach", NULL, &err) == ints);
    CHECK_OK(afar__exports_remove(exports, "", &box_of_ints, &err));
    CHECK_OK(afar__exports_remove(exports, "ints", &box_of_texts, &err));
    CHECK_OK(afar__exports_remove(exports, "more", &box_of_texts, &err));
    check_not_found(exports, NULL, "nothing with /box.Box/Attach is here any more");
    afar__exports_free(exports);
    afar_object_close(ints);
    afar_object_close(texts);
    afar_object_close(more);
    afar_error_clear(&err);
}

TEST(paths_that_nobody_serves)
{
    static const char *const paths[] = { "",
                                         "/",
                                         "//",
                                         "bank.Account/Deposit",
                                         "/bank.Account",
                                         "/bank.Account/",
                                         "/bank.Account/Deposit/",
                                         "/Deposit",
                                         "/bank.Accoun/Deposit",
                                         "/bank.Account/deposit",
                                         "/nothing.Here/Method" };
    afar__exports *exports = make_exports();
    afar_object *alice = make(&bank), *nothing = make(&empty);
    afar_error err = AFAR_ERROR_INIT;
    char text[5000];

    CHECK(!find(exports, "/bank.Account/Deposit", NULL, &err));
    CHECK_INT(err.code, AFAR_UNIMPLEMENTED);
    CHECK_STR(err.message, "/bank.Account/Deposit is not served here");
    add(exports, "", alice);
    add(exports, "", nothing);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK(!find(exports, paths[i], NULL, &err));
        CHECK_INT(err.code, AFAR_UNIMPLEMENTED);
        CHECK(err.message[0]);
    }
    CHECK(!find(exports, "/bank.Account/Withdraw", "any", &err));
    CHECK_STR(err.message, "bank.Account has no method Withdraw");
    memset(text, '/', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK(!find(exports, text, text, &err));
    CHECK_INT(err.code, AFAR_UNIMPLEMENTED);
    CHECK(!find(exports, "/bank.Account/Deposit", text, &err));
    CHECK_INT(err.code, AFAR_NOT_FOUND);
    afar__exports_free(exports);
    afar_object_close(alice);
    afar_object_close(nothing);
    afar_error_clear(&err);
}

/* Without a name: the default one, or the only one. */
TEST(no_name)
{
    afar__exports *exports = make_exports();
    afar_object *objects[3] = { make(&bank), make(&bank), make(&bank) };
    const char *path = "/bank.Account/Deposit";
    afar_error err = AFAR_ERROR_INIT;

    add(exports, "a", objects[0]);
    CHECK(find(exports, path, NULL, &err) == objects[0]);
    CHECK(find(exports, path, "", &err) == objects[0]);
    add(exports, "b", objects[1]);
    CHECK(!find(exports, path, NULL, &err));
    CHECK_INT(err.code, AFAR_NOT_FOUND);
    CHECK_STR(err.message,
              "2 objects of bank.Account are here; name one in the metadata afar-object");
    add(exports, "", objects[2]);
    CHECK(find(exports, path, NULL, &err) == objects[2]);
    CHECK_OK(afar__exports_remove(exports, "", &bank, &err));
    CHECK_OK(afar__exports_remove(exports, "a", &bank_again, &err));
    CHECK(find(exports, path, NULL, &err) == objects[1]);
    CHECK_OK(afar__exports_remove(exports, "b", &bank, &err));
    CHECK(!find(exports, path, NULL, &err));
    CHECK_INT(err.code, AFAR_NOT_FOUND); /* its methods are known, it has left */
    CHECK_STR(err.message, "no bank.Account is here any more");
    CHECK_FAILS(afar__exports_remove(exports, "b", &bank, &err), AFAR_NOT_FOUND);
    CHECK_STR(err.message, "no bank.Account is exported as \"b\"");
    CHECK_FAILS(afar__exports_remove(exports, "b", &clocks, &err), AFAR_NOT_FOUND);
    afar__exports_free(exports);
    for (int i = 0; i < 3; i++)
        afar_object_close(objects[i]);
    afar_error_clear(&err);
}

TEST(names_that_are_none)
{
    afar__exports *exports = make_exports();
    afar_object *object = make(&bank);
    afar_error err = AFAR_ERROR_INIT;
    char name[257];

    memset(name, 'n', sizeof name);
    name[256] = '\0';
    CHECK_FAILS(afar__exports_add(exports, name, object, &err), AFAR_INVALID_ARGUMENT);
    CHECK(strstr(err.message, "longer than 255 bytes"));
    name[255] = '\0';
    add(exports, name, object);
    CHECK(find(exports, "/bank.Account/Deposit", name, &err) == object);
    CHECK_FAILS(afar__exports_add(exports, "two words", object, &err), AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar__exports_add(exports, "line\nbreak", object, &err), AFAR_INVALID_ARGUMENT);
    CHECK(!strchr(err.message, '\n'));
    afar__exports_free(exports);
    afar_object_close(object);
    afar_error_clear(&err);
}

TEST(many_names_come_and_go)
{
    afar__exports *exports = make_exports();
    static afar_object *objects[MANY];
    afar_error err = AFAR_ERROR_INIT;
    char name[32];

    for (int i = 0; i < MANY; i++) {
        objects[i] = make(&bank);
        snprintf(name, sizeof name, "name/%d", i);
        add(exports, name, objects[i]);
    }
    for (int step = 0; step < 2; step++)
        for (int i = step; i < MANY; i += 2) {
            snprintf(name, sizeof name, "name/%d", i);
            CHECK(find(exports, "/bank.Account/Watch", name, &err) == objects[i]);
            CHECK_OK(afar__exports_remove(exports, name, &bank, &err));
            CHECK(!find(exports, "/bank.Account/Watch", name, &err));
        }
    afar__exports_free(exports);
    for (int i = 0; i < MANY; i++)
        afar_object_close(objects[i]);
    afar_error_clear(&err);
}

/* ---- references ---- */

static atomic_int finalized;

static void
finalize(void *self)
{
    (void)self;
    atomic_fetch_add(&finalized, 1);
}

static afar_object *
make_mortal(void)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;

    options.finalizer = finalize;
    CHECK_OK(afar_object_new(&bank, &bank_methods, NULL, &options, &object, &err));
    return object;
}

/* The table keeps it, and who has found it keeps it, too. */
TEST(an_object_lives_as_long_as_somebody_has_it)
{
    afar__exports *exports = make_exports();
    afar_object *object = make_mortal();
    afar__target target = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;

    add(exports, "a", object);
    add(exports, "b", object);
    afar_object_close(object);
    CHECK_OK(afar__exports_find(exports, "/bank.Account/Deposit", "a", &target, &err));
    CHECK_OK(afar__exports_remove(exports, "a", &bank, &err));
    afar__exports_free(exports);
    CHECK_INT(atomic_load(&finalized), 0);
    afar_object_close(afar__host_object(target.host));
    CHECK_INT(atomic_load(&finalized), 1);
}

/* ---- several threads ---- */

struct changing {
    afar__exports *exports;
    atomic_bool stop;
    int index;
    pthread_t thread;
};

static void *
come_and_go(void *arg)
{
    struct changing *changing = arg;
    afar_error err = AFAR_ERROR_INIT;
    char name[32];

    for (int i = 0; !atomic_load(&changing->stop) || i < 100; i++) {
        afar_object *object = make_mortal();

        snprintf(name, sizeof name, "%d/%d", changing->index, i % 100);
        add(changing->exports, name, object);
        afar_object_close(object);
        CHECK_OK(afar__exports_remove(changing->exports, name, &bank, &err));
    }
    return NULL;
}

TEST(finding_while_others_come_and_go)
{
    afar__exports *exports = make_exports();
    struct changing changing[2];
    afar_object *stays = make(&bank);
    afar_error err = AFAR_ERROR_INIT;
    char name[32];

    add(exports, "stays", stays);
    for (int i = 0; i < 2; i++) {
        changing[i] = (struct changing){ .exports = exports, .index = i };
        CHECK_INT(pthread_create(&changing[i].thread, NULL, come_and_go, &changing[i]), 0);
    }
    for (int i = 0; i < 2000; i++) {
        CHECK(find(exports, "/bank.Account/Deposit", "stays", &err) == stays);
        snprintf(name, sizeof name, "%d/%d", i % 2, i % 100);
        if (!find(exports, "/bank.Account/Deposit", name, &err))
            CHECK_INT(err.code, AFAR_NOT_FOUND);
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&changing[i].stop, true);
        CHECK_INT(pthread_join(changing[i].thread, NULL), 0);
    }
    afar__exports_free(exports);
    afar_object_close(stays);
    afar_error_clear(&err);
}

/* ---- the other way round ---- */

TEST(an_object_knows_its_name)
{
    afar__exports *exports = afar__exports_new();
    afar_object *object = make(&bank), *other = make(&bank), *found;
    char name[256] = "before";

    CHECK(!afar__exports_name(exports, object, name));
    add(exports, "", object);
    CHECK(afar__exports_name(exports, object, name));
    CHECK_STR(name, "");
    add(exports, "a/name", object);
    add(exports, "other", other);
    CHECK(afar__exports_name(exports, object, name));
    CHECK_STR(name, "a/name");
    CHECK_INT(afar__exports_remove(exports, "a/name", &bank, NULL), AFAR_OK);
    CHECK(afar__exports_name(exports, object, name));
    CHECK_STR(name, "");
    CHECK(afar__exports_name(exports, other, name));
    CHECK_STR(name, "other");
    found = afar__exports_object(exports, &bank_again, "other");
    CHECK(found == other);
    afar_object_close(found);
    CHECK(afar__exports_object(exports, &bank, "a/name") == NULL);
    CHECK(afar__exports_object(exports, &clocks, "other") == NULL);
    afar_object_close(object);
    afar_object_close(other);
    afar__exports_free(exports);
}

TEST(many_objects_know_their_names)
{
    afar__exports *exports = afar__exports_new();
    afar_object *objects[MANY];
    char name[256], expected[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(expected, sizeof expected, "object/%d", i);
        objects[i] = make(&bank);
        add(exports, expected, objects[i]);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(expected, sizeof expected, "object/%d", i);
        CHECK(afar__exports_name(exports, objects[i], name));
        CHECK_STR(name, expected);
        CHECK_INT(afar__exports_remove(exports, expected, &bank, NULL), AFAR_OK);
        CHECK(!afar__exports_name(exports, objects[i], name));
        afar_object_close(objects[i]);
    }
    afar__exports_free(exports);
}
