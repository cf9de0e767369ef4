/* afar ping.  Opens the target as any client does and calls afar.node.v1.Node/Identify.
 *
 * A reference by name follows a server that moves, so each answer may come from another
 * process than the one before.  Its address is not part of the answer: it is what the
 * name server has recorded for the instance that answered, looked for once for each
 * instance.
 *
 * SIGINT and SIGTERM are blocked and seen between two pings, so that the summary is
 * printed. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <afar/message.h>
#include <afar/node.afar.h>

#include "command/ask.h"
#include "command/commands.h"
#include "command/entry.h"
#include "command/json.h"
#include "command/say.h"
#include "runtime/clock.h"

enum { INSTANCE_TEXT = 2 * AFAR__INSTANCE_BYTES + 1, ADDRESS_ROOM = 512 };

/* One answer, or why there is none. */
typedef struct ping_answer {
    afar_error err; /* of code AFAR_OK if there is an answer */
    int64_t ns;
    bool is_afar;
    char instance[INSTANCE_TEXT];
    char version[64];
} ping_answer;

typedef struct ping_run {
    const command_args *args;
    const char *target;        /* as it was given */
    char opened[ADDRESS_ROOM]; /* what the client library is asked for */
    bool by_name;
    afar_client *client;
    afar_node_v1_node *node;      /* NULL: not open yet */
    char instance[INSTANCE_TEXT]; /* that `address` belongs to */
    char address[ADDRESS_ROOM];   /* "" if it is not known */

    uint64_t sent, answered;
    int64_t least, most, sum; /* ns, of the answers */
    afar_code last_failure;
    cJSON *replies; /* NULL: text is printed */
} ping_run;

/* ---- asking ---- */

static afar_deadline
next_deadline(const ping_run *pinging)
{
    return afar_after_ms(pinging->args->number[OPTION_TIMEOUT]);
}

/* Asks who is there.  An answer that there is no such method is an answer. */
static void
identify(afar_node_v1_node *node, afar_deadline deadline, ping_answer *ret_answer)
{
    Afar__Node__V1__IdentifyRequest request = AFAR__NODE__V1__IDENTIFY_REQUEST__INIT;
    Afar__Node__V1__Identity *identity = NULL;
    int64_t begin = afar__now();
    afar_code code =
        afar_node_v1_node_identify(node, &request, deadline, &identity, &ret_answer->err);

    ret_answer->ns = afar__now() - begin;
    if (code == AFAR_UNIMPLEMENTED && ret_answer->err.remote) {
        afar_error_clear(&ret_answer->err);
        return;
    }
    if (code)
        return;
    ret_answer->is_afar = true;
    if (identity->instance.len <= AFAR__INSTANCE_BYTES)
        print_hex(identity->instance.data, identity->instance.len, ret_answer->instance);
    snprintf(ret_answer->version, sizeof ret_answer->version, "%s", identity->version);
    afar_message_free(identity);
}

static void
ask(ping_run *pinging, ping_answer *ret_answer)
{
    afar_deadline deadline = next_deadline(pinging);

    memset(ret_answer, 0, sizeof *ret_answer);
    if (pinging->node || !afar_node_v1_node_open(pinging->client, pinging->opened, deadline,
                                                 &pinging->node, &ret_answer->err))
        identify(pinging->node, deadline, ret_answer);
}

/* ---- where the answer came from ---- */

/* Whether the process with that instance is at an endpoint. */
static bool
is_at(ping_run *pinging, const char *endpoint, const char *instance)
{
    afar_deadline deadline = next_deadline(pinging);
    afar_node_v1_node *node = NULL;
    ping_answer answer = { .err = AFAR_ERROR_INIT };
    bool is;

    if (afar_node_v1_node_open(pinging->client, endpoint, deadline, &node, NULL))
        return false;
    identify(node, deadline, &answer);
    afar_node_v1_node_close(node);
    is = !answer.err.code && !strcmp(answer.instance, instance);
    afar_error_clear(&answer.err);
    return is;
}

