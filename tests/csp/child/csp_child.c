/* A process of a network that is a program, for spawn_test.c and lent_test.c.
 *
 *     csp_child add        sends what it receives, plus 1
 *     csp_child tell       sends its process id, then receives until there is nothing more
 *     csp_child hang       sends its process id, then does nothing for ever
 *     csp_child early      sends its process id, finishes its sender, and receives until there is nothing more
 *     csp_child unused     closes its sender, which it did not use, and receives the same
 *     csp_child deaf       closes its receiver, and sends its process id until nobody wants it
 *     csp_child twice      opens its sender twice, sends its process id, finishes the first; sends a number that it
 *                          receives through the second, finishes that, and receives
 *     csp_child again      as early, but opens its sender again when it has received something: that is to be
 *                          NOT_FOUND
 *     csp_child half       opens its receiver only, and receives
 *     csp_child vanish     sends its process id, and is gone, with 0
 *     csp_child sleep      opens nothing, for ever
 *     csp_child parent X   gives what it was given to csp_child X, and waits for that
 *     csp_child exit N
 *     csp_child inherits   exits with 0 if it inherited nothing that it should not have
 *     csp_child missing    exits with 0 if what it was not given is NOT_FOUND
 *     csp_child wrong      exits with 0 if an end of another type is refused */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/spawn.h>

#include "item.afar.h"

#define PATIENCE (afar_after_ms(15000))

static afar_client *client;
static csp_item_receiver *in;
static csp_item_sender *out;

static afar_code
open_ends(afar_error *err)
{
    afar_code code = csp_item_sender_open(client, "inherited:out", PATIENCE, &out, err);

    return code ? code : csp_item_receiver_open(client, "inherited:in", PATIENCE, &in, err);
}

static afar_code
add(afar_error *err)
{
    Csp__Item *item = NULL;
    afar_code code = open_ends(err);

    while (!code && !(code = csp_item_receive(in, AFAR_FOREVER, &item, err))) {
        item->number++;
        code = csp_item_send(out, item, AFAR_FOREVER, err);
        afar_message_free(item);
    }
    return code;
}

static afar_code
send_pid(afar_error *err)
{
    Csp__Item item = CSP__ITEM__INIT;

    item.number = (uint64_t)getpid();
    return csp_item_send(out, &item, AFAR_FOREVER, err);
}

static afar_code
receive_all(afar_error *err)
{
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = csp_item_receive(in, AFAR_FOREVER, &item, err)))
        afar_message_free(item);
    return code;
}

static afar_code
tell(afar_error *err)
{
    afar_code code = open_ends(err);

    if (!code)
        code = send_pid(err);
    return code ? code : receive_all(err);
}

/* ---- ends that are let go of early ---- */

static afar_code
finish(csp_item_sender **sender, afar_error *err)
{
    afar_code code = csp_item_sender_finish(*sender, PATIENCE, err);

    csp_item_sender_close(*sender);
    *sender = NULL;
    return code;
}

static afar_code
early(afar_error *err)
{
    afar_code code = open_ends(err);

    if (!code)
        code = send_pid(err);
    if (!code)
        code = finish(&out, err);
    return code ? code : receive_all(err);
}

static afar_code
unused(afar_error *err)
{
    afar_code code = open_ends(err);

    csp_item_sender_close(out);
    out = NULL;
    return code ? code : receive_all(err);
}

static afar_code
deaf(afar_error *err)
{
    afar_code code = open_ends(err);

    csp_item_receiver_close(in);
    in = NULL;
    while (!code)
        code = send_pid(err);
    return code;
}

static afar_code
twice(afar_error *err)
{
    csp_item_sender *first = NULL;
    Csp__Item *item = NULL;
    afar_code code = csp_item_sender_open(client, "inherited:out", PATIENCE, &first, err);

    if (!code)
        code = open_ends(err);
    if (!code)
        code = finish(&first, err);
    if (!code)
        code = send_pid(err);
    if (!code)
        code = csp_item_receive(in, AFAR_FOREVER, &item, err);
    if (!code)
        code = csp_item_send(out, item, AFAR_FOREVER, err);
    afar_message_free(item);
    if (!code)
        code = finish(&out, err);
    return code ? code : receive_all(err);
}

static afar_code
again(afar_error *err)
{
    Csp__Item *item = NULL;
    afar_code code = open_ends(err);

    if (!code)
        code = send_pid(err);
    if (!code)
        code = finish(&out, err);
    if (!code)
        code = csp_item_receive(in, AFAR_FOREVER, &item, err);
    afar_message_free(item);
    if (!code)
        code = csp_item_sender_open(client, "inherited:out", PATIENCE, &out, err);
    if (!code)
        code = send_pid(err);
    if (code != AFAR_NOT_FOUND)
        return code ? code : AFAR_INTERNAL;
    afar_error_clear(err);
    return receive_all(err);
}

