/* Asking the name server, and judging what it says.
 *
 * The name server is not believed.  A record counts when, in this order, its owner has
 * signed it, it is of the name that was asked for, it keeps the limits of names.proto,
 * its key is the one that was asked for or is known, and no newer one was seen.  The same
 * bytes as last time were verified then; who may own the name, and how new it is, is
 * judged each time.
 *
 * Nothing is locked while a look-up is under way, so several threads may ask for one
 * name, and their answers may come in another order than they were given: an answer
 * that seems old is asked for once more.
 *
 * Any thread. */

#include "client/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/call.h>
#include <afar/message.h>
#include <afar/names.afar.h>

#include "client/known.h"

#define DEFAULT_NAMES "127.0.0.1:7700"
#define VARIABLE "AFAR_NAMES"
#define TRIES 2
#define PATIENCE (5 * AFAR__SECOND) /* of a look-up in slices */

struct afar__names {
    atomic_uint refs;
    afar__links *links;
    afar__known *known;
    afar__cache *cache;
    bool from_environment;
    char server[]; /* where it is, as it was written */
};

/* ---- life ---- */

static const char *
where(const char *option, bool *ret_from_environment)
{
    const char *variable = getenv(VARIABLE);

    *ret_from_environment = false;
    if (option && *option)
        return option;
    if (!variable || !*variable)
        return DEFAULT_NAMES;
    *ret_from_environment = true;
    return variable;
}

static void
free_names(afar__names *names)
{
    afar__cache_free(names->cache);
    afar__known_free(names->known);
    free(names);
}

/* What the environment says wrong is told to whoever opens a name, not to a program that
 * uses addresses only. */
afar_code
afar__names_new(afar__links *links, const afar_client_options *options, afar__names **ret_names,
                afar_error *err)
{
    bool from_environment;
    const char *server = where(options ? options->names : NULL, &from_environment);
    size_t length = strlen(server);
    afar__names *names;
    afar__address address;
    afar_code code = AFAR_OK;

    if (!from_environment)
        code = afar__address_parse_endpoint(server, &address, err);
    if (code)
        return code;
    names = calloc(1, sizeof *names + length + 1);
    if (!names)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a client");
    atomic_init(&names->refs, 1);
    memcpy(names->server, server, length + 1);
    names->from_environment = from_environment;
    code = afar__known_new(options ? options->known_names : NULL, &names->known, err);
    if (!code)
        code = afar__cache_new(&names->cache, err);
    if (code) {
        free_names(names);
        return code;
    }
    names->links = afar__links_ref(links);
    *ret_names = names;
    return AFAR_OK;
}

afar__names *
afar__names_ref(afar__names *names)
{
    atomic_fetch_add_explicit(&names->refs, 1, memory_order_relaxed);
    return names;
}

