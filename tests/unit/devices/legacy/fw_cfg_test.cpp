// fw_cfg as firmware uses it: selecting, reading byte by byte, DMA, files, and what a guest may not do.
#include "devices/legacy/fw_cfg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/legacy/fw_cfg_wire.h"
#include "devices/legacy/legacy_ports.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kRamBytes = 0x100000;
constexpr uint64_t kDescriptor = 0x1000;
constexpr uint64_t kBuffer = 0x2000;

struct FwCfgTest : testing::Test {
  FakeHost host;
  Mapping ram = host.memory.Map(0, Region::Ram(TestRam(kRamBytes), 0, kRamBytes)).value();
  std::unique_ptr<FwCfg> device = FwCfg::Create(host).value();

  void SetUp() override { device->SetItem(fw_cfg::kSignature, {.bytes = {'Q', 'E', 'M', 'U'}}); }
  const GuestMemory& memory() { return *host.memory.view()->memory(); }
  void Select(uint16_t selector) { Out(host, 0x510, selector, 2); }
  std::string Read(size_t bytes) {
    std::string text;
    for (size_t i = 0; i < bytes; i++) {
      text += static_cast<char>(In(host, 0x511));
    }
    return text;
  }
  // Runs a descriptor and answers the control word it ends with.
  uint32_t Dma(uint32_t control, uint32_t length, uint64_t address = kBuffer) {
    const uint32_t head[2] = {__builtin_bswap32(control), __builtin_bswap32(length)};
    EXPECT_TRUE(memory().Store(Gpa{kDescriptor}, head));
    EXPECT_TRUE(memory().Store(Gpa{kDescriptor + 8}, __builtin_bswap64(address)));
    Out(host, 0x514, 0, 4);
    Out(host, 0x518, __builtin_bswap32(static_cast<uint32_t>(kDescriptor)), 4);
    uint32_t outcome = 0;
    EXPECT_TRUE(memory().Load(Gpa{kDescriptor}, &outcome));
    return __builtin_bswap32(outcome);
  }
  std::string Memory(size_t bytes, uint64_t at = kBuffer) {
    std::string text(bytes, '?');
    EXPECT_TRUE(memory().Read(Gpa{at}, text.data(), bytes));
    return text;
  }
  void PutMemory(const std::string& text, uint64_t at = kBuffer) {
    EXPECT_TRUE(memory().Write(Gpa{at}, text.data(), text.size()));
  }
  static constexpr uint32_t Selecting(uint16_t selector, uint32_t what) {
    return uint32_t{selector} << 16 | fw_cfg::kDmaSelect | what;
  }
  Result<> Add(const std::string& name, const std::string& text, bool writable = false) {
    FwCfg::Content content;
    content.bytes = {text.begin(), text.end()};
    content.writable = writable;
    return device->AddFile(name, std::move(content));
  }
};

TEST_F(FwCfgTest, AnItemReadsByteByByteAndThenAsZeroes) {
  Select(fw_cfg::kSignature);
  EXPECT_EQ(Read(6), std::string("QEMU\0\0", 6));
  Select(fw_cfg::kSignature);
  EXPECT_EQ(In(host, 0x510), 'Q');  // both ports answer
  Select(0x3333);
  EXPECT_EQ(Read(2), std::string("\0\0", 2));
}

TEST_F(FwCfgTest, TheDmaPortsSayWhoTheyAre) {
  EXPECT_EQ(host.io.Read(0x514, 4), 0x554d4551u);
  EXPECT_EQ(host.io.Read(0x518, 4), 0x47464320u);
  EXPECT_EQ(In(host, 0x51b), 'G');
}

