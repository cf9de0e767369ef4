/* References in messages: what puts them in and takes them out, how they are found, and
 * that each is closed once. */

#include "runtime/refs.h"

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "check.h"
#include "faults.h"
#include "refs.afar.h"
#include "runtime/call.h"
#include "runtime/decode.h"
#include "runtime/object.h"

/* ---- objects that only count their references ---- */

static unsigned freed;

static void
free_object(afar_object *object)
{
    (void)object;
    freed++;
}

static const afar__object_ops object_ops = { .free = free_object };

static void
make_things(afar_object *things, size_t count)
{
    freed = 0;
    for (size_t i = 0; i < count; i++)
        afar__object_init(&things[i], &object_ops, &refs_thing_interface);
}

static unsigned
references_to(const afar_object *object)
{
    return atomic_load(&object->refs);
}

/* ---- a call that is being served ---- */

static const afar_method ask = { .name = "Ask", .path = "/refs.Thing/Ask" };

static void
make_call(afar_call *call, size_t room)
{
    memset(call, 0, sizeof *call);
    afar__call_init(call);
    call->method = &ask;
    call->arena = afar__arena_new(room);
    CHECK(call->arena != NULL);
}

static void
end_call(afar_call *call)
{
    afar__arena_free(call->arena);
    afar__call_clear(call);
}

/* ---- what is found ---- */

struct seen {
    const Afar__Ref *refs[32];
    const afar_interface *interfaces[32];
    size_t count;
    size_t most; /* the one after fails */
};

static afar_code
see(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    struct seen *seen = arg;

    if (seen->count == seen->most)
        return afar_fail(err, AFAR_ABORTED, "enough");
    seen->refs[seen->count] = ref;
    seen->interfaces[seen->count++] = interface;
    return AFAR_OK;
}

/* Fails unless exactly those are found, in that order. */
static void
check_found(const afar_refs *plan, const ProtobufCMessage *message, Afar__Ref *const *expected,
            size_t count)
{
    struct seen seen = { .most = 32 };
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar__refs_each(plan, message, see, &seen, &err));
    CHECK_INT(seen.count, count);
    for (size_t i = 0; i < count; i++)
        CHECK(seen.refs[i] == expected[i]);
}

/* ---- put, give, take ---- */

TEST(put_borrows)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref room;
    afar_object thing;

    make_things(&thing, 1);
    refs_shapes_put_one(&message, &room, (refs_thing *)&thing);
    CHECK(message.one == &room && room.handle == &thing);
    CHECK_INT(references_to(&thing), 1);
    CHECK_INT(afar__ref__get_packed_size(&room), 0);
    refs_shapes_put_one(&message, &room, NULL);
    CHECK(message.one == NULL);
}

TEST(take_is_a_reference_of_its_own)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref room, empty = AFAR__REF__INIT;
    afar_object thing;
    refs_thing *taken;

    make_things(&thing, 1);
    CHECK(refs_shapes_take_one(&message) == NULL);
    message.one = &empty;
    CHECK(refs_shapes_take_one(&message) == NULL);
    refs_shapes_put_one(&message, &room, (refs_thing *)&thing);
    taken = refs_shapes_take_one(&message);
    CHECK(taken == (refs_thing *)&thing);
    CHECK_INT(references_to(&thing), 2);
    refs_thing_close(taken);
    CHECK_INT(references_to(&thing), 1);
    CHECK_INT(freed, 0);
}

TEST(one_of_many)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref rooms[2], *array[2] = { NULL, NULL };
    afar_object things[2];

    make_things(things, 2);
    message.n_many = 2;
    message.many = array;
    refs_shapes_put_many(&message, 1, &rooms[1], (refs_thing *)&things[1]);
    CHECK(refs_shapes_take_many(&message, 0) == NULL);
    CHECK(refs_shapes_take_many(&message, 1) == (refs_thing *)&things[1]);
    CHECK(refs_shapes_take_many(&message, 2) == NULL);
    CHECK(refs_shapes_take_many(&message, SIZE_MAX) == NULL);
}

