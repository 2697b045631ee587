// One host mapping that backs guest RAM or ROM. Unmapped when the last user lets go: the flat views, and the requests that pin them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace nandu {

class RamBlock {
 public:
  struct Options {
    bool huge_pages = true;   // MADV_HUGEPAGE, as QEMU's memory-backend-ram
    bool mergeable = true;    // MADV_MERGEABLE (mem-merge)
    bool in_core_dump = true; // dump-guest-core
  };
  // Private anonymous memory, sparse until touched. `size` in bytes, a multiple of the page size.
  static Result<std::shared_ptr<RamBlock>> CreateAnonymous(std::string name, uint64_t size, const Options& options);

  ~RamBlock();
  RamBlock(const RamBlock&) = delete;
  RamBlock& operator=(const RamBlock&) = delete;

  const std::string& name() const { return name_; }  // "pc.ram", "pc.bios": the id of its migration section
  std::byte* host() const { return host_; }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {host_, size_}; }

 private:
  RamBlock(std::string name, std::byte* host, uint64_t size);
  const std::string name_;
  std::byte* const host_;
  const uint64_t size_;
};

}  // namespace nandu
