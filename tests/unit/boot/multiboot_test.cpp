#include "boot/multiboot.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "boot/kernel_images.h"
#include "boot/layout.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kRam = 64 << 20;
constexpr uint32_t kLoad = 0x180000;

ImageInput Input() {
  return {.command_line = "hello world", .memory = {.low_ram_bytes = kRam}, .acpi_bytes = 0x20000};
}

// A flat kernel: `before` bytes, the header with its addresses, 'M's up to `bytes`; and as long again of bss.
struct FlatKernel {
  uint32_t before = 20;
  uint32_t bytes = 0x300;
  uint32_t flags = 0x10003;
  uint32_t header_addr = kLoad + 20;
  uint32_t load_addr = kLoad;
  uint32_t load_end_addr = kLoad + 0x300;
  uint32_t bss_end_addr = kLoad + 0x1300;
  uint32_t entry_addr = kLoad + 0x40;

  std::string Bytes() const {
    wire::MultibootHeader header{.magic = 0x1badb002, .flags = flags};
    header.checksum = 0U - header.magic - header.flags;
    header.header_addr = header_addr;
    header.load_addr = load_addr;
    header.load_end_addr = load_end_addr;
    header.bss_end_addr = bss_end_addr;
    header.entry_addr = entry_addr;
    std::string out(bytes, 'M');
    std::memcpy(out.data() + before, &header, sizeof(header));
    return out;
  }
};

struct Elf32Kernel {
  uint16_t machine = EM_386;
  uint32_t entry = 0xc0100010;  // a virtual address, in a segment that is loaded at 1 MiB
  uint32_t physical = 0x100000;

  std::string Bytes() const {
    Elf32_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS32;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = machine;
    header.e_entry = entry;
    header.e_phoff = sizeof(header);
    header.e_phentsize = sizeof(Elf32_Phdr);
    header.e_phnum = 1;
    Elf32_Phdr load = {};
    load.p_type = PT_LOAD;
    load.p_offset = 0x200;
    load.p_vaddr = 0xc0100000;
    load.p_paddr = physical;
    load.p_filesz = 0x100;
    load.p_memsz = 0x3000;
    load.p_flags = PF_R | PF_X;
    const uint32_t words[3] = {0x1badb002, 3, 0U - 0x1badb005};
    std::string bytes(0x200, '\0');
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + sizeof(header), &load, sizeof(load));
    std::memcpy(bytes.data() + 0x100, words, sizeof(words));
    return bytes + std::string(0x100, 'L');
  }
};

std::string OpenError(const std::string& bytes) {
  const auto image = OpenGuestImage(FileOf(bytes, "kernel"));
  return image ? "" : image.error().message;
}

std::string TextAt(const GuestMemory& memory, uint64_t at) {
  std::string text;
  for (char c = 0; memory.Load(Gpa{at}, &c) && c != '\0'; ++at) {
    text += c;
  }
  return text;
}

TEST(Multiboot, EntryIsProtectedModeWithTheMagic) {
  const auto memory = TestMemory(kRam);
  const CpuEntry entry = OpenGuestImage(FileOf(FlatKernel{}.Bytes())).value()->Load(*memory, Input()).value();
  EXPECT_EQ(entry.mode, CpuEntry::Mode::kProtected32);
  EXPECT_EQ(entry.rax, 0x2badb002U);
  EXPECT_EQ(entry.rbx, 0x9500U);  // QEMU's place
  EXPECT_EQ(entry.rip, kLoad + 0x40);
  EXPECT_EQ(entry.code_selector, 0x08);
  EXPECT_EQ(entry.data_selector, 0x10);
  uint64_t code = 0;
  ASSERT_TRUE(memory->Load(Gpa{entry.gdt_base + entry.code_selector}, &code));
  EXPECT_EQ(code, 0x00cf9b000000ffffU);
}

TEST(Multiboot, FlatFileIsLoadedByItsHeaderAndItsBssZeroed) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(memory->Store(Gpa{kLoad + 0x12f8}, uint64_t{0x1234}));
  ASSERT_TRUE(OpenGuestImage(FileOf(FlatKernel{}.Bytes())).value()->Load(*memory, Input()));
  uint8_t last = 0;
  uint64_t zeroed = 1;
  uint32_t magic = 0;
  ASSERT_TRUE(memory->Load(Gpa{kLoad + 0x2ff}, &last));
  ASSERT_TRUE(memory->Load(Gpa{kLoad + 0x12f8}, &zeroed));
  ASSERT_TRUE(memory->Load(Gpa{kLoad + 20}, &magic));
  EXPECT_EQ(last, 'M');
  EXPECT_EQ(zeroed, 0U);
  EXPECT_EQ(magic, 0x1badb002U);
}

