/* What tap.h says.  Each rule of session.proto is one `wrong`, and is checked with what
 * the sender can know at that time: all it sent, and all that has arrived at it. */

#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST(message) ((int64_t)protobuf_c_message_get_packed_size(&(message)->base) + 64)
#define METADATA_MAX 8192
#define SLOTS_MAX (1u << 20)

struct tap_call {
    bool known;     /* the id was used at some time */
    bool open;      /* the id is not free at the caller */
    bool begun;     /* the Call was read at the answering side */
    bool answered;  /* the Return was sent */
    bool cancelled; /* a Cancel was read before that */
    bool returned;  /* it was read at the caller */
    bool keep;
    bool oneway;
    bool finished;     /* Finish was sent */
    bool ended;        /* End was sent */
    bool said;         /* an Item to the caller was sent */
    int64_t credit[2]; /* of the stream: to the answering side, and to_caller */
    uint64_t read[2];
    uint64_t given[2];
};

struct tap_export {
    uint64_t sent; /* references given out, ever */
    uint64_t read; /* and of those, arrived */
    uint64_t released;
    uint64_t taken_back; /* releases that arrived */
};

__attribute__((format(printf, 3, 4))) static void
wrong(struct tap *tap, int from, const char *format, ...)
{
    char text[200];
    va_list list;

    if (tap->wrong[0])
        return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    snprintf(tap->wrong, sizeof tap->wrong, "side %d: %s", from, text);
}

/* Room for `slot` in an array that begins as zeroes. */
static void *
slot_of(void *array, size_t *slots, size_t size, size_t slot)
{
    size_t count = *slots ? *slots : 16;
    char *grown = array;

    if (slot >= SLOTS_MAX)
        abort();
    while (count <= slot)
        count *= 2;
    if (count > *slots) {
        grown = realloc(array, count * size);
        if (!grown)
            abort();
        memset(grown + *slots * size, 0, (count - *slots) * size);
        *slots = count;
    }
    return grown;
}

static struct tap_call *
call_of(struct tap_side *side, uint32_t id)
{
    side->calls = slot_of(side->calls, &side->call_slots, sizeof *side->calls, id);
    return &side->calls[id];
}

static struct tap_export *
export_of(struct tap_side *side, uint32_t id)
{
    side->exports = slot_of(side->exports, &side->export_slots, sizeof *side->exports, id);
    return &side->exports[id];
}

static void
free_if_over(struct tap_side *caller, struct tap_call *call)
{
    if (!call->open || !call->returned || (call->keep && !call->finished))
        return;
    call->open = false;
    caller->open--;
}

static uint32_t
given_or(uint32_t value, uint32_t usual)
{
    return value ? value : usual;
}

static void
read_limits(struct tap_side *side, const Afar__Session__V1__Limits *limits)
{
    static const Afar__Session__V1__Limits none = AFAR__SESSION__V1__LIMITS__INIT;

    if (!limits)
        limits = &none;
    side->limits.calls = given_or(limits->calls, 1000);
    side->limits.references = given_or(limits->references, 1000000);
    side->limits.message_bytes = given_or(limits->message_bytes, 4194304);
    side->limits.window_bytes = given_or(limits->window_bytes, 65536);
    side->limits.session_bytes = given_or(limits->session_bytes, 1048576);
    side->limits.methods = given_or(limits->methods, 10000);
    side->limits.idle_ms = given_or(limits->idle_ms, 10000);
    side->limits.dead_ms = given_or(limits->dead_ms, 30000);
}

/* ---- what is sent ---- */

/* The references of one payload. */
static void
references_sent(struct tap *tap, int from, size_t count, Afar__Session__V1__Reference **list)
{
    struct tap_side *own = &tap->sides[from];
    struct tap_side *peer = &tap->sides[1 - from];

    for (size_t i = 0; i < count; i++) {
        const Afar__Session__V1__Reference *reference = list[i];

        if (reference->kind_case == AFAR__SESSION__V1__REFERENCE__KIND_HOSTED) {
            if (reference->hosted->id == 0 || reference->hosted->id > peer->limits.references)
                wrong(tap, from, "hosts an object as %u, the limit is %u", reference->hosted->id,
                      peer->limits.references);
            export_of(own, reference->hosted->id)->sent++;
        } else if (reference->kind_case == AFAR__SESSION__V1__REFERENCE__KIND_YOURS) {
            struct tap_export *export = export_of(peer, reference->yours);

            if (export->read <= export->released)
                wrong(tap, from, "sends home export %u, which it does not have", reference->yours);
        } else if (reference->kind_case == AFAR__SESSION__V1__REFERENCE__KIND__NOT_SET) {
            wrong(tap, from, "sends a reference that is none");
        }
    }
}

