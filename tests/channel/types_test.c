/* What the compiler writes for messages that go through channels: the tables of a type, and where the
 * ends are in other messages. */

#include <afar/channel.afar.h>
#include <afar/channel.h>
#include <afar/message.h>

#include "check.h"
#include "ends.afar.h"
#include "runtime/object.h"
#include "runtime/refs.h"

/* ---- the tables ---- */

static void
check_end(const afar_interface *interface, const char *name, const char *path)
{
    const afar_method *method = &interface->methods[0];

    CHECK_INT(interface->abi, AFAR_ABI);
    CHECK_INT(interface->size, sizeof(afar_interface));
    CHECK_STR(interface->name, name);
    CHECK_INT(interface->method_count, 1);
    CHECK_INT(interface->method_size, sizeof(afar_method));
    CHECK_STR(interface->file->name, "afar/channel.proto");
    CHECK_STR(method->name, "Attach");
    CHECK_STR(method->path, path);
    CHECK_INT(method->kind, AFAR_BIDI_STREAM);
    CHECK_INT(method->flags, 0);
    CHECK(method->request == &afar__channels__v1__to_home__descriptor);
    CHECK(method->reply == &afar__channels__v1__to_end__descriptor);
    CHECK(method->request_refs == NULL && method->reply_refs == NULL);
}

TEST(a_type_has_an_interface_for_each_end)
{
    const afar_channel_type *type = &ends_entry_channel_type;

    CHECK_INT(type->abi, AFAR_ABI);
    CHECK_INT(type->size, sizeof *type);
    CHECK(type->message == &ends__entry__descriptor);
    CHECK(type->refs == NULL);
    check_end(type->sender, "afar.Sender(ends.Entry)", "/afar.channels.v1.Sender/Attach");
    check_end(type->receiver, "afar.Receiver(ends.Entry)", "/afar.channels.v1.Receiver/Attach");
    CHECK(type->sender->channel == type && type->receiver->channel == type);
}

TEST(types_share_their_methods)
{
    const afar_channel_type *entry = &ends_entry_channel_type;
    const afar_channel_type *question = &ends_question_channel_type;

    CHECK(entry->sender->methods == question->sender->methods);
    CHECK(entry->receiver->methods == question->receiver->methods);
    CHECK(entry->sender->methods != entry->receiver->methods);
    CHECK_STR(question->sender->name, "afar.Sender(ends.Question)");
}

TEST(a_type_knows_the_ends_in_its_messages)
{
    CHECK(ends_question_channel_type.refs == &ends_question_refs);
    CHECK(ends_question_refs.type == &ends__question__descriptor);
}

static void
check_same(const afar_method *method, const afar_interface *service)
{
    CHECK_INT(service->method_count, 1);
    CHECK_STR(method->name, service->methods[0].name);
    CHECK_STR(method->path, service->methods[0].path);
    CHECK(method->request == service->methods[0].request);
    CHECK(method->reply == service->methods[0].reply);
    CHECK_INT(method->kind, service->methods[0].kind);
}

TEST(the_methods_are_those_of_the_protocol)
{
    check_same(afar_sender_methods, &afar_channels_v1_sender_interface);
    check_same(afar_receiver_methods, &afar_channels_v1_receiver_interface);
}

TEST(what_is_no_end_of_a_channel_cannot_be_attached_to)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_object *object = NULL;
    afar_stream *stream = NULL;
    ProtobufCMessage *word = NULL;
    int nothing = 0;

    CHECK_OK(afar_object_new(ends_entry_channel_type.sender, &nothing, NULL, NULL, &object, &err));
    CHECK_OK(afar_object_stream(object, &afar_sender_methods[0], NULL, afar_after_ms(10000), NULL,
                                &stream, &err));
    CHECK_FAILS(afar_stream_receive(stream, AFAR_FOREVER, &word, &err), AFAR_UNIMPLEMENTED);
    afar_stream_close(stream);
    afar_object_close(object);
    afar_error_clear(&err);
}

/* ---- where ends are ---- */

static unsigned freed;

static void
free_object(afar_object *object)
{
    (void)object;
    freed++;
}

static const afar__object_ops object_ops = { .free = free_object };

static void
make_object(afar_object *object, const afar_interface *interface)
{
    afar__object_init(object, &object_ops, interface);
}

/* A field's value, and what it refers to. */
struct sender {
    Afar__Sender end;
    Afar__Ref ref;
};

