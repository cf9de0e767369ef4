/* What stages.h says.  It is linked with programs that are no tests: it checks nothing, it fails. */

#include "stages.h"

#include <stdlib.h>

/* Takes over what receiving gives, and sends it on if `out` is there. */
static afar_code
send_on(csp_item_sender *out, Csp__Item *item, afar_error *err)
{
    afar_code code = out ? csp_item_send(out, item, AFAR_FOREVER, err) : AFAR_OK;

    afar_message_free(item);
    return code;
}

static afar_code
receive(const struct stage *stage, Csp__Item **ret_item, afar_error *err)
{
    afar_code code = csp_item_receive(stage->in, AFAR_FOREVER, ret_item, err);

    if (code == AFAR_POISONED && stage->out)
        csp_item_sender_poison(stage->out, err->message);
    return code;
}

afar_code
stage_add(void *arg, afar_error *err)
{
    const struct stage *stage = arg;
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = receive(stage, &item, err))) {
        item->number++;
        if ((code = send_on(stage->out, item, err)))
            break;
    }
    return code;
}

afar_code
stage_filter(void *arg, afar_error *err)
{
    const struct stage *stage = arg;
    Csp__Item *item = NULL;
    afar_code code = receive(stage, &item, err);
    uint64_t prime;

    if (code)
        return code;
    prime = item->number;
    code = send_on(stage->aside, item, err);
    while (!code && stage->out && !(code = receive(stage, &item, err)))
        code = send_on(item->number % prime != 0 ? stage->out : NULL, item, err);
    return code;
}

afar_code
stage_prefix(void *arg, afar_error *err)
{
    const struct stage *stage = arg;
    Csp__Item zero = CSP__ITEM__INIT, *item = NULL;
    afar_code code = csp_item_send(stage->out, &zero, AFAR_FOREVER, err);

    while (!code && !(code = receive(stage, &item, err)))
        code = send_on(stage->out, item, err);
    return code;
}

afar_code
stage_delta(void *arg, afar_error *err)
{
    const struct stage *stage = arg;
    Csp__Item *item = NULL;
    afar_code code;

    while (!(code = receive(stage, &item, err))) {
        code = csp_item_send(stage->aside, item, AFAR_FOREVER, err);
        if (code)
            afar_message_free(item);
        else
            code = send_on(stage->out, item, err);
        if (code)
            break;
    }
    return code;
}

/* A stage that frees what it was told when it is done. */
struct link {
    struct stage stage;
    afar_process_fn fn;
};

static afar_code
run_link(void *arg, afar_error *err)
{
    struct link *link = arg;
    afar_code code = link->fn(&link->stage, err);

    free(link);
    return code;
}

static afar_code
run_one(afar_network *network, afar_process_fn fn, struct stage stage, afar_error *err)
{
    struct link *link = malloc(sizeof *link);
    afar_given given[4] = { AFAR_GIVE_RECEIVER("in", stage.in), AFAR_GIVE_END, AFAR_GIVE_END,
                            AFAR_GIVE_END };
    size_t count = 1;
    afar_code code;

    if (!link)
        abort();
    link->stage = stage;
    link->fn = fn;
    if (stage.out)
        given[count++] = (afar_given)AFAR_GIVE_SENDER("out", stage.out);
    if (stage.aside)
        given[count++] = (afar_given)AFAR_GIVE_SENDER("aside", stage.aside);
    code = afar_network_run(network, "link", run_link, link, given, err);
    if (code)
        free(link);
    return code;
}

afar_code
stage_chain(afar_network *network, afar_process_fn fn, size_t count, csp_item_sender *out,
            csp_item_sender *aside, csp_item_sender **ret_in, afar_error *err)
{
    afar_code code = AFAR_OK;

    for (size_t i = 0; i < count && !code; i++) {
        struct stage stage = { NULL, out, NULL };
        csp_item_sender *in = NULL;

        if (aside)
            code = csp_item_sender_share(aside, &stage.aside, err);
        if (!code)
            code = csp_item_rendezvous_new(&in, &stage.in, err);
        if (!code)
            code = run_one(network, fn, stage, err);
        out = in;
    }
    *ret_in = out;
    return code;
}
