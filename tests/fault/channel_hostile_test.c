/* Processes that are attached to a channel and keep to no rule: acts of every kind in every state, with wrong
 * numbers, and bytes that are none.  The home lives, their calls end, whoever uses the same channel at the
 * home gets an answer, and those who use another notice nothing.
 *
 * The seed is printed when a round begins that does not end well; AFAR_FAULT_SEED sets it, AFAR_FAULT_ROUNDS how
 * many there are.
 *
 * Labels: concurrent */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <afar/client.h>
#include <afar/select.h>
#include <afar/server.h>

#include "check.h"
#include "piece.afar.h"
#include "runtime/channel/code.h"
#include "runtime/far/raw.h"

#define ROUNDS 60
#define BATCHES 12
#define MOST_CLAIMS 64

static uint64_t state;

static uint64_t
draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

static unsigned long
setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 10) : otherwise;
}

/* ---- the others ---- */

struct pair {
    fault_piece_sender *sender;
    fault_piece_receiver *receiver;
};

struct world {
    afar_server *server;
    afar_client *client;
    struct pair home, far; /* of the channel that nobody attacks */
    atomic_bool over;
    pthread_t sending, receiving;
    atomic_ulong sent, received;
};

static const char *quiet[2] = { "send", "receive" };
static const char *attacked[2] = { "attacked/send", "attacked/receive" };

static void
make(struct pair *pair, unsigned capacity)
{
    afar_error err = AFAR_ERROR_INIT;

    if (capacity == 0)
        CHECK_OK(fault_piece_rendezvous_new(&pair->sender, &pair->receiver, &err));
    else
        CHECK_OK(fault_piece_buffered_new(capacity, &pair->sender, &pair->receiver, &err));
}

static void
close_pair(struct pair *pair)
{
    fault_piece_sender_close(pair->sender);
    fault_piece_receiver_close(pair->receiver);
}

static const char *
name_of(const struct world *world, const char *name, char text[200])
{
    snprintf(text, 200, "afar://%s/%s", afar_server_address(world->server), name);
    return text;
}

/* Exports both ends, and opens them from the client. */
static void
open_far(struct world *world, const char *names[2], const struct pair *home, struct pair *far)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[200];

    CHECK_OK(
        afar_server_export(world->server, names[0], fault_piece_sender_object(home->sender), &err));
    CHECK_OK(afar_server_export(world->server, names[1],
                                fault_piece_receiver_object(home->receiver), &err));
    CHECK_OK(fault_piece_sender_open(world->client, name_of(world, names[0], text), soon(),
                                     &far->sender, &err));
    CHECK_OK(fault_piece_receiver_open(world->client, name_of(world, names[1], text), soon(),
                                       &far->receiver, &err));
}

static void
take_back(struct world *world, const char *names[2])
{
    CHECK(!afar_server_unexport(world->server, names[0], fault_piece_channel_type.sender, NULL));
    CHECK(!afar_server_unexport(world->server, names[1], fault_piece_channel_type.receiver, NULL));
}

static void *
run_sending(void *arg)
{
    struct world *world = arg;
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;

    while (!atomic_load(&world->over)) {
        piece.number++;
        CHECK_OK(fault_piece_send(world->far.sender, &piece, soon(), &err));
        atomic_fetch_add(&world->sent, 1);
    }
    CHECK_OK(fault_piece_sender_finish(world->far.sender, soon(), &err));
    return NULL;
}

static void *
run_receiving(void *arg)
{
    struct world *world = arg;
    Fault__Piece *piece = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number = 0;
    afar_code code;

    while (!(code = fault_piece_receive(world->far.receiver, soon(), &piece, &err))) {
        CHECK_INT(piece->number, ++number);
        afar_message_free(piece);
        atomic_fetch_add(&world->received, 1);
    }
    CHECK_INT(code, AFAR_ENDED);
    afar_error_clear(&err);
    return NULL;
}

static void
open_world(struct world *world)
{
    afar_error err = AFAR_ERROR_INIT;

    memset(world, 0, sizeof *world);
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &world->server, &err));
    CHECK_OK(afar_server_start(world->server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &world->client, &err));
    make(&world->home, 0);
    open_far(world, quiet, &world->home, &world->far);
    CHECK(!pthread_create(&world->sending, NULL, run_sending, world));
    CHECK(!pthread_create(&world->receiving, NULL, run_receiving, world));
}

static void
close_world(struct world *world)
{
    take_back(world, quiet);
    fault_piece_sender_close(world->home.sender);
    atomic_store(&world->over, true);
    CHECK(!pthread_join(world->sending, NULL));
    CHECK(!pthread_join(world->receiving, NULL));
    CHECK_INT(atomic_load(&world->sent), atomic_load(&world->received));
    fault_piece_receiver_close(world->home.receiver);
    close_pair(&world->far);
    afar_client_close(world->client);
    afar_server_close(world->server);
}

/* ---- one that is hostile ---- */

