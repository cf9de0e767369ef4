/* When handlers wait on all library threads but one, that one may not wait, and says so.  If a home elsewhere
 * has to be asked first whether it was faster, and does not answer, the thread sleeps until it does.
 *
 * Labels: concurrent */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/server.h>

#include "items.h"
#include "runtime/engine.h"
#include "runtime/engine_parts.h"

#define WAITING (AFAR__MAX_THREADS - 1)
#define LOOKS 50 /* one could see it wait for a lock */

/* ---- a home in another process ---- */

struct neighbour {
    pid_t pid;
    char address[100];
};

static void
serve_for_ever(int out)
{
    struct ends ends = make_channel(0);
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server;
    char address[100] = "";

    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &server, &err));
    CHECK_OK(afar_server_export(server, "items", csp_item_receiver_object(ends.receiver), &err));
    CHECK_OK(afar_server_start(server, &err));
    snprintf(address, sizeof address, "afar://%s/items", afar_server_address(server));
    CHECK_INT(write(out, address, sizeof address), sizeof address);
    for (;;)
        pause();
}

/* Before this process has threads. */
static void
start_neighbour(struct neighbour *neighbour)
{
    int ends[2];

    CHECK(!pipe(ends));
    neighbour->pid = fork();
    CHECK(neighbour->pid >= 0);
    if (neighbour->pid == 0)
        serve_for_ever(ends[1]);
    CHECK_INT(read(ends[0], neighbour->address, sizeof neighbour->address),
              sizeof neighbour->address);
    close(ends[0]);
    close(ends[1]);
}

static void
end_neighbour(const struct neighbour *neighbour)
{
    CHECK(!kill(neighbour->pid, SIGKILL));
    CHECK_INT(waitpid(neighbour->pid, NULL, 0), neighbour->pid);
}

static void
stop_neighbour(const struct neighbour *neighbour)
{
    int status;

    CHECK(!kill(neighbour->pid, SIGSTOP));
    CHECK_INT(waitpid(neighbour->pid, &status, WUNTRACED), neighbour->pid);
    CHECK(WIFSTOPPED(status));
}

/* ---- library threads ---- */

static struct event done = EVENT_INIT;

struct waiting {
    afar__task task;
    csp_item_receiver *receiver;
};

/* Longer than the others take to begin, on a busy machine. */
static void
wait_for_one(afar__task *task)
{
    const struct waiting *waiting = (struct waiting *)task;
    uint64_t number;

    CHECK_INT(receive_number(waiting->receiver, &number, afar_after_ms(50000)), AFAR_OK);
    event_raise(&done);
}

struct last {
    afar__task task;
    csp_item_receiver *receiver;
    struct worker worker; /* the library thread */
    afar_error err;
    afar_code code;
};

/* Once this is the last that does not wait. */
static void
wait_as_last(afar__task *task)
{
    struct last *last = (struct last *)task;
    Csp__Item *item = NULL;

    while (afar__engine_block()) {
        afar__engine_unblock();
        sched_yield();
    }
    last->worker.id = (int)gettid();
    event_raise(&last->worker.started);
    last->code = csp_item_receive(last->receiver, soon(), &item, &last->err);
    event_raise(&done);
}

static void
attach(csp_item_receiver *receiver)
{
    uint64_t number;

    CHECK_INT(receive_number(receiver, &number, afar_after_ms(1)), AFAR_DEADLINE_EXCEEDED);
}

TEST(the_last_thread_sleeps_until_the_home_answers)
{
    static struct waiting waiting[WAITING];
    struct last last = { .task = { wait_as_last, NULL }, .worker.started = EVENT_INIT };
    struct neighbour neighbour;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client;
    struct ends ends;

    start_neighbour(&neighbour);
    ends = make_channel(0);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    CHECK_OK(csp_item_receiver_open(client, neighbour.address, soon(), &last.receiver, &err));
    attach(last.receiver);
    for (size_t i = 0; i < WAITING; i++) {
        waiting[i] = (struct waiting){ { wait_for_one, NULL }, ends.receiver };
        afar__engine_run(&waiting[i].task);
    }
    stop_neighbour(&neighbour);
    afar__engine_run(&last.task);

    for (int i = 0; i < LOOKS; i++)
        worker_wait_asleep(&last.worker);
    CHECK_INT(event_count(&done), 0);
    CHECK(!kill(neighbour.pid, SIGCONT));
    event_wait(&done, 1);
    CHECK_INT(last.code, AFAR_RESOURCE_EXHAUSTED);
    CHECK(strstr(last.err.message, "handlers wait already") != NULL);
    for (uint64_t i = 0; i < WAITING; i++)
        CHECK_INT(send_number(ends.sender, i, soon()), AFAR_OK);
    event_wait(&done, 1 + WAITING);
    close_ends(ends);
    csp_item_receiver_close(last.receiver);
    afar_client_close(client);
    end_neighbour(&neighbour);
}
