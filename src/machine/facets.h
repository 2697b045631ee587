// The faces of the machine that monitor commands are bound to: a command knows a facet, not the machine.
// Control loop, all of it. The machine implements them (machine/machine.cpp); tests implement them with a few
// lines.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/display.h>

#include "base/result.h"
#include "base/unique_function.h"
#include "machine/block_facts.h"
#include "machine/run_state.h"

namespace nandu {

struct ActionChanges;  // machine/config.h

class LifecycleFacet {
 public:
  LifecycleFacet() = default;
  LifecycleFacet(const LifecycleFacet&) = delete;
  LifecycleFacet& operator=(const LifecycleFacet&) = delete;
  virtual ~LifecycleFacet() = default;

  virtual RunState run_state() const = 0;
  // `done` runs once, now or later; the event (STOP, RESUME) goes out before it.
  virtual void Stop(UniqueFunction<void(Result<>)> done) = 0;
  virtual void Cont(UniqueFunction<void(Result<>)> done) = 0;
  virtual void SystemReset() = 0;
  virtual void SystemPowerdown() = 0;  // presses the ACPI power button
  virtual void InjectNmi() = 0;        // into every vCPU whose LINT1 takes it
  virtual void SetActions(const ActionChanges& changes) = 0;
  virtual void Quit() = 0;  // in an orderly way, soon: what is in flight is finished and answers still go out
};

// Who this VM is; what query-* answers.
struct VersionFacts {
  int64_t major = 0;  // of the QEMU it stands in for
  int64_t minor = 0;
  int64_t micro = 0;
  std::string package;  // "nandu 0.1.0"
};
struct CpuFacts {
  int64_t index = 0;
  int64_t thread_id = 0;  // of the kernel; constant for the life of the vCPU
  std::string qom_path;   // "/machine/unattached/device[0]"
  int64_t socket_id = 0;
  std::optional<int64_t> die_id;  // only where a socket has several
  int64_t core_id = 0;
  int64_t thread_in_core = 0;
};

class InfoFacet {
 public:
  InfoFacet() = default;
  InfoFacet(const InfoFacet&) = delete;
  InfoFacet& operator=(const InfoFacet&) = delete;
  virtual ~InfoFacet() = default;

  virtual std::string name() const = 0;  // -name guest=; empty: none given
  virtual std::string uuid() const = 0;  // canonical text; empty: none given
  virtual VersionFacts version() const = 0;
  virtual bool kvm_present() const = 0;  // /dev/kvm is there
  virtual bool kvm_enabled() const = 0;  // this VM runs on it
  virtual std::vector<CpuFacts> Cpus() const = 0;
  virtual std::optional<std::string> VmGenerationGuid() const = 0;  // canonical text; nullopt: there is none
};

// The memory balloon. How much the guest is left with; the event BALLOON_CHANGE says what it made of it.
class BalloonFacet {
 public:
  BalloonFacet() = default;
  BalloonFacet(const BalloonFacet&) = delete;
  BalloonFacet& operator=(const BalloonFacet&) = delete;
  virtual ~BalloonFacet() = default;

  virtual std::optional<uint64_t> GuestMemoryBytes() const = 0;  // nullopt: there is no balloon
  // Clipped to what the VM has. False: there is no balloon.
  virtual bool SetGuestMemoryTarget(uint64_t bytes) = 0;
};

// Images, as managers name them.
class BlockFacet {
 public:
  BlockFacet() = default;
  BlockFacet(const BlockFacet&) = delete;
  BlockFacet& operator=(const BlockFacet&) = delete;
  virtual ~BlockFacet() = default;

