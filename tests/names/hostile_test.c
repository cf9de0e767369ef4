/* A name server and those who would have the names of others: what was heard is said again,
 * and what is another's is asked for.
 *
 * The name server is called as it is, in this process; its clock is the test's.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "folder.h"
#include "host.h"

#define NAME "bank/alice"
#define SECOND INT64_C(1000000000)

/* ---- a scene: NAME is alice's, and mallory listens ---- */

struct scene {
    struct host host;
    afar_key *alice, *mallory;
    struct held held;    /* alice's lease */
    afar__signed *heard; /* her record */
};

static struct claim
claim_by(const afar_key *key, uint64_t generation, const struct challenge *challenge)
{
    return (struct claim){ .key = key,
                           .name = NAME,
                           .endpoints = { "grpc://127.0.0.1:7000" },
                           .generation = generation,
                           .nonce = challenge->nonce };
}

static void
scene_open_in(struct scene *scene, const char *where)
{
    afar_error err = AFAR_ERROR_INIT;
    struct challenge fresh;
    struct claim claim;

    memset(scene, 0, sizeof *scene);
    host_open(&scene->host, where);
    scene->alice = claim_key(1);
    scene->mallory = claim_key(2);
    fresh = host_challenge(&scene->host);
    claim = claim_by(scene->alice, 10, &fresh);
    scene->heard = claim_sign(&claim);
    scene->held.key = scene->alice;
    CHECK_OK(host_register(&scene->host, scene->heard, &scene->held, &err));
}

static void
scene_open(struct scene *scene)
{
    scene_open_in(scene, "memory");
}

static void
scene_close(struct scene *scene)
{
    afar__record_free(scene->heard);
    host_close(&scene->host);
    afar_key_close(scene->alice);
    afar_key_close(scene->mallory);
}

/* NAME is alice's as it was. */
static void
check_unharmed(const struct scene *scene)
{
    CHECK_INT(host_generation(&scene->host, NAME, scene->alice), 10);
}

static void
check_error(afar_code code, const afar_error *err, afar_code expected, const char *part)
{
    if (code != expected)
        check_fail(__FILE__, __LINE__, "%s, expected %s: %s", afar_code_name(code),
                   afar_code_name(expected), err->message);
    if (!strstr(err->message, part))
        check_fail(__FILE__, __LINE__, "\"%s\" is not in: %s", part, err->message);
}

static void
check_record_refused(const struct scene *scene, const struct claim *claim, afar_code expected,
                     const char *part)
{
    afar__signed *record = claim_sign(claim);
    afar_error err = AFAR_ERROR_INIT;

    check_error(host_register(&scene->host, record, NULL, &err), &err, expected, part);
    afar__record_free(record);
    afar_error_clear(&err);
}

/* Consumes the renewal or removal. */
static void
check_renewal_refused(const struct scene *scene, afar__signed *renewal, afar_code expected,
                      const char *part)
{
    afar_error err = AFAR_ERROR_INIT;

    check_error(host_renew(&scene->host, renewal, &err), &err, expected, part);
    afar__record_free(renewal);
    afar_error_clear(&err);
}

static void
check_removal_refused(const struct scene *scene, afar__signed *removal, afar_code expected,
                      const char *part)
{
    afar_error err = AFAR_ERROR_INIT;

    check_error(host_unregister(&scene->host, removal, &err), &err, expected, part);
    afar__record_free(removal);
    afar_error_clear(&err);
}

static void
renew(struct scene *scene)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *renewal;

    scene->held.sequence++;
    renewal = claim_renewal(&scene->held);
    CHECK_OK(host_renew(&scene->host, renewal, &err));
    afar__record_free(renewal);
}

static void
leave(struct scene *scene)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *removal;

    scene->held.sequence++;
    removal = claim_removal(&scene->held, NULL);
    CHECK_OK(host_unregister(&scene->host, removal, &err));
    afar__record_free(removal);
    CHECK_INT(host_generation(&scene->host, NAME, scene->alice), 0);
}

/* ---- said again ---- */

TEST(a_registration_said_again)
{
    struct scene scene;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    check_error(host_register(&scene.host, scene.heard, NULL, &err), &err, AFAR_ALREADY_EXISTS,
                NAME " is held by another lease of its key");
    check_unharmed(&scene);
    leave(&scene);
    check_error(host_register(&scene.host, scene.heard, NULL, &err), &err, AFAR_FAILED_PRECONDITION,
                "the generation 10 of " NAME " is not higher than 10, that of its last record");
    CHECK_INT(host_generation(&scene.host, NAME, scene.alice), 0);
    scene_close(&scene);
    afar_error_clear(&err);
}

