// block_resize: live, while guests use the image.
#include "block/block_graph.h"

namespace nandu {
namespace {

constexpr const char* kUser = "block_resize";

}  // namespace

// What has to be so, and QEMU's permission to resize, which its locks tell other processes of.
Result<> BlockGraph::BeginResize(GraphNode& node, uint64_t size_bytes) const {
  for (const NodeUser& user : node.users()) {
    if (user.name == kUser) {
      return Fail(Errc::kBusy, "it is being resized already; try again when that is over");
    }
  }
  for (const auto& [name, above] : nodes_) {
    const NodeInfo info = above->info();
    if (info.child == node.node_name() || info.data_file == node.node_name() ||
        info.backing == node.node_name()) {
      return Fail(Errc::kBusy, "it is under node '{}'; resize that one", name);
    }
  }
  TRY(node.CheckResize(size_bytes));
  return node.AddUse(kUser, {kPermissionResize, kPermissionAll});
}

void BlockGraph::Resize(ControlLoop& loop, std::string_view name, uint64_t size_bytes,
                        UniqueFunction<void(Result<>)> done) {
  const std::shared_ptr<GraphNode> node = Find(name);
  if (node == nullptr) {
    done(Fail(Errc::kNotFound, "there is no drive or node '{}'", name));
    return;
  }
  if (Result<> begun = BeginResize(*node, size_bytes); !begun) {
    done(Prefix(std::move(begun), name));
    return;
  }
  auto resized = std::make_shared<Result<>>();
  loop.RunBlocking([node, size_bytes, resized] { *resized = node->ResizeImage(size_bytes); },
                   [node, resized, name = std::string(name), done = std::move(done)] {
                     node->RemoveUse(kUser);
                     if (*resized) {
                       node->ShowNewSize();
                     }
                     done(Prefix(std::move(*resized), name));
                   });
}

}  // namespace nandu
