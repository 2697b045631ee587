#include "boot/pvh.h"

#include <gtest/gtest.h>

#include "boot/kernel_images.h"
#include "boot/layout.h"
#include "boot/pvh_wire.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kRam = 64 << 20;

ImageInput Input() {
  return {
      .command_line = "hello", .initrd = nullptr, .memory = {.low_ram_bytes = kRam}, .acpi_bytes = 0x20000};
}

std::string OpenError(const std::string& bytes) {
  const auto image = OpenGuestImage(FileOf(bytes, "vmlinux"));
  return image ? "" : image.error().message;
}

TEST(Pvh, EntryIsProtectedModeAtTheNote) {
  const auto memory = TestMemory(kRam);
  const CpuEntry entry = OpenGuestImage(FileOf(TestElf{}.Bytes())).value()->Load(*memory, Input()).value();
  EXPECT_EQ(entry.mode, CpuEntry::Mode::kProtected32);
  EXPECT_EQ(entry.rip, 0x1000010u);
  EXPECT_EQ(entry.rbx, layout::kPvhStartInfo);
}

TEST(Pvh, SegmentIsLoadedAndItsRestZeroed) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(memory->Store(Gpa{0x1000800}, uint64_t{0x1234}));
  ASSERT_TRUE(memory->Store(Gpa{0x1003000}, uint64_t{0x5678}));
  ASSERT_TRUE(OpenGuestImage(FileOf(TestElf{}.Bytes())).value()->Load(*memory, Input()));
  uint8_t text = 0;
  uint64_t zeroed = 1;
  uint64_t beyond = 0;
  ASSERT_TRUE(memory->Load(Gpa{0x10007ff}, &text));
  ASSERT_TRUE(memory->Load(Gpa{0x1000800}, &zeroed));
  ASSERT_TRUE(memory->Load(Gpa{0x1003000}, &beyond));
  EXPECT_EQ(text, 'E');
  EXPECT_EQ(zeroed, 0u);
  EXPECT_EQ(beyond, 0x5678u);
}

TEST(Pvh, StartInfoNamesCommandLineMemoryAndInitrd) {
  const BootFile initrd = FileOf("initrd bytes", "initrd");
  ImageInput input = Input();
  input.initrd = &initrd;
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(OpenGuestImage(FileOf(TestElf{}.Bytes())).value()->Load(*memory, input));
  wire::HvmStartInfo info;
  wire::HvmModule module;
  wire::HvmMemoryMapEntry first;
  ASSERT_TRUE(memory->Load(Gpa{layout::kPvhStartInfo}, &info));
  ASSERT_TRUE(memory->Load(Gpa{info.module_list}, &module));
  ASSERT_TRUE(memory->Load(Gpa{info.memory_map}, &first));
  EXPECT_EQ(info.magic, 0x336ec578u);
  EXPECT_EQ(info.version, 1u);
  EXPECT_EQ(info.module_count, 1u);
  EXPECT_EQ(module.size, 12u);
  EXPECT_EQ(info.rsdp, layout::kRsdp);
  EXPECT_EQ(first.size, 0x9fc00u);
  EXPECT_EQ(first.type, 1u);
}

TEST(PvhErrors, NoNote) {
  EXPECT_EQ(OpenError(TestElf{.note_type = 5}.Bytes()),
            "vmlinux: is an ELF image without a PVH entry note; build the kernel with CONFIG_PVH=y or give "
            "its bzImage");
}

TEST(PvhErrors, AnotherOwnersNote) {
  EXPECT_NE(
      OpenError(TestElf{.note_owner = std::string("GNU\0", 4)}.Bytes()).find("without a PVH entry note"),
      std::string::npos);
}

TEST(PvhErrors, AnotherArchitecture) {
  EXPECT_EQ(OpenError(TestElf{.machine = EM_AARCH64}.Bytes()),
            "vmlinux: is an ELF image for another architecture");
}

TEST(PvhErrors, EntryOutsideTheSegments) {
  EXPECT_EQ(OpenError(TestElf{.entry = 0x2000000}.Bytes()),
            "vmlinux: its PVH entry point 0x2000000 lies in none of its segments");
}

TEST(PvhErrors, SegmentBeyondTheFile) {
  EXPECT_EQ(OpenError(TestElf{}.Bytes().substr(0, 0x600)),
            "vmlinux: is truncated: segment 0 lies outside the file");
}

TEST(PvhErrors, HeaderOnly) {
  EXPECT_NE(OpenError("\x7f"
                      "ELF"),
            "");
}

TEST(PvhErrors, SegmentLargerInFileThanInMemory) {
  EXPECT_EQ(OpenError(TestElf{.memory_bytes = 0x100}.Bytes()),
            "vmlinux: segment 0 has impossible sizes; the file is damaged");
}

TEST(PvhErrors, SegmentInTheFirstMegabyte) {
  const auto image =
      OpenGuestImage(FileOf(TestElf{.entry = 0x8010, .physical = 0x8000}.Bytes(), "vmlinux")).value();
  EXPECT_EQ(image->Place(Input()).error().message,
            "vmlinux: a segment loads at 0x8000; PVH images must load at 1 MiB or higher");
}

TEST(PvhErrors, ImageLargerThanMemory) {
  const auto image = OpenGuestImage(FileOf(TestElf{.memory_bytes = 0x8000000}.Bytes(), "vmlinux")).value();
  EXPECT_EQ(image->Place(Input()).error().message,
            "vmlinux: the kernel needs 144 MiB of memory below 4 GiB to start, the guest has 63 MiB; give it "
            "more with -m");
}

}  // namespace
}  // namespace nandu
