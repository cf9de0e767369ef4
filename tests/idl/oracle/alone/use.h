#ifndef USE_H
#define USE_H

/* For the programs that use generated code: says what is not as it should be. */

#include <stdio.h>

#define EXPECT(condition)                                                                          \
    ((condition) ? (void)0                                                                         \
                 : (void)fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition))

#endif
