/* Names that would meet in C.
 *
 * Everything that the generated code names at file scope is claimed for the
 * thing of the .proto file it stands for.  A name that is claimed by two things
 * is a complaint, at the second one; two things that meet in several names are
 * told once.  Types, functions, constants and macros share one table: where C
 * would let two of them be, a reader would still be lost.
 *
 * The names of imported files are claimed as well, without complaints of their
 * own, since both headers end up in one translation unit.  Members are claimed
 * struct by struct.  One thread. */

#include "idl/clash.h"

#include <string.h>

#include "idl/cname.h"
#include "idl/names.h"

/* Who has a name. */
typedef struct idl_claim {
    const char *what; /* "message", "field" ... */
    const char *name;
    const idl_file *file;
    idl_position position;
    struct meeting *met; /* with whom it met: told already */
} idl_claim;

typedef struct meeting {
    const idl_claim *with;
    struct meeting *next;
} meeting;

typedef struct idl_checker {
    idl_model *model;
    idl_names *names; /* C name -> claim */
} idl_checker;

static idl_claim *
make_claim(const idl_checker *checker, const char *what, const char *name, const idl_file *file,
           idl_position position)
{
    idl_claim *claim = pool_alloc(checker->model->pool, sizeof *claim);

    *claim = (idl_claim){ what, name, file, position, NULL };
    return claim;
}

/* Whether the two have met before; they have from now on. */
static bool
have_met(idl_pool *pool, idl_claim *claim, const idl_claim *other)
{
    for (const meeting *met = claim->met; met; met = met->next)
        if (met->with == other)
            return true;
    meeting *met = pool_alloc(pool, sizeof *met);
    *met = (meeting){ other, claim->met };
    claim->met = met;
    return false;
}

static const char *
place_of(idl_pool *pool, const idl_claim *claim, const idl_file *seen_from)
{
    if (claim->file != seen_from)
        return pool_format(pool, " (%s:%d)", claim->file->name, claim->position.line);
    return claim->position.line ? pool_format(pool, " (line %d)", claim->position.line) : "";
}

__attribute__((format(printf, 3, 4))) static void
take(idl_checker *checker, idl_claim *by, const char *format, ...)
{
    idl_pool *pool = checker->model->pool;
    va_list arguments;

    va_start(arguments, format);
    const char *c_name = pool_format_list(pool, format, arguments);
    va_end(arguments);
    if (!*c_name)
        return;
    idl_claim *holder = names_find(checker->names, c_name);
    if (!holder)
        names_add(checker->names, c_name, by);
    if (!holder || holder == by || have_met(pool, by, holder))
        return;
    complain(checker->model, by->file, by->position, "%s %s and %s %s%s would both be %s in C",
             by->what, by->name, holder->what, holder->name, place_of(pool, holder, by->file),
             c_name);
}

/* ---- members ---- */

/* Who claims for a message: as members of its struct, and at file scope. */
typedef struct message_claims {
    idl_claim **fields;
    idl_claim **oneofs;
} message_claims;

static message_claims
make_message_claims(const idl_checker *checker, const idl_message *message)
{
    idl_pool *pool = checker->model->pool;
    message_claims claims;

    claims.fields = pool_array(pool, message->field_count, sizeof *claims.fields);
    for (size_t i = 0; i < message->field_count; i++)
        claims.fields[i] = make_claim(checker, "field", message->fields[i].name, message->file,
                                      message->fields[i].position);
    claims.oneofs = pool_array(pool, message->oneof_count, sizeof *claims.oneofs);
    for (size_t i = 0; i < message->oneof_count; i++)
        claims.oneofs[i] = make_claim(checker, "oneof", message->oneofs[i].name, message->file,
                                      message->oneofs[i].position);
    return claims;
}

static void
check_base(const idl_checker *checker, const idl_message *message, const idl_field *field)
{
    if (!strcmp(field->member, message->base))
        complain(checker->model, message->file, field->position,
                 "field %s would be %s in C, like the member that every message begins with; "
                 "(pb_c_msg).base_field_name renames that one",
                 field->name, field->member);
}

