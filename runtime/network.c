/* Networks of processes: threads with the ends that they were given.
 *
 *     running -> leaving -> ended -> joined
 *
 * A process runs while its function does.  Then, under the lock, the network learns how it went, and is
 * poisoned if it failed; so whoever receives from it learns of the poison, and not of an end that looks
 * ordinary.  Leaving, it closes what it was given.  Then it has ended, and is joined by whoever waits, starts
 * another or closes the network.
 *
 * A process that is not a thread has its ends by itself; what it was given is then what they are poisoned by,
 * which counts as no end.
 *
 * What a process was given is poisoned only while it is in the list of those that run, under the lock,
 * and closed only after it has left that list.
 *
 * The lock is taken before any of the channels', never after. */

#include "runtime/network.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/channel/live.h"
#include "runtime/engine.h"
#include "runtime/engine_parts.h"
#include "runtime/fail.h"
#include "runtime/host.h"
#include "runtime/misuse.h"

/* What a process that leaves waits for homes elsewhere, at most; ends that are slower are closed. */
#define LEAVING_MS 5000

struct process {
    struct process *next, **link; /* among those that run; then `next` among those that ended */
    afar_network *network;
    afar__process is;
    char *name;
    pthread_t thread;
    size_t count;
    afar_given given[];
};

struct afar_network {
    pthread_mutex_t lock; /* guards what follows */
    struct process *running;
    struct process *ended; /* to be joined */
    unsigned count;        /* of those that have not ended */
    afar__waiters waiters; /* for that to be 0 */
    afar_error poison;     /* why it was poisoned; OK: it was not */
    afar_error failure;    /* the first; OK: none */
    bool failed_child;     /* it is that of a child */
};

/* The process that this thread is. */
static _Thread_local const struct process *self;

/* ---- what was given ---- */

size_t
afar__given_count(const afar_given *given)
{
    size_t count = 0;

    while (given && (given[count].sender || given[count].receiver || given[count].object))
        count++;
    return count;
}

static void
close_given(const afar_given *given, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        afar_sender_close(given[i].sender);
        afar_receiver_close(given[i].receiver);
        afar_object_close(given[i].object);
    }
}

/* The homes know of it before the process has ended: what it says last, an end or a poison, would be lost if
 * the program closed its client at once. */
static void
finish_given(const afar_given *given, size_t count)
{
    afar_deadline deadline = afar_after_ms(LEAVING_MS);

    for (size_t i = 0; i < count; i++) {
        if (given[i].sender)
            (void)afar_sender_finish(given[i].sender, deadline, NULL);
        if (given[i].receiver)
            afar__end_finish(afar__end_of_receiver(given[i].receiver), deadline.ns);
    }
}

static void
poison_given(const afar_given *given, size_t count, const char *reason)
{
    for (size_t i = 0; i < count; i++) {
        if (given[i].sender)
            afar_sender_poison(given[i].sender, reason);
        if (given[i].receiver)
            afar_receiver_poison(given[i].receiver, reason);
    }
}

/* ---- poison and failure ---- */

static void
poison_locked(afar_network *network, const char *reason)
{
    if (network->poison.code)
        return;
    afar_fail(&network->poison, AFAR_POISONED, "%s", reason);
    for (struct process *process = network->running; process; process = process->next) {
        poison_given(process->given, process->count, network->poison.message);
        if (process->is.poisoned)
            process->is.poisoned(process->is.arg);
    }
}

/* The error as `wait` tells it: with the name in front, unless it has that already. */
static void
tell(afar_error *to, const char *name, afar_code code, const afar_error *err)
{
    afar_error text = AFAR_ERROR_INIT;

    afar_error_copy(to, err);
    afar_fail(&text, code, "%s%s%s", name ? name : "", name ? ": " : "",
              err->code ? err->message : afar_code_name(code));
    to->code = code;
    memcpy(to->message, text.message, sizeof to->message);
}

static void
fail_locked(afar_network *network, const afar__process *process, afar_code code,
            const afar_error *err)
{
    bool explains =
        process->is_child && !network->failed_child && network->failure.code == AFAR_LOST;

    if (!network->failure.code || explains) {
        tell(&network->failure, process->is_child ? NULL : process->name, code, err);
        network->failed_child = process->is_child;
    }
    poison_locked(network, network->failure.message);
}

