#include "boot/acpi.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "boot/acpi_image.h"
#include "boot/byte_writer.h"
#include "boot/layout.h"

namespace nandu {
namespace {

constexpr char kOemId[] = "BOCHS ";
constexpr char kCreatorId[] = "BXPC";
constexpr size_t kHeaderBytes = 36;
constexpr size_t kChecksumOffset = 9;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kHighWindowBytes = 32 * kGiB;  // QEMU's default pci-hole64-size
constexpr uint64_t kLowWindowEnd = 0xfebfffff;    // below the IOAPIC
constexpr uint16_t kLevelActiveHigh = 0x000d;     // MPS INTI flags, table 5.25
constexpr uint8_t kPciInterrupts[] = {5, 9, 10, 11};

// 5.2.3.2, generic address structure.
void GenericAddress(ByteWriter& to, uint8_t space, uint8_t bits, uint64_t address) {
  to.U8(space).U8(bits).U8(0).U8(0).U64(address);
}

void IoAddress(ByteWriter& to, uint8_t bytes, uint16_t port) {
  constexpr uint8_t kSystemIo = 1;
  GenericAddress(to, kSystemIo, static_cast<uint8_t>(8 * bytes), port);
}

bool NeedsX2Apic(const AcpiInput& input) {
  return std::any_of(input.apic_ids.begin(), input.apic_ids.end(),
                     [](uint32_t id) { return id >= acpi::kFirstX2ApicId; });
}

}  // namespace

void SetDefaultPciWindows(AcpiInput* input) {
  const MemoryLayout& memory = input->memory;
  const uint64_t ecam_end = memory.ecam_base + memory.ecam_bytes;
  input->pci_memory32.clear();
  if (memory.low_ram_bytes < memory.ecam_base) {
    input->pci_memory32.push_back({memory.low_ram_bytes, memory.ecam_base - 1});
  }
  input->pci_memory32.push_back({ecam_end, kLowWindowEnd});
  const uint64_t high = AlignUp(memory.high_ram_base + memory.high_ram_bytes, kGiB);
  input->pci_memory64 = {high, high + kHighWindowBytes - 1};
}

std::vector<uint8_t> MakeAcpiTable(const char* signature, uint8_t revision, const std::vector<uint8_t>& body,
                                   std::string_view table_id) {
  ByteWriter table;
  table.Text(signature, 4).U32(kHeaderBytes + body.size()).U8(revision).U8(0);
  table.Text(kOemId, 6).Text(table_id.data(), 8).U32(1).Text(kCreatorId, 4).U32(1).Bytes(body);
  std::vector<uint8_t> bytes = std::move(table.bytes());
  bytes[kChecksumOffset] = ChecksumOf(bytes.data(), bytes.size());
  return bytes;
}

std::vector<uint8_t> BuildMadt(const AcpiInput& input) {
  constexpr uint8_t kEnabled = 1;
  constexpr uint8_t kEveryProcessor = 0xff;
  ByteWriter body;
  body.U32(acpi::kLocalApicBase).U32(1);  // PC-AT compatible: 8259s are there
  for (uint32_t uid = 0; uid < input.apic_ids.size(); uid++) {
    const uint32_t id = input.apic_ids[uid];
    if (id < acpi::kFirstX2ApicId) {
      body.U8(0).U8(8).U8(uid).U8(id).U32(kEnabled);  // 5.2.12.2, local APIC
    } else {
      body.U8(9).U8(16).U16(0).U32(id).U32(kEnabled).U32(uid);  // 5.2.12.12, x2APIC
    }
  }
  body.U8(1).U8(12).U8(0).U8(0).U32(acpi::kIoApicBase).U32(0);  // 5.2.12.3: IOAPIC id 0, GSIs from 0
  body.U8(2).U8(10).U8(0).U8(0).U32(2).U16(0);                  // 5.2.12.5: the PIT's IRQ 0 is GSI 2
  for (const uint8_t irq : kPciInterrupts) {
    body.U8(2).U8(10).U8(0).U8(irq).U32(irq).U16(kLevelActiveHigh);
  }
  if (NeedsX2Apic(input)) {
    body.U8(10).U8(12).U16(0).U32(std::numeric_limits<uint32_t>::max()).U8(1).Zeroes(3);  // 5.2.12.13: NMI on
                                                                                          // LINT1
  } else {
    body.U8(4).U8(6).U8(kEveryProcessor).U16(0).U8(1);  // 5.2.12.7
  }
  return MakeAcpiTable("APIC", 1, body.bytes());
}

std::vector<uint8_t> BuildMcfg(const AcpiInput& input) {
  ByteWriter body;
  const uint64_t buses = input.memory.ecam_bytes >> 20;
  body.U64(0).U64(input.memory.ecam_base).U16(0).U8(0).U8(buses - 1).U32(0);
  return MakeAcpiTable("MCFG", 1, body.bytes());
}

std::vector<uint8_t> BuildHpetTable() {
  constexpr uint32_t kBlockId = 0x8086a201;  // IA-PC HPET 1.0a, 3.2.4: the capability register's low half
  ByteWriter body;
  body.U32(kBlockId);
  GenericAddress(body, 0, 0, acpi::kHpetBase);
  body.U8(0).U16(0).U8(0);
  return MakeAcpiTable("HPET", 1, body.bytes());
}

std::vector<uint8_t> BuildWaet() {
  constexpr uint32_t kPmTimerReadsOnce = 2;  // one read of the PM timer is reliable
  ByteWriter body;
  body.U32(kPmTimerReadsOnce);
  return MakeAcpiTable("WAET", 1, body.bytes());
}

std::vector<uint8_t> BuildFadt(const AcpiInput& input, uint64_t facs, uint64_t dsdt) {
  // Table 5.10, fixed feature flags: WBINVD, C1, sleep button is no fixed feature, RTC wakes from S4, reset
  // register, platform clock.
  constexpr uint32_t kFlags = 1u << 0 | 1u << 2 | 1u << 5 | 1u << 7 | 1u << 10 | 1u << 15;
  constexpr uint32_t kClusterModel = 1u << 18;
  constexpr size_t kFlatApicCpus = 8;
  constexpr uint16_t kNoCState = 0xfff;
  constexpr uint8_t kCenturyRegister = 0x32;
  constexpr uint16_t k8042Present = 1u << 1;
  ByteWriter body;
  body.U32(facs).U32(dsdt).U8(1).U8(0).U16(acpi::kSci);
  body.U32(acpi::kSmiCommandPort).U8(acpi::kAcpiEnable).U8(acpi::kAcpiDisable).U8(0).U8(0);
  body.U32(acpi::kPm1Event)
      .U32(0)
      .U32(acpi::kPm1Control)
      .U32(0)
      .U32(0)
      .U32(acpi::kPmTimer)
      .U32(acpi::kGpe0)
      .U32(0);
  body.U8(4).U8(2).U8(0).U8(4).U8(acpi::kGpe0Bytes).U8(0).U8(0).U8(0);
  body.U16(kNoCState).U16(kNoCState).U16(0).U16(0).U8(0).U8(0).U8(0).U8(0).U8(kCenturyRegister);
  body.U16(input.i8042 ? k8042Present : 0).U8(0);
  body.U32(kFlags | (input.apic_ids.size() > kFlatApicCpus ? kClusterModel : 0));
  IoAddress(body, 1, acpi::kResetPort);
  body.U8(acpi::kResetValue).U16(0).U8(0);
  body.U64(0).U64(dsdt);  // 5.2.9: X_FIRMWARE_CTRL is zero where FIRMWARE_CTRL is used
  IoAddress(body, 4, acpi::kPm1Event);
  GenericAddress(body, 0, 0, 0);
  IoAddress(body, 2, acpi::kPm1Control);
  GenericAddress(body, 0, 0, 0);
  GenericAddress(body, 0, 0, 0);
  IoAddress(body, 4, acpi::kPmTimer);
  IoAddress(body, acpi::kGpe0Bytes, acpi::kGpe0);
  GenericAddress(body, 0, 0, 0);
  return MakeAcpiTable("FACP", 3, body.bytes());
}

Result<AcpiTables> AcpiTables::Build(const AcpiInput& input) {
  const AcpiImage image = BuildAcpiImage(input);
  AcpiTables tables;
  const uint64_t page_bytes = image.generation_id().size();
  tables.reserved_bytes_ =
      std::max(layout::kAcpiMinimumBytes, AlignUp(image.tables().size(), 4096)) + page_bytes;
  if (input.memory.low_ram_bytes < layout::kOneMiB + tables.reserved_bytes_) {
    return Fail(
        Errc::kNoMemory,
        "the guest's {} KiB of memory have no room for the ACPI tables; give it 2 MiB at least with -m",
        input.memory.low_ram_bytes >> 10);
  }
  tables.base_ = input.memory.low_ram_bytes - tables.reserved_bytes_;
  tables.generation_id_page_ = page_bytes == 0 ? 0 : tables.base_ + tables.reserved_bytes_ - page_bytes;
  const AcpiImage placed = PlaceAcpiImage(image, {tables.base_, layout::kRsdp, tables.generation_id_page_});
  tables.bytes_ = placed.tables();
  tables.rsdp_ = placed.rsdp();
  tables.generation_id_ = placed.generation_id();
  return tables;
}

Result<> AcpiTables::Write(const GuestMemory& memory) const {
  if (generation_id_page_ != 0) {
    if (!memory.Write(Gpa{generation_id_page_}, generation_id_.data(), generation_id_.size())) {
      return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for its generation ID",
                  generation_id_page_);
    }
  }
  if (!memory.Write(Gpa{base_}, bytes_.data(), bytes_.size()) ||
      !memory.Write(Gpa{layout::kRsdp}, rsdp_.data(), rsdp_.size())) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} and {:#x} for its ACPI tables", base_,
                layout::kRsdp);
  }
  return {};
}

}  // namespace nandu
