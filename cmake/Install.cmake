# What `cmake --install` puts where: libraries and headers, the compiler, our .proto
# files, a CMake package and pkg-config files, and the command with its man pages and
# completion.  All of it may be moved together.
include(CMakePackageConfigHelpers)

set(wkt_headers ${CMAKE_INSTALL_INCLUDEDIR}/afar-wkt)
set(proto_files ${CMAKE_INSTALL_DATADIR}/afar/proto)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Afar)

install(TARGETS
        afar afar-client afar-server afar-static afar-client-static afar-server-static
        afar-wkt protoc-gen-afar
    EXPORT AfarTargets)
install(DIRECTORY runtime/afar client/afar server/afar
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY $<TARGET_PROPERTY:afar-objects,afar_generated>/
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY idl/ DESTINATION ${proto_files}
    FILES_MATCHING PATTERN "*.proto" PATTERN "google/protobuf" EXCLUDE)
install(DIRECTORY $<TARGET_PROPERTY:afar-wkt,afar_generated>/ DESTINATION ${wkt_headers}
    FILES_MATCHING PATTERN "*.h")

install(TARGETS afar-command)
get_target_property(texts afar-command afar_texts)
install(DIRECTORY ${texts}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${texts}/afar.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME afar)

configure_package_config_file(cmake/AfarConfig.cmake.in ${PROJECT_BINARY_DIR}/AfarConfig.cmake
    INSTALL_DESTINATION ${package} PATH_VARS proto_files)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/AfarConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(EXPORT AfarTargets NAMESPACE Afar:: DESTINATION ${package})
install(FILES
    cmake/AfarGenerate.cmake
    ${PROJECT_BINARY_DIR}/AfarConfig.cmake
    ${PROJECT_BINARY_DIR}/AfarConfigVersion.cmake
    DESTINATION ${package})

# The way from the folder of the pkg-config files to the prefix.
file(RELATIVE_PATH pkgconfig_to_prefix
    ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pkgconfig_to_prefix "${pkgconfig_to_prefix}")
foreach(name afar afar-client afar-server afar-wkt)
    configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
