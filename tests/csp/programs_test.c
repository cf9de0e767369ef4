/* The classic programs of communicating processes: each goes on for a while, keeps its promises, and
 * ends as a whole.
 *
 * Labels: concurrent */

#include "parts.h"

#include <stdatomic.h>
#include <string.h>

static afar_network *
open_network(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar_network *network = NULL;

    CHECK_OK(afar_network_open(&network, &err));
    return network;
}

static void
end_network(afar_network *network)
{
    afar_error err = AFAR_ERROR_INIT;

    afar_network_poison(network, "it is done");
    CHECK_OK(afar_network_wait(network, soon(), &err));
}

/* ---- commstime: a loop of processes that makes the natural numbers ---- */

#define NUMBERS 10000
#define NUMBERS_SPREAD 2000

/* prefix -> delta -> consumer, delta -> add -> prefix.  `add` is in a part, if there is one. */
static void
count_up(afar_network *network, const struct part *part, uint64_t count)
{
    struct ends numbers = make_channel(0), result = make_channel(0), back = make_channel(0);
    struct stage prefix = { back.receiver, numbers.sender, NULL };
    struct stage delta = { numbers.receiver, NULL, result.sender };
    afar_error err = AFAR_ERROR_INIT;

    if (part)
        delta.out = part_chain(part, 1, back.sender);
    else
        CHECK_OK(stage_chain(network, stage_add, 1, back.sender, NULL, &delta.out, &err));
    run_stage(network, "prefix", stage_prefix, &prefix);
    run_stage(network, "delta", stage_delta, &delta);
    for (uint64_t i = 0; i < count; i++)
        CHECK_INT(received(result.receiver), i);
    end_network(network);
    csp_item_receiver_close(result.receiver);
}

TEST(commstime)
{
    afar_network *network = open_network();

    count_up(network, NULL, NUMBERS);
    afar_network_close(network);
}

TEST(commstime_in_two_programs)
{
    struct spread spread;

    spread_open(&spread);
    struct part part = part_start(&spread, "add", NULL);
    count_up(spread.network, &part, NUMBERS_SPREAD);
    part_close(&part);
    spread_close(&spread);
}

/* ---- the sieve of primes: a process for each ---- */

#define PRIMES 100

static afar_code
send_numbers(void *arg, afar_error *err)
{
    const struct stage *stage = arg;
    Csp__Item item = CSP__ITEM__INIT;
    afar_code code;

    item.number = 2;
    while (!(code = csp_item_send(stage->out, &item, AFAR_FOREVER, err)))
        item.number++;
    return code;
}

static bool
is_prime(uint64_t number)
{
    for (uint64_t i = 2; i * i <= number; i++)
        if (number % i == 0)
            return false;
    return true;
}

static void
check_primes(csp_item_receiver *primes)
{
    uint64_t last = 1;

    for (int i = 0; i < PRIMES; i++) {
        uint64_t prime = received(primes);

        CHECK(is_prime(prime) && prime > last);
        while (++last < prime)
            CHECK(!is_prime(last));
    }
    CHECK_INT(last, 541);
}

TEST(a_sieve)
{
    afar_network *network = open_network();
    struct ends primes = make_channel(0);
    afar_error err = AFAR_ERROR_INIT;
    struct stage first = { NULL, NULL, NULL };

    CHECK_OK(stage_chain(network, stage_filter, PRIMES, NULL, primes.sender, &first.out, &err));
    csp_item_sender_close(primes.sender);
    run_stage(network, "numbers", send_numbers, &first);
    check_primes(primes.receiver);
    end_network(network);
    csp_item_receiver_close(primes.receiver);
    afar_network_close(network);
}

