/* Questions: what goes out with a call, when it is sent, and how it ends.
 *
 * Who waits is in a list of the connection, in order; a new question goes behind them, so calls never
 * overtake each other.  An answer makes room for the next.
 *
 * A deadline ends the question here and now, and tells the peer to give up; its answer finds
 * nobody any more.  A cancelled one ends with its answer, which the peer owes.
 *
 * A question that belongs to a call that is being served is cancelled with it, on a library thread:
 * the end of that call comes under a lock (call.h). */

#include "runtime/far/question.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/fail.h"
#include "runtime/far/objects.h"
#include "runtime/status.h"

/* Of oneway calls that wait for the peer: nobody would notice that they get more and more. */
#define MOST_UNWATCHED ((size_t)64 << 20)
#define COST ((size_t)3 << 10) /* of one, beside its message */

/* ---- what is inherited ---- */

static bool
travels(const afar_node *node, const afar_metadata *given, const afar_metadata_entry *entry)
{
    return afar__node_travels(node, entry->key) &&
           !(given && afar_metadata_find(given, entry->key, NULL));
}

static bool
add_pair(afar__question *question, const afar_metadata_entry *entry)
{
    afar__session_pair *pair = &question->metadata[question->metadata_count];

    pair->key.length = strlen(entry->key);
    pair->key.data = afar__arena_memdup(question->arena, entry->key, pair->key.length);
    pair->value.length = entry->length;
    pair->value.data = afar__arena_memdup(question->arena, entry->value, entry->length);
    question->metadata_count++;
    return pair->key.data && pair->value.data;
}

static afar_code
fill_metadata(afar__question *question, const afar_node *node, const afar_metadata *given,
              afar_error *err)
{
    afar_call *current = afar_call_current();
    const afar_metadata *above = current ? afar_call_metadata(current) : NULL;
    size_t room = (given ? given->count : 0) + (above ? above->count : 0);
    bool ok = true;

    if (room == 0)
        return AFAR_OK;
    if (given) {
        afar_code code = afar_metadata_check(given, err);
        if (code)
            return code;
    }
    question->arena = afar__arena_new(512);
    if (question->arena)
        question->metadata = afar__arena_alloc(question->arena, room * sizeof *question->metadata);
    ok = question->metadata != NULL;
    for (size_t i = 0; ok && given && i < given->count; i++)
        ok = add_pair(question, &given->entries[i]);
    for (size_t i = 0; ok && above && i < above->count; i++)
        if (travels(node, given, &above->entries[i]))
            ok = add_pair(question, &above->entries[i]);
    return ok ? AFAR_OK
              : afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for %zu pairs of metadata",
                          room);
}

/* The calls this one descends from, the current one last. */
static void
fill_chain(afar__question *question, afar_call *current)
{
    unsigned skip = current->chain_length == AFAR__CHAIN ? 1 : 0;

    for (unsigned i = skip; i < current->chain_length; i++)
        question->chain[question->chain_length++] = current->chain[i];
    question->chain[question->chain_length++] = afar__call_id(current);
}

/* ---- life ---- */

static void
run_cancel(afar__task *task)
{
    afar__question *question =
        (afar__question *)((char *)task - offsetof(afar__question, cancel_task));

    afar__question_cancel(question);
    question->ops->unref(question);
}

static void
cancel_from_parent(afar__child *child)
{
    afar__question *question = (afar__question *)((char *)child - offsetof(afar__question, child));

    if (atomic_exchange(&question->cancelling, true))
        return;
    question->ops->ref(question);
    question->cancel_task.run = run_cancel;
    afar__engine_run(&question->cancel_task);
}

static void
set_up(afar__question *question, const afar__question_ops *ops, const afar__request *request)
{
    memset(question, 0, offsetof(afar__question, packed));
    question->ops = ops;
    question->method = request->method;
    afar__error_init(&question->error);
    question->oneway = request->how == AFAR__START_DETACHED;
    question->child.cancel = cancel_from_parent;
    question->deadline = request->deadline.ns;
    pthread_mutex_init(&question->lock, NULL);
    afar__packed_init(&question->packed);
}

afar_code
afar__question_init(afar__question *question, const afar__question_ops *ops, afar_node *node,
                    const afar__request *request, afar_error *err)
{
    afar_call *current = request->how == AFAR__START_ALONE ? NULL : afar_call_current();
    afar_code code = AFAR_OK;

    set_up(question, ops, request);
    if (current) {
        if (afar_call_deadline(current).ns < question->deadline)
            question->deadline = afar_call_deadline(current).ns;
        if (!question->oneway)
            fill_chain(question, current);
    }
    if (current || request->options)
        code = fill_metadata(question, node, request->options ? request->options->metadata : NULL,
                             err);
    if (!code && request->message)
        code = afar__packed_fill(&question->packed, request->message, request->method->request_refs,
                                 err);
    if (code)
        afar__question_clear(question);
    else if (!question->oneway)
        question->parent = current;
    return code;
}

