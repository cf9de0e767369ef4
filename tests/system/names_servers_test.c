/* Several servers and one name: who has it, who waits, and who gets it when its owner is
 * closed or killed.
 *
 * Labels: concurrent waits.  Cost: 11 */

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <afar/key.h>
#include <afar/log.h>
#include <afar/names.afar.h>

#include "names_host.h"

#define ROUNDS 20
#define SHORT_LEASE 2000
#define MIDDLE_LEASE 4000 /* not to be missed on a slow machine, renewed soon enough */

static void
check_registered(afar_server *server)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_registered(server, soon(), &err));
}

/* Whether the name is registered for the address of that server. */
static bool
is_at(const struct names_host *host, const char *name, const afar_server *server)
{
    afar__record *record = names_host_record(host, name);
    bool same = strcmp(record->endpoints[0] + strlen("grpc://"), afar_server_address(server)) == 0;

    afar_message_free(record);
    return same;
}

static afar_server_options
with_key(afar_server_options options, char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", getenv("AFAR_HOME"), name);
    options.key_file = path;
    return options;
}

TEST(a_second_server_waits_for_the_first)
{
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    afar_server *first = names_serve(&options, "x");
    check_registered(first);
    afar_server *second = names_serve(&options, "x");
    names_wait_reason(second, "x is not registered: ");
    CHECK(is_at(&host, "x", first));
    int64_t closed = now_ms();
    afar_server_close(first);
    check_registered(second);
    CHECK(now_ms() - closed < 12000); /* the lease would have been 15 s */
    CHECK(is_at(&host, "x", second));
    afar_server_close(second);
    names_host_close(&host);
}

static atomic_int lines_of_waiting, names_in_them;

static void
count_names(void *arg, afar_log_level level, const char *line)
{
    (void)arg;
    if (level != AFAR_LOG_WARNING || !strstr(line, "is waited for: it is held by"))
        return;
    atomic_fetch_add(&lines_of_waiting, 1);
    for (const char *at = line; (at = strstr(at, "bank/held")) != NULL; at++)
        atomic_fetch_add(&names_in_them, 1);
}

/* The thread that logs is gone when the servers are closed. */
TEST(the_log_names_what_is_waited_for_once)
{
    struct names_host host;

    afar_log_set(count_names, NULL, AFAR_LOG_WARNING);
    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    afar_server *first = names_serve(&options, "bank/held");
    check_registered(first);
    afar_server *second = names_serve(&options, "bank/held");
    names_wait_reason(second, "bank/held is held by");
    afar_server_close(second);
    afar_server_close(first);
    CHECK_INT(lines_of_waiting, 1);
    CHECK_INT(names_in_them, 1);
    names_host_close(&host);
}

TEST(names_that_are_free_do_not_wait)
{
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    afar_server *first = names_serve(&options, "x");
    check_registered(first);
    afar_server *second = names_serve(&options, "x");
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(second, "y", probe);
    test_probe_close(probe);
    names_host_wait(&host, "y", true);
    CHECK(is_at(&host, "y", second));
    CHECK(is_at(&host, "x", first));
    afar_server_close(second);
    CHECK(names_host_has(&host, "x"));
    CHECK(!names_host_has(&host, "y"));
    afar_server_close(first);
    names_host_close(&host);
}

TEST(another_key_never_gets_it)
{
    char path[128];
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, MIDDLE_LEASE);
    afar_server *first = names_serve(&options, "x");
    check_registered(first);
    afar_server_options others = with_key(options, path, "other");
    others.take_over = true;
    afar_server *second = names_serve(&others, "x");
    int64_t end = now_ms() + 5 * MIDDLE_LEASE / 4;
    while (now_ms() < end) {
        CHECK(afar_server_registered(second, afar_after_ms(100), NULL));
        CHECK(is_at(&host, "x", first));
    }
    afar_server_close(second);
    CHECK(is_at(&host, "x", first));
    afar_server_close(first);
    names_host_close(&host);
}

TEST(taken_over_and_back_when_it_is_free)
{
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, MIDDLE_LEASE);
    options.take_over = true;
    afar_server *first = names_serve(&options, "x");
    check_registered(first);
    afar_server *second = names_serve(&options, "x");
    check_registered(second);
    CHECK(is_at(&host, "x", second));
    /* The first one learns of it, and does not push back. */
    names_wait_reason(first, "taken it over");
    CHECK(is_at(&host, "x", second));
    check_registered(second);
    afar_server_close(second);
    check_registered(first);
    CHECK(is_at(&host, "x", first));
    afar_server_close(first);
    names_host_close(&host);
}

/* A child that serves `x` at the name server whose address it reads, says so, and stays
 * until it is killed.  Forked before anything of Afar is used. */
struct child {
    pid_t id;
    int to, from;
};

static void
run_child(int from, int to)
{
    struct names_host host = { NULL, NULL, "" };

    if (read(from, host.address, sizeof host.address) != (ssize_t)sizeof host.address)
        _exit(2);
    afar_server_options options = names_options(&host, SHORT_LEASE);
    check_registered(names_serve(&options, "x"));
    if (write(to, "r", 1) != 1)
        _exit(2);
    for (;;)
        pause();
}

