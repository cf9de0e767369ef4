/* Names that are macros somewhere get an underscore behind them; the headers that
 * have these macros come first here. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "names_macros.pb-c.h"
#include "use.h"

int
main(void)
{
    NamesMacros__Macros macros = NAMES_MACROS__MACROS__INIT;
    NamesMacros__FILE file = NAMES_MACROS__FILE__INIT;

    macros.linux_ = 1;
    macros.unix_ = 2;
    macros.errno_ = 3;
    macros.stdin_ = &file;
    EXPECT(macros.stdout_ && !*macros.stdout_);
    EXPECT(names_macros__macros__get_packed_size(&macros) == 3 * 2 + 2);
    return EXIT_SUCCESS;
}
