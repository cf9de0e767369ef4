/* Opening by name, with a name server that says whatever it is told to: where it is looked
 * for, what is believed, and what is said when something is wrong.
 *
 * Labels: concurrent */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <afar/message.h>

#include "fake.h"

#define OPENERS 6

static struct fake fake;
static struct home home;

/* A name server, a server "home" with number 1, and a record of "a" that leads there. */
static void
begin(void)
{
    struct fake_record record;

    fake_home();
    fake_open(&fake);
    home_open(&home, "127.0.0.1:0", 1);
    fake_record_at(&record, "a", &home);
    fake_put(&fake, "a", &record);
}

static void
end(void)
{
    home_close(&home);
    fake_close(&fake);
}

static afar_client *
client_with(const char *names)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    options.names = names;
    CHECK_OK(afar_client_open(NULL, &options, &client, &err));
    return client;
}

/* As in an error: cut where that is. */
AFAR_PRINTF(1, 2)
static char *
text_of(const char *format, ...)
{
    static char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- where the name server is ---- */

TEST(nobody_is_there)
{
    afar_client *client;

    fake_home();
    client = client_with("127.0.0.1:1");
    check_refused(
        client, "a", AFAR_UNAVAILABLE,
        "no name server at 127.0.0.1:1: Connection refused (start one: afar names serve)");
    afar_client_close(client);
    client = client_with("unix:/tmp/afar-nobody");
    check_refused(client, "a", AFAR_UNAVAILABLE,
                  "no name server at unix:/tmp/afar-nobody: No such file or directory (start one: "
                  "afar names serve)");
    afar_client_close(client);
}

TEST(an_address_of_a_name_server_that_cannot_be_read)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    fake_home();
    options.names = "somewhere";
    CHECK_FAILS(afar_client_open(NULL, &options, &client, &err), AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "somewhere: no port; write somewhere:PORT");
    CHECK(!client);
    afar_error_clear(&err);
}

TEST(the_environment_says_where_it_is)
{
    afar_client *client;
    char text[200];

    begin();
    CHECK_INT(setenv("AFAR_NAMES", fake.address, 1), 0);
    client = client_with(NULL);
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    client = client_with(""); /* as if not set */
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    snprintf(text, sizeof text, "grpc://%s", fake.address);
    client = client_with(text);
    CHECK_INT(setenv("AFAR_NAMES", "127.0.0.1:1", 1), 0);
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    end();
}

TEST(the_environment_is_wrong)
{
    afar_client *client;
    char text[200];

    begin();
    CHECK_INT(setenv("AFAR_NAMES", "somewhere", 1), 0);
    client = client_with(NULL);
    check_refused(client, "a", AFAR_INVALID_ARGUMENT,
                  "AFAR_NAMES: somewhere: no port; write somewhere:PORT");
    snprintf(text, sizeof text, "%s/a", home.endpoint);
    CHECK_INT(number_at(client, text), 1); /* an address needs no name server */
    afar_client_close(client);
    end();
}

/* Whoever is at the usual place, or nobody: it is asked. */
TEST(the_usual_place)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    afar_client *client;

    fake_home();
    client = client_with(NULL);
    CHECK(client_thing_open(client, "tests/a-name-that-nobody-has", soon(), &thing, &err));
    CHECK(strstr(err.message, "127.0.0.1:7700"));
    afar_error_clear(&err);
    afar_client_close(client);
}

TEST(another_server_is_there)
{
    afar_client *client;

    begin();
    client = client_with(home.endpoint);
    check_refused(client, "a", AFAR_UNAVAILABLE,
                  text_of("no name server at %s: another server is there (start one elsewhere: "
                          "afar names serve)",
                          home.endpoint + strlen("grpc://")));
    afar_client_close(client);
    end();
}

TEST(a_name_server_that_is_silent)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    afar_client *client;

    begin();
    client = client_of(&fake, NULL);
    check_refused(client, "b", AFAR_NOT_FOUND,
                  text_of("b: nobody has registered it (name server %s)", fake.address));
    fake_hold(&fake, true);
    CHECK_FAILS(client_thing_open(client, "a", afar_after_ms(100), &thing, &err), AFAR_UNAVAILABLE);
    CHECK_STR(err.message, text_of("a: no answer from the name server %s in time", fake.address));
    fake_hold(&fake, false);
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    afar_error_clear(&err);
    end();
}

