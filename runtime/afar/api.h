#ifndef AFAR_API_H
#define AFAR_API_H

/* What every public header needs: visibility, and the attributes that let the
 * compiler check callers.  Nothing here has a run-time part. */

/* The version of the generated tables.  A library refuses tables with another
 * major number; tables only grow at their end, which their size tells. */
#define AFAR_ABI 1u

#if defined(__GNUC__)
#define AFAR_API __attribute__((visibility("default")))
#define AFAR_MUST_USE __attribute__((warn_unused_result))
#define AFAR_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#define AFAR_DEPRECATED __attribute__((deprecated))
#else
#define AFAR_API
#define AFAR_MUST_USE
#define AFAR_PRINTF(text, first)
#define AFAR_DEPRECATED
#endif

#ifdef __cplusplus
#define AFAR_BEGIN extern "C" {
#define AFAR_END }
#else
#define AFAR_BEGIN
#define AFAR_END
#endif

#endif
