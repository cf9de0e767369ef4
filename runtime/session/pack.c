/* Frames from what the owner gives: checked, copied, and with their references counted.
 *
 * A frame that waits is one piece of memory: the struct, the arrays of pairs and references, and behind
 * them all bytes they point to.  First everything is checked and copied, then the references are
 * counted: up to there a failure has changed nothing, and a reference that cannot be
 * counted takes those before it back. */

#include <string.h>

#include "runtime/clock.h"
#include "runtime/session/parts.h"
#include "runtime/spare.h"

/* What is copied behind the struct. */
struct parts {
    const afar__session_pair *first, *second;
    size_t n_first, n_second;
    const afar__session_reference *references;
    size_t n_references;
    afar__session_span payload, a, b; /* a, b: whatever else the kind has */
};

/* What is left of that memory. */
struct room {
    afar__pair *pairs;
    afar__reference *references;
    uint8_t *bytes;
};

static size_t
pairs_bytes(const afar__session_pair *pairs, size_t count)
{
    size_t bytes = 0;

    for (size_t at = 0; at < count; at++)
        bytes += sizeof(afar__pair) + pairs[at].key.length + pairs[at].value.length;
    return bytes;
}

static size_t
parts_bytes(const struct parts *parts)
{
    size_t bytes = parts->payload.length + parts->a.length + parts->b.length;

    bytes += pairs_bytes(parts->first, parts->n_first);
    bytes += pairs_bytes(parts->second, parts->n_second);
    for (size_t at = 0; at < parts->n_references; at++) {
        const afar__session_reference *from = &parts->references[at];

        bytes += sizeof(afar__reference) + from->interface.length + from->address.length +
                 from->name.length + from->instance.length + from->key.length;
    }
    return bytes;
}

static afar__bytes
copy(struct room *room, afar__session_span span)
{
    afar__bytes bytes = { room->bytes, span.length };

    if (span.length)
        memcpy(room->bytes, span.data, span.length);
    room->bytes += span.length;
    return bytes;
}

static afar__list
copy_pairs(struct room *room, const afar__session_pair *pairs, size_t count)
{
    afar__list list = { .count = count, .items = room->pairs };

    for (size_t at = 0; at < count; at++) {
        afar__pair *pair = room->pairs++;

        pair->key = copy(room, pairs[at].key);
        pair->value = copy(room, pairs[at].value);
    }
    return list;
}

static afar__elsewhere
copy_elsewhere(struct room *room, const afar__session_reference *from)
{
    afar__elsewhere to;

    to.address = copy(room, from->address);
    to.name = copy(room, from->name);
    to.instance = copy(room, from->instance);
    to.key = copy(room, from->key);
    return to;
}

static afar__list
copy_references(struct room *room, const afar__session_reference *references, size_t count)
{
    afar__list list = { .count = count, .items = room->references };

    for (size_t at = 0; at < count; at++) {
        const afar__session_reference *from = &references[at];
        afar__reference *to = room->references++;

        memset(to, 0, sizeof *to);
        to->interface = copy(room, from->interface);
        if (from->kind == AFAR__SESSION_OURS) {
            to->kind = AFAR__REFERENCE_HOSTED;
            to->hosted.id = UINT32_MAX; /* until it is counted: no id is longer */
            if (from->address.length)
                to->hosted.where = copy_elsewhere(room, from);
        } else if (from->kind == AFAR__SESSION_THEIRS) {
            to->kind = AFAR__REFERENCE_YOURS;
            to->yours = from->import;
        } else {
            to->kind = AFAR__REFERENCE_ADDRESS;
            to->address = copy_elsewhere(room, from);
        }
    }
    return list;
}

afar__waiting *
afar__pack_plain(afar__call *call, afar__frame_kind kind)
{
    afar__waiting *waiting = afar__spare_alloc(sizeof *waiting);

    if (!waiting)
        return NULL;
    memset(waiting, 0, sizeof *waiting);
    waiting->memory = sizeof *waiting;
    waiting->call = call;
    waiting->frame.kind = kind;
    return waiting;
}

static afar_code
check_references(const afar__session *session, const struct parts *parts, afar_error *err)
{
    for (size_t at = 0; at < parts->n_references; at++) {
        const afar__session_reference *from = &parts->references[at];

        if (from->kind == AFAR__SESSION_THEIRS && !afar__import_known(session, from->import))
            return afar_fail(err, AFAR_NOT_FOUND, "import %u is none of this session",
                             (unsigned)from->import);
        if (from->kind == AFAR__SESSION_OURS && !from->object)
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "a reference to no object");
    }
    return AFAR_OK;
}

/* The struct, and the room behind it; NULL when `*ret_code` says why not. */
static afar__waiting *
begin(const afar__session *session, afar__frame_kind kind, const struct parts *parts,
      struct room *ret_room, afar_code *ret_code, afar_error *err)
{
    afar__waiting *waiting;
    size_t memory;

