/* The processes of channel_net.h: what each of them does until it is told to stop, or killed.
 *
 * Whoever loses a home closes its end and opens one at the home's next life.  Every wait has a bound, and one
 * that passes it is written down as a fault: a net in which somebody hangs does not pass. */

#include "channel_net.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <afar/client.h>
#include <afar/select.h>
#include <afar/server.h>

#include "board.h"
#include "channel_item.afar.h"
#include "check.h"

#define PATIENCE_MS 12000 /* of one operation that must come to something */

struct self {
    struct net *net;
    struct net_node *node;
    afar_client *client;
    uint64_t random;
    unsigned lives[NET_HOMES]; /* of the homes that the ends below belong to */
    bool over[NET_HOMES];      /* readers: nothing comes from there any more */
    fault_item_sender *senders[NET_HOMES];
    fault_item_receiver *receivers[NET_HOMES];
};

/* ---- time, chance, faults ---- */

static int64_t
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint32_t
net_now(const struct net *net)
{
    return (uint32_t)((now_us() - net->start_us) / 100);
}

static unsigned
chance(struct self *self, unsigned below)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (unsigned)(self->random >> 33) % below;
}

/* Very soon, so that it meets what happens. */
static afar_deadline
any_moment(struct self *self)
{
    return afar_deadline_at(now_us() * 1000 + chance(self, 3000000));
}

/* The process ends with it. */
static void
fault(struct net_node *node, const char *what, afar_code code, const afar_error *err)
{
    snprintf(node->what, sizeof node->what, "%s: %s: %.120s", what, afar_code_name(code),
             err ? err->message : "");
    atomic_store(&node->broken, true);
    _exit(3);
}

static void
pause_a_little(void)
{
    (void)poll(NULL, 0, 1);
}

/* ---- ends ---- */

static bool
stops(const struct self *self)
{
    return atomic_load(self->node->role == NET_WRITER ? &self->net->stop : &self->net->drain);
}

static void
close_end(struct self *self, int home)
{
    fault_item_sender_close(self->senders[home]);
    fault_item_receiver_close(self->receivers[home]);
    self->senders[home] = NULL;
    self->receivers[home] = NULL;
}

static afar_code
try_to_open(struct self *self, int home, afar_error *err)
{
    const struct net_home *place = &self->net->homes[home];
    bool sends = self->node->role == NET_WRITER;
    afar_deadline deadline = afar_after_ms(PATIENCE_MS);
    char name[100];

    self->lives[home] = atomic_load(&place->serving);
    snprintf(name, sizeof name, "afar://%s/%s", place->addresses[self->lives[home] % 2],
             sends ? "send" : "receive");
    if (sends)
        return fault_item_sender_open(self->client, name, deadline, &self->senders[home], err);
    return fault_item_receiver_open(self->client, name, deadline, &self->receivers[home], err);
}

/* At the home's present life, however often it dies meanwhile.  False: it is to stop. */
static bool
open_end(struct self *self, int home)
{
    int64_t end = now_us() + PATIENCE_MS * 1000;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    while ((code = try_to_open(self, home, &err)) && !stops(self)) {
        if (now_us() > end)
            fault(self->node, "no home", code, &err);
        pause_a_little();
    }
    afar_error_clear(&err);
    return !code;
}

static bool
open_again(struct self *self, int home)
{
    close_end(self, home);
    return open_end(self, home);
}

/* ---- writers ---- */

static afar_code
send_once(struct self *self, const Fault__Item *item, size_t *ret_home, afar_error *err)
{
    afar_case cases[] = { AFAR_CASE_SEND(fault_item_sender_base(self->senders[0]), &item->base),
                          AFAR_CASE_SEND(fault_item_sender_base(self->senders[1]), &item->base) };
    unsigned way = chance(self, 8);
    afar_deadline deadline = way & 1 ? afar_after_ms(PATIENCE_MS) : any_moment(self);

    if (way < 4)
        return afar_select(cases, 2, way & 2 ? AFAR_BY_PRIORITY : AFAR_FAIR, deadline, ret_home,
                           err);
    *ret_home = way & 2 ? 1 : 0;
    return fault_item_send(self->senders[*ret_home], item, deadline, err);
}

