#include "boot/bzimage.h"

#include <gtest/gtest.h>

#include "boot/e820.h"
#include "boot/kernel_images.h"
#include "boot/layout.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kRam = 64 * kMiB;
constexpr uint64_t kAcpiBytes = 128 * 1024;

ImageInput Input(std::string command_line = "console=ttyS0") {
  return {.command_line = std::move(command_line),
          .initrd = nullptr,
          .memory = {.low_ram_bytes = kRam},
          .acpi_bytes = kAcpiBytes};
}

std::unique_ptr<GuestImage> Open(const TestKernel& kernel) {
  return OpenGuestImage(FileOf(kernel.Bytes())).value();
}

std::string OpenError(const std::string& bytes) {
  const auto image = OpenGuestImage(FileOf(bytes));
  return image ? "" : image.error().message;
}

std::string PlaceError(const TestKernel& kernel, const ImageInput& input) {
  const auto placement = Open(kernel)->Place(input);
  return placement ? "" : placement.error().message;
}

char ByteAt(const GuestMemory& memory, uint64_t at) {
  char byte = 0;
  EXPECT_TRUE(memory.Load(Gpa{at}, &byte));
  return byte;
}

TEST(BzImage, KernelLandsAtItsPreferredAddress) {
  const auto memory = TestMemory(kRam);
  const auto entry = Open({})->Load(*memory, Input());
  ASSERT_TRUE(entry);
  EXPECT_EQ(ByteAt(*memory, 0x1000000), 'K');
  EXPECT_EQ(ByteAt(*memory, 0x1000000 + 0x1fff), 'K');
  EXPECT_EQ(ByteAt(*memory, 0x1000000 + 0x2000), '\0');
}

TEST(BzImage, EntryIsTheSixtyFourBitOne) {
  const auto memory = TestMemory(kRam);
  const CpuEntry entry = Open({})->Load(*memory, Input()).value();
  EXPECT_EQ(entry.mode, CpuEntry::Mode::kLong64);
  EXPECT_EQ(entry.rip, 0x1000200u);
  EXPECT_EQ(entry.rsi, layout::kZeroPage);
  EXPECT_EQ(entry.code_selector, 0x10);
  EXPECT_EQ(entry.data_selector, 0x18);
  EXPECT_EQ(entry.gdt_limit, 31);
}

TEST(BzImage, DescriptorsAreFlatAndSixtyFourBit) {
  const auto memory = TestMemory(kRam);
  const CpuEntry entry = Open({})->Load(*memory, Input()).value();
  uint64_t code = 0;
  uint64_t data = 0;
  ASSERT_TRUE(memory->Load(Gpa{entry.gdt_base + 0x10}, &code));
  ASSERT_TRUE(memory->Load(Gpa{entry.gdt_base + 0x18}, &data));
  EXPECT_EQ(code, 0x00af9b000000ffffu);
  EXPECT_EQ(data, 0x00cf93000000ffffu);
}

TEST(BzImage, PageTablesMapTheLowFourGiBOntoThemselves) {
  const auto memory = TestMemory(kRam);
  const CpuEntry entry = Open({})->Load(*memory, Input()).value();
  uint64_t pml4 = 0;
  uint64_t pdpt = 0;
  uint64_t last = 0;
  ASSERT_TRUE(memory->Load(Gpa{entry.cr3}, &pml4));
  ASSERT_TRUE(memory->Load(Gpa{(pml4 & ~0xfffull) + 3 * 8}, &pdpt));
  ASSERT_TRUE(memory->Load(Gpa{(pdpt & ~0xfffull) + 511 * 8}, &last));
  EXPECT_EQ(pml4 & 0xfff, 0x3u);
  EXPECT_EQ(last, 0xffe00000u | 0x83u);
}

