// The old devices of a q35 board, wired as the machine wires them, over fakes: for whoever accesses them as
// no guest would.
//
// `Processors` is an IoApicOutput of the test's.
#pragma once

#include <array>
#include <memory>
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
#include "support/fake_host.h"
#include "support/fake_vcpu_registers.h"

namespace nandu {

template <class Processors>
struct LegacyBoard {
  static constexpr uint16_t kAhciPorts = 0xc000;
  static constexpr uint32_t kAhciRegisters = 0xfebf0000;

  LegacyBoard() {
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
    return {hpet.get(),  rtc.get(), i8042.get(),  serial.get(), lpc.get(), ahci.get(),
            smbus.get(), dma.get(), vmport.get(), pic.get(),    pit.get(), ioapic.get()};
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

}  // namespace nandu
