/* Rooms in which people talk.  A room is an object, and a member is one too: it lives in the
 * member's program, and the room calls it.  Nobody polls, and no member listens on a port.
 *
 *     chat-server [ADDRESS [LEASE_MS]]
 *
 * The lobby is exported as "chat/lobby"; rooms have no names outside, only who entered has a
 * reference to one.  With AFAR_NAMES in the environment the lobby is registered with the name
 * server there.
 *
 * Nothing tells a room that a program has died.  The next line that it sends there fails, and then
 * the member is out, which the room says to the others.
 *
 * A room serves one call at a time, and so does the lobby: neither has a lock. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/log.h>
#include <afar/server.h>

#include "chat.afar.h"

#define MAX_ROOMS 100
#define MAX_MEMBERS 100
#define MAX_NAME 32
#define MAX_TEXT 1000
#define LATE_MS 5000

struct member {
    char nick[MAX_NAME + 1];
    chat_member *reference;
    bool lost; /* a call to it failed */
};

struct room {
    char name[MAX_NAME + 1];
    chat_room *object;
    size_t count;
    struct member members[MAX_MEMBERS];
};

struct lobby {
    size_t count;
    struct room *rooms[MAX_ROOMS];
};

/* ---- a room ---- */

/* Sends a line to all.  Nobody answers, so this does not wait for anybody.  A line that could not
 * be sent for so long, to a member whose program hangs, is dropped. */
static void
send_to_all(struct room *room, const char *nick, const char *text)
{
    Chat__Line line = CHAT__LINE__INIT;

    line.nick = (char *)nick;
    line.text = (char *)text;
    for (size_t i = 0; i < room->count; i++)
        if (chat_member_heard(room->members[i].reference, &line, afar_after_ms(LATE_MS), NULL))
            room->members[i].lost = true;
}

static void
remove_member(struct room *room, size_t place)
{
    chat_member_close(room->members[place].reference);
    room->count--;
    memmove(&room->members[place], &room->members[place + 1],
            (room->count - place) * sizeof *room->members);
}

/* Says what the room itself has to say. */
static void
announce(struct room *room, const char *nick, const char *what)
{
    char text[MAX_NAME + 32];

    snprintf(text, sizeof text, "%s %s", nick, what);
    printf("chat: %s: %s\n", room->name, text);
    send_to_all(room, "", text);
}

/* Puts out those that could not be reached.  Saying so may find more of them: each time
 * there is one less, so this ends. */
static void
put_out_lost(struct room *room)
{
    for (size_t i = 0; i < room->count;) {
        char nick[MAX_NAME + 1];

        if (!room->members[i].lost) {
            i++;
            continue;
        }
        memcpy(nick, room->members[i].nick, sizeof nick);
        remove_member(room, i);
        announce(room, nick, "is gone");
        i = 0;
    }
}

static struct member *
find_member(struct room *room, const char *nick)
{
    for (size_t i = 0; i < room->count; i++)
        if (strcmp(room->members[i].nick, nick) == 0)
            return &room->members[i];
    return NULL;
}

static afar_code
not_here(const struct room *room, const char *nick, afar_call *call)
{
    return afar_call_fail(call, AFAR_FAILED_PRECONDITION, "%s is not in room %s", nick, room->name);
}

static afar_code
check_name(const char *what, const char *name, afar_call *call)
{
    if (!*name || strlen(name) > MAX_NAME)
        return afar_call_fail(call, AFAR_INVALID_ARGUMENT, "a %s has 1 to %d bytes", what,
                              MAX_NAME);
    return AFAR_OK;
}

/* Who is there, for the reply; the strings are the room's, which may change before it is sent. */
static afar_code
list_members(const struct room *room, Chat__JoinReply *reply, afar_call *call)
{
    reply->nicks = afar_call_alloc(call, MAX_MEMBERS * sizeof *reply->nicks);
    for (size_t i = 0; reply->nicks && i < room->count; i++)
        if ((reply->nicks[i] = afar_call_strdup(call, room->members[i].nick)))
            reply->n_nicks++;
    if (!reply->nicks || reply->n_nicks < room->count)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "no memory for the nicks");
    return AFAR_OK;
}

static afar_code
join(void *self, const Chat__JoinRequest *request, Chat__JoinReply *reply, afar_call *call)
{
    struct room *room = self;
    afar_code code;

    if ((code = check_name("nick", request->nick, call)))
        return code;
    if (find_member(room, request->nick))
        return afar_call_fail(call, AFAR_ALREADY_EXISTS, "there is a %s in room %s", request->nick,
                              room->name);
    if (room->count == MAX_MEMBERS)
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "room %s is full", room->name);
    if ((code = list_members(room, reply, call)))
        return code;

    struct member *member = &room->members[room->count];
    if (!(member->reference = chat_join_request_take_member(request)))
        return afar_call_fail(call, AFAR_INVALID_ARGUMENT, "there is no member to be called");
    snprintf(member->nick, sizeof member->nick, "%s", request->nick);
    member->lost = false;
    announce(room, request->nick, "comes in");
    room->count++;
    put_out_lost(room);
    return AFAR_OK;
}