TEST(a_name_server_that_comes_again)
{
    afar_client *client;

    begin();
    client = client_of(&fake, NULL);
    CHECK_INT(number_at(client, "a"), 1);
    fake_stop(&fake);
    check_refused(client, "b", AFAR_UNAVAILABLE,
                  text_of("no name server at %s: Connection refused (start one: afar names serve)",
                          fake.address));
    CHECK_INT(number_at(client, "a"), 1); /* known for some seconds */
    for (int i = 0; i < 3; i++) {
        fake_start_again(&fake);
        check_refused(client, "b", AFAR_NOT_FOUND,
                      text_of("b: nobody has registered it (name server %s)", fake.address));
        fake_stop(&fake);
    }
    fake_start_again(&fake);
    afar_client_close(client);
    end();
}

TEST(what_it_refuses)
{
    afar_client *client;

    begin();
    client = client_of(&fake, NULL);
    check_refused(
        client, "nobody/has/it", AFAR_NOT_FOUND,
        text_of("nobody/has/it: nobody has registered it (name server %s)", fake.address));
    fake_fail(&fake, AFAR_RESOURCE_EXHAUSTED);
    check_refused(client, "a", AFAR_RESOURCE_EXHAUSTED,
                  text_of("a: name server %s: as it was told", fake.address));
    afar_client_close(client);
    end();
}

/* ---- what is believed ---- */

/* Puts a record with one thing wrong, and opens it. */
static void
check_false(afar_client *client, afar__signed *record, const char *why)
{
    fake_put_signed(&fake, "a", record, 15000);
    check_refused(client, "a", AFAR_UNAUTHENTICATED,
                  text_of("a: the name server has a false record: %s", why));
}

static afar__signed *
sign(const struct fake_record *record)
{
    struct fake_record own = *record;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *made = NULL;

    own.record.endpoints = own.endpoints;
    CHECK_OK(afar__record_sign(own.key, AFAR__PURPOSE_RECORD, &own.record.base, &made, &err));
    return made;
}

TEST(records_that_are_forged)
{
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct fake_record record, other;
    afar__signed *made = NULL;
    afar_client *client;
    char why[120];

    begin();
    client = client_of(&fake, NULL);
    fake_record_at(&record, "a", &home);
    snprintf(why, sizeof why, "the signature of a record is not that of the key %s",
             afar_key_public(record.key));
    made = sign(&record);
    made->signature.data[63] ^= 1;
    check_false(client, made, why);
    made = sign(&record);
    made->record.data[made->record.len - 1] ^= 1;
    check_false(client, made, why);
    CHECK_OK(afar__record_sign(record.key, AFAR__PURPOSE_REMOVAL, &removal.base, &made, &err));
    check_false(client, made, why);
    fake_record_at(&other, "b", &home);
    check_false(client, sign(&other), "it is of b");
    check_false(client, NULL, "nothing was signed");
    made = sign(&record);
    made->key.len--;
    check_false(client, made, "the key of a signed record has 31 bytes, not 32");
    fake_put(&fake, "a", &record); /* nothing of that was kept */
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    end();
}

TEST(records_that_are_nonsense)
{
    afar_error err = AFAR_ERROR_INIT;
    struct fake_record record;
    client_thing *thing = NULL;
    afar_client *client;

    begin();
    client = client_of(&fake, NULL);
    fake_record_init(&record, "a", NULL);
    fake_put(&fake, "a", &record);
    CHECK_FAILS(client_thing_open(client, "a", soon(), &thing, &err), AFAR_INTERNAL);
    CHECK(strstr(err.message, "its owner has registered nonsense"));
    fake_record_init(&record, "a", "inproc:here");
    fake_put(&fake, "a", &record);
    CHECK_FAILS(client_thing_open(client, "a", soon(), &thing, &err), AFAR_INTERNAL);
    afar_client_close(client);
    afar_error_clear(&err);
    end();
}

/* ---- owners ---- */

