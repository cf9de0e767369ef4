/* afar_select and selectors: an array of cases becomes an array of guards.  A fair select begins with
 * another case each time, since the board looks at those that it has not seen in the order of the array.
 *
 * A future is a guard of no channel: it is watched, and fires when its answer is there.  A timeout is a
 * deadline of the wait, a default a poll; their guards stay off. */

#include <stdlib.h>
#include <string.h>

#include <afar/select.h>

#include "runtime/channel/live.h"
#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/future.h"
#include "runtime/misuse.h"

#define FEW 8 /* cases that take no memory */

static _Thread_local size_t turns;

struct watch {
    afar__future_watch watch;
    afar_future *future; /* that is watched, with a reference; or NULL */
    afar__guard *guard;
};

struct afar_selector {
    afar__rest rest;
    afar_case *cases;
    size_t count;
    size_t turn; /* the first guard's case; the others follow in a circle */
    afar__guard *guards;
    struct watch *watches; /* one for each case, if there are futures; or NULL */
    size_t timeouts, defaults;
    size_t on; /* cases that are not off */
    bool futures;
    afar__end *stale; /* its loss was told: it is attached anew when it is next waited for */
    afar_error
        why; /* a message could not be packed, which ends the round; under the channels' lock */
};

/* ---- cases ---- */

static size_t
case_of(const afar_selector *selector, size_t guard)
{
    size_t place = selector->turn + guard;

    return place < selector->count ? place : place - selector->count;
}

static afar__guard *
guard_of(const afar_selector *selector, size_t place)
{
    size_t turn = selector->turn;

    return &selector->guards[place >= turn ? place - turn : place + selector->count - turn];
}

static afar__end *
end_of(const afar_case *one)
{
    if (one->kind == AFAR_CASE_KIND_RECEIVE)
        return afar__end_of_receiver(one->receiver);
    return one->kind == AFAR_CASE_KIND_SEND ? afar__end_of_sender(one->sender) : NULL;
}

static afar_code
no_message(size_t index, afar_error *err)
{
    return afar_fail(err, AFAR_INVALID_ARGUMENT, "case %zu sends no message", index);
}

static afar_code
check_case(const afar_case *one, size_t index, afar_error *err)
{
    switch (one->kind) {
    case AFAR_CASE_KIND_RECEIVE:
        if (one->receiver)
            return AFAR_OK;
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "case %zu receives from no channel", index);
    case AFAR_CASE_KIND_SEND:
        if (one->sender)
            return one->off || one->message ? AFAR_OK : no_message(index, err);
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "case %zu sends into no channel", index);
    case AFAR_CASE_KIND_FUTURE:
        if (one->off || one->future)
            return AFAR_OK;
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "case %zu waits for no future", index);
    case AFAR_CASE_KIND_TIMEOUT:
    case AFAR_CASE_KIND_DEFAULT:
        return AFAR_OK;
    }
    return afar_fail(err, AFAR_INVALID_ARGUMENT, "case %zu is of no kind: %d", index,
                     (int)one->kind);
}

/* `message` may be set and unset between two rounds, so what is on need not have one. */
static afar__parcel *
pack(afar__guard *guard)
{
    afar_selector *selector = (afar_selector *)guard->select->user; /* its first member */
    const afar_case *one = guard->user;
    afar__parcel *parcel = NULL;

    afar_error_clear(&selector->why);
    if (!one->message)
        (void)!no_message((size_t)(one - selector->cases), &selector->why);
    else
        (void)!afar__parcel_pack(one->message, afar__end_of_sender(one->sender)->type, &parcel,
                                 &selector->why);
    return parcel;
}

static afar_code
set_up_case(afar_selector *selector, size_t index, afar_error *err)
{
    afar_case *one = &selector->cases[index];
    afar__guard *guard = guard_of(selector, index);
    const afar__end *end = end_of(one);
    afar_code code = check_case(one, index, err);

    if (code)
        return code;
    if (end && end->closed && !one->off)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "case %zu: the end has finished", index);
    guard->user = one;
    guard->off = one->off;
    selector->on += !one->off;
    if (end) {
        afar__end_guard(end, guard);
        selector->rest.elsewhere |= !end->channel;
    }
    if (one->kind == AFAR_CASE_KIND_TIMEOUT || one->kind == AFAR_CASE_KIND_DEFAULT)
        guard->off = true;
    selector->timeouts += one->kind == AFAR_CASE_KIND_TIMEOUT;
    selector->defaults += one->kind == AFAR_CASE_KIND_DEFAULT;
    selector->futures |= one->kind == AFAR_CASE_KIND_FUTURE;
    return AFAR_OK;
}

/* ---- futures ---- */

