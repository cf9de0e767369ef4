/* Peers that live and keep back an answer.  Who waits with a deadline waits for that answer a limited time more, and
 * is told what is known; others that use the channel go on.  The limit is made short here.
 *
 * Labels: concurrent */

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/select.h>
#include <afar/server.h>

#include "channel_hostile_peer.h"
#include "check.h"
#include "piece.afar.h"
#include "runtime/channel/live.h"

#define DEADLINE_MS 100
#define PATIENCE_MS 400
#define SLACK_MS 4000 /* of a machine that does other things, too */

static int64_t
now_ms(void)
{
    return afar__now() / AFAR__MILLISECOND;
}

static afar_deadline
soon(void)
{
    return afar_after_ms(10000);
}

/* ---- a home here, and one that is attached to it ---- */

struct home {
    fault_piece_sender *sender;
    fault_piece_receiver *receiver;
    afar_server *server;
    afar_client *client;
    struct peer peer;
};

static void
open_home(struct home *home, enum peer_kind kind)
{
    struct peer_task task = { .receiver = "" };
    afar_error err = AFAR_ERROR_INIT;

    peer_start(&home->peer, kind);
    afar__channel_patience = PATIENCE_MS * AFAR__MILLISECOND;
    CHECK_OK(fault_piece_rendezvous_new(&home->sender, &home->receiver, &err));
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &home->server, &err));
    CHECK_OK(
        afar_server_export(home->server, "send", fault_piece_sender_object(home->sender), &err));
    CHECK_OK(afar_server_export(home->server, "receive",
                                fault_piece_receiver_object(home->receiver), &err));
    CHECK_OK(afar_server_start(home->server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &home->client, &err));
    snprintf(task.receiver, sizeof task.receiver, "afar://%s/receive",
             afar_server_address(home->server));
    afar__channels_lock();
    memcpy(task.process, afar__channels_board()->process, sizeof task.process);
    afar__channels_unlock();
    peer_attach(&home->peer, &task);
    peer_await(&home->peer, 'w', NULL);
}

static void
close_home(struct home *home)
{
    peer_end(&home->peer);
    fault_piece_sender_close(home->sender);
    fault_piece_receiver_close(home->receiver);
    afar_client_close(home->client);
    afar_server_close(home->server);
}

/* An end of that channel, by way of the server. */
static fault_piece_sender *
far_sender(const struct home *home)
{
    fault_piece_sender *sender = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char name[200];

    snprintf(name, sizeof name, "afar://%s/send", afar_server_address(home->server));
    CHECK_OK(fault_piece_sender_open(home->client, name, soon(), &sender, &err));
    return sender;
}

/* Messages that others exchange by that channel meanwhile. */
#define EXCHANGED 50

static void *
run_receiving(void *arg)
{
    struct home *home = arg;
    afar_error err = AFAR_ERROR_INIT;

    for (uint64_t i = 0; i < EXCHANGED; i++) {
        Fault__Piece *piece = NULL;

        CHECK_OK(fault_piece_receive(home->receiver, soon(), &piece, &err));
        CHECK_INT(piece->number, i);
        afar_message_free(piece);
    }
    return NULL;
}

static void
exchange(struct home *home)
{
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    pthread_t thread;

    CHECK(!pthread_create(&thread, NULL, run_receiving, home));
    for (; piece.number < EXCHANGED; piece.number++)
        CHECK_OK(fault_piece_send(home->sender, &piece, soon(), &err));
    CHECK(!pthread_join(thread, NULL));
}

/* ---- one send with a deadline ---- */

struct late {
    fault_piece_sender *sender;
    afar_code code;
    int64_t took_ms;
    char text[400];
};

static void *
run_late(void *arg)
{
    struct late *late = arg;
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    int64_t start = now_ms();

    piece.number = 1000;
    late->code = fault_piece_send(late->sender, &piece, afar_after_ms(DEADLINE_MS), &err);
    late->took_ms = now_ms() - start;
    snprintf(late->text, sizeof late->text, "%s", err.message);
    afar_error_clear(&err);
    return NULL;
}

