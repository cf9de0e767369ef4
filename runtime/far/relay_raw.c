/* Relayed ends of channels: what is said on a stream of bytes goes on over another, unread.
 *
 *     caller -- near --> here -- far --> home
 *
 * `near` is a call that this process serves, `far` the one that it makes for it.  A message goes on as the bytes
 * that it is.  References are beside the bytes, in the order of their numbers; so each is made an object here, of
 * the interfaces that the channel's type knows, and the list of these goes on with the same numbers.  One
 * that this process cannot make an object of, since it is no reference that the type has, leaves the message
 * without any: then it is as wrong for who reads it as it was here.
 *
 * Nothing queues without end.  While `to` waits for credit, that of what came from `from` is held; so each direction keeps what
 * a window of its stream is at most, and only that stream is held up.
 *
 * The end of the far one is the answer of the near one.  What the caller is told may be less than what is known
 * here, and never more: an answer of the home is passed on as it is; when the way to it is lost, or something
 * cannot be passed on, the caller hears UNAVAILABLE, which says nothing of what was sent before.  When the caller has
 * gone, the far one is given up, and the home takes that for the same.
 *
 * Callbacks of the near one come from within afar__raw_serve on, those of the far one when both are there.  The
 * tunnel has a reference for each stream until that was released, and keeps the memory of both. */

#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/far/raw.h"
#include "runtime/far/relay_raw.h"
#include "runtime/interface.h"

struct bank {
    afar__raw *raw;
    uint32_t held; /* credit of what came from there and waits on the other side */
    bool closed;
};

struct tunnel {
    atomic_uint refs;
    const afar_method *method;
    afar__refs_known known;
    void (*ended)(void *arg, bool well);
    void *arg;

    pthread_mutex_t lock; /* guards these; none is taken under it */
    struct bank near, far;
    bool begun;              /* both are there */
    bool over;               /* the near one is, and was before that */
    bool finished, answered; /* by the caller; well, by the home */
};

static void
unref(void *arg)
{
    struct tunnel *tunnel = arg;

    if (atomic_fetch_sub_explicit(&tunnel->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (tunnel->near.raw)
        afar__raw_unref(tunnel->near.raw);
    if (tunnel->far.raw)
        afar__raw_unref(tunnel->far.raw);
    afar__refs_forget(&tunnel->known);
    pthread_mutex_destroy(&tunnel->lock);
    free(tunnel);
}

/* ---- ending ---- */

static void
shut(struct tunnel *tunnel, struct bank *bank)
{
    bool first;

    pthread_mutex_lock(&tunnel->lock);
    first = !bank->closed;
    bank->closed = true;
    pthread_mutex_unlock(&tunnel->lock);
    if (first)
        afar__raw_close(bank->raw, unref);
}

/* What the caller may believe of an error: only what the home has answered, or what was never sent, says that
 * nothing was taken. */
static void
answer(struct tunnel *tunnel, const afar_error *err)
{
    afar_error how = AFAR_ERROR_INIT;

    afar_error_copy(&how, err);
    if (err->outcome == AFAR_OUTCOME_UNKNOWN)
        how.code = AFAR_UNAVAILABLE;
    afar__raw_finish(tunnel->near.raw, &how);
    afar_error_clear(&how);
}

/* Something cannot go on: what follows must not, either. */
static void
give_up(struct tunnel *tunnel, const afar_error *err)
{
    afar_error how = AFAR_ERROR_INIT;

    afar__fail_outcome(&how, AFAR_UNAVAILABLE, AFAR_OUTCOME_UNKNOWN, false,
                       "%s: what was to be passed on was not: %s", tunnel->method->path,
                       err->message);
    answer(tunnel, &how);
    afar_error_clear(&how);
    shut(tunnel, &tunnel->far);
}

/* ---- passing on ---- */

static void
hold(struct tunnel *tunnel, struct bank *from, afar__raw_item *item)
{
    uint32_t credit = afar__raw_hold(item);

    pthread_mutex_lock(&tunnel->lock);
    from->held += credit;
    pthread_mutex_unlock(&tunnel->lock);
}

/* If nothing waits on the other side, more may come.  If something does, this is called again. */
static void
go_on(struct tunnel *tunnel, struct bank *from, struct bank *to)
{
    uint32_t credit;

    if (afar__raw_stalled(to->raw))
        return;
    pthread_mutex_lock(&tunnel->lock);
    credit = from->held;
    from->held = 0;
    pthread_mutex_unlock(&tunnel->lock);
    if (credit > 0)
        afar__raw_credit(from->raw, credit);
}

static void
pass(struct tunnel *tunnel, struct bank *from, struct bank *to, const uint8_t *data, size_t length,
     afar__raw_item *item)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__ref_list list;
    afar_code code;

    afar__ref_list_init(&list);
    hold(tunnel, from, item);
    code = afar__raw_pass(item, &tunnel->known, &list, &err);
    if (code != AFAR_RESOURCE_EXHAUSTED) {
        afar_error_clear(&err);
        code = afar__raw_send(to->raw, data, length, &list, &err);
    }
    afar__ref_list_clear(&list);
    /* One that is over says so itself. */
    if (code && code != AFAR_CANCELLED)
        give_up(tunnel, &err);
    else
        go_on(tunnel, from, to);
    afar_error_clear(&err);
}

/* ---- what the near one tells ---- */

static void
near_came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    struct tunnel *tunnel = arg;

    pass(tunnel, &tunnel->near, &tunnel->far, data, length, item);
}

