# The target `check`: the form of the code, and what tools find in it without
# running it.  scripts/check does the work; this names the files.
add_custom_target(check
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/check ${PROJECT_BINARY_DIR}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    USES_TERMINAL
    VERBATIM)