/* It waited for the answer, as long as the limit is, and not longer. */
static void
check_waited(int64_t took_ms)
{
    CHECK(took_ms >= DEADLINE_MS + PATIENCE_MS);
    CHECK(took_ms < DEADLINE_MS + PATIENCE_MS + SLACK_MS);
}

TEST(a_message_that_is_not_acknowledged)
{
    struct home home;
    struct late late;
    pthread_t thread;
    char text[400];

    open_home(&home, PEER_KEEPS_ACK);
    late.sender = home.sender;
    CHECK(!pthread_create(&thread, NULL, run_late, &late));
    peer_await(&home.peer, 'm', NULL);
    exchange(&home);
    CHECK(!pthread_join(thread, NULL));
    CHECK_INT(late.code, AFAR_UNKNOWN);
    check_waited(late.took_ms);
    peer_await(&home.peer, 'o', text);
    CHECK(strstr(text, "was not acknowledged") && strstr(text, "0.4 s"));
    exchange(&home);
    close_home(&home);
}

/* A sender elsewhere breaks off its own end, and attaches anew. */
TEST(a_message_from_elsewhere_that_is_not_acknowledged)
{
    Fault__Piece piece = FAULT__PIECE__INIT, *received = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct home home;
    struct late late;
    pthread_t thread;

    open_home(&home, PEER_KEEPS_ACK);
    late.sender = far_sender(&home);
    CHECK(!pthread_create(&thread, NULL, run_late, &late));
    peer_await(&home.peer, 'm', NULL);
    exchange(&home);
    CHECK(!pthread_join(thread, NULL));
    CHECK_INT(late.code, AFAR_UNKNOWN);
    CHECK(strstr(late.text, "did not answer within 0.4 s"));
    check_waited(late.took_ms);
    CHECK_OK(fault_piece_post(late.sender, &piece, soon(), &err));
    CHECK_OK(fault_piece_receive(home.receiver, soon(), &received, &err));
    afar_message_free(received);
    CHECK_OK(fault_piece_sender_finish(late.sender, soon(), &err));
    fault_piece_sender_close(late.sender);
    close_home(&home);
}

/* Whoever waits for one that does not answer its claim does so no longer than he likes; if his own claim was
 * granted before, his home has to let go of it. */
TEST(a_claim_that_is_not_answered)
{
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    fault_piece_sender *quiet;
    fault_piece_receiver *other;
    struct home home;
    struct late late;
    size_t which;
    int64_t start;

    open_home(&home, PEER_KEEPS_GRANT);
    late.sender = home.sender;
    run_late(&late);
    CHECK_INT(late.code, AFAR_DEADLINE_EXCEEDED);
    CHECK(late.took_ms < DEADLINE_MS + SLACK_MS);
    late.sender = far_sender(&home);
    run_late(&late);
    CHECK_INT(late.code, AFAR_DEADLINE_EXCEEDED);

    CHECK_OK(fault_piece_rendezvous_new(&quiet, &other, &err));
    afar_case cases[] = { AFAR_CASE_SEND(fault_piece_sender_base(late.sender), &piece.base),
                          AFAR_CASE_RECEIVE(fault_piece_receiver_base(other)),
                          AFAR_CASE_TIMEOUT(afar_after_ms(DEADLINE_MS)) };
    start = now_ms();
    CHECK_INT(afar_select(cases, 3, AFAR_FAIR, AFAR_FOREVER, &which, &err), AFAR_UNKNOWN);
    CHECK_INT(which, 0);
    check_waited(now_ms() - start);
    afar_error_clear(&err);
    fault_piece_sender_close(quiet);
    fault_piece_receiver_close(other);
    fault_piece_sender_close(late.sender);
    close_home(&home);
}

/* ---- homes that do not answer ---- */

struct ends {
    fault_piece_sender *sender, *quiet;
    fault_piece_receiver *receiver, *other;
    afar_client *client;
    struct peer peer;
    char address[100];
};

