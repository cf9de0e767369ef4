/* Children: programs that are processes of a network.
 *
 * A thread of the network stands for each and waits for its end, without reaping it: until that was noted
 * under the child's lock its number stands for no other process, and may be killed.  That is done by a timer,
 * which the poison of the network sets.
 *
 * Of an end the child is lent an object, which is what counts; the network gets a handle, to poison it.  The server
 * keeps the object (lend.h) until the child has finished the end, or the network knows how the child ended:
 *
 *     lent -> left -> gone         the child has finished it
 *     lent -> taken back -> gone   the child has ended
 *
 * What is lent may outlive the child, as long as a call of it does, and so does struct child, which is told of that.
 *
 * A child is made by posix_spawn: a fork would copy the locks of gRPC's threads. */

#include <afar/spawn.h>

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/channel/live.h"
#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/misuse.h"
#include "runtime/network.h"
#include "runtime/timer.h"
#include "server/publish.h"

#define PREFIX "AFAR_END_"
#define DEFAULT_GRACE_MS 5000
#define MAX_ADDRESS 512
#define MAX_NAME 64

struct child;

/* Something that a child is given. */
struct lent {
    struct child *child;
    char variable[sizeof PREFIX + MAX_NAME + MAX_ADDRESS + 1];

    /* guarded by the child's lock; NULL when it was taken back */
    afar__kept kept;
    afar_object *object; /* of an end, with a reference */
    afar__end *handle;   /* the network's */
};

struct child {
    atomic_uint refs; /* of the process, of who starts it, and of each end that is lent */
    afar_spawn_options options;
    const char *program;
    pid_t pid;      /* 0: it was not started, or has been reaped */
    char name[128]; /* "worker (process 4711)" */
    afar__timer timer;

    bool failed; /* it ran, and has */

    pthread_mutex_t lock; /* guards the next three */
    bool armed;           /* the timer is set, or rings */
    bool over;            /* it has ended */
    bool late;            /* the timer rang before */
    pthread_cond_t rung;

    afar_given *handles; /* what the network gets instead of what was given */
    size_t count;
    struct lent lent[];
};

/* ---- what it is lent ---- */

static void
unref(struct child *child)
{
    if (atomic_fetch_sub(&child->refs, 1) != 1)
        return;
    pthread_cond_destroy(&child->rung);
    pthread_mutex_destroy(&child->lock);
    free(child->handles);
    free(child);
}

/* Takes what is there of it; the handle comes with a reference. */
static struct lent
take(struct lent *lent)
{
    struct lent had;

    pthread_mutex_lock(&lent->child->lock);
    had = *lent;
    lent->kept.lend = NULL;
    lent->object = NULL;
    lent->handle = NULL;
    if (had.handle)
        afar__end_ref(had.handle);
    pthread_mutex_unlock(&lent->child->lock);
    return had;
}

/* The child has ended; what it did not finish, it never will.  The network closes the handle. */
static void
take_back(struct lent *lent, bool failed)
{
    struct lent had = take(lent);

    if (failed && had.object)
        afar__channel_lose(had.object);
    afar__kept_forget(&had.kept);
    afar_object_close(had.object);
    if (had.handle)
        afar__end_unref(had.handle);
}

/* All that the child opened of it have finished.  A call that is on its way keeps it still. */
static void
left(void *arg)
{
    struct lent *lent = arg;
    struct child *child = lent->child;
    afar_object *object;

    pthread_mutex_lock(&child->lock);
    afar__kept_loosen(&lent->kept);
    object = lent->object;
    lent->object = NULL;
    pthread_mutex_unlock(&child->lock);
    afar_object_close(object);
}

/* Nobody has it any more. */
static void
gone(void *arg)
{
    struct lent *lent = arg, had = take(lent);

    afar__kept_forget(&had.kept);
    if (had.handle) {
        afar__end_let_go(had.handle);
        afar__end_unref(had.handle);
    }
    unref(lent->child);
}

/* ---- its end ---- */

