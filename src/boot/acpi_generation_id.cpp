// The table of the VM generation ID: where it is, and the event that tells of a new one. Microsoft, "Virtual
// Machine Generation ID" (2012); names are those of QEMU's docs/specs/vmgenid.txt.
#include "base/checked.h"
#include "boot/acpi.h"
#include "boot/aml.h"

namespace nandu {

using aml::Code;

std::vector<uint8_t> BuildGenerationIdSsdt(uint64_t page) {
  constexpr uint64_t kPresent = 0x0f;
  constexpr uint8_t kChanged = 0x80;
  const Code address = aml::Path("VGIA");
  const Code low = aml::Add(address, aml::Integer(acpi::kGenerationIdOffset));
  const Code device = aml::Device(
      "VGEN",
      {aml::Name("_HID", aml::String("QEMUVGID")), aml::Name("_CID", aml::String("VM_Gen_Counter")),
       aml::Name("_DDN", aml::String("VM_Gen_Counter")),
       aml::Method("_STA", 0, aml::Serialized::kNo,
                   {aml::Store(aml::Integer(kPresent), aml::Local(0)),
                    aml::If(aml::Equal(address, aml::Integer(0)), aml::Store(aml::Integer(0), aml::Local(0))),
                    aml::Return(aml::Local(0))}),
       aml::Method("ADDR", 0, aml::Serialized::kNo,
                   {aml::Store(aml::PackageOf(2), aml::Local(0)),
                    aml::Store(low, aml::Index(aml::Local(0), aml::Integer(0))),
                    aml::Store(aml::Integer(0), aml::Index(aml::Local(0), aml::Integer(1))),
                    aml::Return(aml::Local(0))})});
  const Code body = {
      aml::Name("VGIA", aml::Dword(Narrow<uint32_t>(page))), aml::Scope("\\_SB", device),
      aml::Method("\\_GPE._E05", 0, aml::Serialized::kNo, aml::Notify("\\_SB.VGEN", kChanged))};
  return MakeAcpiTable("SSDT", 1, body.bytes(), std::string_view("VMGENID\0", 8));
}

}  // namespace nandu
