/* What a server lends.
 *
 * What is lent is in two tables, by name and by what it was lent for, and in a list in the order of
 * use, which is the order in which leases end.  There is one timer, for the oldest.  It rings on a
 * thread that polls, so a task on a library thread does the rest: letting go of an object may
 * end it.  What is kept has no lease: it is in the table of names only, and in a list of its own.  If it is
 * loose, others decide how long it lives.
 *
 * `lock` guards all of it.  No object is closed and no relay made while it is held. */

#include "server/lend.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/far/relay.h"
#include "runtime/host.h"
#include "runtime/node.h"
#include "runtime/object.h"
#include "runtime/timer.h"

#define BUCKETS 4096

struct lent {
    struct lent *next_name, *next_object; /* in its buckets */
    struct lent *older, *newer;
    int64_t used;
    bool kept;
    bool loose;
    afar_object *object;         /* with a reference, unless it is loose: what is called */
    const afar_object *original; /* what was lent; the same, or what a relay leads to and keeps */
    char name[AFAR__LENT_NAME + 1];
};

struct afar__lend {
    atomic_uint refs; /* the server's, the timer's or its task's, one of each that is kept */
    afar_node *node;
    int64_t lease;
    unsigned limit;
    afar__timer timer;
    afar__task task;

    pthread_mutex_t lock; /* guards what follows */
    bool stopped;
    bool armed; /* the timer is set, or its task is under way */
    unsigned count;
    struct lent *oldest, *newest;
    struct lent *kept; /* linked by `older` and `newer` */
    struct lent *names[BUCKETS], *objects[BUCKETS];
};

/* ---- tables ---- */

/* Names are random in every digit. */
static struct lent **
name_bucket(afar__lend *lend, const char *name)
{
    size_t hash = 0;

    for (int i = 0; i < 4; i++)
        hash = hash << 4 | (size_t)(name[i] <= '9' ? name[i] - '0' : name[i] - 'a' + 10);
    return &lend->names[hash % BUCKETS];
}

static struct lent **
object_bucket(afar__lend *lend, const afar_object *object)
{
    uint64_t hash = (uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15);

    return &lend->objects[(hash >> 32) % BUCKETS];
}

static struct lent *
find_name_locked(afar__lend *lend, const char *name)
{
    struct lent *lent = *name_bucket(lend, name);

    while (lent && strcmp(lent->name, name) != 0)
        lent = lent->next_name;
    return lent;
}

static struct lent *
find_object_locked(afar__lend *lend, const afar_object *object)
{
    struct lent *lent = *object_bucket(lend, object);

    while (lent && lent->original != object)
        lent = lent->next_object;
    return lent;
}

static void
append_locked(afar__lend *lend, struct lent *lent)
{
    lent->newer = NULL;
    lent->older = lend->newest;
    *(lend->newest ? &lend->newest->newer : &lend->oldest) = lent;
    lend->newest = lent;
    lent->used = afar__now();
}

static void
take_out_locked(afar__lend *lend, struct lent *lent)
{
    *(lent->older ? &lent->older->newer : &lend->oldest) = lent->newer;
    *(lent->newer ? &lent->newer->older : &lend->newest) = lent->older;
}

static void
use_locked(afar__lend *lend, struct lent *lent)
{
    take_out_locked(lend, lent);
    append_locked(lend, lent);
}

static void
add_name_locked(afar__lend *lend, struct lent *lent)
{
    struct lent **name = name_bucket(lend, lent->name);

    lent->next_name = *name;
    *name = lent;
    lend->count++;
}

static void
remove_name_locked(afar__lend *lend, struct lent *lent)
{
    struct lent **place = name_bucket(lend, lent->name);

    while (*place != lent)
        place = &(*place)->next_name;
    *place = lent->next_name;
    lend->count--;
}

static void
add_locked(afar__lend *lend, struct lent *lent)
{
    struct lent **object = object_bucket(lend, lent->original);

    add_name_locked(lend, lent);
    lent->next_object = *object;
    *object = lent;
    append_locked(lend, lent);
}

static void
remove_locked(afar__lend *lend, struct lent *lent)
{
    struct lent **place = object_bucket(lend, lent->original);

    remove_name_locked(lend, lent);
    while (*place != lent)
        place = &(*place)->next_object;
    *place = lent->next_object;
    take_out_locked(lend, lent);
}

static void
add_kept_locked(afar__lend *lend, struct lent *lent)
{
    add_name_locked(lend, lent);
    lent->older = NULL;
    lent->newer = lend->kept;
    if (lend->kept)
        lend->kept->older = lent;
    lend->kept = lent;
}