TEST_F(FwCfgTest, FilesAreNumberedInTheOrderOfTheirNames) {
  ASSERT_TRUE(Add("etc/b", "bb"));
  ASSERT_TRUE(Add("etc/a", "a"));
  EXPECT_THAT(device->files(), ElementsAre("etc/a", "etc/b"));
  Select(fw_cfg::kDirectory);
  EXPECT_EQ(Read(4), std::string("\0\0\0\2", 4));
  const std::string first = Read(64);
  EXPECT_EQ(first.substr(0, 8), std::string("\0\0\0\1\0\x20\0\0", 8));
  EXPECT_EQ(first.substr(8, 6), std::string("etc/a\0", 6));
  EXPECT_EQ(Read(64).substr(0, 8), std::string("\0\0\0\2\0\x21\0\0", 8));
  Select(0x21);
  EXPECT_EQ(Read(2), "bb");
}

TEST_F(FwCfgTest, AFilesNameIsBoundedAndItsOwn) {
  ASSERT_TRUE(Add(std::string(55, 'n'), ""));
  EXPECT_THAT(Add(std::string(56, 'n'), "").error().message, HasSubstr("56 bytes"));
  EXPECT_THAT(Add(std::string(55, 'n'), "").error().message, HasSubstr("already"));
  EXPECT_FALSE(Add("", ""));
}

TEST_F(FwCfgTest, ThereIsRoomForSoManyFilesAndNoMore) {
  for (size_t i = 0; i < FwCfg::kMostFiles; i++) {
    ASSERT_TRUE(Add("opt/" + std::to_string(i), ""));
  }
  EXPECT_THAT(Add("opt/more", "").error().message, HasSubstr("give fewer -fw_cfg"));
}

TEST_F(FwCfgTest, DmaReadsWhatIsSelectedAndZeroesBehindIt) {
  PutMemory(std::string(8, 'x'));
  EXPECT_EQ(Dma(Selecting(fw_cfg::kSignature, fw_cfg::kDmaRead), 6), 0u);
  EXPECT_EQ(Memory(8), std::string("QEMU\0\0xx", 8));
  EXPECT_EQ(Dma(fw_cfg::kDmaRead, 2), 0u);  // goes on behind the end
  EXPECT_EQ(Memory(2), std::string("\0\0", 2));
}

TEST_F(FwCfgTest, DmaSkipsAndGoesOn) {
  EXPECT_EQ(Dma(Selecting(fw_cfg::kSignature, fw_cfg::kDmaSkip), 2), 0u);
  EXPECT_EQ(Dma(fw_cfg::kDmaRead, 2), 0u);
  EXPECT_EQ(Memory(2), "MU");
  EXPECT_EQ(Dma(Selecting(fw_cfg::kSignature, 0), 2), 0u);  // neither: nothing is transferred
  EXPECT_EQ(In(host, 0x511), 'Q');
}

TEST_F(FwCfgTest, DmaWritesWholeFilesThatMayBeWritten) {
  std::vector<uint8_t> told;
  FwCfg::Content content{.bytes = {1, 2}, .writable = true};
  content.written = [&told](const std::vector<uint8_t>& now) { told = now; };
  ASSERT_TRUE(device->AddFile("etc/w", std::move(content)));
  PutMemory("hi!");
  EXPECT_EQ(Dma(Selecting(0x20, fw_cfg::kDmaWrite), 2), 0u);
  EXPECT_THAT(told, ElementsAre('h', 'i'));
  EXPECT_THAT(device->FileBytes("etc/w"), ElementsAre('h', 'i'));
  EXPECT_EQ(Dma(Selecting(0x20, fw_cfg::kDmaWrite), 3), fw_cfg::kDmaError);
  device->Reset();
  EXPECT_THAT(device->FileBytes("etc/w"), ElementsAre(1, 2));
}

TEST_F(FwCfgTest, WhatIsReadOnlyAndWhatIsNotThereCannotBeWritten) {
  ASSERT_TRUE(Add("etc/r", "r"));
  EXPECT_EQ(Dma(Selecting(0x20, fw_cfg::kDmaWrite), 1), fw_cfg::kDmaError);
  EXPECT_EQ(Dma(Selecting(0x3f, fw_cfg::kDmaWrite), 1), fw_cfg::kDmaError);
  EXPECT_EQ(device->counters().dma_errors.value(), 2u);
}

