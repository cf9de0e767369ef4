#ifndef IDL_CNAME_H
#define IDL_CNAME_H

/* From the names of a .proto file to names in C.
 *
 * Messages follow protobuf-c, for its users know those names:
 *
 *     bank.v1.HTTPCheck_x  type   Bank__V1__HTTPCheckX
 *                          lower  bank__v1__httpcheck_x
 *                          upper  BANK__V1__HTTPCHECK_X
 *     a field dueDate             duedate
 *
 * What is ours has single underscores:
 *
 *     bank.v1.Account      stub   bank_v1_account
 *
 * A name that means something in C or C++ gets an underscore behind it. */

#include <stdbool.h>

#include "idl/pool.h"

/* Full names, pieces with dots between them. */
const char *
cname_type(idl_pool *pool, const char *full_name);

const char *
cname_lower(idl_pool *pool, const char *full_name);

const char *
cname_upper(idl_pool *pool, const char *full_name);

const char *
cname_stub(idl_pool *pool, const char *full_name);

/* The type that stands for a service: its stub name. */
const char *
cname_stub_type(idl_pool *pool, const char *full_name);

/* One piece as protobuf-c writes it within a type: "http_check" is "HttpCheck". */
const char *
cname_camel(idl_pool *pool, const char *name);

/* A field as a member of its message's struct. */
const char *
cname_field(idl_pool *pool, const char *name);

/* A method, behind the stub name of its service; also its member in the struct
 * of handlers. */
const char *
cname_method(idl_pool *pool, const char *name);

/* "bank/account.proto" as part of a C name: "bank_account_proto". */
const char *
cname_file(idl_pool *pool, const char *path);

/* The same as protobuf-c writes it in its include guards: "bank_2faccount_2eproto". */
const char *
cname_guard(idl_pool *pool, const char *path);

/* What guards x.afar.h: "AFAR_BANK_ACCOUNT_PROTO_INCLUDED". */
const char *
cname_stub_guard(idl_pool *pool, const char *path);

/* The path without ".proto". */
const char *
cname_stem(idl_pool *pool, const char *path);

/* Whether it is a C identifier at all; "_1" as a message becomes "1". */
bool
cname_is_valid(const char *name);

/* Whether it is a word of C or C++ that no member can be called. */
bool
cname_is_reserved(const char *name);

#endif