/* Filters are here and there by turns, so every number goes over the connection again and again. */
TEST(a_sieve_in_two_programs)
{
    struct ends primes = make_channel(0);
    afar_error err = AFAR_ERROR_INIT;
    struct stage first = { NULL, NULL, NULL };
    struct spread spread;

    spread_open(&spread);
    struct part part = part_start(&spread, "filter", primes.sender);
    CHECK_OK(stage_chain(spread.network, stage_filter, 1, NULL, primes.sender, &first.out, &err));
    for (int i = 1; i < PRIMES; i++)
        if (i % 2)
            first.out = part_chain(&part, 1, first.out);
        else
            CHECK_OK(stage_chain(spread.network, stage_filter, 1, first.out, primes.sender,
                                 &first.out, &err));
    part_close(&part);
    csp_item_sender_close(primes.sender);
    run_stage(spread.network, "numbers", send_numbers, &first);
    check_primes(primes.receiver);
    end_network(spread.network);
    csp_item_receiver_close(primes.receiver);
    spread_close(&spread);
}

/* ---- dining philosophers ---- */

#define SEATS 5
#define MEALS 200 /* of each */

struct table {
    struct ends sit, leave;
    struct ends forks[SEATS]
                     [2]; /* of the philosopher at its left, and at its right: up, and down */
    atomic_int seated, most, meals;
    atomic_int holders[SEATS];
};

struct seat {
    struct table *table;
    int place;
    csp_item_sender *sit, *leave, *left, *right;
};

static afar_code
say(csp_item_sender *sender, afar_error *err)
{
    Csp__Item item = CSP__ITEM__INIT;

    return csp_item_send(sender, &item, soon(), err);
}

/* Each fork hears the same twice: up, and down. */
static afar_code
eat(const struct seat *seat, afar_error *err)
{
    struct table *table = seat->table;
    int left = seat->place, right = (seat->place + 1) % SEATS, seated;
    afar_code code = say(seat->sit, err);

    if (code)
        return code;
    seated = atomic_fetch_add(&table->seated, 1) + 1;
    CHECK(seated < SEATS);
    if (!(code = say(seat->left, err)) && !(code = say(seat->right, err))) {
        CHECK_INT(atomic_fetch_add(&table->holders[left], 1), 0);
        CHECK_INT(atomic_fetch_add(&table->holders[right], 1), 0);
        atomic_fetch_add(&table->meals, 1);
        CHECK_INT(atomic_fetch_sub(&table->holders[left], 1), 1);
        CHECK_INT(atomic_fetch_sub(&table->holders[right], 1), 1);
        code = say(seat->left, err);
    }
    if (!code)
        code = say(seat->right, err);
    atomic_fetch_sub(&table->seated, 1);
    return code ? code : say(seat->leave, err);
}

static afar_code
dine(void *arg, afar_error *err)
{
    const struct seat *seat = arg;
    afar_code code = AFAR_OK;

    for (int i = 0; i < MEALS && !code; i++)
        code = eat(seat, err);
    return code;
}

/* A fork is up as soon as one of the two has said so, and then only that one is heard. */
static afar_code
be_fork(void *arg, afar_error *err)
{
    struct ends *sides = arg;
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(sides[0].receiver)),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(sides[1].receiver)) };
    afar_code code;

    for (;;) {
        uint64_t number;
        size_t which = 2;

        code = afar_select(cases, 2, AFAR_FAIR, soon(), &which, err);
        if (code == AFAR_ENDED) {
            cases[which].off = true;
            if (cases[1 - which].off)
                return code;
            continue;
        }
        if (code)
            return code;
        afar_message_free(cases[which].received);
        code = receive_number(sides[which].receiver, &number, soon());
        if (code)
            return code;
    }
}

/* Lets in all but one. */
static afar_code
be_host(void *arg, afar_error *err)
{
    struct table *table = arg;
    afar_case cases[] = { AFAR_CASE_RECEIVE(csp_item_receiver_base(table->leave.receiver)),
                          AFAR_CASE_RECEIVE(csp_item_receiver_base(table->sit.receiver)) };
    afar_selector *selector = NULL;
    int seated = 0;
    afar_code code = afar_selector_open(cases, 2, AFAR_FAIR, &selector, err);
    size_t which;

    while (!code && !(code = afar_selector_select(selector, soon(), &which, err))) {
        afar_message_free(cases[which].received);
        seated += which == 1 ? 1 : -1;
        if (seated > atomic_load(&table->most))
            atomic_store(&table->most, seated);
        afar_selector_switch(selector, 1, seated < SEATS - 1);
    }
    afar_selector_close(selector);
    return code;
}

