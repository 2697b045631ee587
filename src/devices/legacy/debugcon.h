// The debug console: bytes written to one port (0xe9, or 0x402 for SeaBIOS) go to a character backend.
// Bochs's "port E9 hack".
// `-device isa-debugcon`. Registers: any vCPU thread.
#pragma once

#include <memory>
#include <string>

#include "base/counter.h"
#include "base/result.h"
#include "devices/legacy/char_output.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

class DebugConsole final : public LegacyDevice {
 public:
  static constexpr size_t kQueueBytes = 64 * 1024;
  struct Options {
    std::string id = {};
    uint16_t io_base = 0xe9;
    uint32_t readback = 0xe9;  // what a read answers: how guests find it
    std::shared_ptr<Chardev> chardev = {};
  };
  static Result<std::unique_ptr<DebugConsole>> Create(DeviceHost& host, Options options);
  ~DebugConsole() override;

  void Reset() override {}
  void Quiesce(UniqueFunction<void()> done) override;
  void Resume() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counter& dropped() const { return dropped_; }  // bytes written while the queue was full

 private:
  DebugConsole(DeviceHost& host, Options options);
  const std::shared_ptr<Chardev> chardev_;
  const uint32_t readback_;
  const std::shared_ptr<CharOutput> output_;
  Counter dropped_;
  bool attached_ = false;
  Mapping mapping_;
};

const DeviceFactory& IsaDebugconFactory();

}  // namespace nandu
