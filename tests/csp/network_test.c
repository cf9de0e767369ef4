/* Networks of processes that are threads.
 *
 * Labels: concurrent */

#include <afar/network.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "items.h"

/* A process with an end of each kind, or of one. */
struct stage {
    csp_item_receiver *in;
    csp_item_sender *out;
    uint64_t count; /* sent, or the sum of what was received */
    afar_code code;
    struct event *event; /* raised before it returns */
};

static afar_network *
open_network(void)
{
    afar_network *network = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_network_open(&network, &err));
    return network;
}

static void
run(afar_network *network, const char *name, afar_process_fn fn, struct stage *stage)
{
    afar_given given[3] = { AFAR_GIVE_END, AFAR_GIVE_END, AFAR_GIVE_END };
    afar_error err = AFAR_ERROR_INIT;
    size_t count = 0;

    if (stage->in)
        given[count++] = (afar_given)AFAR_GIVE_RECEIVER("in", stage->in);
    if (stage->out)
        given[count++] = (afar_given)AFAR_GIVE_SENDER("out", stage->out);
    CHECK_OK(afar_network_run(network, name, fn, stage, given, &err));
}

static void
join(struct stage *from, struct stage *to)
{
    struct ends ends = make_channel(0);

    from->out = ends.sender;
    to->in = ends.receiver;
}

/* ---- processes ---- */

/* Sends 1 ... count. */
static afar_code
count_up(void *arg, afar_error *err)
{
    struct stage *stage = arg;
    Csp__Item item = CSP__ITEM__INIT;
    afar_code code = AFAR_OK;

    while (!code && item.number < stage->count) {
        item.number++;
        code = csp_item_send(stage->out, &item, AFAR_FOREVER, err);
    }
    return stage->code = code;
}

static afar_code
double_all(void *arg, afar_error *err)
{
    struct stage *stage = arg;
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = csp_item_receive(stage->in, AFAR_FOREVER, &item, err))) {
        item->number *= 2;
        code = csp_item_send(stage->out, item, AFAR_FOREVER, err);
        afar_message_free(item);
        if (code)
            break;
    }
    return stage->code = code;
}

static afar_code
add_up(void *arg, afar_error *err)
{
    struct stage *stage = arg;
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = csp_item_receive(stage->in, AFAR_FOREVER, &item, err))) {
        stage->count += item->number;
        afar_message_free(item);
    }
    return stage->code = code;
}

static afar_code
fail(void *arg, afar_error *err)
{
    (void)arg;
    return afar_fail(err, AFAR_DATA_LOSS, "there are no numbers");
}

static afar_code
fail_without_a_text(void *arg, afar_error *err)
{
    (void)arg;
    (void)err;
    return AFAR_NOT_FOUND;
}

static afar_code
do_nothing(void *arg, afar_error *err)
{
    (void)arg;
    (void)err;
    return AFAR_OK;
}

/* Waits for what never comes, and says how that ended. */
static afar_code
wait_for_one(void *arg, afar_error *err)
{
    struct stage *stage = arg;
    Csp__Item *item = NULL;

    stage->code = csp_item_receive(stage->in, AFAR_FOREVER, &item, err);
    if (!stage->code)
        afar_message_free(item);
    if (stage->event)
        event_raise(stage->event);
    return stage->code;
}

/* ---- ordinary ends ---- */

TEST(a_pipeline_ends_when_its_first_process_does)
{
    struct stage first = { .count = 1000 }, second = { 0 }, third = { 0 };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    join(&first, &second);
    join(&second, &third);
    run(network, "numbers", count_up, &first);
    run(network, "doubles", double_all, &second);
    run(network, "sum", add_up, &third);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    CHECK_INT(first.code, AFAR_OK);
    CHECK_INT(second.code, AFAR_ENDED);
    CHECK_INT(third.code, AFAR_ENDED);
    CHECK_INT(third.count, 1000 * 1001);
    afar_network_close(network);
}

TEST(a_network_without_processes_has_ended)
{
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_network_wait(network, now(), &err));
    afar_network_close(network);
    afar_network_close(NULL);
}

TEST(a_network_is_used_again_after_it_ended)
{
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 100; i++) {
        struct stage first = { .count = 3 }, second = { 0 };

        join(&first, &second);
        run(network, "numbers", count_up, &first);
        run(network, "sum", add_up, &second);
        CHECK_OK(afar_network_wait(network, soon(), &err));
        CHECK_INT(second.count, 6);
    }
    afar_network_close(network);
}

