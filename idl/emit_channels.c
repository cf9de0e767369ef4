/* The parts of x.afar.h and x.afar.c about channels: for each message that is marked with
 * (afar.channel) the types of the two ends, libafar's functions for them with types added, and
 * the tables that these need.
 *
 * An end is libafar's behind another name, as a reference is.  The functions are inline, for they
 * are next to nothing: casts of what goes in and of what comes out.  All are made from rows of one
 * table, by what they hand out.
 *
 * The plan of where the reference in an end is stands here too, for the fields of all messages that
 * pass such ends.  One thread. */

#include <string.h>

#include "idl/emit.h"
#include "idl/signature.h"

/* What a function hands out. */
typedef enum outcome {
    OUTCOME_NOTHING,
    OUTCOME_RETURNED, /* as libafar returns it */
    OUTCOME_ENDS,     /* one of each kind */
    OUTCOME_END,
    OUTCOME_OPENED, /* an end, of what libafar opens as an object */
    OUTCOME_MESSAGE
} outcome;

/* A function that calls one of libafar.  Of the texts, all but the comment are templates (words_of);
 * lists have ", " between their items. */
typedef struct channel_function {
    const char *comment; /* NULL for none */
    const char *returns;
    const char *name; /* behind that of the message */
    const char *parameters;
    const char *calls;
    const char *arguments;
    outcome outcome;
} channel_function;

/* What stands in front of the call, and what behind it. */
static const struct {
    const char *begin;
    const char *end;
} bodies[] = {
    [OUTCOME_NOTHING] = { "    ", "" },
    [OUTCOME_RETURNED] = { "    return ", "" },
    [OUTCOME_ENDS] = { "    afar_sender *sender = NULL;\n"
                       "    afar_receiver *receiver = NULL;\n"
                       "    afar_code code = ",
                       "\n"
                       "    if (code == AFAR_OK) {\n"
                       "        *ret_sender = ($entry$_sender *)sender;\n"
                       "        *ret_receiver = ($entry$_receiver *)receiver;\n"
                       "    }\n"
                       "    return code;\n" },
    [OUTCOME_END] = { "    afar_$end$ *made = NULL;\n"
                      "    afar_code code = ",
                      "\n"
                      "    if (code == AFAR_OK)\n"
                      "        *ret_$end$ = ($entry$_$end$ *)made;\n"
                      "    return code;\n" },
    [OUTCOME_OPENED] = { "    afar_$end$ *made = NULL;\n"
                         "    afar_object *object = NULL;\n"
                         "    afar_code code = ",
                         "\n"
                         "    if (code == AFAR_OK)\n"
                         "        code = afar_$end$_on(object, &$entry$_channel_type, &made, "
                         "err);\n"
                         "    if (code == AFAR_OK)\n"
                         "        *ret_$end$ = ($entry$_$end$ *)made;\n"
                         "    afar_object_close(object);\n"
                         "    return code;\n" },
    [OUTCOME_MESSAGE] = { "    ProtobufCMessage *message = NULL;\n"
                          "    afar_code code = ",
                          "\n"
                          "    if (ret_message && code == AFAR_OK)\n"
                          "        *ret_message = ($type$ *)message;\n"
                          "    return code;\n" },
};

#define INLINE "static inline "
#define INLINE_CODE "AFAR_MUST_USE static inline afar_code"

/* What both ends have that the rest needs. */
static const channel_function conversions[] = {
    { NULL, INLINE "afar_$end$ *", "$end$_base", "$entry$_$end$ *$end$", NULL, NULL,
      OUTCOME_RETURNED },
    { NULL, INLINE "afar_object *", "$end$_object", "$entry$_$end$ *$end$", "afar_$end$_object",
      "$entry$_$end$_base($end$)", OUTCOME_RETURNED },
};

