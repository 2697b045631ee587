// A queue pair that the host's kernel serves: rings, guest memory and eventfds are handed over and taken back. Linux's vhost interface
// (linux/vhost.h) as a device sees it; the pair behind it is the network backend's (net/vhost_net.h). Any thread, one call at a time.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace nandu {

// Guest memory that the rings and buffers may lie in.
struct VhostRegion {
  uint64_t guest = 0;  // guest-physical
  uint64_t bytes = 0;
  void* host = nullptr;
};

// A split ring at its place in this process, and where it goes on.
struct VhostRing {
  uint16_t size = 0;
  uint16_t next_avail = 0;
  void* descriptors = nullptr;
  void* available = nullptr;
  void* used = nullptr;
  int kick_fd = -1;  // eventfds: the guest's doorbell, and what the kernel writes for an interrupt
  int call_fd = -1;
};

class VhostPair {
 public:
  VhostPair() = default;
  VhostPair(const VhostPair&) = delete;
  VhostPair& operator=(const VhostPair&) = delete;
  virtual ~VhostPair() = default;

  static constexpr unsigned kRx = 0;
  static constexpr unsigned kTx = 1;

  virtual uint64_t features() const = 0;                                    // virtio's bits that it can do
  virtual Result<> SetFeatures(uint64_t accepted) = 0;                      // the driver's; while no ring runs
  virtual Result<> SetMemory(std::span<const VhostRegion> regions) = 0;     // before the first ring, and while they run
  virtual Result<> StartRing(unsigned ring, const VhostRing& at) = 0;
  virtual Result<> SetCall(unsigned ring, int call_fd) = 0;                 // of a ring that runs; over when it returns
  // Nothing touches the ring or guest memory afterwards. The next available entry it would have taken.
  virtual Result<uint16_t> StopRing(unsigned ring) = 0;
};

}  // namespace nandu
