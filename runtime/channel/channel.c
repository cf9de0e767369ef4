/* Channels whose home is this process, and who is attached to them from elsewhere.
 *
 * An end in this process counts as one.  All that other processes have, or that is exported or on its way in a
 * message, counts as one more for each side: the object that stands for the ends of that side, which
 * is made when it is first asked for, and whose finalizer lets go of that one.  What a child is given (spawn.h) is
 * an end by itself: an object of its own, which is lent until all that attached through it have finished.
 *
 * A visitor is a call of Attach that is served: a seat at the home, and the wire back.  It counts nothing,
 * for its call keeps the object.
 *
 * References of a channel: one of each end, of each object, and of each visitor. */

#include <stdlib.h>
#include <string.h>

#include "runtime/channel/live.h"
#include "runtime/fail.h"
#include "runtime/far/relay.h"
#include "runtime/host.h"

#define STEPS 64 /* that are read before the board is told, all at once */

struct port {
    afar__channel *channel;
    afar__direction direction;
    afar_object *object; /* its own, without a reference */
    afar__loan loan;     /* of nulls: it is not lent */
    afar__task left;

    /* guarded by the lock of the channels */
    unsigned visitors; /* whose calls are being served */
    bool lost;         /* one that had a reference was */
    bool told;         /* who lent it was told that all have left */
};

struct afar__channel {
    afar__meet meet;
    atomic_uint refs;
    const afar_channel_type *type;

    /* guarded by the lock of the channels */
    afar__home *home;
    unsigned ends[2];
    bool lost[2];
    struct port *ports[2];
    unsigned visitors;
};

static unsigned visitors; /* of all channels; guarded by the lock */

/* ---- life ---- */

static void
ref(afar__channel *channel)
{
    atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
}

afar__channel *
afar__channel_ref(afar__channel *channel)
{
    ref(channel);
    return channel;
}

void
afar__channel_unref(afar__channel *channel)
{
    if (atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar__channels_lock();
    afar__home_free(channel->home);
    afar__channels_unlock();
    free(channel);
}

afar_code
afar__channel_new(const afar_channel_type *type, unsigned capacity, afar__channel **ret_channel,
                  afar_error *err)
{
    afar__channel *channel = aligned_alloc(AFAR__LINE, sizeof *channel);

    if (channel) {
        memset(channel, 0, sizeof *channel);
        atomic_init(&channel->refs, 0);
        afar__meet_init(&channel->meet);
        channel->type = type;
        afar__channels_lock();
        channel->home = afar__home_new(afar__channels_board(), capacity);
        if (channel->home)
            afar__home_set_user(channel->home, &channel->meet);
        afar__channels_unlock();
    }
    if (!channel || !channel->home) {
        free(channel);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a channel of %s",
                         type->message->name);
    }
    *ret_channel = channel;
    return AFAR_OK;
}

void
afar__channel_enter_locked(afar__channel *channel, afar__direction direction)
{
    ref(channel);
    channel->ends[direction]++;
}

static void
leave_locked(afar__channel *channel, afar__direction direction)
{
    if (--channel->ends[direction] == 0)
        afar__home_finish(channel->home, direction, channel->lost[direction]);
}

void
afar__channel_leave(afar__channel *channel, afar__direction direction)
{
    afar__channels_lock();
    leave_locked(channel, direction);
    afar__channels_unlock();
}

afar__meet *
afar__channel_meet(afar__channel *channel)
{
    return &channel->meet;
}

afar__home *
afar__channel_home(afar__channel *channel)
{
    return channel->home;
}

const afar_channel_type *
afar__channel_type(const afar__channel *channel)
{
    return channel->type;
}

bool
afar__channel_is_visited_locked(const afar__channel *channel)
{
    return channel->visitors > 0;
}

bool
afar__channels_are_visited_locked(void)
{
    return visitors > 0;
}

/* ---- visitors ---- */

struct visitor {
    atomic_uint refs; /* of its stream, and of those who flush */
    afar__wire wire;
    afar__channel *channel; /* with a reference */
    struct port *port;      /* as long as the call */

    /* guarded by the lock of the channels */
    afar__seat *seat; /* NULL: no Hello yet, or it has left */
    bool greeted, over;
    bool finished;    /* it has said so: whatever becomes of its call, it was not lost */
    bool left;        /* and all that it sent was taken */
    afar_error error; /* how it ended before the stream was there */
};

static struct visitor *
visitor_of(afar__wire *wire)
{
    return (struct visitor *)((char *)wire - offsetof(struct visitor, wire));
}

static void
ref_visitor(afar__wire *wire)
{
    atomic_fetch_add_explicit(&visitor_of(wire)->refs, 1, memory_order_relaxed);
}

