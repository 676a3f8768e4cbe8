#pragma once

#include <cstddef>

/// Heap allocations of this thread so far, by operator new in all its forms. Counted by the file
/// allocations_bench.cpp, which is linked into the program of all benchmarks.
std::size_t allocations() noexcept;