static void
open_ends(struct ends *ends, enum peer_kind kind)
{
    afar_error err = AFAR_ERROR_INIT;
    char name[200];

    peer_start(&ends->peer, kind);
    afar__channel_patience = PATIENCE_MS * AFAR__MILLISECOND;
    CHECK_OK(fault_piece_rendezvous_new(&ends->quiet, &ends->other, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &ends->client, &err));
    peer_address(&ends->peer, ends->address);
    snprintf(name, sizeof name, "afar://%s/send", ends->address);
    CHECK_OK(fault_piece_sender_open(ends->client, name, soon(), &ends->sender, &err));
    snprintf(name, sizeof name, "afar://%s/receive", ends->address);
    CHECK_OK(fault_piece_receiver_open(ends->client, name, soon(), &ends->receiver, &err));
}

static void
close_all_but_peer(struct ends *ends)
{
    fault_piece_sender_close(ends->quiet);
    fault_piece_receiver_close(ends->other);
    fault_piece_sender_close(ends->sender);
    fault_piece_receiver_close(ends->receiver);
    afar_client_close(ends->client);
}

static void
close_ends(struct ends *ends)
{
    peer_end(&ends->peer);
    close_all_but_peer(ends);
}

/* Both attach anew, and are served then. */
static void
use_again(struct ends *ends)
{
    Fault__Piece piece = FAULT__PIECE__INIT, *received = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(fault_piece_send(ends->sender, &piece, soon(), &err));
    CHECK_OK(fault_piece_receive(ends->receiver, soon(), &received, &err));
    CHECK_INT(received->number, 7);
    afar_message_free(received);
}

TEST(a_withdrawal_that_is_not_answered)
{
    Fault__Piece *received = NULL;
    afar_error err = AFAR_ERROR_INIT;
    struct ends ends;
    struct late late;
    int64_t start;

    open_ends(&ends, PEER_HOME_SILENT);
    late.sender = ends.sender;
    run_late(&late);
    CHECK_INT(late.code, AFAR_UNKNOWN);
    CHECK(strstr(late.text, "did not answer within 0.4 s"));
    check_waited(late.took_ms);
    start = now_ms();
    CHECK_INT(fault_piece_receive(ends.receiver, afar_after_ms(DEADLINE_MS), &received, &err),
              AFAR_LOST);
    check_waited(now_ms() - start);
    afar_error_clear(&err);
    use_again(&ends);
    close_ends(&ends);
}

/* Takes connections at that address, and reads nothing. */
static int
listen_at(const char *address)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    CHECK(!bind(fd, (struct sockaddr *)&at, sizeof at) && !listen(fd, 16));
    return fd;
}

/* Nothing has left this process: so it is known that nothing happened. */
TEST(a_home_that_is_not_reached)
{
    struct ends ends;
    struct late late;
    int fd, tries = 0;

    open_ends(&ends, PEER_HOME_SILENT);
    peer_end(&ends.peer);
    fd = listen_at(ends.address);
    late.sender = ends.sender;
    /* At first the loss of the old process may be news. */
    do
        run_late(&late);
    while (late.code != AFAR_DEADLINE_EXCEEDED && ++tries < 10);
    CHECK_INT(late.code, AFAR_DEADLINE_EXCEEDED);
    check_waited(late.took_ms);
    close(fd);
    close_all_but_peer(&ends);
}

/* Alone it is withdrawn, which has an answer, too. */
TEST(a_poll_that_is_not_answered)
{
    afar_error err = AFAR_ERROR_INIT;
    struct ends ends;
    size_t which;
    int64_t start;

    open_ends(&ends, PEER_HOME_SILENT);
    afar_case cases[] = { AFAR_CASE_RECEIVE(fault_piece_receiver_base(ends.receiver)),
                          AFAR_CASE_DEFAULT };
    start = now_ms();
    CHECK_INT(afar_select(cases, 2, AFAR_FAIR, afar_after_ms(DEADLINE_MS), &which, &err),
              AFAR_LOST);
    CHECK_INT(which, 0);
    check_waited(now_ms() - start);
    CHECK_OK(afar_select(cases, 2, AFAR_FAIR, soon(), &which, &err));
    CHECK_INT(which, 0);
    afar_message_free(cases[0].received);
    close_ends(&ends);
}

