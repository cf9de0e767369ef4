/* Talks in a room: says each line of standard input, and prints what it hears.
 *
 *     chat-client NICK [ROOM [LOBBY]]
 *
 * LOBBY is asked of the name server (AFAR_NAMES in the environment, or 127.0.0.1:7700), or is an
 * address: afar://127.0.0.1:7000/chat/lobby.
 *
 * The end of the input, SIGINT or SIGTERM is a farewell.  A program that is killed says none: the
 * room finds out when it next has something to say to it. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/client.h>

#include "chat.afar.h"

#define PATIENCE_MS 5000
#define MAX_TEXT 1000 /* what is longer becomes several lines */

static volatile sig_atomic_t stopped;

/* ---- hearing ---- */

/* Runs on a thread of the library, one line after the other. */
static afar_code
heard(void *self, const Chat__Line *line, afar_call *call)
{
    (void)self;
    (void)call;
    if (*line->nick)
        printf("%s: %s\n", line->nick, line->text);
    else
        printf("* %s\n", line->text);
    return AFAR_OK;
}

static const chat_member_methods member_methods = { .heard = heard };

/* ---- talking ---- */

static afar_code
enter(chat_lobby *lobby, const char *name, chat_room **ret_room, afar_error *err)
{
    Chat__EnterRequest request = CHAT__ENTER_REQUEST__INIT;
    Chat__EnterReply *reply = NULL;

    request.room = (char *)name;
    afar_code code = chat_lobby_enter(lobby, &request, afar_after_ms(PATIENCE_MS), &reply, err);
    if (code)
        return code;
    *ret_room = chat_enter_reply_take_room(reply);
    afar_message_free(reply);
    return *ret_room ? AFAR_OK : afar_fail(err, AFAR_INTERNAL, "the lobby gives no room");
}

static afar_code
join(chat_room *room, const char *nick, chat_member *member, afar_error *err)
{
    Chat__JoinRequest request = CHAT__JOIN_REQUEST__INIT;
    Chat__JoinReply *reply = NULL;
    Afar__Ref reference;

    request.nick = (char *)nick;
    chat_join_request_put_member(&request, &reference, member);
    afar_code code = chat_room_join(room, &request, afar_after_ms(PATIENCE_MS), &reply, err);
    if (code)
        return code;
    printf("* you are in");
    for (size_t i = 0; i < reply->n_nicks; i++)
        printf("%s %s", i == 0 ? ", with" : ",", reply->nicks[i]);
    printf("\n");
    afar_message_free(reply);
    return AFAR_OK;
}

static afar_code
say(chat_room *room, const char *nick, char *text, afar_error *err)
{
    Chat__Line line = CHAT__LINE__INIT;
    Chat__Done *reply = NULL;

    line.nick = (char *)nick;
    line.text = text;
    afar_code code = chat_room_say(room, &line, afar_after_ms(PATIENCE_MS), &reply, err);
    afar_message_free(reply);
    return code;
}

static afar_code
leave(chat_room *room, const char *nick, afar_error *err)
{
    Chat__LeaveRequest request = CHAT__LEAVE_REQUEST__INIT;
    Chat__Done *reply = NULL;

    request.nick = (char *)nick;
    afar_code code = chat_room_leave(room, &request, afar_after_ms(PATIENCE_MS), &reply, err);
    afar_message_free(reply);
    return code;
}

static afar_code
say_all(chat_room *room, const char *nick, FILE *lines, afar_error *err)
{
    char text[MAX_TEXT + 2];
    afar_code code = AFAR_OK;

    while (!code && !stopped && fgets(text, sizeof text, lines)) {
        text[strcspn(text, "\n")] = '\0';
        code = say(room, nick, text, err);
    }
    return code ? code : leave(room, nick, err);
}

static afar_code
talk(chat_lobby *lobby, const char *name, const char *nick, afar_error *err)
{
    chat_member *member = NULL;
    chat_room *room = NULL;
    afar_code code;

    if (!(code = chat_member_new(&member_methods, NULL, NULL, &member, err)) &&
        !(code = enter(lobby, name, &room, err)) && !(code = join(room, nick, member, err)))
        code = say_all(room, nick, stdin, err);
    chat_room_close(room);
    chat_member_close(member);
    return code;
}

/* ---- the program ---- */

static void
stop(int number)
{
    (void)number;
    stopped = 1;
}

/* A signal ends the wait for a line; a second one ends the program. */
static void
catch_signals(void)
{
    struct sigaction action = { .sa_handler = stop, .sa_flags = (int)SA_RESETHAND };

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int
main(int argc, char **argv)
{
    const char *room = argc > 2 ? argv[2] : "hall";
    const char *name = argc > 3 ? argv[3] : "chat/lobby";
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    chat_lobby *lobby = NULL;
    afar_code code;

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: chat-client NICK [ROOM [LOBBY]]\n");
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_signals();
    if (!(code = afar_client_open(NULL, NULL, &client, &err)) &&
        !(code = chat_lobby_open(client, name, afar_after_ms(PATIENCE_MS), &lobby, &err)))
        code = talk(lobby, room, argv[1], &err);
    if (code)
        fprintf(stderr, "chat: %s: %s\n", afar_code_name(code), err.message);
    chat_lobby_close(lobby);
    afar_client_close(client);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
