// A NOR flash chip with Intel's command set: what a guest's writes do, and what its reads answer while the
// chip is no memory. Bytes are written where they lie; who keeps them is the owner's (Pflash). Common Flash
// Interface, JESD68.01; command set 1: Intel 28F640J3 datasheet, chapters 9 to 11; geometry and
// peculiarities of QEMU 7.2's cfi.pflash01. Under the owner's mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

enum class CfiMode : uint8_t {
  kArray,         // memory; everything else is a mode in which reads answer something else
  kStatus,        // the status register
  kIdentity,      // manufacturer and device
  kQuery,         // the CFI table
  kProgram,       // the next write is a byte's new value
  kErase,         // the next write confirms
  kLock,          // the next write says what is locked
  kBufferCount,   // the next write says how many bytes follow, less one
  kBufferData,    // and these are they
  kBufferConfirm  // and this makes them stay
};
BOOST_DESCRIBE_ENUM(CfiMode, kArray, kStatus, kIdentity, kQuery, kProgram, kErase, kLock, kBufferCount,
                    kBufferData, kBufferConfirm)

struct CfiFlashState {
  CfiMode mode = CfiMode::kArray;
  uint8_t status = 0x80;
  uint32_t erase_block = 0;       // its number, of kErase
  uint32_t buffer_left = 0;       // bytes yet to come
  uint64_t buffer_offset = 0;     // of the first one
  std::vector<std::byte> buffer;  // those that came
};
BOOST_DESCRIBE_STRUCT(CfiFlashState, (), (mode, status, erase_block, buffer_left, buffer_offset, buffer))

class CfiFlash {
 public:
  static constexpr uint32_t kBlockBytes = 4096;
  static constexpr uint32_t kBufferBytes = 2048;
  enum class Writes : uint8_t { kStay, kRefused };

  // `bytes`: the array, a multiple of kBlockBytes.
  CfiFlash(std::span<std::byte> bytes, Writes writes) : bytes_(bytes), writes_(writes) {}

  struct Range {
    uint64_t offset = 0;
    uint64_t bytes = 0;
  };
  // What a write did to the array; none: nothing. `settled`: the command that changed it is over.
  struct Outcome {
    std::optional<Range> changed;
    bool settled = false;
  };
  bool is_memory() const { return state_.mode == CfiMode::kArray; }
  uint64_t Read(uint64_t offset, unsigned size) const;
  Outcome Write(uint64_t offset, unsigned size, uint64_t value);

  void Reset() { state_ = {}; }
  const CfiFlashState& state() const { return state_; }
  Result<> Load(const CfiFlashState& state);

 private:
  Outcome Command(uint64_t offset, uint8_t command);
  Outcome Confirm(uint8_t command);
  Outcome Program(uint64_t offset, std::span<const std::byte> data);
  Outcome TakeBuffer(uint64_t offset, unsigned size, uint64_t value);
  uint64_t ReadArray(uint64_t offset, unsigned size) const;

  const std::span<std::byte> bytes_;
  const Writes writes_;
  CfiFlashState state_;
};

}  // namespace nandu