static void
payload_sent(struct tap *tap, int from, size_t length)
{
    if (length > tap->sides[1 - from].limits.message_bytes)
        wrong(tap, from, "a payload of %zu bytes, the limit is %u", length,
              tap->sides[1 - from].limits.message_bytes);
}

static void
session_credit_spent(struct tap *tap, int from, int64_t cost)
{
    struct tap_side *own = &tap->sides[from];

    if (own->credit <= 0)
        wrong(tap, from, "a call or an item with %lld bytes of credit", (long long)own->credit);
    own->credit -= cost;
}

static void
target_sent(struct tap *tap, int from, const Afar__Session__V1__Target *target)
{
    struct tap_side *own = &tap->sides[from];

    if (!target) {
        wrong(tap, from, "a call without a target");
    } else if (target->kind_case == AFAR__SESSION__V1__TARGET__KIND_EXPORT) {
        struct tap_export *export = export_of(&tap->sides[1 - from], target->export_);

        if (export->read <= export->released)
            wrong(tap, from, "calls export %u, which it does not have", target->export_);
    } else if (target->kind_case == AFAR__SESSION__V1__TARGET__KIND_PROMISED) {
        struct tap_call *call = call_of(own, target->promised->call);

        if (!call->open || !call->keep || call->finished)
            wrong(tap, from, "a target promised by call %u, which is not kept",
                  target->promised->call);
        if (target->promised->n_path > 16)
            wrong(tap, from, "a path of %zu fields", target->promised->n_path);
    } else if (target->kind_case != AFAR__SESSION__V1__TARGET__KIND_NAME) {
        wrong(tap, from, "a target that is none");
    }
}

static void
call_sent(struct tap *tap, int from, const Afar__Session__V1__Call *call)
{
    struct tap_side *own = &tap->sides[from];
    struct tap_side *peer = &tap->sides[1 - from];
    struct tap_call *slot;
    size_t metadata = 0;

    target_sent(tap, from, call->target);
    slot = call_of(own, call->id);
    if (call->id == 0 || call->id > peer->limits.calls || slot->open)
        wrong(tap, from, "call %u, the limit is %u%s", call->id, peer->limits.calls,
              slot->open ? " and the id is in use" : "");
    if (own->goodbye)
        wrong(tap, from, "call %u after its Goodbye", call->id);
    memset(slot, 0, sizeof *slot);
    slot->known = slot->open = true;
    slot->keep = call->keep;
    slot->oneway = call->oneway;
    slot->credit[0] = peer->limits.window_bytes;
    slot->credit[1] = own->limits.window_bytes;
    own->calls_sent++;
    if (++own->open > peer->limits.calls)
        wrong(tap, from, "%u calls at a time, the limit is %u", own->open, peer->limits.calls);
    if (call->method == 0 || call->method > own->methods)
        wrong(tap, from, "call %u has method %u, which has no path", call->id, call->method);
    if (call->n_chain > 16)
        wrong(tap, from, "a chain of %zu calls", call->n_chain);
    for (size_t i = 0; i < call->n_metadata; i++)
        metadata += strlen(call->metadata[i]->key) + call->metadata[i]->value.len + 32;
    if (metadata > METADATA_MAX)
        wrong(tap, from, "%zu bytes of metadata", metadata);
    payload_sent(tap, from, call->payload.len);
    session_credit_spent(tap, from, COST(call));
    references_sent(tap, from, call->n_references, call->references);
}

static void
return_sent(struct tap *tap, int from, const Afar__Session__V1__Return *answer)
{
    struct tap_call *slot = call_of(&tap->sides[1 - from], answer->call);

    if (!slot->begun || slot->answered)
        wrong(tap, from, "%s Return for call %u", slot->answered ? "a second" : "a", answer->call);
    slot->answered = true;
    if (slot->said && answer->n_initial > 0)
        wrong(tap, from, "initial metadata of call %u behind its items", answer->call);
    if (answer->code == 0 && (answer->text[0] || answer->not_begun))
        wrong(tap, from, "call %u succeeds with a text, or without having begun", answer->call);
    if (answer->payload.len > 0 && (answer->code != 0 || slot->oneway))
        wrong(tap, from, "a reply of call %u that it cannot have", answer->call);
    payload_sent(tap, from, answer->payload.len);
    references_sent(tap, from, answer->n_references, answer->references);
}

