/* After a fork the child's calls fail cleanly, it may close what it has, and the
 * parent goes on as if nothing had happened.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

/* Everything that a child might try; it has 10 seconds. */
static void
be_the_child(struct pair *pair, test_probe *probe, afar_future *future,
             test_probe_talk_stream *stream)
{
    Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    test_probe *opened = NULL;
    afar_client *client = NULL;
    afar_future *started = NULL;
    int64_t number = 0;
    char text[300];

    alarm(10);
    CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(test_probe_ask_start(probe, &packet, soon(), NULL, &started, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(test_probe_ask_await(future, soon(), &reply, &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(test_probe_talk_send(stream, &packet, soon(), &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(test_probe_talk_receive(stream, soon(), &reply, &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(afar_client_open(NULL, NULL, &client, &err), AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(test_probe_open(pair->client, pair_name(pair, "", text), soon(), &opened, &err),
                AFAR_FAILED_PRECONDITION);
    CHECK_FAILS(afar_server_unexport(pair->server, "", &test_probe_interface, &err),
                AFAR_FAILED_PRECONDITION);
    afar_future_close(future);
    test_probe_talk_close(stream);
    test_probe_close(probe);
    pair_close(pair);
    afar_error_clear(&err);
    _exit(EXIT_SUCCESS);
}

TEST(fork_after_open)
{
    for (const char *const *transport = transports; *transport; transport++) {
        Test__Packet packet = TEST__PACKET__INIT, *reply = NULL;
        test_probe_talk_stream *stream = NULL;
        afar_error err = AFAR_ERROR_INIT;
        struct pair pair;
        int status = -1;

        pair_open(&pair, *transport);
        test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
        CHECK_INT(asked(probe, 1), 2);
        CHECK_OK(test_probe_talk(probe, soon(), NULL, &stream, &err));
        afar_future *future = start_ask(probe, 1, soon());
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            be_the_child(&pair, probe, future, stream);
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);

        CHECK_INT(finish_ask(future), 2);
        CHECK_INT(asked(probe, 2), 3);
        CHECK_OK(test_probe_talk_send(stream, &packet, soon(), &err));
        CHECK_OK(test_probe_talk_receive(stream, soon(), &reply, &err));
        afar_message_free(reply);
        test_probe_talk_close(stream);
        test_probe_close(probe);
        pair_close(&pair);
    }
}

static void
keep_asking(void *arg)
{
    for (int i = 0; i < 300; i++)
        CHECK_INT(asked(arg, i), i + 1);
}

/* Whatever locks the other threads hold at that moment, the child gets away. */
TEST(fork_while_calls_run)
{
    struct worker workers[2];
    struct pair pair;

    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_CONCURRENT);
    for (int i = 0; i < 2; i++)
        worker_start(&workers[i], keep_asking, probe);
    for (int i = 0; i < 20; i++) {
        afar_error err = AFAR_ERROR_INIT;
        int64_t number = 0;
        int status = -1;
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            alarm(10);
            CHECK_FAILS(ask(probe, 1, &number, &err), AFAR_FAILED_PRECONDITION);
            test_probe_close(probe);
            pair_close(&pair);
            _exit(EXIT_SUCCESS);
        }
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
    }
    for (int i = 0; i < 2; i++)
        worker_join(&workers[i]);
    test_probe_close(probe);
    pair_close(&pair);
}

/* A fork before the first node opens costs nothing: both sides may use it. */
TEST(fork_before_open)
{
    int status = -1;
    pid_t child = fork();
    struct pair pair;

    CHECK(child >= 0);
    pair_open(&pair, TCP);
    test_probe *probe = pair_probe(&pair, "", &echo_methods, NULL, AFAR_SERIAL);
    CHECK_INT(asked(probe, 1), 2);
    test_probe_close(probe);
    pair_close(&pair);
    if (child == 0)
        _exit(EXIT_SUCCESS);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}
