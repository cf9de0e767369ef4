/* What `optional` means in C: has_x for numbers and bytes, NULL for strings and
 * messages; nothing for a field without it, and a oneof stays a oneof. */

#include <stdlib.h>
#include <string.h>

#include "optional_mixed.pb-c.h"
#include "use.h"

/* Packs and unpacks. */
static OptionalMixed__Mixed *
there_and_back(const OptionalMixed__Mixed *message, size_t *ret_len)
{
    uint8_t bytes[256];

    *ret_len = optional_mixed__mixed__get_packed_size(message);
    if (*ret_len > sizeof bytes) {
        EXPECT(*ret_len <= sizeof bytes);
        exit(EXIT_FAILURE);
    }
    optional_mixed__mixed__pack(message, bytes);
    OptionalMixed__Mixed *again = optional_mixed__mixed__unpack(NULL, *ret_len, bytes);
    if (!again) {
        EXPECT(again);
        exit(EXIT_FAILURE);
    }
    return again;
}

static void
nothing_is_set_at_first(void)
{
    OptionalMixed__Mixed message = OPTIONAL_MIXED__MIXED__INIT;
    size_t len;

    EXPECT(!message.has_with_presence && !message.has_data_with_presence);
    EXPECT(!message.has_optional_colour && !message.has_optional_flag && !message.has_last);
    EXPECT(!message.text_with_presence && !message.optional_part && !message.part);
    EXPECT(message.text && !*message.text);
    EXPECT(message.choice_case == OPTIONAL_MIXED__MIXED__CHOICE__NOT_SET);
    EXPECT(message.single_case == OPTIONAL_MIXED__MIXED__SINGLE__NOT_SET);
    EXPECT(message._like_synthetic_case == OPTIONAL_MIXED__MIXED___LIKE_SYNTHETIC__NOT_SET);

    OptionalMixed__Mixed *again = there_and_back(&message, &len);
    EXPECT(len == 0);
    EXPECT(!again->has_with_presence && !again->text_with_presence && !again->has_last);
    optional_mixed__mixed__free_unpacked(again, NULL);
}

static void
zeros_with_presence_travel(void)
{
    OptionalMixed__Mixed message = OPTIONAL_MIXED__MIXED__INIT;
    OptionalMixed__Part part = OPTIONAL_MIXED__PART__INIT;
    char empty[] = "";
    size_t len;

    message.has_with_presence = 1;
    message.text_with_presence = empty;
    message.has_data_with_presence = 1;
    message.has_optional_colour = 1;
    message.has_optional_flag = 1;
    message.has_last = 1;
    message.optional_part = &part;
    message.plain = 0;
    OptionalMixed__Mixed *again = there_and_back(&message, &len);
    EXPECT(again->has_with_presence && again->with_presence == 0);
    EXPECT(again->text_with_presence && !*again->text_with_presence);
    EXPECT(again->has_data_with_presence && again->data_with_presence.len == 0);
    EXPECT(again->has_optional_colour &&
           again->optional_colour == OPTIONAL_MIXED__COLOUR__COLOUR_NONE);
    EXPECT(again->has_optional_flag && !again->optional_flag);
    EXPECT(again->has_last && again->last < 0.5);
    EXPECT(again->optional_part && !again->optional_part->has_number);
    EXPECT(again->plain == 0 && !again->part);
    optional_mixed__mixed__free_unpacked(again, NULL);
}

static void
oneofs_stay_oneofs(void)
{
    OptionalMixed__Mixed message = OPTIONAL_MIXED__MIXED__INIT;
    size_t len;

    message.choice_case = OPTIONAL_MIXED__MIXED__CHOICE_A;
    message.a = 0;
    message.single_case = OPTIONAL_MIXED__MIXED__SINGLE_FLAG;
    message.flag = 1;
    message._like_synthetic_case = OPTIONAL_MIXED__MIXED___LIKE_SYNTHETIC_LIKE_SYNTHETIC;
    message.like_synthetic = 3;
    OptionalMixed__Mixed *again = there_and_back(&message, &len);
    EXPECT(again->choice_case == OPTIONAL_MIXED__MIXED__CHOICE_A && again->a == 0);
    EXPECT(again->single_case == OPTIONAL_MIXED__MIXED__SINGLE_FLAG && again->flag);
    EXPECT(again->like_synthetic == 3);
    optional_mixed__mixed__free_unpacked(again, NULL);
}

int
main(void)
{
    nothing_is_set_at_first();
    zeros_with_presence_travel();
    oneofs_stay_oneofs();
    return EXIT_SUCCESS;
}
