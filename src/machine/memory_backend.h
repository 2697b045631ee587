// -object memory-backend-ram, memory-backend-memfd and memory-backend-file: options with QEMU's names and
// defaults become a RamBlock. Control thread.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "machine/config.h"
#include "memory/ram_block.h"
#include "sandbox/opener.h"

namespace nandu {

struct TypeInfo;

struct MemoryBackend {
  std::string id;
  std::shared_ptr<RamBlock> block;
};

// The options each type takes, for -object TYPE,help.
const TypeInfo& RamBackendOptionsType();
const TypeInfo& MemfdBackendOptionsType();
const TypeInfo& FileBackendOptionsType();

Result<MemoryBackend> CreateMemoryBackend(Opener& opener, const MachineConfig& config, const OptionBag& bag);

}  // namespace nandu
