/* Two threads of this process that meet at a channel, without the lock: one waits there with its offer, and another
 * answers it, by one exchange of one word.  That is what the board would do with the first of a
 * queue, and a good half of what a rendezvous between two running threads takes is to ask the board.
 *
 *     FREE -> RECEIVER -> FULL -> FREE        a receiver waits; it has been given the parcel
 *     FREE -> SENDER -> TAKEN -> FREE         a sender waits with the parcel; it has been taken
 *     RECEIVER, SENDER -> CLOSED -> FREE      who waits has to go to the board
 *     RECEIVER, SENDER -> FREE                it goes there by itself, and sleeps there
 *
 * Who waits has the place until it has seen what came, whatever happens meanwhile: only it sets FREE again.  So no
 * other can take the word of its answer for its own.  Nobody sleeps here.
 *
 * The board closes the place before it lets anybody wait, or ends the channel; it says so first and looks at
 * the place then.  Who begins to wait looks whether it is open afterwards.  So one of them sees the
 * other.  Whoever does anything here has seen before that the place was open: what it does began before the
 * board closed it. */

#include "runtime/call.h"
#include "runtime/channel/live.h"
#include "runtime/channel/look.h"

/* Below the address of a parcel. */
enum { FREE, RECEIVER, SENDER, FULL, TAKEN, CLOSED, KINDS = 7 };

static uintptr_t
with(const afar__parcel *parcel, uintptr_t kind)
{
    return (uintptr_t)parcel | kind;
}

static afar__parcel *
parcel_of(uintptr_t state)
{
    return (afar__parcel *)(state & ~(uintptr_t)KINDS);
}

void
afar__meet_init(afar__meet *meet)
{
    atomic_init(&meet->state, FREE);
    atomic_init(&meet->open, false);
}

static bool
is_open(const afar__meet *meet)
{
    return atomic_load(&((afar__meet *)meet)->open);
}

/* ---- the one who waits ---- */

struct waiting {
    afar__meet *meet;
    uintptr_t offer;
};

static inline bool
is_answered(const void *arg)
{
    const struct waiting *waiting = arg;

    return atomic_load_explicit(&waiting->meet->state, memory_order_acquire) != waiting->offer;
}

/* Library threads are replaced while they wait, and calls give their turn away: elsewhere. */
static bool
may_wait(void)
{
    return !afar__engine_is_library_thread() && !afar_call_current();
}

/* FREE: nobody came. */
static uintptr_t
wait_for(afar__meet *meet, uintptr_t offer, bool *ret_waited)
{
    struct waiting waiting = { meet, offer };
    uintptr_t state = offer;

    *ret_waited = is_open(meet);
    if ((!*ret_waited || !afar__look(is_answered, &waiting)) &&
        atomic_compare_exchange_strong(&meet->state, &state, FREE))
        return FREE;
    state = atomic_load_explicit(&meet->state, memory_order_acquire);
    atomic_store_explicit(&meet->state, FREE, memory_order_release);
    return state;
}

/* ---- both sides ---- */

/* Makes an offer, or answers one of kind `other`.  Returns the word in which the other side is to be found; FREE: there
 * is none.  Two that come at the same moment are both the first, but for one exchange. */
static uintptr_t
meet_another(afar__meet *meet, uintptr_t other, uintptr_t answer, uintptr_t offer, bool *ret_waited)
{
    uintptr_t state = atomic_load_explicit(&meet->state, memory_order_relaxed);

    if (!is_open(meet))
        return FREE;
    if (state == FREE && may_wait() && atomic_compare_exchange_strong(&meet->state, &state, offer))
        return wait_for(meet, offer, ret_waited);
    while ((state & KINDS) == other)
        if (atomic_compare_exchange_weak(&meet->state, &state, answer))
            return state;
    return FREE;
}

bool
afar__meet_send(afar__meet *meet, afar__parcel *parcel, bool *ret_waited)
{
    uintptr_t state =
        meet_another(meet, RECEIVER, with(parcel, FULL), with(parcel, SENDER), ret_waited);

    return state == RECEIVER || state == TAKEN;
}

bool
afar__meet_receive(afar__meet *meet, afar__parcel **ret_parcel, bool *ret_waited)
{
    uintptr_t state = meet_another(meet, SENDER, TAKEN, RECEIVER, ret_waited);

    *ret_parcel = parcel_of(state);
    return *ret_parcel != NULL;
}

/* ---- the board ---- */

void
afar__meet_open_locked(afar__meet *meet, bool open)
{
    uintptr_t state;

    atomic_store(&meet->open, open);
    if (open)
        return;
    state = atomic_load(&meet->state);
    while ((state & KINDS) == RECEIVER || (state & KINDS) == SENDER)
        if (atomic_compare_exchange_weak(&meet->state, &state, CLOSED))
            break;
}