static afar_code
say(void *self, const Chat__Line *request, Chat__Done *reply, afar_call *call)
{
    struct room *room = self;

    (void)reply;
    if (!find_member(room, request->nick))
        return not_here(room, request->nick, call);
    if (strlen(request->text) > MAX_TEXT)
        return afar_call_fail(call, AFAR_INVALID_ARGUMENT, "a line has at most %d bytes", MAX_TEXT);
    send_to_all(room, request->nick, request->text);
    put_out_lost(room);
    return AFAR_OK;
}

static afar_code
leave(void *self, const Chat__LeaveRequest *request, Chat__Done *reply, afar_call *call)
{
    struct room *room = self;
    struct member *member = find_member(room, request->nick);

    (void)reply;
    if (!member)
        return not_here(room, request->nick, call);
    remove_member(room, (size_t)(member - room->members));
    announce(room, request->nick, "goes out");
    put_out_lost(room);
    return AFAR_OK;
}

static const chat_room_methods room_methods = { .join = join, .say = say, .leave = leave };

/* The last reference to a room is gone: the lobby's, when the server stops. */
static void
close_room(void *self)
{
    struct room *room = self;

    while (room->count > 0)
        remove_member(room, room->count - 1);
    free(room);
}

/* ---- the lobby ---- */

static struct room *
find_room(struct lobby *lobby, const char *name)
{
    for (size_t i = 0; i < lobby->count; i++)
        if (strcmp(lobby->rooms[i]->name, name) == 0)
            return lobby->rooms[i];
    return NULL;
}

/* NULL, and `err` says why, if it cannot be made. */
static struct room *
make_room(struct lobby *lobby, const char *name, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;

    struct room *room = calloc(1, sizeof *room);

    if (lobby->count == MAX_ROOMS || !room) {
        free(room);
        (void)afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "there is no place for room %s", name);
        return NULL;
    }
    snprintf(room->name, sizeof room->name, "%s", name);
    options.finalizer = close_room;
    if (chat_room_new(&room_methods, room, &options, &room->object, err)) {
        free(room);
        return NULL;
    }
    lobby->rooms[lobby->count++] = room;
    return room;
}

static afar_code
enter(void *self, const Chat__EnterRequest *request, Chat__EnterReply *reply, afar_call *call)
{
    struct lobby *lobby = self;
    afar_error err = AFAR_ERROR_INIT;
    afar_code code;

    if ((code = check_name("room's name", request->room, call)))
        return code;
    struct room *room = find_room(lobby, request->room);
    if (!room && !(room = make_room(lobby, request->room, &err)))
        return afar_call_fail_error(call, &err);

    /* The reply gets a reference of its own; the lobby keeps the first one. */
    chat_room *mine = (chat_room *)afar_object_share(chat_room_object(room->object));
    return chat_enter_reply_give_room(reply, call, mine);
}

static void
close_lobby(void *self)
{
    struct lobby *lobby = self;

    for (size_t i = 0; i < lobby->count; i++)
        chat_room_close(lobby->rooms[i]->object);
    free(lobby);
}

static const chat_lobby_methods lobby_methods = { .enter = enter };

static afar_code
open_lobby(afar_server *server, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    struct lobby *lobby = calloc(1, sizeof *lobby);
    chat_lobby *object = NULL;

    if (!lobby)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the lobby");
    options.finalizer = close_lobby;
    afar_code code = chat_lobby_new(&lobby_methods, lobby, &options, &object, err);
    if (code) {
        free(lobby);
        return code;
    }
    code = afar_server_export(server, "chat/lobby", chat_lobby_object(object), err);
    chat_lobby_close(object);
    return code;
}

/* ---- the program ---- */

/* What the library has to say: where it serves, that the name is registered, or why not. */
static void
tell(void *arg, afar_log_level level, const char *line)
{
    (void)level;
    fprintf(arg, "chat: %s\n", line);
}

int
main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    afar_code code;

    if (argc > 3) {
        fprintf(stderr, "usage: chat-server [ADDRESS [LEASE_MS]]\n");
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    afar_log_set(tell, stdout, AFAR_LOG_INFO);
    options.names = getenv("AFAR_NAMES");
    options.lease_ms = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (!(code = afar_server_open(NULL, address, &options, &server, &err)) &&
        !(code = open_lobby(server, &err)))
        code = afar_server_run(server, &err); /* until SIGTERM or SIGINT */
    if (code)
        fprintf(stderr, "chat: %s: %s\n", afar_code_name(code), err.message);
    afar_server_close(server);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