struct hostile {
    afar__raw *raw;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t claims[MOST_CLAIMS]; /* that were not answered */
    size_t claim_count, messages;
    uint64_t offers;
    bool over, released, greeted;
};

/* What the home says must be right. */
static void
came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    struct hostile *hostile = arg;
    afar__channel_reader reader;
    afar__channel_said said;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t claims = 0;
    afar_code code;

    (void)item;
    afar__channel_reader_init(&reader, true, data, length);
    pthread_mutex_lock(&hostile->lock);
    while (!(code = afar__channel_read(&reader, &said, &err))) {
        if (said.kind != AFAR__CHANNEL_STEP)
            continue;
        hostile->messages += said.step.kind == AFAR__STEP_MESSAGE && said.step.ack;
        claims += said.step.kind == AFAR__STEP_CLAIM;
        if (said.step.kind == AFAR__STEP_CLAIM && hostile->claim_count < MOST_CLAIMS) {
            uint64_t last =
                hostile->claim_count ? hostile->claims[hostile->claim_count - 1] : claims - 1;

            hostile->claims[hostile->claim_count++] = last + 1;
        }
    }
    pthread_mutex_unlock(&hostile->lock);
    CHECK_INT(code, AFAR_ENDED);
}

static void
nothing(void *arg)
{
    (void)arg;
}

static void
over(void *arg, const afar_error *err)
{
    struct hostile *hostile = arg;

    CHECK(err->code != AFAR_OK);
    pthread_mutex_lock(&hostile->lock);
    hostile->over = true;
    pthread_cond_broadcast(&hostile->changed);
    pthread_mutex_unlock(&hostile->lock);
}

static void
released(void *arg)
{
    struct hostile *hostile = arg;

    pthread_mutex_lock(&hostile->lock);
    hostile->released = true;
    pthread_cond_broadcast(&hostile->changed);
    pthread_mutex_unlock(&hostile->lock);
}

static const afar__raw_ops ops = { came, nothing, nothing, nothing, over, NULL };

static void
attach(struct hostile *hostile, afar_object *object)
{
    afar_error err = AFAR_ERROR_INIT;

    memset(hostile, 0, sizeof *hostile);
    CHECK(!pthread_mutex_init(&hostile->lock, NULL));
    CHECK(!pthread_cond_init(&hostile->changed, NULL));
    CHECK_OK(afar__raw_open(object, afar_object_interface(object)->methods, &ops, hostile,
                            &hostile->raw, &err));
}

static void
add_hello(struct hostile *hostile, afar__channel_buffer *buffer)
{
    afar__channel_hello hello = { .version = AFAR__CHANNEL_VERSION, .carries = "fault.Piece" };

    if (draw(20) == 0)
        hello.version = (uint32_t)draw(1000);
    if (draw(20) == 0)
        hello.carries = "fault.Pieces";
    memset(hello.process, (int)draw(3), sizeof hello.process);
    CHECK(afar__channel_add_hello(buffer, &hello));
    hostile->greeted = true;
}

/* One that may be right. */
static uint64_t
number_up_to(uint64_t most)
{
    if (draw(30) == 0)
        return draw(2) ? UINT64_MAX : most + 1;
    return most > 0 ? 1 + draw(most) : 0;
}

static uint64_t
claim_of(struct hostile *hostile)
{
    uint64_t claim = draw(5);

    pthread_mutex_lock(&hostile->lock);
    if (hostile->claim_count > 0 && draw(20) > 0)
        claim = hostile->claims[--hostile->claim_count];
    pthread_mutex_unlock(&hostile->lock);
    return claim;
}

static uint64_t
ack_of(struct hostile *hostile)
{
    uint64_t count;

    pthread_mutex_lock(&hostile->lock);
    count = hostile->messages;
    hostile->messages = 0;
    pthread_mutex_unlock(&hostile->lock);
    return draw(10) == 0 ? count + draw(3) : count > 0 ? count : 1;
}

static void
add_act(struct hostile *hostile, afar__channel_buffer *buffer, bool sends)
{
    static const uint8_t payload[] = { 0x08, 0x07, 0x12, 0x03, 'a', 'b', 'c' };
    afar__step step = { .kind = AFAR__STEP_OFFER, .tell = draw(3) == 0, .patient = draw(2) == 0 };
    afar__channel_span span = { NULL, 0 };

    switch (draw(12)) {
    case 0:
        step.kind = AFAR__STEP_WITHDRAW;
        step.number = number_up_to(hostile->offers);
        break;
    case 1:
    case 2:
        step.kind = AFAR__STEP_GRANT;
        step.number = claim_of(hostile);
        break;
    case 3:
        step.kind = AFAR__STEP_DENY;
        step.number = claim_of(hostile);
        break;
    case 4:
    case 5:
        step.kind = AFAR__STEP_ACK;
        step.count = ack_of(hostile);
        break;
    default:
        step.select = draw(2) ? 1 + draw(4) : 0;
        hostile->offers++;
    }
    if (draw(200) == 0)
        step = (afar__step){ .kind = AFAR__STEP_POISON, .text = "no more of this" };
    /* Also where none belongs; and bytes that are no message. */
    if (sends || draw(30) == 0)
        span = (afar__channel_span){ payload, draw(10) ? sizeof payload : draw(sizeof payload) };
    if (step.kind == AFAR__STEP_OFFER && step.select != 0 && draw(30) > 0)
        span.length = 0;
    CHECK(afar__channel_add(buffer, &step, span));
}

