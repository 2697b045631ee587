// The DSDT of a q35 board, in the order a reader meets it: LPC bridge, interrupt links and routing,
// processors, resources, sleep states.
#include <string>

#include "base/checked.h"
#include "base/format.h"
#include "boot/acpi.h"
#include "boot/aml.h"
#include "boot/byte_writer.h"

namespace nandu {
namespace {

using aml::Code;
using aml::Serialized;

constexpr unsigned kSlots = 32;
constexpr unsigned kPins = 4;
constexpr uint32_t kFirstPirqGsi = 16;
constexpr uint8_t kLpcFunction = 0xf8;   // 1f.0
constexpr uint8_t kPresent = 0x0f;       // _STA: present, enabled, shown, functioning
constexpr uint8_t kHidden = 0x0b;        // ... not shown
constexpr uint8_t kLinkDisabled = 0x80;  // PIRQx_ROUT, bit 7
constexpr uint8_t kLinkIrqMask = 0x0f;
constexpr uint64_t kInterruptNumberOffset = 5;  // of an Interrupt descriptor's first number

Code HardwareId(std::string_view id) {
  const bool eisa = id.size() == 7 && id[0] >= 'A' && id[1] >= 'A' && id[2] >= 'A';
  return eisa ? aml::EisaId(id) : aml::String(id);
}

// Devices below the LPC bridge, as they describe themselves.
class IsaSink final : public AmlSink {
 public:
  void AddIsaDevice(const IsaDevice& device) override {
    Code resources;
    for (const IoResource& io : device.io) {
      resources += aml::IoPorts(io.base, 1, io.length);
    }
    if (device.irq >= 0) {
      resources += aml::IrqNoFlags(static_cast<unsigned>(device.irq));
    }
    Code body = {aml::Name("_HID", HardwareId(device.hid))};
    if (device.uid != 0) {
      body += aml::Name("_UID", aml::Integer(device.uid));
    }
    if (device.status) {
      body += aml::Name("_STA", aml::Integer(kPresent));
    }
    if (!resources.empty()) {
      body += aml::Name("_CRS", aml::ResourceTemplate(resources));
    }
    code_ += aml::Device(device.name, body);
  }
  const Code& code() const { return code_; }

