#ifndef AFAR_CLIENT_LINKS_H
#define AFAR_CLIENT_LINKS_H

/* The links of a client, one for each address.  Any thread.
 *
 * They are counted, since a reference that looks for its object needs them, and may
 * outlive the client: then they are shut, and give out nothing any more. */

#include <stdbool.h>

#include "runtime/link.h"
#include "runtime/record.h"

typedef struct afar__links afar__links;

/* Takes the node, unless it fails. */
afar_code
afar__links_new(afar_node *node, afar__links **ret_links, afar_error *err);

afar__links *
afar__links_ref(afar__links *links);
void
afar__links_unref(afar__links *links);

/* Shuts all links, and waits as afar__link_shut does. */
void
afar__links_shut(afar__links *links);

/* The link to an address, connected.  UNAVAILABLE when it cannot be reached, and when
 * `deadline` passes first; FAILED_PRECONDITION after a shut. */
afar_code
afar__links_connect(afar__links *links, const afar__address *address, afar_deadline deadline,
                    afar__link **ret_link, afar_error *err);

/* What afar__links_connect complained of, without the address. */
const char *
afar__links_reason(const afar_error *err);

/* Whether the process at the other end of a link was found to have that instance, and
 * the note that it has.  It may have changed since; a call then finds out. */
bool
afar__links_confirmed(afar__links *links, const afar__link *link,
                      const uint8_t instance[AFAR__INSTANCE_BYTES]);
void
afar__links_confirm(afar__links *links, const afar__link *link,
                    const uint8_t instance[AFAR__INSTANCE_BYTES]);

#endif
