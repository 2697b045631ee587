#include "boot/smbios.h"

#include <algorithm>
#include <charconv>

#include "base/checked.h"
#include "boot/byte_writer.h"
#include "boot/layout.h"

namespace nandu {
namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr uint64_t kModuleBytes = 16 * kGiB;  // QEMU splits RAM into modules of this size
constexpr uint16_t kUnknown16 = 0xffff;
constexpr uint16_t kNoErrorInformation = 0xfffe;
constexpr uint16_t kMemoryArrayHandle = 0x1000;
constexpr uint16_t kChassisHandle = 0x0300;
constexpr uint8_t kUnknown = 2;
constexpr uint8_t kOther = 1;
constexpr uint8_t kSafe = 3;

// Structures one after the other; keeps what the entry points need: count and largest size.
class Structures {
 public:
  // DSP0134, 6.1.2: header (type, length, handle), fields, strings, two zeroes at the end.
  void Add(uint8_t type, uint16_t handle, ByteWriter fields, const std::vector<std::string>& strings = {}) {
    if (std::ranges::find(replaced_, type) != replaced_.end()) {
      return;
    }
    const size_t before = out_.size();
    out_.U8(type).U8(fields.size() + 4).U16(handle).Bytes(fields.bytes());
    for (const std::string& text : strings) {
      out_.Text(text, text.size() + 1);
    }
    out_.Zeroes(strings.empty() ? 2 : 1);
    Count(out_.size() - before);
  }
  // A whole structure of the user's; none of the board's of its type is added after it.
  void AddWhole(const std::vector<uint8_t>& bytes) {
    out_.Bytes(bytes);
    replaced_.push_back(bytes[0]);
    Count(bytes.size());
  }
  std::vector<uint8_t> Take() { return std::move(out_.bytes()); }
  size_t largest() const { return largest_; }
  size_t count() const { return count_; }

 private:
  void Count(size_t bytes) {
    largest_ = std::max(largest_, bytes);
    count_++;
  }

  ByteWriter out_;
  std::vector<uint8_t> replaced_;  // types
  size_t largest_ = 0;
  size_t count_ = 0;
};

// The strings of one structure and the numbers that name them, 1 and up; 0 names none.
class Strings {
 public:
  uint8_t Add(const std::string& text) {
    if (text.empty()) {
      return 0;
    }
    all_.push_back(text);
    return Narrow<uint8_t>(all_.size());
  }
  uint8_t Add(const std::optional<std::string>& text) { return Add(text.value_or("")); }
  const std::vector<std::string>& all() const { return all_; }

