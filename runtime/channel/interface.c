/* The one method that each of the two ends of a channel has.
 *
 * Every type of message has two interfaces of its own, which differ in their names alone: the
 * generated code has these, and they share the methods here.  An end is made by the channel that
 * it belongs to (runtime/host.h), with a function that serves all of its calls; so nobody gets here but
 * the calls of an object that somebody made of such an interface without a channel.
 *
 * Constant data; any thread. */

#include <afar/call.h>
#include <afar/channel.h>
#include <afar/channel.pb-c.h>

static afar_code
refuse(const void *methods, void *self, afar_call *call)
{
    (void)methods;
    (void)self;
    return afar_call_unimplemented(call);
}

const afar_method afar_sender_methods[1] = {
    { "Attach", "/afar.channels.v1.Sender/Attach", &afar__channels__v1__to_home__descriptor,
      &afar__channels__v1__to_end__descriptor, refuse, AFAR_BIDI_STREAM, 0, NULL, NULL },
};

const afar_method afar_receiver_methods[1] = {
    { "Attach", "/afar.channels.v1.Receiver/Attach", &afar__channels__v1__to_home__descriptor,
      &afar__channels__v1__to_end__descriptor, refuse, AFAR_BIDI_STREAM, 0, NULL, NULL },
};