static unsigned
grace_of(const struct child *child)
{
    return child->options.grace_ms ? child->options.grace_ms : DEFAULT_GRACE_MS;
}

/* Under the network's lock. */
static void
set_timer(void *arg)
{
    struct child *child = arg;

    pthread_mutex_lock(&child->lock);
    if (!child->over) {
        child->armed = true;
        afar__timer_set(&child->timer, afar__now() + grace_of(child) * AFAR__MILLISECOND);
    }
    pthread_mutex_unlock(&child->lock);
}

static void
ring(afar__timer *timer)
{
    struct child *child = (struct child *)((char *)timer - offsetof(struct child, timer));

    pthread_mutex_lock(&child->lock);
    if (!child->over) {
        child->late = true;
        kill(child->pid, SIGKILL);
    }
    child->armed = false;
    pthread_cond_signal(&child->rung);
    pthread_mutex_unlock(&child->lock);
}

/* No timer of it rings any more when this returns. */
static void
note_end(struct child *child)
{
    pthread_mutex_lock(&child->lock);
    child->over = true;
    if (child->armed && afar__timer_clear(&child->timer))
        child->armed = false;
    while (child->armed)
        pthread_cond_wait(&child->rung, &child->lock);
    pthread_mutex_unlock(&child->lock);
}

/* Waits for its end; with WNOWAIT it stays to be waited for. */
static void
wait_for(const struct child *child, int options, siginfo_t *ret_info)
{
    ret_info->si_code = 0;
    while (waitid(P_PID, (id_t)child->pid, ret_info, WEXITED | options) && errno == EINTR)
        continue;
}

static afar_code
judge(const struct child *child, const siginfo_t *info, afar_error *err)
{
    if (child->late && info->si_code == CLD_KILLED && info->si_status == SIGKILL)
        return afar_fail(err, AFAR_LOST,
                         "%s did not end within %u ms of the network's poison, and was killed",
                         child->name, grace_of(child));
    switch (info->si_code) {
    case CLD_EXITED:
        return info->si_status == 0
                   ? AFAR_OK
                   : afar_fail(err, AFAR_LOST, "%s exited with %d", child->name, info->si_status);
    case CLD_KILLED:
    case CLD_DUMPED:
        return afar_fail(err, AFAR_LOST, "%s was killed by signal %d", child->name,
                         info->si_status);
    default:
        return afar_fail(err, AFAR_LOST,
                         "%s ended, and nobody here knows how: another part of this program waited "
                         "for it",
                         child->name);
    }
}

/* The process of the network. */
static afar_code
stand_for(void *arg, afar_error *err)
{
    struct child *child = arg;
    siginfo_t info;
    afar_code code;

    wait_for(child, WNOWAIT, &info);
    note_end(child);
    if (info.si_code)
        wait_for(child, 0, &info);
    child->pid = 0;
    code = judge(child, &info, err);
    child->failed = code != AFAR_OK;
    if (child->options.ended)
        child->options.ended(child->options.arg, code, err);
    return code;
}

static void
release(void *arg)
{
    struct child *child = arg;
    siginfo_t info;

    for (size_t i = 0; i < child->count; i++)
        take_back(&child->lent[i], child->failed);
    if (child->pid) {
        kill(child->pid, SIGKILL);
        wait_for(child, 0, &info);
    }
    unref(child);
}

/* ---- what it is given ---- */

static afar_code
check_name(const struct child *child, const afar_given *given, afar_error *err)
{
    const char *name = given->name ? given->name : "";

    if (!*name || strlen(name) > MAX_NAME ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")])
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: \"%.80s\" is no name to give something under: a-z, 0-9 and _, at "
                         "most %d",
                         child->program, name, MAX_NAME);
    return AFAR_OK;
}

