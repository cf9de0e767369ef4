/* Links: letters that come in order and late, up to a cut.  What is said goes through the codec, and
 * what is said together may travel in one letter. */

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/channel/code.h"

enum letter_kind {
    LETTER_STEPS, /* a ToHome or a ToEnd */
    LETTER_HALF_CLOSE,
    LETTER_CLOSE
};

struct sim_letter {
    struct sim_letter *next;
    enum letter_kind kind;
    afar__channel_buffer buffer;
};

/* ---- queues ---- */

static struct sim_letter *
add_letter(struct sim_queue *queue, enum letter_kind kind)
{
    struct sim_letter *letter = calloc(1, sizeof *letter);

    if (!letter)
        abort();
    letter->kind = kind;
    if (!queue->last || !queue->first)
        queue->last = &queue->first;
    *queue->last = letter;
    queue->last = &letter->next;
    queue->sealed = false;
    return letter;
}

static struct sim_letter *
last_letter(const struct sim_queue *queue)
{
    struct sim_letter *letter = queue->first;

    while (letter && letter->next)
        letter = letter->next;
    return letter;
}

static void
free_letter(struct sim_letter *letter)
{
    afar__channel_buffer_free(&letter->buffer);
    free(letter);
}

/* Loses all letters behind the first `kept`. */
static void
lose_letters(struct sim_queue *queue, unsigned kept)
{
    struct sim_letter **link = &queue->first;

    while (*link && kept-- > 0)
        link = &(*link)->next;
    queue->last = link;
    while (*link) {
        struct sim_letter *letter = *link;

        *link = letter->next;
        free_letter(letter);
    }
}

/* Where the next step is written. */
static struct sim_letter *
open_letter(struct sim_link *link, int to)
{
    struct sim_queue *queue = &link->to[to];
    struct sim_letter *letter = last_letter(queue);

    if (letter && letter->kind == LETTER_STEPS && !queue->sealed && link->world->profile.gather &&
        sim_chance(link->world, 2))
        return letter;
    return add_letter(queue, LETTER_STEPS);
}

/* ---- what is put in ---- */

static void
write_payload(const afar__parcel *parcel, uint8_t *ret_data)
{
    memset(ret_data, 0x5a, parcel->size);
    for (unsigned i = 0; i < 4 && i < parcel->size; i++)
        ret_data[i] = (uint8_t)(parcel->message >> (8 * i));
}

static void
put(struct sim_link *link, int to, const afar__step *step)
{
    afar__channel_span payload = { NULL, 0 };
    uint8_t *data = NULL;

    if (link->cut)
        return;
    if (step->parcel) {
        data = malloc(step->parcel->size + 1);
        if (!data)
            abort();
        write_payload(step->parcel, data);
        payload = (afar__channel_span){ data, step->parcel->size };
    }
    if (!afar__channel_add(&open_letter(link, to)->buffer, step, payload))
        abort();
    free(data);
}

const char *
sim_step_name(unsigned kind)
{
    static const char *const names[SIM_KINDS] = {
        "offer",   "withdraw", "grant", "deny",    "ack",       "poison",  "taken",
        "message", "waiting",  "claim", "release", "withdrawn", "unknown", "ended",
    };

    return names[kind];
}

static void
log_step(struct sim_link *link, const char *verb, const afar__step *step)
{
    sim_log(link->world,
            "link %u (channel %u, %s at %u) %s %s number %llu count %llu select %llu"
            " offer %llu%s%s code %d message %u",
            link->number, link->channel->number, link->side == AFAR__SENDS ? "sender" : "receiver",
            link->nodes[0] ? link->nodes[0]->index : 9, verb, sim_step_name(step->kind),
            (unsigned long long)step->number, (unsigned long long)step->count,
            (unsigned long long)step->select, (unsigned long long)step->offer,
            step->tell ? " tell" : "", step->ack ? " ack" : "", (int)step->code,
            step->parcel ? step->parcel->message : 0);
}

/* All copies that the plant makes of a step are put in; then the parcel goes. */
static void
put_planted(struct sim_link *link, int to, afar__step *step)
{
    afar__step steps[PLANT_STEPS];
    unsigned count = plant_change(&link->world->plant, &link->tap, link->number, step, steps);

    for (unsigned i = 0; i < count; i++)
        put(link, to, &steps[i]);
    if (link->world->plant.ack_back)
        put(link, 1, &(afar__step){ .kind = AFAR__STEP_ACK, .count = 1 });
    link->world->plant.ack_back = false;
    plant_clear(&link->world->plant);
    sim_parcel_drop(step->parcel);
}

