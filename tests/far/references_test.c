/* References in messages over sessions: in every place, both ways, home again, of the wrong
 * interface.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <string.h>

#include "peer.h"

/* ---- every place of a message ---- */

enum { PLACES = 8 };

/* A message with references in all places. */
struct filled {
    Far__Bundle bundle, inner, first;
    Far__Bundle__ByNameEntry entry, *entries[1];
    Far__Bundle *inners[1];
    Afar__Ref *many[4], rooms[PLACES];
    char key[4];
};

/* The last of the objects is that of the one before it: it stands in two places. */
static void
fill(struct filled *filled, far_peer *const objects[PLACES])
{
    Far__Bundle *bundle = &filled->bundle;

    far__bundle__init(bundle);
    far__bundle__init(&filled->inner);
    far__bundle__init(&filled->first);
    far__bundle__by_name_entry__init(&filled->entry);
    strcpy(filled->key, "key");
    memset(filled->many, 0, sizeof filled->many);
    bundle->many = filled->many;
    bundle->n_many = 2;
    far_bundle_put_one(bundle, &filled->rooms[0], objects[0]);
    far_bundle_put_many(bundle, 0, &filled->rooms[1], objects[1]);
    far_bundle_put_many(bundle, 1, &filled->rooms[2], objects[2]);
    filled->entry.key = filled->key;
    far_bundle_by_name_entry_put_value(&filled->entry, &filled->rooms[3], objects[3]);
    filled->entries[0] = &filled->entry;
    bundle->by_name = filled->entries;
    bundle->n_by_name = 1;
    far_bundle_put_chosen(bundle, &filled->rooms[4], objects[4]);
    bundle->inner = &filled->inner;
    far_bundle_put_one(&filled->inner, &filled->rooms[5], objects[5]);
    filled->inners[0] = &filled->first;
    bundle->inners = filled->inners;
    bundle->n_inners = 1;
    far_bundle_put_one(&filled->first, &filled->rooms[6], objects[6]);
    filled->inner.choice_case = FAR__BUNDLE__CHOICE_BUNDLE_CHOSEN;
    filled->inner.bundle_chosen = &filled->first;
}

static void
take(const Far__Bundle *bundle, far_peer *objects[PLACES])
{
    CHECK_INT(bundle->n_many, 2);
    CHECK_INT(bundle->n_by_name, 1);
    CHECK_INT(bundle->n_inners, 1);
    CHECK(bundle->inner && bundle->inner->bundle_chosen);
    objects[0] = far_bundle_take_one(bundle);
    objects[1] = far_bundle_take_many(bundle, 0);
    objects[2] = far_bundle_take_many(bundle, 1);
    objects[3] = far_bundle_by_name_entry_take_value(bundle->by_name[0]);
    objects[4] = far_bundle_take_chosen(bundle);
    objects[5] = far_bundle_take_one(bundle->inner);
    objects[6] = far_bundle_take_one(bundle->inners[0]);
    objects[7] = far_bundle_take_one(bundle->inner->bundle_chosen);
    CHECK(!far_bundle_take_many(bundle, 2));
    CHECK(!far_bundle_take_stranger(bundle));
}

static void
close_all(far_peer *objects[PLACES])
{
    for (int i = 0; i < PLACES; i++)
        far_peer_close(objects[i]);
}

/* Calls each, and passes them back in the same places. */
static afar_code
call_and_return(const Far__Bundle *request, struct filled *filled, far_peer *objects[PLACES])
{
    take(request, objects);
    for (int i = 0; i < PLACES; i++)
        CHECK_INT(number_of(objects[i], i), i + 1);
    fill(filled, objects);
    return AFAR_OK;
}

static afar_code
return_reply(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct filled *filled = afar_call_alloc(call, sizeof *filled);
    far_peer *objects[PLACES];
    int i = 0;

    (void)self;
    call_and_return(request, filled, objects);
    Far__Bundle *bundle = &filled->bundle;
    CHECK(!far_bundle_give_one(bundle, call, objects[i++]));
    CHECK(!far_bundle_give_many(bundle, 0, call, objects[i++]));
    CHECK(!far_bundle_give_many(bundle, 1, call, objects[i++]));
    CHECK(!far_bundle_by_name_entry_give_value(&filled->entry, call, objects[i++]));
    CHECK(!far_bundle_give_chosen(bundle, call, objects[i++]));
    CHECK(!far_bundle_give_one(&filled->inner, call, objects[i++]));
    CHECK(!far_bundle_give_one(&filled->first, call, objects[i++]));
    far_peer_close(objects[i]);
    *reply = *bundle;
    return AFAR_OK;
}

