/* The acts of stress.h.
 *
 * A thread uses ends of two kinds, by chance: those at home, which all threads share, and its own, over its
 * connection.  Those at home are never lost; only what they send to one who is gets UNKNOWN. */

#include "stress.h"

#include <stdio.h>
#include <string.h>

#define BOUND_MS 12000 /* of what may take 50 ms */

/* ---- chance ---- */

static unsigned
chance(struct thread *thread, unsigned below)
{
    thread->random ^= thread->random << 13;
    thread->random ^= thread->random >> 7;
    thread->random ^= thread->random << 17;
    return (unsigned)(thread->random >> 33) % below;
}

static afar_deadline
any_deadline(struct thread *thread)
{
    return afar_after_ms(chance(thread, 4) == 0 ? 0 : chance(thread, 20));
}

/* ---- what became of it ---- */

void
note_received(struct world *world, Csp__Item *item)
{
    CHECK(item->number < NUMBERS);
    CHECK_INT(atomic_fetch_add(&world->notes[item->number].received, 1), 0);
    afar_message_free(item);
}

static uint64_t
new_number(struct world *world)
{
    uint64_t number = atomic_fetch_add(&world->next, 1);

    CHECK(number < NUMBERS);
    return number;
}

static void
note_told(struct world *world, uint64_t number, afar_code code, bool buffered)
{
    enum told told = code == AFAR_OK        ? buffered ? TOLD_BUFFERED : TOLD_OK
                     : code == AFAR_UNKNOWN ? TOLD_UNKNOWN
                                            : TOLD_NOT_SENT;

    CHECK_INT(atomic_exchange(&world->notes[number].told, told), TOLD_NOTHING);
}

/* What can come of an act; `far`: over the connection, which may be cut. */
static void
check_code(struct thread *thread, afar_code code, bool far)
{
    switch (code) {
    case AFAR_OK:
    case AFAR_DEADLINE_EXCEEDED:
        return;
    case AFAR_UNKNOWN:
        thread->broken |= far;
        return;
    case AFAR_LOST:
    case AFAR_CANCELLED:
    case AFAR_UNAVAILABLE:
    case AFAR_FAILED_PRECONDITION:
        if (!far)
            break;
        thread->broken = true;
        return;
    default:
        break;
    }
    check_fail(__FILE__, __LINE__, "%s at %s", afar_code_name(code), far ? "an end" : "home");
}

/* ---- ends ---- */

static void
name_of(const struct world *world, const char *what, int number, char text[200])
{
    snprintf(text, 200, "afar://%s/%s%d", afar_server_address(world->server), what, number);
}

static void
open_ends(struct thread *thread, afar_client *client)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[200];

    for (int i = 0; i < CHANNELS; i++) {
        name_of(thread->world, "send", i, text);
        CHECK_OK(csp_item_sender_open(client, text, soon(), &thread->senders[i], &err));
        name_of(thread->world, "receive", i, text);
        CHECK_OK(csp_item_receiver_open(client, text, soon(), &thread->receivers[i], &err));
    }
    name_of(thread->world, "give", 0, text);
    CHECK_OK(csp_ends_sender_open(client, text, soon(), &thread->give, &err));
    name_of(thread->world, "take", 0, text);
    CHECK_OK(csp_ends_receiver_open(client, text, soon(), &thread->take, &err));
    name_of(thread->world, "office", 0, text);
    CHECK_OK(csp_office_open(client, text, soon(), &thread->office, &err));
}

static void
close_all_ends(struct thread *thread)
{
    for (int i = 0; i < CHANNELS; i++) {
        csp_item_sender_close(thread->senders[i]);
        csp_item_receiver_close(thread->receivers[i]);
    }
    csp_ends_sender_close(thread->give);
    csp_ends_receiver_close(thread->take);
    csp_office_close(thread->office);
}

/* Nobody else knows the new client before its ends are open. */
static void
connect_anew(struct thread *thread)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    open_ends(thread, client);
    pthread_mutex_lock(&thread->lock);
    thread->client = client;
    pthread_mutex_unlock(&thread->lock);
    thread->broken = false;
}

