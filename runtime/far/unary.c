/* Unary calls over connections: a future for each, or nothing for one that nobody waits for.
 *
 * The reply is read by the thread that pumps, where its bytes and references are.  The future's
 * references keep the question: one of the caller, one until it is fulfilled, and those that the
 * question is kept by. */

#include "runtime/decode.h"
#include "runtime/fail.h"
#include "runtime/far/far.h"
#include "runtime/far/objects.h"
#include "runtime/far/question.h"
#include "runtime/far/route.h"
#include "runtime/far/served.h"
#include "runtime/future.h"
#include "runtime/metadata.h"
#include "runtime/spare.h"

struct unary {
    afar_future future;
    ProtobufCMessage *reply;
    afar_error error;
    afar__arena *arena; /* of the metadata; NULL: none came */
    afar_metadata initial, trailing;
    afar__attempts attempts; /* over a route */
    afar__question question;
};

static struct unary *
unary_of(afar__question *question)
{
    return (struct unary *)((char *)question - offsetof(struct unary, question));
}

static void
ref_question(afar__question *question)
{
    afar__future_ref(&unary_of(question)->future);
}

static void
unref_question(afar__question *question)
{
    afar__future_unref(&unary_of(question)->future);
}

/* ---- what came ---- */

static afar_code
copy_pairs(struct unary *unary, const afar__session_pair *pairs, size_t count,
           afar_metadata *ret_metadata)
{
    if (count == 0)
        return AFAR_OK;
    if (!unary->arena)
        unary->arena = afar__arena_new(512);
    return unary->arena ? afar__far_metadata(pairs, count, unary->arena, ret_metadata)
                        : AFAR_RESOURCE_EXHAUSTED;
}

static afar_code
read_reply(struct unary *unary, const afar__session_event *answer)
{
    afar__question *question = &unary->question;
    const afar_method *method = question->method;
    afar__connection *connection = question->connection;
    ProtobufCMessage *reply = NULL;
    afar_code code =
        afar__decode_message(method->reply, answer->payload.data, answer->payload.length,
                             &afar__connection_node(connection)->limits, &reply, &unary->error);

    if (code) {
        afar__refs_refuse(connection, answer);
    } else {
        code = afar__refs_accept(connection, method->reply_refs, reply, answer,
                                 afar__message_arena(reply), &unary->error);
        if (code)
            afar_message_free(reply);
        else
            unary->reply = reply;
    }
    if (code)
        unary->error.outcome = AFAR_OUTCOME_ANSWERED;
    return code;
}

static void
read_answer(struct unary *unary, const afar__session_event *answer)
{
    if (copy_pairs(unary, answer->metadata, answer->metadata_count, &unary->initial) ||
        copy_pairs(unary, answer->trailing, answer->trailing_count, &unary->trailing)) {
        afar__refs_refuse(unary->question.connection, answer);
        afar__fail_outcome(&unary->error, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_ANSWERED, false,
                           "%s: no memory for metadata", unary->question.method->path);
    } else if (answer->code) {
        afar__refs_refuse(unary->question.connection, answer);
        afar__question_error(&unary->question, answer, &unary->error);
    } else {
        (void)read_reply(unary, answer);
    }
}

static void
over(struct unary *unary)
{
    afar__question_end(&unary->question);
    afar__future_fulfil(&unary->future);
}

static void
done(afar__question *question, const afar__session_event *answer, const afar_error *err)
{
    struct unary *unary = unary_of(question);

    if (answer)
        read_answer(unary, answer);
    else
        afar_error_copy(&unary->error, err);
    if (!afar__attempts_again(&unary->attempts, &unary->error))
        over(unary);
}

/* It found no connection, or no place. */
static void
failed(afar__attempts *attempts)
{
    struct unary *unary = (struct unary *)((char *)attempts - offsetof(struct unary, attempts));

    afar_error_move(&unary->error, &attempts->seek.error);
    over(unary);
}

static void
cancelled(afar__question *question)
{
    afar__attempts_cancel(&unary_of(question)->attempts);
}

static const afar__question_ops question_ops = {
    .done = done, .cancel = cancelled, .ref = ref_question, .unref = unref_question
};

/* ---- the future ---- */

static afar_code
take(afar_future *future, ProtobufCMessage **ret_reply, afar_error *err)
{
    struct unary *unary = (struct unary *)future;

    if (unary->error.code) {
        if (err)
            afar_error_copy(err, &unary->error);
        return unary->error.code;
    }
    *ret_reply = unary->reply;
    unary->reply = NULL;
    return AFAR_OK;
}

static void
cancel(afar_future *future)
{
    afar__question_cancel(&((struct unary *)future)->question);
}

static const afar_metadata *
metadata(afar_future *future, bool trailing)
{
    const struct unary *unary = (const struct unary *)future;

    return trailing ? &unary->trailing : &unary->initial;
}

static void
free_unary(afar_future *future)
{
    struct unary *unary = (struct unary *)future;

    afar__attempts_clear(&unary->attempts);
    afar__question_clear(&unary->question);
    afar_message_free(unary->reply);
    afar_error_clear(&unary->error);
    afar__arena_free(unary->arena);
    afar__spare_free(unary, sizeof *unary);
}

static const afar__future_ops ops = { take, cancel, metadata, free_unary };

/* ---- starting ---- */

/* Nobody waits for it, but that it was not sent is known already. */
static afar_code
in_vain(const struct unary *unary, afar_error *err)
{
    if (!unary->error.code || unary->error.outcome != AFAR_OUTCOME_NOT_SENT)
        return AFAR_OK;
    if (err)
        afar_error_copy(err, &unary->error);
    return unary->error.code;
}

afar_code
afar__far_start(afar_object *object, const afar__way *way, const afar__request *request,
                afar_future **ret_future, afar_error *err)
{
    struct unary *unary = afar__spare_alloc(sizeof *unary);
    afar_code code;

    if (!unary)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a call",
                         request->method->path);
    code = afar__question_init(&unary->question, &question_ops, afar__way_node(way), request, err);
    if (code) {
        afar__spare_free(unary, sizeof *unary);
        return code;
    }
    afar__future_init(&unary->future, &ops, request->method);
    unary->reply = NULL;
    afar__error_init(&unary->error);
    unary->arena = NULL;
    unary->initial = unary->trailing = (afar_metadata){ NULL, 0 };
    afar__attempts_init(&unary->attempts, way, &unary->question, request, failed);
    *ret_future = &unary->future;
    if (!way->route)
        afar__question_to(&unary->question, way->keep ? way->keep : object, way);
    afar__attempts_start(&unary->attempts, way);
    if (request->how == AFAR__START_DETACHED) {
        if (afar_future_done(&unary->future))
            code = in_vain(unary, err);
        *ret_future = NULL;
        afar__future_unref(&unary->future);
    }
    return code;
}
