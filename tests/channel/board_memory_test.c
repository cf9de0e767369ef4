/* Memory that is out, at every place: a little of everything is done again and again, and each time another
 * allocation of the boards fails, alone or with all that follow.  Whatever fails, nobody crashes or hangs,
 * what was said of messages is true, and nothing leaks. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards.h"
#include "check.h"

enum { WAITERS = 6 };

static long asked;    /* allocations since the last start */
static long failing;  /* the number of the one that fails; 0: none does */
static bool and_more; /* all behind it fail too */
static long failed;

void *
__real_calloc(size_t count, size_t size);
char *
__real_strdup(const char *text);
char *
__real_strndup(const char *text, size_t length);
void *
__wrap_calloc(size_t count, size_t size);
char *
__wrap_strdup(const char *text);
char *
__wrap_strndup(const char *text, size_t length);

static bool
fails(void)
{
    asked++;
    if (!failing || asked < failing || (asked > failing && !and_more))
        return false;
    failed++;
    return true;
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

char *
__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t length)
{
    return fails() ? NULL : __real_strndup(text, length);
}

static process low, middle;
static waiter waiters[WAITERS];

/* Whatever it came to, it came to something. */
static void
end(waiter *w)
{
    afar_code code;

    if (w->done == 0 && !afar__select_stop(&w->select))
        run(&low, &middle, NULL);
    waiter_result(w, &code);
    CHECK(code == AFAR_OK || code == AFAR_RESOURCE_EXHAUSTED || code == AFAR_LOST ||
          code == AFAR_UNKNOWN || code == AFAR_POISONED);
    waiter_close(w);
}

static void
begin(waiter *w, process *p)
{
    waiter_open(w, p, false);
    if (waiter_begin(w))
        w->done = 1;
}

static void
do_everything(afar__home *plain, afar__home *buffered, line *const lines[4])
{
    afar__parcel *parcel;

    for (int i = 0; i < WAITERS; i++)
        waiter_init(&waiters[i]);
    waiter_far(&waiters[0], lines[0], 1);
    waiter_far(&waiters[1], lines[1], 2);
    waiter_far(&waiters[1], lines[2], 3);
    waiter_far(&waiters[2], lines[3], 3);
    waiter_on(&waiters[3], plain, AFAR__RECEIVES, 0);
    waiter_on(&waiters[3], buffered, AFAR__RECEIVES, 0);
    waiter_on(&waiters[4], plain, AFAR__SENDS, 4);
    waiter_on(&waiters[5], buffered, AFAR__SENDS, 5);
    for (int i = 0; i < WAITERS; i++) {
        begin(&waiters[i], i < 3 ? &low : &middle);
        if (i % 2 == 1)
            run(&low, &middle, NULL);
    }
    for (int i = 0; i < 20; i++) {
        parcel = parcel_new(i);
        if (!afar__proxy_post(lines[2]->proxy, parcel)) {
            parcels_live--;
            free(parcel);
        }
        parcel = parcel_new(i);
        if (!afar__home_post(buffered, parcel)) {
            parcels_live--;
            free(parcel);
        }
    }
    run(&low, &middle, NULL);
    afar__proxy_poison(lines[0]->proxy, "enough");
    run(&low, &middle, NULL);
}

static void
run_once(void)
{
    afar__home *plain, *buffered;
    line *lines[4];
    const char *text;
    long which = failing;

    asked = failed = 0;
    process_init(&low, 1);
    process_init(&middle, 2);
    failing = 0; /* not in the beginning */
    plain = afar__home_new(&middle.board, 0);
    buffered = afar__home_new(&middle.board, 1000);
    for (int i = 0; i < 4; i++)
        lines[i] = line_new(&low, &middle, i < 2 ? plain : buffered, (afar__direction)(i % 2));
    asked = 0;
    failing = which;
    do_everything(plain, buffered, lines);
    if (lines[0]->seat) {
        CHECK_INT(afar__home_state(plain, AFAR__SENDS, &text), AFAR_POISONED);
        CHECK(!strcmp(text, "enough") || (failed > 0 && !strcmp(text, "")));
    }
    for (int i = 0; i < WAITERS; i++)
        end(&waiters[i]);
    process_clear(&low);
    afar__home_free(plain);
    afar__home_free(buffered);
    CHECK_INT(parcels_live, 0);
}

static void
fail_each(bool more)
{
    memory_may_be_out = true;
    and_more = more;
    for (failing = 1; failing < 10000; failing++) {
        run_once();
        if (failed == 0)
            break;
    }
    CHECK(failing > 30 && failing < 10000);
}

TEST(each_allocation_fails)
{
    fail_each(false);
}

TEST(all_fail_from_one_on)
{
    fail_each(true);
}

TEST(what_cannot_be_made)
{
    uint8_t name[16] = { 1 };
    afar__home *home;

    process_init(&low, 1);
    home = afar__home_new(&low.board, 3);
    CHECK(home);
    and_more = true;
    failing = 1;
    asked = 0;
    CHECK(!afar__home_new(&low.board, 0));
    CHECK(!afar__seat_new(home, AFAR__SENDS, name, NULL));
    CHECK(!afar__proxy_new(&low.board, AFAR__SENDS, NULL));
    asked = 0;
    failing = 2;
    CHECK(!afar__home_new(&low.board, 3)); /* but for its buffer */
    failing = 0;
    afar__home_free(home);
}
