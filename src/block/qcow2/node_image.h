// An open image as its node and its channels share it. The strand runs, one after the other and on a thread
// of its own, whatever loads or allocates metadata; channels ask the mapping in memory and go straight to the
// file below.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/counter.h"
#include "block/graph_node.h"
#include "block/qcow2/backend_file.h"
#include "block/qcow2/image.h"
#include "block/range_tracker.h"
#include "loop/worker_pool.h"

namespace nandu::qcow2 {

struct Qcow2Counters {
  Counter strand_jobs;   // requests, or parts of them, that had to load or change metadata
  Counter out_of_range;  // writes to a read-only image: our own caller's mistake
  Counter errors;        // strand jobs that failed
};

// The image below, read by whoever copies from it. Workers.
class NodeReader final : public ReadableFile {
 public:
  explicit NodeReader(std::shared_ptr<GraphNode> node) : node_(std::move(node)) {}
  uint64_t size() const override { return node_->limits().size_bytes; }
  Result<> Readv(uint64_t offset, std::span<const iovec> into) override {
    return node_->ReadBlocking(offset, into);
  }

 private:
  const std::shared_ptr<GraphNode> node_;
};

struct NodeImage {
  explicit NodeImage(std::shared_ptr<FileBackend> backend) : file(std::move(backend)) {}

  BackendFile file;
  std::optional<BackendFile> data_file;
  std::optional<NodeReader> backing;
  // Who calls the image: the strand, and a control-loop worker that resizes or flushes. Held while the disk
  // is waited for, so never by a loop.
  Mutex mutex;
  std::unique_ptr<Image> image;
  std::atomic<uint64_t> size_bytes{0};  // as the guest sees it
  std::atomic<uint64_t> file_bytes{0};  // of what holds the guest's data; mappings past it are the strand's
  uint64_t cluster_bytes = 0;
  bool write_through = false;
  // A block of the file is no larger than what one request may own, so that channels may write without the
  // strand.
  bool channels_write = false;
  RangeTracker ranges;  // by the disk's bytes: who changes a mapping has it alone
  Qcow2Counters counters;
  WorkerPool strand{"qcow2", 1};  // the last member: its thread ends first

  BackendFile& data() { return data_file ? *data_file : file; }
};

}  // namespace nandu::qcow2
