/* What plant.h says. */

#include "plant.h"

#include "world.h"

bool
plant_is_on(const struct plant *plant)
{
    return plant->kind != PLANT_NONE;
}

bool
plant_now(struct plant *plant, enum plant_kind kind, unsigned one_in)
{
    if (plant->kind != kind || random_below(plant->random, one_in) != 0)
        return false;
    plant->planted++;
    return true;
}

/* ---- acts ---- */

/* The offer that was held back comes, before or behind this one. */
static unsigned
let_go(struct plant *plant, const afar__step *step, bool overtaken, afar__step *ret_steps)
{
    ret_steps[overtaken ? 0 : 1] = *step;
    ret_steps[overtaken ? 1 : 0] = plant->held;
    plant->holding = false;
    plant->planted += overtaken;
    return 2;
}

static unsigned
change_offer(struct plant *plant, unsigned link, const afar__step *step, afar__step *ret_steps)
{
    if (plant_now(plant, PLANT_OFFER_LOST, 16))
        return 0;
    if (plant->kind != PLANT_POSTS_SWAPPED || !step->parcel || plant->holding)
        return 1;
    plant_clear(plant);
    plant->held = *step;
    plant->parcel = sim_parcel_new(step->parcel->world, step->parcel->message, step->parcel->size);
    plant->held.parcel = plant->parcel;
    plant->holding = true;
    plant->link = link;
    (void)ret_steps;
    return 0;
}

static unsigned
change_deny(struct plant *plant, const struct tap *tap, afar__step *ret_steps)
{
    if (plant_now(plant, PLANT_DENY_LOST, 4))
        return 0;
    if (!tap->sends && plant_now(plant, PLANT_DONE_GRANTS, 2))
        ret_steps[0].kind = AFAR__STEP_GRANT;
    return 1;
}

static unsigned
change_act(struct plant *plant, const struct tap *tap, unsigned link, const afar__step *step,
           afar__step *ret_steps)
{
    if (plant->holding && plant->link == link)
        return let_go(plant, step, step->kind == AFAR__STEP_OFFER && step->parcel, ret_steps);
    switch (step->kind) {
    case AFAR__STEP_OFFER:
        return change_offer(plant, link, step, ret_steps);
    case AFAR__STEP_DENY:
        return change_deny(plant, tap, ret_steps);
    case AFAR__STEP_ACK:
        ret_steps[0].count += plant_now(plant, PLANT_ACK_TOO_MANY, 4);
        return plant_now(plant, PLANT_ACK_LOST, 4) ? 0 : 1;
    case AFAR__STEP_POISON:
        if (plant_now(plant, PLANT_POISON_TEXT, 1))
            ret_steps[0].text = "poison";
        return plant_now(plant, PLANT_POISON_LOST, 1) ? 0 : 1;
    default:
        return 1;
    }
}

/* ---- words ---- */

static unsigned
change_message(struct plant *plant, const afar__step *step, afar__step *ret_steps)
{
    uint32_t last = plant->last_message;

    plant->last_message = step->parcel->message;
    if (last != 0 && last != step->parcel->message && plant_now(plant, PLANT_MESSAGE_AGAIN, 8))
        step->parcel->message = last;
    if (step->ack && plant_now(plant, PLANT_TAKEN_EARLY, 2)) {
        ret_steps[0].ack = false;
        plant->ack_back = true;
    }
    return 1;
}

static unsigned
change_taken(struct plant *plant, const struct tap *tap, const afar__step *step,
             afar__step *ret_steps)
{
    if (plant_now(plant, PLANT_TAKEN_LOST, 8))
        return 0;
    if (step->count == 1 && tap_is_withdrawn(tap, step->number) &&
        plant_now(plant, PLANT_TAKEN_AS_WITHDRAWN, 1))
        ret_steps[0] = (afar__step){ .kind = AFAR__STEP_WITHDRAWN, .number = step->number };
    return 1;
}

static unsigned
change_word(struct plant *plant, const struct tap *tap, const afar__step *step,
            afar__step *ret_steps)
{
    switch (step->kind) {
    case AFAR__STEP_MESSAGE:
        return change_message(plant, step, ret_steps);
    case AFAR__STEP_TAKEN:
        return change_taken(plant, tap, step, ret_steps);
    case AFAR__STEP_CLAIM:
        if (tap_asked(tap, step->offer) && plant_now(plant, PLANT_WAITING_FALSE, 1)) {
            ret_steps[0] = (afar__step){ .kind = AFAR__STEP_WAITING, .number = step->offer };
            ret_steps[1] = *step;
            return 2;
        }
        return plant_now(plant, PLANT_CLAIM_LOST, 8) ? 0 : 1;
    case AFAR__STEP_RELEASE:
        return plant_now(plant, PLANT_RELEASE_LOST, 2) ? 0 : 1;
    case AFAR__STEP_WITHDRAWN:
        return plant_now(plant, PLANT_WITHDRAWN_LOST, 4) ? 0 : 1;
    case AFAR__STEP_UNKNOWN:
        if (plant_now(plant, PLANT_UNKNOWN_AS_TAKEN, 1))
            ret_steps[0] =
                (afar__step){ .kind = AFAR__STEP_TAKEN, .number = step->number, .count = 1 };
        return 1;
    case AFAR__STEP_ENDED:
        if (step->code == AFAR_LOST && plant_now(plant, PLANT_LOST_AS_ENDED, 1))
            ret_steps[0].code = AFAR_ENDED;
        return 1;
    default:
        return 1;
    }
}

unsigned
plant_change(struct plant *plant, const struct tap *tap, unsigned link, const afar__step *step,
             afar__step ret_steps[PLANT_STEPS])
{
    ret_steps[0] = *step;
    if (plant->kind == PLANT_NONE)
        return 1;
    if (step->kind < AFAR__STEP_TAKEN)
        return change_act(plant, tap, link, step, ret_steps);
    return change_word(plant, tap, step, ret_steps);
}

/* ---- owners ---- */

unsigned
plant_capacity(struct plant *plant, unsigned capacity)
{
    return capacity + (capacity > 0 && plant_now(plant, PLANT_CAPACITY, 1) ? 1u : 0u);
}

void
plant_process(struct plant *plant, unsigned channel, uint8_t process[16])
{
    if (plant->kind != PLANT_CLAIMS_UNORDERED || channel % 2 == 0)
        return;
    plant->planted++;
    for (unsigned i = 0; i < 16; i++)
        process[i] ^= 0xff;
}

void
plant_clear(struct plant *plant)
{
    if (!plant->holding && plant->parcel) {
        sim_parcel_drop(plant->parcel);
        plant->parcel = NULL;
    }
}

const char *
plant_name(enum plant_kind kind)
{
    static const char *const names[PLANT_KINDS] = {
        "none",
        "claims_unordered",
        "taken_early",
        "in_doubt_again",
        "done_grants",
        "message_again",
        "posts_swapped",
        "taken_as_withdrawn",
        "unknown_as_taken",
        "lost_as_ended",
        "loss_forgotten",
        "end_forgotten",
        "poison_text",
        "poison_lost",
        "capacity",
        "waiting_false",
        "offer_lost",
        "claim_lost",
        "deny_lost",
        "release_lost",
        "withdrawn_lost",
        "taken_lost",
        "ack_lost",
        "ack_too_many",
        "cut_unnoticed",
        "given_up_false",
        "unfair",
        "priority_ignored",
    };

    return names[kind];
}