TEST(one_of_several_kinds)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref room;
    afar_object other;

    make_things(&other, 1);
    CHECK(refs_shapes_take_chosen(&message) == NULL);
    refs_shapes_put_chosen(&message, &room, (refs_other *)&other);
    CHECK_INT(message.choice_case, REFS__SHAPES__CHOICE_CHOSEN);
    CHECK(refs_shapes_take_chosen(&message) == (refs_other *)&other);
    message.choice_case = REFS__SHAPES__CHOICE_TEXT;
    message.text = (char *)(uintptr_t) "no reference";
    CHECK(refs_shapes_take_chosen(&message) == NULL);
}

TEST(the_value_of_a_map)
{
    Refs__Shapes__ByNameEntry entry = REFS__SHAPES__BY_NAME_ENTRY__INIT;
    Afar__Ref room;
    afar_object thing;

    make_things(&thing, 1);
    refs_shapes_by_name_entry_put_value(&entry, &room, (refs_thing *)&thing);
    CHECK(refs_shapes_by_name_entry_take_value(&entry) == (refs_thing *)&thing);
}

TEST(given_is_closed_with_the_call)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref *array[1] = { NULL };
    afar_object things[3];
    afar_call call;

    make_things(things, 3);
    make_call(&call, 0);
    message.n_many = 1;
    message.many = array;
    CHECK_INT(refs_shapes_give_one(&message, &call, (refs_thing *)&things[0]), AFAR_OK);
    CHECK_INT(refs_shapes_give_many(&message, 0, &call, (refs_thing *)&things[1]), AFAR_OK);
    CHECK_INT(refs_shapes_give_chosen(&message, &call, (refs_other *)&things[2]), AFAR_OK);
    CHECK_INT(refs_shapes_give_late(&message, &call, NULL), AFAR_OK);
    CHECK(message.late == NULL);
    CHECK(message.one->handle == &things[0] && array[0]->handle == &things[1]);
    CHECK(message.choice_case == REFS__SHAPES__CHOICE_CHOSEN &&
          message.chosen->handle == &things[2]);
    CHECK_INT(freed, 0);
    end_call(&call);
    CHECK_INT(freed, 3);
}

/* Room for nothing, for the reference without what closes it, and for both. */
TEST(giving_without_memory_closes)
{
    static const size_t rooms[] = { 16, sizeof(Afar__Ref), 4 * sizeof(Afar__Ref) };

    for (size_t i = 0; i < 3 && faults_can(); i++) {
        Refs__Shapes message = REFS__SHAPES__INIT;
        bool fails = i < 2;
        afar_object thing;
        afar_call call;
        afar_code code;

        make_things(&thing, 1);
        make_call(&call, rooms[i]);
        faults_after(0);
        code = refs_shapes_give_chosen(&message, &call, (refs_other *)&thing);
        CHECK_INT(faults_happened(), fails);
        faults_after(-1);
        CHECK_INT(code, fails ? AFAR_RESOURCE_EXHAUSTED : AFAR_OK);
        CHECK_INT(call.error.code, code);
        CHECK_STR(call.error.message,
                  fails ? "/refs.Thing/Ask: out of memory for a reference" : "");
        CHECK_INT(freed, fails);
        CHECK_INT(message.choice_case, fails ? 0 : REFS__SHAPES__CHOICE_CHOSEN);
        end_call(&call);
        CHECK_INT(freed, 1);
    }
}

/* ---- finding them ---- */

TEST(methods_know_where_references_are)
{
    const afar_method *methods = refs_thing_interface.methods;

    CHECK(methods[0].request_refs == &refs_shapes_refs);
    CHECK(methods[0].reply_refs == &refs_tree_refs);
    CHECK(methods[1].request_refs == NULL && methods[1].reply_refs == NULL);
    check_found(NULL, NULL, NULL, 0);
}

