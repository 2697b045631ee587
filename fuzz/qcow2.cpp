// A qcow2 image from anywhere: header, extensions, L1, L2 and refcount tables, compressed clusters, the
// snapshot table and bitmaps. It is refused with a sentence, or reads and writes fail or work. The first byte
// says how it is opened.
#include <cstdint>
#include <vector>

#include "base/log.h"
#include "block/qcow2/image.h"
#include "support/fault_file.h"

namespace {

using nandu::qcow2::Image;
using nandu::qcow2::MemoryFile;

constexpr uint64_t kMaxFile = 8 << 20;  // what a hostile image may make of itself here

// Grows no further than that.
class BoundedFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  nandu::Result<> Writev(uint64_t offset, std::span<const iovec> from) override {
    const uint64_t bytes = nandu::qcow2::TotalBytes(from);
    if (offset > kMaxFile || bytes > kMaxFile - offset) {
      return nandu::FailErrno(ENOSPC, "the file is full");
    }
    return MemoryFile::Writev(offset, from);
  }
  nandu::Result<> Truncate(uint64_t bytes) override {
    return bytes > kMaxFile ? nandu::FailErrno(ENOSPC, "the file is full") : MemoryFile::Truncate(bytes);
  }
};

void Use(Image& image, uint8_t seed) {
  const uint64_t disk = image.size();
  std::vector<std::byte> read(4096);
  for (uint64_t at = 0; at + read.size() <= disk && at < uint64_t{64} * read.size(); at += read.size()) {
    static_cast<void>(image.Read(at, read));
  }
  if (disk >= read.size()) {
    static_cast<void>(image.Read(disk - read.size(), read));
  }
  static_cast<void>(image.Check());
  if (!image.writable() || disk < 3 * read.size()) {
    return;
  }
  const std::vector<std::byte> data(read.size(), std::byte{seed});
  const uint64_t at = (uint64_t{seed} * 512) % (disk - data.size()) / 512 * 512;
  static_cast<void>(image.Write(at, data));
  static_cast<void>(image.Read(at, read));
  static_cast<void>(image.WriteZeroes(
      0, data.size(), (seed & 1) != 0 ? nandu::qcow2::Unmap::kUnmap : nandu::qcow2::Unmap::kKeep));
  static_cast<void>(image.Discard(0, disk));
  static_cast<void>(image.Write(at, data));
  static_cast<void>(image.Flush());
  if ((seed & 2) != 0) {
    static_cast<void>(image.CreateSnapshot("fuzz", 1, 2));
    static_cast<void>(image.Write(at, data));
    static_cast<void>(image.ApplySnapshot("fuzz"));
    static_cast<void>(image.DeleteSnapshot("fuzz"));
  }
  if ((seed & 4) != 0) {
    static_cast<void>(image.Resize(disk / 1024 * 512));
    static_cast<void>(image.Resize(disk / 512 * 512));
  }
  static_cast<void>(image.Close());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = [] { return nandu::SetLogFile("/dev/null").has_value(); }();
  static_cast<void>(quiet);
  if (size < 2) {
    return 0;
  }
  const auto* const begin = reinterpret_cast<const std::byte*>(data + 1);
  BoundedFile file(std::vector<std::byte>(begin, begin + size - 1));
  MemoryFile data_file;
  for (const bool external : {false, true}) {
    nandu::qcow2::OpenOptions options;
    options.file = &file;
    options.data_file = external ? &data_file : nullptr;
    options.writable = (data[0] & 1) != 0;
    options.l2_cache_bytes = 4096;
    options.l2_slice_bytes = 512;
    if (const auto image = Image::Open(options)) {
      Use(**image, data[0]);
    }
  }
  return 0;
}