void
afar__question_to(afar__question *question, afar_object *keep, const afar__way *way)
{
    question->target = afar_object_share(keep);
    question->import = way->import;
    question->name = way->name;
}

static void
let_go_of_parent(afar__question *question)
{
    afar_call *parent = question->parent;

    if (!parent || !question->adopted)
        return;
    afar__call_disown(parent, &question->child);
    question->parent = NULL;
    afar__call_unref(parent);
}

void
afar__question_end(afar__question *question)
{
    let_go_of_parent(question);
    afar__sending_close(&question->sending);
    afar__packed_clear(&question->packed);
    afar__arena_free(question->arena);
    question->arena = NULL;
    afar_object_close(question->target);
    question->target = NULL;
}

void
afar__question_clear(afar__question *question)
{
    afar__question_end(question);
    afar_error_clear(&question->error);
    afar__connection_unref(question->connection);
    pthread_mutex_destroy(&question->lock);
}

/* ---- lists, under the lock ---- */

static void
add_locked(afar__connection *connection, afar__question *question)
{
    question->next = connection->questions;
    question->link = &connection->questions;
    if (question->next)
        question->next->link = &question->next;
    connection->questions = question;
    connection->asking++;
}

static void
remove_locked(afar__connection *connection, afar__question *question)
{
    connection->asking--;
    *question->link = question->next;
    if (question->next)
        question->next->link = question->link;
    question->link = NULL;
}

static void
wait_locked(afar__connection *connection, afar__question *question)
{
    question->state = AFAR__QUESTION_WAITING;
    question->next_waiting = NULL;
    question->link_waiting = connection->last_waiting;
    *connection->last_waiting = question;
    connection->last_waiting = &question->next_waiting;
    if (question->oneway)
        connection->unwatched += COST + question->packed.length;
}

static void
stop_waiting_locked(afar__connection *connection, afar__question *question)
{
    *question->link_waiting = question->next_waiting;
    if (question->next_waiting)
        question->next_waiting->link_waiting = question->link_waiting;
    else
        connection->last_waiting = question->link_waiting;
    if (question->oneway)
        connection->unwatched -= COST + question->packed.length;
}

/* To be told by who pumps, in this order. */
static void
add_failed_locked(afar__connection *connection, afar__question *question)
{
    question->next_waiting = NULL;
    *connection->last_failed = question;
    connection->last_failed = &question->next_waiting;
}

/* It was never sent.  Who pumps tells it. */
static void
fail_locked(afar__connection *connection, afar__question *question)
{
    if (question->state == AFAR__QUESTION_WAITING)
        stop_waiting_locked(connection, question);
    question->state = AFAR__QUESTION_FAILED;
    add_failed_locked(connection, question);
}

static void
fail_closing_locked(afar__connection *connection, afar__question *question)
{
    afar_code code = connection->why.code ? connection->why.code : AFAR_UNAVAILABLE;

    /* What came in a message went with the session; a name can be opened again. */
    afar__fail_outcome(&question->error, code, AFAR_OUTCOME_NOT_SENT, false, "%s at %s%s",
                       question->method->path,
                       connection->why.code ? connection->why.message : connection->address,
                       question->name ? "" : "; the reference is broken, get a new one");
    fail_locked(connection, question);
}

/* ---- sending ---- */

static void
fill_target(const afar__question *question, afar__session_target *target)
{
    if (!question->name) {
        target->kind = AFAR__SESSION_OBJECT;
        target->import = question->import;
    } else {
        target->kind = AFAR__SESSION_NAMED;
        target->name.data = question->name;
        target->name.length = strlen(question->name);
    }
}

static afar_code
call_locked(afar__connection *connection, afar__question *question)
{
    afar__session_request request = {
        .user = question,
        .method = question->method->path,
        .deadline = question->deadline,
        .chain = question->chain,
        .chain_length = question->chain_length,
        .metadata = question->metadata,
        .metadata_count = question->metadata_count,
        .payload = { question->packed.data, question->packed.length },
        .reference_count = question->packed.refs.count,
        .oneway = question->oneway,
    };
    afar__sending *sending = &question->sending;
    afar_code code;

    fill_target(question, &request.target);
    afar__sending_fill_locked(sending);
    request.references = sending->references;
    code = afar__session_call(connection->session, &request, &question->id, &question->error);
    if (!code)
        afar__sending_sent_locked(sending);
    return code;
}

/* Another process may be at the address by now. */
static bool
is_expected_locked(const afar__connection *connection, const afar__question *question)
{
    return !question->expects || memcmp(afar__session_peer_instance(connection->session),
                                        question->instance, sizeof question->instance) == 0;
}

