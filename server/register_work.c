/* What the thread does in a round: a sign of life or a nonce if one is needed, the renewal
 * of the lease if it is time, what is to be removed, and then all that is due, up to
 * WINDOW calls at once.
 *
 *     trouble     nothing is done until `retry`, which is later with every failure, and soon
 *                 after a change of the exports
 *     no lease    one name is registered at a time; the first that succeeds brings the
 *                 lease that all others join
 *     lease over  (NOT_FOUND) all names are due again, under a new lease
 *
 * Names that somebody else has are tried again when that lease may be over, and now and
 * then before.  Their records get a nonce that is younger than the failure: the owner may
 * have changed the name meanwhile, and ours must count as the later one.
 *
 * All of this runs on the thread of register.c.  The lock is held for looking at the table
 * and for changing it, and never during a call. */

#include <string.h>

#include "runtime/clock.h"
#include "runtime/log.h"
#include "server/register_parts.h"

#define WINDOW 64
#define MAX_BATCH 64
#define MAX_BATCH_BYTES 6000 /* of the 8 KiB that may be signed */
#define MAX_REFUSALS 3
#define LAST_BACKOFF (5 * AFAR__SECOND)
#define NONCE_AGE (30 * AFAR__SECOND)     /* of the minute that it is good for */
#define SHORTEST_LEASE (AFAR__SECOND / 2) /* none ends as early as that */
#define HELD_SHORT (1 * AFAR__SECOND)     /* how often held names are tried: */
#define HELD_LONG (5 * AFAR__SECOND)      /* the more there are, the less often */
#define HELD_EACH (5 * AFAR__MILLISECOND)

/* A call under way. */
struct call {
    afar__name *name; /* BUSY */
    afar_future *future;
    uint64_t generation;
    int64_t sent;
    unsigned lease_number; /* of the lease that it is for; 0: for a new one */
    bool is_lookup;
};

/* ---- how it goes: the name server ---- */

static int64_t
spread(int64_t time)
{
    return time / 2 + afar__talk_jitter(time / 2);
}

/* A failure that is not about one name. */
static void
went_wrong(afar__register *registration, afar_code code, const afar_error *why)
{
    unsigned doublings = registration->failures < 6 ? registration->failures : 6;
    int64_t pause = AFAR__FIRST_BACKOFF << doublings;
    bool stopping;

    registration->failures++;
    pthread_mutex_lock(&registration->lock);
    stopping = registration->stopping;
    registration->trouble = afar__talk_is_away(code) ? AFAR__TROUBLE_AWAY : AFAR__TROUBLE_REFUSED;
    registration->failed = afar__now();
    registration->retry =
        registration->failed + spread(pause < LAST_BACKOFF ? pause : LAST_BACKOFF);
    afar_error_copy(&registration->why, why);
    pthread_mutex_unlock(&registration->lock);
    if (registration->is_told || stopping)
        return;
    registration->is_told = true;
    afar__log(AFAR_LOG_WARNING, "%s; names wait for it", why->message);
}

static void
went_well(afar__register *registration)
{
    registration->failures = 0;
    if (registration->is_told)
        afar__log(AFAR_LOG_INFO, "the name server at %s is there", registration->talk.address);
    registration->is_told = false;
}

/* It is tried again. */
static void
end_trouble(afar__register *registration)
{
    pthread_mutex_lock(&registration->lock);
    registration->trouble = AFAR__TROUBLE_NONE;
    pthread_mutex_unlock(&registration->lock);
}

/* Once is a restart of the name server, and then there is no time to lose; a name server that
 * forgets all the time is not to be told all the time. */
static void
lose_lease(afar__register *registration)
{
    bool was_short = afar__now() - registration->talk.began < SHORTEST_LEASE;
    afar_error err = AFAR_ERROR_INIT;
    size_t count;

    afar__talk_forget(&registration->talk);
    pthread_mutex_lock(&registration->lock);
    count = afar__wanted_count(registration->names, AFAR__NAME_THERE);
    afar__wanted_lose_all(registration->names);
    pthread_mutex_unlock(&registration->lock);
    if (count > 0)
        afar__log(AFAR_LOG_WARNING,
                  "the name server at %s has forgotten %zu name%s of ours: registering anew",
                  registration->talk.address, count, count == 1 ? "" : "s");
    if (!was_short || registration->trouble)
        return;
    afar_fail(&err, AFAR_NOT_FOUND, "the name server at %s forgets a lease that is just made",
              registration->talk.address);
    went_wrong(registration, AFAR_NOT_FOUND, &err);
    afar_error_clear(&err);
}

/* ---- how it goes: a name ---- */

