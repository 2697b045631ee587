// The ICH9's SMBus controller at 1f.3 with the board's eight EEPROMs. Intel ICH9 datasheet (316972), chapter
// 19. Device functions: control thread; registers: any vCPU thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <nandu/device.h>

#include "base/described.h"
#include "base/result.h"
#include "devices/legacy/legacy_device.h"
#include "devices/legacy/smbus_host.h"
#include "devices/pci/pci_function.h"

namespace nandu {

struct Ich9SmbusState {
  SmbusHostState host;
  std::vector<SmbusEepromState> eeproms = std::vector<SmbusEepromState>(SmbusHost::kEeproms);
};
BOOST_DESCRIBE_STRUCT(Ich9SmbusState, (), (host, eeproms))
Result<> Validate(const Ich9SmbusState& state);

class Ich9Smbus final : public LegacyDevice {
 public:
  static constexpr uint8_t kDevfn = 0xfb;  // 1f.3
  static Result<std::unique_ptr<Ich9Smbus>> Create(PciBus& root);
  ~Ich9Smbus() override;

  // What SeaBIOS programs: registers at port 0x700, the controller on. After SetUpPci gave everything a
  // place.
  void SetUpAsFirmware();

  PciFunction* pci() override { return &function_; }
  void Reset() override;
  void Resume() override { host_->RedriveIrq(); }
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;
  const SmbusHost::Counters& counters() const { return host_->counters(); }

 private:
  Ich9Smbus();
  void FollowConfig();

  mutable PciFunction function_;
  const std::shared_ptr<SmbusHost> host_;
  PciBus* bus_ = nullptr;
};

}  // namespace nandu
