/* Frames of frame.h as the structs that protobuf-c has for session.proto, member by member and
 * by hand: so that a mistake in the tables of frame_layout.c cannot be here as well. */

#include <stdlib.h>
#include <string.h>

#include "frames.h"

#define NEW(arena, type) allocate(arena, sizeof(Afar__Session__V1__##type))

static void *
allocate(afar__arena *arena, size_t n)
{
    void *piece = afar__arena_zalloc(arena, n);

    if (!piece)
        abort();
    return piece;
}

static ProtobufCBinaryData
binary(afar__arena *arena, afar__bytes bytes)
{
    ProtobufCBinaryData copy = { bytes.length, allocate(arena, bytes.length + 1) };

    if (bytes.length > 0)
        memcpy(copy.data, bytes.data, bytes.length);
    return copy;
}

static char *
text(afar__arena *arena, afar__bytes bytes)
{
    return (char *)binary(arena, bytes).data;
}

/* ---- lists ---- */

static Afar__Session__V1__Pair **
pairs(afar__arena *arena, afar__list list, size_t *ret_count)
{
    Afar__Session__V1__Pair **array = allocate(arena, list.count * sizeof *array);
    afar__pair pair;
    size_t n = 0;

    while (afar__list_next_pair(&list, &pair)) {
        array[n] = NEW(arena, Pair);
        afar__session__v1__pair__init(array[n]);
        array[n]->key = text(arena, pair.key);
        array[n++]->value = binary(arena, pair.value);
    }
    *ret_count = n;
    return array;
}

static Afar__Session__V1__Address *
elsewhere(afar__arena *arena, const afar__elsewhere *from)
{
    Afar__Session__V1__Address *to = NEW(arena, Address);

    afar__session__v1__address__init(to);
    to->address = text(arena, from->address);
    to->name = text(arena, from->name);
    to->instance = binary(arena, from->instance);
    to->key = binary(arena, from->key);
    return to;
}

static Afar__Session__V1__Reference *
reference_of(afar__arena *arena, const afar__reference *from)
{
    Afar__Session__V1__Reference *to = NEW(arena, Reference);

    afar__session__v1__reference__init(to);
    to->interface = text(arena, from->interface);
    if (from->kind == AFAR__REFERENCE_HOSTED) {
        to->kind_case = AFAR__SESSION__V1__REFERENCE__KIND_HOSTED;
        to->hosted = NEW(arena, Hosted);
        afar__session__v1__hosted__init(to->hosted);
        to->hosted->id = from->hosted.id;
        to->hosted->where = elsewhere(arena, &from->hosted.where);
        if (afar__session__v1__address__get_packed_size(to->hosted->where) == 0)
            to->hosted->where = NULL;
    } else if (from->kind == AFAR__REFERENCE_YOURS) {
        to->kind_case = AFAR__SESSION__V1__REFERENCE__KIND_YOURS;
        to->yours = from->yours;
    } else {
        to->kind_case = AFAR__SESSION__V1__REFERENCE__KIND_ADDRESS;
        to->address = elsewhere(arena, &from->address);
    }
    return to;
}

static Afar__Session__V1__Reference **
references(afar__arena *arena, afar__list list, size_t *ret_count)
{
    Afar__Session__V1__Reference **array = allocate(arena, list.count * sizeof *array);
    afar__reference reference;
    size_t n = 0;

    while (afar__list_next_reference(&list, &reference))
        array[n++] = reference_of(arena, &reference);
    *ret_count = n;
    return array;
}

static uint32_t *
numbers(afar__arena *arena, const uint32_t *from, uint32_t count)
{
    uint32_t *to = allocate(arena, count * sizeof *to);

    for (uint32_t i = 0; i < count; i++)
        to[i] = from[i];
    return to;
}

/* ---- kinds ---- */

