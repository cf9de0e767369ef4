#ifndef AFAR_NETWORK_H
#define AFAR_NETWORK_H

/* Process networks: processes that share nothing and talk through channels (afar/channel.h).  A process
 * is a thread that runs a function, or a program of its own (afar/spawn.h).  A network starts
 * them, waits for all of them, and ends them all when one fails.
 *
 * A process has its ends from its start: they are given to the network, which closes them when the process
 * has returned.  So a sender finishes when its process is done, and whoever receives from it gets what
 * is left and then ENDED.  A pipeline in a page; `struct stage` has an item_receiver *in and an
 * item_sender *out:
 *
 *     static afar_code
 *     squares(void *arg, afar_error *err)
 *     {
 *         struct stage *stage = arg;
 *         Item *item = NULL;
 *         afar_code code;
 *
 *         while (!(code = item_receive(stage->in, AFAR_FOREVER, &item, err))) {
 *             item->number *= item->number;
 *             code = item_send(stage->out, item, AFAR_FOREVER, err);
 *             afar_message_free(item);
 *             if (code)
 *                 break;
 *         }
 *         return code;
 *     }
 *
 *     if (!(code = afar_network_open(&network, &err)) &&
 *         !(code = item_rendezvous_new(&numbers.out, &stage.in, &err)) &&
 *         !(code = item_rendezvous_new(&stage.out, &sum.in, &err))) {
 *         afar_given first[] = { AFAR_GIVE_SENDER("out", numbers.out), AFAR_GIVE_END };
 *         afar_given second[] = { AFAR_GIVE_RECEIVER("in", stage.in),
 *                                 AFAR_GIVE_SENDER("out", stage.out), AFAR_GIVE_END };
 *         afar_given third[] = { AFAR_GIVE_RECEIVER("in", sum.in), AFAR_GIVE_END };
 *
 *         (void)!afar_network_run(network, "numbers", count_up, &numbers, first, &err);
 *         (void)!afar_network_run(network, "squares", squares, &stage, second, &err);
 *         (void)!afar_network_run(network, "sum", add_up, &sum, third, &err);
 *         code = afar_network_wait(network, AFAR_FOREVER, &err);
 *     }
 *     afar_network_close(network);
 *
 * How a process ends: OK, ENDED and POISONED are its ordinary end.  Anything else is a failure: the first one
 * poisons all that the processes of the network were given, with its text, "squares: no memory ...", and
 * is what `wait` returns.  So is a process that could not be started, so only `wait` needs a look.
 *
 * Any thread. */

#include <afar/channel.h>

AFAR_BEGIN

typedef struct afar_network afar_network;

/* Something that a process is given: a sender, a receiver, or a reference to any other
 * object.  The name is for processes that are programs: there it is opened by it. */
typedef struct afar_given {
    const char *name;
    afar_sender *sender;
    afar_receiver *receiver;
    afar_object *object;
} afar_given;

/* Ends of any type.  A list of what is given ends with AFAR_GIVE_END. */
#define AFAR_GIVE_SENDER(name, end) { (name), (afar_sender *)(end), NULL, NULL }
#define AFAR_GIVE_RECEIVER(name, end) { (name), NULL, (afar_receiver *)(end), NULL }
#define AFAR_GIVE_OBJECT(name, reference) { (name), NULL, NULL, (afar_object *)(reference) }
#define AFAR_GIVE_END { NULL, NULL, NULL, NULL }

/* What a process does.  It may block in Afar as any thread of the program.  What it was given is to be
 * used, and a sender may be finished early; all of it is closed when it has returned. */
typedef afar_code (*afar_process_fn)(void *arg, afar_error *err);

/* Opens a network without processes. */
AFAR_API AFAR_MUST_USE afar_code
afar_network_open(afar_network **ret_network, afar_error *err);

/* Starts a thread as a process; the name is for messages.  `given` may be NULL.  What it lists is the
 * network's from now on, in any case: when no thread can be made (RESOURCE_EXHAUSTED, which poisons
 * the network as a failed process does), or when the network was poisoned before (POISONED), it is
 * closed at once.  All signals are blocked in the thread. */
AFAR_API AFAR_MUST_USE afar_code
afar_network_run(afar_network *network, const char *name, afar_process_fn fn, void *arg,
                 const afar_given *given, afar_error *err);

/* Ends the network by intent: poisons every end that was given to a process which still runs.  Who waits
 * for a channel gets POISONED; nobody is stopped in anything else.  Nothing is started any more.
 * It may be done again; the first reason counts, up to 255 bytes of it.  Processes may do it too. */
AFAR_API void
afar_network_poison(afar_network *network, const char *reason);

/* Waits until no process runs.  OK when all came to an ordinary end; else the first failure, each
 * time, when all have ended.  The death of a child counts before the LOST that others had of
 * it.  At `deadline` DEADLINE_EXCEEDED, with the name of one that still runs; DEADLOCK when a
 * process of the network asks. */
AFAR_API AFAR_MUST_USE afar_code
afar_network_wait(afar_network *network, afar_deadline deadline, afar_error *err);

/* Poisons what still runs, waits until it has ended, and releases the network; NULL is allowed.  From a
 * handler or a callback it only starts that.  A process must not close its own network. */
AFAR_API void
afar_network_close(afar_network *network);

AFAR_END

#endif
