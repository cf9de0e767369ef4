/* What peer.h says. */

#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

far_peer *
make_peer(const far_peer_methods *methods, void *self, afar_mode mode, void (*finalizer)(void *))
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    far_peer *peer = NULL;

    options.mode = mode;
    options.finalizer = finalizer;
    CHECK_OK(far_peer_new(methods, self, &options, &peer, &err));
    return peer;
}

far_peer *
share_peer(far_peer *peer)
{
    return (far_peer *)afar_object_share(far_peer_object(peer));
}

void
serve_peer(afar_server *server, const char *name, const far_peer_methods *methods, void *self,
           afar_mode mode)
{
    far_peer *peer = make_peer(methods, self, mode, NULL);
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(afar_server_export(server, name, far_peer_object(peer), &err));
    far_peer_close(peer);
}

far_peer *
reach_peer_at(afar_client *client, const char *address, const char *name)
{
    bool is_tcp = strncmp(address, "unix:", 5) != 0 && strncmp(address, "inproc:", 7) != 0;
    afar_error err = AFAR_ERROR_INIT;
    far_peer *peer = NULL;
    char text[300];

    snprintf(text, sizeof text, "%s%s%s%s", is_tcp ? "afar://" : "", address, name[0] ? "/" : "",
             name);
    CHECK_OK(far_peer_open(client, text, soon(), &peer, &err));
    return peer;
}

far_peer *
reach_peer(struct pair *pair, const char *name)
{
    return reach_peer_at(pair->client, afar_server_address(pair->server), name);
}

far_peer *
pair_peer(struct pair *pair, const char *name, const far_peer_methods *methods, void *self,
          afar_mode mode)
{
    serve_peer(pair->server, name, methods, self, mode);
    return reach_peer(pair, name);
}

void
raise_event(void *self)
{
    event_raise(self);
}

/* ---- calling ---- */

afar_code
ask_with(far_peer *peer, int64_t number, far_peer *one, int64_t *ret_number, afar_error *err)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
    Afar__Ref room;

    request.number = number;
    far_bundle_put_one(&request, &room, one);
    afar_code code = far_peer_ask(peer, &request, soon(), &reply, err);
    if (!code)
        *ret_number = reply->number;
    afar_message_free(reply);
    return code;
}

int64_t
number_of(far_peer *peer, int64_t number)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t answer = 0;

    CHECK_OK(ask_with(peer, number, NULL, &answer, &err));
    return answer;
}

void
give_to(far_peer *peer, far_peer *one)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t answer;

    CHECK_OK(ask_with(peer, 0, one, &answer, &err));
}

far_peer *
get_from(far_peer *peer, int64_t number)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *reply = NULL;
    afar_error err = AFAR_ERROR_INIT;

    request.number = number;
    CHECK_OK(far_peer_ask(peer, &request, soon(), &reply, &err));
    far_peer *one = far_bundle_take_one(reply);
    afar_message_free(reply);
    CHECK(one);
    return one;
}

afar_future *
start_number(far_peer *peer, int64_t number)
{
    Far__Bundle request = FAR__BUNDLE__INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_future *future = NULL;

    request.number = number;
    CHECK_OK(far_peer_ask_start(peer, &request, soon(), NULL, &future, &err));
    return future;
}

static void
use_list(far_peer *peer, int64_t count)
{
    Far__Bundle request = FAR__BUNDLE__INIT, *item = NULL;
    far_peer_list_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    request.number = count;
    CHECK_OK(far_peer_list(peer, &request, soon(), NULL, &stream, &err));
    for (int64_t i = 0; i < count; i++) {
        CHECK_OK(far_peer_list_receive(stream, soon(), &item, &err));
        CHECK_INT(item->number, i);
        afar_message_free(item);
    }
    CHECK_FAILS(far_peer_list_receive(stream, soon(), &item, &err), AFAR_ENDED);
    far_peer_list_close(stream);
    afar_error_clear(&err);
}

static void
use_gather(far_peer *peer, int64_t count)
{
    Far__Bundle item = FAR__BUNDLE__INIT, *reply = NULL;
    far_peer_gather_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far_peer_gather(peer, soon(), NULL, &stream, &err));
    for (; item.number < count; item.number++)
        CHECK_OK(far_peer_gather_send(stream, &item, soon(), &err));
    CHECK_OK(far_peer_gather_finish(stream, soon(), &reply, &err));
    CHECK_INT(reply->number, count * (count - 1) / 2);
    afar_message_free(reply);
    far_peer_gather_close(stream);
}