/* When a name that is held is tried again; `left_ms` is what its lease has, 0 if that is
 * not known.  Who says that it is over soon is believed every second time. */
static int64_t
held_until_locked(const afar__register *registration, afar__name *name, uint32_t left_ms)
{
    int64_t pause = (int64_t)afar__wanted_count(registration->names, AFAR__NAME_LATER) * HELD_EACH;
    int64_t left = left_ms * AFAR__MILLISECOND + AFAR__FIRST_BACKOFF;

    pause = pause < HELD_SHORT ? HELD_SHORT : pause > HELD_LONG ? HELD_LONG : pause;
    name->hurried = left < pause && !name->hurried;
    return afar__now() + (name->hurried ? left : spread(pause));
}

/* The reason of a name server that is ours begins with the name, which need not be said
 * twice. */
static void
tell_held(const afar__name *name, const char *why)
{
    size_t length = strlen(name->name);
    bool names_it = !strncmp(why, name->name, length) && why[length] == ' ';

    afar__log(AFAR_LOG_WARNING, "%s is waited for: %s%s", name->name, names_it ? "it" : "",
              names_it ? why + length : why);
}

static void
is_held_locked(afar__register *registration, afar__name *name, uint32_t left_ms, const char *why)
{
    name->tried = afar__now();
    if (!name->told)
        tell_held(name, why);
    name->told = true;
    afar__name_later(registration->names, name, held_until_locked(registration, name, left_ms),
                     why);
}

/* The record was refused because of its nonce or its generation. */
static void
is_too_old_locked(afar__register *registration, afar__name *name, const char *why)
{
    registration->talk.nonce_length = 0;
    if (++name->refusals < MAX_REFUSALS)
        afar__name_again(registration->names, name, why);
    else
        afar__name_later(registration->names, name, afar__now() + spread(HELD_LONG), why);
}

static void
is_refused_locked(afar__register *registration, afar__name *name, const char *why)
{
    if (!name->told)
        afar__log(AFAR_LOG_WARNING, "%s is refused: %s", name->name, why);
    name->told = true;
    afar__name_later(registration->names, name, afar__now() + spread(HELD_LONG), why);
}

static bool
is_for_our_lease(const afar__register *registration, const struct call *call)
{
    return registration->talk.has_lease && call->lease_number == registration->talk.lease_number;
}

static void
registered_locked(afar__register *registration, const struct call *call, afar_code code,
                  const afar_error *err)
{
    const Afar__Names__V1__Held *held = afar_names_v1_held_of(err);
    afar__name *name = call->name;
    bool ours = call->lease_number == 0 || is_for_our_lease(registration, call);

    if ((code == AFAR_OK || afar__talk_is_away(code)) && call->generation > name->generation)
        name->generation = call->generation;
    if (code == AFAR_OK && ours) {
        registration->is_news = true;
        afar__name_is_there(registration->names, name);
    } else if (code == AFAR_OK || (code == AFAR_NOT_FOUND && call->lease_number)) {
        afar__name_again(registration->names, name, NULL);
    } else if (afar__talk_is_away(code)) {
        name->known = true;
        afar__name_again(registration->names, name, NULL);
    } else if (code == AFAR_ALREADY_EXISTS) {
        is_held_locked(registration, name, held ? held->lease_left_ms : 0, err->message);
    } else if (code == AFAR_FAILED_PRECONDITION) {
        is_too_old_locked(registration, name, err->message);
    } else {
        is_refused_locked(registration, name, err->message);
    }
}

/* It was lost, and this is who has it now. */
static void
looked_up_locked(afar__register *registration, const struct call *call, afar_code code,
                 const Afar__Names__V1__Entry *entry)
{
    static const char by_hand[] = "somebody with its key has unregistered it; export it again "
                                  "to register it again";
    const afar__talk *talk = &registration->talk;
    afar__name *name = call->name;

    if (code == AFAR_NOT_FOUND) {
        afar__log(AFAR_LOG_WARNING, "%s was removed by hand: it is left alone", name->name);
        afar__name_is_left(registration->names, name, by_hand);
    } else if (code || !entry) {
        afar__name_look_again(registration->names, name);
    } else if (is_for_our_lease(registration, call) && entry->lease.len == sizeof talk->lease &&
               memcmp(entry->lease.data, talk->lease, sizeof talk->lease) == 0) {
        afar__name_is_there(registration->names, name);
    } else {
        name->take_over = false;
        is_held_locked(registration, name, entry->lease_left_ms,
                       "another server has taken it over");
    }
}

/* ---- calls under way ---- */

static bool
needs_nonce(const afar__talk *talk, const afar__name *due)
{
    return due && (talk->nonce_length == 0 || due->tried > talk->challenged ||
                   afar__now() - talk->challenged > NONCE_AGE);
}

