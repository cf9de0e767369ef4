/* The tables that reading and writing of frames go by: session.proto once more, with the places of
 * the members in our structs.
 *
 * A message whose numbers have no gaps needs no search.  A oneof has its number at the start of
 * the struct.  The messages with one number (Cancel, Ping ...) are that number in ours.
 *
 * Constants only.  Any thread. */

#include "runtime/session/frame_layout.h"

#include <stddef.h>

#define FIELD(FORM, type, member)                                                                  \
    {                                                                                              \
        .name = #member, .form = AFAR__FORM_##FORM, .offset = offsetof(type, member)               \
    }
#define PART(FORM, type, member, layout)                                                           \
    {                                                                                              \
        .name = #member, .form = AFAR__FORM_##FORM, .offset = offsetof(type, member),              \
        .message = &(layout)                                                                       \
    }
#define ONE_OF(FORM, type, member, layout)                                                         \
    {                                                                                              \
        .name = #member, .form = AFAR__FORM_##FORM, .offset = offsetof(type, member),              \
        .message = (layout), .one_of = true                                                        \
    }
#define ARRAY(FORM, type, member, most_of)                                                         \
    {                                                                                              \
        .name = #member, .form = AFAR__FORM_##FORM, .offset = offsetof(type, n_##member),          \
        .array = offsetof(type, member), .most = (most_of)                                         \
    }

/* A struct that is one number. */
#define NUMBER(FORM, field)                                                                        \
    {                                                                                              \
        .name = (field), .form = AFAR__FORM_##FORM                                                 \
    }

#define LAYOUT(proto_name, type, table)                                                            \
    {                                                                                              \
        .name = (proto_name), .size = sizeof(type), .count = sizeof(table) / sizeof *(table),      \
        .fields = (table)                                                                          \
    }

/* ---- parts ---- */

static const afar__field pair_fields[] = {
    FIELD(BYTES, afar__pair, key),
    FIELD(BYTES, afar__pair, value),
};

const afar__layout afar__layout_pair = LAYOUT("Pair", afar__pair, pair_fields);

static const afar__field limits_fields[] = {
    FIELD(UINT32, afar__limits, calls),         FIELD(UINT32, afar__limits, references),
    FIELD(UINT32, afar__limits, message_bytes), FIELD(UINT32, afar__limits, window_bytes),
    FIELD(UINT32, afar__limits, session_bytes), FIELD(UINT32, afar__limits, methods),
    FIELD(UINT32, afar__limits, idle_ms),       FIELD(UINT32, afar__limits, dead_ms),
};

static const afar__layout limits = LAYOUT("Limits", afar__limits, limits_fields);

static const afar__field promised_fields[] = {
    FIELD(UINT32, afar__promised, call),
    ARRAY(NUMBERS, afar__promised, path, AFAR__FRAME_MAX_PATH),
};

static const afar__layout promised = LAYOUT("Promised", afar__promised, promised_fields);

static const afar__field target_fields[] = {
    ONE_OF(UINT32, afar__callee, export, NULL),
    ONE_OF(MESSAGE, afar__callee, promised, &promised),
    ONE_OF(BYTES, afar__callee, name, NULL),
};

static const afar__layout target = LAYOUT("Target", afar__callee, target_fields);

static const afar__field address_fields[] = {
    FIELD(BYTES, afar__elsewhere, address),
    FIELD(BYTES, afar__elsewhere, name),
    FIELD(BYTES, afar__elsewhere, instance),
    FIELD(BYTES, afar__elsewhere, key),
};

static const afar__layout address = LAYOUT("Address", afar__elsewhere, address_fields);

static const afar__field hosted_fields[] = {
    FIELD(UINT32, afar__hosted, id),
    PART(MESSAGE, afar__hosted, where, address),
};

static const afar__layout hosted = LAYOUT("Hosted", afar__hosted, hosted_fields);

static const afar__field reference_fields[] = {
    ONE_OF(MESSAGE, afar__reference, hosted, &hosted),
    ONE_OF(UINT32, afar__reference, yours, NULL),
    ONE_OF(MESSAGE, afar__reference, address, &address),
    FIELD(BYTES, afar__reference, interface),
};

const afar__layout afar__layout_reference = LAYOUT("Reference", afar__reference, reference_fields);

/* ---- frames ---- */

static const afar__field hello_fields[] = {
    FIELD(UINT32, afar__frame_hello, lowest),
    FIELD(UINT32, afar__frame_hello, highest),
    FIELD(BYTES, afar__frame_hello, instance),
    FIELD(BYTES, afar__frame_hello, host),
    PART(MESSAGE, afar__frame_hello, limits, limits),
    ARRAY(NUMBERS, afar__frame_hello, features, AFAR__FRAME_MAX_FEATURES),
};

