#ifndef AFAR_RUNTIME_KEY_H
#define AFAR_RUNTIME_KEY_H

/* Keys from the inside. */

#include <afar/key.h>

#include "runtime/secure.h"

/* In memory of afar__secure_alloc, whole. */
struct afar_key {
    uint8_t secret[AFAR__SECRET_BYTES];
    uint8_t public[AFAR__PUBLIC_BYTES];
    char text[AFAR__KEY_TEXT];
};

/* The key of a seed.  afar__secure_start has been called. */
afar_code
afar__key_from_seed(const uint8_t seed[AFAR__SEED_BYTES], afar_key **ret_key, afar_error *err);

#endif