static csp_item_sender *
shared(csp_item_sender *sender)
{
    afar_error err = AFAR_ERROR_INIT;
    csp_item_sender *made = NULL;

    CHECK_OK(csp_item_sender_share(sender, &made, &err));
    return made;
}

static void
seat_one(afar_network *network, struct table *table, struct seat *seat)
{
    int right = (seat->place + 1) % SEATS;
    afar_error err = AFAR_ERROR_INIT;

    seat->table = table;
    seat->sit = shared(table->sit.sender);
    seat->leave = shared(table->leave.sender);
    seat->left = table->forks[seat->place][0].sender;
    seat->right = table->forks[right][1].sender;
    afar_given given[] = { AFAR_GIVE_SENDER("sit", seat->sit),
                           AFAR_GIVE_SENDER("leave", seat->leave),
                           AFAR_GIVE_SENDER("left", seat->left),
                           AFAR_GIVE_SENDER("right", seat->right), AFAR_GIVE_END };
    CHECK_OK(afar_network_run(network, "philosopher", dine, seat, given, &err));
}

static void
lay_table(afar_network *network, struct table *table)
{
    afar_error err = AFAR_ERROR_INIT;

    table->sit = make_channel(0);
    table->leave = make_channel(0);
    for (int i = 0; i < SEATS; i++) {
        struct ends *sides = table->forks[i];

        sides[0] = make_channel(0);
        sides[1] = make_channel(0);
        afar_given given[] = { AFAR_GIVE_RECEIVER("left", sides[0].receiver),
                               AFAR_GIVE_RECEIVER("right", sides[1].receiver), AFAR_GIVE_END };
        CHECK_OK(afar_network_run(network, "fork", be_fork, sides, given, &err));
    }
    afar_given given[] = { AFAR_GIVE_RECEIVER("sit", table->sit.receiver),
                           AFAR_GIVE_RECEIVER("leave", table->leave.receiver), AFAR_GIVE_END };
    CHECK_OK(afar_network_run(network, "host", be_host, table, given, &err));
}

/* When all have eaten the forks and the host end by themselves. */
TEST(philosophers_dine)
{
    static struct table table;
    struct seat seats[SEATS];
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    lay_table(network, &table);
    for (int i = 0; i < SEATS; i++) {
        seats[i].place = i;
        seat_one(network, &table, &seats[i]);
    }
    csp_item_sender_close(table.sit.sender);
    csp_item_sender_close(table.leave.sender);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    afar_network_close(network);
    CHECK_INT(atomic_load(&table.meals), SEATS * MEALS);
    CHECK_INT(atomic_load(&table.seated), 0);
    CHECK(atomic_load(&table.most) <= SEATS - 1);
}

/* ---- santa claus ---- */

#define REINDEER 9
#define ELVES 10
#define TOGETHER 3 /* elves */
#define DELIVERIES 30
#define CONSULTATIONS 100

/* Those who wait until they are enough, and then see Santa. */
struct crowd {
    struct ends come, enough, done, go;
    int enough_are;
    atomic_int waiting;    /* have come, or are about to, and may not go yet */
    atomic_int with_santa; /* those of them that Santa has called */
};

struct north_pole {
    struct crowd deer, elves;
    atomic_bool awake;
    int deliveries, consultations;
};

/* A reindeer or an elf. */
static afar_code
come_and_go(void *arg, afar_error *err)
{
    struct crowd *crowd = arg;
    Csp__Item *item = NULL;
    afar_code code;

    do {
        atomic_fetch_add(&crowd->waiting, 1);
        if ((code = say(crowd->come.sender, err)) ||
            (code = csp_item_receive(crowd->go.receiver, soon(), &item, err)))
            return code;
        afar_message_free(item);
        atomic_fetch_sub(&crowd->waiting, 1);
    } while (true);
}

