// A port that ends the VM: writing v exits with status (v << 1) | 1, so that a test guest can say how it went
// and 0 stays "powered off".
// `-device isa-debug-exit`, port 0x501 and two bytes wide by default, as QEMU's. Any vCPU thread.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

class DebugExit final : public LegacyDevice {
 public:
  struct Options {
    std::string id = {};
    uint16_t io_base = 0x501;
    uint16_t io_bytes = 2;
  };
  static Result<std::unique_ptr<DebugExit>> Create(DeviceHost& host, const Options& options);

  // It holds no state.
  void Reset() override {}
  void Resume() override {}
  void Save(const StateWriter& /*writer*/) const override {}
  Result<> Load(const StateReader& /*reader*/) override { return {}; }

 private:
  explicit DebugExit(const Options& options);
  Mapping mapping_;
};

const DeviceFactory& IsaDebugExitFactory();

}  // namespace nandu
