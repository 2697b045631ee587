// The q35 board's own devices, as every VM of this machine type has them: host bridge, LPC bridge with power
// management and reset, clock, timers, keyboard controller, serial ports. Control loop.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "devices/legacy/fw_cfg.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ich9_lpc.h"
#include "devices/legacy/ich9_smbus.h"
#include "devices/legacy/rtc.h"
#include "devices/pci/host_bridge.h"
#include "machine/config.h"
#include "machine/dma_listener.h"
#include "machine/kvm_board.h"

namespace nandu {

class Q35 {
 public:
  static Result<std::unique_ptr<Q35>> Create(DeviceHost& host, KvmBoard& board, const MachineConfig& config);
  ~Q35();
  Q35(const Q35&) = delete;
  Q35& operator=(const Q35&) = delete;

  PciBus& root() { return host_bridge_->root(); }
  Ich9Lpc& lpc() { return *lpc_; }
  Rtc& rtc() { return *rtc_; }
  FwCfg& fw_cfg() { return *fw_cfg_; }
  const Q35HostBridge& host_bridge() const { return *host_bridge_; }
  std::vector<Device*> devices() const;  // in the order they are reset, saved and resumed

  // Firmware's chores, when none runs: ECAM, interrupt routes, power management, the keyboard
  // controller, BARs and bridge windows.
  // After a reset.
  Result<> SetUpWithoutFirmware();

 private:
  Q35(DeviceHost& host, KvmBoard& board) : host_(host), board_(board) {}
  Result<> AddChipset(const MachineConfig& config);
  Result<> AddPorts(const MachineConfig& config);
  Result<> AddFlash(const MachineConfig& config);

  DeviceHost& host_;
  KvmBoard& board_;
  std::unique_ptr<IrqLine> rtc_line_;  // where the clock's interrupt goes on a board without HPET
  std::unique_ptr<Q35HostBridge> host_bridge_;
  std::unique_ptr<DmaListener> dma_;
  std::unique_ptr<Ich9Lpc> lpc_;
  Rtc* rtc_ = nullptr;                    // in others_
  FwCfg* fw_cfg_ = nullptr;               // in others_
  I8042* keyboard_controller_ = nullptr;  // in others_
  Ich9Smbus* smbus_ = nullptr;            // in others_, where the board has one
  std::vector<std::unique_ptr<Device>> others_;
  Mapping flash_shadow_;  // what the processor sees of pflash0 below 1 MiB
};

}  // namespace nandu
