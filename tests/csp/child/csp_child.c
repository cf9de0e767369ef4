/* A process of a network that is a program, for spawn_test.c.
 *
 *     csp_child add        sends what it receives, plus 1
 *     csp_child tell       sends its process id, then receives until there is nothing more
 *     csp_child hang       sends its process id, then does nothing for ever
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
tell(afar_error *err)
{
    Csp__Item *item = NULL;
    afar_code code = open_ends(err);

    if (!code)
        code = send_pid(err);
    while (!code && !(code = csp_item_receive(in, AFAR_FOREVER, &item, err)))
        afar_message_free(item);
    return code;
}

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
    sigset_t blocked;
    int extra = 0;

    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            extra++;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < SIGRTMIN; number++)
        if (sigismember(&blocked, number) == 1)
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

static int
act(const char *what)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (strcmp(what, "missing") == 0)
        return missing();
    if (strcmp(what, "wrong") == 0)
        return wrong();
    code = strcmp(what, "add") == 0    ? add(&err)
           : strcmp(what, "tell") == 0 ? tell(&err)
                                       : hang(&err);
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

    if (argc > 2)
        return atoi(argv[2]);
    if (strcmp(argv[1], "inherits") == 0)
        return inherits();
    if (afar_client_open(NULL, NULL, &client, NULL))
        return 3;
    status = act(argv[1]);
    if (out)
        (void)csp_item_sender_finish(out, PATIENCE, NULL);
    csp_item_sender_close(out);
    csp_item_receiver_close(in);
    afar_client_close(client);
    return status;
}
