// How a machine is put together, in the order it is put together.
#include <algorithm>
#include <boost/json/object.hpp>
#include <fcntl.h>

#include "base/log.h"
#include "base/lost_memory.h"
#include "boot/multiboot.h"
#include "devices/display/vga_card.h"
#include "devices/legacy/vm_generation_id.h"
#include "machine/device_catalog.h"
#include "machine/globals.h"
#include "machine/loader_device.h"
#include "machine/machine_impl.h"

namespace nandu {

Machine::Impl::Impl(ControlLoop& control, const MachineConfig& configuration)
    : loop(control),
      config(configuration),
      opener(CreateInProcessOpener()),
      firmware_files(*opener, config.firmware_directories),
      backends(control, *opener,
               [this](std::string_view event, const boost::json::object& data) { Emit(event, data); }) {}

Machine::Impl::~Impl() {
  static_cast<void>(LostMemory::Install(-1));  // the eventfd goes
  // Threads first: no vCPU and no I/O loop runs while devices and backends go.
  if (board) {
    board->StopVcpus();
  }
  debugger.reset();
  lifecycle.reset();
  while (!devices.empty()) {
    devices.pop_back();  // a bus outlives what is on it
  }
  q35.reset();
}

Result<> Machine::Impl::Build() {
  TRY(TakeDescriptors());
  TRY(OpenBootFiles());
  TRY(OpenBackends());
  TRY(BuildBoard());
  TRY(AddDevices());
  TRY(FillFwCfg());
  TRY(PrepareBoot());
  MakeLifecycle();
  TRY(WatchLostMemory());
  TRY(ResetBoard());
  Warn();
  return {};
}

Result<> Machine::Impl::OpenBootFiles() {
  const auto open = [this](const std::string& path, const char* option) -> Result<BootFile> {
    UniqueFd fd = TRY(Prefix(opener->Open(path, O_RDONLY), option));
    return Prefix(BootFile::FromFd(std::move(fd), path), option);
  };
  if (!config.kernel.empty()) {
    kernel = TRY(open(config.kernel, "-kernel"));
  }
  if (kernel && TRY(FindMultibootHeader(*kernel))) {
    for (const MultibootModuleSpec& module : SplitMultibootModules(config.initrd)) {
      modules.push_back({TRY(open(module.path, "-initrd")), module.text});
    }
  } else if (!config.initrd.empty()) {
    initrd = TRY(open(config.initrd, "-initrd"));
  }
  // Without ACPI, only firmware has tables that describe the board.
  if (!config.bios.empty() || ((config.kernel.empty() || !config.acpi) && config.pflash[0].empty())) {
    const std::string name = config.bios.empty() ? "bios-256k.bin" : config.bios;
    const BootFile file = TRY(Prefix(firmware_files.Find(name), "-bios"));
    rom = TRY(Prefix(FirmwareRom::Open(file), "-bios"));
  }
  TRY(ReadSmbiosFiles());
  return ReadAcpiTables();
}

Result<> Machine::Impl::OpenBackends() {
  for (const OptionBag& iothread : config.iothreads) {
    TRY(backends.iothreads.Add(iothread));
  }
  for (const OptionBag& blockdev : config.blockdevs) {
    TRY(Prefix(backends.blocks.AddNode(blockdev.values), blockdev.source));
  }
  for (const DriveConfig& drive : config.drives) {
    TRY(Prefix(drive.empty ? backends.blocks.AddEmptyDrive(drive.id)
                           : backends.blocks.AddDrive(drive.id, drive.options.values),
               drive.options.source));
  }
  backends.chardevs.SetEscapeKey(config.escape_key);
  backends.chardevs.SetQuitHandler([this] { lifecycle->Quit("host-ui"); });
  for (const ChardevConfig& chardev : config.chardevs) {
    if (!chardev.short_form.empty()) {
      const std::string text = (chardev.mux ? "mon:" : "") + chardev.short_form;
      TRY(Prefix(backends.chardevs.AddLegacy(text, chardev.id, LegacyMux::kAllowed), text));
      continue;
    }
    boost::json::object options = chardev.options.values;
    const boost::json::value* backend = options.if_contains("backend");
    const std::string type =
        backend != nullptr && backend->is_string() ? std::string(backend->as_string()) : std::string();
    options.erase("backend");
    options.erase("id");
    TRY(Prefix(backends.chardevs.Add(type, chardev.id, options), chardev.options.source));
  }
  // After chardevs, which guestfwd= may name.
  for (const OptionBag& netdev : config.netdevs) {
    boost::json::object options = netdev.values;
    const auto take = [&options](std::string_view key) {
      const boost::json::value* value = options.if_contains(key);
      const std::string text =
          value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
      options.erase(key);
      return text;
    };
    const std::string type = take("type");
    const std::string id = take("id");
    TRY(Prefix(backends.netdevs.Add(type, id, options), netdev.source));
  }
  return TryImages();
}

Result<> Machine::Impl::BuildBoard() {
  clock = VmClock::Create(loop);
  BoardRam ram = TRY(CreateRam(*opener, config));
  node_bytes = std::move(ram.node_bytes);
  board = TRY(KvmBoard::Create(config, ram, rom ? &*rom : nullptr));
  MachineHost::Parts parts{
      .control = loop,
      .clock = *clock,
      .memory = board->memory(),
      .ports = board->ports(),
      .msi = board->msi(),
      .backends = backends,
      .opener = *opener,
      .claim_isa_irq = [this](unsigned line) { return board->irqchip().ClaimGsi(line); },
      .find_bus = [this](std::string_view id) { return FindBus(id); },
      .hold_vcpus = [this] { board->vcpus().PauseAll([] {}); },
      .balloon_changed = [this] { OnBalloonChanged(); },
      .emit = [this](std::string_view event, const boost::json::object& data) { Emit(event, data); },
      .read_firmware_file = [this](const std::string& name) { return firmware_files.Read(name); },
      .raise_gpe = [this](unsigned bit) { q35->lpc().RaiseGpe(bit); },
      .vcpus = config.smp.cpus,
      .panic_stops = config.panic != PanicAction::kNone};
  host = std::make_unique<MachineHost>(std::move(parts));
  TRY(board->MakeIrqchip(*host));
  q35 = TRY(Q35::Create(*host, *board, config));
  all_devices = q35->devices();
  return {};
}

PciBus* Machine::Impl::FindBus(std::string_view id) {
  if (id.empty() || id == q35->root().id()) {
    return &q35->root();
  }
  for (const std::unique_ptr<Device>& device : devices) {
    if (PciBus* bus = device->bus(); bus != nullptr && bus->id() == id) {
      return bus;
    }
  }
  return nullptr;
}

Result<> Machine::Impl::AddDevices() {
  for (const DeviceConfig& wanted : config.devices) {
    const DeviceFactory* factory = TRY(Prefix(FindDeviceFactory(wanted.driver), wanted.options.source));
    if (!wanted.id.empty()) {
      for (const std::unique_ptr<Device>& device : devices) {
        if (device->id() == wanted.id) {
          return Fail(Errc::kExists, "{}: there is a device '{}' already", wanted.options.source, wanted.id);
        }
      }
    }
    const std::string id = wanted.id.empty() ? Format("#{}{}", factory->driver, devices.size()) : wanted.id;
    const boost::json::object options =
        TRY(Prefix(WithGlobals(*factory, wanted.options.values, config.globals), wanted.options.source));
    devices.push_back(TRY(Prefix(factory->create(*host, id, options), wanted.options.source)));
    all_devices.push_back(devices.back().get());
    TRY(NoteGenerationId(*devices.back(), wanted.options.source));
    TRY(NoteLoader(*devices.back(), wanted.options.source));
    if (auto* const card = dynamic_cast<VgaCard*>(devices.back().get());
        card != nullptr && card->HasTextFont()) {
      text_screen = card;
    }
  }
  return {};
}

Result<> Machine::Impl::NoteGenerationId(Device& device, const std::string& source) {
  auto* const found = dynamic_cast<VmGenerationId*>(&device);
  if (found != nullptr && generation_id != nullptr) {
    return Fail(Errc::kExists, "{}: there is a VM generation ID already, and a VM has one at most", source);
  }
  generation_id = found != nullptr ? found : generation_id;
  return {};
}

Result<> Machine::Impl::NoteLoader(Device& device, const std::string& source) {
  const auto* const found = dynamic_cast<const LoaderDevice*>(&device);
  if (found == nullptr) {
    return {};
  }
  for (const LoaderDevice* other : loaders) {
    if (found->Overlaps(*other)) {
      return Fail(Errc::kInvalidArgument,
                  "{}: its file overlaps that of loader '{}'; load one of them elsewhere", source,
                  other->id());
    }
  }
  loaders.push_back(found);
  return {};
}

void Machine::Impl::MakeLifecycle() {
  Lifecycle::Policy policy;
  policy.reboot = config.reboot;
  policy.shutdown = config.shutdown;
  policy.panic = config.panic;
  policy.watchdog = config.watchdog;
  LifecycleParts parts;
  parts.pause_vcpus = [this](UniqueFunction<void()> done) {
    auto shared_done = std::make_shared<UniqueFunction<void()>>(std::move(done));
    board->vcpus().PauseAll([this, shared_done] {
      board->FreezeClock();
      (*shared_done)();
    });
  };
  parts.resume_vcpus = [this] {
    board->ThawClock();
    debugger->ResumeVcpus();
  };
  parts.devices = [this]() -> const std::vector<Device*>& { return all_devices; };
  parts.reset_board = [this] { return ResetBoard(); };
  parts.flush = [this](UniqueFunction<void(Result<>)> done) { backends.blocks.Flush(loop, std::move(done)); };
  parts.emit = [this](std::string_view event, const boost::json::object& data) { Emit(event, data); };
  parts.exit = [this](int status) {
    exit_status = status;
    loop.Stop();
  };
  parts.power_down = [this] {
    q35->lpc().PressPowerButton();
    Emit("POWERDOWN", {});
  };
  parts.inject_nmi = [this] { board->vcpus().InjectNmi(); };
  parts.forget_errors = [this] { host->ForgetBlockErrors(); };
  lifecycle = std::make_unique<Lifecycle>(loop, *clock, std::move(parts), policy);
  host->SetLifecycle(lifecycle.get());
  KvmBoard::Events events;
  events.triple_fault = [this] { lifecycle->RequestReset("guest-reset"); };
  events.internal_error = [this](std::string_view why) {
    Log(LogLevel::kError, "KVM cannot run the guest any further: {}", why);
    lifecycle->RequestStop(RunState::kInternalError);
  };
  events.system_event = [this](VcpuObserver::SystemEvent event) {
    switch (event) {
      case VcpuObserver::SystemEvent::kShutdown: lifecycle->RequestShutdown("guest-shutdown"); break;
      case VcpuObserver::SystemEvent::kReset: lifecycle->RequestReset("guest-reset"); break;
      case VcpuObserver::SystemEvent::kCrash: lifecycle->GuestPanicked(); break;
    }
  };
  debugger = std::make_unique<Debugger>(*board, *lifecycle);
  events.take_debug_exit = [this](unsigned cpu, const DebugExit& exit) {
    return debugger->TakeDebugExit(cpu, exit);
  };
  events.debug_stop = [this] { lifecycle->RequestStop(RunState::kDebug); };
  board->SetEvents(std::move(events));
  board->vcpus().Start();
}

// Once the VM is sure to run: a start that fails says one sentence, not what might have mattered.
void Machine::Impl::Warn() const {
  for (const std::string& warning : board->cpu().warnings) {
    Log(LogLevel::kWarning, "-cpu {}: {}", config.cpu, warning);
  }
  for (const std::string& id : backends.netdevs.unclaimed()) {
    Log(LogLevel::kWarning, "netdev '{}' has no network card; add -device virtio-net-pci,netdev={}", id, id);
  }
  const std::string& reason = backends.iothreads.fallback_reason();
  for (const NodeInfo& node : backends.blocks.Nodes()) {
    if (!reason.empty() && node.child.empty()) {
      Log(LogLevel::kWarning,
          "disk image '{}' is served by worker threads, since io_uring cannot be used ({})", node.filename,
          reason);
    }
  }
}

void Machine::Impl::Emit(std::string_view event, const boost::json::object& data) {
  if (sink) {
    sink(event, data);
  }
  if (event == "STOP") {
    debugger->OnStopped();
  }
}

}  // namespace nandu
