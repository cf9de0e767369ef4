#ifndef AFAR_RUNTIME_NETWORK_H
#define AFAR_RUNTIME_NETWORK_H

/* Networks of processes, for who starts other kinds of processes than threads: each has a thread of
 * the network that stands for it, and waits for it. */

#include <afar/network.h>

typedef struct afar__process {
    const char *name; /* for messages; copied */
    afar_process_fn run;
    /* Called behind `run`, when the network knows how it went, before what was given is closed.  Also
     * when it could not be started.  May be NULL. */
    void (*release)(void *arg);
    /* Called under the network's lock, at most once, when it is poisoned while `run` runs.  May be NULL. */
    void (*poisoned)(void *arg);
    void *arg;
    bool is_child; /* its errors name it, and come before those that others had of it */
    bool may_fail; /* that is not the network's failure */
} afar__process;

/* As afar_network_run.  For a process that is not a thread, `given` has what its ends are poisoned by. */
AFAR_MUST_USE afar_code
afar__network_start(afar_network *network, const afar__process *is, const afar_given *given,
                    afar_error *err);

/* POISONED, and why, if nothing is started in it any more. */
AFAR_MUST_USE afar_code
afar__network_check(afar_network *network, afar_error *err);

/* It could not be started, as *why says: fails the network, if that is its failure, and lets go as
 * afar__network_start does then. */
afar_code
afar__network_refuse(afar_network *network, const afar__process *is, const afar_given *given,
                     const afar_error *why, afar_error *err);

/* The number of things in a list; 0 for NULL. */
size_t
afar__given_count(const afar_given *given);

#endif
