#ifndef AFAR_RUNTIME_FAR_PACKED_H
#define AFAR_RUNTIME_FAR_PACKED_H

/* A message that is about to be sent: its bytes, and the references that go beside them.  Belongs to
 * one thread at a time. */

#include <afar/ref.h>

/* Enough for the messages of most calls. */
#define AFAR__PACKED_FEW 200

typedef struct afar__ref_list {
    afar_object **objects; /* with a reference each */
    size_t count, room;
    afar_object *few[2];
} afar__ref_list;

void
afar__ref_list_init(afar__ref_list *list);

void
afar__ref_list_clear(afar__ref_list *list);

/* One more, of which it takes a reference of its own.  False without memory. */
AFAR_MUST_USE bool
afar__ref_list_add(afar__ref_list *list, afar_object *object);

/* An empty list gets what another one has.  False, and it is still empty, without memory. */
AFAR_MUST_USE bool
afar__ref_list_copy(afar__ref_list *list, const afar__ref_list *from);

/* Adds the references of a message to a list and writes their numbers into it, until they are forgotten:
 * the message is packed in between.  Also when this failed they have to be.  INVALID_ARGUMENT for a reference
 * of another interface than its field; RESOURCE_EXHAUSTED.  `plan` NULL: there are none. */
AFAR_MUST_USE afar_code
afar__refs_number(const ProtobufCMessage *message, const afar_refs *plan, afar__ref_list *list,
                  afar_error *err);

void
afar__refs_forget_numbers(const ProtobufCMessage *message, const afar_refs *plan);

typedef struct afar__packed {
    uint8_t *data; /* `few`, or allocated */
    size_t length;
    afar__ref_list refs; /* in the order of their numbers */
    uint8_t few[AFAR__PACKED_FEW];
} afar__packed;

void
afar__packed_init(afar__packed *packed);

/* Packs a message.  INVALID_ARGUMENT for a reference of another interface than its field;
 * RESOURCE_EXHAUSTED. */
AFAR_MUST_USE afar_code
afar__packed_fill(afar__packed *packed, const ProtobufCMessage *message, const afar_refs *plan,
                  afar_error *err);

/* As after init. */
void
afar__packed_clear(afar__packed *packed);

#endif
