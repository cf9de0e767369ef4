/* afar names serve: a store, a registry over it, and an ordinary server with the one
 * object.  The object goes before the registry, which it uses.
 *
 * SIGTERM and SIGINT are blocked before any thread starts, and waited for: one that comes
 * early is not lost. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <afar/log.h>
#include <afar/server.h>

#include "command/commands.h"
#include "command/say.h"
#include "runtime/address.h"
#include "runtime/home.h"
#include "server/nameserver/service.h"

#define USUAL_ADDRESS "127.0.0.1:7700"
#define STORE_IN_MEMORY "memory"
#define STREAMS 100 /* a client that reads no answers has the server keep so many */

typedef struct name_service {
    char store[4096]; /* where the names are */
    afar__registry *registry;
    afar_object *object;
    afar_server *server;
} name_service;

/* Before anything is opened: what cannot be leaves no store behind.  A name server that
 * only its own process can reach is of no use. */
static afar_code
check_addresses(const command_args *args, afar_error *err)
{
    afar__address address;
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < args->listen_count && !code; i++) {
        code = afar__address_parse_listen(args->listen[i], &address, err);
        if (!code && address.kind == AFAR__ADDRESS_INPROC)
            code =
                afar_fail(err, AFAR_INVALID_ARGUMENT,
                          "%s: a name server listens at host:port or unix:path", args->listen[i]);
    }
    return code;
}

static afar_code
find_store(const command_args *args, name_service *service, afar_error *err)
{
    const char *given = args->text[OPTION_STORE];
    int length;

    if (!given)
        return afar__home_path("names.db", service->store, sizeof service->store, err);
    length = snprintf(service->store, sizeof service->store, "%s", given);
    if ((size_t)length >= sizeof service->store)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "the path of the store is longer than %zu bytes",
                         sizeof service->store - 1);
    return AFAR_OK;
}

static afar_code
open_registry(const command_args *args, name_service *service, afar_error *err)
{
    afar__registry_options options = { 0 };
    afar__store *store = NULL;
    afar_code code;

    options.max_names = (size_t)args->number[OPTION_MAX_NAMES];
    if ((code = find_store(args, service, err)) ||
        (code = afar__store_open(service->store, &store, err)))
        return code;
    return afar__registry_open(store, &options, &service->registry, err);
}

static afar_code
open_server(const command_args *args, name_service *service, afar_error *err)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    const char *first = args->listen_count ? args->listen[0] : USUAL_ADDRESS;
    afar_code code;

    options.insecure = args->given[OPTION_INSECURE];
    options.max_streams = STREAMS;
    code = afar_server_open(NULL, first, &options, &service->server, err);
    for (size_t i = 1; i < args->listen_count && !code; i++)
        code = afar_server_listen(service->server, args->listen[i], err);
    return code;
}

static afar_code
start(const command_args *args, name_service *service, afar_error *err)
{
    afar_code code;

    if ((code = check_addresses(args, err)) || (code = open_registry(args, service, err)) ||
        (code = open_server(args, service, err)) ||
        (code = afar__names_service_new(service->registry, &service->object, err)) ||
        (code = afar_server_export(service->server, "", service->object, err)))
        return code;
    return afar_server_start(service->server, err);
}

static void
announce(const command_args *args, const name_service *service)
{
    bool in_memory = !strcmp(service->store, STORE_IN_MEMORY);

    printf("afar: name server at %s, names in ", afar_server_address(service->server));
    print_clean(stdout, in_memory ? "memory" : service->store);
    putchar('\n');
    for (size_t i = 1; i < args->listen_count; i++)
        printf("afar: also at %s\n", args->listen[i]);
    if (fflush(stdout))
        clearerr(stdout); /* who started it does not want to know */
}

static void
stop(name_service *service)
{
    afar_server_close(service->server);
    afar_object_close(service->object);
    afar__registry_close(service->registry);
}

int
run_names_serve(const command_args *args)
{
    name_service service = { .registry = NULL };
    afar_error err = AFAR_ERROR_INIT;
    sigset_t ending;
    int number;
    int code = EXIT_DONE;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    afar_log_set(afar_log_stderr, NULL, AFAR_LOG_WARNING);
    if (start(args, &service, &err)) {
        code = err.code == AFAR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_OTHER;
        complain("%s", err.message);
        afar_error_clear(&err);
    } else {
        announce(args, &service);
        sigwait(&ending, &number);
    }
    stop(&service);
    return code;
}
