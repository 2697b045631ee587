#include "boot/fw_cfg_data.h"

#include "boot/byte_writer.h"

namespace nandu {

std::vector<uint8_t> LittleEndianItem(uint64_t value, unsigned bytes) {
  std::vector<uint8_t> item;
  for (unsigned i = 0; i < bytes; i++) {
    item.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  return item;
}

std::vector<uint8_t> E820File(const MemoryLayout& memory) {
  constexpr uint32_t kRam = 1;
  constexpr uint32_t kReserved = 2;
  // AMD I/O virtualization (48882), table 3: special address controls of HyperTransport.
  constexpr uint64_t kHyperTransport = 0xfd00000000;
  constexpr uint64_t kHyperTransportBytes = 0x300000000;
  // Pages KVM needs for real mode on Intel: identity map and TSS.
  constexpr uint64_t kRealModePages = 0xfeffc000;
  constexpr uint64_t kRealModeBytes = 0x4000;
  ByteWriter file;
  file.U64(kRealModePages).U64(kRealModeBytes).U32(kReserved);
  if (memory.hypertransport_hole) {
    file.U64(kHyperTransport).U64(kHyperTransportBytes).U32(kReserved);
  }
  file.U64(0).U64(memory.low_ram_bytes).U32(kRam);
  if (memory.high_ram_bytes != 0) {
    file.U64(memory.high_ram_base).U64(memory.high_ram_bytes).U32(kRam);
  }
  return std::move(file.bytes());
}

std::vector<uint8_t> SystemStatesFile(bool s3, bool s4) {
  constexpr uint8_t kThere = 0x80;
  constexpr uint8_t kSuspendToRam = 1;
  constexpr uint8_t kSuspendToDisk = 2;
  return {kThere,
          0,
          0,
          static_cast<uint8_t>(kSuspendToRam | (s3 ? kThere : 0)),
          static_cast<uint8_t>(kSuspendToDisk | (s4 ? kThere : 0)),
          kThere};
}

std::vector<uint8_t> NumaItem(const AcpiInput& input, uint32_t apic_ids) {
  ByteWriter item;
  item.U64(input.numa.node_bytes.size());
  for (uint32_t id = 0; id < apic_ids; id++) {
    uint64_t node = 0;
    for (size_t cpu = 0; cpu < input.apic_ids.size() && cpu < input.numa.node_of_cpu.size(); cpu++) {
      node = input.apic_ids[cpu] == id ? input.numa.node_of_cpu[cpu] : node;
    }
    item.U64(node);
  }
  for (const uint64_t bytes : input.numa.node_bytes) {
    item.U64(bytes);
  }
  return std::move(item.bytes());
}

std::vector<uint8_t> HpetItem(bool present) {
  // IA-PC HPET 1.0a, 3.2.4. Eight descriptions of 15 bytes; the board has one HPET.
  constexpr uint32_t kBlockId = 0x8086a201;
  constexpr size_t kItemBytes = 1 + 8 * 15;
  ByteWriter item;
  item.U8(present ? 1 : 0);
  if (present) {
    item.U32(kBlockId).U64(acpi::kHpetBase);
  }
  item.Zeroes(kItemBytes - item.size());
  return std::move(item.bytes());
}

std::vector<uint8_t> BootOrderFile(const std::vector<std::string>& paths, bool strict) {
  std::string text;
  for (const std::string& path : paths) {
    text += (text.empty() ? "" : "\n") + path;
  }
  if (!text.empty() && strict) {
    text += "\nHALT";
  }
  std::vector<uint8_t> file(text.begin(), text.end());
  if (!file.empty()) {
    file.push_back(0);
  }
  return file;
}

}  // namespace nandu