static void
unref_visitor(afar__wire *wire)
{
    struct visitor *visitor = visitor_of(wire);

    if (atomic_fetch_sub_explicit(&visitor->refs, 1, memory_order_acq_rel) != 1)
        return;
    afar__wire_clear(wire);
    afar_error_clear(&visitor->error);
    afar__channel_unref(visitor->channel);
    free(visitor);
}

static void
leave_seat_locked(struct visitor *visitor)
{
    if (!visitor->seat)
        return;
    afar__seat_leave(visitor->seat);
    visitor->seat = NULL;
    visitor->channel->visitors--;
    visitors--;
}

/* It broke a rule, or cannot be served: its call fails, and its end is lost. */
static void
expel(struct visitor *visitor, const afar_error *err)
{
    afar__raw *raw;

    afar__channels_lock();
    leave_seat_locked(visitor);
    if (!visitor->finished && !visitor->over)
        visitor->port->lost = true;
    raw = visitor->wire.raw;
    if (!raw && !visitor->error.code)
        afar_error_copy(&visitor->error, err);
    if (raw)
        afar__raw_ref(raw);
    afar__channels_unlock();
    if (!raw)
        return;
    afar__raw_finish(raw, err);
    afar__raw_unref(raw);
}

static void
failed(afar__wire *wire, const afar_error *err)
{
    expel(visitor_of(wire), err);
}

void
afar__channel_expel_unlock(afar__seat *seat)
{
    struct visitor *visitor = visitor_of(afar__seat_user(seat));
    afar_error err = AFAR_ERROR_INIT;

    ref_visitor(&visitor->wire);
    leave_seat_locked(visitor);
    if (!visitor->finished)
        visitor->port->lost = true;
    afar__channels_unlock();
    afar_fail(&err, AFAR_DEADLINE_EXCEEDED,
              "a message of the channel of %s was not acknowledged, and %g s after its sender's "
              "deadline the home waits no longer",
              visitor->channel->type->message->name, afar__channel_patience_seconds());
    expel(visitor, &err);
    afar_error_clear(&err);
    unref_visitor(&visitor->wire);
}

static void
stall_locked(afar__wire *wire, bool stalled)
{
    struct visitor *visitor = visitor_of(wire);

    if (visitor->seat)
        afar__seat_stall(visitor->seat, stalled);
}

/* One that has finished leaves when the last that it sent was taken. */
static void
rest_locked(afar__wire *wire)
{
    struct visitor *visitor = visitor_of(wire);

    if (!visitor->finished || visitor->left)
        return;
    if (visitor->seat && visitor->port->direction == AFAR__SENDS &&
        afar__seat_hush(visitor->seat) > 0)
        return;
    visitor->left = true;
    leave_seat_locked(visitor);
    afar__wire_finish_locked(wire);
}

/* A message that cannot go to this receiver. */
static bool
unsent_locked(afar__wire *wire, afar__step *step, const afar_error *err)
{
    const struct visitor *visitor = visitor_of(wire);

    return visitor->seat && afar__seat_unsent(visitor->seat, step, err->code, err->message);
}

static const afar__wire_ops wire_ops = {
    ref_visitor, unref_visitor, unref_visitor, unsent_locked, failed, stall_locked, rest_locked,
};

static afar_code
greet_locked(struct visitor *visitor, const afar__channel_hello *hello, afar_error *err)
{
    afar__channel *channel = visitor->channel;
    const char *carries = channel->type->message->name;

    if (visitor->greeted)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "%s: a second Hello", carries);
    if (hello->version != AFAR__CHANNEL_VERSION)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: version %u of the channels' protocol is not spoken here", carries,
                         hello->version);
    if (!*hello->carries && channel->type->refs)
        return afar_fail(err, AFAR_FAILED_PRECONDITION,
                         "the channel carries %s, which has references: not as bytes", carries);
    if (*hello->carries && strcmp(hello->carries, carries) != 0)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "the channel carries %s, not %.200s", carries,
                         hello->carries);
    afar__wire_welcome_locked(&visitor->wire, afar__home_buffered(channel->home));
    visitor->seat =
        afar__seat_new(channel->home, visitor->port->direction, hello->process, &visitor->wire);
    if (!visitor->seat)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a process", carries);
    visitor->greeted = true;
    channel->visitors++;
    visitors++;
    return AFAR_OK;
}

static afar_code
take_locked(struct visitor *visitor, afar__channel_said *said, afar_error *err)
{
    if (said->kind == AFAR__CHANNEL_HELLO)
        return visitor->error.code ? AFAR_OK : greet_locked(visitor, &said->hello, err);
    if (visitor->seat)
        return afar__seat_act(visitor->seat, &said->step, err);
    afar__parcel_drop_locked(said->step.parcel);
    if (visitor->greeted || visitor->error.code)
        return AFAR_OK;
    return afar_fail(err, AFAR_INVALID_ARGUMENT, "%s: there was no Hello",
                     visitor->channel->type->message->name);
}

