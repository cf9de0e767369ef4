#ifndef AFAR_SERVER_LISTEN_H
#define AFAR_SERVER_LISTEN_H

/* Sockets that listen: bound, listening, not blocking, closed on exec.  A listener
 * belongs to one thread at a time. */

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "runtime/address.h"

typedef struct afar__listener {
    int fd;
    char address[128]; /* as it can be opened: "127.0.0.1:43017", "unix:/run/bank.sock" */

    /* Of a unix socket; folder is -1 for others. */
    int folder;     /* where its file is, whatever the working folder becomes */
    char file[108]; /* its name in the folder */
    dev_t device;   /* device and inode say whether the file is still ours */
    ino_t inode;
    pid_t owner; /* a child of ours must not remove it */
} afar__listener;

/* What has nothing to close. */
#define AFAR__LISTENER_INIT                                                                        \
    {                                                                                              \
        .fd = -1, .folder = -1                                                                     \
    }

/* Binds an address of the kind TCP or UNIX and listens there.  A host name stands
 * for its first address that this machine has, IPv4 before IPv6; port 0 takes a
 * free one.  A unix socket gets mode 0600, and takes the place of a socket file
 * whose server is gone.
 *
 * PERMISSION_DENIED: beyond loopback without `insecure`, or the system refuses.
 * ALREADY_EXISTS: somebody listens there, or another kind of file is there.
 * NOT_FOUND: no such host, folder, or address of this machine.
 * INVALID_ARGUMENT: a kind that nobody can listen on. */
AFAR_MUST_USE afar_code
afar__listen_open(const afar__address *address, bool insecure, afar__listener *ret_listener,
                  afar_error *err);

/* Closes it, and removes the file of a unix socket if it is still its own.  The
 * listener is AFAR__LISTENER_INIT then; closing that does nothing. */
void
afar__listen_close(afar__listener *listener);

/* The address of a unix socket with its whole path, wherever who reads it is: "unix:/run/bank.sock".
 * INVALID_ARGUMENT if that is not known. */
AFAR_MUST_USE afar_code
afar__listen_whole(const afar__listener *listener, char *ret_text, size_t size, afar_error *err);

/* Prints an IPv4 or IPv6 address with its port, "127.0.0.1:7000" or "[::1]:7000";
 * an IPv4 address inside an IPv6 one prints as IPv4. */
void
afar__listen_print(const struct sockaddr_storage *from, char *ret_text, size_t size);

#endif
