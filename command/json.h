#ifndef COMMAND_JSON_H
#define COMMAND_JSON_H

/* Making JSON, with cJSON.  Nothing here fails: memory that is out ends the program. */

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

cJSON *
json_object(void);
cJSON *
json_array(void);

/* Adds a member to an object. */
void
json_text(cJSON *object, const char *key, const char *text);
void
json_bool(cJSON *object, const char *key, bool value);
void
json_count(cJSON *object, const char *key, uint64_t value); /* every digit of it */
void
json_time(cJSON *object, const char *key, int64_t ns); /* in milliseconds */
void
json_texts(cJSON *object, const char *key, char *const *texts, size_t count);
void
json_put(cJSON *object, const char *key, cJSON *value); /* takes the value */

/* Adds to an array; takes the value. */
void
json_add(cJSON *array, cJSON *value);

/* Prints the document to standard output and releases it. */
void
json_print(cJSON *document);

#endif