TEST(BzImage, BootParamsCarryHeaderCommandLineAndMemoryMap) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(Open({})->Load(*memory, Input("root=/dev/vda ro")));
  boot_params params = {};
  ASSERT_TRUE(memory->Load(Gpa{layout::kZeroPage}, &params));
  EXPECT_EQ(+params.hdr.header, 0x53726448u);
  EXPECT_EQ(+params.hdr.type_of_loader, 0xb0);
  EXPECT_EQ(+params.hdr.cmd_line_ptr, layout::kCommandLine);
  EXPECT_EQ(+params.acpi_rsdp_addr, layout::kRsdp);
  EXPECT_EQ(+params.e820_entries, BuildE820({.low_ram_bytes = kRam}, kAcpiBytes).size());
  EXPECT_EQ(+params.e820_table[0].size, 0x9fc00u);
  std::string line(17, '\0');
  ASSERT_TRUE(memory->Read(Gpa{layout::kCommandLine}, line.data(), line.size()));
  EXPECT_EQ(line, std::string("root=/dev/vda ro\0", 17));
}

TEST(BzImage, SetupDataHoldsARandomSeed) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(Open({})->Load(*memory, Input()));
  setup_data node = {};
  boot_params params = {};
  ASSERT_TRUE(memory->Load(Gpa{layout::kZeroPage}, &params));
  ASSERT_TRUE(memory->Load(Gpa{params.hdr.setup_data}, &node));
  EXPECT_EQ(node.next, 0u);
  EXPECT_EQ(node.type, static_cast<uint32_t>(SETUP_RNG_SEED));
  EXPECT_EQ(node.len, 32u);
}

TEST(BzImage, BytesBeyondTheHeadersLengthAreNoFields) {
  std::string bytes = TestKernel{}.Bytes();
  bytes[0x201] = 0x62;  // the header ends at 0x264, where handover_offset and kernel_info_offset would follow
  bytes.replace(0x264, 8, "machcode");
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(OpenGuestImage(FileOf(bytes)).value()->Load(*memory, Input()));
  boot_params params = {};
  ASSERT_TRUE(memory->Load(Gpa{layout::kZeroPage}, &params));
  EXPECT_EQ(+params.hdr.handover_offset, 0u);
  EXPECT_EQ(+params.hdr.init_size, 0x300000u);
}

TEST(BzImage, InitrdLiesHighBelowTheAcpiTables) {
  const BootFile initrd = FileOf(std::string(5000, 'I'), "initrd");
  ImageInput input = Input();
  input.initrd = &initrd;
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(Open({})->Load(*memory, input));
  boot_params params = {};
  ASSERT_TRUE(memory->Load(Gpa{layout::kZeroPage}, &params));
  EXPECT_EQ(+params.hdr.ramdisk_image, kRam - kAcpiBytes - 8192);
  EXPECT_EQ(+params.hdr.ramdisk_size, 5000u);
  EXPECT_EQ(ByteAt(*memory, params.hdr.ramdisk_image + 4999), 'I');
}

TEST(BzImage, InitrdRespectsTheKernelsHighestAddress) {
  const BootFile initrd = FileOf(std::string(4096, 'I'), "initrd");
  ImageInput input = Input();
  input.initrd = &initrd;
  const TestKernel old = {.xloadflags = XLF_KERNEL_64, .initrd_addr_max = 0x37fffff - 0x800000};
  EXPECT_EQ(Open(old)->Place(input)->initrd_base, 0x37fffff - 0x800000 + 1u - 4096u);
}

TEST(BzImage, LoadsAgainAfterTheGuestOverwroteMemory) {
  const auto memory = TestMemory(kRam);
  const auto image = Open({});
  const CpuEntry first = image->Load(*memory, Input()).value();
  ASSERT_TRUE(memory->Store(Gpa{0x1000000}, uint64_t{0}));
  ASSERT_TRUE(memory->Store(Gpa{layout::kGdt + 0x10}, uint64_t{0}));
  EXPECT_EQ(image->Load(*memory, Input()).value(), first);
  EXPECT_EQ(ByteAt(*memory, 0x1000000), 'K');
}

TEST(BzImage, RamThatStartsAboveZeroIsAnErrorNotACrash) {
  const auto memory = TestMemory(kRam, 0x200000);
  const auto entry = Open({})->Load(*memory, Input());
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().message, "the guest has no RAM at 0x20000 for the kernel command line");
}

TEST(BzImageErrors, TextFile) {
  EXPECT_EQ(OpenError("hello, world\n"), "vmlinuz: not a Linux kernel (bzImage), nor a multiboot or PVH ELF image");
}

TEST(BzImageErrors, EmptyFile) {
  EXPECT_EQ(OpenError(""), "vmlinuz: not a Linux kernel (bzImage), nor a multiboot or PVH ELF image");
}

