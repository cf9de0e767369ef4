/* A bank whose accounts are objects: each has a name of its own and serves one
 * call at a time, so that no handler needs a lock.  The bank is an object too, from which one
 * gets a reference to an account by the name of the customer.
 *
 *     bank-server [ADDRESS [LEASE_MS]]
 *
 * With AFAR_NAMES in the environment the accounts are registered with the name server
 * there.  When a bank dies without a word, its names are free after LEASE_MS. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <afar/log.h>
#include <afar/server.h>

#include "account.afar.h"

#define MAX_ENTRIES 1000
#define MAX_NOTE 64
#define ACCOUNTS "bank/accounts/"

struct entry {
    int64_t cents;
    int64_t balance_cents;
    char note[MAX_NOTE];
};

struct account {
    int64_t balance_cents;
    size_t count;
    struct entry entries[MAX_ENTRIES];
};

static bool
book(struct account *account, int64_t cents, const char *note)
{
    struct entry *entry = &account->entries[account->count];

    if (account->count == MAX_ENTRIES)
        return false;
    account->count++;
    account->balance_cents += cents;
    entry->cents = cents;
    entry->balance_cents = account->balance_cents;
    snprintf(entry->note, sizeof entry->note, "%s", note);
    return true;
}

static afar_code
deposit(void *self, const Bank__DepositRequest *request, Bank__DepositReply *reply, afar_call *call)
{
    struct account *account = self;

    if (request->cents <= 0)
        return afar_call_fail(call, AFAR_INVALID_ARGUMENT, "%" PRId64 " cents is not a deposit",
                              request->cents);
    if (!book(account, request->cents, request->note))
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "the account is full");
    reply->balance_cents = account->balance_cents;
    return AFAR_OK;
}

static afar_code
withdraw(void *self, const Bank__WithdrawRequest *request, Bank__WithdrawReply *reply,
         afar_call *call)
{
    struct account *account = self;

    if (request->cents > account->balance_cents) {
        Bank__Overdrawn why = BANK__OVERDRAWN__INIT;

        why.balance_cents = account->balance_cents;
        why.missing_cents = request->cents - account->balance_cents;
        return bank_overdrawn_fail(call, AFAR_FAILED_PRECONDITION, &why,
                                   "%" PRId64 " cents are missing", why.missing_cents);
    }
    if (request->cents <= 0)
        return afar_call_fail(call, AFAR_INVALID_ARGUMENT, "%" PRId64 " cents cannot be withdrawn",
                              request->cents);
    if (!book(account, -request->cents, "withdrawal"))
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "the account is full");
    reply->balance_cents = account->balance_cents;
    return AFAR_OK;
}

static void
show(Bank__Entry *message, struct entry *entry)
{
    message->cents = entry->cents;
    message->balance_cents = entry->balance_cents;
    message->note = entry->note;
}

static afar_code
statement(void *self, const Bank__StatementRequest *request,
          bank_account_statement_server_stream *stream, afar_call *call)
{
    struct account *account = self;
    size_t first = 0;

    (void)call;
    if (request->newest > 0 && request->newest < account->count)
        first = account->count - request->newest;
    for (size_t i = first; i < account->count; i++) {
        Bank__Entry message = BANK__ENTRY__INIT;

        show(&message, &account->entries[i]);
        afar_code code = bank_account_statement_server_send(stream, &message, AFAR_FOREVER, NULL);
        if (code)
            return code;
    }
    return AFAR_OK;
}

/* All of them, or none: the account is changed only after the last has come. */
static afar_code
deposit_all(void *self, bank_account_deposit_all_server_stream *stream,
            Bank__DepositAllReply *reply, afar_call *call)
{
    struct account *account = self;
    const Bank__DepositRequest *message = NULL;
    afar_code code;
    int64_t sum = 0;
    uint32_t count = 0;

    while (
        !(code = bank_account_deposit_all_server_receive(stream, AFAR_FOREVER, &message, NULL))) {
        if (message->cents <= 0)
            return afar_call_fail(call, AFAR_INVALID_ARGUMENT,
                                  "deposit %" PRIu32 ": %" PRId64 " cents is not a deposit",
                                  count + 1, message->cents);
        sum += message->cents;
        count++;
    }
    if (code != AFAR_ENDED)
        return code;
    if (count > 0 && !book(account, sum, "batch"))
        return afar_call_fail(call, AFAR_RESOURCE_EXHAUSTED, "the account is full");
    reply->count = count;
    reply->balance_cents = account->balance_cents;
    return AFAR_OK;
}

