/* The grace of objects: when a session breaks, the references that the peer had to them stay for
 * a while.  The peer is a process of its own, which is killed.
 *
 * Of the two things that are lent one has a grace and comes first, the other has none: when that
 * one is finalized, the server has seen that the session is broken.
 *
 * Labels: concurrent waits */

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lender.afar.h"
#include "pair.h"

#define SHORT_MS 400
#define LONG_MS 3600000

/* ---- the things ---- */

struct thing {
    lend_thing *reference;
    struct event finalized;
    int64_t finalized_at; /* ms */
};

static void
finalize(void *self)
{
    struct thing *thing = self;

    thing->finalized_at = now_ms();
    event_raise(&thing->finalized);
}

static afar_code
touch(void *self, const Google__Protobuf__Empty *request, Google__Protobuf__Empty *reply,
      afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    (void)call;
    return AFAR_OK;
}

static const lend_thing_methods thing_methods = { .touch = touch };

static void
thing_make(struct thing *thing, unsigned grace_ms)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    *thing = (struct thing){ .finalized = EVENT_INIT };
    options.finalizer = finalize;
    options.grace_ms = grace_ms;
    CHECK_OK(lend_thing_new(&thing_methods, thing, &options, &thing->reference, &err));
}

/* ---- the lender ---- */

struct lender {
    struct thing kept, plain;
    atomic_bool first_only; /* is lent */
    lend_thing *taken;      /* from a caller, for good */
};

static afar_code
give(Lend__Things *reply, size_t at, const struct thing *thing, afar_call *call)
{
    afar_object *shared = afar_object_share(lend_thing_object(thing->reference));

    return lend_things_give_things(reply, at, call, (lend_thing *)shared);
}

static afar_code
lend(void *self, const Google__Protobuf__Empty *request, Lend__Things *reply, afar_call *call)
{
    struct lender *lender = self;
    bool both = !atomic_load(&lender->first_only);
    afar_code code;

    (void)request;
    reply->things = afar_call_alloc(call, 2 * sizeof(Afar__Ref *));
    reply->n_things = both ? 2 : 1;
    code = give(reply, 0, &lender->kept, call);
    if (!code && both)
        code = give(reply, 1, &lender->plain, call);
    return code;
}

static afar_code
take(void *self, const Lend__Things *request, Google__Protobuf__Empty *reply, afar_call *call)
{
    struct lender *lender = self;

    (void)reply;
    (void)call;
    lender->taken = lend_things_take_things((Lend__Things *)request, 0);
    return AFAR_OK;
}

static const lend_lender_methods lender_methods = { .lend = lend, .take = take };

/* At an address that is told. */
static afar_server *
serve(struct lender *lender)
{
    lend_lender *object = NULL;
    afar_server *server = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &server, &err));
    CHECK_OK(lend_lender_new(&lender_methods, lender, NULL, &object, &err));
    CHECK_OK(afar_server_export(server, "lender", lend_lender_object(object), &err));
    CHECK_OK(afar_server_start(server, &err));
    lend_lender_close(object);
    return server;
}

/* ---- the other process ---- */

/* A process with a line to it, for an address, and one back, for a byte that says how far it is.
 * It was forked before Afar began. */
struct other {
    pid_t pid;
    int to, from;
};

#define ADDRESS_ROOM 128

static void
write_all(int fd, const void *data, size_t length)
{
    CHECK(write(fd, data, length) == (ssize_t)length);
}

static void
read_all(int fd, void *data, size_t length)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    CHECK_INT(poll(&ready, 1, 15000), 1);
    CHECK(read(fd, data, length) == (ssize_t)length);
}

static void
other_start(struct other *other, void (*run)(int from, int to))
{
    int there[2], back[2];

    CHECK_INT(pipe(there) | pipe(back), 0);
    other->pid = fork();
    CHECK(other->pid >= 0);
    if (other->pid == 0) {
        alarm(60);
        run(there[0], back[1]);
        _exit(EXIT_SUCCESS);
    }
    other->to = there[1];
    other->from = back[0];
    CHECK_INT(close(there[0]) | close(back[1]), 0);
}

static void
other_end(struct other *other, int sign)
{
    int status = 0;

    if (sign)
        CHECK_INT(kill(other->pid, sign), 0);
    CHECK(waitpid(other->pid, &status, 0) == other->pid);
    CHECK_INT(sign ? WTERMSIG(status) : status, sign);
    CHECK_INT(close(other->to) | close(other->from), 0);
}