void
thread_open(struct thread *thread, struct world *world, unsigned seed)
{
    memset(thread, 0, sizeof *thread);
    thread->world = world;
    thread->random = 0x9e3779b97f4a7c15u * (seed + 1);
    pthread_mutex_init(&thread->lock, NULL);
    connect_anew(thread);
}

void
thread_cut(struct thread *thread)
{
    afar_client *client;

    pthread_mutex_lock(&thread->lock);
    client = thread->client;
    thread->client = NULL;
    pthread_mutex_unlock(&thread->lock);
    if (client)
        atomic_fetch_add(&thread->world->cuts, 1);
    afar_client_close(client);
}

static bool
is_buffered(size_t channel)
{
    return channel >= CHANNELS / 2;
}

/* ---- one case ---- */

static void
send_one(struct thread *thread)
{
    struct world *world = thread->world;
    size_t channel = chance(thread, CHANNELS);
    bool far = chance(thread, 2);
    csp_item_sender *sender = far ? thread->senders[channel] : world->home[channel].sender;
    uint64_t number = new_number(world);
    afar_code code = send_number(sender, number, any_deadline(thread));

    note_told(world, number, code, is_buffered(channel));
    check_code(thread, code, far);
}

static void
receive_from(struct thread *thread, csp_item_receiver *receiver, bool far)
{
    Csp__Item *item = NULL;
    afar_code code = csp_item_receive(receiver, any_deadline(thread), &item, NULL);

    if (!code)
        note_received(thread->world, item);
    check_code(thread, code, far);
}

static void
receive_one(struct thread *thread)
{
    size_t channel = chance(thread, CHANNELS);

    if (chance(thread, 2))
        receive_from(thread, thread->receivers[channel], true);
    else
        receive_from(thread, thread->world->home[channel].receiver, false);
}

static void
share_one(struct thread *thread)
{
    size_t channel = chance(thread, CHANNELS);
    bool far = chance(thread, 2);
    csp_item_receiver *shared = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(csp_item_receiver_share(
        far ? thread->receivers[channel] : thread->world->home[channel].receiver, &shared, &err));
    receive_from(thread, shared, far);
    csp_item_receiver_close(shared);
}

/* ---- selects ---- */

#define CASES 5

struct choice {
    afar_case cases[CASES];
    Csp__Item items[CASES];
    size_t channels[CASES];
    bool far[CASES];
    size_t count;
};

static void
add_case(struct thread *thread, struct choice *choice)
{
    struct world *world = thread->world;
    size_t i = choice->count++, channel = chance(thread, CHANNELS);
    bool far = chance(thread, 2);

    choice->channels[i] = channel;
    choice->far[i] = far;
    if (chance(thread, 2)) {
        csp_item_receiver *end = far ? thread->receivers[channel] : world->home[channel].receiver;

        choice->cases[i] = (afar_case)AFAR_CASE_RECEIVE(csp_item_receiver_base(end));
    } else {
        csp_item_sender *end = far ? thread->senders[channel] : world->home[channel].sender;

        csp__item__init(&choice->items[i]);
        choice->items[i].number = new_number(world);
        choice->cases[i] =
            (afar_case)AFAR_CASE_SEND(csp_item_sender_base(end), &choice->items[i].base);
    }
}

static void
add_other_case(struct thread *thread, struct choice *choice, afar_future *future)
{
    size_t i = choice->count++;

    if (future)
        choice->cases[i] = (afar_case)AFAR_CASE_FUTURE(future);
    else if (chance(thread, 2))
        choice->cases[i] = (afar_case)AFAR_CASE_DEFAULT;
    else
        choice->cases[i] = (afar_case)AFAR_CASE_TIMEOUT(any_deadline(thread));
    choice->far[i] = false;
}

/* Those that did not happen were not sent. */
static void
note_choice(struct thread *thread, struct choice *choice, size_t which, afar_code code)
{
    struct world *world = thread->world;

    for (size_t i = 0; i < choice->count; i++) {
        bool happened = i == which;

        if (choice->cases[i].kind == AFAR_CASE_KIND_SEND)
            note_told(world, choice->items[i].number, happened ? code : AFAR_DEADLINE_EXCEEDED,
                      is_buffered(choice->channels[i]));
        else if (choice->cases[i].kind == AFAR_CASE_KIND_RECEIVE && happened && !code)
            note_received(world, (Csp__Item *)choice->cases[i].received);
    }
    check_code(thread, code, which < choice->count && choice->far[which]);
}

