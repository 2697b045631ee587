// What a device is to the machine, and how one is made from options. A device registers one row in the catalog (machine/device_catalog.cpp);
// its options, defaults and wiring live in its own factory.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/unique_function.h"

#include <nandu/acpi_contributor.h>

namespace nandu {

class AddressSpace;
class Balloon;
class BlockNode;
class Chardev;
class Clock;
class ControlLoop;
class Display;
class EventLoop;
class IrqLine;
class MsiAllocator;
class NetBackend;
class PciBus;
class PciFunction;
class StateReader;
class StateWriter;
struct TypeInfo;

// What a disk tells managers of itself.
struct DiskFacts {
  struct Tray {
    bool open = false;
    bool locked = false;  // by the guest
  };
  std::string drive;      // -drive's id; empty: it names a node
  std::string node_name;  // of what lies in it; empty: nothing
  std::string_view part = "";      // of the device in the object tree, "/virtio-backend"; empty: itself. Static
  std::optional<Tray> tray;        // where the medium changes
  bool tells_status = false;  // an error may stop the VM
  bool writeback = true;      // the guest has a cache to flush, now
};

// One thing on the board. Control thread unless said otherwise.
class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  virtual const std::string& id() const = 0;                // the user's id, or a made-up one ("#serial0")
  virtual std::string_view driver() const = 0;              // "virtio-blk-pci"
  virtual std::string StatePath() const = 0;                // "/machine/pcie.0/02.0", "/machine/isa/serial0"
  virtual PciFunction* pci() { return nullptr; }            // a PCI device's function
  virtual PciBus* bus() { return nullptr; }                 // a bridge's secondary bus
  virtual AcpiContributor* acpi() { return nullptr; }
  virtual std::optional<DiskFacts> disk() const { return std::nullopt; }
  virtual std::shared_ptr<Display> display() const { return nullptr; }  // a screen (nandu/display.h); may outlive the device
  // What firmware may boot from it: the user's bootindex=, and how its OpenFirmware path ends ("/disk@0,0") after its
  // own PCI function's, or its controller's; none: nothing.
  struct BootChoice {
    int32_t index = 0;
    std::string path_end;
    const PciFunction* controller = nullptr;
  };
  virtual std::optional<BootChoice> boot_choice() const { return std::nullopt; }

  // Three-phase reset with vCPUs stopped: Quiesce first, then Reset of all, then Start again.
  virtual void Reset() = 0;
  // Stops touching guest memory and raising interrupts; done runs on any thread. Past its deadline the machine calls StuckRequests.
  virtual void Quiesce(UniqueFunction<void()> done) = 0;
  virtual std::vector<std::string> StuckRequests() const = 0;  // "node disk0, write at 4096, 12 s"; empty when none
  virtual void Resume() = 0;                                   // level lines re-driven, rings re-checked, queues interrupted once
  virtual void Save(const StateWriter& writer) const = 0;      // only while quiesced
  virtual Result<> Load(const StateReader& reader) = 0;        // only while quiesced; validates before it changes anything
};

// A bus that a device makes for other devices of the command line (virtio-serial for virtconsole). Control thread.
class DeviceBus {
 public:
  DeviceBus() = default;
  DeviceBus(const DeviceBus&) = delete;
  DeviceBus& operator=(const DeviceBus&) = delete;
  virtual ~DeviceBus() = default;
  virtual std::string_view kind() const = 0;      // "virtio-serial-bus"; says what it may be cast to
  virtual const std::string& bus_id() const = 0;  // "serial0.0": what bus= names
};

// A disk's request that failed, and what is done about it: what the event BLOCK_IO_ERROR tells.
struct BlockError {
  enum class Action : uint8_t { kIgnore, kReport, kStop };
  std::string_view device;  // the user's id, for people
  std::string_view drive;   // -drive's id; empty: the disk names a node
  std::string_view node_name;
  Action action = Action::kReport;
  bool is_read = false;
  std::optional<bool> no_space;  // told where a policy may stop the VM
  int sys_errno = 0;
};

// What a factory may use of the machine.
class DeviceHost {
 public:
  DeviceHost() = default;
  DeviceHost(const DeviceHost&) = delete;
  DeviceHost& operator=(const DeviceHost&) = delete;
  virtual ~DeviceHost() = default;

