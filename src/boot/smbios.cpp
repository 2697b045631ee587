#include "boot/smbios.h"

#include <algorithm>

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
constexpr uint8_t kUnknown = 2;
constexpr uint8_t kOther = 1;
constexpr uint8_t kSafe = 3;

// Structures one after the other; keeps what the entry points need: count and largest size.
class Structures {
 public:
  // DSP0134, 6.1.2: header (type, length, handle), fields, strings, two zeroes at the end.
  void Add(uint8_t type, uint16_t handle, ByteWriter fields, const std::vector<std::string>& strings = {}) {
    const size_t before = out_.size();
    out_.U8(type).U8(fields.size() + 4).U16(handle).Bytes(fields.bytes());
    for (const std::string& text : strings) {
      out_.Text(text, text.size() + 1);
    }
    out_.Zeroes(strings.empty() ? 2 : 1);
    largest_ = std::max(largest_, out_.size() - before);
    count_++;
  }
  std::vector<uint8_t> Take() { return std::move(out_.bytes()); }
  size_t largest() const { return largest_; }
  size_t count() const { return count_; }

 private:
  ByteWriter out_;
  size_t largest_ = 0;
  size_t count_ = 0;
};

void AddBios(Structures& to, const SmbiosInput& input) {
  constexpr uint64_t kCharacteristicsUnsupported = 1 << 3;
  constexpr uint8_t kTargetedContent = 1 << 2;  // extension byte 2, as SeaBIOS writes it
  ByteWriter fields;
  fields.U8(1)
      .U8(2)
      .U16(0xe800)
      .U8(3)
      .U8(0)
      .U64(kCharacteristicsUnsupported)
      .U8(0)
      .U8(kTargetedContent)
      .U8(0)
      .U8(0)
      .U8(0xff)
      .U8(0xff);
  to.Add(0, 0x0000, std::move(fields), {input.bios_vendor, input.bios_version, input.bios_date});
}

void AddSystem(Structures& to, const SmbiosInput& input) {
  // 7.2.1: the first three fields of the UUID are little-endian.
  constexpr std::array<uint8_t, 16> kOrder = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  constexpr uint8_t kPowerSwitch = 6;
  ByteWriter fields;
  fields.U8(1).U8(2).U8(3).U8(0);
  for (const uint8_t at : kOrder) {
    fields.U8(input.uuid[at]);
  }
  fields.U8(kPowerSwitch).U8(0).U8(0);
  to.Add(1, 0x0100, std::move(fields), {input.manufacturer, input.product, input.version});
}

void AddChassis(Structures& to, const SmbiosInput& input) {
  ByteWriter fields;
  fields.U8(1)
      .U8(kOther)
      .U8(2)
      .U8(0)
      .U8(0)
      .U8(kSafe)
      .U8(kSafe)
      .U8(kSafe)
      .U8(kUnknown)
      .U32(0)
      .U8(0)
      .U8(0)
      .U8(0)
      .U8(0)
      .U8(0);
  to.Add(3, 0x0300, std::move(fields), {input.manufacturer, input.version});
}

void AddProcessor(Structures& to, const SmbiosInput& input, unsigned socket) {
  constexpr uint8_t kCentralProcessor = 3;
  constexpr uint16_t kMegahertz = 2000;
  constexpr uint8_t kPopulatedEnabled = 0x41;
  const unsigned cores = input.cores_per_socket;
  const unsigned threads = cores * input.threads_per_core;
  ByteWriter fields;
  fields.U8(1)
      .U8(kCentralProcessor)
      .U8(kOther)
      .U8(2)
      .U32(input.cpuid_signature)
      .U32(input.cpuid_features)
      .U8(3);
  fields.U8(0).U16(0).U16(kMegahertz).U16(kMegahertz).U8(kPopulatedEnabled).U8(kOther);
  fields.U16(kUnknown16).U16(kUnknown16).U16(kUnknown16).U8(0).U8(0).U8(0);
  fields.U8(std::min(cores, 255u)).U8(std::min(cores, 255u)).U8(std::min(threads, 255u));
  fields.U16(kUnknown).U16(kOther);
  if (input.entry_point == SmbiosEntryPoint::k30) {
    fields.U16(cores).U16(cores).U16(threads);  // 3.0: counts above 255
  }
  to.Add(4, Narrow<uint16_t>(0x0400 + socket), std::move(fields),
         {Format("CPU {}", socket), input.manufacturer, input.version});
}

void AddMemory(Structures& to, const SmbiosInput& input) {
  constexpr uint8_t kSystemMemory = 3;
  constexpr uint8_t kMultiBitEcc = 6;
  constexpr uint64_t kMostKiB = 0x80000000;  // from here on sizes are in the extended fields
  constexpr uint64_t kMostModuleMiB = 0x7fff;
  constexpr uint8_t kDimm = 9;
  constexpr uint8_t kRam = 7;
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
    const bool extended = mib >= kMostModuleMiB;
    ByteWriter module;
    module.U16(kMemoryArrayHandle).U16(kNoErrorInformation).U16(kUnknown16).U16(kUnknown16);
    module.U16(extended ? kMostModuleMiB : mib).U8(kDimm).U8(0).U8(1).U8(0).U8(kRam).U16(kUnknown).U16(0);
    module.U8(2).U8(0).U8(0).U8(0).U8(0).U32(extended ? mib : 0).U16(0).U16(0).U16(0).U16(0);
    to.Add(17, Narrow<uint16_t>(0x1100 + i), std::move(module), {Format("DIMM {}", i), input.manufacturer});
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
    add_range(layout::kFourGiB, input.memory.high_ram_bytes);
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

Result<SmbiosTables> SmbiosTables::Build(const SmbiosInput& input) {
  Structures structures;
  AddBios(structures, input);
  AddSystem(structures, input);
  AddChassis(structures, input);
  for (unsigned socket = 0; socket < input.sockets; socket++) {
    AddProcessor(structures, input, socket);
  }
  AddMemory(structures, input);
  structures.Add(32, 0x2000, std::move(ByteWriter().Zeroes(7)));
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
