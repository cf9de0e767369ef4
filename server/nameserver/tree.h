#ifndef AFAR_NAMESERVER_TREE_H
#define AFAR_NAMESERVER_TREE_H

/* An ordered set of items by their keys, which are bytes.  Finding, adding and removing
 * look at no more places than a key has bits, whatever keys strangers choose; nothing
 * is ever balanced or moved.
 *
 * An item is a member of what it stands for, and brings all the memory that the tree
 * needs for it: adding cannot fail.
 *
 * No key may begin with another one.  Texts without their 0 byte count as if they had
 * it, so texts are fine, and so are keys of one length.  Order is that of memcmp, a
 * shorter text first.  One thread at a time may change a tree. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct afar__tree_item afar__tree_item;
struct afar__tree_item {
    const uint8_t *key; /* as long as the item is in a tree */
    uint32_t length;

    /* the tree's */
    uint32_t bit;             /* of this item's fork: the first in which its sides differ */
    bool is_item[2];          /* that side of the fork is an item, else another fork */
    bool forks;               /* the fork is in the tree */
    afar__tree_item *side[2]; /* of the fork: keys with the bit 0, and with 1 */
    afar__tree_item *up_fork; /* the fork above this fork */
    afar__tree_item *up_item; /* the fork above this item */
};

/* Empty when all is zero. */
typedef struct afar__tree {
    afar__tree_item *root;
    bool root_is_item;
} afar__tree;

/* The struct that has an item as its member. */
#define AFAR__TREE_OF(item, type, member) ((type *)(void *)((char *)(item)-offsetof(type, member)))

afar__tree_item *
afar__tree_find(const afar__tree *tree, const void *key, size_t length);

/* The key must not be there.  It is read as long as the item is in the tree. */
void
afar__tree_add(afar__tree *tree, afar__tree_item *item, const void *key, size_t length);

/* The item must be there. */
void
afar__tree_remove(afar__tree *tree, afar__tree_item *item);

/* ---- in order; NULL at the end ---- */

afar__tree_item *
afar__tree_first(const afar__tree *tree);

afar__tree_item *
afar__tree_next(const afar__tree_item *item);

/* The first item whose key is `key` or comes after it. */
afar__tree_item *
afar__tree_seek(const afar__tree *tree, const void *key, size_t length);

#endif