TEST(every_shape_is_found_in_the_order_of_numbers)
{
    Afar__Ref refs[9];
    Afar__Ref *many[] = { &refs[2], &refs[3] };
    Refs__Shapes__ByNameEntry entries[2] = { REFS__SHAPES__BY_NAME_ENTRY__INIT,
                                             REFS__SHAPES__BY_NAME_ENTRY__INIT };
    Refs__Shapes__ByNameEntry *map[] = { &entries[0], &entries[1] };
    Refs__Shapes__Inner inners[4] = { REFS__SHAPES__INNER__INIT, REFS__SHAPES__INNER__INIT,
                                      REFS__SHAPES__INNER__INIT, REFS__SHAPES__INNER__INIT };
    Refs__Shapes__Inner *array[] = { &inners[2], &inners[3] };
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref *expected[9];

    for (size_t i = 0; i < 9; i++) {
        afar__ref__init(&refs[i]);
        expected[i] = &refs[i];
    }
    message.one = &refs[0];
    message.late = &refs[1];
    message.n_many = 2;
    message.many = many;
    message.n_by_name = 2;
    message.by_name = map;
    entries[1].value = &refs[4];
    message.choice_case = REFS__SHAPES__CHOICE_INNER_CHOSEN;
    message.inner_chosen = &inners[0];
    inners[0].ref = &refs[5];
    message.inner = &inners[1];
    inners[1].ref = &refs[6];
    message.n_inners = 2;
    message.inners = array;
    inners[2].ref = &refs[7];
    inners[3].ref = &refs[8];
    check_found(&refs_shapes_refs, &message.base, expected, 9);
    message.choice_case = REFS__SHAPES__CHOICE_CHOSEN;
    message.chosen = &refs[5];
    check_found(&refs_shapes_refs, &message.base, expected, 9);
    message.choice_case = REFS__SHAPES__CHOICE_TEXT;
    message.text = (char *)(uintptr_t) "no reference";
    memmove(&expected[5], &expected[6], 3 * sizeof *expected);
    check_found(&refs_shapes_refs, &message.base, expected, 8);
}

static afar_code
ignore(void *arg, Afar__Ref *ref, const afar_interface *interface, afar_error *err)
{
    (void)arg;
    (void)ref;
    (void)interface;
    (void)err;
    return AFAR_OK;
}

TEST(a_gap_in_a_list_is_told)
{
    Afar__Ref ref = AFAR__REF__INIT;
    Afar__Ref *many[] = { &ref, NULL };
    Refs__Shapes message = REFS__SHAPES__INIT;
    afar_error err = AFAR_ERROR_INIT;

    message.n_many = 2;
    message.many = many;
    CHECK_INT(afar__refs_each(&refs_shapes_refs, &message.base, ignore, NULL, &err),
              AFAR_INVALID_ARGUMENT);
    CHECK_STR(err.message, "refs.Shapes: element 1 of many is NULL");
}

TEST(an_interface_goes_with_each)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    Afar__Ref one = AFAR__REF__INIT, chosen = AFAR__REF__INIT;
    struct seen seen = { .most = 32 };
    afar_error err = AFAR_ERROR_INIT;

    message.one = &one;
    message.choice_case = REFS__SHAPES__CHOICE_CHOSEN;
    message.chosen = &chosen;
    CHECK_OK(afar__refs_each(&refs_shapes_refs, &message.base, see, &seen, &err));
    CHECK_INT(seen.count, 2);
    CHECK(seen.interfaces[0] == &refs_thing_interface);
    CHECK(seen.interfaces[1] == &refs_other_interface);
}

TEST(the_first_failure_ends_it)
{
    Refs__Tree trees[3] = { REFS__TREE__INIT, REFS__TREE__INIT, REFS__TREE__INIT };
    Afar__Ref refs[3] = { AFAR__REF__INIT, AFAR__REF__INIT, AFAR__REF__INIT };
    struct seen seen = { .most = 1 };
    afar_error err = AFAR_ERROR_INIT;

    trees[0].left = &trees[1];
    trees[0].right = &trees[2];
    for (size_t i = 0; i < 3; i++)
        trees[i].leaf = &refs[i];
    CHECK_FAILS(afar__refs_each(&refs_tree_refs, &trees[0].base, see, &seen, &err), AFAR_ABORTED);
    CHECK_INT(seen.count, 1);
    CHECK(seen.refs[0] == &refs[1]); /* the left one stands first */
}

