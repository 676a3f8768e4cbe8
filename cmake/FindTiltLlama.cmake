#[[
Finds llama.cpp's headers and shared libraries.

Looks in TILT_LLAMA_DIR (variable, else environment variable of that name) and then in the usual
prefixes. A folder may be laid out as include/ and lib/, or hold everything side by side. The
libraries may carry a version in their names: libllama.so or libllama.v0.5.0.so. Headers and
libraries must be of one build of llama.cpp: the layouts of its structures change between releases.
Libraries without llama_version() fail to link; other differences are found when a model is loaded.

Defines TiltLlama_FOUND, TiltLlama_INCLUDE_DIR, TiltLlama_LIBRARY and the target TiltLlama::llama.
]]

set(tilt_llama_roots ${TILT_LLAMA_DIR} $ENV{TILT_LLAMA_DIR})

# Another folder than the last time: what was found there counts no longer.
if(DEFINED TiltLlama_ROOTS AND NOT TiltLlama_ROOTS STREQUAL "${tilt_llama_roots}")
  foreach(found IN ITEMS INCLUDE_DIR LIBRARY GGML_LIBRARY GGML_BASE_LIBRARY)
    unset(TiltLlama_${found} CACHE)
  endforeach()
endif()
set(TiltLlama_ROOTS "${tilt_llama_roots}" CACHE INTERNAL "Where llama.cpp was looked for")

find_path(TiltLlama_INCLUDE_DIR llama.h
          HINTS ${tilt_llama_roots}
          PATH_SUFFIXES include)
mark_as_advanced(TiltLlama_INCLUDE_DIR)

# tilt_llama_library(<variable> <name>): lib<name>.so, or lib<name>.<version>.so in a named folder.
function(tilt_llama_library variable name)
  if(${variable} AND EXISTS "${${variable}}")
    return()
  endif()
  set(names ${name})
  foreach(root IN LISTS tilt_llama_roots)
    file(GLOB versioned RELATIVE ${root} ${root}/lib${name}.v*.so ${root}/lib/lib${name}.v*.so
         ${root}/bin/lib${name}.v*.so)
    foreach(file IN LISTS versioned)
      cmake_path(GET file FILENAME file)
      list(APPEND names ${file})
    endforeach()
  endforeach()
  find_library(${variable} NAMES ${names} HINTS ${tilt_llama_roots} PATH_SUFFIXES lib lib64 bin)
  mark_as_advanced(${variable})
endfunction()

tilt_llama_library(TiltLlama_LIBRARY llama)
tilt_llama_library(TiltLlama_GGML_LIBRARY ggml)
tilt_llama_library(TiltLlama_GGML_BASE_LIBRARY ggml-base)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  TiltLlama REQUIRED_VARS TiltLlama_LIBRARY TiltLlama_GGML_LIBRARY TiltLlama_GGML_BASE_LIBRARY
                          TiltLlama_INCLUDE_DIR)

if(TiltLlama_FOUND AND NOT TARGET TiltLlama::llama)
  foreach(part IN ITEMS llama ggml ggml_base)
    add_library(TiltLlama::${part} UNKNOWN IMPORTED GLOBAL)
  endforeach()
  set_target_properties(TiltLlama::ggml_base PROPERTIES IMPORTED_LOCATION
                                                        ${TiltLlama_GGML_BASE_LIBRARY})
  set_target_properties(
    TiltLlama::ggml PROPERTIES IMPORTED_LOCATION ${TiltLlama_GGML_LIBRARY} INTERFACE_LINK_LIBRARIES
                                                                           TiltLlama::ggml_base)
  set_target_properties(
    TiltLlama::llama
    PROPERTIES IMPORTED_LOCATION ${TiltLlama_LIBRARY}
               INTERFACE_INCLUDE_DIRECTORIES ${TiltLlama_INCLUDE_DIR}
               INTERFACE_LINK_LIBRARIES "TiltLlama::ggml;${CMAKE_DL_LIBS}")
endif()