static void
check_members(idl_model *model, const idl_message *message, const message_claims *claims)
{
    idl_checker members = { model, names_new(model->pool) };

    for (size_t i = 0; i < message->field_count; i++) {
        const idl_field *field = &message->fields[i];

        check_base(&members, message, field);
        take(&members, claims->fields[i], "%s", field->member);
        if (field->label == LABEL_REPEATED)
            take(&members, claims->fields[i], "n_%s", field->member);
        if (field_has_flag(field))
            take(&members, claims->fields[i], "has_%s", field->member);
    }
    for (size_t i = 0; i < message->oneof_count; i++)
        take(&members, claims->oneofs[i], "%s_case", message->oneofs[i].member);
}

/* ---- messages and enums ---- */

static void
take_enum(idl_checker *checker, const idl_enumeration *enumeration)
{
    idl_claim *claim = make_claim(checker, "enum", enumeration->full_name, enumeration->file,
                                  enumeration->position);

    take(checker, claim, "%s", enumeration->c_type);
    take(checker, claim, "%s__descriptor", enumeration->lower);
    take(checker, claim, "_%s_IS_INT_SIZE", enumeration->upper);
    for (size_t i = 0; i < enumeration->value_count; i++) {
        const enum_value *value = &enumeration->values[i];

        take(checker,
             make_claim(checker, "enum value", value->name, enumeration->file, value->position),
             "%s", value->c_name);
    }
}

static void
take_oneof(idl_checker *checker, const idl_message *message, size_t index,
           const message_claims *claims)
{
    const idl_oneof *oneof = &message->oneofs[index];
    idl_claim *claim = claims->oneofs[index];

    take(checker, claim, "%s", oneof->c_type);
    take(checker, claim, "%s__NOT_SET", oneof->upper);
    take(checker, claim, "_%s__CASE_IS_INT_SIZE", oneof->upper);
    for (size_t i = 0; i < oneof->field_count; i++)
        take(checker, claims->fields[oneof->fields[i] - message->fields], "%s_%s", oneof->upper,
             cname_upper(checker->model->pool, oneof->fields[i]->name));
}

static void
take_references(idl_checker *checker, idl_claim *claim, const message_claims *claims,
                const idl_message *message)
{
    static const char *const verbs[] = { "put", "give", "take", NULL };

    if (!message->has_references)
        return;
    take(checker, claim, "%s_refs", message->stub);
    take(checker, claim, "%s_ref_fields", message->stub);
    for (size_t i = 0; i < message->field_count; i++) {
        const idl_field *field = &message->fields[i];

        if (!field->message_type ||
            !(field->message_type->is_reference || field->message_type->end))
            continue;
        for (const char *const *verb = verbs; *verb; verb++)
            take(checker, claims->fields[i], "%s_%s_%s", message->stub, *verb, field->member);
    }
}

static void
take_channel(idl_checker *checker, idl_claim *claim, const idl_message *message)
{
    static const char *const names[] = { "channel_type", "rendezvous_new", "buffered_new", "send",
                                         "post",         "flush",          "receive",      NULL };
    static const char *const of_ends[] = { "",       "_base",       "_object", "_open",
                                           "_share", "_poison",     "_close",  "_interface",
                                           "_refs",  "_ref_fields", NULL };

    if (!message->is_channel)
        return;
    for (const char *const *name = names; *name; name++)
        take(checker, claim, "%s_%s", message->stub, *name);
    for (const char *const *name = of_ends; *name; name++) {
        take(checker, claim, "%s_sender%s", message->stub, *name);
        take(checker, claim, "%s_receiver%s", message->stub, *name);
    }
    take(checker, claim, "%s_sender_finish", message->stub);
}

