// A GuestVm whose 8259s, 8254 and IOAPIC are nandu's own, on a clock that a test turns by hand.
#pragma once

#include "guest_vm.h"
#include "machine/irqchip.h"
#include "state/document.h"
#include "unit/support/fake_clock.h"
#include "unit/support/fake_control_loop.h"

namespace nandu {

// Of a machine, no more than those devices use.
class SplitHost final : public DeviceHost {
 public:
  SplitHost(AddressSpace& memory, AddressSpace& io, MsiAllocator& msi)
      : memory_(memory), io_(io), msi_(msi) {}
  FakeClock fake_clock;

  ControlLoop& control() override { return loop_; }
  Clock& clock() override { return fake_clock; }
  AddressSpace& memory_space() override { return memory_; }
  AddressSpace& io_space() override { return io_; }
  MsiAllocator& msi() override { return msi_; }
  std::unique_ptr<IrqLine> ClaimIsaIrq(unsigned /*line*/) override { return nullptr; }
  Result<PciBus*> FindPciBus(std::string_view /*id*/) override { return Nothing(); }
  Result<EventLoop*> FindIoLoop(std::string_view /*id*/) override { return Nothing(); }
  Result<std::shared_ptr<BlockNode>> ClaimBlockNode(std::string_view /*drive*/,
                                                    std::string_view /*user*/) override {
    return Nothing();
  }
  Result<std::shared_ptr<NetBackend>> ClaimNetBackend(std::string_view /*id*/,
                                                      std::string_view /*user*/) override {
    return Nothing();
  }
  Result<std::shared_ptr<Chardev>> ClaimChardev(std::string_view /*id*/, std::string_view /*user*/) override {
    return Nothing();
  }
  std::string DefaultMac() override { return {}; }
  void GuestPanicked(std::string_view /*why*/) override {}
  void RequestReset(std::string_view /*cause*/) override {}
  void RequestShutdown(std::string_view /*cause*/) override {}
  void RequestExit(int /*status*/) override {}

 private:
  static tl::unexpected<Error> Nothing() { return Fail(Errc::kNotFound, "this host has nothing"); }
  AddressSpace& memory_;
  AddressSpace& io_;
  MsiAllocator& msi_;
  FakeControlLoop loop_;
};

struct SplitGuest {
  explicit SplitGuest(unsigned vcpus = 1)
      : vm(vcpus, "host", KvmVm::Options::Irqchip::kSplit), host(vm.memory_space, vm.io_space, *vm.msi) {
    irqchip = Must(CreateSplitIrqchip(host, *vm.router, *vm.vcpus));
    for (Device* const device : irqchip->devices()) {
      device->Reset();
    }
    vm.vcpus->Start();
  }
  ~SplitGuest() {
    vm.Pause();
    irqchip->Disconnect();
  }
  SplitGuest(const SplitGuest&) = delete;
  SplitGuest& operator=(const SplitGuest&) = delete;

  std::vector<std::byte> SaveDevices() const {
    StateDocument document;
    for (Device* const device : irqchip->devices()) {
      device->Save(StateWriter(document, device->StatePath()));
    }
    return document.Serialize();
  }
  void LoadDevices(const std::vector<std::byte>& bytes) {
    const StateDocument document = Must(StateDocument::Parse(bytes));
    for (Device* const device : irqchip->devices()) {
      Must(device->Load(StateReader(document, device->StatePath())));
    }
  }
  // Once vCPUs and devices are loaded, and before the vCPUs run.
  void ResumeDevices() {
    for (Device* const device : irqchip->devices()) {
      device->Resume();
    }
  }
  uint32_t IoApicEntry(unsigned pin) {
    constexpr uint64_t kIoApic = 0xfec00000;
    static_cast<void>(vm.memory_space.Write(kIoApic, 4, 0x10 + 2 * pin));
    return static_cast<uint32_t>(vm.memory_space.Read(kIoApic + 0x10, 4));
  }

  GuestVm vm;
  SplitHost host;
  std::unique_ptr<Irqchip> irqchip;
};

}  // namespace nandu
