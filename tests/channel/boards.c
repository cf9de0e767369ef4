#include "boards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

struct on_its_way {
    struct on_its_way *next;
    afar__step step;
    uint64_t number; /* also of those that are not on the wire */
};

int parcels_live;
bool memory_may_be_out;

/* ---- messages ---- */

static afar__parcel *
parcel_of(int value, size_t bytes)
{
    afar__parcel *parcel = malloc(sizeof(*parcel));

    CHECK(parcel);
    parcel->value = value;
    parcel->bytes = bytes;
    parcels_live++;
    return parcel;
}

afar__parcel *
parcel_new(int value)
{
    return parcel_of(value, 4);
}

static void
parcel_free(afar__parcel *parcel)
{
    if (parcel) {
        parcels_live--;
        free(parcel);
    }
}

/* ---- what was said ---- */

static const char letters[] = {
    [AFAR__STEP_OFFER] = 'O',   [AFAR__STEP_WITHDRAW] = 'W', [AFAR__STEP_GRANT] = 'G',
    [AFAR__STEP_DENY] = 'D',    [AFAR__STEP_ACK] = 'A',      [AFAR__STEP_POISON] = 'P',
    [AFAR__STEP_TAKEN] = 't',   [AFAR__STEP_MESSAGE] = 'm',  [AFAR__STEP_WAITING] = 'w',
    [AFAR__STEP_CLAIM] = 'c',   [AFAR__STEP_RELEASE] = 'r',  [AFAR__STEP_WITHDRAWN] = 'x',
    [AFAR__STEP_UNKNOWN] = 'u', [AFAR__STEP_ENDED] = 'e',
};

static void
note(line *l, const afar__step *step)
{
    size_t length = strlen(l->said);
    uint64_t number = step->number;

    if (step->kind == AFAR__STEP_ACK)
        number = step->count;
    if (step->kind == AFAR__STEP_ENDED)
        number = step->code;
    if (length + 24 < sizeof(l->said))
        snprintf(l->said + length, sizeof(l->said) - length, "%s%c%d", length > 0 ? " " : "",
                 letters[step->kind], (int)number);
}

const char *
line_said(line *l)
{
    static char said[4][sizeof(l->said)];
    static unsigned n;
    char *copy = said[n++ % 4];

    memcpy(copy, l->said, sizeof(l->said));
    l->said[0] = '\0';
    return copy;
}

/* ---- the owner ---- */

/* By malloc, as all memory of these helpers: a test can make that of the board fail. */
static char *
copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *made = malloc(size);

    CHECK(made);
    return memcpy(made, text, size);
}

static struct on_its_way *
keep(afar__step *step)
{
    struct on_its_way *item = malloc(sizeof(*item));

    CHECK(item);
    item->next = NULL;
    item->step = *step;
    item->number = step->number;
    item->step.text = step->text ? copy(step->text) : NULL;
    /* These are not on the wire. */
    if (step->kind == AFAR__STEP_OFFER || step->kind == AFAR__STEP_CLAIM)
        item->step.number = 0;
    step->parcel = NULL;
    return item;
}

static void
free_item(struct on_its_way *item)
{
    parcel_free(item->step.parcel);
    free((char *)item->step.text);
    free(item);
}

static void
on_act(void *arg, afar__proxy *proxy, afar__step *step)
{
    line *l = afar__proxy_user(proxy);
    struct on_its_way *item;

    (void)arg;
    note(l, step);
    item = keep(step);
    *l->last_act = item;
    l->last_act = &item->next;
}

static void
on_word(void *arg, afar__seat *seat, afar__step *step)
{
    line *l = afar__seat_user(seat);
    struct on_its_way *item;

    (void)arg;
    note(l, step);
    item = keep(step);
    *l->last_word = item;
    l->last_word = &item->next;
}

static void
on_done(void *arg, afar__select *select)
{
    waiter *w = select->user;

    (void)arg;
    w->done++;
}

static afar__parcel *
on_pack(void *arg, afar__guard *guard)
{
    process *p = arg;

    if (p->pack_fails)
        return NULL;
    return parcel_of((int)(intptr_t)guard->user, p->bytes ? p->bytes : 4);
}

static size_t
on_bytes(void *arg, const afar__parcel *parcel)
{
    (void)arg;
    return parcel->bytes;
}

static void
on_drop(void *arg, afar__parcel *parcel)
{
    (void)arg;
    parcel_free(parcel);
}

