/* What a server says of its names.
 *
 * All records of a server are alike but for name, interfaces, and the numbers against
 * replay, so what they share is made once and checked when the server opens: a mistake in
 * the options is told to who made it, and not logged later.  Belongs to whoever has the
 * server until it starts, and is constant from then on. */

#include "server/register_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LEASE_MS 15000
#define SOMEWHERE "grpc://127.0.0.1:1"

typedef Afar__Names__V1__Record__MetadataEntry pair;

static afar_code
no_memory(afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for what is registered");
}

/* ---- copies of the options ---- */

static bool
add_endpoint(afar__record *record, const char *text)
{
    size_t size = (record->n_endpoints + 1) * sizeof *record->endpoints;
    char **endpoints = realloc(record->endpoints, size);

    if (!endpoints)
        return false;
    record->endpoints = endpoints;
    endpoints[record->n_endpoints] = strdup(text);
    return endpoints[record->n_endpoints] && ++record->n_endpoints;
}

static pair *
make_pair(const char *key, const char *value)
{
    pair *made = malloc(sizeof *made);

    if (!made)
        return NULL;
    afar__names__v1__record__metadata_entry__init(made);
    made->key = strdup(key);
    made->value = strdup(value);
    if (made->key && made->value)
        return made;
    free(made->key);
    free(made->value);
    free(made);
    return NULL;
}

static afar_code
copy_metadata(afar__record *record, const char *const *texts, afar_error *err)
{
    size_t count = 0;

    while (texts && texts[count])
        count++;
    if (count == 0)
        return AFAR_OK;
    if (count % 2 != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the option `metadata`: the key \"%.100s\" has no value",
                         texts[count - 1]);
    record->metadata = calloc(count / 2, sizeof *record->metadata);
    while (record->metadata && record->n_metadata < count / 2) {
        size_t at = record->n_metadata;

        record->metadata[at] = make_pair(texts[2 * at], texts[2 * at + 1]);
        if (!record->metadata[at])
            break;
        record->n_metadata++;
    }
    return record->n_metadata == count / 2 ? AFAR_OK : no_memory(err);
}

static afar_code
copy_endpoints(afar__record *record, const char *const *texts, afar_error *err)
{
    for (; texts && *texts; texts++)
        if (!add_endpoint(record, *texts))
            return no_memory(err);
    return AFAR_OK;
}

/* By the very rules of the name server, for some name. */
static afar_code
check(const afar__claim *claim, afar_error *err)
{
    char *somewhere[] = { (char *)SOMEWHERE };
    afar_error why = AFAR_ERROR_INIT;
    afar__record record = claim->record;
    const char *text;
    afar_code code;

    record.name = (char *)"x";
    if (record.n_endpoints == 0) {
        record.n_endpoints = 1;
        record.endpoints = somewhere;
    }
    code = afar__record_check(&record, &why);
    if (!code)
        return AFAR_OK;
    text = strstr(why.message, "\": ");
    afar_fail(err, code, "what is to be registered: %s", text ? text + 3 : why.message);
    afar_error_clear(&why);
    return code;
}

afar_code
afar__claim_init(afar__claim *claim, const afar_server_options *options, const uint8_t *instance,
                 afar_error *err)
{
    afar__record *record = &claim->record;
    afar_code code;

    claim->key = NULL;
    afar__names__v1__record__init(record);
    record->instance.data = (uint8_t *)instance;
    record->instance.len = AFAR__INSTANCE_BYTES;
    record->lease_ms = options->lease_ms ? options->lease_ms : DEFAULT_LEASE_MS;
    claim->given = options->endpoints != NULL;
    if (claim->given && !options->endpoints[0])
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the option `endpoints` has none");
    code = copy_endpoints(record, options->endpoints, err);
    if (!code)
        code = copy_metadata(record, options->metadata, err);
    if (!code)
        code = check(claim, err);
    return code ? code : afar_key_load_or_create(options->key_file, &claim->key, err);
}

void
afar__claim_clear(afar__claim *claim)
{
    afar__record *record = &claim->record;

    for (size_t i = 0; i < record->n_endpoints; i++)
        free(record->endpoints[i]);
    for (size_t i = 0; i < record->n_metadata; i++) {
        free(record->metadata[i]->key);
        free(record->metadata[i]->value);
        free(record->metadata[i]);
    }
    free(record->endpoints);
    free(record->metadata);
    afar_key_close(claim->key);
    afar__names__v1__record__init(record);
    claim->key = NULL;
}

/* ---- where we listen ---- */

static afar_code
tcp_endpoint(const afar__listener *listener, char *text, size_t size, afar_error *err)
{
    if (strncmp(listener->address, "0.0.0.0:", 8) == 0 ||
        strncmp(listener->address, "[::]:", 5) == 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s stands for every address of this machine, and cannot be registered; "
                         "set the option `endpoints` to grpc://HOST:PORT",
                         listener->address);
    snprintf(text, size, "grpc://%s", listener->address);
    return AFAR_OK;
}

static afar_code
add_listener(afar__record *record, const afar__listener *listener, afar_error *err)
{
    char text[400];
    afar_code code = listener->folder >= 0 ? afar__listen_whole(listener, text, sizeof text, err)
                                           : tcp_endpoint(listener, text, sizeof text, err);

    if (!code)
        code = afar__endpoint_check(text, err);
    if (!code && !add_endpoint(record, text))
        code = no_memory(err);
    return code;
}

afar_code
afar__claim_listeners(afar__claim *claim, const afar__listener *listeners, size_t count,
                      afar_error *err)
{
    afar_code code = AFAR_OK;

    if (claim->given)
        return AFAR_OK;
    if (count == 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the server listens on inproc: only, where nobody else can reach it: "
                         "its names cannot be registered");
    if (count > AFAR__MAX_ENDPOINTS)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the server listens on %zu addresses, and %d can be registered; set the "
                         "option `endpoints`",
                         count, AFAR__MAX_ENDPOINTS);
    for (size_t i = 0; !code && i < count; i++)
        code = add_listener(&claim->record, &listeners[i], err);
    return code;
}

/* ---- signing ---- */

afar_code
afar__claim_sign(const afar__claim *claim, const afar__name *name, const afar__claim_terms *terms,
                 afar__signed **ret_signed, afar_error *err)
{
    afar__record record = claim->record;

    record.name = (char *)name->name;
    record.n_interfaces = name->interface_count;
    record.interfaces = (char **)name->interfaces;
    record.take_over = name->take_over;
    record.nonce = terms->nonce;
    record.lease = terms->lease;
    record.generation = terms->generation;
    return afar__record_sign(claim->key, AFAR__PURPOSE_RECORD, &record.base, ret_signed, err);
}
