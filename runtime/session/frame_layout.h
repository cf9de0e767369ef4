#ifndef AFAR_RUNTIME_SESSION_FRAME_LAYOUT_H
#define AFAR_RUNTIME_SESSION_FRAME_LAYOUT_H

/* How the messages of session.proto lie in the structs of frame.h: what reading and writing have in
 * common.  Private to runtime/session/frame_*.c and their tests. */

#include <stddef.h>

#include "runtime/session/frame.h"

typedef enum afar__form {
    AFAR__FORM_UINT32,  /* uint32_t; an enum of the protocol as well */
    AFAR__FORM_UINT64,  /* uint64_t */
    AFAR__FORM_BOOL,    /* bool */
    AFAR__FORM_BYTES,   /* afar__bytes; a string as well */
    AFAR__FORM_PAYLOAD, /* the same, not copied if it is long */
    AFAR__FORM_MESSAGE, /* the struct of `message` */
    AFAR__FORM_LIST,    /* afar__list of the structs of `message` */
    AFAR__FORM_NUMBERS, /* uint32_t array[most], packed, and how many there are */
    AFAR__FORM_FIXEDS   /* uint64_t array[most], packed, and how many there are */
} afar__form;

typedef struct afar__layout afar__layout;

typedef struct afar__field {
    const char *name; /* in session.proto */
    uint8_t form;     /* an afar__form */
    bool one_of;      /* a member of the oneof; the struct begins with its number, a uint32_t */
    uint16_t offset;  /* in the struct; of an array: of its count */
    uint16_t array;   /* of an array */
    uint16_t most;    /* of an array */
    const afar__layout *message;
} afar__field;

/* Field n of the message is fields[n - 1]: the numbers have no gaps. */
struct afar__layout {
    const char *name;
    uint16_t size; /* of the struct */
    uint16_t count;
    const afar__field *fields;
};

extern const afar__layout afar__layout_pair;
extern const afar__layout afar__layout_reference;

/* Fields 1 to 14 of Frame, by kind; that of NONE has no fields. */
extern const afar__layout afar__frame_layouts[];

#define AFAR__FRAME_LAST_KIND AFAR__FRAME_METHOD
#define AFAR__FRAME_FIELD_MAY_IGNORE 15

/* Where the struct of each kind begins: the members of a union begin together. */
#define AFAR__FRAME_BODY offsetof(afar__frame, hello)

/* A rule that was broken, as in "Call.id: is 0". */
typedef struct afar__fault {
    const char *message; /* its name */
    const char *field;   /* or NULL */
    const char *what;
} afar__fault;

/* Whether all rules about values are kept by a frame that was read or is to be written.
 * `length` is that of the message that is its kind.  False and the fault. */
bool
afar__frame_is_good(const afar__frame *frame, size_t length, afar__fault *ret_fault);

/* Its payload; empty for a kind that has none. */
afar__bytes
afar__frame_payload(const afar__frame *frame);

/* Makes an error of it. */
afar_code
afar__frame_fail(const afar__fault *fault, afar_code code, afar_error *err);

#endif