TEST(a_registration_said_again_after_the_lease_is_over)
{
    struct scene scene;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    host_now += 20 * SECOND;
    CHECK_INT(host_generation(&scene.host, NAME, scene.alice), 0);
    check_error(host_register(&scene.host, scene.heard, NULL, &err), &err, AFAR_FAILED_PRECONDITION,
                "the generation 10 of " NAME " is not higher than 10");
    host_now += 41 * SECOND;
    check_error(host_register(&scene.host, scene.heard, NULL, &err), &err, AFAR_FAILED_PRECONDITION,
                "the nonce for " NAME " is 61 s old, at most 60 are allowed");
    CHECK_INT(host_generation(&scene.host, NAME, scene.alice), 0);
    scene_close(&scene);
    afar_error_clear(&err);
}

TEST(a_renewal_said_again)
{
    struct scene scene;
    struct held before;

    scene_open(&scene);
    renew(&scene);
    before = scene.held;
    check_renewal_refused(&scene, claim_renewal(&before), AFAR_FAILED_PRECONDITION,
                          "the sequence number 1 is not higher than 1, the last one of the lease");
    renew(&scene);
    check_renewal_refused(&scene, claim_renewal(&before), AFAR_FAILED_PRECONDITION,
                          "the sequence number 1 is not higher than 2");
    leave(&scene);
    before.sequence = 100;
    check_renewal_refused(&scene, claim_renewal(&before), AFAR_NOT_FOUND,
                          "this key has no such lease, or it is over; register again");
    scene_close(&scene);
}

/* A refused renewal must not give the lease more time. */
TEST(a_renewal_said_again_keeps_nothing_alive)
{
    struct scene scene;

    scene_open(&scene);
    renew(&scene);
    host_now += 14 * SECOND;
    check_renewal_refused(&scene, claim_renewal(&scene.held), AFAR_FAILED_PRECONDITION,
                          "the sequence number 1 is not higher than 1");
    check_unharmed(&scene);
    host_now += 2 * SECOND;
    CHECK_INT(host_generation(&scene.host, NAME, scene.alice), 0);
    scene_close(&scene);
}

TEST(a_removal_said_again)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    struct held gone;
    afar__signed *again;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    leave(&scene);
    gone = scene.held;
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.alice, 11, &fresh);
    again = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, again, &scene.held, &err));
    check_removal_refused(&scene, claim_removal(&gone, NULL), AFAR_NOT_FOUND,
                          "this key has no such lease, or it is over");
    CHECK_INT(host_generation(&scene.host, NAME, scene.alice), 11);
    afar__record_free(again);
    scene_close(&scene);
}

/* The lease is alive, and the removal was of one of its names. */
TEST(a_removal_of_one_name_said_again)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar__signed *record, *removal;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.alice, 1, &fresh);
    claim.name = "bank/alice2";
    claim.lease = scene.held.lease;
    record = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, record, NULL, &err));
    afar__record_free(record);
    scene.held.sequence = 1;
    removal = claim_removal(&scene.held, "bank/alice2");
    CHECK_OK(host_unregister(&scene.host, removal, &err));
    CHECK_INT(host_generation(&scene.host, "bank/alice2", scene.alice), 0);
    check_unharmed(&scene);
    claim.generation = 2;
    record = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, record, NULL, &err));
    afar__record_free(record);
    check_removal_refused(&scene, removal, AFAR_FAILED_PRECONDITION,
                          "the sequence number 1 is not higher than 1");
    CHECK_INT(host_generation(&scene.host, "bank/alice2", scene.alice), 2);
    scene_close(&scene);
}

TEST(an_epoch_of_before)
{
    struct scene scene;
    struct held stale;

    scene_open(&scene);
    stale = scene.held;
    stale.sequence = 50;
    stale.epoch[0] ^= 1;
    check_renewal_refused(&scene, claim_renewal(&stale), AFAR_FAILED_PRECONDITION,
                          "the epoch is not that of the name server");
    check_removal_refused(&scene, claim_removal(&stale, NULL), AFAR_FAILED_PRECONDITION,
                          "the epoch is not that of the name server");
    check_unharmed(&scene);
    renew(&scene); /* 50 was not counted */
    scene_close(&scene);
}

