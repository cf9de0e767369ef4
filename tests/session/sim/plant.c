/* What plant.h says: one function for each mistake. */

#include "plant.h"

#include <stdlib.h>
#include <string.h>

/* Not every time: a mistake that shows at once would be too easy. */
static bool
now(struct plant *plant, unsigned one_in)
{
    if (random_below(plant->random, one_in) != 0)
        return false;
    plant->planted++;
    return true;
}

static sim_frame *
copy(const sim_frame *frame)
{
    size_t length = afar__session__v1__frame__get_packed_size(frame);
    uint8_t *data = malloc(length + 1);
    sim_frame *same;

    if (!data)
        abort();
    afar__session__v1__frame__pack(frame, data);
    same = afar__session__v1__frame__unpack(NULL, length, data);
    free(data);
    if (!same)
        abort();
    return same;
}

static unsigned
drop(sim_frame *frame)
{
    afar__session__v1__frame__free_unpacked(frame, NULL);
    return 0;
}

static unsigned
twice(const sim_frame *frame, sim_frame *ret_frames[2])
{
    ret_frames[1] = copy(frame);
    return 2;
}

/* Two of one kind come in the wrong order. */
static unsigned
swap(struct plant *plant, sim_frame *frame, sim_frame *ret_frames[2])
{
    if (!plant->held) {
        plant->held = frame;
        return 0;
    }
    ret_frames[0] = frame;
    ret_frames[1] = plant->held;
    plant->held = NULL;
    plant->planted++;
    return 2;
}

/* The only frames that may be held back are those that the next one overtakes. */
static unsigned
let_go(struct plant *plant, sim_frame *frame, sim_frame *ret_frames[2])
{
    if (!plant->held)
        return 1;
    ret_frames[0] = plant->held;
    ret_frames[1] = frame;
    plant->held = NULL;
    return 2;
}

static unsigned
change_release(struct plant *plant, sim_frame *frame)
{
    if (plant->kind == PLANT_RELEASE_TOO_MANY && now(plant, 2))
        frame->release->count++;
    if (plant->kind == PLANT_RELEASE_TOO_FEW && now(plant, 2) && --frame->release->count == 0)
        return drop(frame);
    return 1;
}

static unsigned
change_credit(struct plant *plant, sim_frame *frame, sim_frame *ret_frames[2])
{
    if (plant->kind == PLANT_CREDIT_LOST && now(plant, 2))
        return drop(frame);
    if (plant->kind == PLANT_CREDIT_TWICE && now(plant, 4))
        return twice(frame, ret_frames);
    return 1;
}

static unsigned
eat_return(struct plant *plant, sim_frame *frame)
{
    for (size_t i = 0; i < sizeof plant->cancelled / sizeof plant->cancelled[0]; i++)
        if (plant->cancelled[i] == frame->return_->call) {
            plant->cancelled[i] = 0;
            plant->planted++;
            return drop(frame);
        }
    return 1;
}

static unsigned
change_return(struct plant *plant, sim_frame *frame, sim_frame *ret_frames[2])
{
    Afar__Session__V1__Return *answer = frame->return_;

    if (plant->kind == PLANT_RETURN_LOST && now(plant, 8))
        return drop(frame);
    if (plant->kind == PLANT_RETURN_DOUBLED && now(plant, 8))
        return twice(frame, ret_frames);
    if (plant->kind == PLANT_CANCEL_EATS_RETURN)
        return eat_return(plant, frame);
    if (plant->kind == PLANT_NOT_BEGUN_FALSELY && answer->code != 0 && !answer->not_begun)
        answer->not_begun = now(plant, 2);
    if (plant->kind == PLANT_RETURN_FORGETS_REFERENCES && answer->n_references > 1 &&
        now(plant, 1)) {
        Afar__Session__V1__Reference *first = answer->references[0];

        answer->references[0] = answer->references[1];
        answer->references[1] = first;
    }
    return 1;
}