  virtual std::vector<BlockFacts> QueryBlock() const = 0;
  virtual std::vector<ImageFacts> QueryNodes() const = 0;  // every node, in the order of their names
  // A node's name or a -drive's id. `done` runs once, when the image has that size and the guest was told.
  virtual void ResizeBlock(std::string_view name, uint64_t size_bytes,
                           UniqueFunction<void(Result<>)> done) = 0;
};

// Descriptors that were handed in (-add-fd), in numbered sets.
struct FdSetFacts {
  struct Member {
    int fd = -1;
    std::optional<std::string> opaque;
  };
  int64_t id = 0;
  std::vector<Member> members;
};
class DescriptorFacet {
 public:
  DescriptorFacet() = default;
  DescriptorFacet(const DescriptorFacet&) = delete;
  DescriptorFacet& operator=(const DescriptorFacet&) = delete;
  virtual ~DescriptorFacet() = default;

  virtual std::vector<FdSetFacts> QueryFdSets() const = 0;
  virtual Result<> RemoveFd(int64_t id, std::optional<int> fd) = 0;  // without fd: all of the set
};

// Drives whose media change. Each `done` runs once, when what was asked for has happened.
class MediaFacet {
 public:
  MediaFacet() = default;
  MediaFacet(const MediaFacet&) = delete;
  MediaFacet& operator=(const MediaFacet&) = delete;
  virtual ~MediaFacet() = default;

  using Done = UniqueFunction<void(Result<>)>;
  struct DriveName {
    std::optional<std::string> device;  // -drive's id
    std::optional<std::string> id;      // -device's
  };
  struct NewMedium {
    std::string filename;
    std::optional<std::string> format;  // absent: guessed
  };
  // Opens the tray, and takes out what lies in it.
  virtual void Eject(const DriveName& name, bool force, Done done) = 0;
  virtual void OpenTray(const DriveName& name, bool force, Done done) = 0;
  virtual void CloseTray(const DriveName& name, Done done) = 0;
  virtual void RemoveMedium(const DriveName& name, Done done) = 0;
  virtual void InsertMedium(const DriveName& name, const std::string& node_name, Done done) = 0;
  virtual void ChangeMedium(const DriveName& name, const NewMedium& medium, bool force, Done done) = 0;
};

// Screens.
struct ScreendumpRequest {
  std::string filename;
  std::optional<std::string> device;  // the id of one with a screen; nullopt: the first
  int64_t head = 0;
  PictureFormat format = PictureFormat::kPpm;
};

class DisplayFacet {
 public:
  DisplayFacet() = default;
  DisplayFacet(const DisplayFacet&) = delete;
  DisplayFacet& operator=(const DisplayFacet&) = delete;
  virtual ~DisplayFacet() = default;

  // Writes what the screen shows to a file. `done` runs once, now or later; kNotFound: there is no such
  // device.
  virtual void Screendump(const ScreendumpRequest& request, UniqueFunction<void(Result<>)> done) = 0;
};

// User networks (-netdev user). `netdev` may be empty where there is one only; `done` runs once, now or later.
class NetFacet {
 public:
  NetFacet() = default;
  NetFacet(const NetFacet&) = delete;
  NetFacet& operator=(const NetFacet&) = delete;
  virtual ~NetFacet() = default;

  // "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport", and its left half
  virtual void AddHostForward(std::string_view netdev, std::string_view rule,
                              UniqueFunction<void(Result<>)> done) = 0;
  virtual void RemoveHostForward(std::string_view netdev, std::string_view rule,
                                 UniqueFunction<void(Result<>)> done) = 0;
  virtual void ListUserNets(UniqueFunction<void(std::string text)> done) = 0;  // for people
};

// Where events come from. One sink: the QMP server, which has the sessions.
class EventFacet {
 public:
  EventFacet() = default;
  EventFacet(const EventFacet&) = delete;
  EventFacet& operator=(const EventFacet&) = delete;
  virtual ~EventFacet() = default;

  // `name` "RESET", `data` its members, empty: none. Null ends it.
  using Sink = UniqueFunction<void(std::string_view name, const boost::json::object& data)>;
  virtual void SetEventSink(Sink sink) = 0;
};

}  // namespace nandu