static void
near_ended(void *arg)
{
    struct tunnel *tunnel = arg;

    pthread_mutex_lock(&tunnel->lock);
    tunnel->finished = true;
    pthread_mutex_unlock(&tunnel->lock);
    afar__raw_finish(tunnel->far.raw, NULL);
}

static void
near_writable(void *arg)
{
    struct tunnel *tunnel = arg;

    go_on(tunnel, &tunnel->far, &tunnel->near);
}

static void
nothing(void *arg)
{
    (void)arg;
}

/* The near one is over, and both are there. */
static void
end(struct tunnel *tunnel)
{
    bool well;

    shut(tunnel, &tunnel->far);
    pthread_mutex_lock(&tunnel->lock);
    well = tunnel->finished && tunnel->answered;
    pthread_mutex_unlock(&tunnel->lock);
    if (tunnel->ended)
        tunnel->ended(tunnel->arg, well);
    shut(tunnel, &tunnel->near);
}

/* It was answered, or the caller has gone. */
static void
near_over(void *arg, const afar_error *err)
{
    struct tunnel *tunnel = arg;
    bool begun;

    (void)err;
    pthread_mutex_lock(&tunnel->lock);
    begun = tunnel->begun;
    tunnel->over = true;
    pthread_mutex_unlock(&tunnel->lock);
    if (begun)
        end(tunnel);
}

static const afar__raw_ops near_ops = { near_came, near_ended, near_writable,
                                        nothing,   near_over,  NULL };

/* ---- what the far one tells ---- */

static void
far_came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    struct tunnel *tunnel = arg;

    pass(tunnel, &tunnel->far, &tunnel->near, data, length, item);
}

static void
far_writable(void *arg)
{
    struct tunnel *tunnel = arg;

    go_on(tunnel, &tunnel->near, &tunnel->far);
}

static void
far_over(void *arg, const afar_error *err)
{
    struct tunnel *tunnel = arg;

    if (err->code == AFAR_ENDED) {
        pthread_mutex_lock(&tunnel->lock);
        tunnel->answered = true;
        pthread_mutex_unlock(&tunnel->lock);
        afar__raw_finish(tunnel->near.raw, NULL);
    } else {
        answer(tunnel, err);
    }
    shut(tunnel, &tunnel->far);
}

static const afar__raw_ops far_ops = { far_came, nothing, far_writable, nothing, far_over, NULL };

/* ---- beginning ---- */

bool
afar__relay_is_raw(afar_object *far)
{
    return afar__interface_channel(afar_object_interface(far)) && far->ops->way;
}

static afar_code
make(afar_object *far, const afar_method *method, struct tunnel **ret_tunnel, afar_error *err)
{
    const afar_channel_type *type = afar__interface_channel(afar_object_interface(far));
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    afar_code code;

    if (!tunnel)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory to pass a stream on",
                         method->path);
    atomic_init(&tunnel->refs, 2);
    tunnel->method = method;
    pthread_mutex_init(&tunnel->lock, NULL);
    code = afar__refs_know(&tunnel->known, type->refs, err);
    if (!code)
        code = afar__raw_open(far, method, NULL, NULL, &tunnel->far.raw, err);
    if (code) {
        atomic_store(&tunnel->refs, 1);
        unref(tunnel);
        return code;
    }
    afar__raw_ref(tunnel->far.raw);
    *ret_tunnel = tunnel;
    return AFAR_OK;
}

/* Both are there: the far one is listened to, unless there is nobody to tell. */
static void
begin(struct tunnel *tunnel)
{
    bool over;

    afar__raw_ref(tunnel->near.raw);
    pthread_mutex_lock(&tunnel->lock);
    tunnel->begun = true;
    over = tunnel->over;
    pthread_mutex_unlock(&tunnel->lock);
    afar__raw_listen(tunnel->far.raw, &far_ops, tunnel);
    if (over)
        end(tunnel);
}

afar_code
afar__relay_raw(afar_object *far, afar_call *call, void (*ended)(void *arg, bool well), void *arg)
{
    struct tunnel *tunnel = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = make(far, call->method, &tunnel, &err);

    if (tunnel) {
        tunnel->ended = ended;
        tunnel->arg = arg;
        code = afar__raw_serve(call, &near_ops, tunnel, &tunnel->near.raw, &err);
        if (!code) {
            begin(tunnel);
        } else {
            afar__raw_close(tunnel->far.raw, NULL);
            tunnel->near.raw = NULL;
            atomic_store(&tunnel->refs, 1);
            unref(tunnel);
        }
    }
    if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}
