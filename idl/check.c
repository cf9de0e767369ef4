#include "idl/check.h"
char *
check_model(idl_model *model)
{
    (void)model;
    return NULL;
}
