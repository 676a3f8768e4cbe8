# Finds what the library and its programs are built on. With TILT_FETCH_DEPS, what is not found is
# downloaded; without it, a missing package is an error that names the package to install, or a line that
# names it where what needs it is only built if it can be.

set(TILT_EIGEN_VERSION 3.4)
set(TILT_JSON_VERSION 3.11)

if(TILT_FETCH_DEPS)
  include(FetchContent)
endif()

# tilt_find(<name> <target> <Debian package> <what needs it> <option, or ""> <url> <tag> <version>...)
# Several versions are tried in turn. The option says whether what needs the package is built: where its
# value is AUTO, that is left out without the package, in a line that says so; without an option the
# package is needed.
macro(tilt_find name target package what switch url tag)
  foreach(version IN ITEMS ${ARGN})
    if(NOT TARGET ${target})
      find_package(${name} ${version} CONFIG QUIET)
    endif()
  endforeach()
  if(NOT TARGET ${target} AND TILT_FETCH_DEPS)
    string(TOLOWER ${name} tilt_find_lower)
    FetchContent_Declare(
      ${tilt_find_lower}
      GIT_REPOSITORY ${url}
      GIT_TAG ${tag}
      GIT_SHALLOW ON SYSTEM)
    FetchContent_MakeAvailable(${tilt_find_lower})
  endif()
  if(NOT TARGET ${target})
    set(tilt_find_versions ${ARGN})
    list(GET tilt_find_versions -1 tilt_find_oldest)
    set(tilt_find_problem "${name} >= ${tilt_find_oldest} was not found. Debian, Ubuntu: apt-get install \
${package}; elsewhere: its folder in -DCMAKE_PREFIX_PATH; or -DTILT_FETCH_DEPS=ON to download it")
    if("${switch}" STREQUAL "")
      message(FATAL_ERROR "${tilt_find_problem}.")
    elseif("${${switch}}" STREQUAL "AUTO")
      message(STATUS "${what} are left out: ${tilt_find_problem}")
    else()
      message(FATAL_ERROR "${tilt_find_problem}, or -D${switch}=OFF to do without.")
    endif()
  endif()
endmacro()

tilt_find(Eigen3 Eigen3::Eigen libeigen3-dev tilt "" https://gitlab.com/libeigen/eigen.git 3.4.0
          ${TILT_EIGEN_VERSION})

# Optional: without it tilt::json does not exist.
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json ${TILT_JSON_VERSION} CONFIG QUIET)
endif()
if(NOT TARGET nlohmann_json::nlohmann_json AND TILT_FETCH_DEPS)
  tilt_find(nlohmann_json nlohmann_json::nlohmann_json nlohmann-json3-dev tilt::json ""
            https://github.com/nlohmann/json.git v3.11.3 ${TILT_JSON_VERSION})
endif()

# Optional: without it the commands among the examples are left out.
if(TILT_BUILD_EXAMPLES)
  set(tilt_commands AUTO)
  tilt_find(CLI11 CLI11::CLI11 libcli11-dev "The programs align, compare and votes" tilt_commands
            https://github.com/CLIUtils/CLI11.git v2.4.2 2.1)
endif()
