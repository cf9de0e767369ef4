/* What the programs of the benchmark share; bench.h says what each part is for.
 *
 * How time is measured.  A meter has a window: it begins after the warm-up and
 * lasts as long as the measurement.  A call counts if it ends within the window,
 * so that rates are calls divided by a fixed time, whether one thread or several
 * made them.  The CPU clocks of both processes are read by the thread that leads,
 * when it first sees the window begin and when it sees it end.  That may be a
 * call's time late, so CPU time is divided by the time between the two readings,
 * and then by the rate.
 *
 * The latency of a call costs one look at the clock: its end is the beginning of
 * the next one.  Latencies go into buckets whose width grows with their value,
 * 256 to each doubling; nothing is allocated while calls run.
 *
 * A meter belongs to one thread; nothing else here has state that changes. */

#include "bench.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000
#define MOST_SECONDS 3600
#define GRACE_SECONDS 60
#define THINK_NS 1000000

#define PAGE 4096
#define WHOLE_EVERY 64 /* every so many big replies are compared as a whole */
#define CLOCK_EVERY 64 /* messages of a stream between two looks at the clock */

#define SUB_BITS 8
#define SUB_BUCKETS ((size_t)1 << SUB_BITS)

void
bench_fail(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(EXIT_FAILURE);
}

/* ---- the command line ---- */

static bench_work
read_work(const char *word)
{
    static const char *const names[] = {
        [BENCH_SEQ] = "seq",
        [BENCH_CONC] = "conc",
        [BENCH_CONC8] = "conc8",
        [BENCH_BULK_ECHO] = "bulk",
        [BENCH_STREAM] = "stream",
        [BENCH_THINK] = "think",
        [BENCH_IDLE] = "idle",
        [BENCH_PINGPONG] = "pingpong",
        [BENCH_COMMSTIME] = "commstime",
        [BENCH_RENDEZVOUS] = "rendezvous",
        [BENCH_SELECT4] = "select4",
        [BENCH_SELECT256] = "select256",
        [BENCH_MANY] = "many",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i]) == 0)
            return (bench_work)i;
    bench_fail("there is no work called %s", word);
}

static int64_t
read_seconds(const char *word)
{
    char *rest = NULL;
    double seconds = strtod(word, &rest);

    if (rest == word || *rest != '\0' || !(seconds >= 0 && seconds <= MOST_SECONDS))
        bench_fail("%s is not a number of seconds between 0 and %d", word, MOST_SECONDS);
    return (int64_t)(seconds * NS_PER_S);
}

void
bench_options_read(bench_options *options, int count, char **words)
{
    if (count != 3 && count != 6)
        bench_fail("expected WORK VARIANT ADDRESS [SECONDS WARM-UP SERVER-PID]");
    memset(options, 0, sizeof *options);
    options->work = read_work(words[0]);
    options->variant = words[1];
    options->address = words[2];
    int64_t life = (int64_t)MOST_SECONDS * NS_PER_S;
    if (count == 6) {
        options->measured_ns = read_seconds(words[3]);
        options->warm_ns = read_seconds(words[4]);
        options->server = (pid_t)strtol(words[5], NULL, 10);
        life = options->measured_ns + options->warm_ns;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm((unsigned)(life / NS_PER_S) + GRACE_SECONDS);
}

void
bench_ready(const char *address)
{
    printf("ready %s\n", address);
    fflush(stdout);
}

/* ---- clocks ---- */

static int64_t
read_clock(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t))
        bench_fail("clock_gettime: %s", strerror(errno));
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t
bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void
bench_sleep(int64_t ns)
{
    struct timespec left = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

void
bench_think(int64_t *since)
{
    bench_sleep(THINK_NS);
    *since = bench_now();
}

static int64_t
cpu_time_of(pid_t server)
{
    clockid_t clock;
    int failure = clock_getcpuclockid(server, &clock);

    if (failure)
        bench_fail("the CPU clock of server %d: %s", (int)server, strerror(failure));
    return read_clock(clock);
}

bench_usage
bench_usage_now(pid_t server)
{
    return (bench_usage){ .wall = bench_now(),
                          .client = read_clock(CLOCK_PROCESS_CPUTIME_ID),
                          .server = server ? cpu_time_of(server) : 0 };
}

/* ---- payloads ---- */

/* Mixes a number well enough that neighbours share no words. */
static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x9fb21c651e98df25);
    return x ^ (x >> 28);
}

