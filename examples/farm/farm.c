/* A picture of the Mandelbrot set, drawn by a farm of processes.
 *
 *     farm [--workers N] [--rows N] [--depth N]
 *
 * The farmer gives out rows and puts them together.  A worker is a program of its own (this one, with another
 * argument) and has two channels: jobs come by one, results go by the other.  The farmer waits for
 * whatever happens first among all of them: a worker takes a job, a result comes, a worker is lost.
 *
 * What a lost worker had taken is given to another one: kill one with `kill -9`, and the picture is
 * the same.  When all rows are there the farmer closes the jobs, and the workers end. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/select.h>
#include <afar/spawn.h>

#include "row.afar.h"

#define PATIENCE afar_after_ms(10000)
#define MAX_WORKERS 64
#define MAX_ROWS 1000

/* ---- a worker ---- */

static char
draw_point(double x, double y, unsigned depth)
{
    static const char shades[] = " .:-=+*%";
    double a = 0, b = 0;
    unsigned round = 0;

    for (; round < depth && a * a + b * b < 4; round++) {
        double next = a * a - b * b + x;

        b = 2 * a * b + y;
        a = next;
    }
    return round == depth ? '#' : shades[round < 7 ? round : 7];
}

static char *
draw_row(const Farm__Job *job)
{
    char *text = calloc(1, job->columns + 1u);

    for (unsigned i = 0; text && i < job->columns; i++)
        text[i] =
            draw_point(3.0 * i / job->columns - 2.2, 2.4 * job->row / job->rows - 1.2, job->depth);
    return text;
}

static afar_code
work(farm_job_receiver *jobs, farm_result_sender *results, afar_error *err)
{
    Farm__Result result = FARM__RESULT__INIT;
    Farm__Job *job = NULL;
    afar_code code;

    while (!(code = farm_job_receive(jobs, AFAR_FOREVER, &job, err))) {
        result.row = job->row;
        result.text = draw_row(job);
        code = result.text ? farm_result_send(results, &result, AFAR_FOREVER, err)
                           : afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for a row");
        free(result.text);
        afar_message_free(job);
        if (code)
            break;
    }
    return code;
}

static afar_code
be_worker(afar_error *err)
{
    farm_job_receiver *jobs = NULL;
    farm_result_sender *results = NULL;
    afar_client *client = NULL;
    afar_code code;

    if (!(code = afar_client_open(NULL, NULL, &client, err)) &&
        !(code = farm_job_receiver_open(client, "inherited:jobs", PATIENCE, &jobs, err)) &&
        !(code = farm_result_sender_open(client, "inherited:results", PATIENCE, &results, err)))
        code = work(jobs, results, err);
    if (code == AFAR_ENDED)
        code = farm_result_sender_finish(results, PATIENCE, err);
    farm_result_sender_close(results);
    farm_job_receiver_close(jobs);
    afar_client_close(client);
    return code;
}

/* ---- the farmer ---- */

struct worker {
    farm_job_sender *jobs;
    farm_result_receiver *results;
    bool lost, busy;
    uint32_t row; /* that it has taken */
};

struct farm {
    unsigned workers, rows, depth;
    struct worker worker[MAX_WORKERS];
    char *text[MAX_ROWS];       /* NULL: that row is not there yet */
    uint32_t waiting[MAX_ROWS]; /* rows to be given out, the next one last */
    unsigned waits, done;
    afar_network *network;
    afar_server *server;
};

/* On a thread of the network. */
static void
tell_end(void *arg, afar_code code, const afar_error *err)
{
    (void)arg;
    if (code)
        fprintf(stderr, "farm: %s\n", err->message);
}

static afar_code
hire(struct farm *farm, struct worker *worker, afar_error *err)
{
    const char *const argv[] = { "/proc/self/exe", "--worker", NULL };
    afar_spawn_options options = AFAR_SPAWN_OPTIONS_INIT;
    farm_job_receiver *jobs = NULL;
    farm_result_sender *results = NULL;
    pid_t pid = 0;
    afar_code code;

    options.name = "worker";
    options.may_fail = true;
    options.ended = tell_end;
    options.ret_pid = &pid;
    code = farm_job_rendezvous_new(&worker->jobs, &jobs, err);
    if (code)
        return code;
    code = farm_result_rendezvous_new(&results, &worker->results, err);
    if (code) {
        farm_job_receiver_close(jobs);
        return code;
    }
    afar_given given[] = { AFAR_GIVE_RECEIVER("jobs", jobs), AFAR_GIVE_SENDER("results", results),
                           AFAR_GIVE_END };
    code = afar_network_spawn(farm->network, farm->server, argv, given, &options, err);
    if (!code)
        fprintf(stderr, "farm: worker %d has started\n", (int)pid);
    return code;
}

/* What it had taken is given out again. */
static void
lose(struct farm *farm, struct worker *worker)
{
    worker->lost = true;
    if (worker->busy)
        farm->waiting[farm->waits++] = worker->row;
    worker->busy = false;
}

