/* The tree against a sorted array: random additions and removals, finding, seeking and
 * walking, with keys that share long beginnings. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "server/nameserver/tree.h"

#define WORDS 600
#define ROUNDS 60000
#define BYTES 24

struct word {
    afar__tree_item item;
    char text[BYTES + 1];
    bool there;
};

static struct word words[WORDS];
static unsigned random_state = 12345;

static unsigned
random_below(unsigned end)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 8) % end;
}

static int
compare(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Sorted, all different; some are the beginnings of others. */
static void
make_words(void)
{
    static const char letters[] = "ab/\xc3z";
    unsigned count = 0;

    while (count < WORDS) {
        struct word *word = &words[count];
        unsigned length = 1 + random_below(BYTES), i;

        memset(word, 0, sizeof *word);
        for (i = 0; i < length; i++)
            word->text[i] = letters[random_below(i < 12 ? 2 : 5)];
        for (i = 0; i < count && strcmp(words[i].text, word->text) != 0; i++)
            continue;
        count += i == count;
    }
    qsort(words, WORDS, sizeof *words, compare);
}

static struct word *
word_of(afar__tree_item *item)
{
    return item ? AFAR__TREE_OF(item, struct word, item) : NULL;
}

/* The first one from `from` on that is there. */
static struct word *
expected_from(unsigned from)
{
    while (from < WORDS && !words[from].there)
        from++;
    return from < WORDS ? &words[from] : NULL;
}

static void
check_order(const afar__tree *tree)
{
    struct word *expected = expected_from(0);

    for (afar__tree_item *item = afar__tree_first(tree); item; item = afar__tree_next(item)) {
        CHECK(word_of(item) == expected);
        expected = expected_from((unsigned)(expected - words) + 1);
    }
    CHECK(!expected);
}

static void
check_one(const afar__tree *tree, unsigned index)
{
    struct word *word = &words[index];
    size_t length = strlen(word->text);
    afar__tree_item *found = afar__tree_find(tree, word->text, length);

    CHECK(word_of(found) == (word->there ? word : NULL));
    CHECK(word_of(afar__tree_seek(tree, word->text, length)) == expected_from(index));
}

/* Seeks a text that is no word. */
static void
check_seek(const afar__tree *tree)
{
    char text[BYTES + 2];
    unsigned index = 0;

    memcpy(text, words[random_below(WORDS)].text, BYTES + 1);
    text[BYTES + 1] = 0;
    text[random_below((unsigned)strlen(text) + 1)] = (char)(1 + random_below(255));
    while (index < WORDS && strcmp(words[index].text, text) < 0)
        index++;
    CHECK(word_of(afar__tree_seek(tree, text, strlen(text))) == expected_from(index));
}

TEST(it_does_what_a_sorted_array_does)
{
    afar__tree tree = { NULL, false };

    make_words();
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned index = random_below(WORDS);
        struct word *word = &words[index];

        check_one(&tree, index);
        check_seek(&tree);
        /* Grows until the middle of the test, then shrinks. */
        bool add = random_below(ROUNDS) > round;
        if (add && !word->there)
            afar__tree_add(&tree, &word->item, word->text, strlen(word->text));
        else if (!add && word->there)
            afar__tree_remove(&tree, &word->item);
        word->there = add;
        if (round % 97 == 0)
            check_order(&tree);
    }
    check_order(&tree);
    for (unsigned i = 0; i < WORDS; i++)
        if (words[i].there)
            afar__tree_remove(&tree, &words[i].item);
    CHECK(!afar__tree_first(&tree));
}

TEST(an_empty_tree_has_nothing)
{
    afar__tree tree = { NULL, false };

    CHECK(!afar__tree_first(&tree));
    CHECK(!afar__tree_find(&tree, "a", 1));
    CHECK(!afar__tree_seek(&tree, "", 0));
}

/* Bytes of 0 are part of keys of one length. */
TEST(keys_may_have_zero_bytes)
{
    static const uint8_t keys[4][3] = { { 0, 0, 0 }, { 0, 0, 1 }, { 0, 1, 0 }, { 255, 0, 0 } };
    static afar__tree_item items[4];
    afar__tree tree = { NULL, false };
    afar__tree_item *item;

    for (unsigned i = 4; i-- > 0;)
        afar__tree_add(&tree, &items[i], keys[i], sizeof keys[i]);
    item = afar__tree_first(&tree);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(item == &items[i]);
        CHECK(afar__tree_find(&tree, keys[i], sizeof keys[i]) == item);
        item = afar__tree_next(item);
    }
    CHECK(!item);
}
