/* Outgoing calls: what goes out in front of them, and what their status means.
 *
 * Whether a failed call may be repeated hangs on its outcome:
 * - NOT_SENT: the core found no connection for the call.  It says the same to a call that
 *   was cancelled or whose time was over before anything came back, whether or not that was
 *   sent, so those do not count;
 * - ANSWERED: the server wrote the status.  The core reports a broken connection,
 *   a cancelled call and a passed deadline with the same words as an answer, so
 *   for their codes only an answer that carries something of the server's counts:
 *   details, or the code itself in `afar-code`, as our own servers do;
 * - UNKNOWN: everything else. */

#include "runtime/grpc_outgoing.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/alloc.h>

#include <afar/call.h>
#include <afar/message.h>

#include "runtime/call.h"
#include "runtime/decode.h"
#include "runtime/fail.h"
#include "runtime/node.h"
#include "runtime/status.h"

afar_code
afar__outgoing_fail(const afar__outgoing *out, afar_error *err, afar_code code,
                    afar_outcome outcome, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return afar__fail_outcome(err, code, outcome, false, "%s at %s: %s", out->method->path,
                              afar__link_address(out->link), text);
}

/* ---- what is sent ---- */

static bool
has_key(const afar_metadata *metadata, const char *key)
{
    return metadata && afar_metadata_find(metadata, key, NULL);
}

/* How many pairs of the current call travel along, and their addition to `out` if
 * it has room for them already. */
static size_t
inherit(afar__outgoing *out, const afar_metadata *given, bool add)
{
    afar_call *current = afar_call_current();
    const afar_metadata *metadata = current ? afar_call_metadata(current) : NULL;
    size_t count = 0;

    for (size_t i = 0; metadata && i < metadata->count; i++) {
        const afar_metadata_entry *entry = &metadata->entries[i];

        if (!afar__node_travels(afar__link_node(out->link), entry->key) ||
            has_key(given, entry->key))
            continue;
        count++;
        if (add)
            out->metadata[out->metadata_count++] =
                afar__grpc_pair(entry->key, entry->value, entry->length);
    }
    return count;
}

/* The ids of the calls this one descends from, 16 hexadecimal digits each, the
 * current one last. */
static void
add_chain(afar__outgoing *out, afar_call *current)
{
    char text[AFAR__CHAIN * 17 + 1];
    size_t length = 0;
    unsigned skip = current->chain_length == AFAR__CHAIN ? 1 : 0;

    for (unsigned i = skip; i < current->chain_length; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%016" PRIx64 ",",
                                   current->chain[i]);
    length += (size_t)snprintf(text + length, sizeof text - length, "%016" PRIx64,
                               afar__call_id(current));
    out->metadata[out->metadata_count++] = afar__grpc_pair(AFAR__CHAIN_KEY, text, length);
}

/* The key is static, the value shared. */
static void
add_slice(afar__outgoing *out, const char *key, grpc_slice value)
{
    grpc_metadata *pair = &out->metadata[out->metadata_count++];

    memset(pair, 0, sizeof *pair);
    pair->key = grpc_slice_from_static_string(key);
    pair->value = value;
}

static afar_code
fill_metadata(afar__outgoing *out, const afar__remote *remote, const afar__request *request,
              afar_error *err)
{
    const afar_metadata *given = request->options ? request->options->metadata : NULL;
    size_t count = 2 + (given ? given->count : 0) + inherit(out, given, false);

    if (given) {
        afar_code code = afar_metadata_check(given, err);
        if (code)
            return code;
    }
    out->metadata = out->few;
    if (count > sizeof out->few / sizeof *out->few)
        out->metadata = malloc(count * sizeof *out->metadata);
    if (!out->metadata)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu pairs of metadata",
                         count);
    if (GRPC_SLICE_LENGTH(remote->name) > 0)
        add_slice(out, AFAR__OBJECT_KEY, grpc_slice_ref(remote->name));
    for (size_t i = 0; given && i < given->count; i++)
        out->metadata[out->metadata_count++] = afar__grpc_pair(
            given->entries[i].key, given->entries[i].value, given->entries[i].length);
    inherit(out, given, true);
    if (afar_call_current() && request->how != AFAR__START_DETACHED)
        add_chain(out, afar_call_current());
    return AFAR_OK;
}

static void
clear_sent(afar__outgoing *out)
{
    for (size_t i = 0; i < out->metadata_count; i++) {
        grpc_slice_unref(out->metadata[i].key);
        grpc_slice_unref(out->metadata[i].value);
    }
    out->metadata_count = 0;
    if (out->metadata != out->few)
        free(out->metadata);
    out->metadata = NULL;
}