static void
choose(struct thread *thread, afar_future *future)
{
    struct choice choice = { .count = 0 };
    size_t cases = 1 + chance(thread, CASES - 1), which = CASES;
    unsigned flags = chance(thread, 2) ? AFAR_FAIR : AFAR_BY_PRIORITY;

    for (size_t i = 0; i < cases; i++)
        add_case(thread, &choice);
    if (future || chance(thread, 2))
        add_other_case(thread, &choice, future);
    afar_code code =
        afar_select(choice.cases, choice.count, flags, any_deadline(thread), &which, NULL);
    CHECK(which <= choice.count);
    note_choice(thread, &choice, which, code);
}

static void
choose_with_future(struct thread *thread)
{
    Csp__Ends request = CSP__ENDS__INIT, *reply = NULL;
    afar_future *future = NULL;
    bool far = chance(thread, 2);
    afar_code code = csp_office_trade_start(far ? thread->office : thread->world->office, &request,
                                            soon(), NULL, &future, NULL);

    if (code) {
        check_code(thread, code, far);
        return;
    }
    choose(thread, future);
    code = csp_office_trade_await(future, any_deadline(thread), &reply, NULL);
    if (!code)
        afar_message_free(reply);
    check_code(thread, code, far);
    afar_future_close(future);
}

/* Again and again, with what is switched off and on. */
static void
choose_often(struct thread *thread)
{
    afar_case cases[CHANNELS];
    bool far = chance(thread, 2);
    afar_selector *selector = NULL;
    afar_error err = AFAR_ERROR_INIT;

    for (size_t i = 0; i < CHANNELS; i++)
        cases[i] = (afar_case)AFAR_CASE_RECEIVE(csp_item_receiver_base(
            far && i % 2 ? thread->receivers[i] : thread->world->home[i].receiver));
    CHECK_OK(afar_selector_open(cases, CHANNELS, chance(thread, 2), &selector, &err));
    for (unsigned rounds = chance(thread, 20); rounds > 0 && !thread->broken; rounds--) {
        size_t which = CHANNELS;
        afar_code code;

        afar_selector_switch(selector, chance(thread, CHANNELS), chance(thread, 3) > 0);
        code = afar_selector_select(selector, afar_after_ms(chance(thread, 4)), &which, NULL);
        if (!code)
            note_received(thread->world, (Csp__Item *)cases[which].received);
        check_code(thread, code, far && which % 2);
    }
    afar_selector_close(selector);
}

/* ---- sending ahead ---- */

static void
note_posts(struct thread *thread, size_t channel, afar_code code)
{
    for (size_t i = 0; i < thread->post_count[channel]; i++)
        note_told(thread->world, thread->posts[channel][i], code ? AFAR_UNKNOWN : AFAR_OK,
                  is_buffered(channel));
    thread->post_count[channel] = 0;
}

static void
flush(struct thread *thread, size_t channel, afar_deadline deadline)
{
    afar_code code = csp_item_flush(thread->senders[channel], deadline, NULL);

    if (code != AFAR_DEADLINE_EXCEEDED)
        note_posts(thread, channel, code);
    check_code(thread, code, true);
}

static void
post_some(struct thread *thread)
{
    size_t channel = chance(thread, CHANNELS);
    Csp__Item item = CSP__ITEM__INIT;
    afar_code code = AFAR_OK;

    for (unsigned i = chance(thread, 10); i > 0 && !code; i--) {
        if (thread->post_count[channel] == POSTS)
            break;
        item.number = new_number(thread->world);
        code = csp_item_post(thread->senders[channel], &item, any_deadline(thread), NULL);
        if (code)
            note_told(thread->world, item.number, code, false);
        else
            thread->posts[channel][thread->post_count[channel]++] = item.number;
    }
    check_code(thread, code, true);
    if (chance(thread, 2))
        flush(thread, channel, any_deadline(thread));
}

/* ---- ends that move ---- */

