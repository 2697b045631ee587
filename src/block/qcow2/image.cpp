#include "block/qcow2/image.h"

#include <algorithm>

#include "base/log.h"

namespace nandu::qcow2 {
namespace {

constexpr uint64_t kDefaultL2CacheBytes = 32 << 20;

// Enough for the whole disk, which for most is little.
uint64_t L2CacheBytes(const Header& header, const OpenOptions& options, uint64_t slice_bytes) {
  if (options.l2_cache_bytes) {
    return *options.l2_cache_bytes;
  }
  const uint64_t all = header.l1_entries_for(header.size_bytes) * header.cluster_bytes();
  return std::clamp(all, 2 * slice_bytes, kDefaultL2CacheBytes);
}

}  // namespace

Result<std::unique_ptr<Image>> Image::Open(const OpenOptions& options) {
  std::unique_ptr<Image> image(new Image(options));
  TRY(image->OpenParts());
  return image;
}

Result<> Image::OpenParts() {
  header_ = TRY(ReadHeader(file_));
  if (header_.external_data() != (options_.data_file != nullptr)) {
    return header_.external_data()
               ? Fail(Errc::kInvalidArgument,
                      "its guest data is in a data file, which was not given: data-file=NODE")
               : Fail(Errc::kInvalidArgument, "it has no external data file, and data-file= names one");
  }
  if (header_.raw_external_data() && !header_.backing_file.empty()) {
    return Fail(Errc::kCorrupt, "it has both a backing file and a raw data file, which exclude each other");
  }
  if (options_.writable && (header_.incompatible & kCorrupt) != 0) {
    return Fail(Errc::kCorrupt,
                "it is marked corrupt, so that it is not written to; look at it with read-only=on, or mend "
                "it: qemu-img check -r all");
  }
  if (!IsPowerOfTwo(options_.l2_slice_bytes) || options_.l2_slice_bytes < 512) {
    return Fail(Errc::kInvalidArgument,
                "l2-cache-entry-size is a power of two from 512 to the size of a cluster");
  }
  const uint64_t slice_bytes = std::min(options_.l2_slice_bytes, header_.cluster_bytes());
  lazy_refcounts_ = header_.version >= 3 && options_.lazy_refcounts.value_or(header_.lazy_refcounts());
  refcounts_ =
      std::make_unique<Refcounts>(header_, file_, metadata_, options_.refcount_cache_bytes.value_or(0));
  mapping_ = std::make_unique<Mapping>(header_, file_, metadata_, slice_bytes,
                                       L2CacheBytes(header_, options_, slice_bytes));
  mapping_->SetWriteBack([this] { return FlushMetadata(); });
  TRY(Reload());
  return {};
}

Result<> Image::Reload() {
  const Header now = TRY(ReadHeader(file_));
  if (now.cluster_bits != header_.cluster_bits || now.refcount_order != header_.refcount_order ||
      now.extended_l2() != header_.extended_l2() || now.external_data() != header_.external_data()) {
    return Fail(Errc::kCorrupt, "it has become another image while it was not ours");
  }
  header_ = now;
  corrupt_ = (header_.incompatible & kCorrupt) != 0;
  changing_ = false;
  decompressed_ = 0;
  metadata_.Clear();
  metadata_.Add(0, 1);
  TRY(mapping_->Load());
  TRY(refcounts_->Load());
  TRY(LoadSnapshots());
  if (header_.bitmaps) {
    metadata_.Add(header_.bitmaps->directory_offset >> header_.cluster_bits,
                  header_.clusters_for(header_.bitmaps->directory_bytes));
  }
  if (options_.writable && (header_.incompatible & kDirty) != 0) {
    const CheckReport report =
        TRY(Prefix(Check(Repair::kYes), "its refcounts are to be counted anew after a crash"));
    if (report.corruptions != 0) {
      return Fail(Errc::kCorrupt, "it was not closed and cannot be mended: {}", report.first_problem);
    }
    header_.incompatible &= ~uint64_t{kDirty};
    TRY(WriteFeatures(file_, header_));
    TRY(file_.Flush());
  }
  return {};
}

bool Image::MayWriteInPlace(const Extent& extent) const {
  if (extent.kind != ExtentKind::kData || !extent.owned || !changing_.load(std::memory_order_acquire)) {
    return false;
  }
  if (options_.data_file != nullptr) {
    return true;
  }
  const uint64_t first = extent.host_offset >> header_.cluster_bits;
  const uint64_t last = (extent.host_offset + extent.bytes - 1) >> header_.cluster_bits;
  return !metadata_.Overlaps(first, last - first + 1);
}

// Says so on disk, so that nobody else writes to it either.
tl::unexpected<Error> Image::MarkCorrupt(std::string_view what) {
  if (!corrupt_) {
    corrupt_ = true;
    Log(LogLevel::kError,
        "a qcow2 image is corrupt and is not written to any more: {}; mend it with qemu-img check -r all",
        what);
    if (header_.version >= 3) {
      header_.incompatible |= kCorrupt;
      if (const Result<> marked = WriteFeatures(file_, header_); marked) {
        static_cast<void>(file_.Flush());
      }
    }
  }
  return Fail(Errc::kCorrupt, "the image is corrupt: {}", what);
}

}  // namespace nandu::qcow2
