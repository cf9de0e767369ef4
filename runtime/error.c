/* Errors: the codes and the caller's struct.
 *
 * Every error is made in afar__vfail: one place for a breakpoint.  The message is
 * written before the struct is cleared, since it often quotes the message that was
 * in it.
 *
 * Runs on the thread that owns the error.
 */

#include <afar/error.h>

#include <stdarg.h>
#include <string.h>

#include "runtime/details.h"
#include "runtime/fail.h"
#include "runtime/line.h"
#include "runtime/misuse.h"

void
afar_error_clear(afar_error *err)
{
    if (!err || (err->code == AFAR_OK && !err->details))
        return;
    afar__details_free(err->details);
    *err = (afar_error)AFAR_ERROR_INIT;
}

void
afar_error_copy(afar_error *to, const afar_error *from)
{
    if (!to || to == from)
        return;
    afar_error_clear(to);
    to->code = from->code;
    to->outcome = from->outcome;
    to->remote = from->remote;
    memcpy(to->message, from->message, sizeof to->message);
    to->details = afar__details_copy(from->details);
}

void
afar_error_move(afar_error *to, afar_error *from)
{
    if (to == from)
        return;
    if (!to) {
        afar_error_clear(from);
        return;
    }
    afar_error_clear(to);
    *to = *from;
    *from = (afar_error)AFAR_ERROR_INIT;
}

afar_code
afar__vfail(afar_error *err, afar_code code, afar_outcome outcome, bool remote, const char *format,
            va_list arguments)
{
    char message[sizeof err->message];

    if (code == AFAR_OK)
        afar__misuse("an error was to be made with the code OK: \"%s\"", format);
    if (!err)
        return code;
    afar__line_format(message, sizeof message, format, arguments);
    afar_error_clear(err);
    err->code = code;
    err->outcome = outcome;
    err->remote = remote;
    memcpy(err->message, message, sizeof message);
    return code;
}

afar_code
afar__fail_outcome(afar_error *err, afar_code code, afar_outcome outcome, bool remote,
                   const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    code = afar__vfail(err, code, outcome, remote, format, arguments);
    va_end(arguments);
    return code;
}

afar_code
afar_fail(afar_error *err, afar_code code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    code = afar__vfail(err, code, AFAR_OUTCOME_NOT_SENT, false, format, arguments);
    va_end(arguments);
    return code;
}

/* ---- codes ---- */

static const char *const grpc_names[] = {
    [AFAR_OK] = "OK",
    [AFAR_CANCELLED] = "CANCELLED",
    [AFAR_UNKNOWN] = "UNKNOWN",
    [AFAR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [AFAR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [AFAR_NOT_FOUND] = "NOT_FOUND",
    [AFAR_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [AFAR_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [AFAR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [AFAR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [AFAR_ABORTED] = "ABORTED",
    [AFAR_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [AFAR_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [AFAR_INTERNAL] = "INTERNAL",
    [AFAR_UNAVAILABLE] = "UNAVAILABLE",
    [AFAR_DATA_LOSS] = "DATA_LOSS",
    [AFAR_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

static const char *const own_names[] = {
    [AFAR_DEADLOCK - AFAR_DEADLOCK] = "DEADLOCK", [AFAR_ENDED - AFAR_DEADLOCK] = "ENDED",
    [AFAR_POISONED - AFAR_DEADLOCK] = "POISONED", [AFAR_LOST - AFAR_DEADLOCK] = "LOST",
    [AFAR_MOVED - AFAR_DEADLOCK] = "MOVED",
};

const char *
afar_code_name(afar_code code)
{
    if ((int)code >= AFAR_OK && code <= AFAR_UNAUTHENTICATED)
        return grpc_names[code];
    if (code >= AFAR_DEADLOCK && code <= AFAR_MOVED)
        return own_names[code - AFAR_DEADLOCK];
    return grpc_names[AFAR_UNKNOWN];
}

afar_code
afar_code_status(afar_code code)
{
    switch (code) {
    case AFAR_DEADLOCK:
    case AFAR_POISONED:
        return AFAR_ABORTED;
    case AFAR_ENDED:
        return AFAR_OUT_OF_RANGE;
    case AFAR_LOST:
    case AFAR_MOVED:
        return AFAR_UNAVAILABLE;
    default:
        return (int)code >= 0 && code <= AFAR_UNAUTHENTICATED ? code : AFAR_UNKNOWN;
    }
}