/* Takes the next name to do something about, or nothing: then something else is to be
 * done first, or nothing at all. */
static afar__name *
take_locked(afar__register *registration, bool *ret_is_lookup)
{
    const afar__talk *talk = &registration->talk;
    const afar__name *due = afar__wanted_peek(registration->names, AFAR__NAME_DUE);

    if (registration->stopping || registration->trouble ||
        (talk->has_lease && afar__now() >= talk->renew) ||
        afar__wanted_peek(registration->names, AFAR__NAME_UNWANTED))
        return NULL;
    *ret_is_lookup = afar__wanted_peek(registration->names, AFAR__NAME_LOST) != NULL;
    if (*ret_is_lookup)
        return afar__wanted_take(registration->names, AFAR__NAME_LOST);
    if (!due || needs_nonce(talk, due))
        return NULL;
    return afar__wanted_take(registration->names, AFAR__NAME_DUE);
}

static afar_code
sign_locked(afar__register *registration, struct call *call, afar__signed **ret_signed,
            afar_error *err)
{
    const afar__talk *talk = &registration->talk;
    afar__claim_terms terms;

    call->generation = call->name->generation + 1;
    if (call->generation < talk->revision)
        call->generation = talk->revision;
    terms.generation = call->generation;
    terms.nonce.data = (uint8_t *)talk->nonce;
    terms.nonce.len = talk->nonce_length;
    terms.lease.data = (uint8_t *)talk->lease;
    terms.lease.len = talk->has_lease ? sizeof talk->lease : 0;
    return afar__claim_sign(&registration->claim, call->name, &terms, ret_signed, err);
}

/* The end of a call, of one that could not be started too.  When many fail at once, the
 * first says all. */
static void
settle(afar__register *registration, const struct call *call, afar_code code,
       const Afar__Names__V1__Entry *entry, const afar_error *err)
{
    bool wrong = afar__talk_is_away(code) || (call->is_lookup && code && code != AFAR_NOT_FOUND);

    if (!registration->trouble && wrong)
        went_wrong(registration, code, err);
    else if (!registration->trouble)
        went_well(registration);
    pthread_mutex_lock(&registration->lock);
    if (call->is_lookup)
        looked_up_locked(registration, call, code, entry);
    else
        registered_locked(registration, call, code, err);
    afar__register_tell_locked(registration);
    pthread_mutex_unlock(&registration->lock);
}

/* False if there is nothing to start. */
static bool
begin(afar__register *registration, struct call *call)
{
    afar__talk *talk = &registration->talk;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record = NULL;
    afar_code code = AFAR_OK;

    memset(call, 0, sizeof *call);
    pthread_mutex_lock(&registration->lock);
    call->name = take_locked(registration, &call->is_lookup);
    if (call->name && !call->is_lookup)
        code = sign_locked(registration, call, &record, &err);
    pthread_mutex_unlock(&registration->lock);
    if (!call->name)
        return false;
    call->lease_number = talk->has_lease ? talk->lease_number : 0;
    call->sent = afar__now();
    if (call->is_lookup)
        code = afar__talk_lookup_start(talk, call->name->name, &call->future, &err);
    else if (!code)
        code = afar__talk_register_start(talk, record, &call->future, &err);
    afar__record_free(record);
    if (code)
        settle(registration, call, code, NULL, &err);
    afar_error_clear(&err);
    return true;
}

static void
finish(afar__register *registration, const struct call *call)
{
    afar__talk *talk = &registration->talk;
    Afar__Names__V1__LookupReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (!call->future)
        return;
    if (call->is_lookup)
        code = afar__talk_lookup_finish(talk, call->future, &reply, &err);
    else
        code = afar__talk_register_finish(talk, call->future, call->sent, &err);
    if (code == AFAR_NOT_FOUND && !call->is_lookup && is_for_our_lease(registration, call))
        lose_lease(registration);
    settle(registration, call, code, reply ? reply->entry : NULL, &err);
    afar_message_free(reply);
    afar_error_clear(&err);
}

/* Starts what is to be done, and finishes it in the same order. */
static void
pump(afar__register *registration)
{
    struct call calls[WINDOW];
    size_t first = 0, count = 0, room;

    for (;;) {
        room = registration->talk.has_lease ? WINDOW : 1;
        while (count < room && begin(registration, &calls[(first + count) % WINDOW]))
            count++;
        if (count == 0)
            return;
        finish(registration, &calls[first]);
        first = (first + 1) % WINDOW;
        count--;
    }
}

/* ---- the other things to do ---- */