TEST(a_receiver_that_returns_ends_its_senders)
{
    struct stage first = { .count = UINT64_MAX }, second = { 0 };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    join(&first, &second);
    run(network, "numbers", count_up, &first);
    run(network, "taker", wait_for_one, &second);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    CHECK_INT(first.code, AFAR_ENDED);
    afar_network_close(network);
}

static afar_code
finish_and_stay(void *arg, afar_error *err)
{
    struct stage *stage = arg;
    Csp__Item *item = NULL;

    CHECK(!csp_item_sender_finish(stage->out, soon(), err));
    stage->code = csp_item_receive(stage->in, soon(), &item, err);
    return stage->code;
}

TEST(a_sender_may_finish_before_its_process_ends)
{
    struct stage asks = { 0 }, answers = { 0 };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    join(&asks, &answers);
    join(&answers, &asks);
    run(network, "asks", finish_and_stay, &asks);
    run(network, "answers", double_all, &answers);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    CHECK_INT(asks.code, AFAR_ENDED);
    CHECK_INT(answers.code, AFAR_ENDED);
    afar_network_close(network);
}

TEST(many_processes)
{
    enum { COUNT = 500 };
    static struct stage stages[COUNT];
    struct stage last = { 0 };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;
    int before = thread_count();

    stages[0].count = 20;
    for (int i = 0; i < COUNT; i++) {
        join(&stages[i], i + 1 < COUNT ? &stages[i + 1] : &last);
        if (i > 0)
            stages[i].count = 0;
    }
    run(network, "numbers", count_up, &stages[0]);
    for (int i = 1; i < COUNT; i++)
        run(network, "link", double_all, &stages[i]);
    run(network, "sum", add_up, &last);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    CHECK_INT(last.code, AFAR_ENDED);
    CHECK(thread_count() <= before + 8); /* what is left are the library's */
    afar_network_close(network);
}

/* ---- poison ---- */

TEST(poison_ends_all_that_wait)
{
    struct stage waits[3] = { { 0 } };
    csp_item_sender *senders[3];
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    for (int i = 0; i < 3; i++) {
        struct ends ends = make_channel(0);

        senders[i] = ends.sender;
        waits[i].in = ends.receiver;
        run(network, "waits", wait_for_one, &waits[i]);
    }
    afar_network_poison(network, "enough");
    afar_network_poison(network, "more than enough");
    CHECK_OK(afar_network_wait(network, soon(), &err));
    for (int i = 0; i < 3; i++) {
        Csp__Item item = CSP__ITEM__INIT;

        CHECK_INT(waits[i].code, AFAR_POISONED);
        CHECK_FAILS(csp_item_send(senders[i], &item, soon(), &err), AFAR_POISONED);
        CHECK(strstr(err.message, "enough") && !strstr(err.message, "more than"));
        csp_item_sender_close(senders[i]);
    }
    afar_error_clear(&err);
    afar_network_close(network);
}

TEST(nothing_is_started_in_a_poisoned_network)
{
    struct ends ends = make_channel(0);
    afar_network *network = open_network();
    afar_given given[] = { AFAR_GIVE_RECEIVER("in", ends.receiver), AFAR_GIVE_END };
    afar_error err = AFAR_ERROR_INIT;

    afar_network_poison(network, "we close");
    CHECK_FAILS(afar_network_run(network, "late", add_up, NULL, given, &err), AFAR_POISONED);
    CHECK_STR(err.message, "late: we close");
    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_ENDED); /* its receiver was closed */
    CHECK_OK(afar_network_wait(network, now(), &err));
    csp_item_sender_close(ends.sender);
    afar_error_clear(&err);
    afar_network_close(network);
}

TEST(close_poisons_and_waits)
{
    struct event over = EVENT_INIT;
    struct ends ends = make_channel(0);
    struct stage stage = { .in = ends.receiver, .event = &over };
    afar_network *network = open_network();

    run(network, "waits", wait_for_one, &stage);
    afar_network_close(network);
    CHECK_INT(event_count(&over), 1);
    CHECK_INT(stage.code, AFAR_POISONED);
    csp_item_sender_close(ends.sender);
}

/* ---- failures ---- */

TEST(a_failure_poisons_all_and_is_told_with_its_name)
{
    struct stage first = { .count = UINT64_MAX }, second = { 0 };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    join(&first, &second);
    run(network, "numbers", count_up, &first);
    run(network, "sum", add_up, &second);
    CHECK_OK(afar_network_run(network, "third", fail, NULL, NULL, &err));
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(afar_network_wait(network, soon(), &err), AFAR_DATA_LOSS);
        CHECK_STR(err.message, "third: there are no numbers");
    }
    CHECK_INT(first.code, AFAR_POISONED);
    CHECK_INT(second.code, AFAR_POISONED);
    CHECK_FAILS(afar_network_run(network, "late", do_nothing, NULL, NULL, &err), AFAR_POISONED);
    CHECK_STR(err.message, "late: third: there are no numbers");
    afar_error_clear(&err);
    afar_network_close(network);
}

