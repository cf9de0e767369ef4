#ifndef AFAR_NAMESERVER_SERVICE_H
#define AFAR_NAMESERVER_SERVICE_H

/* The interface afar.names.v1.Names over a registry. */

#include <afar/object.h>

#include "server/nameserver/registry.h"

/* An object that serves calls side by side; the registry must outlive it.  The service is
 * stateless: what is to be answered late waits in the registry. */
afar_code
afar__names_service_new(afar__registry *registry, afar_object **ret_object, afar_error *err);

#endif
