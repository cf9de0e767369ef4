#include "three.h"

#include "check.h"

process low, middle, high;
afar__home *home, *other;
line *from, *to;

void
start(unsigned capacity)
{
    process_init(&low, 1);
    process_init(&middle, 2);
    process_init(&high, 3);
    home = afar__home_new(&middle.board, capacity);
    other = afar__home_new(&middle.board, 0);
}

void
start_with_lines(unsigned capacity)
{
    start(capacity);
    from = line_new(&low, &middle, home, AFAR__SENDS);
    to = line_new(&high, &middle, home, AFAR__RECEIVES);
}

void
open_two(waiter *w, process *p, line *a, line *b, bool by_priority)
{
    waiter_init(w);
    waiter_far(w, a, 10);
    waiter_far(w, b, 11);
    waiter_open(w, p, by_priority);
}

void
go(void)
{
    run(&low, &middle, &high);
}

void
finish(void)
{
    process_clear(&low);
    process_clear(&middle);
    process_clear(&high);
    afar__home_free(home);
    afar__home_free(other);
    CHECK_INT(parcels_live, 0);
}