static void
on_posted(void *arg, afar__proxy *proxy)
{
    line *l = afar__proxy_user(proxy);

    (void)arg;
    l->posted++;
}

static const afar__board_ops ops = {
    .act = on_act,
    .word = on_word,
    .done = on_done,
    .pack = on_pack,
    .bytes = on_bytes,
    .drop = on_drop,
    .posted = on_posted,
};

void
process_init(process *p, uint8_t id)
{
    uint8_t name[16] = { id };

    *p = (process){ 0 };
    afar__board_init(&p->board, &ops, p, name);
}

/* ---- lines ---- */

line *
line_unattached(process *user, process *maker, afar__home *home, afar__direction direction)
{
    line *l = malloc(sizeof(*l));

    CHECK(l);
    *l = (line){ 0 };
    l->user = user;
    l->maker = maker;
    l->direction = direction;
    l->last_act = &l->acts;
    l->last_word = &l->words;
    l->next = user->lines;
    user->lines = l;
    l->proxy = afar__proxy_new(&user->board, direction, l);
    l->seat = afar__seat_new(home, direction, user->board.process, l);
    CHECK(l->proxy && l->seat);
    return l;
}

line *
line_new(process *user, process *maker, afar__home *home, afar__direction direction)
{
    line *l = line_unattached(user, maker, home, direction);

    afar__proxy_attached(l->proxy);
    afar__proxy_limits(l->proxy, AFAR__CHANNEL_OFFERS, AFAR__CHANNEL_WINDOW);
    return l;
}

static struct on_its_way *
take(struct on_its_way **first, struct on_its_way ***last)
{
    struct on_its_way *item = *first;

    if (!item)
        return NULL;
    *first = item->next;
    if (!*first)
        *last = first;
    return item;
}

/* What a home that is there may be told breaks no rule. */
static void
check_ok(afar_code code, const afar_error *err)
{
    if (code != AFAR_OK)
        check_fail(__FILE__, __LINE__, "a step is refused: %s", err->message);
}

bool
line_act(line *l)
{
    afar_error err = AFAR_ERROR_INIT;
    struct on_its_way *item = take(&l->acts, &l->last_act);

    if (!item)
        return false;
    if (l->seat) {
        afar_code code = afar__seat_act(l->seat, &item->step, &err);

        if (code == AFAR_RESOURCE_EXHAUSTED && memory_may_be_out)
            line_cut(l);
        else
            check_ok(code, &err);
    }
    free_item(item);
    return true;
}

bool
line_word(line *l)
{
    afar_error err = AFAR_ERROR_INIT;
    struct on_its_way *item = take(&l->words, &l->last_word);

    if (!item)
        return false;
    check_ok(afar__proxy_word(l->proxy, &item->step, &err), &err);
    free_item(item);
    return true;
}

bool
line_act_brings_message(const line *l)
{
    return l->acts && l->acts->step.parcel;
}

bool
line_word_brings_message(const line *l)
{
    return l->words && l->words->step.parcel && l->words->step.ack;
}

static void
lose_message(struct on_its_way *item)
{
    CHECK(item && item->step.parcel);
    parcel_free(item->step.parcel);
    item->step.parcel = NULL;
}

void
line_act_unsent(line *l, afar_code code, const char *text)
{
    struct on_its_way *item = l->acts;

    lose_message(item);
    item->step.number = item->number;
    afar__proxy_unsent(l->proxy, &item->step, code, text);
    if (item->step.kind == AFAR__STEP_OFFER)
        item->step.number = 0;
}

void
line_word_unsent(line *l, afar_code code, const char *text)
{
    lose_message(l->words);
    CHECK(!afar__seat_unsent(l->seat, &l->words->step, code, text));
    free_item(take(&l->words, &l->last_word));
}

afar_code
line_act_is(line *l, afar__step step)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = afar__seat_act(l->seat, &step, &err);

    CHECK(!step.parcel);
    CHECK(code == AFAR_OK || err.message[0] != '\0');
    return code;
}

afar_code
line_word_is(line *l, afar__step step)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = afar__proxy_word(l->proxy, &step, &err);

    CHECK(!step.parcel);
    CHECK(code == AFAR_OK || err.message[0] != '\0');
    return code;
}

void
line_cut_seat(line *l)
{
    struct on_its_way *item;

    while ((item = take(&l->acts, &l->last_act)))
        free_item(item);
    if (l->seat)
        afar__seat_leave(l->seat);
    l->seat = NULL;
}

