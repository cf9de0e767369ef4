#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

/* A session whose peer sends what it likes: frames that look right and are mostly allowed, frames
 * that are not, and now and then bytes that are none.  The session goes on or ends with a
 * Goodbye; it tells its owner nothing that cannot be, and holds no more than it says. */

#include <stdbool.h>
#include <stdint.h>

/* True if all that must hold holds; `ret_wrong` gets what does not. */
bool
hostile_run(uint64_t seed, char ret_wrong[320]);

#endif
