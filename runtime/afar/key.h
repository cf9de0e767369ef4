#ifndef AFAR_KEY_H
#define AFAR_KEY_H

/* Keys: who owns a name.  An Ed25519 key pair in a file, treated as SSH treats its
 * own: readable by its owner only, and refused otherwise.
 *
 * A public key is written as 43 characters (base64url without padding, RFC 4648).
 * That text is also what people compare: it is as short as a fingerprint would be.
 *
 * The folder of keys and of known names is the one that AFAR_HOME in the environment
 * names, or else ~/.afar; it is made with mode 0700 when it is needed.
 *
 * A key is constant once it was made: any thread. */

#include <stddef.h>

#include <afar/api.h>
#include <afar/error.h>

AFAR_BEGIN

typedef struct afar_key afar_key;

/* Reads a private key.  path NULL: `key` in the folder of keys.  NOT_FOUND when there
 * is no such file; PERMISSION_DENIED when others than its owner can read or write it,
 * when it is somebody else's, or is not an ordinary file, with the command that mends
 * it; DATA_LOSS when it is damaged. */
AFAR_API AFAR_MUST_USE afar_code
afar_key_load(const char *path, afar_key **ret_key, afar_error *err);

/* Makes a key and writes it; other processes see it whole or not at all.
 * ALREADY_EXISTS when there is a file of that name: it is left alone. */
AFAR_API AFAR_MUST_USE afar_code
afar_key_create(const char *path, afar_key **ret_key, afar_error *err);

/* Reads the key, and makes it if there is none. */
AFAR_API AFAR_MUST_USE afar_code
afar_key_load_or_create(const char *path, afar_key **ret_key, afar_error *err);

/* The public half, as text.  It lives as long as the key. */
AFAR_API const char *
afar_key_public(const afar_key *key);

/* Wipes the key and releases it; NULL is allowed. */
AFAR_API void
afar_key_close(afar_key *key);

AFAR_END

#endif
