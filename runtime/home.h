#ifndef AFAR_RUNTIME_HOME_H
#define AFAR_RUNTIME_HOME_H

/* The folder of keys and known names: AFAR_HOME, or ~/.afar. */

#include <stddef.h>

#include <afar/error.h>

/* The path of a file in it; the folder is made, mode 0700, if it is not there.
 * FAILED_PRECONDITION when neither AFAR_HOME nor HOME is set; PERMISSION_DENIED when
 * the folder is somebody else's or others may write to it, with the command that mends it. */
afar_code
afar__home_path(const char *file, char *path, size_t room, afar_error *err);

#endif
