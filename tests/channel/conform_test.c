/* Traces of the model of channels, replayed against real boards.
 *
 * tests/model/README.md has the format; traces/ holds some that `model_test.py --trace` has printed, and
 * with AFAR_TRACE=FILE another one is replayed.  Each process and each home has a board of its own; a link is a
 * proxy, a seat and two queues.  What the trace says is done is done; what the boards say then
 * must be what the trace says, for each link in its order.  The numbers of selects and of messages may be
 * others, but always the same ones. */

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "runtime/channel/board.h"

#define MOST 8    /* processes, homes, links */
#define SAID 4096 /* lines that one step leads to, and letters of a queue */
#define NAMES 1024

struct afar__parcel {
    unsigned message;
};

struct letter {
    bool finish;
    afar__step step;
    char text[32];
};

struct queue {
    struct letter letters[SAID];
    unsigned first, count;
};

struct link {
    unsigned number, process, home;
    afar__direction side;
    afar__proxy *proxy;
    afar__seat *seat;
    struct queue to_home, to_end;
    bool cut, posts, finished, seat_gone;
    uint64_t posted, posts_sent, posts_unknown;
};

struct process {
    unsigned number;
    afar__board board;
    afar__select select;
    afar__guard guards[MOST];
    unsigned links[MOST], count;
    bool open, in_round, closing, polls, closes;
    unsigned message; /* of this round */
};

struct home {
    afar__board board;
    afar__home *home;
    unsigned ends[2];
    bool lost[2];
};

static struct link links[MOST];
static struct process processes[MOST];
static struct home homes[MOST];
static const char *trace_name;
static unsigned link_count, capacity[MOST], line_number, messages;
static bool polls[MOST], priority[MOST], posts[MOST], closes[MOST];
static char said[SAID][96]; /* by the boards, since the last thing that was done */
static unsigned said_count;
static char expected[SAID][96];
static unsigned expected_count;
static unsigned long long model_selects[NAMES], model_messages[NAMES]; /* by the real number */

static void __attribute__((noreturn, format(printf, 1, 2))) differ(const char *format, ...)
{
    va_list list;

    char text[160];

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (unsigned i = 0; i < expected_count; i++)
        printf("    the model: %s\n", expected[i]);
    for (unsigned i = 0; i < said_count; i++)
        printf("    the board: %s\n", said[i]);
    check_fail(__FILE__, __LINE__, "%s, before line %u: %s", trace_name, line_number, text);
}

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    va_list list;

    if (said_count == SAID)
        differ("too much is said");
    va_start(list, format);
    vsnprintf(said[said_count++], sizeof said[0], format, list);
    va_end(list);
}

/* ---- queues ---- */

static struct letter *
put(struct link *link, struct queue *queue)
{
    struct letter *letter = &queue->letters[(queue->first + queue->count) % SAID];

    if (queue->count++ == SAID)
        differ("link %u: too much is under way", link->number);
    *letter = (struct letter){ .finish = false };
    return letter;
}

static void
put_step(struct link *link, struct queue *queue, const afar__step *step)
{
    struct letter *letter;

    if (link->cut) {
        free(step->parcel);
        return;
    }
    letter = put(link, queue);
    letter->step = *step;
    if (step->text)
        snprintf(letter->text, sizeof letter->text, "%s", step->text);
    if (step->kind == AFAR__STEP_OFFER || step->kind == AFAR__STEP_CLAIM)
        letter->step.number = 0;
}

static void
lose(struct queue *queue)
{
    while (queue->count > 0) {
        free(queue->letters[queue->first].step.parcel);
        queue->first = (queue->first + 1) % SAID;
        queue->count--;
    }
}

/* ---- what boards say: as lines of the trace, with our numbers ---- */

static void
act(void *arg, afar__proxy *proxy, afar__step *step)
{
    struct link *link = afar__proxy_user(proxy);
    unsigned long long number = step->number;
    char select[32] = "", message[32] = "";

    (void)arg;
    if (step->select)
        snprintf(select, sizeof select, " select %llu", 100ULL * link->process + step->select);
    if (step->parcel)
        snprintf(message, sizeof message, " message %u", step->parcel->message);
    switch (step->kind) {
    case AFAR__STEP_OFFER:
        say("act %u offer %llu%s%s%s", link->number, number, select, message,
            step->tell ? " tell" : "");
        break;
    case AFAR__STEP_WITHDRAW:
        say("act %u withdraw %llu", link->number, number);
        break;
    case AFAR__STEP_GRANT:
        say("act %u grant %llu%s", link->number, number, message);
        break;
    case AFAR__STEP_DENY:
        say("act %u deny %llu", link->number, number);
        break;
    case AFAR__STEP_ACK:
        say("act %u ack", link->number);
        break;
    default:
        say("act %u poison", link->number);
    }
    put_step(link, &link->to_home, step);
}

