#include "machine/host.h"

#include <boost/json/object.hpp>
#include <cerrno>
#include <fcntl.h>

#include "base/log.h"
#include "machine/run_state.h"

namespace nandu {
namespace {

std::string_view ActionText(BlockError::Action action) {
  switch (action) {
    case BlockError::Action::kIgnore: return "ignore";
    case BlockError::Action::kReport: return "report";
    case BlockError::Action::kStop: return "stop";
  }
  return "report";
}

boost::json::object EventOf(const BlockError& error) {
  boost::json::object data;
  data["device"] = error.drive;
  data["node-name"] = error.node_name;
  data["operation"] = error.is_read ? "read" : "write";
  data["action"] = ActionText(error.action);
  if (error.no_space) {
    data["nospace"] = *error.no_space;
  }
  data["reason"] = ErrnoText(error.sys_errno);
  return data;
}

}  // namespace

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

// BLOCK_IO_ERROR before the STOP it causes; for each request that fails, as QEMU.
bool MachineHost::OnBlockError(const BlockError& error) {
  const bool stops = error.action == BlockError::Action::kStop;
  if (stops) {
    block_log_.Warn("{}: {} '{}' failed: {}; the VM stops until 'cont'", error.device,
                    error.is_read ? "reading" : "writing", error.node_name, ErrnoText(error.sys_errno));
  }
  if (stops) {
    const MutexLock lock(status_mutex_);
    // Before the event, and the first one stays: as QEMU.
    io_status_.emplace(error.device,
                       error.sys_errno == ENOSPC ? BlockIoStatus::kNospace : BlockIoStatus::kFailed);
  }
  // As many as a queue has requests: what a guest may cause is bounded.
  constexpr unsigned kMaxEvents = 1024;
  if (block_events_.fetch_add(1, std::memory_order_relaxed) < kMaxEvents) {
    boost::json::object data = EventOf(error);
    parts_.control.Post([this, data = std::move(data)] {
      block_events_.fetch_sub(1, std::memory_order_relaxed);
      parts_.emit("BLOCK_IO_ERROR", data);
    });
  } else {
    block_events_.fetch_sub(1, std::memory_order_relaxed);
    dropped_block_events_.Add();
  }
  if (stops) {
    lifecycle_->RequestStop(RunState::kIoError);
  }
  return stops;
}

Result<UniqueFd> MachineHost::OpenFile(const std::string& path) { return parts_.opener.Open(path, O_RDONLY); }

BlockIoStatus MachineHost::io_status(const std::string& device) const {
  const MutexLock lock(status_mutex_);
  const auto at = io_status_.find(device);
  return at == io_status_.end() ? BlockIoStatus::kOk : at->second;
}

void MachineHost::ForgetBlockErrors() {
  const MutexLock lock(status_mutex_);
  io_status_.clear();
}

std::string MachineHost::DefaultMac() {
  // As QEMU counts: 52:54:00:12:34:56 is the first card without an address of its own.
  const unsigned last = 0x56 + macs_given_++;
  return Format("52:54:00:12:{:02x}:{:02x}", (0x34 + (last >> 8)) & 0xff, last & 0xff);
}

void MachineHost::GuestPanicked(std::string_view why) {
  Log(LogLevel::kWarning, "the guest panicked: {}", why);
  if (panic_stops_) {
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
