/* A customer of the bank: all four kinds of call, and an error with details.
 *
 *     bank-client [NAME]              shows them
 *     bank-client NAME -              pays in each amount that standard input has, a line each
 *     bank-client --of CUSTOMER BANK  shows them on an account that the bank gives
 *
 * NAME and BANK are asked of the name server (AFAR_NAMES in the environment, or 127.0.0.1:7700),
 * or are an address: grpc://127.0.0.1:7000/bank/accounts/alice, afar://127.0.0.1:7000/bank. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.afar.h"

static afar_code
pay_in(bank_account *account, int64_t cents, const char *note, afar_error *err)
{
    Bank__DepositRequest request = BANK__DEPOSIT_REQUEST__INIT;
    Bank__DepositReply *reply = NULL;

    request.cents = cents;
    request.note = (char *)note;
    afar_code code = bank_account_deposit(account, &request, afar_after_ms(2000), &reply, err);
    if (code)
        return code;
    printf("deposit     %8" PRId64 "  balance %8" PRId64 "\n", cents, reply->balance_cents);
    afar_message_free(reply);
    return AFAR_OK;
}

static afar_code
pay_in_a_batch(bank_account *account, afar_error *err)
{
    bank_account_deposit_all_stream *stream = NULL;
    Bank__DepositAllReply *reply = NULL;
    afar_deadline deadline = afar_after_ms(2000);
    afar_code code = bank_account_deposit_all(account, deadline, NULL, &stream, err);

    for (int64_t cents = 100; !code && cents <= 500; cents += 100) {
        Bank__DepositRequest request = BANK__DEPOSIT_REQUEST__INIT;

        request.cents = cents;
        code = bank_account_deposit_all_send(stream, &request, deadline, err);
    }
    if (!code)
        code = bank_account_deposit_all_finish(stream, deadline, &reply, err);
    if (!code)
        printf("batch of %" PRIu32 "            balance %8" PRId64 "\n", reply->count,
               reply->balance_cents);
    afar_message_free(reply);
    bank_account_deposit_all_close(stream);
    return code;
}

/* Too much, so that the server's typed error is seen. */
static afar_code
take_out_too_much(bank_account *account, afar_error *err)
{
    Bank__WithdrawRequest request = BANK__WITHDRAW_REQUEST__INIT;
    Bank__WithdrawReply *reply = NULL;
    const Bank__Overdrawn *why;

    request.cents = 1000000;
    afar_code code = bank_account_withdraw(account, &request, afar_after_ms(2000), &reply, err);
    afar_message_free(reply);
    if (!code || !(why = bank_overdrawn_of(err)))
        return code;
    printf("withdraw    %8" PRId64 "  refused: %s (balance %" PRId64 ")\n", request.cents,
           err->message, why->balance_cents);
    afar_error_clear(err);
    return AFAR_OK;
}

static afar_code
print_statement(bank_account *account, afar_error *err)
{
    Bank__StatementRequest request = BANK__STATEMENT_REQUEST__INIT;
    bank_account_statement_stream *stream = NULL;
    Bank__Entry *entry = NULL;
    afar_deadline deadline = afar_after_ms(2000);
    afar_code code = bank_account_statement(account, &request, deadline, NULL, &stream, err);

    while (!code && !(code = bank_account_statement_receive(stream, deadline, &entry, err))) {
        printf("  %8" PRId64 "  %8" PRId64 "  %s\n", entry->cents, entry->balance_cents,
               entry->note);
        afar_message_free(entry);
    }
    bank_account_statement_close(stream);
    return code == AFAR_ENDED ? AFAR_OK : code;
}

/* Holds an entry that is true and one that is made up against the account. */
static afar_code
compare(bank_account *account, afar_error *err)
{
    static const int64_t held[] = { 2500, 999999 };
    bank_account_reconcile_stream *stream = NULL;
    Bank__Finding *finding = NULL;
    afar_deadline deadline = afar_after_ms(2000);
    afar_code code = bank_account_reconcile(account, deadline, NULL, &stream, err);

    for (size_t i = 0; !code && i < sizeof held / sizeof *held; i++) {
        Bank__Entry entry = BANK__ENTRY__INIT;

        entry.cents = held[i];
        entry.balance_cents = held[i];
        code = bank_account_reconcile_send(stream, &entry, deadline, err);
        if (!code)
            code = bank_account_reconcile_receive(stream, deadline, &finding, err);
        if (!code)
            printf("entry       %8" PRId64 "  %s\n", finding->entry->cents,
                   finding->known ? "known" : "not known here");
        afar_message_free(finding);
        finding = NULL;
    }
    if (!code)
        code = bank_account_reconcile_finish(stream, err);
    bank_account_reconcile_close(stream);
    return code;
}

static afar_code
show_all(bank_account *account, afar_error *err)
{
    afar_code code;

    if (!(code = pay_in(account, 2500, "wages", err)) && !(code = pay_in_a_batch(account, err)) &&
        !(code = take_out_too_much(account, err)) && !(code = print_statement(account, err)))
        code = compare(account, err);
    return code;
}

/* One reference for as long as the input lasts: it finds the account again when that has
 * moved to another server. */
static afar_code
pay_in_all(bank_account *account, FILE *amounts, afar_error *err)
{
    char line[32];
    afar_code code = AFAR_OK;

    while (!code && fgets(line, sizeof line, amounts))
        code = pay_in(account, strtoll(line, NULL, 10), "cash", err);
    return code;
}

/* Asks the bank for the account of a customer. */
static afar_code
open_of(afar_client *client, const char *customer, const char *name, bank_account **ret_account,
        afar_error *err)
{
    Bank__OpenRequest request = BANK__OPEN_REQUEST__INIT;
    Bank__OpenReply *reply = NULL;
    bank_bank *bank = NULL;
    afar_code code = bank_bank_open(client, name, afar_after_ms(2000), &bank, err);

    request.customer = (char *)customer;
    if (!code && !(code = bank_bank_open_(bank, &request, afar_after_ms(2000), &reply, err)) &&
        !(*ret_account = bank_open_reply_take_account(reply)))
        code = afar_fail(err, AFAR_INTERNAL, "the bank gives no account");
    afar_message_free(reply);
    bank_bank_close(bank);
    return code;
}

int
main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "bank/accounts/alice";
    bool of_a_customer = argc == 4 && strcmp(argv[1], "--of") == 0;
    afar_error err = AFAR_ERROR_INIT;
    afar_client *client = NULL;
    bank_account *account = NULL;
    afar_code code;

    if (argc > 3 && !of_a_customer) {
        fprintf(stderr, "usage: bank-client [NAME [-]] | --of CUSTOMER BANK\n");
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!(code = afar_client_open(NULL, NULL, &client, &err)) &&
        !(code = of_a_customer
                     ? open_of(client, argv[2], argv[3], &account, &err)
                     : bank_account_open(client, name, afar_after_ms(2000), &account, &err)))
        code = argc == 3 && strcmp(argv[2], "-") == 0 ? pay_in_all(account, stdin, &err)
                                                      : show_all(account, &err);
    if (code)
        fprintf(stderr, "client: %s: %s\n", afar_code_name(code), err.message);
    bank_account_close(account);
    afar_client_close(client);
    afar_error_clear(&err);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