/* With others it need not be; and a default case is never for ever. */
TEST(polls_that_are_not_answered)
{
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct ends ends;
    size_t which;
    int64_t start, took;

    open_ends(&ends, PEER_HOME_SILENT);
    afar_case cases[] = { AFAR_CASE_RECEIVE(fault_piece_receiver_base(ends.receiver)),
                          AFAR_CASE_SEND(fault_piece_sender_base(ends.sender), &piece.base),
                          AFAR_CASE_DEFAULT };
    start = now_ms();
    CHECK_OK(afar_select(cases, 3, AFAR_FAIR, AFAR_FOREVER, &which, &err));
    took = now_ms() - start;
    CHECK_INT(which, 2);
    CHECK(took >= PATIENCE_MS && took < PATIENCE_MS + SLACK_MS);
    cases[1].off = true;
    start = now_ms();
    CHECK_INT(afar_select(cases, 3, AFAR_FAIR, AFAR_FOREVER, &which, &err), AFAR_LOST);
    took = now_ms() - start;
    CHECK_INT(which, 0);
    CHECK(took >= 2 * PATIENCE_MS && took < 2 * PATIENCE_MS + SLACK_MS);
    afar_error_clear(&err);
    close_ends(&ends);
}

/* Posts hold nobody beyond a deadline. */
TEST(a_finish_that_is_not_answered)
{
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct ends ends;
    int64_t start;

    open_ends(&ends, PEER_HOME_SILENT);
    CHECK_OK(fault_piece_post(ends.sender, &piece, soon(), &err));
    start = now_ms();
    CHECK_INT(fault_piece_flush(ends.sender, afar_after_ms(DEADLINE_MS), &err),
              AFAR_DEADLINE_EXCEEDED);
    CHECK_INT(fault_piece_sender_finish(ends.sender, afar_after_ms(DEADLINE_MS), &err),
              AFAR_DEADLINE_EXCEEDED);
    CHECK(now_ms() - start < 2 * DEADLINE_MS + SLACK_MS);
    afar_error_clear(&err);
    close_ends(&ends);
}

TEST(a_grant_that_is_not_answered)
{
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_selector *selector = NULL;
    struct ends ends;
    int64_t start;
    size_t which;

    open_ends(&ends, PEER_HOME_CLAIMS);
    afar_case cases[] = { AFAR_CASE_RECEIVE(fault_piece_receiver_base(ends.receiver)),
                          AFAR_CASE_RECEIVE(fault_piece_receiver_base(ends.other)),
                          AFAR_CASE_SEND(fault_piece_sender_base(ends.sender), &piece.base) };

    cases[2].off = true;
    CHECK_OK(afar_selector_open(cases, 3, AFAR_FAIR, &selector, &err));
    start = now_ms();
    CHECK_INT(afar_selector_select(selector, afar_after_ms(DEADLINE_MS), &which, &err), AFAR_LOST);
    CHECK_INT(which, 0);
    check_waited(now_ms() - start);
    CHECK(strstr(err.message, "did not answer within 0.4 s"));
    CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
    CHECK_INT(which, 0);
    afar_message_free(cases[0].received);

    afar_selector_switch(selector, 0, false);
    afar_selector_switch(selector, 2, true);
    start = now_ms();
    CHECK_INT(afar_selector_select(selector, afar_after_ms(DEADLINE_MS), &which, &err),
              AFAR_UNKNOWN);
    CHECK_INT(which, 2);
    check_waited(now_ms() - start);
    CHECK_OK(afar_selector_select(selector, soon(), &which, &err));
    CHECK_INT(which, 2);
    afar_error_clear(&err);
    afar_selector_close(selector);
    use_again(&ends);
    close_ends(&ends);
}

