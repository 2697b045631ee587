#include "devices/display/vga_mmio.h"

#include "devices/display/vga_registers.h"

namespace nandu {
namespace {

constexpr uint64_t kVbeIndex = 0;
constexpr uint64_t kVbeData = 1;
constexpr uint64_t kVbeDataAligned = 2;

constexpr uint64_t kEdidEnd = 0x180;  // three blocks have room; what lies after is not there
constexpr uint64_t kVgaAt = 0x400;
constexpr uint64_t kVgaBytes = 0x20;
constexpr unsigned kVgaFirstPort = 0x3c0;
constexpr uint64_t kDispiAt = 0x500;
constexpr uint64_t kDispiBytes = 2 * vbe::kRegisters;
constexpr uint64_t kDispiReadable = kDispiBytes + 2;  // QEMU's window is a register longer
constexpr uint64_t kExtendedAt = 0x600;
constexpr uint64_t kExtendedBytes = 8;
constexpr uint64_t kByteOrder = 4;
constexpr uint32_t kBigEndian = 0xbebebebe;
constexpr uint32_t kLittleEndian = 0x1e1e1e1e;

uint64_t Ones(unsigned size) { return size >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * size)) - 1; }

bool Within(uint64_t offset, unsigned size, uint64_t at, uint64_t bytes) {
  return offset >= at && offset + size <= at + bytes;
}

}  // namespace

uint64_t VgaPorts::Read(uint64_t offset, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= uint64_t{core_->ReadPort(vga::kFirstPort + static_cast<unsigned>(offset) + i)} << (8 * i);
  }
  return value;
}

ExitDone VgaPorts::Write(uint64_t offset, unsigned size, uint64_t value) {
  for (unsigned i = 0; i < size; i++) {
    core_->WritePort(vga::kFirstPort + static_cast<unsigned>(offset) + i,
                     static_cast<uint8_t>(value >> (8 * i)));
  }
  return ExitDone::Done();
}

uint64_t VbePorts::Read(uint64_t offset, unsigned size) {
  if (size == 2 && offset == kVbeIndex) {
    return core_->vbe_index();
  }
  if (size == 2 && (offset == kVbeData || offset == kVbeDataAligned)) {
    return core_->ReadVbeData();
  }
  ignored_.Add();
  return Ones(size);
}

ExitDone VbePorts::Write(uint64_t offset, unsigned size, uint64_t value) {
  if (size == 2 && offset == kVbeIndex) {
    core_->SetVbeIndex(static_cast<uint16_t>(value));
  } else if (size == 2 && (offset == kVbeData || offset == kVbeDataAligned)) {
    core_->WriteVbeData(static_cast<uint16_t>(value));
  } else {
    ignored_.Add();
  }
  return ExitDone::Done();
}

uint64_t VgaMmio::Read(uint64_t offset, unsigned size) {
  if (Within(offset, size, 0, kEdidEnd) && !edid_.empty()) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
      value |= offset + i < edid_.size() ? uint64_t{edid_[offset + i]} << (8 * i) : 0;
    }
    return value;
  }
  if (Within(offset, size, kVgaAt, kVgaBytes) && size <= 2) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
      value |= uint64_t{core_->ReadPort(kVgaFirstPort + static_cast<unsigned>(offset - kVgaAt) + i)}
               << (8 * i);
    }
    return value;
  }
  if (Within(offset, size, kDispiAt, kDispiReadable) && size == 2 && offset % 2 == 0) {
    return core_->ReadVbeRegister(static_cast<unsigned>(offset - kDispiAt) / 2);
  }
  if (extended_ && Within(offset, size, kExtendedAt, kExtendedBytes) && size == 4 && offset % 4 == 0) {
    if (offset == kExtendedAt) {
      return kExtendedBytes;
    }
    return core_->big_endian() ? kBigEndian : kLittleEndian;
  }
  ignored_.Add();
  return Ones(size);
}

ExitDone VgaMmio::Write(uint64_t offset, unsigned size, uint64_t value) {
  if (Within(offset, size, kVgaAt, kVgaBytes) && size <= 2) {
    // A word is an index and its data.
    for (unsigned i = 0; i < size; i++) {
      core_->WritePort(kVgaFirstPort + static_cast<unsigned>(offset - kVgaAt) + i,
                       static_cast<uint8_t>(value >> (8 * i)));
    }
  } else if (Within(offset, size, kDispiAt, kDispiBytes) && size == 2 && offset % 2 == 0) {
    core_->WriteVbeRegister(static_cast<unsigned>(offset - kDispiAt) / 2, static_cast<uint16_t>(value));
  } else if (extended_ && offset == kExtendedAt + kByteOrder && size == 4 &&
             (value == kBigEndian || value == kLittleEndian)) {
    core_->SetBigEndian(value == kBigEndian);
  } else {
    ignored_.Add();
  }
  return ExitDone::Done();
}

}  // namespace nandu
