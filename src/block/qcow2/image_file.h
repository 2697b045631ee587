// What the format library reads and writes: a file of bytes. Blocking; one thread at a time. Tests put faults
// and power cuts behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>

#include "base/result.h"

namespace nandu::qcow2 {

// Something that can be read at an offset: a file, or the image below (a backing file).
class ReadableFile {
 public:
  ReadableFile() = default;
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;
  virtual ~ReadableFile() = default;

  virtual uint64_t size() const = 0;  // bytes
  // What is past the end reads as zeroes.
  virtual Result<> Readv(uint64_t offset, std::span<const iovec> into) = 0;
  Result<> Read(uint64_t offset, std::span<std::byte> into) {
    const iovec vector{into.data(), into.size()};
    return Readv(offset, {&vector, 1});
  }
};

class ImageFile : public ReadableFile {
 public:
  // Makes the file longer where it ends before that.
  virtual Result<> Writev(uint64_t offset, std::span<const iovec> from) = 0;
  virtual Result<> WriteZeroes(uint64_t offset, uint64_t bytes) = 0;
  // A hint: what is there is not needed any more.
  virtual Result<> Discard(uint64_t offset, uint64_t bytes) = 0;
  // Everything written before is on stable storage, and the length with it.
  virtual Result<> Flush() = 0;
  virtual Result<> Truncate(uint64_t bytes) = 0;
  // Whether Truncate can make it longer: not a block device.
  virtual bool grows() const = 0;
  Result<> Write(uint64_t offset, std::span<const std::byte> from) {
    // A vector names memory that may be written; this one is only read.
    const iovec vector{const_cast<std::byte*>(from.data()), from.size()};  // NOLINT
    return Writev(offset, {&vector, 1});
  }
};

}  // namespace nandu::qcow2
