/* Ends of channels that are relayed, as streams of bytes: who is held up, what is no reference, and what is left
 * of them.
 *
 * Labels: concurrent */

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "line.h"
#include "runtime/far/far.h"
#include "runtime/far/parts.h"
#include "runtime/host.h"
#include "runtime/refs.h"

static const char *const relayed[] = { END, CHAIN, NULL };

/* ---- the tables of a session ---- */

static afar__session_counts
counts_of(afar_object *far)
{
    afar__way way = { .connection = NULL };
    afar__session_counts counts;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far->ops->way(far, &way, &err));
    pthread_mutex_lock(&way.connection->lock);
    counts = afar__session_count(way.connection->session);
    pthread_mutex_unlock(&way.connection->lock);
    afar__connection_unref(way.connection);
    return counts;
}

/* Of both sessions of a relay: it has one import of the object, and gave one export away for it. */
static bool
is_clean(const struct hop *hop)
{
    afar__session_counts in = counts_of(hop->kept), out = counts_of(hop->target);

    return in.exports == 0 && in.imports == 1 && in.questions == 0 && out.exports == 0 &&
           out.imports == 1 && out.questions == 0;
}

static void
check_clean(const struct way *way)
{
    int64_t limit = now_ms() + 10000;

    for (size_t i = 0; i < 2 && way->hops[i].target; i++)
        while (!is_clean(&way->hops[i])) {
            CHECK(now_ms() < limit);
            sched_yield();
        }
}

/* ---- who is held up ---- */

/* Ends that take nothing: each keeps the credit of what came. */
struct held {
    struct end *first;
    struct event came;
    atomic_uint credit[MOST_ENDS];
};

static void
hold_item(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    struct held *held = end->arg;

    (void)bundle;
    atomic_fetch_add(&held->credit[end - held->first], afar__raw_hold(item));
    event_raise(&held->came);
}

static void
hold_all(struct way *way, struct held *held)
{
    static const struct event fresh = EVENT_INIT;

    memset(held, 0, sizeof *held);
    held->came = fresh;
    held->first = way->lines.ends;
    way->lines.react = hold_item;
    way->lines.arg = held;
}

#define PIECE 5000
#define STALLED 40 /* more windows than a session has */

static int64_t
send_until_stalled(struct end *near, int64_t number)
{
    for (; !afar__raw_stalled(near->raw); number++) {
        CHECK(number < 1000);
        end_send(near, number, PIECE);
    }
    return number;
}

/* At most a window for each session on the way, and what is larger than the rest of one. */
TEST(no_more_than_a_window_is_on_its_way)
{
    for (const char *const *kind = relayed; *kind; kind++) {
        int64_t count = 0, most = (strcmp(*kind, CHAIN) == 0 ? 4 : 2) * (65536 / PIECE + 2);
        struct held held;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        hold_all(&way, &held);
        way_call(&way, &near);
        for (int i = 0; i < 300; i++) {
            count = send_until_stalled(&near, count);
            CHECK(count <= most);
            (void)counts_of(way.target);
        }
        event_wait(&held.came, 65536 / PIECE);
        end_close(&near);
        event_wait(&way.lines.ends[0].over, 1);
        end_close(&way.lines.ends[0]);
        check_clean(&way);
        way_close(&way);
    }
}

/* It takes what waits for it after all. */
static void
let_go(struct way *way, struct held *held, int index, int count)
{
    struct end *far = &way->lines.ends[index];

    while (event_count(&far->came) < count) {
        uint32_t credit = atomic_exchange(&held->credit[index], 0);

        if (credit)
            afar__raw_credit(far->raw, credit);
        else
            sched_yield();
    }
}