static void
send_locked(afar__connection *connection, afar__question *question)
{
    if (!is_expected_locked(connection, question)) {
        afar__fail_outcome(&question->error, AFAR_MOVED, AFAR_OUTCOME_ANSWERED, true,
                           "%s at %s: another process is at this address now",
                           question->method->path, connection->address);
        fail_locked(connection, question);
        return;
    }
    if (call_locked(connection, question)) {
        char text[sizeof question->error.message];
        afar_code code = question->error.code;

        memcpy(text, question->error.message, sizeof text);
        afar__fail_outcome(&question->error, code, AFAR_OUTCOME_NOT_SENT, false, "%s at %s: %s",
                           question->method->path, connection->address, text);
        fail_locked(connection, question);
        return;
    }
    if (question->state == AFAR__QUESTION_WAITING)
        stop_waiting_locked(connection, question);
    question->state = AFAR__QUESTION_SENT;
    if (question->ops->sent)
        question->ops->sent(question);
}

static bool
can_send_locked(const afar__connection *connection)
{
    return connection->opened && !connection->closing &&
           afar__session_can_call(connection->session);
}

void
afar__questions_send_locked(afar__connection *connection)
{
    while (connection->waiting && (connection->closing || can_send_locked(connection))) {
        afar__question *question = connection->waiting;

        if (connection->closing)
            fail_closing_locked(connection, question);
        else
            send_locked(connection, question);
    }
}

static void
start_locked(afar__connection *connection, afar__question *question)
{
    add_locked(connection, question);
    if (question->deadline != AFAR__NEVER)
        afar__connection_watch_locked(connection, question->deadline);
    if (connection->closing) {
        fail_closing_locked(connection, question);
    } else if (question->oneway && connection->unwatched > MOST_UNWATCHED) {
        afar__fail_outcome(&question->error, AFAR_RESOURCE_EXHAUSTED, AFAR_OUTCOME_NOT_SENT, false,
                           "%s at %s: %zu MiB of calls that nobody waits for wait to be sent",
                           question->method->path, connection->address, MOST_UNWATCHED >> 20);
        fail_locked(connection, question);
    } else if (connection->waiting || !can_send_locked(connection)) {
        wait_locked(connection, question);
        afar__questions_send_locked(connection);
    } else {
        send_locked(connection, question);
    }
}

static void
cancel_locked(afar__connection *connection, afar__question *question)
{
    if (question->state == AFAR__QUESTION_SENT) {
        afar__session_cancel(connection->session, question->id);
    } else if (question->state == AFAR__QUESTION_WAITING) {
        afar__fail_outcome(&question->error, AFAR_CANCELLED, AFAR_OUTCOME_NOT_SENT, false,
                           "%s at %s: cancelled before it was sent", question->method->path,
                           connection->address);
        fail_locked(connection, question);
    }
}

/* The parent may have ended meanwhile: then the question begins cancelled. */
void
afar__question_belongs(afar__question *question)
{
    afar_call *parent = question->parent;

    if (!parent || question->adopted)
        return;
    afar__call_ref(parent);
    question->adopted = true;
    if (!afar__call_adopt(parent, &question->child))
        cancel_from_parent(&question->child);
}

/* What goes beside its message over that connection: found out now, while no lock is held. */
static afar_code
prepare(afar__question *question, afar__connection *connection, afar_error *err)
{
    afar__ref_list *refs = &question->packed.refs;
    afar_code code = refs->count > 0 ? afar__refs_prepare(connection, refs, err) : AFAR_OK;

    afar__sending_close(&question->sending);
    return code ? code : afar__sending_open(&question->sending, connection, refs, err);
}

void
afar__question_ask(afar__question *question, afar__connection *connection)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__connection *last;

    afar__question_belongs(question);
    if (prepare(question, connection, &err)) {
        question->ops->done(question, NULL, &err);
        afar_error_clear(&err);
        return;
    }
    question->ops->ref(question);
    pthread_mutex_lock(&question->lock);
    last = question->connection;
    question->connection = afar__connection_ref(connection);
    pthread_mutex_lock(&connection->lock);
    question->told = false;
    start_locked(connection, question);
    if (question->cancelled)
        cancel_locked(connection, question);
    pthread_mutex_unlock(&question->lock);
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(last);
}

/* ---- giving up ---- */

void
afar__question_cancel(afar__question *question)
{
    afar__connection *connection;

    if (question->ops->cancel)
        question->ops->cancel(question);
    pthread_mutex_lock(&question->lock);
    question->cancelled = true;
    connection = question->connection ? afar__connection_ref(question->connection) : NULL;
    if (connection) {
        pthread_mutex_lock(&connection->lock);
        if (question->link)
            cancel_locked(connection, question);
    }
    pthread_mutex_unlock(&question->lock);
    if (!connection)
        return;
    afar__connection_pump_locked(connection);
    pthread_mutex_unlock(&connection->lock);
    afar__connection_unref(connection);
}

