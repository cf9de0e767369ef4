#include "items.h"

afar_deadline
soon(void)
{
    return afar_after_ms(15000);
}

afar_deadline
now(void)
{
    return afar_after_ms(0);
}

struct ends
make_channel(unsigned capacity)
{
    struct ends ends = { NULL, NULL };
    afar_error err = AFAR_ERROR_INIT;

    if (capacity == 0)
        CHECK_OK(csp_item_rendezvous_new(&ends.sender, &ends.receiver, &err));
    else
        CHECK_OK(csp_item_buffered_new(capacity, &ends.sender, &ends.receiver, &err));
    return ends;
}

void
close_ends(struct ends ends)
{
    csp_item_sender_close(ends.sender);
    csp_item_receiver_close(ends.receiver);
}

afar_code
send_number(csp_item_sender *sender, uint64_t number, afar_deadline deadline)
{
    Csp__Item item = CSP__ITEM__INIT;

    item.number = number;
    return csp_item_send(sender, &item, deadline, NULL);
}

afar_code
receive_number(csp_item_receiver *receiver, uint64_t *ret_number, afar_deadline deadline)
{
    Csp__Item *item = NULL;
    afar_code code = csp_item_receive(receiver, deadline, &item, NULL);

    if (!code) {
        *ret_number = item->number;
        afar_message_free(item);
    }
    return code;
}

uint64_t
received(csp_item_receiver *receiver)
{
    uint64_t number = 0;

    CHECK_INT(receive_number(receiver, &number, soon()), AFAR_OK);
    return number;
}

static void *
run_sending(void *arg)
{
    struct sending *sending = arg;

    sending->code = send_number(sending->sender, sending->number, sending->deadline);
    return NULL;
}

void
start_sending(struct sending *sending, csp_item_sender *sender, uint64_t number)
{
    sending->sender = sender;
    sending->number = number;
    sending->deadline = soon();
    CHECK(!pthread_create(&sending->thread, NULL, run_sending, sending));
}

afar_code
finish_sending(struct sending *sending)
{
    CHECK(!pthread_join(sending->thread, NULL));
    return sending->code;
}

static void *
run_receiving(void *arg)
{
    struct receiving *receiving = arg;

    receiving->code = receive_number(receiving->receiver, &receiving->number, receiving->deadline);
    return NULL;
}

void
start_receiving(struct receiving *receiving, csp_item_receiver *receiver)
{
    receiving->receiver = receiver;
    receiving->deadline = soon();
    CHECK(!pthread_create(&receiving->thread, NULL, run_receiving, receiving));
}

afar_code
finish_receiving(struct receiving *receiving)
{
    CHECK(!pthread_join(receiving->thread, NULL));
    return receiving->code;
}
