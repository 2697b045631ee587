// The order in which metadata reaches the disk; image.h says why.
#include <utility>

#include "block/qcow2/image.h"

namespace nandu::qcow2 {

Result<> Image::FlushFile() {
  if (options_.data_file != nullptr) {
    TRY(options_.data_file->Flush());
  }
  return file_.Flush();
}

Result<> Image::Flush() {
  if (!options_.writable) {
    return {};
  }
  return FlushMetadata();
}

Result<> Image::FlushMetadata() {
  // With lazy refcounts the header says that they are to be counted anew after a crash.
  if (!lazy_refcounts_) {
    TRY(refcounts_->WriteBack());
  }
  TRY(FlushFile());
  if (mapping_->l2_dirty()) {
    TRY(mapping_->WriteBackL2());
    TRY(file_.Flush());
  }
  if (mapping_->l1_dirty()) {
    TRY(mapping_->WriteBackL1());
    TRY(file_.Flush());
  }
  mapping_->UpdateDirty();
  return ApplyRetired();
}

// What nothing on disk links to any more loses a reference, and may be used again.
Result<> Image::ApplyRetired() {
  // What is left of them after an error stays counted: a leak.
  const std::vector<Retired> retired = std::exchange(retired_, {});
  retired_clusters_ = 0;
  for (const Retired& each : retired) {
    for (uint64_t cluster = each.first_cluster; cluster < each.first_cluster + each.clusters; ++cluster) {
      if (Result<> less = refcounts_->Decrement(cluster, 1); !less) {
        return less.error().code == Errc::kCorrupt ? Result<>(MarkCorrupt(less.error().message)) : less;
      }
      const uint64_t left = TRY(refcounts_->Get(cluster));
      if (left == 0 && each.discard && options_.discard_freed) {
        // A hint; a file system may not know it.
        static_cast<void>(file_.Discard(cluster << header_.cluster_bits, header_.cluster_bytes()));
      }
    }
  }
  return {};
}

Result<> Image::Close() {
  if (!options_.writable || !changing_.load(std::memory_order_relaxed)) {
    return {};
  }
  TRY(FlushMetadata());
  TRY(refcounts_->WriteBack());
  TRY(FlushFile());
  if ((header_.incompatible & kDirty) != 0) {
    header_.incompatible &= ~uint64_t{kDirty};
    TRY(WriteFeatures(file_, header_));
    TRY(file_.Flush());
  }
  return {};
}

}  // namespace nandu::qcow2
