/* Opening an end of a channel. */

#include "command/channel.h"

#include <string.h>

#include "command/say.h"

#define OPENING_MS 5000
#define LAST_MS 5000

/* People write host:port/name; the client library opens "afar://host:port/name". */
static bool
needs_scheme(const char *name)
{
    static const char *const schemes[] = { "afar://", "grpc://", "unix:", "inproc:", "inherited:" };

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!strncmp(name, schemes[i], strlen(schemes[i])))
            return false;
    return strchr(name, ':') != NULL;
}

static afar_code
open_object(channel_run *run, const afar_interface *interface, afar_error *err)
{
    afar_deadline deadline = afar_after_ms(OPENING_MS);
    const char *scheme = needs_scheme(run->name) ? "afar://" : "";
    char target[512];
    int length = snprintf(target, sizeof target, "%s%s", scheme, run->name);

    if ((size_t)length >= sizeof target)
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "it is longer than any name or address");
    return afar_object_open(run->client, target, interface, deadline, &run->object, err);
}

int
channel_open(const command_args *args, const afar_interface *interface, bool output,
             channel_run *ret_run)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    channel_run *run = ret_run;
    afar_error err = AFAR_ERROR_INIT;
    int code;

    memset(run, 0, sizeof *run);
    run->name = args->operands[0];
    run->patience = args->number[OPTION_PATIENCE];
    if ((code = ending_open(&run->ending, output)))
        return code;
    options.names = args->text[OPTION_NAMES];
    if (!afar_client_open(NULL, &options, &run->client, &err) && !open_object(run, interface, &err))
        return EXIT_DONE;
    code = channel_failed(run, "", &err);
    channel_close(run);
    return code;
}

void
channel_close(channel_run *run)
{
    afar_object_close(run->object);
    afar_client_close(run->client);
    ending_close(&run->ending);
}

afar_deadline
channel_deadline(const channel_run *run)
{
    return run->patience ? afar_after_ms(run->patience) : AFAR_FOREVER;
}

int64_t
channel_last_ms(const channel_run *run)
{
    return run->patience ? run->patience : LAST_MS;
}

afar_deadline
channel_last_deadline(const channel_run *run)
{
    return afar_after_ms(channel_last_ms(run));
}

int
channel_failed(const channel_run *run, const char *what, afar_error *err)
{
    int code = exit_code_of(err->code);

    complain("%s: %s%s", run->name, what, without_target(err->message, run->name));
    afar_error_clear(err);
    return code;
}
