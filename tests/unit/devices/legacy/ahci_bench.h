// A driver of the AHCI function: one port, its list and tables in guest memory, commands as a guest writes them.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "devices/legacy/ahci_registers.h"
#include "devices/legacy/ich9_ahci.h"
#include "devices/legacy/ide_drive.h"
#include "devices/legacy/legacy_ports.h"
#include "devices/pci/pci_bus.h"
#include "support/fake_host.h"
#include "support/fake_memory.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {

struct AhciCommandSpec {
  uint8_t command = 0;
  uint64_t lba = 0;
  uint16_t count = 0;
  uint16_t feature = 0;
  uint8_t device = 0x40;
  uint32_t bytes = 512;  // of its one region; 0: none
  unsigned slot = 0;
  std::vector<uint8_t> packet = {};
};

class AhciBench {
 public:
  static constexpr uint64_t kAbar = 0xfebf0000;
  static constexpr uint64_t kList = 0x10000;
  static constexpr uint64_t kFis = 0x11000;
  static constexpr uint64_t kTables = 0x20000;  // one each 0x1000
  static constexpr uint64_t kBuffers = 0x100000;  // one each 0x10000

  explicit AhciBench(unsigned port = 0) : base_(0x100 + 0x80 * uint64_t{port}) {
    host.io_loops[""] = &loop;
    root.SetMemory(ram);
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x24, 4, static_cast<uint32_t>(kAbar)));
    static_cast<void>(root.WriteConfig(0, 0xfa, 4, 2, 7));
    host.nodes["disk"] = node;
  }
  ~AhciBench() {
    Settle();
    bool quiet = false;
    ahci->Quiesce([&] { quiet = true; });
    Settle();
    EXPECT_TRUE(quiet);
    drive.reset();
    loop.RunUntilIdle();
    ahci.reset();
    loop.RunUntilIdle();
  }

  void Plug(const DeviceFactory& factory, boost::json::object options) {
    drive = factory.create(host, "d", options).value();
  }
  void PlugDisk() { Plug(IdeHdFactory(), {{"drive", "disk"}, {"bus", "ide.0"}}); }

  uint32_t Get(uint64_t offset) { return static_cast<uint32_t>(host.memory.Read(kAbar + base_ + offset, 4)); }
  void Set(uint64_t offset, uint32_t value) { static_cast<void>(host.memory.Write(kAbar + base_ + offset, 4, value)); }
  // What a driver does to a port before its first command.
  void StartPort() {
    Set(ahci::kListBase, kList);
    Set(ahci::kFisBase, kFis);
    Set(ahci::kPortInterruptEnable, 0xffffffff);
    static_cast<void>(host.memory.Write(kAbar + ahci::kGlobalControl, 4, 0x80000002));
    Set(ahci::kCommand, 0x16);
    Set(ahci::kCommand, 0x17);
    Set(ahci::kPortInterruptStatus, 0xffffffff);
  }
  void Place(const AhciCommandSpec& spec) {
    std::array<uint8_t, 20> fis = {0x27, 0x80, spec.command};
    fis[3] = static_cast<uint8_t>(spec.feature);
    fis[11] = static_cast<uint8_t>(spec.feature >> 8);
    for (unsigned i = 0; i < 3; ++i) {
      fis[4 + i] = static_cast<uint8_t>(spec.lba >> (8 * i));
      fis[8 + i] = static_cast<uint8_t>(spec.lba >> (24 + 8 * i));
    }
    fis[7] = spec.device;
    fis[12] = static_cast<uint8_t>(spec.count);
    fis[13] = static_cast<uint8_t>(spec.count >> 8);
    const uint64_t table = kTables + 0x1000 * uint64_t{spec.slot};
    Write(table, std::string(reinterpret_cast<const char*>(fis.data()), fis.size()));
    Write(table + 0x40, std::string(spec.packet.begin(), spec.packet.end()));
    const std::array<uint64_t, 2> region = {Buffer(spec.slot), uint64_t{spec.bytes - 1} << 32};
    Write(table + 0x80, std::string(reinterpret_cast<const char*>(region.data()), 16));
    const std::array<uint64_t, 4> header = {5 | (spec.packet.empty() ? 0u : 0x20u) | (spec.bytes != 0 ? 1u << 16 : 0u),
                                            table};
    Write(kList + 32 * uint64_t{spec.slot}, std::string(reinterpret_cast<const char*>(header.data()), 32));
  }
  void Issue(uint32_t slots) {
    Set(ahci::kPortInterruptStatus, 0xffffffff);
    Set(ahci::kCommandIssue, slots);
  }
  // To its end; the task file.
  uint32_t Run(const AhciCommandSpec& spec) {
    Place(spec);
    Issue(1u << spec.slot);
    Settle();
    return Get(ahci::kTaskFile);
  }
  void Settle() {
    loop.RunUntilIdle();
    while (node->in_flight() > 0) {
      node->ReleaseAll();
      loop.RunUntilIdle();
    }
  }
  static uint64_t Buffer(unsigned slot) { return kBuffers + 0x10000 * uint64_t{slot}; }
  std::string Read(uint64_t at, size_t bytes) {
    std::string text(bytes, '\0');
    EXPECT_TRUE(ram->Read(Gpa{at}, text.data(), bytes));
    return text;
  }
  void Write(uint64_t at, const std::string& bytes) { EXPECT_TRUE(ram->Write(Gpa{at}, bytes.data(), bytes.size())); }
  uint32_t Moved(unsigned slot = 0) {
    uint32_t moved = 0;
    std::memcpy(&moved, Read(kList + 32 * uint64_t{slot} + 4, 4).data(), 4);
    return moved;
  }

  FakeHost host;
  FakeIrqLine pin;
  ManualLoop loop;
  std::shared_ptr<HangingBlockNode> node = std::make_shared<HangingBlockNode>(uint64_t{64} << 20);
  std::shared_ptr<const GuestMemory> ram = TestMemory(4 << 20);
  PciBus root{Options()};
  std::unique_ptr<Ich9Ahci> ahci = Ich9Ahci::Create(host, root).value();
  std::unique_ptr<Device> drive;

 private:
  PciBus::Options Options() {
    PciBus::Options options = RootBus(host);
    options.root_intx = [this](unsigned, bool level) { pin.Set(level); };
    return options;
  }
  const uint64_t base_;
};

}  // namespace nandu