/* Writes NAME=, and says how long that is. */
static size_t
begin_variable(const char *name, char *variable, size_t size)
{
    int length = snprintf(variable, size, PREFIX "%s=", name);

    for (char *c = variable; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return (size_t)length;
}

/* The environment's variable, up to the address, which comes behind `ret_length` bytes. */
static afar_code
name_it(struct child *child, const afar_given *given, size_t *ret_length, afar_error *err)
{
    struct lent *lent = &child->lent[child->count];
    afar_code code = check_name(child, given, err);

    if (code)
        return code;
    *ret_length = begin_variable(given->name, lent->variable, sizeof lent->variable);
    for (size_t i = 0; i < child->count; i++)
        if (strncmp(child->lent[i].variable, lent->variable, *ret_length) == 0)
            return afar_fail(err, AFAR_INVALID_ARGUMENT, "%s: two things are given as \"%s\"",
                             child->program, given->name);
    return AFAR_OK;
}

static afar_code
lend_end(struct lent *lent, const afar_given *given, afar_given *ret_handle, afar_error *err)
{
    afar__loan loan = { left, gone, lent };
    afar__end *end =
        given->sender ? afar__end_of_sender(given->sender) : afar__end_of_receiver(given->receiver);
    afar_code code = afar__end_lend(end, &loan, &lent->handle, &lent->object, err);

    if (code)
        return code;
    atomic_fetch_add(&lent->child->refs, 1);
    if (given->sender)
        ret_handle->sender = (afar_sender *)lent->handle;
    else
        ret_handle->receiver = (afar_receiver *)lent->handle;
    return AFAR_OK;
}

static afar_code
give(struct child *child, afar__publish *publish, const afar_given *given, afar_error *err)
{
    struct lent *lent = &child->lent[child->count];
    size_t length = 0;
    afar_code code = name_it(child, given, &length, err);

    if (code)
        return code;
    lent->child = child;
    if (given->object)
        child->handles[child->count].object = given->object;
    else
        code = lend_end(lent, given, &child->handles[child->count], err);
    if (code)
        return code;
    child->count++;
    return afar__publish_keep(publish, given->object ? given->object : lent->object,
                              lent->variable + length, sizeof lent->variable - length, &lent->kept,
                              err);
}

static afar_code
give_all(struct child *child, afar_server *server, const afar_given *given, afar_error *err)
{
    size_t count = afar__given_count(given);
    afar__publish *publish = afar__server_publish(server);
    afar_code code = AFAR_OK;

    if (!publish && count > 0)
        return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s: the server at %s has not started",
                         child->program, afar_server_address(server));
    for (size_t i = 0; i < count && !code; i++)
        code = give(child, publish, &given[i], err);
    return code;
}

/* ---- its start ---- */

/* The environment of this process, without what it was given itself, and with what the child is;
 * NULL without memory. */
static char **
make_environment(struct child *child)
{
    size_t before = 0, count = 0;
    char **variables;

    while (environ && environ[before])
        before++;
    variables = calloc(before + child->count + 1, sizeof *variables);
    if (!variables)
        return NULL;
    for (size_t i = 0; i < before; i++)
        if (strncmp(environ[i], PREFIX, strlen(PREFIX)) != 0)
            variables[count++] = environ[i];
    for (size_t i = 0; i < child->count; i++)
        variables[count++] = child->lent[i].variable;
    return variables;
}

/* 0, or an error number. */
static int
spawn_with(struct child *child, const char *const argv[], char *const *environment)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe;
    int failed;

    /* The system's posix_spawn tells of it, but not under every emulator. */
    if (strchr(argv[0], '/') && access(argv[0], X_OK))
        return errno;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (!failed)
        failed = posix_spawnp(&child->pid, argv[0], &actions, &attributes, (char *const *)argv,
                              environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        child->pid = 0;
    return failed;
}

static afar_code
code_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return AFAR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return AFAR_PERMISSION_DENIED;
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return AFAR_RESOURCE_EXHAUSTED;
    default:
        return AFAR_FAILED_PRECONDITION;
    }
}

