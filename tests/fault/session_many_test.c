/* Much of everything: references, calls, sessions.  Their memory is bounded and comes back, and none
 * costs more because there are many.
 *
 * The server is a child, so that the memory of both sides is seen.  AFAR_FAULT_REFERENCES,
 * AFAR_FAULT_CALLS and AFAR_FAULT_SESSIONS set how many there are; then the figures are printed.
 *
 * Cost: 12 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <afar/client.h>

#include "check.h"
#include "desk.h"

#define REFERENCES 50000
#define CALLS 20000
#define SESSIONS 1000
#define AT_A_TIME 4000 /* references in one message */
#define FIRST_BACK 200 /* the number of the first call back */
#define MANY 2         /* the place of the method in its interface */

static size_t
how_many(const char *name, size_t otherwise)
{
    const char *text = getenv(name);

    return text && atol(text) > 0 ? (size_t)atol(text) : otherwise;
}

/* ---- the two sides ---- */

struct world {
    struct board *board;
    pid_t server;
    size_t server_bytes, client_bytes; /* before */
};

static void
open_world(struct world *world)
{
    static const struct desk_options plain = { 0, 0, false };

    world->board = board_new();
    world->server = board_fork();
    if (world->server == 0)
        desk_serve(world->board, &plain);
    wait_until(is_set, &world->board->serving, "the server serves");
}

static void
remember_memory(struct world *world)
{
    world->server_bytes = resident_bytes(world->server);
    world->client_bytes = resident_bytes(getpid());
}

/* What each of so many costs, at the server and here. */
static void
measure(const struct world *world, size_t count, size_t ret_each[2])
{
    size_t server = resident_bytes(world->server), client = resident_bytes(getpid());

    ret_each[0] = server > world->server_bytes ? (server - world->server_bytes) / count : 0;
    ret_each[1] = client > world->client_bytes ? (client - world->client_bytes) / count : 0;
}

/* The server sees that nothing is left, and ends. */
static void
close_world(struct world *world)
{
    int status;

    atomic_store(&world->board->finish, true);
    CHECK(waitpid(world->server, &status, 0) == world->server);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    board_free(world->board);
}

static desk_desk *
open_desk(const struct world *world, afar_client *client)
{
    afar_error err = AFAR_ERROR_INIT;
    desk_desk *desk = NULL;
    char name[128];

    desk_name(world->board->address, name);
    CHECK_OK(desk_desk_open(client, name, desk_deadline(), &desk, &err));
    return desk;
}

static afar_client *
open_client(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    return client;
}

/* ---- references ---- */

static void
take_sheets(desk_desk *desk, desk_sheet **sheets, size_t count)
{
    Desk__Note request = DESK__NOTE__INIT;
    Desk__Papers *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    request.count = (int64_t)count;
    CHECK_OK(desk_desk_many(desk, &request, afar_after_ms(60000), &reply, &err));
    CHECK_INT(reply->n_sheets, count);
    for (size_t i = 0; i < count; i++)
        CHECK((sheets[i] = desk_papers_take_sheets(reply, i)));
    afar_message_free(reply);
}

static bool
one_is_left(const void *arg)
{
    const struct board *board = arg;

    return atomic_load(&board->finalized) == atomic_load(&board->made) - 1;
}

TEST(references)
{
    size_t count = how_many("AFAR_FAULT_REFERENCES", REFERENCES), each[2];
    desk_sheet **sheets = calloc(count, sizeof(*sheets));
    struct world world;
    int64_t start, taken;

    CHECK(sheets);
    memset(sheets, 1, count * sizeof(*sheets)); /* resident before it is measured */
    open_world(&world);
    afar_client *client = open_client();
    desk_desk *desk = open_desk(&world, client);
    remember_memory(&world);
    start = now_in_ms();
    for (size_t i = 0; i < count; i += AT_A_TIME)
        take_sheets(desk, sheets + i, count - i < AT_A_TIME ? count - i : AT_A_TIME);
    taken = now_in_ms() - start;
    measure(&world, count, each);
    CHECK_INT(atomic_load(&world.board->made), (intmax_t)count + 1);
    CHECK_INT(atomic_load(&world.board->finalized), 0);
    start = now_in_ms();
    for (size_t i = 0; i < count; i++)
        desk_sheet_close(sheets[i]);
    wait_until(one_is_left, world.board, "the objects are gone");
    if (getenv("AFAR_FAULT_REFERENCES"))
        printf("%zu references: taken in %jd ms, released in %jd ms; each %zu bytes at the owner, "
               "with its object, and %zu at the holder\n",
               count, (intmax_t)taken, (intmax_t)(now_in_ms() - start), each[0], each[1]);
    desk_desk_close(desk);
    afar_client_close(client);
    free(sheets);
    close_world(&world);
}

static bool
two_were_made(const void *arg)
{
    return atomic_load(&((const struct board *)arg)->made) == 1 + 2;
}

