#ifndef AFAR_NAMESERVER_PARTS_H
#define AFAR_NAMESERVER_PARTS_H

/* What the files of the registry share: registry.c opens, closes and reads, writer.c
 * is the thread, decide.c has the rules for changes. */

#include <pthread.h>

#include "server/nameserver/group.h"
#include "server/nameserver/nonce.h"
#include "server/rare.h"

enum { AFAR__REQUEST_REGISTER, AFAR__REQUEST_UNREGISTER };

struct afar__registry {
    /* constant */
    afar__store *store;
    int64_t (*now_ns)(void);
    size_t max_names, max_names_per_key;
    uint8_t *secret;
    uint8_t epoch[AFAR__EPOCH_BYTES];
    pthread_t writer;

    pthread_mutex_t lock; /* guards what follows; state.h has the exceptions */
    afar__state state;
    pthread_cond_t work; /* there is a request, or it closes */
    afar__registry_request *first, *last;
    size_t queued;
    bool closing;

    /* the writer's */
    afar__group group;
    afar__graves graves;
    afar__rare failures;
};

/* ---- decide.c ---- */

typedef enum afar__decision {
    AFAR__GRANTED, /* the steps are in the group */
    AFAR__REFUSED, /* err says why */
    AFAR__LATER,   /* it must see what the group does first */
    AFAR__ENDING   /* the same, of a lease that is over and is removed by one of the next groups */
} afar__decision;

/* On the writer. */
afar__decision
afar__decide(afar__registry *registry, afar__registry_request *request,
             afar__registered *ret_result, afar_error *err);

/* Whether a nonce is young enough as of now_ns. */
afar_code
afar__check_nonce_age(const afar__record *record, int64_t now_ns, afar_error *err);

/* Whether `lease` is one of this key that is open at `now_ns`, else NOT_FOUND; and whether epoch
 * and sequence of what was signed are good for it, else FAILED_PRECONDITION with Stale. */
afar_code
afar__check_lease_locked(const afar__lease *lease, const uint8_t *key, int64_t now_ns,
                         afar_error *err);
afar_code
afar__check_sequence_locked(const afar__registry *registry, const afar__lease *lease,
                            ProtobufCBinaryData epoch, uint64_t sequence, afar_error *err);

/* ---- writer.c ---- */

/* Hands a request to the writer.  RESOURCE_EXHAUSTED when too many wait. */
afar_code
afar__writer_queue(afar__registry *registry, afar__registry_request *request, afar_error *err);

/* The thread; `arg` is the registry. */
void *
afar__writer_run(void *arg);

#endif
