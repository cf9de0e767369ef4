/* A crit-bit tree: what tree.h says.
 *
 * A fork is about one bit: what hangs on its side 0 has that bit 0, on its side 1 it is
 * 1, and all that hangs below agrees in the bits before.  Going down, the bits of the
 * forks grow.  So whoever goes down by the bits of a key arrives at an item that is
 * the only one that can have this key, and one comparison of keys tells.
 *
 * A tree of n items has n - 1 forks.  They are kept inside the items: each item has
 * room for one, which may be any fork of the tree, above or elsewhere.  When an item is
 * removed, the fork above it goes too; if that one is not the item's own, the
 * item's own fork is still needed, and moves to where the other was kept.
 *
 * Behind its end a key counts as if bytes of 0 followed.
 *
 * The owner of the tree brings the lock.
 */

#include "server/nameserver/tree.h"

#include <string.h>

static unsigned
byte_at(const uint8_t *key, size_t length, size_t at)
{
    return at < length ? key[at] : 0;
}

static unsigned
bit_at(const uint8_t *key, size_t length, uint32_t bit)
{
    return byte_at(key, length, bit / 8) >> (7 - bit % 8) & 1;
}

/* The first bit in which two keys differ; false when they are equal. */
static bool
differ(const afar__tree_item *item, const uint8_t *key, size_t length, uint32_t *ret_bit)
{
    size_t most = item->length > length ? item->length : length;
    uint32_t bit;

    for (size_t at = 0; at < most; at++) {
        unsigned difference = byte_at(item->key, item->length, at) ^ byte_at(key, length, at);

        if (difference == 0)
            continue;
        bit = (uint32_t)at * 8;
        for (; !(difference & 0x80); difference <<= 1)
            bit++;
        *ret_bit = bit;
        return true;
    }
    return false;
}

/* ---- places: where an item or a fork hangs ---- */

/* A side of a fork, or the root. */
struct place {
    afar__tree_item *fork; /* NULL: the root */
    afar__tree_item *what;
    unsigned side;
    bool is_item;
};

static struct place
root_of(const afar__tree *tree)
{
    struct place place = { NULL, tree->root, 0, tree->root_is_item };

    return place;
}

static struct place
below(afar__tree_item *fork, unsigned side)
{
    struct place place = { fork, fork->side[side], side, fork->is_item[side] };

    return place;
}

/* Hangs an item or a fork there. */
static void
hang(afar__tree *tree, struct place place, afar__tree_item *what, bool is_item)
{
    if (place.fork) {
        place.fork->side[place.side] = what;
        place.fork->is_item[place.side] = is_item;
    } else {
        tree->root = what;
        tree->root_is_item = is_item;
    }
    if (is_item)
        what->up_item = place.fork;
    else
        what->up_fork = place.fork;
}

/* Goes down by the bits of a key, as long as the forks' bits are below `end`. */
static struct place
descend(const afar__tree *tree, const uint8_t *key, size_t length, uint32_t end)
{
    struct place place = root_of(tree);

    while (place.what && !place.is_item && place.what->bit < end)
        place = below(place.what, bit_at(key, length, place.what->bit));
    return place;
}

static afar__tree_item *
outermost(struct place place, unsigned side)
{
    while (!place.is_item)
        place = below(place.what, side);
    return place.what;
}

/* The side of `fork` that this is on. */
static unsigned
side_of(const afar__tree_item *fork, const afar__tree_item *what, bool is_item)
{
    return fork->side[1] == what && fork->is_item[1] == is_item;
}

/* ---- the set ---- */

afar__tree_item *
afar__tree_find(const afar__tree *tree, const void *key, size_t length)
{
    afar__tree_item *item = descend(tree, key, length, UINT32_MAX).what;

    return item && item->length == length && memcmp(item->key, key, length) == 0 ? item : NULL;
}

void
afar__tree_add(afar__tree *tree, afar__tree_item *item, const void *key, size_t length)
{
    afar__tree_item *near = descend(tree, key, length, UINT32_MAX).what;
    struct place place;
    unsigned side;

    item->key = key;
    item->length = (uint32_t)length;
    item->forks = near && differ(near, key, length, &item->bit);
    if (!item->forks) {
        hang(tree, root_of(tree), item, true);
        return;
    }
    place = descend(tree, key, length, item->bit);
    side = bit_at(key, length, item->bit);
    hang(tree, place, item, false);
    hang(tree, (struct place){ item, NULL, side, true }, item, true);
    hang(tree, (struct place){ item, NULL, !side, true }, place.what, place.is_item);
}

/* Moves the fork that `from` has room for into `to`, whose own is not in the tree. */
static void
move_fork(afar__tree *tree, afar__tree_item *from, afar__tree_item *to)
{
    afar__tree_item *above = from->up_fork;
    struct place place = { above, NULL, above ? side_of(above, from, false) : 0, false };

    to->bit = from->bit;
    to->forks = true;
    from->forks = false;
    for (unsigned side = 0; side < 2; side++)
        hang(tree, (struct place){ to, NULL, side, true }, from->side[side], from->is_item[side]);
    hang(tree, place, to, false);
}

void
afar__tree_remove(afar__tree *tree, afar__tree_item *item)
{
    afar__tree_item *fork = item->up_item, *above;
    struct place place, other;

    if (!fork) {
        tree->root = NULL;
        tree->root_is_item = false;
        return;
    }
    above = fork->up_fork;
    place = (struct place){ above, NULL, above ? side_of(above, fork, false) : 0, false };
    other = below(fork, !side_of(fork, item, true));
    hang(tree, place, other.what, other.is_item);
    fork->forks = false;
    if (item->forks)
        move_fork(tree, item, fork);
}

/* ---- order ---- */

afar__tree_item *
afar__tree_first(const afar__tree *tree)
{
    return tree->root ? outermost(root_of(tree), 0) : NULL;
}

afar__tree_item *
afar__tree_next(const afar__tree_item *item)
{
    const afar__tree_item *what = item;
    afar__tree_item *fork = item->up_item;
    bool is_item = true;

    while (fork && side_of(fork, what, is_item) == 1) {
        what = fork;
        is_item = false;
        fork = fork->up_fork;
    }
    return fork ? outermost(below(fork, 1), 0) : NULL;
}

afar__tree_item *
afar__tree_seek(const afar__tree *tree, const void *key, size_t length)
{
    afar__tree_item *near = descend(tree, key, length, UINT32_MAX).what;
    struct place place;
    uint32_t bit;

    if (!near || !differ(near, key, length, &bit))
        return near;
    /* All that hangs there has the bits before `bit` from the key, and this one not. */
    place = descend(tree, key, length, bit);
    return bit_at(key, length, bit) ? afar__tree_next(outermost(place, 1)) : outermost(place, 0);
}
