# afar_library(NAME): one part of the library, from the .c files of the current
# folder.  Makes two targets from the same objects:
#
#     NAME          the shared library
#     NAME-static   the same as an archive; the tests link it, so that they can
#                   call what is not exported
#
# What is exported is decided by exports.map alone: every name that does not begin
# with afar_ is hidden.  Calls inside a library do not go through its symbol
# table, and cannot be replaced from outside.
function(afar_library name)
    file(GLOB sources CONFIGURE_DEPENDS *.c)
    set(map ${PROJECT_SOURCE_DIR}/cmake/exports.map)

    add_library(${name}-objects OBJECT ${sources})
    target_link_libraries(${name}-objects PRIVATE afar_flags PkgConfig::PROTOBUF_C)
    target_compile_options(${name}-objects PRIVATE -fno-semantic-interposition)
    target_include_directories(${name}-objects PRIVATE
        ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/runtime ${CMAKE_CURRENT_SOURCE_DIR})

    add_library(${name} SHARED $<TARGET_OBJECTS:${name}-objects>)
    target_link_options(${name} PRIVATE
        -Wl,--version-script=${map} -Wl,-Bsymbolic-functions -Wl,--as-needed)
    if(NOT AFAR_SANITIZE)
        target_link_options(${name} PRIVATE -Wl,--no-undefined)
    endif()
    set_target_properties(${name} PROPERTIES
        LINK_DEPENDS ${map}
        VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR}
        INSTALL_RPATH $ORIGIN)

    add_library(${name}-static STATIC $<TARGET_OBJECTS:${name}-objects>)
    set_target_properties(${name}-static PROPERTIES OUTPUT_NAME ${name})

    foreach(target ${name} ${name}-static)
        set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
        target_include_directories(${target} PUBLIC
            $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    endforeach()

    # Afar::afar, Afar::client, Afar::server, and each with -static.
    string(REGEX REPLACE "^afar-" "" short ${name})
    foreach(suffix "" "-static")
        add_library(Afar::${short}${suffix} ALIAS ${name}${suffix})
        set_target_properties(${name}${suffix} PROPERTIES EXPORT_NAME ${short}${suffix})
    endforeach()
endfunction()

# afar_library_links(NAME PUBLIC|PRIVATE library...): what both forms need.  The
# static form needs the static forms of our own.
function(afar_library_links name scope)
    foreach(library ${ARGN})
        target_link_libraries(${name} ${scope} ${library})
        if(library MATCHES "^afar")
            target_link_libraries(${name}-static ${scope} ${library}-static)
        else()
            target_link_libraries(${name}-static ${scope} ${library})
        endif()
    endforeach()
endfunction()