void
afar_network_poison(afar_network *network, const char *reason)
{
    if (!network || !reason)
        afar__misuse("afar_network_poison: a NULL %s", network ? "reason" : "network");
    if (afar__engine_forked())
        return;
    pthread_mutex_lock(&network->lock);
    poison_locked(network, reason);
    pthread_mutex_unlock(&network->lock);
}

/* ---- processes ---- */

static void
link_locked(afar_network *network, struct process *process)
{
    process->next = network->running;
    process->link = &network->running;
    if (process->next)
        process->next->link = &process->next;
    network->running = process;
    network->count++;
}

static void
unlink_locked(struct process *process)
{
    *process->link = process->next;
    if (process->next)
        process->next->link = process->link;
}

static bool
is_failure(afar_code code)
{
    return code != AFAR_OK && code != AFAR_ENDED && code != AFAR_POISONED;
}

static void
release(struct process *process)
{
    if (process->is.release)
        process->is.release(process->is.arg);
    finish_given(process->given, process->count);
    close_given(process->given, process->count);
}

static void
free_process(struct process *process)
{
    free(process->name);
    free(process);
}

static void *
run_process(void *arg)
{
    struct process *process = arg;
    afar_network *network = process->network;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    self = process;
    code = process->is.run(process->is.arg, &err);
    pthread_mutex_lock(&network->lock);
    if (is_failure(code) && !process->is.may_fail)
        fail_locked(network, &process->is, code, &err);
    unlink_locked(process);
    pthread_mutex_unlock(&network->lock);
    afar_error_clear(&err);
    release(process);
    pthread_mutex_lock(&network->lock);
    process->next = network->ended;
    network->ended = process;
    if (--network->count == 0)
        afar__waiters_wake(&network->waiters);
    pthread_mutex_unlock(&network->lock);
    return NULL;
}

/* They have unlocked for the last time, or are about to. */
static void
join_ended(afar_network *network)
{
    struct process *ended, *next;

    pthread_mutex_lock(&network->lock);
    ended = network->ended;
    network->ended = NULL;
    pthread_mutex_unlock(&network->lock);
    for (; ended; ended = next) {
        next = ended->next;
        pthread_join(ended->thread, NULL);
        free_process(ended);
    }
}

static struct process *
new_process(afar_network *network, const afar__process *is, const afar_given *given)
{
    size_t count = afar__given_count(given);
    struct process *process = calloc(1, sizeof *process + count * sizeof *given);
    char *name = strdup(is->name);

    if (!process || !name) {
        free(process);
        free(name);
        return NULL;
    }
    process->network = network;
    process->is = *is;
    process->is.name = process->name = name;
    process->count = count;
    for (size_t i = 0; i < count; i++)
        process->given[i] = given[i];
    return process;
}

static afar_code
check_locked(const afar_network *network, afar_error *err)
{
    if (network->poison.code && err)
        afar_error_copy(err, &network->poison);
    return network->poison.code;
}

afar_code
afar__network_check(afar_network *network, afar_error *err)
{
    afar_code code;

    pthread_mutex_lock(&network->lock);
    code = check_locked(network, err);
    pthread_mutex_unlock(&network->lock);
    return code;
}

/* Under the lock, so that `thread` is set before it can be joined. */
static afar_code
start_locked(afar_network *network, struct process *process, afar_error *err)
{
    afar_code code = check_locked(network, err);
    int failed;

    if (code)
        return code;
    failed = afar__thread_make(&process->thread, run_process, process);
    if (failed)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no thread: %s", strerror(failed));
    link_locked(network, process);
    return AFAR_OK;
}

afar_code
afar__network_refuse(afar_network *network, const afar__process *is, const afar_given *given,
                     const afar_error *why, afar_error *err)
{
    pthread_mutex_lock(&network->lock);
    if (is_failure(why->code) && !is->may_fail)
        fail_locked(network, is, why->code, why);
    pthread_mutex_unlock(&network->lock);
    if (is->release)
        is->release(is->arg);
    close_given(given, afar__given_count(given));
    if (err)
        tell(err, is->is_child ? NULL : is->name, why->code, why);
    return why->code;
}

