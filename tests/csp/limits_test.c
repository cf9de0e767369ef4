/* Channels between nodes that take larger messages than others do, or smaller ones.
 *
 * Labels: concurrent */

#include <afar/client.h>
#include <afar/server.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "items.h"

#define POSTS 5000

/* A server and a client, each on a node of its own; `there` is opened from the client. */
struct world {
    afar_node *nodes[2];
    afar_server *server;
    afar_client *client;
    struct ends home, there;
};

static afar_node *
open_node(afar_message_limits limits)
{
    afar_node_options options = AFAR_NODE_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_node *node = NULL;

    options.limits = limits;
    CHECK_OK(afar_node_open(&options, &node, &err));
    return node;
}

static void
open_world(struct world *world, afar_message_limits server, afar_message_limits client)
{
    afar_error err = AFAR_ERROR_INIT;
    char text[300];

    world->nodes[0] = open_node(server);
    world->nodes[1] = open_node(client);
    world->home = make_channel(0);
    CHECK_OK(afar_server_open(world->nodes[0], "127.0.0.1:0", NULL, &world->server, &err));
    CHECK_OK(afar_server_export(world->server, "send", csp_item_sender_object(world->home.sender),
                                &err));
    CHECK_OK(afar_server_export(world->server, "receive",
                                csp_item_receiver_object(world->home.receiver), &err));
    CHECK_OK(afar_server_start(world->server, &err));
    CHECK_OK(afar_client_open(world->nodes[1], NULL, &world->client, &err));
    snprintf(text, sizeof text, "afar://%s/send", afar_server_address(world->server));
    CHECK_OK(csp_item_sender_open(world->client, text, soon(), &world->there.sender, &err));
    snprintf(text, sizeof text, "afar://%s/receive", afar_server_address(world->server));
    CHECK_OK(csp_item_receiver_open(world->client, text, soon(), &world->there.receiver, &err));
}

static void
close_world(struct world *world)
{
    close_ends(world->there);
    close_ends(world->home);
    afar_client_close(world->client);
    afar_server_close(world->server);
    afar_node_close(world->nodes[0]);
    afar_node_close(world->nodes[1]);
}

struct large {
    csp_item_sender *sender;
    size_t length;
};

static void *
send_large(void *arg)
{
    const struct large *large = arg;
    Csp__Item item = CSP__ITEM__INIT;
    afar_error err = AFAR_ERROR_INIT;

    item.data.len = large->length;
    item.data.data = calloc(1, large->length);
    CHECK(item.data.data);
    item.data.data[large->length - 1] = 7;
    CHECK_OK(csp_item_send(large->sender, &item, soon(), &err));
    free(item.data.data);
    return NULL;
}

/* The code of receiving it. */
static afar_code
pass(csp_item_sender *sender, csp_item_receiver *receiver, size_t length, afar_error *err)
{
    struct large large = { sender, length };
    Csp__Item *item = NULL;
    pthread_t thread;
    afar_code code;

    CHECK(!pthread_create(&thread, NULL, send_large, &large));
    code = csp_item_receive(receiver, soon(), &item, err);
    if (!code) {
        CHECK_INT(item->data.len, length);
        CHECK_INT(item->data.data[length - 1], 7);
        afar_message_free(item);
    }
    CHECK(!pthread_join(thread, NULL));
    return code;
}

TEST(a_node_that_takes_more_gets_more)
{
    afar_message_limits limits = { .max_bytes = 32u << 20 };
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    open_world(&world, limits, limits);
    CHECK_OK(pass(world.there.sender, world.home.receiver, 10u << 20, &err));
    CHECK_OK(pass(world.home.sender, world.there.receiver, 10u << 20, &err));
    close_world(&world);
}

/* It reads them by its own limits, also where those are of memory. */
TEST(a_node_reads_by_its_own_limits)
{
    afar_message_limits little = { .max_memory = 10000 }, all = AFAR_MESSAGE_LIMITS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct world world;

    open_world(&world, little, all);
    CHECK_INT(pass(world.there.sender, world.home.receiver, 20000, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(err.message, "csp.Item"));
    CHECK_OK(pass(world.home.sender, world.there.receiver, 20000, &err));
    afar_error_clear(&err);
    close_world(&world);
}

static void *
post_many(void *sender)
{
    Csp__Item item = CSP__ITEM__INIT;
    afar_error err = AFAR_ERROR_INIT;

    for (item.number = 0; item.number < POSTS; item.number++)
        CHECK_OK(csp_item_post(sender, &item, soon(), &err));
    CHECK_OK(csp_item_flush(sender, soon(), &err));
    return NULL;
}

static void
pass_many(csp_item_sender *sender, csp_item_receiver *receiver)
{
    pthread_t thread;

    CHECK(!pthread_create(&thread, NULL, post_many, sender));
    for (uint64_t i = 0; i < POSTS; i++)
        CHECK_INT(received(receiver), i);
    CHECK(!pthread_join(thread, NULL));
}

/* What is said together is more than it takes in one message. */
TEST(a_node_that_takes_little_gets_many)
{
    afar_message_limits limits = { .max_bytes = 1000 };
    struct world world;

    open_world(&world, limits, limits);
    pass_many(world.there.sender, world.home.receiver);
    pass_many(world.home.sender, world.there.receiver);
    pass_many(world.there.sender, world.there.receiver);
    close_world(&world);
}
