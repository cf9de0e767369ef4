/* A name server that answers what it should not: a server that registers there must neither
 * fall nor flood it, and says what is wrong.  The answers are made up by an object that
 * each test fills in.
 *
 * Labels: concurrent waits.  Cost: 14 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <afar/names.afar.h>

#include "names_host.h"

/* What is answered; the lengths are of zero bytes. */
struct liar {
    size_t nonce, lease, epoch;
    uint32_t lease_ms;
    afar_code refuses; /* registrations, without a detail */
    afar_code renews;
    uint64_t stale; /* the sequence number that renewals are told, if it is not 0 */
    const char *lost;
    bool forgets; /* each lease at once */
    bool hangs;   /* after the first name: "y" is refused as UNAVAILABLE, the others wait */
    afar_call *waiting[8];
    atomic_int challenges, registrations, renewals, removals, waits;
};

static ProtobufCBinaryData
zeroes(size_t length)
{
    static uint8_t bytes[200];
    ProtobufCBinaryData made = { length, bytes };

    return made;
}

static afar_code
challenge(void *self, const Afar__Names__V1__ChallengeRequest *request,
          Afar__Names__V1__ChallengeReply *reply, afar_call *call)
{
    struct liar *liar = self;

    (void)request;
    (void)call;
    atomic_fetch_add(&liar->challenges, 1);
    reply->nonce = zeroes(liar->nonce);
    reply->epoch = zeroes(16);
    reply->revision = UINT64_MAX;
    return AFAR_OK;
}

/* The name too, if `name` is not NULL. */
static bool
joins_a_lease(const afar__signed *record, char name[8])
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *read = NULL;

    CHECK_OK(afar__record_verify(record, AFAR__PURPOSE_RECORD, &read, &err));
    bool joins = ((const afar__record *)read)->lease.len > 0;
    if (name)
        snprintf(name, 8, "%s", ((const afar__record *)read)->name);
    afar_message_free(read);
    return joins;
}

/* The answer to a name that joins. */
static afar_code
hang(struct liar *liar, const char *name, afar_call *call)
{
    if (strcmp(name, "y") == 0)
        return afar_call_fail(call, AFAR_UNAVAILABLE, "not today");
    afar_call_defer(call);
    liar->waiting[atomic_fetch_add(&liar->waits, 1)] = call;
    return AFAR_OK;
}

static afar_code
register_(void *self, const Afar__Names__V1__RegisterRequest *request,
          Afar__Names__V1__RegisterReply *reply, afar_call *call)
{
    Afar__Names__V1__Held held = AFAR__NAMES__V1__HELD__INIT;
    struct liar *liar = self;
    char name[8];

    atomic_fetch_add(&liar->registrations, 1);
    if (liar->hangs && joins_a_lease(request->record, name))
        return hang(liar, name, call);
    if (liar->forgets && joins_a_lease(request->record, NULL))
        return afar_call_fail(call, AFAR_NOT_FOUND, "that lease is over");
    if (liar->refuses == AFAR_ALREADY_EXISTS) {
        held.key = zeroes(32);
        return afar_names_v1_held_fail(call, AFAR_ALREADY_EXISTS, &held, "not today");
    }
    if (liar->refuses)
        return afar_call_fail(call, liar->refuses, "not today");
    reply->lease = zeroes(liar->lease);
    reply->epoch = zeroes(liar->epoch);
    reply->lease_ms = liar->lease_ms;
    return AFAR_OK;
}

static afar_code
renew(void *self, const Afar__Names__V1__RenewRequest *request, Afar__Names__V1__RenewReply *reply,
      afar_call *call)
{
    Afar__Names__V1__Stale stale = AFAR__NAMES__V1__STALE__INIT;
    struct liar *liar = self;

    (void)request;
    atomic_fetch_add(&liar->renewals, 1);
    if (liar->stale) {
        stale.epoch = zeroes(16);
        stale.sequence = liar->stale;
        return afar_names_v1_stale_fail(call, AFAR_FAILED_PRECONDITION, &stale, "too old");
    }
    if (liar->renews)
        return afar_call_fail(call, liar->renews, "not today");
    reply->lease_ms = liar->lease_ms;
    if (liar->lost) {
        reply->n_lost = 1;
        reply->lost = (char **)&liar->lost;
    }
    return AFAR_OK;
}