/* A select is granted to one home at a time. */
static void
check_hold(struct sim_link *link, uint64_t select)
{
    struct sim_world *world = link->world;

    for (unsigned i = 0; i < world->link_count; i++) {
        struct sim_link *other = &world->links[i];

        if (!other->noticed[0] && !other->hostile && !link->hostile &&
            other->nodes[0] == link->nodes[0] &&
            memcmp(other->process, link->process, sizeof link->process) == 0 &&
            tap_holds(&other->tap, select))
            sim_wrong(world, "links %u and %u hold select %llu", other->number, link->number,
                      (unsigned long long)select);
    }
}

void
sim_link_put_act(struct sim_link *link, afar__step *step)
{
    log_step(link, "says", step);
    if (step->kind == AFAR__STEP_GRANT)
        check_hold(link, tap_claimed(&link->tap, step->number));
    tap_act_sent(&link->tap, step);
    if (link->tap.wrong[0] && !link->hostile)
        sim_wrong(link->world, "link %u: %s", link->number, link->tap.wrong);
    put_planted(link, 1, step);
}

void
sim_link_put_word(struct sim_link *link, afar__step *step)
{
    log_step(link, "tells", step);
    tap_word_sent(&link->tap, step);
    if (link->tap.wrong[0] && !link->hostile)
        sim_wrong(link->world, "link %u: %s", link->number, link->tap.wrong);
    if (link->hostile)
        sim_truth_leaked(link->world, step->parcel);
    put_planted(link, 0, step);
}

/* ---- a link's life ---- */

static void
put_welcome(struct sim_link *link, bool buffered)
{
    bool largest = link->hostile && sim_chance(link->world, 2);
    afar__channel_welcome welcome = { .offers = largest ? UINT32_MAX : AFAR__CHANNEL_OFFERS,
                                      .window_bytes = largest ? UINT32_MAX : AFAR__CHANNEL_WINDOW,
                                      .buffered = buffered };

    if (!afar__channel_add_welcome(&add_letter(&link->to[0], LETTER_STEPS)->buffer, &welcome))
        abort();
}

/* Its home is a stranger's. */
static void
make_hostile(struct sim_link *link)
{
    link->hostile = true;
    link->left = true; /* nobody is there to read */
    if (!sim_chance(link->world, 4))
        put_welcome(link, sim_chance(link->world, 2));
}

void
sim_link_stranger(struct sim_world *world, struct sim_channel *channel, afar__direction side)
{
    struct sim_link *link = &world->links[world->link_count];

    link->world = world;
    link->number = world->link_count++;
    link->channel = channel;
    link->side = side;
    link->nodes[1] = channel->node;
    link->hostile = link->seated = true;
    channel->ends[side]++;
    channel->strangers = true;
    if (side == AFAR__RECEIVES)
        channel->ways += 2; /* no order is promised any more */
    tap_open(&link->tap, side == AFAR__SENDS);
    memcpy(link->process, world->nodes[sim_below(world, world->node_count)].process,
           sizeof link->process);
    for (unsigned i = 0; sim_chance(world, 2) && i < sizeof link->process; i++)
        link->process[i] = sim_chance(world, 4) ? 0 : channel->node->process[i];
    sim_log(world, "link %u is a stranger's, to channel %u", link->number, channel->number);
    link->seat = afar__seat_new(channel->home, side, link->process, link);
    if (!link->seat)
        abort();
}

void
sim_link_put_step(struct sim_link *link, int to, const afar__step *step, const uint8_t *payload,
                  size_t length)
{
    afar__channel_span span = { payload, length };

    if (!afar__channel_add(&open_letter(link, to)->buffer, step, span))
        abort();
}

void
sim_link_put_bytes(struct sim_link *link, int to, const uint8_t *data, size_t length)
{
    struct sim_letter *letter = add_letter(&link->to[to], LETTER_STEPS);

    letter->buffer.data = malloc(length + 1);
    if (!letter->buffer.data)
        abort();
    memcpy(letter->buffer.data, data, length);
    letter->buffer.length = letter->buffer.room = length;
    link->to[to].sealed = true;
}