static void
word(void *arg, afar__seat *seat, afar__step *step)
{
    static const char *const names[] = {
        [AFAR__STEP_TAKEN] = "taken",     [AFAR__STEP_WAITING] = "waiting",
        [AFAR__STEP_RELEASE] = "release", [AFAR__STEP_WITHDRAWN] = "withdrawn",
        [AFAR__STEP_UNKNOWN] = "unknown",
    };
    struct link *link = afar__seat_user(seat);
    unsigned long long number = step->number;

    (void)arg;
    switch (step->kind) {
    case AFAR__STEP_MESSAGE:
        say("word %u message %llu message %u", link->number, number, step->parcel->message);
        break;
    case AFAR__STEP_CLAIM:
        say("word %u claim %llu offer %llu", link->number, number, (unsigned long long)step->offer);
        break;
    case AFAR__STEP_ENDED:
        say("word %u ended %s", link->number,
            step->code == AFAR_ENDED  ? "ended"
            : step->code == AFAR_LOST ? "lost"
                                      : "poisoned");
        break;
    default:
        for (uint64_t i = 0; i < (step->kind == AFAR__STEP_TAKEN ? step->count : 1); i++)
            say("word %u %s %llu", link->number, names[step->kind], number + i);
    }
    put_step(link, &link->to_end, step);
}

static const char *
result_of(const afar__select *select)
{
    switch ((int)select->code) {
    case AFAR_OK:
        if (!select->happened)
            return "nothing";
        return select->happened->direction == AFAR__SENDS ? "sent" : "received";
    case AFAR_ENDED:
        return "ended";
    case AFAR_POISONED:
        return "poisoned";
    case AFAR_LOST:
        return "lost";
    default:
        return "unknown";
    }
}

static void
round_done(struct process *process)
{
    const afar__guard *guard = process->select.happened;
    const char *result = result_of(&process->select);

    if (guard)
        say("done %u %s link %u", process->number, result, process->links[guard - process->guards]);
    else
        say("done %u %s", process->number, result);
    free(process->select.parcel);
    process->select.parcel = NULL;
    process->in_round = false;
}

static void
done(void *arg, afar__select *select)
{
    (void)arg;
    round_done(select->user);
}

static afar__parcel *
parcel_new(unsigned message)
{
    afar__parcel *parcel = malloc(sizeof *parcel);

    if (!parcel)
        abort();
    parcel->message = message;
    return parcel;
}

static afar__parcel *
pack(void *arg, afar__guard *guard)
{
    struct process *process = guard->select->user;

    (void)arg;
    return parcel_new(process->message);
}

static size_t
count_bytes(void *arg, const afar__parcel *parcel)
{
    (void)arg;
    (void)parcel;
    return sizeof *parcel;
}

static void
drop(void *arg, afar__parcel *parcel)
{
    (void)arg;
    free(parcel);
}

static void
posted(void *arg, afar__proxy *proxy)
{
    struct link *link = afar__proxy_user(proxy);
    afar__posts now = afar__proxy_posts(proxy);

    (void)arg;
    for (; link->posts_unknown < now.unknown; link->posts_unknown++)
        say("posted %u unknown", link->number);
    for (; link->posts_sent < link->posted - now.open - now.refused - now.unknown;
         link->posts_sent++)
        say("posted %u sent", link->number);
}

static const afar__board_ops ops = { .act = act,
                                     .word = word,
                                     .done = done,
                                     .pack = pack,
                                     .bytes = count_bytes,
                                     .drop = drop,
                                     .posted = posted };

/* ---- what is done ---- */

/* Hello comes with the first act. */
static void
sit_down(struct link *link)
{
    if (link->seat || link->seat_gone)
        return;
    link->seat = afar__seat_new(homes[link->home].home, link->side,
                                processes[link->process].board.process, link);
}

