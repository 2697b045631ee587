#include "boot/smbios.h"

#include <gtest/gtest.h>
#include <string>

#include "boot/layout.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

using Bytes = std::vector<uint8_t>;

SmbiosInput TwoCores() {
  SmbiosInput input;
  input.memory = {.low_ram_bytes = 256 << 20};
  input.uuid = {0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78,
                0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78};
  input.cores_per_socket = 2;
  input.cpuid_signature = 0x60fb1;
  input.cpuid_features = 0x078bfbfd;
  return input;
}

std::string Hex(const Bytes& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

// The formatted area of the n-th structure of a type.
std::string Structure(const SmbiosInput& input, uint8_t type, unsigned n = 0) {
  const Bytes all = SmbiosTables::Build(input).value().structures();
  size_t at = 0;
  while (at < all.size()) {
    const size_t end = at + all[at + 1];
    if (all[at] == type && n-- == 0) {
      return Hex(Bytes(all.begin() + static_cast<std::ptrdiff_t>(at),
                       all.begin() + static_cast<std::ptrdiff_t>(end)));
    }
    at = end;
    while (all[at] != 0 || all[at + 1] != 0) {
      at++;
    }
    at += 2;
  }
  return "";
}

unsigned Sum(const Bytes& bytes, size_t from = 0) {
  unsigned sum = 0;
  for (size_t i = from; i < bytes.size(); i++) {
    sum += bytes[i];
  }
  return sum & 0xff;
}

// The expected bytes were read from a guest of QEMU 7.2 (-M q35 -m 256 -smp 2 -uuid
// 12345678-1234-5678-9abc-def012345678).
TEST(Smbios, BiosIsSeaBiossBytes) {
  EXPECT_EQ(Structure(TwoCores(), 0), "00180000010200e80300080000000000000000040000ffff");
}
TEST(Smbios, SystemIsQemus) {
  EXPECT_EQ(Structure(TwoCores(), 1), "011b00010102030078563412341278569abcdef012345678060000");
}
TEST(Smbios, ChassisIsQemus) {
  EXPECT_EQ(Structure(TwoCores(), 3), "03160003010102000003030302000000000000000000");
}
TEST(Smbios, ProcessorIsQemus) {
  EXPECT_EQ(Structure(TwoCores(), 4),
            "042a000401030102b10f0600fdfb8b0703000000d007d0074101ffffffffffff00000002020202000100");
}
TEST(Smbios, MemoryArrayIsQemus) {
  EXPECT_EQ(Structure(TwoCores(), 16), "1017001001030600000400feff01000000000000000000");
}
TEST(Smbios, MemoryModuleIsQemus) {
  EXPECT_EQ(Structure(TwoCores(), 17),
            "112800110010feffffffffff00010900010007020000000200000000000000000000000000000000");
}
TEST(Smbios, MemoryRangeIsQemus) {
  EXPECT_EQ(Structure(TwoCores(), 19), "131f001300000000ffff030000100100000000000000000000000000000000");
}
TEST(Smbios, BootInformationIsQemus) { EXPECT_EQ(Structure(TwoCores(), 32), "200b002000000000000000"); }
TEST(Smbios, EndIsThere) { EXPECT_EQ(Structure(TwoCores(), 127), "7f04007f"); }

TEST(Smbios, StringsFollowTheSystemStructure) {
  const Bytes all = SmbiosTables::Build(TwoCores()).value().structures();
  const std::string text(all.begin(), all.end());
  EXPECT_NE(text.find(std::string("QEMU\0Standard PC (Q35 + ICH9, 2009)\0pc-q35-7.2\0\0", 48)),
            std::string::npos);
}

TEST(Smbios, EachSocketHasItsProcessor) {
  SmbiosInput input = TwoCores();
  input.sockets = 2;
  EXPECT_EQ(Structure(input, 4, 1).substr(0, 8), "042a0104");
  EXPECT_EQ(Structure(input, 4, 2), "");
}

TEST(Smbios, LargeMemoryIsSplitIntoModulesAndRanges) {
  SmbiosInput input = TwoCores();
  input.memory = {.low_ram_bytes = 0x80000000, .high_ram_bytes = uint64_t{38} << 30};  // 40 GiB
  EXPECT_EQ(Structure(input, 17, 2).substr(24, 4), "0020");  // the last module: 8 GiB
  EXPECT_EQ(Structure(input, 19, 1).substr(8, 8), "00004000");
}

TEST(Smbios, EntryPointOf28AddsUpToZero) {
  const SmbiosTables tables = SmbiosTables::Build(TwoCores()).value();
  EXPECT_EQ(tables.entry().size(), 31u);
  EXPECT_EQ(Sum(tables.entry()), 0u);
  EXPECT_EQ(Sum(tables.entry(), 16), 0u);
  EXPECT_EQ(Hex(tables.entry()).substr(32, 10), "5f444d495f");
}

TEST(Smbios, EntryPointOf30AddsUpToZeroAndProcessorsCountWide) {
  SmbiosInput input = TwoCores();
  input.entry_point = SmbiosEntryPoint::k30;
  const SmbiosTables tables = SmbiosTables::Build(input).value();
  EXPECT_EQ(tables.entry().size(), 24u);
  EXPECT_EQ(Sum(tables.entry()), 0u);
  EXPECT_EQ(Structure(input, 4).substr(84), "020002000200");
}

TEST(Smbios, TooManySocketsAreASentence) {
  SmbiosInput input = TwoCores();
  input.sockets = 2000;
  EXPECT_FALSE(SmbiosTables::Build(input));
}

TEST(Smbios, WrittenWhereTheBiosAreaIs) {
  const auto memory = TestMemory(1 << 20);
  ASSERT_TRUE(SmbiosTables::Build(TwoCores()).value().Write(*memory));
  std::array<char, 4> anchor = {};
  ASSERT_TRUE(memory->Load(Gpa{layout::kSmbiosEntry}, &anchor));
  EXPECT_EQ(std::string(anchor.data(), 4), "_SM_");
}

// What QEMU 7.2 gave for -smbios (its etc/smbios/smbios-tables), formatted area and strings.
std::string Whole(const SmbiosInput& input, uint8_t type) {
  const Bytes all = SmbiosTables::Build(input).value().structures();
  for (size_t at = 0; at < all.size();) {
    size_t end = at + all[at + 1];
    const std::string formatted = Hex(
        Bytes(all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(end)));
    std::string strings;
    while (all[end] != 0 || all[end + 1] != 0) {
      strings += all[end] == 0 ? ' ' : static_cast<char>(all[end]);
      end++;
    }
    if (all[at] == type) {
      return formatted + " " + strings;
    }
    at = end + 2;
  }
  return "absent";
}

TEST(Smbios, FieldsAreQemus) {
  SmbiosInput input = TwoCores();
  SmbiosOptions& given = input.options;
  given.bios = SmbiosBios{.vendor = "V", .version = "W", .date = "D", .release = "3.4", .uefi = true};
  given.system = {
      .manufacturer = "M", .product = "P", .version = "V", .serial = "S", .sku = "K", .family = "F"};
  given.board = {
      .manufacturer = "m", .product = "p", .version = "v", .serial = "s", .asset = "a", .location = "l"};
  given.chassis = {.manufacturer = "m", .version = "v", .serial = "s", .asset = "a", .sku = "k"};
  given.memory_module = {"x", "b", "m", "s", "a", "p", 3200};
  given.oem_strings = {"one", "two", "three"};
  EXPECT_EQ(Whole(input, 0), "00180000010200e803000800000000000000001c0304ffff V W D");
  EXPECT_EQ(Whole(input, 1), "011b00010102030478563412341278569abcdef012345678060506 M P V S K F");
  EXPECT_EQ(Whole(input, 2), "020f00020102030405010600030a00 m p v s a l");
  EXPECT_EQ(Whole(input, 3), "03160003010102030403030302000000000000000005 m v s a k");
  EXPECT_EQ(Whole(input, 11), "0b05000e03 one two three");
  EXPECT_EQ(Whole(input, 17),
            "112800110010feffffffffff000109000102070200800c030405060000000000800c000000000000 x 0 b m s a p");
}

TEST(Smbios, ProcessorFieldsAreQemus) {
  SmbiosInput input = TwoCores();
  input.cores_per_socket = 1;
  input.options.processor = {"x", "m", "v", "s", "a", "p", 3000, 2500, 0x1122334455667788};
  EXPECT_EQ(
      Whole(input, 4),
      "042a000401030102887766554433221103000000b80bc4094101ffffffffffff04050601010102000100 x 0 m v s a p");
}

TEST(Smbios, WhatIsLeftOutHasQemusDefaults) {
  SmbiosInput input = TwoCores();
  EXPECT_EQ(Whole(input, 2), "absent");
  EXPECT_EQ(Whole(input, 11), "absent");
  input.options.bios.emplace().version = "1.0";
  input.options.board.emplace().product = "BP";
  input.options.board->location = "LL";
  input.options.system.manufacturer = "";
  input.uuid = {};
  EXPECT_EQ(Whole(input, 0), "00180000000100e80000080000000000000000140000ffff 1.0");
  EXPECT_EQ(
      Whole(input, 1),
      "011b00010001020000000000000000000000000000000000060000 Standard PC (Q35 + ICH9, 2009) pc-q35-7.2");
  EXPECT_EQ(Whole(input, 2), "020f00020102030000010400030a00 QEMU BP pc-q35-7.2 LL");
}

TEST(Smbios, PortsAreQemus) {
  SmbiosInput input = TwoCores();
  EXPECT_EQ(Whole(input, 8), "absent");
  input.options.ports = {{"IR", "ER", 5, 9}};
  EXPECT_EQ(Whole(input, 8), "080900000100020509 IR ER");
  input.options.ports.push_back({std::nullopt, "X", 0, 0});
  EXPECT_EQ(Structure(input, 8, 1), "080901000000010000");
}

TEST(Smbios, OnboardDevicesAreQemus) {
  SmbiosInput input = TwoCores();
  input.root_functions["r"] = 8;
  input.options.onboard = {{"Onboard LAN", SmbiosOnboardKind::kEthernet, 3, "r"},
                           {"x", SmbiosOnboardKind::kOther, 1, std::nullopt},
                           {std::nullopt, SmbiosOnboardKind::kVideo, 2, std::nullopt},
                           {"x", SmbiosOnboardKind::kSas, 7, std::nullopt}};
  EXPECT_EQ(Whole(input, 41), "290b002901850300000008 Onboard LAN");
  EXPECT_EQ(Structure(input, 41, 1), "290b012901810100000000");
  EXPECT_EQ(Structure(input, 41, 2), "290b022900830200000000");
  EXPECT_EQ(Structure(input, 41, 3), "290b0329018a0700000000");
  input.root_functions.clear();
  EXPECT_FALSE(SmbiosTables::Build(input).has_value());
}

TEST(Smbios, WholeStructureReplacesTheBoardsOfItsType) {
  SmbiosInput input = TwoCores();
  input.options.structures = {{3, 5, 0x77, 0x77, 1, 'x', 0, 0}};
  EXPECT_TRUE(CheckSmbiosStructure(input.options.structures[0]).has_value());
  EXPECT_EQ(Whole(input, 3), "0305777701 x");
  EXPECT_EQ(Structure(input, 3, 1), "");
  EXPECT_EQ(SmbiosTables::Build(input).value().structures()[0], 3);  // it comes first, as QEMU's
}

TEST(Smbios, WhatIsNoStructureIsRefused) {
  for (const Bytes& bytes : std::initializer_list<Bytes>{{},
                                                         {2, 3},
                                                         {2, 3, 0, 0, 0, 0},
                                                         {2, 9, 0, 0, 0, 0},
                                                         {2, 4, 0, 0},
                                                         {2, 4, 0, 0, 'a', 0},
                                                         {2, 4, 0, 0, 0, 0, 2, 4, 0, 0, 0, 0}}) {
    EXPECT_FALSE(CheckSmbiosStructure(bytes).has_value()) << Hex(bytes);
  }
}

TEST(Smbios, ReleaseIsTwoBytes) {
  EXPECT_EQ(SmbiosRelease("3.4").value(), (std::pair<uint8_t, uint8_t>(3, 4)));
  for (const char* text : {"", "3", "3.", ".4", "300.1", "1.2.3", "x.y"}) {
    EXPECT_FALSE(SmbiosRelease(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace nandu