static bool
brings_message(const struct visitor *visitor, const afar__channel_said *said)
{
    const afar__step *step = &said->step;

    if (said->kind != AFAR__CHANNEL_STEP || visitor->port->direction != AFAR__SENDS)
        return false;
    return step->kind == AFAR__STEP_GRANT || (step->kind == AFAR__STEP_OFFER && step->select == 0);
}

/* Reads acts without the lock, until there are many, or one that has a text, which lives until the next
 * is read. */
static size_t
read_some(struct visitor *visitor, afar__channel_reader *reader, afar__raw_item *item,
          afar__channel_said *said, afar_code *ret_code, afar_error *err)
{
    const afar_channel_type *type = visitor->channel->type;
    size_t count = 0;
    bool text = false;

    *ret_code = AFAR_OK;
    while (count < STEPS && !text && !*ret_code) {
        afar__channel_said *one = &said[count];

        *ret_code = afar__channel_read(reader, one, err);
        if (*ret_code)
            break;
        text = one->kind == AFAR__CHANNEL_HELLO || one->step.text;
        if (brings_message(visitor, one)) {
            *ret_code = afar__parcel_read(one->payload.data, one->payload.length, type, item,
                                          &one->step.parcel, err);
            if (*ret_code)
                break;
        }
        count++;
    }
    return count;
}

static void
came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    struct visitor *visitor = visitor_of(arg);
    afar__channel_said said[STEPS];
    afar__channel_reader reader;
    afar_error err = AFAR_ERROR_INIT;
    afar_code read, code = AFAR_OK;

    afar__channel_reader_init(&reader, false, data, length);
    do {
        size_t count = read_some(visitor, &reader, item, said, &read, &err);

        afar__channels_lock();
        for (size_t i = 0; i < count; i++)
            if (code)
                afar__parcel_drop_locked(said[i].step.parcel);
            else
                code = take_locked(visitor, &said[i], &err);
        afar__channels_unlock();
    } while (!read && !code);
    if (code || read != AFAR_ENDED)
        expel(visitor, &err);
    afar_error_clear(&err);
}

/* It has finished: what is still to be said to it goes, and then the call ends well. */
static void
ended(void *arg)
{
    struct visitor *visitor = visitor_of(arg);

    afar__channels_lock();
    visitor->finished = true;
    rest_locked(&visitor->wire);
    afar__channels_unlock();
}

static void
idle(void *arg)
{
    afar__wire_idle(arg);
}

static void
run_left(afar__task *task)
{
    struct port *port = (struct port *)((char *)task - offsetof(struct port, left));

    port->loan.left(port->loan.arg);
    afar_object_close(port->object);
}

/* A call is over.  True: the task of the port is to be run, which has a reference. */
static bool
part_locked(const struct visitor *visitor)
{
    struct port *port = visitor->port;

    if (--port->visitors > 0 || !visitor->finished || port->lost || port->told || !port->loan.left)
        return false;
    port->told = true;
    afar_object_share(port->object);
    return true;
}

static void
over(void *arg, const afar_error *err)
{
    struct visitor *visitor = visitor_of(arg);
    struct port *port = visitor->port;
    bool left;

    afar__channels_lock();
    leave_seat_locked(visitor);
    if (err->code != AFAR_ENDED && !visitor->finished)
        port->lost = true;
    visitor->over = true;
    afar__wire_shut_locked(&visitor->wire);
    left = part_locked(visitor);
    afar__channels_unlock();
    if (left)
        afar__engine_run(&port->left);
}

/* The way to this home closes.  What was said still arrives; what it asked for is lost. */
static void
closing(void *arg)
{
    struct visitor *visitor = visitor_of(arg);

    afar__channels_lock();
    if (!visitor->left) {
        visitor->left = true;
        visitor->port->lost = true;
        leave_seat_locked(visitor);
        afar__wire_finish_locked(&visitor->wire);
    }
    afar__channels_unlock();
}

static const afar__raw_ops raw_ops = { came, ended, idle, idle, over, closing };

static void
released(void *arg)
{
    unref_visitor(arg);
}

/* The stream is there; what came of it before may have ended it. */
static void
admit(struct visitor *visitor, afar__raw *raw)
{
    afar_error error = AFAR_ERROR_INIT;
    bool gone;

    /* Once the wire has it, it may be closed at any moment. */
    afar__raw_ref(raw);
    afar__channels_lock();
    gone = visitor->over;
    if (!gone)
        afar__wire_open_locked(&visitor->wire, raw);
    afar_error_move(&error, &visitor->error);
    afar__channels_unlock();
    if (error.code && !gone)
        afar__raw_finish(raw, &error);
    if (gone)
        afar__raw_close(raw, released);
    afar__raw_unref(raw);
    afar_error_clear(&error);
}

