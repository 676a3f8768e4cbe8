#[[
Installs the named tools where they are missing and the package manager may be used; stops with what to
install by hand otherwise.

  cmake -DTOOLS=LIST -P cmake/install_tools.cmake      for example TOOLS="ninja;clang++-16"
]]

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
tilt_help(${CMAKE_CURRENT_LIST_FILE})

tilt_ensure_tools(lacking ${TOOLS})
if(lacking)
  message(FATAL_ERROR "${lacking}")
endif()