afar_code
afar__network_start(afar_network *network, const afar__process *is, const afar_given *given,
                    afar_error *err)
{
    struct process *process = new_process(network, is, given);
    afar_error why = AFAR_ERROR_INIT;
    afar_code code;

    join_ended(network);
    if (process) {
        pthread_mutex_lock(&network->lock);
        code = start_locked(network, process, &why);
        pthread_mutex_unlock(&network->lock);
    } else {
        code = afar_fail(&why, AFAR_RESOURCE_EXHAUSTED, "no memory for a process");
    }
    if (code) {
        (void)!afar__network_refuse(network, is, given, &why, err);
        if (process)
            free_process(process);
        afar_error_clear(&why);
    }
    return code;
}

afar_code
afar_network_run(afar_network *network, const char *name, afar_process_fn fn, void *arg,
                 const afar_given *given, afar_error *err)
{
    afar__process is = { .name = name, .run = fn, .arg = arg };
    afar_code code = afar__engine_check(err);

    if (!network || !name || !fn)
        afar__misuse("afar_network_run: a NULL %s", !network ? "network" : name ? "fn" : "name");
    return code ? code : afar__network_start(network, &is, given, err);
}

/* ---- waiting ---- */

/* Until no process runs, or `deadline`. */
static afar__wait_result
wait_for_all(afar_network *network, int64_t deadline)
{
    afar__wait_result result = AFAR__WAIT_WOKEN;
    afar__waiter waiter;

    afar__host_wait(afar_call_current());
    pthread_mutex_lock(&network->lock);
    while (network->count > 0 && result == AFAR__WAIT_WOKEN) {
        afar__waiters_add(&network->waiters, &waiter);
        pthread_mutex_unlock(&network->lock);
        result = afar__wait(&waiter, deadline);
        pthread_mutex_lock(&network->lock);
        afar__waiters_remove(&waiter);
    }
    if (network->count == 0)
        result = AFAR__WAIT_WOKEN;
    pthread_mutex_unlock(&network->lock);
    afar__host_go_on(afar_call_current());
    return result;
}

static afar_code
fail_late(afar_network *network, afar_error *err)
{
    afar_code code;

    pthread_mutex_lock(&network->lock);
    if (network->running && network->count > 1)
        code = afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%s still runs, and %u other%s",
                         network->running->name, network->count - 1, network->count > 2 ? "s" : "");
    else
        code = afar_fail(err, AFAR_DEADLINE_EXCEEDED, "%s still runs",
                         network->running ? network->running->name : "a process");
    pthread_mutex_unlock(&network->lock);
    return code;
}

afar_code
afar_network_wait(afar_network *network, afar_deadline deadline, afar_error *err)
{
    afar_code code = afar__engine_check(err);
    afar__wait_result result;

    if (code)
        return code;
    if (self && self->network == network)
        return afar_fail(err, AFAR_DEADLOCK, "%s waits for its own network", self->name);
    result = wait_for_all(network, deadline.ns);
    join_ended(network);
    if (result == AFAR__WAIT_REFUSED)
        return afar__wait_refused(err);
    if (result == AFAR__WAIT_TIMEOUT)
        return fail_late(network, err);
    pthread_mutex_lock(&network->lock);
    code = network->failure.code;
    if (code && err)
        afar_error_copy(err, &network->failure);
    pthread_mutex_unlock(&network->lock);
    return code;
}

/* ---- life ---- */

afar_code
afar_network_open(afar_network **ret_network, afar_error *err)
{
    afar_network *network;
    afar_code code = afar__engine_hold(err);

    if (code)
        return code;
    network = calloc(1, sizeof *network);
    if (!network) {
        afar__engine_release();
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a network of processes");
    }
    pthread_mutex_init(&network->lock, NULL);
    *ret_network = network;
    return AFAR_OK;
}

static void *
close_network(void *arg)
{
    afar_network *network = arg;

    pthread_mutex_lock(&network->lock);
    if (network->running)
        poison_locked(network, "the network was closed");
    pthread_mutex_unlock(&network->lock);
    (void)wait_for_all(network, INT64_MAX);
    join_ended(network);
    afar_error_clear(&network->poison);
    afar_error_clear(&network->failure);
    pthread_mutex_destroy(&network->lock);
    free(network);
    afar__engine_release();
    return NULL;
}

void
afar_network_close(afar_network *network)
{
    if (!network || afar__engine_forked())
        return;
    if (self && self->network == network)
        afar__misuse("afar_network_close: %s closes its own network", self->name);
    (void)afar__engine_aside(close_network, network);
}
