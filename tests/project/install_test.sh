#!/usr/bin/env bash
# Installs Afar into a folder of its own and builds a user's project against it: with
# CMake (shared and static libraries), and by hand with pkg-config.  Each program runs
# and says the same.
set -euo pipefail

: "${AFAR_SOURCE:?}" "${AFAR_BUILD:?}" "${AFAR_CC:=gcc}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/afar-install-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
outside=$scratch/outside
expected=$'world at 1700000000\nrefused: nobody\ncard: the same'

says_what_it_should() {
    local said

    said=$("$@") || { echo "$1: exit code $?" && exit 1; }
    [ "$said" = "$expected" ] || { echo "$1 says:" && echo "$said" && exit 1; }
    echo "$1: ok"
}

echo "== install"
cmake --install "$AFAR_BUILD" --prefix "$prefix" >"$scratch/log"
! grep -rl --include='*.h' --include='*.cmake' --include='*.pc' --include='*.proto' \
    -e "$AFAR_SOURCE" -e "$AFAR_BUILD" "$prefix" || { echo "paths of the build tree" && exit 1; }
cp -r "$AFAR_SOURCE/tests/project/outside" "$outside"

echo "== with CMake"
cmake -S "$outside" -B "$outside/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$AFAR_CC"
cmake --build "$outside/build"
says_what_it_should "$outside/build/outside"
says_what_it_should "$outside/build/outside-static"
if ldd "$outside/build/outside-static" | grep libafar; then
    echo "outside-static loads the shared library" && exit 1
fi

echo "== a change of an imported file is seen"
sed -i 's/string name = 1;/string name = 1;\n  string title = 2;/' "$outside/shared/common/person.proto"
cmake --build "$outside/build" --target outside >"$scratch/log"
grep -q 'Compiling protos/greeting.proto' "$scratch/log"
says_what_it_should "$outside/build/outside"
cmake --build "$outside/build" --target outside >"$scratch/log"
grep -q 'no work to do' "$scratch/log"

echo "== with pkg-config"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name afar.pc)")
mkdir "$scratch/out"
cd "$outside"
for proto in protos/greeting.proto common/person.proto; do
    PATH=$prefix/bin:$PATH protoc -I. -Ishared -I"$(pkg-config --variable=protodir afar)" \
        --afar_out="$scratch/out" "$proto"
done
# shellcheck disable=SC2046 # pkg-config's words
"$AFAR_CC" -I"$scratch/out" outside.c "$scratch"/out/*/*.c -o "$scratch/by-hand" \
    $(pkg-config --cflags --libs afar-client afar-server afar-wkt)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir afar) says_what_it_should "$scratch/by-hand"
