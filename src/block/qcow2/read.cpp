// Reading a disk.
#include <algorithm>

#include "base/check.h"
#include "block/qcow2/compressed.h"
#include "block/qcow2/image.h"
#include "block/qcow2/vector_io.h"

namespace nandu::qcow2 {

Result<> Image::Read(uint64_t offset, std::span<std::byte> into) {
  const iovec vector{into.data(), into.size()};
  return Readv(offset, {&vector, 1});
}

Result<> Image::Readv(uint64_t offset, std::span<const iovec> into) {
  const uint64_t bytes = TotalBytes(into);
  NANDU_CHECK(offset <= size() && bytes <= size() - offset, "a read lies within the disk");
  for (uint64_t done = 0; done < bytes;) {
    const Extent extent = TRY(mapping_->Find(offset + done, bytes - done));
    const std::vector<iovec> part = PartOf(into, done, extent.bytes);
    TRY(ReadExtent(extent, offset + done, part));
    done += extent.bytes;
  }
  return {};
}

Result<> Image::ReadExtent(const Extent& extent, uint64_t offset, std::span<const iovec> into) {
  switch (extent.kind) {
    case ExtentKind::kUnallocated: return ReadBacking(offset, into);
    case ExtentKind::kZero: FillZero(into); return {};
    case ExtentKind::kCompressed:
      return ReadCompressed(extent.host_offset, offset & (header_.cluster_bytes() - 1), into);
    case ExtentKind::kData: break;
  }
  // Data is on disk before its entry is, so that only an image that was cut short lacks it. A raw data file's
  // owner may.
  if (extent.host_offset >= data().size() && !header_.external_data()) {
    return Fail(Errc::kCorrupt, "byte {} of the disk is at {} of a file that has {} bytes: it was cut short",
                offset, extent.host_offset, data().size());
  }
  return data().Readv(extent.host_offset, into);
}

Result<> Image::ReadBacking(uint64_t offset, std::span<const iovec> into) {
  const uint64_t bytes = TotalBytes(into);
  const uint64_t has = options_.backing != nullptr ? options_.backing->size() : 0;
  const uint64_t there = offset >= has ? 0 : std::min(bytes, has - offset);
  if (there != 0) {
    TRY(options_.backing->Readv(offset, PartOf(into, 0, there)));
  }
  FillZero(PartOf(into, there, bytes - there));
  return {};
}

Result<> Image::ReadCompressed(uint64_t descriptor, uint64_t in_cluster, std::span<const iovec> into) {
  if (decompressed_ != descriptor) {
    decompressed_ = 0;
    const CompressedRange range = CompressedAt(header_, descriptor);
    if (range.offset >= file_.size()) {
      return Fail(Errc::kCorrupt,
                  "a compressed cluster is at {} of a file that has {} bytes: it was cut short", range.offset,
                  file_.size());
    }
    std::vector<std::byte> compressed(range.bytes);
    TRY(file_.Read(range.offset, compressed));
    decompressed_bytes_.resize(header_.cluster_bytes());
    if (!Decompress(header_.compression, compressed, decompressed_bytes_)) {
      return Fail(Errc::kCorrupt, "the compressed cluster at {} of the image is damaged", range.offset);
    }
    decompressed_ = descriptor;
  }
  CopyTo(into, std::span(decompressed_bytes_).subspan(in_cluster));
  return {};
}

// Whether all of it is known to be zero without a look at any data.
Result<bool> Image::ReadsAsZero(uint64_t offset, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    const Extent extent = TRY(mapping_->Find(offset + done, bytes - done));
    const bool zero = extent.kind == ExtentKind::kZero ||
                      (extent.kind == ExtentKind::kUnallocated &&
                       (options_.backing == nullptr || offset + done >= options_.backing->size()));
    if (!zero) {
      return false;
    }
    done += extent.bytes;
  }
  return true;
}

}  // namespace nandu::qcow2
