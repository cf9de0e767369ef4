#ifndef STORE_DISK_H
#define STORE_DISK_H

/* A disk for SQLite that can lose power and can fail.  It keeps the three files that a
 * store has (the database, its log, its journal) in memory, and every change of them in a
 * list, so that what a power failure leaves can be made for each moment.  One disk; it is
 * SQLite's usual one from disk_start to disk_stop. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What becomes of changes that were not flushed. */
typedef enum disk_loss {
    DISK_KEEP, /* all are there */
    DISK_DROP, /* none is */
    DISK_TEAR  /* some sectors of 512 bytes of some are */
} disk_loss;

void
disk_start(void);
void
disk_stop(void);

/* The number of changes and flushes so far. */
size_t
disk_position(void);

/* Whether the database itself was written to, and not only its log, since position 0. */
bool
disk_wrote_back(void);

/* All until now is on the disk; positions begin at 0 again. */
void
disk_settle(void);

/* From now on flushing does nothing: what synchronous=OFF would do. */
void
disk_stop_flushing(void);

/* The power failed at a position.  What happens to the files afterwards is not recorded,
 * and the next power failure is one of the same history. */
void
disk_lose_power(size_t position, disk_loss loss, uint32_t seed);

/* Changes that were made to the folder are on the disk. */
void
disk_flush_folder(void);

/* What fails. */
typedef enum disk_failure {
    DISK_FULL,      /* writes, for want of room */
    DISK_BAD_WRITE, /* writes, truncating, opening and deleting */
    DISK_BAD_FLUSH, /* flushes */
    DISK_BAD_READ
} disk_failure;

/* The operation of that kind after `after` others fails, and if `for_good` all that
 * follow, until disk_mend. */
void
disk_fail(disk_failure failure, int after, bool for_good);

/* Whether something failed since disk_fail. */
bool
disk_mend(void);

#endif
