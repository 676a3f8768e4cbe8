# Finds what the library and its programs are built on. With TILT_FETCH_DEPS, what is not found is
# downloaded; without it, a missing package is an error that names the package to install.

set(TILT_EIGEN_VERSION 3.4)
set(TILT_JSON_VERSION 3.11)

if(TILT_FETCH_DEPS)
  include(FetchContent)
endif()

# tilt_find(<name> <target> <Debian package> <option to switch off, or ""> <url> <tag> <version>...)
# Several versions are tried in turn.
macro(tilt_find name target package switch url tag)
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
    set(tilt_find_hint "")
    if(NOT "${switch}" STREQUAL "")
      set(tilt_find_hint ", or -D${switch}=OFF to do without")
    endif()
    message(FATAL_ERROR "${name} >= ${ARGV6} was not found. Debian, Ubuntu: apt-get install ${package}; "
                        "elsewhere: its folder in -DCMAKE_PREFIX_PATH; or -DTILT_FETCH_DEPS=ON to "
                        "download it${tilt_find_hint}.")
  endif()
endmacro()

tilt_find(Eigen3 Eigen3::Eigen libeigen3-dev "" https://gitlab.com/libeigen/eigen.git 3.4.0
          ${TILT_EIGEN_VERSION})

# Optional: without it tilt::json does not exist.
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json ${TILT_JSON_VERSION} CONFIG QUIET)
endif()
if(NOT TARGET nlohmann_json::nlohmann_json AND TILT_FETCH_DEPS)
  tilt_find(nlohmann_json nlohmann_json::nlohmann_json nlohmann-json3-dev ""
            https://github.com/nlohmann/json.git v3.11.3 ${TILT_JSON_VERSION})
endif()