/* What a call has before it starts. */
static void
drop(afar__outgoing *out)
{
    clear_sent(out);
    afar__link_unref(out->link);
}

static void
cancel_from_parent(afar__child *child)
{
    grpc_call_cancel(((afar__outgoing *)((char *)child - offsetof(afar__outgoing, child)))->call,
                     NULL);
}

/* It is cancelled with that call, and when it ends, perhaps now. */
static void
belong_to(afar__outgoing *out, afar_call *parent)
{
    afar__call_ref(parent);
    out->parent = parent;
    out->child.cancel = cancel_from_parent;
    if (!afar__call_adopt(parent, &out->child))
        grpc_call_cancel(out->call, NULL);
}

afar_code
afar__outgoing_open(afar__outgoing *out, afar__remote *remote, const afar__request *request,
                    afar_error *err)
{
    afar_call *current = afar_call_current();
    afar_code code;

    memset(out, 0, sizeof *out);
    out->method = request->method;
    out->deadline = request->deadline.ns;
    if (current && afar_call_deadline(current).ns < out->deadline)
        out->deadline = afar_call_deadline(current).ns;
    if (request->options && request->options->wait_for_ready)
        out->flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                     GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    out->link = afar__link_ref(remote->link);
    code = fill_metadata(out, remote, request, err);
    if (!code)
        code = afar__link_call(out->link, out, err);
    if (code) {
        drop(out);
        return code;
    }
    out->keep = remote->keep ? afar_object_share(remote->keep) : NULL;
    out->text = grpc_empty_slice();
    grpc_metadata_array_init(&out->initial);
    grpc_metadata_array_init(&out->trailing);
    if (current && request->how != AFAR__START_DETACHED)
        belong_to(out, current);
    return AFAR_OK;
}

void
afar__outgoing_cancel(afar__outgoing *out)
{
    grpc_call_cancel(out->call, NULL);
}

grpc_op
afar__outgoing_send_metadata(afar__outgoing *out)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    op.flags = out->flags;
    op.data.send_initial_metadata.count = out->metadata_count;
    op.data.send_initial_metadata.metadata = out->metadata;
    return op;
}

grpc_op
afar__outgoing_receive_metadata(afar__outgoing *out)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_INITIAL_METADATA;
    op.data.recv_initial_metadata.recv_initial_metadata = &out->initial;
    return op;
}

grpc_op
afar__outgoing_receive_status(afar__outgoing *out)
{
    grpc_op op;

    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &out->trailing;
    op.data.recv_status_on_client.status = &out->status;
    op.data.recv_status_on_client.status_details = &out->text;
    op.data.recv_status_on_client.error_string = &out->error_string;
    return op;
}

/* ---- messages ---- */

static afar_node *
node_of(const afar__link *link)
{
    return (afar_node *)afar__link_node(link);
}

afar_code
afar__outgoing_write(afar__link *link, const afar_method *method, const ProtobufCMessage *message,
                     afar__abroad *abroad, afar_error *err)
{
    afar__leaving leaving = { .what = method->path, .node = node_of(link), .fd = -1 };

    return afar__abroad_write(abroad, method->request_refs, message, &leaving, err);
}

afar_code
afar__outgoing_decode(const afar__outgoing *out, grpc_slice bytes, ProtobufCMessage **ret_message,
                      afar_error *err)
{
    afar_node *node = node_of(out->link);
    ProtobufCMessage *message = NULL;
    afar_code code = afar__decode_message(out->method->reply, GRPC_SLICE_START_PTR(bytes),
                                          GRPC_SLICE_LENGTH(bytes), &node->limits, &message, err);

    if (code)
        return code;
    code = afar__abroad_read(node, out->method->reply_refs, message, afar__message_arena(message),
                             err);
    if (code)
        afar_message_free(message);
    else
        *ret_message = message;
    return code;
}

/* ---- what came ---- */

/* Our own servers send the code beside the status when gRPC cannot say it. */
static bool
own_code(const afar__outgoing *out, afar_code *ret_code)
{
    const grpc_slice *value = afar__grpc_find(&out->trailing, AFAR__CODE_KEY);
    unsigned code = 0;

    if (!value || GRPC_SLICE_LENGTH(*value) == 0 || GRPC_SLICE_LENGTH(*value) > 3)
        return false;
    for (size_t i = 0; i < GRPC_SLICE_LENGTH(*value); i++) {
        uint8_t digit = GRPC_SLICE_START_PTR(*value)[i];

        if (digit < '0' || digit > '9')
            return false;
        code = code * 10 + (digit - '0');
    }
    if (code == AFAR_OK || (code > AFAR_UNAUTHENTICATED && code < AFAR_DEADLOCK) ||
        code > AFAR_MOVED || (unsigned)afar_code_status((afar_code)code) != (unsigned)out->status)
        return false;
    *ret_code = (afar_code)code;
    return true;
}

