/* afar channel send.
 *
 * Two ways: each message is sent by a select, which the end of the command is a case of; or all are posted.
 * To wait for room, or for all posts to be taken, cannot be a case: it is done in short turns. */

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command/channel.h"
#include "command/commands.h"
#include "command/delimited.h"
#include "command/say.h"
#include "runtime/channel/live.h"

#define TURN_MS 200

typedef struct send_run {
    channel_run channel;
    afar_sender *sender;
    delimited_reader input;
    bool ahead;
    uint64_t sent;
    afar_error over; /* what ended posting, until it is known what became of all that was posted */
} send_run;

/* Whether the end of a short turn was not that of what the user allows. */
static bool
has_time(send_run *run, afar_code code, afar_deadline deadline)
{
    return code == AFAR_DEADLINE_EXCEEDED && !has_ended(&run->channel.ending) &&
           afar_after_ms(0).ns < deadline.ns;
}

static afar_deadline
turn_of(afar_deadline deadline)
{
    afar_deadline turn = afar_after_ms(TURN_MS);

    return turn.ns < deadline.ns ? turn : deadline;
}

/* CANCELLED, and nothing in `err`, when the command is to end first. */
static afar_code
send_one(send_run *run, const afar__bytes *message, afar_error *err)
{
    afar_case cases[] = { AFAR_CASE_FUTURE(&run->channel.ending.future),
                          AFAR_CASE_SEND(run->sender, &message->base) };
    size_t which = 0;
    afar_code code =
        afar_select(cases, 2, AFAR_BY_PRIORITY, channel_deadline(&run->channel), &which, err);

    return which == 0 ? AFAR_CANCELLED : code;
}

static afar_code
post_one(send_run *run, const afar__bytes *message, afar_error *err)
{
    afar_deadline deadline = channel_deadline(&run->channel);
    afar_code code;

    do {
        afar_error_clear(err);
        code = afar_sender_post(run->sender, &message->base, turn_of(deadline), err);
    } while (has_time(run, code, deadline));
    if (code != AFAR_DEADLINE_EXCEEDED || !has_ended(&run->channel.ending))
        return code;
    afar_error_clear(err);
    return AFAR_CANCELLED;
}

/* Clears the error; the exit code. */
static int
failed_at(send_run *run, afar_error *err)
{
    char what[96];

    if (run->ahead && err->code != AFAR_DEADLINE_EXCEEDED) {
        afar_error_move(&run->over, err);
        return exit_code_of(run->over.code);
    }

    snprintf(what, sizeof what,
             "message %" PRIu64 ", at byte %" PRIu64 " of the input: ", run->sent + 1,
             run->input.offset);
    if (err->code == AFAR_DEADLINE_EXCEEDED)
        afar_fail(err, AFAR_DEADLINE_EXCEEDED, "nobody took it in %" PRId64 " ms",
                  run->channel.patience);
    return channel_failed(&run->channel, what, err);
}

/* Until the input or the command ends; the exit code. */
static int
send_all(send_run *run)
{
    for (;;) {
        afar__bytes message = AFAR__BYTES_INIT;
        const uint8_t *data = NULL;
        afar_error err = AFAR_ERROR_INIT;
        afar_code code;

        switch (delimited_read(&run->input, &data, &message.packed.len)) {
        case DELIMITED_MESSAGE:
            break;
        case DELIMITED_BAD:
            return EXIT_OTHER;
        case DELIMITED_END:
        case DELIMITED_STOPPED:
            return EXIT_DONE;
        }
        message.packed.data = (uint8_t *)data;
        code = run->ahead ? post_one(run, &message, &err) : send_one(run, &message, &err);
        if (code == AFAR_CANCELLED && !err.code)
            return EXIT_DONE;
        if (code)
            return failed_at(run, &err);
        run->sent++;
    }
}

/* Until all posts are taken, or it is clear that they will not be. */
static afar_code
flush(send_run *run, afar_error *err)
{
    afar_deadline deadline = channel_deadline(&run->channel);
    afar_code code;

    do {
        afar_error_clear(err);
        code = afar_sender_flush(run->sender, turn_of(deadline), err);
    } while (has_time(run, code, deadline));
    if (code == AFAR_DEADLINE_EXCEEDED && has_ended(&run->channel.ending)) {
        afar_error_clear(err);
        code = afar_sender_flush(run->sender, channel_last_deadline(&run->channel), err);
    }
    if (code == AFAR_DEADLINE_EXCEEDED)
        afar_fail(err, code, "not all were taken in %" PRId64 " ms",
                  channel_last_ms(&run->channel));
    return code;
}

/* Without a message nobody has asked whether there is such a channel. */
static int
reach(send_run *run)
{
    afar_error err = AFAR_ERROR_INIT;
    int64_t deadline = channel_last_deadline(&run->channel).ns;

    if (!afar__end_reach(afar__end_of_sender(run->sender), deadline, &err))
        return EXIT_DONE;
    return channel_failed(&run->channel, "", &err);
}

/* Nothing more is sent: says what became of what was, and lets the home know.  `code` is the exit code so
 * far. */
static int
finish(send_run *run, int code)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_deadline deadline = channel_last_deadline(&run->channel);
    char what[64];

    snprintf(what, sizeof what, "after %" PRIu64 " messages: ", run->sent);
    if (flush(run, &err) == AFAR_DEADLINE_EXCEEDED)
        deadline = afar_after_ms(0); /* there is no more to be waited for */
    if (err.code)
        code = channel_failed(&run->channel, what, &err);
    else if (run->over.code)
        code = channel_failed(&run->channel, what, &run->over);
    afar_error_clear(&run->over);
    afar_sender_finish(run->sender, deadline, NULL);
    if (!code && has_ended(&run->channel.ending))
        complain("%s: interrupted after %" PRIu64 " messages", run->channel.name, run->sent);
    return code;
}

static int
send_input(send_run *run)
{
    int code = EXIT_OTHER;

    if (delimited_open(&run->input, STDIN_FILENO, run->channel.ending.told))
        code = send_all(run);
    if (!code && run->sent == 0 && !has_ended(&run->channel.ending))
        code = reach(run);
    code = finish(run, code);
    delimited_close(&run->input);
    return code;
}

int
run_channel_send(const command_args *args)
{
    send_run run = { .ahead = args->given[OPTION_AHEAD], .over = AFAR_ERROR_INIT };
    afar_error err = AFAR_ERROR_INIT;
    int code = channel_open(args, afar__bytes_channel_type.sender, false, &run.channel);

    if (code)
        return code;
    if (afar_sender_on(run.channel.object, &afar__bytes_channel_type, &run.sender, &err))
        code = channel_failed(&run.channel, "", &err);
    else
        code = send_input(&run);
    afar_sender_close(run.sender);
    channel_close(&run.channel);
    return code;
}
