#ifndef COMMAND_DELIMITED_H
#define COMMAND_DELIMITED_H

/* Messages one behind the other, each with its length in front as a varint: what protobuf's
 * libraries call delimited (writeDelimitedTo, SerializeDelimitedToOstream). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/api.h>

/* Of a message, so that it fits in what one gRPC message may be, with room for what is
 * said about it. */
#define MOST_MESSAGE (4u * 1024 * 1024 - 1024)

typedef struct delimited_reader {
    int input;
    int stop;       /* becomes readable when nobody wants to go on */
    uint8_t *data;  /* what was read */
    size_t at, end; /* of what is not used up yet */
    size_t room;
    uint64_t offset; /* of data[at] in the input */
    size_t taken;    /* bytes of the last message and its length: used up by the next read */
    bool at_end;     /* there is no more input */
} delimited_reader;

typedef enum delimited_result {
    DELIMITED_MESSAGE,
    DELIMITED_END,
    DELIMITED_STOPPED,
    DELIMITED_BAD /* what is wrong was said */
} delimited_result;

/* False for what cannot be read, which was said. */
AFAR_MUST_USE bool
delimited_open(delimited_reader *reader, int input, int stop);
void
delimited_close(delimited_reader *reader);

/* Waits for the next message; it lives until the next call.  `offset` is then that of its
 * length. */
delimited_result
delimited_read(delimited_reader *reader, const uint8_t **ret_data, size_t *ret_length);

/* Writes a message to standard output, and all that was printed before; false if it
 * cannot be written. */
AFAR_MUST_USE bool
delimited_print(const uint8_t *data, size_t length);

#endif
