#pragma once

/// Version of the library, as numbers and as text, for code that must compile against several.
/// The build refuses to configure when they differ from the version in CMakeLists.txt.
#define TILT_VERSION_MAJOR 0
#define TILT_VERSION_MINOR 1
#define TILT_VERSION_PATCH 0
#define TILT_VERSION "0.1.0"
