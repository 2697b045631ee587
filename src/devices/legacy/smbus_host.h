// The registers of the ICH9's SMBus host controller and the EEPROMs behind it. Intel ICH9 datasheet (316972),
// sections 5.21.1 (protocols) and 19.2 (registers). Any vCPU thread; its own leaf mutex.
//
// A command without its interrupt enabled starts when the status is read next, not when START is written:
// software that polls wants to see the controller busy once, and QEMU's shows it that way.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include <nandu/io_handler.h>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/smbus_eeprom.h"

namespace nandu {

// What goes on between two bytes of a block.
enum class SmbusTransfer : uint8_t { kNone, kReadBlock, kWriteBlock, kReadI2c };
BOOST_DESCRIBE_ENUM(SmbusTransfer, kNone, kReadBlock, kWriteBlock, kReadI2c)

struct SmbusHostState {
  uint8_t status = 0;                   // HST_STS
  uint8_t control = 0;                  // HST_CNT without START, which reads as zero
  uint8_t command = 0;                  // HST_CMD
  uint8_t address = 0;                  // XMIT_SLVA: bit 0 says read
  uint8_t data0 = 0;                    // HST_D0: data, or the length of a block
  uint8_t data1 = 0;                    // HST_D1
  uint8_t block_byte = 0;               // HOST_BLOCK_DB one byte at a time
  uint8_t aux_control = 0;              // AUX_CTL
  std::array<uint8_t, 32> buffer = {};  // HOST_BLOCK_DB with E32B, and a block on its way
  uint8_t index = 0;                    // into it; 32: past its end, the next access starts over
  SmbusTransfer transfer = SmbusTransfer::kNone;
  bool starts_on_status_read = false;
};
BOOST_DESCRIBE_STRUCT(SmbusHostState, (),
                      (status, control, command, address, data0, data1, block_byte, aux_control, buffer,
                       index, transfer, starts_on_status_read))
Result<> Validate(const SmbusHostState& state);

class SmbusHost final : public IoHandler {
 public:
  static constexpr uint64_t kPorts = 0x40;
  static constexpr unsigned kEeproms = 8;
  struct Counters {
    Counter ignored_accesses;  // registers that are not there, or all of them while the controller is off
    Counter failed_commands;   // nobody at the address, or a protocol it does not have
  };
  // `set_interrupt`: a leaf call.
  explicit SmbusHost(std::function<void(bool)> set_interrupt) : set_interrupt_(std::move(set_interrupt)) {}

  std::string_view name() const override { return "smbus"; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

  // HOSTC of configuration space: HST_EN, I2C_EN (blocks without their length byte).
  void Configure(bool enabled, bool i2c);
  void Abort();  // HOSTC, SSRESET
  void Reset();  // the EEPROMs as well
  void RedriveIrq();

  SmbusHostState Save(std::vector<SmbusEepromState>* eeproms) const;
  void Load(const SmbusHostState& state, const std::vector<SmbusEepromState>& eeproms);  // both validated
  const Counters& counters() const { return counters_; }

 private:
  uint8_t ReadByteLocked(unsigned offset) NANDU_TA(requires_capability(mutex_));
  void WriteByteLocked(unsigned offset, uint8_t value) NANDU_TA(requires_capability(mutex_));
  uint8_t ReadStatusLocked() NANDU_TA(requires_capability(mutex_));
  uint8_t ReadBlockDataLocked() NANDU_TA(requires_capability(mutex_));
  void WriteStatusLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteControlLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  void WriteBlockDataLocked(uint8_t value) NANDU_TA(requires_capability(mutex_));
  // All of these answer whether it went well.
  bool RunLocked(SmbusEeprom& target) NANDU_TA(requires_capability(mutex_));
  bool StartBlockReadLocked(SmbusEeprom& target) NANDU_TA(requires_capability(mutex_));
  bool StartBlockWriteLocked(SmbusEeprom& target) NANDU_TA(requires_capability(mutex_));
  void ExecuteLocked() NANDU_TA(requires_capability(mutex_));
  void NextByteLocked() NANDU_TA(requires_capability(mutex_));
  void NextReadByteLocked() NANDU_TA(requires_capability(mutex_));
  void NextWriteByteLocked() NANDU_TA(requires_capability(mutex_));
  void FinishLocked() NANDU_TA(requires_capability(mutex_));
  void SendBlockLocked(SmbusEeprom& target) NANDU_TA(requires_capability(mutex_));
  SmbusEeprom* TargetLocked() NANDU_TA(requires_capability(mutex_));
  bool BufferedLocked() const NANDU_TA(requires_capability(mutex_));
  void FailLocked() NANDU_TA(requires_capability(mutex_));
  void UpdateIrqLocked() NANDU_TA(requires_capability(mutex_));

  const std::function<void(bool)> set_interrupt_;
  Counters counters_;
  mutable Mutex mutex_;
  bool enabled_ NANDU_TA(guarded_by(mutex_)) = false;
  bool i2c_ NANDU_TA(guarded_by(mutex_)) = false;
  SmbusHostState state_ NANDU_TA(guarded_by(mutex_));
  std::array<SmbusEeprom, kEeproms> eeproms_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu
