// The block graph: every image of the VM as nodes, made from -blockdev, blockdev-add and -drive, claimed by
// devices. Control loop.
//
//     BlockGraph graph(opener);
//     TRY(graph.AddNode({{"driver", "file"}, {"node-name", "disk0"}, {"filename", "/vm/a.raw"}}));      //
//     -blockdev TRY(graph.AddDrive("drive1", {{"file", "/vm/b.raw"}, {"format", "raw"}, {"cache", "none"}}));
//     // -drive auto node = TRY(graph.Claim("disk0", "virtio-blk 00:02.0"));   // unclaimed when the last
//     copy goes auto channel = TRY(node->OpenChannel(loop));
//
// Adding opens files and may block as the file system does.
#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/block.h>

#include "block/graph_node.h"
#include "block/options.h"
#include "block/qcow2/node.h"
#include "loop/control_loop.h"
#include "sandbox/opener.h"

namespace nandu {

class BlockGraph {
 public:
  explicit BlockGraph(Opener& opener) : opener_(opener) {}
  BlockGraph(const BlockGraph&) = delete;
  BlockGraph& operator=(const BlockGraph&) = delete;

  // -blockdev and blockdev-add: an object with `driver`; a format node's `file` is a node's name or such an
  // object. Values may be text, as key=value gives them. All or nothing: a failure leaves no node behind.
  Result<> AddNode(const boost::json::object& options);
  // -drive: see DriveOptions. The node is found by `id`, and by node-name= where that is given.
  Result<> AddDrive(const std::string& id, const boost::json::object& options);
  // blockdev-del. kBusy while a device or another node uses it.
  Result<> RemoveNode(std::string_view node_name);

  // kShareWrites: share-rw=on, several may write. kReading: whatever the node allows, it is only read
  // (CD-ROM).
  enum class Sharing : uint8_t { kAlone, kShareWrites, kReading };
  // Gives the node (by node name or drive id) to `user`, for writing unless its options say read-only, and
  // locks the image for that. kBusy when another user or process is in the way. The claim ends with the last
  // copy of the pointer, on the control loop.
  Result<std::shared_ptr<BlockNode>> Claim(std::string_view name, std::string_view user,
                                           Sharing sharing = Sharing::kAlone);
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  std::optional<NodeInfo> InfoOf(std::string_view name) const;  // by node name or drive id
  // -drive without file=: a name for a CD-ROM drive that is empty.
  Result<> AddEmptyDrive(const std::string& id);
  bool IsEmptyDrive(std::string_view id) const { return empty_drives_.contains(id); }
  // A medium for such a drive: -drive's options, without an id; answers the node's name. RemoveNode ends it.
  Result<std::string> AddMedium(const boost::json::object& options);
  std::vector<NodeInfo> Nodes() const;  // in the order of their names

  // Every image to stable storage, on workers; `done` on the control loop with the first error.
  void Flush(ControlLoop& loop, UniqueFunction<void(Result<>)> done) const;

  // block_resize: a new size for a node that is nobody's child, by its name or its drive's id. The image is
  // resized on a worker; `done` on the control loop once the users were told.
  void Resize(ControlLoop& loop, std::string_view name, uint64_t size_bytes,
              UniqueFunction<void(Result<>)> done);

  // Hand-over of all images to another process and back: see BlockNode.
  Result<> ReleaseImages();
  Result<> ClaimImages();

 private:
  // What a child written inside its parent's options takes over from it.
  struct Inherited {
    bool read_only = false;
    bool auto_read_only = false;
    bool force_share = false;
    bool write_through = false;
    CacheOptions cache;
    std::vector<std::string> above;  // the backing chain so far, by what its files are: device and inode
  };
  struct Qcow2Children {
    std::shared_ptr<GraphNode> file, data_file, backing;
  };
  std::shared_ptr<GraphNode> Find(std::string_view name) const;
  Result<std::shared_ptr<GraphNode>> Build(boost::json::object options, const Inherited* parent);
  Result<std::shared_ptr<GraphNode>> BuildFile(const boost::json::object& options, std::string_view driver,
                                               const Inherited* parent);
  Result<std::shared_ptr<GraphNode>> BuildRaw(boost::json::object options, const Inherited* parent);
  // build_qcow2.cpp
  Result<std::shared_ptr<GraphNode>> BuildQcow2(boost::json::object options, const Inherited* parent);
  Result<std::shared_ptr<GraphNode>> BuildChild(const boost::json::value& named, std::string_view key,
                                                const Inherited& below);
  enum class FormatFrom : uint8_t { kOptions, kFirstBytes };
  Result<std::shared_ptr<GraphNode>> BuildQcow2Over(const Qcow2Config& config, Qcow2Children children,
                                                    bool has_backing_option, Inherited below,
                                                    FormatFrom format);
  Result<std::shared_ptr<GraphNode>> OpenNamedFile(const std::string& image, const std::string& named,
                                                   std::string_view format, const Inherited& below);
  // A failure takes back every node that was made on the way.
  template <class Work>
  auto AllOrNothing(const Work& work) -> decltype(work()) {
    const auto before = nodes_;
    auto done = work();
    if (!done) {
      nodes_ = before;
    }
    return done;
  }
  void RemoveMadeUp(const NodeInfo& parent);
  bool IsChild(std::string_view node_name) const;

  Result<std::shared_ptr<GraphNode>> BuildDrive(const DriveOptions& drive);
  Result<std::shared_ptr<GraphNode>> BuildSnapshotDrive(const DriveOptions& drive);  // snapshot_drive.cpp
  static CacheOptions CacheBelow(const NodeOptions& options, const Inherited& from);
  enum class Naming : uint8_t { kMust, kMay };  // kMay: one is made up for a node that got none
  Result<std::string> NameNode(const std::optional<std::string>& wanted, Naming naming);
  Result<> CheckNameIsFree(const std::string& name) const;
  Result<> BeginResize(GraphNode& node, uint64_t size_bytes) const;

  Opener& opener_;
  unsigned made_up_names_ = 0;
  std::map<std::string, std::shared_ptr<GraphNode>, std::less<>> nodes_;
  std::map<std::string, std::shared_ptr<GraphNode>, std::less<>> drives_;  // -drive's ids
  std::set<std::string, std::less<>> empty_drives_;
};

}  // namespace nandu