static afar_code
receive_many(csp_item_receiver *receiver, int count)
{
    afar_code code = AFAR_OK;
    uint64_t number;

    for (int i = 0; i < count && !code; i++)
        code = receive_number(receiver, &number, soon());
    return code;
}

static afar_code
gather(void *arg, afar_error *err)
{
    struct crowd *crowd = arg;
    afar_code code;

    do {
        if ((code = receive_many(crowd->come.receiver, crowd->enough_are)) ||
            (code = say(crowd->enough.sender, err)) ||
            (code = receive_many(crowd->done.receiver, 1)))
            return code;
        for (int i = 0; i < crowd->enough_are && !code; i++)
            code = say(crowd->go.sender, err);
    } while (!code);
    return code;
}

static afar_code
see(struct crowd *crowd, struct north_pole *pole, int *count, afar_error *err)
{
    CHECK(!atomic_exchange(&pole->awake, true));
    CHECK(atomic_load(&crowd->waiting) >= crowd->enough_are);
    CHECK_INT(atomic_fetch_add(&crowd->with_santa, crowd->enough_are), 0);
    ++*count;
    CHECK_INT(atomic_load(&pole->deer.with_santa) > 0, crowd == &pole->deer);
    CHECK_INT(atomic_load(&pole->elves.with_santa) > 0, crowd == &pole->elves);
    atomic_fetch_sub(&crowd->with_santa, crowd->enough_are);
    CHECK(atomic_exchange(&pole->awake, false));
    return say(crowd->done.sender, err);
}

/* Reindeer go first. */
static void
be_santa(struct north_pole *pole)
{
    afar_case cases[] = {
        AFAR_CASE_RECEIVE(csp_item_receiver_base(pole->deer.enough.receiver)),
        AFAR_CASE_RECEIVE(csp_item_receiver_base(pole->elves.enough.receiver)),
    };
    afar_error err = AFAR_ERROR_INIT;

    while (pole->deliveries < DELIVERIES || pole->consultations < CONSULTATIONS) {
        size_t which = 2;

        CHECK_OK(afar_select(cases, 2, AFAR_BY_PRIORITY, soon(), &which, &err));
        afar_message_free(cases[which].received);
        if (which == 0)
            CHECK_OK(see(&pole->deer, pole, &pole->deliveries, &err));
        else
            CHECK_OK(see(&pole->elves, pole, &pole->consultations, &err));
    }
}

/* All of a crowd use the same ends, which the test closes. */
static void
start_crowd(afar_network *network, struct crowd *crowd, int size, int enough)
{
    afar_error err = AFAR_ERROR_INIT;

    crowd->come = make_channel(0);
    crowd->enough = make_channel(0);
    crowd->done = make_channel(0);
    crowd->go = make_channel(0);
    crowd->enough_are = enough;
    for (int i = 0; i < size; i++)
        CHECK_OK(afar_network_run(network, "one", come_and_go, crowd, NULL, &err));
    CHECK_OK(afar_network_run(network, "gather", gather, crowd, NULL, &err));
}

static void
send_home(struct crowd *crowd)
{
    struct ends all[] = { crowd->come, crowd->enough, crowd->done, crowd->go };

    for (int i = 0; i < 4; i++)
        csp_item_sender_poison(all[i].sender, "good night");
}

static void
forget_crowd(struct crowd *crowd)
{
    close_ends(crowd->come);
    close_ends(crowd->enough);
    close_ends(crowd->done);
    close_ends(crowd->go);
}

TEST(santa_claus)
{
    static struct north_pole pole;
    afar_network *network = open_network();
    afar_error err = AFAR_ERROR_INIT;

    start_crowd(network, &pole.deer, REINDEER, REINDEER);
    start_crowd(network, &pole.elves, ELVES, TOGETHER);
    be_santa(&pole);
    CHECK(pole.deliveries >= DELIVERIES && pole.consultations >= CONSULTATIONS);
    send_home(&pole.deer);
    send_home(&pole.elves);
    CHECK_OK(afar_network_wait(network, soon(), &err));
    afar_network_close(network);
    forget_crowd(&pole.deer);
    forget_crowd(&pole.elves);
}