/* A channel for a few messages; who takes its end gets them. */
static void
give_away(struct thread *thread)
{
    bool far = chance(thread, 2);
    struct ends ends = make_channel(0);
    Csp__Ends message = CSP__ENDS__INIT;
    afar_receiver_room room;

    csp_ends_put_receiver(&message, &room, ends.receiver);
    afar_code code = csp_ends_send(far ? thread->give : thread->world->give, &message,
                                   any_deadline(thread), NULL);
    check_code(thread, code, far);
    csp_item_receiver_close(ends.receiver);
    for (unsigned i = chance(thread, 4); i > 0 && !code; i--) {
        uint64_t number = new_number(thread->world);

        code = send_number(ends.sender, number, any_deadline(thread));
        note_told(thread->world, number, code, false);
    }
    if (chance(thread, 2))
        csp_item_sender_poison(ends.sender, "enough of it");
    csp_item_sender_close(ends.sender);
}

static void
take_one(struct thread *thread)
{
    bool far = chance(thread, 2);
    csp_item_receiver *receiver = NULL;
    Csp__Ends *message = NULL;
    Csp__Item *item = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = csp_ends_receive(far ? thread->take : thread->world->take,
                                      any_deadline(thread), &message, NULL);

    check_code(thread, code, far);
    if (code)
        return;
    CHECK_OK(csp_ends_take_receiver(message, &receiver, &err));
    afar_message_free(message);
    while (!(code = csp_item_receive(receiver, soon(), &item, NULL)))
        note_received(thread->world, item);
    CHECK(code != AFAR_DEADLINE_EXCEEDED);
    csp_item_receiver_close(receiver);
}

/* ---- threads ---- */

typedef void (*act_fn)(struct thread *thread);

static void
finish_connection(struct thread *thread, bool well)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        if (well)
            note_posts(thread, i, csp_item_sender_finish(thread->senders[i], soon(), NULL));
        else
            note_posts(thread, i, AFAR_UNKNOWN);
    }
    close_all_ends(thread);
}

static void
run_act(struct thread *thread)
{
    switch (chance(thread, 16)) {
    case 0:
    case 1:
    case 2:
        send_one(thread);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        receive_one(thread);
        break;
    case 7:
        share_one(thread);
        break;
    case 8:
        post_some(thread);
        break;
    case 9:
        give_away(thread);
        break;
    case 10:
        take_one(thread);
        break;
    case 11:
        choose_with_future(thread);
        break;
    case 12:
        choose_often(thread);
        break;
    default:
        choose(thread, NULL);
        break;
    }
}

void
thread_act(struct thread *thread)
{
    int64_t start = now_ms();

    run_act(thread);
    CHECK(now_ms() - start < BOUND_MS);
    atomic_fetch_add(&thread->world->acts, 1);
    if (thread->broken) {
        thread_cut(thread);
        finish_connection(thread, false);
        connect_anew(thread);
    }
}

void
thread_close(struct thread *thread)
{
    finish_connection(thread, true);
    pthread_mutex_destroy(&thread->lock);
    afar_client_close(thread->client);
}

/* ---- the world ---- */

static afar_code
answer(void *self, const Csp__Ends *request, Csp__Ends *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number;
    return AFAR_OK;
}

static void
export_it(struct world *world, const char *what, int number, afar_object *object)
{
    afar_error err = AFAR_ERROR_INIT;
    char name[30];

    snprintf(name, sizeof name, "%s%d", what, number);
    CHECK_OK(afar_server_export(world->server, name, object, &err));
}

void
world_open(struct world *world)
{
    static const csp_office_methods methods = { answer };
    static const unsigned capacities[CHANNELS] = { 0, 0, 1, 10 };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &world->server, &err));
    for (int i = 0; i < CHANNELS; i++) {
        world->home[i] = make_channel(capacities[i]);
        export_it(world, "send", i, csp_item_sender_object(world->home[i].sender));
        export_it(world, "receive", i, csp_item_receiver_object(world->home[i].receiver));
    }
    CHECK_OK(csp_ends_rendezvous_new(&world->give, &world->take, &err));
    export_it(world, "give", 0, csp_ends_sender_object(world->give));
    export_it(world, "take", 0, csp_ends_receiver_object(world->take));
    CHECK_OK(csp_office_new(&methods, NULL, NULL, &world->office, &err));
    export_it(world, "office", 0, csp_office_object(world->office));
    CHECK_OK(afar_server_start(world->server, &err));
}