static afar_code
unregister(void *self, const Afar__Names__V1__UnregisterRequest *request,
           Afar__Names__V1__UnregisterReply *reply, afar_call *call)
{
    struct liar *liar = self;

    (void)request;
    (void)reply;
    (void)call;
    atomic_fetch_add(&liar->removals, 1);
    return AFAR_OK;
}

static afar_code
lookup(void *self, const Afar__Names__V1__LookupRequest *request,
       Afar__Names__V1__LookupReply *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    (void)call;
    return AFAR_OK;
}

static const afar_names_v1_names_methods methods = { .challenge = challenge,
                                                     .register_ = register_,
                                                     .renew = renew,
                                                     .unregister = unregister,
                                                     .lookup = lookup };

/* What an honest one would answer. */
static struct liar
make_liar(void)
{
    struct liar liar = { .nonce = 24, .lease = 16, .epoch = 16, .lease_ms = 1000 };

    return liar;
}

/* The server of the liar; `host` has its address. */
static afar_server *
serve_lies(struct liar *liar, struct names_host *host)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_names_v1_names *names = NULL;
    afar_server *server = NULL;

    names_home();
    CHECK_OK(afar_names_v1_names_new(&methods, liar, NULL, &names, &err));
    CHECK_OK(afar_server_open(NULL, TCP, NULL, &server, &err));
    CHECK_OK(afar_server_export(server, "", afar_names_v1_names_object(names), &err));
    CHECK_OK(afar_server_start(server, &err));
    afar_names_v1_names_close(names);
    memset(host, 0, sizeof *host);
    snprintf(host->address, sizeof host->address, "%s", afar_server_address(server));
    return server;
}

/* Serves `x` there, expects it to wait for a reason, and to ask for it at a pace. */
static void
check_waits(struct liar *liar, const char *why)
{
    struct names_host host;
    afar_server *lies = serve_lies(liar, &host);
    afar_server_options options = names_options(&host, 0);
    int64_t start = now_ms();
    afar_server *server = names_serve(&options, "x");

    names_wait_reason(server, why);
    CHECK(afar_server_registered(server, afar_after_ms(400), NULL));
    int64_t most = 20 + (now_ms() - start) / 20;
    CHECK(liar->registrations < most);
    CHECK(liar->challenges < most);
    afar_server_close(server);
    afar_server_close(lies);
}

/* Serves `x`, which succeeds, and waits for so many of something. */
static void
check_comes(struct liar *liar, atomic_int *what, int count)
{
    const struct timespec pause = { 0, 5000000 };
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;
    afar_server *lies = serve_lies(liar, &host);
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    int64_t end = now_ms() + 15000;

    CHECK_OK(afar_server_registered(server, soon(), &err));
    while (atomic_load(what) < count && now_ms() < end)
        nanosleep(&pause, NULL);
    CHECK(atomic_load(what) >= count);
    afar_server_close(server);
    afar_server_close(lies);
}

static void
export_another(afar_server *server, const char *name)
{
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);

    export_probe(server, name, probe);
    test_probe_close(probe);
}

TEST(an_honest_answer_is_taken)
{
    struct liar liar = make_liar();

    check_comes(&liar, &liar.renewals, 2);
    CHECK_INT(liar.registrations, 1);
    CHECK_INT(liar.removals, 1);
}

TEST(a_nonce_of_the_wrong_length)
{
    struct liar liar = make_liar();

    liar.nonce = 65;
    check_waits(&liar, "a nonce of no use");
}

TEST(no_nonce)
{
    struct liar liar = make_liar();

    liar.nonce = 0;
    check_waits(&liar, "a nonce of no use");
}

TEST(a_lease_of_the_wrong_length)
{
    struct liar liar = make_liar();

    liar.lease = 15;
    check_waits(&liar, "a lease of no use");
}

TEST(an_epoch_of_the_wrong_length)
{
    struct liar liar = make_liar();

    liar.epoch = 17;
    check_waits(&liar, "a lease of no use");
}

TEST(a_lease_without_a_term)
{
    struct liar liar = make_liar();

    liar.lease_ms = 0;
    check_waits(&liar, "a lease of no use");
}

/* Whatever term is granted, renewals have a pace. */
TEST(a_term_that_is_too_short)
{
    struct liar liar = make_liar();

    liar.lease_ms = 1;
    int64_t before = now_ms();
    check_comes(&liar, &liar.renewals, 10);
    CHECK(now_ms() - before > 500);
}

TEST(held_by_nobody)
{
    struct liar liar = make_liar();

    liar.refuses = AFAR_ALREADY_EXISTS;
    check_waits(&liar, "x is not registered: not today");
}

