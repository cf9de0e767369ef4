#ifndef AFAR_RUNTIME_INTERFACE_H
#define AFAR_RUNTIME_INTERFACE_H

#include <stddef.h>

#include <afar/channel.h>
#include <afar/interface.h>

/* A method of an interface; the table's own stride is used, since it may have been
 * compiled with a smaller afar_method. */
static inline const afar_method *
afar__interface_method(const afar_interface *interface, unsigned index)
{
    const char *table = (const char *)interface->methods;

    return (const afar_method *)(const void *)(table + (size_t)index * interface->method_size);
}

/* What an end of a channel carries; NULL for any other object, and for one whose table was compiled before
 * tables said that. */
static inline const afar_channel_type *
afar__interface_channel(const afar_interface *interface)
{
    bool says = interface->size >= offsetof(afar_interface, channel) + sizeof interface->channel;

    return says ? interface->channel : NULL;
}

#endif
