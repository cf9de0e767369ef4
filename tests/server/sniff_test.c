/* Telling callers apart by their first bytes. */

#include "server/sniff.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static afar__sniff_kind
sniff(const char *text)
{
    return afar__sniff(text, strlen(text));
}

TEST(preface_needs_all_its_bytes)
{
    CHECK_INT(sizeof PREFACE - 1, AFAR__SNIFF_LENGTH);
    for (size_t length = 0; length < AFAR__SNIFF_LENGTH; length++)
        CHECK_INT(afar__sniff(PREFACE, length), AFAR__SNIFF_MORE);
    CHECK_INT(afar__sniff(PREFACE, AFAR__SNIFF_LENGTH), AFAR__SNIFF_HTTP2);
    CHECK_INT(sniff(PREFACE "and more"), AFAR__SNIFF_HTTP2);
}

TEST(preface_with_any_byte_changed_is_another_thing)
{
    for (size_t i = 0; i < AFAR__SNIFF_LENGTH; i++) {
        char bytes[] = PREFACE;

        bytes[i] = (char)(bytes[i] ^ 0x20);
        for (size_t length = i + 1; length <= AFAR__SNIFF_LENGTH; length++)
            CHECK_INT(afar__sniff(bytes, length), AFAR__SNIFF_OTHER);
    }
}

TEST(methods_of_http1_are_known_with_the_space_behind_them)
{
    static const char *const methods[] = { "GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                           "CONNECT", "OPTIONS", "TRACE", "PATCH" };

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[32];

        snprintf(request, sizeof request, "%s / HTTP/1.1", methods[i]);
        for (size_t length = 0; length <= strlen(methods[i]); length++)
            CHECK_INT(afar__sniff(request, length), AFAR__SNIFF_MORE);
        CHECK_INT(afar__sniff(request, strlen(methods[i]) + 1), AFAR__SNIFF_HTTP1);
        CHECK_INT(sniff(request), AFAR__SNIFF_HTTP1);
    }
    CHECK_INT(sniff("GETS"), AFAR__SNIFF_OTHER);
    CHECK_INT(sniff("get "), AFAR__SNIFF_OTHER);
    CHECK_INT(sniff("PO "), AFAR__SNIFF_OTHER);
    CHECK_INT(sniff("PRI * HTTP/1.1\r\n"), AFAR__SNIFF_OTHER);
}

TEST(handshake_records_are_tls)
{
    CHECK_INT(afar__sniff("\x16", 1), AFAR__SNIFF_MORE);
    CHECK_INT(afar__sniff("\x16\x03", 2), AFAR__SNIFF_TLS);
    CHECK_INT(afar__sniff("\x16\x03\x01\x02\x00\x01", 6), AFAR__SNIFF_TLS);
    CHECK_INT(afar__sniff("\x16\x02", 2), AFAR__SNIFF_OTHER);
    CHECK_INT(afar__sniff("\x15\x03", 2), AFAR__SNIFF_OTHER);
}

TEST(any_other_first_byte_decides_at_once)
{
    unsigned undecided = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned char bytes[1] = { (unsigned char)byte };

        undecided += afar__sniff(bytes, 1) == AFAR__SNIFF_MORE;
    }
    CHECK_INT(undecided, strlen("CDGHOPT\x16"));
    CHECK_INT(sniff("SSH-2.0-OpenSSH_9.2"), AFAR__SNIFF_OTHER);
    CHECK_INT(afar__sniff("\0\0\0\0", 4), AFAR__SNIFF_OTHER);
}

/* The promise of AFAR__SNIFF_LENGTH, for every pair of first bytes followed by each
 * of some others. */
TEST(enough_bytes_always_decide)
{
    static const char *const tails[] = { &PREFACE[2], "", "T / HTTP/1.1", "ST / HTTP/1.1" };
    unsigned char bytes[AFAR__SNIFF_LENGTH];

    for (unsigned pair = 0; pair < 65536; pair++)
        for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
            memset(bytes, ' ', sizeof bytes);
            bytes[0] = (unsigned char)(pair >> 8);
            bytes[1] = (unsigned char)pair;
            memcpy(bytes + 2, tails[i], strlen(tails[i]));
            CHECK(afar__sniff(bytes, sizeof bytes) != AFAR__SNIFF_MORE);
        }
}

TEST(answer_to_http1_is_well_formed)
{
    const char *body = strstr(afar__sniff_http1_answer, "\r\n\r\n");
    const char *length = strstr(afar__sniff_http1_answer, "Content-Length: ");
    int announced = 0;

    CHECK(strncmp(afar__sniff_http1_answer, "HTTP/1.1 505 ", 13) == 0);
    CHECK(body != NULL && length != NULL && length < body);
    CHECK_INT(sscanf(length, "Content-Length: %d", &announced), 1);
    CHECK_INT(announced, strlen(body + 4));
    CHECK(strstr(body, "gRPC") != NULL);
}

TEST(every_kind_has_a_name)
{
    for (int i = AFAR__SNIFF_MORE; i <= AFAR__SNIFF_OTHER; i++)
        for (int k = AFAR__SNIFF_MORE; k < i; k++)
            CHECK(strcmp(afar__sniff_name((afar__sniff_kind)i),
                         afar__sniff_name((afar__sniff_kind)k)) != 0);
}
