// Clang's thread-safety analysis (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html), empty on g++.
// The `clang` preset checks them with -Wthread-safety; they state which lock or which loop guards what.
#pragma once

#include <mutex>

#if defined(__clang__)
#define NANDU_TA(x) __attribute__((x))
#else
#define NANDU_TA(x)
#endif

namespace nandu {

// std::mutex with the annotations. Leaf locks only: no call out of the owner while it is held, except setting an
// interrupt line, notifying an MSI-X vector, and Post.
class NANDU_TA(capability("mutex")) Mutex {
 public:
  void lock() NANDU_TA(acquire_capability()) { mutex_.lock(); }
  void unlock() NANDU_TA(release_capability()) { mutex_.unlock(); }
  bool try_lock() NANDU_TA(try_acquire_capability(true)) { return mutex_.try_lock(); }
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

class NANDU_TA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) NANDU_TA(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() NANDU_TA(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// The right to touch what one loop's thread owns. Holds no lock: AssertHeld states it where the compiler cannot see it.
class NANDU_TA(capability("thread")) ThreadRole {
 public:
  void AssertHeld() const NANDU_TA(assert_capability(this)) {}
};

}  // namespace nandu
