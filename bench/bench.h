#ifndef AFAR_BENCH_H
#define AFAR_BENCH_H

/* What the programs of the benchmark share, in C and C++: their command line,
 * payloads whose replies can be checked, the meter, and the report.
 *
 * Every program is started by bench/run, as one of
 *
 *     PROGRAM WORK VARIANT ADDRESS                                   a server
 *     PROGRAM WORK VARIANT ADDRESS SECONDS WARM-UP SERVER-PID        a client
 *
 * (programs that are both want "server" or "client" first).  A work that needs one process
 * only is a client without a server: its SERVER-PID is 0.  A server prints "ready ADDRESS" when
 * it listens.  A client prints one JSON object.
 * Whatever goes wrong ends the program with a line on standard error: a figure
 * is printed only if every reply was right. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_SMALL 64           /* bytes of a small message */
#define BENCH_BULK (1024 * 1024) /* bytes of a big one */
#define BENCH_WINDOW 64          /* calls outstanding in conc and conc8 */
#define BENCH_THREADS 8          /* threads in conc8, each with its share of the window */
#define BENCH_BATCH                                                                                \
    64 /* what takes less than a few looks at the clock is measured
                                    by so many at a time */

typedef enum bench_work {
    BENCH_SEQ,        /* one small call after the other */
    BENCH_CONC,       /* a window of small calls, from one thread */
    BENCH_CONC8,      /* the same from several threads */
    BENCH_BULK_ECHO,  /* one big call after the other */
    BENCH_STREAM,     /* small messages one way, acknowledged at the end */
    BENCH_THINK,      /* small calls with a pause of 1 ms between them */
    BENCH_IDLE,       /* an open connection and nothing to do */
    BENCH_PINGPONG,   /* a small message to another thread and back, two rendezvous */
    BENCH_COMMSTIME,  /* a ring of three processes, the numbers of which a fourth takes */
    BENCH_RENDEZVOUS, /* a small message to another process, sent when it was taken */
    BENCH_SELECT4,    /* a small message from one of 4 channels, each in its turn */
    BENCH_SELECT256,  /* the same from one of 256 */
    BENCH_MANY        /* channels that are open */
} bench_work;

typedef struct bench_options {
    bench_work work;
    const char *variant; /* how this program goes about it, if it knows several ways */
    const char *address;
    int64_t measured_ns;
    int64_t warm_ns;
    pid_t server; /* 0: there is none */
} bench_options;

/* Prints a line and ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void
bench_fail(const char *format, ...);

/* Reads the command line, three words or six.  Also bounds the life of the
 * program: it ends with its parent, and at the latest a minute after its time. */
void
bench_options_read(bench_options *options, int count, char **words);

/* Says that the server listens. */
void
bench_ready(const char *address);

/* ---- clocks ---- */

int64_t
bench_now(void);

void
bench_sleep(int64_t ns);

/* The pause between two calls of `think`; the next call begins after it. */
void
bench_think(int64_t *since);

/* A moment, and the CPU time that both processes had used by then: 0 for a server that there
 * is not. */
typedef struct bench_usage {
    int64_t wall;
    int64_t client;
    int64_t server;
} bench_usage;

bench_usage
bench_usage_now(pid_t server);

/* ---- payloads: each depends on its number, so that no reply can be mistaken ---- */

typedef struct bench_payload {
    uint8_t *data;
    size_t length;
} bench_payload;

/* A payload of BENCH_SMALL or BENCH_BULK bytes, as the work wants it. */
bench_payload
bench_payload_new(bench_work work);

/* Makes it the payload with that number.  A big one is not written anew: its
 * number is put into every page. */
void
bench_payload_set(bench_payload *payload, uint64_t number);

/* Fails unless the reply equals the payload.  Of big replies every page is looked
 * at, and every 64th reply is compared as a whole. */
void
bench_payload_check(const bench_payload *payload, uint64_t number, const void *reply,
                    size_t length);

/* The small message with that number. */
void
bench_small_set(uint8_t *data, uint64_t number);

bool
bench_small_is(const void *data, size_t length, uint64_t number);

/* ---- the stream's receiving end ---- */

/* The number of the message that asks for an acknowledgement. */
#define BENCH_STREAM_END UINT64_MAX

typedef enum bench_taken { BENCH_TAKEN, BENCH_TAKEN_END, BENCH_TAKEN_WRONG } bench_taken;

/* Takes one message: it must be number `*count`, which is then counted, or the end. */
bench_taken
bench_stream_take(const void *data, size_t length, uint64_t *count);

/* Whether the sender goes on: looks at the clock now and then only. */
bool
bench_stream_more(int64_t end, uint64_t sent);

/* ---- the meter: counts what is done within its window of time ---- */

/* Latencies of up to 68 s, each known to within 1/512 of itself. */
#define BENCH_BUCKETS 7680

typedef struct bench_meter {
    int64_t begin;
    int64_t end;
    uint64_t calls;
    uint32_t buckets[BENCH_BUCKETS];
    bool leads; /* takes the usage */
    pid_t server;
    bench_usage from;
    bench_usage to;
} bench_meter;

/* Starts a meter whose window begins after the warm-up.  Of several meters that run at a
 * time, `leads` is true for one. */
void
bench_meter_start(bench_meter *meter, const bench_options *options, int64_t now, bool leads);

/* A call that began at `*since` is done, and its reply was right.  Sets `*since` to now;
 * false when the time is over. */
bool
bench_meter_note(bench_meter *meter, int64_t *since);

/* The same for several calls, which are taken to have been equally long. */
bool
bench_meter_note_batch(bench_meter *meter, int64_t *since, uint64_t calls);

/* Adds the calls of `other`. */
void
bench_meter_add(bench_meter *meter, const bench_meter *other);

/* ---- reports ---- */

void
bench_report_meter(const bench_meter *meter);

/* So many messages between two moments. */
void
bench_report_stream(uint64_t messages, bench_usage from, bench_usage to);

/* Bytes of memory that a process has to itself at this moment; 0 is this process. */
int64_t
bench_memory_of(pid_t process);

/* So many things were made between two moments, and take so much in each process. */
void
bench_report_memory(uint64_t count, bench_usage from, bench_usage to, int64_t client_bytes,
                    int64_t server_bytes);

/* Nothing was done for the measured time: sleeps, then reports the CPU time that was used a
 * second all the same. */
void
bench_report_idle(const bench_options *options);

#ifdef __cplusplus
}
#endif

#endif