TEST(a_failure_without_a_text_has_the_name_of_its_code)
{
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_network_run(network, "worker", fail_without_a_text, NULL, NULL, &err));
    CHECK_FAILS(afar_network_wait(network, soon(), &err), AFAR_NOT_FOUND);
    CHECK_STR(err.message, "worker: NOT_FOUND");
    afar_error_clear(&err);
    afar_network_close(network);
}

/* What the failing process was given must not look as if it had ended well: whoever receives from it
 * gets the poison. */
TEST(what_a_failed_process_sends_does_not_end_well)
{
    for (int i = 0; i < 100; i++) {
        struct stage first = { 0 }, second = { 0 };
        afar_network *network = open_network();
        afar_error err = AFAR_ERROR_INIT;

        join(&first, &second);
        run(network, "sum", add_up, &second);
        run(network, "numbers", fail, &first);
        CHECK_FAILS(afar_network_wait(network, soon(), &err), AFAR_DATA_LOSS);
        CHECK_INT(second.code, AFAR_POISONED);
        afar_error_clear(&err);
        afar_network_close(network);
    }
}

/* ---- waiting ---- */

TEST(a_wait_that_is_late_names_who_runs)
{
    struct ends ends = make_channel(0);
    struct stage stages[2] = { { .in = ends.receiver }, { 0 } };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    run(network, "taker", wait_for_one, &stages[0]);
    CHECK_FAILS(afar_network_wait(network, afar_after_ms(20), &err), AFAR_DEADLINE_EXCEEDED);
    CHECK_STR(err.message, "taker still runs");
    CHECK_INT(send_number(ends.sender, 1, soon()), AFAR_OK);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    csp_item_sender_close(ends.sender);
    afar_error_clear(&err);
    afar_network_close(network);
}

static afar_code
wait_for_itself(void *arg, afar_error *err)
{
    return afar_network_wait(arg, soon(), err);
}

TEST(a_process_does_not_wait_for_its_own_network)
{
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_network_run(network, "ouroboros", wait_for_itself, network, NULL, &err));
    CHECK_FAILS(afar_network_wait(network, soon(), &err), AFAR_DEADLOCK);
    CHECK_STR(err.message, "ouroboros: ouroboros waits for its own network");
    afar_error_clear(&err);
    afar_network_close(network);
}

/* A process that is a network itself. */
static afar_code
run_nested(void *arg, afar_error *err)
{
    struct stage *outer = arg, first = { .count = 10 };
    afar_network *network = open_network();
    afar_given given[] = { AFAR_GIVE_SENDER("out", NULL), AFAR_GIVE_END };
    afar_code code;

    CHECK(!csp_item_sender_share(outer->out, &first.out, err));
    given[0].sender = csp_item_sender_base(first.out);
    code = afar_network_run(network, "inner", count_up, &first, given, err);
    if (!code)
        code = afar_network_wait(network, soon(), err);
    afar_network_close(network);
    return code;
}

TEST(a_process_may_be_a_network)
{
    struct stage first = { 0 }, second = { 0 };
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    join(&first, &second);
    run(network, "outer", run_nested, &first);
    run(network, "sum", add_up, &second);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    CHECK_INT(second.count, 55);
    afar_network_close(network);
}

/* ---- where it must not be used ---- */

TEST(a_forked_process_gets_errors)
{
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        afar_network *other = NULL;
        bool right = afar_network_open(&other, NULL) == AFAR_FAILED_PRECONDITION &&
                     afar_network_wait(network, now(), NULL) == AFAR_FAILED_PRECONDITION &&
                     afar_network_run(network, "x", do_nothing, NULL, NULL, NULL) ==
                         AFAR_FAILED_PRECONDITION;

        afar_network_poison(network, "not here");
        afar_network_close(network);
        _exit(right ? 0 : 1);
    }
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK_OK(afar_network_run(network, "here", do_nothing, NULL, NULL, &err));
    CHECK_OK(afar_network_wait(network, soon(), &err));
    afar_network_close(network);
}

static afar_code
close_itself(void *arg, afar_error *err)
{
    (void)err;
    afar_network_close(arg);
    return AFAR_OK;
}

TEST(closing_the_own_network_is_misuse)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        afar_network *network = open_network();

        close(STDERR_FILENO);
        if (!afar_network_run(network, "x", close_itself, network, NULL, NULL))
            (void)!afar_network_wait(network, soon(), NULL);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
