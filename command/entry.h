#ifndef COMMAND_ENTRY_H
#define COMMAND_ENTRY_H

/* What a name server says of a name, checked. */

#include <afar/names.afar.h>

#include "command/json.h"
#include "runtime/record.h"

typedef struct name_entry {
    const Afar__Names__V1__Entry *from; /* borrowed */
    afar__record *record;               /* NULL: nothing can be read */
    char owner[AFAR__KEY_TEXT];         /* "" if there is no key */
    char instance[2 * AFAR__INSTANCE_BYTES + 1];
    char *problem; /* NULL: its owner has signed it */
} name_entry;

/* Checks the signature and what was signed.  `name` is what was asked for; NULL: any. */
void
entry_read(const Afar__Names__V1__Entry *from, const char *name, name_entry *ret_entry);
void
entry_clear(name_entry *entry);

/* The name that is in the record, signed or not. */
const char *
entry_name(const name_entry *entry);

/* As JSON: the keys of `afar names list`. */
cJSON *
entry_json(const name_entry *entry);

/* The time a lease has left, "12 s". */
void
print_lease(uint32_t ms, char *text, size_t room);

/* Takes KEY@NAME apart; *ret_key is "" for a name alone.  Complains; an exit code. */
int
split_name(const char *text, char ret_key[AFAR__KEY_TEXT], const char **ret_name);

#endif
