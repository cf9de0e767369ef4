/* From a name to a place.
 *
 *     answer known or asked for -> endpoint 1, 2, ... -> a place
 *                                  all failed -> once more with a fresh answer, if that
 *                                                one was remembered -> UNAVAILABLE
 *
 * The time is shared: an endpoint that is silent gets at most what is left, divided by
 * the endpoints that are still to be tried, and 5 seconds unless it is the last one.
 * Who is at an endpoint is asked once for each link (links.h), and always when an object
 * is found again; a call that meets another process later is told so by it.
 *
 * In slices, a run that is out of time leaves what is under way in the struct: the
 * look-up, the endpoint and until when it is tried, the question who is there. */

#include "client/search.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <afar/message.h>
#include <afar/node.afar.h>

#define SHARE (5 * AFAR__SECOND)

void
afar__search_init(afar__search *search, afar__names *names, const afar__wanted *wanted)
{
    *search = (afar__search){ .names = names, .wanted = *wanted };
}

/* The next endpoint, from its beginning. */
static void
next_endpoint(afar__search *search)
{
    afar_future_close(search->future);
    afar__link_unref(search->link);
    search->future = NULL;
    search->link = NULL;
    search->give_up = 0;
    search->repeated = false;
    search->next++;
}

void
afar__search_reset(afar__search *search)
{
    afar__names_stop(&search->asking);
    next_endpoint(search);
    search->next = 0;
    afar__sighting_unref(search->answer.sighting);
    search->answer = (afar__answer){ NULL, 0 };
}

/* ---- who is there ---- */

/* Asks the process at the other end of the link, within `deadline`; in slices,
 * DEADLINE_EXCEEDED with a future says that the answer is not there yet. */
static afar_code
identify(afar__search *search, afar_deadline deadline, Afar__Node__V1__Identity **ret_identity,
         afar_error *err)
{
    Afar__Node__V1__IdentifyRequest request = AFAR__NODE__V1__IDENTIFY_REQUEST__INIT;
    afar_object *object = NULL;
    afar_node_v1_node *node;
    afar_code code = AFAR_OK;

    if (!search->future) {
        code = afar__link_object(search->link, &afar_node_v1_node_interface, "", &object, err);
        if (code)
            return code;
        node = (afar_node_v1_node *)object;
        if (!search->in_slices)
            code = afar_node_v1_node_identify(node, &request, deadline, ret_identity, err);
        else
            code = afar_node_v1_node_identify_start(
                node, &request, afar_deadline_at(search->give_up), NULL, &search->future, err);
        afar_object_close(object);
    }
    if (code || !search->in_slices)
        return code;
    code = afar_future_wait(search->future, deadline, err);
    if (code)
        return code;
    code = afar_node_v1_node_identify_await(search->future, deadline, ret_identity, err);
    afar_future_close(search->future);
    search->future = NULL;
    return code;
}

/* What the peer's answer to that question means here. */
static afar_code
fail_identify(const afar_error *why, afar_error *err)
{
    switch (why->code) {
    case AFAR_OK:
    case AFAR_UNIMPLEMENTED:
    case AFAR_NOT_FOUND:
        return afar_fail(err, AFAR_MOVED, "another process is there");
    case AFAR_DEADLINE_EXCEEDED:
        return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "no answer");
    default:
        afar_error_copy(err, why);
        return why->code;
    }
}

/* MOVED unless it is the process that was recorded. */
static afar_code
confirm(afar__search *search, const ProtobufCBinaryData *instance, afar_deadline deadline,
        afar_error *err)
{
    afar__links *links = afar__names_links(search->names);
    Afar__Node__V1__Identity *identity = NULL;
    afar_error why = AFAR_ERROR_INIT;
    afar_code code;

    if (!search->in_slices && afar__links_confirmed(links, search->link, instance->data))
        return AFAR_OK;
    code = identify(search, deadline, &identity, &why);
    if (code || !identity || identity->instance.len != instance->len ||
        memcmp(identity->instance.data, instance->data, instance->len) != 0)
        code = fail_identify(&why, err);
    else
        afar__links_confirm(links, search->link, instance->data);
    afar_message_free(identity);
    afar_error_clear(&why);
    return code;
}

/* ---- one endpoint ---- */

static afar_code
connect_endpoint(afar__search *search, const char *endpoint, afar_deadline deadline,
                 afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar__address address;
    afar_code code = afar__address_parse_endpoint(endpoint, &address, err);

    if (code)
        return code;
    code = afar__links_connect(afar__names_links(search->names), &address, deadline, &search->link,
                               &why);
    if (code)
        afar_fail(err, code, "%s", afar__links_reason(&why));
    afar_error_clear(&why);
    return code;
}

static afar_code
try_endpoint(afar__search *search, const char *endpoint, afar_deadline deadline, afar_error *err)
{
    const ProtobufCBinaryData *instance = &search->answer.sighting->record->instance;
    afar_code code = AFAR_OK;

    if (!search->link)
        code = connect_endpoint(search, endpoint, deadline, err);
    if (code || instance->len == 0)
        return code;
    return confirm(search, instance, deadline, err);
}

