/* What core.h says. */

#include "core.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

afar__session *
core_open(const afar__session_limits *limits, uint8_t instance)
{
    afar__session_options options = { .instance = { instance }, .now = 0 };
    afar__session *session;

    if (limits)
        options.limits = *limits;
    session = afar__session_open(&options);
    CHECK(session);
    return session;
}

afar__session_event
core_expect(afar__session *session, afar__session_event_kind kind)
{
    afar__session_event event;

    CHECK(afar__session_next(session, &event));
    if (event.kind != kind)
        check_fail(__FILE__, __LINE__, "the event is %d, expected %d: %.*s", (int)event.kind,
                   (int)kind, (int)event.text.length, (const char *)event.text.data);
    return event;
}

void
core_expect_none(afar__session *session)
{
    afar__session_event event;

    if (afar__session_next(session, &event))
        check_fail(__FILE__, __LINE__, "an event: %d", (int)event.kind);
}

uint8_t *core_in_flight;

bool
core_carry(afar__session *from, afar__session *to)
{
    uint8_t *data;
    size_t length;

    if (!afar__session_take(from, 0, &data, &length))
        return false;
    free(core_in_flight);
    core_in_flight = data;
    afar__session_receive(to, data, length, 0);
    return true;
}

struct duo
duo_open(const afar__session_limits *a, const afar__session_limits *b)
{
    struct duo duo = { core_open(a, 1), core_open(b, 2) };

    CHECK(core_carry(duo.a, duo.b));
    CHECK_INT(core_expect(duo.b, AFAR__SESSION_OPENED).cost, 0);
    core_expect_none(duo.b);
    CHECK(core_carry(duo.b, duo.a));
    core_expect(duo.a, AFAR__SESSION_OPENED);
    core_expect_none(duo.a);
    return duo;
}

void
duo_close(struct duo duo)
{
    afar__session_free(duo.a);
    afar__session_free(duo.b);
    free(core_in_flight);
    core_in_flight = NULL;
}

afar__session_request
core_request(const char *name)
{
    return (afar__session_request){
        .target = { .kind = AFAR__SESSION_NAMED, .name = { name, strlen(name) } },
        .method = "/bank.Account/Deposit",
        .deadline = INT64_MAX,
        .payload = SPAN("hello"),
    };
}

afar__session_id
core_call(afar__session *session, const afar__session_request *request)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__session_id id = 0;

    CHECK_OK(afar__session_call(session, request, &id, &err));
    CHECK(id != 0);
    return id;
}

afar_code
core_item(afar__session *session, afar__session_id id, const char *text, afar_error *err)
{
    afar__session_message message = { .payload = { text, strlen(text) } };

    return afar__session_item(session, id, &message, err);
}

void
core_reply(afar__session *session, afar__session_id id, afar_code code)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__session_reply answer = { .code = code };

    if (code == AFAR_OK)
        answer.payload = SPAN("world");
    else
        answer.text = SPAN("no");
    CHECK_OK(afar__session_return(session, id, &answer, &err));
}

void
core_check_empty(const afar__session *session)
{
    afar__session_counts counts = afar__session_count(session);

    CHECK_INT(counts.questions, 0);
    CHECK_INT(counts.answers, 0);
    CHECK_INT(counts.exports, 0);
    CHECK_INT(counts.imports, 0);
    CHECK_INT(counts.exported, 0);
    CHECK_INT(counts.held, 0);
    CHECK_INT(afar__session_waiting_bytes(session), 0);
}