/* Not those that have said that they end: cancelled, they would look as if they had not. */
void
afar__questions_cancel_locked(afar__connection *connection)
{
    for (afar__question *question = connection->questions; question; question = question->next)
        if (!atomic_load(&question->ending))
            cancel_locked(connection, question);
    afar__connection_pump_locked(connection);
}

static void
expire_locked(afar__connection *connection, afar__question *question)
{
    bool sent = question->state == AFAR__QUESTION_SENT;

    afar__fail_outcome(&question->error, AFAR_DEADLINE_EXCEEDED,
                       sent ? AFAR_OUTCOME_UNKNOWN : AFAR_OUTCOME_NOT_SENT, false,
                       "%s at %s: %s before the deadline", question->method->path,
                       connection->address, sent ? "no answer" : "not sent");
    if (!sent) {
        fail_locked(connection, question);
        return;
    }
    /* The peer's answer may come at once: the telling keeps it. */
    question->told = true;
    question->ops->ref(question);
    add_failed_locked(connection, question);
    afar__session_cancel(connection->session, question->id);
}

int64_t
afar__questions_expire_locked(afar__connection *connection, int64_t now)
{
    int64_t earliest = AFAR__NEVER;

    for (afar__question *question = connection->questions; question; question = question->next) {
        if (question->told || question->state == AFAR__QUESTION_FAILED)
            continue;
        if (question->deadline <= now)
            expire_locked(connection, question);
        else if (question->deadline < earliest)
            earliest = question->deadline;
    }
    return earliest;
}

/* ---- how it ends ---- */

/* Those that were not sent leave the connection here; the others with their answer. */
void
afar__questions_tell(afar__connection *connection, afar__question *failed)
{
    for (afar__question *next, *question = failed; question; question = next) {
        afar_error err = AFAR_ERROR_INIT;

        pthread_mutex_lock(&connection->lock);
        next = question->next_waiting;
        afar_error_move(&err, &question->error);
        if (question->state == AFAR__QUESTION_FAILED) {
            remove_locked(connection, question);
            question->told = true;
            question->state = AFAR__QUESTION_MADE;
        }
        pthread_mutex_unlock(&connection->lock);
        question->ops->done(question, NULL, &err);
        afar_error_clear(&err);
        question->ops->unref(question);
    }
}

void
afar__question_returned_locked(afar__connection *connection, afar__question *question)
{
    remove_locked(connection, question);
    question->late = question->told;
    question->told = true;
    question->state = AFAR__QUESTION_MADE;
    if (connection->waiting)
        afar__questions_send_locked(connection);
}

static void
returned(afar__connection *connection, afar__question *question, const afar__session_event *event)
{
    if (question->late)
        afar__refs_refuse(connection, event);
    else
        question->ops->done(question, event, NULL);
    question->ops->unref(question);
}

/* Of a call that has no stream: nobody receives it. */
static void
ignore_item(afar__connection *connection, afar__question *question,
            const afar__session_event *event)
{
    afar__refs_refuse(connection, event);
    pthread_mutex_lock(&connection->lock);
    afar__session_taken(connection->session, question->id, event->cost, true);
    connection->again = true;
    pthread_mutex_unlock(&connection->lock);
}

void
afar__question_event(afar__connection *connection, const afar__session_event *event)
{
    afar__question *question = event->user;

    if (event->kind == AFAR__SESSION_RETURNED)
        returned(connection, question, event);
    else if (event->kind == AFAR__SESSION_ITEM && !question->ops->item)
        ignore_item(connection, question, event);
    else if (event->kind == AFAR__SESSION_ITEM)
        question->ops->item(question, event);
    else
        question->ops->writable(question);
}

afar_code
afar__question_error(const afar__question *question, const afar__session_event *answer,
                     afar_error *err)
{
    const char *path = question->method->path, *address = question->connection->address;
    int length = (int)(answer->text.length > 255 ? 255 : answer->text.length);
    const char *text = answer->text.data;
    afar_code code = answer->code;

    if (length == 0) {
        text = afar_code_name(code);
        length = (int)strlen(text);
    }
    if (answer->remote && answer->text.length > 0)
        afar__fail_outcome(err, code, answer->outcome, true, "%.*s", length, text);
    else
        afar__fail_outcome(err, code, answer->outcome, answer->remote, "%s at %s: %.*s", path,
                           address, length, text);
    if (err && answer->details.length > 0)
        afar__status_decode(answer->details.data, answer->details.length, err);
    return code;
}