static void
item_sent(struct tap *tap, int from, const Afar__Session__V1__Item *item)
{
    struct tap_call *slot = call_of(&tap->sides[item->to_caller ? 1 - from : from], item->call);
    bool over = item->to_caller ? !slot->begun || slot->answered
                                : !slot->open || slot->returned || slot->ended;

    if (over)
        wrong(tap, from, "an Item of call %u, in a direction that is over", item->call);
    if (slot->credit[item->to_caller] <= 0)
        wrong(tap, from, "an Item of call %u with %lld bytes of credit", item->call,
              (long long)slot->credit[item->to_caller]);
    slot->credit[item->to_caller] -= COST(item);
    if (item->n_initial > 0 && (!item->to_caller || slot->said))
        wrong(tap, from, "initial metadata of call %u, which is not the first", item->call);
    slot->said |= item->to_caller;
    payload_sent(tap, from, item->payload.len);
    session_credit_spent(tap, from, COST(item));
    references_sent(tap, from, item->n_references, item->references);
}

static void
finish_sent(struct tap *tap, int from, uint32_t id)
{
    struct tap_call *slot = call_of(&tap->sides[from], id);

    if (!slot->open || !slot->keep || slot->finished)
        wrong(tap, from, "Finish of call %u, which is not kept", id);
    slot->finished = true;
    free_if_over(&tap->sides[from], slot);
}

static void
end_sent(struct tap *tap, int from, uint32_t id)
{
    struct tap_call *slot = call_of(&tap->sides[from], id);

    if (!slot->open || slot->ended || slot->returned)
        wrong(tap, from, "End of call %u, which is over", id);
    slot->ended = true;
}

static void
release_sent(struct tap *tap, int from, const Afar__Session__V1__Release *release)
{
    struct tap_export *export = export_of(&tap->sides[1 - from], release->export_);

    if (release->count == 0)
        wrong(tap, from, "a release of nothing");
    if (release->count > export->read - export->released)
        wrong(tap, from, "releases %u of export %u and has %llu", release->count, release->export_,
              (unsigned long long)(export->read - export->released));
    else
        export->released += release->count;
}

/* Credit is never more than what was taken. */
static void
credit_sent(struct tap *tap, int from, const Afar__Session__V1__Credit *credit)
{
    struct tap_side *caller = &tap->sides[credit->to_caller ? from : 1 - from];
    struct tap_side *payer = &tap->sides[1 - from];
    struct tap_call *slot = NULL;

    if (credit->call == 0) {
        payer->given += credit->bytes;
        if (payer->given > payer->read)
            wrong(tap, from, "%llu bytes of credit more than were spent",
                  (unsigned long long)(payer->given - payer->read));
        return;
    }
    slot = call_of(caller, credit->call);
    if (credit->to_caller ? !slot->known : !slot->begun || slot->answered)
        wrong(tap, from, "credit for call %u, which is over", credit->call);
    slot->given[credit->to_caller] += credit->bytes;
    if (slot->given[credit->to_caller] > slot->read[credit->to_caller])
        wrong(tap, from, "more credit for call %u than was spent", credit->call);
}

static void
goodbye_sent(struct tap *tap, int from, const Afar__Session__V1__Goodbye *goodbye)
{
    struct tap_side *own = &tap->sides[from];

    if (own->goodbye && goodbye->reason == AFAR__SESSION__V1__GOODBYE__REASON__NONE)
        wrong(tap, from, "a second Goodbye");
    own->goodbye = true;
    own->gone = goodbye->reason != AFAR__SESSION__V1__GOODBYE__REASON__NONE;
    own->last_call = goodbye->last_call;
    if (goodbye->last_call > tap->sides[1 - from].calls_read)
        wrong(tap, from, "Goodbye: %llu calls read, but there were %llu",
              (unsigned long long)goodbye->last_call,
              (unsigned long long)tap->sides[1 - from].calls_read);
    if (own->gone && goodbye->reason != AFAR__SESSION__V1__GOODBYE__REASON__SILENCE)
        wrong(tap, from, "Goodbye %d: %s", (int)goodbye->reason, goodbye->text);
}

