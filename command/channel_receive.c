/* afar channel receive.
 *
 * Nothing is asked for before the last message was written, and nothing any more when nobody reads what is
 * written: a message that was received is gone from the channel. */

#include <inttypes.h>

#include <afar/message.h>

#include "command/channel.h"
#include "command/commands.h"
#include "command/delimited.h"
#include "command/say.h"
#include "runtime/channel/live.h"

/* CANCELLED, and nothing in `err`, when the command is to end first. */
static afar_code
receive_one(channel_run *run, afar_receiver *receiver, afar__bytes **ret_message, afar_error *err)
{
    afar_case cases[] = { AFAR_CASE_FUTURE(&run->ending.future), AFAR_CASE_RECEIVE(receiver) };
    size_t which = 0;
    afar_code code = afar_select(cases, 2, AFAR_BY_PRIORITY, channel_deadline(run), &which, err);

    *ret_message = (afar__bytes *)cases[1].received;
    return which == 0 ? AFAR_CANCELLED : code;
}

static int
failed(const channel_run *run, afar_error *err)
{
    if (err->code == AFAR_DEADLINE_EXCEEDED)
        afar_fail(err, AFAR_DEADLINE_EXCEEDED, "no message came in %" PRId64 " ms", run->patience);
    return channel_failed(run, "", err);
}

/* Until there were `count` messages (0: any number), or the channel or the command ends.  What cannot be
 * written is told by who ends the program. */
static int
receive_all(channel_run *run, afar_receiver *receiver, int64_t count)
{
    for (int64_t i = 0; count == 0 || i < count; i++) {
        afar__bytes *message = NULL;
        afar_error err = AFAR_ERROR_INIT;
        afar_code code = receive_one(run, receiver, &message, &err);
        bool written;

        if (code == AFAR_ENDED || (code == AFAR_CANCELLED && !err.code)) {
            afar_error_clear(&err);
            return EXIT_DONE;
        }
        if (code)
            return failed(run, &err);
        written = delimited_print(message->packed.data, message->packed.len);
        afar_message_free(message);
        if (!written)
            return EXIT_DONE;
    }
    return EXIT_DONE;
}

int
run_channel_receive(const command_args *args)
{
    channel_run run;
    afar_receiver *receiver = NULL;
    afar_error err = AFAR_ERROR_INIT;
    int code = channel_open(args, afar__bytes_channel_type.receiver, true, &run);

    if (code)
        return code;
    if (afar_receiver_on(run.object, &afar__bytes_channel_type, &receiver, &err)) {
        code = channel_failed(&run, "", &err);
    } else {
        code = receive_all(&run, receiver, args->number[OPTION_MESSAGES]);
        afar__end_finish(afar__end_of_receiver(receiver), channel_last_deadline(&run).ns);
    }
    afar_receiver_close(receiver);
    channel_close(&run);
    return code;
}
