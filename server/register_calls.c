/* Talking with the name server.
 *
 * A link that failed is given up and made again for the next call.  The core would mend it
 * by itself, but in its own time, and would answer from memory meanwhile; when to try
 * again is decided in register.c.
 *
 * What the name server answers is not believed: lengths are checked, and a sequence number
 * that leaves no room for many more is not taken.
 *
 * The lock guards nothing but the pointer to the link, so that another thread can cut it
 * while this one waits for an answer. */

#include "server/register_calls.h"

#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"

#define CALL_TIME (5 * AFAR__SECOND)
#define SHORTEST_TERM_MS INT64_C(300)

/* ---- life ---- */

afar_code
afar__talk_init(afar__talk *talk, afar_node *node, const char *names, const afar__claim *claim,
                afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar_code code;

    memset(talk, 0, sizeof *talk);
    talk->node = node;
    talk->claim = claim;
    pthread_mutex_init(&talk->lock, NULL);
    snprintf(talk->address, sizeof talk->address, "%s", names);
    code = afar__address_parse_endpoint(names, &talk->where, &why);
    if (code)
        afar_fail(err, code, "the option names: %s", why.message);
    afar_error_clear(&why);
    return code;
}

/* In place of the one that there was. */
static void
set_link(afar__talk *talk, afar__link *link)
{
    afar__link *old;

    pthread_mutex_lock(&talk->lock);
    old = talk->link;
    talk->link = link;
    pthread_mutex_unlock(&talk->lock);
    afar__link_unref(old);
}

/* No call starts on it any more.  Others may still be under way there: until they are
 * finished it can be cut. */
static void
give_up_link(afar__talk *talk)
{
    afar_names_v1_names_close(talk->names);
    talk->names = NULL;
}

/* Left alone the core would connect again by itself. */
void
afar__talk_rest(afar__talk *talk)
{
    if (!talk->names)
        set_link(talk, NULL);
}

void
afar__talk_clear(afar__talk *talk)
{
    give_up_link(talk);
    set_link(talk, NULL);
    pthread_mutex_destroy(&talk->lock);
}

void
afar__talk_hurry(afar__talk *talk, int64_t until)
{
    atomic_store(&talk->until, until);
    atomic_store(&talk->has_until, true);
}

void
afar__talk_cut(afar__talk *talk)
{
    afar__link *link;

    pthread_mutex_lock(&talk->lock);
    link = talk->link ? afar__link_ref(talk->link) : NULL;
    pthread_mutex_unlock(&talk->lock);
    if (link)
        afar__link_shut(link);
    afar__link_unref(link);
}

static afar_deadline
deadline_of(const afar__talk *talk)
{
    int64_t deadline = afar__now() + CALL_TIME;
    int64_t until = atomic_load(&talk->has_until) ? atomic_load(&talk->until) : AFAR__NEVER;

    return afar_deadline_at(deadline < until ? deadline : until);
}

int64_t
afar__talk_jitter(int64_t below)
{
    uint64_t random;

    afar__secure_random(&random, sizeof random);
    return below > 0 ? (int64_t)(random % (uint64_t)below) : 0;
}

/* ---- what went wrong ---- */

bool
afar__talk_is_away(afar_code code)
{
    return code == AFAR_UNAVAILABLE || code == AFAR_DEADLINE_EXCEEDED || code == AFAR_CANCELLED ||
           code == AFAR_LOST || code == AFAR_MOVED || code == AFAR_UNIMPLEMENTED;
}

/* The last part of what the core says: "...: Connection refused". */
static const char *
reason_in(const char *text)
{
    const char *last = strrchr(text, ':');

    return last && last[1] == ' ' && last[2] ? last + 2 : text;
}

/* In the words of who set the option `names`. */
static void
tell_away(const afar__talk *talk, const afar_error *why, afar_error *err)
{
    if (why->code == AFAR_UNIMPLEMENTED)
        afar_fail(err, why->code, "no name server at %s: what is there serves no names",
                  talk->address);
    else if (why->code == AFAR_DEADLINE_EXCEEDED)
        afar_fail(err, why->code, "no name server at %s: no answer", talk->address);
    else if (why->outcome == AFAR_OUTCOME_NOT_SENT)
        afar_fail(err, why->code, "no name server at %s: %s", talk->address,
                  reason_in(why->message));
    else
        afar_fail(err, why->code, "the name server at %s is away: %s", talk->address, why->message);
}

/* The end of every call. */
static afar_code
failed(afar__talk *talk, afar_error *why, afar_error *err)
{
    afar_code code = why->code;

    if (afar__talk_is_away(code)) {
        give_up_link(talk);
        talk->nonce_length = 0;
        tell_away(talk, why, err);
        afar_error_clear(why);
    } else {
        afar_error_move(err, why);
    }
    return code;
}

