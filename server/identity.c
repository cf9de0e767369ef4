/* Who a server is.  The object has no state but its node, so calls run side by side. */

#include "server/identity.h"

#include <string.h>

#include <afar/node.afar.h>

#include "runtime/interface.h"
#include "runtime/record.h"

static afar_code
identify(void *self, const Afar__Node__V1__IdentifyRequest *request,
         Afar__Node__V1__Identity *reply, afar_call *call)
{
    (void)request;
    (void)call;
    reply->instance.data = (uint8_t *)afar_node_instance(self);
    reply->instance.len = AFAR__INSTANCE_BYTES;
    reply->version = (char *)AFAR__VERSION;
    return AFAR_OK;
}

static const afar_node_v1_node_methods methods = { .identify = identify };

afar_code
afar__identity_new(afar_node *node, afar_object **ret_object, afar_error *err)
{
    afar_object_options options = AFAR_OBJECT_OPTIONS_INIT;

    options.mode = AFAR_CONCURRENT;
    return afar_object_new(&afar_node_v1_node_interface, &methods, node, &options, ret_object, err);
}

bool
afar__identity_find(afar_object *object, const char *path, afar__target *ret_target)
{
    const afar_method *method = afar__interface_method(&afar_node_v1_node_interface, 0);

    if (strcmp(path, method->path) != 0)
        return false;
    ret_target->host = afar__host_of(afar_object_share(object));
    ret_target->method = method;
    return true;
}
