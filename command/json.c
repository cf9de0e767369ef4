/* JSON documents.  Numbers go through text: cJSON keeps them as double, which has not
 * enough digits for a revision. */

#include "command/json.h"

#include <inttypes.h>
#include <stdio.h>

#include "command/say.h"

static cJSON *
made(cJSON *value)
{
    if (!value)
        out_of_memory();
    return value;
}

cJSON *
json_object(void)
{
    return made(cJSON_CreateObject());
}

cJSON *
json_array(void)
{
    return made(cJSON_CreateArray());
}

void
json_put(cJSON *object, const char *key, cJSON *value)
{
    if (!cJSON_AddItemToObject(object, key, made(value)))
        out_of_memory();
}

void
json_add(cJSON *array, cJSON *value)
{
    if (!cJSON_AddItemToArray(array, made(value)))
        out_of_memory();
}

void
json_text(cJSON *object, const char *key, const char *text)
{
    json_put(object, key, cJSON_CreateString(text));
}

void
json_bool(cJSON *object, const char *key, bool value)
{
    json_put(object, key, cJSON_CreateBool(value));
}

void
json_count(cJSON *object, const char *key, uint64_t value)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%" PRIu64, value);
    json_put(object, key, cJSON_CreateRaw(digits));
}

void
json_time(cJSON *object, const char *key, int64_t ns)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%" PRId64 ".%03" PRId64, ns / 1000000, ns / 1000 % 1000);
    json_put(object, key, cJSON_CreateRaw(digits));
}

void
json_texts(cJSON *object, const char *key, char *const *texts, size_t count)
{
    cJSON *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_add(array, cJSON_CreateString(texts[i]));
    json_put(object, key, array);
}

void
json_print(cJSON *document)
{
    char *text = cJSON_Print(document);

    if (text)
        puts(text);
    else
        out_of_memory();
    cJSON_free(text);
    cJSON_Delete(document);
}