static void
count_visitor(struct port *port, int change)
{
    afar__channels_lock();
    port->visitors += (unsigned)change;
    afar__channels_let_go();
}

/* A process attaches.  One that has no session (any gRPC program) is led here over one by a relay. */
static afar_code
serve(void *self, afar_call *call)
{
    struct port *port = self;
    struct visitor *visitor = calloc(1, sizeof *visitor);
    afar_error err = AFAR_ERROR_INIT;
    afar__raw *raw = NULL;
    afar_code code;

    if (!visitor)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "no memory for a process");
    atomic_init(&visitor->refs, 2);
    afar__wire_init(&visitor->wire, &wire_ops, port->channel->type);
    afar__error_init(&visitor->error);
    visitor->channel = port->channel;
    ref(port->channel);
    visitor->port = port;
    count_visitor(port, 1);
    code = afar__raw_serve(call, &raw_ops, &visitor->wire, &raw, &err);
    if (!code) {
        admit(visitor, raw);
    } else {
        count_visitor(port, -1);
        atomic_store(&visitor->refs, 1); /* there is no stream */
    }
    unref_visitor(&visitor->wire);
    if (code == AFAR_UNIMPLEMENTED)
        code = afar__relay_pass(port->object, call);
    else if (code)
        afar_call_fail_error(call, &err);
    afar_error_clear(&err);
    return code;
}

/* ---- objects that stand for ends ---- */

static void
lost(void *self)
{
    struct port *port = self;

    afar__channels_lock();
    port->lost = true;
    afar__channels_unlock();
}

static void
finalize(void *self)
{
    struct port *port = self;
    afar__channel *channel = port->channel;
    afar__loan loan = port->loan;

    afar__channels_lock();
    if (channel->ports[port->direction] == port)
        channel->ports[port->direction] = NULL;
    channel->lost[port->direction] |= port->lost;
    leave_locked(channel, port->direction);
    afar__channels_unlock();
    afar__channel_unref(channel);
    free(port);
    if (loan.released)
        loan.released(loan.arg);
}

static afar_object *
known_object_locked(afar__channel *channel, afar__direction direction)
{
    struct port *port = channel->ports[direction];

    return port && afar__object_try_share(port->object) ? port->object : NULL;
}

/* One that counts.  NULL: as *ret_code says. */
static struct port *
make_port(afar__channel *channel, afar__direction direction, afar_code *ret_code, afar_error *err)
{
    const afar_channel_type *type = channel->type;
    struct port *port = calloc(1, sizeof *port);

    if (!port) {
        *ret_code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                              "no memory for an end of a channel of %s", type->message->name);
        return NULL;
    }
    port->channel = channel;
    port->direction = direction;
    *ret_code = afar__host_new(direction == AFAR__SENDS ? type->sender : type->receiver, serve,
                               port, finalize, &port->object, err);
    if (*ret_code) {
        free(port);
        return NULL;
    }
    afar__host_take_raw(port->object);
    afar__host_when_lost(port->object, lost);
    afar__channels_lock();
    afar__channel_enter_locked(channel, direction);
    afar__channels_let_go();
    return port;
}

static afar_code
make_object(afar__channel *channel, afar__direction direction, afar_object **ret_object,
            afar_error *err)
{
    afar_code code = AFAR_OK;
    struct port *port = make_port(channel, direction, &code, err);

    if (!port)
        return code;
    afar__channels_lock();
    channel->ports[direction] = port;
    afar__channels_let_go();
    *ret_object = port->object;
    return AFAR_OK;
}

afar_code
afar__channel_object(afar__channel *channel, afar__direction direction, afar_object **ret_object,
                     afar_error *err)
{
    afar_object *object;

    afar__channels_lock();
    object = known_object_locked(channel, direction);
    afar__channels_unlock();
    if (!object)
        return make_object(channel, direction, ret_object, err);
    *ret_object = object;
    return AFAR_OK;
}

afar_code
afar__channel_lend(afar__channel *channel, afar__direction direction, const afar__loan *loan,
                   afar_object **ret_object, afar_error *err)
{
    afar_code code = AFAR_OK;
    struct port *port = make_port(channel, direction, &code, err);

    if (!port)
        return code;
    port->loan = *loan;
    port->left.run = run_left;
    *ret_object = port->object;
    return AFAR_OK;
}

void
afar__channel_lose(afar_object *object)
{
    struct port *port = afar__host_self(object, serve);

    if (port)
        lost(port);
}

afar__channel *
afar__channel_of(afar_object *object, afar__direction *ret_direction)
{
    const struct port *port = afar__host_self(object, serve);

    if (!port)
        return NULL;
    afar__channels_lock();
    afar__channel_enter_locked(port->channel, port->direction);
    afar__channels_unlock();
    *ret_direction = port->direction;
    return port->channel;
}
