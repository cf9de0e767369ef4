#ifndef SIM_WORLD_H
#define SIM_WORLD_H

/* The simulated world: two sessions, two wires, a clock, and what is true.  Each side
 * has a node, which does with its session whatever the seed says; the model stands
 * above both and sees all.  One seed always gives the same run. */

#include <stdbool.h>
#include <stdint.h>

#include "runtime/session/session.h"

#include "wire.h"

#define SIM_OBJECTS 24    /* of each node */
#define SIM_IMPORTS 64    /* numbers of imports are small */
#define SIM_CALLS 1024    /* in one run */
#define SIM_REFERENCES 4  /* in one payload */
#define SIM_WITHHELD 4096 /* payloads that were not taken yet */

/* An object of a node.  `out` is what its owner knows: the peer has references. */
struct sim_object {
    int owner;
    unsigned number;
    bool out;
};

struct sim_import {
    struct sim_object *object;
    uint32_t count; /* references that this side has */
};

/* One call, seen from above. */
struct sim_call {
    uint32_t number; /* in the order in which they are made, from 1 */
    int caller;
    unsigned method; /* what streams it has: see sim_method */
    bool keep, oneway;
    int64_t made, deadline;
    afar__session_target target; /* as the caller gave it */
    uint32_t path[1];
    struct sim_object *object;  /* of the target, if it is one */
    struct sim_call *promising; /* likewise */
    char name[4];

    /* What the caller did and was told. */
    afar__session_id question;
    bool cancelled, ended, finished;
    bool returned;
    afar_code code;
    afar_outcome outcome;

    /* What the answering side was told and did. */
    afar__session_id answer;
    bool called, begun, replied;
    bool told_cancelled, told_ended, told_finished;
    afar_code reply_code;
    bool reply_lost; /* after the end of the session: nobody will see it */

    uint32_t sent[2]; /* items: to the answering side, to the caller */
    uint32_t received[2];
};

struct sim_withheld {
    afar__session_id call;
    uint32_t cost;
    bool item;
};

struct sim_node {
    struct sim_world *world;
    int index;
    afar__session *session;
    afar__session_limits limits;
    struct wire wire; /* what it sends */
    struct plant plant;
    struct sim_object objects[SIM_OBJECTS];
    struct sim_import imports[SIM_IMPORTS];
    struct sim_withheld withheld[SIM_WITHHELD];
    unsigned withheld_count;
    int64_t asleep_until; /* reads nothing before */
    bool opened, closing, over;
    bool told; /* that the stream broke */
    afar__session_reason reason;
};

struct sim_world {
    struct random random;
    uint64_t seed;
    int64_t now; /* nanoseconds */
    struct tap tap;
    struct sim_node nodes[2];
    struct sim_call calls[SIM_CALLS];
    uint32_t call_count;
    unsigned pace;        /* acts come so often, beside what moves frames */
    bool healthy;         /* nothing was cut and nobody closes: all must work */
    bool ending_in_order; /* somebody closes: the wire's rules still hold */
    bool truncating;      /* the next batch to arrive is cut in the middle */
    bool giving_up;       /* what is kept, and references, are given back */
    char wrong[320];
};

/* Runs one seed, with `plant` in what the first side sends; true if all that must hold holds.
 * `ret_wrong` gets what does not. */
bool
sim_run(uint64_t seed, enum plant_kind plant, char ret_wrong[320]);

/* ---- between the parts ---- */

/* Notes that something is not as it must be; the first is kept. */
__attribute__((format(printf, 2, 3))) void
sim_wrong(struct sim_world *world, const char *format, ...);

/* Below `limit`; a chance of one in `limit`. */
unsigned
sim_below(struct sim_world *world, unsigned limit);

bool
sim_chance(struct sim_world *world, unsigned one_in);

/* An import of which the node has references; 0 if there is none. */
uint32_t
sim_some_import(struct sim_node *node);

/* Paths, and which directions stream. */
const char *
sim_method_path(unsigned method);

bool
sim_sends_stream(const struct sim_call *call, int direction);

#define SIM_METHODS 6

/* A payload and its references, made and recognised. */
struct sim_payload {
    uint8_t bytes[4096];
    size_t length;
    afar__session_reference references[SIM_REFERENCES];
    unsigned reference_count;
    char interfaces[SIM_REFERENCES][8];
};

/* `part`: 'c', 'r', or 'i' and 'o' for items of the two directions. */
void
sim_payload_make(struct sim_node *node, const struct sim_call *call, char part, uint32_t sequence,
                 struct sim_payload *ret_payload);

/* The references were sent: objects of ours are out, as far as the session says so. */
void
sim_payload_went(struct sim_node *node, const struct sim_payload *payload);

/* It arrived at `node`, whose imports grow. */
void
sim_payload_arrived(struct sim_node *node, const struct sim_call *call, char part,
                    uint32_t sequence, const afar__session_event *event);

/* Does one thing of a node's own accord, if it is possible. */
void
sim_act(struct sim_node *node);

/* Does all that is left to do; false if nothing is. */
bool
sim_finish(struct sim_node *node);

/* Acts on an event. */
void
sim_event(struct sim_node *node, const afar__session_event *event);

#endif