/* What is refused says what would have been right, so that an owner can go on. */
TEST(a_stale_number_is_told_the_right_one)
{
    struct scene scene;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *renewal;
    const Afar__Names__V1__Stale *stale;

    scene_open(&scene);
    scene.held.sequence = 6;
    renew(&scene);
    renewal = claim_renewal(&scene.held);
    CHECK_INT(host_renew(&scene.host, renewal, &err), AFAR_FAILED_PRECONDITION);
    stale = afar_names_v1_stale_of(&err);
    CHECK(stale != NULL);
    CHECK_INT(stale->sequence, 7);
    CHECK_INT(stale->epoch.len, AFAR__EPOCH_BYTES);
    CHECK(memcmp(stale->epoch.data, scene.held.epoch, AFAR__EPOCH_BYTES) == 0);
    afar__record_free(renewal);
    scene_close(&scene);
    afar_error_clear(&err);
}

/* The leases and names are there again; nothing that was said before counts. */
TEST(a_name_server_that_has_started_anew)
{
    struct scene scene;
    struct challenge fresh;
    struct held before;
    char where[300];
    afar_error err = AFAR_ERROR_INIT;

    folder_open();
    scene_open_in(&scene, folder_path("names.db", where));
    renew(&scene);
    before = scene.held;
    before.sequence++;
    host_close(&scene.host);
    host_open(&scene.host, where);
    check_unharmed(&scene);
    check_renewal_refused(&scene, claim_renewal(&before), AFAR_FAILED_PRECONDITION,
                          "the epoch is not that of the name server, which has started anew");
    check_removal_refused(&scene, claim_removal(&before, NULL), AFAR_FAILED_PRECONDITION,
                          "the epoch is not that of the name server, which has started anew");
    check_error(host_register(&scene.host, scene.heard, NULL, &err), &err, AFAR_FAILED_PRECONDITION,
                "the nonce for " NAME " is not one of this name server since it started");
    check_unharmed(&scene);
    fresh = host_challenge(&scene.host);
    memcpy(scene.held.epoch, fresh.epoch, sizeof fresh.epoch);
    scene.held.sequence = 0; /* counted from the start */
    renew(&scene);
    leave(&scene);
    scene_close(&scene);
    folder_close();
    afar_error_clear(&err);
}

/* ---- what is another's ---- */

TEST(another_key_cannot_take_a_live_name)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record;
    const Afar__Names__V1__Held *held;
    char part[200];

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.mallory, 1000, &fresh);
    snprintf(part, sizeof part, NAME " is held by the key %s; its lease has 15 s left",
             afar_key_public(scene.alice));
    check_record_refused(&scene, &claim, AFAR_ALREADY_EXISTS, part);
    claim.take_over = true;
    record = claim_sign(&claim);
    check_error(host_register(&scene.host, record, NULL, &err), &err, AFAR_ALREADY_EXISTS, part);
    held = afar_names_v1_held_of(&err);
    CHECK(held != NULL);
    CHECK_INT(held->key.len, AFAR__PUBLIC_BYTES);
    CHECK(memcmp(held->key.data, scene.alice->public, AFAR__PUBLIC_BYTES) == 0);
    CHECK_INT(held->lease_left_ms, 15000);
    check_unharmed(&scene);
    afar__record_free(record);
    scene_close(&scene);
    afar_error_clear(&err);
}

TEST(another_key_cannot_join_a_lease)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.mallory, 1000, &fresh);
    claim.lease = scene.held.lease;
    check_record_refused(&scene, &claim, AFAR_NOT_FOUND, "this key has no such lease");
    claim.name = "bank/mallory"; /* nor with a name that nobody has */
    check_record_refused(&scene, &claim, AFAR_NOT_FOUND, "this key has no such lease");
    claim.name = NAME;
    claim.take_over = true;
    check_record_refused(&scene, &claim, AFAR_NOT_FOUND, "this key has no such lease");
    CHECK_INT(host_generation(&scene.host, "bank/mallory", scene.mallory), 0);
    check_unharmed(&scene);
    scene_close(&scene);
}

TEST(another_key_cannot_renew_or_remove)
{
    struct scene scene;
    struct held false_held;

    scene_open(&scene);
    false_held = scene.held;
    false_held.key = scene.mallory;
    false_held.sequence = 1000;
    check_renewal_refused(&scene, claim_renewal(&false_held), AFAR_NOT_FOUND,
                          "this key has no such lease");
    check_removal_refused(&scene, claim_removal(&false_held, NULL), AFAR_NOT_FOUND,
                          "this key has no such lease");
    check_removal_refused(&scene, claim_removal(&false_held, NAME), AFAR_NOT_FOUND,
                          "this key has no such lease");
    check_unharmed(&scene);
    renew(&scene); /* 1000 was not counted */
    scene_close(&scene);
}