void
bench_small_set(uint8_t *data, uint64_t number)
{
    uint64_t words[BENCH_SMALL / 8];

    words[0] = number;
    for (size_t i = 1; i < BENCH_SMALL / 8; i++)
        words[i] = mix(number + i);
    memcpy(data, words, sizeof words);
}

bool
bench_small_is(const void *data, size_t length, uint64_t number)
{
    uint8_t expected[BENCH_SMALL];

    bench_small_set(expected, number);
    return length == BENCH_SMALL && memcmp(data, expected, BENCH_SMALL) == 0;
}

bench_payload
bench_payload_new(bench_work work)
{
    bench_payload payload = { .length = work == BENCH_BULK_ECHO ? BENCH_BULK : BENCH_SMALL };

    payload.data = malloc(payload.length);
    if (!payload.data)
        bench_fail("no memory for a payload of %zu bytes", payload.length);
    for (size_t i = 0; i < payload.length; i += 8) {
        uint64_t word = mix(i);
        memcpy(payload.data + i, &word, 8);
    }
    return payload;
}

void
bench_payload_set(bench_payload *payload, uint64_t number)
{
    if (payload->length == BENCH_SMALL) {
        bench_small_set(payload->data, number);
        return;
    }
    for (size_t i = 0; i < payload->length; i += PAGE)
        memcpy(payload->data + i, &number, sizeof number);
}

static bool
same_pages(const uint8_t *sent, const uint8_t *reply, size_t length)
{
    for (size_t i = 0; i < length; i += PAGE)
        if (memcmp(sent + i, reply + i, 8) != 0)
            return false;
    return true;
}

void
bench_payload_check(const bench_payload *payload, uint64_t number, const void *reply, size_t length)
{
    bool same = length == payload->length;

    if (same && (length == BENCH_SMALL || number % WHOLE_EVERY == 0))
        same = memcmp(payload->data, reply, length) == 0;
    else if (same)
        same = same_pages(payload->data, reply, length);
    if (!same)
        bench_fail("the reply to call %llu is not its request (%zu bytes, %zu expected)",
                   (unsigned long long)number, length, payload->length);
}

/* ---- the stream's ends ---- */

bench_taken
bench_stream_take(const void *data, size_t length, uint64_t *count)
{
    if (bench_small_is(data, length, *count)) {
        ++*count;
        return BENCH_TAKEN;
    }
    return bench_small_is(data, length, BENCH_STREAM_END) ? BENCH_TAKEN_END : BENCH_TAKEN_WRONG;
}

bool
bench_stream_more(int64_t end, uint64_t sent)
{
    return sent % CLOCK_EVERY != 0 || bench_now() < end;
}

/* ---- the meter ---- */

static size_t
bucket_of(int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;

    if (value < SUB_BUCKETS)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    size_t bucket = shift * SUB_BUCKETS + (size_t)(value >> shift);
    return bucket < BENCH_BUCKETS ? bucket : BENCH_BUCKETS - 1;
}

/* The middle of a bucket, in microseconds. */
static double
bucket_us(size_t bucket)
{
    if (bucket < 2 * SUB_BUCKETS)
        return (double)bucket / 1e3;
    int shift = (int)(bucket / SUB_BUCKETS) - 1;
    return ldexp((double)(bucket % SUB_BUCKETS + SUB_BUCKETS) + 0.5, shift) / 1e3;
}

void
bench_meter_start(bench_meter *meter, const bench_options *options, int64_t now, bool leads)
{
    memset(meter, 0, sizeof *meter);
    meter->begin = now + options->warm_ns;
    meter->end = meter->begin + options->measured_ns;
    meter->leads = leads;
    meter->server = options->server;
}