static afar_code
half(afar_error *err)
{
    afar_code code = csp_item_receiver_open(client, "inherited:in", PATIENCE, &in, err);

    return code ? code : receive_all(err);
}

static afar_code
vanish(afar_error *err)
{
    afar_code code = open_ends(err);

    if (!code)
        code = send_pid(err);
    if (!code)
        _exit(0);
    return code;
}

static afar_code
pass_on(const char *what, afar_error *err)
{
    const char *const argv[] = { "/proc/self/exe", what, NULL };
    afar_server *server = NULL;
    afar_network *network = NULL;
    afar_code code = open_ends(err);

    if (!code)
        code = afar_server_open(NULL, "127.0.0.1:0", NULL, &server, err);
    if (!code)
        code = afar_server_start(server, err);
    if (!code)
        code = afar_network_open(&network, err);
    if (!code) {
        afar_given given[] = { AFAR_GIVE_SENDER("out", out), AFAR_GIVE_RECEIVER("in", in),
                               AFAR_GIVE_END };

        out = NULL;
        in = NULL;
        code = afar_network_spawn(network, server, argv, given, NULL, err);
    }
    if (!code)
        code = afar_network_wait(network, AFAR_FOREVER, err);
    afar_network_close(network);
    afar_server_close(server);
    return code ? code : AFAR_ENDED;
}

/* ---- what else it does ---- */

static afar_code
hang(afar_error *err)
{
    afar_code code = csp_item_sender_open(client, "inherited:out", PATIENCE, &out, err);

    if (!code)
        code = send_pid(err);
    if (code)
        return code;
    for (;;)
        pause();
}

/* Before Afar opened any. */
static int
inherits(void)
{
    struct sigaction pipe;
    sigset_t blocked;
    int extra = 0;

    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            extra++;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < SIGRTMIN; number++)
        if (sigismember(&blocked, number) == 1)
            extra++;
    if (sigaction(SIGPIPE, NULL, &pipe) || pipe.sa_handler != SIG_DFL)
        extra++;
    if (getenv("AFAR_END_OLD") || !getenv("CSP_CHILD"))
        extra++;
    return extra;
}

static int
missing(void)
{
    afar_error err = AFAR_ERROR_INIT;
    bool right =
        csp_item_sender_open(client, "inherited:out", PATIENCE, &out, &err) == AFAR_NOT_FOUND &&
        strcmp(err.message, "inherited:out: nothing was given to this process under that "
                            "name (AFAR_END_OUT is not set)") == 0;

    right = right && csp_item_sender_open(client, "inherited:Out!", PATIENCE, &out, &err) ==
                         AFAR_INVALID_ARGUMENT;
    afar_error_clear(&err);
    return right ? 0 : 1;
}

static int
wrong(void)
{
    csp_ends_sender *other = NULL;
    Csp__Ends ends = CSP__ENDS__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = csp_ends_sender_open(client, "inherited:out", PATIENCE, &other, &err);

    if (!code)
        code = csp_ends_send(other, &ends, PATIENCE, &err);
    fprintf(stderr, "%s: %s\n", afar_code_name(code), err.message);
    csp_ends_sender_close(other);
    afar_error_clear(&err);
    return code == AFAR_INVALID_ARGUMENT ? 0 : 1;
}

static afar_code
do_what(const char *what, const char *more, afar_error *err)
{
    static const struct act {
        const char *name;
        afar_code (*fn)(afar_error *err);
    } acts[] = { { "add", add },   { "tell", tell },     { "hang", hang },   { "early", early },
                 { "deaf", deaf }, { "unused", unused }, { "twice", twice }, { "again", again },
                 { "half", half }, { "vanish", vanish } };

    if (strcmp(what, "parent") == 0)
        return pass_on(more, err);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(what, acts[i].name) == 0)
            return acts[i].fn(err);
    return afar_fail(err, AFAR_INTERNAL, "%s: nothing that it does", what);
}

static int
act(const char *what, const char *more)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (strcmp(what, "missing") == 0)
        return missing();
    if (strcmp(what, "wrong") == 0)
        return wrong();
    code = do_what(what, more, &err);
    if (code != AFAR_ENDED && code != AFAR_POISONED) {
        fprintf(stderr, "csp_child: %s: %s\n", afar_code_name(code), err.message);
        return 2;
    }
    afar_error_clear(&err);
    return 0;
}

int
main(int argc, char **argv)
{
    int status;

    if (strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    while (strcmp(argv[1], "sleep") == 0)
        pause();
    if (strcmp(argv[1], "inherits") == 0)
        return inherits();
    if (afar_client_open(NULL, NULL, &client, NULL))
        return 3;
    status = act(argv[1], argc > 2 ? argv[2] : NULL);
    if (out)
        (void)csp_item_sender_finish(out, PATIENCE, NULL);
    csp_item_sender_close(out);
    csp_item_receiver_close(in);
    afar_client_close(client);
    return status;
}
