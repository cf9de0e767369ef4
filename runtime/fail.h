#ifndef AFAR_RUNTIME_FAIL_H
#define AFAR_RUNTIME_FAIL_H

/* Making errors, with all that afar_fail leaves at its default. */

#include <stdarg.h>
#include <stdbool.h>

#include <afar/error.h>

/* As afar_fail, with an outcome and with who says so. */
AFAR_PRINTF(5, 6)
afar_code
afar__fail_outcome(afar_error *err, afar_code code, afar_outcome outcome, bool remote,
                   const char *format, ...);

/* The same over a va_list. */
AFAR_PRINTF(5, 0)
afar_code
afar__vfail(afar_error *err, afar_code code, afar_outcome outcome, bool remote, const char *format,
            va_list arguments);

/* What AFAR_ERROR_INIT is, without touching the whole of it. */
static inline void
afar__error_init(afar_error *err)
{
    err->code = AFAR_OK;
    err->outcome = AFAR_OUTCOME_NOT_SENT;
    err->remote = false;
    err->message[0] = '\0';
    err->details = NULL;
}

#endif
