#include "machine/host.h"

#include "base/log.h"
#include "machine/run_state.h"

namespace nandu {

Result<PciBus*> MachineHost::FindPciBus(std::string_view id) {
  if (PciBus* bus = parts_.find_bus(id)) {
    return bus;
  }
  return Fail(Errc::kNotFound,
              "there is no PCI bus '{}'; pcie.0 is the root bus, others are named by the id of their bridge",
              id);
}

Result<EventLoop*> MachineHost::FindIoLoop(std::string_view iothread_id) {
  return parts_.backends.iothreads.Find(iothread_id);
}

Result<std::shared_ptr<BlockNode>> MachineHost::ClaimBlockNode(std::string_view drive,
                                                               std::string_view user) {
  return parts_.backends.blocks.Claim(drive, user);
}

Result<std::shared_ptr<NetBackend>> MachineHost::ClaimNetBackend(std::string_view id, std::string_view user) {
  return parts_.backends.netdevs.Claim(id, user);
}

Result<std::shared_ptr<Chardev>> MachineHost::ClaimChardev(std::string_view id, std::string_view user) {
  return parts_.backends.chardevs.Claim(id, user);
}

Result<std::shared_ptr<BlockNode>> MachineHost::ClaimSharedBlockNode(std::string_view drive,
                                                                     std::string_view user) {
  return parts_.backends.blocks.Claim(drive, user, BlockGraph::Sharing::kShareWrites);
}

bool MachineHost::IoErrorStop(std::string_view device, std::string_view node, bool is_read, bool no_space) {
  Log(LogLevel::kWarning, "{}: {} '{}' failed{}; the VM stops until 'cont'", device,
      is_read ? "reading" : "writing", node, no_space ? " for want of space" : "");
  lifecycle_->RequestStop(RunState::kIoError);
  return true;
}

std::string MachineHost::DefaultMac() {
  // As QEMU counts: 52:54:00:12:34:56 is the first card without an address of its own.
  const unsigned last = 0x56 + macs_given_++;
  return Format("52:54:00:12:{:02x}:{:02x}", (0x34 + (last >> 8)) & 0xff, last & 0xff);
}

void MachineHost::GuestPanicked(std::string_view why) {
  Log(LogLevel::kWarning, "the guest panicked: {}", why);
  if (parts_.panic_stops) {
    parts_.hold_vcpus();
  }
  lifecycle_->GuestPanicked();
}

void MachineHost::GuestCrashLoaded() {
  Log(LogLevel::kWarning, "the guest panicked and runs its crash kernel");
  lifecycle_->GuestCrashLoaded();
}

void MachineHost::WatchdogExpired() {
  Log(LogLevel::kWarning, "the guest's watchdog expired");
  lifecycle_->WatchdogExpired();
}

void MachineHost::RequestReset(std::string_view cause) {
  parts_.hold_vcpus();
  lifecycle_->RequestReset(cause);
}

void MachineHost::RequestShutdown(std::string_view cause) {
  parts_.hold_vcpus();
  lifecycle_->RequestShutdown(cause);
}

void MachineHost::RequestExit(int status) {
  parts_.hold_vcpus();
  lifecycle_->RequestExit(status);
}

}  // namespace nandu