  virtual ControlLoop& control() = 0;
  virtual Clock& clock() = 0;
  virtual AddressSpace& memory_space() = 0;
  virtual AddressSpace& io_space() = 0;
  virtual MsiAllocator& msi() = 0;
  // The caller's own share of ISA line 0..15: the line is high while anybody's share is. Lowered when it goes.
  virtual std::unique_ptr<IrqLine> ClaimIsaIrq(unsigned line) = 0;
  virtual Result<PciBus*> FindPciBus(std::string_view id) = 0;             // empty: the root bus
  virtual Result<EventLoop*> FindIoLoop(std::string_view iothread_id) = 0; // empty: the shared default one
  virtual Result<std::shared_ptr<BlockNode>> ClaimBlockNode(std::string_view drive, std::string_view user) = 0;  // node name or -drive id
  virtual Result<std::shared_ptr<NetBackend>> ClaimNetBackend(std::string_view id, std::string_view user) = 0;
  virtual Result<std::shared_ptr<Chardev>> ClaimChardev(std::string_view id, std::string_view user) = 0;
  // A file of firmware's, an option ROM: at that path, else by its name in the firmware directories (-L).
  virtual Result<std::vector<uint8_t>> ReadFirmwareFile(const std::string& name) {
    return Fail(Errc::kUnsupported, "{}: this host reads no firmware files", name);
  }
  virtual std::string DefaultMac() = 0;                                     // 52:54:00:12:34:56 and up, as QEMU counts
  virtual void GuestPanicked(std::string_view why) = 0;                     // any thread: its kernel cannot go on
  virtual void RequestReset(std::string_view cause) = 0;                    // any thread: "guest-reset"
  virtual void RequestShutdown(std::string_view cause) = 0;                 // any thread: "guest-shutdown"
  virtual void RequestExit(int status) = 0;                                 // any thread: isa-debug-exit

  // Served by a machine; what a host without them answers stands here.
  virtual void GuestCrashLoaded() {}  // its kernel panicked and runs its crash kernel now; any thread
  virtual void WatchdogExpired() {}   // the action chosen for it follows; any thread
  virtual void RaiseGpe(unsigned /*bit*/) {}  // an ACPI general purpose event; any thread
  virtual unsigned vcpu_count() const { return 1; }
  // A file that a device's options name, to be read. Control thread.
  virtual Result<UniqueFd> OpenFile(const std::string& path) {
    return Fail(Errc::kUnsupported, "{}: files cannot be opened here", path);
  }
  // A request of a disk failed: managers hear of it, and with kStop the VM stops with run state io-error, the request waits in its device and is
  // tried again on cont. False: this host cannot stop, the error goes to the guest. Any thread.
  virtual bool OnBlockError(const BlockError& /*error*/) { return false; }
  // share-rw=on: a node that several devices may write.
  virtual Result<std::shared_ptr<BlockNode>> ClaimSharedBlockNode(std::string_view drive, std::string_view /*user*/) {
    return Fail(Errc::kUnsupported, "drive '{}' cannot be shared here; leave share-rw out", drive);
  }

  // A node that is only read, as a CD-ROM's.
  virtual Result<std::shared_ptr<BlockNode>> ClaimBlockNodeForReading(std::string_view drive, std::string_view user) {
    return ClaimBlockNode(drive, user);
  }
  virtual bool DriveIsEmpty(std::string_view /*drive*/) const { return false; }  // a -drive without an image
  // The tray of a drive went out or in, by whoever's hand. `drive`: -drive's id, or empty. Any thread.
  virtual void TrayMoved(std::string_view /*drive*/, std::string_view /*id*/, bool /*open*/) {}

  // The VM's one memory balloon (nandu/balloon.h), for as long as the device that offers it holds it. Control thread.
  Result<> OfferBalloon(const std::shared_ptr<Balloon>& balloon) {
    if (!balloon_.expired()) {
      return Fail(Errc::kExists, "there is a memory balloon already, and a VM has one at most; leave this one out");
    }
    balloon_ = balloon;
    return {};
  }
  std::shared_ptr<Balloon> balloon() const { return balloon_.lock(); }  // null: there is none
  virtual void BalloonChanged() {}                                     // the guest gave memory or took it back; control thread

  // Buses of devices. Whoever offers one withdraws it before it goes, and outlives the devices on it.
  void OfferBus(DeviceBus& bus) { buses_.push_back(&bus); }
  void WithdrawBus(const DeviceBus& bus) { std::erase(buses_, &bus); }
  // Of a kind, by id; an empty id: the first of that kind. Null when there is none.
  DeviceBus* FindBus(std::string_view kind, std::string_view id) const {
    for (DeviceBus* bus : buses_) {
      if (bus->kind() == kind && (id.empty() || bus->bus_id() == id)) {
        return bus;
      }
    }
    return nullptr;
  }

 private:
  std::vector<DeviceBus*> buses_;
  std::weak_ptr<Balloon> balloon_;
};

// One -device, parsed: everything but driver and id, as a JSON object with the property names as the user wrote them.
struct DeviceFactory {
  std::string_view driver;                 // "virtio-blk-pci"
  std::vector<std::string_view> aliases;   // "virtio-blk"
  std::string_view description;            // for -device help
  std::string_view bus;                    // "PCI", "ISA", "System"
  const TypeInfo* (*options)();            // the described options struct: parsing, -device X,help and did-you-mean come from it
  Result<std::unique_ptr<Device>> (*create)(DeviceHost& host, const std::string& id, const boost::json::object& options);
};

}  // namespace nandu
