#include "block/raw_node.h"

#include <algorithm>

#include "base/checked.h"
#include "block/image_format.h"

namespace nandu {

RawNode::RawNode(const RawConfig& config, std::shared_ptr<GraphNode> child, uint64_t size_bytes)
    : config_(config),
      child_(std::move(child)),
      size_bytes_(std::make_shared<std::atomic<uint64_t>>(size_bytes)) {}

Result<std::shared_ptr<RawNode>> RawNode::Create(const RawConfig& config, std::shared_ptr<GraphNode> child) {
  constexpr uint64_t kSector = 512;
  const uint64_t whole = child->limits().size_bytes;
  if (config.offset % kSector != 0 || config.size.value_or(0) % kSector != 0) {
    return Fail(Errc::kInvalidArgument, "offset and size of a raw image are multiples of 512");
  }
  uint64_t end = 0;
  if (config.offset > whole || AddOverflows(config.offset, config.size.value_or(0), &end) || end > whole) {
    return Fail(Errc::kInvalidArgument,
                "offset {} and size {} reach past the end of '{}', which has {} bytes", config.offset,
                config.size.value_or(0), child->node_name(), whole);
  }
  return std::shared_ptr<RawNode>(
      new RawNode(config, std::move(child), config.size.value_or(whole - config.offset)));
}

BlockLimits RawNode::limits() const {
  BlockLimits limits = child_->limits();
  limits.size_bytes = *size_bytes_;
  limits.read_only = limits.read_only || config_.read_only;
  limits.can_discard = limits.can_discard && !limits.read_only;
  limits.can_write_zeroes = limits.can_write_zeroes && !limits.read_only;
  if (config_.format_guessed) {
    limits.request_alignment = std::max<uint32_t>(limits.request_alignment, kProbeBytes);
  }
  return limits;
}

Result<std::unique_ptr<BlockChannel>> RawNode::OpenChannel(EventLoop& loop) {
  std::unique_ptr<BlockChannel> channel = TRY(child_->OpenChannel(loop));
  const bool whole = config_.offset == 0 && *size_bytes_ == child_->limits().size_bytes;
  if (whole && config_.unmap && config_.detect_zeroes == DetectZeroes::kOff && !config_.format_guessed) {
    return channel;
  }
  NodePolicy policy;
  policy.offset = config_.offset;
  policy.size_bytes = size_bytes_;
  policy.unmap = config_.unmap;
  policy.detect_zeroes = config_.detect_zeroes;
  policy.guard_format = config_.format_guessed;
  return std::make_unique<PolicyChannel>(loop, std::move(channel), policy);
}

std::string RawNode::NameAtChild(const std::string& user) const {
  return Format("{} (through '{}')", user, config_.node_name);
}

Result<> RawNode::AddUse(const std::string& user, const ImageUse& use) {
  if ((use.used & kPermissionWrite) != 0 && config_.read_only) {
    return Fail(Errc::kPermission, "'{}' is read-only", config_.node_name);
  }
  TRY(CheckUses(config_.node_name, users_, use));
  TRY(child_->AddUse(NameAtChild(user), use));
  users_.push_back({user, use});
  return {};
}

void RawNode::RemoveUse(const std::string& user) {
  if (EraseUse(&users_, user)) {
    child_->RemoveUse(NameAtChild(user));
  }
}

Result<> RawNode::CheckResize(uint64_t size_bytes) const {
  if (config_.offset != 0 || config_.size) {
    return Fail(Errc::kUnsupported,
                "it is a part of its file (offset=, size=), and such a part keeps its size");
  }
  if (config_.read_only) {
    return Fail(Errc::kPermission, "it is read-only");
  }
  return child_->CheckResize(size_bytes);
}

void RawNode::ShowNewSize() {
  child_->ShowNewSize();
  *size_bytes_ = child_->limits().size_bytes;
  TellSize();
}

NodeInfo RawNode::info() const {
  NodeInfo info = child_->info();
  info.child = info.node_name;
  info.node_name = config_.node_name;
  info.driver = driver();
  info.size_bytes = *size_bytes_;
  info.read_only = limits().read_only;
  info.detect_zeroes = config_.detect_zeroes;
  info.users.clear();
  for (const NodeUser& user : users_) {
    info.users.push_back(user.name);
  }
  return info;
}

}  // namespace nandu
