// A guest that accesses the board's old devices as it likes: six bytes an access. Afterwards what every
// device saves must load again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "devices/legacy/dma_controller.h"
#include "devices/legacy/hpet.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/i8254.h"
#include "devices/legacy/i8259.h"
#include "devices/legacy/ich9_ahci.h"
#include "devices/legacy/ich9_lpc.h"
#include "devices/legacy/ich9_smbus.h"
#include "devices/legacy/ioapic.h"
#include "devices/legacy/rtc.h"
#include "devices/legacy/serial_device.h"
#include "devices/legacy/vmport.h"
#include "devices/pci/pci_bus.h"
#include "state/document.h"
#include "state/state.h"
#include "support/fake_host.h"
#include "support/fake_vcpu_registers.h"

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

constexpr uint16_t kAhciPorts = 0xc000;
constexpr uint32_t kAhciRegisters = 0xfebf0000;

struct Board {
  Board() {
    Hpet::Options options;
    options.claim_gsi = [this](unsigned gsi) {
      return std::make_unique<FakeIrqShare>(gsi < 16 ? host.isa[gsi] : high.at(gsi - 16));
    };
    hpet = Hpet::Create(host, std::move(options)).value();
    rtc = Rtc::Create(host, hpet->rtc_line(), {}).value();
    i8042 = I8042::Create(host).value();
    serial = SerialDevice::Create(host, {.id = "s", .chardev = terminal}).value();
    PciBus::Options root;
    root.id = "pcie.0";
    root.spaces = {&host.memory, &host.io};
    bus = std::make_unique<PciBus>(std::move(root));
    Ich9Lpc::Gsis gsis;
    for (unsigned i = 0; i < IrqRouter::kPirqs; i++) {
      gsis[i] = std::make_unique<FakeIrqShare>(high[i]);
    }
    lpc = Ich9Lpc::Create(host, *bus, std::move(gsis)).value();
    lpc->SetUpAsFirmware();
    pic = I8259::Create(host, intr).value();
    pit = I8254::Create(host, std::make_unique<FakeIrqShare>(host.isa[0])).value();
    ioapic = IoApic::Create(host, processors).value();
    ahci = Ich9Ahci::Create(host, *bus).value();
    smbus = Ich9Smbus::Create(*bus).value();
    dma = IsaDma::Create(host).value();
    vmport = Vmport::Create(host, {.registers = backdoor}).value();
    SetUp();
  }
  // What firmware does: places for BARs, decoding, bus mastering.
  void SetUp() {
    PciBus& root = *bus;
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x20, 4, kAhciPorts));
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x24, 4, kAhciRegisters));
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x04, 2, 7));
    static_cast<void>(root.WriteConfig(0, 0xfb, 0x04, 2, 1));
    smbus->SetUpAsFirmware();
  }
  std::vector<Device*> devices() {
    return {hpet.get(), rtc.get(),   i8042.get(), serial.get(), lpc.get(),
            ahci.get(), smbus.get(), dma.get(),   vmport.get(), pic.get(), pit.get(), ioapic.get()};
  }

  FakeHost host;
  std::array<FakeIrqLine, 8> high;
  FakeIrqLine intr;
  Processors processors;
  std::shared_ptr<FakeChardev> terminal = host.AddChardev("t");
  std::unique_ptr<PciBus> bus;
  std::unique_ptr<Hpet> hpet;
  std::unique_ptr<Rtc> rtc;
  std::unique_ptr<I8042> i8042;
  std::unique_ptr<SerialDevice> serial;
  std::unique_ptr<Ich9Lpc> lpc;
  std::unique_ptr<I8259> pic;
  std::unique_ptr<I8254> pit;
  std::unique_ptr<IoApic> ioapic;
  std::unique_ptr<Ich9Ahci> ahci;
  std::unique_ptr<Ich9Smbus> smbus;
  std::unique_ptr<IsaDma> dma;
  std::shared_ptr<FakeVcpuRegisters> backdoor = std::make_shared<FakeVcpuRegisters>();
  std::unique_ptr<Vmport> vmport;
};

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
  constexpr std::array<uint16_t, 24> kPorts = {0x60, 0x70, 0x92, 0xb2, 0x3f8, 0x600, 0x620, 0xcf8, 0x20, 0x40,
                                               0x61, 0xa0, 0x4d0, 0x20, 0x40, 0xa0, 0x660, 0x700, 0x00, 0xc0,
                                               0xd0, kAhciPorts, 0x5658, 0x80};
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
      ((other & 1) != 0 ? uint64_t{kAhciRegisters} : 0xfed00000) + (uint64_t{bytes[1]} << 2);
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
