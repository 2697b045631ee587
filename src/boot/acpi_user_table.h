// -acpitable: an ACPI table that the user brings, whole or as a body with header fields. Pure functions, any
// thread. Source: ACPI 6.5, 5.2.6 (system description table header); the option's fields and defaults are
// QEMU's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

// What replaces the header's fields; the length and the checksum follow from the table.
struct AcpiTableFields {
  std::optional<std::string> sig;  // 4 characters
  std::optional<uint8_t> rev;
  std::optional<std::string> oem_id;        // up to 6 characters
  std::optional<std::string> oem_table_id;  // up to 8
  std::optional<uint32_t> oem_rev;
  std::optional<std::string> asl_compiler_id;  // up to 4
  std::optional<uint32_t> asl_compiler_rev;
};
inline std::span<const WireName> WireNames(const AcpiTableFields* /*type*/) {
  static constexpr WireName kNames[] = {{"oem_id", "oem_id"},
                                        {"oem_table_id", "oem_table_id"},
                                        {"oem_rev", "oem_rev"},
                                        {"asl_compiler_id", "asl_compiler_id"},
                                        {"asl_compiler_rev", "asl_compiler_rev"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(AcpiTableFields, (),
                      (sig, rev, oem_id, oem_table_id, oem_rev, asl_compiler_id, asl_compiler_rev))

// The table from what its files hold: with `whole` that begins with a header, else one is put before it
// (signature "QEMU", revision 1 and QEMU's OEM ids, where `fields` say nothing). Fails where a field is too
// long, or a whole table is shorter than its header.
Result<std::vector<uint8_t>> MakeUserAcpiTable(const AcpiTableFields& fields, bool whole,
                                               std::span<const uint8_t> content);

// An operating system that looks for its licence in a SLIC table wants RSDT and FADT to be of the same maker:
// the OEM id and OEM table id (14 bytes at offset 10) of the first such table among `tables`; none without
// one.
std::optional<std::span<const uint8_t>> SlicMaker(std::span<const std::vector<uint8_t>> tables);

}  // namespace nandu