/* The endpoint of a record at which that instance is. */
static void
choose_endpoint(ping_run *pinging, const name_entry *entry, const char *instance)
{
    const afar__record *record = entry->record;

    if (entry->problem)
        return;
    if (*entry->instance && strcmp(entry->instance, instance))
        return; /* it has moved again */
    for (size_t i = 0; i < record->n_endpoints; i++) {
        if (record->n_endpoints > 1 && !is_at(pinging, record->endpoints[i], instance))
            continue;
        snprintf(pinging->address, sizeof pinging->address, "%s", record->endpoints[i]);
        return;
    }
}

static void
find_address(ping_run *pinging, const char *instance)
{
    name_server server = { .address = name_server_address(pinging->args),
                           .timeout_ms = pinging->args->number[OPTION_TIMEOUT],
                           .client = pinging->client };
    const char *at = strchr(pinging->target, '@');
    const char *name = at ? at + 1 : pinging->target;
    Afar__Names__V1__LookupReply *reply = NULL;
    name_entry entry;

    *pinging->address = 0;
    snprintf(pinging->instance, sizeof pinging->instance, "%s", instance);
    if (!name_server_connect(&server, NULL) && !name_server_lookup(&server, name, &reply, NULL)) {
        entry_read(reply->entry, name, &entry);
        choose_endpoint(pinging, &entry, instance);
        entry_clear(&entry);
        afar_message_free(reply);
    }
    afar_names_v1_names_close(server.names);
}

/* ---- telling ---- */

static double
in_ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static void
print_answer(const ping_run *pinging, const ping_answer *answer)
{
    if (answer->err.code) {
        complain("%s: %s", pinging->target, without_target(answer->err.message, pinging->target));
        return;
    }
    print_clean(stdout, pinging->by_name ? pinging->target : pinging->address);
    if (pinging->by_name && *pinging->address) {
        printf(" at ");
        print_clean(stdout, pinging->address);
    }
    if (answer->is_afar) {
        printf(": Afar ");
        print_clean(stdout, answer->version);
        printf(", instance %s, %.3f ms\n", answer->instance, in_ms(answer->ns));
    } else {
        printf(": reachable, not an Afar server, %.3f ms\n", in_ms(answer->ns));
    }
    fflush(stdout);
}

static cJSON *
answer_json(const ping_run *pinging, const ping_answer *answer)
{
    cJSON *object = json_object();

    json_bool(object, "ok", !answer->err.code);
    if (answer->err.code) {
        json_text(object, "code", afar_code_name(answer->err.code));
        json_text(object, "problem", answer->err.message);
        return object;
    }
    json_time(object, "time_ms", answer->ns);
    json_text(object, "address", pinging->address);
    json_bool(object, "afar", answer->is_afar);
    if (answer->is_afar) {
        json_text(object, "instance", answer->instance);
        json_text(object, "version", answer->version);
    }
    return object;
}

static void
print_summary(ping_run *pinging)
{
    int64_t mean = pinging->answered ? pinging->sum / (int64_t)pinging->answered : 0;

    if (pinging->replies) {
        cJSON *document = json_object();

        json_text(document, "target", pinging->target);
        json_count(document, "sent", pinging->sent);
        json_count(document, "answered", pinging->answered);
        if (pinging->answered) {
            json_time(document, "min_ms", pinging->least);
            json_time(document, "avg_ms", mean);
            json_time(document, "max_ms", pinging->most);
        }
        json_put(document, "replies", pinging->replies);
        json_print(document);
    } else if (pinging->sent > 1) {
        printf("asked %" PRIu64 " times, %" PRIu64 " answers", pinging->sent, pinging->answered);
        if (pinging->answered)
            printf("; least %.3f ms, mean %.3f ms, most %.3f ms", in_ms(pinging->least),
                   in_ms(mean), in_ms(pinging->most));
        putchar('\n');
    }
}

