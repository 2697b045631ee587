// The ACPI tables of a board without a place yet: their bytes, and what is to be filled in once it is known
// where they lie. One description for both ways to a guest: nandu places them itself (AcpiTables), or
// firmware does by a script that says the same (LoaderScript; QEMU, hw/acpi's "etc/table-loader"). Pure
// functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "boot/acpi.h"

namespace nandu {

// Memory that the tables consist of.
enum class AcpiPart : uint8_t { kTables, kRsdp, kGenerationId };
inline constexpr size_t kAcpiParts = 3;

// Adds the address of `target` to the number at `offset` of `part`: it becomes a pointer.
struct AcpiPointer {
  AcpiPart part = AcpiPart::kTables;
  uint32_t offset = 0;
  uint8_t bytes = 4;
  AcpiPart target = AcpiPart::kTables;
};
// Makes the bytes from `start` on add up to zero.
struct AcpiChecksum {
  AcpiPart part = AcpiPart::kTables;
  uint32_t offset = 0;  // of the checksum
  uint32_t start = 0;
  uint32_t bytes = 0;
};
struct AcpiStep {
  // One of the two, in the order they are done.
  std::optional<AcpiPointer> pointer;
  std::optional<AcpiChecksum> checksum;
  bool tell_generation_id = false;  // here firmware tells where it put the generation ID
};

struct AcpiImage {
  std::array<std::vector<uint8_t>, kAcpiParts> parts;  // the generation ID's is empty where there is none
  std::vector<AcpiStep> steps;

  std::vector<uint8_t>& tables() { return parts[static_cast<size_t>(AcpiPart::kTables)]; }
  const std::vector<uint8_t>& tables() const { return parts[static_cast<size_t>(AcpiPart::kTables)]; }
  const std::vector<uint8_t>& rsdp() const { return parts[static_cast<size_t>(AcpiPart::kRsdp)]; }
  const std::vector<uint8_t>& generation_id() const {
    return parts[static_cast<size_t>(AcpiPart::kGenerationId)];
  }
};

AcpiImage BuildAcpiImage(const AcpiInput& input);

// The image with its parts at these addresses (below 4 GiB): pointers and checksums are right.
AcpiImage PlaceAcpiImage(const AcpiImage& image, const std::array<uint64_t, kAcpiParts>& addresses);

// The same as commands for firmware, which finds the parts as fw_cfg files of these names.
namespace acpi_file {
inline constexpr std::string_view kTables = "etc/acpi/tables";
inline constexpr std::string_view kRsdp = "etc/acpi/rsdp";
inline constexpr std::string_view kGenerationId = "etc/vmgenid_guid";
inline constexpr std::string_view kGenerationIdAddress =
    "etc/vmgenid_addr";  // eight bytes, written by firmware
inline constexpr std::string_view kLoader = "etc/table-loader";
}  // namespace acpi_file
std::vector<uint8_t> LoaderScript(const AcpiImage& image);

}  // namespace nandu
