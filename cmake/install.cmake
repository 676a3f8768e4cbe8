include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(tilt_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/tilt)
install(TARGETS tilt EXPORT tiltTargets FILE_SET HEADERS FILE_SET io FILE_SET engine)
install(EXPORT tiltTargets NAMESPACE tilt:: DESTINATION ${tilt_package_dir})

configure_package_config_file(cmake/tiltConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/tiltConfig.cmake
                              INSTALL_DESTINATION ${tilt_package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/tiltConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tiltConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/tiltConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/tiltParts.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindTiltLlama.cmake
        DESTINATION ${tilt_package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/tilt)

# The .pc file finds its prefix from its own place, so that the tree may be moved.
set(tilt_pc_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY /prefix OUTPUT_VARIABLE tilt_pc_include)
cmake_path(RELATIVE_PATH tilt_pc_include BASE_DIRECTORY /prefix/${tilt_pc_dir})
configure_file(cmake/tilt.pc.in ${CMAKE_CURRENT_BINARY_DIR}/tilt.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tilt.pc DESTINATION ${tilt_pc_dir})
