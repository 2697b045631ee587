#include "boot/boot_loader.h"

#include <gtest/gtest.h>

#include "boot/kernel_images.h"
#include "boot/layout.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kRam = 64 << 20;

BootOptions Options(std::string kernel) {
  AcpiInput acpi;
  acpi.memory = {.low_ram_bytes = kRam};
  acpi.apic_ids = {0};
  SetDefaultPciWindows(&acpi);
  return {.kernel = FileOf(kernel),
          .initrd = FileOf("initrd", "initrd.img"),
          .command_line = "quiet",
          .acpi = std::move(acpi),
          .smbios = {}};
}

TEST(BootLoader, WritesKernelAndTables) {
  const auto memory = TestMemory(kRam);
  const auto loader = BootLoader::Create(Options(TestKernel{}.Bytes())).value();
  const CpuEntry entry = loader->Load(*memory).value();
  std::array<char, 8> rsdp = {};
  ASSERT_TRUE(memory->Load(Gpa{layout::kRsdp}, &rsdp));
  EXPECT_EQ(std::string(rsdp.data(), 8), "RSD PTR ");
  EXPECT_EQ(entry.mode, CpuEntry::Mode::kLong64);
}

TEST(BootLoader, BiosDataAreaTellsWhereConventionalMemoryEnds) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(BootLoader::Create(Options(TestKernel{}.Bytes())).value()->Load(*memory));
  uint16_t segment = 0;
  uint16_t kib = 0;
  ASSERT_TRUE(memory->Load(Gpa{0x40e}, &segment));
  ASSERT_TRUE(memory->Load(Gpa{0x413}, &kib));
  EXPECT_EQ(segment, 0x9fc0);
  EXPECT_EQ(kib, 639);
}

TEST(BootLoader, WritesTheSameAgainAfterAReset) {
  const auto memory = TestMemory(kRam);
  const auto loader = BootLoader::Create(Options(TestElf{}.Bytes())).value();
  const CpuEntry first = loader->Load(*memory).value();
  ASSERT_TRUE(memory->Store(Gpa{layout::kRsdp}, uint64_t{0}));
  EXPECT_EQ(loader->Load(*memory).value(), first);
  uint64_t rsdp = 0;
  ASSERT_TRUE(memory->Load(Gpa{layout::kRsdp}, &rsdp));
  EXPECT_NE(rsdp, 0u);
}

TEST(BootLoader, WrongKernelIsFoundBeforeAnythingRuns) {
  EXPECT_EQ(BootLoader::Create(Options("#!/bin/sh\n")).error().message,
            "vmlinuz: not a Linux kernel (bzImage), nor a multiboot or PVH ELF image");
}

TEST(BootLoader, KernelThatDoesNotFitIsFoundBeforeAnythingRuns) {
  EXPECT_FALSE(BootLoader::Create(Options(TestKernel{.init_size = 0x10000000}.Bytes())));
}

}  // namespace
}  // namespace nandu
