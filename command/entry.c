/* Entries.  A name server may lie or be out of date, so what it says is believed only as
 * far as the owner has signed it; what is not is shown with what is wrong. */

#include "command/entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "command/say.h"
#include "runtime/address.h"

/* Whether the record may be believed; else the error says why.  It is read if it can be,
 * also when it is not to be believed. */
static afar_code
check(const Afar__Names__V1__SignedRecord *from, const char *name, name_entry *entry,
      afar_error *err)
{
    ProtobufCMessage *message = NULL;
    afar_code code = afar__record_verify(from, AFAR__PURPOSE_RECORD, &message, err);

    if (code) {
        if (!afar_message_unpack(&afar__names__v1__record__descriptor, from->record.data,
                                 from->record.len, NULL, &message, NULL))
            entry->record = (afar__record *)message;
        return code;
    }
    entry->record = (afar__record *)message;
    if ((code = afar__record_check(entry->record, err)))
        return code;
    if (name && strcmp(name, entry->record->name))
        return afar_fail(err, AFAR_UNAUTHENTICATED, "the name server answered with the name %s",
                         entry->record->name);
    return AFAR_OK;
}

void
entry_read(const Afar__Names__V1__Entry *from, const char *name, name_entry *ret_entry)
{
    const Afar__Names__V1__SignedRecord *signed_record = from ? from->record : NULL;
    afar_error err = AFAR_ERROR_INIT;

    memset(ret_entry, 0, sizeof *ret_entry);
    ret_entry->from = from;
    if (!signed_record) {
        ret_entry->problem = must_copy("the name server answered without a record");
        return;
    }
    if (check(signed_record, name, ret_entry, &err)) {
        ret_entry->problem = must_copy(err.message);
        afar_error_clear(&err);
    }
    if (signed_record->key.len == AFAR__PUBLIC_BYTES)
        afar__key_print(signed_record->key.data, ret_entry->owner);
    if (ret_entry->record && ret_entry->record->instance.len <= AFAR__INSTANCE_BYTES)
        print_hex(ret_entry->record->instance.data, ret_entry->record->instance.len,
                  ret_entry->instance);
}

void
entry_clear(name_entry *entry)
{
    afar_message_free(entry->record);
    free(entry->problem);
    memset(entry, 0, sizeof *entry);
}

const char *
entry_name(const name_entry *entry)
{
    return entry->record ? entry->record->name : "";
}

cJSON *
entry_json(const name_entry *entry)
{
    const afar__record *record = entry->record;
    cJSON *object = json_object();
    cJSON *metadata = json_object();

    json_text(object, "name", entry_name(entry));
    json_bool(object, "verified", !entry->problem);
    if (entry->problem)
        json_text(object, "problem", entry->problem);
    json_texts(object, "endpoints", record ? record->endpoints : NULL,
               record ? record->n_endpoints : 0);
    json_texts(object, "interfaces", record ? record->interfaces : NULL,
               record ? record->n_interfaces : 0);
    json_text(object, "owner", entry->owner);
    json_text(object, "instance", entry->instance);
    json_count(object, "generation", record ? record->generation : 0);
    json_count(object, "revision", entry->from ? entry->from->revision : 0);
    json_count(object, "lease_left_ms", entry->from ? entry->from->lease_left_ms : 0);
    for (size_t i = 0; record && i < record->n_metadata; i++) {
        if (!cJSON_HasObjectItem(metadata, record->metadata[i]->key))
            json_text(metadata, record->metadata[i]->key, record->metadata[i]->value);
    }
    json_put(object, "metadata", metadata);
    return object;
}

void
print_lease(uint32_t ms, char *text, size_t room)
{
    if (ms < 1000)
        snprintf(text, room, "%u ms", ms);
    else if (ms < 120 * 1000)
        snprintf(text, room, "%u s", ms / 1000);
    else
        snprintf(text, room, "%u min", ms / 60000);
}

int
split_name(const char *text, char ret_key[AFAR__KEY_TEXT], const char **ret_name)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *at = strchr(text, '@');
    uint8_t key[AFAR__PUBLIC_BYTES];

    *ret_key = 0;
    *ret_name = at ? at + 1 : text;
    if (at && !afar__key_parse(text, (size_t)(at - text), key)) {
        complain("'%.*s' is not a public key: it has 43 characters, as `afar key show` prints it",
                 (int)(at - text), text);
        return EXIT_USAGE;
    }
    if (at)
        afar__key_print(key, ret_key);
    if (afar__name_check(*ret_name, &err))
        return complain_error(&err);
    return EXIT_DONE;
}
