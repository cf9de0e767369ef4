/* What a reference says beside which object it is: its interface, and where a third process can
 * open it. */

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core.h"

#define INSTANCE "0123456789abcdef"
#define KEY INSTANCE INSTANCE

static int object;

static void
check_span(afar__session_span span, const char *expected)
{
    CHECK_INT(span.length, strlen(expected));
    CHECK(span.length == 0 || memcmp(span.data, expected, span.length) == 0);
}

static afar__session_reference
hosted(void)
{
    return (afar__session_reference){ .kind = AFAR__SESSION_OURS,
                                      .object = &object,
                                      .interface = SPAN("bank.Account"),
                                      .address = SPAN("grpc://here:1"),
                                      .name = SPAN("alice"),
                                      .instance = SPAN(INSTANCE),
                                      .key = SPAN(KEY) };
}

static void
check_hosted(const afar__session_reference *reference)
{
    CHECK_INT(reference->kind, AFAR__SESSION_THEIRS);
    CHECK(reference->import != 0);
    check_span(reference->interface, "bank.Account");
    check_span(reference->address, "grpc://here:1");
    check_span(reference->name, "alice");
    check_span(reference->instance, INSTANCE);
    check_span(reference->key, KEY);
}

TEST(a_reference_says_where_others_can_open_the_object)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = hosted();
    afar__session_event event;

    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.a, &request);
    CHECK(core_carry(duo.a, duo.b));
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    CHECK_INT(event.reference_count, 1);
    check_hosted(&event.references[0]);
    duo_close(duo);
}

TEST(an_object_without_an_address_can_be_opened_nowhere)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = hosted();
    afar__session_event event;

    reference.address.length = 0;
    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.a, &request);
    CHECK(core_carry(duo.a, duo.b));
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    CHECK_INT(event.references[0].kind, AFAR__SESSION_THEIRS);
    check_span(event.references[0].address, "");
    check_span(event.references[0].name, "");
    check_span(event.references[0].instance, "");
    check_span(event.references[0].key, "");
    duo_close(duo);
}

TEST(an_object_that_comes_home_has_no_address)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = hosted();
    afar__session_reply reply = { .references = &reference, .reference_count = 1 };
    afar_error err = AFAR_ERROR_INIT;
    afar__session_event event;

    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.a, &request);
    CHECK(core_carry(duo.a, duo.b));
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    reference = event.references[0];
    CHECK_OK(afar__session_return(duo.b, event.call, &reply, &err));
    CHECK(core_carry(duo.b, duo.a));
    event = core_expect(duo.a, AFAR__SESSION_RETURNED);
    CHECK_INT(event.references[0].kind, AFAR__SESSION_OURS);
    CHECK(event.references[0].object == &object);
    check_span(event.references[0].address, "");
    duo_close(duo);
}

/* What is held is kept as bytes, and read again. */
TEST(a_call_that_waited_for_a_promise_still_says_where)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = hosted();
    afar__session_event event;
    afar__session_id promise, call;

    request.keep = true;
    promise = core_call(duo.a, &request);
    request = core_request("");
    request.target = (afar__session_target){ .kind = AFAR__SESSION_PROMISED, .call = promise };
    request.references = &reference;
    request.reference_count = 1;
    core_call(duo.a, &request);
    CHECK(core_carry(duo.a, duo.b));
    call = core_expect(duo.b, AFAR__SESSION_CALLED).call;
    core_expect_none(duo.b);
    core_reply(duo.b, call, AFAR_OK);
    event = core_expect(duo.b, AFAR__SESSION_CALLED);
    check_hosted(&event.references[0]);
    duo_close(duo);
}

TEST(a_place_that_breaks_the_rules_is_not_sent)
{
    struct duo duo = duo_open(NULL, NULL);
    afar__session_request request = core_request("");
    afar__session_reference reference = hosted();
    afar__session_id call = 0;

    reference.key.length = 31;
    request.references = &reference;
    request.reference_count = 1;
    CHECK_INT(afar__session_call(duo.a, &request, &call, NULL), AFAR_INVALID_ARGUMENT);
    CHECK_INT(afar__session_exported(duo.a, &object), 0);
    core_expect_none(duo.a);
    CHECK_INT(afar__session_count(duo.a).exports, 0);
    CHECK_INT(afar__session_count(duo.a).questions, 0);
    duo_close(duo);
}
