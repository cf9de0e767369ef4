/* The name server is killed in the middle of writes, again and again, and started on the
 * same file: `afar names serve`, as people run it.
 *
 * Owners, a thread and a connection each, register, change and remove names without
 * a pause.  Each knows what was acknowledged, and the one change that was under way when
 * the name server died.  When it is back every owner lists its names: what was acknowledged
 * is there as it was, what was removed is gone, the change under way happened wholly or
 * not at all, and no revision is lower than one that was ever seen. */

#include <afar/names.afar.h>

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "registry_host.h"
#include "runtime/clock.h"
#include "store_model.h"

#define ROUNDS 13 /* of each of eight tests */
#define MOST_OWNERS 4
#define SLOTS 6
#define TERM_MS 60000
#define PATIENCE_MS 10000

enum act { NOTHING, REGISTER, REMOVE, REMOVE_ALL };

struct slot {
    char name[32];
    afar__signed *record; /* NULL: the name is not registered */
    uint64_t revision;
};

/* One owner; its own thread's while a round runs, the main thread's in between. */
struct owner {
    unsigned number;
    uint32_t chance;
    pthread_t thread;
    afar_client *client;
    afar_names_v1_names *names;
    struct slot slots[SLOTS];
    uint64_t sequence, generation;
    uint8_t lease[AFAR__LEASE_BYTES], epoch[AFAR__EPOCH_BYTES], nonce[AFAR__NONCE_BYTES];
    bool has_lease;

    /* What was under way when the name server died. */
    enum act act;
    size_t place;
    afar__signed *record; /* to be registered */
};

static struct {
    struct place place;
    struct owner owners[MOST_OWNERS];
    size_t owner_count;
    afar_node *node;
    char address[64];
    pid_t server;
    int64_t started_ns;
    bool last; /* owners look, and change nothing */
    atomic_bool killed;
    atomic_ullong revision; /* the highest one that was told */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done;       /* changes acknowledged in this round; guarded by lock */
    int unfinished; /* changes under way when the name server died, in all */
} world = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* ---- the name server ---- */

static void
program_path(char *path, size_t room)
{
    const char *folder = getenv("AFAR_BIN");
    char self[PATH_MAX] = "";

    if (!folder) {
        CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
        *strrchr(self, '/') = '\0';
        folder = self;
    }
    CHECK((size_t)snprintf(path, room, "%s/afar", folder) < room);
}

/* The first line that it prints says where it is. */
static void
read_address(int fd)
{
    char line[256] = "";
    size_t length = 0;

    while (!strchr(line, '\n')) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        ssize_t got;

        CHECK_INT(poll(&ready, 1, PATIENCE_MS), 1);
        got = read(fd, line + length, sizeof line - 1 - length);
        if (got <= 0)
            check_fail(__FILE__, __LINE__, "the name server does not start; see above");
        length += (size_t)got;
    }
    CHECK_INT(sscanf(line, "afar: name server at %40[^,],", world.address + strlen("grpc://")), 1);
    memcpy(world.address, "grpc://", strlen("grpc://"));
}

static void
start_server(void)
{
    char path[PATH_MAX];
    int ends[2];

    program_path(path, sizeof path);
    CHECK(pipe(ends) == 0);
    atomic_store(&world.killed, false);
    world.started_ns = afar__now();
    world.server = fork();
    CHECK(world.server >= 0);
    if (world.server == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(path, path, "names", "serve", "--listen", "127.0.0.1:0", "--store", world.place.path,
              (char *)NULL);
        perror(path);
        _exit(127);
    }
    close(ends[1]);
    read_address(ends[0]);
    close(ends[0]);
}

