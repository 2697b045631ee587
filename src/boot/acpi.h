// The ACPI tables of a q35 board: what is in them (AcpiInput), and their bytes at their place (AcpiTables).
// Specification: ACPI 6.5. Ports, GSIs, names and OEM ids are QEMU's, so that a guest finds the board it
// knows. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <nandu/acpi_contributor.h>

#include "base/result.h"
#include "boot/boot_plan.h"
#include "memory/guest_memory.h"

namespace nandu {

struct AddressWindow {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive
  bool operator==(const AddressWindow&) const = default;
};

// Which memory and which vCPUs are near each other.
struct NumaInput {
  std::vector<uint64_t> node_bytes;             // by node, in guest-physical order; empty: no NUMA
  std::vector<uint32_t> node_of_cpu;            // by vCPU index
  std::vector<std::vector<uint8_t>> distances;  // [from][to], 10 is local; empty: none are told
};

struct AcpiInput {
  MemoryLayout memory;
  std::vector<uint32_t> apic_ids;  // by vCPU index
  // Where PCI BARs may lie. DefaultPciWindows fills them as QEMU's q35 does.
  std::vector<AddressWindow> pci_memory32;
  AddressWindow pci_memory64;  // last 0: none
  std::vector<uint8_t>
      root_functions;  // devfns on the root bus, one Device each; the LPC bridge at 1f.0 is always there
  std::vector<const AcpiContributor*> isa_devices;  // below the LPC bridge
  NumaInput numa;
  bool i8042 = true;  // FADT: 8042 present
  bool hpet = true;
  bool mcfg = true;             // false: firmware has given ECAM no address yet
  bool fw_cfg = false;          // QEMU0002 at 0x510
  bool s3 = false;              // \_S3: suspend to RAM
  bool s4 = true;               // \_S4: suspend to disk, which ends the VM like \_S5
  bool native_hotplug = false;  // _OSC grants PCIe native hotplug
  std::vector<std::vector<uint8_t>> user_tables;  // whole, from MakeUserAcpiTable; the last ones listed
  // The VM generation ID as a guest reads it; none: there is no such device.
  std::optional<std::array<uint8_t, 16>> generation_id;
};

void SetDefaultPciWindows(AcpiInput* input);

// The board's fixed numbers, shared with the devices that answer at them.
namespace acpi {
inline constexpr uint16_t kPmBase = 0x600;
inline constexpr uint16_t kPm1Event = kPmBase + 0x00;
inline constexpr uint16_t kPm1Control = kPmBase + 0x04;
inline constexpr uint16_t kPmTimer = kPmBase + 0x08;
inline constexpr uint16_t kGpe0 = kPmBase + 0x20;
inline constexpr uint8_t kGpe0Bytes = 16;
inline constexpr uint16_t kSmiCommandPort = 0xb2;
inline constexpr uint8_t kAcpiEnable = 2;
inline constexpr uint8_t kAcpiDisable = 3;
inline constexpr uint16_t kResetPort = 0xcf9;
inline constexpr uint8_t kResetValue = 0x0f;
inline constexpr unsigned kSci = 9;
inline constexpr uint32_t kIoApicBase = 0xfec00000;
inline constexpr uint32_t kLocalApicBase = 0xfee00000;
inline constexpr uint32_t kHpetBase = 0xfed00000;
inline constexpr unsigned kGenerationIdGpe = 5;
inline constexpr uint64_t kGenerationIdOffset = 40;  // in its page: where QEMU's firmware finds it
inline constexpr uint32_t kFirstX2ApicId = 255;      // 5.2.12.12: ids that do not fit a local APIC entry
}  // namespace acpi

// One table: a header with QEMU's OEM ids, the body, and a checksum.
std::vector<uint8_t> MakeAcpiTable(const char* signature, uint8_t revision, const std::vector<uint8_t>& body,
                                   std::string_view table_id = "BXPC    ");

std::vector<uint8_t> BuildDsdt(const AcpiInput& input);
std::vector<uint8_t> BuildMadt(const AcpiInput& input);
std::vector<uint8_t> BuildSrat(const AcpiInput& input);
std::vector<uint8_t> BuildSlit(const NumaInput& numa);
std::vector<uint8_t> BuildMcfg(const AcpiInput& input);
std::vector<uint8_t> BuildHpetTable();
std::vector<uint8_t> BuildWaet();
std::vector<uint8_t> BuildGenerationIdSsdt(uint64_t page);
std::vector<uint8_t> BuildFadt(const AcpiInput& input, uint64_t facs, uint64_t dsdt);

class AcpiTables {
 public:
  // Fails when the tables leave the guest no memory below 4 GiB.
  static Result<AcpiTables> Build(const AcpiInput& input);

  uint64_t base() const { return base_; }                      // of the tables, at the end of low RAM
  uint64_t reserved_bytes() const { return reserved_bytes_; }  // from base() to the end of low RAM
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  // Of the page with the VM generation ID, the last of the reserved ones; 0: there is none.
  uint64_t generation_id_page() const { return generation_id_page_; }
  const std::vector<uint8_t>& rsdp() const { return rsdp_; }  // for layout::kRsdp

  Result<> Write(const GuestMemory& memory) const;

 private:
  uint64_t base_ = 0;
  uint64_t reserved_bytes_ = 0;
  uint64_t generation_id_page_ = 0;
  std::vector<uint8_t> generation_id_;  // the page
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> rsdp_;
};

}  // namespace nandu
