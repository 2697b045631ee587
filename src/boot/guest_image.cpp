#include "boot/guest_image.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "boot/bzimage.h"
#include "boot/layout.h"
#include "boot/multiboot.h"
#include "boot/pvh.h"

namespace nandu {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kLargePageBytes = 2 << 20;
constexpr uint64_t kEntriesPerTable = 512;

// Intel SDM volume 3, 3.4.5: present, accessed, 4 KiB granularity, limit 0xfffff.
constexpr uint64_t kCode64 = 0x00af9b000000ffff;
constexpr uint64_t kCode32 = 0x00cf9b000000ffff;
constexpr uint64_t kData = 0x00cf93000000ffff;

constexpr uint64_t kPresentWritable = 0x3;
constexpr uint64_t kLargePage = 0x80;

}  // namespace

Result<std::unique_ptr<GuestImage>> OpenGuestImage(BootFile file) {
  // In QEMU's order: a kernel may be both multiboot and PVH.
  if (const std::optional<FoundMultibootHeader> found = TRY(FindMultibootHeader(file))) {
    return MultibootImage::Open(std::move(file), *found);
  }
  if (TRY(IsElf(file))) {
    return PvhImage::Open(std::move(file));
  }
  return BzImage::Open(std::move(file));
}

Result<> PlaceInitrd(const ImageInput& input, uint64_t highest, ImagePlacement* placement) {
  const BootFile& initrd = *input.initrd;
  placement->initrd_bytes = initrd.size();
  if (initrd.size() == 0) {
    return Fail(Errc::kInvalidArgument, "{}: the initrd is empty", initrd.name());
  }
  const uint64_t usable =
      input.memory.low_ram_bytes > input.acpi_bytes ? input.memory.low_ram_bytes - input.acpi_bytes : 0;
  const uint64_t end = std::min(usable, highest < UINT64_MAX ? highest + 1 : highest);
  const uint64_t floor = AlignUp(placement->kernel_end, kPageBytes);
  if (initrd.size() > end || AlignDown(end - initrd.size(), kPageBytes) < floor) {
    return Fail(Errc::kNoMemory,
                "{}: the initrd of {} KiB does not fit between the kernel, which ends at {:#x}, and {:#x}; "
                "give the guest more "
                "memory with -m",
                initrd.name(), initrd.size() / 1024, placement->kernel_end, end);
  }
  placement->initrd_base = AlignDown(end - initrd.size(), kPageBytes);
  return {};
}

Result<> WriteGdt(const GuestMemory& memory, CpuEntry::Mode mode, CpuEntry* entry, uint16_t code_selector) {
  const size_t code = code_selector / sizeof(uint64_t);
  std::array<uint64_t, 4> table = {};
  table.at(code) = mode == CpuEntry::Mode::kLong64 ? kCode64 : kCode32;
  table.at(code + 1) = kData;
  if (!memory.Store(Gpa{layout::kGdt}, table)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for its descriptor table", layout::kGdt);
  }
  entry->gdt_base = layout::kGdt;
  entry->gdt_limit = sizeof(table) - 1;
  entry->code_selector = code_selector;
  entry->data_selector = static_cast<uint16_t>(code_selector + sizeof(uint64_t));
  return {};
}

Result<> WriteIdentityMap(const GuestMemory& memory, CpuEntry* entry) {
  constexpr uint64_t kDirectories = layout::kFourGiB / (kLargePageBytes * kEntriesPerTable);
  constexpr uint64_t kPointers = layout::kPageTables + kPageBytes;
  constexpr uint64_t kFirstDirectory = kPointers + kPageBytes;
  std::vector<uint64_t> tables((2 + kDirectories) * kEntriesPerTable, 0);
  tables[0] = kPointers | kPresentWritable;
  for (uint64_t i = 0; i < kDirectories; i++) {
    tables[kEntriesPerTable + i] = (kFirstDirectory + i * kPageBytes) | kPresentWritable;
  }
  for (uint64_t i = 0; i < kDirectories * kEntriesPerTable; i++) {
    tables[2 * kEntriesPerTable + i] = i * kLargePageBytes | kPresentWritable | kLargePage;
  }
  if (!memory.Write(Gpa{layout::kPageTables}, tables.data(), tables.size() * sizeof(uint64_t))) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for its page tables", layout::kPageTables);
  }
  entry->cr3 = layout::kPageTables;
  return {};
}

Result<> WriteCommandLine(const GuestMemory& memory, const std::string& text) {
  if (!memory.Write(Gpa{layout::kCommandLine}, text.c_str(), text.size() + 1)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for the kernel command line",
                layout::kCommandLine);
  }
  return {};
}

}  // namespace nandu
