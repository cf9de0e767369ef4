/* What becomes of a relayed end when the session of who had it breaks.
 *
 * An end that is attached breaks its call, and so its home knows.  One that nobody has used yet has no call; giving the
 * reference back would say that it has finished.  So the relay attaches in its place, and gives that call up
 * as soon as the home has greeted it.
 *
 * Runs where a session breaks, then on the thread that pumps the one to the home. */

#include <stdlib.h>

#include "runtime/channel/code.h"
#include "runtime/far/raw.h"
#include "runtime/far/relay_raw.h"
#include "runtime/interface.h"
#include "runtime/secure.h"

/* It is the only one that has the stream, once that is listened to. */
struct mourner {
    afar__raw *raw;
};

static void
leave(void *arg)
{
    free(arg);
}

/* It is greeted. */
static void
came(void *arg, const uint8_t *data, size_t length, afar__raw_item *item)
{
    struct mourner *mourner = arg;

    (void)data;
    (void)length;
    (void)item;
    afar__raw_close(mourner->raw, leave);
}

/* The home has gone, or took it for something else, or knows already. */
static void
over(void *arg, const afar_error *err)
{
    struct mourner *mourner = arg;

    (void)err;
    afar__raw_close(mourner->raw, leave);
}

static void
nothing(void *arg)
{
    (void)arg;
}

static const afar__raw_ops ops = { came, nothing, nothing, nothing, over, NULL };

static bool
say_hello(afar__raw *raw, const afar_channel_type *type)
{
    afar__channel_hello hello = { .version = AFAR__CHANNEL_VERSION,
                                  .carries = type->message->name };
    afar__channel_buffer buffer = { .data = NULL };
    bool well;

    afar__secure_random(hello.process, sizeof hello.process);
    well = afar__channel_add_hello(&buffer, &hello) &&
           !afar__raw_send(raw, buffer.data, buffer.length, NULL, NULL);
    afar__channel_buffer_free(&buffer);
    return well;
}

void
afar__relay_lost(afar_object *far)
{
    const afar_interface *interface = afar_object_interface(far);
    struct mourner *mourner = malloc(sizeof *mourner);

    if (!mourner)
        return;
    if (afar__raw_open(far, interface->methods, NULL, NULL, &mourner->raw, NULL)) {
        free(mourner);
    } else if (!say_hello(mourner->raw, afar__interface_channel(interface))) {
        afar__raw_close(mourner->raw, NULL);
        free(mourner);
    } else {
        afar__raw_listen(mourner->raw, &ops, mourner);
    }
}
