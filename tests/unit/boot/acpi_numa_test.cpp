#include <gtest/gtest.h>

#include "boot/acpi.h"

namespace nandu {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

uint64_t Number(const std::vector<uint8_t>& bytes, size_t at, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value |= uint64_t{bytes.at(at + i)} << (8 * i);
  }
  return value;
}

struct Stretch {
  uint64_t node;
  uint64_t base;
  uint64_t bytes;
  uint64_t flags;
  bool operator==(const Stretch&) const = default;
};

void PrintTo(const Stretch& stretch, std::ostream* out) {
  *out << "node " << stretch.node << ": " << std::hex << stretch.base << " + " << stretch.bytes;
}

// The SRAT's memory entries, after its 12 bytes behind the header and its CPUs.
std::vector<Stretch> MemoryOf(const std::vector<uint8_t>& srat) {
  std::vector<Stretch> list;
  for (size_t at = 48; at < srat.size(); at += srat.at(at + 1)) {
    if (srat.at(at) == 1) {
      list.push_back({Number(srat, at + 2, 4), Number(srat, at + 8, 8), Number(srat, at + 16, 8),
                      Number(srat, at + 28, 4)});
    }
  }
  return list;
}

AcpiInput Board(uint64_t low, uint64_t high, std::vector<uint64_t> node_bytes) {
  AcpiInput input;
  input.memory = {.low_ram_bytes = low, .high_ram_bytes = high};
  input.apic_ids = {0, 1};
  input.numa.node_bytes = std::move(node_bytes);
  input.numa.node_of_cpu = {0, 1};
  return input;
}

TEST(Srat, NodesShareLowMemory) {
  const AcpiInput input = Board(512 * kMiB, 0, {256 * kMiB, 256 * kMiB});
  const std::vector<Stretch> wanted = {
      {0, 0, 640 << 10, 1}, {0, kMiB, 255 * kMiB, 1}, {1, 256 * kMiB, 256 * kMiB, 1}, {0, 0, 0, 0}};
  EXPECT_EQ(MemoryOf(BuildSrat(input)), wanted);
}

TEST(Srat, NodeAroundTheHoleHasBothSides) {
  const AcpiInput input = Board(2 * kGiB, 2 * kGiB, {kGiB, 3 * kGiB});
  const std::vector<Stretch> wanted = {
      {0, 0, 640 << 10, 1}, {0, kMiB, kGiB - kMiB, 1}, {1, kGiB, kGiB, 1}, {1, 4 * kGiB, 2 * kGiB, 1}};
  EXPECT_EQ(MemoryOf(BuildSrat(input)), wanted);
}

TEST(Srat, NodeThatBeginsAtTheHoleLiesAboveIt) {
  const AcpiInput input = Board(2 * kGiB, 2 * kGiB, {2 * kGiB, 2 * kGiB});
  const std::vector<Stretch> wanted = {
      {0, 0, 640 << 10, 1}, {0, kMiB, 2 * kGiB - kMiB, 1}, {1, 4 * kGiB, 2 * kGiB, 1}, {0, 0, 0, 0}};
  EXPECT_EQ(MemoryOf(BuildSrat(input)), wanted);
}

TEST(Srat, NodeWithoutMemoryHasNoEntry) {
  const AcpiInput input = Board(512 * kMiB, 0, {512 * kMiB, 0});
  const std::vector<Stretch> wanted = {
      {0, 0, 640 << 10, 1}, {0, kMiB, 511 * kMiB, 1}, {0, 0, 0, 0}, {0, 0, 0, 0}};
  EXPECT_EQ(MemoryOf(BuildSrat(input)), wanted);
}

TEST(Srat, CpusAreNamedByTheirApicId) {
  AcpiInput input = Board(512 * kMiB, 0, {512 * kMiB, 0});
  input.apic_ids = {2, 300};
  input.numa.node_of_cpu = {0, 1};
  const std::vector<uint8_t> srat = BuildSrat(input);
  EXPECT_EQ(Number(srat, 48, 2), 0x1000U);  // a local APIC
  EXPECT_EQ(srat.at(48 + 2), 0);            // its node
  EXPECT_EQ(srat.at(48 + 3), 2);
  EXPECT_EQ(Number(srat, 64, 2), 0x1802U);  // an x2APIC
  EXPECT_EQ(Number(srat, 64 + 4, 4), 1U);   // its node
  EXPECT_EQ(Number(srat, 64 + 8, 4), 300U);
}

TEST(Slit, DistancesAreRowByRow) {
  NumaInput numa;
  numa.distances = {{10, 20}, {21, 10}};
  const std::vector<uint8_t> slit = BuildSlit(numa);
  EXPECT_EQ(Number(slit, 36, 8), 2U);
  EXPECT_EQ(Number(slit, 44, 4), 0x0a15140aU);
}

}  // namespace
}  // namespace nandu