static void
less(struct link *link, bool lost)
{
    struct home *home = &homes[link->home];

    if (link->seat_gone)
        return;
    link->seat_gone = true;
    if (link->seat)
        afar__seat_leave(link->seat);
    home->lost[link->side] |= lost;
    if (--home->ends[link->side] == 0)
        afar__home_finish(home->home, link->side, home->lost[link->side]);
}

static void
open_select(struct process *process)
{
    for (unsigned i = 0; i < process->count; i++) {
        struct link *link = &links[process->links[i]];

        process->guards[i] = (afar__guard){ .proxy = link->proxy, .direction = link->side };
    }
    memset(&process->select, 0, sizeof process->select);
    afar__select_open(&process->select, &process->board, process->guards, process->count,
                      priority[process->number], process);
    process->open = true;
}

static void
do_post(struct link *link)
{
    afar__parcel *parcel = parcel_new(++messages);

    link->posted++;
    if (!afar__proxy_post(link->proxy, parcel)) {
        link->posted--;
        free(parcel);
    }
}

static void
do_begin(struct process *process)
{
    if (posts[process->number]) {
        do_post(&links[process->links[0]]);
        return;
    }
    if (process->open && closes[process->number]) {
        afar__select_close(&process->select);
        process->open = false;
    }
    if (!process->open)
        open_select(process);
    process->message = ++messages;
    process->in_round = true;
    if (afar__select_begin(&process->select, polls[process->number]))
        round_done(process);
}

static void
do_close(struct process *process)
{
    process->closing = true;
    if (process->open)
        afar__select_close(&process->select);
    process->open = false;
}

static void
deliver(struct link *link, bool up)
{
    struct queue *queue = up ? &link->to_home : &link->to_end;
    struct letter *letter = &queue->letters[queue->first];
    afar_error err = AFAR_ERROR_INIT;
    afar_code code = AFAR_OK;

    if (queue->count == 0)
        differ("link %u: nothing is under way", link->number);
    queue->first = (queue->first + 1) % SAID;
    queue->count--;
    if (letter->step.text)
        letter->step.text = letter->text;
    if (up)
        sit_down(link);
    if (letter->finish)
        less(link, false);
    else if (!up)
        code = afar__proxy_word(link->proxy, &letter->step, &err);
    else if (!link->seat_gone)
        code = afar__seat_act(link->seat, &letter->step, &err);
    else
        free(letter->step.parcel);
    if (code != AFAR_OK)
        differ("link %u: %s", link->number, err.message);
}

static void
do_it(const char *what, unsigned index)
{
    struct link *link = &links[index];

    if (strcmp(what, "begin") == 0) {
        do_begin(&processes[index]);
    } else if (strcmp(what, "stop") == 0) {
        if (afar__select_stop(&processes[index].select))
            round_done(&processes[index]);
    } else if (strcmp(what, "close") == 0) {
        do_close(&processes[index]);
    } else if (strcmp(what, "poison") == 0) {
        afar__proxy_poison(link->proxy, "poison");
    } else if (strcmp(what, "up") == 0 || strcmp(what, "down") == 0) {
        deliver(link, what[0] == 'u');
    } else if (strcmp(what, "cut") == 0) {
        link->cut = true;
    } else if (strcmp(what, "home-lost") == 0) {
        lose(&link->to_home);
        less(link, true);
    } else if (strcmp(what, "end-lost") == 0) {
        lose(&link->to_end);
        afar__proxy_lost(link->proxy, AFAR_LOST, "cut");
    } else {
        differ("%s is not known", what);
    }
}

/* What a process does of its own accord: it reads results, and half-closes when it can. */
static void
follow_up(void)
{
    const char *text;

    for (unsigned i = 0; i < MOST; i++)
        if (processes[i].open && !processes[i].in_round && processes[i].message > 0)
            afar__select_next(&processes[i].select);
    for (unsigned i = 0; i < link_count; i++) {
        struct link *link = &links[i];

        if (!processes[link->process].closing || link->finished ||
            afar__proxy_state(link->proxy, &text) != AFAR_OK ||
            (afar__proxy_busy(link->proxy) && !posts[link->process]))
            continue;
        link->finished = true;
        say("act %u finish", i);
        if (!link->cut)
            put(link, &link->to_home)->finish = true;
    }
}

