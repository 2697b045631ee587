// Linux's vhost-net: one queue pair of a tap served by a kernel thread. linux/vhost.h; Linux
// drivers/vhost/vhost.c says which order its ioctls want. See VhostPair for threads.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nandu/vhost.h>

#include "base/unique_fd.h"
#include "sandbox/opener.h"

namespace nandu {

struct VhostNetOptions {
  bool tap_header = true;  // the tap's frames carry a virtio_net_hdr
  uint32_t poll_us = 0;    // how long the kernel polls a ring before it sleeps
};

class VhostNet final : public VhostPair {
 public:
  static Result<UniqueFd> OpenDevice(Opener& opener);  // /dev/vhost-net
  // `device`: one descriptor per pair, ours or inherited. `tap` is the pair's.
  static Result<std::shared_ptr<VhostNet>> Create(UniqueFd device, std::shared_ptr<UniqueFd> tap,
                                                  const VhostNetOptions& options);
  ~VhostNet() override = default;  // closing stops what runs

  uint64_t features() const override { return features_; }
  Result<> SetFeatures(uint64_t accepted) override;
  Result<> SetMemory(std::span<const VhostRegion> regions) override;
  Result<> StartRing(unsigned ring, const VhostRing& at) override;
  Result<> SetCall(unsigned ring, int call_fd) override;
  Result<uint16_t> StopRing(unsigned ring) override;

 private:
  VhostNet(UniqueFd device, std::shared_ptr<UniqueFd> tap, const VhostNetOptions& options)
      : device_(std::move(device)), tap_(std::move(tap)), options_(options) {}
  template <class Argument>
  Result<> Call(unsigned long request, Argument* argument, const char* name) const;
  Result<> SetUpRing(unsigned ring, const VhostRing& at) const;

  const UniqueFd device_;
  const std::shared_ptr<UniqueFd> tap_;
  const VhostNetOptions options_;
  uint64_t features_ = 0;
};

}  // namespace nandu
