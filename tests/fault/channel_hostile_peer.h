#ifndef CHANNEL_HOSTILE_PEER_H
#define CHANNEL_HOSTILE_PEER_H

/* A process that speaks the channels' protocol, breaks no rule, and keeps back what it should say: an answer that
 * others wait for. */

#include <stdint.h>
#include <sys/types.h>

enum peer_kind {
    PEER_KEEPS_ACK,   /* receives one message, and does not say that it arrived */
    PEER_KEEPS_GRANT, /* offers to receive by selects, and does not answer their claims */
    PEER_COPIES,      /* the same, as if it were another process, and its selects */
    PEER_HOME_SILENT, /* a home that answers nothing; who attaches anew to an end is served well */
    PEER_HOME_CLAIMS  /* the same, but that it claims each offer that may be claimed */
};

struct peer {
    pid_t pid;
    int to, from;
};

/* What a process needs that attaches to a home: the name of a receiver's end, and whom it may copy. */
struct peer_task {
    char receiver[200];
    uint8_t process[16];
};

#define PEER_OFFERS 20 /* of each kind, by one that keeps grants back */

/* Forks: the library must not be in use. */
void
peer_start(struct peer *peer, enum peer_kind kind);

/* Says what it is to attach to. */
void
peer_attach(struct peer *peer, const struct peer_task *task);

/* The address of one that is a home; it exports "send" and "receive". */
void
peer_address(struct peer *peer, char ret_address[100]);

/* Waits until it says that: 'w'elcome, 'm'essage, 'c'laim, 'o'ver with the text of the error. */
void
peer_await(struct peer *peer, char what, char ret_text[400]);

/* Lets it end, and that well. */
void
peer_end(struct peer *peer);

#endif
