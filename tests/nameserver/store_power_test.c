/* The store when the power fails, at every moment, and when the disk does. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "store_disk.h"
#include "store_model.h"

#define COMMITS 400

/* The store flushes its folder by itself.  This is in place of the C library's. */
int
fsync(int fd)
{
    (void)fd;
    disk_flush_folder();
    return 0;
}

struct history {
    struct place place;
    struct model model;
    size_t opened;                /* the position when the new store was open */
    uint32_t settled;             /* commits before position 0 */
    size_t answered[COMMITS + 1]; /* the position when a commit was acknowledged */
};

static afar__store *
open_ok(const char *path)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__store *store = NULL;

    CHECK_OK(afar__store_open(path, &store, &err));
    return store;
}

static afar__store *
begin(struct history *history, size_t names, size_t leases)
{
    afar__store *store;

    memset(history, 0, sizeof *history);
    disk_start();
    place_make(&history->place);
    store = open_ok(history->place.path);
    history->opened = disk_position();
    model_init(&history->model, model_revision(store), names, leases);
    return store;
}

static void
commit(struct history *history, afar__store *store, uint32_t times)
{
    afar_error err = AFAR_ERROR_INIT;

    for (uint32_t i = 0; i < times; i++) {
        CHECK(history->model.step < COMMITS);
        CHECK_OK(model_commit(&history->model, store, &err));
        history->answered[history->model.step] = disk_position();
    }
}

static void
settle(struct history *history)
{
    disk_settle();
    history->opened = 0;
    history->settled = history->model.step;
}

static void
end(const struct history *history)
{
    disk_stop();
    place_remove(&history->place);
}

/* The last commit that was acknowledged before a position. */
static uint32_t
answered_at(const struct history *history, size_t position)
{
    uint32_t step = history->settled;

    while (step < history->model.step && history->answered[step + 1] <= position)
        step++;
    return step;
}

/* What is wrong with the store after a power failure at a position; NULL for nothing.  One
 * commit may be there that was not acknowledged. */
static const char *
find_wrong(const struct history *history, size_t position)
{
    static char message[512];
    afar_error err = AFAR_ERROR_INIT;
    uint32_t answered = answered_at(history, position);
    const char *difference = NULL;
    struct model model = history->model;
    afar__store *store = NULL;
    uint64_t revision;

    if (afar__store_open(history->place.path, &store, &err) != AFAR_OK) {
        snprintf(message, sizeof message, "%s", err.message);
        afar_error_clear(&err);
        return message;
    }
    revision = model_revision(store);
    if (position < history->opened)
        model.first = revision; /* made anew */
    if (revision < model.first + answered)
        difference = "an acknowledged commit is lost";
    else if (revision > model.first + answered + 1)
        difference = "a commit of the future";
    model_go_to(&model, difference ? 0 : (uint32_t)(revision - model.first));
    if (!difference)
        CHECK_OK(model_compare(&model, store, &difference, &err));
    if (!difference) {
        CHECK_OK(model_commit(&model, store, &err));
        CHECK_OK(model_compare(&model, store, &difference, &err));
    }
    store->ops->close(store);
    return difference;
}

/* Loses power at positions `stride` apart; the number of times that it did harm. */
static int
lose_power_everywhere(const struct history *history, size_t stride, bool may_harm)
{
    static const struct {
        disk_loss loss;
        uint32_t seed;
    } losses[] = {
        { DISK_KEEP, 0 }, { DISK_DROP, 0 }, { DISK_TEAR, 1 }, { DISK_TEAR, 2 }, { DISK_TEAR, 3 }
    };
    size_t count = disk_position();
    int harms = 0;

    for (size_t position = 0; position <= count; position += stride)
        for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
            const char *wrong;

            disk_lose_power(position, losses[i].loss, losses[i].seed);
            wrong = find_wrong(history, position);
            if (wrong && !may_harm)
                check_fail(__FILE__, __LINE__, "power fails at %zu of %zu (kind %d, seed %u): %s",
                           position, count, (int)losses[i].loss, losses[i].seed, wrong);
            harms += wrong != NULL;
        }
    return harms;
}