static struct child
fork_child(void)
{
    int down[2], up[2];

    CHECK_INT(pipe(down), 0);
    CHECK_INT(pipe(up), 0);
    struct child child = { fork(), down[1], up[0] };
    CHECK(child.id >= 0);
    if (child.id == 0)
        run_child(down[0], up[1]);
    close(down[0]);
    close(up[1]);
    return child;
}

TEST(a_killed_servers_name_comes_free_with_its_lease)
{
    struct names_host host = { NULL, NULL, "" };
    char answer = 0;

    names_home();
    struct child child = fork_child();
    names_host_open(&host, "memory");
    CHECK_INT(write(child.to, host.address, sizeof host.address), sizeof host.address);
    CHECK_INT(read(child.from, &answer, 1), 1);
    CHECK_INT(answer, 'r');
    afar_server_options options = names_options(&host, SHORT_LEASE);
    afar_server *second = names_serve(&options, "x");
    names_wait_reason(second, "x is not registered: ");
    CHECK_INT(kill(child.id, SIGKILL), 0);
    CHECK_INT(waitpid(child.id, NULL, 0), child.id);
    int64_t killed = now_ms();
    check_registered(second);
    CHECK(is_at(&host, "x", second));
    /* It renews at a third of its term, so that at least half of it was left. */
    CHECK(now_ms() - killed >= SHORT_LEASE / 2);
    close(child.to);
    close(child.from);
    afar_server_close(second);
    names_host_close(&host);
}

/* Both want it for a whole round; who gets it must be the one that is recorded. */
TEST(two_race_and_one_has_it)
{
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, 0);
    for (int round = 0; round < ROUNDS; round++) {
        test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
        afar_server *racers[2];
        char name[32];

        snprintf(name, sizeof name, "race/%d", round);
        for (int i = 0; i < 2; i++)
            racers[i] = names_serve(&options, NULL);
        for (int i = 0; i < 2; i++)
            export_probe(racers[i], name, probe);
        names_host_wait(&host, name, true);
        int winner = is_at(&host, name, racers[0]) ? 0 : 1;
        CHECK(is_at(&host, name, racers[winner]));
        check_registered(racers[winner]);
        CHECK(afar_server_registered(racers[1 - winner], afar_after_ms(0), NULL));
        CHECK(is_at(&host, name, racers[winner]));
        afar_server_close(racers[1 - winner]);
        CHECK(is_at(&host, name, racers[winner]));
        afar_server_close(racers[winner]);
        CHECK(!names_host_has(&host, name));
        test_probe_close(probe);
    }
    names_host_close(&host);
}

/* What `afar names unregister` does: a removal signed with the key of the lease. */
static void
remove_by_hand(const struct names_host *host, const char *name)
{
    Afar__Names__V1__UnregisterRequest request = AFAR__NAMES__V1__UNREGISTER_REQUEST__INIT;
    Afar__Names__V1__LookupRequest lookup = AFAR__NAMES__V1__LOOKUP_REQUEST__INIT;
    Afar__Names__V1__Removal removal = AFAR__NAMES__V1__REMOVAL__INIT;
    Afar__Names__V1__UnregisterReply *reply = NULL;
    Afar__Names__V1__LookupReply *found = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_names_v1_names *names = NULL;
    afar_client *client = NULL;
    afar_key *key = NULL;
    char address[140];

    CHECK_OK(afar_key_load(NULL, &key, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    snprintf(address, sizeof address, "grpc://%s", host->address);
    CHECK_OK(afar_names_v1_names_open(client, address, soon(), &names, &err));
    lookup.name = (char *)name;
    CHECK_OK(afar_names_v1_names_lookup(names, &lookup, soon(), &found, &err));
    removal.lease = found->entry->lease;
    removal.epoch = found->epoch;
    removal.sequence = found->entry->sequence + 1;
    removal.n_names = 1;
    removal.names = &lookup.name;
    CHECK_OK(afar__record_sign(key, AFAR__PURPOSE_REMOVAL, &removal.base, &request.removal, &err));
    CHECK_OK(afar_names_v1_names_unregister(names, &request, soon(), &reply, &err));
    CHECK_INT(reply->count, 1);
    afar_message_free(reply);
    afar_message_free(found);
    afar__record_free(request.removal);
    afar_names_v1_names_close(names);
    afar_client_close(client);
    afar_key_close(key);
}

/* The server's own sequence numbers lag behind from here on, and catch up. */
TEST(removed_by_hand_stays_removed)
{
    afar_error err = AFAR_ERROR_INIT;
    struct names_host host;

    names_home();
    names_host_open(&host, "memory");
    afar_server_options options = names_options(&host, MIDDLE_LEASE);
    afar_server *server = names_serve(&options, "x");
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    export_probe(server, "y", probe);
    check_registered(server);
    remove_by_hand(&host, "x");
    names_wait_reason(server, "export it again");
    CHECK(!names_host_has(&host, "x"));
    CHECK(names_host_has(&host, "y"));
    CHECK_OK(afar_server_unexport(server, "x", &test_probe_interface, &err));
    check_registered(server);
    export_probe(server, "x", probe);
    check_registered(server);
    CHECK(names_host_has(&host, "x"));
    test_probe_close(probe);
    afar_server_close(server);
    CHECK(!names_host_has(&host, "x"));
    names_host_close(&host);
}