static void
count_answer(ping_run *pinging, const ping_answer *answer)
{
    if (answer->err.code) {
        pinging->last_failure = answer->err.code;
        return;
    }
    if (!pinging->answered || answer->ns < pinging->least)
        pinging->least = answer->ns;
    if (answer->ns > pinging->most)
        pinging->most = answer->ns;
    pinging->sum += answer->ns;
    pinging->answered++;
}

/* ---- the whole ---- */

static void
ping_once(ping_run *pinging)
{
    ping_answer answer;

    pinging->sent++;
    ask(pinging, &answer);
    if (!answer.err.code && pinging->by_name &&
        (!*pinging->address || strcmp(answer.instance, pinging->instance)))
        find_address(pinging, answer.instance);
    count_answer(pinging, &answer);
    if (pinging->replies)
        json_add(pinging->replies, answer_json(pinging, &answer));
    if (!pinging->replies || answer.err.code == AFAR_INVALID_ARGUMENT)
        print_answer(pinging, &answer);
    afar_error_clear(&answer.err);
}

/* Before any thread starts, since they inherit it: gRPC's own threads take no care. */
static void
block_ending(sigset_t *ret_ending)
{
    sigemptyset(ret_ending);
    sigaddset(ret_ending, SIGINT);
    sigaddset(ret_ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, ret_ending, NULL);
}

/* Waits for the time between two; true when a signal ends it all. */
static bool
pause_between(const command_args *args, const sigset_t *ending)
{
    int64_t ms = args->number[OPTION_INTERVAL];
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    return sigtimedwait(ending, NULL, &time) >= 0;
}

static void
ping_all(ping_run *pinging, const sigset_t *ending)
{
    uint64_t times = (uint64_t)pinging->args->number[OPTION_TIMES];

    do {
        ping_once(pinging);
        if (pinging->last_failure == AFAR_INVALID_ARGUMENT)
            return; /* the target cannot be read: it never will be */
        if (ferror(stdout))
            return; /* nobody reads what is printed */
    } while (pinging->sent != times && !pause_between(pinging->args, ending));
}

static bool
begins_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

/* What the target is: a name, or an address, of which people write host:port. */
static int
read_target(ping_run *pinging)
{
    const char *target = pinging->target;
    bool complete = begins_with(target, "grpc://") || begins_with(target, "unix:") ||
                    begins_with(target, "inproc:");
    int length;

    pinging->by_name = !complete && !strchr(target, ':');
    length = snprintf(pinging->opened, sizeof pinging->opened, "%s%s",
                      complete || pinging->by_name ? "" : "grpc://", target);
    if ((size_t)length >= sizeof pinging->opened) {
        complain("the target is longer than any name or address");
        return EXIT_USAGE;
    }
    if (!pinging->by_name)
        memcpy(pinging->address, pinging->opened, sizeof pinging->address);
    return EXIT_DONE;
}

int
run_ping(const command_args *args)
{
    afar_client_options options = AFAR_CLIENT_OPTIONS_INIT;
    ping_run pinging = { .args = args, .target = args->operands[0] };
    afar_error err = AFAR_ERROR_INIT;
    sigset_t ending;
    int code = read_target(&pinging);

    if (code)
        return code;
    block_ending(&ending);
    options.names = args->text[OPTION_NAMES];
    if (afar_client_open(NULL, &options, &pinging.client, &err))
        return complain_error(&err);
    if (args->given[OPTION_JSON])
        pinging.replies = json_array();
    ping_all(&pinging, &ending);
    if (pinging.last_failure == AFAR_INVALID_ARGUMENT)
        cJSON_Delete(pinging.replies);
    else
        print_summary(&pinging);
    afar_node_v1_node_close(pinging.node);
    afar_client_close(pinging.client);
    return pinging.answered ? EXIT_DONE : exit_code_of(pinging.last_failure);
}
