#ifndef AFAR_RUNTIME_ADDRESS_H
#define AFAR_RUNTIME_ADDRESS_H

/* Addresses as people write them, taken apart.  Nothing is resolved or opened
 * here, except that a unix path is looked at to find where it ends. */

#include <stdbool.h>
#include <stdint.h>

#include <afar/error.h>

#include "runtime/secure.h"

typedef enum {
    AFAR__ADDRESS_TCP,    /* host and port */
    AFAR__ADDRESS_UNIX,   /* path: of the socket */
    AFAR__ADDRESS_INPROC, /* path: the name of a server of this process */
    AFAR__ADDRESS_NAME    /* name: to be asked of the name server */
} afar__address_kind;

typedef struct afar__address {
    afar__address_kind kind;
    bool plain;     /* calls go over plain gRPC, without a session */
    char host[256]; /* a name or a number, without brackets */
    uint16_t port;
    bool ipv6;      /* host is an IPv6 number and was in brackets */
    char path[108]; /* fits sockaddr_un.sun_path with its 0 */
    char name[256]; /* of the object; "" for the default one */
    bool has_key;   /* of a NAME: KEY@ was in front of it */
    uint8_t key[AFAR__PUBLIC_BYTES];
} afar__address;

/* What a client opens:
 *
 *     afar://host:port[/name]   afar://[::1]:7000[/name]
 *     grpc://host:port[/name]   the same without a session: plain gRPC
 *     unix:path[/name]          the path ends at its first component that is not a
 *                               directory, or at the end
 *     inproc:server[/name]
 *     [KEY@]name                anything else
 *
 * Names are letters, digits and . _ - /, not empty, without "//", without '/' at
 * either end, at most 255 bytes.  INVALID_ARGUMENT says what is wrong. */
AFAR_MUST_USE afar_code
afar__address_parse_remote(const char *text, afar__address *ret_address, afar_error *err);

/* Where a server listens: host:port  [v6]:port  unix:path  inproc:name. */
AFAR_MUST_USE afar_code
afar__address_parse_listen(const char *text, afar__address *ret_address, afar_error *err);

/* Where a server can be reached, without an object's name: host:port  [v6]:port, also
 * with afar:// or grpc:// in front; unix:path, which is the whole rest; inproc:server. */
AFAR_MUST_USE afar_code
afar__address_parse_endpoint(const char *text, afar__address *ret_address, afar_error *err);

/* Whether `name` may be the name of an object, by the rules above.
 * INVALID_ARGUMENT says what is wrong. */
AFAR_MUST_USE afar_code
afar__name_check(const char *name, afar_error *err);

#endif