static const channel_function functions[] = {
    { "A send is done when a receiver has the message.", INLINE_CODE, "rendezvous_new",
      "$entry$_sender **ret_sender, $entry$_receiver **ret_receiver, afar_error *err",
      "afar_rendezvous_new", "&$entry$_channel_type, &sender, &receiver, err", OUTCOME_ENDS },
    { "A send is done when the home has the message among those `capacity`.", INLINE_CODE,
      "buffered_new",
      "unsigned capacity, $entry$_sender **ret_sender, $entry$_receiver **ret_receiver, "
      "afar_error *err",
      "afar_buffered_new", "&$entry$_channel_type, capacity, &sender, &receiver, err",
      OUTCOME_ENDS },
    { NULL, INLINE_CODE, "send",
      "$entry$_sender *sender, const $type$ *message, afar_deadline deadline, afar_error *err",
      "afar_sender_send", "$entry$_sender_base(sender), &message->$base$, deadline, err",
      OUTCOME_RETURNED },
    { NULL, INLINE_CODE, "post",
      "$entry$_sender *sender, const $type$ *message, afar_deadline deadline, afar_error *err",
      "afar_sender_post", "$entry$_sender_base(sender), &message->$base$, deadline, err",
      OUTCOME_RETURNED },
    { NULL, INLINE_CODE, "flush", "$entry$_sender *sender, afar_deadline deadline, afar_error *err",
      "afar_sender_flush", "$entry$_sender_base(sender), deadline, err", OUTCOME_RETURNED },
    { "The message is the caller's: afar_message_free.", INLINE_CODE, "receive",
      "$entry$_receiver *receiver, afar_deadline deadline, $type$ **ret_message, afar_error *err",
      "afar_receiver_receive",
      "$entry$_receiver_base(receiver), deadline, ret_message ? &message : NULL, err",
      OUTCOME_MESSAGE },
    { "No more from this end.", INLINE "afar_code", "sender_finish",
      "$entry$_sender *sender, afar_deadline deadline, afar_error *err", "afar_sender_finish",
      "$entry$_sender_base(sender), deadline, err", OUTCOME_RETURNED },
};

