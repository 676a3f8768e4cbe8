# Builds and runs the consumer with the flags that pkg-config gives.
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${PREFIX}/share/pkgconfig ${PKG_CONFIG} --cflags tilt
  OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
set(program ${CMAKE_CURRENT_BINARY_DIR}/pkg_config_consumer)
execute_process(COMMAND ${COMPILER} -std=c++20 ${flags} ${SOURCE_DIR}/main.cpp ${SOURCE_DIR}/other.cpp -o ${program}
                        COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${program} COMMAND_ERROR_IS_FATAL ANY)

execute_process(
  COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${PREFIX}/share/pkgconfig ${PKG_CONFIG} --modversion tilt
  OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT version STREQUAL VERSION)
  message(FATAL_ERROR "pkg-config says version ${version}, not ${VERSION}")
endif()