TEST_F(FwCfgTest, DmaToWhatIsNoMemoryFails) {
  EXPECT_EQ(Dma(Selecting(fw_cfg::kSignature, fw_cfg::kDmaRead), 4, kRamBytes - 2), fw_cfg::kDmaError);
  EXPECT_EQ(Dma(Selecting(0x3f, fw_cfg::kDmaRead), 0x10000, kRamBytes - 0x8000), fw_cfg::kDmaError);
  Out(host, 0x514, 0xffffffff, 4);
  Out(host, 0x518, 0xffffffff, 4);  // a descriptor that is nowhere
  EXPECT_EQ(device->counters().dma_errors.value(), 3u);
}

TEST_F(FwCfgTest, AccessesOfOtherWidthsAreIgnored) {
  Select(fw_cfg::kSignature);
  Out(host, 0x511, 'x');
  EXPECT_EQ(host.io.Read(0x510, 2), 0u);
  Out(host, 0x516, 0, 2);
  EXPECT_EQ(Read(4), "QEMU");
  EXPECT_EQ(device->counters().ignored.value(), 3u);
}

TEST_F(FwCfgTest, AFileIsRefreshedWhenItIsSelected) {
  int asked = 0;
  FwCfg::Content content{.bytes = {'0'}};
  content.refresh = [&asked] { return std::vector<uint8_t>{static_cast<uint8_t>('0' + ++asked)}; };
  ASSERT_TRUE(device->AddFile("etc/f", std::move(content)));
  Select(0x20);
  EXPECT_EQ(Read(1), "1");
  EXPECT_EQ(Dma(Selecting(0x20, fw_cfg::kDmaRead), 1), 0u);
  EXPECT_EQ(Memory(1), "2");
}

TEST_F(FwCfgTest, LargeContentIsReadWhereItIs) {
  FwCfg::Content content;
  content.size = 5000;
  content.read = [](uint64_t offset, void* out, uint64_t bytes) {
    std::memset(out, static_cast<int>('a' + offset / 4000), bytes);
    return offset + bytes <= 5000;
  };
  device->SetItem(fw_cfg::kKernelData, std::move(content));
  EXPECT_EQ(Dma(Selecting(fw_cfg::kKernelData, fw_cfg::kDmaSkip), 4000), 0u);
  EXPECT_EQ(Dma(fw_cfg::kDmaRead, 2000), 0u);
  EXPECT_EQ(Memory(1), "b");
  EXPECT_EQ(Memory(1, kBuffer + 1000), std::string("\0", 1));
}

TEST_F(FwCfgTest, SavedAndLoadedItGoesOn) {
  ASSERT_TRUE(Add("etc/w", "old", true));
  PutMemory("new");
  ASSERT_EQ(Dma(Selecting(0x20, fw_cfg::kDmaWrite), 3), 0u);
  Select(fw_cfg::kSignature);
  EXPECT_EQ(Read(1), "Q");
  const std::vector<std::byte> saved = Saved(*device);
  device->Reset();
  ASSERT_TRUE(LoadInto(*device, saved));
  EXPECT_EQ(Saved(*device), saved);
  EXPECT_EQ(Read(3), "EMU");
  EXPECT_THAT(device->FileBytes("etc/w"), ElementsAre('n', 'e', 'w'));
}

TEST_F(FwCfgTest, AStrangersFilesAreRefused) {
  ASSERT_TRUE(Add("etc/r", "r"));
  EXPECT_THAT(LoadError(*device, R"({"written": [{"name": "etc/r", "bytes": ""}]})"), HasSubstr("etc/r"));
  EXPECT_THAT(LoadError(*device, R"({"written": [{"name": "etc/x", "bytes": ""}]})"), HasSubstr("etc/x"));
}

}  // namespace
}  // namespace nandu
