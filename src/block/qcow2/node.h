// The qcow2 format as a node: the format library (image.h) on a strand, under channels that know the way to
// what is already allocated. Control loop; see BlockNode for what any thread may call.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/graph_node.h"
#include "block/options.h"
#include "block/qcow2/node_image.h"

namespace nandu {

struct Qcow2Config {
  std::string node_name;
  bool read_only = false;
  bool auto_read_only = false;
  bool force_share = false;
  bool unmap = false;
  bool write_through = false;
  DetectZeroes detect_zeroes = DetectZeroes::kOff;
  std::optional<bool> lazy_refcounts;
  std::optional<uint64_t> cache_size, l2_cache_size, l2_cache_entry_size, refcount_cache_size;  // bytes
};

class Qcow2Node final : public GraphNode {
 public:
  // `file` (and `data_file`, null without one) are protocol nodes; `backing` null: none. Reads the image and
  // blocks as the disk does.
  static Result<std::shared_ptr<Qcow2Node>> Create(const Qcow2Config& config, std::shared_ptr<GraphNode> file,
                                                   std::shared_ptr<GraphNode> data_file,
                                                   std::shared_ptr<GraphNode> backing);
  ~Qcow2Node() override;

  const qcow2::Qcow2Counters& counters() const { return image_->counters; }  // any thread

  // BlockNode
  const std::string& node_name() const override { return config_.node_name; }
  std::string_view driver() const override { return "qcow2"; }
  BlockLimits limits() const override;
  std::string_view engine() const override { return file_->engine(); }
  Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) override;
  Result<> ReleaseImage() override;
  Result<> ClaimImage() override;

  // GraphNode
  Result<> AddUse(const std::string& user, const ImageUse& use) override;
  void RemoveUse(const std::string& user) override;
  const std::vector<NodeUser>& users() const override { return users_; }
  bool configured_read_only() const override { return config_.read_only || file_->configured_read_only(); }
  NodeInfo info() const override;
  Result<> FlushImage() override;
  Result<> ReadBlocking(uint64_t offset, std::span<const iovec> into) override;
  Result<> CheckResize(uint64_t size_bytes) const override;
  Result<> ResizeImage(uint64_t size_bytes) override;
  void ShowNewSize() override;

 private:
  Qcow2Node(const Qcow2Config& config, std::shared_ptr<GraphNode> file, std::shared_ptr<GraphNode> data_file,
            std::shared_ptr<GraphNode> backing);
  Result<> UseChildren();
  Result<> OpenImage();
  std::string NameAtChild() const;
  std::vector<GraphNode*> Children() const;

  const Qcow2Config config_;
  const std::shared_ptr<GraphNode> file_;
  const std::shared_ptr<GraphNode> data_file_;
  const std::shared_ptr<GraphNode> backing_;
  const std::shared_ptr<qcow2::NodeImage> image_;
  bool writable_ = false;
  Qcow2Info about_;  // what does not change while it is open
  bool released_ = false;
  std::atomic<uint64_t> new_size_bytes_{0};  // from ResizeImage to ShowNewSize
  std::vector<GraphNode*> used_;             // children that know of us
  std::vector<NodeUser> users_;
};

}  // namespace nandu
