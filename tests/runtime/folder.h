#ifndef FOLDER_H
#define FOLDER_H

/* A folder of a test's own. */

#include <stddef.h>

/* Makes one, and names it to the library as the folder of keys.  Its path is constant
 * from then on. */
const char *
folder_open(void);

/* The path of a file in it; `path` has 300 bytes. */
char *
folder_path(const char *file, char path[300]);

/* The number of files in it, also of those whose names begin with a dot. */
int
folder_count(void);

void
folder_write(const char *file, const void *bytes, size_t length);

/* Reads a whole file and returns its length. */
size_t
folder_read(const char *file, void *bytes, size_t room);

/* Removes the folder with the files in it. */
void
folder_close(void);

#endif
