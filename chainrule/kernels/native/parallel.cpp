// Where the threads come from: handed over once, when the library is loaded.
#include "parallel.h"

Runtime runtime{};

extern "C" void use_runtime(void* parallel, void* thread, void* team, void* threads, void* inside) {
    runtime.parallel = reinterpret_cast<decltype(runtime.parallel)>(parallel);
    runtime.thread = reinterpret_cast<decltype(runtime.thread)>(thread);
    runtime.team = reinterpret_cast<decltype(runtime.team)>(team);
    runtime.threads = reinterpret_cast<decltype(runtime.threads)>(threads);
    runtime.inside = reinterpret_cast<decltype(runtime.inside)>(inside);
}