static void
check_end(const struct self *self, afar_code code, int64_t start, const afar_error *err)
{
    if (now_us() - start >= PATIENCE_MS * 1000)
        fault(self->node, "it took too long", code, err);
    if (code && code != AFAR_DEADLINE_EXCEEDED && code != AFAR_LOST && code != AFAR_UNKNOWN &&
        code != AFAR_UNAVAILABLE)
        fault(self->node, "a strange end", code, err);
}

static bool
send_next(struct self *self)
{
    Fault__Item item = FAULT__ITEM__INIT;
    afar_error err = AFAR_ERROR_INIT;
    struct net_note *note;
    size_t home = 0;
    int64_t start;
    afar_code code;

    item.number = atomic_fetch_add(&self->net->next, 1);
    if (item.number >= NET_NOTES)
        fault(self->node, "there are no numbers left", AFAR_OK, NULL);
    note = &self->net->notes[item.number];
    note->began = net_now(self->net);
    atomic_store(&note->state, NET_SENDING);
    start = now_us();
    code = send_once(self, &item, &home, &err);
    note->ended = net_now(self->net);
    note->code = (uint8_t)code;
    atomic_store(&note->state, NET_TOLD);
    check_end(self, code, start, &err);
    afar_error_clear(&err);
    return code == AFAR_OK || code == AFAR_DEADLINE_EXCEEDED || open_again(self, (int)home);
}

static void
write_on(struct self *self)
{
    bool open = open_end(self, 0) && open_end(self, 1);

    while (open && !stops(self))
        open = send_next(self);
}

/* ---- readers ---- */

static void
note_received(struct net *net, struct net_node *node, uint64_t number)
{
    atomic_fetch_add(&net->notes[number % NET_NOTES].received, 1);
    atomic_store(&node->last_at, net_now(net));
    atomic_fetch_add(&net->received, 1);
}

static afar_code
receive_once(struct self *self, Fault__Item **ret_item, size_t *ret_home, afar_error *err)
{
    afar_case cases[] = { AFAR_CASE_RECEIVE(fault_item_receiver_base(self->receivers[0])),
                          AFAR_CASE_RECEIVE(fault_item_receiver_base(self->receivers[1])) };
    unsigned way = chance(self, 8);
    afar_code code;

    for (size_t i = 0; i < NET_HOMES; i++)
        cases[i].off = self->over[i];
    if (way > 5) {
        *ret_home = self->over[0] || (way == 7 && !self->over[1]);
        return fault_item_receive(self->receivers[*ret_home], any_moment(self), ret_item, err);
    }
    code = afar_select(cases, 2, way & 1 ? AFAR_BY_PRIORITY : AFAR_FAIR,
                       afar_after_ms(way < 4 ? PATIENCE_MS : 1), ret_home, err);
    if (!code)
        *ret_item = (Fault__Item *)cases[*ret_home].received;
    return code;
}

/* The end of a channel, or only of its home's life. */
static bool
is_over(const struct self *self, size_t home, afar_code code)
{
    return stops(self) && (code == AFAR_ENDED || code == AFAR_LOST) &&
           atomic_load(&self->net->homes[home].serving) == self->lives[home];
}

static bool
receive_next(struct self *self)
{
    Fault__Item *item = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int64_t start = now_us();
    size_t home = 0;
    afar_code code = receive_once(self, &item, &home, &err);

    if (!code) {
        note_received(self->net, self->node, item->number);
        afar_message_free(item);
    } else if (is_over(self, home, code)) {
        self->over[home] = true;
    } else {
        check_end(self, code, start, &err);
        if (code != AFAR_DEADLINE_EXCEEDED && !open_again(self, (int)home))
            self->over[home] = true;
    }
    afar_error_clear(&err);
    return !self->over[0] || !self->over[1];
}

static void
read_on(struct self *self)
{
    bool more = open_end(self, 0) && open_end(self, 1);

    while (more)
        more = receive_next(self);
}

/* ---- homes ---- */

static void *
read_at_home(void *arg)
{
    struct self *self = arg;
    Fault__Item *item = NULL;
    afar_code code;

    while (!(code = fault_item_receive(self->receivers[0], AFAR_FOREVER, &item, NULL))) {
        note_received(self->net, self->node, item->number);
        afar_message_free(item);
    }
    if (code != AFAR_ENDED && code != AFAR_LOST)
        fault(self->node, "a strange end at home", code, NULL);
    return NULL;
}

