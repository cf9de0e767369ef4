#ifndef AFAR_RUNTIME_GRPC_PORT_H
#define AFAR_RUNTIME_GRPC_PORT_H

/* A port and the calls that come in through it: what grpc_port.c and
 * grpc_incoming.c share. */

#include <pthread.h>

#include "runtime/grpc_common.h"
#include "runtime/grpc_pipe.h"
#include "runtime/port.h"

typedef struct afar__incoming afar__incoming;

struct afar__port {
    afar_node *node;
    afar__port_options options;
    grpc_server *server;
    grpc_server_credentials *credentials;
    afar__tag stopped_tag;

    pthread_mutex_t lock; /* guards what follows */
    bool started, stopping, stopped;
    unsigned live; /* incoming calls and transports that exist, calls asked for included */
    unsigned owed; /* posted calls that could not be made for lack of memory */
    unsigned spare_count;
    afar__incoming *spare; /* to be used again */
    afar__waiters waiters; /* for `stopped` and for `live` to become 0 */
};

struct afar__incoming {
    afar_call base;
    afar__port *port;
    afar__incoming *next_spare;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    afar__tag new_tag, request_tag, close_tag, done_tag;
    const char *path;
    int cancelled; /* the core's answer to RECV_CLOSE */

    grpc_byte_buffer *payload;
    grpc_byte_buffer reply;
    bool has_reply; /* packed */
    grpc_slice status_text;
    grpc_metadata *sent[2]; /* initial, trailing: held until the call is freed */
    size_t sent_count[2];

    bool streams; /* the pipe is in use */
    afar__pipe pipe;
    afar__arena *item; /* of the message received last */

    bool viewed, peer_known;
    afar_metadata view;
    afar_peer peer;
};

/* One call more that the port waits for when it stops, and one less. */
void
afar__port_enter(afar__port *port);
void
afar__port_leave(afar__port *port);

/* Who made a call; the text is the owner's of the port, as options.peer says. */
afar_peer
afar__port_peer(afar__port *port, grpc_call *call);

/* The descriptor of the connection that a call came in by; -1: not known. */
int
afar__port_fd(grpc_call *call);

/* Asks the core for one more call. */
void
afar__incoming_request(afar__port *port);

/* Frees one that is spare. */
void
afar__incoming_destroy(afar__incoming *incoming);

#endif
