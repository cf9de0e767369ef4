/* The tasks that a thread keeps for itself.
 *
 * Whoever wants to do something with a list exchanges it for nothing first; then it is theirs.
 * The owner puts back what it leaves.  Others only ever take, so what the owner finds empty
 * stays empty, and nobody looks into a task that another thread may have run and freed.
 *
 * A task that does not end is recognized by `steps`, which is odd and stays the same.  The
 * last ones may also wait for long behind many short tasks: then `lasts` stays the same.
 *
 * Most of it is sequentially consistent, for this: the owner counts a step, puts back what waits
 * behind the task, and then asks whether somebody watches (`laden`); who stops watching says so,
 * and then looks at lists and steps.  So one of them sees the other. */

#include "runtime/kept.h"

#include <stddef.h>

/* ---- one list ---- */

static bool
is_empty(afar__kept_list *list)
{
    return atomic_load(&list->first) == NULL;
}

static afar__task *
take_list(afar__kept_list *list)
{
    return is_empty(list) ? NULL : atomic_exchange(&list->first, NULL);
}

static void
add(afar__kept_list *list, afar__task *task)
{
    afar__task *first = take_list(list);

    task->next = NULL;
    if (first)
        *list->end = task;
    else
        first = task;
    list->end = &task->next;
    atomic_store(&list->first, first);
}

static afar__task *
take_first(afar__kept_list *list)
{
    afar__task *first = take_list(list);

    if (first && first->next)
        atomic_store(&list->first, first->next);
    return first;
}

/* ---- the owner ---- */

void
afar__kept_add(afar__kept *kept, afar__task *task)
{
    add(&kept->soon, task);
}

void
afar__kept_add_last(afar__kept *kept, afar__task *task)
{
    add(&kept->last, task);
}

bool
afar__kept_any(afar__kept *kept)
{
    return !is_empty(&kept->soon) || !is_empty(&kept->last);
}

static void
run_first(afar__kept *kept, afar__kept_list *list, void (*laden)(void))
{
    unsigned steps = atomic_load_explicit(&kept->steps, memory_order_relaxed);
    afar__task *task;

    atomic_store(&kept->steps, steps + 1);
    task = take_first(list);
    if (task && afar__kept_any(kept))
        laden();
    if (task)
        task->run(task);
    atomic_store_explicit(&kept->steps, steps + 2, memory_order_release);
}

void
afar__kept_run(afar__kept *kept, void (*laden)(void))
{
    while (!is_empty(&kept->soon))
        run_first(kept, &kept->soon, laden);
}

bool
afar__kept_run_last(afar__kept *kept, void (*laden)(void))
{
    unsigned lasts = atomic_load_explicit(&kept->lasts, memory_order_relaxed);

    if (is_empty(&kept->last))
        return false;
    atomic_store_explicit(&kept->lasts, lasts + 1, memory_order_relaxed);
    run_first(kept, &kept->last, laden);
    return true;
}

/* ---- any thread ---- */

bool
afar__kept_laden(afar__kept *kept)
{
    return afar__kept_any(kept) && atomic_load(&kept->steps) % 2;
}

static afar__task *
join(afar__task *first, afar__task *second)
{
    afar__task **end = &first;

    while (*end)
        end = &(*end)->next;
    *end = second;
    return first;
}

afar__task *
afar__kept_take_all(afar__kept *kept)
{
    afar__task *soon = take_list(&kept->soon);

    return join(soon, take_list(&kept->last));
}

afar__task *
afar__kept_take_late(afar__kept *kept)
{
    unsigned lasts = atomic_load_explicit(&kept->lasts, memory_order_relaxed);
    unsigned steps = atomic_load(&kept->steps);
    afar__task *late = NULL;

    if (steps % 2 && steps == kept->seen_steps)
        late = afar__kept_take_all(kept);
    else if (kept->seen_last && lasts == kept->seen_lasts)
        late = take_list(&kept->last);
    kept->seen_steps = steps;
    kept->seen_lasts = lasts;
    kept->seen_last = !is_empty(&kept->last);
    return late;
}
