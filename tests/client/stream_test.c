/* Streams whose two ends do not agree on when to stop.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <string.h>

#include <afar/client.h>
#include <afar/server.h>

#include "check.h"
#include "thing.afar.h"

#define REPLY_BYTES 5000
#define REPLIES 10 /* less than a window takes unread */

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

/* Says more than the caller reads, and ends the call. */
static afar_code
talk(void *self, client_thing_talk_server_stream *stream, afar_call *call)
{
    static uint8_t data[REPLY_BYTES];
    Client__Word word = CLIENT__WORD__INIT;
    afar_code code = AFAR_OK;

    word.data = (ProtobufCBinaryData){ sizeof data, data };
    for (; !code && word.number < REPLIES; word.number++)
        code = client_thing_talk_server_send(stream, &word, soon(), NULL);
    return code || !self ? code : afar_call_fail(call, *(afar_code *)self, "enough");
}

static const client_thing_methods methods = { .talk = talk };

/* The caller sends without reading, until it is told that the call has ended; then it
 * reads all that came before the end. */
static void
send_until_told(const char *address, afar_code ends)
{
    Client__Word word = CLIENT__WORD__INIT, *reply = NULL;
    client_thing_talk_stream *stream = NULL;
    client_thing *near = NULL, *far = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    afar_client *client = NULL;
    afar_code code;
    char name[200];

    CHECK_OK(afar_server_open(NULL, address, NULL, &server, &err));
    CHECK_OK(client_thing_new(&methods, ends == AFAR_ENDED ? NULL : &ends, NULL, &near, &err));
    CHECK_OK(afar_server_export(server, "", client_thing_object(near), &err));
    CHECK_OK(afar_server_start(server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    snprintf(name, sizeof name, "%s%s", strchr(address, ':')[1] == '0' ? "grpc://" : "",
             afar_server_address(server));
    CHECK_OK(client_thing_open(client, name, soon(), &far, &err));
    CHECK_OK(client_thing_talk(far, AFAR_FOREVER, NULL, &stream, &err));
    do
        code = client_thing_talk_send(stream, &word, soon(), &err);
    while (!code);
    CHECK_INT(code, ends);
    for (int i = 0; i < REPLIES; i++) {
        CHECK_OK(client_thing_talk_receive(stream, soon(), &reply, &err));
        CHECK_INT(reply->number, i);
        afar_message_free(reply);
    }
    CHECK_FAILS(client_thing_talk_receive(stream, soon(), &reply, &err), ends);
    client_thing_talk_close(stream);
    client_thing_close(far);
    client_thing_close(near);
    afar_client_close(client);
    afar_server_close(server);
    afar_error_clear(&err);
}

TEST(a_sender_is_told_of_the_end_that_it_has_not_read)
{
    send_until_told("127.0.0.1:0", AFAR_ENDED);
    send_until_told("inproc:told", AFAR_ENDED);
}

TEST(a_sender_is_told_of_the_error_that_it_has_not_read)
{
    send_until_told("127.0.0.1:0", AFAR_ABORTED);
    send_until_told("inproc:told", AFAR_ABORTED);
}
