/* The client of the name server: looks names up, or registers them, over the wire.
 *
 *     bench-names seq|conc lookup|register ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * `seq` is one client that blocks in one call at a time.  `conc` is 64 clients, each
 * with a connection of its own and one call at a time; all of them are on one thread,
 * which waits for the call that has waited longest.
 *
 * A look-up is the call Lookup of afar.names.v1.Names, without the cache that
 * afar_object_open has, of one of KNOWN names; the record that comes back must be, byte
 * for byte, the one that was registered.  A registration is a record of a new name:
 * made and signed here, checked and kept by the name server.  Each client has a key
 * and a lease, and takes new ones before its key has as many names as it may have.
 *
 * Calls have no deadline, as in client.c. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/names.afar.h>

#include "bench.h"
#include "runtime/key.h"
#include "runtime/record.h"

#define OPEN_MS 10000
#define KNOWN 100        /* names that are looked up */
#define MOST_NAMES 10000 /* under one key */
#define NONCE_BYTES 64   /* at most */
#define NAME 64
#define NONCE_NS (20 * INT64_C(1000000000)) /* it is good for a minute */

typedef struct member {
    unsigned number;
    afar_client *client;
    afar_names_v1_names *names;

    /* The call under way. */
    afar_future *future;
    int64_t since;
    size_t looked; /* which of the known names */

    /* Who it registers as. */
    afar_key *key;
    afar__record record; /* the last one; most of it is the same in all */
    char name[NAME];     /* in it */
    uint8_t lease[AFAR__LEASE_BYTES];
    uint8_t nonce[NONCE_BYTES];
    int64_t asked;       /* for the nonce */
    uint64_t registered; /* names, under all its keys */
} member;

static struct {
    char name[NAME];
    afar__signed *record;
} known[KNOWN];

/* Ends the program if something failed. */
static void
expect(afar_code code, const afar_error *err, const char *what)
{
    if (code)
        bench_fail("%s: %s: %s", what, afar_code_name(code), err->message);
}

/* ---- a look-up ---- */

static Afar__Names__V1__LookupRequest
next_lookup(member *m)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;

    m->looked = (m->looked + 1) % KNOWN;
    request.name = known[m->looked].name;
    return request;
}

static void
take_lookup(member *m, Afar__Names__V1__LookupReply *reply)
{
    if (!reply->entry || !reply->entry->record ||
        !afar__record_equal(reply->entry->record, known[m->looked].record))
        bench_fail("%s: the record is not the one that was registered", known[m->looked].name);
    afar_message_free(reply);
}

static void
lookup(member *m)
{
    Afar__Names__V1__LookupRequest request = next_lookup(m);
    Afar__Names__V1__LookupReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    expect(afar_names_v1_names_lookup(m->names, &request, AFAR_FOREVER, &reply, &err), &err,
           "look up");
    take_lookup(m, reply);
}

static void
start_lookup(member *m)
{
    Afar__Names__V1__LookupRequest request = next_lookup(m);
    afar_error err = AFAR_ERROR_INIT;

    expect(
        afar_names_v1_names_lookup_start(m->names, &request, AFAR_FOREVER, NULL, &m->future, &err),
        &err, "look up");
}

static void
finish_lookup(member *m)
{
    Afar__Names__V1__LookupReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    expect(afar_names_v1_names_lookup_await(m->future, AFAR_FOREVER, &reply, &err), &err,
           "look up");
    take_lookup(m, reply);
}

/* ---- a registration ---- */

static void
ask_nonce(member *m)
{
    Afar__Names__V1__ChallengeRequest request = AFAR__NAMES__V1__CHALLENGE_REQUEST__INIT;
    Afar__Names__V1__ChallengeReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    expect(afar_names_v1_names_challenge(m->names, &request, AFAR_FOREVER, &reply, &err), &err,
           "challenge");
    if (reply->nonce.len > sizeof m->nonce)
        bench_fail("the nonce has %zu bytes", reply->nonce.len);
    memcpy(m->nonce, reply->nonce.data, reply->nonce.len);
    m->record.nonce = (ProtobufCBinaryData){ reply->nonce.len, m->nonce };
    m->record.generation = reply->revision + 1;
    m->asked = bench_now();
    afar_message_free(reply);
}

/* The first record of a key asks for a lease, and the others join it. */
static void
take_key(member *m)
{
    afar_error err = AFAR_ERROR_INIT;
    uint8_t seed[AFAR__SEED_BYTES];

    expect(afar__secure_start(&err), &err, "libsodium");
    afar__secure_random(seed, sizeof seed);
    afar_key_close(m->key);
    expect(afar__key_from_seed(seed, &m->key, &err), &err, "make a key");
    m->record.lease = (ProtobufCBinaryData){ 0, NULL };
}

static void
print_name(const member *m, uint64_t name, char text[NAME])
{
    snprintf(text, NAME, "bench/%u/%llu", m->number, (unsigned long long)name);
}

/* The signed record of the next new name. */
static afar__signed *
next_record(member *m)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record = NULL;

    if (m->registered % MOST_NAMES == 0)
        take_key(m);
    if (m->asked == 0 || bench_now() - m->asked > NONCE_NS)
        ask_nonce(m);
    print_name(m, m->registered, m->name);
    m->record.name = m->name;
    expect(afar__record_sign(m->key, AFAR__PURPOSE_RECORD, &m->record.base, &record, &err), &err,
           "sign");
    return record;
}