static Afar__Session__V1__Hello *
hello(afar__arena *arena, const afar__frame_hello *from)
{
    Afar__Session__V1__Hello *to = NEW(arena, Hello);
    Afar__Session__V1__Limits *limits = NEW(arena, Limits);

    afar__session__v1__hello__init(to);
    to->lowest = from->lowest;
    to->highest = from->highest;
    to->instance = binary(arena, from->instance);
    to->host = binary(arena, from->host);
    to->n_features = from->n_features;
    to->features = numbers(arena, from->features, from->n_features);
    afar__session__v1__limits__init(limits);
    limits->calls = from->limits.calls;
    limits->references = from->limits.references;
    limits->message_bytes = from->limits.message_bytes;
    limits->window_bytes = from->limits.window_bytes;
    limits->session_bytes = from->limits.session_bytes;
    limits->methods = from->limits.methods;
    limits->idle_ms = from->limits.idle_ms;
    limits->dead_ms = from->limits.dead_ms;
    if (afar__session__v1__limits__get_packed_size(limits) > 0)
        to->limits = limits;
    return to;
}

static Afar__Session__V1__Target *
target(afar__arena *arena, const afar__callee *from)
{
    Afar__Session__V1__Target *to = NEW(arena, Target);

    afar__session__v1__target__init(to);
    if (from->kind == AFAR__CALLEE_EXPORT) {
        to->kind_case = AFAR__SESSION__V1__TARGET__KIND_EXPORT;
        to->export_ = from->export;
    } else if (from->kind == AFAR__CALLEE_PROMISED) {
        to->kind_case = AFAR__SESSION__V1__TARGET__KIND_PROMISED;
        to->promised = NEW(arena, Promised);
        afar__session__v1__promised__init(to->promised);
        to->promised->call = from->promised.call;
        to->promised->n_path = from->promised.n_path;
        to->promised->path = numbers(arena, from->promised.path, from->promised.n_path);
    } else {
        to->kind_case = AFAR__SESSION__V1__TARGET__KIND_NAME;
        to->name = text(arena, from->name);
    }
    return to;
}

static Afar__Session__V1__Call *
call(afar__arena *arena, const afar__frame_call *from)
{
    Afar__Session__V1__Call *to = NEW(arena, Call);

    afar__session__v1__call__init(to);
    to->id = from->id;
    to->target = target(arena, &from->target);
    to->method = from->method;
    to->timeout_us = from->timeout_us;
    to->n_chain = from->n_chain;
    to->chain = allocate(arena, from->n_chain * sizeof *to->chain);
    for (uint32_t i = 0; i < from->n_chain; i++)
        to->chain[i] = from->chain[i];
    to->metadata = pairs(arena, from->metadata, &to->n_metadata);
    to->payload = binary(arena, from->payload);
    to->references = references(arena, from->references, &to->n_references);
    to->keep = from->keep;
    to->oneway = from->oneway;
    return to;
}

static Afar__Session__V1__Return *
returned(afar__arena *arena, const afar__frame_return *from)
{
    Afar__Session__V1__Return *to = NEW(arena, Return);

    afar__session__v1__return__init(to);
    to->call = from->call;
    to->code = from->code;
    to->text = text(arena, from->text);
    to->details = binary(arena, from->details);
    to->initial = pairs(arena, from->initial, &to->n_initial);
    to->trailing = pairs(arena, from->trailing, &to->n_trailing);
    to->payload = binary(arena, from->payload);
    to->references = references(arena, from->references, &to->n_references);
    to->not_begun = from->not_begun;
    return to;
}

static Afar__Session__V1__Item *
item(afar__arena *arena, const afar__frame_item *from)
{
    Afar__Session__V1__Item *to = NEW(arena, Item);

    afar__session__v1__item__init(to);
    to->call = from->call;
    to->to_caller = from->to_caller;
    to->payload = binary(arena, from->payload);
    to->references = references(arena, from->references, &to->n_references);
    to->initial = pairs(arena, from->initial, &to->n_initial);
    return to;
}

static Afar__Session__V1__Release *
release(afar__arena *arena, const afar__frame_release *from)
{
    Afar__Session__V1__Release *to = NEW(arena, Release);

    afar__session__v1__release__init(to);
    to->export_ = from->export;
    to->count = from->count;
    return to;
}

static Afar__Session__V1__Credit *
credit(afar__arena *arena, const afar__frame_credit *from)
{
    Afar__Session__V1__Credit *to = NEW(arena, Credit);

    afar__session__v1__credit__init(to);
    to->call = from->call;
    to->to_caller = from->to_caller;
    to->bytes = from->bytes;
    return to;
}