static afar_server *
serve(struct self *self)
{
    struct net_home *home = &self->net->homes[self->node->index];
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;

    CHECK_OK(self->net->capacity
                 ? fault_item_buffered_new(self->net->capacity, &self->senders[0],
                                           &self->receivers[0], &err)
                 : fault_item_rendezvous_new(&self->senders[0], &self->receivers[0], &err));
    CHECK_OK(afar_server_open(NULL, "127.0.0.1:0", NULL, &server, &err));
    CHECK_OK(afar_server_export(server, "send", fault_item_sender_object(self->senders[0]), &err));
    CHECK_OK(afar_server_export(server, "receive", fault_item_receiver_object(self->receivers[0]),
                                &err));
    CHECK_OK(afar_server_start(server, &err));
    snprintf(home->addresses[self->node->lives % 2], sizeof home->addresses[0], "%s",
             afar_server_address(server));
    atomic_store(&home->serving, self->node->lives);
    return server;
}

static void
be_home(struct self *self)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = serve(self);
    pthread_t thread;

    if (self->net->read_at_home)
        CHECK(!pthread_create(&thread, NULL, read_at_home, self));
    wait_for_flag(&self->net->drain);
    CHECK_OK(afar_server_unexport(server, "send", fault_item_channel_type.sender, &err));
    fault_item_sender_close(self->senders[0]);
    self->senders[0] = NULL;
    if (self->net->read_at_home)
        CHECK(!pthread_join(thread, NULL));
    wait_for_flag(&self->net->leave);
    afar_server_close(server);
}

/* ---- processes ---- */

static void
run(struct self *self)
{
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_client_open(NULL, NULL, &self->client, &err));
    if (self->node->role == NET_WRITER)
        write_on(self);
    else if (self->node->role == NET_READER)
        read_on(self);
    else
        be_home(self);
    for (int i = 0; i < NET_HOMES; i++)
        close_end(self, i);
    afar_client_close(self->client);
    _exit(0);
}

void
net_start(struct net *net, struct net_node *node)
{
    struct self self = { .net = net, .node = node };
    pid_t pid;

    node->lives++;
    self.random = 88172645463325252u + (uint64_t)(node - net->nodes) * 7919 + node->lives * 104729u;
    pid = board_fork();
    if (pid == 0)
        run(&self);
    node->pid = pid;
}

void
net_kill(struct net *net, struct net_node *node)
{
    struct net_kill *entry = &net->kills[net->kill_count++];

    CHECK(net->kill_count < NET_KILLS);
    CHECK(!kill(node->pid, SIGKILL));
    CHECK(waitpid(node->pid, NULL, 0) == node->pid);
    if (atomic_load(&node->broken))
        check_fail(__FILE__, __LINE__, "%s", node->what);
    entry->role = node->role;
    entry->at = net_now(net);
    entry->last_at = atomic_load(&node->last_at);
}

void
net_wait(struct net *net, enum net_role role)
{
    for (size_t i = 0; i < NET_NODES; i++) {
        struct net_node *node = &net->nodes[i];
        int status;

        if (node->role != role)
            continue;
        CHECK(waitpid(node->pid, &status, 0) == node->pid);
        if (atomic_load(&node->broken))
            check_fail(__FILE__, __LINE__, "%s", node->what);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* ---- the net ---- */

struct net *
net_open(unsigned capacity, bool read_at_home)
{
    static const int counts[] = { NET_HOMES, NET_WRITERS, NET_READERS };
    struct net *net = mmap(NULL, sizeof *net, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct net_node *node;

    CHECK(net != MAP_FAILED);
    net->capacity = capacity;
    net->read_at_home = read_at_home;
    net->start_us = now_us();
    node = net->nodes;
    for (int role = NET_HOME; role <= NET_READER; role++)
        for (int i = 0; i < counts[role]; i++, node++) {
            node->role = (enum net_role)role;
            node->index = i;
            net_start(net, node);
        }
    return net;
}

void
net_close(struct net *net)
{
    CHECK(!munmap(net, sizeof *net));
}
