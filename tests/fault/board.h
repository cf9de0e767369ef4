#ifndef BOARD_H
#define BOARD_H

/* What several processes of one test know together: a piece of memory that they share, made before
 * they part.  Each call has a number; who makes it writes down how it ended, who runs it that it
 * ran.  So at the end it is seen whether an outcome was true. */

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include <afar/error.h>

#define BOARD_CALLS 1300

enum board_state { BOARD_NOT_MADE, BOARD_MADE, BOARD_ENDED };

struct board_call {
    atomic_int state; /* enum board_state; code and outcome are written before BOARD_ENDED */
    atomic_int ran;   /* how often */
    afar_code code;
    afar_outcome outcome;
};

struct board {
    struct board_call calls[BOARD_CALLS];
    atomic_int made, finalized;       /* objects of the server */
    atomic_int listeners, unlistened; /* the same of the client */
    atomic_int holding;               /* calls that wait to be cancelled */
    char address[64];                 /* where the server is; valid once `serving` */
    atomic_bool serving, visited, left;
    atomic_bool finish; /* the server is to look whether all is gone */
};

/* Shared with all children. */
struct board *
board_new(void);

void
board_free(struct board *board);

/* A child that does not outlive this process. */
pid_t
board_fork(void);

/* A call is about to be made; it ended. */
void
board_begin(struct board *board, int number);
void
board_end(struct board *board, int number, afar_code code, const afar_error *err);

/* Its handler runs. */
void
board_ran(struct board *board, int64_t number);

/* All calls from `first` until before `end` ended with what is true; if `all_ended` is false
 * those whose maker was killed may have no end. */
void
board_judge(const struct board *board, int first, int end, bool all_ended);

/* ---- waiting ---- */

int64_t
now_in_ms(void);

/* Looks until it holds, some seconds long; `what` says what was waited for in vain. */
void
wait_until(bool (*holds)(const void *arg), const void *arg, const char *what);

bool
is_set(const void *flag);

/* The same without a bound: the test has one. */
void
wait_for_flag(const atomic_bool *flag);

/* Sockets and files that are open, without what threads need among themselves. */
int
descriptor_count(void);

int
live_threads(void);

/* Resident, of a process. */
size_t
resident_bytes(int pid);

#endif
