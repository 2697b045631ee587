#include "devices/legacy/dma_controller.h"

#include <utility>

#include "devices/legacy/byte_ports.h"
#include "state/state.h"

namespace nandu {
namespace {

// Registers of a controller beyond its channels' (13.2).
enum Register : unsigned {
  kStatusAndCommand = 8,
  kRequest = 9,  // reads as the mask
  kSingleMask = 10,
  kMode = 11,
  kClearFlipFlop = 12,
  kMasterClear = 13,
  kClearMask = 14,
  kAllMask = 15,
};
constexpr uint8_t kRequestsShown = 0xf0;
// Only stopping the controller is there; QEMU's takes no command that asks for more.
constexpr uint8_t kDisable = 0x04;
constexpr uint8_t kSetBit = 0x04;
constexpr unsigned kChannelMask = 3;

// Ports 0x81.. and 0x89..: which channel's page is where.
struct PagePorts {
  uint16_t first;
  uint8_t ports;
};
constexpr std::array<PagePorts, 4> kPagePorts = {{{0x81, 3}, {0x87, 1}, {0x89, 3}, {0x8f, 1}}};
constexpr std::array<unsigned, 8> kChannelOfPage = {0, 2, 3, 1, 0, 0, 0, 0};

}  // namespace

Result<> Validate(const DmaControllerState& state) {
  if ((state.command & ~kDisable) != 0 || (state.requests & ~kRequestsShown) != 0) {
    return Fail(Errc::kCorrupt, "a DMA controller has bits set that it does not have");
  }
  return {};
}

bool DmaController::NextByteIsHigh() { return std::exchange(state_.high_byte, !state_.high_byte); }

void DmaController::MasterClear() {
  state_.high_byte = false;
  state_.mask = 0xff;
  state_.requests = 0;
  state_.command = 0;
}

uint8_t DmaController::Read(unsigned reg) {
  if (reg < kStatusAndCommand) {
    const DmaChannelState& channel = state_.channels.at(reg / 2);
    const unsigned value = reg % 2 != 0 ? channel.count : channel.current_address;
    return static_cast<uint8_t>(NextByteIsHigh() ? value >> 8 : value);
  }
  switch (reg) {
    case kStatusAndCommand: return state_.requests;  // no channel ever reaches its terminal count
    case kRequest: return state_.mask;
    default: return 0;
  }
}

void DmaController::WriteChannel(unsigned reg, uint8_t value) {
  DmaChannelState& channel = state_.channels.at(reg / 2);
  uint16_t& base = reg % 2 != 0 ? channel.count : channel.address;
  if (NextByteIsHigh()) {
    base = static_cast<uint16_t>((base & 0x00ff) | value << 8);
    channel.current_address = channel.address;
  } else {
    base = static_cast<uint16_t>((base & 0xff00) | value);
  }
}

void DmaController::Write(unsigned reg, uint8_t value) {
  if (reg < kStatusAndCommand) {
    return WriteChannel(reg, value);
  }
  const auto bit = static_cast<uint8_t>(1 << (value & kChannelMask));
  const auto set = [value](uint8_t bits, unsigned mask) {
    return static_cast<uint8_t>((value & kSetBit) != 0 ? bits | mask : bits & ~mask);
  };
  switch (reg) {
    case kStatusAndCommand:
      if ((value & ~kDisable) == 0) {
        state_.command = value;
      }
      break;
    case kRequest: state_.requests = set(state_.requests, static_cast<unsigned>(bit) << 4); break;
    case kSingleMask: state_.mask = set(state_.mask, bit); break;
    case kMode: state_.channels.at(value & kChannelMask).mode = value; break;
    case kClearFlipFlop: state_.high_byte = false; break;
    case kMasterClear: MasterClear(); break;
    case kClearMask: state_.mask = 0; break;
    default: state_.mask = value;
  }
}

IsaDma::IsaDma() : LegacyDevice("#dma", "i8257", "/machine/isa/dma") {}

Result<std::unique_ptr<IsaDma>> IsaDma::Create(DeviceHost& host) {
  std::unique_ptr<IsaDma> device(new IsaDma);
  const AddressSpace::Transaction transaction(host.io_space());
  TRY(device->MapAll(host.io_space()));
  return device;
}

uint8_t IsaDma::Read(unsigned controller, unsigned reg) {
  const MutexLock lock(mutex_);
  return controllers_.at(controller).Read(reg);
}

void IsaDma::Write(unsigned controller, unsigned reg, uint8_t value) {
  const MutexLock lock(mutex_);
  controllers_.at(controller).Write(reg, value);
}

Result<> IsaDma::MapAll(AddressSpace& io) {
  // The second controller moves words: its registers are two ports apart.
  for (const unsigned which : {0u, 1u}) {
    auto ports = std::make_shared<BytePorts>(
        "dma", [this, which](unsigned offset) { return Read(which, offset >> which); },
        [this, which](unsigned offset, uint8_t value) { Write(which, offset >> which, value); });
    mappings_.push_back(TRY(io.Map(which == 0 ? 0x00 : 0xc0, Region::Io(std::move(ports), 16u << which))));
  }
  for (const PagePorts& pages : kPagePorts) {
    const unsigned which = pages.first >> 3 & 1;
    const auto channel = [first = pages.first](unsigned offset) {
      return kChannelOfPage.at((first + offset) & 7);
    };
    auto ports = std::make_shared<BytePorts>(
        "dma-page",
        [this, which, channel](unsigned offset) {
          const MutexLock lock(mutex_);
          return controllers_.at(which).page(channel(offset));
        },
        [this, which, channel](unsigned offset, uint8_t value) {
          const MutexLock lock(mutex_);
          controllers_.at(which).page(channel(offset)) = value;
        });
    mappings_.push_back(TRY(io.Map(pages.first, Region::Io(std::move(ports), pages.ports))));
  }
  return {};
}

void IsaDma::Reset() {
  const MutexLock lock(mutex_);
  for (DmaController& controller : controllers_) {
    controller.set_state({});
  }
}

void IsaDma::Save(const StateWriter& writer) const {
  IsaDmaState state;
  {
    const MutexLock lock(mutex_);
    for (size_t i = 0; i < controllers_.size(); i++) {
      state.controllers.at(i) = controllers_.at(i).state();
    }
  }
  writer.Put(state);
}

Result<> IsaDma::Load(const StateReader& reader) {
  const IsaDmaState state = TRY(reader.Get<IsaDmaState>());
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < controllers_.size(); i++) {
    controllers_.at(i).set_state(state.controllers.at(i));
  }
  return {};
}

}  // namespace nandu