static bool
is_ambiguous(afar_code code)
{
    return code == AFAR_UNAVAILABLE || code == AFAR_CANCELLED || code == AFAR_DEADLINE_EXCEEDED ||
           code == AFAR_INTERNAL;
}

/* The core names the peer when something has come of it, if only that the connection broke;
 * before that it gives the address we asked for. */
bool
afar__outgoing_heard(const afar__outgoing *out)
{
    char *peer = grpc_call_get_peer(out->call);
    bool had = strncmp(peer, "ipv4:", 5) == 0 || strncmp(peer, "ipv6:", 5) == 0 ||
               strncmp(peer, "fd:", 3) == 0;
    /* A unix socket's peer looks like its target; then the status tells. */
    bool unix_peer = strncmp(peer, "unix:", 5) == 0;

    gpr_free(peer);
    if (unix_peer)
        had = !out->error_string || !strstr(out->error_string, "ailed to connect");
    return had;
}

static afar_code
fill_error(afar__outgoing *out, afar_error *err)
{
    afar_code code = (afar_code)(out->status > 16 ? AFAR_UNKNOWN : (int)out->status);
    const grpc_slice *details = afar__grpc_find(&out->trailing, AFAR__DETAILS_KEY);
    bool from_peer = out->error_string && strstr(out->error_string, "from peer");
    bool marked = own_code(out, &code);
    bool answered = from_peer && (marked || details || !is_ambiguous(code));
    char *text = grpc_slice_to_c_string(out->text);

    if (code == AFAR_UNAVAILABLE && !answered)
        afar__link_note_loss(out->link);
    if (answered && !*text)
        afar__fail_outcome(err, code, AFAR_OUTCOME_ANSWERED, true, "%s at %s: %s",
                           out->method->path, afar__link_address(out->link), afar_code_name(code));
    else if (answered)
        afar__fail_outcome(err, code, AFAR_OUTCOME_ANSWERED, true, "%s", text);
    else if (code == AFAR_DEADLINE_EXCEEDED)
        afar__outgoing_fail(out, err, code, AFAR_OUTCOME_UNKNOWN, "no answer before the deadline");
    else if (code != AFAR_CANCELLED && !afar__outgoing_heard(out))
        afar__outgoing_fail(out, err, code, AFAR_OUTCOME_NOT_SENT, "%s", text);
    else if (from_peer && code != AFAR_CANCELLED)
        afar__fail_outcome(err, code, AFAR_OUTCOME_UNKNOWN, false, "%s", text);
    else
        afar__outgoing_fail(out, err, code, AFAR_OUTCOME_UNKNOWN, "%s", text);
    gpr_free(text);
    if (details && err)
        afar__status_decode(GRPC_SLICE_START_PTR(*details), GRPC_SLICE_LENGTH(*details), err);
    return code;
}

afar_code
afar__outgoing_result(afar__outgoing *out, afar_error *err)
{
    if (out->status == GRPC_STATUS_OK)
        return AFAR_OK;
    return fill_error(out, err);
}

static const afar_metadata *
view(afar__outgoing *out, const grpc_metadata_array *received, unsigned which)
{
    static const afar_metadata nothing = { NULL, 0 };

    if (!out->arena)
        out->arena = afar__arena_new(512);
    if (!out->arena)
        return &nothing;
    if (!out->viewed[which] && afar__grpc_view(received, out->arena, &out->view[which], NULL))
        return &nothing;
    out->viewed[which] = true;
    return &out->view[which];
}

const afar_metadata *
afar__outgoing_initial(afar__outgoing *out)
{
    return view(out, &out->initial, 0);
}

const afar_metadata *
afar__outgoing_trailing(afar__outgoing *out)
{
    return view(out, &out->trailing, 1);
}

static void
clear_received(afar__outgoing *out)
{
    grpc_metadata_array_destroy(&out->initial);
    grpc_metadata_array_destroy(&out->trailing);
    grpc_slice_unref(out->text);
    gpr_free((void *)out->error_string);
    afar__arena_free(out->arena);
}

void
afar__outgoing_close(afar__outgoing *out)
{
    clear_received(out);
    grpc_call_unref(out->call);
    afar_object_close(out->keep);
    drop(out);
}
