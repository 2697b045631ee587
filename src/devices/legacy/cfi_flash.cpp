#include "devices/legacy/cfi_flash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace nandu {

namespace {

// 28F640J3, table 15.
constexpr uint8_t kReadArray = 0xff;
constexpr uint8_t kReadIdentity = 0x90;
constexpr uint8_t kReadQuery = 0x98;
constexpr uint8_t kReadStatus = 0x70;
constexpr uint8_t kClearStatus = 0x50;
constexpr uint8_t kWriteToBuffer = 0xe8;
constexpr uint8_t kProgram = 0x40;
constexpr uint8_t kProgramAlternate = 0x10;
constexpr uint8_t kBlockErase = 0x20;
constexpr uint8_t kBlockLock = 0x60;
constexpr uint8_t kConfirm = 0xd0;
constexpr uint8_t kLockBlock = 0x01;

// Table 17.
constexpr uint8_t kReady = 0x80;
constexpr uint8_t kEraseError = 0x20;
constexpr uint8_t kProgramError = 0x10;

// JESD68.01, table 1, with the offsets of an eight-bit device.
class QueryTable {
 public:
  explicit QueryTable(uint64_t chip_bytes) {
    constexpr uint16_t kIntelExtended = 0x0001;
    constexpr uint16_t kPrimaryTable = 0x31;
    Text(0x10, "QRY");
    Put(0x13, kIntelExtended, 2);
    Put(0x15, kPrimaryTable, 2);
    Put(0x1b, 0x45, 1);  // volts, BCD: 4.5 to 5.5
    Put(0x1c, 0x55, 1);
    Put(0x1f, 7, 1);  // typical times, powers of two: 128 us a byte, 128 us a buffer, 1 s a block
    Put(0x20, 7, 1);
    Put(0x21, 10, 1);
    Put(0x23, 4, 1);  // at most sixteen times as long
    Put(0x24, 4, 1);
    Put(0x25, 4, 1);
    Put(0x27, static_cast<unsigned>(std::countr_zero(std::bit_ceil(chip_bytes))), 1);
    Put(0x28, 2, 2);  // eight and sixteen bits wide
    Put(0x2a, static_cast<unsigned>(std::countr_zero(CfiFlash::kBufferBytes)), 2);
    Put(0x2c, 1, 1);  // one kind of blocks:
    Put(0x2d, chip_bytes / CfiFlash::kBlockBytes - 1, 2);
    Put(0x2f, CfiFlash::kBlockBytes / 256, 2);
    Text(kPrimaryTable, "PRI10");
  }
  uint8_t At(uint64_t offset) const { return offset < bytes_.size() ? bytes_.at(offset) : 0; }

 private:
  void Put(size_t at, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
      bytes_.at(at + i) = static_cast<uint8_t>(value >> (8 * i));
    }
  }
  void Text(size_t at, std::string_view text) {
    std::copy(text.begin(), text.end(), bytes_.begin() + static_cast<ptrdiff_t>(at));
  }
  std::array<uint8_t, 0x40> bytes_ = {};
};

}  // namespace

uint64_t CfiFlash::ReadArray(uint64_t offset, unsigned size) const {
  uint64_t value = 0;
  std::memcpy(&value, bytes_.data() + offset, size);
  return value;
}

uint64_t CfiFlash::Read(uint64_t offset, unsigned size) const {
  switch (state_.mode) {
    case CfiMode::kArray: return ReadArray(offset, size);
    case CfiMode::kIdentity: return 0;  // no maker: 0 for everything
    case CfiMode::kQuery: {
      const QueryTable table(bytes_.size());
      uint64_t value = 0;
      for (unsigned i = 0; i < size; i++) {
        value |= uint64_t{table.At(offset + i)} << (8 * i);
      }
      return value;
    }
    default: return state_.status;
  }
}

CfiFlash::Outcome CfiFlash::Write(uint64_t offset, unsigned size, uint64_t value) {
  const auto command = static_cast<uint8_t>(value);
  switch (state_.mode) {
    case CfiMode::kProgram: {
      std::array<std::byte, sizeof(value)> data;
      std::memcpy(data.data(), &value, sizeof(value));
      state_.mode = CfiMode::kStatus;
      return Program(offset, std::span(data).first(size));
    }
    case CfiMode::kErase:
    case CfiMode::kLock:
    case CfiMode::kBufferConfirm: return Confirm(command);
    case CfiMode::kBufferCount:
      state_.buffer.clear();
      state_.buffer_left = static_cast<uint32_t>(value & 0xffff) + 1;
      state_.mode = CfiMode::kBufferData;
      if (state_.buffer_left > kBufferBytes) {
        state_.buffer_left = 0;
        state_.status |= kProgramError;
        state_.mode = CfiMode::kStatus;
      }
      return {};
    case CfiMode::kBufferData: return TakeBuffer(offset, size, value);
    default: return Command(offset, command);
  }
}

