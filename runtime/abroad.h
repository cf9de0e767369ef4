#ifndef AFAR_RUNTIME_ABROAD_H
#define AFAR_RUNTIME_ABROAD_H

/* References outside of sessions: over plain gRPC a reference is the address of a server and the name
 * that the object has there.
 *
 * What goes out: an object that is elsewhere goes as its own address, if it has one.  Any
 * other is lent by a server of this process, its publisher, so that it can be called there by a
 * name.  What comes in: an object that stands for the address, and connects when it is first
 * called. */

#include <afar/node.h>
#include <afar/ref.h>

#include "runtime/address.h"
#include "runtime/arena.h"

/* Where an object can be called. */
typedef struct afar__spot {
    char address[400]; /* "grpc://host:port", "unix:/path", "afar://host:port" */
    char name[256];    /* "": the default object */
    bool has_key;
    uint8_t key[AFAR__PUBLIC_BYTES]; /* of the owner */
} afar__spot;

/* Writes an address as plain gRPC clients are told it.  An Afar server has both at one port, so afar://
 * becomes grpc://, and what has no scheme gets that.  False if it is too long. */
bool
afar__spot_set(afar__spot *spot, const char *address, const char *name);

/* ---- publishers ---- */

/* What a server does for its node.  Called on any thread, with locks held. */
typedef struct afar__publisher afar__publisher;
struct afar__publisher {
    /* Where others can call the object from now on.  `fd` is the connection to who is told, -1 if it
     * is not known.  FAILED_PRECONDITION: the server has no address; RESOURCE_EXHAUSTED. */
    afar_code (*lend)(afar__publisher *publisher, afar_object *object, int fd, afar__spot *ret_spot,
                      afar_error *err);
    /* Where others can open the object, under the name that it was exported with.  False if it has
     * none, or the server has no address. */
    bool (*place)(afar__publisher *publisher, afar_object *object, afar__spot *ret_spot);
    /* The object of that interface which is called so, if the address is the server's own; a
     * reference, or NULL. */
    afar_object *(*find)(afar__publisher *publisher, const afar__address *address, const char *name,
                         const afar_interface *interface);

    /* abroad.c's */
    afar_node *node;
    afar__publisher *next, **link;
};

/* From now on the publisher is asked about references of that node. */
void
afar__publisher_enter(afar_node *node, afar__publisher *publisher);

/* When it returns the publisher is not asked any more, but by who has a pointer to it.  Does
 * nothing if it was not published. */
void
afar__publisher_leave(afar__publisher *publisher);

/* ---- sending ---- */

/* Who is told. */
typedef struct afar__leaving {
    const char *what; /* path of the method, for messages */
    afar_node *node;
    afar__publisher *publisher; /* NULL: any of the node's */
    int fd;
} afar__leaving;

/* What was written into a message.  Begins as { NULL }. */
typedef struct afar__abroad {
    struct afar__written *first;
} afar__abroad;

/* Writes addresses into the references of a message that is to be packed.  They stay there until
 * afar__abroad_undo, which must be called also when this fails: INVALID_ARGUMENT for one of another
 * interface than its field's, FAILED_PRECONDITION if nobody here can lend it, RESOURCE_EXHAUSTED. */
AFAR_MUST_USE afar_code
afar__abroad_write(afar__abroad *abroad, const afar_refs *plan, const ProtobufCMessage *message,
                   const afar__leaving *leaving, afar_error *err);

void
afar__abroad_undo(afar__abroad *abroad);

/* ---- receiving ---- */

/* Gives the references in a received message that have an address their objects, which the arena
 * closes at its end.  Connects to nothing.  INVALID_ARGUMENT for an address or a name that is none, and
 * for another interface than the field's; RESOURCE_EXHAUSTED for too many. */
AFAR_MUST_USE afar_code
afar__abroad_read(afar_node *node, const afar_refs *plan, const ProtobufCMessage *message,
                  afar__arena *arena, afar_error *err);

/* ---- where objects are: false if it is no such object, or has no address ---- */

/* One of this process, by the name that a server of the node exports it with. */
bool
afar__abroad_place(const afar_node *node, afar_object *object, afar__spot *ret_spot);

/* One over plain gRPC (grpc_link.c). */
bool
afar__remote_spot(const afar_object *object, afar__spot *ret_spot);

#endif
