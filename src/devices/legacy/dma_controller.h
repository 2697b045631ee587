// The two 8257-type (8237A) DMA controllers of a PC: ports 0x00-0x0f and 0xc0-0xdf, and their page registers
// at 0x81-0x8f. Intel 8237A datasheet; Intel ICH9 datasheet (316972), section 13.2. Any vCPU thread.
//
// Registers only: nothing on this board asks for ISA DMA, so no channel ever moves a byte.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

struct DmaChannelState {
  uint16_t address = 0;          // base, as it is being written
  uint16_t current_address = 0;  // loaded when the high byte was written
  uint16_t count = 0;
  uint8_t mode = 0;
  uint8_t page = 0;
};
BOOST_DESCRIBE_STRUCT(DmaChannelState, (), (address, current_address, count, mode, page))

struct DmaControllerState {
  std::array<DmaChannelState, 4> channels = {};
  uint8_t command = 0;
  uint8_t mask = 0xff;
  uint8_t requests = 0;    // status bits 4 to 7, asked for by software
  bool high_byte = false;  // what address and count registers take and give next
};
BOOST_DESCRIBE_STRUCT(DmaControllerState, (), (channels, command, mask, requests, high_byte))

struct IsaDmaState {
  std::array<DmaControllerState, 2> controllers = {};
};
BOOST_DESCRIBE_STRUCT(IsaDmaState, (), (controllers))
Result<> Validate(const DmaControllerState& state);

// Channels of one controller, by its registers 0 to 15. Guarded by IsaDma's lock.
class DmaController {
 public:
  uint8_t Read(unsigned reg);
  void Write(unsigned reg, uint8_t value);
  uint8_t& page(unsigned channel) { return state_.channels.at(channel).page; }
  const DmaControllerState& state() const { return state_; }
  void set_state(const DmaControllerState& state) { state_ = state; }

 private:
  bool NextByteIsHigh();
  void WriteChannel(unsigned reg, uint8_t value);
  void MasterClear();

  DmaControllerState state_;
};

class IsaDma final : public LegacyDevice {
 public:
  static Result<std::unique_ptr<IsaDma>> Create(DeviceHost& host);

  void Reset() override;
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  IsaDma();
  Result<> MapAll(AddressSpace& io);
  uint8_t Read(unsigned controller, unsigned reg);
  void Write(unsigned controller, unsigned reg, uint8_t value);

  mutable Mutex mutex_;
  std::array<DmaController, 2> controllers_ NANDU_TA(guarded_by(mutex_));
  std::vector<Mapping> mappings_;
};

}  // namespace nandu
