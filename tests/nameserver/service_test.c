/* The interface afar.names.v1.Names, as callers see it.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>
#include <afar/message.h>
#include <afar/names.afar.h>
#include <afar/server.h>

#include "registry_host.h"
#include "server/nameserver/page.h"
#include "server/nameserver/service.h"

/* A name server and a client of it.  The server closes before the registry, so no call is
 * left that would use it. */
struct service {
    afar__registry *registry;
    afar_server *server;
    afar_client *client;
    afar_names_v1_names *names;
};

static afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

static void
service_over(struct service *service, afar__registry *registry)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object;

    service->registry = registry;
    CHECK_OK(afar__names_service_new(registry, &object, &err));
    CHECK_OK(afar_server_open(NULL, "inproc:service", NULL, &service->server, &err));
    CHECK_OK(afar_server_export(service->server, "", object, &err));
    afar_object_close(object);
    CHECK_OK(afar_server_start(service->server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &service->client, &err));
    CHECK_OK(
        afar_names_v1_names_open(service->client, "inproc:service", soon(), &service->names, &err));
}

static void
service_open(struct service *service)
{
    service_over(service, host_open("memory"));
}

static void
service_close(struct service *service)
{
    afar_names_v1_names_close(service->names);
    afar_client_close(service->client);
    afar_server_close(service->server);
    afar__registry_close(service->registry);
}

static afar_code
call_register(struct service *service, const struct wish *wish,
              Afar__Names__V1__RegisterReply **ret_reply, afar_error *err)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    afar__signed *record = sign_wish(service->registry, wish);
    afar_code code;

    request.record = record;
    code = afar_names_v1_names_register_(service->names, &request, soon(), ret_reply, err);
    afar__record_free(record);
    return code;
}

static afar_code
call_lookup(struct service *service, const char *name, Afar__Names__V1__LookupReply **ret_reply,
            afar_error *err)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;

    request.name = (char *)name;
    return afar_names_v1_names_lookup(service->names, &request, soon(), ret_reply, err);
}

TEST(a_name_is_registered_and_looked_up)
{
    Afar__Names__V1__ChallengeRequest ask = AFAR__NAMES__V1__CHALLENGE_REQUEST__INIT;
    struct wish wish = { .name = "bank/alice", .key = 1, .lease_ms = 5000 };
    Afar__Names__V1__ChallengeReply *challenge;
    Afar__Names__V1__RegisterReply *given;
    Afar__Names__V1__LookupReply *found;
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message;
    struct service service;

    service_open(&service);
    CHECK_OK(afar_names_v1_names_challenge(service.names, &ask, soon(), &challenge, &err));
    CHECK_INT(challenge->nonce.len, AFAR__NONCE_BYTES);
    CHECK_INT(challenge->epoch.len, AFAR__EPOCH_BYTES);
    wish.nonce = challenge->nonce.data;
    CHECK_OK(call_register(&service, &wish, &given, &err));
    CHECK_INT(given->revision, challenge->revision + 1);
    CHECK_INT(given->lease_ms, 5000);
    CHECK_INT(given->lease.len, AFAR__LEASE_BYTES);
    CHECK_INT(given->epoch.len, AFAR__EPOCH_BYTES);
    CHECK(memcmp(given->epoch.data, challenge->epoch.data, AFAR__EPOCH_BYTES) == 0);
    CHECK_OK(call_lookup(&service, "bank/alice", &found, &err));
    CHECK_INT(found->entry->revision, given->revision);
    CHECK_INT(found->entry->lease_left_ms, 5000);
    CHECK_INT(found->entry->lease.len, AFAR__LEASE_BYTES);
    CHECK(memcmp(found->entry->lease.data, given->lease.data, AFAR__LEASE_BYTES) == 0);
    CHECK(memcmp(found->epoch.data, challenge->epoch.data, AFAR__EPOCH_BYTES) == 0);
    /* What comes back is what was signed. */
    CHECK_OK(afar__record_verify(found->entry->record, AFAR__PURPOSE_RECORD, &message, &err));
    CHECK_STR(((afar__record *)message)->name, "bank/alice");
    CHECK(memcmp(afar__record_key(found->entry->record), key_bytes(1), AFAR__PUBLIC_BYTES) == 0);
    afar_message_free(message);
    afar_message_free(found);
    afar_message_free(given);
    afar_message_free(challenge);
    service_close(&service);
}

