#ifndef SIM_WORLD_H
#define SIM_WORLD_H

/* The simulated world: a few processes with a board each, links between them that are
 * late and are cut, channels, and threads that do with their ends whatever the seed says.
 * What is true stands here too: who has which end, what became of each message.  One seed
 * always gives the same run.
 *
 *     node      a process: a board, threads, ends
 *     channel   has its home at a node; when that dies, another one takes its name
 *     end       a node's end of a channel, shared by its threads; elsewhere than
 *               at the home it is a proxy, with a link
 *     link      joins a proxy with its seat: two queues of letters, in order
 *     thread    a program that sends, receives, selects, shares, finishes, poisons
 *     wait      a select of a thread
 *     message   has a number that no other has
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/channel/board.h"
#include "tests/runtime/random.h"

#include "plant.h"
#include "sim.h"
#include "tap.h"

#define SIM_NODES 4
#define SIM_CHANNELS 24 /* with those that took a name over */
#define SIM_LINKS 512   /* in one run */
#define SIM_ENDS 512
#define SIM_THREADS 16
#define SIM_HOLDS 8 /* ends of one thread */
#define SIM_GUARDS 8
#define SIM_MESSAGES 16384

struct sim_world;
struct sim_node;
struct sim_link;
struct sim_letter;

struct sim_channel {
    unsigned number;
    struct sim_node *node;
    afar__home *home; /* NULL: it died */
    unsigned capacity;
    struct sim_channel *heir; /* has its name now */

    /* What its owner knows. */
    unsigned ends[2]; /* by direction: here, elsewhere and on their way */
    bool lost[2];     /* one of those was, as far as its owner knows */
    bool finished[2];

    /* What is true. */
    unsigned poisons;      /* how often somebody said it */
    bool poisoned;         /* the home knows */
    bool gone[2];          /* one was lost, in truth */
    bool cut;              /* one of its links was, or a process died that had an end */
    bool dropped;          /* the last receiver went while more could come */
    bool strangers;        /* some that break rules have an end */
    bool hostile;          /* its home is theirs */
    unsigned takers, ways; /* threads that ever could receive; links to receivers */
    bool mixed;            /* one received by several guards in turn, of which others stood */
};

struct sim_end {
    unsigned number;
    struct sim_node *node;
    struct sim_channel *channel;
    afar__direction side;
    afar__proxy *proxy; /* NULL: the home is here */
    struct sim_link *link;
    unsigned holders; /* threads */
    bool closing;     /* nobody holds it; it goes when all that is under way was answered */
    bool room;        /* something was said about its posts */
    bool broken;      /* a link of it was lost */
    bool unreached;   /* one was given up before anything had left */
    bool over;        /* its home said Ended */
    unsigned ledger;  /* posts: see sim_ledger */
    bool gone;
};

/* What became of the posts of one end. */
struct sim_ledger {
    struct sim_channel *channel;
    uint64_t posted, taken, unknown;
    uint64_t received;
    bool closed; /* the numbers above were read at the end of its life */
};

struct sim_queue {
    struct sim_letter *first, **last;
    bool sealed; /* nothing is added to the last letter */
};

struct sim_link {
    struct sim_world *world;
    unsigned number;
    struct sim_channel *channel;
    afar__direction side;
    struct sim_node *nodes[2]; /* [0] where the proxy is, [1] the home */
    struct sim_end *end;       /* NULL: it went */
    afar__seat *seat;
    bool seated;            /* there was a Hello */
    struct sim_queue to[2]; /* to the proxy; to the home */
    bool cut;
    bool noticed[2];
    bool left;  /* the home is through with it */
    bool half;  /* the process ended its side */
    bool waits; /* for Welcome, before it offers */
    bool stalled;
    bool hostile; /* on the other side of the honest one */
    uint8_t process[16];
    struct tap tap;
};

enum sim_outcome {
    SIM_OPEN, /* nothing was said yet, or nobody is there to hear it */
    SIM_TAKEN,
    SIM_NOT_TAKEN,
    SIM_UNKNOWN,
    SIM_POSTED /* counted, not told */
};

struct sim_message {
    uint32_t number;
    unsigned size;
    struct sim_channel *channel;
    unsigned stream; /* within one, receivers see numbers go up */
    unsigned ledger; /* of a post; 0 */
    enum sim_outcome outcome;
    unsigned received;
    unsigned receiver; /* number of the thread */
};

struct afar__parcel {
    struct sim_world *world;
    uint32_t message; /* 0: of one that breaks rules */
    unsigned size;
};