bool
sim_link_new(struct sim_end *end)
{
    struct sim_world *world = end->node->world;
    struct sim_link *link = &world->links[world->link_count];
    afar__channel_hello hello = { .version = AFAR__CHANNEL_VERSION, .carries = "sim.Message" };

    if (world->link_count == SIM_LINKS)
        return false;
    link->world = world;
    link->number = world->link_count++;
    link->channel = end->channel;
    link->side = end->side;
    link->nodes[0] = end->node;
    link->nodes[1] = end->channel->node;
    link->end = end;
    end->link = link;
    memcpy(link->process, end->node->process, sizeof link->process);
    tap_open(&link->tap, end->side == AFAR__SENDS);
    if (end->side == AFAR__RECEIVES)
        end->channel->ways++;
    memcpy(hello.process, link->process, sizeof hello.process);
    if (!afar__channel_add_hello(&add_letter(&link->to[1], LETTER_STEPS)->buffer, &hello))
        abort();
    link->waits = sim_chance(world, 2);
    if (end->channel->hostile)
        make_hostile(link);
    sim_log(world, "link %u for end %u: channel %u, %s, from node %u", link->number, end->number,
            link->channel->number, link->side == AFAR__SENDS ? "sender" : "receiver",
            end->node->index);
    if (!link->waits)
        afar__proxy_attached(end->proxy);
    return true;
}

void
sim_link_half_close(struct sim_link *link)
{
    link->half = true;
    if (!link->cut)
        add_letter(&link->to[1], LETTER_HALF_CLOSE);
}

void
sim_link_cut(struct sim_link *link)
{
    if (link->cut)
        return;
    link->cut = true;
    if (!link->left || link->end)
        link->channel->cut = true;
    sim_log(link->world, "link %u is cut", link->number);
    for (int i = 0; i < 2; i++)
        lose_letters(&link->to[i], sim_chance(link->world, 2) ? 0 : sim_below(link->world, 4));
}

/* The home is through with it, in whatever way. */
static void
leave(struct sim_link *link, bool lost)
{
    if (link->left)
        return;
    link->left = true;
    if (link->seat)
        afar__seat_leave(link->seat);
    link->seat = NULL;
    lose_letters(&link->to[1], 0);
    link->channel->gone[link->side] |= lost;
    if (plant_now(&link->world->plant, PLANT_LOSS_FORGOTTEN, 1))
        lost = false;
    if (link->channel->home)
        sim_channel_less(link->channel, link->side, lost);
}

bool
sim_link_end(struct sim_link *link)
{
    if (!link->seat || link->left || !afar__seat_is_over(link->seat))
        return false;
    sim_log(link->world, "link %u: the home ends it", link->number);
    if (!link->cut)
        add_letter(&link->to[0], LETTER_CLOSE);
    leave(link, false);
    return true;
}

/* The process has no call any more. */
static void
lose_end(struct sim_link *link, afar_code code, const char *text)
{
    struct sim_end *end = link->end;

    lose_letters(&link->to[0], 0);
    if (!end)
        return;
    link->end = NULL;
    end->link = NULL;
    end->broken |= link->cut;
    if (link->cut && plant_now(&link->world->plant, PLANT_CUT_UNNOTICED, 1))
        return;
    afar__proxy_lost(end->proxy, code, text);
}

bool
sim_link_notice(struct sim_link *link, int side)
{
    if (!link->cut || link->noticed[side] || link->to[side].first)
        return false;
    link->noticed[side] = true;
    sim_log(link->world, "link %u: the %s notices the cut", link->number,
            side ? "home" : "process");
    if (side == 1)
        leave(link, true);
    else
        lose_end(link, AFAR_LOST, "the link was cut");
    return true;
}

/* ---- what comes out ---- */

static afar__parcel *
read_payload(struct sim_link *link, const afar__channel_said *said)
{
    const uint8_t *data = said->payload.data;
    uint32_t number = 0;

    for (unsigned i = 0; i < 4 && i < said->payload.length; i++)
        number |= (uint32_t)data[i] << (8 * i);
    if (number > link->world->message_count || link->hostile)
        number = 0;
    return sim_parcel_new(link->world, number, (unsigned)said->payload.length);
}

static bool
has_payload(const struct sim_link *link, const afar__step *step)
{
    if (step->kind == AFAR__STEP_MESSAGE)
        return true;
    if (link->side == AFAR__RECEIVES)
        return false;
    return step->kind == AFAR__STEP_GRANT || (step->kind == AFAR__STEP_OFFER && step->select == 0);
}

static void
take_hello(struct sim_link *link, const afar__channel_hello *hello)
{
    uint8_t process[16];

    memcpy(process, hello->process, sizeof process);
    plant_process(&link->world->plant, link->channel->number, process);
    link->seated = true;
    put_welcome(link, afar__home_buffered(link->channel->home));
    link->seat = afar__seat_new(link->channel->home, link->side, process, link);
    if (!link->seat)
        abort();
}

