#ifndef IDL_EMIT_H
#define IDL_EMIT_H

/* What is written for a file, one function for each of the four outputs, and what
 * these have in common. */

#include "idl/model.h"
#include "idl/writer.h"

/* x.pb-c.h and x.pb-c.c: protobuf-c's ABI. */
void
emit_message_header(idl_writer *writer, const idl_file *file);

void
emit_message_source(idl_writer *writer, const idl_file *file);

/* The part of x.pb-c.c for one enum. */
void
emit_enum_source(idl_writer *writer, const idl_enumeration *enumeration);

/* x.afar.h and x.afar.c: references, stubs, serving. */
void
emit_stub_header(idl_writer *writer, const idl_file *file);

void
emit_stub_source(idl_writer *writer, const idl_file *file);

/* The end of x.afar.c: the file's descriptor and its imports. */
void
emit_file_table(idl_writer *writer, const idl_file *file);

/* What both halves of the stubs have for references in the messages of a file: in the
 * header the includes, then plans and helpers, in the source the plans' tables. */
void
emit_references_includes(idl_writer *writer, const idl_file *file);

void
emit_references_header(idl_writer *writer, const idl_file *file);

void
emit_references_source(idl_writer *writer, const idl_file *file);

/* The same for channels of messages: types, functions and tables. */
void
emit_channels_header(idl_writer *writer, const idl_file *file);

void
emit_channels_source(idl_writer *writer, const idl_file *file);

/* "&bank_open_reply_refs", or "NULL" for a message without references. */
const char *
references_name(idl_pool *pool, const idl_message *message);

/* ---- parts ---- */

/* Says what made the file, and from what. */
void
emit_head(idl_writer *writer, const idl_file *file);

/* What stands in front of a thing and what stands behind it, as one; NULL for
 * neither. */
const char *
both_comments(idl_pool *pool, const idl_comments *comments);

/* A .proto comment as one of C; nothing for NULL.  Each line is indented by
 * `indent`; `title`, if it is not "", stands in front of the text. */
void
emit_comment(idl_writer *writer, size_t indent, const char *title, const char *text);

/* The comment of a part of the file: a line "==== title ====", then the text. */
void
emit_section(idl_writer *writer, const char *title, const char *text);

/* Ends a line, with the comment behind it if it is one line and fits; otherwise
 * returns false and has only ended the line. */
bool
emit_line_end(idl_writer *writer, const char *text);

/* Calls `visit` for the messages (enums) of a file, the nested ones after the one
 * they are in. */
void
each_message(const idl_file *file, void (*visit)(idl_writer *writer, const idl_message *message),
             idl_writer *writer);

void
each_enum(const idl_file *file,
          void (*visit)(idl_writer *writer, const idl_enumeration *enumeration),
          idl_writer *writer);

/* Whether `visit` holds for any message of the file. */
bool
any_message(const idl_file *file, bool (*holds)(const idl_message *message));

/* Whether the file is one that others import for its options. */
bool
is_about_options(const idl_file *file);

/* Whether the header of the import with that index must be included. */
bool
needs_include(const idl_file *file, size_t index);

/* Whether libafar has the code of the file's messages. */
bool
is_in_library(const idl_file *file);

/* Includes a header of the file: "pb-c.h" or "afar.h". */
void
emit_include(idl_writer *writer, const idl_file *file, const char *ending);

/* Whether there are references in a message. */
bool
has_references(const idl_message *message);

/* Whether a field of the message is an end of a channel. */
bool
has_ends(const idl_message *message);

/* Whether messages of the type go through channels. */
bool
is_channel(const idl_message *message);

/* Whether a message of the file is an error. */
bool
has_errors(const idl_file *file);

/* ---- values ---- */

/* The C type of one value of a field, with the space behind it: "int32_t ",
 * "char *". */
const char *
value_type(idl_pool *pool, const idl_field *field);

/* What the field is in an __INIT, without has_x and n_x. */
const char *
value_initial(idl_pool *pool, const idl_field *field);

/* Whether the .proto file gives a default that is a value of C, and that value;
 * strings and bytes have objects of their own instead. */
bool
value_has_default(const idl_field *field);

const char *
value_default(idl_pool *pool, const idl_field *field);

/* The bytes of a default that is a string or bytes. */
const char *
value_default_bytes(idl_pool *pool, const idl_field *field, size_t *ret_length);

/* Whether the value's C needs <math.h>. */
bool
value_needs_math(const idl_field *field);

#endif
