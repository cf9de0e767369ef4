/* A client and a name server that lies: whatever it says, the client goes to the owner's
 * object or nowhere, and says what is wrong.
 *
 * Labels: concurrent */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>

#include "check.h"
#include "folder.h"
#include "liar.h"
#include "thing.afar.h"

#define NAME "bank/alice"

/* A server with an object, in a node of its own. */
struct place {
    afar_node *node;
    afar_server *server;
    char endpoint[80];
    atomic_int calls; /* that reached the object */
};

static afar_code
next(void *self, const Names__Number *request, Names__Number *reply, afar_call *call)
{
    struct place *place = self;

    (void)call;
    place->calls++;
    reply->number = request->number + 1;
    return AFAR_OK;
}

static const names_thing_methods methods = { .next = next };

static void
place_open(struct place *place)
{
    afar_error err = AFAR_ERROR_INIT;
    names_thing *thing = NULL;

    memset(place, 0, sizeof *place);
    CHECK_OK(afar_node_open(NULL, &place->node, &err));
    CHECK_OK(afar_server_open(place->node, "127.0.0.1:0", NULL, &place->server, &err));
    CHECK_OK(names_thing_new(&methods, place, NULL, &thing, &err));
    CHECK_OK(afar_server_export(place->server, NAME, names_thing_object(thing), &err));
    CHECK_OK(afar_server_start(place->server, &err));
    names_thing_close(thing);
    snprintf(place->endpoint, sizeof place->endpoint, "grpc://%s",
             afar_server_address(place->server));
}

static void
place_close(struct place *place)
{
    afar_server_close(place->server);
    afar_node_close(place->node);
}

/* ---- the scene: the owner's place, another one, and the liar between ---- */

struct scene {
    struct liar liar;
    struct place home, elsewhere;
    afar_key *owner, *other;
    afar_client *client;
};

static afar_client *
new_client(const struct liar *liar)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;

    options.names = liar->address;
    CHECK_OK(afar_client_open(NULL, &options, &client, &err));
    return client;
}

static void
scene_open(struct scene *scene)
{
    folder_open();
    place_open(&scene->home);
    place_open(&scene->elsewhere);
    liar_open(&scene->liar);
    scene->owner = claim_key(1);
    scene->other = claim_key(2);
    scene->client = new_client(&scene->liar);
}

static void
scene_close(struct scene *scene)
{
    afar_client_close(scene->client);
    liar_close(&scene->liar);
    place_close(&scene->home);
    place_close(&scene->elsewhere);
    afar_key_close(scene->owner);
    afar_key_close(scene->other);
    folder_close();
}

/* The truth, to be changed. */
static struct claim
truth(const struct scene *scene)
{
    return (struct claim){ .key = scene->owner,
                           .name = NAME,
                           .endpoints = { scene->home.endpoint },
                           .instance = afar_node_instance(scene->home.node),
                           .generation = 5 };
}

static void
say(struct scene *scene, const struct claim *claim)
{
    liar_says(&scene->liar, claim_sign(claim));
}

static afar_code
open_name(afar_client *client, const char *name, names_thing **ret_thing, afar_error *err)
{
    return names_thing_open(client, name, afar_after_ms(15000), ret_thing, err);
}

/* It is opened, and a call reaches the owner's object. */
static void
check_opens(struct scene *scene, const char *name)
{
    Names__Number request = NAMES__NUMBER__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    names_thing *thing = NULL;
    int before = scene->home.calls;

    CHECK_OK(open_name(scene->client, name, &thing, &err));
    request.number = 41;
    CHECK_OK(names_thing_next(thing, &request, afar_after_ms(15000), &reply, &err));
    CHECK_INT(reply->number, 42);
    CHECK_INT(scene->home.calls, before + 1);
    afar_message_free(reply);
    names_thing_close(thing);
}

/* It is not opened, and nobody was called.  The message has all of `parts`, which end
 * with NULL. */
