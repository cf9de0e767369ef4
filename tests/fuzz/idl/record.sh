#!/bin/sh
# A protoc plugin that keeps the request it gets in the file $AFAR_RECORD.  Its answer
# says only that it knows of `optional` in proto3.
cat >"$AFAR_RECORD" && printf '\020\001'