static lend_lender *
reach(afar_client *client, const char *address)
{
    char name[ADDRESS_ROOM + 32];
    lend_lender *lender = NULL;
    afar_error err = AFAR_ERROR_INIT;

    snprintf(name, sizeof name, "afar://%s/lender", address);
    CHECK_OK(lend_lender_open(client, name, soon(), &lender, &err));
    return lender;
}

/* A client that takes what is lent, says so, and keeps it until it is told to go on. */
struct borrower {
    afar_client *client;
    lend_lender *lender;
    Lend__Things *things;
};

static void
borrow(struct borrower *borrower, int from, int to)
{
    Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;
    char address[ADDRESS_ROOM];
    afar_error err = AFAR_ERROR_INIT;

    read_all(from, address, sizeof address);
    CHECK_OK(afar_client_open(NULL, NULL, &borrower->client, &err));
    borrower->lender = reach(borrower->client, address);
    CHECK_OK(lend_lender_lend(borrower->lender, &request, soon(), &borrower->things, &err));
    write_all(to, "b", 1);
}

static void
borrow_for_good(int from, int to)
{
    struct borrower borrower = { .client = NULL };

    borrow(&borrower, from, to);
    for (;;)
        pause();
}

/* Gives them back, and closes in order. */
static void
borrow_and_release(int from, int to)
{
    struct borrower borrower = { .client = NULL };
    char go;

    borrow(&borrower, from, to);
    read_all(from, &go, 1);
    afar_message_free(borrower.things);
    lend_lender_close(borrower.lender);
    afar_client_close(borrower.client);
}

/* Closes in order while it has them. */
static void
borrow_and_close(int from, int to)
{
    struct borrower borrower = { .client = NULL };
    char go;

    borrow(&borrower, from, to);
    read_all(from, &go, 1);
    afar_client_close(borrower.client);
    afar_message_free(borrower.things);
    lend_lender_close(borrower.lender);
}

/* Tells it where the server is, and waits until it has what is lent. */
static void
other_borrows(struct other *other, const afar_server *server)
{
    char address[ADDRESS_ROOM] = "", step;

    snprintf(address, sizeof address, "%s", afar_server_address(server));
    write_all(other->to, address, sizeof address);
    read_all(other->from, &step, 1);
}

/* ---- the tests ---- */

static void
close_things(struct lender *lender)
{
    atomic_store(&lender->first_only, true); /* which may be lent while its grace runs */
    lend_thing_close(lender->kept.reference);
    lend_thing_close(lender->plain.reference);
}

static void
dies(unsigned grace_ms)
{
    struct lender lender = { .first_only = false };
    struct other other;

    other_start(&other, borrow_for_good);
    thing_make(&lender.kept, grace_ms);
    thing_make(&lender.plain, 0);
    afar_server *server = serve(&lender);
    other_borrows(&other, server);
    close_things(&lender);
    CHECK_INT(event_count(&lender.kept.finalized), 0);
    int64_t killed = now_ms();
    other_end(&other, SIGKILL);
    event_wait(&lender.plain.finalized, 1);
    event_wait(&lender.kept.finalized, 1); /* within its patience */
    CHECK(lender.kept.finalized_at - killed >= grace_ms);
    afar_server_close(server);
    CHECK_INT(event_count(&lender.kept.finalized), 1);
}

TEST(the_object_of_a_client_that_died_stays_for_its_grace)
{
    dies(SHORT_MS);
}

TEST(without_a_grace_it_goes_at_once)
{
    dies(0);
}

/* What was given back is gone, whatever the grace. */
static void
goes_in_order(void (*run)(int from, int to))
{
    struct lender lender = { .first_only = false };
    struct other other;

    other_start(&other, run);
    thing_make(&lender.kept, LONG_MS);
    thing_make(&lender.plain, 0);
    afar_server *server = serve(&lender);
    other_borrows(&other, server);
    close_things(&lender);
    write_all(other.to, "g", 1);
    event_wait(&lender.kept.finalized, 1);
    event_wait(&lender.plain.finalized, 1);
    other_end(&other, 0);
    afar_server_close(server);
}

TEST(a_released_object_has_no_grace)
{
    goes_in_order(borrow_and_release);
}

TEST(a_session_that_closes_in_order_has_no_grace)
{
    goes_in_order(borrow_and_close);
}

