# afar_generate(TARGET file.proto... [IMPORTS dir...] [STATIC])
#
# Compiles .proto files into TARGET: for each x.proto the messages, x.pb-c.[hc],
# and the stubs, x.afar.[hc].  They are written to a folder of the build tree that
# is among TARGET's include folders, so that `#include "x.afar.h"` finds them.
#
#     add_executable(bank server.c)
#     afar_generate(bank account.proto)
#     target_link_libraries(bank PUBLIC Afar::server)
#
# A file is known by its path from the folder it stands below: one of IMPORTS, or the
# current source folder.  `protos/x.proto` is imported, and included, under that
# name, or as x.proto with `IMPORTS protos`.  IMPORTS are also searched for what the
# files import; Afar's own .proto files and protobuf's are found by themselves.
#
# TARGET is linked with Afar::afar and with the well-known types, Afar::wkt.  With
# STATIC it is linked with the archive Afar::afar-static instead.
#
# Whoever includes this file has set AFAR_PROTOS, the folder of Afar's own .proto
# files, and has the targets Afar::protoc-gen-afar, Afar::afar, Afar::client, Afar::wkt.

find_program(AFAR_PROTOC protoc REQUIRED DOC "The protobuf compiler")
find_path(AFAR_PROTOBUF_PROTOS google/protobuf/descriptor.proto REQUIRED
    DOC "The folder of protobuf's own .proto files")
mark_as_advanced(AFAR_PROTOC AFAR_PROTOBUF_PROTOS)

function(afar_generate target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "STATIC" "" "IMPORTS")
    if(NOT arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "afar_generate(${target}): no .proto file was given")
    endif()
    afar__generate_sources(${target} "${arg_UNPARSED_ARGUMENTS}" "${arg_IMPORTS}")
    if(arg_STATIC)
        target_link_libraries(${target} PUBLIC Afar::afar-static Afar::wkt)
    else()
        target_link_libraries(${target} PUBLIC Afar::afar Afar::wkt)
    endif()
endfunction()

# The part that is about sources and include folders; links nothing.
function(afar__generate_sources target protos imports)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}-afar)
    set(roots ${CMAKE_CURRENT_SOURCE_DIR})
    foreach(folder ${imports})
        get_filename_component(folder ${folder} ABSOLUTE)
        list(APPEND roots ${folder})
    endforeach()
    list(APPEND roots ${AFAR_PROTOS} ${AFAR_PROTOBUF_PROTOS})
    list(REMOVE_DUPLICATES roots)
    list(TRANSFORM roots PREPEND "-I" OUTPUT_VARIABLE search)
    foreach(proto ${protos})
        get_filename_component(path ${proto} ABSOLUTE)
        afar__name_of_proto(${path} "${roots}" name)
        afar__add_command(${path} ${name} ${out} "${search}" sources)
        target_sources(${target} PRIVATE ${sources})
    endforeach()

    set_target_properties(${target} PROPERTIES afar_generated ${out})

    # The stubs open objects by functions of the client library, inline: its
    # header is needed, the library only by who opens something.
    target_include_directories(${target} PUBLIC
        $<BUILD_INTERFACE:${out}>
        $<BUILD_INTERFACE:$<TARGET_PROPERTY:Afar::client,INTERFACE_INCLUDE_DIRECTORIES>>)
endfunction()

# The path of a .proto file from the root that it stands below, the nearest if there
# are several.
function(afar__name_of_proto path roots ret_name)
    set(nearest "")
    foreach(root ${roots})
        cmake_path(IS_PREFIX root ${path} NORMALIZE is_below)
        string(LENGTH "${root}" length)
        string(LENGTH "${nearest}" nearest_length)
        if(is_below AND length GREATER nearest_length)
            set(nearest ${root})
        endif()
    endforeach()
    if(NOT nearest)
        message(FATAL_ERROR "afar_generate: ${path} stands neither below "
            "${CMAKE_CURRENT_SOURCE_DIR} nor below one of IMPORTS")
    endif()
    file(RELATIVE_PATH name ${nearest} ${path})
    set(${ret_name} ${name} PARENT_SCOPE)
endfunction()

# One run of protoc: it writes all four files of one .proto file.  It names them in the
# order of the alphabet in the file of dependencies, and ninja wants the first first.
function(afar__add_command path name out search ret_sources)
    string(REGEX REPLACE "\\.proto$" "" stem ${out}/${name})
    set(sources ${stem}.afar.c ${stem}.afar.h ${stem}.pb-c.c ${stem}.pb-c.h)
    set(plugin $<TARGET_FILE:Afar::protoc-gen-afar>)
    file(MAKE_DIRECTORY ${out})
    add_custom_command(
        OUTPUT ${sources}
        COMMAND ${AFAR_PROTOC} --plugin=protoc-gen-afar=${plugin} ${search}
                --afar_out=${out} --dependency_out=${stem}.d ${name}
        DEPENDS ${path} Afar::protoc-gen-afar
        DEPFILE ${stem}.d
        COMMENT "Compiling ${name}"
        VERBATIM)
    set(${ret_sources} ${sources} PARENT_SCOPE)
endfunction()