void
afar__names_unref(afar__names *names)
{
    if (atomic_fetch_sub_explicit(&names->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar__links_unref(names->links);
    free_names(names);
}

afar__links *
afar__names_links(const afar__names *names)
{
    return names->links;
}

/* ---- judging ---- */

static afar_code
fail_forged(const afar__wanted *wanted, const char *why, afar_error *err)
{
    return afar_fail(err, AFAR_UNAUTHENTICATED, "%.100s: the name server has a false record: %s",
                     wanted->name, why);
}

/* What the owner has signed, whole and of that name; but nobody believes an owner that
 * everything it says is fit to be used. */
static afar_code
check_record(const afar__wanted *wanted, const afar__record *record, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    char text[120];
    afar_code code;

    if (strcmp(record->name, wanted->name) != 0) {
        snprintf(text, sizeof text, "it is of %.100s", record->name);
        return fail_forged(wanted, text, err);
    }
    code = afar__record_check(record, &why);
    if (code)
        code = afar_fail(err, AFAR_INTERNAL, "its owner has registered nonsense: %s", why.message);
    afar_error_clear(&why);
    return code;
}

/* Bytes that were not seen before. */
static afar_code
verify(const afar__wanted *wanted, const afar__signed *bytes, afar__sighting **ret_sighting,
       afar_error *err)
{
    ProtobufCMessage *message = NULL;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = afar__record_verify(bytes, AFAR__PURPOSE_RECORD, &message, &why);

    if (code == AFAR_RESOURCE_EXHAUSTED)
        afar_fail(err, code, "%.100s: %s", wanted->name, why.message);
    else if (code)
        code = fail_forged(wanted, why.message, err);
    afar_error_clear(&why);
    if (!code)
        code = check_record(wanted, (afar__record *)message, err);
    if (!code)
        code = afar__sighting_new(bytes, (afar__record *)message, ret_sighting, err);
    if (code)
        afar_message_free(message);
    return code;
}

/* Whether that key may own the name. */
static afar_code
check_key(afar__names *names, const afar__wanted *wanted, const uint8_t *key,
          afar_deadline deadline, afar_error *err)
{
    char text[AFAR__KEY_TEXT], expected[AFAR__KEY_TEXT];

    if (!wanted->key)
        return afar__known_check(names->known, wanted->name, key, deadline, err);
    if (afar__secure_equal(wanted->key, key, AFAR__PUBLIC_BYTES))
        return AFAR_OK;
    afar__key_print(key, text);
    afar__key_print(wanted->key, expected);
    return afar_fail(err, AFAR_PERMISSION_DENIED, "%.100s: its owner is %s, not %s", wanted->name,
                     text, expected);
}

static afar_code
judge(afar__names *names, const afar__wanted *wanted, const afar__signed *bytes,
      afar_deadline deadline, afar__sighting **ret_sighting, afar_error *err)
{
    afar__sighting *sighting;
    afar_code code = AFAR_OK;

    sighting = afar__cache_same(names->cache, wanted->name, bytes);
    if (!sighting)
        code = verify(wanted, bytes, &sighting, err);
    if (code)
        return code;
    code = check_key(names, wanted, afar__record_key(sighting->bytes), deadline, err);
    if (!code)
        code = afar__cache_count(names->cache, sighting, err);
    if (code)
        afar__sighting_unref(sighting);
    else
        *ret_sighting = sighting;
    return code;
}

/* ---- asking ---- */

/* Where it is, for people. */
static const char *
shown(const afar__names *names)
{
    static const char scheme[] = "grpc://";
    size_t length = sizeof scheme - 1;

    return strncmp(names->server, scheme, length) == 0 ? names->server + length : names->server;
}

static afar_code
connect_names(const afar__names *names, afar_deadline deadline, afar__link **ret_link,
              afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar__address address;
    afar_code code = afar__address_parse_endpoint(names->server, &address, &why);

    if (code) {
        afar_fail(err, code, VARIABLE ": %s", why.message);
    } else {
        code = afar__links_connect(names->links, &address, deadline, ret_link, &why);
        if (code == AFAR_UNAVAILABLE)
            afar_fail(err, code, "no name server at %.110s: %.80s (start one: afar names serve)",
                      shown(names), afar__links_reason(&why));
        else if (code)
            afar_fail(err, code, "%s", why.message);
    }
    afar_error_clear(&why);
    return code;
}

/* A reference to the name server, over a connected link. */
static afar_code
reach(const afar__names *names, afar_deadline deadline, afar_names_v1_names **ret_server,
      afar_error *err)
{
    afar_object *object = NULL;
    afar__link *link = NULL;
    afar_code code = connect_names(names, deadline, &link, err);

    if (code)
        return code;
    code = afar__link_object(link, &afar_names_v1_names_interface, "", &object, err);
    afar__link_unref(link);
    if (!code)
        *ret_server = (afar_names_v1_names *)object;
    return code;
}

bool
afar__cancelled_here(void)
{
    afar_call *current = afar_call_current();

    return current && afar_call_cancelled(current);
}

/* A look-up that failed, in words for whoever opened the name. */
static afar_code
fail_lookup(const afar__names *names, const afar__wanted *wanted, const afar_error *why,
            afar_error *err)
{
    const char *server = shown(names);

    switch (why->code) {
    case AFAR_NOT_FOUND:
        return afar_fail(err, AFAR_NOT_FOUND,
                         "%.100s: nobody has registered it (name server %.100s)", wanted->name,
                         server);
    case AFAR_UNIMPLEMENTED:
        return afar_fail(err, AFAR_UNAVAILABLE,
                         "no name server at %.110s: another server is there (start one elsewhere: "
                         "afar names serve)",
                         server);
    case AFAR_DEADLINE_EXCEEDED:
        return afar_fail(err, AFAR_UNAVAILABLE,
                         "%.100s: no answer from the name server %.100s in time", wanted->name,
                         server);
    case AFAR_CANCELLED:
        if (!afar__cancelled_here())
            return afar_fail(err, AFAR_UNAVAILABLE,
                             "%.100s: the name server %.100s stopped before it answered",
                             wanted->name, server);
        afar_error_copy(err, why);
        return why->code;
    case AFAR_FAILED_PRECONDITION:
        afar_error_copy(err, why);
        return why->code;
    default:
        return afar_fail(err, why->code, "%.60s: name server %.60s: %.110s", wanted->name, server,
                         why->message);
    }
}

static bool
is_lost(afar_code code)
{
    return code == AFAR_UNAVAILABLE || code == AFAR_LOST || code == AFAR_CANCELLED;
}

/* What a call that failed leaves. */
static afar_code
end_lookup(const afar__names *names, const afar__wanted *wanted, afar__asking *asking,
           afar_error *why, afar_error *err)
{
    afar_code code = fail_lookup(names, wanted, why, err);

    asking->again = is_lost(why->code) && code != AFAR_CANCELLED;
    afar_error_clear(why);
    return code;
}

/* One call, to its end. */
static afar_code
lookup(const afar__names *names, const afar__wanted *wanted, afar__asking *asking,
       afar_deadline deadline, Afar__Names__V1__LookupReply **ret_reply, afar_error *err)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;
    afar_names_v1_names *server = NULL;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = reach(names, deadline, &server, err);

    if (code)
        return code;
    request.name = (char *)wanted->name;
    asking->since = afar__now();
    code = afar_names_v1_names_lookup(server, &request, deadline, ret_reply, &why);
    afar_names_v1_names_close(server);
    return code ? end_lookup(names, wanted, asking, &why, err) : AFAR_OK;
}

/* A name server that is silent is tried for longer than one slice. */
static afar_code
start_lookup(const afar__names *names, const afar__wanted *wanted, afar__asking *asking,
             afar_deadline deadline, afar_error *err)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;
    afar_names_v1_names *server = NULL;
    afar_code code;

    if (!asking->give_up)
        asking->give_up = afar__now() + PATIENCE;
    code = reach(names, deadline, &server, err);
    if (code == AFAR_UNAVAILABLE && afar__now() >= deadline.ns && afar__now() < asking->give_up)
        return afar_fail(err, AFAR_DEADLINE_EXCEEDED,
                         "%.100s: no connection to the name server yet", wanted->name);
    if (code)
        return code;
    request.name = (char *)wanted->name;
    asking->since = afar__now();
    code = afar_names_v1_names_lookup_start(server, &request, afar_deadline_at(asking->give_up),
                                            NULL, &asking->future, err);
    afar_names_v1_names_close(server);
    return code;
}

