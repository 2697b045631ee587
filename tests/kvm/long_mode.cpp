#include "long_mode.h"

#include <cstring>

#include "base/check.h"

namespace nandu {
namespace {

constexpr uint64_t kGdt = 0x500;
constexpr uint64_t kIdtPointer = 0x5f0;
constexpr uint64_t kIdt = 0x6000;
constexpr uint64_t kPml4 = 0x1000;
constexpr uint64_t kPageDirectoryPointers = 0x2000;
constexpr uint64_t kPageDirectories = 0xa000;  // four pages, one a GiB

constexpr uint64_t kPresentWrite = 3;
constexpr uint64_t kLargePage = 1U << 7;
constexpr uint64_t kCode64Descriptor = 0x00af9b000000ffff;
constexpr uint64_t kData64Descriptor = 0x00cf93000000ffff;

void Put(std::span<std::byte> ram, uint64_t address, std::span<const char> bytes) {
  NANDU_CHECK(address <= ram.size() && bytes.size() <= ram.size() - address,
              "a test writes within its guest's RAM");
  std::memcpy(ram.data() + address, bytes.data(), bytes.size());
}

template <class T>
void Store(std::span<std::byte> ram, uint64_t address, const T& value) {
  Put(ram, address, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

}  // namespace

BootRegisters PrepareLongMode(std::span<std::byte> ram, uint64_t code_at, uint64_t stack,
                              std::span<const char> code) {
  Store(ram, kGdt + 0x10, kCode64Descriptor);
  Store(ram, kGdt + 0x18, kData64Descriptor);
  Store(ram, kPml4, kPageDirectoryPointers | kPresentWrite);
  for (uint64_t gib = 0; gib < 4; ++gib) {
    const uint64_t directory = kPageDirectories + gib * 0x1000;
    Store(ram, kPageDirectoryPointers + gib * 8, directory | kPresentWrite);
    for (uint64_t i = 0; i < 512; ++i) {
      Store(ram, directory + i * 8, (gib << 30 | i << 21) | kPresentWrite | kLargePage);
    }
  }
  Store(ram, kIdtPointer, uint16_t{0xfff});
  Store(ram, kIdtPointer + 2, kIdt);
  Put(ram, code_at, code);
  BootRegisters boot;
  boot.mode = BootRegisters::Mode::kLong64;
  boot.rip = code_at;
  boot.rsp = stack;
  boot.cr3 = kPml4;
  boot.gdt_base = kGdt;
  boot.gdt_limit = 0x1f;
  return boot;
}

void SetLongModeVector(std::span<std::byte> ram, unsigned vector, uint64_t address) {
  // SDM volume 3, 6.14.1: offset, selector 0x10, present interrupt gate.
  constexpr uint64_t kGate = uint64_t{0x8e00} << 32 | uint64_t{0x10} << 16;
  Store(ram, kIdt + vector * 16, kGate | (address & 0xffff) | (address >> 16 & 0xffff) << 48);
  Store(ram, kIdt + vector * 16 + 8, address >> 32);
}

}  // namespace nandu
