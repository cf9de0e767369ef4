/* Pins, in a table and in a file.
 *
 * The file is written by us and mended by people, so what cannot be read is not skipped:
 * a name in a damaged line would count as new, and anybody could take it.
 *
 * One thread at a time. */

#include "client/pins.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"

const char *
afar__path_tail(const char *path, size_t room)
{
    size_t length = strlen(path);

    return length > room ? path + length - room : path;
}

/* ---- the table ---- */

const afar__pin *
afar__pins_find(const afar__pins *pins, const char *name)
{
    return (const afar__pin *)afar__table_find(&pins->table, name);
}

afar_code
afar__pins_add(afar__pins *pins, const char *name, const uint8_t key[AFAR__PUBLIC_BYTES],
               size_t line, afar_error *err)
{
    size_t length = strlen(name);
    afar__pin *pin = malloc(sizeof *pin + length + 1);

    if (pin) {
        memcpy(pin->name, name, length + 1);
        memcpy(pin->key, key, sizeof pin->key);
        pin->line = line;
        pin->row.name = pin->name;
        if (afar__table_add(&pins->table, &pin->row))
            return AFAR_OK;
    }
    free(pin);
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "%.200s: no memory for a known name", name);
}

void
afar__pins_clear(afar__pins *pins)
{
    for (afar__row *next, *row = pins->table.oldest; row; row = next) {
        next = row->newer;
        free(row);
    }
    afar__table_clear(&pins->table);
    *pins = (afar__pins){ 0 };
}

/* ---- the file ---- */

/* Where in the file we are, for messages. */
struct place {
    const char *path;
    size_t line;
};

static afar_code
fail_line(const struct place *at, const char *why, afar_error *err)
{
    return afar_fail(err, AFAR_FAILED_PRECONDITION, "%s:%zu: %s; mend or remove that line",
                     afar__path_tail(at->path, 120), at->line, why);
}

static bool
is_date(const char *text)
{
    static const char form[] = "0000-00-00";

    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
    return text[sizeof form - 1] == 0;
}

/* One line, without its end. */
static afar_code
read_line(afar__pins *pins, const struct place *at, char *text, afar_error *err)
{
    static const char blanks[] = " \t\r";
    char *rest = NULL;
    const char *name = strtok_r(text, blanks, &rest);
    const char *key_text, *date;
    uint8_t key[AFAR__PUBLIC_BYTES];
    const afar__pin *pin;

    if (!name || *name == '#')
        return AFAR_OK;
    key_text = strtok_r(NULL, blanks, &rest);
    date = strtok_r(NULL, blanks, &rest);
    if (!date || strtok_r(NULL, blanks, &rest))
        return fail_line(at, "not NAME KEY YYYY-MM-DD", err);
    if (afar__name_check(name, NULL))
        return fail_line(at, "the first word is no name", err);
    if (!afar__key_parse(key_text, strlen(key_text), key))
        return fail_line(at, "the second word is no key", err);
    if (!is_date(date))
        return fail_line(at, "the third word is no date", err);
    pin = afar__pins_find(pins, name);
    if (!pin)
        return afar__pins_add(pins, name, key, at->line, err);
    if (memcmp(pin->key, key, sizeof key) != 0)
        return fail_line(at, "the name has another key in a line before", err);
    return AFAR_OK;
}

afar_code
afar__pins_read(afar__pins *pins, const char *path, char *text, size_t length, afar_error *err)
{
    afar__pins fresh = { .open_line = length > 0 && text[length - 1] != '\n' };
    struct place at = { path, 0 };
    afar_code code = AFAR_OK;

    for (char *end, *line = text; !code && line < text + length; line = end + 1) {
        end = memchr(line, '\n', length - (size_t)(line - text));
        if (!end)
            end = text + length;
        *end = 0;
        at.line++;
        if (strlen(line) != (size_t)(end - line))
            code = fail_line(&at, "it has a zero byte", err);
        else
            code = read_line(&fresh, &at, line, err);
    }
    if (code) {
        afar__pins_clear(&fresh);
        return code;
    }
    fresh.lines = at.line;
    afar__pins_clear(pins);
    *pins = fresh;
    return AFAR_OK;
}
