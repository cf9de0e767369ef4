#ifndef COMMAND_KEY_FILE_H
#define COMMAND_KEY_FILE_H

/* The key that a command was told to use. */

#include <afar/key.h>

#include "command/arguments.h"
#include "runtime/home.h"

enum { KEY_PATH_ROOM = 4096 };

/* Its path: --key, or `key` in the folder of keys.  Complains. */
int
find_key_file(const command_args *args, char *path, size_t room);

/* Reads it.  Complains. */
int
load_key(const char *path, afar_key **ret_key);

#endif
