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

/* It waits for a frame that overtakes it. */
static unsigned
hold(struct plant *plant, sim_frame *frame)
{
    plant->held = frame;
    return 0;
}

/* What was held comes behind the one that follows it, or before it as it should. */
static unsigned
let_go(struct plant *plant, bool overtaken, sim_frame *frame, sim_frame *ret_frames[2])
{
    ret_frames[overtaken ? 0 : 1] = frame;
    ret_frames[overtaken ? 1 : 0] = plant->held;
    plant->held = NULL;
    plant->planted += overtaken;
    return 2;
}

static unsigned
change_release(struct plant *plant, struct tap *tap, int from, sim_frame *frame)
{
    uint32_t early = tap_on_its_way(tap, 1 - from);

    if (plant->kind == PLANT_RELEASE_TOO_MANY && now(plant, 2))
        frame->release->count++;
    if (plant->kind == PLANT_RELEASE_TOO_FEW && now(plant, 2) && --frame->release->count == 0)
        return drop(frame);
    if (plant->kind == PLANT_RELEASE_EARLY && early && now(plant, 1)) {
        frame->release->export_ = early;
        frame->release->count = 1;
    }
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

/* An object gets the id of another one that the peer still has. */
static void
change_references(struct plant *plant, const struct tap *tap, int from, size_t count,
                  Afar__Session__V1__Reference **references)
{
    for (size_t i = 0; i < count && plant->kind == PLANT_EXPORT_FREED_EARLY; i++)
        if (references[i]->kind_case == AFAR__SESSION__V1__REFERENCE__KIND_HOSTED) {
            uint32_t other = tap_other_export(tap, from, references[i]->hosted->id);

            if (other && now(plant, 4))
                references[i]->hosted->id = other;
        }
}

static unsigned
change_return(struct plant *plant, struct tap *tap, int from, sim_frame *frame,
              sim_frame *ret_frames[2])
{
    Afar__Session__V1__Return *answer = frame->return_;
    bool cancelled = tap_cancelled(tap, 1 - from, answer->call);

    change_references(plant, tap, from, answer->n_references, answer->references);
    if (plant->kind == PLANT_RETURN_LOST && now(plant, 8))
        return drop(frame);
    if (plant->kind == PLANT_RETURN_DOUBLED && now(plant, 8))
        return twice(frame, ret_frames);
    if (plant->kind == PLANT_CANCEL_EATS_RETURN && cancelled && now(plant, 2))
        return drop(frame);
    if (plant->kind == PLANT_CANCELLED_ANSWERS_TWICE && cancelled && now(plant, 2))
        return twice(frame, ret_frames);
    if (plant->kind == PLANT_NOT_BEGUN_FALSELY && answer->code != 0 && !answer->not_begun)
        answer->not_begun = now(plant, 2);
    if (plant->kind == PLANT_RETURN_MIXES_REFERENCES && answer->n_references > 1 && now(plant, 1)) {
        Afar__Session__V1__Reference *first = answer->references[0];

        answer->references[0] = answer->references[1];
        answer->references[1] = first;
    }
    return 1;
}

static unsigned
change_item(struct plant *plant, struct tap *tap, int from, sim_frame *frame)
{
    change_references(plant, tap, from, frame->item->n_references, frame->item->references);
    if (plant->kind == PLANT_ITEM_DROPPED && now(plant, 8))
        return drop(frame);
    if (plant->kind == PLANT_INITIAL_LOST && frame->item->n_initial == 1 && now(plant, 4)) {
        afar__session__v1__pair__free_unpacked(frame->item->initial[0], NULL);
        frame->item->n_initial = 0;
    }
    if (plant->kind == PLANT_ITEMS_SWAPPED || plant->kind == PLANT_END_EARLY)
        return hold(plant, frame);
    return 1;
}

static unsigned
change_call(struct plant *plant, struct tap *tap, int from, sim_frame *frame,
            sim_frame *ret_frames[2])
{
    const Afar__Session__V1__Target *target = frame->call->target;

    change_references(plant, tap, from, frame->call->n_references, frame->call->references);
    if (plant->kind == PLANT_ID_REUSED_EARLY && tap->sides[from].open > 0 && now(plant, 8))
        frame->call->id = frame->call->id > 1 ? frame->call->id - 1 : frame->call->id + 1;
    if (plant->kind == PLANT_CALL_RUNS_TWICE && now(plant, 16))
        return twice(frame, ret_frames);
    if (plant->kind == PLANT_PROMISED_OVERTAKES &&
        target->kind_case == AFAR__SESSION__V1__TARGET__KIND_PROMISED)
        return hold(plant, frame);
    return 1;
}

/* Whether `frame` may not come before the one that is held, and does. */
static bool
overtakes(const struct plant *plant, const sim_frame *frame)
{
    const sim_frame *held = plant->held;

    if (plant->kind == PLANT_PROMISED_OVERTAKES)
        return frame->kind_case == FRAME(CALL) &&
               frame->call->target->kind_case == AFAR__SESSION__V1__TARGET__KIND_PROMISED &&
               frame->call->target->promised->call == held->call->target->promised->call;
    if (plant->kind == PLANT_END_EARLY)
        return frame->kind_case == FRAME(END) && !held->item->to_caller &&
               frame->end->call == held->item->call;
    return frame->kind_case == FRAME(ITEM) && frame->item->call == held->item->call &&
           frame->item->to_caller == held->item->to_caller;
}

static void
change_goodbye(struct plant *plant, Afar__Session__V1__Goodbye *goodbye)
{
    if (plant->kind == PLANT_LAST_CALL_TOO_LOW && goodbye->last_call > 0 && now(plant, 1))
        goodbye->last_call--;
    if (plant->kind == PLANT_LAST_CALL_TOO_HIGH && now(plant, 1))
        goodbye->last_call++;
}

unsigned
plant_change(struct plant *plant, struct tap *tap, int from, sim_frame *frame,
             sim_frame *ret_frames[2])
{
    ret_frames[0] = frame;
    if (plant->held)
        return let_go(plant, overtakes(plant, frame), frame, ret_frames);
    switch (frame->kind_case) {
    case FRAME(RELEASE):
        return change_release(plant, tap, from, frame);
    case FRAME(CREDIT):
        return change_credit(plant, frame, ret_frames);
    case FRAME(RETURN):
        return change_return(plant, tap, from, frame, ret_frames);
    case FRAME(ITEM):
        return change_item(plant, tap, from, frame);
    case FRAME(CALL):
        return change_call(plant, tap, from, frame, ret_frames);
    case FRAME(PONG):
        return plant->kind == PLANT_PONG_LOST && now(plant, 2) ? drop(frame) : 1;
    case FRAME(FINISH):
        return plant->kind == PLANT_FINISH_LOST && now(plant, 2) ? drop(frame) : 1;
    case FRAME(GOODBYE):
        change_goodbye(plant, frame->goodbye);
        return 1;
    default:
        return 1;
    }
}

bool
plant_reuses_handle(struct plant *plant)
{
    return plant->kind == PLANT_HANDLE_REUSED && now(plant, 1);
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
        "release_early",
        "export_freed_early",
        "id_reused_early",
        "return_lost",
        "return_doubled",
        "return_mixes_references",
        "credit_lost",
        "credit_twice",
        "item_dropped",
        "items_swapped",
        "initial_lost",
        "cancel_eats_return",
        "cancelled_answers_twice",
        "finish_lost",
        "last_call_too_low",
        "last_call_too_high",
        "promised_overtakes",
        "not_begun_falsely",
        "call_runs_twice",
        "end_early",
        "pong_lost",
        "handle_reused",
    };

    return names[kind];
}
