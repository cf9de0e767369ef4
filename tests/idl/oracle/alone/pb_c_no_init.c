/* A member of a oneof is not taken for an earlier one that there never was. */

#include <stdlib.h>
#include <string.h>

#include "pb_c_no_init.pb-c.h"
#include "use.h"

int
main(void)
{
    static const uint8_t part[] = { 0x12, 0x02, 0x08, 0x01 };
    PbCNoInit__Choice fresh = PB_C_NO_INIT__CHOICE__INIT;

    EXPECT(fresh.choice_case == PB_C_NO_INIT__CHOICE__CHOICE__NOT_SET);
    EXPECT(fresh.other && !strcmp(fresh.other, "other"));
    PbCNoInit__Choice *choice = pb_c_no_init__choice__unpack(NULL, sizeof part, part);
    if (!choice) {
        EXPECT(choice);
        return EXIT_FAILURE;
    }
    EXPECT(choice->choice_case == PB_C_NO_INIT__CHOICE__CHOICE_PART && choice->part->number == 1);
    EXPECT(choice->other && !strcmp(choice->other, "other") && choice->n_many == 0);
    pb_c_no_init__choice__free_unpacked(choice, NULL);
    return EXIT_SUCCESS;
}
