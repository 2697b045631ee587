// The registers of an AHCI host bus adapter with six ports that no drive is connected to. Serial ATA AHCI
// 1.3.1, sections 3 (registers), 10.4 (resets) and 10.7 (interrupts). Any vCPU thread; its own leaf mutex.
//
// What a port without a drive does is QEMU 7.2's: once software lets it receive, it delivers one register
// FIS, with the task file of an absent drive; commands stay issued for ever.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <nandu/io_handler.h>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"

namespace nandu {

struct AhciPortState {
  uint32_t list_base = 0;  // PxCLB, PxCLBU
  uint32_t list_base_upper = 0;
  uint32_t fis_base = 0;  // PxFB, PxFBU
  uint32_t fis_base_upper = 0;
  uint32_t interrupt_status = 0;  // PxIS
  uint32_t interrupt_enable = 0;  // PxIE
  uint32_t command = 0x6;         // PxCMD: powered and spun up
  uint32_t task_file = 0x7f;      // PxTFD
  uint32_t signature = 0xffffffff;
  uint32_t sata_control = 0;  // PxSCTL
  uint32_t sata_active = 0;   // PxSACT
  uint32_t issued = 0;        // PxCI
  bool greeted = false;       // the first FIS after a reset was received
};
BOOST_DESCRIBE_STRUCT(AhciPortState, (),
                      (list_base, list_base_upper, fis_base, fis_base_upper, interrupt_status,
                       interrupt_enable, command, task_file, signature, sata_control, sata_active, issued,
                       greeted))

struct AhciState {
  static constexpr unsigned kPorts = 6;
  bool interrupts_enabled = false;  // GHC.IE
  uint16_t index = 0;               // of the index-data pair
  std::vector<AhciPortState> ports = std::vector<AhciPortState>(kPorts);
};
BOOST_DESCRIBE_STRUCT(AhciState, (), (interrupts_enabled, index, ports))
Result<> Validate(const AhciState& state);

class AhciHba final {
 public:
  static constexpr uint64_t kRegisterBytes = 0x1000;  // ABAR
  static constexpr uint64_t kIndexPorts = 0x20;       // the index-data pair is in its second half

  // What the function around it does; leaf calls, made with the registers' lock held.
  class Bus {
   public:
    virtual ~Bus() = default;
    virtual void SetInterrupt(bool level) = 0;  // also when it did not change: a message is sent each time
    virtual bool MayWriteMemory() const = 0;    // it is a bus master
    virtual bool WriteMemory(uint64_t at, const void* from, uint64_t bytes) = 0;
  };
  struct Counters {
    Counter ignored_accesses;  // registers that are not there, unaligned writes
    Counter lost_fises;        // to where there is no memory
  };
  explicit AhciHba(Bus& bus) : bus_(bus) {}

  uint64_t Read(uint64_t offset, unsigned size);
  void Write(uint64_t offset, unsigned size, uint64_t value);
  uint64_t ReadIndexPort(uint64_t offset, unsigned size);
  void WriteIndexPort(uint64_t offset, unsigned size, uint64_t value);

  void Reset();
  void RedriveIrq();
  AhciState Save() const;
  void Load(const AhciState& state);  // validated
  const Counters& counters() const { return counters_; }

 private:
  uint64_t ReadLocked(uint64_t offset, unsigned size) NANDU_TA(requires_capability(mutex_));
  uint32_t ReadRegisterLocked(uint64_t offset) NANDU_TA(requires_capability(mutex_));
  uint32_t ReadPortLocked(const AhciPortState& port, uint64_t offset) NANDU_TA(requires_capability(mutex_));
  void WriteLocked(uint64_t offset, unsigned size, uint64_t value) NANDU_TA(requires_capability(mutex_));
  void WriteRegisterLocked(uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WriteControlLocked(uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WritePortLocked(AhciPortState& port, uint64_t offset, uint32_t value)
      NANDU_TA(requires_capability(mutex_));
  void WriteCommandLocked(AhciPortState& port, uint32_t value) NANDU_TA(requires_capability(mutex_));
  void GreetLocked(AhciPortState& port) NANDU_TA(requires_capability(mutex_));
  uint32_t PendingLocked() const NANDU_TA(requires_capability(mutex_));
  void UpdateIrqLocked() NANDU_TA(requires_capability(mutex_));

  Bus& bus_;
  Counters counters_;
  mutable Mutex mutex_;
  AhciState state_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
