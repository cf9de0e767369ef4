/* Users of transports for tests: what end.h says. */

#include "end.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define PATIENCE 15 /* seconds */

/* ---- being told ---- */

static void
enter(struct end *end)
{
    CHECK_INT(atomic_fetch_add(&end->inside, 1), 0);
    pthread_mutex_lock(&end->lock);
    CHECK_INT(end->overs, 0);
}

static void
leave(struct end *end, void (*then)(struct end *end))
{
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->lock);
    if (then)
        then(end);
    atomic_fetch_sub(&end->inside, 1);
}

static void
received(void *arg, const uint8_t *data, size_t length)
{
    struct end *end = arg;

    enter(end);
    CHECK(end->got < end->asked);
    pthread_mutex_unlock(&end->lock);
    if (end->received)
        end->received(end, data, length);
    pthread_mutex_lock(&end->lock);
    end->got++;
    end->bytes += length;
    leave(end, NULL);
}

static void
sent(void *arg)
{
    struct end *end = arg;

    enter(end);
    end->gone++;
    CHECK(end->gone <= end->given);
    leave(end, end->sent);
}

static void
over(void *arg, const afar_error *why)
{
    struct end *end = arg;

    enter(end);
    afar_error_copy(&end->why, why);
    pthread_mutex_unlock(&end->lock);
    if (end->over)
        end->over(end);
    atomic_fetch_sub(&end->inside, 1);
    pthread_mutex_lock(&end->lock);
    end->overs++;
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->lock);
}

static const afar__transport_user user = { received, sent, over };

/* ---- doing ---- */

void
end_init(struct end *end)
{
    pthread_condattr_t attributes;

    memset(end, 0, sizeof *end);
    pthread_mutex_init(&end->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&end->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void
end_attach(struct end *end, afar__transport *transport)
{
    transport->user = &user;
    transport->arg = end;
    pthread_mutex_lock(&end->lock);
    end->transport = transport;
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->lock);
}

void
end_start(struct end *end)
{
    end->transport->ops->start(end->transport);
}

void
end_receive(struct end *end)
{
    pthread_mutex_lock(&end->lock);
    end->asked++;
    pthread_mutex_unlock(&end->lock);
    end->transport->ops->receive(end->transport);
}

static void
ask_again(struct end *end, const uint8_t *data, size_t length)
{
    (void)data;
    (void)length;
    end_receive(end);
}

void
end_drain(struct end *end)
{
    end->received = ask_again;
    end_receive(end);
}

void
end_send(struct end *end, const void *data, size_t length)
{
    uint8_t *copy = malloc(length + 1);

    CHECK(copy);
    if (length > 0)
        memcpy(copy, data, length);
    pthread_mutex_lock(&end->lock);
    end->given++;
    pthread_mutex_unlock(&end->lock);
    end->transport->ops->send(end->transport, copy, length);
}

void
end_close(struct end *end, bool abort)
{
    end->transport->ops->close(end->transport, abort);
}

/* ---- waiting ---- */

void
end_wait_attached(struct end *end)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE;
    pthread_mutex_lock(&end->lock);
    while (!end->transport)
        CHECK_INT(pthread_cond_timedwait(&end->changed, &end->lock, &until), 0);
    pthread_mutex_unlock(&end->lock);
}

static void
wait_for(struct end *end, const unsigned *count, unsigned least, const char *what)
{
    struct timespec until;
    int failed = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE;
    pthread_mutex_lock(&end->lock);
    while (*count < least && !failed)
        failed = pthread_cond_timedwait(&end->changed, &end->lock, &until);
    if (failed)
        check_fail(__FILE__, __LINE__, "waited for %u %s, %u came; over: %u, %s", least, what,
                   *count, end->overs, end->why.message);
    pthread_mutex_unlock(&end->lock);
}

void
end_wait_got(struct end *end, unsigned count)
{
    wait_for(end, &end->got, count, "batches");
}

void
end_wait_sent(struct end *end, unsigned count)
{
    wait_for(end, &end->gone, count, "batches to be sent");
}

void
end_wait_over(struct end *end)
{
    wait_for(end, &end->overs, 1, "ends");
}

unsigned
end_sent(struct end *end)
{
    unsigned count;

    pthread_mutex_lock(&end->lock);
    count = end->gone;
    pthread_mutex_unlock(&end->lock);
    return count;
}

bool
end_is_over(struct end *end)
{
    bool is;

    pthread_mutex_lock(&end->lock);
    is = end->overs > 0;
    pthread_mutex_unlock(&end->lock);
    return is;
}

void
end_finish(struct end *end, afar_code why)
{
    end_wait_over(end);
    if (end->why.code != why)
        check_fail(__FILE__, __LINE__, "over with %s, expected %s: %s",
                   afar_code_name(end->why.code), afar_code_name(why), end->why.message);
    end_free(end);
}

void
end_free(struct end *end)
{
    if (end->transport)
        end->transport->ops->free(end->transport);
    end->transport = NULL;
    afar_error_clear(&end->why);
    pthread_mutex_destroy(&end->lock);
    pthread_cond_destroy(&end->changed);
}

/* ---- batches ---- */

uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void
fill(uint64_t number, uint8_t *data, size_t length)
{
    uint64_t state = number;

    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = next_random(&state);

        memcpy(data + i, &word, length - i < 8 ? length - i : 8);
    }
}

uint8_t *
batch_make(uint64_t number, size_t length)
{
    uint8_t *data = malloc(length + 1);

    CHECK(data);
    fill(number, data, length);
    return data;
}

void
batch_check(uint64_t number, const uint8_t *data, size_t length)
{
    uint8_t *expected = batch_make(number, length);

    if (length > 0)
        CHECK_INT(memcmp(data, expected, length), 0);
    free(expected);
}