/* What both ends have. */
static const channel_function functions_of_ends[] = {
    { "Opens the end that is exported under that name (afar/client.h).", INLINE_CODE, "$end$_open",
      "afar_client *client, const char *name, afar_deadline deadline, $entry$_$end$ **ret_$end$, "
      "afar_error *err",
      "afar_object_open", "client, name, $entry$_channel_type.$end$, deadline, &object, err",
      OUTCOME_OPENED },
    { NULL, INLINE_CODE, "$end$_share",
      "$entry$_$end$ *$end$, $entry$_$end$ **ret_$end$, afar_error *err", "afar_$end$_share",
      "$entry$_$end$_base($end$), &made, err", OUTCOME_END },
    { NULL, INLINE "void", "$end$_poison", "$entry$_$end$ *$end$, const char *reason",
      "afar_$end$_poison", "$entry$_$end$_base($end$), reason", OUTCOME_NOTHING },
    { "Lets go of the end; NULL is allowed.", INLINE "void", "$end$_close", "$entry$_$end$ *$end$",
      "afar_$end$_close", "$entry$_$end$_base($end$)", OUTCOME_NOTHING },
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { WORD_COUNT = 6 };

/* `end` may be NULL where no template has it. */
static void
words_of(const idl_message *message, const char *end, word words[WORD_COUNT])
{
    const word all[WORD_COUNT] = { { "entry", message->stub },  { "type", message->c_type },
                                   { "lower", message->lower }, { "base", message->base },
                                   { end ? "end" : NULL, end }, { NULL, NULL } };

    memcpy(words, all, sizeof all);
}

static char *
expand(idl_pool *pool, const word *words, const char *template)
{
    idl_writer text = writer_make(pool);

    write_template(&text, words, template);
    return text.text;
}

static idl_list
expand_list(idl_pool *pool, const word *words, const char *template)
{
    idl_list list = list_make(pool);
    char *text = expand(pool, words, template);

    for (char *comma; (comma = strstr(text, ", ")); text = comma + 2) {
        *comma = '\0';
        list_add(&list, "%s", text);
    }
    list_add(&list, "%s", text);
    return list;
}

static void
write_function(idl_writer *writer, const word *words, const char *entry,
               const channel_function *function)
{
    idl_pool *pool = writer->pool;
    idl_signature signature =
        signature_make(pool, expand(pool, words, function->returns),
                       pool_format(pool, "%s_%s", entry, expand(pool, words, function->name)));

    if (function->comment)
        emit_comment(writer, 0, "", function->comment);
    signature.parameters = expand_list(pool, words, function->parameters);
    write_signature(writer, &signature, ")\n{\n");
    if (!function->calls) {
        write_template(writer, words, "    return (afar_$end$ *)$end$;\n}\n\n");
        return;
    }
    write_template(writer, words, bodies[function->outcome].begin);
    write_template(writer, words, function->calls);
    write_text(writer, "(");
    idl_list arguments = expand_list(pool, words, function->arguments);
    write_list(writer, &arguments, 8, ");\n");
    write_template(writer, words, bodies[function->outcome].end);
    write_text(writer, "}\n\n");
}

/* `end` may be NULL for functions that are not of one end alone. */
static void
write_functions(idl_writer *writer, const idl_message *message, const char *end,
                const channel_function *all, size_t count)
{
    word words[WORD_COUNT];

    words_of(message, end, words);
    for (size_t i = 0; i < count; i++)
        write_function(writer, words, message->stub, &all[i]);
}

/* ---- the header ---- */

static void
write_type(idl_writer *writer, const idl_message *message, const char *end)
{
    const char *type = pool_format(writer->pool, "%s_%s", message->stub, end);

    write_pair(writer, pool_format(writer->pool, "typedef struct %s", type), type, 4, ";\n\n");
    write_functions(writer, message, end, conversions, COUNT_OF(conversions));
}

static void
write_declarations(idl_writer *writer, const idl_message *message)
{
    word words[WORD_COUNT];

    if (!message->is_channel)
        return;
    words_of(message, NULL, words);
    emit_section(writer,
                 pool_format(writer->pool, "channels of %s (afar/channel.h)", message->full_name),
                 NULL);
    write_template(writer, words,
                   "\n"
                   "extern const afar_channel_type $entry$_channel_type;\n"
                   "extern const afar_refs $entry$_sender_refs;\n"
                   "extern const afar_refs $entry$_receiver_refs;\n\n");
    write_type(writer, message, "sender");
    write_type(writer, message, "receiver");
    write_functions(writer, message, NULL, functions, COUNT_OF(functions));
    write_functions(writer, message, "sender", functions_of_ends, COUNT_OF(functions_of_ends));
    write_functions(writer, message, "receiver", functions_of_ends, COUNT_OF(functions_of_ends));
}

void
emit_channels_header(idl_writer *writer, const idl_file *file)
{
    each_message(file, write_declarations, writer);
}

/* ---- the source ---- */

static void
write_end_tables(idl_writer *writer, const idl_message *message, const char *end, const char *kind)
{
    word words[WORD_COUNT];

    words_of(message, end, words);
    write_template(writer, words,
                   "static const afar_interface $entry$_$end$_interface = {\n"
                   "    AFAR_ABI, sizeof(afar_interface), ");
    write_format(writer, "\"%s(%s)\",\n", kind, message->full_name);
    write_template(writer, words,
                   "    afar_$end$_methods, 1, sizeof(afar_method),\n"
                   "    &afar_file_afar_channel_proto,\n"
                   "    &$entry$_channel_type\n"
                   "};\n\n"
                   "static const afar_ref_field $entry$_$end$_ref_fields[] = {\n"
                   "    { 0, &$entry$_$end$_interface, NULL }\n"
                   "};\n\n"
                   "const afar_refs $entry$_$end$_refs = {\n");
    write_pair(writer, pool_format(writer->pool, "    &afar__%s__descriptor, 1,", end),
               expand(writer->pool, words, "$entry$_$end$_ref_fields"), 4, "\n};\n\n");
}

static void
write_tables(idl_writer *writer, const idl_message *message)
{
    word words[WORD_COUNT];

    if (!message->is_channel)
        return;
    words_of(message, NULL, words);
    write_format(writer, "/* ---- channels of %s ---- */\n\n", message->full_name);
    write_end_tables(writer, message, "sender", "afar.Sender");
    write_end_tables(writer, message, "receiver", "afar.Receiver");
    write_template(writer, words,
                   "const afar_channel_type $entry$_channel_type = {\n"
                   "    AFAR_ABI, sizeof(afar_channel_type),\n"
                   "    &$lower$__descriptor, ");
    write_format(writer, "%s,\n", references_name(writer->pool, message));
    write_template(writer, words,
                   "    &$entry$_sender_interface, &$entry$_receiver_interface\n"
                   "};\n\n");
}

void
emit_channels_source(idl_writer *writer, const idl_file *file)
{
    each_message(file, write_tables, writer);
}