static void
pass_beside_stalled_ones(struct way *way)
{
    static struct end near[STALLED + 1];
    static struct held held;
    int64_t sent[STALLED];

    hold_all(way, &held);
    for (int i = 0; i < STALLED; i++) {
        way_call(way, &near[i]);
        sent[i] = send_until_stalled(&near[i], 0);
        event_wait(&way->lines.served, i + 1);
        event_wait(&way->lines.ends[i].came, 65536 / PIECE - 1);
    }
    way->lines.react = NULL;
    way_call(way, &near[STALLED]);
    for (int64_t i = 0; i < 500; i++)
        end_send(&near[STALLED], i, PIECE);
    event_wait(&way->lines.served, STALLED + 1);
    event_wait(&way->lines.ends[STALLED].came, 500);
    for (int i = 0; i <= STALLED; i++) {
        let_go(way, &held, i, i < STALLED ? (int)sent[i] : 500);
        end_close(&near[i]);
        event_wait(&way->lines.ends[i].over, 1);
        end_close(&way->lines.ends[i]);
    }
}

/* Those who do not read hold up who sends to them, and nobody else of the session. */
TEST(a_stalled_stream_holds_up_no_other)
{
    for (const char *const *kind = relayed; *kind; kind++) {
        struct way way;

        way_open(&way, *kind);
        pass_beside_stalled_ones(&way);
        check_clean(&way);
        way_close(&way);
    }
}

/* ---- references ---- */

static const afar_interface unknown = { .abi = AFAR_ABI,
                                        .size = sizeof(afar_interface),
                                        .name = "far.Unknown",
                                        .method_size = sizeof(afar_method) };

static afar_code
serve_nothing(void *self, afar_call *call)
{
    (void)self;
    return afar_call_unimplemented(call);
}

/* Its finalizer raises the event. */
static afar_object *
make_object(const afar_interface *interface, struct event *gone)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;

    CHECK_OK(afar__host_new(interface, serve_nothing, gone, raise_event, &object, &err));
    return object;
}

struct judge {
    struct event there;
    afar_code code; /* of accepting the references */
};

static void
judge_item(struct end *end, const Far__Bundle *bundle, afar__raw_item *item)
{
    struct judge *judge = end->arg;
    afar__arena *arena = afar__arena_new(512);
    Far__Bundle message = *bundle;
    afar_error err = AFAR_ERROR_INIT;
    afar__raw_kept *kept = NULL;

    CHECK(arena != NULL);
    CHECK_OK(afar__raw_keep(item, &kept, &err));
    judge->code = afar__raw_accept(kept, far_bundle_channel_type.refs, &message.base, arena, NULL);
    afar__arena_free(arena);
    event_raise(&judge->there);
}

/* A message that says it has reference 1 in the field `one`, with these in its list. */
static void
send_list(struct end *near, int64_t number, afar_object *object, size_t count)
{
    Far__Bundle bundle = FAR__BUNDLE__INIT;
    Afar__Ref one = AFAR__REF__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar__ref_list list;
    uint8_t data[64];

    bundle.number = number;
    bundle.one = &one;
    one.index = 1;
    afar__ref_list_init(&list);
    for (size_t i = 0; i < count; i++)
        CHECK(afar__ref_list_add(&list, object));
    CHECK_OK(afar__raw_send(near->raw, data, far__bundle__pack(&bundle, data), &list, &err));
    afar__ref_list_clear(&list);
}

struct wrong {
    const afar_interface *interface; /* NULL: there is none */
    size_t count;
    afar_code code;
};

static const struct wrong wrongs[] = {
    { &far_peer_interface, 1, AFAR_OK },
    { &unknown, 1, AFAR_INVALID_ARGUMENT },
    { &far_stranger_interface, 1, AFAR_INVALID_ARGUMENT },
    { &unknown, 3000, AFAR_INVALID_ARGUMENT },
    { &far_peer_interface, 3000, AFAR_OK },
    { NULL, 0, AFAR_INVALID_ARGUMENT },
    { &far_peer_interface, 1, AFAR_OK },
};

