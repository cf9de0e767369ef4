/* From a record to a process: several endpoints, silent ones, other processes there; and
 * references that find their object again.
 *
 * Labels: concurrent waits.  Cost: 11 */

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <afar/message.h>

#include "fake.h"

static struct fake fake;
static struct home first, second;

static void
begin(void)
{
    fake_home();
    fake_open(&fake);
    home_open(&first, "127.0.0.1:0", 1);
    home_open(&second, "127.0.0.1:0", 2);
}

static void
end(void)
{
    home_close(&first);
    home_close(&second);
    fake_close(&fake);
}

/* The name "a" is at `home`, which is at the last of these; ends with NULL. */
static void
put_at(const struct home *home, uint64_t generation, char *const *endpoints)
{
    struct fake_record record;

    fake_record_at(&record, "a", home);
    record.record.generation = generation;
    record.record.n_endpoints = 0;
    while (endpoints[record.record.n_endpoints]) {
        record.endpoints[record.record.n_endpoints] = endpoints[record.record.n_endpoints];
        record.record.n_endpoints++;
    }
    fake_put(&fake, "a", &record);
}

/* A socket of this process that listens and says nothing. */
static int
open_silent(char endpoint[60])
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(fd, 5), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(endpoint, 60, "grpc://127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

/* ---- endpoints ---- */

TEST(the_first_that_is_the_right_one)
{
    char *const endpoints[][4] = {
        { "grpc://127.0.0.1:1", second.endpoint, NULL },
        { "unix:/tmp/afar-nobody", second.endpoint, NULL },
        { first.endpoint, second.endpoint, NULL }, /* another process is there */
        { first.endpoint, "grpc://127.0.0.1:1", second.endpoint, NULL },
        { second.endpoint, first.endpoint, NULL },
    };

    begin();
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        afar_client *client = client_of(&fake, "");

        put_at(&second, 1, endpoints[i]);
        for (int times = 0; times < 2; times++)
            CHECK_INT(number_at(client, "a"), 2);
        CHECK_INT(atomic_load(&fake.lookups), i + 1);
        afar_client_close(client);
    }
    end();
}

TEST(a_unix_socket)
{
    char address[100], name[200];
    struct fake_record record;
    afar_client *client;
    struct home home;

    begin();
    snprintf(address, sizeof address, "unix:%s/socket", getenv("AFAR_HOME"));
    home_open(&home, address, 3);
    fake_record_at(&record, "b", &home);
    fake_put(&fake, "b", &record);
    client = client_of(&fake, "");
    CHECK_INT(number_at(client, "b"), 3);
    snprintf(name, sizeof name, "%s/b", home.endpoint);
    CHECK_INT(number_at(client, name), 3);
    afar_client_close(client);
    home_close(&home);
    end();
}

/* A server that knows of no instances is not asked. */
TEST(a_record_without_an_instance)
{
    struct fake_record record;
    afar_client *client;

    begin();
    fake_record_init(&record, "a", first.endpoint);
    fake_put(&fake, "a", &record);
    client = client_of(&fake, "");
    CHECK_INT(number_at(client, "a"), 1);
    afar_client_close(client);
    end();
}

TEST(a_silent_endpoint_leaves_time_for_the_others)
{
    char silent[60];
    int fd;

    begin();
    fd = open_silent(silent);
    {
        char *const endpoints[] = { silent, second.endpoint, NULL };
        afar_client *client = client_of(&fake, "");
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;

        put_at(&second, 1, endpoints);
        CHECK_OK(client_thing_open(client, "a", afar_after_ms(6000), &thing, &err));
        client_thing_close(thing);
        afar_client_close(client);
    }
    close(fd);
    end();
}

/* ---- nobody ---- */

/* The message is this, and what is left of a lease of 15 s. */
static void
check_lease(const afar_error *err, const char *message)
{
    size_t length = strlen(message);
    int left = 0;

    CHECK(strncmp(err->message, message, length) == 0);
    CHECK_INT(sscanf(err->message + length, "; its lease ends in %2d s", &left), 1);
    CHECK(left >= 1 && left <= 15);
}

TEST(nobody_is_where_it_was_recorded)
{
    char *const nowhere[] = { "unix:/tmp/afar-nobody", "grpc://127.0.0.1:1", NULL };
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    struct fake_record record;
    afar_client *client;
    char message[300];

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, nowhere);
    CHECK_FAILS(client_thing_open(client, "a", soon(), &thing, &err), AFAR_UNAVAILABLE);
    check_lease(&err, "a: not at grpc://127.0.0.1:1: Connection refused");
    afar_error_clear(&err);
    fake_record_at(&record, "a", &second); /* its instance, and where another one is */
    record.endpoints[0] = first.endpoint;
    record.record.generation = 2;
    record.left_ms = 0;
    fake_put(&fake, "a", &record);
    snprintf(message, sizeof message, "a: not at %s: another process is there", first.endpoint);
    check_refused(client, "a", AFAR_UNAVAILABLE, message);
    afar_client_close(client);
    end();
}

