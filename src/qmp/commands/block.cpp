// Field sets are those of QEMU 7.2, as its query-qmp-schema and its events show them.
#include "qmp/commands/block.h"

#include <limits>
#include <optional>

#include "machine/facets.h"
#include "qmp/registry.h"

namespace nandu {

struct BlockResizeArgs {
  std::optional<std::string> device;     // -drive's id
  std::optional<std::string> node_name;  // -blockdev's
  int64_t size = 0;                      // bytes
};
BOOST_DESCRIBE_STRUCT(BlockResizeArgs, (), (device, node_name, size))

enum class IoOperationType : uint8_t { kRead, kWrite };
BOOST_DESCRIBE_ENUM(IoOperationType, kRead, kWrite)
enum class BlockErrorAction : uint8_t { kIgnore, kReport, kStop };
BOOST_DESCRIBE_ENUM(BlockErrorAction, kIgnore, kReport, kStop)
struct BlockIoErrorEvent {
  std::string device;
  std::optional<std::string> node_name;
  IoOperationType operation = IoOperationType::kRead;
  BlockErrorAction action = BlockErrorAction::kIgnore;
  std::optional<bool> nospace;
  std::string reason;
};
BOOST_DESCRIBE_STRUCT(BlockIoErrorEvent, (), (device, node_name, operation, action, nospace, reason))

namespace {

void Resize(BlockFacet& block, const BlockResizeArgs& args, Reply<Nothing> reply) {
  if (args.device.has_value() == args.node_name.has_value()) {
    reply.Fail(QmpErrorClass::kGenericError, "give either 'device' or 'node-name'");
    return;
  }
  if (args.size < 0) {
    reply.Fail(QmpErrorClass::kGenericError,
               Format("arguments.size: {} bytes is no size; give 0 or more", args.size));
    return;
  }
  block.ResizeBlock(args.device ? *args.device : *args.node_name, static_cast<uint64_t>(args.size),
                    [reply = std::move(reply)](Result<> result) mutable { reply.Finish(std::move(result)); });
}

}  // namespace

void BindBlockCommands(QmpRegistry& registry, BlockFacet& block) {
  registry.Bind<BlockResizeArgs, Nothing>(
      "block_resize",
      [&block](const BlockResizeArgs& args, Reply<Nothing> reply) { Resize(block, args, std::move(reply)); });
  registry.DeclareEvent<BlockIoErrorEvent>("BLOCK_IO_ERROR");
}

}  // namespace nandu
