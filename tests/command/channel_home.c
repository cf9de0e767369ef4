/* The home of channels, for the tests of the command to start:
 *
 *     channel_home NAMES-ADDRESS CAPACITY
 *
 * in          a channel of parcels with that CAPACITY, 0: a rendezvous
 * out         a rendezvous: what comes into `in` goes out here, unpacked and packed again
 * both        a rendezvous that nobody here uses
 * pile        a buffer for 1,000, the same
 * letters     a channel whose messages have references
 *
 * All are registered; it prints a line with its address then.  A line on its standard input tells it
 * what to do: "finish" ends `in`, and `out` behind it, "poison" poisons `both` and `pile`, "close" takes
 * the receivers of `both` and `pile` away.  It says "done" after each.  The end of its input ends it.
 * A parcel that cannot be read is said to be "bad" and dropped. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/message.h>
#include <afar/server.h>

#include "parcel.afar.h"

struct channel {
    const char *name;
    parcel_parcel_sender *sender;
    parcel_parcel_receiver *receiver;
};

static struct channel in = { .name = "in" }, out = { .name = "out" }, both = { .name = "both" },
                      pile = { .name = "pile" };
static parcel_letter_sender *letter_sender;
static parcel_letter_receiver *letter_receiver;
static pthread_t passing;

static void
check(afar_code code, const afar_error *err)
{
    if (!code)
        return;
    fprintf(stderr, "%s: %s\n", afar_code_name(code), err->message);
    exit(EXIT_FAILURE);
}

/* ---- channels ---- */

static void
open_channel(afar_server *server, struct channel *channel, unsigned capacity)
{
    afar_error err = AFAR_ERROR_INIT;

    if (capacity > 0)
        check(parcel_parcel_buffered_new(capacity, &channel->sender, &channel->receiver, &err),
              &err);
    else
        check(parcel_parcel_rendezvous_new(&channel->sender, &channel->receiver, &err), &err);
    check(afar_server_export(server, channel->name, parcel_parcel_sender_object(channel->sender),
                             &err),
          &err);
    check(afar_server_export(server, channel->name,
                             parcel_parcel_receiver_object(channel->receiver), &err),
          &err);
}

static void
open_letters(afar_server *server)
{
    afar_error err = AFAR_ERROR_INIT;

    check(parcel_letter_rendezvous_new(&letter_sender, &letter_receiver, &err), &err);
    check(afar_server_export(server, "letters", parcel_letter_sender_object(letter_sender), &err),
          &err);
    check(
        afar_server_export(server, "letters", parcel_letter_receiver_object(letter_receiver), &err),
        &err);
}

static void
close_channel(struct channel *channel)
{
    parcel_parcel_sender_close(channel->sender);
    parcel_parcel_receiver_close(channel->receiver);
}

/* ---- what it does ---- */

static void *
pass(void *arg)
{
    afar_error err = AFAR_ERROR_INIT;
    Parcel__Parcel *parcel;
    afar_code code;

    (void)arg;
    for (;;) {
        code = parcel_parcel_receive(in.receiver, AFAR_FOREVER, &parcel, &err);
        if (!code) {
            code = parcel_parcel_send(out.sender, parcel, AFAR_FOREVER, &err);
            afar_message_free(parcel);
        }
        if (code == AFAR_ENDED || code == AFAR_POISONED)
            break;
        if (code == AFAR_INVALID_ARGUMENT) {
            printf("bad\n");
            fflush(stdout);
            afar_error_clear(&err);
        } else {
            check(code, &err);
        }
    }
    afar_error_clear(&err);
    return NULL;
}

/* No sender is left of `in`: neither the one here, nor the one that is exported. */
static void
finish(afar_server *server)
{
    const afar_interface *sender = parcel_parcel_channel_type.sender;
    afar_error err = AFAR_ERROR_INIT;

    parcel_parcel_sender_close(in.sender);
    in.sender = NULL;
    check(afar_server_unexport(server, "in", sender, &err), &err);
    pthread_join(passing, NULL);
    parcel_parcel_sender_close(out.sender);
    out.sender = NULL;
    check(afar_server_unexport(server, "out", sender, &err), &err);
}

static void
take_away(afar_server *server, struct channel *channel)
{
    afar_error err = AFAR_ERROR_INIT;

    parcel_parcel_receiver_close(channel->receiver);
    channel->receiver = NULL;
    check(afar_server_unexport(server, channel->name, parcel_parcel_channel_type.receiver, &err),
          &err);
}

static void
obey(afar_server *server, const char *line)
{
    if (!strcmp(line, "finish\n")) {
        finish(server);
    } else if (!strcmp(line, "poison\n")) {
        parcel_parcel_sender_poison(both.sender, "the well is poisoned");
        parcel_parcel_sender_poison(pile.sender, "the well is poisoned");
    } else if (!strcmp(line, "close\n")) {
        take_away(server, &both);
        take_away(server, &pile);
    }
    printf("done\n");
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    char line[64];

    if (argc != 3)
        return 2;
    options.names = argv[1];
    check(afar_server_open(NULL, "127.0.0.1:0", &options, &server, &err), &err);
    open_channel(server, &in, (unsigned)atoi(argv[2]));
    open_channel(server, &out, 0);
    open_channel(server, &both, 0);
    open_channel(server, &pile, 1000);
    open_letters(server);
    check(afar_server_start(server, &err), &err);
    check(afar_server_registered(server, afar_after_ms(60000), &err), &err);
    pthread_create(&passing, NULL, pass, NULL);
    printf("serving at %s\n", afar_server_address(server));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        obey(server, line);
    if (in.sender) {
        parcel_parcel_sender_poison(in.sender, "the home ends");
        parcel_parcel_sender_poison(out.sender, "the home ends");
        pthread_join(passing, NULL);
    }
    afar_server_close(server);
    close_channel(&in);
    close_channel(&out);
    close_channel(&both);
    close_channel(&pile);
    parcel_letter_sender_close(letter_sender);
    parcel_letter_receiver_close(letter_receiver);
    return EXIT_SUCCESS;
}
