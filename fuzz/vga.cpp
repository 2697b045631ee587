// A guest that accesses a VGA card as it likes: six bytes an access. The screen is drawn on the way;
// afterwards what the card saves must load again and be the same.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "devices/display/vga_card.h"
#include "devices/pci/pci_bus.h"
#include "state/document.h"
#include "state/state.h"
#include "support/fake_host.h"

namespace {

using namespace nandu;

constexpr uint32_t kRegisters = 0xe8000000;
constexpr uint8_t kDevfn = 0x08;

struct Board {
  Board() {
    host.buses[""] = &bus;
    VgaCardOptions options;
    options.vgamem_mb = 1;
    options.romfile = "";
    options.addr = "1";
    card = VgaCard::Create(host, "card", options, VgaCard::Kind::kPrimary).value();
    static_cast<void>(bus.WriteConfig(0, kDevfn, 0x10, 4, 0xe0000000));
    static_cast<void>(bus.WriteConfig(0, kDevfn, 0x18, 4, kRegisters));
    static_cast<void>(bus.WriteConfig(0, kDevfn, 0x04, 2, 3));
  }
  PciBus::Options RootOptions() {
    PciBus::Options options;
    options.id = "pcie.0";
    options.spaces = {&host.memory, &host.io};
    return options;
  }
  std::vector<std::byte> Saved() const {
    StateDocument document;
    card->Save(StateWriter(document, "/d"));
    return document.Serialize();
  }

  FakeHost host;
  PciBus bus{RootOptions()};
  std::unique_ptr<VgaCard> card;
};

void Touch(Board& board, const uint8_t* bytes) {
  const unsigned size = 1U << (bytes[0] >> 3 & 3);
  const unsigned narrow = size > 4 ? 4 : size;
  const uint64_t value =
      (bytes[2] | uint64_t{bytes[3]} << 8 | uint64_t{bytes[4]} << 16 | uint64_t{bytes[5]} << 24) *
      (size == 8 ? 0x100000001 : 1);
  const unsigned port = 0x3b0 + bytes[1] % 0x30;
  const uint64_t window = 0xa0000 + (uint64_t{bytes[1]} << 9 | uint64_t{bytes[0]} >> 5 << 3);
  switch (bytes[0] & 7) {
    case 0: static_cast<void>(board.host.io.Read(port, narrow)); break;
    case 1: static_cast<void>(board.host.io.Write(port, narrow, value)); break;
    case 2: static_cast<void>(board.host.memory.Read(window, size)); break;
    case 3: static_cast<void>(board.host.memory.Write(window, size, value)); break;
    case 4:
      static_cast<void>(board.host.io.Write(0x1ce, 2, bytes[1] & 15));
      static_cast<void>(board.host.io.Write(0x1cf, 2, value & 0xffff));
      break;
    case 5:
      static_cast<void>(board.host.memory.Write(kRegisters + (uint64_t{bytes[1]} << 4), size, value));
      break;
    case 6: static_cast<void>(board.host.memory.Read(kRegisters + (uint64_t{bytes[1]} << 4), size)); break;
    default: static_cast<void>(board.bus.WriteConfig(0, kDevfn, bytes[1] & 0x3f, 1, bytes[2]));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kAccessBytes = 6;
  constexpr size_t kBetweenPictures = 64 * kAccessBytes;
  Board board;
  Picture picture;
  for (size_t at = 0; size - at >= kAccessBytes; at += kAccessBytes) {
    Touch(board, data + at);
    if (at % kBetweenPictures == 0) {
      board.card->core().Draw(BlinkPhase::kOn, &picture);
    }
  }
  board.card->core().Draw(BlinkPhase::kOff, &picture);
  if (picture.pixels.size() != size_t{picture.width} * picture.height || picture.pixels.empty()) {
    std::abort();
  }
  static Board copy;  // takes whatever comes, again and again
  const std::vector<std::byte> bytes = board.Saved();
  const StateDocument document = StateDocument::Parse(bytes).value();
  if (!copy.card->Load(StateReader(document, "/d")) || copy.Saved() != bytes) {
    std::abort();
  }
  return 0;
}