TEST(another_owner)
{
    struct fake_record record;
    afar_client *client;
    char text[300];

    begin();
    client = client_of(&fake, NULL);
    CHECK_INT(number_at(client, "a"), 1);
    fake_record_at(&record, "a", &home);
    record.key = fake_key(1);
    fake_put(&fake, "a", &record);
    CHECK_INT(number_at(client, "a"), 1); /* known for some seconds */
    afar_client_close(client);

    client = client_of(&fake, NULL);
    snprintf(text, sizeof text,
             "a: owner %s, but %s in %s/known_names:1; remove that line if the owner has really "
             "changed",
             afar_key_public(fake_key(1)), afar_key_public(fake_key(0)), getenv("AFAR_HOME"));
    check_refused(client, "a", AFAR_PERMISSION_DENIED, text);
    snprintf(text, sizeof text, "%s/known_names", getenv("AFAR_HOME"));
    CHECK_INT(truncate(text, 0), 0);
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    end();
}

TEST(one_owner_only)
{
    char name[100], message[300], known[100];
    afar_client *client;
    FILE *file;

    begin();
    snprintf(known, sizeof known, "%s/known_names", getenv("AFAR_HOME"));
    client = client_of(&fake, NULL);
    snprintf(name, sizeof name, "%s@a", afar_key_public(fake_key(0)));
    CHECK_INT(number_at(client, name), 1);
    CHECK_INT(access(known, F_OK), -1); /* not written */
    snprintf(name, sizeof name, "%s@a", afar_key_public(fake_key(1)));
    snprintf(message, sizeof message, "a: its owner is %s, not %s", afar_key_public(fake_key(0)),
             afar_key_public(fake_key(1)));
    check_refused(client, name, AFAR_PERMISSION_DENIED, message);
    file = fopen(known, "w");
    CHECK(file && fputs("nonsense\n", file) >= 0);
    CHECK_INT(fclose(file), 0);
    snprintf(name, sizeof name, "%s@a", afar_key_public(fake_key(0)));
    CHECK_INT(number_at(client, name), 1); /* not read */
    snprintf(message, sizeof message, "%s:1: not NAME KEY YYYY-MM-DD; mend or remove that line",
             known);
    check_refused(client, "a", AFAR_FAILED_PRECONDITION, message);
    check_refused(client, "key@a", AFAR_INVALID_ARGUMENT,
                  "key@a: in front of @ is no key: one has 43 letters, digits, - and _");
    afar_client_close(client);
    end();
}

/* What is known of a name that KEY@ opened is not yet known to be its owner's. */
TEST(an_owner_that_was_named_is_not_the_known_one)
{
    struct fake_record record;
    afar_client *client;
    char name[100];

    begin();
    client = client_of(&fake, "");
    CHECK_INT(number_at(client, "a"), 1);
    fake_record_at(&record, "a", &home);
    record.key = fake_key(1);
    fake_put(&fake, "a", &record);
    snprintf(name, sizeof name, "%s@a", afar_key_public(fake_key(1)));
    CHECK_INT(number_at(client, name), 1); /* asked for anew: what is known is another's */
    snprintf(name, sizeof name, "a: its owner is %.43s,", afar_key_public(fake_key(1)));
    {
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;

        CHECK_FAILS(client_thing_open(client, "a", soon(), &thing, &err), AFAR_PERMISSION_DENIED);
        CHECK(strncmp(err.message, name, strlen(name)) == 0);
        afar_error_clear(&err);
    }
    afar_client_close(client);
    end();
}

/* ---- older records ---- */

TEST(a_record_that_is_older)
{
    struct fake_record record;
    afar_client *client;
    int lookups;

    begin();
    client = client_of(&fake, "");
    fake_record_at(&record, "a", &home);
    record.left_ms = 0; /* is not kept */
    record.record.generation = 7;
    fake_put(&fake, "a", &record);
    CHECK_INT(number_at(client, "a"), 1);
    record.record.generation = 6;
    fake_put(&fake, "a", &record);
    lookups = atomic_load(&fake.lookups);
    check_refused(client, "a", AFAR_FAILED_PRECONDITION,
                  "a: an older record than was seen before: generation 6, after 7");
    CHECK_INT(atomic_load(&fake.lookups), lookups + 2);
    record.record.generation = 7;
    fake_put(&fake, "a", &record);
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    end();
}

