#ifndef IDL_MODEL_H
#define IDL_MODEL_H

/* The .proto files of a run as plain structs, with everything resolved that the
 * emitters need: names in C, types, options, comments, positions.  Made once from
 * the descriptors, then only read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "google/protobuf/compiler/plugin.pb-c.h"

#include "idl/pool.h"

/* From 1; 0 where protoc told none. */
typedef struct idl_position {
    int line;
    int column;
} idl_position;

/* What stands in front of a thing and behind it; NULL for none. */
typedef struct idl_comments {
    const char *leading;
    const char *trailing;
} idl_comments;

typedef enum idl_label { LABEL_NONE, LABEL_OPTIONAL, LABEL_REQUIRED, LABEL_REPEATED } idl_label;

typedef struct idl_message idl_message;
typedef struct idl_enumeration idl_enumeration;
typedef struct idl_oneof idl_oneof;
typedef struct idl_file idl_file;
typedef struct idl_service idl_service;

typedef struct idl_field {
    const char *name;
    const char *member;    /* in the struct */
    const char *c_default; /* start of the names of its default value */
    int32_t number;
    Google__Protobuf__FieldDescriptorProto__Type type;
    idl_label label;
    bool packed;
    bool deprecated;
    bool is_map_value;            /* the second of an entry whose map was found */
    bool string_as_bytes;         /* pb_c_field: a string kept as bytes */
    const char *interface_name;   /* as afar.interface gives it; NULL for none */
    const idl_service *interface; /* of that name, in the file or what it imports; or NULL */
    const char *carries_name;     /* the same for afar.carries */
    const idl_message *carries;
    const char *default_text; /* as protoc gives it; NULL for none */
    size_t default_length;
    const idl_message *message_type; /* NULL when it is none */
    const idl_enumeration *enum_type;
    const idl_oneof *oneof; /* NULL when it is in none */
    const idl_message *owner;
    idl_comments comments;
    idl_position position; /* of its name */
    idl_position type_position;
    idl_position option_position;  /* of afar.interface */
    idl_position carries_position; /* of afar.carries */
} idl_field;

struct idl_oneof {
    const char *name;
    const char *c_type; /* Msg__NameCase */
    const char *upper;  /* MSG__NAME */
    const char *member; /* name; its case is name_case */
    const idl_field **fields;
    size_t field_count;
    idl_comments comments;
    idl_position position;
};

struct idl_message {
    const char *name;
    const char *full_name;
    const char *c_type;
    const char *lower;
    const char *upper;
    const char *stub; /* start of the names of its functions in x.afar.h */
    const char *base; /* the member that holds the ProtobufCMessage */
    const idl_file *file;
    idl_field *fields; /* in the order of the .proto file */
    size_t field_count;
    idl_oneof *oneofs; /* without those that stand for `optional` */
    size_t oneof_count;
    idl_message *messages;
    size_t message_count;
    idl_enumeration *enums;
    size_t enum_count;
    bool has_init;   /* pb_c_msg: write `__init` */
    bool has_pack;   /* ... and `__pack` and its like */
    bool is_error;   /* afar.error */
    bool is_channel; /* afar.channel */
    bool is_map_entry;
    bool is_reference;   /* afar.Ref: its struct has a member that does not travel */
    const char *end;     /* of afar.Sender "sender", of afar.Receiver "receiver"; else NULL */
    bool has_references; /* among its fields, or in a message among them; not of an end */
    idl_comments comments;
    idl_position position;
};

typedef struct enum_value {
    const char *name;
    const char *c_name;
    int32_t number;
    idl_comments comments;
    idl_position position;
} enum_value;

struct idl_enumeration {
    const char *name;
    const char *full_name;
    const char *c_type;
    const char *lower;
    const char *upper;
    const idl_file *file;
    enum_value *values;
    size_t value_count;
    idl_comments comments;
    idl_position position;
};

typedef struct idl_method {
    const char *name;
    const char *c_name; /* behind the stub name of the service, and as member */
    const char *stub;   /* bank_account_deposit */
    const char *part;   /* start of the names that belong to it */
    const idl_message *request;
    const idl_message *reply;
    bool client_streams;
    bool server_streams;
    bool oneway;
    bool idempotent;
    bool deprecated;
    const idl_service *service;
    size_t index;
    idl_comments comments;
    idl_position position;
    idl_position option_position; /* of afar.oneway */
} idl_method;

struct idl_service {
    const char *name;
    const char *full_name;
    const char *c_type; /* bank_account */
    const char *stub;   /* start of its names; c_type without what was added */
    const idl_file *file;
    idl_method *methods;
    size_t method_count;
    bool deprecated;
    idl_comments comments;
    idl_position position;
};

/* What one finds while making the model, to be reported with all the rest. */
typedef struct idl_complaint {
    const idl_file *file;
    idl_position position;
    const char *text;
} idl_complaint;

typedef struct idl_complaints {
    idl_complaint *items;
    size_t count;
    size_t room;
} idl_complaints;

struct idl_file {
    const char *name;
    const char *package;   /* "" for none */
    const char *c_package; /* what stands for it in C names */
    idl_position c_package_position;
    const char *symbol;        /* account_proto */
    const uint8_t *descriptor; /* the bytes without source_code_info */
    size_t descriptor_length;
    const idl_file **imports;
    bool *is_public; /* of each import */
    size_t import_count;
    idl_message *messages;
    size_t message_count;
    idl_enumeration *enums;
    size_t enum_count;
    idl_service *services;
    size_t service_count;
    bool proto3;
    bool generate;    /* named on the command line */
    bool no_generate; /* pb_c_file: messages come from elsewhere */
    bool code_size;   /* optimize_for: tables without names */
    bool const_strings;
    bool use_oneof_field_name;
    const char *comment; /* on the file's `syntax` */
};

typedef struct idl_model {
    idl_pool *pool;
    idl_file *files;
    size_t file_count;
    idl_complaints complaints;
} idl_model;

/* Makes the model of a request.  `bytes` is what the request was read from.  Ends
 * the program on a request that protoc would not send. */
idl_model *
model_new(idl_pool *pool, const Google__Protobuf__Compiler__CodeGeneratorRequest *request,
          const uint8_t *bytes, size_t length);

/* Notes something that is wrong in a .proto file. */
__attribute__((format(printf, 4, 5))) void
complain(idl_model *model, const idl_file *file, idl_position position, const char *format, ...);

/* What a field takes in C. */
bool
field_is_bytes(const idl_field *field);

bool
field_is_string(const idl_field *field);

bool
field_is_message(const idl_field *field);

/* Whether has_x tells that the field is set. */
bool
field_has_flag(const idl_field *field);

#endif
