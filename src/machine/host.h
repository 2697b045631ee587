// What device factories may use of the machine: names become objects here. Control loop, apart from the
// requests of a running guest.
#pragma once

#include <array>
#include <atomic>
#include <boost/json/fwd.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <nandu/device.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/thread_annotations.h"
#include "block/block_graph.h"
#include "chardev/chardev_set.h"
#include "machine/block_facts.h"
#include "machine/iothreads.h"
#include "machine/lifecycle.h"
#include "net/netdevs.h"
#include "sandbox/opener.h"

namespace nandu {

// The backends the configuration named, opened before there is a board.
struct Backends {
  Backends(ControlLoop& loop, Opener& opener) : chardevs(loop, opener), netdevs(opener), blocks(opener) {}
  IoThreads iothreads;
  ChardevSet chardevs;
  NetdevSet netdevs;
  BlockGraph blocks;
};

class MachineHost final : public DeviceHost {
 public:
  struct Parts {
    ControlLoop& control;
    Clock& clock;
    AddressSpace& memory;
    AddressSpace& ports;
    MsiAllocator& msi;
    Backends& backends;
    Opener& opener;
    std::function<std::unique_ptr<IrqLine>(unsigned)> claim_isa_irq;
    std::function<PciBus*(std::string_view)> find_bus;
    // No vCPU executes another instruction until the lifecycle has done what was asked for; any thread.
    std::function<void()> hold_vcpus;
    std::function<void()> balloon_changed;
    std::function<void(std::string_view event, const boost::json::object& data)> emit;  // control loop
    std::function<Result<std::vector<uint8_t>>(const std::string&)> read_firmware_file;
    std::function<void(unsigned bit)> raise_gpe;
    unsigned vcpus = 1;
    bool panic_stops = true;  // a panic ends or stops the VM (-action panic=)
  };
  explicit MachineHost(Parts parts) : parts_(std::move(parts)), panic_stops_(parts_.panic_stops) {}
  void SetPanicStops(bool stops) { panic_stops_ = stops; }
  void SetLifecycle(Lifecycle* lifecycle) { lifecycle_ = lifecycle; }

  ControlLoop& control() override { return parts_.control; }
  Clock& clock() override { return parts_.clock; }
  AddressSpace& memory_space() override { return parts_.memory; }
  AddressSpace& io_space() override { return parts_.ports; }
  MsiAllocator& msi() override { return parts_.msi; }
  std::unique_ptr<IrqLine> ClaimIsaIrq(unsigned line) override { return parts_.claim_isa_irq(line); }
  Result<PciBus*> FindPciBus(std::string_view id) override;
  Result<EventLoop*> FindIoLoop(std::string_view iothread_id) override;
  Result<std::shared_ptr<BlockNode>> ClaimBlockNode(std::string_view drive, std::string_view user) override;
  Result<std::shared_ptr<NetBackend>> ClaimNetBackend(std::string_view id, std::string_view user) override;
  Result<std::shared_ptr<Chardev>> ClaimChardev(std::string_view id, std::string_view user) override;
  Result<std::shared_ptr<BlockNode>> ClaimSharedBlockNode(std::string_view drive,
                                                          std::string_view user) override;
  Result<std::vector<uint8_t>> ReadFirmwareFile(const std::string& name) override {
    return parts_.read_firmware_file(name);
  }
  std::string DefaultMac() override;
  unsigned vcpu_count() const override { return parts_.vcpus; }
  Result<UniqueFd> OpenFile(const std::string& path) override;
  bool OnBlockError(const BlockError& error) override;
  BlockIoStatus io_status(const std::string& device) const;  // any thread
  void ForgetBlockErrors();                                  // every status is ok again; any thread
  // Events of disks that could not be told, because a guest makes errors faster than managers hear of them.
  const Counter& dropped_block_events() const { return dropped_block_events_; }
  void BalloonChanged() override { parts_.balloon_changed(); }
  void GuestPanicked(std::string_view why) override;
  void GuestCrashLoaded() override;
  void WatchdogExpired() override;
  void RaiseGpe(unsigned bit) override { parts_.raise_gpe(bit); }
  void RequestReset(std::string_view cause) override;
  void RequestShutdown(std::string_view cause) override;
  void RequestExit(int status) override;

 private:
  Parts parts_;
  mutable Mutex status_mutex_;                                                                       // a leaf
  std::map<std::string, BlockIoStatus, std::less<>> io_status_ NANDU_TA(guarded_by(status_mutex_));  // not ok
  std::atomic<bool> panic_stops_;
  std::atomic<unsigned> block_events_{0};  // on their way to the control loop
  Counter dropped_block_events_;
  RateLimitedLog block_log_{"disks"};
  Lifecycle* lifecycle_ = nullptr;  // set before the first vCPU runs
  unsigned macs_given_ = 0;
};

}  // namespace nandu
