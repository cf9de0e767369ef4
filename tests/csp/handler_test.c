/* Handlers that wait in channels: they are woken, however soon what they wait for comes, and what their object lets
 * in meanwhile can use channels, too.
 *
 * Labels: concurrent */

#include <afar/client.h>
#include <afar/server.h>

#include "items.h"

#define CALLS 300
#define CALLERS 3

/* Calls with a number receive a message; those without one start one call of that kind within
 * themselves, and receive what that sends. */
struct office {
    csp_office *near, *far;
    struct ends ends;
    afar_server *server;
    afar_client *client;
};

static afar_code
send_two(struct office *office)
{
    for (uint64_t i = 1; i <= 2; i++)
        CHECK_INT(send_number(office->ends.sender, i, soon()), AFAR_OK);
    return AFAR_OK;
}

static afar_code
receive_from_within(struct office *office)
{
    Csp__Ends request = CSP__ENDS__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    request.number = 2;
    CHECK_OK(csp_office_trade_start(office->far, &request, soon(), NULL, &future, &err));
    for (uint64_t i = 1; i <= 2; i++)
        CHECK_INT(received(office->ends.receiver), i);
    CHECK_OK(csp_office_trade_await(future, soon(), &reply, &err));
    afar_message_free(reply);
    afar_future_close(future);
    return AFAR_OK;
}

static afar_code
trade(void *self, const Csp__Ends *request, Csp__Ends *reply, afar_call *call)
{
    struct office *office = self;

    (void)call;
    if (request->number == 0)
        return receive_from_within(office);
    if (request->number == 2)
        return send_two(office);
    return receive_number(office->ends.receiver, &reply->number, soon());
}

static void
open_office(struct office *office, afar_mode mode, unsigned capacity)
{
    static const csp_office_methods methods = { .trade = trade };
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;

    options.mode = mode;
    office->ends = make_channel(capacity);
    CHECK_OK(afar_server_open(NULL, "inproc:office", NULL, &office->server, &err));
    CHECK_OK(csp_office_new(&methods, office, &options, &office->near, &err));
    CHECK_OK(afar_server_export(office->server, "office", csp_office_object(office->near), &err));
    CHECK_OK(afar_server_start(office->server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &office->client, &err));
    CHECK_OK(csp_office_open(office->client, "inproc:office/office", soon(), &office->far, &err));
}

static void
close_office(struct office *office)
{
    csp_office_close(office->far);
    csp_office_close(office->near);
    afar_client_close(office->client);
    afar_server_close(office->server);
    close_ends(office->ends);
}

static void *
run_calling(void *arg)
{
    struct office *office = arg;
    Csp__Ends request = CSP__ENDS__INIT;
    afar_error err = AFAR_ERROR_INIT;

    request.number = 1;
    for (int i = 0; i < CALLS; i++) {
        Csp__Ends *reply = NULL;

        CHECK_OK(csp_office_trade(office->far, &request, soon(), &reply, &err));
        CHECK_INT(reply->number, 7);
        afar_message_free(reply);
    }
    return NULL;
}

static void
wake_them(afar_mode mode)
{
    struct office office;
    pthread_t callers[CALLERS];

    open_office(&office, mode, 0);
    for (int i = 0; i < CALLERS; i++)
        CHECK(!pthread_create(&callers[i], NULL, run_calling, &office));
    for (int i = 0; i < CALLERS * CALLS; i++)
        CHECK_INT(send_number(office.ends.sender, 7, soon()), AFAR_OK);
    for (int i = 0; i < CALLERS; i++)
        CHECK(!pthread_join(callers[i], NULL));
    close_office(&office);
}

TEST(handlers_that_wait_are_woken)
{
    wake_them(AFAR_SERIAL);
    wake_them(AFAR_CONCURRENT);
}

/* The outer one goes on when the inner one has left the object, which takes more of the channel. */
TEST(a_call_within_a_call_uses_the_same_channel)
{
    Csp__Ends request = CSP__ENDS__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct office office;

    open_office(&office, AFAR_REENTRANT, 2);
    for (int i = 0; i < CALLS; i++) {
        Csp__Ends *reply = NULL;

        CHECK_OK(csp_office_trade(office.far, &request, soon(), &reply, &err));
        afar_message_free(reply);
    }
    close_office(&office);
}
