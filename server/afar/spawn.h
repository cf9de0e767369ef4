#ifndef AFAR_SPAWN_H
#define AFAR_SPAWN_H

/* Programs as processes of a network (afar/network.h).  A child is started by the network, opens what it was
 * given by name, and ends by returning from its main.  A farm in a page, the farmer's side and the worker's:
 *
 *     const char *const argv[] = { "worker", NULL };
 *     afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
 *
 *     options.may_fail = true;
 *     code = afar_server_open(NULL, "127.0.0.1:0", NULL, &server, &err);
 *     if (!code)
 *         code = afar_server_start(server, &err);
 *     for (int i = 0; i < WORKERS && !code; i++)
 *         if (!(code = job_rendezvous_new(&jobs[i], &todo, &err)) &&
 *             !(code = job_rendezvous_new(&done, &results[i], &err))) {
 *             afar_given given[] = { AFAR_GIVE_RECEIVER("jobs", todo),
 *                                    AFAR_GIVE_SENDER("results", done), AFAR_GIVE_END };
 *
 *             code = afar_network_spawn(network, server, argv, given, &options, &err);
 *         }
 *
 *     int
 *     main(void)
 *     {
 *         ...
 *         if (!(code = afar_client_open(NULL, NULL, &client, &err)) &&
 *             !(code = job_receiver_open(client, "inherited:jobs", PATIENCE, &jobs, &err)) &&
 *             !(code = job_sender_open(client, "inherited:results", PATIENCE, &results, &err)))
 *             while (!code && !(code = job_receive(jobs, AFAR_FOREVER, &job, &err))) {
 *                 code = job_send(results, work_on(job), AFAR_FOREVER, &err);
 *                 afar_message_free(job);
 *             }
 *         ...
 *         return code == AFAR_ENDED || code == AFAR_POISONED ? EXIT_SUCCESS : EXIT_FAILURE;
 *     }
 *
 * The farmer receives LOST from results[i] when that worker was killed, and gives its job to another.  A child
 * finishes its senders before it closes its client: an end that goes with its client is lost.
 *
 * A child gets what it was given from the server, under names that nobody can guess; they are in its environment,
 * as AFAR_END_JOBS for "jobs".  An end counts as in use, opened or not, until the child has finished all that it
 * opened of it, or has ended; then the name holds no more.
 *
 * A child that exits with 0 has come to an ordinary end.  Otherwise it has failed, with LOST: "worker (process
 * 4711) was killed by signal 9", "worker (process 4711) exited with 3". */

#include <stdbool.h>

#include <sys/types.h>

#include <afar/network.h>
#include <afar/server.h>

AFAR_BEGIN

typedef struct afar_spawn_options {
    size_t size;                   /* sizeof(afar_spawn_options): the INIT sets it */
    const char *name;              /* for messages; NULL: the program's */
    bool may_fail;                 /* its failure is not the network's: nothing is poisoned */
    unsigned grace_ms;             /* what it gets to end when the network has been poisoned; then
                                      it is killed.  0: 5,000 */
    void (*ended)(void *arg, afar_code code, const afar_error *err);
                                   /* tells how it ended, on a thread of the network, when what
                                      it was given is still in use; may be NULL.  It may start
                                      another child, but not wait for the network */
    void *arg;                     /* for `ended` */
    pid_t *ret_pid;                /* where its process id goes; may be NULL */
} afar_spawn_options;

#define AFAR_SPAWN_OPTIONS_INIT { sizeof(afar_spawn_options), NULL, false, 0, NULL, NULL, NULL }

/* Starts a program as a process of the network.  argv ends with NULL; a program without a slash is
 * looked for in PATH.  It gets the environment, standard input, output and error of this process, no
 * other descriptor, no blocked signals, and SIGPIPE as the system has it; other signals that are ignored stay
 * ignored.  `given` may be NULL; the names in it have a-z, 0-9 and _ only.
 * It is the network's in any case, as in afar_network_run.  The server must have started, and must not
 * be closed before the network.  options may be NULL.
 *
 * NOT_FOUND if there is no such program, PERMISSION_DENIED if it may not be run, RESOURCE_EXHAUSTED
 * over a limit of the system, INVALID_ARGUMENT for a name, FAILED_PRECONDITION for a server that
 * does not serve other processes; these fail the network, unless the child may fail.  POISONED when it was poisoned before. */
AFAR_API AFAR_MUST_USE afar_code
afar_network_spawn(afar_network *network, afar_server *server, const char *const argv[],
                   const afar_given *given, const afar_spawn_options *options, afar_error *err);

AFAR_END

#endif
