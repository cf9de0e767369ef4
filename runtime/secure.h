#ifndef AFAR_RUNTIME_SECURE_H
#define AFAR_RUNTIME_SECURE_H

/* Everything that libsodium does for us.  The functions are those of libsodium with
 * our own names, so that its header is included in secure*.c only.  Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <afar/error.h>

#define AFAR__SEED_BYTES 32
#define AFAR__PUBLIC_BYTES 32
#define AFAR__SECRET_BYTES 64 /* the seed, and the public key behind it */
#define AFAR__SIGNATURE_BYTES 64
#define AFAR__MAC_BYTES 32
#define AFAR__KEY_TEXT 44 /* 43 characters and the 0 */

/* Before anything else here; cheap after the first time. */
afar_code
afar__secure_start(afar_error *err);

void
afar__secure_random(void *bytes, size_t length);

/* Memory for secrets: locked if the system allows it, wiped when it is freed.  NULL
 * when memory is out. */
void *
afar__secure_alloc(size_t length);
void
afar__secure_free(void *memory);
void
afar__secure_wipe(void *memory, size_t length);

/* Ed25519. */
void
afar__secure_pair(const uint8_t seed[AFAR__SEED_BYTES], uint8_t public[AFAR__PUBLIC_BYTES],
                  uint8_t secret[AFAR__SECRET_BYTES]);
void
afar__secure_sign(const uint8_t secret[AFAR__SECRET_BYTES], const void *bytes, size_t length,
                  uint8_t signature[AFAR__SIGNATURE_BYTES]);
bool
afar__secure_verify(const uint8_t public[AFAR__PUBLIC_BYTES], const void *bytes, size_t length,
                    const uint8_t signature[AFAR__SIGNATURE_BYTES]);

/* BLAKE2b with a key. */
void
afar__secure_mac(const uint8_t key[32], const void *bytes, size_t length,
                 uint8_t mac[AFAR__MAC_BYTES]);
/* Whether two are equal, in constant time. */
bool
afar__secure_equal(const void *a, const void *b, size_t length);

/* Keys as text: base64url without padding; seeds in key files are written like that too. */
void
afar__key_print(const uint8_t key[AFAR__PUBLIC_BYTES], char text[AFAR__KEY_TEXT]);
/* False unless `text` has 43 characters that are the one way to write 32 bytes. */
bool
afar__key_parse(const char *text, size_t length, uint8_t key[AFAR__PUBLIC_BYTES]);

#endif
