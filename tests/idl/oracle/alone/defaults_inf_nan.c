/* Defaults that are no numbers, in __INIT and after unpacking an empty message. */

#include <math.h>
#include <stdlib.h>

#include "defaults_inf_nan.pb-c.h"
#include "use.h"

static void
check(const DefaultsInfNan__Reals *reals)
{
    EXPECT(isinf(reals->float_inf) && reals->float_inf > 0);
    EXPECT(isinf(reals->float_minus_inf) && reals->float_minus_inf < 0);
    EXPECT(isnan(reals->float_nan));
    EXPECT(isinf(reals->double_inf) && reals->double_inf > 0);
    EXPECT(isinf(reals->double_minus_inf) && reals->double_minus_inf < 0);
    EXPECT(isnan(reals->double_nan));
    EXPECT(isinf(reals->too_large) && isinf(reals->float_too_large));
    EXPECT(signbit(reals->minus_zero) && signbit(reals->double_minus_zero));
    EXPECT(reals->plain > 1.4 && reals->plain < 1.6);
    EXPECT(!reals->has_float_inf && !reals->has_double_nan && !reals->has_plain);
}

int
main(void)
{
    static const uint8_t required_only[] = { 0x39, 0, 0, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 0, 0 };
    DefaultsInfNan__Reals reals = DEFAULTS_INF_NAN__REALS__INIT;

    check(&reals);
    EXPECT(isinf(reals.required_inf) && isnan(reals.required_nan));
    DefaultsInfNan__Reals *unpacked =
        defaults_inf_nan__reals__unpack(NULL, sizeof required_only, required_only);
    if (!unpacked) {
        EXPECT(unpacked);
        return EXIT_FAILURE;
    }
    check(unpacked);
    EXPECT(!isinf(unpacked->required_inf) && !isnan(unpacked->required_nan));
    defaults_inf_nan__reals__free_unpacked(unpacked, NULL);
    return EXIT_SUCCESS;
}