static unsigned
change_item(struct plant *plant, sim_frame *frame, sim_frame *ret_frames[2])
{
    if (plant->kind == PLANT_ITEM_DROPPED && now(plant, 8))
        return drop(frame);
    if (plant->kind == PLANT_ITEMS_SWAPPED &&
        (!plant->held || (plant->held->item->call == frame->item->call &&
                          plant->held->item->to_caller == frame->item->to_caller)))
        return swap(plant, frame, ret_frames);
    return let_go(plant, frame, ret_frames);
}

static unsigned
change_call(struct plant *plant, const struct tap *tap, int from, sim_frame *frame,
            sim_frame *ret_frames[2])
{
    const Afar__Session__V1__Target *target = frame->call->target;

    if (plant->kind == PLANT_ID_REUSED_EARLY && tap->sides[from].open > 0 && now(plant, 8))
        frame->call->id = frame->call->id > 1 ? frame->call->id - 1 : frame->call->id + 1;
    if (plant->kind == PLANT_CALL_RUNS_TWICE && now(plant, 16))
        return twice(frame, ret_frames);
    if (plant->kind == PLANT_PROMISED_OVERTAKES &&
        target->kind_case == AFAR__SESSION__V1__TARGET__KIND_PROMISED &&
        (!plant->held || plant->held->call->target->promised->call == target->promised->call))
        return swap(plant, frame, ret_frames);
    return let_go(plant, frame, ret_frames);
}

static void
change_goodbye(struct plant *plant, Afar__Session__V1__Goodbye *goodbye)
{
    if (plant->kind == PLANT_LAST_CALL_TOO_LOW && goodbye->last_call > 0 && now(plant, 1))
        goodbye->last_call--;
    if (plant->kind == PLANT_LAST_CALL_TOO_HIGH && now(plant, 1))
        goodbye->last_call++;
}

/* Remembers whose Return the other direction is to lose. */
static void
see_cancel(struct plant *plant, uint32_t call)
{
    for (size_t i = 0; i < sizeof plant->cancelled / sizeof plant->cancelled[0]; i++)
        if (plant->cancelled[i] == 0) {
            plant->cancelled[i] = call;
            return;
        }
}

unsigned
plant_change(struct plant *plant, const struct tap *tap, int from, sim_frame *frame,
             sim_frame *ret_frames[2])
{
    ret_frames[0] = frame;
    switch (frame->kind_case) {
    case FRAME(RELEASE):
        return change_release(plant, frame);
    case FRAME(CREDIT):
        return change_credit(plant, frame, ret_frames);
    case FRAME(RETURN):
        return change_return(plant, frame, ret_frames);
    case FRAME(ITEM):
        return change_item(plant, frame, ret_frames);
    case FRAME(CALL):
        return change_call(plant, tap, from, frame, ret_frames);
    case FRAME(PONG):
        return plant->kind == PLANT_PONG_LOST && now(plant, 2) ? drop(frame) : 1;
    case FRAME(END):
        return let_go(plant, frame, ret_frames);
    case FRAME(GOODBYE):
        change_goodbye(plant, frame->goodbye);
        return let_go(plant, frame, ret_frames);
    default:
        return 1;
    }
}

void
plant_clear(struct plant *plant)
{
    if (plant->held)
        afar__session__v1__frame__free_unpacked(plant->held, NULL);
    plant->held = NULL;
}

const char *
plant_name(enum plant_kind kind)
{
    static const char *const names[PLANT_KINDS] = {
        "none",
        "release_too_few",
        "release_too_many",
        "id_reused_early",
        "return_lost",
        "return_doubled",
        "return_mixes_references",
        "credit_lost",
        "credit_twice",
        "item_dropped",
        "items_swapped",
        "cancel_eats_return",
        "last_call_too_low",
        "last_call_too_high",
        "promised_overtakes",
        "not_begun_falsely",
        "call_runs_twice",
        "end_early",
        "pong_lost",
    };

    return names[kind];
}
