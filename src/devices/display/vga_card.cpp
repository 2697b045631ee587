#include "devices/display/vga_card.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/log.h"
#include "base/time.h"
#include "devices/display/edid.h"
#include "devices/display/vga_mmio.h"
#include "devices/display/vga_registers.h"
#include "devices/display/vga_text_mode.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_regs.h"
#include "state/state.h"

namespace nandu {
namespace {

constexpr unsigned kMemoryBar = 0;
constexpr unsigned kRegisterBar = 2;
constexpr uint32_t kMostMebibytes = 512;
constexpr const char* kBiosFile = "vgabios-stdvga.bin";
// Over RAM, and the plain memory over the rest of the window.
constexpr int kWindowPriority = 1;
constexpr int kDirectPriority = 2;

PciIdentity IdentityOf(const VgaCardOptions& options, VgaCard::Kind kind) {
  constexpr uint8_t kWithExtendedRegisters = 2;
  return PciIdentity{.vendor_id = 0x1234,
                     .device_id = 0x1111,
                     .revision = options.qemu_extended_regs ? kWithExtendedRegisters : uint8_t{0},
                     .class_code = kind == VgaCard::Kind::kPrimary ? 0x030000U : 0x038000U,
                     .subsystem_vendor_id = 0x1af4,
                     .subsystem_id = 0x1100,
                     .multifunction = options.multifunction};
}

// A cursor is there for a quarter of a second and away for as long.
BlinkPhase PhaseNow() {
  constexpr int64_t kPhaseNs = 250'000'000;
  return MonotonicNs() / kPhaseNs % 2 == 0 ? BlinkPhase::kOn : BlinkPhase::kOff;
}

EdidOptions MonitorOf(const VgaOptions& options) {
  EdidOptions monitor;
  monitor.xres = options.xres.value_or(monitor.xres);
  monitor.yres = options.yres.value_or(monitor.yres);
  monitor.xmax = options.xmax.value_or(0);
  monitor.ymax = options.ymax.value_or(0);
  monitor.refresh_mhz = options.refresh_rate.value_or(monitor.refresh_mhz);
  return monitor;
}

}  // namespace

Result<> Validate(const VgaOptions& options) {
  if (options.vgamem_mb < 1 || options.vgamem_mb > kMostMebibytes) {
    return Fail(Errc::kInvalidArgument, "vgamem_mb={}: a card has 1 to {} MiB of memory", options.vgamem_mb,
                kMostMebibytes);
  }
  for (const std::optional<uint32_t>& size : {options.xres, options.yres}) {
    if (size && (*size == 0 || *size > kMostEdidPixels)) {
      return Fail(Errc::kInvalidArgument, "xres= and yres= are 1 to {} pixels: a monitor cannot say more",
                  kMostEdidPixels);
    }
  }
  constexpr uint32_t kMostMilliHertz = 300'000;
  if (options.refresh_rate && (*options.refresh_rate == 0 || *options.refresh_rate > kMostMilliHertz)) {
    return Fail(Errc::kInvalidArgument, "refresh_rate={} is none; it is in thousandths of a hertz, up to {}",
                *options.refresh_rate, kMostMilliHertz);
  }
  return {};
}

VgaCard::VgaCard(std::string id, const VgaCardOptions& options, Kind kind, std::shared_ptr<RamBlock> memory)
    : id_(std::move(id)),
      kind_(kind),
      function_("vga", IdentityOf(options, kind), /*express=*/false),
      core_(std::make_shared<VgaCore>(std::move(memory), options.big_endian_framebuffer)),
      surface_(std::make_shared<DisplaySurface>(
          id_, [core = core_](Picture* out) { core->Draw(PhaseNow(), out); })) {}

VgaCard::~VgaCard() {
  core_->SetWindowWatcher(nullptr);
  if (bus_ != nullptr) {
    bus_->Detach(function_);
  }
}

Result<std::unique_ptr<VgaCard>> VgaCard::Create(DeviceHost& host, std::string id,
                                                 const VgaCardOptions& options, Kind kind) {
  PciBus* const bus = TRY(host.FindPciBus(options.bus));
  const int devfn = TRY(ParsePciAddress(options.addr));
  const uint64_t bytes = uint64_t{std::bit_ceil(options.vgamem_mb)} << 20;
  // Small pages: a text console touches 256 KiB of it.
  auto memory = TRY(RamBlock::CreateAnonymous(id + ".vram", bytes, {.huge_pages = false}));
  std::unique_ptr<VgaCard> card(new VgaCard(std::move(id), options, kind, std::move(memory)));
  const AddressSpace::Transaction transaction;  // one commit
  TRY(card->AddBars(host, options));
  if (kind == Kind::kPrimary) {
    TRY(card->MapLegacy(host));
    card->FindFont();
  }
  TRY(bus->Attach(card->function_, devfn));
  card->bus_ = bus;
  return card;
}

Result<> VgaCard::AddBars(DeviceHost& host, const VgaCardOptions& options) {
  const std::shared_ptr<RamBlock>& memory = core_->memory();
  TRY(function_.AddBar(kMemoryBar, BarKind::kMemory32Prefetchable, Region::Ram(memory, 0, memory->size())));
  if (options.mmio) {
    std::vector<uint8_t> edid = options.edid ? MakeEdid(MonitorOf(options)) : std::vector<uint8_t>{};
    const auto extended = options.qemu_extended_regs ? VgaMmio::ExtendedRegisters::kPresent
                                                     : VgaMmio::ExtendedRegisters::kAbsent;
    TRY(function_.AddBar(
        kRegisterBar, BarKind::kMemory32,
        Region::Io(std::make_shared<VgaMmio>(core_, std::move(edid), extended), VgaMmio::kBytes)));
  }
  rom_ = TRY(LoadPciRom(host, id_, options, kind_ == Kind::kPrimary ? kBiosFile : ""));
  return rom_ ? function_.AddRom(rom_->image, rom_->bar_bytes) : Result<>();
}

Result<> VgaCard::MapLegacy(DeviceHost& host) {
  if (host.io_space().view()->Find(vga::kAttributeIndex) != nullptr) {
    return Fail(
        Errc::kExists,
        "there is a VGA card already, and a VM has one at most; use secondary-vga for another screen");
  }
  memory_space_ = &host.memory_space();
  ports_ =
      TRY(host.io_space().Map(vga::kFirstPort, Region::Io(std::make_shared<VgaPorts>(core_), vga::kPorts)));
  vbe_ports_ = TRY(
      host.io_space().Map(VbePorts::kBase, Region::Io(std::make_shared<VbePorts>(core_), VbePorts::kPorts)));
  window_ = TRY(memory_space_->Map(
      vga::kWindowBase, Region::Io(std::make_shared<VgaWindow>(core_), vga::kWindowBytes), kWindowPriority));
  core_->SetWindowWatcher([this] { FollowWindow(); });
  return {};
}

void VgaCard::FindFont() {
  if (rom_) {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(rom_->image->host());
    font_ = FindTextFont({bytes, rom_->image->size()}).value_or(std::span<const uint8_t>());
  }
}

void VgaCard::FollowWindow() {
  // Within the transaction, so that of two vCPUs that write at once the later one's registers count.
  const AddressSpace::Transaction transaction;
  const VgaDirectWindow wanted = core_->direct_window();
  if (wanted == direct_is_) {
    return;
  }
  direct_is_ = wanted;
  direct_ = Mapping();
  if (wanted.size == 0) {
    return;
  }
  Result<Mapping> mapping =
      memory_space_->Map(vga::kWindowBase + wanted.base,
                         Region::Ram(core_->memory(), wanted.memory, wanted.size), kDirectPriority);
  if (mapping) {
    direct_ = std::move(mapping).value();
  }
}

void VgaCard::SetUpAsFirmware() { SetUpTextMode(*core_, font_); }

std::string VgaCard::StatePath() const { return bus_->StatePath() + "/" + function_.StateName(); }

void VgaCard::Reset() {
  function_.Reset();
  core_->Reset();
}

void VgaCard::Save(const StateWriter& writer) const {
  function_.Save(writer);
  writer.Child("vga").Put(core_->state());
}

Result<> VgaCard::Load(const StateReader& reader) {
  const VgaState state = TRY(reader.Child("vga").Get<VgaState>());
  TRY(function_.Load(reader));
  core_->SetState(state);
  return {};
}

// ---- -device VGA, secondary-vga ----
namespace {

Result<std::unique_ptr<Device>> CreateVga(DeviceHost& host, const std::string& id,
                                          const boost::json::object& options) {
  const auto parsed =
      TRY(FromJson<VgaCardOptions>(boost::json::value(options), {.field_word = "property", .lenient = true}));
  auto card = TRY(VgaCard::Create(host, id, parsed, VgaCard::Kind::kPrimary));
  return std::unique_ptr<Device>(std::move(card));
}

Result<std::unique_ptr<Device>> CreateSecondaryVga(DeviceHost& host, const std::string& id,
                                                   const boost::json::object& options) {
  VgaCardOptions card_options;
  static_cast<VgaOptions&>(card_options) =
      TRY(FromJson<VgaOptions>(boost::json::value(options), {.field_word = "property", .lenient = true}));
  auto card = TRY(VgaCard::Create(host, id, card_options, VgaCard::Kind::kSecondary));
  return std::unique_ptr<Device>(std::move(card));
}

constexpr DeviceFactory kVga = {.driver = "VGA",
                                .aliases = {},
                                .description = "standard VGA card with Bochs VBE modes",
                                .bus = "PCI",
                                .options = [] { return &TypeOf<VgaCardOptions>(); },
                                .create = CreateVga};
constexpr DeviceFactory kSecondaryVga = {.driver = "secondary-vga",
                                         .aliases = {},
                                         .description = "screen of Bochs VBE modes without VGA's ports",
                                         .bus = "PCI",
                                         .options = [] { return &TypeOf<VgaOptions>(); },
                                         .create = CreateSecondaryVga};

}  // namespace

const DeviceFactory& VgaFactory() { return kVga; }
const DeviceFactory& SecondaryVgaFactory() { return kSecondaryVga; }

}  // namespace nandu
