/* Objects of several interfaces that share their methods, as the ends of channels do: a call finds
 * its object by name, whatever way it came.
 *
 * Labels: concurrent */

#include <string.h>

#include "peer.h"

static afar_code
say_who(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    const int64_t *number = self;

    (void)request;
    (void)call;
    reply->number = *number;
    return AFAR_OK;
}

static const far_peer_methods saying = { .ask = say_who };

struct places {
    struct pair pair;
    afar_interface interfaces[3];
    int64_t numbers[3];
};

static const char *const names[] = { "one", "two", "three" };

static void
places_open(struct places *places, const char *transport)
{
    static const char *const types[] = { "far.Box(one)", "far.Box(two)", "far.Peer" };
    afar_error err = AFAR_ERROR_INIT;

    pair_open(&places->pair, transport);
    for (int i = 0; i < 3; i++) {
        afar_object *object = NULL;

        places->interfaces[i] = far_peer_interface;
        places->interfaces[i].name = types[i];
        places->numbers[i] = 10 + i;
        CHECK_OK(afar_object_new(&places->interfaces[i], &saying, &places->numbers[i], NULL,
                                 &object, &err));
        CHECK_OK(afar_server_export(places->pair.server, names[i], object, &err));
        afar_object_close(object);
    }
}

TEST(a_session_finds_each_by_its_name)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_error err = AFAR_ERROR_INIT;
        struct places places;
        int64_t answer;

        places_open(&places, *transport);
        for (int i = 0; i < 3; i++) {
            far_peer *peer = reach_peer(&places.pair, names[i]);

            CHECK_INT(number_of(peer, 0), 10 + i);
            far_peer_close(peer);
        }
        far_peer *none = reach_peer(&places.pair, "four");
        CHECK_FAILS(ask_with(none, 0, NULL, &answer, &err), AFAR_NOT_FOUND);
        CHECK(strstr(err.message, "nothing with /far.Peer/Ask is called \"four\" here"));
        far_peer_close(none);
        afar_error_clear(&err);
        pair_close(&places.pair);
    }
}

TEST(plain_grpc_finds_each_by_its_name)
{
    afar_error err = AFAR_ERROR_INIT;
    struct places places;
    char text[300];

    places_open(&places, TCP);
    for (int i = 0; i < 3; i++) {
        far_peer *peer = NULL;

        CHECK_OK(far_peer_open(places.pair.client, pair_name(&places.pair, names[i], text), soon(),
                               &peer, &err));
        CHECK_INT(number_of(peer, 0), 10 + i);
        far_peer_close(peer);
    }
    pair_close(&places.pair);
}
