#ifndef ITEMS_H
#define ITEMS_H

/* Channels of csp.Item, and threads that use them.  What fails here ends the test. */

#include <afar/select.h>

#include "check.h"
#include "event.h"
#include "item.afar.h"

/* More than anything here takes, less than the runner's patience. */
afar_deadline
soon(void);

/* What has passed already. */
afar_deadline
now(void);

struct ends {
    csp_item_sender *sender;
    csp_item_receiver *receiver;
};

/* Capacity 0: rendezvous. */
struct ends
make_channel(unsigned capacity);

void
close_ends(struct ends ends);

/* The code of sending a number, or of receiving it. */
afar_code
send_number(csp_item_sender *sender, uint64_t number, afar_deadline deadline);
afar_code
receive_number(csp_item_receiver *receiver, uint64_t *ret_number, afar_deadline deadline);

/* The number that must come soon. */
uint64_t
received(csp_item_receiver *receiver);

/* A thread that sends one number, and what came of it. */
struct sending {
    csp_item_sender *sender;
    uint64_t number;
    afar_deadline deadline;
    afar_code code;
    pthread_t thread;
};

void
start_sending(struct sending *sending, csp_item_sender *sender, uint64_t number);

afar_code
finish_sending(struct sending *sending);

/* A thread that receives one, the same. */
struct receiving {
    csp_item_receiver *receiver;
    uint64_t number;
    afar_deadline deadline;
    afar_code code;
    pthread_t thread;
};

void
start_receiving(struct receiving *receiving, csp_item_receiver *receiver);

afar_code
finish_receiving(struct receiving *receiving);

#endif