/* Who reads it says what is wrong, as if there were no relay; and nothing is left of it. */
TEST(what_is_no_reference_goes_no_further)
{
    for (const char *const *kind = relayed; *kind; kind++) {
        struct judge judge = { EVENT_INIT, AFAR_OK };
        struct event gone = EVENT_INIT;
        struct end near;
        struct way way;
        int objects = 0;

        way_open(&way, *kind);
        way.lines.react = judge_item;
        way.lines.arg = &judge;
        way_call(&way, &near);
        for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
            const struct wrong *wrong = &wrongs[i];
            afar_object *object = NULL;

            if (wrong->interface)
                object = make_object(wrong->interface, &gone);
            send_list(&near, (int64_t)i, object, wrong->count);
            afar_object_close(object);
            objects += object != NULL;
            event_wait(&judge.there, (int)i + 1);
            CHECK_INT(judge.code, wrong->code);
            event_wait(&gone, objects);
        }
        end_close(&near);
        event_wait(&way.lines.ends[0].over, 1);
        end_close(&way.lines.ends[0]);
        check_clean(&way);
        way_close(&way);
    }
}

/* ---- ends in the middle of it ---- */

#define ON_THE_WAY 300

static void
fill_the_way(struct way *way, struct end *near, struct held *held, struct event *gone)
{
    hold_all(way, held);
    way_call(way, near);
    for (int64_t i = 0; i < ON_THE_WAY; i++) {
        far_peer *one = make_peer(&counting_methods, gone, AFAR_SERIAL, raise_event);

        end_send_with(near, i, one);
        far_peer_close(one);
        end_send(near, -1, PIECE);
    }
    event_wait(&way->lines.served, 1);
    event_wait(&held->came, 1);
}

/* What is on its way when an end is closed is given back, wherever it is. */
static void
end_in_the_middle(const char *kind, bool caller)
{
    struct held held;
    struct event gone = EVENT_INIT;
    struct end near;
    struct way way;

    way_open(&way, kind);
    fill_the_way(&way, &near, &held, &gone);
    struct end *far = &way.lines.ends[0];
    end_close(caller ? &near : far);
    event_wait(caller ? &far->over : &near.over, 1);
    end_close(caller ? far : &near);
    event_wait(&gone, ON_THE_WAY);
    check_clean(&way);
    way_close(&way);
}

TEST(a_caller_that_leaves_in_the_middle)
{
    for (const char *const *kind = relayed; *kind; kind++)
        end_in_the_middle(*kind, true);
}

TEST(a_home_that_leaves_in_the_middle)
{
    for (const char *const *kind = relayed; *kind; kind++)
        end_in_the_middle(*kind, false);
}

/* The relay itself: both hear of it. */
TEST(a_relay_that_is_closed_in_the_middle)
{
    for (const char *const *kind = relayed; *kind; kind++) {
        struct held held;
        struct event gone = EVENT_INIT;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        fill_the_way(&way, &near, &held, &gone);
        struct end *far = &way.lines.ends[0];
        afar_server_close(way.hops[0].pair.server);
        way.hops[0].pair.server = NULL;
        event_wait(&near.over, 1);
        CHECK(near.code != AFAR_ENDED);
        event_wait(&far->over, 1);
        CHECK_INT(far->code, AFAR_CANCELLED);
        end_close(&near);
        end_close(far);
        event_wait(&gone, ON_THE_WAY);
        way_close(&way);
    }
}

static void
close_client(void *arg)
{
    afar_client_close(arg);
}

/* The object that the relay leads to is lost: the caller must not take that for an answer of it.  The client waits for
 * what it serves. */
TEST(a_home_whose_client_is_closed)
{
    for (const char *const *kind = relayed; *kind; kind++) {
        struct worker closer;
        struct end near;
        struct way way;

        way_open(&way, *kind);
        way_call(&way, &near);
        end_send(&near, 0, 0);
        event_wait(&way.lines.served, 1);
        struct end *far = &way.lines.ends[0];
        event_wait(&far->came, 1);
        worker_start(&closer, close_client, way.hops[0].pair.client);
        way.hops[0].pair.client = NULL;
        event_wait(&near.over, 1);
        CHECK(near.code == AFAR_UNAVAILABLE || near.code == AFAR_CANCELLED);
        event_wait(&far->over, 1);
        end_close(&near);
        end_close(far);
        worker_join(&closer);
        way_close(&way);
    }
}
