/* A thread that looks out for what ends the command, in one poll: so the others can wait for input and for
 * channels, and are told in the way that each can hear.
 *
 * The future is no call's: it is a case that happens when the thread says so. */

#include "command/ending.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command/say.h"

/* ---- the future ---- */

static afar_code
take(afar_future *future, ProtobufCMessage **ret_reply, afar_error *err)
{
    (void)future;
    (void)ret_reply;
    return afar_fail(err, AFAR_CANCELLED, "it was ended");
}

static void
nothing(afar_future *future)
{
    (void)future;
}

static const afar_metadata *
no_metadata(afar_future *future, bool trailing)
{
    (void)future;
    (void)trailing;
    return NULL;
}

static const afar__future_ops ops = { take, nothing, no_metadata, nothing };

/* ---- the thread ---- */

static void
tell(int event)
{
    uint64_t one = 1;

    while (write(event, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void *
look_out(void *arg)
{
    ending_watch *watch = arg;
    struct pollfd all[] = { { .fd = watch->over, .events = POLLIN },
                            { .fd = watch->signals, .events = POLLIN },
                            { .fd = watch->output } };

    while (poll(all, 3, -1) < 0 && errno == EINTR)
        ;
    atomic_store(&watch->ended, true);
    tell(watch->told);
    afar__future_fulfil(&watch->future);
    return NULL;
}

static void
close_all(const ending_watch *watch)
{
    const int all[] = { watch->told, watch->over, watch->signals };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0)
            close(all[i]);
}

/* Before any other thread starts, since they inherit what is blocked. */
int
ending_open(ending_watch *watch, bool output)
{
    sigset_t signals;
    int failed = 0;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    atomic_init(&watch->ended, false);
    watch->output = output ? STDOUT_FILENO : -1;
    watch->told = eventfd(0, EFD_CLOEXEC);
    watch->over = eventfd(0, EFD_CLOEXEC);
    watch->signals = signalfd(-1, &signals, SFD_CLOEXEC);
    if (watch->told < 0 || watch->over < 0 || watch->signals < 0)
        failed = errno;
    if (!failed) {
        afar__future_init(&watch->future, &ops, NULL);
        failed = pthread_create(&watch->thread, NULL, look_out, watch);
        if (failed)
            afar__future_abandon(&watch->future);
    }
    if (!failed)
        return EXIT_DONE;
    complain("signals cannot be waited for: %s", strerror(failed));
    close_all(watch);
    return EXIT_OTHER;
}

void
ending_close(ending_watch *watch)
{
    tell(watch->over);
    pthread_join(watch->thread, NULL);
    afar__future_unref(&watch->future);
    close_all(watch);
}