/* An act or a word came; false if what it came to broke. */
static bool
take_said(struct sim_link *link, int to, afar__channel_said *said)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (said->kind != AFAR__CHANNEL_STEP && (said->kind == AFAR__CHANNEL_HELLO) != (to == 1))
        return false;
    if (said->kind == AFAR__CHANNEL_HELLO && link->seated)
        return false;
    if (said->kind == AFAR__CHANNEL_HELLO) {
        take_hello(link, &said->hello);
        return true;
    }
    if (said->kind == AFAR__CHANNEL_WELCOME) {
        tap_welcome(&link->tap);
        if (link->waits)
            afar__proxy_attached(link->end->proxy);
        afar__proxy_limits(link->end->proxy, said->welcome.offers, said->welcome.window_bytes);
        return true;
    }
    if (has_payload(link, &said->step))
        said->step.parcel = read_payload(link, said);
    log_step(link, to ? "home hears" : "process hears", &said->step);
    link->world->counts.said[said->step.kind]++;
    if (said->step.kind == AFAR__STEP_POISON)
        link->channel->poisoned = true;
    if (said->step.kind == AFAR__STEP_ENDED)
        link->end->over = true;
    if (to == 1)
        tap_act_came(&link->tap, &said->step);
    else
        tap_word_came(&link->tap, &said->step);
    code = to == 1 ? afar__seat_act(link->seat, &said->step, &err)
                   : afar__proxy_word(link->end->proxy, &said->step, &err);
    if (code == AFAR_OK)
        return true;
    if (!link->hostile)
        sim_wrong(link->world, "link %u: %s", link->number, err.message);
    afar_error_clear(&err);
    return false;
}

/* One side ends the call; the other notices in its own time. */
static void
break_off(struct sim_link *link, int side, afar_code code, const char *text)
{
    sim_link_cut(link);
    link->noticed[side] = true;
    if (side == 1)
        leave(link, true);
    else
        lose_end(link, code, text);
}

/* What never left the process did not happen. */
static bool
has_left(struct sim_link *link)
{
    if (link->seated || link->hostile || sim_chance(link->world, 2))
        return !plant_now(&link->world->plant, PLANT_GIVEN_UP_FALSE, 1);
    return false;
}

void
sim_link_give_up(struct sim_link *link, int side)
{
    struct sim_end *end = link->end;

    sim_log(link->world, "link %u: the %s gives up", link->number, side ? "home" : "process");
    if (side == 1) {
        break_off(link, 1, AFAR_OK, NULL);
    } else if (has_left(link)) {
        break_off(link, 0, AFAR_LOST, "the home did not answer");
    } else {
        lose_letters(&link->to[1], 0);
        end->unreached = true;
        break_off(link, 0, AFAR_UNAVAILABLE, "the home was not reached");
    }
}

static void
read_letter(struct sim_link *link, int to, struct sim_letter *letter)
{
    afar__channel_reader reader;
    afar__channel_said said;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    afar__channel_reader_init(&reader, to == 0, letter->buffer.data, letter->buffer.length);
    while ((to == 1 || link->end) && !(to == 1 && link->left)) {
        code = afar__channel_read(&reader, &said, &err);
        if (code != AFAR_OK)
            break;
        if (!take_said(link, to, &said)) {
            break_off(link, to, AFAR_LOST, "what the home said cannot be");
            return;
        }
    }
    if (code == AFAR_INVALID_ARGUMENT && !link->hostile)
        sim_wrong(link->world, "link %u: %s", link->number, err.message);
    if (code == AFAR_INVALID_ARGUMENT)
        break_off(link, to, AFAR_LOST, "what the home said cannot be");
    afar_error_clear(&err);
}

bool
sim_link_deliver(struct sim_link *link, int to)
{
    struct sim_queue *queue = &link->to[to];
    struct sim_letter *letter = queue->first;

    if (!letter)
        return false;
    queue->first = letter->next;
    if (!queue->first)
        queue->last = &queue->first;
    switch (letter->kind) {
    case LETTER_STEPS:
        read_letter(link, to, letter);
        break;
    case LETTER_HALF_CLOSE:
        leave(link, false);
        break;
    case LETTER_CLOSE:
        lose_end(link, AFAR_LOST, "the home ended the call");
        break;
    }
    free_letter(letter);
    return true;
}

void
sim_link_clear(struct sim_link *link)
{
    for (int i = 0; i < 2; i++)
        lose_letters(&link->to[i], 0);
    tap_close(&link->tap);
}

bool
sim_link_is_quiet(const struct sim_link *link)
{
    return !link->to[0].first && !link->to[1].first &&
           (!link->cut || (link->noticed[0] && link->noticed[1])) && !link->stalled;
}