/* A lease of one's own does not help to remove the names of another. */
TEST(a_removal_of_names_of_another_lease)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    struct held own = { .sequence = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record, *removal;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.mallory, 1, &fresh);
    claim.name = "bank/mallory";
    record = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, record, &own, &err));
    own.key = scene.mallory;
    removal = claim_removal(&own, NAME);
    CHECK_OK(host_unregister(&scene.host, removal, &err)); /* it is not counted */
    check_unharmed(&scene);
    afar__record_free(record);
    afar__record_free(removal);
    scene_close(&scene);
}

/* Alice's bytes with mallory's key, and the other way round. */
TEST(parts_put_together)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar__signed *record, *mixed;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.mallory, 1000, &fresh);
    record = claim_sign(&claim);
    mixed = afar__record_copy(record);
    memcpy(mixed->key.data, scene.alice->public, AFAR__PUBLIC_BYTES);
    check_error(host_register(&scene.host, mixed, NULL, &err), &err, AFAR_UNAUTHENTICATED,
                "the signature of a record is not that of the key ");
    memcpy(mixed->key.data, scene.mallory->public, AFAR__PUBLIC_BYTES);
    memcpy(mixed->signature.data, scene.heard->signature.data, AFAR__SIGNATURE_BYTES);
    check_error(host_register(&scene.host, mixed, NULL, &err), &err, AFAR_UNAUTHENTICATED,
                "the signature of a record is not that of the key ");
    check_unharmed(&scene);
    afar__record_free(record);
    afar__record_free(mixed);
    scene_close(&scene);
    afar_error_clear(&err);
}

TEST(one_purpose_for_another)
{
    struct scene scene;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *renewal, *removal;

    scene_open(&scene);
    scene.held.sequence = 5;
    renewal = claim_renewal(&scene.held);
    removal = claim_removal(&scene.held, NULL);
    check_error(host_unregister(&scene.host, renewal, &err), &err, AFAR_UNAUTHENTICATED,
                "the signature of a removal is not that of the key ");
    check_error(host_renew(&scene.host, removal, &err), &err, AFAR_UNAUTHENTICATED,
                "the signature of a renewal is not that of the key ");
    check_error(host_register(&scene.host, renewal, NULL, &err), &err, AFAR_UNAUTHENTICATED,
                "the signature of a record is not that of the key ");
    check_error(host_renew(&scene.host, scene.heard, &err), &err, AFAR_UNAUTHENTICATED,
                "the signature of a renewal is not that of the key ");
    check_unharmed(&scene);
    afar__record_free(renewal);
    afar__record_free(removal);
    scene_close(&scene);
    afar_error_clear(&err);
}

/* ---- its own key ---- */

TEST(the_same_key_takes_over_only_if_it_says_so)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar__signed *record;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.alice, 11, &fresh);
    check_record_refused(&scene, &claim, AFAR_ALREADY_EXISTS,
                         NAME " is held by another lease of its key");
    check_unharmed(&scene);
    claim.take_over = true;
    claim.generation = 10;
    check_record_refused(&scene, &claim, AFAR_FAILED_PRECONDITION,
                         "the generation 10 of " NAME " is not higher than 10");
    check_unharmed(&scene);
    claim.generation = 11;
    record = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, record, NULL, &err));
    CHECK_INT(host_generation(&scene.host, NAME, scene.alice), 11);
    afar__record_free(record);
    scene_close(&scene);
}

TEST(a_free_name_may_get_another_owner)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar__signed *record;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    leave(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.mallory, 1, &fresh);
    record = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, record, NULL, &err));
    CHECK_INT(host_generation(&scene.host, NAME, scene.mallory), 1);
    check_error(host_register(&scene.host, scene.heard, NULL, &err), &err, AFAR_ALREADY_EXISTS,
                NAME " is held by the key ");
    afar__record_free(record);
    scene_close(&scene);
    afar_error_clear(&err);
}

/* ---- nonces ---- */