static afar_code
nonsense(afar__talk *talk, const char *what, afar_error *err)
{
    give_up_link(talk);
    return afar_fail(err, AFAR_UNAVAILABLE, "the name server at %s answers with %s", talk->address,
                     what);
}

/* ---- connecting ---- */

static afar_code
connect_names(afar__talk *talk, afar_error *err)
{
    afar_object *object = NULL;
    afar__link *link = NULL;
    afar_code code;

    if (talk->names)
        return AFAR_OK;
    if (atomic_load(&talk->has_until) && afar__now() >= atomic_load(&talk->until))
        return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "no time is left to connect");
    code = afar__link_open(talk->node, &talk->where, &link, err);
    if (code)
        return code;
    set_link(talk, link);
    code = afar__link_object(link, &afar_names_v1_names_interface, "", &object, err);
    if (!code)
        talk->names = (afar_names_v1_names *)object;
    return code;
}

afar_code
afar__talk_challenge(afar__talk *talk, afar_error *err)
{
    Afar__Names__V1__ChallengeRequest request = AFAR__NAMES__V1__CHALLENGE_REQUEST__INIT;
    Afar__Names__V1__ChallengeReply *reply = NULL;
    afar_error why = AFAR_ERROR_INIT;
    int64_t now = afar__now();
    afar_code code = connect_names(talk, &why);

    if (!code)
        code =
            afar_names_v1_names_challenge(talk->names, &request, deadline_of(talk), &reply, &why);
    if (code)
        return failed(talk, &why, err);
    if (reply->nonce.len < 1 || reply->nonce.len > sizeof talk->nonce) {
        afar_message_free(reply);
        return nonsense(talk, "a nonce of no use", err);
    }
    memcpy(talk->nonce, reply->nonce.data, reply->nonce.len);
    talk->nonce_length = reply->nonce.len;
    talk->revision = reply->revision;
    talk->challenged = now;
    afar_message_free(reply);
    return AFAR_OK;
}

/* ---- the lease ---- */

void
afar__talk_forget(afar__talk *talk)
{
    talk->has_lease = false;
}

/* A third of the term, so that a renewal may fail and the next one still be in time; but
 * no name server makes us renew all the time. */
static void
set_term(afar__talk *talk, uint32_t term_ms, int64_t sent)
{
    int64_t third =
        (term_ms > SHORTEST_TERM_MS ? term_ms : SHORTEST_TERM_MS) * AFAR__MILLISECOND / 3;

    talk->term_ms = term_ms;
    talk->renew = sent + third - afar__talk_jitter(third / 4);
}

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t length)
{
    ProtobufCBinaryData made = { length, (uint8_t *)data };

    return made;
}

/* The name server has started anew, or has seen a later number than ours.  True if it is
 * worth a second try. */
static bool
catch_up(afar__talk *talk, const afar_error *why)
{
    const Afar__Names__V1__Stale *stale = afar_names_v1_stale_of(why);

    if (!stale || stale->epoch.len != AFAR__EPOCH_BYTES || stale->sequence > UINT64_MAX / 2)
        return false;
    memcpy(talk->epoch, stale->epoch.data, AFAR__EPOCH_BYTES);
    if (stale->sequence > talk->sequence)
        talk->sequence = stale->sequence;
    talk->nonce_length = 0;
    return true;
}

static afar_code
renew_once(afar__talk *talk, Afar__Names__V1__RenewReply **ret_reply, afar_error *err)
{
    Afar__Names__V1__RenewRequest request = AFAR__NAMES__V1__RENEW_REQUEST__INIT;
    Afar__Names__V1__Renewal renewal = AFAR__NAMES__V1__RENEWAL__INIT;
    afar_code code = connect_names(talk, err);

    if (code)
        return code;
    renewal.lease = bytes(talk->lease, sizeof talk->lease);
    renewal.epoch = bytes(talk->epoch, sizeof talk->epoch);
    renewal.sequence = ++talk->sequence;
    code = afar__record_sign(talk->claim->key, AFAR__PURPOSE_RENEWAL, &renewal.base,
                             &request.renewal, err);
    if (!code)
        code = afar_names_v1_names_renew(talk->names, &request, deadline_of(talk), ret_reply, err);
    afar__record_free(request.renewal);
    return code;
}