/* What a thread has of an end. */
struct sim_hold {
    struct sim_end *end;
    unsigned stream, stream_link;
    struct sim_message *doubt; /* is sent again: a planted mistake */
};

struct sim_case {
    struct sim_hold *hold; /* NULL: "other" */
    struct sim_message *message;
    unsigned stream, stream_link;
    bool fired, fired_ahead, pack_failed;
};

struct sim_wait {
    afar__select select;
    afar__guard guards[SIM_GUARDS];
    struct sim_case cases[SIM_GUARDS];
    struct sim_thread *thread;
    unsigned count;
    bool open;
    bool in_round, done;
    bool polling, stopping;
    bool lasting; /* has many rounds */
    bool drains;  /* receives what is left */
    unsigned rounds;
};

enum sim_state { SIM_NOBODY, SIM_READY, SIM_WAITING, SIM_WANTS_ROOM, SIM_FLUSHES, SIM_RESTS };

struct sim_thread {
    struct sim_node *node;
    unsigned number; /* of all that ever were, from 1 */
    enum sim_state state;
    struct sim_hold holds[SIM_HOLDS];
    struct sim_wait waits[2]; /* one that lasts; one for now */
    struct sim_wait *wait;    /* it is in */
    struct sim_hold *poster;  /* it wants room there, or that all are taken */
    bool still;               /* somebody else says what it does */
};

struct sim_node {
    struct sim_world *world;
    unsigned index;
    afar__board board;
    uint8_t process[16];
    bool alive;
    bool muted; /* it dies: what it says goes nowhere */
};

/* What a seed makes likely. */
struct sim_profile {
    unsigned network;  /* how often letters move, beside threads */
    unsigned patience; /* of threads that wait */
    unsigned cuts, deaths, poisons, posts, stalls, refusals; /* one in so many; 0: never */
    unsigned big;                                            /* messages */
    unsigned hostile;                                        /* strangers that come at a time */
    bool one_receiver;
    bool mesh;         /* few threads, and all have ends of all channels, for selects */
    bool gather;       /* what is said together travels together */
    unsigned gives_up; /* how often, of those that wait for an answer when time is up; 0: never */
};

struct sim_world {
    struct random random;
    uint64_t seed;
    struct sim_profile profile;
    struct plant plant;
    struct sim_node nodes[SIM_NODES + 1]; /* the last is where strangers are */
    unsigned node_count;
    struct sim_channel channels[SIM_CHANNELS];
    unsigned channel_count;
    struct sim_end ends[SIM_ENDS];
    unsigned end_count;
    struct sim_ledger ledgers[SIM_ENDS + 1];
    struct sim_link links[SIM_LINKS];
    unsigned link_count;
    struct sim_thread threads[SIM_THREADS];
    unsigned thread_numbers;
    struct sim_message *messages;
    uint32_t message_count;
    uint32_t *streams; /* by stream, the last number that came out of it */
    unsigned stream_count;
    unsigned processes; /* numbers given */
    uint64_t parcels;   /* that exist */
    struct sim_counts counts;
    bool settling; /* nobody begins anything */
    bool draining; /* nobody sends any more; receivers take what is left */
    FILE *log;
    char wrong[SIM_TEXT];
};

/* ---- between the parts ---- */

__attribute__((format(printf, 2, 3))) void
sim_wrong(struct sim_world *world, const char *format, ...);

/* A line of the log, if there is one. */
__attribute__((format(printf, 2, 3))) void
sim_log(struct sim_world *world, const char *format, ...);

unsigned
sim_below(struct sim_world *world, unsigned limit);

/* One in so many; never for 0. */
bool
sim_chance(struct sim_world *world, unsigned one_in);

/* ---- world.c ---- */

/* Empty, for one seed. */
struct sim_world *
sim_world_new(uint64_t seed, enum plant_kind plant, FILE *log);

/* Until nothing moves any more; nobody begins anything. */
void
sim_settle(struct sim_world *world);

/* All gives up, and nothing may be left; true if nothing was wrong.  The world is freed. */
bool
sim_world_end(struct sim_world *world, struct sim_counts *counts, char ret_wrong[SIM_TEXT]);

/* ---- node.c ---- */

void
sim_node_start(struct sim_world *world, unsigned index);

/* It dies with all it has. */
void
sim_node_kill(struct sim_node *node);

struct sim_channel *
sim_channel_new(struct sim_world *world, struct sim_node *node, unsigned capacity);

/* The node's end of that side, one holder more; NULL if nobody can have one. */
struct sim_end *
sim_end_get(struct sim_node *node, struct sim_channel *channel, afar__direction side);

