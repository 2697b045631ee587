// Files for the qcow2 library: one in memory that can be told to fail, and one that remembers in what order
// things were written, so that a test can ask what the disk may look like after a power cut.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "block/qcow2/image_file.h"
#include "block/qcow2/vector_io.h"

namespace nandu::qcow2 {

class MemoryFile : public ImageFile {
 public:
  MemoryFile() = default;
  explicit MemoryFile(std::vector<std::byte> content) : bytes(std::move(content)) {}

  uint64_t size() const override { return bytes.size(); }
  Result<> Readv(uint64_t offset, std::span<const iovec> into) override {
    TRY(MayFail(&fail_reads_after, EIO));
    for (const iovec& vec : into) {
      const uint64_t there =
          offset >= bytes.size() ? 0 : std::min<uint64_t>(vec.iov_len, bytes.size() - offset);
      std::memcpy(vec.iov_base, bytes.data() + std::min<uint64_t>(offset, bytes.size()), there);
      std::memset(static_cast<std::byte*>(vec.iov_base) + there, 0, vec.iov_len - there);
      offset += vec.iov_len;
    }
    return {};
  }
  Result<> Writev(uint64_t offset, std::span<const iovec> from) override {
    TRY(MayFail(&fail_writes_after, write_error));
    std::vector<std::byte> data;
    for (const iovec& vec : from) {
      const auto* const begin = static_cast<const std::byte*>(vec.iov_base);
      data.insert(data.end(), begin, begin + vec.iov_len);
    }
    Put(offset, data);
    return {};
  }
  Result<> WriteZeroes(uint64_t offset, uint64_t length) override {
    const std::unique_ptr<std::byte[]> zeroes(new std::byte[length]());
    return Write(offset, std::span(zeroes.get(), length));
  }
  Result<> Discard(uint64_t offset, uint64_t length) override {
    discarded += length;
    // The worst a disk may do.
    if (offset < bytes.size()) {
      std::vector<std::byte> garbage(std::min<uint64_t>(length, bytes.size() - offset), std::byte{0xdd});
      Put(offset, garbage);
    }
    return {};
  }
  Result<> Flush() override { return MayFail(&fail_flushes_after, EIO); }
  Result<> Truncate(uint64_t length) override {
    TRY(MayFail(&fail_writes_after, write_error));
    bytes.resize(length);
    return {};
  }
  bool grows() const override { return true; }

  std::vector<std::byte> bytes;
  uint64_t discarded = 0;
  // How many operations succeed before the next ones fail; -1: all of them.
  int64_t fail_reads_after = -1;
  int64_t fail_writes_after = -1;
  int64_t fail_flushes_after = -1;
  int write_error = EIO;

 protected:
  virtual void Put(uint64_t offset, std::span<const std::byte> data) {
    if (offset + data.size() > bytes.size()) {
      bytes.resize(offset + data.size());
    }
    std::copy(data.begin(), data.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  }

 private:
  static Result<> MayFail(int64_t* left, int error) {
    if (*left < 0) {
      return {};
    }
    if (*left == 0) {
      return FailErrno(error, "the test's file fails");
    }
    --*left;
    return {};
  }
};

// What reaches the disk before a flush is over does so in any order, sector by sector, or not at all.
class PowerCutFile final : public MemoryFile {
 public:
  // On disk for certain is what was there at the last flush.
  explicit PowerCutFile(std::vector<std::byte> content) : MemoryFile(std::move(content)), durable_(bytes) {}

  Result<> Flush() override {
    TRY(MemoryFile::Flush());
    durable_ = bytes;
    pending_.clear();
    return {};
  }
  // The disk after a cut right now: of each sector written since the last flush, one of the contents it had.
  std::vector<std::byte> Cut(std::mt19937& random) const {
    std::vector<std::byte> disk = durable_;
    for (const auto& [sector, contents] : pending_) {
      const size_t pick = random() % (contents.size() + 1);
      if (pick == 0) {
        continue;
      }
      const std::vector<std::byte>& content = contents[pick - 1];
      if (sector * kSector + content.size() > disk.size()) {
        disk.resize(sector * kSector + content.size());
      }
      std::copy(content.begin(), content.end(), disk.begin() + static_cast<std::ptrdiff_t>(sector * kSector));
    }
    return disk;
  }
  // The disk after the process was killed right now: everything written is there.
  std::vector<std::byte> Kill() const { return bytes; }

  std::function<void()> on_write;  // after each write, which is pending then

 protected:
  void Put(uint64_t offset, std::span<const std::byte> data) override {
    MemoryFile::Put(offset, data);
    for (uint64_t sector = offset / kSector; sector * kSector < offset + data.size(); ++sector) {
      const auto begin = static_cast<std::ptrdiff_t>(sector * kSector);
      const auto end = static_cast<std::ptrdiff_t>(std::min<uint64_t>((sector + 1) * kSector, bytes.size()));
      pending_[sector].emplace_back(bytes.begin() + begin, bytes.begin() + end);
    }
    if (on_write) {
      on_write();
    }
  }

 private:
  static constexpr uint64_t kSector = 512;
  std::vector<std::byte> durable_;
  std::map<uint64_t, std::vector<std::vector<std::byte>>> pending_;
};

}  // namespace nandu::qcow2
