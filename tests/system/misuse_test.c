/* Misuse by the program itself stops it, in every build; nothing else does. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

/* Runs in a process of its own and expects that it aborts. */
static void
stops_the_program(void (*misuse)(void))
{
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        setrlimit(RLIMIT_CORE, &none);
        dup2(null, STDERR_FILENO);
        alarm(10);
        misuse();
        _exit(EXIT_SUCCESS);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGABRT);
}

static void
ignore(afar_future *future, void *arg)
{
    (void)future;
    (void)arg;
}

static void
two_callbacks(void)
{
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, soon());

    afar_future_on_done(future, ignore, NULL);
    afar_future_on_done(future, ignore, NULL);
}

TEST(a_second_callback_on_a_future)
{
    stops_the_program(two_callbacks);
}

static void
await_another_method(void)
{
    test_probe *probe = make_probe(&echo_methods, NULL, AFAR_SERIAL);
    afar_future *future = start_ask(probe, 1, soon());
    ProtobufCMessage *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_future_await(future, &test_other_interface.methods[0], soon(), &reply, &err));
}

TEST(awaiting_another_method)
{
    stops_the_program(await_another_method);
}

static void
free_foreign(void)
{
    static Test__Packet packets[3] = { TEST__PACKET__INIT, TEST__PACKET__INIT, TEST__PACKET__INIT };

    afar_message_free(&packets[1]);
}

TEST(freeing_a_message_that_is_not_ours)
{
    stops_the_program(free_foreign);
}

static void
call_nobody(void)
{
    Test__Packet request = TEST__PACKET__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(test_probe_ask(NULL, &request, soon(), &reply, &err));
}

TEST(calling_without_an_object)
{
    stops_the_program(call_nobody);
}

static void
fail_with_ok(void)
{
    afar_error err = AFAR_ERROR_INIT;

    afar_fail(&err, AFAR_OK, "all is well");
}

TEST(an_error_that_is_none)
{
    stops_the_program(fail_with_ok);
}

static afar_code
finish_undeferred(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    afar_call_finish(call, AFAR_OK);
    return AFAR_OK;
}

static void
finish_without_defer(void)
{
    static const test_probe_methods methods = { .ask = finish_undeferred };

    asked(make_probe(&methods, NULL, AFAR_SERIAL), 1);
}

TEST(finishing_a_call_that_was_not_deferred)
{
    stops_the_program(finish_without_defer);
}

static afar_code
leave_twice(void *self, const Test__Packet *request, Test__Packet *reply, afar_call *call)
{
    (void)self;
    (void)request;
    (void)reply;
    afar_call_leave(call);
    afar_call_leave(call);
    return AFAR_OK;
}

static void
leave_what_was_not_entered(void)
{
    static const test_probe_methods methods = { .ask = leave_twice };

    asked(make_probe(&methods, NULL, AFAR_SERIAL), 1);
}

TEST(leaving_a_call_that_was_not_entered)
{
    stops_the_program(leave_what_was_not_entered);
}

/* Not misuse but an old build: an error, so that the program can say so. */
TEST(tables_of_another_version_are_refused)
{
    afar_interface changed = test_probe_interface;
    afar_object *object = NULL;
    afar_error err = AFAR_ERROR_INIT;

    changed.abi = AFAR_ABI + 1;
    CHECK_FAILS(afar_object_new(&changed, &echo_methods, NULL, NULL, &object, &err),
                AFAR_FAILED_PRECONDITION);
    afar_error_clear(&err);
}
