/* A process that asks for many messages and then stops reading.  Its home stops giving it any, so what waits for
 * it has a bound, and whoever sends waits; when it reads again, all goes on. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/server.h>

#include "check.h"
#include "piece.afar.h"
#include "runtime/channel/code.h"
#include "runtime/far/raw.h"

#define COUNT 1000
#define SIZE 65536
/* What a wire and a seat hold, a session's window, and what the system keeps of a socket; all would be 64 MB. */
#define MOST_WAITING (16u << 20)

/* ---- the process that stops ---- */

static atomic_int arrived;

static void
came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    afar__channel_reader reader;
    afar__channel_said said;
    int *told = arg;

    (void)item;
    afar__channel_reader_init(&reader, true, data, length);
    while (!afar__channel_read(&reader, &said, NULL)) {
        if (said.kind == AFAR__CHANNEL_WELCOME)
            (void)!write(*told, "w", 1);
        if (said.kind == AFAR__CHANNEL_STEP && said.step.kind == AFAR__STEP_MESSAGE)
            atomic_fetch_add(&arrived, 1);
    }
}

static void
nothing(void *arg)
{
    (void)arg;
}

static void
over(void *arg, const afar_error *err)
{
    (void)arg;
    (void)err;
}

static const afar__raw_ops ops = { came, nothing, nothing, nothing, over, NULL };

static void
ask_for_all(afar__raw *raw)
{
    afar__channel_hello hello = { .version = AFAR__CHANNEL_VERSION, .carries = "fault.Piece" };
    afar__step offer = { .kind = AFAR__STEP_OFFER };
    afar__channel_buffer buffer = { .data = NULL };

    CHECK(afar__channel_add_hello(&buffer, &hello));
    for (int i = 0; i < COUNT; i++)
        CHECK(afar__channel_add(&buffer, &offer, (afar__channel_span){ NULL, 0 }));
    CHECK_INT(afar__raw_send(raw, buffer.data, buffer.length, NULL, NULL), AFAR_OK);
    afar__channel_buffer_free(&buffer);
}

static void
run_child(int names, int told)
{
    fault_piece_receiver *receiver = NULL;
    afar_client *client = NULL;
    afar_error err = AFAR_ERROR_INIT;
    char name[200] = "";
    afar__raw *raw = NULL;
    afar_object *object;

    CHECK(read(names, name, sizeof name - 1) > 0);
    CHECK_OK(afar_client_open(NULL, NULL, &client, &err));
    CHECK_OK(fault_piece_receiver_open(client, name, afar_after_ms(10000), &receiver, &err));
    object = fault_piece_receiver_object(receiver);
    CHECK_OK(
        afar__raw_open(object, afar_object_interface(object)->methods, &ops, &told, &raw, &err));
    ask_for_all(raw);
    while (atomic_load(&arrived) < COUNT)
        usleep(1000);
    CHECK(write(told, "a", 1) == 1);
    afar__raw_close(raw, NULL);
    fault_piece_receiver_close(receiver);
    afar_client_close(client);
}

/* ---- the home ---- */

struct home {
    fault_piece_sender *sender;
    fault_piece_receiver *receiver;
    afar_server *server;
    int names[2], told[2];
    pid_t child;
    atomic_uint sent;
};

static void *
run_sending(void *arg)
{
    struct home *home = arg;
    static uint8_t data[SIZE];
    Fault__Piece piece = FAULT__PIECE__INIT;

    piece.data.data = data;
    piece.data.len = sizeof data;
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(fault_piece_send(home->sender, &piece, AFAR_FOREVER, NULL), AFAR_OK);
        atomic_fetch_add(&home->sent, 1);
    }
    return NULL;
}

static void
open_home(struct home *home)
{
    afar_error err = AFAR_ERROR_INIT;
    char name[200];

    CHECK(!pipe(home->names) && !pipe(home->told));
    home->child = fork();
    CHECK(home->child >= 0);
    if (home->child == 0) {
        run_child(home->names[0], home->told[1]);
        _exit(0);
    }
    CHECK_OK(fault_piece_buffered_new(1, &home->sender, &home->receiver, &err));
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &home->server, &err));
    CHECK_OK(afar_server_export(home->server, "receive",
                                fault_piece_receiver_object(home->receiver), &err));
    CHECK_OK(afar_server_start(home->server, &err));
    snprintf(name, sizeof name, "afar://%s/receive", afar_server_address(home->server));
    CHECK(write(home->names[1], name, strlen(name)) > 0);
}

/* Until the sender stands still. */
static unsigned
sent_in_the_end(const struct home *home)
{
    unsigned before, now = atomic_load(&home->sent);

    do {
        before = now;
        usleep(300000);
        now = atomic_load(&home->sent);
    } while (now != before);
    return now;
}

TEST(who_does_not_read_is_not_written_to_without_end)
{
    struct home home = { .child = 0 };
    pthread_t sending;
    int status;
    char byte;

    open_home(&home);
    CHECK_INT(read(home.told[0], &byte, 1), 1);
    CHECK(!kill(home.child, SIGSTOP));
    CHECK(waitpid(home.child, &status, WUNTRACED) == home.child && WIFSTOPPED(status));
    CHECK(!pthread_create(&sending, NULL, run_sending, &home));
    CHECK(sent_in_the_end(&home) < MOST_WAITING / SIZE);
    CHECK(!kill(home.child, SIGCONT));
    CHECK(!pthread_join(sending, NULL));
    CHECK_INT(read(home.told[0], &byte, 1), 1);
    CHECK_INT(byte, 'a');
    CHECK(waitpid(home.child, &status, 0) == home.child && WIFEXITED(status) &&
          WEXITSTATUS(status) == 0);
    fault_piece_sender_close(home.sender);
    fault_piece_receiver_close(home.receiver);
    afar_server_close(home.server);
    for (int i = 0; i < 2; i++) {
        close(home.names[i]);
        close(home.told[i]);
    }
}