/* ---- comparing ---- */

static bool
is_same_name(unsigned long long names[NAMES], const char *model, const char *board)
{
    unsigned long long number = strtoull(model, NULL, 10) + 1;
    uint64_t real = strtoull(board, NULL, 10);

    if (real >= NAMES)
        differ("too many numbers");
    if (names[real] == 0)
        names[real] = number;
    return names[real] == number;
}

/* The names of selects and messages may be others; `posted` has a number of which the board knows
 * nothing, `done` a link where there are several. */
static bool
is_same(const char *model, const char *board)
{
    char words[2][96];
    char *rest[2];
    const char *before = "";
    unsigned count = 0;

    snprintf(words[0], sizeof words[0], "%s", model);
    snprintf(words[1], sizeof words[1], "%s", board);
    char *a = strtok_r(words[0], " ", &rest[0]);
    char *b = strtok_r(words[1], " ", &rest[1]);
    bool counts_posts = a && strcmp(a, "posted") == 0, done = a && strcmp(a, "done") == 0;
    bool is_word = a && strcmp(a, "word") == 0;

    while (a && b) {
        bool name = strcmp(before, "select") == 0 ||
                    (strcmp(before, "message") == 0 && (!is_word || count > 3));

        if (name ? !is_same_name(before[0] == 's' ? model_selects : model_messages, a, b)
                 : strcmp(a, b) != 0)
            return false;
        before = a;
        a = strtok_r(NULL, " ", &rest[0]);
        b = strtok_r(NULL, " ", &rest[1]);
        if (++count == 2 && counts_posts)
            a = strtok_r(NULL, " ", &rest[0]);
    }
    return (!a && !b) || (done && count >= 3);
}

static bool
is_nothing(const char *line, unsigned *ret_process)
{
    char result[16];

    return sscanf(line, "done %u %15s", ret_process, result) == 2 && strcmp(result, "sent") != 0 &&
           strcmp(result, "received") != 0 && strcmp(result, "unknown") != 0;
}

/* Nothing happened: because time is up, or because the channel is over.  Where both are so, as in a
 * round on channels that are over, the model takes the first. */
static bool
is_as_good(const char *model, const char *board)
{
    unsigned process[2];

    return is_nothing(model, &process[0]) && is_nothing(board, &process[1]) &&
           process[0] == process[1];
}

/* Same kind, same link. */
static bool
is_about_same(const char *model, const char *board)
{
    size_t length = strcspn(model, " ");

    length += 1 + strcspn(model + length + 1, " ");
    return strncmp(model, board, length) == 0 && (board[length] == ' ' || board[length] == '\0');
}

static void
compare(void)
{
    bool used[SAID] = { false };

    for (unsigned i = 0; i < expected_count; i++) {
        unsigned j = 0;

        while (j < said_count && (used[j] || !is_about_same(expected[i], said[j])))
            j++;
        if (j == said_count || !(is_same(expected[i], said[j]) || is_as_good(expected[i], said[j])))
            differ("the board does not say \"%s\"", expected[i]);
        used[j] = true;
    }
    for (unsigned j = 0; j < said_count; j++)
        if (!used[j])
            differ("the board says \"%s\"", said[j]);
    said_count = expected_count = 0;
}

/* ---- the trace ---- */

static void
read_numbers(char *text, bool flags[MOST])
{
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        flags[atoi(word) % MOST] = true;
}

static void
read_setting(const char *name, char *values)
{
    unsigned home = 0;

    if (strcmp(name, "polls") == 0)
        read_numbers(values, polls);
    else if (strcmp(name, "priority") == 0)
        read_numbers(values, priority);
    else if (strcmp(name, "closes") == 0)
        read_numbers(values, closes);
    else if (strcmp(name, "posts") == 0)
        read_numbers(values, posts);
    else if (strcmp(name, "capacity") == 0)
        for (char *word = strtok(values, " "); word; word = strtok(NULL, " "))
            capacity[home++ % MOST] = (unsigned)atoi(word);
    else
        differ("%s is not known", name);
}

static void
read_link(const char *line)
{
    struct link *link = &links[link_count % MOST];
    char side[16];

    if (sscanf(line, "link %u process %u home %u %15s", &link->number, &link->process, &link->home,
               side) != 4 ||
        link->process >= MOST || link->home >= MOST)
        differ("no link: %s", line);
    link->side = side[0] == 's' ? AFAR__SENDS : AFAR__RECEIVES;
    link_count++;
}