static void
check_refused(struct scene *scene, const char *name, afar_code code, const char *const *parts)
{
    afar_error err = AFAR_ERROR_INIT;
    names_thing *thing = NULL;

    CHECK_FAILS(open_name(scene->client, name, &thing, &err), code);
    CHECK(thing == NULL);
    for (; *parts; parts++)
        if (!strstr(err.message, *parts))
            check_fail(__FILE__, __LINE__, "\"%s\" is not in: %s", *parts, err.message);
    CHECK_INT(scene->elsewhere.calls, 0);
    afar_error_clear(&err);
}

#define PARTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

TEST(the_truth_is_believed)
{
    struct scene scene;
    struct claim claim;
    char name[AFAR__KEY_TEXT + 20];

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    snprintf(name, sizeof name, "%s@" NAME, afar_key_public(scene.owner));
    check_opens(&scene, name);
    scene.liar.lease_left_ms = UINT32_MAX;
    check_opens(&scene, NAME);
    scene_close(&scene);
}

/* ---- false records ---- */

static void
check_forged(struct scene *scene, const char *why)
{
    int before = scene->liar.lookups;

    check_refused(scene, NAME, AFAR_UNAUTHENTICATED,
                  PARTS(NAME ": the name server has a false record: ", why));
    CHECK(scene->liar.lookups > before);
}

TEST(a_changed_byte_anywhere)
{
    struct scene scene;
    struct claim claim;
    ProtobufCBinaryData *parts[3];

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    parts[0] = &scene.liar.record->record;
    parts[1] = &scene.liar.record->key;
    parts[2] = &scene.liar.record->signature;
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < parts[i]->len; at++) {
            parts[i]->data[at] ^= 0x20;
            check_forged(&scene, "the signature of a record is not that of the key ");
            parts[i]->data[at] ^= 0x20;
        }
    check_opens(&scene, NAME);
    scene_close(&scene);
}

/* The liar signs for itself, and puts the owner's key next to it. */
TEST(signed_by_somebody_in_the_owners_name)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    claim.key = scene.other;
    claim.endpoints[0] = scene.elsewhere.endpoint;
    claim.instance = afar_node_instance(scene.elsewhere.node);
    say(&scene, &claim);
    memcpy(scene.liar.record->key.data, scene.owner->public, AFAR__PUBLIC_BYTES);
    check_forged(&scene, "the signature of a record is not that of the key ");
    scene_close(&scene);
}

TEST(a_good_record_of_another_name)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    claim.name = "bank/alice2";
    say(&scene, &claim);
    check_forged(&scene, "it is of bank/alice2");
    claim.name = "bank/alic";
    say(&scene, &claim);
    check_forged(&scene, "it is of bank/alic");
    scene_close(&scene);
}

TEST(what_was_signed_for_another_purpose)
{
    struct scene scene;
    struct held held = { .sequence = 1 };

    scene_open(&scene);
    held.key = scene.owner;
    liar_says(&scene.liar, claim_renewal(&held));
    check_forged(&scene, "the signature of a record is not that of the key ");
    liar_says(&scene.liar, claim_removal(&held, NAME));
    check_forged(&scene, "the signature of a record is not that of the key ");
    scene_close(&scene);
}

TEST(no_record)
{
    struct scene scene;

    scene_open(&scene);
    check_forged(&scene, "signed");
    scene.liar.no_entry = true;
    check_forged(&scene, "signed");
    scene_close(&scene);
}

TEST(parts_of_wrong_lengths)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    scene.liar.record->key.len = 31;
    check_forged(&scene, "the key of a signed record has 31 bytes, not 32");
    scene.liar.record->key.len = 0;
    check_forged(&scene, "the key of a signed record has 0 bytes, not 32");
    scene.liar.record->key.len = 32;
    scene.liar.record->signature.len = 63;
    check_forged(&scene, "the signature of a record has 63 bytes, not 64");
    scene.liar.record->signature.len = 64;
    scene.liar.record->record.len = 0;
    check_forged(&scene, "the signature of a record is not that of the key ");
    scene_close(&scene);
}

/* ---- garbage and size ---- */

TEST(garbage_that_the_owner_signed)
{
    struct scene scene;

    scene_open(&scene);
    liar_says(&scene.liar, claim_bytes(scene.owner, "\xff\xff\xff\xff", 4));
    check_forged(&scene, "what was signed as a record cannot be read: ");
    scene_close(&scene);
}

