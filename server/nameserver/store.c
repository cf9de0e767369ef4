/* Which store a name server keeps its names in.  Any thread. */

#include "server/nameserver/store.h"

#include <string.h>
#include <time.h>

afar_code
afar__store_open(const char *where, afar__store **ret_store, afar_error *err)
{
    if (!*where)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "a store is \"memory\" or the path of a file, not the empty text");
    if (strcmp(where, "memory") == 0)
        return afar__store_open_memory(ret_store, err);
    return afar__store_open_sqlite(where, ret_store, err);
}

uint64_t
afar__store_first_revision(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec <= 0)
        return 1;
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
