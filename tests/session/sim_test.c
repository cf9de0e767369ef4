/* Two sessions in one process, with a world between them that does what worlds do. */

#include <afar/session.pb-c.h>

#include "check.h"

TEST(a_frame_is_packed)
{
    Afar__Session__V1__Frame frame = AFAR__SESSION__V1__FRAME__INIT;
    Afar__Session__V1__Ping ping = AFAR__SESSION__V1__PING__INIT;

    frame.ping = &ping;
    frame.kind_case = AFAR__SESSION__V1__FRAME__KIND_PING;
    CHECK_INT(afar__session__v1__frame__get_packed_size(&frame), 2);
}