/* Under the future's lock. */
static void
answered(afar__future_watch *watch)
{
    struct watch *self = (struct watch *)watch;

    afar__channels_lock();
    if (afar__select_fire(self->guard->select, self->guard))
        afar__channels_done_locked(self->guard->select->user);
    afar__channels_unlock_later();
}

static void
forget(struct watch *watch)
{
    if (!watch->future)
        return;
    afar__future_unwatch(watch->future, &watch->watch);
    afar__future_unref(watch->future);
    watch->future = NULL;
}

/* Before a round: each future that is on is watched; one whose answer is there fires again. */
static void
watch_futures(afar_selector *selector)
{
    for (size_t i = 0; i < selector->count; i++) {
        const afar_case *one = &selector->cases[i];
        struct watch *watch = &selector->watches[i];

        if (one->kind != AFAR_CASE_KIND_FUTURE)
            continue;
        if (!one->off && watch->future && watch->future == one->future &&
            !afar_future_done(one->future))
            continue;
        forget(watch);
        if (one->off || !one->future)
            continue;
        watch->guard = guard_of(selector, i);
        watch->watch.fn = answered;
        watch->future = one->future;
        afar__future_ref(one->future);
        afar__future_watch_it(one->future, &watch->watch);
    }
}

/* ---- life ---- */

static afar_code
set_up(afar_selector *selector, afar_case *cases, size_t count, unsigned flags, afar_error *err)
{
    afar_code code = afar__engine_check(err);

    if (code)
        return code;
    if (flags & ~(unsigned)AFAR_BY_PRIORITY)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a select has no flags 0x%x", flags);
    selector->cases = cases;
    selector->count = count;
    selector->rest.pack = pack;
    afar__error_init(&selector->why);
    if (count > 0 && !(flags & AFAR_BY_PRIORITY))
        selector->turn = turns++ % count;
    for (size_t i = 0; i < count && !code; i++)
        code = set_up_case(selector, i, err);
    if (code)
        return code;
    if (selector->futures) {
        selector->rest.elsewhere = true;
        selector->watches = calloc(count, sizeof *selector->watches);
        if (!selector->watches)
            return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu cases", count);
    }
    for (size_t i = 0; i < count; i++)
        if (end_of(&cases[i]) && !cases[i].off)
            afar__end_attach(end_of(&cases[i]));
    afar__rest_open(&selector->rest, selector->guards, count, (flags & AFAR_BY_PRIORITY) != 0);
    return AFAR_OK;
}

static void
take_down(afar_selector *selector)
{
    for (size_t i = 0; selector->watches && i < selector->count; i++)
        forget(&selector->watches[i]);
    free(selector->watches);
    afar__rest_close(&selector->rest);
    afar_error_clear(&selector->why);
}

/* ---- a round ---- */

/* The first of the timeouts, if it is before the deadline. */
static size_t
first_timeout(const afar_selector *selector, int64_t *deadline)
{
    size_t first = selector->count;

    if (selector->timeouts == 0)
        return first;
    for (size_t i = 0; i < selector->count; i++) {
        const afar_case *one = &selector->cases[i];

        if (one->kind != AFAR_CASE_KIND_TIMEOUT || one->off || one->time.ns > *deadline ||
            (first < selector->count && one->time.ns == *deadline))
            continue;
        *deadline = one->time.ns;
        first = i;
    }
    return first;
}

/* A default case does not wait for a home that says nothing. */
static void
bound_poll(const afar_selector *selector, int64_t *deadline, size_t *ret_timeout)
{
    int64_t most = afar__now() + afar__channel_patience;

    if (most >= *deadline)
        return;
    *deadline = most;
    *ret_timeout = selector->count;
}

static size_t
first_default(const afar_selector *selector)
{
    if (selector->defaults > 0)
        for (size_t i = 0; i < selector->count; i++)
            if (selector->cases[i].kind == AFAR_CASE_KIND_DEFAULT && !selector->cases[i].off)
                return i;
    return selector->count;
}

static afar_code
take_case(afar_selector *selector, const afar__happened *happened, size_t index, afar_error *err)
{
    afar_case *one = &selector->cases[index];

    if (happened->code == AFAR_RESOURCE_EXHAUSTED && selector->why.code) {
        afar_error_copy(err, &selector->why);
        return selector->why.code;
    }
    if (happened->code) {
        if (happened->guard->proxy)
            selector->stale = end_of(one);
        return happened->code;
    }
    if (one->kind != AFAR_CASE_KIND_RECEIVE)
        return AFAR_OK;
    return afar__parcel_open(happened->parcel, end_of(one)->type, &one->received, err);
}

