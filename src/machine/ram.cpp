#include "machine/ram.h"

#include <algorithm>
#include <sys/mman.h>

#include "base/checked.h"
#include "machine/memory_backend.h"

namespace nandu {
namespace {

constexpr uint64_t kNodeGranularity = uint64_t{8} << 20;  // where RAM is shared out among nodes, as QEMU's

Result<std::shared_ptr<RamBlock>> Use(std::vector<MemoryBackend>& backends, const std::string& id,
                                      std::string_view user) {
  const auto found = std::ranges::find(backends, id, &MemoryBackend::id);
  if (found == backends.end()) {
    return Fail(Errc::kNotFound, "{}: there is no memory backend '{}'; add -object memory-backend-ram,id={}",
                user, id, id);
  }
  if (!found->block) {
    return Fail(Errc::kInvalidArgument, "{}: memory backend '{}' is in use already", user, id);
  }
  return std::move(found->block);
}

// Every node but the last gets a multiple of 8 MiB.
std::vector<uint64_t> SharedOut(uint64_t ram_bytes, size_t nodes) {
  std::vector<uint64_t> bytes(nodes, AlignDown(ram_bytes / nodes, kNodeGranularity));
  bytes.back() = ram_bytes - bytes.front() * (nodes - 1);
  return bytes;
}

Result<BoardRam> OfNodes(const MachineConfig& config, std::vector<MemoryBackend>& backends) {
  BoardRam ram;
  uint64_t total = 0;
  for (size_t node = 0; node < config.numa.nodes.size(); ++node) {
    const std::string& memdev = config.numa.nodes[node].memdev;
    uint64_t bytes = 0;
    if (!memdev.empty()) {  // a node may have no memory
      ram.blocks.push_back(TRY(Use(backends, memdev, Format("-numa node,nodeid={}", node))));
      bytes = ram.blocks.back()->size();
    }
    ram.node_bytes.push_back(bytes);
    if (AddOverflows(total, bytes, &total)) {
      return Fail(Errc::kInvalidArgument, "-numa: the nodes have more memory than there are addresses");
    }
  }
  if (total != config.ram_bytes) {
    return Fail(Errc::kInvalidArgument, "-numa: the nodes have {} bytes together and -m says {}", total,
                config.ram_bytes);
  }
  return ram;
}

Result<BoardRam> OfOneBlock(const MachineConfig& config, std::vector<MemoryBackend>& backends) {
  BoardRam ram;
  if (config.memory_backend.empty()) {
    RamBlock::Options options;
    options.mergeable = config.mem_merge;
    options.in_core_dump = config.dump_guest_core;
    ram.blocks.push_back(TRY(RamBlock::CreateAnonymous("pc.ram", config.ram_bytes, options)));
  } else {
    ram.blocks.push_back(TRY(Use(backends, config.memory_backend, "-machine memory-backend=")));
    if (ram.blocks[0]->size() != config.ram_bytes) {
      return Fail(Errc::kInvalidArgument,
                  "memory backend '{}' has {} bytes and -m says {}; make both the same",
                  config.memory_backend, ram.blocks[0]->size(), config.ram_bytes);
    }
  }
  if (!config.numa.nodes.empty()) {
    ram.node_bytes = SharedOut(config.ram_bytes, config.numa.nodes.size());
  }
  return ram;
}

}  // namespace

Result<BoardRam> CreateRam(Opener& opener, const MachineConfig& config) {
  // Before there is any memory to lock: the kernel then refuses what is too much, piece by piece.
  if (config.lock_memory && mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    return FailErrno(errno, "-overcommit mem-lock=on: cannot lock memory; raise its limit (ulimit -l)");
  }
  std::vector<MemoryBackend> backends;
  for (const OptionBag& bag : config.memory_backends) {
    MemoryBackend backend = TRY(CreateMemoryBackend(opener, config, bag));
    if (std::ranges::find(backends, backend.id, &MemoryBackend::id) != backends.end()) {
      return Fail(Errc::kExists, "{}: there is a memory backend '{}' already", bag.source, backend.id);
    }
    backends.push_back(std::move(backend));
  }
  const bool by_node = std::ranges::any_of(config.numa.nodes,
                                           [](const NumaConfig::Node& node) { return !node.memdev.empty(); });
  BoardRam ram = by_node ? TRY(OfNodes(config, backends)) : TRY(OfOneBlock(config, backends));
  for (const MemoryBackend& backend : backends) {
    if (backend.block) {
      return Fail(Errc::kInvalidArgument,
                  "memory backend '{}' is used by nothing; name it in -machine memory-backend= or -numa "
                  "node,memdev=",
                  backend.id);
    }
  }
  return ram;
}

}  // namespace nandu