TEST(refusals_carry_their_details)
{
    struct wish wish = { .name = "bank/alice", .key = 1, .lease_ms = 5000 };
    Afar__Names__V1__RenewRequest renew = AFAR__NAMES__V1__RENEW_REQUEST__INIT;
    Afar__Names__V1__UnregisterRequest remove = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__RegisterReply *given, *none;
    Afar__Names__V1__UnregisterReply *removed;
    Afar__Names__V1__LookupReply *found;
    Afar__Names__V1__RenewReply *renewed;
    afar_error err = AFAR_ERROR_INIT;
    struct service service;

    service_open(&service);
    CHECK_FAILS(call_lookup(&service, "bank/alice", &found, &err), AFAR_NOT_FOUND);
    CHECK(strstr(err.message, "bank/alice"));
    CHECK_OK(call_register(&service, &wish, &given, &err));
    wish.key = 2;
    CHECK_FAILS(call_register(&service, &wish, &none, &err), AFAR_ALREADY_EXISTS);
    CHECK(afar_names_v1_held_of(&err));
    CHECK_INT(afar_names_v1_held_of(&err)->lease_left_ms, 5000);
    renew.renewal = sign_renewal(service.registry, 1, given->lease.data, 0);
    CHECK_FAILS(afar_names_v1_names_renew(service.names, &renew, soon(), &renewed, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK(afar_names_v1_stale_of(&err));
    remove.removal = sign_removal(service.registry, 1, given->lease.data, 0, NULL);
    CHECK_FAILS(afar_names_v1_names_unregister(service.names, &remove, soon(), &removed, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK(afar_names_v1_stale_of(&err));
    CHECK_INT(afar_names_v1_stale_of(&err)->epoch.len, AFAR__EPOCH_BYTES);
    afar__record_free(renew.renewal);
    afar__record_free(remove.removal);
    afar_message_free(given);
    afar_error_clear(&err);
    service_close(&service);
}

TEST(a_request_without_its_record_is_refused)
{
    Afar__Names__V1__RegisterRequest record = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    Afar__Names__V1__RenewRequest renew = AFAR__NAMES__V1__RENEW_REQUEST__INIT;
    Afar__Names__V1__UnregisterRequest remove = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__RegisterReply *given;
    Afar__Names__V1__UnregisterReply *removed;
    Afar__Names__V1__RenewReply *renewed;
    afar_error err = AFAR_ERROR_INIT;
    struct service service;

    service_open(&service);
    CHECK_FAILS(afar_names_v1_names_register_(service.names, &record, soon(), &given, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_names_v1_names_renew(service.names, &renew, soon(), &renewed, &err),
                AFAR_INVALID_ARGUMENT);
    CHECK_FAILS(afar_names_v1_names_unregister(service.names, &remove, soon(), &removed, &err),
                AFAR_INVALID_ARGUMENT);
    afar_error_clear(&err);
    service_close(&service);
}

/* Nineteen names and the first one move to another lease; the renewal tells. */
TEST(a_renewal_tells_of_lost_names)
{
    Afar__Names__V1__RenewRequest renew = AFAR__NAMES__V1__RENEW_REQUEST__INIT;
    struct wish wish = { .name = "name/00", .key = 1, .take_over = true };
    Afar__Names__V1__RenewReply *renewed;
    afar_error err = AFAR_ERROR_INIT;
    afar__registered first;
    struct service service;
    char name[16];

    service_open(&service);
    first = registered(service.registry, &wish);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 20; i++) {
            snprintf(name, sizeof name, "name/%02d", i);
            wish.name = name;
            wish.lease = round == 0 ? first.lease : NULL;
            registered(service.registry, &wish);
        }
    renew.renewal = sign_renewal(service.registry, 1, first.lease, 1);
    CHECK_OK(afar_names_v1_names_renew(service.names, &renew, soon(), &renewed, &err));
    CHECK_INT(renewed->lease_ms, 10000);
    CHECK_INT(renewed->n_lost, 20);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "name/%02d", i);
        CHECK_STR(renewed->lost[i], name);
    }
    afar_message_free(renewed);
    afar__record_free(renew.renewal);
    service_close(&service);
}

TEST(names_are_unregistered)
{
    Afar__Names__V1__UnregisterRequest request = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    struct wish wish = { .name = "bank/alice", .key = 1 };
    Afar__Names__V1__UnregisterReply *reply;
    afar_error err = AFAR_ERROR_INIT;
    struct service service;
    afar__registered result;

    service_open(&service);
    result = registered(service.registry, &wish);
    request.removal = sign_removal(service.registry, 1, result.lease, 1, NULL);
    CHECK_OK(afar_names_v1_names_unregister(service.names, &request, soon(), &reply, &err));
    CHECK_INT(reply->count, 1);
    CHECK_INT(reply->revision, result.revision + 1);
    CHECK(!has_name(service.registry, "bank/alice"));
    afar_message_free(reply);
    afar__record_free(request.removal);
    service_close(&service);
}

/* ---- lists ---- */

static Afar__Names__V1__ListReply *
list(struct service *service, const Afar__Names__V1__ListRequest *request)
{
    Afar__Names__V1__ListReply *reply;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_names_v1_names_list(service->names, request, soon(), &reply, &err));
    return reply;
}

/* The names of a list, with a space behind each, and whether there are more. */
static const char *
listed(struct service *service, const Afar__Names__V1__ListRequest *request)
{
    Afar__Names__V1__ListReply *reply = list(service, request);
    afar_error err = AFAR_ERROR_INIT;
    static char text[200];

    text[0] = 0;
    for (size_t i = 0; i < reply->n_entries; i++) {
        ProtobufCMessage *message;

        CHECK_OK(
            afar__record_verify(reply->entries[i]->record, AFAR__PURPOSE_RECORD, &message, &err));
        add_word(text, sizeof text, ((afar__record *)message)->name);
        afar_message_free(message);
    }
    if (reply->more)
        add_word(text, sizeof text, "and more");
    CHECK_INT(reply->revision, last_revision(service->registry));
    afar_message_free(reply);
    return text;
}

TEST(lists_are_by_prefix_metadata_and_limit)
{
    static const struct wish wishes[] = {
        { .name = "a/1", .metadata = { "zone", "east", "kind", "disk" } },
        { .name = "a/2", .metadata = { "zone", "west", "kind", "disk" } },
        { .name = "a/3", .metadata = { "kind", "east" } },
        { .name = "b/1", .metadata = { "kind", "disk", "zone", "east" } },
        { .name = "b/2", .metadata = { "", "" } },
    };
    Afar__Names__V1__ListRequest__MetadataEntry pairs[2], *metadata[] = { &pairs[0], &pairs[1] };
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    struct service service;

    service_open(&service);
    CHECK_STR(listed(&service, &request), "");
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++)
        registered(service.registry, &wishes[i]);
    CHECK_STR(listed(&service, &request), "a/1 a/2 a/3 b/1 b/2 ");
    request.limit = 2;
    CHECK_STR(listed(&service, &request), "a/1 a/2 and more ");
    request.after = (char *)"a/2";
    CHECK_STR(listed(&service, &request), "a/3 b/1 and more ");
    request.prefix = (char *)"a/";
    CHECK_STR(listed(&service, &request), "a/3 ");
    request.after = (char *)"";
    request.limit = 3;
    CHECK_STR(listed(&service, &request), "a/1 a/2 a/3 ");
    request.prefix = (char *)"";
    request.limit = 0;
    for (int i = 0; i < 2; i++)
        afar__names__v1__list_request__metadata_entry__init(&pairs[i]);
    request.metadata = metadata;
    request.n_metadata = 1;
    pairs[0].key = (char *)"zone";
    pairs[0].value = (char *)"east";
    CHECK_STR(listed(&service, &request), "a/1 b/1 ");
    request.limit = 1;
    CHECK_STR(listed(&service, &request), "a/1 and more ");
    request.after = (char *)"a/1";
    CHECK_STR(listed(&service, &request), "b/1 ");
    request.after = (char *)"";
    request.limit = 0;
    request.n_metadata = 2;
    pairs[1].key = (char *)"kind";
    pairs[1].value = (char *)"disk";
    CHECK_STR(listed(&service, &request), "a/1 b/1 ");
    pairs[1].value = (char *)"east";
    CHECK_STR(listed(&service, &request), "");
    request.n_metadata = 1;
    pairs[0].key = pairs[0].value = (char *)"";
    CHECK_STR(listed(&service, &request), "b/2 ");
    service_close(&service);
}

