// Flushing every image of a VM when it stops or ends.
#include "block/block_graph.h"

namespace nandu {

void BlockGraph::Flush(ControlLoop& loop, UniqueFunction<void(Result<>)> done) const {
  struct Work {
    std::vector<std::shared_ptr<GraphNode>> nodes;
    Result<> result;
  };
  auto work = std::make_shared<Work>();
  for (const auto& [name, node] : nodes_) {
    if (node->info().child.empty()) {  // what is above flushes through it
      work->nodes.push_back(node);
    }
  }
  if (work->nodes.empty()) {
    loop.Post([done = std::move(done)] { done({}); });
    return;
  }
  const auto flush = [work] {
    for (const std::shared_ptr<GraphNode>& node : work->nodes) {
      Result<> flushed = node->FlushImage();
      if (!flushed && work->result) {
        work->result = std::move(flushed);
      }
    }
  };
  loop.RunBlocking(flush, [work, done = std::move(done)] { done(work->result); });
}

}  // namespace nandu
