#ifndef AFAR_NAMESERVER_NONCE_H
#define AFAR_NAMESERVER_NONCE_H

/* Nonces: what shows that a record was signed within the last minute, for this name
 * server, since it started.  None is remembered: each has its time in it, and a code
 * that nobody else can make.  Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "server/nameserver/registry.h"

#define AFAR__NONCE_LIFE_MS 60000

/* Makes the secret behind them, for afar__secure_free; NULL when memory is out. */
uint8_t *
afar__nonce_secret(void);

void
afar__nonce_make(const uint8_t *secret, int64_t now_ns, uint8_t nonce[AFAR__NONCE_BYTES]);

/* Whether it is one of ours, of whatever age. */
bool
afar__nonce_is_ours(const uint8_t *secret, const uint8_t *nonce, size_t length);

/* When one of ours was made. */
int64_t
afar__nonce_ms(const uint8_t nonce[AFAR__NONCE_BYTES]);

#endif
