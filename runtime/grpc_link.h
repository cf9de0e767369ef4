#ifndef AFAR_RUNTIME_GRPC_LINK_H
#define AFAR_RUNTIME_GRPC_LINK_H

/* A link's channel, for the rest of the adapter. */

#include <grpc/grpc.h>

#include "runtime/link.h"

grpc_channel *
afar__link_channel(const afar__link *link);

#endif
