// A guest that accesses the board's old devices as it likes: six bytes an access. Afterwards what every
// device saves must load again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "state/document.h"
#include "state/state.h"
#include "support/legacy_board.h"

namespace {

using namespace nandu;

struct Processors final : IoApicOutput {
  void SetRoute(unsigned pin, const std::optional<MsiMessage>& message) override { routes.at(pin) = message; }
  void Send(const MsiMessage& message) override {
    if (std::find(routes.begin(), routes.end(), std::optional(message)) == routes.end()) {
      std::abort();  // KVM would not report its end
    }
  }
  bool IsHeld(uint8_t vector) override { return vector % 2 == 0; }
  std::array<std::optional<MsiMessage>, IoApic::kPins> routes;
};

using Board = LegacyBoard<Processors>;

// Lines of the interrupt controllers and what processors tell them, or one of the IOAPIC's registers.
void TouchControllers(Board& board, const uint8_t* bytes) {
  const unsigned line = bytes[1] & 31;
  const bool high = (bytes[1] & 32) != 0;
  constexpr std::array<uint64_t, 4> kIoApic = {0xfec00000, 0xfec00010, 0xfec00040, 0xfec00080};
  const uint32_t value =
      bytes[2] | uint32_t{bytes[3]} << 8 | uint32_t{bytes[4]} << 16 | uint32_t{bytes[5]} << 24;
  switch (bytes[1] >> 6) {
    case 0:
      board.pic->SetLine(line, high);
      board.ioapic->SetPin(line, high);
      break;
    case 1: board.ioapic->EndOfInterrupt(bytes[2]); break;
    case 2: static_cast<void>(board.host.memory.Write(kIoApic[line & 3], 4, value)); break;
    default:
      static_cast<void>(board.host.memory.Read(kIoApic[line & 3], 4));
      static_cast<void>(board.pic->Acknowledge());
  }
}

void TouchBoard(Board& board, const uint8_t* bytes) {
  constexpr std::array<uint16_t, 24> kPorts = {
      0x60,   0x70,  0x92, 0xb2, 0x3f8, 0x600, 0x620, 0xcf8, 0x20, 0x40, 0x61,
      0xa0,   0x4d0, 0x20, 0x40, 0xa0,  0x660, 0x700, 0x00,  0xc0, 0xd0, Board::kAhciPorts,
      0x5658, 0x80};
  const unsigned size = 1u << (bytes[0] >> 3 & 3);
  const unsigned narrow = size > 4 ? 4 : size;
  const uint64_t value =
      (bytes[2] | uint64_t{bytes[3]} << 8 | uint64_t{bytes[4]} << 16 | uint64_t{bytes[5]} << 24) *
      (size == 8 ? 0x100000001 : 1);
  // The three highest bits say which of several: ports, memory windows, functions.
  const unsigned other = bytes[0] >> 5;
  constexpr std::array<uint8_t, 4> kFunctions = {0xf8, 0xf8, 0xfa, 0xfb};
  const auto port = static_cast<uint16_t>(kPorts[(other % 3) << 3 | bytes[1] >> 5] + (bytes[1] & 31));
  const uint64_t memory =
      ((other & 1) != 0 ? uint64_t{Board::kAhciRegisters} : 0xfed00000) + (uint64_t{bytes[1]} << 2);
  switch (bytes[0] & 7) {
    case 0: static_cast<void>(board.host.io.Read(port, narrow)); break;
    case 1: static_cast<void>(board.host.io.Write(port, narrow, value)); break;
    case 2: static_cast<void>(board.host.memory.Read(memory, size)); break;
    case 3: static_cast<void>(board.host.memory.Write(memory, size, value)); break;
    case 4: static_cast<void>(board.bus->WriteConfig(0, kFunctions[other & 3], bytes[1], 1, bytes[2])); break;
    // Up to a millisecond, or to several ticks of the watchdog.
    case 5:
      board.host.fake_clock.Advance(static_cast<int64_t>(value & 0xfffff) * ((other & 1) != 0 ? 4096 : 1));
      break;
    case 6: TouchControllers(board, bytes); break;
    default:
      if ((other & 1) != 0) {
        board.terminal->Type("x");
        board.backdoor->now = {0x564d5868, value, bytes[1], 0, 0, 0};
      }
      board.host.loop.RunReady();
  }
}

std::vector<std::byte> Saved(const Device& device) {
  StateDocument document;
  device.Save(StateWriter(document, "/d"));
  return document.Serialize();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kAccessBytes = 6;
  Board board;
  for (size_t at = 0; size - at >= kAccessBytes; at += kAccessBytes) {
    TouchBoard(board, data + at);
  }
  static Board copy;  // takes whatever comes, again and again
  for (size_t i = 0; i < board.devices().size(); i++) {
    Device& from = *board.devices()[i];
    Device& to = *copy.devices()[i];
    from.Quiesce([] {});
    to.Quiesce([] {});
    const auto bytes = Saved(from);
    const StateDocument document = StateDocument::Parse(bytes).value();
    if (!to.Load(StateReader(document, "/d")) || Saved(to) != bytes) {
      std::abort();
    }
  }
  return 0;
}
