/* Waiting for each other: what event.h says. */

#include "event.h"

#include <errno.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PATIENCE_S 15

int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
event_raise(struct event *event)
{
    pthread_mutex_lock(&event->lock);
    event->count++;
    pthread_cond_broadcast(&event->changed);
    pthread_mutex_unlock(&event->lock);
}

void
event_wait(struct event *event, int count)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&event->lock);
    while (event->count < count)
        if (pthread_cond_clockwait(&event->changed, &event->lock, CLOCK_MONOTONIC, &end))
            check_fail(__FILE__, __LINE__, "an event came %d times in %d s, expected %d",
                       event->count, PATIENCE_S, count);
    pthread_mutex_unlock(&event->lock);
}

int
event_count(struct event *event)
{
    pthread_mutex_lock(&event->lock);
    int count = event->count;
    pthread_mutex_unlock(&event->lock);
    return count;
}

static void *
run_worker(void *arg)
{
    struct worker *worker = arg;

    worker->id = (int)syscall(SYS_gettid);
    event_raise(&worker->started);
    worker->run(worker->arg);
    return NULL;
}

void
worker_start(struct worker *worker, void (*run)(void *arg), void *arg)
{
    *worker = (struct worker){ .run = run, .arg = arg, .started = EVENT_INIT };
    CHECK_INT(pthread_create(&worker->thread, NULL, run_worker, worker), 0);
}

void
worker_join(struct worker *worker)
{
    CHECK_INT(pthread_join(worker->thread, NULL), 0);
}

/* The letter of proc(5) for the state of a thread, or '?'. */
static char
state_of(int id)
{
    char path[64], line[256], state = '?';
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
    file = fopen(path, "re");
    if (!file)
        return '?';
    if (fgets(line, sizeof line, file)) {
        const char *end = strrchr(line, ')');

        state = end ? end[2] : '?';
    }
    fclose(file);
    return state;
}

void
worker_wait_asleep(struct worker *worker)
{
    int64_t end = now_ms() + PATIENCE_S * 1000;

    event_wait(&worker->started, 1);
    while (state_of(worker->id) != 'S') {
        CHECK(now_ms() < end);
        poll(NULL, 0, 1);
    }
}

int
thread_count(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    CHECK(folder);
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}
