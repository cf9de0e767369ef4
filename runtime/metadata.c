/* Metadata: what may be sent, looking a key up, and lists that grow in an arena.
 *
 * What is checked here the C core of gRPC would refuse, drop or take for its own;
 * the difference is an error that names the key.
 *
 * Any thread; a list belongs to the owner of its arena.
 */

#include "runtime/metadata.h"

#include <stdbool.h>
#include <string.h>

/* What a call may carry.  Counted as HTTP/2 does (RFC 7541, 4.1): each pair is 32
 * bytes more than its key and value, and binary values travel as base64. */
#define MOST_BYTES ((size_t)8192)
#define PAIR_OVERHEAD 32

static bool
is_binary(const char *key)
{
    size_t length = strlen(key);

    return length > 4 && strcmp(key + length - 4, "-bin") == 0;
}

/* Keys that HTTP/2 and gRPC use themselves. */
static bool
is_of_protocol(const char *key)
{
    static const char *const keys[] = {
        "connection", "content-length",    "content-type", "host",       "keep-alive",
        "te",         "transfer-encoding", "upgrade",      "user-agent",
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* What is wrong with a key, or NULL. */
static const char *
key_fault(const char *key)
{
    if (!*key)
        return "the key is empty";
    if (key[0] == ':')
        return "keys with : belong to HTTP/2";
    for (const char *c = key; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("-_.", *c)))
            return "a key has lower case letters, digits and - _ . only";
    if (strncmp(key, "grpc-", 5) == 0)
        return "keys with grpc- belong to gRPC";
    if (strncmp(key, "afar-", 5) == 0)
        return "keys with afar- belong to Afar";
    if (is_of_protocol(key))
        return "the key belongs to HTTP/2";
    return NULL;
}

static const char *
value_fault(const afar_metadata_entry *entry)
{
    const char *value = entry->value;

    if (!value && entry->length > 0)
        return "the value is NULL and has a length";
    if (is_binary(entry->key))
        return NULL;
    for (size_t i = 0; i < entry->length; i++)
        if (value[i] < 0x20 || value[i] > 0x7e)
            return "the value has bytes that are not printable ASCII; such a key ends in -bin";
    return NULL;
}

static size_t
wire_size(const afar_metadata_entry *entry)
{
    size_t value = entry->length;

    if (value > MOST_BYTES)
        return MOST_BYTES + 1;
    if (is_binary(entry->key))
        value = (value * 4 + 2) / 3;
    return strlen(entry->key) + value + PAIR_OVERHEAD;
}

afar_code
afar_metadata_check(const afar_metadata *metadata, afar_error *err)
{
    size_t size = 0;

    for (size_t i = 0; metadata && i < metadata->count; i++) {
        const afar_metadata_entry *entry = &metadata->entries[i];
        const char *fault;

        if (!entry->key)
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "metadata: pair %zu has no key", i);
        fault = key_fault(entry->key);
        if (!fault)
            fault = value_fault(entry);
        if (fault)
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "metadata \"%.80s\": %s", entry->key,
                             fault);
        size += wire_size(entry);
        if (size > MOST_BYTES)
            return afar_fail(err, AFAR_INVALID_ARGUMENT,
                             "metadata \"%.80s\": with it all metadata takes more than %zu bytes",
                             entry->key, MOST_BYTES);
    }
    return AFAR_OK;
}

const void *
afar_metadata_find(const afar_metadata *metadata, const char *key, size_t *ret_length)
{
    for (size_t i = 0; metadata && i < metadata->count; i++) {
        const afar_metadata_entry *entry = &metadata->entries[i];

        if (strcmp(entry->key, key) == 0) {
            if (ret_length)
                *ret_length = entry->length;
            return entry->value ? entry->value : "";
        }
    }
    return NULL;
}

/* The array that is left behind stays in the arena: doubling keeps that to as
 * much again as is used. */
static bool
grow(afar__metadata_list *list, afar__arena *arena)
{
    size_t capacity = list->capacity > 0 ? list->capacity * 2 : 8;
    afar_metadata_entry *entries = afar__arena_alloc(arena, capacity * sizeof *entries);

    if (!entries)
        return false;
    if (list->count > 0)
        memcpy(entries, list->entries, list->count * sizeof *entries);
    list->entries = entries;
    list->capacity = capacity;
    return true;
}

afar_code
afar__metadata_add(afar__metadata_list *list, afar__arena *arena, const char *key,
                   const void *value, size_t length)
{
    afar_metadata_entry entry = { afar__arena_strdup(arena, key),
                                  afar__arena_memdup(arena, value, length), length };

    if (!entry.key || !entry.value || (list->count == list->capacity && !grow(list, arena)))
        return AFAR_RESOURCE_EXHAUSTED;
    list->entries[list->count++] = entry;
    return AFAR_OK;
}