/* From the file's first byte, over closing and opening again. */
TEST(power_failure_loses_no_acknowledged_commit)
{
    struct history history;
    afar__store *store = begin(&history, 30, 5);

    commit(&history, store, 8);
    store->ops->close(store);
    store = open_ok(history.place.path);
    commit(&history, store, 6);
    store->ops->close(store);
    CHECK(disk_position() > 200);
    lose_power_everywhere(&history, 1, false);
    end(&history);
}

/* While the log, full, goes back into the file and begins anew. */
TEST(power_failure_while_the_log_is_written_back)
{
    struct history history;
    afar__store *store = begin(&history, 200, 20);

    do {
        settle(&history);
        commit(&history, store, 1);
    } while (!disk_wrote_back());
    commit(&history, store, 3);
    lose_power_everywhere(&history, 7, false);
    store->ops->close(store);
    end(&history);
}

/* The disk and the comparison are sharp enough to see what flushing is for. */
TEST(without_flushing_power_failures_do_harm)
{
    struct history history;
    afar__store *store = begin(&history, 30, 5);

    settle(&history);
    disk_stop_flushing();
    commit(&history, store, 8);
    store->ops->close(store);
    CHECK(lose_power_everywhere(&history, 1, true) > 50);
    end(&history);
}

/* ---- a disk that fails ---- */

static void
check_holds(afar__store *store, const struct model *model)
{
    afar_error err = AFAR_ERROR_INIT;
    const char *difference = NULL;

    CHECK_OK(model_compare(model, store, &difference, &err));
    CHECK_STR(difference, NULL);
}

static void
check_failure(const afar_error *err, disk_failure failure, const char *path)
{
    CHECK(strstr(err->message, path) != NULL);
    if (failure == DISK_FULL && err->code != AFAR_RESOURCE_EXHAUSTED)
        check_fail(__FILE__, __LINE__, "a full disk is %s: %s", afar_code_name(err->code),
                   err->message);
    else if (failure != DISK_FULL && err->code != AFAR_UNAVAILABLE)
        check_fail(__FILE__, __LINE__, "a bad disk is %s: %s", afar_code_name(err->code),
                   err->message);
}

/* Opens a store and reads it once: SQLite may leave the log's opening until then. */
static afar_code
open_and_read(const char *path, afar__store **ret_store, uint64_t *ret_revision, afar_error *err)
{
    afar__store *store = NULL;
    afar_code code = afar__store_open(path, &store, err);

    if (code != AFAR_OK)
        return code;
    code = model_read_revision(store, ret_revision, err);
    if (code != AFAR_OK)
        store->ops->close(store);
    else
        *ret_store = store;
    return code;
}

/* Opens and commits while the disk fails; whatever fails changes nothing, and goes well
 * once the disk is mended.  False when nothing failed. */
static bool
work_on_bad_disk(disk_failure failure, int after, bool for_good)
{
    afar_error err = AFAR_ERROR_INIT;
    struct model model;
    struct place place;
    afar__store *store = NULL;
    uint64_t revision = 0;
    bool failed = false;

    disk_start();
    place_make(&place);
    disk_fail(failure, after, for_good);
    if (open_and_read(place.path, &store, &revision, &err) != AFAR_OK) {
        check_failure(&err, failure, place.path);
        CHECK(disk_mend());
        failed = true;
        CHECK_OK(open_and_read(place.path, &store, &revision, &err));
    }
    model_init(&model, revision, 30, 5);
    for (int i = 0; i < 4; i++) {
        if (model_commit(&model, store, &err) != AFAR_OK) {
            check_failure(&err, failure, place.path);
            CHECK(disk_mend());
            failed = true;
            check_holds(store, &model);
            CHECK_OK(model_commit(&model, store, &err));
        }
        check_holds(store, &model);
    }
    store->ops->close(store);
    failed |= disk_mend();
    store = open_ok(place.path);
    check_holds(store, &model);
    store->ops->close(store);
    afar_error_clear(&err);
    disk_stop();
    place_remove(&place);
    return failed;
}

TEST(each_failure_of_the_disk_changes_nothing)
{
    for (int failure = DISK_FULL; failure <= DISK_BAD_READ; failure++)
        for (int for_good = 0; for_good <= 1; for_good++) {
            int after = 0;

            while (work_on_bad_disk((disk_failure)failure, after, for_good))
                after++;
            CHECK(after > 3);
        }
}
