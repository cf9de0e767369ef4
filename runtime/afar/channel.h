#ifndef AFAR_CHANNEL_H
#define AFAR_CHANNEL_H

/* Channels: messages of one type, from any number of senders to any number of receivers, in threads of
 * this process or in others.  A channel is made in one process, its home; its ends can be used there,
 * and wherever they are passed to.
 *
 * There are two kinds, which promise different things:
 *
 *     rendezvous   a send is done when a receiver has the message
 *     buffered     a send is done when the home has the message in its buffer
 *
 * What a send or receive can come to, and what is then known of the message:
 *
 *     AFAR_OK                 sent: exactly one receiver has it (rendezvous), or the home has it
 *                             (buffered).  Received: nobody else has it or ever will
 *     AFAR_DEADLINE_EXCEEDED  not sent, and it never will be
 *     AFAR_ENDED              not sent: all receivers were closed.  Or nothing to receive: all senders
 *                             finished, and what they sent was received
 *     AFAR_POISONED           the same: somebody poisoned the channel; the error has the reason
 *     AFAR_LOST               the same: the last of the other side did not finish, its process or the
 *                             way to it was lost; or the home was
 *     AFAR_UNKNOWN            a send only: the link broke at the moment when the message was handed
 *                             over, or did not take it; one receiver may have it, or none
 *     any other code          not sent, nothing received: the home cannot be reached, or refuses
 *                             (UNAVAILABLE, NOT_FOUND, INVALID_ARGUMENT for another type ...).  Or
 *                             that message cannot be sent: a reference in it is of the wrong type
 *                             (INVALID_ARGUMENT), or the other side takes none so large, or no more
 *                             references (RESOURCE_EXHAUSTED); others can
 *
 * So:  (a) OK is never false.  (b) A message is received at most once.  (c) Anything else but
 * UNKNOWN says that it was not received.  (d) A select does one of its cases, whatever fails.
 * UNKNOWN never comes without a loss, or a message that is too much for its receiver's session, and never
 * between threads of one process.  When a home dies, what is
 * in its buffer is lost: those sends had said OK, and all users of the channel get LOST.
 *
 * A wait ends at its deadline, or a round trip later if another process has to say whether it was
 * faster.  One that keeps that answer back counts as lost 10 seconds after the deadline (a send says UNKNOWN
 * then, a receive LOST), so no wait passes its deadline by more: docs/channels.md.  AFAR_FOREVER waits for it
 * for ever.
 *
 * For messages that are marked in the .proto file with
 *
 *     option (afar.channel) = true;
 *
 * the generated code has all of this with types; for bank.Entry:
 *
 *     bank_entry_sender, bank_entry_receiver            the two kinds of ends
 *     bank_entry_rendezvous_new(&sender, &receiver, &err)
 *     bank_entry_buffered_new(100, &sender, &receiver, &err)
 *     bank_entry_send(sender, &entry, deadline, &err)
 *     bank_entry_post(sender, &entry, deadline, &err)
 *     bank_entry_flush(sender, deadline, &err)
 *     bank_entry_receive(receiver, deadline, &entry, &err)
 *     bank_entry_sender_open(client, "bank/ledger", deadline, &sender, &err)
 *     bank_entry_sender_share, _finish, _poison, _close, _base, _object; so for receivers
 *
 * `_base` makes of a typed end the one that the functions and macros below take.
 *
 * Ends may be used from any thread, by several at once, until one closes it: then no other may be using it,
 * or begin to, as with memory that is freed.  Messages that were received are released with
 * afar_message_free.  In a process that was forked when there was a channel, all of this fails with
 * FAILED_PRECONDITION, as afar/node.h says of nodes. */

#include <afar/deadline.h>
#include <afar/future.h>
#include <afar/object.h>
#include <afar/ref.h>

AFAR_BEGIN

typedef struct afar_sender afar_sender;
typedef struct afar_receiver afar_receiver;

/* What a channel carries: written by protoc-gen-afar. */
typedef struct afar_channel_type {
    uint32_t abi;                  /* AFAR_ABI */
    uint32_t size;                 /* sizeof(afar_channel_type) where it was compiled */
    const ProtobufCMessageDescriptor *message;
    const struct afar_refs *refs;  /* the references in a message; NULL if there are none */
    const afar_interface *sender;  /* "afar.Sender(bank.Entry)" */
    const afar_interface *receiver;
} afar_channel_type;

/* ---- making ---- */

/* Makes a rendezvous channel, and one end of each kind; they are the caller's. */
AFAR_API AFAR_MUST_USE afar_code
afar_rendezvous_new(const afar_channel_type *type, afar_sender **ret_sender,
                    afar_receiver **ret_receiver, afar_error *err);

/* Makes a channel with a buffer of `capacity` messages, at least 1. */
AFAR_API AFAR_MUST_USE afar_code
afar_buffered_new(const afar_channel_type *type, unsigned capacity,
                  afar_sender **ret_sender, afar_receiver **ret_receiver, afar_error *err);

/* ---- sending and receiving ---- */

/* Sends a message: waits until it is taken, or `deadline`.  The message stays the caller's, and is not needed
 * any more when this returns.  The codes stand at the top. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_send(afar_sender *sender, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err);

/* Sends ahead: returns when the message is on its way, in order, and does not wait for it to
 * be taken, but for room: when too much is on its way already (docs/channels.md), or the channel's
 * home is this process and its buffer is full.  What became of it is told by `flush` and `finish`.
 * This is for many small messages to another process; a `send` behind posts comes behind them. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_post(afar_sender *sender, const ProtobufCMessage *message, afar_deadline deadline,
                 afar_error *err);

/* Waits until all that was posted by this end is taken.  Otherwise the code says what happened to
 * the rest, once: ENDED, POISONED: it was not taken; UNKNOWN: the home was lost, some of it may have been; another
 * code: so many could not be sent, and the others were.  The error's text has the number of messages. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_flush(afar_sender *sender, afar_deadline deadline, afar_error *err);

/* Waits for a message, which is the caller's (afar_message_free).  INVALID_ARGUMENT if it could not
 * be read, or was buffered and too much for this session, RESOURCE_EXHAUSTED if it takes more memory than there is
 * or than the limits of the node allow that it came to: then it is lost. */