/* What the network calls it. */
static const char *
name_of(const struct child *child)
{
    const char *slash = strrchr(child->program, '/');

    if (child->options.name)
        return child->options.name;
    if (strcmp(child->program, "/proc/self/exe") == 0)
        return program_invocation_short_name;
    return slash ? slash + 1 : child->program;
}

static afar_code
start(struct child *child, const char *const argv[], afar_error *err)
{
    char **environment = make_environment(child);
    int failed = environment ? spawn_with(child, argv, environment) : ENOMEM;

    free(environment);
    if (failed)
        return afar_fail(err, code_of(failed), "%s cannot be started: %s", child->program,
                         strerror(failed));
    snprintf(child->name, sizeof child->name, "%.80s (process %d)", name_of(child),
             (int)child->pid);
    child->options.name = NULL;
    if (child->options.ret_pid)
        *child->options.ret_pid = child->pid;
    return AFAR_OK;
}

static afar_code
new_child(const char *program, size_t count, const afar_spawn_options *options,
          struct child **ret_child, afar_error *err)
{
    static const afar_spawn_options defaults = AFAR_SPAWN_OPTIONS_INIT;
    struct child *child;

    if (options && options->size != sizeof *options)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "afar_spawn_options was not made with AFAR_SPAWN_OPTIONS_INIT");
    child = calloc(1, sizeof *child + count * sizeof *child->lent);
    if (child)
        child->handles = calloc(count + 1, sizeof *child->handles);
    if (!child || !child->handles) {
        free(child);
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%s: no memory for a process", program);
    }
    atomic_init(&child->refs, 1);
    child->options = options ? *options : defaults;
    child->program = program;
    child->timer.ring = ring;
    pthread_mutex_init(&child->lock, NULL);
    pthread_cond_init(&child->rung, NULL);
    *ret_child = child;
    return AFAR_OK;
}

/* The network has the handles instead, and other objects as they are. */
static void
close_given(const struct child *child, const afar_given *given)
{
    size_t count = afar__given_count(given);

    for (size_t i = 0; i < count; i++) {
        afar_sender_close(given[i].sender);
        afar_receiver_close(given[i].receiver);
        if (i >= child->count)
            afar_object_close(given[i].object);
    }
}

/* What the child is lent counts from here on; what was given is closed behind the poison of a failure. */
static afar_code
spawn(afar_network *network, afar_server *server, const char *const argv[], const afar_given *given,
      struct child *child, afar_error *err)
{
    afar__process process = { .name = argv[0],
                              .run = stand_for,
                              .release = release,
                              .poisoned = set_timer,
                              .arg = child,
                              .is_child = true,
                              .may_fail = child->options.may_fail };
    afar_error why = AFAR_ERROR_INIT;
    afar_code code = give_all(child, server, given, &why);

    atomic_fetch_add(&child->refs, 1);
    if (!code)
        code = afar__network_check(network, &why);
    if (!code)
        code = start(child, argv, &why);
    if (code) {
        (void)!afar__network_refuse(network, &process, child->handles, &why, err);
    } else {
        process.name = child->name;
        code = afar__network_start(network, &process, child->handles, err);
    }
    close_given(child, given);
    unref(child);
    afar_error_clear(&why);
    return code;
}

afar_code
afar_network_spawn(afar_network *network, afar_server *server, const char *const argv[],
                   const afar_given *given, const afar_spawn_options *options, afar_error *err)
{
    afar__process refused = { .is_child = true };
    afar_error why = AFAR_ERROR_INIT;
    struct child *child = NULL;
    afar_code code;

    if (!network || !server || !argv || !argv[0])
        afar__misuse("afar_network_spawn: a NULL %s", !network  ? "network"
                                                      : !server ? "server"
                                                                : "program");
    if (afar__engine_check(err))
        return AFAR_FAILED_PRECONDITION;
    code = new_child(argv[0], afar__given_count(given), options, &child, &why);
    if (child)
        return spawn(network, server, argv, given, child, err);
    refused.name = argv[0];
    (void)!afar__network_refuse(network, &refused, given, &why, err);
    afar_error_clear(&why);
    return code;
}