static bool
knows(const struct account *account, const Bank__Entry *held)
{
    for (size_t i = 0; i < account->count; i++)
        if (account->entries[i].cents == held->cents &&
            account->entries[i].balance_cents == held->balance_cents)
            return true;
    return false;
}

static afar_code
reconcile(void *self, bank_account_reconcile_server_stream *stream, afar_call *call)
{
    const struct account *account = self;
    const Bank__Entry *held = NULL;
    afar_code code;

    (void)call;
    while (!(code = bank_account_reconcile_server_receive(stream, AFAR_FOREVER, &held, NULL))) {
        Bank__Finding finding = BANK__FINDING__INIT;

        finding.entry = (Bank__Entry *)held;
        finding.known = knows(account, held);
        code = bank_account_reconcile_server_send(stream, &finding, AFAR_FOREVER, NULL);
        if (code)
            return code;
    }
    return code == AFAR_ENDED ? AFAR_OK : code;
}

static const bank_account_methods methods = {
    .deposit = deposit,
    .withdraw = withdraw,
    .statement = statement,
    .deposit_all = deposit_all,
    .reconcile = reconcile,
};

/* Makes an account and exports it under its name. */
static afar_code
make_account(afar_server *server, const char *customer, bank_account **ret_account, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;
    struct account *account = calloc(1, sizeof *account);
    char name[sizeof ACCOUNTS + MAX_NOTE];

    if (!account)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for the account of %s", customer);
    options.finalizer = free;
    afar_code code = bank_account_new(&methods, account, &options, ret_account, err);
    if (code) {
        free(account);
        return code;
    }
    snprintf(name, sizeof name, "%s%s", ACCOUNTS, customer);
    return afar_server_export(server, name, bank_account_object(*ret_account), err);
}

/* ---- the bank ---- */

static const char *const customers[] = { "alice", "bob" };

#define CUSTOMERS (sizeof customers / sizeof *customers)

struct bank {
    bank_account *accounts[CUSTOMERS];
};

static afar_code
open_account(void *self, const Bank__OpenRequest *request, Bank__OpenReply *reply, afar_call *call)
{
    struct bank *bank = self;

    for (size_t i = 0; i < CUSTOMERS; i++) {
        if (strcmp(customers[i], request->customer) != 0)
            continue;
        /* The reply gets a reference of its own. */
        afar_object *account = afar_object_share(bank_account_object(bank->accounts[i]));
        return bank_open_reply_give_account(reply, call, (bank_account *)account);
    }
    return afar_call_fail(call, AFAR_NOT_FOUND, "%s has no account here", request->customer);
}

static const bank_bank_methods bank_methods = { .open_ = open_account };

static void
close_bank(struct bank *bank)
{
    for (size_t i = 0; i < CUSTOMERS; i++)
        bank_account_close(bank->accounts[i]);
}

/* Makes the accounts, and the bank itself. */
static afar_code
open_bank(afar_server *server, struct bank *bank, afar_error *err)
{
    bank_bank *object = NULL;
    afar_code code = AFAR_OK;

    for (size_t i = 0; !code && i < CUSTOMERS; i++)
        code = make_account(server, customers[i], &bank->accounts[i], err);
    if (!code && !(code = bank_bank_new(&bank_methods, bank, NULL, &object, err)))
        code = afar_server_export(server, "bank", bank_bank_object(object), err);
    bank_bank_close(object);
    return code;
}

/* What the library has to say: that the names are registered, or why not. */
static void
tell(void *arg, afar_log_level level, const char *line)
{
    (void)level;
    fprintf(arg, "bank: %s\n", line);
}

int
main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    afar_server_options options = AFAR_SERVER_OPTIONS_INIT;
    afar_error err = AFAR_ERROR_INIT;
    afar_server *server = NULL;
    struct bank bank = { { NULL } };
    afar_code code;

    setvbuf(stdout, NULL, _IOLBF, 0);
    afar_log_set(tell, stdout, AFAR_LOG_INFO);
    options.names = getenv("AFAR_NAMES");
    options.lease_ms = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (!(code = afar_server_open(NULL, address, &options, &server, &err)) &&
        !(code = open_bank(server, &bank, &err)))
        code = afar_server_run(server, &err); /* until SIGTERM or SIGINT */
    if (code)
        fprintf(stderr, "bank: %s: %s\n", afar_code_name(code), err.message);
    afar_server_close(server);
    close_bank(&bank);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
