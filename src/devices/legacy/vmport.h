// VMware's backdoor at port 0x5658, with its mouse: a guest passes a magic number, a command and arguments in
// its registers and finds the answer there. What QEMU 7.2 answers; numbers as in open-vm-tools,
// backdoor_def.h. `-machine vmport=off` takes it away. Any vCPU thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <nandu/vcpu_registers.h>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/legacy_device.h"
#include "devices/legacy/vmmouse.h"
#include "memory/address_space.h"

namespace nandu {

struct VmportState {
  VmmouseState mouse;
};
BOOST_DESCRIBE_STRUCT(VmportState, (), (mouse))

class Vmport final : public LegacyDevice {
 public:
  static constexpr uint16_t kPort = 0x5658;
  struct Options {
    std::shared_ptr<VcpuRegisters> registers;  // of the vCPU whose thread asks
    uint64_t ram_bytes = 0;
    std::array<uint8_t, 16> uuid = {};
  };
  struct Counters {
    Counter refused;  // no magic number, or a command it does not have
    Counter without_registers;
  };
  static Result<std::unique_ptr<Vmport>> Create(DeviceHost& host, Options options);

  void Reset() override;
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const Counters& counters() const { return counters_; }

 private:
  explicit Vmport(Options options);
  uint32_t Serve();
  bool Answer(CallRegisters* registers);  // false: refused
  bool AnswerMouse(unsigned command, CallRegisters* registers);

  const Options options_;
  Counters counters_;
  mutable Mutex mutex_;
  Vmmouse mouse_ NANDU_TA(guarded_by(mutex_));
  Mapping mapping_;
};

}  // namespace nandu
