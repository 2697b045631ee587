// The registers of an AHCI host bus adapter with six ports. Serial ATA AHCI 1.3.1, sections 3
// (registers), 10.4 (resets) and 10.7 (interrupts). Any vCPU thread, and the I/O loop of each port's drive
// (ahci_port.h); its own leaf mutex.
//
// A port takes its time where the specification lets it: PxCMD.CR, PxSSTS.DET and GHC.HR show what is asked
// for once nothing of the port's is in flight, so that no register write waits for a disk.
//
// What a port without a drive does is QEMU 7.2's: once software lets it receive, it delivers one register
// FIS, with the task file of an absent drive; commands stay issued for ever.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <nandu/io_handler.h>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/storage/ata_drive.h"

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
  bool failed = false;        // 6.2.2: an error; nothing more is taken until software restarts the list
};
BOOST_DESCRIBE_STRUCT(AhciPortState, (),
                      (list_base, list_base_upper, fis_base, fis_base_upper, interrupt_status,
                       interrupt_enable, command, task_file, signature, sata_control, sata_active, issued,
                       greeted, failed))

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
    Counter stale_answers;     // of commands that a stop or a reset overtook
  };

  // A port's other half: it takes what is issued and answers it, on its own loop.
  class Engine {
   public:
    virtual ~Engine() = default;
    virtual void Kick() = 0;  // there may be work; a leaf call
    virtual uint32_t signature() const = 0;
    virtual uint8_t reset_status() const = 0;
  };
  // What a port's engine finds to do.
  struct Work {
    uint32_t slots = 0;       // taken now: each is answered once
    uint64_t list_base = 0;   // guest-physical
    uint32_t generation = 0;  // of these commands: a stop or a reset ends it
    bool reset = false;       // the drive is to be reset first, and ResetDone called
  };
  struct Answer {
    enum class Kind : uint8_t {
      kDone,       // registers, status and what was moved
      kParked,     // not now: it is issued as before
      kBusFault,   // its structures or its data are not in memory
      kSoftReset,  // the reset bit was written; no answer yet
      kSignature,  // ... and cleared again
    };
    Kind kind = Kind::kDone;
    unsigned slot = 0;
    uint32_t generation = 0;
    AtaProtocol protocol = AtaProtocol::kNoData;
    AtaRegisters out;
    uint8_t status = 0;
    uint8_t error = 0;
    uint64_t moved = 0;
  };
  explicit AhciHba(Bus& bus) : bus_(bus) {}

  uint64_t Read(uint64_t offset, unsigned size);
  void Write(uint64_t offset, unsigned size, uint64_t value);
  uint64_t ReadIndexPort(uint64_t offset, unsigned size);
  void WriteIndexPort(uint64_t offset, unsigned size, uint64_t value);

  // While no vCPU runs. Null: the drive goes.
  void Connect(unsigned port, Engine* engine);

  // ---- an engine's, on its loop ----
  Work Take(unsigned port);
  void ResetDone(unsigned port);
  // The drive is to have it now. False: it is not to run any more, or not yet.
  bool Begin(unsigned port, unsigned slot, uint32_t generation, bool command, bool queued);
  void Finish(unsigned port, const Answer& answer);

  void KickAll();  // bus mastering was enabled
  void Reset();
  void RedriveIrq();
  AhciState Save() const;
  void Load(const AhciState& state);  // validated
  const Counters& counters() const { return counters_; }

 private:
  // What is not state: it is over when the VM is quiesced.
  struct Live {
    Engine* engine = nullptr;
    uint32_t in_flight = 0;  // slots in the engine's hands
    uint32_t generation = 0;
    bool resetting = false;  // the engine has to reset its drive
  };
  uint64_t ReadLocked(uint64_t offset, unsigned size) NANDU_TA(requires_capability(mutex_));
  uint32_t ReadRegisterLocked(uint64_t offset) NANDU_TA(requires_capability(mutex_));
  uint32_t ReadPortLocked(unsigned index, uint64_t offset) NANDU_TA(requires_capability(mutex_));
  void WriteLocked(uint64_t offset, unsigned size, uint64_t value) NANDU_TA(requires_capability(mutex_));
  void WriteRegisterLocked(uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WriteControlLocked(uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WritePortLocked(unsigned index, uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));
  void WriteCommandLocked(unsigned index, uint32_t value) NANDU_TA(requires_capability(mutex_));

  void GreetLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void ResetPortLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void SettleLocked(unsigned index) NANDU_TA(requires_capability(mutex_));
  void DeliverLocked(AhciPortState& port, const Answer& answer) NANDU_TA(requires_capability(mutex_));
  void ReceiveLocked(const AhciPortState& port, uint64_t at, std::span<const uint8_t> fis)
      NANDU_TA(requires_capability(mutex_));
  bool HbaResetLocked() const NANDU_TA(requires_capability(mutex_));
  uint32_t PendingLocked() const NANDU_TA(requires_capability(mutex_));
  void UpdateIrqLocked() NANDU_TA(requires_capability(mutex_));

  Bus& bus_;
  Counters counters_;
  mutable Mutex mutex_;
  AhciState state_ NANDU_TA(guarded_by(mutex_));
  std::array<Live, AhciState::kPorts> live_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