TEST(a_process_that_is_silent)
{
    char silent[60];
    int fd;

    begin();
    fd = open_silent(silent);
    {
        char *const endpoints[] = { silent, NULL };
        afar_client *client = client_of(&fake, "");
        afar_error err = AFAR_ERROR_INIT;
        client_thing *thing = NULL;
        char message[300];

        CHECK_FAILS(client_thing_open(client, "b", soon(), &thing, &err), AFAR_NOT_FOUND);
        put_at(&second, 1, endpoints); /* the name server is connected: the time is not its */
        snprintf(message, sizeof message, "a: not at %s: no connection before the deadline",
                 silent);
        CHECK_FAILS(client_thing_open(client, "a", afar_after_ms(1500), &thing, &err),
                    AFAR_UNAVAILABLE);
        check_lease(&err, message);
        afar_error_clear(&err);
        afar_client_close(client);
    }
    close(fd);
    end();
}

/* ---- found again ---- */

static int64_t
ask(client_thing *thing)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int64_t number;

    CHECK_OK(client_thing_ask(thing, &request, soon(), &reply, &err));
    number = reply->number;
    afar_message_free(reply);
    return number;
}

static client_thing *
open_a(afar_client *client)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;

    CHECK_OK(client_thing_open(client, "a", soon(), &thing, &err));
    return thing;
}

TEST(a_server_that_moves)
{
    char *const there[] = { first.endpoint, NULL }, *const here[] = { second.endpoint, NULL };
    afar_client *client;
    client_thing *thing;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, there);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    put_at(&second, 2, here);
    home_close(&first);
    CHECK_INT(ask(thing), 2);
    CHECK_INT(ask(thing), 2);
    home_open(&first, "127.0.0.1:0", 3);
    put_at(&first, 3, there);
    home_close(&second);
    CHECK_INT(ask(thing), 3);
    client_thing_close(thing);
    home_open(&second, "127.0.0.1:0", 4);
    afar_client_close(client);
    end();
}

/* The address is the same, the process another one: it says so. */
TEST(another_process_at_the_same_address)
{
    char *const endpoints[] = { first.endpoint, NULL };
    afar_client *client;
    client_thing *thing;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, endpoints);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    for (int i = 2; i < 5; i++) {
        char address[140];

        snprintf(address, sizeof address, "%s", first.endpoint + strlen("grpc://"));
        home_close(&first);
        home_open(&first, address, i);
        put_at(&first, (uint64_t)i, endpoints);
        CHECK_INT(ask(thing), i);
    }
    client_thing_close(thing);
    afar_client_close(client);
    end();
}

TEST(nobody_has_the_name_any_more)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    char *const endpoints[] = { first.endpoint, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client;
    client_thing *thing;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, endpoints);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    fake_fail(&fake, AFAR_NOT_FOUND);
    home_close(&first);
    CHECK(client_thing_ask(thing, &request, soon(), &reply, &err) != AFAR_OK);
    CHECK(strstr(err.message, "a: nobody has registered it"));
    home_open(&first, "127.0.0.1:0", 7);
    put_at(&first, 2, endpoints);
    fake_fail(&fake, AFAR_OK);
    CHECK_INT(ask(thing), 7);
    client_thing_close(thing);
    afar_client_close(client);
    afar_error_clear(&err);
    end();
}

/* The search is done in slices of a second; a look-up that takes longer is not begun anew. */
TEST(a_name_server_that_takes_its_time)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    char *const there[] = { first.endpoint, NULL }, *const here[] = { second.endpoint, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    afar_client *client;
    client_thing *thing;
    int lookups;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, there);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    put_at(&second, 2, here);
    lookups = atomic_load(&fake.lookups);
    fake_hold(&fake, true);
    home_close(&first);
    CHECK_OK(client_thing_ask_start(thing, &request, soon(), NULL, &future, &err));
    CHECK_FAILS(afar_future_wait(future, afar_after_ms(2500), &err), AFAR_DEADLINE_EXCEEDED);
    fake_hold(&fake, false);
    CHECK_OK(client_thing_ask_await(future, soon(), &reply, &err));
    CHECK_INT(reply->number, 2);
    CHECK_INT(atomic_load(&fake.lookups), lookups + 1);
    afar_message_free(reply);
    afar_future_close(future);
    client_thing_close(thing);
    home_open(&first, "127.0.0.1:0", 1);
    afar_client_close(client);
    afar_error_clear(&err);
    end();
}