static void
use_talk(far_peer *peer, int64_t count)
{
    Far__Bundle item = FAR__BUNDLE__INIT, *answer = NULL;
    far_peer_talk_stream *stream = NULL;
    afar_error err = AFAR_ERROR_INIT;

    CHECK_OK(far_peer_talk(peer, soon(), NULL, &stream, &err));
    for (; item.number < count; item.number++) {
        CHECK_OK(far_peer_talk_send(stream, &item, soon(), &err));
        CHECK_OK(far_peer_talk_receive(stream, soon(), &answer, &err));
        CHECK_INT(answer->number, item.number + 1);
        afar_message_free(answer);
    }
    CHECK_OK(far_peer_talk_finish(stream, &err));
    CHECK_FAILS(far_peer_talk_receive(stream, soon(), &answer, &err), AFAR_ENDED);
    far_peer_talk_close(stream);
    afar_error_clear(&err);
}

void
use_all_kinds(far_peer *peer)
{
    CHECK_INT(number_of(peer, 4), 5);
    use_list(peer, 10);
    use_gather(peer, 10);
    use_talk(peer, 10);
}

/* ---- handlers that answer ---- */

static afar_code
count_ask(void *self, const Far__Bundle *request, Far__Bundle *reply, afar_call *call)
{
    (void)self;
    (void)call;
    reply->number = request->number + 1;
    reply->data = request->data;
    return AFAR_OK;
}

static afar_code
count_list(void *self, const Far__Bundle *request, far_peer_list_server_stream *stream,
           afar_call *call)
{
    Far__Bundle item = FAR__BUNDLE__INIT;
    afar_code code = AFAR_OK;

    (void)self;
    (void)call;
    for (; item.number < request->number && !code; item.number++)
        code = far_peer_list_server_send(stream, &item, AFAR_FOREVER, NULL);
    return code;
}

static afar_code
count_gather(void *self, far_peer_gather_server_stream *stream, Far__Bundle *reply, afar_call *call)
{
    const Far__Bundle *item = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = far_peer_gather_server_receive(stream, AFAR_FOREVER, &item, NULL)))
        reply->number += item->number;
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
count_talk(void *self, far_peer_talk_server_stream *stream, afar_call *call)
{
    const Far__Bundle *item = NULL;
    afar_code code;

    (void)self;
    (void)call;
    while (!(code = far_peer_talk_server_receive(stream, AFAR_FOREVER, &item, NULL))) {
        Far__Bundle answer = FAR__BUNDLE__INIT;

        answer.number = item->number + 1;
        if ((code = far_peer_talk_server_send(stream, &answer, AFAR_FOREVER, NULL)))
            return code;
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static afar_code
count_tell(void *self, const Far__Bundle *request, afar_call *call)
{
    (void)self;
    (void)request;
    (void)call;
    return AFAR_OK;
}

const far_peer_methods counting_methods = { .ask = count_ask,
                                            .list = count_list,
                                            .gather = count_gather,
                                            .talk = count_talk,
                                            .tell = count_tell };

/* ---- processes ---- */

void
child_start(struct child *child, void (*run)(struct child *self))
{
    int down[2], up[2];

    CHECK_INT(pipe(down), 0);
    CHECK_INT(pipe(up), 0);
    child->pid = fork();
    CHECK(child->pid >= 0);
    child->in = child->pid ? up[0] : down[0];
    child->out = child->pid ? down[1] : up[1];
    close(child->pid ? up[1] : up[0]);
    close(child->pid ? down[0] : down[1]);
    if (child->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run(child);
    exit(EXIT_SUCCESS);
}

void
child_say(struct child *child, const char *line)
{
    char text[302];
    int length = snprintf(text, sizeof text, "%s\n", line);

    CHECK_INT(write(child->out, text, (size_t)length), length);
}

/* False at the end of what is said. */
static bool
hear(struct child *child, char line[300])
{
    size_t length = 0;

    while (length < 299 && read(child->in, &line[length], 1) == 1 && line[length] != '\n')
        length++;
    bool heard = length < 299 && line[length] == '\n';
    line[length] = '\0';
    return heard;
}

void
child_hear(struct child *child, char line[300])
{
    memset(line, 0, 300);
    CHECK(hear(child, line));
}

static void
let_go(struct child *child, int *ret_status)
{
    close(child->out);
    CHECK_INT(waitpid(child->pid, ret_status, 0), child->pid);
    close(child->in);
}

void
child_kill(struct child *child)
{
    int status;

    kill(child->pid, SIGKILL);
    let_go(child, &status);
    CHECK(WIFSIGNALED(status));
}

void
child_end(struct child *child)
{
    int status;

    let_go(child, &status);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

void
child_serve(struct child *self, afar_server *server)
{
    char line[300] = "";

    child_say(self, afar_server_address(server));
    while (hear(self, line))
        continue;
}
