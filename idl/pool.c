/* Memory of one run: a list of blocks, each carved from its start.
 *
 * Small requests share a block; one that would not fit in a fresh block gets a
 * block of its own.  Blocks come zeroed from calloc and bytes are handed out
 * once, so what pool_alloc returns is zero.  One thread. */

#include "idl/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024 };

typedef struct idl_block {
    struct idl_block *next;
    size_t size;
    size_t used;
    max_align_t data[];
} idl_block;

struct idl_pool {
    idl_block *newest;
};

void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("protoc-gen-afar: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

idl_pool *
pool_new(void)
{
    idl_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        die("out of memory");
    return pool;
}

void
pool_free(idl_pool *pool)
{
    if (!pool)
        return;
    while (pool->newest) {
        idl_block *next = pool->newest->next;

        free(pool->newest);
        pool->newest = next;
    }
    free(pool);
}

static void
add_block(idl_pool *pool, size_t size)
{
    idl_block *block = calloc(1, sizeof *block + size);

    if (!block)
        die("out of memory");
    block->size = size;
    block->next = pool->newest;
    pool->newest = block;
}

void *
pool_alloc(idl_pool *pool, size_t n)
{
    if (n > SIZE_MAX / 2)
        die("out of memory");
    size_t size = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);

    if (!pool->newest || pool->newest->size - pool->newest->used < size)
        add_block(pool, size > BLOCK_SIZE ? size : BLOCK_SIZE);
    char *start = (char *)pool->newest->data + pool->newest->used;
    pool->newest->used += size;
    return start;
}

void *
pool_array(idl_pool *pool, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        die("out of memory");
    return pool_alloc(pool, count * size);
}

char *
pool_copy(idl_pool *pool, const char *text, size_t n)
{
    char *copy = pool_alloc(pool, n + 1);

    if (n)
        memcpy(copy, text, n);
    return copy;
}

char *
pool_format_list(idl_pool *pool, const char *format, va_list arguments)
{
    va_list again;

    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        die("cannot format \"%s\"", format);
    char *text = pool_alloc(pool, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *
pool_format(idl_pool *pool, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *text = pool_format_list(pool, format, arguments);
    va_end(arguments);
    return text;
}
