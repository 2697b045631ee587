// Items and files of fw_cfg: bytes that QEMU 7.2 gives for the same board.
#include "boot/fw_cfg_data.h"

#include <gtest/gtest.h>

#include "boot/kernel_images.h"
#include "boot/linux_items.h"
#include "boot/smbios.h"

namespace nandu {
namespace {

using Bytes = std::vector<uint8_t>;

std::string Hex(const Bytes& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += Format("{:02x}", byte);
  }
  return text;
}

TEST(FwCfgData, E820IsQemus) {
  EXPECT_EQ(Hex(E820File({.low_ram_bytes = 0x10000000, .hypertransport_hole = true})),
            "00c0fffe00000000004000000000000002000000"
            "00000000fd000000000000000300000002000000"
            "0000000000000000000000100000000001000000");
  EXPECT_EQ(E820File({.low_ram_bytes = 0x80000000, .high_ram_bytes = 0x80000000}).size(), 60u);
}

TEST(FwCfgData, SystemStatesAreQemus) {
  EXPECT_EQ(Hex(SystemStatesFile(true, true)), "800000818280");
  EXPECT_EQ(Hex(SystemStatesFile(false, false)), "800000010280");
}

TEST(FwCfgData, HpetIsQemus) {
  EXPECT_EQ(Hex(HpetItem(true)).substr(0, 32), "0101a286800000d0fe00000000000000");
  EXPECT_EQ(HpetItem(false), Bytes(121, 0));
}

TEST(FwCfgData, NumaNamesTheNodeOfEveryApicIdAndItsMemory) {
  AcpiInput input;
  input.apic_ids = {0, 2};
  input.numa.node_bytes = {64, 32};
  input.numa.node_of_cpu = {0, 1};
  EXPECT_EQ(Hex(NumaItem(input, 3)),
            "0200000000000000"
            "000000000000000000000000000000000100000000000000"
            "40000000000000002000000000000000");
}

TEST(FwCfgData, BootOrderIsLinesAndAZero) {
  EXPECT_TRUE(BootOrderFile({}, true).empty());
  const Bytes file = BootOrderFile({"/a", "/b"}, true);
  EXPECT_EQ(std::string(file.begin(), file.end()), std::string("/a\n/b\nHALT\0", 11));
}

TEST(FwCfgData, FirmwareFillsInWhereSmbiosLies) {
  SmbiosInput input;
  input.memory = {.low_ram_bytes = 0x10000000};
  const SmbiosTables tables = SmbiosTables::BuildForFirmware(input).value();
  EXPECT_EQ(Hex(tables.entry()).substr(0, 22), "5f534d5f001f02084b0000");
  EXPECT_EQ(Hex(tables.entry()).substr(32), "5f444d495f00350100000000080028");
  EXPECT_EQ(tables.structures().at(0), 1);  // none about the BIOS
  EXPECT_EQ(tables.structures().size(), 309u);
}

TEST(LinuxItems, TheHeaderSaysWhereEverythingGoes) {
  const MemoryLayout memory{.low_ram_bytes = 64 << 20};
  const LinuxItems items =
      LinuxItems::Make(FileOf(TestKernel().Bytes()), FileOf(std::string(5000, 'i'), "initrd"), "a=b", memory)
          .value();
  EXPECT_EQ(items.setup.size(), 4u * 512);
  EXPECT_EQ(items.kernel_offset, 4u * 512);
  EXPECT_EQ(items.kernel_bytes, 0x2000u);
  EXPECT_EQ(items.initrd_address, 0x3fd6000u);  // below what firmware keeps of 64 MiB
  EXPECT_EQ(Hex(items.command_line), "613d6200");
  const auto field = [&items](size_t at) {
    return Hex({items.setup.begin() + static_cast<ptrdiff_t>(at),
                items.setup.begin() + static_cast<ptrdiff_t>(at) + 4});
  };
  EXPECT_EQ(field(0x218), "0060fd03");
  EXPECT_EQ(field(0x21c), "88130000");
  EXPECT_EQ(field(0x228), "00000200");
  EXPECT_EQ(Hex({items.setup.at(0x210)}), "b0");
}

TEST(LinuxItems, AnInitrdThatDoesNotFitIsASentence) {
  const MemoryLayout memory{.low_ram_bytes = 1 << 20};
  const auto items =
      LinuxItems::Make(FileOf(TestKernel().Bytes()), FileOf(std::string(1 << 20, 'i'), "initrd"), "", memory);
  ASSERT_FALSE(items);
  EXPECT_NE(items.error().message.find("does not fit"), std::string::npos);
}

TEST(LinuxItems, WhatIsNoBzImageIsRefused) {
  const MemoryLayout memory{.low_ram_bytes = 64 << 20};
  EXPECT_FALSE(LinuxItems::Make(FileOf(std::string(100, 'x'), "k"), std::nullopt, "", memory));
  EXPECT_FALSE(LinuxItems::Make(FileOf(std::string(4096, 'x'), "k"), std::nullopt, "", memory));
}

}  // namespace
}  // namespace nandu