static Afar__Session__V1__Goodbye *
goodbye(afar__arena *arena, const afar__frame_goodbye *from)
{
    Afar__Session__V1__Goodbye *to = NEW(arena, Goodbye);

    afar__session__v1__goodbye__init(to);
    to->reason = (Afar__Session__V1__Goodbye__Reason)from->reason;
    to->text = text(arena, from->text);
    to->last_call = from->last_call;
    return to;
}

static Afar__Session__V1__Method *
method(afar__arena *arena, const afar__frame_method *from)
{
    Afar__Session__V1__Method *to = NEW(arena, Method);

    afar__session__v1__method__init(to);
    to->number = from->number;
    to->path = text(arena, from->path);
    return to;
}

/* The messages with one number. */
#define SIMPLE(Type, init, member, value)                                                          \
    do {                                                                                           \
        to->member = NEW(arena, Type);                                                             \
        afar__session__v1__##init##__init(to->member);                                             \
        to->member->value = from->member;                                                          \
    } while (0)

static void
fill_simple(afar__arena *arena, const afar__frame *from, frames_proto *to)
{
    switch (from->kind) {
    case AFAR__FRAME_CANCEL:
        SIMPLE(Cancel, cancel, cancel, call);
        break;
    case AFAR__FRAME_FINISH:
        SIMPLE(Finish, finish, finish, call);
        break;
    case AFAR__FRAME_END:
        SIMPLE(End, end, end, call);
        break;
    case AFAR__FRAME_PING:
        SIMPLE(Ping, ping, ping, number);
        break;
    case AFAR__FRAME_PONG:
        SIMPLE(Pong, pong, pong, number);
        break;
    case AFAR__FRAME_UNKNOWN:
        SIMPLE(Unknown, unknown, unknown, kind);
        break;
    default:
        break;
    }
}

frames_proto *
frames_to_proto(afar__arena *arena, const afar__frame *frame)
{
    frames_proto *to = NEW(arena, Frame);

    afar__session__v1__frame__init(to);
    to->kind_case = (Afar__Session__V1__Frame__KindCase)frame->kind;
    to->may_ignore = frame->may_ignore;
    switch (frame->kind) {
    case AFAR__FRAME_HELLO:
        to->hello = hello(arena, &frame->hello);
        break;
    case AFAR__FRAME_CALL:
        to->call = call(arena, &frame->call);
        break;
    case AFAR__FRAME_RETURN:
        to->return_ = returned(arena, &frame->returned);
        break;
    case AFAR__FRAME_ITEM:
        to->item = item(arena, &frame->item);
        break;
    case AFAR__FRAME_RELEASE:
        to->release = release(arena, &frame->release);
        break;
    case AFAR__FRAME_CREDIT:
        to->credit = credit(arena, &frame->credit);
        break;
    case AFAR__FRAME_GOODBYE:
        to->goodbye = goodbye(arena, &frame->goodbye);
        break;
    case AFAR__FRAME_METHOD:
        to->method = method(arena, &frame->method);
        break;
    default:
        fill_simple(arena, frame, to);
        break;
    }
    return to;
}

/* ---- unknown fields ---- */

static void
strip_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    char *at = (char *)message + field->offset;
    const char *quantifier = (char *)message + field->quantifier_offset;
    bool is_oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = *(const size_t *)(const void *)quantifier;
        ProtobufCMessage **array = *(ProtobufCMessage ***)(void *)at;

        for (size_t i = 0; i < count; i++)
            frames_strip(array[i]);
    } else if (!is_oneof || *(const uint32_t *)(const void *)quantifier == field->id) {
        if (*(ProtobufCMessage **)(void *)at)
            frames_strip(*(ProtobufCMessage **)(void *)at);
    }
}

void
frames_strip(ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->n_unknown_fields; i++)
        free(message->unknown_fields[i].data);
    free(message->unknown_fields);
    message->unknown_fields = NULL;
    message->n_unknown_fields = 0;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        strip_field(message, &message->descriptor->fields[i]);
}
