/* A server for the tests of the command to start: serves an object under each name and
 * registers them, prints a line when they are registered, and runs until SIGTERM.
 *
 *     named_server NAMES-ADDRESS KEY-FILE MS NAME...
 *
 * KEY-FILE "" is the usual one.  When the names are not registered after MS milliseconds
 * it says why on standard error and ends. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <afar/server.h>

#include "thing.afar.h"

static afar_code
say(void *self, const Thing__SayRequest *request, Thing__SayReply *reply, afar_call *call)
{
    (void)request;
    (void)call;
    reply->text = self;
    return AFAR_OK;
}

static const thing_thing_methods methods = { .say = say };

static afar_code
export_name(afar_server *server, char *name, afar_error *err)
{
    thing_thing *thing = NULL;
    afar_code code = thing_thing_new(&methods, name, NULL, &thing, err);

    if (!code)
        code = afar_server_export(server, name, thing_thing_object(thing), err);
    thing_thing_close(thing);
    return code;
}

static afar_code
serve(afar_server *server, int64_t ms, char **names, const sigset_t *ending, afar_error *err)
{
    afar_code code = AFAR_OK;
    int number;

    for (; *names && !code; names++)
        code = export_name(server, *names, err);
    if (code || (code = afar_server_start(server, err)) ||
        (code = afar_server_registered(server, afar_after_ms(ms), err)))
        return code;
    printf("serving at %s\n", afar_server_address(server));
    fflush(stdout);
    sigwait(ending, &number);
    return AFAR_OK;
}

int
main(int argc, char **argv)
{
    static const char *const metadata[] = { "zone", "north", NULL };
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    sigset_t ending;
    afar_code code;

    if (argc < 5)
        return 2;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, NULL); /* one that comes at once is not lost */
    options.names = argv[1];
    options.key_file = *argv[2] ? argv[2] : NULL;
    options.metadata = metadata;
    if (!(code = afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err)))
        code = serve(server, atoll(argv[3]), argv + 4, &ending, &err);
    if (code)
        fprintf(stderr, "%s: %s\n", afar_code_name(code), err.message);
    afar_server_close(server);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