static const afar__field call_fields[] = {
    FIELD(UINT32, afar__frame_call, id),
    PART(MESSAGE, afar__frame_call, target, target),
    FIELD(UINT32, afar__frame_call, method),
    FIELD(UINT64, afar__frame_call, timeout_us),
    ARRAY(FIXEDS, afar__frame_call, chain, AFAR__FRAME_MAX_CHAIN),
    PART(LIST, afar__frame_call, metadata, afar__layout_pair),
    FIELD(PAYLOAD, afar__frame_call, payload),
    PART(LIST, afar__frame_call, references, afar__layout_reference),
    FIELD(BOOL, afar__frame_call, keep),
    FIELD(BOOL, afar__frame_call, oneway),
};

static const afar__field return_fields[] = {
    FIELD(UINT32, afar__frame_return, call),
    FIELD(UINT32, afar__frame_return, code),
    FIELD(BYTES, afar__frame_return, text),
    FIELD(BYTES, afar__frame_return, details),
    PART(LIST, afar__frame_return, initial, afar__layout_pair),
    PART(LIST, afar__frame_return, trailing, afar__layout_pair),
    FIELD(PAYLOAD, afar__frame_return, payload),
    PART(LIST, afar__frame_return, references, afar__layout_reference),
    FIELD(BOOL, afar__frame_return, not_begun),
};

static const afar__field item_fields[] = {
    FIELD(UINT32, afar__frame_item, call),
    FIELD(BOOL, afar__frame_item, to_caller),
    FIELD(PAYLOAD, afar__frame_item, payload),
    PART(LIST, afar__frame_item, references, afar__layout_reference),
    PART(LIST, afar__frame_item, initial, afar__layout_pair),
};

static const afar__field release_fields[] = {
    FIELD(UINT32, afar__frame_release, export),
    FIELD(UINT32, afar__frame_release, count),
};

static const afar__field credit_fields[] = {
    FIELD(UINT32, afar__frame_credit, call),
    FIELD(BOOL, afar__frame_credit, to_caller),
    FIELD(UINT32, afar__frame_credit, bytes),
};

static const afar__field goodbye_fields[] = {
    FIELD(UINT32, afar__frame_goodbye, reason),
    FIELD(BYTES, afar__frame_goodbye, text),
    FIELD(UINT64, afar__frame_goodbye, last_call),
};

static const afar__field method_fields[] = {
    FIELD(UINT32, afar__frame_method, number),
    FIELD(BYTES, afar__frame_method, path),
};

static const afar__field only_call[] = { NUMBER(UINT32, "call") };
static const afar__field only_kind[] = { NUMBER(UINT32, "kind") };
static const afar__field only_number[] = { NUMBER(UINT64, "number") };

const afar__layout afar__frame_layouts[] = {
    [AFAR__FRAME_NONE] = { .name = "frame" },
    [AFAR__FRAME_HELLO] = LAYOUT("Hello", afar__frame_hello, hello_fields),
    [AFAR__FRAME_CALL] = LAYOUT("Call", afar__frame_call, call_fields),
    [AFAR__FRAME_RETURN] = LAYOUT("Return", afar__frame_return, return_fields),
    [AFAR__FRAME_CANCEL] = LAYOUT("Cancel", uint32_t, only_call),
    [AFAR__FRAME_FINISH] = LAYOUT("Finish", uint32_t, only_call),
    [AFAR__FRAME_ITEM] = LAYOUT("Item", afar__frame_item, item_fields),
    [AFAR__FRAME_END] = LAYOUT("End", uint32_t, only_call),
    [AFAR__FRAME_RELEASE] = LAYOUT("Release", afar__frame_release, release_fields),
    [AFAR__FRAME_CREDIT] = LAYOUT("Credit", afar__frame_credit, credit_fields),
    [AFAR__FRAME_PING] = LAYOUT("Ping", uint64_t, only_number),
    [AFAR__FRAME_PONG] = LAYOUT("Pong", uint64_t, only_number),
    [AFAR__FRAME_GOODBYE] = LAYOUT("Goodbye", afar__frame_goodbye, goodbye_fields),
    [AFAR__FRAME_UNKNOWN] = LAYOUT("Unknown", uint32_t, only_kind),
    [AFAR__FRAME_METHOD] = LAYOUT("Method", afar__frame_method, method_fields),
};

const char *
afar__frame_name(uint32_t kind)
{
    return afar__frame_layouts[kind <= AFAR__FRAME_LAST_KIND ? kind : AFAR__FRAME_NONE].name;
}