/* What a reply brings goes nowhere when nobody waits for it, and is let go at once. */
TEST(references_that_nobody_waits_for)
{
    Desk__Note request = DESK__NOTE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    request.count = 2;
    open_world(&world);
    afar_client *client = open_client();
    desk_desk *desk = open_desk(&world, client);
    CHECK_OK(afar_object_send(desk_desk_object(desk), &desk_desk_interface.methods[MANY],
                              &request.base, desk_deadline(), &err));
    wait_until(two_were_made, world.board, "the objects are made");
    wait_until(one_is_left, world.board, "the objects are gone");
    desk_desk_close(desk);
    afar_client_close(client);
    close_world(&world);
}

/* ---- calls ---- */

TEST(calls_at_once)
{
    size_t count = how_many("AFAR_FAULT_CALLS", CALLS), each[2];
    afar_future **futures = calloc(count, sizeof(*futures));
    struct world world;
    int64_t start;

    CHECK(futures);
    open_world(&world);
    afar_client *client = open_client();
    desk_desk *desk = open_desk(&world, client);
    remember_memory(&world);
    start = now_in_ms();
    for (size_t i = 0; i < count; i++) {
        Desk__Note request = DESK__NOTE__INIT;
        afar_error err = AFAR_ERROR_INIT;

        CHECK_OK(
            desk_desk_echo_start(desk, &request, afar_after_ms(60000), NULL, &futures[i], &err));
    }
    measure(&world, count, each);
    for (size_t i = 0; i < count; i++) {
        afar_error err = AFAR_ERROR_INIT;
        Desk__Note *reply = NULL;

        CHECK_OK(desk_desk_echo_await(futures[i], AFAR_FOREVER, &reply, &err));
        afar_message_free(reply);
        afar_future_close(futures[i]);
    }
    CHECK_INT(atomic_load(&world.board->calls[0].ran), (intmax_t)count);
    if (getenv("AFAR_FAULT_CALLS"))
        printf("%zu calls at once: %jd ms; each that is begun %zu bytes here\n", count,
               (intmax_t)(now_in_ms() - start), each[1]);
    desk_desk_close(desk);
    afar_client_close(client);
    free(futures);
    close_world(&world);
}

/* ---- sessions ---- */

struct guest {
    afar_client *client;
    desk_desk *desk;
    desk_listener *listener;
};

static void
raise_limit_of_descriptors(void)
{
    struct rlimit limit;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 20000 ? limit.rlim_max : 20000;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A call, and a call back. */
static void
come(struct world *world, struct guest *guest, int number)
{
    Desk__Plea request = DESK__PLEA__INIT;
    Desk__Note *reply = NULL;
    Afar__Ref room;
    afar_error err = AFAR_ERROR_INIT;

    guest->client = open_client();
    guest->desk = open_desk(world, guest->client);
    guest->listener = listener_make(world->board);
    request.first = FIRST_BACK + number;
    request.count = 1;
    desk_plea_put_listener(&request, &room, guest->listener);
    CHECK_OK(desk_desk_ask(guest->desk, &request, desk_deadline(), &reply, &err));
    afar_message_free(reply);
    CHECK_INT(atomic_load(&world->board->calls[FIRST_BACK + number].ran), 1);
}

static void
echo(desk_desk *desk)
{
    Desk__Note request = DESK__NOTE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(desk_desk_echo(desk, &request, desk_deadline(), &reply, &err));
    afar_message_free(reply);
}

static bool
nobody_listens(const void *arg)
{
    const struct board *board = arg;

    return atomic_load(&board->listeners) == atomic_load(&board->unlistened);
}

static bool
has_at_most(const void *count)
{
    return descriptor_count() <= *(const int *)count;
}

TEST(sessions)
{
    int count = (int)how_many("AFAR_FAULT_SESSIONS", SESSIONS), before;
    struct guest *guests = calloc((size_t)count, sizeof *guests);
    struct world world;
    int64_t start;
    size_t each[2];

    CHECK(guests && count <= BOARD_CALLS - FIRST_BACK);
    raise_limit_of_descriptors();
    open_world(&world);
    come(&world, &guests[0], 0); /* what is the same for all */
    before = descriptor_count();
    remember_memory(&world);
    start = now_in_ms();
    for (int i = 1; i < count; i++)
        come(&world, &guests[i], i);
    measure(&world, (size_t)count, each);
    CHECK(live_threads() < 40);
    for (int i = 0; i < count; i++)
        echo(guests[i].desk);
    if (getenv("AFAR_FAULT_SESSIONS"))
        printf("%d sessions: %jd ms; each %zu bytes at the server and %zu at the client, with "
               "its connection\n",
               count, (intmax_t)(now_in_ms() - start), each[0], each[1]);
    for (int i = count - 1; i >= 0; i--) {
        desk_listener_close(guests[i].listener);
        desk_desk_close(guests[i].desk);
        afar_client_close(guests[i].client);
    }
    wait_until(nobody_listens, world.board, "the listeners are gone");
    wait_until(has_at_most, &before, "the descriptors are closed");
    free(guests);
    close_world(&world);
}
