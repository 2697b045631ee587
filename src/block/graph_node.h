// A node as the graph sees it: besides carrying requests it knows who uses it and for what. Control loop,
// except where BlockNode says any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nandu/block.h>

#include "block/image_lock.h"
#include "block/options.h"

namespace nandu {

struct FileBackend;

// One user of a node, by name for sentences: "disk0", "node 'format0'".
struct NodeUser {
  std::string name;
  ImageUse use;
};

// What a qcow2 image says of itself.
struct Qcow2Info {
  struct Snapshot {
    std::string id, name;
    uint64_t vm_state_bytes = 0;
    uint32_t seconds = 0, nanoseconds = 0;  // since 1970
    uint64_t vm_clock_ns = 0;
  };
  uint32_t version = 3;
  uint64_t cluster_bytes = 0;
  uint32_t refcount_bits = 16;
  bool zstd = false;
  bool lazy_refcounts = false;
  bool extended_l2 = false;
  bool corrupt = false;
  bool dirty = false;          // when it was opened
  std::string backing_file;    // as it is written there; empty: none
  std::string backing_format;  // the same
  std::string data_file;       // the same
  bool raw_data_file = false;
  std::vector<Snapshot> snapshots;
};

// What the queries of the monitor tell about a node.
struct NodeInfo {
  std::string node_name;
  std::string driver;
  std::string filename;
  std::string child;      // node name; empty: none
  std::string data_file;  // the same, of qcow2
  std::string backing;    // the same, of qcow2
  std::string engine;     // "io_uring" or "threads"
  uint64_t size_bytes = 0;
  uint64_t allocated_bytes = 0;  // on the host's disk
  bool read_only = false;
  bool direct = false;
  bool no_flush = false;
  bool write_cache = true;
  DetectZeroes detect_zeroes = DetectZeroes::kOff;
  std::vector<std::string> users;
  std::optional<Qcow2Info> qcow2;
};

class GraphNode : public BlockNode {
 public:
  // Takes the image locks the use needs; kBusy names who is in the way. A name uses a node once.
  virtual Result<> AddUse(const std::string& user, const ImageUse& use) = 0;
  virtual void RemoveUse(const std::string& user) = 0;
  virtual const std::vector<NodeUser>& users() const = 0;
  virtual bool configured_read_only() const = 0;  // what its options say, whatever the file allows
  virtual NodeInfo info() const = 0;
  // What was written reaches stable storage, past the guest's own flushes. Blocks as the disk does; any
  // thread, while the node lives.
  virtual Result<> FlushImage() = 0;
  // What the image holds, for who copies from it; past its end there are zeroes. Blocks as the disk does; any
  // thread, while the node lives.
  virtual Result<> ReadBlocking(uint64_t offset, std::span<const iovec> into) = 0;
  // A protocol node's open file; null for others.
  virtual std::shared_ptr<FileBackend> backend() const { return nullptr; }

  // A new size, in three steps. Whether it is possible; control loop.
  virtual Result<> CheckResize(uint64_t size_bytes) const = 0;
  // The image itself, which CheckResize agreed to. Blocks as the disk does; any thread, while the node lives.
  virtual Result<> ResizeImage(uint64_t size_bytes) = 0;
  // limits() and channels follow the image, and listeners hear of it; control loop.
  virtual void ShowNewSize() = 0;
};

// kBusy when `use` and what others do with the node exclude each other.
Result<> CheckUses(const std::string& node_name, const std::vector<NodeUser>& users, const ImageUse& use);
// Takes the first of that name out; whether there was one.
bool EraseUse(std::vector<NodeUser>* users, const std::string& name);

}  // namespace nandu