bool
bench_meter_note(bench_meter *meter, int64_t *since)
{
    return bench_meter_note_batch(meter, since, 1);
}

bool
bench_meter_note_batch(bench_meter *meter, int64_t *since, uint64_t calls)
{
    int64_t now = bench_now();
    int64_t took = (now - *since) / (int64_t)calls;

    *since = now;
    if (now < meter->begin)
        return true;
    if (now >= meter->end) {
        if (meter->leads)
            meter->to = bench_usage_now(meter->server);
        return false;
    }
    meter->calls += calls;
    meter->buckets[bucket_of(took)] += (uint32_t)calls;
    if (meter->leads && !meter->from.wall) {
        meter->from = bench_usage_now(meter->server);
        *since = bench_now();
    }
    return true;
}

void
bench_meter_add(bench_meter *meter, const bench_meter *other)
{
    meter->calls += other->calls;
    for (size_t i = 0; i < BENCH_BUCKETS; i++)
        meter->buckets[i] += other->buckets[i];
}

/* The latency that the share `share` of all calls stayed under. */
static double
quantile_us(const bench_meter *meter, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)meter->calls);
    uint64_t seen = 0;

    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        seen += meter->buckets[i];
        if (seen > wanted)
            return bucket_us(i);
    }
    return bucket_us(BENCH_BUCKETS - 1);
}

/* ---- reports ---- */

/* `rate` is what CPU time is divided among: calls a second, or 1 for a second itself. */
static void
print_cpu(bench_usage from, bench_usage to, double rate)
{
    double wall = (double)(to.wall - from.wall);

    printf("\"client_cpu_us\":%.4f,", (double)(to.client - from.client) / wall * 1e6 / rate);
    if (to.server)
        printf("\"server_cpu_us\":%.4f}\n", (double)(to.server - from.server) / wall * 1e6 / rate);
    else
        puts("\"server_cpu_us\":null}");
    fflush(stdout);
}

void
bench_report_meter(const bench_meter *meter)
{
    double rate = (double)meter->calls * NS_PER_S / (double)(meter->end - meter->begin);

    if (!meter->calls)
        bench_fail("no call ended within the measured time");
    printf("{\"rate\":%.2f,\"p50_us\":%.3f,\"p99_us\":%.3f,", rate, quantile_us(meter, 0.5),
           quantile_us(meter, 0.99));
    print_cpu(meter->from, meter->to, rate);
}

void
bench_report_stream(uint64_t messages, bench_usage from, bench_usage to)
{
    double rate = (double)messages * NS_PER_S / (double)(to.wall - from.wall);

    if (!messages)
        bench_fail("no message was sent within the measured time");
    printf("{\"rate\":%.2f,\"p50_us\":null,\"p99_us\":null,", rate);
    print_cpu(from, to, rate);
}

int64_t
bench_memory_of(pid_t process)
{
    char path[64] = "/proc/self/statm";
    long long pages, resident, shared;

    if (process)
        snprintf(path, sizeof path, "/proc/%d/statm", (int)process);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%lld %lld %lld", &pages, &resident, &shared) != 3)
        bench_fail("%s cannot be read", path);
    fclose(file);
    return (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE);
}

void
bench_report_memory(uint64_t count, bench_usage from, bench_usage to, int64_t client_bytes,
                    int64_t server_bytes)
{
    double rate = (double)count * NS_PER_S / (double)(to.wall - from.wall);

    printf("{\"rate\":%.2f,\"p50_us\":null,\"p99_us\":null,\"client_bytes\":%.1f,", rate,
           (double)client_bytes / (double)count);
    if (to.server)
        printf("\"server_bytes\":%.1f,", (double)server_bytes / (double)count);
    print_cpu(from, to, rate);
}

void
bench_report_idle(const bench_options *options)
{
    bench_sleep(options->warm_ns);
    bench_usage from = bench_usage_now(options->server);
    bench_sleep(options->measured_ns);
    bench_usage to = bench_usage_now(options->server);

    printf("{\"rate\":0,\"p50_us\":null,\"p99_us\":null,");
    print_cpu(from, to, 1);
}
