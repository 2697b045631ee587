// Protocol nodes: a regular file (driver=file) or a block device of the host (driver=host_device). Control
// loop; see BlockNode for what any thread may call.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "block/file_backend.h"
#include "block/graph_node.h"
#include "block/options.h"
#include "block/policy_channel.h"
#include "sandbox/opener.h"

namespace nandu {

// FileOptions with every default and inherited value filled in.
struct FileConfig {
  enum class Kind : uint8_t { kFile, kHostDevice };
  Kind kind = Kind::kFile;
  std::string node_name;
  std::string filename;
  bool read_only = false;
  bool auto_read_only = false;
  bool direct = false;
  bool no_flush = false;
  bool write_through = false;
  bool unmap = false;
  bool force_share = false;
  DetectZeroes detect_zeroes = DetectZeroes::kOff;
  std::optional<AioEngine> aio;
  ImageLocking locking = ImageLocking::kAuto;
};

class FileNode final : public GraphNode {
 public:
  // Opens, looks at the size and at what O_DIRECT demands, and locks the image for reading; a use that writes
  // locks it for that. `opener` outlives the node.
  static Result<std::shared_ptr<FileNode>> Open(Opener& opener, const FileConfig& config);
  ~FileNode() override = default;

  // The image's first bytes, for telling its format. Blocks.
  Result<std::vector<std::byte>> ReadStart(size_t bytes) const;
  const FileCounters& counters() const { return file_->counters; }  // any thread

  // BlockNode
  const std::string& node_name() const override { return config_.node_name; }
  std::string_view driver() const override;
  BlockLimits limits() const override;
  std::string_view engine() const override { return engine_.load(std::memory_order_relaxed); }
  Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) override;
  Result<> ReleaseImage() override;
  Result<> ClaimImage() override;

  // GraphNode
  Result<> AddUse(const std::string& user, const ImageUse& use) override;
  void RemoveUse(const std::string& user) override;
  const std::vector<NodeUser>& users() const override { return users_; }
  bool configured_read_only() const override { return config_.read_only; }
  NodeInfo info() const override;
  Result<> FlushImage() override;
  Result<> CheckResize(uint64_t size_bytes) const override;
  Result<> ReadBlocking(uint64_t offset, std::span<const iovec> into) override;
  std::shared_ptr<FileBackend> backend() const override { return file_; }
  Result<> ResizeImage(uint64_t size_bytes) override;
  void ShowNewSize() override;

 private:
  FileNode(Opener& opener, FileConfig config);
  Result<> OpenFile(Opener& opener);
  Result<> HoldLocks();

  const FileConfig config_;
  const std::shared_ptr<FileBackend> file_ = std::make_shared<FileBackend>();
  Opener& opener_;
  std::optional<Error> not_writable_;  // auto-read-only: why the file was opened for reading only
  std::optional<ImageLock> lock_;      // none: locking=off, or a file system without locks
  bool released_ = false;
  std::vector<NodeUser> users_;
  std::atomic<uint64_t> new_size_bytes_{0};  // from ResizeImage to ShowNewSize
  std::atomic<const char*> engine_{"io_uring"};
};

}  // namespace nandu