static void
take_registered(member *m, Afar__Names__V1__RegisterReply *reply)
{
    if (reply->lease.len != sizeof m->lease || reply->revision == 0)
        bench_fail("a registration was answered without a lease or a revision");
    if (m->record.lease.len == 0)
        memcpy(m->lease, reply->lease.data, sizeof m->lease);
    else if (memcmp(m->lease, reply->lease.data, sizeof m->lease) != 0)
        bench_fail("a name is not under the lease that it was to join");
    m->record.lease = (ProtobufCBinaryData){ sizeof m->lease, m->lease };
    m->registered++;
    afar_message_free(reply);
}

static void
register_record(member *m, afar__signed *record)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    Afar__Names__V1__RegisterReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    request.record = record;
    expect(afar_names_v1_names_register_(m->names, &request, AFAR_FOREVER, &reply, &err), &err,
           "register");
    take_registered(m, reply);
}

static void
register_next(member *m)
{
    afar__signed *record = next_record(m);

    register_record(m, record);
    afar__record_free(record);
}

static void
start_register(member *m)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    afar_error err = AFAR_ERROR_INIT;

    request.record = next_record(m);
    expect(afar_names_v1_names_register_start(m->names, &request, AFAR_FOREVER, NULL, &m->future,
                                              &err),
           &err, "register");
    afar__record_free(request.record);
}

static void
finish_register(member *m)
{
    Afar__Names__V1__RegisterReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    expect(afar_names_v1_names_register_await(m->future, AFAR_FOREVER, &reply, &err), &err,
           "register");
    take_registered(m, reply);
}

/* ---- one client, or many ---- */

typedef struct names_work {
    const char *name;
    void (*call)(member *m);
    void (*start)(member *m);
    void (*finish)(member *m);
} names_work;

static const names_work works[] = {
    { "lookup", lookup, start_lookup, finish_lookup },
    { "register", register_next, start_register, finish_register },
};

static void
run_one(member *m, const names_work *work, const bench_options *options)
{
    static bench_meter meter;
    int64_t since = bench_now();

    bench_meter_start(&meter, options, since, true);
    do
        work->call(m);
    while (bench_meter_note(&meter, &since));
    bench_report_meter(&meter);
}

static void
finish(member *m, const names_work *work)
{
    work->finish(m);
    afar_future_close(m->future);
    m->future = NULL;
}

static void
run_many(member *members, const names_work *work, const bench_options *options)
{
    static bench_meter meter;
    size_t oldest = 0;

    bench_meter_start(&meter, options, bench_now(), true);
    for (size_t i = 0; i < BENCH_WINDOW; i++) {
        members[i].since = bench_now();
        work->start(&members[i]);
    }
    for (;; oldest = (oldest + 1) % BENCH_WINDOW) {
        finish(&members[oldest], work);
        if (!bench_meter_note(&meter, &members[oldest].since))
            break;
        work->start(&members[oldest]);
    }
    for (size_t i = 0; i < BENCH_WINDOW; i++)
        if (members[i].future)
            finish(&members[i], work);
    bench_report_meter(&meter);
}

/* ---- all of it ---- */

static void
open_member(member *m, unsigned number, const char *address)
{
    static char *endpoints[] = { "grpc://127.0.0.1:7001" };
    static char *interfaces[] = { "bench.Echo" };
    static const afar__record empty = AFAR__NAMES__V1__RECORD__INIT;
    afar_error err = AFAR_ERROR_INIT;

    m->number = number;
    m->looked = number % KNOWN;
    m->record = empty;
    m->record.n_endpoints = 1;
    m->record.endpoints = endpoints;
    m->record.n_interfaces = 1;
    m->record.interfaces = interfaces;
    m->record.lease_ms = AFAR__MAX_LEASE_MS;
    expect(afar_client_open(NULL, NULL, &m->client, &err), &err, "open a client");
    expect(afar_names_v1_names_open(m->client, address, afar_after_ms(OPEN_MS), &m->names, &err),
           &err, address);
}

static void
close_member(member *m)
{
    afar_key_close(m->key);
    afar_names_v1_names_close(m->names);
    afar_client_close(m->client);
}

/* The names that are looked up are registered by the first client. */
static void
make_known(member *m)
{
    for (size_t i = 0; i < KNOWN; i++) {
        known[i].record = next_record(m);
        print_name(m, i, known[i].name);
        register_record(m, known[i].record);
    }
}

static const names_work *
find_work(const char *name)
{
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (strcmp(works[i].name, name) == 0)
            return &works[i];
    bench_fail("there is no work called %s", name);
}

int
main(int argc, char **argv)
{
    static member members[BENCH_WINDOW];
    bench_options options;
    char address[256];

    bench_options_read(&options, argc - 1, argv + 1);
    if (options.work != BENCH_SEQ && options.work != BENCH_CONC)
        bench_fail("names are looked up by one client (seq) or by many (conc)");
    const names_work *work = find_work(options.variant);
    bool local = strncmp(options.address, "unix:", 5) == 0;
    snprintf(address, sizeof address, "%s%s", local ? "" : "grpc://", options.address);
    unsigned count = options.work == BENCH_CONC ? BENCH_WINDOW : 1;
    for (unsigned i = 0; i < count; i++)
        open_member(&members[i], i, address);
    make_known(&members[0]);
    if (count == 1)
        run_one(&members[0], work, &options);
    else
        run_many(members, work, &options);
    for (unsigned i = 0; i < count; i++)
        close_member(&members[i]);
    for (size_t i = 0; i < KNOWN; i++)
        afar__record_free(known[i].record);
    return EXIT_SUCCESS;
}
