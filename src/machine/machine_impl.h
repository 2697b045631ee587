// What a Machine consists of. Internal to the machine room; machine.h is its face.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "boot/boot_loader.h"
#include "boot/firmware_rom.h"
#include "loop/control_loop.h"
#include "machine/debugger.h"
#include "machine/firmware_files.h"
#include "machine/host.h"
#include "machine/kvm_board.h"
#include "machine/lifecycle.h"
#include "machine/machine.h"
#include "machine/media.h"
#include "machine/q35.h"
#include "sandbox/opener.h"

namespace nandu {

class LoaderDevice;
class Display;
class VgaCard;
class VmGenerationId;

struct Machine::Impl {
  Impl(ControlLoop& control, const MachineConfig& configuration);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // The order at start: everything that opens, locks or listens, then KVM and memory, then the board and its
  // devices, then what boots.
  Result<> Build();

  Result<> TakeDescriptors();  // machine_descriptors.cpp
  Result<> OpenBackends();
  Result<> TryImages();  // machine_block.cpp
  Result<> OpenBootFiles();
  // machine_tables.cpp
  Result<> ReadSmbiosFiles();
  Result<> ReadAcpiTables();
  Result<> BuildBoard();
  Result<> AddDevices();
  Result<> NoteGenerationId(Device& device, const std::string& source);
  Result<> NoteLoader(Device& device, const std::string& source);
  Result<std::shared_ptr<Display>> FindDisplay(const std::optional<std::string>& device) const;
  Result<> PrepareBoot();
  // machine/firmware.cpp
  Result<> FillFwCfg();
  Result<> AddAcpiFiles();
  Result<> AddBootFiles();
  Result<> AddUserFile(const FwCfgFileConfig& file);
  // Whether firmware boots the guest, or nandu does what firmware would have done for its kernel.
  bool firmware_runs() const { return rom.has_value() || !config.pflash[0].empty(); }
  void MakeLifecycle();
  void Warn() const;

  Result<> ResetBoard();
  Result<> RunLoaders(const GuestMemory& memory) const;
  Result<> SetStarts() const;
  void OnBalloonChanged();
  Result<> WatchLostMemory();
  void OnLostMemory();
  void Emit(std::string_view event, const boost::json::object& data);
  PciBus* FindBus(std::string_view id);
  std::string QdevName(size_t device,
                       std::string_view part) const;  // of the command line's device of that number
  AcpiInput MakeAcpiInput();
  Result<SmbiosInput> MakeSmbiosInput() const;
  Result<> FindOnboard(const std::string& id, SmbiosInput* input) const;

  ControlLoop& loop;
  const MachineConfig config;
  // In the order they are made; what is made from another goes first.
  std::unique_ptr<Opener> opener;
  FirmwareFiles firmware_files;
  Backends backends;
  SmbiosOptions smbios;                           // with what its files hold
  std::vector<std::vector<uint8_t>> acpi_tables;  // -acpitable
  std::optional<BootFile> kernel;
  std::optional<BootFile> initrd;
  std::vector<BootModule> modules;  // instead of an initrd, for a multiboot kernel
  std::optional<FirmwareRom> rom;
  std::unique_ptr<VmClock> clock;
  std::vector<uint64_t> node_bytes;  // memory of each NUMA node; empty: no nodes
  std::unique_ptr<KvmBoard> board;
  std::unique_ptr<MachineHost> host;
  std::unique_ptr<Q35> q35;
  std::vector<std::unique_ptr<Device>> devices;  // of -device, in PCI address order
  std::vector<Device*> all_devices;
  VmGenerationId* generation_id = nullptr;   // in devices, where there is one
  std::vector<const LoaderDevice*> loaders;  // those of -device loader, in devices
  Media media{backends.blocks, [this]() -> const std::vector<Device*>& { return all_devices; }};
  VgaCard* text_screen = nullptr;      // in devices: a card that text can be shown with
  std::unique_ptr<BootLoader> loader;  // null: firmware boots
  bool booted = false;                 // reset once, at the start
  std::unique_ptr<Lifecycle> lifecycle;
  std::unique_ptr<Debugger> debugger;
  EventFacet::Sink sink;
  int exit_status = 0;
  UniqueFd lost_memory_event;
  uint64_t losses_told = 0;
  std::unique_ptr<FdWatch> lost_memory;
};

}  // namespace nandu