/* A connection may have broken without anybody having looked at it, or its server was
 * stopping: the next one shows whether somebody is there. */
static bool
may_repeat(afar__search *search, const afar_error *why)
{
    if (search->repeated || !search->link || search->future || why->remote ||
        (why->code != AFAR_UNAVAILABLE && why->code != AFAR_LOST &&
         (why->code != AFAR_CANCELLED || afar__cancelled_here())))
        return false;
    search->repeated = true;
    afar__link_unref(search->link);
    search->link = NULL;
    return true;
}

/* ---- all endpoints ---- */

static void
begin_endpoint(afar__search *search, size_t count, afar_deadline deadline)
{
    int64_t left = (int64_t)(count - search->next);
    int64_t share = SHARE;

    if (!search->in_slices && left == 1) {
        search->give_up = deadline.ns;
        return;
    }
    if (!search->in_slices && afar_deadline_left_ns(deadline) / left < share)
        share = afar_deadline_left_ns(deadline) / left;
    search->give_up = afar__now() + share;
}

/* Whether another endpoint may do better; else we were closed or cancelled, or have no
 * memory. */
static bool
is_about_endpoint(const afar_error *why)
{
    if (why->remote)
        return true;
    if (why->code == AFAR_CANCELLED)
        return !afar__cancelled_here();
    return why->code != AFAR_FAILED_PRECONDITION && why->code != AFAR_RESOURCE_EXHAUSTED;
}

static afar_code
fail_all(const afar__search *search, const char *endpoint, const char *reason, afar_error *err)
{
    int64_t left = search->answer.lease_end - afar__now();
    char lease[60] = "";

    if (left > 0)
        snprintf(lease, sizeof lease, "; its lease ends in %" PRId64 " s",
                 (left + AFAR__SECOND - 1) / AFAR__SECOND);
    return afar_fail(err, AFAR_UNAVAILABLE, "%.60s: not at %.60s: %.70s%s", search->wanted.name,
                     endpoint, reason, lease);
}

/* In slices, DEADLINE_EXCEEDED when this slice is over. */
static afar_code
try_all(afar__search *search, afar_deadline deadline, afar_error *err)
{
    const afar__record *record = search->answer.sighting->record;
    const char *endpoint = "";
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = AFAR_UNAVAILABLE;

    while (search->next < record->n_endpoints) {
        afar_deadline limit;

        endpoint = record->endpoints[search->next];
        if (!search->give_up)
            begin_endpoint(search, record->n_endpoints, deadline);
        limit = afar_deadline_min(deadline, afar_deadline_at(search->give_up));
        code = try_endpoint(search, endpoint, limit, &why);
        if (code && may_repeat(search, &why))
            code = try_endpoint(search, endpoint, limit, &why);
        if (!code || !is_about_endpoint(&why))
            break;
        if (search->in_slices && afar__now() >= deadline.ns && deadline.ns < search->give_up) {
            code = AFAR_DEADLINE_EXCEEDED;
            break;
        }
        next_endpoint(search);
    }
    if (code && search->next == record->n_endpoints)
        code = fail_all(search, endpoint, why.message, err);
    else if (code)
        afar_fail(err, code, "%.100s: %.140s", search->wanted.name, why.message);
    afar_error_clear(&why);
    return code;
}

/* ---- the whole ---- */

static afar_code
ask(afar__search *search, afar_deadline deadline, afar_error *err)
{
    afar__answer answer = { NULL, 0 };
    afar_code code;

    search->asking.in_slices = search->in_slices;
    code = afar__names_ask(search->names, &search->wanted, &search->asking, deadline, &answer, err);
    if (!code)
        search->answer = answer;
    return code;
}

static void
take_place(afar__search *search, afar__place *ret_place)
{
    const ProtobufCBinaryData *instance = &search->answer.sighting->record->instance;

    *ret_place = (afar__place){ .link = search->link, .has_instance = instance->len > 0 };
    if (instance->len > 0)
        memcpy(ret_place->instance, instance->data, sizeof ret_place->instance);
    search->link = NULL;
}

afar_code
afar__search_run(afar__search *search, afar_deadline deadline, afar__place *ret_place,
                 afar_error *err)
{
    bool from_cache = !search->in_slices &&
                      afar__names_recall(search->names, &search->wanted, deadline, &search->answer);
    afar_code code = AFAR_OK;

    if (!search->answer.sighting)
        code = ask(search, deadline, err);
    if (!code)
        code = try_all(search, deadline, err);
    if (code == AFAR_UNAVAILABLE && search->answer.sighting) {
        afar__names_drop(search->names, search->wanted.name);
        if (from_cache) {
            afar__search_reset(search);
            code = ask(search, deadline, err);
            if (!code)
                code = try_all(search, deadline, err);
        }
    }
    if (!code)
        take_place(search, ret_place);
    if (!search->in_slices || code != AFAR_DEADLINE_EXCEEDED)
        afar__search_reset(search);
    return code;
}