static void
kill_server(void)
{
    int status;

    atomic_store(&world.killed, true);
    CHECK(kill(world.server, SIGKILL) == 0);
    CHECK(waitpid(world.server, &status, 0) == world.server);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- what owners ask ---- */

static afar_deadline
soon(void)
{
    return afar_after_ms(PATIENCE_MS);
}

/* A call failed.  There is one reason for that. */
static bool
server_died(afar_code code, const afar_error *err)
{
    if (!atomic_load(&world.killed) || code != AFAR_UNAVAILABLE)
        check_fail(__FILE__, __LINE__, "%s, and the name server was %skilled: %s",
                   afar_code_name(code), atomic_load(&world.killed) ? "" : "not ", err->message);
    return true;
}

static void
saw_revision(uint64_t revision)
{
    unsigned long long highest = atomic_load(&world.revision);

    while (highest < revision && !atomic_compare_exchange_weak(&world.revision, &highest, revision))
        continue;
}

static void
acknowledged(void)
{
    pthread_mutex_lock(&world.lock);
    world.done++;
    pthread_cond_signal(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static void
copy_bytes(void *to, ProtobufCBinaryData from, size_t length)
{
    CHECK_INT(from.len, length);
    memcpy(to, from.data, length);
}

static bool
introduce(struct owner *owner, uint64_t *ret_revision)
{
    Afar__Names__V1__ChallengeRequest request = AFAR__NAMES__V1__CHALLENGE_REQUEST__INIT;
    Afar__Names__V1__ChallengeReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t highest = atomic_load(&world.revision);
    afar_code code =
        afar_names_v1_names_open(owner->client, world.address, soon(), &owner->names, &err);

    if (code == AFAR_OK)
        code = afar_names_v1_names_challenge(owner->names, &request, soon(), &reply, &err);
    if (code != AFAR_OK)
        return !server_died(code, &err);
    copy_bytes(owner->nonce, reply->nonce, sizeof owner->nonce);
    copy_bytes(owner->epoch, reply->epoch, sizeof owner->epoch);
    CHECK(reply->revision >= highest);
    saw_revision(reply->revision);
    *ret_revision = reply->revision;
    if (owner->generation < reply->revision)
        owner->generation = reply->revision;
    afar_message_free(reply);
    return true;
}

static afar__signed *
sign_record(struct owner *owner, size_t place)
{
    afar__record record = AFAR__NAMES__V1__RECORD__INIT;
    char endpoint[] = "grpc://127.0.0.1:1";
    char *endpoints[] = { endpoint };
    afar_error err = AFAR_ERROR_INIT;
    afar__signed *result = NULL;

    record.name = owner->slots[place].name;
    record.endpoints = endpoints;
    record.n_endpoints = 1;
    record.generation = ++owner->generation;
    record.nonce = (ProtobufCBinaryData){ .len = sizeof owner->nonce, .data = owner->nonce };
    record.lease_ms = TERM_MS;
    if (owner->has_lease)
        record.lease = (ProtobufCBinaryData){ .len = sizeof owner->lease, .data = owner->lease };
    CHECK_OK(afar__record_sign(key_number(owner->number), AFAR__PURPOSE_RECORD, &record.base,
                               &result, &err));
    return result;
}

static afar_code
ask_to_register(struct owner *owner, afar_error *err)
{
    Afar__Names__V1__RegisterRequest request = AFAR__NAMES__V1__REGISTER_REQUEST__INIT;
    Afar__Names__V1__RegisterReply *reply = NULL;
    uint64_t highest = atomic_load(&world.revision);
    struct slot *slot = &owner->slots[owner->place];
    afar_code code;

    request.record = owner->record;
    code = afar_names_v1_names_register_(owner->names, &request, soon(), &reply, err);
    if (code != AFAR_OK)
        return code;
    CHECK(reply->revision > highest);
    CHECK_INT(reply->lease_ms, TERM_MS);
    if (owner->has_lease)
        CHECK(memcmp(owner->lease, reply->lease.data, sizeof owner->lease) == 0);
    copy_bytes(owner->lease, reply->lease, sizeof owner->lease);
    owner->has_lease = true;
    saw_revision(reply->revision);
    afar__record_free(slot->record);
    slot->record = owner->record;
    slot->revision = reply->revision;
    owner->record = NULL;
    afar_message_free(reply);
    return AFAR_OK;
}

static void
forget(struct owner *owner, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        afar__record_free(owner->slots[i].record);
        owner->slots[i].record = NULL;
    }
}

static size_t
count_records(const struct owner *owner)
{
    size_t count = 0;

    for (size_t i = 0; i < SLOTS; i++)
        count += owner->slots[i].record != NULL;
    return count;
}

/* Of one name, or of all and the lease. */
static afar_code
ask_to_remove(struct owner *owner, bool all, afar_error *err)
{
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    Afar__Names__V1__UnregisterRequest request = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__UnregisterReply *reply = NULL;
    char *names[] = { owner->slots[owner->place].name };
    uint64_t highest = atomic_load(&world.revision);
    afar__signed *signed_removal = NULL;
    afar_code code;

    removal.lease = (ProtobufCBinaryData){ .len = sizeof owner->lease, .data = owner->lease };
    removal.epoch = (ProtobufCBinaryData){ .len = sizeof owner->epoch, .data = owner->epoch };
    removal.sequence = ++owner->sequence;
    removal.names = names;
    removal.n_names = all ? 0 : 1;
    CHECK(afar__record_sign(key_number(owner->number), AFAR__PURPOSE_REMOVAL, &removal.base,
                            &signed_removal, err) == AFAR_OK);
    request.removal = signed_removal;
    code = afar_names_v1_names_unregister(owner->names, &request, soon(), &reply, err);
    afar__record_free(signed_removal);
    if (code != AFAR_OK)
        return code;
    CHECK_INT(reply->count, all ? count_records(owner) : 1);
    CHECK(reply->count == 0 || reply->revision > highest);
    saw_revision(reply->revision);
    forget(owner, all ? 0 : owner->place, all ? SLOTS : 1);
    owner->has_lease = owner->has_lease && !all;
    afar_message_free(reply);
    return AFAR_OK;
}

/* ---- what an owner finds when the name server is back ---- */

struct found {
    const Afar__Names__V1__Entry *entries[SLOTS];
    const Afar__Names__V1__ListReply *reply;
    uint64_t revision; /* what the name server began with, or later */
};

static bool
is_as_before(const struct slot *slot, const Afar__Names__V1__Entry *entry)
{
    if (!slot->record || !entry)
        return !slot->record && !entry;
    return entry->revision == slot->revision && afar__record_equal(entry->record, slot->record);
}

/* Whether a name is as the change that was under way makes it. */
static bool
is_as_after(const struct owner *owner, size_t place, const Afar__Names__V1__Entry *entry)
{
    if (owner->act == REGISTER && owner->place == place)
        return entry && afar__record_equal(entry->record, owner->record) &&
               (!owner->slots[place].record || entry->revision > owner->slots[place].revision);
    if ((owner->act == REMOVE && owner->place == place) || owner->act == REMOVE_ALL)
        return !entry;
    return is_as_before(&owner->slots[place], entry);
}

static void
check_entry(const struct owner *owner, const Afar__Names__V1__Entry *entry, uint64_t highest)
{
    int64_t running_ms = (afar__now() - world.started_ns) / AFAR__MILLISECOND;

    CHECK(entry->lease_left_ms <= TERM_MS);
    CHECK(entry->lease_left_ms + running_ms + 2 >= TERM_MS);
    CHECK(entry->revision <= highest);
    CHECK_INT(entry->lease.len, AFAR__LEASE_BYTES);
    if (owner->has_lease)
        CHECK(memcmp(entry->lease.data, owner->lease, AFAR__LEASE_BYTES) == 0);
}

/* The change that was under way was made, as a whole. */
static void
take_over_change(struct owner *owner, const struct found *found)
{
    struct slot *slot = &owner->slots[owner->place];

    if (owner->act == REGISTER) {
        const Afar__Names__V1__Entry *entry = found->entries[owner->place];

        afar__record_free(slot->record);
        slot->record = owner->record;
        slot->revision = entry->revision;
        owner->record = NULL;
        owner->has_lease = true;
        copy_bytes(owner->lease, entry->lease, sizeof owner->lease);
    } else if (owner->act == REMOVE) {
        forget(owner, owner->place, 1);
    } else if (owner->act == REMOVE_ALL) {
        forget(owner, 0, SLOTS);
        owner->has_lease = false;
    }
}

static void
compare(struct owner *owner, const struct found *found)
{
    bool before = true, after = true;

    for (size_t i = 0; i < SLOTS; i++) {
        const Afar__Names__V1__Entry *entry = found->entries[i];

        if (entry)
            check_entry(owner, entry, found->reply->revision);
        before = before && is_as_before(&owner->slots[i], entry);
        after = after && is_as_after(owner, i, entry);
        if (!before && !after)
            check_fail(__FILE__, __LINE__,
                       "\"%s\" is %s, was %s when the name server was killed (act %d on %zu)",
                       owner->slots[i].name, entry ? "there" : "not there",
                       owner->slots[i].record ? "registered" : "not registered", (int)owner->act,
                       owner->place);
    }
    if (!before)
        take_over_change(owner, found);
    afar__record_free(owner->record);
    owner->record = NULL;
    owner->act = NOTHING;
}

static size_t
place_of(const struct owner *owner, const Afar__Names__V1__Entry *entry)
{
    ProtobufCMessage *message = NULL;
    afar_error err = AFAR_ERROR_INIT;
    size_t place = 0;

    CHECK_OK(afar__record_verify(entry->record, AFAR__PURPOSE_RECORD, &message, &err));
    while (strcmp(((afar__record *)message)->name, owner->slots[place].name) != 0)
        if (++place == SLOTS)
            check_fail(__FILE__, __LINE__, "a name that nobody registered");
    afar_message_free(message);
    return place;
}

static bool
look(struct owner *owner)
{
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;
    Afar__Names__V1__ListReply *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct found found = { .reply = NULL };
    char prefix[32];
    afar_code code;

    snprintf(prefix, sizeof prefix, "owner-%u/", owner->number);
    request.prefix = prefix;
    code = afar_names_v1_names_list(owner->names, &request, soon(), &reply, &err);
    if (code != AFAR_OK)
        return !server_died(code, &err);
    CHECK(!reply->more);
    found.reply = reply;
    for (size_t i = 0; i < reply->n_entries; i++) {
        size_t place = place_of(owner, reply->entries[i]);

        CHECK(!found.entries[place]);
        found.entries[place] = reply->entries[i];
    }
    compare(owner, &found);
    afar_message_free(reply);
    return true;
}

/* ---- rounds ---- */

static uint32_t
toss(struct owner *owner, uint32_t sides)
{
    owner->chance = owner->chance * UINT32_C(1664525) + UINT32_C(1013904223);
    return (owner->chance >> 12) % sides;
}

static void
choose(struct owner *owner)
{
    owner->place = toss(owner, SLOTS);
    if (owner->has_lease && toss(owner, 24) == 0)
        owner->act = REMOVE_ALL;
    else if (owner->slots[owner->place].record && toss(owner, 2) == 0)
        owner->act = REMOVE;
    else
        owner->act = REGISTER;
}

/* False when the name server died on the way. */
static bool
change_something(struct owner *owner)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    choose(owner);
    if (owner->act == REGISTER) {
        owner->record = sign_record(owner, owner->place);
        code = ask_to_register(owner, &err);
    } else {
        code = ask_to_remove(owner, owner->act == REMOVE_ALL, &err);
    }
    if (code != AFAR_OK)
        return !server_died(code, &err);
    owner->act = NOTHING;
    acknowledged();
    return true;
}

static void *
run_owner(void *arg)
{
    struct owner *owner = arg;
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    uint64_t revision;

    options.known_names = "";
    CHECK_OK(afar_client_open(world.node, &options, &owner->client, &err));
    owner->names = NULL;
    if (introduce(owner, &revision) && look(owner) && !world.last)
        while (change_something(owner))
            continue;
    afar_names_v1_names_close(owner->names);
    afar_client_close(owner->client);
    return NULL;
}

static void
wait_changes(int count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&world.lock);
    while (world.done < count)
        CHECK(pthread_cond_timedwait(&world.changed, &world.lock, &until) == 0);
    pthread_mutex_unlock(&world.lock);
}

