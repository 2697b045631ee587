// The raw format: a node whose bytes are its child's, or a part of them. Control loop; see BlockNode for what
// any thread may call.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/graph_node.h"
#include "block/policy_channel.h"

namespace nandu {

struct RawConfig {
  std::string node_name;
  bool read_only = false;
  bool unmap = false;
  DetectZeroes detect_zeroes = DetectZeroes::kOff;
  bool format_guessed = false;  // nobody said raw: the first sector must keep looking like it
  uint64_t offset = 0;
  std::optional<uint64_t> size;  // absent: to the child's end
};

class RawNode final : public GraphNode {
 public:
  static Result<std::shared_ptr<RawNode>> Create(const RawConfig& config, std::shared_ptr<GraphNode> child);
  ~RawNode() override = default;

  // BlockNode
  const std::string& node_name() const override { return config_.node_name; }
  std::string_view driver() const override { return "raw"; }
  BlockLimits limits() const override;
  std::string_view engine() const override { return child_->engine(); }
  Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) override;
  Result<> ReleaseImage() override { return child_->ReleaseImage(); }
  Result<> ClaimImage() override { return child_->ClaimImage(); }

  // GraphNode
  Result<> AddUse(const std::string& user, const ImageUse& use) override;
  void RemoveUse(const std::string& user) override;
  const std::vector<NodeUser>& users() const override { return users_; }
  bool configured_read_only() const override { return config_.read_only || child_->configured_read_only(); }
  NodeInfo info() const override;
  Result<> FlushImage() override { return child_->FlushImage(); }
  Result<> CheckResize(uint64_t size_bytes) const override;
  Result<> ReadBlocking(uint64_t offset, std::span<const iovec> into) override {
    return child_->ReadBlocking(config_.offset + offset, into);
  }
  Result<> ResizeImage(uint64_t size_bytes) override { return child_->ResizeImage(size_bytes); }
  void ShowNewSize() override;

 private:
  RawNode(const RawConfig& config, std::shared_ptr<GraphNode> child, uint64_t size_bytes);
  std::string NameAtChild(const std::string& user) const;

  const RawConfig config_;
  const std::shared_ptr<GraphNode> child_;
  const std::shared_ptr<std::atomic<uint64_t>> size_bytes_;
  std::vector<NodeUser> users_;
};

}  // namespace nandu