    *ret_code = check_references(session, parts, err);
    if (*ret_code != AFAR_OK)
        return NULL;
    if (parts->payload.length > session->peer.message_bytes) {
        *ret_code =
            afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "a message of %zu bytes; the peer takes %u",
                      parts->payload.length, (unsigned)session->peer.message_bytes);
        return NULL;
    }
    memory = sizeof *waiting + parts_bytes(parts);
    waiting = afar__spare_alloc(memory);
    if (!waiting) {
        *ret_code = afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "out of memory for a message");
        return NULL;
    }
    memset(waiting, 0, offsetof(afar__waiting, frame.hello)); /* the kind is filled in whole */
    waiting->memory = memory;
    waiting->frame.kind = kind;
    ret_room->references = (afar__reference *)(waiting + 1);
    ret_room->pairs = (afar__pair *)(ret_room->references + parts->n_references);
    ret_room->bytes = (uint8_t *)(ret_room->pairs + parts->n_first + parts->n_second);
    return waiting;
}

/* The array that begin has made, which copy_references has filled. */
static afar__reference *
references_of(afar__waiting *waiting)
{
    return (afar__reference *)(waiting + 1);
}

static afar_code
count_references(afar__session *session, afar__waiting *waiting, const struct parts *parts,
                 afar_error *err)
{
    afar__reference *references = references_of(waiting);
    afar_code code = AFAR_OK;
    size_t at;

    for (at = 0; at < parts->n_references && code == AFAR_OK; at++)
        if (references[at].kind == AFAR__REFERENCE_HOSTED)
            code = afar__export_give(session, parts->references[at].object,
                                     &references[at].hosted.id, err);
    if (code != AFAR_OK) {
        for (at--; at > 0; at--)
            if (references[at - 1].kind == AFAR__REFERENCE_HOSTED)
                afar__export_undo(session, references[at - 1].hosted.id);
        return code;
    }
    for (at = 0; at < parts->n_references; at++)
        if (references[at].kind == AFAR__REFERENCE_YOURS)
            afar__import_use(session, references[at].yours, true);
    return AFAR_OK;
}

/* Checks what was filled in and counts its references; on failure the frame is freed. */
static afar_code
finish(afar__session *session, afar__waiting *waiting, const struct parts *parts, afar_error *err)
{
    size_t length = 0;
    afar_code code = afar__frame_check(&waiting->frame, &length, err);

    waiting->size = afar__frame_size_of(&waiting->frame, length);
    if (parts->n_references == 0)
        waiting->length = length;
    else if (code == AFAR_OK) /* their numbers are not known yet */
        code = count_references(session, waiting, parts, err);
    if (code != AFAR_OK)
        afar__spare_free(waiting, waiting->memory);
    return code;
}

/* ---- the target of a call ---- */

static afar_code
fill_promised(afar__session *session, const afar__session_target *target, afar__callee *callee,
              afar_error *err)
{
    const afar__call *call = afar__call_of(session, target->call);

    if (!call || !call->ours || !call->keep || call->finished || call->cancelled)
        return afar_fail(err, AFAR_NOT_FOUND, "a promise of a call that has no result to keep");
    if (target->path_length > AFAR__FRAME_MAX_PATH)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "a path of %u fields, over %d",
                         target->path_length, AFAR__FRAME_MAX_PATH);
    callee->kind = AFAR__CALLEE_PROMISED;
    callee->promised.call = call->id;
    callee->promised.n_path = target->path_length;
    for (unsigned at = 0; at < target->path_length; at++)
        callee->promised.path[at] = target->path[at];
    return AFAR_OK;
}

static afar_code
fill_target(afar__session *session, const afar__session_target *target, afar__callee *callee,
            afar_error *err)
{
    switch (target->kind) {
    case AFAR__SESSION_OBJECT:
        if (!afar__import_known(session, target->import))
            return afar_fail(err, AFAR_NOT_FOUND, "import %u is none of this session",
                             (unsigned)target->import);
        callee->kind = AFAR__CALLEE_EXPORT;
        callee->export = target->import;
        return AFAR_OK;
    case AFAR__SESSION_PROMISED:
        return fill_promised(session, target, callee, err);
    default:
        callee->kind = AFAR__CALLEE_NAME;
        return AFAR_OK;
    }
}

static void
use_target(afar__session *session, const afar__callee *callee)
{
    if (callee->kind == AFAR__CALLEE_EXPORT)
        afar__import_use(session, callee->export, true);
    else if (callee->kind == AFAR__CALLEE_PROMISED)
        afar__calls_find(&session->questions, callee->promised.call)->uses++;
}

/* ---- the three kinds ---- */

/* What is said of an answer next is the first, which has its initial metadata. */
static bool
is_first(const afar__call *call)
{
    return !call->ours && !call->begun && call->item_bytes == 0;
}

