/* Nonces: 8 bytes of time, the highest first, in milliseconds of the registry's clock,
 * and the first 16 bytes of a keyed hash of them.  The key is made anew at each start:
 * what was given out before is worth nothing, so the clock may begin again, too.
 */

#include "server/nameserver/nonce.h"

#include <string.h>

#include "runtime/clock.h"
#include "runtime/secure.h"

#define TIME_BYTES 8
#define SECRET_BYTES 32

uint8_t *
afar__nonce_secret(void)
{
    uint8_t *secret = afar__secure_alloc(SECRET_BYTES);

    if (secret)
        afar__secure_random(secret, SECRET_BYTES);
    return secret;
}

static void
seal(const uint8_t *secret, const uint8_t *time, uint8_t code[AFAR__MAC_BYTES])
{
    afar__secure_mac(secret, time, TIME_BYTES, code);
}

void
afar__nonce_make(const uint8_t *secret, int64_t now_ns, uint8_t nonce[AFAR__NONCE_BYTES])
{
    uint64_t ms = (uint64_t)(now_ns / AFAR__MILLISECOND);
    uint8_t code[AFAR__MAC_BYTES];

    for (unsigned i = 0; i < TIME_BYTES; i++)
        nonce[i] = (uint8_t)(ms >> (56 - 8 * i));
    seal(secret, nonce, code);
    memcpy(nonce + TIME_BYTES, code, AFAR__NONCE_BYTES - TIME_BYTES);
}

bool
afar__nonce_is_ours(const uint8_t *secret, const uint8_t *nonce, size_t length)
{
    uint8_t code[AFAR__MAC_BYTES];

    if (length != AFAR__NONCE_BYTES)
        return false;
    seal(secret, nonce, code);
    return afar__secure_equal(nonce + TIME_BYTES, code, AFAR__NONCE_BYTES - TIME_BYTES);
}

int64_t
afar__nonce_ms(const uint8_t nonce[AFAR__NONCE_BYTES])
{
    uint64_t ms = 0;

    for (unsigned i = 0; i < TIME_BYTES; i++)
        ms = ms << 8 | nonce[i];
    return (int64_t)ms;
}
