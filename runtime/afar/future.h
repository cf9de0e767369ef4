#ifndef AFAR_FUTURE_H
#define AFAR_FUTURE_H

/* The answer of a call that was started and not waited for.  Made by the `_start`
 * form of a method; the method's `_await` takes the reply out.  A future is the
 * caller's and is closed by the caller, whether or not it was awaited.  Any
 * thread; several may wait for one. */

#include <stdbool.h>

#include <afar/deadline.h>
#include <afar/interface.h>
#include <afar/metadata.h>

AFAR_BEGIN

typedef struct afar_future afar_future;

/* Runs once, on a library thread, when the answer is there; never inside
 * afar_future_on_done itself.  It may close the future. */
typedef void (*afar_future_fn)(afar_future *future, void *arg);

/* Waits until the answer is there, a good one or a bad one.  DEADLINE_EXCEEDED
 * when `deadline` passes first: the call itself goes on.  Does not take the answer. */
AFAR_API AFAR_MUST_USE afar_code
afar_future_wait(afar_future *future, afar_deadline deadline, afar_error *err);

/* Whether the answer is there. */
AFAR_API bool
afar_future_done(const afar_future *future);

/* Calls `fn` once the answer is there, at once if it is there already.  One
 * callback a future; a second one stops the program. */
AFAR_API void
afar_future_on_done(afar_future *future, afar_future_fn fn, void *arg);

/* Waits and takes the answer: the reply is the caller's (afar_message_free), the
 * error is copied.  A reply that is not wanted is released here: ret_reply may be NULL.
 * FAILED_PRECONDITION when the reply was taken before.  The generated `_await` of a
 * method is this with types; a future of another method stops the program. */
AFAR_API AFAR_MUST_USE afar_code
afar_future_await(afar_future *future, const afar_method *method, afar_deadline deadline,
                  ProtobufCMessage **ret_reply, afar_error *err);

/* The metadata that came before and after the reply; empty until done.  They
 * live as long as the future. */
AFAR_API const afar_metadata *
afar_future_initial_metadata(const afar_future *future);

AFAR_API const afar_metadata *
afar_future_trailing_metadata(const afar_future *future);

/* Cancels the call if it still runs and forgets it; NULL is allowed.  A callback
 * that is running meanwhile on another thread finishes first; one that did not
 * begin never runs. */
AFAR_API void
afar_future_close(afar_future *future);

AFAR_END

#endif