/* As deep as a message may come, and one deeper, which nobody would read. */
TEST(as_deep_as_messages_go)
{
    static Refs__Tree trees[102];
    Afar__Ref leaf = AFAR__REF__INIT, *expected[] = { &leaf };
    struct seen seen = { .most = 32 };
    afar_error err = AFAR_ERROR_INIT;

    for (size_t i = 0; i < 102; i++)
        refs__tree__init(&trees[i]);
    for (size_t i = 0; i < 100; i++)
        trees[i].right = &trees[i + 1];
    trees[100].leaf = &leaf;
    check_found(&refs_tree_refs, &trees[0].base, expected, 1);
    trees[100].right = &trees[101];
    CHECK_FAILS(afar__refs_each(&refs_tree_refs, &trees[0].base, see, &seen, &err),
                AFAR_RESOURCE_EXHAUSTED);
    CHECK_STR(err.message, "refs.Tree: more than 100 messages within messages");
    trees[101].right = &trees[0]; /* a circle ends, too */
    CHECK_FAILS(afar__refs_each(&refs_tree_refs, &trees[0].base, see, &seen, &err),
                AFAR_RESOURCE_EXHAUSTED);
}

/* ---- received ones ---- */

/* Reads the bytes of a message that has one reference, with an index, in `one`. */
static Refs__Shapes *
receive_one(void)
{
    static const uint8_t bytes[] = { 0x0a, 0x02, 0x08, 0x07 };
    ProtobufCMessage *message = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(
        afar_message_unpack(&refs__shapes__descriptor, bytes, sizeof bytes, NULL, &message, &err));
    return (Refs__Shapes *)message;
}

/* Memory that holds anything but zeros. */
static void *
alloc_dirty(void *data, size_t n)
{
    void *piece = malloc(n);

    (void)data;
    return piece ? memset(piece, 0xff, n) : NULL;
}

static void
free_dirty(void *data, void *piece)
{
    (void)data;
    free(piece);
}

/* Whatever a peer sends: each number that a field could have, known or not. */
TEST(a_handle_never_comes_from_bytes)
{
    static const unsigned types[] = { 0, 1, 2, 5 };
    ProtobufCAllocator dirty = { alloc_dirty, free_dirty, NULL };

    for (unsigned number = 1; number < 16; number++)
        for (size_t i = 0; i < 4; i++) {
            uint8_t bytes[9] = { (uint8_t)(number << 3 | types[i]) };
            size_t length = types[i] == 1 ? 9 : types[i] == 5 ? 5 : 2;
            ProtobufCMessage *message = NULL;
            Afar__Ref *ref = afar__ref__unpack(&dirty, length, bytes);

            if (ref) {
                CHECK(ref->handle == NULL);
                afar__ref__free_unpacked(ref, &dirty);
            }
            if (afar_message_unpack(&afar__ref__descriptor, bytes, length, NULL, &message, NULL))
                continue;
            CHECK(((Afar__Ref *)message)->handle == NULL);
            CHECK(afar_ref_take((Afar__Ref *)message) == NULL);
            afar_message_free(message);
        }
}

TEST(the_tables_do_not_know_the_handle)
{
    CHECK_INT(afar__ref__descriptor.n_fields, 6);
    CHECK_INT(afar__ref__descriptor.sizeof_message, sizeof(Afar__Ref));
    CHECK(protobuf_c_message_descriptor_get_field_by_name(&afar__ref__descriptor, "handle") ==
          NULL);
}