TEST(closing_the_server_ends_the_grace)
{
    struct lender lender = { .first_only = false };
    struct other other;

    other_start(&other, borrow_for_good);
    thing_make(&lender.kept, LONG_MS);
    thing_make(&lender.plain, 0);
    afar_server *server = serve(&lender);
    other_borrows(&other, server);
    close_things(&lender);
    other_end(&other, SIGKILL);
    event_wait(&lender.plain.finalized, 1);
    CHECK_INT(event_count(&lender.kept.finalized), 0);
    afar_server_close(server);
    CHECK_INT(event_count(&lender.kept.finalized), 1);
}

/* In the grace another client gets the object, and it stays as long as that one has it. */
TEST(a_client_that_comes_back_in_the_grace_is_served)
{
    struct lender lender = { .first_only = false };
    struct other first, second;

    other_start(&first, borrow_for_good);
    other_start(&second, borrow_for_good);
    thing_make(&lender.kept, SHORT_MS * 10);
    thing_make(&lender.plain, 0);
    afar_server *server = serve(&lender);
    other_borrows(&first, server);
    close_things(&lender);
    other_end(&first, SIGKILL);
    event_wait(&lender.plain.finalized, 1);
    other_borrows(&second, server);
    int64_t killed = now_ms();
    other_end(&second, SIGKILL);
    event_wait(&lender.kept.finalized, 1);
    CHECK(lender.kept.finalized_at - killed >= SHORT_MS * 10); /* that of the second */
    CHECK_INT(event_count(&lender.kept.finalized), 1);
    afar_server_close(server);
}

/* Many sessions break that had the object: it has one grace. */
TEST(many_clients_die_at_once)
{
    struct lender lender = { .first_only = false };
    struct other others[8];

    for (int i = 0; i < 8; i++)
        other_start(&others[i], borrow_for_good);
    thing_make(&lender.kept, SHORT_MS);
    thing_make(&lender.plain, 0);
    afar_server *server = serve(&lender);
    for (int i = 0; i < 8; i++)
        other_borrows(&others[i], server);
    close_things(&lender);
    int64_t killed = now_ms();
    for (int i = 0; i < 8; i++)
        other_end(&others[i], SIGKILL);
    event_wait(&lender.plain.finalized, 1);
    event_wait(&lender.kept.finalized, 1);
    CHECK(lender.kept.finalized_at - killed >= SHORT_MS);
    afar_server_close(server);
    CHECK_INT(event_count(&lender.kept.finalized), 1);
}

/* ---- the other way round ---- */

static void
be_a_server(int from, int to)
{
    struct lender lender = { .first_only = false };
    char address[ADDRESS_ROOM] = "";
    afar_server *server = serve(&lender);

    (void)from;
    snprintf(address, sizeof address, "%s", afar_server_address(server));
    write_all(to, address, sizeof address);
    for (;;)
        pause();
}

/* The client hosts the object, the server that has it dies; nobody polls but the library. */
static void
server_dies(unsigned grace_ms, bool close_early)
{
    struct other other;
    struct thing thing;
    char address[ADDRESS_ROOM];
    Afar__Ref room, *list = NULL;
    Lend__Things request = LEND__THINGS__INIT;
    Google__Protobuf__Empty *reply = NULL;
    afar_client *client = NULL;
    afar_error err = AFAR_ERROR_INIT;

    other_start(&other, be_a_server);
    read_all(other.from, address, sizeof address);
    thing_make(&thing, grace_ms);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    lend_lender *lender = reach(client, address);
    request.things = &list;
    request.n_things = 1;
    lend_things_put_things(&request, 0, &room, thing.reference);
    CHECK_OK(lend_lender_take(lender, &request, soon(), &reply, &err));
    afar_message_free(reply);
    lend_thing_close(thing.reference);
    CHECK_INT(event_count(&thing.finalized), 0);
    int64_t killed = now_ms();
    other_end(&other, SIGKILL);
    if (close_early) {
        lend_lender_close(lender);
        afar_client_close(client);
    }
    event_wait(&thing.finalized, 1);
    if (!close_early) {
        CHECK(thing.finalized_at - killed >= grace_ms);
        lend_lender_close(lender);
        afar_client_close(client);
    }
}

TEST(an_object_of_a_client_whose_server_died)
{
    server_dies(SHORT_MS, false);
}

TEST(closing_the_client_ends_the_grace)
{
    server_dies(LONG_MS, true);
}