static void
remove_kept_locked(afar__lend *lend, struct lent *lent)
{
    remove_name_locked(lend, lent);
    *(lent->older ? &lent->older->newer : &lend->kept) = lent->newer;
    if (lent->newer)
        lent->newer->older = lent->older;
}

/* ---- leases ---- */

static void
unref(afar__lend *lend)
{
    if (atomic_fetch_sub(&lend->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&lend->lock);
    afar_node_close(lend->node);
    free(lend);
}

/* Takes out what was used before `moment`, or all: linked by `newer`. */
static struct lent *
take_until_locked(afar__lend *lend, int64_t moment)
{
    struct lent *taken = NULL, **end = &taken;

    while (lend->oldest && lend->oldest->used <= moment) {
        struct lent *lent = lend->oldest;

        remove_locked(lend, lent);
        lent->newer = NULL;
        *end = lent;
        end = &lent->newer;
    }
    return taken;
}

static void
let_go(struct lent *taken)
{
    while (taken) {
        struct lent *next = taken->newer;

        if (!taken->loose)
            afar_object_close(taken->object);
        free(taken);
        taken = next;
    }
}

static void
expire(afar__task *task)
{
    afar__lend *lend = (afar__lend *)((char *)task - offsetof(afar__lend, task));
    struct lent *taken;
    bool again;

    pthread_mutex_lock(&lend->lock);
    taken = take_until_locked(lend, afar__now() - lend->lease);
    again = lend->oldest != NULL;
    lend->armed = again;
    if (again)
        afar__timer_set(&lend->timer, lend->oldest->used + lend->lease);
    pthread_mutex_unlock(&lend->lock);
    let_go(taken);
    if (!again)
        unref(lend);
}

static void
ring(afar__timer *timer)
{
    afar__lend *lend = (afar__lend *)((char *)timer - offsetof(afar__lend, timer));

    afar__engine_run(&lend->task);
}

static void
arm_locked(afar__lend *lend)
{
    if (lend->armed)
        return;
    lend->armed = true;
    atomic_fetch_add(&lend->refs, 1);
    afar__timer_set(&lend->timer, lend->oldest->used + lend->lease);
}

/* ---- lending ---- */

static afar_code
make_name(char name[AFAR__LENT_NAME + 1], afar_error *err)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[AFAR__LENT_NAME / 2];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return afar_fail(err, AFAR_UNAVAILABLE, "the system gives no random bytes: %s",
                         strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++) {
        name[2 * i] = digits[bytes[i] >> 4];
        name[2 * i + 1] = digits[bytes[i] & 15];
    }
    name[AFAR__LENT_NAME] = '\0';
    return AFAR_OK;
}

/* In memory that may be missing. */
static afar_code
fill_lent(struct lent *lent, afar_object *object, afar_error *err)
{
    afar_code code;

    if (!lent)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to lend a %s",
                         afar_object_interface(object)->name);
    lent->original = object;
    code = make_name(lent->name, err);
    if (!code && !afar__host_of(object))
        code = afar__relay_new(object, &lent->object, err);
    else if (!code)
        lent->object = afar_object_share(object);
    return code;
}

static afar_code
check_room_locked(const afar__lend *lend, const struct lent *made, afar_error *err)
{
    const char *interface = afar_object_interface(made->object)->name;

    if (lend->stopped)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "a %s cannot be lent: the server has stopped", interface);
    if (lend->count >= lend->limit)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "a %s cannot be lent: %u objects are already (max_lent)", interface,
                         lend->limit);
    return AFAR_OK;
}

/* One that was made, unless somebody lent the same meanwhile: that one stays then.  NULL: it
 * cannot be lent. */
static struct lent *
keep_locked(afar__lend *lend, struct lent *made, afar_error *err)
{
    struct lent *before = find_object_locked(lend, made->original);

    if (before) {
        use_locked(lend, before);
        return before;
    }
    if (check_room_locked(lend, made, err))
        return NULL;
    add_locked(lend, made);
    arm_locked(lend);
    return made;
}

/* Without a new relay or name, if it is lent already. */
static bool
lend_again(afar__lend *lend, const afar_object *object, char ret_name[AFAR__LENT_NAME + 1])
{
    struct lent *lent;

    pthread_mutex_lock(&lend->lock);
    lent = find_object_locked(lend, object);
    if (lent) {
        use_locked(lend, lent);
        memcpy(ret_name, lent->name, sizeof lent->name);
    }
    pthread_mutex_unlock(&lend->lock);
    return lent != NULL;
}