TEST(BzImageErrors, BootSectorWithoutKernel) {
  EXPECT_EQ(OpenError(TestKernel{.magic = 0}.Bytes()),
            "vmlinuz: not a Linux kernel (bzImage), nor a multiboot or PVH ELF image");
}

TEST(BzImageErrors, OldProtocol) {
  EXPECT_EQ(OpenError(TestKernel{.protocol = 0x204}.Bytes()),
            "vmlinuz: its boot protocol 2.04 is too old; 2.12 (Linux 3.8) or later is needed");
}

TEST(BzImageErrors, ZImage) {
  EXPECT_EQ(OpenError(TestKernel{.loadflags = 0}.Bytes()),
            "vmlinuz: is a zImage, which loads low; build a bzImage");
}

TEST(BzImageErrors, ThirtyTwoBitKernel) {
  EXPECT_EQ(OpenError(TestKernel{.xloadflags = 0}.Bytes()),
            "vmlinuz: is a 32-bit kernel; only x86-64 kernels can be booted with -kernel");
}

TEST(BzImageErrors, TruncatedFile) {
  const std::string bytes = TestKernel{}.Bytes();
  EXPECT_EQ(OpenError(bytes.substr(0, bytes.size() - 100)),
            "vmlinuz: is truncated: it has 10140 of 10240 bytes");
}

TEST(BzImageErrors, FileThatEndsInsideTheHeader) {
  EXPECT_EQ(OpenError(TestKernel{}.Bytes().substr(0, 0x210)).find("vmlinuz: "), 0u);
}

TEST(BzImageErrors, NonsenseAlignment) {
  EXPECT_EQ(OpenError(TestKernel{.alignment = 3}.Bytes()),
            "vmlinuz: its header asks for an alignment of 0x3; the file is damaged");
}

TEST(BzImageErrors, KernelLargerThanMemory) {
  EXPECT_EQ(PlaceError({.init_size = 0x10000000}, Input()),
            "vmlinuz: the kernel needs 272 MiB of memory below 4 GiB to start, the guest has 63 MiB; give it "
            "more with -m");
}

TEST(BzImageErrors, AddressThatOverflows) {
  EXPECT_NE(PlaceError({.pref_address = ~uint64_t{0} - 0x1fffff}, Input()), "");
}

TEST(BzImageErrors, CommandLineLongerThanTheKernelTakes) {
  EXPECT_EQ(PlaceError({.cmdline_size = 10}, Input("quiet console=ttyS0")),
            "vmlinuz: the kernel command line (-append) has 19 characters; this kernel takes 10 at most");
}

TEST(BzImageErrors, InitrdLargerThanTheRoomLeft) {
  const BootFile initrd = FileOf(std::string(60 * kMiB, 'I'), "big.img");
  ImageInput input = Input();
  input.initrd = &initrd;
  EXPECT_EQ(PlaceError({}, input),
            "big.img: the initrd of 61440 KiB does not fit between the kernel, which ends at 0x1300000, and "
            "0x3fe0000; give "
            "the guest more memory with -m");
}

TEST(BzImageErrors, EmptyInitrd) {
  const BootFile initrd = FileOf("", "empty.img");
  ImageInput input = Input();
  input.initrd = &initrd;
  EXPECT_EQ(PlaceError({}, input), "empty.img: the initrd is empty");
}

TEST(BootFile, PipeIsRefused) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd writer(ends[1]);
  const auto file = BootFile::FromFd(UniqueFd(ends[0]), "/dev/fd/63");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message,
            "/dev/fd/63: is not a regular file; it is read again at every reset, so copy it to a file first");
}

TEST(BootFile, FileThatShrankIsAnErrorAtTheNextLoad) {
  UniqueFd fd = MemoryFile(TestKernel{}.Bytes());
  const UniqueFd other(::dup(fd.get()));
  const auto image = OpenGuestImage(BootFile::FromFd(std::move(fd), "vmlinuz").value()).value();
  ASSERT_EQ(::ftruncate(other.get(), 4096), 0);
  const auto entry = image->Load(*TestMemory(kRam), Input());
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().message, "vmlinuz: is truncated: it ends at byte 4096 where more must follow");
}

}  // namespace
}  // namespace nandu