AFAR_API AFAR_MUST_USE afar_code
afar_receiver_receive(afar_receiver *receiver, afar_deadline deadline,
                      ProtobufCMessage **ret_message, afar_error *err);

/* ---- ending ---- */

/* Nothing more from this end: flushes, lets go of it, and waits until the channel's home knows that; so the
 * client that it was opened with may be closed next.  When the last sender has finished, receivers get
 * what is left, and then ENDED.  Later sends fail with FAILED_PRECONDITION.  The result is
 * that of the flush; the end has finished in any case. */
AFAR_API afar_code
afar_sender_finish(afar_sender *sender, afar_deadline deadline, afar_error *err);

/* Ends the channel for all, at once: whoever waits gets POISONED, what is buffered is dropped.  A message that
 * is being handed over at this moment arrives.  `reason` is for a person; up to 1,000 bytes.
 * It may be done again; the first counts.  It does not spread to other channels. */
AFAR_API void
afar_sender_poison(afar_sender *sender, const char *reason);
AFAR_API void
afar_receiver_poison(afar_receiver *receiver, const char *reason);

/* Another end of the same kind: a sender, say, for another thread that will finish by itself.
 * FAILED_PRECONDITION of one that has finished. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_share(afar_sender *sender, afar_sender **ret_sender, afar_error *err);
AFAR_API AFAR_MUST_USE afar_code
afar_receiver_share(afar_receiver *receiver, afar_receiver **ret_receiver, afar_error *err);

/* Lets go of an end; NULL is allowed.  A sender that did not finish finishes, without waiting: what was
 * posted still goes out.  When the last receiver is closed, senders get ENDED.  No thread may be in
 * a function with this end, or have it in a select or selector: poison ends such waits, or give each
 * thread an end of its own (`share`). */
AFAR_API void
afar_sender_close(afar_sender *sender);
AFAR_API void
afar_receiver_close(afar_receiver *receiver);

/* ---- ends as values ----
 *
 * An end is a reference to an object (afar/object.h): it can be exported under a name, opened by one, and
 * put into messages, in fields of the types afar.Sender and afar.Receiver that say what they
 * carry:
 *
 *     afar.Sender ledger = 1 [(afar.carries) = "bank.Entry"];
 *
 *     request_put_ledger(&request, &room, sender)     puts an end in; it stays yours
 *     reply_give_ledger(reply, call, sender)          the same for a reply, which outlives the
 *                                                     handler: it is the reply's from then on
 *     request_take_ledger(&request, &sender, &err)    takes one out, of your own
 *
 * An end on its way in a message counts as an end, and so does one that is exported. */

/* The object that an end stands for, borrowed from it, so it lasts and counts until the end is closed, even if that
 * finishes before.  NULL only if memory is out, if it has finished already and its home is elsewhere, or after a
 * fork. */
AFAR_API afar_object *
afar_sender_object(afar_sender *sender);
AFAR_API afar_object *
afar_receiver_object(afar_receiver *receiver);

/* An end on that object; it takes a reference of its own.  INVALID_ARGUMENT if it is not such an end of
 * a channel that carries this type. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_on(afar_object *object, const afar_channel_type *type,
               afar_sender **ret_sender, afar_error *err);
AFAR_API AFAR_MUST_USE afar_code
afar_receiver_on(afar_object *object, const afar_channel_type *type,
                 afar_receiver **ret_receiver, afar_error *err);

/* Room for an end in a message. */
typedef struct afar_sender_room {
    Afar__Sender end;
    Afar__Ref ref;
} afar_sender_room;

typedef struct afar_receiver_room {
    Afar__Receiver end;
    Afar__Ref ref;
} afar_receiver_room;

/* The untyped halves of the generated functions.  Makes *room hold the end and returns what goes in
 * the field (NULL for NULL).  The room and the end must stay until the message was sent. */
AFAR_API Afar__Sender *
afar_sender_put(afar_sender_room *room, afar_sender *sender);
AFAR_API Afar__Receiver *
afar_receiver_put(afar_receiver_room *room, afar_receiver *receiver);

/* The same as long as the reply of `call` lives, and closes the end then; also when this fails, which it
 * does when memory is out: RESOURCE_EXHAUSTED, and the call's error says so. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_give(afar_call *call, afar_sender *sender, Afar__Sender **ret_field);
AFAR_API AFAR_MUST_USE afar_code
afar_receiver_give(afar_call *call, afar_receiver *receiver, Afar__Receiver **ret_field);

/* Takes one out: NULL if the field was not set. */
AFAR_API AFAR_MUST_USE afar_code
afar_sender_take(const Afar__Sender *field, const afar_channel_type *type,
                 afar_sender **ret_sender, afar_error *err);
AFAR_API AFAR_MUST_USE afar_code
afar_receiver_take(const Afar__Receiver *field, const afar_channel_type *type,
                   afar_receiver **ret_receiver, afar_error *err);

/* ---- for generated code ----
 *
 * The method of each kind of end, the same for all types, and the file it is from. */

AFAR_API extern const afar_method afar_sender_methods[1];
AFAR_API extern const afar_method afar_receiver_methods[1];
AFAR_API extern const afar_file afar_file_afar_channel_proto;

AFAR_END

#endif
