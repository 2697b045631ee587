// SRAT and SLIT: which vCPUs and which memory belong to which node, and how far nodes are from each other.
// ACPI 6.5, sections 5.2.16 and 5.2.17.
#include <algorithm>

#include "boot/acpi.h"
#include "boot/byte_writer.h"
#include "boot/layout.h"

namespace nandu {
namespace {

constexpr uint32_t kEnabled = 1;

// What firmware and devices have of a PC's address space: no node's memory.
struct Hole {
  uint64_t begin;
  uint64_t end;
};

// 5.2.16.2, memory affinity.
void MemoryAffinity(ByteWriter& to, uint32_t node, uint64_t base, uint64_t bytes, uint32_t flags) {
  to.U8(1).U8(40).U32(node).U16(0).U64(base).U64(bytes).U32(0).U32(flags).U64(0);
}

void CpuAffinity(ByteWriter& to, uint32_t node, uint32_t apic_id) {
  if (apic_id < acpi::kFirstX2ApicId) {
    // 5.2.16.1, local APIC affinity; the node's number is in two places.
    to.U8(0)
        .U8(16)
        .U8(node & 0xff)
        .U8(apic_id)
        .U32(kEnabled)
        .U8(0)
        .U8(node >> 8 & 0xff)
        .U16(node >> 16)
        .U32(0);
  } else {
    to.U8(2).U8(24).U16(0).U32(node).U32(apic_id).U32(kEnabled).U32(0).U32(0);  // 5.2.16.3, x2APIC
  }
}

// A node's stretch of RAM, without what lies in the holes. RAM resumes behind the upper hole with all its
// bytes, and behind the lower one without those that would lie inside it. Answers where the next node begins.
uint64_t NodeMemory(ByteWriter& to, const MemoryLayout& memory, uint32_t node, uint64_t base, uint64_t bytes,
                    unsigned* entries) {
  constexpr Hole kLegacy = {640 << 10, layout::kOneMiB};
  const auto add = [&](uint64_t from, uint64_t count) {
    if (count != 0) {
      MemoryAffinity(to, node, from, count, kEnabled);
      ++*entries;
    }
  };
  uint64_t end = base + bytes;
  if (base <= kLegacy.begin && end > kLegacy.begin) {
    add(base, kLegacy.begin - base);
    if (end <= kLegacy.end) {
      return kLegacy.end;
    }
    base = kLegacy.end;
  }
  if (base <= memory.low_ram_bytes && end > memory.low_ram_bytes) {
    add(base, memory.low_ram_bytes - base);
    end = memory.high_ram_base + (end - memory.low_ram_bytes);
    base = memory.high_ram_base;
  }
  add(base, end - base);
  return end;
}

}  // namespace

std::vector<uint8_t> BuildSrat(const AcpiInput& input) {
  ByteWriter body;
  body.U32(1).U64(0);  // 5.2.16: reserved, must be 1
  for (size_t cpu = 0; cpu < input.apic_ids.size(); ++cpu) {
    CpuAffinity(body, input.numa.node_of_cpu.at(cpu), input.apic_ids[cpu]);
  }
  uint64_t base = 0;
  unsigned entries = 0;
  const size_t nodes = input.numa.node_bytes.size();
  for (uint32_t node = 0; node < nodes; ++node) {
    base = NodeMemory(body, input.memory, node, base, input.numa.node_bytes[node], &entries);
  }
  // As many entries whatever the size of RAM, as QEMU, so that the table keeps its length.
  for (; entries < nodes + 2; ++entries) {
    MemoryAffinity(body, 0, 0, 0, 0);
  }
  return MakeAcpiTable("SRAT", 1, body.bytes());
}

std::vector<uint8_t> BuildSlit(const NumaInput& numa) {
  ByteWriter body;
  body.U64(numa.distances.size());
  for (const std::vector<uint8_t>& row : numa.distances) {
    body.Bytes(row);
  }
  return MakeAcpiTable("SLIT", 1, body.bytes());
}

}  // namespace nandu
