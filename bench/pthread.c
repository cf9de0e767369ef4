/* Beside channels in one process: what threads do without them, a mutex and a condition for each way.
 *
 *     bench-pthread pingpong bare ADDRESS SECONDS WARM-UP 0
 *
 * A slot holds one small message, or none.  Who puts one in does not wait until it is taken, so a round
 * trip changes threads twice, and promises less than two rendezvous. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

typedef struct slot {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool full; /* guarded by lock, as what follows */
    bool over; /* nothing more comes */
    uint8_t data[BENCH_SMALL];
} slot;

static slot there = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
static slot back = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void
put(slot *s, const uint8_t *data)
{
    pthread_mutex_lock(&s->lock);
    memcpy(s->data, data, sizeof s->data);
    s->full = true;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->changed);
}

static void
end(slot *s)
{
    pthread_mutex_lock(&s->lock);
    s->over = true;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->changed);
}

/* False when it is over. */
static bool
take(slot *s, uint8_t *data)
{
    pthread_mutex_lock(&s->lock);
    while (!s->full && !s->over)
        pthread_cond_wait(&s->changed, &s->lock);
    bool full = s->full;
    memcpy(data, s->data, sizeof s->data);
    s->full = false;
    pthread_mutex_unlock(&s->lock);
    return full;
}

static void *
echo(void *arg)
{
    uint8_t data[BENCH_SMALL];

    (void)arg;
    while (take(&there, data))
        put(&back, data);
    return NULL;
}

static void
call_once(uint64_t number)
{
    uint8_t data[BENCH_SMALL];

    bench_small_set(data, number);
    put(&there, data);
    if (!take(&back, data) || !bench_small_is(data, sizeof data, number))
        bench_fail("message %llu is not what came back", (unsigned long long)number);
}

int
main(int argc, char **argv)
{
    static bench_meter meter;
    bench_options options;
    pthread_t thread;
    uint64_t number = 0;

    bench_options_read(&options, argc - 1, argv + 1);
    if (options.work != BENCH_PINGPONG)
        bench_fail("there is only pingpong");
    if (pthread_create(&thread, NULL, echo, NULL))
        bench_fail("a thread could not be made");
    int64_t since = bench_now();
    bench_meter_start(&meter, &options, since, true);
    do {
        for (size_t i = 0; i < BENCH_BATCH; i++)
            call_once(number++);
    } while (bench_meter_note_batch(&meter, &since, BENCH_BATCH));
    bench_report_meter(&meter);
    end(&there);
    pthread_join(thread, NULL);
    return EXIT_SUCCESS;
}