afar_code
afar__lend_out(afar__lend *lend, afar_object *object, char ret_name[AFAR__LENT_NAME + 1],
               afar_error *err)
{
    struct lent *made, *kept;
    bool stopped;
    afar_code code;

    if (lend_again(lend, object, ret_name))
        return AFAR_OK;
    made = calloc(1, sizeof *made);
    code = fill_lent(made, object, err);
    if (code) {
        free(made);
        return code;
    }
    pthread_mutex_lock(&lend->lock);
    kept = keep_locked(lend, made, err);
    if (kept)
        memcpy(ret_name, kept->name, sizeof kept->name);
    stopped = lend->stopped;
    pthread_mutex_unlock(&lend->lock);
    if (kept != made)
        let_go(made);
    if (kept)
        return AFAR_OK;
    return stopped ? AFAR_FAILED_PRECONDITION : AFAR_RESOURCE_EXHAUSTED;
}

/* ---- keeping ---- */

afar_code
afar__lend_keep(afar__lend *lend, afar_object *object, char ret_name[AFAR__LENT_NAME + 1],
                afar_error *err)
{
    struct lent *made = calloc(1, sizeof *made);
    afar_code code = fill_lent(made, object, err);

    if (code) {
        free(made);
        return code;
    }
    made->kept = true;
    memcpy(ret_name, made->name, sizeof made->name);
    pthread_mutex_lock(&lend->lock);
    code = check_room_locked(lend, made, err);
    if (!code) {
        add_kept_locked(lend, made);
        atomic_fetch_add(&lend->refs, 1);
    }
    pthread_mutex_unlock(&lend->lock);
    if (code) {
        made->newer = NULL;
        let_go(made);
    }
    return code;
}

void
afar__lend_loosen(afar__lend *lend, const char *name)
{
    afar_object *object = NULL;
    struct lent *lent;

    pthread_mutex_lock(&lend->lock);
    lent = find_name_locked(lend, name);
    if (lent && !lent->loose) {
        lent->loose = true;
        object = lent->object;
    }
    pthread_mutex_unlock(&lend->lock);
    afar_object_close(object);
}

void
afar__lend_forget(afar__lend *lend, const char *name)
{
    struct lent *lent;

    pthread_mutex_lock(&lend->lock);
    lent = find_name_locked(lend, name);
    if (lent)
        remove_kept_locked(lend, lent);
    pthread_mutex_unlock(&lend->lock);
    if (lent) {
        lent->newer = NULL;
        let_go(lent);
    }
    unref(lend);
}

/* ---- finding ---- */

bool
afar__lend_is_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == AFAR__LENT_NAME && name[AFAR__LENT_NAME] == '\0';
}

static bool
is_of(const struct lent *lent, const afar_interface *interface)
{
    return !interface || strcmp(afar_object_interface(lent->object)->name, interface->name) == 0;
}

afar_object *
afar__lend_find(afar__lend *lend, const char *name, const afar_interface *interface)
{
    afar_object *object = NULL;
    struct lent *lent;

    pthread_mutex_lock(&lend->lock);
    lent = find_name_locked(lend, name);
    if (lent && is_of(lent, interface)) {
        if (!lent->kept)
            use_locked(lend, lent);
        if (afar__object_try_share(lent->object))
            object = lent->object;
    }
    pthread_mutex_unlock(&lend->lock);
    return object;
}

/* ---- life ---- */

afar_code
afar__lend_new(afar_node *node, int64_t lease, unsigned limit, afar__lend **ret_lend,
               afar_error *err)
{
    afar__lend *lend = calloc(1, sizeof *lend);

    if (!lend)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a server");
    atomic_init(&lend->refs, 1);
    pthread_mutex_init(&lend->lock, NULL);
    lend->node = afar__node_ref(node);
    lend->lease = lease;
    lend->limit = limit;
    lend->timer.ring = ring;
    lend->task.run = expire;
    *ret_lend = lend;
    return AFAR_OK;
}

void
afar__lend_stop(afar__lend *lend)
{
    struct lent *taken, *kept;
    bool disarmed;

    pthread_mutex_lock(&lend->lock);
    lend->stopped = true;
    taken = take_until_locked(lend, INT64_MAX);
    kept = lend->kept;
    for (struct lent *lent = kept; lent; lent = lent->newer)
        remove_name_locked(lend, lent);
    lend->kept = NULL;
    /* If it rings already, its task finds that nothing is left. */
    disarmed = lend->armed && afar__timer_clear(&lend->timer);
    if (disarmed)
        lend->armed = false;
    pthread_mutex_unlock(&lend->lock);
    let_go(taken);
    let_go(kept);
    if (disarmed)
        atomic_fetch_sub(&lend->refs, 1); /* not the last: the server has one */
}

void
afar__lend_free(afar__lend *lend)
{
    if (!lend)
        return;
    afar__lend_stop(lend);
    unref(lend);
}
