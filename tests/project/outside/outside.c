/* A server and a client in one process, over TCP: what a user's program needs from
 * the installed tree, the well-known types and references in messages too. */

#include <stdio.h>
#include <stdlib.h>

#include <afar/client.h>
#include <afar/server.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "common/person.pb-c.h"
#include "protos/greeting.afar.h"

static afar_code
greet(void *self, const Common__Person *request, Outside__Greeting *reply, afar_call *call)
{
    Google__Protobuf__Timestamp *at;

    (void)self;
    if (!*request->name) {
        Outside__Unknown why = OUTSIDE__UNKNOWN__INIT;

        return outside_unknown_fail(call, AFAR_INVALID_ARGUMENT, &why, "nobody");
    }
    at = afar_call_alloc(call, sizeof *at);
    if (!at)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "no memory");
    google__protobuf__timestamp__init(at);
    at->seconds = 1700000000;
    reply->at = at;
    reply->text = afar_call_strdup(call, request->name);
    return AFAR_OK;
}

static const outside_greeter_methods methods = { .greet = greet };

static afar_code
serve(afar_node *node, afar_server **ret_server, afar_error *err)
{
    outside_greeter *object = NULL;
    afar_code code;

    if ((code = afar_server_open(node, "127.0.0.1:0", NULL, ret_server, err)) ||
        (code = outside_greeter_new(&methods, NULL, NULL, &object, err)))
        return code;
    code = afar_server_export(*ret_server, "greeter", outside_greeter_object(object), err);
    outside_greeter_close(object);
    return code ? code : afar_server_start(*ret_server, err);
}

static afar_code
ask(outside_greeter *greeter, const char *who, afar_error *err)
{
    Common__Person person = COMMON__PERSON__INIT;
    Outside__Greeting *greeting = NULL;

    person.name = (char *)who;
    afar_code code = outside_greeter_greet(greeter, &person, afar_after_ms(5000), &greeting, err);
    if (code == AFAR_OK)
        printf("%s at %lld\n", greeting->text, (long long)greeting->at->seconds);
    else if (outside_unknown_of(err))
        printf("refused: %s\n", err->message);
    afar_message_free(greeting);
    return code;
}

/* A reference in a message, which libafar knows for one when it copies the message. */
static afar_code
keep(outside_greeter *greeter, afar_error *err)
{
    Outside__Card card = OUTSIDE__CARD__INIT;
    ProtobufCMessage *copy = NULL;
    outside_greeter *taken;
    Afar__Ref room;

    outside_card_put_greeter(&card, &room, greeter);
    afar_code code = afar_message_copy(&card.base, &copy, err);
    if (code)
        return code;
    taken = outside_card_take_greeter((const Outside__Card *)copy);
    afar_message_free(copy);
    printf("card: %s\n", taken == greeter ? "the same" : "another");
    outside_greeter_close(taken);
    return AFAR_OK;
}

int
main(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;
    afar_server *server = NULL;
    afar_client *client = NULL;
    outside_greeter *greeter = NULL;
    char name[256];
    afar_code code;

    if (!(code = afar_node_open(NULL, &node, &err)) && !(code = serve(node, &server, &err)) &&
        !(code = afar_client_open(node, NULL, &client, &err))) {
        snprintf(name, sizeof name, "grpc://%s/greeter", afar_server_address(server));
        code = outside_greeter_open(client, name, afar_after_ms(5000), &greeter, &err);
    }
    if (!code && !(code = ask(greeter, "world", &err)) &&
        ask(greeter, "", &err) != AFAR_INVALID_ARGUMENT)
        code = AFAR_UNKNOWN;
    if (!code)
        code = keep(greeter, &err);
    if (code)
        fprintf(stderr, "outside: %s: %s\n", afar_code_name(code), err.message);
    outside_greeter_close(greeter);
    afar_client_close(client);
    afar_server_close(server);
    afar_node_close(node);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