/* ---- what is remembered ---- */

TEST(a_name_is_looked_up_once)
{
    struct fake_record record;
    afar_client *client;

    begin();
    client = client_of(&fake, NULL);
    for (int i = 0; i < 5; i++)
        CHECK_INT(number_at(client, "a"), 1);
    CHECK_INT(atomic_load(&fake.lookups), 1);
    fake_record_at(&record, "b", &home);
    record.left_ms = 0;
    fake_put(&fake, "b", &record);
    for (int i = 0; i < 5; i++)
        CHECK_INT(number_at(client, "b"), 1);
    CHECK_INT(atomic_load(&fake.lookups), 6); /* not beyond its lease */
    afar_client_close(client);
    end();
}

TEST(the_least_used_name_is_forgotten)
{
    static char names[257][20];
    afar_client *client;

    begin();
    client = client_of(&fake, "");
    CHECK_INT(number_at(client, "a"), 1);
    for (int i = 0; i < 257; i++) {
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;
        struct fake_record record;

        snprintf(names[i], sizeof names[i], "name-%d", i);
        fake_record_at(&record, names[i], &home);
        fake_put(&fake, names[i], &record);
        if (i == 255)
            CHECK_INT(number_at(client, "a"), 1); /* still known; name-0 is older now */
        CHECK_OK(client_thing_open(client, names[i], soon(), &thing, &err));
        client_thing_close(thing);
    }
    CHECK_INT(atomic_load(&fake.lookups), 258);
    CHECK_INT(number_at(client, "a"), 1);
    CHECK_INT(atomic_load(&fake.lookups), 258);
    for (int i = 0; i < 2; i++) {
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;

        CHECK_OK(client_thing_open(client, names[0], soon(), &thing, &err));
        client_thing_close(thing);
        CHECK_INT(atomic_load(&fake.lookups), 259);
    }
    afar_client_close(client);
    end();
}

/* A record that leads nowhere is not remembered any more. */
TEST(a_server_that_moved_before_it_was_opened_again)
{
    struct fake_record record;
    afar_client *client;
    struct home next;

    begin();
    client = client_of(&fake, NULL);
    CHECK_INT(number_at(client, "a"), 1);
    home_close(&home);
    home_open(&next, "127.0.0.1:0", 2);
    fake_record_at(&record, "a", &next);
    record.record.generation = 2;
    fake_put(&fake, "a", &record);
    CHECK_INT(number_at(client, "a"), 2);
    CHECK_INT(atomic_load(&fake.lookups), 2);
    CHECK_INT(number_at(client, "a"), 2);
    CHECK_INT(atomic_load(&fake.lookups), 2);
    afar_client_close(client);
    home_close(&next);
    fake_close(&fake);
}

/* ---- several at once ---- */

struct opener {
    pthread_t thread;
    afar_client *client;
    int64_t number;
};

static void *
run_opener(void *arg)
{
    struct opener *opener = arg;

    opener->number = number_at(opener->client, "a");
    return NULL;
}

/* All of them ask, and none waits for another's answer. */
TEST(threads_that_open_one_name)
{
    struct opener openers[OPENERS];
    afar_client *client;

    begin();
    client = client_of(&fake, NULL);
    fake_hold(&fake, true);
    for (int i = 0; i < OPENERS; i++) {
        openers[i] = (struct opener){ .client = client };
        CHECK_INT(pthread_create(&openers[i].thread, NULL, run_opener, &openers[i]), 0);
    }
    while (atomic_load(&fake.lookups) < OPENERS)
        usleep(1000);
    fake_hold(&fake, false);
    for (int i = 0; i < OPENERS; i++) {
        CHECK_INT(pthread_join(openers[i].thread, NULL), 0);
        CHECK_INT(openers[i].number, 1);
    }
    CHECK_INT(number_at(client, "a"), 1);
    CHECK_INT(atomic_load(&fake.lookups), OPENERS);
    afar_client_close(client);
    end();
}