/* What a page takes an entry for is no less than it has. */
TEST(a_list_is_no_longer_than_its_page)
{
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    Afar__Names__V1__ListReply *reply;
    afar_error err = AFAR_ERROR_INIT;
    struct service service;
    afar__page page;
    char name[32];

    service_open(&service);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "many/%05d", i);
        registered(service.registry, &(struct wish){ .name = name, .key = 1, .lease_ms = 3600000 });
    }
    CHECK_OK(afar__page_gather(service.registry, &request, &page, &err));
    reply = list(&service, &request);
    CHECK_INT(reply->n_entries, 100);
    CHECK(protobuf_c_message_get_packed_size(&reply->base) <= page.bytes);
    afar_message_free(reply);
    afar__page_clear(&page);
    service_close(&service);
}

/* ---- late answers ---- */

TEST(a_change_is_answered_when_it_is_on_the_disk)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    struct wish wish = { .name = "bank/alice", .key = 1 };
    Afar__Names__V1__RegisterReply *reply;
    Afar__Names__V1__LookupReply *found;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *futures[3];
    struct service service;

    service_over(&service, host_open_gated());
    gate_hold();
    for (unsigned i = 0; i < 3; i++) {
        wish.key = i;
        request.record = sign_wish(service.registry, &wish);
        CHECK_OK(afar_names_v1_names_register_start(service.names, &request, soon(), NULL,
                                                    &futures[i], &err));
        afar__record_free(request.record);
        if (i == 0)
            gate_wait();
    }
    /* Readers do not wait for the disk. */
    CHECK_FAILS(call_lookup(&service, "bank/alice", &found, &err), AFAR_NOT_FOUND);
    CHECK_FAILS(afar_names_v1_names_register_await(futures[0], afar_after_ms(0), &reply, &err),
                AFAR_DEADLINE_EXCEEDED);
    /* Who gives up does not take back what it asked for. */
    afar_future_close(futures[2]);
    gate_release();
    CHECK_OK(afar_names_v1_names_register_await(futures[0], soon(), &reply, &err));
    CHECK_INT(reply->revision, revision_of(service.registry, "bank/alice"));
    afar_message_free(reply);
    CHECK_FAILS(afar_names_v1_names_register_await(futures[1], soon(), &reply, &err),
                AFAR_ALREADY_EXISTS);
    afar_future_close(futures[0]);
    afar_future_close(futures[1]);
    afar_error_clear(&err);
    service_close(&service);
}