/* What a name server drops when it stops looks as if somebody had cancelled it. */
TEST(a_name_server_that_drops_what_it_was_asked)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    char *const there[] = { first.endpoint, NULL }, *const here[] = { second.endpoint, NULL };
    afar_call_options options = AFAR_CALL_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    afar_client *client;
    client_thing *thing;
    char message[200];
    int lookups;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, there);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    fake_fail(&fake, AFAR_CANCELLED);
    home_close(&first);
    lookups = atomic_load(&fake.lookups);
    options.wait_for_ready = true;
    CHECK_OK(client_thing_ask_start(thing, &request, soon(), &options, &future, &err));
    while (atomic_load(&fake.lookups) < lookups + 4)
        usleep(1000);
    snprintf(message, sizeof message, "b: the name server %s stopped before it answered",
             fake.address);
    check_refused(client, "b", AFAR_UNAVAILABLE, message);
    put_at(&second, 2, here);
    fake_fail(&fake, AFAR_OK);
    CHECK_OK(client_thing_ask_await(future, soon(), &reply, &err));
    CHECK_INT(reply->number, 2);
    afar_message_free(reply);
    afar_future_close(future);
    client_thing_close(thing);
    home_open(&first, "127.0.0.1:0", 1);
    afar_client_close(client);
    afar_error_clear(&err);
    end();
}

/* A call leaves while the name server thinks; a later one does not go by what that said. */
TEST(a_search_that_was_left_long_ago)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    char *const there[] = { first.endpoint, NULL }, *const here[] = { second.endpoint, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client;
    client_thing *thing;
    int lookups;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, there);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    put_at(&second, 2, here);
    lookups = atomic_load(&fake.lookups);
    fake_hold(&fake, true);
    home_close(&first);
    CHECK_FAILS(client_thing_ask(thing, &request, afar_after_ms(300), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    usleep(1500000); /* the slice is over, and nobody waits */
    fake_hold(&fake, false);
    usleep(2000000); /* time passes */
    CHECK_INT(atomic_load(&fake.lookups), lookups + 1);
    home_close(&second);
    home_open(&first, "127.0.0.1:0", 3);
    put_at(&first, 3, there);
    CHECK_INT(ask(thing), 3);
    CHECK_INT(atomic_load(&fake.lookups), lookups + 2);
    client_thing_close(thing);
    home_open(&second, "127.0.0.1:0", 2);
    afar_client_close(client);
    afar_error_clear(&err);
    end();
}

/* A reference outlives its client, and says so. */
TEST(a_client_that_was_closed)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    char *const endpoints[] = { first.endpoint, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client;
    client_thing *thing;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, endpoints);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    afar_client_close(client);
    CHECK_FAILS(client_thing_ask(thing, &request, soon(), &reply, &err), AFAR_FAILED_PRECONDITION);
    CHECK(strstr(err.message, "the client was closed"));
    client_thing_close(thing);
    afar_error_clear(&err);
    end();
}

/* And when the client was closed while its server was gone. */
TEST(a_client_that_was_closed_while_it_searched)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    char *const endpoints[] = { first.endpoint, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;
    afar_client *client;
    client_thing *thing;
    afar_code code;
    int lookups;

    begin();
    client = client_of(&fake, "");
    put_at(&first, 1, endpoints);
    thing = open_a(client);
    CHECK_INT(ask(thing), 1);
    fake_hold(&fake, true);
    lookups = atomic_load(&fake.lookups);
    home_close(&first);
    CHECK_OK(client_thing_ask_start(thing, &request, soon(), NULL, &future, &err));
    while (atomic_load(&fake.lookups) == lookups)
        usleep(1000);
    fake_hold(&fake, false);
    afar_client_close(client);
    code = client_thing_ask_await(future, soon(), &reply, &err);
    CHECK(code == AFAR_CANCELLED || code == AFAR_FAILED_PRECONDITION || code == AFAR_UNAVAILABLE);
    afar_future_close(future);
    CHECK_FAILS(client_thing_ask(thing, &request, soon(), &reply, &err), AFAR_FAILED_PRECONDITION);
    client_thing_close(thing);
    home_open(&first, "127.0.0.1:0", 1);
    afar_error_clear(&err);
    end();
}