/* What was answered between two rounds may be a future that was then taken out of its case. */
static bool
is_of_another(const afar__guard *guard)
{
    const afar_case *one = guard->user;

    return one->kind == AFAR_CASE_KIND_FUTURE && !(one->future && afar_future_done(one->future));
}

static afar_code
round_of(afar_selector *selector, afar_deadline deadline, size_t *ret_case, afar_error *err)
{
    int64_t until = deadline.ns;
    size_t timeout = first_timeout(selector, &until), other = first_default(selector);
    afar__happened happened;
    afar_code code = afar__engine_check(err);

    *ret_case = selector->count;
    if (code)
        return code;
    if (selector->on == 0 && until == INT64_MAX)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "none of %zu cases is on, and there is no deadline: nothing can happen",
                         selector->count);
    if (selector->stale)
        afar__end_attach(selector->stale);
    selector->stale = NULL;
    if (other < selector->count && selector->rest.elsewhere)
        bound_poll(selector, &until, &timeout);
    do {
        if (selector->futures)
            watch_futures(selector);
        afar__channels_lock();
        code = afar__rest_round_unlock(&selector->rest, other < selector->count, until, &happened,
                                       err);
        if (code)
            return code;
    } while (happened.guard && is_of_another(happened.guard));
    if (happened.guard) {
        *ret_case = case_of(selector, (size_t)(happened.guard - selector->guards));
        return take_case(selector, &happened, *ret_case, err);
    }
    *ret_case = happened.late && timeout < selector->count ? timeout : other;
    if (*ret_case < selector->count)
        return AFAR_OK;
    return afar_fail(err, AFAR_DEADLINE_EXCEEDED, "none of %zu cases happened in time",
                     selector->count);
}

static void
need_cases(const afar_case *cases, size_t count, const char *function)
{
    if (count > 0)
        afar__need(cases, function, "array of cases");
}

afar_code
afar_select(afar_case *cases, size_t count, unsigned flags, afar_deadline deadline,
            size_t *ret_case, afar_error *err)
{
    afar__guard few[FEW];
    afar_selector selector;
    afar_code code;

    need_cases(cases, count, __func__);
    afar__need(ret_case, __func__, "ret_case");
    *ret_case = count;
    memset(&selector, 0, sizeof selector);
    selector.guards = few;
    if (count > FEW)
        selector.guards = calloc(count, sizeof *selector.guards);
    else
        memset(few, 0, count * sizeof *few);
    if (!selector.guards)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu cases", count);
    code = set_up(&selector, cases, count, flags, err);
    if (!code) {
        code = round_of(&selector, deadline, ret_case, err);
        take_down(&selector);
    }
    if (selector.guards != few)
        free(selector.guards);
    return code;
}

afar_code
afar_selector_open(afar_case *cases, size_t count, unsigned flags, afar_selector **ret_selector,
                   afar_error *err)
{
    afar_selector *selector = calloc(1, sizeof *selector);
    afar_code code;

    need_cases(cases, count, __func__);
    afar__need(ret_selector, __func__, "ret_selector");
    if (selector)
        selector->guards = calloc(count > 0 ? count : 1, sizeof *selector->guards);
    if (!selector || !selector->guards) {
        free(selector);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu cases", count);
    }
    code = set_up(selector, cases, count, flags, err);
    if (code) {
        free(selector->guards);
        free(selector);
        return code;
    }
    *ret_selector = selector;
    return AFAR_OK;
}

afar_code
afar_selector_select(afar_selector *selector, afar_deadline deadline, size_t *ret_case,
                     afar_error *err)
{
    afar__need(selector, __func__, "selector");
    afar__need(ret_case, __func__, "ret_case");
    return round_of(selector, deadline, ret_case, err);
}

void
afar_selector_switch(afar_selector *selector, size_t index, bool on)
{
    afar_case *one;

    afar__need(selector, __func__, "selector");
    if (index >= selector->count)
        afar__misuse("afar_selector_switch: there is no case %zu in %zu", index, selector->count);
    if (afar__engine_forked())
        return;
    one = &selector->cases[index];
    if (one->off == on)
        selector->on = on ? selector->on + 1 : selector->on - 1;
    one->off = !on;
    if (one->kind == AFAR_CASE_KIND_TIMEOUT || one->kind == AFAR_CASE_KIND_DEFAULT)
        return;
    if (on && end_of(one))
        afar__end_attach(end_of(one));
    afar__channels_lock();
    afar__select_switch(guard_of(selector, index), on);
    afar__channels_unlock();
}

void
afar_selector_close(afar_selector *selector)
{
    if (!selector || afar__engine_forked())
        return;
    take_down(selector);
    free(selector->guards);
    free(selector);
}
