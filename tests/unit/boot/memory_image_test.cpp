#include "boot/memory_image.h"

#include <gtest/gtest.h>

#include "boot/kernel_images.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kRam = 32 << 20;
constexpr auto kByContent = MemoryImage::Format::kByContent;
constexpr auto kRaw = MemoryImage::Format::kRaw;

uint32_t WordAt(const GuestMemory& memory, uint64_t at) {
  uint32_t word = 0;
  EXPECT_TRUE(memory.Load(Gpa{at}, &word));
  return word;
}

std::string OpenError(const std::string& bytes) {
  const auto image = MemoryImage::Open(FileOf(bytes, "file"), 0x1000, kByContent);
  return image ? "" : image.error().message;
}

TEST(MemoryImage, RawFileGoesWhereItIsSent) {
  const auto memory = TestMemory(kRam);
  const MemoryImage image = MemoryImage::Open(FileOf("ABCD"), 0x1234, kByContent).value();
  ASSERT_TRUE(image.Check(*memory));
  ASSERT_TRUE(image.Write(*memory));
  EXPECT_EQ(WordAt(*memory, 0x1234), 0x44434241U);
  EXPECT_FALSE(image.entry());
}

TEST(MemoryImage, ElfFileGoesWhereItSays) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(memory->Store(Gpa{0x1000800}, uint32_t{5}));
  const MemoryImage image = MemoryImage::Open(FileOf(TestElf{}.Bytes()), 0x1234, kByContent).value();
  ASSERT_TRUE(image.Write(*memory));
  EXPECT_EQ(WordAt(*memory, 0x1000000), 0x45454545U);
  EXPECT_EQ(WordAt(*memory, 0x1000800), 0U);
  EXPECT_EQ(WordAt(*memory, 0x1234), 0U);
  EXPECT_EQ(image.entry(), 0U);  // its header's
}

TEST(MemoryImage, ElfFileOfAnyMachineIsLoaded) {
  EXPECT_TRUE(MemoryImage::Open(FileOf(TestElf{.machine = EM_AARCH64}.Bytes()), 0, kByContent));
}

TEST(MemoryImage, ElfFileMayBeLoadedAsItIs) {
  const auto memory = TestMemory(kRam);
  const MemoryImage image = MemoryImage::Open(FileOf(TestElf{}.Bytes()), 0x1000, kRaw).value();
  ASSERT_TRUE(image.Write(*memory));
  EXPECT_EQ(WordAt(*memory, 0x1000), 0x464c457fU);
  EXPECT_FALSE(image.entry());
}

TEST(MemoryImage, FilesThatMeetAreFound) {
  const MemoryImage first = MemoryImage::Open(FileOf("ABCD"), 0x1000, kRaw).value();
  EXPECT_TRUE(first.Overlaps(MemoryImage::Open(FileOf("ABCD"), 0x1003, kRaw).value()));
  EXPECT_TRUE(first.Overlaps(MemoryImage::Open(FileOf("ABCDEFGH"), 0xffe, kRaw).value()));
  EXPECT_FALSE(first.Overlaps(MemoryImage::Open(FileOf("ABCD"), 0x1004, kRaw).value()));
  EXPECT_FALSE(first.Overlaps(MemoryImage::Open(FileOf(""), 0x1001, kRaw).value()));
}

TEST(MemoryImageErrors, OutsideRam) {
  const auto memory = TestMemory(kRam);
  EXPECT_EQ(
      MemoryImage::Open(FileOf("ABCD", "file"), kRam - 2, kRaw)->Check(*memory).error().message,
      "file: 4 bytes at 0x1fffffe do not fit the guest's RAM; give another addr=, or the guest more memory "
      "with -m");
  EXPECT_EQ(MemoryImage::Open(FileOf("ABCD", "file"), UINT64_MAX - 1, kRaw).error().message,
            "file: 4 bytes do not fit at 0xfffffffffffffffe");
}

TEST(MemoryImageErrors, KindsThatQemuUnpacks) {
  EXPECT_NE(OpenError("\x27\x05\x19\x56 and so on").find("is a U-Boot image"), std::string::npos);
  EXPECT_NE(OpenError(":10010000214601360121470136007EFE09D2190140\n").find("is an Intel HEX file"),
            std::string::npos);
  EXPECT_EQ(OpenError(": not hex"), "");
  EXPECT_TRUE(MemoryImage::Open(FileOf("\x27\x05\x19\x56"), 0, kRaw));
}

TEST(MemoryImageErrors, DamagedElfFile) {
  EXPECT_EQ(OpenError(TestElf{}.Bytes().substr(0, 0x600)),
            "file: is truncated: segment 0 lies outside the file");
}

}  // namespace
}  // namespace nandu