TEST(a_record_that_is_too_large)
{
    static const uint8_t bytes[AFAR__MAX_RECORD + 1];
    struct scene scene;

    scene_open(&scene);
    liar_says(&scene.liar, claim_bytes(scene.owner, bytes, sizeof bytes));
    check_forged(&scene, "a signed record of 8193 bytes; at most 8192");
    scene_close(&scene);
}

TEST(an_answer_that_is_too_large)
{
    size_t length = (size_t)5 << 20;
    uint8_t *bytes = calloc(1, length);
    struct scene scene;

    CHECK(bytes != NULL);
    scene_open(&scene);
    liar_says(&scene.liar, claim_bytes(scene.owner, bytes, length));
    check_refused(&scene, NAME, AFAR_RESOURCE_EXHAUSTED, PARTS(NAME, "name server"));
    scene_close(&scene);
    free(bytes);
}

/* The client goes on: the next answer of the same name server may be good. */
TEST(after_all_lies_the_truth_is_believed)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    check_forged(&scene, "signed");
    liar_says(&scene.liar, claim_bytes(scene.owner, "garbage", 7));
    check_forged(&scene, "what was signed as a record cannot be read: ");
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    scene_close(&scene);
}

TEST(an_answer_that_is_no_message)
{
    struct scene scene;

    scene_open(&scene);
    liar_close(&scene.liar);
    liar_open_garbage(&scene.liar, "\xff\xff\xff\xff", 4);
    afar_client_close(scene.client);
    scene.client = new_client(&scene.liar);
    check_refused(&scene, NAME, AFAR_INTERNAL, PARTS(NAME ": name server ", "afar.names.v1.Entry"));
    scene_close(&scene);
}

/* What the name server says about itself is text from a stranger. */
TEST(an_error_with_a_message_that_is_not_for_people)
{
    struct scene scene;
    char message[3000];

    scene_open(&scene);
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = 0;
    memcpy(message, "no\nyes", 6);
    scene.liar.code = AFAR_PERMISSION_DENIED;
    scene.liar.message = message;
    check_refused(&scene, NAME, AFAR_PERMISSION_DENIED, PARTS(NAME, "no yes"));
    scene_close(&scene);
}

/* ---- whose name it is ---- */

TEST(another_key_than_the_known_one)
{
    struct scene scene;
    struct claim claim;
    char known[300];
    size_t length, after;

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    length = folder_read("known_names", known, sizeof known);
    claim.key = scene.other;
    claim.generation = 100;
    claim.endpoints[0] = scene.elsewhere.endpoint;
    claim.instance = afar_node_instance(scene.elsewhere.node);
    say(&scene, &claim);
    check_refused(&scene, NAME, AFAR_PERMISSION_DENIED,
                  PARTS("bank/alice: owner ", afar_key_public(scene.other),
                        afar_key_public(scene.owner), "known_names:1", "remove that line"));
    afar_client_close(scene.client); /* nor by a new one */
    scene.client = new_client(&scene.liar);
    check_refused(&scene, NAME, AFAR_PERMISSION_DENIED,
                  PARTS("bank/alice: owner ", afar_key_public(scene.other),
                        afar_key_public(scene.owner), "known_names:1", "remove that line"));
    after = folder_read("known_names", known, sizeof known);
    CHECK_INT(after, length);
    scene_close(&scene);
}

TEST(another_key_than_the_one_in_front_of_the_name)
{
    struct scene scene;
    struct claim claim;
    char name[AFAR__KEY_TEXT + 20];

    scene_open(&scene);
    claim = truth(&scene);
    claim.key = scene.other;
    say(&scene, &claim);
    snprintf(name, sizeof name, "%s@" NAME, afar_key_public(scene.owner));
    check_refused(&scene, name, AFAR_PERMISSION_DENIED,
                  PARTS("bank/alice: its owner is ", afar_key_public(scene.other), "not ",
                        afar_key_public(scene.owner)));
    scene_close(&scene);
}

/* A lie must not become a known key. */
TEST(false_records_are_not_remembered)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    claim.key = scene.other;
    say(&scene, &claim);
    scene.liar.record->signature.data[0] ^= 1;
    check_forged(&scene, "the signature of a record is not that of the key ");
    claim.name = "bank/bob";
    say(&scene, &claim);
    check_forged(&scene, "it is of bank/bob");
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    scene_close(&scene);
}

