/* A name server that says what it is told to: what fake.h says. */

#include "fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <afar/message.h>

afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

/* ---- a folder ---- */

static char folder[100];

const char *
fake_home(void)
{
    snprintf(folder, sizeof folder, "%s/home-XXXXXX", check_folder());
    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(setenv("AFAR_HOME", folder, 1), 0);
    CHECK_INT(unsetenv("AFAR_NAMES"), 0);
    return folder;
}

const afar_key *
fake_key(int number)
{
    static afar_key *keys[10];
    afar_error err = AFAR_ERROR_INIT;
    char path[120];

    if (!keys[number]) {
        snprintf(path, sizeof path, "%s/key-%d", folder, number);
        CHECK_OK(afar_key_create(path, &keys[number], &err));
    }
    return keys[number];
}

/* ---- the name server ---- */

static const struct fake_answer *
answer_locked(const struct fake *fake, const char *name)
{
    for (int i = 0; i < fake->count; i++)
        if (strcmp(fake->answers[i].name, name) == 0)
            return &fake->answers[i];
    return NULL;
}

/* What the reply points to may be replaced meanwhile, so it is copied. */
static afar_code
copy_record(const afar__signed *record, Afar__Names__V1__Entry *entry, afar_call *call)
{
    ProtobufCBinaryData *parts[3];
    const ProtobufCBinaryData *from[] = { &record->record, &record->key, &record->signature };

    entry->record = afar_call_alloc(call, sizeof *entry->record);
    afar__names__v1__signed_record__init(entry->record);
    parts[0] = &entry->record->record;
    parts[1] = &entry->record->key;
    parts[2] = &entry->record->signature;
    for (int i = 0; i < 3; i++) {
        parts[i]->len = from[i]->len;
        parts[i]->data = afar_call_alloc(call, from[i]->len + 1);
        if (from[i]->len > 0)
            memcpy(parts[i]->data, from[i]->data, from[i]->len);
    }
    return AFAR_OK;
}

static afar_code
lookup(void *self, const Afar__Names__V1__LookupRequest *request,
       Afar__Names__V1__LookupReply *reply, afar_call *call)
{
    struct fake *fake = self;
    const struct fake_answer *answer;
    afar_code code;

    atomic_fetch_add(&fake->lookups, 1);
    pthread_mutex_lock(&fake->lock);
    while (fake->held)
        pthread_cond_wait(&fake->changed, &fake->lock);
    answer = answer_locked(fake, request->name);
    code = fake->code;
    if (!code && !answer)
        code = AFAR_NOT_FOUND;
    if (!code) {
        reply->entry = afar_call_alloc(call, sizeof *reply->entry);
        afar__names__v1__entry__init(reply->entry);
        reply->entry->lease_left_ms = answer->left_ms;
        if (answer->record)
            code = copy_record(answer->record, reply->entry, call);
    }
    pthread_mutex_unlock(&fake->lock);
    return code ? afar_call_fail(call, code, "as it was told") : AFAR_OK;
}

static const afar_names_v1_names_methods methods = { .lookup = lookup };

static void
serve_names(struct fake *fake, const char *address)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_names_v1_names *names = NULL;
    afar_error err = AFAR_ERROR_INIT;

    options.mode = AFAR_CONCURRENT;
    CHECK_OK(afar_server_open(NULL, address, NULL, &fake->server, &err));
    CHECK_OK(afar_names_v1_names_new(&methods, fake, &options, &names, &err));
    CHECK_OK(afar_server_export(fake->server, "", afar_names_v1_names_object(names), &err));
    afar_names_v1_names_close(names);
    CHECK_OK(afar_server_start(fake->server, &err));
    snprintf(fake->address, sizeof fake->address, "%s", afar_server_address(fake->server));
}

void
fake_open(struct fake *fake)
{
    memset(fake, 0, sizeof *fake);
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    serve_names(fake, "127.0.0.1:0");
}

void
fake_stop(struct fake *fake)
{
    afar_server_close(fake->server);
    fake->server = NULL;
}

void
fake_start_again(struct fake *fake)
{
    char address[sizeof fake->address];

    snprintf(address, sizeof address, "%s", fake->address);
    serve_names(fake, address);
}

void
fake_close(struct fake *fake)
{
    fake_stop(fake);
    for (int i = 0; i < fake->count; i++)
        afar__record_free(fake->answers[i].record);
    pthread_mutex_destroy(&fake->lock);
    pthread_cond_destroy(&fake->changed);
}