TEST(a_nonce_that_is_too_old)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *record;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.alice, 1, &fresh);
    claim.name = "bank/late";
    host_now += 61 * SECOND;
    check_record_refused(&scene, &claim, AFAR_FAILED_PRECONDITION,
                         "the nonce for bank/late is 61 s old, at most 60 are allowed; ask for a "
                         "new one");
    host_now -= SECOND;
    record = claim_sign(&claim);
    CHECK_OK(host_register(&scene.host, record, NULL, &err));
    afar__record_free(record);
    scene_close(&scene);
}

TEST(a_nonce_of_another_name_server)
{
    struct scene scene;
    struct host another;
    struct challenge fresh;
    struct claim claim;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    host_open(&another, "memory");
    check_error(host_register(&another, scene.heard, NULL, &err), &err, AFAR_FAILED_PRECONDITION,
                "the nonce for " NAME " is not one of this name server since it started");
    fresh = host_challenge(&another);
    claim = claim_by(scene.alice, 11, &fresh);
    claim.take_over = true;
    check_record_refused(&scene, &claim, AFAR_FAILED_PRECONDITION,
                         "the nonce for " NAME " is not one of this name server since it started");
    check_unharmed(&scene);
    CHECK_INT(host_generation(&another, NAME, scene.alice), 0);
    host_close(&another);
    scene_close(&scene);
    afar_error_clear(&err);
}

TEST(a_nonce_with_a_changed_bit)
{
    struct scene scene;
    struct challenge fresh;
    struct claim claim;

    scene_open(&scene);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.alice, 1, &fresh);
    claim.name = "bank/other";
    for (size_t at = 0; at < NONCE_BYTES; at++) {
        fresh.nonce[at] ^= 0x10;
        check_record_refused(&scene, &claim, AFAR_FAILED_PRECONDITION,
                             "the nonce for bank/other is not one of this name server");
        fresh.nonce[at] ^= 0x10;
    }
    claim.nonce = NULL;
    check_record_refused(&scene, &claim, AFAR_FAILED_PRECONDITION,
                         "the nonce for bank/other is not one of this name server");
    scene_close(&scene);
}

/* ---- bytes that make no sense ---- */

TEST(records_that_are_none)
{
    struct scene scene;
    afar__signed *record;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    check_error(host_register(&scene.host, NULL, NULL, &err), &err, AFAR_INVALID_ARGUMENT,
                "there is no signed record");
    check_error(host_renew(&scene.host, NULL, &err), &err, AFAR_INVALID_ARGUMENT,
                "there is no signed renewal");
    check_error(host_unregister(&scene.host, NULL, &err), &err, AFAR_INVALID_ARGUMENT,
                "there is no signed removal");
    record = claim_bytes(scene.mallory, "\xff\xff", 2);
    check_error(host_register(&scene.host, record, NULL, &err), &err, AFAR_INVALID_ARGUMENT,
                "what was signed as a record cannot be read: ");
    afar__record_free(record);
    record = claim_bytes(scene.mallory, "", 0);
    check_error(host_register(&scene.host, record, NULL, &err), &err, AFAR_INVALID_ARGUMENT,
                "the name is empty");
    afar__record_free(record);
    check_unharmed(&scene);
    scene_close(&scene);
    afar_error_clear(&err);
}

TEST(records_over_the_limits)
{
    static const uint8_t zeros[AFAR__MAX_RECORD + 1];
    struct scene scene;
    struct challenge fresh;
    struct claim claim;
    afar__signed *record;
    afar_error err = AFAR_ERROR_INIT;

    scene_open(&scene);
    record = claim_bytes(scene.mallory, zeros, sizeof zeros);
    check_error(host_register(&scene.host, record, NULL, &err), &err, AFAR_INVALID_ARGUMENT,
                "a signed record of 8193 bytes; at most 8192");
    afar__record_free(record);
    fresh = host_challenge(&scene.host);
    claim = claim_by(scene.mallory, 1, &fresh);
    claim.name = "bank//mallory";
    check_record_refused(&scene, &claim, AFAR_INVALID_ARGUMENT, "two / in a row");
    claim.name = "bank/mallory";
    claim.endpoints[0] = "inproc:mallory";
    check_record_refused(&scene, &claim, AFAR_INVALID_ARGUMENT,
                         "\"inproc:mallory\" is neither grpc://HOST:PORT nor unix:PATH");
    claim.endpoints[0] = NULL;
    check_record_refused(&scene, &claim, AFAR_INVALID_ARGUMENT, "0 endpoints; it needs 1 to 8");
    CHECK_INT(host_generation(&scene.host, "bank/mallory", scene.mallory), 0);
    scene_close(&scene);
    afar_error_clear(&err);
}