/* OK, or what has become of it. */
afar_code
sim_end_state(const struct sim_end *end);

/* One holder less; what has none goes when it can. */
void
sim_end_put(struct sim_end *end);

/* Does what is due for an end that is closing; true if something was. */
bool
sim_end_settle(struct sim_end *end);

/* What became of the posts of an end up to now. */
void
sim_end_count_posts(struct sim_end *end);

/* One end less on that side of a channel; the last one finishes it. */
void
sim_channel_less(struct sim_channel *channel, afar__direction side, bool lost);

afar__parcel *
sim_parcel_new(struct sim_world *world, uint32_t message, unsigned size);

void
sim_parcel_drop(afar__parcel *parcel);

/* ---- link.c ---- */

/* A link for an end that has none; the Hello is on its way. */
bool
sim_link_new(struct sim_end *end);

/* A letter is delivered, a cut noticed; false if there was nothing. */
bool
sim_link_deliver(struct sim_link *link, int to);

bool
sim_link_notice(struct sim_link *link, int side);

void
sim_link_cut(struct sim_link *link);

/* That side does not wait for the other any longer. */
void
sim_link_give_up(struct sim_link *link, int side);

void
sim_link_half_close(struct sim_link *link);

/* The home ends the call of a seat that was told Ended. */
bool
sim_link_end(struct sim_link *link);

void
sim_link_put_act(struct sim_link *link, afar__step *step);

void
sim_link_put_word(struct sim_link *link, afar__step *step);

/* Of one that breaks rules: it is attached to a home; it says something; or it sends bytes. */
void
sim_link_stranger(struct sim_world *world, struct sim_channel *channel, afar__direction side);

void
sim_link_put_step(struct sim_link *link, int to, const afar__step *step, const uint8_t *payload,
                  size_t length);

void
sim_link_put_bytes(struct sim_link *link, int to, const uint8_t *data, size_t length);

void
sim_link_clear(struct sim_link *link);

bool
sim_link_is_quiet(const struct sim_link *link);

/* ---- thread.c ---- */

struct sim_thread *
sim_thread_new(struct sim_node *node);

/* It gets an end; false if it has no room. */
bool
sim_thread_take(struct sim_thread *thread, struct sim_channel *channel, afar__direction side);

/* Does something, or reads what came of it; false if there is nothing to do. */
bool
sim_thread_step(struct sim_thread *thread);

/* Something happens to a thread that waits: time is up, or another event came. */
void
sim_thread_disturb(struct sim_thread *thread);

/* It has nothing any more. */
void
sim_thread_end(struct sim_thread *thread);

/* ---- wait.c ---- */

void
sim_wait_open(struct sim_wait *wait, bool by_priority);

void
sim_wait_begin(struct sim_wait *wait, bool poll);

void
sim_wait_stop(struct sim_wait *wait);

/* An answer did not come either: what holds the round is broken off. */
void
sim_wait_give_up(struct sim_wait *wait);

void
sim_wait_fire(struct sim_wait *wait, unsigned index);

/* Reads the result of a round that is done: the index of what happened, or -1. */
int
sim_wait_read(struct sim_wait *wait, afar_code *ret_code);

void
sim_wait_close(struct sim_wait *wait);

/* The board's `done` and `pack`. */
void
sim_wait_done(struct sim_wait *wait);

afar__parcel *
sim_wait_pack(struct sim_wait *wait, afar__guard *guard);

/* ---- hostile.c ---- */

/* Some come; all go; one of them says something. */
void
sim_hostile_add(struct sim_world *world);

void
sim_hostile_cut(struct sim_world *world);

void
sim_hostile_speak(struct sim_world *world);

/* ---- truth.c ---- */

struct sim_message *
sim_message_new(struct sim_world *world, struct sim_channel *channel);

/* It is a thread's, now and for ever. */
void
sim_truth_received(struct sim_message *message, struct sim_thread *thread);

/* One that breaks rules has it. */
void
sim_truth_leaked(struct sim_world *world, const afar__parcel *parcel);

void
sim_truth_told(struct sim_world *world, struct sim_message *message, enum sim_outcome outcome);

/* A guard was told that its channel is over. */
void
sim_truth_over(struct sim_world *world, struct sim_end *end, afar_code code, const char *text);

/* What holds at any time. */
void
sim_truth_always(struct sim_world *world);

/* Nothing moves any more: nothing may be left that could. */
void
sim_truth_quiet(struct sim_world *world);

/* All is over. */
void
sim_truth_end(struct sim_world *world);

#endif