static afar_code
return_items(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    const Far__Bundle *item = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = far_peer_talk_server_receive(stream, AFAR_FOREVER, &item, NULL))) {
        far_peer *objects[PLACES];
        struct filled filled;

        call_and_return(item, &filled, objects);
        code = far_peer_talk_server_send(stream, &filled.bundle, AFAR_FOREVER, NULL);
        close_all(objects);
        if (code)
            return code;
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static const far_peer_methods returning = { .ask = return_reply, .talk = return_items };

/* What comes back is the very objects. */
static void
check_home(const Far__Bundle *reply, far_peer *const sent[PLACES])
{
    far_peer *objects[PLACES];

    take(reply, objects);
    for (int i = 0; i < PLACES; i++)
        CHECK(objects[i] == sent[i]);
    close_all(objects);
}

static void
send_in_request(far_peer *peer, far_peer *const objects[PLACES])
{
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *reply = NULL;
    struct filled filled;

    fill(&filled, objects);
    CHECK_OK(far_peer_ask(peer, &filled.bundle, soon(), &reply, &err));
    check_home(reply, objects);
    afar_message_free(reply);
}

static void
send_in_items(far_peer *peer, far_peer *const objects[PLACES])
{
    far_peer_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Far__Bundle *reply = NULL;
    struct filled filled;

    fill(&filled, objects);
    CHECK_OK(far_peer_talk(peer, soon(), NULL, &stream, &err));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(far_peer_talk_send(stream, &filled.bundle, soon(), &err));
        CHECK_OK(far_peer_talk_receive(stream, soon(), &reply, &err));
        check_home(reply, objects);
        afar_message_free(reply);
    }
    CHECK_OK(far_peer_talk_finish(stream, &err));
    CHECK_FAILS(far_peer_talk_receive(stream, soon(), &reply, &err), AFAR_ENDED);
    far_peer_talk_close(stream);
    afar_error_clear(&err);
}

TEST(references_in_every_place_go_there_and_come_home)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct event gone = EVENT_INIT;
        far_peer *objects[PLACES];
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &returning, NULL, AFAR_SERIAL);
        for (int i = 0; i < PLACES - 1; i++)
            objects[i] = make_peer(&counting_methods, &gone, AFAR_SERIAL, raise_event);
        objects[PLACES - 1] = share_peer(objects[6]);
        send_in_request(peer, objects);
        send_in_items(peer, objects);
        close_all(objects);
        event_wait(&gone, PLACES - 1); /* the server has let go of all */
        far_peer_close(peer);
        pair_close(&pair);
    }
}

/* ---- none, and the same again ---- */

struct holder {
    far_peer *kept[2];
    struct event gone;
};

static afar_code
keep_or_say(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    struct holder *holder = self;
    far_peer *one = far_bundle_take_one(request), *chosen = far_bundle_take_chosen(request);

    (void)call;
    reply->number =
        (one != NULL) + 2 * (chosen != NULL) + 4 * (one == chosen) + 8 * (one == holder->kept[0]);
    far_peer_close(holder->kept[0]);
    far_peer_close(chosen);
    holder->kept[0] = one;
    return AFAR_OK;
}

static const far_peer_methods keeping = { .ask = keep_or_say };

static int64_t
ask_with_two(far_peer *peer, far_peer *one, far_peer *chosen)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Ref rooms[2];

    far_bundle_put_one(&request, &rooms[0], one);
    far_bundle_put_chosen(&request, &rooms[1], chosen);
    CHECK_OK(far_peer_ask(peer, &request, soon(), &reply, &err));
    int64_t number = reply->number;
    afar_message_free(reply);
    return number;
}

