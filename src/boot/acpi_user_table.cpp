#include "boot/acpi_user_table.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "boot/byte_writer.h"

namespace nandu {
namespace {

// Offsets in the header (5.2.6, table 5.4).
constexpr size_t kLength = 4;
constexpr size_t kRevision = 8;
constexpr size_t kChecksum = 9;
constexpr size_t kOemId = 10;
constexpr size_t kOemTableId = 16;
constexpr size_t kOemRevision = 24;
constexpr size_t kCreatorId = 28;
constexpr size_t kCreatorRevision = 32;
constexpr size_t kHeaderBytes = 36;

void PutNumber(std::vector<uint8_t>& table, size_t at, uint32_t value) {
  for (size_t i = 0; i < sizeof(value); i++) {
    table[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

Result<> PutText(std::vector<uint8_t>& table, size_t at, size_t size, std::string_view name,
                 const std::optional<std::string>& text) {
  if (!text) {
    return {};
  }
  if (text->size() > size) {
    return Fail(Errc::kInvalidArgument, "{}={} is longer than {} characters", name, *text, size);
  }
  std::fill_n(table.begin() + static_cast<std::ptrdiff_t>(at), size, uint8_t{0});
  std::ranges::copy(*text, table.begin() + static_cast<std::ptrdiff_t>(at));
  return {};
}

std::vector<uint8_t> DefaultHeader() {
  std::vector<uint8_t> header(kHeaderBytes);
  std::memcpy(header.data(), "QEMU", 4);
  header[kRevision] = 1;
  std::memcpy(&header[kOemId], "QEMUQEQEMUQEMU", 14);
  header[kOemRevision] = 1;
  std::memcpy(&header[kCreatorId], "QEMU", 4);
  header[kCreatorRevision] = 1;
  return header;
}

}  // namespace

Result<std::vector<uint8_t>> MakeUserAcpiTable(const AcpiTableFields& fields, bool whole,
                                               std::span<const uint8_t> content) {
  if (whole && content.size() < kHeaderBytes) {
    return Fail(Errc::kInvalidArgument,
                "{} bytes are no ACPI table: its header alone has {} (data= takes a table without one)",
                content.size(), kHeaderBytes);
  }
  std::vector<uint8_t> table = whole ? std::vector<uint8_t>{} : DefaultHeader();
  table.insert(table.end(), content.begin(), content.end());
  if (fields.sig && fields.sig->size() != 4) {
    return Fail(Errc::kInvalidArgument, "sig={}: a signature has 4 characters", *fields.sig);
  }
  TRY(PutText(table, 0, 4, "sig", fields.sig));
  TRY(PutText(table, kOemId, 6, "oem_id", fields.oem_id));
  TRY(PutText(table, kOemTableId, 8, "oem_table_id", fields.oem_table_id));
  TRY(PutText(table, kCreatorId, 4, "asl_compiler_id", fields.asl_compiler_id));
  table[kRevision] = fields.rev.value_or(table[kRevision]);
  if (fields.oem_rev) {
    PutNumber(table, kOemRevision, *fields.oem_rev);
  }
  if (fields.asl_compiler_rev) {
    PutNumber(table, kCreatorRevision, *fields.asl_compiler_rev);
  }
  PutNumber(table, kLength, Narrow<uint32_t>(table.size()));
  table[kChecksum] = 0;
  table[kChecksum] = ChecksumOf(table.data(), table.size());
  return table;
}

std::optional<std::span<const uint8_t>> SlicMaker(std::span<const std::vector<uint8_t>> tables) {
  for (const std::vector<uint8_t>& table : tables) {
    if (std::memcmp(table.data(), "SLIC", 4) == 0) {
      return std::span(table).subspan(kOemId, kOemRevision - kOemId);
    }
  }
  return std::nullopt;
}

}  // namespace nandu
