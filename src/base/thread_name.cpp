#include "base/thread_name.h"

#include <atomic>
#include <pthread.h>
#include <string>

namespace nandu {
namespace {

constexpr size_t kMostBytes = 15;  // pthread_setname_np(3)
constinit std::atomic<bool> own_names{true};

void Name(std::string_view name) {
  ::pthread_setname_np(::pthread_self(), std::string(name.substr(0, kMostBytes)).c_str());
}

}  // namespace

void NameThisThread(std::string_view name) {
  if (own_names.load(std::memory_order_relaxed)) {
    Name(name);
  }
}

void KeepThreadNames(bool names) { own_names.store(names, std::memory_order_relaxed); }

void NameProcess(std::string_view name) { Name(name); }

}  // namespace nandu
