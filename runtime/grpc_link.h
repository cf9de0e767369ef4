#ifndef AFAR_RUNTIME_GRPC_LINK_H
#define AFAR_RUNTIME_GRPC_LINK_H

/* A link's channel, for the rest of the adapter. */

#include <grpc/grpc.h>

#include "runtime/link.h"

grpc_channel *
afar__link_channel(const afar__link *link);

/* Another channel to the same address, on which nothing has been tried; of a link
 * that heals. */
grpc_channel *
afar__link_fresh_channel(const afar__link *link);

#endif
