/* A name server in the test's process: what host.h says. */

#include "host.h"

#include <string.h>

#include "server/nameserver/service.h"

#include "check.h"

_Atomic int64_t host_now = 1000 * INT64_C(1000000000);

static int64_t
read_now(void)
{
    return host_now;
}

void
host_open(struct host *host, const char *where)
{
    const afar__registry_options options = { .now_ns = read_now };
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;
    afar_object *object = NULL;

    CHECK_OK(afar__store_open(where, &store, &err));
    CHECK_OK(afar__registry_open(store, &options, &host->registry, &err));
    CHECK_OK(afar__names_service_new(host->registry, &object, &err));
    host->names = (afar_names_v1_names *)object;
}

void
host_close(struct host *host)
{
    afar_names_v1_names_close(host->names);
    afar__registry_close(host->registry);
}

static afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

struct challenge
host_challenge(const struct host *host)
{
    Afar__Names__V1__ChallengeRequest request = AFAR__NAMES__V1__CHALLENGE_REQUEST__INIT;
    Afar__Names__V1__ChallengeReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct challenge made;

    CHECK_OK(afar_names_v1_names_challenge(host->names, &request, soon(), &reply, &err));
    CHECK_INT(reply->nonce.len, sizeof made.nonce);
    CHECK_INT(reply->epoch.len, sizeof made.epoch);
    memcpy(made.nonce, reply->nonce.data, sizeof made.nonce);
    memcpy(made.epoch, reply->epoch.data, sizeof made.epoch);
    afar_message_free(reply);
    return made;
}

afar_code
host_register(const struct host *host, afar__signed *record, struct held *held, afar_error *err)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    Afar__Names__V1__RegisterReply *reply = NULL;
    afar_code code;

    request.record = record;
    code = afar_names_v1_names_register_(host->names, &request, soon(), &reply, err);
    if (!code && held) {
        memcpy(held->lease, reply->lease.data, sizeof held->lease);
        memcpy(held->epoch, reply->epoch.data, sizeof held->epoch);
    }
    afar_message_free(reply);
    return code;
}

afar_code
host_renew(const struct host *host, afar__signed *renewal, afar_error *err)
{
    Afar__Names__V1__RenewRequest request = AFAR__NAMES__V1__RENEW_REQUEST__INIT;
    Afar__Names__V1__RenewReply *reply = NULL;
    afar_code code;

    request.renewal = renewal;
    code = afar_names_v1_names_renew(host->names, &request, soon(), &reply, err);
    afar_message_free(reply);
    return code;
}

afar_code
host_unregister(const struct host *host, afar__signed *removal, afar_error *err)
{
    Afar__Names__V1__UnregisterRequest request = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__UnregisterReply *reply = NULL;
    afar_code code;

    request.removal = removal;
    code = afar_names_v1_names_unregister(host->names, &request, soon(), &reply, err);
    afar_message_free(reply);
    return code;
}

uint64_t
host_generation(const struct host *host, const char *name, const afar_key *owner)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;
    Afar__Names__V1__LookupReply *reply = NULL;
    ProtobufCMessage *record = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t generation;
    afar_code code;

    request.name = (char *)name;
    code = afar_names_v1_names_lookup(host->names, &request, soon(), &reply, &err);
    if (code) {
        CHECK_INT(code, AFAR_NOT_FOUND);
        afar_error_clear(&err);
        return 0;
    }
    CHECK_OK(afar__record_verify(reply->entry->record, AFAR__PURPOSE_RECORD, &record, &err));
    CHECK(memcmp(afar__record_key(reply->entry->record), owner->public, 32) == 0);
    generation = ((afar__record *)record)->generation;
    afar_message_free(record);
    afar_message_free(reply);
    return generation;
}
