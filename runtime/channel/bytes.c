/* The type of channel whose messages are the bytes of others: its tables, which are those that the compilers
 * would write for a message with one field of bytes.  What is special about it stands in parcel.c (its
 * messages travel without a field around them) and in wire.c (it has no name in Hello).
 *
 * Constant data; any thread. */

#include "runtime/channel/bytes.h"

static void
init(ProtobufCMessage *message)
{
    static const afar__bytes fresh = AFAR__BYTES_INIT;

    *(afar__bytes *)message = fresh;
}

static const ProtobufCFieldDescriptor fields[] = {
    { .name = "packed",
      .id = 1,
      .label = PROTOBUF_C_LABEL_NONE,
      .type = PROTOBUF_C_TYPE_BYTES,
      .offset = offsetof(afar__bytes, packed) },
};

static const unsigned by_name[] = { 0 };
static const ProtobufCIntRange ranges[] = { { 1, 0 }, { 0, 1 } };

const ProtobufCMessageDescriptor afar__bytes_descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "bytes",
    .short_name = "bytes",
    .c_name = "afar__bytes",
    .package_name = "",
    .sizeof_message = sizeof(afar__bytes),
    .n_fields = 1,
    .fields = fields,
    .fields_sorted_by_name = by_name,
    .n_field_ranges = 1,
    .field_ranges = ranges,
    .message_init = init,
};

static const afar_interface sender = {
    AFAR_ABI, sizeof sender,       "afar.Sender(bytes)",          afar_sender_methods,
    1,        sizeof(afar_method), &afar_file_afar_channel_proto, &afar__bytes_channel_type,
};

static const afar_interface receiver = {
    AFAR_ABI, sizeof receiver,     "afar.Receiver(bytes)",        afar_receiver_methods,
    1,        sizeof(afar_method), &afar_file_afar_channel_proto, &afar__bytes_channel_type,
};

const afar_channel_type afar__bytes_channel_type = {
    AFAR_ABI, sizeof afar__bytes_channel_type, &afar__bytes_descriptor, NULL, &sender, &receiver,
};
