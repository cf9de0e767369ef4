/* The rules of session.proto that one frame alone can break.  They are the same for what
 * was read and for what is to be written, and stand here once.
 *
 * Any thread. */

#include "runtime/session/frame_layout.h"
#include "runtime/utf8.h"

/* ---- values ---- */

/* Says what is wrong, if something is; for conditions in a row. */
static bool
rule(bool kept, const char *field, const char *what, afar__fault *fault)
{
    if (!kept)
        *fault = (afar__fault){ fault->message, field, what };
    return kept;
}

static bool
is_from_1(uint32_t number, const char *field, afar__fault *fault)
{
    return rule(number != 0, field, "is 0; numbers begin at 1", fault);
}

static bool
is_text(afar__bytes text, const char *field, afar__fault *fault)
{
    return rule(text.length == 0 || afar__utf8_span(text.data, text.length) == text.length, field,
                "is not UTF-8 without a zero byte", fault);
}

static bool
is_instance(afar__bytes bytes, const char *field, afar__fault *fault)
{
    return rule(bytes.length == 0 || bytes.length == AFAR__FRAME_INSTANCE, field,
                "is not of 16 bytes", fault);
}

/* ---- lists ---- */

static bool
is_good_metadata(afar__list pairs, const char *field, afar__fault *fault)
{
    size_t left = AFAR__FRAME_MAX_METADATA;
    afar__pair pair;

    while (afar__list_next_pair(&pairs, &pair)) {
        size_t cost = AFAR__FRAME_PAIR_COST;

        if (!is_text(pair.key, field, fault))
            return false;
        if (pair.key.length <= left && pair.value.length <= left)
            cost += pair.key.length + pair.value.length;
        else
            cost = left + 1;
        if (!rule(cost <= left, field, "is larger than 8 KiB, with 32 bytes for each pair", fault))
            return false;
        left -= cost;
    }
    return true;
}

static bool
is_good_address(const afar__elsewhere *at, afar__fault *fault)
{
    fault->message = "Address";
    return is_text(at->address, "address", fault) && is_text(at->name, "name", fault) &&
           is_instance(at->instance, "instance", fault) &&
           rule(at->key.length == 0 || at->key.length == AFAR__FRAME_KEY, "key",
                "is not of 32 bytes", fault);
}

static bool
is_good_reference(const afar__reference *reference, afar__fault *fault)
{
    if (!is_text(reference->interface, "interface", fault))
        return false;
    switch (reference->kind) {
    case AFAR__REFERENCE_HOSTED:
        fault->message = "Hosted";
        return is_from_1(reference->hosted.id, "id", fault) &&
               is_good_address(&reference->hosted.where, fault);
    case AFAR__REFERENCE_YOURS:
        return is_from_1(reference->yours, "yours", fault);
    case AFAR__REFERENCE_ADDRESS:
        return is_good_address(&reference->address, fault);
    default:
        return rule(false, NULL, "has none of the kinds that there are", fault);
    }
}

static bool
are_good_references(afar__list references, afar__fault *fault)
{
    afar__reference reference;

    if (!rule(references.count <= AFAR__FRAME_MAX_REFERENCES, "references",
              "has more items than allowed", fault))
        return false;
    while (afar__list_next_reference(&references, &reference)) {
        afar__fault inner = { "Reference", NULL, NULL };

        if (!is_good_reference(&reference, &inner)) {
            *fault = inner;
            return false;
        }
    }
    return true;
}

/* ---- frames ---- */

static bool
is_good_hello(const afar__frame_hello *hello, afar__fault *fault)
{
    return rule(hello->lowest <= hello->highest, "lowest", "is above `highest`", fault) &&
           rule(hello->instance.length != 0, "instance", "is missing", fault) &&
           is_instance(hello->instance, "instance", fault) &&
           is_instance(hello->host, "host", fault) &&
           rule(hello->n_features <= AFAR__FRAME_MAX_FEATURES, "features",
                "has more items than allowed", fault);
}

static bool
is_good_promised(const afar__promised *promised, afar__fault *fault)
{
    fault->message = "Promised";
    return is_from_1(promised->call, "call", fault) &&
           rule(promised->n_path <= AFAR__FRAME_MAX_PATH, "path", "has more items than allowed",
                fault);
}

static bool
is_good_target(const afar__callee *target, afar__fault *fault)
{
    afar__fault inner = { "Target", NULL, NULL };
    bool good;

    switch (target->kind) {
    case AFAR__CALLEE_EXPORT:
        good = is_from_1(target->export, "export", &inner);
        break;
    case AFAR__CALLEE_PROMISED:
        good = is_good_promised(&target->promised, &inner);
        break;
    case AFAR__CALLEE_NAME:
        good = is_text(target->name, "name", &inner);
        break;
    default:
        good = rule(false, NULL, "is missing, or has none of the kinds that there are", &inner);
        break;
    }
    if (!good)
        *fault = inner;
    return good;
}