afar_code
afar__talk_renew(afar__talk *talk, Afar__Names__V1__RenewReply **ret_reply, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    int64_t sent = afar__now();
    afar_code code = renew_once(talk, ret_reply, &why);

    if (code == AFAR_FAILED_PRECONDITION && catch_up(talk, &why)) {
        afar_error_clear(&why);
        sent = afar__now();
        code = renew_once(talk, ret_reply, &why);
    }
    if (!code) {
        set_term(talk, (*ret_reply)->lease_ms ? (*ret_reply)->lease_ms : talk->term_ms, sent);
        return AFAR_OK;
    }
    if (code == AFAR_NOT_FOUND)
        afar__talk_forget(talk);
    return failed(talk, &why, err);
}

static afar_code
remove_once(afar__talk *talk, const char *const *names, size_t count, afar_error *err)
{
    Afar__Names__V1__UnregisterRequest request = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__UnregisterReply *reply = NULL;
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    afar_code code = connect_names(talk, err);

    if (code)
        return code;
    removal.lease = bytes(talk->lease, sizeof talk->lease);
    removal.epoch = bytes(talk->epoch, sizeof talk->epoch);
    removal.sequence = ++talk->sequence;
    removal.n_names = count;
    removal.names = (char **)names;
    code = afar__record_sign(talk->claim->key, AFAR__PURPOSE_REMOVAL, &removal.base,
                             &request.removal, err);
    if (!code)
        code =
            afar_names_v1_names_unregister(talk->names, &request, deadline_of(talk), &reply, err);
    afar__record_free(request.removal);
    afar_message_free(reply);
    return code;
}

afar_code
afar__talk_remove(afar__talk *talk, const char *const *names, size_t count, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = remove_once(talk, names, count, &why);

    if (code == AFAR_FAILED_PRECONDITION && catch_up(talk, &why)) {
        afar_error_clear(&why);
        code = remove_once(talk, names, count, &why);
    }
    if (code == AFAR_NOT_FOUND || (!code && count == 0))
        afar__talk_forget(talk);
    return code ? failed(talk, &why, err) : AFAR_OK;
}

/* ---- names ---- */

afar_code
afar__talk_register_start(afar__talk *talk, afar__signed *signed_record, afar_future **ret_future,
                          afar_error *err)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = connect_names(talk, &why);

    request.record = signed_record;
    if (!code)
        code = afar_names_v1_names_register_start(talk->names, &request, deadline_of(talk), NULL,
                                                  ret_future, &why);
    return code ? failed(talk, &why, err) : AFAR_OK;
}

static void
take_lease(afar__talk *talk, const Afar__Names__V1__RegisterReply *reply, int64_t sent)
{
    if (talk->has_lease)
        return;
    memcpy(talk->lease, reply->lease.data, AFAR__LEASE_BYTES);
    memcpy(talk->epoch, reply->epoch.data, AFAR__EPOCH_BYTES);
    talk->sequence = 0;
    talk->lease_number++;
    talk->has_lease = true;
    talk->began = sent;
    set_term(talk, reply->lease_ms, sent);
}

afar_code
afar__talk_register_finish(afar__talk *talk, afar_future *future, int64_t sent, afar_error *err)
{
    Afar__Names__V1__RegisterReply *reply = NULL;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = afar_names_v1_names_register_await(future, AFAR_FOREVER, &reply, &why);
    bool sense;

    afar_future_close(future);
    if (code)
        return failed(talk, &why, err);
    sense = reply->lease.len == AFAR__LEASE_BYTES && reply->epoch.len == AFAR__EPOCH_BYTES &&
            reply->lease_ms > 0;
    if (sense)
        take_lease(talk, reply, sent);
    afar_message_free(reply);
    return sense ? AFAR_OK : nonsense(talk, "a lease of no use", err);
}

afar_code
afar__talk_lookup_start(afar__talk *talk, const char *name, afar_future **ret_future,
                        afar_error *err)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = connect_names(talk, &why);

    request.name = (char *)name;
    if (!code)
        code = afar_names_v1_names_lookup_start(talk->names, &request, deadline_of(talk), NULL,
                                                ret_future, &why);
    return code ? failed(talk, &why, err) : AFAR_OK;
}

afar_code
afar__talk_lookup_finish(afar__talk *talk, afar_future *future,
                         Afar__Names__V1__LookupReply **ret_reply, afar_error *err)
{
    Afar__Names__V1__LookupReply *reply = NULL;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = afar_names_v1_names_lookup_await(future, AFAR_FOREVER, &reply, &why);

    afar_future_close(future);
    if (code)
        return failed(talk, &why, err);
    if (!reply->entry) {
        afar_message_free(reply);
        return nonsense(talk, "an entry of no use", err);
    }
    *ret_reply = reply;
    return AFAR_OK;
}
