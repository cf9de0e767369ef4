#ifndef IDL_POOL_H
#define IDL_POOL_H

/* Memory of one run.  The compiler reads one request, writes one response and
 * ends, so nothing is freed before the end. */

#include <stdarg.h>
#include <stddef.h>

typedef struct idl_pool idl_pool;

/* Ends the program with a line on stderr: for input that protoc does not send,
 * and for memory that runs out. */
__attribute__((noreturn, format(printf, 1, 2))) void
die(const char *format, ...);

idl_pool *
pool_new(void);

/* Frees the pool and all that came from it; NULL is allowed. */
void
pool_free(idl_pool *pool);

/* `n` zeroed bytes, aligned for anything; never NULL. */
void *
pool_alloc(idl_pool *pool, size_t n);

/* The same for `count` elements of `size` bytes. */
void *
pool_array(idl_pool *pool, size_t count, size_t size);

/* A copy of `n` bytes with a NUL behind them. */
char *
pool_copy(idl_pool *pool, const char *text, size_t n);

__attribute__((format(printf, 2, 3))) char *
pool_format(idl_pool *pool, const char *format, ...);

char *
pool_format_list(idl_pool *pool, const char *format, va_list arguments);

#endif
