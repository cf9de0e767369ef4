/* The primes up to a limit, by a sieve of processes.
 *
 *     primes LIMIT [--processes N]
 *
 * A stage is a process that keeps the first number it receives, which is a prime, and passes on those that are
 * no multiple of it.  The first one receives 2, 3, 4, ...; the last one makes the next when a number comes
 * through.
 *
 *     numbers -> 2 -> 3 -> 5 -> 7 -> ...     and each says its prime to `primes`
 *
 * A stage is a thread.  The chain is cut into segments, which are all the same to it: one that is a thread of
 * this program, or N that are programs of their own, which are this one with another argument.  What a stage
 * sends goes to the next thread or to the next program, and it cannot tell.
 *
 * When the numbers end each stage ends behind the one before it.  When anything fails all of it is
 * poisoned: kill a segment and see. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>
#include <afar/spawn.h>

#include "number.afar.h"

#define PATIENCE afar_after_ms(10000)
#define MAX_PROCESSES 100

/* A part of the chain. */
struct segment {
    primes_number_receiver *in;
    primes_number_sender *out;    /* to the next segment; NULL: the last one */
    primes_number_sender *primes; /* used by all its stages */
    size_t stages;                /* that it has at most, if it is not the last one */
    afar_network *network;
};

struct stage {
    struct segment *segment;
    size_t place; /* from 1 */
    primes_number_receiver *in;
};

/* ---- a stage ---- */

static afar_code
receive(primes_number_receiver *in, uint64_t *ret_value, afar_error *err)
{
    Primes__Number *number = NULL;
    afar_code code = primes_number_receive(in, AFAR_FOREVER, &number, err);

    if (code)
        return code;
    *ret_value = number->value;
    afar_message_free(number);
    return AFAR_OK;
}

static afar_code
send(primes_number_sender *out, uint64_t value, afar_error *err)
{
    Primes__Number number = PRIMES__NUMBER__INIT;

    number.value = value;
    return primes_number_send(out, &number, AFAR_FOREVER, err);
}

static afar_code
run_stage(void *arg, afar_error *err);

/* Makes the stage behind this one, and the channel to it. */
static afar_code
make_next(const struct stage *stage, primes_number_sender **ret_out, afar_error *err)
{
    struct stage *next = malloc(sizeof *next);
    afar_code code;

    if (!next)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a stage");
    *next = (struct stage){ stage->segment, stage->place + 1, NULL };
    code = primes_number_rendezvous_new(ret_out, &next->in, err);
    if (code) {
        free(next);
        return code;
    }
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", next->in), AFAR_GIVE_END };
    code = afar_network_run(stage->segment->network, "a stage", run_stage, next, given, err);
    if (code)
        free(next);
    return code;
}

/* `ret_made` is the sender to a stage that was made. */
static afar_code
filter(const struct stage *stage, uint64_t prime, primes_number_sender **ret_made, afar_error *err)
{
    const struct segment *segment = stage->segment;
    primes_number_sender *out = stage->place == segment->stages ? segment->out : NULL;
    afar_code code;
    uint64_t value;

    while (!(code = receive(stage->in, &value, err))) {
        if (value % prime == 0)
            continue;
        if (!out) {
            if ((code = make_next(stage, ret_made, err)))
                break;
            out = *ret_made;
        }
        if ((code = send(out, value, err)))
            break;
    }
    return code;
}

static afar_code
run_stage(void *arg, afar_error *err)
{
    struct stage *stage = arg;
    primes_number_sender *made = NULL;
    afar_code code;
    uint64_t prime;

    if (!(code = receive(stage->in, &prime, err)) &&
        !(code = send(stage->segment->primes, prime, err)))
        code = filter(stage, prime, &made, err);
    primes_number_sender_close(made);
    free(stage);
    return code;
}

/* ---- a segment ---- */

/* A process that is a network itself. */
static afar_code
run_segment(void *arg, afar_error *err)
{
    struct segment *segment = arg;
    struct stage *first = malloc(sizeof *first);
    afar_code code;

    if (!first)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a stage");
    *first = (struct stage){ segment, 1, segment->in };
    code = afar_network_open(&segment->network, err);
    if (code) {
        free(first);
        return code;
    }
    code = afar_network_run(segment->network, "a stage", run_stage, first, NULL, err);
    if (code)
        free(first);
    else
        code = afar_network_wait(segment->network, AFAR_FOREVER, err);
    afar_network_close(segment->network);
    return code;
}

/* The program of a segment that is one. */
static afar_code
be_segment(struct segment *segment, bool last, afar_error *err)
{
    afar_client *client = NULL;
    afar_code code;

    if (!(code = afar_client_open(NULL, NULL, &client, err)) &&
        !(code =
              primes_number_receiver_open(client, "inherited:in", PATIENCE, &segment->in, err)) &&
        !(code = primes_number_sender_open(client, "inherited:primes", PATIENCE, &segment->primes,
                                           err)) &&
        (last || !(code = primes_number_sender_open(client, "inherited:out", PATIENCE,
                                                    &segment->out, err))))
        code = run_segment(segment, err);
    if (!code && segment->out)
        code = primes_number_sender_finish(segment->out, PATIENCE, err);
    if (!code)
        code = primes_number_sender_finish(segment->primes, PATIENCE, err);
    primes_number_receiver_close(segment->in);
    primes_number_sender_close(segment->out);
    primes_number_sender_close(segment->primes);
    afar_client_close(client);
    return code;
}

/* ---- the whole ---- */

