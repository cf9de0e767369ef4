/* Telling callers apart by their first bytes.
 *
 * There is a short list of beginnings that mean something: the preface of HTTP/2,
 * the methods of HTTP/1, the record header of a TLS handshake.  What came so far
 * is held against each.  A whole beginning decides; if none is whole but one can
 * still become so, more is needed; if none can, it is a stranger.
 *
 * No beginning is the start of another, so at most one can be whole, and the
 * longest of them is the preface: AFAR__SNIFF_LENGTH bytes always decide.  Nothing
 * beyond the beginning is looked at: reading a request is not the business of this
 * file, and a stranger's bytes should meet as little code as possible.
 */

#include "server/sniff.h"

#include <string.h>

struct beginning {
    const char *bytes;
    size_t length;
    afar__sniff_kind kind;
};

#define BEGINNING(text, kind)                                                                      \
    {                                                                                              \
        (text), sizeof(text) - 1, (kind)                                                           \
    }

static const struct beginning beginnings[] = {
    /* RFC 9113, section 3.4 */
    BEGINNING("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", AFAR__SNIFF_HTTP2),
    /* RFC 9110, section 9, and RFC 5789 */
    BEGINNING("GET ", AFAR__SNIFF_HTTP1),
    BEGINNING("HEAD ", AFAR__SNIFF_HTTP1),
    BEGINNING("POST ", AFAR__SNIFF_HTTP1),
    BEGINNING("PUT ", AFAR__SNIFF_HTTP1),
    BEGINNING("DELETE ", AFAR__SNIFF_HTTP1),
    BEGINNING("CONNECT ", AFAR__SNIFF_HTTP1),
    BEGINNING("OPTIONS ", AFAR__SNIFF_HTTP1),
    BEGINNING("TRACE ", AFAR__SNIFF_HTTP1),
    BEGINNING("PATCH ", AFAR__SNIFF_HTTP1),
    /* RFC 8446, section 5.1: a handshake record, of any version of TLS */
    BEGINNING("\x16\x03", AFAR__SNIFF_TLS),
};

#define BEGINNINGS (sizeof beginnings / sizeof beginnings[0])

_Static_assert(sizeof "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" - 1 == AFAR__SNIFF_LENGTH,
               "the preface is the longest beginning");

#define ANSWER_TEXT "This port speaks gRPC over HTTP/2, not HTTP/1.\n"
#define ANSWER_LENGTH "47"

_Static_assert(sizeof ANSWER_TEXT - 1 == 47, "ANSWER_LENGTH is the length of ANSWER_TEXT");

const char afar__sniff_http1_answer[] = "HTTP/1.1 505 HTTP Version Not Supported\r\n"
                                        "Content-Type: text/plain\r\n"
                                        "Content-Length: " ANSWER_LENGTH "\r\n"
                                        "Connection: close\r\n"
                                        "\r\n" ANSWER_TEXT;

afar__sniff_kind
afar__sniff(const void *bytes, size_t length)
{
    afar__sniff_kind kind = AFAR__SNIFF_OTHER;

    for (size_t i = 0; i < BEGINNINGS; i++) {
        const struct beginning *beginning = &beginnings[i];

        if (length >= beginning->length) {
            if (memcmp(bytes, beginning->bytes, beginning->length) == 0)
                return beginning->kind;
        } else if (length == 0 || memcmp(bytes, beginning->bytes, length) == 0) {
            kind = AFAR__SNIFF_MORE;
        }
    }
    return kind;
}

const char *
afar__sniff_name(afar__sniff_kind kind)
{
    switch (kind) {
    case AFAR__SNIFF_MORE:
        return "an unfinished greeting";
    case AFAR__SNIFF_HTTP2:
        return "HTTP/2";
    case AFAR__SNIFF_HTTP1:
        return "HTTP/1";
    case AFAR__SNIFF_TLS:
        return "TLS";
    case AFAR__SNIFF_OTHER:
        break;
    }
    return "something that is not HTTP/2";
}
