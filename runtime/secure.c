/* What libsodium does for us, under our own names.
 *
 * Only files named secure*.c include its header, so this is where to look for how
 * signatures, authentication and secret memory are made, and the place to change when
 * another library is to do it.
 *
 * libsodium's checks of an Ed25519 signature are the strict ones, and callers rely on
 * them: a key or an R that is a point of small order is refused (such a key has
 * signatures that fit any bytes), a key must be encoded in the one canonical way, and S
 * must be below the order of the group (else everybody could change a good signature into
 * another good one).
 *
 * A secret leaves memory of afar__secure_alloc only for registers and for stack that is
 * wiped before the function returns.  Any thread.
 */

#include "runtime/secure.h"

#include <sodium.h>
#include <string.h>

_Static_assert(AFAR__SEED_BYTES == crypto_sign_SEEDBYTES, "Ed25519");
_Static_assert(AFAR__PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(AFAR__SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "Ed25519");
_Static_assert(AFAR__SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");
_Static_assert(AFAR__MAC_BYTES == crypto_generichash_BYTES, "BLAKE2b");
_Static_assert(AFAR__KEY_TEXT ==
                   sodium_base64_ENCODED_LEN(AFAR__PUBLIC_BYTES,
                                             sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "base64url");

afar_code
afar__secure_start(afar_error *err)
{
    if (sodium_init() < 0)
        return afar_fail(err, AFAR_UNAVAILABLE, "libsodium cannot start on this system");
    return AFAR_OK;
}

void
afar__secure_random(void *bytes, size_t length)
{
    randombytes_buf(bytes, length);
}

void *
afar__secure_alloc(size_t length)
{
    return sodium_malloc(length);
}

void
afar__secure_free(void *memory)
{
    sodium_free(memory);
}

void
afar__secure_wipe(void *memory, size_t length)
{
    sodium_memzero(memory, length);
}

/* Takes away what a call has left on the stack: the linker keeps all vector registers there
 * when it looks up a function at its first call, and moving a secret fills them. */
static void
wipe_stack(void)
{
    sodium_stackzero(4096);
}

void
afar__secure_pair(const uint8_t seed[AFAR__SEED_BYTES], uint8_t public[AFAR__PUBLIC_BYTES],
                  uint8_t secret[AFAR__SECRET_BYTES])
{
    crypto_sign_seed_keypair(public, secret, seed);
    wipe_stack();
}

void
afar__secure_sign(const uint8_t secret[AFAR__SECRET_BYTES], const void *bytes, size_t length,
                  uint8_t signature[AFAR__SIGNATURE_BYTES])
{
    crypto_sign_detached(signature, NULL, bytes, length, secret);
    wipe_stack();
}

bool
afar__secure_verify(const uint8_t public[AFAR__PUBLIC_BYTES], const void *bytes, size_t length,
                    const uint8_t signature[AFAR__SIGNATURE_BYTES])
{
    return crypto_sign_verify_detached(signature, bytes, length, public) == 0;
}

void
afar__secure_mac(const uint8_t key[32], const void *bytes, size_t length,
                 uint8_t mac[AFAR__MAC_BYTES])
{
    crypto_generichash(mac, AFAR__MAC_BYTES, bytes, length, key, 32);
}

bool
afar__secure_equal(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

void
afar__key_print(const uint8_t key[AFAR__PUBLIC_BYTES], char text[AFAR__KEY_TEXT])
{
    sodium_bin2base64(text, AFAR__KEY_TEXT, key, AFAR__PUBLIC_BYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* libsodium 1.0.18 also takes bytes above 0x7f for digits.  What is printed again and is
 * the same text was the one way to write it. */
bool
afar__key_parse(const char *text, size_t length, uint8_t key[AFAR__PUBLIC_BYTES])
{
    uint8_t bytes[AFAR__PUBLIC_BYTES];
    char again[AFAR__KEY_TEXT] = "";
    size_t count = 0;
    bool good = length == AFAR__KEY_TEXT - 1 &&
                sodium_base642bin(bytes, sizeof bytes, text, length, NULL, &count, NULL,
                                  sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
                count == sizeof bytes;

    if (good) {
        afar__key_print(bytes, again);
        good = sodium_memcmp(again, text, length) == 0;
    }
    if (good)
        memcpy(key, bytes, sizeof bytes);
    sodium_memzero(bytes, sizeof bytes); /* it may have been a seed */
    sodium_memzero(again, sizeof again);
    wipe_stack();
    return good;
}