static void
hello_sent(struct tap *tap, int from, const Afar__Session__V1__Hello *hello)
{
    struct tap_side *own = &tap->sides[from];

    if (own->hello_sent)
        wrong(tap, from, "a second Hello");
    own->hello_sent = true;
    if (hello->lowest == 0 || hello->lowest > hello->highest || hello->instance.len != 16)
        wrong(tap, from, "a Hello without versions or instance");
    read_limits(own, hello->limits);
    tap->sides[1 - from].credit = own->limits.session_bytes;
}

static void
ping_sent(struct tap *tap, int from, uint64_t number)
{
    struct tap_side *own = &tap->sides[from];

    if (own->ping_open)
        wrong(tap, from, "a second Ping at a time");
    own->ping_open = true;
    own->ping = number;
}

static void
pong_sent(struct tap *tap, int from, uint64_t number)
{
    struct tap_side *own = &tap->sides[from];

    if (!own->pong_due || number != tap->sides[1 - from].ping)
        wrong(tap, from, "a Pong that nobody asked for");
    own->pong_due = false;
}

static void
method_sent(struct tap *tap, int from, const Afar__Session__V1__Method *method)
{
    struct tap_side *own = &tap->sides[from];

    if (method->number != ++own->methods)
        wrong(tap, from, "method %u after %u", method->number, own->methods - 1);
    if (own->methods > tap->sides[1 - from].limits.methods)
        wrong(tap, from, "%u methods", own->methods);
    if (strlen(method->path) > 512)
        wrong(tap, from, "a path that is too long");
}

/* Frames whose sender must still be allowed to send. */
static bool
may_send(struct tap *tap, int from, const sim_frame *frame)
{
    struct tap_side *own = &tap->sides[from];

    if (own->gone)
        wrong(tap, from, "frame %d after the last Goodbye", (int)frame->kind_case);
    if (frame->kind_case == FRAME(HELLO) || frame->kind_case == FRAME(GOODBYE))
        return true;
    if (!own->hello_sent || !own->hello_arrived)
        wrong(tap, from, "frame %d before Hello", (int)frame->kind_case);
    return !tap->wrong[0];
}

void
tap_sent(struct tap *tap, int from, const sim_frame *frame)
{
    tap->frames++;
    if (!may_send(tap, from, frame))
        return;
    switch (frame->kind_case) {
    case FRAME(HELLO):
        hello_sent(tap, from, frame->hello);
        break;
    case FRAME(CALL):
        call_sent(tap, from, frame->call);
        break;
    case FRAME(RETURN):
        return_sent(tap, from, frame->return_);
        break;
    case FRAME(CANCEL):
        if (!call_of(&tap->sides[from], frame->cancel->call)->known)
            wrong(tap, from, "Cancel of call %u, which never was", frame->cancel->call);
        break;
    case FRAME(FINISH):
        finish_sent(tap, from, frame->finish->call);
        break;
    case FRAME(ITEM):
        item_sent(tap, from, frame->item);
        break;
    case FRAME(END):
        end_sent(tap, from, frame->end->call);
        break;
    case FRAME(RELEASE):
        release_sent(tap, from, frame->release);
        break;
    case FRAME(CREDIT):
        credit_sent(tap, from, frame->credit);
        break;
    case FRAME(PING):
        ping_sent(tap, from, frame->ping->number);
        break;
    case FRAME(PONG):
        pong_sent(tap, from, frame->pong->number);
        break;
    case FRAME(GOODBYE):
        goodbye_sent(tap, from, frame->goodbye);
        break;
    case FRAME(METHOD):
        method_sent(tap, from, frame->method);
        break;
    case FRAME(UNKNOWN):
        if (tap->sides[from].unknown_due-- == 0)
            wrong(tap, from, "Unknown for a frame that is known");
        break;
    default:
        break;
    }
}

/* ---- what arrives ---- */

static void
references_arrived(struct tap *tap, int from, size_t count, Afar__Session__V1__Reference **list)
{
    for (size_t i = 0; i < count; i++)
        if (list[i]->kind_case == AFAR__SESSION__V1__REFERENCE__KIND_HOSTED)
            export_of(&tap->sides[from], list[i]->hosted->id)->read++;
}

