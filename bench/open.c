/* A client that finds its object by name, again and again: opens, calls once, closes.
 *
 *     bench-open seq open ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * ADDRESS is the name server's.  The object is in a third process, a fork from before
 * anything of Afar was used; it registers itself there.  Unlike bench-names this is what
 * a program sees: the client remembers for some seconds where a name was, and keeps
 * its connection. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/server.h>

#include "bench.h"
#include "echo.afar.h"

#define NAME "bench/echo"
#define OPEN_MS 10000

/* Ends the program if something failed. */
static void
expect(afar_code code, const afar_error *err, const char *what)
{
    if (code)
        bench_fail("%s: %s: %s", what, afar_code_name(code), err->message);
}

/* ---- the process of the object ---- */

static afar_code
echo_call(void *self, const Bench__Blob *request, Bench__Blob *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->data = request->data;
    return AFAR_OK;
}

static const bench_echo_methods methods = { .call = echo_call };

/* Writes a byte when the name is registered; serves until SIGTERM. */
static void
serve(const char *names, int ready)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    bench_echo *echo = NULL;

    options.names = names;
    expect(afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err), &err, "open a server");
    expect(bench_echo_new(&methods, NULL, NULL, &echo, &err), &err, "make an object");
    expect(afar_server_export(server, NAME, bench_echo_object(echo), &err), &err, "export");
    bench_echo_close(echo);
    expect(afar_server_start(server, &err), &err, "start a server");
    expect(afar_server_registered(server, afar_after_ms(OPEN_MS), &err), &err, "register");
    if (write(ready, "", 1) != 1)
        bench_fail("nobody waits for the object");
    expect(afar_server_run(server, &err), &err, "serve");
    afar_server_close(server);
}

/* Returns when the object can be found. */
static pid_t
start_object(const char *names)
{
    int ready[2];
    char byte;

    if (pipe(ready))
        bench_fail("a pipe could not be made");
    pid_t child = fork();
    if (child < 0)
        bench_fail("a process could not be made");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        serve(names, ready[1]);
        exit(EXIT_SUCCESS);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        bench_fail("the object did not start");
    close(ready[0]);
    return child;
}

/* ---- the client ---- */

static void
use_once(afar_client *client, uint64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    Bench__Blob request = BENCH__BLOB__INIT, *reply = NULL;
    bench_echo *echo = NULL;
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    request.data = (ProtobufCBinaryData){ sizeof data, data };
    expect(bench_echo_open(client, NAME, afar_after_ms(OPEN_MS), &echo, &err), &err, "open");
    expect(bench_echo_call(echo, &request, AFAR_FOREVER, &reply, &err), &err, "call");
    if (!bench_small_is(reply->data.data, reply->data.len, number))
        bench_fail("the reply to call %llu is not its request", (unsigned long long)number);
    afar_message_free(reply);
    bench_echo_close(echo);
}

static void
run(const bench_options *options)
{
    static bench_meter meter;
    afar_client_options where = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    where.names = options->address;
    expect(afar_client_open(NULL, &where, &client, &err), &err, "open a client");
    int64_t since = bench_now();
    uint64_t number = 0;
    bench_meter_start(&meter, options, since, true);
    do
        use_once(client, number++);
    while (bench_meter_note(&meter, &since));
    bench_report_meter(&meter);
    afar_client_close(client);
}

int
main(int argc, char **argv)
{
    bench_options options;
    int status;

    bench_options_read(&options, argc - 1, argv + 1);
    pid_t object = start_object(options.address);
    run(&options);
    kill(object, SIGTERM);
    if (waitpid(object, &status, 0) != object || status != 0)
        bench_fail("the process of the object ended badly");
    return EXIT_SUCCESS;
}