 private:
  std::vector<std::string> all_;
};

void AddBios(Structures& to, const SmbiosInput& input) {
  constexpr uint64_t kCharacteristicsUnsupported = 1 << 3;
  constexpr uint8_t kTargetedContent = 1 << 2;  // extension byte 2
  constexpr uint8_t kUefi = 1 << 3;
  constexpr uint8_t kVirtualMachine = 1 << 4;
  const std::optional<SmbiosBios>& given = input.options.bios;
  Strings strings;
  ByteWriter fields;
  fields.U8(strings.Add(given ? given->vendor : input.bios_vendor));
  fields.U8(strings.Add(given ? given->version : input.bios_version)).U16(0xe800);
  fields.U8(strings.Add(given ? given->date : input.bios_date)).U8(0).U64(kCharacteristicsUnsupported).U8(0);
  if (given) {
    const auto release =
        given->release ? SmbiosRelease(*given->release).value() : std::pair<uint8_t, uint8_t>();
    fields.U8(kTargetedContent | kVirtualMachine | (given->uefi ? kUefi : 0))
        .U8(release.first)
        .U8(release.second);
  } else {
    fields.U8(kTargetedContent).U8(0).U8(0);  // as SeaBIOS writes it
  }
  fields.U8(0xff).U8(0xff);
  to.Add(0, 0x0000, std::move(fields), strings.all());
}

void AddSystem(Structures& to, const SmbiosInput& input) {
  // 7.2.1: the first three fields of the UUID are little-endian.
  constexpr std::array<uint8_t, 16> kOrder = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  constexpr uint8_t kPowerSwitch = 6;
  const SmbiosSystem& given = input.options.system;
  Strings strings;
  ByteWriter fields;
  fields.U8(strings.Add(given.manufacturer.value_or(input.manufacturer)));
  fields.U8(strings.Add(given.product.value_or(input.product)));
  fields.U8(strings.Add(given.version.value_or(input.version))).U8(strings.Add(given.serial));
  for (const uint8_t at : kOrder) {
    fields.U8(input.uuid[at]);
  }
  fields.U8(kPowerSwitch).U8(strings.Add(given.sku)).U8(strings.Add(given.family));
  to.Add(1, 0x0100, std::move(fields), strings.all());
}

void AddBoard(Structures& to, const SmbiosInput& input) {
  constexpr uint8_t kHostingBoard = 1;
  constexpr uint8_t kMotherboard = 10;
  const SmbiosBoard& given = *input.options.board;
  Strings strings;
  ByteWriter fields;
  fields.U8(strings.Add(given.manufacturer.value_or(input.manufacturer)));
  fields.U8(strings.Add(given.product.value_or(input.product)));
  fields.U8(strings.Add(given.version.value_or(input.version))).U8(strings.Add(given.serial));
  fields.U8(strings.Add(given.asset)).U8(kHostingBoard).U8(strings.Add(given.location)).U16(kChassisHandle);
  fields.U8(kMotherboard).U8(0);
  to.Add(2, 0x0200, std::move(fields), strings.all());
}

void AddChassis(Structures& to, const SmbiosInput& input) {
  const SmbiosChassis& given = input.options.chassis;
  Strings strings;
  ByteWriter fields;
  fields.U8(strings.Add(given.manufacturer.value_or(input.manufacturer))).U8(kOther);
  fields.U8(strings.Add(given.version.value_or(input.version))).U8(strings.Add(given.serial));
  fields.U8(strings.Add(given.asset)).U8(kSafe).U8(kSafe).U8(kSafe).U8(kUnknown).U32(0).Zeroes(4);
  fields.U8(strings.Add(given.sku));
  to.Add(3, kChassisHandle, std::move(fields), strings.all());
}

void AddProcessor(Structures& to, const SmbiosInput& input, unsigned socket) {
  constexpr uint8_t kCentralProcessor = 3;
  constexpr uint8_t kPopulatedEnabled = 0x41;
  const SmbiosProcessor& given = input.options.processor;
  const unsigned cores = input.cores_per_socket;
  const unsigned threads = cores * input.threads_per_core;
  const uint64_t cpuid = input.cpuid_signature | uint64_t{input.cpuid_features} << 32;
  Strings strings;
  ByteWriter fields;
  fields.U8(strings.Add(Format("{} {}", given.sock_pfx, socket))).U8(kCentralProcessor).U8(kOther);
  fields.U8(strings.Add(given.manufacturer.value_or(input.manufacturer)));
  fields.U64(given.processor_id.value_or(cpuid)).U8(strings.Add(given.version.value_or(input.version)));
  fields.U8(0).U16(0).U16(given.max_speed).U16(given.current_speed).U8(kPopulatedEnabled).U8(kOther);
  fields.U16(kUnknown16).U16(kUnknown16).U16(kUnknown16);
  fields.U8(strings.Add(given.serial)).U8(strings.Add(given.asset)).U8(strings.Add(given.part));
  fields.U8(std::min(cores, 255u)).U8(std::min(cores, 255u)).U8(std::min(threads, 255u));
  fields.U16(kUnknown).U16(kOther);
  if (input.entry_point == SmbiosEntryPoint::k30) {
    fields.U16(cores).U16(cores).U16(threads);  // 3.0: counts above 255
  }
  to.Add(4, Narrow<uint16_t>(0x0400 + socket), std::move(fields), strings.all());
}

void AddPorts(Structures& to, const SmbiosInput& input) {
  uint16_t handle = 0x0000;  // QEMU's, although the BIOS has 0 already
  for (const SmbiosPort& given : input.options.ports) {
    constexpr uint8_t kNoInternalConnector = 0;
    Strings strings;
    ByteWriter fields;
    fields.U8(strings.Add(given.internal_reference)).U8(kNoInternalConnector);
    fields.U8(strings.Add(given.external_reference)).U8(given.connector_type).U8(given.port_type);
    to.Add(8, handle++, std::move(fields), strings.all());
  }
}

Result<> AddOnboard(Structures& to, const SmbiosInput& input) {
  constexpr uint8_t kEnabled = 0x80;
  uint16_t handle = 0x2900;
  for (const SmbiosOnboard& given : input.options.onboard) {
    uint8_t devfn = 0;
    if (given.pcidev) {
      const auto found = input.root_functions.find(*given.pcidev);
      if (found == input.root_functions.end()) {
        return Fail(Errc::kNotFound, "-smbios type=41: there is no PCI device '{}' on the root bus",
                    *given.pcidev);
      }
      devfn = found->second;
    }
    Strings strings;
    ByteWriter fields;
    fields.U8(strings.Add(given.designation))
        .U8(kEnabled | static_cast<unsigned>(given.kind))
        .U8(given.instance);
    fields.U16(0).U8(0).U8(devfn);  // segment and bus 0
    to.Add(41, handle++, std::move(fields), strings.all());
  }
  return {};
}

void AddMemoryModule(Structures& to, const SmbiosInput& input, uint64_t number, uint64_t mib) {
  constexpr uint64_t kMostModuleMiB = 0x7fff;
  constexpr uint8_t kDimm = 9;
  constexpr uint8_t kRam = 7;
  const SmbiosMemoryModule& given = input.options.memory_module;
  const bool extended = mib >= kMostModuleMiB;
  Strings strings;
  ByteWriter module;
  module.U16(kMemoryArrayHandle).U16(kNoErrorInformation).U16(kUnknown16).U16(kUnknown16);
  module.U16(extended ? kMostModuleMiB : mib).U8(kDimm).U8(0);
  module.U8(strings.Add(Format("{} {}", given.loc_pfx, number))).U8(strings.Add(given.bank));
  module.U8(kRam).U16(kUnknown).U16(given.speed);
  module.U8(strings.Add(given.manufacturer.value_or(input.manufacturer))).U8(strings.Add(given.serial));
  module.U8(strings.Add(given.asset)).U8(strings.Add(given.part)).U8(0).U32(extended ? mib : 0);
  module.U16(given.speed).U16(0).U16(0).U16(0);
  to.Add(17, Narrow<uint16_t>(0x1100 + number), std::move(module), strings.all());
}

void AddMemory(Structures& to, const SmbiosInput& input) {
  constexpr uint8_t kSystemMemory = 3;
  constexpr uint8_t kMultiBitEcc = 6;
  constexpr uint64_t kMostKiB = 0x80000000;  // from here on sizes are in the extended fields
  const uint64_t total = input.memory.low_ram_bytes + input.memory.high_ram_bytes;
  const uint64_t modules = std::max<uint64_t>(1, (total + kModuleBytes - 1) / kModuleBytes);

  const bool big = total / kKiB >= kMostKiB;
  ByteWriter array;
  array.U8(kOther)
      .U8(kSystemMemory)
      .U8(kMultiBitEcc)
      .U32(big ? kMostKiB : total / kKiB)
      .U16(kNoErrorInformation);
  array.U16(modules).U64(big ? total : 0);
  to.Add(16, kMemoryArrayHandle, std::move(array));

  for (uint64_t i = 0; i < modules; i++) {
    const uint64_t mib = std::min(kModuleBytes, total - i * kModuleBytes) / kMiB;
    AddMemoryModule(to, input, i, mib);
  }

  uint16_t handle = 0x1300;
  const auto add_range = [&to, &handle](uint64_t first, uint64_t bytes) {
    const uint64_t first_kib = first / kKiB;
    const uint64_t last_kib = (first + bytes) / kKiB - 1;
    const bool extended = last_kib >= UINT32_MAX;
    ByteWriter range;
    range.U32(extended ? UINT32_MAX : first_kib)
        .U32(extended ? UINT32_MAX : last_kib)
        .U16(kMemoryArrayHandle)
        .U8(1);
    range.U64(extended ? first : 0).U64(extended ? first + bytes - 1 : 0);
    to.Add(19, handle++, std::move(range));
  };
  add_range(0, input.memory.low_ram_bytes);
  if (input.memory.high_ram_bytes != 0) {
    add_range(input.memory.high_ram_base, input.memory.high_ram_bytes);
  }
}

// DSP0134, 5.2.1.
std::vector<uint8_t> Entry28(const Structures& structures, size_t bytes) {
  constexpr size_t kIntermediate = 16;
  ByteWriter entry;
  entry.Text("_SM_", 4).U8(0).U8(31).U8(2).U8(8).U16(structures.largest()).U8(0).Zeroes(5);
  entry.Text("_DMI_", 5).U8(0).U16(bytes).U32(layout::kSmbiosTables).U16(structures.count()).U8(0x28);
  std::vector<uint8_t> out = std::move(entry.bytes());
  out[kIntermediate + 5] = ChecksumOf(out.data() + kIntermediate, out.size() - kIntermediate);
  out[4] = ChecksumOf(out.data(), out.size());
  return out;
}

// DSP0134, 5.2.2.
std::vector<uint8_t> Entry30(size_t bytes) {
  ByteWriter entry;
  entry.Text("_SM3_", 5).U8(0).U8(24).U8(3).U8(0).U8(0).U8(1).U8(0).U32(bytes).U64(layout::kSmbiosTables);
  std::vector<uint8_t> out = std::move(entry.bytes());
  out[5] = ChecksumOf(out.data(), out.size());
  return out;
}

}  // namespace