/* A nonce if one is needed, and a sign of life if the name server was away. */
static void
challenge(afar__register *registration)
{
    bool was_away = registration->trouble == AFAR__TROUBLE_AWAY;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;
    bool needed;

    pthread_mutex_lock(&registration->lock);
    needed = was_away || needs_nonce(&registration->talk,
                                     afar__wanted_peek(registration->names, AFAR__NAME_DUE));
    pthread_mutex_unlock(&registration->lock);
    if (needed)
        code = afar__talk_challenge(&registration->talk, &err);
    if (code)
        went_wrong(registration, code, &err);
    else
        end_trouble(registration);
    afar_error_clear(&err);
}

static void
lose_names(afar__register *registration, const Afar__Names__V1__RenewReply *reply)
{
    pthread_mutex_lock(&registration->lock);
    for (size_t i = 0; i < reply->n_lost; i++)
        if (afar__wanted_lose(registration->names, reply->lost[i]))
            afar__log(AFAR_LOG_WARNING, "%s is not ours any more", reply->lost[i]);
    pthread_mutex_unlock(&registration->lock);
}

static void
renew(afar__register *registration)
{
    Afar__Names__V1__RenewReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (registration->trouble || !registration->talk.has_lease ||
        afar__now() < registration->talk.renew)
        return;
    code = afar__talk_renew(&registration->talk, &reply, &err);
    if (code == AFAR_NOT_FOUND)
        lose_lease(registration);
    else if (code)
        went_wrong(registration, code, &err);
    else
        went_well(registration);
    if (!code)
        lose_names(registration, reply);
    afar_message_free(reply);
    afar_error_clear(&err);
}

/* Names that nobody wants, as many as fit in one message.  Those that the name server
 * does not know are just forgotten. */
static size_t
take_batch_locked(afar__register *registration, afar__name *batch[MAX_BATCH])
{
    size_t count = 0, bytes = 0;

    while (count < MAX_BATCH && bytes < MAX_BATCH_BYTES) {
        afar__name *name = afar__wanted_take(registration->names, AFAR__NAME_UNWANTED);

        if (!name)
            break;
        if (!name->known || !registration->talk.has_lease) {
            afar__name_is_removed(registration->names, name);
            continue;
        }
        bytes += strlen(name->name) + 3;
        batch[count++] = name;
    }
    return count;
}

static void
remove_batch(afar__register *registration, afar__name *const *batch, size_t count)
{
    const char *texts[MAX_BATCH];
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    for (size_t i = 0; i < count; i++)
        texts[i] = batch[i]->name;
    code = afar__talk_remove(&registration->talk, texts, count, &err);
    if (code == AFAR_NOT_FOUND)
        lose_lease(registration);
    else if (code)
        went_wrong(registration, code, &err);
    else
        went_well(registration);
    pthread_mutex_lock(&registration->lock);
    for (size_t i = 0; i < count; i++)
        if (code && code != AFAR_NOT_FOUND)
            afar__name_again(registration->names, batch[i], NULL);
        else
            afar__name_is_removed(registration->names, batch[i]);
    afar__register_tell_locked(registration);
    pthread_mutex_unlock(&registration->lock);
    afar_error_clear(&err);
}

static void
remove_unwanted(afar__register *registration)
{
    afar__name *batch[MAX_BATCH];
    size_t count;

    while (!registration->trouble) {
        pthread_mutex_lock(&registration->lock);
        count = registration->stopping ? 0 : take_batch_locked(registration, batch);
        pthread_mutex_unlock(&registration->lock);
        if (count == 0)
            return;
        remove_batch(registration, batch, count);
    }
}

static void
tell_news(afar__register *registration)
{
    size_t count = 0, waiting;

    if (!registration->is_news)
        return;
    pthread_mutex_lock(&registration->lock);
    waiting = afar__wanted_waiting(registration->names);
    count = afar__wanted_count(registration->names, AFAR__NAME_THERE);
    pthread_mutex_unlock(&registration->lock);
    if (waiting > 0)
        return;
    registration->is_news = false;
    afar__log(AFAR_LOG_INFO, "%zu name%s registered with the name server at %s", count,
              count == 1 ? " is" : "s are", registration->talk.address);
}

/* ---- a round ---- */

void
afar__register_work(afar__register *registration)
{
    challenge(registration);
    renew(registration);
    remove_unwanted(registration);
    pump(registration);
    afar__talk_rest(&registration->talk);
    tell_news(registration);
}

void
afar__register_leave(afar__register *registration)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    if (registration->talk.has_lease)
        code = afar__talk_remove(&registration->talk, NULL, 0, &err);
    if (code && code != AFAR_NOT_FOUND)
        afar__log(AFAR_LOG_WARNING, "names stay until their lease ends: %s", err.message);
    afar_error_clear(&err);
}