static void
return_arrived(struct tap *tap, int from, const Afar__Session__V1__Return *answer)
{
    struct tap_side *caller = &tap->sides[1 - from];
    struct tap_call *slot = call_of(caller, answer->call);

    slot->returned = true;
    free_if_over(caller, slot);
    references_arrived(tap, from, answer->n_references, answer->references);
}

static void
credit_arrived(struct tap *tap, int from, const Afar__Session__V1__Credit *credit)
{
    struct tap_side *caller = &tap->sides[credit->to_caller ? from : 1 - from];

    if (credit->call == 0)
        tap->sides[1 - from].credit += credit->bytes;
    else
        call_of(caller, credit->call)->credit[credit->to_caller] += credit->bytes;
}

static void
item_arrived(struct tap *tap, int from, const Afar__Session__V1__Item *item)
{
    struct tap_side *caller = &tap->sides[item->to_caller ? 1 - from : from];
    struct tap_call *slot = call_of(caller, item->call);

    slot->read[item->to_caller] += (uint64_t)COST(item);
    tap->sides[from].read += (uint64_t)COST(item);
    references_arrived(tap, from, item->n_references, item->references);
}

static void
release_arrived(struct tap *tap, int from, const Afar__Session__V1__Release *release)
{
    struct tap_export *export = export_of(&tap->sides[1 - from], release->export_);

    export->taken_back += release->count;
    if (export->taken_back > export->sent)
        wrong(tap, from, "export %u was released too often", release->export_);
}

void
tap_arrived(struct tap *tap, int from, const sim_frame *frame)
{
    struct tap_side *own = &tap->sides[from];
    struct tap_side *reader = &tap->sides[1 - from];

    switch (frame->kind_case) {
    case FRAME(HELLO):
        reader->hello_arrived = true;
        break;
    case FRAME(CALL):
        call_of(own, frame->call->id)->begun = true;
        own->calls_read++;
        own->read += (uint64_t)COST(frame->call);
        references_arrived(tap, from, frame->call->n_references, frame->call->references);
        break;
    case FRAME(RETURN):
        return_arrived(tap, from, frame->return_);
        break;
    case FRAME(CANCEL):
        call_of(own, frame->cancel->call)->cancelled = true;
        break;
    case FRAME(ITEM):
        item_arrived(tap, from, frame->item);
        break;
    case FRAME(RELEASE):
        release_arrived(tap, from, frame->release);
        break;
    case FRAME(CREDIT):
        credit_arrived(tap, from, frame->credit);
        break;
    case FRAME(PING):
        reader->pong_due = true;
        break;
    case FRAME(PONG):
        reader->ping_open = false;
        break;
    case AFAR__SESSION__V1__FRAME__KIND__NOT_SET:
        if (!frame->may_ignore)
            reader->unknown_due++;
        break;
    default:
        break;
    }
}

void
tap_open(struct tap *tap)
{
    memset(tap, 0, sizeof *tap);
}

void
tap_close(struct tap *tap)
{
    for (int i = 0; i < 2; i++) {
        free(tap->sides[i].calls);
        free(tap->sides[i].exports);
    }
}

bool
tap_cancelled(struct tap *tap, int caller, uint32_t id)
{
    const struct tap_call *call = call_of(&tap->sides[caller], id);

    return call->cancelled && !call->answered;
}

uint32_t
tap_on_its_way(const struct tap *tap, int owner)
{
    const struct tap_side *side = &tap->sides[owner];

    for (uint32_t id = 1; id < side->export_slots; id++)
        if (side->exports[id].sent > side->exports[id].read &&
            side->exports[id].read == side->exports[id].released)
            return id;
    return 0;
}

uint32_t
tap_other_export(const struct tap *tap, int owner, uint32_t id)
{
    const struct tap_side *side = &tap->sides[owner];

    for (uint32_t other = 1; other < side->export_slots; other++)
        if (other != id && side->exports[other].read > side->exports[other].released)
            return other;
    return 0;
}

uint64_t
tap_references(const struct tap *tap, int owner)
{
    const struct tap_side *side = &tap->sides[owner];
    uint64_t count = 0;

    for (size_t i = 0; i < side->export_slots; i++)
        count += side->exports[i].sent - side->exports[i].taken_back;
    return count;
}