Result<std::pair<uint8_t, uint8_t>> SmbiosRelease(const std::string& text) {
  const size_t dot = std::min(text.find('.'), text.size());
  unsigned parts[2] = {};
  const std::string_view words[2] = {std::string_view(text).substr(0, dot),
                                     std::string_view(text).substr(std::min(dot + 1, text.size()))};
  for (size_t i = 0; i < 2; ++i) {
    const char* const end = words[i].data() + words[i].size();
    const auto parsed = std::from_chars(words[i].data(), end, parts[i]);
    if (parsed.ec != std::errc() || parsed.ptr != end || parts[i] > UINT8_MAX) {
      return Fail(Errc::kInvalidArgument, "release={} is no pair of numbers below 256 such as 1.2", text);
    }
  }
  return std::pair(Narrow<uint8_t>(parts[0]), Narrow<uint8_t>(parts[1]));
}

Result<> CheckSmbiosStructure(const std::vector<uint8_t>& bytes) {
  constexpr size_t kHeader = 4;
  constexpr size_t kEnd = 2;
  const size_t formatted = bytes.size() > 1 ? bytes[1] : 0;
  if (formatted < kHeader || formatted + kEnd > bytes.size()) {
    return Fail(Errc::kInvalidArgument, "this is no SMBIOS structure: its length field does not fit {} bytes",
                bytes.size());
  }
  // The strings end where two zeroes follow each other, and so does the file.
  size_t at = formatted;
  while (at + kEnd < bytes.size() && (bytes[at] != 0 || bytes[at + 1] != 0)) {
    ++at;
  }
  if (at + kEnd != bytes.size() || bytes[at] != 0 || bytes[at + 1] != 0) {
    return Fail(Errc::kInvalidArgument, "this is no single SMBIOS structure that ends in two zeroes");
  }
  return {};
}

