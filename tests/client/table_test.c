/* Tables of rows: found by name, ordered by use. */

#include "client/table.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

#define ROWS 1000

struct item {
    afar__row row;
    char name[20];
};

static struct item items[ROWS];

static void
fill(afar__table *table)
{
    for (int i = 0; i < ROWS; i++) {
        snprintf(items[i].name, sizeof items[i].name, "item/%d", i);
        items[i].row.name = items[i].name;
        CHECK(afar__table_add(table, &items[i].row));
    }
}

/* The order of use, as the last part of each name. */
static void
check_order(const afar__table *table, const char *expected)
{
    char text[200] = "";
    const afar__row *last = NULL;

    for (const afar__row *row = table->oldest; row; row = row->newer) {
        CHECK(row->older == last);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", row->name + 5);
        last = row;
    }
    CHECK(table->newest == last);
    CHECK_STR(text, expected);
}

TEST(an_empty_table)
{
    afar__table table = { 0 };

    CHECK(afar__table_find(&table, "item/1") == NULL);
    afar__table_clear(&table);
}

TEST(every_row_is_found)
{
    afar__table table = { 0 };

    fill(&table);
    CHECK_INT(table.count, ROWS);
    for (int i = 0; i < ROWS; i++)
        CHECK(afar__table_find(&table, items[i].name) == &items[i].row);
    CHECK(afar__table_find(&table, "item/") == NULL);
    CHECK(afar__table_find(&table, "item/1000") == NULL);
    for (int i = 0; i < ROWS; i += 2)
        afar__table_remove(&table, &items[i].row);
    CHECK_INT(table.count, ROWS / 2);
    for (int i = 0; i < ROWS; i++)
        CHECK((afar__table_find(&table, items[i].name) != NULL) == (i % 2 == 1));
    afar__table_clear(&table);
}

TEST(the_order_of_use)
{
    afar__table table = { 0 };

    fill(&table);
    for (int i = 5; i < ROWS; i++)
        afar__table_remove(&table, &items[i].row);
    check_order(&table, "0 1 2 3 4 ");
    afar__table_use(&table, &items[0].row);
    check_order(&table, "1 2 3 4 0 ");
    afar__table_use(&table, &items[0].row);
    afar__table_use(&table, &items[3].row);
    check_order(&table, "1 2 4 0 3 ");
    afar__table_remove(&table, &items[1].row);
    afar__table_remove(&table, &items[3].row);
    check_order(&table, "2 4 0 ");
    afar__table_use(&table, &items[2].row);
    check_order(&table, "4 0 2 ");
    CHECK(afar__table_add(&table, &items[7].row));
    check_order(&table, "4 0 2 7 ");
    afar__table_clear(&table);
}
