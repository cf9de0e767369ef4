/* What wire.h says.  A frame is unpacked when it is put, shown to the tap as
 * sent, and shown again as arrived when it is taken. */

#include "wire.h"

#include <stdlib.h>

struct wire_frame {
    sim_frame *frame;
    int64_t due_us;
    struct wire_frame *next;
};

static void
append(struct wire *wire, sim_frame *frame, int64_t now_us)
{
    struct wire_frame *entry = calloc(1, sizeof *entry);

    if (!entry)
        abort();
    entry->frame = frame;
    entry->due_us = now_us;
    if (wire->slowest_us > 0)
        entry->due_us += (int64_t)random_below(wire->random, (size_t)wire->slowest_us);
    if (wire->last && entry->due_us < wire->last->due_us)
        entry->due_us = wire->last->due_us;
    if (wire->last)
        wire->last->next = entry;
    else
        wire->first = entry;
    wire->last = entry;
}

static void
put_frame(struct wire *wire, sim_frame *frame, int64_t now_us)
{
    sim_frame *frames[2] = { frame, NULL };
    unsigned count = 1;

    if (wire->plant && wire->plant->kind != PLANT_NONE)
        count = plant_change(wire->plant, wire->tap, wire->from, frame, frames);
    for (unsigned i = 0; i < count; i++) {
        tap_sent(wire->tap, wire->from, frames[i]);
        if (wire->cut)
            afar__session__v1__frame__free_unpacked(frames[i], NULL);
        else
            append(wire, frames[i], now_us);
    }
}

bool
wire_put(struct wire *wire, const uint8_t *data, size_t length, int64_t now_us)
{
    Afar__Session__V1__Batch *batch = afar__session__v1__batch__unpack(NULL, length, data);

    if (!batch)
        return false;
    if (afar__session__v1__batch__get_packed_size(batch) != length) {
        afar__session__v1__batch__free_unpacked(batch, NULL);
        return false;
    }
    for (size_t i = 0; i < batch->n_frames; i++) {
        put_frame(wire, batch->frames[i], now_us);
        batch->frames[i] = NULL;
    }
    batch->n_frames = 0;
    afar__session__v1__batch__free_unpacked(batch, NULL);
    return true;
}

static sim_frame *
shift(struct wire *wire)
{
    struct wire_frame *entry = wire->first;
    sim_frame *frame = entry->frame;

    wire->first = entry->next;
    if (!wire->first)
        wire->last = NULL;
    free(entry);
    return frame;
}

static void
wire_empty(struct wire *wire)
{
    while (wire->first)
        afar__session__v1__frame__free_unpacked(shift(wire), NULL);
}

int64_t
wire_next(const struct wire *wire)
{
    if (!wire->first)
        return INT64_MAX;
    return wire->first->due_us > wire->stalled_us ? wire->first->due_us : wire->stalled_us;
}

uint8_t *
wire_take(struct wire *wire, int64_t now_us, size_t *ret_length)
{
    Afar__Session__V1__Batch batch = AFAR__SESSION__V1__BATCH__INIT;
    sim_frame *frames[32];
    size_t most = 1 + random_below(wire->random, 32);
    uint8_t *data;

    batch.frames = frames;
    while (batch.n_frames < most && wire_next(wire) <= now_us) {
        frames[batch.n_frames] = shift(wire);
        tap_arrived(wire->tap, wire->from, frames[batch.n_frames++]);
    }
    if (batch.n_frames == 0)
        return NULL;
    *ret_length = afar__session__v1__batch__get_packed_size(&batch);
    data = malloc(*ret_length + 1);
    if (!data)
        abort();
    afar__session__v1__batch__pack(&batch, data);
    for (size_t i = 0; i < batch.n_frames; i++)
        afar__session__v1__frame__free_unpacked(frames[i], NULL);
    return data;
}

void
wire_cut(struct wire *wire, unsigned kept)
{
    struct wire_frame *entry = wire->first;
    struct wire lost = { .first = NULL };

    wire->cut = true;
    if (kept == 0) {
        wire_empty(wire);
        return;
    }
    while (entry && --kept > 0)
        entry = entry->next;
    if (!entry)
        return;
    lost.first = entry->next;
    entry->next = NULL;
    wire->last = entry;
    wire_empty(&lost);
}

void
wire_close(struct wire *wire)
{
    wire_empty(wire);
    if (wire->plant)
        plant_clear(wire->plant);
}
