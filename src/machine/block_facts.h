// What managers are told of disks (query-block). Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/described.h"
#include "block/graph_node.h"

namespace nandu {

// What became of the last request that stopped the VM; cont forgets it.
enum class BlockIoStatus : uint8_t { kOk, kFailed, kNospace };
BOOST_DESCRIBE_ENUM(BlockIoStatus, kOk, kFailed, kNospace)

struct ImageFacts {
  std::string node_name;
  std::string driver;
  std::string filename;
  uint64_t size_bytes = 0;       // as the guest sees it
  uint64_t allocated_bytes = 0;  // on the host's disk
  bool read_only = false;
  std::string detect_zeroes;  // "off", "on", "unmap"
  bool writeback = true;
  bool direct = false;
  bool no_flush = false;
  std::optional<Qcow2Info> qcow2;
  std::vector<ImageFacts> below;  // the images under it, the nearest first; each of theirs is empty
};

// A -drive, or a disk that names a node.
struct BlockFacts {
  std::string drive;                       // its id; empty: the disk names a node
  std::optional<std::string> qdev;         // the disk's path; none: a drive that no disk uses
  std::optional<BlockIoStatus> io_status;  // where a policy may stop the VM
  std::optional<ImageFacts> image;         // none: a drive without a medium
  bool removable = false;                  // a medium that changes, or a drive that no disk uses
  bool locked = false;                     // the guest keeps the medium
  std::optional<bool> tray_open;           // where there is a tray
};

}  // namespace nandu