TEST(Multiboot, FlatFileWithoutEndsIsLoadedToItsEnd) {
  const auto image =
      OpenGuestImage(FileOf(FlatKernel{.load_end_addr = 0, .bss_end_addr = 0}.Bytes())).value();
  const ImagePlacement placement = image->Place(Input()).value();
  EXPECT_EQ(placement.kernel_base, kLoad);
  // "vmlinuz hello world" and "qemu" follow on the next page.
  EXPECT_EQ(placement.kernel_end, 0x181000U + 20 + 5);
}

TEST(Multiboot, ElfEntryIsWhereItsSegmentIsLoaded) {
  const auto memory = TestMemory(kRam);
  const CpuEntry entry =
      OpenGuestImage(FileOf(Elf32Kernel{}.Bytes())).value()->Load(*memory, Input()).value();
  EXPECT_EQ(entry.rip, 0x100010U);
}

TEST(Multiboot, InformationIsQemus) {
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(OpenGuestImage(FileOf(FlatKernel{}.Bytes(), "k.bin")).value()->Load(*memory, Input()));
  wire::MultibootInfo info;
  ASSERT_TRUE(memory->Load(Gpa{0x9500}, &info));
  EXPECT_EQ(info.flags, 0x24fU);
  EXPECT_EQ(info.mem_lower, 639U);
  EXPECT_EQ(info.mem_upper, 0xfb80U);
  EXPECT_EQ(info.boot_device, 0x8000ffffU);
  EXPECT_EQ(info.mods_count, 0U);
  EXPECT_EQ(TextAt(*memory, info.cmdline), "k.bin hello world");
  EXPECT_EQ(TextAt(*memory, info.boot_loader_name), "qemu");
  EXPECT_EQ(info.mmap_length % 24, 0U);
  wire::MultibootMapEntry high;
  ASSERT_TRUE(memory->Load(Gpa{uint64_t{info.mmap_addr} + 3 * sizeof(high)}, &high));
  EXPECT_EQ(high.size, 20U);
  EXPECT_EQ(high.base[0], 0x100000U);
  EXPECT_EQ(high.length[0], 0x3ee0000U);
  EXPECT_EQ(high.type, 1U);
}

TEST(Multiboot, ModulesLieOnPagesBehindTheKernelAndHaveTheirText) {
  std::vector<BootModule> modules;
  modules.push_back({FileOf("AAAA1", "a"), "a one two"});
  modules.push_back({FileOf("BBBB22", "b"), "b"});
  ImageInput input = Input();
  input.modules = modules;
  const auto memory = TestMemory(kRam);
  ASSERT_TRUE(OpenGuestImage(FileOf(FlatKernel{}.Bytes())).value()->Load(*memory, input));
  wire::MultibootInfo info;
  ASSERT_TRUE(memory->Load(Gpa{0x9500}, &info));
  ASSERT_EQ(info.mods_count, 2U);
  std::array<wire::MultibootModule, 2> list;
  ASSERT_TRUE(memory->Load(Gpa{info.mods_addr}, &list));
  EXPECT_EQ(list[0].start, 0x183000U);
  EXPECT_EQ(list[0].end, 0x183005U);
  EXPECT_EQ(list[1].start, 0x184000U);
  EXPECT_EQ(TextAt(*memory, list[0].string), "a one two");
  EXPECT_EQ(TextAt(*memory, list[1].string), "b");
  EXPECT_EQ(TextAt(*memory, list[1].start).substr(0, 6), "BBBB22");
}

TEST(Multiboot, ModulesOfACommandLineAreFilesWithArguments) {
  const auto modules = SplitMultibootModules("a,,b  two  spaces,m1 ,last,");
  ASSERT_EQ(modules.size(), 3U);
  EXPECT_EQ(modules[0].path, "a,b");
  EXPECT_EQ(modules[0].text, "a,b  two  spaces");
  EXPECT_EQ(modules[1].path, "m1");
  EXPECT_EQ(modules[1].text, "m1 ");
  EXPECT_EQ(modules[2].path, "last");
  EXPECT_TRUE(SplitMultibootModules("").empty());
}

