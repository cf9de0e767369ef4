/* A name server for tests: what names_host.h says.  The registry is asked directly, so
 * that what a test sees does not depend on a client. */

#include "names_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/nameserver/service.h"

#define PATIENCE_MS 18000
#define PAUSE_NS 5000000

static char home[100];

/* ---- the name server ---- */

static void
start(struct names_host *host, const char *address, const char *store)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *service = NULL;
    afar__store *opened = NULL;

    CHECK_OK(afar__store_open(store, &opened, &err));
    CHECK_OK(afar__registry_open(opened, NULL, &host->registry, &err));
    CHECK_OK(afar__names_service_new(host->registry, &service, &err));
    CHECK_OK(afar_server_open(NULL, address, NULL, &host->server, &err));
    CHECK_OK(afar_server_export(host->server, "", service, &err));
    CHECK_OK(afar_server_start(host->server, &err));
    afar_object_close(service);
}

void
names_host_open(struct names_host *host, const char *store)
{
    names_host_open_at(host, TCP, store);
}

void
names_host_open_at(struct names_host *host, const char *address, const char *store)
{
    start(host, address, store);
    snprintf(host->address, sizeof host->address, "%s", afar_server_address(host->server));
}

void
names_host_reopen(struct names_host *host, const char *store)
{
    start(host, host->address, store);
}

void
names_host_close(struct names_host *host)
{
    afar_server_close(host->server);
    afar__registry_close(host->registry);
    host->server = NULL;
    host->registry = NULL;
}

bool
names_host_has(const struct names_host *host, const char *name)
{
    afar__entry entry;

    if (afar__registry_lookup(host->registry, name, &entry, NULL))
        return false;
    afar__entry_clear(&entry);
    return true;
}

afar__record *
names_host_record(const struct names_host *host, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *record = NULL;
    afar__entry entry;

    CHECK_OK(afar__registry_lookup(host->registry, name, &entry, &err));
    CHECK_OK(afar__record_verify(entry.record, AFAR__PURPOSE_RECORD, &record, &err));
    afar__entry_clear(&entry);
    return (afar__record *)record;
}

void
names_host_wait(const struct names_host *host, const char *name, bool there)
{
    const struct timespec pause = { 0, PAUSE_NS };
    int64_t end = now_ms() + PATIENCE_MS;

    while (names_host_has(host, name) != there) {
        if (now_ms() > end)
            check_fail(__FILE__, __LINE__, "%s is %s", name, there ? "not there" : "still there");
        nanosleep(&pause, NULL);
    }
}

/* ---- servers ---- */

const char *
names_home(void)
{
    snprintf(home, sizeof home, "%s/home-XXXXXX", check_folder());
    CHECK(mkdtemp(home));
    CHECK_INT(setenv("AFAR_HOME", home, 1), 0);
    return home;
}

afar_server_options
names_options(const struct names_host *host, unsigned lease_ms)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;

    options.names = host->address;
    options.lease_ms = lease_ms;
    return options;
}

afar_server *
names_serve(const afar_server_options *options, const char *name)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    CHECK_OK(afar_server_open(NULL, TCP, options, &server, &err));
    if (name) {
        test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);

        export_probe(server, name, probe);
        test_probe_close(probe);
    }
    CHECK_OK(afar_server_start(server, &err));
    return server;
}

void
names_wait_reason(afar_server *server, const char *why)
{
    const struct timespec pause = { 0, PAUSE_NS };
    int64_t end = now_ms() + PATIENCE_MS;
    afar_error err = AFAR_ERROR_INIT;

    for (;;) {
        afar_code code = afar_server_registered(server, afar_after_ms(0), &err);

        if (code && code != AFAR_DEADLINE_EXCEEDED)
            check_fail(__FILE__, __LINE__, "%s: %s", afar_code_name(code), err.message);
        if (code && strstr(err.message, why))
            break;
        if (now_ms() > end)
            check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.message, why);
        nanosleep(&pause, NULL);
    }
    afar_error_clear(&err);
}