static void
take_message_functions(idl_checker *checker, idl_claim *claim, const idl_message *message)
{
    static const char *const functions[] = { "descriptor",     "init",   "get_packed_size", "pack",
                                             "pack_to_buffer", "unpack", "free_unpacked",   NULL };

    for (const char *const *function = functions; *function; function++)
        take(checker, claim, "%s__%s", message->lower, *function);
    if (!message->is_error)
        return;
    take(checker, claim, "%s_of", message->stub);
    take(checker, claim, "%s_fail", message->stub);
}

static void
take_message(idl_checker *checker, const idl_message *message)
{
    idl_claim *claim =
        make_claim(checker, "message", message->full_name, message->file, message->position);
    message_claims claims = make_message_claims(checker, message);

    take(checker, claim, "%s", message->c_type);
    take(checker, claim, "%s__INIT", message->upper);
    take_message_functions(checker, claim, message);
    take_references(checker, claim, &claims, message);
    take_channel(checker, claim, message);
    for (size_t i = 0; i < message->oneof_count; i++)
        take_oneof(checker, message, i, &claims);
    for (size_t i = 0; i < message->message_count; i++)
        take_message(checker, &message->messages[i]);
    for (size_t i = 0; i < message->enum_count; i++)
        take_enum(checker, &message->enums[i]);
    check_members(checker->model, message, &claims);
}

/* ---- services ---- */

static void
take_stream(idl_checker *checker, idl_claim *claim, const idl_method *method)
{
    static const char *const parts[] = { "stream", "stream_base", "close", "server_stream", NULL };

    for (const char *const *part = parts; *part; part++)
        take(checker, claim, "%s_%s", method->part, *part);
    if (method->client_streams) {
        take(checker, claim, "%s_send", method->part);
        take(checker, claim, "%s_finish", method->part);
        take(checker, claim, "%s_server_receive", method->part);
    }
    if (method->server_streams) {
        take(checker, claim, "%s_receive", method->part);
        take(checker, claim, "%s_server_send", method->part);
    }
}

static void
take_method(idl_checker *checker, const idl_method *method)
{
    idl_claim *claim =
        make_claim(checker, "method", method->name, method->service->file, method->position);

    take(checker, claim, "%s", method->stub);
    take(checker, claim, "serve_%s", method->stub);
    if (method->client_streams || method->server_streams) {
        take_stream(checker, claim, method);
    } else if (!method->oneway) {
        take(checker, claim, "%s_start", method->part);
        take(checker, claim, "%s_await", method->part);
    }
}

static void
take_service(idl_checker *checker, const idl_service *service)
{
    static const char *const parts[] = { "object",    "open",    "close",  "new",
                                         "interface", "methods", "method", NULL };
    idl_claim *claim =
        make_claim(checker, "service", service->full_name, service->file, service->position);

    take(checker, claim, "%s", service->c_type);
    for (const char *const *part = parts; *part; part++)
        take(checker, claim, "%s_%s", service->stub, *part);
    for (size_t i = 0; i < service->method_count; i++)
        take_method(checker, &service->methods[i]);
}

static void
take_file(idl_checker *checker, const idl_file *file)
{
    idl_claim *claim = make_claim(checker, "the file", file->name, file, (idl_position){ 1, 1 });

    take(checker, claim, "afar_file_%s", file->symbol);
    take(checker, claim, "%s", cname_stub_guard(checker->model->pool, file->name));
    take(checker, claim, "%s_descriptor", file->symbol);
    take(checker, claim, "%s_imports", file->symbol);
    for (size_t i = 0; i < file->message_count; i++)
        take_message(checker, &file->messages[i]);
    for (size_t i = 0; i < file->enum_count; i++)
        take_enum(checker, &file->enums[i]);
    for (size_t i = 0; i < file->service_count; i++)
        take_service(checker, &file->services[i]);
}

void
check_names(idl_model *model)
{
    idl_checker checker = { model, names_new(model->pool) };

    for (size_t i = 0; i < model->file_count; i++)
        take_file(&checker, &model->files[i]);
}