void
line_cut_proxy(line *l)
{
    struct on_its_way *item;

    while ((item = take(&l->words, &l->last_word)))
        free_item(item);
    afar__proxy_lost(l->proxy, AFAR_LOST, "the line was cut");
    while ((item = take(&l->acts, &l->last_act)))
        free_item(item);
}

void
line_cut(line *l)
{
    line_cut_seat(l);
    line_cut_proxy(l);
}

void
line_again(line *l, afar__home *home)
{
    l->seat = afar__seat_new(home, l->direction, l->user->board.process, l);
    CHECK(l->seat);
    afar__proxy_attached(l->proxy);
    afar__proxy_limits(l->proxy, AFAR__CHANNEL_OFFERS, AFAR__CHANNEL_WINDOW);
}

static bool
run_lines(process *p)
{
    bool any = false;

    for (line *l = p ? p->lines : NULL; l; l = l->next) {
        any |= line_act(l);
        any |= line_word(l);
    }
    return any;
}

void
run(process *a, process *b, process *c)
{
    bool any = true;

    for (int i = 0; any; i++) {
        CHECK(i < 1000000);
        any = run_lines(a);
        any |= run_lines(b);
        any |= run_lines(c);
    }
}

void
process_clear(process *p)
{
    line *next;

    for (line *l = p->lines; l; l = next) {
        next = l->next;
        line_cut(l);
        afar__proxy_free(l->proxy);
        free(l);
    }
    p->lines = NULL;
}

/* ---- waiters ---- */

void
waiter_init(waiter *w)
{
    *w = (waiter){ 0 };
}

static size_t
add(waiter *w, afar__guard guard)
{
    CHECK(w->count < sizeof(w->guards) / sizeof(w->guards[0]));
    w->guards[w->count] = guard;
    return w->count++;
}

size_t
waiter_on(waiter *w, afar__home *home, afar__direction direction, int value)
{
    return add(
        w, (afar__guard){ .home = home, .direction = direction, .user = (void *)(intptr_t)value });
}

size_t
waiter_far(waiter *w, line *l, int value)
{
    return add(w, (afar__guard){ .proxy = l->proxy,
                                 .direction = l->direction,
                                 .user = (void *)(intptr_t)value });
}

size_t
waiter_other(waiter *w)
{
    return add(w, (afar__guard){ .user = NULL });
}

void
waiter_open(waiter *w, process *p, bool by_priority)
{
    afar__select_open(&w->select, &p->board, w->guards, w->count, by_priority, w);
}

void
waiter_one(waiter *w, process *p, afar__home *home, afar__direction direction, int value)
{
    waiter_init(w);
    waiter_on(w, home, direction, value);
    waiter_open(w, p, false);
}

void
waiter_one_far(waiter *w, process *p, line *l, int value)
{
    waiter_init(w);
    waiter_far(w, l, value);
    waiter_open(w, p, false);
}

bool
waiter_begin(waiter *w)
{
    w->done = 0;
    w->value = 0;
    return afar__select_begin(&w->select, false);
}

bool
waiter_poll(waiter *w)
{
    w->done = 0;
    w->value = 0;
    return afar__select_begin(&w->select, true);
}

void
waiter_give_up(waiter *w)
{
    afar__proxy *proxy;
    afar__seat *seat;

    CHECK_INT(w->done, 0);
    CHECK(afar__select_give_up(&w->select, &proxy, &seat));
    CHECK(!proxy != !seat);
    if (proxy)
        line_cut_proxy(afar__proxy_user(proxy));
    else
        line_cut_seat(afar__seat_user(seat));
    CHECK_INT(w->done, 1);
    CHECK(!afar__select_give_up(&w->select, &proxy, &seat));
}

int
waiter_result(waiter *w, afar_code *ret_code)
{
    int guard = w->select.happened ? (int)(w->select.happened - w->guards) : -1;

    *ret_code = w->select.code;
    if (w->select.parcel) {
        w->value = w->select.parcel->value;
        parcel_free(w->select.parcel);
    }
    afar__select_next(&w->select);
    return guard;
}

void
check_result(const char *file, int line_number, waiter *w, int guard, afar_code code)
{
    afar_code actual;
    int which = waiter_result(w, &actual);

    if (which != guard || actual != code)
        check_fail(file, line_number, "guard %d with %s, expected %d with %s", which,
                   afar_code_name(actual), guard, afar_code_name(code));
}

void
waiter_close(waiter *w)
{
    afar__select_close(&w->select);
}
