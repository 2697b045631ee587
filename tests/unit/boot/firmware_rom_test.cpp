#include "boot/firmware_rom.h"

#include <gtest/gtest.h>

#include "boot/kernel_images.h"

namespace nandu {
namespace {

std::string Rom(size_t size) {
  std::string bytes(size, '\x90');
  bytes[size - 16] = 'R';  // reset vector
  bytes[size - 128 * 1024 % size] = 'L';
  return bytes;
}

TEST(FirmwareRom, EndsAtFourGiBAndIsSeenBelowOneMiB) {
  AddressSpace memory("memory", UINT64_MAX);
  const FirmwareRom rom = FirmwareRom::Open(FileOf(Rom(256 * 1024), "bios.bin")).value();
  const auto mappings = rom.Map(memory).value();
  EXPECT_EQ(memory.Read(0xfffffff0, 1), uint64_t{'R'});
  EXPECT_EQ(memory.Read(0xffff0, 1), uint64_t{'R'});
  EXPECT_EQ(memory.Read(0xe0000, 1), uint64_t{'L'});
  EXPECT_EQ(memory.Read(0xfffe0000, 1), uint64_t{'L'});
  EXPECT_EQ(memory.Read(0xfffc0000, 1), 0x90u);
}

TEST(FirmwareRom, SmallRomFillsOnlyItsShareBelowOneMiB) {
  AddressSpace memory("memory", UINT64_MAX);
  const auto mappings = FirmwareRom::Open(FileOf(Rom(64 * 1024), "bios.bin")).value().Map(memory).value();
  EXPECT_EQ(memory.Read(0xffff0, 1), uint64_t{'R'});
  EXPECT_EQ(memory.Read(0xe0000, 1), 0xffu);
}

TEST(FirmwareRom, GuestCannotWriteToIt) {
  AddressSpace memory("memory", UINT64_MAX);
  const auto mappings = FirmwareRom::Open(FileOf(Rom(64 * 1024), "bios.bin")).value().Map(memory).value();
  EXPECT_EQ(memory.Write(0xfffffff0, 1, 0).token(), nullptr);
  EXPECT_EQ(memory.Read(0xfffffff0, 1), uint64_t{'R'});
}

TEST(FirmwareRom, StartsAtTheResetVector) {
  EXPECT_EQ(FirmwareRom::Open(FileOf(Rom(64 * 1024), "bios.bin"))->entry().mode, CpuEntry::Mode::kReset);
}

TEST(FirmwareRom, OddSizeIsASentence) {
  EXPECT_EQ(FirmwareRom::Open(FileOf(std::string(1000, 'x'), "bios.bin")).error().message,
            "bios.bin: has 1000 bytes; a firmware image must have a multiple of 64 KiB, 16 MiB at most");
}

TEST(FirmwareRom, EmptyFileIsASentence) { EXPECT_FALSE(FirmwareRom::Open(FileOf("", "bios.bin"))); }

}  // namespace
}  // namespace nandu