static bool
is_good_call(const afar__frame_call *call, afar__fault *fault)
{
    return is_from_1(call->id, "id", fault) && is_from_1(call->method, "method", fault) &&
           is_good_target(&call->target, fault) &&
           rule(call->n_chain <= AFAR__FRAME_MAX_CHAIN, "chain", "has more items than allowed",
                fault) &&
           is_good_metadata(call->metadata, "metadata", fault) &&
           are_good_references(call->references, fault);
}

static bool
has_parts_of_its_code(const afar__frame_return *returned, afar__fault *fault)
{
    bool succeeded = returned->code == AFAR_OK;

    return rule(!succeeded || returned->text.length == 0, "text", "comes with a success", fault) &&
           rule(!succeeded || !returned->not_begun, "not_begun", "comes with a success", fault) &&
           rule(succeeded || returned->payload.length == 0, "payload", "comes with a failure",
                fault) &&
           rule(succeeded || returned->references.count == 0, "references", "come with a failure",
                fault);
}

static bool
is_good_return(const afar__frame_return *returned, afar__fault *fault)
{
    return is_from_1(returned->call, "call", fault) && is_text(returned->text, "text", fault) &&
           has_parts_of_its_code(returned, fault) &&
           is_good_metadata(returned->initial, "initial", fault) &&
           is_good_metadata(returned->trailing, "trailing", fault) &&
           are_good_references(returned->references, fault);
}

static bool
is_good_item(const afar__frame_item *item, afar__fault *fault)
{
    return is_from_1(item->call, "call", fault) && are_good_references(item->references, fault) &&
           rule(item->to_caller || item->initial.count == 0, "initial", "comes from the caller",
                fault) &&
           is_good_metadata(item->initial, "initial", fault);
}

static bool
is_good_method(const afar__frame_method *method, afar__fault *fault)
{
    return is_from_1(method->number, "number", fault) && is_text(method->path, "path", fault) &&
           rule(method->path.length != 0, "path", "is empty", fault) &&
           rule(method->path.length <= AFAR__FRAME_MAX_METHOD, "path", "is longer than 512 bytes",
                fault);
}

static bool
is_good_kind(const afar__frame *frame, afar__fault *ret_fault)
{
    switch (frame->kind) {
    case AFAR__FRAME_HELLO:
        return is_good_hello(&frame->hello, ret_fault);
    case AFAR__FRAME_CALL:
        return is_good_call(&frame->call, ret_fault);
    case AFAR__FRAME_RETURN:
        return is_good_return(&frame->returned, ret_fault);
    case AFAR__FRAME_CANCEL:
        return is_from_1(frame->cancel, "call", ret_fault);
    case AFAR__FRAME_FINISH:
        return is_from_1(frame->finish, "call", ret_fault);
    case AFAR__FRAME_ITEM:
        return is_good_item(&frame->item, ret_fault);
    case AFAR__FRAME_END:
        return is_from_1(frame->end, "call", ret_fault);
    case AFAR__FRAME_RELEASE:
        return is_from_1(frame->release.export, "export", ret_fault);
    case AFAR__FRAME_GOODBYE:
        return is_text(frame->goodbye.text, "text", ret_fault);
    case AFAR__FRAME_METHOD:
        return is_good_method(&frame->method, ret_fault);
    default:
        return true;
    }
}

afar__bytes
afar__frame_payload(const afar__frame *frame)
{
    switch (frame->kind) {
    case AFAR__FRAME_CALL:
        return frame->call.payload;
    case AFAR__FRAME_RETURN:
        return frame->returned.payload;
    case AFAR__FRAME_ITEM:
        return frame->item.payload;
    default:
        return (afar__bytes){ NULL, 0 };
    }
}

bool
afar__frame_is_good(const afar__frame *frame, size_t length, afar__fault *ret_fault)
{
    ret_fault->message = afar__frame_name(frame->kind);
    return rule(length - afar__frame_payload(frame).length <= AFAR__FRAME_MAX_REST, NULL,
                "is larger than 1 MiB without its payload", ret_fault) &&
           is_good_kind(frame, ret_fault);
}

afar_code
afar__frame_fail(const afar__fault *fault, afar_code code, afar_error *err)
{
    return afar_fail(err, code, "%s%s%s: %s", fault->message, fault->field ? "." : "",
                     fault->field ? fault->field : "", fault->what);
}

afar_code
afar__frame_check(const afar__frame *frame, size_t *ret_length, afar_error *err)
{
    afar__fault fault = { NULL, NULL, NULL };
    size_t length = afar__frame_length(frame);

    if (!afar__frame_is_good(frame, length, &fault))
        return afar__frame_fail(&fault, AFAR_INVALID_ARGUMENT, err);
    if (ret_length)
        *ret_length = length;
    return AFAR_OK;
}
