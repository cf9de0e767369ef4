/* Channels for processes in any language:
 *
 *     channel_server ADDRESS
 *
 * Prints "serving at ADDRESS" and serves until SIGTERM.  Both ends of each channel are exported, as NAME/send
 * and NAME/receive:
 *
 *     first, second, third   rendezvous channels
 *     buffer                 a buffer of 3
 *     in, out                what comes from `in` is sent to `out` by a thread, its number plus 100
 *
 * The server holds one end of each kind itself, so none of them ends by itself. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <afar/log.h>
#include <afar/server.h>

#include "channel_item.afar.h"

struct channel {
    const char *name;
    unsigned capacity;
    afar_test_item_sender *sender;
    afar_test_item_receiver *receiver;
};

static struct channel channels[] = {
    { "first", 0, NULL, NULL },  { "second", 0, NULL, NULL }, { "third", 0, NULL, NULL },
    { "buffer", 3, NULL, NULL }, { "in", 0, NULL, NULL },     { "out", 0, NULL, NULL },
};

enum { IN = 4, OUT = 5, CHANNELS = 6 };

static afar_code
open_channel(struct channel *channel, afar_error *err)
{
    if (channel->capacity > 0)
        return afar_test_item_buffered_new(channel->capacity, &channel->sender, &channel->receiver,
                                           err);
    return afar_test_item_rendezvous_new(&channel->sender, &channel->receiver, err);
}

static afar_code
export_channel(afar_server *server, const struct channel *channel, afar_error *err)
{
    char name[40];
    afar_code code;

    snprintf(name, sizeof name, "%s/send", channel->name);
    code = afar_server_export(server, name, afar_test_item_sender_object(channel->sender), err);
    snprintf(name, sizeof name, "%s/receive", channel->name);
    if (!code)
        code = afar_server_export(server, name, afar_test_item_receiver_object(channel->receiver),
                                  err);
    return code;
}

static afar_code
open_channels(afar_server *server, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (int i = 0; i < CHANNELS && !code; i++) {
        code = open_channel(&channels[i], err);
        if (!code)
            code = export_channel(server, &channels[i], err);
    }
    return code;
}

static void
close_channels(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        afar_test_item_sender_close(channels[i].sender);
        afar_test_item_receiver_close(channels[i].receiver);
    }
}

/* What a receiver had in its hands when it went is lost (UNKNOWN): the next one is for others. */
static void *
pass_on(void *arg)
{
    Afar__Test__Item *item = NULL;
    afar_code code = AFAR_OK;

    (void)arg;
    while ((code == AFAR_OK || code == AFAR_UNKNOWN) &&
           !afar_test_item_receive(channels[IN].receiver, AFAR_FOREVER, &item, NULL)) {
        item->number += 100;
        code = afar_test_item_send(channels[OUT].sender, item, AFAR_FOREVER, NULL);
        afar_message_free(item);
    }
    return NULL;
}

/* The thread ends when its channels do. */
static afar_code
serve(afar_server *server, afar_error *err)
{
    pthread_t thread;
    afar_code code;

    if (pthread_create(&thread, NULL, pass_on, NULL))
        return AFAR_RESOURCE_EXHAUSTED;
    printf("serving at %s\n", afar_server_address(server));
    fflush(stdout);
    code = afar_server_run(server, err);
    afar_test_item_sender_poison(channels[IN].sender, "the server ends");
    afar_test_item_sender_poison(channels[OUT].sender, "the server ends");
    pthread_join(thread, NULL);
    return code;
}

int
main(int argc, char **argv)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    afar_code code;

    if (argc != 2) {
        fprintf(stderr, "usage: channel_server ADDRESS\n");
        return EXIT_FAILURE;
    }
    afar_log_set(afar_log_stderr, NULL, AFAR_LOG_ERROR);
    if (!(code = afar_server_open(NULL, argv[1], NULL, &server, &err)) &&
        !(code = open_channels(server, &err)))
        code = serve(server, &err);
    if (code)
        fprintf(stderr, "channel_server: %s: %s\n", afar_code_name(code), err.message);
    close_channels();
    afar_server_close(server);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