static void
take_result(struct farm *farm, struct worker *worker, afar_case *came)
{
    Farm__Result *result = (Farm__Result *)came->received;

    came->received = NULL;
    worker->busy = false;
    if (result->row == worker->row && !farm->text[result->row]) {
        farm->text[result->row] = strdup(result->text);
        farm->done += farm->text[result->row] != NULL;
    }
    if (!farm->text[worker->row])
        farm->waiting[farm->waits++] = worker->row;
    afar_message_free(result);
}

/* Two cases for each worker: one that is free may take the next job, one that is busy owes a result. */
static size_t
set_cases(struct farm *farm, const Farm__Job *next, afar_case *cases)
{
    size_t possible = 0;

    for (unsigned i = 0; i < farm->workers; i++) {
        struct worker *worker = &farm->worker[i];
        afar_case give = AFAR_CASE_SEND(farm_job_sender_base(worker->jobs), &next->base);
        afar_case take = AFAR_CASE_RECEIVE(farm_result_receiver_base(worker->results));

        give.off = worker->lost || worker->busy || farm->waits == 0;
        take.off = !worker->busy;
        possible += (give.off ? 0u : 1u) + (take.off ? 0u : 1u);
        cases[2 * i] = give;
        cases[2 * i + 1] = take;
    }
    return possible;
}

/* One thing that happens. */
static afar_code
step(struct farm *farm, afar_error *err)
{
    afar_case cases[2 * MAX_WORKERS];
    Farm__Job next = FARM__JOB__INIT;
    struct worker *worker;
    size_t which;
    afar_code code;

    next.row = farm->waits ? farm->waiting[farm->waits - 1] : 0;
    next.rows = farm->rows;
    next.columns = 2 * farm->rows;
    next.depth = farm->depth;
    if (set_cases(farm, &next, cases) == 0)
        return afar_fail(err, AFAR_LOST, "no worker is left");
    code = afar_select(cases, 2 * farm->workers, AFAR_FAIR, AFAR_FOREVER, &which, NULL);
    worker = &farm->worker[which / 2];
    if (code) {
        lose(farm, worker);
    } else if (which % 2 == 0) {
        worker->busy = true;
        worker->row = next.row;
        farm->waits--;
    } else {
        take_result(farm, worker, &cases[which]);
    }
    return AFAR_OK;
}

static afar_code
run_farm(struct farm *farm, afar_error *err)
{
    afar_code code;

    if (!(code = afar_network_open(&farm->network, err)) &&
        !(code = afar_server_open(NULL, "127.0.0.1:0", NULL, &farm->server, err)))
        code = afar_server_start(farm->server, err);
    for (unsigned i = 0; i < farm->workers && !code; i++)
        code = hire(farm, &farm->worker[i], err);
    for (farm->waits = 0; farm->waits < farm->rows; farm->waits++)
        farm->waiting[farm->waits] = farm->rows - 1 - farm->waits;
    while (!code && farm->done < farm->rows)
        code = step(farm, err);

    for (unsigned i = 0; i < farm->workers; i++) {
        farm_job_sender_close(farm->worker[i].jobs);
        farm_result_receiver_close(farm->worker[i].results);
    }
    if (!code)
        code = afar_network_wait(farm->network, AFAR_FOREVER, err);
    afar_network_close(farm->network);
    afar_server_close(farm->server);
    return code;
}

static afar_code
be_farmer(struct farm *farm, afar_error *err)
{
    afar_code code = run_farm(farm, err);

    for (unsigned i = 0; i < farm->rows; i++) {
        if (!code)
            puts(farm->text[i]);
        free(farm->text[i]);
    }
    return code;
}

/* ---- the program ---- */

static bool
read_number(const char *text, unsigned most, unsigned *ret_number)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*end || end == text || *text == '-' || number < 1 || number > most)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static bool
read_arguments(int argc, char **argv, struct farm *farm)
{
    bool right = argc % 2 == 1;

    for (int i = 1; i < argc && right; i += 2) {
        if (strcmp(argv[i], "--workers") == 0)
            right = read_number(argv[i + 1], MAX_WORKERS, &farm->workers);
        else if (strcmp(argv[i], "--rows") == 0)
            right = read_number(argv[i + 1], MAX_ROWS, &farm->rows);
        else if (strcmp(argv[i], "--depth") == 0)
            right = read_number(argv[i + 1], 1000000000, &farm->depth);
        else
            right = false;
    }
    return right;
}

int
main(int argc, char **argv)
{
    static struct farm farm = { .workers = 4, .rows = 36, .depth = 10000 };
    afar_error err = AFAR_ERROR_INIT;
    bool worker = argc == 2 && strcmp(argv[1], "--worker") == 0;
    afar_code code;

    if (!worker && !read_arguments(argc, argv, &farm)) {
        fprintf(stderr, "usage: farm [--workers 1-%d] [--rows 1-%d] [--depth N]\n", MAX_WORKERS,
                MAX_ROWS);
        return EXIT_FAILURE;
    }
    code = worker ? be_worker(&err) : be_farmer(&farm, &err);
    if (code && code != AFAR_POISONED)
        fprintf(stderr, "farm: %s: %s\n", afar_code_name(code), err.message);
    afar_error_clear(&err);
    return code && code != AFAR_POISONED ? EXIT_FAILURE : EXIT_SUCCESS;
}
