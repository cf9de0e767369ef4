#ifndef AFAR_SERVER_SNIFF_H
#define AFAR_SERVER_SNIFF_H

/* What the first bytes of a connection say about who is calling.  Pure
 * functions; any thread. */

#include <stddef.h>

typedef enum {
    AFAR__SNIFF_MORE,  /* too few bytes to tell */
    AFAR__SNIFF_HTTP2, /* the whole client preface of HTTP/2, so gRPC */
    AFAR__SNIFF_HTTP1, /* a request of HTTP/1: the method and the space behind it */
    AFAR__SNIFF_TLS,   /* a TLS handshake on a port that is not encrypted */
    AFAR__SNIFF_OTHER  /* none of them, whatever may follow */
} afar__sniff_kind;

/* No answer but MORE changes with more bytes, and so many are always enough. */
#define AFAR__SNIFF_LENGTH 24

/* Judges the first `length` bytes of a connection. */
afar__sniff_kind
afar__sniff(const void *bytes, size_t length);

/* A word for a log line: "HTTP/1", "TLS" ... */
const char *
afar__sniff_name(afar__sniff_kind kind);

/* The whole answer to a request of HTTP/1: it says what this port speaks. */
extern const char afar__sniff_http1_answer[];

#endif