/* By a lease that is always said to be over. */
TEST(many_names_held_by_nobody)
{
    const int count = 200;
    struct liar liar = make_liar();
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;
    char name[16];

    liar.refuses = AFAR_ALREADY_EXISTS;
    afar_server *lies = serve_lies(&liar, &host);
    afar_server_options options = names_options(&host, 0);
    int64_t start = now_ms();
    afar_server *server = names_serve(&options, NULL);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "x/%d", i);
        export_another(server, name);
    }
    CHECK_FAILS(afar_server_registered(server, afar_after_ms(2000), &err), AFAR_DEADLINE_EXCEEDED);
    CHECK(liar.registrations < count * (3 + 4 * (now_ms() - start) / 1000));
    CHECK(liar.challenges < 20 + (now_ms() - start) / 4);
    afar_error_clear(&err);
    afar_server_close(server);
    afar_server_close(lies);
}

TEST(always_too_old)
{
    struct liar liar = make_liar();

    liar.refuses = AFAR_FAILED_PRECONDITION;
    check_waits(&liar, "not today");
}

TEST(a_lease_that_is_over_before_it_began)
{
    struct liar liar = make_liar();

    liar.refuses = AFAR_NOT_FOUND;
    check_waits(&liar, "not today");
}

TEST(each_lease_is_forgotten_at_once)
{
    struct liar liar = make_liar();
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;

    liar.forgets = true;
    afar_server *lies = serve_lies(&liar, &host);
    afar_server_options options = names_options(&host, 0);
    afar_server *server = names_serve(&options, "x");
    export_another(server, "y");
    CHECK_FAILS(afar_server_registered(server, afar_after_ms(1000), &err), AFAR_DEADLINE_EXCEEDED);
    CHECK(liar.registrations < 100);
    afar_error_clear(&err);
    afar_server_close(server);
    afar_server_close(lies);
}

/* The connection is given up for one call, and others are still under way there: closing
 * the server does not wait for them. */
TEST(one_fails_and_the_others_hang)
{
    const struct timespec pause = { 0, 5000000 };
    struct liar liar = make_liar();
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;

    liar.hangs = true;
    liar.lease_ms = 3600000;
    afar_server *lies = serve_lies(&liar, &host);
    afar_server_options options = names_options(&host, 0);
    afar_server *server = NULL;
    CHECK_OK(afar_server_open(NULL, TCP, &options, &server, &err));
    export_another(server, "x");
    export_another(server, "y");
    export_another(server, "z");
    CHECK_OK(afar_server_start(server, &err));
    names_wait_reason(server, "is away: not today");
    int64_t start = now_ms();
    while (atomic_load(&liar.waits) < 1 && now_ms() - start < 4000)
        nanosleep(&pause, NULL);
    CHECK_INT(liar.waits, 1);
    start = now_ms();
    afar_server_close(server);
    CHECK(now_ms() - start < 3500); /* a second, and a slow machine */
    afar_call_finish(liar.waiting[0], AFAR_OK);
    afar_server_close(lies);
}

TEST(refused_for_another_reason)
{
    struct liar liar = make_liar();

    liar.refuses = AFAR_PERMISSION_DENIED;
    check_waits(&liar, "not today");
}

/* The lease stays, and so do the names. */
TEST(renewals_refused)
{
    struct liar liar = make_liar();

    liar.renews = AFAR_PERMISSION_DENIED;
    int64_t before = now_ms();
    check_comes(&liar, &liar.renewals, 5);
    CHECK(now_ms() - before > 500);
    CHECK_INT(liar.registrations, 1);
}

TEST(stale_for_ever)
{
    struct liar liar = make_liar();

    liar.stale = 5;
    int64_t before = now_ms();
    check_comes(&liar, &liar.renewals, 8);
    CHECK(now_ms() - before > 500);
}

/* No number is left after that one. */
TEST(a_sequence_number_without_a_next)
{
    struct liar liar = make_liar();

    liar.stale = UINT64_MAX;
    check_comes(&liar, &liar.renewals, 3);
}

/* It was registered, then lost, and the entry is missing in the answer. */
TEST(lost_to_nobody_knows_whom)
{
    struct liar liar = make_liar();

    liar.lost = "x";
    check_comes(&liar, &liar.challenges, 3);
}

TEST(lost_what_was_never_there)
{
    struct liar liar = make_liar();

    liar.lost = "y";
    check_comes(&liar, &liar.renewals, 3);
    CHECK_INT(liar.registrations, 1);
}
