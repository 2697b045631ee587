// A file node's open file as the format library sees it: blocking calls on workers. With O_DIRECT everything
// goes through an aligned buffer, and blocks written in part are read first. One thread at a time; channels
// of the same file may work on other blocks meanwhile.
#pragma once

#include <memory>

#include "block/file_backend.h"
#include "block/qcow2/image_file.h"

namespace nandu::qcow2 {

class BackendFile final : public ImageFile {
 public:
  explicit BackendFile(std::shared_ptr<FileBackend> file)
      : file_(std::move(file)) {}  // then Refresh, unless it only reads

  uint64_t size() const override { return size_bytes_; }
  Result<> Readv(uint64_t offset, std::span<const iovec> into) override;
  Result<> Writev(uint64_t offset, std::span<const iovec> from) override;
  Result<> WriteZeroes(uint64_t offset, uint64_t bytes) override;
  Result<> Discard(uint64_t offset, uint64_t bytes) override;
  Result<> Flush() override;
  Result<> Truncate(uint64_t bytes) override;
  bool grows() const override { return !file_->block_device; }
  Result<> Refresh();  // the length, after another program may have changed it

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::byte* Buffer();
  Result<> ReadPlain(uint64_t offset, std::span<const iovec> into);
  Result<> WritePlain(uint64_t offset, std::span<const iovec> from);
  Result<> ReadAligned(uint64_t offset, std::span<const iovec> into);
  Result<> WriteAligned(uint64_t offset, std::span<const iovec> from);
  void Grown(uint64_t end);

  const std::shared_ptr<FileBackend> file_;
  uint64_t size_bytes_ = 0;  // the file's own length; the backend shows whole sectors
  std::unique_ptr<std::byte, Free> buffer_;
};

}  // namespace nandu::qcow2