static void
say_something(struct hostile *hostile, bool sends)
{
    afar__channel_buffer buffer = { .data = NULL };

    /* Now and then without one, or with two. */
    if (hostile->greeted ? draw(100) == 0 : draw(20) > 0)
        add_hello(hostile, &buffer);
    for (uint64_t i = 0, count = draw(12); i < count; i++)
        add_act(hostile, &buffer, sends);
    if (buffer.length > 0 && draw(40) == 0)
        buffer.data[draw(buffer.length)] ^= (uint8_t)(1u << draw(8));
    (void)!afar__raw_send(hostile->raw, buffer.data, buffer.length, NULL, NULL);
    afar__channel_buffer_free(&buffer);
}

/* It ends well, or is given up in the middle. */
static void
leave(struct hostile *hostile)
{
    bool waits = draw(2) == 0;

    if (waits)
        afar__raw_finish(hostile->raw, NULL);
    pthread_mutex_lock(&hostile->lock);
    while (waits && !hostile->over)
        pthread_cond_wait(&hostile->changed, &hostile->lock);
    pthread_mutex_unlock(&hostile->lock);
    afar__raw_close(hostile->raw, released);
    pthread_mutex_lock(&hostile->lock);
    while (!hostile->released)
        pthread_cond_wait(&hostile->changed, &hostile->lock);
    pthread_mutex_unlock(&hostile->lock);
    pthread_cond_destroy(&hostile->changed);
    pthread_mutex_destroy(&hostile->lock);
}

/* ---- who uses the same channel, at its home ---- */

struct user {
    struct pair *home;
    atomic_bool over;
    pthread_t thread;
};

static void *
run_using(void *arg)
{
    struct user *user = arg;
    Fault__Piece piece = FAULT__PIECE__INIT;

    while (!atomic_load(&user->over)) {
        afar_case cases[] = { AFAR_CASE_RECEIVE(fault_piece_receiver_base(user->home->receiver)),
                              AFAR_CASE_SEND(fault_piece_sender_base(user->home->sender),
                                             &piece.base) };
        size_t which;
        afar_code code = afar_select(cases, 2, AFAR_FAIR, afar_after_ms(5), &which, NULL);

        afar_message_free(cases[0].received);
        if (code == AFAR_POISONED || code == AFAR_ENDED || code == AFAR_LOST)
            return NULL;
        CHECK(!code || code == AFAR_DEADLINE_EXCEEDED || code == AFAR_UNKNOWN ||
              (code == AFAR_INVALID_ARGUMENT && which == 0));
    }
    return NULL;
}

static void
attack(struct world *world, unsigned capacity)
{
    struct pair home, far;
    struct hostile hostile[4];
    struct user user = { .home = &home };
    size_t count = sizeof hostile / sizeof *hostile;

    make(&home, capacity);
    open_far(world, attacked, &home, &far);
    CHECK(!pthread_create(&user.thread, NULL, run_using, &user));
    for (size_t i = 0; i < count; i++)
        attach(&hostile[i], i % 2 ? fault_piece_receiver_object(far.receiver)
                                  : fault_piece_sender_object(far.sender));
    for (size_t i = 0; i < BATCHES * count; i++) {
        say_something(&hostile[i % count], i % 2 == 0);
        if (draw(4) == 0)
            sched_yield();
    }
    for (size_t i = 0; i < count; i++)
        leave(&hostile[i]);
    atomic_store(&user.over, true);
    CHECK(!pthread_join(user.thread, NULL));
    close_pair(&far);
    take_back(world, attacked);
    close_pair(&home);
}

TEST(acts_that_break_the_rules)
{
    unsigned long seed = setting("AFAR_FAULT_SEED", 1);
    unsigned long rounds = setting("AFAR_FAULT_ROUNDS", ROUNDS);
    struct world world;

    open_world(&world);
    for (unsigned long i = 0; i < rounds; i++) {
        unsigned long before = atomic_load(&world.received);

        state = (seed + i) * 0x9e3779b97f4a7c15u;
        attack(&world, i % 2 ? 3 : 0);
        for (time_t until = time(NULL) + 10; atomic_load(&world.received) == before;) {
            if (time(NULL) > until)
                check_fail(__FILE__, __LINE__, "the others stand still: AFAR_FAULT_SEED=%lu",
                           seed + i);
            sched_yield();
        }
    }
    close_world(&world);
}