/* ---- one that says it is another ---- */

#define SENT 100

struct truth {
    struct home *home;
    fault_piece_sender *sender;
    fault_piece_receiver *quiet;
    atomic_int received[SENT];
    atomic_bool over;
};

static void *
run_receiver(void *arg)
{
    struct truth *truth = arg;

    while (!atomic_load(&truth->over)) {
        afar_case cases[] = {
            AFAR_CASE_RECEIVE(fault_piece_receiver_base(truth->home->receiver)),
            AFAR_CASE_RECEIVE(fault_piece_receiver_base(truth->quiet)),
        };
        int64_t start = now_ms();
        size_t which;
        afar_code code = afar_select(cases, 2, AFAR_FAIR, afar_after_ms(DEADLINE_MS), &which, NULL);

        CHECK(now_ms() - start < DEADLINE_MS + PATIENCE_MS + SLACK_MS);
        CHECK(!code || code == AFAR_DEADLINE_EXCEEDED);
        if (!code)
            atomic_fetch_add(&truth->received[((Fault__Piece *)cases[0].received)->number], 1);
        afar_message_free(cases[0].received);
    }
    return NULL;
}

/* By selects, since these have numbers that can be copied. */
static afar_code
send_one(struct truth *truth, uint64_t number)
{
    Fault__Piece piece = FAULT__PIECE__INIT;
    afar_case cases[] = { AFAR_CASE_SEND(fault_piece_sender_base(truth->sender), &piece.base),
                          AFAR_CASE_RECEIVE(fault_piece_receiver_base(truth->quiet)) };
    int64_t start = now_ms();
    size_t which;
    afar_code code;

    piece.number = number;
    code = afar_select(cases, 2, AFAR_FAIR, afar_after_ms(DEADLINE_MS), &which, NULL);
    CHECK(now_ms() - start < DEADLINE_MS + PATIENCE_MS + SLACK_MS);
    CHECK(!code || code == AFAR_DEADLINE_EXCEEDED || code == AFAR_UNKNOWN || code == AFAR_LOST);
    return code;
}

/* It says that it is the process of the home and of the far end, with the numbers of their first selects, and answers
 * no claim.  Each of its offers may cost a sender one time of waiting, and nothing else. */
static void
outlive_a_copy(bool far)
{
    struct truth truth = { .home = NULL };
    fault_piece_sender *quiet = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_code codes[SENT];
    struct home home;
    pthread_t thread;
    int well = 0;

    open_home(&home, PEER_COPIES);
    afar__channel_patience = DEADLINE_MS * AFAR__MILLISECOND;
    truth.home = &home;
    truth.sender = far ? far_sender(&home) : home.sender;
    CHECK_OK(fault_piece_rendezvous_new(&quiet, &truth.quiet, &err));
    CHECK(!pthread_create(&thread, NULL, run_receiver, &truth));
    for (uint64_t i = 0; i < SENT; i++) {
        codes[i] = send_one(&truth, i);
        well += codes[i] == AFAR_OK;
    }
    atomic_store(&truth.over, true);
    CHECK(!pthread_join(thread, NULL));
    for (int i = 0; i < SENT; i++) {
        int received = atomic_load(&truth.received[i]);

        CHECK(received <= 1);
        CHECK(codes[i] != AFAR_OK || received == 1);
        CHECK(codes[i] == AFAR_OK || codes[i] == AFAR_UNKNOWN || received == 0);
    }
    CHECK(well >= SENT / 2);
    if (far)
        fault_piece_sender_close(truth.sender);
    fault_piece_sender_close(quiet);
    fault_piece_receiver_close(truth.quiet);
    close_home(&home);
}

TEST(a_copy_of_those_at_the_home)
{
    outlive_a_copy(false);
}

TEST(a_copy_of_those_elsewhere)
{
    outlive_a_copy(true);
}
