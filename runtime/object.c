/* References, whatever they stand for: counting, and the calls that the generated
 * stubs are made of. */

#include "runtime/object.h"

#include <string.h>

#include <afar/call.h>

#include "runtime/engine.h"
#include "runtime/host.h"
#include "runtime/interface.h"
#include "runtime/misuse.h"

void
afar__object_init(afar_object *object, const afar__object_ops *ops, const afar_interface *interface)
{
    object->ops = ops;
    object->interface = interface;
    atomic_init(&object->refs, 1);
}

afar_object *
afar_object_share(afar_object *object)
{
    if (atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed) == 0)
        afar__misuse("afar_object_share: the reference to a %s was closed",
                     object->interface->name);
    return object;
}

bool
afar__object_try_share(afar_object *object)
{
    unsigned refs = atomic_load(&object->refs);

    while (refs != 0)
        if (atomic_compare_exchange_weak(&object->refs, &refs, refs + 1))
            return true;
    return false;
}

const afar_interface *
afar_object_interface(const afar_object *object)
{
    return object->interface;
}

void
afar_object_close(afar_object *object)
{
    if (!object || afar__engine_forked())
        return;
    if (atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) == 1)
        object->ops->free(object);
}

/* The methods of an interface are one table, but another part of the program may
 * have its own copy of it. */
static bool
has_method(const afar_interface *interface, const afar_method *method)
{
    for (unsigned i = 0; i < interface->method_count; i++)
        if (afar__interface_method(interface, i) == method)
            return true;
    for (unsigned i = 0; i < interface->method_count; i++)
        if (strcmp(afar__interface_method(interface, i)->path, method->path) == 0)
            return true;
    return false;
}

static afar_code
check(afar_object *object, const afar__request *request, bool stream, afar_error *err)
{
    const afar_method *method = request->method;
    const afar_call_options *options = request->options;

    if (!object)
        afar__misuse("%s: called on a NULL reference", method->path);
    else if (!has_method(object->interface, method))
        afar__misuse("%s: called on a reference to a %s", method->path, object->interface->name);
    else if ((method->kind != AFAR_UNARY) != stream)
        afar__misuse("%s: %s", method->path,
                     stream ? "a unary method, called as a stream"
                            : "a stream, called as a unary method");
    if (options && options->size != sizeof *options)
        return afar_fail(err, AFAR_INVALID_ARGUMENT,
                         "%s: afar_call_options was not made with AFAR_CALL_OPTIONS_INIT",
                         method->path);
    return afar__engine_check(err);
}

afar_code
afar_object_call(afar_object *object, const afar_method *method, const ProtobufCMessage *request,
                 afar_deadline deadline, ProtobufCMessage **ret_reply, afar_error *err)
{
    afar__request call = { method, request, deadline, NULL, AFAR__START_BLOCKING };
    afar_future *future = NULL;
    afar_code code = check(object, &call, false, err);

    if (code)
        return code;
    /* Before it starts: it may come back to the object that we are in. */
    afar__host_wait(afar_call_current());
    code = object->ops->start(object, &call, &future, err);
    if (!code) {
        /* The call itself keeps the deadline. */
        code = afar_future_await(future, method, AFAR_FOREVER, ret_reply, err);
        afar_future_close(future);
    }
    afar__host_go_on(afar_call_current());
    return code;
}

afar_code
afar_object_start(afar_object *object, const afar_method *method, const ProtobufCMessage *request,
                  afar_deadline deadline, const afar_call_options *options,
                  afar_future **ret_future, afar_error *err)
{
    afar__request call = { method, request, deadline, options, AFAR__START_FUTURE };
    afar_code code = check(object, &call, false, err);

    return code ? code : object->ops->start(object, &call, ret_future, err);
}

static void
forget(afar_future *future, void *arg)
{
    (void)arg;
    afar_future_close(future);
}

afar_code
afar_object_send(afar_object *object, const afar_method *method, const ProtobufCMessage *request,
                 afar_deadline deadline, afar_error *err)
{
    afar__request call = { method, request, deadline, NULL, AFAR__START_DETACHED };
    afar_future *future = NULL;
    afar_code code = check(object, &call, false, err);

    if (!code)
        code = object->ops->start(object, &call, &future, err);
    if (!code && future)
        afar_future_on_done(future, forget, NULL);
    return code;
}

afar_code
afar_object_stream(afar_object *object, const afar_method *method, const ProtobufCMessage *request,
                   afar_deadline deadline, const afar_call_options *options,
                   afar_stream **ret_stream, afar_error *err)
{
    afar__request call = { method, request, deadline, options, AFAR__START_FUTURE };
    afar_code code = check(object, &call, true, err);

    return code ? code : object->ops->stream(object, &call, ret_stream, err);
}
