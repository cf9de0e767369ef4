/* afar names list.  Asks for page after page, checks every record, and prints a table
 * whose columns are as wide as they have to be, so all is kept until the end. */

#include <stdlib.h>
#include <string.h>

#include <afar/message.h>

#include "command/ask.h"
#include "command/commands.h"
#include "command/entry.h"
#include "command/json.h"
#include "command/say.h"

enum {
    MOST_NAMES = 1000000, /* a name server that never ends is not listened to for ever */
    SHORT_OWNER = 12,     /* characters of a key */
    COLUMNS = 5
};

typedef struct name_listing {
    Afar__Names__V1__ListReply **pages; /* entries point into them */
    size_t page_count;
    name_entry *entries;
    size_t count;
    bool all_good;
} name_listing;

/* One page behind the last entry that is there. */
static afar_code
ask_for_page(const name_server *server, const char *prefix, const name_listing *listing,
             Afar__Names__V1__ListReply **ret_page, afar_error *err)
{
    Afar__Names__V1__ListRequest request = AFAR__NAMES__V1__LIST_REQUEST__INIT;

    request.prefix = (char *)prefix;
    if (listing->count)
        request.after = (char *)entry_name(&listing->entries[listing->count - 1]);
    return afar_names_v1_names_list(server->names, &request, afar_after_ms(server->timeout_ms),
                                    ret_page, err);
}

/* Checks the entries of a page and adds them.  Names must grow: otherwise there is no
 * place to go on from. */
static int
add_page(name_listing *listing, const char *prefix, const Afar__Names__V1__ListReply *page)
{
    listing->entries = must_realloc(listing->entries, listing->count + page->n_entries + 1,
                                    sizeof *listing->entries);
    for (size_t i = 0; i < page->n_entries; i++) {
        name_entry *next = &listing->entries[listing->count];
        const char *last = listing->count ? entry_name(next - 1) : "";

        entry_read(page->entries[i], NULL, next);
        listing->count++;
        listing->all_good = listing->all_good && !next->problem;
        if (strcmp(entry_name(next), last) > 0 &&
            !strncmp(entry_name(next), prefix, strlen(prefix)))
            continue;
        complain("the name server's answer makes no sense: '%s' after '%s'", entry_name(next),
                 last);
        return EXIT_OTHER;
    }
    if (page->more && (!page->n_entries || listing->count > MOST_NAMES)) {
        complain(page->n_entries ? "there are more than %d names; list them by a prefix"
                                 : "the name server's answer makes no sense: no names, but more",
                 MOST_NAMES);
        return EXIT_OTHER;
    }
    return EXIT_DONE;
}

static int
ask_for_all(const name_server *server, const char *prefix, name_listing *listing)
{
    Afar__Names__V1__ListReply *page = NULL;
    int code;

    do {
        afar_error err = AFAR_ERROR_INIT;

        if (ask_for_page(server, prefix, listing, &page, &err))
            return name_server_failed(server, &err);
        listing->pages =
            must_realloc(listing->pages, listing->page_count + 1, sizeof(*listing->pages));
        listing->pages[listing->page_count++] = page;
        code = add_page(listing, prefix, page);
    } while (!code && page->more);
    return code;
}

static void
clear_listing(name_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        entry_clear(&listing->entries[i]);
    for (size_t i = 0; i < listing->page_count; i++)
        afar_message_free(listing->pages[i]);
    free(listing->entries);
    free(listing->pages);
}

/* ---- printing ---- */

/* One row as text; it is made twice, to measure and to print. */
typedef struct list_row {
    const char *cells[COLUMNS];
    char *interfaces;
    char owner[AFAR__KEY_TEXT + 3];
    char lease[16];
} list_row;

static char *
joined(char *const *texts, size_t count)
{
    size_t length = 1;
    char *all;
    char *end;

    for (size_t i = 0; i < count; i++)
        length += strlen(texts[i]) + 1;
    end = all = must_alloc(length);
    for (size_t i = 0; i < count; i++) {
        if (i)
            *end++ = ',';
        memcpy(end, texts[i], strlen(texts[i]));
        end += strlen(texts[i]);
    }
    return all;
}

