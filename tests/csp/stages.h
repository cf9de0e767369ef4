#ifndef STAGES_H
#define STAGES_H

/* The processes that the networks of the tests are made of, in threads of the test or of csp_part.
 * Each ends with the code of the operation that told it to. */

#include <afar/network.h>

#include "item.afar.h"

struct stage {
    csp_item_receiver *in;
    csp_item_sender *out;
    csp_item_sender *aside; /* filters: where their prime goes; delta: the second output */
};

/* Sends what it receives, plus 1.  If its input was poisoned, so is its output. */
afar_code
stage_add(void *arg, afar_error *err);

/* The first that comes is a prime, which goes aside; of the others those that are no multiples of it go on.
 * Without an output that is all. */
afar_code
stage_filter(void *arg, afar_error *err);

/* Sends 0, then what it receives. */
afar_code
stage_prefix(void *arg, afar_error *err);

/* Sends what it receives to both of its outputs. */
afar_code
stage_delta(void *arg, afar_error *err);

/* Runs a chain of `count` processes in the network; what goes into *ret_in comes out at `out`, which becomes the
 * network's.  Filters also get an end of `aside`, if that is not NULL. */
AFAR_MUST_USE afar_code
stage_chain(afar_network *network, afar_process_fn fn, size_t count, csp_item_sender *out,
            csp_item_sender *aside, csp_item_sender **ret_in, afar_error *err);

#endif
