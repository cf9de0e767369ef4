#ifndef CHANNEL_NET_H
#define CHANNEL_NET_H

/* Processes that send and receive through the channels of two homes, and may be killed at any moment: each
 * writes down what it was told, in memory that outlives it.
 *
 *     homes      have one channel each; every life of one is at an address of its own
 *     writers    send numbers that nobody else sends, by either channel, or by a select over both
 *     readers    receive from both, by selects and one by one
 *
 * The test itself is none of them: it forks, kills, and looks at the end. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <afar/error.h>

#define NET_HOMES 2
#define NET_WRITERS 2
#define NET_READERS 2
#define NET_NODES (NET_HOMES + NET_WRITERS + NET_READERS)
#define NET_NOTES (8u << 20)
#define NET_KILLS 5000

enum net_role { NET_HOME, NET_WRITER, NET_READER };

/* Of one number. */
struct net_note {
    atomic_uchar state;    /* enum net_state; what is below it is written before */
    atomic_uchar received; /* how often, by those who lived to say so */
    uint8_t code;          /* what the writer was told, once NET_TOLD */
    uint32_t began, ended; /* in 100 us since the net began */
};

enum net_state { NET_NOT_SENT, NET_SENDING, NET_TOLD };

struct net_node {
    pid_t pid;
    enum net_role role;
    int index; /* among those of its role */
    uint32_t lives;
    atomic_uint last_at; /* readers: when it wrote down what it received last */
    atomic_bool broken;  /* it saw something that must not be: `what` says what */
    char what[200];
};

/* Where a home is; life n is in addresses[n % 2] once `serving` is n. */
struct net_home {
    atomic_uint serving;
    char addresses[2][64];
};

struct net_kill {
    enum net_role role;
    uint32_t at, last_at; /* last_at: of a reader, its last word */
};

/* Shared by all. */
struct net {
    unsigned capacity; /* of both channels; 0: rendezvous */
    bool read_at_home; /* homes receive too */
    int64_t start_us;
    atomic_uint next;     /* number to be sent */
    atomic_uint received; /* in all */
    atomic_bool stop;     /* writers end */
    atomic_bool drain;    /* homes let go of their senders: readers come to an end */
    atomic_bool leave;    /* homes end */
    struct net_home homes[NET_HOMES];
    struct net_node nodes[NET_NODES];
    struct net_kill kills[NET_KILLS];
    unsigned kill_count;
    struct net_note notes[NET_NOTES];
};

struct net *
net_open(unsigned capacity, bool read_at_home);

void
net_close(struct net *net);

/* Starts a node, or its next life. */
void
net_start(struct net *net, struct net_node *node);

/* It dies at once, and that is written down. */
void
net_kill(struct net *net, struct net_node *node);

/* All of a role end by themselves, and well. */
void
net_wait(struct net *net, enum net_role role);

/* In 100 us since it began. */
uint32_t
net_now(const struct net *net);

#endif