static void
make_row(const name_entry *entry, bool long_form, list_row *ret_row)
{
    const afar__record *record = entry->problem ? NULL : entry->record;

    ret_row->interfaces =
        joined(record ? record->interfaces : NULL, record ? record->n_interfaces : 0);
    snprintf(ret_row->owner, sizeof ret_row->owner, "%.*s%s", long_form ? 43 : SHORT_OWNER,
             entry->owner, long_form || !*entry->owner ? "" : "...");
    print_lease(entry->from ? entry->from->lease_left_ms : 0, ret_row->lease,
                sizeof ret_row->lease);
    ret_row->cells[0] = *entry_name(entry) ? entry_name(entry) : "?";
    ret_row->cells[1] = record ? record->endpoints[0] : "NOT VERIFIED";
    ret_row->cells[2] = *ret_row->interfaces ? ret_row->interfaces : "-";
    ret_row->cells[3] = ret_row->lease;
    ret_row->cells[4] = *ret_row->owner ? ret_row->owner : "-";
}

static void
print_row(const char *const *cells, const size_t *widths)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        print_clean(stdout, cells[i]);
        if (i + 1 < COLUMNS)
            printf("%*s", (int)(widths[i] - strlen(cells[i])) + 2, "");
    }
    putchar('\n');
}

/* What only the long form has, below the row. */
static void
print_more(const name_entry *entry)
{
    const afar__record *record = entry->record;

    for (size_t i = 1; i < record->n_endpoints; i++) {
        printf("    also at ");
        print_clean(stdout, record->endpoints[i]);
        putchar('\n');
    }
    printf("    revision %llu\n", (unsigned long long)entry->from->revision);
    for (size_t i = 0; i < record->n_metadata; i++) {
        printf("    ");
        print_clean(stdout, record->metadata[i]->key);
        printf(" = ");
        print_clean(stdout, record->metadata[i]->value);
        putchar('\n');
    }
}

static void
print_table(const name_listing *listing, bool long_form)
{
    static const char *const titles[COLUMNS] = { "NAME", "ADDRESS", "INTERFACES", "LEASE",
                                                 "OWNER" };
    size_t widths[COLUMNS];
    list_row row;

    for (size_t i = 0; i < COLUMNS; i++)
        widths[i] = strlen(titles[i]);
    for (size_t n = 0; n < listing->count; n++) {
        make_row(&listing->entries[n], long_form, &row);
        for (size_t i = 0; i < COLUMNS; i++) {
            if (strlen(row.cells[i]) > widths[i])
                widths[i] = strlen(row.cells[i]);
        }
        free(row.interfaces);
    }
    print_row(titles, widths);
    for (size_t n = 0; n < listing->count; n++) {
        make_row(&listing->entries[n], long_form, &row);
        print_row(row.cells, widths);
        free(row.interfaces);
        if (long_form && !listing->entries[n].problem)
            print_more(&listing->entries[n]);
    }
}

static void
print_json(const name_listing *listing)
{
    cJSON *document = json_array();

    for (size_t i = 0; i < listing->count; i++)
        json_add(document, entry_json(&listing->entries[i]));
    json_print(document);
}

/* Everything was listed; what is not to be believed makes the answer no. */
static int
judge(const name_listing *listing, const char *prefix)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->entries[i].problem)
            complain("%s: %s", entry_name(&listing->entries[i]), listing->entries[i].problem);
    }
    if (!listing->count)
        complain(*prefix ? "no name begins with %s" : "no names are registered%s", prefix);
    return listing->all_good ? EXIT_DONE : EXIT_NO;
}

int
run_names_list(const command_args *args)
{
    const char *prefix = args->operand_count ? args->operands[0] : "";
    name_listing listing = { .all_good = true };
    name_server server;
    int code = name_server_open(args, &server);

    if (code)
        return code;
    code = ask_for_all(&server, prefix, &listing);
    if (!code) {
        if (args->given[OPTION_JSON])
            print_json(&listing);
        else if (listing.count)
            print_table(&listing, args->given[OPTION_LONG]);
        code = judge(&listing, prefix);
    }
    clear_listing(&listing);
    name_server_close(&server);
    return code;
}
