#ifndef AFAR_RUNTIME_SPARE_H
#define AFAR_RUNTIME_SPARE_H

/* Memory for what each call makes and frees again.  What a thread gives back it keeps for itself, up
 * to 64 KiB, and takes again without asking malloc. */

#include <stddef.h>

/* Not initialised; NULL when out of memory. */
void *
afar__spare_alloc(size_t size);

/* On any thread, with the size that it was made with.  NULL is allowed. */
void
afar__spare_free(void *memory, size_t size);

#endif
