#ifndef AFAR_REF_H
#define AFAR_REF_H

/* References inside messages: fields of type afar.Ref with the option
 * (afar.interface).  For such a field the generated code has three functions, of which
 * these are the untyped halves; here for the field `account` of bank.OpenReply:
 *
 *     bank_open_reply_put_account(message, &room, account)    puts one in, for a message that
 *                                                             you send: it stays yours
 *     bank_open_reply_give_account(reply, call, account)      the same for a reply, which
 *                                                             outlives the handler: it is the
 *                                                             reply's from then on
 *     bank_open_reply_take_account(message)                   takes one out of a message that
 *                                                             you received: a reference of
 *                                                             your own, to be closed
 *
 * Repeated fields have an index behind the message, and their array is made before.
 *
 * A reference goes with its message: what was received closes its references when it is
 * released (for a request, when the call is finished), so what was not taken is gone then.
 * A message with references is sent by one thread at a time.
 *
 * Between two Afar programs any reference can be sent, to objects that no name stands for
 * too.  Outside of a session a reference travels as an address and a name, which a server
 * of this process lends to an object that has none (docs/references.md). */

#include <afar/call.h>
#include <afar/object.h>
#include <afar/ref.pb-c.h>

AFAR_BEGIN

/* Makes *room a reference that borrows `object` (NULL: none) and returns it, or NULL for
 * none.  The room and the object must stay until the message was sent. */
AFAR_API Afar__Ref *
afar_ref_put(Afar__Ref *room, afar_object *object);

/* A reference that lives as long as the reply of `call`, and closes `object` then; also
 * when this fails, which it does when memory is out: RESOURCE_EXHAUSTED, and the
 * call's error says so. */
AFAR_API AFAR_MUST_USE afar_code
afar_ref_give(afar_call *call, afar_object *object, Afar__Ref **ret_ref);

/* Another reference to the object that a received one stands for; NULL if the field was
 * not set, or stands for none. */
AFAR_API afar_object *
afar_ref_take(const Afar__Ref *ref);

/* ---- for generated code ----
 *
 * Where the references of a message are: one row for each field that is an afar.Ref, or a
 * message that has some inside. */

typedef struct afar_refs afar_refs;

typedef struct afar_ref_field {
    uint32_t field;                  /* its place in the fields of the message's descriptor */
    const afar_interface *interface; /* of an afar.Ref */
    const afar_refs *inside;         /* of a message; NULL for an afar.Ref */
} afar_ref_field;

struct afar_refs {
    const ProtobufCMessageDescriptor *type;
    uint32_t count;
    const afar_ref_field *fields;
};

AFAR_END

#endif
