/* afar version. */

#include <stdio.h>

#include "command/commands.h"
#include "command/json.h"
#include "command/say.h"

int
run_version(const command_args *args)
{
    if (args->given[OPTION_JSON]) {
        cJSON *document = json_object();

        json_text(document, "version", AFAR_VERSION);
        json_print(document);
    } else {
        printf("afar " AFAR_VERSION "\n");
    }
    return EXIT_DONE;
}
