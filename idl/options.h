#ifndef IDL_OPTIONS_H
#define IDL_OPTIONS_H

/* Options that are extensions: protobuf-c's (pb_c_file and its like) and ours.
 * protobuf-c knows no extensions, so they arrive as unknown fields of the
 * options message and are read by number. */

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "idl/pool.h"

enum {
    OPTION_PB_C = 1019,        /* pb_c_file, pb_c_msg, pb_c_field */
    OPTION_AFAR_FIRST = 50710, /* our numbers: afar/options.proto */
    OPTION_AFAR_ERROR = 50710,
    OPTION_AFAR_ONEWAY = 50711,
    OPTION_AFAR_INTERFACE = 50712,
    OPTION_AFAR_CHANNEL = 50713,
    OPTION_AFAR_CARRIES = 50714,
    OPTION_AFAR_LAST = 50799
};

typedef enum option_state { OPTION_ABSENT, OPTION_PRESENT, OPTION_BAD } option_state;

/* The member `number` of the protobuf-c option among `options` (may be NULL):
 * writes its value and returns true if it is set. */
bool
option_pb_c_bool(const ProtobufCMessage *options, uint32_t number, bool *ret_value);

bool
option_pb_c_string(idl_pool *pool, const ProtobufCMessage *options, uint32_t number,
                   const char **ret_value);

/* An option of ours that is a bool; BAD when something else stands there. */
option_state
option_afar_bool(const ProtobufCMessage *options, uint32_t number, bool *ret_value);

/* The same for a string. */
option_state
option_afar_string(idl_pool *pool, const ProtobufCMessage *options, uint32_t number,
                   const char **ret_value);

/* The first number among ours, from `from` on, that is set; 0 for none. */
uint32_t
option_afar_next(const ProtobufCMessage *options, uint32_t from);

#endif
