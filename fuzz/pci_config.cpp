// A guest that does what it likes to configuration space, BARs, bridge windows and MSI-X tables of a small
// q35 tree. Whatever it writes: no crash, identities stay, state saves and loads to equal bytes, and a reset
// takes everything back.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "devices/pci/host_bridge.h"
#include "devices/pci/pci_caps.h"
#include "devices/pci/pci_regs.h"
#include "devices/pci/pci_setup.h"
#include "devices/pci/root_port.h"
#include "input.h"
#include "state/document.h"
#include "support/fake_irq.h"

namespace nandu {
namespace {

constexpr size_t kMaxSteps = 400;
constexpr uint64_t kEcam = 0xb0000000;

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

// Registers that take everything and remember nothing.
class Sink final : public IoHandler {
 public:
  std::string_view name() const override { return "sink"; }
  uint64_t Read(uint64_t offset, unsigned /*size*/) override { return offset; }
  ExitDone Write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {
    return ExitDone::Done();
  }
};

class CountingVector final : public MsiVector {
 public:
  void SetMessage(const MsiMessage& message) override { Require((message.address & 3) == 0); }
  void Notify() override {}
  int fd() const override { return -1; }
};

class CountingAllocator final : public MsiAllocator {
 public:
  Result<std::unique_ptr<MsiVector>> Allocate() override { return std::make_unique<CountingVector>(); }
};

PciIdentity Endpoint(bool multifunction) {
  return PciIdentity{.vendor_id = 0x1af4,
                     .device_id = 0x1041,
                     .class_code = 0x020000,
                     .interrupt_pin = 1,
                     .multifunction = multifunction};
}

struct Board {
  AddressSpace memory{"memory", ~uint64_t{0}};
  AddressSpace io{"io", 65536};
  CountingAllocator msi;
  std::array<FakeIrqLine, Q35HostBridge::kPirqs> pirqs;
  std::shared_ptr<Sink> sink = std::make_shared<Sink>();
  std::unique_ptr<Q35HostBridge> host = MakeHost();
  std::unique_ptr<PcieRootPort> port =
      PcieRootPort::Create("pci.1", PcieRootPortOptions{}, host->root(), msi).value();
  PciFunction below{"below", Endpoint(false), true};
  PciFunction first{"first", Endpoint(true), false};
  PciFunction second{"second", Endpoint(false), false};
  std::vector<PciFunction*> functions{host->pci(), port->pci(), &below, &first, &second};

  Board() {
    Require(AddExpressEndpoint(below).has_value() && AddPowerManagement(below).has_value());
    Require(below.EnableMsix(3, 1, msi).has_value());
    Require(
        below.AddBar(4, BarKind::kMemory64Prefetchable, Region::Io(sink, 0x4000, {IoEvent{0x3000, 2, {}, 5}}))
            .has_value());
    Require(first.AddBar(0, BarKind::kIo, Region::Io(sink, 0x20)).has_value());
    Require(first.EnableMsix(70, 2, msi).has_value());
    Require(second.AddBar(0, BarKind::kMemory32, Region::Io(sink, 0x10)).has_value());
    Require(port->bus()->Attach(below, -1).has_value());
    Require(host->root().Attach(first, pci::DevFn(5, 0)).has_value());
    Require(host->root().Attach(second, pci::DevFn(5, 3)).has_value());
  }
  std::unique_ptr<Q35HostBridge> MakeHost() {
    Q35HostBridge::Options options;
    options.spaces = {&memory, &io};
    options.set_pirq = [this](unsigned pirq, bool level) { pirqs.at(pirq).Set(level); };
    return Q35HostBridge::Create(std::move(options)).value();
  }
  void SetUp() {
    host->EnableEcam(kEcam);
    PciSetupOptions options;
    options.memory32 = {0xc0000000, 0xfec00000};
    options.memory64 = {0x100000000, 0x200000000};
    Require(SetUpPci(host->root(), options).has_value());
  }
  void Reset() {
    host->root().Reset();
    host->Reset();
  }
  StateDocument Save() const {
    StateDocument document;
    host->Save(StateWriter(document, "/host"));
    port->Save(StateWriter(document, "/port"));
    below.Save(StateWriter(document, "/below"));
    first.Save(StateWriter(document, "/first"));
    second.Save(StateWriter(document, "/second"));
    return document;
  }
  void Load(const StateDocument& document) {
    Require(host->Load(StateReader(document, "/host")).has_value());
    Require(port->Load(StateReader(document, "/port")).has_value());
    Require(below.Load(StateReader(document, "/below")).has_value());
    Require(first.Load(StateReader(document, "/first")).has_value());
    Require(second.Load(StateReader(document, "/second")).has_value());
  }
};

void Step(Board& board, Input& input) {
  const uint8_t what = input.Byte();
  const unsigned size = 1U << (what >> 4 & 3);
  PciFunction& function = *board.functions[(what >> 6) + (what >> 3 & 1)];
  switch (what & 7) {
    case 0:
      (void)board.io.Write(0xcf8, 4, input.Bytes(4) | 0x80000000U);
      (void)board.io.Write(0xcfc + (input.Byte() & 3), size, input.Bytes(4));
      break;
    case 1: (void)board.memory.Write(kEcam + input.Bytes(3), size, input.Bytes(size)); break;
    case 2: (void)board.memory.Read(kEcam + input.Bytes(3), size); break;
    case 3:
      (void)function.WriteConfig(static_cast<uint16_t>(input.Bytes(2) & 0xfff), size > 4 ? 4 : size,
                                 static_cast<uint32_t>(input.Bytes(4)));
      break;
    case 4: {
      const std::vector<PciBarInfo> bars = function.Bars();
      const uint64_t base = bars.empty() ? 0 : bars[input.Byte() % bars.size()].address;
      (void)board.memory.Write(base + input.Bytes(2), size, input.Bytes(size));
      (void)board.memory.Read(base + input.Bytes(2), size);
      break;
    }
    case 5:
      function.SetIntx((input.Byte() & 1) != 0);
      function.NotifyMsix(input.Byte());
      break;
    case 6: {
      const std::vector<std::byte> saved = board.Save().Serialize();
      board.Load(board.Save());
      Require(board.Save().Serialize() == saved);
      break;
    }
    default: input.Byte() % 4 == 0 ? board.Reset() : board.SetUp();
  }
}

}  // namespace
}  // namespace nandu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nandu;
  Board board;
  board.SetUp();
  Input input(data, size);
  for (size_t step = 0; step < kMaxSteps && !input.empty(); step++) {
    Step(board, input);
    Require(board.below.ReadConfig(0, 4) == 0x10411af4 && board.port->pci()->ReadConfig(0, 4) == 0x000c1b36);
    Require(board.memory.view()->ranges().size() < 32 && board.io.view()->ranges().size() < 8);
  }
  board.Reset();
  Require(board.memory.view()->ranges().empty() && board.io.view()->ranges().size() == 1);
  for (const FakeIrqLine& line : board.pirqs) {
    Require(!line.level());
  }
  return 0;
}
