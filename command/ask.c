/* Asking a name server, through the client library and the generated stubs as any
 * program would.  A name server is opened by its address, so nothing is looked up for it
 * and no file of known names is touched. */

#include "command/ask.h"

#include <stdlib.h>
#include <string.h>

#include "command/say.h"
#include "runtime/address.h"

#define USUAL_ADDRESS "127.0.0.1:7700"
#define HOW_TO_GO_ON                                                                               \
    "start one with `afar names serve`, or say where it is with --names or AFAR_NAMES"

const char *
name_server_address(const command_args *args)
{
    const char *address = args->text[OPTION_NAMES];

    if (!address)
        address = getenv("AFAR_NAMES");
    return address && *address ? address : USUAL_ADDRESS;
}

static afar_code
check_address(const char *address, const char *source, afar_error *err)
{
    afar_error why = AFAR_ERROR_INIT;
    afar__address parsed;
    afar_code code = afar__address_parse_endpoint(address, &parsed, &why);

    if (code)
        afar_fail(err, code, "%s: %s", source, why.message);
    else if (parsed.kind == AFAR__ADDRESS_INPROC)
        code = afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: %s: a name server is at host:port or unix:path", source, address);
    afar_error_clear(&why);
    return code;
}

/* The client library opens "grpc://127.0.0.1:7700", people write "127.0.0.1:7700". */
afar_code
name_server_connect(name_server *server, afar_error *err)
{
    const char *address = server->address;
    bool complete = !strncmp(address, "grpc://", 7) || !strncmp(address, "unix:", 5);
    char target[512];

    snprintf(target, sizeof target, "%s%s", complete ? "" : "grpc://", address);
    return afar_names_v1_names_open(server->client, target, afar_after_ms(server->timeout_ms),
                                    &server->names, err);
}

int
name_server_open(const command_args *args, name_server *ret_server)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    name_server server = { .address = name_server_address(args),
                           .timeout_ms = args->number[OPTION_TIMEOUT] };
    afar_error err = AFAR_ERROR_INIT;
    int code;

    options.known_names = "";
    if (!check_address(server.address, args->text[OPTION_NAMES] ? "--names" : "AFAR_NAMES", &err) &&
        !afar_client_open(NULL, &options, &server.client, &err) &&
        !name_server_connect(&server, &err)) {
        *ret_server = server;
        return EXIT_DONE;
    }
    code = exit_code_of(err.code);
    if (code == EXIT_UNREACHABLE)
        complain("no name server at %s: %s; " HOW_TO_GO_ON, server.address,
                 without_target(err.message, server.address));
    else
        complain("%s", err.message);
    afar_error_clear(&err);
    afar_client_close(server.client);
    return code;
}

void
name_server_close(name_server *server)
{
    afar_names_v1_names_close(server->names);
    afar_client_close(server->client);
}

int
name_server_failed(const name_server *server, afar_error *err)
{
    int code = exit_code_of(err->code);

    if (err->code == AFAR_UNIMPLEMENTED) {
        complain("the server at %s is not a name server; " HOW_TO_GO_ON, server->address);
        code = EXIT_UNREACHABLE;
    } else if (code == EXIT_UNREACHABLE) {
        complain("the name server at %s does not answer: %s", server->address,
                 without_target(err->message, server->address));
    } else {
        complain("%s", err->message);
    }
    afar_error_clear(err);
    return code;
}

afar_code
name_server_lookup(const name_server *server, const char *name,
                   Afar__Names__V1__LookupReply **ret_reply, afar_error *err)
{
    Afar__Names__V1__LookupRequest request = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;

    request.name = (char *)name;
    return afar_names_v1_names_lookup(server->names, &request, afar_after_ms(server->timeout_ms),
                                      ret_reply, err);
}
