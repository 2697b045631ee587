// Names of threads, as top and gdb show them. Any thread.
#pragma once

#include <string_view>

namespace nandu {

// The calling thread's name; the kernel keeps 15 bytes. Does nothing after KeepThreadNames(false).
void NameThisThread(std::string_view name);

// -name debug-threads=off: threads started from now on keep the process's name. Before they start.
void KeepThreadNames(bool names);

// -name process=: the calling thread's name, and so the name of those it starts. The main thread's is the
// process's.
void NameProcess(std::string_view name);

}  // namespace nandu