Result<SmbiosTables> SmbiosTables::Build(const SmbiosInput& input) {
  return Assemble(input, /*with_bios=*/true);
}

Result<SmbiosTables> SmbiosTables::BuildForFirmware(const SmbiosInput& input) {
  // DSP0134, 5.2.1 and 5.2.2: where checksums and the address of the structures are.
  const bool old = input.entry_point == SmbiosEntryPoint::k28;
  SmbiosTables tables = TRY(Assemble(input, input.options.bios.has_value()));
  const auto clear = [&tables](size_t at, size_t bytes) {
    std::fill_n(tables.entry_.begin() + static_cast<ptrdiff_t>(at), bytes, uint8_t{0});
  };
  clear(old ? 4 : 5, 1);
  clear(old ? 24 : 16, old ? 4 : 8);
  if (old) {
    clear(21, 1);
  }
  return tables;
}

Result<SmbiosTables> SmbiosTables::Assemble(const SmbiosInput& input, bool with_bios) {
  Structures structures;
  for (const std::vector<uint8_t>& whole : input.options.structures) {
    structures.AddWhole(whole);
  }
  if (with_bios) {
    AddBios(structures, input);
  }
  AddSystem(structures, input);
  if (input.options.board) {
    AddBoard(structures, input);
  }
  AddChassis(structures, input);
  for (unsigned socket = 0; socket < input.sockets; socket++) {
    AddProcessor(structures, input, socket);
  }
  AddPorts(structures, input);
  if (const std::vector<std::string>& strings = input.options.oem_strings; !strings.empty()) {
    structures.Add(11, 0x0e00, std::move(ByteWriter().U8(strings.size())), strings);
  }
  AddMemory(structures, input);
  structures.Add(32, 0x2000, std::move(ByteWriter().Zeroes(7)));
  TRY(AddOnboard(structures, input));
  structures.Add(127, 0x7f00, {});

  SmbiosTables tables;
  tables.structures_ = structures.Take();
  if (tables.structures_.size() > layout::kSmbiosTablesEnd - layout::kSmbiosTables) {
    return Fail(Errc::kInvalidArgument,
                "the SMBIOS description of {} sockets and its memory has {} bytes; {} are possible",
                input.sockets, tables.structures_.size(), layout::kSmbiosTablesEnd - layout::kSmbiosTables);
  }
  tables.entry_ = input.entry_point == SmbiosEntryPoint::k28 ? Entry28(structures, tables.structures_.size())
                                                             : Entry30(tables.structures_.size());
  return tables;
}

Result<> SmbiosTables::Write(const GuestMemory& memory) const {
  if (!memory.Write(Gpa{layout::kSmbiosTables}, structures_.data(), structures_.size()) ||
      !memory.Write(Gpa{layout::kSmbiosEntry}, entry_.data(), entry_.size())) {
    return Fail(Errc::kNoMemory, "the guest has no RAM at {:#x} for its SMBIOS tables", layout::kSmbiosEntry);
  }
  return {};
}

}  // namespace nandu