/* The same call, begun in one slice and ended in another. */
static afar_code
lookup_in_slices(const afar__names *names, const afar__wanted *wanted, afar__asking *asking,
                 afar_deadline deadline, Afar__Names__V1__LookupReply **ret_reply, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    if (!asking->future)
        code = start_lookup(names, wanted, asking, deadline, err);
    if (!code)
        code = afar_future_wait(asking->future, deadline, err);
    if (code == AFAR_DEADLINE_EXCEEDED)
        return code;
    if (!code) {
        code = afar_names_v1_names_lookup_await(asking->future, deadline, ret_reply, &why);
        if (code)
            code = end_lookup(names, wanted, asking, &why, err);
    }
    afar__names_stop(asking);
    return code;
}

void
afar__names_stop(afar__asking *asking)
{
    afar_future_close(asking->future);
    asking->future = NULL;
    asking->give_up = 0;
}

/* What the answer says of the lease counts from when we asked, so that we never think it
 * longer than it is. */
static afar_code
take_reply(afar__names *names, const afar__wanted *wanted, afar__asking *asking,
           const Afar__Names__V1__LookupReply *reply, afar_deadline deadline,
           afar__answer *ret_answer, afar_error *err)
{
    const Afar__Names__V1__Entry *entry = reply->entry;
    afar__answer answer = { NULL, asking->since };
    afar_code code;

    if (!entry || !entry->record)
        return fail_forged(wanted, "nothing was signed", err);
    code = judge(names, wanted, entry->record, deadline, &answer.sighting, err);
    asking->again = code == AFAR_FAILED_PRECONDITION;
    if (code)
        return code;
    answer.lease_end += (int64_t)entry->lease_left_ms * AFAR__MILLISECOND;
    afar__cache_put(names->cache, answer.sighting, asking->since, answer.lease_end);
    *ret_answer = answer;
    return AFAR_OK;
}

/* Asked again are a lost connection, since the next one may be good, and what seems to be
 * old, since another thread may have asked after us and been answered before. */
afar_code
afar__names_ask(afar__names *names, const afar__wanted *wanted, afar__asking *asking,
                afar_deadline deadline, afar__answer *ret_answer, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    for (int tries = 0; tries < TRIES; tries++) {
        Afar__Names__V1__LookupReply *reply = NULL;

        asking->again = false;
        code = asking->in_slices ? lookup_in_slices(names, wanted, asking, deadline, &reply, &why)
                                 : lookup(names, wanted, asking, deadline, &reply, &why);
        if (!code)
            code = take_reply(names, wanted, asking, reply, deadline, ret_answer, &why);
        afar_message_free(reply);
        if (!asking->again)
            break;
    }
    if (code && err)
        afar_error_move(err, &why);
    afar_error_clear(&why);
    return code;
}

/* ---- what is known already ---- */

/* What cannot be used for whatever reason is asked for anew, and judged then. */
bool
afar__names_recall(afar__names *names, const afar__wanted *wanted, afar_deadline deadline,
                   afar__answer *ret_answer)
{
    afar__answer answer = { NULL, 0 };

    answer.sighting = afar__cache_fresh(names->cache, wanted->name, &answer.lease_end);
    if (!answer.sighting)
        return false;
    if (check_key(names, wanted, afar__record_key(answer.sighting->bytes), deadline, NULL)) {
        afar__sighting_unref(answer.sighting);
        return false;
    }
    *ret_answer = answer;
    return true;
}

void
afar__names_drop(afar__names *names, const char *name)
{
    afar__cache_drop(names->cache, name);
}
