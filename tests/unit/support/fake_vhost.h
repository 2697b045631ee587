// The kernel's half of a NIC: remembers what it was given, and serves a ring when the test says so.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/eventfd.h>
#include <vector>

#include <nandu/vhost.h>

namespace nandu {

class FakeVhostPair final : public VhostPair {
 public:
  uint64_t offered = 0x0000000130008000;  // VERSION_1, indirect, event index, mergeable buffers
  std::optional<uint64_t> accepted;
  std::vector<VhostRegion> memory;
  std::map<unsigned, VhostRing> rings;  // those that run
  unsigned memory_tables = 0;
  std::string refuse;  // not empty: what StartRing says
  std::function<void()> on_start;

  // Uses every entry the driver has made available, writing nothing into it, and interrupts; how many.
  unsigned Serve(unsigned ring) {
    VhostRing& at = rings.at(ring);
    const auto* available = static_cast<const uint16_t*>(at.available);
    auto* used = static_cast<uint16_t*>(at.used);
    auto* elements = reinterpret_cast<uint32_t*>(used + 2);
    unsigned served = 0;
    for (; at.next_avail != available[1]; ++at.next_avail, ++served) {
      const uint16_t slot = used[1] % at.size;
      elements[2 * slot] = available[2 + at.next_avail % at.size];
      elements[2 * slot + 1] = 0;
      ++used[1];
    }
    if (served > 0) {
      ::eventfd_write(at.call_fd, 1);
    }
    return served;
  }

  uint64_t features() const override { return offered; }
  Result<> SetFeatures(uint64_t features) override {
    accepted = features;
    return {};
  }
  Result<> SetMemory(std::span<const VhostRegion> regions) override {
    memory.assign(regions.begin(), regions.end());
    ++memory_tables;
    return {};
  }
  Result<> StartRing(unsigned ring, const VhostRing& at) override {
    if (on_start) {
      on_start();
    }
    if (!refuse.empty()) {
      return Fail(Errc::kIo, "{}", refuse);
    }
    rings[ring] = at;
    return {};
  }
  Result<> SetCall(unsigned ring, int call_fd) override {
    rings.at(ring).call_fd = call_fd;
    return {};
  }
  Result<uint16_t> StopRing(unsigned ring) override {
    const uint16_t next = rings.at(ring).next_avail;
    rings.erase(ring);
    return next;
  }
};

}  // namespace nandu
