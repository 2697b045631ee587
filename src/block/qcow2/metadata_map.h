// Which host clusters hold metadata, so that guest data is never written over them: a damaged image may say
// that they are free, or that they are a guest's. Any thread.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "base/thread_annotations.h"

namespace nandu::qcow2 {

class MetadataMap {
 public:
  void Add(uint64_t first_cluster, uint64_t clusters) {
    const MutexLock lock(mutex_);
    for (uint64_t i = 0; i < clusters; ++i) {
      clusters_.insert(first_cluster + i);
    }
  }
  void Remove(uint64_t first_cluster, uint64_t clusters) {
    const MutexLock lock(mutex_);
    for (uint64_t i = 0; i < clusters; ++i) {
      clusters_.erase(first_cluster + i);
    }
  }
  bool Overlaps(uint64_t first_cluster, uint64_t clusters) const {
    const MutexLock lock(mutex_);
    for (uint64_t i = 0; i < clusters; ++i) {
      if (clusters_.contains(first_cluster + i)) {
        return true;
      }
    }
    return false;
  }
  void Clear() {
    const MutexLock lock(mutex_);
    clusters_.clear();
  }

 private:
  mutable Mutex mutex_;
  std::unordered_set<uint64_t> clusters_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu::qcow2
