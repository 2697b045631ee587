// What targets that load kernels share: files of a fuzzer's bytes, and a guest's memory to load them into.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.h"
#include "memory/guest_memory.h"
#include "memory/ram_block.h"

namespace nandu {

inline constexpr uint64_t kKernelRam = 32 << 20;

inline UniqueFd FileOf(std::span<const uint8_t> bytes) {
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  return ::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) ? std::move(fd)
                                                                                             : UniqueFd();
}

inline const GuestMemory& KernelMemory() {
  static const auto memory = std::make_unique<GuestMemory>(std::vector<RamRange>{
      {0, kKernelRam, RamBlock::CreateAnonymous("ram", kKernelRam, RamBlock::Options{}).value(), 0, false}});
  return *memory;
}

}  // namespace nandu
