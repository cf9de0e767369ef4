/* After a fork the child's channels fail cleanly, whatever lock was held at that moment, and the parent's go on.
 *
 * Labels: concurrent */

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "items.h"

#define FORKS 20

static void *
keep_sending(void *sender)
{
    uint64_t number = 0;

    while (send_number(sender, number, AFAR_FOREVER) == AFAR_OK)
        number++;
    return NULL;
}

static void *
keep_receiving(void *receiver)
{
    uint64_t number, expected = 0;

    while (receive_number(receiver, &number, AFAR_FOREVER) == AFAR_OK)
        CHECK_INT(number, expected++);
    return NULL;
}

static void
fail_here(struct ends ends, afar_selector *selector)
{
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(ends.receiver)) };
    csp_item_sender *sender = NULL;
    csp_item_receiver *receiver = NULL;
    Csp__Item item = CSP__ITEM__INIT;
    uint64_t number;
    size_t which;

    alarm(10);
    CHECK_INT(csp_item_rendezvous_new(&sender, &receiver, NULL), AFAR_FAILED_PRECONDITION);
    CHECK_INT(csp_item_sender_share(ends.sender, &sender, NULL), AFAR_FAILED_PRECONDITION);
    CHECK_INT(send_number(ends.sender, 1, AFAR_FOREVER), AFAR_FAILED_PRECONDITION);
    CHECK_INT(csp_item_post(ends.sender, &item, AFAR_FOREVER, NULL), AFAR_FAILED_PRECONDITION);
    CHECK_INT(csp_item_flush(ends.sender, AFAR_FOREVER, NULL), AFAR_FAILED_PRECONDITION);
    CHECK_INT(receive_number(ends.receiver, &number, AFAR_FOREVER), AFAR_FAILED_PRECONDITION);
    CHECK_INT(afar_select(cases, 1, AFAR_FAIR, AFAR_FOREVER, &which, NULL),
              AFAR_FAILED_PRECONDITION);
    CHECK_INT(afar_selector_select(selector, AFAR_FOREVER, &which, NULL), AFAR_FAILED_PRECONDITION);
    CHECK(!csp_item_sender_object(ends.sender));
    afar_selector_switch(selector, 0, false);
    afar_selector_close(selector);
    csp_item_sender_poison(ends.sender, "not here");
    CHECK_INT(csp_item_sender_finish(ends.sender, AFAR_FOREVER, NULL), AFAR_FAILED_PRECONDITION);
    close_ends(ends);
}

TEST(the_child_gets_errors_and_the_parent_goes_on)
{
    struct ends ends = make_channel(0), other = make_channel(0);
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(other.receiver)) };
    afar_selector *selector = NULL;
    pthread_t sending, receiving;

    CHECK_INT(afar_selector_open(cases, 1, AFAR_FAIR, &selector, NULL), AFAR_OK);
    CHECK(!pthread_create(&sending, NULL, keep_sending, ends.sender));
    CHECK(!pthread_create(&receiving, NULL, keep_receiving, ends.receiver));
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            fail_here(ends, selector);
            _exit(EXIT_SUCCESS);
        }
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
    }
    csp_item_sender_poison(ends.sender, "enough");
    CHECK(!pthread_join(sending, NULL));
    CHECK(!pthread_join(receiving, NULL));
    afar_selector_close(selector);
    close_ends(ends);
    close_ends(other);
}