TEST(a_handle_does_not_travel)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    ProtobufCMessage *copy = NULL;
    afar_error err = AFAR_ERROR_INIT;
    uint8_t bytes[16];
    afar_object thing;
    Afar__Ref room;
    size_t length;

    make_things(&thing, 1);
    refs_shapes_put_one(&message, &room, (refs_thing *)&thing);
    length = refs__shapes__pack(&message, bytes);
    CHECK_INT(length, 2);
    CHECK_OK(afar_message_unpack(&refs__shapes__descriptor, bytes, length, NULL, &copy, &err));
    CHECK(((Refs__Shapes *)copy)->one != NULL);
    CHECK(refs_shapes_take_one((Refs__Shapes *)copy) == NULL);
    afar_message_free(copy);
}

TEST(attached_is_closed_with_the_message)
{
    Refs__Shapes *message = receive_one();
    afar_error err = AFAR_ERROR_INIT;
    afar_object thing;

    make_things(&thing, 1);
    CHECK_OK(afar__ref_attach(message->one, &thing, afar__message_arena(&message->base), &err));
    refs_thing_close(refs_shapes_take_one(message));
    CHECK_INT(freed, 0);
    afar_message_free(message);
    CHECK_INT(freed, 1);
}

TEST(taken_outlives_the_message)
{
    Refs__Shapes *message = receive_one();
    afar_error err = AFAR_ERROR_INIT;
    afar_object thing;
    refs_thing *taken;

    make_things(&thing, 1);
    CHECK_OK(afar__ref_attach(message->one, &thing, afar__message_arena(&message->base), &err));
    taken = refs_shapes_take_one(message);
    afar_message_free(message);
    CHECK_INT(freed, 0);
    refs_thing_close(taken);
    CHECK_INT(freed, 1);
}

TEST(attaching_without_memory_closes)
{
    afar__arena *arena;
    afar_error err = AFAR_ERROR_INIT;
    Afar__Ref ref = AFAR__REF__INIT;
    afar_object thing;

    if (!faults_can())
        return;
    make_things(&thing, 1);
    arena = afar__arena_new(16);
    faults_after(0);
    CHECK_FAILS(afar__ref_attach(&ref, &thing, arena, &err), AFAR_RESOURCE_EXHAUSTED);
    CHECK(ref.handle == NULL);
    CHECK_INT(freed, 1);
    afar__arena_free(arena);
    CHECK_INT(freed, 1);
}

/* ---- copies ---- */

/* A tree of that many, each the left of the one before it, with a leaf each. */
static void
grow(Refs__Tree *trees, Afar__Ref *rooms, afar_object *things, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        refs__tree__init(&trees[i]);
        refs_tree_put_leaf(&trees[i], &rooms[i], (refs_thing *)&things[i]);
        trees[i].left = i + 1 < count ? &trees[i + 1] : NULL;
    }
}

TEST(a_copy_shares)
{
    static Refs__Tree trees[300];
    static Afar__Ref rooms[300];
    static afar_object things[300];
    afar_error err = AFAR_ERROR_INIT;
    ProtobufCMessage *copy = NULL, *again = NULL;
    size_t depth = 0;

    make_things(things, 300);
    grow(trees, rooms, things, 300);
    CHECK_OK(afar_message_copy(&trees[0].base, &copy, &err));
    CHECK_OK(afar_message_copy(copy, &again, &err));
    for (Refs__Tree *tree = (Refs__Tree *)again; tree; tree = tree->left) {
        CHECK(tree->leaf->handle == &things[depth]);
        CHECK_INT(references_to(&things[depth++]), 3);
    }
    CHECK_INT(depth, 300);
    afar_message_free(copy);
    afar_message_free(again);
    for (size_t i = 0; i < 300; i++)
        CHECK_INT(references_to(&things[i]), 1);
    CHECK_INT(freed, 0);
}

