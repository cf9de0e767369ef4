/* Tables of what has a number: lists in a table that grows.  Numbers are given one after the
 * other, but those that are still there can be far apart. */

#include <stdlib.h>

#include "runtime/channel/parts.h"

static size_t
slot_of(const afar__numbers *numbers, uint64_t number)
{
    return (size_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (numbers->capacity - 1);
}

void
afar__numbers_init(afar__numbers *numbers)
{
    *numbers = (afar__numbers){ .capacity = AFAR__NUMBERS_LEAST };
    numbers->slots = numbers->least;
}

void
afar__numbers_clear(afar__numbers *numbers)
{
    if (numbers->slots != numbers->least)
        free(numbers->slots);
    afar__numbers_init(numbers);
}

static void
put(afar__numbers *numbers, afar__numbered *entry)
{
    afar__numbered **slot = &numbers->slots[slot_of(numbers, entry->number)];

    entry->next = *slot;
    *slot = entry;
}

static void
grow(afar__numbers *numbers)
{
    afar__numbered **old = numbers->slots;
    size_t n_old = numbers->capacity;
    afar__numbered **slots = calloc(n_old * 2, sizeof(afar__numbered *));

    if (!slots)
        return;
    numbers->slots = slots;
    numbers->capacity = n_old * 2;
    for (size_t i = 0; i < n_old; i++) {
        for (afar__numbered *entry = old[i], *next; entry; entry = next) {
            next = entry->next;
            put(numbers, entry);
        }
    }
    if (old != numbers->least)
        free(old);
}

void
afar__numbers_add(afar__numbers *numbers, afar__numbered *entry, uint64_t number)
{
    if (numbers->count == numbers->capacity)
        grow(numbers);
    entry->number = number;
    put(numbers, entry);
    numbers->count++;
}

afar__numbered *
afar__numbers_find(const afar__numbers *numbers, uint64_t number)
{
    afar__numbered *entry = numbers->slots[slot_of(numbers, number)];

    while (entry && entry->number != number)
        entry = entry->next;
    return entry;
}

void
afar__numbers_remove(afar__numbers *numbers, afar__numbered *entry)
{
    afar__numbered **link = &numbers->slots[slot_of(numbers, entry->number)];

    while (*link && *link != entry)
        link = &(*link)->next;
    if (*link) {
        *link = entry->next;
        numbers->count--;
    }
}
