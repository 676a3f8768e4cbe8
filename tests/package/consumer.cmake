# What the consumers build, however they came by tilt.
add_executable(consumer ../main.cpp ../other.cpp)
target_link_libraries(consumer PRIVATE tilt::tilt)
enable_testing()
add_test(NAME consumer COMMAND consumer)
