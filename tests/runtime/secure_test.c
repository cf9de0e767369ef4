/* Signatures, and keys as text: the vectors of RFC 8032, and what a lax check would let
 * through. */

#include "runtime/secure.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static size_t
from_hex(const char *hex, uint8_t *bytes)
{
    size_t length = strlen(hex) / 2;

    for (size_t i = 0; i < length; i++) {
        unsigned byte;

        CHECK_INT(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    return length;
}

static void
start(void)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__secure_start(&err));
    CHECK_OK(afar__secure_start(&err));
}

/* ---- signatures ---- */

struct vector {
    const char *seed, *public, *message, *signature;
};

/* RFC 8032, 7.1: tests 1, 2 and 3. */
static const struct vector vectors[] = {
    { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
      "f9b46bd25bf5f0595bbe24655141438e7a100b" },
    { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
      "f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
    { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
      "4dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

TEST(vectors_of_rfc_8032)
{
    start();
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t seed[32], expected_public[32], message[2], expected[64];
        uint8_t public[32], secret[64], signature[64];
        size_t length = from_hex(vectors[i].message, message);

        from_hex(vectors[i].seed, seed);
        from_hex(vectors[i].public, expected_public);
        from_hex(vectors[i].signature, expected);
        afar__secure_pair(seed, public, secret);
        CHECK(memcmp(public, expected_public, 32) == 0);
        afar__secure_sign(secret, message, length, signature);
        CHECK(memcmp(signature, expected, 64) == 0);
        CHECK(afar__secure_verify(public, message, length, signature));
    }
}

TEST(one_bit_changed_is_a_wrong_signature)
{
    uint8_t seed[32] = { 1 }, public[32], secret[64], signature[64], message[40] = "of no matter";

    start();
    afar__secure_pair(seed, public, secret);
    afar__secure_sign(secret, message, sizeof message, signature);
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!afar__secure_verify(public, message, sizeof message, signature));
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!afar__secure_verify(public, message, sizeof message, signature));
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof public; bit++) {
        public[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!afar__secure_verify(public, message, sizeof message, signature));
        public[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(!afar__secure_verify(public, message, sizeof message - 1, signature));
    CHECK(afar__secure_verify(public, message, sizeof message, signature));
}

/* Points of small order.  With such a key a lax check takes R = the neutral point and
 * S = 0 for a signature of one message in eight at least. */
static const char *const small_orders[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(keys_of_small_order_sign_nothing)
{
    start();
    for (size_t i = 0; i < sizeof small_orders / sizeof small_orders[0]; i++)
        for (uint8_t message = 0; message < 64; message++) {
            uint8_t public[32], signature[64] = { 1 };

            from_hex(small_orders[i], public);
            CHECK(!afar__secure_verify(public, &message, 1, signature));
            public[31] |= 0x80;
            CHECK(!afar__secure_verify(public, &message, 1, signature));
        }
}

/* S plus the order of the group satisfies the same equation. */
TEST(nobody_can_change_a_signature_into_another_good_one)
{
    uint8_t seed[32] = { 2 }, public[32], secret[64], signature[64], order[32];
    unsigned carry = 0;

    start();
    from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", order);
    afar__secure_pair(seed, public, secret);
    afar__secure_sign(secret, "text", 4, signature);
    CHECK(afar__secure_verify(public, "text", 4, signature));
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CHECK(!afar__secure_verify(public, "text", 4, signature));
}

/* ---- authentication, comparison ---- */

TEST(mac_is_blake2b_with_a_key)
{
    uint8_t key[32], expected[32], mac[32];

    start();
    for (uint8_t i = 0; i < 32; i++)
        key[i] = i;
    from_hex("d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f", expected);
    afar__secure_mac(key, "abc", 3, mac);
    CHECK(afar__secure_equal(mac, expected, 32));
    from_hex("4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d", expected);
    afar__secure_mac(key, NULL, 0, mac);
    CHECK(afar__secure_equal(mac, expected, 32));
}

TEST(equal_means_every_byte)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };

    for (size_t i = 0; i < sizeof a; i++) {
        b[i] = 0x80;
        CHECK(!afar__secure_equal(a, b, sizeof a));
        CHECK(afar__secure_equal(a, b, i));
        b[i] = 0;
    }
    CHECK(afar__secure_equal(a, b, sizeof a));
}

TEST(random_bytes_are_not_the_same_twice)
{
    uint8_t a[32], b[32];

    start();
    afar__secure_random(a, sizeof a);
    afar__secure_random(b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
}

/* ---- secret memory ---- */

TEST(secret_memory_can_be_written_to_its_end)
{
    start();
    for (size_t length = 1; length < 300; length += 37) {
        uint8_t *memory = afar__secure_alloc(length);

        CHECK(memory != NULL);
        memset(memory, 0xff, length);
        afar__secure_free(memory);
    }
    afar__secure_free(NULL);
}

TEST(wiped_memory_is_zero)
{
    uint8_t memory[50], zero[50] = { 0 };

    memset(memory, 7, sizeof memory);
    afar__secure_wipe(memory, sizeof memory);
    CHECK(memcmp(memory, zero, sizeof memory) == 0);
}

/* ---- keys as text ---- */

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

TEST(every_key_has_a_text_and_comes_back_from_it)
{
    uint8_t key[32], back[32];
    char text[AFAR__KEY_TEXT];

    start();
    for (int i = 0; i < 1000; i++) {
        afar__secure_random(key, sizeof key);
        afar__key_print(key, text);
        CHECK_INT(strlen(text), 43);
        CHECK_INT(strspn(text, ALPHABET), 43);
        CHECK(afar__key_parse(text, 43, back));
        CHECK(memcmp(key, back, sizeof key) == 0);
    }
    memset(key, 0xff, sizeof key);
    afar__key_print(key, text);
    CHECK_STR(text, "__________________________________________8");
}

/* Two texts of one key would be two keys to whoever compares texts. */
TEST(one_key_has_one_text)
{
    char text[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    uint8_t key[32];
    int good = 0;

    start();
    CHECK(afar__key_parse(text, 43, key));
    for (size_t i = 0; i < 64; i++) {
        text[42] = ALPHABET[i];
        if (afar__key_parse(text, 43, key)) {
            CHECK_INT(key[31], i >> 2);
            good++;
        }
    }
    CHECK_INT(good, 16);
}

TEST(other_text_is_no_key)
{
    char text[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    uint8_t key[32], before[32];

    start();
    memset(key, 9, sizeof key);
    memcpy(before, key, sizeof key);
    for (size_t length = 0; length < sizeof text; length++)
        CHECK(length == 43 || !afar__key_parse(text, length, key));
    for (size_t at = 0; at < 43; at++)
        for (int byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            if (byte == 0 || !strchr(ALPHABET, byte))
                CHECK(!afar__key_parse(text, 43, key));
            text[at] = 'A';
        }
    CHECK(!afar__key_parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 44, key));
    CHECK(!afar__key_parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 43, key));
    CHECK(memcmp(key, before, sizeof key) == 0);
}