void
fake_fail(struct fake *fake, afar_code code)
{
    pthread_mutex_lock(&fake->lock);
    fake->code = code;
    pthread_mutex_unlock(&fake->lock);
}

void
fake_hold(struct fake *fake, bool held)
{
    pthread_mutex_lock(&fake->lock);
    fake->held = held;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

/* ---- records ---- */

void
fake_record_init(struct fake_record *record, const char *name, const char *endpoint)
{
    static const uint8_t nonce[24];

    memset(record, 0, sizeof *record);
    afar__names__v1__record__init(&record->record);
    record->record.name = (char *)name;
    record->record.endpoints = record->endpoints;
    record->endpoints[0] = (char *)endpoint;
    record->record.n_endpoints = endpoint ? 1 : 0;
    record->record.generation = 1;
    record->record.lease_ms = 15000;
    record->record.nonce = (ProtobufCBinaryData){ sizeof nonce, (uint8_t *)nonce };
    record->key = fake_key(0);
    record->left_ms = 15000;
}

void
fake_put_signed(struct fake *fake, const char *name, afar__signed *record, uint32_t left_ms)
{
    int i = 0;

    pthread_mutex_lock(&fake->lock);
    while (i < fake->count && strcmp(fake->answers[i].name, name) != 0)
        i++;
    if (i == fake->count)
        fake->count++;
    else
        afar__record_free(fake->answers[i].record);
    fake->answers[i] = (struct fake_answer){ name, record, left_ms };
    pthread_mutex_unlock(&fake->lock);
}

void
fake_put(struct fake *fake, const char *name, const struct fake_record *record)
{
    struct fake_record own = *record;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *made = NULL;

    own.record.endpoints = own.endpoints;
    CHECK_OK(afar__record_sign(own.key, AFAR__PURPOSE_RECORD, &own.record.base, &made, &err));
    fake_put_signed(fake, name, made, own.left_ms);
}

void
fake_record_at(struct fake_record *record, const char *name, const struct home *home)
{
    fake_record_init(record, name, home->endpoint);
    record->record.instance.data = (uint8_t *)afar_node_instance(home->node);
    record->record.instance.len = AFAR__INSTANCE_BYTES;
}

/* ---- a server ---- */

static afar_code
say_number(void *self, const Client__Word *request, Client__Word *reply, afar_call *call)
{
    (void)request;
    (void)call;
    reply->number = (int64_t)(intptr_t)self;
    return AFAR_OK;
}

static const client_thing_methods things = { .ask = say_number };

void
home_open(struct home *home, const char *address, int64_t number)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;

    memset(home, 0, sizeof *home);
    CHECK_OK(afar_node_open(NULL, &home->node, &err));
    CHECK_OK(afar_server_open(home->node, address, NULL, &home->server, &err));
    CHECK_OK(client_thing_new(&things, (void *)(intptr_t)number, NULL, &thing, &err));
    for (int i = 0; i < 4; i++)
        CHECK_OK(afar_server_export(home->server, names[i], client_thing_object(thing), &err));
    client_thing_close(thing);
    CHECK_OK(afar_server_start(home->server, &err));
    snprintf(home->endpoint, sizeof home->endpoint, "%s%s",
             strncmp(address, "unix:", 5) == 0 ? "" : "grpc://", afar_server_address(home->server));
}

void
home_close(struct home *home)
{
    afar_server_close(home->server);
    afar_node_close(home->node);
}

/* ---- clients ---- */

afar_client *
client_of(const struct fake *fake, const char *known_names)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    options.names = fake->address;
    options.known_names = known_names;
    CHECK_OK(afar_client_open(NULL, &options, &client, &err));
    return client;
}

int64_t
number_at(afar_client *client, const char *name)
{
    Client__Word request = CLIENT__WORD__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;
    int64_t number;

    CHECK_OK(client_thing_open(client, name, soon(), &thing, &err));
    CHECK_OK(client_thing_ask(thing, &request, soon(), &reply, &err));
    number = reply->number;
    afar_message_free(reply);
    client_thing_close(thing);
    return number;
}

void
check_refused(afar_client *client, const char *name, afar_code code, const char *message)
{
    afar_error err = AFAR_ERROR_INIT;
    client_thing *thing = NULL;

    CHECK_FAILS(client_thing_open(client, name, soon(), &thing, &err), code);
    CHECK_STR(err.message, message);
    CHECK_INT(err.outcome, AFAR_OUTCOME_NOT_SENT);
    CHECK(!thing);
    afar_error_clear(&err);
}
