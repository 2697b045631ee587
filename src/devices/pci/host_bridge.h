// The q35 host bridge (MCH) at 00:00.0: root bus pcie.0, configuration ports, ECAM window, PAM and SMRAM
// registers, and which PIRQ a root slot's INTx is wired to. Intel 3 Series Express Chipset datasheet
// (316966), section 5.1; Intel ICH9 datasheet, 10.1.45 and following.
//
// PAM and SMRAM are stored and announced: what they mean for the memory map is the machine's. Device
// functions: control thread; register accesses: any vCPU thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include <nandu/device.h>

#include "devices/pci/config_access.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_function.h"

namespace nandu {

class Q35HostBridge final : public Device {
 public:
  static constexpr unsigned kPirqs = 8;  // PIRQA# .. PIRQH#
  static constexpr unsigned kPamRegisters = 7;
  struct Options {
    PciAddressSpaces spaces;
    std::function<void(unsigned pirq, bool level)> set_pirq;  // a leaf call, any thread
    std::function<void(const std::array<uint8_t, kPamRegisters>&)>
        pam_changed;  // on the writing thread, within a transaction; may be empty
  };
  static Result<std::unique_ptr<Q35HostBridge>> Create(Options options);
  ~Q35HostBridge() override;

  PciBus& root() { return root_; }
  // What firmware does with PCIEXBAR; again after every reset when no firmware runs.
  void EnableEcam(uint64_t base);
  bool ecam_enabled() const;
  uint64_t ecam_base() const;  // where it is; where firmware puts it, as long as it has not
  void OpenShadowRam();        // PAM: RAM to read and write from 0xc0000 to 1 MiB
  std::array<uint8_t, kPamRegisters> pam() const;

  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return "mch"; }
  std::string StatePath() const override;
  PciFunction* pci() override { return &function_; }
  PciBus* bus() override { return &root_; }
  void Reset() override;  // its own registers; the machine resets root()
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  explicit Q35HostBridge(Options options);
  ExitDone ConfigWritten(uint16_t reg, unsigned size);
  void FollowRegisters();  // ECAM where PCIEXBAR says, SMRAM locked when D_LCK is set
  void AnnouncePam();
  void LockSmram(bool locked);

  const std::string id_ = "#mch";
  const Options options_;
  PciBus root_;
  mutable PciFunction function_;
  const std::shared_ptr<ConfigPorts> ports_;
  const std::shared_ptr<EcamWindow> ecam_;
  Mapping ports_mapping_;
  Mapping ecam_mapping_;  // changed within a transaction
};

}  // namespace nandu
