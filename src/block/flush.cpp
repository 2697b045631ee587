// Flushing every image of a VM when it stops or ends.
#include "block/block_graph.h"

namespace nandu {

void BlockGraph::Flush(ControlLoop& loop, UniqueFunction<void(Result<>)> done) const {
  struct Work {
    size_t left = 1;  // one more than the images, so that `done` runs when there are none
    Result<> result;
    UniqueFunction<void(Result<>)> done;
  };
  auto work = std::make_shared<Work>();
  work->done = std::move(done);
  const auto finish = [work](Result<> flushed) {
    if (!flushed && work->result) {
      work->result = std::move(flushed);
    }
    if (--work->left == 0) {
      work->done(std::move(work->result));
    }
  };
  for (const auto& [name, node] : nodes_) {
    if (IsChild(name)) {
      continue;  // the node above it flushes it too, after what it holds back itself
    }
    // Each on its own worker: one that hangs does not keep the others' data.
    ++work->left;
    auto flushed = std::make_shared<Result<>>();
    loop.RunBlocking([node = node, flushed] { *flushed = node->FlushImage(); },
                     [finish, flushed] { finish(std::move(*flushed)); });
  }
  loop.Post([finish] { finish({}); });
}

}  // namespace nandu
