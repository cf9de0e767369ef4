/* An end that finishes right before its client is closed: its home knows that it has finished, and does not take
 * what becomes of its call for a loss.
 *
 * Labels: concurrent */

#include "away.h"

#define ROUNDS 50

static void
finish_and_close(const char *place)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct away away;
        afar_error err = AFAR_ERROR_INIT;
        uint64_t number = 0;

        away_open(&away, place, 1);
        CHECK_INT(send_number(away.far.sender, 7, soon()), AFAR_OK);
        CHECK_OK(csp_item_sender_finish(away.far.sender, soon(), &err));
        csp_item_sender_close(away.far.sender);
        csp_item_receiver_close(away.far.receiver);
        afar_client_close(away.client);
        away.far = (struct ends){ NULL, NULL };
        away.client = NULL;
        CHECK_OK(afar_server_unexport(
            away.server, "send", afar_object_interface(csp_item_sender_object(away.home.sender)),
            &err));
        csp_item_sender_close(away.home.sender);
        away.home.sender = NULL;
        CHECK_INT(received(away.home.receiver), 7);
        CHECK_INT(receive_number(away.home.receiver, &number, soon()), AFAR_ENDED);
        away_close(&away);
    }
}

TEST(an_end_that_finished_is_not_lost)
{
    for (size_t i = 0; places[i]; i++)
        finish_and_close(places[i]);
}