TEST(none_is_none_and_the_same_object_is_one_reference)
{
    for (const char *const *transport = transports; *transport; transport++) {
        struct holder holder = { .gone = EVENT_INIT };
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &keeping, &holder, AFAR_SERIAL);
        far_peer *mine = make_peer(&counting_methods, &holder.gone, AFAR_SERIAL, raise_event);
        CHECK_INT(ask_with_two(peer, NULL, NULL), 4 + 8);
        CHECK_INT(ask_with_two(peer, mine, mine), 1 + 2 + 4);
        CHECK_INT(ask_with_two(peer, mine, NULL), 1 + 8); /* what came before, again */
        CHECK_INT(ask_with_two(peer, NULL, mine), 2);
        far_peer_close(mine);
        event_wait(&holder.gone, 1);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

/* ---- the wrong interface ---- */

/* Methods as a program has them that believes something else of the field `one`. */
static afar_ref_field wrong_fields[1];
static afar_refs wrong_refs;
static afar_method wrong_method;

static const afar_method *
method_that_lies(const afar_interface *interface)
{
    const afar_refs *refs = interface->methods[0].request_refs; /* those of replies, too */

    wrong_fields[0] = refs->fields[0];
    wrong_fields[0].interface = &far_stranger_interface;
    wrong_refs = *refs;
    wrong_refs.count = 1;
    wrong_refs.fields = wrong_fields;
    wrong_method = interface->methods[0];
    wrong_method.request_refs = wrong_method.reply_refs = &wrong_refs;
    return &wrong_method;
}

static afar_code
answer_stranger(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number;
    return AFAR_OK;
}

static const far_stranger_methods strange = { .ask = answer_stranger };

TEST(the_wrong_interface_is_an_error_on_arrival_and_nothing_stays)
{
    for (const char *const *transport = transports; *transport; transport++) {
        afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
        Far__Bundle request = FAR__BUNDLE__INIT;
        afar_error err = AFAR_ERROR_INIT;
        ProtobufCMessage *reply = NULL;
        far_stranger *stranger = NULL;
        struct event gone = EVENT_INIT;
        struct pair pair;
        Afar__Ref room;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &counting_methods, NULL, AFAR_SERIAL);
        options.finalizer = raise_event;
        CHECK_OK(far_stranger_new(&strange, &gone, &options, &stranger, &err));
        request.one = afar_ref_put(&room, far_stranger_object(stranger));
        CHECK_FAILS(afar_object_call(far_peer_object(peer), method_that_lies(&far_peer_interface),
                                     &request.base, soon(), &reply, &err),
                    AFAR_INVALID_ARGUMENT);
        CHECK(err.remote && strstr(err.message, "far.Stranger") && strstr(err.message, "far.Peer"));
        far_stranger_close(stranger);
        event_wait(&gone, 1);
        CHECK_INT(number_of(peer, 1), 2); /* the session lives */
        afar_error_clear(&err);
        far_peer_close(peer);
        pair_close(&pair);
    }
}

static afar_code
give_new(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)request;
    return far_bundle_give_one(reply, call,
                               make_peer(&counting_methods, self, AFAR_SERIAL, raise_event));
}

TEST(the_wrong_interface_in_a_reply)
{
    static const far_peer_methods methods = { .ask = give_new };

    for (const char *const *transport = transports; *transport; transport++) {
        Far__Bundle request = FAR__BUNDLE__INIT;
        afar_error err = AFAR_ERROR_INIT;
        ProtobufCMessage *reply = NULL;
        struct event gone = EVENT_INIT;
        struct pair pair;

        pair_open(&pair, *transport);
        far_peer *peer = pair_peer(&pair, "", &methods, &gone, AFAR_SERIAL);
        CHECK_FAILS(afar_object_call(far_peer_object(peer), method_that_lies(&far_peer_interface),
                                     &request.base, soon(), &reply, &err),
                    AFAR_INVALID_ARGUMENT);
        CHECK(strstr(err.message, "far.Stranger") && strstr(err.message, "far.Peer"));
        CHECK_INT(err.outcome, AFAR_OUTCOME_ANSWERED);
        event_wait(&gone, 1);
        afar_error_clear(&err);
        far_peer_close(peer);
        pair_close(&pair);
    }
}
