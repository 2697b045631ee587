// What a node adds to the requests that pass it: where in the child they go, which discards it lets through,
// whether zeroes are looked for, and what may not be written to the first sector of an image whose format was
// guessed. Nothing of it costs a request that it does not change.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <nandu/block.h>

#include "block/options.h"

namespace nandu {

struct NodePolicy {
  uint64_t offset = 0;                                      // of the node's first byte in the child
  std::shared_ptr<const std::atomic<uint64_t>> size_bytes;  // the node's; it may grow
  bool unmap = false;  // discards, and write-zeroes that deallocate, are passed on
  DetectZeroes detect_zeroes = DetectZeroes::kOff;
  bool guard_format =
      false;  // the format was guessed: nothing written may make the guess another one next time
};

class PolicyChannel final : public BlockChannel {
 public:
  PolicyChannel(EventLoop& loop, std::unique_ptr<BlockChannel> child, const NodePolicy& policy);
  ~PolicyChannel() override;
  void Submit(BlockRequest* request) override;

 private:
  // A request of our own that stands for the caller's.
  struct Passed : BlockRequest {
    PolicyChannel* channel = nullptr;
    BlockRequest* caller = nullptr;
    std::vector<iovec> vector;  // with the guarded sector replaced by our copy
    std::vector<std::byte> first_sector;
  };

  void Answer(BlockRequest* request, BlkStatus status);  // without asking the child
  Passed* Take(BlockRequest* request);
  bool GuardFirstSector(Passed* passed);

  EventLoop& loop_;
  const std::unique_ptr<BlockChannel> child_;
  const NodePolicy policy_;
  size_t answering_ = 0;
  std::vector<std::unique_ptr<Passed>> all_;
  std::vector<Passed*> idle_;
};

// Whether every byte of the vector is 0.
bool IsZero(std::span<const iovec> vector);

}  // namespace nandu