afar_code
afar__pack_call(afar__session *session, const afar__session_request *request, uint32_t id,
                afar__waiting **ret_waiting, afar_error *err)
{
    struct parts parts = { .first = request->metadata,
                           .n_first = request->metadata_count,
                           .references = request->references,
                           .n_references = request->reference_count,
                           .payload = request->payload,
                           .a = request->target.name };
    afar__waiting *waiting = NULL;
    afar__frame_call *call;
    struct room room;
    uint32_t method = 0;
    afar__callee callee = { .kind = 0 };
    afar_code code = fill_target(session, &request->target, &callee, err);

    if (request->target.kind != AFAR__SESSION_NAMED)
        parts.a.length = 0;
    if (code == AFAR_OK && request->chain_length > AFAR__FRAME_MAX_CHAIN)
        code = afar_fail(err, AFAR_INVALID_ARGUMENT, "a chain of %u calls, over %d",
                         request->chain_length, AFAR__FRAME_MAX_CHAIN);
    if (code == AFAR_OK)
        code = afar__method_number(session, request->method, &method, err);
    if (code == AFAR_OK)
        waiting = begin(session, AFAR__FRAME_CALL, &parts, &room, &code, err);
    if (!waiting)
        return code;
    call = &waiting->frame.call;
    *call = (afar__frame_call){ .id = id,
                                .method = method,
                                .keep = request->keep,
                                .oneway = request->oneway,
                                .target = callee,
                                .n_chain = request->chain_length };
    for (unsigned at = 0; at < request->chain_length; at++)
        call->chain[at] = request->chain[at];
    call->references = copy_references(&room, parts.references, parts.n_references);
    call->metadata = copy_pairs(&room, parts.first, parts.n_first);
    call->payload = copy(&room, parts.payload);
    if (callee.kind == AFAR__CALLEE_NAME)
        call->target.name = copy(&room, parts.a);
    waiting->deadline = request->deadline;
    if (request->deadline != AFAR__NEVER)
        call->timeout_us = UINT64_MAX; /* until it is sent: none is longer */
    code = finish(session, waiting, &parts, err);
    if (code != AFAR_OK)
        return code;
    use_target(session, &callee);
    *ret_waiting = waiting;
    return AFAR_OK;
}

afar_code
afar__pack_return(afar__session *session, const afar__session_reply *reply, afar__call *call,
                  afar__waiting **ret_waiting, afar_error *err)
{
    struct parts parts = { .first = reply->initial,
                           .n_first = is_first(call) ? reply->initial_count : 0,
                           .second = reply->trailing,
                           .n_second = reply->trailing_count,
                           .a = reply->text,
                           .b = reply->details };
    afar__frame_return *returned;
    afar__waiting *waiting;
    struct room room;
    afar_code code;

    if (reply->code == AFAR_OK && !call->oneway) {
        parts.payload = reply->payload;
        parts.references = reply->references;
        parts.n_references = reply->reference_count;
    }
    waiting = begin(session, AFAR__FRAME_RETURN, &parts, &room, &code, err);
    if (!waiting)
        return code;
    waiting->call = call;
    returned = &waiting->frame.returned;
    *returned = (afar__frame_return){ .call = call->id, .code = (uint32_t)reply->code };
    returned->not_begun = reply->code != AFAR_OK && reply->not_begun;
    returned->references = copy_references(&room, parts.references, parts.n_references);
    returned->initial = copy_pairs(&room, parts.first, parts.n_first);
    returned->trailing = copy_pairs(&room, parts.second, parts.n_second);
    returned->payload = copy(&room, parts.payload);
    returned->text = copy(&room, parts.a);
    returned->details = copy(&room, parts.b);
    code = finish(session, waiting, &parts, err);
    if (code == AFAR_OK)
        *ret_waiting = waiting;
    return code;
}

afar_code
afar__pack_item(afar__session *session, afar__call *call, const afar__session_message *message,
                afar__waiting **ret_waiting, afar_error *err)
{
    struct parts parts = { .first = message->initial,
                           .n_first = is_first(call) ? message->initial_count : 0,
                           .references = message->references,
                           .n_references = message->reference_count,
                           .payload = message->payload };
    afar__frame_item *item;
    afar__waiting *waiting;
    struct room room;
    afar_code code;

    waiting = begin(session, AFAR__FRAME_ITEM, &parts, &room, &code, err);
    if (!waiting)
        return code;
    waiting->call = call;
    item = &waiting->frame.item;
    *item = (afar__frame_item){ .call = call->id, .to_caller = !call->ours };
    item->references = copy_references(&room, parts.references, parts.n_references);
    item->initial = copy_pairs(&room, parts.first, parts.n_first);
    item->payload = copy(&room, parts.payload);
    code = finish(session, waiting, &parts, err);
    if (code == AFAR_OK)
        *ret_waiting = waiting;
    return code;
}