/* Kills after that many changes; none: everybody looks, in peace. */
static void
run_round(int changes)
{
    world.done = 0;
    world.last = changes == 0;
    start_server();
    for (size_t i = 0; i < world.owner_count; i++)
        CHECK(pthread_create(&world.owners[i].thread, NULL, run_owner, &world.owners[i]) == 0);
    if (!world.last) {
        wait_changes(changes);
        kill_server();
    }
    for (size_t i = 0; i < world.owner_count; i++) {
        CHECK(pthread_join(world.owners[i].thread, NULL) == 0);
        world.unfinished += world.owners[i].act != NOTHING;
    }
    if (world.last)
        kill_server();
}

static void
prepare_owner(struct owner *owner, unsigned number)
{
    owner->number = number;
    owner->chance = number;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        snprintf(owner->slots[slot].name, sizeof owner->slots[slot].name, "owner-%u/slot-%u",
                 number, slot);
}

/* Each name server lives for `least` to `most` changes. */
static void
run_rounds(size_t owners, int least, int most)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;

    place_make(&world.place);
    CHECK_OK(afar_node_open(NULL, &world.node, &err));
    world.owner_count = owners;
    for (unsigned i = 0; i < owners; i++)
        prepare_owner(&world.owners[i], i);
    for (int i = 0; i < ROUNDS; i++)
        run_round(least + i * 7 % (most - least + 1));
    CHECK(world.unfinished >= ROUNDS / 2);
    run_round(0);
    for (size_t i = 0; i < owners; i++)
        forget(&world.owners[i], 0, SLOTS);

    CHECK_OK(afar__store_open(world.place.path, &store, &err));
    CHECK(model_revision(store) >= atomic_load(&world.revision));
    store->ops->close(store);
    afar_node_close(world.node);
    place_remove(&world.place);
}

TEST(killed_with_its_first_changes)
{
    run_rounds(4, 1, 3);
}

TEST(killed_after_a_few_changes)
{
    run_rounds(4, 5, 17);
}

TEST(killed_after_some_changes)
{
    run_rounds(4, 20, 32);
}

TEST(killed_after_many_changes)
{
    run_rounds(4, 60, 90);
}

TEST(two_owners_and_their_first_changes)
{
    run_rounds(2, 1, 3);
}

TEST(two_owners_and_many_changes)
{
    run_rounds(2, 20, 60);
}

TEST(one_owner_and_its_first_changes)
{
    run_rounds(1, 1, 3);
}

TEST(one_owner_and_many_changes)
{
    run_rounds(1, 10, 30);
}