CfiFlash::Outcome CfiFlash::Command(uint64_t offset, uint8_t command) {
  switch (command) {
    case kReadStatus: state_.mode = CfiMode::kStatus; break;
    case kReadIdentity: state_.mode = CfiMode::kIdentity; break;
    case kReadQuery: state_.mode = CfiMode::kQuery; break;
    case kProgram:
    case kProgramAlternate: state_.mode = CfiMode::kProgram; break;
    case kBlockErase:
      state_.mode = CfiMode::kErase;
      state_.erase_block = static_cast<uint32_t>(offset / kBlockBytes);
      break;
    case kBlockLock: state_.mode = CfiMode::kLock; break;
    case kWriteToBuffer:
      state_.mode = CfiMode::kBufferCount;
      state_.status |= kReady;
      break;
    case kClearStatus:
      // All of it, "ready" too: OVMF knows a flash by that, since QEMU's does so.
      state_.status = 0;
      state_.mode = CfiMode::kArray;
      break;
    case kReadArray:
    default:  // a command of another set, or none: memory again
      state_.mode = CfiMode::kArray;
      return {.changed = std::nullopt, .settled = true};
  }
  return {};
}

CfiFlash::Outcome CfiFlash::Confirm(uint8_t command) {
  const CfiMode mode = state_.mode;
  if (command == kReadArray) {
    state_.mode = CfiMode::kArray;
    return {};
  }
  state_.mode = CfiMode::kStatus;
  if (mode == CfiMode::kLock && (command == kConfirm || command == kLockBlock)) {
    state_.status |= kReady;  // nothing can be locked
    return {};
  }
  if (command != kConfirm) {
    state_.status |= kReady | kEraseError | kProgramError;  // 28F640J3, 9.4: a wrong sequence of commands
    return {};
  }
  if (mode == CfiMode::kBufferConfirm) {
    Outcome outcome = Program(state_.buffer_offset, state_.buffer);
    state_.buffer.clear();
    outcome.settled = true;
    return outcome;
  }
  state_.status |= kReady;
  if (writes_ == Writes::kRefused) {
    state_.status |= kEraseError;
    return {};
  }
  const uint64_t offset = uint64_t{state_.erase_block} * kBlockBytes;
  std::memset(bytes_.data() + offset, 0xff, kBlockBytes);
  return {.changed = Range{offset, kBlockBytes}, .settled = true};
}

CfiFlash::Outcome CfiFlash::Program(uint64_t offset, std::span<const std::byte> data) {
  state_.status |= kReady;
  if (writes_ == Writes::kRefused) {
    state_.status |= kProgramError;
    return {};
  }
  // As QEMU's: ones come back without an erasure too.
  std::copy(data.begin(), data.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
  return {.changed = Range{offset, data.size()}, .settled = false};
}

// Bytes in order from the first one's address on, all within one block of the buffer's size.
CfiFlash::Outcome CfiFlash::TakeBuffer(uint64_t offset, unsigned size, uint64_t value) {
  if (state_.buffer.empty()) {
    state_.buffer_offset = offset;
  }
  const bool in_order = offset == state_.buffer_offset + state_.buffer.size() &&
                        (offset + size - 1) / kBufferBytes == state_.buffer_offset / kBufferBytes;
  if (!in_order || size > state_.buffer_left) {
    state_.status |= kReady | kProgramError;
    state_.mode = CfiMode::kStatus;
    return {};
  }
  for (unsigned i = 0; i < size; i++) {
    state_.buffer.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  state_.buffer_left -= size;
  if (state_.buffer_left == 0) {
    state_.mode = CfiMode::kBufferConfirm;
  }
  return {};
}

Result<> CfiFlash::Load(const CfiFlashState& state) {
  const bool buffer_fits = state.buffer.empty()
                               ? state.buffer_offset < bytes_.size()
                               : state.buffer.size() <= kBufferBytes && state.buffer_offset < bytes_.size() &&
                                     state.buffer.size() <= bytes_.size() - state.buffer_offset;
  if (!buffer_fits || state.buffer_left > kBufferBytes || state.erase_block >= bytes_.size() / kBlockBytes) {
    return Fail(Errc::kCorrupt, "the flash's state does not fit its {} bytes", bytes_.size());
  }
  state_ = state;
  return {};
}

}  // namespace nandu