static void
start(void)
{
    for (unsigned i = 0; i < MOST; i++) {
        uint8_t id[16] = { (uint8_t)i };

        processes[i].number = i;
        afar__board_init(&processes[i].board, &ops, NULL, id);
        id[0] = (uint8_t)(100 + i);
        afar__board_init(&homes[i].board, &ops, NULL, id);
        homes[i].home = afar__home_new(&homes[i].board, capacity[i]);
    }
    for (unsigned i = 0; i < link_count; i++) {
        struct link *link = &links[i];
        struct process *process = &processes[link->process];
        struct home *home = &homes[link->home];

        link->proxy = afar__proxy_new(&process->board, link->side, link);
        afar__proxy_attached(link->proxy);
        afar__proxy_limits(link->proxy, AFAR__CHANNEL_OFFERS, AFAR__CHANNEL_WINDOW);
        home->ends[link->side]++;
        process->links[process->count++] = i;
    }
}

/* All steps were made; what is left is not looked at, and freed. */
static void
finish(void)
{
    for (unsigned i = 0; i < link_count; i++) {
        links[i].cut = true;
        lose(&links[i].to_home);
        lose(&links[i].to_end);
        afar__proxy_lost(links[i].proxy, AFAR_LOST, "the end");
        if (!links[i].seat_gone && links[i].seat)
            afar__seat_leave(links[i].seat);
        links[i].seat_gone = true;
    }
    for (unsigned i = 0; i < MOST; i++) {
        struct process *process = &processes[i];

        if (process->open && process->in_round && afar__select_stop(&process->select))
            round_done(process);
        if (process->open) {
            afar__select_next(&process->select);
            afar__select_close(&process->select);
        }
        afar__home_free(homes[i].home);
    }
    for (unsigned i = 0; i < link_count; i++)
        afar__proxy_free(links[i].proxy);
}

static void
reset(void)
{
    memset(links, 0, sizeof links);
    memset(processes, 0, sizeof processes);
    memset(homes, 0, sizeof homes);
    memset(capacity, 0, sizeof capacity);
    memset(polls, 0, sizeof polls);
    memset(priority, 0, sizeof priority);
    memset(posts, 0, sizeof posts);
    memset(closes, 0, sizeof closes);
    memset(model_selects, 0, sizeof model_selects);
    memset(model_messages, 0, sizeof model_messages);
    link_count = line_number = messages = said_count = expected_count = 0;
}

/* Before the first step. */
static void
read_head(char *line)
{
    char *space = strchr(line, ' ');

    if (!space)
        differ("no setting: %s", line);
    if (strncmp(line, "trace ", 6) == 0)
        return;
    if (strncmp(line, "link ", 5) == 0) {
        read_link(line);
        return;
    }
    *space = '\0';
    read_setting(line, space + 1);
}

static unsigned
replay(const char *path)
{
    char line[96], what[16];
    unsigned index, steps = 0;
    FILE *file = fopen(path, "r");

    CHECK(file);
    reset();
    trace_name = path;
    while (fgets(line, sizeof line, file)) {
        line_number++;
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "do ", 3) == 0 && sscanf(line, "do %15s %u", what, &index) == 2) {
            CHECK(index < MOST);
            if (steps++ == 0)
                start();
            compare();
            do_it(what, index);
            follow_up();
        } else if (steps == 0) {
            read_head(line);
        } else if (expected_count < SAID) {
            snprintf(expected[expected_count++], sizeof expected[0], "%s", line);
        }
    }
    fclose(file);
    CHECK(steps > 0);
    compare();
    finish();
    return steps;
}

TEST(boards_say_what_the_model_says)
{
    const char *path = getenv("AFAR_TRACE");
    char pattern[512];
    unsigned steps = 0;
    glob_t found;

    if (path) {
        replay(path);
        return;
    }
    snprintf(pattern, sizeof pattern, "%s/tests/channel/traces/*.txt", getenv("AFAR_SOURCE"));
    CHECK_INT(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        steps += replay(found.gl_pathv[i]);
    printf("%zu traces, %u steps\n", found.gl_pathc, steps);
    globfree(&found);
}
