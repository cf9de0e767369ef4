#ifndef AFAR_CALL_H
#define AFAR_CALL_H

/* A call as its handler sees it.  A handler runs on a library thread.  The call,
 * its request and its reply live until the call is finished: when the handler
 * returns, or, after afar_call_defer, when afar_call_finish is called.
 *
 * While a handler runs it is its thread's current call: what it calls inherits
 * the deadline, the cancellation and the metadata that travels. */

#include <stdarg.h>
#include <stdbool.h>

#include <afar/deadline.h>
#include <afar/interface.h>
#include <afar/metadata.h>

AFAR_BEGIN

/* ---- answering ---- */

/* Makes the call fail with a code and a one-line message; returns the code, so
 * that a handler can `return afar_call_fail(...)`. */
AFAR_API AFAR_PRINTF(3, 4) afar_code
afar_call_fail(afar_call *call, afar_code code, const char *format, ...);

/* Makes the call fail as `err` says, details included; returns its code. */
AFAR_API afar_code
afar_call_fail_error(afar_call *call, const afar_error *err);

/* As afar_call_fail, with a typed detail; the generated `_fail` of an error
 * message is this with types.  `type` is the message's full name. */
AFAR_API AFAR_PRINTF(5, 0) afar_code
afar_call_fail_detail(afar_call *call, afar_code code,
                      const char *type, const ProtobufCMessage *detail,
                      const char *format, va_list arguments);

/* `n` zeroed bytes that live as long as the reply, aligned for anything.  NULL
 * only if memory is out. */
AFAR_API void *
afar_call_alloc(afar_call *call, size_t n);

/* A copy of a string that lives as long as the reply. */
AFAR_API char *
afar_call_strdup(afar_call *call, const char *string);

/* ---- late answers ---- */

/* The answer comes later: call this, keep `call`, return AFAR_OK, and call
 * afar_call_finish once, from any thread.  It ends the object's turn: the next
 * call may enter. */
AFAR_API void
afar_call_defer(afar_call *call);

/* Finishes a deferred call, with what was put in the reply if `code` is AFAR_OK.
 * May come before the handler returned; then the handler must not touch the
 * call any more. */
AFAR_API void
afar_call_finish(afar_call *call, afar_code code);

/* ---- what is known of the caller ---- */

/* When the caller gives up. */
AFAR_API afar_deadline
afar_call_deadline(const afar_call *call);

/* Whether the caller is known to have given up: cancelled, past its deadline, or
 * gone.  Cheap enough for a loop. */
AFAR_API bool
afar_call_cancelled(afar_call *call);

/* Calls `fn` once, on a library thread, when the caller gives up; at once if it
 * has.  It never begins after the call was finished; one that runs meanwhile goes on,
 * and the call lives until it returns.  One a call. */
AFAR_API void
afar_call_on_cancelled(afar_call *call, void (*fn)(afar_call *call, void *arg), void *arg);

/* The method that was called. */
AFAR_API const afar_method *
afar_call_method(const afar_call *call);

/* The name of the object as the caller gave it, "" for the default object. */
AFAR_API const char *
afar_call_object_name(const afar_call *call);

/* The metadata that came with the call. */
AFAR_API const afar_metadata *
afar_call_metadata(const afar_call *call);

/* Who calls, as far as it is known. */
typedef struct afar_peer {
    const char *address;           /* "127.0.0.1:40312", "[::1]:40312", "unix", "local";
                                      for people, not for trust */
    int64_t uid;                   /* of the process at the other end of a unix socket, or -1 */
    int64_t pid;                   /* the same; -1 when not known */
} afar_peer;

/* Lives as long as the call. */
AFAR_API afar_peer
afar_call_peer(const afar_call *call);

/* ---- metadata to the caller ---- */

/* Adds a pair to what is sent before the first message.  FAILED_PRECONDITION when
 * that has been sent; INVALID_ARGUMENT for a pair that may not be sent. */
AFAR_API afar_code
afar_call_add_initial_metadata(afar_call *call, const char *key,
                               const void *value, size_t length, afar_error *err);

/* Adds a pair to what is sent with the end of the call. */
AFAR_API afar_code
afar_call_add_trailing_metadata(afar_call *call, const char *key,
                                const void *value, size_t length, afar_error *err);

/* ---- the handler's end of a stream, untyped ----
 *
 * A call waits for the deadline given or the end of the call, whichever is
 * earlier.  While it waits, a serial object's turn is given up: another call may
 * run in the object, so what the handler read from `self` before may have
 * changed. */

/* Sends one message to the caller; waits while 64 KiB of messages are buffered here
 * (what HTTP/2 has on its way comes on top).  DEADLINE_EXCEEDED: not sent.  CANCELLED: nobody is there any more. */
AFAR_API AFAR_MUST_USE afar_code
afar_call_send(afar_call *call, const ProtobufCMessage *message,
               afar_deadline deadline, afar_error *err);

/* Receives one message; it lives until the next receive on this call.
 * AFAR_ENDED after the last one. */
AFAR_API AFAR_MUST_USE afar_code
afar_call_receive(afar_call *call, afar_deadline deadline,
                  const ProtobufCMessage **ret_message, afar_error *err);

/* ---- the thread's current call ---- */

/* The call whose handler runs on this thread, or that was entered; or NULL. */
AFAR_API afar_call *
afar_call_current(void);

/* Makes a call current on this thread, for work done on its behalf while its handler
 * waits or after it deferred, until afar_call_leave.  They nest. */
AFAR_API void
afar_call_enter(afar_call *call);

AFAR_API void
afar_call_leave(afar_call *call);

/* ---- for generated code ---- */

/* The request and the reply, of the types of the method. */
AFAR_API const ProtobufCMessage *
afar_call_request(const afar_call *call);

AFAR_API ProtobufCMessage *
afar_call_reply(afar_call *call);

/* Fails with UNIMPLEMENTED and names the method. */
AFAR_API afar_code
afar_call_unimplemented(afar_call *call);

AFAR_END

#endif
