#include "boot/boot_loader.h"

#include "boot/layout.h"

namespace nandu {
namespace {

// Linux reserves memory from there on (arch/x86/kernel/ebda.c); zeroes would make it guess.
Result<> WriteBiosDataArea(const GuestMemory& memory) {
  constexpr auto kSegment = static_cast<uint16_t>(layout::kConventionalEnd >> 4);
  constexpr auto kKiB = static_cast<uint16_t>(layout::kConventionalEnd >> 10);
  if (!memory.Store(Gpa{layout::kEbdaSegmentWord}, kSegment) ||
      !memory.Store(Gpa{layout::kBaseMemoryWord}, kKiB)) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x}", layout::kEbdaSegmentWord);
  }
  return {};
}

}  // namespace

ImageInput BootLoader::input() const {
  return {.command_line = command_line_,
          .initrd = initrd_ ? &*initrd_ : nullptr,
          .modules = modules_,
          .memory = memory_,
          .acpi_bytes = acpi_.reserved_bytes()};
}

Result<std::unique_ptr<BootLoader>> BootLoader::Create(BootOptions options) {
  std::unique_ptr<BootLoader> loader(new BootLoader);
  loader->memory_ = options.acpi.memory;
  loader->acpi_ = TRY(AcpiTables::Build(options.acpi));
  options.smbios.memory = options.acpi.memory;
  loader->smbios_ = TRY(SmbiosTables::Build(options.smbios));
  loader->image_ = TRY(OpenGuestImage(std::move(options.kernel)));
  loader->initrd_ = std::move(options.initrd);
  loader->modules_ = std::move(options.modules);
  loader->command_line_ = std::move(options.command_line);
  TRY(loader->image_->Place(loader->input()));
  return loader;
}

Result<> BootLoader::SetAcpi(const AcpiInput& input) {
  AcpiTables tables = TRY(AcpiTables::Build(input));
  acpi_ = std::move(tables);
  return {};
}

Result<CpuEntry> BootLoader::Load(const GuestMemory& memory) const {
  TRY(WriteBiosDataArea(memory));
  TRY(acpi_.Write(memory));
  TRY(smbios_.Write(memory));
  return image_->Load(memory, input());
}

}  // namespace nandu
