// Tables the user brings in files: -smbios and -acpitable.
#include <algorithm>
#include <fcntl.h>

#include "boot/acpi_user_table.h"
#include "machine/machine_impl.h"

namespace nandu {
namespace {

Result<std::vector<uint8_t>> ReadTableFile(Opener& opener, const std::string& path) {
  constexpr uint64_t kMostBytes = 64 << 10;  // SMBIOS tables hold less, and so does the room ACPI tables have
  UniqueFd fd = TRY(opener.Open(path, O_RDONLY));
  const BootFile file = TRY(BootFile::FromFd(std::move(fd), path));
  if (file.size() > kMostBytes) {
    return Fail(Errc::kInvalidArgument, "{} has {} bytes; a table has {} at most", path, file.size(),
                kMostBytes);
  }
  std::vector<uint8_t> bytes(file.size());
  TRY(file.Read(0, bytes.data(), bytes.size()));
  return bytes;
}

}  // namespace

Result<> Machine::Impl::ReadSmbiosFiles() {
  smbios = config.smbios.fields;
  for (const SmbiosConfig::OemString& wanted : config.smbios.oem_strings) {
    if (!wanted.in_file) {
      smbios.oem_strings.push_back(wanted.text);
      continue;
    }
    const std::vector<uint8_t> bytes = TRY(Prefix(ReadTableFile(*opener, wanted.text), "-smbios type=11"));
    smbios.oem_strings.emplace_back(bytes.begin(), std::ranges::find(bytes, uint8_t{0}));
    if (smbios.oem_strings.back().empty()) {
      return Fail(Errc::kInvalidArgument, "-smbios type=11: {} holds no string", wanted.text);
    }
  }
  for (const std::string& path : config.smbios.structure_files) {
    std::vector<uint8_t> bytes = TRY(Prefix(ReadTableFile(*opener, path), "-smbios"));
    TRY(Prefix(CheckSmbiosStructure(bytes), Format("-smbios file={}", path)));
    if (std::ranges::find(config.smbios.given_types, bytes[0]) != config.smbios.given_types.end()) {
      return Fail(Errc::kInvalidArgument, "-smbios file={}: its type {} is given by fields as well", path,
                  bytes[0]);
    }
    smbios.structures.push_back(std::move(bytes));
  }
  return {};
}

Result<> Machine::Impl::ReadAcpiTables() {
  for (const AcpiTableConfig& table : config.acpi_tables) {
    std::vector<uint8_t> content;
    for (const std::string& path : table.files) {
      const std::vector<uint8_t> bytes = TRY(Prefix(ReadTableFile(*opener, path), "-acpitable"));
      content.insert(content.end(), bytes.begin(), bytes.end());
    }
    acpi_tables.push_back(TRY(Prefix(MakeUserAcpiTable(table.fields, table.whole, content), "-acpitable")));
  }
  return {};
}

}  // namespace nandu
