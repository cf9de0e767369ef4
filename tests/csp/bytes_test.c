/* Ends that take messages as bytes, whatever their type.
 *
 * Labels: concurrent */

#include <string.h>

#include "away.h"
#include "runtime/channel/bytes.h"

static const afar__bytes fresh = AFAR__BYTES_INIT;

struct byte_ends {
    afar_sender *sender;
    afar_receiver *receiver;
};

/* The channel of `away` once more, untyped. */
static struct byte_ends
open_ends(const struct away *away)
{
    const afar_channel_type *type = &afar__bytes_channel_type;
    struct byte_ends ends = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;
    char text[300];

    CHECK_OK(afar_object_open(away->client, away_name(away, "send", text), type->sender, soon(),
                              &object, &err));
    CHECK_OK(afar_sender_on(object, type, &ends.sender, &err));
    afar_object_close(object);
    CHECK_OK(afar_object_open(away->client, away_name(away, "receive", text), type->receiver,
                              soon(), &object, &err));
    CHECK_OK(afar_receiver_on(object, type, &ends.receiver, &err));
    afar_object_close(object);
    return ends;
}

static void
close_byte_ends(struct byte_ends ends)
{
    afar_sender_close(ends.sender);
    afar_receiver_close(ends.receiver);
}

static void
everywhere(unsigned capacity, void (*fn)(struct away *away, struct byte_ends ends))
{
    for (size_t i = 0; places[i]; i++) {
        struct byte_ends ends;
        struct away away;

        away_open(&away, places[i], capacity);
        ends = open_ends(&away);
        fn(&away, ends);
        close_byte_ends(ends);
        away_close(&away);
    }
}

static afar_code
send_bytes(afar_sender *sender, const char *data, size_t length, afar_error *err)
{
    afar__bytes message = fresh;

    message.packed.data = (uint8_t *)data;
    message.packed.len = length;
    return afar_sender_send(sender, &message.base, soon(), err);
}

static void
receive_bytes(afar_receiver *receiver, const char *data, size_t length)
{
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *message = NULL;
    const afar__bytes *bytes;

    CHECK_OK(afar_receiver_receive(receiver, soon(), &message, &err));
    CHECK(message->descriptor == &afar__bytes_descriptor);
    bytes = (const afar__bytes *)message;
    CHECK_INT(bytes->packed.len, length);
    CHECK(memcmp(bytes->packed.data, data, length) == 0);
    afar_message_free(message);
}

static void
pass_both_ways(struct away *away, struct byte_ends ends)
{
    afar_error err = AFAR_ERROR_INIT;

    for (unsigned char i = 1; i < 100; i++) {
        char packed[2] = { 0x08, (char)i };

        CHECK_OK(send_bytes(ends.sender, packed, 2, &err));
        CHECK_INT(received(away->home.receiver), i);
        CHECK_INT(send_number(away->home.sender, i, soon()), AFAR_OK);
        receive_bytes(ends.receiver, packed, 2);
    }
}

TEST(messages_go_to_typed_ends_and_come_from_them)
{
    everywhere(1, pass_both_ways);
}

/* Bytes that are no field, or none at all, come as they were sent. */
static void
pass_anything(struct away *away, struct byte_ends ends)
{
    afar_error err = AFAR_ERROR_INIT;

    (void)away;
    CHECK_OK(send_bytes(ends.sender, "", 0, &err));
    receive_bytes(ends.receiver, "", 0);
    CHECK_OK(send_bytes(ends.sender, "\xff\x00\x88\x80", 4, &err));
    receive_bytes(ends.receiver, "\xff\x00\x88\x80", 4);
}

TEST(bytes_are_not_looked_at)
{
    everywhere(1, pass_anything);
}

static void
send_nonsense(struct away *away, struct byte_ends ends)
{
    afar_error err = AFAR_ERROR_INIT;
    uint64_t number;

    CHECK_OK(send_bytes(ends.sender, "\x08", 1, &err));
    CHECK_INT(receive_number(away->home.receiver, &number, soon()), AFAR_INVALID_ARGUMENT);
    CHECK_OK(send_bytes(ends.sender, "\x08\x07", 2, &err));
    CHECK_INT(received(away->home.receiver), 7);
}

TEST(who_wants_a_message_finds_out_what_is_none)
{
    everywhere(1, send_nonsense);
}

static void
select_both(struct away *away, struct byte_ends ends)
{
    afar__bytes message = fresh;
    afar_case cases[] = { AFAR_CASE_RECEIVE(ends.receiver),
                          AFAR_CASE_SEND(ends.sender, &message.base) };
    afar_error err = AFAR_ERROR_INIT;
    size_t which;

    message.packed.data = (uint8_t *)"\x08\x05";
    message.packed.len = 2;
    CHECK_OK(afar_select(cases, 2, AFAR_BY_PRIORITY, soon(), &which, &err));
    CHECK_INT(which, 1);
    cases[1].off = true;
    CHECK_OK(afar_select(cases, 2, AFAR_BY_PRIORITY, soon(), &which, &err));
    CHECK_INT(which, 0);
    CHECK_INT(((const afar__bytes *)cases[0].received)->packed.len, 2);
    afar_message_free(cases[0].received);
    (void)away;
}

TEST(a_select_with_bytes)
{
    everywhere(1, select_both);
}

TEST(messages_with_references_are_not_bytes)
{
    const afar_channel_type *type = &afar__bytes_channel_type;
    afar_error err = AFAR_ERROR_INIT;
    csp_ends_receiver *receiver = NULL;
    csp_ends_sender *sender = NULL;
    afar_server *server = NULL;
    afar_client *client = NULL;
    afar_object *object = NULL;
    afar_sender *end = NULL;

    CHECK_OK(csp_ends_rendezvous_new(&sender, &receiver, &err));
    CHECK_OK(afar_server_open(NULL, "inproc:bytes", NULL, &server, &err));
    CHECK_OK(afar_server_export(server, "ends", csp_ends_sender_object(sender), &err));
    CHECK_OK(afar_server_start(server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    CHECK_OK(afar_object_open(client, "inproc:bytes/ends", type->sender, soon(), &object, &err));
    CHECK_OK(afar_sender_on(object, type, &end, &err));
    CHECK_INT(send_bytes(end, "", 0, &err), AFAR_FAILED_PRECONDITION);
    CHECK_STR(err.message, "the channel carries csp.Ends, which has references: not as bytes");
    afar_error_clear(&err);
    afar_sender_close(end);
    afar_object_close(object);
    afar_client_close(client);
    csp_ends_sender_close(sender);
    csp_ends_receiver_close(receiver);
    afar_server_close(server);
}