TEST(a_copy_of_every_shape)
{
    afar_object things[4];
    Afar__Ref rooms[4], *many[] = { &rooms[1] };
    Refs__Shapes message = REFS__SHAPES__INIT, *copy;
    Refs__Shapes__ByNameEntry entry = REFS__SHAPES__BY_NAME_ENTRY__INIT, *map[] = { &entry };
    ProtobufCMessage *copied = NULL;
    afar_error err = AFAR_ERROR_INIT;

    make_things(things, 4);
    refs_shapes_put_one(&message, &rooms[0], (refs_thing *)&things[0]);
    message.n_many = 1;
    message.many = many;
    refs_shapes_put_many(&message, 0, &rooms[1], (refs_thing *)&things[1]);
    message.n_by_name = 1;
    message.by_name = map;
    refs_shapes_by_name_entry_put_value(&entry, &rooms[2], (refs_thing *)&things[2]);
    refs_shapes_put_chosen(&message, &rooms[3], (refs_other *)&things[3]);
    CHECK_OK(afar_message_copy(&message.base, &copied, &err));
    copy = (Refs__Shapes *)copied;
    CHECK(copy->one->handle == &things[0] && copy->many[0]->handle == &things[1]);
    CHECK(copy->by_name[0]->value->handle == &things[2] && copy->chosen->handle == &things[3]);
    CHECK(copy->late == NULL);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(references_to(&things[i]), 2);
    afar_message_free(copy);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(references_to(&things[i]), 1);
}

TEST(a_copy_of_a_reference_alone)
{
    ProtobufCMessage *copy = NULL;
    afar_error err = AFAR_ERROR_INIT;
    afar_object thing;
    Afar__Ref room;

    make_things(&thing, 1);
    afar_ref_put(&room, &thing);
    CHECK_OK(afar_message_copy(&room.base, &copy, &err));
    CHECK(((Afar__Ref *)copy)->handle == &thing);
    CHECK_INT(references_to(&thing), 2);
    afar_message_free(copy);
    CHECK_INT(references_to(&thing), 1);
}

/* Of every length, so that memory also runs out where only references are left. */
TEST(copying_without_memory_leaves_nothing)
{
    static Refs__Tree trees[40];
    static Afar__Ref rooms[40];
    static afar_object things[40];

    make_things(things, 40);
    for (size_t count = 1; count <= 40 && faults_can(); count++) {
        bool failed = true;
        long n = 0;

        grow(trees, rooms, things, count);
        for (; failed; n++) {
            ProtobufCMessage *copy = NULL;
            afar_code code;

            faults_after(n);
            code = afar_message_copy(&trees[0].base, &copy, NULL);
            failed = faults_happened();
            faults_after(-1);
            CHECK_INT(code, failed ? AFAR_RESOURCE_EXHAUSTED : AFAR_OK);
            CHECK(failed == (copy == NULL));
            afar_message_free(copy);
            for (size_t i = 0; i < count; i++)
                CHECK_INT(references_to(&things[i]), 1);
        }
        CHECK(n > 2);
    }
}

/* ---- as text ---- */

static void
check_text(const ProtobufCMessage *message, const char *expected)
{
    char text[512];

    CHECK_INT(afar_message_print(message, text, sizeof text), strlen(expected));
    CHECK_STR(text, expected);
}

TEST(text_says_what_and_where)
{
    Refs__Shapes message = REFS__SHAPES__INIT;
    uint8_t secret[] = "secret";
    afar_object thing;
    Afar__Ref room;

    make_things(&thing, 1);
    refs_shapes_put_one(&message, &room, (refs_thing *)&thing);
    check_text(&message.base, "one {\n  interface: \"refs.Thing\"\n  address: here\n}\n");
    room.address = (char *)(uintptr_t) "[::1]:7000";
    room.token = (ProtobufCBinaryData){ sizeof secret, secret };
    check_text(&message.base, "one {\n  interface: \"refs.Thing\"\n  address: \"[::1]:7000\"\n}\n");
    afar__ref__init(&room);
    room.index = 7;
    check_text(&message.base, "one {\n  index: 7\n}\n");
    room.index = 0;
    room.interface = (char *)(uintptr_t) "refs.\"Odd\"";
    check_text(&message.base, "one {\n  interface: \"refs.\\\"Odd\\\"\"\n}\n");
    room.interface = room.address = NULL;
    check_text(&message.base, "one {\n}\n");
}