struct sieve {
    uint64_t limit;
    int processes;                /* 0: all are threads of this one */
    primes_number_sender *first;  /* 2, 3, 4, ... */
    primes_number_receiver *last; /* of the chain as far as it is made */
    primes_number_sender *primes;
    struct segment segment; /* if it is a thread */
    afar_network *network;
    afar_server *server;
};

static afar_code
count_up(void *arg, afar_error *err)
{
    struct sieve *sieve = arg;
    afar_code code = AFAR_OK;

    for (uint64_t value = 2; value <= sieve->limit && !code; value++)
        code = send(sieve->first, value, err);
    return code;
}

static afar_code
start_thread(struct sieve *sieve, afar_error *err)
{
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", sieve->last),
                           AFAR_GIVE_SENDER("primes", sieve->primes), AFAR_GIVE_END };

    sieve->segment.in = sieve->last;
    sieve->segment.primes = sieve->primes;
    sieve->last = NULL;
    sieve->primes = NULL;
    return afar_network_run(sieve->network, "the sieve", run_segment, &sieve->segment, given, err);
}

/* So that each segment has as many; there are fewer primes than that. */
static int
stages_of_each(const struct sieve *sieve)
{
    double limit = (double)sieve->limit;
    double primes = limit < 3 ? 2 : 1.26 * limit / log(limit);

    return (int)(primes / sieve->processes) + 1;
}

static afar_code
start_program(struct sieve *sieve, bool last, afar_error *err)
{
    char stages[20];
    const char *const argv[] = { "/proc/self/exe", "--segment", stages, last ? "last" : NULL,
                                 NULL };
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    primes_number_receiver *in = sieve->last, *next = NULL;
    primes_number_sender *out = NULL, *primes = NULL;
    afar_code code = primes_number_sender_share(sieve->primes, &primes, err);

    if (!code && !last)
        code = primes_number_rendezvous_new(&out, &next, err);
    if (code) {
        primes_number_sender_close(primes);
        return code;
    }
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", in), AFAR_GIVE_SENDER("primes", primes),
                           AFAR_GIVE_SENDER("out", out), AFAR_GIVE_END };
    snprintf(stages, sizeof stages, "%d", stages_of_each(sieve));
    sieve->last = next;
    options.name = "segment";
    return afar_network_spawn(sieve->network, sieve->server, argv, given, &options, err);
}

static afar_code
start_programs(struct sieve *sieve, afar_error *err)
{
    afar_code code;

    if (!(code = afar_server_open(NULL, "127.0.0.1:0", NULL, &sieve->server, err)))
        code = afar_server_start(sieve->server, err);
    for (int i = 1; i <= sieve->processes && !code; i++)
        code = start_program(sieve, i == sieve->processes, err);
    primes_number_sender_close(sieve->primes);
    sieve->primes = NULL;
    return code;
}

static afar_code
start(struct sieve *sieve, primes_number_receiver **ret_primes, afar_error *err)
{
    afar_code code;

    if ((code = afar_network_open(&sieve->network, err)) ||
        (code = primes_number_rendezvous_new(&sieve->primes, ret_primes, err)) ||
        (code = primes_number_rendezvous_new(&sieve->first, &sieve->last, err)))
        return code;
    afar_given given[] = { AFAR_GIVE_SENDER("out", sieve->first), AFAR_GIVE_END };
    code = afar_network_run(sieve->network, "the numbers", count_up, sieve, given, err);
    if (code)
        return code;
    return sieve->processes == 0 ? start_thread(sieve, err) : start_programs(sieve, err);
}

static afar_code
print_primes(struct sieve *sieve, afar_error *err)
{
    primes_number_receiver *primes = NULL;
    afar_code code = start(sieve, &primes, err);
    uint64_t prime;

    if (!code) {
        while (!receive(primes, &prime, NULL))
            printf("%" PRIu64 "\n", prime);
        /* Why there are no more is what the network knows. */
        primes_number_receiver_close(primes);
        primes = NULL;
        code = afar_network_wait(sieve->network, AFAR_FOREVER, err);
    }
    primes_number_receiver_close(primes);
    primes_number_receiver_close(sieve->last);
    primes_number_sender_close(sieve->primes);
    afar_network_close(sieve->network);
    afar_server_close(sieve->server);
    return code;
}

/* ---- the program ---- */

static bool
read_arguments(int argc, char **argv, struct sieve *sieve)
{
    char *end;

    if (argc != 2 && (argc != 4 || strcmp(argv[2], "--processes") != 0))
        return false;
    sieve->limit = strtoull(argv[1], &end, 10);
    if (*end || argv[1][0] == '-' || end == argv[1])
        return false;
    if (argc == 4) {
        sieve->processes = (int)strtol(argv[3], &end, 10);
        return !*end && end != argv[3] && sieve->processes >= 0 &&
               sieve->processes <= MAX_PROCESSES;
    }
    return true;
}

int
main(int argc, char **argv)
{
    struct segment segment = { .stages = 0 };
    struct sieve sieve = { .limit = 0 };
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if (argc > 2 && strcmp(argv[1], "--segment") == 0) {
        segment.stages = strtoul(argv[2], NULL, 10);
        code = be_segment(&segment, argc > 3, &err);
    } else if (read_arguments(argc, argv, &sieve)) {
        code = print_primes(&sieve, &err);
    } else {
        fprintf(stderr, "usage: primes LIMIT [--processes N]   (N is 0 to %d)\n", MAX_PROCESSES);
        return EXIT_FAILURE;
    }
    if (code && code != AFAR_POISONED)
        fprintf(stderr, "primes: %s: %s\n", afar_code_name(code), err.message);
    afar_error_clear(&err);
    return code && code != AFAR_POISONED ? EXIT_FAILURE : EXIT_SUCCESS;
}