 private:
  Code code_;
};

// A device that only claims resources, so that the OS gives them to nobody else.
Code ResourceHolder(std::string_view name, std::string_view uid, const Code& resources) {
  return aml::Device(
      name, {aml::Name("_HID", aml::String("PNP0A06")), aml::Name("_UID", aml::String(uid)),
             aml::Name("_STA", aml::Integer(kHidden)), aml::Name("_CRS", aml::ResourceTemplate(resources))});
}

Code OscMethod(const AcpiInput& input) {
  // PCI Firmware 3.2, 4.5.1: what the OS may control: PME, AER, capability structure, LTR; native hotplug
  // when asked for.
  const uint64_t granted = input.native_hotplug ? 0x1f : 0x1e;
  constexpr uint64_t kWrongRevision = 0x08;
  constexpr uint64_t kMasked = 0x10;
  constexpr uint64_t kWrongUuid = 0x04;
  const Code cdw1 = aml::Path("CDW1");
  const Code cdw3 = aml::Path("CDW3");
  return aml::Method("_OSC", 4, Serialized::kNo,
                     {aml::CreateDwordField(aml::Arg(3), aml::Integer(0), "CDW1"),
                      aml::If(aml::Equal(aml::Arg(0), aml::Uuid("33db4d5b-1ff7-401c-9657-7441c03dd766")),
                              {aml::CreateDwordField(aml::Arg(3), aml::Integer(8), "CDW3"),
                               aml::And(cdw3, aml::Integer(granted), aml::Local(0)),
                               aml::If(aml::Not(aml::Equal(aml::Arg(1), aml::Integer(1))),
                                       aml::Or(cdw1, aml::Integer(kWrongRevision), cdw1)),
                               aml::If(aml::Not(aml::Equal(cdw3, aml::Local(0))),
                                       aml::Or(cdw1, aml::Integer(kMasked), cdw1)),
                               aml::Store(aml::Local(0), cdw3)}),
                      aml::Else(aml::Or(cdw1, aml::Integer(kWrongUuid), cdw1)), aml::Return(aml::Arg(3))});
}

Code HostResources(const AcpiInput& input) {
  constexpr uint16_t kConfigPorts = 0xcf8;
  Code resources = {aml::BusNumbers(0, Narrow<uint16_t>((input.memory.ecam_bytes >> 20) - 1)),
                    aml::IoPorts(kConfigPorts, 1, 8), aml::IoWindow(0, kConfigPorts - 1),
                    aml::IoWindow(kConfigPorts + 8, 0xffff), aml::MemoryWindow32(0xa0000, 0xbffff, true)};
  for (const AddressWindow& window : input.pci_memory32) {
    resources += aml::MemoryWindow32(Narrow<uint32_t>(window.first), Narrow<uint32_t>(window.last), false);
  }
  if (input.pci_memory64.last != 0) {
    resources += aml::MemoryWindow64(input.pci_memory64.first, input.pci_memory64.last, true);
  }
  return resources;
}

Code HostBridge(const AcpiInput& input) {
  return aml::Device(
      "PCI0", {aml::Name("_HID", aml::EisaId("PNP0A08")), aml::Name("_CID", aml::EisaId("PNP0A03")),
               aml::Name("_ADR", aml::Integer(0)), aml::Name("_UID", aml::Integer(0)), OscMethod(input),
               aml::Name("_CRS", aml::ResourceTemplate(HostResources(input)))});
}

Code EcamHolder(const AcpiInput& input) {
  const Code window = aml::FixedMemory32(Narrow<uint32_t>(input.memory.ecam_base),
                                         Narrow<uint32_t>(input.memory.ecam_bytes), true);
  return aml::Device(
      "DRAC", {aml::Name("_HID", aml::EisaId("PNP0C01")), aml::Name("_CRS", aml::ResourceTemplate(window))});
}

// PIRQA..PIRQH are PRQA..PRQH in the bridge's configuration space (ICH9 datasheet, 13.1.15 and 13.1.17).
Code LpcBridge(const AcpiInput& input) {
  IsaSink isa;
  for (const AcpiContributor* contributor : input.isa_devices) {
    contributor->ContributeAcpi(isa);
  }
  const Code fields = aml::Field("\\_SB.PCI0.SF8.PIRQ", aml::FieldAccess::kByte, false,
                                 {{"PRQA", 8},
                                  {"PRQB", 8},
                                  {"PRQC", 8},
                                  {"PRQD", 8},
                                  {"", 32},
                                  {"PRQE", 8},
                                  {"PRQF", 8},
                                  {"PRQG", 8},
                                  {"PRQH", 8}});
  Code bridge = {aml::Name("_ADR", aml::Integer(0x001f0000)),
                 aml::OperationRegion("PIRQ", aml::RegionSpace::kPciConfig, 0x60, 0x0c)};
  bridge += isa.code();
  return {aml::Scope("\\_SB.PCI0", aml::Device("SF8", bridge)), aml::Scope("\\_SB", fields)};
}

Code OtherFunctions(const AcpiInput& input) {
  Code devices;
  for (const uint8_t devfn : input.root_functions) {
    if (devfn != kLpcFunction) {
      const uint64_t address = uint64_t{devfn} >> 3 << 16 | (devfn & 7u);
      devices += aml::Device(Format("S{:02X}", devfn), aml::Name("_ADR", aml::Integer(address)));
    }
  }
  return devices.empty() ? devices : aml::Scope("\\_SB.PCI0", devices);
}

// With the 8259s a link is routed by its register; the OS picks one of the interrupts the board leaves to
// PCI.
Code RegisterLink(unsigned index) {
  const char letter = static_cast<char>('A' + index);
  const Code reg = aml::Path(Format("PRQ{}", letter));
  const Code current = aml::Call("IQCR", {reg});
  return aml::Device(
      Format("LNK{}", letter),
      {aml::Name("_HID", aml::EisaId("PNP0C0F")), aml::Name("_UID", aml::Integer(index)),
       aml::Name("_PRS", aml::ResourceTemplate(aml::Interrupt({5, 10, 11}))),
       aml::Method("_STA", 0, Serialized::kNo, aml::Return(aml::Call("IQST", {reg}))),
       aml::Method("_DIS", 0, Serialized::kNo, aml::Or(reg, aml::Integer(kLinkDisabled), reg)),
       aml::Method("_CRS", 0, Serialized::kNo, aml::Return(current)),
       aml::Method("_SRS", 1, Serialized::kNo,
                   {aml::CreateDwordField(aml::Arg(0), aml::Integer(kInterruptNumberOffset), "PRRI"),
                    aml::Store(aml::Path("PRRI"), reg)})});
}

// With the IOAPIC each link is wired to its own input.
Code WiredLink(unsigned index) {
  const uint32_t gsi = kFirstPirqGsi + index;
  const Code resources = aml::ResourceTemplate(aml::Interrupt({gsi}));
  return aml::Device(
      Format("GSI{}", static_cast<char>('A' + index)),
      {aml::Name("_HID", aml::EisaId("PNP0C0F")), aml::Name("_UID", aml::Integer(gsi)),
       aml::Name("_PRS", resources), aml::Name("_CRS", resources),
       aml::Method("_DIS", 0, Serialized::kNo, {}), aml::Method("_SRS", 1, Serialized::kNo, {})});
}

Code InterruptLinks() {
  Code code = {
      aml::Method(
          "IQST", 1, Serialized::kNo,
          {aml::If(aml::And(aml::Integer(kLinkDisabled), aml::Arg(0)), aml::Return(aml::Integer(0x09))),
           aml::Return(aml::Integer(0x0b))}),
      aml::Method("IQCR", 1, Serialized::kYes,
                  {aml::Name("PRR0", aml::ResourceTemplate(aml::Interrupt({0}))),
                   aml::CreateDwordField(aml::Path("PRR0"), aml::Integer(kInterruptNumberOffset), "PRRI"),
                   aml::And(aml::Arg(0), aml::Integer(kLinkIrqMask), aml::Path("PRRI")),
                   aml::Return(aml::Path("PRR0"))})};
  for (unsigned i = 0; i < 8; i++) {
    code += RegisterLink(i);
  }
  for (unsigned i = 0; i < 8; i++) {
    code += WiredLink(i);
  }
  return aml::Scope("\\_SB", code);
}

// Which of PIRQA..H a slot's pin is wired to: devices of the chipset (25..29 and 31) to A..D, all others to
// E..H, turned by slot number except for slot 30.
unsigned PirqOf(unsigned slot, unsigned pin) {
  if (slot < 25) {
    return 4 + (slot + pin) % 4;
  }
  return slot == 30 ? 4 + pin : pin;
}

Code RoutingTable(std::string_view name, std::string_view link_prefix) {
  std::vector<Code> rows;
  for (unsigned slot = 0; slot < kSlots; slot++) {
    for (unsigned pin = 0; pin < kPins; pin++) {
      const std::string link = Format("{}{}", link_prefix, static_cast<char>('A' + PirqOf(slot, pin)));
      rows.push_back(aml::Package({aml::Integer(uint64_t{slot} << 16 | 0xffff), aml::Integer(pin),
                                   aml::Path(link), aml::Integer(0)}));
    }
  }
  return aml::Name(name, aml::Package(rows));
}

Code InterruptRouting() {
  return {aml::Name("\\PICF", aml::Integer(0)),
          aml::Method("\\_PIC", 1, Serialized::kNo, aml::Store(aml::Arg(0), aml::Path("\\PICF"))),
          aml::Scope("\\_SB.PCI0", {RoutingTable("PRTP", "LNK"), RoutingTable("PRTA", "GSI"),
                                    aml::Method("_PRT", 0, Serialized::kNo,
                                                {aml::If(aml::Equal(aml::Path("\\PICF"), aml::Integer(0)),
                                                         aml::Return(aml::Path("PRTP"))),
                                                 aml::Return(aml::Path("PRTA"))})})};
}

Code Processors(const AcpiInput& input) {
  Code cpus = {aml::Name("_HID", aml::String("ACPI0010")), aml::Name("_CID", aml::EisaId("PNP0A05"))};
  for (uint32_t uid = 0; uid < input.apic_ids.size(); uid++) {
    const uint32_t id = input.apic_ids[uid];
    const std::string name = Format("C{:03X}", uid);
    ByteWriter madt_entry;
    if (id < 255) {
      madt_entry.U8(0).U8(8).U8(uid).U8(id).U32(1);
    } else {
      madt_entry.U8(9).U8(16).U16(0).U32(id).U32(1).U32(uid);
    }
    const Code common = {aml::Name("_STA", aml::Integer(kPresent)),
                         aml::Name("_MAT", aml::Buffer(madt_entry.bytes()))};
    if (id < 255) {
      cpus += aml::Processor(name, Narrow<uint8_t>(uid), common);
    } else {
      cpus += aml::Device(
          name, {aml::Name("_HID", aml::String("ACPI0007")), aml::Name("_UID", aml::Integer(uid)), common});
    }
  }
  return aml::Scope("\\_SB", aml::Device("CPUS", cpus));
}

Code HpetDevice() {
  constexpr uint32_t kHpetBytes = 0x400;
  return aml::Scope(
      "\\_SB",
      aml::Device("HPET", {aml::Name("_HID", aml::EisaId("PNP0103")), aml::Name("_UID", aml::Integer(0)),
                           aml::Name("_STA", aml::Integer(kPresent)),
                           aml::Name("_CRS", aml::ResourceTemplate(
                                                 aml::FixedMemory32(acpi::kHpetBase, kHpetBytes, false)))}));
}

Code FwCfgDevice() {
  return aml::Scope(
      "\\_SB.PCI0",
      aml::Device("FWCF",
                  {aml::Name("_HID", aml::String("QEMU0002")), aml::Name("_STA", aml::Integer(kHidden)),
                   aml::Name("_CRS", aml::ResourceTemplate(aml::IoPorts(0x510, 1, 0x0c)))}));
}

Code SleepState(std::string_view name, uint64_t type) {
  return aml::Name(name,
                   aml::Package({aml::Integer(type), aml::Integer(type), aml::Integer(0), aml::Integer(0)}));
}

}  // namespace

std::vector<uint8_t> BuildDsdt(const AcpiInput& input) {
  Code body = {aml::Scope("\\_SB", {HostBridge(input), EcamHolder(input)}),
               LpcBridge(input),
               OtherFunctions(input),
               InterruptLinks(),
               InterruptRouting(),
               Processors(input),
               aml::Scope("\\_GPE", aml::Name("_HID", aml::String("ACPI0006"))),
               aml::Scope("\\_SB.PCI0", ResourceHolder("GPE0", "GPE0 resources",
                                                       aml::IoPorts(acpi::kGpe0, 1, acpi::kGpe0Bytes)))};
  if (input.hpet) {
    body += HpetDevice();
  }
  if (input.fw_cfg) {
    body += FwCfgDevice();
  }
  if (input.s3) {
    body += SleepState("\\_S3", 1);
  }
  if (input.s4) {
    body += SleepState("\\_S4", 2);
  }
  body += SleepState("\\_S5", 0);
  return MakeAcpiTable("DSDT", 1, body.bytes());
}

}  // namespace nandu
