# tilt_verify_headers(<group> <target> <header>...): compiles each header as the only content of a
# source file, with the warnings of tilt_dev, so that none relies on what another happens to include.
function(tilt_verify_headers group target)
  if(NOT ARGN)
    return()
  endif()
  add_library(tilt_headers_${group} INTERFACE)
  target_link_libraries(tilt_headers_${group} INTERFACE tilt_dev ${target})
  target_sources(tilt_headers_${group} INTERFACE FILE_SET HEADERS BASE_DIRS
                                                 ${PROJECT_SOURCE_DIR}/include FILES ${ARGN})
  set_target_properties(tilt_headers_${group} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  if(NOT TARGET tilt_headers)
    add_custom_target(tilt_headers ALL)
    add_dependencies(tilt_headers all_verify_interface_header_sets)
  endif()
endfunction()