struct receiver {
    Afar__Receiver end;
    Afar__Ref ref;
};

static Afar__Sender *
put_sender(struct sender *room, afar_object *object)
{
    afar__sender__init(&room->end);
    room->end.end = afar_ref_put(&room->ref, object);
    return &room->end;
}

static Afar__Receiver *
put_receiver(struct receiver *room, afar_object *object)
{
    afar__receiver__init(&room->end);
    room->end.end = afar_ref_put(&room->ref, object);
    return &room->end;
}

struct seen {
    const Afar__Ref *refs[16];
    const char *interfaces[16];
    size_t count;
};

static afar_code
see(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    struct seen *seen = arg;

    (void)err;
    CHECK(seen->count < 16);
    seen->refs[seen->count] = ref;
    seen->interfaces[seen->count++] = interface->name;
    return AFAR_OK;
}

TEST(every_place_is_found_with_its_interface)
{
    Ends__Shapes message = ENDS__SHAPES__INIT;
    Ends__Question inside = ENDS__QUESTION__INIT;
    Ends__Shapes__ByNameEntry entry = ENDS__SHAPES__BY_NAME_ENTRY__INIT;
    Ends__Shapes__ByNameEntry *entries[] = { &entry };
    struct sender senders[5];
    struct receiver receivers[2];
    Afar__Ref asker;
    afar_object object;
    struct seen seen = { .count = 0 };
    afar_error err = AFAR_ERROR_INIT;

    make_object(&object, ends_entry_channel_type.sender);
    message.one = put_sender(&senders[0], &object);
    message.late = put_receiver(&receivers[0], &object);
    message.many =
        (Afar__Sender *[]){ put_sender(&senders[1], &object), put_sender(&senders[2], &object) };
    message.n_many = 2;
    entry.value = put_receiver(&receivers[1], &object);
    message.by_name = entries;
    message.n_by_name = 1;
    message.choice_case = ENDS__SHAPES__CHOICE_CHOSEN;
    message.chosen = put_sender(&senders[3], &object);
    inside.answers = put_sender(&senders[4], &object);
    message.inside = &inside;
    ends_shapes_put_asker(&message, &asker, (ends_desk *)&object);

    CHECK_OK(afar__refs_each(&ends_shapes_refs, &message.base, see, &seen, &err));
    const struct {
        const Afar__Ref *ref;
        const char *interface;
    } expected[] = { { &senders[0].ref, "afar.Sender(ends.Entry)" },
                     { &receivers[0].ref, "afar.Receiver(ends.Question)" },
                     { &senders[1].ref, "afar.Sender(ends.Entry)" },
                     { &senders[2].ref, "afar.Sender(ends.Entry)" },
                     { &receivers[1].ref, "afar.Receiver(ends.Entry)" },
                     { &senders[3].ref, "afar.Sender(ends.Question)" },
                     { &senders[4].ref, "afar.Sender(ends.Entry)" },
                     { &asker, "ends.Desk" } };
    CHECK_INT(seen.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < seen.count; i++) {
        CHECK(seen.refs[i] == expected[i].ref);
        CHECK_STR(seen.interfaces[i], expected[i].interface);
    }
}

TEST(an_end_without_a_reference_is_none)
{
    Ends__Shapes message = ENDS__SHAPES__INIT;
    Afar__Sender empty = AFAR__SENDER__INIT;
    struct seen seen = { .count = 0 };
    afar_error err = AFAR_ERROR_INIT;

    message.one = &empty;
    CHECK_OK(afar__refs_each(&ends_shapes_refs, &message.base, see, &seen, &err));
    CHECK_INT(seen.count, 0);
}

TEST(a_copy_has_ends_of_its_own)
{
    Ends__Question message = ENDS__QUESTION__INIT;
    struct sender room;
    ProtobufCMessage *copy = NULL;
    afar_object object;
    afar_error err = AFAR_ERROR_INIT;

    freed = 0;
    make_object(&object, ends_entry_channel_type.sender);
    message.answers = put_sender(&room, &object);
    CHECK_OK(afar_message_copy(&message.base, &copy, &err));
    CHECK(((Ends__Question *)copy)->answers->end->handle == &object);
    CHECK_INT(atomic_load(&object.refs), 2);
    afar_message_free(copy);
    CHECK_INT(atomic_load(&object.refs), 1);
    CHECK_INT(freed, 0);
}