TEST(Multiboot, HeaderMustBeWholeAlignedAndInTheFirstPages) {
  EXPECT_TRUE(FindMultibootHeader(FileOf(FlatKernel{.before = 8160, .bytes = 8192}.Bytes())).value());
  EXPECT_FALSE(FindMultibootHeader(FileOf(FlatKernel{.before = 8164, .bytes = 8196}.Bytes())).value());
  EXPECT_FALSE(FindMultibootHeader(FileOf(FlatKernel{.before = 22}.Bytes())).value());
  EXPECT_FALSE(FindMultibootHeader(FileOf(FlatKernel{}.Bytes().substr(0, 48))).value());
  std::string wrong = FlatKernel{}.Bytes();
  wrong[20 + 8] = static_cast<char>(wrong[20 + 8] ^ 1);  // the checksum
  EXPECT_FALSE(FindMultibootHeader(FileOf(wrong)).value());
  EXPECT_FALSE(FindMultibootHeader(FileOf(TestKernel{}.Bytes())).value());
}

TEST(MultibootErrors, WrongAddressesNameTheField) {
  constexpr std::string_view kWrong = "kernel: its multiboot header is wrong: ";
  EXPECT_EQ(OpenError(FlatKernel{.load_addr = kLoad + 24}.Bytes()),
            std::string(kWrong) + "load_addr cannot be 0x180018");
  EXPECT_EQ(OpenError(FlatKernel{.load_addr = kLoad - 4}.Bytes()),
            std::string(kWrong) + "header_addr cannot be 0x180014");
  EXPECT_EQ(OpenError(FlatKernel{.load_end_addr = kLoad - 4}.Bytes()),
            std::string(kWrong) + "load_end_addr cannot be 0x17fffc");
  EXPECT_EQ(OpenError(FlatKernel{.bss_end_addr = kLoad + 4}.Bytes()),
            std::string(kWrong) + "bss_end_addr cannot be 0x180004");
  EXPECT_EQ(OpenError(FlatKernel{.load_end_addr = kLoad + 0x400}.Bytes()),
            "kernel: is truncated: its multiboot header asks for 1024 bytes, 768 are there");
  EXPECT_EQ(OpenError(FlatKernel{.entry_addr = kLoad + 0x2000}.Bytes()),
            "kernel: its entry point 0x182000 lies in nothing that is loaded");
}

TEST(MultibootErrors, SixtyFourBitElf) {
  std::string kernel = TestElf{}.Bytes();
  const uint32_t words[3] = {0x1badb002, 3, 0U - 0x1badb005};
  std::memcpy(kernel.data() + 0x300, words, sizeof(words));
  EXPECT_NE(OpenError(kernel).find("is no 32-bit x86 ELF file"), std::string::npos) << OpenError(kernel);
}

TEST(MultibootErrors, NeitherElfNorAddresses) {
  EXPECT_EQ(OpenError(FlatKernel{.flags = 3}.Bytes()),
            "kernel: its multiboot header names no addresses, so it must be an ELF file, and it is none");
}

TEST(MultibootErrors, WhereTheLoaderWritesItself) {
  for (const uint32_t physical : {0x7000U, 0x9f000U, 0xf0000U}) {
    const auto image = OpenGuestImage(FileOf(Elf32Kernel{.physical = physical}.Bytes(), "kernel")).value();
    EXPECT_NE(image->Place(Input()).error().message.find("must keep clear of"), std::string::npos)
        << physical;
  }
}

TEST(MultibootErrors, ModulesLargerThanMemory) {
  std::vector<BootModule> modules;
  modules.push_back({FileOf(std::string(0x200000, 'x'), "m"), "m"});
  ImageInput input = Input();
  input.modules = modules;
  input.memory.low_ram_bytes = 3 << 20;
  const auto image = OpenGuestImage(FileOf(FlatKernel{}.Bytes(), "kernel")).value();
  EXPECT_EQ(image->Place(input).error().message,
            "kernel: the kernel with its modules needs 4 MiB of memory below 4 GiB to start, the guest has 2 "
            "MiB; give it more with -m");
}

TEST(MultibootErrors, ModulesBehindAKernelBelowOneMegabyte) {
  std::vector<BootModule> modules;
  modules.push_back({FileOf(std::string(0x90000, 'x'), "m"), "m"});
  ImageInput input = Input();
  input.modules = modules;
  const auto image = OpenGuestImage(FileOf(Elf32Kernel{.physical = 0x20000}.Bytes(), "kernel")).value();
  EXPECT_NE(image->Place(input).error().message.find("link it to 1 MiB or higher"), std::string::npos);
}

}  // namespace
}  // namespace nandu