/* ---- how old it is ---- */

TEST(an_older_record_than_was_seen)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    claim.generation = 4;
    claim.endpoints[0] = scene.elsewhere.endpoint;
    claim.instance = afar_node_instance(scene.elsewhere.node);
    say(&scene, &claim);
    check_refused(&scene, NAME, AFAR_FAILED_PRECONDITION,
                  PARTS(NAME ": an older record than was seen before: generation 4, after 5"));
    claim = truth(&scene);
    claim.generation = 6;
    say(&scene, &claim);
    check_opens(&scene, NAME);
    scene_close(&scene);
}

/* The record is refused for its key, so its number must not count either. */
TEST(the_generation_of_another_key_is_not_that_of_the_owner)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    claim.key = scene.other;
    claim.generation = UINT64_MAX;
    say(&scene, &claim);
    check_refused(&scene, NAME, AFAR_PERMISSION_DENIED, PARTS(NAME));
    claim = truth(&scene);
    say(&scene, &claim);
    check_opens(&scene, NAME);
    scene_close(&scene);
}

/* ---- where it leads ---- */

/* An old record of a process that is gone, and at its address there is another. */
TEST(endpoints_of_another_process)
{
    struct scene scene;
    struct claim claim;
    char at[150];

    scene_open(&scene);
    claim = truth(&scene);
    claim.endpoints[0] = scene.elsewhere.endpoint;
    say(&scene, &claim);
    snprintf(at, sizeof at, NAME ": not at %s: another process is there", scene.elsewhere.endpoint);
    check_refused(&scene, NAME, AFAR_UNAVAILABLE, PARTS(at));
    scene_close(&scene);
}

TEST(the_next_endpoint_is_tried)
{
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    claim.endpoints[0] = scene.elsewhere.endpoint;
    claim.endpoints[1] = scene.home.endpoint;
    say(&scene, &claim);
    check_opens(&scene, NAME);
    CHECK_INT(scene.elsewhere.calls, 0);
    scene_close(&scene);
}

/* The owner itself says what may not be said. */
TEST(an_endpoint_that_no_record_may_have)
{
    static const char *const bad[] = { "inproc:bank", "127.0.0.1:7000", "unix:/a\x1b[31m",
                                       "grpc://127.0.0.1:7000/bank/bob" };
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        claim = truth(&scene);
        claim.endpoints[0] = bad[i];
        say(&scene, &claim);
        check_refused(&scene, NAME, AFAR_INTERNAL,
                      PARTS("its owner has registered nonsense: the record of \"" NAME "\": "));
    }
    scene_close(&scene);
}

/* ---- when the object is looked for again ---- */

/* What opened well is not believed for that when its server is gone. */
TEST(lies_while_the_object_is_found_again)
{
    Names__Number request = NAMES__NUMBER__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    names_thing *thing = NULL;
    struct scene scene;
    struct claim claim;

    scene_open(&scene);
    claim = truth(&scene);
    say(&scene, &claim);
    CHECK_OK(open_name(scene.client, NAME, &thing, &err));
    CHECK_OK(names_thing_next(thing, &request, afar_after_ms(15000), &reply, &err));
    claim.key = scene.other;
    claim.generation = 6;
    claim.endpoints[0] = scene.elsewhere.endpoint;
    claim.instance = afar_node_instance(scene.elsewhere.node);
    say(&scene, &claim);
    afar_server_close(scene.home.server);
    scene.home.server = NULL;
    CHECK_FAILS(names_thing_next(thing, &request, afar_after_ms(15000), &reply, &err),
                AFAR_PERMISSION_DENIED);
    CHECK(strstr(err.message, "remove that line") != NULL);
    claim.key = scene.owner; /* the owner's own word leads there */
    say(&scene, &claim);
    afar_message_free(reply);
    reply = NULL;
    CHECK_OK(names_thing_next(thing, &request, afar_after_ms(15000), &reply, &err));
    CHECK_INT(scene.elsewhere.calls, 1);
    afar_message_free(reply);
    names_thing_close(thing);
    scene_close(&scene);
    afar_error_clear(&err);
}
