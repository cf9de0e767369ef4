/* The echo server on Afar: one object of default mode on one address.
 *
 *     bench-server WORK VARIANT ADDRESS
 *
 * It serves every work alike and until SIGTERM.  A reply points into its request,
 * which lives as long: nothing is copied that a service of this kind would not
 * copy.  Handlers run on library threads, one at a time. */

#include <stdio.h>
#include <stdlib.h>

#include <afar/server.h>

#include "bench.h"
#include "echo.afar.h"

static afar_code
echo_call(void *self, const Bench__Blob *request, Bench__Blob *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->data = request->data;
    return AFAR_OK;
}

static afar_code
acknowledge(bench_echo_flow_server_stream *stream, uint64_t *count)
{
    Bench__Blob answer = BENCH__BLOB__INIT;

    answer.data.data = (uint8_t *)count;
    answer.data.len = sizeof *count;
    return bench_echo_flow_server_send(stream, &answer, AFAR_FOREVER, NULL);
}

static afar_code
echo_flow(void *self, bench_echo_flow_server_stream *stream, afar_call *call)
{
    const Bench__Blob *message = NULL;
    uint64_t count = 0;
    afar_code code;

    (void)self;
    while (!(code = bench_echo_flow_server_receive(stream, AFAR_FOREVER, &message, NULL))) {
        bench_taken taken = bench_stream_take(message->data.data, message->data.len, &count);

        if (taken == BENCH_TAKEN_WRONG)
            return afar_call_fail(call, AFAR_INVALID_ARGUMENT,
                                  "message %llu of the stream is not what came",
                                  (unsigned long long)count);
        if (taken == BENCH_TAKEN_END && (code = acknowledge(stream, &count)) != AFAR_OK)
            return code;
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static const bench_echo_methods methods = {
    .call = echo_call,
    .flow = echo_flow,
};

static afar_code
serve(afar_server *server, afar_error *err)
{
    bench_echo *echo = NULL;
    afar_code code = bench_echo_new(&methods, NULL, NULL, &echo, err);

    if (code)
        return code;
    code = afar_server_export(server, "", bench_echo_object(echo), err);
    bench_echo_close(echo);
    if (code)
        return code;
    bench_ready(afar_server_address(server));
    return afar_server_run(server, err);
}

int
main(int argc, char **argv)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    bench_options options;
    afar_code code;

    bench_options_read(&options, argc - 1, argv + 1);
    if (!(code = afar_server_open(NULL, options.address, NULL, &server, &err)))
        code = serve(server, &err);
    if (code)
        fprintf(stderr, "bench-server: %s: %s\n", afar_code_name(code), err.message);
    afar_server_close(server);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
